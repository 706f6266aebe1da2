//! Playing a script on a target.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sxlab_protocol::crypto::boxes::{self, TAG, nonce_from_corr, nonce_from_msg, open_padded, reversed};
use sxlab_protocol::crypto::chain::BlockChains;
use sxlab_protocol::crypto::keys::{AuthPublicKey, AuthSecretKey, Ed25519Secret, SharedSecret};
use sxlab_protocol::smp::error::{BlockingInfo, BlockingReason, Notice};
use sxlab_protocol::smp::forward::{FORWARD_SIZE, inner_session, open_forward_reply};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{
    BLOCK_SIZE, ClientHello, RouterHello, ServiceReply, ServiceSigner, Session, Unsigned,
    authorize_by_service, content, pack_one, read_transmission, unpack,
};
use sxlab_protocol::wire::{CorrId, EntityId, pad, put_short, put_u16, unpad};

use super::asking::{Built, Clients, Queue, Relay};
use super::script::{Ask, Script, What};
use super::tape::{Item, Tape, Written};
use crate::replay::comparing::summary;
use crate::replay::sending::Side;
use crate::replay::services;
use crate::replay::wires::{Chains, Connection, Open, Wires};
use crate::target::{Dial, NoConnection, Operation, Settings, Target};

/// What playing a flow gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Played {
    /// The recording.
    Recorded(Value),
    /// The target can't do what the flow needs.
    Skipped(String),
}

/// Why a flow can't go on.
enum Stop {
    Skipped(String),
    /// The line went wrong: noted, and the flow goes on.
    Noted(String),
}

impl From<String> for Stop {
    fn from(text: String) -> Self {
        Stop::Noted(text)
    }
}

impl From<&str> for Stop {
    fn from(text: &str) -> Self {
        Stop::Noted(text.to_owned())
    }
}

fn noted(error: impl std::fmt::Display) -> Stop {
    Stop::Noted(error.to_string())
}

/// A forwarded command that waits for its answer.
struct Forwarded {
    secret: SharedSecret,
    corr: CorrId,
    session: Session,
}

struct Play<'a> {
    script: &'a Script,
    version: u16,
    wires: Wires,
    start: u64,
    tape: Tape,
    clients: Clients,
    connections: BTreeMap<String, Connection>,
    signers: BTreeMap<String, ServiceSigner>,
    /// Events that came while something else was waited for.
    unclaimed: BTreeMap<String, usize>,
    forwarded: BTreeMap<CorrId, Forwarded>,
    /// What NEW, NKEY and PRXY were asked for, by correlation id.
    asked: BTreeMap<CorrId, String>,
}

/// Plays a flow at a version.
#[must_use]
pub fn play(script: &Script, version: u16, target: &dyn Target, seed: u64) -> Played {
    let instance = match target.start(&script.settings, seed) {
        Ok(instance) => instance,
        Err(reason) => return Played::Skipped(reason.to_string()),
    };
    let mut play = Play {
        script,
        version,
        start: instance.now(),
        wires: Wires::new(instance),
        tape: Tape::default(),
        clients: Clients::new(&script.name),
        connections: BTreeMap::new(),
        signers: BTreeMap::new(),
        unclaimed: BTreeMap::new(),
        forwarded: BTreeMap::new(),
        asked: BTreeMap::new(),
    };
    if let Err(Stop::Skipped(reason)) = play.run() {
        return Played::Skipped(reason);
    }
    let (flow, relay) = ((script.name.as_str(), script.about.as_str()), !script.routers.is_empty());
    Played::Recorded(play.tape.finish(flow, version, &target.name(), &script.settings, relay))
}

