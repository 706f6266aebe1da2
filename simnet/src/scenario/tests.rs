//! What a scenario file may say, and the one line that answers what it may not.

mod carried;
mod drawn;

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::network::RegionIdx;
use crate::trace::tests::TempFile;
use crate::units::{DAY, MILLISECOND, MINUTE, SECOND};

const BASE: &str = r#"name = "test"
duration = "1m"

[[operator]]
name = "one"
routers = 2

[[operator]]
name = "two"
routers = 1
roles = ["proxy"]

[users]
count = 12
contacts = 3

[workload]
kind = "poisson"
messages = 40
"#;

/// The base with a line replaced.
fn with(from: &str, to: &str) -> String {
    assert!(BASE.contains(from), "the base has no {from:?}");
    BASE.replacen(from, to, 1)
}

/// The base with tables after it, or keys before it.
fn extended(extra: &str) -> String {
    if extra.starts_with('[') { format!("{BASE}{extra}") } else { format!("{extra}\n{BASE}") }
}

fn parse(text: &str) -> Result<Scenario, InputError> {
    Scenario::parse(text, Path::new("test.toml"), &Overrides::default())
}

/// A small checked scenario: operator "one" with two routers, "two" with one that only proxies.
pub(crate) fn scenario(extra: &str) -> Scenario {
    parse(&extended(extra)).unwrap()
}

/// The line that a wrong file is answered with.
fn refused(text: &str) -> String {
    let line = parse(text).unwrap_err().to_string();
    assert!(!line.contains('\n'), "{line:?} is more than one line");
    line
}

#[test]
fn what_is_left_out_has_its_default() {
    let scenario = scenario("");
    assert_eq!(scenario.seed, 1);
    assert_eq!((scenario.duration_ns, scenario.tick_ns), (MINUTE, 10 * MILLISECOND));
    assert_eq!(scenario.policies, Policy::ALL);
    assert_eq!(scenario.regions, ["everywhere"]);
    assert_eq!(scenario.latency, Latency { default_ns: 40 * MILLISECOND, ..Latency::default() });
    assert_eq!(scenario.users.graph, Graph::Random { conversations: 18 });
    assert_eq!(scenario.body, (16, 2000));
    assert_eq!(scenario.router, RouterLimits { queue_quota: 128, end_interval_ns: 15 * SECOND });
    assert_eq!(scenario.analysis.margin, 0.1);
    let routers: Vec<_> = scenario.network.routers.iter().map(|r| (r.name.as_str(), r.operator.0)).collect();
    assert_eq!(routers, [("one-1", 0), ("one-2", 0), ("two-1", 1)]);
}

#[test]
fn the_hash_is_of_what_is_said_not_of_how() {
    let base = scenario("").hash();
    assert_eq!(parse(&format!("# a comment\n{BASE}")).unwrap().hash(), base);
    assert_eq!(scenario("tick = \"10ms\"").hash(), base, "a default written out");
    assert_eq!(scenario("seed = 9\ndescription = \"x\"").hash(), base);
    assert_ne!(scenario("tick = \"5ms\"").hash(), base);
    assert_ne!(parse(&with("messages = 40", "messages = 41")).unwrap().hash(), base);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let overrides = Overrides { seed: Some(5), trace: None };
    let text = extended("seed = 9");
    assert_eq!(Scenario::parse(&text, Path::new("t"), &overrides).unwrap().seed, 5);
    assert_eq!(parse(&text).unwrap().seed, 9);
}

