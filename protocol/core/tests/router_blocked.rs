//! Queues that the operator blocked (SN-7, ER-6, D38).
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
use sxlab_protocol::crypto::hash::sender_id_from_corr;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::observe::Kind;
use sxlab_protocol::smp::command::{Command, ContactLink, LinkData, MessagingLink};
use sxlab_protocol::smp::command::{NewQueue, NotifierKeys, QueueRequest};
use sxlab_protocol::smp::error::{BlockingInfo, BlockingReason, Notice};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::{RouterConfig, Status};
use sxlab_protocol::wire::{CorrId, EntityId, LinkId, MsgId};

const SPAM: BlockingInfo = BlockingInfo { reason: BlockingReason::Spam, notice: None };
const CONTENT: BlockingInfo =
    BlockingInfo { reason: BlockingReason::Content, notice: Some(Notice { ttl: Some(3600) }) };

/// How [`CONTENT`] is told.
fn content(version: u16) -> &'static str {
    match version {
        ..12 => "ERR AUTH",
        12..18 => "ERR BLOCKED reason=content",
        18.. => r#"ERR BLOCKED reason=content,notice={"ttl":3600}"#,
    }
}

fn block(w: &mut World, id: &EntityId, info: BlockingInfo) -> Option<Status> {
    let before = w.sites[0].core.block_queue(id, info);
    w.drive();
    before
}

fn unblock(w: &mut World, id: &EntityId) -> Option<Status> {
    let before = w.sites[0].core.unblock_queue(id);
    w.drive();
    before
}

fn notifier_keys(key: &AuthSecretKey) -> NotifierKeys {
    NotifierKeys { auth_key: key.public(), dh_key: X25519Secret::from_bytes([1; 32]).public() }
}

/// NKEY; the notifier's id.
fn nkey(w: &mut World, who: Who, q: &TestQueue, key: &AuthSecretKey) -> EntityId {
    let corr = w.post(who, &q.recipient, &Command::NKey(notifier_keys(key)), Some(&q.key));
    w.drive();
    match w.answer(who, &corr).unwrap() {
        (_, Some(Response::Nid(ids))) => ids.id,
        (text, _) => panic!("{text}"),
    }
}

/// A queue with a link: the queue and the link as an entity.
fn linked(w: &mut World, who: Who, number: u8, contact: bool) -> (TestQueue, EntityId) {
    let corr = CorrId::from([number; 24]);
    let sender = EntityId::from(sender_id_from_corr(&corr));
    let data = LinkData { fixed: vec![1; 10], user: vec![2; 9] };
    let link = LinkId::from([number; 24]);
    let queue = if contact {
        QueueRequest::Contact(Some(ContactLink { link, sender, data }))
    } else {
        QueueRequest::Messaging(Some(MessagingLink { sender, data }))
    };
    let key = key(KeyType::Ed25519, u64::from(number));
    let command = Command::New(Box::new(NewQueue {
        auth_key: key.public(),
        dh_key: X25519Secret::from_bytes([number; 32]).public(),
        password: None,
        subscribe: false,
        queue,
        notifier: None,
    }));
    w.core(who).request_with(corr.clone(), EntityId::EMPTY, &command, Some(&key)).unwrap();
    w.drive();
    let (_, Some(Response::Ids(ids))) = w.answer(who, &corr).unwrap() else { panic!("no ids") };
    let link = EntityId::new(ids.link.unwrap().as_bytes()).unwrap();
    (TestQueue { recipient: ids.recipient, sender: ids.sender, key }, link)
}

/// What the recorded router answered to each command after it blocked all queues.
fn recorded_answers(version: u16) -> Option<Vec<(String, String)>> {
    let flow = recorded::flow("blocked-each", version)?;
    let blocked = recorded::steps(&flow).skip_while(|step| recorded::text(step, "dir") != "note").skip(1);
    let steps: Vec<_> = blocked.filter(|step| recorded::text(step, "dir") != "close").collect();
    let pairs = steps.chunks(2).map(|pair| {
        let [request, answer] = [pair[0], pair[1]].map(|step| recorded::text(step, "text"));
        (request.to_owned(), recorded::tag(answer))
    });
    Some(pairs.collect())
}

