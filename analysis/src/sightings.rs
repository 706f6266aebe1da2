//! What a set of colluding routers can make of its logs before any guessing: who sent something on, what arrived for
//! which queue, and to which address it was delivered.
//!
//! Everything here comes from a [`AdversaryView`]: the observations of the set's own vantage points. Names are numbers here, in
//! the order in which the view has them, so that millions of messages need no more than some 100 bytes each.

use sxlab_protocol::observe::{Kind, Layer, SessionNo, Sight};
use sxlab_protocol::wire::EntityId;
use sxlab_simnet::observe::{AdversaryView, Interner, LogError, Sighting, VantageId};

/// A network address; see [`Sightings::address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(pub u32);

impl Address {
    /// Its position among the addresses.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A queue at one router; see [`Sightings::queue_of_recipient`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueNo(pub u32);

/// A correlation id of forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forward(pub u32);

/// A command that a proxy of the set passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOn {
    /// When, in nanoseconds from the beginning of the run.
    pub at_ns: u64,
    /// The proxy.
    pub proxy: VantageId,
    /// The client's network address.
    pub from: Address,
    /// Where to: the relay's host name.
    pub to: Address,
    /// The proxy's correlation id on its session with the relay, which the relay sees too.
    pub forward: Forward,
}

/// A message that arrived at a relay of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// When, in nanoseconds from the beginning of the run.
    pub at_ns: u64,
    /// The relay.
    pub relay: VantageId,
    /// The correlation id of the forward that it came in.
    pub forward: Forward,
    /// The queue, if the relay saw it created.
    pub queue: Option<QueueNo>,
    /// The network address of the session that was subscribed to the queue, if there was one.
    pub subscriber: Option<Address>,
}

/// A message that a router of the set delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// When, in nanoseconds from the beginning of the run.
    pub at_ns: u64,
    /// The router.
    pub router: VantageId,
    /// The queue.
    pub queue: QueueNo,
    /// The network address that it was delivered to.
    pub to: Address,
}

/// A set's logs, put together.
#[derive(Debug, Default)]
pub struct Sightings {
    /// Commands passed on by the set's proxies, by time.
    pub passed_on: Vec<PassedOn>,
    /// Messages that arrived at the set's relays through any proxy, by time.
    pub arrived: Vec<Arrived>,
    /// Messages delivered by the set's routers, by time.
    pub delivered: Vec<Delivered>,
    /// The queues at the set's routers with the addresses from which they were made or subscribed to: sorted, each pair once.
    pub subscribers: Vec<(QueueNo, Address)>,
    /// How many different forwards there are.
    pub forwards: usize,
    addresses: Interner,
    /// Routers' queues by recipient id.
    queues: Interner,
    /// Routers' queues by sender id: which queue each is.
    senders: Interner,
    queue_of_sender: Vec<QueueNo>,
}

impl Sightings {
    /// Puts the logs of a view together.
    ///
    /// # Errors
    /// [`LogError`] when the log can't be read, or has more names than can be numbered.
    pub fn of(view: &AdversaryView<'_>) -> Result<Self, LogError> {
        let mut reading = Reading::default();
        for observation in view.observations() {
            let observation = observation?;
            if let Sighting::Router(sight) = &observation.sight {
                reading.read(observation.at_ns, observation.vantage, sight)?;
            }
        }
        let Reading { mut found, forwards, .. } = reading;
        found.forwards = forwards.len();
        found.subscribers.sort_unstable();
        found.subscribers.dedup();
        Ok(found)
    }

    /// How many different addresses there are.
    pub fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// The number of an address, if it was seen.
    pub fn address(&self, address: &str) -> Option<Address> {
        self.addresses.find(address.as_bytes()).map(Address)
    }

    /// The number of an address, a new one if it wasn't seen.
    ///
    /// # Errors
    /// [`LogError::Full`].
    pub fn add_address(&mut self, address: &str) -> Result<Address, LogError> {
        self.addresses.intern(address.as_bytes()).map(Address).ok_or(LogError::Full)
    }

    /// The queue that its router knows by this recipient id.
    pub fn queue_of_recipient(&self, router: VantageId, recipient: &EntityId) -> Option<QueueNo> {
        self.queues.find(&at_router(router, recipient)).map(QueueNo)
    }

    /// The queue that its router saw created with this sender id.
    pub fn queue_of_sender(&self, router: VantageId, sender: &EntityId) -> Option<QueueNo> {
        let number = self.senders.find(&at_router(router, sender))?;
        self.queue_of_sender.get(number as usize).copied()
    }

