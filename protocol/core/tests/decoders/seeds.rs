//! Every decoder at once: on any bytes, and on the seeds that the fuzz targets begin with.

use proptest::option;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use sxlab_protocol::apns::jwt::Signer;
use sxlab_protocol::apns::request::{Kind, Request};
use sxlab_protocol::crypto::SharedSecret;
use sxlab_protocol::crypto::certificate::SignedKey;
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::ntf::push;
use sxlab_protocol::smp::command::*;
use sxlab_protocol::smp::envelope::*;
use sxlab_protocol::smp::version::{Layout, MAX, MIN};
use sxlab_protocol::transport;
use sxlab_protocol::transport::{ClientHello, RouterHello, Session, Unsigned, authorize};
use sxlab_protocol::wire::*;

use crate::addresses::{queue_address, router};
use crate::commands::{command, encoded_command};
use crate::handshake::{client_hello, service_reply};
use crate::names::name_record;
use crate::ntf;
use crate::owed;
use crate::records::record;
use crate::responses::{encoded_response, error, response};
use crate::values::*;

/// Where the seeds of the fuzz targets are, a directory for each.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds");

/// Bytes of our own encoders, for each fuzz target: what it begins with.
fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let at = |version: u16, bytes: Vec<u8>| [vec![u8::try_from(version - MIN).unwrap()], bytes].concat();
    let versions = || [MIN, 8, 11, 14, 17, MAX].into_iter();
    let commands = some(40, command());
    let of_commands = commands.iter().zip(versions().cycle());
    let of_commands = of_commands.map(|(command, version)| at(version, encoded_command(command, version)));
    let responses = some(40, response());
    let of_responses = responses.iter().zip(versions().cycle());
    let of_responses =
        of_responses.map(|(response, version)| at(version, encoded_response(response, version)));
    let errors = some(20, error()).into_iter().map(|error| {
        let mut out = Vec::new();
        error.encode(&Layout::of(MAX), &mut out).unwrap();
        out
    });
    let addresses = some(10, router()).into_iter().flat_map(|router| {
        let mut out = Vec::new();
        router.put(&mut out).unwrap();
        [router.to_string().into_bytes(), out]
    });
    let queues = some(10, queue_address()).into_iter().flat_map(|address| {
        let mut out = Vec::new();
        address.put(&mut out).unwrap();
        [address.to_string().into_bytes(), out]
    });
    let sealed = (any::<[u8; 24]>(), option::of(x25519()), bytes(100));
    let envelopes = some(5, sealed).into_iter().map(|(nonce, dh_key, body)| {
        let message = ClientMessage { sender_key: None, body };
        let secret = SharedSecret::from_bytes([1; 32]);
        Envelope::seal(4, dh_key, &secret, nonce, &message).unwrap().encode()
    });
    let envelopes = envelopes.chain(
        some(5, (option::of(auth_key()), bytes(100)))
            .into_iter()
            .map(|(sender_key, body)| ClientMessage { sender_key, body }.encode()),
    );
    let bodies =
        some(5, (any::<i64>(), any::<bool>(), bytes(100))).into_iter().flat_map(|(time, flag, body)| {
            let flags = MsgFlags { notification: flag };
            let id = MsgId::from([7; 24]);
            [
                MessageBody::Message { time, flags, body }.encode(),
                MessageBody::Quota { time }.encode(),
                NotificationMeta { id, time }.encode(),
            ]
        });
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/certificates");
    let certificate = |name| std::fs::read(format!("{directory}/{name}"));
    let certificates =
        ["ed25519_ca.der", "ed25519_leaf.der", "ed448_ca.der", "ed448_leaf.der", "online_ca.der"];
    let certificates = certificates.into_iter().map(|name| certificate(name).unwrap());
    let secrets = [Ed25519Secret::from_seed([2; 32]).into(), Ed448Secret::from_seed([2; 57]).into()];
    let signed = secrets.map(|secret: SignatureSecret| {
        SignedKey::make(X25519Public::from_bytes([9; 32]), secret).as_der().to_vec()
    });
    let signed = signed.into_iter().chain(some(5, auth_key()).into_iter().map(|key| key.spki()));
    let hellos = versions().flat_map(|version| {
        let client = ClientHello {
            version,
            identity: [3; 32],
            key: (version > 6).then(|| X25519Public::from_bytes([9; 32])),
            proxy: version >= 14,
            service: None,
        };
        let router = RouterHello {
            versions: VersionRange::new(MIN, version).unwrap(),
            session_id: vec![5; 32],
            authentication: None,
        };
        [client.encode().unwrap(), router.encode().unwrap()]
    });
    let services = some(5, client_hello()).into_iter().map(|hello| hello.encode().unwrap());
    let replies = some(5, service_reply()).into_iter().map(|reply| reply.encode());
    let hellos = hellos.chain(services).chain(replies);
    let names = some(10, name_record()).into_iter().map(|record| record.to_json().into_bytes());
    let batches = versions().map(|version| {
        let session = Session { id: vec![7; 32], layout: Layout::of(version) };
        let items = commands.iter().take(4).map(|command| {
            let (corr, entity) = (CorrId::from([1; 24]), EntityId::from([2; 24]));
            let unsigned = Unsigned { corr, entity, command: encoded_command(command, version) };
            let key = Ed25519Secret::from_seed([1; 32]).into();
            authorize(&session, &unsigned, Some(&key), None).unwrap()
        });
        let items: Vec<_> = items.collect();
        at(version, transport::content(items.iter().map(Vec::as_slice)).unwrap())
    });
    let records = some(20, record()).into_iter().filter_map(|record| {
        let (key, value) = (record.key().encode(), record.value());
        Some([&[u8::try_from(key.len()).ok()?][..], &key, &value].concat())
    });
    let ntf_commands = some(30, ntf::command()).into_iter().map(|command| ntf::encoded_command(&command));
    let ntf_responses = some(30, ntf::response()).into_iter().zip((1..=3).cycle());
    let ntf_responses = ntf_responses.map(|(response, version)| {
        [vec![version as u8 - 1], ntf::encoded_response(&response, version)].concat()
    });
    let ntf_hellos = some(5, ntf::router_hello()).into_iter().map(|hello| hello.encode().unwrap());
    let ntf_hellos =
        ntf_hellos.chain(some(2, ntf::client_hello()).into_iter().map(|hello| hello.encode().unwrap()));
    let ntf_pushes = some(6, ntf::pushed())
        .into_iter()
        .map(|push| push.seal(&SharedSecret::from_bytes([1; 32]), &[2; 24]).unwrap().into_bytes());
    let ntf_lists = some(6, proptest::collection::vec(ntf::notification(), 1..4));
    let ntf_pushes = ntf_pushes.chain(ntf_lists.iter().map(|list| push::text(list).into_bytes()));
    let apns_requests = [Kind::Alert, Kind::Background].map(|kind| {
        let request = Request::new(&[7; 32], kind, "chat.simplex.app");
        let token = Signer::generate("TEAM", "KEY", &mut ChaCha8Rng::seed_from_u64(2)).token(5).to_owned();
        let fields = request.fields(&token).into_iter().map(|(name, value)| format!("\n{name}:{value}"));
        let fields: String = fields.collect();
        format!("POST {}{fields}", request.path()).into_bytes()
    });
    let apns_requests = apns_requests.into_iter();
    let ntf_records = some(20, ntf::record()).into_iter().filter_map(|record| {
        let (key, value) = (record.key().encode(), record.value());
        Some([&[u8::try_from(key.len()).ok()?][..], &key, &value].concat())
    });
    vec![
        ("command", of_commands.collect()),
        ("response", of_responses.collect()),
        ("error", errors.collect()),
        ("address", addresses.collect()),
        ("queue_uri", queues.collect()),
        ("envelope", envelopes.collect()),
        ("msg_body", bodies.collect()),
        ("certificate_chain", certificates.collect()),
        ("signed_key", signed.collect()),
        ("padding", vec![pad(b"content", 20).unwrap(), pad(b"", 2).unwrap()]),
        ("hello", hellos.collect()),
        ("batch", batches.collect()),
        ("record", records.collect()),
        ("name_record", names.collect()),
        ("ntf_command", ntf_commands.collect()),
        ("ntf_response", ntf_responses.collect()),
        ("ntf_hello", ntf_hellos.collect()),
        ("ntf_push", ntf_pushes.collect()),
        ("apns_request", apns_requests.collect()),
        ("ntf_record", ntf_records.collect()),
    ]
}

