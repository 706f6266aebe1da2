//! What a user's client keeps of keys, and what travels end to end under them.
//!
//! The envelopes and their sizes are the protocol's. What is inside is this engine's own short form, in place of the
//! agent's ratchet: nobody but the two ends sees it.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use sxlab_protocol::agent::{
    Address, CallNo, ContactNo, Content, Customer, GroupNo, Grouped, Rotation, RouterNo, Signal,
};
use sxlab_protocol::crypto::boxes::random_nonce;
use sxlab_protocol::crypto::keys::{
    AuthPublicKey, AuthSecretKey, KeyType, SharedSecret, X25519Public, X25519Secret,
};
use sxlab_protocol::smp::command::NewQueue;
use sxlab_protocol::smp::envelope::{ClientMessage, Envelope, MessageBody};
use sxlab_protocol::smp::response::QueueIds;
use sxlab_protocol::wire::{
    CLIENT_VERSIONS, EntityId, MsgId, QueueAddress, QueueMode, Reader, RouterAddress,
};

/// A user's keys.
pub(super) struct Vault {
    rng: ChaCha20Rng,
    /// By recipient id.
    inboxes: BTreeMap<EntityId, Inbox>,
    outboxes: BTreeMap<(RouterNo, EntityId), Outbox>,
    /// Queues of contacts as their addresses said.
    addresses: BTreeMap<(RouterNo, EntityId), QueueAddress>,
}

/// Keys of a queue that is being made.
pub(super) struct NewKeys {
    key: AuthSecretKey,
    dh: X25519Secret,
    end: X25519Secret,
}

impl NewKeys {
    /// Authorizes the command that makes the queue.
    pub(super) fn key(&self) -> AuthSecretKey {
        self.key.clone()
    }
}

/// A queue that the user receives on.
struct Inbox {
    /// From whom, and the sender id, once the agent said so.
    contact: Option<ContactNo>,
    sender: Option<EntityId>,
    /// The sender's key, if it came in a rotation.
    sender_key: Option<AuthPublicKey>,
    /// Authorizes the recipient's commands.
    key: AuthSecretKey,
    /// Between the user and the router.
    router_secret: SharedSecret,
    /// For the end-to-end layer: the user's key, and the secret once the sender's key came.
    end_key: X25519Secret,
    end_secret: Option<SharedSecret>,
}

/// A queue that the user sends to.
struct Outbox {
    /// Authorizes the sender's commands.
    key: AuthSecretKey,
    /// The end-to-end secret, and the key that tells the recipient about it.
    end_secret: SharedSecret,
    end_public: X25519Public,
}

/// What came out of a message.
pub(super) struct Opened {
    /// From whom.
    pub(super) contact: Option<ContactNo>,
    pub(super) content: Content,
    /// A message's text.
    pub(super) text: Vec<u8>,
}

impl Vault {
    pub(super) fn new(rng: ChaCha20Rng) -> Self {
        Self { rng, inboxes: BTreeMap::new(), outboxes: BTreeMap::new(), addresses: BTreeMap::new() }
    }

    /// The command that makes a queue, to receive from a contact on or for an address, and its keys.
    pub(super) fn new_queue(&mut self, address: bool) -> (NewQueue, NewKeys) {
        let keys = NewKeys {
            key: AuthSecretKey::generate(KeyType::Ed25519, &mut self.rng),
            dh: X25519Secret::generate(&mut self.rng),
            end: X25519Secret::generate(&mut self.rng),
        };
        let new = if address { NewQueue::contact } else { NewQueue::messaging };
        let new = new(keys.key.public(), keys.dh.public());
        (new, keys)
    }

    /// Keeps the keys of a queue that was made.
    pub(super) fn queue_made(&mut self, ids: &QueueIds, keys: NewKeys) {
        let inbox = Inbox {
            contact: None,
            sender: None,
            sender_key: None,
            key: keys.key,
            router_secret: keys.dh.dh(&ids.dh_key),
            end_key: keys.end,
            end_secret: None,
        };
        self.inboxes.insert(ids.recipient.clone(), inbox);
    }

    /// Whom the queue is to receive from; the address to give away.
    pub(super) fn assign(
        &mut self,
        recipient: &EntityId,
        contact: ContactNo,
        router: RouterAddress,
        sender: EntityId,
        mode: QueueMode,
    ) -> Option<QueueAddress> {
        let inbox = self.inboxes.get_mut(recipient)?;
        inbox.contact = Some(contact);
        inbox.sender = Some(sender.clone());
        Some(QueueAddress {
            router,
            sender_id: sender,
            versions: CLIENT_VERSIONS,
            dh_key: inbox.end_key.public(),
            mode: Some(mode),
        })
    }

