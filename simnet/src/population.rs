//! Who there is: users with their regions and router lists, and the conversations between contacts.
//!
//! A user's region and lists come from streams named after the user, so they stay the same when users are added.

use std::collections::BTreeMap;

use rand_core::Rng;

use crate::degrees;
use crate::graph::{Pair, configuration, random, ring};
use crate::groups::Group;
use crate::network::{Place, RegionIdx, Router, RouterIdx, UserIdx};
use crate::scenario::{Graph, Scenario};
use crate::seed::{Streams, below, choose};
use crate::selection::{ListedRouter, UserRouters};

/// The address that routers see of everybody who reaches them through Tor.
pub const TOR: &str = "tor";

/// A conversation's position in [`Population::conversations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationId(pub u32);

impl ConversationId {
    /// The position as an index into the list.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `user-17`, or the name that the trace or the friendship list has.
    pub name: String,
    /// The region whose host carries the user's client.
    pub region: RegionIdx,
    /// Whether it reaches routers through Tor.
    pub tor: bool,
    /// The routers that the user's client picks from. Under the policy "single" every user has
    /// [`UserRouters::single`] in their place.
    pub routers: UserRouters,
}

/// Two contacts. Each receives on a queue of the own choice, so each direction has its own queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its position in the list.
    pub id: ConversationId,
    /// Who invited: created the connection's first queue.
    pub a: UserIdx,
    /// Who joined: created the reply queue.
    pub b: UserIdx,
}

impl Conversation {
    /// Sender and receiver of a message: from the inviter, or from the joiner.
    pub fn ends(&self, from_a: bool) -> (UserIdx, UserIdx) {
        if from_a { (self.a, self.b) } else { (self.b, self.a) }
    }
}

/// Everyone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// The users.
    pub users: Vec<User>,
    /// The pairs of contacts, each once, then the pairs of members of each group.
    pub conversations: Vec<Conversation>,
    /// The groups.
    pub groups: Vec<Group>,
}

impl User {
    /// The host that carries the user's client.
    pub(crate) fn place(&self) -> Place {
        if self.tor { Place::Tor(self.region) } else { Place::Region(self.region) }
    }

    /// The network address that routers see of the user with this number: through Tor the same of all.
    pub(crate) fn address(&self, number: UserIdx) -> String {
        if self.tor {
            return TOR.to_owned();
        }
        let [_, high, middle, low] = number.0.to_be_bytes();
        format!("10.{high}.{middle}.{low}")
    }
}

impl Population {
    /// The population of a scenario whose graph is drawn; empty for [`Graph::Trace`], whose pairs
    /// [`Population::of_pairs`] is given.
    pub fn drawn(scenario: &Scenario, streams: &Streams) -> Self {
        let count = scenario.users.count;
        let pairs = match &scenario.users.graph {
            Graph::Ring { conversations } => ring(count, *conversations),
            Graph::Random { conversations } => random(count, *conversations, streams),
            Graph::Degrees(distribution) => {
                let degrees = degrees::drawn(distribution, count, streams);
                configuration(degrees, &mut streams.stream("contacts"))
            }
            Graph::File(list) => return Self::of_pairs(scenario, streams, list.names.to_vec(), &list.pairs),
            Graph::Trace => return Self::default(),
        };
        let names = (0..count).map(|i| format!("user-{i}")).collect();
        Self::of_pairs(scenario, streams, names, &pairs)
    }

    /// Users of these names, in contact by these pairs of positions. Who invited is drawn for each pair.
    pub fn of_pairs(scenario: &Scenario, streams: &Streams, names: Vec<String>, pairs: &[Pair]) -> Self {
        let added = added_routers(scenario, streams, names.len());
        // Most users have the same lists.
        let mut shared: BTreeMap<Vec<usize>, UserRouters> = BTreeMap::new();
        let users: Vec<User> = names
            .into_iter()
            .zip(added)
            .enumerate()
            .map(|(i, (name, added))| User {
                region: match scenario.users.region_weights.len() {
                    1 => RegionIdx(0),
                    _ => region(scenario, &mut streams.stream(&format!("user/{i}/region"))),
                },
                tor: uses_tor(scenario, streams, i),
                routers: match shared.get(&added) {
                    Some(routers) => routers.clone(),
                    None => {
                        let routers = lists(scenario, &added);
                        shared.entry(added).or_insert(routers).clone()
                    }
                },
                name,
            })
            .collect();
        let conversations = pairs
            .iter()
            .zip(0u32..)
            .map(|(&(x, y), id)| {
                let mut rng = streams.stream(&format!("contacts/{}-{}/inviter", x.min(y).0, x.max(y).0));
                let (a, b) = if rng.next_u64() & 1 == 0 { (x, y) } else { (y, x) };
                Conversation { id: ConversationId(id), a, b }
            })
            .collect();
        Self { users, conversations, groups: Vec::new() }
    }

