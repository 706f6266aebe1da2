//! How many contacts each user has, drawn from a distribution.

use crate::power;
use crate::scenario::Degrees;
use crate::seed::{Streams, below};

/// Each user's number of contacts, from a stream of the user's own.
pub(crate) fn drawn(degrees: &Degrees, users: u32, streams: &Streams) -> Vec<u32> {
    let table = DegreeTable::new(degrees);
    (0..users)
        .map(|user| table.draw(below(&mut streams.stream(&format!("user/{user}/degree")), table.sum)))
        .collect()
}

/// The numbers of contacts with their weights added up.
pub(crate) struct DegreeTable {
    /// A number of contacts, and the weights up to and with its own.
    rows: Vec<(u32, u64)>,
    sum: u64,
}

impl DegreeTable {
    pub(crate) fn new(degrees: &Degrees) -> Self {
        let weights: Vec<(u32, u64)> = match degrees {
            Degrees::Shares(shares) => {
                shares.iter().map(|&(degree, share)| (degree, u64::from(share))).collect()
            }
            Degrees::PowerLaw { min, max, exponent } => {
                (*min..).zip(power::weights(*min, *max, *exponent)).collect()
            }
        };
        let mut sum = 0;
        let rows = weights
            .into_iter()
            .map(|(degree, weight)| {
                sum += weight;
                (degree, sum)
            })
            .collect();
        Self { rows, sum }
    }

    /// The number of contacts at a ticket below the sum of the weights.
    pub(crate) fn draw(&self, ticket: u64) -> u32 {
        let row = self.rows.partition_point(|&(_, up_to)| up_to <= ticket);
        self.rows.get(row).map_or(0, |&(degree, _)| degree)
    }

    /// The sum of the weights.
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// How many pairs so many are expected to make, each with each; rounded down.
    pub(crate) fn expected_pairs(&self) -> u64 {
        let mut before = 0;
        let mut weighted = 0u128;
        for &(size, up_to) in &self.rows {
            let pairs = u128::from(size) * u128::from(size.saturating_sub(1)) / 2;
            weighted += pairs * u128::from(up_to - before);
            before = up_to;
        }
        u64::try_from(weighted / u128::from(self.sum.max(1))).unwrap_or(u64::MAX)
    }

    /// How many contacts so many users are expected to have together.
    pub(crate) fn expected_sum(&self, users: u32) -> u64 {
        let mut before = 0;
        let mut weighted = 0u128;
        for &(degree, up_to) in &self.rows {
            weighted += u128::from(degree) * u128::from(up_to - before);
            before = up_to;
        }
        u64::try_from(weighted * u128::from(users) / u128::from(self.sum.max(1))).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(degrees: &[u32], of: u32) -> f64 {
        degrees.iter().filter(|&&degree| degree == of).count() as f64 / degrees.len() as f64
    }

    /// Shares of 20,000 users: standard deviations up to 0.0035.
    #[test]
    fn shares_are_met() {
        let shares = Degrees::Shares(vec![(1, 200_000), (5, 500_000), (30, 300_000)]);
        let degrees = drawn(&shares, 20_000, &Streams::new(1));
        for (degree, expected) in [(1, 0.2), (5, 0.5), (30, 0.3), (2, 0.0)] {
            assert!((share(&degrees, degree) - expected).abs() < 0.014, "{degree}");
        }
        assert_eq!(DegreeTable::new(&shares).expected_sum(10), 117);
    }

    /// Of k^-2 for k = 1..=100, whose sum is 1.634984.
    #[test]
    fn a_power_law_has_its_shares() {
        let law = Degrees::PowerLaw { min: 1, max: 100, exponent: 2000 };
        let degrees = drawn(&law, 20_000, &Streams::new(1));
        assert!(degrees.iter().all(|degree| (1..=100).contains(degree)));
        for k in [1, 2, 3, 10] {
            let expected = 1.0 / (f64::from(k * k) * 1.634_984);
            assert!((share(&degrees, k) - expected).abs() < 0.014, "{k}: {}", share(&degrees, k));
        }
    }

    #[test]
    fn adding_a_user_does_not_move_the_others() {
        let law = Degrees::PowerLaw { min: 2, max: 50, exponent: 2500 };
        let degrees = |users| drawn(&law, users, &Streams::new(1));
        assert_eq!(degrees(20)[..], degrees(21)[..20]);
    }
}
