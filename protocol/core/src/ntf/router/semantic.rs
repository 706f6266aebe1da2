//! The router at the semantic layer: the same commands on the same tokens, given and answered as values ([`Asked`], [`Told`]), for
//! simulations in which nobody is there to look through the cryptography.
//!
//! What differs from sessions with bytes: authorizations are taken as right where the command resolves, pushes are not sealed
//! ([`PushBody::Bare`](super::PushBody::Bare)), and the keys that the router would make are one constant. Blocks, their order, and
//! the sizes that are observed are the same.

use std::collections::VecDeque;

use super::Router;
use super::sessions::{Peer, seen};
use super::verify::{Accepted, Reply};
use crate::crypto::keys::{X25519Public, X25519Secret};
use crate::ntf::handshake::Agreed;
use crate::ntf::semantic::{Asked, Told};
use crate::ntf::version::{Layout, MAX};
use crate::observe::{SessionNo, Sight};
use crate::smp::error::SmpError;

impl Router {
    /// This router with sessions at the semantic layer only, at the greatest version.
    #[must_use]
    pub fn without_cryptography(self) -> Self {
        Self { semantic: true, ..self }
    }

    /// A device's session, after its handshake. Nothing before [`Router::without_cryptography`].
    pub fn accept_semantic(&mut self, from: &str, now: u64) -> Option<SessionNo> {
        if !self.semantic {
            return None;
        }
        let session = self.new_session(from, now);
        let agreed = Agreed::new(MAX, Vec::new(), None);
        self.sessions.insert(session, Peer::opened(agreed, X25519Secret::from_bytes([1; 32]), now));
        Some(session)
    }

    /// The public side of a key that the router made; at the semantic layer, where nobody looks at it, a constant.
    pub(super) fn public_of(&self, own: &X25519Secret) -> X25519Public {
        if self.semantic { X25519Public::from_bytes([1; 32]) } else { own.public() }
    }

    /// A block of commands came from a device.
    pub fn commands(&mut self, session: SessionNo, asked: Vec<Asked>, now: u64) {
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        peer.heard = now;
        if peer.agreed().is_none() {
            return;
        }
        self.statistics.blocks_in += 1;
        let (mut refused, mut accepted) = (Vec::new(), Vec::new());
        for asked in asked {
            let size = if self.config.observe { asked.size(&Layout::of(MAX)) } else { 0 };
            let Asked { corr, entity, command, authorization } = asked;
            if let Err(error) = command.check(authorization > 0, !entity.is_empty()) {
                refused.push(Reply::refusal(corr, entity, SmpError::Command(error)));
                continue;
            }
            self.received(session, &corr, &entity, &command, size);
            match self.resolve(&entity, &command) {
                Some((target, _)) => accepted.push(Accepted { corr, entity, command, target }),
                None => refused.push(Reply::refusal(corr, entity, SmpError::Auth)),
            }
        }
        self.send(session, refused);
        self.carry_out(session, accepted, now);
    }

    /// Queues responses for a session in the blocks that they would take.
    pub(super) fn tell(&mut self, session: SessionNo, replies: Vec<Reply>) {
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        let layout = Layout::of(MAX);
        let mut told: VecDeque<(usize, Told)> = VecDeque::with_capacity(replies.len());
        for Reply { corr, entity, response } in replies {
            self.statistics.response(&response);
            let reply = Told { corr, entity, response };
            let size = reply.size(&layout);
            if self.config.observe {
                let kind = reply.response.kind();
                self.sights.push(Sight::Sent(seen(session, kind, &reply.corr, &reply.entity, size)));
            }
            told.push_back((size, reply));
        }
        let mut blocks = Vec::new();
        if let Some(agreed) = peer.agreed() {
            while !told.is_empty() {
                let count = agreed.first_block(told.iter().map(|(size, _)| *size)).clamp(1, told.len());
                blocks.push(told.drain(..count).map(|(_, told)| told).collect());
            }
        }
        if !blocks.is_empty() {
            peer.told.extend(blocks);
            self.writable.insert(session);
        }
    }

    /// The next block of responses to a device.
    pub fn next_told(&mut self, session: SessionNo) -> Option<Vec<Told>> {
        let told = self.sessions.get_mut(&session)?.told.pop_front()?;
        self.statistics.blocks_out += 1;
        Some(told)
    }
}
