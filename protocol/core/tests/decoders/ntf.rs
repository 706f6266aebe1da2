//! The notification protocol: commands, responses, hellos and pushes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sxlab_protocol::crypto::SharedSecret;
use sxlab_protocol::crypto::certificate::SignedKey;
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::ntf::command::*;
use sxlab_protocol::ntf::handshake::{ClientHello, RouterHello};
use sxlab_protocol::ntf::push::{self, Notification, Push, PushError};
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::router::{Kept, Record, SubscriptionRecord, TokenRecord};
use sxlab_protocol::ntf::status::*;
use sxlab_protocol::ntf::version::{Layout, MAX, MIN};
use sxlab_protocol::smp::error::CommandError;
use sxlab_protocol::wire::*;

use crate::addresses::router;
use crate::owed;
use crate::responses::error;
use crate::values::*;

pub(crate) fn secret_key() -> impl Strategy<Value = AuthSecretKey> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(|seed| Ed25519Secret::from_seed(seed).into()),
        any::<[u8; 32]>().prop_map(|seed| X25519Secret::from_bytes(seed).into()),
        any::<u8>().prop_map(|seed| Ed448Secret::from_seed([seed; 57]).into()),
    ]
}

pub(crate) fn device() -> impl Strategy<Value = DeviceToken> {
    (prop::sample::select(Provider::ALL.to_vec()), entity())
        .prop_map(|(provider, name)| DeviceToken { provider, name })
}

pub(crate) fn notifier_queue() -> impl Strategy<Value = NotifierQueue> {
    (router(), entity()).prop_map(|(router, notifier)| NotifierQueue { router, notifier })
}

pub(crate) fn command() -> impl Strategy<Value = Command> {
    let bare = vec![Command::TChk, Command::TDel, Command::SChk, Command::SDel, Command::Ping];
    let token = (device(), auth_key(), x25519());
    let subscription = (entity(), notifier_queue(), secret_key());
    prop_oneof![
        prop::sample::select(bare),
        token.prop_map(|(device, auth_key, dh_key)| {
            Command::TNew(Box::new(NewToken { device, auth_key, dh_key }))
        }),
        bytes(256).prop_map(|code| Command::TVfy(Code::new(&code).unwrap())),
        device().prop_map(Command::TRpl),
        any::<u16>().prop_map(Command::TCrn),
        subscription.prop_map(|(token, queue, key)| {
            Command::SNew(Box::new(NewSubscription { token, queue, key }))
        }),
    ]
}

pub(crate) fn encoded_command(command: &Command) -> Vec<u8> {
    let mut out = Vec::new();
    command.encode(&mut out).unwrap();
    out
}

pub(crate) fn subscription_status() -> impl Strategy<Value = SubscriptionStatus> {
    let plain = vec![
        SubscriptionStatus::New,
        SubscriptionStatus::Pending,
        SubscriptionStatus::Active,
        SubscriptionStatus::Inactive,
        SubscriptionStatus::End,
        SubscriptionStatus::Deleted,
        SubscriptionStatus::Auth,
        SubscriptionStatus::Service,
    ];
    prop_oneof![prop::sample::select(plain), text().prop_map(SubscriptionStatus::Err)]
}

pub(crate) fn response() -> impl Strategy<Value = Response> {
    prop_oneof![
        prop::sample::select(vec![Response::Ok, Response::Pong]),
        (entity(), x25519()).prop_map(|(id, dh_key)| Response::IdTkn { id, dh_key }),
        entity().prop_map(Response::IdSub),
        error().prop_map(Response::Err),
        prop::sample::select(TokenStatus::ALL.to_vec()).prop_map(Response::Tkn),
        subscription_status().prop_map(Response::Sub),
    ]
}

pub(crate) fn encoded_response(response: &Response, version: u16) -> Vec<u8> {
    let mut out = Vec::new();
    response.encode(&Layout::of(version), &mut out).unwrap();
    out
}

