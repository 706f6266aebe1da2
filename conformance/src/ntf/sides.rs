//! The other sides of the router: devices that are registered, the push provider, and the SMP routers.

use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::crypto::keys::{KeyType, SharedSecret};
use sxlab_protocol::ntf::command::{DeviceToken, NotifierQueue, Provider};
use sxlab_protocol::ntf::device::{Device, Pushed};
use sxlab_protocol::ntf::router::{
    Answer as SmpAnswer, PushAnswer, PushBody, PushRequest, SmpAsk, SmpNo, SmpQueue, SmpTold,
};
use sxlab_protocol::smp::envelope::NotificationMeta;
use sxlab_protocol::wire::{EntityId, RouterAddress};

use super::lab::{NtfLab, Who};
use crate::lab::{Direction, Failure, require, require_eq};

/// A device token of Apple's provider.
///
/// # Errors
/// [`Failure::Error`] above 255 bytes.
pub fn token(name: &str) -> Result<DeviceToken, Failure> {
    Ok(DeviceToken {
        provider: Provider::ApnsProd,
        name: EntityId::new(name.as_bytes()).map_err(Failure::error)?,
    })
}

/// A queue of an SMP router of the suite.
///
/// # Errors
/// [`Failure::Error`].
pub fn queue(router: u8, notifier: u8) -> Result<NotifierQueue, Failure> {
    let host = format!("smp{router}.test").parse().map_err(Failure::error)?;
    let router =
        RouterAddress { hosts: vec![host], port: Some(5223), identity: [router; 32], password: None };
    Ok(NotifierQueue { router, notifier: [notifier; 24].into() })
}

/// What the queue's recipient and its SMP router share.
fn secret_of(queue: &NotifierQueue) -> SharedSecret {
    SharedSecret::from_bytes(sha256(queue.notifier.as_bytes()))
}

/// A device that is registered and active.
///
/// # Errors
/// [`Failure`].
pub fn active(lab: &mut NtfLab, who: Who, name: &str) -> Result<Device, Failure> {
    let mut device = lab.device(name)?;
    lab.register(who, &mut device)?;
    lab.deliver(&mut device)?;
    let asked = device.verify();
    lab.tell(who, &mut device, asked)?.is("OK")?;
    Ok(device)
}

/// Which messages of which queues a push tells of, by their numbers.
///
/// # Errors
/// [`Failure::Wrong`] for another push, or a notification that the device can't read.
pub fn messages(pushed: Pushed) -> Result<Vec<(u8, u8)>, Failure> {
    let Pushed::Messages(list) = pushed else {
        return Err(Failure::wrong(format!("{pushed:?} was pushed, expected messages")));
    };
    let first = |bytes: &[u8]| bytes.first().copied().unwrap_or_default();
    let read = |notice: sxlab_protocol::ntf::device::Noticed| {
        let message = notice.message.map_err(|error| Failure::wrong(format!("a notification: {error}")))?;
        Ok((first(notice.queue.notifier.as_bytes()), first(message.id.as_bytes())))
    };
    list.into_iter().map(read).collect()
}

