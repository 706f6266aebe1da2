//! What is encrypted: envelopes, message bodies, notifications.

use proptest::option;
use proptest::prelude::*;
use sxlab_protocol::crypto::{SharedSecret, boxes};
use sxlab_protocol::smp::command::*;
use sxlab_protocol::smp::envelope::*;
use sxlab_protocol::smp::version::{Layout, MAX};
use sxlab_protocol::wire::*;

use crate::values::*;

proptest! {
    #[test]
    fn envelopes(
        version in 1..=4u16, key in option::of(x25519()), sender_key in option::of(auth_key()),
        nonce: [u8; 24], secret: [u8; 32], body in bytes(400)
    ) {
        let secret = SharedSecret::from_bytes(secret);
        let message = ClientMessage { sender_key, body };
        let envelope = Envelope::seal(version, key, &secret, nonce, &message).unwrap();
        let size = if key.is_some() { 15904 } else { 16000 };
        prop_assert_eq!(envelope.sealed.len(), size + 16);
        let bytes = envelope.encode();
        prop_assert!(bytes.len() <= Layout::of(MAX).message_limit);
        let arrived = Envelope::decode(&bytes).unwrap();
        prop_assert_eq!(arrived.open(&secret), Ok(message));
    }

    #[test]
    fn message_bodies(
        time in 0..1i64 << 40, notification: bool, body in bytes(400), id: [u8; 24], secret: [u8; 32]
    ) {
        let (secret, id) = (SharedSecret::from_bytes(secret), MsgId::from(id));
        let flags = MsgFlags { notification };
        for body in [MessageBody::Message { time, flags, body }, MessageBody::Quota { time }] {
            let sealed = body.seal(&secret, &id).unwrap();
            prop_assert_eq!(sealed.len(), 16122);
            prop_assert_eq!(MessageBody::open(&secret, &id, &sealed), Ok(body));
        }
    }

    #[test]
    fn notification_metadata(time: i64, id: [u8; 24], nonce: [u8; 24], secret: [u8; 32]) {
        let secret = SharedSecret::from_bytes(secret);
        let meta = NotificationMeta { id: id.into(), time };
        let sealed = meta.seal(&secret, &nonce).unwrap();
        prop_assert_eq!(sealed.len(), 144);
        prop_assert_eq!(NotificationMeta::open(&secret, &nonce, &sealed), Ok(meta));
    }

    #[test]
    fn boxes_open_only_unchanged(
        secret: [u8; 32], nonce: [u8; 24], plain in bytes(100), at: prop::sample::Index, bit in 0..8u8
    ) {
        let secret = SharedSecret::from_bytes(secret);
        let mut sealed = boxes::seal(&secret, &nonce, &plain);
        prop_assert_eq!(boxes::open(&secret, &nonce, &sealed), Ok(plain));
        let at = at.index(sealed.len());
        if let Some(byte) = sealed.get_mut(at) {
            *byte ^= 1 << bit;
        }
        prop_assert!(boxes::open(&secret, &nonce, &sealed).is_err());
    }
}

#[test]
fn only_versions_that_we_speak_between_sender_and_recipient() {
    let bytes = |version: u8| [&[0, version, b'0'], &[0; 24][..], b"sealed"].concat();
    assert!(Envelope::decode(&bytes(1)).is_ok());
    assert!(Envelope::decode(&bytes(4)).is_ok());
    assert_eq!(Envelope::decode(&bytes(0)), Err(WireError::BadVersion));
    assert_eq!(Envelope::decode(&bytes(5)), Err(WireError::BadVersion));
}
