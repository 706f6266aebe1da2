//! `report.html`: one self-contained page, without scripts, for screens light and dark and for paper.
//!
//! The caller fills a [`ReportInput`]; every sentence with a number in it is computed from that.

mod findings;
mod page;
mod sections;

pub use findings::findings;

use crate::plots::{Bars, Curves, Network, PlotError};
use crate::results::Summary;
use crate::stats::{Interval, Verdict};

/// A share with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The share.
    pub estimate: f64,
    /// Its interval.
    pub interval: Interval,
    /// Observations.
    pub n: u64,
}

/// One probability, found in up to three ways.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreeWays {
    /// Name of the metric, such as `both_ends_seen`.
    pub metric: String,
    /// The policy.
    pub policy: String,
    /// The colluding operators.
    pub set: Vec<String>,
    /// The closed form or the enumeration, whichever is exact for this case.
    pub closed_form: Option<f64>,
    /// Drawn picks.
    pub monte_carlo: Option<Estimate>,
    /// Counted in the simulated network.
    pub simulated: Option<Estimate>,
    /// How many independent observations those in the network are worth, where that is not all of them.
    pub effective_n: Option<f64>,
    /// The simulated network against the closed form.
    pub verdict: Option<Verdict>,
    /// The largest deviation that counts as agreement.
    pub margin: Option<f64>,
    /// The smallest deviation that would have been found with probability 80 %.
    pub detectable: Option<f64>,
}

/// The abstract model for one share and number of picks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelRow {
    /// The adversary's share of routers.
    pub share: f64,
    /// Picks.
    pub picks: u64,
    /// `1 − (1 − s²)ⁿ`.
    pub both_ends: f64,
    /// The same, counted.
    pub monte_carlo: Estimate,
    /// `1 − (1 − s³)ⁿ`.
    pub three_hops: f64,
    /// `s(1 − (1 − s)ⁿ)`.
    pub pinned: f64,
}

/// What an attack on the observations of one set achieved.
#[derive(Debug, Clone, PartialEq)]
pub struct AttackRow {
    /// The attack.
    pub attack: String,
    /// The policy.
    pub policy: String,
    /// The colluding operators.
    pub set: Vec<String>,
    /// Of the pairs it named, the share that talk to each other; `None` when it named none.
    pub precision: Option<Estimate>,
    /// Of the pairs that talk, the share it named.
    pub recall: Estimate,
}

/// What became of the messages under one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRow {
    /// The policy.
    pub policy: String,
    /// Messages sent.
    pub sent: u64,
    /// Messages received at least once and equal to what was sent.
    pub received: u64,
    /// Receptions beyond the first.
    pub duplicates: u64,
    /// Received, but not what was sent.
    pub altered: u64,
    /// Median time from sending to reception in simulated milliseconds, and its interval.
    pub latency_ms: Option<(f64, Interval)>,
}

/// An operator as the scenario has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRow {
    /// Its name.
    pub name: String,
    /// Its routers.
    pub routers: u64,
    /// Those that may hold queues.
    pub storage: u64,
    /// Those that may forward.
    pub proxy: u64,
}

/// Everything the report shows. An empty list leaves its section out.
#[derive(Debug, Clone)]
pub struct ReportInput<'a> {
    /// Provenance, counts and metrics.
    pub summary: &'a Summary,
    /// What the scenario is, in the words of its author.
    pub description: &'a str,
    /// Users in the scenario.
    pub users: u64,
    /// Who runs the routers.
    pub operators: Vec<OperatorRow>,
    /// Closed form, Monte Carlo and simulated network.
    pub three_ways: Vec<ThreeWays>,
    /// The abstract model.
    pub model: Vec<ModelRow>,
    /// Pictures of shares by set and policy.
    pub bars: Vec<Bars>,
    /// The curves of the abstract model.
    pub curves: Option<Curves>,
    /// Example conversations.
    pub networks: Vec<Network>,
    /// Attacks, scored against the truth.
    pub attacks: Vec<AttackRow>,
    /// Messages, by policy.
    pub delivery: Vec<DeliveryRow>,
    /// Anything particular to this run that a reader must know.
    pub remarks: Vec<String>,
}

/// The whole page.
///
/// # Errors
/// [`PlotError`] when one of the pictures cannot be drawn.
pub fn report(input: &ReportInput<'_>) -> Result<String, PlotError> {
    let mut page = page::Page::new(&format!("sxlab: {}", input.summary.scenario));
    sections::what_was_found(&mut page, input);
    sections::three_ways(&mut page, input);
    sections::bars(&mut page, input)?;
    sections::networks(&mut page, input)?;
    sections::attacks(&mut page, input);
    sections::delivery(&mut page, input);
    sections::model(&mut page, input)?;
    sections::assumptions(&mut page);
    sections::how_to_read(&mut page);
    sections::what_was_run(&mut page, input);
    Ok(page.finish())
}

/// `a + b`, or `nobody`.
fn set_name(set: &[String]) -> String {
    if set.is_empty() { "nobody".into() } else { set.join(" + ") }
}

#[cfg(test)]
mod tests;