pub(crate) fn router_hello() -> impl Strategy<Value = RouterHello> {
    (MIN..=MAX, bytes(64), any::<[u8; 32]>()).prop_map(|(max, session_id, seed)| {
        let leaf = Ed25519Secret::from_seed(seed);
        let key = (max > 1).then(|| SignedKey::make(X25519Secret::from_bytes(seed).public(), leaf));
        RouterHello { versions: VersionRange::new(MIN, max).unwrap(), session_id, key }
    })
}

pub(crate) fn client_hello() -> impl Strategy<Value = ClientHello> {
    any::<(u16, [u8; 32])>().prop_map(|(version, identity)| ClientHello { version, identity })
}

pub(crate) fn notification() -> impl Strategy<Value = Notification> {
    (notifier_queue(), any::<u64>(), any::<[u8; 24]>(), bytes(200))
        .prop_map(|(queue, time, nonce, meta)| Notification { queue, time, nonce, meta })
}

pub(crate) fn pushed() -> impl Strategy<Value = Push> {
    prop_oneof![
        Just(Push::CheckMessages),
        bytes(256).prop_map(|code| Push::Verification(Code::new(&code).unwrap())),
        vec(notification(), 1..=3).prop_map(Push::Messages),
    ]
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    let keys = (auth_key(), x25519(), any::<[u8; 32]>());
    let state = (prop::sample::select(TokenStatus::ALL.to_vec()), any::<(u16, u64, bool)>());
    let token = (device(), keys, bytes(256), state).prop_map(
        |(device, (key, device_key, own_key), code, (status, (period, sent, was_sent)))| TokenRecord {
            device,
            key,
            device_key,
            own_key,
            secret: SharedSecret::from_bytes(own_key),
            code: Code::new(&code).unwrap(),
            status,
            period,
            sent,
            was_sent,
        },
    );
    let subscription = (entity(), notifier_queue(), secret_key(), subscription_status(), any::<bool>());
    let subscription = subscription.prop_map(|(token, queue, key, status, by_service)| {
        // Of the states that are subscribed to again one stands for all.
        let status = if status.subscribes() { SubscriptionStatus::Pending } else { status };
        let NotifierQueue { router, notifier } = queue;
        SubscriptionRecord { token, router, notifier, key, status, by_service }
    });
    let kept = (any::<(u64, u64, [u8; 24])>(), bytes(200)).prop_map(|((number, time, nonce), meta)| Kept {
        number,
        time,
        nonce,
        meta: meta.into(),
    });
    prop_oneof![
        (router(), entity()).prop_map(|(router, service)| Record::Router { router, service }),
        (entity(), token).prop_map(|(id, token)| Record::Token { id, token }),
        (entity(), subscription).prop_map(|(id, subscription)| Record::Subscription { id, subscription }),
        (entity(), kept).prop_map(|(subscription, kept)| Record::Notification { subscription, kept }),
    ]
}

