//! Certificates of routers, made: an authority that signs itself, and a leaf that it signs (TR-4).
//!
//! X.509 v3 in DER, with Ed25519 or Ed448 keys, valid from 1970 to 4759. What stands in them beside names and keys is
//! what clients check: who may sign others, and what the leaf is for.

use rand_core::CryptoRng;

use super::certificate::{Chain, element, oid_of};
use super::hash::sha256;
use super::keys::SignatureSecret;

/// Object identifiers, encoded.
mod oid {
    pub(super) const COMMON_NAME: &[u8] = b"\x55\x04\x03";
    pub(super) const SUBJECT_KEY: &[u8] = b"\x55\x1d\x0e";
    pub(super) const KEY_USAGE: &[u8] = b"\x55\x1d\x0f";
    pub(super) const BASIC_CONSTRAINTS: &[u8] = b"\x55\x1d\x13";
    pub(super) const AUTHORITY_KEY: &[u8] = b"\x55\x1d\x23";
    pub(super) const EXTENDED_KEY_USAGE: &[u8] = b"\x55\x1d\x25";
    pub(super) const SERVER_AUTHENTICATION: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x01";
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// Digital signature, content commitment and key agreement: the first, second and fifth of nine bits.
const LEAF_USAGE: [u8; 2] = [3, 0b1100_1000];

/// What one certificate says.
struct Subject<'a> {
    name: &'a str,
    key: &'a SignatureSecret,
    authority: bool,
}

/// A chain of two: the leaf called `name` with its key, and the authority called `authority_name` with its. Names
/// beyond 60,000 bytes are cut. `rng` makes the serial numbers, the authority's first.
pub fn mint(
    (name, key): (&str, &SignatureSecret),
    (authority_name, authority_key): (&str, &SignatureSecret),
    rng: &mut impl CryptoRng,
) -> Chain {
    let authority = Subject { name: authority_name, key: authority_key, authority: true };
    let leaf = Subject { name, key, authority: false };
    let (authority_serial, leaf_serial) = (serial(rng), serial(rng));
    Chain::new(vec![
        certificate(&leaf, &authority, leaf_serial),
        certificate(&authority, &authority, authority_serial),
    ])
}

/// RFC 5280, section 4.1.2.2: positive and at most 20 bytes. A first byte of 0x40 to 0x7f is both.
fn serial(rng: &mut impl CryptoRng) -> [u8; 20] {
    let mut serial = [0; 20];
    rng.fill_bytes(&mut serial);
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x3f | 0x40;
    }
    serial
}

fn certificate(subject: &Subject<'_>, issuer: &Subject<'_>, serial: [u8; 20]) -> Vec<u8> {
    let algorithm = sequence(&[&element(OBJECT, oid_of(issuer.key).as_bytes())]);
    let validity =
        sequence(&[&element(UTC_TIME, b"700101000000Z"), &element(GENERALIZED_TIME, b"47590101000000Z")]);
    let content = sequence(&[
        // Version 3, which counts from 0.
        &element(0xa0, &element(INTEGER, &[2])),
        &element(INTEGER, &serial),
        &algorithm,
        &distinguished(issuer.name),
        &validity,
        &distinguished(subject.name),
        &subject.key.public().spki(),
        &element(0xa3, &extensions(subject, issuer)),
    ]);
    // A bit string begins with the number of unused bits.
    let signature = element(BIT_STRING, &[&[0][..], &issuer.key.sign(&content)].concat());
    sequence(&[&content, &algorithm, &signature])
}

fn extensions(subject: &Subject<'_>, issuer: &Subject<'_>) -> Vec<u8> {
    let authority_key = sequence(&[&element(0x80, &key_id(issuer.key))]);
    let subject_key = element(OCTET_STRING, &key_id(subject.key));
    let mut extensions = vec![extension(oid::AUTHORITY_KEY, false, &authority_key)];
    if !subject.authority {
        let server = element(OBJECT, oid::SERVER_AUTHENTICATION);
        extensions.push(extension(oid::KEY_USAGE, true, &element(BIT_STRING, &LEAF_USAGE)));
        extensions.push(extension(oid::EXTENDED_KEY_USAGE, false, &sequence(&[&server])));
    }
    let constraints = if subject.authority { element(BOOLEAN, &[0xff]) } else { Vec::new() };
    extensions.push(extension(oid::SUBJECT_KEY, false, &subject_key));
    extensions.push(extension(oid::BASIC_CONSTRAINTS, true, &sequence(&[&constraints])));
    element(SEQUENCE, &extensions.concat())
}

fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { element(BOOLEAN, &[0xff]) } else { Vec::new() };
    sequence(&[&element(OBJECT, oid), &critical, &element(OCTET_STRING, value)])
}

/// RFC 7093, section 2: the first 160 bits of a hash.
fn key_id(key: &SignatureSecret) -> Vec<u8> {
    sha256(&key.public().spki()).into_iter().take(20).collect()
}

/// A name of nothing but a common name.
fn distinguished(name: &str) -> Vec<u8> {
    let name = name.get(..name.floor_char_boundary(60_000)).unwrap_or(name);
    let common = sequence(&[&element(OBJECT, oid::COMMON_NAME), &element(UTF8_STRING, name.as_bytes())]);
    sequence(&[&element(SET, &common)])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}