    /// The user at a position.
    pub fn user(&self, user: UserIdx) -> Option<&User> {
        self.users.get(user.index())
    }

    /// The conversation of this id.
    pub fn conversation(&self, id: ConversationId) -> Option<&Conversation> {
        self.conversations.get(id.index())
    }
}

/// For every user, which of [`crate::network::Network::user_added`] the user has.
fn added_routers(scenario: &Scenario, streams: &Streams, users: usize) -> Vec<Vec<usize>> {
    let mut added = vec![Vec::new(); users];
    for (i, table) in scenario.network.user_added.iter().enumerate() {
        let name = scenario.network.operator(table.operator).map_or("", |operator| operator.name.as_str());
        // The users with the smallest tickets have the routers: a draw for each user apart.
        let mut tickets: Vec<(u64, usize)> = (0..users)
            .map(|user| (streams.stream(&format!("user/{user}/adds/{name}")).next_u64(), user))
            .collect();
        tickets.sort_unstable();
        for (_, user) in tickets.into_iter().take(table.users.of(users)) {
            if let Some(added) = added.get_mut(user) {
                added.push(i);
            }
        }
    }
    added
}

/// A user's lists: the known operators' routers unless removed, and those that the user added.
fn lists(scenario: &Scenario, added: &[usize]) -> UserRouters {
    let network = &scenario.network;
    let tables = || added.iter().filter_map(|&i| network.user_added.get(i));
    let only = tables().any(|table| table.only);
    let listed = |router: &Router| {
        let known = network.operator(router.operator).is_some_and(|operator| operator.known);
        if known { !only } else { tables().any(|table| table.operator == router.operator) }
    };
    let of_role = |role: fn(&Router) -> bool| -> std::sync::Arc<[ListedRouter]> {
        network
            .iter()
            .filter(|(_, router)| role(router) && listed(router))
            .map(|(router, _): (RouterIdx, _)| ListedRouter {
                router,
                operator: network.listed_operator(router),
            })
            .collect()
    };
    UserRouters {
        storage: of_role(|router| router.roles.storage),
        proxy: of_role(|router| router.roles.proxy),
    }
}

/// Whether a user reaches routers through Tor.
fn uses_tor(scenario: &Scenario, streams: &Streams, user: usize) -> bool {
    match scenario.client.tor_millionths {
        0 => false,
        share => below(&mut streams.stream(&format!("user/{user}/tor")), 1_000_000) < u64::from(share),
    }
}

/// A region, with the probability of its weight.
fn region(scenario: &Scenario, rng: &mut impl Rng) -> RegionIdx {
    let weights = &scenario.users.region_weights;
    let mut ticket = below(rng, weights.iter().map(|&weight| u64::from(weight)).sum());
    for (i, &weight) in weights.iter().enumerate() {
        match ticket.checked_sub(u64::from(weight)) {
            None => return RegionIdx::from(i),
            Some(rest) => ticket = rest,
        }
    }
    RegionIdx(0)
}

/// A contact of a user: the conversation, and whether the user is its inviter.
pub(crate) type Contact = (ConversationId, bool);

/// For every user, the conversations that the user is in, in one list ordered by users.
pub(crate) struct Contacts {
    /// Where each user's begin, and behind the last user where they end.
    start: Vec<usize>,
    list: Vec<Contact>,
}

impl Contacts {
    pub(crate) fn new(population: &Population) -> Self {
        let ends = || {
            let conversations = population.contacts().iter();
            conversations.flat_map(|c| [(c.a, (c.id, true)), (c.b, (c.id, false))])
        };
        let mut start = vec![0; population.users.len() + 1];
        for (user, _) in ends() {
            if let Some(number) = start.get_mut(user.index() + 1) {
                *number += 1;
            }
        }
        let mut sum = 0;
        for number in &mut start {
            sum += *number;
            *number = sum;
        }
        let mut free = start.clone();
        let mut list = vec![(ConversationId(0), false); sum];
        for (user, contact) in ends() {
            if let Some(place) = free.get_mut(user.index()) {
                if let Some(slot) = list.get_mut(*place) {
                    *slot = contact;
                }
                *place += 1;
            }
        }
        Self { start, list }
    }

