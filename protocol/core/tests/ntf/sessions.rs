//! Sessions: the handshake, blocks, refusals and their order, idle devices (NT-1 to NT-4, NT-22, NT-23, NT-35, NT-36).

use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::ntf::command::Command;
use sxlab_protocol::ntf::handshake::{Agreed, ClientHello, RouterHello};
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::transport::{Unsigned, authorize, read_transmission};
use sxlab_protocol::wire::{CorrId, EntityId, VersionRange, pad, unpad};

use crate::world::*;
use crate::{MINUTE, SECOND, VERSIONS};

/// A connection that speaks any bytes.
struct Raw {
    session: SessionNo,
    agreed: Agreed,
}

fn raw(w: &mut World, version: u16) -> Raw {
    let tls = w.tls_session();
    let session = w.router.accept("raw.test", tls.clone(), true, w.now);
    w.router.next_block(session).unwrap();
    let identity = w.handshake(version, tls.clone()).identity;
    let hello = ClientHello { version, identity }.encode().unwrap();
    w.router.block(session, &pad(&hello, 512).unwrap(), w.now);
    Raw { session, agreed: Agreed::new(version, tls, None) }
}

impl Raw {
    fn item(&self, corr: &str, entity: &EntityId, command: &[u8], key: Option<&AuthSecretKey>) -> Vec<u8> {
        let corr = CorrId::new(corr.as_bytes()).unwrap();
        let unsigned = Unsigned { corr, entity: entity.clone(), command: command.to_vec() };
        authorize(&self.agreed.session, &unsigned, key, None).unwrap()
    }

    /// Writes a block with this content, and gives what comes back: for each block its transmissions.
    fn write(&mut self, w: &mut World, content: &[u8]) -> Vec<Vec<String>> {
        w.router.block(self.session, &pad(content, 512).unwrap(), w.now);
        let mut blocks = Vec::new();
        while let Some(block) = w.router.next_block(self.session) {
            let content = self.agreed.open(&block).unwrap();
            let items = self.agreed.unpack(&content).unwrap();
            let texts = items.into_iter().map(|item| {
                let received = read_transmission(&self.agreed.session, item).unwrap();
                assert!(received.right_session && received.authorization.unwrap().is_none());
                let text = match Response::decode(&received.command).unwrap() {
                    Response::Err(error) => format!("ERR {error}"),
                    other => other.tag().to_owned(),
                };
                let (corr, entity) = (received.corr, received.entity);
                let corr = String::from_utf8(corr.as_bytes().to_vec()).unwrap();
                let entity = if entity.is_empty() { "" } else { " e" };
                format!("{corr}{entity} {text}")
            });
            blocks.push(texts.collect());
        }
        blocks
    }

    fn say(&mut self, w: &mut World, items: &[Vec<u8>]) -> Vec<Vec<String>> {
        let content = if self.agreed.version() > 1 {
            sxlab_protocol::transport::content(items.iter().map(Vec::as_slice)).unwrap()
        } else {
            items[0].clone()
        };
        self.write(w, &content)
    }
}

#[test]
fn the_hello_has_a_signed_key_from_version_2_on_and_no_certificates() {
    for (alpn, max) in [(true, 3), (false, 1)] {
        let mut w = World::new();
        let session = w.router.accept("device.test", vec![7; 32], alpn, w.now);
        let block = w.router.next_block(session).unwrap();
        assert_eq!(block.len(), 512);
        let hello = RouterHello::decode(unpad(&block).unwrap()).unwrap();
        assert_eq!((hello.versions.min, hello.versions.max, hello.session_id), (1, max, vec![7; 32]));
        assert_eq!(hello.key.is_some(), alpn);
        if let Some(key) = hello.key {
            assert_eq!(key.as_der().len(), 122);
            let leaf = w.handshake(3, Vec::new()).leaf;
            assert!(key.verify(&leaf).is_ok());
        }
    }
}

#[test]
fn a_device_without_a_negotiated_protocol_speaks_version_1() {
    let mut w = World::new();
    let who = w.client_with(1, false, |_| {});
    assert_eq!(w.ask(who, &EntityId::EMPTY, &Command::Ping, None), Response::Pong);
    // Its authenticators need the router's key, which it was not given.
    assert!(w.links[who].client.agreed().unwrap().router_key.is_none());
}

#[test]
fn a_wrong_hello_is_answered_by_closing() {
    let identity = World::new().handshake(3, Vec::new()).identity;
    for (version, identity) in [(0, identity), (4, identity), (3, [0; 32])] {
        let mut w = World::new();
        let session = w.router.accept("device.test", vec![7; 32], true, w.now);
        w.router.next_block(session).unwrap();
        let hello = ClientHello { version, identity }.encode().unwrap();
        w.router.block(session, &pad(&hello, 512).unwrap(), w.now);
        w.drive();
        assert!(w.closed.contains(&session), "{version}");
    }
    for block in [vec![], vec![b'#'; 512], pad(&[0, 3, 32], 512).unwrap(), pad(&[0; 35], 513).unwrap()] {
        let mut w = World::new();
        let session = w.router.accept("device.test", vec![7; 32], true, w.now);
        w.router.block(session, &block, w.now);
        w.drive();
        assert!(w.closed.contains(&session));
    }
}

