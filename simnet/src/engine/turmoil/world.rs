//! Sockets, time and randomness of one simulated party.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use sxlab_node::tls::Entropy;
use sxlab_node::world::World;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use super::super::EPOCH_NS;
use super::shared::Shared;
use crate::network::Place;

/// Nanoseconds from the beginning of the run.
pub(super) fn elapsed() -> u64 {
    let elapsed = turmoil::sim_elapsed().unwrap_or_default();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// One party's view of the simulated network. Clones are the same party.
#[derive(Clone)]
pub(super) struct SimWorld {
    shared: Rc<Shared>,
    me: Rc<Party>,
}

struct Party {
    place: Place,
    /// Names the party's random streams.
    name: String,
    /// The network address that others see.
    address: String,
    /// How many streams it has drawn from its name.
    drawn: Cell<u64>,
}

impl SimWorld {
    pub(super) fn new(shared: Rc<Shared>, place: Place, name: &str, address: &str) -> Self {
        let me = Party { place, name: name.to_owned(), address: address.to_owned(), drawn: Cell::new(0) };
        Self { shared, me: Rc::new(me) }
    }

    fn stream(&self) -> ChaCha20Rng {
        let number = self.me.drawn.get();
        self.me.drawn.set(number + 1);
        self.shared.streams.key_stream(&format!("{}/{number}", self.me.name))
    }
}

impl World for SimWorld {
    type Stream = Tapped;
    type Listener = TcpListener;
    type Peer = SocketAddr;

    async fn connect(&self, host: &str, port: u16) -> io::Result<Tapped> {
        let inner = TcpStream::connect((host, port)).await?;
        self.shared.add_connection(inner.local_addr()?, &self.me.address, self.me.place);
        let (to, place) = self.shared.router_at(host).ok_or(io::ErrorKind::NotFound)?;
        Ok(Tapped {
            inner,
            shared: Rc::clone(&self.shared),
            me: Rc::clone(&self.me),
            peer: Peer::Known(to, place),
        })
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(Tapped, SocketAddr)> {
        let (inner, peer) = listener.accept().await?;
        let (shared, me) = (Rc::clone(&self.shared), Rc::clone(&self.me));
        Ok((Tapped { inner, shared, me, peer: Peer::At(peer) }, peer))
    }

    fn address(&self, peer: &SocketAddr) -> String {
        self.shared.connection(*peer).map(|(address, _)| address).unwrap_or_default()
    }

    fn now(&self) -> u64 {
        EPOCH_NS + elapsed()
    }

    async fn sleep(&self, nanoseconds: u64) {
        tokio::time::sleep(Duration::from_nanos(nanoseconds)).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(task);
    }

    fn rng(&self) -> ChaCha20Rng {
        self.stream()
    }

    fn entropy(&self) -> Entropy {
        Entropy::seeded(self.stream(), self.now() / 1_000_000_000)
    }
}

/// A connection whose writes are seen on the link that they pass.
pub(super) struct Tapped {
    inner: TcpStream,
    shared: Rc<Shared>,
    me: Rc<Party>,
    peer: Peer,
}

/// The other end of a connection.
enum Peer {
    Known(String, Place),
    /// Of an accepted connection: who it is, is written down by the time it has sent something.
    At(SocketAddr),
}

impl Tapped {
    fn wrote(&mut self, bytes: usize) {
        if let Peer::At(socket) = &self.peer
            && let Some((address, place)) = self.shared.connection(*socket)
        {
            self.peer = Peer::Known(address, place);
        }
        if let Peer::Known(address, place) = &self.peer {
            self.shared.link_saw(elapsed(), (self.me.place, *place), &self.me.address, address, bytes);
        }
    }
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &written {
            self.wrote(*written);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
