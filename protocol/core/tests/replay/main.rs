//! The recorded flows of the deployed router, replayed on ours.
//!
//! | module | what it does |
//! |---|---|
//! | `recording` | reads transcripts |
//! | `names` | puts our random values in the place of the recorded ones, and back |
//! | `routers` | routers, clients' connections and virtual time |
//! | `sending` | makes recorded transmissions again for our sessions |
//! | `comparing` | compares what comes back |
//! | `replay` | follows a transcript's steps; inside: `forwarding` of commands by proxies, `services`, steps `unrecorded` in full |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(missing_docs, unreachable_pub, reason = "a test crate")]

#[path = "../common/certificates.rs"]
mod certificates;
mod comparing;
mod names;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../common/recorded.rs"]
mod recorded;
mod recording;
mod replay;
mod routers;
mod sending;

use recording::Flow;
use serde_json::{Value, json};

/// Transcripts that our router does not replay, by the start of their names, and why.
const UNSUPPORTED: &[(&str, &str)] =
    &[("ntf-batch-", "of 100 NSUB and 100 NMSG in an order without rule, a few were recorded")];

#[test]
fn every_recorded_flow_replays_or_is_known_not_to() {
    let Some(directory) = recorded::directory() else { return };
    let entries = std::fs::read_dir(directory.join("transcripts/smp")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let only = std::env::var("SXLAB_REPLAY").unwrap_or_default();
    let mut failed = Vec::new();
    for name in names.iter().filter_map(|name| name.strip_suffix(".json")) {
        if name.starts_with('_') || !name.contains(&only) {
            continue;
        }
        let json = recorded::json(&format!("transcripts/smp/{name}.json")).unwrap();
        let differences = replay::replay(&Flow::new(&json));
        let reason = UNSUPPORTED.iter().find(|(start, _)| name.starts_with(start)).map(|(_, reason)| reason);
        match (differences.as_slice(), reason) {
            ([], None) => println!("{name}: replayed equal"),
            ([], Some(_)) => {
                println!("{name}: replayed equal, but is listed as unsupported");
                failed.push(name);
            }
            ([first, ..], Some(reason)) => println!("{name}: unsupported: {reason}\n    {first}"),
            (differences, None) => {
                println!("{name}: DIFFERENT\n    {}", differences.join("\n    "));
                failed.push(name);
            }
        }
    }
    assert!(failed.is_empty(), "{} transcripts: {}", failed.len(), failed.join(", "));
}

/// Ways in which a recorded answer could have been another one.
fn plant(step: &Value) -> Vec<Value> {
    let mut planted = Vec::new();
    let mut with = |field: &str, value: Value| {
        let mut step = step.clone();
        step[field] = value;
        planted.push(step);
    };
    let flip = |hex: &str| {
        let (start, last) = hex.split_at(hex.len() - 1);
        start.to_owned() + if last == "0" { "1" } else { "0" }
    };
    let is = |tag: &str| step["text"].as_str().is_some_and(|text| text.starts_with(tag));
    // INFO and MSG have a form of their own; what new ids and keys are is random.
    if let Some(hex) = step["hex"].as_str().filter(|_| !is("INFO") && !is("MSG")) {
        if !is("IDS") && !is("NID") {
            with("hex", json!(flip(hex)));
        }
        with("hex", json!(format!("{hex}00")));
    }
    if let Some(length) = step["len"].as_u64() {
        with("len", json!(length + 1));
    }
    let plain = step["body"]["decrypted"].as_str();
    // Of a quota marker and of long bodies, the last recorded byte is a time, or not the last.
    if let Some(plain) = plain.filter(|plain| !plain.ends_with(')') && !plain.starts_with("51554f5441")) {
        let mut body = step["body"].clone();
        body["decrypted"] = json!(flip(plain));
        with("body", body);
    }
    with("of", json!(step["of"].as_u64().unwrap_or(1) + 1));
    planted
}

#[test]
fn planted_differences_are_found() {
    let flows = [
        "quota-v20",
        "sub-takeover-v11",
        "off-del-deld-v06",
        "get-ack-v20",
        "rfwd-direct-v20",
        "links-messaging-v15",
        "service-messages-v20",
    ];
    let mut count = 0;
    for name in flows {
        let Some(json) = recorded::json(&format!("transcripts/smp/{name}.json")) else { return };
        let flow = Flow::new(&json);
        for at in 0..flow.steps.len() {
            let step = &flow.steps[at];
            if step["dir"] != "recv" || step["plain"] == true {
                continue;
            }
            // Of this long flow, what only services get.
            let what = step["text"].as_str().unwrap_or_default();
            if name.starts_with("service-") && !["SOK", "ALLS", "END"].iter().any(|tag| what.starts_with(tag))
            {
                continue;
            }
            let mut changes: Vec<Vec<Value>> = Vec::new();
            for planted in plant(step) {
                let mut steps = flow.steps.clone();
                steps[at] = planted;
                changes.push(steps);
            }
            // It was not recorded. What comes when an interval ends may come after the end of a recording.
            if step["of"].is_null() && !matches!(step["text"].as_str(), Some("END" | "DELD")) {
                let mut steps = flow.steps.clone();
                steps.remove(at);
                changes.push(steps);
            }
            for steps in changes {
                let planted = Flow { steps, ..flow.clone() };
                let what = &planted.steps[at.min(planted.steps.len() - 1)];
                assert!(!replay::replay(&planted).is_empty(), "{name}, step {at}: {what}");
                count += 1;
            }
        }
    }
    println!("{count} planted differences found");
    assert!(count > 200, "{count}");
}

#[test]
fn other_settings_are_found() {
    for (name, setting, value) in [
        ("quota-v20", "queue_quota", json!(3)),
        ("basic-auth-v20", "create_password", json!("another")),
        ("ttl-expire-interval-v20", "message_ttl_s", json!(100)),
        ("ttl-expire-on-send-v20", "expire_on_send", json!(false)),
        ("idle-close-v20", "inactive_ttl_s", json!(100)),
    ] {
        let Some(json) = recorded::json(&format!("transcripts/smp/{name}.json")) else { return };
        let mut flow = Flow::new(&json);
        flow.settings[setting] = value;
        assert!(!replay::replay(&flow).is_empty(), "{name} with another {setting}");
    }
}
