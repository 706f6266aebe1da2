//! `sxlab conform replay`: recorded flows against a target.

use std::path::PathBuf;

use clap::Args;
use sxlab_conformance::replay::{Outcome as Replayed, replay};
use sxlab_conformance::runner::reach;

use super::recordings;
use super::under_test::TargetArgs;
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// Replay recorded flows: send their clients' steps again, and compare what comes back.
///
/// Prints a line for each flow: equal, different with the first difference, or skipped with the reason. Exit codes:
/// 0 all equal or skipped, 1 differences, 2 usage or a bad file, 3 the target can't be reached, 4 all were skipped.
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// Recordings, or directories of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    recordings: Vec<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
    /// Print all differences, not the first one only.
    #[arg(long)]
    all: bool,
    /// All randomness of the target follows from it, where it is ours.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Runs the subcommand.
pub(super) fn run(args: &ReplayArgs) -> Outcome {
    let flows = recordings::load(&args.recordings)?;
    let under_test = args.target.open()?;
    let target = under_test.target();
    reach(target, under_test.provides(), args.seed)
        .map_err(|failure| Failure::new(Exit::Unreachable, failure).of(target.name()))?;
    let (mut equal, mut different) = (0, 0);
    for (name, flow) in &flows {
        let line = match replay(flow, target, args.seed) {
            Replayed::Equal => {
                equal += 1;
                "equal".to_owned()
            }
            Replayed::Different(differences) => {
                different += 1;
                let shown = if args.all { differences.len() } else { 1 };
                let shown: Vec<_> = differences.iter().take(shown).map(ToString::to_string).collect();
                format!("different: {}", shown.join("; "))
            }
            Replayed::Skipped(reason) => format!("skipped: {reason}"),
        };
        output::data(format!("{name}: {line}").as_bytes())?;
    }
    let skipped = flows.len() - equal - different;
    output::note(format_args!("{equal} equal, {different} different, {skipped} skipped"));
    match (equal, different) {
        (0, 0) => Err(Failure::new(Exit::Nothing, "all were skipped")),
        (_, 0) => Ok(()),
        _ => Err(Failure::new(Exit::Failures, format_args!("{different} flows are different"))),
    }
}
