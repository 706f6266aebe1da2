//! Notifiers: NKEY, NDEL, NSUB, NMSG and credentials in NEW (RC-12, RC-26, RC-27, SN-17 to SN-20, TR-36).
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
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, SharedSecret, X25519Secret};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue, NotifierKeys};
use sxlab_protocol::smp::envelope::NotificationMeta;
use sxlab_protocol::smp::error::{BlockingInfo, BlockingReason};
use sxlab_protocol::smp::response::{NotifierIds, Response};
use sxlab_protocol::smp::router::{Router, RouterConfig};
use sxlab_protocol::wire::{CorrId, EntityId};

const INTERVAL: u64 = 3 * SECOND / 2;

/// A notifier with its keys.
struct TestNotifier {
    id: EntityId,
    key: AuthSecretKey,
    secret: SharedSecret,
}

fn dh() -> X25519Secret {
    X25519Secret::from_bytes([9; 32])
}

fn keys(key: &AuthSecretKey) -> NotifierKeys {
    NotifierKeys { auth_key: key.public(), dh_key: dh().public() }
}

fn notifier(ids: NotifierIds, key: AuthSecretKey) -> TestNotifier {
    TestNotifier { id: ids.id, key, secret: dh().dh(&ids.dh_key) }
}

/// NKEY.
fn nkey(w: &mut World, who: Who, q: &TestQueue, key: AuthSecretKey) -> TestNotifier {
    let corr = w.post(who, &q.recipient, &Command::NKey(keys(&key)), Some(&q.key));
    w.drive();
    match w.answer(who, &corr).unwrap() {
        (_, Some(Response::Nid(ids))) => notifier(ids, key),
        (text, _) => panic!("{text}"),
    }
}

fn nsub(w: &mut World, who: Who, n: &TestNotifier) -> String {
    w.ask(who, &n.id, &Command::NSub, Some(&n.key))
}

fn send_flag(body: &str) -> Command {
    Command::Send { flags: MsgFlags { notification: true }, body: body.as_bytes().to_vec() }
}

fn send_notifying(w: &mut World, who: Who, q: &TestQueue, body: &str) -> String {
    w.ask(who, &q.sender, &send_flag(body), None)
}

/// What the next notification says, if there is one.
fn notified(w: &mut World, who: Who, n: &TestNotifier) -> Option<NotificationMeta> {
    match w.answer(who, &CorrId::EMPTY)? {
        (_, Some(Response::Nmsg { nonce, meta })) => {
            assert_eq!(meta.len(), 144);
            Some(NotificationMeta::open(&n.secret, &nonce, &meta).unwrap())
        }
        (text, _) => panic!("{text}"),
    }
}

#[test]
fn a_notifier_is_told_replaced_and_removed_as_recorded() {
    for version in VERSIONS {
        let mut w = World::new();
        let [a, n, n2, c] = w.clients(version);
        let q = w.queue(a);
        let nk = |seed| sender_key(version, seed);
        let n1 = nkey(&mut w, a, &q, nk(1));
        assert_eq!(n1.id.as_bytes().len(), 24);
        assert_eq!(nsub(&mut w, n, &n1), sok(version));
        assert_eq!(nsub(&mut w, n, &n1), sok(version));
        w.send(c, &q, "hello");
        w.ack(a, &q);
        w.wait(2 * SECOND);

        assert_eq!(send_notifying(&mut w, c, &q, "n1"), "OK");
        w.wait(INTERVAL - 1);
        assert!(notified(&mut w, n, &n1).is_none());
        w.wait(1);
        let meta = notified(&mut w, n, &n1).unwrap();
        assert_eq!(meta.id, w.last(a, &q));
        assert_eq!(u64::try_from(meta.time).unwrap(), (w.now - INTERVAL) / SECOND);
        assert!(notified(&mut w, n, &n1).is_none());
        w.ack(a, &q);

        assert_eq!(send_notifying(&mut w, c, &q, "n2"), "OK");
        assert_eq!(nsub(&mut w, n2, &n1), sok(version));
        w.wait(INTERVAL);
        assert_eq!(notified(&mut w, n2, &n1).unwrap().id, w.last(a, &q));
        w.wait(15 * SECOND);
        assert_eq!(w.transmissions(n), [(CorrId::EMPTY, n1.id.clone(), "END".to_owned())]);
        w.ack(a, &q);

        let new = nkey(&mut w, a, &q, nk(2));
        assert_ne!(new.id, n1.id);
        w.wait(15 * SECOND);
        let ended = (CorrId::EMPTY, n1.id.clone(), deld(version).to_owned());
        assert_eq!(w.transmissions(n2), [ended]);
        assert_eq!(nsub(&mut w, n2, &n1), "ERR AUTH");
        assert_eq!(w.ask(n2, &new.id, &Command::NSub, Some(&n1.key)), "ERR AUTH");
        assert_eq!(send_notifying(&mut w, c, &q, "n3"), "OK");
        w.ack(a, &q);
        w.wait(60 * SECOND);
        assert_eq!(nsub(&mut w, n2, &new), sok(version));
        w.wait(INTERVAL);
        assert_eq!(notified(&mut w, n2, &new).unwrap().id, w.last(a, &q));
        assert_eq!(w.ask(n2, &q.recipient, &Command::NSub, Some(&new.key)), "ERR AUTH");
        assert_eq!(w.ask(n2, &new.id, &Command::Sub, Some(&new.key)), "ERR AUTH");
        assert_eq!(w.ask(n2, &new.id, &Command::NSub, None), "ERR CMD NO_AUTH");

        assert_eq!(w.recipient(a, &q, Command::NDel), "OK");
        w.wait(15 * SECOND);
        assert_eq!(w.events(n2), [deld(version)]);
        assert_eq!(w.recipient(a, &q, Command::NDel), "OK");
        assert_eq!(nsub(&mut w, n2, &new), "ERR AUTH");
        let last = nkey(&mut w, a, &q, nk(3));
        assert_eq!(nsub(&mut w, n2, &last), sok(version));
        assert_eq!(w.recipient(a, &q, Command::Del), "OK");
        w.wait(15 * SECOND);
        assert_eq!(w.events(n2), [deld(version)]);
        assert_eq!(nsub(&mut w, n2, &last), "ERR AUTH");
        if [6, 10, 20].contains(&version) {
            let recorded = [("A", a), ("N", n), ("C", c)];
            w.assert_as_recorded("ntf-nkey-nsub-nmsg", version, &recorded, &[]);
        }
    }
}

