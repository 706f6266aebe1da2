//! What `[calls]`, `[business]` and `[latency]` may say.

use super::*;

#[test]
fn calls_have_a_rate_and_a_share_that_is_answered() {
    let calls = scenario("[calls]\nper_user_per_day = 2.5\nanswered = 0.6\n").calls.unwrap();
    assert_eq!((calls.thousandths_per_user_day, calls.answered_millionths), (2500, 600_000));
    assert_eq!((calls.answer_after_ns, calls.lapse_ns), (8 * SECOND, 3 * MINUTE));
    let calls =
        scenario("[calls]\nper_user_per_day = 1\nanswered = 0\nanswer_after = \"5s\"\nlapse = \"30s\"\n");
    assert_eq!(calls.calls.unwrap().lapse_ns, 30 * SECOND);
    assert_eq!(scenario("").calls, None);
}

#[test]
fn wrong_calls_are_refused() {
    let line = |table: &str| refused(&extended(&format!("[calls]\n{table}")));
    let answered = "answered = 0.5\n";
    assert_eq!(
        line(&format!("{answered}per_user_per_day = 0\n")),
        "test.toml:22: calls.per_user_per_day: 0 is not a rate between 0.001 and 1000000"
    );
    assert_eq!(
        line("per_user_per_day = 2\nanswered = 1.5\n"),
        "test.toml:22: calls.answered: 1.5 is not a share between 0.000001 and 1"
    );
    assert_eq!(
        line(&format!("per_user_per_day = 2\n{answered}answer_after = \"0s\"\n")),
        "test.toml:23: calls.answer_after: must be longer than 0"
    );
    let many = extended("[calls]\nper_user_per_day = 1000000\nanswered = 1\n").replace("\"1m\"", "\"1d\"");
    assert_eq!(
        refused(&many),
        "test.toml:21: calls.per_user_per_day: makes up to 36000000 messages, the most is 20000000"
    );
}

#[test]
fn businesses_have_customers_and_employees() {
    let business =
        scenario("[business]\ncount = 2\ncustomers = 5\nemployees = 2\nmessages = 0.25\n").business.unwrap();
    let expected = Business { count: 2, customers: 5, employees: 2, messages_millionths: 250_000 };
    assert_eq!(business, expected);
    assert_eq!(scenario("").business, None);
}

#[test]
fn wrong_businesses_are_refused() {
    let line = |count: u32, customers: u32, employees: u32, messages: &str| {
        refused(&extended(&format!(
            "[business]\ncount = {count}\ncustomers = {customers}\nemployees = {employees}\nmessages = {messages}\n"
        )))
    };
    assert_eq!(
        line(13, 5, 2, "0.5"),
        "test.toml:21: business.count: 13 businesses are not between 1 and 12, the number of users"
    );
    assert_eq!(
        line(1, 10, 2, "0.5"),
        "test.toml:22: business.customers: 10 customers are not between 1 and 9, the users who do not work there"
    );
    assert_eq!(
        line(1, 1, 11, "0.5"),
        "test.toml:23: business.employees: 11 employees are not between 0 and 10"
    );
    assert_eq!(
        line(1, 5, 2, "2"),
        "test.toml:24: business.messages: 2 is not a share between 0.000001 and 1"
    );
}

/// Of two tables for a pair the later one holds, for what it says.
#[test]
fn links_have_jitter_and_bandwidth_of_their_own() {
    let scenario = scenario(
        "[latency]\njitter = \"5ms\"\n\
         [[latency.between]]\na = \"everywhere\"\nb = \"one\"\ntime = \"80ms\"\njitter = \"20ms\"\n\
         [[latency.between]]\na = \"one-2\"\nb = \"everywhere\"\nbandwidth_kbit = 500\n\
         [[latency.between]]\na = \"one-1\"\nb = \"one-2\"\njitter = \"0ms\"\n",
    );
    let place = |name: &str| match scenario.network.router_named(name) {
        Some(router) => Place::Router(router),
        None => Place::Region(RegionIdx(0)),
    };
    let wear = |a, b| {
        let wear = scenario.latency.wear(place(a), place(b));
        (
            wear.jitter_ns / MILLISECOND,
            wear.bandwidth_kbit,
            scenario.latency.ns(place(a), place(b)) / MILLISECOND,
        )
    };
    assert_eq!(wear("everywhere", "one-1"), (20, 0, 80));
    assert_eq!(wear("one-2", "everywhere"), (20, 500, 80));
    assert_eq!(wear("one-2", "one-1"), (0, 0, 40));
    assert_eq!(wear("everywhere", "two-1"), (5, 0, 40));
    let (tor, one) = (Place::Tor(RegionIdx(0)), place("one-1"));
    assert_eq!(scenario.latency.wear(tor, one), scenario.latency.wear(place("everywhere"), one));
}

#[test]
fn wrong_links_are_refused() {
    let line = |keys: &str| {
        refused(&extended(&format!("[[latency.between]]\na = \"everywhere\"\nb = \"one\"\n{keys}")))
    };
    assert_eq!(
        line(""),
        "test.toml:21: latency.between: says nothing about them, give `time`, `jitter` or `bandwidth_kbit`"
    );
    assert_eq!(
        line("bandwidth_kbit = 0\n"),
        "test.toml:23: latency.between.bandwidth_kbit: must be at least 1"
    );
    let only = |keys: &str| {
        let text = format!("[[latency.between]]\na = \"everywhere\"\nb = \"one\"\n{keys}\n");
        scenario(&text).only_for_events()
    };
    assert_eq!(only("time = \"10ms\""), None);
    assert_eq!(only("jitter = \"0ms\""), None);
    assert_eq!(only("jitter = \"1ms\""), Some("latency.between.jitter"));
    assert_eq!(only("bandwidth_kbit = 9"), Some("latency.between.bandwidth_kbit"));
}
