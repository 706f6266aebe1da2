//! Pushes: what they carry, to whom, and what follows from the provider's answers (NT-26 to NT-33).

use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::ntf::device::{Device, DeviceError, Pushed, Unreadable};
use sxlab_protocol::ntf::push::Push;
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::ntf::status::{InvalidReason, TokenStatus};
use sxlab_protocol::wire::Host;

use crate::world::*;
use crate::{SECOND, VERSIONS};

/// An active device with the queues 1 to `count`.
fn active(count: u8) -> (World, Who, Device, SmpNo) {
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
fn a_message_is_pushed_to_the_device_that_alone_can_read_it() {
    for version in VERSIONS {
        let mut w = World::new();
        let who = w.client(version);
        let mut phone = w.phone(who, "phone");
        let no = w.subscribed(who, &mut phone, &queue(1, 1));
        w.notify(no, &queue(1, 1), 7);
        let request = w.pushes[0].clone();
        assert_eq!(
            (request.device.clone(), request.background, request.again),
            (token("phone"), false, false)
        );
        assert_eq!(request.body.size(), 4310);
        let Pushed::Messages(list) = w.deliver(&mut phone) else { panic!("no messages") };
        let [notice] = list.try_into().unwrap();
        let meta = notice.message.unwrap();
        assert_eq!((notice.queue, notice.time), (queue(1, 1), w.now / SECOND));
        assert_eq!((meta.id.as_bytes(), meta.time), (&[7; 24][..], 7));
        let mut other = w.phone(who, "other");
        assert!(matches!(other.pushed(sealed(&request).as_bytes()), Err(DeviceError::Push(_))));
    }
}

/// NT-27, NT-29.
#[test]
fn a_push_has_the_last_notification_of_six_queues_the_oldest_first() {
    let (mut w, _, mut phone, no) = active(8);
    let mut message = 0;
    let mut push = |w: &mut World, phone: &mut Device, notifier| {
        message += 1;
        w.now += SECOND;
        w.notify(no, &queue(1, notifier), message);
        noticed(w.deliver(phone))
    };
    assert_eq!(push(&mut w, &mut phone, 1), [(1, 1)]);
    assert_eq!(push(&mut w, &mut phone, 2), [(1, 1), (2, 2)]);
    // A queue's newer one goes to the end, in the place of the older.
    assert_eq!(push(&mut w, &mut phone, 1), [(2, 2), (1, 3)]);
    for notifier in 3..=6 {
        push(&mut w, &mut phone, notifier);
    }
    assert_eq!(push(&mut w, &mut phone, 7), [(1, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8)]);
    // What fell out is not remembered.
    assert_eq!(push(&mut w, &mut phone, 7), [(1, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 9)]);
    assert_eq!(push(&mut w, &mut phone, 2), [(3, 4), (4, 5), (5, 6), (6, 7), (7, 9), (2, 10)]);
}

#[test]
fn each_notification_has_its_push_with_all_so_far() {
    let (mut w, _, mut phone, no) = active(3);
    for notifier in 1..=3 {
        w.notify(no, &queue(1, notifier), notifier);
    }
    let lists: Vec<_> = (0..3).map(|_| noticed(w.deliver(&mut phone))).collect();
    assert_eq!(lists, [vec![(1, 1)], vec![(1, 1), (2, 2)], vec![(1, 1), (2, 2), (3, 3)]]);
}

#[test]
fn how_many_go_with_a_push_is_a_setting() {
    let mut w = World::with(RouterConfig { notifications: 1, ..config() });
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    w.subscribe(who, &mut phone, &queue(1, 1));
    w.subscribe(who, &mut phone, &queue(1, 2));
    let no = w.serve();
    w.notify(no, &queue(1, 1), 1);
    w.notify(no, &queue(1, 2), 2);
    assert_eq!(noticed(w.deliver(&mut phone)), [(1, 1)]);
    assert_eq!(noticed(w.deliver(&mut phone)), [(2, 2)]);
}

#[test]
fn what_is_deleted_does_not_go_with_further_pushes() {
    let (mut w, who, mut phone, no) = active(2);
    w.notify(no, &queue(1, 1), 1);
    w.accept_push();
    let asked = phone.unsubscribe(&queue(1, 1));
    w.tell(who, &mut phone, asked).unwrap();
    w.notify(no, &queue(1, 2), 2);
    assert_eq!(noticed(w.deliver(&mut phone)), [(2, 2)]);
}

/// NT-28.
#[test]
fn only_active_tokens_get_pushes_of_messages() {
    let (mut w, who, mut phone, no) = active(1);
    let asked = phone.replace(token("new"));
    w.tell(who, &mut phone, asked).unwrap();
    w.notify(no, &queue(1, 1), 1);
    w.deliver(&mut phone);
    assert_eq!(w.status(who, &mut phone), TokenStatus::Confirmed);
    w.notify(no, &queue(1, 1), 2);
    assert!(w.pushes.is_empty());
    let asked = phone.verify();
    w.tell(who, &mut phone, asked).unwrap();
    // What came in between is not kept.
    w.notify(no, &queue(1, 1), 3);
    assert_eq!(noticed(w.deliver(&mut phone)), [(1, 3)]);
    w.notify(no, &queue(1, 1), 4);
    w.answer_push(410, "Unregistered");
    w.notify(no, &queue(1, 1), 5);
    assert!(w.pushes.is_empty());
    assert_eq!((w.router.statistics().notified, w.router.statistics().unwanted), (5, 3));
}

#[test]
fn a_notification_is_pushed_whatever_the_subscriptions_state() {
    let (mut w, _, mut phone, no) = active(1);
    w.smp(no, SmpTold::End(queue(1, 1).notifier));
    w.notify(no, &queue(1, 1), 1);
    assert_eq!(noticed(w.deliver(&mut phone)), [(1, 1)]);
}

#[test]
fn a_device_says_which_notifications_it_cannot_read() {
    let (mut w, who, mut phone, no) = active(1);
    w.notify(no, &queue(1, 1), 1);
    let asked = phone.unsubscribe(&queue(1, 1));
    w.tell(who, &mut phone, asked).unwrap();
    let Pushed::Messages(list) = w.deliver(&mut phone) else { panic!("no messages") };
    assert_eq!(list[0].message, Err(Unreadable::Unknown));
    let other = SharedSecret::from_bytes([1; 32]);
    phone.watch(queue(1, 1), Ed25519Secret::from_seed([1; 32]).into(), other);
    let push = Push::Messages(vec![sxlab_protocol::ntf::push::Notification {
        queue: queue(1, 1),
        time: 1,
        nonce: [1; 24],
        meta: meta(&queue(1, 1), 1),
    }]);
    let Pushed::Messages(list) = phone.read(push) else { panic!("no messages") };
    assert!(matches!(list[0].message, Err(Unreadable::Meta(_))));
}

#[test]
fn a_push_that_comes_before_the_answer_to_tnew_is_kept() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.new_phone("phone");
    let asked = phone.register();
    let answer = w.ask(who, &asked.entity, &asked.command, Some(&asked.key));
    let body = w.accept_push();
    assert_eq!(phone.pushed(body.as_bytes()), Err(DeviceError::Early));
    assert!(phone.verify().is_none());
    phone.answered(&asked, answer).unwrap();
    let asked = phone.verify();
    w.tell(who, &mut phone, asked).unwrap();
}

