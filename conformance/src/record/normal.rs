//! A recording without what is random: each answer and event as fields that two correct routers give alike.
//!
//! Random values get names after where they came up first, as `recipient of A 3`: the id in the answer to A's third
//! request. [`crate::replay::rules`] says how each field is treated.

use std::collections::BTreeMap;

use sxlab_protocol::crypto::boxes::{TAG, nonce_from_msg, open_padded};
use sxlab_protocol::crypto::keys::{SharedSecret, X25519Public};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{Received, Session, read_transmission, unpack};

use crate::replay::comparing::{summary, tag};
use crate::replay::recording::{Direction, Flow, Step};

/// What an entry is, for finding its counterpart in another recording.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The router's part of a handshake.
    Handshake,
    /// The answer to a request, by its number in its connection.
    Answer(usize),
    /// What was inside the answer to a forward.
    Inside(usize),
    /// An unsolicited transmission of an entity.
    Event(String),
    /// The connection's end, silence, a line that went wrong.
    Remark,
}

/// One thing that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The step's number, from 0.
    pub step: usize,
    /// The connection.
    pub conn: String,
    /// What it is.
    pub kind: Kind,
    /// What was asked, in words.
    pub asked: String,
    /// Its fields.
    pub fields: Vec<(&'static str, String)>,
}

struct Request {
    number: usize,
    text: String,
    entity: Vec<u8>,
    command: Option<Command>,
}

struct Normal<'a> {
    flow: &'a Flow,
    versions: BTreeMap<String, u16>,
    counts: BTreeMap<String, usize>,
    requests: BTreeMap<(String, Vec<u8>), Request>,
    symbols: BTreeMap<Vec<u8>, String>,
    secrets: BTreeMap<Vec<u8>, SharedSecret>,
    messages: BTreeMap<String, usize>,
}

