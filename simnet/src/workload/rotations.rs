//! When queues move to other routers.

use crate::population::{ConversationId, Population};
use crate::scenario::{Rotate, Scenario};
use crate::seed::{Streams, exponential};

/// A queue that moves to another router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rotation {
    /// Nanoseconds after the beginning of the sending phase, below the scenario's duration.
    pub at_ns: u64,
    /// The conversation, one between contacts.
    pub conversation: ConversationId,
    /// Whether its inviter receives on the queue.
    pub to_a: bool,
}

/// Every queue's of contacts' conversations, by time.
pub(super) fn plan(scenario: &Scenario, population: &Population, streams: &Streams) -> Vec<Rotation> {
    let Some(rotate) = &scenario.rotation else { return Vec::new() };
    let mut rotations = Vec::new();
    for conversation in population.contacts().iter().map(|conversation| conversation.id) {
        for to_a in [true, false] {
            match *rotate {
                Rotate::At(at_ns) => rotations.push(Rotation { at_ns, conversation, to_a }),
                Rotate::Every(mean_ns) => {
                    let side = if to_a { "a" } else { "b" };
                    let mut rng =
                        streams.stream(&format!("conversation/{}/{side}/rotations", conversation.0));
                    let mut at_ns = exponential(&mut rng, mean_ns);
                    while at_ns < scenario.duration_ns {
                        rotations.push(Rotation { at_ns, conversation, to_a });
                        at_ns = at_ns.saturating_add(exponential(&mut rng, mean_ns).max(1));
                    }
                }
            }
        }
    }
    rotations.sort_unstable();
    rotations
}

#[cfg(test)]
mod tests {
    use crate::scenario::tests::scenario;
    use crate::units::MINUTE;
    use crate::workload::tests::plan;

    #[test]
    fn every_queue_moves_at_the_time_said() {
        let plan = plan(&scenario("[rotation]\nat = \"1s\"\n"), 1);
        assert_eq!(plan.rotations.len(), 2 * plan.population.conversations.len());
        assert!(plan.rotations.iter().all(|rotation| rotation.at_ns == 1_000_000_000));
    }

    /// Each at exponential intervals: of so many queues over 20 means 20 each, with a standard deviation of 4.5.
    #[test]
    fn every_queue_moves_at_the_rate_said() {
        let mut scenario = scenario("[rotation]\nevery = \"1m\"\n");
        scenario.duration_ns = 20 * MINUTE;
        let plan = plan(&scenario, 1);
        let queues = 2 * plan.population.conversations.len();
        let mean = plan.rotations.len() as f64 / queues as f64;
        assert!((18.0..22.0).contains(&mean), "{mean}");
        assert!(plan.rotations.is_sorted());
    }
}
