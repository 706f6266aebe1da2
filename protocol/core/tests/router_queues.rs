//! What a router does with queues: the requirements RC-* and SN-* as behaviours, at every version where they hold.
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
use sxlab_protocol::crypto::keys::KeyType;
use sxlab_protocol::smp::command::{Command, QueueRequest};
use sxlab_protocol::smp::router::RouterConfig;
use sxlab_protocol::wire::{EntityId, MsgId, put_short};

#[test]
fn a_message_goes_from_sender_to_subscriber_and_is_gone_after_its_ack() {
    for version in VERSIONS {
        let mut w = World::new();
        let [a, b] = w.clients(version);
        let q = w.queue(a);
        assert_eq!(w.send(b, &q, "hello"), "OK");
        assert_eq!(w.events(a), ["MSG hello"]);
        assert_eq!(w.ack(a, &q), "OK");
        assert_eq!(w.subscribe(a, &q), sok(version));
        assert_eq!(w.events(a), [""; 0]);
    }
}

#[test]
fn new_without_subscription_delivers_nothing_until_sub() {
    let mut w = World::new();
    let [a, b] = w.clients(20);
    let q = w.idle_queue(a);
    w.send(b, &q, "m1");
    assert_eq!(w.events(a), [""; 0]);
    assert_eq!(w.subscribe(a, &q), "SOK");
    assert_eq!(w.events(a), ["MSG m1"]);
}

#[test]
fn new_may_be_disabled_and_may_need_a_password() {
    for config in [
        RouterConfig { new_queues: false, ..RouterConfig::default() },
        RouterConfig { password: Some("secret".into()), ..RouterConfig::default() },
    ] {
        let mut w = World::with(config);
        let a = w.client(20);
        assert_eq!(w.create(a, &Ask::default()).err().unwrap(), "ERR AUTH");
    }
}

#[test]
fn a_thousand_queues_have_two_thousand_ids() {
    let mut w = World::new();
    let a = w.client(20);
    let queues: Vec<_> = (0..1000).map(|_| w.idle_queue(a)).collect();
    let ids: std::collections::BTreeSet<_> = queues.iter().flat_map(|q| [&q.recipient, &q.sender]).collect();
    assert_eq!(ids.len(), 2000);
    assert!(ids.iter().all(|id| id.as_bytes().len() == 24));
}

#[test]
fn before_securing_unsigned_messages_are_taken_and_signed_ones_refused_and_after_the_reverse() {
    for version in VERSIONS {
        let mut w = World::new();
        let [a, b] = w.clients(version);
        let q = w.idle_queue(a);
        let key = sender_key(version, 1);
        assert_eq!(w.send(b, &q, "m1"), "OK");
        assert_eq!(w.send_signed(b, &q, "m2", &key), "ERR AUTH");
        assert_eq!(w.recipient(a, &q, Command::Key(key.public())), "OK");
        assert_eq!(w.send(b, &q, "m3"), "ERR AUTH");
        assert_eq!(w.send_signed(b, &q, "m4", &key), "OK");
    }
}

#[test]
fn key_may_be_repeated_and_not_changed() {
    for version in VERSIONS {
        let mut w = World::new();
        let a = w.client(version);
        let q = w.idle_queue(a);
        let (key, other) = (sender_key(version, 1), sender_key(version, 2));
        assert_eq!(w.recipient(a, &q, Command::Key(key.public())), "OK");
        assert_eq!(w.recipient(a, &q, Command::Key(key.public())), "OK");
        assert_eq!(w.recipient(a, &q, Command::Key(other.public())), "ERR AUTH");
    }
}

#[test]
fn every_key_type_authorizes_recipients_and_senders_and_no_other_type_does_in_its_place() {
    const TYPES: [KeyType; 3] = [KeyType::Ed25519, KeyType::Ed448, KeyType::X25519];
    for right in TYPES {
        let mut w = World::new();
        let [a, b] = w.clients(20);
        let q = w.create(a, &Ask { key: right, ..Ask::default() }).unwrap();
        let sender = key(right, 1);
        assert_eq!(w.recipient(a, &q, Command::Key(sender.public())), "OK");
        assert_eq!(w.send_signed(b, &q, "hello", &sender), "OK");
        for wrong in TYPES {
            let stranger = key(wrong, 2);
            assert_eq!(w.ask(a, &q.recipient, &Command::Sub, Some(&stranger)), "ERR AUTH");
            assert_eq!(w.send_signed(b, &q, "hello", &stranger), "ERR AUTH");
        }
    }
}

