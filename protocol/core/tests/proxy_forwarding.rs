//! Commands forwarded through a proxy (PX-*): router 0 is the proxy, router 1 the relay.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(missing_docs, unreachable_pub, reason = "a test crate")]

mod common;

use common::*;
use sxlab_protocol::crypto::boxes::{nonce_from_corr, open, open_padded, reversed, seal};
use sxlab_protocol::crypto::keys::{AuthSecretKey, X25519Public, X25519Secret};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::forward::{FORWARD_SIZE, Relay};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::RouterConfig;
use sxlab_protocol::transport::{pack_one, read_transmission, unpack};
use sxlab_protocol::wire::{CorrId, EntityId, MsgId, RouterAddress, VersionRange, pad};

/// A proxy and a relay that offers these versions.
fn network(relay: VersionRange) -> World {
    let mut w = World::new();
    w.router(RouterConfig { versions: relay, ..RouterConfig::default() });
    w
}

const ALL: VersionRange = VersionRange { min: 6, max: 20 };

/// A proxy, a relay with a queue and its recipient, and a client of the proxy that knows the relay.
fn ready() -> (World, usize, Relay, usize, TestQueue) {
    let mut w = network(ALL);
    let recipient = w.client_of(1, 20);
    let q = w.queue(recipient);
    let c = w.client(20);
    let relay = w.relay(c, 1).unwrap();
    (w, c, relay, recipient, q)
}

#[test]
fn a_message_is_forwarded_at_every_version_of_proxy_session_and_relay() {
    for version in 8..=20 {
        let mut w = network(VersionRange { min: 6, max: version });
        let recipient = w.client_of(1, version);
        let q = w.queue(recipient);
        let c = w.client(version);
        let relay = w.relay(c, 1).unwrap();
        assert_eq!(w.forward(c, &relay, &q.sender, &send("hello"), None), "in PRES: OK");
        assert_eq!(w.events(recipient), ["MSG hello"]);
    }
}

#[test]
fn two_clients_share_one_session_with_the_relay() {
    let (mut w, c, relay, recipient, q) = ready();
    let c2 = w.client(20);
    let relay2 = w.relay(c2, 1).unwrap();
    assert_eq!(relay.session_entity(), relay2.session_entity());
    assert_eq!(w.forward(c, &relay, &q.sender, &send("m1"), None), "in PRES: OK");
    assert_eq!(w.forward(c2, &relay2, &q.sender, &send("m2"), None), "in PRES: OK");
    assert_eq!(w.events(recipient), ["MSG m1"]);
    assert_eq!(w.ack(recipient, &q), "MSG m2");
    assert_eq!(w.sites[1].core.sessions(), 2, "the recipient's and the proxy's");
}

#[test]
fn a_router_may_be_its_own_relay() {
    let mut w = World::new();
    let c = w.client(20);
    let q = w.queue(c);
    let relay = w.relay(c, 0).unwrap();
    assert_eq!(w.forward(c, &relay, &q.sender, &send("m"), None), "in PRES: OK");
    assert_eq!(w.events(c), ["MSG m"]);
}

#[test]
fn pkey_shows_the_versions_that_are_forwarded() {
    for (max, shown) in
        [(7, None), (8, Some(8)), (10, Some(10)), (12, Some(10)), (14, Some(14)), (20, Some(20))]
    {
        let mut w = network(VersionRange { min: 6, max });
        let c = w.client(20);
        let address = w.sites[1].address.clone();
        let corr = w.post_prxy(c, &address, None);
        w.drive();
        match (w.answer(c, &corr).unwrap(), shown) {
            ((_, Some(Response::Pkey { versions, .. })), Some(max)) => {
                assert_eq!(versions, VersionRange { min: 8, max });
            }
            ((text, _), None) => assert_eq!(text, "ERR PROXY BROKER TRANSPORT VERSION"),
            ((text, _), _) => panic!("{text}"),
        }
    }
}

