//! What every decoder owes: no panic on any bytes, and what decodes encodes to bytes that decode to the
//! same. Each function takes any bytes and panics if the decoder does not keep to it. The fuzz targets call
//! them with what libFuzzer finds; the decoders' property tests include this file and call them too.

use std::fmt::Debug;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use sxlab_protocol::apns::jwt::Signer;
use sxlab_protocol::apns::request::Request;
use sxlab_protocol::crypto::SharedSecret;
use sxlab_protocol::crypto::certificate::{Chain, SignedKey};
use sxlab_protocol::crypto::keys::AuthPublicKey;
use sxlab_protocol::ntf;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::envelope::{ClientMessage, Envelope, MessageBody, NotificationMeta};
use sxlab_protocol::smp::error::SmpError;
use sxlab_protocol::smp::name::NameRecord;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::{Record, RecordKey};
use sxlab_protocol::smp::version::{Layout, MAX, MIN};
use sxlab_protocol::transport::{
    ClientHello, RouterHello, ServiceReply, Session, content, read_transmission, unpack,
};
use sxlab_protocol::wire::{QueueAddress, Reader, RouterAddress, pad, unpad};

/// The first byte chooses the version.
fn layout(bytes: &[u8]) -> Option<(Layout, &[u8])> {
    let (version, rest) = bytes.split_first()?;
    Some((Layout::of(MIN + u16::from(*version) % (MAX - MIN + 1)), rest))
}

/// Checks that `value` survives `again`: being encoded and decoded.
fn survives<T: PartialEq + Debug, E: Debug>(value: T, again: impl FnOnce(&T) -> Result<T, E>) {
    match again(&value) {
        Ok(same) => assert_eq!(same, value),
        Err(error) => panic!("{value:?} does not decode again: {error:?}"),
    }
}

/// Commands of all versions.
pub fn command(bytes: &[u8]) {
    let Some((layout, bytes)) = layout(bytes) else { return };
    if let Ok(command) = Command::decode(bytes, &layout) {
        survives(command, |command| {
            let mut out = Vec::new();
            command.encode(&layout, &mut out).expect("a decoded command encodes");
            Command::decode(&out, &layout)
        });
    }
}

/// Responses of all versions.
pub fn response(bytes: &[u8]) {
    let Some((layout, bytes)) = layout(bytes) else { return };
    let encode = |response: &Response| {
        let mut out = Vec::new();
        response.encode(&layout, &mut out).expect("a decoded response encodes");
        out
    };
    if let Ok(response) = Response::decode(bytes, &layout) {
        // A router that answers beyond the version is understood, but we would not.
        let Ok(response) = Response::decode(&encode(&response), &layout) else {
            panic!("{response:?} does not decode again")
        };
        survives(response, |response| Response::decode(&encode(response), &layout));
    }
}

/// Errors, as the newest version writes them.
pub fn error(bytes: &[u8]) {
    if let Ok(error) = SmpError::decode(bytes) {
        survives(error, |error| {
            let mut out = Vec::new();
            error.encode(&Layout::of(MAX), &mut out).expect("a decoded error encodes");
            SmpError::decode(&out)
        });
    }
}

/// Addresses of routers, as text and in binary.
pub fn address(bytes: &[u8]) {
    if let Some(address) = std::str::from_utf8(bytes).ok().and_then(|t| t.parse().ok()) {
        survives::<RouterAddress, _>(address, |address| address.to_string().parse());
    }
    if let Ok(address) = RouterAddress::read(&mut Reader::new(bytes)) {
        survives(address, |address| {
            let mut out = Vec::new();
            address.put(&mut out).expect("a decoded address encodes");
            RouterAddress::read(&mut Reader::new(&out))
        });
    }
}

/// Addresses of queues, as text and in both binary forms.
pub fn queue_uri(bytes: &[u8]) {
    if let Some(address) = std::str::from_utf8(bytes).ok().and_then(|t| t.parse().ok()) {
        survives::<QueueAddress, _>(address, |address| address.to_string().parse());
    }
    for one_version in [false, true] {
        let read = |bytes: &[u8]| {
            let mut r = Reader::new(bytes);
            if one_version { QueueAddress::read_for_one(&mut r) } else { QueueAddress::read(&mut r) }
        };
        let again = |address: &QueueAddress| {
            let mut out = Vec::new();
            let put = if one_version {
                address.put_for(address.versions.min, &mut out)
            } else {
                address.put(&mut out)
            };
            put.expect("a decoded address encodes");
            read(&out)
        };
        // A mode that the version has no place for is understood, but we would not write it.
        if let Some(address) = read(bytes).ok().map(|address| again(&address)) {
            survives(address.expect("an encoded address decodes"), again);
        }
    }
}

