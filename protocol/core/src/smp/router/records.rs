//! Records: the parts of a router's state as a durable store keeps them, each under a key of its own.
//!
//! A key is a kind byte, an id with its length, and for what waits in a line its number, so that keys in the order of their bytes
//! are: all services, then queues, links, notifiers, messages and notifications, these in the order they came. A value begins with the
//! version of its layout. Numbers are big-endian; the last field of a value has no length. A new kind gets the next kind byte, a
//! variant of [`Record`] and of [`RecordKey`], and its lines in `key`, `value` and `decode` here. A layout that changes gets
//! another version byte, and what was written before must stay readable.

use std::fmt;

use super::queues::{Content, Link, Notification, Notifier, Status, Stored};
use super::services::Service;
use crate::crypto::keys::{AuthPublicKey, SharedSecret};
use crate::journal::fields::*;
use crate::smp::command::{LinkData, MsgFlags};
use crate::smp::error::{BlockingInfo, BlockingReason, Notice};
use crate::transport::ServiceRole;
use crate::wire::{EntityId, LinkId, MsgId, QueueMode, Reader, WireError, put_i64};

/// The layout of values written by this version.
const VERSION: u8 = 1;

/// One change of what survives a restart.
pub type Change = crate::journal::Change<Record, RecordKey>;

/// A part of a router's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A service. Which queues are its is in their records.
    Service(Service),
    /// A queue without what has records of its own.
    Queue {
        /// Its recipient id.
        recipient: EntityId,
        /// The rest.
        queue: QueueRecord,
    },
    /// A queue's short link.
    Link {
        /// The queue.
        recipient: EntityId,
        /// The link.
        link: Link,
    },
    /// A queue's notifier, without what waits for it.
    Notifier {
        /// The queue.
        recipient: EntityId,
        /// The notifier.
        notifier: NotifierRecord,
    },
    /// A message that waits.
    Message {
        /// The queue.
        recipient: EntityId,
        /// Its number in the queue.
        number: u64,
        /// The message.
        message: Stored,
    },
    /// A notification that waits.
    Notification {
        /// The queue.
        recipient: EntityId,
        /// Its number among the notifier's.
        number: u64,
        /// The notification.
        notification: Notification,
    },
}

/// Which record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKey {
    /// The service of an id.
    Service(EntityId),
    /// The queue of a recipient id.
    Queue(EntityId),
    /// The short link of a recipient id's queue.
    Link(EntityId),
    /// The notifier of a recipient id's queue.
    Notifier(EntityId),
    /// A message of a recipient id's queue, by its number.
    Message(EntityId, u64),
    /// A notification of a recipient id's queue, by its number.
    Notification(EntityId, u64),
}

/// A queue's own record; the fields are those of [`super::Queue`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRecord {
    /// The recipient's keys.
    pub recipient_keys: Vec<AuthPublicKey>,
    /// Encrypts what is delivered.
    pub secret: SharedSecret,
    /// The sender id.
    pub sender: EntityId,
    /// The sender's key.
    pub sender_key: Option<AuthPublicKey>,
    /// Whether the sender may secure it.
    pub mode: Option<QueueMode>,
    /// Whether it takes messages.
    pub status: Status,
    /// The service that it belongs to.
    pub service: Option<EntityId>,
}

/// A notifier's own record; the fields are those of [`Notifier`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifierRecord {
    /// The notifier id.
    pub id: EntityId,
    /// Authorizes NSUB.
    pub key: AuthPublicKey,
    /// Encrypts metadata.
    pub secret: SharedSecret,
    /// The service that it belongs to.
    pub service: Option<EntityId>,
}

impl From<&Notifier> for NotifierRecord {
    fn from(notifier: &Notifier) -> Self {
        Self {
            id: notifier.id.clone(),
            key: notifier.key,
            secret: notifier.secret.clone(),
            service: notifier.service().cloned(),
        }
    }
}

