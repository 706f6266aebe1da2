//! Monte Carlo over a list of routers: draws what two clients would pick under a [`Policy`], one conversation
//! after another, and counts what each adversary sees.
//!
//! The rule is the one described in [`crate::enumerate`], written a second time as a client executes it: it
//! shares no code with the enumeration that it is compared with.

use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

use super::{Run, Tally, in_chunks};
use sxlab_simnet::selection::Policy;

use crate::enumerate::{self, RouterRow, RoutersError};
use crate::stats::{self, Interval};

/// What one adversary saw in a number of independent conversations. The fields are those of
/// [`crate::enumerate::Exposure`], as counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExposureCounts {
    /// Conversations drawn; each has two paths.
    pub conversations: u64,
    /// Both ends of the path to A seen.
    pub path_to_first: u64,
    /// Both ends of the path to B seen.
    pub path_to_reply: u64,
    /// Both ends of both paths seen.
    pub both_paths: u64,
    /// Both users' addresses seen anywhere in the conversation.
    pub conversation_anywhere: u64,
}

impl ExposureCounts {
    /// Both ends of at least one of the two paths seen.
    pub fn conversation_on_one_path(&self) -> u64 {
        self.path_to_first + self.path_to_reply - self.both_paths
    }

    /// The share of paths whose both ends were seen.
    pub fn path(&self) -> f64 {
        (self.path_to_first + self.path_to_reply) as f64 / (2 * self.conversations) as f64
    }

    /// How many independent paths the `2 · conversations` paths are worth: the two paths of a conversation
    /// depend on each other, and their correlation is estimated from the counts.
    pub fn effective_paths(&self) -> f64 {
        let n = self.conversations as f64;
        let p = self.path();
        let variance = p * (1.0 - p);
        if variance == 0.0 {
            return 2.0 * n;
        }
        let correlation = (self.both_paths as f64 / n - p * p) / variance;
        2.0 * n / (1.0 + correlation.max(0.0))
    }

    /// The 95 % interval of [`ExposureCounts::path`], on [`ExposureCounts::effective_paths`].
    pub fn path_interval(&self) -> Interval {
        let n = self.effective_paths();
        stats::proportion(self.path() * n, n)
    }

    /// The 95 % interval of a count of conversations, such as [`ExposureCounts::conversation_on_one_path`].
    pub fn interval(&self, count: u64) -> Interval {
        stats::proportion(count as f64, self.conversations as f64)
    }
}

/// Conversations in one chunk: part of the definition of the sequence, so changing it changes results.
const CHUNK: u64 = 4096;
const PURPOSE: [u8; 24] = *b"sxlab monte carlo router";

/// Draws `conversations` conversations under `policy` and counts for each set of `sets` (one flag per router)
/// what it sees. All sets watch the same conversations, so they can be compared in pairs.
///
/// # Errors
/// [`RoutersError`] for a list without the roles that are needed or a set of the wrong length.
pub fn simulate(
    routers: &[RouterRow],
    policy: Policy,
    sets: &[Vec<bool>],
    conversations: u64,
    run: &Run<'_>,
) -> Result<Vec<ExposureCounts>, RoutersError> {
    for set in sets {
        enumerate::check(routers, policy, set)?;
    }
    let client = Client::new(routers, policy);
    let empty = || vec![ExposureCounts::default(); sets.len()];
    let work = |mut rng: ChaCha8Rng, size, tally: &mut Vec<ExposureCounts>| {
        let mut scratch = Vec::with_capacity(routers.len());
        for _ in 0..size {
            if let Some(picks) = client.converse(&mut rng, &mut scratch) {
                for (set, counts) in sets.iter().zip(tally.iter_mut()) {
                    picks.seen_by(set, counts);
                }
            }
        }
    };
    Ok(in_chunks(run, PURPOSE, conversations, CHUNK, empty, work))
}

impl Tally for Vec<ExposureCounts> {
    fn add(&mut self, other: Self) {
        for (mine, theirs) in self.iter_mut().zip(other) {
            mine.conversations += theirs.conversations;
            mine.path_to_first += theirs.path_to_first;
            mine.path_to_reply += theirs.path_to_reply;
            mine.both_paths += theirs.both_paths;
            mine.conversation_anywhere += theirs.conversation_anywhere;
        }
    }
}

/// The routers that one conversation uses, by index.
struct Picks {
    first: usize,
    reply: usize,
    proxy_to_first: usize,
    proxy_to_reply: usize,
}

impl Picks {
    fn seen_by(&self, set: &[bool], counts: &mut ExposureCounts) {
        let has = |router: usize| set.get(router).copied().unwrap_or(false);
        let (a, b) = (has(self.first), has(self.reply));
        let (p, q) = (has(self.proxy_to_first), has(self.proxy_to_reply));
        counts.conversations += 1;
        counts.path_to_first += u64::from(a && p);
        counts.path_to_reply += u64::from(b && q);
        counts.both_paths += u64::from(a && p && b && q);
        counts.conversation_anywhere += u64::from((a || q) && (b || p));
    }
}

/// A router as the client's list has it: its index and its operator.
type Entry = (usize, Option<usize>);

/// What both clients know: their list, by role, and their policy.
struct Client {
    policy: Policy,
    storage: Vec<Entry>,
    proxies: Vec<Entry>,
}

impl Client {
    fn new(routers: &[RouterRow], policy: Policy) -> Self {
        let entries = |role: fn(&RouterRow) -> bool| {
            let listed = routers.iter().enumerate().filter(|(_, row)| role(row));
            listed.map(|(index, row)| (index, row.operator)).collect()
        };
        Client { policy, storage: entries(|row| row.storage), proxies: entries(|row| row.proxy) }
    }

