//! Keys, boxes, authenticators and chains against what the deployed implementation printed.

use crate::support;
use crate::support::{array, hex};
use serde_json::Value;
use sxlab_protocol::crypto::boxes::{self, Nonce, nonce_from_corr, nonce_from_msg, reversed};
use sxlab_protocol::crypto::chain::{BlockChains, ChainKey};
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::crypto::{CryptoError, authenticator, hash};
use sxlab_protocol::smp::command::MsgFlags;
use sxlab_protocol::smp::envelope::MessageBody;
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{BlockCodec, Session, pack_one, read_transmission};
use sxlab_protocol::wire::{CorrId, MsgId, pad, unpad};

#[test]
fn keys_have_the_deployed_der_forms() {
    let Some(vectors) = support::deployed() else { return };
    for entry in vectors["keys"].as_array().unwrap() {
        let byte = u8::from_str_radix(entry["seed_byte"].as_str().unwrap(), 16).unwrap();
        let (spki, pkcs8) = (hex(&entry["public_spki"]), hex(&entry["private_pkcs8"]));
        let secret = match entry["alg"].as_str().unwrap() {
            "Ed25519" => {
                let secret = Ed25519Secret::from_seed([byte; 32]);
                assert_eq!(secret.pkcs8(), pkcs8);
                assert_eq!(Ed25519Secret::from_pkcs8(&pkcs8).unwrap().seed(), [byte; 32]);
                AuthSecretKey::from(secret)
            }
            "Ed448" => {
                let secret = Ed448Secret::from_seed([byte; 57]);
                assert_eq!(secret.pkcs8(), pkcs8);
                assert_eq!(Ed448Secret::from_pkcs8(&pkcs8).unwrap().seed(), [byte; 57]);
                AuthSecretKey::from(secret)
            }
            "X25519" => {
                let secret = X25519Secret::from_bytes([byte; 32]);
                assert_eq!(secret.pkcs8(), pkcs8);
                assert_eq!(X25519Secret::from_pkcs8(&pkcs8).unwrap().to_bytes(), [byte; 32]);
                AuthSecretKey::from(secret)
            }
            // X448 is for the ratchet above this protocol; no command is authorized with it.
            "X448" => {
                assert_eq!(AuthPublicKey::from_spki(&spki), Err(KeyError));
                continue;
            }
            other => panic!("no test for {other}"),
        };
        assert_eq!(secret.public().spki(), spki);
        assert_eq!(AuthPublicKey::from_spki(&spki), Ok(secret.public()));
    }
}

fn secret() -> SharedSecret {
    X25519Secret::from_bytes([1; 32]).dh(&X25519Secret::from_bytes([2; 32]).public())
}

