//! A router at an address, reached over TCP.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::rc::Rc;

use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::wire::{DEFAULT_PORT, Host, RouterAddress};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use super::names::NameDesk;
use super::wires::Wires;
use super::{
    Dial, Instance, Line, Listen, Look, Looked, Lookups, Names, NoConnection, Operation, Read, Settings,
    Target, Tls, Unavailable,
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
    /// What runs beside the suite while it waits.
    tasks: LocalSet,
    /// The resolver of names behind the router.
    desk: Option<Rc<NameDesk>>,
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
        let (tasks, wires) = (LocalSet::new(), Wires::new(RealWorld));
        Ok(Self { runtime, tasks, desk: None, wires, address, deadlines, own_host })
    }

    /// Answers lookups of names that come to this listener, while the suite waits for something.
    pub(super) fn resolve(&mut self, listener: &TcpListener, names: &Names) -> Result<(), Unavailable> {
        let own = listener.try_clone().map_err(ours)?;
        own.set_nonblocking(true).map_err(ours)?;
        let desk = NameDesk::new(names.clone());
        let serving = Rc::clone(&desk);
        self.tasks.spawn_local(async move {
            if let Ok(listener) = tokio::net::TcpListener::from_std(own) {
                serving.serve(RealWorld, listener).await;
            }
        });
        self.desk = Some(desk);
        Ok(())
    }

    fn run<T>(&self, step: impl Future<Output = T>) -> T {
        self.tasks.block_on(&self.runtime, step)
    }
}

impl Instance for Sockets {
    fn address(&self) -> Option<&RouterAddress> {
        Some(&self.address)
    }

    fn connect(&mut self, how: &Dial) -> Result<(Line, Tls), NoConnection> {
        let to = how.to.as_ref().unwrap_or(&self.address).clone();
        let wires = &mut self.wires;
        self.tasks.block_on(&self.runtime, wires.connect(&to, how))
    }

    fn look(&mut self, how: &Look) -> Result<Looked, NoConnection> {
        let wires = &mut self.wires;
        self.tasks.block_on(&self.runtime, wires.look(&self.address, how))
    }

    fn lookups(&mut self) -> Result<Lookups, Unavailable> {
        let none = || Unavailable("no resolver of names behind this router is the suite's".to_owned());
        self.desk.as_ref().map(|desk| desk.lookups()).ok_or_else(none)
    }

    fn server_name(&mut self, line: Line) -> Result<Option<String>, Unavailable> {
        Ok(self.wires.server_name(line))
    }

    fn listen(&mut self, how: &Listen) -> Result<RouterAddress, Unavailable> {
        let own = match (how.default_port, self.own_host) {
            // Nobody else is likely to listen at the default port of this address.
            (true, IpAddr::V4(Ipv4Addr::LOCALHOST)) => {
                let [a, b, ..] = how.named;
                SocketAddr::from(([127, a, b, 2], DEFAULT_PORT))
            }
            (true, host) => SocketAddr::new(host, DEFAULT_PORT),
            (false, host) => SocketAddr::new(host, 0),
        };
        let bound = self.run(RealWorld::listen(own)).map_err(ours)?;
        let port = bound.local_addr().map_err(ours)?.port();
        let host = match own.ip() {
            IpAddr::V4(host) => Host::V4(host),
            IpAddr::V6(host) => Host::V6(host),
        };
        let address = RouterAddress {
            hosts: vec![host],
            port: (!how.default_port).then_some(port),
            identity: how.named,
            password: None,
        };
        self.wires.listen(address.clone(), bound, how).map_err(ours)?;
        Ok(address)
    }

    fn accept(&mut self, at: &RouterAddress, patience: u64) -> Result<Option<(Line, Tls)>, NoConnection> {
        let wires = &mut self.wires;
        self.tasks.block_on(&self.runtime, wires.accept(at, patience))
    }

    fn write(&mut self, line: Line, bytes: &[u8]) -> bool {
        let (wires, patience) = (&mut self.wires, self.deadlines.patience);
        self.tasks.block_on(&self.runtime, wires.write(line, bytes, patience))
    }

    fn read(&mut self, line: Line, patience: u64) -> Read {
        let wires = &mut self.wires;
        self.tasks.block_on(&self.runtime, wires.read(line, patience))
    }

    fn close(&mut self, line: Line) {
        let (wires, patience) = (&mut self.wires, self.deadlines.silence);
        self.tasks.block_on(&self.runtime, wires.close(line, patience));
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