#[test]
fn a_blocked_queue_refuses_every_command_but_off_del_and_nsub_as_recorded() {
    for version in VERSIONS {
        let mut w = World::new();
        let [a, c, n] = w.clients(version);
        let (sk, nk) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
        let names = [
            "SUB",
            "GET",
            "QUE",
            "KEY",
            "OFF",
            "DEL",
            "NKEY",
            "NDEL",
            "NSUB",
            "SKEY",
            "SEND",
            "SEND secured",
        ];
        let queues: BTreeMap<_, _> = names.into_iter().map(|name| (name, w.idle_queue(a))).collect();
        let acked = w.queue(a);
        let contact = w.create(a, &Ask { queue: QueueRequest::Contact(None), ..Ask::default() }).unwrap();
        nkey(&mut w, a, &queues["NDEL"], &nk);
        let notifier = nkey(&mut w, a, &queues["NSUB"], &nk);
        w.recipient(a, &queues["SEND secured"], Command::Key(sk.public()));
        w.send(c, &acked, "x");
        assert_eq!(w.events(a), ["MSG x"]);
        for q in queues.values().chain([&acked]) {
            assert_eq!(block(&mut w, &q.sender, CONTENT), Some(Status::Active));
        }
        assert_eq!(
            w.transmissions(a),
            [(CorrId::EMPTY, acked.recipient.clone(), content(version).to_owned())]
        );

        let mut answers: BTreeMap<&str, String> = BTreeMap::new();
        for (name, command) in [
            ("SUB", Command::Sub),
            ("GET", Command::Get),
            ("QUE", Command::Que),
            ("KEY", Command::Key(sk.public())),
            ("OFF", Command::Off),
            ("DEL", Command::Del),
            ("NKEY", Command::NKey(notifier_keys(&nk))),
            ("NDEL", Command::NDel),
        ] {
            let answer = w.recipient(a, &queues[name], command);
            assert_eq!(
                answer,
                if ["OFF", "DEL"].contains(&name) { "OK" } else { content(version) },
                "{name}"
            );
            answers.insert(name, answer);
        }
        let (off, deleted) = (&queues["OFF"], &queues["DEL"]);
        assert_eq!(w.send(c, off, "x"), "ERR AUTH");
        assert_eq!(w.subscribe(a, off), sok(version));
        assert_eq!(w.recipient(a, off, Command::Que), "INFO");
        assert_eq!(w.subscribe(a, deleted), "ERR AUTH");
        answers.insert("NSUB", w.ask(n, &notifier, &Command::NSub, Some(&nk)));
        answers.insert("SKEY", w.ask(c, &queues["SKEY"].sender, &Command::SKey(sk.public()), Some(&sk)));
        let (open, secured) = (&queues["SEND"], &queues["SEND secured"]);
        answers.insert("SEND unsigned on blocked unsecured", w.send(c, open, "x"));
        answers.insert("SEND signed on blocked unsecured", w.send_signed(c, open, "x", &sk));
        answers.insert("SEND signed on blocked secured", w.send_signed(c, secured, "x", &sk));
        answers.insert("SEND unsigned on blocked secured", w.send(c, secured, "x"));
        answers.insert("ACK", w.ack(a, &acked));
        if version >= 15 {
            let (lset, lset_link) = linked(&mut w, a, 11, true);
            let (joined, to_join) = linked(&mut w, a, 12, false);
            for q in [&contact, &lset, &joined] {
                block(&mut w, &q.sender, CONTENT);
            }
            let data = LinkData { fixed: vec![1; 10], user: Vec::new() };
            let link = LinkId::from([11; 24]);
            answers.insert("RKEY", w.recipient(a, &contact, Command::RKey(vec![sk.public()])));
            answers.insert("LSET", w.recipient(a, &lset, Command::LSet { link, data }));
            answers.insert("LDEL", w.recipient(a, &lset, Command::LDel));
            answers.insert("LGET", w.ask(c, &lset_link, &Command::LGet, None));
            answers.insert("LKEY", w.ask(c, &to_join, &Command::LKey(sk.public()), Some(&sk)));
        }
        assert_eq!(answers["NSUB"], sok(version));
        for (name, answer) in &answers {
            let expected = match *name {
                "OFF" | "DEL" => "OK",
                "NSUB" => sok(version),
                "SEND signed on blocked unsecured" | "SEND unsigned on blocked secured" => "ERR AUTH",
                _ => content(version),
            };
            assert_eq!(answer, expected, "{name} at version {version}");
        }
        if version != 12 && version != 20 {
            continue;
        }
        let mut compared = 0;
        for (request, answer) in recorded_answers(version).into_iter().flatten() {
            let name = request.strip_suffix(" on blocked").unwrap_or(&request);
            if let Some(ours) = answers.get(name) {
                assert_eq!(*ours, answer, "{request} at version {version}");
                compared += 1;
            }
        }
        assert!([0, answers.len()].contains(&compared), "{compared} of {}", answers.len());
    }
}

