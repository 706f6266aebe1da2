//! What happens when: by time, and at equal times in the order in which things were put here.
//!
//! Nearly everything is a block that takes one of a few latencies. As time only goes forward, what takes the same time arrives
//! in the order in which it was sent: these are queues, and only the rest is on a heap.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use sxlab_protocol::agent::{Address, ContactNo};
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
    Join(ConversationId, Box<Address>),
    /// A member is invited to its group: of all that are, the how many.
    JoinGroup(u32),
    /// A user calls: of the plan's calls, the how many.
    Call(u32),
    /// Who is called takes it.
    TakeCall(u32),
    /// A business opens its address: of all that do, the how many.
    OpenAddress(u32),
    /// A customer connects to a business by its address: of all that do, the how many.
    Connect(u32, Box<Address>),
    /// A business is connected to a customer, and invites its employees.
    InviteEmployees(UserIdx, ContactNo),
    /// A queue moves to another router: of the plan's rotations, the how many.
    Rotate(u32),
    /// A user's agent waited for this time.
    UserTimer(UserIdx),
    /// A user goes offline.
    Leave(UserIdx),
    /// A user is online again.
    Return(UserIdx),
    /// PINGs need not be sent any more if there is no partition.
    Quiet,
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

/// How many different latencies have a queue.
const LANES: usize = 64;

/// What is to happen.
#[derive(Debug, Default)]
pub(super) struct Heap {
    entries: BinaryHeap<Entry>,
    /// What takes a latency, with it.
    lanes: Vec<(u64, VecDeque<Entry>)>,
    order: u64,
    /// Time and order of the next thing, and its lane if it has one, as far as it is known.
    first: Option<First>,
}

type First = (u64, u64, Option<usize>);

impl Heap {
    /// Puts something here that happens at `at`.
    pub(super) fn push(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.entries.push(Entry { at, order: self.order, event });
        self.sooner(at, None);
    }

    /// Puts something here that happens `delay` after now. Now never goes back.
    pub(super) fn push_after(&mut self, now: u64, delay: u64, event: Event) {
        let lane = match self.lanes.iter().position(|(of, _)| *of == delay) {
            Some(lane) => lane,
            None if self.lanes.len() < LANES => {
                self.lanes.push((delay, VecDeque::new()));
                self.lanes.len() - 1
            }
            None => return self.push(now.saturating_add(delay), event),
        };
        self.order += 1;
        let at = now.saturating_add(delay);
        if let Some((_, lane)) = self.lanes.get_mut(lane) {
            lane.push_back(Entry { at, order: self.order, event });
        }
        self.sooner(at, Some(lane));
    }

    /// The newest entry is at `at`.
    fn sooner(&mut self, at: u64, lane: Option<usize>) {
        if let Some(first) = &mut self.first
            && at < first.0
        {
            *first = (at, self.order, lane);
        }
    }

    fn first(&mut self) -> Option<First> {
        if self.first.is_none() {
            self.first = self.find_first();
        }
        self.first
    }

    fn find_first(&self) -> Option<First> {
        let lanes = self.lanes.iter().enumerate();
        let lanes = lanes.filter_map(|(lane, (_, queue))| queue.front().map(|e| (e.at, e.order, Some(lane))));
        let heap = self.entries.peek().map(|entry| (entry.at, entry.order, None));
        lanes.chain(heap).min()
    }

    /// When the next thing happens.
    pub(super) fn next(&mut self) -> Option<u64> {
        self.first().map(|(at, ..)| at)
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let first = self.first()?;
        self.first = None;
        let entry = match first {
            (.., Some(lane)) => self.lanes.get_mut(lane)?.1.pop_front(),
            (.., None) => self.entries.pop(),
        };
        entry.map(|entry| entry.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(mut heap: Heap) -> Vec<u32> {
        std::iter::from_fn(|| heap.pop())
            .map(|event| match event {
                Event::UserTimer(UserIdx(user)) => user,
                _ => u32::MAX,
            })
            .collect()
    }

    #[test]
    fn things_come_by_time_and_then_by_order() {
        let mut heap = Heap::default();
        for (at, user) in [(5, 0), (3, 1), (5, 2), (3, 3)] {
            heap.push(at, Event::UserTimer(UserIdx(user)));
        }
        assert_eq!(order(heap), [1, 3, 0, 2]);
    }

    #[test]
    fn what_takes_a_latency_falls_into_its_place() {
        let (mut heap, mut plain) = (Heap::default(), Heap::default());
        for user in 0..1000u32 {
            let (now, delay) = (u64::from(user / 3), u64::from(user * 7 % 100));
            plain.push(now + delay, Event::UserTimer(UserIdx(user)));
            if user % 5 == 0 {
                heap.push(now + delay, Event::UserTimer(UserIdx(user)));
            } else {
                heap.push_after(now, delay, Event::UserTimer(UserIdx(user)));
            }
        }
        assert_eq!(order(heap), order(plain));
    }
}
