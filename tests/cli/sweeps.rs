//! `sxlab sweep`, `merge` and `compare`: plans of tiny networks on the event engine.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::program::{Background, Scratch, sxlab, sxlab_with, sxlab_with_files_of};
use crate::run::{SCENARIO, trace_scenario};

/// Two values, two networks, two seeds.
const PLAN: &str = r#"name = "tiny-sweep"
scenario = "tiny.toml"
seeds = [1, 2]

[networks]
count = 2

[adversary]
operators = 1

[[parameter]]
key = "users.count"
values = [4, 6]
"#;

const POINTS: usize = 8;

/// A file in the test's directory.
fn write(scratch: &Scratch, name: &str, text: &str) -> String {
    let file = scratch.path(name);
    std::fs::write(&file, text).unwrap();
    file
}

fn plan(scratch: &Scratch, text: &str) -> String {
    write(scratch, "tiny.toml", SCENARIO);
    write(scratch, "plan.toml", text)
}

fn entries(directory: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Runs a sweep to its end and gives its JSON document.
async fn sweep(plan: &str, out: &str, args: &[&str]) -> Value {
    sxlab(&[&["sweep", plan, "--out", out, "--json"], args].concat()).await.json()
}

async fn merged(parts: &[&str], out: &str) -> Value {
    sxlab(&[&["merge"], parts, &["--out", out, "--json"]].concat()).await.json()
}

/// Every file of a merge.
fn contents(directory: &str) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| (name.clone(), std::fs::read(Path::new(directory).join(name)).unwrap());
    entries(directory).into_iter().map(read).collect()
}

#[tokio::test]
async fn a_sweep_is_the_same_however_it_is_split() {
    let scratch = Scratch::new("sweep-shards");
    let plan = plan(&scratch, PLAN);
    let whole = scratch.path("whole");
    let report = sweep(&plan, &whole, &["--jobs", "1"]).await;
    assert_eq!(
        (&report["points"], &report["ran"], &report["failed"]),
        (&8.into(), &8.into(), &Value::Array(vec![]))
    );
    let mut shards = Vec::new();
    for shard in ["3/3", "1/3", "2/3"] {
        let out = scratch.path(&format!("shard-{}", &shard[..1]));
        sweep(&plan, &out, &["--shard", shard, "--jobs", "3"]).await;
        shards.push(out);
    }
    assert_eq!(entries(&shards[0]).len(), 1 + 2, "points 3 and 6 are the third shard's");
    let (one, three) = (scratch.path("one"), scratch.path("three"));
    let summary = merged(&[&whole], &one).await;
    merged(&shards.iter().map(String::as_str).collect::<Vec<_>>(), &three).await;
    assert_eq!(contents(&one), contents(&three), "byte for byte");

    let files = [
        "aggregate.csv",
        "aggregate.parquet",
        "points.csv",
        "points.parquet",
        "results.csv",
        "results.parquet",
    ];
    let expected: BTreeSet<String> =
        files.iter().map(|name| (*name).to_owned()).chain(["summary.json".to_owned()]).collect();
    assert_eq!(entries(&one), expected);
    assert_eq!(
        (&summary["kind"], &summary["points"], &summary["networks"]),
        (&"sweep".into(), &8.into(), &2.into())
    );
    let points = std::fs::read_to_string(Path::new(&one).join("points.csv")).unwrap();
    let lines: Vec<&str> = points.lines().collect();
    assert_eq!(lines.len(), 1 + POINTS);
    assert!(
        lines[0]
            .starts_with("point,users.count,network,seed,scenario_hash,trace_hash,simulated_seconds,count_")
    );
    assert!(lines[8].starts_with("8,6,2,2,"), "{}", lines[8]);
    // One operator of two sees no path's both ends under this policy, whichever it is.
    let never = summary["metrics"].as_array().unwrap().iter().filter(|metric| {
        metric["name"] == "path_both_ends_seen" && metric["group"] == "different-operator/adversary"
    });
    let never: Vec<&Value> = never.collect();
    assert_eq!(never.len(), 2, "one for each value of the parameter");
    for metric in never {
        assert_eq!(
            (&metric["estimate"], &metric["runs"], &metric["clusters"]),
            (&0.0.into(), &4.into(), &2.into())
        );
        assert_eq!((&metric["expected"], &metric["low"]), (&0.0.into(), &0.0.into()));
        assert!(metric["high"].as_f64().unwrap() > 0.01, "some few paths prove no never: {metric}");
    }
    // A point by itself, with its report, is the same run.
    let alone = scratch.path("alone");
    let point = sxlab(&["sweep", &plan, "--point", "8", "--out", &alone, "--json"]).await.json();
    assert!(lines[8].contains(point["trace_hash"].as_str().unwrap()));
    assert_eq!(point["replay"], format!("sxlab sweep {plan} --point 8"));
    assert!(Path::new(&alone).join("report.html").is_file());
}

