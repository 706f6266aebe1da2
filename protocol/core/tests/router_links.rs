//! Short links and recipient keys: LSET, LDEL, LKEY, LGET, link data in NEW, and RKEY (RC-8 to RC-11, RC-22 to RC-25,
//! SN-8, LK-1 to LK-6).
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
use sxlab_protocol::crypto::hash::sender_id_from_corr;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::smp::command::{Command, ContactLink, LinkData, MessagingLink, NewQueue, QueueRequest};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{CorrId, EntityId, LinkId};

fn data(fixed: usize, user: usize) -> LinkData {
    LinkData { fixed: vec![1; fixed], user: vec![2; user] }
}

fn corr(number: u8) -> CorrId {
    CorrId::from([number; 24])
}

/// The sender id that goes with [`corr`].
fn sender(number: u8) -> EntityId {
    EntityId::from(sender_id_from_corr(&corr(number)))
}

fn link(number: u8) -> LinkId {
    LinkId::from([number; 24])
}

fn entity(link: &LinkId) -> EntityId {
    EntityId::new(link.as_bytes()).unwrap()
}

fn contact(link: LinkId, sender: EntityId, data: LinkData) -> QueueRequest {
    QueueRequest::Contact(Some(ContactLink { link, sender, data }))
}

fn messaging(sender: EntityId, data: LinkData) -> QueueRequest {
    QueueRequest::Messaging(Some(MessagingLink { sender, data }))
}

fn ed25519(seed: u64) -> AuthSecretKey {
    key(KeyType::Ed25519, seed)
}

fn lset(link: &LinkId, data: LinkData) -> Command {
    Command::LSet { link: link.clone(), data }
}

/// NEW with this correlation id.
fn new(
    w: &mut World,
    who: Who,
    number: u8,
    queue: QueueRequest,
) -> Result<(TestQueue, Option<LinkId>), String> {
    let key = ed25519(u64::from(number) + 100);
    let dh = X25519Secret::from_bytes([number; 32]);
    let command = Command::New(Box::new(NewQueue {
        auth_key: key.public(),
        dh_key: dh.public(),
        password: None,
        subscribe: true,
        queue: queue.clone(),
        notifier: None,
    }));
    w.core(who).request_with(corr(number), EntityId::EMPTY, &command, Some(&key)).unwrap();
    w.drive();
    match w.answer(who, &corr(number)).unwrap() {
        (_, Some(Response::Ids(ids))) => {
            assert_eq!(ids.mode, queue.mode());
            Ok((TestQueue { recipient: ids.recipient, sender: ids.sender, key }, ids.link))
        }
        (text, _) => Err(text),
    }
}

/// LGET or LKEY: the sender id and data, or the error.
fn follow(
    w: &mut World,
    who: Who,
    link: &EntityId,
    key: Option<&AuthSecretKey>,
) -> Result<(EntityId, usize, usize), String> {
    let command = key.map_or(Command::LGet, |key| Command::LKey(key.public()));
    let corr = w.post(who, link, &command, key);
    w.drive();
    match w.answer(who, &corr).unwrap() {
        (_, Some(Response::Lnk { sender, data })) => Ok((sender, data.fixed.len(), data.user.len())),
        (text, _) => Err(text),
    }
}

fn refused<T>(error: &str) -> Result<T, String> {
    Err(error.to_owned())
}

