//! The tables of a merge: every metric of every point, the points themselves, and the metrics over networks and seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sxlab_analysis::pooled::{self, Pooled, RunOf};
use sxlab_analysis::results::{Column, Metric, Table, Values};
use sxlab_analysis::stats::Verdict;

use super::Merged;
use crate::exit::{Exit, Failure};
use crate::sweep::part::Part;

/// A point with its metrics.
pub(crate) struct Measured {
    pub(crate) part: Part,
    pub(crate) metrics: Vec<Metric>,
}

impl Measured {
    /// What the runs of one network, or else of one seed, have in common.
    pub(crate) fn cluster(&self) -> u64 {
        self.part.network.unwrap_or(self.part.seed)
    }
}

/// A metric over networks and seeds, for one combination of parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Aggregate {
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) estimate: f64,
    pub(crate) low: Option<f64>,
    pub(crate) high: Option<f64>,
    /// Points.
    pub(crate) runs: u64,
    /// Networks, or else seeds.
    pub(crate) clusters: u64,
    /// Observations of all points.
    pub(crate) n: u64,
    pub(crate) expected: Option<f64>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) margin: Option<f64>,
    pub(crate) unit: Option<String>,
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failures, error)
}

/// Reads the metrics of all points.
pub(super) fn read(found: &[(Part, PathBuf)]) -> Result<Vec<Measured>, Failure> {
    found
        .iter()
        .map(|(part, path)| {
            let metrics = Part::metrics(path).and_then(|table| Metric::of_table(&table)).map_err(failed)?;
            Ok(Measured { part: part.clone(), metrics })
        })
        .collect()
}

/// Every metric over the points of one combination of parameters, in the order of points.
pub(super) fn aggregate(points: &[Measured]) -> Vec<Aggregate> {
    let mut found: Vec<(Aggregate, Pooled)> = Vec::new();
    for combination in combinations(points) {
        for (name, group) in names(&combination) {
            let (runs, unit) = runs(&combination, &name, &group);
            let Some(pooled) = pooled::pool(&runs) else { continue };
            let parameters = combination.first().map(|point| point.part.parameters.iter().cloned().collect());
            let aggregate = Aggregate {
                parameters: parameters.unwrap_or_default(),
                name,
                group,
                estimate: pooled.estimate,
                low: pooled.interval.map(|interval| interval.low),
                high: pooled.interval.map(|interval| interval.high),
                runs: pooled.runs,
                clusters: pooled.clusters,
                n: pooled.n,
                expected: pooled.expected,
                verdict: None,
                margin: pooled.expected.and(pooled.margin),
                unit,
            };
            found.push((aggregate, pooled));
        }
    }
    pooled::adjust(found.iter_mut().map(|(_, pooled)| pooled));
    found.into_iter().map(|(aggregate, pooled)| Aggregate { verdict: pooled.verdict, ..aggregate }).collect()
}

/// Points with the same parameters.
fn combinations(points: &[Measured]) -> Vec<Vec<&Measured>> {
    let mut combinations: Vec<Vec<&Measured>> = Vec::new();
    for point in points {
        match combinations.last_mut() {
            // The points of a combination follow each other.
            Some(last)
                if last.first().is_some_and(|first| first.part.parameters == point.part.parameters) =>
            {
                last.push(point);
            }
            _ => combinations.push(vec![point]),
        }
    }
    combinations
}

/// Every metric that some point has, in the order in which they come.
fn names(points: &[&Measured]) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    let metrics = points.iter().flat_map(|point| &point.metrics);
    metrics
        .map(|metric| (metric.name.clone(), metric.group.clone()))
        .filter(|key| seen.insert(key.clone()))
        .collect()
}

fn runs(points: &[&Measured], name: &str, group: &str) -> (Vec<RunOf>, Option<String>) {
    let mut runs = Vec::new();
    let mut unit = None;
    for point in points {
        let metric = point.metrics.iter().find(|metric| metric.name == name && metric.group == group);
        if let Some(metric) = metric {
            runs.push(RunOf::new(metric, point.cluster()));
            unit.clone_from(&metric.unit);
        }
    }
    (runs, unit)
}

fn column(name: &str, values: Values) -> Column {
    Column { name: name.to_owned(), values }
}

