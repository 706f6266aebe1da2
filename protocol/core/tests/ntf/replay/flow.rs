//! Which flows are replayed.

use super::*;

pub(super) const FILES: [&str; 7] = [
    "handshake-v03",
    "token-v01",
    "token-v03",
    "providers-errors-v03",
    "subscriptions-push-v03",
    "syntax-errors-v01",
    "syntax-errors-v03",
];

#[test]
fn handshakes() {
    let Some(compared) = replay("handshake-v03", None) else { return };
    assert!(compared > 15);
}

#[test]
fn tokens() {
    for file in ["token-v01", "token-v03"] {
        let Some(compared) = replay(file, None) else { return };
        assert!(compared > 35);
    }
}

#[test]
fn providers() {
    let Some(compared) = replay("providers-errors-v03", None) else { return };
    assert!(compared > 40);
}

#[test]
fn subscriptions_and_pushes() {
    let Some(compared) = replay("subscriptions-push-v03", None) else { return };
    assert!(compared > 45);
}

#[test]
fn syntax_errors() {
    for file in ["syntax-errors-v01", "syntax-errors-v03"] {
        let Some(compared) = replay(file, None) else { return };
        assert!(compared > 30);
    }
}

/// Version 2 was kept by its differences from version 3 only: those that are no races are that nobody is told why a token is invalid.
#[test]
fn version_2_is_version_3_without_reasons() {
    let Some(matrix) = recorded::json("transcripts/ntf/_matrix-by-version.json") else { return };
    let mut differences = Vec::new();
    for (scenario, entry) in matrix["scenarios"].as_object().unwrap() {
        let Some(listed) = entry["versions"]["2"].as_array() else { continue };
        for difference in listed {
            let race = ["TCHK of the second record", "TCHK after TRPL"];
            if !race.contains(&difference["request"].as_str().unwrap()) {
                let text = |field: &str| difference[field].as_str().unwrap_or_default().to_owned();
                differences.push((scenario.clone(), text("answer")));
            }
        }
    }
    let invalid = |reason: &str| ("providers-errors".to_owned(), format!("TKN INVALID{reason}"));
    let expected = [",BAD", ",TOPIC", ",EXPIRED", ",UNREGISTERED", "", "", "", ""].map(invalid);
    assert_eq!(differences, expected);
    for file in ["token-v03", "providers-errors-v03", "subscriptions-push-v03"] {
        replay(file, Some(2));
    }
}

/// A replay notices when anything that is compared is another.
#[test]
fn planted_differences_are_found() {
    let Some(flow) = recorded::json("transcripts/ntf/token-v03.json") else { return };
    let count = flow["steps"].as_array().unwrap().len();
    let mut planted = 0;
    for at in 0..count {
        let step = &flow["steps"][at];
        let received = recorded::text(step, "dir") == "recv";
        if !received {
            continue;
        }
        let mut changed = flow.clone();
        let field = if step["body"].is_string() { "body" } else { "hex" };
        let text = recorded::text(step, field).to_owned();
        // The last digit of what an answer says, a letter in the middle of a box.
        let place = if field == "body" { text.len() / 2 } else { text.len() - 1 };
        let mut bytes = text.into_bytes();
        bytes[place] = if bytes[place] == b'1' { b'2' } else { b'1' };
        changed["steps"][at][field] = String::from_utf8(bytes).unwrap().into();
        let version = 3;
        let result = std::panic::catch_unwind(move || {
            let mut replay = Replay::new(changed, version);
            let steps: Vec<_> = recorded::steps(&replay.flow).cloned().collect();
            for (at, step) in steps.iter().enumerate() {
                replay.step(&steps, at, step);
            }
        });
        // Of a hello and of IDTKN the last digits are random.
        let random =
            ["server hello", "IDTKN"].iter().any(|tag| recorded::text(step, "text").starts_with(tag));
        assert!(result.is_err() || random, "step {at} changed and not noticed");
        planted += usize::from(!random);
    }
    assert!(planted > 30);
}