#[test]
fn shares_of_all_routers_become_counts() {
    let text = |shares: &[&str], routers: u32| {
        let operators: String = shares
            .iter()
            .enumerate()
            .map(|(i, share)| format!("[[operator]]\nname = \"op{i}\"\nshare = {share}\n"))
            .collect();
        let (head, _) = BASE.split_once("[[operator]]").unwrap();
        let (_, tail) = BASE.split_once("[users]").unwrap();
        format!("{head}[network]\nrouters = {routers}\n{operators}[users]{tail}")
    };
    let counts = |shares: &[&str], routers| -> Vec<usize> {
        let network = parse(&text(shares, routers)).unwrap().network;
        (0..shares.len()).map(|i| network.run_by(OperatorIdx::from(i)).count()).collect()
    };
    assert_eq!(counts(&["0.5", "0.3", "0.2"], 10), [5, 3, 2]);
    assert_eq!(counts(&["0.333333", "0.333333", "0.333333"], 9), [3, 3, 3]);
    assert_eq!(counts(&["1.0"], 7), [7]);
    assert_eq!(
        refused(&text(&["0.5", "0.3", "0.2"], 12)),
        "test.toml:11: operator.share: 0.3 of 12 routers is 3.6, not a whole number of at least 1; \
         [network] routers = 10 or 20 would work"
    );
    assert_eq!(
        refused(&text(&["0.5", "0.3"], 10)),
        "test.toml:11: operator.share: the shares of all operators must add up to 1, not 0.8"
    );
    assert_eq!(
        refused(&text(&["0.5", "-0.5", "1.0"], 10)),
        "test.toml:11: operator.share: -0.5 is negative, a share lies between 0 and 1"
    );
    assert_eq!(
        refused(&text(&["1.5"], 10)),
        "test.toml:8: operator.share: 1.5 is not a share between 0.000001 and 1"
    );
    assert_eq!(
        refused(&text(&["nan"], 10)),
        "test.toml:8: operator.share: NaN is not a share between 0.000001 and 1"
    );
    assert_eq!(refused(&text(&["1.0"], 0)), "test.toml:5: network.routers: must be between 1 and 10000");
}

#[test]
fn latency_is_the_default_or_that_of_the_last_pair_named() {
    let scenario = scenario(
        "[latency]\ndefault = \"20ms\"\n\
         [[latency.between]]\na = \"everywhere\"\nb = \"one\"\ntime = \"80ms\"\n\
         [[latency.between]]\na = \"one-2\"\nb = \"everywhere\"\ntime = \"90ms\"\n\
         [[latency.between]]\na = \"one\"\nb = \"one\"\ntime = \"10ms\"\n",
    );
    let region = Place::Region(RegionIdx(0));
    let router = |i| Place::Router(RouterIdx(i));
    let ms = |a, b| scenario.latency.ns(a, b) / MILLISECOND;
    assert_eq!([ms(region, router(0)), ms(router(0), region)], [80, 80]);
    assert_eq!([ms(region, router(1)), ms(router(1), region)], [90, 90]);
    assert_eq!([ms(region, router(2)), ms(router(1), router(2))], [20, 20]);
    assert_eq!([ms(router(0), router(1)), ms(router(1), router(0))], [10, 10]);
}

#[test]
fn faults_are_ordered_by_time() {
    let scenario = scenario(
        "[[fault]]\nkind = \"partition\"\na = \"one\"\nb = \"everywhere\"\nat = \"30s\"\nfor = \"2s\"\n\
         [[fault]]\nkind = \"restart\"\nrouter = \"two-1\"\nat = \"10s\"\ndowntime = \"500ms\"\n",
    );
    let router = |i| Place::Router(RouterIdx(i));
    assert_eq!(
        scenario.faults,
        [
            Fault::Restart { router: RouterIdx(2), at_ns: 10 * SECOND, downtime_ns: 500 * MILLISECOND },
            Fault::Partition {
                a: vec![router(0), router(1)],
                b: vec![Place::Region(RegionIdx(0))],
                at_ns: 30 * SECOND,
                for_ns: 2 * SECOND
            },
        ]
    );
    assert_eq!(scenario.faults[1].end_ns(), 32 * SECOND);
}

#[test]
fn every_set_of_few_operators_colludes_and_every_pair_of_many() {
    let sets = |scenario: &Scenario| -> Vec<Vec<u32>> {
        scenario.analysis.colluding.iter().map(|set| set.iter().map(|o| o.0).collect()).collect()
    };
    assert_eq!(sets(&scenario("")), [vec![0], vec![1], vec![0, 1]]);
    let club = "[[user_router]]\nname = \"club\"\nrouters = 1\nusers = 2\n";
    assert_eq!(
        sets(&scenario(club)),
        [vec![0], vec![1], vec![2], vec![0, 1], vec![0, 2], vec![1, 2], vec![0, 1, 2]]
    );
    let more: String = (0..3).map(|i| format!("[[operator]]\nname = \"more{i}\"\nrouters = 1\n")).collect();
    assert_eq!(sets(&scenario(&more)).len(), 5 + 10);
    let chosen = "[analysis]\ncolluding = [[\"two\", \"one\"], [\"club\"]]\n";
    assert_eq!(sets(&scenario(&format!("{club}{chosen}"))), [vec![0, 1], vec![2]]);
}

