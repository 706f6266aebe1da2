//! Driving a fresh router with a transcript's client steps.
//!
//! Steps are followed in their order. Before each, time passes up to its recorded time; where an answer or event is
//! recorded and has not come yet, time passes until it comes, and what follows is so much later.

mod forwarding;
mod services;
mod unrecorded;

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use sxlab_protocol::crypto::boxes;
use sxlab_protocol::crypto::chain::{BlockChains, ChainKey};
use sxlab_protocol::crypto::keys::{AuthPublicKey, AuthSecretKey, X25519Public};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{BlockingInfo, BlockingReason, Notice};
use sxlab_protocol::smp::forward;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::router::RouterConfig;
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{
    BLOCK_SIZE, ClientHello, RouterHello, SUPPORTED, Session, content, read_transmission, unpack,
};
use sxlab_protocol::wire::{CorrId, EntityId, VersionRange, pad, unpad};

use crate::comparing::{Knowledge, describe};
use crate::recorded::{bytes, text};
use crate::recording::{Flow, content_of, number, x25519, x25519_public};
use crate::routers::{Routers, SECOND};
use crate::sending::{Forward, Side, SideService, full_item, rebuild};

/// Differences after which a transcript is given up: what follows is their consequence as a rule.
const ENOUGH: usize = 8;

pub struct Replay<'a> {
    flow: &'a Flow,
    routers: Routers,
    /// Routers by the identity recorded for them, the versions that they offer and what else is said of them.
    sites: Vec<(Vec<u8>, VersionRange, String, usize)>,
    connections: BTreeMap<String, Connection>,
    known: Knowledge,
    /// When the transcript began, and by how much we are behind it.
    start: u64,
    /// Session keys of relays, by our id of the proxy's session with them.
    relays: BTreeMap<Vec<u8>, X25519Public>,
    /// Forwards that wait for their answer, by connection and outer correlation id.
    forwards: BTreeMap<(String, CorrId), Forward>,
    /// The answer of the last forward on a connection.
    sealed: BTreeMap<String, (Forward, Vec<u8>)>,
    /// Queues whose making was not recorded step by step.
    made: Vec<Made>,
    /// Subscriptions whose answers, in one block, were not recorded, by connection.
    unanswered: BTreeMap<String, usize>,
    /// The last step that tells what the operator did.
    operated: Option<usize>,
    differences: Vec<String>,
}

pub struct Made {
    pub queue: EntityId,
    pub key: AuthSecretKey,
}

struct Connection {
    line: usize,
    session_id: Vec<u8>,
    router_key: Option<X25519Public>,
    open: Option<Open>,
    /// The block that steps are compared with, by its recorded number.
    current: Option<(u64, Vec<Vec<u8>>)>,
    /// Blocks that were read while another one was looked for.
    ahead: VecDeque<Vec<Vec<u8>>>,
}

struct Open {
    recorded: Side,
    ours: Side,
    chains: Option<Chains>,
}

struct Chains {
    send: ChainKey,
    receive: ChainKey,
}

impl Open {
    fn seal_padded(&mut self, padded: &[u8]) -> Vec<u8> {
        match &mut self.chains {
            None => padded.to_vec(),
            Some(chains) => {
                let (key, nonce) = chains.send.step();
                boxes::seal(&key, &nonce, padded)
            }
        }
    }

    fn seal(&mut self, content: &[u8]) -> Result<Vec<u8>, String> {
        let size = if self.chains.is_some() { BLOCK_SIZE - boxes::TAG } else { BLOCK_SIZE };
        let padded = pad(content, size).map_err(|e| format!("content for no block: {e}"))?;
        Ok(self.seal_padded(&padded))
    }

    fn read(&mut self, block: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let padded = match &mut self.chains {
            None => block.to_vec(),
            Some(chains) => {
                let (key, nonce) = chains.receive.step();
                boxes::open(&key, &nonce, block).map_err(|e| format!("a block that does not decrypt: {e}"))?
            }
        };
        let content = unpad(&padded).map_err(|e| e.to_string())?;
        let items = unpack(content).map_err(|e| format!("a block that does not unpack: {e}"))?;
        Ok(items.into_iter().map(<[u8]>::to_vec).collect())
    }
}