#[tokio::test]
async fn what_was_killed_goes_on_with_what_is_missing() {
    let scratch = Scratch::new("sweep-resume");
    let plan = plan(&scratch, PLAN);
    let (killed, whole) = (scratch.path("killed"), scratch.path("whole"));
    let mut running = Background::noted(&["sweep", &plan, "--out", &killed, "--jobs", "1"]);
    running.note("1 of 8 points").await;
    running.kill().await;
    std::fs::write(Path::new(&killed).join(".point-0000008.parquet.partial-1"), "half").unwrap();
    let report = sweep(&plan, &killed, &[]).await;
    let ran = report["ran"].as_u64().unwrap();
    assert!(ran < 8 && report["finished"] == 8, "{report}");
    assert_eq!(entries(&killed).len(), 1 + POINTS, "nothing half-written stays");
    assert_eq!(sweep(&plan, &killed, &[]).await["ran"], 0);
    std::fs::remove_file(Path::new(&killed).join("point-0000005.parquet")).unwrap();
    assert_eq!(sweep(&plan, &killed, &["--shard", "2/2"]).await["ran"], 0, "it is the other shard's");
    assert_eq!(sweep(&plan, &killed, &["--shard", "1/2"]).await["ran"], 1);
    sweep(&plan, &whole, &[]).await;
    let (a, b) = (scratch.path("a"), scratch.path("b"));
    merged(&[&killed], &a).await;
    merged(&[&whole], &b).await;
    assert_eq!(contents(&a), contents(&b));
}

#[tokio::test]
async fn other_directories_are_refused() {
    let scratch = Scratch::new("sweep-foreign");
    let plan = plan(&scratch, PLAN);
    let out = scratch.path("out");
    sweep(&plan, &out, &["--shard", "1/8"]).await;
    let other = write(&scratch, "other.toml", &PLAN.replace("[1, 2]", "[1, 3]"));
    let line = sxlab(&["sweep", &other, "--out", &out]).await;
    let line = line.failure(2);
    assert!(line.starts_with(&format!("{out} has points of the plan tiny-sweep (hash ")), "{line}");
    let identity = Path::new(&out).join("sweep.json");
    let ours = std::fs::read_to_string(&identity).unwrap();
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    std::fs::write(&identity, ours.replace(&version, "\"version\": \"0.0.1\"")).unwrap();
    let line = sxlab(&["sweep", &plan, "--out", &out]).await;
    assert!(line.failure(2).contains("has points of version 0.0.1 of sxlab"), "{}", line.stderr);
    std::fs::write(&identity, ours).unwrap();
    std::fs::write(Path::new(&out).join("point-0000002.parquet"), "PAR1").unwrap();
    let line = sxlab(&["sweep", &plan, "--out", &out]).await;
    let line = line.failure(2);
    assert!(
        line.contains("point-0000002.parquet: not a Parquet file of sxlab") && line.ends_with("is run again"),
        "{line}"
    );
    let letters = scratch.path("letters");
    std::fs::create_dir(&letters).unwrap();
    write(&scratch, "letters/dear.txt", "Dear");
    let line = sxlab(&["sweep", &plan, "--out", &letters]).await;
    assert_eq!(
        line.failure(2),
        format!("{letters} exists and is not the directory of a sweep: choose another name")
    );
    assert_eq!(entries(&letters).len(), 1);
}

#[tokio::test]
async fn merging_refuses_what_does_not_fit() {
    let scratch = Scratch::new("merge-refused");
    let plan = plan(&scratch, PLAN);
    let (a, b, out) = (scratch.path("a"), scratch.path("b"), scratch.path("out"));
    sweep(&plan, &a, &["--shard", "1/3"]).await;
    sweep(&plan, &b, &["--shard", "2/3"]).await;
    let refused = async |parts: &[&str]| {
        let ended = sxlab(&[&["merge"], parts, &["--out", &out]].concat()).await;
        assert!(!Path::new(&out).exists());
        ended.failure(2).to_owned()
    };
    assert_eq!(refused(&[&a, &b]).await, format!("points 3, 6 of 8 missing in {a}, {b}"));
    assert_eq!(refused(&[&a, &b, &a]).await, format!("{a} is named twice"));
    let again = scratch.path("again");
    sweep(&plan, &again, &["--shard", "1/2"]).await;
    assert_eq!(refused(&[&a, &b, &again]).await, format!("points 1, 7 are in both {a} and {again}"));
    let other = write(&scratch, "other.toml", &PLAN.replace("[4, 6]", "[4, 8]"));
    let foreign = scratch.path("foreign");
    sweep(&other, &foreign, &["--shard", "3/3"]).await;
    let line = refused(&[&a, &b, &foreign]).await;
    assert!(
        line.starts_with(&format!("{foreign}/point-0000003.parquet is of the plan tiny-sweep")),
        "{line}"
    );
    let nothing = scratch.path("nothing");
    assert_eq!(
        refused(&[&nothing]).await,
        format!("{nothing}: not the directory of a sweep, it has no sweep.json")
    );
    std::fs::rename(Path::new(&b).join("point-0000002.parquet"), Path::new(&b).join("point-0000003.parquet"))
        .unwrap();
    assert_eq!(refused(&[&b]).await, format!("{b}/point-0000003.parquet is point 2 of 8"));
}