/// The sender's envelope and what is inside it.
pub fn envelope(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::decode(bytes) {
        assert_eq!(envelope.encode(), bytes);
    }
    if let Ok(message) = ClientMessage::decode(bytes) {
        assert_eq!(message.encode(), bytes);
    }
}

/// The router's message body and notification metadata.
pub fn msg_body(bytes: &[u8]) {
    if let Ok(body) = MessageBody::decode(bytes) {
        survives(body, |body| MessageBody::decode(&body.encode()));
    }
    if let Ok(meta) = NotificationMeta::decode(bytes) {
        survives(meta, |meta| NotificationMeta::decode(&meta.encode()));
    }
}

/// Whether an input is one of the few whose signatures are verified too: one in 64, chosen by its own bytes, so that an
/// input does the same every time. To verify takes far longer than to decode (0.8 ms with Ed448), and what is reached by
/// it hardly depends on the bytes: nobody's mutation makes a signature hold.
fn sampled(bytes: &[u8]) -> bool {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash >> 32).is_multiple_of(64)
}

/// Certificates, decoded with the key in them; a sample is verified.
pub fn certificate_chain(bytes: &[u8]) {
    let chain = Chain::new(vec![bytes.to_vec()]);
    let _ = chain.leaf_public_key();
    if sampled(bytes) {
        verified_chain(bytes);
    }
}

/// Certificates, alone and as a chain with themselves, with their signatures.
pub fn verified_chain(bytes: &[u8]) {
    let _ = Chain::new(vec![bytes.to_vec(); 2]).verify(1_800_000_000);
    let _ = Chain::new(vec![bytes.to_vec()]).verify_service(1_800_000_000);
}

/// Signed session keys and plain public keys; a sample is verified.
pub fn signed_key(bytes: &[u8]) {
    if let Ok(signed) = SignedKey::parse(bytes) {
        assert_eq!(signed.as_der(), bytes);
    }
    if let Ok(key) = AuthPublicKey::from_spki(bytes) {
        assert_eq!(key.spki(), bytes);
    }
    if sampled(bytes) {
        verified_key(bytes);
    }
}

/// Signed session keys, with their signature: it is not a stranger's.
pub fn verified_key(bytes: &[u8]) {
    if let Ok(signed) = SignedKey::parse(bytes) {
        let leaf = sxlab_protocol::crypto::keys::Ed25519Secret::from_seed([1; 32]).public().into();
        assert!(signed.verify(&leaf).is_err(), "a stranger's signature");
    }
}

/// The hellos of routers and clients.
pub fn hello(bytes: &[u8]) {
    if let Ok(hello) = RouterHello::decode(bytes) {
        survives(hello, |hello| RouterHello::decode(&hello.encode().expect("a decoded hello encodes")));
    }
    if let Ok(reply) = ServiceReply::decode(bytes) {
        survives(reply, |reply| ServiceReply::decode(&reply.encode()));
    }
    if let Ok(hello) = ClientHello::decode(bytes) {
        if let Some(service) = &hello.service {
            assert!(service.verify(&[], 0).is_err(), "nothing was presented");
            let _ = service.verify(&service.chain.ders, 1_800_000_000);
        }
        survives(hello, |hello| ClientHello::decode(&hello.encode().expect("a decoded hello encodes")));
    }
}

/// The content of a block: a batch, and the transmissions in it at all versions.
pub fn batch(bytes: &[u8]) {
    let Some((layout, bytes)) = layout(bytes) else { return };
    let Ok(items) = unpack(bytes) else { return };
    let session = Session { id: vec![7; 32], layout };
    for item in &items {
        if let Ok(received) = read_transmission(&session, item) {
            assert!(item.ends_with(&received.command), "a command is what a transmission ends with");
        }
    }
    let again = content(items.iter().copied()).expect("what was unpacked packs");
    assert_eq!(again, bytes);
}

