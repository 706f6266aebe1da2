//! What is inside a message: the sender's envelope, which the router can't open; the router's body around
//! it; notification metadata.
//!
//! ```text
//! SEND body   version opt(key) nonce box(pad(ClientMessage))    secret: sender and recipient   Envelope
//! MSG body    box(pad(time flags ' ' SEND body))                secret: router and recipient   MessageBody
//! NMSG meta   box(pad(message id, time))                        secret: router and recipient   NotificationMeta
//! ```

use super::command::MsgFlags;
use crate::crypto::boxes::{Nonce, nonce_from_msg, open_padded, seal_padded};
use crate::crypto::keys::{AuthPublicKey, X25519Public};
use crate::crypto::{CryptoError, SharedSecret};
use crate::wire::{CLIENT_VERSIONS, MsgId, Reader, WireError, put_i64, put_opt, put_u16};

/// What a message's content is padded to, in bytes (SN-13).
pub const MESSAGE_SIZE: usize = 16000;
/// What the content of a confirmation, which has a key in its envelope, is padded to, in bytes.
pub const CONFIRMATION_SIZE: usize = 15904;
/// What a body between router and recipient is padded to, in bytes, at every version (D14).
pub const BODY_SIZE: usize = 16106;
/// What notification metadata is padded to, in bytes (SN-18).
pub const NOTIFICATION_SIZE: usize = 128;

/// What a sender gives to SEND (SN-13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The agreed version of the protocol between sender and recipient: 1 to 4.
    pub version: u16,
    /// The sender's key; in the first message only.
    pub key: Option<X25519Public>,
    /// The box's nonce.
    pub nonce: Nonce,
    /// The box over the padded [`ClientMessage`].
    pub sealed: Vec<u8>,
}

impl Envelope {
    /// Encrypts a message. `secret` is between the sender's key, which goes into the first message, and the
    /// key in the queue's address.
    ///
    /// # Errors
    /// [`CryptoError::Padding`] if the body does not fit.
    pub fn seal(
        version: u16,
        key: Option<X25519Public>,
        secret: &SharedSecret,
        nonce: Nonce,
        message: &ClientMessage,
    ) -> Result<Self, CryptoError> {
        let size = if key.is_some() { CONFIRMATION_SIZE } else { MESSAGE_SIZE };
        let sealed = seal_padded(secret, &nonce, &message.encode(), size)?;
        Ok(Envelope { version, key, nonce, sealed })
    }

    /// Decrypts the message.
    ///
    /// # Errors
    /// [`CryptoError`] if the box does not open or its content does not parse.
    pub fn open(&self, secret: &SharedSecret) -> Result<ClientMessage, CryptoError> {
        let plain = open_padded(secret, &self.nonce, &self.sealed)?;
        Ok(ClientMessage::decode(&plain)?)
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.sealed.len() + 72);
        put_u16(&mut out, self.version);
        // Never fails: nothing inside has a limit.
        let _ = put_opt(&mut out, self.key, |out, key| {
            key.put(out);
            Ok(())
        });
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&self.sealed);
        out
    }

    /// Reads all bytes.
    ///
    /// # Errors
    /// [`WireError::BadVersion`] for a version that this code does not speak, [`WireError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let version = r.u16()?;
        if !CLIENT_VERSIONS.contains(version) {
            return Err(WireError::BadVersion);
        }
        let key = r.opt(X25519Public::read)?;
        Ok(Envelope { version, key, nonce: r.array()?, sealed: r.rest().to_vec() })
    }
}

/// What is inside an envelope (SN-14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMessage {
    /// The key with which the recipient should secure the queue, in confirmations of senders that don't
    /// secure it themselves.
    pub sender_key: Option<AuthPublicKey>,
    /// What the applications exchange.
    pub body: Vec<u8>,
}

