//! The layers of a forwarded command: client → proxy → relay and back (PX-7 to PX-16).
//!
//! ```text
//! client → proxy   PFWD version key box₁(command for the relay)      box₁: client's fresh key × relay's session key
//! proxy → relay    RFWD box₂(corr version key box₁)                  box₂: the proxy–relay session secret
//! relay → proxy    RRES box₂(corr box₁(answer))                      nonces: the request's, reversed
//! proxy → client   PRES box₁(answer)
//! ```
//!
//! The command inside is a batch of one transmission, authorized against the proxy–relay session.

use rand_core::CryptoRng;
use thiserror::Error;

use super::command::Command;
use super::error::{BrokerError, CommandError, ProxyError, SmpError, TransportError};
use super::response::Response;
use super::version::{FORWARD_VERSIONS, Layout};
use crate::crypto::boxes::{self, nonce_from_corr, reversed};
use crate::crypto::certificate::{CertificateError, Chain, SignedKey};
use crate::crypto::keys::{AuthSecretKey, SharedSecret, X25519Public, X25519Secret};
use crate::transport::{
    Received, Session, TransmissionError, Unsigned, authorize, pack_one, read_transmission, unpack,
    write_response,
};
use crate::wire::{CorrId, EntityId, Reader, VersionRange, WireError, put_short, put_u16};

/// What the inner layer is padded to, in bytes.
pub const FORWARD_SIZE: usize = 16226;

/// Why the client's side of a forward failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ForwardError {
    /// The answer does not decrypt.
    #[error("the relay's answer does not decrypt")]
    Decrypt,
    /// The answer does not parse.
    #[error("the relay's answer: {0}")]
    Wire(#[from] WireError),
    /// The command can't be authorized or written.
    #[error(transparent)]
    Transmission(#[from] TransmissionError),
    /// The relay that the proxy shows is not the one asked for, or its certificates are not valid.
    #[error("the relay's certificates: {0}")]
    Certificate(#[from] CertificateError),
    /// The relay's identity is another one.
    #[error("another relay than asked for")]
    Identity,
    /// No version that both this client and the relay forward with.
    #[error("no common version with the relay")]
    Version,
}

/// A relay that a proxy has a session with: what a client needs to have commands forwarded there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// The proxy–relay session: its id, and the layouts for the inner transmissions.
    pub(super) session: Session,
    pub(super) version: u16,
    pub(super) key: X25519Public,
}

impl Relay {
    /// The version of the commands inside.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Checks what PKEY says against the identity of the relay's address (PX-4).
    pub fn verify(
        session: &EntityId,
        versions: VersionRange,
        chain: &Chain,
        signed_key: &SignedKey,
        identity: &[u8; 32],
        unix_seconds: u64,
    ) -> Result<Self, ForwardError> {
        if chain.identity()? != *identity {
            return Err(ForwardError::Identity);
        }
        chain.verify(unix_seconds)?;
        let key = signed_key.verify(&chain.leaf_public_key()?)?;
        let version = versions.common(&FORWARD_VERSIONS).ok_or(ForwardError::Version)?.max;
        Ok(Self { session: inner_session(session.as_bytes().to_vec(), version), version, key })
    }

    /// The entity id of commands forwarded to this relay.
    pub fn session_entity(&self) -> Result<EntityId, WireError> {
        EntityId::new(&self.session.id)
    }
}

/// The session that a forwarded transmission belongs to: the relay's id, the inner version's layouts.
pub fn inner_session(session_id: Vec<u8>, version: u16) -> Session {
    Session { id: session_id, layout: Layout::of(version) }
}

/// What a client keeps to read the answer.
#[derive(Clone, Debug)]
pub struct ForwardKeys {
    pub(super) session: Session,
    pub(super) secret: SharedSecret,
}

/// Client: the PFWD command for `command`, under a fresh key (PX-9), and what reads its answer.
pub fn seal_command(
    relay: &Relay,
    corr: &CorrId,
    entity: EntityId,
    command: &Command,
    key: Option<&AuthSecretKey>,
    rng: &mut impl CryptoRng,
) -> Result<(Command, ForwardKeys), TransmissionError> {
    let mut bytes = Vec::new();
    command.encode(&relay.session.layout, &mut bytes)?;
    let unsigned = Unsigned { corr: corr.clone(), entity, command: bytes };
    let item = authorize(&relay.session, &unsigned, key, Some(&relay.key))?;
    let content = pack_one(&item).map_err(|_| WireError::TooLong)?;
    let fresh = X25519Secret::generate(rng);
    let secret = fresh.dh(&relay.key);
    let sealed = boxes::seal_padded(&secret, &nonce_from_corr(corr), &content, FORWARD_SIZE)
        .map_err(|_| WireError::TooLong)?;
    let command = Command::Pfwd { version: relay.version, key: fresh.public(), sealed };
    Ok((command, ForwardKeys { session: relay.session.clone(), secret }))
}

/// Client: the relay's answer inside a PRES.
pub fn open_reply(keys: &ForwardKeys, corr: &CorrId, sealed: &[u8]) -> Result<Response, ForwardError> {
    let nonce = reversed(nonce_from_corr(corr));
    let content = boxes::open_padded(&keys.secret, &nonce, sealed).map_err(|_| ForwardError::Decrypt)?;
    let item = match unpack(&content)?.as_slice() {
        [item] => item.to_vec(),
        _ => return Err(WireError::BadLength.into()),
    };
    let received = read_transmission(&keys.session, &item)?;
    Ok(Response::decode(&received.command, &keys.session.layout)?)
}

/// Proxy: the RFWD command that carries a client's PFWD over the proxy's own session with the relay. `own_corr` is the
/// correlation id that the proxy sends it with.
pub fn seal_forward(
    secret: &SharedSecret,
    own_corr: &CorrId,
    client_corr: &CorrId,
    version: u16,
    key: &X25519Public,
    sealed: &[u8],
) -> Result<Command, WireError> {
    let mut plain = Vec::with_capacity(sealed.len() + 128);
    put_short(&mut plain, client_corr.as_bytes())?;
    put_u16(&mut plain, version);
    put_short(&mut plain, &key.spki())?;
    plain.extend_from_slice(sealed);
    Ok(Command::Rfwd { sealed: boxes::seal(secret, &nonce_from_corr(own_corr), &plain) })
}

/// Proxy: the client's correlation id and the sealed answer inside a RRES.
pub fn open_forward_reply(
    secret: &SharedSecret,
    own_corr: &CorrId,
    sealed: &[u8],
) -> Result<(CorrId, Vec<u8>), ForwardError> {
    let nonce = reversed(nonce_from_corr(own_corr));
    let plain = boxes::open(secret, &nonce, sealed).map_err(|_| ForwardError::Decrypt)?;
    let mut reader = Reader::new(&plain);
    let corr = CorrId::new(reader.short()?)?;
    Ok((corr, reader.rest().to_vec()))
}

/// Relay: what a RFWD carries.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// The client's correlation id: the nonce of both client layers.
    pub corr: CorrId,
    /// The version that the client named.
    pub version: u16,
    /// The session for reading and answering the inner transmission.
    pub session: Session,
    /// The secret shared with the client.
    pub(super) secret: SharedSecret,
    /// The inner transmission, or the error that answers an inner content that can't be read.
    pub inner: Result<Received, SmpError>,
}

