//! Whole runs of a small network on real TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

use std::path::Path;

use sxlab_simnet::engine::{Outcome, run};
use sxlab_simnet::scenario::{Overrides, Scenario};
use sxlab_simnet::seed::Streams;
use sxlab_simnet::selection::Policy;
use sxlab_simnet::workload::Plan;

fn outcome(scenario: &Scenario, policy: Policy, seed: u64) -> Outcome {
    let streams = Streams::new(seed);
    let plan = Plan::new(scenario, &streams).unwrap();
    run(scenario, &plan, policy, &streams, &mut |_| {}).unwrap()
}

fn small() -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/small.toml");
    Scenario::load(&file, &Overrides::default()).unwrap()
}

#[test]
fn every_message_arrives_once_under_every_policy() {
    for policy in Policy::ALL {
        let outcome = outcome(&small(), policy, 1);
        assert!(outcome.truth.completeness().is_complete());
        assert!(!outcome.truth.deliveries.is_empty());
        println!("{policy}: {:?} {}", outcome.counts, outcome.simulated_ns);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let scenario = small();
    let first = outcome(&scenario, Policy::DifferentOperator, 1);
    let second = outcome(&scenario, Policy::DifferentOperator, 1);
    assert_eq!(first.log.first_difference(&second.log), None);
    assert_eq!(first.trace_hash(), second.trace_hash());
    let other = outcome(&scenario, Policy::DifferentOperator, 2);
    assert_ne!(first.trace_hash(), other.trace_hash());
}
