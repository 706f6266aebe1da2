//! An SMP router on sockets: accepts connections, pumps their blocks through the core, and dials other routers when
//! the core asks for it as a proxy.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sxlab_protocol::observe::{SessionNo, Sight};
use sxlab_protocol::smp::router::{DialFailure, QueueStore, Router, RouterConfig, RouterEvent};
use sxlab_protocol::transport::RouterCredentials;
use sxlab_protocol::wire::{DEFAULT_PORT, RouterAddress};
use tokio::io::{AsyncWriteExt, split};
use tokio::sync::Notify;

use crate::identity::RouterIdentity;
use crate::link::{read_block, write_blocks};
use crate::tls::{Acceptor, Connector, ConnectorConfig, SMP_ALPN, TlsError, TlsSession};
use crate::world::World;

/// How long TLS may take to be set up, in nanoseconds (TR-22).
const TLS_TIMEOUT: u64 = 60_000_000_000;

/// How long a proxy tries to reach a relay, in nanoseconds.
const DIAL_TIMEOUT: u64 = 25_000_000_000;

/// Is given each [`Sight`] with the time of the call, in nanoseconds since the epoch.
pub type Observer = Rc<dyn Fn(u64, Sight)>;

/// A router and its connections. Clones are the same router.
pub struct RouterNode<W: World> {
    inner: Rc<Inner<W>>,
}

struct Inner<W> {
    world: W,
    acceptor: Acceptor,
    /// `None` after the store was taken: the router is stopped.
    core: RefCell<Option<Router>>,
    links: RefCell<BTreeMap<SessionNo, Rc<Link>>>,
    timer: Notify,
    observer: Option<Observer>,
}

/// What the two halves of a connection and the core tell each other.
#[derive(Default)]
struct Link {
    writable: Notify,
    readable: Notify,
    closing: std::cell::Cell<bool>,
}

impl<W: World> Clone for RouterNode<W> {
    fn clone(&self) -> Self {
        Self { inner: Rc::clone(&self.inner) }
    }
}

impl<W: World> RouterNode<W> {
    /// A router with this identity and these queues. With an observer, every [`Sight`] goes there.
    ///
    /// # Errors
    /// [`TlsError`] if the identity cannot be used for TLS.
    pub fn new(
        world: W,
        identity: &RouterIdentity,
        config: RouterConfig,
        store: QueueStore,
        observer: Option<Observer>,
    ) -> Result<Self, TlsError> {
        let acceptor = Acceptor::new(identity, &SMP_ALPN)?;
        let credentials = RouterCredentials { chain: identity.chain().clone(), leaf: identity.leaf_key() };
        let config = RouterConfig { observe: observer.is_some(), ..config };
        let core = Router::new(config, credentials, store, world.rng());
        let inner = Inner {
            world,
            acceptor,
            core: RefCell::new(Some(core)),
            links: RefCell::default(),
            timer: Notify::new(),
            observer,
        };
        Ok(Self { inner: Rc::new(inner) })
    }

    /// Stops the router and hands over its queues, as a crash that the store survives. Its tasks end by themselves.
    pub fn take_store(&self) -> Option<QueueStore> {
        let core = self.inner.core.borrow_mut().take();
        for link in self.inner.links.borrow().values() {
            link.closing.set(true);
            link.writable.notify_one();
        }
        core.map(Router::into_store)
    }

    /// Accepts connections until the listener fails.
    ///
    /// # Errors
    /// The listener's.
    pub async fn serve(&self, listener: &W::Listener) -> std::io::Result<()> {
        let timers = self.clone();
        self.inner.world.spawn(async move { timers.run_timers().await });
        loop {
            let (stream, peer) = self.inner.world.accept(listener).await?;
            let node = self.clone();
            self.inner.world.spawn(async move { node.accepted(stream, peer).await });
        }
    }

    async fn accepted(&self, stream: W::Stream, peer: W::Peer) {
        let world = &self.inner.world;
        let tls = tokio::select! {
            biased;
            tls = self.inner.acceptor.accept(stream, world.entropy()) => tls,
            () = world.sleep(TLS_TIMEOUT) => return,
        };
        let Ok(tls) = tls else { return };
        let (from, session_id) = (world.address(&peer), tls.session_id.clone());
        let session = self.with_core(|core, now| core.accept(&from, session_id, tls.alpn.is_some(), now));
        if let Some(session) = session {
            self.run_link(session, tls).await;
        }
    }

