//! Transmissions: authorization, correlation id, entity id and command (TR-27), and the text that is authorized (TR-28).
//!
//! The signed text is `session id ‖ correlation id ‖ entity id ‖ command`, each id with its length byte; the session id
//! is part of it although from version 7 on it does not travel. From version 16 on, every non-empty authorization is
//! followed by an optional service signature (D10).

use thiserror::Error;

use crate::crypto::authenticator;
use crate::crypto::boxes::nonce_from_corr;
use crate::crypto::keys::{
    AuthPublicKey, AuthSecretKey, Ed25519Secret, SharedSecret, X25519Public, X25519Secret,
};
use crate::smp::version::Layout;
use crate::wire::{CorrId, EntityId, Reader, WireError, put_opt, put_short};

/// What of a protocol's version decides how its transmissions are written.
pub trait Framing {
    /// Whether transmissions carry the session id, not just their authorization (TR-29).
    fn session_id_on_wire(&self) -> bool;

    /// Whether non-empty authorization is followed by an optional service signature (D10).
    fn service_signature(&self) -> bool;
}

impl Framing for Layout {
    fn session_id_on_wire(&self) -> bool {
        self.session_id_on_wire
    }

    fn service_signature(&self) -> bool {
        self.service_signature
    }
}

/// What transmissions of one session have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session<L = Layout> {
    /// The session id: tls-unique of the TLS connection.
    pub id: Vec<u8>,
    /// The layouts of the agreed version.
    pub layout: L,
}

/// How a transmission is authorized; told apart by length alone (TR-33).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// Not at all.
    None,
    /// An Ed25519 signature.
    Ed25519([u8; 64]),
    /// An Ed448 signature.
    Ed448([u8; 114]),
    /// A deniable authenticator made with X25519 keys (AU-3).
    Authenticator([u8; 80]),
}

impl Authorization {
    /// Whether the transmission carries none.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The bytes as they travel.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Ed25519(bytes) => bytes,
            Self::Ed448(bytes) => bytes,
            Self::Authenticator(bytes) => bytes,
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.len() {
            0 => Some(Self::None),
            64 => bytes.try_into().ok().map(Self::Ed25519),
            80 => bytes.try_into().ok().map(Self::Authenticator),
            114 => bytes.try_into().ok().map(Self::Ed448),
            _ => None,
        }
    }

    /// Whether this authorizes `text` under `key`. A router gives its session secret and the correlation id for
    /// authenticators; a key of another type than the authorization never verifies.
    pub fn verifies(&self, key: &AuthPublicKey, text: &[u8], corr: &CorrId, own: &X25519Secret) -> bool {
        match (self, key) {
            (Self::Ed25519(signature), AuthPublicKey::Ed25519(key)) => key.verify(text, signature),
            (Self::Ed448(signature), AuthPublicKey::Ed448(key)) => key.verify(text, signature),
            (Self::Authenticator(_), AuthPublicKey::X25519(key)) => {
                self.verifies_with(&own.dh(key), text, corr)
            }
            _ => false,
        }
    }

    /// Whether this is the authenticator of `text` under a secret that is known already.
    pub fn verifies_with(&self, secret: &SharedSecret, text: &[u8], corr: &CorrId) -> bool {
        match self {
            Self::Authenticator(tag) => authenticator::verify(secret, &nonce_from_corr(corr), text, tag),
            _ => false,
        }
    }
}

/// A transmission before it is authorized: ids and the encoded command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    /// The correlation id.
    pub corr: CorrId,
    /// The entity id.
    pub entity: EntityId,
    /// The command, encoded for the session's version.
    pub command: Vec<u8>,
}

impl Unsigned {
    /// The bytes that travel after the authorization.
    fn tail(&self, session: &Session<impl Framing>) -> Result<Vec<u8>, WireError> {
        let mut out = Vec::with_capacity(self.command.len() + 96);
        if session.layout.session_id_on_wire() {
            put_short(&mut out, &session.id)?;
        }
        put_short(&mut out, self.corr.as_bytes())?;
        put_short(&mut out, self.entity.as_bytes())?;
        out.extend_from_slice(&self.command);
        Ok(out)
    }

    /// The text that is signed.
    fn text(&self, session: &Session<impl Framing>, tail: &[u8]) -> Result<Vec<u8>, WireError> {
        if session.layout.session_id_on_wire() {
            return Ok(tail.to_vec());
        }
        let mut out = Vec::with_capacity(tail.len() + 33);
        put_short(&mut out, &session.id)?;
        out.extend_from_slice(tail);
        Ok(out)
    }
}

/// Why a client could not write a transmission.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TransmissionError {
    /// A field is too long.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// An X25519 key needs the router's session key, which a router below version 7 does not send (AU-5).
    #[error("the router gave no key to make an authenticator with")]
    NoRouterKey,
}

/// The transmission as it stands in a batch, authorized with `key` if there is one. `router_key` is the router's
/// session key, for authenticators.
pub fn authorize(
    session: &Session<impl Framing>,
    unsigned: &Unsigned,
    key: Option<&AuthSecretKey>,
    router_key: Option<&X25519Public>,
) -> Result<Vec<u8>, TransmissionError> {
    authorize_by_service(session, unsigned, key, router_key, None)
}

