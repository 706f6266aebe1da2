//! Results of a run as data, and what they come to.
//!
//! | module | what it makes |
//! |---|---|
//! | [`html`] | one self-contained page: requirements × versions × targets, with the bytes exchanged |
//! | [`junit`] | JUnit XML |

pub mod html;
pub mod junit;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::case::{Case, Verdict};
use crate::catalogue::Catalogue;
use crate::lab::{Direction, Exchange};
use crate::requirement::Level;
use crate::runner::{CaseResult, Plan};

/// What the JSON document is.
pub const SCHEMA: &str = "sxlab-conformance-1";

/// Bytes of an exchange that a run which passed keeps: at the greatest version of a case, and at the others.
const KEPT: (usize, usize) = (128, 16);

/// Exchanges that a run which passed keeps, in the same way.
const EXCHANGES: (usize, usize) = (200, 12);

/// Everything that a run against one target found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of this program.
    pub program: String,
    /// The target.
    pub target: String,
    /// The protocol: `smp` or `ntf`.
    #[serde(default = "smp")]
    pub protocol: String,
    /// Which side was under test: `router` or `client`.
    pub role: String,
    /// The plan's seed.
    pub seed: u64,
    /// Whether the published document was tested where the deployed implementation differs.
    pub strict_document: bool,
    /// What was tried.
    pub cases: Vec<CaseInfo>,
    /// What came of it, by case and version.
    pub results: Vec<CaseResult>,
}

/// Reports of earlier versions of this program are of SMP.
fn smp() -> String {
    "smp".to_owned()
}

/// A case, as far as a report needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseInfo {
    /// Its name.
    pub id: String,
    /// What has to happen.
    pub title: String,
    /// What it covers.
    pub requirements: Vec<String>,
    /// What it needs of the target, as `quota=2`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
}

impl From<&Case> for CaseInfo {
    fn from(case: &Case) -> Self {
        let settings = case.needs().entries().into_iter().map(|(name, value)| format!("{name}={value}"));
        Self {
            id: case.id.to_owned(),
            title: case.title.to_owned(),
            requirements: case.requirements.iter().map(|id| (*id).to_owned()).collect(),
            settings: settings.collect(),
        }
    }
}

/// What a run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Everything that is required passed.
    Passed,
    /// Something that is required did not.
    Failed,
    /// The target could not be reached.
    Unreachable,
    /// The suite failed.
    Broken,
}

impl Report {
    /// The results of a plan's cases on a target. What passed keeps the beginning of its bytes only.
    pub fn new(plan: &Plan, target: &str, cases: &[&Case], mut results: Vec<CaseResult>) -> Self {
        compact(&mut results);
        Self {
            schema: SCHEMA.to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            target: target.to_owned(),
            protocol: cases.first().map_or("smp", |case| case.protocol()).to_owned(),
            role: plan.role.name().to_owned(),
            seed: plan.seed,
            strict_document: plan.strict_document,
            cases: cases.iter().map(|case| CaseInfo::from(*case)).collect(),
            results,
        }
    }

    /// The versions at which anything was run.
    pub fn versions(&self) -> BTreeSet<u16> {
        self.results.iter().map(|result| result.version).collect()
    }

    /// How many runs have which verdict.
    pub fn counts(&self) -> BTreeMap<Verdict, usize> {
        let mut counts = BTreeMap::new();
        for result in &self.results {
            *counts.entry(result.verdict).or_default() += 1;
        }
        counts
    }

    /// Each requirement's verdict at each version at which it holds: the worst of the cases that cover it.
    pub fn requirements(&self, catalogue: &Catalogue) -> BTreeMap<&str, BTreeMap<u16, Verdict>> {
        let holds = |requirement: &str, version| {
            let found = requirement.parse().ok().and_then(|id| catalogue.get(&id));
            // What the ends of a queue exchange has versions of its own.
            found.is_none_or(|found| found.id.protocol() != self.protocol || found.versions.contains(version))
        };
        let covers: BTreeMap<&str, &CaseInfo> =
            self.cases.iter().map(|case| (case.id.as_str(), case)).collect();
        let mut verdicts: BTreeMap<&str, BTreeMap<u16, Verdict>> = BTreeMap::new();
        for result in &self.results {
            let Some(case) = covers.get(result.case.as_str()) else { continue };
            let holding = case.requirements.iter().filter(|id| holds(id, result.version));
            for requirement in holding {
                let at = verdicts.entry(requirement).or_default().entry(result.version);
                let verdict = at.or_insert(result.verdict);
                if weight(result.verdict) > weight(*verdict) {
                    *verdict = result.verdict;
                }
            }
        }
        verdicts
    }

