//! An SMP router on sockets: a [`Node`] that dials other routers when the core asks for it as a proxy, and looks names up.

use std::cell::OnceCell;

use sxlab_protocol::observe::{SessionNo, Sight};
use sxlab_protocol::smp::error::NameError;
use sxlab_protocol::smp::name::Name;
use sxlab_protocol::smp::router::{
    Change, DialFailure, LookupNo, QueueStore, Router, RouterConfig, RouterEvent,
};
use sxlab_protocol::transport::{BLOCK_SIZE, RouterCredentials};
use sxlab_protocol::wire::RouterAddress;

use crate::dial::{self, DialError, dial};
use crate::identity::RouterIdentity;
use crate::node::{Connected, Core, Node, Protocol, Wanted};
pub use crate::node::{ConnectionLimits, Observer};
use crate::resolver::Resolver;
use crate::store::Writer;
use crate::tls::{Acceptor, SMP_ALPN, TlsError};
use crate::world::World;

/// An SMP router and its connections. Clones are the same router.
pub type RouterNode<W> = Node<W, Smp>;

/// What an SMP router has beside its clients' connections.
#[derive(Default)]
pub struct Smp {
    resolver: OnceCell<Resolver>,
}

/// What an SMP router asks for beside its clients' connections.
#[derive(Debug)]
pub enum SmpEvent {
    /// Connect to a relay.
    Dial {
        /// The session that it will be.
        session: SessionNo,
        /// Where to.
        address: RouterAddress,
    },
    /// Look a name up.
    Resolve {
        /// Which question this is.
        lookup: LookupNo,
        /// The name.
        name: Name,
    },
}

impl Core for Router {
    type State = QueueStore;
    type Event = SmpEvent;
    const BLOCK_SIZE: usize = BLOCK_SIZE;

    fn accept(&mut self, connected: Connected<'_>, now: u64) -> SessionNo {
        let Connected { from, session_id, alpn, chain } = connected;
        self.accept_with_chain(from, session_id, alpn, chain, now)
    }

    fn block(&mut self, session: SessionNo, block: Vec<u8>, now: u64) {
        Router::block(self, session, block, now);
    }

    fn next_block(&mut self, session: SessionNo) -> Option<Vec<u8>> {
        Router::next_block(self, session)
    }

    fn needs(&self, session: SessionNo) -> u64 {
        Router::needs(self, session)
    }

    fn wants_block(&self, session: SessionNo) -> bool {
        Router::wants_block(self, session)
    }

    fn closed(&mut self, session: SessionNo, now: u64) {
        Router::closed(self, session, now);
    }

    fn next_timeout(&self) -> Option<u64> {
        Router::next_timeout(self)
    }

    fn timeout(&mut self, now: u64) {
        Router::timeout(self, now);
    }

    fn poll(&mut self) -> Option<Wanted<SmpEvent>> {
        Some(match Router::poll(self)? {
            RouterEvent::Writable(session) => Wanted::Writable(session),
            RouterEvent::Close(session) => Wanted::Close(session),
            RouterEvent::Dial { session, address } => Wanted::Other(SmpEvent::Dial { session, address }),
            RouterEvent::Resolve { lookup, name } => Wanted::Other(SmpEvent::Resolve { lookup, name }),
        })
    }

    fn changes(&mut self) -> Vec<Change> {
        Router::changes(self)
    }

    fn sights(&mut self) -> Vec<Sight> {
        Router::sights(self)
    }

    fn sessions(&self) -> usize {
        Router::sessions(self)
    }

    fn shut_down(&mut self, now: u64) {
        Router::shut_down(self, now);
    }

    fn into_state(self) -> QueueStore {
        self.into_store()
    }
}

impl<W: World> Protocol<W> for Smp {
    type Core = Router;

    fn carry_out(&self, node: &RouterNode<W>, event: SmpEvent) {
        let own = node.clone();
        match event {
            SmpEvent::Dial { session, address } => {
                node.world().spawn(async move { own.dialed(session, address).await });
            }
            SmpEvent::Resolve { lookup, name } => {
                node.world().spawn(async move { own.look_up(lookup, name).await });
            }
        }
    }
}

impl<W: World> Node<W, Smp> {
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
        Ok(Self::made(world, acceptor, limits, (Smp::default(), core), writer, observer))
    }

    /// Connects to a relay for the core.
    async fn dialed(&self, session: SessionNo, address: RouterAddress) {
        let connected = tokio::select! {
            biased;
            () = self.stopped() => None,
            connected = dial(self.world(), &address, &dial::SMP, None, self.limits().dial_timeout) => Some(connected),
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
        self.unlink(session);
    }

    /// From now on names are resolved, by this resolver or by the one that was given before.
    pub fn resolve_names(&self, resolver: Resolver) {
        let _ = self.protocol().resolver.set(resolver);
        self.with_core(|core, _| core.resolve_names());
    }

    /// Looks a name up for the core.
    async fn look_up(&self, lookup: LookupNo, name: Name) {
        let outcome = match self.protocol().resolver.get() {
            Some(resolver) => tokio::select! {
                biased;
                () = self.stopped() => return,
                outcome = resolver.look_up(self.world(), &name) => outcome,
            },
            None => Err(NameError::NoResolver),
        };
        self.with_core(|core, _| core.resolved(lookup, outcome));
    }
}
