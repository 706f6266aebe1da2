//! Names that a router may resolve, and what they stand for (NM-1 to NM-3, NM-7, NM-8).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::{Reader, WireError};

/// A full domain name in lower case: at least two labels of ASCII letters, digits and single inner
/// hyphens, at most 63 bytes each and 253 in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Checks and folds a name.
    ///
    /// # Errors
    /// [`WireError::BadText`].
    pub fn parse(text: &str) -> Result<Self, WireError> {
        if text.len() > 253 || !text.contains('.') || !text.split('.').all(is_label) {
            return Err(WireError::BadText);
        }
        Ok(Name(text.to_ascii_lowercase()))
    }

    /// The name up to white space or the end; what follows is ignored (D40).
    ///
    /// # Errors
    /// [`WireError::BadText`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let rest = r.rest();
        let len = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        let name = rest.get(..len).unwrap_or(rest);
        Name::parse(std::str::from_utf8(name).map_err(|_| WireError::BadText)?)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// What a name stands for: the JSON object of RNAME, its fields in the order in which they are written (NM-7). Nothing in
/// it is checked but its form (D41); fields of newer versions are ignored, and lost when it is written again (NM-8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NameRecord {
    /// The name.
    pub name: String,
    /// How whoever has it calls themselves.
    pub nickname: String,
    /// A website; empty without one.
    pub website: String,
    /// A place; empty without one.
    pub location: String,
    /// Addresses to contact them at.
    pub simplex_contact: Vec<String>,
    /// Addresses of their channels.
    pub simplex_channel: Vec<String>,
    /// An Ethereum address.
    #[serde(default)]
    pub eth: Option<String>,
    /// A Bitcoin address.
    #[serde(default)]
    pub btc: Option<String>,
    /// A Monero address.
    #[serde(default)]
    pub xmr: Option<String>,
    /// A Polkadot address.
    #[serde(default)]
    pub dot: Option<String>,
    /// Who owns the name.
    pub owner: String,
    /// What resolves it.
    pub resolver: String,
}

impl NameRecord {
    /// Reads the JSON text.
    ///
    /// # Errors
    /// [`WireError::BadText`] if it is no record.
    pub fn parse(json: &[u8]) -> Result<Self, WireError> {
        serde_json::from_slice(json).map_err(|_| WireError::BadText)
    }

    /// The JSON text, without spaces.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Never fails: it has no maps and no numbers.
        serde_json::to_string(self).unwrap_or_default()
    }
}
