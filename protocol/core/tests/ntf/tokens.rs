//! Tokens: registering, verifying, replacing, deleting, and every move between their states (NT-6 to NT-15, NT-33).

use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::ntf::command::*;
use sxlab_protocol::ntf::device::{Answered, Device, Pushed};
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::router::*;
use sxlab_protocol::ntf::status::{InvalidReason, TokenStatus};
use sxlab_protocol::smp::error::{CommandError, SmpError};
use sxlab_protocol::wire::EntityId;

use crate::VERSIONS;
use crate::world::*;

const AUTH: SmpError = SmpError::Auth;
const PROHIBITED: SmpError = SmpError::Command(CommandError::Prohibited);

/// A router with one token in a state that no command leads to, or not at once; with the device that has its keys.
fn with_token(status: TokenStatus) -> (World, Device) {
    let key: AuthSecretKey = Ed25519Secret::from_seed([3; 32]).into();
    let (dh_key, own) = (X25519Secret::from_bytes([4; 32]), X25519Secret::from_bytes([5; 32]));
    let device = Device::with_keys(token("phone"), key.clone(), dh_key.clone());
    let mut store = Store::default();
    let record = TokenRecord {
        device: token("phone"),
        key: key.public(),
        device_key: dh_key.public(),
        own_key: own.to_bytes(),
        secret: own.dh(&dh_key.public()),
        code: [9; 32].into(),
        status,
        period: 0,
        sent: 0,
        was_sent: false,
    };
    store.restore(Record::Token { id: [8; 24].into(), token: record }).unwrap();
    (World::continued(config(), store.journaled(), start_of_time()), device)
}

/// The state of the restored token.
fn status_of(w: &World) -> TokenStatus {
    w.router.store().token(&[8; 24].into()).unwrap().status
}

fn verify_with(w: &mut World, who: Who, code: [u8; 32]) -> Response {
    let key = Ed25519Secret::from_seed([3; 32]).into();
    w.ask(who, &[8; 24].into(), &Command::TVfy(code.into()), Some(&key))
}

#[test]
fn a_token_is_registered_then_confirmed_by_the_provider_then_active_by_its_code() {
    for version in VERSIONS {
        let mut w = World::new();
        let who = w.client(version);
        let mut phone = w.new_phone("phone");
        let asked = Some(phone.register());
        assert_eq!(w.tell(who, &mut phone, asked), Ok(Answered::Registered));
        assert_eq!(phone.id().unwrap().as_bytes().len(), 24);
        assert_eq!(w.status(who, &mut phone), TokenStatus::Registered);
        let request = w.pushes[0].clone();
        assert_eq!(
            (request.device.clone(), request.background, request.again),
            (token("phone"), true, false)
        );
        assert_eq!(request.body.size(), 4233);
        assert_eq!(w.deliver(&mut phone), Pushed::Code);
        assert_eq!(w.status(who, &mut phone), TokenStatus::Confirmed);
        // NT-11: repeatable, in case the answer was lost.
        for _ in 0..2 {
            let asked = phone.verify();
            assert_eq!(w.tell(who, &mut phone, asked), Ok(Answered::Verified));
            assert_eq!(w.status(who, &mut phone), TokenStatus::Active);
        }
        assert!(w.pushes.is_empty());
    }
}

#[test]
fn a_code_may_come_before_the_provider_says_that_it_took_it() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.new_phone("phone");
    let asked = Some(phone.register());
    w.tell(who, &mut phone, asked).unwrap();
    phone.pushed(sealed(&w.pushes[0]).as_bytes()).unwrap();
    let asked = phone.verify();
    assert_eq!(w.tell(who, &mut phone, asked), Ok(Answered::Verified));
    w.accept_push();
    assert_eq!(w.status(who, &mut phone), TokenStatus::Active);
}

#[test]
fn all_key_types_register() {
    for key_type in [KeyType::Ed25519, KeyType::Ed448, KeyType::X25519] {
        let mut w = World::new();
        let who = w.client(3);
        let mut phone = Device::new(token("phone"), key_type, &mut w.rng);
        let asked = Some(phone.register());
        assert_eq!(w.tell(who, &mut phone, asked), Ok(Answered::Registered), "{key_type:?}");
        assert_eq!(w.status(who, &mut phone), TokenStatus::Registered);
    }
}

