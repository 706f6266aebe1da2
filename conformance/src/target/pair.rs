//! Our router's core in this process: no sockets, no TLS, and a clock that moves only while somebody waits.
//!
//! Session ids are made up, what TLS tells (certificates, the application protocol) is taken from what each side was
//! given. Looking at TLS ([`Look`]) is done with the router's own end of it, on a connection in memory, and names are asked
//! for with its own HTTP. The suite's relays are reached by their addresses. What the router keeps survives [`Operation::Restart`]
//! and [`Operation::Kill`].

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_node::identity::RouterIdentity;
use sxlab_node::tls::{Acceptor, Entropy, SMP_ALPN, TlsMutant};
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::smp::error::NameError;
use sxlab_protocol::smp::name::{Name, NameRecord};
use sxlab_protocol::smp::router::{
    DialFailure, LookupNo, Mutant, QueueStore, Router, RouterConfig, RouterEvent,
};
use sxlab_protocol::transport::{BLOCK_SIZE, RouterCredentials};
use sxlab_protocol::wire::{RouterAddress, VersionRange};

use super::names::{InMemory, WrongResolver};
use super::{
    Dial, Instance, Line, Listen, Look, Looked, Lookups, NoConnection, Operation, Read, Settings, Target,
    Tls, Unavailable, look,
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
    /// What the router is wrong in, on purpose.
    pub mutant: Option<Mutant>,
    /// What its TLS is wrong in.
    pub tls: Option<TlsMutant>,
    /// What it asks its resolver of names wrongly.
    pub resolver: Option<WrongResolver>,
}

impl Default for Pair {
    fn default() -> Self {
        Self {
            name: "sim".to_owned(),
            config: RouterConfig::default(),
            mutant: None,
            tls: None,
            resolver: None,
        }
    }
}

impl Target for Pair {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn start(&self, settings: &Settings, seed: u64) -> Result<Box<dyn Instance>, Unavailable> {
        let names = settings.resolver.clone();
        let mut config = router_config(&self.config, &Settings { resolver: None, ..settings.clone() })?;
        config.resolver = names.is_some();
        let mut running = Running::start(self.config.clone(), self.mutant, config, seed)?;
        running.tls = self.tls;
        running.names = names.map(|names| InMemory::new(names, self.resolver)).transpose()?;
        Ok(Box::new(running))
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

/// Routers and the connections with them; the first router is the one under test.
struct Running {
    now: u64,
    base: RouterConfig,
    mutant: Option<Mutant>,
    /// What is wrong with TLS.
    tls: Option<TlsMutant>,
    /// The resolver of names, and lookups that wait for it: until when, whose, and what comes of them.
    names: Option<InMemory>,
    lookups: BTreeMap<(u64, usize, LookupNo), Result<NameRecord, NameError>>,
    sites: Vec<Site>,
    rng: ChaCha20Rng,
    lines: Vec<Connection>,
    /// The connection of a router's session.
    ends: BTreeMap<(usize, SessionNo), usize>,
    doors: Vec<Door>,
    sessions: u64,
}

/// A router.
struct Site {
    config: RouterConfig,
    identity: RouterIdentity,
    address: RouterAddress,
    core: Router,
}

/// A router's end of a connection. The other end is the suite's, or another router's with a connection of its own here.
struct Connection {
    site: usize,
    session: SessionNo,
    /// The connection of the router at the other end.
    peer: Option<usize>,
    /// For the other end to read.
    blocks: VecDeque<Vec<u8>>,
    /// Whether the core has more to write.
    writable: bool,
    /// For the router to read: whole blocks, and what is not a whole one yet.
    inbox: VecDeque<Vec<u8>>,
    rest: Vec<u8>,
    /// Whether either end closed it.
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
    fn start(
        base: RouterConfig,
        mutant: Option<Mutant>,
        config: RouterConfig,
        seed: u64,
    ) -> Result<Self, Unavailable> {
        let mut running = Self {
            now: 1_800_000_000 * SECOND,
            base,
            mutant,
            tls: None,
            names: None,
            lookups: BTreeMap::new(),
            sites: Vec::new(),
            rng: ChaCha20Rng::seed_from_u64(seed),
            lines: Vec::new(),
            ends: BTreeMap::new(),
            doors: Vec::new(),
            sessions: 0,
        };
        running.router(config)?;
        Ok(running)
    }