/// Why a record can't be read or does not fit to the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The key is not one of this version's.
    #[error("a record with a key that this version does not know")]
    Key,
    /// The value has another layout.
    #[error("the record of {0} has layout {1}, this version reads {VERSION}")]
    Version(RecordKey, u8),
    /// The value is damaged.
    #[error("the record of {0} is damaged: {1}")]
    Value(RecordKey, WireError),
    /// It belongs to something that is not there.
    #[error("the record of {0} belongs to nothing")]
    Orphan(RecordKey),
    /// Its ids are another's.
    #[error("the record of {0} has an id that is taken")]
    Taken(RecordKey),
    /// A line has a gap before it.
    #[error("there is a gap before the record of {0}")]
    Gap(RecordKey),
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordKey::Service(id) => write!(f, "service {id:?}"),
            RecordKey::Queue(id) => write!(f, "queue {id:?}"),
            RecordKey::Link(id) => write!(f, "the link of queue {id:?}"),
            RecordKey::Notifier(id) => write!(f, "the notifier of queue {id:?}"),
            RecordKey::Message(id, number) => write!(f, "message {number} of queue {id:?}"),
            RecordKey::Notification(id, number) => write!(f, "notification {number} of queue {id:?}"),
        }
    }
}

mod kind {
    pub(super) const SERVICE: u8 = 1;
    pub(super) const QUEUE: u8 = 2;
    pub(super) const LINK: u8 = 3;
    pub(super) const NOTIFIER: u8 = 4;
    pub(super) const MESSAGE: u8 = 5;
    pub(super) const NOTIFICATION: u8 = 6;
}

impl RecordKey {
    /// The key's bytes, by which records are sorted.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, id, number) = match self {
            RecordKey::Service(id) => (kind::SERVICE, id, None),
            RecordKey::Queue(id) => (kind::QUEUE, id, None),
            RecordKey::Link(id) => (kind::LINK, id, None),
            RecordKey::Notifier(id) => (kind::NOTIFIER, id, None),
            RecordKey::Message(id, number) => (kind::MESSAGE, id, Some(*number)),
            RecordKey::Notification(id, number) => (kind::NOTIFICATION, id, Some(*number)),
        };
        let mut out = vec![kind];
        id.put(&mut out);
        if let Some(number) = number {
            put_u64(&mut out, number);
        }
        out
    }

    /// The key of these bytes.
    ///
    /// # Errors
    /// [`RecordError::Key`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut r = Reader::new(bytes);
        let key = (|| {
            let (kind, id) = (r.u8()?, EntityId::read(&mut r)?);
            let key = match kind {
                kind::SERVICE => RecordKey::Service(id),
                kind::QUEUE => RecordKey::Queue(id),
                kind::LINK => RecordKey::Link(id),
                kind::NOTIFIER => RecordKey::Notifier(id),
                kind::MESSAGE => RecordKey::Message(id, read_u64(&mut r)?),
                kind::NOTIFICATION => RecordKey::Notification(id, read_u64(&mut r)?),
                _ => return Err(WireError::BadTag),
            };
            r.end().map(|()| key)
        })();
        key.map_err(|_| RecordError::Key)
    }
}