#[test]
fn a_wrong_code_is_refused_and_changes_nothing() {
    for version in VERSIONS {
        let mut w = World::new();
        let who = w.client(version);
        let mut phone = w.phone(who, "phone");
        let (id, key) = (phone.id().unwrap().clone(), phone.check().unwrap().key);
        let wrong = Command::TVfy([1; 32].into());
        assert_eq!(w.ask(who, &id, &wrong, Some(&key)), Response::Err(AUTH));
        assert_eq!(w.status(who, &mut phone), TokenStatus::Active);
    }
}

/// NT-11: the right code makes active what is registered, confirmed or active, and nothing else.
#[test]
fn the_right_code_makes_active_from_three_states() {
    for before in TokenStatus::ALL {
        let (mut w, _) = with_token(before);
        let who = w.client(3);
        let takes = matches!(before, TokenStatus::Registered | TokenStatus::Confirmed | TokenStatus::Active);
        let (answer, after) =
            if takes { (Response::Ok, TokenStatus::Active) } else { (Response::Err(AUTH), before) };
        assert_eq!(verify_with(&mut w, who, [9; 32]), answer, "{before}");
        assert_eq!(status_of(&w), after);
        assert_eq!(verify_with(&mut w, who, [1; 32]), Response::Err(AUTH));
        assert_eq!(status_of(&w), after);
    }
}

/// NT-9: same id, same key, same code; what is not verified nor to be verified begins again.
#[test]
fn registering_again_sends_the_code_again_and_begins_again_where_it_has_to() {
    for before in TokenStatus::ALL {
        let (mut w, mut phone) = with_token(before);
        let who = w.client(3);
        let asked = Some(phone.register());
        assert_eq!(w.tell(who, &mut phone, asked), Ok(Answered::Registered));
        assert_eq!(phone.id(), Some(&EntityId::from([8; 24])));
        let goes_on =
            matches!(before, TokenStatus::Registered | TokenStatus::Confirmed | TokenStatus::Active);
        assert_eq!(status_of(&w), if goes_on { before } else { TokenStatus::Registered }, "{before}");
        assert_eq!(w.deliver(&mut phone), Pushed::Code);
        let asked = phone.verify().unwrap();
        assert_eq!(asked.command, Command::TVfy([9; 32].into()));
        assert_eq!(w.tell(who, &mut phone, Some(asked)), Ok(Answered::Verified));
    }
}

#[test]
fn registering_again_with_another_key_for_pushes_is_refused() {
    let mut w = World::new();
    let who = w.client(3);
    let phone = w.phone(who, "phone");
    let key = phone.check().unwrap().key;
    let mut other = Device::with_keys(token("phone"), key, X25519Secret::from_bytes([1; 32]));
    let asked = Some(other.register());
    assert_eq!(w.tell(who, &mut other, asked), refused(AUTH));
    assert!(w.pushes.is_empty());
}

/// NT-10.
#[test]
fn two_keys_register_the_same_device_apart_and_whoever_verifies_keeps_it() {
    for version in VERSIONS {
        let mut w = World::new();
        let who = w.client(version);
        let mut first = w.phone(who, "phone");
        let queue = queue(1, 1);
        w.subscribed(who, &mut first, &queue);
        let mut second = w.new_phone("phone");
        let asked = Some(second.register());
        w.tell(who, &mut second, asked).unwrap();
        assert_ne!(first.id(), second.id());
        assert_eq!(w.status(who, &mut first), TokenStatus::Active);
        w.deliver(&mut second);
        let asked = second.verify();
        w.tell(who, &mut second, asked).unwrap();
        let asked = first.check();
        assert_eq!(w.tell(who, &mut first, asked), refused(AUTH));
        let asked = first.check_subscription(&queue);
        assert_eq!(w.tell(who, &mut first, asked), refused(AUTH));
        // The queue is free for the other one.
        w.subscribed(who, &mut second, &queue);
    }
}

