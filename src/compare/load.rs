//! What a result directory says, of a run or of a merged sweep: estimates of runs by metric.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sxlab_analysis::pooled::{Difference, RunOf};
use sxlab_analysis::results::{Metric, SCHEMA, Summary, Table, Values, table_of_parquet};
use sxlab_analysis::stats;

use crate::exit::{Exit, Failure};
use crate::merge::{KIND, Merged};
use crate::sweep::part;

/// The most messages of a run whose times are compared one by one.
const MOST_MESSAGES: u64 = 5_000_000;

/// Where results come from.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Origin {
    pub(super) directory: PathBuf,
    /// `run` or `sweep`.
    pub(super) kind: String,
    /// The scenario, or the plan.
    pub(super) name: String,
    pub(super) engine: String,
    pub(super) version: String,
    pub(super) trace_hash: String,
    /// Of a run.
    pub(super) seed: Option<u64>,
    /// Of a merged sweep.
    pub(super) points: Option<u64>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directory, kind, name, engine, version, .. } = self;
        write!(f, "{}: {kind} {name}, engine {engine}, version {version}", directory.display())?;
        match (self.seed, self.points) {
            (Some(seed), _) => write!(f, ", seed {seed}"),
            (_, Some(points)) => write!(f, ", {points} points"),
            _ => Ok(()),
        }
    }
}

/// What a metric is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Names and values, in the order of the plan.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) name: String,
    pub(super) group: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.parameters {
            write!(f, "{name}={value} ")?;
        }
        write!(f, "{} {}", self.name, self.group)
    }
}

/// A metric's estimates.
#[derive(Clone, Debug, Default)]
pub(super) struct Estimates {
    pub(super) runs: Vec<RunOf>,
    pub(super) unit: Option<String>,
}

/// A result directory.
pub(super) struct Loaded {
    pub(super) origin: Origin,
    pub(super) metrics: BTreeMap<Key, Estimates>,
    /// Messages received.
    messages: u64,
}

impl Loaded {
    /// Reads a directory.
    ///
    /// # Errors
    /// One line about a directory that has no results of this version's form.
    pub(super) fn read(directory: &Path) -> Result<Self, Failure> {
        let file = directory.join("summary.json");
        let wrong = |what: &dyn fmt::Display| Failure::usage(format_args!("{}: {what}", file.display()));
        let text = std::fs::read_to_string(&file).map_err(|error| wrong(&error))?;
        let document: serde_json::Value = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
        let kind = document.get("kind").and_then(serde_json::Value::as_str);
        let schema = document.get("schema").and_then(serde_json::Value::as_u64);
        let known = if kind.is_none() { SCHEMA } else { part::SCHEMA };
        match (kind, schema) {
            (None | Some(KIND), Some(schema)) if schema == u64::from(known) => {}
            (None | Some(KIND), Some(schema)) => {
                return Err(wrong(&format_args!("has schema {schema}, this version of sxlab reads {known}")));
            }
            _ => return Err(wrong(&"not the summary of a run or of a merged sweep")),
        }
        if kind.is_none() {
            return Ok(Self::run(directory, Summary::from_json(&text).map_err(|error| wrong(&error))?));
        }
        let merged: Merged = serde_json::from_value(document).map_err(|error| wrong(&error))?;
        let unreadable = |error| Failure::usage(format_args!("{error}"));
        let table = table_of_parquet(&directory.join("results.parquet"), "results").map_err(unreadable)?;
        Self::merge(directory, &merged, &table)
    }

    fn run(directory: &Path, summary: Summary) -> Self {
        let mut metrics: BTreeMap<Key, Estimates> = BTreeMap::new();
        for metric in &summary.metrics {
            let key = Key { parameters: Vec::new(), name: metric.name.clone(), group: metric.group.clone() };
            let estimates = metrics.entry(key).or_default();
            estimates.runs.push(RunOf::new(metric, summary.seed));
            estimates.unit.clone_from(&metric.unit);
        }
        let origin = Origin {
            directory: directory.to_owned(),
            kind: "run".to_owned(),
            name: summary.scenario,
            engine: summary.engine,
            version: summary.version,
            trace_hash: summary.trace_hash,
            seed: Some(summary.seed),
            points: None,
        };
        let messages = summary.counts.get("messages_received").copied().unwrap_or_default();
        Self { origin, metrics, messages }
    }

