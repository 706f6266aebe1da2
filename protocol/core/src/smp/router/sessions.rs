//! Transport sessions: the handshake, blocks in and out, and what waits to be written.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};

use super::mutant::{Mutant, check_wrongly, sort_wrongly, unpack_wrongly};
use super::service_sessions::ServiceSession;
use super::verify::{Accepted, KnownSecrets, Refusal, Reply};
use super::{Router, RouterEvent};
use crate::crypto::keys::X25519Secret;
use crate::observe::{Layer, Seen, SessionNo, Sight};
use crate::smp::error::SmpError;
use crate::smp::response::Response;
use crate::smp::semantic::Told;
use crate::tables::Table;
use crate::transport::{
    Agreed, BLOCK_SIZE, ClientGreeted, HandshakeError, MAX_CONTENT, RouterHandshake, ServiceReply, batches,
    read_transmission, response_head, unpack,
};
use crate::wire::{CorrId, EntityId, MsgId, WireError, pad};

/// A client's session.
#[derive(Debug)]
pub(super) struct Peer {
    state: State,
    /// Blocks that wait to be written, in order, each with the number of changes that have to be durable before.
    blocks: VecDeque<(u64, Vec<u8>)>,
    /// The same at the semantic layer.
    pub(super) told: VecDeque<Vec<Told>>,
    /// Queues whose delivery waits for room in `blocks`.
    pub(super) deferred: BTreeSet<EntityId>,
    /// When its last block came, or it connected.
    pub(super) heard: u64,
    /// Its PRXY and PFWD that wait for a relay.
    pub(super) proxied: usize,
    /// Its RSLV that wait until fewer names are looked up.
    pub(super) lookups: usize,
}

#[derive(Debug)]
enum State {
    /// Its hello is awaited until the deadline.
    Handshake {
        handshake: Box<RouterHandshake>,
        deadline: u64,
        /// The certificates that it presented in TLS.
        chain: Vec<Vec<u8>>,
    },
    Open(Box<Open>),
    /// It is to be closed; what it still sends is not read.
    Closing,
}

/// A session after its handshake.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) agreed: Agreed,
    pub(super) key: X25519Secret,
    /// The secrets of authenticators that verified.
    pub(super) known: KnownSecrets,
    /// How this session holds a queue, by recipient id.
    pub(super) holds: Table<EntityId, Hold>,
    /// Notifiers that this session subscribed to, by their ids.
    pub(super) notifiers: BTreeSet<EntityId>,
    /// Whose session it is, if it is a service's.
    pub(super) service: Option<Box<ServiceSession>>,
}

/// How a session holds a queue, and the message that it got and did not acknowledge (RC-16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// By SUB or NEW.
    Subscribed(Option<MsgId>),
    /// By GET, which excludes SUB in the same session (RC-29).
    Fetched(Option<MsgId>),
}

impl Peer {
    fn new(state: State, blocks: VecDeque<(u64, Vec<u8>)>, now: u64) -> Self {
        let (told, deferred) = (VecDeque::new(), BTreeSet::new());
        Self { state, blocks, told, deferred, heard: now, proxied: 0, lookups: 0 }
    }

    /// One whose handshake is done.
    pub(super) fn opened(open: Open, now: u64) -> Self {
        Self::new(State::Open(Box::new(open)), VecDeque::new(), now)
    }

    /// How many blocks wait to be written.
    fn waiting(&self) -> usize {
        self.blocks.len() + self.told.len()
    }

    pub(super) fn open(&self) -> Option<&Open> {
        match &self.state {
            State::Open(open) => Some(open),
            State::Handshake { .. } | State::Closing => None,
        }
    }

    pub(super) fn open_mut(&mut self) -> Option<&mut Open> {
        match &mut self.state {
            State::Open(open) => Some(open),
            State::Handshake { .. } | State::Closing => None,
        }
    }
}

/// Subscription answers that share a block with the first message; with more, every message has its own (TR-36).
const ANSWERS_WITH_MESSAGE: usize = 4;