    fn router(&mut self, config: RouterConfig) -> Result<RouterAddress, Unavailable> {
        let host = format!("router{}.test", self.sites.len());
        let identity = RouterIdentity::mint(&host, &mut self.rng).map_err(ours)?;
        let address = address(&host, identity.identity_hash())?;
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        let core = Router::new(config.clone(), credentials(&identity), QueueStore::default(), rng);
        // The further routers are right.
        let core = if self.sites.is_empty() { wrong(core, self.mutant) } else { core };
        self.sites.push(Site { config, identity, address: address.clone(), core });
        Ok(address)
    }

    fn site(&mut self) -> Result<&mut Site, Unavailable> {
        self.sites.first_mut().ok_or_else(|| Unavailable("there is no router".to_owned()))
    }

    fn session_id(&mut self) -> Vec<u8> {
        self.sessions += 1;
        sha256(&self.sessions.to_be_bytes()).to_vec()
    }

    fn line(&mut self, site: usize, session: SessionNo) -> usize {
        let line = self.lines.len();
        self.lines.push(Connection {
            site,
            session,
            peer: None,
            blocks: VecDeque::new(),
            writable: true,
            inbox: VecDeque::new(),
            rest: Vec::new(),
            closed: false,
        });
        self.ends.insert((site, session), line);
        line
    }

    /// Moves blocks until nothing moves any more. Time stands still.
    fn drive(&mut self) {
        while self.step() {}
    }

    fn step(&mut self) -> bool {
        let mut moved = false;
        for site in 0..self.sites.len() {
            while let Some(event) = self.sites.get_mut(site).and_then(|site| site.core.poll()) {
                moved = true;
                self.event(site, event);
            }
        }
        let mut passed = Vec::new();
        for connection in &mut self.lines {
            let Some(site) = self.sites.get_mut(connection.site) else { continue };
            moved |= connection.fill(&mut site.core);
            if !connection.closed
                && site.core.wants_block(connection.session)
                && let Some(block) = connection.inbox.pop_front()
            {
                site.core.block(connection.session, &block, self.now);
                moved = true;
            }
            if let Some(peer) = connection.peer {
                passed.extend(connection.blocks.drain(..).map(|block| (peer, block)));
            }
        }
        for (peer, block) in passed {
            if let Some(connection) = self.lines.get_mut(peer) {
                connection.inbox.push_back(block);
            }
            moved = true;
        }
        moved
    }

    /// Asks the resolver; its outcome comes when it does.
    fn look_up(&mut self, site: usize, lookup: LookupNo, name: &Name) {
        let absent = (Err(NameError::NoResolver), 0);
        let (outcome, after) = self.names.as_mut().map_or(absent, |names| names.look_up(name));
        if after == 0 {
            if let Some(site) = self.sites.get_mut(site) {
                site.core.resolved(lookup, outcome);
            }
            return;
        }
        if let Some(names) = &self.names {
            names.desk().opened();
        }
        self.lookups.insert((self.now.saturating_add(after), site, lookup), outcome);
    }

    /// Gives routers the outcomes that have come by now.
    fn resolved(&mut self) {
        while let Some(((due, site, lookup), outcome)) = self.lookups.pop_first() {
            if due > self.now {
                self.lookups.insert((due, site, lookup), outcome);
                return;
            }
            if let Some(names) = &self.names {
                names.desk().closed();
            }
            if let Some(site) = self.sites.get_mut(site) {
                site.core.resolved(lookup, outcome);
            }
        }
    }

