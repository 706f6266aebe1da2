//! What a colluding set really saw of each conversation in a simulated run: the set's observations, compared with the truth.

use std::collections::{BTreeMap, BTreeSet};

use sxlab_protocol::wire::{CorrId, EntityId};
use sxlab_simnet::network::{RouterIdx, UserIdx};
use sxlab_simnet::observe::{Log, VantageId};
use sxlab_simnet::truth::{TrueConversation, TrueQueue, Truth};

use crate::sightings::Sightings;

/// What the set saw of one conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Both ends of one transmission, on the way to the inviter's queue, through the first proxy picked for it.
    pub path_to_first: bool,
    /// The same on the way to the reply queue.
    pub path_to_reply: bool,
    /// Both ends of one transmission in either direction, through whichever proxy: after a session ends the next proxy may
    /// be another.
    pub on_one_path_ever: bool,
    /// The addresses of both users, anywhere in the conversation, with the first proxies.
    pub anywhere: bool,
}

impl Seen {
    /// Both ends of one transmission in either direction, with the first proxies.
    pub fn on_one_path(&self) -> bool {
        self.path_to_first || self.path_to_reply
    }
}

/// What a set of routers saw of every conversation, in the order of the truth's conversations.
///
/// "Both ends on one path" is read off the observations: a proxy of the set passed a command of the sender's address on, and
/// the same forward arrived at a relay of the set for a queue that the recipient's address is subscribed to. The truth only
/// says which conversation the queue belongs to, and which proxy was the first.
pub fn seen(log: &Log, truth: &Truth, routers: &[RouterIdx]) -> Vec<Seen> {
    let vantages: Vec<(RouterIdx, VantageId)> =
        routers.iter().filter_map(|&router| Some((router, log.router(router)?))).collect();
    let held: Vec<VantageId> = vantages.iter().map(|(_, vantage)| *vantage).collect();
    let sightings = Sightings::of(&log.view(&held));
    let index = Index::of(&sightings, truth);
    let at = |router: RouterIdx| vantages.iter().find(|(r, _)| *r == router).map(|(_, vantage)| *vantage);
    truth.conversations.iter().map(|conversation| index.conversation(conversation, &at)).collect()
}

/// Sightings by what they are looked up with.
struct Index<'a> {
    /// Sender and recipient of the forwards that the set saw at both ends, by relay, queue and proxy.
    paths: BTreeSet<(VantageId, &'a EntityId, VantageId, UserIdx, UserIdx)>,
    /// Who was seen at a queue.
    at_queue: BTreeSet<(VantageId, &'a EntityId, UserIdx)>,
    /// Who was seen passing something on through a proxy.
    at_proxy: BTreeSet<(VantageId, UserIdx)>,
}

impl<'a> Index<'a> {
    fn of(sightings: &'a Sightings, truth: &'a Truth) -> Self {
        let addresses: BTreeMap<&str, UserIdx> =
            truth.addresses.iter().map(|used| (used.address.as_str(), used.user)).collect();
        let user = |address: &str| addresses.get(address).copied();
        let passed: BTreeMap<&CorrId, (VantageId, &String)> =
            sightings.passed_on.iter().map(|p| (&p.corr, (p.proxy, &p.from))).collect();
        let paths = sightings
            .arrived
            .iter()
            .filter_map(|arrived| {
                let (proxy, from) = passed.get(&arrived.corr)?;
                let to = user(arrived.subscriber.as_ref()?)?;
                Some((arrived.relay, &arrived.sender_id, *proxy, user(from)?, to))
            })
            .collect();
        let at_queue = sightings
            .queues
            .iter()
            .flat_map(|((router, recipient), queue)| {
                queue
                    .addresses
                    .iter()
                    .filter_map(|address| Some((*router, recipient, user(address)?)))
                    .collect::<Vec<_>>()
            })
            .collect();
        let at_proxy = sightings.passed_on.iter().filter_map(|p| Some((p.proxy, user(&p.from)?))).collect();
        Self { paths, at_queue, at_proxy }
    }

    fn conversation(
        &self,
        conversation: &TrueConversation,
        at: &impl Fn(RouterIdx) -> Option<VantageId>,
    ) -> Seen {
        let TrueConversation { a, b, to_a, to_b, .. } = conversation;
        let path = |queue: &TrueQueue, proxy: RouterIdx, from: UserIdx, to: UserIdx| {
            at(queue.router).zip(at(proxy)).is_some_and(|(relay, proxy)| {
                self.paths.contains(&(relay, &queue.sender_id, proxy, from, to))
            })
        };
        let first =
            |queue: &TrueQueue, from, to| queue.proxies.first().is_some_and(|&p| path(queue, p, from, to));
        let ever = |queue: &TrueQueue, from, to| queue.proxies.iter().any(|&p| path(queue, p, from, to));
        let at_queue = |queue: &TrueQueue, user: UserIdx| {
            at(queue.router)
                .is_some_and(|router| self.at_queue.contains(&(router, &queue.recipient_id, user)))
        };
        let at_proxy = |queue: &TrueQueue, user: UserIdx| {
            let proxy = queue.proxies.first().and_then(|&proxy| at(proxy));
            proxy.is_some_and(|proxy| self.at_proxy.contains(&(proxy, user)))
        };
        let sees_a = at_queue(to_a, *a) || at_proxy(to_b, *a);
        let sees_b = at_queue(to_b, *b) || at_proxy(to_a, *b);
        Seen {
            path_to_first: first(to_a, *b, *a),
            path_to_reply: first(to_b, *a, *b),
            on_one_path_ever: ever(to_a, *b, *a) || ever(to_b, *a, *b),
            anywhere: sees_a && sees_b,
        }
    }
}
