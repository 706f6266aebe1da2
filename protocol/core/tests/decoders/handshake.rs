//! Hellos, and the certificates in them.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sxlab_protocol::crypto::certificate::{Chain, SignedKey};
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::smp::error::*;
use sxlab_protocol::smp::version::MAX;
use sxlab_protocol::transport::{ClientHello, ServiceHello, ServiceReply, ServiceRole};

use crate::owed;
use crate::values::*;

fn service_hello() -> impl Strategy<Value = ServiceHello> {
    let role =
        prop_oneof![Just(ServiceRole::Messaging), Just(ServiceRole::Notifications), Just(ServiceRole::Proxy)];
    (role, vec(bytes(300), 1..5), any::<[u8; 32]>()).prop_map(|(role, ders, seed)| {
        let key = Ed25519Secret::from_seed(seed);
        ServiceHello { role, chain: Chain::new(ders), signed_key: SignedKey::make(key.public(), key) }
    })
}

pub(crate) fn client_hello() -> impl Strategy<Value = ClientHello> {
    let fields = (16..=MAX, any::<[u8; 32]>(), option::of(x25519()), any::<bool>());
    (fields, option::of(service_hello())).prop_map(|((version, identity, key, proxy), service)| ClientHello {
        version,
        identity,
        key,
        proxy,
        service: service.map(Box::new),
    })
}

pub(crate) fn service_reply() -> impl Strategy<Value = ServiceReply> {
    let refused = prop_oneof![
        Just(TransportError::Handshake(HandshakeFailure::BadAuth)),
        Just(TransportError::Handshake(HandshakeFailure::BadService)),
        Just(TransportError::Version),
    ];
    prop_oneof![entity().prop_map(ServiceReply::Accepted), refused.prop_map(ServiceReply::Refused)]
}

proptest! {
    #[test]
    fn bytes_near_certificates(at: prop::sample::Index, byte: u8, how in 0..4u8) {
        let der = include_bytes!("../vectors/certificates/ed25519_ca.der").to_vec();
        let bytes = damaged(der, at, byte, how);
        owed::certificate_chain(&bytes);
        owed::verified_chain(&bytes);
        let key = X25519Secret::from_bytes([1; 32]).public();
        let signed = SignedKey::make(key, Ed25519Secret::from_seed([4; 32]));
        let bytes = damaged(signed.as_der().to_vec(), at, byte, how);
        owed::signed_key(&bytes);
        owed::verified_key(&bytes);
    }

    #[test]
    fn bytes_near_hellos(hello in client_hello(), at: prop::sample::Index, byte: u8, how in 0..4u8) {
        owed::hello(&damaged(hello.encode().unwrap(), at, byte, how));
    }

    #[test]
    fn hellos_of_services(hello in client_hello(), tail in bytes(20)) {
        let bytes = hello.encode().unwrap();
        prop_assert_eq!(ClientHello::decode(&bytes), Ok(hello.clone()));
        prop_assert_eq!(ClientHello::decode(&[bytes, tail].concat()), Ok(hello));
    }

    #[test]
    fn answers_to_services(reply in service_reply()) {
        prop_assert_eq!(ServiceReply::decode(&reply.encode()), Ok(reply));
    }
}
