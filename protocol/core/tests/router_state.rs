//! What a router tells of itself: QUE (RC-39), and the refusals of what it has not: names and services.
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
use serde_json::{Value, json};
use sxlab_protocol::crypto::keys::X25519Secret;
use sxlab_protocol::smp::command::{Command, NotifierKeys, ServiceQueues};
use sxlab_protocol::smp::name::Name;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::RouterConfig;
use sxlab_protocol::wire::EntityId;

/// The answer to QUE. Ids and times, which differ from run to run, by their length only.
fn que(w: &mut World, who: Who, q: &TestQueue) -> Value {
    let corr = w.post(who, &q.recipient, &Command::Que, Some(&q.key));
    w.drive();
    let (text, response) = w.answer(who, &corr).unwrap();
    let Some(Response::Info(info)) = response else { panic!("{text}") };
    masked(&info)
}

fn masked(info: &str) -> Value {
    let mut info: Value = serde_json::from_str(info).unwrap();
    for (part, field) in [("qiSub", "qDelivered"), ("qiMsg", "msgId"), ("qiMsg", "msgTs")] {
        if let Some(value) = info.get_mut(part).and_then(|part| part.get_mut(field)) {
            let text = value.as_str().unwrap();
            *value = match field {
                "msgTs" => json!(format!("time to {}", text.split('.').next().unwrap().len())),
                _ => json!(text.len()),
            };
        }
    }
    info
}

/// The recorded answers to QUE, with the same masks.
fn recorded_answers(scenario: &str, version: u16) -> Option<Vec<Value>> {
    let flow = recorded::flow(scenario, version)?;
    let info = |step: &Value| {
        let text = recorded::text(step, "text").strip_prefix("INFO ")?.to_owned();
        Some(masked(&text))
    };
    Some(recorded::steps(&flow).filter_map(info).collect())
}

#[test]
fn the_state_of_a_queue_is_told_as_recorded() {
    for version in VERSIONS {
        let mut w = World::new();
        w.now += 123_456_789;
        let [a, b] = w.clients(version);
        let q = w.idle_queue(a);
        let mut told = vec![que(&mut w, a, &q)];
        w.subscribe(a, &q);
        told.push(que(&mut w, a, &q));
        told.push(que(&mut w, b, &q));
        w.send(b, &q, "x");
        told.push(que(&mut w, a, &q));
        let key = sender_key(version, 1);
        w.recipient(a, &q, Command::Key(key.public()));
        let dh_key = X25519Secret::from_bytes([1; 32]).public();
        w.recipient(a, &q, Command::NKey(NotifierKeys { auth_key: key.public(), dh_key }));
        told.push(que(&mut w, a, &q));
        let q2 = w.idle_queue(a);
        w.send(b, &q2, "x");
        w.get(a, &q2);
        let after_get = que(&mut w, a, &q2);
        assert_eq!(w.ask(a, &q.sender, &Command::Que, Some(&q.key)), "ERR AUTH");
        w.recipient(a, &q, Command::Off);
        let suspended = que(&mut w, a, &q);
        assert_eq!(told[0], json!({"qiSnd": false, "qiNtf": false, "qiSize": 0}));
        assert_eq!(after_get["qiSub"]["qSubThread"], json!("prohibitSub"));
        if version != 6 && version != 20 {
            continue;
        }
        if let Some(recorded) = recorded_answers("que-ping", version) {
            told.extend([after_get, suspended]);
            assert_eq!(told, recorded);
        }
    }
}

#[test]
fn a_quota_marker_counts_and_is_told_as_one() {
    let mut w = World::with(RouterConfig { queue_quota: 2, ..RouterConfig::default() });
    let [a, b] = w.clients(20);
    let q = w.idle_queue(a);
    for _ in 0..4 {
        w.send(b, &q, "x");
    }
    let full = que(&mut w, a, &q);
    assert_eq!((&full["qiSize"], &full["qiMsg"]["msgType"]), (&json!(3), &json!("message")));
    w.subscribe(a, &q);
    w.ack(a, &q);
    w.ack(a, &q);
    let marker = que(&mut w, a, &q);
    assert_eq!((&marker["qiSize"], &marker["qiMsg"]["msgType"]), (&json!(1), &json!("quota")));
}

#[test]
fn a_router_without_a_resolver_says_so() {
    for version in VERSIONS {
        let mut w = World::new();
        let a = w.raw(version, |_| ());
        let item = w.item(a, "1", &EntityId::EMPTY, b"RSLV alice.simplex", None);
        w.write_items(a, &[item]);
        let expected = "ERR NAME NO_RESOLVER";
        assert_eq!(w.events(a), [expected], "{version}");
    }
    let mut w = World::new();
    w.router(RouterConfig::default());
    let a = w.client(20);
    let relay = w.relay(a, 1).unwrap();
    let name = Command::Rslv(Name::parse("alice.simplex").unwrap());
    assert_eq!(w.forward(a, &relay, &EntityId::EMPTY, &name, None), "in PRES: ERR NAME NO_RESOLVER");
}

#[test]
fn a_session_of_no_service_subscribes_to_no_service() {
    for version in VERSIONS {
        let mut w = World::new();
        let a = w.client(version);
        let q = w.idle_queue(a);
        for command in [Command::Subs(ServiceQueues::UNKNOWN), Command::NSubs(ServiceQueues::UNKNOWN)] {
            assert_eq!(w.recipient(a, &q, command), "ERR SERVICE", "{version}");
        }
    }
}
