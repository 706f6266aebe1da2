//! `sxlab merge`: the parts of a sweep put together, or one line about why they do not fit.
//!
//! [`parts`] checks that they do, [`tables`] makes what is written.

mod parts;
pub(crate) mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use sxlab_analysis::results::OutputDir;
use sxlab_simnet::observe::TraceHash;

use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use crate::sweep::part::Part;
use tables::Aggregate;

/// Put the parts of a sweep together.
///
/// Refuses gaps, overlaps, and parts of different plans or versions.
#[derive(Args, Debug)]
pub(crate) struct MergeArgs {
    /// Directories of `sxlab sweep`, all shards together the whole plan.
    #[arg(required = true, value_name = "DIR")]
    parts: Vec<PathBuf>,
    /// Where the results go; an older result directory of that name is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print the summary as one JSON document on the standard output.
    #[arg(long)]
    json: bool,
}

/// What `kind` says in a merge's summary.
pub(crate) const KIND: &str = "sweep";

/// `summary.json` of a merge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Merged {
    pub(crate) schema: u32,
    pub(crate) kind: String,
    pub(crate) plan: String,
    pub(crate) plan_hash: String,
    pub(crate) version: String,
    pub(crate) engine: String,
    pub(crate) scenario: String,
    pub(crate) points: u64,
    /// Names of the parameters.
    pub(crate) parameters: Vec<String>,
    /// Networks drawn; none where they follow the seed.
    pub(crate) networks: Option<u64>,
    pub(crate) seeds: u64,
    /// Over the trace hashes of all points.
    pub(crate) trace_hash: String,
    pub(crate) simulated_seconds: f64,
    /// Summed over points.
    pub(crate) counts: BTreeMap<String, u64>,
    /// For each combination of parameters, over networks and seeds.
    pub(crate) metrics: Vec<Aggregate>,
}

/// Runs the subcommand.
pub(crate) fn run(args: &MergeArgs) -> Outcome {
    let failed = |error| Failure::new(Exit::Failures, error);
    let found = parts::find(&args.parts)?;
    let points = tables::read(&found)?;
    let directory = OutputDir::create(&args.out).map_err(Failure::usage)?;
    let metrics = tables::aggregate(&points);
    let summary = summary(&points.iter().map(|point| &point.part).collect::<Vec<_>>(), metrics)?;
    directory.write_table(&tables::results(&points)?).map_err(failed)?;
    directory.write_table(&tables::points(&points)?).map_err(failed)?;
    directory.write_table(&tables::aggregates(&summary)?).map_err(failed)?;
    let text = serde_json::to_string_pretty(&summary).map_err(|error| Failure::new(Exit::Bug, error))?;
    directory.write("summary.json", text + "\n").map_err(failed)?;
    let path = directory.finish().map_err(failed)?;
    output::note(format_args!(
        "{}: {} points, {} of {} comparisons agree with what was expected, {} differ: {}",
        summary.plan,
        summary.points,
        with_verdict(&summary, "agrees"),
        summary.metrics.iter().filter(|metric| metric.verdict.is_some()).count(),
        with_verdict(&summary, "differs"),
        path.display()
    ));
    if args.json { output::json(&summary) } else { Ok(()) }
}

fn with_verdict(summary: &Merged, name: &str) -> usize {
    let verdicts = summary.metrics.iter().filter_map(|metric| metric.verdict);
    verdicts.filter(|verdict| verdict.name() == name).count()
}

fn summary(parts: &[&Part], metrics: Vec<Aggregate>) -> Result<Merged, Failure> {
    let first = parts.first().ok_or_else(|| Failure::usage("there are no points"))?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (name, count) in parts.iter().flat_map(|part| &part.counts) {
        *counts.entry(name.clone()).or_default() += count;
    }
    let numbers: Vec<String> = parts.iter().map(|part| part.point.to_string()).collect();
    let hashes = parts.iter().map(|part| bytes(&part.trace_hash)).collect::<Option<Vec<_>>>();
    let hashes = hashes.ok_or_else(|| Failure::usage("a point's trace hash is no hash"))?;
    let networks: BTreeSet<u64> = parts.iter().filter_map(|part| part.network).collect();
    let seeds: BTreeSet<u64> = parts.iter().map(|part| part.seed).collect();
    Ok(Merged {
        schema: first.sweep.schema,
        kind: KIND.to_owned(),
        plan: first.sweep.plan.clone(),
        plan_hash: first.sweep.plan_hash.clone(),
        version: first.sweep.version.clone(),
        engine: first.engine.clone(),
        scenario: first.scenario.clone(),
        points: first.sweep.points,
        parameters: first.parameters.iter().map(|(name, _)| name.clone()).collect(),
        networks: (!networks.is_empty()).then_some(networks.len() as u64),
        seeds: seeds.len() as u64,
        trace_hash: TraceHash::of_parts(numbers.iter().map(String::as_str).zip(hashes)).to_string(),
        simulated_seconds: parts.iter().map(|part| part.simulated_seconds).sum(),
        counts,
        metrics,
    })
}

/// A hash as it is written.
fn bytes(hex: &str) -> Option<TraceHash> {
    let mut hash = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(TraceHash(hash))
}
