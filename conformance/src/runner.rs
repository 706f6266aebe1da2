//! Running cases against a target: which, at which versions, and what comes out.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use sxlab_protocol::crypto::hash::sha256;

use crate::case::{Case, Outcome, Run, Verdict};
use crate::catalogue::Catalogue;
use crate::lab::{Exchange, Failure, Lab, Request};
use crate::ntf::{NtfLab, NtfPair};
use crate::requirement::{Role, Versions};
use crate::target::{Dial, Settings, Target};

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Cases of which the id, or the id of a requirement, begins with one of these; all where there are none.
    pub filters: Vec<String>,
    /// The versions to run at.
    pub versions: Versions,
    /// Which side is under test.
    pub role: Role,
    /// What is random in a run follows from it, the case and the version.
    pub seed: u64,
    /// Whether the published document is tested where the deployed implementation differs from it.
    pub strict_document: bool,
}

impl Default for Plan {
    /// Every case for routers at every version.
    fn default() -> Self {
        Self {
            filters: Vec::new(),
            versions: Versions { min: 6, max: 20 },
            role: Role::Router,
            seed: 1,
            strict_document: false,
        }
    }
}

/// A run of one case at one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The case.
    pub case: String,
    /// The version.
    pub version: u16,
    /// What it says.
    pub verdict: Verdict,
    /// Why, unless it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether there was no connection: the target was not reached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreachable: bool,
    /// How long it took for the target, in nanoseconds.
    pub nanoseconds: u64,
    /// What was exchanged.
    pub trace: Vec<Exchange>,
}

impl CaseResult {
    fn new(case: &Case, version: u16) -> Self {
        Self {
            case: case.id.to_owned(),
            version,
            verdict: Verdict::Pass,
            reason: None,
            unreachable: false,
            nanoseconds: 0,
            trace: Vec::new(),
        }
    }

    /// What the case's end comes to, and what was tolerated.
    fn concluded(mut self, outcome: Outcome, tolerated: &[String]) -> Self {
        (self.verdict, self.reason) = match outcome {
            Ok(()) if tolerated.is_empty() => (Verdict::Pass, None),
            Ok(()) => (Verdict::NonStrict, Some(tolerated.join("; "))),
            Err(Failure::Wrong(reason) | Failure::UnknownCommand(reason)) => (Verdict::Fail, Some(reason)),
            Err(Failure::Unsupported(reason)) => (Verdict::Unsupported, Some(reason)),
            Err(Failure::Skipped(reason)) => (Verdict::Skipped, Some(reason)),
            Err(Failure::Error(reason)) => (Verdict::Error, Some(reason)),
            Err(Failure::Unreachable(reason)) => {
                self.unreachable = true;
                (Verdict::Error, Some(reason))
            }
        };
        self
    }
}

impl Plan {
    /// The cases of the plan, in their order.
    pub fn select<'a>(&self, cases: impl IntoIterator<Item = &'a Case>) -> Vec<&'a Case> {
        let wanted = |case: &&Case| {
            let named = |filter: &String| {
                let mut names = std::iter::once(&case.id).chain(case.requirements);
                names.any(|name| name.starts_with(filter.as_str()))
            };
            case.role == self.role && (self.filters.is_empty() || self.filters.iter().any(named))
        };
        cases.into_iter().filter(wanted).collect()
    }

    /// The versions at which a case is run: its own, those of its requirements, and the plan's. A requirement that is not
    /// in the catalogue holds for all.
    pub fn versions_of(&self, case: &Case, catalogue: &Catalogue) -> Vec<u16> {
        let requirements: Vec<Versions> = case
            .requirements
            .iter()
            .filter_map(|id| catalogue.get(&id.parse().ok()?))
            // What the ends of a queue exchange has versions of its own.
            .filter(|requirement| requirement.id.protocol() == case.protocol())
            .map(|requirement| requirement.versions)
            .collect();
        let holds = |version: &u16| {
            let required = requirements.is_empty() || requirements.iter().any(|all| all.contains(*version));
            case.versions.contains(*version) && required
        };
        (self.versions.min..=self.versions.max).filter(holds).collect()
    }

    /// Runs a case at a version.
    pub fn run(&self, target: &dyn Target, case: &Case, version: u16) -> CaseResult {
        let seed = self.seed_of(case, version);
        let mut result = CaseResult::new(case, version);
        let Run::Smp(run) = case.run else {
            return result.concluded(Err(Failure::error("this is not a case for SMP")), &[]);
        };
        let mut instance = match target.start(&case.needs(), seed) {
            Ok(instance) => instance,
            Err(unavailable) => {
                result.verdict = Verdict::Skipped;
                result.reason = Some(unavailable.to_string());
                return result;
            }
        };
        let started = instance.now();
        let mut lab = Lab::new(instance.as_mut(), version, self.strict_document, seed);
        let outcome = run(&mut lab);
        let (trace, tolerated) = lab.finish();
        result.trace = trace;
        result.nanoseconds = instance.now().saturating_sub(started);
        drop(instance);
        let outcome = match outcome {
            Err(Failure::UnknownCommand(reason)) => Err(believed(target, case, version, seed, reason)),
            outcome => outcome,
        };
        result.concluded(outcome, &tolerated)
    }

    /// Runs a case for notification routers at a version.
    pub fn run_ntf(&self, target: &NtfPair, case: &Case, version: u16) -> CaseResult {
        let mut result = CaseResult::new(case, version);
        let tried = match case.run {
            Run::Ntf(run) => target.start(self.seed_of(case, version)).map(|running| (run, running)),
            Run::Smp(_) => Err(Failure::error("this is not a case for notification routers")),
        };
        let outcome = tried.and_then(|(run, running)| {
            let mut lab = NtfLab::new(running, version);
            let outcome = run(&mut lab);
            result.nanoseconds = lab.elapsed();
            result.trace = lab.finish();
            outcome
        });
        result.concluded(outcome, &[])
    }

    /// Other cases and versions do not change what a case at a version draws.
    fn seed_of(&self, case: &Case, version: u16) -> u64 {
        let name = format!("{}/{}/{version}", self.seed, case.id);
        ChaCha20Rng::from_seed(sha256(name.as_bytes())).next_u64()
    }
}

/// A target that says `ERR CMD UNKNOWN` is asked for a command that nobody has: it is unsupported what it does not
/// know only if that gets the same answer.
fn believed(target: &dyn Target, case: &Case, version: u16, seed: u64, reason: String) -> Failure {
    let probed = || -> Outcome {
        let mut instance = target.start(&case.needs(), seed).map_err(|reason| Failure::Skipped(reason.0))?;
        let mut lab = Lab::new(instance.as_mut(), version, false, seed);
        let client = lab.client()?;
        lab.ask(client, Request::bytes(*b"XYZZY"))?.is("ERR CMD UNKNOWN")?;
        lab.ask(client, Request::bytes(*b"PING"))?.is("PONG")
    };
    match probed() {
        Ok(()) => Failure::Unsupported(reason),
        Err(doubt) => Failure::Wrong(format!("{reason}; and a command that nobody has: {doubt}")),
    }
}

/// Whether the target, with the settings that it has, can be reached at all.
///
/// # Errors
/// [`Failure::Unreachable`] if it does not start or nothing answers.
pub fn reach(target: &dyn Target, settings: &Settings, seed: u64) -> Outcome {
    let mut instance = target.start(settings, seed).map_err(|reason| Failure::Unreachable(reason.0))?;
    let mut lab = Lab::new(instance.as_mut(), 6, false, seed);
    lab.try_connect(&Dial::default()).map(|_| ())
}
