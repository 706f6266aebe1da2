//! Key pairs, their DER forms and key agreement (ENC-7, AU-1 to AU-4).
//!
//! Public keys travel as DER SubjectPublicKeyInfo, private keys as PKCS#8 version 1. For these key types
//! both are a constant prefix and the raw key.

use std::fmt;

use ed25519_dalek::{Signer as _, Verifier as _};
use rand_core::CryptoRng;

use crate::wire::{Reader, WireError, put_short};

/// Not a key of the type that is expected or allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key of an allowed type")]
pub struct KeyError;

impl From<KeyError> for WireError {
    fn from(_: KeyError) -> Self {
        WireError::BadKey
    }
}

mod der {
    pub(super) const ED25519_SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
    pub(super) const X25519_SPKI: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00";
    pub(super) const ED448_SPKI: &[u8] = b"\x30\x43\x30\x05\x06\x03\x2b\x65\x71\x03\x3a\x00";
    pub(super) const ED25519_PKCS8: &[u8] =
        b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    pub(super) const X25519_PKCS8: &[u8] =
        b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x6e\x04\x22\x04\x20";
    pub(super) const ED448_PKCS8: &[u8] = b"\x30\x47\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x71\x04\x3b\x04\x39";
}

fn raw<const N: usize>(der: &[u8], prefix: &[u8]) -> Result<[u8; N], KeyError> {
    der.strip_prefix(prefix).and_then(|key| key.try_into().ok()).ok_or(KeyError)
}

fn hex(f: &mut fmt::Formatter<'_>, name: &str, bytes: &[u8]) -> fmt::Result {
    write!(f, "{name}(")?;
    bytes.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
    f.write_str("…)")
}

macro_rules! public_key {
    ($(#[$doc:meta])* $name:ident, $len:literal, $prefix:path) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Bytes of its SubjectPublicKeyInfo.
            pub const SPKI_LEN: usize = $prefix.len() + $len;

            /// From the raw key.
            #[must_use]
            pub fn from_bytes(bytes: [u8; $len]) -> Self {
                $name(bytes)
            }

            /// The raw key.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// From DER SubjectPublicKeyInfo.
            ///
            /// # Errors
            /// [`KeyError`] for a key of another type or anything else.
            pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
                raw(der, $prefix).map($name)
            }

            /// DER SubjectPublicKeyInfo.
            #[must_use]
            pub fn spki(&self) -> Vec<u8> {
                [$prefix, &self.0].concat()
            }

            /// Appends the SubjectPublicKeyInfo as a string with a one-byte length.
            pub fn put(&self, out: &mut Vec<u8>) {
                // Never fails: the longest has 69 bytes.
                let _ = put_short(out, &self.spki());
            }

            /// The SubjectPublicKeyInfo as a string with a one-byte length.
            ///
            /// # Errors
            /// [`WireError::BadKey`], [`WireError::UnexpectedEnd`].
            pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
                Ok($name::from_spki(r.short()?)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(f, stringify!($name), &self.0)
            }
        }
    };
}

public_key! {
    /// An Ed25519 public key: 32 bytes, a point or not; what is no point verifies nothing.
    Ed25519Public, 32, der::ED25519_SPKI
}
public_key! {
    /// An Ed448 public key: 57 bytes, a point or not; what is no point verifies nothing.
    Ed448Public, 57, der::ED448_SPKI
}
public_key! {
    /// An X25519 public key: any 32 bytes.
    X25519Public, 32, der::X25519_SPKI
}

impl Ed25519Public {
    /// Whether `signature` (64 bytes) is this key's over `text`.
    #[must_use]
    pub fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::VerifyingKey::from_bytes(&self.0).is_ok_and(|key| {
            ed25519_dalek::Signature::from_slice(signature).is_ok_and(|s| key.verify(text, &s).is_ok())
        })
    }
}

