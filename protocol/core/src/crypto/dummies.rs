//! Keys that nobody has.

use rand_chacha::ChaCha20Rng;

use super::keys::{AuthPublicKey, AuthSecretKey, KeyType};

/// Keys that nobody has, so that a refusal costs as much as a verification (AU-6).
#[derive(Debug)]
pub(crate) struct Dummies {
    ed25519: AuthPublicKey,
    ed448: AuthPublicKey,
    x25519: AuthPublicKey,
}

impl Dummies {
    /// New ones.
    pub(crate) fn generate(rng: &mut ChaCha20Rng) -> Self {
        let mut key = |key_type| AuthSecretKey::generate(key_type, rng).public();
        Self { ed25519: key(KeyType::Ed25519), ed448: key(KeyType::Ed448), x25519: key(KeyType::X25519) }
    }

    /// The one of a type.
    pub(crate) fn of(&self, key_type: KeyType) -> &AuthPublicKey {
        match key_type {
            KeyType::Ed25519 => &self.ed25519,
            KeyType::Ed448 => &self.ed448,
            KeyType::X25519 => &self.x25519,
        }
    }
}
