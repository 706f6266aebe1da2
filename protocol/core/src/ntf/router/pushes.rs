//! Pushes: what the provider is asked to deliver, and what follows from its answer (NT-32, NT-33).

use super::{Router, RouterEvent, SECOND};
use crate::crypto::boxes::random_nonce;
use crate::ntf::command::{DeviceToken, Provider};
use crate::ntf::push::Push;
use crate::ntf::status::{InvalidReason, TokenStatus};
use crate::wire::EntityId;

/// The number of a push, unique within one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PushNo(pub u64);

/// A push that the provider is to be asked for. [`Router::pushed`] is to be told what it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRequest {
    /// Its number.
    pub number: PushNo,
    /// Whom to.
    pub device: DeviceToken,
    /// What the provider is given.
    pub body: PushBody,
    /// Whether the device's user is not shown it.
    pub background: bool,
    /// Whether this is the second attempt, for which there has to be a new connection to the provider.
    pub again: bool,
}

/// What the provider is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushBody {
    /// The request's body.
    Sealed(String),
    /// What would be in it, in a router without cryptography.
    Bare(Push),
}

impl PushBody {
    /// Bytes of the request's body.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            PushBody::Sealed(body) => body.len(),
            PushBody::Bare(push) => push.size(),
        }
    }
}

/// What came of asking a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushAnswer {
    /// It answered, with this HTTP status and the reason in the answer's JSON, if there is one.
    Answered {
        /// The status.
        status: u16,
        /// The reason.
        reason: String,
    },
    /// It could not be reached, or gave no answer.
    Unreachable,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The push is delivered, or will be.
    Accepted,
    /// The device token is not valid.
    Invalid(InvalidReason),
    /// Try once more.
    Again,
    /// No use to try again; of the token this says nothing.
    Refused,
}

impl PushAnswer {
    /// The provider took the push.
    pub const ACCEPTED: Self = Self::Answered { status: 200, reason: String::new() };

    /// What the answer means (NT-32).
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let Self::Answered { status, reason } = self else { return Verdict::Again };
        match (status, reason.as_str()) {
            (200, _) => Verdict::Accepted,
            (400, "BadDeviceToken") => Verdict::Invalid(InvalidReason::Bad),
            (400, "DeviceTokenNotForTopic") => Verdict::Invalid(InvalidReason::Topic),
            (410, "ExpiredToken") => Verdict::Invalid(InvalidReason::Expired),
            (410, "Unregistered") => Verdict::Invalid(InvalidReason::Unregistered),
            (410 | 503, _) => Verdict::Again,
            _ => Verdict::Refused,
        }
    }
}

/// A push that was asked for and is not answered.
#[derive(Debug)]
pub(super) struct Outstanding {
    token: EntityId,
    device: DeviceToken,
    push: Push,
    again: bool,
}

impl Router {
    /// Whether another push may be asked for.
    pub(super) fn has_room_for_pushes(&self) -> bool {
        self.pushes.len() < self.config.pushes
    }

    /// How many pushes wait for the provider's answer.
    #[must_use]
    pub fn pushes(&self) -> usize {
        self.pushes.len()
    }

    /// Has something pushed to a token's device.
    pub(super) fn push(&mut self, token: &EntityId, push: Push, now: u64) {
        let Some(device) = self.store.token(token).map(|token| token.device.clone()) else { return };
        if !self.allows(device.provider) {
            return;
        }
        let (token, again) = (token.clone(), false);
        if device.provider == Provider::ApnsNull {
            return self.push_accepted(&token, &push, now);
        }
        // A notification that is not pushed now is kept, and goes with the next push.
        if matches!(push, Push::Messages(_)) && !self.has_room_for_pushes() {
            self.statistics.pushes_dropped += 1;
            return;
        }
        self.ask_for(Outstanding { token, device, push, again });
    }

    /// Whether the router has anything to do with the provider (NT-7).
    pub(super) fn allows(&self, provider: Provider) -> bool {
        provider != Provider::ApnsTest || self.config.test_provider
    }

    fn ask_for(&mut self, outstanding: Outstanding) {
        let Outstanding { token, device, push, again } = &outstanding;
        let body = if self.semantic {
            Some(PushBody::Bare(push.clone()))
        } else {
            let nonce = random_nonce(&mut self.rng);
            let secret = self.store.token(token).map(|token| token.secret.clone());
            // Notifications of queues at routers with many long names do not fit: then the oldest are left out.
            secret.and_then(|secret| {
                let mut push = push.clone();
                loop {
                    match (push.seal(&secret, &nonce), &mut push) {
                        (Ok(body), _) => return Some(PushBody::Sealed(body)),
                        (Err(_), Push::Messages(list)) if list.len() > 1 => drop(list.remove(0)),
                        (Err(_), _) => return None,
                    }
                }
            })
        };
        let Some(body) = body else { return };
        self.next_push += 1;
        let number = PushNo(self.next_push);
        let (device, background, again) = (device.clone(), push.is_background(), *again);
        self.statistics.pushed(push);
        let request = PushRequest { number, device, body, background, again };
        self.events.push_back(RouterEvent::Push(Box::new(request)));
        self.pushes.insert(number, outstanding);
    }

    /// What the provider answered to a push.
    pub fn pushed(&mut self, number: PushNo, answer: &PushAnswer, now: u64) {
        let Some(outstanding) = self.pushes.remove(&number) else { return };
        match answer.verdict() {
            Verdict::Accepted => self.push_accepted(&outstanding.token, &outstanding.push, now),
            Verdict::Invalid(reason) => {
                self.statistics.pushes_failed += 1;
                let status = TokenStatus::Invalid(Some(reason));
                self.store.change_token(&outstanding.token, |token| token.status = status);
            }
            Verdict::Again if !outstanding.again => {
                self.ask_for(Outstanding { again: true, ..outstanding });
            }
            Verdict::Again | Verdict::Refused => self.statistics.pushes_failed += 1,
        }
    }

    fn push_accepted(&mut self, token: &EntityId, push: &Push, now: u64) {
        self.statistics.pushes_accepted += 1;
        self.store.change_token(token, |token| match push {
            // Whatever the state was before: a code that the provider takes again makes an invalid token confirmed (NT-33).
            Push::Verification(_) if token.status != TokenStatus::Active => {
                token.status = TokenStatus::Confirmed;
            }
            Push::CheckMessages => (token.sent, token.was_sent) = (now / SECOND, true),
            Push::Verification(_) | Push::Messages(_) => {}
        });
    }

    /// Has the periodic pushes made that are due (NT-16).
    pub(super) fn push_periodically(&mut self, now: u64) {
        let seconds = now / SECOND;
        let due = |id: &&EntityId| {
            self.store.token(id).is_some_and(|token| {
                let next = token.sent.saturating_add(u64::from(token.period) * 60);
                token.status == TokenStatus::Active
                    && token.period != 0
                    && (token.was_sent || self.config.first_periodic)
                    && next < seconds
            })
        };
        let due: Vec<_> = self.store.token_ids().filter(due).cloned().collect();
        for token in due {
            self.push(&token, Push::CheckMessages, now);
        }
    }
}
