//! Certificates of routers and services: an identity certificate that signs a leaf, and other chains.

use sxlab_protocol::crypto::certificate::Chain;
use sxlab_protocol::crypto::keys::{Ed25519Secret, SignatureSecret};
use sxlab_protocol::transport::{RouterCredentials, ServiceCredentials, ServiceRole};

const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match content.len() {
        ..128 => vec![tag, length[1]],
        128..256 => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [header, content].concat()
}

fn name(common_name: &str) -> Vec<u8> {
    let value = der(0x0c, &[common_name.as_bytes()]);
    der(0x30, &[&der(0x31, &[&der(0x30, &[b"\x06\x03\x55\x04\x03", &value])])])
}

fn certificate(
    subject: &str,
    key: &Ed25519Secret,
    issuer: &str,
    signer: &Ed25519Secret,
    is_authority: bool,
) -> Vec<u8> {
    let valid = der(0x30, &[&der(0x17, &[b"200101000000Z"]), &der(0x18, &[b"40000101000000Z"])]);
    let authority = der(0x04, &[&der(0x30, &[b"\x01\x01\xff"])]);
    let constraints = der(0x30, &[b"\x06\x03\x55\x1d\x13\x01\x01\xff", &authority]);
    let extensions = if is_authority { der(0xa3, &[&der(0x30, &[&constraints])]) } else { Vec::new() };
    let fields = der(
        0x30,
        &[
            b"\xa0\x03\x02\x01\x02\x02\x01\x01",
            ED25519,
            &name(issuer),
            &valid,
            &name(subject),
            &key.public().spki(),
            &extensions,
        ],
    );
    let signature = der(0x03, &[&[0], &signer.sign(&fields)]);
    der(0x30, &[&fields, ED25519, &signature])
}

/// Credentials that differ by `seed`.
pub fn credentials(seed: u8) -> RouterCredentials {
    let (identity, leaf) = (Ed25519Secret::from_seed([seed; 32]), Ed25519Secret::from_seed([!seed; 32]));
    let chain = Chain::new(vec![
        certificate("router", &leaf, "identity", &identity, false),
        certificate("identity", &identity, "identity", &identity, true),
    ]);
    RouterCredentials { chain, leaf: SignatureSecret::from(leaf) }
}

/// A service that presents itself from version 16 on, with a chain of this length. Services differ by `seed`.
#[allow(dead_code, reason = "some tests have no services")]
pub fn service(seed: u8, role: ServiceRole, length: u8) -> ServiceCredentials {
    let key = |at: u8| Ed25519Secret::from_seed([seed.wrapping_mul(16).wrapping_add(at); 32]);
    let last = length.saturating_sub(1);
    let ders = (0..length).map(|at| {
        let issuer = last.min(at + 1);
        certificate(&format!("{at}"), &key(at), &format!("{issuer}"), &key(issuer), at > 0)
    });
    let chain = Chain::new(ders.collect());
    ServiceCredentials { from_version: 16, ..ServiceCredentials::new(role, chain, key(0).into()) }
}
