//! The engines agree: on the same scenario every router sees the same on each of its sessions, in the same order and of the same
//! sizes, at times that differ by a tick or two, and the same messages arrive.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use sxlab_protocol::observe::{Seen, SessionNo, Sight};
use sxlab_simnet::engine::{Engine, Outcome, run};
use sxlab_simnet::network::{Place, RegionIdx, RouterIdx};
use sxlab_simnet::observe::{Sighting, VantageId};
use sxlab_simnet::population::{TOR, User};
use sxlab_simnet::scenario::{Overrides, Scenario};
use sxlab_simnet::seed::Streams;
use sxlab_simnet::selection::Policy;
use sxlab_simnet::truth::{LaterQueue, MessageKey, TrueCall, Truth};
use sxlab_simnet::workload::Plan;

/// Two operators with two routers each; 12 users in 18 conversations send 120 messages in a minute.
fn scenario(more: &str) -> Scenario {
    let text = format!(
        r#"
        name = "agreement"
        seed = 3
        duration = "60s"
        tick = "1ms"
        policies = ["different-operator"]
        regions = ["here", "there"]
        [latency]
        default = "20ms"
        [[operator]]
        name = "north"
        routers = 2
        [[operator]]
        name = "south"
        routers = 2
        [users]
        count = 12
        contacts = 3
        graph = "random"
        [workload]
        kind = "poisson"
        messages = 120
        {more}
        "#
    );
    Scenario::parse(&text, Path::new("agreement.toml"), &Overrides::default()).unwrap()
}

/// Clients that notice dead connections soon, as turmoil's TCP sends nothing again.
const QUICK: &str = r#"
        [client]
        request_timeout = "15s"
        ping_interval = "30s"
        ping_count = 1
        recover_window = "0s"
"#;

fn outcome(engine: Engine, scenario: &Scenario) -> Outcome {
    let streams = Streams::new(scenario.seed);
    let plan = Plan::new(scenario, &streams).unwrap();
    run(engine, scenario, &plan, Policy::DifferentOperator, &streams, &mut |_| {}).unwrap()
}

/// Names for the ids of queues that mean the same in every run.
fn names(truth: &Truth) -> BTreeMap<Vec<u8>, String> {
    let mut names = BTreeMap::new();
    for conversation in &truth.conversations {
        for (side, queue) in [("a", &conversation.to_a), ("b", &conversation.to_b)] {
            let name = format!("{} to {side}", conversation.id.0);
            names.insert(queue.recipient_id.as_bytes().to_vec(), format!("recipient of {name}"));
            names.insert(queue.sender_id.as_bytes().to_vec(), format!("sender of {name}"));
        }
    }
    for (place, later) in truth.later_queues.iter().enumerate() {
        for (side, id) in [("recipient", &later.queue.recipient_id), ("sender", &later.queue.sender_id)] {
            names.insert(id.as_bytes().to_vec(), format!("{side} of later queue {place}"));
        }
    }
    names
}

/// Of a router: with whom a session is, and the how many of theirs.
type Session = (VantageId, String, usize);

/// What was seen on each session, and when from the beginning of the sending phase.
fn sessions(outcome: &Outcome) -> BTreeMap<Session, Vec<(i128, String)>> {
    let names = names(&outcome.truth);
    let name = |id: &[u8]| names.get(id).cloned().unwrap_or_else(|| format!("{} bytes", id.len()));
    let seen = |seen: &Seen| {
        let passed = seen.passed_to.as_ref().map(|(_, corr)| corr.as_bytes().len());
        let corr = seen.corr.as_bytes().len();
        let entity = name(seen.entity.as_bytes());
        format!("{:?} {:?}, {entity}, id of {corr}, {} bytes, {passed:?}", seen.kind, seen.layer, seen.size)
    };
    let mut found: BTreeMap<Session, Vec<(i128, String)>> = BTreeMap::new();
    let mut open: BTreeMap<(VantageId, SessionNo), Session> = BTreeMap::new();
    let mut counts: BTreeMap<(VantageId, String), usize> = BTreeMap::new();
    for observation in outcome.log.observations().map(Result::unwrap) {
        let Sighting::Router(sight) = &observation.sight else { continue };
        let vantage = observation.vantage;
        let mut begin = |session: SessionNo, with: String| {
            let count = counts.entry((vantage, with.clone())).or_default();
            *count += 1;
            open.insert((vantage, session), (vantage, with, *count));
        };
        let (session, text) = match sight {
            Sight::Accepted { session, from } => {
                begin(*session, format!("from {from}"));
                (session, "accepted".to_owned())
            }
            Sight::Dialed { session, to } => {
                begin(*session, format!("to {to}"));
                (session, "dialed".to_owned())
            }
            Sight::Created { session, recipient, sender } => {
                (session, format!("made {} and {}", name(recipient.as_bytes()), name(sender.as_bytes())))
            }
            Sight::Closed { session } => (session, "closed".to_owned()),
            Sight::Received(what) => (&what.session, format!("received {}", seen(what))),
            Sight::Sent(what) => (&what.session, format!("sent {}", seen(what))),
        };
        let at = i128::from(observation.at_ns) - i128::from(outcome.sending_from_ns);
        let session = open.get(&(vantage, *session)).expect("a session that began").clone();
        found.entry(session).or_default().push((at, text));
    }
    found
}

