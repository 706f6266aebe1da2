//! The semantic layer does what sessions with bytes do: the same commands are seen by the same routers, in the same order and of
//! the same sizes, and answered alike.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(missing_docs, unreachable_pub, reason = "a test crate")]

mod common;

use std::collections::BTreeMap;

use common::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_protocol::crypto::certificate::SignedKey;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::observe::{Seen, SessionNo, Sight};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::{QueueStore, Router, RouterConfig, RouterEvent};
use sxlab_protocol::smp::semantic::{Asked, Told, stand_in, stands_for};
use sxlab_protocol::smp::version::{ALPN_VERSIONS, Layout};
use sxlab_protocol::transport::RouterHello;
use sxlab_protocol::wire::{CorrId, EntityId, MsgId};

const LAYOUT: Layout = Layout::of(20);
const BODY: usize = 16_040;

fn observed() -> RouterConfig {
    RouterConfig { observe: true, ..RouterConfig::default() }
}

/// Sights with ids by their first appearance, so that two runs with other ids compare.
fn plain(sights: Vec<Sight>) -> Vec<String> {
    let mut names: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut name = |bytes: &[u8]| {
        let next = names.len();
        if bytes.is_empty() {
            "-".to_owned()
        } else {
            names.entry(bytes.to_vec()).or_insert(next).to_string()
        }
    };
    let mut seen = |seen: Seen| {
        let Seen { session, kind, layer, entity, corr, size, passed_to } = seen;
        let (entity, corr) = (name(entity.as_bytes()), name(corr.as_bytes()));
        let passed = passed_to.map(|(session, corr)| (session, name(corr.as_bytes())));
        format!("{session:?} {kind:?} {layer:?} entity {entity} corr {corr} {size} bytes {passed:?}")
    };
    let plain = |sight| match sight {
        Sight::Received(of) => format!("received {}", seen(of)),
        Sight::Sent(of) => format!("sent {}", seen(of)),
        Sight::Created { session, .. } => format!("created {session:?}"),
        other => format!("{other:?}"),
    };
    sights.into_iter().map(plain).collect()
}

/// A proxy and a relay at the semantic layer, and what their clients were told.
struct Layer {
    routers: Vec<Router>,
    now: u64,
    corr: u16,
    links: BTreeMap<(usize, SessionNo), (usize, SessionNo)>,
    told: Vec<(usize, SessionNo, Vec<Told>)>,
    world: World,
}

impl Layer {
    fn new() -> Self {
        let mut world = World::with(observed());
        world.router(observed());
        let router = |seed: u64| {
            let rng = ChaCha20Rng::seed_from_u64(seed);
            let credentials = certificates::credentials(seed as u8 + 1);
            Router::new(observed(), credentials, QueueStore::default(), rng).without_cryptography()
        };
        let routers = vec![router(0), router(1)];
        Self { routers, now: world.now, corr: 0, links: BTreeMap::new(), told: Vec::new(), world }
    }

    fn asked(&mut self, entity: &EntityId, authorization: u8, command: Command) -> Asked {
        self.corr += 1;
        Asked {
            corr: CorrId::from(<[u8; 24]>::try_from(self.corr.to_be_bytes().repeat(12)).unwrap()),
            entity: entity.clone(),
            authorization,
            command,
        }
    }

    fn drive(&mut self) {
        for _ in 0..20 {
            for site in 0..self.routers.len() {
                while let Some(event) = self.routers[site].poll() {
                    match event {
                        RouterEvent::Writable(session) => self.write(site, session),
                        RouterEvent::Dial { session, .. } => self.dial(site, session),
                        event => panic!("{event:?}"),
                    }
                }
            }
        }
    }

    fn write(&mut self, site: usize, session: SessionNo) {
        while let Some(asked) = self.routers[site].next_asked(session) {
            let (to, there) = self.links[&(site, session)];
            self.routers[to].commands(there, asked, self.now);
        }
        while let Some(told) = self.routers[site].next_told(session) {
            match self.links.get(&(site, session)) {
                Some(&(to, there)) => self.routers[to].relay_told(there, told, self.now),
                None => self.told.push((site, session, told)),
            }
        }
    }

    fn dial(&mut self, site: usize, session: SessionNo) {
        self.routers[site].dialed_semantic(session);
        let there = self.routers[1].accept_semantic("proxy", true, self.now).unwrap();
        self.links.insert((site, session), (1, there));
        self.links.insert((1, there), (site, session));
        let credentials = certificates::credentials(2);
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let key = SignedKey::make(X25519Secret::generate(&mut rng).public(), credentials.leaf.clone());
        let hello = RouterHello {
            versions: ALPN_VERSIONS,
            session_id: vec![7; 32],
            authentication: Some((credentials.chain.clone(), key)),
        };
        self.routers[site].relay_greeted(session, hello, self.now);
    }

    /// A client's command and its answer.
    fn ask(&mut self, site: usize, session: SessionNo, asked: Asked) -> Response {
        let corr = asked.corr.clone();
        self.routers[site].commands(session, vec![asked], self.now);
        self.drive();
        let mut told = self.told.iter().flat_map(|(_, _, told)| told);
        told.find(|told| told.corr == corr).expect("no answer").response.clone()
    }

    fn forward(&mut self, session: SessionNo, relay: &EntityId, inner: &Asked) -> Response {
        let key = X25519Secret::from_bytes([3; 32]).public();
        let sealed = inner.inside(&LAYOUT).unwrap();
        let mut asked = self.asked(relay, 0, Command::Pfwd { version: 20, key, sealed });
        asked.corr = inner.corr.clone();
        let Response::Pres { sealed } = self.ask(0, session, asked) else { panic!("no PRES") };
        Response::decode(&sealed, &LAYOUT).unwrap()
    }

