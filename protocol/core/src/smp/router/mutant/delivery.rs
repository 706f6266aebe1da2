//! What mutants do wrong with messages: storing, delivering, acknowledging.

use super::super::commands::seal_message;
use super::super::sessions::Hold;
use super::super::verify::{Accepted, Reply};
use super::super::{Content, Queue, Router, Stored};
use super::{Before, Mutant, has_marker};
use crate::crypto::boxes::{random_nonce, seal_padded};
use crate::observe::SessionNo;
use crate::smp::command::{Command, MsgFlags};
use crate::smp::envelope::{BODY_SIZE, MessageBody, NotificationMeta};
use crate::smp::error::{CommandError, SmpError};
use crate::smp::response::Response;
use crate::wire::{CorrId, EntityId, MsgId};

/// What the document pads bodies to (D14).
const DOCUMENTED_SIZE: usize = 16050;

impl Router {
    /// What the mutant does before a command is carried out.
    pub(super) fn before_delivery(
        &mut self,
        mutant: Mutant,
        session: SessionNo,
        before: &Before,
        accepted: &mut Accepted,
        now: u64,
    ) -> Option<Response> {
        let entity = &before.entity;
        let queue = before.queue.as_ref();
        let delivered = match &before.hold {
            Some(Hold::Subscribed(delivered) | Hold::Fetched(delivered)) => delivered.clone(),
            None => None,
        };
        match (mutant, &mut accepted.command) {
            (Mutant::RemovesForWrongId, Command::Ack(id)) if !id.is_empty() => *id = delivered?,
            (Mutant::RemovesForEmptyId, Command::Ack(id)) if id.is_empty() => *id = delivered?,
            (Mutant::ForgetsToRemove, Command::Ack(id)) if Some(&*id) == delivered.as_ref() => {
                *id = MsgId::EMPTY
            }
            (Mutant::RemovesNewest, Command::Ack(id)) if Some(&*id) == delivered.as_ref() => {
                *id = MsgId::EMPTY;
                reorder(self.store.tamper(entity)?, |messages| drop(messages.pop()));
            }
            (Mutant::TakesGetAfterSub, Command::Get) | (Mutant::TakesSubAfterGet, Command::Sub) => {
                self.holds(session)?.remove(entity);
            }
            (Mutant::TakesOverWithGet, Command::Get) => {
                let before = before.subscriber.filter(|before| *before != session)?;
                self.subscribers.remove(entity);
                self.holds(before)?.remove(entity);
                self.collect_end(before, entity.clone(), Response::End, now);
            }
            (Mutant::RefusesUnknownFlags, Command::Send { .. }) => {
                let flags = accepted.received.command.get(5..)?.split(|byte| *byte == b' ').next()?;
                if flags.len() > 1 {
                    return Some(Response::Err(SmpError::Command(CommandError::Syntax)));
                }
            }
            (Mutant::RefusesLargestBody, Command::Send { body, .. })
                if body.len() == self.open(session)?.agreed.session.layout.message_limit =>
            {
                return Some(Response::Err(SmpError::LargeMsg));
            }
            (Mutant::RefusesEmptyBody, Command::Send { body, .. }) if body.is_empty() => {
                return Some(Response::Err(SmpError::Command(CommandError::Syntax)));
            }
            (Mutant::ReopensEarly, Command::Send { .. })
                if has_marker(queue?) && queue?.len() <= self.config.queue_quota =>
            {
                reorder(self.store.tamper(entity)?, |messages| drop(messages.pop()));
            }
            _ => {}
        }
        None
    }

    /// What the mutant does after a command was carried out, its answer known.
    pub(super) fn after_delivery(
        &mut self,
        mutant: Mutant,
        session: SessionNo,
        before: &Before,
        answer: &mut Response,
        now: u64,
    ) {
        let entity = &before.entity;
        match (mutant, &before.command, &mut *answer) {
            (Mutant::TakesSecondAck, Command::Ack(_), Response::Err(SmpError::NoMsg)) => {
                *answer = Response::Ok
            }
            (Mutant::StopsAfterAck, Command::Ack(_), Response::Msg { .. }) => *answer = Response::Ok,
            (Mutant::GoesOnAfterGet, Command::Ack(_), Response::Ok) => {
                if matches!(before.hold, Some(Hold::Fetched(_)))
                    && let Some(message) = self.next_message(session, entity)
                {
                    *answer = message;
                }
            }
            (Mutant::RemovesWithGet, Command::Get, Response::Msg { id, .. }) => {
                let id = id.clone();
                self.store.remove(entity, &id);
            }
            (Mutant::CallsEmptyNoMsg, Command::Get, Response::Ok) => *answer = Response::Err(SmpError::NoMsg),
            (Mutant::CallsFullWrong, _, Response::Err(SmpError::Quota)) => {
                *answer = Response::Err(SmpError::Auth)
            }
            (Mutant::LeavesNoMarker, Command::Send { .. }, Response::Err(SmpError::Quota)) => {
                if let Some(queue) = self.store.tamper(entity).filter(|queue| has_marker(queue)) {
                    reorder(queue, |messages| drop(messages.pop()));
                }
            }
            (Mutant::StoresRefused, Command::Send { flags, body }, Response::Err(SmpError::Quota)) => {
                let content = Content::Message { flags: *flags, body: body.clone() };
                let message = Stored { id: MsgId::from(self.fresh_id()), time: now, content };
                if let Some(queue) = self.store.tamper(entity) {
                    queue.messages.push(message);
                }
            }
            (Mutant::DeliversNewestFirst, Command::Send { .. }, Response::Ok) => self.put_in_front(entity),
            (Mutant::DeliversAhead, Command::Send { .. }, Response::Ok) => {
                let queue = self.store.by_recipient(entity).filter(|queue| queue.len() > 1);
                let ahead = queue.and_then(|queue| Some(seal_message(queue, queue.messages.last()?)));
                if let (Some(subscriber), Some(response)) = (before.subscriber, ahead) {
                    self.send(
                        subscriber,
                        vec![Reply { corr: CorrId::EMPTY, entity: entity.clone(), response }],
                    );
                }
            }
            _ => {}
        }
    }

