//! Whole runs of small networks on real TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;

use sxlab_protocol::observe::{Kind, Layer, Sight};
use sxlab_simnet::engine::{Engine, EngineError, Outcome, run};
use sxlab_simnet::network::RouterIdx;
use sxlab_simnet::observe::Sighting;
use sxlab_simnet::scenario::{Overrides, Scenario};
use sxlab_simnet::seed::Streams;
use sxlab_simnet::selection::Policy;
use sxlab_simnet::truth::Delivery;
use sxlab_simnet::workload::Plan;

const ENGINES: [Engine; 2] = [Engine::Turmoil, Engine::Events];

fn outcome(engine: Engine, scenario: &Scenario, policy: Policy, seed: u64) -> Result<Outcome, EngineError> {
    let streams = Streams::new(seed);
    let plan = Plan::new(scenario, &streams).unwrap();
    run(engine, scenario, &plan, policy, &streams, &mut |_| {})
}

fn small() -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/small.toml");
    Scenario::load(&file, &Overrides::default()).unwrap()
}

/// Two operators with two routers each, 10 users in 15 conversations, and what `more` says.
fn network(more: &str) -> Scenario {
    network_for("20s", more)
}

fn network_for(duration: &str, more: &str) -> Scenario {
    let text = format!(
        r#"
        name = "test"
        seed = 1
        duration = "{duration}"
        policies = ["different-operator"]
        regions = ["here"]
        [[operator]]
        name = "north"
        routers = 2
        roles = ["storage", "proxy"]
        [[operator]]
        name = "south"
        routers = 2
        roles = ["storage", "proxy"]
        [users]
        count = 10
        contacts = 3
        graph = "random"
        [workload]
        kind = "poisson"
        messages = 60
        body_min = 16
        body_max = 15800
        [client]
        request_timeout = "15s"
        ping_interval = "30s"
        ping_count = 1
        recover_window = "0s"
        retry = "1s"
        {more}
        "#
    );
    Scenario::parse(&text, Path::new("test.toml"), &Overrides::default()).unwrap()
}