/// NT-13, as observed: the state is confirmed as soon as the provider takes the new code.
#[test]
fn a_replaced_token_keeps_id_and_subscriptions_and_is_verified_again() {
    for version in VERSIONS {
        let mut w = World::new();
        let who = w.client(version);
        let mut phone = w.phone(who, "old");
        let queue = queue(1, 1);
        let no = w.subscribed(who, &mut phone, &queue);
        let (id, old_code) = (phone.id().unwrap().clone(), phone.verify().unwrap());
        let asked = phone.replace(token("new"));
        assert_eq!(w.tell(who, &mut phone, asked), Ok(Answered::Replaced));
        assert_eq!(w.status(who, &mut phone), TokenStatus::Registered);
        assert_eq!(w.tell(who, &mut phone, Some(old_code)), refused(AUTH));
        // Not verified: nothing is pushed, and subscriptions can't be asked about.
        w.notify(no, &queue, 1);
        assert_eq!(w.pushes.len(), 1);
        let asked = phone.check_subscription(&queue);
        assert_eq!(w.tell(who, &mut phone, asked), refused(AUTH));
        assert_eq!(w.pushes[0].device, token("new"));
        w.deliver(&mut phone);
        assert_eq!(w.status(who, &mut phone), TokenStatus::Confirmed);
        let asked = phone.verify();
        assert_eq!(w.tell(who, &mut phone, asked), Ok(Answered::Verified));
        assert_eq!(phone.id(), Some(&id));
        assert_eq!(w.subscription(who, &mut phone, &queue), "ACTIVE");
        w.notify(no, &queue, 2);
        assert_eq!(w.pushes[0].device, token("new"));
    }
}

#[test]
fn a_token_is_replaced_in_every_state() {
    for before in TokenStatus::ALL {
        let (mut w, _) = with_token(before);
        let who = w.client(3);
        let key = Ed25519Secret::from_seed([3; 32]).into();
        let replace = Command::TRpl(token("new"));
        assert_eq!(w.ask(who, &[8; 24].into(), &replace, Some(&key)), Response::Ok);
        assert_eq!(status_of(&w), TokenStatus::Registered, "{before}");
        assert_eq!(w.pushes.len(), 1);
    }
}

#[test]
fn a_device_is_not_replaced_by_one_that_its_key_has_registered() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.phone(who, "one");
    let key = phone.check().unwrap().key;
    let mut other = Device::with_keys(token("two"), key, X25519Secret::from_bytes([1; 32]));
    let asked = Some(other.register());
    w.tell(who, &mut other, asked).unwrap();
    let asked = phone.replace(token("two"));
    assert!(w.tell(who, &mut phone, asked).is_err());
    assert_eq!(w.status(who, &mut phone), TokenStatus::Active);
    // By itself it may be.
    let asked = phone.replace(token("one"));
    assert_eq!(w.tell(who, &mut phone, asked), Ok(Answered::Replaced));
}

/// NT-14.
#[test]
fn a_deleted_token_is_gone_with_its_subscriptions() {
    for version in VERSIONS {
        let mut w = World::new();
        let who = w.client(version);
        let mut phone = w.phone(who, "phone");
        let queue = queue(1, 1);
        let no = w.subscribed(who, &mut phone, &queue);
        let (delete, check) = (phone.delete(), phone.check_subscription(&queue).unwrap());
        assert_eq!(w.tell(who, &mut phone, delete.clone()), Ok(Answered::Deleted));
        let answer = w.ask(who, &check.entity, &check.command, Some(&check.key));
        assert_eq!(answer, Response::Err(AUTH));
        assert_eq!(w.tell(who, &mut phone, delete), refused(AUTH));
        w.notify(no, &queue, 1);
        assert!(w.pushes.is_empty());
        assert_eq!((w.router.store().tokens(), w.router.store().subscriptions()), (0, 0));
    }
}

/// NT-7.
#[test]
fn the_provider_for_tests_is_prohibited_unless_allowed() {
    let mut w = World::with(RouterConfig::default());
    let who = w.client(3);
    let mut phone = w.new_phone("phone");
    let asked = Some(phone.register());
    assert_eq!(w.tell(who, &mut phone, asked), refused(PROHIBITED));
    assert_eq!(w.router.store().tokens(), 0);
    for provider in [Provider::ApnsDev, Provider::ApnsProd, Provider::ApnsNull] {
        let device = DeviceToken { provider, name: EntityId::new(b"phone").unwrap() };
        let mut phone = Device::new(device, KeyType::Ed25519, &mut w.rng);
        let asked = Some(phone.register());
        assert_eq!(w.tell(who, &mut phone, asked), Ok(Answered::Registered), "{provider}");
        let asked = phone.replace(token("phone"));
        assert_eq!(w.tell(who, &mut phone, asked), refused(PROHIBITED));
    }
    // To nobody nothing is pushed, and it counts as taken.
    assert_eq!(w.pushes.len(), 2);
}

