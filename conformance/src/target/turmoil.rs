//! Our router on real TLS in a simulated network.
//!
//! The router and the suite are hosts of a turmoil simulation. A call of the suite hands its step to the suite's host and
//! advances the simulation until the step is done; in between nothing happens and no time passes.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_node::identity::RouterIdentity;
use sxlab_node::router::RouterNode;
use sxlab_node::tls::Entropy;
use sxlab_node::world::World;
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::smp::router::{QueueStore, RouterConfig};
use sxlab_protocol::wire::RouterAddress;
use tokio::sync::Notify;
use turmoil::net::{TcpListener, TcpStream};
use turmoil::{Builder, Sim};

use super::names::NameDesk;
use super::pair::router_config;
use super::wires::Wires;
use super::{
    Dial, Instance, Line, Listen, Look, Looked, Lookups, Names, NoConnection, Operation, Read, Settings,
    Target, Tls, Unavailable, names,
};

const SECOND: u64 = 1_000_000_000;

/// Where simulated time begins, in nanoseconds since the epoch.
const EPOCH: u64 = 1_800_000_000 * SECOND;

/// The step of simulated time, in nanoseconds.
const TICK: u64 = 10_000_000;

const PORT: u16 = 5223;

/// Where the suite's host is asked for names.
const NAMES_PORT: u16 = 80;

/// Longer than every default interval within which something has to come.
const PATIENCE: u64 = 60 * SECOND;

/// Longer than the interval of END and DELD.
const SILENCE: u64 = 20 * SECOND;

/// The target.
#[derive(Clone, Debug, Default)]
pub struct Turmoil {
    /// What the settings of a case change.
    pub config: RouterConfig,
}

impl Target for Turmoil {
    fn name(&self) -> String {
        "turmoil".to_owned()
    }

    fn start(&self, settings: &Settings, seed: u64) -> Result<Box<dyn Instance>, Unavailable> {
        let config = router_config(&self.config, &Settings { resolver: None, ..settings.clone() })?;
        Ok(Box::new(Running::start(self.config.clone(), config, settings.resolver.as_ref(), seed)?))
    }
}

/// Sockets, time and randomness of one host.
#[derive(Clone)]
struct SimWorld {
    /// The host's random streams come from the seed, its name, and how many it has drawn.
    name: Rc<str>,
    seed: u64,
    drawn: Rc<Cell<u64>>,
}

impl SimWorld {
    fn new(name: &str, seed: u64) -> Self {
        Self { name: name.into(), seed, drawn: Rc::default() }
    }
}

impl World for SimWorld {
    type Stream = TcpStream;
    type Listener = TcpListener;
    type Peer = SocketAddr;

    async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        TcpStream::connect((host, port)).await
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        listener.accept().await
    }

    fn address(&self, peer: &SocketAddr) -> String {
        peer.ip().to_string()
    }

    fn now(&self) -> u64 {
        EPOCH + elapsed(turmoil::sim_elapsed().unwrap_or_default())
    }

    async fn sleep(&self, nanoseconds: u64) {
        tokio::time::sleep(Duration::from_nanos(nanoseconds)).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(task);
    }

    fn rng(&self) -> ChaCha20Rng {
        let number = self.drawn.get();
        self.drawn.set(number + 1);
        ChaCha20Rng::from_seed(sha256(format!("{}/{}/{number}", self.seed, self.name).as_bytes()))
    }

    fn entropy(&self) -> Entropy {
        Entropy::seeded(self.rng(), self.now() / SECOND)
    }
}

