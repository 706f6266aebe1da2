//! The two streams: data and JSON documents on the standard output, everything for people on the standard error.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::exit::{Exit, Failure, Outcome};

/// One line of data, flushed at once: whoever reads a pipe waits for it.
pub(crate) fn data(line: &[u8]) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(line).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).map_err(failed)
}

/// One JSON document.
pub(crate) fn json(document: &impl Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(document).map_err(|error| Failure::new(Exit::Bug, error))?;
    data(text.as_bytes())
}

/// One line for people.
pub(crate) fn note(line: impl Display) {
    // With the standard error closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Lines of cells for people, in columns.
pub(crate) fn table<const COLUMNS: usize>(lines: &[[String; COLUMNS]]) {
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        note(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

fn failed(error: io::Error) -> Failure {
    match error.kind() {
        // The reader has seen enough, as `head` does.
        ErrorKind::BrokenPipe => Failure::new(Exit::Failures, ""),
        _ => Failure::new(Exit::Failures, format_args!("standard output: {error}")),
    }
}
