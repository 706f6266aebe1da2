//! Services: certificates, roles, double authorization, and queues that belong to them (SV-1 to SV-22).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(missing_docs, unreachable_pub, reason = "a test crate")]

mod common;

use common::certificates::service;
use common::*;
use sxlab_protocol::crypto::hash::md5;
use sxlab_protocol::crypto::keys::{AuthSecretKey, Ed25519Secret, KeyType, X25519Secret};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue, NotifierKeys, ServiceQueues};
use sxlab_protocol::smp::error::{HandshakeFailure, TransportError};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::{Router, RouterConfig, RouterEvent};
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{
    BLOCK_SIZE, ClientHello, ServiceCredentials, ServiceReply, ServiceRole, Unsigned, authorize,
    text_for_service,
};
use sxlab_protocol::wire::{CorrId, EntityId, pad};

/// The versions that have services.
const WITH_SERVICES: std::ops::RangeInclusive<u16> = 16..=20;

/// How long END, ENDS and DELD are collected.
const END_INTERVAL: u64 = 15 * SECOND;

fn messaging(seed: u8) -> ServiceCredentials {
    service(seed, ServiceRole::Messaging, 1)
}

fn notifications(seed: u8) -> ServiceCredentials {
    service(seed, ServiceRole::Notifications, 1)
}

fn refused(failure: HandshakeFailure) -> Option<ServiceReply> {
    Some(ServiceReply::Refused(TransportError::Handshake(failure)))
}

/// The count and hash of these queues or notifiers, computed anew.
fn queues(ids: &[&EntityId], version: u16) -> ServiceQueues {
    let mut hash = [0; 16];
    for id in ids.iter().filter(|_| version >= 19) {
        hash.iter_mut().zip(md5(id.as_bytes())).for_each(|(byte, other)| *byte ^= other);
    }
    ServiceQueues { count: ids.len() as i64, hash }
}

fn id_of(w: &mut World, who: Who) -> EntityId {
    w.core(who).service().cloned().unwrap()
}

/// SUBS or NSUBS; the numbers of SOKS, or the answer in text.
fn subscribe_all(w: &mut World, who: Who, command: &Command) -> Result<ServiceQueues, String> {
    let id = id_of(w, who);
    let corr = w.post(who, &id, command, None);
    w.drive();
    match w.answer(who, &corr).unwrap() {
        (_, Some(Response::Soks(queues))) => Ok(queues),
        (text, _) => Err(text),
    }
}

fn subs(w: &mut World, who: Who) -> ServiceQueues {
    subscribe_all(w, who, &Command::Subs(ServiceQueues::UNKNOWN)).unwrap()
}

fn nsubs(w: &mut World, who: Who) -> ServiceQueues {
    subscribe_all(w, who, &Command::NSubs(ServiceQueues::UNKNOWN)).unwrap()
}

/// The service in the answer to SUB.
fn owner(w: &mut World, who: Who, q: &TestQueue) -> Option<EntityId> {
    let corr = w.post(who, &q.recipient, &Command::Sub, Some(&q.key));
    w.drive();
    match w.answer(who, &corr).unwrap() {
        (_, Some(Response::Sok { service })) => service,
        (text, _) => panic!("{text}"),
    }
}

/// What came as events, each with its entity, once events were collected.
fn collected(w: &mut World, who: Who) -> Vec<(EntityId, String)> {
    w.wait(END_INTERVAL);
    w.transmissions(who).into_iter().map(|(_, entity, text)| (entity, text)).collect()
}

#[test]
fn a_certificate_has_the_same_id_for_ever_and_one_role() {
    for version in WITH_SERVICES {
        let mut w = World::new();
        let (one, other) = (messaging(1), messaging(2));
        let [a, b, c] = [&one, &one, &other].map(|credentials| w.service(version, credentials));
        let [a, b, c] = [a, b, c].map(|who| id_of(&mut w, who));
        assert_eq!(a.as_bytes().len(), 24);
        assert_eq!(a, b);
        assert_ne!(a, c);
        for role in [ServiceRole::Notifications, ServiceRole::Proxy] {
            let changed = ServiceCredentials { role, ..one.clone() };
            let who = w.raw_service(version, &changed, one.chain.ders.clone());
            assert_eq!(w.reply(who), refused(HandshakeFailure::BadService));
            assert!(w.is_closed(who));
        }
        // The record survives a restart.
        let store = w.sites[0].core.store().clone();
        let mut w = World::new();
        let rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(9);
        let credentials = certificates::credentials(1);
        w.sites[0].core = Router::new(RouterConfig::default(), credentials, store, rng);
        let again = w.service(version, &one);
        assert_eq!(id_of(&mut w, again), a);
    }
}

