//! The router as a service of SMP routers (NT-25).

use sxlab_protocol::crypto::hash::md5;
use sxlab_protocol::ntf::device::Device;
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::smp::command::ServiceQueues;
use sxlab_protocol::smp::error::SmpError;
use sxlab_protocol::wire::EntityId;

use crate::world::*;

fn service(number: u8) -> Option<EntityId> {
    Some([number; 24].into())
}

fn serving() -> RouterConfig {
    RouterConfig { service: true, ..config() }
}

/// The SMP router answers each NSUB that was asked for as the service's.
fn accept(w: &mut World, service: Option<EntityId>) {
    while let Some((no, asked)) = w.asked.pop_front() {
        if let SmpAsk::Subscribe(queues) = asked {
            for queue in queues {
                w.answered(no, &queue.notifier, Answer::Subscribed(service.clone()));
            }
        }
    }
}

/// A router that is service 5 at SMP router 1, where three queues are its own.
fn of_service() -> (World, Who, Device) {
    let mut w = World::with(serving());
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    for notifier in 1..=3 {
        w.subscribe(who, &mut phone, &queue(1, notifier));
    }
    assert_eq!(w.asked(), ["1 connect as service"]);
    w.smp(SmpNo(1), SmpTold::Connected { service: service(5) });
    accept(&mut w, service(5));
    (w, who, phone)
}

fn is_service(w: &World, notifier: u8) -> bool {
    let id = w.router.store().subscribed(&smp_router(1), &[notifier; 24].into()).unwrap();
    w.router.store().subscription(id).unwrap().by_service
}

fn hash(notifiers: impl IntoIterator<Item = u8>) -> [u8; 16] {
    notifiers.into_iter().fold([0; 16], |mut hash, notifier| {
        hash.iter_mut().zip(md5(&[notifier; 24])).for_each(|(byte, other)| *byte ^= other);
        hash
    })
}

#[test]
fn queues_become_the_services_one_by_one_and_are_then_subscribed_to_at_once() {
    let (mut w, who, mut phone) = of_service();
    assert!((1..=3).all(|notifier| is_service(&w, notifier)));
    w.smp(SmpNo(1), SmpTold::Lost);
    // What is the service's stays as it is.
    assert_eq!(w.subscription(who, &mut phone, &queue(1, 1)), "ACTIVE");
    assert_eq!(w.asked(), ["1 connect as service"]);
    w.smp(SmpNo(1), SmpTold::Connected { service: service(5) });
    let Some((_, asked)) = w.asked.pop_front() else { panic!("nothing asked") };
    assert_eq!(asked, SmpAsk::SubscribeService(ServiceQueues { count: 3, hash: hash(1..=3) }));
    assert!(w.asked.is_empty());
    // Another count than expected is not acted upon.
    let fewer = ServiceQueues { count: 2, hash: hash(1..=2) };
    w.smp(SmpNo(1), SmpTold::ServiceSubscribed(Ok(fewer)));
    assert!(w.asked.is_empty());
    w.subscribe(who, &mut phone, &queue(1, 4));
    assert_eq!(w.asked(), ["1 subscribe 1"]);
}

#[test]
fn after_a_restart_one_command_subscribes_to_all() {
    let (w, _, mut phone) = of_service();
    let mut w = w.restarted(serving());
    assert_eq!(w.asked(), ["1 connect as service"]);
    w.smp(SmpNo(1), SmpTold::Connected { service: service(5) });
    assert_eq!(w.asked(), ["1 subscribe service of 3"]);
    let who = w.client(3);
    w.notify(SmpNo(1), &queue(1, 2), 2);
    assert_eq!(noticed(w.deliver(&mut phone)), [(2, 2)]);
    assert_eq!(w.subscription(who, &mut phone, &queue(1, 1)), "PENDING");
}

#[test]
fn another_service_id_or_none_means_one_by_one_again() {
    for other in [service(6), None] {
        let (mut w, who, mut phone) = of_service();
        w.smp(SmpNo(1), SmpTold::Lost);
        w.asked.clear();
        w.smp(SmpNo(1), SmpTold::Connected { service: other.clone() });
        assert_eq!(w.asked(), ["1 subscribe 3"]);
        assert_eq!(w.subscription(who, &mut phone, &queue(1, 1)), "INACTIVE");
        assert!(!is_service(&w, 1));
        assert_eq!(w.router.store().service(SmpNo(1)), other.as_ref());
        for notifier in 1..=3 {
            w.answered(SmpNo(1), &[notifier; 24].into(), Answer::Subscribed(other.clone()));
        }
        assert_eq!(w.subscription(who, &mut phone, &queue(1, 1)), "ACTIVE");
        assert_eq!(is_service(&w, 1), other.is_some());
    }
}

#[test]
fn a_refused_service_subscription_means_one_by_one_again() {
    let (mut w, _, _) = of_service();
    w.smp(SmpNo(1), SmpTold::Lost);
    w.smp(SmpNo(1), SmpTold::Connected { service: service(5) });
    w.asked.clear();
    w.smp(SmpNo(1), SmpTold::ServiceSubscribed(Err(SmpError::Auth)));
    assert!(w.asked.is_empty());
    w.smp(SmpNo(1), SmpTold::ServiceSubscribed(Err(SmpError::Service)));
    assert_eq!(w.asked(), ["1 subscribe 3"]);
    accept(&mut w, service(5));
}

#[test]
fn a_queue_that_is_no_services_is_subscribed_to_alone() {
    let (mut w, _, _) = of_service();
    w.smp(SmpNo(1), SmpTold::Lost);
    w.smp(SmpNo(1), SmpTold::Connected { service: service(5) });
    w.asked.clear();
    w.smp(SmpNo(1), SmpTold::End([1; 24].into()));
    w.smp(SmpNo(1), SmpTold::Lost);
    w.smp(SmpNo(1), SmpTold::Connected { service: service(5) });
    assert_eq!(w.asked(), ["1 connect as service", "1 subscribe service of 2"]);
}

#[test]
fn a_router_that_is_no_service_any_more_subscribes_one_by_one() {
    let (w, _, _) = of_service();
    let mut w = w.restarted(config());
    w.smp(SmpNo(1), SmpTold::Connected { service: None });
    assert_eq!(w.asked(), ["1 connect", "1 subscribe 3"]);
}
