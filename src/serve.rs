//! `sxlab serve`: the reference routers on real sockets.
//!
//! | module | what it does |
//! |---|---|
//! | [`settings`] | every setting of an SMP router, as a flag and as a key of the file |
//! | [`layers`], [`value`] | how settings are put together, and what their values may be |
//! | [`config`] | flags, file and defaults made one, and checked |
//! | [`run`](mod@run) | an SMP router from its first line to its last |
//! | [`ntf`] | the same of a notification router |
//! | [`apns`] | the stand-in for the provider that it pushes by |
//! | [`process`] | what all of them do: log, sockets, identity, the end |
//! | [`init`] | a router's certificates and keys, made |
//! | [`control`] | its control socket, and the client of it |
//! | [`metrics`] | what it counts, as Prometheus text |
//! | [`few`] | connections of the operator's own programs |

mod apns;
mod config;
mod control;
mod few;
mod init;
mod layers;
mod metrics;
mod ntf;
mod process;
mod run;
mod settings;
mod value;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::settings::Settings;
use self::value::Switch;
use crate::exit::Outcome;
use crate::{output, runtime};

/// Run a reference router on a real socket, or what stands in for a push provider.
#[derive(Subcommand, Debug)]
pub(crate) enum Serve {
    Smp(Box<SmpArgs>),
    Ntf(Box<ntf::NtfArgs>),
    Apns(apns::ApnsArgs),
    Control(control::ControlArgs),
}

/// Run an SMP router until ctrl-c or SIGTERM.
///
/// The standard output begins with the router's address, a line for each --listen, once it accepts connections. Times are
/// written as 40ms, 15s, 1h30m or 7d. Without --store, queues and messages are held in memory: they are gone when the
/// router stops, whether or not --dir keeps its identity.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SmpArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// Read settings from a TOML file: each flag below is a key there, with `_` for `-`. Flags win over the file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings that flags, file and defaults come to, as such a file, and run nothing. In the place of the password
    /// and the resolver's token there is a comment if they are set: to use the file, give them again.
    #[arg(long)]
    print_config: bool,
    /// With --print-config, print the password and the resolver's token too.
    #[arg(long, requires = "print_config")]
    show_secrets: bool,
    #[command(flatten)]
    settings: Settings,
    /// Hold queues in memory even if the file names a store.
    #[arg(long, conflicts_with = "store")]
    memory: bool,
    /// As --proxy off.
    #[arg(long, conflicts_with = "proxy")]
    no_proxy: bool,
    /// As --new-queues off.
    #[arg(long, conflicts_with = "new_queues")]
    no_new_queues: bool,
    /// Stop after so many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
}

#[derive(Subcommand, Debug)]
enum Action {
    Init(init::InitArgs),
}

/// Runs the subcommand.
pub(crate) fn run(what: Serve) -> Outcome {
    match what {
        Serve::Smp(args) => smp(*args),
        Serve::Ntf(args) => ntf::ntf(*args),
        Serve::Apns(args) => runtime::block_on(apns::apns(args)),
        Serve::Control(args) => runtime::block_on(control::control(args)),
    }
}

fn smp(args: SmpArgs) -> Outcome {
    if let Some(Action::Init(args)) = &args.action {
        return init::init(args);
    }
    let mut flags = args.settings;
    if args.no_proxy {
        flags.proxy = Some(Switch(false).into());
    }
    if args.no_new_queues {
        flags.new_queues = Some(Switch(false).into());
    }
    let settings = config::whole(flags, args.config.as_deref(), args.memory)?;
    if args.print_config {
        return output::data(config::print(&settings, args.show_secrets)?.trim_end().as_bytes());
    }
    runtime::block_on(run::run(settings, args.seconds))
}
