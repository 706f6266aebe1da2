//! Every queue and service of a router, and the journal of what changed.
//!
//! A queue is found by its recipient id, its sender id, its notifier's id or its short link's id.
//!
//! **Journal.** What survives a restart consists of [`Record`]s. A store that is [`QueueStore::journaled`] reports each change of
//! one as a [`Change`]; without a journal nothing is recorded and nothing is paid for. To make other state durable: give it kinds of
//! [`Record`] and [`RecordKey`] (`records` says how), call `Journal::put` and `Journal::delete` where it changes, and put it back in
//! [`QueueStore::restore`].

use std::collections::BTreeMap;

use super::queues::{Content, Link, Notification, Notifier, Offered, Queue, Status, Stored};
use super::records::{Change, NotifierRecord, QueueRecord, Record, RecordError, RecordKey};
use super::services::Services;
use crate::crypto::keys::AuthPublicKey;
use crate::smp::command::LinkData;
use crate::tables::{Mixer, Table, sorted};
use crate::wire::{EntityId, LinkId, MsgId};

/// Every queue of a router.
#[derive(Clone, Debug, Default)]
pub struct QueueStore {
    /// Boxed, as a table is up to half empty.
    pub(super) queues: Table<EntityId, Box<Queue>>,
    recipient_of: Table<EntityId, EntityId>,
    linked: BTreeMap<LinkId, EntityId>,
    pub(super) notified: BTreeMap<EntityId, EntityId>,
    /// Its methods are with it.
    pub(super) services: Services,
    pub(super) journal: Journal,
    oldest: Oldest,
}

/// Nothing that waits is older, in nanoseconds; nothing waits where there is no time.
#[derive(Clone, Copy, Debug, Default)]
struct Oldest {
    message: Option<u64>,
    notification: Option<u64>,
}

/// The earlier of two times, if there are any.
fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

pub(super) type Journal = crate::journal::Journal<Record, RecordKey>;

impl QueueStore {
    /// The same, with ids mixed with a secret.
    pub(super) fn mixed(mut self, mixer: Mixer) -> Self {
        let mut queues = Table::with_capacity_and_hasher(self.queues.len(), mixer);
        queues.extend(self.queues);
        let mut recipient_of = Table::with_capacity_and_hasher(self.recipient_of.len(), mixer);
        recipient_of.extend(self.recipient_of);
        (self.queues, self.recipient_of) = (queues, recipient_of);
        self
    }

    /// The same, which from now on reports what changes.
    #[must_use]
    pub fn journaled(mut self) -> Self {
        self.journal.begin();
        self
    }

    /// What changed since the last call, in order; nothing unless the store is [`Self::journaled`].
    pub fn changes(&mut self) -> Vec<Change> {
        self.journal.take()
    }

    /// How many changes were reported so far, those that [`Self::changes`] has not given yet included.
    pub fn changed(&self) -> u64 {
        self.journal.count()
    }

    /// Puts back a record of an earlier run. Records come in the order of their keys' bytes; this is not reported as a change.
    ///
    /// # Errors
    /// [`RecordError`] if it does not fit to those before: nothing is changed then.
    pub fn restore(&mut self, record: Record) -> Result<(), RecordError> {
        let key = record.key();
        match record {
            Record::Service(service) => {
                if !self.services.add(service) {
                    return Err(RecordError::Taken(key));
                }
            }
            Record::Queue { recipient, queue } => {
                if !self.add(recipient, Queue::from(queue)) {
                    return Err(RecordError::Taken(key));
                }
            }
            Record::Link { recipient, link } => {
                let queue =
                    self.queues.get_mut(&recipient).ok_or_else(|| RecordError::Orphan(key.clone()))?;
                if queue.link.is_some() || self.linked.contains_key(&link.id) {
                    return Err(RecordError::Taken(key));
                }
                self.linked.insert(link.id.clone(), recipient);
                queue.link = Some(Box::new(link));
            }
            Record::Notifier {
                recipient,
                notifier: NotifierRecord { id, key: auth_key, secret, service },
            } => {
                let queue =
                    self.queues.get_mut(&recipient).ok_or_else(|| RecordError::Orphan(key.clone()))?;
                if queue.notifier.is_some() || self.notified.contains_key(&id) {
                    return Err(RecordError::Taken(key));
                }
                self.notified.insert(id.clone(), recipient);
                self.services.joined(service.as_ref(), &id);
                let (waiting, service) = (Default::default(), service.map(Box::new));
                queue.notifier = Some(Box::new(Notifier { id, key: auth_key, secret, waiting, service }));
            }
            Record::Message { recipient, number, message } => {
                self.oldest.message = earlier(self.oldest.message, Some(message.time));
                let queue =
                    self.queues.get_mut(&recipient).ok_or_else(|| RecordError::Orphan(key.clone()))?;
                if !queue.messages.restore(number, message) {
                    return Err(RecordError::Gap(key));
                }
            }
            Record::Notification { recipient, number, notification } => {
                self.oldest.notification = earlier(self.oldest.notification, Some(notification.time));
                let queue = self.queues.get_mut(&recipient);
                let notifier = queue.and_then(|queue| queue.notifier.as_mut());
                let notifier = notifier.ok_or_else(|| RecordError::Orphan(key.clone()))?;
                if !notifier.waiting.restore(number, notification) {
                    return Err(RecordError::Gap(key));
                }
            }
        }
        Ok(())
    }

