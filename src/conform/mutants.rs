//! The score of the suite: which deliberately wrong implementations it finds.

use std::path::Path;

use serde::Serialize;
use sxlab_conformance::mutants::{Score, clients, ntf_routers, routers};
use sxlab_conformance::ntf::NtfPair;
use sxlab_conformance::runner::Plan;
use sxlab_conformance::target::Target;
use sxlab_conformance::target::client_pair::ClientPair;
use sxlab_conformance::target::pair::Pair;
use sxlab_conformance::{Case, Catalogue, Role, Verdict};

use super::files;
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    mutants: usize,
    killed: usize,
    /// Runs that the right implementation fails.
    false_failures: usize,
    scores: &'a [Score],
}

/// Runs the right implementation and all wrong ones, and shows the score.
pub(super) fn run(plan: &Plan, selected: &[&Case], catalogue: &Catalogue, json: Option<&Path>) -> Outcome {
    let client = plan.role == Role::Client;
    let right: &dyn Target = if client { &ClientPair::default() } else { &Pair::default() };
    let runs = selected
        .iter()
        .flat_map(|case| plan.versions_of(case, catalogue).into_iter().map(move |version| (*case, version)));
    let failing = runs.filter(|(case, version)| plan.run(right, case, *version).verdict == Verdict::Fail);
    let false_failures = failing.count();
    let scores = if client { clients(plan, catalogue, true) } else { routers(plan, catalogue, false) };
    show(&scores, false_failures, json)
}

/// The same for notification routers.
pub(super) fn run_ntf(
    plan: &Plan,
    runs: &[(&Case, u16)],
    catalogue: &Catalogue,
    json: Option<&Path>,
) -> Outcome {
    let right = NtfPair::default();
    let failing =
        runs.iter().filter(|(case, version)| plan.run_ntf(&right, case, *version).verdict == Verdict::Fail);
    let false_failures = failing.count();
    show(&ntf_routers(plan, catalogue, false), false_failures, json)
}

fn show(scores: &[Score], false_failures: usize, json: Option<&Path>) -> Outcome {
    for score in scores {
        let by = score.killed_by.iter().map(|kill| kill.case).take(3).collect::<Vec<_>>().join(", ");
        let more = score.killed_by.len().saturating_sub(3);
        let found = match (score.is_killed(), more) {
            (false, _) => "NOT FOUND".to_owned(),
            (true, 0) => by,
            (true, more) => format!("{by} and {more} more"),
        };
        output::note(format_args!("{:<36} {found}", score.mutant));
    }
    let (mutants, killed) = (scores.len(), scores.iter().filter(|score| score.is_killed()).count());
    output::note(format_args!(
        "{killed} of {mutants} wrong implementations found, {false_failures} runs of the right one fail"
    ));
    let document = Document { schema: "sxlab-mutants-1", mutants, killed, false_failures, scores };
    match json {
        Some(path) if path.as_os_str() == "-" => output::json(&document)?,
        Some(path) => files::write_json(path, &document)?,
        None => {}
    }
    match killed == mutants && false_failures == 0 {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failures, "the suite does not tell right from wrong")),
    }
}