    /// Authorizes commands on the user's own queue.
    pub(super) fn recipient_key(&self, recipient: &EntityId) -> Option<AuthSecretKey> {
        self.inboxes.get(recipient).map(|inbox| inbox.key.clone())
    }

    /// Learns a contact's queue.
    pub(super) fn learn(&mut self, router: RouterNo, address: QueueAddress) -> Address {
        let sender = address.sender_id.clone();
        self.addresses.insert((router, sender.clone()), address);
        Address { router, sender }
    }

    /// The key by which a sender wants the user's queue secured.
    pub(super) fn key_of_sender(&self, recipient: &EntityId) -> Option<AuthPublicKey> {
        self.inboxes.get(recipient).and_then(|inbox| inbox.sender_key)
    }

    /// A contact's queue as its address said.
    pub(super) fn learnt(&self, address: &Address) -> Option<QueueAddress> {
        self.addresses.get(&(address.router, address.sender.clone())).cloned()
    }

    /// The keys for a contact's queue, made when they are first asked for.
    fn outbox(&mut self, to: &Address) -> Option<&Outbox> {
        let place = (to.router, to.sender.clone());
        if !self.outboxes.contains_key(&place) {
            let address = self.addresses.get(&place)?;
            // Senders authorize with deniable authenticators (AU-4).
            let key = AuthSecretKey::generate(KeyType::X25519, &mut self.rng);
            let end = X25519Secret::generate(&mut self.rng);
            let outbox = Outbox { key, end_secret: end.dh(&address.dh_key), end_public: end.public() };
            self.outboxes.insert(place.clone(), outbox);
        }
        self.outboxes.get(&place)
    }

    /// Authorizes commands on a contact's queue.
    pub(super) fn sender_key(&mut self, to: &Address) -> Option<AuthSecretKey> {
        self.outbox(to).map(|outbox| outbox.key.clone())
    }

    /// The body of the SEND that carries this, with the queue's address or the text that belong to it.
    pub(super) fn seal(
        &mut self,
        to: &Address,
        content: &Content,
        reply: Option<&QueueAddress>,
        text: &[u8],
    ) -> Option<Vec<u8>> {
        let nonce = random_nonce(&mut self.rng);
        let rotation = match content {
            Content::Rotation(what) => Some(what.as_ref()),
            _ => None,
        };
        let keys = match rotation {
            Some(Rotation::Key(next)) => {
                let outbox = self.outbox(next)?;
                let mut keys = Vec::new();
                outbox.key.public().put(&mut keys);
                outbox.end_public.put(&mut keys);
                keys
            }
            _ => Vec::new(),
        };
        let outbox = self.outbox(to)?;
        let key = content.is_confirmation().then_some(outbox.end_public);
        let mut message = ClientMessage { sender_key: None, body: encode(content, reply, text)? };
        message.body.extend_from_slice(&keys);
        let envelope = Envelope::seal(CLIENT_VERSIONS.max, key, &outbox.end_secret, nonce, &message).ok()?;
        Some(envelope.encode())
    }

