//! What is drawn anew for each network of a sweep: who runs how many routers, and which of them the adversary holds.

use toml::{Table, Value};

use crate::network::{OperatorIdx, RouterIdx};
use crate::scenario::{Held, Scenario};
use crate::seed::{Streams, below, shuffle};

/// The name of a drawn adversary in groups of metrics.
pub(super) const NAME: &str = "adversary";

/// How often the routers are dealt again until every operator has one.
const TRIES: u32 = 10_000;

/// An adversary to draw.
#[derive(Clone, Debug)]
pub(super) struct Adversary {
    /// What it holds.
    pub(super) what: Holds,
    /// The line of the plan.
    pub(super) line: usize,
    /// The key of the plan.
    pub(super) key: &'static str,
}

/// What an adversary holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holds {
    /// So many operators with all of their routers.
    Operators(u32),
    /// So many routers, whoever runs them.
    Routers(u32),
    /// So many of a million routers, to the nearest and at least one.
    Millionths(u32),
}

/// Draws the adversary: each operator, or each router, is as likely as any other. It takes the place of the scenario's sets.
pub(super) fn adversary(
    adversary: &Adversary,
    scenario: &mut Scenario,
    streams: &Streams,
) -> Result<(), String> {
    let mut rng = streams.stream("sweep/adversary");
    let network = &scenario.network;
    let routers = network.routers.len();
    let mut held: Vec<RouterIdx> = match adversary.what {
        Holds::Operators(count) => {
            let mut operators: Vec<OperatorIdx> =
                (0..network.operators.len()).map(OperatorIdx::from).collect();
            if count as usize > operators.len() {
                return Err(format!("{count} of the scenario's {} operators", operators.len()));
            }
            shuffle(&mut rng, &mut operators);
            operators.truncate(count as usize);
            operators.into_iter().flat_map(|operator| network.run_by(operator)).collect()
        }
        Holds::Routers(_) | Holds::Millionths(_) => {
            let count = match adversary.what {
                Holds::Millionths(share) => {
                    let nearest = (routers as u64 * u64::from(share) + 500_000) / 1_000_000;
                    (nearest as usize).max(1)
                }
                Holds::Routers(count) | Holds::Operators(count) => count as usize,
            };
            if count > routers {
                return Err(format!("{count} of the scenario's {routers} routers"));
            }
            let mut all: Vec<RouterIdx> = (0..routers).map(RouterIdx::from).collect();
            shuffle(&mut rng, &mut all);
            all.truncate(count);
            all
        }
    };
    held.sort_unstable();
    scenario.analysis.colluding.clear();
    scenario.analysis.held = vec![Held { name: NAME.to_owned(), routers: held }];
    Ok(())
}

/// Deals the routers of `[network]` to the operators: each router to an operator with the probability of its share, given that
/// every operator gets one. Shares become numbers of routers.
pub(super) fn shares(table: &mut Table, streams: &Streams) -> Result<(), String> {
    let total = table
        .get("network")
        .and_then(|network| network.get("routers"))
        .and_then(Value::as_integer)
        .and_then(|total| u64::try_from(total).ok())
        .ok_or("the scenario has no [network] with a number of routers to deal")?;
    let Some(Value::Array(operators)) = table.get_mut("operator") else {
        return Err("the scenario has no operators".to_owned());
    };
    let share = |operator: &Value| {
        let share = operator.get("share")?;
        share
            .as_float()
            .or_else(|| share.as_integer().map(|n| n as f64))
            .map(|share| (share * 1e6).round() as u64)
    };
    let shares: Vec<u64> =
        operators.iter().map(share).collect::<Option<_>>().ok_or("an operator has no share")?;
    if shares.len() as u64 > total {
        return Err(format!("{total} routers are not enough for {} operators", shares.len()));
    }
    let mut rng = streams.stream("sweep/shares");
    let all: u64 = shares.iter().sum();
    for _ in 0..TRIES {
        let mut counts = vec![0i64; shares.len()];
        for _ in 0..total {
            let mut ticket = below(&mut rng, all);
            for (count, share) in counts.iter_mut().zip(&shares) {
                match ticket.checked_sub(*share) {
                    None => {
                        *count += 1;
                        break;
                    }
                    Some(rest) => ticket = rest,
                }
            }
        }
        if counts.iter().all(|&count| count > 0) {
            for (operator, count) in operators.iter_mut().zip(counts) {
                if let Value::Table(operator) = operator {
                    operator.remove("share");
                    operator.insert("routers".to_owned(), Value::Integer(count));
                }
            }
            table.remove("network");
            return Ok(());
        }
    }
    Err(format!("of {total} routers some operator got none {TRIES} times: its share is too small"))
}