impl NtfLab {
    /// A device that is not registered.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn device(&mut self, name: &str) -> Result<Device, Failure> {
        Ok(Device::new(token(name)?, KeyType::Ed25519, self.rng()))
    }

    /// Registers a device's token.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn register(&mut self, who: Who, device: &mut Device) -> Result<(), Failure> {
        let asked = Some(device.register());
        self.tell(who, device, asked)?.is("IDTKN")
    }

    /// Expects the token's state.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn token_is(&mut self, who: Who, device: &mut Device, expected: &str) -> Result<(), Failure> {
        let asked = device.check();
        self.tell(who, device, asked)?.is(&format!("TKN {expected}"))
    }

    /// Expects the subscription's state.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn subscription_is(
        &mut self,
        who: Who,
        device: &mut Device,
        queue: &NotifierQueue,
        expected: &str,
    ) -> Result<(), Failure> {
        let asked = device.check_subscription(queue);
        self.tell(who, device, asked)?.is(&format!("SUB {expected}"))
    }

    /// The oldest push that the provider was asked for.
    ///
    /// # Errors
    /// [`Failure::Wrong`] without one.
    pub fn push(&mut self) -> Result<PushRequest, Failure> {
        let request = self.running.pushes.pop_front();
        let request = request.ok_or_else(|| Failure::wrong("the provider is not asked for a push"))?;
        let body = body(&request)?;
        self.record("provider", Direction::Received, "a push".to_owned(), body.as_bytes());
        Ok(request)
    }

    /// Whether the provider is asked for something.
    pub fn is_pushed(&self) -> bool {
        !self.running.pushes.is_empty()
    }

    /// Expects that the provider is not asked for anything.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn no_push(&mut self) -> Result<(), Failure> {
        require_eq("the number of pushes", self.running.pushes.len(), 0)
    }

    /// The provider answers with this status and reason.
    pub fn respond(&mut self, request: &PushRequest, status: u16, reason: &str) {
        self.record("provider", Direction::Sent, format!("{status} {reason}"), &[]);
        let answer = PushAnswer::Answered { status, reason: reason.to_owned() };
        self.running.pushed(request.number, answer);
    }

    /// The provider does not answer.
    pub fn unreachable(&mut self, request: &PushRequest) {
        self.note("the provider does not answer".to_owned());
        self.running.pushed(request.number, PushAnswer::Unreachable);
    }

    /// The provider takes the oldest push, and the device reads it.
    ///
    /// # Errors
    /// [`Failure::Wrong`] without one, or for one that the device can't read.
    pub fn deliver(&mut self, device: &mut Device) -> Result<Pushed, Failure> {
        let request = self.push()?;
        require(request.device == *device.token(), || "a push is for another device token".to_owned())?;
        self.respond(&request, 200, "");
        open(device, &request)
    }

    /// What SMP routers were asked, the oldest first.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for nothing.
    pub fn smp_asked(&mut self) -> Result<(SmpNo, SmpAsk), Failure> {
        let asked = self.running.asked.pop_front();
        let (no, asked) = asked.ok_or_else(|| Failure::wrong("no SMP router is asked for anything"))?;
        let text = match &asked {
            SmpAsk::Connect { address, as_service } => format!("connect to {address}, service: {as_service}"),
            SmpAsk::Subscribe(queues) => format!("NSUB for {} queues", queues.len()),
            SmpAsk::SubscribeService(queues) => format!("NSUBS for {} queues", queues.count),
            SmpAsk::Disconnect => "disconnect".to_owned(),
        };
        self.record(&format!("smp{}", no.0), Direction::Received, text, &[]);
        Ok((no, asked))
    }

    /// Expects that SMP routers are not asked for anything.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn smp_silent(&mut self) -> Result<(), Failure> {
        let asked = self.running.asked.front();
        require(asked.is_none(), || format!("an SMP router is asked: {asked:?}"))
    }

    /// Expects a connection to an SMP router, and makes it.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn smp_connects(&mut self) -> Result<SmpNo, Failure> {
        match self.smp_asked()? {
            (no, SmpAsk::Connect { .. }) => {
                self.told(no, SmpTold::Connected { service: None });
                Ok(no)
            }
            (_, other) => {
                Err(Failure::wrong(format!("expected a connection, an SMP router is asked: {other:?}")))
            }
        }
    }

    /// Expects a batch of NSUB.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn nsubs(&mut self) -> Result<Vec<SmpQueue>, Failure> {
        match self.smp_asked()? {
            (_, SmpAsk::Subscribe(queues)) => Ok(queues),
            (_, other) => Err(Failure::wrong(format!("expected NSUB, an SMP router is asked: {other:?}"))),
        }
    }

    /// SMP routers accept whatever is asked of them. The number of the last one.
    ///
    /// # Errors
    /// [`Failure::Wrong`] where nothing is asked.
    pub fn serve(&mut self) -> Result<SmpNo, Failure> {
        loop {
            let (no, asked) = self.smp_asked()?;
            match asked {
                SmpAsk::Connect { .. } => self.told(no, SmpTold::Connected { service: None }),
                SmpAsk::Subscribe(queues) => {
                    for queue in queues {
                        self.answered(no, &queue.notifier, SmpAnswer::Subscribed(None));
                    }
                }
                SmpAsk::SubscribeService(queues) => self.told(no, SmpTold::ServiceSubscribed(Ok(queues))),
                SmpAsk::Disconnect => {}
            }
            if self.running.asked.is_empty() {
                return Ok(no);
            }
        }
    }

    /// The router is told something of an SMP router.
    pub fn told(&mut self, no: SmpNo, told: SmpTold) {
        let text = match &told {
            SmpTold::Subscribed { answer, .. } => format!("answer to NSUB: {answer:?}"),
            SmpTold::Notified { .. } => "NMSG".to_owned(),
            other => format!("{other:?}"),
        };
        self.record(&format!("smp{}", no.0), Direction::Sent, text, &[]);
        self.running.told(no, told);
    }

    /// An SMP router answers NSUB.
    pub fn answered(&mut self, no: SmpNo, notifier: &EntityId, answer: SmpAnswer) {
        self.told(no, SmpTold::Subscribed { notifier: notifier.clone(), answer });
    }

    /// An SMP router tells of a message.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn notify(&mut self, no: SmpNo, queue: &NotifierQueue, message: u8) -> Result<(), Failure> {
        let meta = NotificationMeta { id: [message; 24].into(), time: 7 };
        let meta = meta.seal(&secret_of(queue), &[message; 24]).map_err(Failure::error)?;
        let notifier = queue.notifier.clone();
        self.told(no, SmpTold::Notified { notifier, nonce: [message; 24], meta });
        Ok(())
    }

    /// A device wants a queue's notifications; nothing is asked yet.
    pub fn watch(&mut self, device: &mut Device, queue: &NotifierQueue) {
        let key = self.key(KeyType::Ed25519);
        device.watch(queue.clone(), key, secret_of(queue));
    }

    /// A device subscribes to a queue.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn subscribe(&mut self, who: Who, device: &mut Device, queue: &NotifierQueue) -> Result<(), Failure> {
        self.watch(device, queue);
        let asked = device.subscribe(queue);
        self.tell(who, device, asked)?.is("IDSUB")
    }

    /// An active device with subscriptions to the first queues of SMP router 1, which accepted.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn subscribed(&mut self, who: Who, queues: u8) -> Result<(Device, SmpNo), Failure> {
        let mut device = active(self, who, "phone")?;
        for number in 1..=queues {
            self.subscribe(who, &mut device, &queue(1, number)?)?;
        }
        let no = self.serve()?;
        Ok((device, no))
    }
}

/// A push's body.
pub(crate) fn body(request: &PushRequest) -> Result<&str, Failure> {
    match &request.body {
        PushBody::Sealed(body) => Ok(body),
        PushBody::Bare(_) => Err(Failure::error("the router pushes without cryptography")),
    }
}

/// The device reads a push.
pub(crate) fn open(device: &mut Device, request: &PushRequest) -> Result<Pushed, Failure> {
    let body = body(request)?;
    device.pushed(body.as_bytes()).map_err(|error| Failure::wrong(format!("a push: {error}")))
}