    fn event(&mut self) -> (MsgId, Vec<u8>) {
        let told = self.told.iter().flat_map(|(_, _, told)| told).rev();
        let mut messages = told.filter_map(|told| match &told.response {
            Response::Msg { id, body } => Some((id.clone(), body.clone())),
            _ => None,
        });
        messages.next().unwrap()
    }
}

fn new(key: &AuthSecretKey) -> Command {
    Command::New(Box::new(NewQueue::messaging(key.public(), X25519Secret::from_bytes([5; 32]).public())))
}

/// Recipient and sender, through a proxy: queue, SKEY, messages, acknowledgements, a second subscriber, deletion.
#[test]
fn routers_see_the_same_in_the_same_order_and_of_the_same_sizes() {
    // With bytes.
    let mut w = World::with(observed());
    w.router(observed());
    let alice = w.client_of(1, 20);
    let q = w.queue(alice);
    let bob = w.client(20);
    let relay = w.relay(bob, 1).unwrap();
    let sender = key(KeyType::X25519, 4);
    let body = "b".repeat(BODY);
    assert_eq!(
        w.forward(bob, &relay, &q.sender, &Command::SKey(sender.public()), Some(&sender)),
        "in PRES: OK"
    );
    for _ in 0..3 {
        assert_eq!(w.forward(bob, &relay, &q.sender, &send(&body), Some(&sender)), "in PRES: OK");
    }
    w.ack(alice, &q);
    let carol = w.client_of(1, 20);
    w.subscribe(carol, &q);
    w.ack(carol, &q);
    assert_eq!(w.ack(carol, &q), "OK");
    w.ask(carol, &EntityId::EMPTY, &Command::Ping, None);
    w.recipient(carol, &q, Command::Del);
    w.wait(20 * SECOND);
    let with_bytes: Vec<_> = w.sites.iter_mut().map(|site| plain(site.core.sights())).collect();

    // With values.
    let mut l = Layer::new();
    let none = EntityId::EMPTY;
    let alice = l.routers[1].accept_semantic("alice", false, l.now).unwrap();
    let asked = l.asked(&none, 64, new(&q.key));
    let Response::Ids(ids) = l.ask(1, alice, asked) else { panic!("no IDS") };
    let bob = l.routers[0].accept_semantic("bob", false, l.now).unwrap();
    let router = l.world.sites[1].address.clone();
    let asked = l.asked(&none, 0, Command::Prxy { router, password: None });
    let Response::Pkey { session: relay, .. } = l.ask(0, bob, asked) else { panic!("no PKEY") };
    let inner = l.asked(&ids.sender, 80, Command::SKey(sender.public()));
    assert_eq!(l.forward(bob, &relay, &inner), Response::Ok);
    for number in 0..3 {
        let body = stand_in(BODY as u32, &[number]);
        let inner = l.asked(&ids.sender, 80, Command::Send { flags: MsgFlags::default(), body });
        assert_eq!(l.forward(bob, &relay, &inner), Response::Ok);
    }
    let (id, first) = l.event();
    assert_eq!(stands_for(&first), Some((BODY as u32, &[0][..])));
    let asked = l.asked(&ids.recipient, 64, Command::Ack(id));
    assert!(matches!(l.ask(1, alice, asked), Response::Msg { .. }));
    let carol = l.routers[1].accept_semantic("carol", false, l.now).unwrap();
    let asked = l.asked(&ids.recipient, 64, Command::Sub);
    assert_eq!(l.ask(1, carol, asked), Response::Sok { service: None });
    for last in [false, true] {
        let (id, body) = l.event();
        assert_eq!(stands_for(&body).unwrap().1, [if last { 2 } else { 1 }]);
        let asked = l.asked(&ids.recipient, 64, Command::Ack(id));
        assert_eq!(l.ask(1, carol, asked) == Response::Ok, last);
    }
    for command in [Command::Ping, Command::Del] {
        let (entity, authorization) =
            if command == Command::Ping { (&none, 0) } else { (&ids.recipient, 64) };
        let asked = l.asked(entity, authorization, command);
        l.ask(1, carol, asked);
    }
    l.now += 20 * SECOND;
    l.routers[1].timeout(l.now);
    l.drive();
    let with_values: Vec<_> = l.routers.iter_mut().map(|router| plain(router.sights())).collect();

    for (bytes, values) in with_bytes.iter().zip(&with_values) {
        let named = |sights: &[String]| -> Vec<String> {
            sights.iter().map(|line| line.split(", from").next().unwrap().to_owned()).collect()
        };
        // Whose address it is has no meaning here.
        assert_eq!(named(bytes), named(values));
        assert!(values.len() > 15, "{} sights", values.len());
    }
}

/// Responses share blocks as their sizes allow.
#[test]
fn blocks_hold_as_much_as_with_bytes() {
    let mut w = World::new();
    let client = w.client(20);
    for _ in 0..300 {
        w.post(client, &EntityId::EMPTY, &Command::Que, Some(&key(KeyType::Ed25519, 1)));
    }
    w.drive();
    let bytes: Vec<_> = w.blocks(client).iter().map(Vec::len).collect();

    let mut l = Layer::new();
    let session = l.routers[1].accept_semantic("a", false, l.now).unwrap();
    for commands in &bytes {
        let asked = (0..*commands).map(|_| l.asked(&EntityId::EMPTY, 64, Command::Que)).collect();
        l.routers[1].commands(session, asked, l.now);
        l.drive();
    }
    let values: Vec<_> = l.told.iter().map(|(_, _, told)| told.len()).collect();
    assert_eq!(values, bytes);
    assert_eq!(values.iter().sum::<usize>(), 300);
}
