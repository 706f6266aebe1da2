//! What a run leaves: summary, tables, pictures, the report, and the table on the terminal.

use std::collections::BTreeMap;

use sxlab_analysis::evaluate::{self, Evaluation};
use sxlab_analysis::model;
use sxlab_analysis::montecarlo::{self, paths};
use sxlab_analysis::plots::{
    Bar, BarGroup, Bars, Curve, CurvePoint, Curves, MessagePath, Network, OperatorBox, RouterAt, bars,
    curves, network,
};
use sxlab_analysis::report::{self, DeliveryRow, Estimate, ModelRow, OperatorRow, ReportInput};
use sxlab_analysis::results::{Column, Metric, OutputDir, SCHEMA, Summary, Table, Values};
use sxlab_analysis::stats::{self, Verdict};
use sxlab_simnet::engine::Engine;
use sxlab_simnet::network::{OperatorIdx, RouterIdx};
use sxlab_simnet::observe::TraceHash;
use sxlab_simnet::scenario::Scenario;
use sxlab_simnet::truth::TrueQueue;
use sxlab_simnet::workload::Plan;

use super::Finished;
use crate::exit::{Exit, Failure};
use crate::output;

/// A scenario that has run.
pub(super) struct Run<'a> {
    pub(super) engine: Engine,
    pub(super) scenario: &'a Scenario,
    pub(super) plan: &'a Plan,
    pub(super) runs: &'a [Finished],
    pub(super) replay: String,
}

/// Trials and the most picks of the report's Monte Carlo of the abstract model.
const MODEL_TRIALS: u64 = 4_000;
const MODEL_PICKS: u64 = 20_000;

/// Adversary shares that the abstract model is shown for.
const MODEL_SHARES: [f64; 4] = [0.02, 0.05, 0.1, 0.25];

/// The largest share of messages that may be missing for "all are delivered" to agree with what was seen.
const DELIVERED_MARGIN: f64 = 0.01;

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failures, error)
}

/// Writes the result directory and prints the table. `wall_seconds` is asked when everything is done.
pub(super) fn write(
    run: &Run<'_>,
    mut evaluation: Evaluation,
    directory: OutputDir,
    wall_seconds: impl FnOnce() -> f64,
) -> Result<Summary, Failure> {
    let delivery = delivery(run, &mut evaluation)?;
    let (model, model_curves) = model_rows(run.scenario.seed)?;
    let bars_input = share_bars(run.scenario, &evaluation);
    let networks = networks(run);
    for (index, picture) in bars_input.iter().enumerate() {
        directory
            .write(&format!("plots/shares-{}.svg", index + 1), bars(picture).map_err(failed)?)
            .map_err(failed)?;
    }
    directory.write("plots/model.svg", curves(&model_curves).map_err(failed)?).map_err(failed)?;
    for (finished, picture) in run.runs.iter().zip(&networks) {
        let name = format!("plots/network-{}.svg", finished.policy);
        directory.write(&name, network(picture).map_err(failed)?).map_err(failed)?;
    }
    directory.write_table(&conversations(run)?).map_err(failed)?;
    directory.write_table(&deliveries(run)?).map_err(failed)?;
    let summary = summary(run, &evaluation, wall_seconds());
    let input = ReportInput {
        summary: &summary,
        description: &run.scenario.description,
        users: run.plan.population.users.len() as u64,
        operators: operators(run.scenario),
        three_ways: evaluation.three_ways.clone(),
        model,
        bars: bars_input,
        curves: Some(model_curves),
        networks,
        attacks: evaluation.attacks.clone(),
        delivery,
        remarks: evaluation.remarks.clone(),
    };
    directory.write("report.html", report::report(&input).map_err(failed)?).map_err(failed)?;
    directory.write_summary(&summary).map_err(failed)?;
    let path = directory.finish().map_err(failed)?;
    print_table(&evaluation);
    for sentence in report::findings(&input) {
        output::note(format_args!("- {sentence}"));
    }
    output::note(format_args!("report: {}", path.join("report.html").display()));
    Ok(summary)
}

