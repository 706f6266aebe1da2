//! Every recorded version of every flow, and wrong routers: one for each group of flows.

use std::collections::BTreeMap;

use sxlab_conformance::record::{Played, diff, flows, play};
use sxlab_conformance::replay::matrix::{Matrix, Seen};
use sxlab_conformance::replay::{Flow, Outcome, replay};
use sxlab_conformance::target::pair::Pair;
use sxlab_protocol::smp::router::Mutant;

use crate::recorded;

#[test]
fn every_recorded_version_replays_as_the_matrix_says() {
    let Some(json) = recorded::matrix() else { return };
    let Some(kept) = recorded::flows() else { return };
    let matrix = Matrix::read(&json).unwrap();
    let by_name: BTreeMap<String, Flow> = kept.into_iter().collect();
    let versions = |flow: &str| {
        let of_flow = |name: &String| name.strip_prefix(flow)?.strip_prefix("-v")?.parse().ok();
        by_name.keys().filter_map(of_flow).collect()
    };
    let (mut equal, mut listed, mut failed) = (0, 0, Vec::new());
    for planned in matrix.plan(versions) {
        let Some(flow) = by_name.get(&format!("{}-v{:02}", planned.flow, planned.from)) else {
            failed.push(format!("{} at {}: v{} is not there", planned.flow, planned.version, planned.from));
            continue;
        };
        let what = format!("{} at {} (from {})", planned.flow, planned.version, planned.from);
        match matrix.replay(&planned, flow, &Pair::default(), 1) {
            Seen::Equal => equal += 1,
            Seen::AsListed(count) => {
                listed += 1;
                println!("{what}: {count} differences, as listed");
            }
            Seen::NotListed(difference) | Seen::Different(difference) => {
                failed.push(format!("{what}: {difference}"));
            }
            Seen::Skipped(reason) => failed.push(format!("{what}: {reason}")),
        }
    }
    println!("{equal} versions equal, {listed} different as listed");
    assert!(failed.is_empty(), "{}\n{}", failed.len(), failed.join("\n"));
}

/// A transcript, a flow of ours, and a wrong router that both notice.
const GROUPS: &[(&str, &str, Mutant)] = &[
    ("handshake-ping-v20", "handshake", Mutant::ShowsLeafOnly),
    ("handshake-nokey-v20", "handshake", Mutant::RefusesHelloWithoutKey),
    ("handshake-proxy-flag-v20", "handshake", Mutant::EncryptsForProxies),
    ("handshake-variants-v20", "handshake-variants", Mutant::TakesOtherIdentity),
    ("new-key-send-ack-ed25519-v20", "queue-ed25519", Mutant::TakesUnsignedSend),
    ("new-key-send-ack-ed448-v20", "queue-ed448", Mutant::RefusesEd448),
    ("new-key-send-ack-x25519-v20", "queue-x25519", Mutant::RefusesAuthenticators),
    ("sub-redelivery-v20", "redelivery", Mutant::SkipsRedelivery),
    ("sub-takeover-v20", "takeover", Mutant::TakesOverSilently),
    ("ack-variants-v20", "ack", Mutant::RemovesForWrongId),
    ("get-ack-v20", "get", Mutant::RemovesWithGet),
    ("get-vs-sub-v20", "get-and-sub", Mutant::TakesGetAfterSub),
    ("quota-v20", "quota", Mutant::HoldsOneMore),
    ("off-del-deld-v20", "off-and-del", Mutant::DeletesSilently),
    ("que-ping-v20", "state", Mutant::HidesSecured),
    ("skey-v20", "sender-key", Mutant::TakesSkeyOfContact),
    ("rkey-v20", "recipient-keys", Mutant::KeepsOldKeys),
    ("links-messaging-v20", "link-messaging", Mutant::TakesLgetOfMessaging),
    ("links-contact-v20", "link-contact", Mutant::ChangesFixedData),
    ("ntf-nkey-nsub-nmsg-v20", "notifications", Mutant::NotifiesOfAll),
    ("ntf-batch-v20", "notifications", Mutant::DropsNotifierSilently),
    ("new-ntf-creds-v20", "notifier-in-new", Mutant::ForgetsNotifierOfNew),
    ("proxy-v20", "proxy", Mutant::DropsCorrIdOfForwarded),
    ("proxy-auth-v20", "proxy-refusals", Mutant::ProxiesWithoutPassword),
    ("rfwd-direct-v20", "forward", Mutant::KeepsOuterNonce),
    ("maxlen-v20", "length", Mutant::RefusesLargestBody),
    ("batch-300-sub-v20", "batch", Mutant::AnswersOneByOne),
    ("syntax-errors-v20", "syntax", Mutant::CallsSyntaxUnknown),
    ("garbage-v20", "garbage", Mutant::IgnoresGarbage),
    ("blocked-v20", "blocked", Mutant::BlocksSilently),
    ("blocked-each-v20", "blocked", Mutant::RefusesOffOfBlocked),
    ("ttl-expire-interval-v20", "expiry", Mutant::NeverExpires),
    ("ttl-expire-on-send-v20", "expiry-on-send", Mutant::SkipsExpiryOnSend),
    ("idle-close-v20", "inactive", Mutant::NeverClosesIdle),
    ("basic-auth-v20", "password", Mutant::IgnoresPassword),
    ("service-messages-v20", "services", Mutant::HidesService),
    ("service-notifications-v20", "services", Mutant::CountsOneMore),
    ("service-handshake-errors-v20", "services", Mutant::IgnoresRole),
    ("rslv-v20", "names", Mutant::CallsNoResolverWrong),
];

fn wrong(mutant: Mutant) -> Pair {
    Pair { mutant: Some(mutant), ..Pair::default() }
}

#[test]
fn a_wrong_router_of_each_group_is_found_by_our_flow() {
    let scripts = flows::shipped().unwrap();
    let mut missed = Vec::new();
    for (_, name, mutant) in GROUPS {
        let script = scripts.iter().find(|script| script.name == *name).unwrap();
        let [ours, theirs] =
            [Pair::default(), wrong(*mutant)].map(|target| match play(script, 20, &target, 1) {
                Played::Recorded(recording) => Flow::read(&recording).unwrap(),
                Played::Skipped(reason) => panic!("{name}: {reason}"),
            });
        match diff(&ours, &theirs).first() {
            Some(first) => println!("{name}, {}: {first}", mutant.name()),
            None => missed.push(format!("{name}: {}", mutant.name())),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_wrong_router_of_each_group_is_found_by_the_recorded_flow() {
    let mut missed = Vec::new();
    for (name, _, mutant) in GROUPS {
        let Some(flow) = recorded::flow(name) else { return };
        match replay(&flow, &wrong(*mutant), 1) {
            Outcome::Different(differences) => println!("{name}, {}: {}", mutant.name(), differences[0]),
            other => missed.push(format!("{name}: {}: {other:?}", mutant.name())),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
