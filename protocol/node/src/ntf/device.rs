//! A device's session with a notification router.

use std::convert::Infallible;

use sxlab_protocol::crypto::certificate::Chain;
use sxlab_protocol::crypto::keys::AuthSecretKey;
use sxlab_protocol::ntf::address::NtfAddress;
use sxlab_protocol::ntf::client::{Client, ClientEvent};
use sxlab_protocol::ntf::command::Command;
use sxlab_protocol::ntf::device::Ask;
use sxlab_protocol::ntf::handshake::{BLOCK_SIZE, ClientHandshake};
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::version::MIN;
use sxlab_protocol::smp::client::ClientError;
use sxlab_protocol::transport::HandshakeError;
use sxlab_protocol::wire::{CorrId, EntityId, VersionRange};

use crate::client::SessionError;
use crate::dial::{self, dial};
use crate::requests::{Learnt, Requester, Requests};
use crate::world::World;

/// The device's end of a session. Clones are the same session.
///
/// It ends when it is closed, when the connection ends, or when every clone is dropped.
pub struct DeviceSession<W: World> {
    requests: Requests<W, Client>,
}

impl<W: World> Clone for DeviceSession<W> {
    fn clone(&self) -> Self {
        Self { requests: self.requests.clone() }
    }
}

impl Requester for Client {
    type Response = Response;
    type Event = Infallible;
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
        })
    }

    fn forget(&mut self, corr: &CorrId) {
        Client::forget(self, corr);
    }
}

impl<W: World> DeviceSession<W> {
    /// Connects, checks the router's identity and agrees on a version. A device that knows version 1 only negotiates no protocol
    /// in TLS (NT-1). `timeout` is for the connection with TLS, for the handshake, and for each
    /// request, in nanoseconds.
    ///
    /// # Errors
    /// [`SessionError::Tls`], [`SessionError::Client`], [`SessionError::Closed`], [`SessionError::Timeout`].
    pub async fn connect(
        world: W,
        address: &NtfAddress,
        versions: VersionRange,
        timeout: u64,
    ) -> Result<Self, SessionError> {
        let how = if versions.max == MIN { &dial::OLD_NTF } else { &dial::NTF };
        let tls = dial(&world, &address.0, how, None, timeout).await?;
        let leaf = Chain::new(tls.peer_chain.clone()).leaf_public_key();
        let leaf = leaf.map_err(|error| ClientError::from(HandshakeError::from(error)))?;
        let session_id = tls.session_id.clone();
        let handshake = ClientHandshake { versions, identity: address.0.identity, leaf, session_id };
        let core = Client::new(handshake, world.rng());
        // A router sends nothing of itself.
        let (requests, _) = Requests::open(world, tls, core, timeout).await?;
        Ok(Self { requests })
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
        self.requests.core().agreed().map_or(0, |agreed| agreed.version())
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
        match self.requests.answer(|core| core.request(entity, command, key)).await? {
            Response::Err(error) => Err(SessionError::Router(error)),
            response => Ok(response),
        }
    }

    /// Sends what a [`Device`](sxlab_protocol::ntf::device::Device) asks, and waits for what its `answered` takes, `ERR` included.
    ///
    /// # Errors
    /// What the connection or the core says.
    pub async fn ask(&self, asked: &Ask) -> Result<Response, SessionError> {
        let Ask { entity, command, key, .. } = asked;
        self.requests.answer(|core| core.request(entity.clone(), command, Some(key))).await
    }
}
