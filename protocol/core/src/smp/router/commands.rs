//! What each command does and answers, once it is verified.

use super::mutant::{Mutant, refuse_forward_wrongly};
use super::names::Asked;
use super::semantic::bare_message;
use super::sessions::{Hold, Open, Peer};
use super::verify::{Accepted, KnownSecrets, Reply};
use super::{Content, Link, Notification, Offered, Queue, Router, Status, Stored};
use crate::crypto::hash::sender_id_from_corr;
use crate::crypto::keys::{AuthPublicKey, SharedSecret, X25519Public, X25519Secret};
use crate::observe::{Layer, SessionNo, Sight};
use crate::smp::command::{Command, MsgFlags, NewQueue, QueueRequest};
use crate::smp::envelope::MessageBody;
use crate::smp::error::{CommandError, NameError, SmpError};
use crate::smp::forward;
use crate::smp::response::{QueueIds, Response};
use crate::tables::Table;
use crate::transport::Received;
use crate::wire::{CorrId, EntityId, LinkId, MsgId, QueueMode};

impl Router {
    /// Carries out a verified command of a session. Answers go to `replies`, messages that a subscription sets free to
    /// `messages`.
    pub(super) fn execute(
        &mut self,
        session: SessionNo,
        accepted: Accepted,
        now: u64,
        replies: &mut Vec<Reply>,
        messages: &mut Vec<Reply>,
    ) {
        match self.mutant() {
            None => self.execute_rightly(session, accepted, now, replies, messages),
            Some(mutant) => self.execute_wrongly(mutant, session, accepted, now, replies, messages),
        }
    }

    pub(super) fn execute_rightly(
        &mut self,
        session: SessionNo,
        accepted: Accepted,
        now: u64,
        replies: &mut Vec<Reply>,
        messages: &mut Vec<Reply>,
    ) {
        let Received { corr, entity, .. } = accepted.received;
        if let Some(info) = self.blocked(&accepted.command, &entity) {
            return replies.push(Reply { corr, entity, response: Response::Err(SmpError::Blocked(info)) });
        }
        let response = match accepted.command {
            Command::New(new) => self.new_queue(session, &corr, &new, now),
            // An earlier command of the same block may have deleted the queue since it was verified.
            Command::Sub | Command::Ack(_) | Command::Get if self.store.by_recipient(&entity).is_none() => {
                Response::Err(SmpError::Auth)
            }
            Command::Sub => self.subscribe(session, &entity, now, messages),
            Command::Key(key) => self.secure(&entity, key, false),
            Command::RKey(keys) => self.replace_keys(&entity, keys),
            Command::SKey(key) => self.secure(&entity, key, true),
            Command::LSet { link, data } => self.set_link(&entity, link, data),
            Command::LDel => self.delete_link(&entity),
            Command::LKey(key) => self.secure_by_link(&entity, key),
            Command::LGet => self.get_link(&entity),
            Command::NKey(keys) => self.enable_notifications(session, &entity, &keys, now),
            Command::NDel => self.disable_notifications(session, &entity, now),
            Command::NSub => self.subscribe_notifier(session, &entity, now),
            Command::Ack(id) => self.acknowledge(session, &entity, &id, messages),
            Command::Get => self.get(session, &entity),
            Command::Off => self.suspend(&entity),
            Command::Del => self.delete(session, &entity, now),
            Command::Que => self.state(session, &entity),
            Command::Send { flags, body } => {
                let limit = self.open(session).map_or(0, |open| open.agreed.session.layout.message_limit);
                self.receive(&entity, flags, body, limit, now)
            }
            Command::Ping => Response::Pong,
            Command::Prxy { router, password } => {
                match self.request_relay(session, &corr, router, password, now) {
                    Some(response) => response,
                    None => return,
                }
            }
            Command::Pfwd { version, key, sealed } => {
                match self.forward(session, &corr, &entity, version, &key, &sealed, now) {
                    Some(response) => response,
                    None => return,
                }
            }
            Command::Rfwd { sealed } => match self.forwarded(session, &corr, &sealed, now) {
                Some(response) => response,
                None => return,
            },
            Command::Rslv(name) => {
                let asked = Asked { session, corr: corr.clone(), forwarded: None };
                match self.look_up(asked, name) {
                    Some(response) => response,
                    None => return,
                }
            }
            Command::Subs(_) | Command::NSubs(_) => self.subscribe_service(session, now),
        };
        replies.push(Reply { corr, entity, response });
    }

    pub(super) fn open(&self, session: SessionNo) -> Option<&Open> {
        self.sessions.get(&session).and_then(Peer::open)
    }