impl Ed448Public {
    /// Whether `signature` (114 bytes) is this key's over `text`. Takes about 0.8 ms.
    #[must_use]
    pub fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = ed448_goldilocks::Signature::from_slice(signature) else { return false };
        ed448_goldilocks::VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_raw(&signature, text).is_ok())
    }
}

macro_rules! secret_debug {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

/// An Ed25519 key pair.
#[derive(Clone)]
pub struct Ed25519Secret(Box<ed25519_dalek::SigningKey>);

impl Ed25519Secret {
    /// From the 32 secret bytes.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Ed25519Secret(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed)))
    }

    /// A new key pair.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Ed25519Secret::from_seed(random(rng))
    }

    /// The 32 secret bytes.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> Ed25519Public {
        Ed25519Public(self.0.verifying_key().to_bytes())
    }

    /// The signature over `text`; deterministic.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.0.sign(text).to_bytes()
    }

    /// PKCS#8 version 1.
    #[must_use]
    pub fn pkcs8(&self) -> Vec<u8> {
        [der::ED25519_PKCS8, &self.seed()].concat()
    }

    /// From PKCS#8 version 1.
    ///
    /// # Errors
    /// [`KeyError`] for anything else.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        raw(der, der::ED25519_PKCS8).map(Ed25519Secret::from_seed)
    }
}

/// An Ed448 key pair.
#[derive(Clone)]
pub struct Ed448Secret(Box<ed448_goldilocks::SigningKey>);

impl Ed448Secret {
    /// From the 57 secret bytes.
    #[must_use]
    pub fn from_seed(seed: [u8; 57]) -> Self {
        Ed448Secret(Box::new(ed448_goldilocks::EdwardsScalarBytes::from(seed).into()))
    }

    /// A new key pair.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Ed448Secret::from_seed(random(rng))
    }

    /// The 57 secret bytes.
    #[must_use]
    pub fn seed(&self) -> [u8; 57] {
        self.0.to_bytes().into()
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> Ed448Public {
        Ed448Public(self.0.verifying_key().to_bytes())
    }

    /// The signature over `text`; deterministic. Takes about 0.4 ms.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> [u8; 114] {
        self.0.sign_raw(text).to_bytes()
    }

    /// PKCS#8 version 1.
    #[must_use]
    pub fn pkcs8(&self) -> Vec<u8> {
        [der::ED448_PKCS8, &self.seed()].concat()
    }

    /// From PKCS#8 version 1.
    ///
    /// # Errors
    /// [`KeyError`] for anything else.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        raw(der, der::ED448_PKCS8).map(Ed448Secret::from_seed)
    }
}

/// An X25519 key pair.
#[derive(Clone)]
pub struct X25519Secret(x25519_dalek::StaticSecret);

impl X25519Secret {
    /// From the 32 secret bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        X25519Secret(bytes.into())
    }

    /// A new key pair.
    #[must_use]
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        X25519Secret::from_bytes(random(rng))
    }

    /// The 32 secret bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> X25519Public {
        X25519Public(x25519_dalek::PublicKey::from(&self.0).to_bytes())
    }

    /// The raw shared secret with another's key.
    #[must_use]
    pub fn dh(&self, other: &X25519Public) -> SharedSecret {
        SharedSecret(self.0.diffie_hellman(&other.0.into()).to_bytes())
    }

    /// PKCS#8 version 1.
    #[must_use]
    pub fn pkcs8(&self) -> Vec<u8> {
        [der::X25519_PKCS8, &self.to_bytes()].concat()
    }

    /// From PKCS#8 version 1.
    ///
    /// # Errors
    /// [`KeyError`] for anything else.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        raw(der, der::X25519_PKCS8).map(X25519Secret::from_bytes)
    }
}

secret_debug!(Ed25519Secret);
secret_debug!(Ed448Secret);
secret_debug!(X25519Secret);
secret_debug!(SharedSecret);

