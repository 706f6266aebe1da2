//! Subscriptions: making, checking, deleting, and every move between their states (NT-17 to NT-21, NT-24).

use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::ntf::command::*;
use sxlab_protocol::ntf::device::Answered;
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::smp::error::SmpError;

use crate::world::*;
use crate::{SECOND, VERSIONS};

const AUTH: SmpError = SmpError::Auth;

/// A router with a device that has subscribed to the queues 1 to `count` of SMP router 1, which accepted.
fn subscribed(count: u8) -> (World, Who, sxlab_protocol::ntf::device::Device, SmpNo) {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    for notifier in 1..=count {
        w.subscribe(who, &mut phone, &queue(1, notifier));
    }
    let no = w.serve();
    (w, who, phone, no)
}

#[test]
fn a_subscription_is_new_until_the_smp_router_accepts_it() {
    for version in VERSIONS {
        let mut w = World::new();
        let who = w.client(version);
        let mut phone = w.phone(who, "phone");
        let q = queue(1, 1);
        w.subscribe(who, &mut phone, &q);
        assert_eq!(w.asked(), ["1 connect"]);
        assert_eq!(w.subscription(who, &mut phone, &q), "NEW");
        w.smp(SmpNo(1), SmpTold::Connected { service: None });
        let Some((_, SmpAsk::Subscribe(asked))) = w.asked.pop_front() else { panic!("no NSUB") };
        let key = phone.subscribe(&q).unwrap();
        let Command::SNew(new) = key.command else { panic!("no SNEW") };
        assert_eq!(asked, [SmpQueue { notifier: q.notifier.clone(), key: new.key }]);
        assert_eq!(w.subscription(who, &mut phone, &q), "NEW");
        w.answered(SmpNo(1), &q.notifier, Answer::Subscribed(None));
        assert_eq!(w.subscription(who, &mut phone, &q), "ACTIVE");
        assert!(w.asked.is_empty());
    }
}

#[test]
fn refusals_of_the_smp_router_are_states() {
    for (answer, expected) in [
        (Answer::Refused(SmpError::Auth), "AUTH"),
        (Answer::Refused(SmpError::Service), "SERVICE"),
        (Answer::Refused(SmpError::Quota), "ERR SMP error QUOTA"),
        (Answer::Unexpected("PONG".to_owned()), "ERR UnexpectedResponse PONG"),
    ] {
        let mut w = World::new();
        let who = w.client(3);
        let mut phone = w.phone(who, "phone");
        let q = queue(1, 1);
        w.subscribe(who, &mut phone, &q);
        w.smp(SmpNo(1), SmpTold::Connected { service: None });
        w.answered(SmpNo(1), &q.notifier, answer);
        assert_eq!(w.subscription(who, &mut phone, &q), expected);
        // These are over: neither a lost connection nor a restart brings them back.
        w.smp(SmpNo(1), SmpTold::Lost);
        w.asked.clear();
        w.pass(60 * SECOND);
        assert!(w.asked.is_empty());
        let mut w = w.restarted(config());
        assert!(w.asked.is_empty());
        let who = w.client(3);
        assert_eq!(w.subscription(who, &mut phone, &q), expected);
    }
}

#[test]
fn a_lost_connection_makes_inactive_and_the_next_one_active() {
    let (mut w, who, mut phone, no) = subscribed(3);
    w.smp(no, SmpTold::Lost);
    for notifier in 1..=3 {
        assert_eq!(w.subscription(who, &mut phone, &queue(1, notifier)), "INACTIVE");
    }
    // The first attempt is at once.
    assert_eq!(w.asked(), ["1 connect"]);
    w.smp(no, SmpTold::Connected { service: None });
    w.serve();
    assert_eq!(w.subscription(who, &mut phone, &queue(1, 2)), "ACTIVE");
}

/// The deployed router's intervals: 1 s for the first 10 s, then half as much more each time, at most 10 s.
#[test]
fn a_dead_smp_router_is_tried_again_and_again_and_the_subscription_stays_new() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    w.subscribe(who, &mut phone, &queue(1, 1));
    let mut waits = Vec::new();
    for _ in 0..16 {
        assert_eq!(w.asked(), ["1 connect"]);
        w.smp(SmpNo(1), SmpTold::Lost);
        assert!(w.asked.is_empty());
        let retry = w.router.next_timeout().unwrap();
        waits.push((retry - w.now) / (SECOND / 100));
        w.pass(retry - w.now);
    }
    assert_eq!(waits, [100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 150, 225, 337, 506, 759, 1000]);
    assert_eq!(w.subscription(who, &mut phone, &queue(1, 1)), "NEW");
}

