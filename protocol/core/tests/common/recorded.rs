//! What the deployed implementation was recorded to say.

use std::path::PathBuf;

use serde_json::Value;

/// The directory of the vectors. `None`, and a line that says so, without them.
pub fn directory() -> Option<PathBuf> {
    let directory = match std::env::var_os("SXLAB_VECTORS") {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
    };
    if !directory.is_dir() {
        println!("skipped: no vectors ({} is no directory)", directory.display());
        return None;
    }
    Some(directory)
}

/// A JSON file of the vectors, by its path inside their directory. `None`, and a line that says so, without them.
pub fn json(path: &str) -> Option<Value> {
    let directory = directory()?;
    let text = std::fs::read_to_string(directory.join(path)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// An SMP flow.
pub fn flow(scenario: &str, version: u16) -> Option<Value> {
    json(&format!("transcripts/smp/{scenario}-v{version:02}.json"))
}

/// A flow's steps.
pub fn steps(flow: &Value) -> impl Iterator<Item = &Value> {
    flow["steps"].as_array().unwrap().iter()
}

/// A text of a step; empty where the step has none.
pub fn text<'a>(step: &'a Value, field: &str) -> &'a str {
    step[field].as_str().unwrap_or_default()
}

/// The bytes of a hex text.
pub fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// What a connection received after its handshake, block by block: errors in full, of other responses the tag.
pub fn received(flow: &Value, connection: &str) -> Vec<Vec<String>> {
    let of_connection = |step: &&Value| {
        text(step, "conn") == connection
            && text(step, "dir") == "recv"
            && step["plain"].as_bool() != Some(true)
    };
    let steps: Vec<_> = steps(flow).filter(of_connection).collect();
    let blocks = steps.chunk_by(|a, b| a["block"] == b["block"]);
    blocks.map(|block| block.iter().map(|step| tag(text(step, "text"))).collect()).collect()
}

/// Errors in full, of other responses the tag.
pub fn tag(text: &str) -> String {
    if text.starts_with("ERR") {
        text.to_owned()
    } else {
        text.split(' ').next().unwrap_or_default().to_owned()
    }
}
