//! The recorded handshakes and blocks of the deployed implementation, recomputed to the byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(missing_docs, unreachable_pub, reason = "a test crate")]

mod common;

use std::collections::BTreeMap;

use common::recorded::{bytes, flow, json, steps, text};
use common::{SECOND, certificates};
use serde_json::Value;
use sxlab_protocol::crypto::SharedSecret;
use sxlab_protocol::crypto::authenticator;
use sxlab_protocol::crypto::boxes::{nonce_from_corr, seal_padded};
use sxlab_protocol::crypto::chain::{BlockChains, ChainKey};
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::smp::router::{QueueStore, Router, RouterConfig, RouterEvent};
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::*;
use sxlab_protocol::wire::{CorrId, EntityId, pad};

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn secret_key(entry: &Value) -> AuthSecretKey {
    match text(entry, "alg") {
        "ed25519" => Ed25519Secret::from_seed(array(&entry["private_raw"])).into(),
        "ed448" => Ed448Secret::from_seed(array(&entry["private_raw"])).into(),
        "x25519" => X25519Secret::from_bytes(array(&entry["private_raw"])).into(),
        other => panic!("no key of type {other}"),
    }
}

/// One recorded connection: both ends' codecs and what was agreed.
struct Connection {
    session: Session,
    client: BlockCodec,
    router: BlockCodec,
    router_key: Option<X25519Public>,
}

/// Recomputes a connection's session from its two hellos and the client's private key.
fn connect(flow: &Value, name: &str) -> Connection {
    let mut hellos =
        steps(flow).filter(|step| text(step, "conn") == name && step["plain"].as_bool() == Some(true));
    let (first, second) = (hellos.next().unwrap(), hellos.next().unwrap());
    let (offer, choice) = (bytes(&first["hex"]), bytes(&second["hex"]));
    for (content, step) in [(&offer, first), (&choice, second)] {
        assert_eq!(sha256(&pad(content, BLOCK_SIZE).unwrap()), array(&step["raw_sha256"]));
    }
    let hello = RouterHello::decode(&offer).unwrap();
    assert_eq!(hello.encode().unwrap(), offer);
    let reply = ClientHello::decode(&choice).unwrap();
    assert_eq!(reply.encode().unwrap(), choice);

    let recorded = &flow["sessions"][name];
    assert_eq!(hello.session_id, bytes(&recorded["session_id"]));
    assert_eq!(u64::from(reply.version), recorded["client_version"].as_u64().unwrap());
    let (chain, signed) = hello.authentication.unwrap();
    assert_eq!(chain.identity().unwrap(), reply.identity);
    chain.verify(1_800_000_000).unwrap();
    let router_key = signed.verify(&chain.leaf_public_key().unwrap()).unwrap();

    let session = Session { id: hello.session_id, layout: Layout::of(reply.version) };
    let (mut client, mut router) = (BlockCodec::plain(), BlockCodec::plain());
    if let Some(public) = reply.key {
        let own = X25519Secret::from_bytes(array(&recorded["client_private_key_raw"]));
        assert_eq!(own.public(), public);
        assert_eq!(router_key.spki(), bytes(&recorded["server_public_key_spki"]));
        let secret = own.dh(&router_key);
        assert_eq!(secret.as_bytes(), &array(&recorded["dh_secret"]));
        let (to_client, to_router) = BlockChains::init(&session.id, &secret);
        if session.layout.block_encryption && !reply.proxy {
            assert_eq!(to_client.as_bytes(), &array(&recorded["chain_server_to_client"]));
            assert_eq!(to_router.as_bytes(), &array(&recorded["chain_client_to_server"]));
            client = BlockCodec::encrypted(to_router.clone(), to_client.clone());
            router = BlockCodec::encrypted(to_client, to_router);
        }
    }
    assert_eq!(client.is_encrypted(), recorded["block_encryption"].as_bool().unwrap());
    Connection { session, client, router, router_key: Some(router_key) }
}

