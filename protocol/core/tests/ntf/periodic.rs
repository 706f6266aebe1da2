//! Periodic pushes (NT-15, NT-16).

use sxlab_protocol::ntf::device::{Answered, Device, Pushed};
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::ntf::status::TokenStatus;
use sxlab_protocol::smp::error::SmpError;

use crate::world::*;
use crate::{MINUTE, VERSIONS};

fn set(
    w: &mut World,
    who: Who,
    phone: &mut Device,
    minutes: u16,
) -> Result<Answered, sxlab_protocol::ntf::device::DeviceError> {
    let asked = phone.set_period(minutes);
    w.tell(who, phone, asked)
}

/// Minutes at which pushes are made, each taken at once by the provider.
fn times(w: &mut World, minutes: u64) -> Vec<u64> {
    let start = w.now;
    let mut times = Vec::new();
    for _ in 0..minutes {
        w.pass(MINUTE);
        while !w.pushes.is_empty() {
            times.push((w.now - start) / MINUTE);
            w.accept_push();
        }
    }
    times
}

#[test]
fn twenty_minutes_are_the_least_and_none_is_none() {
    for version in VERSIONS {
        let mut w = World::new();
        let who = w.client(version);
        let mut phone = w.phone(who, "phone");
        for minutes in [0, 20, 30, u16::MAX] {
            assert_eq!(set(&mut w, who, &mut phone, minutes), Ok(Answered::PeriodSet), "{minutes}");
        }
        for minutes in [1, 19] {
            assert_eq!(set(&mut w, who, &mut phone, minutes), refused(SmpError::Quota), "{minutes}");
        }
    }
}

/// Tokens are looked through every five minutes, and a period has to be over.
#[test]
fn a_check_is_pushed_once_the_period_is_over() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    assert_eq!(times(&mut w, 60), [0; 0]);
    set(&mut w, who, &mut phone, 20).unwrap();
    assert_eq!(times(&mut w, 100), [25, 50, 75, 100]);
    set(&mut w, who, &mut phone, 0).unwrap();
    assert_eq!(times(&mut w, 100), [0; 0]);
}

#[test]
fn what_is_pushed_says_that_the_device_should_look() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    set(&mut w, who, &mut phone, 20).unwrap();
    w.pass(25 * MINUTE);
    assert_eq!((w.pushes.len(), w.pushes[0].background), (1, true));
    let body = r#"{"aps":{"content-available":1},"notificationData":{"checkMessages":true}}"#;
    assert_eq!(sealed(&w.pushes[0]), body);
    assert_eq!(w.deliver(&mut phone), Pushed::Check);
}

#[test]
fn a_check_that_the_provider_did_not_take_is_pushed_at_the_next_look() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    set(&mut w, who, &mut phone, 60).unwrap();
    w.pass(65 * MINUTE);
    w.answer_push(429, "TooManyRequests");
    w.pass(4 * MINUTE);
    assert!(w.pushes.is_empty());
    w.pass(MINUTE);
    w.accept_push();
    assert_eq!(times(&mut w, 120), [65]);
}

#[test]
fn only_active_tokens_are_pushed_to() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    set(&mut w, who, &mut phone, 20).unwrap();
    let asked = phone.replace(token("new"));
    w.tell(who, &mut phone, asked).unwrap();
    w.deliver(&mut phone);
    assert_eq!(w.status(who, &mut phone), TokenStatus::Confirmed);
    assert_eq!(times(&mut w, 60), [0; 0]);
    let asked = phone.verify();
    w.tell(who, &mut phone, asked).unwrap();
    assert_eq!(times(&mut w, 10), [5]);
}

/// As the deployed router's query is written, it never finds a token that has had no periodic push.
#[test]
fn without_the_setting_nobody_gets_a_first_one() {
    let mut w = World::with(RouterConfig { first_periodic: false, ..config() });
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    set(&mut w, who, &mut phone, 20).unwrap();
    assert_eq!(times(&mut w, 300), [0; 0]);
}

#[test]
fn periods_go_on_after_a_restart() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "phone");
    set(&mut w, who, &mut phone, 60).unwrap();
    assert_eq!(times(&mut w, 70), [65]);
    let mut w = w.restarted(config());
    assert_eq!(times(&mut w, 130), [60, 125]);
}
