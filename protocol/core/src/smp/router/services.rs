//! Services that a router knows, and the queues that are theirs: part of what survives its restart.
//!
//! A service is known by its certificate, and has the same id and role for ever (SV-5). Which service a queue or a notifier
//! belongs to is kept with it; here is the way back, with the hash of their ids kept up to date (SV-14).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::queues::{Notifier, Queue};
use super::records::{QueueRecord, Record};
use super::store::QueueStore;
use crate::crypto::hash::md5;
use crate::smp::command::ServiceQueues;
use crate::transport::ServiceRole;
use crate::wire::EntityId;

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its id: random.
    pub id: EntityId,
    /// SHA-256 of its identity certificate.
    pub fingerprint: [u8; 32],
    /// What it does.
    pub role: ServiceRole,
}

/// Every service of a router.
#[derive(Clone, Debug, Default)]
pub(super) struct Services {
    id_of: BTreeMap<[u8; 32], EntityId>,
    entries: BTreeMap<EntityId, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    service: Service,
    /// Recipient ids of its queues, or notifier ids: a service has one role only.
    queues: BTreeSet<EntityId>,
    /// The XOR of their MD5.
    hash: [u8; 16],
}

impl Entry {
    fn turn(&mut self, id: &EntityId) {
        combine(&mut self.hash, id);
    }
}

/// Puts an id into a hash of ids, or takes it out: both are the same XOR.
pub(crate) fn combine(hash: &mut [u8; 16], id: &EntityId) {
    for (byte, other) in hash.iter_mut().zip(md5(id.as_bytes())) {
        *byte ^= other;
    }
}

impl Services {
    /// Adds a service. `false` if its id or its certificate is known.
    pub(super) fn add(&mut self, service: Service) -> bool {
        let Services { id_of, entries } = self;
        if id_of.contains_key(&service.fingerprint) || entries.contains_key(&service.id) {
            return false;
        }
        id_of.insert(service.fingerprint, service.id.clone());
        let id = service.id.clone();
        entries.insert(id, Entry { service, queues: BTreeSet::new(), hash: [0; 16] });
        true
    }

    /// Notes that a queue or notifier belongs to a service, if it belongs to one.
    pub(super) fn joined(&mut self, service: Option<&EntityId>, id: &EntityId) {
        let entry = service.and_then(|service| self.entries.get_mut(service));
        if let Some(entry) = entry
            && entry.queues.insert(id.clone())
        {
            entry.turn(id);
        }
    }

    /// Notes that it does no longer.
    pub(super) fn left(&mut self, service: Option<&EntityId>, id: &EntityId) {
        let entry = service.and_then(|service| self.entries.get_mut(service));
        if let Some(entry) = entry
            && entry.queues.remove(id)
        {
            entry.turn(id);
        }
    }
}

impl Queue {
    /// The same as a service's.
    #[must_use]
    pub fn with_service(mut self, service: Option<EntityId>) -> Self {
        self.service = service.map(Box::new);
        self
    }

    /// The service that it belongs to.
    pub fn service(&self) -> Option<&EntityId> {
        self.service.as_deref()
    }
}

impl Notifier {
    /// The service that it belongs to.
    pub fn service(&self) -> Option<&EntityId> {
        self.service.as_deref()
    }
}

impl QueueStore {
    /// Adds a service. `false` if its id or its certificate is known.
    pub fn add_service(&mut self, service: Service) -> bool {
        let added = self.services.add(service.clone());
        if added {
            self.journal.put(|| Record::Service(service));
        }
        added
    }

    /// The service with this certificate.
    pub fn service_by_fingerprint(&self, fingerprint: &[u8; 32]) -> Option<&Service> {
        let id = self.services.id_of.get(fingerprint)?;
        self.services.entries.get(id).map(|entry| &entry.service)
    }

    /// Every service.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.entries.values().map(|entry| &entry.service)
    }

    /// How many queues, or notifiers, a service has, and the hash of their ids.
    pub fn service_queues(&self, service: &EntityId) -> ServiceQueues {
        match self.services.entries.get(service) {
            Some(entry) => {
                let count = i64::try_from(entry.queues.len()).unwrap_or(i64::MAX);
                ServiceQueues { count, hash: entry.hash }
            }
            None => ServiceQueues { count: 0, hash: [0; 16] },
        }
    }

    /// The first of a service's queues or notifiers after this id, in the order of ids.
    pub fn next_of_service(&self, service: &EntityId, after: &EntityId) -> Option<&EntityId> {
        let entry = self.services.entries.get(service)?;
        entry.queues.range::<EntityId, _>((Bound::Excluded(after), Bound::Unbounded)).next()
    }

    /// Gives a queue to a service, or to none (SV-11).
    pub fn associate(&mut self, recipient: &EntityId, service: Option<EntityId>) {
        let Some(queue) = self.queues.get_mut(recipient) else { return };
        self.services.left(queue.service(), recipient);
        self.services.joined(service.as_ref(), recipient);
        queue.service = service.map(Box::new);
        self.journal
            .put(|| Record::Queue { recipient: recipient.clone(), queue: QueueRecord::from(&**queue) });
    }

    /// Gives a notifier to a service, or to none.
    pub fn associate_notifier(&mut self, notifier: &EntityId, service: Option<EntityId>) {
        let Some(recipient) = self.notified.get(notifier) else { return };
        let Some(queue) = self.queues.get_mut(recipient) else { return };
        let Some(found) = &mut queue.notifier else { return };
        self.services.left(found.service(), notifier);
        self.services.joined(service.as_ref(), notifier);
        found.service = service.map(Box::new);
        self.journal.put(|| Record::Notifier { recipient: recipient.clone(), notifier: (&**found).into() });
    }
}
