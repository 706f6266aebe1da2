//! Routers: their cores, what these see and want, crashes and restarts.

use sxlab_node::identity::RouterIdentity;
use sxlab_protocol::crypto::certificate::SignedKey;
use sxlab_protocol::crypto::keys::X25519Secret;
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::smp::router::{DialFailure, QueueStore, Router, RouterConfig, RouterEvent};
use sxlab_protocol::smp::semantic::{Asked, Told};
use sxlab_protocol::smp::version::ALPN_VERSIONS;
use sxlab_protocol::tables::{Table, sorted};
use sxlab_protocol::transport::{RouterCredentials, RouterHello};
use sxlab_protocol::wire::{Host, RouterAddress};

use super::Simulation;
use super::connections::{Client, ConnectionNo};
use super::heap::{Arrival, Event};
use crate::engine::{EPOCH_NS, EngineError, PORT};
use crate::network::RouterIdx;
use crate::observe::VantageId;
use crate::scenario::Scenario;
use crate::seed::Streams;

/// A router's place in the network.
pub(super) struct Site {
    pub(super) address: RouterAddress,
    credentials: RouterCredentials,
    /// Its session key as its hello shows it: nobody uses it here.
    signed_key: SignedKey,
    config: RouterConfig,
    /// Nothing while it is down.
    pub(super) core: Option<Router>,
    /// The queues of a router that is down.
    kept: QueueStore,
    /// How often it was started.
    pub(super) starts: u32,
    sessions: Table<SessionNo, ConnectionNo>,
    /// Connections that were begun while it was down.
    pub(super) unheard: Vec<ConnectionNo>,
    /// When its timer is set for.
    timer: Option<u64>,
}

impl Site {
    pub(super) fn new(
        scenario: &Scenario,
        streams: &Streams,
        router: RouterIdx,
    ) -> Result<Self, EngineError> {
        let name = scenario.network.router(router).map_or("", |known| known.name.as_str());
        let mut rng = streams.key_stream(&format!("{name}/identity"));
        let identity = RouterIdentity::mint(name, &mut rng)
            .map_err(|error| EngineError::Identity { router: name.to_owned(), error })?;
        let host: Host = name.parse().map_err(|_| EngineError::Network(format!("{name} is no host name")))?;
        let address = RouterAddress {
            hosts: vec![host],
            port: Some(PORT),
            identity: identity.identity_hash(),
            password: None,
        };
        let credentials = RouterCredentials { chain: identity.chain().clone(), leaf: identity.leaf_key() };
        let signed_key =
            SignedKey::make(X25519Secret::from_bytes([1; 32]).public(), credentials.leaf.clone());
        let config = RouterConfig {
            queue_quota: scenario.router.queue_quota as usize,
            end_interval: scenario.router.end_interval_ns,
            observe: true,
            ..RouterConfig::default()
        };
        let mut site = Self {
            address,
            credentials,
            signed_key,
            config,
            core: None,
            kept: QueueStore::default(),
            starts: 0,
            sessions: Table::default(),
            unheard: Vec::new(),
            timer: None,
        };
        site.start(streams);
        Ok(site)
    }

    fn start(&mut self, streams: &Streams) {
        let name = self.address.hosts.first().map(ToString::to_string).unwrap_or_default();
        let rng = streams.key_stream(&format!("{name}/{}", self.starts));
        let store = std::mem::take(&mut self.kept);
        let core = Router::new(self.config.clone(), self.credentials.clone(), store, rng);
        self.core = Some(core.without_cryptography());
        self.starts += 1;
    }

    fn hello(&self, session_id: [u8; 32]) -> RouterHello {
        RouterHello {
            versions: ALPN_VERSIONS,
            session_id: session_id.to_vec(),
            authentication: Some((self.credentials.chain.clone(), self.signed_key.clone())),
        }
    }
}