    fn event(&mut self, site: usize, event: RouterEvent) {
        match event {
            RouterEvent::Writable(session) => {
                let line = self.ends.get(&(site, session)).and_then(|line| self.lines.get_mut(*line));
                if let Some(connection) = line {
                    connection.writable = true;
                }
            }
            RouterEvent::Close(session) => {
                let line = self.ends.get(&(site, session)).copied();
                if let Some((connection, site)) =
                    line.and_then(|line| self.lines.get_mut(line)).zip(self.sites.get_mut(site))
                {
                    while let Some(block) = site.core.next_block(session) {
                        connection.blocks.push_back(block);
                    }
                }
                match line {
                    Some(line) => self.end(line),
                    None => self.forget(site, session),
                }
            }
            RouterEvent::Dial { session, address } => self.dial(site, session, &address),
            RouterEvent::Resolve { lookup, name } => {
                self.look_up(site, lookup, &name);
            }
        }
    }

    fn forget(&mut self, site: usize, session: SessionNo) {
        if let Some(site) = self.sites.get_mut(site) {
            site.core.closed(session, self.now);
        }
    }

    /// Ends a connection, at both ends if routers have both.
    fn end(&mut self, line: usize) {
        let Some(connection) = self.lines.get_mut(line).filter(|connection| !connection.closed) else {
            return;
        };
        connection.closed = true;
        let (site, session, peer) = (connection.site, connection.session, connection.peer);
        let last = if peer.is_some() { std::mem::take(&mut connection.blocks) } else { VecDeque::new() };
        self.ends.remove(&(site, session));
        self.forget(site, session);
        if let Some(peer) = peer {
            if let Some((other, now)) = self.lines.get_mut(peer).zip(Some(self.now))
                && let Some(site) = self.sites.get_mut(other.site)
            {
                for block in other.inbox.drain(..).chain(last) {
                    site.core.block(other.session, &block, now);
                }
            }
            self.end(peer);
        }
    }

    /// Connects a router with a door of the suite, or with another router.
    fn dial(&mut self, from: usize, session: SessionNo, to: &RouterAddress) {
        let reached = match self.doors.iter().position(|door| door.address == *to) {
            Some(door) => self.dial_door(from, session, door),
            None => match self.sites.iter().position(|site| site.address == *to) {
                Some(site) => self.dial_router(from, session, site),
                None => None,
            },
        };
        let now = self.now;
        if let Some(site) = self.sites.get_mut(from) {
            match reached {
                Some(session_id) => site.core.dialed(session, session_id, now),
                None => site.core.dial_failed(session, DialFailure::Network, now),
            }
        }
    }

    fn dial_router(&mut self, from: usize, session: SessionNo, to: usize) -> Option<Vec<u8>> {
        let session_id = self.session_id();
        let now = self.now;
        let accepted = self.sites.get_mut(to)?.core.accept("router.test", session_id.clone(), true, now);
        let (near, far) = (self.line(from, session), self.line(to, accepted));
        self.lines.get_mut(near)?.peer = Some(far);
        self.lines.get_mut(far)?.peer = Some(near);
        Some(session_id)
    }

    fn dial_door(&mut self, from: usize, session: SessionNo, door: usize) -> Option<Vec<u8>> {
        let session_id = self.session_id();
        let chain = self.sites.get(from)?.identity.chain().ders.clone();
        let listen = &self.doors.get(door)?.listen;
        let alpn = listen.alpn.iter().find(|name| name.as_slice() == b"smp/1").cloned();
        let known = listen.identity.identity_hash() == listen.named;
        let arrived = if known {
            let line = Line(self.line(from, session));
            Ok((line, Tls { session_id: session_id.clone(), alpn, chain }))
        } else {
            Err(NoConnection::Tls("the router does not accept the certificates".to_owned()))
        };
        self.doors.get_mut(door)?.arrived.push_back(arrived);
        known.then_some(session_id)
    }

