//! Router cores and the connections of clients and other routers to them, without TLS and with a clock of their own.

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::smp::error::BlockingInfo;
use sxlab_protocol::smp::router::{DialFailure, QueueStore, Router, RouterConfig, RouterEvent};
use sxlab_protocol::wire::EntityId;

use crate::certificates;

pub const SECOND: u64 = 1_000_000_000;

/// Longer than every interval of the recorded settings, shorter than the limits for peers that say nothing.
const PATIENCE: u64 = 25 * SECOND;

pub struct Routers {
    pub now: u64,
    sites: Vec<Site>,
    lines: Vec<Line>,
    tls_sessions: u64,
    /// The router that the next outgoing connection reaches, if it names that router's identity.
    pub dial_to: Option<usize>,
}

struct Site {
    core: Router,
    identity: [u8; 32],
    ends: BTreeMap<SessionNo, End>,
    inbox: VecDeque<(SessionNo, Vec<u8>)>,
}

#[derive(Clone, Copy)]
enum End {
    Line(usize),
    Router(usize, SessionNo),
}

/// A client's connection.
struct Line {
    site: usize,
    session: SessionNo,
    blocks: VecDeque<Vec<u8>>,
    /// Whether the router closed it.
    closed: bool,
}

impl Routers {
    pub fn new() -> Self {
        Routers {
            now: 1_800_000_000 * SECOND,
            sites: Vec::new(),
            lines: Vec::new(),
            tls_sessions: 0,
            dial_to: None,
        }
    }

    /// A further router. Those with the same `seed` show the same certificates.
    pub fn router(&mut self, config: RouterConfig, seed: u8) -> usize {
        let credentials = certificates::credentials(seed);
        let identity = credentials.chain.identity().unwrap();
        let rng = ChaCha20Rng::seed_from_u64(self.sites.len() as u64);
        let core = Router::new(config, credentials, QueueStore::default(), rng);
        self.sites.push(Site { core, identity, ends: BTreeMap::new(), inbox: VecDeque::new() });
        self.sites.len() - 1
    }

    pub fn identity(&self, site: usize) -> [u8; 32] {
        self.sites[site].identity
    }

    fn tls_session(&mut self) -> Vec<u8> {
        self.tls_sessions += 1;
        sha256(&self.tls_sessions.to_be_bytes()).to_vec()
    }

    /// A connection of a client that presents these certificates in TLS; its number and its session id.
    pub fn connect(&mut self, site: usize, alpn: bool, chain: Vec<Vec<u8>>) -> (usize, Vec<u8>) {
        let tls_session = self.tls_session();
        let core = &mut self.sites[site].core;
        let session = core.accept_with_chain("client.test", tls_session.clone(), alpn, chain, self.now);
        let line = self.lines.len();
        self.lines.push(Line { site, session, blocks: VecDeque::new(), closed: false });
        self.sites[site].ends.insert(session, End::Line(line));
        self.drive();
        (line, tls_session)
    }

    /// The client writes a block. One that the router closed the connection before goes nowhere.
    pub fn write(&mut self, line: usize, block: Vec<u8>) {
        let Line { site, session, closed, .. } = self.lines[line];
        if !closed {
            self.sites[site].inbox.push_back((session, block));
            self.drive();
        }
    }

    /// The operator of a router blocks a queue, or unblocks it without `info`.
    pub fn block(&mut self, site: usize, queue: &EntityId, info: Option<BlockingInfo>) {
        match info {
            Some(info) => self.sites[site].core.block_queue(queue, info),
            None => self.sites[site].core.unblock_queue(queue),
        };
        self.drive();
    }

    /// The client closes.
    pub fn close(&mut self, line: usize) {
        let Line { site, session, .. } = self.lines[line];
        self.sites[site].ends.remove(&session);
        self.sites[site].core.closed(session, self.now);
        self.drive();
    }

    pub fn is_closed(&self, line: usize) -> bool {
        self.lines[line].closed
    }

    /// How many blocks wait to be read by the client.
    pub fn waiting(&self, line: usize) -> usize {
        self.lines[line].blocks.len()
    }

    /// The next block for the client, if there is one now.
    pub fn take(&mut self, line: usize) -> Option<Vec<u8>> {
        self.lines[line].blocks.pop_front()
    }

    /// Lets time pass until `done`, or until nothing is to be expected any more.
    pub fn wait_for(&mut self, done: impl Fn(&Self) -> bool) {
        let until = self.now + PATIENCE;
        while !done(self) && self.tick(until) {}
    }

    /// Lets time pass until `until`.
    pub fn wait_until(&mut self, until: u64) {
        while self.tick(until) {}
        self.now = self.now.max(until);
    }

    /// Jumps to the next time at which a router has something to do, if that is at `until` at the latest.
    fn tick(&mut self, until: u64) -> bool {
        let next = self.sites.iter().filter_map(|site| site.core.next_timeout()).min();
        let Some(due) = next.filter(|due| *due <= until) else { return false };
        self.now = self.now.max(due);
        for site in &mut self.sites {
            site.core.timeout(self.now);
        }
        self.drive();
        true
    }

    /// Moves blocks until nothing moves any more.
    fn drive(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            for site in 0..self.sites.len() {
                moved |= self.events(site);
                if let Some((session, block)) = self.sites[site].inbox.pop_front() {
                    self.sites[site].core.block(session, &block, self.now);
                    moved = true;
                }
            }
        }
    }

    fn events(&mut self, number: usize) -> bool {
        let mut moved = false;
        while let Some(event) = self.sites[number].core.poll() {
            moved = true;
            match event {
                RouterEvent::Writable(session) => {
                    let end = self.sites[number].ends.get(&session).copied();
                    while let Some(block) = self.sites[number].core.next_block(session) {
                        match end {
                            Some(End::Line(line)) => self.lines[line].blocks.push_back(block),
                            Some(End::Router(other, at)) => self.sites[other].inbox.push_back((at, block)),
                            None => {}
                        }
                    }
                }
                RouterEvent::Close(session) => {
                    let end = self.sites[number].ends.remove(&session);
                    self.sites[number].core.closed(session, self.now);
                    match end {
                        Some(End::Line(line)) => self.lines[line].closed = true,
                        Some(End::Router(other, at)) => {
                            self.sites[other].ends.remove(&at);
                            self.sites[other].core.closed(at, self.now);
                        }
                        None => {}
                    }
                }
                RouterEvent::Dial { session, address } => {
                    let to = self.dial_to.filter(|to| self.sites[*to].identity == address.identity);
                    let Some(to) = to else {
                        self.sites[number].core.dial_failed(session, DialFailure::Network, self.now);
                        continue;
                    };
                    let tls_session = self.tls_session();
                    let at = self.sites[to].core.accept("proxy.test", tls_session.clone(), true, self.now);
                    self.sites[to].ends.insert(at, End::Router(number, session));
                    self.sites[number].ends.insert(session, End::Router(to, at));
                    self.sites[number].core.dialed(session, tls_session, self.now);
                }
            }
        }
        moved
    }
}
