//! Transport sessions with devices: the handshake, blocks in and out, and what waits to be written.

use std::collections::VecDeque;

use super::verify::{Accepted, Reply, check};
use super::{Router, RouterEvent};
use crate::crypto::keys::X25519Secret;
use crate::ntf::command::Command;
use crate::ntf::handshake::{Agreed, RouterHandshake};
use crate::ntf::response::Response;
use crate::ntf::semantic::Told;
use crate::ntf::version::Layout;
use crate::observe::{Kind, Layer, Seen, SessionNo, Sight};
use crate::smp::error::SmpError;
use crate::transport::{Session, read_transmission, response_head};
use crate::wire::{CorrId, EntityId, WireError};

/// A device's session.
#[derive(Debug)]
pub(super) struct Peer {
    state: State,
    /// Blocks that wait to be written, in order, each with the number of changes that have to be durable before.
    blocks: VecDeque<(u64, Vec<u8>)>,
    /// The same at the semantic layer.
    pub(super) told: VecDeque<Vec<Told>>,
    /// When its last block came, or it connected.
    pub(super) heard: u64,
}

#[derive(Debug)]
enum State {
    /// Its hello is awaited until the deadline.
    Handshake { handshake: Box<RouterHandshake>, deadline: u64 },
    /// It gives commands. The router's session key is there for authenticators.
    Open { agreed: Box<Agreed>, key: X25519Secret },
    /// It is to be closed; what it still sends is not read.
    Closing,
}

impl Peer {
    /// One whose handshake is done.
    pub(super) fn opened(agreed: Agreed, key: X25519Secret, now: u64) -> Self {
        let state = State::Open { agreed: Box::new(agreed), key };
        Self { state, blocks: VecDeque::new(), told: VecDeque::new(), heard: now }
    }

    fn waiting(&self) -> usize {
        self.blocks.len() + self.told.len()
    }

    pub(super) fn agreed(&mut self) -> Option<&mut Agreed> {
        match &mut self.state {
            State::Open { agreed, .. } => Some(agreed),
            State::Handshake { .. } | State::Closing => None,
        }
    }
}

impl Router {
    /// A TLS connection was accepted from the network address `from`. `tls_session` is its tls-unique, `alpn` whether
    /// a protocol was negotiated. The router's hello is queued at once.
    pub fn accept(&mut self, from: &str, tls_session: Vec<u8>, alpn: bool, now: u64) -> SessionNo {
        let session = self.new_session(from, now);
        let (credentials, versions) = (&self.credentials, self.config.versions);
        let mut blocks = VecDeque::new();
        let state = match RouterHandshake::start(credentials, versions, tls_session, alpn, &mut self.rng) {
            Ok((hello, handshake)) => {
                blocks.push_back((0, hello));
                self.queued += 1;
                self.writable.insert(session);
                let deadline = now.saturating_add(self.config.handshake_timeout);
                self.handshakes.insert((deadline, session));
                State::Handshake { handshake: Box::new(handshake), deadline }
            }
            Err(_) => {
                self.events.push_back(RouterEvent::Close(session));
                State::Closing
            }
        };
        let (told, heard) = (VecDeque::new(), now);
        self.sessions.insert(session, Peer { state, blocks, told, heard });
        session
    }

    /// A session's number; it is seen.
    pub(super) fn new_session(&mut self, from: &str, now: u64) -> SessionNo {
        self.next_session += 1;
        let session = SessionNo(self.next_session);
        self.schedule_checks(now);
        self.statistics.accepted += 1;
        self.see(|| Sight::Accepted { session, from: from.to_owned() });
        session
    }

    /// Whether the session's next block may be read now: not while it does not read its answers, nor while providers do not
    /// answer.
    #[must_use]
    pub fn wants_block(&self, session: SessionNo) -> bool {
        let peer = self.sessions.get(&session);
        peer.is_some_and(|peer| peer.waiting() < self.config.outgoing_blocks) && self.has_room_for_pushes()
    }