#[test]
fn the_sender_secures_through_the_proxy_and_the_relays_refusals_come_inside() {
    let (mut w, c, relay, recipient, q) = ready();
    let (key, other) = (sender_key(20, 1), sender_key(20, 2));
    let skey = Command::SKey(key.public());
    assert_eq!(w.forward(c, &relay, &q.sender, &skey, Some(&key)), "in PRES: OK");
    assert_eq!(w.forward(c, &relay, &q.sender, &send("m"), Some(&key)), "in PRES: OK");
    assert_eq!(w.forward(c, &relay, &q.sender, &send("m"), Some(&other)), "in PRES: ERR AUTH");
    assert_eq!(w.forward(c, &relay, &q.sender, &send("m"), None), "in PRES: ERR AUTH");
    let other_skey = Command::SKey(other.public());
    assert_eq!(w.forward(c, &relay, &q.sender, &other_skey, Some(&other)), "in PRES: ERR AUTH");
    let none = EntityId::EMPTY;
    assert_eq!(w.forward(c, &relay, &none, &send("m"), None), "in PRES: ERR CMD NO_ENTITY");
    assert_eq!(w.events(recipient), ["MSG m"]);
}

#[test]
fn only_senders_commands_are_forwarded() {
    let (mut w, c, relay, _, q) = ready();
    let key = sender_key(20, 1);
    for command in [Command::Sub, Command::Get, Command::Off, Command::Del, Command::Key(key.public())] {
        let answer = w.forward(c, &relay, &q.recipient, &command, Some(&q.key));
        assert_eq!(answer, "in PRES: ERR CMD PROHIBITED", "{command:?}");
    }
    let ack = Command::Ack(MsgId::EMPTY);
    let answer = w.forward(c, &relay, &q.recipient, &ack, Some(&q.key));
    assert_eq!(answer, "in PRES: ERR CMD PROHIBITED");
    let answer = w.forward(c, &relay, &EntityId::EMPTY, &Command::Ping, None);
    assert_eq!(answer, "in PRES: ERR CMD PROHIBITED");
    assert_eq!(w.forward(c, &relay, &q.recipient, &Command::Sub, None), "in PRES: ERR CMD NO_AUTH");
}

#[test]
fn the_body_limit_is_that_of_the_inner_version() {
    for (max, limit) in [(8, 16064), (10, 16064), (12, 16064), (14, 16048), (20, 16048)] {
        let mut w = network(VersionRange { min: 6, max });
        let recipient = w.client_of(1, max);
        let q = w.queue(recipient);
        let c = w.client(20);
        let relay = w.relay(c, 1).unwrap();
        let (fits, too_long) = ("-".repeat(limit), "-".repeat(limit + 1));
        assert_eq!(w.forward(c, &relay, &q.sender, &send(&fits), None), "in PRES: OK");
        assert_eq!(w.forward(c, &relay, &q.sender, &send(&too_long), None), "in PRES: ERR LARGE_MSG");
    }
}

#[test]
fn a_forward_to_an_unknown_session_is_refused() {
    let mut w = World::new();
    let c = w.client(20);
    let key = X25519Secret::from_bytes([1; 32]).public();
    let pfwd = Command::Pfwd { version: 20, key, sealed: vec![0; 100] };
    assert_eq!(w.ask(c, &EntityId::from([7; 32]), &pfwd, None), "ERR PROXY NO_SESSION");
}

#[test]
fn a_proxy_may_need_a_password_or_forward_for_nobody_and_may_create_no_queues() {
    let with = |config| {
        let mut w = World::with(config);
        w.router(RouterConfig::default());
        let c = w.client(20);
        (w, c)
    };
    let ask = |w: &mut World, c, password| {
        let address = w.sites[1].address.clone();
        let corr = w.post_prxy(c, &address, password);
        w.drive();
        w.answer(c, &corr).unwrap().0
    };
    let (mut w, c) = with(RouterConfig { password: Some("secret".into()), ..RouterConfig::default() });
    assert_eq!(ask(&mut w, c, None), "ERR PROXY BASIC_AUTH");
    assert_eq!(ask(&mut w, c, Some("wrong")), "ERR PROXY BASIC_AUTH");
    assert_eq!(ask(&mut w, c, Some("secret")), "PKEY");
    let (mut w, c) = with(RouterConfig { proxy: false, ..RouterConfig::default() });
    assert_eq!(ask(&mut w, c, None), "ERR PROXY BASIC_AUTH");
    let (mut w, c) = with(RouterConfig { new_queues: false, ..RouterConfig::default() });
    assert_eq!(ask(&mut w, c, Some("any")), "PKEY");
}

fn nowhere() -> RouterAddress {
    RouterAddress {
        hosts: vec!["nowhere.test".parse().unwrap()],
        port: None,
        identity: [0; 32],
        password: None,
    }
}