/// Authorizes again what a client sent: with exactly one of its keys the bytes come out.
fn recompute_authorization(connection: &Connection, step: &Value, item: &[u8], keys: &[AuthSecretKey]) {
    let received = read_transmission(&connection.session, item).unwrap();
    assert!(received.right_session);
    let unsigned = Unsigned { corr: received.corr, entity: received.entity, command: received.command };
    let again = |key| authorize(&connection.session, &unsigned, key, connection.router_key.as_ref()).unwrap();
    if received.authorization == Some(Authorization::None) {
        assert_eq!(again(None), item);
    } else {
        let same = keys.iter().filter(|key| again(Some(*key)) == item).count();
        assert_eq!(same, 1, "{}", text(step, "text"));
    }
}

#[test]
fn every_block_of_the_recorded_handshakes_recomputes() {
    for (scenario, version, count) in [
        ("handshake-ping", 6, 15),
        ("handshake-ping", 8, 15),
        ("handshake-ping", 11, 15),
        ("handshake-ping", 20, 15),
        ("handshake-nokey", 20, 13),
        ("handshake-proxy-flag", 20, 6),
    ] {
        let Some(flow) = flow(scenario, version) else { return };
        let keys: Vec<_> = flow["keys"].as_object().unwrap().values().map(secret_key).collect();
        let names: Vec<_> = flow["sessions"].as_object().unwrap().keys().collect();
        let mut connections: BTreeMap<&str, Connection> =
            names.into_iter().map(|name| (name.as_str(), connect(&flow, name))).collect();
        let with_block: Vec<_> = steps(&flow).filter(|step| step["block"].is_u64()).collect();
        let mut blocks = 0;
        for block in with_block.chunk_by(|a, b| a["block"] == b["block"]) {
            blocks += 1;
            if block[0]["plain"].as_bool() == Some(true) {
                continue;
            }
            let connection = connections.get_mut(text(block[0], "conn")).unwrap();
            let items: Vec<_> = block.iter().map(|step| bytes(&step["hex"])).collect();
            let content = content(items.iter().map(Vec::as_slice)).unwrap();
            assert_eq!(unpack(&content).unwrap(), items);
            let sent = text(block[0], "dir") == "send";
            for (step, item) in block.iter().zip(&items) {
                if sent {
                    recompute_authorization(connection, step, item, &keys);
                } else {
                    let r = read_transmission(&connection.session, item).unwrap();
                    let again = write_response(&connection.session, r.corr, r.entity, r.command);
                    assert_eq!(again.unwrap(), *item);
                }
            }
            let (from, to) = if sent {
                (&mut connection.client, &mut connection.router)
            } else {
                (&mut connection.router, &mut connection.client)
            };
            let sealed = from.seal(&content).unwrap();
            assert_eq!(sha256(&sealed), array(&block[0]["raw_sha256"]), "{}", text(block[0], "text"));
            assert_eq!(to.open(&sealed).unwrap(), content);
        }
        assert_eq!(blocks, count, "{scenario} at version {version}");
    }
}

#[test]
fn the_recorded_client_hellos_are_accepted_or_refused_as_they_were() {
    let Some(flow) = flow("handshake-variants", 20) else { return };
    let recorded: BTreeMap<&str, Vec<&Value>> = steps(&flow).fold(BTreeMap::new(), |mut map, step| {
        map.entry(text(step, "conn")).or_insert_with(Vec::new).push(step);
        map
    });
    let good = recorded["tail"].iter().find(|step| text(step, "dir") == "send").unwrap();
    let theirs = ClientHello::decode(&bytes(&good["hex"])).unwrap().identity;
    let (mut accepted, mut refused) = (0, 0);
    for (name, steps) in recorded {
        let mut hellos = steps.iter().filter(|step| step["plain"].as_bool() == Some(true));
        let (Some(first), Some(second)) = (hellos.next(), hellos.next()) else { continue };
        let alpn = text(first, "text").starts_with("server hello: range 6..20");
        let mut hello = bytes(&second["hex"]);
        // Our router's identity takes the place of the recorded one's.
        let credentials = certificates::credentials(1);
        if let Some(at) = hello.windows(32).position(|window| window == theirs) {
            hello[at..at + 32].copy_from_slice(&credentials.chain.identity().unwrap());
        }
        let rng = <rand_chacha::ChaCha20Rng as rand_core::SeedableRng>::seed_from_u64(1);
        let mut router = Router::new(RouterConfig::default(), credentials, QueueStore::default(), rng);
        let session = router.accept("client.test", vec![1; 32], alpn, SECOND);
        assert!(router.next_block(session).is_some());
        while router.poll().is_some() {}
        router.block(session, pad(&hello, BLOCK_SIZE).unwrap(), SECOND);
        let closed = router.poll() == Some(RouterEvent::Close(session));
        let was_closed = steps.iter().any(|step| text(step, "text") == "connection closed by server");
        assert_eq!(closed, was_closed, "{name}");
        assert!(router.next_block(session).is_none(), "without a word");
        *(if closed { &mut refused } else { &mut accepted }) += 1;
    }
    assert_eq!((accepted, refused), (9, 11));
}

