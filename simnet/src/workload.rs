//! Who sends what to whom and when: the plan that every policy of a run carries out alike.
//!
//! Times count from the beginning of the sending phase. An engine adds the time at which its network is set up:
//! every queue created and secured, every contact able to send.

mod calls;
mod diurnal;
mod grouped;
mod recorded;
mod rotations;
mod sessions;

use rand_chacha::ChaCha8Rng;

pub use self::calls::Call;
pub(crate) use self::diurnal::Day;
pub use self::rotations::Rotation;
use crate::population::{Contacts, ConversationId, Population, any_contact};
use crate::scenario::{InputError, Rate, Scenario, Workload};
use crate::seed::{Streams, below, choose, exponential};
use crate::trace::{self, TraceReport};
use crate::units::HOUR;
use crate::{business, groups};

/// One message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Send {
    /// Nanoseconds after the beginning of the sending phase, below the scenario's duration.
    pub at_ns: u64,
    /// The conversation.
    pub conversation: ConversationId,
    /// Whether the conversation's inviter sends it.
    pub from_a: bool,
    /// Its number in its direction of the conversation, from 0 without gaps, in the order of times, where no call comes between; in a group its number among the
    /// sender's messages to the group.
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
    /// Calls between contacts, by time.
    pub calls: Vec<Call>,
    /// Queues that move to other routers, by time.
    pub rotations: Vec<Rotation>,
    /// What was read of the trace, if there is one.
    pub trace: Option<TraceReport>,
}

impl Plan {
    /// The plan of a scenario. Fails only on a trace, with its file and line.
    pub fn new(scenario: &Scenario, streams: &Streams) -> Result<Self, InputError> {
        Self::on(scenario, streams, streams)
    }

    /// The plan on a network drawn from streams of its own: users, where they are, their contacts and their routers. Messages are
    /// drawn from `streams`. Fails as [`Plan::new`].
    pub fn on(scenario: &Scenario, network: &Streams, streams: &Streams) -> Result<Self, InputError> {
        if let Workload::Trace(trace) = &scenario.workload {
            let window = trace::read(trace)?;
            let (population, drafts, report) = recorded::plan(scenario, network, trace, window);
            return Ok(Self::with_groups(scenario, population, drafts, (network, streams), Some(report)));
        }
        let population = Population::drawn(scenario, network);
        let contacts = Contacts::new(&population);
        let drafts = match &scenario.workload {
            Workload::Poisson(rate) => poisson(&contacts, *rate, scenario.duration_ns, streams),
            Workload::Diurnal(day) => {
                diurnal::drafts(&population, &contacts, day, scenario.duration_ns, streams)
            }
            Workload::Conversations(sessions) => {
                sessions::drafts(&contacts, *sessions, scenario.duration_ns, streams)
            }
            Workload::Trace(_) => Vec::new(),
        };
        drop(contacts);
        Ok(Self::with_groups(scenario, population, drafts, (network, streams), None))
    }

    /// Draws the groups, and which messages go to them.
    fn with_groups(
        scenario: &Scenario,
        mut population: Population,
        mut drafts: Vec<Send>,
        (network, streams): (&Streams, &Streams),
        trace: Option<TraceReport>,
    ) -> Self {
        groups::draw(scenario, &mut population, network);
        business::draw(scenario, &mut population, network);
        let mut to_groups = grouped::take(scenario, &population, &mut drafts, streams);
        let mut sends = number(drafts, scenario.body, streams);
        if !to_groups.is_empty() {
            sends.append(&mut to_groups);
            sends.sort_unstable();
        }
        let rotations = rotations::plan(scenario, &population, streams);
        let calls = calls::plan(scenario, &population, streams);
        Self { population, sends, calls, rotations, trace }
    }
}

/// A message before it has a number and a body: both are 0.
fn draft(at_ns: u64, conversation: ConversationId, from_a: bool) -> Send {
    Send { at_ns, conversation, from_a, seq: 0, body_len: 0 }
}