    /// A user's, in the order of conversations.
    pub(crate) fn of(&self, user: UserIdx) -> &[Contact] {
        let at = |place: usize| self.start.get(place).copied().unwrap_or(0);
        self.list.get(at(user.index())..at(user.index() + 1)).unwrap_or_default()
    }

    /// Everyone who has a contact.
    pub(crate) fn users(&self) -> impl Iterator<Item = UserIdx> {
        let users = self.start.windows(2).enumerate();
        users.filter(|(_, ends)| ends.first() != ends.last()).map(|(user, _)| UserIdx::from(user))
    }
}

/// One of a user's contacts, each equally likely.
pub(crate) fn any_contact(contacts: &[Contact], rng: &mut impl Rng) -> Option<Contact> {
    choose(rng, contacts).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tests::scenario;

    #[test]
    fn the_same_seed_gives_the_same_population_and_another_seed_another() {
        let scenario = scenario("");
        let of = |seed| Population::drawn(&scenario, &Streams::new(seed));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1).conversations, of(2).conversations);
    }

    #[test]
    fn adding_a_user_does_not_move_the_others() {
        let regions = |count: u32| -> Vec<RegionIdx> {
            let mut scenario = scenario("regions = [\"east\", \"west\"]");
            scenario.users.count = count;
            Population::drawn(&scenario, &Streams::new(1)).users.iter().map(|user| user.region).collect()
        };
        assert_eq!(regions(20)[..], regions(21)[..20]);
    }

    #[test]
    fn regions_follow_their_weights() {
        let mut scenario = scenario("regions = [\"east\", \"west\", \"empty\"]");
        scenario.users.count = 4000;
        scenario.users.region_weights = vec![3, 1, 0];
        let population = Population::drawn(&scenario, &Streams::new(1));
        let east = population.users.iter().filter(|user| user.region == RegionIdx(0)).count();
        let empty = population.users.iter().filter(|user| user.region == RegionIdx(2)).count();
        assert!((2880..3120).contains(&east), "{east} of 4000");
        assert_eq!(empty, 0);
    }

    #[test]
    fn roles_and_owners_decide_who_lists_what() {
        let scenario = scenario(
            "[[user_router]]\nname = \"club\"\nrouters = 1\nusers = 3\n\
             [[user_router]]\nname = \"own\"\nrouters = 1\nusers = 2\nonly = true\n",
        );
        let network = &scenario.network;
        let population = Population::drawn(&scenario, &Streams::new(1));
        let router = |name: &str| network.router_named(name).unwrap();
        let lists = |name: &str, list: fn(&UserRouters) -> &[ListedRouter]| -> usize {
            population
                .users
                .iter()
                .filter(|user| list(&user.routers).iter().any(|e| e.router == router(name)))
                .count()
        };
        assert_eq!(lists("club-1", |r| &r.storage), 3);
        assert_eq!(lists("own-1", |r| &r.proxy), 2);
        assert_eq!(lists("one-1", |r| &r.storage), population.users.len() - 2);
        assert_eq!(lists("two-1", |r| &r.storage), 0, "operator two only proxies");
        assert_eq!(lists("two-1", |r| &r.proxy), population.users.len() - 2);
        for user in &population.users {
            for entry in user.routers.storage.iter() {
                let added = [router("club-1"), router("own-1")].contains(&entry.router);
                assert_eq!(entry.operator.is_none(), added, "an added router has no operator");
            }
        }
    }

    #[test]
    fn equal_lists_are_held_once() {
        let population = Population::drawn(&scenario(""), &Streams::new(1));
        let first = &population.users[0].routers.storage;
        assert!(population.users.iter().all(|user| std::sync::Arc::ptr_eq(&user.routers.storage, first)));
    }

    #[test]
    fn contacts_are_the_ends_of_conversations() {
        let population = Population::drawn(&scenario(""), &Streams::new(1));
        let contacts = Contacts::new(&population);
        let mut ends = 0;
        for user in (0..population.users.len()).map(UserIdx::from) {
            for &(id, is_a) in contacts.of(user) {
                let conversation = population.conversation(id).unwrap();
                assert_eq!(conversation.ends(is_a).0, user);
                ends += 1;
            }
        }
        assert_eq!(ends, 2 * population.conversations.len());
        assert_eq!(contacts.users().count(), population.users.len());
    }

    #[test]
    fn either_contact_may_be_the_inviter() {
        let scenario = scenario("");
        let population = Population::drawn(&scenario, &Streams::new(1));
        let first = population.conversations.iter().filter(|c| c.a < c.b).count();
        assert!(first > 0 && first < population.conversations.len());
    }
}
