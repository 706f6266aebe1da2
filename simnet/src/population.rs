//! Who there is: users with their regions and router lists, and the conversations between contacts.
//!
//! A user's region and lists come from streams named after the user, so they stay the same when users are added.

use std::collections::BTreeSet;

use rand_core::Rng;

use crate::network::{RegionIdx, Router, RouterIdx, UserIdx};
use crate::scenario::{Graph, Scenario};
use crate::seed::{Streams, below, choose, shuffle};
use crate::selection::{ListedRouter, UserRouters};

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
    /// `user-17`, or the trace's own name.
    pub name: String,
    /// The region whose host carries the user's client.
    pub region: RegionIdx,
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
    /// The pairs of contacts, each once.
    pub conversations: Vec<Conversation>,
}

impl Population {
    /// The population of a scenario whose graph is drawn; empty for [`Graph::Trace`], whose pairs
    /// [`Population::of_pairs`] is given.
    pub fn drawn(scenario: &Scenario, streams: &Streams) -> Self {
        let count = scenario.users.count;
        let names = (0..count).map(|i| format!("user-{i}")).collect();
        let pairs = match scenario.users.graph {
            Graph::Ring { conversations } => ring(count, conversations),
            Graph::Random { conversations } => random(count, conversations, streams),
            Graph::Trace => return Self::default(),
        };
        Self::of_pairs(scenario, streams, names, &pairs)
    }

    /// Users of these names, in contact by these pairs of positions. Who invited is drawn for each pair.
    pub fn of_pairs(
        scenario: &Scenario,
        streams: &Streams,
        names: Vec<String>,
        pairs: &[(UserIdx, UserIdx)],
    ) -> Self {
        let added = added_routers(scenario, streams, names.len());
        let users: Vec<User> = names
            .into_iter()
            .zip(added)
            .enumerate()
            .map(|(i, (name, added))| User {
                region: region(scenario, &mut streams.stream(&format!("user/{i}/region"))),
                routers: lists(scenario, &added),
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
        Self { users, conversations }
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

/// Pairs of neighbours, then of next neighbours and so on, until there are enough. No pair comes twice: at a
/// distance of half a circle only the first half of the users begin one.
fn ring(users: u32, conversations: u32) -> Vec<(UserIdx, UserIdx)> {
    (1..=users / 2)
        .flat_map(|distance| {
            let begin = if distance * 2 == users { distance } else { users };
            (0..begin).map(move |i| (UserIdx(i), UserIdx((i + distance) % users)))
        })
        .take(conversations as usize)
        .collect()
}

/// One pair for everyone first, in an order drawn; then pairs drawn uniformly from those that are left.
fn random(users: u32, conversations: u32, streams: &Streams) -> Vec<(UserIdx, UserIdx)> {
    let mut rng = streams.stream("contacts");
    let mut order: Vec<u32> = (0..users).collect();
    shuffle(&mut rng, &mut order);
    let mut taken = BTreeSet::new();
    let mut pairs = Vec::new();
    let mut add = |x: u32, y: u32| {
        let new = x != y && pairs.len() < conversations as usize && taken.insert((x.min(y), x.max(y)));
        if new {
            pairs.push((UserIdx(x), UserIdx(y)));
        }
        pairs.len() < conversations as usize
    };
    for pair in order.chunks(2) {
        match *pair {
            [x, y] => add(x, y),
            [x] => add(x, order.first().copied().unwrap_or(x)),
            _ => break,
        };
    }
    let possible = u64::from(users) * u64::from(users.saturating_sub(1)) / 2;
    if u64::from(conversations) * 2 < possible {
        // Few of many: a pair drawn is rarely taken already.
        while add(below(&mut rng, u64::from(users)) as u32, below(&mut rng, u64::from(users)) as u32) {}
    } else {
        let mut all: Vec<(u32, u32)> = (0..users).flat_map(|x| (x + 1..users).map(move |y| (x, y))).collect();
        shuffle(&mut rng, &mut all);
        let _all_found = all.into_iter().all(|(x, y)| add(x, y));
    }
    pairs
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
    let of_role = |role: fn(&Router) -> bool| -> Vec<ListedRouter> {
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

/// For every user, the conversations that the user is in.
pub(crate) fn contacts(population: &Population) -> Vec<Vec<Contact>> {
    let mut contacts = vec![Vec::new(); population.users.len()];
    for conversation in &population.conversations {
        for (user, is_a) in [(conversation.a, true), (conversation.b, false)] {
            if let Some(list) = contacts.get_mut(user.index()) {
                list.push((conversation.id, is_a));
            }
        }
    }
    contacts
}

/// One of a user's contacts, each equally likely.
pub(crate) fn any_contact(contacts: &[Contact], rng: &mut impl Rng) -> Option<Contact> {
    choose(rng, contacts).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tests::scenario;
    use proptest::prelude::*;

    fn degrees(users: u32, pairs: &[(UserIdx, UserIdx)]) -> Vec<usize> {
        (0..users).map(|u| pairs.iter().filter(|(x, y)| x.0 == u || y.0 == u).count()).collect()
    }

    #[test]
    fn in_a_ring_everyone_has_the_nearest_as_contacts() {
        assert_eq!(degrees(10, &ring(10, 20)), [4; 10]);
        assert_eq!(ring(4, 100).len(), 6, "a full graph is the end");
        assert_eq!(ring(2, 1), [(UserIdx(0), UserIdx(1))]);
    }

    proptest! {
        #[test]
        fn a_graph_has_the_pairs_asked_for_each_once(users in 3..30u32, contacts in 1..29u32, seed in any::<u64>()) {
            let contacts = contacts.min(users - 1);
            let conversations = users * contacts / 2;
            let mut graphs = vec![random(users, conversations, &Streams::new(seed))];
            if contacts > 1 {
                graphs.push(ring(users, conversations));
            }
            for pairs in graphs {
                let distinct: BTreeSet<_> = pairs.iter().map(|&(x, y)| (x.min(y), x.max(y))).collect();
                prop_assert_eq!(distinct.len(), conversations as usize);
                prop_assert_eq!(pairs.len(), conversations as usize);
                prop_assert!(pairs.iter().all(|&(x, y)| x != y && x.0 < users && y.0 < users));
                let lonely = degrees(users, &pairs).into_iter().filter(|&d| d == 0).count();
                // One contact each, and one user too many for pairs.
                let odd = usize::from(contacts == 1 && users % 2 == 1);
                prop_assert_eq!(lonely, odd);
            }
        }
    }

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
        let lists = |name: &str, list: fn(&UserRouters) -> &Vec<ListedRouter>| -> usize {
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
            for entry in &user.routers.storage {
                let added = [router("club-1"), router("own-1")].contains(&entry.router);
                assert_eq!(entry.operator.is_none(), added, "an added router has no operator");
            }
        }
    }

    #[test]
    fn either_contact_may_be_the_inviter() {
        let scenario = scenario("");
        let population = Population::drawn(&scenario, &Streams::new(1));
        let first = population.conversations.iter().filter(|c| c.a < c.b).count();
        assert!(first > 0 && first < population.conversations.len());
    }
}
