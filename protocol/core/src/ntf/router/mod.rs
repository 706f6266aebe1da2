//! The notification router as a pure state machine: blocks of its devices and what SMP routers and push providers say in; blocks,
//! pushes and questions to SMP routers out.
//!
//! | module | what it does |
//! |---|---|
//! | `store` | all tokens and subscriptions, and the journal of what changed |
//! | `records`, `restoring` | what survives a restart, in bytes, and back |
//! | `sessions` | transport sessions: handshake, blocks in and out, what waits to be written |
//! | `verify` | who may give a command |
//! | `commands` | what each command does |
//! | `smp` | SMP routers: connecting, subscribing, what they tell |
//! | `pushes` | what providers are asked for, and what follows from their answers |
//! | `semantic` | sessions without cryptography, for simulations of many devices |
//! | `statistics` | what the router counts |
//!
//! Contract: call [`Router::start`] once. After each call, drain [`Router::poll`]; for each session that it names as writable, write
//! what [`Router::next_block`] gives; call [`Router::timeout`] when [`Router::next_timeout`] has come; read from a session only while
//! [`Router::wants_block`], and from SMP routers only while [`Router::wants_notifications`]. Times are nanoseconds since the Unix
//! epoch.
//!
//! A router whose state is durable has a store that is [`Store::journaled`], and whoever runs it takes [`Router::changes`] after
//! each call too. No block may be written before the first [`Router::needs`] of them are durable; they become durable in order.

mod commands;
mod pushes;
mod records;
mod restoring;
mod semantic;
mod sessions;
mod smp;
mod statistics;
mod store;
mod verify;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use self::pushes::Outstanding;
pub use self::pushes::{PushAnswer, PushBody, PushNo, PushRequest, Verdict};
pub use self::records::{Change, Record, RecordError, RecordKey, SubscriptionRecord, TokenRecord};
use self::sessions::Peer;
use self::smp::Smp;
pub use self::smp::{Answer, SmpAsk, SmpNo, SmpQueue, SmpTold};
pub use self::statistics::Statistics;
pub use self::store::{Kept, Store, Subscription, Token};
use crate::crypto::dummies::Dummies;
use crate::ntf::push::MOST_NOTIFICATIONS;
use crate::ntf::version::ALPN_VERSIONS;
use crate::observe::{SessionNo, Sight};
use crate::retry::RetryInterval;
use crate::tables::{Mixer, Table, sorted};
use crate::transport::RouterCredentials;
use crate::wire::VersionRange;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

/// A router's limits and intervals; the defaults are the deployed router's, where it has them.
///
/// What one device can make the router hold: blocks that wait to be written, [`outgoing_blocks`](Self::outgoing_blocks) and the
/// answers to one block more, some 32 KiB; and what it registers, which [`tokens`](Self::tokens) and
/// [`subscriptions_per_token`](Self::subscriptions_per_token) bound, with [`notifications`](Self::notifications) of some 250 bytes
/// for each token. For all together [`queued_blocks`](Self::queued_blocks) and [`pushes`](Self::pushes), and what one call adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterConfig {
    /// Versions offered to devices that negotiate the protocol in TLS. Others are offered version 1 only, and are not served
    /// where it is not among these (NT-1).
    pub versions: VersionRange,
    /// Whether the provider for tests may be used (NT-7).
    pub test_provider: bool,
    /// The least minutes between periodic pushes that may be asked for (NT-15).
    pub least_period: u16,
    /// How often tokens are looked through for periodic pushes, in nanoseconds (NT-16).
    pub periodic_interval: u64,
    /// Whether a token's first periodic push is made, one period after it was asked for. The deployed router's query for tokens
    /// that are due compares with the time of the last such push, and finds none that has had no push; so reading says, nobody
    /// recorded it.
    pub first_periodic: bool,
    /// Notifications that go with a push, of different queues of the token (NT-27).
    pub notifications: usize,
    /// Queues that an SMP router is asked for at once, at the beginning (NT-24).
    pub start_batch: usize,
    /// The same after a lost connection.
    pub reconnect_batch: usize,
    /// How long to wait before connecting to an SMP router again. After a connection was lost, the first attempt is at once.
    pub reconnect: RetryInterval,
    /// How long an SMP router may take to answer a batch, in nanoseconds; then what is unanswered is asked again.
    pub subscribe_timeout: u64,
    /// Whether to be a service of SMP routers that have services (NT-25).
    pub service: bool,
    /// Pushes that may wait for their provider's answer before nothing more is read. Of the deployed router this many wait
    /// for each provider and SMP router.
    pub pushes: usize,
    /// Tokens that may be registered. The deployed router counts none.
    pub tokens: usize,
    /// Subscriptions that a token may have. The deployed router counts none.
    pub subscriptions_per_token: usize,
    /// How long a device may take for its hello, in nanoseconds.
    pub handshake_timeout: u64,
    /// How long a device may say nothing, in nanoseconds (NT-35); `u64::MAX`: for ever.
    pub inactive_ttl: u64,
    /// How often inactive devices are looked for, in nanoseconds.
    pub inactive_interval: u64,
    /// Blocks that wait to be written to one session before it is not read.
    pub outgoing_blocks: usize,
    /// Blocks of 512 bytes that wait to be written to all devices together; with more, the device that most of them wait for
    /// is closed, and they are dropped. The deployed router counts none.
    pub queued_blocks: usize,
    /// Whether to record [`Sight`]s.
    pub observe: bool,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            versions: ALPN_VERSIONS,
            test_provider: false,
            least_period: 20,
            periodic_interval: 5 * MINUTE,
            first_periodic: true,
            notifications: MOST_NOTIFICATIONS,
            start_batch: 900,
            reconnect_batch: 1360,
            reconnect: RetryInterval { initial: SECOND, increase_after: 10 * SECOND, most: 10 * SECOND },
            subscribe_timeout: 30 * SECOND,
            service: false,
            pushes: 32_768,
            tokens: usize::MAX,
            subscriptions_per_token: 65_536,
            handshake_timeout: 120 * SECOND,
            inactive_ttl: 12 * 60 * MINUTE,
            inactive_interval: 60 * MINUTE,
            outgoing_blocks: 64,
            queued_blocks: 262_144,
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
    /// Ask a provider for a push, and call [`Router::pushed`]. Pushes to one device are to be asked for in order.
    Push(Box<PushRequest>),
    /// Ask something of an SMP router, and call [`Router::smp`].
    Smp(SmpNo, SmpAsk),
}

