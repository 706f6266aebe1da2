//! Pushes: the providers are asked, for each device in order, and the core is told what they answer.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use sxlab_protocol::apns::Reason;
use sxlab_protocol::apns::request::{Kind, LONGEST_DEVICE_TOKEN, Request};
use sxlab_protocol::ntf::command::{DeviceToken, Provider};
use sxlab_protocol::ntf::router::{PushAnswer, PushBody, PushNo, PushRequest};

use super::{Ntf, NtfNode};
use crate::apns::Apns;
use crate::world::World;

/// Whom a router asks for pushes. Pushes to a provider that is not there count as not answered.
pub struct Providers<W: World> {
    /// The app that pushes are for.
    pub topic: String,
    /// Apple's routers.
    pub production: Option<Rc<Apns<W>>>,
    /// Those for apps under development.
    pub development: Option<Rc<Apns<W>>>,
    /// What stands in for them; the core's configuration has to allow it.
    pub test: Option<Rc<Apns<W>>>,
}

impl<W: World> Providers<W> {
    /// Nobody.
    #[must_use]
    pub fn none() -> Self {
        Self { topic: String::new(), production: None, development: None, test: None }
    }

    fn of(&self, provider: Provider) -> Option<&Rc<Apns<W>>> {
        match provider {
            Provider::ApnsProd => self.production.as_ref(),
            Provider::ApnsDev => self.development.as_ref(),
            Provider::ApnsTest => self.test.as_ref(),
            Provider::ApnsNull => None,
        }
    }
}

/// Pushes that wait for an earlier one to the same device. How many there are in all is bounded by the core.
pub(super) type Queues = RefCell<BTreeMap<DeviceToken, VecDeque<PushRequest>>>;

impl<W: World> Ntf<W> {
    /// Has a provider asked for a push, after the earlier ones to the same device.
    pub(super) fn ask_provider(&self, node: &NtfNode<W>, request: PushRequest) {
        let mut queues = self.queues.borrow_mut();
        if let Some(waiting) = queues.get_mut(&request.device) {
            return waiting.push_back(request);
        }
        queues.insert(request.device.clone(), VecDeque::new());
        let own = node.clone();
        node.world().spawn(async move { own.push_in_order(request).await });
    }
}

impl<W: World> NtfNode<W> {
    /// Pushes to one device until nothing waits for it.
    async fn push_in_order(&self, first: PushRequest) {
        let device = first.device.clone();
        let mut next = Some(first);
        while let Some(request) = next {
            let answer = self.push(&request).await;
            if self.answered(request.number, &answer).is_none() {
                return;
            }
            let mut queues = self.protocol().queues.borrow_mut();
            next = queues.get_mut(&device).and_then(VecDeque::pop_front);
            if next.is_none() {
                queues.remove(&device);
            }
        }
    }

    /// Tells the core what a provider answered; `None` when the router is stopped.
    fn answered(&self, number: PushNo, answer: &PushAnswer) -> Option<()> {
        let has_room_again = self.with_core(|core, now| {
            let had_room = core.wants_notifications();
            core.pushed(number, answer, now);
            !had_room && core.wants_notifications()
        })?;
        if has_room_again {
            self.wake_all();
        }
        Some(())
    }

    async fn push(&self, request: &PushRequest) -> PushAnswer {
        let providers = &self.protocol().providers;
        let provider = request.device.provider;
        let Some(apns) = providers.of(provider) else {
            tracing::info!(%provider, "a push to a provider that is not configured");
            return PushAnswer::Unreachable;
        };
        let Some(device) = token(request.device.name.as_bytes()) else {
            // Apple's address of it would be another's, or none.
            let (status, reason) =
                (Reason::BadDeviceToken.status(), Reason::BadDeviceToken.name().to_owned());
            return PushAnswer::Answered { status, reason };
        };
        let PushBody::Sealed(body) = &request.body else {
            return PushAnswer::Unreachable;
        };
        let kind = if request.background { Kind::Background } else { Kind::Alert };
        let asked = Request::new(&device, kind, &providers.topic);
        match apns.push(&asked, body.clone().into_bytes(), request.again).await {
            Ok(answer) => {
                if answer.status != 200 {
                    let (status, reason, bytes) = (answer.status, &answer.reason, body.len());
                    tracing::info!(%provider, status, ?reason, bytes, "a push was refused");
                }
                PushAnswer::Answered { status: answer.status, reason: answer.reason }
            }
            Err(error) => {
                tracing::info!(%provider, %error, "a push was not answered");
                PushAnswer::Unreachable
            }
        }
    }
}

/// The device token that a name's hexadecimal digits say.
fn token(name: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = name.as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
    let token: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    token.filter(|token| rest.is_empty() && !token.is_empty() && token.len() <= LONGEST_DEVICE_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_token_is_hexadecimal_digits() {
        assert_eq!(token(b"00fFa9"), Some(vec![0, 255, 0xa9]));
        for none in [&b""[..], b"0", b"0g", b"phone", b"00 ff", &[b'0'; 202], &[255; 4]] {
            assert_eq!(token(none), None);
        }
        assert_eq!(token(&[b'0'; 200]).map(|token| token.len()), Some(100));
    }
}
