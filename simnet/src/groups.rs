//! Who is in which group: each drawn around a user who invites contacts of its own, and connected each with each.

use sxlab_protocol::agent::{ContactNo, GroupNo};

use crate::degrees::DegreeTable;
use crate::network::UserIdx;
use crate::population::{Contacts, Conversation, ConversationId, Population};
use crate::scenario::{Groups, Scenario};
use crate::seed::{Streams, below, shuffle};

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its members: first the owner, who invites and introduces the others, then those who join before sending begins, then those who
    /// join later, by time.
    pub members: Vec<Member>,
    /// The first of the conversations between its members. See [`Group::pair`].
    pub first: ConversationId,
    /// Of a business's chat with a customer, who is its second member: the business's number.
    pub business: Option<u32>,
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserIdx,
    /// The conversation with the owner in which the invitation comes; none of the owner, and of a business's customer.
    pub via: Option<ConversationId>,
    /// When it is invited, in nanoseconds after the beginning of the sending phase; none: before.
    pub joins_at_ns: Option<u64>,
}

impl Member {
    /// Whether it is invited before `at_ns`.
    pub fn is_in(&self, at_ns: u64) -> bool {
        self.joins_at_ns.is_none_or(|joins| joins < at_ns)
    }
}

/// Members who are there when sending begins are invited spread over this time.
pub(crate) const SPREAD_NS: u64 = 5_000_000_000;

/// When a member is invited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// So long after all contacts are set up.
    Before(u64),
    /// So long after sending began.
    After(u64),
}

/// A member that is to be invited, as agents are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joining {
    pub(crate) when: When,
    pub(crate) group: GroupNo,
    pub(crate) owner: UserIdx,
    pub(crate) via: ContactNo,
    pub(crate) contact: ContactNo,
    pub(crate) pairs: Vec<ContactNo>,
}

impl Group {
    /// The conversation of two members: pairs are ordered by the one who joined later, then by the other.
    pub fn pair(&self, one: usize, other: usize) -> ConversationId {
        let (earlier, later) = (one.min(other), one.max(other));
        let place = later * later.saturating_sub(1) / 2 + earlier;
        ConversationId(self.first.0.saturating_add(u32::try_from(place).unwrap_or(u32::MAX)))
    }

    /// How many conversations it has.
    fn pairs(members: usize) -> usize {
        members * members.saturating_sub(1) / 2
    }

    /// A member's place.
    pub fn place(&self, user: UserIdx) -> Option<usize> {
        self.members.iter().position(|member| member.user == user)
    }

    /// The member at a place, as the owner is told to invite it.
    pub(crate) fn joining(&self, number: usize, place: usize, when: When) -> Option<Joining> {
        let contact = |other| ContactNo(self.pair(other, place).0);
        Some(Joining {
            when,
            group: GroupNo(u32::try_from(number).ok()?),
            owner: self.members.first()?.user,
            via: ContactNo(self.members.get(place)?.via?.0),
            contact: contact(0),
            pairs: (1..place).map(contact).collect(),
        })
    }
}

impl Population {
    /// The conversations between contacts, without those inside of groups.
    pub fn contacts(&self) -> &[Conversation] {
        let end = self.groups.first().map_or(self.conversations.len(), |group| group.first.index());
        self.conversations.get(..end).unwrap_or_default()
    }

    /// How many conversations there are to be when sending begins.
    pub fn before_sending(&self) -> usize {
        let early = |group: &Group| group.members.iter().filter(|member| member.is_in(0)).count();
        self.contacts().len() + self.groups.iter().map(|group| Group::pairs(early(group))).sum::<usize>()
    }

    /// The group that a conversation is in.
    pub fn group_of(&self, conversation: ConversationId) -> Option<&Group> {
        let after = self.groups.partition_point(|group| group.first <= conversation);
        self.groups.get(after.checked_sub(1)?)
    }

    /// Of a member's conversation in a group: the one with the owner, unless it is the owner.
    pub fn host(&self, conversation: ConversationId, member: UserIdx) -> Option<ConversationId> {
        let group = self.group_of(conversation)?;
        group.place(member).filter(|place| *place > 0).map(|place| group.pair(0, place))
    }

    /// Everyone who is invited to a group, in the order in which the group's owner does it.
    pub(crate) fn joinings(&self, streams: &Streams) -> Vec<Joining> {
        let groups = self.groups.iter().enumerate();
        let of_group = |(number, group): (usize, &Group)| -> Vec<Joining> {
            let mut rng = streams.stream(&format!("group/{number}/spread"));
            let mut spread: Vec<u64> = group.members.iter().map(|_| below(&mut rng, SPREAD_NS)).collect();
            spread.sort_unstable();
            let members = group.members.iter().zip(spread).enumerate().skip(1);
            let joining = members.filter_map(|(place, (member, spread))| {
                let when = member.joins_at_ns.map_or(When::Before(spread), When::After);
                group.joining(number, place, when)
            });
            joining.collect()
        };
        groups.filter(|(_, group)| group.business.is_none()).flat_map(of_group).collect()
    }
}

