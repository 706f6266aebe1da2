//! What the values of all areas are made of, and bytes near valid ones.

use proptest::collection::vec;
use proptest::prelude::*;
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::smp::command::*;
use sxlab_protocol::wire::*;

pub(crate) fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..max)
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    "\\PC{0,60}"
}

pub(crate) fn entity() -> impl Strategy<Value = EntityId> {
    bytes(256).prop_map(|b| EntityId::new(&b).unwrap())
}

pub(crate) fn link() -> impl Strategy<Value = LinkId> {
    bytes(40).prop_map(|b| LinkId::new(&b).unwrap())
}

pub(crate) fn x25519() -> impl Strategy<Value = X25519Public> {
    any::<[u8; 32]>().prop_map(X25519Public::from_bytes)
}

pub(crate) fn auth_key() -> impl Strategy<Value = AuthPublicKey> {
    prop_oneof![
        x25519().prop_map(AuthPublicKey::X25519),
        any::<[u8; 32]>().prop_map(|b| Ed25519Public::from_bytes(b).into()),
        vec(any::<u8>(), 57).prop_map(|b| Ed448Public::from_bytes(b.try_into().unwrap()).into()),
    ]
}

pub(crate) fn password() -> impl Strategy<Value = String> {
    "[!-9;-?A-~&&[^/]]{1,20}"
}

pub(crate) fn mode() -> impl Strategy<Value = QueueMode> {
    prop_oneof![Just(QueueMode::Messaging), Just(QueueMode::Contact)]
}

pub(crate) fn range() -> impl Strategy<Value = VersionRange> {
    any::<(u16, u16)>().prop_map(|(a, b)| VersionRange::new(a.min(b), a.max(b)).unwrap())
}

pub(crate) fn link_data() -> impl Strategy<Value = LinkData> {
    (bytes(300), bytes(300)).prop_map(|(fixed, user)| LinkData { fixed, user })
}

/// Bytes near valid ones: with a byte changed, cut off or added.
pub(crate) fn damaged(mut valid: Vec<u8>, at: prop::sample::Index, byte: u8, how: u8) -> Vec<u8> {
    if valid.is_empty() {
        return valid;
    }
    let at = at.index(valid.len());
    match how {
        0 => valid.truncate(at),
        1 => valid.insert(at, byte),
        2 => valid.push(byte),
        _ => {
            if let Some(old) = valid.get_mut(at) {
                *old = byte;
            }
        }
    }
    valid
}

/// So many values of a strategy, always the same.
pub(crate) fn some<S: Strategy>(count: usize, strategy: S) -> Vec<S::Value> {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}