#[test]
fn a_disabled_operator_is_left_out() {
    let text = with("name = \"two\"\n", "name = \"two\"\ndisabled = true\n");
    let network = parse(&text).unwrap().network;
    assert_eq!((network.operators.len(), network.routers.len()), (1, 2));
    let fault = "[[fault]]\nkind = \"partition\"\na = \"two\"\nb = \"one\"\nat = \"1s\"\nfor = \"2s\"\n";
    assert_eq!(refused(&format!("{text}{fault}")), "test.toml:23: fault.a: the operator `two` is disabled");
}

#[test]
fn routers_may_have_names_of_their_own() {
    let text = with("routers = 2", "routers = [\"smp8\", \"smp9.example\"]");
    let network = parse(&text).unwrap().network;
    assert_eq!(network.router_named("smp9.example"), Some(RouterIdx(1)));
}

#[test]
fn a_misspelt_key_is_named_with_the_one_it_is_like() {
    assert_eq!(
        refused(&with("routers = 2", "routrs = 2")),
        "test.toml:6: operator.routrs: unknown key, did you mean `routers`?"
    );
    assert_eq!(
        refused(&with("duration =", "duratoin =")),
        "test.toml:2: duratoin: unknown key, did you mean `duration`?"
    );
    assert_eq!(
        refused(&extended("[router]\ncolour = 1\n")),
        "test.toml:21: router.colour: unknown key, known here are `queue_quota` and `end_interval`"
    );
    assert_eq!(
        refused(&extended("[[faults]]\n")),
        "test.toml:20: faults: unknown key, did you mean `fault`?"
    );
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(
        refused(&with("count = 12\n", "")),
        "test.toml:13: users.count: missing: say how many users there are"
    );
    assert_eq!(
        refused(&with("contacts = 3\n", "")),
        "test.toml:14: users.contacts: missing: say how many contacts a user has on average"
    );
    assert_eq!(
        refused(&with("duration = \"1m\"\n", "")),
        "test.toml: duration: missing: say how long users send, such as duration = \"10m\""
    );
    assert_eq!(
        refused(&with("routers = 2\n", "")),
        "test.toml:5: operator.routers: missing: operator `one` needs `routers`, a number or a list of names"
    );
    assert_eq!(
        refused(&with("messages = 40\n", "")),
        "test.toml:18: workload.messages: missing: say how much is sent by `messages` (in all) or `per_user_per_hour`"
    );
    assert_eq!(refused("name = \"x\"\n"), "test.toml:1: users: missing");
    let text = BASE.replace("[[operator]]", "[[fault]]");
    assert_eq!(
        refused(&text),
        "test.toml:5: fault.name: unknown key, known here are `kind`, `at`, `router`, `downtime`, `a`, `b` and `for`"
    );
    let (head, tail) = (BASE.split_once("[[operator]]").unwrap().0, BASE.split_once("[users]").unwrap().1);
    assert_eq!(
        refused(&format!("{head}[users]{tail}")),
        "test.toml: operator: missing: add at least one [[operator]]"
    );
}

#[test]
fn a_wrong_type_or_unit_is_said() {
    assert_eq!(
        refused(&with("\"1m\"", "60")),
        "test.toml:2: duration: invalid type: integer `60`, expected a duration in quotes, such as \"40ms\""
    );
    assert_eq!(
        refused(&with("\"1m\"", "\"60\"")),
        "test.toml:2: duration: `60` has no unit: write \"60ms\", \"60s\", \"60m\", \"60h\" or \"60d\""
    );
    assert_eq!(
        refused(&with("\"1m\"", "\"2weeks\"")),
        "test.toml:2: duration: `weeks` in `2weeks` is not a unit of time: use ns, us, ms, s, m, h or d"
    );
    assert_eq!(
        refused(&with("count = 12", "count = \"many\"")),
        "test.toml:14: users.count: invalid type: string \"many\", expected u32"
    );
    assert_eq!(
        refused(&with("routers = 2", "routers = true")),
        "test.toml:6: operator.routers: invalid type: boolean `true`, expected a number of routers or a list of their names"
    );
    assert_eq!(
        refused(&with("routers = 2", "routers = -2")),
        "test.toml:6: operator.routers: invalid value: integer `-2`, expected a number of routers or a list of their names"
    );
    assert_eq!(refused(&with("count = 12", "count = 12\ncount = 13")), "test.toml:15: count: is there twice");
}