#[tokio::test]
async fn clusters_say_which_shard_it_is() {
    let scratch = Scratch::new("sweep-clusters");
    let plan = plan(&scratch, PLAN);
    let list = ["sweep", &plan, "--list"];
    let all = sxlab(&list).await;
    let lines: Vec<&str> = all.data().lines().collect();
    assert_eq!(lines.len(), POINTS);
    assert_eq!(lines[3], "4  users.count=4  network=2  seed=2");
    let array = [
        ("SLURM_ARRAY_TASK_ID", "6"),
        ("SLURM_ARRAY_TASK_MIN", "5"),
        ("SLURM_ARRAY_TASK_MAX", "7"),
        ("SLURM_ARRAY_TASK_COUNT", "3"),
    ];
    let task = sxlab_with(&array, &list).await;
    assert_eq!(task.data().lines().collect::<Vec<_>>(), [lines[1], lines[4], lines[7]]);
    assert_eq!(task.stderr, "shard 2/3, by the Slurm array\n");
    let indexed =
        sxlab_with(&[("JOB_COMPLETION_INDEX", "3")], &[&list[..], &["--shard", "auto/4"]].concat()).await;
    assert_eq!(indexed.data().lines().collect::<Vec<_>>(), [lines[3], lines[7]]);
    let steps = sxlab_with(&[array[0], ("SLURM_ARRAY_TASK_MIN", "0"), array[2], array[3]], &list).await;
    assert!(steps.failure(2).starts_with("the Slurm array has 3 tasks from 0 to 7: "), "{}", steps.stderr);
}

#[tokio::test]
async fn a_point_that_fails_takes_no_other_with_it() {
    let scratch = Scratch::new("sweep-failure");
    // The seventh router's operator can't be drawn from a list of four: every point is checked before one runs.
    let bad = plan(&scratch, &PLAN.replace("[4, 6]", "[4, 0]"));
    let out = scratch.path("new/out");
    let line = sxlab(&["sweep", &bad, "--out", &out]).await;
    assert!(
        line.failure(2).starts_with(&format!("{bad}:13: users.count: with 0 (point 5): ")),
        "{}",
        line.stderr
    );
    assert!(!Path::new(&scratch.path("new")).exists());
    let missing = scratch.path("missing.toml");
    let line = sxlab(&["sweep", &missing, "--out", &out]).await;
    assert!(line.failure(2).starts_with(&format!("{missing}: cannot be read: ")), "{}", line.stderr);

    // A trace that is there when the plan is checked but has a bad line fails where it is read.
    let trace = "[[parameter]]\nkey = \"workload.file\"\nvalues = [\"good.csv\", \"bad.csv\"]\n";
    write(&scratch, "tiny.toml", &format!("{}file = \"good.csv\"\n", trace_scenario()));
    write(&scratch, "good.csv", "1,ann,bob\n2,bob,ann\n");
    write(&scratch, "bad.csv", "1,ann,bob\n2,bob\n");
    let plan =
        write(&scratch, "traces.toml", &format!("name = \"traces\"\nscenario = \"tiny.toml\"\n{trace}"));
    let ended = sxlab(&["sweep", &plan, "--out", &out]).await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("sxlab: 1 of 2 points failed, the first is point 2: ")
            && last.contains("bad.csv:2: "),
        "{last}"
    );
    assert_eq!(entries(&out), ["point-0000001.parquet", "sweep.json"].map(str::to_owned).into());
}

