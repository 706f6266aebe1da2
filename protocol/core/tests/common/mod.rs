//! Router cores and client cores joined by queues of blocks, without TLS and with a clock of their own.
//!
//! Every test speaks in short texts: a response is its tag, errors are in full (`ERR AUTH`), a message is `MSG ` and
//! its decrypted body (`MSG hello`, `MSG quota marker`).
#![allow(dead_code, reason = "each test uses a part")]

mod asking;
pub mod certificates;
mod connections;
mod journal;
mod moving;
mod raw;
pub mod recorded;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, SharedSecret, X25519Secret};
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::smp::client::Client;
use sxlab_protocol::smp::command::{Command, MsgFlags, QueueRequest};
use sxlab_protocol::smp::name::Name;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::{LookupNo, QueueStore, Router, RouterConfig};
use sxlab_protocol::transport::{Agreed, ClientHandshake, ServiceCredentials, ServiceReply, ServiceSigner};
use sxlab_protocol::wire::{CorrId, EntityId, MsgId, RouterAddress};

pub const SECOND: u64 = 1_000_000_000;

/// The versions at which behaviours are checked unless they belong to some only.
pub const VERSIONS: std::ops::RangeInclusive<u16> = 6..=20;

/// A client of a [`World`], by number.
pub type Who = usize;

/// Routers and their clients.
pub struct World {
    pub now: u64,
    pub sites: Vec<Site>,
    clients: Vec<Device>,
    rng: ChaCha20Rng,
    tls_sessions: u64,
    /// Connections that routers asked for and that were neither made nor refused yet.
    pub dials: Vec<(usize, SessionNo, RouterAddress)>,
    /// Names that routers asked for.
    pub lookups: Vec<(usize, LookupNo, Name)>,
    /// Whether dials wait in `dials` for [`World::finish_dials`].
    pub hold_dials: bool,
    /// Decrypts the messages of a queue.
    secrets: BTreeMap<EntityId, SharedSecret>,
}

/// A router, and what waits between it and the other ends of its sessions.
pub struct Site {
    pub core: Router,
    pub address: RouterAddress,
    ends: BTreeMap<SessionNo, End>,
    /// Sessions that the core called writable and whose other end has not taken the blocks yet.
    writable: BTreeSet<SessionNo>,
    inbox: BTreeMap<SessionNo, VecDeque<Vec<u8>>>,
    pub closed: BTreeSet<SessionNo>,
    stalled: BTreeSet<SessionNo>,
}

#[derive(Clone, Copy)]
enum End {
    Client(Who),
    Router(usize, SessionNo),
}

struct Device {
    site: usize,
    session: SessionNo,
    wire: Wire,
    /// Whether it takes blocks.
    reading: bool,
    blocks: Vec<Vec<Arrived>>,
    history: Vec<Vec<String>>,
    last: BTreeMap<EntityId, MsgId>,
    key: X25519Secret,
}

enum Wire {
    Client(Box<Client>),
    /// Speaks any bytes.
    Raw {
        handshake: Option<ClientHandshake>,
        agreed: Option<Box<Agreed>>,
        service: Option<Box<RawService>>,
    },
}

/// A raw client that is a service.
struct RawService {
    credentials: ServiceCredentials,
    signer: Option<ServiceSigner>,
    reply: Option<ServiceReply>,
}

/// A transmission that arrived.
#[derive(Clone, Debug)]
struct Arrived {
    corr: CorrId,
    entity: EntityId,
    text: String,
    response: Option<Response>,
}

/// A queue with its owner's keys.
#[derive(Clone)]
pub struct TestQueue {
    pub recipient: EntityId,
    pub sender: EntityId,
    pub key: AuthSecretKey,
}

/// How NEW is asked for.
pub struct Ask {
    pub subscribe: bool,
    pub queue: QueueRequest,
    pub key: KeyType,
}

impl Default for Ask {
    fn default() -> Self {
        Self { subscribe: true, queue: QueueRequest::Messaging(None), key: KeyType::Ed25519 }
    }
}

pub fn send(body: &str) -> Command {
    Command::Send { flags: MsgFlags::default(), body: body.as_bytes().to_vec() }
}

/// The answer to SUB.
pub fn sok(version: u16) -> &'static str {
    if version < 16 { "OK" } else { "SOK" }
}

/// The event for a deleted queue.
pub fn deld(version: u16) -> &'static str {
    if version < 10 { "END" } else { "DELD" }
}

pub fn key(key_type: KeyType, seed: u64) -> AuthSecretKey {
    AuthSecretKey::generate(key_type, &mut ChaCha20Rng::seed_from_u64(seed))
}

/// A key for senders: X25519, or Ed25519 at version 6 that has no authenticators.
pub fn sender_key(version: u16, seed: u64) -> AuthSecretKey {
    key(if version == 6 { KeyType::Ed25519 } else { KeyType::X25519 }, seed)
}

impl World {
    /// One router with the default configuration and no clients yet.
    pub fn new() -> Self {
        Self::with(RouterConfig::default())
    }

    /// One router.
    pub fn with(config: RouterConfig) -> Self {
        let mut world = World {
            now: 1_800_000_000 * SECOND,
            sites: Vec::new(),
            clients: Vec::new(),
            rng: ChaCha20Rng::seed_from_u64(1),
            tls_sessions: 0,
            dials: Vec::new(),
            lookups: Vec::new(),
            hold_dials: false,
            secrets: BTreeMap::new(),
        };
        world.router(config);
        world
    }

    /// A further router; its number.
    pub fn router(&mut self, config: RouterConfig) -> usize {
        let number = self.sites.len();
        let credentials = certificates::credentials(number as u8 + 1);
        let address = RouterAddress {
            hosts: vec![format!("router{number}.test").parse().unwrap()],
            port: None,
            identity: credentials.chain.identity().unwrap(),
            password: None,
        };
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        self.sites.push(Site {
            core: Router::new(config, credentials, QueueStore::default().journaled(), rng),
            address,
            ends: BTreeMap::new(),
            writable: BTreeSet::new(),
            inbox: BTreeMap::new(),
            closed: BTreeSet::new(),
            stalled: BTreeSet::new(),
        });
        number
    }
}