#[test]
fn an_unknown_name_is_said_with_the_one_it_is_like() {
    assert_eq!(
        refused(&extended("policies = [\"single\", \"different-routers\"]")),
        "test.toml:1: policies: unknown policy `different-routers`, did you mean `different-router`?"
    );
    assert_eq!(
        refused(&extended("policies = [\n  \"random\",\n]")),
        "test.toml:2: policies: unknown policy `random`, known are `single`, `different-router` and `different-operator`"
    );
    assert_eq!(
        refused(&extended("policies = [\"single\", \"single\"]")),
        "test.toml:1: policies: `single` is there twice"
    );
    assert_eq!(refused(&extended("policies = []")), "test.toml:1: policies: name at least one policy");
    assert_eq!(
        refused(&with("[\"proxy\"]", "[\"storage\", \"relay\"]")),
        "test.toml:11: operator.roles: unknown role `relay`, the roles are \"storage\" and \"proxy\""
    );
    assert_eq!(
        refused(&with("\"poisson\"", "\"posson\"")),
        "test.toml:18: workload.kind: unknown kind `posson`, did you mean `poisson`?"
    );
    assert_eq!(
        refused(&with("contacts = 3", "contacts = 3\ngraph = \"star\"")),
        "test.toml:16: users.graph: unknown graph `star`, known are `random`, `ring`, `degrees`, `file` and `trace`"
    );
    let restart = "[[fault]]\nkind = \"restart\"\nrouter = \"one-3\"\nat = \"1s\"\ndowntime = \"1s\"\n";
    assert_eq!(
        refused(&extended(restart)),
        "test.toml:22: fault.router: no router is named `one-3`, did you mean `one-1`?"
    );
    assert_eq!(
        refused(&extended(&restart.replace("one-3", "one"))),
        "test.toml:22: fault.router: no router is named `one`"
    );
    assert_eq!(
        refused(&extended("[analysis]\ncolluding = [[\"one\", \"three\"]]\n")),
        "test.toml:21: analysis.colluding: no operator is named `three`"
    );
}

#[test]
fn names_are_given_once() {
    assert_eq!(
        refused(&with("name = \"two\"", "name = \"one\"")),
        "test.toml:9: operator.name: `one` is already the name of an operator: \
         regions, operators and routers need names of their own"
    );
    assert_eq!(
        refused(&with("name = \"two\"", "name = \"One\"")),
        "test.toml:9: operator.routers: `one-1` is already the name of a router: \
         regions, operators and routers need names of their own"
    );
    assert_eq!(
        refused(&extended("regions = [\"one\"]")),
        "test.toml:6: operator.name: `one` is already the name of a region: \
         regions, operators and routers need names of their own"
    );
    assert_eq!(refused(&extended("regions = []")), "test.toml:1: regions: name at least one region");
    assert_eq!(
        refused(&extended("regions = [\"New York\"]")),
        "test.toml:1: regions: `New York` is not a host name: at most 63 of a to z, 0 to 9, `-` and `.`, with a letter"
    );
    assert_eq!(refused(&with("name = \"test\"", "name = \" \"")), "test.toml:1: name: must not be empty");
}

#[test]
fn users_need_routers_for_both_roles() {
    let text = with("routers = 2", "routers = 2\nroles = [\"proxy\"]");
    assert_eq!(refused(&text), "test.toml: operator.roles: no enabled operator has the role \"storage\"");
    assert_eq!(
        refused(&with("[\"proxy\"]", "[]")),
        "test.toml:11: operator.roles: name at least one role; to leave the routers out use disabled = true"
    );
    assert_eq!(
        refused(&extended(
            "[[user_router]]\nname = \"own\"\nrouters = 1\nusers = 1\nroles = [\"storage\"]\nonly = true\n"
        )),
        "test.toml:21: user_router.only: users with only these routers need both roles, \"storage\" and \"proxy\""
    );
    assert_eq!(
        refused(&extended("[[user_router]]\nname = \"own\"\nrouters = 1\n")),
        "test.toml:21: user_router.users: missing: say how many users have these routers by `users` or `users_share`"
    );
    assert_eq!(
        refused(&extended("[[user_router]]\nname = \"own\"\nrouters = 1\nusers_share = -0.1\n")),
        "test.toml:23: user_router.users_share: -0.1 is negative, a share lies between 0 and 1"
    );
}