fn poisson(contacts: &Contacts, rate: Rate, duration_ns: u64, streams: &Streams) -> Vec<Send> {
    let mut drafts = Vec::new();
    match rate {
        Rate::Total(messages) => {
            // A Poisson process, given how many events it has, is so many independent uniform draws.
            let senders: Vec<_> = contacts.users().collect();
            let mut rng = streams.stream("messages");
            for _ in 0..messages {
                let at_ns = below(&mut rng, duration_ns);
                let Some(&sender) = choose(&mut rng, &senders) else { break };
                if let Some((conversation, from_a)) = any_contact(contacts.of(sender), &mut rng) {
                    drafts.push(draft(at_ns, conversation, from_a));
                }
            }
        }
        Rate::ThousandthsPerUserHour(thousandths) => {
            let mean = (HOUR * 1000) / thousandths.max(1);
            for user in contacts.users() {
                let mut rng = streams.stream(&format!("user/{}/messages", user.0));
                let mut at_ns = exponential(&mut rng, mean);
                while at_ns < duration_ns {
                    let Some((conversation, from_a)) = any_contact(contacts.of(user), &mut rng) else {
                        break;
                    };
                    drafts.push(draft(at_ns, conversation, from_a));
                    // At least a nanosecond, so that no rate stops the clock.
                    at_ns = at_ns.saturating_add(exponential(&mut rng, mean).max(1));
                }
            }
        }
    }
    drafts
}

