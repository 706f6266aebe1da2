//! Router cores and client cores joined by queues of blocks, without TLS and with a clock of their own.
//!
//! Every test speaks in short texts: a response is its tag, errors are in full (`ERR AUTH`), a message is `MSG ` and
//! its decrypted body (`MSG hello`, `MSG quota marker`).
#![allow(dead_code, reason = "each test uses a part")]

pub mod certificates;
pub mod recorded;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, SharedSecret, X25519Secret};
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::smp::client::{Client, ClientEvent};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue, QueueRequest};
use sxlab_protocol::smp::envelope::MessageBody;
use sxlab_protocol::smp::forward::Relay;
use sxlab_protocol::smp::name::Name;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::{
    Change, DialFailure, LookupNo, QueueStore, Record, Router, RouterConfig, RouterEvent,
};
use sxlab_protocol::transport::{
    Agreed, ClientHandshake, ServiceCredentials, ServiceReply, ServiceSigner, Unsigned, authorize_by_service,
    content, read_transmission, unpack,
};
use sxlab_protocol::wire::{CorrId, EntityId, MsgId, RouterAddress, VersionRange, unpad};

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

impl Drop for World {
    /// Whatever a test did: a router that restarts from the records of what changed has the same queues.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.sites.iter_mut().for_each(|site| check_journal(&mut site.core));
        }
    }
}

