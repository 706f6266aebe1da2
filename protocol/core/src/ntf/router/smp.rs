//! SMP routers at which this router is the notifier of queues: connecting, subscribing, and what they tell (NT-21, NT-24, NT-25).
//!
//! The router asks whoever runs it by [`SmpAsk`] and is told by [`SmpTold`]. One batch of subscriptions is asked for at a time; the
//! next when all of it is answered.

use std::collections::BTreeSet;

use super::{Router, RouterEvent};
use crate::crypto::boxes::Nonce;
use crate::crypto::keys::AuthSecretKey;
use crate::ntf::push::Push;
use crate::ntf::status::SubscriptionStatus;
use crate::retry::Attempts;
use crate::smp::command::ServiceQueues;
use crate::smp::error::{BrokerError, ProxyError, SmpError};
use crate::smp::router::combine;
use crate::wire::{EntityId, RouterAddress};

/// The number of an SMP router, unique within one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SmpNo(pub u64);

/// What the router asks of whoever runs it, of an SMP router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmpAsk {
    /// Connect, and say [`SmpTold::Connected`] or [`SmpTold::Lost`].
    Connect {
        /// Where to.
        address: RouterAddress,
        /// Whether to present this router as a service, in the role of notifications.
        as_service: bool,
    },
    /// Give NSUB for each of these, and say [`SmpTold::Subscribed`] for each.
    Subscribe(Vec<SmpQueue>),
    /// Give NSUBS for all queues of this service, and say [`SmpTold::ServiceSubscribed`].
    SubscribeService(ServiceQueues),
    /// Close the connection, without saying [`SmpTold::Lost`].
    Disconnect,
}

/// A queue to subscribe to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmpQueue {
    /// Its notifier's id.
    pub notifier: EntityId,
    /// Authorizes NSUB.
    pub key: AuthSecretKey,
}

/// What the router is told of an SMP router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmpTold {
    /// There is a session.
    Connected {
        /// What the SMP router knows this router as, if it was presented as a service and is one there.
        service: Option<EntityId>,
    },
    /// There is none, or none any more.
    Lost,
    /// The answer to a NSUB.
    Subscribed {
        /// The queue's notifier.
        notifier: EntityId,
        /// The answer.
        answer: Answer,
    },
    /// The answer to NSUBS.
    ServiceSubscribed(Result<ServiceQueues, SmpError>),
    /// NMSG.
    Notified {
        /// The queue's notifier.
        notifier: EntityId,
        /// The nonce of the metadata.
        nonce: Nonce,
        /// The metadata.
        meta: Vec<u8>,
    },
    /// END: another connection subscribed.
    End(EntityId),
    /// DELD: the queue or its notifier was deleted.
    Deld(EntityId),
}

/// The answer to a NSUB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// SOK, with the service that the notifier belongs to now, or OK.
    Subscribed(Option<EntityId>),
    /// ERR.
    Refused(SmpError),
    /// What is no answer to a NSUB; as text.
    Unexpected(String),
    /// None in time.
    Unanswered,
}

/// One SMP router, as far as it does not survive a restart.
#[derive(Debug, Default)]
pub(super) struct Smp {
    link: Link,
    /// Subscriptions that are to be asked for, by id.
    waiting: BTreeSet<EntityId>,
    /// Those that were asked for and have no answer, by notifier.
    asked: BTreeSet<EntityId>,
    /// When what was asked for counts as unanswered.
    deadline: Option<u64>,
    /// Whether NSUBS is to be asked for.
    service_waits: bool,
    /// Whether it was lost before: batches are other ones then.
    again: bool,
    attempts: Attempts,
    /// When to try again.
    retry: Option<u64>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Link {
    #[default]
    Closed,
    Connecting,
    Open {
        service: Option<EntityId>,
    },
}

impl Router {
    /// Begins the regular checks, and subscribes to all queues of an earlier run (NT-24). To be called once, before anything
    /// else.
    pub fn start(&mut self, now: u64) {
        self.schedule_checks(now);
        for no in self.store.routers() {
            if self.store.leave(no) {
                continue;
            }
            for id in self.store.subscriptions_at(no) {
                self.subscribe_later(no, &id, SubscriptionStatus::Pending);
            }
            let known = self.store.service(no).is_some();
            let smp = self.smp.entry(no).or_default();
            smp.service_waits = known && self.config.service;
            self.pursue(no, now);
        }
    }

