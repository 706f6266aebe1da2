//! Authenticated encryption: X25519 boxes and, with the key as the shared secret, symmetric boxes.
//!
//! Both are HSalsa20(key, 0¹⁶) and then XSalsa20-Poly1305, so a symmetric box has one HSalsa20 more than
//! NaCl's secretbox (HARDPARTS 3). The 16-byte tag comes first.

use dryoc::classic::crypto_box::{
    crypto_box_detached_afternm_inplace, crypto_box_open_detached_afternm_inplace,
};
use dryoc::classic::crypto_core::crypto_core_hsalsa20;
use rand_core::CryptoRng;

use super::{CryptoError, SharedSecret};
use crate::wire::{CorrId, MsgId, pad_what, unpad};

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

/// Encrypts where it stands what follows the first [`TAG`] bytes, which become the tag. Less than that stays as it is.
pub(crate) fn seal_in_place(secret: &SharedSecret, nonce: &Nonce, bytes: &mut [u8]) {
    if let Some((tag, text)) = bytes.split_first_chunk_mut::<TAG>() {
        crypto_box_detached_afternm_inplace(text, tag, nonce, &box_key(secret));
    }
}

/// Decrypts where it stands what follows the tag.
///
/// # Errors
/// [`CryptoError::Box`]; the bytes are as they were.
fn open_in_place<'a>(
    secret: &SharedSecret,
    nonce: &Nonce,
    sealed: &'a mut [u8],
) -> Result<&'a [u8], CryptoError> {
    let (tag, text) = sealed.split_first_chunk_mut::<TAG>().ok_or(CryptoError::Box)?;
    crypto_box_open_detached_afternm_inplace(text, tag, nonce, &box_key(secret))
        .map_err(|_| CryptoError::Box)?;
    Ok(text)
}

/// Encrypts without padding: tag, then ciphertext.
#[must_use]
pub fn seal(secret: &SharedSecret, nonce: &Nonce, plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(TAG + plain.len());
    sealed.resize(TAG, 0);
    sealed.extend_from_slice(plain);
    seal_in_place(secret, nonce, &mut sealed);
    sealed
}

/// Decrypts what [`seal`] made.
///
/// # Errors
/// [`CryptoError::Box`].
pub fn open(secret: &SharedSecret, nonce: &Nonce, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let mut opened = sealed.to_vec();
    let length = open_in_place(secret, nonce, &mut opened)?.len();
    Ok(kept(opened, TAG, length))
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
    let mut sealed = Vec::with_capacity(TAG + size);
    sealed.resize(TAG, 0);
    pad_what(&mut sealed, size, |sealed| {
        sealed.extend_from_slice(content);
        Ok(())
    })?;
    seal_in_place(secret, nonce, &mut sealed);
    Ok(sealed)
}

/// Decrypts and takes the padding off; the size is the box's own.
///
/// # Errors
/// [`CryptoError::Box`]; [`CryptoError::Padding`] if the length inside exceeds the box.
pub fn open_padded(secret: &SharedSecret, nonce: &Nonce, sealed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    open_padded_in_place(secret, nonce, sealed.to_vec())
}

/// The same, in the box's own memory.
///
/// # Errors
/// As [`open_padded`].
pub(crate) fn open_padded_in_place(
    secret: &SharedSecret,
    nonce: &Nonce,
    mut sealed: Vec<u8>,
) -> Result<Vec<u8>, CryptoError> {
    let length = unpad(open_in_place(secret, nonce, &mut sealed)?)?.len();
    Ok(kept(sealed, TAG + 2, length))
}

/// Of the bytes, `length` from `start` on.
fn kept(mut bytes: Vec<u8>, start: usize, length: usize) -> Vec<u8> {
    bytes.truncate(start + length);
    bytes.drain(..start.min(bytes.len()));
    bytes
}

/// Tag and ciphertext of a 64-byte hash: an authenticator's 80 bytes.
pub(super) fn seal_hash(secret: &SharedSecret, nonce: &Nonce, hash: &[u8; 64]) -> [u8; 80] {
    let mut sealed = [0; 80];
    if let Some((_, text)) = sealed.split_first_chunk_mut::<TAG>() {
        text.copy_from_slice(hash);
    }
    seal_in_place(secret, nonce, &mut sealed);
    sealed
}
