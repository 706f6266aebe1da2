//! The router as a proxy: one session with each relay that its clients asked for, and the commands forwarded over it
//! (PX-1 to PX-6, PX-11, PX-13).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::verify::Reply;
use super::{Mutant, Router, RouterEvent};
use crate::crypto::certificate::{Chain, SignedKey};
use crate::crypto::keys::X25519Public;
use crate::observe::{Kind, Layer, Seen, SessionNo, Sight};
use crate::smp::client::{Client, ClientEvent};
use crate::smp::command::Command;
use crate::smp::error::{BrokerError, HandshakeFailure, ProxyError, SmpError, TransportError};
use crate::smp::forward::{self, ForwardError};
use crate::smp::response::Response;
use crate::smp::semantic::{Asked, INNER};
use crate::smp::version::FORWARD_VERSIONS;
use crate::transport::{ClientHandshake, HandshakeError, RouterHello, SUPPORTED};
use crate::wire::{CorrId, EntityId, RouterAddress, VersionRange};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// Why a relay could not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialFailure {
    /// No connection, or TLS failed: nothing finer goes to the client (D43).
    Network,
    /// No answer in time.
    Timeout,
}

/// Sessions with relays.
#[derive(Debug, Default)]
pub(super) struct Relays {
    pub(super) by_address: BTreeMap<Vec<u8>, SessionNo>,
    /// Those that were shown to clients, by the id that clients know them by.
    by_id: BTreeMap<EntityId, SessionNo>,
    open: BTreeMap<SessionNo, RelaySession>,
    /// Relays that failed lately, until when they are not tried again, and how they failed.
    failed: BTreeMap<Vec<u8>, (u64, BrokerError)>,
    /// By when relays must answer: their hello (the empty id), or what was forwarded with this correlation id.
    deadlines: BTreeSet<(u64, SessionNo, CorrId)>,
}

#[derive(Debug)]
pub(super) struct RelaySession {
    address: RouterAddress,
    key: Vec<u8>,
    client: Option<Client>,
    /// At the semantic layer: whether it is connected, and commands that wait to be written.
    connected: bool,
    pub(super) asked: VecDeque<Asked>,
    /// Absent until the relay's hello came, which it must by the time in `due`.
    shown: Option<Shown>,
    due: u64,
    /// When the last block came from it.
    pub(super) heard: u64,
    /// PRXY that wait for it.
    waiting: Vec<Proxied>,
    /// PFWD that wait for answers, and until when, by the correlation id of their RFWD.
    pending: BTreeMap<CorrId, (u64, Proxied)>,
}

/// What PKEY tells a client about the session with the relay.
#[derive(Debug)]
struct Shown {
    session: EntityId,
    versions: VersionRange,
    chain: Chain,
    signed_key: SignedKey,
}

/// A client's command that waits for a relay.
#[derive(Debug)]
pub(super) struct Proxied {
    client: SessionNo,
    corr: CorrId,
    entity: EntityId,
}

impl Relays {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_open(&self, session: SessionNo) -> bool {
        self.open.contains_key(&session)
    }

    pub(super) fn next_block(&mut self, session: SessionNo) -> Option<Vec<u8>> {
        self.open.get_mut(&session)?.client.as_mut()?.next_block()
    }

    /// The session that was not used for longest, of those that nobody waits for.
    fn unused(&self) -> Option<SessionNo> {
        let idle = self.open.iter().filter(|(_, relay)| relay.waiting.is_empty() && relay.pending.is_empty());
        idle.min_by_key(|(_, relay)| relay.heard).map(|(session, _)| *session)
    }

    /// Notes at the semantic layer that the relay is connected; its host.
    pub(super) fn dialed_semantic(&mut self, session: SessionNo) -> Option<String> {
        let relay = self.open.get_mut(&session)?;
        relay.connected = true;
        Some(relay.address.hosts.first().map(ToString::to_string).unwrap_or_default())
    }

    /// Whose command the relay answered.
    pub(super) fn answered(&mut self, session: SessionNo, corr: &CorrId) -> Option<Proxied> {
        let (due, proxied) = self.open.get_mut(&session)?.pending.remove(corr)?;
        self.deadlines.remove(&(due, session, corr.clone()));
        Some(proxied)
    }

    pub(super) fn next_timeout(&self) -> Option<u64> {
        self.deadlines.first().map(|(due, ..)| *due)
    }
}

/// What makes two addresses the same relay: the identity, the first host and the port.
fn relay_key(address: &RouterAddress) -> Vec<u8> {
    let mut key = address.identity.to_vec();
    key.extend(address.hosts.first().map(ToString::to_string).unwrap_or_default().bytes());
    key.extend(address.port.unwrap_or_default().to_be_bytes());
    key
}

