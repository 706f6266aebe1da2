//! Deniable authorization: a box of the text's SHA-512 (AU-3, HARDPARTS 7).

use super::SharedSecret;
use super::boxes::{Nonce, seal_hash};
use super::hash::sha512;

/// Bytes of an authenticator: tag and encrypted hash.
pub const SIZE: usize = 80;

/// The authenticator of `text`, which begins with the session id. `secret` is between the command's key
/// and the router's session key; the nonce is the correlation id.
#[must_use]
pub fn make(secret: &SharedSecret, nonce: &Nonce, text: &[u8]) -> [u8; SIZE] {
    seal_hash(secret, nonce, &sha512(text))
}

/// Whether the authenticator is that of `text`, in time that does not depend on where they differ.
#[must_use]
pub fn verify(secret: &SharedSecret, nonce: &Nonce, text: &[u8], authenticator: &[u8]) -> bool {
    let expected = make(secret, nonce, text);
    let differing = expected.iter().zip(authenticator).fold(0, |acc, (a, b)| acc | (a ^ b));
    authenticator.len() == SIZE && std::hint::black_box(differing) == 0
}
