//! Routers that are wrong in one thing each: what a conformance suite has to notice.
//!
//! A mutant is the right router with something else at one of a few places, which the modules here are asked at: the
//! hellos, what a block holds, what is let through, before and after a command is carried out, and what leaves. Without a
//! mutant none of them does anything.
//!
//! | module | where it is asked |
//! |---|---|
//! | `list` | all of them, by name |
//! | `handshake` | both hellos, and the session that they agree on |
//! | `transmissions` | what a block holds, who may do what, what leaves |
//! | `commands` | queues, links and notifications, around a command |
//! | `delivery` | messages, around a command and when they leave |
//! | `forwarding` | proxies and relays |
//! | `services` | services and names |

mod commands;
mod delivery;
mod forwarding;
mod handshake;
mod list;
mod services;
mod transmissions;

use std::collections::BTreeSet;

pub(super) use self::forwarding::refuse_forward_wrongly;
pub use self::list::Mutant;
pub(super) use self::transmissions::{check_wrongly, sort_wrongly, unpack_wrongly};
use super::sessions::Hold;
use super::verify::{Accepted, Reply};
use super::{Content, Notifier, Queue, Router, RouterConfig};
use crate::observe::SessionNo;
use crate::smp::command::Command;
use crate::smp::response::Response;
use crate::smp::version::{BlockedForm, IdsForm, Layout};
use crate::wire::{CorrId, EntityId, MsgId, VersionRange};

/// What a mutant is, and what it remembers.
#[derive(Debug)]
pub(super) struct Wrong {
    mutant: Mutant,
    /// Correlation ids seen in a session.
    corr_ids: BTreeSet<(SessionNo, CorrId)>,
    /// The last correlation id.
    last_corr: CorrId,
    /// Messages delivered once.
    delivered: BTreeSet<MsgId>,
    /// Notifiers that NKEY replaced.
    former: Vec<Notifier>,
    /// The entity of the command that is carried out.
    running: EntityId,
    /// The router's identity, and the versions that it offers.
    identity: [u8; 32],
    versions: VersionRange,
}

/// What was there before a command, for what is done after it.
struct Before {
    command: Command,
    entity: EntityId,
    /// Who was subscribed.
    subscriber: Option<SessionNo>,
    /// How the session held the queue.
    hold: Option<Hold>,
    /// The queue.
    queue: Option<Queue>,
}

impl Router {
    /// This router, wrong in one thing. For suites that test suites.
    #[must_use]
    pub fn wrong_in(mut self, mutant: Mutant) -> Self {
        configure(mutant, &mut self.config);
        let identity = self.credentials.chain.identity().unwrap_or_default();
        self.wrong = Some(Box::new(Wrong {
            mutant,
            corr_ids: BTreeSet::new(),
            last_corr: CorrId::EMPTY,
            delivered: BTreeSet::new(),
            former: Vec::new(),
            running: EntityId::EMPTY,
            identity,
            versions: self.config.versions,
        }));
        self
    }

    /// Whether it is this mutant.
    pub(super) fn is(&self, mutant: Mutant) -> bool {
        self.mutant() == Some(mutant)
    }

    /// Which mutant it is, if it is one.
    pub(super) fn mutant(&self) -> Option<Mutant> {
        self.wrong.as_ref().map(|wrong| wrong.mutant)
    }

    fn wrong_mut(&mut self) -> Option<&mut Wrong> {
        self.wrong.as_deref_mut()
    }

    /// The queue that a command's entity names, by whichever of its ids, with its recipient id.
    fn named(&self, entity: &EntityId) -> Option<(EntityId, &Queue)> {
        let by_sender = self.store.by_sender(entity).or_else(|| self.store.by_notifier(entity));
        let by_link = || self.store.by_link(&super::verify::link_id(entity));
        match by_sender.or_else(by_link) {
            Some((recipient, queue)) => Some((recipient.clone(), queue)),
            None => self.store.by_recipient(entity).map(|queue| (entity.clone(), queue)),
        }
    }

