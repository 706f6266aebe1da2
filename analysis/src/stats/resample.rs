//! Dependence and order: what conversations that share a user are worth, and intervals for medians.

use std::collections::BTreeMap;

use super::{Interval, regularised_beta};

/// Why data cannot be resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// Nothing to work on.
    #[error("there are no observations")]
    Empty,
    /// A dyad has two nodes.
    #[error("node {0} is both nodes of an observation")]
    OneNode(u32),
    /// A median of values that cannot be ordered.
    #[error("an observation is not a number")]
    NotANumber,
}

/// One observation that hangs on two nodes, such as a conversation on two picks, and whether the event was seen in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dyad {
    /// The two nodes, in any order.
    pub nodes: (u32, u32),
    /// Whether it counts as a hit.
    pub hit: bool,
}

/// What dependence between observations does to the variance of their mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DesignEffect {
    /// Hits.
    pub hits: u64,
    /// Observations.
    pub n: u64,
    /// Variance of the mean, over the variance if all observations were independent; at least 1.
    pub effect: f64,
    /// Whether the effect could be estimated: without any variation there is nothing to go by, and it is 1.
    pub estimable: bool,
}

impl DesignEffect {
    /// How many independent observations they are worth.
    pub fn effective_n(&self) -> f64 {
        self.n as f64 / self.effect
    }

    /// Hits scaled to [`DesignEffect::effective_n`], so that intervals can be computed from the two.
    pub fn effective_hits(&self) -> f64 {
        self.hits as f64 / self.effect
    }
}

/// The dyadic cluster-robust design effect: observations that share a node may depend on each other in any
/// way, others are independent. The variance sums the products of residuals over all such pairs
/// (Fafchamps and Gubert 2007); an estimate below independence is raised to it.
///
/// # Errors
/// [`ResampleError::Empty`]; [`ResampleError::OneNode`] for an observation with one node.
pub fn dyadic_effect(dyads: &[Dyad]) -> Result<DesignEffect, ResampleError> {
    if dyads.is_empty() {
        return Err(ResampleError::Empty);
    }
    let n = dyads.len() as f64;
    let hits = dyads.iter().filter(|d| d.hit).count();
    let mean = hits as f64 / n;
    let mut by_node: BTreeMap<u32, f64> = BTreeMap::new();
    let mut by_pair: BTreeMap<(u32, u32), f64> = BTreeMap::new();
    for dyad in dyads {
        let (u, v) = dyad.nodes;
        if u == v {
            return Err(ResampleError::OneNode(u));
        }
        let residual = f64::from(u8::from(dyad.hit)) - mean;
        *by_node.entry(u).or_default() += residual;
        *by_node.entry(v).or_default() += residual;
        *by_pair.entry((u.min(v), u.max(v))).or_default() += residual;
    }
    let squares = |sums: &mut dyn Iterator<Item = &f64>| sums.map(|s| s * s).sum::<f64>();
    // Each pair of observations counts once per node that they share, so those with the same two nodes
    // were counted twice.
    let clustered = squares(&mut by_node.values()) - squares(&mut by_pair.values());
    let independent = n * mean * (1.0 - mean);
    let estimable = independent > 0.0;
    let effect = if estimable { (clustered / independent).max(1.0) } else { 1.0 };
    Ok(DesignEffect { hits: hits as u64, n: dyads.len() as u64, effect, estimable })
}

/// A median with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Median {
    /// The sample's median.
    pub estimate: f64,
    /// See [`median_interval`].
    pub interval: Interval,
    /// Observations.
    pub n: u64,
}

/// The median: of an even number of values the mean of the two in the middle; `None` for no values.
pub fn median(values: &[f64]) -> Option<f64> {
    median_of(&mut values.to_vec())
}

