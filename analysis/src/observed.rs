//! What a colluding set really saw of each conversation in a simulated run: the set's observations, compared with the truth.

use std::collections::BTreeSet;

use sxlab_simnet::network::{RouterIdx, UserIdx};
use sxlab_simnet::observe::{Log, VantageId};
use sxlab_simnet::truth::{TrueConversation, TrueQueue, Truth};

use crate::sightings::{Address, QueueNo, Sightings};

/// What the set saw of one conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Both ends of one transmission, on the way to the inviter's queue, through the first proxy picked for it.
    pub path_to_first: bool,
    /// The same on the way to the reply queue.
    pub path_to_reply: bool,
    /// Both ends of one transmission in either direction, through whichever proxy: after a session ends the next proxy may
    /// be another, and so may the next queue.
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

/// What a set of routers saw of every conversation, in the order of the truth's conversations. `sightings` are the set's.
///
/// "Both ends on one path" is read off the observations: a proxy of the set passed a command of the sender's address on, and
/// the same forward arrived at a relay of the set for a queue that the recipient's address is subscribed to. The truth only
/// says which conversation the queue belongs to, and which proxy was the first.
pub fn seen(log: &Log, sightings: &Sightings, truth: &Truth, routers: &[RouterIdx]) -> Vec<Seen> {
    let vantages: Vec<(RouterIdx, VantageId)> =
        routers.iter().filter_map(|&router| Some((router, log.router(router)?))).collect();
    let index = Index::of(sightings, truth);
    let at = |router: RouterIdx| vantages.iter().find(|(r, _)| *r == router).map(|(_, vantage)| *vantage);
    let mut seen: Vec<Seen> =
        truth.conversations.iter().map(|conversation| index.conversation(conversation, &at)).collect();
    for later in &truth.later_queues {
        let place = later.conversation.index();
        let Some((conversation, seen)) = truth.conversations.get(place).zip(seen.get_mut(place)) else {
            continue;
        };
        let (a, b) = (conversation.a, conversation.b);
        let (from, to) = if later.to_a { (b, a) } else { (a, b) };
        seen.on_one_path_ever |=
            later.queue.proxies.iter().any(|&p| index.path(&later.queue, p, from, to, &at));
    }
    seen
}

/// Whose the addresses of some sightings are: the truth.
pub(crate) struct Users(Vec<Option<UserIdx>>);

impl Users {
    pub(crate) fn of(sightings: &Sightings, truth: &Truth) -> Self {
        let mut users = vec![None; sightings.addresses()];
        for used in &truth.addresses {
            let place = sightings.address(&used.address).and_then(|address| users.get_mut(address.index()));
            if let Some(user) = place {
                *user = Some(used.user);
            }
        }
        Self(users)
    }

    pub(crate) fn get(&self, address: Address) -> Option<UserIdx> {
        self.0.get(address.index()).copied().flatten()
    }
}

/// Sightings by what they are looked up with.
struct Index<'a> {
    sightings: &'a Sightings,
    /// Queue, proxy, sender and recipient of the forwards that the set saw at both ends: sorted.
    paths: Vec<(QueueNo, VantageId, UserIdx, UserIdx)>,
    /// Who was seen at a queue: sorted.
    at_queue: Vec<(QueueNo, UserIdx)>,
    /// Who was seen passing something on through a proxy.
    at_proxy: BTreeSet<(VantageId, UserIdx)>,
}

impl<'a> Index<'a> {
    fn of(sightings: &'a Sightings, truth: &'a Truth) -> Self {
        let users = Users::of(sightings, truth);
        let mut passed: Vec<Option<(VantageId, Address)>> = vec![None; sightings.forwards];
        for p in &sightings.passed_on {
            if let Some(place) = passed.get_mut(p.forward.0 as usize) {
                *place = Some((p.proxy, p.from));
            }
        }
        let paths = sightings.arrived.iter().filter_map(|arrived| {
            let (proxy, from) = passed.get(arrived.forward.0 as usize).copied().flatten()?;
            Some((arrived.queue?, proxy, users.get(from)?, users.get(arrived.subscriber?)?))
        });
        let mut paths: Vec<_> = paths.collect();
        paths.sort_unstable();
        paths.dedup();
        let at_queue = sightings.subscribers.iter();
        let mut at_queue: Vec<_> =
            at_queue.filter_map(|(queue, address)| Some((*queue, users.get(*address)?))).collect();
        at_queue.sort_unstable();
        let at_proxy = sightings.passed_on.iter();
        let at_proxy = at_proxy.filter_map(|p| Some((p.proxy, users.get(p.from)?))).collect();
        Self { sightings, paths, at_queue, at_proxy }
    }

    /// Whether both ends of a transmission to this queue were seen, through this proxy.
    fn path(
        &self,
        queue: &TrueQueue,
        proxy: RouterIdx,
        from: UserIdx,
        to: UserIdx,
        at: &impl Fn(RouterIdx) -> Option<VantageId>,
    ) -> bool {
        at(queue.router).zip(at(proxy)).is_some_and(|(relay, proxy)| {
            let queue = self.sightings.queue_of_sender(relay, &queue.sender_id);
            queue.is_some_and(|queue| self.paths.binary_search(&(queue, proxy, from, to)).is_ok())
        })
    }

    fn conversation(
        &self,
        conversation: &TrueConversation,
        at: &impl Fn(RouterIdx) -> Option<VantageId>,
    ) -> Seen {
        let TrueConversation { a, b, to_a, to_b, .. } = conversation;
        let path = |queue: &TrueQueue, proxy, from, to| self.path(queue, proxy, from, to, at);
        let first =
            |queue: &TrueQueue, from, to| queue.proxies.first().is_some_and(|&p| path(queue, p, from, to));
        let ever = |queue: &TrueQueue, from, to| queue.proxies.iter().any(|&p| path(queue, p, from, to));
        let at_queue = |queue: &TrueQueue, user: UserIdx| {
            at(queue.router)
                .and_then(|router| self.sightings.queue_of_recipient(router, &queue.recipient_id))
                .is_some_and(|queue| self.at_queue.binary_search(&(queue, user)).is_ok())
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
