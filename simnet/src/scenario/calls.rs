//! Checks `[calls]`: how often users call, and what becomes of it.

use serde::Serialize;

use super::Users;
use super::check::millionths;
use super::file::File;
use super::workload::MAX_MESSAGES;
use crate::input::{Checker, InputError};
use crate::units::{DAY, MINUTE, SECOND};

/// Calls between contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Thousandths of a call that each user makes per day on average.
    pub thousandths_per_user_day: u64,
    /// Millionths of the calls that who is called would take.
    pub answered_millionths: u32,
    /// The mean time until a call is taken, in nanoseconds.
    pub answer_after_ns: u64,
    /// After how long a call lapses that was not taken, in nanoseconds.
    pub lapse_ns: u64,
}

/// Checks the table.
pub(super) fn calls(
    checker: &Checker<'_>,
    file: &File,
    users: &Users,
    duration_ns: u64,
) -> Result<Option<Calls>, InputError> {
    let Some(table) = &file.calls else { return Ok(None) };
    let rate = &table.per_user_per_day;
    let key = "calls.per_user_per_day";
    let thousandths = (*rate.get_ref() * 1000.0).round();
    if !(1.0..=1e9).contains(&thousandths) {
        let message = format!("{} is not a rate between 0.001 and 1000000", rate.get_ref());
        return Err(checker.at(rate.span(), key, message));
    }
    let thousandths_per_user_day = thousandths as u64;
    let per_day = u128::from(thousandths_per_user_day) * u128::from(users.count);
    // Three messages each at most.
    let messages = 3 * per_day * u128::from(duration_ns) / (1000 * u128::from(DAY));
    if messages > u128::from(MAX_MESSAGES) {
        let message = format!("makes up to {messages} messages, the most is {MAX_MESSAGES}");
        return Err(checker.at(rate.span(), key, message));
    }
    let answered_millionths = match *table.answered.get_ref() {
        0.0 => 0,
        _ => millionths(checker, "calls.answered", &table.answered)?,
    };
    let positive = |key: &str, value: &Option<_>, default: u64| match value {
        None => Ok(default),
        Some(value) => checker.positive(key, value),
    };
    Ok(Some(Calls {
        thousandths_per_user_day,
        answered_millionths,
        answer_after_ns: positive("calls.answer_after", &table.answer_after, 8 * SECOND)?,
        lapse_ns: positive("calls.lapse", &table.lapse, 3 * MINUTE)?,
    }))
}
