//! Driving a fresh target with a flow's client steps.
//!
//! Steps are followed in their order. Before each, time passes up to its recorded time; where an answer or event is
//! recorded and has not come yet, time passes until it comes, and what follows is so much later.

use std::collections::BTreeMap;

use sxlab_protocol::crypto::keys::{AuthPublicKey, AuthSecretKey, SharedSecret, X25519Public};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{BlockingInfo, BlockingReason, Notice};
use sxlab_protocol::smp::forward;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{BLOCK_SIZE, Session, content, read_transmission, unpack};
use sxlab_protocol::wire::{CorrId, EntityId, RouterAddress};

use super::comparing::{Knowledge, describe};
use super::recording::{Direction, Flow, Step};
use super::sending::{Forward, Side, full_item, rebuild, recorded_key, with_command};
use super::sites::Sites;
use super::wires::{Connection, Wires};
use super::{Difference, Mismatch, Outcome};
use crate::target::{Operation, Target};

/// Differences after which a flow is given up: what follows is their consequence as a rule.
const ENOUGH: usize = 8;

/// A flow on its way.
pub(super) struct Replay<'a> {
    pub(super) flow: &'a Flow,
    /// The version of our sessions.
    pub(super) version: u16,
    pub(super) wires: Wires,
    pub(super) sites: Sites,
    pub(super) connections: BTreeMap<String, Connection>,
    /// Where each connection leads; none for the router under test.
    pub(super) dialed: BTreeMap<String, Option<RouterAddress>>,
    pub(super) known: Knowledge,
    /// When the flow began, and by how much we are behind it.
    start: u64,
    /// Session keys of relays, by our id of the proxy's session with them.
    pub(super) relays: BTreeMap<Vec<u8>, X25519Public>,
    /// Forwards that wait for their answer, by connection and outer correlation id.
    pub(super) forwards: BTreeMap<(String, CorrId), Forward>,
    /// The answer of the last forward on a connection.
    pub(super) sealed: BTreeMap<String, (Forward, Vec<u8>)>,
    /// Queues whose making was not recorded step by step.
    pub(super) made: Vec<Made>,
    /// Subscriptions whose answers, in one block, were not recorded, by connection.
    pub(super) unanswered: BTreeMap<String, usize>,
    /// The last step that tells what the operator did.
    operated: Option<usize>,
    differences: Vec<Difference>,
}

/// A queue whose making was not recorded.
pub(super) struct Made {
    pub(super) queue: EntityId,
    pub(super) notifier: Option<MadeNotifier>,
    pub(super) key: AuthSecretKey,
}

/// Its notifier.
pub(super) struct MadeNotifier {
    pub(super) id: EntityId,
    pub(super) key: AuthSecretKey,
    /// Decrypts its notifications.
    pub(super) secret: SharedSecret,
    /// The recorded block that its notification came in the place of.
    pub(super) told: Option<u64>,
}

impl<'a> Replay<'a> {
    /// With an instance of the target; the reason where there is none.
    pub(super) fn start(
        flow: &'a Flow,
        version: u16,
        target: &dyn Target,
        seed: u64,
    ) -> Result<Self, String> {
        if let Some(setting) = flow.unknown_settings.first() {
            return Err(format!("the setting {setting} is not known here"));
        }
        let instance = target.start(&flow.settings, seed).map_err(|e| e.to_string())?;
        let mut known = Knowledge::default();
        for (name, id) in &flow.names {
            known.names.call(id.clone(), name);
        }
        Ok(Replay {
            flow,
            version,
            start: instance.now(),
            wires: Wires::new(instance),
            sites: Sites::of(flow),
            connections: BTreeMap::new(),
            dialed: BTreeMap::new(),
            known,
            relays: BTreeMap::new(),
            forwards: BTreeMap::new(),
            sealed: BTreeMap::new(),
            made: Vec::new(),
            unanswered: BTreeMap::new(),
            operated: None,
            differences: Vec::new(),
        })
    }

    /// Follows all steps, until there are too many differences.
    pub(super) fn strictly(mut self) -> Outcome {
        let mut at = 0;
        while at < self.flow.steps.len() && self.differences.len() < ENOUGH {
            match self.step(at) {
                Ok(steps) => at += steps,
                Err(Mismatch::Skipped(reason)) => return Outcome::Skipped(reason),
                Err(mismatch) => {
                    self.differs(at, mismatch);
                    at += 1;
                }
            }
        }
        if self.differences.is_empty() {
            self.nothing_more();
        }
        if self.differences.is_empty() { Outcome::Equal } else { Outcome::Different(self.differences) }
    }