#[test]
fn the_recorded_first_blocks_decode_and_encode() {
    let Some(recorded) = json("handshake-first-blocks.json") else { return };
    for (name, max, certificates) in [("smp", 20, 2), ("smp_no_alpn", 6, 0)] {
        let content = bytes(&recorded[name]["content_hex"]);
        let hello = RouterHello::decode(&content).unwrap();
        assert_eq!((hello.versions.min, hello.versions.max), (6, max));
        assert_eq!(hello.encode().unwrap(), content);
        let chain = hello.authentication.map(|(chain, signed)| {
            signed.verify(&chain.leaf_public_key().unwrap()).unwrap();
            chain.verify(1_800_000_000).unwrap();
            chain.ders.len()
        });
        assert_eq!(chain.unwrap_or(0), certificates);
    }
}

#[test]
fn the_printed_transmissions_batches_and_blocks_recompute() {
    let Some(vectors) = json("deployed-7.0.0-beta.2.json") else { return };
    let t = &vectors["transmissions"];
    let seed = |name: &str| u8::from_str_radix(text(t, name), 16).unwrap();
    let router = X25519Secret::from_bytes([seed("server_pub_x25519_seed"); 32]).public();
    let session = |version| Session { id: bytes(&t["session_id"]), layout: Layout::of(version) };
    let unsigned = Unsigned {
        corr: CorrId::new(&bytes(&t["corr_id"])).unwrap(),
        entity: EntityId::new(&bytes(&t["entity_id"])).unwrap(),
        command: b"SUB".to_vec(),
    };
    let mut checked = 0;
    for entry in t["encoded"].as_array().unwrap() {
        let key: Option<AuthSecretKey> = match text(entry, "auth") {
            "none" => None,
            "ed25519" => Some(Ed25519Secret::from_seed([seed("ed25519_seed"); 32]).into()),
            "ed448" => Some(Ed448Secret::from_seed([seed("ed448_seed"); 57]).into()),
            "x25519 authenticator" => Some(X25519Secret::from_bytes([seed("client_priv_x25519"); 32]).into()),
            // Service sessions are not part of this.
            "x25519 authenticator + service signature" => continue,
            other => panic!("no test for {other}"),
        };
        // Before and from the version with the service signature's place.
        let version = if entry["service_auth"].as_bool().unwrap() { 20 } else { 15 };
        let item = authorize(&session(version), &unsigned, key.as_ref(), Some(&router)).unwrap();
        assert_eq!(item, bytes(&entry["transmission"]), "{}", text(entry, "auth"));
        let content = pack_one(&item).unwrap();
        assert_eq!(content, bytes(&entry["batch1"]));
        let block = BlockCodec::plain().seal(&content).unwrap();
        assert_eq!(sha256(&block), array(&entry["padded_block_sha256"]));
        checked += 1;
    }
    assert_eq!(checked, 8);
}

// The check values of the protocol notes: computed by an independent model and compared with the deployed router.

fn check_secret() -> SharedSecret {
    let own = X25519Secret::from_bytes(std::array::from_fn(|i| 0x01 + i as u8));
    let other = X25519Secret::from_bytes(std::array::from_fn(|i| 0x21 + i as u8));
    own.dh(&other.public())
}