    /// What the run comes to. What a target does not support fails where a requirement is a MUST, unless its id begins with
    /// one of `optional`.
    pub fn conclusion(&self, catalogue: &Catalogue, optional: &[String]) -> Conclusion {
        if self.results.iter().any(|result| result.verdict == Verdict::Error && !result.unreachable) {
            return Conclusion::Broken;
        }
        if self.results.iter().any(|result| result.verdict == Verdict::Fail) {
            return Conclusion::Failed;
        }
        let needed = |id: &str| {
            let level = id.parse().ok().and_then(|id| catalogue.get(&id)).map(|found| found.level);
            level == Some(Level::Must) && !optional.iter().any(|prefix| id.starts_with(prefix.as_str()))
        };
        let lacking = self.requirements(catalogue).into_iter().any(|(id, verdicts)| {
            needed(id) && verdicts.values().any(|verdict| *verdict == Verdict::Unsupported)
        });
        if lacking {
            return Conclusion::Failed;
        }
        match self.results.iter().any(|result| result.unreachable) {
            true => Conclusion::Unreachable,
            false => Conclusion::Passed,
        }
    }
}

/// Of several verdicts about one thing the heaviest counts.
fn weight(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Skipped => 0,
        Verdict::Pass => 1,
        Verdict::NonStrict => 2,
        Verdict::Unsupported => 3,
        Verdict::Error => 4,
        Verdict::Fail => 5,
    }
}

/// Keeps of what passed as much as people look at, so that a report of thousands of runs can be opened.
fn compact(results: &mut [CaseResult]) {
    let mut greatest: BTreeMap<String, u16> = BTreeMap::new();
    for result in results.iter() {
        let version = greatest.entry(result.case.clone()).or_default();
        *version = result.version.max(*version);
    }
    for result in results.iter_mut().filter(|result| result.verdict == Verdict::Pass) {
        let whole = greatest.get(&result.case) == Some(&result.version);
        let (bytes, exchanges) = if whole { (KEPT.0, EXCHANGES.0) } else { (KEPT.1, EXCHANGES.1) };
        let left_out = result.trace.len().saturating_sub(exchanges);
        result.trace.truncate(exchanges);
        for exchange in &mut result.trace {
            exchange.bytes.cut(bytes);
        }
        if let (Some(last), 1..) = (result.trace.last(), left_out) {
            let (line, at) = (String::new(), last.at);
            let text = format!("{left_out} more, as this case passed");
            result.trace.push(Exchange {
                line,
                at,
                text,
                direction: Direction::Note,
                bytes: Default::default(),
            });
        }
    }
}

/// Versions in short: `6-10, 12`.
pub fn ranges(versions: impl IntoIterator<Item = u16>) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for version in versions {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(version) => *last = version,
            _ => ranges.push((version, version)),
        }
    }
    let shown = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// What was exchanged, a line for each exchange and further ones for its transmissions.
pub fn trace_text(trace: &[Exchange]) -> String {
    let mut text = String::new();
    for exchange in trace {
        let arrow = match exchange.direction {
            Direction::Sent => '>',
            Direction::Received => '<',
            Direction::Note => '·',
        };
        let (seconds, thousandths) = (exchange.at / 1_000_000_000, exchange.at / 1_000_000 % 1000);
        let mut lines = exchange.text.lines();
        let first = lines.next().unwrap_or_default();
        text.push_str(&format!("{seconds:>4}.{thousandths:03} {arrow} {:<8} {first}\n", exchange.line));
        for line in lines {
            text.push_str(&format!("{:>20}{line}\n", ""));
        }
        let bytes = &exchange.bytes;
        if !bytes.is_empty() {
            let more = match &bytes.digest {
                Some(digest) => format!("… (sha256 {digest}…)"),
                None => String::new(),
            };
            text.push_str(&format!("{:>20}{} B {}{more}\n", "", bytes.length, bytes.hex));
        }
    }
    text
}
