//! A notification router on a store, devices that give it random commands, and what it promised them. Providers take every push, and
//! SMP routers answer and notify as they are asked.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_node::store::NtfStore;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::ntf::client::{Client, ClientEvent};
use sxlab_protocol::ntf::command::{
    Command, DeviceToken, NewSubscription, NewToken, NotifierQueue, Provider,
};
use sxlab_protocol::ntf::handshake::ClientHandshake;
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::router::{
    Answer, Change, PushAnswer, Router, RouterConfig, RouterEvent, SmpAsk, SmpNo, SmpTold, Store,
};
use sxlab_protocol::ntf::status::TokenStatus;
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::wire::{CorrId, EntityId, RouterAddress, VersionRange};

use crate::disk::{Disk, below};
use crate::party::{IDENTITY, NOW, Order, Parties, Promise, SECOND, credentials};

#[derive(Debug)]
struct Token {
    id: EntityId,
    device: DeviceToken,
    created: usize,
    verified: Promise,
    replaced: Promise,
    other: DeviceToken,
    period: Promise,
    deleted: Promise,
}

#[derive(Debug)]
struct Subscription {
    id: EntityId,
    token: usize,
    notifier: EntityId,
    created: usize,
    deleted: Promise,
}

enum Asked {
    New(DeviceToken),
    Verify(usize),
    Replace(usize),
    Period(usize),
    Delete(usize),
    Subscribe(usize, EntityId),
    Unsubscribe(usize),
    Check,
}

/// Devices of one router, which share one connection.
pub struct Devices {
    disk: Disk,
    store: NtfStore,
    core: Router,
    chance: ChaCha20Rng,
    client: (SessionNo, Client),
    order: Order,
    durable: u64,
    pending: Vec<Change>,
    key: AuthSecretKey,
    asked: BTreeMap<CorrId, Asked>,
    tokens: Vec<Token>,
    subscriptions: Vec<Subscription>,
    /// The SMP router's number, while there is a connection.
    connected: Option<SmpNo>,
    names: u32,
    name: u64,
}

fn smp_router() -> RouterAddress {
    let hosts = vec!["smp.test".parse().unwrap()];
    RouterAddress { hosts, port: None, identity: [3; 32], password: None }
}

impl Parties for Devices {
    type State = Store;

    fn new(disk: Disk, order: Order, seed: u64) -> Self {
        let mut chance = ChaCha20Rng::seed_from_u64(seed);
        let (store, tokens) = NtfStore::on("test", disk.clone(), &IDENTITY).unwrap();
        let credentials = credentials();
        let handshake = ClientHandshake {
            versions: VersionRange::only(3),
            identity: credentials.chain.identity().unwrap(),
            leaf: credentials.chain.leaf_public_key().unwrap(),
            session_id: vec![1; 32],
        };
        let config = RouterConfig { test_provider: true, ..RouterConfig::default() };
        let mut core = Router::new(config, credentials, tokens, ChaCha20Rng::from_rng(&mut chance));
        core.start(NOW);
        let session = core.accept("device.test", vec![1; 32], true, NOW);
        let client = (session, Client::new(handshake, ChaCha20Rng::from_rng(&mut chance)));
        let key = AuthSecretKey::generate(KeyType::Ed25519, &mut chance);
        let mut devices = Devices {
            disk,
            store,
            core,
            chance,
            client,
            order,
            durable: 0,
            pending: Vec::new(),
            key,
            asked: BTreeMap::new(),
            tokens: Vec::new(),
            subscriptions: Vec::new(),
            connected: None,
            names: 0,
            name: seed,
        };
        devices.exchange();
        devices.exchange();
        devices
    }

    fn disk(&self) -> &Disk {
        &self.disk
    }

