use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;
use sxlab_protocol::apns::jwt::Issuer;
use sxlab_protocol::apns::request::{Kind, LONGEST_DEVICE_TOKEN, Request};
use sxlab_protocol::apns::{Delivery, Reason, StandIn, StandInConfig, Statistics};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};

use super::{DEVICE_ALPN, H2};
use crate::identity::RouterIdentity;
use crate::tls::{Acceptor, TlsError};
use crate::world::{World, within};

/// How long TLS and what follows may take until it is known what a connection is for, in nanoseconds.
const BEGIN_TIMEOUT: u64 = 10_000_000_000;

/// How long to wait after the listener could not give a connection, in nanoseconds.
const ACCEPT_PAUSE: u64 = 100_000_000;

/// Connections at a time; others wait.
const CONNECTIONS: usize = 10_000;

/// Requests at a time on one connection.
const STREAMS: u32 = 1000;

/// Pushes that wait to be written to one device; a device for which more wait is cut off.
const WAITING: usize = 64;

type Written = (Kind, Bytes);

/// A device's connection: its number, and what writes to it.
type Online = (u64, mpsc::Sender<Written>);

/// The stand-in for Apple's routers, on sockets. Clones are the same one.
pub struct ApnsNode<W> {
    inner: Rc<Inner<W>>,
}

struct Inner<W> {
    world: W,
    acceptor: Acceptor,
    issuer: Issuer,
    body_limit: usize,
    room: Arc<Semaphore>,
    core: RefCell<StandIn<Bytes>>,
    /// Requests that were refused before the core saw them.
    refused: Cell<u64>,
    /// The connections of devices that are online, each with its number.
    devices: RefCell<BTreeMap<Vec<u8>, Online>>,
    connections: RefCell<u64>,
}

impl<W> Clone for ApnsNode<W> {
    fn clone(&self) -> Self {
        Self { inner: Rc::clone(&self.inner) }
    }
}

impl<W: World> ApnsNode<W> {
    /// A stand-in with this identity, that takes the pushes of one issuer.
    ///
    /// # Errors
    /// [`TlsError`] if the identity cannot be used for TLS.
    pub fn new(
        world: W,
        identity: &RouterIdentity,
        issuer: Issuer,
        config: StandInConfig,
    ) -> Result<Self, TlsError> {
        let inner = Inner {
            world,
            acceptor: Acceptor::new(identity, &[H2, DEVICE_ALPN])?,
            issuer,
            body_limit: config.body_limit,
            room: Arc::new(Semaphore::new(CONNECTIONS)),
            core: RefCell::new(StandIn::new(config)),
            refused: Cell::new(0),
            devices: RefCell::default(),
            connections: RefCell::new(0),
        };
        Ok(Self { inner: Rc::new(inner) })
    }

    /// What became of pushes so far.
    pub fn statistics(&self) -> Statistics {
        let core = self.inner.core.borrow().statistics();
        Statistics { refused: core.refused.saturating_add(self.inner.refused.get()), ..core }
    }

    /// Has every request refused from now on for this reason, or none.
    pub fn refuse(&self, reason: Option<Reason>) {
        self.inner.core.borrow_mut().refuse(reason);
    }

    /// The app is gone from a device.
    pub fn unregister(&self, token: &[u8]) {
        self.inner.core.borrow_mut().unregister(token, self.inner.world.now());
    }

