//! One requirement of a specification.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A requirement's stable name, such as `smp.transport.session-id`: the protocol, the area, and what is required. Never
/// a running number, so that entries can be added between others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RequirementId(String);

impl RequirementId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first part: `smp` of `smp.transport.session-id`.
    pub fn protocol(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// The first two parts: `smp.transport` of `smp.transport.session-id`.
    pub fn area(&self) -> &str {
        self.0.rsplit_once('.').map_or(self.0.as_str(), |(area, _)| area)
    }
}

impl FromStr for RequirementId {
    type Err = &'static str;

    /// Three parts with dots between them; each begins with a letter and has lower-case letters, digits and single
    /// hyphens inside.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
                && !part.ends_with('-')
                && !part.contains("--")
        };
        if text.split('.').count() == 3 && text.split('.').all(part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(
                "an id has three parts of lower-case letters, digits and hyphens, as `smp.transport.session-id`",
            )
        }
    }
}

impl fmt::Display for RequirementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How binding a requirement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Level {
    /// The specification says MUST, or MUST NOT.
    #[serde(rename = "MUST")]
    Must,
    /// The specification says SHOULD, or SHOULD NOT.
    #[serde(rename = "SHOULD")]
    Should,
    /// The specification says MAY.
    #[serde(rename = "MAY")]
    May,
    /// The specification does not say it in so many words, or not at all: it follows from the rest, or peers depend on
    /// what is deployed.
    #[serde(rename = "implied")]
    Implied,
}

impl Level {
    /// All levels, the most binding first.
    pub const ALL: [Level; 4] = [Level::Must, Level::Should, Level::May, Level::Implied];

    /// The word in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
            Level::May => "MAY",
            Level::Implied => "implied",
        }
    }
}

impl FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Level::ALL.into_iter().find(|level| level.name() == text);
        found.ok_or("a level is one of MUST, SHOULD, MAY and implied")
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The protocol versions that a requirement holds for, both ends included; written `11-20`, or `20` for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Versions {
    /// The first.
    pub min: u16,
    /// The last.
    pub max: u16,
}

impl Versions {
    /// Whether a version is among them.
    pub fn contains(&self, version: u16) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

impl FromStr for Versions {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| {
            let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
            text.parse::<u16>().ok().filter(|_| canonical)
        };
        let range = match text.split_once('-') {
            Some((min, max)) => number(min).zip(number(max)),
            None => number(text).map(|version| (version, version)),
        };
        match range {
            Some((min, max)) if text.contains('-') && min >= max => {
                Err("a range goes from a lower version to a higher one")
            }
            Some((min, max)) => Ok(Versions { min, max }),
            None => Err("versions are a number or a range, as `20` or `11-20`"),
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            f.pad(&self.min.to_string())
        } else {
            f.pad(&format!("{}-{}", self.min, self.max))
        }
    }
}

impl Serialize for Versions {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Who is under test for a requirement. A proxy and a relay are routers; a service is a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The router's conduct fulfils it.
    Router,
    /// The client's does.
    Client,
    /// Each has its part.
    Both,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 3] = [Role::Router, Role::Client, Role::Both];

    /// The word in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Role::Router => "router",
            Role::Client => "client",
            Role::Both => "both",
        }
    }

    /// Whether a test of `tested` can say something about a requirement on this role. Asked with [`Role::Both`]: always.
    pub fn concerns(self, tested: Role) -> bool {
        self == tested || self == Role::Both || tested == Role::Both
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Role::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or("a role is one of router, client and both")
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where the published document and the deployed implementation differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deviation {
    /// What the document says.
    pub document: String,
    /// What the deployed implementation does.
    pub deployed: String,
    /// Which of the two is tested.
    pub tested: Tested,
    /// The difference's names in the code's comments, such as `D5`; none for one that has no name.
    pub numbers: Vec<String>,
}

/// Which side of a deviation is tested unless the run is asked for the document's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tested {
    /// The deployed implementation's.
    Deployed,
    /// The document's.
    Document,
}

impl FromStr for Tested {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "deployed" => Ok(Tested::Deployed),
            "document" => Ok(Tested::Document),
            _ => Err("tested is either deployed or document"),
        }
    }
}

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// Its name.
    pub id: RequirementId,
    /// How binding it is.
    pub level: Level,
    /// Where the specification has it: document and heading; `deployed` alone for what no document says.
    pub section: String,
    /// The versions of its protocol that it holds for.
    pub versions: Versions,
    /// Who is under test.
    pub role: Role,
    /// What is required, in one sentence.
    pub text: String,
    /// Its short names in the code's comments, such as `TR-14`; none for what was only seen on the wire.
    pub rows: Vec<String>,
    /// Why no test from outside can see whether it is fulfilled; none where one can.
    pub unobservable: Option<String>,
    /// Where document and deployed implementation differ about it.
    pub deviation: Option<Deviation>,
}