/// What two parties share: a raw X25519 result, or a symmetric key used in the same way (HARDPARTS 3).
#[derive(Clone, PartialEq, Eq)]
pub struct SharedSecret([u8; 32]);

impl SharedSecret {
    /// From the 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        SharedSecret(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn random<const N: usize>(rng: &mut (impl CryptoRng + ?Sized)) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// The type of an authorization key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// 64-byte signatures.
    Ed25519,
    /// 114-byte signatures.
    Ed448,
    /// 80-byte authenticators.
    X25519,
}

/// A key that authorizes commands of a queue (AU-2, D62).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthPublicKey {
    /// For signatures.
    Ed25519(Ed25519Public),
    /// For signatures.
    Ed448(Ed448Public),
    /// For authenticators.
    X25519(X25519Public),
}

impl AuthPublicKey {
    /// From DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`KeyError`] for another type, X448 among them.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        Ed25519Public::from_spki(der)
            .map(AuthPublicKey::Ed25519)
            .or_else(|_| X25519Public::from_spki(der).map(AuthPublicKey::X25519))
            .or_else(|_| Ed448Public::from_spki(der).map(AuthPublicKey::Ed448))
    }

    /// DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        match self {
            AuthPublicKey::Ed25519(key) => key.spki(),
            AuthPublicKey::Ed448(key) => key.spki(),
            AuthPublicKey::X25519(key) => key.spki(),
        }
    }

    /// The type.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        match self {
            AuthPublicKey::Ed25519(_) => KeyType::Ed25519,
            AuthPublicKey::Ed448(_) => KeyType::Ed448,
            AuthPublicKey::X25519(_) => KeyType::X25519,
        }
    }

    /// Appends the SubjectPublicKeyInfo as a string with a one-byte length.
    pub fn put(&self, out: &mut Vec<u8>) {
        // Never fails: the longest has 69 bytes.
        let _ = put_short(out, &self.spki());
    }

    /// The SubjectPublicKeyInfo as a string with a one-byte length.
    ///
    /// # Errors
    /// [`WireError::BadKey`], [`WireError::UnexpectedEnd`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(AuthPublicKey::from_spki(r.short()?)?)
    }
}

macro_rules! into_variant {
    ($($from:ident => $into:ident::$variant:ident),*) => {
        $(
            impl From<$from> for $into {
                fn from(key: $from) -> Self {
                    $into::$variant(key)
                }
            }

            impl From<&$from> for $into {
                fn from(key: &$from) -> Self {
                    $into::$variant(key.clone())
                }
            }
        )*
    };
}

into_variant!(
    Ed25519Public => AuthPublicKey::Ed25519,
    Ed448Public => AuthPublicKey::Ed448,
    X25519Public => AuthPublicKey::X25519,
    Ed25519Secret => AuthSecretKey::Ed25519,
    Ed448Secret => AuthSecretKey::Ed448,
    X25519Secret => AuthSecretKey::X25519,
    Ed25519Secret => SignatureSecret::Ed25519,
    Ed448Secret => SignatureSecret::Ed448,
    Ed25519Public => SignatureKey::Ed25519,
    Ed448Public => SignatureKey::Ed448
);

impl From<&AuthPublicKey> for AuthPublicKey {
    fn from(key: &AuthPublicKey) -> Self {
        *key
    }
}

impl From<&SignatureSecret> for SignatureSecret {
    fn from(key: &SignatureSecret) -> Self {
        key.clone()
    }
}

/// The secret side of an authorization key.
#[derive(Clone, Debug)]
pub enum AuthSecretKey {
    /// Makes signatures.
    Ed25519(Ed25519Secret),
    /// Makes signatures.
    Ed448(Ed448Secret),
    /// Makes authenticators.
    X25519(X25519Secret),
}