fn elapsed(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A step of the suite, to be taken on its host.
type Step = Pin<Box<dyn Future<Output = ()>>>;

/// What the suite's host has to do.
#[derive(Default)]
struct Desk {
    step: RefCell<Option<Step>>,
    arrived: Notify,
}

struct Running {
    sim: Sim<'static>,
    base: RouterConfig,
    seed: u64,
    addresses: Vec<RouterAddress>,
    /// The router under test, with what it keeps.
    node: Rc<RefCell<Option<RouterNode<SimWorld>>>>,
    desk: Rc<Desk>,
    /// Lent to the step that is being taken.
    wires: Rc<RefCell<Option<Wires<SimWorld>>>>,
    doors: u16,
    /// The resolver of names behind the router.
    names: Option<Rc<NameDesk>>,
}

fn ours(error: impl std::fmt::Display) -> Unavailable {
    Unavailable(format!("the simulated network fails: {error}"))
}

impl Running {
    fn start(
        base: RouterConfig,
        config: RouterConfig,
        names: Option<&Names>,
        seed: u64,
    ) -> Result<Self, Unavailable> {
        let mut sim = Builder::new()
            .tick_duration(Duration::from_nanos(TICK))
            .min_message_latency(Duration::ZERO)
            .max_message_latency(Duration::from_millis(1))
            .simulation_duration(Duration::from_secs(100 * 24 * 3600))
            .tcp_capacity(1024)
            .rng_seed(seed)
            .build();
        let desk = Rc::<Desk>::default();
        let of_host = Rc::clone(&desk);
        sim.client("suite", async move {
            loop {
                let step = of_host.step.borrow_mut().take();
                match step {
                    Some(step) => step.await,
                    None => of_host.arrived.notified().await,
                }
            }
        });
        let wires = Rc::new(RefCell::new(Some(Wires::new(SimWorld::new("suite", seed)))));
        let names = names.map(|names| NameDesk::new(names.clone()));
        let mut running = Self {
            sim,
            base,
            seed,
            addresses: Vec::new(),
            node: Rc::default(),
            desk,
            wires,
            doors: 0,
            names,
        };
        if let Some(desk) = running.names.clone() {
            let bound = running.run(async move |wires| {
                let listener = TcpListener::bind((IpAddr::from([0, 0, 0, 0]), NAMES_PORT)).await?;
                let world = wires.world().clone();
                wires.world().spawn(desk.serve(world, listener));
                Ok::<_, io::Error>(())
            });
            bound.ok_or_else(|| ours("it has ended"))?.map_err(ours)?;
        }
        running.router(config)?;
        Ok(running)
    }

    /// A further host with a router.
    fn router(&mut self, config: RouterConfig) -> Result<RouterAddress, Unavailable> {
        let name = format!("router{}", self.addresses.len());
        let world = SimWorld::new(&name, self.seed);
        let identity = RouterIdentity::mint(&name, &mut world.rng()).map_err(ours)?;
        let address = RouterAddress {
            hosts: vec![name.parse().map_err(ours)?],
            port: Some(PORT),
            identity: identity.identity_hash(),
            password: None,
        };
        let resolver = match &self.names {
            None => None,
            Some(_) => Some(names::resolver(&format!("suite:{NAMES_PORT}"))?),
        };
        let kept = if self.addresses.is_empty() { Rc::clone(&self.node) } else { Rc::default() };
        self.sim.host(name.as_str(), move || {
            let (world, identity) = (world.clone(), identity.clone());
            let (config, kept, resolver) = (config.clone(), Rc::clone(&kept), resolver.clone());
            async move {
                // After a restart the queues are those that the router had.
                let queues: QueueStore =
                    kept.borrow().as_ref().and_then(RouterNode::take_store).unwrap_or_default();
                let node = RouterNode::new(world, &identity, config, queues, None)?;
                if let Some(resolver) = resolver {
                    node.resolve_names(resolver);
                }
                *kept.borrow_mut() = Some(node.clone());
                let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
                Ok(node.serve(&listener).await?)
            }
        });
        self.addresses.push(address.clone());
        // The host is there once it was given time.
        for _ in 0..3 {
            self.sim.step().map_err(ours)?;
        }
        Ok(address)
    }

    /// Takes a step on the suite's host; `None` if the simulation failed.
    fn run<T: 'static>(&mut self, step: impl AsyncFnOnce(&mut Wires<SimWorld>) -> T + 'static) -> Option<T> {
        let done = Rc::new(RefCell::new(None));
        let (result, wires) = (Rc::clone(&done), Rc::clone(&self.wires));
        let step = async move {
            // They are there: one step is taken at a time.
            let Some(mut own) = wires.take() else { return };
            *result.borrow_mut() = Some(step(&mut own).await);
            *wires.borrow_mut() = Some(own);
        };
        *self.desk.step.borrow_mut() = Some(Box::pin(step));
        self.desk.arrived.notify_one();
        while done.borrow().is_none() {
            self.sim.step().ok()?;
        }
        done.take()
    }
}