pub(super) fn broker(error: BrokerError) -> Response {
    Response::Err(SmpError::Proxy(ProxyError::Broker(error)))
}

impl Router {
    /// PRXY: answers with the session with the relay, once there is one. `None`: later.
    pub(super) fn request_relay(
        &mut self,
        session: SessionNo,
        corr: &CorrId,
        address: RouterAddress,
        password: Option<String>,
        now: u64,
    ) -> Option<Response> {
        let known = self.config.password.as_ref().is_none_or(|p| Some(p) == password.as_ref());
        if !self.config.proxy || !known {
            return Some(Response::Err(SmpError::Proxy(ProxyError::BasicAuth)));
        }
        let key = relay_key(&address);
        let proxied = Proxied { client: session, corr: corr.clone(), entity: EntityId::EMPTY };
        if let Some(relay) =
            self.relays.by_address.get(&key).and_then(|number| self.relays.open.get_mut(number))
        {
            if let Some(shown) = &relay.shown {
                return Some(pkey(shown));
            }
            relay.waiting.push(proxied);
            self.count_proxied(session);
            return None;
        }
        if let Some((until, error)) = self.relays.failed.get(&key) {
            if now < *until {
                return Some(broker(error.clone()));
            }
            self.relays.failed.remove(&key);
        }
        if self.relays.open.len() >= self.config.relay_sessions {
            let Some(unused) = self.relays.unused() else { return Some(broker(BrokerError::Network)) };
            self.close_relay(unused, &BrokerError::Network, now);
        }
        let number = self.new_session();
        let due = now.saturating_add(self.config.forward_timeout);
        self.relays.by_address.insert(key.clone(), number);
        self.relays.deadlines.insert((due, number, CorrId::EMPTY));
        let relay = RelaySession {
            address: address.clone(),
            key,
            client: None,
            connected: false,
            asked: VecDeque::new(),
            shown: None,
            due,
            heard: now,
            waiting: vec![proxied],
            pending: BTreeMap::new(),
        };
        self.relays.open.insert(number, relay);
        self.count_proxied(session);
        self.events.push_back(RouterEvent::Dial { session: number, address });
        None
    }

    fn count_proxied(&mut self, client: SessionNo) {
        if let Some(peer) = self.sessions.get_mut(&client) {
            peer.proxied += 1;
        }
    }

    /// The connection asked for by [`RouterEvent::Dial`] is up; `tls_session` is its tls-unique.
    pub fn dialed(&mut self, session: SessionNo, tls_session: Vec<u8>, now: u64) {
        let rng = ChaCha20Rng::from_rng(&mut self.rng);
        let Some(relay) = self.relays.open.get_mut(&session) else { return };
        let to = relay.address.hosts.first().map(ToString::to_string).unwrap_or_default();
        let handshake = ClientHandshake {
            versions: SUPPORTED,
            identity: relay.address.identity,
            session_id: tls_session,
            send_key: true,
            proxy: true,
            unix_seconds: now / super::SECOND,
        };
        relay.client = Some(Client::new(handshake, rng));
        self.statistics.dialed += 1;
        self.see(|| Sight::Dialed { session, to });
    }

    /// The connection asked for by [`RouterEvent::Dial`] could not be made.
    pub fn dial_failed(&mut self, session: SessionNo, failure: DialFailure, now: u64) {
        let error = match failure {
            DialFailure::Network => BrokerError::Network,
            DialFailure::Timeout => BrokerError::Timeout,
        };
        self.statistics.dial_failures += 1;
        self.relay_ended(session, &error, now);
    }

    pub(super) fn relay_closed(&mut self, session: SessionNo, now: u64) {
        self.relay_ended(session, &BrokerError::Network, now);
    }

    /// Answers everybody who waits for the relay with `error` and forgets its session. A relay that did not get as far as
    /// to be shown to clients is not tried again for a while (PX-6).
    fn relay_ended(&mut self, session: SessionNo, error: &BrokerError, now: u64) {
        let Some(relay) = self.relays.open.remove(&session) else { return };
        self.relays.by_address.remove(&relay.key);
        self.relays.deadlines.remove(&(relay.due, session, CorrId::EMPTY));
        self.forget_events(session);
        if relay.client.is_some() || relay.connected {
            self.see(|| Sight::Closed { session });
        }
        if let Some(shown) = &relay.shown
            && self.relays.by_id.get(&shown.session) == Some(&session)
        {
            self.relays.by_id.remove(&shown.session);
        }
        if relay.shown.is_none() {
            let until = now.saturating_add(self.config.relay_memory);
            self.relays.failed.retain(|_, (until, _)| *until > now);
            self.relays.failed.insert(relay.key, (until, error.clone()));
        }
        for (own, (due, _)) in &relay.pending {
            self.relays.deadlines.remove(&(*due, session, own.clone()));
        }
        let pending = relay.pending.into_values().map(|(_, proxied)| proxied);
        for proxied in relay.waiting.into_iter().chain(pending) {
            self.answer_proxied(proxied, broker(error.clone()));
        }
    }