#[tokio::test]
async fn two_sweeps_are_compared_pair_by_pair() {
    let scratch = Scratch::new("compare-sweeps");
    let near = plan(&scratch, PLAN);
    let far = write(&scratch, "far.toml", &format!("{}\n[set]\nlatency.default = \"80ms\"\n", PLAN));
    let (a, b) = (scratch.path("a"), scratch.path("b"));
    for (plan, parts, out) in [(&near, "parts-a", &a), (&far, "parts-b", &b)] {
        let parts = scratch.path(parts);
        sweep(plan, &parts, &[]).await;
        merged(&[&parts], out).await;
    }
    let report = sxlab(&["compare", &a, &b, "--json"]).await.json();
    assert_eq!(report["identical"], false);
    let rows = report["rows"].as_array().unwrap();
    let row = |name: &str, group: &str| {
        rows.iter()
            .find(|row| row["name"] == name && row["group"] == group)
            .unwrap_or_else(|| panic!("{name} {group}"))
    };
    let latency = row("latency_median", "different-operator");
    assert!(latency["difference"].as_f64().unwrap() > 50.0, "twice the way takes longer: {latency}");
    assert_eq!((&latency["pairs"], &latency["parameters"]["users.count"]), (&2.into(), &"4".into()));
    let seen = row("path_both_ends_seen", "different-operator/adversary");
    assert_eq!((&seen["difference"], &seen["verdict"]), (&0.0.into(), &"agrees".into()));

    let same = sxlab(&["compare", &a, &a, "--json"]).await.json();
    assert_eq!(same["identical"], true);
    assert!(same["rows"].as_array().unwrap().iter().all(|row| row["verdict"] == "agrees"));
}

#[tokio::test]
async fn two_runs_are_compared_and_what_is_not_alike_is_refused() {
    let scratch = Scratch::new("compare-runs");
    let file = write(&scratch, "tiny.toml", SCENARIO);
    let slow = write(
        &scratch,
        "slow.toml",
        &SCENARIO.replace("[users]", "[latency]\ndefault = \"80ms\"\n\n[users]"),
    );
    let (a, b) = (scratch.path("a"), scratch.path("b"));
    for (file, out) in [(&file, &a), (&slow, &b)] {
        assert_eq!(sxlab(&["run", file, "--engine", "events", "--out", out]).await.code, 0);
    }
    let ended = sxlab(&["compare", &a, &b, "--json"]).await;
    let report = ended.json();
    let rows = report["rows"].as_array().unwrap();
    let find = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    // Twelve messages, each of which has the longer way.
    let latency = find("latency_median");
    assert_eq!((&latency["pairs"], &latency["verdict"]), (&12.into(), &"differs".into()), "{latency}");
    assert!(find("both_ends_seen")["pairs"].is_null(), "shares of two runs are compared as independent");
    assert!(ended.stderr.contains("B - A") && ended.stderr.contains("12 pairs"), "{}", ended.stderr);

    let plan = plan(&scratch, PLAN);
    let (parts, sweeps) = (scratch.path("parts"), scratch.path("sweeps"));
    sweep(&plan, &parts, &[]).await;
    merged(&[&parts], &sweeps).await;
    let refused = async |a: &str, b: &str| sxlab(&["compare", a, b]).await.failure(2).to_owned();
    let line = refused(&a, &sweeps).await;
    assert_eq!(line, format!("{a} and {sweeps} can't be compared: the first is a run, the second a sweep"));
    assert!(refused(&a, &parts).await.starts_with(&format!("{parts}/summary.json: ")));
    let summary = Path::new(&b).join("summary.json");
    let text = std::fs::read_to_string(&summary).unwrap();
    std::fs::write(&summary, text.replace("\"schema\": 1", "\"schema\": 9")).unwrap();
    assert!(refused(&a, &b).await.ends_with("has schema 9, this version of sxlab reads 1"));
    std::fs::write(&summary, "{}").unwrap();
    assert!(refused(&a, &b).await.ends_with("not the summary of a run or of a merged sweep"));
}

/// On a full disk no part is half-written, and the same command goes on once there is room.
#[tokio::test]
async fn a_full_disk_leaves_parts_that_are_whole_or_not_there() {
    let scratch = Scratch::new("sweep-full");
    let plan = plan(&scratch, PLAN);
    let out = scratch.path("out");
    let ended = sxlab_with_files_of(2, &["sweep", &plan, "--out", &out]).await;
    let line = ended.stderr.lines().last().unwrap();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(line.starts_with("sxlab: 8 of 8 points failed, the first is point 1: "), "{line}");
    assert!(line.contains("File too large"), "{line}");
    assert_eq!(entries(&out), BTreeSet::from(["sweep.json".to_owned()]));
    let report = sweep(&plan, &out, &[]).await;
    assert_eq!(report["ran"], 8);
    let left = entries(&out).into_iter().filter(|name| name.contains("partial")).count();
    assert_eq!((entries(&out).len(), left), (1 + POINTS, 0));
}
