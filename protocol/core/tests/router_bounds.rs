//! What one client can make a router hold, and for how long: the bounds that `RouterConfig` states.
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
use sxlab_protocol::crypto::keys::{KeyType, X25519Secret};
use sxlab_protocol::smp::command::{Command, MsgFlags, NotifierKeys};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::RouterConfig;
use sxlab_protocol::transport::BLOCK_SIZE;
use sxlab_protocol::wire::{CorrId, EntityId};

/// Blocks that wait for a client, which are taken off.
fn waiting(w: &mut World, who: Who) -> usize {
    let session = w.session(who);
    std::iter::from_fn(|| w.sites[0].core.next_block(session))
        .inspect(|b| assert_eq!(b.len(), BLOCK_SIZE))
        .count()
}

#[test]
fn a_client_that_reads_nothing_is_answered_for_one_block_beyond_the_limit() {
    let mut w = World::with(RouterConfig { outgoing_blocks: 4, ..RouterConfig::default() });
    let raw = w.raw(20, |_| {});
    let b = w.client(20);
    // GET brings 16 KB for a command of 120 bytes: the most that a client gets for what it writes.
    let queues: Vec<_> = (0..130).map(|_| w.idle_queue(b)).collect();
    for queue in &queues {
        assert_eq!(w.send(b, queue, "m"), "OK");
    }
    w.set_reading(raw, false);
    for round in 0..5 {
        let mut items = Vec::new();
        for (n, q) in queues.iter().enumerate() {
            items.push(w.item(raw, &format!("{round} {n}"), &q.recipient, b"GET", Some(&q.key)));
        }
        w.write_items(raw, &items);
    }
    assert_eq!(w.unread(raw), 4);
    assert_eq!(waiting(&mut w, raw), 130);
}

#[test]
fn a_flood_of_commands_is_answered_in_as_many_blocks_as_it_came_in() {
    let mut w = World::new();
    let raw = w.raw(20, |_| {});
    w.set_reading(raw, false);
    let pings: Vec<_> =
        (0..255).map(|n| w.item(raw, &format!("{n}"), &EntityId::EMPTY, b"PING", None)).collect();
    for _ in 0..100 {
        w.write_items(raw, &pings);
    }
    assert_eq!((w.unread(raw), waiting(&mut w, raw)), (36, 64));
}

#[test]
fn ends_for_a_client_that_reads_nothing_make_no_more_blocks_and_are_not_lost() {
    let config = RouterConfig { outgoing_blocks: 2, ..RouterConfig::default() };
    let interval = config.end_interval;
    let mut w = World::with(config);
    let [a, b] = w.clients(20);
    let queues: Vec<_> = (0..20).map(|_| w.queue(a)).collect();
    w.set_reading(a, false);
    for queue in &queues {
        assert_eq!(w.subscribe(b, queue), "SOK");
        w.wait(2 * interval);
    }
    // Two blocks of one END each; the other 18 wait, and come together.
    w.set_reading(a, true);
    w.wait(2 * interval);
    let blocks: Vec<_> = w.blocks(a).iter().map(Vec::len).filter(|len| *len > 0).collect();
    assert_eq!(blocks.iter().sum::<usize>(), 20);
    assert!(blocks.len() <= 4, "{blocks:?}");
}

#[test]
fn of_notifications_that_nobody_fetches_the_latest_are_kept() {
    let config = RouterConfig { notification_quota: 10, queue_quota: 1000, ..RouterConfig::default() };
    let mut w = World::with(config);
    let [a, b] = w.clients(20);
    let queue = w.idle_queue(a);
    let key = key(KeyType::Ed25519, 5);
    let keys = NotifierKeys { auth_key: key.public(), dh_key: X25519Secret::from_bytes([9; 32]).public() };
    let corr = w.post(a, &queue.recipient, &Command::NKey(keys), Some(&queue.key));
    w.drive();
    let Some((_, Some(Response::Nid(ids)))) = w.answer(a, &corr) else { panic!("no notifier") };
    for _ in 0..100 {
        let command = Command::Send { flags: MsgFlags { notification: true }, body: b"m".to_vec() };
        assert_eq!(w.ask(b, &queue.sender, &command, None), "OK");
    }
    assert_eq!(w.ask(b, &ids.id, &Command::NSub, Some(&key)), "SOK");
    w.wait(10 * SECOND);
    let told = std::iter::from_fn(|| w.answer(b, &CorrId::EMPTY));
    assert_eq!(told.filter(|(text, _)| text == "NMSG").count(), 10);
}

