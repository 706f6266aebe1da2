//! Checks the workload of a scenario file: what is drawn, or which trace is read.

use serde_spanned::Spanned;

use super::file::{self, File};
use super::trace::trace;
use super::{BODY_MAX, BODY_MIN, Diurnal, Overrides, Rate, Sessions, Users, Workload};
use crate::input::{Checker, InputError};
use crate::times::minutes_of_day;
use crate::units::SECOND;
use crate::workload::Day;

/// The most messages that a drawn workload may send in all: at 24 bytes each, 480 MB.
pub(super) const MAX_MESSAGES: u64 = 20_000_000;

/// How the text messages of the Copenhagen Networks Study (Sapiezynski et al., Scientific Data 6:315, 2019;
/// 24,333 messages in four weeks) spread over the hours of the day, in ten thousandths.
const HOURS: [u32; 24] = [
    117, 86, 32, 22, 7, 2, 79, 286, 406, 547, 523, 588, 691, 597, 572, 570, 702, 709, 580, 662, 682, 661,
    554, 324,
];

/// Refuses a drawn workload with more messages than fit into memory, or with no hour to send them in.
pub(super) fn fits(
    checker: &Checker<'_>,
    file: &File,
    workload: &Workload,
    users: &Users,
    duration_ns: u64,
) -> Result<(), InputError> {
    let Some(rate) = workload.rate() else { return Ok(()) };
    let mut messages = expected_messages(rate, users.count, duration_ns);
    if let Workload::Diurnal(diurnal) = workload {
        let weights = |&ahead: &i32| Day::new(diurnal, ahead).mean_and_peak(duration_ns);
        let inhabited = diurnal.ahead_minutes.iter().zip(&users.region_weights).filter(|(_, w)| **w > 0);
        let (mean, peak) = inhabited.fold((0, 0), |(mean, peak), (ahead, _)| {
            let (zone_mean, zone_peak) = weights(ahead);
            (mean.max(zone_mean), peak.max(zone_peak))
        });
        if peak == 0 {
            let span = file.workload.get_ref().kind.span();
            let message = "no user has an hour with a weight above 0 before the end";
            return Err(checker.at(span, "workload.hours", message));
        }
        if let Rate::ThousandthsPerUserHour(_) = rate {
            // In a part of a day more than a day's mean may be sent.
            let all = diurnal.hours.iter().map(|&weight| u128::from(weight)).sum::<u128>();
            let expected = u128::from(messages) * u128::from(mean) * 24 / all.max(1);
            messages = u64::try_from(expected).unwrap_or(u64::MAX);
        }
    }
    if messages > MAX_MESSAGES {
        let message = format!("asks for about {messages} messages, the most is {MAX_MESSAGES}");
        return Err(checker.at(file.workload.get_ref().kind.span(), "workload", message));
    }
    Ok(())
}

/// About how many messages a rate makes.
fn expected_messages(rate: Rate, users: u32, duration_ns: u64) -> u64 {
    match rate {
        Rate::Total(messages) => messages,
        Rate::ThousandthsPerUserHour(thousandths) => {
            let per_hour = u128::from(thousandths) * u128::from(users);
            u64::try_from(per_hour * u128::from(duration_ns) / (1000 * 3600 * u128::from(SECOND)))
                .unwrap_or(u64::MAX)
        }
    }
}

/// Checks `[workload]`: who sends when, and the bounds of a body's length.
pub(super) fn workload(
    checker: &Checker<'_>,
    file: &File,
    overrides: &Overrides,
    ahead_minutes: &[i32],
) -> Result<(Workload, (u32, u32)), InputError> {
    let table = file.workload.get_ref();
    let kind = table.kind.get_ref().as_str();
    only_of(checker, table, kind)?;
    let workload = match kind {
        "poisson" => Workload::Poisson(rate(checker, table)?),
        "diurnal" => Workload::Diurnal(diurnal(checker, table, ahead_minutes)?),
        "conversations" => Workload::Conversations(sessions(checker, table)?),
        "trace" => Workload::Trace(trace(checker, file, overrides)?),
        _ => {
            let kinds = ["poisson", "diurnal", "conversations", "trace"];
            return Err(checker.unknown_name("workload.kind", "kind", &table.kind, &kinds));
        }
    };
    if overrides.trace.is_some() && matches!(workload, Workload::Diurnal(_) | Workload::Conversations(_)) {
        let message = "draws its messages, only a workload of kind \"trace\" reads --trace";
        return Err(checker.at(table.kind.span(), "workload.kind", message));
    }
    let bound = |key: &str, value: &Option<Spanned<u32>>, default: u32| match value {
        None => Ok(default),
        Some(value) if (BODY_MIN..=BODY_MAX).contains(value.get_ref()) => Ok(*value.get_ref()),
        Some(value) => {
            let message = format!("{} bytes is not between {BODY_MIN} and {BODY_MAX}", value.get_ref());
            Err(checker.at(value.span(), key, message))
        }
    };
    let min = bound("workload.body_min", &table.body_min, BODY_MIN)?;
    let max = bound("workload.body_max", &table.body_max, min.max(2000))?;
    if min > max {
        let span = table.body_max.as_ref().or(table.body_min.as_ref()).map(Spanned::span).unwrap_or_default();
        return Err(checker.at(span, "workload.body_max", format!("{max} is less than body_min, {min}")));
    }
    Ok((workload, (min, max)))
}

