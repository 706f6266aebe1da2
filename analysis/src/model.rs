//! Closed forms: how likely is it that one adversary sees both ends of a message path?
//!
//! A *share* is a probability in `[0, 1]`: the chance that one uniformly chosen router belongs to the
//! adversary. A *path* has two ends that see an address: the proxy (the sender's) and the router that
//! holds the queue (the recipient's). A *pick* chooses one path.
//!
//! The forms differ in what is drawn anew with each pick:
//!
//! | form | drawn for each pick | bad when |
//! |---|---|---|
//! | [`compromised_after`] | both ends, independently | both ends are the adversary's |
//! | [`three_hops_after`] | three hops, independently | all three are the adversary's |
//! | [`pinned_after`] | one end; the other is drawn once and kept | both are |
//! | [`without_replacement`] | two different routers of a finite list | both are |
//! | [`operator_aware`] | two routers of different operators | the operators collude |
//!
//! Each form is computed with `ln_1p` and `exp_m1`, so that tiny shares and huge numbers of picks keep
//! their digits.

/// Why a closed form has no value for the numbers given.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// A share is a probability.
    #[error("a share must lie between 0 and 1, not {0}")]
    Share(f64),
    /// The weights of all operators must sum to 1 within [`WEIGHT_TOLERANCE`].
    #[error("the operators' weights must sum to 1, not {0}")]
    WeightSum(f64),
    /// A list of operators or routers with nothing in it.
    #[error("the list of {0} is empty")]
    Empty(&'static str),
    /// A colluding operator that is not in the list of weights.
    #[error("operator {operator} is not one of the {operators} operators")]
    UnknownOperator {
        /// The index that was asked for.
        operator: usize,
        /// How many operators there are.
        operators: usize,
    },
    /// More routers controlled than there are, or a list too short to choose two from.
    #[error("cannot choose two different routers with {controlled} controlled of {routers}")]
    Routers {
        /// Routers of the adversary.
        controlled: u64,
        /// Routers in the list.
        routers: u64,
    },
}

/// How far the sum of operators' weights may be from 1 (they usually come from a text file).
pub const WEIGHT_TOLERANCE: f64 = 1e-9;

fn share(s: f64) -> Result<f64, ModelError> {
    // A comparison with NaN is false, so NaN is refused too.
    if (0.0..=1.0).contains(&s) { Ok(s) } else { Err(ModelError::Share(s)) }
}

/// `1 − (1 − q)ⁿ`: at least one success in `n` independent tries of probability `q`.
fn at_least_once(q: f64, n: u64) -> f64 {
    if n == 0 || q <= 0.0 {
        return 0.0;
    }
    if q >= 1.0 {
        return 1.0;
    }
    -f64::exp_m1(n as f64 * f64::ln_1p(-q))
}

/// `1 − (1 − s²)ⁿ`: the probability that after `n` independent picks at least one path had both ends with
/// an adversary of share `s`.
///
/// # Errors
/// [`ModelError::Share`] when `s` is not in `[0, 1]`.
pub fn compromised_after(s: f64, n: u64) -> Result<f64, ModelError> {
    let s = share(s)?;
    Ok(at_least_once(s * s, n))
}

/// `(1 − s²)ⁿ`: the probability that none of `n` independent picks had both ends with the adversary.
///
/// # Errors
/// [`ModelError::Share`] when `s` is not in `[0, 1]`.
pub fn safe_after(s: f64, n: u64) -> Result<f64, ModelError> {
    let q = share(s)?.powi(2);
    if n == 0 {
        return Ok(1.0);
    }
    // ln_1p(-1) is minus infinity, and exp of it is exactly 0.
    Ok((n as f64 * f64::ln_1p(-q)).exp())
}

/// The smallest number of picks after which [`compromised_after`] reaches one half; `None` when no `u64`
/// is enough (a share of 0, or one below about 2·10⁻¹⁰).
///
/// # Errors
/// [`ModelError::Share`] when `s` is not in `[0, 1]`.
pub fn half_life(s: f64) -> Result<Option<u64>, ModelError> {
    Ok(half_life_of(share(s)?.powi(2)))
}

/// The smallest number of tries after which a success of probability `q` has come with probability one half.
fn half_life_of(q: f64) -> Option<u64> {
    if q >= 0.5 {
        return Some(1);
    }
    let n = (-std::f64::consts::LN_2 / f64::ln_1p(-q)).ceil();
    // Also refuses the infinity that q = 0 gives.
    (n < u64::MAX as f64).then_some(n as u64)
}