impl Simulation<'_> {
    fn site(&mut self, router: RouterIdx) -> Option<&mut Site> {
        self.routers.get_mut(router.index())
    }

    /// Has a router's core do something, writes down what it saw and does what it wants.
    fn with_router<T>(&mut self, router: RouterIdx, act: impl FnOnce(&mut Router, u64) -> T) -> Option<T> {
        let now = EPOCH_NS + self.now;
        let core = self.site(router)?.core.as_mut()?;
        let result = act(core, now);
        self.serve(router);
        Some(result)
    }

    fn serve(&mut self, router: RouterIdx) {
        while let Some(core) = self.site(router).and_then(|site| site.core.as_mut()) {
            match core.poll() {
                Some(RouterEvent::Writable(session)) => self.write(router, session),
                Some(RouterEvent::Close(session)) => {
                    let Some(connection) = self.site(router).and_then(|site| site.sessions.remove(&session))
                    else {
                        continue;
                    };
                    self.end_session(router, session, connection);
                }
                Some(RouterEvent::Dial { session, address }) => {
                    let to = self.routers.iter().position(|site| site.address.identity == address.identity);
                    match to {
                        Some(to) => {
                            let to = RouterIdx::from(to);
                            let connection = self.connect(Client::Proxy(router, session), to);
                            if let Some(site) = self.site(router) {
                                site.sessions.insert(session, connection);
                            }
                        }
                        None => {
                            let now = EPOCH_NS + self.now;
                            let core = self.site(router).and_then(|site| site.core.as_mut());
                            if let Some(core) = core {
                                core.dial_failed(session, DialFailure::Network, now);
                            }
                        }
                    }
                }
                // Nobody asks for names here.
                Some(RouterEvent::Resolve { .. }) => {}
                None => break,
            }
        }
        let vantage = VantageId(router.0);
        let Some(core) = self.routers.get_mut(router.index()).and_then(|site| site.core.as_mut()) else {
            return;
        };
        for sight in core.sights() {
            self.log.push(self.now, vantage, sight);
        }
        self.set_router_timer(router);
    }

    /// The router itself closes a session of its own, or one with a relay.
    fn end_session(&mut self, router: RouterIdx, session: SessionNo, connection: ConnectionNo) {
        let dialed = self
            .connections
            .get_mut(connection)
            .is_some_and(|c| matches!(c.client, Client::Proxy(by, own) if by == router && own == session));
        if dialed {
            self.close_by_client(connection);
        } else {
            self.close_by_router(connection);
        }
        let now = EPOCH_NS + self.now;
        if let Some(core) = self.site(router).and_then(|site| site.core.as_mut()) {
            core.closed(session, now);
        }
    }

    fn write(&mut self, router: RouterIdx, session: SessionNo) {
        let Some(site) = self.site(router) else { return };
        let (Some(connection), Some(core)) = (site.sessions.get(&session).copied(), site.core.as_mut())
        else {
            return;
        };
        let (mut asked, mut told) = (Vec::new(), Vec::new());
        while let Some(block) = core.next_asked(session) {
            asked.push(block);
        }
        while let Some(block) = core.next_told(session) {
            told.push(block);
        }
        for block in asked {
            self.send_asked(connection, block);
        }
        for block in told {
            self.send_told(connection, block);
        }
    }

    fn set_router_timer(&mut self, router: RouterIdx) {
        let now = self.now;
        let Some(site) = self.routers.get_mut(router.index()) else { return };
        let Some(due) = site.core.as_ref().and_then(Router::next_timeout) else { return };
        let due = due.saturating_sub(EPOCH_NS).max(now);
        if site.timer.is_none_or(|timer| due < timer) {
            site.timer = Some(due);
            self.heap.push(due, Event::RouterTimer(router));
        }
    }

    pub(super) fn router_timer(&mut self, router: RouterIdx) {
        let now = self.now;
        let Some(site) = self.site(router).filter(|site| site.timer == Some(now)) else { return };
        site.timer = None;
        self.with_router(router, |core, now| core.timeout(now));
    }

    /// TLS is done on the router's side.
    pub(super) fn accept(&mut self, number: ConnectionNo) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let (client, router, start) = (connection.client, connection.router, connection.start);
        let (from, proxy) = match client {
            Client::User(user, _) => (self.user_address(user), false),
            Client::Proxy(by, _) => {
                (self.scenario.network.router(by).map(|r| r.name.clone()).unwrap_or_default(), true)
            }
        };
        if self.site(router).is_none_or(|site| site.starts != start) {
            return self.close_by_router(number);
        }
        let session = self.with_router(router, |core, now| core.accept_semantic(&from, proxy, now)).flatten();
        let Some(session) = session else { return self.close_by_router(number) };
        if let Some(connection) = self.connections.get_mut(number) {
            connection.session = Some(session);
        }
        if let Some(site) = self.site(router) {
            site.sessions.insert(session, number);
        }
    }

    pub(super) fn asked(&mut self, number: ConnectionNo, asked: Vec<Asked>) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let router = connection.router;
        let Some(session) = connection.session else { return };
        self.with_router(router, |core, now| core.commands(session, asked, now));
    }

    /// The client of a router's session is gone.
    pub(super) fn router_lost(&mut self, number: ConnectionNo) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let (router, session) = (connection.router, connection.session);
        if let Some(session) = session {
            if let Some(site) = self.site(router) {
                site.sessions.remove(&session);
            }
            self.with_router(router, |core, now| core.closed(session, now));
        }
    }

    pub(super) fn dialed(&mut self, number: ConnectionNo) {
        if let Some(Client::Proxy(router, session)) = self.connections.get_mut(number).map(|c| c.client) {
            self.with_router(router, |core, _| core.dialed_semantic(session));
        }
    }

    /// A relay's hello came to a proxy.
    pub(super) fn relay_greeted(&mut self, proxy: RouterIdx, session: SessionNo, relay: RouterIdx) {
        let id = self.random_id();
        let Some(hello) = self.site(relay).map(|site| site.hello(id)) else { return };
        self.with_router(proxy, |core, now| core.relay_greeted(session, hello, now));
    }

    pub(super) fn relay_told(&mut self, proxy: RouterIdx, session: SessionNo, told: Vec<Told>) {
        self.with_router(proxy, |core, now| core.relay_told(session, told, now));
    }

    /// A proxy's session with a relay is gone, or could not be made.
    pub(super) fn relay_lost(&mut self, proxy: RouterIdx, session: SessionNo, greeted: bool) {
        if let Some(site) = self.site(proxy) {
            site.sessions.remove(&session);
        }
        self.with_router(proxy, |core, now| {
            if greeted {
                core.closed(session, now);
            } else {
                core.dial_failed(session, DialFailure::Network, now);
            }
        });
    }

    /// A router stops without a word; its peers see their connections closed.
    pub(super) fn crash(&mut self, router: RouterIdx) {
        let Some(site) = self.site(router) else { return };
        let Some(core) = site.core.take() else { return };
        site.kept = core.into_store();
        site.timer = None;
        let sessions = std::mem::take(&mut site.sessions);
        for (&session, &number) in sorted(&sessions) {
            let by_router = self.connections.get_mut(number).is_some_and(
                |c| matches!(c.client, Client::Proxy(by, own) if by == router && own == session),
            );
            if by_router {
                self.close_by_client(number);
            } else {
                self.close_by_router(number);
            }
        }
    }

    /// A router that crashed starts again with its queues.
    pub(super) fn start(&mut self, router: RouterIdx) {
        let streams = self.streams;
        if let Some(site) = self.site(router).filter(|site| site.core.is_none()) {
            site.start(streams);
            for number in std::mem::take(&mut site.unheard) {
                self.heap.push(self.now, Event::Network(number, Arrival::Refused));
            }
        }
    }
}
