//! How a case ends when it does not pass.

/// Why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The target did something else than required.
    #[error("{0}")]
    Wrong(String),
    /// The target answered `ERR CMD UNKNOWN` where something else is required: unsupported if it knows nonsense from
    /// commands, else wrong.
    #[error("{0}")]
    UnknownCommand(String),
    /// The target does not have what the case is about, and need not.
    #[error("{0}")]
    Unsupported(String),
    /// The case can't be run with this target.
    #[error("{0}")]
    Skipped(String),
    /// There is no connection to the target; it says nothing about its conformance.
    #[error("{0}")]
    Unreachable(String),
    /// The suite itself failed.
    #[error("{0}")]
    Error(String),
}

impl Failure {
    /// The target did something else than required.
    pub fn wrong(text: impl Into<String>) -> Self {
        Failure::Wrong(text.into())
    }

    /// The suite itself failed.
    pub fn error(text: impl std::fmt::Display) -> Self {
        Failure::Error(text.to_string())
    }

    /// The same of a command that every router has: `ERR CMD UNKNOWN` is then as wrong as any other answer.
    #[must_use]
    pub fn of_known_command(self) -> Self {
        match self {
            Failure::UnknownCommand(text) => Failure::Wrong(text),
            failure => failure,
        }
    }

    /// The same, said of something.
    #[must_use]
    pub fn during(self, what: &str) -> Self {
        let said = |text: String| format!("{what}: {text}");
        match self {
            Failure::Wrong(text) => Failure::Wrong(said(text)),
            Failure::UnknownCommand(text) => Failure::UnknownCommand(said(text)),
            Failure::Unsupported(text) => Failure::Unsupported(said(text)),
            Failure::Skipped(text) => Failure::Skipped(said(text)),
            Failure::Unreachable(text) => Failure::Unreachable(said(text)),
            Failure::Error(text) => Failure::Error(said(text)),
        }
    }
}

/// Says that something must hold, or how it does not.
///
/// # Errors
/// [`Failure::Wrong`] with `otherwise`.
pub fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Wrong(otherwise())) }
}

/// Says that two values must be equal; `what` names them.
///
/// # Errors
/// [`Failure::Wrong`].
pub fn require_eq<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), Failure> {
    require(found == expected, || format!("{what} is {found:?}, expected {expected:?}"))
}
