//! A router at an address, reached over TCP.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::wire::{Host, RouterAddress};
use tokio::runtime::Runtime;

use super::wires::Wires;
use super::{
    Dial, Instance, Line, Listen, NoConnection, Operation, Read, Settings, Target, Tls, Unavailable,
};

/// How patient the suite is with a target on real time, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// How long is waited for what must come.
    pub patience: u64,
    /// How long silence has to last until it is believed.
    pub silence: u64,
}

impl Default for Deadlines {
    /// Forty seconds, which is more than any interval or limit of a deployed router after which something comes; and one.
    fn default() -> Self {
        Self { patience: 40_000_000_000, silence: 1_000_000_000 }
    }
}

/// A router at an address. It is not started, stopped or configured: it has the settings that somebody says it has.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where it is.
    pub address: RouterAddress,
    /// Its settings, where they are not the deployed router's defaults.
    pub provides: Settings,
    /// How patient to be.
    pub deadlines: Deadlines,
    /// The address that the target reaches the suite at, as a relay.
    pub own_host: IpAddr,
}

impl Remote {
    /// A router with default settings, which reaches the suite on the same machine.
    pub fn new(address: RouterAddress) -> Self {
        let (provides, deadlines) = (Settings::default(), Deadlines::default());
        Self { address, provides, deadlines, own_host: IpAddr::V4(Ipv4Addr::LOCALHOST) }
    }
}

impl Target for Remote {
    fn name(&self) -> String {
        self.address.public().to_string()
    }

    fn start(&self, settings: &Settings, _seed: u64) -> Result<Box<dyn Instance>, Unavailable> {
        settings.among(&self.provides)?;
        Ok(Box::new(Sockets::new(self.address.clone(), self.deadlines, self.own_host)?))
    }
}

/// Connections over TCP with a router.
pub(super) struct Sockets {
    runtime: Runtime,
    wires: Wires<RealWorld>,
    address: RouterAddress,
    deadlines: Deadlines,
    own_host: IpAddr,
}

fn ours(error: impl std::fmt::Display) -> Unavailable {
    Unavailable(format!("the suite can't use the network: {error}"))
}

impl Sockets {
    pub(super) fn new(
        address: RouterAddress,
        deadlines: Deadlines,
        own_host: IpAddr,
    ) -> Result<Self, Unavailable> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ours)?;
        Ok(Self { runtime, wires: Wires::new(RealWorld), address, deadlines, own_host })
    }

    fn run<T>(&self, step: impl Future<Output = T>) -> T {
        self.runtime.block_on(step)
    }
}

impl Instance for Sockets {
    fn address(&self) -> Option<&RouterAddress> {
        Some(&self.address)
    }

    fn connect(&mut self, how: &Dial) -> Result<(Line, Tls), NoConnection> {
        let to = how.to.as_ref().unwrap_or(&self.address).clone();
        let wires = &mut self.wires;
        self.runtime.block_on(wires.connect(&to, how))
    }

    fn listen(&mut self, how: &Listen) -> Result<RouterAddress, Unavailable> {
        let bound = self.run(RealWorld::listen(SocketAddr::new(self.own_host, 0))).map_err(ours)?;
        let port = bound.local_addr().map_err(ours)?.port();
        let host = match self.own_host {
            IpAddr::V4(host) => Host::V4(host),
            IpAddr::V6(host) => Host::V6(host),
        };
        let address =
            RouterAddress { hosts: vec![host], port: Some(port), identity: how.named, password: None };
        self.wires.listen(address.clone(), bound, how).map_err(ours)?;
        Ok(address)
    }

    fn accept(&mut self, at: &RouterAddress, patience: u64) -> Result<Option<(Line, Tls)>, NoConnection> {
        let wires = &mut self.wires;
        self.runtime.block_on(wires.accept(at, patience))
    }

    fn write(&mut self, line: Line, bytes: &[u8]) -> bool {
        let (wires, patience) = (&mut self.wires, self.deadlines.patience);
        self.runtime.block_on(wires.write(line, bytes, patience))
    }

    fn read(&mut self, line: Line, patience: u64) -> Read {
        let wires = &mut self.wires;
        self.runtime.block_on(wires.read(line, patience))
    }

    fn close(&mut self, line: Line) {
        let (wires, patience) = (&mut self.wires, self.deadlines.silence);
        self.runtime.block_on(wires.close(line, patience));
    }

    fn now(&self) -> u64 {
        self.wires.world().now()
    }

    fn wait(&mut self, time: u64) {
        self.run(RealWorld.sleep(time));
    }

    fn patience(&self) -> u64 {
        self.deadlines.patience
    }

    fn silence(&self) -> u64 {
        self.deadlines.silence
    }

    fn operate(&mut self, _what: &Operation) -> Result<(), Unavailable> {
        Err(Unavailable("nothing tells this router what its operator wants".to_owned()))
    }
}
