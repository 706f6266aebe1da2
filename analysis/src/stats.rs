//! Intervals, equivalence tests and what dependence costs.
//!
//! Rules of this testbed: an estimate has its n and a 95 % interval ([`proportion`]); "matches the model"
//! means that an equivalence test with a stated margin passed ([`Check`]), never that no difference was found;
//! several checks at once are adjusted by Holm's method ([`adjust`]); and each check says the smallest
//! deviation it could have found ([`smallest_detectable`]).
//!
//! Counts and n are `f64`, because dependent observations are worth a fractional number of independent ones
//! (see [`dyadic_effect`]).

mod beta;
mod resample;
mod student;

use serde::{Deserialize, Serialize};

pub use beta::regularised_beta;
pub use resample::{DesignEffect, Dyad, Median, ResampleError, dyadic_effect, median, median_interval};
pub use student::Mean;

/// Two-sided 95 % of the normal distribution.
pub const Z95: f64 = 1.959_963_984_540_054;
/// Two-sided 90 %: two one-sided tests at 5 %.
pub const Z90: f64 = 1.644_853_626_951_472_2;

/// A closed interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `x` lies in the interval, ends included.
    pub fn contains(&self, x: f64) -> bool {
        (self.low..=self.high).contains(&x)
    }
}

/// Wilson's interval for `k` hits of `n`; `z` is the normal quantile ([`Z95`], [`Z90`]). `[0, 1]` for no
/// observations.
pub fn wilson(k: f64, n: f64, z: f64) -> Interval {
    if n <= 0.0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let p = k / n;
    let z2 = z * z / n;
    let middle = p + z2 / 2.0;
    let half = (z2 * (p * (1.0 - p) + z2 / 4.0)).sqrt();
    Interval {
        low: if k <= 0.0 { 0.0 } else { ((middle - half) / (1.0 + z2)).max(0.0) },
        high: if k >= n { 1.0 } else { ((middle + half) / (1.0 + z2)).min(1.0) },
    }
}

/// Clopper and Pearson's interval: covers the true value with at least probability `confidence`, whatever it
/// is. `[0, 1]` for no observations.
pub fn clopper_pearson(k: f64, n: f64, confidence: f64) -> Interval {
    if n <= 0.0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let tail = (1.0 - confidence) / 2.0;
    Interval {
        low: if k <= 0.0 { 0.0 } else { beta::quantile(tail, k, n - k + 1.0) },
        high: if k >= n { 1.0 } else { beta::quantile(1.0 - tail, k + 1.0, n - k) },
    }
}

/// The 95 % interval to report for `k` hits of `n`: Wilson's, and Clopper and Pearson's when nothing or
/// everything was hit.
pub fn proportion(k: f64, n: f64) -> Interval {
    if k <= 0.0 || k >= n { clopper_pearson(k, n, 0.95) } else { wilson(k, n, Z95) }
}

/// What an equivalence test says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The true value lies within the margin of the expected one (two one-sided tests at 5 %).
    Agrees,
    /// The estimate is off by more than the margin, and the 95 % interval excludes the expected value.
    Differs,
    /// Neither: too few observations to say.
    Undecided,
}

impl Verdict {
    /// The word used in tables: `agrees`, `differs`, `undecided`.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Agrees => "agrees",
            Verdict::Differs => "differs",
            Verdict::Undecided => "undecided",
        }
    }
}

/// One proportion compared with an expected value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Check {
    /// The observed share.
    pub estimate: f64,
    /// Its 95 % interval ([`proportion`]).
    pub interval: Interval,
    /// The value that it is compared with.
    pub expected: f64,
    /// The largest deviation that still counts as agreement, absolute.
    pub margin: f64,
    /// The result; [`adjust`] may weaken it.
    pub verdict: Verdict,
    /// The probability of a result at least this far out if the expected value were true (exact binomial,
    /// the smaller tail doubled).
    pub p_value: f64,
    /// See [`smallest_detectable`].
    pub detectable: f64,
}

