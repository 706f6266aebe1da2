//! The SMP router as a pure state machine: blocks of its sessions in, blocks out.
//!
//! | module | what it does |
//! |---|---|
//! | `queues` | what a router keeps of a queue |
//! | `store` | all queues, and the journal of what changed |
//! | `records` | what survives a restart, in bytes |
//! | `sessions` | transport sessions: handshake, blocks in and out, what waits to be written |
//! | `verify` | who may give a command |
//! | `blocking` | queues that the operator blocked |
//! | `commands` | what each command does |
//! | `expiry` | what goes by itself: old messages, inactive clients |
//! | `links` | short links |
//! | `notifications` | notifiers, and what they are told of messages |
//! | `state` | what QUE tells of a queue |
//! | `names` | names that are looked up |
//! | `services` | services and their queues: what survives a restart |
//! | `service_sessions` | sessions of services, which subscribe to all of their queues at once |
//! | `statistics` | what the router counts |
//! | `semantic` | sessions without cryptography, for simulations of many users |
//! | `mutant` | routers that are wrong in one thing, for suites that test suites |
//! | `proxy` | sessions with other routers and the commands forwarded over them |
//!
//! Contract: after each call, drain [`Router::poll`]; for each session that it names as writable, write what
//! [`Router::next_block`] gives; call [`Router::timeout`] when [`Router::next_timeout`] has come; read from a session
//! only while [`Router::wants_block`]. Times are nanoseconds since the Unix epoch.
//!
//! A router whose state is durable has a store that is [`QueueStore::journaled`], and whoever runs it takes
//! [`Router::changes`] after each call too. Nothing that [`Router::next_block`] gives may be written to a peer before the
//! changes taken up to then are durable; more exactly, before the first [`Router::needs`] of them are. They become
//! durable in order, all of one call or none.

mod blocking;
mod commands;
mod expiry;
mod links;
mod mutant;
mod names;
mod notifications;
mod proxy;
mod queues;
mod records;
mod semantic;
mod service_sessions;
mod services;
mod sessions;
mod state;
mod statistics;
mod store;
mod verify;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

pub use self::blocking::QueueReport;
pub use self::mutant::Mutant;
use self::mutant::Wrong;
pub use self::names::LookupNo;
use self::names::Lookups;
pub use self::proxy::DialFailure;
use self::proxy::Relays;
pub use self::queues::{Content, Line, Link, Notification, Notifier, Offered, Queue, Status, Stored};
pub use self::records::{Change, NotifierRecord, QueueRecord, Record, RecordError, RecordKey};
use self::semantic::Constants;
pub use self::services::Service;
pub(crate) use self::services::combine;
use self::sessions::Peer;
pub use self::statistics::{Holdings, Statistics};
pub use self::store::QueueStore;
use crate::crypto::dummies::Dummies;
use crate::observe::{SessionNo, Sight};
use crate::smp::name::Name;
use crate::smp::response::Response;
use crate::tables::{Mixer, Table, sorted};
use crate::transport::{RouterCredentials, SUPPORTED};
use crate::wire::{EntityId, RouterAddress, VersionRange};

const SECOND: u64 = 1_000_000_000;