    /// Has a subscription asked for, unless NSUBS does it or its state forbids it.
    fn subscribe_later(&mut self, no: SmpNo, id: &EntityId, status: SubscriptionStatus) {
        let Some(subscription) = self.store.subscription(id) else { return };
        if !subscription.status.subscribes() || (subscription.by_service && self.config.service) {
            return;
        }
        let by_service = subscription.by_service;
        self.store.change_subscription(id, status, by_service);
        self.smp.entry(no).or_default().waiting.insert(id.clone());
    }

    /// A subscription was made.
    pub(super) fn subscribe(&mut self, no: SmpNo, id: EntityId, now: u64) {
        self.smp.entry(no).or_default().waiting.insert(id);
        self.pursue(no, now);
    }

    /// A subscription is gone. The SMP router is not told; it goes on notifying until the connection ends (NT-20).
    pub(super) fn unsubscribe(&mut self, no: SmpNo, id: &EntityId, notifier: &EntityId, now: u64) {
        if let Some(smp) = self.smp.get_mut(&no) {
            smp.waiting.remove(id);
            smp.asked.remove(notifier);
        }
        if self.store.leave(no) {
            // Nobody is notified of anything there any more. The deployed router keeps the connection.
            let open = self.smp.remove(&no).is_some_and(|smp| smp.link != Link::Closed);
            self.forget_smp(no);
            if open {
                self.events.push_back(RouterEvent::Smp(no, SmpAsk::Disconnect));
            }
        } else {
            self.pursue(no, now);
        }
    }

    /// No event names an SMP router that is gone.
    fn forget_smp(&mut self, no: SmpNo) {
        self.events.retain(|event| !matches!(event, RouterEvent::Smp(of, _) if *of == no));
        self.retries.retain(|(_, of)| *of != no);
    }

    /// Does what is next with an SMP router, if nothing is under way.
    fn pursue(&mut self, no: SmpNo, now: u64) {
        let Some(smp) = self.smp.get_mut(&no) else { return };
        let asked = match &smp.link {
            Link::Connecting => return,
            Link::Closed => {
                if smp.retry.is_some() || (smp.waiting.is_empty() && !smp.service_waits) {
                    return;
                }
                let Some(address) = self.store.address(no) else { return };
                smp.link = Link::Connecting;
                SmpAsk::Connect { address: address.clone(), as_service: self.config.service }
            }
            Link::Open { service } => {
                if !smp.asked.is_empty() || smp.retry.is_some() {
                    return;
                }
                if smp.service_waits && service.is_some() {
                    smp.service_waits = false;
                    SmpAsk::SubscribeService(service_queues(&self.store, no))
                } else if smp.waiting.is_empty() {
                    return;
                } else {
                    let most = if smp.again { self.config.reconnect_batch } else { self.config.start_batch };
                    let mut queues = Vec::new();
                    while queues.len() < most.max(1)
                        && let Some(id) = smp.waiting.pop_first()
                    {
                        let Some(subscription) = self.store.subscription(&id) else { continue };
                        let (notifier, key) = (subscription.notifier.clone(), subscription.key.clone());
                        smp.asked.insert(notifier.clone());
                        queues.push(SmpQueue { notifier, key });
                    }
                    let deadline = now.saturating_add(self.config.subscribe_timeout);
                    smp.deadline = Some(deadline);
                    self.retries.insert((deadline, no));
                    SmpAsk::Subscribe(queues)
                }
            }
        };
        let more = matches!(asked, SmpAsk::SubscribeService(_));
        self.statistics.asked(&asked);
        self.events.push_back(RouterEvent::Smp(no, asked));
        if more {
            self.pursue(no, now);
        }
    }

