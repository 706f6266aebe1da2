//! `sxlab run`: simulates a scenario under each of its policies and writes a report.

mod observations;
mod results;

pub(crate) use observations::Keep;
pub(crate) use results::hex;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use sxlab_analysis::evaluate::{Evaluation, Evaluator, PolicyRun};
use sxlab_analysis::results::{OutputDir, Summary};
use sxlab_simnet::engine::{self, Counts, EngineError, Outcome as EngineOutcome, Progress};
use sxlab_simnet::observe::{Log, TraceHash};
use sxlab_simnet::scenario::{Overrides, Scenario, Workload};
use sxlab_simnet::seed::Streams;
use sxlab_simnet::selection::Policy;
use sxlab_simnet::truth::Truth;
use sxlab_simnet::workload::Plan;

use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// Simulate a scenario under each of its policies and write a report.
#[derive(Args, Debug, Default)]
pub(crate) struct RunArgs {
    /// The scenario file; without one, the built-in scenario of two operators.
    scenario: Option<PathBuf>,
    /// What simulates the network.
    #[arg(long, value_enum, default_value_t)]
    engine: Engine,
    /// The seed, in place of the scenario's.
    #[arg(long)]
    seed: Option<u64>,
    /// Where results go; an older result directory of that name is replaced [default: out/SCENARIO-seed-N].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run twice, compare, and write no results; shows the first event that differs.
    #[arg(long, conflicts_with_all = ["out", "write_trace", "observations", "json"])]
    check_determinism: bool,
    /// With --check-determinism: so many seeds, from the first upwards.
    #[arg(long, value_name = "N", requires = "check_determinism", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The trace for a workload of kind "trace", in place of the scenario's.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    keep: Keep,
    /// Print the summary as one JSON document on the standard output.
    #[arg(long)]
    json: bool,
}

/// What simulates the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// Real nodes on real TLS in turmoil's simulated network.
    #[default]
    Turmoil,
    /// The same protocol cores on a time-ordered heap, without cryptography: for many users and weeks.
    Events,
}

impl From<Engine> for engine::Engine {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Turmoil => Self::Turmoil,
            Engine::Events => Self::Events,
        }
    }
}

/// What stays of one policy's run when its log has been evaluated.
struct Finished {
    policy: Policy,
    truth: Truth,
    counts: Counts,
    simulated_ns: u64,
    observations: usize,
    trace_hash: TraceHash,
}

/// A scenario to run, and how to name it in what the run leaves.
pub(crate) struct Job<'a> {
    pub(crate) engine: engine::Engine,
    pub(crate) scenario: &'a Scenario,
    /// Streams from which users and their contacts are drawn: those of the scenario's seed, except in sweeps.
    pub(crate) network: Streams,
    /// The command that repeats it.
    pub(crate) replay: String,
}

impl Job<'_> {
    /// Simulates the scenario under each policy and evaluates each run when it ends, so that there is one log at a time. Its
    /// observations go to `directory` as far as that is asked for. `seed` is for drawing picks.
    fn simulated(
        &self,
        plan: &Plan,
        keep: &Keep,
        directory: Option<&OutputDir>,
        seed: Option<u64>,
    ) -> Result<(Vec<Finished>, Evaluation), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Failures, error);
        let streams = Streams::new(self.scenario.seed);
        let mut evaluator = Evaluator::new(self.scenario, seed);
        let mut runs = Vec::new();
        for &policy in &self.scenario.policies {
            let log = keep.log(&self.scenario.network, directory, policy);
            let outcome = simulate(log, self.engine, self.scenario, plan, policy, &streams);
            let outcome = outcome.map_err(|error| failure(policy, &error, &self.replay))?;
            keep.write(&outcome.log, directory, policy)?;
            let trace_hash = outcome.trace_hash();
            let EngineOutcome { log, truth, counts, simulated_ns, .. } = outcome;
            let run = PolicyRun { policy, log: &log, truth: &truth, span_ns: simulated_ns };
            evaluator.add(&run).map_err(|error| failed(&error))?;
            let observations = log.len();
            runs.push(Finished { policy, truth, counts, simulated_ns, observations, trace_hash });
        }
        Ok((runs, evaluator.finish()))
    }

    fn plan(&self) -> Result<Plan, Failure> {
        plan(self.scenario, &self.network, &Streams::new(self.scenario.seed))
    }

    /// Runs it and gives its numbers without writing anything; without the drawn conversations, which are the same for all runs of
    /// a scenario, and with 0 wall seconds.
    pub(crate) fn measured(self) -> Result<Summary, Failure> {
        let plan = self.plan()?;
        let (runs, evaluation) = self.simulated(&plan, &Keep::default(), None, None)?;
        let Self { engine, scenario, replay, .. } = self;
        results::measure(&results::Run { engine, scenario, plan: &plan, runs: &runs, replay }, evaluation)
    }

    /// Runs it and writes the result directory.
    #[expect(
        clippy::disallowed_methods,
        reason = "wall_seconds tells how long the machine took; nothing depends on it"
    )]
    pub(crate) fn reported(self, directory: &Path, keep: &Keep, json: bool) -> Outcome {
        let begun = Instant::now();
        let plan = self.plan()?;
        let directory = OutputDir::create(directory).map_err(Failure::usage)?;
        output::note(format_args!(
            "{}: {} users, {} conversations, {} messages, {} routers, seed {}",
            self.scenario.name,
            plan.population.users.len(),
            plan.population.conversations.len(),
            plan.sends.len(),
            self.scenario.network.routers.len(),
            self.scenario.seed,
        ));
        let seed = Some(self.scenario.seed);
        let (runs, evaluation) = self.simulated(&plan, keep, Some(&directory), seed)?;
        let Self { engine, scenario, replay, .. } = self;
        let run = results::Run { engine, scenario, plan: &plan, runs: &runs, replay };
        let summary = results::write(&run, evaluation, directory, || begun.elapsed().as_secs_f64())?;
        if json { output::json(&summary) } else { Ok(()) }
    }
}

