//! Looking at a router's TLS: what ordinary sessions do not show.

use std::sync::Arc;

use sxlab_node::identity::RouterIdentity;
use sxlab_node::tls::{Acceptor, ConnectorConfig, Entropy, Glimpse, Probe, TlsError};
use sxlab_protocol::transport::BLOCK_SIZE;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};

use super::NoConnection;

/// How the suite looks: as a client that keeps session tickets, and connects twice.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// The certificates to present where the router asks for some.
    pub identity: Option<Arc<RouterIdentity>>,
}

/// What a router's TLS shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Whether it asked for a certificate.
    pub certificate_requested: bool,
    /// The number of the cipher suite.
    pub suite: Option<u16>,
    /// The number of the group of the key exchange.
    pub group: Option<u16>,
    /// Whether the router's hello, a whole block, followed TLS.
    pub greeted: bool,
    /// How many session tickets had come then.
    pub tickets: usize,
    /// Whether the second connection resumed the first one's session.
    pub resumed: bool,
}

/// The client that looks.
pub(super) fn probe(identity: [u8; 32], how: &Look) -> Result<Probe, NoConnection> {
    let config = ConnectorConfig {
        alpn: vec![b"smp/1".to_vec()],
        expected_identity: identity,
        client_identity: how.identity.clone(),
    };
    Probe::new(&config).map_err(|error| NoConnection::Tls(error.to_string()))
}

/// One connection, up to the router's hello.
pub(super) async fn glance<S>(probe: &Probe, stream: S, entropy: Entropy) -> Result<Looked, TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Glimpse { mut stream, certificate_requested, suite, group, resumed } =
        probe.connect(stream, entropy).await?;
    let mut block = vec![0; BLOCK_SIZE];
    let greeted = stream.read_exact(&mut block).await.is_ok();
    // A router that has gone already can't be told.
    let _ = stream.shutdown().await;
    Ok(Looked { certificate_requested, suite, group, greeted, tickets: probe.tickets(), resumed })
}

/// What two connections come to.
pub(super) fn both(first: Looked, second: Looked) -> Looked {
    Looked { resumed: second.resumed, ..first }
}

/// A connection in memory with this end of TLS, which writes `hello` after it.
pub(super) fn in_memory(
    acceptor: &Acceptor,
    probe: &Probe,
    hello: &[u8],
    entropies: [Entropy; 2],
) -> Result<Looked, NoConnection> {
    let [of_router, of_client] = entropies;
    let (near, far) = duplex(4 * BLOCK_SIZE);
    let router = async {
        if let Ok(mut tls) = acceptor.accept(far, of_router).await {
            // Whoever looks may have seen enough.
            let _ = tls.stream.write_all(hello).await;
            let _ = tls.stream.shutdown().await;
        }
    };
    let both = async { tokio::join!(glance(probe, near, of_client), router).0 };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| NoConnection::Unreachable(error.to_string()))?;
    runtime.block_on(both).map_err(|error| NoConnection::Tls(error.to_string()))
}

/// The server that a client names in its hello, seen by this acceptor in memory.
pub(super) fn server_name(
    acceptor: &Acceptor,
    connector: &sxlab_node::tls::Connector,
    entropies: [Entropy; 2],
) -> Result<Option<String>, String> {
    let [of_router, of_client] = entropies;
    let (near, far) = duplex(4 * BLOCK_SIZE);
    let handshake = async {
        let (accepted, connected) =
            tokio::join!(acceptor.accept(far, of_router), connector.connect(near, of_client));
        connected.map_err(|error| error.to_string())?;
        accepted.map(|session| session.server_name).map_err(|error| error.to_string())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.map_err(|error| error.to_string())?.block_on(handshake)
}