#[test]
fn a_relay_that_cannot_be_reached_is_remembered_for_30_seconds() {
    let mut w = World::new();
    let c = w.client(20);
    let ask = |w: &mut World, dialled: bool| {
        w.hold_dials = true;
        let corr = w.post_prxy(c, &nowhere(), None);
        w.drive();
        assert_eq!(!w.dials.is_empty(), dialled);
        w.finish_dials();
        w.drive();
        assert_eq!(w.answer(c, &corr).unwrap().0, "ERR PROXY BROKER NETWORK");
        assert_eq!(w.deadline(0), None);
    };
    ask(&mut w, true);
    w.wait(30 * SECOND - 1);
    ask(&mut w, false);
    w.wait(1);
    ask(&mut w, true);
}

#[test]
fn clients_that_ask_while_the_relay_is_dialled_wait_for_the_same_session() {
    let mut w = network(ALL);
    let [c, d] = w.clients(20);
    w.hold_dials = true;
    let address = w.sites[1].address.clone();
    let (first, second) = (w.post_prxy(c, &address, None), w.post_prxy(d, &address, None));
    w.drive();
    assert_eq!(w.dials.len(), 1);
    assert!(w.answer(c, &first).is_none());
    w.finish_dials();
    w.drive();
    assert_eq!(w.answer(c, &first), w.answer(d, &second));
}

#[test]
fn a_relay_that_does_not_greet_times_out_and_is_remembered() {
    let mut w = network(ALL);
    let c = w.client(20);
    w.hold_dials = true;
    let address = w.sites[1].address.clone();
    let corr = w.post_prxy(c, &address, None);
    w.wait(30 * SECOND - 1);
    assert!(w.answer(c, &corr).is_none());
    w.wait(1);
    assert_eq!(w.answer(c, &corr).unwrap().0, "ERR PROXY BROKER TIMEOUT");
    assert_eq!(w.sites[0].closed.len(), 1, "its connection is to be closed");
    assert_eq!(w.relay(c, 1).err().unwrap(), "ERR PROXY BROKER TIMEOUT");
    assert_eq!(w.deadline(0), None);
}

#[test]
fn a_lost_relay_fails_what_waits_for_it_and_the_next_request_dials_again() {
    let (mut w, c, relay, _, q) = ready();
    w.stall_relays(0);
    let corr = w.core(c).forward(&relay, q.sender.clone(), &send("m"), None).unwrap();
    w.drive();
    assert!(w.answer(c, &corr).is_none());
    w.cut_relays(0);
    assert_eq!(w.answer(c, &corr).unwrap().0, "ERR PROXY BROKER NETWORK");
    assert_eq!(w.forward(c, &relay, &q.sender, &send("m"), None), "ERR PROXY NO_SESSION");
    let again = w.relay(c, 1).unwrap();
    assert_ne!(again.session_entity(), relay.session_entity());
    assert_eq!(w.forward(c, &again, &q.sender, &send("m"), None), "in PRES: OK");
}

#[test]
fn a_relay_that_does_not_answer_times_out() {
    let (mut w, c, relay, recipient, q) = ready();
    assert_eq!(w.forward(c, &relay, &q.sender, &send("m1"), None), "in PRES: OK");
    assert_eq!(w.deadline(0), None, "what was answered has no deadline");
    assert_eq!(w.ack(recipient, &q), "OK");
    w.stall_relays(0);
    let corr = w.core(c).forward(&relay, q.sender.clone(), &send("m2"), None).unwrap();
    w.wait(30 * SECOND - 1);
    assert!(w.answer(c, &corr).is_none());
    w.wait(1);
    assert_eq!(w.answer(c, &corr).unwrap().0, "ERR PROXY BROKER TIMEOUT");
    w.release_relays(0);
    assert_eq!(w.forward(c, &relay, &q.sender, &send("m3"), None), "in PRES: OK");
    assert_eq!(
        w.events(recipient),
        ["MSG m1", "MSG m3"],
        "what was given up and not written yet is not sent"
    );
}

#[test]
fn a_relay_that_stays_silent_is_given_up_with_its_session() {
    let (mut w, c, relay, _, q) = ready();
    w.wait(SECOND);
    w.stall_relays(0);
    let corr = w.core(c).forward(&relay, q.sender.clone(), &send("m"), None).unwrap();
    w.wait(30 * SECOND);
    assert_eq!(w.answer(c, &corr).unwrap().0, "ERR PROXY BROKER TIMEOUT");
    assert_eq!(w.sites[0].closed.len(), 1, "its connection is to be closed");
    assert_eq!(w.forward(c, &relay, &q.sender, &send("m"), None), "ERR PROXY NO_SESSION");
}

