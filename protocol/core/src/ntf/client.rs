//! The device's side of one transport session with a notification router: requests out, responses in.
//!
//! Contract: after each call that changes something, drain [`Client::next_block`] and [`Client::poll`]. The client
//! holds no clock; whoever drives it gives up on requests that take too long with [`Client::forget`].

use std::collections::{BTreeSet, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::command::Command;
use super::handshake::{Agreed, ClientHandshake};
use super::response::Response;
use crate::crypto::keys::AuthSecretKey;
use crate::smp::client::ClientError;
use crate::transport::{BatchError, Unsigned, authorize, read_transmission};
use crate::wire::{CorrId, EntityId, WireError};

/// What a client learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// The handshake is done; requests can be made.
    Ready {
        /// The version agreed on.
        version: u16,
    },
    /// The answer to a request.
    Response {
        /// The request's correlation id.
        corr: CorrId,
        /// The entity that the router answers for.
        entity: EntityId,
        /// The answer. `Err` where it does not parse: a newer router may answer what this client does not know.
        response: Result<Response, WireError>,
    },
}

/// One session with a notification router.
#[derive(Debug)]
pub struct Client {
    handshake: Option<ClientHandshake>,
    agreed: Option<Agreed>,
    rng: ChaCha20Rng,
    pending: BTreeSet<CorrId>,
    /// Requests that are not in a block yet.
    outgoing: VecDeque<(CorrId, Vec<u8>)>,
    /// The hello.
    hello_block: Option<Vec<u8>>,
    events: VecDeque<ClientEvent>,
}

impl Client {
    /// A client that waits for the router's first block. `rng` makes correlation ids.
    #[must_use]
    pub fn new(handshake: ClientHandshake, rng: ChaCha20Rng) -> Self {
        Self {
            handshake: Some(handshake),
            agreed: None,
            rng,
            pending: BTreeSet::new(),
            outgoing: VecDeque::new(),
            hello_block: None,
            events: VecDeque::new(),
        }
    }

    /// The session, once the handshake is done.
    #[must_use]
    pub fn agreed(&self) -> Option<&Agreed> {
        self.agreed.as_ref()
    }

    /// How many requests wait for an answer.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Stops waiting for an answer, and does not make the request if that was not done yet.
    pub fn forget(&mut self, corr: &CorrId) {
        self.pending.remove(corr);
        self.outgoing.retain(|(waiting, _)| waiting != corr);
    }

    /// Takes a block from the router. After an error the session is dead.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn block(&mut self, block: &[u8]) -> Result<(), ClientError> {
        if let Some(handshake) = self.handshake.take() {
            let (reply, agreed) = handshake.router_hello(block)?;
            self.hello_block = Some(reply);
            self.events.push_back(ClientEvent::Ready { version: agreed.version() });
            self.agreed = Some(agreed);
            return Ok(());
        }
        let agreed = self.agreed.as_mut().ok_or(ClientError::NotReady)?;
        let content = agreed.open(block)?;
        for item in agreed.unpack(&content)? {
            let received = read_transmission(&agreed.session, item)?;
            let response = if received.right_session {
                Response::decode(&received.command)
            } else {
                Err(WireError::BadTag)
            };
            // A router sends nothing of itself, and an answer that was given up on is no use.
            if self.pending.remove(&received.corr) {
                let (corr, entity) = (received.corr, received.entity);
                self.events.push_back(ClientEvent::Response { corr, entity, response });
            }
        }
        Ok(())
    }

    /// Makes a request and returns its correlation id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn request(
        &mut self,
        entity: EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<CorrId, ClientError> {
        let mut bytes = [0; 24];
        self.rng.fill_bytes(&mut bytes);
        let corr = CorrId::from(bytes);
        self.request_with(corr.clone(), entity, command, key)?;
        Ok(corr)
    }

    /// Makes a request with a correlation id of the caller's choice.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn request_with(
        &mut self,
        corr: CorrId,
        entity: EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<(), ClientError> {
        let agreed = self.agreed.as_ref().ok_or(ClientError::NotReady)?;
        let mut bytes = Vec::new();
        command.encode(&mut bytes)?;
        let unsigned = Unsigned { corr: corr.clone(), entity, command: bytes };
        let item = authorize(&agreed.session, &unsigned, key, agreed.router_key.as_ref())?;
        if !agreed.fits(item.len()) {
            return Err(BatchError::TooLarge(item.len()).into());
        }
        self.outgoing.push_back((corr.clone(), item));
        self.pending.insert(corr);
        Ok(())
    }

    /// The next block to write. Requests that wait share blocks, from version 2 on.
    pub fn next_block(&mut self) -> Option<Vec<u8>> {
        if let Some(block) = self.hello_block.take() {
            return Some(block);
        }
        let agreed = self.agreed.as_mut()?;
        let count = agreed.first_block(self.outgoing.iter().map(|(_, item)| item.len()));
        if count == 0 {
            return None;
        }
        let items: Vec<_> = self.outgoing.drain(..count).collect();
        // What fits into no block was refused when the request was made.
        agreed.seal(items.iter().map(|(_, item)| item.as_slice())).ok()
    }

    /// The next thing learnt.
    pub fn poll(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }
}
