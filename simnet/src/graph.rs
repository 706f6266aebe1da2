//! Who is in contact: the pairs of a ring, of a random graph, and of a graph whose users have given numbers of
//! contacts. Time and memory grow with the pairs.

use rand_core::Rng;

use crate::network::UserIdx;
use crate::seed::{Streams, below, shuffle};

/// Two users in contact.
pub(crate) type Pair = (UserIdx, UserIdx);

/// How often another pair is drawn to exchange ends with one that may not stay.
const TRIES: u32 = 1000;
/// No stub.
const NONE: u32 = u32::MAX;

/// Pairs of neighbours, then of next neighbours and so on, until there are enough. No pair comes twice: at a
/// distance of half a circle only the first half of the users begin one.
pub(crate) fn ring(users: u32, conversations: u32) -> Vec<Pair> {
    (1..=users / 2)
        .flat_map(|distance| {
            let begin = if distance * 2 == users { distance } else { users };
            (0..begin).map(move |i| (UserIdx(i), UserIdx((i + distance) % users)))
        })
        .take(conversations as usize)
        .collect()
}

/// One pair for everyone first, in an order drawn; then pairs drawn uniformly from those that are left.
pub(crate) fn random(users: u32, conversations: u32, streams: &Streams) -> Vec<Pair> {
    let mut rng = streams.stream("contacts");
    let mut order: Vec<u32> = (0..users).collect();
    shuffle(&mut rng, &mut order);
    // For each user the contacts of a higher number, in order.
    let mut taken: Vec<Vec<u32>> = vec![Vec::new(); users as usize];
    let mut pairs = Vec::with_capacity(conversations as usize);
    let mut add = |x: u32, y: u32| {
        if x != y
            && pairs.len() < conversations as usize
            && let Some(higher) = taken.get_mut(x.min(y) as usize)
            && let Err(place) = higher.binary_search(&x.max(y))
        {
            higher.insert(place, x.max(y));
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

/// Pairs such that each user has so many contacts, drawn by the configuration model: every user holds so many
/// stubs, and stubs are paired at random. A pair of a user with itself or a second pair of the same two then
/// exchanges ends with a pair drawn at random, which changes nobody's number; where that does not succeed
/// in a thousand tries (numbers that hardly any graph has) the pair is left out.
///
/// If the numbers add up to an odd sum, one of the users with the fewest gets one more.
pub(crate) fn configuration(mut degrees: Vec<u32>, rng: &mut impl Rng) -> Vec<Pair> {
    if degrees.iter().map(|&degree| u64::from(degree)).sum::<u64>() % 2 == 1
        && let Some(fewest) = degrees.iter_mut().min_by_key(|degree| **degree)
    {
        *fewest += 1;
    }
    let mut stubs = Stubs::paired(&degrees, rng);
    for stub in stubs.misplaced() {
        stubs.place(stub, rng);
    }
    stubs.pairs()
}

/// Ends of pairs, grouped by the user who holds them.
struct Stubs {
    /// Where each user's stubs begin, and behind the last user where they end.
    start: Vec<u32>,
    /// Who holds each stub.
    owner: Vec<u32>,
    /// The other end of each stub's pair.
    mate: Vec<u32>,
}

impl Stubs {
    fn paired(degrees: &[u32], rng: &mut impl Rng) -> Self {
        let mut start = vec![0];
        let mut owner = Vec::new();
        for (user, &degree) in (0u32..).zip(degrees) {
            owner.extend(std::iter::repeat_n(user, degree as usize));
            start.push(owner.len() as u32);
        }
        let mut order: Vec<u32> = (0..owner.len() as u32).collect();
        shuffle(rng, &mut order);
        let mut stubs = Self { start, mate: vec![NONE; owner.len()], owner };
        for pair in order.chunks_exact(2) {
            if let [s, t] = *pair {
                stubs.join(s, t);
            }
        }
        stubs
    }

    fn set(&mut self, stub: u32, mate: u32) {
        if let Some(slot) = self.mate.get_mut(stub as usize) {
            *slot = mate;
        }
    }

    fn join(&mut self, s: u32, t: u32) {
        self.set(s, t);
        self.set(t, s);
    }

    fn mate(&self, stub: u32) -> u32 {
        self.mate.get(stub as usize).copied().unwrap_or(NONE)
    }

    /// Who holds a stub; nobody holds [`NONE`].
    fn owner(&self, stub: u32) -> Option<u32> {
        self.owner.get(stub as usize).copied()
    }

    fn of(&self, user: u32) -> std::ops::Range<u32> {
        let at = |place: usize| self.start.get(place).copied().unwrap_or(0);
        at(user as usize)..at(user as usize + 1)
    }

    /// How many pairs two users have, counted at the one with fewer stubs.
    fn between(&self, x: u32, y: u32) -> usize {
        let (few, other) = if self.of(x).len() <= self.of(y).len() { (x, y) } else { (y, x) };
        self.of(few).filter(|&stub| self.owner(self.mate(stub)) == Some(other)).count()
    }

    /// A stub of each pair that may not stay: of a user with itself, or not the first of two users.
    fn misplaced(&self) -> Vec<u32> {
        let users = self.start.len() as u32 - 1;
        let mut seen_by = vec![NONE; users as usize];
        let mut misplaced = Vec::new();
        for user in 0..users {
            for stub in self.of(user) {
                let mate = self.mate(stub);
                let Some(contact) = self.owner(mate) else { continue };
                let Some(seen_by) = seen_by.get_mut(contact as usize) else { continue };
                if contact == user && stub < mate || contact > user && *seen_by == user {
                    misplaced.push(stub);
                }
                *seen_by = user;
            }
        }
        misplaced
    }

    /// Exchanges ends with pairs drawn at random until the stub's pair may stay.
    fn place(&mut self, s: u32, rng: &mut impl Rng) {
        let m = self.mate(s);
        let (Some(x), Some(y)) = (self.owner(s), self.owner(m)) else { return };
        // Another one's exchange may have taken the first of the two pairs away.
        if x != y && self.between(x, y) == 1 {
            return;
        }
        for _ in 0..TRIES {
            let t = below(rng, self.owner.len() as u64) as u32;
            let u = self.mate(t);
            let (Some(p), Some(q)) = (self.owner(t), self.owner(u)) else { continue };
            let other = t != s && t != m;
            let same_two = (x.min(p), x.max(p)) == (y.min(q), y.max(q));
            if other && x != p && y != q && !same_two && self.between(x, p) == 0 && self.between(y, q) == 0 {
                self.join(s, t);
                self.join(m, u);
                return;
            }
        }
        self.set(s, NONE);
        self.set(m, NONE);
    }

    /// The pairs, each once, by the user with the lower number.
    fn pairs(&self) -> Vec<Pair> {
        let stubs = (0u32..).zip(&self.owner);
        stubs
            .filter_map(|(stub, &user)| {
                let contact = self.owner(self.mate(stub))?;
                (user < contact).then_some((UserIdx(user), UserIdx(contact)))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn degrees(users: u32, pairs: &[Pair]) -> Vec<u32> {
        let mut degrees = vec![0; users as usize];
        for user in pairs.iter().flat_map(|&(x, y)| [x, y]) {
            degrees[user.index()] += 1;
        }
        degrees
    }

    fn is_simple(pairs: &[Pair]) -> bool {
        let distinct: BTreeSet<_> = pairs.iter().map(|&(x, y)| (x.min(y), x.max(y))).collect();
        distinct.len() == pairs.len() && pairs.iter().all(|(x, y)| x != y)
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
                prop_assert!(is_simple(&pairs));
                prop_assert_eq!(pairs.len(), conversations as usize);
                prop_assert!(pairs.iter().all(|&(x, y)| x.0 < users && y.0 < users));
                let lonely = degrees(users, &pairs).into_iter().filter(|&d| d == 0).count();
                // One contact each, and one user too many for pairs.
                let odd = usize::from(contacts == 1 && users % 2 == 1);
                prop_assert_eq!(lonely, odd);
            }
        }

        /// Whatever is asked for, nobody gets more, and no pair comes twice or of one user.
        #[test]
        fn any_numbers_of_contacts_give_a_graph(asked in prop::collection::vec(0..12u32, 2..40), seed in any::<u64>()) {
            let users = asked.len() as u32;
            let pairs = configuration(asked.clone(), &mut Streams::new(seed).stream("contacts"));
            prop_assert!(is_simple(&pairs));
            let more = degrees(users, &pairs).iter().zip(&asked).filter(|(got, asked)| got > asked).count();
            prop_assert!(more <= (asked.iter().sum::<u32>() % 2) as usize);
        }
    }

    /// Of 2,000 users with up to 200 contacts, several hundred pairs come out misplaced at first.
    #[test]
    fn everyone_gets_the_number_of_contacts_asked_for() {
        let mut asked: Vec<u32> =
            (0..2000).map(|user| if user % 50 == 0 { 200 } else { 1 + user % 9 }).collect();
        asked[1] += asked.iter().sum::<u32>() % 2;
        let mut rng = Streams::new(1).stream("contacts");
        assert!(Stubs::paired(&asked, &mut rng).misplaced().len() > 200);
        let pairs = configuration(asked.clone(), &mut rng);
        assert!(is_simple(&pairs));
        assert!(degrees(2000, &pairs) == asked);
        let odd = configuration(vec![3, 2, 2, 2, 2], &mut Streams::new(1).stream("contacts"));
        assert_eq!(degrees(5, &odd).iter().sum::<u32>(), 12);
    }

    /// The three graphs in which four users have one contact each are equally likely: of 6,000 each has
    /// 2,000 ± 37.
    #[test]
    fn pairs_are_drawn_without_favour() {
        let mut with = [0u32; 4];
        for seed in 0..6000 {
            let pairs = configuration(vec![1; 4], &mut Streams::new(seed).stream("contacts"));
            let (_, contact) = pairs.iter().find(|(x, _)| x.0 == 0).unwrap();
            with[contact.index()] += 1;
        }
        assert!(with[1..].iter().all(|n| (1_850..2_150).contains(n)), "{with:?}");
    }
}
