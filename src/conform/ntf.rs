//! `sxlab conform ntf`.

use clap::Args;
use indicatif::ProgressBar;
use sxlab_conformance::ntf::NtfPair;
use sxlab_conformance::report::Report;
use sxlab_conformance::runner::Plan;
use sxlab_conformance::{Case, Catalogue, Role, Versions, cases};

use super::outputs::{Outputs, conclude};
use super::{mutants, table};
use crate::exit::{Exit, Failure, Outcome};

/// Test a notification router: for now our own, in this process. The suite is its devices, its push provider and the SMP routers.
///
/// Exit codes: 0 everything required passed, 1 failures, 2 usage, 4 no case was selected.
#[derive(Args, Debug)]
pub(crate) struct NtfArgs {
    /// Our own router, in this process and without TLS, on virtual time.
    #[arg(long, required_unless_present = "list")]
    sim: bool,
    /// Run the cases on routers of ours that are wrong in one thing each, and say which are found.
    #[arg(long, requires = "sim")]
    mutants: bool,
    /// Only cases whose name, or a requirement of which, begins so, as ntf-tokens or ntf.push; may be repeated.
    #[arg(long, value_name = "PREFIX")]
    filter: Vec<String>,
    /// Only these versions, as 3 or 2-3.
    #[arg(long, value_name = "A-B", default_value = "1-3")]
    versions: Versions,
    /// Print the selected cases and run none.
    #[arg(long)]
    list: bool,
    /// All randomness of the suite follows from it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    outputs: Outputs,
}

/// Runs the subcommand.
pub(super) fn run(args: &NtfArgs) -> Outcome {
    let catalogue = Catalogue::shipped().map_err(|error| Failure::new(Exit::Bug, error))?;
    let plan = Plan {
        filters: args.filter.clone(),
        versions: args.versions,
        seed: args.seed,
        strict_document: false,
        role: Role::Router,
    };
    let selected = plan.select(cases::ntf());
    let runs: Vec<(&Case, u16)> = selected
        .iter()
        .flat_map(|case| plan.versions_of(case, &catalogue).into_iter().map(move |version| (*case, version)))
        .collect();
    if runs.is_empty() {
        return Err(Failure::new(Exit::Nothing, "no case is selected, --list without --filter shows all"));
    }
    if args.list {
        return table::list(&selected, &plan, &catalogue);
    }
    if args.mutants {
        return mutants::run_ntf(&plan, &runs, &catalogue, args.outputs.json.as_deref());
    }
    args.outputs.can_be_written()?;
    let earlier = args.outputs.earlier()?;
    let target = NtfPair::default();
    let progress = ProgressBar::new(u64::try_from(runs.len()).unwrap_or(u64::MAX));
    let mut results = Vec::with_capacity(runs.len());
    for (case, version) in runs {
        results.push(plan.run_ntf(&target, case, version));
        progress.inc(1);
    }
    progress.finish_and_clear();
    let report = Report::new(&plan, &target.name(), &selected, results);
    conclude(args.outputs.write(&catalogue, report, earlier, &[])?)
}
