//! A received transmission against the recorded one.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sxlab_protocol::crypto::boxes::{TAG, nonce_from_msg, open_padded};
use sxlab_protocol::crypto::hash::md5;
use sxlab_protocol::crypto::keys::{SharedSecret, X25519Secret};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::response::{NotifierIds, Response};
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{Authorization, Received, Session, read_transmission, write_response};
use sxlab_protocol::wire::{CorrId, EntityId};

use super::names::Names;
use super::recording::{Body, Content, Flow, Step};
use super::rules::{self, Treatment};
use super::{Mismatch, equal};

/// The bytes of a message id.
const ID: usize = 24;

/// Queues of a flow among which those of a hash are looked for.
const MOST_HASHED: usize = 12;

/// What a comparison needs to know, and learns.
#[derive(Clone, Debug, Default)]
pub(super) struct Knowledge {
    pub(super) names: Names,
    /// Commands sent, by connection and correlation id: NEW and NKEY make secrets.
    pub(super) sent: BTreeMap<(String, Vec<u8>), Command>,
    /// Decrypt the messages of our queues, by recipient id.
    messages: BTreeMap<EntityId, SharedSecret>,
    /// Decrypt the notifications of our queues, by notifier id.
    notifications: BTreeMap<EntityId, SharedSecret>,
    /// Messages by the transcript's name for them.
    called: BTreeMap<String, Vec<u8>>,
}

/// A response in short: an error and a state in full, of others the tag.
pub(crate) fn summary(response: &Response) -> String {
    match response {
        Response::Err(error) => format!("ERR {error}"),
        Response::Info(json) => format!("INFO {json}"),
        response => response.tag().to_owned(),
    }
}

/// A transmission as a line of a difference.
pub(super) fn describe(item: &[u8], session: &Session, names: &Names) -> String {
    let Ok(received) = read_transmission(session, item) else {
        return format!("unreadable: {}", hex::encode(item.get(..40).unwrap_or(item)));
    };
    let what = match Response::decode(&received.command, &session.layout) {
        Ok(response) => summary(&response),
        Err(error) => format!("undecodable ({error}): {}", String::from_utf8_lossy(&received.command)),
    };
    let corr = hex::encode(received.corr.as_bytes());
    let entity = names.symbol(&names.recorded(received.entity.as_bytes()));
    format!("{what} corr={} entity={entity}", corr.get(..8).unwrap_or(&corr))
}

/// A long transmission from the step's fields, with as much of its command as its recorded head holds.
fn from_head(flow: &Flow, step: &Step, head: &[u8], session: &Session) -> Result<Received, Mismatch> {
    let corr = CorrId::new(step.corr.as_deref().unwrap_or_default())?;
    let entity = flow.id_of(&step.entity).ok_or("an entity without a name")?;
    let entity = EntityId::new(&entity)?;
    let before = write_response(session, corr.clone(), entity.clone(), Vec::new())?;
    let common = before.len().min(head.len());
    let (start, rest) = head.split_at_checked(common).ok_or("a short head")?;
    if before.get(..common) != Some(start) {
        return Err("the recorded head does not begin as its step says".into());
    }
    let mut command = rest.to_vec();
    let tag = step.text.split(' ').next().unwrap_or_default();
    if command.len() <= tag.len() {
        command = tag.as_bytes().to_vec();
    }
    let authorization = Some(Authorization::None);
    let text = before.get(1..).unwrap_or_default().to_vec();
    Ok(Received { authorization, service_signature: None, right_session: true, corr, entity, command, text })
}

pub(crate) fn tag(command: &[u8]) -> String {
    let tag = command.split(|byte| *byte == b' ').next().unwrap_or_default();
    String::from_utf8_lossy(tag).into_owned()
}

/// The recorded transmission of a step, and whether its command is complete.
pub(super) fn recorded_item(
    flow: &Flow,
    step: &Step,
    session: &Session,
) -> Result<(Received, bool), Mismatch> {
    let (head, complete) = step.bytes().ok_or("the step has no bytes")?;
    let received = match read_transmission(session, head) {
        // Some heads end inside an id or the tag.
        Ok(received) if complete || received.command.contains(&b' ') => received,
        Err(e) if complete => return Err(Mismatch::said(format!("recorded bytes: {e}"))),
        _ => from_head(flow, step, head, session)?,
    };
    Ok((received, complete))
}

