//! The router at the semantic layer: the same commands on the same queues, given and answered as values ([`Asked`], [`Told`]),
//! for simulations in which nobody is there to look through the cryptography.
//!
//! What differs from sessions with bytes: authorizations are taken as right, a message's body is delivered as it was sent, and
//! keys that the router would make are one constant. Blocks, their order, and the sizes that are observed are the same.
//!
//! Contract: as for bytes, with [`Router::commands`] in place of [`Router::block`], [`Router::next_told`] in place of
//! [`Router::next_block`] for clients, [`Router::next_asked`] for relays, and [`Router::relay_greeted`] and
//! [`Router::relay_told`] for what comes from them.

use std::collections::{BTreeSet, VecDeque};

use super::proxy::{broker, relay_link};
use super::sessions::{Open, Peer};
use super::verify::{Accepted, KnownSecrets, Reply};
use super::{Content, Router, Stored};
use crate::crypto::keys::{SharedSecret, X25519Public, X25519Secret};
use crate::observe::{Layer, SessionNo, Sight};
use crate::smp::error::{BrokerError, CommandError, ProxyError, SmpError};
use crate::smp::response::Response;
use crate::smp::semantic::{Asked, Told, command_size};
use crate::smp::version::{Layout, MAX};
use crate::tables::Table;
use crate::transport::{Agreed, Authorization, BlockCodec, Received, RouterHello, Session, first_block};
use crate::wire::CorrId;

/// What stands for the keys that a router makes.
#[derive(Debug)]
pub(super) struct Constants {
    pub(super) key: X25519Secret,
    pub(super) public: X25519Public,
    pub(super) secret: SharedSecret,
}

impl Router {
    /// This router with sessions at the semantic layer only, at the greatest version.
    #[must_use]
    pub fn without_cryptography(mut self) -> Self {
        let key = X25519Secret::from_bytes([1; 32]);
        let public = key.public();
        let secret = SharedSecret::from_bytes([1; 32]);
        self.semantic = Some(Box::new(Constants { key, public, secret }));
        self
    }

    /// A client's session, after its handshake. `proxy`: it is another router's. Nothing before
    /// [`Router::without_cryptography`].
    pub fn accept_semantic(&mut self, from: &str, proxy: bool, now: u64) -> Option<SessionNo> {
        let key = self.semantic.as_ref()?.key.clone();
        let session = self.new_session();
        self.schedule_checks(now);
        self.statistics.accepted += 1;
        self.see(|| Sight::Accepted { session, from: from.to_owned() });
        let agreed = Agreed {
            version: MAX,
            session: Session { id: Vec::new(), layout: Layout::of(MAX) },
            codec: BlockCodec::plain(),
            secret: None,
            peer_key: None,
            proxy,
        };
        let open = Open {
            agreed,
            key,
            known: KnownSecrets::none(),
            holds: Table::default(),
            notifiers: BTreeSet::new(),
            service: None,
        };
        self.sessions.insert(session, Peer::opened(open, now));
        Some(session)
    }

    /// A block of commands came from a client.
    pub fn commands(&mut self, session: SessionNo, asked: Vec<Asked>, now: u64) {
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        peer.heard = now;
        let Some(open) = peer.open() else { return };
        let layout = open.agreed.session.layout;
        self.statistics.blocks_in += 1;
        self.blocks += 1;
        let mut verified = Vec::with_capacity(asked.len());
        for asked in asked {
            let size = if self.config.observe { asked.size(&layout) } else { 0 };
            let accepted = accepted(asked);
            self.statistics.command(accepted.command.kind());
            self.see(|| Sight::Received(accepted.seen(session, Layer::Session, size)));
            verified.push(accepted);
        }
        self.carry_out(session, verified, Vec::new(), now);
    }

    /// Queues responses for a session in the blocks that they would take.
    pub(super) fn tell(&mut self, session: SessionNo, replies: Vec<Reply>) {
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        let Some(open) = peer.open() else { return };
        let layout = open.agreed.session.layout;
        let mut told: VecDeque<(usize, Told)> = VecDeque::with_capacity(replies.len());
        for Reply { corr, entity, response } in replies {
            self.statistics.response(&response);
            let reply = Told { corr, entity, response };
            told.push_back((reply.size(&layout), reply));
        }
        if self.config.observe {
            self.sights.extend(told.iter().map(|(size, told)| Sight::Sent(told.seen(session, *size))));
        }
        while !told.is_empty() {
            let count = first_block(told.iter().map(|(size, _)| *size)).max(1);
            peer.told.push_back(told.drain(..count.min(told.len())).map(|(_, told)| told).collect());
        }
        if !peer.told.is_empty() {
            self.writable.insert(session);
        }
    }

