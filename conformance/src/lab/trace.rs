//! What a case exchanged with the target, for the report.

use serde::{Deserialize, Serialize};
use sxlab_protocol::crypto::hash::sha256;

/// Who wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The suite.
    Sent,
    /// The target.
    Received,
    /// Nobody: something that happened, such as a connection or the end of one.
    Note,
}

/// One thing that happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The connection, by number; its name in a case.
    pub line: String,
    /// Who wrote.
    pub direction: Direction,
    /// The time since the start of the case, in nanoseconds.
    pub at: u64,
    /// What it is, for people.
    pub text: String,
    /// The bytes: of a block its content, without padding and decrypted, where it could be opened.
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    pub bytes: Bytes,
}

/// Bytes in a report: as hexadecimal text, long ones cut, with the length and a digest of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// How many there were.
    pub length: usize,
    /// The first of them.
    pub hex: String,
    /// The first eight bytes of the SHA-256 of all, where `hex` has not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Bytes {
    /// Up to `most` of the bytes.
    pub fn new(bytes: &[u8], most: usize) -> Self {
        let shown = bytes.get(..most).unwrap_or(bytes);
        let digest = (shown.len() < bytes.len()).then(|| digest(bytes));
        Self { length: bytes.len(), hex: hex(shown), digest }
    }

    /// No bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The same with at most `most` bytes shown.
    pub fn cut(&mut self, most: usize) {
        if self.hex.len() <= 2 * most {
            return;
        }
        if self.digest.is_none() {
            self.digest = Some(digest(&unhex(&self.hex)));
        }
        self.hex.truncate(2 * most);
    }
}

fn digest(bytes: &[u8]) -> String {
    sha256(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Lower-case hexadecimal text.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of [`hex`].
fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    text.as_bytes().chunks(2).map(|pair| pair.iter().fold(0, |byte, c| byte << 4 | digit(*c))).collect()
}