    pub(super) fn holds(&mut self, session: SessionNo) -> Option<&mut Table<EntityId, Hold>> {
        Some(&mut self.sessions.get_mut(&session)?.open_mut()?.holds)
    }

    /// NEW (RC-1 to RC-11).
    fn new_queue(&mut self, session: SessionNo, corr: &CorrId, new: &NewQueue, now: u64) -> Response {
        let password = self.config.password.as_ref().is_none_or(|p| Some(p) == new.password.as_ref());
        if !self.config.new_queues || !password {
            return Response::Err(SmpError::Auth);
        }
        let service = self.service_id(session);
        if service.is_some() && !new.subscribe {
            // A service's queues are all subscribed to (SV-10).
            return Response::Err(SmpError::Command(CommandError::Prohibited));
        }
        // With link data the client chooses the sender id, and a contact queue's link id too (RC-10).
        let chosen = match &new.queue {
            QueueRequest::Messaging(Some(link)) => Some((&link.sender, None, &link.data)),
            QueueRequest::Contact(Some(link)) => Some((&link.sender, Some(&link.link), &link.data)),
            _ => None,
        };
        if let Some((sender, link, _)) = chosen {
            if *sender != EntityId::from(sender_id_from_corr(corr)) {
                return Response::Err(SmpError::Command(CommandError::Prohibited));
            }
            if self.store.has(sender) || link.is_some_and(|link| self.store.has_link(link)) {
                return Response::Err(SmpError::Auth);
            }
        }
        if let Some(service) = &service {
            self.serve(session, service, now);
        }
        let (own, secret) = self.queue_keys(&new.dh_key);
        for _ in 0..3 {
            let recipient = EntityId::from(self.fresh_id());
            let sender = match chosen {
                Some((sender, ..)) => sender.clone(),
                None => EntityId::from(self.fresh_id()),
            };
            let link = chosen.map(|(_, id, data)| Link {
                id: id.cloned().unwrap_or_else(|| LinkId::from(self.fresh_id())),
                data: data.clone(),
            });
            let link_id = link.as_ref().map(|link| link.id.clone());
            let queue = Queue::new(new.auth_key, secret.clone(), sender.clone(), new.queue.mode());
            let (notifier, notifier_ids) = new.notifier.as_ref().map(|keys| self.new_notifier(keys)).unzip();
            let queue = queue.with_link(link).with_notifier(notifier).with_service(service.clone());
            if !self.store.insert(recipient.clone(), queue) {
                continue;
            }
            if new.subscribe {
                if service.is_none() {
                    self.subscribers.insert(recipient.clone(), session);
                }
                if let Some(holds) = self.holds(session) {
                    holds.insert(recipient.clone(), Hold::Subscribed(None));
                }
            }
            self.see(|| Sight::Created { session, recipient: recipient.clone(), sender: sender.clone() });
            return Response::Ids(Box::new(QueueIds {
                recipient,
                sender,
                dh_key: own,
                mode: new.queue.mode(),
                link: link_id,
                service,
                notifier: notifier_ids,
            }));
        }
        Response::Err(SmpError::Internal)
    }

    /// The router's key for a queue, and its secret with the recipient's.
    pub(super) fn queue_keys(&mut self, recipient: &X25519Public) -> (X25519Public, SharedSecret) {
        match &self.semantic {
            Some(constants) => (constants.public, constants.secret.clone()),
            None => {
                let own = X25519Secret::generate(&mut self.rng);
                (own.public(), own.dh(recipient))
            }
        }
    }

    /// SUB (RC-13 to RC-18): the answer never carries a message; that follows as an event. It makes the queue the service's
    /// whose session it is, or nobody's (SV-11).
    fn subscribe(
        &mut self,
        session: SessionNo,
        entity: &EntityId,
        now: u64,
        messages: &mut Vec<Reply>,
    ) -> Response {
        let Some(open) = self.open(session) else { return Response::Err(SmpError::Internal) };
        if matches!(open.holds.get(entity), Some(Hold::Fetched(_))) {
            return Response::Err(SmpError::Command(CommandError::Prohibited));
        }
        let service = self.service_id(session);
        if let Some(service) = &service {
            self.serve(session, service, now);
        }
        let before = self.subscriber(entity).filter(|before| *before != session);
        let owner = self.store.by_recipient(entity).and_then(|queue| queue.service()).cloned();
        if owner != service {
            self.store.associate(entity, service.clone());
        }
        if service.is_some() {
            self.subscribers.remove(entity);
        } else {
            self.subscribers.insert(entity.clone(), session);
        }
        if let Some(before) = before {
            if let Some(holds) = self.holds(before) {
                holds.remove(entity);
            }
            self.collect_end(before, entity.clone(), Response::End, now);
        }
        if let Some(holds) = self.holds(session) {
            holds.insert(entity.clone(), Hold::Subscribed(None));
        }
        if self.room(session) <= messages.len() {
            self.defer(session, entity);
        } else if let Some(response) = self.next_message(session, entity) {
            messages.push(Reply { corr: CorrId::EMPTY, entity: entity.clone(), response });
        }
        Response::Sok { service }
    }

