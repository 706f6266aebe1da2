//! The client's side of one transport session: requests out, responses and events in, and commands forwarded
//! through this router as a proxy to another one.
//!
//! Contract: after each call that changes something, drain [`Client::next_block`] and [`Client::poll`]. The client
//! holds no clock; whoever drives it gives up on requests that take too long with [`Client::forget`].

mod mutants;

pub use mutants::ClientMutant;

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use thiserror::Error;

use super::command::Command;
use super::forward::{self, ForwardKeys, Relay};
use super::response::Response;
use super::version::Layout;
use crate::crypto::keys::AuthSecretKey;
use crate::transport::{
    Agreed, BLOCK_SIZE, BatchError, BlockError, ClientHandshake, HandshakeError, RouterHello,
    ServiceCredentials, ServiceReply, ServiceSigner, TransmissionError, Unsigned, authorize_by_service,
    first_block, read_transmission, unpack,
};
use crate::wire::{CorrId, EntityId, WireError, unpad};
use mutants::Wrong;

/// Why a session can't go on, or a request can't be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClientError {
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// A block is not one.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A block's content or a transmission does not parse.
    #[error("the router sent what does not parse: {0}")]
    Wire(#[from] WireError),
    /// A request can't be written.
    #[error(transparent)]
    Transmission(#[from] TransmissionError),
    /// A request is too large for a block.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A request before the handshake was done.
    #[error("no session yet")]
    NotReady,
    /// A command that the version does not have.
    #[error("version {0} does not have this command")]
    Version(u16),
}

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
        /// The answer. `Err` where it does not parse: a newer router may answer what this client does not know (ER-8).
        response: Result<Response, WireError>,
    },
    /// The answer of the destination router to a forwarded command.
    Forwarded {
        /// The forwarded command's correlation id.
        corr: CorrId,
        /// The destination's answer, or why it cannot be read.
        response: Result<Response, forward::ForwardError>,
    },
    /// An event: a transmission without a correlation id, or with one that nobody waits for.
    Event {
        /// The entity that it concerns.
        entity: EntityId,
        /// The event.
        response: Response,
    },
}

/// One session with a router.
#[derive(Debug)]
pub struct Client {
    handshake: Option<ClientHandshake>,
    /// What it shows in its hello to be a service.
    credentials: Option<Box<ServiceCredentials>>,
    /// The session that the router was told of a service for and has not answered yet.
    presented: Option<Box<(Agreed, ServiceSigner)>>,
    agreed: Option<Agreed>,
    service: Option<Box<Service>>,
    hello: Option<RouterHello>,
    rng: ChaCha20Rng,
    pending: BTreeMap<CorrId, Pending>,
    /// Requests that are not in a block yet.
    outgoing: VecDeque<(CorrId, Vec<u8>)>,
    /// The hello.
    hello_block: Option<Vec<u8>>,
    events: VecDeque<ClientEvent>,
    /// What is deliberately wrong with this client; nothing but in tests of what finds wrong clients.
    wrong: Option<Box<Wrong>>,
}

/// What a service has in a session.
#[derive(Debug)]
struct Service {
    id: EntityId,
    signer: ServiceSigner,
}

#[derive(Debug)]
enum Pending {
    Request,
    Forward(Box<ForwardKeys>),
}

impl Client {
    /// A client that waits for the router's first block. `rng` makes correlation ids and session keys.
    pub fn new(handshake: ClientHandshake, rng: ChaCha20Rng) -> Self {
        Self {
            handshake: Some(handshake),
            credentials: None,
            presented: None,
            agreed: None,
            service: None,
            hello: None,
            rng,
            pending: BTreeMap::new(),
            outgoing: VecDeque::new(),
            hello_block: None,
            events: VecDeque::new(),
            wrong: None,
        }
    }

    /// The same for a service, which signs NEW, SUB and NSUB by itself (SV-7). At versions at which it does not present
    /// itself it is a client like others: [`Client::service`] tells.
    pub fn for_service(
        handshake: ClientHandshake,
        credentials: ServiceCredentials,
        rng: ChaCha20Rng,
    ) -> Self {
        Self { credentials: Some(Box::new(credentials)), ..Self::new(handshake, rng) }
    }

    /// The id that the router knows this client by, if it is a service: the entity of SUBS and NSUBS.
    pub fn service(&self) -> Option<&EntityId> {
        self.service.as_ref().map(|service| &service.id)
    }