#[test]
fn each_cryptographic_result() {
    let Some(vectors) = support::deployed() else { return };
    let crypto = vectors["crypto"].as_object().unwrap();
    for (name, value) in crypto {
        match name.as_str() {
            "dh_x25519_01_02" => {
                assert_eq!(secret().as_bytes(), &array(value));
                let other_side =
                    X25519Secret::from_bytes([2; 32]).dh(&X25519Secret::from_bytes([1; 32]).public());
                assert_eq!(other_side, secret());
            }
            "sha3_256_abc" => assert_eq!(hash::sha3_256(b"abc"), array(value)),
            "sha3_384_abc" => assert_eq!(hash::sha3_384(b"abc"), array(value)),
            "sha512_abc" => assert_eq!(hash::sha512(b"abc"), array(value)),
            "hkdf" => {
                let text = |key: &str| value[key].as_str().unwrap().as_bytes();
                let out = hash::hkdf_sha512::<64>(text("salt"), text("ikm"), text("info"));
                assert_eq!(out, array(&value["out64"]));
            }
            "pad_hello_16" => {
                assert_eq!(pad(b"hello", 16).unwrap(), hex(value));
                assert_eq!(unpad(&hex(value)).unwrap(), b"hello");
            }
            "cb_encrypt" => {
                let (nonce, sealed) = (array(&value["nonce"]), hex(&value["ct"]));
                assert_eq!(boxes::seal_padded(&secret(), &nonce, b"hello", 64).unwrap(), sealed);
                assert_eq!(boxes::open_padded(&secret(), &nonce, &sealed).unwrap(), b"hello");
            }
            "cb_encrypt_no_pad" => {
                let nonce = array(&crypto["cb_encrypt"]["nonce"]);
                assert_eq!(boxes::seal(&secret(), &nonce, b"hello"), hex(value));
                assert_eq!(boxes::open(&secret(), &nonce, &hex(value)).unwrap(), b"hello");
                let mut changed = hex(value);
                changed[20] ^= 1;
                assert_eq!(boxes::open(&secret(), &nonce, &changed), Err(CryptoError::Box));
            }
            "reverse_nonce" => {
                let reverse: Nonce = array(value);
                assert_eq!(reversed(array(&crypto["cb_encrypt"]["nonce"])), reverse);
            }
            "cb_authenticate" => {
                let (nonce, auth) = (array(&value["nonce"]), hex(&value["auth"]));
                assert_eq!(authenticator::make(&secret(), &nonce, b"hello").to_vec(), auth);
                assert!(authenticator::verify(&secret(), &nonce, b"hello", &auth));
                assert!(!authenticator::verify(&secret(), &nonce, b"hallo", &auth));
                assert!(!authenticator::verify(&secret(), &nonce, b"hello", &auth[..79]));
                assert!(!authenticator::verify(&secret(), &nonce, b"hello", &[]));
            }
            "sign_ed25519" => {
                let key = Ed25519Secret::from_seed([4; 32]);
                assert_eq!(key.sign(b"hello"), array(value));
                assert!(key.public().verify(b"hello", &hex(value)));
                assert!(!key.public().verify(b"hallo", &hex(value)));
            }
            "sign_ed448" => {
                let key = Ed448Secret::from_seed([6; 57]);
                assert_eq!(key.sign(b"hello"), array(value));
                assert!(key.public().verify(b"hello", &hex(value)));
                assert!(!key.public().verify(b"hallo", &hex(value)));
            }
            "sender_id_from_corr_id" => {
                let corr = CorrId::new(&hex(&value["corr_id"])).unwrap();
                assert_eq!(hash::sender_id_from_corr(&corr), array(&value["sender_id"]));
            }
            "block_chain" => block_chain(value),
            "encrypted_block" => {
                let key = SharedSecret::from_bytes(array(&value["key"]));
                let content = value["content"].as_str().unwrap().as_bytes();
                let block = boxes::seal_padded(&key, &array(&value["nonce"]), content, 16368);
                let block = block.unwrap();
                assert_eq!(block.len() as u64, value["length"].as_u64().unwrap());
                assert!(block.starts_with(&hex(&value["prefix"])));
                assert_eq!(hash::sha256(&block), array(&value["sha256"]));
            }
            "rcv_msg_body" => message_body(value),
            // For the ratchet above this protocol.
            "sntrup761" | "aes_gcm" => {}
            other => panic!("no test for {other}"),
        }
    }
}

fn block_chain(value: &Value) {
    let session_id = hex(&value["salt (session id)"]);
    let (server_to_client, client_to_server) = BlockChains::init(&session_id, &secret());
    let check = |mut chain: ChainKey, steps: &Value| {
        for step in steps.as_array().unwrap() {
            let (key, nonce) = chain.step();
            assert_eq!(key.as_bytes(), &array(&step["key"]));
            assert_eq!(nonce, array(&step["nonce"]));
        }
    };
    check(server_to_client, &value["first (server snd / client rcv)"]);
    check(client_to_server, &value["second (server rcv / client snd)"]);
}

