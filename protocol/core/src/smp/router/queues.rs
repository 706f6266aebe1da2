//! Queues: what a router keeps of each.
//!
//! A queue's messages wait in order; when the quota is reached the first refused message leaves a quota marker, and the queue
//! takes no more until it is empty (SN-5). [`super::QueueStore`] holds the queues and is the only one to change them.

use std::collections::VecDeque;

use super::records::QueueRecord;
use crate::crypto::keys::{AuthPublicKey, SharedSecret};
use crate::smp::command::{LinkData, MsgFlags};
use crate::smp::error::BlockingInfo;
use crate::wire::{EntityId, LinkId, MsgId, QueueMode};

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
    pub(super) link: Option<Box<Link>>,
    /// Its notifier.
    pub(super) notifier: Option<Box<Notifier>>,
    /// The service that it belongs to.
    pub(super) service: Option<Box<EntityId>>,
    /// Waiting messages.
    pub(super) messages: Line<Stored>,
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
    /// Notifications that wait.
    pub waiting: Line<Notification>,
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

/// Items that wait in order: they come at the end and leave at the front. Each has a number, one more than the item before:
/// with it a record of an item is found again.
#[derive(Clone, Debug)]
pub struct Line<T> {
    items: VecDeque<T>,
    /// The number of the first item, or of the next if there is none.
    first: u64,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), first: 0 }
    }
}

impl<T> Line<T> {
    /// How many items wait.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The item that waits for the longest time.
    pub fn first(&self) -> Option<&T> {
        self.items.front()
    }

    /// The item that came last.
    pub fn last(&self) -> Option<&T> {
        self.items.back()
    }

    /// The number of the next item.
    pub(super) fn next(&self) -> u64 {
        self.first.wrapping_add(u64::try_from(self.items.len()).unwrap_or(u64::MAX))
    }

    /// The items with their numbers.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u64, &T)> {
        let first = self.first;
        (0..).zip(&self.items).map(move |(index, item)| (first.wrapping_add(index), item))
    }

    /// Adds an item; its number.
    pub(super) fn push(&mut self, item: T) -> u64 {
        let number = self.next();
        self.items.push_back(item);
        number
    }

    /// Adds an item that had this number before a restart. `false` if it does not follow the one before.
    pub(super) fn restore(&mut self, number: u64, item: T) -> bool {
        if self.items.is_empty() {
            self.first = number;
        }
        let follows = number == self.next();
        if follows {
            self.items.push_back(item);
        }
        follows
    }

    /// Removes the first item; its number too.
    pub(super) fn pop(&mut self) -> Option<(u64, T)> {
        let item = self.items.pop_front()?;
        let number = self.first;
        self.first = self.first.wrapping_add(1);
        if self.items.is_empty() {
            // Most queues are empty most of the time: their memory is not kept for them.
            self.items = VecDeque::new();
        }
        Some((number, item))
    }
}

impl Queue {
    /// A new queue without messages.
    pub fn new(key: AuthPublicKey, secret: SharedSecret, sender: EntityId, mode: Option<QueueMode>) -> Self {
        QueueRecord {
            recipient_keys: vec![key],
            secret,
            sender,
            sender_key: None,
            mode,
            status: Status::Active,
            service: None,
        }
        .into()
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

    /// Its short link.
    pub fn link(&self) -> Option<&Link> {
        self.link.as_deref()
    }

    /// The oldest waiting message.
    pub fn first(&self) -> Option<&Stored> {
        self.messages.first()
    }

    /// How many messages wait, a quota marker included.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether the quota was reached and the queue not emptied since. Nothing comes after a quota marker, and nothing but its
    /// ACK removes it.
    pub(super) fn is_full(&self) -> bool {
        self.messages.last().is_some_and(|message| message.content == Content::Quota)
    }
}

impl From<QueueRecord> for Queue {
    /// A queue without messages, link and notifier.
    fn from(record: QueueRecord) -> Self {
        let QueueRecord { recipient_keys, secret, sender, sender_key, mode, status, service } = record;
        Self {
            recipient_keys,
            secret,
            sender,
            sender_key,
            mode,
            status,
            link: None,
            notifier: None,
            service: service.map(Box::new),
            messages: Line::default(),
        }
    }
}

impl From<&Queue> for QueueRecord {
    fn from(queue: &Queue) -> Self {
        Self {
            recipient_keys: queue.recipient_keys.clone(),
            secret: queue.secret.clone(),
            sender: queue.sender.clone(),
            sender_key: queue.sender_key,
            mode: queue.mode,
            status: queue.status,
            service: queue.service().cloned(),
        }
    }
}
