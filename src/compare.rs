//! `sxlab compare`: two result directories side by side, with intervals of the differences.
//!
//! [`load`] reads a directory, of a run or of a merged sweep, as the same thing: estimates of runs by metric.

mod load;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sxlab_analysis::pooled::{self, Difference, RunOf};
use sxlab_analysis::stats::{self, Verdict};

use crate::exit::{Failure, Outcome};
use crate::output;
use load::{Key, Loaded};

/// The largest difference of shares that counts as agreement unless --margin or the results say another.
const MARGIN: f64 = 0.1;

/// Two result directories side by side: of `sxlab run`, or of `sxlab merge`.
///
/// The difference is the second minus the first. Points of merged sweeps with the same networks and seeds are compared pair by pair,
/// and so are the messages of runs with the same seed; everything else as independent.
#[derive(Args, Debug)]
pub(crate) struct CompareArgs {
    /// The first result directory.
    a: PathBuf,
    /// The second result directory.
    b: PathBuf,
    /// The largest difference that counts as agreement [default: what the results were checked with, for shares else 0.1].
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = parse_margin)]
    margin: Option<f64>,
    /// Print one JSON document on the standard output.
    #[arg(long)]
    json: bool,
}

fn parse_margin(text: &str) -> Result<f64, String> {
    let margin: f64 = text.parse().map_err(|_| "a margin is a number".to_owned())?;
    if margin > 0.0 && margin.is_finite() { Ok(margin) } else { Err("a margin is above 0".to_owned()) }
}

/// The JSON document.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    a: &'a load::Origin,
    b: &'a load::Origin,
    /// Whether both have the same trace hash: then they are the same run.
    identical: bool,
    rows: &'a [Row],
    /// Metrics that only one of them has.
    only_in_a: Vec<String>,
    only_in_b: Vec<String>,
}

/// One metric in both.
#[derive(Serialize)]
struct Row {
    parameters: BTreeMap<String, String>,
    name: String,
    group: String,
    unit: Option<String>,
    a: Side,
    b: Side,
    difference: f64,
    low: Option<f64>,
    high: Option<f64>,
    /// Pairs on common random numbers; none where the two were compared as independent.
    pairs: Option<u64>,
    /// Adjusted for the number of rows (Holm).
    p_value: Option<f64>,
    margin: Option<f64>,
    verdict: Verdict,
}

/// An estimate.
#[derive(Clone, Copy, Serialize)]
struct Side {
    estimate: f64,
    low: Option<f64>,
    high: Option<f64>,
    n: u64,
}

/// Runs the subcommand.
pub(crate) fn run(args: &CompareArgs) -> Outcome {
    let (a, b) = (Loaded::read(&args.a)?, Loaded::read(&args.b)?);
    a.comparable(&b)?;
    let identical = a.origin.trace_hash == b.origin.trace_hash;
    let latencies = load::paired_latencies(&a, &b)?;
    let mut rows = Vec::new();
    for (key, of_a) in &a.metrics {
        if let Some(of_b) = b.metrics.get(key) {
            rows.extend(row(key, &of_a.runs, &of_b.runs, of_a.unit.clone(), args.margin, &latencies));
        }
    }
    judge(&mut rows);
    if identical {
        // The same run needs no interval to agree with itself.
        rows.iter_mut().for_each(|row| row.verdict = Verdict::Agrees);
    }
    let only = |here: &Loaded, there: &Loaded| -> Vec<String> {
        here.metrics.keys().filter(|key| !there.metrics.contains_key(key)).map(Key::to_string).collect()
    };
    let (only_in_a, only_in_b) = (only(&a, &b), only(&b, &a));
    if rows.is_empty() {
        let line = format!("{} and {} have no metric in common", args.a.display(), args.b.display());
        return Err(Failure::usage(line));
    }
    print(&a, &b, identical, &rows, only_in_a.len() + only_in_b.len());
    if args.json {
        let (a, b) = (&a.origin, &b.origin);
        output::json(&Report { schema: 1, a, b, identical, rows: &rows, only_in_a, only_in_b })?;
    }
    Ok(())
}