const MILLISECOND: i128 = 1_000_000;

/// Runs on both engines and compares. Times may differ by `ticks` milliseconds.
fn agree(scenario: &Scenario, ticks: i128) -> [Outcome; 2] {
    let outcomes = [Engine::Turmoil, Engine::Events].map(|engine| outcome(engine, scenario));
    let [turmoil, events] = &outcomes;
    for (a, b) in turmoil.truth.conversations.iter().zip(&events.truth.conversations) {
        for (a, b) in [(&a.to_a, &b.to_a), (&a.to_b, &b.to_b)] {
            assert_eq!((a.router, &a.proxies), (b.router, &b.proxies), "the same routers are picked");
        }
    }
    for (a, b) in turmoil.truth.later_queues.iter().zip(&events.truth.later_queues) {
        let of = |later: &LaterQueue| {
            (later.conversation, later.to_a, later.queue.router, later.queue.proxies.clone())
        };
        assert_eq!(of(a), of(b), "queues move to the same routers");
    }
    assert_eq!(turmoil.truth.later_queues.len(), events.truth.later_queues.len());
    let arrivals = |outcome: &Outcome| -> BTreeMap<MessageKey, i128> {
        let from = i128::from(outcome.sending_from_ns);
        outcome.truth.deliveries.iter().map(|d| (d.key, i128::from(d.received_at_ns) - from)).collect()
    };
    let (a, b) = (arrivals(turmoil), arrivals(events));
    assert!(a.keys().eq(b.keys()), "the same messages arrive");
    let (first, mut second) = (sessions(turmoil), sessions(events));
    // A run ends in the middle of what happens: what came last in one may be missing in the other.
    let last =
        |seen: &BTreeMap<Session, Vec<(i128, String)>>| seen.values().flatten().map(|(at, _)| *at).max();
    let end = last(&first).min(last(&second)).unwrap_or_default() - ticks * MILLISECOND;
    for (session, seen) in &first {
        // Each thing once in the other list, at the same time: what is in another order happened in the same ticks.
        let mut rest = second.remove(session).unwrap_or_default();
        for (at, text) in seen.iter().filter(|(at, _)| *at < end) {
            let found = rest.iter().position(|(_, other)| other == text);
            let found = found.unwrap_or_else(|| panic!("{session:?}: {text} at {at} is missing in events"));
            let (other, _) = rest.remove(found);
            assert!((at - other).abs() <= ticks * MILLISECOND, "{session:?}: {text} at {at} and at {other}");
        }
        rest.retain(|(at, _)| *at < end);
        assert_eq!(rest, [], "{session:?}: only in events");
    }
    second.retain(|_, seen| seen.iter().any(|(at, _)| *at < end));
    assert!(second.is_empty(), "only in events: {second:?}");
    for (key, at) in a {
        let other = b[&key];
        assert!((at - other).abs() <= ticks * MILLISECOND, "{key} arrives at {at} and at {other}");
    }
    outcomes
}

#[test]
fn without_faults() {
    let [_, events] = agree(&scenario(""), 3);
    assert_eq!(events.counts.receipts, 120, "every message has a receipt");
}

#[test]
fn with_a_router_that_restarts() {
    let fault = r#"
        [[fault]]
        kind = "restart"
        router = "north-1"
        at = "20s"
        downtime = "3s""#;
    let [_, events] = agree(&scenario(&format!("{QUICK}{fault}")), 3);
    assert!(events.counts.resubscribed > 0);
}

#[test]
fn with_a_partition() {
    let fault = r#"
        [[fault]]
        kind = "partition"
        a = "here"
        b = "north-1"
        at = "20s"
        for = "10s""#;
    let [_, events] = agree(&scenario(&format!("{QUICK}{fault}")), 3);
    assert!(events.counts.repeated_sends > 0);
}

