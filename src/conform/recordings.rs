//! Recordings in files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sxlab_conformance::replay::Flow;

use crate::exit::Failure;

/// What a flow at a version is called, in files and in what is printed.
pub(super) fn name(flow: &str, version: u16) -> String {
    format!("{flow}-v{version:02}")
}

/// The files that a path names: itself, or the JSON files of a directory but those that begin with `_`.
fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: std::io::Error| Failure::usage(error).of(path.display());
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('_'));
        if file.extension().is_some_and(|end| end == "json") && !hidden {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Failure::usage("there are no recordings in it").of(path.display()));
    }
    Ok(files)
}

/// The recording in a file.
fn read(file: &Path) -> Result<Flow, Failure> {
    let text = std::fs::read(file).map_err(|error| Failure::usage(error).of(file.display()))?;
    let json: Value = serde_json::from_slice(&text)
        .map_err(|error| Failure::usage(format_args!("line {}: {error}", error.line())).of(file.display()))?;
    Flow::read(&json).map_err(|error| Failure::usage(error).of(file.display()))
}

/// The recordings that paths name, by their files' names.
pub(super) fn load(paths: &[PathBuf]) -> Result<BTreeMap<String, Flow>, Failure> {
    let mut all = BTreeMap::new();
    for path in paths {
        for file in files(path)? {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            all.insert(name, read(&file)?);
        }
    }
    Ok(all)
}
