//! The metrics of a run: for every policy and every colluding set, what the closed form says, what drawing picks says, and
//! what the simulated network shows.
//!
//! | metric | the share of | that |
//! |---|---|---|
//! | `both_ends_seen` | conversations | have a message path of which the set sees both ends |
//! | `path_both_ends_seen` | message paths, two a conversation | have both ends seen by the set |
//! | `conversation_both_ends_seen` | conversations | show both users' addresses to the set, on whatever paths |
//! | `user_path_seen` | users | have sent to some contact on a path of which the set sees both ends |
//! | `both_ends_seen_ever` | conversations | as the first, counting proxies picked again after a session ended |
//! | `…_monte_carlo` | drawn conversations | the same, without a network |
//! | `link_by_forward_precision`, `…_recall` | guessed pairs, pairs that write | are right, are found: see [`crate::attack`] |
//! | `link_by_time_precision`, `…_recall` | | |
//!
//! The first three count the proxies picked first and are compared with the exact probability for the scenario's routers
//! ([`crate::enumerate`]), where all users have the same routers.

use std::collections::BTreeMap;

use sxlab_simnet::network::{OperatorIdx, RouterIdx, UserIdx};
use sxlab_simnet::observe::{Log, LogError, VantageId};
use sxlab_simnet::scenario::Scenario;
use sxlab_simnet::selection::Policy;
use sxlab_simnet::truth::Truth;

use crate::attack::{self, Score, Timing};
use crate::enumerate::{self, Exposure, RouterRow, RoutersError};
use crate::montecarlo::{self, routers::ExposureCounts};
use crate::observed::{self, Seen};
use crate::report::{AttackRow, Estimate, ThreeWays};
use crate::results::Metric;
use crate::sightings::Sightings;
use crate::stats::{self, Check, Dyad, ResampleError};
use crate::users;

/// Conversations drawn for each policy.
const DRAWN: u64 = 1_000_000;

/// The largest deviation that counts as agreement between drawn conversations and the exact probability.
const DRAWN_MARGIN: f64 = 0.005;

/// What one policy's run left.
#[derive(Clone, Copy, Debug)]
pub struct PolicyRun<'a> {
    /// The policy.
    pub policy: Policy,
    /// Everything seen.
    pub log: &'a Log,
    /// What really happened.
    pub truth: &'a Truth,
    /// Simulated time, in nanoseconds.
    pub span_ns: u64,
}

/// Why a run can't be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The scenario's routers can't be enumerated.
    #[error(transparent)]
    Routers(#[from] RoutersError),
    /// What was seen can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// There is nothing to estimate from.
    #[error(transparent)]
    Resample(#[from] ResampleError),
}

/// The numbers of a run.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// For `summary.json`.
    pub metrics: Vec<Metric>,
    /// For the report's table.
    pub three_ways: Vec<ThreeWays>,
    /// For the report's table of attacks.
    pub attacks: Vec<AttackRow>,
    /// What a reader must know of these numbers.
    pub remarks: Vec<String>,
}

/// A comparison before it is adjusted for the number of comparisons.
struct Compared {
    metric: &'static str,
    policy: Policy,
    set: Vec<String>,
    check: Check,
    n: u64,
    effective_n: f64,
    monte_carlo: Option<Estimate>,
}

/// A share of a set: what was seen in the simulated network, the exact value, and what drawing gave.
struct Way {
    metric: &'static str,
    dyads: Vec<Dyad>,
    exact: Option<f64>,
    drawn: Option<Estimate>,
}

/// Evaluates the runs of a scenario. `seed` is for drawing picks.
///
/// # Errors
/// As [`Evaluator::add`].
pub fn evaluate(scenario: &Scenario, runs: &[PolicyRun<'_>], seed: u64) -> Result<Evaluation, EvaluateError> {
    let mut evaluator = Evaluator::new(scenario, Some(seed));
    runs.iter().try_for_each(|run| evaluator.add(run))?;
    Ok(evaluator.finish())
}

/// Evaluates the runs of a scenario one after the other: of a run that was added nothing is needed any more.
pub struct Evaluator<'a> {
    scenario: &'a Scenario,
    sets: Vec<Set>,
    seed: Option<u64>,
    compared: Vec<Compared>,
    evaluation: Evaluation,
}

impl<'a> Evaluator<'a> {
    /// Without runs. `seed` is for drawing picks; without one none are drawn, which depend on nothing that a run does: for many
    /// runs of one scenario.
    pub fn new(scenario: &'a Scenario, seed: Option<u64>) -> Self {
        let (compared, evaluation) = (Vec::new(), Evaluation::default());
        Self { scenario, sets: sets(scenario), seed, compared, evaluation }
    }