#[test]
fn what_is_taken_over_ends_and_what_is_deleted_is_deleted() {
    let (mut w, who, mut phone, no) = subscribed(3);
    w.smp(no, SmpTold::End(queue(1, 1).notifier));
    w.smp(no, SmpTold::Deld(queue(1, 2).notifier));
    assert_eq!(w.subscription(who, &mut phone, &queue(1, 1)), "END");
    assert_eq!(w.subscription(who, &mut phone, &queue(1, 2)), "DELETED");
    w.smp(no, SmpTold::Lost);
    assert_eq!(w.subscription(who, &mut phone, &queue(1, 1)), "END");
    w.smp(no, SmpTold::Connected { service: None });
    assert_eq!(w.asked(), ["1 connect", "1 subscribe 1"]);
    let mut w = w.restarted(config());
    w.smp(SmpNo(1), SmpTold::Connected { service: None });
    assert_eq!(w.asked(), ["1 connect", "1 subscribe 1"]);
}

/// NT-24.
#[test]
fn after_a_restart_subscriptions_are_pending_until_they_are_active_again() {
    let (w, _, mut phone, _) = subscribed(3);
    let mut w = w.restarted(config());
    let who = w.client(3);
    for notifier in 1..=3 {
        assert_eq!(w.subscription(who, &mut phone, &queue(1, notifier)), "PENDING");
    }
    w.smp(SmpNo(1), SmpTold::Lost);
    assert_eq!(w.subscription(who, &mut phone, &queue(1, 1)), "PENDING");
    w.pass(SECOND);
    assert_eq!(w.asked(), ["1 connect", "1 connect"]);
    w.smp(SmpNo(1), SmpTold::Connected { service: None });
    w.serve();
    assert_eq!(w.subscription(who, &mut phone, &queue(1, 1)), "ACTIVE");
}

#[test]
fn batches_are_asked_for_one_after_the_other() {
    let config = RouterConfig { start_batch: 90, reconnect_batch: 136, ..config() };
    let mut w = World::with(config.clone());
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    for notifier in 0..=199 {
        w.subscribe(who, &mut phone, &queue(1, notifier));
    }
    w.smp(SmpNo(1), SmpTold::Connected { service: None });
    assert_eq!(w.asked(), ["1 connect", "1 subscribe 90"]);
    // Nothing more before all are answered.
    let asked: Vec<_> =
        w.router.store().token(phone.id().unwrap()).iter().map(|t| t.subscriptions()).collect();
    assert_eq!(asked, [200]);
    let mut w = w.restarted(config);
    w.smp(SmpNo(1), SmpTold::Connected { service: None });
    let mut sizes = Vec::new();
    while let Some((no, asked)) = w.asked.pop_front() {
        let SmpAsk::Subscribe(queues) = asked else { continue };
        sizes.push(queues.len());
        for (at, queue) in queues.iter().enumerate() {
            assert!(w.asked.is_empty(), "asked after {at} answers");
            w.answered(no, &queue.notifier, Answer::Subscribed(None));
        }
    }
    assert_eq!(sizes, [90, 90, 20]);
    w.smp(SmpNo(1), SmpTold::Lost);
    w.smp(SmpNo(1), SmpTold::Connected { service: None });
    assert_eq!(w.asked(), ["1 connect", "1 subscribe 136"]);
}

#[test]
fn what_is_not_answered_is_asked_again() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    let (a, b) = (queue(1, 1), queue(1, 2));
    w.subscribe(who, &mut phone, &a);
    w.subscribe(who, &mut phone, &b);
    w.smp(SmpNo(1), SmpTold::Connected { service: None });
    assert_eq!(w.asked(), ["1 connect", "1 subscribe 2"]);
    w.answered(SmpNo(1), &a.notifier, Answer::Subscribed(None));
    w.pass(30 * SECOND);
    assert!(w.asked.is_empty());
    // Too late: it was given up on.
    w.answered(SmpNo(1), &b.notifier, Answer::Subscribed(None));
    assert_eq!(w.subscription(who, &mut phone, &b), "NEW");
    w.pass(SECOND);
    assert_eq!(w.asked(), ["1 subscribe 1"]);
    // Whoever drives the connection may give up on it too.
    w.answered(SmpNo(1), &b.notifier, Answer::Unanswered);
    w.pass(SECOND);
    assert_eq!(w.asked(), ["1 subscribe 1"]);
    w.answered(SmpNo(1), &b.notifier, Answer::Subscribed(None));
    assert_eq!(w.subscription(who, &mut phone, &b), "ACTIVE");
}

/// NT-18.
#[test]
fn subscribing_needs_a_token_that_was_verified() {
    for version in VERSIONS {
        let mut w = World::new();
        let who = w.client(version);
        let mut phone = w.new_phone("phone");
        let asked = Some(phone.register());
        w.tell(who, &mut phone, asked).unwrap();
        let q = queue(1, 1);
        phone.watch(q.clone(), Ed25519Secret::from_seed([1; 32]).into(), secret_of(&q));
        let subscribe = phone.subscribe(&q);
        assert_eq!(w.tell(who, &mut phone, subscribe.clone()), refused(AUTH));
        w.deliver(&mut phone);
        assert_eq!(w.tell(who, &mut phone, subscribe.clone()), refused(AUTH));
        let verify = phone.verify();
        w.tell(who, &mut phone, verify).unwrap();
        assert_eq!(w.tell(who, &mut phone, subscribe), Ok(Answered::Subscribed(q.clone())));
        // An invalid token was verified once, perhaps: then it may subscribe.
        let asked = Some(phone.register());
        w.tell(who, &mut phone, asked).unwrap();
        w.answer_push(410, "Unregistered");
        let other = queue(1, 2);
        w.subscribe(who, &mut phone, &other);
        assert_eq!(w.subscription(who, &mut phone, &other), "NEW");
    }
}

