//! `sxlab conform`: does it speak the protocol?
//!
//! | module | what it does |
//! |---|---|
//! | [`diff`] | two recordings or two targets compared |
//! | [`mutants`] | deliberately wrong implementations, and which of them are found |
//! | [`ntf`] | notification routers |
//! | [`outputs`] | what becomes of results: files and the exit code |
//! | [`files`] | results in files, whole or not at all |
//! | [`record`] | flows played on a target and written down |
//! | [`recordings`] | recordings in files |
//! | [`replay`] | recorded flows against a target |
//! | [`table`] | results for people |
//! | [`under_test`] | the target that the arguments name |

mod diff;
mod files;
mod mutants;
mod ntf;
mod outputs;
mod record;
mod recordings;
mod replay;
mod table;
mod under_test;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use sxlab_conformance::report::Report;
use sxlab_conformance::runner::{Plan, reach};
use sxlab_conformance::{Case, Catalogue, Role, Versions, cases};

use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use outputs::{Outputs, conclude};
use under_test::TargetArgs;

/// Test whether an implementation speaks the protocol.
#[derive(Subcommand, Debug)]
pub(crate) enum Conform {
    Smp(SmpArgs),
    Ntf(ntf::NtfArgs),
    Replay(replay::ReplayArgs),
    Record(record::RecordArgs),
    Diff(diff::DiffArgs),
}

/// Test an SMP router or client, somebody's or our own.
///
/// Exit codes: 0 everything required passed, 1 failures, 2 usage, 3 the target can't be reached, 4 no case was selected.
#[derive(Args, Debug)]
pub(crate) struct SmpArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Test a client instead of a router: the suite is its router. --sim is our client; a command that --spawn names is
    /// started for each thing that the client has to do, see there.
    #[arg(long)]
    client: bool,
    /// Run the cases on implementations of ours that are wrong in one thing each, and say which are found.
    #[arg(long, requires = "sim")]
    mutants: bool,
    /// Only cases whose name, or a requirement of which, begins so, as transport.ping or smp.proxy; may be repeated.
    #[arg(long, value_name = "PREFIX")]
    filter: Vec<String>,
    /// Only these versions, as 20 or 11-20.
    #[arg(long, value_name = "A-B", default_value = "6-20")]
    versions: Versions,
    /// Print the selected cases and run none.
    #[arg(long)]
    list: bool,
    /// Where the published document and the deployed implementation differ, test what the document says.
    #[arg(long)]
    strict_document: bool,
    /// The target may lack what requirements that begin so are about, MUST or not, as smp.names; may be repeated.
    #[arg(long, value_name = "PREFIX")]
    optional: Vec<String>,
    /// All randomness of the suite follows from it [default: 1 on virtual time, else another one each time].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// After the cases, play our flows on the same router, each at the greatest of the versions that it has, and write what
    /// comes back into this directory, as `sxlab conform record` does. It is made whole or not at all.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["client", "mutants", "list"])]
    record: Option<PathBuf>,
    #[command(flatten)]
    outputs: Outputs,
}

/// Runs the subcommand.
pub(crate) fn run(what: &Conform) -> Outcome {
    match what {
        Conform::Smp(args) => smp(args),
        Conform::Ntf(args) => ntf::run(args),
        Conform::Replay(args) => replay::run(args),
        Conform::Record(args) => record::run(args),
        Conform::Diff(args) => diff::run(args),
    }
}

fn smp(args: &SmpArgs) -> Outcome {
    let catalogue = Catalogue::shipped().map_err(|error| Failure::new(Exit::Bug, error))?;
    let plan = Plan {
        filters: args.filter.clone(),
        versions: args.versions,
        seed: args.seed.unwrap_or_else(|| args.target.default_seed()),
        strict_document: args.strict_document,
        role: if args.client { Role::Client } else { Role::Router },
    };
    let selected = plan.select(cases::smp());
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
        return mutants::run(&plan, &selected, &catalogue, args.outputs.json.as_deref());
    }
    args.outputs.can_be_written()?;
    if let Some(path) = &args.record {
        record::can_be_made(path)?;
    }
    let earlier = args.outputs.earlier()?;
    let under_test = if args.client { args.target.open_client()? } else { args.target.open()? };
    let target = under_test.target();
    if !args.client {
        reach(target, under_test.provides(), plan.seed)
            .map_err(|failure| Failure::new(Exit::Unreachable, failure).of(target.name()))?;
    }

    let progress = ProgressBar::new(u64::try_from(runs.len()).unwrap_or(u64::MAX));
    let mut results = Vec::with_capacity(runs.len());
    for (case, version) in runs {
        results.push(plan.run(target, case, version));
        progress.inc(1);
    }
    progress.finish_and_clear();
    let report = Report::new(&plan, &target.name(), &selected, results);
    let conclusion = args.outputs.write(&catalogue, report, earlier, &args.optional)?;
    let recorded = match &args.record {
        Some(path) => {
            let said = |line: String| {
                output::note(line);
                Ok(())
            };
            record::record(&record::newest(args.versions)?, target, plan.seed, path, said)
        }
        None => Ok(()),
    };
    conclude(conclusion)?;
    recorded
}