    /// Accepts connections until the listener fails for good. Dropping the future ends the accepting, not the connections.
    ///
    /// # Errors
    /// The listener's, where trying again can't help.
    pub async fn serve(&self, listener: &W::Listener) -> io::Result<()> {
        let world = &self.inner.world;
        loop {
            let room = Arc::clone(&self.inner.room).acquire_owned().await;
            match world.accept(listener).await {
                Ok((stream, _)) => {
                    let node = self.clone();
                    world.spawn(async move {
                        node.accepted(stream).await;
                        drop(room);
                    });
                }
                Err(error) if crate::node::may_pass(&error) => world.sleep(ACCEPT_PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn accepted(&self, stream: W::Stream) {
        let world = &self.inner.world;
        let handshake = self.inner.acceptor.accept(stream, world.entropy());
        let Some(Ok(tls)) = within(world, BEGIN_TIMEOUT, handshake).await else { return };
        let ended = match tls.alpn.as_deref() {
            Some(DEVICE_ALPN) => self.device(tls.stream).await,
            _ => self.requests(tls.stream).await.map_err(io::Error::other),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended");
        }
    }

    /// Requests of a notification router.
    async fn requests(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), h2::Error> {
        let world = &self.inner.world;
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(STREAMS).max_header_list_size(16_384);
        let handshake = within(world, BEGIN_TIMEOUT, builder.handshake::<_, Bytes>(stream)).await;
        let Some(mut connection) = handshake.transpose()? else { return Ok(()) };
        while let Some(request) = connection.accept().await {
            let (request, respond) = request?;
            let node = self.clone();
            // What a request's sender does wrong is between the two.
            world.spawn(async move {
                let _ = node.answer(request, respond).await;
            });
        }
        Ok(())
    }

    async fn answer(
        &self,
        request: http::Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) -> Result<(), h2::Error> {
        let (head, body) = request.into_parts();
        let body = read(body, self.inner.body_limit).await?;
        let (status, text) = match self.take(&head, body) {
            Ok(()) => (200, String::new()),
            Err((reason, since)) => (reason.status(), reason.body(since)),
        };
        let mut answer = http::Response::new(());
        *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        let mut stream = respond.send_response(answer, text.is_empty())?;
        if !text.is_empty() {
            stream.send_data(text.into(), true)?;
        }
        Ok(())
    }

    /// Takes a push. `body`: nothing if it is too large.
    fn take(&self, head: &http::request::Parts, body: Option<Bytes>) -> Result<(), (Reason, Option<u64>)> {
        let now = self.inner.world.now();
        let fields = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let read = Request::read(head.method.as_str(), head.uri.path(), fields);
        let checked = read.and_then(|head| {
            self.inner.issuer.verify(&head.token, now / 1_000_000_000)?;
            Ok((head.request, body.ok_or(Reason::PayloadTooLarge)?))
        });
        let (request, body) = checked.map_err(|reason| {
            self.inner.refused.set(self.inner.refused.get().saturating_add(1));
            (reason, None)
        })?;
        let size = body.len();
        self.inner.core.borrow_mut().push(&request, body, size, now)?;
        self.deliver();
        Ok(())
    }

    /// Hands over what reaches devices now.
    fn deliver(&self) {
        while let Some(Delivery { device, kind, body }) = {
            let mut core = self.inner.core.borrow_mut();
            core.poll()
        } {
            let mut devices = self.inner.devices.borrow_mut();
            // Who does not read is cut off.
            if let Some((_, writer)) = devices.get(&device)
                && writer.try_send((kind, body)).is_err()
            {
                devices.remove(&device);
                self.inner.core.borrow_mut().disconnected(&device);
            }
        }
    }

    /// A device's connection.
    async fn device(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let begin = async {
            let mut token = vec![0; usize::from(stream.read_u16().await?)];
            if token.is_empty() || token.len() > LONGEST_DEVICE_TOKEN {
                return Err(io::Error::other("no device token"));
            }
            stream.read_exact(&mut token).await?;
            Ok(token)
        };
        let token = within(&self.inner.world, BEGIN_TIMEOUT, begin).await;
        let Some(token) = token.transpose()? else { return Ok(()) };
        let now = self.inner.world.now();
        if !self.inner.core.borrow_mut().register(&token) {
            return Err(io::Error::other("too many devices"));
        }
        let number = {
            let mut connections = self.inner.connections.borrow_mut();
            *connections += 1;
            *connections
        };
        let (writer, mut pushes) = mpsc::channel(WAITING);
        // A newer connection takes the place of one that the device may have lost.
        self.inner.devices.borrow_mut().insert(token.clone(), (number, writer));
        self.inner.core.borrow_mut().connected(&token, now);
        self.deliver();
        let ended = write(&mut stream, &mut pushes).await;
        let mut devices = self.inner.devices.borrow_mut();
        if devices.get(&token).is_some_and(|(current, _)| *current == number) {
            devices.remove(&token);
            self.inner.core.borrow_mut().disconnected(&token);
        }
        ended
    }
}

/// Writes pushes to a device until it closes.
async fn write(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    pushes: &mut mpsc::Receiver<Written>,
) -> io::Result<()> {
    loop {
        let mut byte = [0];
        tokio::select! {
            biased;
            push = pushes.recv() => {
                let Some((kind, body)) = push else { return Ok(()) };
                let length = u32::try_from(body.len()).map_err(io::Error::other)?;
                stream.write_u8(u8::from(kind == Kind::Alert)).await?;
                stream.write_u32(length).await?;
                stream.write_all(&body).await?;
                stream.flush().await?;
            }
            // A device says nothing more.
            read = stream.read(&mut byte) => {
                read?;
                return Ok(());
            }
        }
    }
}

/// The next push on a device's connection, after the device has written its token; whether it is shown, and its body.
/// `None` when the connection is closed.
///
/// # Errors
/// The connection's, and a body larger than `limit`.
pub async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> io::Result<Option<(Kind, Vec<u8>)>> {
    let kind = match stream.read_u8().await {
        Ok(0) => Kind::Background,
        Ok(1) => Kind::Alert,
        Ok(_) => return Err(io::Error::other("no push")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = usize::try_from(stream.read_u32().await?).map_err(io::Error::other)?;
    if length > limit {
        return Err(io::Error::other("a push that is too large"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some((kind, body)))
}

/// A request's body; nothing if it has more bytes than `limit`, of which the rest is not kept.
async fn read(mut body: RecvStream, limit: usize) -> Result<Option<Bytes>, h2::Error> {
    let mut bytes = BytesMut::new();
    let mut fits = true;
    while let Some(part) = poll_fn(|context| body.poll_data(context)).await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        fits &= bytes.len() + part.len() <= limit;
        if fits {
            bytes.extend_from_slice(&part);
        }
    }
    Ok(fits.then(|| bytes.freeze()))
}
