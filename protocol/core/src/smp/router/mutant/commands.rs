//! What mutants do wrong with queues, links and notifications, before and after a command is carried out.

use super::super::queues::Link;
use super::super::sessions::Hold;
use super::super::verify::Accepted;
use super::super::{Notification, Router, Status};
use super::{Before, Mutant, has_marker};
use crate::crypto::hash::sender_id_from_corr;
use crate::crypto::keys::AuthPublicKey;
use crate::observe::SessionNo;
use crate::smp::command::{Command, QueueRequest};
use crate::smp::error::{CommandError, SmpError};
use crate::smp::response::Response;
use crate::wire::{EntityId, MsgId, QueueMode};

const AUTH: Response = Response::Err(SmpError::Auth);
const PROHIBITED: Response = Response::Err(SmpError::Command(CommandError::Prohibited));

impl Router {
    /// What the mutant does before a command is carried out: it may change the command or the queue, or answer at once.
    pub(super) fn before_command(
        &mut self,
        mutant: Mutant,
        session: SessionNo,
        before: &Before,
        accepted: &mut Accepted,
        now: u64,
    ) -> Option<Response> {
        let entity = &before.entity;
        let queue = before.queue.as_ref();
        let mode = queue.and_then(|queue| queue.mode);
        let sender_key = queue.and_then(|queue| queue.sender_key);
        let has_link = queue.is_some_and(|queue| queue.link().is_some());
        let has_notifier = queue.is_some_and(|queue| queue.notifier().is_some());
        let contact = Some(QueueMode::Contact);
        match (mutant, &mut accepted.command) {
            (Mutant::SubscribesUnasked, Command::New(new)) => new.subscribe = true,
            (Mutant::ForgetsToSubscribe, Command::New(new)) => new.subscribe = false,
            (Mutant::ForgetsNotifierOfNew, Command::New(new)) => new.notifier = None,
            (Mutant::IgnoresPassword, Command::New(new)) => new.password.clone_from(&self.config.password),
            (Mutant::ProxiesWithoutPassword, Command::Prxy { password, .. }) => {
                password.clone_from(&self.config.password);
            }
            (Mutant::DialsEveryTime, Command::Prxy { .. }) => self.relays.by_address.clear(),
            (Mutant::TakesAnySenderId, Command::New(new)) => {
                let sender = EntityId::from(sender_id_from_corr(&accepted.received.corr));
                match &mut new.queue {
                    QueueRequest::Messaging(Some(link)) => link.sender = sender,
                    QueueRequest::Contact(Some(link)) => link.sender = sender,
                    _ => {}
                }
            }
            (Mutant::RefusesSecondSub, Command::Sub) if matches!(before.hold, Some(Hold::Subscribed(_))) => {
                return Some(PROHIBITED);
            }
            (Mutant::RefusesSubOfSuspended, Command::Sub) if queue?.status == Status::Off => {
                return Some(AUTH);
            }
            (Mutant::ReplacesSenderKey, Command::Key(_)) => self.store.tamper(entity)?.sender_key = None,
            (Mutant::ReplacesKeyBySkey, Command::SKey(_)) if mode != contact => {
                self.store.tamper(entity)?.sender_key = None;
            }
            (Mutant::ReplacesKeyByLkey, Command::LKey(_)) if mode != contact => {
                self.store.tamper(entity)?.sender_key = None;
            }
            (Mutant::RefusesSameKey, Command::Key(key)) if sender_key == Some(*key) => return Some(AUTH),
            (Mutant::ForgetsSenderKey, Command::Key(_)) if sender_key.is_none() => return Some(Response::Ok),
            (Mutant::TakesSkeyOfContact, Command::SKey(key)) if mode == contact => {
                return Some(self.secure_anyway(entity, *key));
            }
            (Mutant::TakesRkeyOfMessaging, Command::RKey(keys)) => {
                self.store.tamper(entity)?.recipient_keys.clone_from(keys);
                return Some(Response::Ok);
            }
            (Mutant::KeepsOldKeys, Command::RKey(keys)) => {
                keys.extend(queue?.recipient_keys.iter().copied().take(255_usize.saturating_sub(keys.len())));
            }
            (Mutant::ForgetsToSuspend, Command::Off) => return Some(Response::Ok),
            (Mutant::RefusesSecondOff, Command::Off) if queue?.status == Status::Off => return Some(AUTH),
            (Mutant::RefusesOffOfBlocked, Command::Off) => {
                return queue?.blocked().map(|info| Response::Err(SmpError::Blocked(info)));
            }
            (Mutant::ForgetsToDelete, Command::Del) => return Some(Response::Ok),
            (Mutant::IgnoresBlocking, Command::Send { .. }) if queue?.blocked().is_some() => {
                self.store.tamper(entity)?.status = Status::Active;
            }
            (Mutant::TakesOtherLink, Command::LSet { link, .. }) if has_link => {
                *link = queue?.link()?.id.clone();
            }
            (Mutant::ChangesFixedData, Command::LSet { data, .. }) if has_link => {
                self.store.tamper(entity)?.link.as_mut()?.data.fixed.clone_from(&data.fixed);
            }
            (Mutant::ForgetsLinkData, Command::LSet { .. }) => return Some(Response::Ok),
            (Mutant::RefusesSecondLdel, Command::LDel) if !has_link => return Some(AUTH),
            (Mutant::KeepsLink, Command::LDel) => return Some(Response::Ok),
            (Mutant::TakesLkeyOfContact, Command::LKey(key)) if mode == contact => {
                let key = *key;
                self.secure_anyway(entity, key);
                return link_data(queue?.link()?, &queue?.sender);
            }
            (Mutant::TakesLgetOfMessaging, Command::LGet) if mode != contact => {
                return link_data(queue?.link()?, &queue?.sender);
            }
            (Mutant::KeepsNotifier, Command::NDel) => return Some(Response::Ok),
            (Mutant::RefusesSecondNdel, Command::NDel) if !has_notifier => return Some(AUTH),
            (Mutant::KeepsFormerNotifier, Command::NKey(_)) if has_notifier => {
                let former = queue?.notifier()?.clone();
                self.wrong_mut()?.former.push(former);
            }
            (Mutant::KeepsFormerNotifier, Command::NSub) => {
                let named = &accepted.received.entity;
                let former = self.wrong.as_ref()?.former.iter().any(|notifier| notifier.id == *named);
                return former.then_some(Response::Sok { service: None });
            }
            (Mutant::KeepsNotifierId, Command::NKey(keys)) if has_notifier => {
                let keys = keys.clone();
                let (mut notifier, mut ids) = self.new_notifier(&keys);
                let before = self.store.replace_notifier(entity, None)?;
                ids.id.clone_from(&before.id);
                notifier.id = before.id;
                self.store.replace_notifier(entity, Some(notifier));
                return Some(Response::Nid(ids));
            }
            (Mutant::NotifiesOfAll, Command::Send { flags, .. }) => flags.notification = true,
            // The flag still reaches the recipient: nobody is told because nobody is there.
            (Mutant::NotifiesOfNone, Command::Send { flags, body }) if flags.notification && has_notifier => {
                let (flags, body, named) = (*flags, std::mem::take(body), accepted.received.entity.clone());
                let notifier = self.store.replace_notifier(entity, None);
                let limit = self.limit(session);
                let response = self.receive(&named, flags, body, limit, now);
                self.store.replace_notifier(entity, notifier);
                return Some(response);
            }
            _ => {}
        }
        None
    }