    fn add_queue(&mut self, router: VantageId, recipient: &EntityId) -> Result<QueueNo, LogError> {
        self.queues.intern(&at_router(router, recipient)).map(QueueNo).ok_or(LogError::Full)
    }
}

/// What is one thing at one router only.
fn at_router(router: VantageId, id: &EntityId) -> Vec<u8> {
    [&router.0.to_be_bytes(), id.as_bytes()].concat()
}

/// Reads a view in order and keeps what the logs of one router tie together.
#[derive(Default)]
struct Reading {
    /// Routers' sessions.
    sessions: Interner,
    /// Who is at the other end of each.
    peers: Vec<Address>,
    /// For each queue, the address that subscribed last.
    current: Vec<Option<Address>>,
    forwards: Interner,
    found: Sightings,
}

/// Sets a place of a vector that grows with the numbers given.
fn set<T: Clone>(places: &mut Vec<T>, number: u32, value: T, empty: T) {
    let place = number as usize;
    if places.len() <= place {
        places.resize(place + 1, empty);
    }
    if let Some(place) = places.get_mut(place) {
        *place = value;
    }
}

fn session_key(vantage: VantageId, session: SessionNo) -> [u8; 12] {
    let mut key = [0; 12];
    let bytes = vantage.0.to_be_bytes().into_iter().chain(session.0.to_be_bytes());
    key.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    key
}

impl Reading {
    fn peer(&self, vantage: VantageId, session: SessionNo) -> Option<Address> {
        let number = self.sessions.find(&session_key(vantage, session))?;
        self.peers.get(number as usize).copied()
    }

    fn forward(&mut self, corr: &[u8]) -> Result<Forward, LogError> {
        self.forwards.intern(corr).map(Forward).ok_or(LogError::Full)
    }

    fn subscribed(&mut self, queue: QueueNo, address: Address) {
        let QueueNo(number) = queue;
        if self.current.get(number as usize).copied().flatten() != Some(address) {
            set(&mut self.current, number, Some(address), None);
            self.found.subscribers.push((queue, address));
        }
    }

    fn read(&mut self, at_ns: u64, vantage: VantageId, sight: &Sight) -> Result<(), LogError> {
        match sight {
            Sight::Accepted { session, from: peer } | Sight::Dialed { session, to: peer } => {
                let key = session_key(vantage, *session);
                let number = self.sessions.intern(&key).ok_or(LogError::Full)?;
                let address = self.found.add_address(peer)?;
                set(&mut self.peers, number, address, address);
            }
            Sight::Created { session, recipient, sender } => {
                let queue = self.found.add_queue(vantage, recipient)?;
                let key = at_router(vantage, sender);
                let number = self.found.senders.intern(&key).ok_or(LogError::Full)?;
                set(&mut self.found.queue_of_sender, number, queue, queue);
                if let Some(address) = self.peer(vantage, *session) {
                    self.subscribed(queue, address);
                }
            }
            Sight::Received(seen) if seen.kind == Kind::Sub => {
                if let Some(address) = self.peer(vantage, seen.session) {
                    let queue = self.found.add_queue(vantage, &seen.entity)?;
                    self.subscribed(queue, address);
                }
            }
            Sight::Received(seen) if seen.kind == Kind::Send && seen.layer == Layer::Forwarded => {
                let queue = self.found.queue_of_sender(vantage, &seen.entity);
                let subscriber =
                    queue.and_then(|queue| self.current.get(queue.0 as usize).copied().flatten());
                let forward = self.forward(seen.corr.as_bytes())?;
                self.found.arrived.push(Arrived { at_ns, relay: vantage, forward, queue, subscriber });
            }
            Sight::Sent(seen) if seen.kind == Kind::Rfwd => {
                let Some((relay, corr)) = &seen.passed_to else { return Ok(()) };
                let peers = self.peer(vantage, seen.session).zip(self.peer(vantage, *relay));
                if let Some((from, to)) = peers {
                    let forward = self.forward(corr.as_bytes())?;
                    self.found.passed_on.push(PassedOn { at_ns, proxy: vantage, from, to, forward });
                }
            }
            Sight::Sent(seen) if seen.kind == Kind::Msg => {
                if let Some(to) = self.peer(vantage, seen.session) {
                    let queue = self.found.add_queue(vantage, &seen.entity)?;
                    self.found.delivered.push(Delivered { at_ns, router: vantage, queue, to });
                }
            }
            _ => {}
        }
        Ok(())
    }
}
