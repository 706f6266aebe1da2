//! What `[calls]` may say.

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
