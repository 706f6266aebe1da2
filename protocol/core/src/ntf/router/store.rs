//! Every token and subscription of a router, and the journal of what changed.
//!
//! A token is found by its id or by its device, a subscription by its id or by its queue. What survives a restart are [`Record`]s;
//! a store that is [`Store::journaled`] reports each change of one.

use std::collections::{BTreeSet, VecDeque};

use super::records::{Change, Record, RecordKey};
use super::smp::SmpNo;
use crate::crypto::boxes::Nonce;
use crate::crypto::keys::{AuthPublicKey, AuthSecretKey, SharedSecret, X25519Public, X25519Secret};
use crate::journal::Journal;
use crate::ntf::command::{Code, DeviceToken};
use crate::ntf::push::Notification;
use crate::ntf::status::{SubscriptionStatus, TokenStatus};
use crate::tables::{Mixer, Table};
use crate::wire::{EntityId, RouterAddress};

/// A device token and who may use it.
#[derive(Clone, Debug)]
pub struct Token {
    /// Where pushes go to.
    pub device: DeviceToken,
    /// Authorizes the token's commands and its subscriptions'.
    pub key: AuthPublicKey,
    /// The device's key for the encryption of pushes.
    pub device_key: X25519Public,
    /// The router's.
    pub own_key: X25519Secret,
    /// What the two keys give: it encrypts pushes.
    pub secret: SharedSecret,
    /// What the device has to give back.
    pub code: Code,
    /// Its state.
    pub status: TokenStatus,
    /// Minutes between periodic pushes; 0 for none.
    pub period: u16,
    /// When the last of them was taken by the provider, or before the first the period was set, in seconds since 1970.
    pub sent: u64,
    /// Whether any was taken by the provider.
    pub was_sent: bool,
    /// Its subscriptions, by id.
    subscriptions: BTreeSet<EntityId>,
    /// The last notification of each of the subscriptions that were notified last, the oldest first.
    pub(super) last: VecDeque<(EntityId, Kept)>,
}

/// A subscription to a queue's notifications.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The token to whose device notifications are pushed.
    pub token: EntityId,
    /// The number of the queue's SMP router.
    pub router: SmpNo,
    /// The notifier's id there.
    pub notifier: EntityId,
    /// Authorizes NSUB.
    pub key: AuthSecretKey,
    /// Its state.
    pub status: SubscriptionStatus,
    /// Whether it belongs to this router as the SMP router's service: then NSUBS subscribes to it.
    pub by_service: bool,
}

/// A notification that goes with further pushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number among its token's.
    pub number: u64,
    /// When it came, in seconds since 1970.
    pub time: u64,
    /// The nonce of the metadata.
    pub nonce: Nonce,
    /// The metadata.
    pub meta: Box<[u8]>,
}

/// An SMP router that has queues which somebody is notified of.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) address: RouterAddress,
    /// Subscriptions by notifier id.
    queues: Table<EntityId, EntityId>,
    /// What it knows this router as.
    pub(super) service: Option<EntityId>,
}

/// Every token and subscription of a router.
#[derive(Clone, Debug, Default)]
pub struct Store {
    pub(super) tokens: Table<EntityId, Box<Token>>,
    by_device: Table<DeviceToken, Vec<EntityId>>,
    pub(super) subscriptions: Table<EntityId, Box<Subscription>>,
    pub(super) places: Table<SmpNo, Place>,
    number_of: Table<RouterAddress, SmpNo>,
    numbers: u64,
    mixer: Mixer,
    pub(super) journal: Journal<Record, RecordKey>,
}

impl Token {
    /// A token that was just registered.
    #[must_use]
    pub fn new(
        device: DeviceToken,
        key: AuthPublicKey,
        device_key: X25519Public,
        own_key: X25519Secret,
        secret: SharedSecret,
        code: Code,
    ) -> Self {
        let (status, period, sent, was_sent) = (TokenStatus::Registered, 0, 0, false);
        let (subscriptions, last) = (BTreeSet::new(), VecDeque::new());
        Self {
            device,
            key,
            device_key,
            own_key,
            secret,
            code,
            status,
            period,
            sent,
            was_sent,
            subscriptions,
            last,
        }
    }

