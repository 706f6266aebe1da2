//! The notification protocol on sockets: a router, and a device's session with one.
//!
//! | part | what it does |
//! |---|---|
//! | [`NtfNode`] | a notification router: a [`Node`] that has sessions with SMP routers and asks providers for pushes |
//! | [`Providers`] | whom it asks for pushes |
//! | [`DeviceSession`] | a device's end of a session with a router |

mod device;
mod pushes;
mod smp;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use sxlab_protocol::ntf::handshake::BLOCK_SIZE;
use sxlab_protocol::ntf::router::{
    Change, PushRequest, Router, RouterConfig, RouterEvent, SmpAsk, SmpNo, Store,
};
use sxlab_protocol::observe::{SessionNo, Sight};
use sxlab_protocol::transport::{RouterCredentials, SUPPORTED, ServiceRole};
use sxlab_protocol::wire::VersionRange;

pub use self::device::DeviceSession;
pub use self::pushes::Providers;
use self::pushes::Queues;
use self::smp::Upstream;
use crate::client::ServiceIdentity;
use crate::identity::RouterIdentity;
use crate::node::{Connected, ConnectionLimits, Core, Node, Observer, Protocol, Wanted};
use crate::store::NtfWriter;
use crate::tls::{Acceptor, TlsError};
use crate::world::World;

/// The application protocol of notification routers.
const NTF_ALPN: [&[u8]; 1] = [b"ntf/1"];

/// A notification router and its connections. Clones are the same router.
pub type NtfNode<W> = Node<W, Ntf<W>>;

/// A notification router's sessions with SMP routers. How long connecting may take is in [`ConnectionLimits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmpLimits {
    /// Versions of SMP that it speaks.
    pub versions: VersionRange,
    /// How often an SMP router is asked whether it is there, in nanoseconds.
    pub ping_interval: u64,
    /// After how many such intervals in which nothing came a session has ended.
    pub pings: u32,
}

impl Default for SmpLimits {
    fn default() -> Self {
        Self { versions: SUPPORTED, ping_interval: 60_000_000_000, pings: 3 }
    }
}

/// What a notification router is made of, beside its identity and its tokens.
pub struct NtfSetup<W: World> {
    /// The core's limits and intervals. Whether it is a service is decided by `service`.
    pub config: RouterConfig,
    /// Limits of connections.
    pub limits: ConnectionLimits,
    /// Limits of sessions with SMP routers.
    pub smp: SmpLimits,
    /// Whom to ask for pushes.
    pub providers: Providers<W>,
    /// The certificates by which SMP routers know it as a service (NT-25); without, it is none.
    pub service: Option<Arc<RouterIdentity>>,
}

/// What a notification router has beside its devices' connections.
pub struct Ntf<W: World> {
    limits: SmpLimits,
    service: Option<ServiceIdentity>,
    /// Sessions with SMP routers, those that are being connected included.
    upstream: RefCell<BTreeMap<SmpNo, Rc<Upstream>>>,
    providers: Providers<W>,
    queues: Queues,
}

/// What a notification router asks for beside its devices' connections.
#[derive(Debug)]
pub enum NtfEvent {
    /// A push.
    Push(Box<PushRequest>),
    /// Something of an SMP router.
    Smp(SmpNo, SmpAsk),
}

impl Core for Router {
    type State = Store;
    type Event = NtfEvent;
    const BLOCK_SIZE: usize = BLOCK_SIZE;

    fn start(&mut self, now: u64) {
        Router::start(self, now);
    }

    fn accept(&mut self, connected: Connected<'_>, now: u64) -> SessionNo {
        let Connected { from, session_id, alpn, .. } = connected;
        Router::accept(self, from, session_id, alpn, now)
    }

    fn block(&mut self, session: SessionNo, block: Vec<u8>, now: u64) {
        Router::block(self, session, &block, now);
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

    fn closed(&mut self, session: SessionNo, _now: u64) {
        Router::closed(self, session);
    }

    fn next_timeout(&self) -> Option<u64> {
        Router::next_timeout(self)
    }

    fn timeout(&mut self, now: u64) {
        Router::timeout(self, now);
    }

    fn poll(&mut self) -> Option<Wanted<NtfEvent>> {
        Some(match Router::poll(self)? {
            RouterEvent::Writable(session) => Wanted::Writable(session),
            RouterEvent::Close(session) => Wanted::Close(session),
            RouterEvent::Push(request) => Wanted::Other(NtfEvent::Push(request)),
            RouterEvent::Smp(no, asked) => Wanted::Other(NtfEvent::Smp(no, asked)),
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

    fn shut_down(&mut self, _now: u64) {
        Router::shut_down(self);
    }

    fn into_state(self) -> Store {
        self.into_store()
    }
}

impl<W: World> Protocol<W> for Ntf<W> {
    type Core = Router;

    fn carry_out(&self, node: &NtfNode<W>, event: NtfEvent) {
        match event {
            NtfEvent::Push(request) => self.ask_provider(node, *request),
            NtfEvent::Smp(no, asked) => self.ask_smp(node, no, asked),
        }
    }

    fn released(&self) {
        self.upstream.borrow().values().for_each(|upstream| upstream.wake());
    }

    fn stopped(&self) {
        self.upstream.borrow().values().for_each(|upstream| upstream.close());
    }
}

impl<W: World> Node<W, Ntf<W>> {
    /// A router with this identity and these tokens. If they are in an [`NtfStore`](crate::store::NtfStore), they come from its
    /// `open`, and `writer` from its `in_background`, or `in_step` in simulations. With an observer, every [`Sight`] goes there.
    ///
    /// # Errors
    /// [`TlsError`] if the identity cannot be used for TLS.
    pub fn with_tokens(
        world: W,
        identity: &RouterIdentity,
        setup: NtfSetup<W>,
        tokens: Store,
        writer: Option<NtfWriter>,
        observer: Option<Observer>,
    ) -> Result<Self, TlsError> {
        let NtfSetup { config, limits, smp, providers, service } = setup;
        let acceptor = Acceptor::new(identity, &NTF_ALPN)?;
        let credentials = RouterCredentials { chain: identity.chain().clone(), leaf: identity.leaf_key() };
        let config = RouterConfig { observe: observer.is_some(), service: service.is_some(), ..config };
        let core = Router::new(config, credentials, tokens, world.rng());
        let service = service.map(|identity| ServiceIdentity::new(ServiceRole::Notifications, identity));
        let (upstream, queues) = (RefCell::default(), Queues::default());
        let ntf = Ntf { limits: smp, service, upstream, providers, queues };
        Ok(Self::made(world, acceptor, limits, (ntf, core), writer, observer))
    }

    /// How many sessions with SMP routers there are, those that are being connected included.
    pub fn smp_sessions(&self) -> usize {
        self.protocol().upstream.borrow().len()
    }
}
