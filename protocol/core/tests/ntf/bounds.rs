//! What a device can make the router hold, and what the router does then.

use sxlab_protocol::ntf::command::Command;
use sxlab_protocol::ntf::device::Answered;
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::smp::error::SmpError;
use sxlab_protocol::wire::EntityId;

use crate::world::*;

#[test]
fn a_device_that_reads_nothing_is_not_read() {
    for version in [1, 3] {
        let mut w = World::with(RouterConfig { outgoing_blocks: 4, ..config() });
        let who = w.client(version);
        w.set_reading(who, false);
        let pings: Vec<_> = (0..200).map(|_| w.post(who, &EntityId::EMPTY, &Command::Ping, None)).collect();
        w.drive();
        let session = w.links[who].session;
        assert!(!w.router.wants_block(session));
        // It goes on when the device does, and nothing is lost.
        w.set_reading(who, true);
        for ping in pings {
            assert_eq!(w.answer(who, &ping), Some(Response::Pong));
        }
    }
}

#[test]
fn whoever_makes_the_router_hold_most_is_closed() {
    let mut w = World::with(RouterConfig { outgoing_blocks: 64, queued_blocks: 20, ..config() });
    let [greedy, modest] = [w.client(1), w.client(1)];
    w.set_reading(greedy, false);
    w.set_reading(modest, false);
    w.post(modest, &EntityId::EMPTY, &Command::Ping, None);
    for _ in 0..40 {
        w.post(greedy, &EntityId::EMPTY, &Command::Ping, None);
    }
    w.drive();
    assert!(w.is_closed(greedy) && !w.is_closed(modest));
    assert_eq!(w.router.statistics().shed, 1);
}

#[test]
fn tokens_and_subscriptions_have_a_limit() {
    let mut w = World::with(RouterConfig { tokens: 2, subscriptions_per_token: 2, ..config() });
    let who = w.client(3);
    let mut phone = w.phone(who, "one");
    let mut other = w.phone(who, "two");
    let mut third = w.new_phone("three");
    let asked = Some(third.register());
    assert_eq!(w.tell(who, &mut third, asked.clone()), refused(SmpError::Quota));
    for notifier in 1..=2 {
        w.subscribe(who, &mut phone, &queue(1, notifier));
    }
    phone.watch(
        queue(9, 3),
        sxlab_protocol::crypto::keys::Ed25519Secret::from_seed([1; 32]).into(),
        secret_of(&queue(9, 3)),
    );
    let subscribe = phone.subscribe(&queue(9, 3));
    assert_eq!(w.tell(who, &mut phone, subscribe.clone()), refused(SmpError::Quota));
    assert_eq!(w.router.store().subscribed(&smp_router(9), &[3; 24].into()), None);
    w.subscribe(who, &mut other, &queue(1, 4));
    // Room is made by deleting.
    let delete = phone.unsubscribe(&queue(1, 1));
    w.tell(who, &mut phone, delete).unwrap();
    assert_eq!(w.tell(who, &mut phone, subscribe), Ok(Answered::Subscribed(queue(9, 3))));
    let delete = other.delete();
    w.tell(who, &mut other, delete).unwrap();
    assert_eq!(w.tell(who, &mut third, asked), Ok(Answered::Registered));
}

#[test]
fn while_providers_do_not_answer_nothing_is_read_and_no_notification_is_lost() {
    let mut w = World::with(RouterConfig { pushes: 3, ..config() });
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    for notifier in 1..=5 {
        w.subscribe(who, &mut phone, &queue(1, notifier));
    }
    let no = w.serve();
    for notifier in 1..=5 {
        w.notify(no, &queue(1, notifier), notifier);
    }
    assert_eq!((w.pushes.len(), w.router.pushes()), (3, 3));
    assert!(!w.router.wants_notifications() && !w.router.wants_block(w.links[who].session));
    let ping = w.post(who, &EntityId::EMPTY, &Command::Ping, None);
    w.drive();
    assert_eq!(w.answer(who, &ping), None);
    while !w.pushes.is_empty() {
        w.accept_push();
    }
    assert_eq!(w.answer(who, &ping), Some(Response::Pong));
    // What was not pushed goes along with what comes next.
    w.notify(no, &queue(1, 1), 6);
    assert_eq!(noticed(w.deliver(&mut phone)), [(2, 2), (3, 3), (4, 4), (5, 5), (1, 6)]);
    assert_eq!(w.router.statistics().pushes_dropped, 2);
}

#[test]
fn a_session_that_is_gone_leaves_nothing() {
    let mut w = World::new();
    let who = w.client(3);
    w.phone(who, "phone");
    let session = w.links[who].session;
    w.router.closed(session);
    assert_eq!(w.router.sessions(), 0);
    w.router.block(session, &[0; 512], w.now);
    assert_eq!(w.router.next_block(session), None);
    assert!(!w.router.wants_block(session));
}