    /// Adds a queue. `false` if one of the ids is taken.
    pub fn insert(&mut self, recipient: EntityId, queue: Queue) -> bool {
        if !self.add(recipient.clone(), queue) {
            return false;
        }
        let Some(queue) = self.queues.get(&recipient).map(|queue| &**queue) else { return false };
        self.journal.put(|| Record::Queue { recipient: recipient.clone(), queue: queue.into() });
        if let Some(link) = queue.link() {
            self.journal.put(|| Record::Link { recipient: recipient.clone(), link: link.clone() });
        }
        if let Some(notifier) = queue.notifier() {
            self.journal.put(|| Record::Notifier { recipient, notifier: notifier.into() });
        }
        true
    }

    fn add(&mut self, recipient: EntityId, queue: Queue) -> bool {
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
        self.queues.insert(recipient, Box::new(queue));
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
    pub fn by_recipient(&self, recipient: &EntityId) -> Option<&Queue> {
        self.queues.get(recipient).map(|queue| &**queue)
    }

    /// The queue of a sender id, and its recipient id.
    pub fn by_sender(&self, sender: &EntityId) -> Option<(&EntityId, &Queue)> {
        let recipient = self.recipient_of.get(sender)?;
        Some((recipient, self.by_recipient(recipient)?))
    }

    /// The queue of a short link's id, and its recipient id.
    pub fn by_link(&self, link: &LinkId) -> Option<(&EntityId, &Queue)> {
        let recipient = self.linked.get(link)?;
        Some((recipient, self.by_recipient(recipient)?))
    }

    /// The queue of a notifier's id, and its recipient id.
    pub fn by_notifier(&self, notifier: &EntityId) -> Option<(&EntityId, &Queue)> {
        let recipient = self.notified.get(notifier)?;
        Some((recipient, self.by_recipient(recipient)?))
    }

    /// Changes what a queue's own record holds, if `change` says that it did. `false` if there is no such queue, or nothing
    /// changed.
    fn alter(&mut self, recipient: &EntityId, change: impl FnOnce(&mut Queue) -> bool) -> bool {
        let Some(queue) = self.queues.get_mut(recipient) else { return false };
        let changed = change(queue);
        if changed {
            self.journal
                .put(|| Record::Queue { recipient: recipient.clone(), queue: QueueRecord::from(&**queue) });
        }
        changed
    }

    /// A queue, to be changed without a trace in the journal: for mutants.
    pub(super) fn tamper(&mut self, recipient: &EntityId) -> Option<&mut Queue> {
        self.queues.get_mut(recipient).map(|queue| &mut **queue)
    }

    /// Secures a queue for the sender with this key. `false` if it is secured with another one, or there is no such queue.
    pub fn secure(&mut self, recipient: &EntityId, key: AuthPublicKey) -> bool {
        self.alter(recipient, |queue| queue.sender_key.is_none() && queue.sender_key.replace(key).is_none());
        self.by_recipient(recipient).is_some_and(|queue| queue.sender_key == Some(key))
    }

    /// Replaces a queue's recipient keys. `false` if there is no such queue.
    pub fn set_recipient_keys(&mut self, recipient: &EntityId, keys: Vec<AuthPublicKey>) -> bool {
        self.alter(recipient, |queue| {
            queue.recipient_keys = keys;
            true
        })
    }

    /// Gives a queue another status, and returns the one that it had. `None` if there is no such queue.
    pub fn set_status(&mut self, recipient: &EntityId, status: Status) -> Option<Status> {
        let before = self.by_recipient(recipient)?.status;
        self.alter(recipient, |queue| std::mem::replace(&mut queue.status, status) != status);
        Some(before)
    }

    /// Gives a queue another notifier, or none, and returns the one that it had. The id must be nobody's yet.
    pub fn replace_notifier(&mut self, recipient: &EntityId, notifier: Option<Notifier>) -> Option<Notifier> {
        let queue = self.queues.get_mut(recipient)?;
        let before = std::mem::replace(&mut queue.notifier, notifier.map(Box::new));
        if let Some(before) = &before {
            self.notified.remove(&before.id);
            self.services.left(before.service(), &before.id);
            for (number, _) in before.waiting.numbered() {
                self.journal.delete(|| RecordKey::Notification(recipient.clone(), number));
            }
        }
        match queue.notifier() {
            Some(notifier) => {
                self.notified.insert(notifier.id.clone(), recipient.clone());
                self.services.joined(notifier.service(), &notifier.id);
                self.journal
                    .put(|| Record::Notifier { recipient: recipient.clone(), notifier: notifier.into() });
            }
            None if before.is_some() => self.journal.delete(|| RecordKey::Notifier(recipient.clone())),
            None => {}
        }
        before.map(|before| *before)
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
            let link = queue.link.insert(Box::new(Link { id, data }));
            self.journal.put(|| Record::Link { recipient: recipient.clone(), link: Link::clone(link) });
        }
        fits
    }

