//! Recorded flows, replayed on any target: a flow's client steps are sent again, and what comes back is compared.
//!
//! | module | what it does |
//! |---|---|
//! | [`recording`] | reads recordings |
//! | [`rules`] | says what is compared, as data |
//! | [`matrix`] | flows at versions of which only the differences were recorded |
//! | `names` | puts our random values in the place of the recorded ones, and back |
//! | `wires` | connections and their blocks |
//! | `sites` | the routers of a flow |
//! | `sending` | makes recorded transmissions again for our sessions |
//! | `comparing` | compares what comes back |
//! | `driving` | follows a flow's steps; `handshakes`, `forwarding` of commands by proxies, `services`, steps `unrecorded` in full |

pub(crate) mod comparing;
mod driving;
mod forwarding;
mod handshakes;
pub mod matrix;
mod names;
pub mod recording;
pub mod rules;
pub(crate) mod sending;
pub(crate) mod services;
mod sites;
mod unrecorded;
pub(crate) mod wires;

use std::fmt::{self, Debug};

use sxlab_protocol::crypto::CryptoError;
use sxlab_protocol::wire::WireError;
use thiserror::Error;

use self::driving::Replay;
pub use self::recording::{BadRecording, Flow};
use crate::target::Target;

/// How what came differs from what was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// A field has another value.
    #[error("{field} is {got}, {recorded} was recorded")]
    Field {
        /// The field.
        field: &'static str,
        /// What came.
        got: String,
        /// What was recorded.
        recorded: String,
    },
    /// Anything else.
    #[error("{0}")]
    Said(String),
    /// The step can't be replayed on this target: nothing is known about it.
    #[error("{0}")]
    Skipped(String),
}

impl Mismatch {
    fn said(text: impl Into<String>) -> Self {
        Mismatch::Said(text.into())
    }

    fn of(field: &'static str, got: impl Into<String>, recorded: impl Into<String>) -> Self {
        Mismatch::Field { field, got: got.into(), recorded: recorded.into() }
    }
}

impl From<&str> for Mismatch {
    fn from(text: &str) -> Self {
        Mismatch::said(text)
    }
}

impl From<WireError> for Mismatch {
    fn from(error: WireError) -> Self {
        Mismatch::said(format!("bytes that do not parse: {error}"))
    }
}

impl From<CryptoError> for Mismatch {
    fn from(error: CryptoError) -> Self {
        Mismatch::said(format!("ciphertext: {error}"))
    }
}

fn equal<T: PartialEq + Debug>(field: &'static str, got: T, recorded: T) -> Result<(), Mismatch> {
    if got == recorded {
        Ok(())
    } else {
        Err(Mismatch::of(field, format!("{got:?}"), format!("{recorded:?}")))
    }
}

/// A difference, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The step's number, from 0.
    pub step: usize,
    /// The step: its connection, direction and text.
    pub what: String,
    /// How it differs.
    pub mismatch: Mismatch,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} ({}): {}", self.step, self.what, self.mismatch)
    }
}

/// How a replay ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All that came back is as recorded.
    Equal,
    /// The differences, in order; those after the first are its consequences as a rule.
    Different(Vec<Difference>),
    /// The target can't do what the flow needs.
    Skipped(String),
}

/// Replays a flow at its own version.
#[must_use]
pub fn replay(flow: &Flow, target: &dyn Target, seed: u64) -> Outcome {
    replay_at(flow, flow.version, target, seed)
}

/// Replays a flow at another version, where what is recorded is expected in that version's encoding.
#[must_use]
pub fn replay_at(flow: &Flow, version: u16, target: &dyn Target, seed: u64) -> Outcome {
    match Replay::start(flow, version, target, seed) {
        Ok(replay) => replay.strictly(),
        Err(reason) => Outcome::Skipped(reason),
    }
}