    /// A client that is deliberately wrong in one way, for tests of what finds wrong clients.
    pub fn mutated(handshake: ClientHandshake, mut rng: ChaCha20Rng, mutant: ClientMutant) -> Self {
        let wrong = Some(Box::new(Wrong::new(mutant, &mut rng)));
        let hello_block = (mutant == ClientMutant::SpeaksFirst).then(|| vec![b'#'; BLOCK_SIZE]);
        Self { wrong, hello_block, ..Self::new(handshake, rng) }
    }

    /// The session, once the handshake is done.
    pub fn agreed(&self) -> Option<&Agreed> {
        self.agreed.as_ref()
    }

    /// The router's hello, once: what a proxy shows its clients of a relay.
    pub fn take_hello(&mut self) -> Option<RouterHello> {
        self.hello.take()
    }

    /// How many requests wait for an answer.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Stops waiting for an answer, and does not make the request if that was not done yet. A late answer is an event.
    pub fn forget(&mut self, corr: &CorrId) {
        self.pending.remove(corr);
        self.outgoing.retain(|(waiting, _)| waiting != corr);
    }

    /// Takes a block from the router. After an error the session is dead.
    pub fn block(&mut self, block: &[u8]) -> Result<(), ClientError> {
        if let Some(handshake) = self.handshake.take() {
            let credentials = self.credentials.take();
            let (reply, agreed, hello, signer) = match &self.wrong {
                None => handshake.router_hello_as(block, credentials.as_deref(), &mut self.rng)?,
                Some(wrong) => mutants::router_hello(wrong.mutant, handshake, block, &mut self.rng)?,
            };
            self.hello_block = Some(reply);
            self.hello = Some(hello);
            match signer {
                None => self.ready(agreed),
                Some(signer) => self.presented = Some(Box::new((agreed, signer))),
            }
            return Ok(());
        }
        if let Some(presented) = self.presented.take() {
            let (agreed, signer) = *presented;
            match ServiceReply::decode(unpad(block)?)? {
                ServiceReply::Accepted(id) => self.service = Some(Box::new(Service { id, signer })),
                ServiceReply::Refused(error) => return Err(HandshakeError::Service(error).into()),
            }
            self.ready(agreed);
            return Ok(());
        }
        let agreed = self.agreed.as_mut().ok_or(ClientError::NotReady)?;
        if self.wrong.as_ref().is_some_and(|wrong| wrong.refuses(block, agreed)) {
            return Err(ClientError::Wire(WireError::BadLength));
        }
        let content = agreed.codec.open(block)?;
        let first_only = self.wrong.as_ref().is_some_and(|wrong| wrong.mutant == ClientMutant::FirstItemOnly);
        let items = unpack(&content)?.into_iter();
        for item in items.take(if first_only { 1 } else { usize::MAX }) {
            let received = read_transmission(&agreed.session, item)?;
            let response = if received.right_session {
                Response::decode(&received.command, &agreed.session.layout)
            } else {
                Err(WireError::BadTag)
            };
            let (corr, entity) = (received.corr, received.entity);
            let (corr, response) = match &self.wrong {
                None => (corr, response),
                Some(wrong) => {
                    let pending: Vec<_> = self.pending.keys().collect();
                    let parts = (corr, entity.clone(), received.command);
                    wrong.received(parts, &agreed.session.layout, response, &pending)?
                }
            };
            let event = match (self.pending.remove(&corr), response) {
                (Some(Pending::Request), response) => ClientEvent::Response { corr, entity, response },
                (Some(Pending::Forward(keys)), Ok(Response::Pres { sealed })) => {
                    let response = match &self.wrong {
                        None => forward::open_reply(&keys, &corr, &sealed),
                        Some(wrong) => mutants::open_reply(wrong, &keys, &corr, &sealed),
                    };
                    ClientEvent::Forwarded { corr, response }
                }
                (Some(Pending::Forward(_)), response) => ClientEvent::Response { corr, entity, response },
                (None, Ok(response)) => ClientEvent::Event { entity, response },
                // An event that this client does not know must not end the session (ER-8).
                (None, Err(_)) => continue,
            };
            self.events.push_back(event);
        }
        Ok(())
    }

    fn ready(&mut self, agreed: Agreed) {
        self.events.push_back(ClientEvent::Ready { version: agreed.version });
        self.agreed = Some(agreed);
    }