    /// The queue's first message as a delivery, which is then what the session has to acknowledge.
    pub(super) fn next_message(&mut self, session: SessionNo, entity: &EntityId) -> Option<Response> {
        let queue = self.store.by_recipient(entity)?;
        let first = queue.first()?;
        let id = first.id.clone();
        let message = match self.semantic {
            None => seal_message(queue, first),
            Some(_) => bare_message(first),
        };
        // Only a service's queue may be held by nothing yet.
        match self.holds(session)?.entry(entity.clone()).or_insert(Hold::Subscribed(None)) {
            Hold::Subscribed(delivered) | Hold::Fetched(delivered) => *delivered = Some(id),
        }
        Some(message)
    }

    /// Delivers the queue's first message to the session as an event, if it is subscribed and acknowledged what it got.
    pub(super) fn deliver(&mut self, session: SessionNo, entity: &EntityId) {
        let waits = match self.open(session).map(|open| open.holds.get(entity)) {
            Some(Some(hold)) => *hold == Hold::Subscribed(None),
            Some(None) => self.serves(session, entity),
            None => false,
        };
        if !waits || self.store.by_recipient(entity).is_none_or(|queue| queue.blocked().is_some()) {
            return;
        }
        if self.room(session) == 0 {
            self.defer(session, entity);
        } else if let Some(response) = self.next_message(session, entity) {
            self.send(session, vec![Reply { corr: CorrId::EMPTY, entity: entity.clone(), response }]);
        }
    }

    /// KEY by the recipient, SKEY by the sender of a messaging queue (RC-20, SN-1). The same key again is fine.
    fn secure(&mut self, entity: &EntityId, key: AuthPublicKey, by_sender: bool) -> Response {
        let recipient = if by_sender {
            let messaging =
                self.store.by_sender(entity).filter(|(_, queue)| queue.mode == Some(QueueMode::Messaging));
            messaging.map(|(recipient, _)| recipient.clone())
        } else {
            Some(entity.clone())
        };
        if recipient.is_some_and(|recipient| self.store.secure(&recipient, key)) {
            Response::Ok
        } else {
            Response::Err(SmpError::Auth)
        }
    }

    /// RKEY (RC-22): only for contact queues (D28).
    fn replace_keys(&mut self, entity: &EntityId, keys: Vec<AuthPublicKey>) -> Response {
        let contact =
            self.store.by_recipient(entity).is_some_and(|queue| queue.mode == Some(QueueMode::Contact));
        if contact && self.store.set_recipient_keys(entity, keys) {
            Response::Ok
        } else {
            Response::Err(SmpError::Auth)
        }
    }

    /// ACK (RC-31 to RC-34). With the id of what was delivered, that is done with; it may have been removed by another
    /// session. With an empty id nothing is removed: a subscriber gets the same message again. A SUB before it in the same
    /// block may have set the message free, for after the answers: that has come and does not come again.
    fn acknowledge(
        &mut self,
        session: SessionNo,
        entity: &EntityId,
        id: &MsgId,
        messages: &mut Vec<Reply>,
    ) -> Response {
        let hold = self.holds(session).and_then(|holds| holds.get_mut(entity));
        let subscribed = matches!(hold, Some(Hold::Subscribed(_)));
        let Some(Hold::Subscribed(delivered) | Hold::Fetched(delivered)) = hold else {
            return Response::Err(SmpError::NoMsg);
        };
        if delivered.take_if(|delivered| id.is_empty() || delivered == id).is_none() {
            return Response::Err(SmpError::NoMsg);
        }
        self.store.remove(entity, id);
        messages.retain(|message| {
            let same = matches!(&message.response, Response::Msg { id: sent, .. } if sent == id);
            !same || message.entity != *entity
        });
        if subscribed { self.next_message(session, entity).unwrap_or(Response::Ok) } else { Response::Ok }
    }