#[test]
fn thirty_two_commands_wait_for_relays_and_then_the_client_is_not_read() {
    let (mut w, c, relay, recipient, q) = ready();
    let d = w.client(20);
    w.stall_relays(0);
    let forwards: Vec<_> =
        (0..40).map(|_| w.core(c).forward(&relay, q.sender.clone(), &send("m"), None).unwrap()).collect();
    w.drive();
    assert_eq!(w.unread(c), 8);
    assert_eq!(w.ask(d, &EntityId::EMPTY, &Command::Ping, None), "PONG");
    w.release_relays(0);
    assert_eq!(w.unread(c), 0);
    for corr in forwards {
        assert_eq!(w.answer(c, &corr).unwrap().0, "in PRES: OK");
    }
    assert_eq!(w.events(recipient), ["MSG m"]);
}

#[test]
fn requests_for_relays_count_as_waiting_commands() {
    let mut w = World::new();
    let c = w.client(20);
    w.hold_dials = true;
    for _ in 0..32 {
        w.post_prxy(c, &nowhere(), None);
    }
    w.drive();
    assert!(!w.wants_block(c));
    w.finish_dials();
    w.drive();
    assert!(w.wants_block(c));
    assert_eq!(w.events(c), ["ERR PROXY BROKER NETWORK"; 32]);
}

/// A raw client that plays the proxy towards router 0.
struct Proxy {
    who: usize,
    router: X25519Public,
    fresh: X25519Secret,
}

impl Proxy {
    fn new(w: &mut World, is_proxy: bool) -> Self {
        let who = w.raw(20, |handshake| handshake.proxy = is_proxy);
        let router = w.agreed(who).peer_key.unwrap();
        Self { who, router, fresh: X25519Secret::from_bytes([3; 32]) }
    }

    /// The content of RFWD before the outer box; `inner` is padded or what else stands in the inner box.
    fn plain(&self, version: u16, padded_inner: &[u8]) -> Vec<u8> {
        let nonce = nonce_from_corr(&CorrId::new(b"fwd").unwrap());
        let mut plain = b"\x03fwd".to_vec();
        plain.extend_from_slice(&version.to_be_bytes());
        self.fresh.public().put(&mut plain);
        [plain, seal(&self.fresh.dh(&self.router), &nonce, padded_inner)].concat()
    }

    /// RFWD with these bytes; the outer answer, or what is inside RRES.
    fn rfwd(&self, w: &mut World, sealed: &[u8]) -> String {
        let item = w.item(self.who, "corr", &EntityId::EMPTY, &[b"RFWD ", sealed].concat(), None);
        w.write_items(self.who, &[item]);
        match w.answer(self.who, &CorrId::new(b"corr").unwrap()).unwrap() {
            (_, Some(Response::Rres { sealed })) => self.inside(w, &sealed),
            (text, _) => text,
        }
    }

    /// The same with the outer box made.
    fn forward(&self, w: &mut World, plain: &[u8]) -> String {
        let secret = w.agreed(self.who).secret.clone().unwrap();
        self.rfwd(w, &seal(&secret, &nonce_from_corr(&CorrId::new(b"corr").unwrap()), plain))
    }

    /// The same with everything made around the content of the client's layer.
    fn content(&self, w: &mut World, version: u16, content: &[u8]) -> String {
        self.forward(w, &self.plain(version, &pad(content, FORWARD_SIZE).unwrap()))
    }

    fn inside(&self, w: &mut World, sealed: &[u8]) -> String {
        let agreed = w.agreed(self.who);
        let nonce = |corr: &[u8]| reversed(nonce_from_corr(&CorrId::new(corr).unwrap()));
        let plain = open(agreed.secret.as_ref().unwrap(), &nonce(b"corr"), sealed).unwrap();
        assert_eq!(plain[..4], *b"\x03fwd");
        let content = open_padded(&self.fresh.dh(&self.router), &nonce(b"fwd"), &plain[4..]).unwrap();
        let [item] = unpack(&content).unwrap()[..] else { panic!("one reply") };
        let received = read_transmission(&agreed.session, item).unwrap();
        let corr = String::from_utf8(received.corr.as_bytes().to_vec()).unwrap();
        format!("{corr}: {}", String::from_utf8(received.command).unwrap())
    }
}