/// The numbers of the runs: what a sweep keeps of each point.
pub(super) fn measure(run: &Run<'_>, mut evaluation: Evaluation) -> Result<Summary, Failure> {
    delivery(run, &mut evaluation)?;
    Ok(summary(run, &evaluation, 0.0))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::cast_precision_loss, reason = "simulated times of a run are far below 2^52 ns")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn summary(run: &Run<'_>, evaluation: &Evaluation, wall_seconds: f64) -> Summary {
    let mut counts = BTreeMap::new();
    let mut add = |name: &str, n: u64| *counts.entry(name.to_owned()).or_default() += n;
    add("users", run.plan.population.users.len() as u64);
    add("conversations", run.plan.population.conversations.len() as u64);
    if run.scenario.business.is_some() {
        let chats = run.plan.population.groups.iter().filter(|group| group.business.is_some()).count();
        add("business_chats", chats as u64);
    }
    add("routers", run.scenario.network.routers.len() as u64);
    for finished in run.runs {
        add("messages_sent", finished.truth.sent.len() as u64);
        add("messages_received", finished.truth.deliveries.len() as u64);
        add("observations", finished.observations as u64);
        if finished.counts.events > 0 {
            add("events", finished.counts.events);
        }
        add("client_sessions", finished.counts.sessions);
        add("receipts", finished.counts.receipts);
        add("pings", finished.counts.pings);
        add("times_offline", finished.counts.offline);
        add("sessions_resubscribed", finished.counts.resubscribed);
        add("sends_repeated", finished.counts.repeated_sends);
        add("duplicates_recognised", finished.counts.duplicates);
        if run.scenario.rotation.is_some() {
            add("queues_rotated", finished.counts.rotated);
        }
        if run.scenario.calls.is_some() {
            add("calls", finished.counts.calls);
            add("calls_offered", finished.counts.calls_offered);
            add("calls_set_up", finished.counts.calls_set_up);
            add("calls_lapsed", finished.counts.calls_lapsed);
        }
        if run.scenario.groups.is_some() || run.scenario.business.is_some() {
            add("messages_forwarded", finished.counts.forwarded);
            add("messages_of_history", finished.counts.history);
        }
        add("quota_answers", finished.counts.quota);
        add("link_writes", finished.counts.link_writes);
        add("link_bytes", finished.counts.link_bytes);
    }
    let hashes: Vec<_> = run.runs.iter().map(|f| (f.policy.name(), f.trace_hash)).collect();
    Summary {
        schema: SCHEMA,
        scenario: run.scenario.name.clone(),
        scenario_hash: hex(&run.scenario.hash()),
        seed: run.scenario.seed,
        engine: run.engine.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        trace_hash: TraceHash::of_parts(hashes).to_string(),
        simulated_seconds: run.runs.iter().map(|f| seconds(f.simulated_ns)).sum(),
        wall_seconds,
        counts,
        metrics: evaluation.metrics.clone(),
        replay: Some(run.replay.clone()),
    }
}

/// Deliveries of every policy, with the median time that a message takes.
fn delivery(run: &Run<'_>, evaluation: &mut Evaluation) -> Result<Vec<DeliveryRow>, Failure> {
    let mut rows = Vec::new();
    for Finished { policy, truth, .. } in run.runs {
        let milliseconds: Vec<f64> = truth
            .deliveries
            .iter()
            .map(|delivery| seconds(delivery.received_at_ns.saturating_sub(delivery.sent_at_ns)) * 1000.0)
            .collect();
        let median = match milliseconds.is_empty() {
            true => None,
            false => Some(stats::median_interval(&milliseconds).map_err(failed)?),
        };
        if let Some(median) = &median {
            let metric = Metric::plain(
                "latency_median",
                policy.name(),
                median.estimate,
                Some(median.interval),
                median.n,
            );
            evaluation.metrics.push(Metric { unit: Some("ms".to_owned()), ..metric });
        }
        let set_up: Vec<f64> = truth
            .calls
            .iter()
            .filter_map(|call| Some(seconds(call.set_up_at_ns?.saturating_sub(call.begun_at_ns)) * 1000.0))
            .collect();
        if !set_up.is_empty() {
            let median = stats::median_interval(&set_up).map_err(failed)?;
            let (estimate, interval) = (median.estimate, Some(median.interval));
            let metric = Metric::plain("call_setup_median", policy.name(), estimate, interval, median.n);
            evaluation.metrics.push(Metric { unit: Some("ms".to_owned()), ..metric });
        }
        let (sent, received) = (truth.sent.len() as u64, truth.deliveries.len() as u64);
        let check = stats::check(float(received), float(sent), 1.0, DELIVERED_MARGIN);
        if sent > 0 {
            evaluation.metrics.push(Metric::checked("delivered", policy.name(), &check, sent));
        }
        rows.push(DeliveryRow {
            policy: policy.name().to_owned(),
            sent,
            received,
            // The engine ends a run in which a message arrives twice at its user or is not what was sent.
            duplicates: 0,
            altered: 0,
            latency_ms: median.map(|median| (median.estimate, median.interval)),
        });
    }
    Ok(rows)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
fn float(n: u64) -> f64 {
    n as f64
}

/// The abstract model: a table at the half-life, and curves with drawn points.
fn model_rows(seed: u64) -> Result<(Vec<ModelRow>, Curves), Failure> {
    let picks: Vec<u64> = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, MODEL_PICKS].into();
    let mut rows = Vec::new();
    let mut curves = Vec::new();
    for share in MODEL_SHARES {
        let half_life = model::half_life(share).map_err(failed)?.unwrap_or(1);
        let mut stops: Vec<u64> = picks.clone();
        stops.push(half_life);
        let run = montecarlo::Run::new(seed);
        let counted =
            paths::simulate(share, paths::Draw::BothEnds, &stops, MODEL_TRIALS, &run).map_err(failed)?;
        let mut points = Vec::new();
        for checkpoint in &counted.checkpoints {
            let interval = checkpoint.interval();
            let estimate = checkpoint.estimate();
            if picks.contains(&checkpoint.picks) {
                points.push(CurvePoint {
                    picks: checkpoint.picks,
                    estimate,
                    low: interval.low,
                    high: interval.high,
                });
            }
            if checkpoint.picks == half_life {
                rows.push(ModelRow {
                    share,
                    picks: half_life,
                    both_ends: model::compromised_after(share, half_life).map_err(failed)?,
                    monte_carlo: Estimate { estimate, interval, n: checkpoint.trials },
                    three_hops: model::three_hops_after(share, half_life).map_err(failed)?,
                    pinned: model::pinned_after(share, half_life).map_err(failed)?,
                });
            }
        }
        curves.push(Curve { share, points });
    }
    let title = "Chance that an adversary has seen both ends of at least one of n paths".to_owned();
    Ok((rows, Curves { title, curves, most_picks: MODEL_PICKS }))
}