    /// The id of the message that is being stored.
    pub(in super::super) fn message_id(&mut self) -> MsgId {
        let fresh = MsgId::from(self.fresh_id());
        match &self.wrong {
            Some(wrong) if wrong.mutant == Mutant::NamesMessageAfterSend => {
                MsgId::new(wrong.last_corr.as_bytes()).unwrap_or(fresh)
            }
            _ => fresh,
        }
    }

    /// Puts a queue's newest message before all that were not delivered.
    fn put_in_front(&mut self, entity: &EntityId) {
        let subscriber = self.subscribers.get(entity).copied();
        let hold = subscriber.and_then(|session| self.holds(session)).and_then(|holds| holds.get(entity));
        let first = usize::from(matches!(hold, Some(Hold::Subscribed(Some(_)))));
        if let Some(queue) = self.store.tamper(entity) {
            reorder(queue, |messages| {
                if let Some(newest) = messages.pop() {
                    messages.insert(first.min(messages.len()), newest);
                }
            });
        }
    }

    /// Changes a message or notification that leaves.
    pub(super) fn deliver_wrongly(&mut self, mutant: Mutant, reply: &mut Reply) {
        match &mut reply.response {
            Response::Msg { id, .. } => {
                let id = id.clone();
                if mutant == Mutant::RemovesWithDelivery {
                    self.store.remove(&reply.entity, &id);
                }
                let again = self.wrong_mut().is_some_and(|wrong| !wrong.delivered.insert(id.clone()));
                let renamed = MsgId::from(self.fresh_id());
                let Some(queue) = self.store.by_recipient(&reply.entity) else { return };
                if let Response::Msg { id, body } = &mut reply.response
                    && let Some((new_id, sealed)) =
                        sealed_wrongly(mutant, queue, id, body, again.then_some(renamed))
                {
                    (*id, *body) = (new_id, sealed);
                }
                if let (Mutant::LeaksSentCiphertext, Response::Msg { body, .. }) =
                    (mutant, &mut reply.response)
                    && let Some(Content::Message { body: sent, .. }) =
                        queue.first().map(|first| &first.content)
                {
                    // As long as it was: the last bytes give way.
                    let kept = body.len().saturating_sub(sent.len());
                    body.truncate(kept);
                    body.extend_from_slice(sent);
                }
            }
            Response::Nmsg { nonce, meta } => {
                let Some((_, queue)) = self.store.by_notifier(&reply.entity) else { return };
                let Some(notifier) = queue.notifier() else { return };
                match mutant {
                    Mutant::NotifiesOfOther => {
                        let Ok(opened) = NotificationMeta::open(&notifier.secret, nonce, meta) else {
                            return;
                        };
                        let other = NotificationMeta { id: MsgId::from([0; 24]), ..opened };
                        if let Ok(sealed) = other.seal(&notifier.secret, nonce) {
                            *meta = sealed;
                        }
                    }
                    Mutant::NotifiesUnderOtherNonce => *nonce = random_nonce(&mut self.rng),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// A delivery as the mutant makes it, from the right one; `None` if it is the right one.
fn sealed_wrongly(
    mutant: Mutant,
    queue: &Queue,
    id: &MsgId,
    sealed: &[u8],
    renamed: Option<MsgId>,
) -> Option<(MsgId, Vec<u8>)> {
    let mut message = MessageBody::open(&queue.secret, id, sealed).ok()?;
    let right = message.clone();
    let (mut new_id, mut nonce_id, mut size) = (id.clone(), id.clone(), BODY_SIZE);
    match (mutant, &mut message) {
        (Mutant::RenamesRedelivered, _) => {
            new_id = renamed?;
            nonce_id = new_id.clone();
        }
        (Mutant::SealsUnderZero, _) => nonce_id = MsgId::EMPTY,
        (Mutant::PadsAsDocumented, _) => size = DOCUMENTED_SIZE,
        (Mutant::SaysMilliseconds, MessageBody::Message { time, .. } | MessageBody::Quota { time }) => {
            *time = time.saturating_mul(1000);
        }
        (Mutant::DropsFlags, MessageBody::Message { flags, .. }) => *flags = MsgFlags::default(),
        (Mutant::CutsBodies, MessageBody::Message { body, .. }) => drop(body.pop()),
        _ => return None,
    }
    if message == right && nonce_id == *id && new_id == *id && size == BODY_SIZE {
        return None;
    }
    let nonce = crate::crypto::boxes::nonce_from_msg(&nonce_id);
    let sealed = seal_padded(&queue.secret, &nonce, &message.encode(), size).ok()?;
    Some((new_id, sealed))
}

/// Puts a queue's messages in another order, or others in their place.
fn reorder(queue: &mut Queue, change: impl FnOnce(&mut Vec<Stored>)) {
    let mut messages = Vec::new();
    while let Some((_, message)) = queue.messages.pop() {
        messages.push(message);
    }
    change(&mut messages);
    for message in messages {
        queue.messages.push(message);
    }
}