    /// Runs `step` on the core, then does what the core asks for.
    fn with_core<T>(&self, step: impl FnOnce(&mut Router, u64) -> T) -> Option<T> {
        let now = self.inner.world.now();
        let mut guard = self.inner.core.borrow_mut();
        let core = guard.as_mut()?;
        let result = step(core, now);
        if let Some(observer) = &self.inner.observer {
            for sight in core.sights() {
                observer(now, sight);
            }
        }
        while let Some(event) = core.poll() {
            match event {
                RouterEvent::Writable(session) => self.link(session).wake(),
                RouterEvent::Close(session) => {
                    let link = self.link(session);
                    link.closing.set(true);
                    link.wake();
                }
                RouterEvent::Dial { session, address } => {
                    let node = self.clone();
                    self.inner.world.spawn(async move { node.dial(session, address).await });
                }
            }
        }
        self.inner.timer.notify_one();
        Some(result)
    }

    fn link(&self, session: SessionNo) -> Rc<Link> {
        Rc::clone(self.inner.links.borrow_mut().entry(session).or_default())
    }

    /// Pumps blocks both ways until either side ends the connection.
    async fn run_link(&self, session: SessionNo, tls: TlsSession<W::Stream>) {
        let link = self.link(session);
        let (mut reader, mut writer) = split(tls.stream);
        let reading = async {
            let mut block = Vec::new();
            loop {
                while self.wants_block(session) == Some(false) {
                    link.readable.notified().await;
                }
                match read_block(&mut reader, &mut block).await {
                    Ok(Some(())) => {
                        if self.with_core(|core, now| core.block(session, &block, now)).is_none() {
                            return;
                        }
                    }
                    Ok(None) | Err(_) => return,
                }
            }
        };
        let writing = async {
            loop {
                let next = || self.with_core(|core, _| core.next_block(session)).flatten();
                if write_blocks(&mut writer, next).await.is_err() {
                    return;
                }
                link.readable.notify_one();
                if link.closing.get() {
                    let _ = writer.shutdown().await;
                    return;
                }
                link.writable.notified().await;
            }
        };
        tokio::select! {
            biased;
            () = reading => {}
            () = writing => {}
        }
        self.inner.links.borrow_mut().remove(&session);
        self.with_core(|core, now| core.closed(session, now));
        self.inner.links.borrow_mut().remove(&session);
    }

    fn wants_block(&self, session: SessionNo) -> Option<bool> {
        self.inner.core.borrow().as_ref().map(|core| core.wants_block(session))
    }

    /// Connects to a relay for the core.
    async fn dial(&self, session: SessionNo, address: RouterAddress) {
        let world = &self.inner.world;
        let connected = tokio::select! {
            biased;
            connected = connect_tls(world, &address) => connected.map_err(|_| DialFailure::Network),
            () = world.sleep(DIAL_TIMEOUT) => Err(DialFailure::Timeout),
        };
        match connected {
            Ok(tls) => {
                let session_id = tls.session_id.clone();
                self.with_core(|core, now| core.dialed(session, session_id, now));
                self.run_link(session, tls).await;
            }
            Err(failure) => {
                self.inner.links.borrow_mut().remove(&session);
                self.with_core(|core, now| core.dial_failed(session, failure, now));
            }
        }
    }

    /// Calls the core when its timeouts come.
    async fn run_timers(&self) {
        let world = &self.inner.world;
        loop {
            let Some(due) = self.inner.core.borrow().as_ref().map(Router::next_timeout) else { return };
            let now = world.now();
            match due {
                Some(due) if due <= now => {
                    self.with_core(|core, now| core.timeout(now));
                }
                Some(due) => tokio::select! {
                    biased;
                    () = self.inner.timer.notified() => {}
                    () = world.sleep(due - now) => {}
                },
                None => self.inner.timer.notified().await,
            }
        }
    }
}

impl Link {
    fn wake(&self) {
        self.writable.notify_one();
        self.readable.notify_one();
    }
}

/// A TLS connection to the router of an address, its identity checked. Hosts are tried in order.
pub(crate) async fn connect_tls<W: World>(
    world: &W,
    address: &RouterAddress,
) -> Result<TlsSession<W::Stream>, TlsError> {
    let connector = Connector::new(ConnectorConfig {
        alpn: vec![b"smp/1".to_vec()],
        expected_identity: address.identity,
        client_identity: None,
    })?;
    let port = address.port.unwrap_or(DEFAULT_PORT);
    let mut last = TlsError::Io(std::io::ErrorKind::NotFound.into());
    for host in &address.hosts {
        match world.connect(&host.to_string(), port).await {
            Ok(stream) => return connector.connect(stream, world.entropy()).await,
            Err(error) => last = TlsError::Io(error),
        }
    }
    Err(last)
}