    /// The same, and has its connection closed.
    fn close_relay(&mut self, session: SessionNo, error: &BrokerError, now: u64) {
        self.relay_ended(session, error, now);
        self.events.push_back(RouterEvent::Close(session));
    }

    /// Ends every session with a relay.
    pub(super) fn close_relays(&mut self, now: u64) {
        for session in self.relays.open.keys().copied().collect::<Vec<_>>() {
            self.close_relay(session, &BrokerError::Network, now);
        }
    }

    /// PFWD: passes a client's sealed command on. `None`: the answer comes with the relay's.
    #[expect(clippy::too_many_arguments, reason = "the fields of one command and its transmission")]
    pub(super) fn forward(
        &mut self,
        session: SessionNo,
        corr: &CorrId,
        entity: &EntityId,
        version: u16,
        key: &X25519Public,
        sealed: &[u8],
        now: u64,
    ) -> Option<Response> {
        let no_session = Response::Err(SmpError::Proxy(ProxyError::NoSession));
        let fresh = CorrId::from(self.fresh_id());
        let own = if self.is(Mutant::ForwardsUnderClientCorr) { corr.clone() } else { fresh };
        let Some(&number) = self.relays.by_id.get(entity) else { return Some(no_session) };
        let Some(relay) = self.relays.open.get_mut(&number) else { return Some(no_session) };
        if self.semantic.is_some() {
            let command = Command::Rfwd { sealed: sealed.to_vec() };
            let (corr, entity) = (own.clone(), EntityId::EMPTY);
            relay.asked.push_back(Asked { corr, entity, authorization: 0, command });
        } else if let Err(refused) = forward_sealed(relay, &own, corr, version, key, sealed) {
            return Some(refused.map_or(no_session, broker));
        }
        let proxied = Proxied { client: session, corr: corr.clone(), entity: entity.clone() };
        let due = now.saturating_add(self.config.forward_timeout);
        relay.pending.insert(own.clone(), (due, proxied));
        self.relays.deadlines.insert((due, number, own.clone()));
        self.writable.insert(number);
        self.count_proxied(session);
        let size = if self.semantic.is_some() { INNER } else { sealed.len() };
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let (corr, entity) = (corr.clone(), entity.clone());
        self.see(|| {
            let passed_to = Some((number, own));
            Sight::Sent(Seen {
                session,
                kind: Kind::Rfwd,
                layer: Layer::Forwarded,
                entity,
                corr,
                size,
                passed_to,
            })
        });
        None
    }

    pub(super) fn answer_proxied(&mut self, proxied: Proxied, response: Response) {
        let Proxied { client, corr, entity } = proxied;
        if let Some(peer) = self.sessions.get_mut(&client) {
            peer.proxied = peer.proxied.saturating_sub(1);
            // Its session may be read again.
            self.writable.insert(client);
        }
        self.send(client, vec![Reply { corr, entity, response }]);
    }

    /// A block from a relay: its hello, or answers to forwarded commands.
    pub(super) fn relay_block(&mut self, session: SessionNo, block: &[u8], now: u64) {
        let Some(relay) = self.relays.open.get_mut(&session) else { return };
        relay.heard = now;
        let Some(client) = &mut relay.client else { return };
        let hello = match client.block(block) {
            Ok(()) => client.take_hello(),
            Err(error) => return self.close_relay(session, &relay_error(&error), now),
        };
        self.writable.insert(session);
        match hello {
            Some(hello) => {
                let capped = client.agreed().map_or(FORWARD_VERSIONS.max, |agreed| agreed.version);
                self.relay_shows(session, hello, capped, now);
            }
            None => self.relay_answers(session),
        }
    }

    /// A relay's hello came: those who wait for it are told, with versions up to `capped`.
    pub(super) fn relay_shows(&mut self, session: SessionNo, hello: RouterHello, capped: u16, now: u64) {
        let Some(relay) = self.relays.open.get_mut(&session) else { return };
        let offered = hello.versions.common(&FORWARD_VERSIONS);
        let shown = match (offered, hello.authentication) {
            (Some(versions), Some((chain, signed_key))) => Ok(Shown {
                session: EntityId::new(&hello.session_id).unwrap_or_default(),
                versions: VersionRange { min: versions.min, max: versions.max.min(capped) },
                chain,
                signed_key,
            }),
            (None, _) => Err(BrokerError::Transport(TransportError::Version)),
            (_, None) => Err(BrokerError::Transport(TransportError::NoAuth)),
        };
        match shown {
            Ok(shown) => {
                let response = pkey(&shown);
                self.relays.by_id.entry(shown.session.clone()).or_insert(session);
                relay.shown = Some(shown);
                let waiting = std::mem::take(&mut relay.waiting);
                self.relays.deadlines.remove(&(relay.due, session, CorrId::EMPTY));
                for proxied in waiting {
                    self.answer_proxied(proxied, response.clone());
                }
            }
            Err(error) => self.close_relay(session, &error, now),
        }
    }

