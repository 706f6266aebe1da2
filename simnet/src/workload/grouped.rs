//! Messages to groups: a share of what members send, each to everyone who is in the group by then.

use std::collections::BTreeMap;

use rand_core::Rng;

use super::Send;
use crate::network::UserIdx;
use crate::population::Population;
use crate::scenario::Scenario;
use crate::seed::{Streams, below, choose};

/// Group, sender's place and time of a message.
type Taken = (u32, u32, u64);

/// Takes the messages to groups, and to those of businesses, out of the drafts, and makes one for each member of them, numbered by
/// sender and group.
pub(super) fn take(
    scenario: &Scenario,
    population: &Population,
    drafts: &mut Vec<Send>,
    streams: &Streams,
) -> Vec<Send> {
    let mut taken: Vec<Taken> = Vec::new();
    if let Some(wanted) = &scenario.groups {
        let share = wanted.messages_millionths;
        let mut rng = streams.stream("group-messages");
        choose_some(population, false, share, drafts, &mut rng, &mut taken);
    }
    if let Some(wanted) = &scenario.business {
        let share = wanted.messages_millionths;
        let mut rng = streams.stream("business-messages");
        choose_some(population, true, share, drafts, &mut rng, &mut taken);
    }
    taken.sort_unstable();
    let (min, max) = scenario.body;
    let mut sends = Vec::new();
    let mut last: Option<(u32, u32, u32)> = None;
    for (number, place, at_ns) in taken {
        let Some(group) = population.groups.get(number as usize) else { continue };
        let seq = match last {
            Some((group, member, seq)) if (group, member) == (number, place) => seq + 1,
            _ => 0,
        };
        last = Some((number, place, seq));
        let mut rng = streams.stream(&format!("group/{number}/member/{place}/body/{seq}"));
        let body_len = min + below(&mut rng, u64::from(max - min) + 1) as u32;
        for (other, member) in group.members.iter().enumerate() {
            if other == place as usize || !member.is_in(at_ns) {
                continue;
            }
            let conversation = group.pair(place as usize, other);
            let sender = group.members.get(place as usize).map(|member| member.user);
            let from_a = population.conversation(conversation).map(|known| known.a) == sender;
            sends.push(Send { at_ns, conversation, from_a, seq, body_len });
        }
    }
    sends
}

/// Takes a share of the drafts whose senders are in groups, of businesses or of others: each goes to one of them.
fn choose_some(
    population: &Population,
    of_businesses: bool,
    millionths: u32,
    drafts: &mut Vec<Send>,
    rng: &mut impl Rng,
    taken: &mut Vec<Taken>,
) {
    let mut memberships: BTreeMap<UserIdx, Vec<(u32, u32)>> = BTreeMap::new();
    for (number, group) in (0u32..).zip(&population.groups) {
        for (place, member) in (0u32..).zip(&group.members) {
            if group.business.is_some() == of_businesses {
                memberships.entry(member.user).or_default().push((number, place));
            }
        }
    }
    drafts.retain(|draft| {
        let conversation = population.conversation(draft.conversation);
        let sender = conversation.map(|conversation| conversation.ends(draft.from_a).0);
        let Some(groups) = sender.and_then(|sender| memberships.get(&sender)) else { return true };
        if below(rng, 1_000_000) >= u64::from(millionths) {
            return true;
        }
        // Groups that the sender is invited to later are not there yet.
        let is_in = |(group, place): &&(u32, u32)| {
            let member = population.groups.get(*group as usize).and_then(|g| g.members.get(*place as usize));
            member.is_some_and(|member| member.is_in(draft.at_ns))
        };
        let open: Vec<(u32, u32)> = groups.iter().filter(is_in).copied().collect();
        let Some((group, place)) = choose(rng, &open) else { return true };
        taken.push((*group, *place, draft.at_ns));
        false
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tests::scenario;
    use crate::workload::tests::plan;

    #[test]
    fn a_message_to_a_group_is_one_to_each_who_is_in_it() {
        let scenario =
            scenario("[groups]\ncount = 10\nsizes = [[3, 0.5], [4, 0.5]]\nmessages = 0.6\njoining = 0.4\n");
        let plan = plan(&scenario, 1);
        assert!(plan.sends.is_sorted());
        let end = plan.population.contacts().len();
        let contacts = plan.sends.iter().filter(|send| send.conversation.index() < end).count();
        let mut messages: BTreeMap<_, Vec<&Send>> = BTreeMap::new();
        for send in plan.sends.iter().filter(|send| send.conversation.index() >= end) {
            let (sender, _) = plan.population.conversation(send.conversation).unwrap().ends(send.from_a);
            let group = plan.population.group_of(send.conversation).unwrap();
            messages.entry((group.first, sender, send.seq)).or_default().push(send);
        }
        assert_eq!(contacts + messages.len(), 40, "as many as the workload says");
        assert!((15..=34).contains(&messages.len()), "{}", messages.len());
        for ((first, sender, _), sends) in &messages {
            let group = plan.population.groups.iter().find(|group| group.first == *first).unwrap();
            let at = sends[0].at_ns;
            assert!(sends.iter().all(|send| (send.at_ns, send.body_len) == (at, sends[0].body_len)));
            let there = group.members.iter().filter(|member| member.is_in(at));
            assert!(there.clone().any(|member| member.user == *sender));
            assert_eq!(sends.len(), there.count() - 1);
        }
    }

    #[test]
    fn messages_to_businesses_go_to_everyone_of_one_chat() {
        let scenario = scenario("[business]\ncount = 2\ncustomers = 6\nemployees = 1\nmessages = 1\n");
        let plan = plan(&scenario, 1);
        assert!(plan.sends.is_sorted());
        let end = plan.population.contacts().len();
        let chats: Vec<&Send> = plan.sends.iter().filter(|send| send.conversation.index() >= end).collect();
        // Each to the two others.
        assert!(!chats.is_empty() && chats.len() == 2 * (40 - (plan.sends.len() - chats.len())));
        for send in chats {
            let group = plan.population.group_of(send.conversation).unwrap();
            assert!(group.business.is_some());
            let same = |other: &&Send| other.at_ns == send.at_ns && other.seq == send.seq;
            assert_eq!(plan.sends.iter().filter(same).count(), 2);
        }
    }
}