/// The recorded response as a session of another version would get it.
fn translate(command: &[u8], recorded: &Session, ours: &Session) -> Option<Vec<u8>> {
    let response = Response::decode(command, &recorded.layout).ok()?;
    let mut out = Vec::new();
    response.encode(&ours.layout, &mut out).ok()?;
    Some(out)
}

impl Knowledge {
    /// Compares our transmission with the recorded one of `step`, whose session was `recorded`.
    pub(super) fn compare(
        &mut self,
        flow: &Flow,
        step: &Step,
        item: &[u8],
        recorded: &Session,
        session: &Session,
    ) -> Result<(), Mismatch> {
        let (mut theirs, complete) = recorded_item(flow, step, recorded)?;
        let mut length = step.length();
        let other = recorded.layout != session.layout;
        if other {
            let empty = |session| write_response(session, CorrId::EMPTY, EntityId::EMPTY, Vec::new());
            length = (length + empty(session)?.len()).saturating_sub(empty(recorded)?.len());
            if complete && let Some(command) = translate(&theirs.command, recorded, session) {
                length = (length + command.len()).saturating_sub(theirs.command.len());
                theirs.command = command;
            }
        }
        let ours = read_transmission(session, item)
            .map_err(|e| Mismatch::said(format!("not a transmission: {e}")))?;
        if !ours.right_session {
            return Err("another session's id inside".into());
        }
        equal("authorization", &ours.authorization, &theirs.authorization)?;
        equal("correlation id", &ours.corr, &theirs.corr)?;
        let (our_tag, their_tag) = (tag(&ours.command), tag(&theirs.command));
        equal("tag", &our_tag, &their_tag)?;
        let layout = if other && complete { session } else { recorded };
        let masked = self.learn(flow, step, &theirs, &ours, complete, layout, session)?;
        // What was learned may be the entity.
        let entity = self.names.ours(theirs.entity.as_bytes());
        equal(
            "entity",
            self.names.symbol(&self.names.recorded(ours.entity.as_bytes())),
            self.names.symbol(&self.names.recorded(&entity)),
        )?;
        if rules::is_of_any_length(&their_tag) {
            return Ok(());
        }
        equal("length", item.len(), length)?;
        if masked || rules::has(&their_tag, Treatment::Sealed) {
            return Ok(());
        }
        let again = self.names.recorded(&ours.command);
        let same = match &step.content {
            Content::Whole(_) => again == theirs.command,
            _ => other || step.is_recorded(&self.names.recorded(item)),
        };
        let shown = |command: &[u8]| command.escape_ascii().to_string();
        if same { Ok(()) } else { Err(Mismatch::of("command", shown(&again), shown(&theirs.command))) }
    }