/// A router's limits and intervals; the defaults are the deployed router's, where it has them.
///
/// They bound what one session can make the router hold, besides queues and messages (which the quota and who may make
/// queues bound) and some 100 bytes for each queue that it is subscribed to:
///
/// - blocks that wait to be written: [`outgoing_blocks`](Self::outgoing_blocks) and the answers to one block more, at
///   most 255, because nothing is read or delivered beyond; with the defaults 319 blocks, 5 MiB, of a peer that asks
///   for as much as it can and reads nothing;
/// - END and DELD for it: one for each queue that it was subscribed to, and no block of them while it reads none;
/// - secrets of senders' keys: 64, 4 KiB;
/// - commands forwarded for it: [`proxied_per_client`](Self::proxied_per_client) and those of one block more.
///
/// For all clients together no more than [`queued_blocks`](Self::queued_blocks) wait to be written, and what one call adds.
///
/// A queue's notifications are bounded by [`notification_quota`](Self::notification_quota), sessions with relays by
/// [`relay_sessions`](Self::relay_sessions), and what is remembered of failed ones by the dials of
/// [`relay_memory`](Self::relay_memory).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterConfig {
    /// Versions offered to clients that negotiate the protocol in TLS. Others are offered version 6 only, and are not served
    /// where it is not among these (TR-9).
    pub versions: VersionRange,
    /// Messages that a queue holds before it refuses more.
    pub queue_quota: usize,
    /// How long a message waits for its recipient, in nanoseconds (SN-15).
    pub message_ttl: u64,
    /// How often messages and notifications are looked through for expired ones, in nanoseconds.
    pub expiry_interval: u64,
    /// Whether a queue's expired messages are also removed when it is sent another.
    pub expire_on_send: bool,
    /// How long END and DELD events are collected, in nanoseconds (D34).
    pub end_interval: u64,
    /// How long notifications are collected, in nanoseconds (D35).
    pub notification_interval: u64,
    /// How long a notification waits for its notifier, in nanoseconds (SN-20).
    pub notification_ttl: u64,
    /// Notifications that wait for one notifier; with more, the oldest is dropped. The deployed router counts none.
    pub notification_quota: usize,
    /// The password that NEW and PRXY need.
    pub password: Option<String>,
    /// Whether NEW is allowed.
    pub new_queues: bool,
    /// Whether PRXY and PFWD are allowed.
    pub proxy: bool,
    /// How long a client may take for its hello, in nanoseconds (TR-22).
    pub handshake_timeout: u64,
    /// How long a client without subscriptions may say nothing, in nanoseconds (TR-38); `u64::MAX`: for ever.
    pub inactive_ttl: u64,
    /// How often inactive clients are looked for, in nanoseconds.
    pub inactive_interval: u64,
    /// How long a proxy waits for a relay's answer, in nanoseconds.
    pub forward_timeout: u64,
    /// How long a proxy remembers that a relay could not be reached, in nanoseconds (PX-6).
    pub relay_memory: u64,
    /// Relays that a proxy has sessions with at the same time; for another one it gives up the session that was not used
    /// for longest, if that is nobody's at the time.
    pub relay_sessions: usize,
    /// Forwarded commands of one client that may wait for their answers before its session is not read (PX-20).
    pub proxied_per_client: usize,
    /// Whether names are resolved: whoever runs the router then answers [`RouterEvent::Resolve`] (NM-4).
    pub resolver: bool,
    /// Names that are looked up at the same time; further ones wait, and so does whoever asks for them (NM-10).
    pub lookups: usize,
    /// Blocks that wait to be written to one session before it is not read and nothing more is delivered to it.
    pub outgoing_blocks: usize,
    /// Blocks of 16 KiB that wait to be written to all clients together; with more, the client that most of them wait for is
    /// closed, and they are dropped. The deployed router counts none.
    pub queued_blocks: usize,
    /// Whether to record [`Sight`]s.
    pub observe: bool,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            versions: SUPPORTED,
            queue_quota: 128,
            message_ttl: 21 * 24 * 3600 * SECOND,
            expiry_interval: 2 * 3600 * SECOND,
            expire_on_send: false,
            end_interval: 15 * SECOND,
            notification_interval: 3 * SECOND / 2,
            notification_ttl: 24 * 3600 * SECOND,
            notification_quota: 1024,
            password: None,
            new_queues: true,
            proxy: true,
            handshake_timeout: 120 * SECOND,
            inactive_ttl: 6 * 3600 * SECOND,
            inactive_interval: 3600 * SECOND,
            forward_timeout: 30 * SECOND,
            relay_memory: 30 * SECOND,
            relay_sessions: 10_000,
            proxied_per_client: 32,
            resolver: false,
            lookups: 1000,
            outgoing_blocks: 64,
            queued_blocks: 65_536,
            observe: false,
        }
    }
}

/// What the router asks of whoever runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouterEvent {
    /// The session has blocks to write.
    Writable(SessionNo),
    /// Close the session's connection, after what is queued for it has been written.
    Close(SessionNo),
    /// Connect to this router, and call [`Router::dialed`] or [`Router::dial_failed`].
    Dial {
        /// The number of the session to be.
        session: SessionNo,
        /// Where to.
        address: RouterAddress,
    },
    /// Find out what this name stands for, and call [`Router::resolved`].
    Resolve {
        /// The number of the lookup.
        lookup: LookupNo,
        /// The name.
        name: Name,
    },
}

/// Events of queues for one session, by the number of the block that caused them, the latest block first.
type Collected = BTreeMap<Reverse<u64>, Vec<(EntityId, Response)>>;

/// A router.
#[derive(Debug)]
pub struct Router {
    config: RouterConfig,
    credentials: RouterCredentials,
    rng: ChaCha20Rng,
    store: QueueStore,
    sessions: Table<SessionNo, Peer>,
    /// Sessions whose client's hello has not come, by when it must.
    handshakes: BTreeSet<(u64, SessionNo)>,
    next_session: u64,
    /// Which session subscribed to a queue, by recipient id.
    subscribers: Table<EntityId, SessionNo>,
    /// Which session subscribed to a notifier, by notifier id.
    notifiers: BTreeMap<EntityId, SessionNo>,
    /// Which session of a service is subscribed, by service id; its queues and notifiers are not in the maps above.
    services: BTreeMap<EntityId, SessionNo>,
    /// Services' sessions that are still being given the first messages of their queues.
    delivering: BTreeSet<SessionNo>,
    /// Subscribed notifiers that notifications wait for, and when these are sent.
    notified: BTreeSet<EntityId>,
    notifications_due: Option<u64>,
    relays: Relays,
    lookups: Lookups,
    /// END and DELD events that wait for their interval, and when it ends.
    ends: BTreeMap<SessionNo, Collected>,
    ends_due: Option<u64>,
    /// Blocks of clients taken so far.
    blocks: u64,
    /// When expired messages, and inactive clients, are looked for; nothing before the first client.
    expiry_due: Option<u64>,
    inactive_due: Option<u64>,
    writable: BTreeSet<SessionNo>,
    /// Blocks that wait to be written to clients.
    queued: usize,
    events: VecDeque<RouterEvent>,
    sights: Vec<Sight>,
    statistics: Statistics,
    dummies: Dummies,
    /// There if its sessions are at the semantic layer.
    semantic: Option<Box<Constants>>,
    /// What it is wrong in, if it is.
    wrong: Option<Box<Wrong>>,
}

