//! `sxlab model`.

use serde_json::Value;

use crate::program::sxlab;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn form<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["forms"].as_array().unwrap().iter().find(|form| form["name"] == name).unwrap()
}

#[tokio::test]
async fn half_of_all_users_after_1733_paths_at_2_percent() {
    let report =
        sxlab(&["model", "--share", "0.02", "--paths", "1733", "--trials", "100000", "--json"]).await;
    let report = report.json();
    assert!((number(&report["closed_form"]) - 0.5).abs() < 0.0005);
    assert!((number(&report["closed_form"]) + number(&report["safe"]) - 1.0).abs() < 1e-12);
    assert_eq!(report["half_life"], 1733);
    for form in report["forms"].as_array().unwrap() {
        let (drawn, closed) = (&form["monte_carlo"], number(&form["closed_form"]));
        assert_eq!(drawn["n"], 100_000);
        let within = number(&drawn["low"]) <= closed && closed <= number(&drawn["high"]);
        assert_eq!(drawn["holds_closed_form"], within);
        assert!((number(&drawn["estimate"]) - closed).abs() < 0.01, "{form}");
    }
    // All three hops are another question, and one end that stays is bounded by the share.
    let three = number(&form(&report, "three-hops")["closed_form"]);
    assert!((three - (1.0 - (1.0 - 8e-6f64).powi(1733))).abs() < 1e-9);
    assert!(number(&form(&report, "pinned-end")["closed_form"]) <= 0.02);
}

#[tokio::test]
async fn the_seed_and_not_the_threads_decide() {
    let run = async |seed, threads| {
        let args = ["model", "--share", "0.1", "--paths", "50", "--trials", "20000", "--json"];
        sxlab(&[&args[..], &["--seed", seed, "--threads", threads]].concat()).await.stdout
    };
    let one = run("1", "1").await;
    assert_eq!(one, run("1", "3").await);
    assert_ne!(one, run("2", "1").await);
}

#[tokio::test]
async fn nobody_and_everybody() {
    let nobody =
        sxlab(&["model", "--share", "0", "--paths", "10", "--trials", "1000", "--json"]).await.json();
    assert_eq!((number(&nobody["closed_form"]), &nobody["half_life"]), (0.0, &Value::Null));
    assert_eq!(form(&nobody, "both-ends")["monte_carlo"]["low"], 0.0);
    assert!(number(&form(&nobody, "both-ends")["monte_carlo"]["high"]) < 0.005);
    let all = sxlab(&["model", "--share", "1", "--paths", "10", "--trials", "1000", "--json"]).await.json();
    assert_eq!((number(&all["closed_form"]), &all["half_life"]), (1.0, &Value::from(1)));
}

#[tokio::test]
async fn what_would_take_too_long_is_left_out() {
    let args = ["model", "--share", "0.000001", "--paths", "1000000000000", "--json"];
    let report = sxlab(&args).await.json();
    assert_eq!(form(&report, "both-ends")["monte_carlo"], Value::Null);
    assert!((number(&report["closed_form"]) - (1.0 - (-1.0f64).exp())).abs() < 1e-6);
}
