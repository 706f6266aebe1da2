//! Flows of our own: recorded on our router and compared.

use std::collections::BTreeMap;

use serde_json::Value;
use sxlab_conformance::record::{Played, Script, diff, flows, play};
use sxlab_conformance::replay::{Flow, Outcome, replay};
use sxlab_conformance::target::pair::Pair;
use sxlab_conformance::target::{Instance, Settings, Target, Unavailable};

/// The versions at which something changes.
const VERSIONS: [u16; 5] = [6, 8, 11, 15, 20];

fn scripts() -> Vec<Script> {
    flows::shipped().unwrap()
}

fn recorded(script: &Script, version: u16, target: &dyn Target, seed: u64) -> Value {
    match play(script, version, target, seed) {
        Played::Recorded(recording) => recording,
        Played::Skipped(reason) => panic!("{} at {version}: {reason}", script.name),
    }
}

fn flow(recording: &Value) -> Flow {
    Flow::read(recording).unwrap()
}

fn of(script: &Script) -> impl Iterator<Item = u16> {
    let (min, max) = script.versions;
    VERSIONS.into_iter().filter(move |version| (min..=max).contains(version))
}

#[test]
fn recordings_of_one_router_differ_in_what_is_random_only() {
    let mut count = 0;
    let mut failed = Vec::new();
    for script in scripts() {
        for version in of(&script) {
            let [a, b] = [1, 2].map(|seed| recorded(&script, version, &Pair::default(), seed));
            let differences = diff(&flow(&a), &flow(&b));
            failed.extend(differences.iter().map(|d| format!("{} at {version}: {d}", script.name)));
            if !script.name.starts_with("handshake") {
                assert_ne!(a["steps"], b["steps"], "{} at {version}: nothing is random", script.name);
            }
            count += 1;
        }
    }
    println!("{count} flows recorded twice");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Flows whose recordings hold what was encrypted for one router's session key, and what a replay does not make again.
const ENCRYPTED_INSIDE: [&str; 3] = ["forward", "proxy", "proxy-refusals"];

#[test]
fn a_recording_replays_equal() {
    let mut failed = Vec::new();
    for script in scripts().iter().filter(|script| !ENCRYPTED_INSIDE.contains(&script.name.as_str())) {
        let recording = recorded(script, 20, &Pair::default(), 1);
        match replay(&flow(&recording), &Pair::default(), 7) {
            Outcome::Equal => {}
            Outcome::Different(differences) => failed.push(format!("{}: {}", script.name, differences[0])),
            Outcome::Skipped(reason) => failed.push(format!("{}: skipped: {reason}", script.name)),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// A target whose routers have other settings than they are asked for.
struct Altered(fn(&mut Settings));

impl Target for Altered {
    fn name(&self) -> String {
        "altered".to_owned()
    }

    fn start(&self, settings: &Settings, seed: u64) -> Result<Box<dyn Instance>, Unavailable> {
        let mut settings = settings.clone();
        (self.0)(&mut settings);
        Pair::default().start(&settings, seed)
    }
}

/// The flows in which a target differs from ours at version 20.
fn differing(target: &dyn Target) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for script in scripts() {
        let ours = recorded(&script, script.versions.1, &Pair::default(), 1);
        let theirs = recorded(&script, script.versions.1, target, 1);
        if let Some(first) = diff(&flow(&ours), &flow(&theirs)).first() {
            found.insert(script.name.clone(), first.to_string());
        }
    }
    found
}

#[test]
fn another_router_is_told_from_ours() {
    const SECOND: u64 = 1_000_000_000;
    type Change = fn(&mut Settings);
    let cases: [(&str, Change); 8] = [
        ("quota", |settings| settings.quota = Some(3)),
        ("password", |settings| settings.password = None),
        ("proxy-refusals", |settings| settings.proxy = Some(false)),
        ("queue-ed448", |settings| settings.new_queues = Some(false)),
        ("expiry", |settings| settings.message_ttl = Some(1000 * SECOND)),
        ("expiry-on-send", |settings| settings.expire_on_send = Some(false)),
        ("inactive", |settings| settings.inactive = None),
        ("handshake", |settings| settings.max_version = Some(19)),
    ];
    for (name, change) in cases {
        let found = differing(&Altered(change));
        assert!(found.contains_key(name), "{name}: {found:?}");
        println!("{name}: {}", found[name]);
    }
}

#[test]
fn a_recording_compared_with_one_of_another_version_shows_what_changed() {
    let scripts = scripts();
    let takeover = scripts.iter().find(|script| script.name == "takeover").unwrap();
    let [a, b] = [6, 20].map(|version| recorded(takeover, version, &Pair::default(), 1));
    let differences = diff(&flow(&a), &flow(&b));
    assert!(differences.iter().any(|d| d.first == "OK" && d.second == "SOK"), "{differences:?}");
}

#[test]
fn what_is_wrong_with_a_script_or_a_recording_is_said_in_a_line() {
    for (text, expected) in [
        ("A: nonsense", "line 1: `nonsense` is no verb"),
        ("# one\nA: key Q", "line 2: `key` needs 2 words after it"),
        ("A: send Q x colour=red", "line 1: `send` has no option `colour`"),
        ("set quota=many", "line 1: `quota` cannot be set to `many`"),
        ("A: sub Q; gets", "line 1: only transmissions share a line"),
        ("wait soon", "line 1: a time is as `2s` or `500ms`"),
    ] {
        assert_eq!(Script::read("x", text).unwrap_err().to_string(), expected);
    }
    let good = recorded(&scripts()[0], 20, &Pair::default(), 1);
    let bad = |change: &dyn Fn(&mut Value)| {
        let mut json = good.clone();
        change(&mut json);
        Flow::read(&json).unwrap_err().to_string()
    };
    assert_eq!(bad(&|json| json["steps"] = Value::Null), "steps: is missing");
    assert_eq!(bad(&|json| json["steps"][1]["hex"] = "zz".into()), "steps[1].hex: hex was expected");
    assert_eq!(bad(&|json| json["steps"][0]["dir"] = "up".into()), "steps[0].dir: `up` is none of SMP");
    assert_eq!(bad(&|json| json["version"] = 99.into()), "version: 99 is not spoken here");
}
