//! One metric over many runs: re-sampled networks and seeds put together, and two such compared.
//!
//! Runs on one network depend on each other (they share its operators, its adversary and its users), so they are averaged first,
//! and the interval comes from the spread between networks: Student's t over their means. Where networks are not drawn anew, seeds
//! take their place. An interval of shares is never narrower than what the runs' observations would give if all were independent
//! (Wilson's, or Clopper and Pearson's); so a few networks that happen to give the same share are not taken for certainty.

use std::collections::BTreeMap;

use crate::results::Metric;
use crate::stats::{self, Interval, Mean, Verdict};

/// What one run says about a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunOf {
    /// What the run has in common with others: its network, or else its seed.
    pub cluster: u64,
    /// The estimate.
    pub estimate: f64,
    /// The run's own 95 % interval.
    pub interval: Option<Interval>,
    /// Independent observations that the run's are worth.
    pub effective_n: f64,
    /// Observations.
    pub n: u64,
    /// What is expected in this run.
    pub expected: Option<f64>,
    /// The largest deviation that counts as agreement.
    pub margin: Option<f64>,
    /// Whether it is a share, between 0 and 1.
    pub share: bool,
}

impl RunOf {
    /// A metric of a run of a cluster.
    pub fn new(metric: &Metric, cluster: u64) -> Self {
        Self {
            cluster,
            estimate: metric.estimate,
            interval: metric.interval(),
            effective_n: metric.effective_n.unwrap_or(metric.n as f64),
            n: metric.n,
            expected: metric.expected,
            margin: metric.margin,
            share: metric.unit.is_none(),
        }
    }
}

/// A metric over many runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pooled {
    /// The mean of the clusters' means.
    pub estimate: f64,
    /// Its 95 % interval; nothing when a single run without one is all there is.
    pub interval: Option<Interval>,
    /// Runs.
    pub runs: u64,
    /// Clusters: networks, or else seeds.
    pub clusters: u64,
    /// Observations of all runs.
    pub n: u64,
    /// What is expected, on average over clusters, if every run has something to compare with.
    pub expected: Option<f64>,
    /// See [`Pooled::expected`].
    pub margin: Option<f64>,
    /// Whether the runs agree with what was expected of each.
    pub verdict: Option<Verdict>,
    /// Of the comparison, before it is adjusted for their number ([`adjust`]).
    p_value: f64,
    /// A never that happened, or an always that did not: no adjustment changes that.
    refuted: bool,
}

/// Puts the runs together; nothing of no runs.
pub fn pool(runs: &[RunOf]) -> Option<Pooled> {
    let estimates = by_cluster(runs, |run| Some(run.estimate))?;
    let mean = Mean::of(&estimates)?;
    let share = runs.iter().all(|run| run.share);
    let effective_n: f64 = runs.iter().map(|run| run.effective_n).sum();
    let single = match runs {
        [one] => one.interval,
        _ => None,
    };
    let independent = (share && single.is_none())
        .then(|| stats::proportion(mean.mean.clamp(0.0, 1.0) * effective_n, effective_n));
    let interval = [mean.interval(0.95), independent, single].into_iter().flatten().reduce(wider);
    let bounded = |interval: Interval| match share {
        true => Interval { low: interval.low.max(0.0), high: interval.high.min(1.0) },
        false => interval,
    };
    let mut pooled = Pooled {
        estimate: mean.mean,
        interval: interval.map(bounded),
        runs: runs.len() as u64,
        clusters: mean.n as u64,
        n: runs.iter().map(|run| run.n).sum(),
        expected: by_cluster(runs, |run| run.expected)
            .and_then(|values| Mean::of(&values))
            .map(|mean| mean.mean),
        margin: runs.iter().filter_map(|run| run.margin).reduce(f64::min),
        verdict: None,
        p_value: 1.0,
        refuted: false,
    };
    compare_with_expected(&mut pooled, runs, share, effective_n);
    Some(pooled)
}

/// Two one-sided tests at 5 % on the differences between each run and what was expected of it.
fn compare_with_expected(pooled: &mut Pooled, runs: &[RunOf], share: bool, effective_n: f64) {
    let (Some(expected), Some(margin)) = (pooled.expected, pooled.margin) else { return };
    let Some(differences) = by_cluster(runs, |run| Some(run.estimate - run.expected?)) else { return };
    let Some(difference) = Mean::of(&differences) else { return };
    // The same spread as if all observations were independent, at the least.
    let check = stats::check(pooled.estimate.clamp(0.0, 1.0) * effective_n, effective_n, expected, margin);
    pooled.refuted = share
        && runs.iter().any(|run| {
            let never = run.expected == Some(0.0) && run.estimate > 0.0;
            never || (run.expected == Some(1.0) && run.estimate < 1.0)
        });
    let (Some(narrow), Some(p)) = (difference.interval(0.90), difference.p_value(0.0)) else {
        pooled.verdict = share.then_some(check.verdict);
        pooled.p_value = check.p_value;
        return;
    };
    let within = -margin <= narrow.low && narrow.high <= margin;
    let beyond = difference.mean.abs() > margin;
    pooled.p_value = if share { p.max(check.p_value) } else { p };
    pooled.verdict = Some(if pooled.refuted || (beyond && pooled.p_value < 0.05) {
        Verdict::Differs
    } else if within && (!share || check.verdict == Verdict::Agrees) {
        Verdict::Agrees
    } else {
        Verdict::Undecided
    });
}

