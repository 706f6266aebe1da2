//! Input files in TOML: read strictly, and what is wrong with one said in one line that names file, line and key.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// One thing wrong with an input file, shown as `FILE:LINE: KEY: message` on a single line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// The line, counted from 1, where one can be named.
    pub line: Option<usize>,
    /// The key, such as `operator.share`, where there is one.
    pub key: Option<String>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl InputError {
    /// An error about the file as a whole.
    pub(crate) fn file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, key: None, message: message.into() }
    }

    /// An error about a key, wherever it stands.
    pub(crate) fn key(file: &Path, key: &str, message: impl Into<String>) -> Self {
        Self { key: Some(key.to_owned()), ..Self::file(file, message) }
    }

    /// An error at a line that has no key, such as one of a trace.
    pub(crate) fn line(file: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: Some(line), key: None, message: message.into() }
    }
}

impl std::error::Error for InputError {}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{}:", self.file.display());
        if let Some(line) = self.line {
            text.push_str(&format!("{line}:"));
        }
        if let Some(key) = &self.key {
            text.push_str(&format!(" {key}:"));
        }
        text.push(' ');
        text.push_str(&self.message);
        // A name or value from the file may hold a line break.
        f.write_str(&text.replace(['\n', '\r'], " "))
    }
}

/// Makes errors that name the file and the line.
#[derive(Clone, Copy, Debug)]
pub struct Checker<'a> {
    pub(crate) file: &'a Path,
    text: &'a str,
}

impl<'a> Checker<'a> {
    /// For the text of a file, as the user named it.
    pub fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text }
    }

    /// The text as TOML of a form that refuses unknown keys.
    ///
    /// # Errors
    /// What the TOML reader or the form refuses.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, InputError> {
        toml::from_str(self.text).map_err(|error| self.not_read(error))
    }

    /// An error about a value.
    pub fn at(&self, span: Range<usize>, key: &str, message: impl Into<String>) -> InputError {
        InputError { line: Some(line_of(self.text, span.start)), ..self.whole(key, message) }
    }

    /// An error about a key that is not there.
    pub(crate) fn whole(&self, key: &str, message: impl Into<String>) -> InputError {
        InputError {
            file: self.file.to_owned(),
            line: None,
            key: Some(key.to_owned()),
            message: message.into(),
        }
    }

    fn not_read(&self, mut error: toml::de::Error) -> InputError {
        let span = error.span();
        // Without its input the error shows no excerpt but the path of the key.
        error.set_input(None);
        let shown = error.to_string();
        let table = shown.rsplit_once("\nin `").map(|(_, path)| path.trim_end().trim_end_matches('`'));
        let message = error.message();
        let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let inside = |name: &str| match table {
            Some(table) if !table.is_empty() => format!("{table}.{name}"),
            _ => name.to_owned(),
        };
        let (key, message) = match names.split_first() {
            Some((name, known)) if message.starts_with("unknown field") => {
                let hint = closest(name, known.iter().copied())
                    .map(|near| format!(", did you mean `{near}`?"))
                    .unwrap_or_else(|| format!(", known here are {}", list(known)));
                (Some(inside(name)), format!("unknown key{hint}"))
            }
            Some((name, _)) if message.starts_with("missing field") => {
                (Some(inside(name)), "missing".to_owned())
            }
            _ if message.starts_with("duplicate key") => {
                let name = span.clone().and_then(|span| self.text.get(span)).unwrap_or_default();
                (Some(inside(name)), "is there twice".to_owned())
            }
            _ => (table.map(str::to_owned), message.to_owned()),
        };
        InputError {
            file: self.file.to_owned(),
            line: span.map(|span| line_of(self.text, span.start)),
            key,
            message,
        }
    }
}

/// `a`, `b` and `c`.
pub(crate) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// The line, counted from 1, of a byte offset.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&b| b == b'\n').count()
}

/// Of `names` the one that a misspelt `word` was probably meant to be: at most a third of its letters differ.
pub(crate) fn closest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (distance(word, name), name))
        .filter(|&(d, name)| d * 3 <= name.chars().count().max(3))
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be added, removed, replaced or swapped with their neighbour to turn one word into the
/// other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (i, a) in from.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, &b) in to.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&row, j) + usize::from(a != b)).min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            if j > 0 && previous == Some(b) && to.get(j - 1) == Some(&a) {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
        previous = Some(a);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_single_slips() {
        for (from, to, d) in [
            ("", "", 0),
            ("share", "share", 0),
            ("shre", "share", 1),
            ("hsare", "share", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), d, "{from} {to}");
            assert_eq!(distance(to, from), d, "{to} {from}");
        }
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let names = ["share", "routers", "roles", "name"];
        assert_eq!(closest("shre", names), Some("share"));
        assert_eq!(closest("router", names), Some("routers"));
        assert_eq!(closest("colour", names), None);
        assert_eq!(closest("at", ["a", "at", "b"]), Some("at"));
    }

    #[test]
    fn an_error_is_one_line() {
        let error = InputError {
            file: "a.toml".into(),
            line: Some(3),
            key: Some("operator.name".to_owned()),
            message: "`x\ny` is taken".to_owned(),
        };
        assert_eq!(error.to_string(), "a.toml:3: operator.name: `x y` is taken");
        assert_eq!(InputError::file(Path::new("b"), "cannot be read").to_string(), "b: cannot be read");
    }

    #[test]
    fn lines_count_from_one() {
        assert_eq!(
            (line_of("ab\ncd", 0), line_of("ab\ncd", 2), line_of("ab\ncd", 3), line_of("", 9)),
            (1, 1, 2, 1)
        );
    }
}
