//! A router on a store, two clients that give it random commands, and what it promised them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_node::identity::RouterIdentity;
use sxlab_node::store::{State, Store};
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Public, X25519Secret};
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::smp::client::{Client, ClientEvent};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue, NotifierKeys};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::{Change, Content, QueueStore, Record, Router, RouterConfig, Status};
use sxlab_protocol::transport::{ClientHandshake, RouterCredentials};
use sxlab_protocol::wire::{CorrId, EntityId, MsgId, VersionRange};

use crate::disk::{Disk, below};

pub const IDENTITY: [u8; 32] = [7; 32];
pub const SECOND: u64 = 1_000_000_000;
pub const NOW: u64 = 1_800_000_000 * SECOND;

/// Clients that give a router on a store random commands, and remember what it promised them.
pub trait Parties {
    type State: State;

    /// A router that starts from what is on the disk.
    fn new(disk: Disk, order: Order, seed: u64) -> Self;

    fn chance(&mut self) -> &mut ChaCha20Rng;

    /// A random command.
    fn ask(&mut self);

    /// Passes what waits, both ways.
    fn exchange(&mut self);

    /// Makes durable what is not yet.
    fn commit(&mut self);

    /// Random commands, and commits of several at once.
    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            for _ in 0..=below(self.chance(), 3) {
                self.ask();
            }
            self.exchange();
            if below(self.chance(), 2) == 0 {
                self.commit();
                self.exchange();
            }
        }
        self.commit();
        self.exchange();
    }

    fn disk(&self) -> &Disk;

    /// Whether a state restored after a crash at operation `at` keeps what was promised up to then; what it breaks if not.
    fn broken(&self, state: &Self::State, at: usize) -> Option<String>;
}

/// When something was asked for and when the answer left, as numbers of operations of the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Promise {
    asked: Option<usize>,
    given: Option<usize>,
}

impl Promise {
    pub fn ask(&mut self, at: usize) {
        self.asked.get_or_insert(at);
    }

    pub fn give(&mut self, at: usize) {
        self.given.get_or_insert(at);
    }

    /// Whether it may have taken effect.
    pub fn begun(&self, at: usize) -> bool {
        self.asked.is_some_and(|asked| asked <= at)
    }

    pub fn holds(&self, at: usize) -> bool {
        self.given.is_some_and(|given| given <= at)
    }
}

#[derive(Debug)]
struct Known {
    recipient: EntityId,
    sender: EntityId,
    created: usize,
    deleted: Promise,
    suspended: Promise,
    secured: Promise,
    notified: Promise,
}

#[derive(Debug, Default)]
struct Message {
    queue: usize,
    stored: Promise,
    removed: Promise,
}

enum Asked {
    New,
    Send(String),
    Del(usize),
    Off(usize),
    Key(usize),
    NKey(usize),
    Sub,
    Ack(Option<String>),
}

/// Answers leave too early: before the commit that they wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    SyncFirst,
    AnswerFirst,
}

pub struct Party {
    disk: Disk,
    store: Store,
    core: Router,
    chance: ChaCha20Rng,
    clients: Vec<(SessionNo, Client)>,
    order: Order,
    durable: u64,
    pending: Vec<Change>,
    key: AuthSecretKey,
    sender_key: AuthSecretKey,
    asked: BTreeMap<CorrId, Asked>,
    queues: Vec<Known>,
    messages: BTreeMap<String, Message>,
    /// What was delivered last of each queue, by the bytes of the message id.
    delivered: BTreeMap<EntityId, MsgId>,
    /// Bodies by the message ids that the store gave them.
    bodies: BTreeMap<MsgId, String>,
    name: u64,
}

