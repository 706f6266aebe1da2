//! Checks the workload of a scenario file: what is drawn, or which trace is read.

use std::path::{Path, PathBuf};

use serde_spanned::Spanned;

use super::file::{self, File};
use super::{BODY_MAX, BODY_MIN, Column, Overrides, Rate, Trace, Workload};
use crate::input::{Checker, InputError};
use crate::units::SECOND;

/// The most messages that a Poisson workload may send in all.
const MAX_MESSAGES: u64 = 10_000_000;

/// Refuses a Poisson workload with more messages than fit into memory.
pub(super) fn not_too_many(
    checker: &Checker<'_>,
    file: &File,
    workload: &Workload,
    duration_ns: u64,
) -> Result<(), InputError> {
    let Workload::Poisson(rate) = workload else { return Ok(()) };
    let messages = expected_messages(*rate, *file.users.get_ref().count.get_ref(), duration_ns);
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
) -> Result<(Workload, (u32, u32)), InputError> {
    let table = file.workload.get_ref();
    let workload = match table.kind.get_ref().as_str() {
        "poisson" => Workload::Poisson(poisson(checker, table)?),
        "trace" => Workload::Trace(trace(checker, file, overrides)?),
        _ => return Err(checker.unknown_name("workload.kind", "kind", &table.kind, &["poisson", "trace"])),
    };
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

fn poisson(checker: &Checker<'_>, table: &file::Workload) -> Result<Rate, InputError> {
    let why = "belongs to workload.kind = \"trace\"";
    checker.absent("workload.file", table.file.as_ref(), why)?;
    checker.absent("workload.columns", table.columns.as_ref(), why)?;
    checker.absent("workload.window_start", table.window_start.as_ref(), why)?;
    checker.absent("workload.window", table.window.as_ref(), why)?;
    checker.absent("workload.speed", table.speed.as_ref(), why)?;
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

fn trace(checker: &Checker<'_>, file: &File, overrides: &Overrides) -> Result<Trace, InputError> {
    let table = file.workload.get_ref();
    let why = "belongs to workload.kind = \"poisson\"";
    checker.absent("workload.messages", table.messages.as_ref(), why)?;
    checker.absent("workload.per_user_per_hour", table.per_user_per_hour.as_ref(), why)?;
    let window = checker.required(
        table.kind.span(),
        "workload.window",
        table.window.as_ref(),
        "say how much of the trace to use, such as window = \"1d\"",
    )?;
    let columns = table.columns.as_ref().map(|columns| trace_columns(checker, columns)).transpose()?;
    let speed = match &table.speed {
        None => 1,
        Some(speed) if *speed.get_ref() > 0 => *speed.get_ref(),
        Some(speed) => return Err(checker.at(speed.span(), "workload.speed", "must be at least 1")),
    };
    let path = trace_file(checker, table, overrides)?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Trace {
        file: path,
        file_name,
        columns,
        start_ns: table.window_start.as_ref().map_or(0, |start| start.get_ref().0),
        window_ns: checker.positive("workload.window", window)?,
        speed,
    })
}

fn trace_columns(
    checker: &Checker<'_>,
    names: &Spanned<Vec<Spanned<String>>>,
) -> Result<Vec<Column>, InputError> {
    let key = "workload.columns";
    let mut columns = Vec::new();
    for name in names.get_ref() {
        let column = Column::named(name.get_ref()).ok_or_else(|| {
            checker.unknown_name(key, "column", name, &["timestamp", "sender", "recipient", "-"])
        })?;
        if column != Column::Ignored && columns.contains(&column) {
            return Err(checker.at(name.span(), key, format!("`{}` is there twice", name.get_ref())));
        }
        columns.push(column);
    }
    for needed in ["timestamp", "sender", "recipient"] {
        if !names.get_ref().iter().any(|name| name.get_ref() == needed) {
            return Err(checker.at(names.span(), key, format!("`{needed}` is missing")));
        }
    }
    Ok(columns)
}

/// The trace that the command line names, else the scenario's beside the scenario or in the current directory.
fn trace_file(
    checker: &Checker<'_>,
    table: &file::Workload,
    overrides: &Overrides,
) -> Result<PathBuf, InputError> {
    if let Some(path) = &overrides.trace {
        return match std::fs::File::open(path) {
            Ok(_) => Ok(path.clone()),
            Err(error) => Err(InputError::file(path, format!("the trace cannot be read: {error}"))),
        };
    }
    let name =
        checker.required(table.kind.span(), "workload.file", table.file.as_ref(), "name the trace's file")?;
    let beside = checker.file.parent().unwrap_or(Path::new("")).join(name.get_ref());
    let tried = [beside, PathBuf::from(name.get_ref())];
    match tried.iter().find(|path| path.is_file()) {
        Some(path) => match std::fs::File::open(path) {
            Ok(_) => Ok(path.clone()),
            Err(error) => {
                let message = format!("the trace `{}` cannot be read: {error}", name.get_ref());
                Err(checker.at(name.span(), "workload.file", message))
            }
        },
        None => {
            let message = format!(
                "there is no file `{}`, neither beside the scenario nor in the current directory; name a trace by --trace FILE",
                name.get_ref()
            );
            Err(checker.at(name.span(), "workload.file", message))
        }
    }
}