#[test]
fn a_client_refuses_a_router_that_is_not_who_it_should_be() {
    type Change = fn(&mut sxlab_protocol::ntf::handshake::ClientHandshake);
    let changes: [Change; 3] = [
        |handshake| handshake.session_id = vec![1; 32],
        |handshake| handshake.leaf = Ed25519Secret::from_seed([9; 32]).public().into(),
        |handshake| handshake.versions = VersionRange::only(4),
    ];
    for change in changes {
        let mut w = World::new();
        let who = w.client_with(3, true, change);
        assert!(w.is_closed(who));
        assert!(w.links[who].client.agreed().is_none());
    }
}

/// NT-36, and HARDPARTS 12: how many commands a block takes.
#[test]
fn commands_share_blocks_from_version_2_on() {
    for (version, expected) in [(1, vec![1; 20]), (2, vec![6, 14]), (3, vec![6, 14])] {
        let mut w = World::new();
        let who = w.client(version);
        let pings: Vec<_> = (0..20).map(|_| w.post(who, &EntityId::EMPTY, &Command::Ping, None)).collect();
        w.drive();
        for ping in &pings {
            assert_eq!(w.answer(who, ping), Some(Response::Pong));
        }
        // The first block was the hello.
        assert_eq!(w.links[who].blocks[1..], expected, "version {version}");
    }
}

#[test]
fn the_largest_command_fits_and_what_is_larger_is_refused_by_the_client() {
    let mut w = World::new();
    for version in VERSIONS {
        let who = w.client(version);
        let mut phone = w.phone(who, "phone");
        let mut named = queue(1, 1);
        named.router.hosts.push("z".repeat(56).parse().unwrap());
        phone.watch(named.clone(), Ed448Secret::from_seed([1; 57]).into(), secret_of(&named));
        let asked = phone.subscribe(&named).unwrap();
        let key = Ed448Secret::from_seed([2; 57]).into();
        let request = |w: &mut World, asked: &Command| {
            w.links[who].client.request(EntityId::EMPTY, asked, Some(&key)).is_ok()
        };
        assert!(request(&mut w, &asked.command));
        let Command::SNew(mut new) = asked.command else { panic!("no SNEW") };
        for _ in 0..3 {
            new.queue.router.hosts.push("z".repeat(56).parse().unwrap());
        }
        assert!(!request(&mut w, &Command::SNew(new)));
    }
}

/// NT-22.
#[test]
fn commands_need_just_the_authorization_and_entity_that_they_take() {
    for version in VERSIONS {
        let mut w = World::new();
        let mut raw = raw(&mut w, version);
        let (some, none) = (EntityId::from([1; 24]), EntityId::EMPTY);
        let key: AuthSecretKey = Ed25519Secret::from_seed([1; 32]).into();
        let phone = w.new_phone("phone");
        let mut tnew = Vec::new();
        phone.register().command.encode(&mut tnew).unwrap();
        for (command, entity, signed, expected) in [
            (b"PING".as_slice(), &none, false, "1 PONG"),
            (b"PING", &none, true, "1 ERR CMD HAS_AUTH"),
            (b"PING", &some, false, "1 e ERR CMD HAS_AUTH"),
            (&tnew, &none, false, "1 ERR CMD NO_AUTH"),
            (&tnew, &some, true, "1 e ERR CMD HAS_AUTH"),
            (&tnew, &none, true, "1 ERR AUTH"),
            (b"TCHK", &some, false, "1 e ERR CMD NO_AUTH"),
            (b"TCHK", &none, true, "1 ERR CMD NO_AUTH"),
            (b"TCHK", &some, true, "1 e ERR AUTH"),
            (b"SCHK", &some, true, "1 e ERR AUTH"),
            (b"SCHK", &none, true, "1 ERR CMD NO_AUTH"),
            (b"TCHK ", &some, true, "1 e ERR CMD SYNTAX"),
            (b"HELLO", &none, false, "1 ERR CMD UNKNOWN"),
            (b"", &none, false, "1 ERR CMD UNKNOWN"),
        ] {
            let item = raw.item("1", entity, command, signed.then_some(&key));
            let answer = raw.say(&mut w, &[item]);
            assert_eq!(answer, [[expected]], "{}", String::from_utf8_lossy(command));
        }
    }
}

#[test]
fn an_authorization_of_no_known_length_is_a_block_error() {
    for version in VERSIONS {
        let mut w = World::new();
        let mut raw = raw(&mut w, version);
        for length in [1, 32, 63, 65, 79, 81, 113, 115, 255] {
            let plain = raw.item("1", &[1; 24].into(), b"TCHK", None);
            let item = [vec![length], vec![b'U'; length.into()], plain[1..].to_vec()].concat();
            assert_eq!(raw.say(&mut w, &[item]), [["1 ERR BLOCK"]], "{length}");
        }
        for length in [64, 80, 114] {
            let plain = raw.item("1", &[1; 24].into(), b"TCHK", None);
            let item = [vec![length], vec![b'U'; length.into()], plain[1..].to_vec()].concat();
            assert_eq!(raw.say(&mut w, &[item]), [["1 e ERR AUTH"]], "{length}");
        }
    }
}

