//! What happens when: a heap by time, and at equal times in the order in which things were put on it.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use sxlab_protocol::agent::Address;
use sxlab_protocol::smp::semantic::{Asked, Told};

use super::connections::{ConnectionNo, Way};
use crate::network::{RouterIdx, UserIdx};
use crate::population::ConversationId;

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A conversation begins.
    Invite(ConversationId),
    /// The invitation reaches who is invited.
    Join(ConversationId, Address),
    /// A user's agent waited for this time.
    UserTimer(UserIdx),
    /// A router waited for this time.
    RouterTimer(RouterIdx),
    /// Something arrives on a connection.
    Network(ConnectionNo, Arrival),
}

/// What arrives on a connection.
#[derive(Debug)]
pub(super) enum Arrival {
    /// At the router: the end of the TLS handshake.
    Accept,
    /// At a proxy that connects: the end of the TLS handshake.
    Dialed,
    /// At the client: the router's hello.
    Hello,
    /// At the client: there is no router.
    Refused,
    /// At the router: a block of commands.
    Asked(Vec<Asked>),
    /// At the client: a block of responses.
    Told(Vec<Told>),
    /// At the router: the client closed.
    ClosedByClient,
    /// At the client: the router closed.
    ClosedByRouter,
    /// Where something was sent from this way: the other end is gone.
    Reset(Way),
}

#[derive(Debug)]
struct Entry {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// What is to happen.
#[derive(Debug, Default)]
pub(super) struct Heap {
    entries: BinaryHeap<Entry>,
    order: u64,
}

impl Heap {
    pub(super) fn push(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.entries.push(Entry { at, order: self.order, event });
    }

    /// When the next thing happens.
    pub(super) fn next(&self) -> Option<u64> {
        self.entries.peek().map(|entry| entry.at)
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.entries.pop().map(|entry| entry.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_by_time_and_then_by_order() {
        let mut heap = Heap::default();
        for (at, user) in [(5, 0), (3, 1), (5, 2), (3, 3)] {
            heap.push(at, Event::UserTimer(UserIdx(user)));
        }
        let mut order = Vec::new();
        while let Some(Event::UserTimer(UserIdx(user))) = heap.pop() {
            order.push(user);
        }
        assert_eq!(order, [1, 3, 0, 2]);
    }
}