pub fn credentials() -> RouterCredentials {
    static MADE: OnceLock<RouterCredentials> = OnceLock::new();
    let make = || {
        let identity = RouterIdentity::mint("router.test", &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        RouterCredentials { chain: identity.chain().clone(), leaf: identity.leaf_key() }
    };
    MADE.get_or_init(make).clone()
}

fn dh_key() -> X25519Public {
    X25519Secret::from_bytes([5; 32]).public()
}

impl Parties for Party {
    type State = QueueStore;

    fn new(disk: Disk, order: Order, seed: u64) -> Self {
        let mut chance = ChaCha20Rng::seed_from_u64(seed);
        let (store, queues) = Store::on("test", disk.clone(), &IDENTITY).unwrap();
        let credentials = credentials();
        let identity = credentials.chain.identity().unwrap();
        let config = RouterConfig { queue_quota: 4, ..RouterConfig::default() };
        let mut core = Router::new(config, credentials, queues, ChaCha20Rng::from_rng(&mut chance));
        let mut clients = Vec::new();
        for number in 0..2u8 {
            let session = core.accept("client.test", vec![number; 32], true, NOW);
            let handshake = ClientHandshake {
                versions: VersionRange::only(20),
                identity,
                session_id: vec![number; 32],
                send_key: false,
                proxy: false,
                unix_seconds: NOW / SECOND,
            };
            clients.push((session, Client::new(handshake, ChaCha20Rng::from_rng(&mut chance))));
        }
        let key = AuthSecretKey::generate(KeyType::Ed25519, &mut chance);
        let sender_key = AuthSecretKey::generate(KeyType::Ed25519, &mut chance);
        let mut party = Party {
            disk,
            store,
            core,
            chance,
            clients,
            order,
            durable: 0,
            pending: Vec::new(),
            key,
            sender_key,
            asked: BTreeMap::new(),
            queues: Vec::new(),
            messages: BTreeMap::new(),
            delivered: BTreeMap::new(),
            bodies: BTreeMap::new(),
            name: seed,
        };
        party.exchange();
        party.exchange();
        party
    }

    fn disk(&self) -> &Disk {
        &self.disk
    }

    fn broken(&self, queues: &QueueStore, at: usize) -> Option<String> {
        let mut bodies = BTreeSet::new();
        let mut owners = BTreeSet::new();
        for record in queues.records() {
            if let Record::Message { message, .. } = &record
                && let Content::Message { body, .. } = &message.content
                && !bodies.insert(String::from_utf8(body.clone()).unwrap())
            {
                return Some(format!("message twice: {message:?}"));
            }
            if let Record::Queue { recipient, .. } = record {
                owners.insert(recipient);
            }
        }
        for queue in self.queues.iter().filter(|queue| queue.created <= at) {
            let found = queues.by_recipient(&queue.recipient);
            if queue.deleted.holds(at) && found.is_some() {
                return Some(format!("DEL was answered: {queue:?}"));
            }
            if queue.deleted.begun(at) {
                continue;
            }
            let Some(found) = found else { return Some(format!("IDS was answered: {queue:?}")) };
            let kept = found.sender == queue.sender
                && (!queue.suspended.holds(at) || found.status == Status::Off)
                && (!queue.secured.holds(at) || found.sender_key == Some(self.sender_key.public()))
                && (!queue.notified.holds(at) || found.notifier().is_some());
            if !kept {
                return Some(format!("OFF, KEY or NKEY was answered: {queue:?}: {found:?}"));
            }
        }
        for (body, message) in &self.messages {
            let gone = message.removed.begun(at) || self.queues[message.queue].deleted.begun(at);
            if message.stored.holds(at) && !gone && !bodies.contains(body) {
                return Some(format!("SEND was answered: {body}: {message:?}"));
            }
            if message.removed.holds(at) && bodies.contains(body) {
                return Some(format!("ACK was answered: {body}: {message:?}"));
            }
        }
        None
    }

    fn chance(&mut self) -> &mut ChaCha20Rng {
        &mut self.chance
    }

    fn commit(&mut self) {
        self.store.commit(&self.pending).unwrap();
        self.pending.clear();
        self.durable = self.core.changed();
    }

    /// Moves blocks as long as they may move.
    fn exchange(&mut self) {
        for number in 0..self.clients.len() {
            while let Some(block) = self.clients[number].1.next_block() {
                self.core.block(self.clients[number].0, &block, NOW);
            }
            for change in self.core.changes() {
                if let Change::Put(record) = &change
                    && let Record::Message { message, .. } = &**record
                    && let Content::Message { body, .. } = &message.content
                {
                    self.bodies.insert(message.id.clone(), String::from_utf8(body.clone()).unwrap());
                }
                self.pending.push(change);
            }
            let session = self.clients[number].0;
            while self.order == Order::AnswerFirst || self.core.needs(session) <= self.durable {
                let Some(block) = self.core.next_block(session) else { break };
                self.clients[number].1.block(&block).unwrap();
            }
            while self.core.poll().is_some() {}
            while let Some(event) = self.clients[number].1.poll() {
                self.learn(event);
            }
        }
    }

    fn ask(&mut self) {
        let at = self.disk.operations();
        let kind = below(&mut self.chance, 20);
        if self.queues.is_empty() || (kind == 0 && self.queues.len() < 5) {
            let new = NewQueue {
                subscribe: kind.is_multiple_of(2),
                ..NewQueue::messaging(self.key.public(), dh_key())
            };
            return self.request(0, &EntityId::EMPTY, &Command::New(Box::new(new)), true, Asked::New);
        }
        let number = below(&mut self.chance, self.queues.len());
        let queue = &mut self.queues[number];
        let recipient = queue.recipient.clone();
        match kind {
            1 => {
                queue.deleted.ask(at);
                self.request(0, &recipient, &Command::Del, true, Asked::Del(number));
            }
            2 => {
                queue.suspended.ask(at);
                self.request(0, &recipient, &Command::Off, true, Asked::Off(number));
            }
            3 => {
                queue.secured.ask(at);
                let command = Command::Key(self.sender_key.public());
                self.request(0, &recipient, &command, true, Asked::Key(number));
            }
            4 => {
                queue.notified.ask(at);
                let keys = NotifierKeys { auth_key: self.key.public(), dh_key: dh_key() };
                self.request(0, &recipient, &Command::NKey(keys), true, Asked::NKey(number));
            }
            5..8 => self.request(0, &recipient, &Command::Sub, true, Asked::Sub),
            8..13 => {
                let Some(id) = self.delivered.remove(&recipient) else { return };
                let body = self.bodies.get(&id).cloned();
                if let Some(message) = body.as_ref().and_then(|body| self.messages.get_mut(body)) {
                    message.removed.ask(at);
                }
                self.request(0, &recipient, &Command::Ack(id), true, Asked::Ack(body));
            }
            _ => {
                let sender = queue.sender.clone();
                let secured = queue.secured.given.is_some();
                let body = format!("{}/{}", self.name, self.messages.len());
                let mut message = Message { queue: number, ..Message::default() };
                message.stored.ask(at);
                self.messages.insert(body.clone(), message);
                let flags = MsgFlags { notification: kind.is_multiple_of(2) };
                let command = Command::Send { flags, body: body.clone().into_bytes() };
                let key = secured.then(|| self.sender_key.clone());
                let corr = self.clients[1].1.request(sender, &command, key.as_ref()).unwrap();
                self.asked.insert(corr, Asked::Send(body));
            }
        }
    }
}

impl Party {
    fn request(&mut self, client: usize, entity: &EntityId, command: &Command, signed: bool, asked: Asked) {
        let key = self.key.clone();
        let corr = self.clients[client].1.request(entity.clone(), command, signed.then_some(&key)).unwrap();
        self.asked.insert(corr, asked);
    }

    /// An answer or a message has left the router: it is a promise now.
    fn learn(&mut self, event: ClientEvent) {
        let at = self.disk.operations();
        let (corr, entity, response) = match event {
            ClientEvent::Response { corr, entity, response } => (corr, entity, response.unwrap()),
            ClientEvent::Event { entity, response } => (CorrId::EMPTY, entity, response),
            ClientEvent::Ready { .. } | ClientEvent::Forwarded { .. } => return,
        };
        if let Response::Msg { id, .. } = &response {
            // Whoever got a message that a crash takes back would get it twice.
            if let Some(message) = self.bodies.get(id).and_then(|body| self.messages.get_mut(body)) {
                message.stored.give(at);
            }
            self.delivered.insert(entity, id.clone());
        }
        let done = !matches!(response, Response::Err(_));
        match (self.asked.remove(&corr), response) {
            (Some(Asked::New), Response::Ids(ids)) => self.queues.push(Known {
                recipient: ids.recipient.clone(),
                sender: ids.sender.clone(),
                created: at,
                deleted: Promise::default(),
                suspended: Promise::default(),
                secured: Promise::default(),
                notified: Promise::default(),
            }),
            (Some(Asked::Send(body)), Response::Ok) => {
                self.messages.get_mut(&body).unwrap().stored.give(at);
            }
            (Some(Asked::Ack(Some(body))), _) if done => {
                if let Some(message) = self.messages.get_mut(&body) {
                    message.removed.give(at);
                }
            }
            (Some(Asked::Del(number)), _) if done => self.queues[number].deleted.give(at),
            (Some(Asked::Off(number)), _) if done => self.queues[number].suspended.give(at),
            (Some(Asked::Key(number)), _) if done => self.queues[number].secured.give(at),
            (Some(Asked::NKey(number)), _) if done => self.queues[number].notified.give(at),
            _ => {}
        }
    }
}