    /// Compares what is random and remembers it; whether what was recorded is not enough to compare the rest.
    #[expect(clippy::too_many_arguments, reason = "both sides of everything")]
    fn learn(
        &mut self,
        flow: &Flow,
        step: &Step,
        theirs: &Received,
        ours: &Received,
        complete: bool,
        recorded: &Session,
        session: &Session,
    ) -> Result<bool, Mismatch> {
        let decode = |command: &[u8], session: &Session| {
            Response::decode(command, &session.layout)
                .map_err(|e| Mismatch::said(format!("a response that {e}")))
        };
        let sent = self.sent.get(&(step.conn.clone(), ours.corr.as_bytes().to_vec())).cloned();
        match decode(&ours.command, session)? {
            Response::Msg { id, body } => {
                let name = step.text.split("id=").nth(1).and_then(|rest| rest.split(' ').next());
                if let Some(name) = name {
                    let before = self.called.insert(name.to_owned(), id.as_bytes().to_vec());
                    if before.is_some_and(|before| before != id.as_bytes()) {
                        return Err(Mismatch::said(format!("{name} is another message than before")));
                    }
                }
                let shown = theirs.command.get(5..).unwrap_or_default();
                match shown.get(..ID) {
                    Some(known) => self.names.learn_id(known, id.as_bytes())?,
                    None => self.names.learn_partial(theirs.entity.as_bytes(), shown, id.as_bytes()),
                }
                if let Some(plain) = &step.body {
                    let secret = self.messages.get(&ours.entity).ok_or("a message of an unknown queue")?;
                    let got = open_padded(secret, &nonce_from_msg(&id), &body)?;
                    equal("padded body", Some(body.len().saturating_sub(TAG)), plain.padded)?;
                    same_body(&got, plain, at_limit(plain.length, &recorded.layout, &session.layout))?;
                }
                Ok(true)
            }
            Response::Ids(got) => {
                let Response::Ids(expected) = decode(&theirs.command, recorded)? else {
                    return Err("not IDS".into());
                };
                let Some(Command::New(new)) = sent else { return Err("IDS without NEW".into()) };
                let own = flow.secret_of(&new.dh_key).ok_or("a NEW with an unknown key")?;
                self.messages.insert(got.recipient.clone(), own.dh(&got.dh_key));
                self.names.learn(expected.recipient.as_bytes(), got.recipient.as_bytes())?;
                self.names.learn(expected.sender.as_bytes(), got.sender.as_bytes())?;
                self.names.learn(expected.dh_key.as_bytes(), got.dh_key.as_bytes())?;
                if let (Some(expected), Some(got)) = (&expected.link, &got.link) {
                    self.names.learn(expected.as_bytes(), got.as_bytes())?;
                }
                if let (Some(expected), Some(got)) = (&expected.service, &got.service) {
                    self.names.learn(expected.as_bytes(), got.as_bytes())?;
                }
                if let (Some(expected), Some(got)) = (&expected.notifier, &got.notifier) {
                    let own = new.notifier.as_ref().and_then(|keys| flow.secret_of(&keys.dh_key));
                    self.learn_notifier(expected, got, own)?;
                }
                Ok(false)
            }
            Response::Nid(got) => {
                let Response::Nid(expected) = decode(&theirs.command, recorded)? else {
                    return Err("not NID".into());
                };
                let own = match sent {
                    Some(Command::NKey(keys)) => flow.secret_of(&keys.dh_key),
                    _ => None,
                };
                self.learn_notifier(&expected, &got, own)?;
                Ok(false)
            }
            Response::Nmsg { nonce, meta } => {
                if let Some(Body { plain, length, meta: recorded, .. }) = &step.body {
                    let secret = self.notifications.get(&ours.entity).ok_or("an unknown notifier")?;
                    let got = open_padded(secret, &nonce, &meta)?;
                    equal("length of the notification", got.len(), *length)?;
                    // A length byte, the message's id, the time.
                    let id = |bytes: &[u8]| bytes.get(1..1 + ID).map(<[u8]>::to_vec);
                    let (theirs, ours) =
                        id(plain).zip(id(&got)).ok_or("a notification without a message id")?;
                    self.names.learn_id(&theirs, &ours)?;
                    equal("encrypted notification", Some(meta.len()), *recorded)?;
                }
                Ok(true)
            }
            Response::Pkey { session: got, versions, chain, .. } => {
                // PKEY, a space, a length byte, the session id, two versions, the number of certificates.
                let rest = theirs.command.get(6..).unwrap_or_default();
                let (expected, rest) = rest.split_at_checked(got.as_bytes().len()).ok_or("a short PKEY")?;
                self.names.learn(expected, got.as_bytes())?;
                let count = u8::try_from(chain.ders.len()).unwrap_or(u8::MAX);
                let shown = [versions.min.to_be_bytes(), versions.max.to_be_bytes()].concat();
                let shown = [shown, vec![count]].concat();
                let recorded = rest.get(..shown.len()).unwrap_or(rest);
                let common = shown.get(..recorded.len()).unwrap_or_default();
                equal("versions and number of certificates", common, recorded)?;
                Ok(true)
            }
            Response::Info(got) => {
                let Response::Info(expected) = decode(&theirs.command, recorded)? else {
                    return Err("not INFO".into());
                };
                self.same_info(&got, &expected)?;
                Ok(true)
            }
            Response::Soks(got) | Response::Ends(got) => {
                let (Response::Soks(expected) | Response::Ends(expected)) =
                    decode(&theirs.command, recorded)?
                else {
                    return Err("not SOKS or ENDS".into());
                };
                equal("count", got.count, expected.count)?;
                if session.layout.service_hash {
                    let queues = self.hashed(flow, &expected.hash).ok_or("a recorded hash of no queues")?;
                    equal("number of queues in the hash", got.count, queues.len() as i64)?;
                    equal("hash", got.hash, hash_of(&queues))?;
                    self.names.learn(&expected.hash, &got.hash)?;
                }
                Ok(false)
            }
            // Long answers were recorded by their hash.
            _ => Ok(!complete && matches!(step.content, Content::Head { sha256: None, .. })),
        }
    }

    /// The recipient ids of all queues made.
    pub(super) fn queues(&self) -> Vec<EntityId> {
        self.messages.keys().cloned().collect()
    }