    /// GET (RC-28 to RC-30).
    fn get(&mut self, session: SessionNo, entity: &EntityId) -> Response {
        let Some(holds) = self.holds(session) else { return Response::Err(SmpError::Internal) };
        if matches!(holds.get(entity), Some(Hold::Subscribed(_))) {
            return Response::Err(SmpError::Command(CommandError::Prohibited));
        }
        holds.insert(entity.clone(), Hold::Fetched(None));
        self.next_message(session, entity).unwrap_or(Response::Ok)
    }

    /// OFF (RC-35).
    fn suspend(&mut self, entity: &EntityId) -> Response {
        match self.store.set_status(entity, Status::Off) {
            Some(_) => Response::Ok,
            None => Response::Err(SmpError::Auth),
        }
    }

    /// DEL (RC-37, RC-38).
    pub(super) fn delete(&mut self, session: SessionNo, entity: &EntityId, now: u64) -> Response {
        let subscriber = self.subscriber(entity);
        let notifier = self.store.replace_notifier(entity, None);
        if !self.store.delete(entity) {
            return Response::Err(SmpError::Auth);
        }
        self.notifier_gone(session, notifier, now);
        self.subscribers.remove(entity);
        if let Some(subscriber) = subscriber {
            if let Some(holds) = self.holds(subscriber) {
                holds.remove(entity);
            }
            if subscriber != session {
                self.collect_end(subscriber, entity.clone(), Response::Deld, now);
            }
        }
        if let Some(holds) = self.holds(session) {
            holds.remove(entity);
        }
        Response::Ok
    }

    /// SEND (SN-2 to SN-6). Its length is checked after its authorization, and before whether the queue is suspended.
    pub(super) fn receive(
        &mut self,
        entity: &EntityId,
        flags: MsgFlags,
        body: Vec<u8>,
        limit: usize,
        now: u64,
    ) -> Response {
        let id = self.message_id();
        let quota = self.config.queue_quota;
        let Some((recipient, queue)) = self.store.by_sender(entity) else {
            return Response::Err(SmpError::Auth);
        };
        if body.len() > limit {
            return Response::Err(SmpError::LargeMsg);
        }
        match queue.status {
            Status::Active => {}
            Status::Off => return Response::Err(SmpError::Auth),
            Status::Blocked(info) => return Response::Err(SmpError::Blocked(info)),
        }
        let recipient = recipient.clone();
        let first_use = queue.mode == Some(QueueMode::Messaging) && queue.sender_key.is_some();
        if self.config.expire_on_send {
            self.store.expire(&recipient, self.config.message_ttl, now);
        }
        let notification = flags.notification.then(|| Notification { message: id.clone(), time: now });
        let message = Stored { id, time: now, content: Content::Message { flags, body } };
        let Some(offered) = self.store.offer(&recipient, message, quota) else {
            return Response::Err(SmpError::Auth);
        };
        if let Some(notification) = notification.filter(|_| offered == Offered::Stored)
            && let Some(notifier) =
                self.store.notify(&recipient, notification, self.config.notification_quota)
        {
            self.notify(notifier, now);
        }
        if first_use && offered == Offered::Stored {
            // Whoever the link was for has followed it (SN-8).
            self.store.delete_link(&recipient);
        }
        if let Some(subscriber) = self.subscriber(&recipient) {
            self.deliver(subscriber, &recipient);
        }
        match offered {
            Offered::Stored => Response::Ok,
            Offered::Full => Response::Err(SmpError::Quota),
        }
    }