fn message_body(value: &Value) {
    let id = MsgId::new(&hex(&value["nonce=msg_id"])).unwrap();
    let flags = MsgFlags { notification: true };
    let (time, body) = (1_700_000_000, b"message body".to_vec());
    let message = MessageBody::Message { time, flags, body };
    let quota = MessageBody::Quota { time };
    for (body, bytes) in [(&message, hex(&value["plain_message"])), (&quota, hex(&value["plain_quota"]))] {
        assert_eq!(body.encode(), bytes);
        assert_eq!(MessageBody::decode(&bytes).as_ref(), Ok(body));
    }
    let sealed = message.seal(&secret(), &id).unwrap();
    assert_eq!(sealed.len() as u64, value["encrypted_len"].as_u64().unwrap());
    assert!(sealed.starts_with(&hex(&value["encrypted_prefix"])));
    assert_eq!(hash::sha256(&sealed), array(&value["encrypted_sha256"]));
    assert_eq!(MessageBody::open(&secret(), &id, &sealed), Ok(message));
}

/// The text to authorize and its authorizations, as transmissions carry them, and the blocks that carry those.
#[test]
fn authorizations_of_a_transmission() {
    let Some(vectors) = support::deployed() else { return };
    let given = &vectors["transmissions"];
    let text = hex(&given["t_for_auth"]);
    let corr = CorrId::new(&hex(&given["corr_id"])).unwrap();
    let nonce = nonce_from_corr(&corr);
    assert_eq!(nonce, nonce_from_msg(&MsgId::new(corr.as_bytes()).unwrap()));
    let auth = authenticator::make(&secret(), &nonce, &text);
    assert_eq!(auth, array(&given["authenticator"]));

    let ed25519 = Ed25519Secret::from_seed([4; 32]).sign(&text).to_vec();
    let ed448 = Ed448Secret::from_seed([6; 57]).sign(&text).to_vec();
    // In this example a service signs the text and the queue's key authorizes just the text too. In a service's session it
    // covers the fingerprint of the service's certificate as well (SV-8).
    let service_signature = Ed25519Secret::from_seed([5; 32]).sign(&text);
    let signed_by_service = [b"1\x40", service_signature.as_slice()].concat();
    let mut seen = 0;
    for entry in given["encoded"].as_array().unwrap() {
        let own = match entry["auth"].as_str().unwrap() {
            "none" => Vec::new(),
            "ed25519" => ed25519.clone(),
            "ed448" => ed448.clone(),
            "x25519 authenticator" => auth.to_vec(),
            "x25519 authenticator + service signature" => auth.to_vec(),
            other => panic!("no test for {other}"),
        };
        let service = match (entry["service_auth"].as_bool().unwrap(), own.is_empty()) {
            (false, _) | (_, true) => Vec::new(),
            _ if entry["auth"].as_str().unwrap().ends_with("service signature") => signed_by_service.clone(),
            _ => b"0".to_vec(),
        };
        let transmission = [&[own.len() as u8], own.as_slice(), &service, &hex(&given["t"])].concat();
        assert_eq!(transmission, hex(&entry["transmission"]));
        let content = pack_one(&transmission).unwrap();
        assert_eq!(content, hex(&entry["batch1"]));
        let block = BlockCodec::plain().seal(&content).unwrap();
        assert_eq!(hash::sha256(&block), array(&entry["padded_block_sha256"]));

        let version = if entry["service_auth"].as_bool().unwrap() { 20 } else { 15 };
        let session = Session { id: hex(&given["session_id"]), layout: Layout::of(version) };
        let received = read_transmission(&session, &transmission).unwrap();
        assert_eq!(received.authorization.unwrap().as_bytes(), own);
        assert_eq!(received.service_signature, (service.len() > 1).then_some(service_signature));
        assert_eq!((received.text.as_slice(), received.command.as_slice()), (text.as_slice(), &b"SUB"[..]));
        seen += 1;
    }
    assert_eq!(seen, 9);
}
