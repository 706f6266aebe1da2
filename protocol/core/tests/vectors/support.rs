//! Finds the recorded vectors and reads them.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde_json::Value;

/// The directory with `deployed-7.0.0-beta.2.json` and `transcripts/`.
pub(crate) fn directory() -> Option<PathBuf> {
    let directory = match std::env::var_os("SXLAB_VECTORS") {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
    };
    if directory.is_dir() {
        return Some(directory);
    }
    println!("skipped: no vectors ({} is no directory)", directory.display());
    None
}

/// A JSON file of the directory.
pub(crate) fn json(path: &str) -> Option<Value> {
    let text = std::fs::read_to_string(directory()?.join(path)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// The encodings printed by the deployed implementation.
pub(crate) fn deployed() -> Option<Value> {
    json("deployed-7.0.0-beta.2.json")
}

/// The bytes of hex text.
pub(crate) fn hex(text: &Value) -> Vec<u8> {
    hex::decode(text.as_str().unwrap()).unwrap()
}

/// The bytes of hex text of a known length.
pub(crate) fn array<const N: usize>(text: &Value) -> [u8; N] {
    hex(text).try_into().unwrap()
}

/// For each version from 6 to 20, the bytes that stand for it in an `encodings` list.
pub(crate) fn by_version(entry: &Value) -> Vec<(u16, Vec<u8>)> {
    at_versions(entry, 6..=20)
}

/// The same for other versions.
pub(crate) fn at_versions(entry: &Value, versions: RangeInclusive<u16>) -> Vec<(u16, Vec<u8>)> {
    let encodings = entry["encodings"].as_array().unwrap();
    versions
        .map(|version| {
            let current = encodings
                .iter()
                .rev()
                .find(|e| e["from_version"].as_u64().unwrap() <= u64::from(version))
                .unwrap();
            (version, hex(&current["hex"]))
        })
        .collect()
}