/// Numbers each direction of a conversation, draws the lengths of its bodies, and orders the messages. One
/// direction after the other, so that one stream at a time is held.
fn number(mut sends: Vec<Send>, (min, max): (u32, u32), streams: &Streams) -> Vec<Send> {
    sends.sort_unstable_by_key(|send| (send.conversation, send.from_a, send.at_ns));
    let mut direction: Option<(ConversationId, bool, u32, ChaCha8Rng)> = None;
    for send in &mut sends {
        let going_on =
            direction.take_if(|(id, from_a, ..)| (*id, *from_a) == (send.conversation, send.from_a));
        let (id, from_a, seq, mut rng) = going_on.unwrap_or_else(|| {
            let side = if send.from_a { "a" } else { "b" };
            let stream = streams.stream(&format!("conversation/{}/{side}/bodies", send.conversation.0));
            (send.conversation, send.from_a, 0, stream)
        });
        send.seq = seq;
        send.body_len = min + below(&mut rng, u64::from(max - min) + 1) as u32;
        direction = Some((id, from_a, seq + 1, rng));
    }
    sends.sort_unstable();
    sends
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::scenario::Overrides;
    use crate::scenario::tests::scenario;
    use crate::trace::tests::TempFile;
    use crate::units::{DAY, MINUTE, SECOND};
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::{Path, PathBuf};

    pub(super) fn plan(scenario: &Scenario, seed: u64) -> Plan {
        Plan::new(scenario, &Streams::new(seed)).unwrap()
    }

    /// Sorted, inside the duration, numbered without gaps in each direction, bodies within bounds.
    pub(super) fn check(scenario: &Scenario, plan: &Plan) {
        assert!(plan.sends.is_sorted());
        assert!(plan.sends.iter().all(|send| send.at_ns < scenario.duration_ns));
        let mut next: BTreeMap<(ConversationId, bool), u32> = BTreeMap::new();
        for send in &plan.sends {
            let seq = next.entry((send.conversation, send.from_a)).or_default();
            assert_eq!(send.seq, *seq);
            *seq += 1;
            assert!((scenario.body.0..=scenario.body.1).contains(&send.body_len));
            assert!(plan.population.conversation(send.conversation).is_some());
        }
    }

    #[test]
    fn a_total_is_met_exactly() {
        let scenario = scenario("");
        let plan = plan(&scenario, 1);
        check(&scenario, &plan);
        assert_eq!(plan.sends.len(), 40);
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        let scenario = scenario("");
        assert_eq!(plan(&scenario, 1), plan(&scenario, 1));
        assert_ne!(plan(&scenario, 1).sends, plan(&scenario, 2).sends);
    }

    /// 12 users × 600 an hour × 1 hour: 7,200 expected, standard deviation 85; each user 600 ± 24.5.
    #[test]
    fn a_rate_is_each_users_rate() {
        let mut scenario = scenario("");
        scenario.workload = Workload::Poisson(Rate::ThousandthsPerUserHour(600_000));
        scenario.duration_ns = HOUR;
        let plan = plan(&scenario, 1);
        check(&scenario, &plan);
        assert!((6_850..7_550).contains(&plan.sends.len()), "{}", plan.sends.len());
        let mut sent = [0u32; 12];
        for send in &plan.sends {
            let conversation = plan.population.conversation(send.conversation).unwrap();
            sent[conversation.ends(send.from_a).0.index()] += 1;
        }
        assert!(sent.iter().all(|n| (490..710).contains(n)), "{sent:?}");
    }

    /// Of a Poisson process the counts in equal intervals have their mean as variance.
    #[test]
    fn messages_come_as_a_poisson_process() {
        for rate in [Rate::Total(20_000), Rate::ThousandthsPerUserHour(20_000 * 1000 / 12)] {
            let mut scenario = scenario("");
            scenario.workload = Workload::Poisson(rate);
            scenario.duration_ns = HOUR;
            let mut counts = vec![0f64; 1000];
            for send in plan(&scenario, 3).sends {
                counts[(send.at_ns * 1000 / HOUR) as usize] += 1.0;
            }
            let mean = counts.iter().sum::<f64>() / 1000.0;
            let variance = counts.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / 999.0;
            assert!((19.4..20.6).contains(&mean), "{rate:?} mean {mean}");
            assert!((0.86..1.14).contains(&(variance / mean)), "{rate:?} variance/mean {}", variance / mean);
        }
    }

    const SCENARIO: &str = "name = \"t\"\n[[operator]]\nname = \"one\"\nrouters = 2\n[users]\ncount = 3\n\
        [workload]\nkind = \"trace\"\nwindow = \"1d\"\nspeed = 10\n";

    fn trace_scenario(file: &Path) -> Scenario {
        let overrides = Overrides { trace: Some(file.to_owned()), seed: None };
        Scenario::parse(SCENARIO, Path::new("t.toml"), &overrides).unwrap()
    }

    #[test]
    fn a_trace_is_sent_by_its_most_active_people_at_its_speed() {
        // Messages sent or received: b 5, a 3, c 2, d 1, e 1 (alone with b).
        let file =
            TempFile::new("plan", b"100,a,b\n130,b,a\n140,b,c\n150,c,b\n160,b,b\n170,a,d\n199.999,e,b\n");
        let scenario = trace_scenario(&file.0);
        let plan = plan(&scenario, 1);
        check(&scenario, &plan);
        let names: Vec<&str> = plan.population.users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let sent: Vec<_> = plan
            .sends
            .iter()
            .map(|send| {
                let (from, to) = plan.population.conversation(send.conversation).unwrap().ends(send.from_a);
                (send.at_ns, names[from.index()], names[to.index()], send.seq)
            })
            .collect();
        assert_eq!(
            sent,
            [
                (0, "a", "b", 0),
                (3 * SECOND, "b", "a", 0),
                (4 * SECOND, "b", "c", 0),
                (5 * SECOND, "c", "b", 0)
            ]
        );
        let report = plan.trace.unwrap();
        assert_eq!((report.messages_in_file, report.in_window, report.to_oneself), (7, 6, 1));
        assert_eq!((report.beyond_users, report.users_left_out), (2, 2));
    }

    /// b is among the three most active, but alone there; d would join together with b and make four.
    #[test]
    fn who_has_no_contact_among_the_users_is_not_counted() {
        let file = TempFile::new("alone", b"1,a,c\n2,a,c\n3,a,c\n4,b,d\n5,b,d\n6,b,d\n7,c,e\n8,e,f\n");
        let plan = plan(&trace_scenario(&file.0), 1);
        let names: Vec<&str> = plan.population.users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names, ["a", "c", "e"]);
        assert_eq!(plan.sends.len(), 4);
    }

    #[test]
    fn an_unreadable_line_of_a_trace_stops_the_plan() {
        let file = TempFile::new("unreadable", b"1,a,b\n2,a\n");
        let error = Plan::new(&trace_scenario(&file.0), &Streams::new(1)).unwrap_err();
        assert_eq!(error.to_string(), format!("{}:2: 2 columns, the message needs 3", file.0.display()));
    }

    /// The real trace, by the variable `SXLAB_DATA` or where a checkout may have it beside it.
    #[test]
    fn the_copenhagen_messages_are_read() {
        let folder = std::env::var_os("SXLAB_DATA").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
            PathBuf::from,
        );
        let file = folder.join("copenhagen_sms.csv");
        if !file.is_file() {
            println!("skipped: no trace ({})", file.display());
            return;
        }
        let mut scenario = trace_scenario(&file);
        scenario.users.count = 1000;
        let Workload::Trace(trace) = &mut scenario.workload else { panic!("not a trace") };
        (trace.window_ns, trace.speed) = (28 * DAY, 4032);
        scenario.duration_ns = 10 * MINUTE;
        let all = plan(&scenario, 1);
        check(&scenario, &all);
        assert_eq!((all.sends.len(), all.population.users.len()), (24_333, 568));
        let pairs: BTreeSet<_> =
            all.population.conversations.iter().map(|c| (c.a.min(c.b), c.a.max(c.b))).collect();
        assert_eq!(pairs.len(), all.population.conversations.len());
        scenario.users.count = 200;
        let some = plan(&scenario, 1);
        check(&scenario, &some);
        assert_eq!(some.population.users.len(), 200);
        let report = some.trace.unwrap();
        assert_eq!(some.sends.len() as u64 + report.beyond_users, report.in_window);
    }
}