#[test]
fn a_chain_of_one_to_four_that_was_presented_in_tls_is_a_service_s() {
    for version in WITH_SERVICES {
        let mut w = World::new();
        for length in 1..=6 {
            let credentials = service(length, ServiceRole::Messaging, length);
            let who = w.raw_service(version, &credentials, credentials.chain.ders.clone());
            match w.reply(who) {
                Some(ServiceReply::Accepted(_)) => assert!(length <= 4 && !w.is_closed(who)),
                reply => {
                    assert_eq!(reply, refused(HandshakeFailure::BadAuth), "a chain of {length}");
                    assert!(length > 4 && w.is_closed(who));
                }
            }
        }
        let (good, other) = (messaging(10), messaging(11));
        let foreign = ServiceCredentials { leaf: other.leaf.clone(), ..good.clone() };
        let longer = service(12, ServiceRole::Messaging, 2).chain.ders;
        for (credentials, presented) in [
            (&good, Vec::new()),
            (&good, other.chain.ders.clone()),
            (&good, longer),
            (&foreign, good.chain.ders.clone()),
        ] {
            let who = w.raw_service(version, credentials, presented);
            assert_eq!(w.reply(who), refused(HandshakeFailure::BadAuth));
            assert!(w.is_closed(who));
        }
        assert_eq!(w.sites[0].core.store().services().count(), 4, "the refused leave no record");
    }
}

type Damage = fn(&mut Vec<u8>);

#[test]
fn a_service_hello_that_does_not_parse_is_refused_without_a_word() {
    let changes: [(&str, Damage); 5] = [
        ("another role letter", |hello| hello[82] = b'X'),
        ("no certificates", |hello| hello[83] = 0),
        ("a signed key one byte short", |hello| {
            hello.pop();
        }),
        ("a signed key of 120 bytes", |hello| {
            let at = hello.len() - 122;
            hello[at] = 0x31;
        }),
        ("nothing after the role", |hello| hello.truncate(83)),
    ];
    for version in WITH_SERVICES {
        for (what, change) in changes {
            let mut w = World::new();
            let credentials = messaging(1);
            let (session, handshake) = w.accept_with(0, version, credentials.chain.ders.clone());
            let rng = &mut <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
            let (service, _) = credentials.hello(rng).unwrap();
            let key = Some(X25519Secret::generate(rng).public());
            let service = Some(Box::new(service));
            let hello = ClientHello { version, identity: handshake.identity, key, proxy: false, service };
            let mut content = hello.encode().unwrap();
            assert_eq!(ClientHello::decode(&content), Ok(hello));
            change(&mut content);
            let core = &mut w.sites[0].core;
            assert!(core.next_block(session).is_some());
            while core.poll().is_some() {}
            core.block(session, pad(&content, BLOCK_SIZE).unwrap(), w.now);
            assert_eq!(core.next_block(session), None, "{what}: without a word");
            assert_eq!(core.poll(), Some(RouterEvent::Close(session)), "{what}");
        }
    }
}

#[test]
fn a_client_presents_itself_as_a_service_from_the_version_of_its_role_on() {
    for version in VERSIONS {
        for (role, from) in
            [(ServiceRole::Messaging, 19), (ServiceRole::Notifications, 16), (ServiceRole::Proxy, 16)]
        {
            let mut w = World::new();
            let credentials = service(1, role, 2);
            let usual = ServiceCredentials::new(role, credentials.chain.clone(), credentials.leaf.clone());
            let who = w.service(version, &usual);
            assert_eq!(w.core(who).service().is_some(), version >= from, "{role:?} at {version}");
            assert_eq!(w.ask(who, &EntityId::EMPTY, &Command::Ping, None), "PONG");
        }
    }
}

