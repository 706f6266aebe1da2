//! Sessions through the cores: the handshake of a router and a client, TLS's own, and one message by way of a proxy.
//!
//! `cargo bench --bench sessions`. All of it runs on one thread, both or all four ends counted together.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench that cannot run should stop"
)]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sxlab_node::identity::RouterIdentity;
use sxlab_node::tls::{Acceptor, Connector, ConnectorConfig, Entropy, SMP_ALPN};
use sxlab_protocol::crypto::SharedSecret;
use sxlab_protocol::crypto::boxes::random_nonce;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::smp::client::{Client, ClientEvent};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue};
use sxlab_protocol::smp::envelope::{ClientMessage, Envelope, MessageBody};
use sxlab_protocol::smp::forward::Relay;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::{QueueStore, Router, RouterConfig, RouterEvent};
use sxlab_protocol::transport::{ClientHandshake, RouterCredentials, SUPPORTED};
use sxlab_protocol::wire::{EntityId, Host, RouterAddress};

/// A date within every certificate's validity, in seconds and in nanoseconds since 1970.
const SECONDS: u64 = 1_780_000_000;
const NOW: u64 = SECONDS * 1_000_000_000;

/// Routers, clients and the connections between them, all in memory.
#[derive(Default)]
struct Net {
    routers: Vec<(RouterAddress, Router)>,
    clients: Vec<(usize, SessionNo, Client)>,
    /// Both ends of each session between routers.
    links: BTreeMap<(usize, SessionNo), (usize, SessionNo)>,
    connections: u8,
}

impl Net {
    fn add_router(&mut self, name: &str) -> usize {
        let number = self.routers.len();
        let mut rng = rng(number as u64);
        let identity = RouterIdentity::mint(name, &mut rng).unwrap();
        let address = RouterAddress {
            hosts: vec![Host::Domain(name.to_owned())],
            port: None,
            identity: identity.identity_hash(),
            password: None,
        };
        let credentials = RouterCredentials { chain: identity.chain().clone(), leaf: identity.leaf_key() };
        let router = Router::new(RouterConfig::default(), credentials, QueueStore::default(), rng);
        self.routers.push((address, router));
        number
    }

    /// What TLS would give: the same 32 bytes at both ends, others for each connection.
    fn session_id(&mut self) -> Vec<u8> {
        self.connections = self.connections.wrapping_add(1);
        vec![self.connections; 32]
    }

    fn add_client(&mut self, router: usize) -> usize {
        let session_id = self.session_id();
        let (address, core) = &mut self.routers[router];
        let session = core.accept("client", session_id.clone(), true, NOW);
        let handshake = ClientHandshake {
            versions: SUPPORTED,
            identity: address.identity,
            session_id,
            send_key: true,
            proxy: false,
            unix_seconds: SECONDS,
        };
        self.clients.push((router, session, Client::new(handshake, rng(1000 + self.clients.len() as u64))));
        self.settle();
        self.clients.len() - 1
    }

