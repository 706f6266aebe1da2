//! `sxlab sweep`: a scenario under ranges of parameters, re-sampled networks and seeds, each point in a process of its own.
//!
//! [`part`] has the file that a point leaves, [`directory`] the directory of them, [`pool`] the processes, [`progress`] what is
//! said meanwhile.

pub(crate) mod directory;
pub(crate) mod part;
mod pool;
mod progress;

use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use sxlab_simnet::sweep::{Listed, Shard, SweepPlan};

use crate::exit::{Exit, Failure, Outcome};
use crate::run::{Job, Keep, hex, quoted};
use crate::{output, runtime};
use directory::{Identity, SweepDir};
use part::Part;

/// Run a plan: one scenario under ranges of parameters, re-sampled networks and seeds.
///
/// Every point leaves a file in the directory; started again, the sweep goes on with those that are missing. Without --shard the
/// shard is taken from a Slurm array task or, with SXLAB_SHARDS, from a Kubernetes indexed job.
#[derive(Args, Debug)]
pub(crate) struct SweepArgs {
    /// The plan, a TOML file: see docs/sweeps.md.
    plan: PathBuf,
    /// Where the points' files go [default: out/PLAN-sweep].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run only the i-th of n shards, or auto/n with the index from the environment.
    #[arg(long, value_name = "I/N", allow_hyphen_values = true)]
    shard: Option<String>,
    /// Points at the same time, each in a process of its own [default: as many as the machine has cores].
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// List the points, or those of the shard, and run nothing.
    #[arg(long, conflicts_with_all = ["out", "jobs"])]
    list: bool,
    /// Run one point as `sxlab run` would, into a result directory [default: out/PLAN-point-N].
    #[arg(long, value_name = "N", conflicts_with_all = ["shard", "jobs", "list"])]
    point: Option<u64>,
    /// Print one JSON document on the standard output.
    #[arg(long)]
    json: bool,
    /// A point as one of the sweep's own processes runs it: its number, and what it must turn out to be.
    #[arg(long, hide = true, num_args = 4, conflicts_with_all = ["shard", "jobs", "list", "point", "json"])]
    child: Option<Vec<String>>,
}

/// The JSON document at the end of a sweep.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    plan: &'a str,
    plan_hash: &'a str,
    version: &'a str,
    shard: String,
    directory: &'a Path,
    /// Points of the whole plan.
    points: u64,
    /// Points of this shard that are in the directory now.
    finished: usize,
    /// Points that were run by this command.
    ran: usize,
    failed: &'a [Failed],
}

/// A point that has no result.
#[derive(Debug, Serialize)]
pub(crate) struct Failed {
    point: u64,
    reason: String,
}

/// One point in a list.
#[derive(Serialize)]
struct Row<'a> {
    point: u64,
    parameters: Vec<(&'a str, &'a str)>,
    network: Option<u64>,
    seed: u64,
    hash: String,
}

/// Runs the subcommand.
pub(crate) fn run(args: SweepArgs) -> Outcome {
    let plan = SweepPlan::load(&args.plan).map_err(Failure::usage)?;
    if let Some(child) = &args.child {
        return run_child(&args, &plan, child);
    }
    if let Some(number) = args.point {
        return run_point(&args, &plan, number);
    }
    let points = plan.expand().map_err(Failure::usage)?;
    let (shard, from) =
        Shard::pick(args.shard.as_deref(), |name| std::env::var(name).ok()).map_err(Failure::usage)?;
    if let Some(from) = from {
        output::note(format_args!("shard {shard}, by {from}"));
    }
    let mine: Vec<&Listed> = points.iter().filter(|listed| shard.has(listed.point.number)).collect();
    if args.list {
        return list(&plan, &mine, args.json);
    }
    sweep(&args, &plan, &points, &mine, shard)
}

/// A plan's name as part of a file name.
fn file_name(plan: &SweepPlan) -> String {
    let kept = |c: char| c.is_alphanumeric() || "._-".contains(c);
    plan.name.chars().map(|c| if kept(c) { c } else { '-' }).collect()
}

fn replay(args: &SweepArgs, number: u64) -> String {
    format!("sxlab sweep {} --point {number}", quoted(&args.plan))
}

fn list(plan: &SweepPlan, points: &[&Listed], json: bool) -> Outcome {
    let row = |listed: &&'_ Listed| {
        let point = &listed.point;
        let names = plan.parameters.iter().map(String::as_str);
        (names.zip(point.parameters.iter().map(|value| value.to_string())).collect::<Vec<_>>(), point.clone())
    };
    if json {
        let rows: Vec<_> = points.iter().map(|listed| (row(listed), hex(&listed.hash))).collect();
        let rows: Vec<Row<'_>> = rows
            .iter()
            .map(|((parameters, point), hash)| Row {
                point: point.number,
                parameters: parameters.iter().map(|(name, value)| (*name, value.as_str())).collect(),
                network: point.network,
                seed: point.seed,
                hash: hash.clone(),
            })
            .collect();
        return output::json(&rows);
    }
    for listed in points {
        let (parameters, point) = row(listed);
        let mut line = format!("{}", point.number);
        for (name, value) in parameters {
            line.push_str(&format!("  {name}={value}"));
        }
        if let Some(network) = point.network {
            line.push_str(&format!("  network={network}"));
        }
        line.push_str(&format!("  seed={}", point.seed));
        output::data(line.as_bytes())?;
    }
    Ok(())
}

