//! Business chats: who is whose customer, and who works where. Each customer has a group of its own with the business and its employees.

use std::collections::BTreeSet;

use rand_core::Rng;
use sxlab_protocol::agent::{ContactNo, GroupNo};

use crate::groups::{Joining, Member, SPREAD_NS, When, connected};
use crate::network::UserIdx;
use crate::population::{Contacts, ConversationId, Population};
use crate::scenario::Scenario;
use crate::seed::{Streams, below, shuffle};
use crate::units::{MILLISECOND, SECOND};

/// A business, as agents are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    /// Its number.
    pub(crate) business: u32,
    pub(crate) user: UserIdx,
    /// What stands for its address.
    pub(crate) address: ContactNo,
    /// How long after all contacts are set up it opens the address.
    pub(crate) after_ns: u64,
}

/// A customer who is to connect, as agents are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connecting {
    pub(crate) group: GroupNo,
    pub(crate) business: u32,
    pub(crate) user: UserIdx,
    /// The contact with the business, and what stands for the address.
    pub(crate) contact: ContactNo,
    pub(crate) address: ContactNo,
    /// How long after all contacts are set up it connects, if the address is there by then; else as soon as it is.
    pub(crate) after_ns: u64,
}

/// After so long customers begin to connect.
const KNOWN_NS: u64 = SPREAD_NS + SECOND;

/// Whole milliseconds, so that ticks of engines add up to nothing.
fn spread(rng: &mut impl Rng) -> u64 {
    below(rng, SPREAD_NS / MILLISECOND) * MILLISECOND
}

impl Population {
    /// What stands for a business's address: a number that no conversation has.
    fn address_of(&self, business: u32) -> ContactNo {
        let conversations = u32::try_from(self.conversations.len()).unwrap_or(u32::MAX);
        ContactNo(conversations.saturating_add(business))
    }

    /// Every business, by its number.
    pub(crate) fn openings(&self, streams: &Streams) -> Vec<Opening> {
        let mut openings: Vec<Opening> = Vec::new();
        for group in &self.groups {
            let (Some(business), Some(owner)) = (group.business, group.members.first()) else { continue };
            if openings.last().is_none_or(|last| last.business != business) {
                let mut rng = streams.stream(&format!("business/{business}/spread"));
                let (user, address) = (owner.user, self.address_of(business));
                openings.push(Opening { business, user, address, after_ns: spread(&mut rng) });
            }
        }
        openings
    }

    /// Every customer of every business.
    pub(crate) fn connectings(&self, streams: &Streams) -> Vec<Connecting> {
        let groups = (0u32..).zip(&self.groups);
        let connecting = groups.filter_map(|(number, group)| {
            let business = group.business?;
            let mut rng = streams.stream(&format!("group/{number}/spread"));
            Some(Connecting {
                group: GroupNo(number),
                business,
                user: group.members.get(1)?.user,
                contact: ContactNo(group.pair(0, 1).0),
                address: self.address_of(business),
                after_ns: KNOWN_NS + spread(&mut rng),
            })
        });
        connecting.collect()
    }

    /// Those whom a business invites once it is connected to a customer by this conversation.
    pub(crate) fn employees(&self, contact: ContactNo, business: UserIdx) -> Vec<Joining> {
        let number = self.groups.partition_point(|group| group.first.0 <= contact.0).checked_sub(1);
        let Some((number, group)) = number.and_then(|number| Some((number, self.groups.get(number)?))) else {
            return Vec::new();
        };
        let owner = group.members.first().is_some_and(|owner| owner.user == business);
        if group.business.is_none() || !owner || group.pair(0, 1) != ConversationId(contact.0) {
            return Vec::new();
        }
        (2..group.members.len()).filter_map(|place| group.joining(number, place, When::Before(0))).collect()
    }
}

