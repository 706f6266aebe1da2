//! Checks which trace a scenario file names, and where in it messages are found.

use std::path::{Path, PathBuf};

use serde_spanned::Spanned;

use super::file::{self, File};
use super::{Column, Columns, Overrides, TimeUnit, Trace};
use crate::input::{Checker, InputError};
use crate::trace;
use crate::units::format_duration;

/// Checks the keys of a workload of kind "trace". Reads the trace when they do not say how much of it is used.
pub(super) fn trace(checker: &Checker<'_>, file: &File, overrides: &Overrides) -> Result<Trace, InputError> {
    let table = file.workload.get_ref();
    let columns = match table.columns.as_ref().map(|columns| (columns, columns.get_ref())) {
        None => None,
        Some((columns, file::Columns::Positions(names))) => {
            Some(Columns::Positions(positions(checker, columns, names)?))
        }
        Some((columns, file::Columns::Named(names))) => {
            let names = [&names.time, &names.sender, &names.recipient].map(|name| name.get_ref().clone());
            let [time, sender, recipient] = names;
            if time == sender || time == recipient || sender == recipient {
                let message = "time, sender and recipient need a column each";
                return Err(checker.at(columns.span(), "workload.columns", message));
            }
            Some(Columns::Named { time, sender, recipient })
        }
    };
    let time_unit = match &table.time_unit {
        None => None,
        Some(name) => Some(
            TimeUnit::named(name.get_ref())
                .ok_or_else(|| checker.unknown_name("workload.time_unit", "unit", name, &TimeUnit::NAMES))?,
        ),
    };
    let speed = match &table.speed {
        None => 1,
        Some(speed) if *speed.get_ref() > 0 => *speed.get_ref(),
        Some(speed) => return Err(checker.at(speed.span(), "workload.speed", "must be at least 1")),
    };
    let window =
        table.window.as_ref().map(|window| checker.positive("workload.window", window)).transpose()?;
    let path = trace_file(checker, table, overrides)?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let start_ns = table.window_start.as_ref().map_or(0, |start| start.get_ref().0);
    let mut trace =
        Trace { file: path, file_name, columns, time_unit, start_ns, window_ns: window.unwrap_or(0), speed };
    if window.is_none() {
        let length_ns = trace::length_ns(&trace)?;
        trace.window_ns = length_ns.saturating_sub(start_ns);
        if trace.window_ns == 0 {
            let span = table.window_start.as_ref().map(Spanned::span).unwrap_or_default();
            let message = format!("the last message is {} after the first", format_duration(length_ns - 1));
            return Err(checker.at(span, "workload.window_start", message));
        }
    }
    Ok(trace)
}

fn positions(
    checker: &Checker<'_>,
    table: &Spanned<file::Columns>,
    names: &[Spanned<String>],
) -> Result<Vec<Column>, InputError> {
    let key = "workload.columns";
    let mut columns = Vec::new();
    for name in names {
        let column = Column::named(name.get_ref()).ok_or_else(|| {
            checker.unknown_name(key, "column", name, &["timestamp", "sender", "recipient", "-"])
        })?;
        if column != Column::Ignored && columns.contains(&column) {
            return Err(checker.at(name.span(), key, format!("`{}` is there twice", name.get_ref())));
        }
        columns.push(column);
    }
    for needed in ["timestamp", "sender", "recipient"] {
        if !names.iter().any(|name| name.get_ref() == needed) {
            return Err(checker.at(table.span(), key, format!("`{needed}` is missing")));
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
    beside(checker, "workload.file", "trace", "name a trace by --trace FILE", name)
}

/// The file of this name beside the scenario or in the current directory; `otherwise` is what else could be done.
pub(super) fn beside(
    checker: &Checker<'_>,
    key: &str,
    what: &str,
    otherwise: &str,
    name: &Spanned<String>,
) -> Result<PathBuf, InputError> {
    let beside = checker.file.parent().unwrap_or(Path::new("")).join(name.get_ref());
    let tried = [beside, PathBuf::from(name.get_ref())];
    match tried.iter().find(|path| path.is_file()) {
        Some(path) => match std::fs::File::open(path) {
            Ok(_) => Ok(path.clone()),
            Err(error) => {
                let message = format!("the {what} `{}` cannot be read: {error}", name.get_ref());
                Err(checker.at(name.span(), key, message))
            }
        },
        None => {
            let message = format!(
                "there is no file `{}`, neither beside the scenario nor in the current directory; {otherwise}",
                name.get_ref()
            );
            Err(checker.at(name.span(), key, message))
        }
    }
}
