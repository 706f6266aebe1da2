//! One side of a conversation: the queue that it receives on, the queue that it sends to, and what travels between.
//!
//! Set-up is the fast duplex flow: the inviter makes a queue and gives its address away outside of the network; the joiner
//! secures it, makes the reply queue and sends the reply queue's address in a confirmation; the inviter secures the reply
//! queue and confirms. Then both sides send.
//!
//! The envelopes and their sizes are the protocol's. What is inside is this engine's own short form, in place of the
//! agent's ratchet: nobody but the two ends sees it.

use std::cell::{Cell, RefCell};

use rand_core::CryptoRng;
use sxlab_protocol::crypto::boxes::random_nonce;
use sxlab_protocol::crypto::keys::{AuthSecretKey, SharedSecret, X25519Public, X25519Secret};
use sxlab_protocol::smp::envelope::{ClientMessage, Envelope};
use sxlab_protocol::wire::{CLIENT_VERSIONS, EntityId, QueueAddress, Reader};

use crate::network::RouterIdx;
use crate::population::Conversation;

/// A side of a conversation.
pub(super) struct Side {
    pub(super) conversation: Conversation,
    /// Whether this side invited.
    pub(super) is_a: bool,
    /// Where this side sends to, once it knows.
    pub(super) outbox: RefCell<Option<Outbox>>,
    /// The number of the next message that is due from the other side.
    pub(super) due: Cell<u32>,
    /// Whether this side has confirmed, or been confirmed.
    pub(super) confirmed: Cell<bool>,
}

/// The queue that a side receives on.
pub(super) struct Inbox {
    pub(super) recipient: EntityId,
    /// Authorizes the recipient's commands.
    pub(super) key: AuthSecretKey,
    /// Between this side and the router.
    pub(super) router_secret: SharedSecret,
    /// For the end-to-end layer: this side's key, and the secret once the sender's key came.
    pub(super) end_key: X25519Secret,
    pub(super) end_secret: RefCell<Option<SharedSecret>>,
}

/// The queue that a side sends to.
#[derive(Clone)]
pub(super) struct Outbox {
    pub(super) router: RouterIdx,
    pub(super) sender: EntityId,
    /// Authorizes the sender's commands.
    pub(super) key: AuthSecretKey,
    /// The end-to-end secret, and the key that tells the recipient about it.
    pub(super) end_secret: SharedSecret,
    pub(super) end_public: X25519Public,
}

/// What travels end to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The joiner's confirmation, with the address of the reply queue.
    Join(Box<QueueAddress>),
    /// The inviter's confirmation.
    Accept,
    /// A message: its number and body.
    Message(u32, Vec<u8>),
}

impl Content {
    fn encode(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Self::Join(address) => {
                out.push(b'J');
                address.put(&mut out).ok()?;
            }
            Self::Accept => out.push(b'A'),
            Self::Message(number, body) => {
                out.push(b'M');
                out.extend_from_slice(&number.to_be_bytes());
                out.extend_from_slice(body);
            }
        }
        Some(out)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        match reader.u8().ok()? {
            b'J' => Some(Self::Join(Box::new(QueueAddress::read(&mut reader).ok()?))),
            b'A' => reader.is_empty().then_some(Self::Accept),
            b'M' => {
                let number = reader.u32().ok()?;
                Some(Self::Message(number, reader.rest().to_vec()))
            }
            _ => None,
        }
    }

    /// The body of the SEND that carries this to `outbox`.
    pub(super) fn seal(&self, outbox: &Outbox, rng: &mut impl CryptoRng) -> Option<Vec<u8>> {
        let key = (!matches!(self, Self::Message(..))).then_some(outbox.end_public);
        let message = ClientMessage { sender_key: None, body: self.encode()? };
        let nonce = random_nonce(rng);
        let envelope = Envelope::seal(CLIENT_VERSIONS.max, key, &outbox.end_secret, nonce, &message).ok()?;
        Some(envelope.encode())
    }

    /// What a received SEND body carries. The first one brings the sender's key.
    pub(super) fn open(inbox: &Inbox, body: &[u8]) -> Option<Self> {
        let envelope = Envelope::decode(body).ok()?;
        if let Some(key) = &envelope.key {
            *inbox.end_secret.borrow_mut() = Some(inbox.end_key.dh(key));
        }
        let secret = inbox.end_secret.borrow();
        Self::decode(&envelope.open(secret.as_ref()?).ok()?.body)
    }
}
