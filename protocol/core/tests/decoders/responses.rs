//! Responses and errors, at all versions.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sxlab_protocol::crypto::certificate::{Chain, SignedKey};
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::smp::error::*;
use sxlab_protocol::smp::response::{NotifierIds, QueueIds, Response};
use sxlab_protocol::smp::version::{Layout, MAX};
use sxlab_protocol::wire::*;

use crate::commands::service_queues;
use crate::owed;
use crate::values::*;

pub(crate) fn error() -> impl Strategy<Value = SmpError> {
    let command = prop::sample::select(vec![
        CommandError::Unknown,
        CommandError::Syntax,
        CommandError::Prohibited,
        CommandError::NoAuth,
        CommandError::HasAuth,
        CommandError::NoEntity,
    ]);
    let transport = prop::sample::select(vec![
        TransportError::Block,
        TransportError::Version,
        TransportError::NoAuth,
        TransportError::Handshake(HandshakeFailure::Identity),
    ]);
    let broker = prop_oneof![
        text().prop_map(BrokerError::Response),
        text().prop_map(BrokerError::Unexpected),
        transport.prop_map(BrokerError::Transport),
        prop::sample::select(vec![BrokerError::Network, BrokerError::Timeout, BrokerError::Host]),
    ];
    let blocked = (any::<bool>(), option::of(any::<Option<i64>>())).prop_map(|(spam, notice)| {
        let reason = if spam { BlockingReason::Spam } else { BlockingReason::Content };
        SmpError::Blocked(BlockingInfo { reason, notice: notice.map(|ttl| Notice { ttl }) })
    });
    let plain = prop_oneof![
        command.prop_map(SmpError::Command),
        broker.prop_map(|error| SmpError::Proxy(ProxyError::Broker(error))),
        blocked,
        text().prop_map(SmpError::Store),
        text().prop_map(|text| SmpError::Name(NameError::Resolver(text))),
        prop::sample::select(vec![SmpError::Auth, SmpError::Quota, SmpError::NoMsg]),
    ];
    plain.prop_recursive(2, 4, 1, |inner| {
        inner.prop_map(|inner| SmpError::Proxy(ProxyError::Protocol(Box::new(inner))))
    })
}

pub(crate) fn response() -> impl Strategy<Value = Response> {
    let bare = prop::sample::select(vec![
        Response::Alls,
        Response::End,
        Response::Deld,
        Response::Ok,
        Response::Pong,
    ]);
    let notifier = || (entity(), x25519()).prop_map(|(id, dh_key)| NotifierIds { id, dh_key });
    let ids = (
        (entity(), entity(), x25519()),
        (option::of(mode()), option::of(link()), option::of(entity()), option::of(notifier())),
    )
        .prop_map(|((recipient, sender, dh_key), (mode, link, service, notifier))| {
            Response::Ids(Box::new(QueueIds { recipient, sender, dh_key, mode, link, service, notifier }))
        });
    let signer = Ed25519Secret::from_seed([1; 32]);
    let pkey = (entity(), range(), vec(bytes(300), 1..5), x25519()).prop_map(
        move |(session, versions, ders, key)| Response::Pkey {
            session,
            versions,
            chain: Chain::new(ders),
            signed_key: SignedKey::make(key, &signer),
        },
    );
    prop_oneof![
        bare,
        ids,
        pkey,
        (entity(), link_data()).prop_map(|(sender, data)| Response::Lnk { sender, data }),
        option::of(entity()).prop_map(|service| Response::Sok { service }),
        service_queues().prop_map(Response::Soks),
        service_queues().prop_map(Response::Ends),
        (bytes(256), bytes(400)).prop_map(|(id, body)| Response::Msg { id: MsgId::new(&id).unwrap(), body }),
        notifier().prop_map(Response::Nid),
        (any::<[u8; 24]>(), bytes(256)).prop_map(|(nonce, meta)| Response::Nmsg { nonce, meta }),
        bytes(400).prop_map(|sealed| Response::Rres { sealed }),
        bytes(400).prop_map(|sealed| Response::Pres { sealed }),
        text().prop_map(Response::Info),
        text().prop_map(Response::Rname),
        error().prop_map(Response::Err),
    ]
}

pub(crate) fn encoded_response(response: &Response, version: u16) -> Vec<u8> {
    let mut out = Vec::new();
    response.encode(&Layout::of(version), &mut out).unwrap();
    out
}

proptest! {
    #[test]
    fn bytes_near_responses(
        response in response(), version in 6..=MAX, at: prop::sample::Index, byte: u8, how in 0..4u8
    ) {
        let mut bytes = vec![(version - 6) as u8];
        bytes.extend(encoded_response(&response, version));
        owed::response(&damaged(bytes, at, byte, how));
    }

    #[test]
    fn responses(response in response()) {
        let bytes = encoded_response(&response, MAX);
        prop_assert_eq!(Response::decode(&bytes, &Layout::of(MAX)), Ok(response));
    }

    #[test]
    fn responses_of_old(response in response(), version in 6..MAX) {
        let layout = Layout::of(version);
        let bytes = encoded_response(&response, version);
        let arrived = Response::decode(&bytes, &layout).unwrap();
        prop_assert_eq!(encoded_response(&arrived, version), bytes);
    }
}

/// A proxy's errors nest once or twice, not as often as a block has room for.
#[test]
fn nested_errors() {
    let nested =
        |times: usize| SmpError::decode(format!("{}AUTH", "PROXY PROTOCOL ".repeat(times)).as_bytes());
    assert!(nested(2).is_ok());
    assert_eq!(nested(3), Err(WireError::TooLong));
    assert_eq!(nested(1000), Err(WireError::TooLong));
}

/// D43, D46: forms that are read but never written.
#[test]
fn errors_of_other_versions() {
    let network = SmpError::Proxy(ProxyError::Broker(BrokerError::Network));
    for detail in ["", " FAILED", " TIMEOUT", " UNKNOWNCA", " CONNECT \x02no", " TLS \0"] {
        let text = format!("PROXY BROKER NETWORK{detail}");
        assert_eq!(SmpError::decode(text.as_bytes()), Ok(network.clone()), "{text:?}");
    }
    assert_eq!(SmpError::decode(b"CMD NO_QUEUE"), Ok(SmpError::Command(CommandError::NoEntity)));
    for unknown in ["", "NEW_ERROR", "CMD", "CMD NEW", "AUTH x", "BLOCKED reason=x", "DUPLICATE_"] {
        assert!(SmpError::decode(unknown.as_bytes()).is_err(), "{unknown}");
    }
}
