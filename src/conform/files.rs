//! Results in files: whole, or not at all.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sxlab_conformance::report::{Report, SCHEMA};

use crate::exit::{Exit, Failure, Outcome};

/// Fails early for a file that could not be written after the run.
pub(super) fn can_be_written(path: &Path) -> Outcome {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    if path.is_dir() {
        return Err(Failure::usage("is a directory").of(path.display()));
    }
    match directory.is_dir() {
        true => Ok(()),
        false => Err(Failure::usage("its directory does not exist").of(path.display())),
    }
}

/// Writes beside the file and renames.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Outcome {
    let failed = |error: std::io::Error| Failure::usage(error).of(path.display());
    let name = path.file_name().ok_or_else(|| Failure::usage("is no file name").of(path.display()))?;
    let mut beside = name.to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside: PathBuf = path.with_file_name(beside);
    std::fs::write(&beside, bytes).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}

/// Writes a JSON document.
pub(super) fn write_json(path: &Path, document: &impl Serialize) -> Outcome {
    let text = serde_json::to_vec(document).map_err(|error| Failure::new(Exit::Bug, error))?;
    write(path, &text)
}

/// Reads the results of an earlier run.
pub(super) fn report(path: &Path) -> Result<Report, Failure> {
    let text = std::fs::read(path).map_err(|error| Failure::usage(error).of(path.display()))?;
    let report: Report = serde_json::from_slice(&text)
        .map_err(|error| Failure::usage(format_args!("line {}: {error}", error.line())).of(path.display()))?;
    match report.schema == SCHEMA {
        true => Ok(report),
        false => Err(Failure::usage(format_args!("schema: expected {SCHEMA}, found {}", report.schema))
            .of(path.display())),
    }
}
