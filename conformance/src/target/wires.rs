//! Connections with TLS of the node crate, in any world: what targets on sockets and in a simulated network share.

use std::io::ErrorKind;
use std::sync::Arc;

use sxlab_node::identity::RouterIdentity;
use sxlab_node::tls::{Acceptor, Connector, ConnectorConfig, Gather, Probe, TlsError, TlsSession};
use sxlab_node::world::World;
use sxlab_protocol::transport::BLOCK_SIZE;
use sxlab_protocol::wire::RouterAddress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsStream;

use super::{Dial, Line, Listen, Look, Looked, NoConnection, Read, Tls, look};

/// How long TLS may take, in nanoseconds.
const TLS_TIMEOUT: u64 = 20_000_000_000;

/// The suite's ends of its connections.
pub(super) struct Wires<W: World> {
    world: W,
    lines: Vec<Wire<W::Stream>>,
    doors: Vec<Door<W::Listener>>,
}

struct Wire<S> {
    /// `None` once the suite has closed it.
    stream: Option<TlsStream<Gather<S>>>,
    /// What was read and is not a whole block yet.
    buffer: Vec<u8>,
    /// Whether the peer has closed it.
    ended: bool,
    /// The server that the peer named in its hello.
    server_name: Option<String>,
}

struct Door<L> {
    address: RouterAddress,
    listener: L,
    acceptor: Acceptor,
}

/// `None` when the time is over before the step is done.
async fn within<T>(world: &impl World, nanoseconds: u64, step: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = step => Some(done),
        () = world.sleep(nanoseconds) => None,
    }
}

impl<W: World> Wires<W> {
    pub(super) fn new(world: W) -> Self {
        Self { world, lines: Vec::new(), doors: Vec::new() }
    }

    pub(super) fn world(&self) -> &W {
        &self.world
    }

    fn line(&mut self, tls: TlsSession<W::Stream>) -> (Line, Tls) {
        let TlsSession { stream, session_id, alpn, peer_chain, server_name } = tls;
        let line = Line(self.lines.len());
        self.lines.push(Wire { stream: Some(stream), buffer: Vec::new(), ended: false, server_name });
        (line, Tls { session_id, alpn, chain: peer_chain })
    }

    /// Connects to the first host of `to` that answers.
    pub(super) async fn connect(
        &mut self,
        to: &RouterAddress,
        how: &Dial,
    ) -> Result<(Line, Tls), NoConnection> {
        let config = ConnectorConfig {
            alpn: how.alpn.clone(),
            expected_identity: to.identity,
            client_identity: how.identity.clone(),
        };
        let connector = Connector::new(config).map_err(|error| NoConnection::Tls(error.to_string()))?;
        let (host, stream) = self.reach(to).await?;
        let tls = connector.connect(stream, self.world.entropy());
        match within(&self.world, TLS_TIMEOUT, tls).await {
            Some(Ok(tls)) => Ok(self.line(tls)),
            Some(Err(error)) => Err(refused(&error)),
            None => Err(NoConnection::Unreachable(format!("{host}: no answer in TLS"))),
        }
    }

    /// Looks at the TLS of the router at `to`, on two connections.
    pub(super) async fn look(&mut self, to: &RouterAddress, how: &Look) -> Result<Looked, NoConnection> {
        let probe = look::probe(to.identity, how)?;
        let first = self.glance(to, &probe).await?;
        // What a router does wrong with a ticket may well end in no connection.
        let second = self.glance(to, &probe).await.unwrap_or_default();
        Ok(look::both(first, second))
    }

    async fn glance(&self, to: &RouterAddress, probe: &Probe) -> Result<Looked, NoConnection> {
        let (host, stream) = self.reach(to).await?;
        let glance = look::glance(probe, stream, self.world.entropy());
        match within(&self.world, TLS_TIMEOUT, glance).await {
            Some(Ok(looked)) => Ok(looked),
            Some(Err(error)) => Err(refused(&error)),
            None => Err(NoConnection::Unreachable(format!("{host}: no hello"))),
        }
    }

    /// The server that the peer of a line named.
    pub(super) fn server_name(&self, Line(line): Line) -> Option<String> {
        self.lines.get(line)?.server_name.clone()
    }

