//! Where recorded data is.

use std::path::PathBuf;

use serde_json::Value;
use sxlab_conformance::replay::Flow;

/// The directory of the vectors. `None`, and a line that says so, without them.
pub fn directory() -> Option<PathBuf> {
    let directory = match std::env::var_os("SXLAB_VECTORS") {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
    };
    if !directory.is_dir() {
        println!("skipped: no vectors ({} is no directory)", directory.display());
        return None;
    }
    Some(directory)
}

fn json(path: &str) -> Option<Value> {
    let text = std::fs::read_to_string(directory()?.join("transcripts/smp").join(path)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// All flows, by name.
pub fn flows() -> Option<Vec<(String, Flow)>> {
    let entries = std::fs::read_dir(directory()?.join("transcripts/smp")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let names = names.iter().filter_map(|name| name.strip_suffix(".json"));
    Some(
        names
            .filter(|name| !name.starts_with('_'))
            .map(|name| (name.to_owned(), flow(name).unwrap()))
            .collect(),
    )
}

/// A flow, by its name with its version.
pub fn flow(name: &str) -> Option<Flow> {
    Some(Flow::read(&json(&format!("{name}.json"))?).unwrap())
}

/// What is said of the versions of which only differences were recorded.
pub fn matrix() -> Option<Value> {
    json("_matrix-by-version.json")
}
