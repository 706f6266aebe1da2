//! Our notification router's core in this process.

use std::collections::VecDeque;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_node::identity::RouterIdentity;
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::ntf::handshake::{BLOCK_SIZE, ClientHello};
use sxlab_protocol::ntf::router::{
    PushAnswer, PushNo, PushRequest, Record, Router, RouterConfig, RouterEvent, SmpAsk, SmpNo, SmpTold, Store,
};
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::transport::RouterCredentials;
use sxlab_protocol::wire::unpad;

use super::mutant::{NtfMutant, Wrong};
use crate::lab::{Failure, SECOND};

/// The target.
#[derive(Clone, Debug, Default)]
pub struct NtfPair {
    /// The router's configuration, before a case changes it.
    pub config: RouterConfig,
    /// What the router is wrong in, on purpose.
    pub mutant: Option<NtfMutant>,
}

impl NtfPair {
    /// What results call it.
    pub fn name(&self) -> String {
        "sim".to_owned()
    }

    /// A router for one run of a case. What is random in it follows from `seed`.
    pub(crate) fn start(&self, seed: u64) -> Result<Running, Failure> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let identity = RouterIdentity::mint("ntf.test", &mut rng).map_err(Failure::error)?;
        let own = ChaCha20Rng::from_rng(&mut rng);
        let wrong = Wrong { mutant: self.mutant, ..Wrong::default() };
        let router = router(&wrong.configured(&self.config), &identity, Store::default(), own);
        let mut running = Running {
            wrong,
            now: 1_800_000_000 * SECOND,
            config: self.config.clone(),
            identity,
            router,
            rng,
            lines: Vec::new(),
            pushes: VecDeque::new(),
            asked: VecDeque::new(),
            sessions: 0,
        };
        running.router.start(running.now);
        running.drive();
        Ok(running)
    }
}

fn router(config: &RouterConfig, identity: &RouterIdentity, store: Store, rng: ChaCha20Rng) -> Router {
    let credentials = RouterCredentials { chain: identity.chain().clone(), leaf: identity.leaf_key() };
    Router::new(config.clone(), credentials, store, rng)
}

/// A router and the connections with it.
pub(crate) struct Running {
    wrong: Wrong,
    pub(super) now: u64,
    config: RouterConfig,
    pub(super) identity: RouterIdentity,
    router: Router,
    pub(super) rng: ChaCha20Rng,
    lines: Vec<Line>,
    /// What the provider was asked for and has not answered.
    pub(super) pushes: VecDeque<PushRequest>,
    /// What SMP routers were asked.
    pub(super) asked: VecDeque<(SmpNo, SmpAsk)>,
    sessions: u64,
}

/// A connection.
struct Line {
    session: SessionNo,
    session_id: Vec<u8>,
    /// Whether the router's hello came.
    greeted: bool,
    /// The version in the device's hello, once that was written.
    version: Option<u16>,
    /// Bytes that do not make a block yet.
    begun: Vec<u8>,
    /// Blocks from the router.
    blocks: VecDeque<Vec<u8>>,
    closed: bool,
}

impl Running {
    /// Connects; gives the connection's number and its session id.
    pub(super) fn connect(&mut self, alpn: bool) -> (usize, Vec<u8>) {
        self.sessions += 1;
        let id = sha256(&self.sessions.to_be_bytes()).to_vec();
        let alpn = alpn || self.wrong.is(NtfMutant::OffersAllWithoutAlpn);
        let session = self.router.accept("device.test", id.clone(), alpn, self.now);
        self.lines.push(Line {
            session,
            session_id: id.clone(),
            greeted: false,
            version: None,
            begun: Vec::new(),
            blocks: VecDeque::new(),
            closed: false,
        });
        self.drive();
        (self.lines.len() - 1, id)
    }