impl Router {
    /// A TLS connection was accepted from the network address `from`. `tls_session` is its tls-unique, `alpn` whether
    /// a protocol was negotiated. The router's hello is queued at once.
    pub fn accept(&mut self, from: &str, tls_session: Vec<u8>, alpn: bool, now: u64) -> SessionNo {
        self.accept_with_chain(from, tls_session, alpn, Vec::new(), now)
    }

    /// The same with the certificates that the client presented in TLS, leaf first: without them it cannot be a service
    /// (SV-2).
    pub fn accept_with_chain(
        &mut self,
        from: &str,
        tls_session: Vec<u8>,
        alpn: bool,
        chain: Vec<Vec<u8>>,
        now: u64,
    ) -> SessionNo {
        let session = self.new_session();
        self.schedule_checks(now);
        self.statistics.accepted += 1;
        self.see(|| Sight::Accepted { session, from: from.to_owned() });
        let (credentials, versions) = (&self.credentials, self.config.versions);
        let started = match self.mutant() {
            None => RouterHandshake::start(credentials, versions, tls_session, alpn, &mut self.rng),
            Some(mutant) => self.greet_wrongly(mutant, tls_session, alpn),
        };
        let mut blocks = VecDeque::new();
        let state = match started {
            Ok((hello, handshake)) => {
                blocks.push_back((0, hello));
                self.queued += 1;
                self.writable.insert(session);
                let deadline = now.saturating_add(self.config.handshake_timeout);
                self.handshakes.insert((deadline, session));
                State::Handshake { handshake: Box::new(handshake), deadline, chain }
            }
            Err(_) => {
                self.events.push_back(RouterEvent::Close(session));
                State::Closing
            }
        };
        self.sessions.insert(session, Peer::new(state, blocks, now));
        session
    }

    /// Whether the session's next block may be read now.
    pub fn wants_block(&self, session: SessionNo) -> bool {
        match self.sessions.get(&session) {
            Some(peer) => {
                peer.waiting() < self.config.outgoing_blocks
                    && peer.proxied < self.config.proxied_per_client
                    && peer.lookups == 0
            }
            None => self.relays.is_open(session),
        }
    }

    /// How many of [`Router::changed`] have to be durable before the session's next block may be written.
    pub fn needs(&self, session: SessionNo) -> u64 {
        let block = self.sessions.get(&session).and_then(|peer| peer.blocks.front());
        block.map_or(0, |(needed, _)| *needed)
    }

    /// The session's next block to write. Room that this makes is used for deliveries that waited for it.
    pub fn next_block(&mut self, session: SessionNo) -> Option<Vec<u8>> {
        if self.relays.is_open(session) {
            return self.relays.next_block(session);
        }
        let peer = self.sessions.get_mut(&session)?;
        let block = peer.blocks.pop_front().map(|(_, block)| block);
        self.statistics.blocks_out += u64::from(block.is_some());
        self.queued = self.queued.saturating_sub(usize::from(block.is_some()));
        let serving = peer.open().is_some_and(|open| open.service.is_some());
        self.deliver_deferred(session);
        if serving {
            self.deliver_service(session);
        }
        block
    }

    /// Delivers what waited for room, if there is some.
    pub(super) fn deliver_deferred(&mut self, session: SessionNo) {
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        if !peer.deferred.is_empty() && peer.waiting() < self.config.outgoing_blocks {
            for queue in std::mem::take(&mut peer.deferred) {
                self.deliver(session, &queue);
            }
        }
    }

    /// A connection ended. Its subscriptions end with it; what it had not acknowledged is delivered again to the next
    /// subscriber.
    pub fn closed(&mut self, session: SessionNo, now: u64) {
        if let Some(peer) = self.sessions.remove(&session) {
            self.see(|| Sight::Closed { session });
            self.queued = self.queued.saturating_sub(peer.blocks.len());
            self.leave(session, &peer.state);
            self.ends.remove(&session);
            self.delivering.remove(&session);
            self.lookups.forget(session);
        } else {
            self.relay_closed(session, now);
        }
        self.forget_events(session);
    }