#[test]
fn with_full_queues() {
    let fault = r#"
        [router]
        queue_quota = 1
        [[fault]]
        kind = "partition"
        a = "there"
        b = "south-1"
        at = "20s"
        for = "25s""#;
    let [_, events] = agree(&scenario(&format!("{QUICK}{fault}")), 3);
    assert!(events.counts.quota > 0);
}

#[test]
fn with_sessions_of_each_contact() {
    agree(&scenario("[client]\nsessions = \"contact\""), 3);
}

/// Groups of three and four, one of whom joins while the others write, and is connected to all in time.
#[test]
fn with_groups() {
    let groups = r#"
        [groups]
        count = 4
        sizes = [[3, 0.5], [4, 0.5]]
        messages = 0.6
        joining = 0.4"#;
    let [turmoil, events] = agree(&scenario(groups), 3);
    for outcome in [&turmoil, &events] {
        assert!(outcome.counts.forwarded > 0, "some messages are passed on");
        assert!(outcome.counts.history > 0, "new members get old messages");
    }
    assert_eq!(turmoil.counts.forwarded, events.counts.forwarded);
    assert_eq!(turmoil.counts.history, events.counts.history);
}

/// Most users reach routers through Tor, with proxies and without: routers see none of their addresses, and what they send
/// or receive takes Tor's time. Links have different latencies, as below, and there are no receipts: where who sends without a
/// proxy is as far from the router as who receives, what is sent right after something else comes in the tick of its ACK.
#[test]
fn over_tor() {
    for proxied in [true, false] {
        let more = format!(
            "[client]\nreceipts = false\ntor = 0.75\ntor_latency = \"250ms\"\ntor_proxy = {proxied}\n{}",
            uneven()
        );
        let scenario = scenario(&more);
        let (region, router) = (RegionIdx(0), Place::Router(RouterIdx(0)));
        let [tor, plain] =
            [Place::Tor(region), Place::Region(region)].map(|user| scenario.latency.ns(user, router));
        assert_eq!(tor - plain, 250_000_000);
        let users = Plan::new(&scenario, &Streams::new(scenario.seed)).unwrap().population.users;
        for outcome in agree(&scenario, 3) {
            let truth = &outcome.truth;
            assert_eq!(truth.addresses.len(), users.iter().filter(|user| !user.tor).count());
            assert!(truth.addresses.iter().all(|used| !users[used.user.index()].tor && used.address != TOR));
            let known =
                |with: &str| truth.addresses.iter().any(|used| format!("from {}", used.address) == with);
            let tor = format!("from {TOR}");
            let (mut direct, mut forwarded) = (0, 0);
            for ((_, with, _), seen) in sessions(&outcome) {
                assert!(
                    with == tor || known(&with) || with.contains("north") || with.contains("south"),
                    "{with}"
                );
                let count = |what: &str| seen.iter().filter(|(_, text)| text.starts_with(what)).count();
                direct += count("received Send Session");
                forwarded += if with == tor { count("received Pfwd") } else { 0 };
                assert!(with == tor || count("received Send Session") == 0, "{with}");
            }
            assert_eq!((direct > 0, forwarded > 0), (!proxied, proxied));
            let proxies: BTreeMap<_, _> =
                truth.sent.iter().map(|sent| (sent.key, sent.proxy.unwrap())).collect();
            let mut direct_ways = 0;
            for delivery in &truth.deliveries {
                let conversation = &truth.conversations[delivery.key.conversation.index()];
                let router = conversation.queue(delivery.key.from_a).router;
                let mut ends = [conversation.a, conversation.b].map(|user| place(&users[user.index()]));
                if !delivery.key.from_a {
                    ends.reverse();
                }
                let [from, to] = ends;
                let proxy = proxies[&delivery.key];
                direct_ways += usize::from(proxy == router);
                assert!(proxy != router || matches!(from, Place::Tor(_)));
                let ns = |a, b| if a == b { 0 } else { scenario.latency.ns(a, b) };
                let (proxy, router) = (Place::Router(proxy), Place::Router(router));
                let way = ns(from, proxy) + ns(proxy, router) + ns(router, to);
                let took = delivery.received_at_ns - delivery.sent_at_ns;
                assert!(took + 1_000_000 >= way, "{} took {took} ns, not {way}", delivery.key);
            }
            assert_eq!(direct_ways > 0, !proxied);
        }
    }
}

fn place(user: &User) -> Place {
    if user.tor { Place::Tor(user.region) } else { Place::Region(user.region) }
}