#[test]
fn recipient_and_sender_ids_do_not_stand_for_each_other_and_unknown_ids_for_nothing() {
    for version in VERSIONS {
        let mut w = World::new();
        let a = w.client(version);
        let q = w.idle_queue(a);
        let unknown = EntityId::from([7; 24]);
        for entity in [&q.sender, &unknown] {
            for command in
                [Command::Sub, Command::Get, Command::Off, Command::Del, Command::Ack(MsgId::EMPTY)]
            {
                assert_eq!(w.ask(a, entity, &command, Some(&q.key)), "ERR AUTH", "{command:?}");
            }
            let command = Command::Key(sender_key(version, 1).public());
            assert_eq!(w.ask(a, entity, &command, Some(&q.key)), "ERR AUTH");
        }
        for entity in [&q.recipient, &unknown] {
            assert_eq!(w.ask(a, entity, &send("x"), None), "ERR AUTH");
            let key = sender_key(version, 1);
            assert_eq!(w.ask(a, entity, &Command::SKey(key.public()), Some(&key)), "ERR AUTH");
        }
    }
}

#[test]
fn the_sender_secures_a_messaging_queue() {
    for version in [9, 20] {
        let mut w = World::new();
        let [a, b] = w.clients(version);
        let (key, other) = (sender_key(version, 1), sender_key(version, 2));
        let skey = Command::SKey(key.public());
        let q = w.queue(a);
        assert_eq!(w.ask(b, &q.sender, &skey, None), "ERR CMD NO_AUTH");
        assert_eq!(w.ask(b, &q.sender, &skey, Some(&other)), "ERR AUTH");
        assert_eq!(w.ask(b, &q.recipient, &skey, Some(&key)), "ERR AUTH");
        assert_eq!(w.ask(b, &q.sender, &skey, Some(&key)), "OK");
        assert_eq!(w.ask(b, &q.sender, &skey, Some(&key)), "OK");
        let other_skey = Command::SKey(other.public());
        assert_eq!(w.ask(b, &q.sender, &other_skey, Some(&other)), "ERR AUTH");
        assert_eq!(w.recipient(a, &q, Command::Key(key.public())), "OK");
        assert_eq!(w.recipient(a, &q, Command::Key(other.public())), "ERR AUTH");
        assert_eq!(w.send(b, &q, "unsigned"), "ERR AUTH");
        assert_eq!(w.send_signed(b, &q, "signed", &key), "OK");
        assert_eq!(w.ack(a, &q), "OK");
        let contact = w.create(a, &Ask { queue: QueueRequest::Contact(None), ..Ask::default() }).unwrap();
        assert_eq!(w.ask(b, &contact.sender, &skey, Some(&key)), "ERR AUTH");
        assert_eq!(w.send(b, &contact, "unsigned"), "OK");
        assert_eq!(w.ack(a, &contact), "OK");
        assert_eq!(w.recipient(a, &contact, Command::Key(key.public())), "OK");
        if version == 20 {
            // Version 9 has no way to leave the mode out.
            let neither = w.create(a, &Ask { queue: QueueRequest::None, ..Ask::default() }).unwrap();
            assert_eq!(w.ask(b, &neither.sender, &skey, Some(&key)), "ERR AUTH");
        }
        let keyed = w.queue(a);
        assert_eq!(w.recipient(a, &keyed, Command::Key(key.public())), "OK");
        assert_eq!(w.ask(b, &keyed.sender, &skey, Some(&key)), "OK");
        assert_eq!(w.ask(b, &keyed.sender, &other_skey, Some(&other)), "ERR AUTH");
        assert_eq!(w.recipient(a, &keyed, Command::Off), "OK");
        assert_eq!(w.ask(b, &keyed.sender, &skey, Some(&key)), "OK");
        let suspended = w.queue(a);
        assert_eq!(w.recipient(a, &suspended, Command::Off), "OK");
        assert_eq!(w.ask(b, &suspended.sender, &skey, Some(&key)), "OK");
        assert_eq!(w.recipient(a, &suspended, Command::Key(key.public())), "OK");
        if version == 20 {
            w.assert_as_recorded("skey", version, &[("A", a), ("B", b)], &[]);
        }
    }
}

