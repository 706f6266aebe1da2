//! Reading transcripts.

use std::collections::BTreeMap;

use serde_json::Value;
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::crypto::keys::{AuthSecretKey, Ed448Secret, Ed25519Secret, X25519Public, X25519Secret};

use crate::recorded::{bytes, text};

/// One recorded flow.
#[derive(Clone)]
pub struct Flow {
    pub version: u16,
    pub settings: Value,
    pub sessions: Value,
    pub names: BTreeMap<String, Vec<u8>>,
    pub keys: BTreeMap<String, AuthSecretKey>,
    pub steps: Vec<Value>,
    /// What was noted beside the steps.
    pub extra: Value,
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

/// The X25519 key in an entry's field, if the entry has it.
pub fn x25519(entry: &Value, field: &str) -> Option<X25519Secret> {
    entry[field].is_string().then(|| X25519Secret::from_bytes(array(&entry[field])))
}

/// The public X25519 key in an entry's field, if the entry has it.
pub fn x25519_public(entry: &Value, field: &str) -> Option<X25519Public> {
    entry[field].is_string().then(|| X25519Public::from_spki(&bytes(&entry[field])).unwrap())
}

impl Flow {
    pub fn new(json: &Value) -> Self {
        let key = |entry: &Value| -> Option<AuthSecretKey> {
            match text(entry, "alg") {
                "ed25519" => Some(Ed25519Secret::from_seed(array(&entry["private_raw"])).into()),
                "ed448" => Some(Ed448Secret::from_seed(array(&entry["private_raw"])).into()),
                "x25519" => Some(X25519Secret::from_bytes(array(&entry["private_raw"])).into()),
                _ => None,
            }
        };
        let entries = |field: &str| json[field].as_object().cloned().unwrap_or_default();
        Flow {
            version: u16::try_from(json["version"].as_u64().unwrap()).unwrap(),
            settings: json["server_settings"].clone(),
            sessions: json["sessions"].clone(),
            names: entries("names").iter().map(|(name, id)| (name.clone(), bytes(id))).collect(),
            keys: entries("keys").iter().filter_map(|(name, e)| Some((name.clone(), key(e)?))).collect(),
            extra: json["extra"].clone(),
            steps: json["steps"].as_array().unwrap().clone(),
        }
    }

    /// The X25519 secret key with this public key.
    pub fn secret_of(&self, public: &X25519Public) -> Option<&X25519Secret> {
        self.keys.values().find_map(|key| match key {
            AuthSecretKey::X25519(secret) if secret.public() == *public => Some(secret),
            _ => None,
        })
    }

    /// The steps of the same kind and connection that share a block with step `at`, which is the first of them.
    pub fn block(&self, at: usize) -> &[Value] {
        let first = &self.steps[at];
        let same = |step: &Value| {
            !first["block"].is_null()
                && ["block", "conn", "dir"].iter().all(|field| step[*field] == first[*field])
        };
        let rest = self.steps[at + 1..].iter().take_while(|step| same(step)).count();
        &self.steps[at..=at + rest]
    }
}

/// A number of a step; 0 where it has none.
pub fn number(step: &Value, field: &str) -> u64 {
    step[field].as_u64().unwrap_or_default()
}

/// The bytes of a step, and whether they are all.
pub fn content_of(step: &Value) -> Option<(Vec<u8>, bool)> {
    match (step["hex"].is_string(), step["hex_head"].is_string()) {
        (true, _) => Some((bytes(&step["hex"]), true)),
        (false, true) => Some((bytes(&step["hex_head"]), false)),
        _ => None,
    }
}

/// Whether `candidate` is what the step recorded in full or by its hash.
pub fn is_recorded(step: &Value, candidate: &[u8]) -> bool {
    match step["sha256"].as_str() {
        Some(hash) => hex::encode(sha256(candidate)) == hash,
        None => text(step, "hex") == hex::encode(candidate),
    }
}
