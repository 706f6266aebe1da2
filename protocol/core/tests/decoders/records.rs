//! Records of a store.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sxlab_protocol::crypto::SharedSecret;
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::smp::command::*;
use sxlab_protocol::smp::error::*;
use sxlab_protocol::smp::router::*;
use sxlab_protocol::transport::ServiceRole;
use sxlab_protocol::wire::*;

use crate::owed;
use crate::values::*;

fn status() -> impl Strategy<Value = Status> {
    let reason = prop_oneof![Just(BlockingReason::Spam), Just(BlockingReason::Content)];
    let notice = option::of(any::<Option<i64>>().prop_map(|ttl| Notice { ttl }));
    let blocked = (reason, notice).prop_map(|(reason, notice)| BlockingInfo { reason, notice });
    prop_oneof![Just(Status::Active), Just(Status::Off), blocked.prop_map(Status::Blocked)]
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::Quota),
        (any::<bool>(), bytes(400))
            .prop_map(|(notification, body)| Content::Message { flags: MsgFlags { notification }, body }),
    ]
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    let secret = || any::<[u8; 32]>().prop_map(SharedSecret::from_bytes);
    let id = || bytes(40).prop_map(|b| MsgId::new(&b).unwrap());
    let keys = (vec(auth_key(), 0..4), option::of(auth_key()));
    let queue = (keys, secret(), entity(), option::of(mode()), status(), option::of(entity())).prop_map(
        |((recipient_keys, sender_key), secret, sender, mode, status, service)| QueueRecord {
            recipient_keys,
            secret,
            sender,
            sender_key,
            mode,
            status,
            service,
        },
    );
    let role =
        prop_oneof![Just(ServiceRole::Messaging), Just(ServiceRole::Notifications), Just(ServiceRole::Proxy)];
    let data = (bytes(300), bytes(300)).prop_map(|(fixed, user)| LinkData { fixed, user });
    prop_oneof![
        (entity(), queue).prop_map(|(recipient, queue)| Record::Queue { recipient, queue }),
        (entity(), link(), data)
            .prop_map(|(recipient, id, data)| Record::Link { recipient, link: Link { id, data } }),
        (entity(), any::<[u8; 32]>(), role).prop_map(|(id, fingerprint, role)| Record::Service(Service {
            id,
            fingerprint,
            role
        })),
        (entity(), entity(), auth_key(), secret(), option::of(entity())).prop_map(
            |(recipient, id, key, secret, service)| Record::Notifier {
                recipient,
                notifier: NotifierRecord { id, key, secret, service }
            }
        ),
        (entity(), any::<u64>(), id(), any::<u64>(), content()).prop_map(
            |(recipient, number, id, time, content)| Record::Message {
                recipient,
                number,
                message: Stored { id, time, content }
            }
        ),
        (entity(), any::<u64>(), id(), any::<u64>()).prop_map(|(recipient, number, message, time)| {
            Record::Notification { recipient, number, notification: Notification { message, time } }
        }),
    ]
}

proptest! {
    #[test]
    fn records(record in record(), at: prop::sample::Index, byte: u8, how in 0..4u8) {
        let (key, value) = (record.key().encode(), record.value());
        prop_assert_eq!(Record::decode(&key, &value), Ok(record));
        let both = [&[u8::try_from(key.len()).unwrap_or(u8::MAX)][..], &key, &value].concat();
        owed::record(&damaged(both, at, byte, how));
    }
}

/// What a store should not hold is told, and changes nothing.
#[test]
fn records_that_do_not_fit() {
    let id = |n: u8| EntityId::from([n; 24]);
    let secret = || SharedSecret::from_bytes([0; 32]);
    let key = AuthPublicKey::from(X25519Public::from_bytes([1; 32]));
    let queue = |n, sender| Record::Queue {
        recipient: id(n),
        queue: QueueRecord::from(&Queue::new(key, secret(), id(sender), None)),
    };
    let message = |n, number| Record::Message {
        recipient: id(n),
        number,
        message: Stored { id: MsgId::EMPTY, time: 0, content: Content::Quota },
    };
    let notification = Record::Notification {
        recipient: id(1),
        number: 0,
        notification: Notification { message: MsgId::EMPTY, time: 0 },
    };
    let mut store = QueueStore::default();
    let mut restore = |record: &Record| store.restore(record.clone());
    assert_eq!(restore(&queue(1, 2)), Ok(()));
    assert_eq!(restore(&queue(3, 2)), Err(RecordError::Taken(RecordKey::Queue(id(3)))));
    assert_eq!(restore(&message(1, 7)), Ok(()));
    assert_eq!(restore(&message(1, 9)), Err(RecordError::Gap(RecordKey::Message(id(1), 9))));
    assert_eq!(restore(&message(3, 0)), Err(RecordError::Orphan(RecordKey::Message(id(3), 0))));
    assert_eq!(restore(&notification), Err(RecordError::Orphan(notification.key())));
    assert!(store.records().eq([queue(1, 2), message(1, 7)]));

    let (key, mut value) = (queue(1, 2).key().encode(), queue(1, 2).value());
    value[0] = 9;
    assert_eq!(Record::decode(&key, &value), Err(RecordError::Version(RecordKey::Queue(id(1)), 9)));
    let damaged = Record::decode(&key, &[1, 0, 0, 0, 0]);
    assert_eq!(damaged, Err(RecordError::Value(RecordKey::Queue(id(1)), WireError::UnexpectedEnd)));
    assert_eq!(Record::decode(b"\x63\x00", &value), Err(RecordError::Key));
}