/// Runs the subcommand.
pub(crate) fn run(args: RunArgs) -> Outcome {
    let overrides = Overrides { seed: args.seed, trace: args.trace.clone() };
    let scenario = match &args.scenario {
        Some(file) => Scenario::load(file, &overrides),
        None => Scenario::builtin(&overrides),
    }
    .map_err(Failure::usage)?;
    let file = args.scenario.as_deref().unwrap_or(Path::new("the built-in scenario"));
    engine::Engine::from(args.engine).check(&scenario, file).map_err(Failure::usage)?;
    if args.trace.is_some() && matches!(scenario.workload, Workload::Poisson(_)) {
        return Err(Failure::usage(
            "--trace: the scenario draws its messages, only a workload of kind \"trace\" reads them",
        ));
    }
    if args.check_determinism { check_determinism(&args, &scenario) } else { report(&args, &scenario) }
}

/// The command that repeats the run.
fn replay(args: &RunArgs, seed: u64) -> String {
    let mut line = "sxlab run".to_owned();
    if let Some(file) = &args.scenario {
        line.push_str(&format!(" {}", quoted(file)));
    }
    if args.engine == Engine::Events {
        line.push_str(" --engine events");
    }
    line.push_str(&format!(" --seed {seed}"));
    if let Some(trace) = &args.trace {
        line.push_str(&format!(" --trace {}", quoted(trace)));
    }
    line
}

/// A path as a shell reads it.
pub(crate) fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:,@%".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// Where results go unless --out says so. A scenario may have any name: what could lead elsewhere becomes `-`.
fn default_directory(scenario: &Scenario) -> PathBuf {
    let kept = |c: char| c.is_alphanumeric() || "._-".contains(c);
    let name: String = scenario.name.chars().map(|c| if kept(c) { c } else { '-' }).collect();
    Path::new("out").join(format!("{name}-seed-{}", scenario.seed))
}

fn plan(scenario: &Scenario, network: &Streams, run: &Streams) -> Result<Plan, Failure> {
    let plan = Plan::on(scenario, network, run).map_err(Failure::usage)?;
    if plan.population.conversations.is_empty() {
        return Err(Failure::usage("the scenario has no conversations: nobody would write to anybody"));
    }
    Ok(plan)
}

fn report(args: &RunArgs, scenario: &Scenario) -> Outcome {
    let directory = args.out.clone().unwrap_or_else(|| default_directory(scenario));
    let job = Job {
        engine: args.engine.into(),
        scenario,
        network: Streams::new(scenario.seed),
        replay: replay(args, scenario.seed),
    };
    job.reported(&directory, &args.keep, args.json)
}

/// What to say of a run that failed; the command that repeats it says nothing about a full disk.
fn failure(policy: Policy, error: &EngineError, replay: &str) -> Failure {
    match error {
        EngineError::Log(error) => Failure::new(Exit::Failures, format_args!("{policy}: {error}")),
        error => Failure::new(Exit::Failures, format_args!("{policy}: {error} (again with: {replay})")),
    }
}

/// Runs one policy with a progress bar on a terminal.
fn simulate(
    log: Log,
    engine: engine::Engine,
    scenario: &Scenario,
    plan: &Plan,
    policy: Policy,
    streams: &Streams,
) -> Result<EngineOutcome, EngineError> {
    let bar = ProgressBar::new(plan.sends.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{prefix:18} [{bar:32}] {pos}/{len} messages  {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(policy.name());
    let outcome =
        engine::run_into(log, engine, scenario, plan, policy, streams, &mut |progress: Progress| {
            let (established, all) = progress.established;
            if established < all {
                bar.set_message(format!("{established} of {all} conversations set up"));
            } else {
                bar.set_message(format!("{} s simulated", progress.simulated_ns / 1_000_000_000));
            }
            bar.set_position(progress.delivered.0 as u64);
        });
    bar.finish_and_clear();
    outcome
}

/// Runs everything twice for each seed and compares.
fn check_determinism(args: &RunArgs, scenario: &Scenario) -> Outcome {
    let more = args.seeds.unwrap_or(1) - 1;
    let last =
        scenario.seed.checked_add(more).ok_or_else(|| Failure::usage("--seeds: beyond the largest seed"))?;
    for seed in scenario.seed..=last {
        let streams = Streams::new(seed);
        let plan = plan(scenario, &streams, &streams)?;
        let mut hashes = Vec::new();
        for &policy in &scenario.policies {
            let again = || {
                let log = args.keep.log(&scenario.network, None, policy);
                let outcome = simulate(log, args.engine.into(), scenario, &plan, policy, &streams);
                outcome.map_err(|error| failure(policy, &error, &replay(args, seed)))
            };
            let (first, second) = (again()?, again()?);
            let difference = first.log.first_difference(&second.log);
            let difference = difference.map_err(|error| Failure::new(Exit::Failures, error))?;
            if let Some(difference) = difference {
                let line = format!("seed {seed}, {policy}: not deterministic: {difference}");
                return Err(Failure::new(Exit::Failures, line));
            }
            if first.trace_hash() != second.trace_hash() {
                let line =
                    format!("seed {seed}, {policy}: not deterministic: the same events, another truth");
                return Err(Failure::new(Exit::Failures, line));
            }
            hashes.push((policy.name(), first.trace_hash()));
        }
        output::note(format_args!("seed {seed}: equal twice, trace hash {}", TraceHash::of_parts(hashes)));
    }
    Ok(())
}