/// Refuses the keys of other kinds.
fn only_of(checker: &Checker<'_>, table: &file::Workload, kind: &str) -> Result<(), InputError> {
    if kind == "trace" {
        let why = "belongs to a workload that is drawn, such as workload.kind = \"poisson\"";
        checker.absent("workload.messages", table.messages.as_ref(), why)?;
        checker.absent("workload.per_user_per_hour", table.per_user_per_hour.as_ref(), why)?;
    } else {
        let why = "belongs to workload.kind = \"trace\"";
        checker.absent("workload.file", table.file.as_ref(), why)?;
        checker.absent("workload.columns", table.columns.as_ref(), why)?;
        checker.absent("workload.time_unit", table.time_unit.as_ref(), why)?;
        checker.absent("workload.window_start", table.window_start.as_ref(), why)?;
        checker.absent("workload.window", table.window.as_ref(), why)?;
        checker.absent("workload.speed", table.speed.as_ref(), why)?;
    }
    if kind != "diurnal" {
        let why = "belongs to workload.kind = \"diurnal\"";
        checker.absent("workload.hours", table.hours.as_ref(), why)?;
        checker.absent("workload.time_of_day", table.time_of_day.as_ref(), why)?;
    }
    if kind != "conversations" {
        let why = "belongs to workload.kind = \"conversations\"";
        checker.absent("workload.session_messages", table.session_messages.as_ref(), why)?;
        checker.absent("workload.gap", table.gap.as_ref(), why)?;
    }
    Ok(())
}

fn diurnal(
    checker: &Checker<'_>,
    table: &file::Workload,
    ahead_minutes: &[i32],
) -> Result<Diurnal, InputError> {
    let key = "workload.hours";
    let hours = match &table.hours {
        None => HOURS,
        Some(weights) => {
            let mut hours = [0; 24];
            if weights.get_ref().len() != hours.len() {
                let message = format!("{} weights for the 24 hours of a day", weights.get_ref().len());
                return Err(checker.at(weights.span(), key, message));
            }
            for (hour, weight) in hours.iter_mut().zip(weights.get_ref()) {
                if !(0.0..=1000.0).contains(weight.get_ref()) {
                    let message = format!("{} is not a weight between 0 and 1000", weight.get_ref());
                    return Err(checker.at(weight.span(), key, message));
                }
                *hour = (*weight.get_ref() * 1000.0).round() as u32;
            }
            if hours.iter().all(|&weight| weight == 0) {
                return Err(checker.at(weights.span(), key, "must not all be 0"));
            }
            hours
        }
    };
    let begin_minutes = match &table.time_of_day {
        None => 0,
        Some(time) => minutes_of_day(time.get_ref()).ok_or_else(|| {
            let message = format!("`{}` is not a time such as \"08:30\"", time.get_ref());
            checker.at(time.span(), "workload.time_of_day", message)
        })?,
    };
    let rate = rate(checker, table)?;
    Ok(Diurnal { rate, hours, ahead_minutes: ahead_minutes.to_vec(), begin_minutes })
}

fn sessions(checker: &Checker<'_>, table: &file::Workload) -> Result<Sessions, InputError> {
    let length_thousandths = match &table.session_messages {
        None => 8000,
        Some(mean) if (1.0..=1e6).contains(mean.get_ref()) => (*mean.get_ref() * 1000.0).round() as u64,
        Some(mean) => {
            let message = format!("{} is not a mean between 1 and 1000000", mean.get_ref());
            return Err(checker.at(mean.span(), "workload.session_messages", message));
        }
    };
    let gap_ns = match &table.gap {
        None => 30 * SECOND,
        Some(gap) => checker.positive("workload.gap", gap)?,
    };
    Ok(Sessions { rate: rate(checker, table)?, length_thousandths, gap_ns })
}

fn rate(checker: &Checker<'_>, table: &file::Workload) -> Result<Rate, InputError> {
    match (&table.messages, &table.per_user_per_hour) {
        (Some(messages), None) if *messages.get_ref() > 0 => Ok(Rate::Total(*messages.get_ref())),
        (Some(messages), None) => Err(checker.at(messages.span(), "workload.messages", "must be at least 1")),
        (None, Some(rate)) => {
            let thousandths = (*rate.get_ref() * 1000.0).round();
            if !(1.0..=1e12).contains(&thousandths) {
                let message = format!("{} is not a rate between 0.001 and 1000000000", rate.get_ref());
                return Err(checker.at(rate.span(), "workload.per_user_per_hour", message));
            }
            Ok(Rate::ThousandthsPerUserHour(thousandths as u64))
        }
        (Some(_), Some(rate)) => Err(checker.at(
            rate.span(),
            "workload.per_user_per_hour",
            "give either `messages` or `per_user_per_hour`, not both",
        )),
        (None, None) => Err(checker.at(
            table.kind.span(),
            "workload.messages",
            "missing: say how much is sent by `messages` (in all) or `per_user_per_hour`",
        )),
    }
}