/// Compares `k` hits of `n` with `expected`.
///
/// *Agrees* when the 90 % interval lies within `expected ± margin`. *Differs* when the 95 % interval excludes
/// the expected value and the estimate is off by more than the margin. An expected 0 (or 1) is a claim that
/// something never (or always) happens: one counterexample *differs*, whatever the margin.
pub fn check(k: f64, n: f64, expected: f64, margin: f64) -> Check {
    let interval = proportion(k, n);
    let estimate = if n > 0.0 { k / n } else { f64::NAN };
    let narrow = if k <= 0.0 || k >= n { clopper_pearson(k, n, 0.90) } else { wilson(k, n, Z90) };
    let refuted = (expected <= 0.0 && k > 0.0) || (expected >= 1.0 && k < n);
    let beyond = (estimate - expected).abs() > margin;
    let verdict = if refuted || (beyond && !interval.contains(expected)) {
        Verdict::Differs
    } else if expected - margin <= narrow.low && narrow.high <= expected + margin {
        Verdict::Agrees
    } else {
        Verdict::Undecided
    };
    Check {
        estimate,
        interval,
        expected,
        margin,
        verdict,
        p_value: exact_p_value(k, n, expected),
        detectable: smallest_detectable(n, expected),
    }
}

/// Holm's adjustment over all checks of one report: a *differs* whose adjusted p-value is 5 % or more becomes
/// *undecided*. *Agrees* needs no adjustment where all checks must agree for the claim to stand.
pub fn adjust(checks: &mut [Check]) {
    let adjusted = holm(&checks.iter().map(|c| c.p_value).collect::<Vec<_>>());
    for (check, p) in checks.iter_mut().zip(adjusted) {
        if check.verdict == Verdict::Differs && p >= 0.05 {
            check.verdict = Verdict::Undecided;
        }
        check.p_value = p;
    }
}

/// Holm's step-down adjustment of p-values, in the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut floor = 0.0f64;
    for (rank, (index, p)) in order.into_iter().enumerate() {
        let hypotheses_left = (p_values.len() - rank) as f64;
        floor = floor.max((p * hypotheses_left).min(1.0));
        if let Some(slot) = adjusted.get_mut(index) {
            *slot = floor;
        }
    }
    adjusted
}

/// P(at least `k` of `n`) at probability `p`.
fn upper_tail(k: f64, n: f64, p: f64) -> f64 {
    if k <= 0.0 {
        1.0
    } else if k > n {
        0.0
    } else {
        regularised_beta(p, k, n - k + 1.0)
    }
}

fn exact_p_value(k: f64, n: f64, expected: f64) -> f64 {
    if n <= 0.0 {
        return 1.0;
    }
    let more = upper_tail(k, n, expected);
    let fewer = 1.0 - upper_tail(k + 1.0, n, expected);
    (2.0 * more.min(fewer)).clamp(0.0, 1.0)
}