/// What a call says when the simulation itself has failed: nothing of the target.
fn broken() -> NoConnection {
    NoConnection::Unreachable("the simulation has ended".to_owned())
}

impl Instance for Running {
    fn address(&self) -> Option<&RouterAddress> {
        self.addresses.first()
    }

    fn connect(&mut self, how: &Dial) -> Result<(Line, Tls), NoConnection> {
        let (to, how) = (how.to.clone().or(self.addresses.first().cloned()), how.clone());
        let to = to.ok_or_else(broken)?;
        self.run(async move |wires| wires.connect(&to, &how).await).ok_or_else(broken)?
    }

    fn look(&mut self, how: &Look) -> Result<Looked, NoConnection> {
        let (to, how) = (self.addresses.first().cloned().ok_or_else(broken)?, how.clone());
        self.run(async move |wires| wires.look(&to, &how).await).ok_or_else(broken)?
    }

    fn lookups(&mut self) -> Result<Lookups, Unavailable> {
        self.names.as_ref().map(|desk| desk.lookups()).ok_or_else(|| ours("there is no resolver of names"))
    }

    fn further(&mut self, settings: &Settings) -> Result<RouterAddress, Unavailable> {
        let config = router_config(&self.base, settings)?;
        self.router(config)
    }

    fn listen(&mut self, how: &Listen) -> Result<RouterAddress, Unavailable> {
        self.doors += 1;
        let port = PORT + self.doors;
        let address = RouterAddress {
            hosts: vec!["suite".parse().map_err(ours)?],
            port: Some(port),
            identity: how.named,
            password: None,
        };
        let (at, how) = (address.clone(), how.clone());
        let listening = self.run(async move |wires| {
            let bound = TcpListener::bind((IpAddr::from([0, 0, 0, 0]), port)).await?;
            wires.listen(at, bound, &how).map_err(io::Error::other)
        });
        listening.ok_or_else(|| ours("it has ended"))?.map_err(ours)?;
        Ok(address)
    }

    fn accept(&mut self, at: &RouterAddress, patience: u64) -> Result<Option<(Line, Tls)>, NoConnection> {
        let at = at.clone();
        self.run(async move |wires| wires.accept(&at, patience).await).ok_or_else(broken)?
    }

    fn write(&mut self, line: Line, bytes: &[u8]) -> bool {
        let bytes = bytes.to_vec();
        self.run(async move |wires| wires.write(line, &bytes, PATIENCE).await).unwrap_or(false)
    }

    fn read(&mut self, line: Line, patience: u64) -> Read {
        self.run(async move |wires| wires.read(line, patience).await).unwrap_or(Read::Nothing)
    }

    fn close(&mut self, line: Line) {
        self.run(async move |wires| wires.close(line, SECOND).await);
    }

    fn now(&self) -> u64 {
        EPOCH + elapsed(self.sim.elapsed())
    }

    fn wait(&mut self, time: u64) {
        self.run(async move |wires| wires.world().sleep(time).await);
    }

    fn patience(&self) -> u64 {
        PATIENCE
    }

    fn silence(&self) -> u64 {
        SILENCE
    }

    fn operate(&mut self, what: &Operation) -> Result<(), Unavailable> {
        match what {
            Operation::Restart | Operation::Kill => {
                self.sim.crash("router0");
                self.sim.bounce("router0");
                for _ in 0..3 {
                    self.sim.step().map_err(ours)?;
                }
                Ok(())
            }
            Operation::Block(..) | Operation::Unblock(_) => {
                let (node, what) = (Rc::clone(&self.node), what.clone());
                let done = self.run(async move |_| {
                    let node = node.borrow().clone();
                    node.and_then(|node| {
                        node.operate(|core, _| match &what {
                            Operation::Block(queue, info) => core.block_queue(queue, *info),
                            Operation::Unblock(queue) => core.unblock_queue(queue),
                            Operation::Restart | Operation::Kill => None,
                        })
                    });
                });
                done.ok_or_else(|| ours("it has ended"))
            }
        }
    }
}
