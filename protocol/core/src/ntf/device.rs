//! A device: what it keeps of its token and of the queues that it wants to be notified of, what it asks of a notification router,
//! and what it reads in pushes.
//!
//! It makes no connections. What it asks ([`Ask`]) goes over a [`Client`](super::client::Client), or to a router at the semantic
//! layer; the answer comes back by [`Device::answered`], and what was pushed to the device by [`Device::pushed`].

use std::collections::BTreeMap;

use rand_core::CryptoRng;
use thiserror::Error;

use super::command::{Code, Command, DeviceToken, NewSubscription, NewToken, NotifierQueue};
use super::push::{Notification, Push, PushError};
use super::response::Response;
use super::status::{SubscriptionStatus, TokenStatus};
use crate::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use crate::crypto::{CryptoError, SharedSecret};
use crate::smp::envelope::NotificationMeta;
use crate::smp::error::SmpError;
use crate::wire::EntityId;

/// A command with what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The entity that the command is for.
    pub entity: EntityId,
    /// The command.
    pub command: Command,
    /// The key that authorizes it.
    pub key: AuthSecretKey,
    /// The queue that it is about, if it is about one.
    queue: Option<NotifierQueue>,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The token is registered; its code will be pushed.
    Registered,
    /// The token is active: the router had its code.
    Verified,
    /// The token is replaced; a new code will be pushed.
    Replaced,
    /// The token and its subscriptions are deleted.
    Deleted,
    /// Periodic pushes are set.
    PeriodSet,
    /// The token's state.
    Token(TokenStatus),
    /// The queue is subscribed to.
    Subscribed(NotifierQueue),
    /// The subscription's state.
    Subscription(NotifierQueue, SubscriptionStatus),
    /// The subscription is deleted.
    Unsubscribed(NotifierQueue),
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// A code, which [`Device::verify`] gives back.
    Code,
    /// Messages came: the oldest first.
    Messages(Vec<Noticed>),
    /// Time to look for messages.
    Check,
}

/// A notification, as far as the device can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noticed {
    /// The queue that got a message.
    pub queue: NotifierQueue,
    /// When the notification router learnt of it, in seconds since 1970.
    pub time: u64,
    /// Which message, and when it came.
    pub message: Result<NotificationMeta, Unreadable>,
}

/// Why a notification can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// The device has no such queue.
    #[error("the device has no such queue")]
    Unknown,
    /// The metadata does not decrypt.
    #[error(transparent)]
    Meta(#[from] CryptoError),
}

/// Why an answer or a push leads to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// The router refuses.
    #[error("the router answered ERR {0}")]
    Refused(SmpError),
    /// An answer that does not fit its request.
    #[error("an answer that does not fit")]
    Unexpected,
    /// A push before the token is registered: the device has no secret to open it with. It is kept, and opened then.
    #[error("a push before the token was registered")]
    Early,
    /// A push that can't be read.
    #[error(transparent)]
    Push(#[from] PushError),
}

/// A device.
#[derive(Debug)]
pub struct Device {
    token: DeviceToken,
    key: AuthSecretKey,
    dh_key: X25519Secret,
    /// The token's id, and the secret between the router and the device.
    registered: Option<(EntityId, SharedSecret)>,
    code: Option<Code>,
    status: Option<TokenStatus>,
    queues: BTreeMap<NotifierQueue, Queue>,
    /// A push that came too early.
    early: Option<Vec<u8>>,
}

/// A queue that the device wants to be notified of.
#[derive(Debug)]
struct Queue {
    /// Authorizes NSUB: the secret side of the key in NKEY.
    key: AuthSecretKey,
    /// Between the SMP router and the queue's recipient: of the keys in NKEY and NID.
    secret: SharedSecret,
    subscription: Option<EntityId>,
    status: Option<SubscriptionStatus>,
}

impl Device {
    /// A device whose provider knows it by this token. `rng` makes its keys.
    pub fn new(token: DeviceToken, key_type: KeyType, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::with_keys(token, AuthSecretKey::generate(key_type, rng), X25519Secret::generate(rng))
    }