impl Play<'_> {
    fn at(&self) -> u64 {
        self.wires.now().saturating_sub(self.start)
    }

    fn note(&mut self, conn: &str, dir: &str, text: impl Into<String>) {
        let written = Written { conn, dir, at: self.at(), text: text.into() };
        self.tape.note(&written);
    }

    fn run(&mut self) -> Result<(), Stop> {
        let script = self.script;
        if let Some(address) = self.wires.instance.address() {
            self.clients.routers.insert("self".to_owned(), address.clone());
        }
        for router in &script.routers {
            let settings = Settings { max_version: router.max, ..Settings::default() };
            let address = self.wires.instance.further(&settings);
            let address = address.map_err(|reason| Stop::Skipped(reason.to_string()))?;
            self.clients.routers.insert(router.name.clone(), address);
        }
        for act in &script.acts {
            let (conn, result) = match &act.what {
                What::Wait(time) => {
                    self.wires.instance.wait(*time);
                    ("", Ok(()))
                }
                What::Operator(ask) => ("operator", self.operate(ask)),
                What::On { conn, asks } => (conn.as_str(), self.on(conn, asks, &act.text)),
            };
            match result {
                Err(Stop::Noted(what)) => self.note(conn, "note", what),
                other => other?,
            }
        }
        // What is left over.
        let names: Vec<_> = self.connections.keys().cloned().collect();
        for conn in names {
            while let Some(block) =
                self.connections.get(&conn).and_then(|connection| self.wires.take(connection.line))
            {
                if let Err(Stop::Noted(what)) = self.received(&conn, &block) {
                    self.note(&conn, "note", what);
                    break;
                }
            }
        }
        Ok(())
    }

    fn operate(&mut self, ask: &Ask) -> Result<(), Stop> {
        let queue = self.clients.queues.get(ask.word(0)).ok_or("no such queue")?.recipient.clone();
        let reason = if ask.word(1) == "spam" { BlockingReason::Spam } else { BlockingReason::Content };
        let notice = ask.option("notice").map(|ttl| Notice { ttl: ttl.parse().ok() });
        let operation = match ask.verb.as_str() {
            "block" => Operation::Block(queue, BlockingInfo { reason, notice }),
            _ => Operation::Unblock(queue),
        };
        self.wires.instance.operate(&operation).map_err(|reason| Stop::Skipped(reason.to_string()))?;
        let notice = ask.option("notice").map(|ttl| format!(",notice={{\"ttl\":{ttl}}}"));
        let text = format!(
            "{} {}.rcvId reason={}{}",
            ask.verb,
            ask.word(0),
            ask.word(1),
            notice.unwrap_or_default()
        );
        self.note("operator", "note", text);
        Ok(())
    }

    fn line(&self, conn: &str) -> Result<usize, Stop> {
        Ok(self.connections.get(conn).ok_or("not connected")?.line)
    }

    fn on(&mut self, conn: &str, asks: &[Ask], text: &str) -> Result<(), Stop> {
        let first = asks.first().ok_or("nothing to do")?;
        if !self.connections.contains_key(conn) && first.verb != "connect" {
            let how = Ask { verb: "connect".to_owned(), words: Vec::new(), options: BTreeMap::new() };
            self.connect(conn, &how)?;
        }
        match first.verb.as_str() {
            "connect" => self.connect(conn, first),
            "gets" => self.gets(conn),
            "noise" => self.write_raw(conn, &[0x5a; BLOCK_SIZE], None, text),
            "part" => {
                let bytes = hex::decode(first.word(0)).map_err(noted)?;
                self.write_raw(conn, &bytes, None, text)
            }
            "content" => {
                let bytes = hex::decode(first.word(0)).map_err(noted)?;
                let open = self.connections.get_mut(conn).and_then(|c| c.open.as_mut());
                let block = open.ok_or("there is no session")?.seal(&bytes).map_err(noted)?;
                self.write_raw(conn, &block, Some(&bytes), text)
            }
            "close" => {
                let line = self.line(conn)?;
                self.wires.close(line);
                self.connections.remove(conn);
                self.note(conn, "close", "closed by us");
                Ok(())
            }
            "ends" => {
                let line = self.line(conn)?;
                let closed = self.wires.wait_closed(line);
                let (dir, text) =
                    if closed { ("close", "connection closed by server") } else { ("note", "still open") };
                self.note(conn, dir, text);
                Ok(())
            }
            "quiet" => {
                let silence = self.wires.instance.silence();
                let line = self.line(conn)?;
                match self.wires.within(line, silence) {
                    Some(block) => self.received(conn, &block).map(drop),
                    None => {
                        self.note(conn, "note", "no further transmission");
                        Ok(())
                    }
                }
            }
            _ => self.ask(conn, asks, text),
        }
    }

    fn connect(&mut self, conn: &str, how: &Ask) -> Result<(), Stop> {
        let to = match how.option("to") {
            Some(name) => Some(self.clients.routers.get(name).ok_or("no such router")?.clone()),
            None => None,
        };
        let service = match how.option("service") {
            Some(role) => {
                let letter = role.bytes().next().unwrap_or(b'M');
                let key = Ed25519Secret::from_seed(self.clients.bytes(&format!("{conn} service session")));
                let secret = AuthSecretKey::from(key.clone());
                self.tape.key(&format!("{conn}.serviceSessionKey"), &secret);
                self.clients.keys.insert(format!("{conn}.serviceSessionKey"), secret);
                Some(services::Presented::made(letter, &key).map_err(noted)?)
            }
            None => None,
        };
        let alpn = match how.option("alpn") {
            Some("none") => Vec::new(),
            Some(names) => names.split(',').map(|name| name.as_bytes().to_vec()).collect(),
            None => Dial::default().alpn,
        };
        let identity = service.as_ref().and_then(|service| service.in_tls.clone());
        let address =
            to.clone().or(self.wires.instance.address().cloned()).ok_or("the target has no address")?;
        let (line, tls) = match self.wires.connect(&Dial { alpn, identity, to }) {
            Ok(connected) => connected,
            Err(NoConnection::Tls(_)) => return Err("refused in TLS".into()),
            Err(NoConnection::Unavailable(reason)) => return Err(Stop::Skipped(reason.to_owned())),
            Err(NoConnection::Unreachable(reason)) => {
                return Err(Stop::Skipped(format!("could not connect: {reason}")));
            }
        };
        let block = self.wires.expect(line).ok_or("no hello came")?;
        let bytes = unpad(&block).map_err(noted)?.to_vec();
        let hello = RouterHello::decode(&bytes).map_err(noted)?;
        let router_key = hello.authentication.as_ref().and_then(|(_, key)| match key.key() {
            AuthPublicKey::X25519(key) => Some(*key),
            _ => None,
        });
        let certificates = hello.authentication.as_ref().map_or(0, |(chain, _)| chain.ders.len());
        let text = format!(
            "server hello: range {}..{}, session id {} bytes, {certificates} certificates",
            hello.versions.min,
            hello.versions.max,
            hello.session_id.len()
        );
        self.tape.plain(&Written { conn, dir: "recv", at: self.at(), text }, &bytes);
        let own = self.clients.x25519(&format!("{conn} session"), &mut self.tape);
        let version = how.option("version").and_then(|version| version.parse().ok()).unwrap_or(self.version);
        let layout = Layout::of(version);
        let with_key = how.option("key") != Some("no") && layout.handshake_key && router_key.is_some();
        // Below version 14 a proxy cannot say that it is one.
        let proxy = how.is("proxy") && layout.proxy_flag;
        let shown = ClientHello {
            version,
            identity: if how.option("identity") == Some("wrong") { [0x78; 32] } else { address.identity },
            key: with_key.then(|| own.public()),
            proxy,
            service: service.as_ref().map(|service| Box::new(service.hello.clone())),
        };
        let mut text = format!(
            "client hello: version {version}, {}, proxy flag ",
            if with_key { "with X25519 key" } else { "no key" }
        );
        text.push(if proxy { 'T' } else { 'F' });
        if let Some(service) = &service {
            text.push_str(&format!(", service role {} chain of 1", char::from(service.hello.role.letter())));
        }
        let bytes = shown.encode().map_err(noted)?;
        self.wires.write(line, &pad(&bytes, BLOCK_SIZE).map_err(noted)?);
        self.tape.plain(&Written { conn, dir: "send", at: self.at(), text }, &bytes);
        let secret = router_key.filter(|_| with_key).map(|key| own.dh(&key));
        let chains = secret.as_ref().filter(|_| layout.block_encryption && !proxy).map(|secret| {
            let (receive, send) = BlockChains::init(&tls.session_id, secret);
            Chains { send, receive }
        });
        let offered = Some((hello.versions.min, hello.versions.max));
        let keys = (with_key.then_some(&own), router_key.as_ref());
        self.tape.session(conn, &tls.session_id, tls.alpn.as_deref(), offered, keys, chains.is_some());
        let session = Session { id: tls.session_id.clone(), layout };
        let side = Side { session, router_key, secret, service: None };
        let open = Open { recorded: side.clone(), ours: side, chains };
        self.connections.insert(conn.to_owned(), Connection::opened(line, tls.session_id, router_key, open));
        if let Some(service) = service.filter(|_| layout.service_in_hello) {
            self.third_block(conn, line, &service)?;
        }
        Ok(())
    }

    fn third_block(&mut self, conn: &str, line: usize, service: &services::Presented) -> Result<(), Stop> {
        let block = self.wires.expect(line).ok_or("no third block came")?;
        let bytes = unpad(&block).map_err(noted)?.to_vec();
        let text = match ServiceReply::decode(&bytes).map_err(noted)? {
            ServiceReply::Accepted(id) => {
                self.tape.name(&format!("service.{conn}"), id.as_bytes());
                let text = format!("third handshake block: R service id {}", hex::encode(id.as_bytes()));
                self.clients.services.insert(conn.to_owned(), id);
                let fingerprint = service.fingerprint().map_err(noted)?;
                self.signers.insert(conn.to_owned(), ServiceSigner { fingerprint, key: service.key.clone() });
                text
            }
            ServiceReply::Refused(error) => format!("third handshake block: E {error}"),
        };
        self.tape.plain(&Written { conn, dir: "recv", at: self.at(), text }, &bytes);
        Ok(())
    }

    /// Writes bytes that are no transmissions: a block with this content, or whatever they are.
    fn write_raw(
        &mut self,
        conn: &str,
        bytes: &[u8],
        content: Option<&[u8]>,
        text: &str,
    ) -> Result<(), Stop> {
        let line = self.line(conn)?;
        self.wires.write(line, bytes);
        let block = self.tape.next_block();
        let written = Written { conn, dir: "send", at: self.at(), text: text.to_owned() };
        let item = Item { bytes: content.unwrap_or(bytes), ids: None, place: (0, 1) };
        self.tape.item(&written, Some(block), &item, &[("raw", json!(content.is_none()))]);
        Ok(())
    }

    fn side(&self, conn: &str) -> Result<Side, Stop> {
        let open = self.connections.get(conn).and_then(|connection| connection.open.as_ref());
        Ok(open.ok_or("there is no session")?.ours.clone())
    }

    /// One transmission; forwarded ones are made inside.
    fn transmission(
        &mut self,
        conn: &str,
        ask: &Ask,
        side: &Side,
    ) -> Result<(CorrId, EntityId, Vec<u8>), Stop> {
        let corr = self.clients.corr();
        let layout = side.session.layout;
        let built = match ask.verb.as_str() {
            "via" => self.pass_on(conn, ask, &corr)?,
            "forward" => self.forward(conn, ask, &corr, side)?,
            _ => self.clients.build(conn, ask, &corr, &layout, &mut self.tape)?,
        };
        if matches!(ask.verb.as_str(), "new" | "nkey" | "prxy") {
            self.asked.insert(corr.clone(), ask.word(0).to_owned());
        }
        let entity = built.entity.clone();
        Ok((corr.clone(), entity, self.authorized(conn, built, corr, side)?))
    }

    fn authorized(&self, conn: &str, built: Built, corr: CorrId, side: &Side) -> Result<Vec<u8>, Stop> {
        let signer = self.signers.get(conn).filter(|_| built.by_service);
        let unsigned = Unsigned { corr, entity: built.entity, command: built.command };
        authorize_by_service(&side.session, &unsigned, built.key.as_ref(), side.router_key.as_ref(), signer)
            .map_err(noted)
    }

    /// What a client encrypts for a relay: PFWD's version, key and sealed command.
    fn sealed(
        &mut self,
        conn: &str,
        ask: &Ask,
        corr: &CorrId,
        relay: &Relay,
    ) -> Result<(Vec<u8>, Vec<u8>), Stop> {
        let inner = ask.inner().ok_or("nothing to pass on")?;
        let session = inner_session(relay.session.as_bytes().to_vec(), relay.version);
        let side =
            Side { session: session.clone(), router_key: Some(relay.key), secret: None, service: None };
        let built = self.clients.build(conn, &inner, corr, &session.layout, &mut self.tape)?;
        let item = self.authorized(conn, built, corr.clone(), &side)?;
        let plain = pack_one(&item).map_err(noted)?;
        let name = format!("forward {}", hex::encode(corr.as_bytes()));
        let own = self.clients.x25519(&name, &mut self.tape);
        let secret = own.dh(&relay.key);
        let sealed =
            boxes::seal_padded(&secret, &nonce_from_corr(corr), &plain, FORWARD_SIZE).map_err(noted)?;
        let mut head = Vec::new();
        put_u16(&mut head, relay.version);
        put_short(&mut head, &own.public().spki()).map_err(noted)?;
        self.forwarded.insert(corr.clone(), Forwarded { secret, corr: corr.clone(), session });
        Ok((head, sealed))
    }

    fn pass_on(&mut self, conn: &str, ask: &Ask, corr: &CorrId) -> Result<Built, Stop> {
        let relay = self.clients.relays.get(ask.word(0)).ok_or("no session with the relay")?.clone();
        let (head, sealed) = self.sealed(conn, ask, corr, &relay)?;
        let command = [b"PFWD ".as_slice(), &head, &sealed].concat();
        Ok(Built { entity: relay.session, command, key: None, by_service: false })
    }

    fn forward(&mut self, conn: &str, ask: &Ask, corr: &CorrId, side: &Side) -> Result<Built, Stop> {
        let session = EntityId::new(&side.session.id).map_err(noted)?;
        let key = side.router_key.ok_or("no router key")?;
        let relay = Relay { session, version: self.version, key };
        let client = self.clients.corr();
        let (head, sealed) = self.sealed(conn, ask, &client, &relay)?;
        if let Some(forwarded) = self.forwarded.remove(&client) {
            self.forwarded.insert(corr.clone(), forwarded);
        }
        let mut plain = Vec::new();
        put_short(&mut plain, client.as_bytes()).map_err(noted)?;
        plain.extend([head, sealed].concat());
        let secret = side.secret.as_ref().ok_or("no secret with the router")?;
        let sealed = boxes::seal(secret, &nonce_from_corr(corr), &plain);
        let command = [b"RFWD ".as_slice(), &sealed].concat();
        Ok(Built { entity: EntityId::EMPTY, command, key: None, by_service: false })
    }

    fn ask(&mut self, conn: &str, asks: &[Ask], text: &str) -> Result<(), Stop> {
        let side = self.side(conn)?;
        let mut made = Vec::new();
        for ask in asks {
            made.push(self.transmission(conn, ask, &side)?);
        }
        let bytes = content(made.iter().map(|(_, _, item)| item.as_slice())).map_err(noted)?;
        let connection = self.connections.get_mut(conn).ok_or("not connected")?;
        let line = connection.line;
        let block = connection.open.as_mut().ok_or("there is no session")?.seal(&bytes).map_err(noted)?;
        self.wires.write(line, &block);
        let number = self.tape.next_block();
        let at = self.at();
        for (place, ((corr, entity, item), ask)) in made.iter().zip(asks).enumerate() {
            let shown = if asks.len() == 1 {
                text.to_owned()
            } else {
                format!("{} {}", ask.verb, ask.words.join(" "))
            };
            let item = Item {
                bytes: item,
                ids: Some((corr.as_bytes(), entity.as_bytes())),
                place: (place, made.len()),
            };
            self.tape.item(&Written { conn, dir: "send", at, text: shown }, Some(number), &item, &[]);
        }
        let mut missing = made.len();
        while missing > 0 {
            let Some(block) = self.wires.expect(line) else {
                let closed = self.wires.is_closed(line);
                let (dir, text) =
                    if closed { ("close", "connection closed by server") } else { ("note", "no answer") };
                self.note(conn, dir, text);
                return Ok(());
            };
            missing = missing.saturating_sub(self.received(conn, &block)?);
        }
        Ok(())
    }

    fn gets(&mut self, conn: &str) -> Result<(), Stop> {
        let unclaimed = self.unclaimed.entry(conn.to_owned()).or_default();
        if *unclaimed > 0 {
            *unclaimed -= 1;
            return Ok(());
        }
        let line = self.line(conn)?;
        match self.wires.expect(line) {
            Some(block) => {
                self.received(conn, &block)?;
                if let Some(unclaimed) = self.unclaimed.get_mut(conn) {
                    *unclaimed = unclaimed.saturating_sub(1);
                }
            }
            None => self.note(conn, "note", "no further transmission"),
        }
        Ok(())
    }

    /// Writes down a block; how many answers it has.
    fn received(&mut self, conn: &str, block: &[u8]) -> Result<usize, Stop> {
        let connection = self.connections.get_mut(conn).ok_or("not connected")?;
        let open = connection.open.as_mut().ok_or("there is no session")?;
        let items = open.read(block).map_err(noted)?;
        let side = open.ours.clone();
        let number = self.tape.next_block();
        let mut answers = 0;
        for (place, item) in items.iter().enumerate() {
            let at = self.at();
            let Ok(received) = read_transmission(&side.session, item) else {
                let written = Written { conn, dir: "recv", at, text: "no transmission".to_owned() };
                let item = Item { bytes: item, ids: None, place: (place, items.len()) };
                self.tape.item(&written, Some(number), &item, &[]);
                continue;
            };
            let response = Response::decode(&received.command, &side.session.layout);
            // An error without a correlation id answers what has none.
            let answer = !received.corr.is_empty()
                || matches!(&response, Ok(Response::Err(_)) if received.entity.is_empty());
            if answer {
                answers += 1;
            } else {
                *self.unclaimed.entry(conn.to_owned()).or_default() += 1;
            }
            let (text, more) = match &response {
                Ok(response) => {
                    let more = self.learn(&received.corr, &received.entity, response);
                    (summary(response), more)
                }
                Err(error) => (format!("no response: {error}"), Vec::new()),
            };
            let ids = Some((received.corr.as_bytes(), received.entity.as_bytes()));
            let item = Item { bytes: item, ids, place: (place, items.len()) };
            self.tape.item(&Written { conn, dir: "recv", at, text }, Some(number), &item, &more);
            if let Ok(response) = &response {
                self.inside(conn, &received.corr, response, &side);
            }
        }
        Ok(answers)
    }

    /// Keeps what later lines need; the decrypted body.
    fn learn(&mut self, corr: &CorrId, entity: &EntityId, response: &Response) -> Vec<(&'static str, Value)> {
        let asked = self.asked.get(corr).cloned().unwrap_or_default();
        match response {
            Response::Ids(ids) => {
                let secret = self.clients.dh(&format!("{asked}.rcvDh")).dh(&ids.dh_key);
                self.clients.secrets.insert(ids.recipient.clone(), secret);
                self.tape.name(&format!("{asked}.rcvId"), ids.recipient.as_bytes());
                self.tape.name(&format!("{asked}.sndId"), ids.sender.as_bytes());
                let mut queue = Queue {
                    recipient: ids.recipient.clone(),
                    sender: ids.sender.clone(),
                    ..Queue::default()
                };
                if let Some(link) = &ids.link {
                    self.tape.name(&format!("{asked}.linkId"), link.as_bytes());
                    queue.link = link.as_bytes().to_vec();
                }
                if let Some(notifier) = &ids.notifier {
                    let secret = self.clients.dh(&format!("{asked}.ntfDh")).dh(&notifier.dh_key);
                    self.clients.secrets.insert(notifier.id.clone(), secret);
                    self.tape.name(&format!("{asked}.notifierId"), notifier.id.as_bytes());
                    queue.notifier = notifier.id.clone();
                }
                self.clients.queues.insert(asked, queue);
            }
            Response::Nid(ids) => {
                let secret = self.clients.dh(&format!("{asked}.ntfDh")).dh(&ids.dh_key);
                self.clients.secrets.insert(ids.id.clone(), secret);
                self.tape.name(&format!("{asked}.notifierId"), ids.id.as_bytes());
                if let Some(queue) = self.clients.queues.get_mut(&asked) {
                    queue.notifier = ids.id.clone();
                }
            }
            Response::Msg { id, body } => {
                if let Some(queue) = self.clients.of_recipient(entity) {
                    queue.last = Some(id.clone());
                }
                let secret = self.clients.secrets.get(entity);
                let plain = secret.and_then(|secret| open_padded(secret, &nonce_from_msg(id), body).ok());
                if let Some(plain) = plain {
                    let padded = body.len().saturating_sub(TAG);
                    let body = json!({"decrypted": hex::encode(plain), "decrypted_padded_len": padded});
                    return vec![("body", body)];
                }
            }
            Response::Nmsg { nonce, meta } => {
                let secret = self.clients.secrets.get(entity);
                if let Some(plain) = secret.and_then(|secret| open_padded(secret, nonce, meta).ok()) {
                    let body = json!({"decrypted": hex::encode(plain), "meta_len": meta.len()});
                    return vec![("body", body)];
                }
            }
            Response::Pkey { session, versions, signed_key, .. } => {
                if let AuthPublicKey::X25519(key) = signed_key.key() {
                    let version = versions.max.min(self.version);
                    self.tape.name(&format!("{asked}.session"), session.as_bytes());
                    self.clients.relays.insert(asked, Relay { session: session.clone(), version, key: *key });
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// Writes down what is inside of a forward's answer.
    fn inside(&mut self, conn: &str, corr: &CorrId, response: &Response, side: &Side) {
        let Some(forwarded) = self.forwarded.get(corr) else { return };
        let sealed = match response {
            Response::Pres { sealed } => Some(sealed.clone()),
            Response::Rres { sealed } => {
                let opened =
                    side.secret.as_ref().and_then(|secret| open_forward_reply(secret, corr, sealed).ok());
                opened.filter(|(client, _)| *client == forwarded.corr).map(|(_, sealed)| sealed)
            }
            _ => return,
        };
        let nonce = reversed(nonce_from_corr(&forwarded.corr));
        let plain = sealed.as_ref().and_then(|sealed| open_padded(&forwarded.secret, &nonce, sealed).ok());
        let session = forwarded.session.clone();
        let items = plain.as_ref().and_then(|plain| unpack(plain).ok());
        let (Some(plain), Some(items)) = (&plain, items) else {
            return self.note(conn, "note", "an answer that does not decrypt");
        };
        let read = |item: &&[u8]| {
            let received = read_transmission(&session, item).ok()?;
            Response::decode(&received.command, &session.layout).ok().map(|response| summary(&response))
        };
        let texts: Vec<_> = items.iter().map(|item| read(item).unwrap_or_default()).collect();
        let text = format!("inner block: {} (count {})", texts.join("; "), items.len());
        let padded = sealed.as_ref().map_or(0, Vec::len).saturating_sub(TAG);
        let entity = items.first().and_then(|item| read_transmission(&session, item).ok()).map(|r| r.entity);
        let entity = entity.unwrap_or_default();
        let item = Item { bytes: plain, ids: Some((corr.as_bytes(), entity.as_bytes())), place: (0, 1) };
        let more = [("padded_len", json!(padded)), ("inner_version", json!(session.layout.version))];
        let written = Written { conn, dir: "inner-recv", at: self.at(), text };
        self.tape.item(&written, None, &item, &more);
    }
}
