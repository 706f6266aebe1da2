//! Deliberately wrong implementations, and which cases find them: what tests the suite itself.
//!
//! A mutant is right but for one thing. It is killed when a case fails on it that the right implementation passes. The
//! mutants are in the cores, where a right implementation has none of them; those of TLS and of lookups are beside these.

use serde::Serialize;
use sxlab_node::tls::TlsMutant;
use sxlab_protocol::smp::client::ClientMutant;
use sxlab_protocol::smp::router::Mutant;

use crate::case::{Case, Verdict};
use crate::cases;
use crate::catalogue::Catalogue;
use crate::ntf::{NtfMutant, NtfPair};
use crate::runner::Plan;
use crate::target::Target;
use crate::target::client_pair::ClientPair;
use crate::target::names::WrongResolver;
use crate::target::pair::Pair;

/// The versions at which mutants are tried, in this order, until one case finds the mutant: the latest, the one with the
/// session id inside, then the last ones before a change of layout.
const VERSIONS: [u16; 7] = [20, 6, 10, 14, 8, 12, 17];

/// A case that found a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kill {
    /// The case.
    pub case: &'static str,
    /// At which version.
    pub version: u16,
    /// What it says.
    pub reason: String,
}

/// How a mutant fared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Score {
    /// The mutant's name.
    pub mutant: String,
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
        Score { mutant: mutant.name().to_owned(), sentence: mutant.sentence(), killed_by }
    };
    ClientMutant::ALL.iter().map(score).collect()
}

/// Every wrong notification router under the cases of the plan. With `all` every case is tried, otherwise those up to the
/// first that finds the mutant.
pub fn ntf_routers(plan: &Plan, catalogue: &Catalogue, all: bool) -> Vec<Score> {
    let cases = plan.select(cases::ntf());
    let runs = || {
        // The latest version first, as a case that is run at all of them says the same mostly.
        let versions = (plan.versions.min..=plan.versions.max).rev();
        let cases = &cases;
        versions.flat_map(move |version| {
            let run = move |case: &&&Case| plan.versions_of(case, catalogue).contains(&version);
            cases.iter().filter(run).map(move |case| (*case, version))
        })
    };
    let score = |mutant: &NtfMutant| {
        let target = NtfPair { mutant: Some(*mutant), ..NtfPair::default() };
        let failed = runs().filter_map(|(case, version)| {
            let result = plan.run_ntf(&target, case, version);
            let reason = result.reason.unwrap_or_default();
            (result.verdict == Verdict::Fail).then_some(Kill { case: case.id, version, reason })
        });
        let killed_by = failed.take(if all { usize::MAX } else { 1 }).collect();
        Score { mutant: mutant.name(), sentence: mutant.does(), killed_by }
    };
    NtfMutant::ALL.iter().map(score).collect()
}

/// A wrong router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongRouter {
    /// In its core.
    Core(Mutant),
    /// In TLS.
    Tls(TlsMutant),
    /// In how it asks its resolver of names.
    Resolver(WrongResolver),
}

impl WrongRouter {
    /// All of them.
    pub fn all() -> impl Iterator<Item = WrongRouter> {
        let core = Mutant::ALL.iter().copied().map(WrongRouter::Core);
        let tls = TlsMutant::ALL.into_iter().map(WrongRouter::Tls);
        core.chain(tls).chain(WrongResolver::ALL.into_iter().map(WrongRouter::Resolver))
    }

    /// Its name.
    pub fn name(self) -> String {
        match self {
            WrongRouter::Core(mutant) => mutant.name(),
            WrongRouter::Tls(mutant) => mutant.name().to_owned(),
            WrongRouter::Resolver(mutant) => mutant.name().to_owned(),
        }
    }

    /// What it does wrong.
    pub fn does(self) -> &'static str {
        match self {
            WrongRouter::Core(mutant) => mutant.does(),
            WrongRouter::Tls(mutant) => mutant.does(),
            WrongRouter::Resolver(mutant) => mutant.does(),
        }
    }

    /// What part of the protocol it is wrong in.
    pub fn area(self) -> &'static str {
        match self {
            WrongRouter::Core(mutant) => mutant.area(),
            WrongRouter::Tls(_) => "tls",
            WrongRouter::Resolver(_) => "names",
        }
    }

    fn target(self) -> Pair {
        let right = Pair::default();
        match self {
            WrongRouter::Core(mutant) => Pair { mutant: Some(mutant), ..right },
            WrongRouter::Tls(mutant) => Pair { tls: Some(mutant), ..right },
            WrongRouter::Resolver(mutant) => Pair { resolver: Some(mutant), ..right },
        }
    }
}

/// Every wrong router under the cases of the plan. With `all` every case is tried, otherwise those up to the first that
/// finds the mutant.
pub fn routers(plan: &Plan, catalogue: &Catalogue, all: bool) -> Vec<Score> {
    WrongRouter::all().map(|wrong| router(wrong, plan, catalogue, all)).collect()
}

/// One wrong router under the cases of the plan; those of the area that it is wrong in come first.
pub fn router(wrong: WrongRouter, plan: &Plan, catalogue: &Catalogue, all: bool) -> Score {
    let mut cases = plan.select(cases::smp());
    // Measuring times takes long, and tells one mutant only.
    let slow = |case: &&'static Case| case.id == "authorization.equal-time";
    let timed = wrong == WrongRouter::Core(Mutant::RefusesAbsentFaster);
    cases.retain(|case| timed || !slow(case));
    let areas = case_areas(wrong.area());
    let likely = |case: &Case| areas.iter().any(|area| case.id.starts_with(area));
    cases.sort_by_key(|case| (timed && !slow(case), !likely(case)));
    let killed_by = kills(&wrong.target(), plan, &cases, catalogue, if all { usize::MAX } else { 1 });
    Score { mutant: wrong.name(), sentence: wrong.does(), killed_by }
}

/// Where cases are that are likely to find a mutant of this area.
fn case_areas(area: &str) -> &'static [&'static str] {
    match area {
        "handshake" | "blocks" | "transmissions" => &["transport", "encoding"],
        "authorization" => &["authorization"],
        "queues" => &["recipient", "versions"],
        "delivery" => &["recipient", "sender"],
        "blocking" => &["blocking"],
        "links" => &["links"],
        "notifications" => &["notifications"],
        "proxy" | "relay" => &["proxy", "relay"],
        "services" => &["services"],
        "tls" => &["tls"],
        _ => &["names"],
    }
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
