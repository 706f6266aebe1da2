//! What the TLS tests share: identities, a pair of ends over an in-memory pipe, a tap on a stream.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_node::identity::{Algorithm, RouterIdentity};
use sxlab_node::tls::{Acceptor, Connector, ConnectorConfig, Entropy, SMP_ALPN, TlsError, TlsSession};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// A date well within every certificate's validity: 2026.
pub(crate) const NOW: u64 = 1_780_000_000;

pub(crate) fn entropy(seed: u64) -> Entropy {
    Entropy::seeded(ChaCha20Rng::seed_from_u64(seed), NOW)
}

pub(crate) fn identity(seed: u64) -> RouterIdentity {
    RouterIdentity::mint("router.test", &mut ChaCha20Rng::seed_from_u64(seed)).unwrap()
}

pub(crate) fn ed448_identity(seed: u64) -> RouterIdentity {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    RouterIdentity::mint_with(Algorithm::Ed448, "router.test", rng).unwrap()
}

pub(crate) fn client_of(router: &RouterIdentity) -> ConnectorConfig {
    ConnectorConfig {
        alpn: vec![b"smp/1".to_vec()],
        expected_identity: router.identity_hash(),
        client_identity: None,
    }
}

pub(crate) type Outcome<S> = Result<TlsSession<S>, TlsError>;
pub(crate) type Ends = (Outcome<Tap<DuplexStream>>, Outcome<Tap<DuplexStream>>);

/// A handshake over a pipe: the client's and the router's outcome, and all bytes that each of them wrote.
pub(crate) async fn handshake_with(
    config: ConnectorConfig,
    router: &RouterIdentity,
    seeds: (u64, u64),
) -> (Ends, [Written; 2]) {
    let connector = Connector::new(config).unwrap();
    let acceptor = Acceptor::new(router, &SMP_ALPN).unwrap();
    let (near, far) = tokio::io::duplex(1 << 16);
    let (near, far) = (Tap::new(near), Tap::new(far));
    let written = [near.written.clone(), far.written.clone()];
    let ends =
        tokio::join!(connector.connect(near, entropy(seeds.0)), acceptor.accept(far, entropy(seeds.1)),);
    (ends, written)
}

pub(crate) async fn handshake(config: ConnectorConfig, router: &RouterIdentity) -> Ends {
    handshake_with(config, router, (1, 2)).await.0
}

/// The path of a directory that does not exist yet; removed with all in it when dropped.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(test: &str) -> Self {
        // Tests of one process run at the same time, and some of them share a name.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{test}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    /// A file in it, as an argument for a program.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// All bytes written to a stream.
pub(crate) type Written = Arc<Mutex<Vec<u8>>>;

/// A stream that keeps a copy of what is written to it.
#[derive(Debug)]
pub(crate) struct Tap<S> {
    inner: S,
    written: Written,
}

impl<S> Tap<S> {
    fn new(inner: S) -> Self {
        Self { inner, written: Written::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.written.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