    /// One conversation; `None` only for lists that were refused before.
    fn converse(&self, rng: &mut ChaCha8Rng, scratch: &mut Vec<usize>) -> Option<Picks> {
        let (first, _) = *self.storage.get(below(rng, self.storage.len()))?;
        if self.policy == Policy::Single {
            return Some(Picks { first, reply: first, proxy_to_first: first, proxy_to_reply: first });
        }
        let reply = self.next(&self.storage, first, rng, scratch)?;
        Some(Picks {
            first,
            reply,
            proxy_to_first: self.next(&self.proxies, first, rng, scratch)?,
            proxy_to_reply: self.next(&self.proxies, reply, rng, scratch)?,
        })
    }

    /// Picks from `list` when `used` is taken. `scratch` holds the candidates.
    fn next(
        &self,
        list: &[Entry],
        used: usize,
        rng: &mut ChaCha8Rng,
        scratch: &mut Vec<usize>,
    ) -> Option<usize> {
        scratch.clear();
        if self.policy == Policy::DifferentOperator
            && let Some((_, operator)) = list.iter().find(|(index, _)| *index == used)
        {
            let others = list.iter().filter(|(_, o)| o != operator);
            scratch.extend(others.map(|(index, _)| *index));
        }
        if scratch.is_empty() {
            scratch.extend(list.iter().map(|(index, _)| *index));
        }
        if scratch.iter().any(|index| *index != used) {
            scratch.retain(|index| *index != used);
        }
        scratch.get(below(rng, scratch.len())).copied()
    }
}

/// Uniform in `0..n`, without bias (Lemire's multiplication with rejection); 0 when `n` is 0.
fn below(rng: &mut impl Rng, n: usize) -> usize {
    let n = n as u64;
    let mut product = u128::from(rng.next_u64()) * u128::from(n);
    if (product as u64) < n {
        let excess = n.wrapping_neg().checked_rem(n).unwrap_or(0);
        while (product as u64) < excess {
            product = u128::from(rng.next_u64()) * u128::from(n);
        }
    }
    (product >> 64) as usize
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::enumerate::{controlled_by, exposure};

    /// The preset list's shape: operator 0 stores and forwards, operator 1 forwards, one router of neither.
    fn preset() -> Vec<RouterRow> {
        let row = |operator, storage| RouterRow { operator, storage, proxy: true };
        let mut list = vec![row(Some(0), true); 11];
        list.extend(vec![row(Some(1), false); 6]);
        list.push(row(None, true));
        list
    }

    #[test]
    fn the_sequence_is_pinned() {
        let routers = preset();
        let sets = [controlled_by(&routers, &[0])];
        let found = simulate(&routers, Policy::DifferentRouter, &sets, 10_000, &Run::new(1)).unwrap();
        let expected = ExposureCounts {
            conversations: 10_000,
            path_to_first: 5421,
            path_to_reply: 5368,
            both_paths: 2896,
            conversation_anywhere: 9313,
        };
        assert_eq!(found[0], expected);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let routers = preset();
        let sets = [controlled_by(&routers, &[0]), controlled_by(&routers, &[0, 1])];
        let with = |threads| {
            let run = Run { threads: NonZeroUsize::new(threads), ..Run::new(2) };
            simulate(&routers, Policy::DifferentRouter, &sets, 20_000, &run).unwrap()
        };
        assert_eq!(with(1), with(5));
    }

    #[test]
    fn drawing_agrees_with_enumerating() {
        let routers = preset();
        let n = 400_000;
        let sets = [&[0][..], &[1], &[0, 1]].map(|set| controlled_by(&routers, set));
        for policy in Policy::ALL {
            let found = simulate(&routers, policy, &sets, n, &Run::new(3)).unwrap();
            for (set, counts) in sets.iter().zip(found) {
                let e = exposure(&routers, policy, set).unwrap();
                for (count, expected) in [
                    (counts.path_to_first, e.path_to_first),
                    (counts.path_to_reply, e.path_to_reply),
                    (counts.conversation_on_one_path(), e.conversation_on_one_path),
                    (counts.conversation_anywhere, e.conversation_anywhere),
                ] {
                    let error = (expected * (1.0 - expected) / n as f64).sqrt();
                    let off = (count as f64 / n as f64 - expected).abs();
                    assert!(off <= 5.0 * error + 1e-12, "{policy:?}: {count} of {n} is not {expected}");
                }
                let interval = counts.path_interval();
                assert!(interval.low - 0.01 < e.path && e.path < interval.high + 0.01);
            }
        }
    }

    #[test]
    fn paths_that_always_go_together_count_once() {
        // Under Single both paths are the same router: two paths are worth one.
        let routers = preset();
        let sets = [controlled_by(&routers, &[0])];
        let found = simulate(&routers, Policy::Single, &sets, 1000, &Run::new(4)).unwrap();
        assert!((found[0].effective_paths() - 1000.0).abs() < 1e-6);
    }

    #[test]
    fn below_is_uniform_and_stays_below() {
        let mut rng = super::super::chunk_stream(1, PURPOSE, 0);
        let mut seen = [0u32; 7];
        for _ in 0..70_000 {
            seen[below(&mut rng, 7)] += 1;
        }
        assert!(seen.iter().all(|&k| (9_500..10_500).contains(&k)), "{seen:?}");
        assert_eq!(below(&mut rng, 1), 0);
        assert_eq!(below(&mut rng, 0), 0);
    }
}