/// A picture for each metric that is compared with the closed form.
fn share_bars(scenario: &Scenario, evaluation: &Evaluation) -> Vec<Bars> {
    let pictures = [
        ("both_ends_seen", "Both ends seen on one message path", "share of conversations"),
        (
            "conversation_both_ends_seen",
            "Both users' addresses seen, on whatever paths",
            "share of conversations",
        ),
    ];
    pictures
        .into_iter()
        .map(|(name, title, axis)| Bars {
            title: title.to_owned(),
            axis: axis.to_owned(),
            series: scenario.policies.iter().map(|policy| policy.name().to_owned()).collect(),
            groups: evaluate::sets(scenario)
                .into_iter()
                .map(|evaluate::Set { names, .. }| {
                    let bar = |policy| {
                        let group = evaluate::group(policy, &names);
                        let metric =
                            evaluation.metrics.iter().find(|m| m.name == name && m.group == group)?;
                        let interval = metric.interval()?;
                        Some(Bar {
                            estimate: metric.estimate,
                            low: interval.low,
                            high: interval.high,
                            expected: metric.expected,
                        })
                    };
                    BarGroup {
                        label: names.join(" + "),
                        bars: scenario.policies.iter().map(|&policy| bar(policy)).collect(),
                    }
                })
                .collect(),
        })
        .collect()
}

fn operators(scenario: &Scenario) -> Vec<OperatorRow> {
    operator_indices(scenario)
        .map(|(index, operator)| {
            let routers = || scenario.network.routers.iter().filter(move |r| r.operator == index);
            OperatorRow {
                name: operator.name.clone(),
                routers: routers().count() as u64,
                storage: routers().filter(|r| r.roles.storage).count() as u64,
                proxy: routers().filter(|r| r.roles.proxy).count() as u64,
            }
        })
        .collect()
}

fn operator_indices(
    scenario: &Scenario,
) -> impl Iterator<Item = (OperatorIdx, &sxlab_simnet::network::Operator)> {
    scenario.network.operators.iter().enumerate().map(|(i, operator)| (OperatorIdx::from(i), operator))
}

/// For each policy, the network with the first conversation's paths drawn.
fn networks(run: &Run<'_>) -> Vec<Network> {
    let scenario = run.scenario;
    let boxes: Vec<OperatorBox> = operator_indices(scenario)
        .zip(operators(scenario))
        .map(|((index, operator), row)| OperatorBox {
            name: operator.name.clone(),
            routers: scenario.network.run_by(index).map(|router| router_name(scenario, router)).collect(),
            storage: usize::try_from(row.storage).unwrap_or(usize::MAX),
            proxy: usize::try_from(row.proxy).unwrap_or(usize::MAX),
        })
        .collect();
    let at = |router: RouterIdx| -> Option<RouterAt> {
        let operator = scenario.network.router(router)?.operator;
        let position = scenario.network.run_by(operator).position(|r| r == router)?;
        Some(RouterAt { operator: operator.index(), router: position })
    };
    run.runs
        .iter()
        .map(|finished| {
            let mut paths = Vec::new();
            if let Some(conversation) = finished.truth.conversations.first() {
                let name = |user| run.plan.population.user(user).map_or_else(String::new, |u| u.name.clone());
                let mut path = |queue: &TrueQueue, from, to| {
                    if let Some(at_queue) = at(queue.router) {
                        paths.push(MessagePath {
                            sender: name(from),
                            recipient: name(to),
                            proxy: queue.proxies.first().and_then(|&proxy| at(proxy)),
                            queue: at_queue,
                            queue_id: hex(queue.sender_id.as_bytes().get(..4).unwrap_or_default()),
                        });
                    }
                };
                path(&conversation.to_a, conversation.b, conversation.a);
                path(&conversation.to_b, conversation.a, conversation.b);
            }
            Network {
                title: format!("Who sees what of one conversation: {}", finished.policy),
                operators: boxes.clone(),
                paths,
            }
        })
        .collect()
}