fn new_command(key: &AuthSecretKey, subscribe: bool, version: u16) -> Vec<u8> {
    let dh_key = X25519Secret::from_bytes([9; 32]).public();
    let new = NewQueue { subscribe, ..NewQueue::messaging(key.public(), dh_key) };
    let mut out = Vec::new();
    Command::New(Box::new(new)).encode(&Layout::of(version), &mut out).unwrap();
    out
}

#[test]
fn a_role_limits_the_commands_of_who_could_give_them() {
    for version in WITH_SERVICES {
        let mut w = World::new();
        let plain = w.client(version);
        let q = w.idle_queue(plain);
        let stranger = EntityId::from([7; 24]);
        let key = key(KeyType::Ed25519, 1);
        let prohibited = ["ERR CMD PROHIBITED"];
        for role in [ServiceRole::Messaging, ServiceRole::Notifications, ServiceRole::Proxy] {
            let credentials = service(1 + role.letter(), role, 1);
            let who = w.raw_service(version, &credentials, credentials.chain.ders.clone());
            let Some(ServiceReply::Accepted(id)) = w.reply(who) else { panic!("refused") };
            let signer = w.signer(who);
            let none = EntityId::EMPTY;
            assert_eq!(w.say(who, &none, b"PING", None, None), ["PONG"]);
            let mut garbage = b"RFWD ".to_vec();
            garbage.extend([b'x'; 100]);
            let rfwd = w.say(who, &none, &garbage, None, None);
            if role == ServiceRole::Proxy {
                assert_eq!(rfwd, ["ERR CRYPTO"]);
            } else {
                assert_eq!(rfwd, prohibited);
            }
            let rslv = w.say(who, &none, b"RSLV a.b", None, None);
            let nsub = w.say(who, &stranger, b"NSUB", Some(&key), Some(&signer));
            assert_eq!(nsub, ["ERR AUTH"], "an absent notifier, whoever asks");
            let parameters =
                if version >= 19 { [&b" "[..], &[0; 8], &[16], &[0; 16]].concat() } else { vec![] };
            let own = signer.key.clone().into();
            let mut all = |command: &[u8]| {
                w.say(who, &id, &[command, &parameters].concat(), Some(&own), None).into_iter().next()
            };
            let (subs, nsubs) = (all(b"SUBS"), all(b"NSUBS"));
            let forbidden = Some(prohibited[0].to_owned());
            let soks = Some("SOKS".to_owned());
            match role {
                ServiceRole::Messaging => {
                    assert_eq!(rslv, ["ERR NAME NO_RESOLVER"]);
                    assert_eq!((subs, nsubs), (soks, forbidden));
                    continue;
                }
                ServiceRole::Notifications => assert_eq!((subs, nsubs), (forbidden, soks)),
                ServiceRole::Proxy => assert_eq!((subs, nsubs), (forbidden.clone(), forbidden)),
            }
            assert_eq!(rslv, prohibited);
            let new = new_command(&key, true, version);
            for signer in [None, Some(&signer)] {
                assert_eq!(w.say(who, &none, &new, Some(&key), signer), prohibited);
                assert_eq!(w.say(who, &q.recipient, b"SUB", Some(&q.key), signer), prohibited);
                assert_eq!(w.say(who, &q.recipient, b"SUB", Some(&key), signer), ["ERR AUTH"], "a wrong key");
                assert_eq!(w.say(who, &stranger, b"SUB", Some(&key), signer), ["ERR AUTH"]);
            }
            assert_eq!(w.say(who, &q.sender, b"SEND F x", None, None), prohibited);
            assert_eq!(w.say(who, &stranger, b"SEND F x", None, None), ["ERR AUTH"]);
            assert_eq!(w.say(who, &stranger, b"LGET", None, None), ["ERR AUTH"]);
        }
    }
}