#[test]
fn below_version_9_the_sender_secures_nothing() {
    for version in 6..9 {
        let mut w = World::new();
        let a = w.client(version);
        let q = w.queue(a);
        let key = sender_key(version, 1);
        assert_eq!(w.ask(a, &q.sender, &Command::SKey(key.public()), Some(&key)), "ERR AUTH");
    }
}

#[test]
fn one_message_is_in_flight_and_sub_gives_it_again() {
    for version in VERSIONS {
        let mut w = World::new();
        let [a, b] = w.clients(version);
        let q = w.idle_queue(a);
        w.send(b, &q, "m1");
        w.send(b, &q, "m2");
        for _ in 0..2 {
            let corr = w.post(a, &q.recipient, &Command::Sub, Some(&q.key));
            w.drive();
            assert_eq!(w.blocks(a), [[sok(version), "MSG m1"]], "{corr:?}");
        }
        assert_eq!(w.ack(a, &q), "MSG m2");
        assert_eq!(w.subscribe(a, &q), sok(version));
        assert_eq!(w.events(a), ["MSG m2"]);
        assert_eq!(w.ack(a, &q), "OK");
        assert_eq!(w.subscribe(a, &q), sok(version));
        w.send(b, &q, "m3");
        w.send(b, &q, "m4");
        assert_eq!(w.events(a), ["MSG m3"]);
        w.disconnect(a);
        let a2 = w.client(version);
        assert_eq!(w.subscribe(a2, &q), sok(version));
        assert_eq!(w.events(a2), ["MSG m3"]);
        assert_eq!(w.ack(a2, &q), "MSG m4");
        assert_eq!(w.ack(a2, &q), "OK");
        assert_eq!(w.subscribe(a2, &q), sok(version));
        let q2 = w.idle_queue(a2);
        w.send(b, &q2, "p1");
        w.post(a2, &q2.recipient, &Command::Sub, Some(&q2.key));
        w.post(a2, &q.recipient, &Command::Sub, Some(&q.key));
        w.post(a2, &EntityId::EMPTY, &Command::Ping, None);
        w.drive();
        // With the session id in each they do not fit into one block at version 6.
        match version {
            6 => assert_eq!(w.blocks(a2), [["OK", "OK"], ["PONG", "MSG p1"]]),
            _ => assert_eq!(w.blocks(a2), [[sok(version), sok(version), "PONG", "MSG p1"]]),
        }
        if [6, 16, 20].contains(&version) {
            w.assert_as_recorded("sub-redelivery", version, &[("A", a), ("B", b), ("A2", a2)], &[]);
        }
    }
}

#[test]
fn a_second_subscriber_gets_the_message_and_the_first_an_end_after_the_interval() {
    for version in VERSIONS {
        let mut w = World::new();
        let [a, b, c] = w.clients(version);
        let q = w.queue(a);
        w.send(c, &q, "m1");
        assert_eq!(w.subscribe(b, &q), sok(version));
        assert_eq!(w.events(b), ["MSG m1"]);
        assert_eq!(w.ack(a, &q), "ERR NO_MSG");
        assert_eq!(w.events(a), ["MSG m1"]);
        w.wait(15 * SECOND - 1);
        assert_eq!(w.events(a), [""; 0]);
        w.wait(1);
        assert_eq!(w.events(a), ["END"]);
        assert_eq!(w.ack(a, &q), "ERR NO_MSG");
        assert_eq!(w.ack(b, &q), "OK");
        w.send(c, &q, "m2");
        assert_eq!(w.events(a), [""; 0]);
        assert_eq!(w.subscribe(a, &q), sok(version));
        assert_eq!(w.ack(a, &q), "OK");
        w.wait(15 * SECOND);
        if [6, 11, 20].contains(&version) {
            w.assert_as_recorded("sub-takeover", version, &[("A", a), ("B", b), ("C", c)], &[]);
        }
    }
}

