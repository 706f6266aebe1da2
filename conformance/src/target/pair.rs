//! Our router's core in this process: no sockets, no TLS, and a clock that moves only while somebody waits.
//!
//! Session ids are made up, what TLS tells (certificates, the application protocol) is taken from what each side was
//! given. The suite's relays are reached by their addresses. What the router keeps survives [`Operation::Restart`]
//! and [`Operation::Kill`].

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_node::identity::RouterIdentity;
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::smp::router::{DialFailure, QueueStore, Router, RouterConfig, RouterEvent};
use sxlab_protocol::transport::{BLOCK_SIZE, RouterCredentials};
use sxlab_protocol::wire::{RouterAddress, VersionRange};

use super::{
    Dial, Instance, Line, Listen, NoConnection, Operation, Read, Settings, Target, Tls, Unavailable,
};

const SECOND: u64 = 1_000_000_000;

/// Longer than every default interval and limit within which something has to come.
const PATIENCE: u64 = 60 * SECOND;

/// Longer than the interval of END and DELD.
const SILENCE: u64 = 20 * SECOND;

/// Blocks that a connection holds for a suite that does not read.
const BUFFERED: usize = 16;

/// Application protocols of a router.
const KNOWN_ALPN: [&[u8]; 3] = [b"smp/1", b"h2", b"http/1.1"];

/// The target.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What results call it.
    pub name: String,
    /// What the settings of a case change.
    pub config: RouterConfig,
}

impl Default for Pair {
    fn default() -> Self {
        Self { name: "sim".to_owned(), config: RouterConfig::default() }
    }
}

impl Target for Pair {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn start(&self, settings: &Settings, seed: u64) -> Result<Box<dyn Instance>, Unavailable> {
        Ok(Box::new(Running::start(router_config(&self.config, settings)?, seed)?))
    }
}

/// The configuration of our router for these settings.
///
/// # Errors
/// [`Unavailable`] for what our router does not have.
pub fn router_config(base: &RouterConfig, settings: &Settings) -> Result<RouterConfig, Unavailable> {
    let mut config = base.clone();
    if settings.resolver.is_some() {
        return Err(Unavailable("this router has no resolver of names".to_owned()));
    }
    let set = |to: &mut u64, value: Option<u64>| *to = value.unwrap_or(*to);
    set(&mut config.message_ttl, settings.message_ttl);
    set(&mut config.expiry_interval, settings.expiry_interval);
    set(&mut config.end_interval, settings.end_interval);
    set(&mut config.notification_interval, settings.notification_interval);
    set(&mut config.notification_ttl, settings.notification_ttl);
    set(&mut config.handshake_timeout, settings.handshake_timeout);
    config.queue_quota = settings.quota.unwrap_or(config.queue_quota);
    config.expire_on_send = settings.expire_on_send.unwrap_or(config.expire_on_send);
    config.new_queues = settings.new_queues.unwrap_or(config.new_queues);
    config.proxy = settings.proxy.unwrap_or(config.proxy);
    config.password = settings.password.clone().or(config.password);
    if let Some((ttl, interval)) = settings.inactive {
        (config.inactive_ttl, config.inactive_interval) = (ttl, interval);
    }
    if let Some(max) = settings.max_version {
        config.versions = VersionRange::new(config.versions.min, max.min(config.versions.max))
            .map_err(|_| Unavailable(format!("this router speaks no version up to {max}")))?;
    }
    Ok(config)
}

/// A router and the connections with it.
struct Running {
    now: u64,
    config: RouterConfig,
    identity: RouterIdentity,
    address: RouterAddress,
    rng: ChaCha20Rng,
    core: Router,
    lines: Vec<Connection>,
    ends: BTreeMap<SessionNo, usize>,
    doors: Vec<Door>,
    sessions: u64,
}

struct Connection {
    session: SessionNo,
    /// For the suite to read.
    blocks: VecDeque<Vec<u8>>,
    /// Whether the core has more to write.
    writable: bool,
    /// Written by the suite: whole blocks, and what is not a whole one yet.
    inbox: VecDeque<Vec<u8>>,
    rest: Vec<u8>,
    /// Whether the router, or the suite, ended it.
    closed: bool,
}

/// Where the suite waits for connections.
struct Door {
    address: RouterAddress,
    listen: Listen,
    arrived: VecDeque<Result<(Line, Tls), NoConnection>>,
}

