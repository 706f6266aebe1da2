//! Sessions with a router: handshake, blocks, batches, authorization and syntax, byte by byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(missing_docs, unreachable_pub, reason = "a test crate")]

mod common;

use common::recorded::{self, text};
use common::*;
use sxlab_protocol::crypto::keys::{Ed25519Secret, KeyType};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::router::{RouterConfig, RouterEvent};
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{BLOCK_SIZE, ClientHello, Session, read_transmission};
use sxlab_protocol::wire::{EntityId, VersionRange, pad, put_short};

/// A good hello at this version, and what the router does with the bytes that `change` makes of it.
fn is_accepted(version: u16, change: impl FnOnce(&mut Vec<u8>)) -> bool {
    let mut w = World::new();
    let (session, handshake) = w.accept(0, version);
    let hello = ClientHello { version, identity: handshake.identity, key: None, proxy: false, service: None };
    let mut content = hello.encode().unwrap();
    change(&mut content);
    let core = &mut w.sites[0].core;
    assert!(core.next_block(session).is_some());
    while core.poll().is_some() {}
    core.block(session, pad(&content, BLOCK_SIZE).unwrap(), w.now);
    assert_eq!(core.next_block(session), None, "without a word");
    core.poll() != Some(RouterEvent::Close(session))
}

#[test]
fn a_hello_is_accepted_at_the_versions_offered_only() {
    for version in 0..=30 {
        assert_eq!(is_accepted(version, |_| ()), VERSIONS.contains(&version), "{version}");
    }
}

#[test]
fn without_a_negotiated_protocol_there_is_version_6_or_nothing() {
    for (min, served) in [(6, true), (7, false)] {
        let versions = VersionRange::new(min, 20).unwrap();
        let mut w = World::with(RouterConfig { versions, ..RouterConfig::default() });
        let now = w.now;
        let core = &mut w.sites[0].core;
        let session = core.accept("client.test", vec![1; 32], false, now);
        match core.next_block(session) {
            Some(hello) => assert!(served && hello[2..6] == [0, 6, 0, 6], "{:?}", &hello[..6]),
            None => assert!(!served && core.poll() == Some(RouterEvent::Close(session))),
        }
    }
}

#[test]
fn a_hello_for_another_identity_is_refused() {
    for version in VERSIONS {
        assert!(!is_accepted(version, |hello| hello[10] ^= 1));
        assert!(!is_accepted(version, |hello| hello[2] = 16));
    }
}

#[test]
fn a_hello_may_have_a_tail_and_may_not_be_cut() {
    for version in VERSIONS {
        assert!(is_accepted(version, |hello| hello.extend_from_slice(b"unknown tail")));
        assert!(!is_accepted(version, |hello| hello.truncate(hello.len() - 1)), "{version}");
        assert!(!is_accepted(version, Vec::clear));
    }
    assert!(!is_accepted(20, |hello| *hello.last_mut().unwrap() = 0));
}

#[test]
fn another_key_in_place_of_the_session_key_is_refused_where_fields_follow_it() {
    let spki = Ed25519Secret::from_seed([1; 32]).public().spki();
    for version in VERSIONS {
        let with_key = |hello: &mut Vec<u8>| {
            let fields = hello.split_off(35);
            put_short(hello, &spki).unwrap();
            hello.extend_from_slice(&fields);
        };
        // Below version 14 the hello ends with the key: what is none is a tail.
        assert_eq!(is_accepted(version, with_key), version < 14, "{version}");
    }
}

#[test]
fn a_slow_hello_ends_the_connection() {
    let mut w = World::new();
    let (session, _) = w.accept(0, 20);
    w.wait(120 * SECOND - 1);
    assert!(!w.sites[0].closed.contains(&session));
    w.wait(1);
    assert!(w.sites[0].closed.contains(&session));
    assert_eq!(w.deadline(0), None);
    w.cut(0, session);
    assert_eq!(w.sites[0].core.sessions(), 0);
}