#[test]
fn numbers_out_of_range_are_refused() {
    for (text, line) in [
        (with("\"1m\"", "\"0s\""), "test.toml:2: duration: must be longer than 0"),
        (with("routers = 2", "routers = 0"), "test.toml:6: operator.routers: must be between 1 and 10000"),
        (with("count = 12", "count = 1"), "test.toml:14: users.count: 1 is not between 2 and 1000000"),
        (
            with("contacts = 3", "contacts = 12"),
            "test.toml:15: users.contacts: 12 is not between 1 and 11, the number of other users",
        ),
        (
            with("count = 12\ncontacts = 3", "count = 1000000\ncontacts = 21"),
            "test.toml:15: users.contacts: makes 10500000 conversations, the most is 10000000",
        ),
        (
            with("contacts = 3", "graph = \"ring\"\ncontacts = 1"),
            "test.toml:16: users.contacts: in a ring everyone has at least 2",
        ),
        (with("messages = 40", "messages = 0"), "test.toml:19: workload.messages: must be at least 1"),
        (
            with("messages = 40", "messages = 99999999"),
            "test.toml:18: workload: asks for about 99999999 messages, the most is 20000000",
        ),
        (
            with("messages = 40", "per_user_per_hour = -1.0"),
            "test.toml:19: workload.per_user_per_hour: -1 is not a rate between 0.001 and 1000000000",
        ),
        (
            with("messages = 40", "messages = 40\nbody_max = 15801"),
            "test.toml:20: workload.body_max: 15801 bytes is not between 16 and 15800",
        ),
        (
            with("messages = 40", "messages = 40\nbody_min = 200\nbody_max = 100"),
            "test.toml:21: workload.body_max: 100 is less than body_min, 200",
        ),
        (
            extended("tick = \"500us\""),
            "test.toml:1: tick: 500us is not a whole number of milliseconds up to 1s",
        ),
        (
            extended("[latency]\ndefault = \"45ms\"\n"),
            "test.toml:21: latency.default: 45ms is not a multiple of the tick, 10ms",
        ),
        (extended("[latency]\ndefault = \"0ms\"\n"), "test.toml:21: latency.default: must be longer than 0"),
        (
            extended("[client]\ntor = true\ntor_latency = \"45ms\"\n"),
            "test.toml:22: client.tor_latency: 45ms is not a multiple of the tick, 10ms",
        ),
        (
            extended("[client]\ntor = 1.5\n"),
            "test.toml:21: client.tor: 1.5 is not a share between 0.000001 and 1",
        ),
        (
            extended("[client]\ntor = \"yes\"\n"),
            "test.toml:21: client.tor: expected true, false or a share of the users",
        ),
        (
            extended("[client]\ntor = false\ntor_proxy = false\n"),
            "test.toml:22: client.tor_proxy: nobody uses Tor, set `tor`",
        ),
        (extended("[router]\nqueue_quota = 0\n"), "test.toml:21: router.queue_quota: must be at least 1"),
        (extended("[analysis]\nmargin = 1.0\n"), "test.toml:21: analysis.margin: 1 is not between 0 and 1"),
        (
            extended("[[fault]]\nkind = \"restart\"\nrouter = \"one-1\"\nat = \"60s\"\ndowntime = \"1s\"\n"),
            "test.toml:23: fault.at: 1m is not before the end, 1m",
        ),
        (
            extended("[[fault]]\nkind = \"restart\"\nrouter = \"one-1\"\nat = \"1s\"\ndowntime = \"0s\"\n"),
            "test.toml:24: fault.downtime: must be longer than 0",
        ),
        (
            extended(
                "[[fault]]\nkind = \"partition\"\na = \"one\"\nb = \"one-2\"\nat = \"1s\"\nfor = \"1s\"\n",
            ),
            "test.toml:23: fault.b: `one` and `one-2` share a router",
        ),
        (
            with("contacts = 3", "contacts = 3\nregion_weights = [1, 2]"),
            "test.toml:16: users.region_weights: 2 weights for 1 regions",
        ),
    ] {
        assert_eq!(refused(&text), line);
    }
}

