//! One session with a router on a socket: requests and their answers, forwarded commands, and the stream of events.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use sxlab_protocol::crypto::keys::AuthSecretKey;
use sxlab_protocol::smp::client::{Client, ClientError, ClientEvent};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::SmpError;
use sxlab_protocol::smp::forward::{ForwardError, Relay};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::ClientHandshake;
use sxlab_protocol::wire::{CorrId, EntityId, RouterAddress, VersionRange, WireError};
use tokio::io::{AsyncWriteExt, split};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::link::{read_block, write_blocks};
use crate::router::connect_tls;
use crate::tls::{TlsError, TlsSession};
use crate::world::World;

/// Events that may wait for whoever takes them before the session is not read further.
const EVENTS: usize = 256;

/// Why a request has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No connection, or TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The protocol was violated, or the request can't be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The connection ended before the answer came.
    #[error("the connection ended")]
    Closed,
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The router answered with an error.
    #[error("the router answered: {0:?}")]
    Router(SmpError),
    /// The router answered what does not answer this request.
    #[error("an answer that does not fit")]
    Unexpected,
    /// The answer does not parse.
    #[error("an answer that does not parse: {0}")]
    Unreadable(#[from] WireError),
    /// The relay behind the proxy is not what it should be, or its answer can't be read.
    #[error(transparent)]
    Relay(#[from] ForwardError),
}

impl SessionError {
    /// Whether the same request may succeed later or over another connection.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Tls(TlsError::Io(_)) | Self::Closed | Self::Timeout => true,
            Self::Router(error) => {
                use sxlab_protocol::smp::error::ProxyError;
                matches!(
                    error,
                    SmpError::Quota | SmpError::Proxy(ProxyError::Broker(_) | ProxyError::NoSession)
                )
            }
            _ => false,
        }
    }
}

/// An event of the router: the entity that it concerns, and what happened.
pub type Event = (EntityId, Response);

/// The client's end of a session. Clones are the same session.
pub struct Session<W: World> {
    world: W,
    shared: Rc<Shared>,
    timeout: u64,
}

impl<W: World> Clone for Session<W> {
    fn clone(&self) -> Self {
        Self { world: self.world.clone(), shared: Rc::clone(&self.shared), timeout: self.timeout }
    }
}

type Answer = Result<Response, SessionError>;

struct Shared {
    core: RefCell<Client>,
    waiting: RefCell<BTreeMap<CorrId, oneshot::Sender<Answer>>>,
    writable: Notify,
    closed: Cell<bool>,
}

impl<W: World> Session<W> {
    /// Connects, checks the router's identity and agrees on a version. Events arrive on the receiver; it ends with the
    /// session. `timeout` is for every step and request, in nanoseconds.
    ///
    /// # Errors
    /// [`SessionError::Tls`], [`SessionError::Client`], [`SessionError::Closed`], [`SessionError::Timeout`].
    pub async fn connect(
        world: W,
        address: &RouterAddress,
        versions: VersionRange,
        timeout: u64,
    ) -> Result<(Self, mpsc::Receiver<Event>), SessionError> {
        let tls = tokio::select! {
            biased;
            tls = connect_tls(&world, address) => tls?,
            () = world.sleep(timeout) => return Err(SessionError::Timeout),
        };
        let handshake = ClientHandshake {
            versions,
            identity: address.identity,
            session_id: tls.session_id.clone(),
            send_key: true,
            proxy: false,
            unix_seconds: world.now() / 1_000_000_000,
        };
        let shared = Rc::new(Shared {
            core: RefCell::new(Client::new(handshake, world.rng())),
            waiting: RefCell::default(),
            writable: Notify::new(),
            closed: Cell::new(false),
        });
        let (events, received) = mpsc::channel(EVENTS);
        let (ready, is_ready) = oneshot::channel();
        let task = Rc::clone(&shared);
        world.spawn(async move { run(task, tls, events, ready).await });
        tokio::select! {
            biased;
            outcome = is_ready => outcome.map_err(|_| SessionError::Closed)??,
            () = world.sleep(timeout) => {
                shared.close();
                return Err(SessionError::Timeout);
            }
        }
        Ok((Self { world, shared, timeout }, received))
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.get()
    }

    /// Ends the session.
    pub fn close(&self) {
        self.shared.close();
    }

    /// The version agreed on.
    pub fn version(&self) -> u16 {
        self.shared.core.borrow().agreed().map_or(0, |agreed| agreed.version)
    }