#[test]
fn a_client_takes_the_highest_common_version_and_closes_without_one() {
    let mut w = World::new();
    let c = w.raw(20, |handshake| handshake.versions = VersionRange { min: 8, max: 12 });
    assert_eq!(w.agreed(c).version, 12);
    let (session, mut handshake) = w.accept(0, 20);
    let hello = w.sites[0].core.next_block(session).unwrap();
    handshake.versions = VersionRange { min: 21, max: 30 };
    let rng = &mut <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
    assert!(handshake.clone().router_hello(&hello, rng).is_err());
    let other_id = vec![0; 32];
    handshake.versions = VersionRange { min: 6, max: 20 };
    let changed = sxlab_protocol::transport::ClientHandshake { session_id: other_id, ..handshake.clone() };
    assert!(changed.router_hello(&hello, rng).is_err(), "another session id than its own");
    let changed = sxlab_protocol::transport::ClientHandshake { identity: [0; 32], ..handshake.clone() };
    assert!(changed.router_hello(&hello, rng).is_err(), "another identity");
    assert!(handshake.router_hello(&hello, rng).is_ok());
}

#[test]
fn blocks_are_encrypted_from_version_11_if_the_client_sent_a_key_and_is_no_proxy() {
    let mut w = World::new();
    for version in VERSIONS {
        let c = w.raw(version, |_| ());
        assert_eq!(w.agreed(c).codec.is_encrypted(), version >= 11);
        let c = w.raw(version, |handshake| handshake.send_key = false);
        assert!(!w.agreed(c).codec.is_encrypted());
    }
    let c = w.raw(20, |handshake| handshake.proxy = true);
    assert!(!w.agreed(c).codec.is_encrypted());
    for version in 6..=10 {
        let c = w.raw(version, |handshake| handshake.proxy = true);
        assert!(!w.agreed(c).codec.is_encrypted());
    }
}

#[test]
fn a_proxy_asks_for_version_10_at_most_where_its_hello_has_no_flag() {
    for (client, router, agreed) in [((6, 20), (6, 13), 10), ((6, 13), (6, 20), 10), ((6, 20), (6, 14), 14)] {
        let versions = VersionRange { min: router.0, max: router.1 };
        let config = RouterConfig { versions, ..Default::default() };
        let mut w = World::with(config);
        let c = w.raw(20, |handshake| {
            handshake.versions = VersionRange { min: client.0, max: client.1 };
            handshake.proxy = true;
        });
        assert_eq!(w.agreed(c).version, agreed);
        let ping = w.item(c, "1", &EntityId::EMPTY, b"PING", None);
        w.write_items(c, &[ping]);
        assert_eq!(w.events(c), ["PONG"], "and both ends write plain blocks");
    }
}

#[test]
fn without_a_session_key_authenticators_still_work() {
    for version in 7..=20 {
        let mut w = World::new();
        let a = w.client(version);
        let q = w.queue(a);
        let key = sender_key(version, 1);
        assert_eq!(w.recipient(a, &q, Command::Key(key.public())), "OK");
        let c = w.raw(version, |handshake| handshake.send_key = false);
        let signed = w.item(c, "1", &q.sender, b"SEND F hello", Some(&key));
        let unsigned = w.item(c, "2", &q.sender, b"SEND F hello", None);
        let forward = w.item(c, "3", &EntityId::EMPTY, b"RFWD x", None);
        for item in [signed, unsigned, forward] {
            w.write_items(c, &[item]);
        }
        assert_eq!(w.events(c), ["OK", "ERR AUTH", "ERR PROXY BROKER TRANSPORT NO_AUTH"]);
    }
}

#[test]
fn unreadable_blocks_are_answered_with_one_error_and_the_session_goes_on() {
    for version in VERSIONS {
        let mut w = World::new();
        let c = w.raw(version, |_| ());
        let ping = w.item(c, "ping", &EntityId::EMPTY, b"PING", None);
        let large = [&(ping.len() as u16).to_be_bytes()[..], &ping].concat();
        let contents: [Vec<u8>; 9] = [
            vec![0],
            vec![],
            vec![1],
            [&[2], &large[..]].concat(),
            [&[1], &large[..], b"xyz"].concat(),
            b"\x01\xff\xffxxx".to_vec(),
            vec![1, 0, 0],
            b"\x01\x00\x03\xff\xff\xff".to_vec(),
            vec![0x5a; 200],
        ];
        for content in contents {
            w.write_content(c, &content);
            let answers = w.transmissions(c);
            assert_eq!(answers.len(), 1, "{content:?}");
            assert!(answers[0].0.is_empty() && answers[0].1.is_empty());
            assert_eq!(answers[0].2, "ERR BLOCK");
        }
        w.write_items(c, &[ping]);
        assert_eq!(w.events(c), ["PONG"]);
    }
}

