//! The headline: what the numbers say, in sentences.

use super::{DeliveryRow, Estimate, ReportInput, ThreeWays, set_name};
use crate::plots::{grouped, percent};
use crate::stats::Verdict;

/// The findings of a run, the most important first. Each sentence stands on the numbers given; nothing is
/// said about what was not measured.
pub fn findings(input: &ReportInput<'_>) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut policies: Vec<&str> = Vec::new();
    for row in &input.three_ways {
        if !policies.contains(&row.policy.as_str()) {
            policies.push(&row.policy);
        }
    }
    for policy in policies {
        let rows = input.three_ways.iter().filter(|r| r.policy == policy && r.metric == "both_ends_seen");
        sentences.extend(alone(policy, rows.clone().filter(|r| r.set.len() == 1)));
        sentences.extend(together(policy, rows.filter(|r| r.set.len() == 2)));
    }
    sentences.extend(agreement(&input.three_ways));
    sentences.extend(attacks(input));
    sentences.extend(delivery(&input.delivery));
    sentences
}

/// The best number there is for a row: counted in the network, else drawn.
fn observed(row: &ThreeWays) -> Option<(Estimate, &'static str)> {
    let simulated = row.simulated.map(|e| (e, "in the simulated network"));
    simulated.or(row.monte_carlo.map(|e| (e, "in Monte Carlo")))
}

fn worst<'a>(rows: impl Iterator<Item = &'a ThreeWays>) -> Option<(&'a ThreeWays, Estimate, &'static str)> {
    rows.filter_map(|row| observed(row).map(|(e, place)| (row, e, place)))
        .max_by(|a, b| a.1.estimate.total_cmp(&b.1.estimate))
}

fn alone<'a>(policy: &str, rows: impl Iterator<Item = &'a ThreeWays>) -> Option<String> {
    let (row, e, place) = worst(rows)?;
    if e.estimate == 0.0 {
        return Some(format!(
            "Under {policy}, no operator alone saw both ends of a message path in any of {} conversations {place} \
             (95 % interval up to {}).",
            grouped(e.n),
            percent(e.interval.high)
        ));
    }
    let who = set_name(&row.set);
    Some(format!(
        "Under {policy}, one operator alone, {who}, saw both ends of a message path in {} of {} conversations {place} \
         (95 % interval {} to {}).",
        percent(e.estimate),
        grouped(e.n),
        percent(e.interval.low),
        percent(e.interval.high)
    ))
}

fn together<'a>(policy: &str, rows: impl Iterator<Item = &'a ThreeWays>) -> Option<String> {
    let (row, e, place) = worst(rows)?;
    let who = set_name(&row.set);
    Some(format!(
        "If two operators collude ({who}), {policy} leaves them both ends of a message path in {} of conversations \
         {place}.",
        percent(e.estimate)
    ))
}

fn agreement(rows: &[ThreeWays]) -> Option<String> {
    let verdicts: Vec<Verdict> = rows.iter().filter_map(|r| r.verdict).collect();
    let count = |v| verdicts.iter().filter(|&&x| x == v).count();
    if verdicts.is_empty() {
        return None;
    }
    let (all, agrees) = (verdicts.len(), count(Verdict::Agrees));
    let comparisons = match all {
        1 => "1 comparison".to_owned(),
        n => format!("{n} comparisons"),
    };
    let start = format!("{agrees} of {comparisons} with the exact value agree within their margin");
    let rest = match (count(Verdict::Differs), count(Verdict::Undecided)) {
        (0, 0) => String::new(),
        (0, open) => format!("; {open} had too few observations to say"),
        (bad, 0) => format!("; {bad} DIFFER"),
        (bad, open) => format!("; {bad} DIFFER, {open} had too few observations to say"),
    };
    Some(format!("{start}{rest}."))
}

/// What the best attack of one operator alone achieved, for each policy.
fn attacks(input: &ReportInput<'_>) -> Vec<String> {
    let mut policies: Vec<&str> = Vec::new();
    for row in &input.attacks {
        if !policies.contains(&row.policy.as_str()) {
            policies.push(&row.policy);
        }
    }
    let best = |policy: &&str| {
        let alone = input.attacks.iter().filter(|a| a.set.len() == 1 && a.policy == **policy);
        alone.max_by(|a, b| a.recall.estimate.total_cmp(&b.recall.estimate))
    };
    policies
        .iter()
        .filter_map(best)
        .map(|row| {
            let precision = match row.precision {
                Some(p) => format!("{} of the {} pairs it named were right", percent(p.estimate), grouped(p.n)),
                None => "it named no pair".into(),
            };
            format!(
                "Under {}, the best linking attack of one operator alone ({}, {}) found {} of the pairs who write: {precision}.",
                row.policy,
                set_name(&row.set),
                row.attack,
                percent(row.recall.estimate),
            )
        })
        .collect()
}

fn delivery(rows: &[DeliveryRow]) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let sum = |field: fn(&DeliveryRow) -> u64| rows.iter().map(field).sum::<u64>();
    let (sent, received) = (sum(|r| r.sent), sum(|r| r.received));
    let (duplicates, altered) = (sum(|r| r.duplicates), sum(|r| r.altered));
    if sent == received && duplicates == 0 && altered == 0 {
        return Some(format!(
            "All {} messages sent were received exactly once, decrypted and equal to what was sent.",
            grouped(sent)
        ));
    }
    Some(format!(
        "Of {} messages sent, {} were received ({} lost), {} arrived more than once and {} were altered.",
        grouped(sent),
        grouped(received),
        grouped(sent.saturating_sub(received)),
        grouped(duplicates),
        grouped(altered)
    ))
}
