//! Text files of columns, read from front to back: traces and friendship lists. Memory is one line's.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::input::InputError;

/// The longest line, in bytes.
const MAX_LINE: u64 = 64 * 1024;

/// Calls `each` with the number and text of every line that is not empty, without blanks around it, and returns
/// the SHA-256 of the file's bytes. What `each` refuses becomes an error at the line. `what` is the file in
/// errors, such as "the trace".
pub(crate) fn lines(
    path: &Path,
    what: &str,
    mut each: impl FnMut(&str) -> Result<(), String>,
) -> Result<[u8; 32], InputError> {
    let unreadable =
        |error: std::io::Error| InputError::file(path, format!("{what} cannot be read: {error}"));
    let mut input = BufReader::with_capacity(1 << 18, File::open(path).map_err(unreadable)?);
    let mut hash = Sha256::new();
    let mut buffer = Vec::new();
    for number in 1.. {
        buffer.clear();
        if input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut buffer).map_err(unreadable)? == 0 {
            break;
        }
        let wrong = |message: String| InputError::line(path, number, message);
        if buffer.len() as u64 > MAX_LINE {
            return Err(wrong(format!("longer than {MAX_LINE} bytes, is this a table?")));
        }
        hash.update(&buffer);
        let text = std::str::from_utf8(&buffer).map_err(|_| wrong("not UTF-8 text".to_owned()))?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if !text.is_empty() {
            each(text).map_err(wrong)?;
        }
    }
    Ok(hash.finalize().into())
}

/// What stands between columns.
#[derive(Clone, Copy)]
pub(crate) enum Separator {
    /// A comma, a semicolon or a tab.
    One(char),
    /// Any run of blanks.
    Blanks,
}

impl Separator {
    /// Decides by a line.
    pub(crate) fn of(text: &str) -> Self {
        [',', ';', '\t'].into_iter().find(|&c| text.contains(c)).map_or(Self::Blanks, Self::One)
    }

    /// The column at a position, without blanks and quotation marks around it.
    pub(crate) fn field(self, text: &str, position: usize) -> Option<&str> {
        let field = match self {
            Self::One(separator) => text.split(separator).nth(position).map(str::trim),
            Self::Blanks => text.split_whitespace().nth(position),
        };
        field.map(|field| field.trim_matches('"'))
    }

    /// Every column.
    pub(crate) fn fields(self, text: &str) -> Vec<&str> {
        (0..).map_while(|position| self.field(text, position)).collect()
    }
}