    /// What a delivered message carries; `Some(None)` for the marker of a full queue. The first one brings the sender's key.
    pub(super) fn open(
        &mut self,
        recipient: &EntityId,
        id: &MsgId,
        body: &[u8],
        router: impl Fn(&RouterAddress) -> Option<RouterNo>,
    ) -> Option<Option<Opened>> {
        let inbox = self.inboxes.get_mut(recipient)?;
        let body = match MessageBody::open(&inbox.router_secret, id, body).ok()? {
            MessageBody::Message { body, .. } => body,
            MessageBody::Quota { .. } => return Some(None),
        };
        let envelope = Envelope::decode(&body).ok()?;
        if let Some(key) = &envelope.key {
            inbox.end_secret = Some(inbox.end_key.dh(key));
        }
        let plain = envelope.open(inbox.end_secret.as_ref()?).ok()?.body;
        let contact = inbox.contact;
        let mut reader = Reader::new(&plain);
        let (content, text) = match reader.u8().ok()? {
            b'J' => {
                let address = QueueAddress::read(&mut reader).ok()?;
                let router = router(&address.router)?;
                (Content::Join(self.learn(router, address)), Vec::new())
            }
            b'B' => {
                let (group, contact) = (GroupNo(reader.u32().ok()?), ContactNo(reader.u32().ok()?));
                let address = QueueAddress::read(&mut reader).ok()?;
                let router = router(&address.router)?;
                let address = self.learn(router, address);
                (Content::Customer(Box::new(Customer { group, contact, address })), Vec::new())
            }
            b'A' => (Content::Accept, Vec::new()),
            b'M' => {
                let number = reader.u32().ok()?;
                let text = reader.rest().to_vec();
                let length = u32::try_from(text.len()).ok()?;
                (Content::Message { number, length }, text)
            }
            b'K' => {
                let tag = reader.u8().ok()?;
                let (number, call) = (reader.u32().ok()?, reader.u32().ok()?);
                let begun = u64::from(reader.u32().ok()?) << 32 | u64::from(reader.u32().ok()?);
                let what = Signal::of_parts(tag, begun)?;
                (Content::Call { number, call: CallNo(call), what }, Vec::new())
            }
            b'R' => (Content::Receipt(reader.u32().ok()?), Vec::new()),
            b'C' => (Content::Continue, Vec::new()),
            b'Q' => {
                let (tag, number) = (reader.u8().ok()?, reader.u32().ok()?);
                let address = match Rotation::has_address(tag) {
                    true => Some(QueueAddress::read(&mut reader).ok()?),
                    false => None,
                };
                let of = match &address {
                    Some(address) => {
                        Some(Address { router: router(&address.router)?, sender: address.sender_id.clone() })
                    }
                    None => None,
                };
                let what = Rotation::of_parts(tag, number, of)?;
                match (&what, address) {
                    (Rotation::Add(to), Some(address)) => drop(self.learn(to.router, address)),
                    (Rotation::Key(to), _) => {
                        let (key, end) =
                            (AuthPublicKey::read(&mut reader).ok()?, X25519Public::read(&mut reader).ok()?);
                        let mut inboxes = self.inboxes.values_mut();
                        let inbox = inboxes.find(|inbox| inbox.sender.as_ref() == Some(&to.sender))?;
                        inbox.sender_key = Some(key);
                        inbox.end_secret = Some(inbox.end_key.dh(&end));
                    }
                    _ => {}
                }
                (Content::Rotation(Box::new(what)), Vec::new())
            }
            b'G' => {
                let tag = reader.u8().ok()?;
                let numbers = [reader.u32().ok()?, reader.u32().ok()?, reader.u32().ok()?];
                let address = match Grouped::has_address(tag) {
                    true => {
                        let address = QueueAddress::read(&mut reader).ok()?;
                        let router = router(&address.router)?;
                        Some(self.learn(router, address))
                    }
                    false => None,
                };
                let what = Grouped::of_parts(tag, numbers, address)?;
                (Content::Group(Box::new(what)), reader.rest().to_vec())
            }
            _ => return None,
        };
        Some(Some(Opened { contact, content, text }))
    }
}

fn encode(content: &Content, reply: Option<&QueueAddress>, text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match content {
        Content::Join(_) => {
            out.push(b'J');
            reply?.put(&mut out).ok()?;
        }
        Content::Customer(who) => {
            out.push(b'B');
            out.extend_from_slice(&who.group.0.to_be_bytes());
            out.extend_from_slice(&who.contact.0.to_be_bytes());
            reply?.put(&mut out).ok()?;
        }
        Content::Accept => out.push(b'A'),
        Content::Message { number, .. } => {
            out.push(b'M');
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(text);
        }
        Content::Call { number, call, what } => {
            let (tag, begun) = what.parts();
            out.extend_from_slice(&[b'K', tag]);
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(&call.0.to_be_bytes());
            out.extend_from_slice(&begun.to_be_bytes());
        }
        Content::Receipt(number) => {
            out.push(b'R');
            out.extend_from_slice(&number.to_be_bytes());
        }
        Content::Continue => out.push(b'C'),
        Content::Rotation(what) => {
            let (tag, number, address) = what.parts();
            out.extend_from_slice(&[b'Q', tag]);
            out.extend_from_slice(&number.to_be_bytes());
            if address.is_some() {
                reply?.put(&mut out).ok()?;
            }
        }
        Content::Group(what) => {
            let (tag, numbers, address) = what.parts();
            out.extend_from_slice(&[b'G', tag]);
            for number in numbers {
                out.extend_from_slice(&number.to_be_bytes());
            }
            if address.is_some() {
                reply?.put(&mut out).ok()?;
            }
            out.extend_from_slice(text);
        }
    }
    Some(out)
}