    /// A fresh correlation id: never used twice in a session, because it is a nonce too (HARDPARTS 4).
    fn fresh_corr(&mut self) -> CorrId {
        let mut bytes = [0; 24];
        self.rng.fill_bytes(&mut bytes);
        let fresh = CorrId::from(bytes);
        match &mut self.wrong {
            None => fresh,
            Some(wrong) => wrong.corr(fresh),
        }
    }

    /// Makes a request and returns its correlation id. A service signs as well where it has to, and SUBS and NSUBS without
    /// a `key` of their own with its session key.
    pub fn request(
        &mut self,
        entity: EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<CorrId, ClientError> {
        let corr = self.fresh_corr();
        self.request_with(corr.clone(), entity, command, key)?;
        Ok(corr)
    }

    /// Makes a request with a correlation id of the caller's choice.
    pub fn request_with(
        &mut self,
        corr: CorrId,
        entity: EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<(), ClientError> {
        let agreed = self.agreed.as_ref().ok_or(ClientError::NotReady)?;
        let item = match &mut self.wrong {
            None => {
                can_be_sent(command, agreed.version)?;
                let mut bytes = Vec::new();
                command.encode(&agreed.session.layout, &mut bytes)?;
                let unsigned = Unsigned { corr: corr.clone(), entity, command: bytes };
                let signer = self.service.as_ref().map(|service| &service.signer);
                let own = signer.filter(|_| command.is_of_service()).map(|signer| signer.key.clone().into());
                let signer = signer.filter(|_| command.is_signed_by_service());
                let (key, router_key) = (key.or(own.as_ref()), agreed.peer_key.as_ref());
                authorize_by_service(&agreed.session, &unsigned, key, router_key, signer)?
            }
            Some(wrong) => wrong.item(agreed, (corr.clone(), entity, command), key)?,
        };
        if 3 + item.len() > agreed.codec.capacity() {
            return Err(BatchError::TooLarge(item.len()).into());
        }
        self.outgoing.push_back((corr.clone(), item));
        self.pending.insert(corr, Pending::Request);
        Ok(())
    }

    /// Has the command delivered by this session's router, as a proxy, to the router behind `relay` (PX-7, PX-8). The
    /// answer comes as [`ClientEvent::Forwarded`], or as a [`ClientEvent::Response`] with the proxy's own error.
    pub fn forward(
        &mut self,
        relay: &Relay,
        entity: EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<CorrId, ClientError> {
        can_be_sent(command, relay.version())?;
        let corr = self.fresh_corr();
        let agreed = self.agreed.as_ref().ok_or(ClientError::NotReady)?;
        let (command, keys) = match &mut self.wrong {
            None => forward::seal_command(relay, &corr, entity, command, key, &mut self.rng)?,
            Some(wrong) => {
                let inner = (entity, command);
                mutants::seal_command(wrong, agreed, relay, &corr, inner, key, &mut self.rng)?
            }
        };
        self.request_with(corr.clone(), relay.session_entity()?, &command, None)?;
        self.pending.insert(corr.clone(), Pending::Forward(Box::new(keys)));
        Ok(corr)
    }

    /// The next block to write. Requests that wait share blocks.
    pub fn next_block(&mut self) -> Option<Vec<u8>> {
        if let Some(block) = self.hello_block.take() {
            return Some(block);
        }
        let agreed = self.agreed.as_mut()?;
        let count = first_block(self.outgoing.iter().map(|(_, item)| item.len()));
        if count == 0 {
            return None;
        }
        let items: Vec<_> = self.outgoing.drain(..count).collect();
        if let Some(wrong) = &self.wrong {
            let items: Vec<_> = items.iter().map(|(_, item)| item.as_slice()).collect();
            return wrong.block(agreed, &items).ok();
        }
        // What fits into no block was refused when the request was made.
        agreed.codec.seal_batch(items.iter().map(|(_, item)| item.as_slice())).ok()
    }

    /// The next thing learnt.
    pub fn poll(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }
}

/// RSLV is a command of version 20; routers read it at every version, clients don't send it below (NM-12).
fn can_be_sent(command: &Command, version: u16) -> Result<(), ClientError> {
    match command {
        Command::Rslv(_) if !Layout::of(version).names => Err(ClientError::Version(version)),
        _ => Ok(()),
    }
}