/// NT-18.
#[test]
fn a_queue_is_one_tokens_and_one_keys() {
    for version in VERSIONS {
        let mut w = World::new();
        let who = w.client(version);
        let mut phone = w.phone(who, "phone");
        let q = queue(1, 1);
        w.subscribed(who, &mut phone, &q);
        let again = phone.subscribe(&q).unwrap();
        let (first, second) = (phone.check_subscription(&q).unwrap().entity, {
            let answer = w.ask(who, &again.entity, &again.command, Some(&again.key));
            let Response::IdSub(id) = answer else { panic!("{answer:?}") };
            id
        });
        assert_eq!(first, second);
        assert!(w.asked.is_empty());
        let Command::SNew(mut new) = again.command.clone() else { panic!("no SNEW") };
        new.key = Ed25519Secret::from_seed([1; 32]).into();
        let other_key = Command::SNew(new);
        assert_eq!(w.ask(who, &again.entity, &other_key, Some(&again.key)), Response::Err(AUTH));
        let mut other = w.phone(who, "other");
        other.watch(q.clone(), Ed25519Secret::from_seed([1; 32]).into(), secret_of(&q));
        let asked = other.subscribe(&q);
        assert_eq!(w.tell(who, &mut other, asked), refused(AUTH));
        let check = phone.check_subscription(&q).unwrap();
        let stranger = other.check().unwrap().key;
        assert_eq!(w.ask(who, &check.entity, &check.command, Some(&stranger)), Response::Err(AUTH));
        assert_eq!(w.ask(who, &check.entity, &Command::SDel, Some(&stranger)), Response::Err(AUTH));
    }
}

#[test]
fn the_same_notifier_id_at_another_router_is_another_queue() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    w.subscribed(who, &mut phone, &queue(1, 1));
    w.subscribed(who, &mut phone, &queue(2, 1));
    w.smp(SmpNo(1), SmpTold::Lost);
    assert_eq!(w.subscription(who, &mut phone, &queue(1, 1)), "INACTIVE");
    assert_eq!(w.subscription(who, &mut phone, &queue(2, 1)), "ACTIVE");
}

/// NT-20.
#[test]
fn a_deleted_subscription_is_gone_and_what_still_comes_is_ignored() {
    for version in VERSIONS {
        let mut w = World::new();
        let who = w.client(version);
        let mut phone = w.phone(who, "phone");
        let (a, b) = (queue(1, 1), queue(1, 2));
        w.subscribed(who, &mut phone, &a);
        let no = w.subscribed(who, &mut phone, &b);
        let (check, delete) = (phone.check_subscription(&a).unwrap(), phone.unsubscribe(&a).unwrap());
        assert_eq!(w.tell(who, &mut phone, Some(delete.clone())), Ok(Answered::Unsubscribed(a.clone())));
        for asked in [check, delete] {
            assert_eq!(w.ask(who, &asked.entity, &asked.command, Some(&asked.key)), Response::Err(AUTH));
        }
        w.notify(no, &a, 1);
        assert!(w.pushes.is_empty());
        assert!(w.asked.is_empty());
        w.smp(no, SmpTold::Lost);
        w.smp(no, SmpTold::Connected { service: None });
        assert_eq!(w.asked(), ["1 connect", "1 subscribe 1"]);
    }
}

#[test]
fn an_smp_router_without_subscriptions_is_left() {
    let (mut w, who, mut phone, no) = subscribed(1);
    let asked = phone.unsubscribe(&queue(1, 1));
    w.tell(who, &mut phone, asked).unwrap();
    assert_eq!(w.asked(), ["1 disconnect"]);
    // What it still says concerns nobody.
    w.notify(no, &queue(1, 1), 1);
    w.smp(no, SmpTold::Lost);
    assert!(w.asked.is_empty() && w.pushes.is_empty());
    w.subscribe(who, &mut phone, &queue(1, 1));
    assert_eq!(w.asked(), ["2 connect"]);
}

#[test]
fn a_queue_that_is_deleted_while_it_is_asked_for_holds_nothing_up() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    let (a, b) = (queue(1, 1), queue(1, 2));
    w.subscribe(who, &mut phone, &a);
    w.smp(SmpNo(1), SmpTold::Connected { service: None });
    w.subscribe(who, &mut phone, &b);
    assert_eq!(w.asked(), ["1 connect", "1 subscribe 1"]);
    let asked = phone.unsubscribe(&a);
    w.tell(who, &mut phone, asked).unwrap();
    assert_eq!(w.asked(), ["1 subscribe 1"]);
    w.answered(SmpNo(1), &a.notifier, Answer::Subscribed(None));
    w.answered(SmpNo(1), &b.notifier, Answer::Subscribed(None));
    assert_eq!(w.subscription(who, &mut phone, &b), "ACTIVE");
}
