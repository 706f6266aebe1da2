//! What each command does.
//!
//! All commands of a block are looked at before the first is carried out ([`Router::resolve`]): what a command finds of its token or
//! subscription is what it was then, as in the deployed router.

use super::store::{Subscription, Token};
use super::verify::Accepted;
use super::{Router, SECOND};
use crate::crypto::keys::{AuthPublicKey, SharedSecret, X25519Public, X25519Secret};
use crate::ntf::command::{Code, Command, DeviceToken, NewSubscription, NewToken};
use crate::ntf::push::Push;
use crate::ntf::response::Response;
use crate::ntf::status::{SubscriptionStatus, TokenStatus};
use crate::smp::error::{CommandError, SmpError};
use crate::wire::EntityId;

/// What a command is about, as it was when the command came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Nothing: PING, and TNEW and SNEW of what is not there yet.
    Nothing,
    /// A token.
    Token { id: EntityId, status: TokenStatus, code: Code },
    /// A subscription.
    Subscription { id: EntityId, status: SubscriptionStatus },
}

const PROHIBITED: Response = Response::Err(SmpError::Command(CommandError::Prohibited));
const AUTH: Response = Response::Err(SmpError::Auth);
const QUOTA: Response = Response::Err(SmpError::Quota);

impl Router {
    /// What a command is about, and the key that authorizes it; for PING none. `None` for what is not there, or must not be known.
    pub(super) fn resolve(
        &self,
        entity: &EntityId,
        command: &Command,
    ) -> Option<(Target, Option<AuthPublicKey>)> {
        let of_token = |id: &EntityId| {
            let token = self.store.token(id)?;
            let (status, code) = (token.status, token.code.clone());
            Some((Target::Token { id: id.clone(), status, code }, Some(token.key)))
        };
        match command {
            Command::Ping => Some((Target::Nothing, None)),
            Command::TNew(new) => match self.store.registered(&new.device, &new.auth_key) {
                Some(id) => of_token(id),
                None => Some((Target::Nothing, Some(new.auth_key))),
            },
            Command::TVfy(_) | Command::TChk | Command::TRpl(_) | Command::TDel | Command::TCrn(_) => {
                of_token(entity)
            }
            Command::SNew(new) => {
                let token = self.store.token(&new.token).filter(|token| token.status.subscribes())?;
                match self.store.subscribed(&new.queue.router, &new.queue.notifier) {
                    None => Some((Target::Nothing, Some(token.key))),
                    // Another token's queue is nobody's business (NT-18).
                    Some(id) => {
                        let found = self.store.subscription(id)?;
                        let (id, status) = (id.clone(), found.status.clone());
                        (found.token == new.token)
                            .then_some((Target::Subscription { id, status }, Some(token.key)))
                    }
                }
            }
            Command::SChk | Command::SDel => {
                let found = self.store.subscription(entity)?;
                let token = self.store.token(&found.token).filter(|token| token.status.subscribes())?;
                let (id, status) = (entity.clone(), found.status.clone());
                Some((Target::Subscription { id, status }, Some(token.key)))
            }
        }
    }

    /// Carries out a command.
    pub(super) fn execute(&mut self, accepted: Accepted, now: u64) -> Response {
        match (accepted.command, accepted.target) {
            (Command::Ping, _) => Response::Pong,
            (Command::TNew(new), Target::Nothing) => self.register(*new, now),
            (Command::TNew(new), Target::Token { id, status, .. }) => {
                self.register_again(&new, &id, status, now)
            }
            (Command::TVfy(given), Target::Token { id, status, code }) => {
                let right = status.takes_code() && given == code;
                if right { self.verified(&id, now) } else { AUTH }
            }
            (Command::TChk, Target::Token { status, .. }) => Response::Tkn(status),
            (Command::TRpl(device), Target::Token { id, .. }) => self.replace(device, &id, now),
            (Command::TDel, Target::Token { id, .. }) => {
                if self.delete_token(&id, now) {
                    self.statistics.tokens_deleted += 1;
                    Response::Ok
                } else {
                    AUTH
                }
            }
            (Command::TCrn(minutes), Target::Token { id, .. }) => self.set_period(&id, minutes, now),
            (Command::SNew(new), Target::Nothing) => self.subscribe_new(*new, now),
            (Command::SNew(new), Target::Subscription { id, .. }) => {
                let same = self.store.subscription(&id).is_some_and(|known| known.key == new.key);
                if same { Response::IdSub(id) } else { AUTH }
            }
            (Command::SChk, Target::Subscription { status, .. }) => Response::Sub(status),
            (Command::SDel, Target::Subscription { id, .. }) => match self.store.remove_subscription(&id) {
                Some((no, notifier)) => {
                    self.unsubscribe(no, &id, &notifier, now);
                    self.statistics.subscriptions_deleted += 1;
                    Response::Ok
                }
                None => AUTH,
            },
            // Nothing else is resolved to such a target.
            _ => Response::Err(SmpError::Internal),
        }
    }

    fn fresh_code(&mut self) -> Code {
        Code::from(self.random::<32>())
    }

