//! The `primitives` that the deployed implementation printed: each is encoded and decoded here.

use crate::support;
use sxlab_protocol::crypto::boxes::{self, nonce_from_corr, reversed};
use sxlab_protocol::crypto::keys::{AuthPublicKey, SharedSecret, X25519Public, X25519Secret};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::envelope::{ClientMessage, Envelope, NotificationMeta};
use sxlab_protocol::smp::error::{HandshakeFailure, SmpError, TransportError};
use sxlab_protocol::smp::forward::{self, FORWARD_SIZE, Forwarded};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{ClientHello, Session, Unsigned, authorize, pack_one};
use sxlab_protocol::wire::*;

const NONCE: [u8; 24] =
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24];

fn key() -> X25519Public {
    X25519Secret::from_bytes([1; 32]).public()
}

fn router(text: &str) -> RouterAddress {
    format!("smp://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=@{text}").parse().unwrap()
}

fn two_hosts() -> RouterAddress {
    router("smp.example.com,abcdefghijklmnop.onion:5223")
}

fn queue(router: RouterAddress, version: u16, mode: Option<QueueMode>) -> QueueAddress {
    QueueAddress {
        router,
        sender_id: [0xa2; 24].into(),
        versions: VersionRange::only(version),
        dh_key: key(),
        mode,
    }
}

/// Encodes the value, compares, decodes the bytes and compares again.
fn both_ways<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    value: &T,
    put: impl FnOnce(&T, &mut Vec<u8>),
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, WireError>,
) {
    let mut out = Vec::new();
    put(value, &mut out);
    assert_eq!(hex::encode(&out), hex::encode(bytes));
    let mut r = Reader::new(bytes);
    assert_eq!(&read(&mut r).unwrap(), value);
    r.end().unwrap();
}

fn short(bytes: &[u8], text: &[u8]) {
    both_ways(bytes, &text.to_vec(), |t, out| put_short(out, t).unwrap(), |r| Ok(r.short()?.to_vec()));
}

fn one_version(bytes: &[u8], version: u16, address: &QueueAddress) {
    both_ways(bytes, address, |a, out| a.put_for(version, out).unwrap(), QueueAddress::read_for_one);
}