    /// RFWD: a command that a proxy forwards (PX-12 to PX-18). `None`: the answer comes when a name was looked up.
    fn forwarded(&mut self, session: SessionNo, corr: &CorrId, sealed: &[u8], now: u64) -> Option<Response> {
        if self.semantic.is_some() {
            return Some(self.forwarded_semantic(session, corr, sealed, now));
        }
        let internal = Response::Err(SmpError::Internal);
        let Some(open) = self.open(session) else { return Some(internal) };
        let (secret, key) = (open.agreed.secret.clone(), open.key.clone());
        let opened = forward::open_forward(&open.agreed.session, secret.as_ref(), &key, corr, sealed);
        let forwarded = match opened {
            Ok(forwarded) => forwarded,
            Err(error) => return Some(Response::Err(refuse_forward_wrongly(self.mutant(), error))),
        };
        if self.is(Mutant::ChecksInnerVersion) && !self.config.versions.contains(forwarded.version) {
            return Some(Response::Err(SmpError::Command(CommandError::Syntax)));
        }
        let (inner_corr, entity, response) = match forwarded.inner.clone() {
            Err(error) if self.is(Mutant::RefusesGarbageOutside) => return Some(Response::Err(error)),
            Err(error) => (CorrId::EMPTY, EntityId::EMPTY, Response::Err(error)),
            Ok(received) => {
                let size = received.command.len();
                match Accepted::check(received, &forwarded.session.layout) {
                    Err(refusal) => (refusal.corr, refusal.entity, Response::Err(refusal.error)),
                    Ok(accepted) => {
                        self.statistics.forwarded_command(accepted.command.kind());
                        let mut seen = accepted.seen(session, Layer::Forwarded, size);
                        // The relay knows the inner command by the forward that carried it.
                        seen.corr = corr.clone();
                        self.see(|| Sight::Received(seen));
                        let (inner, entity) =
                            (accepted.received.corr.clone(), accepted.received.entity.clone());
                        if let (true, Command::Rslv(name)) = (self.config.resolver, &accepted.command) {
                            let forwarded = Some(Box::new((forwarded, inner)));
                            let asked = Asked { session, corr: corr.clone(), forwarded };
                            return self.look_up(asked, name.clone());
                        }
                        let mut limit = forwarded.session.layout.message_limit;
                        if self.is(Mutant::LimitsForwardedAsOuter) {
                            limit = self
                                .open(session)
                                .map_or(limit, |open| open.agreed.session.layout.message_limit);
                        }
                        (inner, entity, self.execute_forwarded(accepted, &key, limit, now))
                    }
                }
            }
        };
        self.statistics.error_in(&response);
        let Some(secret) = secret else { return Some(internal) };
        let inner_corr = if self.is(Mutant::EchoesOuterCorrId) { forwarded.corr.clone() } else { inner_corr };
        let answer =
            forward::seal_reply(&forwarded, &secret, corr, inner_corr, entity, &response).unwrap_or(internal);
        Some(self.answer_forward_wrongly(&forwarded, &secret, corr, answer))
    }

    /// A forwarded command: only what senders do may be forwarded (PX-14).
    fn execute_forwarded(
        &mut self,
        accepted: Accepted,
        own: &X25519Secret,
        limit: usize,
        now: u64,
    ) -> Response {
        let allowed = matches!(
            accepted.command,
            Command::Send { .. } | Command::SKey(_) | Command::LKey(_) | Command::LGet | Command::Rslv(_)
        );
        let skey = matches!(accepted.command, Command::SKey(_));
        if !(allowed || self.is(Mutant::RunsAnyForwarded)) || (skey && self.is(Mutant::RefusesForwardedSkey))
        {
            return Response::Err(SmpError::Command(CommandError::Prohibited));
        }
        // Whose session the proxy's is does not matter to what it forwards. Its clients share it: what is known of one's
        // key must not make another's refusal faster (AU-6).
        if let Err(error) = self.verify(&accepted, own, None, &mut KnownSecrets::none())
            && !self.is(Mutant::TrustsProxies)
        {
            return Response::Err(error);
        }
        self.execute_sender(accepted, limit, now)
    }

    /// A sender's command that a proxy forwarded, once it is verified.
    pub(super) fn execute_sender(&mut self, accepted: Accepted, limit: usize, now: u64) -> Response {
        let entity = accepted.received.entity;
        if let Some(info) = self.blocked(&accepted.command, &entity) {
            return Response::Err(SmpError::Blocked(info));
        }
        match accepted.command {
            Command::Send { flags, body } => self.receive(&entity, flags, body, limit, now),
            Command::SKey(key) => self.secure(&entity, key, true),
            Command::LKey(key) => self.secure_by_link(&entity, key),
            Command::LGet => self.get_link(&entity),
            Command::Rslv(_) => Response::Err(SmpError::Name(NameError::NoResolver)),
            // Only a mutant gets here.
            Command::Key(key) => self.secure(&entity, key, false),
            Command::Off => self.suspend(&entity),
            Command::Que => self.state(SessionNo(0), &entity),
            _ => Response::Err(SmpError::Command(CommandError::Prohibited)),
        }
    }
}

/// MSG with the message encrypted for its recipient (SN-9, SN-10).
pub(super) fn seal_message(queue: &Queue, message: &Stored) -> Response {
    let time = i64::try_from(message.time / super::SECOND).unwrap_or(i64::MAX);
    let body = match &message.content {
        Content::Message { flags, body } => MessageBody::Message { time, flags: *flags, body: body.clone() },
        Content::Quota => MessageBody::Quota { time },
    };
    match body.seal(&queue.secret, &message.id) {
        Ok(sealed) => Response::Msg { id: message.id.clone(), body: sealed },
        Err(_) => Response::Err(SmpError::Internal),
    }
}