#[test]
fn a_service_signs_new_and_sub_and_nothing_else() {
    for version in WITH_SERVICES {
        for key_type in [KeyType::Ed25519, KeyType::Ed448, KeyType::X25519] {
            let mut w = World::new();
            let credentials = messaging(1);
            let who = w.raw_service(version, &credentials, credentials.chain.ders.clone());
            let right = w.signer(who);
            let mut wrong = right.clone();
            wrong.key = Ed25519Secret::from_seed([3; 32]);
            let (key, none) = (key(key_type, 5), EntityId::EMPTY);
            let new = new_command(&key, true, version);
            assert_eq!(w.say(who, &none, &new, Some(&key), None), ["ERR SERVICE"]);
            assert_eq!(w.say(who, &none, &new, Some(&key), Some(&wrong)), ["ERR SERVICE"]);
            // The queue's key authorizes another certificate's hash.
            let mut elsewhere = right.clone();
            elsewhere.fingerprint = [1; 32];
            assert_eq!(w.say(who, &none, &new, Some(&key), Some(&elsewhere)), ["ERR AUTH"]);
            let only = new_command(&key, false, version);
            assert_eq!(w.say(who, &none, &only, Some(&key), Some(&right)), ["ERR CMD PROHIBITED"]);
            assert_eq!(w.say(who, &none, &new, Some(&key), Some(&right)), ["IDS"]);
            let q = w.sites[0]
                .core
                .store()
                .next_of_service(&w.sites[0].core.store().services().next().unwrap().id.clone(), &none);
            let q = q.unwrap().clone();
            for command in [&b"QUE"[..], b"GET", b"OFF", b"ACK \0", b"LDEL", b"NDEL"] {
                assert_eq!(w.say(who, &q, command, Some(&key), Some(&right)), ["ERR SERVICE"], "{command:?}");
            }
            assert_eq!(w.say(who, &q, b"SUB", Some(&key), None), ["ERR SERVICE"]);
            assert_eq!(w.say(who, &q, b"SUB", Some(&key), Some(&right)), ["SOK"]);
            assert_eq!(
                w.say(who, &q, b"GET", Some(&key), None),
                ["ERR CMD PROHIBITED"],
                "it is subscribed to"
            );
            assert_eq!(w.say(who, &q, b"QUE", Some(&key), None), ["INFO"]);
            // In a session of no service there is no place for such a signature.
            let plain = w.raw(version, |_| ());
            assert_eq!(w.say(plain, &q, b"SUB", Some(&key), Some(&right)), ["ERR SERVICE"]);
            assert_eq!(w.say(plain, &none, &new, Some(&key), Some(&right)), ["ERR SERVICE"]);
        }
    }
}

#[test]
fn the_certificate_s_hash_goes_before_what_the_queue_s_key_authorizes() {
    let mut w = World::new();
    let credentials = messaging(1);
    let who = w.raw_service(20, &credentials, credentials.chain.ders.clone());
    let signer = w.signer(who);
    let key = Ed25519Secret::from_seed([4; 32]);
    let secret = AuthSecretKey::from(key.clone());
    let command = new_command(&secret, true, 20);
    let corr = CorrId::new(b"1").unwrap();
    let session = w.agreed(who).session.clone();
    let text = [&[32][..], &session.id, &[1, b'1', 0], &command].concat();
    let tail = [&[1, b'1', 0], &command[..]].concat();
    let made = |authorized: &[u8]| {
        let service = signer.key.sign(&text);
        [&[64][..], &key.sign(authorized), b"1\x40", &service, &tail].concat()
    };
    let without = made(&text);
    w.write_items(who, &[without]);
    assert_eq!(w.events(who), ["ERR AUTH"]);
    assert_eq!(signer.fingerprint, credentials.chain.identity().unwrap());
    let with = made(&text_for_service(&signer.fingerprint, &text));
    let unsigned = Unsigned { corr, entity: EntityId::EMPTY, command };
    assert_ne!(authorize(&session, &unsigned, Some(&secret), None).unwrap(), with);
    w.write_items(who, &[with]);
    assert_eq!(w.events(who), ["IDS"]);
}

#[test]
fn a_service_s_queues_are_counted_and_say_whose_they_are() {
    for version in WITH_SERVICES {
        let mut w = World::new();
        let s = w.service(version, &messaging(1));
        let id = id_of(&mut w, s);
        assert_eq!(subs(&mut w, s), queues(&[], version));
        assert_eq!(w.events(s), ["ALLS"]);
        let made: Vec<_> = (0..3).map(|_| w.queue(s)).collect();
        let ids: Vec<_> = made.iter().map(|q| &q.recipient).collect();
        assert_eq!(subs(&mut w, s), queues(&ids, version));
        assert_eq!(owner(&mut w, s, &made[0]), Some(id.clone()));
        assert_eq!(subs(&mut w, s), queues(&ids, version), "one that it has already");
        assert_eq!(w.recipient(s, &made[0], Command::Del), "OK");
        assert_eq!(subs(&mut w, s), queues(&ids[1..], version));
        assert!(w.events(s).is_empty(), "no second ALLS");
    }
}

