//! Messages as a trace has them, between its most active people.

use std::cmp::Reverse;

use super::{Send, draft};
use crate::graph::Pair;
use crate::network::UserIdx;
use crate::population::Population;
use crate::scenario::{Scenario, Trace};
use crate::seed::Streams;
use crate::trace::{Recorded, TraceReport, Window};

/// The window's most active people, their pairs as conversations, and the messages between them.
pub(super) fn plan(
    scenario: &Scenario,
    streams: &Streams,
    trace: &Trace,
    window: Window,
) -> (Population, Vec<Send>, TraceReport) {
    let Window { names, mut messages, mut report } = window;
    let taken = most_active(names.len(), &messages, scenario.users.count as usize);
    let is_taken = |user: u32| taken.get(user as usize).copied().unwrap_or(false);
    messages.retain(|message| is_taken(message.sender) && is_taken(message.recipient));
    report.beyond_users = report.in_window - messages.len() as u64;

    // Who of them writes or is written to, numbered in the order of names.
    let mut user_of: Vec<Option<UserIdx>> = vec![None; names.len()];
    for user in messages.iter().flat_map(|message| [message.sender, message.recipient]) {
        if let Some(slot) = user_of.get_mut(user as usize) {
            *slot = Some(UserIdx(0));
        }
    }
    let mut kept = Vec::new();
    for (slot, name) in user_of.iter_mut().zip(names) {
        if let Some(user) = slot {
            *user = UserIdx::from(kept.len());
            kept.push(name);
        } else {
            report.users_left_out += 1;
        }
    }
    let user = |id: u32| user_of.get(id as usize).copied().flatten().unwrap_or(UserIdx(0));
    let pair = |x: UserIdx, y: UserIdx| (x.min(y), x.max(y));
    let pairs = distinct(messages.iter().map(|message| pair(user(message.sender), user(message.recipient))));
    let population = Population::of_pairs(scenario, streams, kept, &pairs);
    let drafts = messages
        .iter()
        .filter_map(|message| {
            let (sender, recipient) = (user(message.sender), user(message.recipient));
            let place = pairs.binary_search(&pair(sender, recipient)).ok()?;
            let conversation = population.conversations.get(place)?;
            let at_ns = message.at_ns / trace.speed.max(1);
            Some(draft(at_ns, conversation.id, conversation.a == sender))
        })
        .collect();
    (population, drafts, report)
}

/// Each pair once, in order.
fn distinct(pairs: impl Iterator<Item = Pair>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = pairs.collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// The most active people, in the order of messages sent and received, then of names: so many that `count` of
/// them have a contact among them. One who would bring along too many who had waited for a contact is passed
/// over. Those who are left without a contact send no messages and so become no users.
fn most_active(people: usize, messages: &[Recorded], count: usize) -> Vec<bool> {
    let mut taken = vec![false; people];
    if count >= people {
        taken.fill(true);
        return taken;
    }
    let mut activity = vec![0u32; people];
    for user in messages.iter().flat_map(|message| [message.sender, message.recipient]) {
        if let Some(activity) = activity.get_mut(user as usize) {
            *activity += 1;
        }
    }
    // Each pair in both directions, so that everyone's contacts stand together.
    let both = messages.iter().flat_map(|m| [(m.sender, m.recipient), (m.recipient, m.sender)]);
    let contacts = distinct(both.map(|(x, y)| (UserIdx(x), UserIdx(y))));
    let mut order: Vec<(Reverse<u32>, u32)> = activity.into_iter().map(Reverse).zip(0..).collect();
    order.sort_unstable();
    let is = |marks: &[bool], user: UserIdx| marks.get(user.index()).copied().unwrap_or(false);
    let mut with_contact = vec![false; people];
    let mut number = 0;
    for (_, user) in order {
        let user = UserIdx(user);
        let begin = contacts.partition_point(|&(x, _)| x < user);
        let own = contacts.iter().skip(begin).take_while(|(x, _)| *x == user);
        let among: Vec<UserIdx> = own.map(|&(_, contact)| contact).filter(|&c| is(&taken, c)).collect();
        let joining = among.iter().filter(|&&contact| !is(&with_contact, contact)).count();
        if !among.is_empty() {
            if number + joining + 1 > count {
                continue;
            }
            number += joining + 1;
            for joined in among.into_iter().chain([user]) {
                if let Some(mark) = with_contact.get_mut(joined.index()) {
                    *mark = true;
                }
            }
        }
        if let Some(mark) = taken.get_mut(user.index()) {
            *mark = true;
        }
    }
    taken
}