fn ours(error: impl std::fmt::Display) -> Unavailable {
    Unavailable(format!("the router does not start: {error}"))
}

fn credentials(identity: &RouterIdentity) -> RouterCredentials {
    RouterCredentials { chain: identity.chain().clone(), leaf: identity.leaf_key() }
}

fn address(host: &str, identity: [u8; 32]) -> Result<RouterAddress, Unavailable> {
    Ok(RouterAddress { hosts: vec![host.parse().map_err(ours)?], port: None, identity, password: None })
}

impl Running {
    fn start(config: RouterConfig, seed: u64) -> Result<Self, Unavailable> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let identity = RouterIdentity::mint("router.test", &mut rng).map_err(ours)?;
        let core_rng = ChaCha20Rng::from_rng(&mut rng);
        let core = Router::new(config.clone(), credentials(&identity), QueueStore::default(), core_rng);
        Ok(Self {
            now: 1_800_000_000 * SECOND,
            config,
            address: address("router.test", identity.identity_hash())?,
            identity,
            rng,
            core,
            lines: Vec::new(),
            ends: BTreeMap::new(),
            doors: Vec::new(),
            sessions: 0,
        })
    }

    fn session_id(&mut self) -> Vec<u8> {
        self.sessions += 1;
        sha256(&self.sessions.to_be_bytes()).to_vec()
    }

    fn line(&mut self, session: SessionNo) -> Line {
        let line = self.lines.len();
        self.lines.push(Connection {
            session,
            blocks: VecDeque::new(),
            writable: true,
            inbox: VecDeque::new(),
            rest: Vec::new(),
            closed: false,
        });
        self.ends.insert(session, line);
        Line(line)
    }

    /// Moves blocks until nothing moves any more. Time stands still.
    fn drive(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            while let Some(event) = self.core.poll() {
                moved = true;
                self.event(event);
            }
            for connection in &mut self.lines {
                moved |= connection.fill(&mut self.core);
                if !connection.closed
                    && self.core.wants_block(connection.session)
                    && let Some(block) = connection.inbox.pop_front()
                {
                    self.core.block(connection.session, &block, self.now);
                    moved = true;
                }
            }
        }
    }

    fn event(&mut self, event: RouterEvent) {
        match event {
            RouterEvent::Writable(session) => {
                let line = self.ends.get(&session).and_then(|line| self.lines.get_mut(*line));
                if let Some(connection) = line {
                    connection.writable = true;
                }
            }
            RouterEvent::Close(session) => {
                let line = self.ends.remove(&session).and_then(|line| self.lines.get_mut(line));
                if let Some(connection) = line {
                    while let Some(block) = self.core.next_block(session) {
                        connection.blocks.push_back(block);
                    }
                    connection.closed = true;
                }
                self.core.closed(session, self.now);
            }
            RouterEvent::Dial { session, address } => self.dialed(session, &address),
        }
    }

    fn dialed(&mut self, session: SessionNo, to: &RouterAddress) {
        let Some(door) = self.doors.iter().position(|door| door.address == *to) else {
            return self.core.dial_failed(session, DialFailure::Network, self.now);
        };
        let session_id = self.session_id();
        let Some(listen) = self.doors.get(door).map(|door| door.listen.clone()) else { return };
        let arrived = if listen.identity.identity_hash() == listen.named {
            let alpn = listen.alpn.iter().find(|name| name.as_slice() == b"smp/1").cloned();
            let tls = Tls { session_id: session_id.clone(), alpn, chain: self.identity.chain().ders.clone() };
            let line = self.line(session);
            self.core.dialed(session, session_id, self.now);
            Ok((line, tls))
        } else {
            self.core.dial_failed(session, DialFailure::Network, self.now);
            Err(NoConnection::Tls("the router does not accept the certificates".to_owned()))
        };
        if let Some(door) = self.doors.get_mut(door) {
            door.arrived.push_back(arrived);
        }
    }

    /// Jumps to the next time at which the router has something to do, if that is at `until` at the latest.
    fn tick(&mut self, until: u64) -> bool {
        let Some(due) = self.core.next_timeout().filter(|due| *due <= until) else { return false };
        self.now = self.now.max(due);
        self.core.timeout(self.now);
        self.drive();
        true
    }

    /// Lets time pass until `done` gives something, for `patience` at most.
    fn until<T>(&mut self, patience: u64, mut done: impl FnMut(&mut Self) -> Option<T>) -> Option<T> {
        let end = self.now.saturating_add(patience);
        self.drive();
        loop {
            if let Some(found) = done(self) {
                return Some(found);
            }
            if !self.tick(end) {
                self.now = self.now.max(end);
                return None;
            }
        }
    }
}

