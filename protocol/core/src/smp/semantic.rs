//! Commands and responses as values: what a router takes and gives where nothing is encrypted, signed or padded.
//!
//! A population of many users can't pay for the cryptography that nobody in it looks through. Between parties that a simulation
//! owns, [`Asked`] and [`Told`] travel in place of transmissions: the same commands with the same ids, carried out by the same
//! [`super::router::Router`] ([`Router::without_cryptography`](super::router::Router::without_cryptography)). Of what is left out
//! only the length counts, and that is kept exactly: [`Asked::size`] and [`Told::size`] are the lengths of the transmissions
//! that they stand for.
//!
//! A message's body is a [`stand_in`]: what its reader needs of it, and how long the encrypted one would be.

use super::command::Command;
use super::envelope::BODY_SIZE;
use super::forward::FORWARD_SIZE;
use super::response::Response;
use super::version::Layout;
use crate::crypto::boxes::TAG;
use crate::transport::Framing;
use crate::wire::{CorrId, EntityId, Reader, WireError};

/// A forwarded command or its answer, sealed by the client or the relay for each other.
pub(crate) const INNER: usize = FORWARD_SIZE + TAG;

/// What a proxy adds to a forwarded command: its client's correlation id, version and key.
const FORWARD_HEAD: usize = (1 + 24) + 2 + (1 + 44);

/// A client's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its correlation id.
    pub corr: CorrId,
    /// Its entity.
    pub entity: EntityId,
    /// How it is authorized, in bytes: 64 for an Ed25519 signature, 80 for an authenticator, 0 for none. Nothing is checked
    /// but the entity.
    pub authorization: u8,
    /// The command. SEND has a [`stand_in`] for its body, PFWD and RFWD what [`Asked::inside`] makes.
    pub command: Command,
}

/// A router's response or event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The command's correlation id; empty for an event.
    pub corr: CorrId,
    /// The entity.
    pub entity: EntityId,
    /// The response. MSG has the stand-in of the SEND, or nothing for a quota marker; PRES and RRES have what
    /// [`Told::inside`] makes.
    pub response: Response,
}

/// A body that stands for one of `length` bytes and is read as `content`.
#[must_use]
pub fn stand_in(length: u32, content: &[u8]) -> Vec<u8> {
    [&length.to_be_bytes(), content].concat()
}

/// How long the body is that this one stands for, and its content. `None` if it stands for none.
#[must_use]
pub fn stands_for(body: &[u8]) -> Option<(u32, &[u8])> {
    let (length, content) = body.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*length), content))
}

/// Bytes of a session id, where it travels: tls-unique of TLS 1.3 with SHA-256.
const SESSION_ID: usize = 32;

/// Bytes of an authorization with what follows it, of the ids, and of the command or response.
pub(crate) fn transmission(
    layout: &impl Framing,
    authorization: u8,
    corr: &CorrId,
    entity: &EntityId,
    rest: usize,
) -> usize {
    let signature = usize::from(layout.service_signature() && authorization > 0);
    let session = if layout.session_id_on_wire() { 1 + SESSION_ID } else { 0 };
    let ids = 2 + corr.as_bytes().len() + entity.as_bytes().len();
    1 + usize::from(authorization) + signature + session + ids + rest
}

/// How many bytes a command would have.
pub(crate) fn command_size(command: &Command, layout: &Layout) -> usize {
    let mut bytes = Vec::with_capacity(192);
    if command.encode(layout, &mut bytes).is_err() {
        return 0;
    }
    let (stands_in, length) = match command {
        Command::Send { body, .. } => (body.len(), stands_for(body).map_or(0, |(length, _)| length as usize)),
        Command::Pfwd { sealed, .. } => (sealed.len(), INNER),
        Command::Rfwd { sealed } => (sealed.len(), FORWARD_HEAD + INNER + TAG),
        _ => (0, 0),
    };
    bytes.len() - stands_in + length
}

fn response_size(response: &Response, layout: &Layout) -> usize {
    let mut bytes = Vec::with_capacity(192);
    if response.encode(layout, &mut bytes).is_err() {
        return 0;
    }
    let (stands_in, length) = match response {
        Response::Msg { body, .. } => (body.len(), BODY_SIZE + TAG),
        Response::Pres { sealed } => (sealed.len(), INNER),
        Response::Rres { sealed } => (sealed.len(), 1 + 24 + INNER + TAG),
        _ => (0, 0),
    };
    bytes.len() - stands_in + length
}

impl Asked {
    /// Bytes of the transmission that this stands for.
    #[must_use]
    pub fn size(&self, layout: &Layout) -> usize {
        let command = command_size(&self.command, layout);
        transmission(layout, self.authorization, &self.corr, &self.entity, command)
    }

    /// What PFWD and RFWD carry of this command.
    ///
    /// # Errors
    /// [`WireError`] for a command that has a field too long.
    pub fn inside(&self, layout: &Layout) -> Result<Vec<u8>, WireError> {
        let mut out = vec![self.authorization];
        self.corr.put(&mut out);
        self.entity.put(&mut out);
        self.command.encode(layout, &mut out)?;
        Ok(out)
    }

    /// The command that [`Asked::inside`] was made of.
    #[must_use]
    pub fn from_inside(bytes: &[u8], layout: &Layout) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let authorization = reader.u8().ok()?;
        let corr = CorrId::read(&mut reader).ok()?;
        let entity = EntityId::read(&mut reader).ok()?;
        let command = Command::decode(reader.rest(), layout).ok()?;
        Some(Self { corr, entity, authorization, command })
    }
}

impl Told {
    /// Bytes of the transmission that this stands for.
    #[must_use]
    pub fn size(&self, layout: &Layout) -> usize {
        transmission(layout, 0, &self.corr, &self.entity, response_size(&self.response, layout))
    }

    /// What PRES and RRES carry of a response.
    ///
    /// # Errors
    /// [`WireError`] for a response that has a field too long.
    pub fn inside(response: &Response, layout: &Layout) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::new();
        response.encode(layout, &mut out)?;
        Ok(out)
    }
}