    fn differs(&mut self, at: usize, mismatch: Mismatch) {
        let what = self.flow.steps.get(at).map(Step::shown).unwrap_or_default();
        self.differences.push(Difference { step: at, what, mismatch });
    }

    /// Lets time pass up to a step's, and does what the operator did.
    pub(super) fn arrive(&mut self, at: usize, step: &Step) -> Result<(), Mismatch> {
        self.wires.wait_until(self.start.saturating_add(step.at));
        self.operate(at, step)
    }

    /// What came later than recorded makes all that follows later.
    pub(super) fn late(&mut self, step: &Step) {
        let due = self.start.saturating_add(step.at);
        self.start += self.wires.now().saturating_sub(due);
    }

    /// Follows step `at`, or the steps of its block if it is sent; how many.
    fn step(&mut self, at: usize) -> Result<usize, Mismatch> {
        let flow = self.flow;
        let Some(step) = flow.steps.get(at) else { return Ok(1) };
        if self.is_of_later_version(step) {
            let answers = flow.from(at + 1).iter();
            return Ok(1 + answers.take_while(|next| next.dir != Direction::Send).count());
        }
        self.arrive(at, step)?;
        let mut steps = 1;
        let result = match step.dir {
            Direction::Receive => {
                if step.plain && step.text.starts_with("third") {
                    self.service_reply(step)
                } else if step.plain {
                    self.router_hello(step)
                } else {
                    self.receive(step)
                }
            }
            Direction::Send if step.plain => self.client_hello(step),
            Direction::Send => {
                let block = flow.block(at);
                steps = block.len();
                self.send(at, block)
            }
            Direction::Close => self.close(step),
            Direction::Note => self.note(step),
            Direction::InnerReceive => self.inner(step),
            Direction::InnerSend => Ok(()),
        };
        match result {
            Err(mismatch @ Mismatch::Skipped(_)) => Err(mismatch),
            Err(mismatch) => {
                self.differs(at, mismatch);
                Ok(steps)
            }
            Ok(()) => Ok(steps),
        }
    }

    /// Whether what is sent is about the service's signature, for which transmissions of our version have no place.
    fn is_of_later_version(&self, step: &Step) -> bool {
        let about = step.text.starts_with("SUB signed, service ");
        let has_place = |version| Layout::of(version).service_signature;
        step.dir == Direction::Send && about && has_place(self.flow.version) && !has_place(self.version)
    }

    /// What the operator did was noted after the notice that a subscriber got of it: it is done before that step.
    fn operate(&mut self, at: usize, step: &Step) -> Result<(), Mismatch> {
        let is_note = |step: &Step| step.conn == "operator";
        let is_notice = !self.flow.own && step.is_event() && step.text.starts_with("ERR ");
        if !is_note(step) && !is_notice {
            return Ok(());
        }
        let ahead = self.flow.from(at).iter().position(is_note).map(|ahead| at + ahead);
        let Some(note) = ahead.filter(|note| self.operated < Some(*note)) else { return Ok(()) };
        let Some(step) = self.flow.steps.get(note) else { return Ok(()) };
        self.operated = Some(note);
        let what = step.text.split(';').next().unwrap_or_default();
        // Of all queues at once, the flow's note says why; older versions are not told of the notice.
        let all = what.contains("all queues");
        let notice = (all || step.text.contains("notice={")).then_some(Notice { ttl: Some(3600) });
        let reason = if what.contains("spam") { BlockingReason::Spam } else { BlockingReason::Content };
        let named = self.flow.names.iter().find(|(name, _)| what.contains(name.as_str()));
        let queues = match named {
            Some((_, id)) => vec![EntityId::new(&self.known.names.ours(id))?],
            None => self.known.queues(),
        };
        for queue in queues {
            let operation = match what.contains("unblock") {
                true => Operation::Unblock(queue),
                false => Operation::Block(queue, BlockingInfo { reason, notice }),
            };
            self.wires.instance.operate(&operation).map_err(|e| Mismatch::Skipped(e.to_string()))?;
        }
        Ok(())
    }