#[test]
fn credentials_in_new_do_what_nkey_does() {
    for version in 17..=20 {
        let mut w = World::new();
        let [a, n, c] = w.clients(version);
        let (key, nk) = (key(KeyType::X25519, 1), key(KeyType::Ed25519, 2));
        let command = Command::New(Box::new(NewQueue {
            notifier: Some(keys(&nk)),
            ..NewQueue::messaging(key.public(), dh().public())
        }));
        let corr = w.post(a, &EntityId::EMPTY, &command, Some(&key));
        w.drive();
        let (_, Some(Response::Ids(ids))) = w.answer(a, &corr).unwrap() else { panic!("no ids") };
        let q = TestQueue { recipient: ids.recipient, sender: ids.sender, key };
        let ntf = notifier(ids.notifier.unwrap(), nk);
        assert_eq!(nsub(&mut w, n, &ntf), "SOK");
        assert_eq!(send_notifying(&mut w, c, &q, "n1"), "OK");
        w.wait(INTERVAL);
        assert_eq!(notified(&mut w, n, &ntf).unwrap().id, w.last(a, &q));
        w.ack(a, &q);
        assert_eq!(w.recipient(a, &q, Command::NDel), "OK");
        w.wait(15 * SECOND);
        assert_eq!(w.events(n), ["DELD"]);
        if version == 20 {
            w.assert_as_recorded("new-ntf-creds", version, &[("A", a), ("N", n), ("C", c)], &[]);
        }
    }
}

#[test]
fn only_a_stored_message_with_the_flag_notifies() {
    let mut w = World::with(RouterConfig { queue_quota: 2, ..RouterConfig::default() });
    let [a, n, c] = w.clients(20);
    let q = w.idle_queue(a);
    let ntf = nkey(&mut w, a, &q, sender_key(20, 1));
    nsub(&mut w, n, &ntf);
    assert_eq!(w.send(c, &q, "silent"), "OK");
    assert_eq!(send_notifying(&mut w, c, &q, "told"), "OK");
    assert_eq!(send_notifying(&mut w, c, &q, "over the quota"), "ERR QUOTA");
    w.wait(10 * SECOND);
    assert_eq!(w.events(n), ["NMSG"]);
}

#[test]
fn notifications_wait_for_their_notifier_oldest_first_and_expire_after_a_day() {
    let hour = 3600 * SECOND;
    let mut w = World::with(RouterConfig { inactive_ttl: u64::MAX, ..RouterConfig::default() });
    let [a, n, c] = w.clients(20);
    let q = w.idle_queue(a);
    let ntf = nkey(&mut w, a, &q, sender_key(20, 1));
    let mut sent = Vec::new();
    for wait in [0, 10, 10, 10] {
        w.wait(wait * hour);
        sent.push(i64::try_from(w.now / SECOND).unwrap());
        send_notifying(&mut w, c, &q, "x");
    }
    nsub(&mut w, n, &ntf);
    w.wait(INTERVAL);
    let times: Vec<_> = std::iter::from_fn(|| notified(&mut w, n, &ntf)).map(|meta| meta.time).collect();
    assert_eq!(times, sent[1..]);
}