/// A notification router.
#[derive(Debug)]
pub struct Router {
    config: RouterConfig,
    credentials: RouterCredentials,
    rng: ChaCha20Rng,
    store: Store,
    sessions: Table<SessionNo, Peer>,
    /// Sessions whose device's hello has not come, by when it must.
    handshakes: BTreeSet<(u64, SessionNo)>,
    next_session: u64,
    smp: BTreeMap<SmpNo, Smp>,
    /// When something is to be tried again with which SMP router.
    retries: BTreeSet<(u64, SmpNo)>,
    pushes: Table<PushNo, Outstanding>,
    next_push: u64,
    /// When periodic pushes, and inactive devices, are looked for; nothing before the start.
    periodic_due: Option<u64>,
    inactive_due: Option<u64>,
    writable: BTreeSet<SessionNo>,
    /// Blocks that wait to be written.
    queued: usize,
    events: VecDeque<RouterEvent>,
    sights: Vec<Sight>,
    statistics: Statistics,
    dummies: Dummies,
    /// Whether its sessions are at the semantic layer.
    semantic: bool,
}

impl Router {
    /// A router with its tokens. `rng` makes ids, codes, keys and nonces.
    pub fn new(
        config: RouterConfig,
        credentials: RouterCredentials,
        store: Store,
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
            smp: BTreeMap::new(),
            retries: BTreeSet::new(),
            pushes: Table::default(),
            next_push: 0,
            periodic_due: None,
            inactive_due: None,
            writable: BTreeSet::new(),
            queued: 0,
            events: VecDeque::new(),
            sights: Vec::new(),
            statistics: Statistics::default(),
            dummies,
            semantic: false,
        }
    }

    /// The tokens: what a restarted router continues with.
    pub fn into_store(self) -> Store {
        self.store
    }

    /// The tokens.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What changed since the last call of what survives a restart; nothing unless the store is [`Store::journaled`].
    pub fn changes(&mut self) -> Vec<Change> {
        self.store.changes()
    }

    /// How many changes there were so far, those not taken yet included.
    pub fn changed(&self) -> u64 {
        self.store.changed()
    }

    /// How many sessions with devices are open.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// What the router counted.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
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

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// The next thing to do for whoever runs the router.
    pub fn poll(&mut self) -> Option<RouterEvent> {
        self.shed();
        match self.writable.pop_first() {
            Some(session) => Some(RouterEvent::Writable(session)),
            None => self.events.pop_front(),
        }
    }

    /// Prepares the end: every session is closed once what is queued for it is written.
    pub fn shut_down(&mut self) {
        for session in sorted(&self.sessions).map(|(session, _)| *session).collect::<Vec<_>>() {
            self.close(session);
        }
    }

    /// Begins the regular checks, if they have not begun.
    fn schedule_checks(&mut self, now: u64) {
        self.periodic_due.get_or_insert(now.saturating_add(self.config.periodic_interval));
        self.inactive_due.get_or_insert(now.saturating_add(self.config.inactive_interval));
    }

    /// When [`Router::timeout`] is to be called, in nanoseconds since the epoch.
    pub fn next_timeout(&self) -> Option<u64> {
        let handshake = self.handshakes.first().map(|(deadline, _)| *deadline);
        let retry = self.retries.first().map(|(at, _)| *at);
        [self.periodic_due, self.inactive_due, handshake, retry].into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub fn timeout(&mut self, now: u64) {
        if self.periodic_due.is_some_and(|due| due <= now) {
            self.periodic_due = Some(now.saturating_add(self.config.periodic_interval));
            self.push_periodically(now);
        }
        if self.inactive_due.is_some_and(|due| due <= now) {
            self.inactive_due = Some(now.saturating_add(self.config.inactive_interval));
            self.close_inactive(now);
        }
        self.smp_timeouts(now);
        while let Some(&(deadline, session)) = self.handshakes.first()
            && deadline <= now
        {
            self.handshakes.remove(&(deadline, session));
            self.close(session);
        }
    }
}