/// What a service signs with in one session.
#[derive(Clone, Debug)]
pub struct ServiceSigner {
    /// SHA-256 of the service's identity certificate.
    pub fingerprint: [u8; 32],
    /// Its session key.
    pub key: Ed25519Secret,
}

/// What the queue's key authorizes where a service signs too: the hash of the service's certificate goes before, so that
/// the authorization cannot be used by anybody else (SV-8, D23).
#[must_use]
pub fn text_for_service(fingerprint: &[u8; 32], text: &[u8]) -> Vec<u8> {
    [fingerprint.as_slice(), text].concat()
}

/// The same as [`authorize`], and signed by a service as well if there is one (SV-7). Its signature goes with another
/// authorization only, and from version 16 on.
pub fn authorize_by_service(
    session: &Session<impl Framing>,
    unsigned: &Unsigned,
    key: Option<&AuthSecretKey>,
    router_key: Option<&X25519Public>,
    service: Option<&ServiceSigner>,
) -> Result<Vec<u8>, TransmissionError> {
    let tail = unsigned.tail(session)?;
    let service = service.filter(|_| session.layout.service_signature());
    let mut service_signature = None;
    let authorization = match key {
        None => Authorization::None,
        Some(key) => {
            let mut text = unsigned.text(session, &tail)?;
            if let Some(service) = service {
                service_signature = Some(service.key.sign(&text));
                text = text_for_service(&service.fingerprint, &text);
            }
            match key {
                AuthSecretKey::Ed25519(key) => Authorization::Ed25519(key.sign(&text)),
                AuthSecretKey::Ed448(key) => Authorization::Ed448(key.sign(&text)),
                AuthSecretKey::X25519(key) => {
                    let router_key = router_key.ok_or(TransmissionError::NoRouterKey)?;
                    let nonce = nonce_from_corr(&unsigned.corr);
                    Authorization::Authenticator(authenticator::make(&key.dh(router_key), &nonce, &text))
                }
            }
        }
    };
    let mut out = Vec::with_capacity(tail.len() + 185);
    put_short(&mut out, authorization.as_bytes())?;
    if session.layout.service_signature() && !authorization.is_none() {
        put_opt(&mut out, service_signature, |out, signature| put_short(out, &signature))?;
    }
    out.extend_from_slice(&tail);
    Ok(out)
}

/// A router's transmission: never authorized (D63).
pub fn write_response(
    session: &Session<impl Framing>,
    corr: CorrId,
    entity: EntityId,
    command: Vec<u8>,
) -> Result<Vec<u8>, WireError> {
    let mut out = response_head(session, &corr, &entity, command.len())?;
    out.extend_from_slice(&command);
    Ok(out)
}

/// A router's transmission as far as the command, which is to follow and will have some `room` bytes.
pub(crate) fn response_head(
    session: &Session<impl Framing>,
    corr: &CorrId,
    entity: &EntityId,
    room: usize,
) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::with_capacity(room + 96);
    out.push(0);
    if session.layout.session_id_on_wire() {
        put_short(&mut out, &session.id)?;
    }
    corr.put(&mut out);
    entity.put(&mut out);
    Ok(out)
}

/// A transmission as received, its command not parsed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its authorization; `None` where the length is none of 0, 64, 80 and 114 bytes.
    pub authorization: Option<Authorization>,
    /// The service signature, where there is one.
    pub service_signature: Option<[u8; 64]>,
    /// Whether the session id inside is the session's (always true where it does not travel).
    pub right_session: bool,
    /// The correlation id.
    pub corr: CorrId,
    /// The entity id.
    pub entity: EntityId,
    /// The command's bytes.
    pub command: Vec<u8>,
    /// The text that the authorization covers, over the bytes as received (AU-15).
    pub text: Vec<u8>,
}

/// Reads one item of a batch.
pub fn read_transmission(session: &Session<impl Framing>, item: &[u8]) -> Result<Received, WireError> {
    let mut reader = Reader::new(item);
    let authorization = reader.short()?;
    let service_signature = if session.layout.service_signature() && !authorization.is_empty() {
        reader.opt(|r| <[u8; 64]>::try_from(r.short()?).map_err(|_| WireError::BadLength))?
    } else {
        None
    };
    let tail = reader.remaining();
    let (right_session, text) = if session.layout.session_id_on_wire() {
        (reader.short()? == session.id, tail.to_vec())
    } else {
        let mut text = Vec::with_capacity(tail.len() + 33);
        put_short(&mut text, &session.id)?;
        text.extend_from_slice(tail);
        (true, text)
    };
    Ok(Received {
        authorization: Authorization::from_bytes(authorization),
        service_signature,
        right_session,
        corr: CorrId::new(reader.short()?)?,
        entity: EntityId::new(reader.short()?)?,
        command: reader.rest().to_vec(),
        text,
    })
}