#[test]
fn a_contact_link_is_got_changed_and_deleted_as_recorded() {
    for version in [15, 16, 17, 18, 19, 20] {
        let mut w = World::new();
        let [a, b] = w.clients(version);
        let (l1, l2) = (link(1), link(2));
        let (e1, e2) = (entity(&l1), entity(&l2));

        let underived = contact(l1.clone(), EntityId::from([9; 24]), data(10, 9));
        assert_eq!(new(&mut w, a, 1, underived).err().unwrap(), "ERR CMD PROHIBITED");
        let (q, id) = new(&mut w, a, 1, contact(l1.clone(), sender(1), data(10, 9))).unwrap();
        assert_eq!((&q.sender, id), (&sender(1), Some(l1.clone())));
        for _ in 0..2 {
            assert_eq!(follow(&mut w, b, &e1, None), Ok((q.sender.clone(), 10, 9)));
        }
        assert_eq!(w.ask(b, &e1, &Command::LGet, Some(&ed25519(1))), "ERR CMD HAS_AUTH");
        assert_eq!(w.ask(b, &EntityId::EMPTY, &Command::LGet, None), "ERR CMD NO_ENTITY");
        for other in [&q.recipient, &q.sender, &EntityId::from([8; 24])] {
            assert_eq!(follow(&mut w, b, other, None), refused("ERR AUTH"));
        }
        let stranger = ed25519(1);
        assert_eq!(follow(&mut w, b, &e1, Some(&stranger)), refused("ERR AUTH"));
        assert_eq!(w.ask(b, &e1, &Command::LKey(stranger.public()), None), "ERR CMD NO_AUTH");

        assert_eq!(w.recipient(a, &q, lset(&l1, data(10, 17))), "OK");
        assert_eq!(follow(&mut w, b, &e1, None), Ok((q.sender.clone(), 10, 17)));
        assert_eq!(w.recipient(a, &q, lset(&l1, data(11, 17))), "ERR AUTH");
        assert_eq!(w.recipient(a, &q, lset(&link(3), data(10, 17))), "ERR AUTH");
        assert_eq!(w.ask(a, &q.recipient, &lset(&l1, data(10, 1)), Some(&stranger)), "ERR AUTH");
        assert_eq!(w.ask(a, &e1, &lset(&l1, data(10, 1)), Some(&q.key)), "ERR AUTH");

        let (q2, none) = new(&mut w, a, 2, QueueRequest::Contact(None)).unwrap();
        assert_eq!(none, None);
        assert_eq!(w.recipient(a, &q2, lset(&l1, data(10, 9))), "ERR AUTH");
        assert_eq!(w.recipient(a, &q2, Command::LDel), "OK");
        assert_eq!(w.recipient(a, &q2, lset(&l2, data(10, 9))), "OK");
        assert_eq!(follow(&mut w, b, &e2, None), Ok((q2.sender.clone(), 10, 9)));
        assert_eq!(w.recipient(a, &q2, lset(&l2, data(3000, 13000))), "ERR AUTH");
        assert_eq!(w.recipient(a, &q2, Command::LDel), "OK");
        assert_eq!(w.recipient(a, &q2, lset(&l2, data(3000, 13000))), "OK");
        assert_eq!(follow(&mut w, b, &e2, None), Ok((q2.sender.clone(), 3000, 13000)));

        let link_in_use = contact(l1.clone(), sender(3), data(10, 9));
        assert_eq!(new(&mut w, a, 3, link_in_use).err().unwrap(), "ERR AUTH");
        let sender_in_use = contact(link(4), sender(1), data(10, 9));
        assert_eq!(new(&mut w, a, 1, sender_in_use).err().unwrap(), "ERR AUTH");

        let sender_key = sender_key(version, 5);
        assert_eq!(w.recipient(a, &q, Command::Key(sender_key.public())), "OK");
        assert_eq!(follow(&mut w, b, &e1, None), Ok((q.sender.clone(), 10, 17)));
        assert_eq!(w.recipient(a, &q, lset(&l1, data(10, 9))), "OK");
        assert_eq!(w.send_signed(b, &q, "x", &sender_key), "OK");
        assert_eq!(follow(&mut w, b, &e1, None), Ok((q.sender.clone(), 10, 9)));
        assert_eq!(w.recipient(a, &q, Command::LDel), "OK");
        assert_eq!(w.recipient(a, &q, Command::LDel), "OK");
        assert_eq!(follow(&mut w, b, &e1, None), refused("ERR AUTH"));

        assert_eq!(w.recipient(a, &q2, Command::Off), "OK");
        assert_eq!(follow(&mut w, b, &e2, None), Ok((q2.sender.clone(), 3000, 13000)));
        assert_eq!(w.recipient(a, &q2, Command::Del), "OK");
        assert_eq!(follow(&mut w, b, &e2, None), refused("ERR AUTH"));

        let short = LinkId::new(&[5; 10]).unwrap();
        let (_, id) = new(&mut w, a, 6, contact(short.clone(), sender(6), data(10, 9))).unwrap();
        assert_eq!(id, Some(short));
        if version == 15 || version == 20 {
            w.assert_as_recorded("links-contact", version, &[("A", a), ("B", b)], &[]);
        }
        // The refused NEW left nothing.
        assert_eq!(follow(&mut w, b, &entity(&link(4)), None), refused("ERR AUTH"));
    }
}

