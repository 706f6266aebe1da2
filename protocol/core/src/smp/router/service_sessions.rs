//! Sessions of services: who they are, what they may do, and how one subscribes to all of its queues at once.
//!
//! Of a service's sessions one is subscribed: the last that subscribed to anything. It gets what happens to every queue, or
//! every notifier, of the service, without an entry for each; the one before it is told that it has lost them all (SV-17).

use super::services::{Service, combine};
use super::sessions::{Hold, Peer};
use super::verify::Reply;
use super::{Mutant, Router};
use crate::crypto::keys::Ed25519Public;
use crate::observe::SessionNo;
use crate::smp::command::{Command, ServiceQueues};
use crate::smp::error::{HandshakeFailure, SmpError, TransportError};
use crate::smp::response::Response;
use crate::transport::{ServiceHello, ServiceRole, text_for_service};
use crate::wire::{CorrId, EntityId};

/// Queues that are looked at for messages in one go, so that a service of many does not hold up everybody else.
const AT_ONCE: usize = 1000;

/// What the router knows of a session's service.
#[derive(Clone, Debug)]
pub(super) struct ServiceSession {
    pub(super) id: EntityId,
    pub(super) role: ServiceRole,
    fingerprint: [u8; 32],
    key: Ed25519Public,
    /// Whether it subscribed to all queues at once, and has not lost them since.
    pub(super) all: bool,
    /// While it is given the first messages of its queues: the last queue that was looked at.
    delivering: Option<EntityId>,
}

/// The role that a service needs for a command; none for PING (SV-6).
fn role_for(command: &Command) -> Option<ServiceRole> {
    match command {
        Command::Ping => None,
        Command::NSub | Command::NSubs(_) => Some(ServiceRole::Notifications),
        Command::Rfwd { .. } => Some(ServiceRole::Proxy),
        _ => Some(ServiceRole::Messaging),
    }
}

impl ServiceSession {
    /// Whether its role allows a command.
    pub(super) fn allows(&self, command: &Command) -> bool {
        role_for(command).is_none_or(|role| role == self.role)
    }

    /// Whether its session key signed a text.
    pub(super) fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        self.key.verify(text, signature)
    }

    /// What a queue's key has to authorize beside the service's signature.
    pub(super) fn text(&self, text: &[u8]) -> Vec<u8> {
        text_for_service(&self.fingerprint, text)
    }
}

impl Router {
    /// Checks what a client shows to be a service, and finds or makes its record.
    pub(super) fn admit_service(
        &mut self,
        hello: &ServiceHello,
        tls_chain: &[Vec<u8>],
        now: u64,
    ) -> Result<ServiceSession, TransportError> {
        let tls_chain = if self.is(Mutant::TakesOtherTlsChain) { &hello.chain.ders } else { tls_chain };
        let bad_auth = TransportError::Handshake(HandshakeFailure::BadAuth);
        let key = hello.verify(tls_chain, now / super::SECOND).map_err(|_| bad_auth)?;
        let fingerprint = hello.chain.identity().map_err(|_| bad_auth)?;
        let role = hello.role;
        let session = |id| ServiceSession { id, role, fingerprint, key, all: false, delivering: None };
        match self.store.service_by_fingerprint(&fingerprint) {
            Some(_) if self.is(Mutant::GivesNewServiceId) => Ok(session(EntityId::from(self.fresh_id()))),
            Some(known) if known.role == role || self.is(Mutant::TakesOtherRole) => {
                Ok(session(known.id.clone()))
            }
            Some(_) => Err(TransportError::Handshake(HandshakeFailure::BadService)),
            None => {
                let id = EntityId::from(self.fresh_id());
                // The id is as good as never taken, and if it is the service may try again.
                if self.store.add_service(Service { id: id.clone(), fingerprint, role }) {
                    Ok(session(id))
                } else {
                    Err(TransportError::Handshake(HandshakeFailure::BadService))
                }
            }
        }
    }

    /// The service of a session.
    pub(super) fn service(&self, session: SessionNo) -> Option<&ServiceSession> {
        self.open(session)?.service.as_deref()
    }

    fn service_mut(&mut self, session: SessionNo) -> Option<&mut ServiceSession> {
        self.sessions.get_mut(&session).and_then(Peer::open_mut)?.service.as_deref_mut()
    }

    /// The id of a session's service.
    pub(super) fn service_id(&self, session: SessionNo) -> Option<EntityId> {
        self.service(session).map(|service| service.id.clone())
    }

