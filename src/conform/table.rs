//! Results for people.

use std::collections::BTreeMap;

use sxlab_conformance::report::{Report, ranges};
use sxlab_conformance::runner::Plan;
use sxlab_conformance::{Case, Catalogue, Verdict};

use crate::exit::Outcome;
use crate::output;

/// The selected cases.
pub(super) fn list(cases: &[&Case], plan: &Plan, catalogue: &Catalogue) -> Outcome {
    for case in cases {
        let versions = ranges(plan.versions_of(case, catalogue));
        output::data(format!("{:<44} {versions:<8} {}", case.id, case.title).as_bytes())?;
        let settings: Vec<String> =
            case.needs().entries().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let needs =
            if settings.is_empty() { String::new() } else { format!("; needs {}", settings.join(", ")) };
        output::data(format!("    {}{needs}", case.requirements.join(", ")).as_bytes())?;
    }
    Ok(())
}

/// Counts by area, and what did not pass, each reason once with its versions.
pub(super) fn print(report: &Report, catalogue: &Catalogue) {
    let mut areas: BTreeMap<&str, BTreeMap<Verdict, usize>> = BTreeMap::new();
    for result in &report.results {
        let area = result.case.split('.').next().unwrap_or_default();
        *areas.entry(area).or_default().entry(result.verdict).or_default() += 1;
    }
    let header: String = Verdict::ALL.iter().map(|verdict| format!("{:>12}", verdict.name())).collect();
    output::note(format_args!("{:<16}{header}", "runs"));
    for (area, counts) in &areas {
        output::note(format_args!("{area:<16}{}", row(counts)));
    }
    output::note(format_args!("{:<16}{}", "all", row(&report.counts())));

    let mut reasons: BTreeMap<(Verdict, &str, &str), Vec<u16>> = BTreeMap::new();
    for result in report.results.iter().filter(|result| result.verdict != Verdict::Pass) {
        let reason = result.reason.as_deref().unwrap_or_default();
        reasons.entry((result.verdict, &result.case, reason)).or_default().push(result.version);
    }
    let mut before = None;
    for ((verdict, case, reason), versions) in reasons {
        if before != Some(verdict) {
            output::note(format_args!("\n{}", verdict.name()));
            before = Some(verdict);
        }
        output::note(format_args!("  {case} at {}: {reason}", ranges(versions)));
    }
    let requirements = report.requirements(catalogue);
    let passed = requirements.values().filter(|at| {
        at.values().all(|verdict| matches!(verdict, Verdict::Pass | Verdict::NonStrict | Verdict::Skipped))
            && at.values().any(|verdict| *verdict != Verdict::Skipped)
    });
    output::note(format_args!(
        "\n{}: {} cases, {} runs, versions {}, seed {}; {} of {} requirements pass wherever they were tried",
        report.target,
        report.cases.len(),
        report.results.len(),
        ranges(report.versions()),
        report.seed,
        passed.count(),
        requirements.len()
    ));
}

fn row(counts: &BTreeMap<Verdict, usize>) -> String {
    let count = |verdict| match counts.get(verdict) {
        Some(count) => format!("{count:>12}"),
        None => format!("{:>12}", "-"),
    };
    Verdict::ALL.iter().map(count).collect()
}