#[test]
fn keys_of_another_kind_are_refused() {
    assert_eq!(
        refused(&with("messages = 40", "messages = 40\nspeed = 2")),
        "test.toml:20: workload.speed: belongs to workload.kind = \"trace\""
    );
    assert_eq!(
        refused(&with("messages = 40", "messages = 40\nper_user_per_hour = 1.0")),
        "test.toml:20: workload.per_user_per_hour: give either `messages` or `per_user_per_hour`, not both"
    );
    assert_eq!(
        refused(&extended("[[fault]]\nkind = \"restart\"\nrouter = \"one-1\"\nat = \"1s\"\nfor = \"1s\"\n")),
        "test.toml:24: fault.for: belongs to kind = \"partition\""
    );
    assert_eq!(
        refused(&with("routers = 2", "share = 0.5")),
        "test.toml:6: operator.share: give every operator a `share` and [network] routers = N, or every operator `routers`"
    );
    assert_eq!(
        refused(&extended("[network]\nrouters = 4\n")),
        "test.toml:6: operator.routers: give either `routers` here, or `share` here and [network] routers = N"
    );
}

#[test]
fn text_that_is_not_toml_is_refused_at_its_line() {
    assert_eq!(
        refused("name = \"x\"\nduration = 10m\n"),
        "test.toml:2: string values must be quoted, expected literal string"
    );
    assert!(refused("name = \"x").starts_with("test.toml:1: "));
    assert_eq!(refused(""), "test.toml:1: name: missing");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let line = Scenario::load(Path::new("no/such.toml"), &Overrides::default()).unwrap_err().to_string();
    assert_eq!(line, "no/such.toml: cannot be read: No such file or directory (os error 2)");
}

const TRACE: &str = "kind = \"trace\"\nfile = \"recorded.csv\"\nwindow = \"1d\"\nspeed = 144";

fn with_trace(keys: &str) -> String {
    let text = with("kind = \"poisson\"\nmessages = 40", keys);
    text.replace("duration = \"1m\"\n", "").replace("contacts = 3\n", "")
}

#[test]
fn a_trace_that_is_not_there_is_named_and_may_be_named_on_the_command_line() {
    assert_eq!(
        refused(&with_trace(TRACE)),
        "test.toml:17: workload.file: there is no file `recorded.csv`, neither beside the scenario nor in the \
         current directory; name a trace by --trace FILE"
    );
    let overrides = |path: &str| Overrides { trace: Some(path.into()), seed: None };
    let text = with_trace(TRACE);
    let error = Scenario::parse(&text, Path::new("test.toml"), &overrides("no/such.csv")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no/such.csv: the trace cannot be read: No such file or directory (os error 2)"
    );
    // Any file that is there will do: what it holds is not read yet.
    let scenario = Scenario::parse(&text, Path::new("test.toml"), &overrides("Cargo.toml")).unwrap();
    let Workload::Trace(trace) = &scenario.workload else { panic!("not a trace") };
    assert_eq!((trace.window_ns, trace.speed, trace.start_ns), (DAY, 144, 0));
    assert_eq!(scenario.duration_ns, 10 * MINUTE);
    assert_eq!(scenario.users.graph, Graph::Trace);
}

#[test]
fn a_trace_says_itself_how_long_it_is_and_who_is_in_contact() {
    let refused = |text: &str| {
        let overrides = Overrides { trace: Some("Cargo.toml".into()), seed: None };
        Scenario::parse(text, Path::new("test.toml"), &overrides).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&format!("duration = \"1m\"\n{}", with_trace(TRACE))),
        "test.toml:1: duration: a trace lasts workload.window / workload.speed, leave `duration` out"
    );
    assert_eq!(
        refused(&with_trace(TRACE).replace("count = 12", "count = 12\ncontacts = 3")),
        "test.toml:14: users.contacts: a trace itself says who is in contact, leave `contacts` out"
    );
    assert_eq!(
        refused(&with_trace(&TRACE.replace("144", "0"))),
        "test.toml:19: workload.speed: must be at least 1"
    );
    assert_eq!(
        refused(&with_trace(&format!("{TRACE}\ncolumns = [\"sender\", \"timestamp\"]"))),
        "test.toml:20: workload.columns: `recipient` is missing"
    );
    assert_eq!(
        refused(&with_trace(&format!("{TRACE}\ncolumns = [\"sender\", \"recepient\", \"timestamp\"]"))),
        "test.toml:20: workload.columns: unknown column `recepient`, did you mean `recipient`?"
    );
}

