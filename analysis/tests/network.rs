//! The analysis on the log of a real run: what sets of operators saw, compared with the truth and with the model.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;

use sxlab_analysis::attack::{by_forward, score};
use sxlab_analysis::evaluate::{Evaluation, PolicyRun, evaluate};
use sxlab_analysis::observed::seen;
use sxlab_analysis::results::Metric;
use sxlab_analysis::sightings::Sightings;
use sxlab_analysis::stats::Verdict;
use sxlab_simnet::engine::{Engine, Outcome, run};
use sxlab_simnet::network::{OperatorIdx, RouterIdx};
use sxlab_simnet::scenario::{Overrides, Scenario};
use sxlab_simnet::seed::Streams;
use sxlab_simnet::selection::Policy;
use sxlab_simnet::truth::TrueQueue;
use sxlab_simnet::workload::Plan;

/// Two operators, north twice the size of south; 40 users in 80 conversations.
fn scenario() -> Scenario {
    let text = r#"
        name = "test"
        seed = 1
        duration = "5s"
        [[operator]]
        name = "north"
        routers = 4
        [[operator]]
        name = "south"
        routers = 2
        [users]
        count = 40
        contacts = 4
        graph = "random"
        [workload]
        kind = "poisson"
        messages = 80
        [analysis]
        margin = 0.2
    "#;
    Scenario::parse(text, Path::new("test.toml"), &Overrides::default()).unwrap()
}

fn outcome(scenario: &Scenario, policy: Policy) -> Outcome {
    let streams = Streams::new(1);
    let plan = Plan::new(scenario, &streams).unwrap();
    run(Engine::Turmoil, scenario, &plan, policy, &streams, &mut |_| {}).unwrap()
}

fn evaluated(scenario: &Scenario, policy: Policy, outcome: &Outcome) -> Evaluation {
    let run = PolicyRun { policy, log: &outcome.log, truth: &outcome.truth, span_ns: outcome.simulated_ns };
    evaluate(scenario, &[run], 1).unwrap()
}

fn metric<'a>(evaluation: &'a Evaluation, name: &str, group: &str) -> &'a Metric {
    evaluation.metrics.iter().find(|m| m.name == name && m.group == group).unwrap()
}

fn routers(scenario: &Scenario, operators: &[u32]) -> Vec<RouterIdx> {
    operators.iter().flat_map(|&operator| scenario.network.run_by(OperatorIdx(operator))).collect()
}

#[test]
fn what_operators_observed_is_what_the_paths_say() {
    let scenario = scenario();
    for policy in Policy::ALL {
        let outcome = outcome(&scenario, policy);
        for set in [&[0][..], &[1], &[0, 1]] {
            let held = routers(&scenario, set);
            let on_path = |queue: &TrueQueue| {
                held.contains(&queue.router) && queue.proxies.first().is_some_and(|p| held.contains(p))
            };
            let vantages: Vec<_> = held.iter().filter_map(|router| outcome.log.router(*router)).collect();
            let sightings = Sightings::of(&outcome.log.view(&vantages)).unwrap();
            let observed = seen(&outcome.log, &sightings, &outcome.truth, &held);
            for (conversation, seen) in outcome.truth.conversations.iter().zip(observed) {
                assert_eq!(seen.path_to_first, on_path(&conversation.to_a), "{policy} {set:?}");
                assert_eq!(seen.path_to_reply, on_path(&conversation.to_b), "{policy} {set:?}");
                assert!(!seen.on_one_path() || seen.anywhere, "who sees both ends of a path sees both users");
            }
        }
    }
}

#[test]
fn one_operator_alone_sees_nothing_under_different_operator_and_something_under_different_router() {
    let scenario = scenario();
    for (policy, sees) in [(Policy::DifferentOperator, false), (Policy::DifferentRouter, true)] {
        let evaluation = evaluated(&scenario, policy, &outcome(&scenario, policy));
        for operator in ["north", "south"] {
            let metric = metric(&evaluation, "both_ends_seen", &format!("{policy}/{operator}"));
            assert_eq!(metric.n, 80);
            assert_eq!(metric.estimate > 0.0, sees, "{policy} {operator}");
            assert_eq!(metric.expected.unwrap() > 0.0, sees, "{policy} {operator}");
            assert_ne!(metric.verdict, Some(Verdict::Differs));
        }
        let both = metric(&evaluation, "both_ends_seen", &format!("{policy}/north+south"));
        assert_eq!((both.estimate, both.expected), (1.0, Some(1.0)));
    }
}

#[test]
fn drawing_picks_agrees_with_enumerating_them() {
    let scenario = scenario();
    let policy = Policy::DifferentRouter;
    let evaluation = evaluated(&scenario, policy, &outcome(&scenario, policy));
    let drawn: Vec<_> = evaluation.metrics.iter().filter(|m| m.name.ends_with("_monte_carlo")).collect();
    assert_eq!(drawn.len(), 9);
    for metric in drawn {
        assert_eq!(metric.verdict, Some(Verdict::Agrees), "{} {}", metric.name, metric.group);
    }
}

#[test]
fn linking_by_forward_is_never_wrong_and_finds_everything_that_a_set_holds_at_both_ends() {
    let scenario = scenario();
    let outcome = outcome(&scenario, Policy::DifferentRouter);
    for set in [&[0][..], &[1], &[0, 1]] {
        let held: Vec<_> =
            routers(&scenario, set).into_iter().filter_map(|router| outcome.log.router(router)).collect();
        let sightings = Sightings::of(&outcome.log.view(&held)).unwrap();
        let score = score(&by_forward(&sightings), &sightings, &outcome.truth);
        assert_eq!(score.right, score.guessed, "{set:?}");
        assert_eq!(score.pairs, 160);
        assert!(score.guessed > 0, "{set:?}");
        assert_eq!(score.right == score.pairs, set.len() == 2, "{set:?}");
    }
}
