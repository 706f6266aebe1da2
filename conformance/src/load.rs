//! Reads catalogue files.
//!
//! ```toml
//! [[requirement]]
//! id = "smp.transport.session-id"
//! level = "MUST"
//! section = "SMP: transport handshake"
//! versions = "6-20"
//! role = "both"                         # who is under test: router, client or both
//! text = "…"
//! rows = ["TR-14"]                      # optional: names in the code's comments
//! unobservable = "…"                    # optional: why no test from outside can see it
//! [requirement.deviation]               # optional
//! document = "…"
//! deployed = "…"
//! tested = "deployed"                   # or "document"
//! numbers = ["D5"]                      # optional
//! ```
//!
//! Whatever is wrong is a [`CatalogueError`] of one line. A file is taken as a whole or not at all.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde_spanned::Spanned;

use crate::requirement::{Deviation, Requirement, RequirementId, Role, Tested, Versions};

/// The protocols that requirements may belong to and their versions. `client` is the format of what the two ends of a
/// queue exchange; its versions are those in queue addresses.
pub const PROTOCOLS: [(&str, Versions); 3] = [
    ("smp", Versions { min: 6, max: 20 }),
    ("client", Versions { min: 1, max: 4 }),
    ("ntf", Versions { min: 1, max: 3 }),
];

/// One thing wrong with a catalogue file, shown as `FILE:LINE: key: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueError {
    /// The file's name.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The key; empty where the file is not TOML.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

impl std::error::Error for CatalogueError {}

impl fmt::Display for CatalogueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{}:{}: ", self.file, self.line);
        if !self.key.is_empty() {
            text.push_str(&format!("{}: ", self.key));
        }
        text.push_str(&self.message);
        // A value from the file may hold a line break.
        f.write_str(&text.replace(['\n', '\r'], " "))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    requirement: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    level: Spanned<String>,
    section: Spanned<String>,
    versions: Spanned<String>,
    role: Spanned<String>,
    text: Spanned<String>,
    #[serde(default)]
    rows: Vec<Spanned<String>>,
    unobservable: Option<Spanned<String>>,
    deviation: Option<DeviationEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviationEntry {
    document: Spanned<String>,
    deployed: Spanned<String>,
    tested: Spanned<String>,
    #[serde(default)]
    numbers: Vec<Spanned<String>>,
}

/// Reads files, each a name for errors and its text, into requirements ordered by id.
///
/// # Errors
/// The first thing wrong: not TOML, a key that is unknown or missing, a value that does not follow its syntax, an id
/// that is there twice.
pub fn parse(files: &[(&str, &str)]) -> Result<BTreeMap<RequirementId, Requirement>, CatalogueError> {
    let mut requirements = BTreeMap::new();
    let mut places: BTreeMap<RequirementId, String> = BTreeMap::new();
    for &(name, text) in files {
        let file = Source { name, text };
        let parsed: File = toml::from_str(text).map_err(|error| file.not_read(&error))?;
        for entry in parsed.requirement {
            let place = format!("{name}:{}", file.line(&entry.id));
            let requirement = file.requirement(&entry)?;
            if let Some(first) = places.insert(requirement.id.clone(), place) {
                return Err(file.wrong(&entry.id, "id", format!("`{}` is also at {first}", requirement.id)));
            }
            requirements.insert(requirement.id.clone(), requirement);
        }
    }
    Ok(requirements)
}

struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn line<T>(&self, value: &Spanned<T>) -> usize {
        self.line_at(value.span().start)
    }

    fn line_at(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
    }

    fn wrong<T>(&self, value: &Spanned<T>, key: &str, message: impl Into<String>) -> CatalogueError {
        let (file, line) = (self.name.to_owned(), self.line(value));
        CatalogueError { file, line, key: key.to_owned(), message: message.into() }
    }

    /// What toml says, in one line. Its message quotes the key.
    fn not_read(&self, error: &toml::de::Error) -> CatalogueError {
        let line = self.line_at(error.span().map_or(0, |span| span.start));
        let message = error.message().to_owned();
        let key = message.split('`').nth(1).unwrap_or_default().to_owned();
        CatalogueError { file: self.name.to_owned(), line, key, message }
    }

    fn requirement(&self, entry: &Entry) -> Result<Requirement, CatalogueError> {
        let id: RequirementId = self.value("id", &entry.id)?;
        let versions: Versions = self.value("versions", &entry.versions)?;
        let protocol = PROTOCOLS.iter().find(|(name, _)| *name == id.protocol());
        let Some((_, known)) = protocol else {
            let names = PROTOCOLS.map(|(name, _)| name).join(", ");
            return Err(self.wrong(&entry.id, "id", format!("unknown protocol, known are {names}")));
        };
        if !(known.contains(versions.min) && known.contains(versions.max)) {
            let message = format!("{} has versions {known}, not {versions}", id.protocol());
            return Err(self.wrong(&entry.versions, "versions", message));
        }
        let deviation = entry.deviation.as_ref().map(|deviation| {
            Ok(Deviation {
                document: self.sentence("deviation.document", &deviation.document)?,
                deployed: self.sentence("deviation.deployed", &deviation.deployed)?,
                tested: self.value::<Tested>("deviation.tested", &deviation.tested)?,
                numbers: self.names("deviation.numbers", &deviation.numbers)?,
            })
        });
        let unobservable = entry.unobservable.as_ref().map(|why| self.sentence("unobservable", why));
        Ok(Requirement {
            id,
            level: self.value("level", &entry.level)?,
            section: self.sentence("section", &entry.section)?,
            versions,
            role: self.value::<Role>("role", &entry.role)?,
            text: self.sentence("text", &entry.text)?,
            rows: self.names("rows", &entry.rows)?,
            unobservable: unobservable.transpose()?,
            deviation: deviation.transpose()?,
        })
    }

    fn value<T: FromStr<Err = &'static str>>(
        &self,
        key: &str,
        value: &Spanned<String>,
    ) -> Result<T, CatalogueError> {
        value.get_ref().parse().map_err(|why| self.wrong(value, key, format!("`{}`: {why}", value.get_ref())))
    }

    /// Text on one line, not empty and without space at its ends.
    fn sentence(&self, key: &str, value: &Spanned<String>) -> Result<String, CatalogueError> {
        let text = value.get_ref();
        if text.is_empty() {
            return Err(self.wrong(value, key, "is empty"));
        }
        if text.trim() != text || text.contains(['\n', '\r']) {
            return Err(self.wrong(value, key, "must be one line without space at its ends"));
        }
        Ok(text.clone())
    }

    /// Names as in comments: `TR-14`, `D5`.
    fn names(&self, key: &str, values: &[Spanned<String>]) -> Result<Vec<String>, CatalogueError> {
        let named = |value: &Spanned<String>| {
            let name = value.get_ref();
            let digits = name.trim_start_matches(|c: char| c.is_ascii_uppercase());
            let letters = name.len() - digits.len();
            let digits = digits.strip_prefix('-').unwrap_or(digits);
            if letters > 0 && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
                Ok(name.clone())
            } else {
                Err(self.wrong(value, key, format!("`{name}` is not a name such as `TR-14` or `D5`")))
            }
        };
        values.iter().map(named).collect()
    }
}