    /// Sends a command, signed with `key` if there is one, and waits for its answer.
    ///
    /// # Errors
    /// [`SessionError::Router`] for an answer `ERR`; otherwise what the connection or the core says.
    pub async fn request(
        &self,
        entity: EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<Response, SessionError> {
        let corr = self.shared.core.borrow_mut().request(entity, command, key)?;
        self.answer(corr).await
    }

    /// Has this session's router, as a proxy, deliver a command to a relay, and waits for the relay's answer.
    ///
    /// # Errors
    /// [`SessionError::Router`] for an answer `ERR`, of the proxy (always `PROXY …`) or of the relay.
    pub async fn forward(
        &self,
        relay: &Relay,
        entity: EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<Response, SessionError> {
        let corr = self.shared.core.borrow_mut().forward(relay, entity, command, key)?;
        self.answer(corr).await
    }

    /// Asks this session's router, as a proxy, for its session with the router of an address.
    ///
    /// # Errors
    /// [`SessionError::Relay`] when what the proxy shows is not that router.
    pub async fn relay(
        &self,
        address: &RouterAddress,
        password: Option<String>,
    ) -> Result<Relay, SessionError> {
        let command = Command::Prxy { router: address.clone(), password };
        match self.request(EntityId::EMPTY, &command, None).await? {
            Response::Pkey { session, versions, chain, signed_key } => {
                let seconds = self.world.now() / 1_000_000_000;
                Ok(Relay::verify(&session, versions, &chain, &signed_key, &address.identity, seconds)?)
            }
            _ => Err(SessionError::Unexpected),
        }
    }

    async fn answer(&self, corr: CorrId) -> Result<Response, SessionError> {
        if self.is_closed() {
            return Err(SessionError::Closed);
        }
        let (sender, answer) = oneshot::channel();
        self.shared.waiting.borrow_mut().insert(corr.clone(), sender);
        self.shared.writable.notify_one();
        let answer = tokio::select! {
            biased;
            answer = answer => answer.unwrap_or(Err(SessionError::Closed)),
            () = self.world.sleep(self.timeout) => {
                self.shared.waiting.borrow_mut().remove(&corr);
                self.shared.core.borrow_mut().forget(&corr);
                Err(SessionError::Timeout)
            }
        };
        match answer? {
            Response::Err(error) => Err(SessionError::Router(error)),
            response => Ok(response),
        }
    }
}

impl Shared {
    fn close(&self) {
        self.closed.set(true);
        self.writable.notify_one();
    }
}

/// Pumps a session's blocks until it ends, and then fails what still waits.
async fn run<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    shared: Rc<Shared>,
    tls: TlsSession<S>,
    events: mpsc::Sender<Event>,
    ready: oneshot::Sender<Result<(), SessionError>>,
) {
    let (mut reader, mut writer) = split(tls.stream);
    let mut ready = Some(ready);
    let reading = async {
        let mut block = Vec::new();
        while let Ok(Some(())) = read_block(&mut reader, &mut block).await {
            let taken = shared.core.borrow_mut().block(&block);
            if let Err(error) = taken {
                if let Some(ready) = ready.take() {
                    let _ = ready.send(Err(error.into()));
                }
                return;
            }
            shared.writable.notify_one();
            loop {
                let event = shared.core.borrow_mut().poll();
                match event {
                    None => break,
                    Some(ClientEvent::Ready { .. }) => {
                        if let Some(ready) = ready.take() {
                            let _ = ready.send(Ok(()));
                        }
                    }
                    Some(ClientEvent::Response { corr, response, .. }) => {
                        shared.resolve(&corr, response.map_err(SessionError::from));
                    }
                    Some(ClientEvent::Forwarded { corr, response }) => {
                        shared.resolve(&corr, response.map_err(SessionError::from));
                    }
                    Some(ClientEvent::Event { entity, response }) => {
                        // Nobody takes events any more: nobody needs the session either.
                        if events.send((entity, response)).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    };
    let writing = async {
        loop {
            let next = || shared.core.borrow_mut().next_block();
            if write_blocks(&mut writer, next).await.is_err() {
                return;
            }
            if shared.closed.get() {
                let _ = writer.shutdown().await;
                return;
            }
            shared.writable.notified().await;
        }
    };
    tokio::select! {
        biased;
        () = reading => {}
        () = writing => {}
    }
    shared.closed.set(true);
    shared.waiting.borrow_mut().clear();
}

impl Shared {
    fn resolve(&self, corr: &CorrId, answer: Answer) {
        if let Some(sender) = self.waiting.borrow_mut().remove(corr) {
            let _ = sender.send(answer);
        }
    }
}
