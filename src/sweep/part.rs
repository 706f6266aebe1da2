//! What a point leaves: one Parquet file of its metrics, with where it belongs in the file's metadata.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sxlab_analysis::results::{ResultsError, Summary, Table, note_of_parquet, table_of_parquet};
use sxlab_simnet::sweep::{Resolved, SweepPlan};

use super::directory::Identity;
use crate::run::hex;

/// Raised when parts or merged results change their meaning.
pub(crate) const SCHEMA: u32 = 1;

/// The note of a part's metadata.
const NOTE: &str = "sxlab.point";

/// A point's result, without its metrics. Nothing in it depends on when, where or beside what the point was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// What it is a part of.
    pub(crate) sweep: Identity,
    pub(crate) point: u64,
    pub(crate) hash: String,
    /// Names and values of the plan's parameters.
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) network: Option<u64>,
    pub(crate) seed: u64,
    pub(crate) scenario: String,
    pub(crate) scenario_hash: String,
    pub(crate) engine: String,
    pub(crate) trace_hash: String,
    pub(crate) simulated_seconds: f64,
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Part {
    /// The part of a point that was run.
    pub(super) fn new(sweep: &Identity, plan: &SweepPlan, resolved: &Resolved, summary: &Summary) -> Self {
        let names = plan.parameters.iter().cloned();
        Self {
            sweep: sweep.clone(),
            point: resolved.point.number,
            hash: hex(&resolved.hash),
            parameters: names.zip(resolved.point.parameters.iter().cloned()).collect(),
            network: resolved.point.network,
            seed: resolved.point.seed,
            scenario: summary.scenario.clone(),
            scenario_hash: summary.scenario_hash.clone(),
            engine: summary.engine.clone(),
            trace_hash: summary.trace_hash.clone(),
            simulated_seconds: summary.simulated_seconds,
            counts: summary.counts.clone(),
        }
    }

    /// Writes it into the directory: under a hidden name first, which it loses when everything is on the disk.
    pub(super) fn write(&self, directory: &Path, summary: &Summary) -> Result<(), ResultsError> {
        let note = serde_json::to_string(self)?;
        let content = summary.metrics_table()?.to_parquet_with(&[(NOTE, &note)])?;
        write_whole(directory, &file_name(self.point), &content)
    }

    /// Reads it, without its metrics.
    pub(crate) fn read(path: &Path) -> Result<Self, ResultsError> {
        let note = note_of_parquet(path, NOTE)?;
        serde_json::from_str(&note).map_err(|error| ResultsError::Unreadable {
            path: path.to_owned(),
            problem: format!("not a point of this version of sxlab: {error}"),
        })
    }

    /// Reads its metrics.
    pub(crate) fn metrics(path: &Path) -> Result<Table, ResultsError> {
        table_of_parquet(path, "metrics")
    }
}

/// The name of a point's file.
pub(crate) fn file_name(point: u64) -> String {
    format!("point-{point:07}.parquet")
}

/// The point of a file of that name.
pub(crate) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("point-")?.strip_suffix(".parquet")?;
    digits.parse().ok().filter(|&number| file_name(number) == name)
}

/// The beginning of the hidden names that a file has while it is written.
pub(super) fn unfinished(name: &str) -> String {
    format!(".{name}.partial-")
}

/// A file that is there completely or not at all.
pub(super) fn write_whole(directory: &Path, name: &str, content: &[u8]) -> Result<(), ResultsError> {
    let failed = |path: &Path, source| ResultsError::File { path: path.to_owned(), source };
    let hidden: PathBuf = directory.join(format!("{}{}", unfinished(name), std::process::id()));
    let written = fs::File::create(&hidden).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let target = directory.join(name);
    let renamed = written
        .map_err(|error| failed(&hidden, error))
        .and_then(|()| fs::rename(&hidden, &target).map_err(|error| failed(&target, error)));
    if renamed.is_err() {
        // Best effort: an error here would hide the one that led here.
        let _ = fs::remove_file(&hidden);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        assert_eq!(number(&file_name(7)), Some(7));
        assert_eq!(number(&file_name(12_345_678)), Some(12_345_678));
        for other in
            ["point-7.parquet", "point-0000007.csv", ".point-0000007.parquet.partial-1", "summary.json"]
        {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
