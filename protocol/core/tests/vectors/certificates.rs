//! Chains and signed session keys: recorded ones of the deployed router, and ones made with OpenSSL 3.0
//! (`openssl req -x509`, `openssl x509 -req`), which are valid from 2026 to 2126.

use crate::support;
use sxlab_protocol::crypto::certificate::{CertificateError, Chain, SignedKey};
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::wire::{Reader, VersionRange};

const NOW: u64 = 1_800_000_000;
const ED448_LEAF_SECRET: &str = "33f79565a4eab9b3488a6374ba11650f854a694d771830644470ce973ebe46e0ffa8177ef145e640e89a1c2094d67937a3f70641c998723f9a";

macro_rules! chain {
    ($($name:literal),*) => {
        Chain::new(vec![$(include_bytes!(concat!("certificates/", $name, ".der")).to_vec()),*])
    };
}

#[test]
fn chains_of_two_and_three_hold() {
    for chain in [
        chain!("ed25519_leaf", "ed25519_ca"),
        chain!("ed448_leaf", "ed448_ca"),
        chain!("leaf_of_three", "online_ca", "ed25519_ca"),
    ] {
        assert_eq!(chain.verify(NOW), Ok(()));
        assert_eq!(chain.identity(), Ok(sha256(&chain.ders[1])));
    }
}

#[test]
fn chains_that_do_not_hold() {
    let check = |chain: Chain, expected| assert_eq!(chain.verify(NOW), Err(expected));
    check(Chain::default(), CertificateError::Length(0));
    check(chain!("ed25519_ca"), CertificateError::Length(1));
    let ca = || include_bytes!("certificates/ed25519_ca.der").to_vec();
    check(Chain::new(vec![ca(); 5]), CertificateError::Length(5));
    check(chain!("ed25519_leaf", "ed448_leaf"), CertificateError::Issuer);
    // The same names, but another key and algorithm.
    check(chain!("ed25519_leaf", "ed448_ca"), CertificateError::Signature);
    check(chain!("leaf_of_three", "online_ca"), CertificateError::Issuer);
    check(chain!("signed_by_leaf", "ed25519_leaf", "ed25519_ca"), CertificateError::NotAuthority);
    check(Chain::new(vec![b"no DER".to_vec(), ca()]), CertificateError::Malformed);
    let good = chain!("ed25519_leaf", "ed25519_ca");
    assert_eq!(good.verify(1_700_000_000), Err(CertificateError::Time));
    assert_eq!(good.verify(5_000_000_000), Err(CertificateError::Time));
}

#[test]
fn a_changed_byte_breaks_a_chain() {
    for chain in [chain!("ed25519_leaf", "ed25519_ca"), chain!("ed448_leaf", "ed448_ca")] {
        for element in 0..2 {
            // A byte of the key, one of the signature.
            for from_end in [1, 200] {
                let mut changed = chain.clone();
                let at = changed.ders[element].len() - from_end;
                changed.ders[element][at] ^= 1;
                assert!(changed.verify(NOW).is_err(), "element {element}, byte {at}");
            }
        }
    }
}

#[test]
fn a_service_may_have_one_certificate() {
    let own = chain!("ed25519_ca");
    assert_eq!(own.verify_service(NOW), Ok(()));
    assert_eq!(own.identity(), Ok(sha256(&own.ders[0])));
    assert_eq!(chain!("ed448_leaf", "ed448_ca").verify_service(NOW), Ok(()));
    assert_eq!(chain!("ed25519_leaf").verify_service(NOW), Err(CertificateError::Issuer));
    assert_eq!(Chain::default().verify_service(NOW), Err(CertificateError::Length(0)));
}

#[test]
fn signed_keys() {
    let key = X25519Secret::from_bytes([1; 32]).public();
    let seed = hex::decode(ED448_LEAF_SECRET).unwrap().try_into().unwrap();
    let ed448 = SignatureSecret::from(Ed448Secret::from_seed(seed));
    let ed25519 = SignatureSecret::from(Ed25519Secret::from_seed([4; 32]));
    let leaf = chain!("ed448_leaf", "ed448_ca").leaf_public_key().unwrap();
    assert_eq!(leaf, ed448.public());

    for (signer, length) in [(&ed25519, 122), (&ed448, 173)] {
        let signed = SignedKey::make(key, signer);
        assert_eq!(signed.as_der().len(), length);
        assert_eq!(SignedKey::parse(signed.as_der()).as_ref(), Ok(&signed));
        assert_eq!(signed.verify(&signer.public()), Ok(key));
        assert_eq!(signed.verify_service(&signer.public()), Err(CertificateError::Key));
    }
    let signed = SignedKey::make(key, &ed25519);
    assert_eq!(signed.verify(&ed448.public()), Err(CertificateError::Signature));
    let service = Ed25519Secret::from_seed([5; 32]).public();
    let signed = SignedKey::make(service, &ed25519);
    assert_eq!(signed.verify_service(&ed25519.public()), Ok(service));
    assert_eq!(signed.verify(&ed25519.public()), Err(CertificateError::Key));
}

