//! Bit-sliced Monte Carlo for the forms of [`crate::model`]: 64 trials are the 64 bits ("lanes") of a word.
//!
//! A lane's Bernoulli(`s`) draw compares a random binary fraction with the binary expansion of `s`, most
//! significant bit first. One random word gives the next bit of all lanes; half of the undecided lanes are
//! decided by each word, so 64 draws cost about 7.3 words. The further hops of a path are drawn for the lanes
//! whose earlier hops were all the adversary's, and a lane stops once it is compromised.
//!
//! `s` is used to 64 binary places: exact for every `f64` of at least 2⁻¹¹, cut off by less than 2⁻⁶⁴ below.

use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

use super::{Run, Tally, in_chunks};
use crate::model::ModelError;
use crate::stats::{self, Interval};

/// What is drawn with each pick, and what counts as compromised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// Two ends anew with each pick, both needed: [`crate::model::compromised_after`].
    BothEnds,
    /// Three hops anew with each pick, all needed: [`crate::model::three_hops_after`].
    ThreeHops,
    /// One end drawn once, the other with each pick, both needed: [`crate::model::pinned_after`].
    PinnedEnd,
}

/// Trials that were compromised after a number of picks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Picks made.
    pub picks: u64,
    /// Trials compromised by then.
    pub hits: u64,
    /// All trials.
    pub trials: u64,
}

impl Checkpoint {
    /// The share of trials that were compromised.
    pub fn estimate(&self) -> f64 {
        self.hits as f64 / self.trials as f64
    }

    /// The 95 % interval of [`stats::proportion`].
    pub fn interval(&self) -> Interval {
        stats::proportion(self.hits as f64, self.trials as f64)
    }
}

/// Counts at each checkpoint, and the work they took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathCounts {
    /// In the order of picks. All checkpoints count the same trials, so they are not independent.
    pub checkpoints: Vec<Checkpoint>,
    /// Paths drawn: the picks of all trials until each was compromised or had made its last pick.
    pub pairs: u64,
}

/// Trials in one chunk: part of the definition of the sequence, so changing it changes results.
const CHUNK: u64 = 4096;
const PURPOSE: [u8; 24] = *b"sxlab monte carlo paths\0";

/// Draws `trials` times up to the last of `picks` paths with share `s`, and counts at each of `picks`.
/// `picks` is sorted and stripped of repetitions and zeros first.
///
/// # Errors
/// [`ModelError::Share`] when `s` is not in `[0, 1]`, [`ModelError::Empty`] without picks or trials.
pub fn simulate(
    s: f64,
    draw: Draw,
    picks: &[u64],
    trials: u64,
    run: &Run<'_>,
) -> Result<PathCounts, ModelError> {
    let share = Share::new(s)?;
    let stops: std::collections::BTreeSet<u64> = picks.iter().copied().filter(|&p| p > 0).collect();
    let stops: Vec<u64> = stops.into_iter().collect();
    if stops.is_empty() {
        return Err(ModelError::Empty("picks"));
    }
    if trials == 0 {
        return Err(ModelError::Empty("trials"));
    }
    let empty = || Sum { hits: vec![0; stops.len()], pairs: 0 };
    let sum = in_chunks(run, PURPOSE, trials, CHUNK, empty, |rng, size, sum| {
        let mut words = Words::new(rng);
        let mut left = size;
        while left > 0 {
            let lanes = left.min(64);
            trial_group(share, draw, &stops, u64::MAX >> (64 - lanes), &mut words, sum);
            left -= lanes;
        }
    });
    let checkpoints =
        stops.iter().zip(sum.hits).map(|(&picks, hits)| Checkpoint { picks, hits, trials }).collect();
    Ok(PathCounts { checkpoints, pairs: sum.pairs })
}

struct Sum {
    hits: Vec<u64>,
    pairs: u64,
}

impl Tally for Sum {
    fn add(&mut self, other: Self) {
        for (mine, theirs) in self.hits.iter_mut().zip(other.hits) {
            *mine += theirs;
        }
        self.pairs += other.pairs;
    }
}

/// Up to 64 trials: the set bits of `lanes`.
fn trial_group(share: Share, draw: Draw, stops: &[u64], lanes: u64, words: &mut Words, sum: &mut Sum) {
    let mut alive = match draw {
        // Where the kept end is not the adversary's, no pick can matter: these lanes are left out.
        Draw::PinnedEnd => share.lanes(lanes, words),
        Draw::BothEnds | Draw::ThreeHops => lanes,
    };
    let settled = (lanes ^ alive).count_ones();
    sum.pairs += u64::from(settled) * stops.last().copied().unwrap_or(0);
    let mut hits = 0;
    let mut done = 0;
    for (&stop, count) in stops.iter().zip(&mut sum.hits) {
        while done < stop && alive != 0 {
            sum.pairs += u64::from(alive.count_ones());
            let mut hit = share.lanes(alive, words);
            if draw != Draw::PinnedEnd && hit != 0 {
                hit = share.lanes(hit, words);
                if draw == Draw::ThreeHops && hit != 0 {
                    hit = share.lanes(hit, words);
                }
            }
            alive ^= hit;
            hits += u64::from(hit.count_ones());
            done += 1;
        }
        done = stop;
        *count += hits;
    }
}

/// A probability as the first 64 binary places of its fraction, or 1.
#[derive(Clone, Copy)]
enum Share {
    Always,
    Below(u64),
}

