//! `sxlab run`: a network of two operators in two shapes, as small as one can be.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::program::{Scratch, sxlab, sxlab_in, sxlab_with_files_of};

/// Two operators with two routers each; one policy for which the exact value is 0, one for which it is not.
pub(crate) const SCENARIO: &str = r#"name = "tiny"
duration = "10s"
policies = ["different-router", "different-operator"]

[[operator]]
name = "north"
routers = 2

[[operator]]
name = "south"
routers = 2

[users]
count = 4
contacts = 2

[workload]
kind = "poisson"
messages = 12
"#;

const MESSAGES: u64 = 12;
const CONVERSATIONS: u64 = 4;
const POLICIES: [&str; 2] = ["different-router", "different-operator"];
const SETS: [&str; 3] = ["north", "south", "north+south"];

/// The same network for a trace of which a file is named by `--trace`.
pub(crate) fn trace_scenario() -> String {
    let (network, _) = SCENARIO.split_once("[workload]").unwrap();
    let network = network.replace("duration = \"10s\"\n", "").replace("contacts = 2\n", "");
    format!("{network}[workload]\nkind = \"trace\"\nwindow = \"10s\"\n")
}

/// The scenario in a directory of the test's own.
fn scenario(scratch: &Scratch) -> String {
    let file = scratch.path("tiny.toml");
    std::fs::write(&file, SCENARIO).unwrap();
    file
}

fn read(directory: &str, file: &str) -> String {
    std::fs::read_to_string(Path::new(directory).join(file)).unwrap()
}

fn summary(directory: &str) -> Value {
    serde_json::from_str(&read(directory, "summary.json")).unwrap()
}

/// Runs with `--json` and checks that the document is the one in the directory.
async fn run(file: &str, out: &str, args: &[&str]) -> Value {
    let ended = sxlab(&[&["run", file, "--out", out, "--json"], args].concat()).await;
    let document = ended.json();
    assert_eq!(document, summary(out), "the document and summary.json are the same");
    document
}

fn metric<'a>(summary: &'a Value, name: &str, group: &str) -> &'a Value {
    let mut found =
        summary["metrics"].as_array().unwrap().iter().filter(|m| m["name"] == name && m["group"] == group);
    let metric = found.next().unwrap_or_else(|| panic!("{name} of {group}"));
    assert!(found.next().is_none(), "{name} of {group} is there twice");
    metric
}

/// Without the one field that differs between equal runs.
fn without_wall_seconds(mut summary: Value) -> Value {
    summary.as_object_mut().unwrap().remove("wall_seconds").unwrap();
    summary
}

#[tokio::test]
async fn a_run_leaves_all_that_is_promised() {
    let scratch = Scratch::new("run-results");
    let (file, out) = (scenario(&scratch), scratch.path("new/results"));
    let ended = sxlab(&["run", &file, "--out", &out]).await;
    assert_eq!(ended.data(), "", "what is for people goes to the standard error");
    assert!(ended.stderr.starts_with("tiny: 4 users, 4 conversations, 12 messages, 4 routers, seed 1\n"));
    assert!(ended.stderr.ends_with(&format!("report: {out}/report.html\n")), "{}", ended.stderr);

    let files: BTreeSet<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = [
        "conversations.csv",
        "conversations.parquet",
        "deliveries.csv",
        "deliveries.parquet",
        "metrics.csv",
        "metrics.parquet",
        "plots",
        "report.html",
        "summary.json",
    ];
    assert_eq!(files, expected.map(str::to_owned).into());
    let beside = std::fs::read_dir(scratch.path("new")).unwrap().count();
    assert_eq!(beside, 1, "nothing stays beside the results");

    let summary = summary(&out);
    let metrics = summary["metrics"].as_array().unwrap().len();
    let policies = POLICIES.len() as u64;
    let rows = [
        ("metrics", metrics as u64),
        ("conversations", policies * CONVERSATIONS),
        ("deliveries", summary["counts"]["messages_received"].as_u64().unwrap()),
    ];
    for (table, rows) in rows {
        let csv = read(&out, &format!("{table}.csv"));
        assert_eq!(csv.lines().count() as u64, 1 + rows, "{table}: a header and {rows} rows");
        let parquet = std::fs::read(Path::new(&out).join(format!("{table}.parquet"))).unwrap();
        assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"), "{table}.parquet");
    }
    let pictures: Vec<String> = ["shares-1", "shares-2", "model"]
        .map(str::to_owned)
        .into_iter()
        .chain(POLICIES.map(|policy| format!("network-{policy}")))
        .collect();
    for picture in pictures {
        let svg = read(&out, &format!("plots/{picture}.svg"));
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{picture}");
    }

    // One file, which asks nothing of anybody: no scripts, and no address but the name of SVG itself.
    let report = read(&out, "report.html");
    assert!(report.starts_with("<!doctype html>") || report.starts_with("<!DOCTYPE html>"));
    assert!(report.contains("<svg") && report.contains(summary["trace_hash"].as_str().unwrap()));
    for foreign in ["<script", "<link", "<iframe", "<img", " src=", "@import", "url("] {
        assert!(!report.contains(foreign), "{foreign}");
    }
    let addresses = report.replace("http://www.w3.org/2000/svg", "");
    assert!(!addresses.contains("http://") && !addresses.contains("https://"));
}

