use std::io;
use std::sync::Arc;

use rustls::AlertDescription;
use sxlab_protocol::crypto::certificate::CertificateError;

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The router is not the one that its address names (TR-5).
    #[error("the router has another identity than its address")]
    IdentityMismatch {
        /// SHA-256 of the identity certificate as the address has it.
        expected: [u8; 32],
        /// SHA-256 of the identity certificate that the router presented.
        actual: [u8; 32],
    },
    /// The peer's certificates do not hold (TR-4, TR-6, SV-3).
    #[error("the peer's certificates: {0}")]
    BadChain(CertificateError),
    /// The client offered application protocols, and this router knows none of them (TR-10).
    #[error("no application protocol in common")]
    NoCommonProtocol,
    /// The peer ended the handshake with an alert.
    #[error("the peer ended the handshake: {0:?}")]
    Alert(AlertDescription),
    /// Anything else that TLS objects to: the peer's messages, or own keys and settings.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    /// The handshake ended well but did not compute exactly one Finished value for each end, so that it has
    /// no id.
    #[error("the handshake has no session id")]
    NoSessionId,
    /// The connection broke.
    #[error("connection: {0}")]
    Io(io::Error),
}

/// A refusal on its way through rustls, which carries foreign errors only as `dyn Error`.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("another identity")]
    Identity { expected: [u8; 32], actual: [u8; 32] },
    #[error(transparent)]
    Chain(#[from] CertificateError),
}

impl From<Refusal> for rustls::Error {
    /// The alert for it is `certificate_unknown`, as the deployed router's (observed for a chain of 5).
    fn from(refusal: Refusal) -> Self {
        let other = rustls::OtherError(Arc::new(refusal));
        Self::InvalidCertificate(rustls::CertificateError::Other(other))
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        if let rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) = &error
            && let Some(refusal) = other.0.downcast_ref::<Refusal>()
        {
            return match refusal.clone() {
                Refusal::Identity { expected, actual } => Self::IdentityMismatch { expected, actual },
                Refusal::Chain(error) => Self::BadChain(error),
            };
        }
        match error {
            rustls::Error::AlertReceived(alert) => Self::Alert(alert),
            rustls::Error::NoApplicationProtocol => Self::NoCommonProtocol,
            error => Self::Tls(error),
        }
    }
}

impl From<io::Error> for TlsError {
    /// tokio-rustls reports what TLS objects to as an `io::Error` around rustls's own.
    fn from(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(error) => error.into(),
            Err(error) => Self::Io(error),
        }
    }
}