#[test]
fn each_primitive_both_ways() {
    let Some(vectors) = support::deployed() else { return };
    let mut elsewhere = Vec::new();
    for entry in vectors["primitives"].as_array().unwrap() {
        let (name, hex) = (entry["name"].as_str().unwrap(), support::hex(&entry["hex"]));
        let bytes = hex.as_slice();
        match name {
            "Char 'a'" => both_ways(bytes, &b'a', |v, out| out.push(*v), |r| r.u8()),
            "Bool True" => both_ways(bytes, &true, |v, out| put_bool(out, *v), |r| r.bool()),
            "Bool False" => both_ways(bytes, &false, |v, out| put_bool(out, *v), |r| r.bool()),
            "Word16 513" => both_ways(bytes, &513, |v, out| put_u16(out, *v), |r| r.u16()),
            "Version 20" => both_ways(bytes, &20, |v, out| put_u16(out, *v), |r| r.u16()),
            "Word32 66051" => both_ways(bytes, &66051, |v, out| put_u32(out, *v), |r| r.u32()),
            "Int64 -2" => both_ways(bytes, &-2, |v, out| put_i64(out, *v), |r| r.i64()),
            "Int64 1234567890123" => {
                both_ways(bytes, &1_234_567_890_123, |v, out| put_i64(out, *v), |r| r.i64());
            }
            "SystemTime 1700000000" => {
                both_ways(bytes, &1_700_000_000, |v, out| put_i64(out, *v), |r| r.i64());
            }
            "ByteString abc" => short(bytes, b"abc"),
            "ByteString empty" => short(bytes, b""),
            "String text" => short(bytes, b"text"),
            "KeyHash" => short(bytes, &[9; 32]),
            "Large abc" => both_ways(
                bytes,
                &b"abc".to_vec(),
                |v, out| put_large(out, v).unwrap(),
                |r| Ok(r.large()?.to_vec()),
            ),
            "Tail abc" => assert_eq!(Reader::new(bytes).rest(), b"abc"),
            "Maybe Nothing" | "Maybe Just abc" => both_ways(
                bytes,
                &name.ends_with("abc").then(|| b"abc".to_vec()),
                |v, out| put_opt(out, v.as_deref(), put_short).unwrap(),
                |r| r.opt(|r| Ok(r.short()?.to_vec())),
            ),
            "NonEmpty [a,bc]" => both_ways(
                bytes,
                &vec![b"a".to_vec(), b"bc".to_vec()],
                |v, out| put_list(out, v, |out, item| put_short(out, item)).unwrap(),
                |r| r.list(|r| Ok(r.short()?.to_vec())),
            ),
            "(abc, True)" => both_ways(
                bytes,
                &(b"abc".to_vec(), true),
                |(text, flag), out| {
                    put_short(out, text).unwrap();
                    put_bool(out, *flag);
                },
                |r| Ok((r.short()?.to_vec(), r.bool()?)),
            ),
            "VersionRange 6-20" => {
                both_ways(bytes, &VersionRange::new(6, 20).unwrap(), |v, out| v.put(out), VersionRange::read)
            }
            "SMPServer with onion and port" => {
                both_ways(bytes, &two_hosts(), |v, out| v.put(out).unwrap(), RouterAddress::read);
            }
            "SMPServer default port" => both_ways(
                bytes,
                &router("smp.example.com"),
                |v, out| v.put(out).unwrap(),
                RouterAddress::read,
            ),
            "CbNonce" => both_ways(bytes, &NONCE, |v, out| out.extend(v), |r| r.array()),
            "SMPQueueAddr v4 messaging" => {
                one_version(bytes, 4, &queue(two_hosts(), 4, Some(QueueMode::Messaging)));
            }
            "SMPQueueInfo v4 contact" => {
                one_version(bytes, 4, &queue(two_hosts(), 4, Some(QueueMode::Contact)));
            }
            "SMPQueueInfo v3 messaging" => {
                one_version(bytes, 3, &queue(two_hosts(), 3, Some(QueueMode::Messaging)));
            }
            "SMPQueueInfo v2" => one_version(bytes, 2, &queue(two_hosts(), 2, None)),
            "SMPQueueInfo v1 (legacy)" => {
                one_version(bytes, 1, &queue(router("smp.example.com"), 1, None));
            }
            "ClientMsgEnvelope with dh key" | "ClientMsgEnvelope no dh key" => {
                let key = name.contains("with").then(key);
                let envelope = Envelope { version: 4, key, nonce: NONCE, sealed: b"enc body".to_vec() };
                assert_eq!(envelope.encode(), bytes);
                assert_eq!(Envelope::decode(bytes), Ok(envelope));
            }
            "ClientMessage confirmation" | "ClientMessage empty" => {
                let sender_key = name.ends_with("confirmation").then(|| AuthPublicKey::X25519(key()));
                let message = ClientMessage { sender_key, body: b"body".to_vec() };
                assert_eq!(message.encode(), bytes);
                assert_eq!(ClientMessage::decode(bytes), Ok(message));
            }
            "NMsgMeta" => {
                let meta = NotificationMeta { id: [7; 24].into(), time: 1_700_000_000 };
                assert_eq!(meta.encode(), bytes);
                assert_eq!(NotificationMeta::decode(bytes), Ok(meta));
            }
            "SMPServerHandshakeError BAD_SERVICE" => {
                let error = TransportError::Handshake(HandshakeFailure::BadService);
                both_ways(
                    bytes,
                    &error,
                    |error, out| out.extend(format!("E{error}").bytes()),
                    |r| {
                        r.byte(b'E')?;
                        TransportError::read(r)
                    },
                );
            }
            "SMPServerHandshakeResponse" => both_ways(
                bytes,
                &EntityId::from([0xa5; 24]),
                |id, out| {
                    out.push(b'R');
                    id.put(out);
                },
                |r| {
                    r.byte(b'R')?;
                    EntityId::read(r)
                },
            ),
            "SMPClientHandshake v20"
            | "SMPClientHandshake v20 proxy"
            | "SMPClientHandshake v11"
            | "SMPClientHandshake v6" => {
                let version = name.split(' ').nth(1).unwrap()[1..].parse().unwrap();
                let proxy = name.ends_with("proxy");
                // A proxy sends no key, and a client of version 6 has no place for one.
                let key = (version > 6 && !proxy).then(key);
                let hello = ClientHello { version, identity: [9; 32], key, proxy, service: None };
                assert_eq!(hex::encode(hello.encode().unwrap()), hex::encode(bytes), "{name}");
                assert_eq!(ClientHello::decode(bytes), Ok(hello), "{name}");
            }
            "FwdTransmission" => forwarded_command(bytes),
            "FwdResponse" => forwarded_answer(bytes),
            _ => elsewhere.push(name),
        }
    }
    // The envelope of the protocol between agents, which SMP carries and never reads: it is not implemented here.
    assert_eq!(elsewhere, ["AgentMsgEnvelope"]);
}