/// Little memory for the log changes where it is kept, and nothing else.
#[tokio::test]
async fn observations_are_written_however_little_memory_there_is() {
    let scratch = Scratch::new("run-observations");
    let (file, plain, spilled) = (scenario(&scratch), scratch.path("plain"), scratch.path("spilled"));
    let engine = ["--engine", "events"];
    let expected = run(&file, &plain, &engine).await;
    let asked = ["--engine", "events", "--observations", "--write-trace", "--log-memory", "0"];
    let found = run(&file, &spilled, &asked).await;
    assert_eq!(without_wall_seconds(found), without_wall_seconds(expected));
    for policy in POLICIES {
        let parquet =
            std::fs::read(Path::new(&spilled).join(format!("observations-{policy}.parquet"))).unwrap();
        assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"), "{policy}");
        assert!(!read(&spilled, &format!("trace-{policy}.jsonl")).is_empty());
        assert!(!Path::new(&plain).join(format!("observations-{policy}.parquet")).exists());
    }
}

/// A disk that is full looks like this: a file may not grow any more. With the observations in a file of the result, in a
/// temporary one, and with room for none but the tables.
#[tokio::test]
async fn a_full_disk_is_one_line_and_leaves_nothing() {
    let scratch = Scratch::new("run-full");
    let file = scenario(&scratch);
    let many = SCENARIO.replace("messages = 12", "messages = 3000").replace("\"10s\"", "\"1000s\"");
    std::fs::write(&file, many).unwrap();
    let out = scratch.path("new/results");
    for args in [&["--observations"][..], &["--log-memory", "0"], &[]] {
        let args = [&["run", &file, "--engine", "events", "--out", &out], args].concat();
        let ended = sxlab_with_files_of(64, &args).await;
        let line = ended.stderr.lines().last().unwrap();
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(line.starts_with("sxlab: ") && line.ends_with("File too large (os error 27)"), "{line}");
        assert!(!Path::new(&scratch.path("new")).exists(), "{args:?}");
    }
}