impl Record {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        match self {
            Record::Service(service) => RecordKey::Service(service.id.clone()),
            Record::Queue { recipient, .. } => RecordKey::Queue(recipient.clone()),
            Record::Link { recipient, .. } => RecordKey::Link(recipient.clone()),
            Record::Notifier { recipient, .. } => RecordKey::Notifier(recipient.clone()),
            Record::Message { recipient, number, .. } => RecordKey::Message(recipient.clone(), *number),
            Record::Notification { recipient, number, .. } => {
                RecordKey::Notification(recipient.clone(), *number)
            }
        }
    }

    /// Its value's bytes.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Record::Service(service) => {
                out.push(service.role.letter());
                out.extend_from_slice(&service.fingerprint);
            }
            Record::Queue { queue, .. } => queue.put(&mut out),
            Record::Link { link, .. } => {
                link.id.put(&mut out);
                put_len(&mut out, link.data.fixed.len());
                out.extend_from_slice(&link.data.fixed);
                out.extend_from_slice(&link.data.user);
            }
            Record::Notifier { notifier, .. } => {
                notifier.id.put(&mut out);
                put_key(&mut out, &notifier.key);
                out.extend_from_slice(notifier.secret.as_bytes());
                put_maybe(&mut out, notifier.service.as_ref(), |out, id| id.put(out));
            }
            Record::Message { message, .. } => {
                message.id.put(&mut out);
                put_u64(&mut out, message.time);
                match &message.content {
                    Content::Message { flags, body } => {
                        out.push(if flags.notification { 1 } else { 0 });
                        out.extend_from_slice(body);
                    }
                    Content::Quota => out.push(2),
                }
            }
            Record::Notification { notification, .. } => {
                notification.message.put(&mut out);
                put_u64(&mut out, notification.time);
            }
        }
        out
    }

    /// The record of these bytes.
    ///
    /// # Errors
    /// [`RecordError`]: `Key`, `Version` or `Value`.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self, RecordError> {
        let key = RecordKey::decode(key)?;
        let mut r = Reader::new(value);
        match r.u8() {
            Ok(VERSION) => {}
            Ok(version) => return Err(RecordError::Version(key, version)),
            Err(error) => return Err(RecordError::Value(key, error)),
        }
        Self::read(key.clone(), &mut r).map_err(|error| RecordError::Value(key, error))
    }

    fn read(key: RecordKey, r: &mut Reader<'_>) -> Result<Self, WireError> {
        let record = match key {
            RecordKey::Service(id) => {
                let role = ServiceRole::of(r.u8()?).ok_or(WireError::BadTag)?;
                Record::Service(Service { id, fingerprint: r.array()?, role })
            }
            RecordKey::Queue(recipient) => Record::Queue { recipient, queue: QueueRecord::read(r)? },
            RecordKey::Link(recipient) => {
                let id = LinkId::read(r)?;
                let fixed = read_len(r)?;
                let data = LinkData { fixed: r.take(fixed)?.to_vec(), user: r.rest().to_vec() };
                Record::Link { recipient, link: Link { id, data } }
            }
            RecordKey::Notifier(recipient) => {
                let (id, key, secret) = (EntityId::read(r)?, read_key(r)?, read_secret(r)?);
                let service = read_maybe(r, EntityId::read)?;
                Record::Notifier { recipient, notifier: NotifierRecord { id, key, secret, service } }
            }
            RecordKey::Message(recipient, number) => {
                let (id, time) = (MsgId::read(r)?, read_u64(r)?);
                let content = match r.u8()? {
                    flag @ (0 | 1) => Content::Message {
                        flags: MsgFlags { notification: flag == 1 },
                        body: r.rest().to_vec(),
                    },
                    2 => Content::Quota,
                    _ => return Err(WireError::BadTag),
                };
                Record::Message { recipient, number, message: Stored { id, time, content } }
            }
            RecordKey::Notification(recipient, number) => {
                let notification = Notification { message: MsgId::read(r)?, time: read_u64(r)? };
                Record::Notification { recipient, number, notification }
            }
        };
        r.end().map(|()| record)
    }
}

impl QueueRecord {
    fn put(&self, out: &mut Vec<u8>) {
        put_len(out, self.recipient_keys.len());
        for key in &self.recipient_keys {
            put_key(out, key);
        }
        out.extend_from_slice(self.secret.as_bytes());
        self.sender.put(out);
        put_maybe(out, self.sender_key.as_ref(), put_key);
        out.push(match self.mode {
            None => 0,
            Some(QueueMode::Messaging) => 1,
            Some(QueueMode::Contact) => 2,
        });
        put_maybe(out, self.service.as_ref(), |out, id| id.put(out));
        match &self.status {
            Status::Active => out.push(0),
            Status::Off => out.push(1),
            Status::Blocked(BlockingInfo { reason, notice }) => {
                out.push(2);
                out.push(match reason {
                    BlockingReason::Spam => 0,
                    BlockingReason::Content => 1,
                });
                put_maybe(out, notice.as_ref(), |out, notice| {
                    put_maybe(out, notice.ttl.as_ref(), |out, ttl| put_i64(out, *ttl));
                });
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let count = read_len(r)?;
        Ok(QueueRecord {
            recipient_keys: (0..count).map(|_| read_key(r)).collect::<Result<_, _>>()?,
            secret: read_secret(r)?,
            sender: EntityId::read(r)?,
            sender_key: read_maybe(r, read_key)?,
            mode: match r.u8()? {
                0 => None,
                1 => Some(QueueMode::Messaging),
                2 => Some(QueueMode::Contact),
                _ => return Err(WireError::BadTag),
            },
            service: read_maybe(r, EntityId::read)?,
            status: match r.u8()? {
                0 => Status::Active,
                1 => Status::Off,
                2 => {
                    let reason = match r.u8()? {
                        0 => BlockingReason::Spam,
                        1 => BlockingReason::Content,
                        _ => return Err(WireError::BadTag),
                    };
                    let notice = read_maybe(r, |r| Ok(Notice { ttl: read_maybe(r, |r| r.i64())? }))?;
                    Status::Blocked(BlockingInfo { reason, notice })
                }
                _ => return Err(WireError::BadTag),
            },
        })
    }
}