/// A router's hello: versions, session id, chain, signed key.
struct Hello {
    versions: VersionRange,
    session_id: Vec<u8>,
    authentication: Option<(Chain, SignedKey)>,
}

fn hello(content: &[u8]) -> Hello {
    let mut r = Reader::new(content);
    let versions = VersionRange::read(&mut r).unwrap();
    let session_id = r.short().unwrap().to_vec();
    let authentication = (!r.is_empty()).then(|| {
        let chain = Chain::new(r.list(|r| Ok(r.large()?.to_vec())).unwrap());
        (chain, SignedKey::parse(r.large().unwrap()).unwrap())
    });
    r.end().unwrap();
    Hello { versions, session_id, authentication }
}

fn verified(authentication: &(Chain, SignedKey)) -> X25519Public {
    let (chain, signed_key) = authentication;
    chain.verify(NOW).unwrap();
    let leaf = chain.leaf_public_key().unwrap();
    let key = signed_key.verify(&leaf).unwrap();
    assert_eq!(signed_key.key(), &AuthPublicKey::X25519(key));
    key
}

#[test]
fn first_blocks_of_deployed_routers() {
    let Some(blocks) = support::json("handshake-first-blocks.json") else { return };
    let content = |name: &str| support::hex(&blocks[name]["content_hex"]);

    let smp = hello(&content("smp"));
    assert_eq!(smp.versions, VersionRange::new(6, 20).unwrap());
    assert_eq!(smp.session_id.len(), 32);
    verified(&smp.authentication.unwrap());

    let without_alpn = hello(&content("smp_no_alpn"));
    assert_eq!(without_alpn.versions, VersionRange::only(6));
    assert!(without_alpn.authentication.is_none());

    // The notification router sends no chain; its key is signed with Ed448.
    let ntf = content("ntf");
    let mut r = Reader::new(&ntf);
    assert_eq!(VersionRange::read(&mut r), VersionRange::new(1, 3));
    r.short().unwrap();
    let signed = SignedKey::parse(r.large().unwrap()).unwrap();
    assert_eq!(signed.as_der().len(), 173);
    assert!(matches!(signed.key(), AuthPublicKey::X25519(_)));
}

#[test]
fn hellos_in_transcripts() {
    let Some(directory) = support::directory() else { return };
    let mut verified_keys = 0;
    let mut paths: Vec<_> = std::fs::read_dir(directory.join("transcripts/smp"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("handshake-"))
        .collect();
    paths.sort();
    for path in &paths {
        let text = std::fs::read_to_string(path).unwrap();
        let transcript: serde_json::Value = serde_json::from_str(&text).unwrap();
        for step in transcript["steps"].as_array().unwrap() {
            let text = step["text"].as_str().unwrap_or_default();
            if !text.starts_with("server hello") || !step["hex"].is_string() {
                continue;
            }
            let hello = hello(&support::hex(&step["hex"]));
            let session = &transcript["sessions"][step["conn"].as_str().unwrap()];
            let Some(authentication) = &hello.authentication else { continue };
            let key = verified(authentication);
            if let Some(spki) = session["server_public_key_spki"].as_str() {
                assert_eq!(hex::encode(key.spki()), spki, "{}", path.display());
            }
            if let Some(secret) = session["client_private_key_raw"].as_str() {
                let secret: [u8; 32] = hex::decode(secret).unwrap().try_into().unwrap();
                let shared = X25519Secret::from_bytes(secret).dh(&key);
                assert_eq!(shared.as_bytes(), &support::array(&session["dh_secret"]));
            }
            verified_keys += 1;
        }
    }
    assert_eq!(paths.len(), 7);
    assert!(verified_keys > paths.len(), "{verified_keys}");
}