#[tokio::test]
async fn the_summary_has_every_field_and_says_what_was_expected() {
    let scratch = Scratch::new("run-summary");
    let (file, out) = (scenario(&scratch), scratch.path("results"));
    let summary = run(&file, &out, &["--seed", "5"]).await;
    assert_eq!(
        (&summary["schema"], &summary["scenario"], &summary["seed"], &summary["engine"]),
        (&1.into(), &"tiny".into(), &5.into(), &"turmoil".into())
    );
    assert_eq!(summary["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(summary["replay"], format!("sxlab run {file} --seed 5"));
    for hash in ["trace_hash", "scenario_hash"] {
        let hash = summary[hash].as_str().unwrap();
        assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hash}");
    }
    assert!(summary["simulated_seconds"].as_f64().unwrap() > 10.0);
    assert!(summary["wall_seconds"].as_f64().unwrap() > 0.0);
    let counts = &summary["counts"];
    assert_eq!(counts["conversations"], CONVERSATIONS);
    assert_eq!(counts["messages_sent"], MESSAGES * POLICIES.len() as u64);
    assert_eq!(counts["messages_received"], counts["messages_sent"]);
    assert!(counts["observations"].as_u64().unwrap() > 0 && counts["link_bytes"].as_u64().unwrap() > 0);

    for metric in summary["metrics"].as_array().unwrap() {
        for field in ["name", "group", "estimate", "low", "high", "n", "expected", "verdict"] {
            assert!(metric.get(field).is_some(), "{field}: {metric}");
        }
    }
    for policy in POLICIES {
        assert_eq!(metric(&summary, "delivered", policy)["estimate"], 1.0);
        // Out and in again, by way of two routers: some multiples of the latency of 40 ms.
        let latency = metric(&summary, "latency_median", policy);
        assert!((80.0..5000.0).contains(&latency["estimate"].as_f64().unwrap()), "{latency}");
        for set in SETS {
            let group = format!("{policy}/{set}");
            for name in ["both_ends_seen", "path_both_ends_seen", "conversation_both_ends_seen"] {
                let metric = metric(&summary, name, &group);
                assert!(["agrees", "undecided"].contains(&metric["verdict"].as_str().unwrap()), "{metric}");
                assert!(metric["expected"].is_f64() && metric["margin"].is_f64(), "{metric}");
            }
            let seen = metric(&summary, "both_ends_seen", &group);
            assert_eq!(seen["n"], CONVERSATIONS);
            let (low, estimate, high) = (&seen["low"], &seen["estimate"], &seen["high"]);
            let within = low.as_f64() <= estimate.as_f64() && estimate.as_f64() <= high.as_f64();
            assert!(within, "{seen}");
        }
    }
    let shares = |group: &str| {
        let metric = metric(&summary, "both_ends_seen", group);
        (metric["estimate"].as_f64().unwrap(), metric["expected"].as_f64().unwrap())
    };
    // One operator has one end of each path; both operators have everything.
    assert_eq!(shares("different-operator/north"), (0.0, 0.0));
    assert_eq!(shares("different-operator/south"), (0.0, 0.0));
    for policy in POLICIES {
        assert_eq!(shares(&format!("{policy}/north+south")), (1.0, 1.0));
    }
    // Of four routers the queue's may be any; the proxy is one of the other three, and one of them is of the same operator.
    // So a path has both ends at north with 1/2 * 1/3. The reply queue's router is another than the first one's: with 1/3
    // both are north's, then both paths are seen with 1/3 each, and with 2/3 one is.
    let (a, b) = (1.0 / 3.0, 1.0 / 3.0);
    let (both, one) = (0.5 * a, 2.0 * 0.5 * (1.0 - a));
    let seen = both * (1.0 - (1.0f64 - b) * (1.0 - b)) + one * b;
    assert!((shares("different-router/north").1 - seen).abs() < 1e-9, "{seen}");
    let path = metric(&summary, "path_both_ends_seen", "different-router/north");
    assert!((path["expected"].as_f64().unwrap() - 1.0 / 6.0).abs() < 1e-9, "{path}");
}

#[tokio::test]
async fn the_seed_decides_everything_but_the_time_it_takes() {
    let scratch = Scratch::new("run-seeds");
    let (file, out) = (scenario(&scratch), scratch.path("results"));
    // The third run replaces the results of the first one; the second has its own.
    let one = run(&file, &out, &["--write-trace"]).await;
    let tables = ["conversations.csv", "deliveries.csv", "metrics.csv"].map(|table| read(&out, table));
    let traces = POLICIES.map(|policy| read(&out, &format!("trace-{policy}.jsonl")));
    let again = scratch.path("again");
    let same = run(&file, &again, &["--seed", "1"]).await;
    assert_eq!(one["trace_hash"], same["trace_hash"]);
    assert_eq!(without_wall_seconds(one.clone()), without_wall_seconds(same));
    assert_eq!(
        tables,
        ["conversations.csv", "deliveries.csv", "metrics.csv"].map(|table| read(&again, table))
    );
    assert!(!Path::new(&again).join("trace-different-router.jsonl").exists(), "only --write-trace writes it");

    let observations: usize = traces.iter().map(|trace| trace.lines().count()).sum();
    assert_eq!(one["counts"]["observations"], observations as u64);
    for line in traces.iter().flat_map(|trace| trace.lines()) {
        assert!(serde_json::from_str::<Value>(line).unwrap().is_object(), "{line}");
    }

    let other = run(&file, &out, &["--seed", "2"]).await;
    assert_ne!(one["trace_hash"], other["trace_hash"]);
    assert_eq!(one["scenario_hash"], other["scenario_hash"], "the seed is no part of the scenario");
    assert!(!Path::new(&out).join("trace-different-router.jsonl").exists(), "replaced, not added to");
}

#[tokio::test]
async fn a_run_shows_that_it_is_deterministic() {
    let scratch = Scratch::new("run-deterministic");
    let (file, out) = (scenario(&scratch), scratch.path("results"));
    let checked = sxlab(&["run", &file, "--check-determinism", "--seeds", "2"]).await;
    assert_eq!(checked.data(), "");
    let lines: Vec<&str> = checked.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let hash = |line: &str| line.rsplit(' ').next().unwrap().to_owned();
    for (seed, line) in (1..).zip(&lines) {
        assert!(line.starts_with(&format!("seed {seed}: equal twice, trace hash ")), "{line}");
    }
    assert_ne!(hash(lines[0]), hash(lines[1]));
    let run = run(&file, &out, &["--seed", "2"]).await;
    assert_eq!(run["trace_hash"], hash(lines[1]), "the check runs what a run runs");
}

#[tokio::test]
async fn recorded_messages_are_sent_again() {
    let scratch = Scratch::new("run-trace");
    let (file, trace, out) = (scratch.path("trace.toml"), scratch.path("sent.csv"), scratch.path("results"));
    std::fs::write(&file, trace_scenario()).unwrap();
    std::fs::write(
        &trace,
        "timestamp,sender,recipient\n100,ann,bob\n101.5,bob,ann\n103,bob,cy\n200,cy,bob\n",
    )
    .unwrap();
    let summary = run(&file, &out, &["--trace", &trace]).await;
    assert_eq!((&summary["counts"]["users"], &summary["counts"]["conversations"]), (&3.into(), &2.into()));
    assert_eq!(summary["counts"]["messages_sent"], 2 * 3, "one is after the window of ten seconds");
    assert_eq!(summary["replay"], format!("sxlab run {file} --seed 1 --trace {trace}"));
}

/// A scenario may have any name.
#[tokio::test]
async fn a_name_does_not_lead_out_of_the_directory_of_results() {
    let scratch = Scratch::new("run-name");
    let (file, here) = (scratch.path("tiny.toml"), scratch.path("here"));
    std::fs::create_dir(&here).unwrap();
    let named = SCENARIO.replace("\"tiny\"", r#""../../a name""#);
    std::fs::write(&file, named.replace("\"different-router\", ", "")).unwrap();
    let ended = sxlab_in(&here, &["run", "../tiny.toml", "--write-trace"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let out = scratch.path("here/out/..-..-a-name-seed-1");
    assert_eq!(summary(&out)["scenario"], "../../a name");
    assert!(Path::new(&out).join("trace-different-operator.jsonl").exists());
    assert_eq!(std::fs::read_dir(scratch.path("")).unwrap().count(), 2);
}

#[tokio::test]
async fn only_results_are_replaced() {
    let scratch = Scratch::new("run-occupied");
    let file = scenario(&scratch);
    let foreign = scratch.path("letters");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(scratch.path("letters/dear.txt"), "Dear").unwrap();
    for out in [&foreign, &file] {
        let ended = sxlab(&["run", &file, "--out", out]).await;
        assert_eq!(
            ended.failure(2),
            format!("{out} exists and is not a result directory: choose another name")
        );
    }
    assert_eq!(read(&foreign, "dear.txt"), "Dear");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), SCENARIO);
    let left = std::fs::read_dir(scratch.path("")).unwrap().count();
    assert_eq!(left, 2, "the scenario and the foreign directory");
}

/// Calls are messages of their own, and are counted.
#[tokio::test]
async fn calls_are_counted() {
    let scratch = Scratch::new("run-calls");
    let file = scratch.path("calls.toml");
    let calls = "[calls]\nper_user_per_day = 20000\nanswered = 1\nanswer_after = \"1s\"\nlapse = \"5s\"\n";
    std::fs::write(&file, format!("{SCENARIO}{calls}")).unwrap();
    let summary = run(&file, &scratch.path("out"), &["--engine", "events"]).await;
    let count = |name: &str| summary["counts"][name].as_u64().unwrap();
    let (calls, offered, set_up) = (count("calls"), count("calls_offered"), count("calls_set_up"));
    assert!(calls >= offered && offered >= set_up && set_up > 0, "{calls}, {offered}, {set_up}");
    let messages = count("messages_sent") - MESSAGES * POLICIES.len() as u64;
    assert!((calls + offered + set_up..=calls + 2 * offered).contains(&messages), "{messages}");
    let metrics = summary["metrics"].as_array().unwrap();
    let medians: Vec<&Value> =
        metrics.iter().filter(|metric| metric["name"] == "call_setup_median").collect();
    assert_eq!(medians.len(), POLICIES.len());
    assert!(medians.iter().all(|median| median["estimate"].as_f64().unwrap() > 300.0), "{medians:?}");
}

/// Every wrong file or argument: one line that names file, line and key, code 2, and nothing written.
#[tokio::test]
async fn bad_input_is_one_line_and_leaves_nothing() {
    let scratch = Scratch::new("run-bad");
    let (file, out) = (scratch.path("bad.toml"), scratch.path("results/of/this"));
    for (good, bad, says) in [
        ("count = 4", "cuont = 4", "14: users.cuont: unknown key, did you mean `count`?"),
        (
            "[[operator]]\nname = \"north\"\nrouters = 2",
            "[network]\nrouters = 4\n\n[[operator]]\nname = \"north\"\nshare = -0.5",
            "10: operator.share: ",
        ),
        (
            "\"different-operator\"",
            "\"different-operators\"",
            "3: policies: unknown policy `different-operators`",
        ),
        ("count = 4", "count = \"four\"", "14: users.count: "),
        ("messages = 12", "messages = -12", "19: workload.messages: "),
        ("duration = \"10s\"", "duration = 10", "2: duration: "),
        ("[users]", "[users", "13: "),
        (
            "messages = 12",
            "messages = 12\n[calls]\nper_user_per_day = 2\nanswered = -0.5",
            "22: calls.answered: -0.5 is negative",
        ),
        (
            "messages = 12",
            "messages = 12\n[business]\ncount = 1\ncustomers = 4\nemployees = 0\nmessages = 0",
            "22: business.customers: 4 customers are not between 1 and 3",
        ),
    ] {
        assert!(SCENARIO.contains(good), "{good}");
        std::fs::write(&file, SCENARIO.replacen(good, bad, 1)).unwrap();
        let ended = sxlab(&["run", &file, "--out", &out]).await;
        let line = ended.failure(2);
        assert!(line.starts_with(&format!("{file}:{says}")), "{line}");
    }

    std::fs::write(&file, format!("{SCENARIO}[churn]\nonline = \"1h\"\noffline = \"1h\"\n")).unwrap();
    let ended = sxlab(&["run", &file, "--out", &out]).await;
    assert_eq!(ended.failure(2), format!("{file}: churn: only the engine \"events\" knows this"));

    std::fs::write(&file, trace_scenario()).unwrap();
    let trace = scratch.path("trace.csv");
    for (content, says) in [
        ("1,ann,bob\n2,bob,ann\nlate,ann,bob\n", ":3: "),
        ("1,ann,bob\n2,bob\n", ":2: "),
        ("", ": holds no messages"),
    ] {
        std::fs::write(&trace, content).unwrap();
        let ended = sxlab(&["run", &file, "--trace", &trace, "--out", &out]).await;
        let line = ended.failure(2);
        assert!(line.starts_with(&format!("{trace}{says}")), "{line}");
    }
    let missing = scratch.path("missing");
    let ended = sxlab(&["run", &file, "--trace", &missing, "--out", &out]).await;
    assert!(
        ended.failure(2).starts_with(&format!("{missing}: the trace cannot be read: ")),
        "{}",
        ended.stderr
    );
    let ended = sxlab(&["run", &file, "--out", &out]).await;
    assert!(ended.failure(2).starts_with(&format!("{file}:16: workload.file: missing")), "{}", ended.stderr);
    let ended = sxlab(&["run", &missing, "--out", &out]).await;
    assert!(ended.failure(2).starts_with(&format!("{missing}: cannot be read: ")), "{}", ended.stderr);

    let file = scenario(&scratch);
    for (args, says) in [
        (&["--seed", "abc"][..], "'abc' for '--seed <SEED>'"),
        (&["--trace", &trace], "--trace: the scenario draws its messages"),
        (&["--check-determinism"], "cannot be used with"),
    ] {
        let ended = sxlab(&[&["run", &file, "--out", &out], args].concat()).await;
        assert!(ended.failure(2).contains(says), "{args:?}: {}", ended.stderr);
    }
    let beyond = ["run", &file, "--seed", "18446744073709551615", "--check-determinism", "--seeds", "2"];
    assert_eq!(sxlab(&beyond).await.failure(2), "--seeds: beyond the largest seed");
    assert!(!Path::new(&scratch.path("results")).exists());
}
