//! Names: RSLV, direct and forwarded (NM-1, NM-4, NM-5, NM-7, NM-8, NM-10, NM-12).
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
use sxlab_protocol::smp::client::ClientError;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::NameError;
use sxlab_protocol::smp::name::{Name, NameRecord};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::RouterConfig;
use sxlab_protocol::wire::{CorrId, EntityId};

fn resolving() -> RouterConfig {
    RouterConfig { resolver: true, ..RouterConfig::default() }
}

fn record() -> NameRecord {
    NameRecord {
        name: "alice.simplex".into(),
        btc: Some("bc1".into()),
        owner: "0x0".into(),
        ..NameRecord::default()
    }
}

const RECORD: &str = r#"{"name":"alice.simplex","nickname":"","website":"","location":"","simplexContact":[],"simplexChannel":[],"eth":null,"btc":"bc1","xmr":null,"dot":null,"owner":"0x0","resolver":""}"#;

fn rslv(name: &str) -> Command {
    Command::Rslv(Name::parse(name).unwrap())
}

fn ask(w: &mut World, who: Who, name: &str) -> CorrId {
    let corr = w.post(who, &EntityId::EMPTY, &rslv(name), None);
    w.drive();
    corr
}

/// Gives the oldest lookup its outcome; the name that it was for.
fn resolve(w: &mut World, outcome: Result<NameRecord, NameError>) -> String {
    let (site, lookup, name) = w.lookups.remove(0);
    w.sites[site].core.resolved(lookup, outcome);
    w.drive();
    name.to_string()
}