/// Weakens differences that are no longer significant among all comparisons (Holm).
pub fn adjust<'a>(pooled: impl Iterator<Item = &'a mut Pooled>) {
    let mut compared: Vec<&mut Pooled> = pooled.filter(|pooled| pooled.verdict.is_some()).collect();
    let adjusted = stats::holm(&compared.iter().map(|pooled| pooled.p_value).collect::<Vec<_>>());
    for (pooled, p) in compared.iter_mut().zip(adjusted) {
        if pooled.verdict == Some(Verdict::Differs) && p >= 0.05 && !pooled.refuted {
            pooled.verdict = Some(Verdict::Undecided);
        }
    }
}

/// The mean of each cluster, in the order of clusters; nothing when a run has no value.
fn by_cluster(runs: &[RunOf], value: impl Fn(&RunOf) -> Option<f64>) -> Option<Vec<f64>> {
    let mut clusters: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for run in runs {
        clusters.entry(run.cluster).or_default().push(value(run)?);
    }
    clusters.values().map(|values| Mean::of(values).map(|mean| mean.mean)).collect()
}

fn wider(a: Interval, b: Interval) -> Interval {
    Interval { low: a.low.min(b.low), high: a.high.max(b.high) }
}

/// How two estimates of a metric differ: the second minus the first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The difference.
    pub difference: f64,
    /// Its 95 % interval, if it can be told.
    pub interval: Option<Interval>,
    /// Pairs of clusters on common random numbers; nothing if the two were compared as independent.
    pub pairs: Option<u64>,
    /// The probability of a difference at least as large if there were none.
    pub p_value: Option<f64>,
}

/// The difference of two sets of runs that have the same clusters, cluster by cluster; nothing if they have not, or only one.
pub fn paired(a: &[RunOf], b: &[RunOf]) -> Option<Difference> {
    let clusters = |runs: &[RunOf]| {
        let mut clusters: Vec<u64> = runs.iter().map(|run| run.cluster).collect();
        clusters.sort_unstable();
        clusters
    };
    if clusters(a) != clusters(b) {
        return None;
    }
    let (a, b) = (by_cluster(a, |run| Some(run.estimate))?, by_cluster(b, |run| Some(run.estimate))?);
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
    let mean = Mean::of(&differences)?;
    Some(Difference {
        difference: mean.mean,
        interval: Some(mean.interval(0.95)?),
        pairs: Some(mean.n as u64),
        p_value: mean.p_value(0.0),
    })
}

/// The difference of two independent estimates from their intervals: what each interval extends to the side in question, squared
/// and added (Newcombe 1998, method 10, for shares with Wilson's intervals; Zou and Donner 2008 for others).
pub fn unpaired(a: (f64, Option<Interval>), b: (f64, Option<Interval>)) -> Difference {
    let difference = b.0 - a.0;
    let interval = match (a.1, b.1) {
        (Some(of_a), Some(of_b)) => {
            let low = (b.0 - of_b.low).hypot(of_a.high - a.0);
            let high = (of_b.high - b.0).hypot(a.0 - of_a.low);
            Some(Interval { low: difference - low, high: difference + high })
        }
        _ => None,
    };
    // The side that faces zero, as 1.96 standard errors of a normal distribution.
    let p_value = interval.map(|interval| {
        let half = if difference > 0.0 { difference - interval.low } else { interval.high - difference };
        match (difference == 0.0, half > 0.0) {
            (true, _) => 1.0,
            (false, false) => 0.0,
            (false, true) => normal_beyond(stats::Z95 * difference.abs() / half),
        }
    });
    Difference { difference, interval, pairs: None, p_value }
}

