//! `sxlab serve`: the reference routers on real sockets.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sxlab_node::identity::{IdentityError, RouterIdentity};
use sxlab_node::router::RouterNode;
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::smp::router::{QueueStore, RouterConfig};
use sxlab_protocol::wire::{Host, RouterAddress};
use sxlab_simnet::units::parse_duration;

use crate::exit::{Exit, Failure, Outcome};
use crate::{output, runtime};

/// Run a reference router on a real socket.
#[derive(Subcommand, Debug)]
pub(crate) enum Serve {
    Smp(SmpArgs),
}

/// Run an SMP router until ctrl-c.
///
/// The first line on the standard output is the router's address, once it accepts connections. Queues and messages
/// are held in memory in this version: they are gone when the router stops, whether or not --dir keeps its identity.
#[derive(Args, Debug)]
pub(crate) struct SmpArgs {
    /// Where to listen; port 0 lets the system choose one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The host in the printed address [default: the one listened on].
    #[arg(long)]
    host: Option<Host>,
    /// Keep the router's certificates and keys here, and so its address; without it they are made for this run only.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Messages that a queue holds before it refuses more.
    #[arg(long, value_name = "N", default_value_t = RouterConfig::default().queue_quota)]
    quota: usize,
    /// How long the router gathers END events before it sends them [default: 15s].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    end_interval: Option<u64>,
    /// The password that creating queues and proxying need; it becomes part of the printed address.
    #[arg(long)]
    password: Option<String>,
    /// Forward no commands to other routers.
    #[arg(long)]
    no_proxy: bool,
    /// Create no queues.
    #[arg(long)]
    no_new_queues: bool,
    /// Stop after so many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
}

/// Runs the subcommand.
pub(crate) fn run(what: Serve) -> Outcome {
    match what {
        Serve::Smp(args) => runtime::block_on(serve_smp(args)),
    }
}

async fn serve_smp(args: SmpArgs) -> Outcome {
    let host = host(&args)?;
    let world = RealWorld;
    let identity = identity(world, args.dir.as_deref(), &host)?;
    let listener = RealWorld::listen(args.listen).await;
    let listener = listener.map_err(|error| Failure::usage(format_args!("{}: {error}", args.listen)))?;
    let port = listener.local_addr().map_err(|error| Failure::usage(error).of(args.listen))?.port();
    let address = RouterAddress {
        hosts: vec![host],
        port: Some(port),
        identity: identity.identity_hash(),
        password: args.password.clone(),
    };
    if address.to_string().parse() != Ok(address.clone()) {
        return Err(Failure::usage(
            "--password: an address can hold printable ASCII characters other than space and `@ : /` only",
        ));
    }
    let defaults = RouterConfig::default();
    let config = RouterConfig {
        queue_quota: args.quota,
        end_interval: args.end_interval.unwrap_or(defaults.end_interval),
        password: args.password,
        new_queues: !args.no_new_queues,
        proxy: !args.no_proxy,
        ..defaults
    };
    let router = RouterNode::new(world, &identity, config, QueueStore::default(), None);
    let router = router.map_err(|error| Failure::new(Exit::Bug, error))?;
    output::data(address.to_string().as_bytes())?;
    output::note("queues are in memory: they are gone when this router stops (ctrl-c)");
    let stop = async {
        match args.seconds {
            Some(seconds) => world.sleep(seconds.saturating_mul(1_000_000_000)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        served = router.serve(&listener) => {
            served.map_err(|error| Failure::new(Exit::Failures, error).of(address.public()))
        }
        () = stop => Ok(()),
    }
}

/// The host of the address: what was asked for, or the one listened on where others can name it.
fn host(args: &SmpArgs) -> Result<Host, Failure> {
    match (&args.host, args.listen) {
        (Some(host), _) => Ok(host.clone()),
        (None, listen) if listen.ip().is_unspecified() => Err(Failure::usage(format_args!(
            "--listen {listen} is every host of this machine: say with --host which one the address names"
        ))),
        (None, SocketAddr::V4(listen)) => Ok(Host::V4(*listen.ip())),
        (None, SocketAddr::V6(listen)) => Ok(Host::V6(*listen.ip())),
    }
}

/// The identity kept in `dir`, made there if there is none; or one for this run only.
fn identity(world: RealWorld, dir: Option<&Path>, host: &Host) -> Result<RouterIdentity, Failure> {
    let mint = || RouterIdentity::mint(&host.to_string(), &mut world.rng());
    let kept = |dir: &Path| -> Result<RouterIdentity, IdentityError> {
        match RouterIdentity::load(dir, world.now() / 1_000_000_000)? {
            Some(identity) => Ok(identity),
            None => {
                let identity = mint()?;
                identity.save(dir)?;
                Ok(identity)
            }
        }
    };
    match dir {
        Some(dir) => kept(dir).map_err(|error| Failure::usage(error).of(dir.display())),
        None => mint().map_err(|error| Failure::new(Exit::Bug, error)),
    }
}