#[test]
fn every_message_arrives_once_under_every_policy() {
    for (engine, policy) in ENGINES.iter().flat_map(|engine| Policy::ALL.map(|policy| (*engine, policy))) {
        let outcome = outcome(engine, &small(), policy, 1).unwrap();
        assert!(outcome.truth.completeness().is_complete());
        assert_eq!(outcome.truth.deliveries.len(), 40);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let scenario = small();
    for engine in ENGINES {
        let first = outcome(engine, &scenario, Policy::DifferentOperator, 1).unwrap();
        let second = outcome(engine, &scenario, Policy::DifferentOperator, 1).unwrap();
        assert_eq!(first.log.first_difference(&second.log).unwrap(), None);
        assert_eq!(first.trace_hash(), second.trace_hash());
        let other = outcome(engine, &scenario, Policy::DifferentOperator, 2).unwrap();
        assert_ne!(first.trace_hash(), other.trace_hash());
    }
}

/// Runs the network with faults on both engines; all 60 messages arrive once, or there is no outcome.
fn survives(faults: &str) -> [Outcome; 2] {
    ENGINES.map(|engine| {
        let outcome = outcome(engine, &network(faults), Policy::DifferentOperator, 1).unwrap();
        assert_eq!(outcome.truth.deliveries.len(), 60);
        outcome
    })
}

#[test]
fn a_router_that_restarts_keeps_its_queues_and_loses_nothing() {
    let outcomes = survives(
        r#"[[fault]]
        kind = "restart"
        router = "north-1"
        at = "5s"
        downtime = "3s""#,
    );
    for outcome in outcomes {
        assert!(outcome.counts.resubscribed > 0, "clients came back to the restarted router");
    }
}

#[test]
fn routers_that_do_not_reach_each_other_delay_and_lose_nothing() {
    let outcomes = survives(
        r#"[[fault]]
        kind = "partition"
        a = "north-1"
        b = "south"
        at = "5s"
        for = "10s""#,
    );
    for outcome in outcomes {
        assert!(outcome.counts.repeated_sends > 0, "something had to be sent again");
    }
}

/// What is only counted changes nothing else.
#[test]
fn pings_that_are_only_counted_are_as_many() {
    let run = |pings: &str| {
        let scenario = network_for("2h", &format!("pings = \"{pings}\""));
        outcome(Engine::Events, &scenario, Policy::DifferentOperator, 1).unwrap()
    };
    let (sent, counted) = (run("sent"), run("counted"));
    assert_eq!(sent.truth.deliveries, counted.truth.deliveries);
    let seen = |outcome: &Outcome| {
        let is_ping = |sight: &Sighting| matches!(sight, Sighting::Router(Sight::Received(seen)) if seen.kind == Kind::Ping);
        outcome.log.observations().filter(|observation| is_ping(&observation.as_ref().unwrap().sight)).count()
            as u64
    };
    // Some are on their way when it ends.
    assert!((seen(&sent)..seen(&sent) + 5).contains(&sent.counts.pings));
    assert_eq!(seen(&counted), 0);
    // Every PING that is sent takes its round trip more than the interval.
    let excess = counted.counts.pings as f64 / sent.counts.pings as f64 - 1.0;
    assert!((0.0..0.01).contains(&excess), "{} and {}", sent.counts.pings, counted.counts.pings);
}

fn latencies(outcome: &Outcome) -> Vec<u64> {
    outcome.truth.deliveries.iter().map(|d| d.received_at_ns - d.sent_at_ns).collect()
}

/// Messages wait for who is offline, and all arrive; with jitter and a bandwidth they take longer.
#[test]
fn users_come_and_go_over_links_that_vary() {
    let run = |more: &str| {
        outcome(Engine::Events, &network_for("30m", more), Policy::DifferentOperator, 1).unwrap()
    };
    let still = run("");
    let churned = run("[churn]\nonline = \"5m\"\noffline = \"5m\"");
    assert_eq!(churned.truth.deliveries.len(), 60);
    assert!(churned.counts.offline > 10, "{}", churned.counts.offline);
    let waited =
        |outcome: &Outcome| latencies(outcome).iter().filter(|latency| **latency > 10_000_000_000).count();
    assert_eq!(waited(&still), 0);
    // A recipient is away half of the time, and so is a sender.
    assert!((20..60).contains(&waited(&churned)), "{}", waited(&churned));
    let varied = run("[latency]\njitter = \"30ms\"\nbandwidth_kbit = 2000");
    // To the proxy, to the queue, to the recipient: three blocks of 65.6 ms each beside the latencies.
    let least = |outcome: &Outcome| *latencies(outcome).iter().min().unwrap();
    assert!(least(&varied) >= least(&still) + 3 * 65_624_000);
    assert_eq!(
        run("[latency]\njitter = \"30ms\"").trace_hash(),
        run("[latency]\njitter = \"30ms\"").trace_hash()
    );
}

/// What passes between users and one router takes longer by 656.24 ms for each block there; nothing else does.
#[test]
fn a_link_has_a_bandwidth_of_its_own() {
    let run = |more: &str| {
        outcome(Engine::Events, &network_for("30m", more), Policy::DifferentOperator, 1).unwrap()
    };
    let slow = run("[[latency.between]]\na = \"here\"\nb = \"north-1\"\nbandwidth_kbit = 200");
    let still = run("");
    let router = RouterIdx(0);
    let (mut other, mut passing) = (Vec::new(), Vec::new());
    for (delivery, before) in by_key(&slow).into_iter().zip(by_key(&still)) {
        assert_eq!(delivery.key, before.key);
        let sent = slow.truth.sent.iter().find(|sent| sent.key == delivery.key).unwrap();
        let conversation = slow.truth.conversations.get(delivery.key.conversation.index()).unwrap();
        let passes = sent.proxy == Some(router) || conversation.queue(delivery.key.from_a).router == router;
        let more = |d: &Delivery| d.received_at_ns - d.sent_at_ns;
        let of = if passes { &mut passing } else { &mut other };
        of.push(more(&delivery) as i64 - more(&before) as i64);
    }
    assert!(other.len() > 10 && passing.len() > 10, "{} and {}", other.len(), passing.len());
    assert!(passing.iter().all(|more| *more >= 656_240_000), "{passing:?}");
    let same = other.iter().filter(|more| **more == 0).count();
    assert!(same * 10 >= other.len() * 9, "but for what waited for a receipt on its way: {other:?}");
}

fn by_key(outcome: &Outcome) -> Vec<Delivery> {
    let mut deliveries = outcome.truth.deliveries.clone();
    deliveries.sort_unstable_by_key(|delivery| delivery.key);
    deliveries
}

/// Who is offline takes no call, and who comes back too late is not rung; all messages arrive.
#[test]
fn calls_lapse_where_users_come_and_go() {
    let calls = "[calls]\nper_user_per_day = 1000\nanswered = 1\nlapse = \"1m\"\n";
    let run = |more: &str| {
        let scenario = network_for("30m", &format!("{calls}{more}"));
        outcome(Engine::Events, &scenario, Policy::DifferentOperator, 1).unwrap().counts
    };
    let (still, churned) = (run(""), run("[churn]\nonline = \"5m\"\noffline = \"5m\""));
    // 10 users × 1000 a day × 30 minutes: 208 ± 14.
    assert!((160..260).contains(&still.calls), "{}", still.calls);
    assert_eq!(still.calls, churned.calls);
    // But for those in whose place another came.
    assert!(still.calls_set_up * 100 > still.calls * 90, "{still:?}");
    assert_eq!(still.calls_set_up + still.calls_lapsed, still.calls);
    // Both have to be there: a quarter of the time, and a little more within the minute.
    assert!((still.calls / 6..still.calls / 2).contains(&churned.calls_set_up), "{churned:?}");
    assert!(churned.calls_lapsed > churned.calls / 3, "{churned:?}");
    assert!(
        churned.calls_answered <= churned.calls_offered && churned.calls_set_up <= churned.calls_answered
    );
}

#[test]
fn turmoil_refuses_what_only_the_event_engine_knows() {
    let scenario = network("[latency]\njitter = \"30ms\"");
    let refused = outcome(Engine::Turmoil, &scenario, Policy::DifferentOperator, 1).unwrap_err();
    assert_eq!(refused.to_string(), "latency.jitter: only the engine \"events\" knows this");
}

/// Nobody notices a connection that lost something unless PINGs are sent.
#[test]
fn pings_are_sent_while_a_partition_is_there() {
    let scenario = network_for(
        "10m",
        r#"pings = "counted"
        [[fault]]
        kind = "partition"
        a = "here"
        b = "south"
        at = "5s"
        for = "40s""#,
    );
    let outcome = outcome(Engine::Events, &scenario, Policy::DifferentOperator, 1).unwrap();
    assert_eq!(outcome.truth.deliveries.len(), 60);
    assert!(outcome.counts.resubscribed > 0);
}

#[test]
fn a_region_that_is_cut_off_catches_up() {
    let outcomes = survives(
        r#"[[fault]]
        kind = "partition"
        a = "here"
        b = "south"
        at = "5s"
        for = "40s""#,
    );
    for outcome in outcomes {
        let longest = outcome.truth.deliveries.iter().map(|d| d.received_at_ns - d.sent_at_ns).max().unwrap();
        assert!(longest > 20_000_000_000, "nothing waited for the end of the partition");
    }
}

#[test]
fn a_full_queue_makes_senders_wait_and_loses_nothing() {
    // While its readers cannot reach it, a router's queues fill up; other routers still do reach it.
    let outcomes = survives(
        r#"[router]
        queue_quota = 1
        [[fault]]
        kind = "partition"
        a = "here"
        b = "south-1"
        at = "5s"
        for = "30s""#,
    );
    for outcome in outcomes {
        assert!(outcome.counts.quota > 0, "no queue was full");
    }
}

/// 200 a second: what a population sets up is not a thousand times as dense as what it sends.
#[test]
fn many_conversations_take_their_time_to_begin() {
    let few = outcome(Engine::Events, &network(""), Policy::DifferentOperator, 1).unwrap();
    assert!((4..7).contains(&(few.sending_from_ns / 1_000_000_000)), "{}", few.sending_from_ns);
    let text = r#"
        name = "many"
        duration = "20s"
        policies = ["different-operator"]
        [[operator]]
        name = "north"
        routers = 2
        [[operator]]
        name = "south"
        routers = 2
        [users]
        count = 400
        contacts = 8
        [workload]
        kind = "poisson"
        messages = 10
    "#;
    let many = Scenario::parse(text, Path::new("test.toml"), &Overrides::default()).unwrap();
    let many = outcome(Engine::Events, &many, Policy::DifferentOperator, 1).unwrap();
    assert_eq!(many.truth.conversations.len(), 1_600);
    assert!((8..10).contains(&(many.sending_from_ns / 1_000_000_000)), "{}", many.sending_from_ns);
}

#[test]
fn the_proxy_sees_the_sender_and_the_relay_does_not() {
    ENGINES.into_iter().for_each(hides_the_sender);
}

fn hides_the_sender(engine: Engine) {
    let scenario = network("");
    let outcome = outcome(engine, &scenario, Policy::DifferentOperator, 1).unwrap();
    let conversation = outcome.truth.conversations.first().unwrap();
    let queue = &conversation.to_a;
    let relay = outcome.log.router(queue.router).unwrap();
    let address =
        |user| outcome.truth.addresses.iter().find(|used| used.user == user).unwrap().address.clone();
    let observations = || outcome.log.observations().map(Result::unwrap);

    let sessions_from = |vantage, from: &str| {
        observations()
            .filter(|o| o.vantage == vantage)
            .filter_map(|o| match &o.sight {
                Sighting::Router(Sight::Accepted { session, from: peer }) if peer == from => Some(*session),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    // Every message for A's queue came to its router inside a forward, on a session of a router of the other operator.
    let mut arrived = 0;
    for observation in observations().filter(|o| o.vantage == relay) {
        let Sighting::Router(Sight::Received(seen)) = &observation.sight else { continue };
        if seen.kind == Kind::Send && seen.entity == queue.sender_id {
            arrived += 1;
            assert_eq!(seen.layer, Layer::Forwarded);
            assert!(!sessions_from(relay, &address(conversation.b)).contains(&seen.session));
        }
    }
    assert!(arrived > 0);
    // The proxy has a session of the sender's, and never saw the queue's id.
    let proxy: RouterIdx = *queue.proxies.first().unwrap();
    let operator = |router: RouterIdx| scenario.network.router(router).unwrap().operator;
    assert_ne!(operator(proxy), operator(queue.router));
    let proxy = outcome.log.router(proxy).unwrap();
    assert!(!sessions_from(proxy, &address(conversation.b)).is_empty());
    for observation in observations().filter(|o| o.vantage == proxy) {
        if let Sighting::Router(Sight::Received(seen) | Sight::Sent(seen)) = &observation.sight {
            assert_ne!(seen.entity, queue.sender_id);
        }
    }
}