    /// Writes bytes of the stream: the router reads a block when all of it is there.
    pub(super) fn write(&mut self, line: usize, bytes: &[u8]) {
        let Some(at) = self.lines.get_mut(line) else { return };
        at.begun.extend_from_slice(bytes);
        let (session, mut blocks) = (at.session, Vec::new());
        while at.begun.len() >= BLOCK_SIZE {
            let rest = at.begun.split_off(BLOCK_SIZE);
            let mut block = std::mem::replace(&mut at.begun, rest);
            if at.version.is_none() {
                block = self.wrong.client_hello(block, self.identity.identity_hash());
                let hello = unpad(&block).ok().and_then(|content| ClientHello::decode(content).ok());
                at.version = Some(hello.map_or(0, |hello| hello.version));
            }
            blocks.push(block);
        }
        for block in blocks {
            self.router.block(session, &block, self.now);
            self.drive();
        }
    }

    /// The next block that came.
    pub(super) fn read(&mut self, line: usize) -> Option<Vec<u8>> {
        self.lines.get_mut(line)?.blocks.pop_front()
    }

    pub(super) fn is_closed(&self, line: usize) -> bool {
        self.lines.get(line).is_none_or(|line| line.closed)
    }

    /// Does what the router asks for until it asks for nothing more.
    pub(super) fn drive(&mut self) {
        while let Some(event) = self.router.poll() {
            match event {
                RouterEvent::Writable(session) => self.take(session),
                RouterEvent::Close(session) => {
                    self.take(session);
                    for line in self.lines.iter_mut().filter(|line| line.session == session) {
                        line.closed = true;
                    }
                    self.router.closed(session);
                }
                RouterEvent::Push(request) => {
                    if self.wrong.is(NtfMutant::ConfirmsAtOnce) {
                        self.router.pushed(request.number, &PushAnswer::ACCEPTED, self.now);
                    }
                    self.pushes.extend(self.wrong.push(*request));
                }
                RouterEvent::Smp(no, asked) => {
                    let asked = self.wrong.asked(no, asked, &mut self.rng);
                    self.asked.extend(asked.map(|asked| (no, asked)));
                }
            }
        }
    }

    fn take(&mut self, session: SessionNo) {
        let Some(line) = self.lines.iter_mut().find(|line| line.session == session) else { return };
        while let Some(block) = self.router.next_block(session) {
            if std::mem::replace(&mut line.greeted, true) {
                let version = line.version.unwrap_or_default();
                line.blocks.extend(self.wrong.answers(version, &line.session_id, block));
            } else {
                line.blocks.push_back(self.wrong.router_hello(block));
            }
        }
    }

    /// Moves time on, stopping at each timeout.
    pub(super) fn pass(&mut self, time: u64) {
        let end = self.now.saturating_add(time);
        while let Some(at) = self.router.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.router.timeout(self.now);
            self.drive();
        }
        self.now = end;
    }

    /// The provider answers.
    pub(super) fn pushed(&mut self, number: PushNo, answer: PushAnswer) {
        let answer = self.wrong.provider(answer);
        self.router.pushed(number, &answer, self.now);
        self.drive();
    }

    /// The router is told something of an SMP router.
    pub(super) fn told(&mut self, no: SmpNo, told: SmpTold) {
        if let Some(told) = self.wrong.told(told) {
            self.router.smp(no, told, self.now);
        }
        self.drive();
    }

    /// Stops the router and starts it again with what it keeps, in bytes and back; connections end. `change` changes its
    /// configuration.
    pub(super) fn restart(&mut self, change: impl FnOnce(&mut RouterConfig)) -> Result<(), Failure> {
        change(&mut self.config);
        let mut store = Store::default();
        for record in self.router.store().records() {
            let record = Record::decode(&record.key().encode(), &record.value()).map_err(Failure::error)?;
            if let Some(record) = self.wrong.record(record) {
                store.restore(record).map_err(Failure::error)?;
            }
        }
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        self.router = router(&self.wrong.configured(&self.config), &self.identity, store, rng);
        self.lines.iter_mut().for_each(|line| {
            // No session of the new router has this number.
            (line.closed, line.session) = (true, SessionNo(0));
        });
        self.pushes.clear();
        self.asked.clear();
        self.router.start(self.now);
        self.drive();
        Ok(())
    }
}
