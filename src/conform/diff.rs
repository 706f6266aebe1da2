//! `sxlab conform diff`: two recordings or two targets compared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use sxlab_conformance::record::{Played, Script, diff, flows, play};
use sxlab_conformance::replay::Flow;
use sxlab_conformance::runner::reach;
use sxlab_conformance::target::pair::Pair;
use sxlab_conformance::target::sockets::Remote;
use sxlab_conformance::target::{Settings, Target};

use super::record::FlowArgs;
use super::recordings;
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// Compare two recordings or two routers, by the flows that both have.
///
/// Prints the differences in order: the step, what was asked, the field, both values. What is random, and orders that are
/// free, are not differences. Exit codes: 0 equal, 1 different, 2 usage or a bad file, 3 a target can't be reached,
/// 4 nothing could be compared.
#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// A recording, a directory of recordings, a router's address, or `sim` for our own.
    first: String,
    /// The same.
    second: String,
    #[command(flatten)]
    flows: FlowArgs,
    /// All randomness of targets follows from it, where they are ours.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// One of the two.
enum Side {
    Recordings(BTreeMap<String, Flow>),
    Target(Box<dyn Target>),
}

impl Side {
    fn open(text: &str, seed: u64) -> Result<Self, Failure> {
        let target: Box<dyn Target> = match text {
            "sim" => Box::new(Pair::default()),
            _ if text.starts_with("smp://") => {
                Box::new(Remote::new(text.parse().map_err(|error| Failure::usage(error).of(text))?))
            }
            _ => return Ok(Self::Recordings(recordings::load(&[PathBuf::from(text)])?)),
        };
        reach(target.as_ref(), &Settings::default(), seed)
            .map_err(|failure| Failure::new(Exit::Unreachable, failure).of(target.name()))?;
        Ok(Self::Target(target))
    }

    fn names(&self) -> Option<BTreeSet<String>> {
        match self {
            Self::Recordings(all) => Some(all.keys().cloned().collect()),
            Self::Target(_) => None,
        }
    }

    /// The recording of a flow; the reason where there is none.
    fn flow(&self, name: &str, script: Option<&(Script, u16)>, seed: u64) -> Result<Flow, String> {
        match (self, script) {
            (Self::Recordings(all), _) => all.get(name).cloned().ok_or_else(|| "not recorded".to_owned()),
            (Self::Target(_), None) => Err("is no flow that can be played".to_owned()),
            (Self::Target(target), Some((script, version))) => {
                match play(script, *version, target.as_ref(), seed) {
                    Played::Recorded(recording) => Flow::read(&recording).map_err(|e| e.to_string()),
                    Played::Skipped(reason) => Err(reason),
                }
            }
        }
    }
}

/// Runs the subcommand.
pub(super) fn run(args: &DiffArgs) -> Outcome {
    let sides = [&args.first, &args.second].map(|text| Side::open(text, args.seed));
    let [first, second] = sides;
    let (first, second) = (first?, second?);
    // Two files are compared whatever their names are.
    if let (Side::Recordings(a), Side::Recordings(b)) = (&first, &second)
        && Path::new(&args.first).is_file()
        && Path::new(&args.second).is_file()
        && let (Some((name, a)), Some(b)) = (a.first_key_value(), b.values().next())
    {
        return conclude(usize::from(print(name, a, b)? > 0), 1);
    }
    let names: BTreeSet<String> = match (first.names(), second.names()) {
        (Some(a), Some(b)) => a.union(&b).cloned().collect(),
        (Some(names), None) | (None, Some(names)) => names,
        (None, None) => {
            let selected = args.flows.select()?;
            selected.iter().map(|(script, version)| recordings::name(&script.name, *version)).collect()
        }
    };
    let mut scripts = BTreeMap::new();
    let shipped = flows::shipped()
        .map_err(|(name, error)| Failure::new(Exit::Bug, error).of(format_args!("flow {name}")))?;
    let own = args.flows.select().unwrap_or_default().into_iter();
    let all = shipped.into_iter().flat_map(|script| {
        let (min, max) = script.versions;
        (min..=max).map(move |version| (script.clone(), version))
    });
    for (script, version) in all.chain(own) {
        scripts.insert(recordings::name(&script.name, version), (script, version));
    }
    let (mut different, mut compared) = (0, 0);
    for name in &names {
        let script = scripts.get(name);
        let (a, b) = (first.flow(name, script, args.seed), second.flow(name, script, args.seed));
        match (a, b) {
            (Ok(a), Ok(b)) => {
                compared += 1;
                different += usize::from(print(name, &a, &b)? > 0);
            }
            (a, b) => {
                let reason = |side: Option<String>| side.unwrap_or_else(|| "recorded".to_owned());
                let (a, b) = (reason(a.err()), reason(b.err()));
                output::data(format!("{name}: not compared: {a} | {b}").as_bytes())?;
            }
        }
    }
    conclude(different, compared)
}

/// Prints the differences of two recordings; how many.
fn print(name: &str, first: &Flow, second: &Flow) -> Result<usize, Failure> {
    let differences = diff(first, second);
    for difference in &differences {
        output::data(format!("{name}: {difference}").as_bytes())?;
    }
    Ok(differences.len())
}

fn conclude(different: usize, compared: usize) -> Outcome {
    match (different, compared) {
        (_, 0) => Err(Failure::new(Exit::Nothing, "nothing could be compared")),
        (0, _) => {
            output::note(format_args!("{compared} flows, equal"));
            Ok(())
        }
        _ => Err(Failure::new(Exit::Failures, format_args!("{different} of {compared} flows are different"))),
    }
}
