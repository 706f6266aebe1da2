//! Who sends what to whom and when: the plan that every policy of a run carries out alike.
//!
//! Times count from the beginning of the sending phase. An engine adds the time at which its network is set up:
//! every queue created and secured, every contact able to send.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;

use crate::network::UserIdx;
use crate::population::{Conversation, ConversationId, Population, any_contact, contacts};
use crate::scenario::{InputError, Rate, Scenario, Trace, Workload};
use crate::seed::{Streams, below, choose, exponential};
use crate::trace::{self, TraceReport, Window};
use crate::units::HOUR;

/// One message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Send {
    /// Nanoseconds after the beginning of the sending phase, below the scenario's duration.
    pub at_ns: u64,
    /// The conversation.
    pub conversation: ConversationId,
    /// Whether the conversation's inviter sends it.
    pub from_a: bool,
    /// Its number in its direction of the conversation, from 0 without gaps, in the order of times.
    pub seq: u32,
    /// Length of its body, in bytes.
    pub body_len: u32,
}

/// Everything that a scenario and a seed decide before a policy does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Users and conversations.
    pub population: Population,
    /// Messages, ordered as [`Send`] is: by time, then conversation, direction and number.
    pub sends: Vec<Send>,
    /// What was read of the trace, if there is one.
    pub trace: Option<TraceReport>,
}

impl Plan {
    /// The plan of a scenario. Fails only on a trace, with its file and line.
    pub fn new(scenario: &Scenario, streams: &Streams) -> Result<Self, InputError> {
        let (population, drafts, trace) = match &scenario.workload {
            Workload::Poisson(rate) => {
                let population = Population::drawn(scenario, streams);
                let drafts = poisson(&population, *rate, scenario.duration_ns, streams);
                (population, drafts, None)
            }
            Workload::Trace(trace) => {
                let window = trace::read(trace)?;
                let (population, drafts, report) = recorded(scenario, streams, trace, window);
                (population, drafts, Some(report))
            }
        };
        Ok(Self { population, sends: number(drafts, scenario.body, streams), trace })
    }
}

/// A message before it has a number and a body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Draft {
    at_ns: u64,
    conversation: ConversationId,
    from_a: bool,
}

fn poisson(population: &Population, rate: Rate, duration_ns: u64, streams: &Streams) -> Vec<Draft> {
    let contacts = contacts(population);
    let mut drafts = Vec::new();
    match rate {
        Rate::Total(messages) => {
            // A Poisson process, given how many events it has, is so many independent uniform draws.
            let senders: Vec<_> = contacts.iter().filter(|contacts| !contacts.is_empty()).collect();
            let mut rng = streams.stream("messages");
            for _ in 0..messages {
                let at_ns = below(&mut rng, duration_ns);
                let sender = choose(&mut rng, &senders);
                if let Some((conversation, from_a)) =
                    sender.and_then(|contacts| any_contact(contacts, &mut rng))
                {
                    drafts.push(Draft { at_ns, conversation, from_a });
                }
            }
        }
        Rate::ThousandthsPerUserHour(thousandths) => {
            let mean = (HOUR * 1000) / thousandths.max(1);
            for (user, contacts) in contacts.iter().enumerate() {
                let mut rng = streams.stream(&format!("user/{user}/messages"));
                let mut at_ns = exponential(&mut rng, mean);
                while at_ns < duration_ns {
                    let Some((conversation, from_a)) = any_contact(contacts, &mut rng) else { break };
                    drafts.push(Draft { at_ns, conversation, from_a });
                    // At least a nanosecond, so that no rate stops the clock.
                    at_ns = at_ns.saturating_add(exponential(&mut rng, mean).max(1));
                }
            }
        }
    }
    drafts
}

/// The window's most active people, their pairs as conversations, and the messages between them.
fn recorded(
    scenario: &Scenario,
    streams: &Streams,
    trace: &Trace,
    window: Window,
) -> (Population, Vec<Draft>, TraceReport) {
    let mut report = window.report;
    let mut active = vec![0u64; window.names.len()];
    for message in &window.messages {
        for user in [message.sender, message.recipient] {
            if let Some(n) = active.get_mut(user as usize) {
                *n += 1;
            }
        }
    }
    let mut order: Vec<usize> = (0..active.len()).collect();
    order.sort_by_key(|&user| (std::cmp::Reverse(active.get(user).copied()), user));
    let mut most_active = vec![false; active.len()];
    for user in order.into_iter().take(scenario.users.count as usize) {
        if let Some(kept) = most_active.get_mut(user) {
            *kept = true;
        }
    }
    let kept = |user: u32| most_active.get(user as usize).copied().unwrap_or(false);
    let messages: Vec<_> =
        window.messages.iter().filter(|message| kept(message.sender) && kept(message.recipient)).collect();
    report.beyond_users = report.in_window - messages.len() as u64;

    let mut users: BTreeMap<u32, UserIdx> = messages
        .iter()
        .flat_map(|message| [message.sender, message.recipient])
        .map(|user| (user, UserIdx(0)))
        .collect();
    for (position, user) in users.values_mut().enumerate() {
        *user = UserIdx::from(position);
    }
    report.users_left_out = (window.names.len() - users.len()) as u64;
    let names = users.keys().filter_map(|&user| window.names.get(user as usize).cloned()).collect();
    let user = |id: u32| users.get(&id).copied().unwrap_or(UserIdx(0));
    let pair = |x: UserIdx, y: UserIdx| (x.min(y), x.max(y));

    let mut ids: BTreeMap<(UserIdx, UserIdx), usize> =
        messages.iter().map(|message| (pair(user(message.sender), user(message.recipient)), 0)).collect();
    for (position, id) in ids.values_mut().enumerate() {
        *id = position;
    }
    let pairs: Vec<(UserIdx, UserIdx)> = ids.keys().copied().collect();
    let population = Population::of_pairs(scenario, streams, names, &pairs);
    let conversation = |x: UserIdx, y: UserIdx| -> Option<&Conversation> {
        ids.get(&pair(x, y)).and_then(|&id| population.conversations.get(id))
    };
    let drafts = messages
        .iter()
        .filter_map(|message| {
            let (sender, recipient) = (user(message.sender), user(message.recipient));
            let conversation = conversation(sender, recipient)?;
            let at_ns = message.at_ns / trace.speed.max(1);
            Some(Draft { at_ns, conversation: conversation.id, from_a: conversation.a == sender })
        })
        .collect();
    (population, drafts, report)
}

/// Orders the messages, numbers each direction and draws the lengths of the bodies.
fn number(mut drafts: Vec<Draft>, (min, max): (u32, u32), streams: &Streams) -> Vec<Send> {
    drafts.sort_unstable();
    let mut directions: BTreeMap<(ConversationId, bool), (u32, ChaCha8Rng)> = BTreeMap::new();
    drafts
        .into_iter()
        .map(|Draft { at_ns, conversation, from_a }| {
            let (next, rng) = directions.entry((conversation, from_a)).or_insert_with(|| {
                let side = if from_a { "a" } else { "b" };
                (0, streams.stream(&format!("conversation/{}/{side}/bodies", conversation.0)))
            });
            let seq = *next;
            *next += 1;
            let body_len = min + below(rng, u64::from(max - min) + 1) as u32;
            Send { at_ns, conversation, from_a, seq, body_len }
        })
        .collect()
}
