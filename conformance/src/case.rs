//! A case: one thing to try, the requirements that it covers, and the verdict.

use serde::{Deserialize, Serialize};

use crate::lab::{Failure, Lab};
use crate::ntf::NtfLab;
use crate::requirement::{Role, Versions};
use crate::target::Settings;

/// One thing to try.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its stable name, such as `transport.wrong-identity`: the area and what is tried.
    pub id: &'static str,
    /// What has to happen, in one sentence.
    pub title: &'static str,
    /// The requirements that it covers, by their ids.
    pub requirements: &'static [&'static str],
    /// The versions at which it is run, both ends included.
    pub versions: Versions,
    /// What it needs of the target.
    pub settings: fn(&mut Settings),
    /// Which side is under test.
    pub role: Role,
    /// Whether its expectation differs with [`Lab::strict_document`].
    pub deviates: bool,
    /// Tries it.
    pub run: Run,
}

/// What a case does, by protocol.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// On a router or client of SMP.
    Smp(fn(&mut Lab<'_>) -> Outcome),
    /// On a notification router.
    Ntf(fn(&mut NtfLab) -> Outcome),
}

/// How a case ended: nothing, or what went wrong.
pub type Outcome = Result<(), Failure>;

impl Case {
    /// A case for a router at all versions, with default settings.
    pub const fn new(
        id: &'static str,
        title: &'static str,
        requirements: &'static [&'static str],
        run: fn(&mut Lab<'_>) -> Outcome,
    ) -> Self {
        Self::of(id, title, requirements, Versions { min: 6, max: 20 }, Run::Smp(run))
    }

    /// A case for a notification router at all versions.
    pub const fn ntf(
        id: &'static str,
        title: &'static str,
        requirements: &'static [&'static str],
        run: fn(&mut NtfLab) -> Outcome,
    ) -> Self {
        Self::of(id, title, requirements, Versions { min: 1, max: 3 }, Run::Ntf(run))
    }

    const fn of(
        id: &'static str,
        title: &'static str,
        requirements: &'static [&'static str],
        versions: Versions,
        run: Run,
    ) -> Self {
        Self { id, title, requirements, versions, settings: |_| {}, role: Role::Router, deviates: false, run }
    }

    /// The protocol that it is about, as ids of requirements begin.
    pub const fn protocol(&self) -> &'static str {
        match self.run {
            Run::Smp(_) => "smp",
            Run::Ntf(_) => "ntf",
        }
    }

    /// The same at these versions only.
    #[must_use]
    pub const fn versions(mut self, min: u16, max: u16) -> Self {
        self.versions = Versions { min, max };
        self
    }

    /// The same with settings that the target has to have.
    #[must_use]
    pub const fn settings(mut self, change: fn(&mut Settings)) -> Self {
        self.settings = change;
        self
    }

    /// The same for a client.
    #[must_use]
    pub const fn client(mut self) -> Self {
        self.role = Role::Client;
        self
    }

    /// The same, with an expectation that depends on whether the document is tested strictly.
    #[must_use]
    pub const fn deviates(mut self) -> Self {
        self.deviates = true;
        self
    }

    /// The settings that the target has to have.
    pub fn needs(&self) -> Settings {
        let mut settings = Settings::default();
        (self.settings)(&mut settings);
        settings
    }
}

/// What a case says of a target at one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As required.
    Pass,
    /// Not as required, in a way that peers tolerate.
    NonStrict,
    /// Not as required.
    Fail,
    /// The target does not have what the case is about.
    Unsupported,
    /// The case can't be run with this target.
    Skipped,
    /// The suite failed, or lost the target: it says nothing about the target's conformance.
    Error,
}

impl Verdict {
    /// All, the best first.
    pub const ALL: [Verdict; 6] = [
        Verdict::Pass,
        Verdict::NonStrict,
        Verdict::Fail,
        Verdict::Unsupported,
        Verdict::Skipped,
        Verdict::Error,
    ];

    /// The word in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::NonStrict => "non-strict",
            Verdict::Fail => "fail",
            Verdict::Unsupported => "unsupported",
            Verdict::Skipped => "skipped",
            Verdict::Error => "error",
        }
    }
}