    fn broken(&self, state: &Store, at: usize) -> Option<String> {
        for token in self.tokens.iter().filter(|token| token.created <= at) {
            let found = state.token(&token.id);
            if token.deleted.holds(at) && found.is_some() {
                return Some(format!("TDEL was answered: {token:?}"));
            }
            if token.deleted.begun(at) {
                continue;
            }
            let Some(found) = found else { return Some(format!("IDTKN was answered: {token:?}")) };
            let verified = token.verified.holds(at) && !token.replaced.begun(at);
            let device = if token.replaced.holds(at) { &token.other } else { &token.device };
            let kept = (!verified || found.status == TokenStatus::Active)
                && (found.device == *device || (token.replaced.begun(at) && found.device == token.other))
                && (!token.period.holds(at) || found.period == 30);
            if !kept {
                return Some(format!("TVFY, TRPL or TCRN was answered: {token:?}: {found:?}"));
            }
        }
        for subscription in self.subscriptions.iter().filter(|subscription| subscription.created <= at) {
            let found = state.subscription(&subscription.id);
            let token = &self.tokens[subscription.token];
            if (subscription.deleted.holds(at) || token.deleted.holds(at)) && found.is_some() {
                return Some(format!("SDEL or TDEL was answered: {subscription:?}"));
            }
            let gone = subscription.deleted.begun(at) || token.deleted.begun(at);
            if !gone && found.is_none_or(|found| found.notifier != subscription.notifier) {
                return Some(format!("IDSUB was answered: {subscription:?}: {found:?}"));
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
        while let Some(block) = self.client.1.next_block() {
            self.core.block(self.client.0, &block, NOW);
        }
        self.serve();
        self.pending.extend(self.core.changes());
        while self.order == Order::AnswerFirst || self.core.needs(self.client.0) <= self.durable {
            let Some(block) = self.core.next_block(self.client.0) else { break };
            self.client.1.block(&block).unwrap();
        }
        while let Some(event) = self.client.1.poll() {
            self.learn(event);
        }
    }

    fn ask(&mut self) {
        let at = self.disk.operations();
        let kind = below(&mut self.chance, 20);
        if self.tokens.is_empty() || (kind == 0 && self.tokens.len() < 5) {
            let device = self.device();
            let dh_key = X25519Secret::from_bytes([5; 32]).public();
            let new = NewToken { device: device.clone(), auth_key: self.key.public(), dh_key };
            return self.request(&EntityId::EMPTY, &Command::TNew(Box::new(new)), Asked::New(device));
        }
        let number = below(&mut self.chance, self.tokens.len());
        let id = self.tokens[number].id.clone();
        match kind {
            1 => {
                self.tokens[number].deleted.ask(at);
                self.request(&id, &Command::TDel, Asked::Delete(number));
            }
            2 if !self.tokens[number].replaced.begun(at) => {
                self.tokens[number].replaced.ask(at);
                let other = self.tokens[number].other.clone();
                self.request(&id, &Command::TRpl(other), Asked::Replace(number));
            }
            3 => {
                self.tokens[number].period.ask(at);
                self.request(&id, &Command::TCrn(30), Asked::Period(number));
            }
            4..9 => {
                // The device has its code from the push.
                let Some(code) = self.core.store().token(&id).map(|token| token.code.clone()) else { return };
                self.request(&id, &Command::TVfy(code), Asked::Verify(number));
            }
            9..13 => {
                self.names += 1;
                let mut notifier = [9; 24];
                notifier[..8].copy_from_slice(&self.name.to_be_bytes());
                notifier[8..12].copy_from_slice(&self.names.to_be_bytes());
                let notifier = EntityId::from(notifier);
                let queue = NotifierQueue { router: smp_router(), notifier: notifier.clone() };
                let new = NewSubscription { token: id, queue, key: self.key.clone() };
                let asked = Asked::Subscribe(number, notifier);
                self.request(&EntityId::EMPTY, &Command::SNew(Box::new(new)), asked);
            }
            13 if !self.subscriptions.is_empty() => {
                let number = below(&mut self.chance, self.subscriptions.len());
                self.subscriptions[number].deleted.ask(at);
                let id = self.subscriptions[number].id.clone();
                self.request(&id, &Command::SDel, Asked::Unsubscribe(number));
            }
            14..19 if !self.subscriptions.is_empty() => {
                let number = below(&mut self.chance, self.subscriptions.len());
                let notifier = self.subscriptions[number].notifier.clone();
                let told = match kind {
                    14 => SmpTold::End(notifier),
                    15 => SmpTold::Deld(notifier),
                    _ => SmpTold::Notified { notifier, nonce: [1; 24], meta: vec![2; 144] },
                };
                if let Some(no) = self.connected {
                    self.core.smp(no, told, NOW + SECOND);
                }
            }
            _ => self.request(&id, &Command::TChk, Asked::Check),
        }
    }
}

impl Devices {
    /// Providers and SMP routers do as they are asked.
    fn serve(&mut self) {
        while let Some(event) = self.core.poll() {
            match event {
                RouterEvent::Push(push) => self.core.pushed(push.number, &PushAnswer::ACCEPTED, NOW),
                RouterEvent::Smp(no, SmpAsk::Connect { .. }) => {
                    self.connected = Some(no);
                    self.core.smp(no, SmpTold::Connected { service: None }, NOW);
                }
                RouterEvent::Smp(no, SmpAsk::Subscribe(queues)) => {
                    for queue in queues {
                        let (notifier, answer) = (queue.notifier, Answer::Subscribed(None));
                        self.core.smp(no, SmpTold::Subscribed { notifier, answer }, NOW);
                    }
                }
                RouterEvent::Smp(_, SmpAsk::Disconnect) => self.connected = None,
                RouterEvent::Smp(_, SmpAsk::SubscribeService(_)) => {}
                RouterEvent::Writable(_) | RouterEvent::Close(_) => {}
            }
        }
    }

    /// A device that nobody else has.
    fn device(&mut self) -> DeviceToken {
        self.names += 1;
        let name = format!("{:08x}{:08x}", self.name, self.names);
        DeviceToken { provider: Provider::ApnsTest, name: EntityId::new(name.as_bytes()).unwrap() }
    }

    fn request(&mut self, entity: &EntityId, command: &Command, asked: Asked) {
        let corr = self.client.1.request(entity.clone(), command, Some(&self.key)).unwrap();
        self.asked.insert(corr, asked);
    }

    /// An answer has left the router: it is a promise now.
    fn learn(&mut self, event: ClientEvent) {
        let at = self.disk.operations();
        let ClientEvent::Response { corr, response, .. } = event else { return };
        let other = self.device();
        match (self.asked.remove(&corr), response.unwrap()) {
            (Some(Asked::New(device)), Response::IdTkn { id, .. }) => self.tokens.push(Token {
                id,
                device,
                created: at,
                verified: Promise::default(),
                replaced: Promise::default(),
                other,
                period: Promise::default(),
                deleted: Promise::default(),
            }),
            (Some(Asked::Verify(number)), Response::Ok) => self.tokens[number].verified.give(at),
            (Some(Asked::Replace(number)), Response::Ok) => self.tokens[number].replaced.give(at),
            (Some(Asked::Period(number)), Response::Ok) => self.tokens[number].period.give(at),
            (Some(Asked::Delete(number)), Response::Ok) => self.tokens[number].deleted.give(at),
            (Some(Asked::Subscribe(token, notifier)), Response::IdSub(id)) => {
                let deleted = Promise::default();
                self.subscriptions.push(Subscription { id, token, notifier, created: at, deleted });
            }
            (Some(Asked::Unsubscribe(number)), Response::Ok) => self.subscriptions[number].deleted.give(at),
            _ => {}
        }
    }
}