#[test]
fn a_messaging_link_is_for_the_one_who_secures_the_queue_with_it_as_recorded() {
    for version in [15, 16, 17, 18, 19, 20] {
        let mut w = World::new();
        let [a, b] = w.clients(version);
        let (joiner, stranger) = (sender_key(version, 5), ed25519(6));

        let underived = messaging(EntityId::from([9; 24]), data(10, 9));
        assert_eq!(new(&mut w, a, 1, underived).err().unwrap(), "ERR CMD PROHIBITED");
        let (q, id) = new(&mut w, a, 1, messaging(sender(1), data(10, 9))).unwrap();
        let l = id.unwrap();
        let e = entity(&l);
        assert_eq!((&q.sender, l.as_bytes().len()), (&sender(1), 24));
        assert_eq!(follow(&mut w, b, &e, None), refused("ERR AUTH"));
        let lkey = Command::LKey(joiner.public());
        assert_eq!(w.ask(b, &e, &lkey, None), "ERR CMD NO_AUTH");
        assert_eq!(w.ask(b, &e, &lkey, Some(&stranger)), "ERR AUTH");
        assert_eq!(w.recipient(a, &q, lset(&l, data(10, 17))), "OK");
        assert_eq!(w.recipient(a, &q, lset(&link(9), data(10, 17))), "ERR AUTH");
        assert_eq!(follow(&mut w, b, &q.sender, Some(&joiner)), refused("ERR AUTH"));
        for _ in 0..2 {
            assert_eq!(follow(&mut w, b, &e, Some(&joiner)), Ok((q.sender.clone(), 10, 17)));
        }
        assert_eq!(follow(&mut w, b, &e, Some(&stranger)), refused("ERR AUTH"));
        assert_eq!(follow(&mut w, b, &e, None), refused("ERR AUTH"));
        assert_eq!(w.recipient(a, &q, lset(&l, data(10, 18))), "ERR AUTH");
        assert_eq!(w.ask(b, &q.sender, &Command::SKey(joiner.public()), Some(&joiner)), "OK");
        assert_eq!(w.send(b, &q, "unsigned"), "ERR AUTH");
        assert_eq!(follow(&mut w, b, &e, Some(&joiner)), Ok((q.sender.clone(), 10, 17)));
        assert_eq!(w.send_signed(b, &q, "x", &joiner), "OK");
        assert_eq!(follow(&mut w, b, &e, Some(&joiner)), refused("ERR AUTH"));
        let [message] = &w.transmissions(a)[..] else { panic!("one message") };
        assert_eq!((&message.1, &message.2[..3]), (&q.recipient, "MSG"));
        assert_eq!(w.ack(a, &q), "OK");
        assert_eq!(w.recipient(a, &q, Command::LDel), "OK");

        let (q2, none) = new(&mut w, a, 2, QueueRequest::Messaging(None)).unwrap();
        assert_eq!(none, None);
        assert_eq!(w.recipient(a, &q2, lset(&link(2), data(10, 9))), "OK");
        assert_eq!(follow(&mut w, b, &entity(&link(2)), Some(&joiner)), Ok((q2.sender, 10, 9)));

        let (q3, _) = new(&mut w, a, 3, QueueRequest::Messaging(None)).unwrap();
        assert_eq!(w.recipient(a, &q3, Command::Key(joiner.public())), "OK");
        assert_eq!(w.recipient(a, &q3, lset(&link(3), data(10, 9))), "ERR AUTH");

        let (q4, _) = new(&mut w, a, 4, QueueRequest::None).unwrap();
        let e4 = entity(&link(4));
        assert_eq!(w.recipient(a, &q4, lset(&link(4), data(10, 9))), "OK");
        assert_eq!(follow(&mut w, b, &e4, None), Ok((q4.sender.clone(), 10, 9)));
        assert_eq!(follow(&mut w, b, &e4, Some(&joiner)), refused("ERR AUTH"));
        assert_eq!(w.recipient(a, &q4, Command::Key(joiner.public())), "OK");
        assert_eq!(follow(&mut w, b, &e4, None), refused("ERR AUTH"));

        let (q5, id) = new(&mut w, a, 5, messaging(sender(5), data(10, 9))).unwrap();
        assert_eq!(w.send(b, &q5, "x"), "OK");
        let e5 = entity(&id.unwrap());
        assert_eq!(follow(&mut w, b, &e5, Some(&joiner)), Ok((q5.sender.clone(), 10, 9)));
        assert_eq!(w.ask(b, &q5.sender, &Command::SKey(joiner.public()), Some(&joiner)), "OK");
        if version == 15 || version == 20 {
            w.assert_as_recorded("links-messaging", version, &[("A", a), ("B", b)], &[]);
        }
    }
}

#[test]
fn a_refused_first_message_leaves_the_link() {
    let mut w = World::new();
    let [a, b] = w.clients(20);
    let (q, id) = new(&mut w, a, 1, messaging(sender(1), data(10, 9))).unwrap();
    let (joiner, e) = (sender_key(20, 5), entity(&id.unwrap()));
    assert!(follow(&mut w, b, &e, Some(&joiner)).is_ok());
    let too_long = "x".repeat(16049);
    assert_eq!(w.send_signed(b, &q, &too_long, &joiner), "ERR LARGE_MSG");
    assert!(follow(&mut w, b, &e, Some(&joiner)).is_ok());
    assert_eq!(w.recipient(a, &q, Command::Off), "OK");
    assert_eq!(w.send_signed(b, &q, "x", &joiner), "ERR AUTH");
    assert!(follow(&mut w, b, &e, Some(&joiner)).is_ok());
}