/// NT-32: what every answer means.
#[test]
fn verdicts() {
    let verdict = |status, reason: &str| PushAnswer::Answered { status, reason: reason.to_owned() }.verdict();
    assert_eq!(verdict(200, ""), Verdict::Accepted);
    assert_eq!(verdict(400, "BadDeviceToken"), Verdict::Invalid(InvalidReason::Bad));
    assert_eq!(verdict(400, "DeviceTokenNotForTopic"), Verdict::Invalid(InvalidReason::Topic));
    assert_eq!(verdict(410, "ExpiredToken"), Verdict::Invalid(InvalidReason::Expired));
    assert_eq!(verdict(410, "Unregistered"), Verdict::Invalid(InvalidReason::Unregistered));
    for (status, reason) in [(410, ""), (410, "Other"), (503, "ServiceUnavailable"), (503, "")] {
        assert_eq!(verdict(status, reason), Verdict::Again, "{status} {reason}");
    }
    assert_eq!(PushAnswer::Unreachable.verdict(), Verdict::Again);
    for (status, reason) in [
        (400, "TopicDisallowed"),
        (400, "BadTopic"),
        (400, "Unregistered"),
        (403, "InvalidProviderToken"),
        (403, "ExpiredProviderToken"),
        (403, "Forbidden"),
        (413, "PayloadTooLarge"),
        (429, "TooManyRequests"),
        (500, "InternalServerError"),
        (410 + 1, "ExpiredToken"),
    ] {
        assert_eq!(verdict(status, reason), Verdict::Refused, "{status} {reason}");
    }
}

