//! What a set of colluding routers can make of its logs before any guessing: who sent something on, what arrived for
//! which queue, and to which address it was delivered.
//!
//! Everything here comes from a [`AdversaryView`]: the observations of the set's own vantage points.

use std::collections::BTreeMap;

use sxlab_protocol::observe::{Kind, Layer, SessionNo, Sight};
use sxlab_protocol::wire::{CorrId, EntityId};
use sxlab_simnet::observe::{AdversaryView, Sighting, VantageId};

/// A command that a proxy of the set passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOn {
    /// When, in nanoseconds from the beginning of the run.
    pub at_ns: u64,
    /// The proxy.
    pub proxy: VantageId,
    /// The client's network address.
    pub from: String,
    /// Where to: the relay's host name.
    pub to: String,
    /// The proxy's correlation id on its session with the relay, which the relay sees too.
    pub corr: CorrId,
}

/// A message that arrived at a relay of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// When, in nanoseconds from the beginning of the run.
    pub at_ns: u64,
    /// The relay.
    pub relay: VantageId,
    /// The correlation id of the forward that it came in.
    pub corr: CorrId,
    /// The queue's sender id.
    pub sender_id: EntityId,
    /// The network address of the session that was subscribed to the queue, if there was one.
    pub subscriber: Option<String>,
}

/// A message that a router of the set delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// When, in nanoseconds from the beginning of the run.
    pub at_ns: u64,
    /// The router.
    pub router: VantageId,
    /// The queue's recipient id.
    pub recipient_id: EntityId,
    /// The network address that it was delivered to.
    pub to: String,
}

/// A set's logs, put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sightings {
    /// Commands passed on by the set's proxies, by time.
    pub passed_on: Vec<PassedOn>,
    /// Messages that arrived at the set's relays through any proxy, by time.
    pub arrived: Vec<Arrived>,
    /// Messages delivered by the set's routers, by time.
    pub delivered: Vec<Delivered>,
    /// Address and recipient id of every subscription at the set's routers, with the queue's sender id.
    pub queues: BTreeMap<(VantageId, EntityId), Queue>,
}

/// What a router knows of one of its queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// The sender id.
    pub sender_id: EntityId,
    /// The addresses from which it was made or subscribed to, without repetition, in order.
    pub addresses: Vec<String>,
}

/// Reads a view in order and keeps what the logs of one router tie together.
#[derive(Default)]
struct Reading {
    /// Who is at the other end of a session.
    peers: BTreeMap<(VantageId, SessionNo), String>,
    recipient_of: BTreeMap<(VantageId, EntityId), EntityId>,
    found: Sightings,
}

impl Sightings {
    /// Puts the logs of a view together.
    pub fn of(view: &AdversaryView<'_>) -> Self {
        let mut reading = Reading::default();
        for observation in view.observations() {
            if let Sighting::Router(sight) = &observation.sight {
                reading.read(observation.at_ns, observation.vantage, sight);
            }
        }
        reading.found
    }
}

impl Reading {
    fn peer(&self, vantage: VantageId, session: SessionNo) -> Option<&String> {
        self.peers.get(&(vantage, session))
    }

    fn subscribed(&mut self, vantage: VantageId, session: SessionNo, recipient: &EntityId) {
        let Some(address) = self.peer(vantage, session).cloned() else { return };
        let queue = self.found.queues.entry((vantage, recipient.clone())).or_default();
        // The last one is the current one.
        queue.addresses.retain(|known| *known != address);
        queue.addresses.push(address);
    }

    fn read(&mut self, at_ns: u64, vantage: VantageId, sight: &Sight) {
        match sight {
            Sight::Accepted { session, from: peer } | Sight::Dialed { session, to: peer } => {
                self.peers.insert((vantage, *session), peer.clone());
            }
            Sight::Created { session, recipient, sender } => {
                self.recipient_of.insert((vantage, sender.clone()), recipient.clone());
                let queue = self.found.queues.entry((vantage, recipient.clone())).or_default();
                queue.sender_id = sender.clone();
                self.subscribed(vantage, *session, recipient);
            }
            Sight::Received(seen) if seen.kind == Kind::Sub => {
                self.subscribed(vantage, seen.session, &seen.entity);
            }
            Sight::Received(seen) if seen.kind == Kind::Send && seen.layer == Layer::Forwarded => {
                let recipient = self.recipient_of.get(&(vantage, seen.entity.clone()));
                let queue = recipient.and_then(|id| self.found.queues.get(&(vantage, id.clone())));
                let subscriber = queue.and_then(|queue| queue.addresses.last().cloned());
                self.found.arrived.push(Arrived {
                    at_ns,
                    relay: vantage,
                    corr: seen.corr.clone(),
                    sender_id: seen.entity.clone(),
                    subscriber,
                });
            }
            Sight::Sent(seen) if seen.kind == Kind::Rfwd => {
                let Some((relay, corr)) = &seen.passed_to else { return };
                let (Some(from), Some(to)) = (self.peer(vantage, seen.session), self.peer(vantage, *relay))
                else {
                    return;
                };
                let (from, to) = (from.clone(), to.clone());
                self.found.passed_on.push(PassedOn { at_ns, proxy: vantage, from, to, corr: corr.clone() });
            }
            Sight::Sent(seen) if seen.kind == Kind::Msg => {
                if let Some(to) = self.peer(vantage, seen.session).cloned() {
                    let recipient_id = seen.entity.clone();
                    self.found.delivered.push(Delivered { at_ns, router: vantage, recipient_id, to });
                }
            }
            _ => {}
        }
    }
}
