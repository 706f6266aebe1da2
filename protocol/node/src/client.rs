//! One session with a router on a socket: requests and their answers, forwarded commands, and the stream of events.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use sxlab_protocol::crypto::keys::AuthSecretKey;
use sxlab_protocol::smp::client::{Client, ClientError, ClientEvent};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::SmpError;
use sxlab_protocol::smp::forward::{ForwardError, Relay};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{ClientHandshake, ServiceCredentials, ServiceRole};
use sxlab_protocol::wire::{CorrId, EntityId, RouterAddress, VersionRange, WireError};
use tokio::io::split;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::dial::{DialError, dial};
use crate::identity::RouterIdentity;
use crate::link::{Link, part, read_block};
use crate::tls::{TlsError, TlsSession};
use crate::world::{World, within};

/// Events that may wait for whoever takes them before the session is not read further.
const EVENTS: usize = 256;

/// How long a router may take for one block that is written to it, in nanoseconds.
const WRITE_TIMEOUT: u64 = 900_000_000_000;

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

/// A client's certificates, by which routers know it as a service, and what it does. Its identity is made as a router's.
#[derive(Clone, Debug)]
pub struct ServiceIdentity {
    /// What it does.
    pub role: ServiceRole,
    /// Its certificates and keys.
    pub identity: Arc<RouterIdentity>,
    /// The version from which on it presents itself, as a rule [`ServiceRole::presented_from`].
    pub from_version: u16,
}

impl ServiceIdentity {
    /// A service that presents itself from the version on that is usual for its role (SV-22).
    #[must_use]
    pub fn new(role: ServiceRole, identity: Arc<RouterIdentity>) -> Self {
        Self { role, identity, from_version: role.presented_from() }
    }

    fn credentials(&self) -> ServiceCredentials {
        let (chain, leaf) = (self.identity.chain().clone(), self.identity.leaf_key());
        ServiceCredentials { role: self.role, chain, leaf, from_version: self.from_version }
    }
}

/// An event of the router: the entity that it concerns, and what happened.
pub type Event = (EntityId, Response);

/// The client's end of a session. Clones are the same session.
///
/// It ends when it is closed, when the connection ends, or when nobody has any use for it: every clone and the receiver
/// of its events are dropped. It does not ping by itself: whoever relies on a silent session asks now and then (TR-37).
pub struct Session<W: World> {
    world: W,
    shared: Rc<Shared>,
    timeout: u64,
    held: Rc<Held>,
}

impl<W: World> Clone for Session<W> {
    fn clone(&self) -> Self {
        Self {
            world: self.world.clone(),
            shared: Rc::clone(&self.shared),
            timeout: self.timeout,
            held: Rc::clone(&self.held),
        }
    }
}

type Answer = Result<Response, SessionError>;

struct Shared {
    core: RefCell<Client>,
    waiting: RefCell<BTreeMap<CorrId, oneshot::Sender<Answer>>>,
    link: Link,
    unheld: Notify,
}

/// Owned by all clones of a session together: says when the last one is dropped.
struct Held(Rc<Shared>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.unheld.notify_one();
    }
}

/// A request that waits for its answer. Dropped before that, also with the future of the request, it is given up.
struct Waiting<'a> {
    shared: &'a Shared,
    corr: CorrId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.shared.waiting.borrow_mut().remove(&self.corr).is_some() {
            self.shared.core.borrow_mut().forget(&self.corr);
        }
    }
}

impl<W: World> Session<W> {
    /// Connects as [`Session::connect`] does, and is a service to the router if the version is one at which it presents
    /// itself: [`Session::service`] tells.
    ///
    /// # Errors
    /// As [`Session::connect`]; [`SessionError::Client`] with the router's reason if it refuses the service.
    pub async fn connect_as(
        world: W,
        address: &RouterAddress,
        versions: VersionRange,
        service: &ServiceIdentity,
        timeout: u64,
    ) -> Result<(Self, mpsc::Receiver<Event>), SessionError> {
        Self::open(world, address, versions, Some(service), timeout).await
    }

    /// The id that the router knows this session's service by.
    pub fn service(&self) -> Option<EntityId> {
        self.shared.core.borrow().service().cloned()
    }

    /// Connects, checks the router's identity and agrees on a version. `timeout` is for the connection with TLS, for the
    /// handshake, and for each request, in nanoseconds.
    ///
    /// Events arrive on the receiver, which ends with the session; an answer that comes after its request was given up
    /// is one too. Once 256 of them wait, nothing more is read, so no event is lost but answers too stand behind them:
    /// who takes events does not wait for an answer in between, if more may come. With the receiver dropped, events are
    /// too, and requests still work.
    ///
    /// # Errors
    /// [`SessionError::Tls`], [`SessionError::Client`], [`SessionError::Closed`], [`SessionError::Timeout`].
    pub async fn connect(
        world: W,
        address: &RouterAddress,
        versions: VersionRange,
        timeout: u64,
    ) -> Result<(Self, mpsc::Receiver<Event>), SessionError> {
        Self::open(world, address, versions, None, timeout).await
    }