impl Connection {
    /// Takes what the router has to write, as far as there is room.
    fn fill(&mut self, core: &mut Router) -> bool {
        let mut moved = false;
        while self.writable && !self.closed && self.blocks.len() < BUFFERED {
            match core.next_block(self.session) {
                Some(block) => {
                    self.blocks.push_back(block);
                    moved = true;
                }
                None => self.writable = false,
            }
        }
        moved
    }
}

impl Instance for Running {
    fn address(&self) -> Option<&RouterAddress> {
        Some(&self.address)
    }

    fn connect(&mut self, how: &Dial) -> Result<(Line, Tls), NoConnection> {
        let alpn = how.alpn.iter().find(|name| KNOWN_ALPN.contains(&name.as_slice())).cloned();
        if alpn.is_none() && !how.alpn.is_empty() {
            return Err(NoConnection::Tls("no_application_protocol".to_owned()));
        }
        let session_id = self.session_id();
        let session = self.core.accept("client.test", session_id.clone(), alpn.is_some(), self.now);
        let line = self.line(session);
        self.drive();
        Ok((line, Tls { session_id, alpn, chain: self.identity.chain().ders.clone() }))
    }

    fn listen(&mut self, how: &Listen) -> Result<RouterAddress, Unavailable> {
        let address = address(&format!("relay{}.test", self.doors.len()), how.named)?;
        self.doors.push(Door { address: address.clone(), listen: how.clone(), arrived: VecDeque::new() });
        Ok(address)
    }

    fn accept(&mut self, at: &RouterAddress, patience: u64) -> Result<Option<(Line, Tls)>, NoConnection> {
        self.until(patience, |running| {
            running.doors.iter_mut().find(|door| door.address == *at)?.arrived.pop_front()
        })
        .transpose()
    }

    fn write(&mut self, Line(line): Line, bytes: &[u8]) -> bool {
        let Some(connection) = self.lines.get_mut(line).filter(|connection| !connection.closed) else {
            return false;
        };
        connection.rest.extend_from_slice(bytes);
        while connection.rest.len() >= BLOCK_SIZE {
            let rest = connection.rest.split_off(BLOCK_SIZE);
            connection.inbox.push_back(std::mem::replace(&mut connection.rest, rest));
        }
        self.drive();
        true
    }

    fn read(&mut self, Line(line): Line, patience: u64) -> Read {
        let read = self.until(patience, |running| {
            let connection = running.lines.get_mut(line)?;
            if let Some(block) = connection.blocks.pop_front() {
                return Some(Read::Block(block));
            }
            connection.closed.then(|| Read::Closed(Vec::new()))
        });
        read.unwrap_or(Read::Nothing)
    }

    fn close(&mut self, Line(line): Line) {
        let Some(connection) = self.lines.get_mut(line).filter(|connection| !connection.closed) else {
            return;
        };
        connection.closed = true;
        self.ends.remove(&connection.session);
        self.core.closed(connection.session, self.now);
        self.drive();
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn wait(&mut self, time: u64) {
        self.until(time, |_| None::<()>);
    }

    fn patience(&self) -> u64 {
        PATIENCE
    }

    fn silence(&self) -> u64 {
        SILENCE
    }

    fn operate(&mut self, what: &Operation) -> Result<(), Unavailable> {
        match what {
            Operation::Block(queue, info) => {
                self.core.block_queue(queue, *info);
            }
            Operation::Unblock(queue) => {
                self.core.unblock_queue(queue);
            }
            Operation::Restart | Operation::Kill => {
                let rng = ChaCha20Rng::from_rng(&mut self.rng);
                let empty = RouterConfig::default();
                let gone =
                    Router::new(empty, credentials(&self.identity), QueueStore::default(), rng.clone());
                let store = std::mem::replace(&mut self.core, gone).into_store();
                self.core = Router::new(self.config.clone(), credentials(&self.identity), store, rng);
                self.ends.clear();
                for connection in &mut self.lines {
                    connection.closed = true;
                }
            }
        }
        self.drive();
        Ok(())
    }
}
