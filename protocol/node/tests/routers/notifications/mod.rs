//! A notification router on sockets, with our SMP router and the stand-in for Apple's.

mod hostile;
mod losses;
mod party;

use sxlab_protocol::apns::request::Kind;
use sxlab_protocol::apns::{Reason, StandInConfig};
use sxlab_protocol::ntf::command::{DeviceToken, Provider};
use sxlab_protocol::ntf::device::{Answered, Pushed};
use sxlab_protocol::ntf::status::{InvalidReason, SubscriptionStatus, TokenStatus};
use sxlab_protocol::ntf::version::ALPN_VERSIONS;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{EntityId, VersionRange};

use self::party::{Phone, apple, apple_with, site};
use crate::network::{SECOND, run};
use crate::party::{client, site as smp_site};

#[test]
fn a_device_is_told_of_messages_and_can_read_which() {
    run(async |network| {
        let (_apple, smp, ntf) = (apple(&network), smp_site(&network, "a.test"), site(&network));
        let mut recipient = client(&network, "recipient", &smp).await;
        let sender = client(&network, "sender", &smp).await;
        let mut phone = Phone::new(&network, &ntf, "phone").await;
        assert_eq!(phone.version(), 3);

        let asked = phone.device.register();
        assert_eq!(phone.ask(Some(asked)).await.unwrap(), Answered::Registered);
        phone.pass(SECOND).await;
        let code = phone.bodies();
        // What the deployed router's bodies were recorded to have.
        assert_eq!((code.len(), code[0].0, code[0].1.len()), (1, Kind::Background, 4233));
        assert_eq!(phone.device.pushed(&code[0].1), Ok(Pushed::Code));
        assert_eq!(phone.status().await, TokenStatus::Confirmed);
        let asked = phone.device.verify();
        assert_eq!(phone.ask(asked).await.unwrap(), Answered::Verified);

        let watched = phone.watch(&recipient, &smp.address).await;
        assert_eq!(phone.subscription(&watched.name).await, SubscriptionStatus::Active);
        watched.message(&sender, &phone).await;
        let told = phone.bodies();
        assert_eq!((told.len(), told[0].0, told[0].1.len()), (1, Kind::Alert, 4310));
        let Ok(Pushed::Messages(list)) = phone.device.pushed(&told[0].1) else { panic!("no messages") };
        let (id, _) = recipient.received(&watched.queue).await;
        assert_eq!(list[0].message.as_ref().unwrap().id, id);
    });
}

#[test]
fn a_device_of_version_1_negotiates_no_protocol() {
    run(async |network| {
        let (_apple, ntf) = (apple(&network), site(&network));
        let token = DeviceToken { provider: Provider::ApnsTest, name: EntityId::new(b"6f6c64").unwrap() };
        let mut phone = Phone::with_token(&network, &ntf, "old", token, VersionRange::only(1)).await;
        assert_eq!(phone.version(), 1);
        phone.activate().await;
    });
}

#[test]
fn the_provider_of_nobody_needs_none() {
    run(async |network| {
        let ntf = site(&network);
        let token = DeviceToken { provider: Provider::ApnsNull, name: EntityId::new(b"00").unwrap() };
        let mut phone = Phone::offline(&network, &ntf, "null", token, ALPN_VERSIONS).await;
        let asked = phone.device.register();
        phone.ask(Some(asked)).await.unwrap();
        assert_eq!(phone.status().await, TokenStatus::Confirmed);
    });
}

/// Apple documents 4,096 bytes; sealed bodies of version 3 are larger, ours and the deployed router's.
#[test]
fn apple_s_documented_limit_takes_no_sealed_push() {
    run(async |network| {
        let stand_in = apple_with(&network, StandInConfig::default());
        let ntf = site(&network);
        let mut phone = Phone::new(&network, &ntf, "phone").await;
        let asked = phone.device.register();
        phone.ask(Some(asked)).await.unwrap();
        phone.pass(SECOND).await;
        assert_eq!(phone.bodies(), []);
        assert_eq!(stand_in.statistics().taken, 0);
        // 413 PayloadTooLarge: no use to try again, and nothing is said of the token.
        assert_eq!(phone.status().await, TokenStatus::Registered);
        let failed = ntf.node.operate(|core, _| core.statistics().pushes_failed);
        assert_eq!(failed, Some(1));
    });
}