#[test]
fn a_block_that_does_not_decrypt_uses_up_a_key() {
    for version in 11..=20 {
        let mut w = World::new();
        let c = w.raw(version, |_| ());
        let ping = w.item(c, "ping", &EntityId::EMPTY, b"PING", None);
        // Not stepped for the garbage: the next block does not decrypt either.
        w.write_block(c, vec![0x5a; BLOCK_SIZE]);
        w.write_items(c, std::slice::from_ref(&ping));
        assert_eq!(w.events(c), ["ERR BLOCK"; 2]);
        // The third block is the router's third: both are in step when one is left out here.
        w.agreed(c).codec.seal(b"").unwrap();
        w.write_items(c, &[ping]);
        assert_eq!(w.events(c), ["PONG"]);
    }
}

#[test]
fn a_block_with_a_length_beyond_itself_is_unreadable() {
    for version in 6..=10 {
        let mut w = World::new();
        let c = w.raw(version, |_| ());
        w.write_block(c, vec![0xff; BLOCK_SIZE]);
        assert_eq!(w.events(c), ["ERR BLOCK"]);
    }
}

#[test]
fn refusals_travel_before_the_answers_that_stood_earlier_in_the_block() {
    for version in VERSIONS {
        let mut w = World::new();
        let c = w.raw(version, |_| ());
        let a = w.client(version);
        let q = w.idle_queue(a);
        let none = EntityId::EMPTY;
        let ping = w.item(c, "ping", &none, b"PING", None);
        w.write_items(c, &[ping.clone(), b"\xff\xff\xff".to_vec(), ping.clone()]);
        assert_eq!(w.blocks(c), [vec!["ERR BLOCK"], vec!["PONG", "PONG"]]);
        let good = w.item(c, "good", &q.recipient, b"SUB", Some(&q.key));
        let mut cut = good.clone();
        cut[0] = 63;
        cut.remove(1);
        let items = [
            ping,
            w.item(c, "foo", &none, b"FOO", None),
            w.item(c, "unsigned", &q.recipient, b"SUB", None),
            cut,
            good,
            w.item(c, "send", &q.sender, b"SEND F m1", None),
            w.item(c, "wrong", &q.recipient, b"SUB", Some(&key(KeyType::Ed25519, 9))),
        ];
        w.write_items(c, &items);
        let refused = ["ERR CMD UNKNOWN", "ERR CMD NO_AUTH", "ERR BLOCK", "ERR AUTH"];
        // The message is an event: it does not wait for the answers.
        let rest = [vec!["MSG m1"], vec!["PONG", sok(version), "OK"]];
        assert_eq!(w.blocks(c), [vec![refused.to_vec()], rest.to_vec()].concat());
    }
}

#[test]
fn all_of_a_block_is_verified_before_any_of_it_is_carried_out() {
    let mut w = World::new();
    let a = w.client(20);
    let q = w.idle_queue(a);
    let key = sender_key(20, 1);
    w.post(a, &q.sender, &Command::SKey(key.public()), Some(&key));
    w.post(a, &q.sender, &send("m"), Some(&key));
    w.drive();
    assert_eq!(w.blocks(a), [["ERR AUTH"], ["OK"]]);
    assert_eq!(w.send_signed(a, &q, "m", &key), "OK");
}

#[test]
fn at_version_6_another_session_id_is_an_error_without_entity() {
    let mut w = World::new();
    let c = w.raw(6, |_| ());
    let ping = w.item(c, "ping", &EntityId::from([7; 24]), b"PING", None);
    let mut other = ping.clone();
    other[5] ^= 1;
    w.write_items(c, &[other]);
    let answers = w.transmissions(c);
    assert_eq!(answers[0].0.as_bytes(), b"ping");
    assert!(answers[0].1.is_empty());
    assert_eq!(answers[0].2, "ERR SESSION");
}

