//! Linking attacks: which address writes to which, guessed from a colluding set's observations alone.
//!
//! Two attackers of different strength:
//!
//! - [`by_forward`] compares correlation ids: what a proxy of the set passed on and what arrived at a relay of the set is
//!   the same transmission when its id is the same. It is never wrong, and works only where the set holds both.
//! - [`by_time`] has only times: an address that sends, again and again, just before another one is delivered to, is taken
//!   for its correspondent. It can be wrong.
//!
//! [`score`] compares guesses with the truth. An attack's arguments cannot hold the truth, by type.

use std::collections::{BTreeMap, BTreeSet};

use sxlab_protocol::wire::CorrId;
use sxlab_simnet::network::UserIdx;
use sxlab_simnet::truth::Truth;

use crate::sightings::Sightings;

/// A guess: this address wrote to that one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Who wrote.
    pub from: String,
    /// To whom.
    pub to: String,
}

/// Links every message that the set's proxies passed on with its arrival at the set's relays. Complete for what the set
/// holds at both ends, silent about the rest.
pub fn by_forward(seen: &Sightings) -> BTreeSet<Link> {
    let senders: BTreeMap<&CorrId, &String> =
        seen.passed_on.iter().map(|passed| (&passed.corr, &passed.from)).collect();
    let mut links = BTreeSet::new();
    for arrived in &seen.arrived {
        if let (Some(from), Some(to)) = (senders.get(&arrived.corr), &arrived.subscriber) {
            links.insert(Link { from: (*from).clone(), to: to.clone() });
        }
    }
    links
}

/// How [`by_time`] looks at times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A delivery belongs to a sending at most this long before it, in nanoseconds.
    pub window_ns: u64,
    /// The span that the observations come from, in nanoseconds.
    pub span_ns: u64,
}

/// Of pairs that write to one another by chance only, how many [`by_time`] may take for correspondents, in expectation over
/// all pairs.
const FALSE_LINKS: f64 = 1.0;

/// Windows on either side of the one that counts, from which chance is learnt.
const NEIGHBOURS: u64 = 10;

/// Links addresses whose sendings are followed by deliveries more often than chance explains.
///
/// What chance explains is the larger of two rates: with `a` sendings and `b` deliveries of a pair, `a·b·window/span` for
/// users who are active at any time alike; and what falls into the windows before and after the one that counts, for users
/// who are active at the same times without writing to each other. A pair is linked when the number seen in the window has a
/// probability (Poisson) below one in as many as there are pairs.
pub fn by_time(seen: &Sightings, timing: Timing) -> BTreeSet<Link> {
    let mut senders: BTreeMap<&str, usize> = BTreeMap::new();
    for passed in &seen.passed_on {
        let next = senders.len();
        senders.entry(&passed.from).or_insert(next);
    }
    let sendings: Vec<(u64, usize)> = seen
        .passed_on
        .iter()
        .filter_map(|passed| Some((passed.at_ns, *senders.get(passed.from.as_str())?)))
        .collect();
    let mut deliveries: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for delivered in &seen.delivered {
        deliveries.entry(&delivered.to).or_default().push(delivered.at_ns);
    }
    let pairs = float(senders.len() as u64) * float(deliveries.len() as u64);
    let share = float(timing.window_ns) / float(timing.span_ns.max(1));
    let mut links = BTreeSet::new();
    for (to, times) in &deliveries {
        let near = around(&sendings, senders.len(), times, timing.window_ns);
        for ((from, _), near) in by_position(&senders).zip(near).filter(|((from, _), _)| from != to) {
            let at_any_time = float(near.sendings) * float(times.len() as u64) * share;
            let at_the_same_times = (float(near.outside) + 0.5) / float(2 * NEIGHBOURS);
            let by_chance = at_any_time.max(at_the_same_times);
            if near.within >= 2 && poisson_tail(near.within, by_chance) * pairs < FALSE_LINKS {
                links.insert(Link { from: from.to_owned(), to: (*to).to_owned() });
            }
        }
    }
    links
}

#[expect(clippy::cast_precision_loss, reason = "counts and times of one run are far below 2^52")]
fn float(n: u64) -> f64 {
    n as f64
}

/// Names in the order of their positions.
fn by_position<'a>(positions: &BTreeMap<&'a str, usize>) -> impl Iterator<Item = (&'a str, usize)> {
    let mut named: Vec<_> = positions.iter().map(|(name, position)| (*name, *position)).collect();
    named.sort_unstable_by_key(|(_, position)| *position);
    named.into_iter()
}

