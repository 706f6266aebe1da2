//! `sxlab serve ntf`: a notification router.

mod config;
mod run;
mod settings;

use std::path::PathBuf;

use clap::Args;

use self::settings::Settings;
use crate::exit::{Exit, Failure, Outcome};
use crate::{output, runtime};

/// Run a notification router until ctrl-c or SIGTERM.
///
/// The standard output begins with the router's address, a line for each --listen, once it accepts connections. Times are
/// written as 40ms, 15s, 1h30m or 7d. Without --store, tokens and subscriptions are held in memory. Without --apns nothing is
/// pushed: only the provider of nobody works.
#[derive(Args, Debug)]
pub(crate) struct NtfArgs {
    /// Read settings from a TOML file: each flag below is a key there, with `_` for `-`. Flags win over the file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings that flags, file and defaults come to, as such a file, and run nothing.
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    settings: Settings,
    /// Hold tokens in memory even if the file names a store.
    #[arg(long, conflicts_with = "store")]
    memory: bool,
    /// Stop after so many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
}

/// Runs the subcommand.
pub(super) fn ntf(args: NtfArgs) -> Outcome {
    let settings = super::config::whole(args.settings, args.config.as_deref(), args.memory)?;
    if args.print_config {
        let file = toml::to_string(&settings).map_err(|error| Failure::new(Exit::Bug, error))?;
        return output::data(file.trim_end().as_bytes());
    }
    runtime::block_on(run::run(settings, args.seconds))
}
