//! `sxlab conform record`: our flows played on a target and written down.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use sxlab_conformance::Versions;
use sxlab_conformance::record::{Played, Script, flows, play};
use sxlab_conformance::runner::reach;
use sxlab_conformance::target::Target;

use super::under_test::TargetArgs;
use super::{files, recordings};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// Play flows on a target and write down what comes back, in the form of docs/recordings.md.
///
/// The recordings hold the secrets of the clients that took part, and nothing else that is secret.
#[derive(Args, Debug)]
pub(crate) struct RecordArgs {
    /// The directory to make, with a file for each flow and version; an empty one may be there.
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
    can_be_made(out)?;
    let under_test = args.target.open()?;
    let target = under_test.target();
    reach(target, under_test.provides(), args.seed)
        .map_err(|failure| Failure::new(Exit::Unreachable, failure).of(target.name()))?;
    let said = |line: String| output::data(line.as_bytes());
    record(&selected, target, args.seed, out, said)
}

/// Fails early for a directory that is somebody's already.
pub(super) fn can_be_made(out: &Path) -> Outcome {
    let refused = |what: &str| Err(Failure::usage(what).of(out.display()));
    match std::fs::read_dir(out).map(|mut entries| entries.next().is_some()) {
        Ok(true) => refused("is not empty"),
        Ok(false) => Ok(()),
        Err(_) if out.exists() => refused("is no directory that can be read"),
        Err(_) => Ok(()),
    }
}

/// Each of our flows, at the greatest of these versions that it has.
pub(super) fn newest(versions: Versions) -> Result<Vec<(Script, u16)>, Failure> {
    let all = FlowArgs { flow: Vec::new(), versions }.select()?;
    let mut newest = BTreeMap::new();
    for (script, version) in all {
        // Versions come in their order.
        newest.insert(script.name.clone(), (script, version));
    }
    Ok(newest.into_values().collect())
}

/// Plays flows on a target and writes what comes back into a directory: all of it, or it is not made. `said` is told what
/// became of each.
pub(super) fn record(
    flows: &[(Script, u16)],
    target: &dyn Target,
    seed: u64,
    out: &Path,
    mut said: impl FnMut(String) -> Outcome,
) -> Outcome {
    let mut all = Vec::new();
    for (script, version) in flows {
        let name = recordings::name(&script.name, *version);
        match play(script, *version, target, seed) {
            Played::Recorded(recording) => {
                said(format!("{name}: recorded"))?;
                all.push((name, recording));
            }
            Played::Skipped(reason) => said(format!("{name}: skipped: {reason}"))?,
        }
    }
    if all.is_empty() {
        return Err(Failure::new(Exit::Nothing, "all flows were skipped"));
    }
    let mut beside = out.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = write(&all, &beside, out);
    if written.is_err() {
        // What is left of it does no harm.
        let _ = std::fs::remove_dir_all(&beside);
    }
    written
}

/// Writes beside the directory and renames.
fn write(all: &[(String, Value)], beside: &Path, out: &Path) -> Outcome {
    let failed = |error: std::io::Error| Failure::usage(error).of(out.display());
    std::fs::create_dir_all(beside).map_err(failed)?;
    for (name, recording) in all {
        files::write_json(&beside.join(format!("{name}.json")), recording)?;
    }
    std::fs::rename(beside, out).map_err(failed)
}