/// `1 − (1 − s³)ⁿ`: the same question for **all three** hops of a three-hop path.
///
/// It is here because the two are often confused: an observer needs the two ends only, so a third hop in
/// the middle does not turn `s²` into `s³`.
///
/// # Errors
/// [`ModelError::Share`] when `s` is not in `[0, 1]`.
pub fn three_hops_after(s: f64, n: u64) -> Result<f64, ModelError> {
    let s = share(s)?;
    Ok(at_least_once(s * s * s, n))
}

/// `s·(1 − (1 − s)ⁿ)`: one end is drawn once and kept (a queue's router, for as long as the connection
/// lives), the other is drawn anew `n` times. The limit for large `n` is `s`, not 1.
///
/// # Errors
/// [`ModelError::Share`] when `s` is not in `[0, 1]`.
pub fn pinned_after(s: f64, n: u64) -> Result<f64, ModelError> {
    let s = share(s)?;
    Ok(s * at_least_once(s, n))
}

/// `c(c−1) / (r(r−1))`: the finite network's `s²`. Two *different* routers are drawn from a list of
/// `routers`, of which the adversary controls `controlled`. Always below `s²` unless `s` is 0 or 1.
///
/// # Errors
/// [`ModelError::Routers`] when the list has fewer than two routers or fewer than `controlled`.
pub fn without_replacement(controlled: u64, routers: u64) -> Result<f64, ModelError> {
    if routers < 2 || controlled > routers {
        return Err(ModelError::Routers { controlled, routers });
    }
    let (c, r) = (controlled as f64, routers as f64);
    Ok((c / r) * ((c - 1.0).max(0.0) / (r - 1.0)))
}