/// A column for each parameter: whole numbers, numbers, or texts.
fn parameter_columns<'a>(names: impl Iterator<Item = &'a str>, rows: &[Vec<&'a str>]) -> Vec<Column> {
    let columns = names.enumerate().map(|(place, name)| {
        let texts: Vec<&str> = rows.iter().map(|row| row.get(place).copied().unwrap_or_default()).collect();
        let whole: Option<Vec<_>> = texts.iter().map(|text| text.parse().ok().map(Some)).collect();
        let number = |text: &&str| text.parse::<f64>().ok().filter(|x| x.is_finite()).map(Some);
        let numbers: Option<Vec<_>> = texts.iter().map(number).collect();
        let values = match (whole, numbers) {
            (Some(whole), _) => Values::U64(whole),
            (None, Some(numbers)) => Values::F64(numbers),
            (None, None) => Values::Text(texts.iter().map(|text| Some((*text).to_owned())).collect()),
        };
        column(name, values)
    });
    columns.collect()
}

/// The columns that say which point a row belongs to.
fn point_columns(parts: &[&Part]) -> Vec<Column> {
    let mut columns = vec![column("point", Values::U64(parts.iter().map(|part| Some(part.point)).collect()))];
    if let Some(first) = parts.first() {
        let names = first.parameters.iter().map(|(name, _)| name.as_str());
        let rows: Vec<Vec<&str>> = parts
            .iter()
            .map(|part| part.parameters.iter().map(|(_, value)| value.as_str()).collect())
            .collect();
        columns.extend(parameter_columns(names, &rows));
    }
    columns.push(column("network", Values::U64(parts.iter().map(|part| part.network).collect())));
    columns.push(column("seed", Values::U64(parts.iter().map(|part| Some(part.seed)).collect())));
    columns
}

/// Every metric of every point.
pub(super) fn results(points: &[Measured]) -> Result<Table, Failure> {
    let rows: Vec<(&Part, &Metric)> =
        points.iter().flat_map(|point| point.metrics.iter().map(|metric| (&point.part, metric))).collect();
    let mut columns = point_columns(&rows.iter().map(|(part, _)| *part).collect::<Vec<_>>());
    let metrics = Metric::table(rows.iter().map(|(_, metric)| *metric)).map_err(failed)?;
    columns.extend(metrics.columns().iter().cloned());
    Table::new("results", columns).map_err(failed)
}

/// Every point: what it was, its trace hash, what was counted.
pub(super) fn points(points: &[Measured]) -> Result<Table, Failure> {
    let parts: Vec<&Part> = points.iter().map(|point| &point.part).collect();
    let text =
        |of: fn(&Part) -> &str| Values::Text(parts.iter().map(|part| Some(of(part).to_owned())).collect());
    let mut columns = point_columns(&parts);
    columns.push(column("scenario_hash", text(|part| &part.scenario_hash)));
    columns.push(column("trace_hash", text(|part| &part.trace_hash)));
    let seconds = parts.iter().map(|part| Some(part.simulated_seconds)).collect();
    columns.push(column("simulated_seconds", Values::F64(seconds)));
    let counted: BTreeSet<&String> = parts.iter().flat_map(|part| part.counts.keys()).collect();
    for name in counted {
        let counts = parts.iter().map(|part| part.counts.get(name).copied()).collect();
        columns.push(column(&format!("count_{name}"), Values::U64(counts)));
    }
    Table::new("points", columns).map_err(failed)
}

/// The metrics over networks and seeds.
pub(super) fn aggregates(summary: &Merged) -> Result<Table, Failure> {
    let rows = &summary.metrics;
    let values: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| {
            let value = |name: &String| row.parameters.get(name).map_or("", String::as_str);
            summary.parameters.iter().map(value).collect()
        })
        .collect();
    let mut columns = parameter_columns(summary.parameters.iter().map(String::as_str), &values);
    let text = |of: &dyn Fn(&Aggregate) -> Option<String>| Values::Text(rows.iter().map(of).collect());
    let number = |of: fn(&Aggregate) -> Option<f64>| Values::F64(rows.iter().map(of).collect());
    let count = |of: fn(&Aggregate) -> u64| Values::U64(rows.iter().map(|row| Some(of(row))).collect());
    columns.extend([
        column("name", text(&|row| Some(row.name.clone()))),
        column("group", text(&|row| Some(row.group.clone()))),
        column("estimate", number(|row| Some(row.estimate))),
        column("low", number(|row| row.low)),
        column("high", number(|row| row.high)),
        column("runs", count(|row| row.runs)),
        column("clusters", count(|row| row.clusters)),
        column("n", count(|row| row.n)),
        column("expected", number(|row| row.expected)),
        column("verdict", text(&|row| row.verdict.map(|verdict| verdict.name().to_owned()))),
        column("margin", number(|row| row.margin)),
        column("unit", text(&|row| row.unit.clone())),
    ]);
    Table::new("aggregate", columns).map_err(failed)
}