    /// A connection without TLS to the first host of `to` that answers, and its name.
    async fn reach(&self, to: &RouterAddress) -> Result<(String, W::Stream), NoConnection> {
        let mut last = "the address has no host".to_owned();
        for host in &to.hosts {
            let host = host.to_string();
            let stream = within(&self.world, TLS_TIMEOUT, self.world.connect(&host, to.port_or_default()));
            let stream = match stream.await {
                Some(Ok(stream)) => stream,
                Some(Err(error)) => {
                    last = format!("{host}: {error}");
                    continue;
                }
                None => {
                    last = format!("{host}: no answer");
                    continue;
                }
            };
            return Ok((host, stream));
        }
        Err(NoConnection::Unreachable(last))
    }

    /// Connections to this address, made to this listener, are accepted from now on.
    pub(super) fn listen(
        &mut self,
        address: RouterAddress,
        listener: W::Listener,
        how: &Listen,
    ) -> Result<(), TlsError> {
        let names: Vec<&[u8]> = how.alpn.iter().map(Vec::as_slice).collect();
        let identity: &Arc<RouterIdentity> = &how.identity;
        let acceptor = Acceptor::new(identity, &names)?;
        self.doors.push(Door { address, listener, acceptor });
        Ok(())
    }

    pub(super) async fn accept(
        &mut self,
        at: &RouterAddress,
        patience: u64,
    ) -> Result<Option<(Line, Tls)>, NoConnection> {
        let door = self.doors.iter().find(|door| door.address == *at);
        let door = door.ok_or(NoConnection::Unavailable("nothing listens at this address"))?;
        let stream = match within(&self.world, patience, self.world.accept(&door.listener)).await {
            Some(Ok((stream, _))) => stream,
            Some(Err(error)) => return Err(NoConnection::Unreachable(error.to_string())),
            None => return Ok(None),
        };
        let tls = door.acceptor.accept(stream, self.world.entropy());
        match within(&self.world, TLS_TIMEOUT, tls).await {
            Some(Ok(tls)) => Ok(Some(self.line(tls))),
            Some(Err(error)) => Err(NoConnection::Tls(error.to_string())),
            None => Err(NoConnection::Tls("the target does not go on in TLS".to_owned())),
        }
    }

    /// Writes; `false` if the peer has closed, or does not take the bytes for as long as is waited.
    pub(super) async fn write(&mut self, Line(line): Line, bytes: &[u8], patience: u64) -> bool {
        let Some(stream) = self.lines.get_mut(line).and_then(|wire| wire.stream.as_mut()) else {
            return false;
        };
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        matches!(within(&self.world, patience, written).await, Some(Ok(())))
    }

    pub(super) async fn read(&mut self, Line(line): Line, patience: u64) -> Read {
        let Some(wire) = self.lines.get_mut(line) else { return Read::Closed(Vec::new()) };
        match within(&self.world, patience, wire.block()).await {
            Some(read) => read,
            None => Read::Nothing,
        }
    }

    pub(super) async fn close(&mut self, Line(line): Line, patience: u64) {
        if let Some(mut stream) = self.lines.get_mut(line).and_then(|wire| wire.stream.take()) {
            // A peer that has gone already can't be told.
            let _ = within(&self.world, patience, stream.shutdown()).await;
        }
    }
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Wire<S> {
    /// The next block. What was read stays in the buffer when the future is dropped.
    async fn block(&mut self) -> Read {
        let mut bytes = vec![0; BLOCK_SIZE];
        loop {
            if self.buffer.len() >= BLOCK_SIZE {
                let rest = self.buffer.split_off(BLOCK_SIZE);
                return Read::Block(std::mem::replace(&mut self.buffer, rest));
            }
            let Some(stream) = self.stream.as_mut().filter(|_| !self.ended) else {
                return Read::Closed(std::mem::take(&mut self.buffer));
            };
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => self.ended = true,
                Ok(read) => self.buffer.extend_from_slice(bytes.get(..read).unwrap_or_default()),
            }
        }
    }
}

/// Why there is no connection, after TCP had one.
fn refused(error: &TlsError) -> NoConnection {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error {
        TlsError::Io(io)
            if !matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof) =>
        {
            NoConnection::Unreachable(io.to_string())
        }
        error => NoConnection::Tls(error.to_string()),
    }
}