    /// The same with keys that it has: the one that authorizes its commands, and the one for the encryption of pushes.
    #[must_use]
    pub fn with_keys(token: DeviceToken, key: AuthSecretKey, dh_key: X25519Secret) -> Self {
        let (registered, code, status, early) = (None, None, None, None);
        Self { token, key, dh_key, registered, code, status, queues: BTreeMap::new(), early }
    }

    /// The device's token.
    #[must_use]
    pub fn token(&self) -> &DeviceToken {
        &self.token
    }

    /// The token's id at the router, if it is registered.
    #[must_use]
    pub fn id(&self) -> Option<&EntityId> {
        self.registered.as_ref().map(|(id, _)| id)
    }

    /// The token's state, as far as the device was told.
    #[must_use]
    pub fn status(&self) -> Option<TokenStatus> {
        self.status
    }

    /// A subscription's state, as far as the device was told: `New` once it is made.
    #[must_use]
    pub fn subscription_status(&self, queue: &NotifierQueue) -> Option<&SubscriptionStatus> {
        self.queues.get(queue)?.status.as_ref()
    }

    /// Wants to be notified of a queue: `key` is the secret side of the key in its NKEY, `secret` that between the key in NKEY
    /// and the one in NID.
    pub fn watch(&mut self, queue: NotifierQueue, key: AuthSecretKey, secret: SharedSecret) {
        self.queues.insert(queue, Queue { key, secret, subscription: None, status: None });
    }

    /// The queues that are wanted and have no subscription.
    pub fn unsubscribed(&self) -> impl Iterator<Item = &NotifierQueue> {
        self.queues.iter().filter(|(_, queue)| queue.subscription.is_none()).map(|(name, _)| name)
    }

    /// Registers the token. To be repeated as it is when no answer came (NT-9).
    #[must_use]
    pub fn register(&self) -> Ask {
        let (device, auth_key, dh_key) = (self.token.clone(), self.key.public(), self.dh_key.public());
        let command = Command::TNew(Box::new(NewToken { device, auth_key, dh_key }));
        self.ask(EntityId::EMPTY, command, None)
    }

    fn ask(&self, entity: EntityId, command: Command, queue: Option<NotifierQueue>) -> Ask {
        Ask { entity, command, key: self.key.clone(), queue }
    }

    fn ask_of_token(&self, command: Command) -> Option<Ask> {
        Some(self.ask(self.id()?.clone(), command, None))
    }

    /// Gives the code back that was pushed. `None` before it was.
    #[must_use]
    pub fn verify(&self) -> Option<Ask> {
        self.ask_of_token(Command::TVfy(self.code.clone()?))
    }

    /// Asks for the token's state. `None` before it is registered; so for the ones below.
    #[must_use]
    pub fn check(&self) -> Option<Ask> {
        self.ask_of_token(Command::TChk)
    }

    /// Replaces the token: the provider gave the device another one.
    #[must_use]
    pub fn replace(&self, token: DeviceToken) -> Option<Ask> {
        self.ask_of_token(Command::TRpl(token))
    }

    /// Deletes the token.
    #[must_use]
    pub fn delete(&self) -> Option<Ask> {
        self.ask_of_token(Command::TDel)
    }

    /// Has a push made every so many minutes, 20 or more; 0 for none.
    #[must_use]
    pub fn set_period(&self, minutes: u16) -> Option<Ask> {
        self.ask_of_token(Command::TCrn(minutes))
    }

    /// Subscribes to a queue that is wanted. The token has to be active.
    #[must_use]
    pub fn subscribe(&self, queue: &NotifierQueue) -> Option<Ask> {
        let key = self.queues.get(queue)?.key.clone();
        let new = NewSubscription { token: self.id()?.clone(), queue: queue.clone(), key };
        Some(self.ask(EntityId::EMPTY, Command::SNew(Box::new(new)), Some(queue.clone())))
    }

    fn ask_of_queue(&self, queue: &NotifierQueue, command: Command) -> Option<Ask> {
        let entity = self.queues.get(queue)?.subscription.clone()?;
        Some(self.ask(entity, command, Some(queue.clone())))
    }

