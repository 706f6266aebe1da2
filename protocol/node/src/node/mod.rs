//! A router of any protocol on sockets: accepts connections and pumps their blocks through the protocol's core, which is a
//! [`Core`]. What a router does beside that, such as dialing other routers, is its [`Protocol`].
//!
//! With a [`StateWriter`], what each step changed goes to the store, and a block leaves once the changes that it was made after
//! are durable. The core keeps the blocks meanwhile, so that its bounds hold for them too.

mod connections;
mod core;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use sxlab_protocol::observe::{SessionNo, Sight};
use tokio::io::split;
use tokio::sync::{Notify, Semaphore};

pub use self::connections::ConnectionLimits;
use self::connections::source;
pub(crate) use self::connections::{may_pass, turn};
pub use self::core::{Connected, Core, Protocol, Wanted};
use crate::link::{Link, Next, part, read_block};
use crate::store::{Commits, StateWriter, StoreError, Watch};
use crate::tls::{Acceptor, TlsSession};
use crate::world::{World, within};

/// How long to wait after the listener could not give a connection, in nanoseconds.
const ACCEPT_PAUSE: u64 = 100_000_000;

/// Is given each [`Sight`] with the time of the call, in nanoseconds since the epoch. It is called in the middle of a
/// step and must not call the router.
pub type Observer = Rc<dyn Fn(u64, Sight)>;

type StateOf<W, P> = <<P as Protocol<W>>::Core as Core>::State;

/// A router and its connections. Clones are the same router.
pub struct Node<W: World, P: Protocol<W>> {
    inner: Rc<Inner<W, P>>,
}

struct Inner<W: World, P: Protocol<W>> {
    world: W,
    acceptor: Acceptor,
    limits: ConnectionLimits,
    protocol: P,
    /// One permit for each connection that may still be accepted.
    room: Arc<Semaphore>,
    /// `None` after the store was taken: the router is stopped.
    core: RefCell<Option<P::Core>>,
    /// Whether [`Node::stop`] was called: nothing new is begun.
    stopping: Cell<bool>,
    stopped: Notify,
    connections: Cell<usize>,
    failed_handshakes: Cell<u64>,
    /// Open connections by where they come from, if they are limited, and how many were too many.
    sources: RefCell<BTreeMap<String, usize>>,
    refused: Cell<u64>,
    links: RefCell<BTreeMap<SessionNo, Rc<Link>>>,
    /// What makes the state durable, and the sessions that wait for it.
    writer: RefCell<Option<StateWriter<StateOf<W, P>>>>,
    held: RefCell<BTreeSet<SessionNo>>,
    /// Why the store failed, after which the router is stopped.
    failure: RefCell<Option<Arc<StoreError>>>,
    /// Whether the core is started, and its timeouts are seen to.
    timed: Cell<bool>,
    /// The timeout that is being waited for.
    awaited: Cell<Option<u64>>,
    timer: Notify,
    observer: Option<Observer>,
}

impl<W: World, P: Protocol<W>> Clone for Node<W, P> {
    fn clone(&self) -> Self {
        Self { inner: Rc::clone(&self.inner) }
    }
}

impl<W: World, P: Protocol<W>> Node<W, P> {
    /// A router that is made of these parts.
    pub(crate) fn made(
        world: W,
        acceptor: Acceptor,
        limits: ConnectionLimits,
        (protocol, core): (P, P::Core),
        writer: Option<StateWriter<StateOf<W, P>>>,
        observer: Option<Observer>,
    ) -> Self {
        let inner = Inner {
            world,
            acceptor,
            limits,
            protocol,
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
        };
        Self { inner: Rc::new(inner) }
    }

    /// The world that it is in.
    pub(crate) fn world(&self) -> &W {
        &self.inner.world
    }

    /// What it may take for its connections.
    pub(crate) fn limits(&self) -> &ConnectionLimits {
        &self.inner.limits
    }

    /// What its protocol has beside the clients' connections.
    pub(crate) fn protocol(&self) -> &P {
        &self.inner.protocol
    }

