//! Queues: what a router keeps of them, and what survives its restart.
//!
//! A queue is found by its recipient id, its sender id, its notifier's id or its short link's id. Its messages wait in order; when the quota is reached the
//! first refused message leaves a quota marker, and the queue takes no more until it is empty (SN-5).

use std::collections::{BTreeMap, VecDeque};

use super::services::Services;
use crate::crypto::keys::{AuthPublicKey, SharedSecret};
use crate::smp::command::{LinkData, MsgFlags};
use crate::smp::error::BlockingInfo;
use crate::wire::{EntityId, LinkId, MsgId, QueueMode};

/// Every queue of a router.
#[derive(Clone, Debug, Default)]
pub struct QueueStore {
    pub(super) queues: BTreeMap<EntityId, Queue>,
    recipient_of: BTreeMap<EntityId, EntityId>,
    linked: BTreeMap<LinkId, EntityId>,
    pub(super) notified: BTreeMap<EntityId, EntityId>,
    /// Its methods are with it.
    pub(super) services: Services,
}

/// One queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Any of these authorizes a recipient command (AU-1).
    pub recipient_keys: Vec<AuthPublicKey>,
    /// X25519 of the recipient's and the router's queue keys: encrypts what is delivered.
    pub secret: SharedSecret,
    /// The sender id.
    pub sender: EntityId,
    /// The sender's key, once the queue is secured.
    pub sender_key: Option<AuthPublicKey>,
    /// Whether the sender may secure it; `None` for a queue of a client that did not say.
    pub mode: Option<QueueMode>,
    /// Whether it takes messages.
    pub status: Status,
    /// Its short link.
    link: Option<Box<Link>>,
    /// Its notifier.
    notifier: Option<Box<Notifier>>,
    /// The service that it belongs to.
    pub(super) service: Option<Box<EntityId>>,
    /// Waiting messages, oldest first.
    messages: VecDeque<Stored>,
    /// Whether the quota was reached and the queue not emptied since.
    full: bool,
}

/// Whether a queue takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Active,
    /// OFF suspended it (RC-35).
    Off,
    /// The router's operator blocked it (SN-7).
    Blocked(BlockingInfo),
}

/// A queue's short link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The entity of LKEY and LGET.
    pub id: LinkId,
    /// What it leads to.
    pub data: LinkData,
}

/// Who is told of a queue's messages without getting them.
#[derive(Clone, Debug)]
pub struct Notifier {
    /// The entity of NSUB.
    pub id: EntityId,
    /// Authorizes NSUB.
    pub key: AuthPublicKey,
    /// X25519 of the recipient's and the router's keys for notifications: encrypts their metadata.
    pub secret: SharedSecret,
    /// Notifications that wait, oldest first.
    pub waiting: VecDeque<Notification>,
    /// The service that it belongs to.
    pub service: Option<Box<EntityId>>,
}

/// A notification that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The message's id.
    pub message: MsgId,
    /// When the router took the message, in nanoseconds since the epoch.
    pub time: u64,
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id: random, and the nonce of its delivery.
    pub id: MsgId,
    /// When the router took it, in nanoseconds since the epoch.
    pub time: u64,
    /// What it is.
    pub content: Content,
}

/// What a stored message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A sender's message.
    Message {
        /// Its flags.
        flags: MsgFlags,
        /// The body as sent.
        body: Vec<u8>,
    },
    /// The marker that the queue was full.
    Quota,
}

/// What became of a message offered to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It is stored.
    Stored,
    /// The queue is full. The marker was stored now, or before.
    Full,
}

impl Queue {
    /// A new queue without messages.
    pub fn new(key: AuthPublicKey, secret: SharedSecret, sender: EntityId, mode: Option<QueueMode>) -> Self {
        Self {
            recipient_keys: vec![key],
            secret,
            sender,
            sender_key: None,
            mode,
            status: Status::Active,
            link: None,
            notifier: None,
            service: None,
            messages: VecDeque::new(),
            full: false,
        }
    }

    /// The same with a short link.
    #[must_use]
    pub fn with_link(self, link: Option<Link>) -> Self {
        Self { link: link.map(Box::new), ..self }
    }

    /// The same with a notifier.
    #[must_use]
    pub fn with_notifier(self, notifier: Option<Notifier>) -> Self {
        Self { notifier: notifier.map(Box::new), ..self }
    }

    /// Its notifier.
    pub fn notifier(&self) -> Option<&Notifier> {
        self.notifier.as_deref()
    }

    /// Its notifier, whose id must stay.
    pub(super) fn notifier_mut(&mut self) -> Option<&mut Notifier> {
        self.notifier.as_deref_mut()
    }

    /// Its short link.
    pub fn link(&self) -> Option<&Link> {
        self.link.as_deref()
    }

    /// Secures it for the sender with this key. `false` if it is secured with another one.
    pub fn secure(&mut self, key: AuthPublicKey) -> bool {
        *self.sender_key.get_or_insert(key) == key
    }

    /// The oldest waiting message.
    pub fn first(&self) -> Option<&Stored> {
        self.messages.front()
    }

    /// How many messages wait, a quota marker included.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Removes the oldest message if it has this id. An empty id is no message's.
    pub fn remove(&mut self, id: &MsgId) {
        if self.messages.front().is_some_and(|first| first.id == *id) {
            self.messages.pop_front();
        }
    }