#[test]
fn the_link_id_of_a_deleted_link_is_free_again() {
    let mut w = World::new();
    let a = w.client(20);
    let (q, _) = new(&mut w, a, 1, contact(link(1), sender(1), data(10, 9))).unwrap();
    let (q2, _) = new(&mut w, a, 2, QueueRequest::Contact(None)).unwrap();
    assert_eq!(w.recipient(a, &q2, lset(&link(1), data(10, 9))), "ERR AUTH");
    assert_eq!(w.recipient(a, &q, Command::LDel), "OK");
    assert_eq!(w.recipient(a, &q2, lset(&link(1), data(10, 9))), "OK");
    assert_eq!(w.recipient(a, &q2, Command::Del), "OK");
    assert!(new(&mut w, a, 3, contact(link(1), sender(3), data(10, 9))).is_ok());
}

#[test]
fn links_are_followed_through_a_proxy() {
    let mut w = World::new();
    w.router(sxlab_protocol::smp::router::RouterConfig::default());
    let (owner, joiner) = (w.client_of(1, 20), w.client(20));
    let relay = w.relay(joiner, 1).unwrap();
    let (q, _) = new(&mut w, owner, 1, contact(link(1), sender(1), data(10, 9))).unwrap();
    assert_eq!(w.forward(joiner, &relay, &entity(&link(1)), &Command::LGet, None), "in PRES: LNK");
    assert_eq!(w.forward(joiner, &relay, &q.sender, &Command::LGet, None), "in PRES: ERR AUTH");
    let (q, id) = new(&mut w, owner, 2, messaging(sender(2), data(10, 9))).unwrap();
    let (key, link) = (sender_key(20, 1), entity(&id.unwrap()));
    let lkey = Command::LKey(key.public());
    assert_eq!(w.forward(joiner, &relay, &link, &lkey, Some(&ed25519(1))), "in PRES: ERR AUTH");
    assert_eq!(w.forward(joiner, &relay, &link, &lkey, Some(&key)), "in PRES: LNK");
    assert_eq!(w.send_signed(owner, &q, "x", &key), "OK", "the queue is secured");
}

#[test]
fn any_key_of_the_list_authorizes_and_a_replaced_one_does_not_as_recorded() {
    for version in [15, 16, 17, 18, 19, 20] {
        let mut w = World::new();
        let a = w.client(version);
        let ask = |queue| Ask { queue, ..Ask::default() };
        let q = w.create(a, &ask(QueueRequest::Contact(None))).unwrap();
        let messaging = w.create(a, &ask(QueueRequest::Messaging(None))).unwrap();
        let rkey = |keys: &[AuthSecretKey]| Command::RKey(keys.iter().map(AuthSecretKey::public).collect());
        let keys = [ed25519(1), ed25519(2), key(KeyType::X25519, 3), key(KeyType::Ed448, 4)];
        assert_eq!(w.recipient(a, &messaging, rkey(&keys)), "ERR AUTH");

        assert_eq!(w.recipient(a, &q, rkey(&keys)), "OK");
        assert_eq!(w.subscribe(a, &q), "ERR AUTH", "the queue's first key is gone");
        for key in &keys {
            assert_eq!(w.ask(a, &q.recipient, &Command::Sub, Some(key)), sok(version));
        }
        let one = &keys[1..2];
        assert_eq!(w.ask(a, &q.recipient, &rkey(one), Some(&keys[2])), "OK");
        assert_eq!(w.ask(a, &q.recipient, &Command::Sub, Some(&keys[0])), "ERR AUTH");
        assert_eq!(w.ask(a, &q.recipient, &Command::Sub, Some(&keys[1])), sok(version));
        assert_eq!(w.ask(a, &q.recipient, &rkey(&keys), Some(&keys[2])), "ERR AUTH");

        let legacy = w.create(a, &ask(QueueRequest::None)).unwrap();
        assert_eq!(w.recipient(a, &legacy, rkey(&keys)), "ERR AUTH");

        let many: Vec<_> = (0..255).map(|seed| ed25519(1000 + seed)).collect();
        assert_eq!(w.ask(a, &q.recipient, &rkey(&many), Some(&keys[1])), "OK");
        assert_eq!(w.ask(a, &q.recipient, &Command::Sub, Some(&many[254])), sok(version));
    }
}