    /// The next block of responses to a client.
    pub fn next_told(&mut self, session: SessionNo) -> Option<Vec<Told>> {
        let waiting = &mut self.sessions.get_mut(&session)?.told;
        let told = waiting.pop_front();
        if waiting.is_empty() {
            // Most sessions have nothing to write most of the time: no memory is kept for it.
            *waiting = VecDeque::new();
        }
        self.statistics.blocks_out += u64::from(told.is_some());
        self.deliver_deferred(session);
        told
    }

    /// RFWD at the semantic layer.
    pub(super) fn forwarded_semantic(
        &mut self,
        session: SessionNo,
        corr: &CorrId,
        sealed: &[u8],
        now: u64,
    ) -> Response {
        let layout = Layout::of(MAX);
        let Some(asked) = Asked::from_inside(sealed, &layout) else {
            return Response::Err(SmpError::Command(CommandError::Syntax));
        };
        let size = if self.config.observe { command_size(&asked.command, &layout) } else { 0 };
        let accepted = accepted(asked);
        self.statistics.forwarded_command(accepted.command.kind());
        let mut seen = accepted.seen(session, Layer::Forwarded, size);
        seen.corr = corr.clone();
        self.see(|| Sight::Received(seen));
        let response = self.execute_sender(accepted, layout.message_limit, now);
        self.statistics.error_in(&response);
        match Told::inside(&response, &layout) {
            Ok(sealed) => Response::Rres { sealed },
            Err(_) => Response::Err(SmpError::Internal),
        }
    }

    /// The connection asked for by [`RouterEvent::Dial`](super::RouterEvent::Dial) is up.
    pub fn dialed_semantic(&mut self, session: SessionNo) {
        let Some(to) = self.relays.dialed_semantic(session) else { return };
        self.statistics.dialed += 1;
        self.see(|| Sight::Dialed { session, to });
    }

    /// A relay's hello came.
    pub fn relay_greeted(&mut self, session: SessionNo, hello: RouterHello, now: u64) {
        self.relay_shows(session, hello, MAX, now);
    }

    /// The next block of commands to a relay.
    pub fn next_asked(&mut self, session: SessionNo) -> Option<Vec<Asked>> {
        let asked = &mut relay_link(&mut self.relays, session)?.asked;
        let layout = Layout::of(MAX);
        let count = match asked.len() {
            // What is alone fits always.
            few @ (0 | 1) => few,
            _ => first_block(asked.iter().map(|asked| asked.size(&layout))),
        };
        let block: Vec<_> = asked.drain(..count).collect();
        (!block.is_empty()).then_some(block)
    }

    /// A block of responses came from a relay.
    pub fn relay_told(&mut self, session: SessionNo, told: Vec<Told>, now: u64) {
        let Some(relay) = relay_link(&mut self.relays, session) else { return };
        relay.heard = now;
        for Told { corr, response, .. } in told {
            let Some(proxied) = self.relays.answered(session, &corr) else { continue };
            let response = match response {
                Response::Rres { sealed } => Response::Pres { sealed },
                Response::Err(error) => Response::Err(SmpError::Proxy(ProxyError::Protocol(Box::new(error)))),
                response => broker(BrokerError::Unexpected(response.tag().to_owned())),
            };
            self.answer_proxied(proxied, response);
        }
    }
}

impl Told {
    fn seen(&self, session: SessionNo, size: usize) -> crate::observe::Seen {
        crate::observe::Seen {
            session,
            kind: self.response.kind(),
            layer: Layer::Session,
            entity: self.entity.clone(),
            corr: self.corr.clone(),
            size: u32::try_from(size).unwrap_or(u32::MAX),
            passed_to: None,
        }
    }
}

/// A command as if it had come in a transmission.
fn accepted(asked: Asked) -> Accepted {
    let Asked { corr, entity, command, .. } = asked;
    let received = Received {
        authorization: Some(Authorization::None),
        service_signature: None,
        right_session: true,
        corr,
        entity,
        command: Vec::new(),
        text: Vec::new(),
    };
    Accepted { received, authorization: Authorization::None, command }
}

/// MSG with the body as it was sent; nothing for a quota marker.
pub(super) fn bare_message(message: &Stored) -> Response {
    let body = match &message.content {
        Content::Message { body, .. } => body.clone(),
        Content::Quota => Vec::new(),
    };
    Response::Msg { id: message.id.clone(), body }
}