#[test]
fn a_block_that_cannot_be_read_is_one_error_and_the_session_goes_on() {
    for version in VERSIONS {
        let mut w = World::new();
        let mut raw = raw(&mut w, version);
        let ping = raw.item("1", &EntityId::EMPTY, b"PING", None);
        let length = (ping.len() as u16).to_be_bytes().to_vec();
        let mut bad = vec![vec![], b"\x01\x00\x02\xff\xff".to_vec()];
        if version > 1 {
            bad.extend([vec![0], [vec![2], length.clone(), ping.clone()].concat()]);
            bad.push([vec![1], length, ping.clone(), vec![0]].concat());
        }
        for content in bad {
            assert_eq!(raw.write(&mut w, &content), [[" ERR BLOCK"]], "{content:?}");
        }
        w.router.block(raw.session, &[0xff; 512], w.now);
        w.router.block(raw.session, &[0; 513], w.now);
        assert_eq!(raw.write(&mut w, b""), [[" ERR BLOCK"], [" ERR BLOCK"], [" ERR BLOCK"]]);
        assert_eq!(raw.say(&mut w, &[ping]), [["1 PONG"]]);
    }
}

#[test]
fn a_session_id_that_travels_has_to_be_right() {
    let mut w = World::new();
    let mut raw = raw(&mut w, 1);
    let mut ping = raw.item("1", &EntityId::EMPTY, b"PING", None);
    ping[2] ^= 1;
    assert_eq!(raw.say(&mut w, &[ping]), [["1 ERR SESSION"]]);
}

/// In the order in which they came, before anything else of their block.
#[test]
fn refusals_are_answered_first() {
    let mut w = World::new();
    let mut raw = raw(&mut w, 3);
    let key = Ed25519Secret::from_seed([1; 32]).into();
    let items = [
        raw.item("a", &EntityId::EMPTY, b"PING", None),
        raw.item("b", &[1; 24].into(), b"TCHK", Some(&key)),
        raw.item("c", &EntityId::EMPTY, b"NONE", None),
        raw.item("d", &EntityId::EMPTY, b"PING", None),
    ];
    let answers = raw.say(&mut w, &items);
    assert_eq!(answers, [["b e ERR AUTH", "c ERR CMD UNKNOWN"], ["a PONG", "d PONG"]]);
}

#[test]
fn an_answer_that_does_not_fit_beside_a_long_correlation_id_is_shortened() {
    let mut w = World::new();
    let mut raw = raw(&mut w, 1);
    let corr = "c".repeat(255);
    let item = raw.item(&corr, &EntityId::EMPTY, b"PING", None);
    assert_eq!(raw.say(&mut w, &[item]), [[format!("{corr} PONG")]]);
}

/// NT-35.
#[test]
fn a_device_that_says_nothing_for_twelve_hours_is_closed() {
    let mut w = World::new();
    let [silent, talking] = [w.client(3), w.client(3)];
    w.pass(11 * 60 * MINUTE);
    w.ask(talking, &EntityId::EMPTY, &Command::Ping, None);
    w.pass(60 * MINUTE);
    assert!(!w.is_closed(silent));
    w.pass(60 * MINUTE);
    assert!(w.is_closed(silent) && !w.is_closed(talking));
}

#[test]
fn a_device_without_a_hello_is_closed_sooner() {
    let mut w = World::new();
    let session = w.router.accept("device.test", vec![7; 32], true, w.now);
    w.pass(119 * SECOND);
    assert!(!w.closed.contains(&session));
    w.pass(SECOND);
    assert!(w.closed.contains(&session));
}

#[test]
fn a_router_that_shuts_down_closes_its_sessions() {
    let mut w = World::new();
    let clients = [w.client(1), w.client(3)];
    w.router.shut_down();
    w.drive();
    assert!(clients.into_iter().all(|who| w.is_closed(who)));
}

#[test]
fn what_is_seen_is_what_came_and_went() {
    use sxlab_protocol::observe::{Kind, Sight};
    let mut w = World::with(RouterConfig { observe: true, ..config() });
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    w.subscribe(who, &mut phone, &queue(1, 1));
    let kinds: Vec<_> = w
        .router
        .sights()
        .into_iter()
        .filter_map(|sight| match sight {
            Sight::Received(seen) | Sight::Sent(seen) => Some((seen.kind, seen.size)),
            _ => None,
        })
        .collect();
    let expected = [
        // A signature, correlation id and no entity, then the command; of a token's command its id.
        (Kind::TNew, 65 + 25 + 1 + 104),
        (Kind::IdTkn, 1 + 25 + 1 + 76),
        (Kind::TVfy, 65 + 25 + 25 + 38),
        (Kind::Ok, 1 + 25 + 25 + 2),
        (Kind::SNew, 65 + 25 + 1 + 154),
        (Kind::IdSub, 1 + 25 + 1 + 31),
    ];
    assert_eq!(kinds, expected);
}