/// Draws a scenario's groups. Each draws from a stream of its own.
pub(crate) fn draw(scenario: &Scenario, population: &mut Population, streams: &Streams) {
    let Some(wanted) = &scenario.groups else { return };
    let contacts = Contacts::new(population);
    // By falling number of contacts: who can be the owner of a group of a size stands in front.
    let mut owners: Vec<UserIdx> = contacts.users().collect();
    owners.sort_by_key(|user| std::cmp::Reverse(contacts.of(*user).len()));
    let table = DegreeTable::new(&wanted.sizes);
    let mut groups = Vec::new();
    let mut conversations = Vec::new();
    let begin = population.conversations.len();
    for number in 0..wanted.count {
        let mut rng = streams.stream(&format!("group/{number}"));
        let size = table.draw(below(&mut rng, table.sum())) as usize;
        let able = owners.partition_point(|user| contacts.of(*user).len() + 1 >= size);
        let place = below(&mut rng, able.max(1) as u64) as usize;
        let Some(&owner) = owners.get(place) else { break };
        let mut others = contacts.of(owner).to_vec();
        shuffle(&mut rng, &mut others);
        others.truncate(size.saturating_sub(1));
        let mut members = vec![Member { user: owner, via: None, joins_at_ns: None }];
        members.extend(others.into_iter().filter_map(|(via, is_a)| {
            let (_, user) = population.conversation(via)?.ends(is_a);
            let late = below(&mut rng, 1_000_000) < u64::from(wanted.joining_millionths);
            let at_ns = below(&mut rng, scenario.duration_ns);
            Some(Member { user, via: Some(via), joins_at_ns: late.then_some(at_ns) })
        }));
        members.sort_by_key(|member| member.joins_at_ns);
        // Without a time comes first; the owner was the first of these.
        groups.push(connected(members, None, begin, &mut conversations));
    }
    drop(contacts);
    population.conversations.append(&mut conversations);
    population.groups = groups;
}

/// The group of these members, with a conversation for each two of them. `begin`: how many others there are.
pub(crate) fn connected(
    members: Vec<Member>,
    business: Option<u32>,
    begin: usize,
    conversations: &mut Vec<Conversation>,
) -> Group {
    let id = |place: usize| ConversationId(u32::try_from(begin + place).unwrap_or(u32::MAX));
    let group = Group { members, first: id(conversations.len()), business };
    for (later, b) in group.members.iter().enumerate() {
        for (earlier, a) in group.members.iter().take(later).enumerate() {
            // The owner invites new members; these make the queues for all others, and customers for the business.
            let invites = earlier == 0 && (later > 1 || business.is_none());
            let (a, b) = if invites { (a.user, b.user) } else { (b.user, a.user) };
            conversations.push(Conversation { id: id(conversations.len()), a, b });
        }
    }
    group
}

impl Groups {
    /// How many conversations they are expected to have.
    pub(crate) fn expected_pairs(&self) -> u64 {
        DegreeTable::new(&self.sizes).expected_pairs().saturating_mul(u64::from(self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tests::scenario;
    use std::collections::BTreeSet;

    const GROUPS: &str =
        "[groups]\ncount = 20\nsizes = [[3, 0.5], [4, 0.5]]\nmessages = 0.5\njoining = 0.3\n";

    fn population(seed: u64) -> Population {
        let scenario = scenario(GROUPS);
        let streams = Streams::new(seed);
        let mut population = Population::drawn(&scenario, &streams);
        draw(&scenario, &mut population, &streams);
        population
    }

    #[test]
    fn members_are_contacts_of_the_owner() {
        let population = population(1);
        assert_eq!(population.groups.len(), 20);
        for group in &population.groups {
            let owner = group.members[0].user;
            let users: BTreeSet<_> = group.members.iter().map(|member| member.user).collect();
            assert_eq!(users.len(), group.members.len());
            for member in &group.members[1..] {
                let via = population.conversation(member.via.unwrap()).unwrap();
                assert!([(owner, member.user), (member.user, owner)].contains(&(via.a, via.b)));
            }
            assert!(group.members[1..].is_sorted_by_key(|member| member.joins_at_ns));
        }
        let late = population.groups.iter().flat_map(|group| &group.members).filter(|m| !m.is_in(0)).count();
        assert!(late > 0);
    }

    #[test]
    fn each_pair_of_members_has_a_conversation() {
        let population = population(2);
        let mut all: Vec<_> = population.contacts().iter().map(|conversation| conversation.id).collect();
        for group in &population.groups {
            for later in 1..group.members.len() {
                for earlier in 0..later {
                    let id = group.pair(earlier, later);
                    assert_eq!(id, group.pair(later, earlier));
                    let conversation = population.conversation(id).unwrap();
                    assert_eq!(conversation.id, id);
                    let users = [group.members[earlier].user, group.members[later].user];
                    assert!(users.contains(&conversation.a) && users.contains(&conversation.b));
                    assert_eq!(
                        conversation.a == users[0],
                        earlier == 0,
                        "who comes later invites, but for the owner"
                    );
                    assert_eq!(population.group_of(id), Some(group));
                    let host = (later > 0).then(|| group.pair(0, later));
                    assert_eq!(population.host(id, users[1]), host);
                    all.push(id);
                }
            }
        }
        assert!(all.iter().enumerate().all(|(place, id)| id.index() == place));
        assert_eq!(all.len(), population.conversations.len());
    }

    #[test]
    fn without_groups_everything_is_as_before() {
        let scenario = scenario("");
        let streams = Streams::new(1);
        let mut population = Population::drawn(&scenario, &streams);
        let before = population.clone();
        draw(&scenario, &mut population, &streams);
        assert_eq!(population, before);
        assert_eq!(population.contacts().len(), population.conversations.len());
    }
}