    /// Stops the router and hands over its state, as a crash that the store survives: what was queued to be written is
    /// lost. Its connections are closed and its tasks end by themselves. `None` if it was stopped before.
    ///
    /// With a durable store, the state that is handed over is the one in memory, and [`Self::close_store`] has still to close the file.
    pub fn take_store(&self) -> Option<StateOf<W, P>> {
        let core = self.inner.core.borrow_mut().take();
        for link in self.inner.links.borrow().values() {
            link.close();
        }
        self.inner.stopped.notify_waiters();
        self.inner.timer.notify_one();
        self.inner.protocol.stopped();
        core.map(Core::into_state)
    }

    /// Stops the router in peace and hands over its state: it accepts and dials no more, sends what it collected, writes what is
    /// queued, and says good-bye to its peers. What takes longer than `limit` nanoseconds is cut off. `None` if it was
    /// stopped before.
    pub async fn stop(&self, limit: u64) -> Option<StateOf<W, P>> {
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
    pub fn operate<T>(&self, step: impl FnOnce(&mut P::Core, u64) -> T) -> Option<T> {
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
        self.inner.writer.borrow().as_ref().map(StateWriter::commits)
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

    /// How many sessions are open, in SMP those with relays included; none when the router is stopped.
    pub fn sessions(&self) -> usize {
        self.inner.core.borrow().as_ref().map_or(0, Core::sessions)
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
            self.with_core(|core, now| core.start(now));
            let timers = self.clone();
            world.spawn(async move { timers.run_timers().await });
            let watch = self.inner.writer.borrow().as_ref().map(StateWriter::watch);
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
    pub(crate) async fn stopped(&self) {
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
            self.inner.protocol.released();
        }
    }

    /// Stops the router if its store has failed; whether it has.
    fn failed(&self) -> bool {
        let failure = self.inner.writer.borrow().as_ref().and_then(StateWriter::failure);
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
        let session =
            self.with_core(|core, now| core.accept(Connected { from: &from, session_id, alpn, chain }, now));
        if let Some(session) = session {
            tracing::debug!(session = session.0, from, "a session began");
            self.run_link(session, tls).await;
            tracing::debug!(session = session.0, "a session ended");
        }
    }

    /// Runs `step` on the core, then does what the core asks for.
    pub(crate) fn with_core<T>(&self, step: impl FnOnce(&mut P::Core, u64) -> T) -> Option<T> {
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
                Wanted::Writable(session) => self.link(session).wake(),
                Wanted::Close(session) => self.link(session).close(),
                Wanted::Other(event) => self.inner.protocol.carry_out(self, event),
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
    pub(crate) async fn run_link(&self, session: SessionNo, tls: TlsSession<W::Stream>) {
        let link = self.link(session);
        let (mut reader, mut writer) = split(tls.stream);
        let reading = async {
            loop {
                self.until_wanted(session, &link).await;
                let Ok(Some(block)) = read_block(&mut reader, P::Core::BLOCK_SIZE).await else { return };
                // What all sessions share may have been used up since.
                self.until_wanted(session, &link).await;
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

    /// Until a block of the session may be given to the core, or the router is stopped.
    async fn until_wanted(&self, session: SessionNo, link: &Link) {
        while self.wants_block(session) == Some(false) {
            link.woken().await;
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
        let behind = self.is_behind();
        if behind {
            self.inner.held.borrow_mut().insert(session);
        }
        wants.map(|wants| wants && !behind)
    }

    /// What the core says, which changes nothing; `None` when the router is stopped.
    pub(crate) fn core_says<T>(&self, what: impl FnOnce(&P::Core) -> T) -> Option<T> {
        self.inner.core.borrow().as_ref().map(what)
    }

    /// Removes the link of a session that got no connection.
    pub(crate) fn unlink(&self, session: SessionNo) {
        self.inner.links.borrow_mut().remove(&session);
    }

    /// Everybody may have something to do.
    pub(crate) fn wake_all(&self) {
        self.inner.links.borrow().values().for_each(|link| link.wake());
        self.inner.protocol.released();
    }

    /// Whether so much waits for the store that nothing more should be read; [`Protocol::released`] tells when that may have
    /// changed.
    pub(crate) fn is_behind(&self) -> bool {
        self.inner.writer.borrow().as_ref().is_some_and(StateWriter::is_behind)
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