/// What a router's settings in a transcript mean for ours.
fn config(settings: &Value) -> RouterConfig {
    let seconds = |field: &str| settings[field].as_f64().map(|seconds| (seconds * SECOND as f64) as u64);
    let days = settings["message_ttl_days"].as_u64().map(|days| days * 24 * 3600 * SECOND);
    let default = RouterConfig::default();
    RouterConfig {
        queue_quota: settings["queue_quota"].as_u64().unwrap() as usize,
        message_ttl: seconds("message_ttl_s").or(days).unwrap(),
        expiry_interval: seconds("check_interval_s").unwrap_or(default.expiry_interval),
        expire_on_send: settings["expire_on_send"].as_bool().unwrap(),
        end_interval: seconds("end_interval_s").unwrap(),
        notification_interval: seconds("ntf_interval_s").unwrap(),
        inactive_ttl: seconds("inactive_ttl_s").unwrap_or(default.inactive_ttl),
        inactive_interval: seconds("inactive_check_s").unwrap_or(default.inactive_interval),
        password: settings["create_password"].as_str().map(str::to_owned),
        ..default
    }
}

/// Replays a flow and gives the differences: none if all that came back is as recorded.
pub fn replay(flow: &Flow) -> Vec<String> {
    let routers = Routers::new();
    let start = routers.now;
    let mut known = Knowledge::default();
    for (name, id) in &flow.names {
        known.names.call(id.clone(), name);
    }
    let mut replay = Replay {
        flow,
        routers,
        sites: Vec::new(),
        connections: BTreeMap::new(),
        known,
        start,
        relays: BTreeMap::new(),
        forwards: BTreeMap::new(),
        sealed: BTreeMap::new(),
        made: Vec::new(),
        unanswered: BTreeMap::new(),
        operated: None,
        differences: Vec::new(),
    };
    let mut at = 0;
    while at < flow.steps.len() && replay.differences.len() < ENOUGH {
        at += replay.step(at);
    }
    if replay.differences.is_empty() {
        replay.nothing_more();
    }
    replay.differences
}