    /// Takes a queue's short link away, if it has one.
    pub fn delete_link(&mut self, recipient: &EntityId) {
        let link = self.queues.get_mut(recipient).and_then(|queue| queue.link.take());
        if let Some(link) = link {
            self.linked.remove(&link.id);
            self.journal.delete(|| RecordKey::Link(recipient.clone()));
        }
    }

    /// Stores a message unless `quota` messages wait already, or did and the queue was not emptied since. `None` if there is no
    /// such queue.
    pub fn offer(&mut self, recipient: &EntityId, message: Stored, quota: usize) -> Option<Offered> {
        let queue = self.queues.get_mut(recipient)?;
        if queue.is_full() {
            return Some(Offered::Full);
        }
        let (message, offered) = if queue.len() >= quota {
            (Stored { content: Content::Quota, ..message }, Offered::Full)
        } else {
            (message, Offered::Stored)
        };
        let number = queue.messages.next();
        self.journal.put(|| Record::Message {
            recipient: recipient.clone(),
            number,
            message: message.clone(),
        });
        self.oldest.message = earlier(self.oldest.message, Some(message.time));
        queue.messages.push(message);
        Some(offered)
    }

    /// Removes a queue's oldest message if it has this id. An empty id is no message's.
    pub fn remove(&mut self, recipient: &EntityId, id: &MsgId) {
        let Some(queue) = self.queues.get_mut(recipient) else { return };
        if queue.first().is_some_and(|first| first.id == *id)
            && let Some((number, _)) = queue.messages.pop()
        {
            self.journal.delete(|| RecordKey::Message(recipient.clone(), number));
        }
    }

    /// Removes a queue's messages older than `ttl` nanoseconds. A quota marker stays until it is acknowledged (SN-15).
    pub fn expire(&mut self, recipient: &EntityId, ttl: u64, now: u64) {
        if let Some(queue) = self.queues.get_mut(recipient) {
            queue.expire(recipient, ttl, now, &mut self.journal);
        }
    }

    /// Removes messages and notifications older than their `ttl`, in nanoseconds, from every queue (SN-15, SN-20).
    pub fn expire_all(&mut self, message_ttl: u64, notification_ttl: u64, now: u64) {
        let expired = |time: Option<u64>, ttl: u64| time.is_some_and(|time| time.saturating_add(ttl) < now);
        let Oldest { message, notification } = self.oldest;
        if !expired(message, message_ttl) && !expired(notification, notification_ttl) {
            return;
        }
        self.oldest = Oldest::default();
        for (recipient, queue) in &mut self.queues {
            queue.expire(recipient, message_ttl, now, &mut self.journal);
            self.oldest.message = earlier(self.oldest.message, queue.first().map(|first| first.time));
            if let Some(notifier) = &mut queue.notifier {
                notifier.expire(recipient, notification_ttl, now, &mut self.journal);
                let first = notifier.waiting.first().map(|first| first.time);
                self.oldest.notification = earlier(self.oldest.notification, first);
            }
        }
    }

