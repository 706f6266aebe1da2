//! The directory of a sweep: `sweep.json`, which says of which, and a file for each point that is finished. Shards may share one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::part::{self, Part, SCHEMA};
use crate::exit::{Exit, Failure};

/// The file that says of which sweep a directory is.
pub(crate) const IDENTITY: &str = "sweep.json";

/// What makes parts fit together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) schema: u32,
    pub(crate) version: String,
    pub(crate) plan: String,
    pub(crate) plan_hash: String,
    /// How many points the plan has.
    pub(crate) points: u64,
}

impl Identity {
    pub(super) fn new(plan: &str, plan_hash: &str, points: u64) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            plan: plan.to_owned(),
            plan_hash: plan_hash.to_owned(),
            points,
        }
    }

    /// In what the other one differs, if it does.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let short = |hash: &str| hash.chars().take(12).collect::<String>();
        if self.schema != other.schema {
            return Some(format!("schema {}, not {}", other.schema, self.schema));
        }
        if self.version != other.version {
            return Some(format!("version {} of sxlab, not {}", other.version, self.version));
        }
        if self.plan_hash != other.plan_hash {
            return Some(format!(
                "the plan {} (hash {}…), not {} (hash {}…)",
                other.plan,
                short(&other.plan_hash),
                self.plan,
                short(&self.plan_hash)
            ));
        }
        (self != other).then(|| "a plan of another name or length".to_owned())
    }
}

/// The directory of a sweep.
pub(crate) struct SweepDir(PathBuf);

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failures, format_args!("{}: {error}", path.display()))
}

impl SweepDir {
    /// Makes the directory, or takes up one of the same sweep.
    pub(super) fn open(path: &Path, identity: &Identity) -> Result<Self, Failure> {
        let file = path.join(IDENTITY);
        if file.is_file() {
            let text = fs::read_to_string(&file).map_err(|error| failed(&file, &error))?;
            let other: Identity = serde_json::from_str(&text)
                .map_err(|error| Failure::usage(format_args!("{}: {error}", file.display())))?;
            return match identity.difference(&other) {
                None => Ok(Self(path.to_owned())),
                Some(difference) => Err(Failure::usage(format_args!(
                    "{} has points of {difference}: choose another directory by --out",
                    path.display()
                ))),
            };
        }
        if path.exists() {
            let taken = || {
                format!("{} exists and is not the directory of a sweep: choose another name", path.display())
            };
            let mut entries = fs::read_dir(path).map_err(|_| Failure::usage(taken()))?;
            // Another shard may be about to write the file.
            let theirs = |name: &str| name == IDENTITY || name.starts_with(&part::unfinished(IDENTITY));
            if entries.any(|entry| !entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(theirs))) {
                return Err(Failure::usage(taken()));
            }
        }
        fs::create_dir_all(path).map_err(|error| failed(path, &error))?;
        let text =
            serde_json::to_string_pretty(identity).map_err(|error| Failure::new(Exit::Bug, error))? + "\n";
        part::write_whole(path, IDENTITY, text.as_bytes())
            .map_err(|error| Failure::new(Exit::Failures, error))?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The points that are finished. A file that is none of this sweep's, or damaged, is refused.
    pub(super) fn finished(&self, identity: &Identity) -> Result<BTreeSet<u64>, Failure> {
        let mut points = BTreeSet::new();
        for (number, path) in files(&self.0)? {
            let part = Part::read(&path)
                .map_err(|error| Failure::usage(format_args!("{error}; removed, the point is run again")))?;
            if let Some(difference) = identity.difference(&part.sweep) {
                return Err(Failure::usage(format_args!("{} is of {difference}", path.display())));
            }
            if part.point != number {
                return Err(Failure::usage(format_args!("{} is point {}", path.display(), part.point)));
            }
            points.insert(number);
        }
        Ok(points)
    }

    /// Removes what a process that was killed had begun to write of these points.
    pub(super) fn remove_unfinished(&self, points: impl Iterator<Item = u64>) {
        let begun: BTreeSet<String> = points.map(|point| part::unfinished(&part::file_name(point))).collect();
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let stem = name.to_str().and_then(|name| Some(name.split_at_checked(name.rfind('-')? + 1)?.0));
            if stem.is_some_and(|stem| begun.contains(stem)) {
                // What stays is hidden and never read.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The points' files of a directory, by number.
pub(crate) fn files(directory: &Path) -> Result<Vec<(u64, PathBuf)>, Failure> {
    let entries = fs::read_dir(directory)
        .map_err(|error| Failure::usage(format_args!("{}: {error}", directory.display())))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(directory, &error))?;
        if let Some(number) = entry.file_name().to_str().and_then(part::number) {
            files.push((number, entry.path()));
        }
    }
    files.sort();
    Ok(files)
}