fn median_of(values: &mut [f64]) -> Option<f64> {
    let half = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    if values.is_empty() {
        return None;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    if !even {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(lower, upper))
}

/// The median of `values` with the interval between two order statistics that covers the true median with at least 95 %,
/// whatever the values' distribution: the narrowest with equal tails. Below six values no such two exist: it is then all of
/// them. Time grows with the number of values.
///
/// # Errors
/// [`ResampleError::Empty`], [`ResampleError::NotANumber`].
pub fn median_interval(values: &[f64]) -> Result<Median, ResampleError> {
    if values.iter().any(|v| v.is_nan()) {
        return Err(ResampleError::NotANumber);
    }
    let mut values = values.to_vec();
    let estimate = median_of(&mut values).ok_or(ResampleError::Empty)?;
    let below = values_below(values.len());
    let above = values.len() - 1 - below;
    let mut at = |place: usize| *values.select_nth_unstable_by(place, f64::total_cmp).1;
    let interval = Interval { low: at(below), high: at(above) };
    Ok(Median { estimate, interval, n: values.len() as u64 })
}

/// How many of `n` values lie below the interval, and as many above: the most for which fewer than that of `n` fair coins show
/// heads with a probability of at most 2.5 %.
fn values_below(n: usize) -> usize {
    // P(X ≤ k − 1) for X ~ Bin(n, ½) is the regularised incomplete beta function at ½.
    let tail = |k: usize| regularised_beta(0.5, (n - k + 1) as f64, k as f64);
    let (mut most, mut too_many) = (0, n / 2 + 1);
    while too_many - most > 1 {
        let k = usize::midpoint(most, too_many);
        // The interval from the (k)th smallest to the (k)th largest misses the median when fewer than k lie on one side.
        if tail(k) <= 0.025 { most = k } else { too_many = k }
    }
    most.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    fn dyad(u: u32, v: u32, hit: bool) -> Dyad {
        Dyad { nodes: (u, v), hit }
    }

    /// The definition, written out: the sum over all pairs of conversations that share a user.
    fn effect_by_definition(dyads: &[Dyad]) -> f64 {
        let n = dyads.len() as f64;
        let mean = dyads.iter().filter(|d| d.hit).count() as f64 / n;
        let e = |d: &Dyad| f64::from(u8::from(d.hit)) - mean;
        let mut sum = 0.0;
        for x in dyads {
            for y in dyads {
                let shared = [y.nodes.0, y.nodes.1];
                if shared.contains(&x.nodes.0) || shared.contains(&x.nodes.1) {
                    sum += e(x) * e(y);
                }
            }
        }
        sum / (n * mean * (1.0 - mean))
    }

    #[test]
    fn conversations_without_shared_users_are_independent() {
        let dyads: Vec<Dyad> = (0..50).map(|i| dyad(2 * i, 2 * i + 1, i % 3 == 0)).collect();
        let found = dyadic_effect(&dyads).unwrap();
        assert!((found.effect - 1.0).abs() < 1e-12);
        assert_eq!((found.n, found.hits), (50, 17));
        assert!((found.effective_n() - 50.0).abs() < 1e-9);
    }

    #[test]
    fn users_who_decide_their_conversations_cost_observations() {
        // Ten stars of ten conversations; all of a star are hits or none is: ten observations, not a hundred.
        let mut dyads = Vec::new();
        for star in 0..10 {
            for leaf in 1..=10 {
                dyads.push(dyad(star * 100, star * 100 + leaf, star % 2 == 0));
            }
        }
        let found = dyadic_effect(&dyads).unwrap();
        assert!((found.effect - 10.0).abs() < 1e-9);
        assert!((found.effective_n() - 10.0).abs() < 1e-9);
        assert!((found.effective_hits() - 5.0).abs() < 1e-9);
    }

    #[test]
    fn the_sums_by_node_give_the_sum_over_pairs() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for _ in 0..50 {
            let mut dyads = Vec::new();
            while dyads.len() < 40 {
                let word = rng.next_u32();
                let (u, v) = (word % 12, (word >> 8) % 12);
                if u != v {
                    dyads.push(dyad(u, v, (u + v + word % 3) % 3 == 0));
                }
            }
            let found = dyadic_effect(&dyads).unwrap();
            assert!((found.effect - effect_by_definition(&dyads).max(1.0)).abs() < 1e-9);
        }
    }

    #[test]
    fn without_variation_there_is_nothing_to_estimate() {
        let found = dyadic_effect(&[dyad(0, 1, false), dyad(0, 2, false)]).unwrap();
        assert_eq!((found.effect, found.estimable), (1.0, false));
        assert_eq!(dyadic_effect(&[]), Err(ResampleError::Empty));
        assert_eq!(dyadic_effect(&[dyad(3, 3, true)]), Err(ResampleError::OneNode(3)));
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    /// Binomial probabilities summed: with 101 values 40 to 60 (in 0 to 100), as tables have it.
    #[test]
    fn the_interval_of_a_median_is_that_of_the_binomial_distribution() {
        let values: Vec<f64> = (0..101).rev().map(f64::from).collect();
        let found = median_interval(&values).unwrap();
        assert_eq!((found.estimate, found.n), (50.0, 101));
        assert_eq!((found.interval.low, found.interval.high), (40.0, 60.0));
        for n in 1..200u32 {
            let mut below = 0.5f64.powi(n as i32);
            let mut pmf = below;
            let mut k = 0;
            while below <= 0.025 {
                pmf *= f64::from(n - k) / f64::from(k + 1);
                below += pmf;
                k += 1;
            }
            assert_eq!(values_below(n as usize), (k as usize).saturating_sub(1), "{n} values");
        }
    }

    #[test]
    fn few_values_are_all_in_the_interval_and_many_take_no_longer() {
        let found = median_interval(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((found.interval.low, found.interval.high), (1.0, 3.0));
        let many: Vec<f64> = (0..1_000_001).map(f64::from).collect();
        let interval = median_interval(&many).unwrap().interval;
        // 1.96 standard deviations of half a root of n.
        assert!((interval.low - (500_000.0 - 980.0)).abs() < 3.0, "{interval:?}");
        assert!((interval.high - (500_000.0 + 980.0)).abs() < 3.0, "{interval:?}");
    }

    #[test]
    fn data_without_a_median() {
        assert_eq!(median_interval(&[]), Err(ResampleError::Empty));
        assert_eq!(median_interval(&[f64::NAN]), Err(ResampleError::NotANumber));
    }
}