fn row(
    key: &Key,
    a: &[RunOf],
    b: &[RunOf],
    unit: Option<String>,
    margin: Option<f64>,
    latencies: &BTreeMap<String, Difference>,
) -> Option<Row> {
    let (of_a, of_b) = (pooled::pool(a)?, pooled::pool(b)?);
    let latency = latencies.get(&key.group).filter(|_| key.name == "latency_median");
    let difference = latency
        .copied()
        .or_else(|| pooled::paired(a, b))
        .unwrap_or_else(|| pooled::unpaired((of_a.estimate, of_a.interval), (of_b.estimate, of_b.interval)));
    let side = |pooled: pooled::Pooled| Side {
        estimate: pooled.estimate,
        low: pooled.interval.map(|interval| interval.low),
        high: pooled.interval.map(|interval| interval.high),
        n: pooled.n,
    };
    let margins = [of_a.margin, of_b.margin].into_iter().flatten().reduce(f64::min);
    Some(Row {
        parameters: key.parameters.iter().cloned().collect(),
        name: key.name.clone(),
        group: key.group.clone(),
        margin: margin.or(margins).or(unit.is_none().then_some(MARGIN)),
        unit,
        a: side(of_a),
        b: side(of_b),
        difference: difference.difference,
        low: difference.interval.map(|interval| interval.low),
        high: difference.interval.map(|interval| interval.high),
        pairs: difference.pairs,
        p_value: difference.p_value,
        verdict: Verdict::Undecided,
    })
}

/// Adjusts for the number of rows, and says of each whether the two agree (the interval lies within the margin), differ (no
/// difference would be too unlikely) or neither. A difference within the margin is agreement, as everywhere in this program.
fn judge(rows: &mut [Row]) {
    let p_values: Vec<f64> = rows.iter().map(|row| row.p_value.unwrap_or(1.0)).collect();
    for (row, p) in rows.iter_mut().zip(stats::holm(&p_values)) {
        row.p_value = row.p_value.map(|_| p);
        let within = row.margin.is_some_and(|margin| {
            matches!((row.low, row.high), (Some(low), Some(high)) if -margin <= low && high <= margin)
        });
        let beyond = row.margin.is_none_or(|margin| row.difference.abs() > margin);
        let equal = row.difference == 0.0 && row.low == Some(0.0) && row.high == Some(0.0);
        row.verdict = match () {
            () if within || equal => Verdict::Agrees,
            () if beyond && row.p_value.is_some_and(|p| p < 0.05) => Verdict::Differs,
            () => Verdict::Undecided,
        };
    }
}

fn print(a: &Loaded, b: &Loaded, identical: bool, rows: &[Row], only_one: usize) {
    for (name, side) in [("A", a), ("B", b)] {
        output::note(format_args!("{name}: {}", side.origin));
    }
    if identical {
        output::note("Both have the same trace hash: they are the same run.");
    }
    let number = |x: f64| format!("{x:.4}");
    let interval = |low: Option<f64>, high: Option<f64>| match (low, high) {
        (Some(low), Some(high)) => format!(" [{low:.4}, {high:.4}]"),
        _ => String::new(),
    };
    let head = ["metric", "A", "B", "B - A", "compared", "verdict"];
    let mut lines = vec![head.map(str::to_owned)];
    for row in rows {
        let key = Key {
            parameters: row.parameters.clone().into_iter().collect(),
            name: row.name.clone(),
            group: row.group.clone(),
        };
        lines.push([
            key.to_string(),
            number(row.a.estimate),
            number(row.b.estimate),
            number(row.difference) + &interval(row.low, row.high),
            row.pairs.map_or_else(|| "as independent".to_owned(), |pairs| format!("{pairs} pairs")),
            row.verdict.name().to_owned(),
        ]);
    }
    output::table(&lines);
    if only_one > 0 {
        output::note(format_args!("{only_one} metrics are in one of the two only (--json names them)"));
    }
}
