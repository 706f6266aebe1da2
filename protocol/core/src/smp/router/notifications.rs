//! Notifiers: who is told that a message came, without getting it.
//!
//! A message whose sender asks for it leaves a notification with the queue's notifier. Notifications are sent in bulk when
//! an interval ends, to the session that subscribed to the notifier, and wait for one until they expire (SN-20).

use std::collections::BTreeMap;

use super::queues::{Notification, Notifier};
use super::verify::Reply;
use super::{Router, SECOND};
use crate::crypto::boxes::random_nonce;
use crate::observe::SessionNo;
use crate::smp::command::NotifierKeys;
use crate::smp::envelope::NotificationMeta;
use crate::smp::error::SmpError;
use crate::smp::response::{NotifierIds, Response};
use crate::wire::{CorrId, EntityId};

/// Notifications that fit into one block at every version (TR-36).
const PER_BLOCK: usize = 69;

impl Router {
    /// A notifier with a new id, and what its recipient is told of it.
    pub(super) fn new_notifier(&mut self, keys: &NotifierKeys) -> (Notifier, NotifierIds) {
        let (dh_key, secret) = self.queue_keys(&keys.dh_key);
        let id = EntityId::from(self.fresh_id());
        let ids = NotifierIds { id: id.clone(), dh_key };
        (Notifier { id, key: keys.auth_key, secret, waiting: Default::default(), service: None }, ids)
    }

    /// NKEY (RC-26): every time another id, and what waited for the former notifier is dropped.
    pub(super) fn enable_notifications(
        &mut self,
        session: SessionNo,
        entity: &EntityId,
        keys: &NotifierKeys,
        now: u64,
    ) -> Response {
        if self.store.by_recipient(entity).is_none() {
            return Response::Err(SmpError::Auth);
        }
        for _ in 0..3 {
            let (notifier, ids) = self.new_notifier(keys);
            if !self.store.has_notifier(&notifier.id) {
                let before = self.store.replace_notifier(entity, Some(notifier));
                self.notifier_gone(session, before, now);
                return Response::Nid(ids);
            }
        }
        Response::Err(SmpError::Internal)
    }

    /// NDEL (RC-27): also without a notifier.
    pub(super) fn disable_notifications(
        &mut self,
        session: SessionNo,
        entity: &EntityId,
        now: u64,
    ) -> Response {
        if self.store.by_recipient(entity).is_none() {
            return Response::Err(SmpError::Auth);
        }
        let before = self.store.replace_notifier(entity, None);
        self.notifier_gone(session, before, now);
        Response::Ok
    }

    /// A command of `session` ended a notifier: its subscriber is told, unless it is that session.
    pub(super) fn notifier_gone(&mut self, session: SessionNo, notifier: Option<Notifier>, now: u64) {
        let Some(Notifier { id, service, .. }) = notifier else { return };
        self.notified.remove(&id);
        let alone = self.notifiers.remove(&id);
        let serving = service.and_then(|service| self.services.get(&*service).copied());
        let Some(subscriber) = serving.or(alone) else { return };
        self.release_notifier(subscriber, &id);
        if subscriber != session {
            self.collect_end(subscriber, id, Response::Deld, now);
        }
    }

    fn release_notifier(&mut self, subscriber: SessionNo, id: &EntityId) {
        if let Some(open) = self.sessions.get_mut(&subscriber).and_then(|peer| peer.open_mut()) {
            open.notifiers.remove(id);
        }
    }

    /// NSUB (SN-17). What waited is sent with the next bulk. As with SUB, the notifier becomes the service's whose session
    /// it is, or nobody's.
    pub(super) fn subscribe_notifier(&mut self, session: SessionNo, entity: &EntityId, now: u64) -> Response {
        let queue = self.store.by_notifier(entity);
        let Some(owner) = queue.and_then(|(_, queue)| queue.notifier()).map(|n| n.service().cloned()) else {
            return Response::Err(SmpError::Auth);
        };
        let service = self.service_id(session);
        if let Some(service) = &service {
            self.serve(session, service, now);
        }
        let before = self.notifier_subscriber(entity).filter(|before| *before != session);
        if owner != service {
            self.store.associate_notifier(entity, service.clone());
        }
        if service.is_some() {
            self.notifiers.remove(entity);
        } else {
            self.notifiers.insert(entity.clone(), session);
        }
        if let Some(before) = before {
            self.release_notifier(before, entity);
            self.collect_end(before, entity.clone(), Response::End, now);
        }
        let Some(open) = self.sessions.get_mut(&session).and_then(|peer| peer.open_mut()) else {
            return Response::Err(SmpError::Internal);
        };
        open.notifiers.insert(entity.clone());
        self.notify(entity.clone(), now);
        Response::Sok { service }
    }

    /// Sends the notifier what waits for it with the next bulk, if somebody subscribed to it.
    pub(super) fn notify(&mut self, notifier: EntityId, now: u64) {
        if self.notifier_subscriber(&notifier).is_some() && self.has_notifications(&notifier) {
            self.notified.insert(notifier);
            self.notifications_due.get_or_insert(now.saturating_add(self.config.notification_interval));
        }
    }

    fn has_notifications(&self, notifier: &EntityId) -> bool {
        let queue = self.store.by_notifier(notifier);
        queue.and_then(|(_, queue)| queue.notifier()).is_some_and(|notifier| !notifier.waiting.is_empty())
    }

    /// Sends what waits, to each session as much as it has room for; the rest waits for another interval.
    pub(super) fn flush_notifications(&mut self, now: u64) {
        let mut bulks: BTreeMap<SessionNo, Vec<Reply>> = BTreeMap::new();
        for id in std::mem::take(&mut self.notified) {
            let Some(session) = self.notifier_subscriber(&id) else { continue };
            let bulk = bulks.entry(session).or_default();
            let room = (self.room(session) * PER_BLOCK).saturating_sub(bulk.len());
            let taken = self.store.take_notifications(&id, room, self.config.notification_ttl, now);
            let queue = self.store.by_notifier(&id);
            let Some(secret) = queue.and_then(|(_, queue)| Some(queue.notifier()?.secret.clone())) else {
                continue;
            };
            for Notification { message, time } in taken {
                let nonce = random_nonce(&mut self.rng);
                let time = i64::try_from(time / SECOND).unwrap_or(i64::MAX);
                // Never fails: the message's id is one of our own.
                if let Ok(meta) = (NotificationMeta { id: message, time }).seal(&secret, &nonce) {
                    let response = Response::Nmsg { nonce, meta };
                    bulk.push(Reply { corr: CorrId::EMPTY, entity: id.clone(), response });
                }
            }
            self.notify(id, now);
        }
        for (session, bulk) in bulks {
            self.send(session, bulk);
        }
    }
}