#[test]
fn what_says_nothing_of_the_token_is_not_tried_again() {
    for (status, reason) in
        [(400, "TopicDisallowed"), (403, "InvalidProviderToken"), (429, "TooManyRequests")]
    {
        let mut w = World::new();
        let who = w.client(3);
        let mut phone = w.new_phone("phone");
        let asked = Some(phone.register());
        w.tell(who, &mut phone, asked).unwrap();
        w.answer_push(status, reason);
        assert!(w.pushes.is_empty());
        assert_eq!(w.status(who, &mut phone), TokenStatus::Registered);
    }
}

#[test]
fn a_provider_that_fails_is_asked_once_more() {
    for (second, expected) in [
        ((200, ""), TokenStatus::Confirmed),
        ((503, ""), TokenStatus::Registered),
        ((429, "TooManyRequests"), TokenStatus::Registered),
        ((410, "Unregistered"), TokenStatus::Invalid(Some(InvalidReason::Unregistered))),
    ] {
        let mut w = World::new();
        let who = w.client(3);
        let mut phone = w.new_phone("phone");
        let asked = Some(phone.register());
        w.tell(who, &mut phone, asked).unwrap();
        let first = w.answer_push(503, "ServiceUnavailable");
        let again = w.answer_push(second.0, second.1);
        assert!(!first.again && again.again);
        // The same code in another box.
        assert_ne!(sealed(&first), sealed(&again));
        phone.pushed(sealed(&first).as_bytes()).unwrap();
        let code = phone.verify();
        phone.pushed(sealed(&again).as_bytes()).unwrap();
        assert_eq!(phone.verify(), code);
        assert!(w.pushes.is_empty());
        assert_eq!(w.status(who, &mut phone), expected);
    }
}

#[test]
fn an_unreachable_provider_is_asked_once_more() {
    let (mut w, _, mut phone, no) = active(1);
    w.notify(no, &queue(1, 1), 1);
    let first = w.pushes.pop_front().unwrap();
    w.router.pushed(first.number, &PushAnswer::Unreachable, w.now);
    w.drive();
    assert!(w.pushes[0].again);
    assert_eq!(noticed(w.deliver(&mut phone)), [(1, 1)]);
    // An answer that comes again means nothing.
    w.router.pushed(first.number, &PushAnswer::Unreachable, w.now);
    w.drive();
    assert!(w.pushes.is_empty());
}

#[test]
fn an_answer_to_a_push_of_a_deleted_token_means_nothing() {
    let (mut w, who, mut phone, no) = active(1);
    w.notify(no, &queue(1, 1), 1);
    w.notify(no, &queue(1, 1), 2);
    let asked = phone.delete();
    w.tell(who, &mut phone, asked).unwrap();
    w.answer_push(503, "");
    w.answer_push(410, "Unregistered");
    assert!(w.pushes.is_empty());
}

/// Six queues at a router with long names do not fit: the newest do.
#[test]
fn the_newest_notifications_are_pushed_where_not_all_fit() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    let named = |notifier| {
        let mut queue = queue(1, notifier);
        queue.router.hosts.push(Host::Domain("x".repeat(240)));
        queue
    };
    for notifier in 1..=6 {
        w.subscribe(who, &mut phone, &named(notifier));
    }
    let no = w.serve();
    for notifier in 1..=6 {
        w.notify(no, &named(notifier), notifier);
    }
    let lists: Vec<_> = (0..6).map(|_| noticed(w.deliver(&mut phone)).len()).collect();
    assert_eq!(lists, [1, 2, 3, 4, 5, 5]);
}