/// Draws a scenario's businesses, after its groups. Each draws from a stream of its own.
pub(crate) fn draw(scenario: &Scenario, population: &mut Population, streams: &Streams) {
    let Some(wanted) = &scenario.business else { return };
    let contacts = Contacts::new(population);
    // Who has enough contacts for the employees; if there are too few, then those who have most.
    let mut owners: Vec<UserIdx> = (0..population.users.len()).map(UserIdx::from).collect();
    shuffle(&mut streams.stream("businesses"), &mut owners);
    owners.sort_by_key(|user| contacts.of(*user).len() < wanted.employees as usize);
    let (mut groups, mut conversations) = (Vec::new(), Vec::new());
    let begin = population.conversations.len();
    for (business, owner) in (0..wanted.count).zip(owners) {
        let mut rng = streams.stream(&format!("business/{business}"));
        let mut employees = contacts.of(owner).to_vec();
        shuffle(&mut rng, &mut employees);
        employees.truncate(wanted.employees as usize);
        let employees = employees.into_iter().filter_map(|(via, is_a)| {
            let (_, user) = population.conversation(via)?.ends(is_a);
            Some(Member { user, via: Some(via), joins_at_ns: None })
        });
        let employees: Vec<Member> = employees.collect();
        let works = |user: &UserIdx| *user == owner || employees.iter().any(|member| member.user == *user);
        for customer in some(&mut rng, population.users.len(), wanted.customers as usize, works) {
            let member = |user| Member { user, via: None, joins_at_ns: None };
            let mut members = vec![member(owner), member(customer)];
            members.extend_from_slice(&employees);
            groups.push(connected(members, Some(business), begin, &mut conversations));
        }
    }
    drop(contacts);
    population.conversations.append(&mut conversations);
    population.groups.append(&mut groups);
}

/// So many different users, drawn uniformly without some few.
fn some(rng: &mut impl Rng, users: usize, count: usize, without: impl Fn(&UserIdx) -> bool) -> Vec<UserIdx> {
    if count.saturating_mul(2) > users {
        let mut all: Vec<UserIdx> = (0..users).map(UserIdx::from).filter(|user| !without(user)).collect();
        shuffle(rng, &mut all);
        all.truncate(count);
        return all;
    }
    let (mut drawn, mut taken) = (Vec::with_capacity(count), BTreeSet::new());
    while drawn.len() < count {
        let user = UserIdx(below(rng, users as u64) as u32);
        if !without(&user) && taken.insert(user) {
            drawn.push(user);
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tests::scenario;

    fn population(extra: &str) -> Population {
        let scenario = scenario(extra);
        let streams = Streams::new(1);
        let mut population = Population::drawn(&scenario, &streams);
        crate::groups::draw(&scenario, &mut population, &streams);
        draw(&scenario, &mut population, &streams);
        population
    }

    const BUSINESS: &str = "[business]\ncount = 3\ncustomers = 5\nemployees = 2\nmessages = 0.5\n";

    #[test]
    fn each_customer_has_a_group_with_the_business_and_its_employees() {
        let population = population(BUSINESS);
        assert_eq!(population.groups.len(), 15);
        let mut employees = BTreeSet::new();
        let mut customers = BTreeSet::new();
        for group in &population.groups {
            let users: BTreeSet<_> = group.members.iter().map(|member| member.user).collect();
            assert_eq!((users.len(), group.members.len()), (4, 4));
            let (owner, customer) = (group.members[0].user, group.members[1].user);
            assert!(customers.insert((group.business, customer)));
            employees.insert((group.business, owner, group.members[2].user, group.members[3].user));
            let pair = population.conversation(group.pair(0, 1)).unwrap();
            assert_eq!((pair.a, pair.b), (customer, owner), "the customer makes the first queue");
            for place in [2, 3] {
                let via = population.conversation(group.members[place].via.unwrap()).unwrap();
                assert!(
                    [via.a, via.b].contains(&owner) && [via.a, via.b].contains(&group.members[place].user)
                );
                let pair = population.conversation(group.pair(0, place)).unwrap();
                assert_eq!(pair.a, owner);
            }
        }
        assert_eq!(employees.len(), 3, "the same in all groups of a business");
    }

    #[test]
    fn employees_are_invited_by_the_business_when_the_customer_is_connected() {
        let population =
            population(&format!("[groups]\ncount = 2\nsizes = [[3, 1.0]]\nmessages = 0.5\n{BUSINESS}"));
        let streams = Streams::new(1);
        assert!(population.joinings(&streams).iter().all(|joining| joining.group.0 < 2));
        let openings = population.openings(&streams);
        assert_eq!(openings.iter().map(|opening| opening.business).collect::<Vec<_>>(), [0, 1, 2]);
        let connectings = population.connectings(&streams);
        assert_eq!(connectings.len(), 15);
        for connecting in connectings {
            let opening = openings[connecting.business as usize];
            assert_eq!(opening.address, connecting.address);
            assert!(population.conversation(ConversationId(connecting.address.0)).is_none());
            let invited = population.employees(connecting.contact, opening.user);
            assert_eq!(invited.iter().map(|joining| joining.pairs.len()).collect::<Vec<_>>(), [1, 2]);
            assert!(
                invited
                    .iter()
                    .all(|joining| (joining.group, joining.owner) == (connecting.group, opening.user))
            );
            assert!(population.employees(connecting.contact, connecting.user).is_empty());
            assert!(population.employees(invited[0].contact, opening.user).is_empty());
        }
    }
}