#[test]
fn ends_of_260_queues_come_in_blocks_of_5_and_255_or_at_version_6_of_9_and_251() {
    for (version, blocks) in [(20, [5, 255]), (9, [5, 255]), (6, [9, 251])] {
        let mut w = World::new();
        let [a, b] = w.clients(version);
        let queues: Vec<_> = (0..260).map(|_| w.queue(a)).collect();
        for q in &queues {
            w.post(b, &q.recipient, &Command::Sub, Some(&q.key));
        }
        w.wait(15 * SECOND);
        let ends = w.blocks(a);
        assert_eq!(ends.iter().map(Vec::len).collect::<Vec<_>>(), blocks);
        assert!(ends.concat().iter().all(|text| text == "END"));
    }
}

#[test]
fn a_closed_connection_gets_no_end_and_causes_none() {
    let mut w = World::new();
    let [a, b] = w.clients(20);
    let q = w.queue(a);
    w.disconnect(a);
    assert_eq!(w.subscribe(b, &q), "SOK");
    assert_eq!(w.deadline(0), None);
}

#[test]
fn ack_variants() {
    for version in VERSIONS {
        let mut w = World::new();
        let [a, c, b] = w.clients(version);
        let q = w.queue(a);
        let wrong = MsgId::from([9; 24]);
        let ack = Command::Ack;
        assert_eq!(w.recipient(a, &q, ack(wrong.clone())), "ERR NO_MSG");
        assert_eq!(w.recipient(a, &q, ack(MsgId::EMPTY)), "ERR NO_MSG");
        w.send(c, &q, "m1");
        let m1 = w.last(a, &q);
        assert_eq!(w.recipient(a, &q, ack(wrong)), "ERR NO_MSG");
        assert_eq!(w.recipient(a, &q, ack(MsgId::new(b"short").unwrap())), "ERR NO_MSG");
        assert_eq!(w.recipient(b, &q, ack(m1.clone())), "ERR NO_MSG");
        w.send(c, &q, "m2");
        assert_eq!(w.recipient(a, &q, ack(MsgId::EMPTY)), "MSG m1", "an empty id removes nothing");
        assert_eq!(w.recipient(a, &q, ack(m1.clone())), "MSG m2");
        for _ in 0..2 {
            assert_eq!(w.recipient(a, &q, ack(MsgId::EMPTY)), "MSG m2");
        }
        if [6, 20].contains(&version) {
            w.assert_as_recorded("ack-variants", version, &[("B", b), ("C", c)], &[]);
            w.assert_as_recorded("ack-variants", version, &[("A", a)], &["ERR CMD SYNTAX"]);
        }
        assert_eq!(w.recipient(a, &q, ack(m1)), "ERR NO_MSG", "twice");
        assert_eq!(w.ack(a, &q), "OK");
    }
}

#[test]
fn get_gives_one_message_until_its_ack() {
    for version in VERSIONS {
        let mut w = World::new();
        let [a, c] = w.clients(version);
        let q = w.idle_queue(a);
        w.send(c, &q, "g1");
        w.send(c, &q, "g2");
        assert_eq!(w.get(a, &q), "MSG g1");
        assert_eq!(w.get(a, &q), "MSG g1");
        assert_eq!(w.recipient(a, &q, Command::Ack(MsgId::from([9; 24]))), "ERR NO_MSG");
        assert_eq!(w.ack(a, &q), "OK");
        assert_eq!(w.ack(a, &q), "ERR NO_MSG");
        for _ in 0..2 {
            assert_eq!(w.get(a, &q), "MSG g2");
            assert_eq!(w.recipient(a, &q, Command::Ack(MsgId::EMPTY)), "OK", "an empty id removes nothing");
        }
        let q2 = w.queue(a);
        assert_eq!(w.get(a, &q2), "ERR CMD PROHIBITED");
        assert_eq!(w.ask(a, &q.sender, &Command::Get, Some(&q.key)), "ERR AUTH");
        assert_eq!(w.ask(a, &q.recipient, &Command::Get, None), "ERR CMD NO_AUTH");
        if [6, 20].contains(&version) {
            w.assert_as_recorded("get-ack", version, &[("A", a), ("C", c)], &[]);
        }
        assert_eq!(w.ack(a, &q), "ERR NO_MSG", "the empty id ended what was delivered");
    }
}

