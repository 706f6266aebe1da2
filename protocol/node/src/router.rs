//! An SMP router on sockets: accepts connections, pumps their blocks through the core, and dials other routers when
//! the core asks for it as a proxy.
//!
//! With a [`Writer`], what each step changed goes to the store, and a block leaves once the changes that it was made after are
//! durable. The core keeps the blocks meanwhile, so that its bounds hold for them too.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use sxlab_protocol::observe::{SessionNo, Sight};
use sxlab_protocol::smp::error::NameError;
use sxlab_protocol::smp::name::Name;
use sxlab_protocol::smp::router::{DialFailure, LookupNo, QueueStore, Router, RouterConfig, RouterEvent};
use sxlab_protocol::transport::RouterCredentials;
use sxlab_protocol::wire::RouterAddress;
use tokio::io::split;
use tokio::sync::{Notify, Semaphore};

use crate::dial::{DialError, dial};
use crate::identity::RouterIdentity;
use crate::link::{Link, Next, part, read_block};
use crate::resolver::Resolver;
use crate::store::{Commits, StoreError, Watch, Writer};
use crate::tls::{Acceptor, SMP_ALPN, TlsError, TlsSession};
use crate::world::{World, within};

/// How long to wait after the listener could not give a connection, in nanoseconds.
const ACCEPT_PAUSE: u64 = 100_000_000;

/// Bounds on a router's connections. What sessions may cost is bounded by [`RouterConfig`].
///
/// Of memory a connection has, beside TLS's own buffers (64 KiB at most in each direction), its session's, and up to
/// 48 KiB of a block that has not come whole; idle ones hold some 8 KiB (`cargo bench --bench load -- --only memory`
/// measures it). Of the processor's time every connection gets one block in its turn: whoever floods a router delays
/// others by one block of 255 commands for each of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Accepted connections that may be open at a time, whatever state they are in. Others wait, not accepted.
    pub accepted: usize,
    /// Of these, how many may come from one network address, of IPv6 from one network of 64 bits. Further ones are closed at
    /// once. `None`: as many as may be; the deployed router counts none.
    pub per_address: Option<usize>,
    /// How long TLS may take to be set up on an accepted connection, in nanoseconds (TR-22).
    pub tls_timeout: u64,
    /// How long a proxy tries to reach a relay, TLS included, in nanoseconds.
    pub dial_timeout: u64,
    /// How long the other end may take for one block that is written to it, in nanoseconds. One that reads nothing is
    /// cut off then, subscribed or not.
    pub write_timeout: u64,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            accepted: 10_000,
            per_address: None,
            tls_timeout: 60_000_000_000,
            dial_timeout: 25_000_000_000,
            write_timeout: 900_000_000_000,
        }
    }
}

/// Is given each [`Sight`] with the time of the call, in nanoseconds since the epoch. It is called in the middle of a
/// step and must not call the router.
pub type Observer = Rc<dyn Fn(u64, Sight)>;

/// A router and its connections. Clones are the same router.
pub struct RouterNode<W: World> {
    inner: Rc<Inner<W>>,
}