/// Commands of the notification protocol.
pub fn ntf_command(bytes: &[u8]) {
    if let Ok(command) = ntf::command::Command::decode(bytes) {
        survives(command, |command| {
            let mut out = Vec::new();
            command.encode(&mut out).expect("a decoded command encodes");
            ntf::command::Command::decode(&out)
        });
    }
}

/// Responses of the notification protocol, at all versions.
pub fn ntf_response(bytes: &[u8]) {
    use ntf::version::{MAX, MIN};
    let Some((version, bytes)) = bytes.split_first() else { return };
    let layout = ntf::version::Layout::of(MIN + u16::from(*version) % (MAX - MIN + 1));
    let again = |response: &ntf::response::Response| {
        let mut out = Vec::new();
        response.encode(&layout, &mut out).expect("a decoded response encodes");
        ntf::response::Response::decode(&out)
    };
    // A reason that the version does not know is read, but not written.
    if let Some(response) = ntf::response::Response::decode(bytes).ok().map(|response| again(&response)) {
        survives(response.expect("an encoded response decodes"), again);
    }
}

/// Hellos of the notification protocol.
pub fn ntf_hello(bytes: &[u8]) {
    use ntf::handshake::{ClientHello, RouterHello};
    if let Ok(hello) = RouterHello::decode(bytes) {
        survives(hello, |hello| RouterHello::decode(&hello.encode().expect("a decoded hello encodes")));
    }
    if let Ok(hello) = ClientHello::decode(bytes) {
        survives(hello, |hello| ClientHello::decode(&hello.encode().expect("a decoded hello encodes")));
    }
}

/// What is pushed to devices, and the text inside.
pub fn ntf_push(bytes: &[u8]) {
    use ntf::push::{Push, notifications, text};
    let secret = SharedSecret::from_bytes([1; 32]);
    if let Ok(push) = Push::open(bytes, &secret) {
        survives(push, |push| {
            let body = push.seal(&secret, &[2; 24]).expect("an opened push is sealed");
            Push::open(body.as_bytes(), &secret)
        });
    }
    if let Ok(read) = notifications(bytes) {
        survives(read, |read| notifications(text(read).as_bytes()));
    }
}

/// Records of a notification router's store, in the same form as [`record`].
pub fn ntf_record(bytes: &[u8]) {
    use ntf::router::{Record, RecordKey};
    let Some((key, value)) = bytes.split_first().and_then(|(n, rest)| rest.split_at_checked((*n).into()))
    else {
        return;
    };
    if let Ok(decoded) = RecordKey::decode(key) {
        assert_eq!(decoded.encode(), key);
    }
    if let Ok(record) = Record::decode(key, value) {
        assert_eq!(record.key().encode(), key);
        survives(record, |record| Record::decode(key, &record.value()));
    }
}

/// What a name stands for.
pub fn name_record(bytes: &[u8]) {
    if let Ok(record) = NameRecord::parse(bytes) {
        survives(record, |record| NameRecord::parse(record.to_json().as_bytes()));
    }
}

/// Requests to APNs, as HTTP/1.1 would write their heads, and the tokens in them: none of these is signed.
pub fn apns_request(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let (method, path) = first.split_once(' ').unwrap_or((&first, ""));
    let fields: Vec<_> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, &line[colon + 1..]))
        })
        .collect();
    if let Ok(head) = Request::read(method, path, fields) {
        let issuer = Signer::generate("TEAM", "KEY", &mut ChaCha8Rng::seed_from_u64(1)).verifier();
        assert!(issuer.verify(&head.token, 0).is_err());
        survives(head, |head| {
            let fields = head.request.fields(&head.token);
            let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
            Request::read("POST", &head.request.path(), fields)
        });
    }
}

/// Padding.
pub fn padding(bytes: &[u8]) {
    if let Ok(content) = unpad(bytes)
        && let Ok(block) = pad(content, bytes.len())
    {
        assert_eq!(unpad(&block), Ok(content));
        assert_eq!(block.len(), bytes.len());
    }
}

/// Records of a store: the first byte is the length of the key, which the value follows.
pub fn record(bytes: &[u8]) {
    let Some((key, value)) = bytes.split_first().and_then(|(n, rest)| rest.split_at_checked((*n).into()))
    else {
        return;
    };
    if let Ok(decoded) = RecordKey::decode(key) {
        assert_eq!(decoded.encode(), key);
    }
    if let Ok(record) = Record::decode(key, value) {
        assert_eq!(record.key().encode(), key);
        assert_eq!(record.value(), value);
    }
}
