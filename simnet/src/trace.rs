//! Reads recorded messages: lines of time, sender and recipient. `docs/scenarios.md` describes the format.
//!
//! The file is read twice from front to back: once for the earliest time, once for the window. Only the
//! window's messages and the names in them are kept.

use crate::input::InputError;
use crate::names::Names;
use crate::scenario::{Column, Columns, Trace};
use crate::table::{self, Separator};
use crate::times::TimeUnit;
use crate::units::format_duration;

/// The most messages that a window may have: 320 MB, and half as much again while they are put in order.
const MAX_MESSAGES: usize = 20_000_000;

/// The messages in a trace's window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Names of those who send or receive in the window, ordered.
    pub names: Vec<String>,
    /// Messages ordered by time, equal times in the order of the file.
    pub messages: Vec<Recorded>,
    /// What was read and left out.
    pub report: TraceReport,
}

/// A recorded message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recorded {
    /// Nanoseconds after the window's beginning, in the trace's time.
    pub at_ns: u64,
    /// Position of the sender's name.
    pub sender: u32,
    /// Position of the recipient's name; never the sender's.
    pub recipient: u32,
}

/// What was read of a trace, for a report's provenance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceReport {
    /// The file's name without its folder.
    pub file_name: String,
    /// SHA-256 of the whole file.
    pub sha256: [u8; 32],
    /// Messages in the whole file, those to oneself included.
    pub messages_in_file: u64,
    /// Messages to oneself in the window; they are left out.
    pub to_oneself: u64,
    /// Messages in the window between two people.
    pub in_window: u64,
    /// Messages left out because one of the two is not among the most active users.
    pub beyond_users: u64,
    /// People in the window who were left out, being less active, or without a contact among those kept.
    pub users_left_out: u64,
}

/// How long a trace is, from its earliest message to just after its latest.
pub(crate) fn length_ns(trace: &Trace) -> Result<u64, InputError> {
    let mut ends = None;
    lines(trace, |line| {
        let (first, last) = ends.unwrap_or((line.at_ns, line.at_ns));
        ends = Some((line.at_ns.min(first), line.at_ns.max(last)));
        Ok(())
    })?;
    let Some((first, last)) = ends else {
        return Err(InputError::file(&trace.file, "holds no messages"));
    };
    Ok((last - first).saturating_add(1))
}

/// Reads the window of a trace. Errors name the trace's file and line.
pub fn read(trace: &Trace) -> Result<Window, InputError> {
    let mut first_ns = u64::MAX;
    let mut report = TraceReport { file_name: trace.file_name.clone(), ..TraceReport::default() };
    let sha256 = lines(trace, |line| {
        first_ns = first_ns.min(line.at_ns);
        report.messages_in_file += 1;
        Ok(())
    })?;
    report.sha256 = sha256;
    if report.messages_in_file == 0 {
        return Err(InputError::file(&trace.file, "holds no messages"));
    }
    let begin = first_ns.saturating_add(trace.start_ns);
    let end = begin.saturating_add(trace.window_ns);
    let mut names = Names::default();
    let mut messages = Vec::new();
    let again = lines(trace, |line| {
        if !(begin..end).contains(&line.at_ns) {
            return Ok(());
        }
        if line.sender == line.recipient {
            report.to_oneself += 1;
            return Ok(());
        }
        if messages.len() == MAX_MESSAGES {
            return Err(format!("the window has more than {MAX_MESSAGES} messages, choose a shorter one"));
        }
        let (sender, recipient) = (names.id(line.sender), names.id(line.recipient));
        messages.push(Recorded { at_ns: line.at_ns - begin, sender, recipient });
        Ok(())
    })?;
    if again != sha256 {
        return Err(InputError::file(&trace.file, "changed while it was read"));
    }
    if messages.is_empty() {
        let message = format!(
            "no messages in the window of {} from {} after the first message",
            format_duration(trace.window_ns),
            format_duration(trace.start_ns)
        );
        return Err(InputError::file(&trace.file, message));
    }
    report.in_window = messages.len() as u64;
    messages.sort_by_key(|message| message.at_ns);
    // Names are numbered in their own order, whatever the order in which they appeared.
    let (names, position) = names.sorted();
    let new = |old: u32| position.get(old as usize).copied().unwrap_or(old);
    for message in &mut messages {
        message.sender = new(message.sender);
        message.recipient = new(message.recipient);
    }
    Ok(Window { names, messages, report })
}

/// One message as the file has it.
struct Line<'a> {
    at_ns: u64,
    sender: &'a str,
    recipient: &'a str,
}

