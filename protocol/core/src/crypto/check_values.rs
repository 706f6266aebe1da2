//! Check values that an independent model computed; they need no files. Keys a and b are the bytes 01 to 20
//! and 21 to 40 (hex), the session id is a0 to bf, the nonce 00 to 17.

use super::boxes::{self, Nonce, nonce_from_corr, seal_padded};
use super::chain::BlockChains;
use super::keys::X25519Secret;
use super::{SharedSecret, authenticator, hash};
use crate::wire::CorrId;

fn counting<const N: usize>(from: u8) -> [u8; N] {
    std::array::from_fn(|i| from + i as u8)
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn dh() -> SharedSecret {
    X25519Secret::from_bytes(counting(0x01)).dh(&X25519Secret::from_bytes(counting(0x21)).public())
}

#[test]
fn key_agreement() {
    let public = |from| X25519Secret::from_bytes(counting(from)).public();
    let a = bytes("07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c");
    let b = bytes("5869aff450549732cbaaed5e5df9b30a6da31cb0e5742bad5ad4a1a768f1a67b");
    assert_eq!(public(0x01).as_bytes(), &a);
    assert_eq!(public(0x21).as_bytes(), &b);
    let shared = bytes("a84dc7c3c8f058b1b2dc4cd1e9b5dc0a7987f88b6a9564cde3391fc421159e77");
    assert_eq!(dh().as_bytes(), &shared);
}

#[test]
fn block_chains() {
    let (server_to_client, mut client_to_server) = BlockChains::init(&counting::<32>(0xa0), &dh());
    assert_eq!(
        server_to_client.as_bytes(),
        &bytes("4069d790fc04c703179b57b906021e73fd68ee50dc6af4bc239c5d12ae85a692")
    );
    assert_eq!(
        client_to_server.as_bytes(),
        &bytes("5e1f34bb33bb8630d93b5c029a50725f137ada37b7521cd86b6fcc5e4e3d457f")
    );
    let (key, nonce) = client_to_server.step();
    assert_eq!(
        client_to_server.as_bytes(),
        &bytes("eca60a7e249855c9167dc060ce952611770d7e386047b8eb1aa7c7b1181b0f05")
    );
    assert_eq!(key.as_bytes(), &bytes("0b99fa111f84e66af41c797608c108a8a9ec16148dba4b2fc8c4471a857848d6"));
    assert_eq!(nonce, bytes("48e387947dce03b26b6a9540e06d5fdebab380fb03f6f673"));

    // The first block from client to server, with a PING alone: a batch of one.
    let ping = [&[0, 24], &counting::<24>(0)[..], &[0], b"PING"].concat();
    let content = [&[1, 0, ping.len() as u8], ping.as_slice()].concat();
    let block = seal_padded(&key, &nonce, &content, 16368).unwrap();
    assert_eq!(block.len(), 16384);
    let first = bytes::<32>("8c69f422bc5eeb69505200378e7e49a3bf0630df2c312a5b7906e510796c6f8d");
    assert!(block.starts_with(&first));
    assert_eq!(
        hash::sha256(&block),
        bytes("4419953ff9fea797320c1217c68981d2bc5b9e91e8b3b11c219adcc0d06f4d3d")
    );
    assert_eq!(boxes::open_padded(&key, &nonce, &block).unwrap(), content);
}

#[test]
fn authenticators() {
    let corr = CorrId::from(counting::<24>(0));
    let text =
        [&[32], &counting::<32>(0xa0)[..], &[24], corr.as_bytes(), &[4], b"1234", b"SEND F hello"].concat();
    let expected = bytes(
        "a3b76685210dfd5d30d8c250b8e54fe255ad9cc7baf5d3b4d365ced05c331e7171571274aa6c85e96e26edc829ce6\
         83b7ab0c908cd92c341d5ddd1f2062a2282462beee6fef0638d11f62056af350431",
    );
    let nonce = nonce_from_corr(&corr);
    assert_eq!(authenticator::make(&dh(), &nonce, &text), expected);
    assert!(authenticator::verify(&dh(), &nonce, &text, &expected));
}

#[test]
fn padded_boxes() {
    let nonce: Nonce = counting(0);
    let sealed = seal_padded(&dh(), &nonce, b"hello", 32).unwrap();
    let expected = "3b8bdaa36d72663026ee5cc9b04ef0dd12f0b33c365112f1dad16220dc61329e5629372540908c16cdb96\
                    8bb81772e60";
    assert_eq!(hex::encode(&sealed), expected);
    assert_eq!(boxes::open_padded(&dh(), &nonce, &sealed).unwrap(), b"hello");
}

#[test]
fn nonces_of_short_and_long_ids() {
    let nonce = |bytes: &[u8]| nonce_from_corr(&CorrId::new(bytes).unwrap());
    assert_eq!(nonce(b""), [0; 24]);
    assert_eq!(nonce(b"1234")[..5], *b"1234\0");
    assert_eq!(nonce(&counting::<100>(0)), counting(0));
}

#[test]
fn hashes_and_derivations() {
    let sender = hash::sender_id_from_corr(&CorrId::from(counting::<24>(0)));
    assert_eq!(sender, bytes("3ae1a7e6f8e0007f53167b85c478203b8445ac2b7b092da2"));
    let link_key = hash::sha3_256(b"fixed");
    assert_eq!(link_key, bytes("eb783dad9f89827f5b5ecfb320a40c6c82cdba900a35c99af1f8cb843556dad0"));
    assert_eq!(
        hash::hkdf_sha512(b"", &link_key, b"SimpleXContactLink"),
        bytes::<56>(
            "d663e56e6d89ea4590b431eabc3382fbbacc73c9a4acb394\
             890289465a8fc2af5bd3d164bcb4954a2090a763dd2164a7532ebb955aa76560"
        )
    );
    assert_eq!(
        hash::hkdf_sha512(&[0; 32], dh().as_bytes(), b"SimpleXRootRatchet"),
        bytes::<96>(
            "ee91ebcae1f9edb244b43c606c8e11256cd64a28970f2b6730bf2d5fc5e8ff89\
             762cd1dd2b1f8bcac22446375d0aae71a56b630721211f0c3fd1c7738c48c25c\
             48947f2139e7d8073f3494a4737bf6c300f1b7f194bb14ed55da2d74aba3701e"
        )
    );
}