    pub(super) fn connection(&mut self, step: &Step) -> Result<&mut Connection, Mismatch> {
        let conn = step.conn.as_str();
        let found = self.connections.get_mut(conn);
        found.ok_or_else(|| Mismatch::said(format!("connection {conn} was not opened")))
    }

    pub(super) fn send(&mut self, at: usize, block: &[Step]) -> Result<(), Mismatch> {
        let step = block.first().ok_or("no step")?;
        let what = step.text.as_str();
        let connection = self.connection(step)?;
        let line = connection.line;
        let Some(open) = &mut connection.open else {
            // The connection was closed in its handshake.
            return match self.wires.wait_closed(line) {
                true => Ok(()),
                false => Err("there is no session".into()),
            };
        };
        let (recorded, ours) = (open.recorded.clone(), open.ours.clone());
        if what.starts_with("100 bytes") {
            self.wires.write(line, &[0x5a; 100]);
            return Ok(());
        }
        if what.contains("chain stepped") {
            open.seal_padded(&[]);
        }
        if step.raw {
            let (bytes, _) = step.bytes().ok_or("not recorded in full")?;
            self.wires.write(line, bytes);
            return Ok(());
        }
        let raw = match what {
            _ if what.contains("random bytes (does not decrypt)") => Some(vec![0x5a; BLOCK_SIZE]),
            _ if what.contains("length 0xFFFF") => Some(open.seal_padded(&vec![0xff; open.capacity()])),
            _ => None,
        };
        if let Some(raw) = raw {
            self.wires.write(line, &raw);
            return Ok(());
        }
        let content = if step.corr.is_some() {
            let mut items = Vec::new();
            for (ahead, step) in block.iter().enumerate() {
                items.push(self.item(at + ahead, step, &recorded, &ours)?);
            }
            let of = step.of.unwrap_or(1);
            if items.len() != of {
                items = self.unrecorded_items(step, of, &ours)?;
            }
            content(items.iter().map(Vec::as_slice)).map_err(|e| Mismatch::said(e.to_string()))?
        } else {
            let (whole, _) = step.bytes().ok_or("not recorded in full")?;
            match unpack(whole) {
                Ok(items) => {
                    let one =
                        |item: &&[u8]| rebuild(self.flow, &self.known.names, item, &recorded, &ours, what);
                    let items: Vec<_> = items.iter().map(one).collect();
                    content(items.iter().map(Vec::as_slice)).map_err(|e| Mismatch::said(e.to_string()))?
                }
                // No batch.
                Err(_) => self.known.names.ours(whole),
            }
        };
        self.write(&step.conn, &content)?;
        self.unrecorded_blocks(at, step, &ours)
    }

    pub(super) fn write(&mut self, conn: &str, content: &[u8]) -> Result<(), Mismatch> {
        let connection = self.connections.get_mut(conn).ok_or("not connected")?;
        let block = connection.open.as_mut().ok_or("there is no session")?.seal(content)?;
        self.wires.write(connection.line, &block);
        Ok(())
    }

    /// The next block that comes on a connection.
    pub(super) fn read(&mut self, conn: &str) -> Result<Vec<Vec<u8>>, Mismatch> {
        let connection = self.connections.get_mut(conn).ok_or("not connected")?;
        if let Some(items) = connection.ahead.pop_front() {
            return Ok(items);
        }
        let connection = self.connections.get_mut(conn).ok_or("not connected")?;
        let block = match self.wires.expect(connection.line) {
            Some(block) => block,
            None if self.wires.is_closed(connection.line) => return Err("the router closed".into()),
            None => return Err("nothing came".into()),
        };
        connection.open.as_mut().ok_or("there is no session")?.read(&block)
    }

