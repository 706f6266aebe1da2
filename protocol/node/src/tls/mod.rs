//! TLS 1.3 as SimpleX routers and clients speak it: one cipher suite (ChaCha20-Poly1305 with SHA-256), one
//! group (X25519), Ed25519 signatures, no tickets and no resumption (TR-2, TR-3).
//!
//! Three things differ from a web server's TLS:
//!
//! - a session has an **id**, the value that RFC 5929 calls tls-unique: the client's Finished message. Signed
//!   transmissions, block encryption and proxying all hang on it (TR-14);
//! - a router is known by the hash of one certificate of its chain, never by a host name (TR-4 to TR-6);
//! - the client's order decides the application protocol, and a client may come without any (TR-8 to TR-10).
//!
//! A handshake gets all it takes from outside (randomness and the date) as an [`Entropy`]: the machine's own,
//! or a seeded stream and a date of the caller's, with which the bytes on the wire are a function of the seed.
//!
//! | part | what it does |
//! |---|---|
//! | [`Connector`], [`Acceptor`] | the two ends of a handshake |
//! | [`TlsSession`] | the outcome: an encrypted stream, its id, the application protocol, the peer's chain |
//! | [`TlsError`] | why a handshake failed |
//! | [`Probe`], [`TlsMutant`] | for suites that test routers: a client that looks at TLS, and wrong routers |
//! | [`provider`] | the cryptography given to rustls |

mod accept;
mod connect;
mod error;
mod gather;
mod mutant;
mod probe;
pub mod provider;
mod scope;
mod verify;

pub use accept::Acceptor;
pub use connect::{Connector, ConnectorConfig};
pub use error::TlsError;
pub use gather::Gather;
pub use mutant::TlsMutant;
pub use probe::{Glimpse, Probe};
pub use scope::Entropy;

use rustls::CommonState;
use tokio_rustls::TlsStream;

/// Application protocols of an SMP router. The list has no order of its own: the client's counts (TR-10).
pub const SMP_ALPN: [&[u8]; 3] = [b"smp/1", b"h2", b"http/1.1"];

/// A finished handshake.
#[derive(Debug)]
pub struct TlsSession<S> {
    /// The encrypted stream. Nothing has been read from or written to it.
    pub stream: TlsStream<Gather<S>>,
    /// tls-unique: the 32 bytes of the client's Finished message, equal at both ends (TR-14).
    pub session_id: Vec<u8>,
    /// The application protocol agreed on; `None` if the client offered none or the peer chose none (TR-9).
    pub alpn: Option<Vec<u8>>,
    /// The peer's certificates in DER, leaf first. Empty at a router whose client presented none (TR-7).
    pub peer_chain: Vec<Vec<u8>>,
    /// At a router: the server that the client names in its hello. SMP clients name none (TR-11).
    pub server_name: Option<String>,
}

impl<S> TlsSession<S> {
    fn new(stream: TlsStream<Gather<S>>, finished: scope::Finished) -> Result<Self, TlsError> {
        let connection: &CommonState = stream.get_ref().1;
        let session_id = finished.of_client().ok_or(TlsError::NoSessionId)?;
        let alpn = connection.alpn_protocol().map(<[u8]>::to_vec);
        let peer_chain = connection
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|certificate| certificate.to_vec())
            .collect();
        Ok(Self { stream, session_id, alpn, peer_chain, server_name: None })
    }
}