    /// Leaves a notification with a queue's notifier and returns the notifier's id. `None` if it has none. Of more than
    /// `quota` notifications the oldest is dropped.
    pub fn notify(
        &mut self,
        recipient: &EntityId,
        notification: Notification,
        quota: usize,
    ) -> Option<EntityId> {
        let notifier = self.queues.get_mut(recipient)?.notifier.as_mut()?;
        let number = notifier.waiting.next();
        self.journal.put(|| Record::Notification {
            recipient: recipient.clone(),
            number,
            notification: notification.clone(),
        });
        self.oldest.notification = earlier(self.oldest.notification, Some(notification.time));
        notifier.waiting.push(notification);
        if notifier.waiting.len() > quota
            && let Some((number, _)) = notifier.waiting.pop()
        {
            self.journal.delete(|| RecordKey::Notification(recipient.clone(), number));
        }
        Some(notifier.id.clone())
    }

    /// Takes a notifier's oldest notifications, `most` of them at most, after those older than `ttl` nanoseconds were dropped.
    pub fn take_notifications(
        &mut self,
        notifier: &EntityId,
        most: usize,
        ttl: u64,
        now: u64,
    ) -> Vec<Notification> {
        let mut taken = Vec::new();
        let Some(recipient) = self.notified.get(notifier) else { return taken };
        let queue = self.queues.get_mut(recipient);
        let Some(notifier) = queue.and_then(|queue| queue.notifier.as_mut()) else { return taken };
        notifier.expire(recipient, ttl, now, &mut self.journal);
        while taken.len() < most
            && let Some((number, notification)) = notifier.waiting.pop()
        {
            self.journal.delete(|| RecordKey::Notification(recipient.clone(), number));
            taken.push(notification);
        }
        taken
    }

    /// Forgets a queue with its messages, link and notifier. `false` if there is none.
    pub fn delete(&mut self, recipient: &EntityId) -> bool {
        self.replace_notifier(recipient, None);
        self.delete_link(recipient);
        let Some(queue) = self.queues.remove(recipient) else { return false };
        self.recipient_of.remove(&queue.sender);
        self.services.left(queue.service(), recipient);
        for (number, _) in queue.messages.numbered() {
            self.journal.delete(|| RecordKey::Message(recipient.clone(), number));
        }
        self.journal.delete(|| RecordKey::Queue(recipient.clone()));
        true
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
        self.queues.values().map(|queue| queue.len()).sum()
    }

    /// The records of all that is there: services, then queue by queue.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let services = self.services().map(|service| Record::Service(service.clone()));
        services.chain(sorted(&self.queues).flat_map(|(recipient, queue)| queue.records(recipient)))
    }

    /// Every queue with its recipient id, in the order of these.
    pub fn queues(&self) -> impl Iterator<Item = (&EntityId, &Queue)> {
        sorted(&self.queues).map(|(recipient, queue)| (recipient, &**queue))
    }
}

impl Queue {
    fn records(&self, recipient: &EntityId) -> impl Iterator<Item = Record> {
        let recipient = || recipient.clone();
        let own = Record::Queue { recipient: recipient(), queue: self.into() };
        let link = self.link().map(|link| Record::Link { recipient: recipient(), link: link.clone() });
        let notifier = self
            .notifier()
            .map(|notifier| Record::Notifier { recipient: recipient(), notifier: notifier.into() });
        let messages = self.messages.numbered().map(move |(number, message)| Record::Message {
            recipient: recipient(),
            number,
            message: message.clone(),
        });
        let waiting = self.notifier().into_iter().flat_map(|notifier| notifier.waiting.numbered());
        let notifications = waiting.map(move |(number, notification)| Record::Notification {
            recipient: recipient(),
            number,
            notification: notification.clone(),
        });
        [Some(own), link, notifier].into_iter().flatten().chain(messages).chain(notifications)
    }

    fn expire(&mut self, recipient: &EntityId, ttl: u64, now: u64, journal: &mut Journal) {
        let expired = |message: &Stored| {
            matches!(message.content, Content::Message { .. }) && message.time.saturating_add(ttl) < now
        };
        while self.first().is_some_and(expired)
            && let Some((number, _)) = self.messages.pop()
        {
            journal.delete(|| RecordKey::Message(recipient.clone(), number));
        }
    }
}

impl Notifier {
    fn expire(&mut self, recipient: &EntityId, ttl: u64, now: u64, journal: &mut Journal) {
        let expired = |notification: &Notification| notification.time.saturating_add(ttl) < now;
        while self.waiting.first().is_some_and(expired)
            && let Some((number, _)) = self.waiting.pop()
        {
            journal.delete(|| RecordKey::Notification(recipient.clone(), number));
        }
    }
}