impl AuthSecretKey {
    /// A new key of the type.
    #[must_use]
    pub fn generate(key_type: KeyType, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        match key_type {
            KeyType::Ed25519 => AuthSecretKey::Ed25519(Ed25519Secret::generate(rng)),
            KeyType::Ed448 => AuthSecretKey::Ed448(Ed448Secret::generate(rng)),
            KeyType::X25519 => AuthSecretKey::X25519(X25519Secret::generate(rng)),
        }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> AuthPublicKey {
        match self {
            AuthSecretKey::Ed25519(key) => AuthPublicKey::Ed25519(key.public()),
            AuthSecretKey::Ed448(key) => AuthPublicKey::Ed448(key.public()),
            AuthSecretKey::X25519(key) => AuthPublicKey::X25519(key.public()),
        }
    }
}

impl AuthSecretKey {
    /// PKCS#8 version 1.
    #[must_use]
    pub fn pkcs8(&self) -> Vec<u8> {
        match self {
            AuthSecretKey::Ed25519(key) => key.pkcs8(),
            AuthSecretKey::Ed448(key) => key.pkcs8(),
            AuthSecretKey::X25519(key) => key.pkcs8(),
        }
    }

    /// From PKCS#8 version 1.
    ///
    /// # Errors
    /// [`KeyError`] for another type or anything else.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Ed25519Secret::from_pkcs8(der)
            .map(AuthSecretKey::Ed25519)
            .or_else(|_| X25519Secret::from_pkcs8(der).map(AuthSecretKey::X25519))
            .or_else(|_| Ed448Secret::from_pkcs8(der).map(AuthSecretKey::Ed448))
    }
}

impl PartialEq for AuthSecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.pkcs8() == other.pkcs8()
    }
}

impl Eq for AuthSecretKey {}

/// A key that verifies certificates and signed session keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureKey {
    /// 64-byte signatures.
    Ed25519(Ed25519Public),
    /// 114-byte signatures.
    Ed448(Ed448Public),
}

impl SignatureKey {
    /// From DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`KeyError`] for another type.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        Ed25519Public::from_spki(der)
            .map(SignatureKey::Ed25519)
            .or_else(|_| Ed448Public::from_spki(der).map(SignatureKey::Ed448))
    }

    /// DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        match self {
            SignatureKey::Ed25519(key) => key.spki(),
            SignatureKey::Ed448(key) => key.spki(),
        }
    }

    /// Whether `signature` is this key's over `text`.
    #[must_use]
    pub fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        match self {
            SignatureKey::Ed25519(key) => key.verify(text, signature),
            SignatureKey::Ed448(key) => key.verify(text, signature),
        }
    }
}

/// The secret side of a [`SignatureKey`].
#[derive(Clone, Debug)]
pub enum SignatureSecret {
    /// 64-byte signatures.
    Ed25519(Ed25519Secret),
    /// 114-byte signatures.
    Ed448(Ed448Secret),
}

impl SignatureSecret {
    /// The public key.
    #[must_use]
    pub fn public(&self) -> SignatureKey {
        match self {
            SignatureSecret::Ed25519(key) => SignatureKey::Ed25519(key.public()),
            SignatureSecret::Ed448(key) => SignatureKey::Ed448(key.public()),
        }
    }

    /// The signature over `text`: 64 or 114 bytes.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        match self {
            SignatureSecret::Ed25519(key) => key.sign(text).to_vec(),
            SignatureSecret::Ed448(key) => key.sign(text).to_vec(),
        }
    }

    /// PKCS#8 version 1.
    #[must_use]
    pub fn pkcs8(&self) -> Vec<u8> {
        match self {
            SignatureSecret::Ed25519(key) => key.pkcs8(),
            SignatureSecret::Ed448(key) => key.pkcs8(),
        }
    }

    /// From PKCS#8 version 1.
    ///
    /// # Errors
    /// [`KeyError`] for a key of another type and anything else.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Ed25519Secret::from_pkcs8(der)
            .map(SignatureSecret::Ed25519)
            .or_else(|_| Ed448Secret::from_pkcs8(der).map(SignatureSecret::Ed448))
    }
}