    /// Nothing is delivered any more to a session that was in this state.
    fn leave(&mut self, session: SessionNo, state: &State) {
        match state {
            State::Handshake { deadline, .. } => {
                self.handshakes.remove(&(*deadline, session));
            }
            State::Open(open) => {
                for queue in open.holds.keys() {
                    if self.subscribers.get(queue) == Some(&session) {
                        self.subscribers.remove(queue);
                    }
                }
                if let Some(service) = &open.service
                    && self.services.get(&service.id) == Some(&session)
                {
                    self.services.remove(&service.id);
                }
                for notifier in &open.notifiers {
                    if self.notifiers.get(notifier) == Some(&session) {
                        self.notifiers.remove(notifier);
                    }
                }
            }
            State::Closing => {}
        }
    }

    /// No event names a session that is gone.
    pub(super) fn forget_events(&mut self, session: SessionNo) {
        self.writable.remove(&session);
        self.events.retain(|event| *event != RouterEvent::Close(session));
    }

    pub(super) fn close(&mut self, session: SessionNo) {
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        let before = std::mem::replace(&mut peer.state, State::Closing);
        self.leave(session, &before);
        self.events.push_back(RouterEvent::Close(session));
    }

    /// While more blocks wait than may, closes the client that most of them wait for, without them.
    pub(super) fn shed(&mut self) {
        while self.queued > self.config.queued_blocks {
            let most = self.sessions.iter_mut().max_by_key(|(session, peer)| (peer.blocks.len(), **session));
            let Some((&session, peer)) = most else { return };
            self.queued = self.queued.saturating_sub(peer.blocks.len());
            peer.blocks = VecDeque::new();
            peer.deferred = BTreeSet::new();
            self.statistics.shed += 1;
            self.close(session);
        }
    }