struct Inner<W> {
    world: W,
    acceptor: Acceptor,
    limits: ConnectionLimits,
    /// One permit for each connection that may still be accepted.
    room: Arc<Semaphore>,
    /// `None` after the store was taken: the router is stopped.
    core: RefCell<Option<Router>>,
    /// Whether [`RouterNode::stop`] was called: nothing new is begun.
    stopping: Cell<bool>,
    stopped: Notify,
    connections: Cell<usize>,
    failed_handshakes: Cell<u64>,
    /// Open connections by where they come from, if they are limited, and how many were too many.
    sources: RefCell<BTreeMap<String, usize>>,
    refused: Cell<u64>,
    links: RefCell<BTreeMap<SessionNo, Rc<Link>>>,
    /// What makes the queues durable, and the sessions that wait for it.
    writer: RefCell<Option<Writer>>,
    held: RefCell<BTreeSet<SessionNo>>,
    /// Why the store failed, after which the router is stopped.
    failure: RefCell<Option<Arc<StoreError>>>,
    /// Whether the core's timeouts are seen to.
    timed: Cell<bool>,
    /// The timeout that is being waited for.
    awaited: Cell<Option<u64>>,
    timer: Notify,
    observer: Option<Observer>,
    resolver: OnceCell<Resolver>,
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
        Self::with_limits(world, identity, config, store, observer, ConnectionLimits::default())
    }

    /// The same with other limits than the usual ones.
    ///
    /// # Errors
    /// [`TlsError`] if the identity cannot be used for TLS.
    pub fn with_limits(
        world: W,
        identity: &RouterIdentity,
        config: RouterConfig,
        store: QueueStore,
        observer: Option<Observer>,
        limits: ConnectionLimits,
    ) -> Result<Self, TlsError> {
        Self::make(world, identity, config, store, None, observer, limits)
    }

    /// A router whose queues are in a [`Store`](crate::store::Store): both come from its `open`, and `writer` from its
    /// `in_background`, or `in_step` in simulations.
    ///
    /// # Errors
    /// [`TlsError`] if the identity cannot be used for TLS.
    pub fn with_store(
        world: W,
        identity: &RouterIdentity,
        config: RouterConfig,
        queues: QueueStore,
        writer: Writer,
        observer: Option<Observer>,
        limits: ConnectionLimits,
    ) -> Result<Self, TlsError> {
        Self::make(world, identity, config, queues, Some(writer), observer, limits)
    }

    fn make(
        world: W,
        identity: &RouterIdentity,
        config: RouterConfig,
        store: QueueStore,
        writer: Option<Writer>,
        observer: Option<Observer>,
        limits: ConnectionLimits,
    ) -> Result<Self, TlsError> {
        let acceptor = Acceptor::new(identity, &SMP_ALPN)?;
        let credentials = RouterCredentials { chain: identity.chain().clone(), leaf: identity.leaf_key() };
        let config = RouterConfig { observe: observer.is_some(), ..config };
        let core = Router::new(config, credentials, store, world.rng());
        let inner = Inner {
            world,
            acceptor,
            limits,
            room: Arc::new(Semaphore::new(limits.accepted.min(Semaphore::MAX_PERMITS))),
            core: RefCell::new(Some(core)),
            stopping: Cell::new(false),
            stopped: Notify::new(),
            connections: Cell::new(0),
            failed_handshakes: Cell::new(0),
            sources: RefCell::default(),
            refused: Cell::new(0),
            links: RefCell::default(),
            writer: RefCell::new(writer),
            held: RefCell::default(),
            failure: RefCell::default(),
            timed: Cell::new(false),
            awaited: Cell::new(None),
            timer: Notify::new(),
            observer,
            resolver: OnceCell::new(),
        };
        Ok(Self { inner: Rc::new(inner) })
    }

    /// Stops the router and hands over its queues, as a crash that the store survives: what was queued to be written is
    /// lost. Its connections are closed and its tasks end by themselves. `None` if it was stopped before.
    ///
    /// With a durable store, the queues that are handed over are those in memory, and [`Self::close_store`] has still to close the file.
    pub fn take_store(&self) -> Option<QueueStore> {
        let core = self.inner.core.borrow_mut().take();
        for link in self.inner.links.borrow().values() {
            link.close();
        }
        self.inner.stopped.notify_waiters();
        self.inner.timer.notify_one();
        core.map(Router::into_store)
    }

    /// Stops the router in peace and hands over its queues: it accepts and dials no more, sends what it collected, writes what is
    /// queued, and says good-bye to its peers. What takes longer than `limit` nanoseconds is cut off. `None` if it was
    /// stopped before.
    pub async fn stop(&self, limit: u64) -> Option<QueueStore> {
        let inner = &self.inner;
        inner.stopping.set(true);
        inner.stopped.notify_waiters();
        self.with_core(|core, now| core.shut_down(now));
        // Each accepted connection gives its permit back when it has ended.
        let all = u32::try_from(self.room_for()).unwrap_or(u32::MAX);
        if within(&inner.world, limit, inner.room.acquire_many(all)).await.is_none() {
            tracing::warn!("stopping: some peers were cut off");
        }
        self.take_store()
    }

    /// Runs a step of whoever operates the router on its core, and carries out what follows from it. `None` when the router
    /// is stopped.
    pub fn operate<T>(&self, step: impl FnOnce(&mut Router, u64) -> T) -> Option<T> {
        self.with_core(step)
    }

    /// Accepted connections that are open now, whatever state they are in.
    pub fn connections(&self) -> usize {
        self.inner.connections.get()
    }

    /// Accepted connections that did not become sessions: no TLS, another protocol, too slow.
    pub fn failed_handshakes(&self) -> u64 {
        self.inner.failed_handshakes.get()
    }

    /// Connections that were closed at once because as many as may be were open from their address.
    pub fn refused_connections(&self) -> u64 {
        self.inner.refused.get()
    }

    /// What the store has committed so far, if there is a store.
    pub fn commits(&self) -> Option<Commits> {
        self.inner.writer.borrow().as_ref().map(Writer::commits)
    }

    /// Counts one more connection from this peer, until [`Self::left`]. `None` if it is one too many.
    fn came(&self, peer: &W::Peer) -> Option<Option<String>> {
        let Some(most) = self.inner.limits.per_address else { return Some(None) };
        let source = source(self.inner.world.address(peer));
        let mut sources = self.inner.sources.borrow_mut();
        let open = sources.get(&source).copied().unwrap_or_default();
        if open >= most {
            self.inner.refused.set(self.inner.refused.get().saturating_add(1));
            return None;
        }
        sources.insert(source.clone(), open + 1);
        Some(Some(source))
    }

    /// A connection from this source has ended.
    fn left(&self, source: Option<String>) {
        let Some(source) = source else { return };
        let mut sources = self.inner.sources.borrow_mut();
        match sources.get_mut(&source) {
            Some(open) if *open > 1 => *open -= 1,
            _ => {
                sources.remove(&source);
            }
        }
    }

    /// Accepted connections that may be open at a time.
    fn room_for(&self) -> usize {
        self.inner.limits.accepted.min(Semaphore::MAX_PERMITS)
    }

    /// Makes durable what is not yet, and closes the store's file, if there is a store. To be called once the router is stopped.
    ///
    /// # Errors
    /// What the store failed with, now or before.
    pub async fn close_store(&self) -> Result<(), Arc<StoreError>> {
        let writer = self.inner.writer.borrow_mut().take();
        if let Some(writer) = writer {
            writer.finish().await?;
        }
        self.inner.failure.borrow().clone().map_or(Ok(()), Err)
    }

    /// How many sessions are open, those with relays included; none when the router is stopped.
    pub fn sessions(&self) -> usize {
        self.inner.core.borrow().as_ref().map_or(0, Router::sessions)
    }

    /// Accepts connections until the router is stopped. Several listeners may be served at the same time. Dropping the
    /// future ends the accepting, not the sessions.
    ///
    /// A listener that fails for a while, for example because the process has no file descriptors left, is tried again.
    ///
    /// # Errors
    /// The listener's, where trying again can't help; a [`StoreError`] if the store fails: nothing that is not durable is
    /// answered, so that the router has to be stopped, and started again from what the store holds.
    pub async fn serve(&self, listener: &W::Listener) -> io::Result<()> {
        let world = &self.inner.world;
        if !self.inner.timed.replace(true) {
            let timers = self.clone();
            world.spawn(async move { timers.run_timers().await });
            let watch = self.inner.writer.borrow().as_ref().map(Writer::watch);
            if let Some(watch) = watch {
                let releases = self.clone();
                world.spawn(async move { releases.run_releases(watch).await });
            }
        }
        loop {
            let next = async {
                let room = Arc::clone(&self.inner.room).acquire_owned().await;
                (room, world.accept(listener).await)
            };
            let (room, accepted) = tokio::select! {
                biased;
                () = self.stopped() => {
                    let failure = self.inner.failure.borrow().clone();
                    return failure.map_or(Ok(()), |failure| Err(io::Error::other(failure)));
                }
                next = next => next,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(source) = self.came(&peer) else {
                        tracing::debug!(from = world.address(&peer), "a connection too many from there");
                        continue;
                    };
                    let node = self.clone();
                    world.spawn(async move {
                        let open = &node.inner.connections;
                        open.set(open.get().saturating_add(1));
                        node.accepted(stream, peer).await;
                        open.set(open.get().saturating_sub(1));
                        node.left(source);
                        drop(room);
                    });
                }
                Err(error) if may_pass(&error) => {
                    tracing::warn!(kind = ?error.kind(), "a connection could not be accepted");
                    drop(room);
                    world.sleep(ACCEPT_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Ready once the router stops.
    async fn stopped(&self) {
        let stopped = self.inner.stopped.notified();
        if !self.inner.stopping.get() && self.inner.core.borrow().is_some() {
            stopped.await;
        }
    }

    /// Lets sessions go on whose changes have become durable, until the store is closed or fails.
    async fn run_releases(&self, mut watch: Watch) {
        while watch.changed().await && self.inner.core.borrow().is_some() {
            if self.failed() {
                return;
            }
            for session in self.inner.held.take() {
                if let Some(link) = self.inner.links.borrow().get(&session) {
                    link.wake();
                }
            }
        }
    }

    /// Stops the router if its store has failed; whether it has.
    fn failed(&self) -> bool {
        let failure = self.inner.writer.borrow().as_ref().and_then(Writer::failure);
        let failed = failure.is_some();
        if failed {
            self.inner.failure.replace(failure);
            self.take_store();
        }
        failed
    }

    async fn accepted(&self, stream: W::Stream, peer: W::Peer) {
        let world = &self.inner.world;
        let handshake = self.inner.acceptor.accept(stream, world.entropy());
        let tls = tokio::select! {
            biased;
            () = self.stopped() => return,
            tls = within(world, self.inner.limits.tls_timeout, handshake) => tls,
        };
        let tls = match tls {
            Some(Ok(tls)) => tls,
            refused => {
                let failed = &self.inner.failed_handshakes;
                failed.set(failed.get().saturating_add(1));
                let from = world.address(&peer);
                match refused {
                    Some(Err(error)) => {
                        tracing::debug!(from, %error, "a connection did not become a session")
                    }
                    _ => tracing::debug!(from, "a connection took too long to become a session"),
                }
                return;
            }
        };
        let (from, session_id, chain) =
            (world.address(&peer), tls.session_id.clone(), tls.peer_chain.clone());
        let alpn = tls.alpn.is_some();
        let session = self.with_core(|core, now| core.accept_with_chain(&from, session_id, alpn, chain, now));
        if let Some(session) = session {
            tracing::debug!(session = session.0, from, "a session began");
            self.run_link(session, tls).await;
            tracing::debug!(session = session.0, "a session ended");
        }
    }

    /// Runs `step` on the core, then does what the core asks for.
    fn with_core<T>(&self, step: impl FnOnce(&mut Router, u64) -> T) -> Option<T> {
        let now = self.inner.world.now();
        let mut guard = self.inner.core.borrow_mut();
        let core = guard.as_mut()?;
        let result = step(core, now);
        let changes = core.changes();
        if !changes.is_empty()
            && let Some(writer) = self.inner.writer.borrow_mut().as_mut()
        {
            writer.submit(changes);
        }
        if let Some(observer) = &self.inner.observer {
            for sight in core.sights() {
                observer(now, sight);
            }
        }
        while let Some(event) = core.poll() {
            match event {
                RouterEvent::Writable(session) => self.link(session).wake(),
                RouterEvent::Close(session) => self.link(session).close(),
                RouterEvent::Dial { session, address } => {
                    let node = self.clone();
                    self.inner.world.spawn(async move { node.dialed(session, address).await });
                }
                RouterEvent::Resolve { lookup, name } => {
                    let node = self.clone();
                    self.inner.world.spawn(async move { node.look_up(lookup, name).await });
                }
            }
        }
        // An earlier timeout than the one that is waited for: a later one is seen when that has come.
        let due = core.next_timeout().unwrap_or(u64::MAX);
        if due < self.inner.awaited.get().unwrap_or(u64::MAX) {
            self.inner.timer.notify_one();
        }
        drop(guard);
        if self.failed() { None } else { Some(result) }
    }

    /// The link of a session. The core may have something for it before its connection is there: it begins empty then, and
    /// is removed by [`Self::run_link`] or by what failed to connect.
    fn link(&self, session: SessionNo) -> Rc<Link> {
        Rc::clone(self.inner.links.borrow_mut().entry(session).or_default())
    }

    /// Pumps blocks both ways until either side ends the connection.
    async fn run_link(&self, session: SessionNo, tls: TlsSession<W::Stream>) {
        let link = self.link(session);
        let (mut reader, mut writer) = split(tls.stream);
        let reading = async {
            loop {
                while self.wants_block(session) == Some(false) {
                    link.woken().await;
                }
                let Ok(Some(block)) = read_block(&mut reader).await else { return };
                if self.with_core(|core, now| core.block(session, block, now)).is_none() {
                    return;
                }
                // Other connections have their turn before this one's next block.
                turn().await;
            }
        };
        let next = || self.next_block(session);
        tokio::select! {
            biased;
            () = reading => {}
            () = link.write(&self.inner.world, self.inner.limits.write_timeout, &mut writer, next) => {}
            () = link.overdue(&self.inner.world) => {}
        }
        self.with_core(|core, now| core.closed(session, now));
        self.inner.links.borrow_mut().remove(&session);
        if link.is_closing() {
            part(&self.inner.world, reader, writer).await;
        }
    }

    /// The session's next block, unless it has to wait for the store.
    fn next_block(&self, session: SessionNo) -> Next {
        if let (Some(core), Some(writer)) = (&*self.inner.core.borrow(), &*self.inner.writer.borrow())
            && core.needs(session) > writer.durable()
        {
            self.inner.held.borrow_mut().insert(session);
            return Next::Held;
        }
        self.with_core(|core, _| core.next_block(session)).flatten().into()
    }

    /// Whether the session's next block may be read; `None` when the router is stopped.
    fn wants_block(&self, session: SessionNo) -> Option<bool> {
        let wants = self.inner.core.borrow().as_ref().map(|core| core.wants_block(session));
        let behind = self.inner.writer.borrow().as_ref().is_some_and(Writer::is_behind);
        if behind {
            self.inner.held.borrow_mut().insert(session);
        }
        wants.map(|wants| wants && !behind)
    }

    /// Connects to a relay for the core.
    async fn dialed(&self, session: SessionNo, address: RouterAddress) {
        let connected = tokio::select! {
            biased;
            () = self.stopped() => None,
            connected = dial(&self.inner.world, &address, None, self.inner.limits.dial_timeout) => Some(connected),
        };
        match connected {
            Some(Ok(tls)) => {
                tracing::debug!(session = session.0, relay = %address.public(), "a relay was reached");
                let session_id = tls.session_id.clone();
                if self.with_core(|core, now| core.dialed(session, session_id, now)).is_some() {
                    return self.run_link(session, tls).await;
                }
            }
            Some(Err(error)) => {
                tracing::info!("a relay could not be reached");
                tracing::debug!(session = session.0, relay = %address.public(), "the relay that could not be reached");
                let failure = match error {
                    DialError::Timeout => DialFailure::Timeout,
                    DialError::Tls(_) => DialFailure::Network,
                };
                self.with_core(|core, now| core.dial_failed(session, failure, now));
            }
            None => {}
        }
        self.inner.links.borrow_mut().remove(&session);
    }

    /// From now on names are resolved, by this resolver or by the one that was given before.
    pub fn resolve_names(&self, resolver: Resolver) {
        let _ = self.inner.resolver.set(resolver);
        self.with_core(|core, _| core.resolve_names());
    }

    /// Looks a name up for the core.
    async fn look_up(&self, lookup: LookupNo, name: Name) {
        let outcome = match self.inner.resolver.get() {
            Some(resolver) => tokio::select! {
                biased;
                () = self.stopped() => return,
                outcome = resolver.look_up(&self.inner.world, &name) => outcome,
            },
            None => Err(NameError::NoResolver),
        };
        self.with_core(|core, _| core.resolved(lookup, outcome));
    }

    /// Calls the core when its timeouts come.
    async fn run_timers(&self) {
        let world = &self.inner.world;
        loop {
            let due = match self.inner.core.borrow().as_ref() {
                Some(core) => core.next_timeout(),
                None => return,
            };
            let now = world.now();
            self.inner.awaited.set(due);
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

/// What connections are counted by: an address; of IPv6 the first 64 bits, as whoever has one address there has them all.
fn source(address: String) -> String {
    match address.parse::<Ipv6Addr>() {
        Ok(v6) if v6.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
        _ => address,
    }
}

/// Lets the tasks that are ready run once before this one goes on.
async fn turn() {
    let mut had = false;
    poll_fn(|context| {
        if std::mem::replace(&mut had, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether a listener that failed may give connections again: it ran out of something (file descriptors, memory), or the
/// connection that it had was gone already. Only a listener that is none any more is given up.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    /// `EBADF` of every Unix: it has no [`io::ErrorKind`] of its own.
    const BAD_DESCRIPTOR: i32 = 9;
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, InvalidInput,
        NetworkDown, NetworkUnreachable, OutOfMemory, PermissionDenied, TimedOut, WouldBlock,
    };
    match (error.kind(), error.raw_os_error()) {
        (InvalidInput, _) | (_, Some(BAD_DESCRIPTOR)) => false,
        (
            ConnectionAborted | ConnectionRefused | ConnectionReset | HostUnreachable | Interrupted
            | NetworkDown | NetworkUnreachable | OutOfMemory | PermissionDenied | TimedOut | WouldBlock,
            _,
        ) => true,
        // No descriptors left, and the network's rarer errors, have no kind of their own either.
        (_, code) => code.is_some(),
    }
}
