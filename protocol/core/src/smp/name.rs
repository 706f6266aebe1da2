//! Names that a router may resolve (NM-1 to NM-3).

use std::fmt;

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
