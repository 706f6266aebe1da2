//! A network in memory: hosts that accept, refuse or swallow connections, with virtual time and seeded randomness.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sxlab_node::tls::Entropy;
use sxlab_node::world::World;
use tokio::io::DuplexStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::LocalSet;
use tokio::time::Instant;

pub(crate) const SECOND: u64 = 1_000_000_000;

/// When virtual time begins, in seconds: 2026, within every certificate's validity.
const EPOCH: u64 = 1_780_000_000;

/// Bytes that a connection holds in each direction before its writer has to wait: a little more than one block in TLS.
pub(crate) const PIPE: usize = 20_000;

/// What a listener gives: a connection and who made it, or an error.
type Incoming = io::Result<(DuplexStream, String)>;

#[derive(Clone)]
pub(crate) struct Network(Rc<Inner>);

struct Inner {
    start: Instant,
    /// Who listens where.
    listeners: RefCell<BTreeMap<String, mpsc::UnboundedSender<Incoming>>>,
    /// Hosts that leave connections neither accepted nor refused.
    silent: RefCell<Vec<String>>,
    /// Every host that somebody tried to connect to.
    tried: RefCell<Vec<String>>,
    seeds: Cell<u64>,
    /// Bytes that a new connection holds in each direction.
    pipe: Cell<usize>,
}

/// Runs a test on a network of its own. Time passes only when everything waits; a test that waits for ever fails.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce(Network) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    LocalSet::new().block_on(&runtime.unwrap(), async {
        let network = Network(Rc::new(Inner {
            start: Instant::now(),
            listeners: RefCell::default(),
            silent: RefCell::default(),
            tried: RefCell::default(),
            seeds: Cell::new(1),
            pipe: Cell::new(PIPE),
        }));
        tokio::time::timeout(Duration::from_secs(3600), test(network)).await.expect("the test hangs");
    });
}

impl Network {
    pub(crate) fn listen(&self, host: &str) -> Listener {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.listeners.borrow_mut().insert(host.to_owned(), sender);
        Listener { incoming: Mutex::new(receiver) }
    }

    /// Nothing listens there any more.
    pub(crate) fn unlisten(&self, host: &str) {
        self.0.listeners.borrow_mut().remove(host);
    }

    /// Connections to the host get no answer.
    pub(crate) fn silence(&self, host: &str) {
        self.0.silent.borrow_mut().push(host.to_owned());
    }

    /// The host's listener gives an error once.
    pub(crate) fn fail(&self, host: &str, error: io::Error) {
        self.0.listeners.borrow()[host].send(Err(error)).unwrap();
    }

    pub(crate) fn tried(&self) -> Vec<String> {
        self.0.tried.borrow().clone()
    }

    pub(crate) fn world(&self, name: &str) -> TestWorld {
        TestWorld { network: self.clone(), name: name.into() }
    }

    /// New connections hold so many bytes in each direction.
    pub(crate) fn set_pipe(&self, bytes: usize) {
        self.0.pipe.set(bytes);
    }

    fn seed(&self) -> u64 {
        let seed = self.0.seeds.get();
        self.0.seeds.set(seed + 1);
        seed
    }
}

/// Takes connections; they wait in it until then.
pub(crate) struct Listener {
    incoming: Mutex<mpsc::UnboundedReceiver<Incoming>>,
}

impl Listener {
    /// How many connections wait to be accepted.
    pub(crate) async fn waiting(&self) -> usize {
        self.incoming.lock().await.len()
    }
}

/// One party's view of the network.
#[derive(Clone)]
pub(crate) struct TestWorld {
    network: Network,
    name: Rc<str>,
}

impl World for TestWorld {
    type Stream = DuplexStream;
    type Listener = Rc<Listener>;
    type Peer = String;

    async fn connect(&self, host: &str, _port: u16) -> io::Result<DuplexStream> {
        let network = &self.network.0;
        network.tried.borrow_mut().push(host.to_owned());
        if network.silent.borrow().iter().any(|silent| silent == host) {
            std::future::pending().await
        }
        let (near, far) = tokio::io::duplex(network.pipe.get());
        let listeners = network.listeners.borrow();
        let sent = listeners.get(host).map(|listener| listener.send(Ok((far, self.name.to_string()))));
        match sent {
            Some(Ok(())) => Ok(near),
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    async fn accept(&self, listener: &Rc<Listener>) -> Incoming {
        match listener.incoming.lock().await.recv().await {
            Some(incoming) => incoming,
            None => std::future::pending().await,
        }
    }

    fn address(&self, peer: &String) -> String {
        peer.clone()
    }

    fn now(&self) -> u64 {
        let elapsed = self.network.0.start.elapsed();
        EPOCH * SECOND + u64::try_from(elapsed.as_nanos()).unwrap()
    }

    async fn sleep(&self, nanoseconds: u64) {
        tokio::time::sleep(Duration::from_nanos(nanoseconds)).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(task);
    }

    fn rng(&self) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(self.network.seed())
    }

    fn entropy(&self) -> Entropy {
        Entropy::seeded(self.rng(), self.now() / SECOND)
    }
}
