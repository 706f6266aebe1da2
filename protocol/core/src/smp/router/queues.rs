//! Queues: what a router keeps of them, and what survives its restart.
//!
//! A queue is found by its recipient id or its sender id. Its messages wait in order; when the quota is reached the
//! first refused message leaves a quota marker, and the queue takes no more until it is empty (SN-5).

use std::collections::{BTreeMap, VecDeque};

use crate::crypto::keys::{AuthPublicKey, SharedSecret};
use crate::smp::command::MsgFlags;
use crate::wire::{EntityId, MsgId, QueueMode};

/// Every queue of a router.
#[derive(Clone, Debug, Default)]
pub struct QueueStore {
    queues: BTreeMap<EntityId, Queue>,
    recipient_of: BTreeMap<EntityId, EntityId>,
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
    /// Whether OFF suspended it.
    pub suspended: bool,
    /// Waiting messages, oldest first.
    messages: VecDeque<Stored>,
    /// Whether the quota was reached and the queue not emptied since.
    full: bool,
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its id: random, and the nonce of its delivery.
    pub id: MsgId,
    /// When the router took it, in seconds since the epoch.
    pub time: i64,
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
            suspended: false,
            messages: VecDeque::new(),
            full: false,
        }
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
        let taken = |id: &EntityId| self.queues.contains_key(id) || self.recipient_of.contains_key(id);
        if taken(&recipient) || taken(&queue.sender) || recipient == queue.sender {
            return false;
        }
        self.recipient_of.insert(queue.sender.clone(), recipient.clone());
        self.queues.insert(recipient, queue);
        true
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

    /// Forgets a queue and its messages. `false` if there is none.
    pub fn delete(&mut self, recipient: &EntityId) -> bool {
        let queue = self.queues.remove(recipient);
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
