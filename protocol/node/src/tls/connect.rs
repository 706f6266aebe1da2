use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ClientConfig, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, TlsStream};

use super::{Entropy, Gather, TlsError, TlsSession, provider, scope, verify};
use crate::identity::RouterIdentity;

/// What a client wants of a handshake.
#[derive(Clone, Debug)]
pub struct ConnectorConfig {
    /// Application protocols to offer, the preferred one first; none for a client that knows only version 6
    /// (TR-8, TR-9). Each has 1 to 255 bytes.
    pub alpn: Vec<Vec<u8>>,
    /// SHA-256 of the DER of the router's identity certificate, from its address (TR-5).
    pub expected_identity: [u8; 32],
    /// Certificates to present when the router asks for them; ordinary clients have none (TR-7).
    pub client_identity: Option<Arc<RouterIdentity>>,
}

/// The client's end of handshakes with one router. Clones share their settings.
#[derive(Clone, Debug)]
pub struct Connector {
    system: Arc<ClientConfig>,
    seeded: Arc<ClientConfig>,
}

impl Connector {
    /// A client of the router that `config` names.
    ///
    /// # Errors
    ///
    /// [`TlsError::Tls`] if the client's own key cannot be used.
    pub fn new(config: ConnectorConfig) -> Result<Self, TlsError> {
        let ConnectorConfig { alpn, expected_identity, client_identity } = config;
        let certificate = client_identity.map(|identity| Arc::new(identity.certified_key()));
        let build = |provider: CryptoProvider, clock: Arc<dyn TimeProvider>| {
            let verifier = verify::RouterCertificates { expected_identity };
            let mut config = ClientConfig::builder_with_details(Arc::new(provider), clock)
                .with_protocol_versions(&[&rustls::version::TLS13])?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_client_cert_resolver(Arc::new(OwnCertificate(certificate.clone())));
            config.alpn_protocols.clone_from(&alpn);
            config.enable_sni = false;
            config.resumption = Resumption::disabled();
            Ok::<_, TlsError>(Arc::new(config))
        };
        Ok(Self {
            system: build(provider::system(), Arc::new(DefaultTimeProvider))?,
            seeded: build(provider::seeded(), provider::seeded_clock())?,
        })
    }

    /// Does the client's part of a handshake on `stream`. Dropping the future abandons the handshake.
    ///
    /// # Errors
    ///
    /// Any [`TlsError`]. Nothing of the application has been sent then; the peer may have got an alert. The
    /// reverse does not hold: a router may refuse the client's certificates after the client's part is done,
    /// and its alert is then what the first read from the stream finds.
    pub async fn connect<S>(&self, stream: S, entropy: Entropy) -> Result<TlsSession<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = match entropy {
            Entropy::System => &self.system,
            Entropy::Seeded { .. } => &self.seeded,
        };
        // The name is neither sent nor checked.
        let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into());
        let connector = TlsConnector::from(Arc::clone(config));
        // rustls draws its first randomness when the connection is made: that too belongs inside.
        let handshake = async { connector.connect(name, Gather::new(stream)).await };
        let (stream, finished) = scope::run(entropy, handshake).await;
        TlsSession::new(TlsStream::Client(stream?), finished)
    }
}

/// Presents one chain, or none, whatever authorities the router names.
#[derive(Debug)]
struct OwnCertificate(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for OwnCertificate {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}