#[test]
fn a_record_has_twelve_fields_in_their_order() {
    assert_eq!(record().to_json(), RECORD);
    assert_eq!(NameRecord::parse(RECORD.as_bytes()), Ok(record()));
    // Unknown fields, absent coins, any order.
    let loose = r#" {"resolver":"", "owner":"0x0", "new":{"a":[1]}, "btc":"bc1", "name":"alice.simplex", "nickname":"",
        "simplexChannel":[], "simplexContact":[], "website":"", "location":""} "#;
    assert_eq!(NameRecord::parse(loose.as_bytes()), Ok(record()));
    for wrong in
        ["", "{}", "[]", "null", r#"{"name":"alice"}"#, &RECORD.replace("[]", "null"), &format!("{RECORD}x")]
    {
        assert!(NameRecord::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn a_name_is_answered_when_it_was_looked_up() {
    let mut w = World::with(resolving());
    let a = w.client(20);
    let corr = ask(&mut w, a, "Alice.Simplex");
    assert!(w.events(a).is_empty());
    assert_eq!(resolve(&mut w, Ok(record())), "alice.simplex", "in lower case");
    let answer = w.transmissions(a);
    assert_eq!(answer, [(corr, EntityId::EMPTY, "RNAME".to_owned())]);
    let corr = ask(&mut w, a, "alice.simplex");
    resolve(&mut w, Ok(record()));
    assert_eq!(w.answer(a, &corr).unwrap().1, Some(Response::Rname(RECORD.to_owned())));
    for (error, expected) in [
        (NameError::NotFound, "ERR NAME NOT_FOUND"),
        (NameError::Resolver("HTTP 502".into()), "ERR NAME RESOLVER HTTP 502"),
        (NameError::Resolver("timeout".into()), "ERR NAME RESOLVER timeout"),
    ] {
        let corr = ask(&mut w, a, "alice.simplex");
        resolve(&mut w, Err(error));
        assert_eq!(w.answer(a, &corr).unwrap().0, expected);
    }
}

#[test]
fn a_router_reads_rslv_at_every_version_and_clients_send_it_from_20_on() {
    for version in VERSIONS {
        let mut w = World::with(resolving());
        let a = w.raw(version, |_| ());
        let item = w.item(a, "1", &EntityId::EMPTY, b"RSLV alice.simplex", None);
        w.write_items(a, &[item]);
        resolve(&mut w, Ok(record()));
        assert_eq!(w.events(a), ["RNAME"], "{version}");
        let a = w.client(version);
        let sent = w.core(a).request(EntityId::EMPTY, &rslv("a.b"), None);
        assert_eq!(sent.err(), (version < 20).then_some(ClientError::Version(version)));
    }
}

#[test]
fn a_forwarded_name_is_answered_by_the_relay_when_it_was_looked_up() {
    let mut w = World::new();
    w.router(resolving());
    let a = w.client(20);
    let relay = w.relay(a, 1).unwrap();
    for (outcome, expected) in
        [(Ok(record()), "in PRES: RNAME"), (Err(NameError::NotFound), "in PRES: ERR NAME NOT_FOUND")]
    {
        let corr = w.core(a).forward(&relay, EntityId::EMPTY, &rslv("alice.simplex"), None).unwrap();
        w.drive();
        assert!(w.answer(a, &corr).is_none());
        assert_eq!(resolve(&mut w, outcome), "alice.simplex");
        assert_eq!(w.answer(a, &corr).unwrap().0, expected);
    }
}

#[test]
fn nothing_else_waits_for_a_lookup_and_outcomes_may_come_in_any_order() {
    let mut w = World::with(resolving());
    let a = w.client(20);
    let (one, two) = (ask(&mut w, a, "one.test"), ask(&mut w, a, "two.test"));
    assert_eq!(w.ask(a, &EntityId::EMPTY, &Command::Ping, None), "PONG");
    w.lookups.swap(0, 1);
    assert_eq!(resolve(&mut w, Err(NameError::NotFound)), "two.test");
    assert!(w.answer(a, &one).is_none());
    assert_eq!(w.answer(a, &two).unwrap().0, "ERR NAME NOT_FOUND");
    let (site, lookup, _) = w.lookups.remove(0);
    w.disconnect(a);
    w.sites[site].core.resolved(lookup, Ok(record()));
    w.sites[site].core.resolved(lookup, Ok(record()));
    w.drive();
}

#[test]
fn lookups_above_the_limit_wait_and_so_does_who_asks_for_them() {
    let mut w = World::with(RouterConfig { lookups: 2, ..resolving() });
    let [a, b] = w.clients(20);
    let corrs: Vec<_> =
        (0..4).map(|at| w.post(a, &EntityId::EMPTY, &rslv(&format!("{at}.test")), None)).collect();
    w.drive();
    assert_eq!(w.lookups.len(), 2);
    assert!(!w.wants_block(a));
    assert_eq!(w.ask(b, &EntityId::EMPTY, &Command::Ping, None), "PONG");
    for (at, corr) in corrs.iter().enumerate() {
        assert_eq!(resolve(&mut w, Ok(record())), format!("{at}.test"));
        assert_eq!(w.answer(a, corr).unwrap().0, "RNAME");
        assert_eq!(w.wants_block(a), at >= 1);
    }
    // What waits for a session that ended is not asked for.
    for at in 0..3 {
        w.post(a, &EntityId::EMPTY, &rslv(&format!("{at}.test")), None);
    }
    w.drive();
    w.disconnect(a);
    resolve(&mut w, Ok(record()));
    resolve(&mut w, Ok(record()));
    assert!(w.lookups.is_empty());
}

#[test]
fn a_record_that_fits_into_no_answer_is_an_error() {
    let mut w = World::with(resolving());
    w.router(resolving());
    let a = w.client(20);
    let large = NameRecord { nickname: "x".repeat(16_200), ..record() };
    let corr = ask(&mut w, a, "alice.simplex");
    resolve(&mut w, Ok(large.clone()));
    assert_eq!(w.answer(a, &corr).unwrap().0, "ERR NAME RESOLVER response too large");
    let relay = w.relay(a, 1).unwrap();
    let corr = w.core(a).forward(&relay, EntityId::EMPTY, &rslv("alice.simplex"), None).unwrap();
    w.drive();
    resolve(&mut w, Ok(large));
    assert_eq!(w.answer(a, &corr).unwrap().0, "in PRES: ERR NAME RESOLVER response too large");
    // What a resolver may give at most fits both ways.
    let most = NameRecord { nickname: "x".repeat(16_000 - record().to_json().len()), ..record() };
    let corr = ask(&mut w, a, "alice.simplex");
    resolve(&mut w, Ok(most.clone()));
    assert_eq!(w.answer(a, &corr).unwrap().0, "RNAME");
    let corr = w.core(a).forward(&relay, EntityId::EMPTY, &rslv("alice.simplex"), None).unwrap();
    w.drive();
    resolve(&mut w, Ok(most));
    assert_eq!(w.answer(a, &corr).unwrap().0, "in PRES: RNAME");
}
