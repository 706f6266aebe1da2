//! Who is connected to which router: clients, services, and routers to one another.

use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::smp::router::DialFailure;
use sxlab_protocol::wire::VersionRange;

use super::*;

impl World {
    fn tls_session(&mut self) -> Vec<u8> {
        self.tls_sessions += 1;
        sha256(&self.tls_sessions.to_be_bytes()).to_vec()
    }

    /// A client of the first router that speaks this version.
    pub fn client(&mut self, version: u16) -> Who {
        self.client_of(0, version)
    }

    /// `N` clients of the first router.
    pub fn clients<const N: usize>(&mut self, version: u16) -> [Who; N] {
        std::array::from_fn(|_| self.client(version))
    }

    pub fn client_of(&mut self, site: usize, version: u16) -> Who {
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        let (session, handshake) = self.accept(site, version);
        self.connect(site, session, Wire::Client(Box::new(Client::new(handshake, rng))))
    }

    /// A client that speaks any bytes. `change` may alter its handshake.
    pub fn raw(&mut self, version: u16, change: impl FnOnce(&mut ClientHandshake)) -> Who {
        let (session, mut handshake) = self.accept(0, version);
        change(&mut handshake);
        self.connect(0, session, Wire::Raw { handshake: Some(handshake), agreed: None, service: None })
    }

    /// A service of the first router that speaks this version.
    pub fn service(&mut self, version: u16, credentials: &ServiceCredentials) -> Who {
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        let (session, handshake) = self.accept_with(0, version, credentials.chain.ders.clone());
        let client = Client::for_service(handshake, credentials.clone(), rng);
        self.connect(0, session, Wire::Client(Box::new(client)))
    }

    /// A service that speaks any bytes, and presents these certificates in TLS.
    pub fn raw_service(
        &mut self,
        version: u16,
        credentials: &ServiceCredentials,
        chain: Vec<Vec<u8>>,
    ) -> Who {
        let (session, handshake) = self.accept_with(0, version, chain);
        let service = RawService { credentials: credentials.clone(), signer: None, reply: None };
        let (handshake, service) = (Some(handshake), Some(Box::new(service)));
        self.connect(0, session, Wire::Raw { handshake, agreed: None, service })
    }

    /// A connection on which nothing was said yet.
    pub fn accept(&mut self, site: usize, version: u16) -> (SessionNo, ClientHandshake) {
        self.accept_with(site, version, Vec::new())
    }

    /// The same with the certificates that the client presented in TLS.
    pub fn accept_with(
        &mut self,
        site: usize,
        version: u16,
        chain: Vec<Vec<u8>>,
    ) -> (SessionNo, ClientHandshake) {
        let tls_session = self.tls_session();
        let now = self.now;
        let handshake = ClientHandshake {
            versions: VersionRange::only(version),
            identity: self.sites[site].address.identity,
            session_id: tls_session.clone(),
            send_key: true,
            proxy: false,
            unix_seconds: now / SECOND,
        };
        let core = &mut self.sites[site].core;
        (core.accept_with_chain("client.test", tls_session, true, chain, now), handshake)
    }

    fn connect(&mut self, site: usize, session: SessionNo, wire: Wire) -> Who {
        let who = self.clients.len();
        let key = X25519Secret::generate(&mut self.rng);
        self.sites[site].ends.insert(session, End::Client(who));
        let (blocks, history) = (Vec::new(), Vec::new());
        let last = BTreeMap::new();
        self.clients.push(Device { site, session, wire, reading: true, blocks, history, last, key });
        self.drive();
        who
    }

    /// Makes the connections that routers asked for: to the router with the address's identity and host, if there is one.
    pub fn finish_dials(&mut self) {
        for (from, session, address) in std::mem::take(&mut self.dials) {
            let now = self.now;
            let found = self.sites.iter().position(|site| site.address == address);
            let Some(to) = found else {
                self.sites[from].core.dial_failed(session, DialFailure::Network, now);
                continue;
            };
            let tls_session = self.tls_session();
            let at = self.sites[to].core.accept("proxy.test", tls_session.clone(), true, now);
            self.sites[to].ends.insert(at, End::Router(from, session));
            self.sites[from].ends.insert(session, End::Router(to, at));
            self.sites[from].core.dialed(session, tls_session, now);
        }
    }

    /// Ends a client's connection.
    pub fn disconnect(&mut self, who: Who) {
        let (site, session) = (self.clients[who].site, self.clients[who].session);
        self.cut(site, session);
    }

    /// Ends a connection, at both ends.
    pub fn cut(&mut self, site: usize, session: SessionNo) {
        let now = self.now;
        let end = self.sites[site].ends.remove(&session);
        self.sites[site].core.closed(session, now);
        self.sites[site].inbox.remove(&session);
        if let Some(End::Router(other, at)) = end {
            self.sites[other].ends.remove(&at);
            self.sites[other].inbox.remove(&at);
            self.sites[other].core.closed(at, now);
        }
        self.drive();
    }

    fn to_relays(&self, site: usize) -> Vec<SessionNo> {
        let ends = self.sites[site].ends.iter();
        ends.filter(|(_, end)| matches!(end, End::Router(..))).map(|(session, _)| *session).collect()
    }

    /// The router's connections to other routers take no more blocks.
    pub fn stall_relays(&mut self, site: usize) {
        let relays = self.to_relays(site);
        self.sites[site].stalled.extend(relays);
    }

    /// They do again.
    pub fn release_relays(&mut self, site: usize) {
        self.sites[site].stalled.clear();
        self.drive();
    }

    /// Ends the connections between routers.
    pub fn cut_relays(&mut self, site: usize) {
        let relays = self.to_relays(site);
        for session in relays {
            self.cut(site, session);
        }
    }

    /// Whether the router closed the client's connection.
    pub fn is_closed(&self, who: Who) -> bool {
        let device = &self.clients[who];
        self.sites[device.site].closed.contains(&device.session)
    }

    pub fn session(&self, who: Who) -> SessionNo {
        self.clients[who].session
    }
}