/// Relay: opens both layers of a RFWD. Errors are the outer answers (PX-15, PX-16, D52).
pub fn open_forward(
    session: &Session,
    session_secret: Option<&SharedSecret>,
    own_key: &X25519Secret,
    corr: &CorrId,
    sealed: &[u8],
) -> Result<Forwarded, SmpError> {
    let session_secret = session_secret
        .ok_or(SmpError::Proxy(ProxyError::Broker(BrokerError::Transport(TransportError::NoAuth))))?;
    let plain = boxes::open(session_secret, &nonce_from_corr(corr), sealed).map_err(|_| SmpError::Crypto)?;
    let (client_corr, version, key, sealed) =
        parse_forward(&plain).ok_or(SmpError::Command(CommandError::Syntax))?;
    let secret = own_key.dh(&key);
    let content =
        boxes::open_padded(&secret, &nonce_from_corr(&client_corr), sealed).map_err(|_| SmpError::Crypto)?;
    let session = inner_session(session.id.clone(), version);
    let inner = match unpack(&content).as_deref() {
        Ok([item]) => read_transmission(&session, item).map_err(|_| SmpError::Block),
        Ok(_) => return Err(SmpError::Block),
        Err(_) => Err(SmpError::Block),
    };
    Ok(Forwarded { corr: client_corr, version, session, secret, inner })
}

fn parse_forward(plain: &[u8]) -> Option<(CorrId, u16, X25519Public, &[u8])> {
    let mut reader = Reader::new(plain);
    let corr = CorrId::new(reader.short().ok()?).ok()?;
    let version = reader.u16().ok()?;
    let key = X25519Public::from_spki(reader.short().ok()?).ok()?;
    Some((corr, version, key, reader.rest()))
}

/// Relay: the RRES that answers a RFWD with `response`, in the inner transmission's correlation and entity ids.
pub fn seal_reply(
    forwarded: &Forwarded,
    session_secret: &SharedSecret,
    own_corr: &CorrId,
    inner_corr: CorrId,
    entity: EntityId,
    response: &Response,
) -> Result<Response, WireError> {
    let mut bytes = Vec::new();
    response.encode(&forwarded.session.layout, &mut bytes)?;
    let item = write_response(&forwarded.session, inner_corr, entity, bytes)?;
    let content = pack_one(&item).map_err(|_| WireError::TooLong)?;
    let nonce = reversed(nonce_from_corr(&forwarded.corr));
    let sealed = boxes::seal_padded(&forwarded.secret, &nonce, &content, FORWARD_SIZE)
        .map_err(|_| WireError::TooLong)?;
    let mut plain = Vec::with_capacity(sealed.len() + 32);
    put_short(&mut plain, forwarded.corr.as_bytes())?;
    plain.extend_from_slice(&sealed);
    let outer = reversed(nonce_from_corr(own_corr));
    Ok(Response::Rres { sealed: boxes::seal(session_secret, &outer, &plain) })
}