#[test]
fn a_proxy_gives_up_an_unused_relay_for_another_one_and_none_that_is_used() {
    let mut w = World::with(RouterConfig { relay_sessions: 2, ..RouterConfig::default() });
    let client = w.client(20);
    let relays: Vec<_> = (0..3).map(|_| w.router(RouterConfig::default())).collect();
    for relay in &relays {
        w.relay(client, *relay).unwrap();
        w.wait(SECOND);
    }
    assert_eq!(w.sites[0].core.sessions(), 1 + 2);
    // The first was given up: it is dialled again, in the place of the second.
    w.relay(client, relays[0]).unwrap();
    assert_eq!(w.sites[0].core.sessions(), 1 + 2);
}

#[test]
fn a_sender_that_was_right_once_is_checked_again_with_every_command() {
    let mut w = World::new();
    let [a, b] = w.clients(20);
    let keys: Vec<_> = (0..70).map(|seed| key(KeyType::X25519, 100 + seed)).collect();
    let queues: Vec<_> = (0..70).map(|_| w.idle_queue(a)).collect();
    for (queue, key) in queues.iter().zip(&keys) {
        assert_eq!(w.recipient(a, queue, Command::Key(key.public())), "OK");
    }
    // More keys than a session remembers, each used before and after it is forgotten.
    for round in 0..2 {
        for (n, queue) in queues.iter().enumerate() {
            assert_eq!(w.send_signed(b, queue, "right", &keys[n]), "OK", "{round} {n}");
            assert_eq!(w.send_signed(b, queue, "wrong", &keys[(n + 1) % 70]), "ERR AUTH", "{round} {n}");
        }
    }
    // Securing again with a key that is known is answered by the queue's own key all the same.
    let other = Command::SKey(keys[1].public());
    assert_eq!(w.ask(b, &queues[0].sender, &other, Some(&keys[1])), "ERR AUTH");
}

#[test]
fn of_clients_that_read_nothing_the_one_that_most_waits_for_is_closed() {
    let mut w = World::with(RouterConfig { queued_blocks: 20, ..RouterConfig::default() });
    let [worst, other, reader] = [w.raw(20, |_| {}), w.raw(20, |_| {}), w.raw(20, |_| {})];
    let owner = w.client(20);
    let queue = w.idle_queue(owner);
    w.say(worst, &queue.recipient, b"SUB", Some(&queue.key), None);
    w.set_reading(worst, false);
    w.set_reading(other, false);
    let ping = |w: &mut World, who| {
        let item = w.item(who, "1", &EntityId::EMPTY, b"PING", None);
        w.write_items(who, &[item]);
    };
    for _ in 0..12 {
        ping(&mut w, worst);
    }
    for _ in 0..8 {
        ping(&mut w, other);
    }
    let held = |w: &World| w.sites[0].core.holdings().blocks;
    assert_eq!((held(&w), w.is_closed(worst)), (20, false));
    ping(&mut w, other);
    assert_eq!((held(&w), w.sites[0].core.statistics().shed), (9, 1));
    assert!(w.is_closed(worst) && !w.is_closed(other));
    // The others are served as before, and its queues are free.
    ping(&mut w, reader);
    assert_eq!(w.events(reader), ["PONG"]);
    assert_eq!(w.sites[0].core.holdings().subscriptions, 0);
    assert_eq!(waiting(&mut w, other), 9);
    assert_eq!(held(&w), 0);
}