#[test]
fn what_is_pushed_to_nobody_counts_as_taken() {
    let mut w = World::new();
    let who = w.client(3);
    let device = DeviceToken { provider: Provider::ApnsNull, name: EntityId::new(b"test").unwrap() };
    let mut phone = Device::new(device, KeyType::Ed25519, &mut w.rng);
    let asked = Some(phone.register());
    w.tell(who, &mut phone, asked).unwrap();
    assert_eq!(w.status(who, &mut phone), TokenStatus::Confirmed);
    assert!(w.pushes.is_empty());
}

/// NT-32, and NT-12: only version 3 says why.
#[test]
fn a_provider_that_refuses_the_device_makes_the_token_invalid() {
    for (status, reason, expected) in [
        (400, "BadDeviceToken", InvalidReason::Bad),
        (400, "DeviceTokenNotForTopic", InvalidReason::Topic),
        (410, "ExpiredToken", InvalidReason::Expired),
        (410, "Unregistered", InvalidReason::Unregistered),
    ] {
        for version in VERSIONS {
            let mut w = World::new();
            let who = w.client(version);
            let mut phone = w.new_phone("phone");
            let asked = Some(phone.register());
            w.tell(who, &mut phone, asked).unwrap();
            w.answer_push(status, reason);
            let told = if version < 3 { None } else { Some(expected) };
            assert_eq!(w.status(who, &mut phone), TokenStatus::Invalid(told));
            assert!(w.pushes.is_empty());
        }
    }
}

#[test]
fn an_invalid_token_is_confirmed_when_the_provider_takes_a_code_after_all() {
    let (mut w, mut phone) = with_token(TokenStatus::Active);
    let who = w.client(3);
    let asked = Some(phone.register());
    w.tell(who, &mut phone, asked).unwrap();
    let asked = Some(phone.register());
    w.tell(who, &mut phone, asked).unwrap();
    w.answer_push(410, "Unregistered");
    assert!(is_invalid(status_of(&w)));
    w.accept_push();
    assert_eq!(status_of(&w), TokenStatus::Confirmed);
}

#[test]
fn nobody_else_gives_a_tokens_commands() {
    for version in VERSIONS {
        let mut w = World::new();
        let who = w.client(version);
        let phone = w.phone(who, "phone");
        let mut other = w.phone(who, "other");
        for asked in
            [phone.verify(), phone.check(), phone.replace(token("x")), phone.delete(), phone.set_period(30)]
        {
            let mut asked = asked.unwrap();
            asked.key = other.check().unwrap().key;
            assert_eq!(w.tell(who, &mut other, Some(asked)), refused(AUTH));
        }
        let unknown = w.ask(who, &[1; 24].into(), &Command::TChk, Some(&other.check().unwrap().key));
        assert_eq!(unknown, Response::Err(AUTH));
    }
}

/// All of a block is looked at before any of it is carried out.
#[test]
fn a_command_finds_what_was_there_before_its_block() {
    let mut w = World::new();
    let who = w.client(3);
    let mut phone = w.new_phone("phone");
    let asked = Some(phone.register());
    w.tell(who, &mut phone, asked).unwrap();
    w.deliver(&mut phone);
    let (verify, check) = (phone.verify().unwrap(), phone.check().unwrap());
    let corrs = [&verify, &check].map(|asked| w.post(who, &asked.entity, &asked.command, Some(&asked.key)));
    w.drive();
    let answers = corrs.map(|corr| w.answer(who, &corr).unwrap());
    assert_eq!(answers, [Response::Ok, Response::Tkn(TokenStatus::Confirmed)]);
    assert_eq!(w.status(who, &mut phone), TokenStatus::Active);
}
