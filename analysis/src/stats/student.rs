//! Student's t distribution: intervals and tests of means of few values.

use super::Interval;
use super::beta::{quantile, regularised_beta};

/// A mean with what its values say about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Its standard error; nothing for a single value.
    pub error: Option<f64>,
    /// How many values.
    pub n: usize,
}

impl Mean {
    /// Of no values, nothing.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        // Equal values have a mean that may be off in its last digit, but no spread.
        if values.windows(2).all(|pair| pair.first() == pair.last()) {
            let mean = values.first().copied().unwrap_or(mean);
            return Some(Self { mean, error: (n > 1).then_some(0.0), n });
        }
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        let error = (n > 1).then(|| (squares / ((n - 1) * n) as f64).sqrt());
        Some(Self { mean, error, n })
    }

    /// The interval that covers the true mean with probability `confidence`, if the values are independent and about normal.
    /// Nothing for a single value.
    pub fn interval(&self, confidence: f64) -> Option<Interval> {
        let half = self.error? * t_quantile(confidence, (self.n - 1) as f64);
        Some(Interval { low: self.mean - half, high: self.mean + half })
    }

    /// The probability of a mean at least this far from `expected` if that were the true one; nothing for a single value.
    pub fn p_value(&self, expected: f64) -> Option<f64> {
        let (error, distance) = (self.error?, (self.mean - expected).abs());
        match (distance > 0.0, error > 0.0) {
            (false, _) => Some(1.0),
            (true, false) => Some(0.0),
            (true, true) => Some(beyond(distance / error, (self.n - 1) as f64)),
        }
    }
}

/// P(|T| > t) with `df` degrees of freedom.
fn beyond(t: f64, df: f64) -> f64 {
    regularised_beta(df / (df + t * t), df / 2.0, 0.5)
}

/// The t that |T| stays below with probability `confidence`.
fn t_quantile(confidence: f64, df: f64) -> f64 {
    let x = quantile(1.0 - confidence, df / 2.0, 0.5);
    (df * (1.0 - x) / x).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As every table of the distribution has them.
    #[test]
    fn quantiles_as_tabulated() {
        for (confidence, df, t) in [
            (0.95, 1.0, 12.706),
            (0.95, 2.0, 4.303),
            (0.95, 9.0, 2.262),
            (0.95, 120.0, 1.980),
            (0.90, 1.0, 6.314),
            (0.90, 30.0, 1.697),
        ] {
            assert!((t_quantile(confidence, df) - t).abs() < 0.0006, "{confidence} {df}");
            assert!((beyond(t, df) - (1.0 - confidence)).abs() < 0.0001, "{confidence} {df}");
        }
    }

    #[test]
    fn a_mean_by_hand() {
        // 1, 2, 3: s² = 1, standard error √⅓; t(2) = 4.303.
        let mean = Mean::of(&[1.0, 2.0, 3.0]).unwrap();
        let interval = mean.interval(0.95).unwrap();
        assert_eq!((mean.mean, mean.n), (2.0, 3));
        assert!((interval.low - (2.0 - 4.3027 / 3f64.sqrt())).abs() < 1e-3);
        assert!((mean.p_value(2.0).unwrap() - 1.0).abs() < 1e-12);
        assert!((mean.p_value(interval.high).unwrap() - 0.05).abs() < 1e-6);
    }

    #[test]
    fn one_value_has_no_interval_and_equal_ones_no_width() {
        let one = Mean::of(&[0.3]).unwrap();
        assert_eq!((one.interval(0.95), one.p_value(0.1)), (None, None));
        let equal = Mean::of(&[0.1; 7]).unwrap();
        assert_eq!(equal.interval(0.95), Some(Interval { low: 0.1, high: 0.1 }));
        assert_eq!((equal.p_value(0.1), equal.p_value(0.2)), (Some(1.0), Some(0.0)));
        assert_eq!(Mean::of(&[]), None);
    }
}