    /// One recorded transmission, for our session.
    fn item(&mut self, at: usize, step: &Step, recorded: &Side, ours: &Side) -> Result<Vec<u8>, Mismatch> {
        let (head, complete) = step.bytes().ok_or("a transmission without bytes")?;
        let corr = CorrId::new(step.corr.as_deref().unwrap_or_default())?;
        let command = read_transmission(&recorded.session, head).map(|received| received.command);
        let command = command.unwrap_or_default();
        if let Some(sealed) = command.strip_prefix(b"RFWD ") {
            return self.rfwd_item(at, step, recorded, ours, &corr, sealed, complete);
        }
        if command.starts_with(b"PFWD ") {
            return self.pfwd_item(at, step, recorded, ours, &corr);
        }
        let whole =
            full_item(self.flow, step, recorded).ok_or("not recorded in full, and not found again")?;
        if let Ok(received) = read_transmission(&recorded.session, &whole)
            && let Ok(command) = Command::decode(&received.command, &recorded.session.layout)
        {
            match &command {
                Command::Ack(id) => {
                    self.known.names.complete(received.entity.as_bytes(), id.as_bytes())?;
                }
                Command::Prxy { router, password } => {
                    let router = self.sites.relay(self.flow, &step.text, router, &mut self.wires)?;
                    let mut encoded = Vec::new();
                    Command::Prxy { router, password: password.clone() }
                        .encode(&ours.session.layout, &mut encoded)?;
                    let key = recorded_key(self.flow, recorded, &whole).map(|key| (key, false));
                    return with_command(&self.known.names, &whole, &received, encoded, ours, key, false)
                        .ok_or_else(|| "an authorization that cannot be made again".into());
                }
                _ => {}
            }
            if let Some(key) = self.made_key(&received.entity) {
                return with_command(
                    &self.known.names,
                    &whole,
                    &received,
                    received.command.clone(),
                    ours,
                    Some((&key, false)),
                    false,
                )
                .ok_or_else(|| "an authorization that cannot be made again".into());
            }
            self.known.sent.insert((step.conn.clone(), corr.as_bytes().to_vec()), command);
        }
        Ok(rebuild(self.flow, &self.known.names, &whole, recorded, ours, &step.text))
    }

    /// Makes the recorded block `step` belongs to the current one of its connection.
    fn current(&mut self, step: &Step) -> Result<(), Mismatch> {
        let recorded = step.block.unwrap_or_default();
        let connection = self.connection(step)?;
        if connection.current.as_ref().is_some_and(|(number, _)| *number == recorded) {
            return Ok(());
        }
        self.skip_unrecorded(step)?;
        let items = if self.is_unordered(step) { self.pick(step)? } else { self.read(&step.conn)? };
        self.late(step);
        self.connection(step)?.current = Some((recorded, items));
        Ok(())
    }

    fn receive(&mut self, step: &Step) -> Result<(), Mismatch> {
        self.current(step)?;
        let connection = self.connections.get(&step.conn).ok_or("not connected")?;
        let open = connection.open.as_ref().ok_or("there is no session")?;
        let (_, items) = connection.current.as_ref().ok_or("no block")?;
        let session = &open.ours.session;
        let listed = || -> String {
            let shown = items.iter().take(6).map(|item| describe(item, session, &self.known.names));
            shown.collect::<Vec<_>>().join("; ")
        };
        let of = step.of.unwrap_or(1);
        if items.len() != of {
            return Err(Mismatch::of(
                "number of items in the block",
                format!("{} ({})", items.len(), listed()),
                of.to_string(),
            ));
        }
        let item = items.get(self.place(step, items)).ok_or("a recorded item beyond its block")?.clone();
        if self.is_notified(step) {
            return self.notified(step);
        }
        self.compare(step, &item)?;
        self.delete_rest(step)
    }

    /// Compares a transmission with the recorded one, and keeps what later steps need.
    pub(super) fn compare(&mut self, step: &Step, item: &[u8]) -> Result<(), Mismatch> {
        let open = self.connection(step)?.open.as_ref().ok_or("there is no session")?;
        let (recorded, session) = (open.recorded.session.clone(), open.ours.session.clone());
        let secret = open.ours.secret.clone();
        let result = self.known.compare(self.flow, step, item, &recorded, &session);
        let answer = self.keep(step, item, &session, secret.as_ref());
        match result {
            Err(Mismatch::Said(text)) => {
                let shown = describe(item, &session, &self.known.names);
                Err(Mismatch::said(format!("{text}; got {shown}")))
            }
            Err(Mismatch::Field { field: "tag", recorded, .. }) => {
                let shown = describe(item, &session, &self.known.names);
                Err(Mismatch::of("tag", shown, recorded))
            }
            other => other.and(answer),
        }
    }