    /// A block arrived on a session. One that is given away is decrypted where it stands.
    pub fn block<'a>(&mut self, session: SessionNo, block: impl Into<Cow<'a, [u8]>>, now: u64) {
        let block = block.into();
        if self.relays.is_open(session) {
            self.relay_block(session, &block, now);
            return;
        }
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        self.statistics.blocks_in += 1;
        peer.heard = now;
        let content = match &mut peer.state {
            State::Closing => return,
            State::Handshake { handshake, .. } => {
                let greeted = match &self.wrong {
                    None => handshake.client_hello(&block),
                    Some(wrong) => wrong.client_hello(handshake, &block),
                };
                return self.greeted(session, greeted, now);
            }
            State::Open(open) => match &self.wrong {
                None => open.agreed.codec.open_owned(block),
                Some(wrong) => wrong.open(&mut open.agreed.codec, &block),
            },
        };
        match content {
            Ok(content) => self.content(session, &content, now),
            Err(_) => self.unreadable(session),
        }
    }

    /// A client's hello was read. A router refuses one by closing, without a word (D54), but tells a service why.
    fn greeted(&mut self, session: SessionNo, greeted: Result<ClientGreeted, HandshakeError>, now: u64) {
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        let State::Handshake { deadline, chain, .. } = &mut peer.state else { return };
        let (deadline, chain) = (*deadline, std::mem::take(chain));
        let Ok(ClientGreeted { agreed, key, service: hello }) = greeted else {
            if !self.refuses_hello_wrongly(session) {
                self.close(session);
            }
            return;
        };
        let admitted = hello.map(|hello| self.admit_service(&hello, &chain, now)).transpose();
        let reply = match &admitted {
            Ok(None) => None,
            Ok(Some(service)) => Some(ServiceReply::Accepted(service.id.clone())),
            Err(error) => Some(ServiceReply::Refused(*error)),
        };
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        // A reply is far smaller than a block.
        if let Some(block) = reply.and_then(|reply| pad(&reply.encode(), BLOCK_SIZE).ok()) {
            peer.blocks.push_back((self.store.changed(), block));
            self.queued += 1;
            self.writable.insert(session);
        }
        let Ok(service) = admitted else { return self.close(session) };
        self.handshakes.remove(&(deadline, session));
        let (holds, notifiers, service) = (Table::default(), BTreeSet::new(), service.map(Box::new));
        let known = KnownSecrets::default();
        peer.state = State::Open(Box::new(Open { agreed, key, known, holds, notifiers, service }));
    }

    /// Answers a block that can't be read: one error, and the session goes on (TR-32).
    fn unreadable(&mut self, session: SessionNo) {
        if self.is(Mutant::ClosesOnGarbage) {
            return self.close(session);
        }
        if self.is(Mutant::IgnoresGarbage) {
            return;
        }
        self.send(session, vec![Refusal::bare(CorrId::EMPTY, SmpError::Block).into()]);
    }

    fn content(&mut self, session: SessionNo, content: &[u8], now: u64) {
        self.blocks += 1;
        let items = match self.mutant() {
            None => unpack(content),
            Some(mutant) => unpack_wrongly(mutant, content),
        };
        let Ok(items) = items else { return self.unreadable(session) };
        let Some(open) = self.sessions.get_mut(&session).and_then(Peer::open_mut) else { return };
        let (own, service) = (open.key.clone(), open.service.clone());
        let mut known = std::mem::take(&mut open.known);
        let (mut refused, mut unverified, mut verified) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            let Some(open) = self.open(session) else { return };
            let layout = open.agreed.session.layout;
            let read = match self.mutant() {
                None => read_transmission(&open.agreed.session, item),
                Some(mutant) => {
                    let of = open.agreed.session.clone();
                    self.read_wrongly(mutant, session, &of, item)
                }
            };
            let accepted = match read {
                Err(_) => Err(Refusal::bare(CorrId::EMPTY, SmpError::Block)),
                Ok(received) => match self.mutant() {
                    None => Accepted::check(received, &layout),
                    Some(mutant) => check_wrongly(mutant, received, &layout),
                },
            };
            match accepted {
                Err(refusal) => refused.push(refusal),
                Ok(accepted) => {
                    self.statistics.command(accepted.command.kind());
                    self.see(|| Sight::Received(accepted.seen(session, Layer::Session, item.len())));
                    let mut verdict = self.verify(&accepted, &own, service.as_deref(), &mut known);
                    if let Some(mutant) = self.mutant() {
                        verdict = self.verify_wrongly(
                            mutant,
                            session,
                            &accepted,
                            &own,
                            service.as_deref(),
                            verdict,
                        );
                    }
                    match verdict {
                        Ok(()) => verified.push(accepted),
                        Err(error) => unverified.push(accepted.refused(error)),
                    }
                }
            }
        }
        if let Some(open) = self.sessions.get_mut(&session).and_then(Peer::open_mut) {
            open.known = known;
        }
        // Refusals travel first, in blocks of their own, whatever stood before them (TR-34).
        refused.append(&mut unverified);
        if let Some(mutant) = self.mutant() {
            sort_wrongly(mutant, &mut refused, &mut verified);
        }
        let late = if self.is(Mutant::RefusesLast) { std::mem::take(&mut refused) } else { Vec::new() };
        self.send(session, refused.into_iter().map(Reply::from).collect());
        self.carry_out(session, verified, late, now);
        if service.is_some() {
            self.deliver_service(session);
        }
    }

    /// Carries out the commands of a block and answers them; `late` refusals go with the answers.
    pub(super) fn carry_out(
        &mut self,
        session: SessionNo,
        verified: Vec<Accepted>,
        late: Vec<Refusal>,
        now: u64,
    ) {
        let (mut replies, mut messages) = (Vec::new(), Vec::new());
        for accepted in verified {
            self.execute(session, accepted, now, &mut replies, &mut messages);
        }
        replies.extend(late.into_iter().map(Reply::from));
        let along = match self.mutant() {
            Some(Mutant::SendsFirstMessageApart) => 0,
            Some(Mutant::SendsFirstMessageAlong) => usize::MAX,
            _ => ANSWERS_WITH_MESSAGE,
        };
        if replies.len() <= along && !messages.is_empty() {
            replies.push(messages.remove(0));
        }
        self.send(session, replies);
        for message in messages {
            self.send(session, vec![message]);
        }
    }

    /// Queues transmissions for a session, packed together.
    pub(super) fn send(&mut self, session: SessionNo, mut replies: Vec<Reply>) {
        if let Some(mutant) = self.mutant() {
            replies = self.send_wrongly(mutant, replies);
        }
        if self.semantic.is_some() {
            return self.tell(session, replies);
        }
        let Some(peer) = self.sessions.get_mut(&session) else { return };
        let State::Open(open) = &mut peer.state else { return };
        // What was decided from the queues stands once they are durable as they were then.
        let decided = replies.iter().any(|reply| {
            !matches!(reply.response, Response::Pong | Response::Pkey { .. } | Response::Pres { .. })
        });
        let needed = if decided { self.store.changed() } else { 0 };
        let mut items = Vec::with_capacity(replies.len());
        let mut seen = Vec::new();
        for reply in replies {
            let write = |response: &Response| {
                let room = if matches!(response, Response::Msg { .. }) { MAX_CONTENT } else { 0 };
                let mut item = response_head(&open.agreed.session, &reply.corr, &reply.entity, room)?;
                response.encode(&open.agreed.session.layout, &mut item)?;
                Ok::<_, WireError>(item)
            };
            // A response of ours that does not fit its fields would be our own defect: say INTERNAL, keep the session.
            let item = write(&reply.response).or_else(|_| write(&Response::Err(SmpError::Internal)));
            let Ok(item) = item else { continue };
            self.statistics.response(&reply.response);
            if self.config.observe {
                seen.push(Sight::Sent(Seen {
                    session,
                    kind: reply.response.kind(),
                    layer: Layer::Session,
                    entity: reply.entity,
                    corr: reply.corr,
                    size: u32::try_from(item.len()).unwrap_or(u32::MAX),
                    passed_to: None,
                }));
            }
            items.push(item);
        }
        self.sights.append(&mut seen);
        let codec = &mut open.agreed.codec;
        let blocks: Vec<_> = match &self.wrong {
            None => batches(&items).map(|batch| codec.seal_batch(batch.iter().map(Vec::as_slice))).collect(),
            Some(wrong) => {
                let contents = wrong.pack(&items).unwrap_or_default();
                contents.iter().map(|content| wrong.seal(codec, content)).collect()
            }
        };
        for block in blocks.into_iter().flatten() {
            peer.blocks.push_back((needed, block));
            self.queued += 1;
            self.writable.insert(session);
        }
    }

    /// Queues a block as it is.
    pub(super) fn write_block(&mut self, session: SessionNo, block: Vec<u8>) {
        if let Some(peer) = self.sessions.get_mut(&session) {
            peer.blocks.push_back((0, block));
            self.queued += 1;
            self.writable.insert(session);
        }
    }

    /// How many blocks may be queued for the session before deliveries to it have to wait.
    pub(super) fn room(&self, session: SessionNo) -> usize {
        let waiting = self.sessions.get(&session).map_or(0, Peer::waiting);
        self.config.outgoing_blocks.saturating_sub(waiting)
    }

    /// Delivers the queue's first message when there is room (SN-16).
    pub(super) fn defer(&mut self, session: SessionNo, queue: &EntityId) {
        if let Some(peer) = self.sessions.get_mut(&session) {
            peer.deferred.insert(queue.clone());
        }
    }

    /// Collects an event for another session's subscription; it is sent with others when the interval ends (D34). Events of
    /// the latest block go first, as the deployed router sends them.
    pub(super) fn collect_end(&mut self, session: SessionNo, entity: EntityId, event: Response, now: u64) {
        let told = match self.mutant() {
            None => Some((session, entity, event)),
            Some(mutant) => self.ends_wrongly(mutant, session, entity, event),
        };
        let Some((session, entity, event)) = told else { return };
        if self.sessions.contains_key(&session) {
            let of_session = self.ends.entry(session).or_default();
            of_session.entry(Reverse(self.blocks)).or_default().push((entity, event));
            self.ends_due.get_or_insert(now.saturating_add(self.config.end_interval));
        }
    }

    /// Sends what was collected; for whoever does not read it waits for another interval.
    pub(super) fn flush_ends(&mut self, now: u64) {
        for (session, events) in std::mem::take(&mut self.ends) {
            if self.room(session) == 0 {
                self.ends.insert(session, events);
                self.ends_due = Some(now.saturating_add(self.config.end_interval));
                continue;
            }
            let replies = events
                .into_values()
                .flatten()
                .map(|(entity, response)| Reply { corr: CorrId::EMPTY, entity, response })
                .collect();
            self.send(session, replies);
        }
    }
}