/// The smallest deviation from `expected` that an exact two-sided test at 5 % on `n` observations finds with
/// probability 80 %. Of the two directions the one that needs more; a direction in which no result could
/// ever be significant is left out. 1 when nothing could be found at all.
pub fn smallest_detectable(n: f64, expected: f64) -> f64 {
    const TAIL: f64 = 0.025;
    const POWER: f64 = 0.8;
    if n < 1.0 {
        return 1.0;
    }
    let expected = expected.clamp(0.0, 1.0);
    // The deviation upwards for the chance `p` of one kind of outcome; downwards is upwards for the other.
    let upwards = |p: f64| -> Option<f64> {
        let most = n.floor();
        if p >= 1.0 || upper_tail(most, n, p) > TAIL {
            return None;
        }
        // Invariant: `low` hits are not significant, `high` hits are.
        let (mut low, mut high) = (0.0, most);
        while high - low > 1.0 {
            let middle = ((low + high) / 2.0f64).floor();
            if upper_tail(middle, n, p) <= TAIL {
                high = middle;
            } else {
                low = middle;
            }
        }
        // The share at which at least `high` hits come with the wanted power.
        Some(beta::quantile(POWER, high, n - high + 1.0) - p)
    };
    match (upwards(expected), upwards(1.0 - expected)) {
        (Some(up), Some(down)) => up.max(down),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(found: Interval, low: f64, high: f64) {
        let near = |a: f64, b: f64| (a - b).abs() < 0.000_06;
        assert!(near(found.low, low) && near(found.high, high), "{found:?} is not [{low}, {high}]");
    }

    // Newcombe, Statistics in Medicine 17 (1998) 857, table I, methods 3 and 5.
    #[test]
    fn wilson_as_published() {
        is(wilson(81.0, 263.0, Z95), 0.2553, 0.3662);
        is(wilson(15.0, 148.0, Z95), 0.0624, 0.1605);
        is(wilson(0.0, 20.0, Z95), 0.0, 0.1611);
        is(wilson(1.0, 29.0, Z95), 0.0061, 0.1718);
    }

    #[test]
    fn clopper_pearson_as_published() {
        is(clopper_pearson(81.0, 263.0, 0.95), 0.2527, 0.3676);
        is(clopper_pearson(15.0, 148.0, 0.95), 0.0578, 0.1617);
        is(clopper_pearson(0.0, 20.0, 0.95), 0.0, 0.1684);
        is(clopper_pearson(1.0, 29.0, 0.95), 0.0009, 0.1776);
    }

    #[test]
    fn nothing_or_everything_hit_takes_the_exact_interval() {
        assert_eq!(proportion(0.0, 1000.0), clopper_pearson(0.0, 1000.0, 0.95));
        let upper = 1.0 - 0.025f64.powf(0.001);
        assert!((proportion(0.0, 1000.0).high - upper).abs() < 1e-12);
        assert!((proportion(1000.0, 1000.0).low - (1.0 - upper)).abs() < 1e-12);
        assert_eq!(proportion(3.0, 10.0), wilson(3.0, 10.0, Z95));
        assert_eq!(proportion(0.0, 0.0), Interval { low: 0.0, high: 1.0 });
    }

    #[test]
    fn equivalence_has_three_answers() {
        assert_eq!(check(2500.0, 10_000.0, 0.25, 0.02).verdict, Verdict::Agrees);
        assert_eq!(check(25.0, 100.0, 0.25, 0.02).verdict, Verdict::Undecided);
        assert_eq!(check(3500.0, 10_000.0, 0.25, 0.02).verdict, Verdict::Differs);
        // Significantly off, but by less than the margin: equivalence is what was asked.
        assert_eq!(check(251_000.0, 1e6, 0.25, 0.02).verdict, Verdict::Agrees);
        assert_eq!(check(0.0, 0.0, 0.25, 0.02).verdict, Verdict::Undecided);
    }

    #[test]
    fn never_means_never() {
        assert_eq!(check(1.0, 1e6, 0.0, 0.02).verdict, Verdict::Differs);
        assert_eq!(check(1.0, 1e6, 0.0, 0.02).p_value, 0.0);
        assert_eq!(check(0.0, 1e3, 0.0, 0.02).verdict, Verdict::Agrees);
        assert_eq!(check(999.0, 1e3, 1.0, 0.02).verdict, Verdict::Differs);
        // Twenty tries cannot show that something happens in less than 2 % of cases.
        assert_eq!(check(0.0, 20.0, 0.0, 0.02).verdict, Verdict::Undecided);
    }

    #[test]
    fn exact_p_values_by_hand() {
        // 9 heads of 10: 2·(10 + 1)/1024.
        assert!((exact_p_value(9.0, 10.0, 0.5) - 22.0 / 1024.0).abs() < 1e-12);
        assert_eq!(exact_p_value(5.0, 10.0, 0.5), 1.0);
    }

    #[test]
    fn holm_by_hand() {
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
        assert_eq!(holm(&[]), [0.0f64; 0]);
    }

    #[test]
    fn many_checks_weaken_a_single_difference() {
        let odd = check(62.0, 100.0, 0.5, 0.05);
        assert_eq!(odd.verdict, Verdict::Differs);
        let mut checks = vec![check(50.0, 100.0, 0.5, 0.05); 9];
        checks.push(odd);
        adjust(&mut checks);
        assert_eq!(checks[9].verdict, Verdict::Undecided);
    }

    #[test]
    fn what_could_have_been_found() {
        // Expected never: one hit is enough, and it comes with 80 % when (1 − d)ⁿ = 0.2.
        let d = smallest_detectable(1000.0, 0.0);
        assert!((d - (1.0 - 0.2f64.powf(0.001))).abs() < 1e-9);
        // (1.96 + 0.84)·sqrt(0.25/n) for large n.
        let d = smallest_detectable(1e6, 0.5);
        assert!((d - 2.8016 * 0.0005).abs() < 0.00001, "{d}");
        assert!(smallest_detectable(100.0, 0.5) > d);
        assert_eq!(smallest_detectable(2.0, 0.5), 1.0);
    }
}