impl Share {
    fn new(s: f64) -> Result<Self, ModelError> {
        if s == 1.0 {
            return Ok(Share::Always);
        }
        if !(0.0..1.0).contains(&s) {
            return Err(ModelError::Share(s));
        }
        // Scaling by a power of two is exact; the conversion drops what is below 2⁻⁶⁴.
        Ok(Share::Below((s * 2f64.powi(64)) as u64))
    }

    /// Independent draws for the set bits of `lanes`; the other bits of the result are 0.
    #[inline]
    fn lanes(self, lanes: u64, words: &mut Words) -> u64 {
        let Share::Below(mut threshold) = self else {
            return lanes;
        };
        let mut undecided = lanes;
        let mut hits = 0;
        // With only zeros left in the threshold, an undecided lane cannot fall below it any more.
        while undecided != 0 && threshold != 0 {
            let random = words.next();
            // All ones where this bit of the threshold is 1, else all zeros.
            let bit = (threshold.cast_signed() >> 63).cast_unsigned();
            hits |= undecided & bit & !random;
            undecided &= !(random ^ bit);
            threshold <<= 1;
        }
        hits
    }
}

/// Random words, fetched from the stream in bulk.
struct Words {
    stream: ChaCha8Rng,
    buffer: [u64; Words::BUFFER],
    at: usize,
}

impl Words {
    const BUFFER: usize = 256;

    fn new(stream: ChaCha8Rng) -> Self {
        Words { stream, buffer: [0; Words::BUFFER], at: Words::BUFFER }
    }

    #[inline]
    fn next(&mut self) -> u64 {
        loop {
            if let Some(&word) = self.buffer.get(self.at) {
                self.at += 1;
                return word;
            }
            self.refill();
        }
    }

    #[cold]
    fn refill(&mut self) {
        for word in &mut self.buffer {
            *word = self.stream.next_u64();
        }
        self.at = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::model;

    fn counts(s: f64, draw: Draw, picks: &[u64], trials: u64, seed: u64) -> PathCounts {
        simulate(s, draw, picks, trials, &Run::new(seed)).unwrap()
    }

    /// Within five standard errors: fails once in two million seeds, and the seed is fixed.
    fn agrees(c: &Checkpoint, expected: f64) {
        let error = (expected * (1.0 - expected) / c.trials as f64).sqrt();
        assert!(
            (c.estimate() - expected).abs() <= 5.0 * error + 1e-12,
            "{c:?}: {} is not {expected}",
            c.estimate()
        );
    }

    #[test]
    fn the_sequence_is_pinned() {
        let found = counts(0.1, Draw::BothEnds, &[1, 10, 100], 10_000, 1);
        let hits: Vec<u64> = found.checkpoints.iter().map(|c| c.hits).collect();
        assert_eq!((hits, found.pairs), (vec![97, 953, 6365], 629_840));
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let with = |threads| {
            let run = Run { threads: NonZeroUsize::new(threads), ..Run::new(7) };
            simulate(0.05, Draw::BothEnds, &[20, 200], 50_001, &run).unwrap()
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(7));
        assert_ne!(with(1), counts(0.05, Draw::BothEnds, &[20, 200], 50_001, 8));
    }

    #[test]
    fn both_ends_agree_with_the_closed_form() {
        for s in [0.02, 0.3, 0.5, 0.999] {
            let found = counts(s, Draw::BothEnds, &[1, 2, 50], 200_000, 3);
            for c in &found.checkpoints {
                agrees(c, model::compromised_after(s, c.picks).unwrap());
            }
        }
    }

    #[test]
    fn three_hops_and_a_pinned_end_agree_with_their_forms() {
        for c in &counts(0.2, Draw::ThreeHops, &[1, 10, 60], 200_000, 4).checkpoints {
            agrees(c, model::three_hops_after(0.2, c.picks).unwrap());
        }
        for c in &counts(0.2, Draw::PinnedEnd, &[1, 5, 60], 200_000, 5).checkpoints {
            agrees(c, model::pinned_after(0.2, c.picks).unwrap());
        }
    }

    #[test]
    fn certain_and_impossible_shares() {
        for draw in [Draw::BothEnds, Draw::ThreeHops, Draw::PinnedEnd] {
            let never = counts(0.0, draw, &[3], 100, 1);
            assert_eq!((never.checkpoints[0].hits, never.pairs), (0, 300));
            let always = counts(1.0, draw, &[3], 100, 1);
            assert_eq!((always.checkpoints[0].hits, always.pairs), (100, 100));
        }
    }

    #[test]
    fn lanes_that_were_not_asked_for_stay_clear() {
        let mut words = Words::new(super::super::chunk_stream(1, PURPOSE, 0));
        let share = Share::new(0.9).unwrap();
        for _ in 0..100 {
            assert_eq!(share.lanes(0b1010, &mut words) & !0b1010, 0);
        }
    }

    #[test]
    fn a_share_is_cut_to_64_binary_places() {
        for (s, bits) in [(0.5, 1 << 63), (0.75, 3 << 62), (2f64.powi(-64), 1), (2f64.powi(-65), 0)] {
            assert!(matches!(Share::new(s), Ok(Share::Below(b)) if b == bits));
        }
        assert!(Share::new(f64::NAN).is_err());
    }

    #[test]
    fn nothing_to_do_is_an_error() {
        let run = Run::new(1);
        assert_eq!(simulate(0.1, Draw::BothEnds, &[0], 10, &run), Err(ModelError::Empty("picks")));
        assert_eq!(simulate(0.1, Draw::BothEnds, &[1], 0, &run), Err(ModelError::Empty("trials")));
        assert_eq!(simulate(1.1, Draw::BothEnds, &[1], 1, &run), Err(ModelError::Share(1.1)));
    }
}