#[test]
fn malformed_forwards_are_refused_at_the_layer_that_is_malformed() {
    for is_proxy in [true, false] {
        let mut w = World::new();
        let a = w.client(20);
        let q = w.queue(a);
        let x = Proxy::new(&mut w, is_proxy);
        let none = EntityId::EMPTY;
        let inner = |w: &mut World, entity: &EntityId, command: &[u8], key: Option<&AuthSecretKey>| {
            pack_one(&w.item(x.who, "inner", entity, command, key)).unwrap()
        };
        let message = inner(&mut w, &q.sender, b"SEND F m", None);
        let subscribe = inner(&mut w, &q.recipient, b"SUB", Some(&q.key));
        let ping = inner(&mut w, &none, b"PING", None);
        let name = inner(&mut w, &none, b"RSLV alice.simplex", None);
        let signed = inner(&mut w, &q.sender, b"SEND F m", Some(&q.key));
        // An inner correlation id other than the outer one is echoed.
        assert_eq!(x.content(&mut w, 20, &message), "inner: OK");
        assert_eq!(x.content(&mut w, 20, &subscribe), "inner: ERR CMD PROHIBITED");
        assert_eq!(x.content(&mut w, 20, &ping), "inner: ERR CMD PROHIBITED");
        assert_eq!(x.content(&mut w, 20, &name), "inner: ERR NAME NO_RESOLVER");
        assert_eq!(x.content(&mut w, 20, &signed), "inner: ERR AUTH");
        // The inner version is not checked against any range.
        assert_eq!(x.content(&mut w, 21, &message), "inner: OK");
        assert_eq!(x.content(&mut w, 8, &message), "inner: OK");
        let plain = x.plain(20, &pad(&message, FORWARD_SIZE).unwrap());
        assert_eq!(x.rfwd(&mut w, &[7; 200]), "ERR CRYPTO");
        assert_eq!(x.forward(&mut w, b"garbage"), "ERR CMD SYNTAX");
        assert_eq!(x.forward(&mut w, b""), "ERR CMD SYNTAX");
        assert_eq!(x.rfwd(&mut w, b""), "ERR CRYPTO");
        let mut undecryptable = plain.clone();
        *undecryptable.last_mut().unwrap() ^= 1;
        assert_eq!(x.forward(&mut w, &undecryptable), "ERR CRYPTO");
        let mut two = message.clone();
        two[0] = 2;
        two.extend_from_slice(&message[1..]);
        assert_eq!(x.content(&mut w, 20, &two), "ERR BLOCK");
        assert_eq!(x.content(&mut w, 20, b"garbage"), ": ERR BLOCK");
        let bad_padding = x.plain(20, &[0xff; FORWARD_SIZE]);
        assert_eq!(x.forward(&mut w, &bad_padding), "ERR CRYPTO");
        let mut other_key = plain.clone();
        let at = other_key.windows(2).position(|bytes| bytes == b"en").unwrap();
        other_key[at + 1] = b'p';
        assert_eq!(x.forward(&mut w, &other_key), "ERR CMD SYNTAX");
        if is_proxy {
            w.assert_as_recorded("rfwd-direct", 20, &[("X", x.who)], &[]);
        }
        assert_eq!(x.content(&mut w, 20, b""), ": ERR BLOCK");
        assert_eq!(x.content(&mut w, 20, &[&message[..], b"tail"].concat()), ": ERR BLOCK");
    }
}

#[test]
fn the_relays_refusal_of_the_forward_itself_comes_as_a_protocol_error() {
    let (mut w, c, relay, recipient, q) = ready();
    let entity = relay.session_entity().unwrap();
    let key = X25519Secret::from_bytes([1; 32]).public();
    for (version, size) in [(20, 16242), (20, 50), (21, 16242), (6, 16242)] {
        let garbage = Command::Pfwd { version, key, sealed: vec![7; size] };
        assert_eq!(w.ask(c, &entity, &garbage, None), "ERR PROXY PROTOCOL CRYPTO");
    }
    // What fits into a plain block as PFWD may fit into none as RFWD.
    let plain = w.raw(20, |handshake| handshake.send_key = false);
    let mut command = b"PFWD \x00\x14".to_vec();
    key.put(&mut command);
    command.resize(command.len() + 16265, 7);
    let item = w.item(plain, "a nonce of 24 bytes here", &entity, &command, None);
    w.write_items(plain, &[item]);
    assert_eq!(w.events(plain), ["ERR PROXY BROKER TRANSPORT LARGE_MSG"]);
    assert_eq!(w.events(recipient), [""; 0]);
    assert_eq!(w.forward(c, &relay, &q.sender, &send("m"), None), "in PRES: OK");
}
