//! Authenticated encryption: X25519 boxes and, with the key as the shared secret, symmetric boxes.
//!
//! Both are HSalsa20(key, 0¹⁶) and then XSalsa20-Poly1305, so a symmetric box has one HSalsa20 more than
//! NaCl's secretbox (HARDPARTS 3). The 16-byte tag comes first.

use dryoc::classic::crypto_core::crypto_core_hsalsa20;
use dryoc::classic::crypto_secretbox::{
    crypto_secretbox_detached, crypto_secretbox_easy, crypto_secretbox_open_easy,
};
use rand_core::CryptoRng;

use super::{CryptoError, SharedSecret};
use crate::wire::{CorrId, MsgId, pad, unpad_in_place};

/// The 24 bytes that must not repeat under one key.
pub type Nonce = [u8; 24];

/// Bytes of the tag before the ciphertext.
pub const TAG: usize = 16;

/// A random nonce.
#[must_use]
pub fn random_nonce(rng: &mut (impl CryptoRng + ?Sized)) -> Nonce {
    let mut nonce = [0; 24];
    rng.fill_bytes(&mut nonce);
    nonce
}

/// A correlation id as a nonce: cut to 24 bytes or filled up with zeros (D11, HARDPARTS 4).
#[must_use]
pub fn nonce_from_corr(corr: &CorrId) -> Nonce {
    nonce_from(corr.as_bytes())
}

/// A message id as a nonce, in the same way (SN-9).
#[must_use]
pub fn nonce_from_msg(id: &MsgId) -> Nonce {
    nonce_from(id.as_bytes())
}

fn nonce_from(bytes: &[u8]) -> Nonce {
    let mut nonce = [0; 24];
    for (to, byte) in nonce.iter_mut().zip(bytes) {
        *to = *byte;
    }
    nonce
}

/// The bytes in reverse order: the nonce of a forwarded command's response (D47).
#[must_use]
pub fn reversed(mut nonce: Nonce) -> Nonce {
    nonce.reverse();
    nonce
}

fn box_key(secret: &SharedSecret) -> [u8; 32] {
    let mut key = [0; 32];
    crypto_core_hsalsa20(&mut key, &[0; 16], secret.as_bytes(), None);
    key
}

/// Encrypts without padding: tag, then ciphertext.
#[must_use]
pub fn seal(secret: &SharedSecret, nonce: &Nonce, plain: &[u8]) -> Vec<u8> {
    let mut sealed = vec![0; plain.len() + TAG];
    #[expect(clippy::expect_used, reason = "fails only if the lengths differ by other than the tag")]
    crypto_secretbox_easy(&mut sealed, plain, nonce, &box_key(secret)).expect("length set above");
    sealed
}

/// Decrypts what [`seal`] made.
///
/// # Errors
/// [`CryptoError::Box`].
pub fn open(secret: &SharedSecret, nonce: &Nonce, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let mut plain = vec![0; sealed.len().checked_sub(TAG).ok_or(CryptoError::Box)?];
    crypto_secretbox_open_easy(&mut plain, sealed, nonce, &box_key(secret)).map_err(|_| CryptoError::Box)?;
    Ok(plain)
}

/// Pads to `size` bytes and encrypts: `size` + 16 bytes.
///
/// # Errors
/// [`CryptoError::Padding`] if the content does not fit.
pub fn seal_padded(
    secret: &SharedSecret,
    nonce: &Nonce,
    content: &[u8],
    size: usize,
) -> Result<Vec<u8>, CryptoError> {
    Ok(seal(secret, nonce, &pad(content, size)?))
}

/// Decrypts and takes the padding off; the size is the box's own.
///
/// # Errors
/// [`CryptoError::Box`]; [`CryptoError::Padding`] if the length inside exceeds the box.
pub fn open_padded(secret: &SharedSecret, nonce: &Nonce, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(unpad_in_place(open(secret, nonce, sealed)?)?)
}

/// Tag and ciphertext of a 64-byte hash: an authenticator's 80 bytes.
pub(super) fn seal_hash(secret: &SharedSecret, nonce: &Nonce, hash: &[u8; 64]) -> [u8; 80] {
    let mut sealed = [0; 80];
    if let Some((tag, cipher)) = sealed.split_first_chunk_mut() {
        #[expect(clippy::expect_used, reason = "fails only if the lengths differ; both are 64")]
        crypto_secretbox_detached(cipher, tag, hash, nonce, &box_key(secret)).expect("equal lengths");
    }
    sealed
}
