//! What really happened, as it is written down.

use std::collections::{BTreeMap, VecDeque};

use sxlab_protocol::agent::{ContactNo, Noted, Output, RouterNo};
use sxlab_protocol::wire::EntityId;

use crate::engine::Counts;
use crate::network::{RouterIdx, UserIdx};
use crate::population::{ConversationId, Population};
use crate::truth::{
    AddressUse, Delivery, LaterQueue, MessageKey, SentMessage, TrueCall, TrueConversation, TrueQueue, Truth,
};
use crate::workload::Plan;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Conversations that both sides can send in.
    pub(super) established: usize,
    pub(super) counts: Counts,
    conversations: Vec<Sides>,
    /// By conversation, and whether its inviter receives on them: the queues after the first, and how many are in use or were.
    later: BTreeMap<(ConversationId, bool), (Vec<TrueQueue>, usize)>,
    addresses: BTreeMap<String, UserIdx>,
    sent: Vec<SentMessage>,
    accepted: usize,
    deliveries: Vec<Delivery>,
    /// Calls that were begun, by their number in the plan, and how many ring that will be taken.
    pub(super) calls: BTreeMap<u32, TrueCall>,
    pub(super) ringing: u64,
}

/// A conversation's two directions: to who joined, and to who invited.
#[derive(Clone, Debug, Default)]
struct Sides {
    to_b: Direction,
    to_a: Direction,
    confirmed: u8,
}

#[derive(Clone, Debug, Default)]
struct Direction {
    queue: Option<(RouterIdx, EntityId, EntityId)>,
    proxies: Vec<RouterIdx>,
    /// Messages that are not accepted yet, and those that did not arrive yet, by their places among the sent ones.
    waiting: VecDeque<u32>,
    travelling: VecDeque<u32>,
}

fn direction(
    conversations: &mut [Sides],
    conversation: ConversationId,
    from_a: bool,
) -> Option<&mut Direction> {
    let sides = conversations.get_mut(conversation.index())?;
    Some(if from_a { &mut sides.to_b } else { &mut sides.to_a })
}

/// Takes the message with this number out of a list: it is the first, unless a group's host has passed others on.
fn take(list: &mut VecDeque<u32>, sent: &[SentMessage], number: u32) -> Option<u32> {
    let is_it = |place: &u32| sent.get(*place as usize).is_some_and(|sent| sent.key.seq == number);
    let found = list.iter().position(is_it)?;
    let place = list.remove(found);
    if list.is_empty() {
        *list = VecDeque::new();
    }
    place
}

impl Ledger {
    pub(super) fn new(population: &Population) -> Self {
        let conversations = vec![Sides::default(); population.conversations.len()];
        Self { conversations, ..Self::default() }
    }

    fn direction(&mut self, conversation: ConversationId, from_a: bool) -> Option<&mut Direction> {
        direction(&mut self.conversations, conversation, from_a)
    }

    pub(super) fn address_used(&mut self, address: &str, user: UserIdx) {
        if !self.addresses.contains_key(address) {
            self.addresses.insert(address.to_owned(), user);
        }
    }

    /// A user's agent takes a message for sending.
    pub(super) fn taken(&mut self, conversation: ConversationId, from_a: bool, seq: u32, at_ns: u64) {
        let place = u32::try_from(self.sent.len()).unwrap_or(u32::MAX);
        let key = MessageKey { conversation, from_a, seq };
        self.sent.push(SentMessage { key, at_ns, proxy: None });
        if let Some(direction) = self.direction(conversation, from_a) {
            direction.waiting.push_back(place);
            direction.travelling.push_back(place);
        }
    }

    pub(super) fn delivered(&self) -> usize {
        self.deliveries.len()
    }

    /// Whether everything that was taken was accepted by a router and has arrived, and nobody is about to take a call.
    pub(super) fn is_settled(&self) -> bool {
        self.accepted == self.sent.len() && self.deliveries.len() >= self.sent.len() && self.ringing == 0
    }

