//! Reads recorded messages: lines of time, sender and recipient. `docs/scenarios.md` describes the format.
//!
//! The file is read twice from front to back: once for the earliest time, once for the window. Only the
//! window's messages and the names in them are kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::scenario::{Column, InputError, Trace};
use crate::units::{SECOND, format_duration};

/// The longest line, in bytes.
const MAX_LINE: u64 = 64 * 1024;
/// The most messages that a window may have: about 250 MB.
const MAX_MESSAGES: usize = 10_000_000;

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
    let mut ids: BTreeMap<String, u32> = BTreeMap::new();
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
        let mut id = |name: &str| match ids.get(name) {
            Some(&id) => id,
            None => {
                let id = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                ids.insert(name.to_owned(), id);
                id
            }
        };
        let (sender, recipient) = (id(line.sender), id(line.recipient));
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
    Ok(by_name(ids, messages, report))
}

/// Numbers the names in their own order, whatever the order in which they appeared.
fn by_name(ids: BTreeMap<String, u32>, mut messages: Vec<Recorded>, report: TraceReport) -> Window {
    let mut position = vec![0u32; ids.len()];
    for (new, &old) in (0u32..).zip(ids.values()) {
        if let Some(slot) = position.get_mut(old as usize) {
            *slot = new;
        }
    }
    let new = |old: u32| position.get(old as usize).copied().unwrap_or(old);
    for message in &mut messages {
        message.sender = new(message.sender);
        message.recipient = new(message.recipient);
    }
    Window { names: ids.into_keys().collect(), messages, report }
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
    let path: &Path = &trace.file;
    let unreadable =
        |error: std::io::Error| InputError::file(path, format!("the trace cannot be read: {error}"));
    let mut input = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut hash = Sha256::new();
    let mut layout: Option<Layout> = None;
    let mut buffer = Vec::new();
    for number in 1.. {
        buffer.clear();
        if input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut buffer).map_err(unreadable)? == 0 {
            break;
        }
        let wrong = |message: String| InputError::line(path, number, message);
        if buffer.len() as u64 > MAX_LINE {
            return Err(wrong(format!("longer than {MAX_LINE} bytes, is this a table of messages?")));
        }
        hash.update(&buffer);
        let text = std::str::from_utf8(&buffer).map_err(|_| wrong("not UTF-8 text".to_owned()))?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let layout = match &layout {
            Some(layout) => layout,
            None => {
                let (found, is_header) = Layout::of_first_line(text, trace.columns.as_deref());
                let found = &*layout.insert(found);
                if is_header {
                    continue;
                }
                found
            }
        };
        each(layout.message(text).map_err(wrong)?).map_err(wrong)?;
    }
    Ok(hash.finalize().into())
}

/// Where the columns are.
struct Layout {
    /// None for any run of blanks.
    separator: Option<char>,
    timestamp: usize,
    sender: usize,
    recipient: usize,
}

impl Layout {
    /// Decides by the first line, and whether that is a header. A header is a line whose time begins with a
    /// letter. It may name the three columns; what the scenario says comes first.
    fn of_first_line(text: &str, columns: Option<&[Column]>) -> (Self, bool) {
        let separator = [',', ';', '\t'].into_iter().find(|&c| text.contains(c));
        let fields = fields(separator, text);
        let standard = [Column::Timestamp, Column::Sender, Column::Recipient];
        let named: Vec<Column> = fields
            .iter()
            .map(|name| Column::named(&name.to_ascii_lowercase()).unwrap_or(Column::Ignored))
            .collect();
        let complete = standard.iter().all(|column| named.iter().filter(|&c| c == column).count() == 1);
        let columns = columns.unwrap_or(if complete { &named } else { &standard });
        let at = |column| columns.iter().position(|&c| c == column).unwrap_or_default();
        let layout = Self {
            separator,
            timestamp: at(Column::Timestamp),
            sender: at(Column::Sender),
            recipient: at(Column::Recipient),
        };
        let time = fields.get(layout.timestamp).copied().unwrap_or_default();
        let header = complete || time.starts_with(char::is_alphabetic);
        (layout, header)
    }

    fn message<'a>(&self, text: &'a str) -> Result<Line<'a>, String> {
        let fields = fields(self.separator, text);
        let needed = self.timestamp.max(self.sender).max(self.recipient) + 1;
        let at = |index: usize, what: &str| match fields.get(index) {
            Some(field) if !field.is_empty() => Ok(*field),
            Some(_) => Err(format!("the {what} is empty")),
            None => Err(format!("{} columns, the message needs {needed}", fields.len())),
        };
        let time = at(self.timestamp, "timestamp")?;
        let sender = at(self.sender, "sender")?;
        let recipient = at(self.recipient, "recipient")?;
        let at_ns = seconds(time).ok_or_else(|| format!("`{time}` is not a time in seconds"))?;
        Ok(Line { at_ns, sender, recipient })
    }
}

/// The columns of a line, without blanks and quotation marks around them.
fn fields(separator: Option<char>, text: &str) -> Vec<&str> {
    match separator {
        Some(separator) => text.split(separator).map(|field| field.trim().trim_matches('"')).collect(),
        None => text.split_whitespace().map(|field| field.trim_matches('"')).collect(),
    }
}

/// Nanoseconds of whole or decimal seconds; decimals beyond the ninth are dropped.
fn seconds(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) {
        return None;
    }
    let nine: String = decimals.chars().chain(std::iter::repeat('0')).take(9).collect();
    whole.parse::<u64>().ok()?.checked_mul(SECOND)?.checked_add(nine.parse().ok()?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::units::{DAY, HOUR};
    use proptest::prelude::*;
    use std::path::PathBuf;

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
        let columns = Some(vec![Column::Ignored, Column::Sender, Column::Recipient, Column::Timestamp]);
        let window = read(&Trace { columns, ..trace(&file.0) }).unwrap();
        assert_eq!(messages(&window), [(0.0, "a", "b"), (2.0, "b", "a")]);
    }

    #[test]
    fn seconds_may_have_decimals() {
        assert_eq!(seconds("12"), Some(12 * SECOND));
        assert_eq!(seconds("12.5"), Some(12 * SECOND + SECOND / 2));
        assert_eq!(seconds("0.0000000019"), Some(1));
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1.5.2", "99999999999999"] {
            assert_eq!(seconds(text), None, "{text:?}");
        }
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
        assert!(error.ends_with(":1: longer than 65536 bytes, is this a table of messages?"), "{error}");
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
