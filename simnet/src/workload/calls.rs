//! Who calls whom when, and how long it takes until the call is taken.

use crate::population::{Contacts, ConversationId, Population, any_contact};
use crate::scenario::Scenario;
use crate::seed::{Streams, below, exponential};
use crate::units::DAY;

/// A call between contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Nanoseconds after the beginning of the sending phase, below the scenario's duration.
    pub at_ns: u64,
    /// The conversation, one between contacts.
    pub conversation: ConversationId,
    /// Whether its inviter calls.
    pub from_a: bool,
    /// How long after it rings it is taken, in nanoseconds; nothing: it is not.
    pub taken_after_ns: Option<u64>,
}

/// Every user calls at the same average rate, independently, each time a contact drawn uniformly.
pub(super) fn plan(scenario: &Scenario, population: &Population, streams: &Streams) -> Vec<Call> {
    let Some(wanted) = &scenario.calls else { return Vec::new() };
    let mean = DAY * 1000 / wanted.thousandths_per_user_day.max(1);
    let contacts = Contacts::new(population);
    let mut calls = Vec::new();
    for user in contacts.users() {
        let mut rng = streams.stream(&format!("user/{}/calls", user.0));
        let mut at_ns = exponential(&mut rng, mean);
        while at_ns < scenario.duration_ns {
            let Some((conversation, from_a)) = any_contact(contacts.of(user), &mut rng) else { break };
            let taken = below(&mut rng, 1_000_000) < u64::from(wanted.answered_millionths);
            let after = exponential(&mut rng, wanted.answer_after_ns);
            let taken_after_ns = (taken && after <= wanted.lapse_ns).then_some(after);
            calls.push(Call { at_ns, conversation, from_a, taken_after_ns });
            at_ns = at_ns.saturating_add(exponential(&mut rng, mean).max(1));
        }
    }
    calls.sort_unstable();
    calls
}

#[cfg(test)]
mod tests {
    use crate::scenario::tests::scenario;
    use crate::units::{DAY, SECOND};
    use crate::workload::tests::plan;

    /// 12 users × 200 a day × 2 days: 4,800 expected, standard deviation 69; 60 % of them taken, ± 34, after 8 s ± 0.15 s on average.
    #[test]
    fn calls_have_the_rate_said_and_are_taken_as_often_as_said() {
        let mut scenario = scenario("[calls]\nper_user_per_day = 200\nanswered = 0.6\n");
        scenario.duration_ns = 2 * DAY;
        let calls = plan(&scenario, 1).calls;
        assert!(calls.is_sorted());
        assert!((4_550..5_050).contains(&calls.len()), "{}", calls.len());
        let taken: Vec<u64> = calls.iter().filter_map(|call| call.taken_after_ns).collect();
        let share = taken.len() as f64 / calls.len() as f64;
        assert!((0.57..0.63).contains(&share), "{share}");
        let mean = taken.iter().sum::<u64>() / taken.len() as u64;
        assert!(mean.abs_diff(8 * SECOND) < SECOND * 6 / 10, "{mean}");
    }

    #[test]
    fn calls_change_nothing_else() {
        let with = plan(&scenario("[calls]\nper_user_per_day = 1000\nanswered = 1\n"), 1);
        assert!(!with.calls.is_empty());
        assert_eq!(with.sends, plan(&scenario(""), 1).sends);
    }
}
