//! The target that the arguments name.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::Args;
use rand_core::Rng;
use sxlab_conformance::target::client_pair::ClientPair;
use sxlab_conformance::target::pair::Pair;
use sxlab_conformance::target::sockets::{Deadlines, Remote};
use sxlab_conformance::target::spawned::Spawned;
use sxlab_conformance::target::spawned_client::SpawnedClient;
use sxlab_conformance::target::turmoil::Turmoil;
use sxlab_conformance::target::{Settings, Target};
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::wire::RouterAddress;
use sxlab_simnet::units::parse_duration;

use crate::exit::Failure;

/// What to test.
#[derive(Args, Debug)]
pub(super) struct TargetArgs {
    /// A router at this address; with --spawn, the address of the router that the command starts, its port aside.
    #[arg(long, value_name = "URI", conflicts_with_all = ["sim", "turmoil"])]
    target: Option<RouterAddress>,
    /// Our own router, or with --client our own client, in this process and without TLS, on virtual time.
    #[arg(long, conflicts_with_all = ["turmoil", "spawn"])]
    sim: bool,
    /// Our own router with TLS in a simulated network, on virtual time.
    #[arg(long, conflicts_with = "spawn")]
    turmoil: bool,
    /// A router that this command starts. {port} is where it has to listen on 127.0.0.1, {config} a file of settings as
    /// `sxlab serve smp --config` takes them. Without --target the command has to print the router's address.
    ///
    /// With --client: a client that is started as this command says for each thing that it has to do, for example
    /// "sxlab smp {action} {address}". {action} is ping, receive, send or resolve, {address} the router's address or for send the
    /// queue's; no shell reads it. After resolve comes the name, after send the messages, each an argument, and with a proxy first --via and its
    /// address. The client prints its queue's address and every message on a line of its own, and ends with 0 if it did
    /// what it had to.
    #[arg(long, value_name = "COMMAND")]
    spawn: Option<String>,
    /// What a client that --spawn starts can do: cases that need something else are skipped. forward is send with --via.
    #[arg(long, value_name = "ACTION,...", requires = "spawn", value_delimiter = ',',
        value_parser = clap::builder::PossibleValuesParser::new(SpawnedClient::ACTIONS),
        default_values = SpawnedClient::ACTIONS)]
    actions: Vec<String>,
    /// The router that --spawn starts keeps its queues when it is killed and started again; with {config} it always does.
    #[arg(long, requires = "spawn")]
    durable: bool,
    /// Settings that the target has, as quota=2,message_ttl=1s: cases that need others, or none, are skipped.
    #[arg(long, value_name = "NAME=VALUE,...", default_value = "", value_parser = Settings::parse, hide_default_value = true)]
    provides: Settings,
    /// How long to wait for what must come, on real time. A router with default settings needs 15s for some events.
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "40s")]
    patience: u64,
    /// How long silence has to last until it is believed, on real time.
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "1s")]
    silence: u64,
    /// The address of this machine at which the target reaches the suite, which plays relays for it.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    own_host: IpAddr,
}

/// A target, and what it needs besides.
pub(super) struct UnderTest {
    target: Box<dyn Target>,
    provides: Settings,
    directory: Option<Scratch>,
}

/// A directory for this run only.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of it does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn scratch() -> Result<Scratch, Failure> {
    let name = format!("sxlab-conform-{}", std::process::id());
    let scratch = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&scratch).map_err(|error| Failure::usage(error).of(scratch.display()))?;
    Ok(Scratch(scratch))
}

impl UnderTest {
    pub(super) fn target(&self) -> &dyn Target {
        self.target.as_ref()
    }

    pub(super) fn provides(&self) -> &Settings {
        &self.provides
    }
}

impl Drop for UnderTest {
    fn drop(&mut self) {
        // Processes end before their directory goes.
        self.target = Box::new(Pair::default());
        self.directory = None;
    }
}

impl TargetArgs {
    /// The client, ready to start.
    pub(super) fn open_client(&self) -> Result<UnderTest, Failure> {
        let provides = Settings::default();
        match &self.spawn {
            Some(command) if command.contains("{address}") => {
                let deadlines = Deadlines { patience: self.patience, silence: self.silence };
                let scratch = scratch()?;
                let target = SpawnedClient::new(command, &self.actions, deadlines, scratch.0.clone());
                Ok(UnderTest { target: Box::new(target), provides, directory: Some(scratch) })
            }
            Some(_) => {
                Err(Failure::usage("--spawn: the command says nowhere with {address} which router it is for"))
            }
            None if self.sim => {
                let target = Box::new(ClientPair::default());
                Ok(UnderTest { target, provides, directory: None })
            }
            None => Err(Failure::usage("a client is tested with --sim or --spawn")),
        }
    }

    /// A router on real time may have met what the suite draws from a seed that it had before: ids can't be used twice.
    pub(super) fn default_seed(&self) -> u64 {
        match self.target.is_some() || self.spawn.is_some() {
            true => RealWorld.rng().next_u64(),
            false => 1,
        }
    }

    /// The target, ready to start.
    pub(super) fn open(&self) -> Result<UnderTest, Failure> {
        let deadlines = Deadlines { patience: self.patience, silence: self.silence };
        let mut directory = None;
        let target: Box<dyn Target> = match (&self.spawn, &self.target) {
            (Some(command), address) => {
                if !command.contains("{port}") && !command.contains("{config}") {
                    return Err(Failure::usage(
                        "--spawn: the command says nowhere with {port} or {config} where the router listens",
                    ));
                }
                let made = scratch()?;
                let scratch = made.0.clone();
                directory = Some(made);
                let (address, provides) = (address.clone(), self.provides.clone());
                Box::new(Spawned::new(command, address, provides, deadlines, self.durable, scratch))
            }
            (None, Some(address)) => {
                let (address, provides) = (address.clone(), self.provides.clone());
                Box::new(Remote { address, provides, deadlines, own_host: self.own_host })
            }
            (None, None) if self.sim => Box::new(Pair::default()),
            (None, None) if self.turmoil => Box::new(Turmoil::default()),
            (None, None) => {
                return Err(Failure::usage("say what to test: --target, --spawn, --sim or --turmoil"));
            }
        };
        Ok(UnderTest { target, provides: self.provides.clone(), directory })
    }
}
