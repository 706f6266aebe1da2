//! What survives a restart: each change is reported, and what was reported makes the same router again.

use std::collections::BTreeMap;

use sxlab_protocol::ntf::device::Answered;
use sxlab_protocol::ntf::router::*;

use crate::world::*;

/// Applies changes as a store does, by bytes.
pub fn apply(kept: &mut BTreeMap<Vec<u8>, Vec<u8>>, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::Put(record) => drop(kept.insert(record.key().encode(), record.value())),
            Change::Delete(key) => {
                assert!(kept.remove(&key.encode()).is_some(), "{key} was not there");
            }
        }
    }
}

pub fn all(w: &World) -> BTreeMap<Vec<u8>, Vec<u8>> {
    w.router.store().records().into_iter().map(|record| (record.key().encode(), record.value())).collect()
}

#[test]
fn what_is_reported_is_what_is_there_after_every_step() {
    let mut w = World::with(RouterConfig { service: true, ..config() });
    let mut kept = BTreeMap::new();
    let mut check = |w: &mut World| {
        apply(&mut kept, w.router.changes());
        assert_eq!(kept, all(w));
        kept.len()
    };
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    check(&mut w);
    for notifier in 1..=8 {
        w.subscribe(who, &mut phone, &queue(1, notifier));
    }
    let no = w.serve();
    assert_eq!(check(&mut w), 1 + 8);
    w.smp(no, SmpTold::Lost);
    w.smp(no, SmpTold::Connected { service: Some([5; 24].into()) });
    while let Some((no, asked)) = w.asked.pop_front() {
        if let SmpAsk::Subscribe(queues) = asked {
            for queue in queues {
                w.answered(no, &queue.notifier, Answer::Subscribed(Some([5; 24].into())));
            }
        }
    }
    assert_eq!(check(&mut w), 1 + 8 + 1);
    for notifier in [1, 2, 3, 1, 4, 5, 6, 7, 8, 1] {
        w.notify(no, &queue(1, notifier), notifier);
        check(&mut w);
    }
    assert_eq!(check(&mut w), 1 + 8 + 1 + 6);
    w.smp(no, SmpTold::End(queue(1, 1).notifier));
    check(&mut w);
    let asked = phone.set_period(30);
    w.tell(who, &mut phone, asked).unwrap();
    check(&mut w);
    let asked = phone.replace(token("new"));
    w.tell(who, &mut phone, asked).unwrap();
    check(&mut w);
    while w.pushes.len() > 1 {
        w.accept_push();
    }
    w.deliver(&mut phone);
    let asked = phone.verify();
    w.tell(who, &mut phone, asked).unwrap();
    check(&mut w);
    let asked = phone.unsubscribe(&queue(1, 2));
    w.tell(who, &mut phone, asked).unwrap();
    check(&mut w);
    let mut other = w.phone(who, "other");
    w.subscribe(who, &mut other, &queue(2, 1));
    check(&mut w);
    let asked = phone.delete();
    w.tell(who, &mut phone, asked).unwrap();
    assert_eq!(check(&mut w), 2);
    let asked = other.delete();
    w.tell(who, &mut other, asked).unwrap();
    assert_eq!(check(&mut w), 0);
}

#[test]
fn a_restarted_router_has_the_same_tokens_subscriptions_and_notifications() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    for notifier in 1..=3 {
        w.subscribe(who, &mut phone, &queue(1, notifier));
    }
    let no = w.serve();
    for notifier in [3, 1, 2, 3] {
        w.notify(no, &queue(1, notifier), notifier);
    }
    let before = all(&w);
    let mut w = w.restarted(config());
    assert_eq!(all(&w), before);
    let who = w.client(3);
    let no = w.serve();
    w.notify(no, &queue(1, 1), 9);
    assert_eq!(noticed(w.deliver(&mut phone)), [(2, 2), (3, 3), (1, 9)]);
    let asked = Some(phone.register());
    assert_eq!(w.tell(who, &mut phone, asked), Ok(Answered::Registered));
    let mut w = w.restarted(config());
    // Numbers go on after those that were restored.
    let no = w.serve();
    w.notify(no, &queue(1, 2), 10);
    assert_eq!(noticed(w.deliver(&mut phone)), [(3, 3), (1, 9), (2, 10)]);
}

#[test]
fn an_answer_waits_for_what_it_says_and_nothing_else_does() {
    let mut w = World::new();
    let who = w.client(3);
    w.set_reading(who, false);
    let session = w.links[who].session;
    let phone = w.new_phone("phone");
    let asked = phone.register();
    w.post(who, &asked.entity, &asked.command, Some(&asked.key));
    w.drive();
    assert_eq!((w.router.needs(session), w.router.changed()), (1, 1));
    w.set_reading(who, true);
    w.set_reading(who, false);
    let ping = sxlab_protocol::ntf::command::Command::Ping;
    w.post(who, &sxlab_protocol::wire::EntityId::EMPTY, &ping, None);
    w.drive();
    assert_eq!(w.router.needs(session), 0);
}

#[test]
fn records_that_fit_to_nothing_are_refused_and_change_nothing() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    let no = w.subscribed(who, &mut phone, &queue(1, 1));
    w.notify(no, &queue(1, 1), 1);
    let records = w.router.store().records();
    let [token, subscription, notification] = records.clone().try_into().unwrap();
    let mut store = Store::default();
    assert!(matches!(store.restore(subscription.clone()), Err(RecordError::Orphan(_))));
    assert!(matches!(store.restore(notification.clone()), Err(RecordError::Orphan(_))));
    store.restore(token.clone()).unwrap();
    assert!(matches!(store.restore(notification.clone()), Err(RecordError::Orphan(_))));
    store.restore(subscription).unwrap();
    store.restore(notification).unwrap();
    for again in &records {
        assert!(matches!(store.restore(again.clone()), Err(RecordError::Taken(_))), "{}", again.key());
    }
    // The same device and key, or the same queue, under another id.
    let Record::Token { token, .. } = token else { panic!("no token") };
    let other = Record::Token { id: [1; 24].into(), token };
    assert!(matches!(store.restore(other), Err(RecordError::Taken(_))));
    let Record::Subscription { subscription, .. } = records[1].clone() else { panic!("no subscription") };
    let other = Record::Subscription { id: [1; 24].into(), subscription };
    assert!(matches!(store.restore(other), Err(RecordError::Taken(_))));
    assert_eq!(store.records(), records);
}