/// Customers connect to two businesses by their addresses, and each has a group with one of them and its employees.
#[test]
fn with_business_chats() {
    let business = "[business]\ncount = 2\ncustomers = 3\nemployees = 1\nmessages = 0.6\n";
    let scenario = scenario(&format!("{business}{}", uneven()));
    let plan = Plan::new(&scenario, &Streams::new(scenario.seed)).unwrap();
    let contacts = plan.population.contacts().len();
    let in_chats = plan.sends.iter().filter(|send| send.conversation.index() >= contacts).count();
    assert!(in_chats > 20, "{in_chats}");
    for outcome in agree(&scenario, 3) {
        assert_eq!(outcome.truth.conversations.len(), contacts + 6 * 3);
        assert_eq!(outcome.truth.deliveries.len(), plan.sends.len());
        assert_eq!(outcome.counts.receipts, plan.sends.len() as u64);
        // Two confirmations for each connection, and what each customer asks for at an address.
        let confirmations = sessions(&outcome)
            .into_values()
            .flatten()
            .filter(|(_, text)| text.starts_with("received Send") && text.contains(" 15999 bytes"))
            .count();
        assert_eq!(confirmations, 2 * outcome.truth.conversations.len() + 6);
    }
}

/// Contacts call each other while they write: some calls are taken, others are not or too late.
#[test]
fn with_calls() {
    let calls = "[calls]\nper_user_per_day = 3000\nanswered = 0.8\nanswer_after = \"4s\"\nlapse = \"10s\"\n";
    let [turmoil, events] = agree(&scenario(&format!("{calls}{}", uneven())), 3);
    let of = |outcome: &Outcome| {
        let counts = &outcome.counts;
        [counts.calls, counts.calls_offered, counts.calls_answered, counts.calls_set_up, counts.calls_lapsed]
    };
    assert_eq!(of(&turmoil), of(&events));
    let [calls, offered, answered, set_up, lapsed] = of(&events);
    assert!(calls > offered && set_up > 5 && set_up == answered && lapsed > 0, "{:?}", of(&events));
    assert_eq!(events.truth.sent.len() as u64, 120 + calls + offered + answered);
    assert_eq!(events.counts.receipts, 120 + calls, "offers and answers have none");
    assert_eq!(events.truth.calls.iter().filter(|call| call.set_up_at_ns.is_some()).count() as u64, set_up);
    for (a, b) in turmoil.truth.calls.iter().zip(&events.truth.calls) {
        assert_eq!((a.conversation, a.from_a), (b.conversation, b.from_a));
        let time = |call: &TrueCall| call.set_up_at_ns.map(|at| (at - call.begun_at_ns) / 1_000_000);
        let (a, b) = (time(a), time(b));
        assert!(a == b || a.zip(b).is_some_and(|(a, b)| a.abs_diff(b) <= 4), "{a:?} and {b:?} ms");
    }
}

/// Latencies that differ from link to link.
fn uneven() -> String {
    let places = ["here", "there", "north-1", "north-2", "south-1", "south-2"];
    let pairs =
        places.iter().enumerate().flat_map(|(i, a)| places.iter().skip((i + 1).max(2)).map(move |b| (a, b)));
    let times = [13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67];
    let link =
        |((a, b), time)| format!("[[latency.between]]\na = \"{a}\"\nb = \"{b}\"\ntime = \"{time}ms\"\n");
    pairs.zip(times).map(link).collect()
}

/// Queues move to other routers while messages are sent.
#[test]
fn with_queues_that_move() {
    let [turmoil, events] = agree(&scenario("[rotation]\nat = \"20s\""), 3);
    assert!(events.counts.rotated > 20, "{}", events.counts.rotated);
    assert_eq!(turmoil.counts.rotated, events.counts.rotated);
    assert!(events.truth.later_queues.iter().any(|later| !later.queue.proxies.is_empty()));
}

/// The same again and again, while a router restarts. Links have different latencies here: where all are equal, who is told to use
/// another queue (QUSE) is told so in the very tick in which the router answers what went to the old one, and which of both comes
/// first in a tick, which decides where the next message goes, is each engine's own.
#[test]
fn with_queues_that_move_while_a_router_restarts() {
    let fault = r#"
        [rotation]
        every = "25s"
        [[fault]]
        kind = "restart"
        router = "north-1"
        at = "20s"
        downtime = "3s"
"#;
    let [turmoil, events] = agree(&scenario(&format!("{QUICK}{fault}{}", uneven())), 3);
    assert!(events.counts.resubscribed > 0);
    assert!(events.counts.rotated > 20, "{}", events.counts.rotated);
    assert_eq!(turmoil.counts.rotated, events.counts.rotated);
}
