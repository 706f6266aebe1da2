//! One session with a router on a socket: requests and their answers, forwarded commands, and the stream of events.

use std::sync::Arc;

use sxlab_protocol::crypto::keys::AuthSecretKey;
use sxlab_protocol::smp::client::{Client, ClientError, ClientEvent};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::SmpError;
use sxlab_protocol::smp::forward::{ForwardError, Relay};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{BLOCK_SIZE, ClientHandshake, ServiceCredentials, ServiceRole};
use sxlab_protocol::wire::{CorrId, EntityId, RouterAddress, VersionRange, WireError};
use tokio::sync::mpsc;

use crate::dial::{self, DialError, dial};
use crate::identity::RouterIdentity;
use crate::requests::{Learnt, Requester, Requests};
use crate::tls::TlsError;
use crate::world::World;

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

    pub(crate) fn credentials(&self) -> ServiceCredentials {
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
    requests: Requests<W, Client>,
}

impl<W: World> Clone for Session<W> {
    fn clone(&self) -> Self {
        Self { requests: self.requests.clone() }
    }
}

impl Requester for Client {
    type Response = Response;
    type Event = Event;
    const BLOCK_SIZE: usize = BLOCK_SIZE;

    fn block(&mut self, block: &[u8]) -> Result<(), SessionError> {
        Ok(Client::block(self, block)?)
    }

    fn next_block(&mut self) -> Option<Vec<u8>> {
        Client::next_block(self)
    }

    fn poll(&mut self) -> Option<Learnt<Self>> {
        Some(match Client::poll(self)? {
            ClientEvent::Ready { .. } => Learnt::Ready,
            ClientEvent::Response { corr, response, .. } => {
                Learnt::Answer(corr, response.map_err(SessionError::from))
            }
            ClientEvent::Forwarded { corr, response } => {
                Learnt::Answer(corr, response.map_err(SessionError::from))
            }
            ClientEvent::Event { entity, response } => Learnt::Event((entity, response)),
        })
    }

    fn forget(&mut self, corr: &CorrId) {
        Client::forget(self, corr);
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
        self.requests.core().service().cloned()
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
        let tls = dial(&world, address, &dial::SMP, own, timeout).await?;
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
        let (requests, events) = Requests::open(world, tls, core, timeout).await?;
        Ok((Self { requests }, events))
    }

    /// Whether the session has ended or is about to.
    pub fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Ends the session once the requests made so far are written. They get no answers any more.
    pub fn close(&self) {
        self.requests.close();
    }

    /// The version agreed on.
    pub fn version(&self) -> u16 {
        self.requests.core().agreed().map_or(0, |agreed| agreed.version)
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
                let seconds = self.requests.world().now() / 1_000_000_000;
                Ok(Relay::verify(&session, versions, &chain, &signed_key, &address.identity, seconds)?)
            }
            _ => Err(SessionError::Unexpected),
        }
    }

    async fn answer(
        &self,
        request: impl FnOnce(&mut Client) -> Result<CorrId, ClientError>,
    ) -> Result<Response, SessionError> {
        match self.requests.answer(request).await? {
            Response::Err(error) => Err(SessionError::Router(error)),
            response => Ok(response),
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
