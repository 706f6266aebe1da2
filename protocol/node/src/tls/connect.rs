use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
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
    name: ServerName<'static>,
}

impl Connector {
    /// A client of the router that `config` names.
    ///
    /// # Errors
    ///
    /// [`TlsError::Tls`] if the client's own key cannot be used.
    pub fn new(config: ConnectorConfig) -> Result<Self, TlsError> {
        let [system, seeded] = configs(&config)?.map(Arc::new);
        Ok(Self { system, seeded, name: no_name() })
    }

    /// A wrong client, which names a server in its hello (TR-11): for tests of what finds wrong clients.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn naming(config: ConnectorConfig, server: &'static str) -> Result<Self, TlsError> {
        let named = configs(&config)?.map(|mut config| {
            config.enable_sni = true;
            Arc::new(config)
        });
        let [system, seeded] = named;
        let name = ServerName::try_from(server).unwrap_or_else(|_| no_name());
        Ok(Self { system, seeded, name })
    }

    /// A client of a server of the web: its certificate has to be for the host `name`, and signed by one of the authorities.
    ///
    /// # Errors
    ///
    /// [`TlsError::Tls`] for a name or an authority that is none.
    pub fn of_the_web(
        name: &str,
        authorities: impl IntoIterator<Item = CertificateDer<'static>>,
        alpn: &[&[u8]],
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority)?;
        }
        let unknown = |_| TlsError::Tls(rustls::Error::General(format!("{name} is no host")));
        let name = ServerName::try_from(name.to_owned()).map_err(unknown)?;
        let build = |provider: CryptoProvider, clock: Arc<dyn TimeProvider>| {
            let mut built = ClientConfig::builder_with_details(Arc::new(provider), clock)
                .with_protocol_versions(&[&rustls::version::TLS13])?
                .with_root_certificates(roots.clone())
                .with_no_client_auth();
            built.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            built.resumption = Resumption::disabled();
            Ok::<_, TlsError>(Arc::new(built))
        };
        let system = build(provider::system(), Arc::new(DefaultTimeProvider))?;
        Ok(Self { system, seeded: build(provider::seeded(), provider::seeded_clock())?, name })
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
        let name = self.name.clone();
        let connector = TlsConnector::from(Arc::clone(config));
        // rustls draws its first randomness when the connection is made: that too belongs inside.
        let handshake = async { connector.connect(name, Gather::new(stream)).await };
        let (stream, finished) = scope::run(entropy, handshake).await;
        TlsSession::new(TlsStream::Client(stream?), finished)
    }
}

/// The name that rustls wants to have: it is neither sent nor checked.
pub(super) fn no_name() -> ServerName<'static> {
    ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into())
}

/// Settings with randomness of the system, and seeded.
pub(super) fn build(
    config: &ConnectorConfig,
    certificate: Arc<dyn ResolvesClientCert>,
) -> Result<[ClientConfig; 2], TlsError> {
    let build = |provider: CryptoProvider, clock: Arc<dyn TimeProvider>| {
        let verifier = verify::RouterCertificates { expected_identity: config.expected_identity };
        let mut built = ClientConfig::builder_with_details(Arc::new(provider), clock)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::clone(&certificate));
        built.alpn_protocols.clone_from(&config.alpn);
        built.enable_sni = false;
        built.resumption = Resumption::disabled();
        Ok::<_, TlsError>(built)
    };
    Ok([
        build(provider::system(), Arc::new(DefaultTimeProvider))?,
        build(provider::seeded(), provider::seeded_clock())?,
    ])
}

fn configs(config: &ConnectorConfig) -> Result<[ClientConfig; 2], TlsError> {
    let certificate = config.client_identity.as_ref().map(|identity| Arc::new(identity.certified_key()));
    build(config, Arc::new(OwnCertificate(certificate)))
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
