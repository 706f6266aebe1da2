//! What a router counts for its operator: how much of what, of nobody in particular.

use std::collections::BTreeMap;

use super::Router;
use crate::observe::Kind;
use crate::smp::error::SmpError;
use crate::smp::response::Response;

/// Counts since the router started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Sessions that clients opened.
    pub accepted: u64,
    /// Sessions that this router opened with relays, as a proxy.
    pub dialed: u64,
    /// Relays that could not be reached.
    pub dial_failures: u64,
    /// Clients that were closed because too much waited to be written, most of it to them.
    pub shed: u64,
    /// Blocks that came, handshakes included.
    pub blocks_in: u64,
    /// Blocks that were handed over to be written.
    pub blocks_out: u64,
    /// Transmissions of clients that parse, by kind, whether or not they were authorized.
    pub commands: BTreeMap<Kind, u64>,
    /// The commands inside those that proxies forwarded, by kind.
    pub forwarded: BTreeMap<Kind, u64>,
    /// Answers and events sent to clients, by kind; deliveries are [`Kind::Msg`] and [`Kind::Nmsg`].
    pub responses: BTreeMap<Kind, u64>,
    /// Errors sent to clients, forwarded answers included, by their tag.
    pub errors: BTreeMap<&'static str, u64>,
}

impl Statistics {
    pub(super) fn command(&mut self, kind: Kind) {
        *self.commands.entry(kind).or_default() += 1;
    }

    pub(super) fn forwarded_command(&mut self, kind: Kind) {
        *self.forwarded.entry(kind).or_default() += 1;
    }

    pub(super) fn response(&mut self, response: &Response) {
        *self.responses.entry(response.kind()).or_default() += 1;
        self.error_in(response);
    }

    /// Counts the error if the response is one.
    pub(super) fn error_in(&mut self, response: &Response) {
        if let Response::Err(error) = response {
            *self.errors.entry(tag(error)).or_default() += 1;
        }
    }
}

/// An error without its parameters.
fn tag(error: &SmpError) -> &'static str {
    match error {
        SmpError::Block => "BLOCK",
        SmpError::Session => "SESSION",
        SmpError::Command(_) => "CMD",
        SmpError::Proxy(_) => "PROXY",
        SmpError::Auth => "AUTH",
        SmpError::Blocked(_) => "BLOCKED",
        SmpError::Service => "SERVICE",
        SmpError::Crypto => "CRYPTO",
        SmpError::Quota => "QUOTA",
        SmpError::Store(_) => "STORE",
        SmpError::Expired => "EXPIRED",
        SmpError::NoMsg => "NO_MSG",
        SmpError::LargeMsg => "LARGE_MSG",
        SmpError::Internal => "INTERNAL",
        SmpError::Name(_) => "NAME",
    }
}

/// What is there at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// Sessions of clients.
    pub sessions: usize,
    /// Sessions with relays, those that are being opened included.
    pub relays: usize,
    /// Queues that a session is subscribed to.
    pub subscriptions: usize,
    /// Notifiers that a session is subscribed to.
    pub notifier_subscriptions: usize,
    /// Queues.
    pub queues: usize,
    /// Messages that wait in all queues.
    pub messages: usize,
    /// Blocks that wait to be written to clients.
    pub blocks: usize,
}

impl Router {
    /// The counts so far.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// What the router holds now. Looks at every queue.
    pub fn holdings(&self) -> Holdings {
        Holdings {
            sessions: self.sessions.len(),
            relays: self.relays.len(),
            subscriptions: self.subscribers.len(),
            notifier_subscriptions: self.notifiers.len(),
            queues: self.store.len(),
            messages: self.store.waiting(),
            blocks: self.queued,
        }
    }
}
