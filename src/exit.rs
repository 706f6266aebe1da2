//! How the program ends: every exit code, and the one line that goes with a failure.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; everything that was required passed |
//! | 1 | failures: a check failed, a router refused, a message did not come |
//! | 2 | usage or bad input: arguments, files, addresses |
//! | 3 | the target could not be reached: no session with it, or the session ended |
//! | 4 | nothing was selected |
//! | 70 | a bug of this program |

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why the program does not end with 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something that was required failed.
    Failures = 1,
    /// Usage or bad input.
    Usage = 2,
    /// The target could not be reached.
    Unreachable = 3,
    /// Nothing was selected.
    Nothing = 4,
    /// A bug of this program.
    Bug = 70,
}

/// A failure: its exit code and what to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Exit,
    /// Empty where whoever would read it has gone, as with a closed pipe.
    message: String,
}

impl Failure {
    /// A failure with a message, which is printed as one line whatever it holds.
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }

    /// Usage or bad input.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The same failure, its message after `context`.
    pub(crate) fn of(self, context: impl fmt::Display) -> Self {
        Self { message: format!("{context}: {}", self.message), ..self }
    }

    /// Prints the line and gives the code.
    pub(crate) fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            say(&self.message);
        }
        ExitCode::from(self.exit as u8)
    }
}

/// What a subcommand comes to.
pub(crate) type Outcome = Result<(), Failure>;

/// One line to people, on the standard error.
fn say(message: &str) {
    let one_line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    // With the standard error closed there is nobody left to tell.
    let _ = writeln!(io::stderr(), "sxlab: {one_line}");
}

/// From now on a panic is one line, too.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| say(&format!("this is a bug of sxlab: {panic}"))));
}

/// Turns a panic of `work` into the exit code of a bug. The panic's line was printed when it happened.
pub(crate) fn catching_panics(work: impl FnOnce() -> Outcome + std::panic::UnwindSafe) -> ExitCode {
    match std::panic::catch_unwind(work) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => failure.report(),
        Err(_) => ExitCode::from(Exit::Bug as u8),
    }
}
