//! Deliberately wrong implementations, and which cases find them: what tests the suite itself.
//!
//! A mutant is right but for one thing. It is killed when a case fails on it that the right implementation passes. The
//! mutants are in the cores, where a right implementation has none of them.

use sxlab_protocol::smp::client::ClientMutant;

use crate::case::{Case, Verdict};
use crate::cases;
use crate::catalogue::Catalogue;
use crate::runner::Plan;
use crate::target::Target;
use crate::target::client_pair::ClientPair;

/// The versions at which mutants are tried, in this order, until one case finds the mutant: the latest, the one with the
/// session id inside, one without block encryption, one before the service fields.
const VERSIONS: [u16; 4] = [20, 6, 10, 14];

/// A case that found a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The case.
    pub case: &'static str,
    /// At which version.
    pub version: u16,
    /// What it says.
    pub reason: String,
}

/// How a mutant fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// The mutant's name.
    pub mutant: &'static str,
    /// What it does differently, in one sentence.
    pub sentence: &'static str,
    /// The cases that failed on it at the first version at which any did, or the first of them.
    pub killed_by: Vec<Kill>,
}

impl Score {
    /// Whether any case found it.
    pub fn is_killed(&self) -> bool {
        !self.killed_by.is_empty()
    }
}

/// Every wrong client under the client cases of the plan. With `all` every case is tried, otherwise those up to the first
/// that finds the mutant.
pub fn clients(plan: &Plan, catalogue: &Catalogue, all: bool) -> Vec<Score> {
    let cases = plan.select(cases::smp());
    let score = |mutant: &ClientMutant| {
        let target = ClientPair { mutant: Some(*mutant) };
        let killed_by = kills(&target, plan, &cases, catalogue, if all { usize::MAX } else { 1 });
        Score { mutant: mutant.name(), sentence: mutant.sentence(), killed_by }
    };
    ClientMutant::ALL.iter().map(score).collect()
}

/// The cases that fail on a target, up to `most`, at the first version at which any does.
pub fn kills(
    target: &dyn Target,
    plan: &Plan,
    cases: &[&'static Case],
    catalogue: &Catalogue,
    most: usize,
) -> Vec<Kill> {
    for version in VERSIONS {
        let runs = cases.iter().filter(|case| plan.versions_of(case, catalogue).contains(&version));
        let failed = runs.filter_map(|case| {
            let result = plan.run(target, case, version);
            let reason = result.reason.unwrap_or_default();
            (result.verdict == Verdict::Fail).then_some(Kill { case: case.id, version, reason })
        });
        let failed: Vec<Kill> = failed.take(most).collect();
        if !failed.is_empty() {
            return failed;
        }
    }
    Vec::new()
}