proptest! {
    /// Whatever a slip of the finger makes of a scenario, the answer is a scenario or one line.
    #[test]
    fn any_text_is_read_or_refused(at in 0..400usize, cut in 0..20usize, put in "[-a-z0-9=\"\\[\\].\n ]{0,12}") {
        let base = extended(
            "policies = [\"single\"]\n[[fault]]\nkind = \"restart\"\nrouter = \"one-1\"\nat = \"1s\"\ndowntime = \"1s\"\n",
        );
        let (head, tail) = base.split_at(at.min(base.len()));
        let text = format!("{head}{put}{}", tail.get(cut..).unwrap_or_default());
        if let Err(error) = parse(&text) {
            prop_assert!(!error.to_string().contains('\n'));
            prop_assert!(error.to_string().starts_with("test.toml:"));
        }
    }
}

/// Routers and regions: every host of the simulated network.
fn hosts(scenario: &Scenario) -> usize {
    scenario.network.routers.len() + scenario.regions.len()
}

fn shipped(name: &str, overrides: &Overrides) -> Result<Scenario, InputError> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios"));
    Scenario::load(&folder.join(name), overrides)
}

#[test]
fn the_built_in_scenario_is_large_enough_to_say_something() {
    let scenario = Scenario::builtin(&Overrides::default()).unwrap();
    assert_eq!(scenario, shipped("two-operators.toml", &Overrides::default()).unwrap());
    assert!(scenario.users.count >= 120 && hosts(&scenario) <= 12);
    assert_eq!(scenario.users.graph, Graph::Random { conversations: 300 });
    assert_eq!(scenario.workload, Workload::Poisson(Rate::Total(2400)));
    assert_eq!(scenario.policies, Policy::ALL);
    assert_eq!(scenario.faults.len(), 2);
}

#[test]
fn every_shipped_scenario_is_right_and_fits_the_simulator() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios"));
    // Another trace stands in for the one that is not shipped.
    let trace = TempFile::new("shipped", b"0,a,b\n2419200,b,a\n");
    let overrides = Overrides { trace: Some(trace.0.clone()), seed: None };
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let scenario = shipped(&name, &overrides).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(format!("{}.toml", scenario.name), name);
        assert!(hosts(&scenario) <= 20, "{name}: {} hosts", hosts(&scenario));
        assert!(!scenario.description.is_empty(), "{name}");
    }
}

/// Every TOML example in the documentation of scenarios is a scenario.
#[test]
fn the_documented_examples_are_right() {
    let text = include_str!("../../../docs/scenarios.md");
    let examples: Vec<&str> = text
        .split("```toml\n")
        .skip(1)
        .filter_map(|part| part.split_once("```"))
        .map(|(example, _)| example)
        .collect();
    let whole: Vec<&&str> = examples.iter().filter(|example| example.starts_with("name = ")).collect();
    assert!(!whole.is_empty());
    for example in whole {
        parse(example).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

/// A key that the documentation does not name cannot be found by its readers.
#[test]
fn every_key_is_documented() {
    let text = include_str!("../../../docs/scenarios.md");
    let source = include_str!("file.rs");
    let mut keys = 0;
    for line in source.lines().filter_map(|line| line.trim().strip_prefix("pub(super) ")) {
        let Some((name, _)) = line.split_once(": ") else { continue };
        let name = if name == "length" { "for" } else { name };
        assert!(
            text.contains(&format!("`{name}`"))
                || text.contains(&format!("{name}]]"))
                || text.contains(&format!("[{name}]")),
            "{name}"
        );
        keys += 1;
    }
    assert!(keys > 40, "{keys}");
}