fn check_session() -> [u8; 32] {
    std::array::from_fn(|i| 0xa0 + i as u8)
}

fn check_corr() -> CorrId {
    CorrId::from(std::array::from_fn::<u8, 24, _>(|i| i as u8))
}

#[test]
fn check_value_of_the_first_ping_block() {
    let (to_client, to_router) = BlockChains::init(&check_session(), &check_secret());
    let session = Session { id: check_session().to_vec(), layout: Layout::of(20) };
    let ping = Unsigned { corr: check_corr(), entity: EntityId::EMPTY, command: b"PING".to_vec() };
    let item = authorize(&session, &ping, None, None).unwrap();
    assert_eq!(item.len(), 31);
    let mut client = BlockCodec::encrypted(to_router.clone(), to_client.clone());
    let block = client.seal(&pack_one(&item).unwrap()).unwrap();
    assert_eq!(block.len(), 16384);
    assert_eq!(hex::encode(&block[..32]), "8c69f422bc5eeb69505200378e7e49a3bf0630df2c312a5b7906e510796c6f8d");
    assert_eq!(
        hex::encode(sha256(&block)),
        "4419953ff9fea797320c1217c68981d2bc5b9e91e8b3b11c219adcc0d06f4d3d"
    );
    let mut router = BlockCodec::encrypted(to_client, to_router);
    assert_eq!(unpack(&router.open(&block).unwrap()).unwrap(), [item.as_slice()]);
}

#[test]
fn check_value_of_the_first_step_of_the_chain() {
    let (_, mut chain): (ChainKey, ChainKey) = BlockChains::init(&check_session(), &check_secret());
    let (key, nonce) = chain.step();
    let hex_of = hex::encode::<&[u8]>;
    assert_eq!(hex_of(chain.as_bytes()), "eca60a7e249855c9167dc060ce952611770d7e386047b8eb1aa7c7b1181b0f05");
    assert_eq!(hex_of(key.as_bytes()), "0b99fa111f84e66af41c797608c108a8a9ec16148dba4b2fc8c4471a857848d6");
    assert_eq!(hex_of(&nonce), "48e387947dce03b26b6a9540e06d5fdebab380fb03f6f673");
}

#[test]
fn check_value_of_an_authenticator() {
    let own = X25519Secret::from_bytes(std::array::from_fn(|i| 0x01 + i as u8));
    let router = X25519Secret::from_bytes(std::array::from_fn(|i| 0x21 + i as u8));
    let session = Session { id: check_session().to_vec(), layout: Layout::of(20) };
    let entity = EntityId::new(b"1234").unwrap();
    let unsigned = Unsigned { corr: check_corr(), entity, command: b"SEND F hello".to_vec() };
    let item = authorize(&session, &unsigned, Some(&own.clone().into()), Some(&router.public())).unwrap();
    let expected = hex::decode(concat!(
        "a3b76685210dfd5d30d8c250b8e54fe255ad9cc7baf5d3b4d365ced05c331e7171571274aa6c85e96e26edc829ce683b",
        "7ab0c908cd92c341d5ddd1f2062a2282462beee6fef0638d11f62056af350431",
    ))
    .unwrap();
    assert_eq!(item[..82], [&[80], expected.as_slice(), b"0"].concat());
    let received = read_transmission(&session, &item).unwrap();
    let key = own.public().into();
    assert!(received.authorization.unwrap().verifies(&key, &received.text, &check_corr(), &router));
    let nonce = nonce_from_corr(&check_corr());
    assert_eq!(authenticator::make(&check_secret(), &nonce, &received.text).as_slice(), expected);
}

#[test]
fn check_value_of_a_box() {
    let sealed = seal_padded(&check_secret(), &nonce_from_corr(&check_corr()), b"hello", 32).unwrap();
    assert_eq!(
        hex::encode(sealed),
        "3b8bdaa36d72663026ee5cc9b04ef0dd12f0b33c365112f1dad16220dc61329e5629372540908c16cdb968bb81772e60"
    );
}