    /// The session that gets what happens to a queue.
    pub(super) fn subscriber(&mut self, recipient: &EntityId) -> Option<SessionNo> {
        match self.store.by_recipient(recipient)?.service() {
            Some(service) => self.services.get(service).copied(),
            None => self.subscribers.get(recipient).copied(),
        }
    }

    /// The session that gets a notifier's notifications.
    pub(super) fn notifier_subscriber(&mut self, notifier: &EntityId) -> Option<SessionNo> {
        let (_, found) = self.store.by_notifier(notifier)?;
        match found.notifier()?.service() {
            Some(service) => self.services.get(service).copied(),
            None => self.notifiers.get(notifier).copied(),
        }
    }

    /// Whether a session is the subscribed one of the service that a queue belongs to.
    pub(super) fn serves(&mut self, session: SessionNo, recipient: &EntityId) -> bool {
        let Some(service) = self.store.by_recipient(recipient).and_then(|queue| queue.service()) else {
            return false;
        };
        self.services.get(service) == Some(&session)
    }

    /// A session of a service subscribes to something: from now on it is the subscribed one.
    pub(super) fn serve(&mut self, session: SessionNo, id: &EntityId, now: u64) {
        let before = self.services.insert(id.clone(), session);
        let Some(before) = before.filter(|before| *before != session) else { return };
        if let Some(lost) = self.release_service(before) {
            self.collect_end(before, id.clone(), Response::Ends(lost), now);
        }
    }

    /// Ends all that a service's session is subscribed to; how many queues, or notifiers, that were.
    fn release_service(&mut self, session: SessionNo) -> Option<ServiceQueues> {
        let peer = self.sessions.get_mut(&session)?;
        peer.deferred.clear();
        let open = peer.open_mut()?;
        let service = open.service.as_deref_mut()?;
        service.delivering = None;
        let lost = if std::mem::take(&mut service.all) {
            self.store.service_queues(&service.id)
        } else {
            let subscribed = open.holds.iter().filter(|(_, hold)| matches!(hold, Hold::Subscribed(_)));
            let mut lost = ServiceQueues { count: 0, hash: [0; 16] };
            for id in subscribed.map(|(id, _)| id).chain(&open.notifiers) {
                lost.count += 1;
                combine(&mut lost.hash, id);
            }
            lost
        };
        open.holds.retain(|_, hold| matches!(hold, Hold::Fetched(_)));
        open.notifiers.clear();
        Some(lost)
    }

    /// SUBS and NSUBS (SV-12 to SV-18). The numbers are the router's; what the service believed does not matter. Nothing
    /// is delivered again to a session that has subscribed to all before.
    pub(super) fn subscribe_service(&mut self, session: SessionNo, now: u64) -> Response {
        let Some(id) = self.service_id(session) else { return Response::Err(SmpError::Service) };
        self.serve(session, &id, now);
        let Some(service) = self.service_mut(session) else { return Response::Err(SmpError::Internal) };
        let again = std::mem::replace(&mut service.all, true);
        match service.role {
            _ if again => {}
            ServiceRole::Notifications => self.notify_service(&id, now),
            ServiceRole::Messaging | ServiceRole::Proxy => service.delivering = Some(EntityId::EMPTY),
        }
        Response::Soks(self.store.service_queues(&id))
    }

    fn notify_service(&mut self, id: &EntityId, now: u64) {
        let mut last = EntityId::EMPTY;
        while let Some(notifier) = self.store.next_of_service(id, &last).cloned() {
            self.notify(notifier.clone(), now);
            last = notifier;
        }
    }

    /// Goes on giving a service the first messages of its queues, each in a block of its own, as far as there is room; ALLS
    /// is their end (SV-13).
    pub(super) fn deliver_service(&mut self, session: SessionNo) {
        for _ in 0..AT_ONCE {
            if self.room(session) == 0 {
                return;
            }
            let Some(service) = self.service(session) else { return };
            let Some(last) = &service.delivering else { return };
            let next = self.store.next_of_service(&service.id, last).cloned();
            if let Some(queue) = &next {
                self.deliver(session, queue);
            } else {
                let (corr, entity) = (CorrId::EMPTY, EntityId::EMPTY);
                self.send(session, vec![Reply { corr, entity, response: Response::Alls }]);
            }
            if let Some(service) = self.service_mut(session) {
                service.delivering = next;
            }
        }
        self.delivering.insert(session);
    }

    /// Goes on where [`Router::deliver_service`] stopped although there was room.
    pub(super) fn deliver_services(&mut self) {
        for session in std::mem::take(&mut self.delivering) {
            self.deliver_service(session);
        }
    }
}
