//! What survives a restart of a router: how its tokens and subscriptions become records, and again what they were.

use super::records::{Change, Record, RecordError, SubscriptionRecord, TokenRecord};
use super::store::{Place, Store, Subscription, Token};
use crate::ntf::status::SubscriptionStatus;
use crate::wire::EntityId;

impl Token {
    fn record(&self) -> TokenRecord {
        TokenRecord {
            device: self.device.clone(),
            key: self.key,
            device_key: self.device_key,
            own_key: self.own_key.to_bytes(),
            secret: self.secret.clone(),
            code: self.code.clone(),
            status: self.status,
            period: self.period,
            sent: self.sent,
            was_sent: self.was_sent,
        }
    }
}

impl Store {
    /// Reports a token as it is.
    pub(super) fn note_token(&mut self, id: &EntityId) {
        if let Some(token) = self.tokens.get(id) {
            self.journal.put(|| Record::Token { id: id.clone(), token: token.record() });
        }
    }

    /// Reports a subscription as it is.
    pub(super) fn note_subscription(&mut self, id: &EntityId) {
        let Some(subscription) = self.subscriptions.get(id) else { return };
        let Some(place) = self.places.get(&subscription.router) else { return };
        self.journal.put(|| {
            let Subscription { token, notifier, key, status, by_service, .. } = &**subscription;
            let subscription = SubscriptionRecord {
                token: token.clone(),
                router: place.address.clone(),
                notifier: notifier.clone(),
                key: key.clone(),
                // As a record has it.
                status: if status.subscribes() { SubscriptionStatus::Pending } else { status.clone() },
                by_service: *by_service,
            };
            Record::Subscription { id: id.clone(), subscription }
        });
    }

    /// Puts back a record of an earlier run. Records come in the order of their keys' bytes; this is not reported as a change.
    ///
    /// # Errors
    /// [`RecordError`] if it does not fit to those before: nothing is changed then.
    pub fn restore(&mut self, record: Record) -> Result<(), RecordError> {
        let key = record.key();
        match record {
            Record::Router { router, service } => {
                let number = self.place(&router);
                if let Some(place) = self.places.get_mut(&number) {
                    place.service = Some(service);
                }
                Ok(())
            }
            Record::Token { id, token } => {
                let mut restored = Token::new(
                    token.device.clone(),
                    token.key,
                    token.device_key,
                    token.own_key(),
                    token.secret.clone(),
                    token.code.clone(),
                );
                let TokenRecord { status, period, sent, was_sent, .. } = token;
                (restored.status, restored.period) = (status, period);
                (restored.sent, restored.was_sent) = (sent, was_sent);
                if self.add_token(id, restored) { Ok(()) } else { Err(RecordError::Taken(key)) }
            }
            Record::Subscription { id, subscription } => {
                let SubscriptionRecord { token, router, notifier, key: auth, status, by_service } =
                    subscription;
                if !self.tokens.contains_key(&token) {
                    return Err(RecordError::Orphan(key));
                }
                let router = self.place(&router);
                let subscription = Subscription { token, router, notifier, key: auth, status, by_service };
                let added = self.add_subscription(id, subscription);
                if !added {
                    self.leave(router);
                }
                if added { Ok(()) } else { Err(RecordError::Taken(key)) }
            }
            Record::Notification { subscription, kept } => {
                let token = self.subscriptions.get(&subscription).map(|of| of.token.clone());
                let token = token.and_then(|token| self.tokens.get_mut(&token));
                let token = token.ok_or_else(|| RecordError::Orphan(key.clone()))?;
                if token.last.iter().any(|(of, _)| *of == subscription) {
                    return Err(RecordError::Taken(key));
                }
                let at = token.last.partition_point(|(_, other)| other.number < kept.number);
                token.last.insert(at, (subscription, kept));
                Ok(())
            }
        }
    }

    /// All records, in the order of their keys' bytes: what a store is written from as a whole.
    pub fn records(&self) -> Vec<Record> {
        let mut all = self.clone().journaled();
        all.changes();
        let routers: Vec<_> = all.routers();
        for number in routers {
            if let Some(Place { address, service: Some(service), .. }) = self.places.get(&number) {
                all.journal.put(|| Record::Router { router: address.clone(), service: service.clone() });
            }
        }
        for id in self.tokens.keys() {
            all.note_token(id);
        }
        for id in self.subscriptions.keys() {
            all.note_subscription(id);
        }
        for (subscription, kept) in self.tokens.values().flat_map(|token| &token.last) {
            let (subscription, kept) = (subscription.clone(), kept.clone());
            all.journal.put(|| Record::Notification { subscription, kept });
        }
        let put = |change| match change {
            Change::Put(record) => Some(*record),
            Change::Delete(_) => None,
        };
        let mut records: Vec<_> = all.changes().into_iter().filter_map(put).collect();
        records.sort_by_key(|record| record.key().encode());
        records
    }
}