#[test]
fn get_and_sub_exclude_each_other_in_one_connection_and_not_between_two() {
    for version in VERSIONS {
        let mut w = World::new();
        let [a, b, c] = w.clients(version);
        let q = w.idle_queue(a);
        assert_eq!(w.get(a, &q), "OK");
        assert_eq!(w.subscribe(a, &q), "ERR CMD PROHIBITED");
        assert_eq!(w.subscribe(b, &q), sok(version));
        assert_eq!(w.get(b, &q), "ERR CMD PROHIBITED");
        w.send(c, &q, "m1");
        assert_eq!(w.events(b), ["MSG m1"]);
        assert_eq!(w.get(a, &q), "MSG m1");
        assert_eq!(w.get(a, &q), "MSG m1");
        assert_eq!(w.ack(b, &q), "OK");
        assert_eq!(w.ack(a, &q), "OK", "it is what this connection got last");
        assert_eq!(w.ack(a, &q), "ERR NO_MSG");
        w.send(c, &q, "m2");
        assert_eq!(w.get(a, &q), "MSG m2");
        assert_eq!(w.ack(a, &q), "OK");
        assert_eq!(w.ack(b, &q), "OK");
        w.send(c, &q, "m3");
        assert_eq!(w.events(b), ["MSG m2", "MSG m3"]);
        w.wait(60 * SECOND);
        if [6, 20].contains(&version) {
            w.assert_as_recorded("get-vs-sub", version, &[("A", a), ("B", b), ("C", c)], &[]);
        }
    }
}

#[test]
fn an_empty_ack_for_what_another_connection_removed_lets_deliveries_go_on() {
    let mut w = World::new();
    let [a, b, c] = w.clients(20);
    let q = w.queue(a);
    w.send(c, &q, "m1");
    assert_eq!(w.get(b, &q), "MSG m1");
    assert_eq!(w.ack(b, &q), "OK");
    assert_eq!(w.recipient(a, &q, Command::Ack(MsgId::EMPTY)), "OK");
    w.send(c, &q, "m2");
    assert_eq!(w.events(a), ["MSG m1", "MSG m2"]);
}

#[test]
fn off_suspends_and_del_ends_with_deld_or_below_version_10_with_end() {
    for version in VERSIONS {
        let mut w = World::new();
        let [a, b, c] = w.clients(version);
        let q = w.queue(a);
        w.send(c, &q, "m1");
        assert_eq!(w.recipient(b, &q, Command::Off), "OK");
        assert_eq!(w.recipient(b, &q, Command::Off), "OK");
        assert_eq!(w.send(c, &q, "m2"), "ERR AUTH");
        assert_eq!(w.subscribe(a, &q), sok(version));
        assert_eq!(w.ack(a, &q), "OK");
        assert_eq!(w.recipient(b, &q, Command::Del), "OK");
        w.events(a);
        w.wait(15 * SECOND);
        assert_eq!(w.events(a), [deld(version)]);
        assert_eq!(w.subscribe(a, &q), "ERR AUTH");
        assert_eq!(w.recipient(b, &q, Command::Del), "ERR AUTH");
        assert_eq!(w.recipient(b, &q, Command::Que), "ERR AUTH");
        let q2 = w.queue(a);
        assert_eq!(w.recipient(a, &q2, Command::Del), "OK");
        w.wait(60 * SECOND);
        assert_eq!(w.events(a), [""; 0]);
        assert!(w.sites[0].core.store().is_empty());
        if [6, 10, 20].contains(&version) {
            w.assert_as_recorded("off-del-deld", version, &[("A", a), ("B", b), ("C", c)], &[]);
        }
    }
}

#[test]
fn what_follows_del_in_the_same_block_finds_no_queue() {
    let mut w = World::new();
    let a = w.client(20);
    let q = w.queue(a);
    for command in [Command::Del, Command::Sub, Command::Get, Command::Off, Command::Del] {
        w.post(a, &q.recipient, &command, Some(&q.key));
    }
    w.drive();
    assert_eq!(w.blocks(a), [["OK", "ERR AUTH", "ERR AUTH", "ERR AUTH", "ERR AUTH"]]);
}

