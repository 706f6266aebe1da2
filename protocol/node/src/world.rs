//! What a node needs of the world around it, and the real world.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use rand_chacha::ChaCha20Rng;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::tls::{Entropy, provider};

/// Sockets, time, randomness and tasks. Nodes name them through this trait only, so that an engine can be
/// exchanged without touching a node.
#[allow(async_fn_in_trait, reason = "nodes run on one thread: no future has to be Send")]
pub trait World: Clone + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + 'static;
    /// Something that accepts connections.
    type Listener: 'static;
    /// Who is at the other end of an accepted connection.
    type Peer: 'static;

    /// Connects to a host by name, or address as text.
    ///
    /// # Errors
    /// Whatever the network says.
    async fn connect(&self, host: &str, port: u16) -> io::Result<Self::Stream>;

    /// The next connection, and who made it. May be given up on at any time without losing a connection.
    ///
    /// # Errors
    /// Whatever the network says.
    async fn accept(&self, listener: &Self::Listener) -> io::Result<(Self::Stream, Self::Peer)>;

    /// A peer's network address as text. To be asked for once bytes have come from there.
    fn address(&self, peer: &Self::Peer) -> String;

    /// Nanoseconds since the Unix epoch.
    fn now(&self) -> u64;

    /// Waits for a number of nanoseconds.
    async fn sleep(&self, nanoseconds: u64);

    /// Runs a task on this thread beside the others.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);

    /// A random stream of its own for each call.
    fn rng(&self) -> ChaCha20Rng;

    /// What one TLS handshake takes from outside.
    fn entropy(&self) -> Entropy;
}

/// What `step` gives, if it does so within a number of nanoseconds.
pub(crate) async fn within<T>(
    world: &impl World,
    nanoseconds: u64,
    step: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        done = step => Some(done),
        () = world.sleep(nanoseconds) => None,
    }
}

/// Real sockets, the machine's clock and its randomness. Onion services can't be connected to.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealWorld;

impl RealWorld {
    /// Listens on an address; port 0 lets the system choose.
    ///
    /// # Errors
    /// Whatever the system says.
    pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(address).await
    }
}

impl World for RealWorld {
    type Stream = TcpStream;
    type Listener = TcpListener;
    type Peer = SocketAddr;

    async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        // Asking a name server would tell it, in vain, whom this client wants to talk to (RFC 7686, section 2).
        if host.ends_with(".onion") {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "onion services are not reached from here",
            ));
        }
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = listener.accept().await?;
        // It fails where the peer has reset the connection already, which is no fault of the listener's.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }

    fn address(&self, peer: &SocketAddr) -> String {
        peer.ip().to_string()
    }

    #[expect(clippy::disallowed_methods, reason = "the real world's clock is the machine's")]
    fn now(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    async fn sleep(&self, nanoseconds: u64) {
        tokio::time::sleep(std::time::Duration::from_nanos(nanoseconds)).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(task);
    }

    fn rng(&self) -> ChaCha20Rng {
        provider::system_stream()
    }

    fn entropy(&self) -> Entropy {
        Entropy::System
    }
}