fn router_name(scenario: &Scenario, router: RouterIdx) -> String {
    scenario.network.router(router).map_or_else(String::new, |router| router.name.clone())
}

fn column(name: &str, values: Values) -> Column {
    Column { name: name.to_owned(), values }
}

/// Every conversation's routers and proxies, by policy: the truth, for readers of the tables.
fn conversations(run: &Run<'_>) -> Result<Table, Failure> {
    let rows: Vec<_> =
        run.runs.iter().flat_map(|f| f.truth.conversations.iter().map(move |c| (f.policy, c))).collect();
    let text =
        |cell: &dyn Fn(usize) -> String| Values::Text((0..rows.len()).map(|row| Some(cell(row))).collect());
    let number = |cell: fn(&sxlab_simnet::truth::TrueConversation) -> u32| -> Values {
        Values::U64(rows.iter().map(|(_, c)| Some(u64::from(cell(c)))).collect())
    };
    let proxies = |queue: &TrueQueue| {
        queue.proxies.iter().map(|&p| router_name(run.scenario, p)).collect::<Vec<_>>().join(" ")
    };
    let cell = |row: usize, of: &dyn Fn(&sxlab_simnet::truth::TrueConversation) -> String| {
        rows.get(row).map_or_else(String::new, |(_, conversation)| of(conversation))
    };
    let columns = vec![
        column("policy", Values::Text(rows.iter().map(|(policy, _)| Some(policy.to_string())).collect())),
        column("conversation", number(|c| c.id.0)),
        column("inviter", number(|c| c.a.0)),
        column("joiner", number(|c| c.b.0)),
        column("first_queue_router", text(&|row| cell(row, &|c| router_name(run.scenario, c.to_a.router)))),
        column("first_queue_proxies", text(&|row| cell(row, &|c| proxies(&c.to_a)))),
        column("reply_queue_router", text(&|row| cell(row, &|c| router_name(run.scenario, c.to_b.router)))),
        column("reply_queue_proxies", text(&|row| cell(row, &|c| proxies(&c.to_b)))),
    ];
    Table::new("conversations", columns).map_err(failed)
}

/// Every message's times, by policy.
fn deliveries(run: &Run<'_>) -> Result<Table, Failure> {
    let rows: Vec<_> =
        run.runs.iter().flat_map(|f| f.truth.deliveries.iter().map(move |d| (f.policy, d))).collect();
    let number = |cell: fn(&sxlab_simnet::truth::Delivery) -> u64| -> Values {
        Values::U64(rows.iter().map(|(_, delivery)| Some(cell(delivery))).collect())
    };
    let columns = vec![
        column("policy", Values::Text(rows.iter().map(|(policy, _)| Some(policy.to_string())).collect())),
        column("conversation", number(|d| u64::from(d.key.conversation.0))),
        column("from_inviter", number(|d| u64::from(d.key.from_a))),
        column("number", number(|d| u64::from(d.key.seq))),
        column("sent_ns", number(|d| d.sent_at_ns)),
        column("received_ns", number(|d| d.received_at_ns)),
    ];
    Table::new("deliveries", columns).map_err(failed)
}

/// The shares of every policy and set, as a table on the terminal.
fn print_table(evaluation: &Evaluation) {
    let number = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |s| format!("{s:.4}"));
    let head = ["policy", "colluding operators", "simulated network", "exact", "Monte Carlo", "verdict"];
    let mut lines = vec![head.map(str::to_owned)];
    for row in evaluation.three_ways.iter().filter(|row| row.metric == "both_ends_seen") {
        let simulated = row.simulated.map_or_else(
            || "-".to_owned(),
            |e| format!("{:.4} [{:.4}, {:.4}]", e.estimate, e.interval.low, e.interval.high),
        );
        lines.push([
            row.policy.clone(),
            row.set.join("+"),
            simulated,
            number(row.closed_form),
            number(row.monte_carlo.map(|e| e.estimate)),
            row.verdict.map_or("-", Verdict::name).to_owned(),
        ]);
    }
    output::note("\nShare of conversations with both ends seen on one message path:");
    output::table(&lines);
    output::note("");
}