#[test]
fn subs_is_for_the_service_itself_and_drift_does_not_matter() {
    for version in WITH_SERVICES {
        let mut w = World::new();
        let credentials = messaging(1);
        let who = w.raw_service(version, &credentials, credentials.chain.ders.clone());
        let Some(ServiceReply::Accepted(id)) = w.reply(who) else { panic!("refused") };
        let signer = w.signer(who);
        let own = AuthSecretKey::from(signer.key.clone());
        let other = key(KeyType::Ed25519, 1);
        let mut command = b"SUBS".to_vec();
        if version >= 19 {
            // More queues than there are, and a hash of none of them.
            command.extend([&b" "[..], &77i64.to_be_bytes(), &[16], &[5; 16]].concat());
        }
        let elsewhere = EntityId::from([1; 24]);
        assert_eq!(w.say(who, &EntityId::EMPTY, &command, Some(&own), None), ["ERR CMD NO_AUTH"]);
        assert_eq!(w.say(who, &id, &command, None, None), ["ERR CMD NO_AUTH"]);
        assert_eq!(w.say(who, &elsewhere, &command, Some(&own), None), ["ERR SERVICE"]);
        assert_eq!(w.say(who, &id, &command, Some(&other), None), ["ERR SERVICE"]);
        assert_eq!(w.say(who, &id, &command, Some(&own), Some(&signer)), ["ERR SERVICE"]);
        let wrong_form = if version >= 19 { b"SUBS".to_vec() } else { [&b"SUBS "[..], &[0; 8]].concat() };
        assert_eq!(w.say(who, &id, &wrong_form, Some(&own), None), ["ERR CMD SYNTAX"]);
        assert_eq!(w.say(who, &id, &command, Some(&own), None), ["SOKS", "ALLS"]);
        let plain = w.raw(version, |_| ());
        assert_eq!(w.say(plain, &id, &command, Some(&own), None), ["ERR SERVICE"]);
    }
}

#[test]
fn subs_sets_free_a_message_of_each_queue_and_alls_ends_them() {
    for version in WITH_SERVICES {
        let mut w = World::new();
        let credentials = messaging(1);
        let first = w.service(version, &credentials);
        let made: Vec<_> = (0..4).map(|_| w.queue(first)).collect();
        w.disconnect(first);
        let sender = w.client(version);
        for (q, body) in [(0, "a"), (0, "b"), (2, "c")] {
            assert_eq!(w.send(sender, &made[q], body), "OK");
        }
        let s = w.service(version, &credentials);
        assert!(w.events(s).is_empty(), "nothing before it subscribes");
        let id = id_of(&mut w, s);
        w.post(s, &id, &Command::Subs(ServiceQueues::UNKNOWN), None);
        w.drive();
        let blocks = w.blocks(s);
        assert!(blocks.iter().all(|block| block.len() == 1), "{blocks:?}");
        let mut came = blocks.concat();
        assert_eq!((came.remove(0).as_str(), came.pop().as_deref()), ("SOKS", Some("ALLS")));
        came.sort();
        assert_eq!(came, ["MSG a", "MSG c"]);
        // It acknowledges with the queue's key alone, and gets the next.
        assert_eq!(w.ack(s, &made[0]), "MSG b");
        assert_eq!(w.ack(s, &made[0]), "OK");
        assert_eq!(subs(&mut w, s).count, 4);
        assert!(w.events(s).is_empty(), "nothing again");
        assert_eq!(w.send(sender, &made[3], "d"), "OK");
        assert_eq!(w.events(s), ["MSG d"]);
    }
}

