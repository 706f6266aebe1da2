//! Messages that answer each other: sessions begin as Poisson processes, inside them messages go back and forth.

use rand_core::Rng;

use super::{Send, draft};
use crate::population::{Contact, Contacts, any_contact};
use crate::scenario::{Rate, Sessions};
use crate::seed::{Streams, below, choose, exponential};
use crate::units::HOUR;

/// Every user begins sessions at the same rate, each with a contact drawn uniformly: so each pair's sessions
/// are a Poisson process.
///
/// What would come after the end comes at the beginning instead, as if of sessions that began before it. So
/// the rate is the same at all times and none of it is lost.
pub(super) fn drafts(
    contacts: &Contacts,
    sessions: Sessions,
    duration_ns: u64,
    streams: &Streams,
) -> Vec<Send> {
    let mut drafts = Vec::new();
    match sessions.rate {
        Rate::Total(messages) => {
            let senders: Vec<_> = contacts.users().collect();
            let mut rng = streams.stream("messages");
            while (drafts.len() as u64) < messages {
                let at_ns = below(&mut rng, duration_ns);
                let Some(&user) = choose(&mut rng, &senders) else { break };
                let Some(contact) = any_contact(contacts.of(user), &mut rng) else { break };
                let most = messages - drafts.len() as u64;
                session(&mut drafts, at_ns, contact, most, sessions, duration_ns, &mut rng);
            }
        }
        Rate::ThousandthsPerUserHour(thousandths) => {
            let mean =
                u128::from(HOUR) * u128::from(sessions.length_thousandths) / u128::from(thousandths.max(1));
            let mean = u64::try_from(mean).unwrap_or(u64::MAX);
            for user in contacts.users() {
                let mut rng = streams.stream(&format!("user/{}/sessions", user.0));
                let mut at_ns = exponential(&mut rng, mean);
                while at_ns < duration_ns {
                    let Some(contact) = any_contact(contacts.of(user), &mut rng) else { break };
                    session(&mut drafts, at_ns, contact, u64::MAX, sessions, duration_ns, &mut rng);
                    at_ns = at_ns.saturating_add(exponential(&mut rng, mean).max(1));
                }
            }
        }
    }
    drafts
}

/// One session, of at most so many messages.
fn session(
    drafts: &mut Vec<Send>,
    mut at_ns: u64,
    (conversation, mut from_a): Contact,
    most: u64,
    sessions: Sessions,
    duration_ns: u64,
    rng: &mut impl Rng,
) {
    for number in 1.. {
        drafts.push(draft(at_ns % duration_ns, conversation, from_a));
        // Each message is the last with probability 1 / mean.
        if number >= most || below(rng, sessions.length_thousandths) < 1000 {
            return;
        }
        at_ns = at_ns.saturating_add(exponential(rng, sessions.gap_ns));
        from_a = !from_a;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, plan};
    use super::*;
    use crate::population::ConversationId;
    use crate::scenario::tests::scenario;
    use crate::scenario::{Scenario, Workload};
    use crate::units::{DAY, SECOND};
    use std::collections::BTreeMap;

    fn with_sessions(rate: Rate) -> Scenario {
        let mut scenario = scenario("");
        scenario.duration_ns = 200 * DAY;
        scenario.workload =
            Workload::Conversations(Sessions { rate, length_thousandths: 5000, gap_ns: 20 * SECOND });
        scenario
    }

    /// Expected are 24,000 messages in 4,800 sessions: ± 440, as the variance of a geometric length is 20. Two
    /// sessions of 18 conversations rarely meet within five minutes: what is further apart is another session.
    #[test]
    fn sessions_have_their_length_and_gap_and_go_back_and_forth() {
        for rate in [Rate::Total(24_000), Rate::ThousandthsPerUserHour(417)] {
            let scenario = with_sessions(rate);
            let plan = plan(&scenario, 1);
            check(&scenario, &plan);
            let messages = plan.sends.len();
            assert!((22_200..25_800).contains(&messages), "{rate:?}: {messages}");
            if rate == Rate::Total(24_000) {
                assert_eq!(messages, 24_000);
            }
            let mut last: BTreeMap<ConversationId, (u64, bool)> = BTreeMap::new();
            let (mut gaps, mut answers, mut gap_ns) = (0u32, 0u32, 0u64);
            for send in &plan.sends {
                let before = last.insert(send.conversation, (send.at_ns, send.from_a));
                let Some((at_ns, from_a)) = before else { continue };
                if send.at_ns - at_ns < 300 * SECOND {
                    gaps += 1;
                    answers += u32::from(from_a != send.from_a);
                    gap_ns += send.at_ns - at_ns;
                }
            }
            // 1 - 1/5 of the messages follow another one of their session; a mean of 20 s.
            let share = f64::from(gaps) / messages as f64;
            assert!((share - 0.8).abs() < 0.02, "{rate:?}: {share}");
            assert!(f64::from(answers) > 0.99 * f64::from(gaps), "{rate:?}: {answers} of {gaps}");
            let mean = gap_ns as f64 / f64::from(gaps) / 1e9;
            assert!((mean - 20.0).abs() < 1.0, "{rate:?}: {mean} s");
        }
    }

    #[test]
    fn a_mean_of_one_is_a_message_alone() {
        let mut scenario = with_sessions(Rate::Total(2000));
        if let Workload::Conversations(sessions) = &mut scenario.workload {
            sessions.length_thousandths = 1000;
        }
        let plan = plan(&scenario, 1);
        check(&scenario, &plan);
        assert_eq!(plan.sends.len(), 2000);
    }
}