    /// Something was learnt of an SMP router.
    pub fn smp(&mut self, no: SmpNo, told: SmpTold, now: u64) {
        if !self.smp.contains_key(&no) {
            return;
        }
        match told {
            SmpTold::Connected { service } => self.smp_connected(no, service, now),
            SmpTold::Lost => self.smp_lost(no, now),
            SmpTold::Subscribed { notifier, answer } => self.smp_subscribed(no, &notifier, answer, now),
            SmpTold::ServiceSubscribed(answer) => {
                // Another count or hash than expected is not acted upon: the deployed router writes it to its log.
                if let Err(error) = answer
                    && service_refused(&error)
                {
                    self.leave_service(no, now);
                }
            }
            SmpTold::Notified { notifier, nonce, meta } => self.notified(no, &notifier, nonce, meta, now),
            SmpTold::End(notifier) => self.ended(no, &notifier, SubscriptionStatus::End),
            SmpTold::Deld(notifier) => self.ended(no, &notifier, SubscriptionStatus::Deleted),
        }
    }

    fn smp_connected(&mut self, no: SmpNo, service: Option<EntityId>, now: u64) {
        let service = service.filter(|_| self.config.service);
        let Some(smp) = self.smp.get_mut(&no) else { return };
        smp.link = Link::Open { service: service.clone() };
        (smp.retry, smp.attempts) = (None, Attempts::default());
        if self.config.service && self.store.service(no) != service.as_ref() {
            // It is another service there now, or none: what was the old one's is subscribed to one by one.
            self.store.set_service(no, service);
            self.leave_service(no, now);
        }
        self.pursue(no, now);
    }

    /// The queues of the service at an SMP router are the service's no more.
    fn leave_service(&mut self, no: SmpNo, now: u64) {
        for id in self.store.subscriptions_at(no) {
            let of_service = self.store.subscription(&id).filter(|subscription| subscription.by_service);
            let Some(status) = of_service.map(|subscription| subscription.status.clone()) else { continue };
            let status = if status.subscribes() { SubscriptionStatus::Inactive } else { status };
            self.store.change_subscription(&id, status, false);
            self.subscribe_later(no, &id, SubscriptionStatus::Inactive);
        }
        if let Some(smp) = self.smp.get_mut(&no) {
            smp.service_waits = false;
        }
        self.pursue(no, now);
    }

    fn smp_lost(&mut self, no: SmpNo, now: u64) {
        let known = self.store.service(no).is_some();
        let Some(smp) = self.smp.get_mut(&no) else { return };
        let was = std::mem::take(&mut smp.link);
        smp.asked.clear();
        smp.deadline = None;
        smp.service_waits = known && self.config.service;
        if was == Link::Closed {
            return;
        }
        if let Link::Open { .. } = was {
            smp.again = true;
            for id in self.store.subscriptions_at(no) {
                let active =
                    self.store.subscription(&id).is_some_and(|of| of.status == SubscriptionStatus::Active);
                let status = if active {
                    SubscriptionStatus::Inactive
                } else {
                    self.store.subscription(&id).map_or(SubscriptionStatus::Inactive, |of| of.status.clone())
                };
                self.subscribe_later(no, &id, status);
            }
            // The first attempt is at once.
            self.pursue(no, now);
        } else {
            self.retry_later(no, now);
        }
    }

    fn retry_later(&mut self, no: SmpNo, now: u64) {
        let Some(smp) = self.smp.get_mut(&no) else { return };
        if let Some(at) = smp.retry.take() {
            self.retries.remove(&(at, no));
        }
        let at = now.saturating_add(smp.attempts.next(&self.config.reconnect));
        smp.retry = Some(at);
        self.retries.insert((at, no));
    }