    /// Whether what SMP routers say may be read now: not while providers do not answer.
    #[must_use]
    pub fn wants_notifications(&self) -> bool {
        self.has_room_for_pushes()
    }

    /// How many of [`Router::changed`] have to be durable before the session's next block may be written.
    #[must_use]
    pub fn needs(&self, session: SessionNo) -> u64 {
        let block = self.sessions.get(&session).and_then(|peer| peer.blocks.front());
        block.map_or(0, |(needed, _)| *needed)
    }

    /// The session's next block to write.
    pub fn next_block(&mut self, session: SessionNo) -> Option<Vec<u8>> {
        let (_, block) = self.sessions.get_mut(&session)?.blocks.pop_front()?;
        self.statistics.blocks_out += 1;
        self.queued = self.queued.saturating_sub(1);
        Some(block)
    }

    /// A connection ended.
    pub fn closed(&mut self, session: SessionNo) {
        let Some(peer) = self.sessions.remove(&session) else { return };
        self.see(|| Sight::Closed { session });
        self.queued = self.queued.saturating_sub(peer.blocks.len());
        if let State::Handshake { deadline, .. } = peer.state {
            self.handshakes.remove(&(deadline, session));
        }
        self.writable.remove(&session);
        self.events.retain(|event| *event != RouterEvent::Close(session));
    }

    pub(super) fn close(&mut self, session: SessionNo) {
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        match std::mem::replace(&mut peer.state, State::Closing) {
            State::Closing => return,
            State::Handshake { deadline, .. } => {
                self.handshakes.remove(&(deadline, session));
            }
            State::Open { .. } => {}
        }
        self.events.push_back(RouterEvent::Close(session));
    }

    /// While more blocks wait than may, closes the device that most of them wait for, without them.
    pub(super) fn shed(&mut self) {
        while self.queued > self.config.queued_blocks {
            let most = self.sessions.iter_mut().max_by_key(|(session, peer)| (peer.blocks.len(), **session));
            let Some((&session, peer)) = most else { return };
            if peer.blocks.is_empty() {
                return;
            }
            self.queued = self.queued.saturating_sub(peer.blocks.len());
            peer.blocks = VecDeque::new();
            self.statistics.shed += 1;
            self.close(session);
        }
    }

    /// Closes the devices that were not heard for too long (NT-35). Those in their handshake have a limit of their own.
    pub(super) fn close_inactive(&mut self, now: u64) {
        let ttl = self.config.inactive_ttl;
        let inactive =
            |peer: &Peer| matches!(peer.state, State::Open { .. }) && peer.heard.saturating_add(ttl) < now;
        let inactive = self.sessions.iter().filter(|(_, peer)| inactive(peer));
        let mut inactive: Vec<_> = inactive.map(|(session, _)| *session).collect();
        inactive.sort_unstable();
        inactive.into_iter().for_each(|session| self.close(session));
    }

    /// A block arrived on a session.
    pub fn block(&mut self, session: SessionNo, block: &[u8], now: u64) {
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        self.statistics.blocks_in += 1;
        peer.heard = now;
        match &mut peer.state {
            State::Closing => {}
            State::Handshake { handshake, deadline } => {
                let deadline = *deadline;
                match handshake.client_hello(block) {
                    Ok((agreed, key)) => {
                        peer.state = State::Open { agreed: Box::new(agreed), key };
                        self.handshakes.remove(&(deadline, session));
                    }
                    // A router refuses a hello by closing, without a word.
                    Err(_) => self.close(session),
                }
            }
            State::Open { agreed, key } => {
                let (of, own) = (agreed.session.clone(), key.clone());
                let content = agreed.open(block).unwrap_or_default();
                // An empty content is no batch, and no transmission.
                let Ok(items) = agreed.unpack(&content) else {
                    let refusal = Reply::refusal(CorrId::EMPTY, EntityId::EMPTY, SmpError::Block);
                    return self.send(session, vec![refusal]);
                };
                let (mut refused, mut accepted) = (Vec::new(), Vec::new());
                for item in items {
                    match self.read(session, &of, item, &own) {
                        Ok(command) => accepted.push(command),
                        Err(refusal) => refused.push(*refusal),
                    }
                }
                self.send(session, refused);
                self.carry_out(session, accepted, now);
            }
        }
    }

