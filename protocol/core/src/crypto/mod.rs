//! Keys, boxes, authenticators, chain keys, certificates.

pub mod authenticator;
pub mod boxes;
pub mod certificate;
pub mod chain;
#[cfg(test)]
mod check_values;
pub(crate) mod dummies;
pub mod hash;
pub mod keys;
pub mod mint;

pub use keys::SharedSecret;

/// A cryptographic check failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// A box does not open: wrong key or nonce, or changed bytes.
    #[error("the box does not open")]
    Box,
    /// Content does not fit the padded size, or padding is inconsistent after opening.
    #[error("padding: {0}")]
    Padding(#[from] crate::wire::WireError),
}