#[test]
fn another_session_that_subscribes_ends_the_first() {
    for version in WITH_SERVICES {
        let mut w = World::new();
        let credentials = messaging(1);
        let old = w.service(version, &credentials);
        let (q, r) = (w.queue(old), w.queue(old));
        let sender = w.client(version);
        w.send(sender, &q, "kept");
        assert_eq!(w.events(old), ["MSG kept"]);
        let ids = [&q.recipient, &r.recipient];
        let id = id_of(&mut w, old);

        let new = w.service(version, &credentials);
        assert_eq!(subs(&mut w, new), queues(&ids, version));
        assert_eq!(w.events(new), ["MSG kept", "ALLS"], "what was not acknowledged comes again");
        assert_eq!(w.ack(old, &q), "ERR NO_MSG");
        w.send(sender, &r, "later");
        assert_eq!(w.events(new), ["MSG later"]);
        w.wait(END_INTERVAL);
        let (corr, entity) = (CorrId::EMPTY, id.clone());
        assert_eq!(w.transmissions(old), [(corr, entity, "ENDS".to_owned())]);

        // A single SUB takes over too, and ENDS tells of what was subscribed to there.
        assert_eq!(owner(&mut w, old, &q), Some(id.clone()));
        w.wait(END_INTERVAL);
        match w.answer(new, &CorrId::EMPTY).unwrap() {
            (_, Some(Response::Ends(lost))) => assert_eq!(lost, queues(&ids, version)),
            (text, _) => panic!("{text}"),
        }
        assert_eq!(subs(&mut w, new), queues(&ids, version));
        w.events(new);
        w.wait(END_INTERVAL);
        let ends: Vec<_> = std::iter::from_fn(|| w.answer(old, &CorrId::EMPTY)).collect();
        match ends.last().unwrap() {
            (_, Some(Response::Ends(lost))) => assert_eq!(*lost, queues(&ids[..1], version)),
            (text, _) => panic!("{text}"),
        }
    }
}

#[test]
fn a_plain_client_takes_a_queue_out_of_a_service_and_the_service_takes_it_back() {
    for version in WITH_SERVICES {
        let mut w = World::new();
        let s = w.service(version, &messaging(1));
        let id = id_of(&mut w, s);
        let (q, r) = (w.queue(s), w.queue(s));
        let plain = w.client(version);
        assert_eq!(owner(&mut w, plain, &q), None);
        assert_eq!(subs(&mut w, s), queues(&[&r.recipient], version));
        w.events(s);
        assert_eq!(collected(&mut w, s), [(q.recipient.clone(), "END".to_owned())]);
        w.send(plain, &q, "plain");
        assert_eq!(w.events(plain), ["MSG plain"]);

        let corr = w.post(s, &q.recipient, &Command::Sub, Some(&q.key));
        w.drive();
        assert_eq!(w.answer(s, &corr).unwrap().1, Some(Response::Sok { service: Some(id) }));
        assert_eq!(w.events(s), ["MSG plain"]);
        assert_eq!(subs(&mut w, s), queues(&[&q.recipient, &r.recipient], version));
        assert_eq!(collected(&mut w, plain), [(q.recipient.clone(), "END".to_owned())]);

        // Another service takes it from this one.
        let other = w.service(version, &messaging(2));
        assert!(owner(&mut w, other, &q).is_some());
        assert_eq!(collected(&mut w, s), [(q.recipient.clone(), "END".to_owned())]);
        assert_eq!(subs(&mut w, s), queues(&[&r.recipient], version));
        assert_eq!(subs(&mut w, other), queues(&[&q.recipient], version));
    }
}

#[test]
fn a_deleted_queue_is_told_to_the_service_and_not_counted() {
    for version in WITH_SERVICES {
        let mut w = World::new();
        let s = w.service(version, &messaging(1));
        let (q, r) = (w.queue(s), w.queue(s));
        let plain = w.client(version);
        assert_eq!(w.recipient(plain, &q, Command::Del), "OK");
        assert_eq!(collected(&mut w, s), [(q.recipient.clone(), "DELD".to_owned())]);
        assert_eq!(w.recipient(s, &r, Command::Del), "OK");
        assert!(collected(&mut w, s).is_empty(), "nothing to who did it");
        assert_eq!(subs(&mut w, s), queues(&[], version));
    }
}

/// A queue's notifier: its id and key.
fn notifier(w: &mut World, who: Who, q: &TestQueue, seed: u64) -> (EntityId, AuthSecretKey) {
    let key = key(KeyType::Ed25519, seed);
    let dh_key = X25519Secret::from_bytes([9; 32]).public();
    let keys = NotifierKeys { auth_key: key.public(), dh_key };
    let corr = w.post(who, &q.recipient, &Command::NKey(keys), Some(&q.key));
    w.drive();
    match w.answer(who, &corr).unwrap() {
        (_, Some(Response::Nid(ids))) => (ids.id, key),
        (text, _) => panic!("{text}"),
    }
}