#[test]
fn a_full_queue_takes_a_marker_and_nothing_more_until_it_is_drained() {
    for version in VERSIONS {
        let mut w = World::with(RouterConfig { queue_quota: 2, ..RouterConfig::default() });
        let [a, c] = w.clients(version);
        let q = w.idle_queue(a);
        assert_eq!(w.send(c, &q, "q1"), "OK");
        assert_eq!(w.send(c, &q, "q2"), "OK");
        assert_eq!(w.send(c, &q, "q3"), "ERR QUOTA");
        assert_eq!(w.send(c, &q, "q4"), "ERR QUOTA");
        assert_eq!(w.sites[0].core.store().waiting(), 3, "the marker counts, once");
        assert_eq!(w.subscribe(a, &q), sok(version));
        assert_eq!(w.events(a), ["MSG q1"]);
        assert_eq!(w.ack(a, &q), "MSG q2");
        assert_eq!(w.send(c, &q, "q5"), "ERR QUOTA");
        assert_eq!(w.ack(a, &q), "MSG quota marker");
        assert_eq!(w.send(c, &q, "q6"), "ERR QUOTA");
        assert_eq!(w.ack(a, &q), "OK");
        assert_eq!(w.send(c, &q, "q7"), "OK");
        assert_eq!(w.events(a), ["MSG q7"]);
        assert_eq!(w.send(c, &q, "q8"), "OK");
        assert_eq!(w.send(c, &q, "q9"), "ERR QUOTA");
        assert_eq!(w.send(c, &q, "q10"), "ERR QUOTA");
        assert_eq!(w.recipient(a, &q, Command::Del), "OK");
        if [6, 20].contains(&version) {
            w.assert_as_recorded("quota", version, &[("A", a), ("C", c)], &["INFO"]);
        }
    }
}

#[test]
fn a_body_is_limited_by_version_and_the_limit_is_checked_after_authorization() {
    for version in VERSIONS {
        let limit = match version {
            6..=7 => 16088,
            8..=10 => 16064,
            _ => 16048,
        };
        let (fits, too_long) = ("-".repeat(limit), "-".repeat(limit + 1));
        let mut w = World::new();
        let [a, c] = w.clients(version);
        let q = w.queue(a);
        assert_eq!(w.send(c, &q, &fits), "OK");
        assert_eq!(w.events(a), [format!("MSG {fits}")]);
        assert_eq!(w.send(c, &q, &too_long), "ERR LARGE_MSG");
        let key = sender_key(version, 1);
        assert_eq!(w.recipient(a, &q, Command::Key(key.public())), "OK");
        assert_eq!(w.send_signed(c, &q, &fits, &key), "OK");
        assert_eq!(w.send_signed(c, &q, &too_long, &key), "ERR LARGE_MSG");
        assert_eq!(w.send(c, &q, &too_long), "ERR AUTH");
        assert_eq!(w.send_signed(c, &q, "", &key), "OK", "an empty body is one");
        assert_eq!(w.ask(c, &EntityId::from([7; 24]), &send(&too_long), None), "ERR AUTH");
        assert_eq!(w.recipient(a, &q, Command::Off), "OK");
        assert_eq!(w.send_signed(c, &q, &too_long, &key), "ERR LARGE_MSG");
    }
}

#[test]
fn the_largest_body_fits_with_every_authorization() {
    for key_type in [KeyType::Ed25519, KeyType::Ed448, KeyType::X25519] {
        let mut w = World::new();
        let [a, c] = w.clients(20);
        let q = w.queue(a);
        let key = key(key_type, 1);
        assert_eq!(w.recipient(a, &q, Command::Key(key.public())), "OK");
        assert_eq!(w.send_signed(c, &q, &"-".repeat(16048), &key), "OK");
        assert_eq!(w.send_signed(c, &q, &"-".repeat(16049), &key), "ERR LARGE_MSG");
    }
}