    /// Keeps the keys of relays and the answers of forwards.
    fn keep(
        &mut self,
        step: &Step,
        item: &[u8],
        session: &Session,
        secret: Option<&SharedSecret>,
    ) -> Result<(), Mismatch> {
        let received = read_transmission(session, item)?;
        let conn = &step.conn;
        match Response::decode(&received.command, &session.layout) {
            Ok(Response::Pkey { session, signed_key, .. }) => {
                if let AuthPublicKey::X25519(key) = signed_key.key() {
                    self.relays.insert(session.as_bytes().to_vec(), *key);
                }
            }
            Ok(Response::Pres { sealed }) => {
                if let Some(forward) = self.forwards.remove(&(conn.clone(), received.corr)) {
                    self.sealed.insert(conn.clone(), (forward, sealed));
                }
            }
            Ok(Response::Rres { sealed }) => {
                if let Some(forward) = self.forwards.remove(&(conn.clone(), received.corr.clone())) {
                    let secret = secret.ok_or("no secret with the relay")?;
                    let (corr, sealed) = forward::open_forward_reply(secret, &received.corr, &sealed)
                        .map_err(|e| Mismatch::said(e.to_string()))?;
                    if corr != forward.corr {
                        return Err("RRES with another forward's correlation id".into());
                    }
                    self.sealed.insert(conn.clone(), (forward, sealed));
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn close(&mut self, step: &Step) -> Result<(), Mismatch> {
        let line = self.connection(step)?.line;
        if step.text == "closed by us" {
            self.unrecorded_answers(&step.conn)?;
            let unexpected = self.unexpected(&step.conn);
            let closed = self.wires.is_closed(line);
            self.wires.close(line);
            self.connections.remove(&step.conn);
            return if closed { Err("the router had closed".into()) } else { unexpected };
        }
        self.unexpected(&step.conn)?;
        if self.wires.wait_closed(line) { Ok(()) } else { Err("the router did not close".into()) }
    }

    /// Where the recording says that nothing came, nothing may have come.
    pub(super) fn note(&mut self, step: &Step) -> Result<(), Mismatch> {
        let what = step.text.as_str();
        if what.contains("no further") || what.contains("no answer") {
            return self.unexpected(&step.conn);
        }
        if what.starts_with("300 queues made") {
            return self.make_queues(step);
        }
        if what.starts_with("100 queues made with NEW and NKEY") {
            return self.make_notified_queues(step);
        }
        if what.starts_with("connection closed by server instead of") {
            let line = self.connection(step)?.line;
            let closed = self.wires.wait_closed(line);
            return if closed { Ok(()) } else { Err("the router did not close".into()) };
        }
        if what.starts_with("failed: SSLError") {
            return match self.connect(&step.conn)? {
                Ok(()) => Err("the router accepts in TLS what was refused".into()),
                Err(_) => Ok(()),
            };
        }
        let block = match what {
            _ if what.ends_with("instead of client hello") => vec![0x5a; BLOCK_SIZE],
            "client hello block with length 0xFFFF" => vec![0xff; BLOCK_SIZE],
            "client hello block with length 0" => vec![0; BLOCK_SIZE],
            _ => return Ok(()),
        };
        self.connect(&step.conn)?.map_err(|refused| Mismatch::said(format!("refused in TLS: {refused}")))?;
        let line = self.connection(step)?.line;
        self.wires.expect(line).ok_or("no hello came")?;
        self.wires.write(line, &block);
        Ok(())
    }

    /// What came on a connection and was not recorded.
    pub(super) fn unexpected(&mut self, conn: &str) -> Result<(), Mismatch> {
        let Some(connection) = self.connections.get_mut(conn) else { return Ok(()) };
        let block = match connection.ahead.pop_front() {
            Some(items) => Some(Ok(items)),
            None => self.wires.take(connection.line).map(Err),
        };
        let Some(block) = block else { return Ok(()) };
        let Some(open) = connection.open.as_mut() else { return Err("a block came".into()) };
        let items = match block {
            Ok(items) => items,
            Err(block) => open.read(&block)?,
        };
        let shown: Vec<_> =
            items.iter().map(|item| describe(item, &open.ours.session, &self.known.names)).collect();
        Err(Mismatch::said(format!("came and was not recorded: {}", shown.join("; "))))
    }

    /// At the end nothing is left over.
    fn nothing_more(&mut self) {
        let last = self.flow.steps.len().saturating_sub(1);
        let names: Vec<_> = self.connections.keys().cloned().collect();
        for conn in names {
            if let Err(what) = self.unexpected(&conn) {
                self.differs(last, Mismatch::said(format!("connection {conn}: {what}")));
            }
        }
    }
}