/// P(|Z| > z): Student's distribution with so many degrees of freedom that it makes no difference.
fn normal_beyond(z: f64) -> f64 {
    let df = 1e7;
    stats::regularised_beta(df / (df + z * z), df / 2.0, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(cluster: u64, estimate: f64, n: u64, expected: Option<f64>) -> RunOf {
        let interval = Some(stats::proportion(estimate * n as f64, n as f64));
        let (effective_n, margin) = (n as f64, expected.map(|_| 0.1));
        RunOf { cluster, estimate, interval, effective_n, n, expected, margin, share: true }
    }

    #[test]
    fn seeds_of_a_network_are_averaged_first() {
        // Three networks of 0.2, 0.5 and 0.8, the last one with many seeds: it does not weigh more.
        let mut runs = vec![run(1, 0.2, 1000, None), run(2, 0.5, 1000, None)];
        runs.extend((0..50).map(|_| run(3, 0.8, 1000, None)));
        let pooled = pool(&runs).unwrap();
        assert!((pooled.estimate - 0.5).abs() < 1e-12);
        assert_eq!((pooled.runs, pooled.clusters, pooled.n), (52, 3, 52_000));
        // t(2) · 0.3 / √3 = 0.745: nearly nothing is known from three networks.
        let interval = pooled.interval.unwrap();
        assert_eq!((interval.low, interval.high), (0.0, 1.0));
    }

    #[test]
    fn equal_clusters_are_no_certainty() {
        let pooled = pool(&[run(1, 0.5, 10, None), run(2, 0.5, 10, None)]).unwrap();
        assert_eq!(pooled.interval, Some(stats::wilson(10.0, 20.0, stats::Z95)));
        let never = pool(&[run(1, 0.0, 100, Some(0.0)), run(2, 0.0, 100, Some(0.0))]).unwrap();
        assert_eq!(never.interval, Some(stats::clopper_pearson(0.0, 200.0, 0.95)));
        assert_eq!(never.verdict, Some(Verdict::Agrees));
    }

    #[test]
    fn never_is_refuted_by_one_run() {
        let mut runs: Vec<RunOf> = (0..20).map(|seed| run(seed, 0.0, 1000, Some(0.0))).collect();
        runs.push(run(20, 0.001, 1000, Some(0.0)));
        let mut all = vec![pool(&runs).unwrap(); 100];
        adjust(all.iter_mut());
        assert!(all.iter().all(|pooled| pooled.verdict == Some(Verdict::Differs)));
    }

    #[test]
    fn each_run_is_compared_with_what_was_expected_of_it() {
        // Shares between 0 and 0.9, each as expected: they agree, though their spread is wide.
        let runs: Vec<RunOf> = (0..10)
            .map(|i| run(i, i as f64 / 10.0 + 0.001 * (i % 3) as f64, 1000, Some(i as f64 / 10.0)))
            .collect();
        let mut runs = runs;
        runs[0].estimate = 0.0;
        let pooled = pool(&runs).unwrap();
        assert_eq!(pooled.verdict, Some(Verdict::Agrees));
        assert!((pooled.expected.unwrap() - 0.45).abs() < 1e-12);
        let off: Vec<RunOf> = (1..9)
            .map(|i| run(i, i as f64 / 10.0 + 0.15 + 0.001 * i as f64, 1000, Some(i as f64 / 10.0)))
            .collect();
        assert_eq!(pool(&off).unwrap().verdict, Some(Verdict::Differs));
        let few = [run(1, 0.5, 4, Some(0.5)), run(2, 0.75, 4, Some(0.5))];
        assert_eq!(pool(&few).unwrap().verdict, Some(Verdict::Undecided));
    }

    #[test]
    fn a_single_run_keeps_its_interval() {
        let one = RunOf { share: false, estimate: 250.0, ..run(1, 0.25, 100, None) };
        assert_eq!(pool(&[one]).unwrap().interval, one.interval);
        assert_eq!(pool(&[]), None);
    }

    #[test]
    fn pairs_take_out_what_both_have_in_common() {
        let a: Vec<RunOf> = (0..6).map(|i| run(i, 0.1 * i as f64, 100, None)).collect();
        let b: Vec<RunOf> =
            (0..6).map(|i| run(i, 0.1 * i as f64 + 0.05 + 0.001 * (i % 2) as f64, 100, None)).collect();
        let difference = paired(&a, &b).unwrap();
        assert!((difference.difference - 0.0505).abs() < 1e-9);
        assert_eq!(difference.pairs, Some(6));
        assert!(difference.interval.unwrap().low > 0.049 && difference.p_value.unwrap() < 1e-6);
        let apart = unpaired(
            (pool(&a).unwrap().estimate, pool(&a).unwrap().interval),
            (pool(&b).unwrap().estimate, pool(&b).unwrap().interval),
        );
        assert!(apart.interval.unwrap().low < 0.0, "as independent ones they show no difference");
        assert_eq!(paired(&a, &b[1..]), None);
    }

    /// Newcombe, Statistics in Medicine 17 (1998) 873, table II, method 10: 56/70 − 48/80.
    #[test]
    fn the_interval_of_a_difference_as_published() {
        let of = |k: f64, n: f64| (k / n, Some(stats::wilson(k, n, stats::Z95)));
        let interval = unpaired(of(48.0, 80.0), of(56.0, 70.0)).interval.unwrap();
        assert!(
            (interval.low - 0.0524).abs() < 0.000_06 && (interval.high - 0.3339).abs() < 0.000_06,
            "{interval:?}"
        );
        let none = unpaired(of(5.0, 10.0), of(5.0, 10.0));
        assert_eq!((none.difference, none.p_value), (0.0, Some(1.0)));
    }
}
