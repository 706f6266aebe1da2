//! `sxlab conform record`: our flows played on a target and written down.

use std::path::{Path, PathBuf};

use clap::Args;
use sxlab_conformance::Versions;
use sxlab_conformance::record::{Played, Script, flows, play};
use sxlab_conformance::runner::reach;

use super::under_test::TargetArgs;
use super::{files, recordings};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// Play flows on a target and write down what comes back, in the form of docs/recordings.md.
///
/// The recordings hold the secrets of the clients that took part, and nothing else that is secret.
#[derive(Args, Debug)]
pub(crate) struct RecordArgs {
    /// The directory to make, with a file for each flow and version.
    #[arg(value_name = "DIR", required_unless_present = "list")]
    out: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    flows: FlowArgs,
    /// Print the flows and record none.
    #[arg(long)]
    list: bool,
    /// All randomness of the target follows from it, where it is ours.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Which flows, and at which versions.
#[derive(Args, Debug)]
pub(super) struct FlowArgs {
    /// Only flows whose name begins so, or the flow in this file, whose name ends in .flow; may be repeated.
    #[arg(long, value_name = "NAME|FILE")]
    flow: Vec<String>,
    /// At these versions, as 20 or 11-20.
    #[arg(long, value_name = "A-B", default_value = "20")]
    versions: Versions,
}

impl FlowArgs {
    /// The flows, each with its versions.
    pub(super) fn select(&self) -> Result<Vec<(Script, u16)>, Failure> {
        let shipped = flows::shipped()
            .map_err(|(name, error)| Failure::new(Exit::Bug, error).of(format_args!("flow {name}")))?;
        let mut scripts = Vec::new();
        let (own, names): (Vec<_>, Vec<_>) = self.flow.iter().partition(|name| name.ends_with(".flow"));
        let wanted = |script: &Script| names.iter().any(|name| script.name.starts_with(name.as_str()));
        scripts.extend(shipped.into_iter().filter(|script| self.flow.is_empty() || wanted(script)));
        for file in own {
            let path = Path::new(file);
            let text =
                std::fs::read_to_string(path).map_err(|error| Failure::usage(error).of(path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            scripts.push(Script::read(&name, &text).map_err(|e| Failure::usage(e).of(path.display()))?);
        }
        let mut all = Vec::new();
        for script in scripts {
            let (min, max) = script.versions;
            let versions = (min..=max).filter(|version| self.versions.contains(*version));
            all.extend(versions.map(|version| (script.clone(), version)));
        }
        match all.is_empty() {
            true => Err(Failure::new(Exit::Nothing, "no flow is selected, `record --list` shows all")),
            false => Ok(all),
        }
    }
}

/// Runs the subcommand.
pub(super) fn run(args: &RecordArgs) -> Outcome {
    let selected = args.flows.select()?;
    let Some(out) = args.out.as_ref().filter(|_| !args.list) else {
        for (script, version) in &selected {
            let line = format!("{}: {}", recordings::name(&script.name, *version), script.about.trim());
            output::data(line.as_bytes())?;
        }
        return Ok(());
    };
    let failed = |error: std::io::Error| Failure::usage(error).of(out.display());
    if out.exists() {
        return Err(Failure::usage("exists already").of(out.display()));
    }
    let under_test = args.target.open()?;
    let target = under_test.target();
    reach(target, under_test.provides(), args.seed)
        .map_err(|failure| Failure::new(Exit::Unreachable, failure).of(target.name()))?;
    let mut all = Vec::new();
    for (script, version) in &selected {
        let name = recordings::name(&script.name, *version);
        match play(script, *version, target, args.seed) {
            Played::Recorded(recording) => {
                output::data(format!("{name}: recorded").as_bytes())?;
                all.push((name, recording));
            }
            Played::Skipped(reason) => output::data(format!("{name}: skipped: {reason}").as_bytes())?,
        }
    }
    if all.is_empty() {
        return Err(Failure::new(Exit::Nothing, "all were skipped"));
    }
    let mut beside = out.clone().into_os_string();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = PathBuf::from(beside);
    std::fs::create_dir_all(&beside).map_err(failed)?;
    for (name, recording) in &all {
        files::write_json(&beside.join(format!("{name}.json")), recording)?;
    }
    std::fs::rename(&beside, out).map_err(failed)
}