#[test]
fn blocking_is_told_ends_with_off_and_comes_after_authorization_as_recorded() {
    let mut w = World::new();
    let [a, n, c] = w.clients(20);
    let (sk, nk, wrong) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2), key(KeyType::Ed25519, 3));
    let q = w.queue(a);
    assert_eq!(w.send(c, &q, "m1"), "OK");
    assert_eq!(w.events(a), ["MSG m1"]);
    let id = w.last(a, &q);
    let notifier = nkey(&mut w, a, &q, &nk);
    assert_eq!(w.ask(n, &notifier, &Command::NSub, Some(&nk)), "SOK");
    let refuse = |w: &mut World, refusal: &str, unsigned: &str, signed: &str, nsub: &str| {
        assert_eq!(w.transmissions(a), [(CorrId::EMPTY, q.recipient.clone(), refusal.to_owned())]);
        assert_eq!(w.send(c, &q, "x"), unsigned);
        assert_eq!(w.send_signed(c, &q, "x", &sk), signed);
        assert_eq!(w.subscribe(a, &q), refusal);
        assert_eq!(w.ask(a, &q.recipient, &Command::Sub, Some(&wrong)), "ERR AUTH");
        let others = [Command::Ack(id.clone()), Command::Get, Command::Que, Command::Key(sk.public())];
        for command in others {
            assert_eq!(w.recipient(a, &q, command), refusal);
        }
        assert_eq!(w.recipient(a, &q, Command::Off), "OK");
        assert_eq!(w.ask(n, &notifier, &Command::NSub, Some(&nk)), nsub);
        assert_eq!(w.ask(c, &q.sender, &Command::SKey(sk.public()), Some(&sk)), "OK");
        assert_eq!(w.recipient(a, &q, Command::NDel), "OK");
    };

    assert_eq!(block(&mut w, &q.sender, SPAM), Some(Status::Active));
    let spam = "ERR BLOCKED reason=spam";
    refuse(&mut w, spam, spam, "ERR AUTH", "SOK");
    assert_eq!(unblock(&mut w, &q.sender), Some(Status::Off), "OFF replaced the blocking");
    assert_eq!(w.subscribe(a, &q), "SOK");
    assert_eq!(w.events(a), ["MSG m1"]);
    assert_eq!(block(&mut w, &q.sender, CONTENT), Some(Status::Off));
    // SKEY secured it meanwhile.
    refuse(&mut w, content(20), "ERR AUTH", content(20), "ERR AUTH");
    assert_eq!(w.recipient(a, &q, Command::Del), "OK");
    w.assert_as_recorded("blocked", 20, &[("A", a), ("N", n), ("C", c)], &[]);
}

#[test]
fn an_unblocked_queue_goes_on_where_it_was() {
    for version in VERSIONS {
        let mut w = World::new();
        let [a, c] = w.clients(version);
        let q = w.queue(a);
        assert_eq!(block(&mut w, &q.recipient, CONTENT), Some(Status::Active), "by recipient id");
        assert_eq!(w.events(a), [content(version)]);
        assert_eq!(w.send(c, &q, "refused"), content(version));
        assert_eq!(unblock(&mut w, &q.sender), Some(Status::Blocked(CONTENT)), "by sender id");
        assert_eq!(unblock(&mut w, &q.sender), Some(Status::Active));
        assert_eq!(w.send(c, &q, "m1"), "OK");
        assert_eq!(w.events(a), ["MSG m1"], "the subscription stands");
        assert_eq!(w.ack(a, &q), "OK");
    }
}

#[test]
fn blocked_again_it_tells_the_new_reason() {
    let mut w = World::new();
    let a = w.client(20);
    let q = w.queue(a);
    block(&mut w, &q.sender, SPAM);
    assert_eq!(block(&mut w, &q.sender, CONTENT), Some(Status::Blocked(SPAM)));
    assert_eq!(w.events(a), ["ERR BLOCKED reason=spam", content(20)]);
    assert_eq!(w.subscribe(a, &q), content(20));
}

#[test]
fn a_queue_that_is_not_there_is_neither_blocked_nor_unblocked() {
    let mut w = World::new();
    let unknown = EntityId::from([7; 24]);
    assert_eq!(block(&mut w, &unknown, SPAM), None);
    assert_eq!(unblock(&mut w, &unknown), None);
}

#[test]
fn a_message_that_waited_for_room_waits_for_the_end_of_the_blocking_too() {
    let mut w = World::with(RouterConfig { outgoing_blocks: 1, ..RouterConfig::default() });
    let [a, c] = w.clients(20);
    let (q1, q2) = (w.queue(a), w.queue(a));
    w.set_reading(a, false);
    w.send(c, &q1, "m1");
    w.send(c, &q2, "m2");
    block(&mut w, &q2.sender, SPAM);
    w.set_reading(a, true);
    assert_eq!(w.events(a), ["MSG m1", "ERR BLOCKED reason=spam"]);
    unblock(&mut w, &q2.sender);
    assert_eq!(w.events(a), ["MSG m2"]);
}