#[test]
fn a_signature_over_another_session_id_is_wrong() {
    for version in 7..=20 {
        let mut w = World::new();
        let a = w.client(version);
        let q = w.idle_queue(a);
        let c = w.raw(version, |_| ());
        w.agreed(c).session.id[0] ^= 1;
        let item = w.item(c, "1", &q.recipient, b"SUB", Some(&q.key));
        w.write_items(c, &[item]);
        assert_eq!(w.events(c), ["ERR AUTH"]);
    }
}

#[test]
fn correlation_ids_of_any_length_are_echoed_and_serve_as_nonces() {
    for version in 7..=20 {
        let mut w = World::new();
        let a = w.client(version);
        let q = w.create(a, &Ask { key: KeyType::X25519, ..Ask::default() }).unwrap();
        let c = w.raw(version, |_| ());
        for length in [0, 1, 4, 23, 24, 25, 100, 255] {
            let corr = "c".repeat(length);
            let ping = w.item(c, &corr, &EntityId::EMPTY, b"PING", None);
            let off = w.item(c, &corr, &q.recipient, b"OFF", Some(&q.key));
            for (item, answer) in [(ping, "PONG"), (off.clone(), "OK"), (off, "OK")] {
                w.write_items(c, &[item]);
                let answers = w.transmissions(c);
                assert_eq!(answers[0].0.as_bytes(), corr.as_bytes());
                assert_eq!(answers[0].2, answer);
            }
        }
    }
}

#[test]
fn which_commands_take_authorization_and_entity() {
    let (no_auth, has_auth, no_entity) = ("ERR CMD NO_AUTH", "ERR CMD HAS_AUTH", "ERR CMD NO_ENTITY");
    for version in VERSIONS {
        let mut w = World::new();
        let a = w.client(version);
        let q = w.idle_queue(a);
        let c = w.raw(version, |_| ());
        let skey = [b"SKEY ,", &key(KeyType::Ed25519, 1).public().spki()[..]].concat();
        let pfwd = [b"PFWD \x00\x14,", &key(KeyType::X25519, 1).public().spki()[..], b"x"].concat();
        // By (authorization, entity): none, entity only, authorization only, both.
        let table: [(&[u8], [&str; 4]); 8] = [
            (b"PING", ["PONG", has_auth, has_auth, has_auth]),
            (b"RFWD x", ["", has_auth, has_auth, has_auth]),
            (&pfwd, [no_entity, "ERR PROXY NO_SESSION", no_entity, has_auth]),
            (b"SEND F x", [no_entity, "ERR AUTH", no_entity, "ERR AUTH"]),
            (b"SUB", [no_auth, no_auth, no_auth, sok(version)]),
            (b"OFF", [no_auth, no_auth, no_auth, "OK"]),
            (&skey, [no_auth, no_auth, no_auth, "ERR AUTH"]),
            (b"LGET", [no_entity, "ERR AUTH", no_entity, has_auth]),
        ];
        for (command, answers) in table {
            for (i, answer) in answers.into_iter().enumerate().filter(|(_, answer)| !answer.is_empty()) {
                let entity = if i % 2 == 1 { q.recipient.clone() } else { EntityId::EMPTY };
                let item = w.item(c, "1", &entity, command, (i >= 2).then_some(&q.key));
                w.write_items(c, &[item]);
                assert_eq!(w.events(c), [answer], "{} {i}", String::from_utf8_lossy(command));
            }
        }
    }
}

#[test]
fn authorizations_of_other_sizes_are_block_errors_with_the_correlation_id() {
    for version in VERSIONS {
        let mut w = World::new();
        let a = w.client(version);
        let q = w.idle_queue(a);
        let c = w.raw(version, |_| ());
        let unsigned = w.item(c, "corr", &q.recipient, b"SUB", None);
        for size in [1u8, 32, 63, 64, 65, 79, 80, 81, 113, 114, 115, 255] {
            let service: &[u8] = if version >= 16 { b"0" } else { b"" };
            let item = [&[size], &vec![1; size.into()][..], service, &unsigned[1..]].concat();
            w.write_items(c, &[item]);
            let (corr, entity, answer) = w.transmissions(c).remove(0);
            assert_eq!(corr.as_bytes(), b"corr");
            let right_size = [64, 80, 114].contains(&size);
            assert_eq!(entity.is_empty(), !right_size);
            assert_eq!(answer, if right_size { "ERR AUTH" } else { "ERR BLOCK" }, "{size}");
        }
    }
}