    /// Removes messages older than `ttl` nanoseconds. A quota marker stays until it is acknowledged (SN-15).
    pub fn expire(&mut self, ttl: u64, now: u64) {
        let expired = |message: &Stored| {
            matches!(message.content, Content::Message { .. }) && message.time.saturating_add(ttl) < now
        };
        while self.messages.front().is_some_and(expired) {
            self.messages.pop_front();
        }
    }

    /// Stores a message unless `quota` messages wait already, or did and the queue was not emptied since.
    pub fn offer(&mut self, message: Stored, quota: usize) -> Offered {
        if self.full && self.messages.is_empty() {
            self.full = false;
        }
        if self.full {
            return Offered::Full;
        }
        if self.messages.len() >= quota {
            self.full = true;
            self.messages.push_back(Stored { content: Content::Quota, ..message });
            return Offered::Full;
        }
        self.messages.push_back(message);
        Offered::Stored
    }
}

impl QueueStore {
    /// Adds a queue. `false` if one of the ids is taken.
    pub fn insert(&mut self, recipient: EntityId, queue: Queue) -> bool {
        let link_taken = queue.link().is_some_and(|link| self.has_link(&link.id));
        let notifier_taken = queue.notifier().is_some_and(|notifier| self.has_notifier(&notifier.id));
        let id_taken = self.has(&recipient) || self.has(&queue.sender) || recipient == queue.sender;
        if id_taken || link_taken || notifier_taken {
            return false;
        }
        if let Some(notifier) = queue.notifier() {
            self.notified.insert(notifier.id.clone(), recipient.clone());
            self.services.joined(notifier.service(), &notifier.id);
        }
        self.services.joined(queue.service(), &recipient);
        if let Some(link) = queue.link() {
            self.linked.insert(link.id.clone(), recipient.clone());
        }
        self.recipient_of.insert(queue.sender.clone(), recipient.clone());
        self.queues.insert(recipient, queue);
        true
    }

    /// Whether this is a recipient or sender id of a queue.
    pub fn has(&self, id: &EntityId) -> bool {
        self.queues.contains_key(id) || self.recipient_of.contains_key(id)
    }

    /// Whether this is a notifier's id.
    pub fn has_notifier(&self, id: &EntityId) -> bool {
        self.notified.contains_key(id)
    }

    /// Whether this is a short link's id.
    pub fn has_link(&self, id: &LinkId) -> bool {
        self.linked.contains_key(id)
    }

    /// The queue of a recipient id.
    pub fn by_recipient(&mut self, recipient: &EntityId) -> Option<&mut Queue> {
        self.queues.get_mut(recipient)
    }

    /// The queue of a sender id, and its recipient id.
    pub fn by_sender(&mut self, sender: &EntityId) -> Option<(&EntityId, &mut Queue)> {
        let recipient = self.recipient_of.get(sender)?;
        Some((recipient, self.queues.get_mut(recipient)?))
    }

    /// The queue of a short link's id.
    pub fn by_link(&mut self, link: &LinkId) -> Option<&mut Queue> {
        self.queues.get_mut(self.linked.get(link)?)
    }

    /// The queue of a notifier's id.
    pub fn by_notifier(&mut self, notifier: &EntityId) -> Option<&mut Queue> {
        self.queues.get_mut(self.notified.get(notifier)?)
    }

    /// Gives a queue another notifier, or none, and returns the one that it had. The id must be nobody's yet.
    pub fn replace_notifier(&mut self, recipient: &EntityId, notifier: Option<Notifier>) -> Option<Notifier> {
        let queue = self.queues.get_mut(recipient)?;
        if let Some(notifier) = &notifier {
            self.notified.insert(notifier.id.clone(), recipient.clone());
            self.services.joined(notifier.service(), &notifier.id);
        }
        let before = std::mem::replace(&mut queue.notifier, notifier.map(Box::new))?;
        self.notified.remove(&before.id);
        self.services.left(before.service(), &before.id);
        Some(*before)
    }

    /// Gives a queue a short link, or changes what it leads to. `false` if there is no such queue, it has a link with
    /// another id or other fixed data, or another queue has this id (RC-24).
    pub fn set_link(&mut self, recipient: &EntityId, id: LinkId, data: LinkData) -> bool {
        let Some(queue) = self.queues.get_mut(recipient) else { return false };
        let fits = match &queue.link {
            Some(link) => link.id == id && link.data.fixed == data.fixed,
            None => !self.linked.contains_key(&id),
        };
        if fits {
            self.linked.insert(id.clone(), recipient.clone());
            queue.link = Some(Box::new(Link { id, data }));
        }
        fits
    }

    /// Takes a queue's short link away, if it has one.
    pub fn delete_link(&mut self, recipient: &EntityId) {
        let link = self.queues.get_mut(recipient).and_then(|queue| queue.link.take());
        if let Some(link) = link {
            self.linked.remove(&link.id);
        }
    }

    /// Every queue.
    pub(super) fn queues_mut(&mut self) -> impl Iterator<Item = &mut Queue> {
        self.queues.values_mut()
    }

    /// Forgets a queue with its messages, link and notifier. `false` if there is none.
    pub fn delete(&mut self, recipient: &EntityId) -> bool {
        self.replace_notifier(recipient, None);
        self.delete_link(recipient);
        let queue = self.queues.remove(recipient);
        self.services.left(queue.as_ref().and_then(Queue::service), recipient);
        queue.is_some_and(|queue| self.recipient_of.remove(&queue.sender).is_some())
    }

    /// How many queues there are.
    pub fn len(&self) -> usize {
        self.queues.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// How many messages wait in all queues.
    pub fn waiting(&self) -> usize {
        self.queues.values().map(Queue::len).sum()
    }
}