    /// Carries out a command, with what the mutant does before and after it.
    pub(super) fn execute_wrongly(
        &mut self,
        mutant: Mutant,
        session: SessionNo,
        mut accepted: Accepted,
        now: u64,
        replies: &mut Vec<Reply>,
        messages: &mut Vec<Reply>,
    ) {
        let (corr, entity) = (accepted.received.corr.clone(), accepted.received.entity.clone());
        let named = self.named(&entity).map(|(recipient, queue)| (recipient, queue.clone()));
        let (recipient, queue) = named.unzip();
        let recipient = recipient.unwrap_or_else(|| entity.clone());
        if let Some(wrong) = self.wrong_mut() {
            wrong.running = recipient.clone();
        }
        let before = Before {
            command: accepted.command.clone(),
            subscriber: self.subscribers.get(&recipient).copied(),
            hold: self.holds(session).and_then(|holds| holds.get(&recipient)).cloned(),
            entity: recipient,
            queue,
        };
        let instead = self
            .before_command(mutant, session, &before, &mut accepted, now)
            .or_else(|| self.before_delivery(mutant, session, &before, &mut accepted, now))
            .or_else(|| self.before_service(mutant, session, &mut accepted));
        let (at, events) = (replies.len(), messages.len());
        match instead {
            Some(response) => replies.push(Reply { corr, entity, response }),
            None => self.execute_rightly(session, accepted, now, replies, messages),
        }
        let mut answers = replies.split_off(at);
        for answer in &mut answers {
            self.after_command(mutant, session, &before, &mut answer.response, now);
            self.after_delivery(mutant, session, &before, &mut answer.response, now);
            self.after_service(mutant, &before, &mut answer.response);
            if mutant == Mutant::NamesNewQueue
                && let Response::Ids(ids) = &answer.response
            {
                answer.entity = ids.recipient.clone();
            }
        }
        replies.append(&mut answers);
        if mutant == Mutant::SkipsRedelivery && matches!(before.hold, Some(Hold::Subscribed(Some(_)))) {
            messages.truncate(events);
        }
    }

    /// An event for a subscription that ended, and whom it goes to; `None` if nobody is told.
    pub(super) fn ends_wrongly(
        &self,
        mutant: Mutant,
        session: SessionNo,
        entity: EntityId,
        event: Response,
    ) -> Option<(SessionNo, EntityId, Response)> {
        // An event about another entity than the command's queue is about its notifier.
        let of_queue = self.wrong.as_ref().is_some_and(|wrong| wrong.running == entity);
        let end = event == Response::End;
        match mutant {
            Mutant::TakesOverSilently if of_queue && end => None,
            Mutant::DeletesSilently if of_queue && !end => None,
            Mutant::TakesOverNotifierSilently if !of_queue && end => None,
            Mutant::DropsNotifierSilently if !of_queue && !end => None,
            Mutant::TakesOverServiceSilently if matches!(event, Response::Ends(_)) => None,
            Mutant::EndsWithoutEntity if of_queue && end => Some((session, EntityId::EMPTY, event)),
            Mutant::EndsTheNewcomer if of_queue && end => {
                let newcomer = self.subscribers.get(&entity).copied().unwrap_or(session);
                Some((newcomer, entity, event))
            }
            _ => Some((session, entity, event)),
        }
    }
}

/// What a mutant's limits and intervals are.
fn configure(mutant: Mutant, config: &mut RouterConfig) {
    match mutant {
        Mutant::WaitsForHello => config.handshake_timeout = u64::MAX,
        Mutant::IgnoresNewQueuesOff => config.new_queues = true,
        Mutant::IgnoresProxyOff => config.proxy = true,
        Mutant::HoldsOneMore => config.queue_quota += 1,
        Mutant::HoldsOneLess => config.queue_quota = config.queue_quota.saturating_sub(1),
        Mutant::NeverExpires => config.message_ttl = u64::MAX,
        Mutant::SkipsExpiryOnSend => config.expire_on_send = false,
        Mutant::NeverClosesIdle => config.inactive_ttl = u64::MAX,
        Mutant::ForgetsFailedRelays => config.relay_memory = 0,
        Mutant::AsksWithoutLimit => config.lookups = usize::MAX,
        _ => {}
    }
}

/// What a mutant takes a version to change.
fn layout(mutant: Mutant, layout: &mut Layout) {
    match mutant {
        Mutant::AnswersNewAsLatest => layout.ids = IdsForm::Notifier,
        Mutant::AlwaysSok => layout.sok = true,
        Mutant::NeverSok => layout.sok = false,
        Mutant::AlwaysDeld => layout.deld = true,
        Mutant::NeverDeld => layout.deld = false,
        Mutant::TakesLargerBody => layout.message_limit += 1,
        Mutant::LimitsAsLatest => layout.message_limit = Layout::of(crate::smp::version::MAX).message_limit,
        Mutant::AlwaysSaysBlocked if layout.blocked == BlockedForm::Auth => {
            layout.blocked = BlockedForm::Reason;
        }
        Mutant::AlwaysSaysNotice if layout.blocked == BlockedForm::Reason => {
            layout.blocked = BlockedForm::Notice;
        }
        _ => {}
    }
}

/// Whether a queue holds a quota marker.
fn has_marker(queue: &Queue) -> bool {
    queue.messages.last().is_some_and(|message| message.content == Content::Quota)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_say_what_the_mutant_does() {
        let names: BTreeSet<_> = Mutant::ALL.iter().map(|mutant| mutant.name()).collect();
        assert_eq!(names.len(), Mutant::ALL.len());
        assert_eq!(Mutant::TakesAnySignature.name(), "takes-any-signature");
        assert!(Mutant::ALL.iter().all(|mutant| mutant.does().ends_with('.')));
        assert_eq!(Mutant::TakesAnySignature.area(), "authorization");
    }
}