    /// The router's key for a device's, and what the two give; at the semantic layer, where nobody looks at them, constants.
    fn keys_for(&mut self, device_key: &X25519Public) -> (X25519Secret, SharedSecret) {
        if self.semantic {
            return (X25519Secret::from_bytes([1; 32]), SharedSecret::from_bytes([1; 32]));
        }
        let own = X25519Secret::generate(&mut self.rng);
        let secret = own.dh(device_key);
        (own, secret)
    }

    /// TNEW of a token that is not known (NT-6 to NT-8).
    fn register(&mut self, new: NewToken, now: u64) -> Response {
        if !self.allows(new.device.provider) {
            return PROHIBITED;
        }
        if self.store.tokens() >= self.config.tokens {
            return QUOTA;
        }
        let NewToken { device, auth_key, dh_key } = new;
        let (own, secret) = self.keys_for(&dh_key);
        let (id, code) = (EntityId::from(self.random::<24>()), self.fresh_code());
        let dh = self.public_of(&own);
        let token = Token::new(device, auth_key, dh_key, own, secret, code.clone());
        // The same block may have registered it already.
        if !self.store.insert_token(id.clone(), token) {
            return AUTH;
        }
        self.statistics.tokens_registered += 1;
        self.push(&id, Push::Verification(code), now);
        Response::IdTkn { id, dh_key: dh }
    }

    /// TNEW of a token that is registered with this key (NT-9).
    fn register_again(&mut self, new: &NewToken, id: &EntityId, status: TokenStatus, now: u64) -> Response {
        if !self.allows(new.device.provider) {
            return PROHIBITED;
        }
        let Some(token) = self.store.token(id) else { return AUTH };
        // With another key the device could not open a push that is still under way.
        if token.device_key != new.dh_key {
            return AUTH;
        }
        let (own, code) = (token.own_key.clone(), token.code.clone());
        if !status.takes_code() {
            self.store.change_token(id, |token| token.status = TokenStatus::Registered);
        }
        self.push(id, Push::Verification(code), now);
        Response::IdTkn { id: id.clone(), dh_key: self.public_of(&own) }
    }

    /// TVFY with the right code: the device gets what is pushed to this token, so no other record of it stays (NT-10, NT-11).
    fn verified(&mut self, id: &EntityId, now: u64) -> Response {
        if !self.store.change_token(id, |token| token.status = TokenStatus::Active) {
            return AUTH;
        }
        for other in self.store.others_of_device(id) {
            self.delete_token(&other, now);
        }
        self.statistics.tokens_verified += 1;
        Response::Ok
    }

    /// TRPL (NT-13).
    fn replace(&mut self, device: DeviceToken, id: &EntityId, now: u64) -> Response {
        if !self.allows(device.provider) {
            return PROHIBITED;
        }
        if self.store.token(id).is_none() {
            return AUTH;
        }
        if !self.store.replace_device(id, device) {
            return Response::Err(SmpError::Store(
                "this device token is registered with this key".to_owned(),
            ));
        }
        let code = self.fresh_code();
        self.store.change_token(id, |token| {
            token.status = TokenStatus::Registered;
            token.code = code.clone();
        });
        self.statistics.tokens_replaced += 1;
        self.push(id, Push::Verification(code), now);
        Response::Ok
    }

    /// Removes a token and its subscriptions (NT-14). `false` if there is none.
    fn delete_token(&mut self, id: &EntityId, now: u64) -> bool {
        let Some(token) = self.store.token(id) else { return false };
        for subscription in token.subscription_ids() {
            if let Some((no, notifier)) = self.store.remove_subscription(&subscription) {
                self.unsubscribe(no, &subscription, &notifier, now);
            }
        }
        self.store.remove_token(id)
    }

    /// TCRN (NT-15).
    fn set_period(&mut self, id: &EntityId, minutes: u16, now: u64) -> Response {
        if minutes != 0 && minutes < self.config.least_period {
            return QUOTA;
        }
        let set = self.store.change_token(id, |token| {
            if token.period == 0 && !token.was_sent {
                token.sent = now / SECOND;
            }
            token.period = minutes;
        });
        if set { Response::Ok } else { AUTH }
    }

    /// SNEW of a queue that nobody is subscribed to (NT-17, NT-18).
    fn subscribe_new(&mut self, new: NewSubscription, now: u64) -> Response {
        let NewSubscription { token, queue, key } = new;
        let Some(count) = self.store.token(&token).map(Token::subscriptions) else { return AUTH };
        if count >= self.config.subscriptions_per_token {
            return QUOTA;
        }
        let id = EntityId::from(self.random::<24>());
        let router = self.store.place(&queue.router);
        let (notifier, status, by_service) = (queue.notifier, SubscriptionStatus::New, false);
        let subscription = Subscription { token, router, notifier, key, status, by_service };
        // The same block may have made it already.
        if !self.store.insert_subscription(id.clone(), subscription) {
            self.store.leave(router);
            return AUTH;
        }
        self.statistics.subscriptions_made += 1;
        self.subscribe(router, id.clone(), now);
        Response::IdSub(id)
    }
}
