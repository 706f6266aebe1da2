//! What each vantage point saw, and the hash of all of it.
//!
//! An engine gives every router and every watched link a vantage point and appends to one [`Log`] what each of
//! them reports. An attack is handed a [`AdversaryView`]: the observations of the vantage points that the adversary
//! holds. Nothing here names a user, a conversation or any other truth; that is in [`crate::truth`].

mod canonical;
mod chunk;
mod columns;
mod intern;
mod json;
mod log;
mod reading;
mod spill;
#[cfg(test)]
mod tests;
mod writer;

use sha2::{Digest, Sha256};
use sxlab_protocol::observe::Sight;

pub(crate) use self::canonical::put_text;
pub use self::intern::Interner;
pub use self::log::{Difference, Log};
pub use self::reading::AdversaryView;
pub use self::spill::{Spill, SpillTo};
pub(crate) use self::writer::Writer;
use crate::network::{Place, RouterIdx};

/// A vantage point's position in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VantageId(pub u32);

/// A place from which something is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vantage {
    /// The router's name, or `europe|flux-1` for a link.
    pub name: String,
    /// What it is.
    pub kind: VantageKind,
}

/// What a vantage point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VantageKind {
    /// A router: sees what it handles.
    Router(RouterIdx),
    /// The link between two hosts: sees addresses and sizes.
    Link(Place, Place),
}

/// What somebody on a network link sees of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSight {
    /// Address and port of the host that the bytes come from.
    pub from: String,
    /// Address and port of the host that they go to.
    pub to: String,
    /// How many bytes, TLS and all.
    pub bytes: u32,
}

/// What was seen: by a router or on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// By a router.
    Router(Sight),
    /// On a link.
    Link(LinkSight),
}

impl From<Sight> for Sighting {
    fn from(sight: Sight) -> Self {
        Self::Router(sight)
    }
}

impl From<LinkSight> for Sighting {
    fn from(sight: LinkSight) -> Self {
        Self::Link(sight)
    }
}

/// One thing seen from one vantage point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Simulated time, in nanoseconds from the beginning of the run.
    pub at_ns: u64,
    /// Where from.
    pub vantage: VantageId,
    /// What.
    pub sight: Sighting,
}

/// SHA-256 over a run's canonical events. Shown in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceHash(pub [u8; 32]);

impl TraceHash {
    /// One hash for several parts, such as the policies of a run, by their names and in this order.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let mut bytes = Vec::new();
        for (name, hash) in parts {
            put_text(&mut bytes, name.as_bytes());
            bytes.extend_from_slice(&hash.0);
        }
        Self(Sha256::digest(&bytes).into())
    }
}

impl std::fmt::Display for TraceHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a log can't hold or give an observation.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Numbers of the log's columns are used up.
    #[error("the observation log is full: it can hold 4 GiB of names, and 4 million vantage points")]
    Full,
    /// The file of a log can't be written or read.
    #[error("the observation log {path}: {what}")]
    File {
        /// The file, which may have no name any more.
        path: std::path::PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Some of it is in a file that isn't complete.
    #[error("the observation log is read before it is finished")]
    Unfinished,
}