    fn smp_subscribed(&mut self, no: SmpNo, notifier: &EntityId, answer: Answer, now: u64) {
        let Some(smp) = self.smp.get_mut(&no) else { return };
        // A late answer was given up on.
        if !smp.asked.remove(notifier) {
            return;
        }
        let own = match &smp.link {
            Link::Open { service } => service.clone(),
            Link::Closed | Link::Connecting => None,
        };
        let done = smp.asked.is_empty();
        if done && let Some(deadline) = smp.deadline.take() {
            self.retries.remove(&(deadline, no));
        }
        if let Some(id) = self.store.subscribed_at(no, notifier).cloned() {
            let by_service =
                matches!(&answer, Answer::Subscribed(service) if service.is_some() && *service == own);
            match status_of(answer) {
                Some(status) => self.store.change_subscription(&id, status, by_service),
                None => {
                    smp.waiting.insert(id);
                    self.retry_later(no, now);
                }
            }
        }
        if done {
            self.pursue(no, now);
        }
    }

    /// A queue's notifications end.
    fn ended(&mut self, no: SmpNo, notifier: &EntityId, status: SubscriptionStatus) {
        let Some(id) = self.store.subscribed_at(no, notifier).cloned() else { return };
        if let Some(smp) = self.smp.get_mut(&no) {
            smp.waiting.remove(&id);
        }
        let by_service = self.store.subscription(&id).is_some_and(|subscription| subscription.by_service);
        self.store.change_subscription(&id, status, by_service);
    }

    /// NMSG: what came is kept, and pushed with the others that are.
    fn notified(&mut self, no: SmpNo, notifier: &EntityId, nonce: Nonce, meta: Vec<u8>, now: u64) {
        self.statistics.notified += 1;
        let most = self.config.notifications;
        let kept = self.store.subscribed_at(no, notifier).cloned();
        let kept = kept.and_then(|id| self.store.keep(&id, (now / super::SECOND, nonce, meta), most));
        match kept {
            Some(token) => self.push(&token, Push::Messages(self.store.last(&token)), now),
            None => self.statistics.unwanted += 1,
        }
    }

    /// Tries again what is to be tried again at `now`.
    pub(super) fn smp_timeouts(&mut self, now: u64) {
        while let Some(&(at, no)) = self.retries.first()
            && at <= now
        {
            self.retries.remove(&(at, no));
            let Some(smp) = self.smp.get_mut(&no) else { continue };
            if smp.retry == Some(at) {
                smp.retry = None;
            }
            if smp.deadline == Some(at) {
                smp.deadline = None;
                for notifier in std::mem::take(&mut smp.asked) {
                    smp.waiting.extend(self.store.subscribed_at(no, &notifier).cloned());
                }
                self.retry_later(no, now);
            }
            self.pursue(no, now);
        }
    }
}

/// The state that an answer leads to; `None`: it is to be asked for again.
fn status_of(answer: Answer) -> Option<SubscriptionStatus> {
    match answer {
        Answer::Subscribed(_) => Some(SubscriptionStatus::Active),
        Answer::Refused(SmpError::Auth) => Some(SubscriptionStatus::Auth),
        Answer::Refused(SmpError::Service) => Some(SubscriptionStatus::Service),
        Answer::Refused(error) => Some(told_as(format!("SMP error {error}"))),
        Answer::Unexpected(text) => Some(told_as(format!("UnexpectedResponse {text}"))),
        Answer::Unanswered => None,
    }
}

/// An error's text, as much of it as is sure to fit into a block.
fn told_as(mut text: String) -> SubscriptionStatus {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    SubscriptionStatus::Err(text)
}

/// Whether an answer to NSUBS means that the service is none there.
fn service_refused(error: &SmpError) -> bool {
    matches!(error, SmpError::Service | SmpError::Proxy(ProxyError::Broker(BrokerError::NoService)))
}

/// How many queues are the service's at an SMP router, and the hash of their ids (SV-14).
fn service_queues(store: &super::Store, no: SmpNo) -> ServiceQueues {
    let mut queues = ServiceQueues { count: 0, hash: [0; 16] };
    for id in store.subscriptions_at(no) {
        let subscription = store.subscription(&id);
        if let Some(of) = subscription.filter(|of| of.by_service && of.status.subscribes()) {
            queues.count += 1;
            combine(&mut queues.hash, &of.notifier);
        }
    }
    queues
}
