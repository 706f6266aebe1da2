//! An SMP router with its clients, and a notification router's connection to it.

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::ntf::subscriber::Subscriber;
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::smp;
use sxlab_protocol::smp::client::{Client, ClientEvent};
use sxlab_protocol::smp::router::{QueueStore, RouterConfig, RouterEvent as SmpEvent};
use sxlab_protocol::transport::{ClientHandshake, ServiceCredentials};
use sxlab_protocol::wire::{CorrId, EntityId, VersionRange};

use crate::{SECOND, certificates};

/// The version of SMP clients.
pub const VERSION: u16 = 20;

/// The port at which it is: at others there is nobody.
pub const PORT: u16 = 15223;

pub struct Place {
    router: smp::router::Router,
    pub rng: ChaCha20Rng,
    pub clients: BTreeMap<String, (SessionNo, Client)>,
    pub answers: Vec<(CorrId, smp::response::Response)>,
    /// Our router's connection, once there is one.
    link: Option<(SmpNo, SessionNo, Subscriber)>,
    /// What our router asked and nothing was done about yet.
    asked: VecDeque<(SmpNo, SmpAsk)>,
    sessions: u64,
    /// What the notification router presents itself with, if it is a service.
    pub service: Option<ServiceCredentials>,
    /// The order in which notifications that come together are told, by notifier.
    pub order: Vec<EntityId>,
    /// What was told, but for answers to single subscriptions.
    pub told: Vec<SmpTold>,
}

impl Place {
    pub fn new(rng: &mut ChaCha20Rng) -> Self {
        let credentials = certificates::credentials(2);
        // The recorded router looked every 1.5 s, whenever the message came.
        let config = RouterConfig { notification_interval: 9 * SECOND / 10, ..RouterConfig::default() };
        let own = ChaCha20Rng::from_rng(rng);
        Self {
            router: smp::router::Router::new(config, credentials, QueueStore::default(), own),
            rng: ChaCha20Rng::from_rng(rng),
            clients: BTreeMap::new(),
            answers: Vec::new(),
            link: None,
            asked: VecDeque::new(),
            sessions: 0,
            service: None,
            order: Vec::new(),
            told: Vec::new(),
        }
    }

    pub fn connect(&mut self, chain: Vec<Vec<u8>>, now: u64) -> (SessionNo, ClientHandshake) {
        self.sessions += 1;
        let session_id = sha256(&self.sessions.to_be_bytes()).to_vec();
        let session = self.router.accept_with_chain("client.test", session_id.clone(), true, chain, now);
        let handshake = ClientHandshake {
            versions: VersionRange::only(VERSION),
            identity: certificates::credentials(2).chain.identity().unwrap(),
            session_id,
            send_key: true,
            proxy: false,
            unix_seconds: now / SECOND,
        };
        (session, handshake)
    }

    pub fn ask(&mut self, no: SmpNo, asked: SmpAsk) {
        self.asked.push_back((no, asked));
    }

    /// What was asked is done, and what came is told. Gives whether anything was.
    pub fn pass(&mut self, router: &mut Router, now: u64) -> bool {
        while self.router.next_timeout().is_some_and(|due| due <= now) {
            self.router.timeout(now);
            self.drive(now);
        }
        self.drive(now);
        let mut told = Vec::new();
        if let Some((no, _, subscriber)) = &mut self.link {
            while let Some(news) = subscriber.poll() {
                told.push((*no, news));
            }
        }
        // Which notifier's notification comes first has no rule: as recorded.
        told.sort_by_key(|(_, told)| match told {
            SmpTold::Notified { notifier, .. } => {
                self.order.iter().position(|known| known == notifier).unwrap_or(usize::MAX)
            }
            _ => 0,
        });
        let moved = !told.is_empty() || !self.asked.is_empty();
        for (no, news) in told {
            if !matches!(news, SmpTold::Subscribed { .. }) {
                self.told.push(news.clone());
            }
            router.smp(no, news, now);
        }
        while let Some((no, asked)) = self.asked.pop_front() {
            match &asked {
                SmpAsk::Connect { address, .. } if address.port == Some(PORT) => {
                    let chain = self.service.as_ref().map(|service| service.chain.ders.clone());
                    let (session, handshake) = self.connect(chain.unwrap_or_default(), now);
                    let rng = ChaCha20Rng::from_rng(&mut self.rng);
                    let subscriber = Subscriber::new(handshake, self.service.clone(), rng);
                    self.link = Some((no, session, subscriber));
                }
                SmpAsk::Connect { .. } => router.smp(no, SmpTold::Lost, now),
                _ => {
                    let (_, _, subscriber) = self.link.as_mut().unwrap();
                    subscriber.ask(asked).unwrap();
                }
            }
        }
        moved
    }

    /// Ends the notification router's connection.
    pub fn cut(&mut self, router: &mut Router, now: u64) {
        let (no, session, _) = self.link.take().unwrap();
        self.router.closed(session, now);
        router.smp(no, SmpTold::Lost, now);
    }

    /// A client of the SMP router.
    pub fn client(&mut self, name: &str, now: u64) -> &mut Client {
        if !self.clients.contains_key(name) {
            let (session, handshake) = self.connect(Vec::new(), now);
            let rng = ChaCha20Rng::from_rng(&mut self.rng);
            self.clients.insert(name.to_owned(), (session, Client::new(handshake, rng)));
            self.drive(now);
        }
        &mut self.clients.get_mut(name).unwrap().1
    }

    /// Carries blocks until nothing moves.
    pub fn drive(&mut self, now: u64) {
        loop {
            let mut moved = false;
            while let Some(event) = self.router.poll() {
                let SmpEvent::Writable(session) = event else { panic!("{event:?}") };
                moved = true;
                while let Some(block) = self.router.next_block(session) {
                    if let Some((_, _, subscriber)) = self.link.as_mut().filter(|(_, of, _)| *of == session) {
                        subscriber.block(&block).unwrap();
                    } else {
                        let (_, client) = self.clients.values_mut().find(|(of, _)| *of == session).unwrap();
                        client.block(&block).unwrap();
                        while let Some(event) = client.poll() {
                            if let ClientEvent::Response { corr, response, .. } = event {
                                self.answers.push((corr, response.unwrap()));
                            }
                        }
                    }
                }
            }
            for (session, client) in self.clients.values_mut() {
                while let Some(block) = client.next_block() {
                    moved = true;
                    self.router.block(*session, block, now);
                }
            }
            if let Some((_, session, subscriber)) = &mut self.link {
                while let Some(block) = subscriber.next_block() {
                    moved = true;
                    self.router.block(*session, block, now);
                }
            }
            if !moved {
                return;
            }
        }
    }
}
