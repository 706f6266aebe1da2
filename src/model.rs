//! `sxlab model`: how likely is it that one adversary sees both ends of a message path, by formula and by drawing.

use std::num::NonZeroUsize;

use clap::Args;
use serde::Serialize;
use sxlab_analysis::model::{self, ModelError};
use sxlab_analysis::montecarlo::Run;
use sxlab_analysis::montecarlo::paths::{Draw, simulate};

use crate::exit::{Failure, Outcome};
use crate::output;

/// Paths that are drawn for a form unless --trials says how many trials: for the form in question, and for those that stand
/// beside it for comparison. Together some ten seconds on two cores.
const BUDGET: (f64, f64) = (2e10, 2e9);
/// The most and the fewest trials that the budget gives.
const TRIALS: (f64, f64) = (1000.0, 1e7);

/// Closed form and Monte Carlo, side by side: how likely one adversary sees both ends of a path.
#[derive(Args, Debug)]
pub(crate) struct ModelArgs {
    /// The adversary's share of the routers: the chance that one end of a path is the adversary's.
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = parse_share)]
    share: f64,
    /// How many paths are picked, independently.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..))]
    paths: u64,
    /// Monte Carlo trials, each of up to so many paths [default: as many as take a few seconds].
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u64).range(1..))]
    trials: Option<u64>,
    /// The seed of the Monte Carlo trials.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; they change the time taken, not the result [default: as many as the machine offers].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print one JSON document on the standard output.
    #[arg(long)]
    json: bool,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "a share is a number between 0 and 1".to_owned())?;
    model::safe_after(share, 1).map(|_| share).map_err(|error| error.to_string())
}

/// The JSON document.
#[derive(Serialize)]
struct Report {
    schema: &'static str,
    share: f64,
    paths: u64,
    seed: u64,
    /// `1 − (1 − s²)ⁿ`.
    closed_form: f64,
    /// `(1 − s²)ⁿ`.
    safe: f64,
    /// The number of paths after which `closed_form` is one half; null where no number is enough.
    half_life: Option<u64>,
    forms: Vec<Form>,
}

/// One way to draw a path.
#[derive(Serialize)]
struct Form {
    name: &'static str,
    formula: &'static str,
    meaning: &'static str,
    closed_form: f64,
    /// Null where the trials would take too long and --trials does not ask for them.
    monte_carlo: Option<MonteCarlo>,
}

/// An estimate with its 95 % interval (Wilson's; Clopper and Pearson's where nothing or everything was hit).
#[derive(Serialize)]
struct MonteCarlo {
    estimate: f64,
    low: f64,
    high: f64,
    /// Trials.
    n: u64,
    /// Whether the interval holds the closed form.
    holds_closed_form: bool,
    /// Paths drawn.
    pairs: u64,
}

type ClosedForm = fn(f64, u64) -> Result<f64, ModelError>;

const FORMS: [(Draw, ClosedForm, &str, &str, &str); 3] = [
    (
        Draw::BothEnds,
        model::compromised_after,
        "both-ends",
        "1 - (1 - s^2)^n",
        "both ends drawn anew for each path: what an observer of two ends needs",
    ),
    (
        Draw::ThreeHops,
        model::three_hops_after,
        "three-hops",
        "1 - (1 - s^3)^n",
        "all three hops of a longer path: often confused with the first, and not what an observer needs",
    ),
    (
        Draw::PinnedEnd,
        model::pinned_after,
        "pinned-end",
        "s * (1 - (1 - s)^n)",
        "one end drawn once and kept, as a queue's router is for as long as the connection lives",
    ),
];

/// Runs the subcommand.
pub(crate) fn run(args: &ModelArgs) -> Outcome {
    let forms = FORMS.iter().map(|&(draw, closed_form, name, formula, meaning)| {
        let closed_form = closed_form(args.share, args.paths)?;
        let monte_carlo = match args.trials.or_else(|| affordable_trials(args, draw)) {
            Some(trials) => Some(monte_carlo(args, draw, trials, closed_form)?),
            None => None,
        };
        Ok(Form { name, formula, meaning, closed_form, monte_carlo })
    });
    let forms = forms.collect::<Result<Vec<_>, ModelError>>().map_err(Failure::usage)?;
    let report = Report {
        schema: "sxlab-model-1",
        share: args.share,
        paths: args.paths,
        seed: args.seed,
        closed_form: model::compromised_after(args.share, args.paths).map_err(Failure::usage)?,
        safe: model::safe_after(args.share, args.paths).map_err(Failure::usage)?,
        half_life: model::half_life(args.share).map_err(Failure::usage)?,
        forms,
    };
    if args.json { output::json(&report) } else { print(&report) }
}

fn monte_carlo(
    args: &ModelArgs,
    draw: Draw,
    trials: u64,
    closed_form: f64,
) -> Result<MonteCarlo, ModelError> {
    let run = Run { seed: args.seed, threads: args.threads, progress: None };
    let counts = simulate(args.share, draw, &[args.paths], trials, &run)?;
    let found = counts.checkpoints.last().ok_or(ModelError::Empty("picks"))?;
    let interval = found.interval();
    Ok(MonteCarlo {
        estimate: found.estimate(),
        low: interval.low,
        high: interval.high,
        n: found.trials,
        holds_closed_form: interval.contains(closed_form),
        pairs: counts.pairs,
    })
}

/// As many trials as the budget allows: a function of the question, not of the machine. `None` if too few to be
/// of use.
fn affordable_trials(args: &ModelArgs, draw: Draw) -> Option<u64> {
    let (s, paths) = (args.share, args.paths as f64);
    // 64 trials go on together until each is decided: about ln 64 times as long as one takes on average.
    let (hit, budget) = match draw {
        Draw::BothEnds => (s * s, BUDGET.0),
        Draw::ThreeHops => (s * s * s, BUDGET.1),
        Draw::PinnedEnd => (s, BUDGET.1),
    };
    let per_trial = paths.min(5.0 / hit);
    let (fewest, most) = TRIALS;
    let trials = (budget / per_trial).min(most);
    (trials >= fewest).then_some(trials as u64)
}

fn print(report: &Report) -> Outcome {
    let Report { share, paths, closed_form, safe, half_life, .. } = report;
    output::note(format_args!("share s = {share}, paths n = {paths}"));
    output::note("");
    output::note(format_args!(
        "{:<11} {:<20} {:>12} {:>12}  {:<24} {:>10}",
        "form", "formula", "closed form", "Monte Carlo", "95 % interval", "trials"
    ));
    for form in &report.forms {
        let drawn = match &form.monte_carlo {
            Some(m) => {
                format!("{:>12.6}  {:<24} {:>10}", m.estimate, format!("{:.6} to {:.6}", m.low, m.high), m.n)
            }
            None => "           -  too long, --trials forces it".to_owned(),
        };
        output::note(format_args!(
            "{:<11} {:<20} {:>12.6} {drawn}",
            form.name, form.formula, form.closed_form
        ));
    }
    output::note("");
    for form in &report.forms {
        output::note(format_args!("{:<11} {}", form.name, form.meaning));
    }
    output::note("");
    output::note(format_args!("compromised {closed_form:.6}, safe {safe:.6}"));
    match half_life {
        Some(paths) => output::note(format_args!("half-life: one half after {paths} paths")),
        None => output::note("half-life: never"),
    }
    Ok(())
}
