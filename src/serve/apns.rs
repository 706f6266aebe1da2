//! `sxlab serve apns`: what stands in for Apple's push notification service.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use rand_core::Rng;
use sxlab_node::apns::ApnsNode;
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::apns::StandInConfig;
use sxlab_protocol::apns::jwt::Signer;
use sxlab_protocol::wire::base64url;

use super::process::{Asked, kept, listen, log, port_of};
use super::value::{Count, Delay, Interval, Level, Word};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// The file of the key that pushes are signed with.
const KEY: &str = "AuthKey.p8";

/// Run what stands in for Apple's push notification service, until ctrl-c or SIGTERM.
///
/// The standard output begins with its address and its identity, `HOST:PORT HASH`, once it accepts connections: the --apns and the
/// --apns-identity of `sxlab serve ntf`. The key that a notification router signs with is AuthKey.p8 in --dir. Devices get their
/// pushes by connections of their own; how is in docs/notifications.md. On stop the standard output ends with what became of pushes,
/// a line of JSON.
#[derive(Args, Debug)]
pub(crate) struct ApnsArgs {
    /// Where to listen; port 0 lets the system choose one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Keep the certificates, the keys and AuthKey.p8 here; they are made if they are not there.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The team that pushes come from.
    #[arg(long, value_name = "ID", default_value = "SXLABTEAM0")]
    team: Word,
    /// The id of the team's key.
    #[arg(long, value_name = "ID", default_value = "SXLABKEY00")]
    key_id: Word,
    /// The app that pushes are for.
    #[arg(long, value_name = "APP", default_value = "chat.simplex.app")]
    topic: Word,
    /// Bytes that a push's body has at most. Apple documents 4096, which is less than sealed pushes have (docs/notifications.md).
    #[arg(long, value_name = "N", default_value = "4096")]
    body_limit: Count,
    /// Devices that are known at most.
    #[arg(long, value_name = "N", default_value = "1048576")]
    devices: Count,
    /// Pushes that are kept for a device that is offline: the newest so many; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 1)]
    kept: u32,
    /// How long a push is kept.
    #[arg(long, value_name = "TIME", default_value = "30d")]
    retention: Interval,
    /// The share of pushes to devices that are online that get lost, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    lost: f64,
    /// The least time between two pushes in the background that reach a device; those between get lost.
    #[arg(long, value_name = "TIME", default_value = "0s")]
    background_interval: Delay,
    /// What decides which pushes get lost; without it, chance.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How much to log: error, warn, info or debug.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: Level,
    /// Stop after so many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is not a share from 0 to 1"))
}

/// Runs the subcommand.
pub(super) async fn apns(args: ApnsArgs) -> Outcome {
    log(args.log.0);
    let mut asked = Asked::new(args.seconds)?;
    let listener = listen("listen", args.listen).await?;
    let address = port_of(&listener)?;
    let identity = kept(&args.dir, "localhost")?;
    let signer = signer(&args)?;
    let config = StandInConfig {
        topic: args.topic.0,
        body_limit: args.body_limit.get(),
        devices: args.devices.get(),
        kept: usize::try_from(args.kept).unwrap_or(usize::MAX),
        retention: args.retention.0,
        lost: args.lost,
        background_interval: args.background_interval.0,
        seed: args.seed.unwrap_or_else(|| RealWorld.rng().next_u64()),
    };
    let node = ApnsNode::new(RealWorld, &identity, signer.verifier(), config)
        .map_err(|error| Failure::new(Exit::Bug, error))?;
    output::data(format!("{address} {}", base64url(&identity.identity_hash())).as_bytes())?;
    output::note(format_args!("pushes are to be signed with {}", args.dir.join(KEY).display()));
    let ended = tokio::select! {
        biased;
        () = asked.once() => Ok(()),
        served = node.serve(&listener) => {
            served.map_err(|error| Failure::new(Exit::Failures, error).of("listening"))
        }
    };
    let pushes = node.statistics();
    let told = serde_json::json!({
        "taken": pushes.taken,
        "refused": pushes.refused,
        "delivered": pushes.delivered,
        "replaced": pushes.replaced,
        "expired": pushes.expired,
        "lost_on_the_way": pushes.on_the_way,
        "throttled": pushes.throttled,
        "unregistered": pushes.unregistered,
    });
    output::data(told.to_string().as_bytes())?;
    ended
}

/// The key in the directory, made there if there is none.
fn signer(args: &ApnsArgs) -> Result<Signer, Failure> {
    let path = args.dir.join(KEY);
    let failed = |error: &dyn std::fmt::Display| Failure::usage(error).of(path.display());
    match std::fs::read_to_string(&path) {
        Ok(pem) => Signer::from_pem(&args.team.0, &args.key_id.0, &pem).map_err(|error| failed(&error)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let signer = Signer::generate(&args.team.0, &args.key_id.0, &mut RealWorld.rng());
            let pem = signer.to_pem().map_err(|error| Failure::new(Exit::Bug, error))?;
            write(&path, &pem).map_err(|error| failed(&error))?;
            Ok(signer)
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Writes a file that only its owner reads: whole, or not at all.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let partial = path.with_extension("p8.partial");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&partial, path)
}
