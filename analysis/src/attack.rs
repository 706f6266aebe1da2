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

use std::collections::BTreeSet;

use sxlab_simnet::network::UserIdx;
use sxlab_simnet::truth::Truth;

use crate::observed::Users;
use crate::sightings::{Address, Sightings};

/// A guess: this address wrote to that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Who wrote.
    pub from: Address,
    /// To whom.
    pub to: Address,
}

/// Links every message that the set's proxies passed on with its arrival at the set's relays. Complete for what the set
/// holds at both ends, silent about the rest. Sorted, each link once.
pub fn by_forward(seen: &Sightings) -> Vec<Link> {
    let mut senders = vec![None; seen.forwards];
    for passed in &seen.passed_on {
        if let Some(sender) = senders.get_mut(passed.forward.0 as usize) {
            *sender = Some(passed.from);
        }
    }
    let links = seen.arrived.iter().filter_map(|arrived| {
        let from = senders.get(arrived.forward.0 as usize).copied().flatten()?;
        Some(Link { from, to: arrived.subscriber? })
    });
    let mut links: Vec<Link> = links.collect();
    links.sort_unstable();
    links.dedup();
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

/// Links addresses whose sendings are followed by deliveries more often than chance explains. Sorted, each link once.
///
/// What chance explains is the larger of two rates: with `a` sendings and `b` deliveries of a pair, `a·b·window/span` for
/// users who are active at any time alike; and what falls into the windows before and after the one that counts, for users
/// who are active at the same times without writing to each other. A pair is linked when the number seen in the window has a
/// probability (Poisson) below one in as many as there are pairs.
///
/// The time that this takes grows with the messages and with the pairs of a sending and a delivery that fall into one window,
/// not with the pairs of addresses: the windows around are looked at only for pairs that the window itself makes suspect.
pub fn by_time(seen: &Sightings, timing: Timing) -> Vec<Link> {
    let addresses = seen.addresses();
    let sendings = Grouped::of(addresses, seen.passed_on.iter().map(|passed| (passed.from, passed.at_ns)));
    // Of each delivery its time and the first sending that its window may hold.
    let mut first = 0;
    let deliveries = seen.delivered.iter().map(|delivered| {
        let earliest = delivered.at_ns.saturating_sub(timing.window_ns);
        let before = seen.passed_on.get(first..).unwrap_or_default();
        first += before.iter().take_while(|passed| passed.at_ns < earliest).count();
        (delivered.to, (delivered.at_ns, first))
    });
    let deliveries = Grouped::of(addresses, deliveries);
    let pairs = float(sendings.inhabited()) * float(deliveries.inhabited());
    let share = float(timing.window_ns) / float(timing.span_ns.max(1));
    let fewest = fewest(pairs);
    let mut links = Vec::new();
    let mut counted = vec![0u64; addresses];
    let mut touched = Vec::new();
    for (to, deliveries) in deliveries.iter() {
        for (delivered, first) in deliveries {
            let window = seen.passed_on.get(*first..).unwrap_or_default();
            for passed in window.iter().take_while(|passed| passed.at_ns <= *delivered) {
                let Some(count) = counted.get_mut(passed.from.index()) else { continue };
                if *count == 0 {
                    touched.push(passed.from);
                }
                *count += 1;
            }
        }
        for from in touched.drain(..) {
            let within = counted.get_mut(from.index()).map(std::mem::take).unwrap_or_default();
            if from == to || within < fewest {
                continue;
            }
            let sendings = sendings.get(from);
            let at_any_time = float(sendings.len() as u64) * float(deliveries.len() as u64) * share;
            let suspect = |at_the_same_times: f64| {
                poisson_tail(within, at_any_time.max(at_the_same_times)) * pairs < FALSE_LINKS
            };
            let outside = || around(sendings, deliveries, timing.window_ns) - within;
            if suspect(neighbouring(0)) && suspect(neighbouring(outside())) {
                links.push(Link { from, to });
            }
        }
    }
    links.sort_unstable();
    links
}

/// The rate that so many sendings in the windows around the one that counts come to.
fn neighbouring(outside: u64) -> f64 {
    (float(outside) + 0.5) / float(2 * NEIGHBOURS)
}

/// What is in the window counts only from so many on: twice at least, and never so few that even users without anything in the
/// windows around could be there by chance.
fn fewest(pairs: f64) -> u64 {
    let by_chance = |count: &u64| poisson_tail(*count, neighbouring(0)) * pairs >= FALSE_LINKS;
    (2..).find(|count| !by_chance(count)).unwrap_or(2)
}

/// Pairs of a sending and a delivery of which the first lies in the windows before and after the second. Both are by time.
fn around(sendings: &[u64], deliveries: &[(u64, usize)], window_ns: u64) -> u64 {
    let margin = window_ns.saturating_mul(NEIGHBOURS);
    let before = margin.saturating_add(window_ns);
    // One look for each of whichever are fewer.
    let pairs: usize = if deliveries.len() <= sendings.len() {
        let count = |at: u64| {
            let end = sendings.partition_point(|sent| *sent <= at.saturating_add(margin));
            end - sendings.partition_point(|sent| *sent < at.saturating_sub(before))
        };
        deliveries.iter().map(|(at, _)| count(*at)).sum()
    } else {
        let count = |sent: u64| {
            let end = deliveries.partition_point(|(at, _)| *at <= sent.saturating_add(before));
            end - deliveries.partition_point(|(at, _)| *at < sent.saturating_sub(margin))
        };
        sendings.iter().map(|sent| count(*sent)).sum()
    };
    pairs as u64
}

/// Values of each address, in their order.
struct Grouped<T> {
    values: Vec<T>,
    /// Where those of each address begin, and the end.
    begins: Vec<usize>,
}

impl<T: Copy + Default> Grouped<T> {
    fn of(addresses: usize, all: impl Iterator<Item = (Address, T)>) -> Self {
        let all: Vec<(Address, T)> = all.collect();
        let mut begins = vec![0; addresses + 1];
        for (address, _) in &all {
            if let Some(count) = begins.get_mut(address.index() + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for begin in &mut begins {
            sum += *begin;
            *begin = sum;
        }
        let mut next = begins.clone();
        let mut values = vec![T::default(); all.len()];
        for (address, value) in all {
            let place = next.get_mut(address.index()).and_then(|next| {
                *next += 1;
                values.get_mut(*next - 1)
            });
            if let Some(place) = place {
                *place = value;
            }
        }
        Self { values, begins }
    }

    /// Those of one address.
    fn get(&self, address: Address) -> &[T] {
        let ends = self.begins.get(address.index()).zip(self.begins.get(address.index() + 1));
        ends.and_then(|(begin, end)| self.values.get(*begin..*end)).unwrap_or_default()
    }

    /// Addresses that have any, with theirs.
    fn iter(&self) -> impl Iterator<Item = (Address, &[T])> {
        let addresses = (0..).map(Address).take(self.begins.len().saturating_sub(1));
        addresses.map(|address| (address, self.get(address))).filter(|(_, values)| !values.is_empty())
    }

    /// How many addresses have any.
    fn inhabited(&self) -> u64 {
        self.iter().count() as u64
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and times of one run are far below 2^52")]
fn float(n: u64) -> f64 {
    n as f64
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

/// Compares guesses from some sightings, each there once, with who really wrote to whom.
pub fn score(links: &[Link], seen: &Sightings, truth: &Truth) -> Score {
    let users = Users::of(seen, truth);
    // Both ends of a conversation write: if nothing else, the confirmations that set it up.
    let wrote: BTreeSet<(UserIdx, UserIdx)> =
        truth.conversations.iter().flat_map(|c| [(c.a, c.b), (c.b, c.a)]).collect();
    let right = links
        .iter()
        .filter_map(|link| Some((users.get(link.from)?, users.get(link.to)?)))
        .filter(|pair| wrote.contains(pair))
        .count();
    Score { guessed: links.len() as u64, right: right as u64, pairs: wrote.len() as u64 }
}

#[cfg(test)]
mod tests;