    fn read(
        &mut self,
        session: SessionNo,
        of: &Session<Layout>,
        item: &[u8],
        own: &X25519Secret,
    ) -> Result<Accepted, Box<Reply>> {
        let Ok(received) = read_transmission(of, item) else {
            return Err(Box::new(Reply::refusal(CorrId::EMPTY, EntityId::EMPTY, SmpError::Block)));
        };
        let (authorization, command) = check(&received)?;
        self.received(session, &received.corr, &received.entity, &command, item.len());
        self.verify(received, &authorization, command, own)
    }

    /// A command that is to be looked at is counted and seen.
    pub(super) fn received(
        &mut self,
        session: SessionNo,
        corr: &CorrId,
        entity: &EntityId,
        command: &Command,
        size: usize,
    ) {
        self.statistics.command(command.kind());
        self.see(|| Sight::Received(seen(session, command.kind(), corr, entity, size)));
    }

    /// Carries out the commands of a block and answers them.
    pub(super) fn carry_out(&mut self, session: SessionNo, accepted: Vec<Accepted>, now: u64) {
        let mut replies = Vec::with_capacity(accepted.len());
        for command in accepted {
            let (corr, entity) = (command.corr.clone(), command.entity.clone());
            let response = self.execute(command, now);
            replies.push(Reply { corr, entity, response });
        }
        self.send(session, replies);
    }

    /// Queues transmissions for a session, packed together.
    pub(super) fn send(&mut self, session: SessionNo, replies: Vec<Reply>) {
        if self.semantic {
            return self.tell(session, replies);
        }
        let changed = self.store.changed();
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        let State::Open { agreed, .. } = &mut peer.state else { return };
        // What was decided from the tokens stands once they are durable as they were then.
        let decided = replies.iter().any(|reply| reply.response != Response::Pong);
        let needed = if decided { changed } else { 0 };
        let (mut items, mut sights) = (VecDeque::with_capacity(replies.len()), Vec::new());
        for Reply { corr, entity, response } in replies {
            let write = |response: &Response| {
                let mut item = response_head(&agreed.session, &corr, &entity, 64)?;
                response.encode(&agreed.session.layout, &mut item)?;
                if agreed.fits(item.len()) { Ok(item) } else { Err(WireError::TooLong) }
            };
            // A correlation id of 255 bytes leaves little room for the rest of a long answer: say so in few words.
            let item = write(&response).or_else(|_| write(&Response::Err(SmpError::Internal)));
            let Ok(item) = item else { continue };
            self.statistics.response(&response);
            if self.config.observe {
                sights.push(Sight::Sent(seen(session, response.kind(), &corr, &entity, item.len())));
            }
            items.push_back(item);
        }
        while !items.is_empty() {
            let count = agreed.first_block(items.iter().map(Vec::len)).clamp(1, items.len());
            let batch: Vec<_> = items.drain(..count).collect();
            if let Ok(block) = agreed.seal(batch.iter().map(Vec::as_slice)) {
                peer.blocks.push_back((needed, block));
                self.queued += 1;
                self.writable.insert(session);
            }
        }
        self.sights.append(&mut sights);
    }
}

/// A transmission as it is seen.
pub(super) fn seen(session: SessionNo, kind: Kind, corr: &CorrId, entity: &EntityId, size: usize) -> Seen {
    Seen {
        session,
        kind,
        layer: Layer::Session,
        entity: entity.clone(),
        corr: corr.clone(),
        size: u32::try_from(size).unwrap_or(u32::MAX),
        passed_to: None,
    }
}
