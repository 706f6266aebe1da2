use super::*;
use crate::stats;

fn summary() -> Summary {
    Summary {
        schema: crate::results::SCHEMA,
        scenario: "two <operators>".into(),
        scenario_hash: "ab".repeat(32),
        seed: 1,
        engine: "turmoil".into(),
        version: "0.1.0".into(),
        trace_hash: "cd".repeat(32),
        simulated_seconds: 120.0,
        wall_seconds: 12.34,
        counts: [("messages_sent".into(), 1200)].into(),
        metrics: vec![],
        replay: Some("sxlab run scenarios/two-operators.toml --seed 1".into()),
    }
}

fn estimate(k: u64, n: u64) -> Estimate {
    Estimate { estimate: k as f64 / n as f64, interval: stats::proportion(k as f64, n as f64), n }
}

fn row(policy: &str, set: &[&str], expected: f64, k: u64, n: u64) -> ThreeWays {
    let check = stats::check(k as f64, n as f64, expected, 0.05);
    ThreeWays {
        metric: "both_ends_seen".into(),
        policy: policy.into(),
        set: set.iter().map(|&s| s.into()).collect(),
        closed_form: Some(expected),
        monte_carlo: None,
        simulated: Some(estimate(k, n)),
        effective_n: None,
        verdict: Some(check.verdict),
        margin: Some(check.margin),
        detectable: Some(check.detectable),
    }
}

fn input(summary: &Summary) -> ReportInput<'_> {
    ReportInput {
        summary,
        description: "",
        users: 100,
        operators: vec![],
        three_ways: vec![
            row("different-router", &["a"], 0.25, 252, 1000),
            row("different-router", &["b"], 0.25, 240, 1000),
            row("different-operator", &["a"], 0.0, 0, 1000),
            row("different-operator", &["a", "b"], 1.0, 1000, 1000),
        ],
        model: vec![],
        bars: vec![],
        curves: None,
        networks: vec![],
        attacks: vec![],
        delivery: vec![],
        remarks: vec![],
    }
}

fn delivered(sent: u64, received: u64, duplicates: u64) -> DeliveryRow {
    DeliveryRow { policy: "single".into(), sent, received, duplicates, altered: 0, latency_ms: None }
}

#[test]
fn findings_follow_from_the_numbers() {
    let summary = summary();
    let found = findings(&input(&summary)).join("\n");
    for part in [
        "Under different-router, one operator alone, a, saw both ends of a message path in 25.2 % of 1,000",
        "Under different-operator, no operator alone saw both ends of a message path in any of 1,000",
        "If two operators collude (a + b), different-operator leaves them both ends of a message path in 100 %",
        "4 of 4 comparisons with the exact value agree",
    ] {
        assert!(found.contains(part), "{part} is not in\n{found}");
    }
}

#[test]
fn what_differs_is_said_loudly() {
    let summary = summary();
    let mut bad = input(&summary);
    bad.three_ways = vec![row("different-operator", &["a"], 0.0, 1, 1000)];
    let found = findings(&bad).join("\n");
    assert!(found.contains("0 of 1 comparison with the exact value agree within their margin; 1 DIFFER."));
}

#[test]
fn lost_messages_are_said() {
    let summary = summary();
    let mut run = input(&summary);
    run.delivery = vec![delivered(600, 600, 0), delivered(600, 600, 0)];
    assert!(findings(&run).last().unwrap().starts_with("All 1,200 messages sent were received exactly once"));
    run.delivery = vec![delivered(600, 598, 0), delivered(600, 600, 3)];
    assert_eq!(
        findings(&run).last().unwrap(),
        "Of 1,200 messages sent, 1,198 were received (2 lost), 3 arrived more than once and 0 were altered."
    );
}

#[test]
fn the_page_stands_alone_and_escapes_names() {
    let summary = summary();
    let mut full = input(&summary);
    full.delivery = vec![delivered(600, 600, 0)];
    full.remarks = vec!["<b>remark</b>".into()];
    let html = report(&full).unwrap();
    for forbidden in ["<script", "src=", "<link", "url(", "<operators>", "<b>remark"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    // The only addresses are those of XML name spaces, which nothing fetches.
    assert!(!html.replace("http://www.w3.org/2000/svg", "").contains("http"));
    for part in ["two &lt;operators&gt;", "--seed 1", "✓ agrees", "messages sent"] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn the_same_input_gives_the_same_page() {
    let summary = summary();
    assert_eq!(report(&input(&summary)).unwrap(), report(&input(&summary)).unwrap());
}

#[test]
fn sections_without_data_are_left_out() {
    let summary = summary();
    let mut empty = input(&summary);
    empty.three_ways.clear();
    let html = report(&empty).unwrap();
    assert!(html.contains("This run has no metrics to report."));
    for id in ["three-ways", "sets", "network", "attacks", "delivery", "model"] {
        assert!(!html.contains(&format!("id=\"{id}\"")), "{id}");
    }
}