    async fn open(
        world: W,
        address: &RouterAddress,
        versions: VersionRange,
        service: Option<&ServiceIdentity>,
        timeout: u64,
    ) -> Result<(Self, mpsc::Receiver<Event>), SessionError> {
        let own = service.map(|service| Arc::clone(&service.identity));
        let tls = dial(&world, address, own, timeout).await?;
        let handshake = ClientHandshake {
            versions,
            identity: address.identity,
            session_id: tls.session_id.clone(),
            send_key: true,
            proxy: false,
            unix_seconds: world.now() / 1_000_000_000,
        };
        let core = match service {
            Some(service) => Client::for_service(handshake, service.credentials(), world.rng()),
            None => Client::new(handshake, world.rng()),
        };
        let shared = Rc::new(Shared {
            core: RefCell::new(core),
            waiting: RefCell::default(),
            link: Link::default(),
            unheld: Notify::new(),
        });
        let (events, received) = mpsc::channel(EVENTS);
        let (ready, is_ready) = oneshot::channel();
        // Made before there is anything to wait for: giving up on this future ends the session.
        let held = Rc::new(Held(Rc::clone(&shared)));
        let session = Self { world: world.clone(), shared: Rc::clone(&shared), timeout, held };
        let task = world.clone();
        world.spawn(async move { run(task, shared, tls, events, ready).await });
        match within(&world, timeout, is_ready).await {
            Some(outcome) => outcome.map_err(|_| SessionError::Closed)??,
            None => return Err(SessionError::Timeout),
        }
        Ok((session, received))
    }

    /// Whether the session has ended or is about to.
    pub fn is_closed(&self) -> bool {
        self.shared.link.is_closing()
    }

    /// Ends the session once the requests made so far are written. They get no answers any more.
    pub fn close(&self) {
        self.shared.link.close();
    }

    /// The version agreed on.
    pub fn version(&self) -> u16 {
        self.shared.core.borrow().agreed().map_or(0, |agreed| agreed.version)
    }

    /// Sends a command, signed with `key` if there is one, and waits for its answer. Dropping the future gives the request
    /// up; if it is on its way already, the router carries it out all the same.
    ///
    /// # Errors
    /// [`SessionError::Router`] for an answer `ERR`; otherwise what the connection or the core says.
    pub async fn request(
        &self,
        entity: EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<Response, SessionError> {
        self.answer(|core| core.request(entity, command, key)).await
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
        self.answer(|core| core.forward(relay, entity, command, key)).await
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

    async fn answer(
        &self,
        request: impl FnOnce(&mut Client) -> Result<CorrId, ClientError>,
    ) -> Result<Response, SessionError> {
        // What is said to have failed must not be sent.
        if self.is_closed() {
            return Err(SessionError::Closed);
        }
        let corr = request(&mut self.shared.core.borrow_mut())?;
        let (sender, answer) = oneshot::channel();
        self.shared.waiting.borrow_mut().insert(corr.clone(), sender);
        let waiting = Waiting { shared: &self.shared, corr };
        self.shared.link.wake();
        let answer = within(&self.world, self.timeout, answer).await;
        drop(waiting);
        match answer.ok_or(SessionError::Timeout)?.map_err(|_| SessionError::Closed)?? {
            Response::Err(error) => Err(SessionError::Router(error)),
            response => Ok(response),
        }
    }
}

/// Pumps a session's blocks until it ends, and then fails what still waits.
async fn run<W: World>(
    world: W,
    shared: Rc<Shared>,
    tls: TlsSession<W::Stream>,
    events: mpsc::Sender<Event>,
    ready: oneshot::Sender<Result<(), SessionError>>,
) {
    let (mut reader, mut writer) = split(tls.stream);
    let link = &shared.link;
    let reading = async {
        let mut ready = Some(ready);
        while let Ok(Some(block)) = read_block(&mut reader).await {
            let taken = shared.core.borrow_mut().block(&block);
            if let Err(error) = taken {
                if let Some(ready) = ready.take() {
                    let _ = ready.send(Err(error.into()));
                }
                return;
            }
            // The answer to the router's hello is written without anybody asking for it.
            link.wake();
            while let Some(event) = shared.poll() {
                match event {
                    ClientEvent::Ready { .. } => {
                        if let Some(ready) = ready.take() {
                            let _ = ready.send(Ok(()));
                        }
                    }
                    ClientEvent::Response { corr, response, .. } => {
                        shared.resolve(&corr, response.map_err(SessionError::from));
                    }
                    ClientEvent::Forwarded { corr, response } => {
                        shared.resolve(&corr, response.map_err(SessionError::from));
                    }
                    ClientEvent::Event { entity, response } => {
                        // An error says that nobody takes events: the session is then there for its requests.
                        let _ = events.send((entity, response)).await;
                    }
                }
            }
        }
    };
    let next = || shared.core.borrow_mut().next_block().into();
    let writing = link.write(&world, WRITE_TIMEOUT, &mut writer, next);
    let abandoned = async {
        shared.unheld.notified().await;
        events.closed().await;
        link.close();
        std::future::pending().await
    };
    tokio::select! {
        biased;
        () = reading => {}
        () = writing => {}
        () = abandoned => {}
        () = link.overdue(&world) => {}
    }
    let parting = link.is_closing();
    link.close();
    shared.waiting.borrow_mut().clear();
    drop(events);
    if parting {
        part(&world, reader, writer).await;
    }
}

impl Shared {
    fn poll(&self) -> Option<ClientEvent> {
        self.core.borrow_mut().poll()
    }

    fn resolve(&self, corr: &CorrId, answer: Answer) {
        let waiting = self.waiting.borrow_mut().remove(corr);
        if let Some(sender) = waiting {
            let _ = sender.send(answer);
        }
    }
}

impl From<DialError> for SessionError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Timeout => Self::Timeout,
            DialError::Tls(error) => Self::Tls(error),
        }
    }
}