/// For each of so many senders, its sendings in and around the windows before some deliveries. `sendings` are by time.
fn around(sendings: &[(u64, usize)], senders: usize, deliveries: &[u64], window_ns: u64) -> Vec<Near> {
    let mut counted = vec![Near::default(); senders];
    for (_, sender) in sendings {
        if let Some(near) = counted.get_mut(*sender) {
            near.sendings += 1;
        }
    }
    let margin = window_ns.saturating_mul(NEIGHBOURS);
    for delivered in deliveries {
        let earliest = delivered.saturating_sub(margin + window_ns);
        let first = sendings.partition_point(|(at, _)| *at < earliest);
        let latest = delivered.saturating_add(margin);
        let near = sendings.get(first..).unwrap_or_default().iter().take_while(|(at, _)| *at <= latest);
        for (at, sender) in near {
            let Some(near) = counted.get_mut(*sender) else { continue };
            if delivered.checked_sub(*at).is_some_and(|delay| delay <= window_ns) {
                near.within += 1;
            } else {
                near.outside += 1;
            }
        }
    }
    counted
}

/// Sendings of one address near deliveries to another.
#[derive(Clone, Copy, Debug, Default)]
struct Near {
    /// In all.
    sendings: u64,
    /// In the window before a delivery.
    within: u64,
    /// In the windows around that one.
    outside: u64,
}

/// The probability of `count` or more events where `mean` are expected.
fn poisson_tail(count: u64, mean: f64) -> f64 {
    let mut term = (-mean).exp();
    let mut below = 0.0;
    for k in 0..count {
        below += term;
        term *= mean / float(k + 1);
    }
    // Where almost everything is below, the difference loses its digits: the next terms are then the tail.
    let mut tail = 0.0;
    let mut k = count;
    while term > tail * 1e-12 && term > 0.0 {
        tail += term;
        k += 1;
        term *= mean / float(k);
        if tail > 1.0 {
            break;
        }
    }
    if below < 0.5 { 1.0 - below } else { tail }
}

/// How good an attack's guesses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// Pairs guessed.
    pub guessed: u64,
    /// Of these, pairs of which the first really wrote to the second.
    pub right: u64,
    /// Pairs of which the first really wrote to the second.
    pub pairs: u64,
}

/// Compares guesses with who really wrote to whom.
pub fn score(links: &BTreeSet<Link>, truth: &Truth) -> Score {
    let users: BTreeMap<&str, UserIdx> =
        truth.addresses.iter().map(|used| (used.address.as_str(), used.user)).collect();
    // Both ends of a conversation write: if nothing else, the confirmations that set it up.
    let wrote: BTreeSet<(UserIdx, UserIdx)> =
        truth.conversations.iter().flat_map(|c| [(c.a, c.b), (c.b, c.a)]).collect();
    let right = links
        .iter()
        .filter_map(|link| Some((*users.get(link.from.as_str())?, *users.get(link.to.as_str())?)))
        .filter(|pair| wrote.contains(pair))
        .count();
    Score { guessed: links.len() as u64, right: right as u64, pairs: wrote.len() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sightings::{Delivered, PassedOn};
    use sxlab_protocol::wire::EntityId;
    use sxlab_simnet::observe::VantageId;

    #[test]
    fn the_poisson_tail_is_right_where_it_is_easy_to_check() {
        assert!((poisson_tail(0, 3.0) - 1.0).abs() < 1e-12);
        assert!((poisson_tail(1, 0.5) - (1.0 - (-0.5f64).exp())).abs() < 1e-12);
        // P(X ≥ 10 | 1) = 1.1142547833872067e-7
        assert!((poisson_tail(10, 1.0) / 1.114_254_783_387_206_7e-7 - 1.0).abs() < 1e-9);
        assert!(poisson_tail(5, 100.0) > 0.999_999);
        assert_eq!(poisson_tail(3, 0.0), 0.0);
    }

    fn sends(from: &str, at_ms: u64) -> PassedOn {
        PassedOn {
            at_ns: at_ms * 1_000_000,
            proxy: VantageId(0),
            from: from.to_owned(),
            to: "relay".to_owned(),
            corr: CorrId::EMPTY,
        }
    }

    fn gets(to: &str, at_ms: u64) -> Delivered {
        Delivered {
            at_ns: at_ms * 1_000_000,
            router: VantageId(0),
            recipient_id: EntityId::EMPTY,
            to: to.to_owned(),
        }
    }

    #[test]
    fn times_link_those_who_keep_following_each_other_and_nobody_else() {
        let mut seen = Sightings::default();
        for i in 0..20 {
            // Alice writes to Bob every 10 s; Carol sends and Dave receives in between.
            seen.passed_on.push(sends("alice", i * 10_000));
            seen.delivered.push(gets("bob", i * 10_000 + 100));
            seen.passed_on.push(sends("carol", i * 10_000 + 3_000 + 40 * i));
            seen.delivered.push(gets("dave", i * 10_000 + 7_000 - 60 * i));
        }
        let timing = Timing { window_ns: 500_000_000, span_ns: 200_000_000_000 };
        let links = by_time(&seen, timing);
        let expected = Link { from: "alice".to_owned(), to: "bob".to_owned() };
        assert_eq!(links.into_iter().collect::<Vec<_>>(), [expected]);
    }
}