#[test]
fn notifiers_belong_to_a_service_as_queues_do() {
    for version in WITH_SERVICES {
        let mut w = World::new();
        let recipient = w.client(version);
        let made: Vec<_> = (0..3).map(|_| w.idle_queue(recipient)).collect();
        let of: Vec<_> = (0..3).map(|at| notifier(&mut w, recipient, &made[at], at as u64)).collect();
        let ids: Vec<_> = of.iter().map(|(id, _)| id).collect();
        let notify = |w: &mut World, at: usize| {
            let flags = MsgFlags { notification: true };
            let send = Command::Send { flags, body: b"x".to_vec() };
            assert_eq!(w.ask(recipient, &made[at].sender, &send, None), "OK");
        };
        let credentials = notifications(1);
        let first = w.service(version, &credentials);
        for (id, key) in &of {
            let corr = w.post(first, id, &Command::NSub, Some(key));
            w.drive();
            let service = Some(id_of(&mut w, first));
            assert_eq!(w.answer(first, &corr).unwrap().1, Some(Response::Sok { service }));
        }
        notify(&mut w, 0);
        w.wait(2 * SECOND);
        assert_eq!(w.events(first), ["NMSG"]);
        w.disconnect(first);

        notify(&mut w, 1);
        notify(&mut w, 2);
        let s = w.service(version, &credentials);
        w.wait(2 * SECOND);
        assert!(w.events(s).is_empty(), "nothing before it subscribes");
        assert_eq!(nsubs(&mut w, s), queues(&ids, version));
        w.wait(2 * SECOND);
        assert_eq!(w.events(s), ["NMSG", "NMSG"], "and no ALLS");
        assert_eq!(nsubs(&mut w, s), queues(&ids, version));

        let next = w.service(version, &credentials);
        assert_eq!(nsubs(&mut w, next), queues(&ids, version));
        assert_eq!(collected(&mut w, s), [(id_of(&mut w, s), "ENDS".to_owned())]);
        let plain = w.client(version);
        assert_eq!(w.ask(plain, ids[0], &Command::NSub, Some(&of[0].1)), "SOK");
        assert_eq!(collected(&mut w, next), [(ids[0].clone(), "END".to_owned())]);
        assert_eq!(w.recipient(recipient, &made[1], Command::NDel), "OK");
        assert_eq!(w.recipient(recipient, &made[2], Command::Del), "OK");
        let mut gone = collected(&mut w, next);
        gone.sort();
        let mut expected = [ids[1], ids[2]].map(|id| (id.clone(), "DELD".to_owned()));
        expected.sort();
        assert_eq!(gone, expected);
        assert_eq!(nsubs(&mut w, next), queues(&[], version));
    }
}

#[test]
fn a_service_of_many_queues_gets_them_as_it_reads_and_as_time_is_found() {
    let config = RouterConfig { outgoing_blocks: 4, ..RouterConfig::default() };
    let mut w = World::with(config);
    let credentials = messaging(1);
    let first = w.service(20, &credentials);
    let made: Vec<_> = (0..1100).map(|_| w.queue(first)).collect();
    w.disconnect(first);
    let sender = w.client(20);
    let with_messages: Vec<_> = made.iter().step_by(100).collect();
    for q in &with_messages {
        w.send(sender, q, "m");
    }
    let s = w.service(20, &credentials);
    w.set_reading(s, false);
    let id = id_of(&mut w, s);
    w.post(s, &id, &Command::Subs(ServiceQueues::UNKNOWN), None);
    w.drive();
    assert!(!w.wants_block(s), "its blocks wait, so it is not read");
    w.set_reading(s, true);
    w.wait(1);
    let came = w.events(s);
    assert_eq!(came.len(), with_messages.len() + 2);
    assert_eq!((came[0].as_str(), came.last().unwrap().as_str()), ("SOKS", "ALLS"));
}

#[test]
fn a_subscribed_service_is_not_closed_for_saying_nothing() {
    let mut w = World::new();
    let (quiet, subscribed) = (w.service(20, &messaging(1)), w.service(20, &messaging(2)));
    subs(&mut w, subscribed);
    w.wait(8 * 3600 * SECOND);
    assert!(w.is_closed(quiet));
    assert!(!w.is_closed(subscribed));
}