    fn relay_answers(&mut self, session: SessionNo) {
        loop {
            let Some(relay) = self.relays.open.get_mut(&session) else { return };
            let Some(client) = &mut relay.client else { return };
            let Some(event) = client.poll() else { return };
            // Events of a relay concern nobody here: a proxy subscribes to nothing.
            let ClientEvent::Response { corr, response, .. } = event else { continue };
            let secret = client.agreed().and_then(|agreed| agreed.secret.clone());
            let Some(proxied) = self.relays.answered(session, &corr) else { continue };
            let response = match (response, secret) {
                (Ok(Response::Rres { sealed }), Some(secret)) => {
                    // Whose correlation id comes back is not compared (observed): its client could not open the rest.
                    match forward::open_forward_reply(&secret, &corr, &sealed) {
                        Ok((_, sealed)) => Response::Pres { sealed },
                        Err(ForwardError::Decrypt) => Response::Err(SmpError::Crypto),
                        Err(_) => broker(BrokerError::Response("BLOCK".to_owned())),
                    }
                }
                (Ok(Response::Err(error)), _) => {
                    Response::Err(SmpError::Proxy(ProxyError::Protocol(Box::new(error))))
                }
                (Ok(response), _) => broker(BrokerError::Unexpected(response.tag().to_owned())),
                (Err(_), _) => broker(BrokerError::Response("CMD SYNTAX".to_owned())),
            };
            self.answer_proxied(proxied, response);
        }
    }

    /// Gives up on relays that took too long to greet or to answer.
    pub(super) fn relay_timeouts(&mut self, now: u64) {
        while let Some((due, session, own)) = self.relays.deadlines.first().cloned()
            && due <= now
        {
            self.relays.deadlines.remove(&(due, session, own.clone()));
            if own.is_empty() {
                self.close_relay(session, &BrokerError::Timeout, now);
                continue;
            }
            let Some(relay) = self.relays.open.get_mut(&session) else { continue };
            if relay.heard < due.saturating_sub(self.config.forward_timeout) {
                // Silent since before this command went out: the connection is dead, though nobody closed it.
                self.close_relay(session, &BrokerError::Timeout, now);
                continue;
            }
            if let Some(client) = &mut relay.client {
                client.forget(&own);
            }
            if let Some((_, proxied)) = relay.pending.remove(&own) {
                self.answer_proxied(proxied, broker(BrokerError::Timeout));
            }
        }
    }
}

/// Passes a client's sealed command on to the relay. The error is what the client is told: `None`: there is no session.
fn forward_sealed(
    relay: &mut RelaySession,
    own: &CorrId,
    corr: &CorrId,
    version: u16,
    key: &X25519Public,
    sealed: &[u8],
) -> Result<(), Option<BrokerError>> {
    let client = relay.client.as_mut().ok_or(None)?;
    let secret = client.agreed().and_then(|agreed| agreed.secret.clone());
    let secret = secret.ok_or(BrokerError::Transport(TransportError::NoAuth))?;
    forward::seal_forward(&secret, own, corr, version, key, sealed)
        .ok()
        .and_then(|command| client.request_with(own.clone(), EntityId::EMPTY, &command, None).ok())
        .ok_or(Some(BrokerError::Transport(TransportError::LargeMsg)))
}

/// A session with a relay.
pub(super) fn relay_link(relays: &mut Relays, session: SessionNo) -> Option<&mut RelaySession> {
    relays.open.get_mut(&session)
}

fn pkey(shown: &Shown) -> Response {
    Response::Pkey {
        session: shown.session.clone(),
        versions: shown.versions,
        chain: shown.chain.clone(),
        signed_key: shown.signed_key.clone(),
    }
}

/// How a failed handshake with a relay is told to clients.
fn relay_error(error: &crate::smp::client::ClientError) -> BrokerError {
    use crate::smp::client::ClientError;
    let transport = match error {
        ClientError::Handshake(HandshakeError::Version) => TransportError::Version,
        ClientError::Handshake(HandshakeError::SessionId) => TransportError::Session,
        // The deployed proxy tells another identity as a bad certificate.
        ClientError::Handshake(HandshakeError::Identity | HandshakeError::Certificate(_)) => {
            TransportError::Handshake(HandshakeFailure::BadAuth)
        }
        ClientError::Handshake(_) => TransportError::Handshake(HandshakeFailure::Parse),
        _ => TransportError::Block,
    };
    BrokerError::Transport(transport)
}