    /// What the mutant does after a command was carried out, its answer known.
    pub(super) fn after_command(
        &mut self,
        mutant: Mutant,
        session: SessionNo,
        before: &Before,
        answer: &mut Response,
        now: u64,
    ) {
        let entity = &before.entity;
        match (mutant, &before.command, &mut *answer) {
            (Mutant::TellsWrongPassword, Command::New(new), Response::Err(SmpError::Auth))
                if self.config.password != new.password =>
            {
                *answer = PROHIBITED;
            }
            (Mutant::ConfusesIds, _, Response::Ids(ids)) => ids.sender = ids.recipient.clone(),
            (Mutant::SwapsIds, _, Response::Ids(ids)) => {
                let ids = &mut **ids;
                std::mem::swap(&mut ids.sender, &mut ids.recipient);
            }
            (Mutant::SaysOtherMode, _, Response::Ids(ids)) => {
                ids.mode = match ids.mode {
                    Some(QueueMode::Messaging) => Some(QueueMode::Contact),
                    _ => Some(QueueMode::Messaging),
                };
            }
            (Mutant::CallsSenderIdWrong, Command::New(_), Response::Err(SmpError::Command(_))) => {
                *answer = AUTH
            }
            (Mutant::DeliversToFirst, Command::Sub, _) => {
                if let Some(first) = before.subscriber.filter(|first| *first != session) {
                    self.subscribers.insert(entity.clone(), first);
                    if let Some(holds) = self.holds(first) {
                        holds.insert(entity.clone(), Hold::Subscribed(None));
                    }
                }
            }
            (Mutant::HidesSecured, _, Response::Info(text)) => {
                *text = text.replace(r#""qiSnd":true"#, r#""qiSnd":false"#);
            }
            (Mutant::CountsNoMarker, _, Response::Info(text)) => {
                if let Some(queue) = before.queue.as_ref().filter(|queue| has_marker(queue)) {
                    let (right, wrong) = (queue.len(), queue.len() - 1);
                    *text = text.replace(&format!(r#""qiSize":{right}"#), &format!(r#""qiSize":{wrong}"#));
                }
            }
            (Mutant::KeepsUsedLink, Command::Send { .. }, Response::Ok) => {
                let kept = before.queue.as_ref().and_then(|queue| queue.link()).cloned();
                if let Some(Link { id, data }) = kept {
                    self.store.set_link(entity, id, data);
                }
            }
            (Mutant::DropsLinkEarly, Command::Send { .. }, Response::Ok) => self.store.delete_link(entity),
            (Mutant::SaysFixedDataTwice, _, Response::Lnk { data, .. }) => data.user.clone_from(&data.fixed),
            (Mutant::NotifiesOfMarker, Command::Send { .. }, Response::Err(SmpError::Quota)) => {
                let notification = Notification { message: MsgId::from(self.fresh_id()), time: now };
                if let Some(notifier) = self.store.notify(entity, notification, usize::MAX) {
                    self.notify(notifier, now);
                }
            }
            (Mutant::KeepsNoNotification, Command::Send { .. }, _) => {
                let notifier = before.queue.as_ref().and_then(|queue| queue.notifier());
                let away = notifier.filter(|notifier| !self.notifiers.contains_key(&notifier.id));
                if let Some(away) = away {
                    let id = away.id.clone();
                    self.store.take_notifications(&id, usize::MAX, u64::MAX, now);
                }
            }
            _ => {}
        }
    }

    /// Secures a queue for a sender, whatever its mode.
    fn secure_anyway(&mut self, recipient: &EntityId, key: AuthPublicKey) -> Response {
        if self.store.secure(recipient, key) { Response::Ok } else { AUTH }
    }
}

fn link_data(link: &Link, sender: &EntityId) -> Option<Response> {
    Some(Response::Lnk { sender: sender.clone(), data: link.data.clone() })
}
