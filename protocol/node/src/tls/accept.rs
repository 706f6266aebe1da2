use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{LazyConfigAcceptor, TlsStream};

use super::mutant::{TlsMutant, arc_provider};
use super::{Entropy, Gather, TlsError, TlsSession, provider, scope, verify};
use crate::identity::RouterIdentity;

/// The router's end of handshakes. Clones share their settings.
#[derive(Clone, Debug)]
pub struct Acceptor {
    system: Arc<Settings>,
    seeded: Arc<Settings>,
}

impl Acceptor {
    /// A router with this identity that knows the application protocols `alpn` (for SMP:
    /// [`SMP_ALPN`](super::SMP_ALPN)), each of 1 to 255 bytes.
    ///
    /// It asks every client for a certificate and takes a client without one (TR-7).
    ///
    /// # Errors
    ///
    /// [`TlsError::Tls`] if the identity's key cannot be used.
    pub fn new(identity: &RouterIdentity, alpn: &[&[u8]]) -> Result<Self, TlsError> {
        Self::make(identity, alpn, None)
    }

    /// The same, wrong in one thing: for tests of what finds wrong routers.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn wrong_in(identity: &RouterIdentity, alpn: &[&[u8]], wrong: TlsMutant) -> Result<Self, TlsError> {
        Self::make(identity, alpn, Some(wrong))
    }

    fn make(identity: &RouterIdentity, alpn: &[&[u8]], wrong: Option<TlsMutant>) -> Result<Self, TlsError> {
        let certificate = Arc::new(identity.certified_key());
        let build = |provider, clock| Settings::new(&certificate, alpn, provider, clock, wrong);
        Ok(Self {
            system: Arc::new(build(provider::system(), Arc::new(DefaultTimeProvider))?),
            seeded: Arc::new(build(provider::seeded(), provider::seeded_clock())?),
        })
    }

    /// Does the router's part of a handshake on `stream`. Dropping the future abandons the handshake; there is
    /// no time limit in it.
    ///
    /// # Errors
    ///
    /// Any [`TlsError`] but [`TlsError::IdentityMismatch`]; the client has been sent an alert where TLS has one.
    pub async fn accept<S>(&self, stream: S, entropy: Entropy) -> Result<TlsSession<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let settings = match entropy {
            Entropy::System => &self.system,
            Entropy::Seeded { .. } => &self.seeded,
        };
        let handshake = async {
            let hello =
                LazyConfigAcceptor::new(rustls::server::Acceptor::default(), Gather::new(stream)).await?;
            let config = settings.answer(&hello.client_hello());
            let server_name = hello.client_hello().server_name().map(str::to_owned);
            Ok::<_, std::io::Error>((hello.into_stream(config).await?, server_name))
        };
        let (accepted, finished) = scope::run(entropy, handshake).await;
        let (stream, server_name) = accepted?;
        Ok(TlsSession { server_name, ..TlsSession::new(TlsStream::Server(stream), finished)? })
    }
}

/// rustls chooses the application protocol by the server's order; deployed routers go by the client's (TR-10).
/// So the choice is made here, and rustls is given a list with only the winner.
#[derive(Debug)]
struct Settings {
    /// For each protocol a configuration with just that one.
    winners: Vec<(Vec<u8>, Arc<ServerConfig>)>,
    /// All protocols: rustls then does right with a client that offers none, and sends the alert
    /// no_application_protocol to one that offers only others.
    all: Arc<ServerConfig>,
}

impl Settings {
    fn new(
        certificate: &Arc<CertifiedKey>,
        alpn: &[&[u8]],
        provider: CryptoProvider,
        clock: Arc<dyn TimeProvider>,
        wrong: Option<TlsMutant>,
    ) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_details(arc_provider(wrong, provider), clock)
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let builder = match wrong {
            Some(TlsMutant::AsksForNoCertificate) => builder.with_no_client_auth(),
            _ => builder.with_client_cert_verifier(Arc::new(verify::ClientCertificates { wrong })),
        };
        let mut all = builder.with_cert_resolver(Arc::new(RouterCertificate(Arc::clone(certificate))));
        all.session_storage = Arc::new(NoServerSessionStorage {});
        all.send_tls13_tickets = 0;
        if let Some(wrong) = wrong {
            wrong.configure(&mut all);
        }
        all.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let winners = alpn
            .iter()
            .map(|name| {
                let mut config = all.clone();
                config.alpn_protocols = vec![name.to_vec()];
                (name.to_vec(), Arc::new(config))
            })
            .collect();
        Ok(Self { winners, all: Arc::new(all) })
    }

    fn answer(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let known = |offered: &[u8]| self.winners.iter().find(|(name, _)| name == offered);
        let winner = hello.alpn().and_then(|mut offered| offered.find_map(known));
        Arc::clone(winner.map_or(&self.all, |(_, config)| config))
    }
}

/// Presents the router's one chain to everyone.
#[derive(Debug)]
struct RouterCertificate(Arc<CertifiedKey>);

impl ResolvesServerCert for RouterCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