    /// What an agent tells its user.
    pub(super) fn told(&mut self, user: UserIdx, population: &Population, told: Output, now: u64) {
        let of = |contact: ContactNo| {
            let conversation = population.conversation(ConversationId(contact.0))?;
            Some((conversation.id, conversation.a == user))
        };
        match told {
            Output::QueueMade { contact, address, recipient } => {
                let Some((conversation, is_a)) = of(contact) else { return };
                let Some(direction) = self.direction(conversation, !is_a) else { return };
                if direction.queue.is_some() {
                    let (router, recipient_id, sender_id) =
                        (RouterIdx(address.router.0), recipient, address.sender);
                    let queue = TrueQueue { router, recipient_id, sender_id, proxies: Vec::new() };
                    self.later.entry((conversation, is_a)).or_default().0.push(queue);
                } else {
                    direction.queue = Some((RouterIdx(address.router.0), recipient, address.sender));
                }
            }
            Output::Established(contact) => {
                let sides = self.conversations.get_mut(contact.0 as usize);
                let Some(sides) = sides else { return };
                sides.confirmed += 1;
                self.established += usize::from(sides.confirmed == 2);
            }
            Output::Accepted { contact, number, proxy: RouterNo(proxy) } => {
                let Some((conversation, is_a)) = of(contact) else { return };
                let Self { conversations, sent, .. } = self;
                let direction = direction(conversations, conversation, is_a);
                let place = direction.and_then(|direction| take(&mut direction.waiting, sent, number));
                if let Some(sent) = place.and_then(|place| self.sent.get_mut(place as usize)) {
                    sent.proxy = Some(RouterIdx(proxy));
                    self.accepted += 1;
                }
            }
            Output::Received { contact, number } => {
                let Some((conversation, is_a)) = of(contact) else { return };
                let Self { conversations, sent, .. } = self;
                let direction = direction(conversations, conversation, !is_a);
                let place = direction.and_then(|direction| take(&mut direction.travelling, sent, number));
                match place.and_then(|place| self.sent.get(place as usize)) {
                    Some(sent) => self.deliveries.push(Delivery {
                        key: sent.key,
                        sent_at_ns: sent.at_ns,
                        received_at_ns: now,
                    }),
                    // Sent to a group before its new member was invited, and passed on to that one too.
                    None => self.counts.history += 1,
                }
            }
            Output::Receipt { .. } => self.counts.receipts += 1,
            Output::Noted(noted) => self.note(user, population, noted),
            _ => {}
        }
    }

    fn note(&mut self, user: UserIdx, population: &Population, noted: Noted) {
        match noted {
            Noted::Proxy(contact, RouterNo(proxy)) => {
                let conversation = population.conversation(ConversationId(contact.0));
                let Some((id, is_a)) = conversation.map(|c| (c.id, c.a == user)) else { return };
                let later = self.later.get_mut(&(id, !is_a));
                let later = later.and_then(|(later, used)| later.get_mut(used.checked_sub(1)?));
                let proxies = match later {
                    Some(queue) => &mut queue.proxies,
                    None => {
                        let Some(direction) = self.direction(id, is_a) else { return };
                        &mut direction.proxies
                    }
                };
                if !proxies.contains(&RouterIdx(proxy)) {
                    proxies.push(RouterIdx(proxy));
                }
            }
            Noted::Switched(contact) => {
                let conversation = population.conversation(ConversationId(contact.0));
                let Some((id, is_a)) = conversation.map(|c| (c.id, c.a == user)) else { return };
                self.later.entry((id, !is_a)).or_default().1 += 1;
            }
            noted => self.counts.note(noted),
        }
    }

    /// The truth and the counts.
    pub(super) fn finish(self, plan: &Plan) -> (Truth, Counts) {
        let queue = |direction: Direction| {
            let none = (RouterIdx(u32::MAX), EntityId::EMPTY, EntityId::EMPTY);
            let (router, recipient_id, sender_id) = direction.queue.unwrap_or(none);
            TrueQueue { router, recipient_id, sender_id, proxies: direction.proxies }
        };
        let conversations = plan.population.conversations.iter().zip(self.conversations);
        let conversations = conversations.map(|(conversation, sides)| TrueConversation {
            id: conversation.id,
            a: conversation.a,
            b: conversation.b,
            to_a: queue(sides.to_a),
            to_b: queue(sides.to_b),
        });
        let addresses = self.addresses.into_iter();
        let mut sent = self.sent;
        sent.sort_unstable();
        let truth = Truth {
            conversations: conversations.collect(),
            later_queues: later_queues(self.later),
            addresses: addresses.map(|(address, user)| AddressUse { at_ns: 0, address, user }).collect(),
            sent,
            deliveries: self.deliveries,
            calls: self.calls.into_values().collect(),
        };
        (truth, self.counts)
    }
}

/// The truth's list.
fn later_queues(later: BTreeMap<(ConversationId, bool), (Vec<TrueQueue>, usize)>) -> Vec<LaterQueue> {
    let queues = later.into_iter().flat_map(|((conversation, to_a), (queues, _))| {
        queues.into_iter().map(move |queue| LaterQueue { conversation, to_a, queue })
    });
    queues.collect()
}