#[test]
fn a_replaced_notifier_takes_its_notifications_with_it() {
    let mut w = World::new();
    let [a, n, c] = w.clients(20);
    let q = w.idle_queue(a);
    nkey(&mut w, a, &q, sender_key(20, 1));
    send_notifying(&mut w, c, &q, "x");
    let new = nkey(&mut w, a, &q, sender_key(20, 2));
    nsub(&mut w, n, &new);
    w.wait(10 * SECOND);
    assert_eq!(w.events(n), [""; 0]);
}

#[test]
fn whoever_ends_its_own_notifier_gets_no_event() {
    for version in [6, 10, 20] {
        let mut w = World::new();
        let a = w.client(version);
        let q = w.queue(a);
        for command in [Command::NDel, Command::Del] {
            let ntf = nkey(&mut w, a, &q, sender_key(version, 1));
            nsub(&mut w, a, &ntf);
            assert_eq!(w.recipient(a, &q, command), "OK");
        }
        w.wait(60 * SECOND);
        assert_eq!(w.events(a), [""; 0]);
    }
}

#[test]
fn a_notifier_that_disconnected_is_not_ended_and_what_it_missed_waits() {
    let mut w = World::new();
    let [a, n, n2, c] = w.clients(20);
    let q = w.idle_queue(a);
    let ntf = nkey(&mut w, a, &q, sender_key(20, 1));
    nsub(&mut w, n, &ntf);
    send_notifying(&mut w, c, &q, "x");
    w.disconnect(n);
    w.wait(10 * SECOND);
    assert_eq!(w.events(n), [""; 0]);
    nsub(&mut w, n2, &ntf);
    w.wait(INTERVAL);
    assert_eq!(w.events(n2), ["NMSG"]);
}

/// One client with 100 subscribed notifiers, each with a notification.
fn hundred(w: &mut World, version: u16) -> Who {
    let [a, n, c] = w.clients(version);
    let notifiers: Vec<_> = (0..100)
        .map(|seed| {
            let q = w.idle_queue(a);
            let ntf = nkey(w, a, &q, key(KeyType::Ed25519, seed));
            send_notifying(w, c, &q, "x");
            ntf
        })
        .collect();
    for ntf in &notifiers {
        w.post(n, &ntf.id, &Command::NSub, Some(&ntf.key));
    }
    w.drive();
    w.blocks(n);
    n
}

#[test]
fn notifications_are_sent_in_full_blocks_after_the_remainder() {
    for (version, sizes) in [(6, [31, 69]), (20, [20, 80])] {
        let mut w = World::new();
        let n = hundred(&mut w, version);
        w.wait(INTERVAL);
        let blocks: Vec<_> = w.blocks(n).iter().map(Vec::len).collect();
        assert_eq!(blocks, sizes);
    }
}

#[test]
fn notifications_wait_for_a_session_that_takes_no_blocks_and_none_is_lost() {
    let mut w = World::with(RouterConfig { outgoing_blocks: 1, ..RouterConfig::default() });
    let n = hundred(&mut w, 20);
    w.set_reading(n, false);
    w.wait(10 * INTERVAL);
    w.set_reading(n, true);
    assert_eq!(w.events(n).len(), 69, "what one block at any version takes");
    w.wait(INTERVAL);
    assert_eq!(w.events(n).len(), 31);
}

#[test]
fn the_interval_is_configurable() {
    let mut w = World::with(RouterConfig { notification_interval: SECOND / 5, ..RouterConfig::default() });
    let [a, n] = w.clients(20);
    let q = w.idle_queue(a);
    let ntf = nkey(&mut w, a, &q, sender_key(20, 1));
    nsub(&mut w, n, &ntf);
    send_notifying(&mut w, a, &q, "x");
    w.wait(SECOND / 5);
    assert_eq!(w.events(n), ["NMSG"]);
}

#[test]
fn a_restarted_router_still_has_the_notifier_what_waits_for_it_and_the_blocking() {
    let mut w = World::new();
    let [a, c] = w.clients(20);
    let (q, blocked) = (w.idle_queue(a), w.idle_queue(a));
    let ntf = nkey(&mut w, a, &q, sender_key(20, 1));
    send_notifying(&mut w, c, &q, "x");
    let info = BlockingInfo { reason: BlockingReason::Spam, notice: None };
    w.sites[0].core.block_queue(&blocked.recipient, info).unwrap();
    let credentials = certificates::credentials(1);
    let store = w.sites[0].core.store().clone();
    let rng = ChaCha20Rng::seed_from_u64(2);
    w.sites[0].core = Router::new(RouterConfig::default(), credentials, store, rng);

    let [a, n] = w.clients(20);
    assert_eq!(nsub(&mut w, n, &ntf), "SOK");
    w.wait(INTERVAL);
    let meta = notified(&mut w, n, &ntf).unwrap();
    assert_eq!(w.get(a, &q), "MSG x");
    assert_eq!(meta.id, w.last(a, &q));
    assert_eq!(w.subscribe(a, &blocked), "ERR BLOCKED reason=spam");
    w.wait(22 * 24 * 3600 * SECOND);
    assert_eq!(w.sites[0].core.store().waiting(), 0, "and what expires does");
}
