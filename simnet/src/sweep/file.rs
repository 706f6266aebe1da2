//! A plan as written: which keys there are and of which type. `docs/sweeps.md` says what they mean.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_spanned::Spanned;
use toml::Value;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: Spanned<String>,
    pub(super) scenario: Option<Spanned<String>>,
    pub(super) engine: Option<Spanned<String>>,
    pub(super) policies: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) seeds: Option<Spanned<Seeds>>,
    pub(super) networks: Option<Spanned<Networks>>,
    pub(super) adversary: Option<Spanned<Adversary>>,
    #[serde(default)]
    pub(super) set: BTreeMap<String, Spanned<Value>>,
    #[serde(default)]
    pub(super) parameter: Vec<Spanned<Parameter>>,
}

/// `seeds = [1, 2, 5]`, or `seeds = { from = 1, count = 20 }`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of seeds, or a table of from and count")]
pub(super) enum Seeds {
    List(Vec<u64>),
    Range(Range),
}

/// So many numbers from the first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    pub(super) from: u64,
    pub(super) count: u64,
}

/// `[networks]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Networks {
    pub(super) count: Spanned<u64>,
    pub(super) from: Option<u64>,
    #[serde(default)]
    pub(super) draw_shares: Option<Spanned<bool>>,
}

/// `[adversary]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Adversary {
    pub(super) operators: Option<Spanned<u32>>,
    pub(super) routers: Option<Spanned<u32>>,
    pub(super) routers_share: Option<Spanned<f64>>,
}

/// `[[parameter]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameter {
    pub(super) name: Option<Spanned<String>>,
    pub(super) key: Option<Spanned<String>>,
    pub(super) keys: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) values: Option<Spanned<Vec<Spanned<Value>>>>,
    pub(super) from: Option<Spanned<Value>>,
    pub(super) to: Option<Spanned<Value>>,
    pub(super) step: Option<Spanned<Value>>,
}
