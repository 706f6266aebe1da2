//! What goes by itself: messages that waited too long (SN-15) and clients that say nothing (TR-38).
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
use sxlab_protocol::crypto::keys::X25519Secret;
use sxlab_protocol::smp::command::{Command, MsgFlags, NotifierKeys};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::{Router, RouterConfig};
use sxlab_protocol::wire::EntityId;

const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;

fn ping(w: &mut World, who: Who) -> String {
    w.ask(who, &EntityId::EMPTY, &Command::Ping, None)
}

/// The answer to QUE.
fn que(w: &mut World, who: Who, q: &TestQueue) -> String {
    let corr = w.post(who, &q.recipient, &Command::Que, Some(&q.key));
    w.drive();
    match w.answer(who, &corr).unwrap() {
        (_, Some(Response::Info(info))) => info,
        (text, _) => panic!("{text}"),
    }
}

#[test]
fn messages_expire_at_an_interval_as_recorded() {
    for version in VERSIONS {
        let mut w = World::with(RouterConfig {
            message_ttl: 2 * SECOND,
            expiry_interval: 2 * SECOND,
            ..RouterConfig::default()
        });
        let [a, c] = w.clients(version);
        let q = w.idle_queue(a);
        assert_eq!(w.send(c, &q, "m1"), "OK");
        w.wait(6 * SECOND + SECOND / 2);
        assert_eq!(que(&mut w, a, &q), r#"{"qiSnd":false,"qiNtf":false,"qiSize":0}"#);
        assert_eq!(w.subscribe(a, &q), sok(version));
        assert_eq!(w.events(a), [""; 0]);
        if version == 20 {
            w.assert_as_recorded("ttl-expire-interval", version, &[("A", a), ("C", c)], &[]);
        }
    }
}

#[test]
fn messages_expire_when_another_is_sent_as_recorded() {
    for version in VERSIONS {
        let mut w = World::with(RouterConfig {
            message_ttl: SECOND,
            expire_on_send: true,
            ..RouterConfig::default()
        });
        let [a, c] = w.clients(version);
        let q = w.idle_queue(a);
        assert_eq!(w.send(c, &q, "m1"), "OK");
        w.wait(2 * SECOND);
        assert_eq!(w.send(c, &q, "m2"), "OK");
        assert_eq!(w.subscribe(a, &q), sok(version));
        assert_eq!(w.events(a), ["MSG m2"]);
        assert_eq!(w.ack(a, &q), "OK");
        assert_eq!(w.send(c, &q, "m3"), "OK");
        assert_eq!(w.events(a), ["MSG m3"]);
        w.wait(2 * SECOND);
        assert_eq!(w.send(c, &q, "m4"), "OK");
        assert_eq!(w.events(a), [""; 0], "m3 was delivered and not acknowledged");
        assert_eq!(w.ack(a, &q), "MSG m4");
        assert_eq!(w.subscribe(a, &q), sok(version));
        assert_eq!(w.events(a), ["MSG m4"]);
        if version == 20 {
            w.assert_as_recorded("ttl-expire-on-send", version, &[("A", a), ("C", c)], &[]);
        }
    }
}

#[test]
fn without_expiry_on_send_the_interval_decides() {
    let mut w = World::with(RouterConfig { message_ttl: SECOND, ..RouterConfig::default() });
    let [a, c] = w.clients(20);
    let q = w.idle_queue(a);
    w.send(c, &q, "m1");
    w.wait(HOUR);
    w.send(c, &q, "m2");
    assert_eq!(w.sites[0].core.store().waiting(), 2);
    w.wait(HOUR);
    assert_eq!(w.sites[0].core.store().waiting(), 0);
}

#[test]
fn every_queue_s_messages_expire_in_their_own_time() {
    let mut w = World::with(RouterConfig { message_ttl: 5 * HOUR, ..RouterConfig::default() });
    let [a, c] = w.clients(20);
    let queues = [w.idle_queue(a), w.idle_queue(a), w.idle_queue(a)];
    for q in &queues {
        w.send(c, q, "m1");
        w.wait(2 * HOUR);
    }
    w.send(c, &queues[0], "m2");
    let mut waiting = Vec::new();
    for _ in 0..6 {
        waiting.push(w.sites[0].core.store().waiting());
        w.wait(2 * HOUR);
    }
    // They were sent 6, 4, 2 and 0 hours ago.
    assert_eq!(waiting, [3, 2, 1, 0, 0, 0]);
}

#[test]
fn an_expired_message_that_was_delivered_is_acknowledged_with_ok() {
    let mut w = World::with(RouterConfig { message_ttl: SECOND, ..RouterConfig::default() });
    let [a, c] = w.clients(20);
    let q = w.queue(a);
    w.send(c, &q, "m1");
    w.wait(2 * HOUR);
    assert_eq!(w.sites[0].core.store().waiting(), 0);
    assert_eq!(w.ack(a, &q), "OK");
    assert_eq!(w.ack(a, &q), "ERR NO_MSG");
}

#[test]
fn messages_live_for_three_weeks_by_default() {
    let mut w = World::new();
    let [a, c] = w.clients(20);
    let q = w.queue(a);
    w.send(c, &q, "m1");
    w.wait(21 * DAY);
    assert_eq!(w.sites[0].core.store().waiting(), 1);
    w.wait(2 * HOUR);
    assert_eq!(w.sites[0].core.store().waiting(), 0);
}

#[test]
fn a_quota_marker_does_not_expire_and_the_queue_stays_closed_until_it_is_acknowledged() {
    let mut w = World::with(RouterConfig {
        queue_quota: 2,
        message_ttl: SECOND,
        expire_on_send: true,
        ..RouterConfig::default()
    });
    let [a, c] = w.clients(20);
    let q = w.idle_queue(a);
    for answer in ["OK", "OK", "ERR QUOTA"] {
        assert_eq!(w.send(c, &q, "x"), answer);
    }
    w.wait(3 * DAY);
    assert_eq!(w.sites[0].core.store().waiting(), 1);
    let c = w.client(20);
    assert_eq!(w.send(c, &q, "x"), "ERR QUOTA");
    let a = w.client(20);
    w.subscribe(a, &q);
    assert_eq!(w.events(a), ["MSG quota marker"]);
    assert_eq!(w.ack(a, &q), "OK");
    assert_eq!(w.send(c, &q, "x"), "OK");
}

#[test]
fn a_full_queue_whose_messages_expire_takes_messages_again() {
    let mut w = World::with(RouterConfig {
        queue_quota: 2,
        message_ttl: SECOND,
        expire_on_send: true,
        ..RouterConfig::default()
    });
    let [a, c] = w.clients(20);
    let q = w.idle_queue(a);
    for answer in ["OK", "OK"] {
        assert_eq!(w.send(c, &q, "x"), answer);
    }
    w.wait(2 * SECOND);
    assert_eq!(w.send(c, &q, "x"), "OK");
    assert_eq!(w.sites[0].core.store().waiting(), 1);
}

/// How many notifications wait for the queue's notifier.
fn notifications(core: &Router, q: &TestQueue) -> usize {
    core.store().by_recipient(&q.recipient).unwrap().notifier().unwrap().waiting.len()
}

#[test]
fn notifications_expire_without_a_notifier_too() {
    let mut w = World::new();
    let [a, c] = w.clients(20);
    let q = w.idle_queue(a);
    let keys = NotifierKeys {
        auth_key: sender_key(20, 1).public(),
        dh_key: X25519Secret::from_bytes([1; 32]).public(),
    };
    assert_eq!(w.recipient(a, &q, Command::NKey(keys)), "NID");
    let notifying = Command::Send { flags: MsgFlags { notification: true }, body: Vec::new() };
    assert_eq!(w.ask(c, &q.sender, &notifying, None), "OK");
    w.wait(DAY);
    assert_eq!(notifications(&w.sites[0].core, &q), 1);
    w.wait(2 * HOUR);
    assert_eq!(notifications(&w.sites[0].core, &q), 0);
    assert_eq!(w.sites[0].core.store().waiting(), 1, "the message still waits");
}

#[test]
fn inactive_clients_without_subscriptions_are_closed_as_recorded() {
    for version in VERSIONS {
        let mut w = World::with(RouterConfig {
            inactive_ttl: 2 * SECOND,
            inactive_interval: SECOND,
            ..RouterConfig::default()
        });
        let [a, b, c] = w.clients(version);
        assert_eq!(ping(&mut w, a), "PONG");
        w.queue(b);
        w.idle_queue(c);
        w.wait(3 * SECOND - 1);
        assert_eq!([a, b, c].map(|who| w.is_closed(who)), [false; 3]);
        w.wait(1);
        assert_eq!([a, b, c].map(|who| w.is_closed(who)), [true, false, true]);
        w.wait(4 * SECOND);
        assert!(!w.is_closed(b));
        assert_eq!(ping(&mut w, b), "PONG");
        if version == 20 {
            w.assert_as_recorded("idle-close", version, &[("A", a), ("B", b), ("C", c)], &[]);
        }
    }
}

#[test]
fn what_keeps_a_client_is_a_subscription_or_something_said() {
    let mut w = World::new();
    let [talking, getting, subscribed, notifier, taken_over, owner] = w.clients(20);
    let (q1, q2) = (w.idle_queue(owner), w.idle_queue(owner));
    w.send(owner, &q1, "x");
    assert_eq!(w.get(getting, &q1), "MSG x");
    assert_eq!(w.subscribe(taken_over, &q2), "SOK");
    assert_eq!(w.subscribe(subscribed, &q2), "SOK");
    let key = sender_key(20, 1);
    let keys = NotifierKeys { auth_key: key.public(), dh_key: X25519Secret::from_bytes([1; 32]).public() };
    let corr = w.post(owner, &q1.recipient, &Command::NKey(keys), Some(&q1.key));
    w.drive();
    let (_, Some(Response::Nid(ids))) = w.answer(owner, &corr).unwrap() else { panic!("no ids") };
    assert_eq!(w.ask(notifier, &ids.id, &Command::NSub, Some(&key)), "SOK");
    w.wait(6 * HOUR);
    assert!(!w.is_closed(getting), "six hours are allowed");
    ping(&mut w, talking);
    w.wait(HOUR);
    let open = [talking, getting, subscribed, notifier, taken_over].map(|who| !w.is_closed(who));
    assert_eq!(open, [true, false, true, true, false]);
}

#[test]
fn inactive_clients_may_stay_for_ever() {
    let mut w = World::with(RouterConfig { inactive_ttl: u64::MAX, ..RouterConfig::default() });
    let a = w.client(20);
    w.wait(30 * DAY);
    assert_eq!(ping(&mut w, a), "PONG");
    assert!(!w.is_closed(a));
}