    /// Adds a run.
    ///
    /// # Errors
    /// [`EvaluateError`] for a scenario without the roles that its policies need, a run without conversations, or a log that
    /// can't be read.
    pub fn add(&mut self, run: &PolicyRun<'_>) -> Result<(), EvaluateError> {
        let Self { scenario, sets, seed, compared, evaluation } = self;
        let drawn = seed.map(|seed| draw(scenario, run, sets, seed)).transpose()?.flatten();
        for (index, set) in sets.iter().enumerate() {
            let drawn = drawn.as_ref().and_then(|drawn| drawn.get(index));
            let held: Vec<VantageId> =
                set.routers.iter().filter_map(|&router| run.log.router(router)).collect();
            let sightings = Sightings::of(&run.log.view(&held))?;
            let observed = observed::seen(run.log, &sightings, run.truth, &set.routers);
            network(scenario, run, set, &observed, drawn, compared, evaluation)?;
            attacks(scenario, run, set, &sightings, evaluation);
        }
        Ok(())
    }

    /// The numbers of the runs added, with verdicts that know how many comparisons there are.
    pub fn finish(mut self) -> Evaluation {
        let mut checks: Vec<Check> = self.compared.iter().map(|c| c.check).collect();
        stats::adjust(&mut checks);
        for (compared, check) in self.compared.into_iter().zip(checks) {
            let group = group(compared.policy, &compared.set);
            let metric = Metric::checked(compared.metric, &group, &check, compared.n);
            self.evaluation.metrics.push(Metric { effective_n: Some(compared.effective_n), ..metric });
            self.evaluation.three_ways.push(ThreeWays {
                metric: compared.metric.to_owned(),
                policy: compared.policy.name().to_owned(),
                set: compared.set,
                closed_form: Some(check.expected),
                monte_carlo: compared.monte_carlo,
                simulated: Some(Estimate {
                    estimate: check.estimate,
                    interval: check.interval,
                    n: compared.n,
                }),
                effective_n: Some(compared.effective_n),
                verdict: Some(check.verdict),
                margin: Some(check.margin),
                detectable: Some(check.detectable),
            });
        }
        if !self.scenario.network.user_added.is_empty() {
            self.evaluation.remarks.push(
                "Users have different routers in this scenario, so there is no closed form for it: shares are counted, not compared."
                    .to_owned(),
            );
        }
        if self.scenario.client.tor_millionths > 0 {
            self.evaluation.remarks.push(
                "Some users' addresses are hidden by Tor in this scenario, so there is no closed form for it: shares are counted, not compared."
                    .to_owned(),
            );
        }
        self.evaluation
    }
}

/// The operators of a set, by name.
pub fn set_names(scenario: &Scenario, set: &[OperatorIdx]) -> Vec<String> {
    set.iter()
        .filter_map(|&operator| scenario.network.operator(operator))
        .map(|operator| operator.name.clone())
        .collect()
}

/// The group of a metric: `<policy>/<operator>+<operator>`.
pub fn group(policy: Policy, set: &[String]) -> String {
    format!("{policy}/{}", set.join("+"))
}

/// A set of routers whose logs are put together.
#[derive(Clone, Debug)]
pub struct Set {
    /// The operators who run them, or what the set is called.
    pub names: Vec<String>,
    /// The routers, in order.
    pub routers: Vec<RouterIdx>,
}

/// The scenario's sets: of colluding operators, then of held routers.
pub fn sets(scenario: &Scenario) -> Vec<Set> {
    let colluding = scenario.analysis.colluding.iter().map(|set| Set {
        names: set_names(scenario, set),
        routers: scenario
            .network
            .iter()
            .filter(|(_, router)| set.contains(&router.operator))
            .map(|(index, _)| index)
            .collect(),
    });
    let held = scenario.analysis.held.iter();
    let held = held.map(|held| Set { names: vec![held.name.clone()], routers: held.routers.clone() });
    colluding.chain(held).collect()
}

/// The scenario's routers as all users list them; nothing where users' lists differ, or some users' addresses are not seen.
fn rows(scenario: &Scenario) -> Option<Vec<RouterRow>> {
    let network = &scenario.network;
    let comparable = network.user_added.is_empty() && scenario.client.tor_millionths == 0;
    comparable.then(|| {
        network
            .iter()
            .map(|(index, router)| RouterRow {
                operator: network.listed_operator(index).map(OperatorIdx::index),
                storage: router.roles.storage,
                proxy: router.roles.proxy,
            })
            .collect()
    })
}