    fn merge(directory: &Path, merged: &Merged, table: &Table) -> Result<Self, Failure> {
        let rows = Metric::of_table(table).map_err(Failure::usage)?;
        let column = |name: &str| {
            let found = table.columns().iter().find(|column| column.name == name);
            found.map(|column| &column.values).ok_or_else(|| {
                Failure::usage(format_args!("{}: results.parquet has no column {name}", directory.display()))
            })
        };
        let (networks, seeds) = (column("network")?, column("seed")?);
        let parameters = merged.parameters.iter().map(|name| Ok((name, column(name)?)));
        let parameters: Vec<(&String, &Values)> = parameters.collect::<Result<_, Failure>>()?;
        let mut metrics: BTreeMap<Key, Estimates> = BTreeMap::new();
        for (row, metric) in rows.iter().enumerate() {
            let values = parameters.iter().map(|(name, values)| ((*name).clone(), values.shown(row)));
            let key =
                Key { parameters: values.collect(), name: metric.name.clone(), group: metric.group.clone() };
            let cluster = whole(networks, row).or_else(|| whole(seeds, row)).unwrap_or_default();
            let estimates = metrics.entry(key).or_default();
            estimates.runs.push(RunOf::new(metric, cluster));
            estimates.unit.clone_from(&metric.unit);
        }
        let origin = Origin {
            directory: directory.to_owned(),
            kind: KIND.to_owned(),
            name: merged.plan.clone(),
            engine: merged.engine.clone(),
            version: merged.version.clone(),
            trace_hash: merged.trace_hash.clone(),
            seed: None,
            points: Some(merged.points),
        };
        Ok(Self { origin, metrics, messages: 0 })
    }

    /// Whether the two can be compared at all.
    pub(super) fn comparable(&self, other: &Self) -> Result<(), Failure> {
        let (a, b) = (&self.origin, &other.origin);
        let refused = |why: String| {
            let (a, b) = (a.directory.display(), b.directory.display());
            Err(Failure::usage(format_args!("{a} and {b} can't be compared: {why}")))
        };
        if a.kind != b.kind {
            return refused(format!("the first is a {}, the second a {}", a.kind, b.kind));
        }
        for (key, of_a) in &self.metrics {
            let other = other.metrics.get(key).filter(|of_b| of_b.unit != of_a.unit);
            if let Some(of_b) = other {
                let unit = |unit: &Option<String>| unit.clone().unwrap_or_else(|| "a share".to_owned());
                return refused(format!("{key} is in {} and in {}", unit(&of_a.unit), unit(&of_b.unit)));
            }
        }
        Ok(())
    }
}

fn whole(values: &Values, row: usize) -> Option<u64> {
    match values {
        Values::U64(values) => values.get(row).copied().flatten(),
        _ => None,
    }
}

/// Messages of two runs with the same seed, one by one: how much longer each takes in the second, by policy. Nothing where the
/// runs did not send the same messages.
pub(super) fn paired_latencies(a: &Loaded, b: &Loaded) -> Result<BTreeMap<String, Difference>, Failure> {
    let mut differences = BTreeMap::new();
    let comparable = a.origin.seed.is_some()
        && a.origin.seed == b.origin.seed
        && a.origin.name == b.origin.name
        && a.messages.max(b.messages) <= MOST_MESSAGES;
    if !comparable {
        return Ok(differences);
    }
    let (of_a, of_b) = (latencies(&a.origin.directory)?, latencies(&b.origin.directory)?);
    for (policy, of_a) in of_a {
        let Some(of_b) = of_b.get(&policy).filter(|of_b| of_b.keys().eq(of_a.keys())) else { continue };
        let longer: Vec<f64> = of_a.values().zip(of_b.values()).map(|(a, b)| b - a).collect();
        let Ok(median) = stats::median_interval(&longer) else { continue };
        // A sign test: as many longer as shorter ones if there is no difference.
        let (up, down) = (
            longer.iter().filter(|x| **x > 0.0).count() as f64,
            longer.iter().filter(|x| **x < 0.0).count() as f64,
        );
        let p_value = if up + down > 0.0 { stats::check(up, up + down, 0.5, 1.0).p_value } else { 1.0 };
        differences.insert(
            policy,
            Difference {
                difference: median.estimate,
                interval: Some(median.interval),
                pairs: Some(median.n),
                p_value: Some(p_value),
            },
        );
    }
    Ok(differences)
}

/// A message: conversation, direction, number.
type Message = (u64, u64, u64);

/// Milliseconds from sending to receiving, by policy and message.
fn latencies(directory: &Path) -> Result<BTreeMap<String, BTreeMap<Message, f64>>, Failure> {
    let table =
        table_of_parquet(&directory.join("deliveries.parquet"), "deliveries").map_err(Failure::usage)?;
    let column = |name: &str| table.columns().iter().find(|column| column.name == name).map(|c| &c.values);
    let columns = ["conversation", "from_inviter", "number", "sent_ns", "received_ns"].map(column);
    let (
        Some(Values::Text(policies)),
        [Some(conversation), Some(from), Some(number), Some(sent), Some(received)],
    ) = (column("policy"), columns)
    else {
        let line = format!("{}: deliveries.parquet lacks a column", directory.display());
        return Err(Failure::new(Exit::Usage, line));
    };
    let mut latencies: BTreeMap<String, BTreeMap<Message, f64>> = BTreeMap::new();
    for (row, policy) in policies.iter().enumerate() {
        let cell = |values: &Values| whole(values, row).unwrap_or_default();
        let message = (cell(conversation), cell(from), cell(number));
        let took = cell(received).saturating_sub(cell(sent)) as f64 / 1e6;
        latencies.entry(policy.clone().unwrap_or_default()).or_default().insert(message, took);
    }
    Ok(latencies)
}