/// Ignored as it changes files of the repository: to be run when a decoder is new or its form changes.
#[test]
#[ignore = "writes fuzz/seeds again: `cargo test -p sxlab-protocol --test decoders write_seeds -- --ignored`"]
fn write_seeds() {
    for (target, seeds) in seeds() {
        let directory = format!("{SEEDS}/{target}");
        std::fs::create_dir_all(&directory).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(format!("{directory}/{number:02}"), seed).unwrap();
        }
    }
}

#[test]
fn every_decoder_that_is_fuzzed_has_seeds_and_takes_them() {
    let targets = std::fs::read_dir(format!("{SEEDS}/../fuzz_targets")).unwrap();
    for target in targets {
        let target = target.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        let files: Vec<_> = std::fs::read_dir(format!("{SEEDS}/{target}")).expect(&target).collect();
        assert!(!files.is_empty(), "{target}");
        for file in files {
            every_decoder(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}

fn every_decoder(bytes: &[u8]) {
    owed::command(bytes);
    owed::response(bytes);
    owed::error(bytes);
    owed::record(bytes);
    owed::address(bytes);
    owed::queue_uri(bytes);
    owed::envelope(bytes);
    owed::msg_body(bytes);
    owed::certificate_chain(bytes);
    owed::verified_chain(bytes);
    owed::signed_key(bytes);
    owed::verified_key(bytes);
    owed::hello(bytes);
    owed::batch(bytes);
    owed::padding(bytes);
    owed::name_record(bytes);
    owed::ntf_command(bytes);
    owed::ntf_response(bytes);
    owed::ntf_hello(bytes);
    owed::ntf_push(bytes);
    owed::apns_request(bytes);
    owed::ntf_record(bytes);
}

proptest! {
    #[test]
    fn any_bytes(bytes in bytes(200)) {
        every_decoder(&bytes);
    }
}
