//! The result directory: `summary.json`, tables, and how they get onto the disk all at once or not at all.
//!
//! - [`Summary`] and [`Metric`]: the types of `summary.json`.
//! - [`Table`]: named columns, written as CSV and as Parquet.
//! - [`OutputDir`]: a directory that appears under its name only when it is complete.

mod directory;
mod metrics;
mod reading;
mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use directory::OutputDir;
pub use reading::{note_of_parquet, table_of_parquet};
pub use table::{Column, Table, Values};

use crate::stats::{Check, Interval, Verdict};

/// The number of [`Summary::schema`] written by this version: raised when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// Why results could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The file system refused.
    #[error("{path}: {source}")]
    File {
        /// The file or directory in question.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The name of the result directory is taken by something that is not a result directory.
    #[error("{0} exists and is not a result directory: choose another name")]
    Occupied(std::path::PathBuf),
    /// A file name that would lead out of the result directory.
    #[error("{0:?} is not a plain relative file name")]
    FileName(String),
    /// A table whose columns do not fit together.
    #[error("table {table}: {problem}")]
    Table {
        /// Its name.
        table: String,
        /// What is wrong.
        problem: String,
    },
    /// A number that JSON cannot hold.
    #[error("metric {name} of {group} is not a finite number")]
    NotFinite {
        /// [`Metric::name`].
        name: String,
        /// [`Metric::group`].
        group: String,
    },
    /// JSON that is not a summary.
    #[error("summary.json: {0}")]
    Json(#[from] serde_json::Error),
    /// A Parquet file that is none of ours, or was damaged.
    #[error("{path}: {problem}")]
    Unreadable {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The Parquet writer refused.
    #[error("parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

/// What `summary.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// Hash of the scenario as it was run, hexadecimal.
    pub scenario_hash: String,
    /// The one seed of the run.
    pub seed: u64,
    /// `turmoil`, `events`, `real`, or `none` where nothing was simulated.
    pub engine: String,
    /// Version of this testbed.
    pub version: String,
    /// Hash over the canonical event log, hexadecimal.
    pub trace_hash: String,
    /// Simulated time, seconds.
    pub simulated_seconds: f64,
    /// Time it took, seconds. The only field that differs between equal runs.
    pub wall_seconds: f64,
    /// Things counted, such as messages sent and received.
    pub counts: BTreeMap<String, u64>,
    /// Things estimated.
    pub metrics: Vec<Metric>,
    /// The command that repeats the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
}

/// One estimate. A metric without observations is left out rather than given a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// What is measured, such as `both_ends_seen`.
    pub name: String,
    /// The variant it belongs to, such as `different-operator/simplex+flux`.
    pub group: String,
    /// The estimate.
    pub estimate: f64,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    pub high: Option<f64>,
    /// Observations.
    pub n: u64,
    /// What the closed form or the enumeration says, where there is one.
    pub expected: Option<f64>,
    /// Whether the estimate agrees with [`Metric::expected`].
    pub verdict: Option<Verdict>,
    /// The largest deviation that counts as agreement, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// The smallest deviation that this run would have found with probability 80 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detectable: Option<f64>,
    /// How many independent observations `n` is worth, where that is not `n`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_n: Option<f64>,
    /// `s`, `ms`, `bytes`…; none for shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl Metric {
    /// An estimate without anything to compare it with.
    pub fn plain(name: &str, group: &str, estimate: f64, interval: Option<Interval>, n: u64) -> Self {
        Metric {
            name: name.into(),
            group: group.into(),
            estimate,
            low: interval.map(|i| i.low),
            high: interval.map(|i| i.high),
            n,
            expected: None,
            verdict: None,
            margin: None,
            detectable: None,
            effective_n: None,
            unit: None,
        }
    }

    /// An estimate that was compared with an expected value; `n` observations, however many they were worth.
    pub fn checked(name: &str, group: &str, check: &Check, n: u64) -> Self {
        Metric {
            expected: Some(check.expected),
            verdict: Some(check.verdict),
            margin: Some(check.margin),
            detectable: Some(check.detectable),
            ..Metric::plain(name, group, check.estimate, Some(check.interval), n)
        }
    }

    /// The interval, if the metric has one.
    pub fn interval(&self) -> Option<Interval> {
        Some(Interval { low: self.low?, high: self.high? })
    }

    fn is_finite(&self) -> bool {
        let optional = [self.low, self.high, self.expected, self.margin, self.detectable, self.effective_n];
        self.estimate.is_finite() && optional.iter().flatten().all(|x| x.is_finite())
    }
}

impl Summary {
    /// The text of `summary.json`: indented, one final newline, fields in the order of the type.
    ///
    /// # Errors
    /// [`ResultsError::NotFinite`] for a metric that JSON would turn into `null`.
    pub fn to_json(&self) -> Result<String, ResultsError> {
        if let Some(bad) = self.metrics.iter().find(|m| !m.is_finite()) {
            return Err(ResultsError::NotFinite { name: bad.name.clone(), group: bad.group.clone() });
        }
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads `summary.json`. Unknown fields are ignored: a later version may have written them.
    ///
    /// # Errors
    /// [`ResultsError::Json`].
    pub fn from_json(text: &str) -> Result<Self, ResultsError> {
        Ok(serde_json::from_str(text)?)
    }

    /// The metrics as a table, one row each.
    ///
    /// # Errors
    /// None in practice: the columns are made here. [`ResultsError::Table`] by type.
    pub fn metrics_table(&self) -> Result<Table, ResultsError> {
        Metric::table(&self.metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats;

    fn summary() -> Summary {
        Summary {
            schema: SCHEMA,
            scenario: "two-operators".into(),
            scenario_hash: "aa".into(),
            seed: u64::MAX,
            engine: "turmoil".into(),
            version: "0.1.0".into(),
            trace_hash: "bb".into(),
            simulated_seconds: 60.0,
            wall_seconds: 1.5,
            counts: [("messages_sent".into(), 1000)].into(),
            metrics: vec![
                Metric::checked("both_ends_seen", "single/a", &stats::check(48.0, 100.0, 0.5, 0.1), 100),
                Metric::plain("latency", "single", 0.04, None, 7),
            ],
            replay: None,
        }
    }

    #[test]
    fn a_summary_reads_back() {
        let text = summary().to_json().unwrap();
        assert_eq!(Summary::from_json(&text).unwrap(), summary());
        assert!(text.ends_with("}\n"));
    }

    #[test]
    fn the_fields_of_the_design_are_all_there() {
        let value: serde_json::Value = serde_json::from_str(&summary().to_json().unwrap()).unwrap();
        for field in [
            "schema",
            "scenario",
            "scenario_hash",
            "seed",
            "engine",
            "version",
            "trace_hash",
            "simulated_seconds",
            "wall_seconds",
            "counts",
            "metrics",
        ] {
            assert!(value.get(field).is_some(), "{field}");
        }
        for metric in value["metrics"].as_array().unwrap() {
            for field in ["name", "group", "estimate", "low", "high", "n", "expected", "verdict"] {
                assert!(metric.get(field).is_some(), "{field}");
            }
        }
        assert_eq!(value["metrics"][0]["verdict"], "undecided");
        assert_eq!(value["metrics"][1]["expected"], serde_json::Value::Null);
    }

    #[test]
    fn numbers_that_json_cannot_hold_are_refused() {
        let mut bad = summary();
        bad.metrics[1].high = Some(f64::INFINITY);
        assert!(matches!(bad.to_json(), Err(ResultsError::NotFinite { .. })));
    }

    #[test]
    fn metrics_make_a_table() {
        let csv = summary().metrics_table().unwrap().to_csv();
        let mut lines = csv.lines();
        assert_eq!(
            lines.next().unwrap(),
            "name,group,estimate,low,high,n,expected,verdict,margin,detectable,effective_n,unit"
        );
        assert!(lines.next().unwrap().starts_with("both_ends_seen,single/a,0.48,"));
        assert_eq!(lines.next().unwrap(), "latency,single,0.04,,,7,,,,,,");
        assert_eq!(lines.next(), None);
    }
}
