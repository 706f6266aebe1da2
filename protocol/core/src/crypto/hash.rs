//! Hash functions.

use std::sync::LazyLock;

use hkdf::HkdfExtract;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use sha3::{Sha3_256, Sha3_384};

use crate::wire::CorrId;

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-512.
#[must_use]
pub fn sha512(bytes: &[u8]) -> [u8; 64] {
    Sha512::digest(bytes).into()
}

/// SHA3-256.
#[must_use]
pub fn sha3_256(bytes: &[u8]) -> [u8; 32] {
    Sha3_256::digest(bytes).into()
}

/// SHA3-384.
#[must_use]
pub fn sha3_384(bytes: &[u8]) -> [u8; 48] {
    Sha3_384::digest(bytes).into()
}

/// MD5. Only for the hash of a service's queues, which nobody's security rests on (SV-14).
#[must_use]
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// The sender id that a client must choose for a queue with link data: the first 24 bytes of the SHA3-384
/// of NEW's correlation id (RC-9).
#[must_use]
pub fn sender_id_from_corr(corr: &CorrId) -> [u8; 24] {
    let mut id = [0; 24];
    for (to, byte) in id.iter_mut().zip(sha3_384(corr.as_bytes())) {
        *to = byte;
    }
    id
}

/// HKDF-SHA512, extract then expand, to `N` bytes.
#[must_use]
pub fn hkdf_sha512<const N: usize>(salt: &[u8], ikm: &[u8], info: &[u8]) -> [u8; N] {
    const { assert!(N <= 255 * 64, "HKDF gives at most 255 blocks") };
    /// Keys of blocks are made without salt, one for each block: what does not depend on them is hashed once.
    static WITHOUT_SALT: LazyLock<HkdfExtract<Sha512>> = LazyLock::new(|| HkdfExtract::new(None));
    let mut extract = if salt.is_empty() { WITHOUT_SALT.clone() } else { HkdfExtract::new(Some(salt)) };
    extract.input_ikm(ikm);
    let mut out = [0; N];
    #[expect(clippy::expect_used, reason = "fails only above the length that is asserted at compile time")]
    extract.finalize().1.expand(info, &mut out).expect("length checked above");
    out
}