    /// Jumps to the next time at which a router has something to do, if that is at `until` at the latest.
    fn tick(&mut self, until: u64) -> bool {
        let next = self.sites.iter().filter_map(|site| site.core.next_timeout());
        let next = next.chain(self.lookups.first_key_value().map(|((due, ..), _)| *due)).min();
        let Some(due) = next.filter(|due| *due <= until) else { return false };
        self.now = self.now.max(due);
        for site in &mut self.sites {
            site.core.timeout(self.now);
        }
        self.resolved();
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

    /// Starts the router under test again with what it keeps.
    fn restart(&mut self) {
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        for line in 0..self.lines.len() {
            if self.lines.get(line).is_some_and(|connection| connection.site == 0) {
                self.end(line);
            }
        }
        let Some(site) = self.sites.first_mut() else { return };
        let none = RouterConfig::default();
        let gone = Router::new(none, credentials(&site.identity), QueueStore::default(), rng.clone());
        let store = std::mem::replace(&mut site.core, gone).into_store();
        let core = Router::new(site.config.clone(), credentials(&site.identity), store, rng);
        site.core = wrong(core, self.mutant);
    }
}

fn wrong(core: Router, mutant: Option<Mutant>) -> Router {
    match mutant {
        None => core,
        Some(mutant) => core.wrong_in(mutant),
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
        self.sites.first().map(|site| &site.address)
    }

    fn connect(&mut self, how: &Dial) -> Result<(Line, Tls), NoConnection> {
        let to = match &how.to {
            None => Some(0),
            Some(address) => self.sites.iter().position(|site| site.address == *address),
        };
        let nobody = || NoConnection::Unreachable("no router has this address".to_owned());
        let to = to.ok_or_else(nobody)?;
        let alpn = how.alpn.iter().find(|name| KNOWN_ALPN.contains(&name.as_slice())).cloned();
        if alpn.is_none() && !how.alpn.is_empty() {
            return Err(NoConnection::Tls("no_application_protocol".to_owned()));
        }
        let session_id = self.session_id();
        let now = self.now;
        let site = self.sites.get_mut(to).ok_or_else(nobody)?;
        let chain = site.identity.chain().ders.clone();
        let presented = how.identity.as_ref().map(|own| own.chain().ders.clone()).unwrap_or_default();
        let session =
            site.core.accept_with_chain("client.test", session_id.clone(), alpn.is_some(), presented, now);
        let line = Line(self.line(to, session));
        self.drive();
        Ok((line, Tls { session_id, alpn, chain }))
    }

    fn look(&mut self, how: &Look) -> Result<Looked, NoConnection> {
        // The router's own end of TLS, on a connection in memory.
        let (tls, now) = (self.tls, self.now);
        let session_id = self.session_id();
        let entropies = [(); 4].map(|()| Entropy::seeded(ChaCha20Rng::from_rng(&mut self.rng), now / SECOND));
        let gone = || NoConnection::Unreachable("there is no router".to_owned());
        let site = self.sites.first_mut().ok_or_else(gone)?;
        let acceptor = match tls {
            None => Acceptor::new(&site.identity, &SMP_ALPN),
            Some(wrong) => Acceptor::wrong_in(&site.identity, &SMP_ALPN, wrong),
        };
        let acceptor = acceptor.map_err(|error| NoConnection::Tls(error.to_string()))?;
        let session = site.core.accept("client.test", session_id, true, now);
        let hello = site.core.next_block(session).unwrap_or_default();
        site.core.closed(session, now);
        let probe = look::probe(site.address.identity, how)?;
        let [one, two, three, four] = entropies;
        let first = look::in_memory(&acceptor, &probe, &hello, [one, two])?;
        let second = look::in_memory(&acceptor, &probe, &hello, [three, four]).unwrap_or_default();
        Ok(look::both(first, second))
    }

    fn lookups(&mut self) -> Result<Lookups, Unavailable> {
        self.names.as_ref().map(|names| names.desk().lookups()).ok_or_else(|| ours("it has no resolver"))
    }

    fn further(&mut self, settings: &Settings) -> Result<RouterAddress, Unavailable> {
        self.router(router_config(&self.base, settings)?)
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
        self.end(line);
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
                self.site()?.core.block_queue(queue, *info);
            }
            Operation::Unblock(queue) => {
                self.site()?.core.unblock_queue(queue);
            }
            Operation::Restart | Operation::Kill => self.restart(),
        }
        self.drive();
        Ok(())
    }
}