#[test]
fn a_service_signature_in_a_plain_session_is_refused_and_a_malformed_one_unreadable() {
    for version in 16..=20 {
        let mut w = World::new();
        let a = w.client(version);
        let q = w.idle_queue(a);
        let c = w.raw(version, |_| ());
        for (entity, service, answer) in [
            (&q.recipient, [b"1\x40", &[1; 64][..]].concat(), "ERR SERVICE"),
            (&EntityId::from([7; 24]), [b"1\x40", &[1; 64][..]].concat(), "ERR AUTH"),
            (&q.recipient, [b"1\x3f", &[1; 63][..]].concat(), "ERR BLOCK"),
            (&q.recipient, vec![0], "ERR BLOCK"),
            (&q.recipient, vec![], "ERR BLOCK"),
        ] {
            let signed = w.item(c, "corr", entity, b"SUB", Some(&q.key));
            assert_eq!(signed[65], b'0');
            let item = [&signed[..65], &service, &signed[66..]].concat();
            w.write_items(c, &[item]);
            let (corr, _, text) = w.transmissions(c).remove(0);
            assert_eq!(text, answer);
            assert_eq!(corr.is_empty(), answer == "ERR BLOCK");
        }
    }
}

/// Every transmission of the recorded syntax table, authorized again for a queue of ours, is answered as it was.
#[test]
fn the_recorded_syntax_table() {
    for (version, expected_count) in [(6, 0), (20, 0)] {
        let Some(flow) = recorded::flow("syntax-errors", version) else { return };
        let steps: Vec<_> = recorded::steps(&flow).collect();
        let mut w = World::new();
        let c = w.raw(version, |_| ());
        let a = w.client(version);
        let q = w.idle_queue(a);
        let recorded_id = recorded::bytes(&flow["sessions"]["A"]["session_id"]);
        let session = Session { id: recorded_id, layout: Layout::of(version) };
        let mut count = 0;
        for (i, step) in steps.iter().enumerate() {
            if !text(step, "text").starts_with("tx: ") || step["hex"].is_null() {
                continue;
            }
            let answers: Vec<_> = steps[i..]
                .iter()
                .filter(|s| text(s, "dir") == "recv" && s["corr_id"] == step["corr_id"])
                .collect();
            let [answer] = answers.as_slice() else { panic!("no answer to {}", text(step, "text")) };
            let expected = recorded::tag(text(answer, "text"));
            // Services, names and the queue's state are not this router's yet; IDS has a test of its own.
            if ["INFO", "IDS", "ERR NAME NO_RESOLVER", "ERR SERVICE"].contains(&expected.as_str()) {
                continue;
            }
            let recorded = read_transmission(&session, &recorded::bytes(&step["hex"])).unwrap();
            let entity = match text(step, "entity") {
                "Q.rcvId" => q.recipient.clone(),
                "Q.sndId" => q.sender.clone(),
                _ => recorded.entity,
            };
            let other = key(KeyType::Ed25519, 9);
            let key = match recorded.authorization {
                Some(sxlab_protocol::transport::Authorization::None) => None,
                _ if text(step, "text").contains("Q.rcvAuth") => Some(&q.key),
                _ => Some(&other),
            };
            let item = w.item(c, "corr", &entity, &recorded.command, key);
            w.write_items(c, &[item]);
            let arrived = w.transmissions(c);
            assert_eq!(arrived.len(), 1);
            let (_, answered, text_of) = &arrived[0];
            assert_eq!(recorded::tag(text_of), expected, "{} at version {version}", text(step, "text"));
            assert_eq!(answered.is_empty(), text(answer, "entity").is_empty());
            count += 1;
        }
        assert!(count > expected_count, "{count}");
        println!("{count} transmissions at version {version}");
    }
}
