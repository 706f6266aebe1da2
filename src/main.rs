//! The `sxlab` command line: parses, dispatches, and turns the outcome into an exit code.
//!
//! | module | subcommand |
//! |---|---|
//! | [`run`] | simulate a scenario; also what runs without a subcommand |
//! | [`model`] | closed forms and Monte Carlo, side by side |
//! | [`sweep`] | a scenario under many parameters, networks and seeds |
//! | [`merge`] | parts of a sweep put together |
//! | [`compare`] | two result directories side by side |
//! | [`serve`] | the reference routers on real sockets |
//! | [`smp`] | small clients for people and scripts |
//! | [`catalogue`] | the requirements of the specifications |
//! | [`conform`] | whether a router speaks the protocol |
//!
//! [`exit`] has the exit codes, [`output`] the two streams, [`runtime`] the thread that clients and routers run on.

mod catalogue;
mod compare;
mod conform;
mod exit;
mod merge;
mod model;
mod output;
mod run;
mod runtime;
mod serve;
mod smp;
mod sweep;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use exit::{Failure, Outcome};

/// A testbed for the SimpleX network.
///
/// Without a subcommand, runs the built-in scenario. Data and JSON documents go to the standard output,
/// everything for people to the standard error.
///
/// Exit codes: 0 done, 1 failures, 2 usage or bad input, 3 target unreachable, 4 nothing selected, 70 a bug of sxlab.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Run(run::RunArgs),
    Model(model::ModelArgs),
    Sweep(sweep::SweepArgs),
    Merge(merge::MergeArgs),
    Compare(compare::CompareArgs),
    #[command(subcommand)]
    Serve(serve::Serve),
    #[command(subcommand)]
    Smp(smp::Smp),
    Catalogue(catalogue::CatalogueArgs),
    #[command(subcommand)]
    Conform(Box<conform::Conform>),
}

fn main() -> ExitCode {
    exit::report_panics();
    exit::catching_panics(|| match Cli::try_parse() {
        Ok(cli) => dispatch(cli),
        Err(error) => not_parsed(&error),
    })
}

fn dispatch(cli: Cli) -> Outcome {
    match cli.command {
        None => run::run(run::RunArgs::default()),
        Some(Command::Run(args)) => run::run(args),
        Some(Command::Model(args)) => model::run(&args),
        Some(Command::Sweep(args)) => sweep::run(args),
        Some(Command::Merge(args)) => merge::run(&args),
        Some(Command::Compare(args)) => compare::run(&args),
        Some(Command::Serve(what)) => serve::run(what),
        Some(Command::Smp(what)) => smp::run(what),
        Some(Command::Catalogue(args)) => catalogue::run(&args),
        Some(Command::Conform(what)) => conform::run(&what),
    }
}

/// Help and version are answers and go to the standard output; anything else is one line and exit code 2.
fn not_parsed(error: &clap::Error) -> Outcome {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            output::data(error.render().to_string().trim_end().as_bytes())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err(Failure::usage("a subcommand is missing, --help lists them"))
        }
        _ => Err(Failure::usage(in_one_line(&error.render().to_string()))),
    }
}

/// What clap says, without the usage that it adds.
fn in_one_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let mut parts = text.split("\n\n").map(str::trim);
    let what = parts.next().unwrap_or_default();
    match parts.find(|part| part.starts_with("tip: ")) {
        Some(tip) => format!("{what} ({tip})"),
        None => what.to_owned(),
    }
}