    /// How many subscriptions it has.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Their ids.
    pub(super) fn subscription_ids(&self) -> Vec<EntityId> {
        self.subscriptions.iter().cloned().collect()
    }
}

impl Store {
    /// The same, with ids mixed with a secret: of devices and queues others choose them.
    pub(super) fn mixed(self, mixer: Mixer) -> Self {
        fn again<K: Eq + std::hash::Hash, V>(table: Table<K, V>, mixer: Mixer) -> Table<K, V> {
            let mut other = Table::with_capacity_and_hasher(table.len(), mixer);
            other.extend(table);
            other
        }
        let places = self.places.into_iter().map(|(number, place)| {
            let queues = again(place.queues, mixer);
            (number, Place { queues, ..place })
        });
        Self {
            tokens: again(self.tokens, mixer),
            by_device: again(self.by_device, mixer),
            subscriptions: again(self.subscriptions, mixer),
            places: places.collect(),
            number_of: again(self.number_of, mixer),
            mixer,
            ..self
        }
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

    /// How many tokens there are.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// A token by its id.
    #[must_use]
    pub fn token(&self, id: &EntityId) -> Option<&Token> {
        self.tokens.get(id).map(|token| &**token)
    }

    /// The ids of all tokens, in order.
    pub fn token_ids(&self) -> impl Iterator<Item = &EntityId> {
        crate::tables::sorted(&self.tokens).map(|(id, _)| id)
    }

    /// The token that was registered for a device with a key (NT-9).
    pub(super) fn registered(&self, device: &DeviceToken, key: &AuthPublicKey) -> Option<&EntityId> {
        let ids = self.by_device.get(device)?;
        ids.iter().find(|id| self.tokens.get(*id).is_some_and(|token| token.key == *key))
    }

    /// Adds a token. `false` if its id is taken, or its device with its key.
    pub(super) fn insert_token(&mut self, id: EntityId, token: Token) -> bool {
        let added = self.add_token(id.clone(), token);
        if added {
            self.note_token(&id);
        }
        added
    }

    pub(super) fn add_token(&mut self, id: EntityId, token: Token) -> bool {
        if self.tokens.contains_key(&id) || self.registered(&token.device, &token.key).is_some() {
            return false;
        }
        self.by_device.entry(token.device.clone()).or_default().push(id.clone());
        self.tokens.insert(id, Box::new(token));
        true
    }

    /// Changes what a token says of itself, but for its device. `false` if there is none.
    pub(super) fn change_token(&mut self, id: &EntityId, change: impl FnOnce(&mut Token)) -> bool {
        let Some(token) = self.tokens.get_mut(id) else { return false };
        let before = (token.status, token.code.clone(), token.period, token.sent, token.was_sent);
        change(token);
        if before != (token.status, token.code.clone(), token.period, token.sent, token.was_sent) {
            self.note_token(id);
        }
        true
    }

    /// Gives a token another device (NT-13). `false` if that is registered with the same key already.
    pub(super) fn replace_device(&mut self, id: &EntityId, device: DeviceToken) -> bool {
        let Some(key) = self.tokens.get(id).map(|token| token.key) else { return false };
        if self.registered(&device, &key).is_some_and(|other| other != id) {
            return false;
        }
        self.leave_device(id);
        self.by_device.entry(device.clone()).or_default().push(id.clone());
        if let Some(token) = self.tokens.get_mut(id) {
            token.device = device;
        }
        self.note_token(id);
        true
    }

    fn leave_device(&mut self, id: &EntityId) {
        let Some(token) = self.tokens.get(id) else { return };
        if let Some(ids) = self.by_device.get_mut(&token.device) {
            ids.retain(|other| other != id);
            if ids.is_empty() {
                self.by_device.remove(&token.device);
            }
        }
    }

    /// The other tokens of a token's device (NT-10).
    pub(super) fn others_of_device(&self, id: &EntityId) -> Vec<EntityId> {
        let ids = self.tokens.get(id).and_then(|token| self.by_device.get(&token.device));
        ids.into_iter().flatten().filter(|other| *other != id).cloned().collect()
    }

    /// Removes a token that has no subscriptions any more. `false` if there is none.
    pub(super) fn remove_token(&mut self, id: &EntityId) -> bool {
        self.leave_device(id);
        let removed = self.tokens.remove(id).is_some();
        if removed {
            self.journal.delete(|| RecordKey::Token(id.clone()));
        }
        removed
    }

    /// A subscription by its id.
    #[must_use]
    pub fn subscription(&self, id: &EntityId) -> Option<&Subscription> {
        self.subscriptions.get(id).map(|subscription| &**subscription)
    }

    /// The subscription to a queue, whoever's it is.
    #[must_use]
    pub fn subscribed(&self, router: &RouterAddress, notifier: &EntityId) -> Option<&EntityId> {
        self.subscribed_at(*self.number_of.get(router)?, notifier)
    }

    /// The same by the SMP router's number.
    pub(super) fn subscribed_at(&self, router: SmpNo, notifier: &EntityId) -> Option<&EntityId> {
        self.places.get(&router)?.queues.get(notifier)
    }

    /// Adds a subscription to a queue at the SMP router of this number. `false` if there is one.
    pub(super) fn insert_subscription(&mut self, id: EntityId, subscription: Subscription) -> bool {
        let added = self.add_subscription(id.clone(), subscription);
        if added {
            self.note_subscription(&id);
        }
        added
    }

    pub(super) fn add_subscription(&mut self, id: EntityId, subscription: Subscription) -> bool {
        let place = self.places.get_mut(&subscription.router);
        let (Some(token), Some(place)) = (self.tokens.get_mut(&subscription.token), place) else {
            return false;
        };
        if self.subscriptions.contains_key(&id) || place.queues.contains_key(&subscription.notifier) {
            return false;
        }
        place.queues.insert(subscription.notifier.clone(), id.clone());
        token.subscriptions.insert(id.clone());
        self.subscriptions.insert(id, Box::new(subscription));
        true
    }

    /// Changes a subscription's state, and whether it is a service's.
    pub(super) fn change_subscription(
        &mut self,
        id: &EntityId,
        status: SubscriptionStatus,
        by_service: bool,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(id) else { return };
        let same = subscription.by_service == by_service
            && (subscription.status == status || subscription.status.subscribes() && status.subscribes());
        (subscription.status, subscription.by_service) = (status, by_service);
        if !same {
            self.note_subscription(id);
        }
    }

    /// Removes a subscription; gives its SMP router and notifier id. `None` if there is none.
    pub(super) fn remove_subscription(&mut self, id: &EntityId) -> Option<(SmpNo, EntityId)> {
        let subscription = self.subscriptions.remove(id)?;
        let Subscription { token, router, notifier, .. } = *subscription;
        if let Some(place) = self.places.get_mut(&router) {
            place.queues.remove(&notifier);
        }
        if let Some(token) = self.tokens.get_mut(&token) {
            token.subscriptions.remove(id);
            if let Some(at) = token.last.iter().position(|(of, _)| of == id) {
                token.last.remove(at);
                self.journal.delete(|| RecordKey::Notification(id.clone()));
            }
        }
        self.journal.delete(|| RecordKey::Subscription(id.clone()));
        Some((router, notifier))
    }

    /// The number of an SMP router, which it gets with its first subscription.
    pub(super) fn place(&mut self, router: &RouterAddress) -> SmpNo {
        if let Some(number) = self.number_of.get(router) {
            return *number;
        }
        self.numbers += 1;
        let number = SmpNo(self.numbers);
        let queues = Table::with_hasher(self.mixer);
        self.number_of.insert(router.clone(), number);
        self.places.insert(number, Place { address: router.clone(), queues, service: None });
        number
    }

    /// Forgets an SMP router without subscriptions. Gives whether it did.
    pub(super) fn leave(&mut self, router: SmpNo) -> bool {
        if self.places.get(&router).is_none_or(|place| !place.queues.is_empty()) {
            return false;
        }
        if let Some(place) = self.places.remove(&router) {
            self.number_of.remove(&place.address);
            if place.service.is_some() {
                self.journal.delete(|| RecordKey::Router(place.address));
            }
        }
        true
    }

    /// The numbers of all SMP routers, in order.
    pub(super) fn routers(&self) -> Vec<SmpNo> {
        crate::tables::sorted(&self.places).map(|(number, _)| *number).collect()
    }

    /// An SMP router's address.
    #[must_use]
    pub fn address(&self, router: SmpNo) -> Option<&RouterAddress> {
        self.places.get(&router).map(|place| &place.address)
    }

    /// The subscriptions at an SMP router, in the order of their ids.
    pub(super) fn subscriptions_at(&self, router: SmpNo) -> Vec<EntityId> {
        let ids = self.places.get(&router).into_iter().flat_map(|place| place.queues.values());
        let mut ids: Vec<_> = ids.cloned().collect();
        ids.sort_unstable();
        ids
    }

    /// What an SMP router knows this router as.
    #[must_use]
    pub fn service(&self, router: SmpNo) -> Option<&EntityId> {
        self.places.get(&router)?.service.as_ref()
    }

    /// Notes what an SMP router knows this router as.
    pub(super) fn set_service(&mut self, router: SmpNo, service: Option<EntityId>) {
        let Some(place) = self.places.get_mut(&router) else { return };
        if place.service == service {
            return;
        }
        place.service = service;
        let address = &place.address;
        match &place.service {
            Some(service) => {
                self.journal.put(|| Record::Router { router: address.clone(), service: service.clone() })
            }
            None => self.journal.delete(|| RecordKey::Router(address.clone())),
        }
    }

    /// Keeps a subscription's notification in the place of its last one, and at most so many of a token, the newest (NT-27,
    /// NT-29). The token, if there is such a subscription of one that is active (NT-28).
    pub(super) fn keep(
        &mut self,
        subscription: &EntityId,
        (time, nonce, meta): (u64, Nonce, Vec<u8>),
        most: usize,
    ) -> Option<EntityId> {
        let id = self.subscriptions.get(subscription)?.token.clone();
        let token = self.tokens.get_mut(&id)?;
        if token.status != TokenStatus::Active {
            return None;
        }
        token.last.retain(|(of, _)| of != subscription);
        let number = token.last.back().map_or(0, |(_, kept)| kept.number + 1);
        let kept = Kept { number, time, nonce, meta: meta.into() };
        self.journal.put(|| Record::Notification { subscription: subscription.clone(), kept: kept.clone() });
        token.last.push_back((subscription.clone(), kept));
        while token.last.len() > most.max(1) {
            if let Some((of, _)) = token.last.pop_front() {
                self.journal.delete(|| RecordKey::Notification(of));
            }
        }
        Some(id)
    }

    /// The notifications that go with a token's next push, the oldest first.
    #[must_use]
    pub fn last(&self, token: &EntityId) -> Vec<Notification> {
        let kept = self.tokens.get(token).into_iter().flat_map(|token| &token.last);
        let notification = |(of, kept): &(EntityId, Kept)| {
            let subscription = self.subscriptions.get(of)?;
            let queue = crate::ntf::command::NotifierQueue {
                router: self.places.get(&subscription.router)?.address.clone(),
                notifier: subscription.notifier.clone(),
            };
            Some(Notification { queue, time: kept.time, nonce: kept.nonce, meta: kept.meta.to_vec() })
        };
        kept.filter_map(notification).collect()
    }
}