/// Draws conversations and counts what every colluding set sees of them. Under the policy "single" there is nothing to draw:
/// the run's router is what it is.
fn draw(
    scenario: &Scenario,
    run: &PolicyRun<'_>,
    sets: &[Set],
    seed: u64,
) -> Result<Option<Vec<ExposureCounts>>, EvaluateError> {
    let Some(rows) = rows(scenario).filter(|_| run.policy != Policy::Single) else { return Ok(None) };
    let sets: Vec<Vec<bool>> = sets.iter().map(|set| controlled(scenario, set)).collect();
    let drawing = montecarlo::Run::new(seed);
    Ok(Some(montecarlo::routers::simulate(&rows, run.policy, &sets, DRAWN, &drawing)?))
}

fn controlled(scenario: &Scenario, set: &Set) -> Vec<bool> {
    scenario.network.iter().map(|(router, _)| set.routers.binary_search(&router).is_ok()).collect()
}

/// The exact probabilities for a set. Under the policy "single" they depend on which router it is: all or nothing.
fn exact(scenario: &Scenario, run: &PolicyRun<'_>, set: &Set) -> Result<Option<Exposure>, EvaluateError> {
    let Some(rows) = rows(scenario) else { return Ok(None) };
    let mut controlled = controlled(scenario, set);
    if run.policy == Policy::Single {
        let single = run.truth.conversations.first().map(|conversation| conversation.to_a.router);
        let held = single.and_then(|router| controlled.get(router.index()).copied()).unwrap_or_default();
        controlled.fill(held);
    }
    Ok(Some(enumerate::exposure(&rows, run.policy, &controlled)?))
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]
fn float(n: u64) -> f64 {
    n as f64
}

/// The shares of a set in the simulated network, compared with the exact ones where there are such.
fn network(
    scenario: &Scenario,
    run: &PolicyRun<'_>,
    set: &Set,
    seen: &[Seen],
    drawn: Option<&ExposureCounts>,
    compared: &mut Vec<Compared>,
    evaluation: &mut Evaluation,
) -> Result<(), EvaluateError> {
    let names = &set.names;
    let picks = Picks::of(run.truth);
    let exact = exact(scenario, run, set)?;
    let drawn_share = |count: u64, counts: &ExposureCounts| Estimate {
        estimate: float(count) / float(counts.conversations.max(1)),
        interval: counts.interval(count),
        n: counts.conversations,
    };
    let ways = [
        Way {
            metric: "both_ends_seen",
            dyads: picks.conversations(seen, Seen::on_one_path),
            exact: exact.map(|e| e.conversation_on_one_path),
            drawn: drawn.map(|d| drawn_share(d.conversation_on_one_path(), d)),
        },
        Way {
            metric: "path_both_ends_seen",
            dyads: picks.paths(seen),
            exact: exact.map(|e| e.path),
            // The two paths of a conversation depend on each other; the interval knows.
            drawn: drawn.map(|d| Estimate {
                estimate: d.path(),
                interval: d.path_interval(),
                n: d.conversations,
            }),
        },
        Way {
            metric: "conversation_both_ends_seen",
            dyads: picks.conversations(seen, |s| s.anywhere),
            exact: exact.map(|e| e.conversation_anywhere),
            drawn: drawn.map(|d| drawn_share(d.conversation_anywhere, d)),
        },
    ];
    let group = group(run.policy, names);
    for Way { metric, dyads, exact, drawn: monte_carlo } in ways {
        let effect = stats::dyadic_effect(&dyads)?;
        let (hits, n) = (effect.effective_hits(), effect.effective_n());
        match exact {
            Some(expected) => {
                let check = stats::check(hits, n, expected, scenario.analysis.margin);
                compared.push(Compared {
                    metric,
                    policy: run.policy,
                    set: names.clone(),
                    check,
                    n: effect.n,
                    effective_n: n,
                    monte_carlo,
                });
                if let Some(drawn) = monte_carlo {
                    let check =
                        stats::check(drawn.estimate * float(drawn.n), float(drawn.n), expected, DRAWN_MARGIN);
                    let name = format!("{metric}_monte_carlo");
                    evaluation.metrics.push(Metric {
                        low: Some(drawn.interval.low),
                        high: Some(drawn.interval.high),
                        ..Metric::checked(&name, &group, &check, drawn.n)
                    });
                }
            }
            None => {
                let interval = stats::proportion(hits, n);
                let counted = Metric::plain(metric, &group, hits / n, Some(interval), effect.n);
                evaluation.metrics.push(Metric { effective_n: Some(n), ..counted });
                evaluation.three_ways.push(ThreeWays {
                    metric: metric.to_owned(),
                    policy: run.policy.name().to_owned(),
                    set: names.clone(),
                    closed_form: None,
                    monte_carlo: None,
                    simulated: Some(Estimate { estimate: hits / n, interval, n: effect.n }),
                    effective_n: Some(n),
                    verdict: None,
                    margin: None,
                    detectable: None,
                });
            }
        }
    }
    let users = users::sent(run.truth, seen);
    if !users.is_empty() {
        let (hits, n) = (users.iter().filter(|(_, seen)| *seen).count() as u64, users.len() as u64);
        let rows = rows(scenario).filter(|_| run.policy == Policy::DifferentRouter);
        evaluation.metrics.push(match rows {
            Some(rows) => {
                let expected = users::expected(&rows, &controlled(scenario, set), &users);
                let check = stats::check(float(hits), float(n), expected, scenario.analysis.margin);
                Metric::checked("user_path_seen", &group, &check, n)
            }
            None => {
                let Estimate { estimate, interval, n } = estimate(hits, n);
                Metric::plain("user_path_seen", &group, estimate, Some(interval), n)
            }
        });
    }
    let ever = stats::dyadic_effect(&picks.conversations(seen, |s| s.on_one_path_ever))?;
    let interval = stats::proportion(ever.effective_hits(), ever.effective_n());
    let share = ever.effective_hits() / ever.effective_n();
    let metric = Metric::plain("both_ends_seen_ever", &group, share, Some(interval), ever.n);
    evaluation.metrics.push(Metric { effective_n: Some(ever.effective_n()), ..metric });
    Ok(())
}