/// Runs one point into a result directory.
fn run_point(args: &SweepArgs, plan: &SweepPlan, number: u64) -> Outcome {
    let resolved = plan.resolve(number).map_err(Failure::usage)?.ok_or_else(|| no_point(plan, number))?;
    let directory = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("out").join(format!("{}-point-{number}", file_name(plan))));
    let job = Job {
        engine: plan.engine,
        scenario: &resolved.scenario,
        network: resolved.network,
        replay: replay(args, number),
    };
    job.reported(&directory, &Keep::default(), args.json)
}

fn no_point(plan: &SweepPlan, number: u64) -> Failure {
    Failure::usage(format_args!("--point {number}: the plan has the points 1 to {}", plan.len()))
}

/// Runs one point and writes its part. `child` is its number, its hash, and the hash and length of the plan.
fn run_child(args: &SweepArgs, plan: &SweepPlan, child: &[String]) -> Outcome {
    end_with_parent();
    let [number, hash, plan_hash, points] = child else { return Err(Failure::usage("--child: four values")) };
    let parsed = |text: &str| text.parse::<u64>().map_err(|_| Failure::usage("--child: not a number"));
    let (number, points) = (parsed(number)?, parsed(points)?);
    let resolved = plan.resolve(number).map_err(Failure::usage)?.ok_or_else(|| no_point(plan, number))?;
    if hex(&resolved.hash) != *hash {
        return Err(Failure::usage("the plan or its scenario changed while the sweep was running"));
    }
    let Some(directory) = &args.out else { return Err(Failure::usage("--child: --out is missing")) };
    let job = Job {
        engine: plan.engine,
        scenario: &resolved.scenario,
        network: resolved.network,
        replay: replay(args, number),
    };
    let summary = job.measured()?;
    let identity = Identity::new(&plan.name, plan_hash, points);
    Part::new(&identity, plan, &resolved, &summary)
        .write(directory, &summary)
        .map_err(|error| Failure::new(Exit::Failures, error))
}

/// Ends this process when the one that started it is gone, and with it the pipe of the standard input: what is killed must not go
/// on in the background.
#[expect(clippy::disallowed_methods, reason = "the thread waits for an end of file and decides nothing else")]
fn end_with_parent() {
    std::thread::spawn(|| {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Ok(1)) {}
        std::process::exit(i32::from(Exit::Failures as u8));
    });
}

fn sweep(args: &SweepArgs, plan: &SweepPlan, points: &[Listed], mine: &[&Listed], shard: Shard) -> Outcome {
    let hash = hex(&SweepPlan::hash(points));
    let identity = Identity::new(&plan.name, &hash, points.len() as u64);
    let directory =
        args.out.clone().unwrap_or_else(|| Path::new("out").join(format!("{}-sweep", file_name(plan))));
    let directory = SweepDir::open(&directory, &identity)?;
    let there = directory.finished(&identity)?;
    let missing: Vec<&Listed> =
        mine.iter().copied().filter(|listed| !there.contains(&listed.point.number)).collect();
    directory.remove_unfinished(missing.iter().map(|listed| listed.point.number));
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    output::note(format_args!(
        "{}: {} points{}, {} to run{}",
        plan.name,
        points.len(),
        if shard.is_all() { String::new() } else { format!(", {} in shard {shard}", mine.len()) },
        missing.len(),
        if missing.len() > 1 { format!(", {} at a time", jobs.min(missing.len())) } else { String::new() },
    ));
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(Exit::Failures, format_args!("this program's own file: {error}")))?;
    let mut failed = Vec::new();
    let work = pool::Work {
        program: &program,
        plan: &args.plan,
        directory: directory.path(),
        points: &missing,
        plan_hash: &hash,
        all: points.len() as u64,
        jobs,
    };
    runtime::block_on(pool::run(&work, &mut failed))?;
    failed.sort_by_key(|failed: &Failed| failed.point);
    let ran = missing.len() - failed.len();
    if args.json {
        output::json(&Report {
            schema: part::SCHEMA,
            plan: &plan.name,
            plan_hash: &hash,
            version: env!("CARGO_PKG_VERSION"),
            shard: shard.to_string(),
            directory: directory.path(),
            points: points.len() as u64,
            finished: mine.len() - failed.len(),
            ran,
            failed: &failed,
        })?;
    }
    let Some(first) = failed.first() else {
        let of = if shard.is_all() { String::new() } else { format!(" of shard {shard}") };
        output::note(format_args!("all {} points{of} are in {}", mine.len(), directory.path().display()));
        return Ok(());
    };
    Err(Failure::new(
        Exit::Failures,
        format_args!(
            "{} of {} points failed, the first is point {}: {} (the same command runs them again)",
            failed.len(),
            mine.len(),
            first.point,
            first.reason
        ),
    ))
}