/// Calls `each` for every message and returns the SHA-256 of the file's bytes.
fn lines(
    trace: &Trace,
    mut each: impl FnMut(Line<'_>) -> Result<(), String>,
) -> Result<[u8; 32], InputError> {
    let mut commented = None;
    let mut layout: Option<Layout> = None;
    let mut unit = trace.time_unit;
    let sha256 = table::lines(&trace.file, "the trace", |text| {
        if let Some(comment) = text.strip_prefix('#') {
            // Some files have their header in a comment.
            if layout.is_none() {
                commented = Places::of_header(comment.trim(), trace.columns.as_ref()).or(commented);
            }
            return Ok(());
        }
        let layout = match &layout {
            Some(layout) => layout,
            None => {
                let (found, is_header) = Layout::of_first_line(text, trace.columns.as_ref(), commented)?;
                let found = &*layout.insert(found);
                if is_header {
                    return Ok(());
                }
                found
            }
        };
        each(layout.message(text, &mut unit)?)
    })?;
    Ok(sha256)
}

/// Which columns hold what.
#[derive(Clone, Copy)]
struct Places {
    timestamp: usize,
    sender: usize,
    recipient: usize,
}

/// Where columns are when nothing says otherwise.
const STANDARD: Places = Places { timestamp: 0, sender: 1, recipient: 2 };

impl Places {
    /// As a header says that names all three columns, each once.
    fn of_header(text: &str, columns: Option<&Columns>) -> Option<Self> {
        let fields = Separator::of(text).fields(text);
        let [timestamp, sender, recipient] = found(&fields, columns);
        match (timestamp.as_slice(), sender.as_slice(), recipient.as_slice()) {
            (&[timestamp], &[sender], &[recipient]) => Some(Self { timestamp, sender, recipient }),
            _ => None,
        }
    }
}

/// The columns of a header that are called as times, senders and recipients are.
fn found(fields: &[&str], columns: Option<&Columns>) -> [Vec<usize>; 3] {
    [Column::Timestamp, Column::Sender, Column::Recipient].map(|column| {
        let is = |name: &str| match columns {
            Some(Columns::Named { time, sender, recipient }) => {
                name == match column {
                    Column::Timestamp => time,
                    Column::Sender => sender,
                    _ => recipient,
                }
            }
            _ => Column::in_header(&name.to_ascii_lowercase()) == Some(column),
        };
        fields.iter().enumerate().filter(|(_, name)| is(name)).map(|(place, _)| place).collect()
    })
}

/// Where the columns are.
struct Layout {
    separator: Separator,
    places: Places,
}

impl Layout {
    /// Decides by the first line that is no comment, and whether that is a header. A header is a line that names
    /// the three columns, or whose time begins with a letter. What the scenario says comes first, then the
    /// header, which may have stood in a comment.
    fn of_first_line(
        text: &str,
        columns: Option<&Columns>,
        commented: Option<Places>,
    ) -> Result<(Self, bool), String> {
        let separator = Separator::of(text);
        let fields = separator.fields(text);
        let header = Places::of_header(text, columns);
        let begins_with_letter = |places: Places| {
            let time = fields.get(places.timestamp).copied().unwrap_or_default();
            time.starts_with(char::is_alphabetic)
        };
        let (places, is_header) = match (columns, header) {
            (Some(Columns::Positions(columns)), _) => {
                let at = |column| columns.iter().position(|&c| c == column).unwrap_or_default();
                let places = Places {
                    timestamp: at(Column::Timestamp),
                    sender: at(Column::Sender),
                    recipient: at(Column::Recipient),
                };
                (places, header.is_some() || begins_with_letter(places))
            }
            (_, Some(places)) => (places, true),
            (Some(Columns::Named { time, sender, recipient }), None) => match commented {
                Some(places) => (places, false),
                None => {
                    let once = |name: &&&String| fields.iter().filter(|f| *f == *name).count() != 1;
                    let wrong = [time, sender, recipient];
                    let wrong = wrong.iter().find(once).map_or("", |name| name.as_str());
                    let has = fields.join(", ");
                    return Err(format!("the header must name the column `{wrong}` once, it has {has}"));
                }
            },
            (None, None) => match commented {
                Some(places) => (places, begins_with_letter(places)),
                None => (STANDARD, begins_with_letter(STANDARD)),
            },
        };
        if is_header && header.is_none() && columns.is_none() && commented.is_none() {
            not_misread(&fields)?;
        }
        Ok((Self { separator, places }, is_header))
    }

    /// The message of a line. The first one decides how times are written, unless the scenario says so.
    fn message<'a>(&self, text: &'a str, unit: &mut Option<TimeUnit>) -> Result<Line<'a>, String> {
        let Places { timestamp, sender, recipient } = self.places;
        let at = |place: usize, what: &str| match self.separator.field(text, place) {
            Some(field) if !field.is_empty() => Ok(field),
            Some(_) => Err(format!("the {what} is empty")),
            None => {
                let needed = timestamp.max(sender).max(recipient) + 1;
                let columns = self.separator.fields(text).len();
                Err(format!("{columns} columns, the message needs {needed}"))
            }
        };
        let time = at(timestamp, "timestamp")?;
        let (sender, recipient) = (at(sender, "sender")?, at(recipient, "recipient")?);
        let at_ns = unit.get_or_insert_with(|| TimeUnit::of(time)).read(time)?;
        Ok(Line { at_ns, sender, recipient })
    }
}