    /// Notes a queue that was made without a step of its own, by the name that other steps may use for it.
    pub(super) fn made(
        &mut self,
        flow: &Flow,
        name: &str,
        queue: &EntityId,
        secret: SharedSecret,
    ) -> Result<(), Mismatch> {
        self.messages.insert(queue.clone(), secret);
        match flow.names.get(name) {
            Some(recorded) => self.names.learn(recorded, queue.as_bytes()),
            None => Ok(()),
        }
    }

    /// Our ids of the queues or notifiers whose ids, as recorded, have this hash.
    fn hashed(&self, flow: &Flow, hash: &[u8; 16]) -> Option<Vec<Vec<u8>>> {
        let of_queues = |name: &str| name.ends_with(".rcvId") || name.ends_with(".notifierId");
        let ids: Vec<_> = flow.names.iter().filter(|(name, _)| of_queues(name)).map(|(_, id)| id).collect();
        let chosen = |which: u32| {
            let ids = ids.iter().enumerate().filter(|(at, _)| which >> at & 1 == 1);
            ids.map(|(_, id)| id.to_vec()).collect::<Vec<_>>()
        };
        let all = 1_u32.checked_shl(u32::try_from(ids.len().min(MOST_HASHED)).ok()?)?;
        let found = (0..all).map(chosen).find(|chosen| hash_of(chosen) == *hash)?;
        Some(found.iter().map(|id| self.names.ours(id)).collect())
    }

    fn learn_notifier(
        &mut self,
        expected: &NotifierIds,
        got: &NotifierIds,
        own: Option<&X25519Secret>,
    ) -> Result<(), Mismatch> {
        self.names.learn(expected.id.as_bytes(), got.id.as_bytes())?;
        self.names.learn(expected.dh_key.as_bytes(), got.dh_key.as_bytes())?;
        let own = own.ok_or("a notifier with an unknown key")?;
        self.notifications.insert(got.id.clone(), own.dh(&got.dh_key));
        Ok(())
    }

    /// INFO's texts, their order included, without the time and with message ids as they are called.
    fn same_info(&mut self, got: &str, expected: &str) -> Result<(), Mismatch> {
        let parse = |text: &str| {
            serde_json::from_str::<Value>(text).map_err(|e| Mismatch::said(format!("a state that {e}")))
        };
        let (ours, theirs) = (parse(got)?, parse(expected)?);
        let text = |json: &Value, path: &str| json.pointer(path).and_then(Value::as_str).map(str::to_owned);
        for path in ["/qiSub/qDelivered", "/qiMsg/msgId"] {
            if let (Some(ours), Some(theirs)) = (text(&ours, path), text(&theirs, path)) {
                let decode = |text: &str| STANDARD.decode(text).map_err(|_| "an id that is no base64");
                self.names.learn_id(&decode(&theirs)?, &decode(&ours)?)?;
            }
        }
        let mut masked = String::from_utf8_lossy(&self.names.recorded(got.as_bytes())).into_owned();
        if let (Some(ours), Some(theirs)) = (text(&ours, "/qiMsg/msgTs"), text(&theirs, "/qiMsg/msgTs")) {
            masked = masked.replace(&ours, &theirs);
        }
        equal("state", masked.as_str(), expected)
    }
}

/// The XOR of the MD5 of ids.
fn hash_of(ids: &[Vec<u8>]) -> [u8; 16] {
    ids.iter().fold([0; 16], |mut hash, id| {
        for (all, one) in hash.iter_mut().zip(md5(id)) {
            *all ^= one;
        }
        hash
    })
}

/// A time, flags and a space before what was sent.
const BEFORE_SENT: usize = 10;

/// How long a decrypted body is at our version: what had the largest size at the recorded one was sent so large as it
/// may be.
fn at_limit(recorded: usize, theirs: &Layout, ours: &Layout) -> usize {
    let excess = recorded.checked_sub(BEFORE_SENT + theirs.message_limit);
    excess.map_or(recorded, |excess| BEFORE_SENT + ours.message_limit + excess)
}

/// A decrypted body of some length against the recorded one; times are not compared.
fn same_body(got: &[u8], recorded: &Body, length: usize) -> Result<(), Mismatch> {
    equal("length of the body", got.len(), length)?;
    let shown = |bytes: &[u8]| {
        // A time, then what the sender wrote; of a quota marker the time comes after the word.
        let part = if bytes.starts_with(b"QUOTA ") { bytes.get(..6) } else { bytes.get(8..) };
        part.unwrap_or(bytes).escape_ascii().to_string()
    };
    let common = got.get(..recorded.plain.len()).unwrap_or(got);
    equal("body", shown(common), shown(&recorded.plain))
}
