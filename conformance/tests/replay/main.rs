//! The recorded flows of the deployed router, replayed on ours, and what a replay notices.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]
#![allow(missing_docs, unreachable_pub, reason = "a test crate")]

mod groups;
mod recorded;
mod recordings;

use sxlab_conformance::replay::recording::{Content, Direction, Step};
use sxlab_conformance::replay::{Flow, Outcome, replay};
use sxlab_conformance::target::Settings;
use sxlab_conformance::target::pair::Pair;

fn ours(flow: &Flow) -> Outcome {
    replay(flow, &Pair::default(), 1)
}

#[test]
fn every_recorded_flow_replays_equal() {
    let Some(flows) = recorded::flows() else { return };
    let only = std::env::var("SXLAB_REPLAY").unwrap_or_default();
    let mut failed = Vec::new();
    for (name, flow) in flows.iter().filter(|(name, _)| name.contains(&only)) {
        match ours(flow) {
            Outcome::Equal => println!("{name}: equal"),
            Outcome::Different(differences) => {
                let all: Vec<_> = differences.iter().map(ToString::to_string).collect();
                failed.push(format!("{name}:\n    {}", all.join("\n    ")));
            }
            Outcome::Skipped(reason) => failed.push(format!("{name}: skipped: {reason}")),
        }
    }
    assert!(failed.is_empty(), "{} flows\n{}", failed.len(), failed.join("\n"));
}

/// Ways in which a recorded answer could have been another one.
fn plant(step: &Step) -> Vec<Step> {
    let mut planted = Vec::new();
    let mut with = |change: &dyn Fn(&mut Step)| {
        let mut step = step.clone();
        change(&mut step);
        planted.push(step);
    };
    let is = |tag: &str| step.text.starts_with(tag);
    // INFO and MSG have a form of their own; what new ids and keys are is random.
    if let Content::Whole(bytes) = &step.content
        && !is("INFO")
        && !is("MSG")
    {
        if !is("IDS") && !is("NID") {
            let mut bytes = bytes.clone();
            *bytes.last_mut().unwrap() ^= 1;
            with(&|step| step.content = Content::Whole(bytes.clone()));
        }
        with(&|step| step.content = Content::Whole([bytes.as_slice(), &[0]].concat()));
    }
    if let Content::Head { head, length, sha256 } = &step.content {
        let (head, length, sha256) = (head.clone(), length + 1, *sha256);
        with(&|step| step.content = Content::Head { head: head.clone(), length, sha256 });
    }
    // Of a quota marker and of long bodies, the last recorded byte is a time, or not the last.
    if let Some(body) = &step.body
        && body.plain.len() == body.length
        && !body.plain.starts_with(b"QUOTA")
    {
        with(&|step| *step.body.as_mut().unwrap().plain.last_mut().unwrap() ^= 1);
    }
    with(&|step| step.of = Some(step.of.unwrap_or(1) + 1));
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
        let Some(flow) = recorded::flow(name) else { return };
        for (at, step) in flow.steps.iter().enumerate() {
            if step.dir != Direction::Receive || step.plain {
                continue;
            }
            // Of this long flow, what only services get.
            let of_services = ["SOK", "ALLS", "END"].iter().any(|tag| step.text.starts_with(tag));
            if name.starts_with("service-") && !of_services {
                continue;
            }
            let mut changes: Vec<Vec<Step>> = Vec::new();
            for planted in plant(step) {
                let mut steps = flow.steps.clone();
                steps[at] = planted;
                changes.push(steps);
            }
            // It was not recorded. What comes when an interval ends may come after the end of a recording.
            if step.of.is_none() && !matches!(step.text.as_str(), "END" | "DELD") {
                let mut steps = flow.steps.clone();
                steps.remove(at);
                changes.push(steps);
            }
            for steps in changes {
                let planted = Flow { steps, ..flow.clone() };
                assert!(ours(&planted) != Outcome::Equal, "{name}, step {at}: {}", step.shown());
                count += 1;
            }
        }
    }
    println!("{count} planted differences found");
    assert!(count > 200, "{count}");
}

#[test]
fn other_settings_are_found() {
    const SECOND: u64 = 1_000_000_000;
    type Change = fn(&mut Settings);
    let cases: [(&str, Change); 5] = [
        ("quota-v20", |settings| settings.quota = Some(3)),
        ("basic-auth-v20", |settings| settings.password = Some("another".to_owned())),
        ("ttl-expire-interval-v20", |settings| settings.message_ttl = Some(100 * SECOND)),
        ("ttl-expire-on-send-v20", |settings| settings.expire_on_send = Some(false)),
        ("idle-close-v20", |settings| settings.inactive = Some((100 * SECOND, SECOND))),
    ];
    for (name, change) in cases {
        let Some(mut flow) = recorded::flow(name) else { return };
        change(&mut flow.settings);
        assert!(matches!(ours(&flow), Outcome::Different(_)), "{name} with another setting");
    }
}