impl ClientMessage {
    /// The bytes: `_`, or `K` and the key; then the body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 72);
        match &self.sender_key {
            None => out.push(b'_'),
            Some(key) => {
                out.push(b'K');
                key.put(&mut out);
            }
        }
        out.extend_from_slice(&self.body);
        out
    }

    /// Reads all bytes.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let sender_key = match r.u8()? {
            b'_' => None,
            b'K' => Some(AuthPublicKey::read(&mut r)?),
            _ => return Err(WireError::BadTag),
        };
        Ok(ClientMessage { sender_key, body: r.rest().to_vec() })
    }
}

/// What MSG brings, decrypted (SN-10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageBody {
    /// A message.
    Message {
        /// When the router got it, in seconds since 1970.
        time: i64,
        /// The sender's flags.
        flags: MsgFlags,
        /// SEND's body.
        body: Vec<u8>,
    },
    /// The queue was full: the sender could send no more (SN-5).
    Quota {
        /// When, in seconds since 1970.
        time: i64,
    },
}

impl MessageBody {
    /// Encrypts for MSG: always 16,122 bytes. `secret` is between the router and the recipient.
    ///
    /// # Errors
    /// [`CryptoError::Padding`] if the body does not fit.
    pub fn seal(&self, secret: &SharedSecret, id: &MsgId) -> Result<Vec<u8>, CryptoError> {
        seal_padded(secret, &nonce_from_msg(id), &self.encode(), BODY_SIZE)
    }

    /// Decrypts what came in MSG.
    ///
    /// # Errors
    /// [`CryptoError`] if the box does not open or its content does not parse.
    pub fn open(secret: &SharedSecret, id: &MsgId, sealed: &[u8]) -> Result<Self, CryptoError> {
        let plain = open_padded(secret, &nonce_from_msg(id), sealed)?;
        Ok(MessageBody::decode(&plain)?)
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            MessageBody::Message { time, flags, body } => {
                put_i64(&mut out, *time);
                flags.put(&mut out);
                out.push(b' ');
                out.extend_from_slice(body);
            }
            MessageBody::Quota { time } => {
                out.extend_from_slice(b"QUOTA ");
                put_i64(&mut out, *time);
            }
        }
        out
    }

    /// Reads all bytes.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        // As a time these six letters would be later than the year 10¹⁰.
        if r.tag(b"QUOTA ").is_ok() {
            let time = r.i64()?;
            r.end()?;
            return Ok(MessageBody::Quota { time });
        }
        let (time, flags) = (r.i64()?, MsgFlags::read(&mut r)?);
        r.byte(b' ')?;
        Ok(MessageBody::Message { time, flags, body: r.rest().to_vec() })
    }
}

/// What NMSG brings, decrypted (SN-18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationMeta {
    /// The message's id.
    pub id: MsgId,
    /// When the router got the message, in seconds since 1970.
    pub time: i64,
}

impl NotificationMeta {
    /// Encrypts for NMSG: always 144 bytes. `secret` is between the router and the key of NKEY.
    ///
    /// # Errors
    /// [`CryptoError::Padding`] if the id is longer than a router's.
    pub fn seal(&self, secret: &SharedSecret, nonce: &Nonce) -> Result<Vec<u8>, CryptoError> {
        seal_padded(secret, nonce, &self.encode(), NOTIFICATION_SIZE)
    }

    /// Decrypts what came in NMSG.
    ///
    /// # Errors
    /// [`CryptoError`] if the box does not open or its content does not parse.
    pub fn open(secret: &SharedSecret, nonce: &Nonce, sealed: &[u8]) -> Result<Self, CryptoError> {
        Ok(NotificationMeta::decode(&open_padded(secret, nonce, sealed)?)?)
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.id.put(&mut out);
        put_i64(&mut out, self.time);
        out
    }

    /// Reads the bytes; a tail is ignored (ENC-12).
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        Ok(NotificationMeta { id: MsgId::read(&mut r)?, time: r.i64()? })
    }
}