#[test]
fn a_blocked_queue_is_told_through_a_proxy() {
    let mut w = World::new();
    let proxy = w.router(RouterConfig::default());
    let [owner, sender] = [w.client(20), w.client_of(proxy, 20)];
    let q = w.queue(owner);
    let relay = w.relay(sender, 0).unwrap();
    block(&mut w, &q.sender, SPAM);
    let forwarded = w.forward(sender, &relay, &q.sender, &send("x"), None);
    assert_eq!(forwarded, "in PRES: ERR BLOCKED reason=spam");
    let key = key(KeyType::Ed25519, 1);
    let skey = Command::SKey(key.public());
    let forwarded = w.forward(sender, &relay, &q.sender, &skey, Some(&key));
    assert_eq!(forwarded, "in PRES: ERR BLOCKED reason=spam");
}

#[test]
fn a_body_that_is_too_long_is_told_before_the_blocking() {
    let mut w = World::new();
    let [a, c] = w.clients(20);
    let q = w.idle_queue(a);
    block(&mut w, &q.sender, SPAM);
    assert_eq!(w.send(c, &q, &"x".repeat(16049)), "ERR LARGE_MSG");
    assert_eq!(w.recipient(a, &q, Command::Ack(MsgId::EMPTY)), "ERR BLOCKED reason=spam");
}

#[test]
fn the_operator_deletes_a_queue_by_either_id_and_its_subscriber_is_told() {
    for version in VERSIONS {
        let mut w = World::new();
        let [recipient, sender] = w.clients(version);
        for by_sender_id in [false, true] {
            let q = w.queue(recipient);
            assert_eq!(w.send(sender, &q, "hello"), "OK");
            w.events(recipient);
            let id = if by_sender_id { q.sender.clone() } else { q.recipient.clone() };
            let now = w.now;
            assert!(w.sites[0].core.delete_queue(&id, now));
            assert!(!w.sites[0].core.delete_queue(&id, now), "it is gone");
            w.wait(RouterConfig::default().end_interval);
            assert_eq!(w.events(recipient), [deld(version)]);
            assert_eq!(w.send(sender, &q, "hello"), "ERR AUTH");
        }
    }
}

#[test]
fn the_operator_sees_the_state_of_a_queue_and_not_what_is_in_it() {
    let mut w = World::new();
    let [recipient, sender] = w.clients(20);
    let q = w.queue(recipient);
    assert_eq!(w.send(sender, &q, "hello"), "OK");
    let report = w.sites[0].core.report_queue(&q.sender).unwrap();
    assert_eq!(Some(report), w.sites[0].core.report_queue(&q.recipient));
    assert_eq!((report.status, report.messages), (Status::Active, 1));
    assert!(report.subscribed && !report.secured);
    block(&mut w, &q.sender, SPAM);
    w.disconnect(recipient);
    let report = w.sites[0].core.report_queue(&q.sender).unwrap();
    assert_eq!((report.status, report.subscribed), (Status::Blocked(SPAM), false));
    assert_eq!(w.sites[0].core.report_queue(&EntityId::from([9; 24])), None);
}

#[test]
fn a_router_that_shuts_down_sends_what_it_collected_and_closes() {
    let mut w = World::new();
    let [first, second] = w.clients(20);
    let q = w.queue(first);
    assert_eq!(w.subscribe(second, &q), sok(20));
    assert_eq!(w.events(first), [""; 0], "END waits for its interval");
    let now = w.now;
    w.sites[0].core.shut_down(now);
    w.drive();
    assert_eq!(w.events(first), ["END"]);
    assert!(w.is_closed(first) && w.is_closed(second));
}

#[test]
fn the_operator_has_counts_of_what_happened_and_of_what_is_there() {
    let mut w = World::new();
    let [recipient, sender] = w.clients(20);
    let q = w.queue(recipient);
    for _ in 0..3 {
        assert_eq!(w.send(sender, &q, "hello"), "OK");
    }
    assert_eq!(w.send_signed(sender, &q, "hello", &sender_key(20, 7)), "ERR AUTH");
    let counted = w.sites[0].core.statistics();
    assert_eq!((counted.accepted, counted.commands[&Kind::New], counted.commands[&Kind::Send]), (2, 1, 4));
    assert_eq!((counted.responses[&Kind::Msg], counted.responses[&Kind::Ok]), (1, 3));
    assert_eq!(counted.errors, BTreeMap::from([("AUTH", 1)]));
    // Each client's hello and a block for each command; each router's hello, an answer for each and the delivery.
    assert_eq!((counted.blocks_in, counted.blocks_out), (2 + 5, 2 + 5 + 1));
    let there = w.sites[0].core.holdings();
    assert_eq!((there.sessions, there.relays, there.queues, there.messages), (2, 0, 1, 3));
    assert_eq!((there.subscriptions, there.notifier_subscriptions), (1, 0));
}