/// What travels between proxy and relay has no type of its own: it is written and read together with the box around it.
/// In the printed values, one byte `t` stands for what the client (or the relay) sealed.
struct Forwarding {
    /// Of the session between proxy and relay.
    secret: SharedSecret,
    relay: X25519Secret,
    /// The proxy's correlation id, and the client's.
    outer: CorrId,
    inner: CorrId,
}

impl Forwarding {
    fn new() -> Self {
        let relay = X25519Secret::from_bytes([2; 32]);
        let secret = X25519Secret::from_bytes([3; 32]).dh(&relay.public());
        Self { secret, relay, outer: [0xc0; 24].into(), inner: NONCE.into() }
    }

    /// What the relay reads of the outer content that is `head` and then what a client sealed.
    fn open(&self, head: &[u8]) -> Result<Forwarded, SmpError> {
        let client = X25519Secret::from_bytes([1; 32]).dh(&self.relay.public());
        let session = Session { id: vec![0x5e; 32], layout: Layout::of(20) };
        let ping = Unsigned { corr: self.inner.clone(), entity: EntityId::EMPTY, command: b"PING".to_vec() };
        let content = pack_one(&authorize(&session, &ping, None, None).unwrap()).unwrap();
        let sealed = boxes::seal_padded(&client, &NONCE, &content, FORWARD_SIZE).unwrap();
        let outer = boxes::seal(&self.secret, &nonce_from_corr(&self.outer), &[head, &sealed].concat());
        forward::open_forward(&session, Some(&self.secret), &self.relay, &self.outer, &outer)
    }
}

fn forwarded_command(bytes: &[u8]) {
    let f = Forwarding::new();
    let command = forward::seal_forward(&f.secret, &f.outer, &f.inner, 20, &key(), b"t").unwrap();
    let Command::Rfwd { sealed } = command else { panic!("{command:?}") };
    let plain = boxes::open(&f.secret, &nonce_from_corr(&f.outer), &sealed).unwrap();
    assert_eq!(hex::encode(plain), hex::encode(bytes));

    // The client's box opens only with the printed key and correlation id, and is read by the printed version.
    let head = bytes.strip_suffix(b"t").unwrap();
    let read = f.open(head).unwrap();
    assert_eq!(read.corr, f.inner);
    assert_eq!(read.session.layout, Layout::of(20));
    assert_eq!(read.inner.unwrap().command, b"PING");
    assert!(matches!(f.open(&head[..head.len() - 1]), Err(SmpError::Crypto | SmpError::Command(_))));
}

fn forwarded_answer(bytes: &[u8]) {
    let f = Forwarding::new();
    let nonce = reversed(nonce_from_corr(&f.outer));
    let opened = forward::open_forward_reply(&f.secret, &f.outer, &boxes::seal(&f.secret, &nonce, bytes));
    assert_eq!(opened, Ok((f.inner.clone(), b"t".to_vec())));

    // The relay writes the same, with its own box in the place of `t`.
    let mut head = Vec::new();
    put_short(&mut head, &NONCE).unwrap();
    put_u16(&mut head, 20);
    put_short(&mut head, &key().spki()).unwrap();
    let forwarded = f.open(&head).unwrap();
    let reply = forward::seal_reply(
        &forwarded,
        &f.secret,
        &f.outer,
        f.inner.clone(),
        EntityId::EMPTY,
        &Response::Pong,
    );
    let Ok(Response::Rres { sealed }) = reply else { panic!("{reply:?}") };
    let plain = boxes::open(&f.secret, &nonce, &sealed).unwrap();
    let head = bytes.strip_suffix(b"t").unwrap();
    assert_eq!(hex::encode(&plain[..head.len()]), hex::encode(head));
    assert_eq!(plain.len(), head.len() + FORWARD_SIZE + 16);
}