/// Refuses a header by which the standard order would be a guess: it names none of the three columns, or one
/// in another place.
fn not_misread(fields: &[&str]) -> Result<(), String> {
    let found = found(fields, None);
    let standard = [STANDARD.timestamp, STANDARD.sender, STANDARD.recipient];
    let in_place = |(places, standard): (&Vec<usize>, usize)| places.iter().all(|&place| place == standard);
    if found.iter().any(|places| !places.is_empty()) && found.iter().zip(standard).all(in_place) {
        return Ok(());
    }
    Err(format!(
        "the header has {}: say which of them hold time, sender and recipient by workload.columns",
        fields.join(", ")
    ))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::units::{DAY, HOUR};
    use proptest::prelude::*;
    use std::path::{Path, PathBuf};

    /// A file that is removed at the end of its test.
    pub(crate) struct TempFile(pub(crate) PathBuf);

    impl TempFile {
        pub(crate) fn new(name: &str, content: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("sxlab-{}-{name}.csv", std::process::id()));
            std::fs::write(&path, content).unwrap();
            Self(path)
        }
    }

    impl Drop for TempFile {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn trace(file: &Path) -> Trace {
        Trace {
            file: file.to_owned(),
            file_name: "t.csv".to_owned(),
            columns: None,
            time_unit: None,
            start_ns: 0,
            window_ns: DAY,
            speed: 1,
        }
    }

    fn read_text(name: &str, text: &str) -> Result<Window, String> {
        let file = TempFile::new(name, text.as_bytes());
        let shown = file.0.display().to_string();
        read(&trace(&file.0)).map_err(|error| error.to_string().replace(&shown, "FILE"))
    }

    /// Time in seconds, sender and recipient by name.
    fn messages(window: &Window) -> Vec<(f64, &str, &str)> {
        let name = |i: u32| window.names[i as usize].as_str();
        window.messages.iter().map(|m| (m.at_ns as f64 / 1e9, name(m.sender), name(m.recipient))).collect()
    }

    #[test]
    fn commas_semicolons_tabs_and_blanks_separate_with_or_without_a_header() {
        for (i, text) in [
            "timestamp,sender,recipient\n10,a,b\n12,b,a\n",
            "10,a,b\n12,b,a",
            "10;a;b;x;y\r\n12;b;a;x;y\r\n",
            "10\ta\tb\n\n12\tb\ta\n",
            "# a comment\n10 a b\n  12   b a 77\n",
            "\u{feff}time, from, to\n10, a, \"b\"\n12, b, a\n",
            "sender,recipient,timestamp\na,b,10\nb,a,12\n",
            "src dst time\na b 10\nb a 12\n",
            "Source;Target;Weight;Timestamp\na;b;1;10\nb;a;1;12\n",
            "# src dst ts\na b 10\nb a 12\n",
            "time,who,whom\n10,a,b\n12,b,a\n",
        ]
        .iter()
        .enumerate()
        {
            let window = read_text(&format!("separators{i}"), text).unwrap();
            assert_eq!(messages(&window), [(0.0, "a", "b"), (2.0, "b", "a")], "{text:?}");
        }
    }

    #[test]
    fn the_scenario_may_say_what_the_columns_hold() {
        let file = TempFile::new("columns", b"x,a,b,10\ny,b,a,12\n");
        let columns = vec![Column::Ignored, Column::Sender, Column::Recipient, Column::Timestamp];
        let columns = Some(Columns::Positions(columns));
        let window = read(&Trace { columns, ..trace(&file.0) }).unwrap();
        assert_eq!(messages(&window), [(0.0, "a", "b"), (2.0, "b", "a")]);
    }

    #[test]
    fn the_scenario_may_name_the_columns_as_their_header_does() {
        let columns =
            || Some(Columns::Named { time: "ts".into(), sender: "X".into(), recipient: "Y".into() });
        for (i, text) in
            ["X,Y,w,ts\na,b,1,10\nb,a,1,12\n", "# about\n# X Y w ts\na b 1 10\nb a 1 12\n"].iter().enumerate()
        {
            let file = TempFile::new(&format!("named{i}"), text.as_bytes());
            let window = read(&Trace { columns: columns(), ..trace(&file.0) }).unwrap();
            assert_eq!(messages(&window), [(0.0, "a", "b"), (2.0, "b", "a")], "{text:?}");
        }
        let file = TempFile::new("named-not", b"X,y,ts\na,b,10\n");
        let error = read(&Trace { columns: columns(), ..trace(&file.0) }).unwrap_err().to_string();
        assert!(error.ends_with(":1: the header must name the column `Y` once, it has X, y, ts"), "{error}");
    }

    #[test]
    fn times_may_be_dates_or_parts_of_seconds() {
        for (i, text) in [
            "1385316005250,a,b\n1385316007250,b,a\n",
            "1385316005250000 a b\n1385316007250000 b a\n",
            "2013-11-24T18:00:05Z,a,b\n2013-11-24T18:00:07Z,b,a\n",
            "src\tdst\ttime\na\tb\t2013-11-24 23:59:59\nb\ta\t2013-11-25 00:00:01\n",
        ]
        .iter()
        .enumerate()
        {
            let window = read_text(&format!("times{i}"), text).unwrap();
            assert_eq!(messages(&window), [(0.0, "a", "b"), (2.0, "b", "a")], "{text:?}");
        }
        let file = TempFile::new("unit", b"10,a,b\n2010,b,a\n");
        let window = read(&Trace { time_unit: Some(TimeUnit::Milliseconds), ..trace(&file.0) }).unwrap();
        assert_eq!(messages(&window), [(0.0, "a", "b"), (2.0, "b", "a")]);
        assert_eq!(length_ns(&trace(&file.0)).unwrap(), 2_000_000_000_001);
    }

    #[test]
    fn the_window_counts_from_the_earliest_message() {
        let file = TempFile::new("window", b"7200,c,a\n3600,a,b\n10799.5,a,c\n10800,b,c\n7200,a,a\n");
        let window = read(&Trace { start_ns: HOUR, window_ns: HOUR, ..trace(&file.0) }).unwrap();
        assert_eq!(messages(&window), [(0.0, "c", "a"), (3599.5, "a", "c")]);
        assert_eq!(window.names, ["a", "c"]);
        let report = &window.report;
        assert_eq!((report.messages_in_file, report.in_window, report.to_oneself), (5, 2, 1));
    }

    #[test]
    fn an_unreadable_line_is_named() {
        for (i, (text, message)) in [
            ("10,a,b\nx12,b,a\n", "FILE:2: `x12` is not a time in seconds"),
            ("timestamp,sender,recipient\n\n# c\n12,b\n", "FILE:4: 2 columns, the message needs 3"),
            ("10,a,b\n11,,b\n", "FILE:2: the sender is empty"),
            ("10 a b\n11,a,b\n", "FILE:2: 1 columns, the message needs 3"),
            ("-5,a,b\n", "FILE:1: `-5` is not a time in seconds"),
            ("timestamp,sender,recipient\n", "FILE: holds no messages"),
            ("", "FILE: holds no messages"),
            (
                "user1 user2 when\n17 18 10\n",
                "FILE:1: the header has user1, user2, when: say which of them hold time, sender and recipient by workload.columns",
            ),
            ("2013-11-24,a,b\n17,b,a\n", "FILE:2: `17` is not a date from 1970 on such as 2013-11-24T18:00:05Z"),
            ("1,a,a\n", "FILE: no messages in the window of 1d from 0s after the first message"),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(read_text(&format!("unreadable{i}"), text).unwrap_err(), message, "{text:?}");
        }
        let bytes = TempFile::new("bytes", b"1,a,b\n2,\xff,b\n");
        assert!(read(&trace(&bytes.0)).unwrap_err().to_string().ends_with(":2: not UTF-8 text"));
        let long = TempFile::new("long", &vec![b'1'; 100_000]);
        let error = read(&trace(&long.0)).unwrap_err().to_string();
        assert!(error.ends_with(":1: longer than 65536 bytes, is this a table?"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let file = TempFile::new("any", &bytes);
            let _ = read(&trace(&file.0));
        }

        #[test]
        fn what_is_written_is_read(rows in prop::collection::vec((0..80_000u32, 0..5u8, 0..5u8), 1..40)) {
            prop_assume!(rows.iter().any(|r| r.1 != r.2));
            let text: String = rows.iter().map(|(t, s, r)| format!("{t},u{s},u{r}\n")).collect();
            let window = read_text("written", &text).unwrap();
            let first = rows.iter().map(|r| r.0).min().unwrap();
            let mut expected: Vec<(f64, String, String)> = rows
                .iter()
                .filter(|r| r.1 != r.2)
                .map(|r| (f64::from(r.0 - first), format!("u{}", r.1), format!("u{}", r.2)))
                .collect();
            expected.sort_by(|x, y| x.0.total_cmp(&y.0));
            let read: Vec<_> =
                messages(&window).into_iter().map(|(t, s, r)| (t, s.to_owned(), r.to_owned())).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
