//! Addresses of routers and queues.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sxlab_protocol::crypto::keys::X25519Public;
use sxlab_protocol::wire::*;

use crate::owed;
use crate::values::*;

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(Host::V4),
        any::<std::net::Ipv6Addr>().prop_map(Host::V6),
        "[a-z0-9]{1,20}\\.onion".prop_map(Host::Onion),
        "[a-z][a-z0-9.&%_-]{0,20}x".prop_map(Host::Domain),
    ]
}

pub(crate) fn router() -> impl Strategy<Value = RouterAddress> {
    (vec(host(), 1..4), any::<Option<u16>>(), any::<[u8; 32]>())
        .prop_map(|(hosts, port, identity)| RouterAddress { hosts, port, identity, password: None })
}

pub(crate) fn queue_address() -> impl Strategy<Value = QueueAddress> {
    (router(), vec(any::<u8>(), 1..40), range(), x25519(), option::of(mode())).prop_map(
        |(router, id, versions, dh_key, mode)| QueueAddress {
            router,
            sender_id: EntityId::new(&id).unwrap(),
            versions,
            dh_key,
            mode,
        },
    )
}

proptest! {
    #[test]
    fn bytes_near_addresses(
        address in queue_address(), at: prop::sample::Index, byte: u8, how in 0..4u8
    ) {
        let mut binary = Vec::new();
        address.put(&mut binary).unwrap();
        for bytes in [
            binary,
            address.to_string().into_bytes(),
            address.router.to_string().into_bytes(),
        ] {
            let bytes = damaged(bytes, at, byte, how);
            owed::address(&bytes);
            owed::queue_uri(&bytes);
        }
    }

    #[test]
    fn router_addresses(router in router(), password in option::of(password())) {
        let with_password = RouterAddress { password, ..router.clone() };
        prop_assert_eq!(with_password.to_string().parse(), Ok(with_password));
        let mut out = Vec::new();
        router.put(&mut out).unwrap();
        prop_assert_eq!(RouterAddress::read(&mut Reader::new(&out)), Ok(router));
    }

    #[test]
    fn queue_addresses(address in queue_address()) {
        prop_assert_eq!(address.to_string().parse(), Ok(address));
    }
}

/// Found by fuzzing: such an address, written again, could not be read.
#[test]
fn no_queue_without_a_sender_id() {
    let address = |id: &str| {
        let identity = base64url(&[5; 32]);
        format!(
            "smp://{identity}@router.test:5223/{id}/#/?v=4&dh={}",
            base64url(&X25519Public::from_bytes([9; 32]).spki())
        )
    };
    assert!(address("MTIz").parse::<QueueAddress>().is_ok());
    assert_eq!(address("").parse::<QueueAddress>(), Err(WireError::BadText));
    owed::queue_uri(address("").as_bytes());
}