#[test]
fn up_to_four_answers_share_a_block_with_the_first_message_and_more_do_not() {
    // Four answers and a message are one batch, which does not fit into one block; at version 6 nor do two.
    let (two, four): (&[usize], &[usize]) = (&[3, 1], &[1, 4, 1, 1, 1]);
    for (version, two, four) in [(20, two, four), (9, two, four), (6, &[1, 2, 1], &[3, 2, 1, 1, 1])] {
        let mut w = World::new();
        let [a, b, c] = w.clients(version);
        let queues: Vec<_> = (0..5).map(|_| w.idle_queue(a)).collect();
        for q in &queues {
            w.send(c, q, "m");
        }
        let mut subscribe = |count: usize| {
            for q in &queues[..count] {
                w.post(b, &q.recipient, &Command::Sub, Some(&q.key));
            }
            w.drive();
            w.blocks(b).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(subscribe(2), two);
        assert_eq!(subscribe(4), four);
        assert_eq!(subscribe(5), [5, 1, 1, 1, 1, 1]);
    }
}

#[test]
fn a_slow_reader_defers_deliveries_and_loses_nothing() {
    let mut w = World::with(RouterConfig { outgoing_blocks: 4, ..RouterConfig::default() });
    let [a, b, c] = w.clients(20);
    let queues: Vec<_> = (0..20).map(|_| w.queue(a)).collect();
    w.set_reading(a, false);
    for q in &queues {
        assert_eq!(w.send(c, q, "m"), "OK");
    }
    for _ in 0..3 {
        w.post(a, &EntityId::EMPTY, &Command::Ping, None);
        w.drive();
    }
    assert_eq!(w.unread(a), 3, "and is not read");
    assert_eq!(w.subscribe(b, &queues[19]), "SOK");
    assert_eq!(w.events(b), ["MSG m"]);
    w.set_reading(a, true);
    let mut arrived = w.events(a);
    arrived.sort();
    assert_eq!(arrived[..19], ["MSG m"; 19], "all but the one that was taken over");
    assert_eq!(arrived[19..], ["PONG"; 3]);
}

#[test]
fn messages_of_many_subscriptions_wait_for_room_too() {
    let mut w = World::with(RouterConfig { outgoing_blocks: 4, ..RouterConfig::default() });
    let [a, b, c] = w.clients(20);
    let queues: Vec<_> = (0..100).map(|_| w.idle_queue(a)).collect();
    for q in &queues {
        w.send(c, q, "m");
    }
    w.set_reading(b, false);
    for q in &queues {
        w.post(b, &q.recipient, &Command::Sub, Some(&q.key));
    }
    w.drive();
    // What waits for room when others take the queues over is theirs.
    for q in &queues[50..] {
        w.post(c, &q.recipient, &Command::Sub, Some(&q.key));
    }
    w.drive();
    assert_eq!(w.events(c).iter().filter(|text| *text == "MSG m").count(), 50);
    w.set_reading(b, true);
    let arrived = w.blocks(b);
    assert_eq!(arrived[0], ["SOK"; 100]);
    assert!((50..=54).contains(&arrived[1..].len()), "four were written before, the others as room was made");
}

/// A client that comes back knows what it has; the answer to its ACK ends the message, whatever came before in the block.
#[test]
fn what_is_acknowledged_in_the_block_of_its_sub_does_not_come_after_the_answer() {
    for version in VERSIONS {
        let mut w = World::new();
        let [a, b] = w.clients(version);
        let queues = [w.queue(a), w.queue(a)];
        w.send(b, &queues[0], "first");
        w.send(b, &queues[1], "first");
        w.send(b, &queues[1], "second");
        let ids = [w.last(a, &queues[0]), w.last(a, &queues[1])];
        w.disconnect(a);
        let raw = w.raw(version, |_| {});
        for (queue, id) in queues.iter().zip(&ids) {
            let mut ack = b"ACK ".to_vec();
            put_short(&mut ack, id.as_bytes()).unwrap();
            let items = [
                w.item(raw, "1", &queue.recipient, b"SUB", Some(&queue.key)),
                w.item(raw, "2", &queue.recipient, &ack, Some(&queue.key)),
            ];
            w.write_items(raw, &items);
        }
        let came: Vec<_> = w.transmissions(raw).into_iter().map(|(_, _, text)| text).collect();
        let tags: Vec<_> = came.iter().map(|text| text.split(' ').next().unwrap()).collect();
        assert_eq!(tags, [sok(version), "OK", sok(version), "MSG"], "{came:?}");
        assert!(!came[3].contains("first"), "{came:?}");
    }
}