/// What came in a recorded flow, in order.
#[must_use]
pub fn normal(flow: &Flow) -> Vec<Entry> {
    let mut normal = Normal {
        flow,
        versions: BTreeMap::new(),
        counts: BTreeMap::new(),
        requests: BTreeMap::new(),
        symbols: BTreeMap::new(),
        secrets: BTreeMap::new(),
        messages: BTreeMap::new(),
    };
    // The first time for names only: a notification may come before the message that it is of.
    for (at, step) in flow.steps.iter().enumerate() {
        let _ = normal.step(at, step);
    }
    normal.counts.clear();
    normal.versions.clear();
    flow.steps.iter().enumerate().filter_map(|(at, step)| normal.step(at, step)).collect()
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

impl Normal<'_> {
    fn session(&self, conn: &str) -> Session {
        let version = self.versions.get(conn).copied().unwrap_or(self.flow.version);
        let id = self.flow.sessions.get(conn).map(|session| session.id.clone()).unwrap_or_default();
        Session { id, layout: Layout::of(version) }
    }

    fn step(&mut self, at: usize, step: &Step) -> Option<Entry> {
        let conn = step.conn.clone();
        let entry = |kind, asked: String, fields| {
            Some(Entry { step: at, conn: step.conn.clone(), kind, asked, fields })
        };
        match step.dir {
            Direction::Send if step.plain => {
                let version = step.bytes().and_then(|(bytes, _)| bytes.first_chunk().copied());
                self.versions.insert(conn, version.map_or(self.flow.version, u16::from_be_bytes));
                None
            }
            Direction::Send => {
                self.sent(step);
                None
            }
            Direction::Receive if step.plain => {
                let text = step.text.split(" id ").next().unwrap_or_default();
                // The service's id is random.
                let text = if step.text.starts_with("third") { text } else { &step.text };
                entry(Kind::Handshake, "a connection".to_owned(), vec![("hello", text.to_owned())])
            }
            Direction::Receive => self.received(at, step),
            Direction::InnerReceive => self.inside(at, step),
            Direction::Close if step.text == "closed by us" => None,
            Direction::Close => entry(
                Kind::Remark,
                "the connection".to_owned(),
                vec![("end", "closed by the router".to_owned())],
            ),
            Direction::Note if step.conn != "operator" => {
                entry(Kind::Remark, "the connection".to_owned(), vec![("remark", step.text.clone())])
            }
            Direction::Note | Direction::InnerSend => None,
        }
    }

    fn sent(&mut self, step: &Step) {
        let number = self.counts.entry(step.conn.clone()).or_default();
        *number += 1;
        let number = *number;
        let Some((bytes, _)) = step.bytes() else { return };
        let session = self.session(&step.conn);
        let received = read_transmission(&session, bytes).ok();
        let command = received.as_ref().and_then(|r| Command::decode(&r.command, &session.layout).ok());
        let entity = received.map(|r| r.entity.as_bytes().to_vec()).unwrap_or_default();
        let corr = step.corr.clone().unwrap_or_default();
        self.requests
            .insert((step.conn.clone(), corr), Request { number, text: step.text.clone(), entity, command });
    }

    /// A random value's name, which it gets now if it has none.
    fn symbol(&mut self, id: &[u8], what: &str) -> String {
        if id.is_empty() {
            return "none".to_owned();
        }
        self.symbols.entry(id.to_vec()).or_insert_with(|| what.to_owned()).clone()
    }

    fn known(&self, id: &[u8]) -> String {
        if id.is_empty() {
            return "none".to_owned();
        }
        self.symbols.get(id).cloned().unwrap_or_else(|| hex::encode(id))
    }

    fn secret(&mut self, id: &[u8], own: Option<&X25519Public>, theirs: &X25519Public) {
        if let Some(secret) = own.and_then(|own| self.flow.secret_of(own)) {
            self.secrets.insert(id.to_vec(), secret.dh(theirs));
        }
    }

    fn received(&mut self, at: usize, step: &Step) -> Option<Entry> {
        let session = self.session(&step.conn);
        let (bytes, complete) = step.bytes()?;
        let received = read_transmission(&session, bytes).ok()?;
        let corr = step.corr.clone().unwrap_or_default();
        let request = self.requests.get(&(step.conn.clone(), corr));
        let (number, asked, entity_asked, command) = match request {
            Some(request) => {
                (Some(request.number), request.text.clone(), request.entity.clone(), request.command.clone())
            }
            None => (None, "nothing".to_owned(), Vec::new(), None),
        };
        let label = format!("{} {}", step.conn, number.unwrap_or_default());
        let mut fields = Vec::new();
        if step.of.is_some_and(|of| of != 1) {
            fields.push(("items in the block", step.of.unwrap_or(1).to_string()));
            if number.is_some() {
                fields.push(("place in the block", step.item.to_string()));
            }
        }
        self.fields(&received, &session, complete, step, (&label, command.as_ref()), &mut fields);
        let entity = received.entity.as_bytes();
        let same = number.is_some() && entity == entity_asked;
        let name = if same { "as asked".to_owned() } else { self.known(entity) };
        fields.insert(0, ("entity", name.clone()));
        let kind = match number {
            Some(number) => Kind::Answer(number),
            None => Kind::Event(name),
        };
        Some(Entry { step: at, conn: step.conn.clone(), kind, asked, fields })
    }

    /// The content of a relay's answer.
    fn inside(&mut self, at: usize, step: &Step) -> Option<Entry> {
        let (bytes, _) = step.bytes()?;
        let version = step.inner_version.unwrap_or(self.flow.version);
        let corr = step.corr.clone().unwrap_or_default();
        let request = self.requests.get(&(step.conn.clone(), corr))?;
        let (number, asked) = (request.number, request.text.clone());
        let session = Session { id: Vec::new(), layout: Layout::of(version) };
        let mut fields = Vec::new();
        let items = unpack(bytes).ok()?;
        fields.push(("answers inside", items.len().to_string()));
        fields.push(("padded", step.padded.unwrap_or_default().to_string()));
        for item in items {
            let received = read_transmission(&session, item).ok()?;
            let label = format!("{} {number} inside", step.conn);
            self.fields(&received, &session, true, step, (&label, None), &mut fields);
        }
        Some(Entry { step: at, conn: step.conn.clone(), kind: Kind::Inside(number), asked, fields })
    }

    fn message(&mut self, id: &[u8], entity: &[u8]) -> String {
        if let Some(known) = self.symbols.get(id) {
            return known.clone();
        }
        let queue = self.known(entity);
        let count = self.messages.entry(queue.clone()).or_default();
        *count += 1;
        let name = format!("message {count} of {queue}");
        self.symbol(id, &name)
    }

    fn fields(
        &mut self,
        received: &Received,
        session: &Session,
        complete: bool,
        step: &Step,
        (label, command): (&str, Option<&Command>),
        fields: &mut Vec<(&'static str, String)>,
    ) {
        let Ok(response) = Response::decode(&received.command, &session.layout) else {
            fields.push(("tag", tag(&received.command)));
            fields.push(("bytes", shown(&received.command)));
            return;
        };
        let entity = received.entity.as_bytes().to_vec();
        let of = |what: &str| format!("{what} of {label}");
        match &response {
            Response::Err(_) | Response::Rname(_) => {
                fields.push(("answer", summary(&response)));
                fields.push(("bytes", shown(&received.command)));
                return;
            }
            Response::Info(json) => {
                fields.push(("tag", "INFO".to_owned()));
                fields.push(("state", self.state(json)));
                return;
            }
            response => fields.push(("tag", response.tag().to_owned())),
        }
        match response {
            Response::Ids(ids) => {
                let (own, own_notifier) = match command {
                    Some(Command::New(new)) => {
                        (Some(new.dh_key), new.notifier.as_ref().map(|keys| keys.dh_key))
                    }
                    _ => (None, None),
                };
                self.secret(ids.recipient.as_bytes(), own.as_ref(), &ids.dh_key);
                fields.push(("recipient", self.symbol(ids.recipient.as_bytes(), &of("recipient"))));
                fields.push(("sender", self.symbol(ids.sender.as_bytes(), &of("sender"))));
                fields.push(("mode", format!("{:?}", ids.mode)));
                let link = ids.link.as_ref().map(|id| self.symbol(id.as_bytes(), &of("link")));
                fields.push(("link", link.unwrap_or_else(|| "none".to_owned())));
                let service = ids.service.as_ref().map(|id| self.symbol(id.as_bytes(), "service"));
                fields.push(("service", service.unwrap_or_else(|| "none".to_owned())));
                let notifier = ids.notifier.as_ref().map(|ids| {
                    self.secret(ids.id.as_bytes(), own_notifier.as_ref(), &ids.dh_key);
                    self.symbol(ids.id.as_bytes(), &of("notifier"))
                });
                fields.push(("notifier", notifier.unwrap_or_else(|| "none".to_owned())));
            }
            Response::Nid(ids) => {
                let own = match command {
                    Some(Command::NKey(keys)) => Some(keys.dh_key),
                    _ => None,
                };
                self.secret(ids.id.as_bytes(), own.as_ref(), &ids.dh_key);
                fields.push(("notifier", self.symbol(ids.id.as_bytes(), &of("notifier"))));
            }
            Response::Lnk { sender, data } => {
                fields.push(("sender", self.known(sender.as_bytes())));
                fields.push(("fixed", shown(&data.fixed)));
                fields.push(("user", shown(&data.user)));
            }
            Response::Sok { service } => {
                let service = service.map(|id| self.symbol(id.as_bytes(), "service"));
                fields.push(("service", service.unwrap_or_else(|| "none".to_owned())));
            }
            Response::Soks(queues) | Response::Ends(queues) => {
                fields.push(("count", queues.count.to_string()));
                fields.push(("hash", if queues.hash == [0; 16] { "zero" } else { "some" }.to_owned()));
            }
            Response::Msg { id, body } => {
                fields.push(("message", self.message(id.as_bytes(), &entity)));
                let secret = self.secrets.get(&entity).filter(|_| complete);
                let plain = secret.and_then(|secret| open_padded(secret, &nonce_from_msg(&id), &body).ok());
                let padded = if complete { Some(body.len().saturating_sub(TAG)) } else { None };
                self.body(plain, padded, step, fields);
            }
            Response::Nmsg { nonce, meta } => {
                let secret = self.secrets.get(&entity);
                let plain = secret.and_then(|secret| open_padded(secret, &nonce, &meta).ok());
                let recorded = || step.body.as_ref().map(|body| body.plain.clone());
                match plain.or_else(recorded) {
                    Some(plain) => {
                        // A length byte, the message's id, the time.
                        let id = plain.get(1..25).unwrap_or_default().to_vec();
                        fields.push(("message", self.known(&id)));
                        fields.push(("length of the notification", plain.len().to_string()));
                    }
                    None => fields.push(("meta", "does not decrypt".to_owned())),
                }
                fields.push(("length of the encrypted notification", meta.len().to_string()));
            }
            Response::Pkey { session, versions, chain, .. } => {
                fields.push(("session", self.symbol(session.as_bytes(), &of("session"))));
                fields.push(("versions", format!("{}-{}", versions.min, versions.max)));
                fields.push(("certificates", chain.ders.len().to_string()));
            }
            Response::Pres { sealed } | Response::Rres { sealed } if complete => {
                fields.push(("length of the sealed answer", sealed.len().to_string()));
            }
            _ => {}
        }
    }

    fn body(
        &mut self,
        plain: Option<Vec<u8>>,
        padded: Option<usize>,
        step: &Step,
        fields: &mut Vec<(&'static str, String)>,
    ) {
        let recorded = step.body.as_ref();
        let padded = padded.or(recorded.and_then(|body| body.padded));
        fields.push(("padded body", padded.unwrap_or_default().to_string()));
        let Some(plain) = plain.or_else(|| recorded.map(|body| body.plain.clone())) else {
            fields.push(("body", "does not decrypt".to_owned()));
            return;
        };
        fields.push(("length of the body", recorded.map_or(plain.len(), |body| body.length).to_string()));
        // A time, then what the sender wrote; of a quota marker the time comes after the word.
        let part = if plain.starts_with(b"QUOTA ") { plain.get(..6) } else { plain.get(8..) };
        let part = part.unwrap_or(&plain);
        fields.push(("body", shown(part.get(..64).unwrap_or(part))));
    }

    /// A queue's state without its time, message ids by name.
    fn state(&self, json: &str) -> String {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let mut text = json.to_owned();
        for (id, name) in &self.symbols {
            text = text.replace(&STANDARD.encode(id), name);
        }
        let time = serde_json::from_str::<serde_json::Value>(json).ok();
        let time = time.as_ref().and_then(|json| json.pointer("/qiMsg/msgTs")?.as_str());
        time.map_or(text.clone(), |time| text.replace(time, "time"))
    }
}