proptest! {
    #[test]
    fn records(record in record(), at: prop::sample::Index, byte: u8, how in 0..4u8) {
        let (key, value) = (record.key().encode(), record.value());
        prop_assert_eq!(Record::decode(&key, &value), Ok(record));
        if let Ok(length) = u8::try_from(key.len()) {
            owed::ntf_record(&damaged([vec![length], key, value].concat(), at, byte, how));
        }
    }

    #[test]
    fn bytes_near_values(
        command in command(), response in response(), router in router_hello(), client in client_hello(),
        notifications in vec(notification(), 1..4), at: prop::sample::Index, byte: u8, how in 0..4u8
    ) {
        owed::ntf_command(&damaged(encoded_command(&command), at, byte, how));
        owed::ntf_response(&damaged([vec![MAX as u8], encoded_response(&response, MAX)].concat(), at, byte, how));
        owed::ntf_hello(&damaged(router.encode().unwrap(), at, byte, how));
        owed::ntf_hello(&damaged(client.encode().unwrap(), at, byte, how));
        owed::ntf_push(&damaged(push::text(&notifications).into_bytes(), at, byte, how));
    }

    #[test]
    fn commands(command in command()) {
        prop_assert_eq!(Command::decode(&encoded_command(&command)), Ok(command));
    }

    #[test]
    fn responses(response in response()) {
        prop_assert_eq!(Response::decode(&encoded_response(&response, MAX)), Ok(response));
    }

    #[test]
    fn responses_of_old(response in response(), version in MIN..MAX) {
        let bytes = encoded_response(&response, version);
        let arrived = Response::decode(&bytes).unwrap();
        prop_assert_eq!(encoded_response(&arrived, version), bytes);
    }

    #[test]
    fn hellos(router in router_hello(), client in client_hello(), tail in bytes(20)) {
        let bytes = [router.encode().unwrap(), tail.clone()].concat();
        prop_assert_eq!(RouterHello::decode(&bytes), Ok(router));
        prop_assert_eq!(ClientHello::decode(&[client.encode().unwrap(), tail].concat()), Ok(client));
    }

    #[test]
    fn pushes(pushed in pushed(), secret: [u8; 32], nonce: [u8; 24]) {
        let secret = SharedSecret::from_bytes(secret);
        let body = pushed.seal(&secret, &nonce).unwrap();
        prop_assert_eq!(body.len(), pushed.size());
        prop_assert_eq!(Push::open(body.as_bytes(), &secret), Ok(pushed.clone()));
        let stranger = SharedSecret::from_bytes([7; 32]);
        if pushed != Push::CheckMessages {
            prop_assert!(matches!(Push::open(body.as_bytes(), &stranger), Err(PushError::Box(_))));
        }
    }

    #[test]
    fn damaged_pushes(pushed in pushed(), at: prop::sample::Index, byte: u8, how in 0..4u8) {
        let body = pushed.seal(&SharedSecret::from_bytes([1; 32]), &[2; 24]).unwrap();
        owed::ntf_push(&damaged(body.into_bytes(), at, byte, how));
    }

    #[test]
    fn queues_as_text(queue in notifier_queue(), note in option::of("[;, ]")) {
        prop_assert_eq!(queue.to_string().parse(), Ok(queue.clone()));
        if let Some(note) = note {
            let with_note = [queue.to_string(), note].concat();
            prop_assert!(with_note.parse::<NotifierQueue>().is_err());
        }
    }
}

/// As the deployed router was recorded to answer (NT-7, NT-22).
#[test]
fn syntax_errors() {
    let refused = |text: &str| Command::decode(text.as_bytes()).unwrap_err();
    for unknown in ["", "FOO", "PONG", "TNEWT", "tchk", "TCHK=", "SUB", "TID"] {
        assert_eq!(refused(unknown), CommandError::Unknown, "{unknown:?}");
    }
    for syntax in
        ["PING ", "TNEW", "TNEW S", "TNEW TXX\0", "TCHK ", "TVFY", "TCRN", "TCRN 5", "SNEW", "SNEW S"]
    {
        assert_eq!(refused(syntax), CommandError::Syntax, "{syntax:?}");
    }
}

/// What a provider gives back need not be JSON, nor of our form.
#[test]
fn pushes_that_are_none() {
    let secret = SharedSecret::from_bytes([1; 32]);
    for body in [
        "",
        "{",
        "null",
        r#"{"aps":{}}"#,
        r#"{"notificationData":{}}"#,
        r#"{"notificationData":{"checkMessages":false}}"#,
        r#"{"notificationData":{"verification":"AAAA"}}"#,
    ] {
        assert!(matches!(Push::open(body.as_bytes(), &secret), Err(PushError::Form(_))), "{body}");
    }
    for body in [
        r#"{"notificationData":{"nonce":"AAAA","verification":"AAAA"}}"#,
        r#"{"notificationData":{"nonce":"+","message":"AAAA"}}"#,
    ] {
        assert!(matches!(Push::open(body.as_bytes(), &secret), Err(PushError::Content(_))), "{body}");
    }
}
