//! A client that looks at how a router speaks TLS: for suites that test routers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::{
    ClientSessionStore, ResolvesClientCert, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, HandshakeKind, NamedGroup, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, TlsStream};

use super::connect::{ConnectorConfig, build, no_name};
use super::{Entropy, Gather, TlsError, scope};

/// The client. Unlike a [`Connector`](super::Connector) it keeps tickets, and would resume a session with them.
#[derive(Debug)]
pub struct Probe {
    system: Arc<ClientConfig>,
    seeded: Arc<ClientConfig>,
    notes: Arc<Notes>,
}

/// What a handshake shows.
#[derive(Debug)]
pub struct Glimpse<S> {
    /// The encrypted stream, from which nothing has been read.
    pub stream: TlsStream<Gather<S>>,
    /// Whether the router asked for a certificate (TR-7).
    pub certificate_requested: bool,
    /// The number of the cipher suite (TR-2).
    pub suite: Option<u16>,
    /// The number of the group of the key exchange (TR-2).
    pub group: Option<u16>,
    /// Whether an earlier session was resumed (TR-3).
    pub resumed: bool,
}

impl Probe {
    /// A client of the router that `config` names.
    ///
    /// # Errors
    /// [`TlsError::Tls`] if the client's own key cannot be used.
    pub fn new(config: &ConnectorConfig) -> Result<Self, TlsError> {
        let notes = Arc::<Notes>::default();
        let certificate = config.client_identity.as_ref().map(|identity| Arc::new(identity.certified_key()));
        let noted = Arc::new(Noted { notes: Arc::clone(&notes), certificate });
        let [system, seeded] = build(config, noted)?.map(|mut config| {
            config.resumption = Resumption::store(Arc::clone(&notes) as Arc<dyn ClientSessionStore>);
            Arc::new(config)
        });
        Ok(Self { system, seeded, notes })
    }

    /// Does the client's part of a handshake, with a ticket of an earlier one if there is one.
    ///
    /// # Errors
    /// Any [`TlsError`].
    pub async fn connect<S>(&self, stream: S, entropy: Entropy) -> Result<Glimpse<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.notes.asked.store(false, Ordering::Relaxed);
        let config = match entropy {
            Entropy::System => &self.system,
            Entropy::Seeded { .. } => &self.seeded,
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let handshake = async { connector.connect(no_name(), Gather::new(stream)).await };
        let (stream, _) = scope::run(entropy, handshake).await;
        let stream = TlsStream::Client(stream?);
        let connection = stream.get_ref().1;
        let suite = connection.negotiated_cipher_suite().map(|suite| u16::from(suite.suite()));
        let group = connection.negotiated_key_exchange_group().map(|group| u16::from(group.name()));
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let certificate_requested = self.notes.asked.load(Ordering::Relaxed);
        Ok(Glimpse { stream, certificate_requested, suite, group, resumed })
    }

    /// How many tickets came, on all connections, with what has been read of them.
    pub fn tickets(&self) -> usize {
        self.notes.came.load(Ordering::Relaxed)
    }
}

/// What rustls tells of a handshake only while it happens.
#[derive(Debug, Default)]
struct Notes {
    asked: AtomicBool,
    came: AtomicUsize,
    tickets: Mutex<VecDeque<Tls13ClientSessionValue>>,
}

impl ClientSessionStore for Notes {
    fn set_kx_hint(&self, _server_name: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _server_name: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _server_name: ServerName<'static>, _value: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _server_name: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.came.fetch_add(1, Ordering::Relaxed);
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).push_back(value);
    }

    fn take_tls13_ticket(&self, _server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Presents one chain, or none, and notes that it was asked to.
#[derive(Debug)]
struct Noted {
    notes: Arc<Notes>,
    certificate: Option<Arc<CertifiedKey>>,
}

impl ResolvesClientCert for Noted {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.notes.asked.store(true, Ordering::Relaxed);
        self.certificate.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}