fn check_journal(core: &mut Router) {
    let mut kept = BTreeMap::new();
    for change in core.changes() {
        match change {
            Change::Put(record) => {
                kept.insert(record.key().encode(), record.value());
            }
            Change::Delete(key) => assert!(kept.remove(&key.encode()).is_some(), "{key} was not there"),
        }
    }
    let records = core.store().records().map(|record| (record.key().encode(), record.value()));
    assert_eq!(records.collect::<BTreeMap<_, _>>(), kept, "the journal missed a change");
    let mut restored = QueueStore::default();
    for (key, value) in &kept {
        restored.restore(Record::decode(key, value).unwrap()).unwrap();
    }
    assert!(restored.records().eq(core.store().records()));
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

    fn tls_session(&mut self) -> Vec<u8> {
        self.tls_sessions += 1;
        sha256(&self.tls_sessions.to_be_bytes()).to_vec()
    }

    /// A client of the first router that speaks this version.
    pub fn client(&mut self, version: u16) -> Who {
        self.client_of(0, version)
    }

    /// `N` clients of the first router.
    pub fn clients<const N: usize>(&mut self, version: u16) -> [Who; N] {
        std::array::from_fn(|_| self.client(version))
    }

    pub fn client_of(&mut self, site: usize, version: u16) -> Who {
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        let (session, handshake) = self.accept(site, version);
        self.connect(site, session, Wire::Client(Box::new(Client::new(handshake, rng))))
    }

    /// A client that speaks any bytes. `change` may alter its handshake.
    pub fn raw(&mut self, version: u16, change: impl FnOnce(&mut ClientHandshake)) -> Who {
        let (session, mut handshake) = self.accept(0, version);
        change(&mut handshake);
        self.connect(0, session, Wire::Raw { handshake: Some(handshake), agreed: None, service: None })
    }

    /// A service of the first router that speaks this version.
    pub fn service(&mut self, version: u16, credentials: &ServiceCredentials) -> Who {
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        let (session, handshake) = self.accept_with(0, version, credentials.chain.ders.clone());
        let client = Client::for_service(handshake, credentials.clone(), rng);
        self.connect(0, session, Wire::Client(Box::new(client)))
    }

    /// A service that speaks any bytes, and presents these certificates in TLS.
    pub fn raw_service(
        &mut self,
        version: u16,
        credentials: &ServiceCredentials,
        chain: Vec<Vec<u8>>,
    ) -> Who {
        let (session, handshake) = self.accept_with(0, version, chain);
        let service = RawService { credentials: credentials.clone(), signer: None, reply: None };
        let (handshake, service) = (Some(handshake), Some(Box::new(service)));
        self.connect(0, session, Wire::Raw { handshake, agreed: None, service })
    }

    fn raw_service_of(&self, who: Who) -> &RawService {
        match &self.clients[who].wire {
            Wire::Raw { service: Some(service), .. } => service,
            _ => panic!("not a raw service"),
        }
    }

    /// What the router answered to a raw service.
    pub fn reply(&self, who: Who) -> Option<ServiceReply> {
        self.raw_service_of(who).reply.clone()
    }

    /// What a raw service signs with.
    pub fn signer(&self, who: Who) -> ServiceSigner {
        self.raw_service_of(who).signer.clone().unwrap()
    }

    /// A connection on which nothing was said yet.
    pub fn accept(&mut self, site: usize, version: u16) -> (SessionNo, ClientHandshake) {
        self.accept_with(site, version, Vec::new())
    }

    /// The same with the certificates that the client presented in TLS.
    pub fn accept_with(
        &mut self,
        site: usize,
        version: u16,
        chain: Vec<Vec<u8>>,
    ) -> (SessionNo, ClientHandshake) {
        let tls_session = self.tls_session();
        let now = self.now;
        let handshake = ClientHandshake {
            versions: VersionRange::only(version),
            identity: self.sites[site].address.identity,
            session_id: tls_session.clone(),
            send_key: true,
            proxy: false,
            unix_seconds: now / SECOND,
        };
        let core = &mut self.sites[site].core;
        (core.accept_with_chain("client.test", tls_session, true, chain, now), handshake)
    }

    fn connect(&mut self, site: usize, session: SessionNo, wire: Wire) -> Who {
        let who = self.clients.len();
        let key = X25519Secret::generate(&mut self.rng);
        self.sites[site].ends.insert(session, End::Client(who));
        let (blocks, history) = (Vec::new(), Vec::new());
        let last = BTreeMap::new();
        self.clients.push(Device { site, session, wire, reading: true, blocks, history, last, key });
        self.drive();
        who
    }

    /// Moves blocks until nothing moves any more. Time stands still.
    pub fn drive(&mut self) {
        while self.step() {}
    }

    /// One round of everything that is ready; whether there was anything.
    pub fn step(&mut self) -> bool {
        let mut moved = false;
        for site in 0..self.sites.len() {
            moved |= self.router_events(site);
            moved |= self.deliver_to_router(site);
        }
        for who in 0..self.clients.len() {
            moved |= self.write_client(who);
        }
        moved
    }

    fn router_events(&mut self, number: usize) -> bool {
        let mut moved = false;
        while let Some(event) = self.sites[number].core.poll() {
            moved = true;
            let site = &mut self.sites[number];
            match event {
                RouterEvent::Writable(session) => {
                    site.writable.insert(session);
                }
                RouterEvent::Close(session) => {
                    site.closed.insert(session);
                }
                RouterEvent::Dial { session, address } => {
                    self.dials.push((number, session, address));
                    if !self.hold_dials {
                        self.finish_dials();
                    }
                }
                RouterEvent::Resolve { lookup, name } => self.lookups.push((number, lookup, name)),
            }
        }
        for session in std::mem::take(&mut self.sites[number].writable) {
            let end = self.sites[number].ends.get(&session).copied();
            let reading = match end {
                Some(End::Client(who)) => self.clients[who].reading,
                _ => !self.sites[number].stalled.contains(&session),
            };
            if !reading {
                self.sites[number].writable.insert(session);
                continue;
            }
            while let Some(block) = self.sites[number].core.next_block(session) {
                moved = true;
                match end {
                    Some(End::Client(who)) => self.read_client(who, &block),
                    Some(End::Router(other, at)) => {
                        self.sites[other].inbox.entry(at).or_default().push_back(block);
                    }
                    None => {}
                }
            }
        }
        moved
    }

    fn deliver_to_router(&mut self, number: usize) -> bool {
        let (site, now) = (&mut self.sites[number], self.now);
        let mut moved = false;
        for (session, blocks) in &mut site.inbox {
            while site.core.wants_block(*session)
                && let Some(block) = blocks.pop_front()
            {
                site.core.block(*session, &block, now);
                moved = true;
            }
        }
        moved
    }

    /// Makes the connections that routers asked for: to the router with the address's identity and host, if there is one.
    pub fn finish_dials(&mut self) {
        for (from, session, address) in std::mem::take(&mut self.dials) {
            let now = self.now;
            let found = self.sites.iter().position(|site| site.address == address);
            let Some(to) = found else {
                self.sites[from].core.dial_failed(session, DialFailure::Network, now);
                continue;
            };
            let tls_session = self.tls_session();
            let at = self.sites[to].core.accept("proxy.test", tls_session.clone(), true, now);
            self.sites[to].ends.insert(at, End::Router(from, session));
            self.sites[from].ends.insert(session, End::Router(to, at));
            self.sites[from].core.dialed(session, tls_session, now);
        }
    }

    fn read_client(&mut self, who: Who, block: &[u8]) {
        let device = &mut self.clients[who];
        let mut arrived = Vec::new();
        match &mut device.wire {
            Wire::Client(client) => {
                client.block(block).unwrap();
                while let Some(event) = client.poll() {
                    match event {
                        ClientEvent::Ready { .. } => {}
                        ClientEvent::Response { corr, entity, response } => {
                            arrived.push((corr, entity, response.ok(), ""));
                        }
                        ClientEvent::Forwarded { corr, response } => {
                            arrived.push((corr, EntityId::EMPTY, response.ok(), "in PRES: "));
                        }
                        ClientEvent::Event { entity, response } => {
                            arrived.push((CorrId::EMPTY, entity, Some(response), ""));
                        }
                    }
                }
            }
            Wire::Raw { handshake: handshake @ Some(_), agreed, service } => {
                let credentials = service.as_ref().map(|service| &service.credentials);
                let handshake = handshake.take().unwrap();
                let (hello, session, _, signer) =
                    handshake.router_hello_as(block, credentials, &mut self.rng).unwrap();
                if let Some(service) = service {
                    service.signer = signer;
                }
                *agreed = Some(Box::new(session));
                let (site, session) = (device.site, device.session);
                self.sites[site].inbox.entry(session).or_default().push_back(hello);
                return;
            }
            Wire::Raw { service: Some(service), .. }
                if service.signer.is_some() && service.reply.is_none() =>
            {
                service.reply = Some(ServiceReply::decode(unpad(block).unwrap()).unwrap());
                return;
            }
            Wire::Raw { agreed, .. } => {
                let agreed = agreed.as_mut().unwrap();
                let content = agreed.codec.open(block).unwrap();
                for item in unpack(&content).unwrap() {
                    let received = read_transmission(&agreed.session, item).unwrap();
                    let response = Response::decode(&received.command, &agreed.session.layout).ok();
                    arrived.push((received.corr, received.entity, response, ""));
                }
            }
        }
        let block: Vec<_> = arrived
            .into_iter()
            .map(|(corr, entity, response, prefix)| {
                let text = prefix.to_owned() + &text(response.as_ref(), self.secrets.get(&entity));
                if let Some(Response::Msg { id, .. }) = &response {
                    device.last.insert(entity.clone(), id.clone());
                }
                Arrived { corr, entity, text, response }
            })
            .collect();
        if !block.is_empty() {
            device.history.push(block.iter().map(|arrived| recorded::tag(&arrived.text)).collect());
            device.blocks.push(block);
        }
    }

    fn write_client(&mut self, who: Who) -> bool {
        let device = &mut self.clients[who];
        let Wire::Client(client) = &mut device.wire else { return false };
        let mut moved = false;
        while let Some(block) = client.next_block() {
            self.sites[device.site].inbox.entry(device.session).or_default().push_back(block);
            moved = true;
        }
        moved
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

    /// The router's next timeout, its regular checks aside, of which the most frequent is hourly.
    pub fn deadline(&self, site: usize) -> Option<u64> {
        self.sites[site].core.next_timeout().filter(|due| *due < self.now + 600 * SECOND)
    }

    /// Lets time pass, in nanoseconds.
    pub fn wait(&mut self, time: u64) {
        self.drive();
        let until = self.now + time;
        while self.tick(until) {}
        self.now = until;
    }

    /// The client takes no more blocks, or does again.
    pub fn set_reading(&mut self, who: Who, reading: bool) {
        self.clients[who].reading = reading;
        self.drive();
    }

    /// Ends a client's connection.
    pub fn disconnect(&mut self, who: Who) {
        let (site, session) = (self.clients[who].site, self.clients[who].session);
        self.cut(site, session);
    }

    /// Ends a connection, at both ends.
    pub fn cut(&mut self, site: usize, session: SessionNo) {
        let now = self.now;
        let end = self.sites[site].ends.remove(&session);
        self.sites[site].core.closed(session, now);
        self.sites[site].inbox.remove(&session);
        if let Some(End::Router(other, at)) = end {
            self.sites[other].ends.remove(&at);
            self.sites[other].inbox.remove(&at);
            self.sites[other].core.closed(at, now);
        }
        self.drive();
    }

    fn to_relays(&self, site: usize) -> Vec<SessionNo> {
        let ends = self.sites[site].ends.iter();
        ends.filter(|(_, end)| matches!(end, End::Router(..))).map(|(session, _)| *session).collect()
    }

    /// The router's connections to other routers take no more blocks.
    pub fn stall_relays(&mut self, site: usize) {
        let relays = self.to_relays(site);
        self.sites[site].stalled.extend(relays);
    }

    /// They do again.
    pub fn release_relays(&mut self, site: usize) {
        self.sites[site].stalled.clear();
        self.drive();
    }

    /// Whether the router reads the client's next block.
    pub fn wants_block(&self, who: Who) -> bool {
        let device = &self.clients[who];
        self.sites[device.site].core.wants_block(device.session)
    }

    /// Ends the connections between routers.
    pub fn cut_relays(&mut self, site: usize) {
        let relays = self.to_relays(site);
        for session in relays {
            self.cut(site, session);
        }
    }

    /// Whether the router closed the client's connection.
    pub fn is_closed(&self, who: Who) -> bool {
        let device = &self.clients[who];
        self.sites[device.site].closed.contains(&device.session)
    }

    pub fn session(&self, who: Who) -> SessionNo {
        self.clients[who].session
    }

    /// What a raw client agreed on.
    pub fn agreed(&mut self, who: Who) -> &mut Agreed {
        match &mut self.clients[who].wire {
            Wire::Raw { agreed, .. } => agreed.as_mut().unwrap(),
            Wire::Client(_) => panic!("not a raw client"),
        }
    }

    pub fn core(&mut self, who: Who) -> &mut Client {
        match &mut self.clients[who].wire {
            Wire::Client(client) => client,
            Wire::Raw { .. } => panic!("a raw client"),
        }
    }

    /// Makes a request; it is written by the next [`World::drive`], in one block with others.
    pub fn post(
        &mut self,
        who: Who,
        entity: &EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> CorrId {
        self.core(who).request(entity.clone(), command, key).unwrap()
    }

    /// Makes a request and gives its answer.
    pub fn ask(
        &mut self,
        who: Who,
        entity: &EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> String {
        let corr = self.post(who, entity, command, key);
        self.drive();
        self.answer(who, &corr).expect("no answer").0
    }

    /// Takes the answer to a request out of what arrived.
    pub fn answer(&mut self, who: Who, corr: &CorrId) -> Option<(String, Option<Response>)> {
        let blocks = &mut self.clients[who].blocks;
        for block in blocks.iter_mut() {
            if let Some(at) = block.iter().position(|arrived| arrived.corr == *corr) {
                let arrived = block.remove(at);
                blocks.retain(|block| !block.is_empty());
                return Some((arrived.text, arrived.response));
            }
        }
        None
    }

    /// What arrived since it was last asked for, without the answers already taken.
    pub fn events(&mut self, who: Who) -> Vec<String> {
        self.blocks(who).concat()
    }

    /// The same, block by block.
    pub fn blocks(&mut self, who: Who) -> Vec<Vec<String>> {
        let blocks = std::mem::take(&mut self.clients[who].blocks);
        blocks.into_iter().map(|block| block.into_iter().map(|arrived| arrived.text).collect()).collect()
    }

    /// The same, with correlation id and entity.
    pub fn transmissions(&mut self, who: Who) -> Vec<(CorrId, EntityId, String)> {
        let blocks = std::mem::take(&mut self.clients[who].blocks);
        blocks.into_iter().flatten().map(|arrived| (arrived.corr, arrived.entity, arrived.text)).collect()
    }

    /// Asserts that the clients received, block by block, what the recorded connections did, but for blocks of one
    /// transmission that `skip` names.
    pub fn assert_as_recorded(&self, scenario: &str, version: u16, who: &[(&str, Who)], skip: &[&str]) {
        let Some(flow) = recorded::flow(scenario, version) else { return };
        for (connection, who) in who {
            let mut expected = recorded::received(&flow, connection);
            expected.retain(|block| !matches!(block.as_slice(), [tag] if skip.contains(&tag.as_str())));
            let received = &self.clients[*who].history;
            assert_eq!(*received, expected, "{scenario} at version {version}, connection {connection}");
        }
    }

    /// NEW; the answer in full.
    pub fn create(&mut self, who: Who, ask: &Ask) -> Result<TestQueue, String> {
        let key = AuthSecretKey::generate(ask.key, &mut self.rng);
        let dh = self.clients[who].key.clone();
        let command = Command::New(Box::new(NewQueue {
            auth_key: key.public(),
            dh_key: dh.public(),
            password: None,
            subscribe: ask.subscribe,
            queue: ask.queue.clone(),
            notifier: None,
        }));
        let corr = self.post(who, &EntityId::EMPTY, &command, Some(&key));
        self.drive();
        match self.answer(who, &corr).expect("no answer") {
            (_, Some(Response::Ids(ids))) => {
                self.secrets.insert(ids.recipient.clone(), dh.dh(&ids.dh_key));
                Ok(TestQueue { recipient: ids.recipient, sender: ids.sender, key })
            }
            (text, _) => Err(text),
        }
    }

    /// A messaging queue that the client is subscribed to.
    pub fn queue(&mut self, who: Who) -> TestQueue {
        self.create(who, &Ask::default()).unwrap()
    }

    /// A messaging queue that nobody is subscribed to.
    pub fn idle_queue(&mut self, who: Who) -> TestQueue {
        self.create(who, &Ask { subscribe: false, ..Ask::default() }).unwrap()
    }

    /// A recipient's command.
    pub fn recipient(&mut self, who: Who, queue: &TestQueue, command: Command) -> String {
        self.ask(who, &queue.recipient, &command, Some(&queue.key))
    }

    pub fn subscribe(&mut self, who: Who, queue: &TestQueue) -> String {
        self.recipient(who, queue, Command::Sub)
    }

    pub fn get(&mut self, who: Who, queue: &TestQueue) -> String {
        self.recipient(who, queue, Command::Get)
    }

    /// Acknowledges what this client got last from the queue.
    pub fn ack(&mut self, who: Who, queue: &TestQueue) -> String {
        let id = self.last(who, queue);
        self.recipient(who, queue, Command::Ack(id))
    }

    /// The id of what this client got last from the queue.
    pub fn last(&self, who: Who, queue: &TestQueue) -> MsgId {
        self.clients[who].last[&queue.recipient].clone()
    }

    /// An unsigned SEND.
    pub fn send(&mut self, who: Who, queue: &TestQueue, body: &str) -> String {
        self.ask(who, &queue.sender, &send(body), None)
    }

    pub fn send_signed(&mut self, who: Who, queue: &TestQueue, body: &str, key: &AuthSecretKey) -> String {
        self.ask(who, &queue.sender, &send(body), Some(key))
    }

    /// A transmission as it stands in a batch, for a raw client.
    pub fn item(
        &mut self,
        who: Who,
        corr: &str,
        entity: &EntityId,
        command: &[u8],
        key: Option<&AuthSecretKey>,
    ) -> Vec<u8> {
        self.item_by(who, corr, entity, command, key, None)
    }

    /// The same, signed by a service as well.
    pub fn item_by(
        &mut self,
        who: Who,
        corr: &str,
        entity: &EntityId,
        command: &[u8],
        key: Option<&AuthSecretKey>,
        signer: Option<&ServiceSigner>,
    ) -> Vec<u8> {
        let agreed = self.agreed(who);
        let corr = CorrId::new(corr.as_bytes()).unwrap();
        let unsigned = Unsigned { corr, entity: entity.clone(), command: command.to_vec() };
        authorize_by_service(&agreed.session, &unsigned, key, agreed.peer_key.as_ref(), signer).unwrap()
    }

    /// A raw client's command, and what comes back.
    pub fn say(
        &mut self,
        who: Who,
        entity: &EntityId,
        command: &[u8],
        key: Option<&AuthSecretKey>,
        signer: Option<&ServiceSigner>,
    ) -> Vec<String> {
        let item = self.item_by(who, "say", entity, command, key, signer);
        self.write_items(who, &[item]);
        self.events(who)
    }

    /// A raw client writes a block with this content.
    pub fn write_content(&mut self, who: Who, content: &[u8]) {
        let block = self.agreed(who).codec.seal(content).unwrap();
        self.write_block(who, block);
    }

    /// A raw client writes a block with these transmissions.
    pub fn write_items(&mut self, who: Who, items: &[Vec<u8>]) {
        self.write_content(who, &content(items.iter().map(Vec::as_slice)).unwrap());
    }

    pub fn write_block(&mut self, who: Who, block: Vec<u8>) {
        let (site, session) = (self.clients[who].site, self.clients[who].session);
        self.sites[site].inbox.entry(session).or_default().push_back(block);
        self.drive();
    }

    /// Blocks that wait because the router does not want to read the client's session now.
    pub fn unread(&self, who: Who) -> usize {
        let device = &self.clients[who];
        self.sites[device.site].inbox.get(&device.session).map_or(0, VecDeque::len)
    }

    /// PRXY to the router with this number; PKEY as a relay, or the answer in text.
    pub fn relay(&mut self, who: Who, to: usize) -> Result<Relay, String> {
        let address = self.sites[to].address.clone();
        let corr = self.post_prxy(who, &address, None);
        self.drive();
        match self.answer(who, &corr).expect("no answer") {
            (_, Some(Response::Pkey { session, versions, chain, signed_key })) => {
                let seconds = self.now / SECOND;
                let identity = &address.identity;
                Ok(Relay::verify(&session, versions, &chain, &signed_key, identity, seconds).unwrap())
            }
            (text, _) => Err(text),
        }
    }

    pub fn post_prxy(&mut self, who: Who, address: &RouterAddress, password: Option<&str>) -> CorrId {
        let password = password.map(str::to_owned);
        let command = Command::Prxy { router: address.clone(), password };
        self.post(who, &EntityId::EMPTY, &command, None)
    }

    /// A forwarded command and its answer.
    pub fn forward(
        &mut self,
        who: Who,
        relay: &Relay,
        entity: &EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> String {
        let corr = self.core(who).forward(relay, entity.clone(), command, key).unwrap();
        self.drive();
        self.answer(who, &corr).expect("no answer").0
    }
}

fn text(response: Option<&Response>, secret: Option<&SharedSecret>) -> String {
    match response {
        None => "unreadable".to_owned(),
        Some(Response::Err(error)) => format!("ERR {error}"),
        Some(Response::Msg { id, body }) => {
            let Some(secret) = secret else { return "MSG".to_owned() };
            match MessageBody::open(secret, id, body).unwrap() {
                MessageBody::Message { body, .. } => format!("MSG {}", String::from_utf8(body).unwrap()),
                MessageBody::Quota { .. } => "MSG quota marker".to_owned(),
            }
        }
        Some(response) => response.tag().to_owned(),
    }
}
