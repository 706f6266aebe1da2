//! Errands: what a small client does from its first command to its last, whoever carries its commands.
//!
//! | module | errand |
//! |---|---|
//! | `ping` | asks for a PONG |
//! | `receive` | makes a queue and shows what arrives there |
//! | `resolve` | asks what a name stands for |
//! | `send` | secures a queue and sends, directly or through a proxy |
//!
//! Contract: call [`Errand::next`]. For [`Step::Ask`] make the request and give its answer to [`Errand::answer`], and
//! meanwhile events to [`Errand::event`] as soon as the answer is taken; for [`Step::Wait`] give the next event. After
//! each call drain [`Errand::told`]. After an error the errand is over.

mod ping;
mod receive;
mod resolve;
mod send;

pub use ping::Ping;
pub use receive::Receive;
pub use resolve::Resolve;
pub use send::{Forwarding, Send};

use thiserror::Error;

use super::command::Command;
use super::error::SmpError;
use super::forward::{ForwardError, Relay};
use super::response::Response;
use crate::crypto::CryptoError;
use crate::crypto::keys::AuthSecretKey;
use crate::wire::{EntityId, QueueAddress};

/// Why an errand was not done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ErrandError {
    /// The router answered with an error.
    #[error("the router answered ERR {0}")]
    Refused(SmpError),
    /// An answer that does not fit its request.
    #[error("an answer that does not fit")]
    Unexpected,
    /// The subscription was taken over, or the queue deleted.
    #[error("the subscription ended")]
    Ended,
    /// The relay that the proxy shows can't be used.
    #[error(transparent)]
    Relay(#[from] ForwardError),
    /// What is to be sent can't be.
    #[error("a message does not fit: {0}")]
    Message(#[from] CryptoError),
    /// A router of this version does not resolve names.
    #[error("the router speaks version {0}, which has no names")]
    NoNames(u16),
    /// A router of this version has no queues that a sender secures.
    #[error("the queue's router speaks version {0}, where senders do not secure queues")]
    Version(u16),
}

/// A request to make.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The relay that the session's router, as a proxy, is to forward the command to.
    pub relay: Option<Relay>,
    /// The entity that the command is for.
    pub entity: EntityId,
    /// The command.
    pub command: Command,
    /// The key that authorizes it.
    pub key: Option<AuthSecretKey>,
}

/// What comes next.
#[derive(Clone, Debug)]
pub enum Step {
    /// A request.
    Ask(Box<Ask>),
    /// Nothing until the router says something.
    Wait,
    /// The errand is done.
    Done,
}

/// What an errand has to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The router answers.
    Pong,
    /// The address of the queue that was made.
    Address(Box<QueueAddress>),
    /// A message.
    Message(Vec<u8>),
    /// An address to contact whoever has a name.
    Contact(String),
    /// The queue was full, and the sender could send no more.
    Full,
    /// A message came that can't be read.
    Unreadable(CryptoError),
}

/// An errand.
pub trait Errand {
    /// The next step. `version` is that of the session.
    ///
    /// # Errors
    /// [`ErrandError`].
    fn next(&mut self, version: u16) -> Result<Step, ErrandError>;

    /// Takes the answer to the last request; `unix_seconds` is the time.
    ///
    /// # Errors
    /// [`ErrandError`].
    fn answer(&mut self, answer: Response, unix_seconds: u64) -> Result<(), ErrandError>;

    /// Takes an event.
    ///
    /// # Errors
    /// [`ErrandError`].
    fn event(&mut self, entity: &EntityId, event: Response) -> Result<(), ErrandError>;

    /// What there is to show, in order.
    fn told(&mut self) -> Option<Told>;
}

/// The answer, unless it is an error.
fn accepted(answer: Response) -> Result<Response, ErrandError> {
    match answer {
        Response::Err(error) => Err(ErrandError::Refused(error)),
        answer => Ok(answer),
    }
}