impl Router {
    /// A router with its queues. `rng` makes ids, session keys and nonces.
    pub fn new(
        config: RouterConfig,
        credentials: RouterCredentials,
        store: QueueStore,
        mut rng: ChaCha20Rng,
    ) -> Self {
        let store = store.mixed(Mixer::of(&rng));
        let dummies = Dummies::generate(&mut rng);
        Self {
            config,
            credentials,
            rng,
            store,
            sessions: Table::default(),
            handshakes: BTreeSet::new(),
            next_session: 0,
            subscribers: Table::default(),
            notifiers: BTreeMap::new(),
            services: BTreeMap::new(),
            delivering: BTreeSet::new(),
            notified: BTreeSet::new(),
            notifications_due: None,
            relays: Relays::default(),
            lookups: Lookups::default(),
            ends: BTreeMap::new(),
            ends_due: None,
            blocks: 0,
            expiry_due: None,
            inactive_due: None,
            writable: BTreeSet::new(),
            queued: 0,
            events: VecDeque::new(),
            sights: Vec::new(),
            statistics: Statistics::default(),
            dummies,
            semantic: None,
            wrong: None,
        }
    }

    /// The queues: what a restarted router continues with.
    pub fn into_store(self) -> QueueStore {
        self.store
    }

    /// The queues.
    pub fn store(&self) -> &QueueStore {
        &self.store
    }

    /// What changed since the last call of what survives a restart; nothing unless the store is
    /// [`QueueStore::journaled`].
    pub fn changes(&mut self) -> Vec<Change> {
        self.store.changes()
    }

    /// How many changes there were so far, those not taken yet included.
    pub fn changed(&self) -> u64 {
        self.store.changed()
    }

    /// How many sessions are open, those with relays included.
    pub fn sessions(&self) -> usize {
        self.sessions.len() + self.relays.len()
    }

    /// What the router saw since the last call, if the configuration asks for it.
    pub fn sights(&mut self) -> Vec<Sight> {
        std::mem::take(&mut self.sights)
    }

    fn see(&mut self, sight: impl FnOnce() -> Sight) {
        if self.config.observe {
            self.sights.push(sight());
        }
    }

    fn fresh_id(&mut self) -> [u8; 24] {
        let mut id = [0; 24];
        self.rng.fill_bytes(&mut id);
        id
    }

    fn new_session(&mut self) -> SessionNo {
        self.next_session += 1;
        SessionNo(self.next_session)
    }

    /// The next thing to do for whoever runs the router.
    pub fn poll(&mut self) -> Option<RouterEvent> {
        self.shed();
        match self.writable.pop_first() {
            Some(session) => Some(RouterEvent::Writable(session)),
            None => self.events.pop_front(),
        }
    }

    /// When [`Router::timeout`] is to be called, in nanoseconds since the epoch; a time that has passed means at once.
    /// Prepares the end: sends what is collected, tells clients that wait for relays that these are gone, and has every
    /// session closed once what is queued for it is written. Sessions that are accepted after this are as usual.
    pub fn shut_down(&mut self, now: u64) {
        self.ends_due = None;
        self.flush_ends(now);
        self.notifications_due = None;
        self.flush_notifications(now);
        self.close_relays(now);
        for session in sorted(&self.sessions).map(|(session, _)| *session).collect::<Vec<_>>() {
            self.close(session);
        }
    }

    /// When [`Router::timeout`] is to be called, in nanoseconds since the epoch.
    pub fn next_timeout(&self) -> Option<u64> {
        let handshake = self.handshakes.first().map(|(deadline, _)| *deadline);
        let dues = [self.ends_due, self.notifications_due, self.expiry_due, self.inactive_due, handshake];
        // What is unfinished goes on at once.
        let unfinished = (!self.delivering.is_empty()).then_some(0);
        dues.into_iter().chain([self.relays.next_timeout(), unfinished]).flatten().min()
    }

    /// Does what is due at `now`: sends collected events and notifications, expires, gives up on relays and on
    /// slow hellos.
    pub fn timeout(&mut self, now: u64) {
        if self.ends_due.is_some_and(|due| due <= now) {
            self.ends_due = None;
            self.flush_ends(now);
        }
        if self.notifications_due.is_some_and(|due| due <= now) {
            self.notifications_due = None;
            self.flush_notifications(now);
        }
        self.deliver_services();
        self.checks(now);
        self.relay_timeouts(now);
        while let Some(&(deadline, session)) = self.handshakes.first()
            && deadline <= now
        {
            self.handshakes.remove(&(deadline, session));
            self.close(session);
        }
    }
}