impl Replay<'_> {
    fn differs(&mut self, at: usize, what: &str) {
        let step = &self.flow.steps[at];
        let (conn, dir, text) = (text(step, "conn"), text(step, "dir"), text(step, "text"));
        self.differences.push(format!("step {at} ({conn} {dir} {text:?}): {what}"));
    }

    /// Follows step `at`, or the steps of its block if it is sent; how many.
    fn step(&mut self, at: usize) -> usize {
        let flow = self.flow;
        let step = &flow.steps[at];
        self.routers.wait_until(self.start + number(step, "at_ms") * (SECOND / 1000));
        self.operate(at);
        let plain = step["plain"].as_bool() == Some(true);
        let mut steps = 1;
        let result = match text(step, "dir") {
            "recv" if plain && text(step, "text").starts_with("third") => self.service_reply(step),
            "recv" if plain => self.router_hello(step),
            "send" if plain => self.client_hello(step),
            "recv" => self.receive(step),
            "send" => {
                let block = flow.block(at);
                steps = block.len();
                self.send(at, block)
            }
            "close" => self.close(step),
            "note" => self.note(step),
            "inner-recv" => self.inner(step),
            "inner-send" => Ok(()),
            other => Err(format!("no replay for {other}")),
        };
        if let Err(what) = result {
            self.differs(at, &what);
        }
        steps
    }

    /// What the operator did was noted after the notice that a subscriber got of it: it is done before that step.
    fn operate(&mut self, at: usize) {
        let step = &self.flow.steps[at];
        let is_note = |step: &Value| text(step, "conn") == "operator";
        let is_notice = step["corr_id"] == "" && text(step, "text").starts_with("ERR ");
        if !is_note(step) && !is_notice {
            return;
        }
        let ahead = self.flow.steps[at..].iter().position(is_note).map(|ahead| at + ahead);
        let Some(note) = ahead.filter(|note| self.operated < Some(*note)) else { return };
        let step = &self.flow.steps[note];
        self.operated = Some(note);
        let what = text(step, "text").split(';').next().unwrap_or_default();
        // Of all queues at once, the flow's note says why; older versions are not told of the notice.
        let all = what.contains("all queues");
        let notice = (all || text(step, "text").contains("notice={")).then_some(Notice { ttl: Some(3600) });
        let reason = if what.contains("spam") { BlockingReason::Spam } else { BlockingReason::Content };
        let info = (!what.contains("unblock")).then_some(BlockingInfo { reason, notice });
        let named = self.flow.names.iter().find(|(name, _)| what.contains(name.as_str()));
        let queues: Vec<_> = match named {
            Some((_, id)) => vec![EntityId::new(&self.known.names.ours(id)).unwrap()],
            None => self.known.queues(),
        };
        for queue in queues {
            self.routers.block(0, &queue, info);
        }
    }

    fn connection(&mut self, step: &Value) -> Result<&mut Connection, String> {
        let conn = text(step, "conn");
        self.connections.get_mut(conn).ok_or_else(|| format!("connection {conn} was not opened"))
    }

    /// The router that a connection goes to: the identity that its client's hello names, the versions that it offers.
    fn site(&mut self, conn: &str) -> usize {
        let hello = self.flow.steps.iter().find(|step| {
            text(step, "conn") == conn && text(step, "dir") == "send" && step["plain"].as_bool() == Some(true)
        });
        let named = hello.and_then(|step| Some(content_of(step)?.0.get(3..35)?.to_vec()));
        let session = &self.flow.sessions[conn];
        let alpn = !session["alpn_chosen"].is_null();
        let bound = |at: usize| session["server_range"][at].as_u64().unwrap_or_default() as u16;
        let offered = VersionRange { min: bound(0), max: bound(1) };
        let several = self.flow.settings["relay"].is_string();
        // Of one router only, some clients expect another identity.
        let first = self.sites.first().map(|(identity, ..)| identity.clone()).filter(|_| !several);
        let identity = first.or(named).unwrap_or_default();
        let about = self.flow.steps.iter().find(|step| {
            text(step, "conn") == conn
                && text(step, "dir") == "note"
                && text(step, "text").starts_with("server with")
        });
        let about = about.map(|step| text(step, "text")).unwrap_or_default();
        self.site_of(&identity, if alpn { offered } else { SUPPORTED }, about)
    }

    fn site_of(&mut self, identity: &[u8], versions: VersionRange, about: &str) -> usize {
        let found = self.sites.iter().find(|(i, v, a, _)| i == identity && *v == versions && a == about);
        if let Some((.., site)) = found {
            return *site;
        }
        // Routers of the same identity show the same certificates.
        let same = self.sites.iter().position(|(i, ..)| i == identity);
        let seed = same.unwrap_or(self.sites.len());
        let mut config = RouterConfig { versions, ..config(&self.flow.settings) };
        if !about.is_empty() {
            config.password = None;
            config.new_queues = !about.contains("new_queues off");
            config.proxy = !about.contains("proxy off");
        }
        let site = self.routers.router(config, seed as u8 + 1);
        let ours = self.routers.identity(site);
        if identity.len() == ours.len() {
            let learned = self.known.names.learn(identity, &ours);
            assert!(learned.is_ok(), "{learned:?}");
        }
        self.sites.push((identity.to_vec(), versions, about.to_owned(), site));
        site
    }

    fn router_hello(&mut self, step: &Value) -> Result<(), String> {
        let conn = text(step, "conn");
        let site = self.site(conn);
        let alpn = !self.flow.sessions[conn]["alpn_chosen"].is_null();
        let chain = services::presented(self.flow, conn).map(|presented| presented.tls_chain);
        let (line, session_id) = self.routers.connect(site, alpn, chain.unwrap_or_default());
        let block = self.routers.take(line).ok_or("no hello")?;
        let hello =
            RouterHello::decode(unpad(&block).map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
        let certificates = hello.authentication.as_ref().map_or(0, |(chain, _)| chain.ders.len());
        let VersionRange { min, max } = hello.versions;
        let shown = format!(
            "server hello: range {min}..{max}, session id {} bytes, {certificates} certificates",
            hello.session_id.len()
        );
        let router_key = hello.authentication.as_ref().and_then(|(_, key)| match key.key() {
            AuthPublicKey::X25519(key) => Some(*key),
            _ => None,
        });
        self.known.names.learn(&bytes(&self.flow.sessions[conn]["session_id"]), &session_id)?;
        let connection =
            Connection { line, session_id, router_key, open: None, current: None, ahead: VecDeque::new() };
        self.connections.insert(conn.to_owned(), connection);
        if shown == text(step, "text") { Ok(()) } else { Err(format!("got {shown:?}")) }
    }

    fn client_hello(&mut self, step: &Value) -> Result<(), String> {
        let conn = text(step, "conn");
        let (recorded, complete) = content_of(step).ok_or("a hello without bytes")?;
        let presented = services::presented(self.flow, conn);
        let recorded = match &presented {
            Some(presented) => presented.hello(&recorded, self.flow.version)?,
            None if complete => recorded,
            None => return Err("a hello that was not recorded in full".to_owned()),
        };
        let hello = self.known.names.ours(&recorded);
        let signer = presented.map(|presented| presented.signer());
        let fingerprint = &self.flow.extra["service_certificate_fingerprint_sha256"];
        let recorded_service = signer.as_ref().map(|signer| SideService {
            fingerprint: fingerprint.is_string().then(|| bytes(fingerprint).try_into().unwrap()),
            key: signer.key.clone(),
        });
        let our_service = signer.map(|s| SideService { fingerprint: Some(s.fingerprint), key: s.key });
        let session = self.flow.sessions[conn].clone();
        let connection = self.connection(step)?;
        let version = hello.first_chunk().map_or(0, |version| u16::from_be_bytes(*version));
        let layout = Layout::of(version);
        let side = |id, router_key, secret, service| {
            let session = Session { id, layout };
            Side { session, router_key, secret, service }
        };
        let own = x25519(&session, "client_private_key_raw");
        let with_key = ClientHello::decode(&hello).is_ok_and(|hello| hello.key.is_some());
        let secret = match (&own, &connection.router_key) {
            (Some(own), Some(key)) if with_key => Some(own.dh(key)),
            _ => None,
        };
        let recorded_key = x25519_public(&session, "server_public_key_spki");
        let recorded_secret = match (&own, &recorded_key) {
            (Some(own), Some(key)) => Some(own.dh(key)),
            _ => None,
        };
        let chains = match &secret {
            Some(secret) if session["block_encryption"].as_bool() == Some(true) => {
                let (receive, send) = BlockChains::init(&connection.session_id, secret);
                Some(Chains { send, receive })
            }
            _ => None,
        };
        connection.open = Some(Open {
            recorded: side(bytes(&session["session_id"]), recorded_key, recorded_secret, recorded_service),
            ours: side(connection.session_id.clone(), connection.router_key, secret, our_service),
            chains,
        });
        let line = connection.line;
        self.routers.write(line, pad(&hello, BLOCK_SIZE).map_err(|e| e.to_string())?);
        Ok(())
    }

    fn send(&mut self, at: usize, block: &[Value]) -> Result<(), String> {
        let step = &block[0];
        let what = text(step, "text");
        let conn = text(step, "conn").to_owned();
        let connection = self.connection(step)?;
        let line = connection.line;
        let Some(open) = &mut connection.open else {
            // The connection was closed in its handshake.
            return if self.routers.is_closed(line) { Ok(()) } else { Err("no session".to_owned()) };
        };
        let (recorded, ours) = (open.recorded.clone(), open.ours.clone());
        if what.starts_with("100 bytes") {
            // No block: a core does not see it.
            return Ok(());
        }
        if what.contains("chain stepped") {
            open.seal_padded(&[]);
        }
        let raw = match what {
            _ if what.contains("random bytes (does not decrypt)") => Some(vec![0x5a; BLOCK_SIZE]),
            _ if what.contains("length 0xFFFF") => {
                let size = if open.chains.is_some() { BLOCK_SIZE - boxes::TAG } else { BLOCK_SIZE };
                Some(open.seal_padded(&vec![0xff; size]))
            }
            _ => None,
        };
        if let Some(raw) = raw {
            self.routers.write(line, raw);
            return Ok(());
        }
        let content = if step["corr_id"].is_string() {
            let mut items = Vec::new();
            for step in block {
                items.push(self.item(at, step, &conn, &recorded, &ours)?);
            }
            let of = step["of"].as_u64().unwrap_or(1) as usize;
            if items.len() != of {
                items = self.unrecorded_items(step, of, &ours)?;
            }
            content(items.iter().map(Vec::as_slice)).map_err(|e| e.to_string())?
        } else {
            let (whole, _) = content_of(step).ok_or("not recorded in full")?;
            match unpack(&whole) {
                Ok(items) => {
                    let one =
                        |item: &&[u8]| rebuild(self.flow, &self.known.names, item, &recorded, &ours, what);
                    let items: Vec<_> = items.iter().map(one).collect();
                    content(items.iter().map(Vec::as_slice)).map_err(|e| e.to_string())?
                }
                // No batch.
                Err(_) => self.known.names.ours(&whole),
            }
        };
        self.write(&conn, &content)?;
        self.unrecorded_blocks(at, step, &ours)
    }

    fn write(&mut self, conn: &str, content: &[u8]) -> Result<(), String> {
        let connection = self.connections.get_mut(conn).ok_or("not connected")?;
        let block = connection.open.as_mut().ok_or("no session")?.seal(content)?;
        self.routers.write(connection.line, block);
        Ok(())
    }

    /// The next block that came on a connection.
    fn read(&mut self, conn: &str) -> Result<Vec<Vec<u8>>, String> {
        let connection = self.connections.get_mut(conn).ok_or("not connected")?;
        if let Some(items) = connection.ahead.pop_front() {
            return Ok(items);
        }
        self.read_next(conn)
    }

    /// The next block that was not read yet.
    fn read_next(&mut self, conn: &str) -> Result<Vec<Vec<u8>>, String> {
        let connection = self.connections.get_mut(conn).ok_or("not connected")?;
        let block = self.routers.take(connection.line).ok_or("nothing came")?;
        connection.open.as_mut().ok_or("no session")?.read(&block)
    }

    /// One recorded transmission, for our session.
    fn item(
        &mut self,
        at: usize,
        step: &Value,
        conn: &str,
        recorded: &Side,
        ours: &Side,
    ) -> Result<Vec<u8>, String> {
        let (head, complete) = content_of(step).ok_or("a transmission without bytes")?;
        let corr = CorrId::new(&bytes(&step["corr_id"])).map_err(|e| e.to_string())?;
        let command = read_transmission(&recorded.session, &head).map(|received| received.command);
        let command = command.unwrap_or_default();
        if command.starts_with(b"RFWD ") {
            return self.rfwd_item(at, step, conn, recorded, ours, &corr, &command, complete);
        }
        if command.starts_with(b"PFWD ") {
            return self.pfwd_item(at, step, conn, recorded, ours, &corr);
        }
        let whole =
            full_item(self.flow, step, recorded).ok_or("not recorded in full, and not found again")?;
        if let Ok(received) = read_transmission(&recorded.session, &whole)
            && let Ok(command) = Command::decode(&received.command, &recorded.session.layout)
        {
            match &command {
                Command::Ack(id) => self.known.names.complete(received.entity.as_bytes(), id.as_bytes())?,
                Command::Prxy { router, .. } => self.dial_to(text(step, "text"), &router.identity),
                _ => {}
            }
            self.known.sent.insert((conn.to_owned(), corr.as_bytes().to_vec()), command);
        }
        Ok(rebuild(self.flow, &self.known.names, &whole, recorded, ours, text(step, "text")))
    }

    /// Makes the recorded block `step` belongs to the current one of its connection.
    fn current(&mut self, step: &Value) -> Result<(), String> {
        let recorded = number(step, "block");
        let connection = self.connection(step)?;
        if connection.current.as_ref().is_some_and(|(number, _)| *number == recorded) {
            return Ok(());
        }
        let line = connection.line;
        self.skip_unrecorded(step)?;
        if self.connection(step)?.ahead.is_empty() {
            self.routers.wait_for(|routers| routers.waiting(line) > 0);
        }
        // What came later than recorded makes all that follows later.
        let due = self.start + number(step, "at_ms") * (SECOND / 1000);
        self.start += self.routers.now.saturating_sub(due);
        let items = if self.is_unordered(step) { self.pick(step)? } else { self.read(text(step, "conn"))? };
        self.connection(step)?.current = Some((recorded, items));
        Ok(())
    }

    fn receive(&mut self, step: &Value) -> Result<(), String> {
        self.current(step)?;
        let conn = text(step, "conn");
        let connection = &self.connections[conn];
        let open = connection.open.as_ref().ok_or("no session")?;
        let (_, items) = connection.current.as_ref().ok_or("no block")?;
        let names = &self.known.names;
        let session = &open.ours.session;
        let listed = || -> String {
            items.iter().take(6).map(|item| describe(item, session, names)).collect::<Vec<_>>().join("; ")
        };
        let of = step["of"].as_u64().unwrap_or(1) as usize;
        if items.len() != of {
            return Err(format!("a block of {}, {of} expected; got {}", items.len(), listed()));
        }
        let item = items[self.place(step, items)].clone();
        let (recorded, session) = (open.recorded.session.clone(), session.clone());
        let secret = open.ours.secret.clone();
        let result = self.known.compare(self.flow, step, &item, &recorded, &session);
        result.map_err(|e| format!("{e}; got {}", describe(&item, &session, &self.known.names)))?;
        let received = read_transmission(&session, &item).map_err(|e| e.to_string())?;
        match Response::decode(&received.command, &session.layout) {
            Ok(Response::Pkey { session, signed_key, .. }) => {
                if let AuthPublicKey::X25519(key) = signed_key.key() {
                    self.relays.insert(session.as_bytes().to_vec(), *key);
                }
            }
            Ok(Response::Pres { sealed }) => {
                if let Some(forward) = self.forwards.remove(&(conn.to_owned(), received.corr)) {
                    self.sealed.insert(conn.to_owned(), (forward, sealed));
                }
            }
            Ok(Response::Rres { sealed }) => {
                if let Some(forward) = self.forwards.remove(&(conn.to_owned(), received.corr.clone())) {
                    let secret = secret.ok_or("no secret")?;
                    let (corr, sealed) = forward::open_forward_reply(&secret, &received.corr, &sealed)
                        .map_err(|e| e.to_string())?;
                    if corr != forward.corr {
                        return Err("RRES with another forward's correlation id".to_owned());
                    }
                    self.sealed.insert(conn.to_owned(), (forward, sealed));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, step: &Value) -> Result<(), String> {
        let line = self.connection(step)?.line;
        if text(step, "text") == "closed by us" {
            self.unrecorded_answers(text(step, "conn"))?;
            let unexpected = self.unexpected(text(step, "conn"));
            let closed = self.routers.is_closed(line);
            self.routers.close(line);
            self.connections.remove(text(step, "conn"));
            return if closed { Err("the router had closed".to_owned()) } else { unexpected };
        }
        self.unexpected(text(step, "conn"))?;
        self.routers.wait_for(|routers| routers.is_closed(line));
        if self.routers.is_closed(line) { Ok(()) } else { Err("the router did not close".to_owned()) }
    }

    /// Where the recording says that nothing came, nothing may have come.
    fn note(&mut self, step: &Value) -> Result<(), String> {
        let what = text(step, "text");
        if what.contains("no further") || what.contains("no answer") {
            return self.unexpected(text(step, "conn"));
        }
        if what.contains("queues made with NEW mode C") {
            return self.make_queues(step);
        }
        if what.starts_with("connection closed by server instead of") {
            let line = self.connection(step)?.line;
            return if self.routers.is_closed(line) { Ok(()) } else { Err("not closed".to_owned()) };
        }
        let block = match what {
            _ if what.ends_with("instead of client hello") => vec![0x5a; BLOCK_SIZE],
            "client hello block with length 0xFFFF" => vec![0xff; BLOCK_SIZE],
            "client hello block with length 0" => vec![0; BLOCK_SIZE],
            _ => return Ok(()),
        };
        let conn = text(step, "conn");
        let site = self.site(conn);
        let (line, session_id) = self.routers.connect(site, true, Vec::new());
        self.routers.take(line).ok_or("no hello")?;
        let connection = Connection {
            line,
            session_id,
            router_key: None,
            open: None,
            current: None,
            ahead: VecDeque::new(),
        };
        self.connections.insert(conn.to_owned(), connection);
        self.routers.write(line, block);
        Ok(())
    }

    /// What came on a connection and was not recorded.
    fn unexpected(&mut self, conn: &str) -> Result<(), String> {
        let Some(connection) = self.connections.get_mut(conn) else { return Ok(()) };
        let Some(open) = connection.open.as_mut() else {
            return self.routers.take(connection.line).map_or(Ok(()), |_| Err("a block".to_owned()));
        };
        let items = match connection.ahead.pop_front() {
            Some(items) => items,
            None => match self.routers.take(connection.line) {
                Some(block) => open.read(&block)?,
                None => return Ok(()),
            },
        };
        let shown: Vec<_> =
            items.iter().map(|item| describe(item, &open.ours.session, &self.known.names)).collect();
        Err(format!("came and was not recorded: {}", shown.join("; ")))
    }

    /// At the end nothing is left over, and nothing was closed that was not recorded as closed.
    fn nothing_more(&mut self) {
        let last = self.flow.steps.len() - 1;
        let names: Vec<_> = self.connections.keys().cloned().collect();
        for conn in names {
            if let Err(what) = self.unexpected(&conn) {
                self.differs(last, &format!("connection {conn}: {what}"));
            }
        }
    }
}