    /// Asks for a subscription's state. `None` without one.
    #[must_use]
    pub fn check_subscription(&self, queue: &NotifierQueue) -> Option<Ask> {
        self.ask_of_queue(queue, Command::SChk)
    }

    /// Deletes a subscription. `None` without one.
    #[must_use]
    pub fn unsubscribe(&self, queue: &NotifierQueue) -> Option<Ask> {
        self.ask_of_queue(queue, Command::SDel)
    }

    /// Takes the answer to something that was asked.
    ///
    /// # Errors
    /// [`DeviceError::Refused`], [`DeviceError::Unexpected`].
    pub fn answered(&mut self, asked: &Ask, answer: Response) -> Result<Answered, DeviceError> {
        let answered = match (&asked.command, answer, &asked.queue) {
            (_, Response::Err(error), _) => return Err(DeviceError::Refused(error)),
            (Command::TNew(_), Response::IdTkn { id, dh_key }, _) => {
                self.registered = Some((id, self.dh_key.dh(&dh_key)));
                self.status = Some(TokenStatus::Registered);
                if let Some(early) = self.early.take() {
                    // What is not for this device was not its code.
                    let _ = self.pushed(&early);
                }
                Answered::Registered
            }
            (Command::TVfy(_), Response::Ok, _) => {
                self.status = Some(TokenStatus::Active);
                Answered::Verified
            }
            (Command::TRpl(token), Response::Ok, _) => {
                self.token = token.clone();
                (self.status, self.code) = (Some(TokenStatus::Registered), None);
                Answered::Replaced
            }
            (Command::TDel, Response::Ok, _) => {
                (self.registered, self.status, self.code) = (None, None, None);
                for queue in self.queues.values_mut() {
                    (queue.subscription, queue.status) = (None, None);
                }
                Answered::Deleted
            }
            (Command::TCrn(_), Response::Ok, _) => Answered::PeriodSet,
            (Command::TChk, Response::Tkn(status), _) => {
                self.status = Some(status);
                Answered::Token(status)
            }
            (Command::SNew(_), Response::IdSub(id), Some(name)) => {
                let queue = self.queues.get_mut(name).ok_or(DeviceError::Unexpected)?;
                (queue.subscription, queue.status) = (Some(id), Some(SubscriptionStatus::New));
                Answered::Subscribed(name.clone())
            }
            (Command::SChk, Response::Sub(status), Some(name)) => {
                let queue = self.queues.get_mut(name).ok_or(DeviceError::Unexpected)?;
                queue.status = Some(status.clone());
                Answered::Subscription(name.clone(), status)
            }
            (Command::SDel, Response::Ok, Some(name)) => {
                self.queues.remove(name);
                Answered::Unsubscribed(name.clone())
            }
            _ => return Err(DeviceError::Unexpected),
        };
        Ok(answered)
    }

    /// Takes the body of what was pushed to the device.
    ///
    /// # Errors
    /// [`DeviceError::Early`], [`DeviceError::Push`].
    pub fn pushed(&mut self, body: &[u8]) -> Result<Pushed, DeviceError> {
        let Some((_, secret)) = &self.registered else {
            self.early = Some(body.to_vec());
            return Err(DeviceError::Early);
        };
        let push = Push::open(body, secret)?;
        Ok(self.read(push))
    }

    /// The same for a push that is not sealed, of a router without cryptography. Its metadata is, if its SMP router's is.
    pub fn read(&mut self, push: Push) -> Pushed {
        match push {
            Push::Verification(code) => {
                self.code = Some(code);
                Pushed::Code
            }
            Push::Messages(list) => {
                Pushed::Messages(list.into_iter().map(|notification| self.notice(notification)).collect())
            }
            Push::CheckMessages => Pushed::Check,
        }
    }

    fn notice(&self, Notification { queue, time, nonce, meta }: Notification) -> Noticed {
        let message = match self.queues.get(&queue) {
            Some(known) => NotificationMeta::open(&known.secret, &nonce, &meta).map_err(Unreadable::from),
            None => Err(Unreadable::Unknown),
        };
        Noticed { queue, time, message }
    }
}