/// `Q = Σ_{i∈C} wᵢ Σ_{j∈C, j≠i} wⱼ / (1 − wᵢ)`: both ends of one path belong to colluding operators, when
/// the second end is always another operator's than the first.
///
/// `weights[i]` is the probability that operator `i` is picked first (its share of the routers);
/// `colluding` lists operators by index, repetitions count once. One operator alone has `Q = 0` exactly.
///
/// An operator of weight 1 has nobody to pick for the second end: it adds nothing.
///
/// # Errors
/// [`ModelError::Share`] for a weight outside `[0, 1]`, [`ModelError::WeightSum`] when they do not sum to
/// 1, [`ModelError::Empty`] for no weights or nobody colluding, [`ModelError::UnknownOperator`] for an
/// index outside `weights`.
pub fn operator_aware(weights: &[f64], colluding: &[usize]) -> Result<f64, ModelError> {
    if weights.is_empty() {
        return Err(ModelError::Empty("operators"));
    }
    if colluding.is_empty() {
        return Err(ModelError::Empty("colluding operators"));
    }
    let mut sum = 0.0;
    for &weight in weights {
        sum += share(weight)?;
    }
    if (sum - 1.0).abs() > WEIGHT_TOLERANCE {
        return Err(ModelError::WeightSum(sum));
    }
    let members: std::collections::BTreeSet<usize> = colluding.iter().copied().collect();
    let weight_of = |operator: usize| {
        weights
            .get(operator)
            .copied()
            .ok_or(ModelError::UnknownOperator { operator, operators: weights.len() })
    };
    let mut q = 0.0;
    for &i in &members {
        let first = weight_of(i)?;
        let mut others = 0.0;
        for &j in members.iter().filter(|&&j| j != i) {
            others += weight_of(j)?;
        }
        if first < 1.0 {
            q += first * others / (1.0 - first);
        }
    }
    // Everybody colluding must give 1, not 1 and a rounding error.
    Ok(q.min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(a: f64, b: f64, relative: f64) {
        assert!((a - b).abs() <= relative * b.abs(), "{a} is not {b}");
    }

    #[test]
    fn two_per_cent_reach_one_half_after_1733_picks() {
        assert_eq!(half_life(0.02), Ok(Some(1733)));
        assert!(compromised_after(0.02, 1733).unwrap() >= 0.5);
        assert!(compromised_after(0.02, 1732).unwrap() < 0.5);
        assert!((compromised_after(0.02, 1733).unwrap() - 0.5).abs() < 0.0005);
    }

    #[test]
    fn tiny_shares_keep_their_digits() {
        // 1 − (1 − 10⁻²⁰)¹⁰⁰⁰ is 10⁻¹⁷ to sixteen digits; computed naively it is 0.
        close(compromised_after(1e-10, 1000).unwrap(), 1e-17, 1e-12);
        close(three_hops_after(1e-6, 1_000_000).unwrap(), 1e-12, 1e-9);
        close(safe_after(1e-10, u64::MAX).unwrap(), (-0.184_467_440_737_095_5f64).exp(), 1e-9);
    }

    #[test]
    fn the_ends_of_the_scale() {
        assert_eq!(compromised_after(0.0, u64::MAX), Ok(0.0));
        assert_eq!(compromised_after(1.0, 1), Ok(1.0));
        assert_eq!(compromised_after(1.0, 0), Ok(0.0));
        assert_eq!(safe_after(1.0, 1), Ok(0.0));
        assert_eq!(safe_after(1.0, 0), Ok(1.0));
        assert_eq!(half_life(0.0), Ok(None));
        assert_eq!(half_life(1e-12), Ok(None));
        assert_eq!(half_life(1.0), Ok(Some(1)));
    }

    #[test]
    fn a_pinned_end_is_never_worse_than_its_share() {
        close(pinned_after(0.02, 1).unwrap(), 0.0004, 1e-12);
        close(pinned_after(0.02, 1_000_000).unwrap(), 0.02, 1e-12);
    }

    #[test]
    fn all_three_hops_is_another_question() {
        // After 1733 picks at 2 %: 50 % for the two ends, 1.4 % for all three hops.
        close(three_hops_after(0.02, 1733).unwrap(), 0.013_768, 1e-4);
    }

    #[test]
    fn shares_outside_the_scale_are_refused() {
        for bad in [-0.01, 1.01, f64::INFINITY] {
            assert_eq!(compromised_after(bad, 1), Err(ModelError::Share(bad)));
            assert_eq!(safe_after(bad, 1), Err(ModelError::Share(bad)));
            assert_eq!(half_life(bad), Err(ModelError::Share(bad)));
        }
        assert!(compromised_after(f64::NAN, 1).is_err());
    }

    #[test]
    fn finite_lists() {
        assert_eq!(without_replacement(1, 2), Ok(0.0));
        assert_eq!(without_replacement(0, 5), Ok(0.0));
        close(without_replacement(5, 10).unwrap(), 2.0 / 9.0, 1e-12);
        assert!(without_replacement(3, 2).is_err());
        assert!(without_replacement(1, 1).is_err());
    }

    #[test]
    fn operators_by_hand() {
        // Two equal operators together see everything, alone nothing.
        assert_eq!(operator_aware(&[0.5, 0.5], &[0]), Ok(0.0));
        close(operator_aware(&[0.5, 0.5], &[0, 1]).unwrap(), 1.0, 1e-12);
        // 0.5·0.3/0.5 + 0.3·0.5/0.7
        let q = operator_aware(&[0.5, 0.3, 0.2], &[0, 1]).unwrap();
        close(q, 0.3 + 0.15 / 0.7, 1e-12);
        assert_eq!(operator_aware(&[1.0], &[0]), Ok(0.0));
    }

    #[test]
    fn operators_refused() {
        assert_eq!(operator_aware(&[], &[0]), Err(ModelError::Empty("operators")));
        assert_eq!(operator_aware(&[1.0], &[]), Err(ModelError::Empty("colluding operators")));
        assert_eq!(operator_aware(&[0.5, 0.4], &[0]), Err(ModelError::WeightSum(0.9)));
        assert_eq!(operator_aware(&[1.5, -0.5], &[0]), Err(ModelError::Share(1.5)));
        assert_eq!(
            operator_aware(&[0.5, 0.5], &[0, 2]),
            Err(ModelError::UnknownOperator { operator: 2, operators: 2 })
        );
    }

    proptest! {
        #[test]
        fn safe_and_compromised_are_complements(s in 0.0f64..=1.0, n in 0u64..100_000) {
            let sum = safe_after(s, n).unwrap() + compromised_after(s, n).unwrap();
            prop_assert!((sum - 1.0).abs() < 1e-12);
        }

        #[test]
        fn half_life_is_the_first_number_of_picks_that_reaches_one_half(s in 0.0005f64..0.7) {
            let n = half_life(s).unwrap().unwrap();
            prop_assert!(compromised_after(s, n).unwrap() >= 0.5 - 1e-12);
            prop_assert!(compromised_after(s, n - 1).unwrap() < 0.5 + 1e-12);
        }

        #[test]
        fn everybody_together_sees_every_path(raw in proptest::collection::vec(0.01f64..1.0, 2..8)) {
            let sum: f64 = raw.iter().sum();
            let weights: Vec<f64> = raw.iter().map(|w| w / sum).collect();
            let everybody: Vec<usize> = (0..weights.len()).collect();
            prop_assert!((operator_aware(&weights, &everybody).unwrap() - 1.0).abs() < 1e-9);
        }
    }
}