#[test]
fn what_the_provider_says_of_a_token_is_told() {
    run(async |network| {
        let (apple, ntf) = (apple(&network), site(&network));
        let mut phone = Phone::active(&network, &ntf, "phone").await;
        apple.unregister(b"phone");
        let asked = phone.device.register();
        phone.ask(Some(asked)).await.unwrap();
        phone.pass(SECOND).await;
        assert_eq!(phone.status().await, TokenStatus::Invalid(Some(InvalidReason::Unregistered)));

        // A name that is no token of Apple's never gets there.
        let token = DeviceToken { provider: Provider::ApnsTest, name: EntityId::new(b"no token").unwrap() };
        let mut phone = Phone::with_token(&network, &ntf, "other", token, ALPN_VERSIONS).await;
        let asked = phone.device.register();
        phone.ask(Some(asked)).await.unwrap();
        phone.pass(SECOND).await;
        assert_eq!(phone.status().await, TokenStatus::Invalid(Some(InvalidReason::Bad)));
    });
}

#[test]
fn a_refusal_is_tried_once_more_if_it_may_pass() {
    for (reason, tries) in [
        (Reason::ServiceUnavailable, 2),
        (Reason::TooManyRequests, 1),
        (Reason::TopicDisallowed, 1),
        (Reason::InvalidProviderToken, 1),
    ] {
        run(async |network| {
            let (apple, ntf) = (apple(&network), site(&network));
            let mut phone = Phone::new(&network, &ntf, "phone").await;
            apple.refuse(Some(reason));
            let asked = phone.device.register();
            phone.ask(Some(asked)).await.unwrap();
            phone.pass(SECOND).await;
            let asked = ntf.node.operate(|core, _| core.statistics().verifications);
            assert_eq!(asked, Some(tries), "{reason:?}");
            assert_eq!(phone.status().await, TokenStatus::Registered);
        });
    }
}

#[test]
fn a_router_that_nobody_subscribes_at_any_more_is_left() {
    run(async |network| {
        let (_apple, smp, ntf) = (apple(&network), smp_site(&network, "a.test"), site(&network));
        let recipient = client(&network, "recipient", &smp).await;
        let mut phone = Phone::active(&network, &ntf, "phone").await;
        let watched = phone.watch(&recipient, &smp.address).await;
        assert_eq!((ntf.node.smp_sessions(), smp.node.sessions()), (1, 2));
        let asked = phone.device.unsubscribe(&watched.name);
        phone.ask(asked).await.unwrap();
        phone.pass(SECOND).await;
        assert_eq!((ntf.node.smp_sessions(), smp.node.sessions()), (0, 1));
        // And reached again when somebody does.
        let watched = phone.watch(&recipient, &smp.address).await;
        assert_eq!(phone.subscription(&watched.name).await, SubscriptionStatus::Active);
    });
}

#[test]
fn a_deleted_queue_s_subscription_is_deleted() {
    run(async |network| {
        let (_apple, smp, ntf) = (apple(&network), smp_site(&network, "a.test"), site(&network));
        let recipient = client(&network, "recipient", &smp).await;
        let mut phone = Phone::active(&network, &ntf, "phone").await;
        let watched = phone.watch(&recipient, &smp.address).await;
        assert_eq!(recipient.own(&watched.queue, &Command::Del).await.unwrap(), Response::Ok);
        phone.pass(20 * SECOND).await;
        assert_eq!(phone.subscription(&watched.name).await, SubscriptionStatus::Deleted);
    });
}
