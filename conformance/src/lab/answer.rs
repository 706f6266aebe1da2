//! What the target sent, and what a case expects of it.

use sxlab_protocol::smp::command::ServiceQueues;
use sxlab_protocol::smp::response::{NotifierIds, QueueIds, Response};
use sxlab_protocol::wire::{CorrId, EntityId, WireError};

use super::Failure;

/// A transmission that arrived.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it answers, for failures: a command's tag, or `an event`.
    pub asked: String,
    /// Its correlation id; none for events.
    pub corr: CorrId,
    /// Its entity.
    pub entity: EntityId,
    /// Its authorization; none is right.
    pub authorization: Vec<u8>,
    /// Its command's bytes.
    pub bytes: Vec<u8>,
    /// The response, where the bytes are one at the session's version.
    pub response: Result<Response, WireError>,
    /// Which block of the session brought it, hellos not counted, from 1.
    pub block: usize,
    /// Its place in the block's batch, from 0.
    pub index: usize,
    /// How many transmissions the block has.
    pub batch: usize,
    /// When, in nanoseconds since the epoch.
    pub at: u64,
}

impl Answer {
    /// In short: the tag, an error in full (`ERR AUTH`), anything unreadable as its bytes.
    pub fn text(&self) -> String {
        match &self.response {
            Ok(response) => text(response),
            Err(_) => {
                let shown: String = self.bytes.escape_ascii().to_string().chars().take(60).collect();
                format!("unreadable bytes `{shown}`")
            }
        }
    }

    /// The failure of an answer that should be something else.
    pub fn unexpected(&self, expected: &str) -> Failure {
        let found = self.text();
        let text = format!("{} is answered by {found}, expected {expected}", self.asked);
        let text = if self.corr.is_empty() && self.asked == EVENT {
            format!("the event {found} came, expected {expected}")
        } else {
            text
        };
        match found.as_str() {
            "ERR CMD UNKNOWN" => Failure::UnknownCommand(text),
            _ => Failure::Wrong(text),
        }
    }

    /// Expects this text, as [`Answer::text`] gives it.
    ///
    /// # Errors
    /// [`Failure`] for another one.
    pub fn is(&self, expected: &str) -> Result<(), Failure> {
        if self.text() == expected { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// Expects one of these texts.
    ///
    /// # Errors
    /// [`Failure`] for another one.
    pub fn is_one_of(&self, expected: &[&str]) -> Result<(), Failure> {
        let text = self.text();
        if expected.contains(&text.as_str()) { Ok(()) } else { Err(self.unexpected(&expected.join(" or "))) }
    }

    /// Expects `OK`.
    ///
    /// # Errors
    /// [`Failure`] for anything else.
    pub fn ok(&self) -> Result<(), Failure> {
        self.is("OK")
    }

    /// Expects these very bytes, after `ERR` and the like have been written out.
    ///
    /// # Errors
    /// [`Failure`] for others.
    pub fn is_bytes(&self, expected: &[u8]) -> Result<(), Failure> {
        if self.bytes == expected {
            Ok(())
        } else {
            Err(self.unexpected(&format!("the bytes `{}`", expected.escape_ascii())))
        }
    }

    /// The response.
    ///
    /// # Errors
    /// [`Failure`] where it does not parse.
    pub fn response(&self) -> Result<&Response, Failure> {
        self.response.as_ref().map_err(|_| self.unexpected("a response of this version"))
    }

    /// IDS.
    ///
    /// # Errors
    /// [`Failure`] for anything else.
    pub fn ids(&self) -> Result<&QueueIds, Failure> {
        match &self.response {
            Ok(Response::Ids(ids)) => Ok(ids),
            _ => Err(self.unexpected("IDS")),
        }
    }

    /// NID.
    ///
    /// # Errors
    /// [`Failure`] for anything else.
    pub fn nid(&self) -> Result<&NotifierIds, Failure> {
        match &self.response {
            Ok(Response::Nid(ids)) => Ok(ids),
            _ => Err(self.unexpected("NID")),
        }
    }

    /// SOKS or ENDS.
    ///
    /// # Errors
    /// [`Failure`] for anything else.
    pub fn service_queues(&self) -> Result<ServiceQueues, Failure> {
        match &self.response {
            Ok(Response::Soks(queues) | Response::Ends(queues)) => Ok(*queues),
            _ => Err(self.unexpected("SOKS or ENDS")),
        }
    }

    /// Expects this correlation id and this entity.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn addressed(&self, corr: &CorrId, entity: &EntityId) -> Result<(), Failure> {
        super::require_eq("the correlation id of the answer", &self.corr, corr)?;
        super::require_eq("the entity of the answer", &self.entity, entity)
    }
}

/// What an event answers.
pub(super) const EVENT: &str = "an event";

/// A response in short: its tag, an error in full.
pub fn text(response: &Response) -> String {
    match response {
        Response::Err(error) => format!("ERR {error}"),
        response => response.tag().to_owned(),
    }
}