/// The proxies picked in a run, numbered: a user picks one proxy for a destination and keeps it for all conversations that
/// lead there. What two paths have in common is at most that pick.
struct Picks {
    /// For each conversation, the picks for the paths to the first queue and to the reply queue.
    of_conversations: Vec<(u32, u32)>,
    count: u32,
}

impl Picks {
    fn of(truth: &Truth) -> Self {
        let mut numbers = BTreeMap::new();
        let mut number = |sender: UserIdx, destination: RouterIdx| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry((sender, destination)).or_insert(next)
        };
        let of_conversations = truth
            .conversations
            .iter()
            .map(|c| (number(c.b, c.to_a.router), number(c.a, c.to_b.router)))
            .collect();
        let count = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        Self { of_conversations, count }
    }

    /// Conversations, which depend on each other where they share a pick.
    fn conversations(&self, seen: &[Seen], hit: impl Fn(&Seen) -> bool) -> Vec<Dyad> {
        self.of_conversations
            .iter()
            .zip(seen)
            .map(|(&picks, seen)| Dyad { nodes: picks, hit: hit(seen) })
            .collect()
    }

    /// Paths, two for each conversation, each with one pick; the other node of its dyad is its own.
    fn paths(&self, seen: &[Seen]) -> Vec<Dyad> {
        let paths = self.of_conversations.iter().zip(seen);
        let paths =
            paths.flat_map(|(picks, seen)| [(picks.0, seen.path_to_first), (picks.1, seen.path_to_reply)]);
        paths.zip(self.count..).map(|((pick, hit), own)| Dyad { nodes: (pick, own), hit }).collect()
    }
}

/// Both attacks on a set's observations, scored.
fn attacks(
    scenario: &Scenario,
    run: &PolicyRun<'_>,
    set: &Set,
    sightings: &Sightings,
    evaluation: &mut Evaluation,
) {
    // What an attacker knows of the network's usual latency: one hop between routers, and some.
    let timing = Timing { window_ns: 2 * scenario.latency.default_ns + 100_000_000, span_ns: run.span_ns };
    let guesses = [
        ("link_by_forward", "by forward", attack::by_forward(sightings)),
        ("link_by_time", "by time", attack::by_time(sightings, timing)),
    ];
    let names = &set.names;
    let group = group(run.policy, names);
    for (metric, attack, links) in guesses {
        let Score { guessed, right, pairs } = attack::score(&links, sightings, run.truth);
        let share = |n: u64| (n > 0).then(|| estimate(right, n));
        let (precision, recall) = (share(guessed), share(pairs));
        for (what, share) in [("precision", precision), ("recall", recall)] {
            if let Some(share) = share {
                let name = format!("{metric}_{what}");
                evaluation.metrics.push(Metric::plain(
                    &name,
                    &group,
                    share.estimate,
                    Some(share.interval),
                    share.n,
                ));
            }
        }
        if let Some(recall) = recall {
            evaluation.attacks.push(AttackRow {
                attack: attack.to_owned(),
                policy: run.policy.name().to_owned(),
                set: names.clone(),
                precision,
                recall,
            });
        }
    }
}

fn estimate(k: u64, n: u64) -> Estimate {
    Estimate { estimate: float(k) / float(n), interval: stats::proportion(float(k), float(n)), n }
}