    /// Carries blocks until nobody has any.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for (router, session, client) in &mut self.clients {
                while let Some(block) = client.next_block() {
                    self.routers[*router].1.block(*session, &block, NOW);
                    moved = true;
                }
            }
            for router in 0..self.routers.len() {
                while let Some(event) = self.routers[router].1.poll() {
                    self.event(router, event);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn event(&mut self, router: usize, event: RouterEvent) {
        match event {
            RouterEvent::Writable(session) => {
                while let Some(block) = self.routers[router].1.next_block(session) {
                    if let Some(&(peer, at_peer)) = self.links.get(&(router, session)) {
                        self.routers[peer].1.block(at_peer, &block, NOW);
                    } else {
                        let mut clients = self.clients.iter_mut();
                        let client = clients.find(|(r, s, _)| (*r, *s) == (router, session));
                        client.unwrap().2.block(&block).unwrap();
                    }
                }
            }
            // No router here resolves names.
            RouterEvent::Resolve { .. } => {}
            RouterEvent::Dial { session, address } => {
                let session_id = self.session_id();
                let mut relays = self.routers.iter().enumerate();
                let relay = relays.find(|(_, (known, _))| *known == address).unwrap().0;
                let at_relay = self.routers[relay].1.accept("proxy", session_id.clone(), true, NOW);
                self.links.insert((router, session), (relay, at_relay));
                self.links.insert((relay, at_relay), (router, session));
                self.routers[router].1.dialed(session, session_id, NOW);
            }
            RouterEvent::Close(_) => {}
        }
    }

    fn request(
        &mut self,
        client: usize,
        entity: &EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Response {
        self.clients[client].2.request(entity.clone(), command, key).unwrap();
        self.settle();
        self.answer(client)
    }

    fn forward(
        &mut self,
        client: usize,
        relay: &Relay,
        entity: &EntityId,
        command: &Command,
        key: &AuthSecretKey,
    ) -> Response {
        self.clients[client].2.forward(relay, entity.clone(), command, Some(key)).unwrap();
        self.settle();
        self.answer(client)
    }

    fn answer(&mut self, client: usize) -> Response {
        loop {
            match self.clients[client].2.poll().unwrap() {
                ClientEvent::Response { response, .. } => return response.unwrap(),
                ClientEvent::Forwarded { response, .. } => return response.unwrap(),
                ClientEvent::Ready { .. } => {}
                ClientEvent::Event { .. } => {}
            }
        }
    }
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A sender's client on a proxy, a recipient's on the relay that holds the queue.
struct Conversation {
    net: Net,
    sender: usize,
    recipient: usize,
    relay: Relay,
    sender_id: EntityId,
    recipient_id: EntityId,
    sender_key: AuthSecretKey,
    recipient_key: AuthSecretKey,
    /// Between router and recipient, and between sender and recipient.
    router_secret: SharedSecret,
    secret: SharedSecret,
    rng: ChaCha20Rng,
}

impl Conversation {
    fn new() -> Self {
        let mut net = Net::default();
        let (proxy, relay) = (net.add_router("proxy.test"), net.add_router("relay.test"));
        let (sender, recipient) = (net.add_client(proxy), net.add_client(relay));
        let mut rng = rng(99);
        let recipient_key = AuthSecretKey::generate(KeyType::Ed25519, &mut rng);
        let sender_key = AuthSecretKey::generate(KeyType::X25519, &mut rng);
        let dh = X25519Secret::generate(&mut rng);
        let new = Command::New(Box::new(NewQueue::messaging(recipient_key.public(), dh.public())));
        let Response::Ids(ids) = net.request(recipient, &EntityId::EMPTY, &new, Some(&recipient_key)) else {
            panic!("no queue")
        };
        let router = net.routers[relay].0.clone();
        let prxy = Command::Prxy { router: router.clone(), password: None };
        let pkey = net.request(sender, &EntityId::EMPTY, &prxy, None);
        let Response::Pkey { session, versions, chain, signed_key } = pkey else { panic!("no relay") };
        let relay =
            Relay::verify(&session, versions, &chain, &signed_key, &router.identity, SECONDS).unwrap();
        let skey = Command::SKey(sender_key.public());
        assert_eq!(net.forward(sender, &relay, &ids.sender, &skey, &sender_key), Response::Ok);
        let (one, other) = (X25519Secret::generate(&mut rng), X25519Secret::generate(&mut rng));
        Self {
            net,
            sender,
            recipient,
            relay,
            sender_id: ids.sender,
            recipient_id: ids.recipient,
            sender_key,
            recipient_key,
            router_secret: dh.dh(&ids.dh_key),
            secret: one.dh(&other.public()),
            rng,
        }
    }

    /// One message: encrypted, forwarded, delivered, decrypted, acknowledged. Gives its body's length.
    fn message(&mut self, body: &[u8]) -> usize {
        let message = ClientMessage { sender_key: None, body: body.to_vec() };
        let envelope = Envelope::seal(4, None, &self.secret, random_nonce(&mut self.rng), &message).unwrap();
        let send = Command::Send { flags: MsgFlags::default(), body: envelope.encode() };
        let sent = self.net.forward(self.sender, &self.relay, &self.sender_id, &send, &self.sender_key);
        assert_eq!(sent, Response::Ok);
        let Some(ClientEvent::Event { response: Response::Msg { id, body }, .. }) =
            self.net.clients[self.recipient].2.poll()
        else {
            panic!("no message")
        };
        let MessageBody::Message { body, .. } = MessageBody::open(&self.router_secret, &id, &body).unwrap()
        else {
            panic!("a quota marker")
        };
        let received = Envelope::decode(&body).unwrap().open(&self.secret).unwrap();
        let ack = Command::Ack(id);
        let acked = self.net.request(self.recipient, &self.recipient_id, &ack, Some(&self.recipient_key));
        assert_eq!(acked, Response::Ok);
        received.body.len()
    }
}

fn handshakes(c: &mut Criterion) {
    let mut group = c.benchmark_group("handshake");
    group.throughput(Throughput::Elements(1));
    let mut net = Net::default();
    let router = net.add_router("router.test");
    group.bench_function("SMP, router and client", |b| {
        b.iter(|| {
            let client = net.add_client(router);
            let (_, session, core) = net.clients.pop().unwrap();
            net.routers[router].1.closed(session, NOW);
            assert!(core.agreed().is_some());
            client
        });
    });

    let mut rng = rng(5);
    let identity = RouterIdentity::mint("router.test", &mut rng).unwrap();
    let acceptor = Acceptor::new(&identity, &SMP_ALPN).unwrap();
    let connector = Connector::new(ConnectorConfig {
        alpn: vec![b"smp/1".to_vec()],
        expected_identity: identity.identity_hash(),
        client_identity: None,
    })
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (name, seeded) in [("TLS over a pipe, system randomness", false), ("TLS over a pipe, seeded", true)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut entropy = || match seeded {
                    true => Entropy::seeded(ChaCha20Rng::seed_from_u64(rng.next_u64()), SECONDS),
                    false => Entropy::System,
                };
                let (near, far) = tokio::io::duplex(1 << 16);
                let (client, router) = (connector.connect(near, entropy()), acceptor.accept(far, entropy()));
                let (client, router) = runtime.block_on(async { tokio::join!(client, router) });
                assert_eq!(client.unwrap().session_id, router.unwrap().session_id);
            });
        });
    }
    group.finish();
}

fn proxied_message(c: &mut Criterion) {
    let mut group = c.benchmark_group("proxied message");
    group.throughput(Throughput::Elements(1));
    let mut conversation = Conversation::new();
    for size in [100, 15_000] {
        let body = vec![b'x'; size];
        group.bench_function(format!("{size} bytes, sent to acknowledged"), |b| {
            b.iter(|| assert_eq!(conversation.message(black_box(&body)), size));
        });
    }
    group.finish();
}

criterion_group!(benches, handshakes, proxied_message);
criterion_main!(benches);
