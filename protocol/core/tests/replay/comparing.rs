//! A received transmission against the recorded one.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sxlab_protocol::crypto::boxes::{nonce_from_msg, open_padded};
use sxlab_protocol::crypto::hash::md5;
use sxlab_protocol::crypto::keys::{SharedSecret, X25519Secret};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::response::{NotifierIds, Response};
use sxlab_protocol::transport::{Authorization, Received, Session, read_transmission, write_response};
use sxlab_protocol::wire::{CorrId, EntityId};

use crate::names::Names;
use crate::recorded::{bytes, text};
use crate::recording::{Flow, content_of, is_recorded, number};

/// What a comparison needs to know, and learns.
#[derive(Default)]
pub struct Knowledge {
    pub names: Names,
    /// Commands sent, by connection and correlation id: NEW and NKEY make secrets.
    pub sent: BTreeMap<(String, Vec<u8>), Command>,
    /// Decrypt the messages of our queues, by recipient id.
    messages: BTreeMap<EntityId, SharedSecret>,
    /// Decrypt the notifications of our queues, by notifier id.
    notifications: BTreeMap<EntityId, SharedSecret>,
    /// Messages by the transcript's name for them.
    called: BTreeMap<String, Vec<u8>>,
}

/// A transmission as a line of a difference.
pub fn describe(item: &[u8], session: &Session, names: &Names) -> String {
    let Ok(received) = read_transmission(session, item) else {
        return format!("unreadable: {}", hex::encode(&item[..item.len().min(40)]));
    };
    let what = match Response::decode(&received.command, &session.layout) {
        Ok(Response::Err(error)) => format!("ERR {error}"),
        Ok(Response::Info(json)) => format!("INFO {json}"),
        Ok(response) => format!("{} ({} bytes)", response.tag(), received.command.len()),
        Err(error) => format!("undecodable ({error}): {}", String::from_utf8_lossy(&received.command)),
    };
    let corr = hex::encode(received.corr.as_bytes());
    let entity = names.symbol(&names.recorded(received.entity.as_bytes()));
    format!("{what} corr={} entity={entity}", corr.get(..8).unwrap_or(&corr))
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("{what} is {got:?}, {expected:?} expected")) }
}

/// A long transmission from the step's fields, with as much of its command as its recorded head holds.
fn from_head(flow: &Flow, step: &Value, head: &[u8], session: &Session) -> Result<Received, String> {
    let id = |field: &str| match flow.names.get(text(step, field)) {
        Some(id) => Ok(id.clone()),
        None => hex::decode(text(step, field)).map_err(|e| e.to_string()),
    };
    let corr = CorrId::new(&id("corr_id")?).map_err(|e| e.to_string())?;
    let entity = EntityId::new(&id("entity")?).map_err(|e| e.to_string())?;
    let mut before =
        write_response(session, corr.clone(), entity.clone(), Vec::new()).map_err(|e| e.to_string())?;
    let common = before.len().min(head.len());
    if before[..common] != head[..common] {
        return Err("the recorded head does not begin as its step says".to_owned());
    }
    let mut command = head[common..].to_vec();
    let tag = text(step, "text").split(' ').next().unwrap_or_default();
    if command.len() <= tag.len() {
        command = tag.as_bytes().to_vec();
    }
    let authorization = Some(Authorization::None);
    let text = before.split_off(1);
    Ok(Received { authorization, service_signature: None, right_session: true, corr, entity, command, text })
}

fn tag(command: &[u8]) -> &[u8] {
    command.split(|byte| *byte == b' ').next().unwrap_or_default()
}

impl Knowledge {
    /// Compares our transmission with the recorded one of `step`, whose session was `recorded`.
    pub fn compare(
        &mut self,
        flow: &Flow,
        step: &Value,
        item: &[u8],
        recorded: &Session,
        session: &Session,
    ) -> Result<(), String> {
        let (head, complete) = content_of(step).ok_or("the step has no bytes")?;
        let theirs = match read_transmission(recorded, &head) {
            // Some heads end inside an id or the tag.
            Ok(received) if complete || received.command.contains(&b' ') => received,
            Err(e) if complete => return Err(format!("recorded bytes: {e}")),
            _ => from_head(flow, step, &head, recorded)?,
        };
        let ours = read_transmission(session, item).map_err(|e| format!("not a transmission: {e}"))?;
        if !ours.right_session {
            return Err("another session's id inside".to_owned());
        }
        equal("authorization", &ours.authorization, &theirs.authorization)?;
        equal("correlation id", &ours.corr, &theirs.corr)?;
        equal(
            "tag",
            String::from_utf8_lossy(tag(&ours.command)),
            String::from_utf8_lossy(tag(&theirs.command)),
        )?;
        let masked = self.learn(flow, step, &theirs, &ours, complete, recorded, session)?;
        // What was learned may be the entity.
        let entity = self.names.ours(theirs.entity.as_bytes());
        equal(
            "entity",
            self.names.symbol(&self.names.recorded(ours.entity.as_bytes())),
            self.names.symbol(&self.names.recorded(&entity)),
        )?;
        let length = if complete { head.len() } else { number(step, "len") as usize };
        if tag(&theirs.command) == b"PKEY" || tag(&theirs.command) == b"INFO" {
            // Certificates have the length of whoever made them, INFO that of its times.
            return Ok(());
        }
        equal("length", item.len(), length)?;
        let again = self.names.recorded(item);
        let same = (complete && again == head) || is_recorded(step, &again);
        if !masked && !same {
            let got = self.names.recorded(&ours.command);
            return Err(format!(
                "command is {:?}, {:?} expected",
                String::from_utf8_lossy(&got),
                String::from_utf8_lossy(&theirs.command)
            ));
        }
        Ok(())
    }

    /// Compares what is random and remembers it; whether there is ciphertext, so that bytes differ.
    #[expect(clippy::too_many_arguments, reason = "both sides of everything")]
    fn learn(
        &mut self,
        flow: &Flow,
        step: &Value,
        theirs: &Received,
        ours: &Received,
        complete: bool,
        recorded: &Session,
        session: &Session,
    ) -> Result<bool, String> {
        let decode = |command: &[u8], session: &Session| {
            Response::decode(command, &session.layout).map_err(|e| format!("a response that {e}"))
        };
        let sent = self.sent.get(&(text(step, "conn").to_owned(), ours.corr.as_bytes().to_vec())).cloned();
        match decode(&ours.command, session)? {
            Response::Msg { id, body } => {
                let name = text(step, "text").split("id=").nth(1).and_then(|rest| rest.split(' ').next());
                if let Some(name) = name {
                    let before = self.called.insert(name.to_owned(), id.as_bytes().to_vec());
                    if before.is_some_and(|before| before != id.as_bytes()) {
                        return Err(format!("{name} is another message than before"));
                    }
                }
                let shown = theirs.command.get(5..).unwrap_or_default();
                match shown.get(..24) {
                    Some(known) => self.names.learn_id(known, id.as_bytes())?,
                    None => self.names.learn_partial(theirs.entity.as_bytes(), shown, id.as_bytes()),
                }
                if let Some(plain) = step["body"]["decrypted"].as_str() {
                    let secret = self.messages.get(&ours.entity).ok_or("a message of an unknown queue")?;
                    let got = open_padded(secret, &nonce_from_msg(&id), &body).map_err(|e| e.to_string())?;
                    equal(
                        "padded body",
                        body.len() - 16,
                        number(&step["body"], "decrypted_padded_len") as usize,
                    )?;
                    same_body(&got, plain)?;
                }
                Ok(true)
            }
            Response::Ids(got) => {
                let Response::Ids(expected) = decode(&theirs.command, recorded)? else {
                    return Err("not IDS".to_owned());
                };
                let Some(Command::New(new)) = sent else { return Err("IDS without NEW".to_owned()) };
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
                    return Err("not NID".to_owned());
                };
                let own = match sent {
                    Some(Command::NKey(keys)) => flow.secret_of(&keys.dh_key),
                    _ => None,
                };
                self.learn_notifier(&expected, &got, own)?;
                Ok(false)
            }
            Response::Nmsg { nonce, meta } => {
                if let Some(plain) = step["body"]["decrypted"].as_str() {
                    let plain = hex::decode(plain).map_err(|e| e.to_string())?;
                    let secret = self.notifications.get(&ours.entity).ok_or("an unknown notifier")?;
                    let got = open_padded(secret, &nonce, &meta).map_err(|e| e.to_string())?;
                    equal("length of the notification", got.len(), plain.len())?;
                    // A length byte, the message's id, the time.
                    self.names.learn_id(&plain[1..25], &got[1..25])?;
                    equal("encrypted notification", meta.len(), number(&step["body"], "meta_len") as usize)?;
                }
                Ok(true)
            }
            Response::Pkey { session: got, versions, chain, .. } => {
                // PKEY, a space, a length byte, the session id, two versions, the number of certificates.
                let rest = theirs.command.get(6..).unwrap_or_default();
                let (expected, rest) = rest.split_at_checked(got.as_bytes().len()).ok_or("a short PKEY")?;
                self.names.learn(expected, got.as_bytes())?;
                let (min, max) = (versions.min.to_be_bytes(), versions.max.to_be_bytes());
                let shown = [&min, max.as_slice(), &[chain.ders.len() as u8]].concat();
                equal(
                    "versions and number of certificates",
                    &shown[..],
                    &rest[..shown.len().min(rest.len())],
                )?;
                Ok(true)
            }
            Response::Info(got) => {
                let Response::Info(expected) = decode(&theirs.command, recorded)? else {
                    return Err("not INFO".to_owned());
                };
                self.same_info(&got, &expected)?;
                Ok(true)
            }
            Response::Soks(got) | Response::Ends(got) => {
                let (Response::Soks(expected) | Response::Ends(expected)) =
                    decode(&theirs.command, recorded)?
                else {
                    return Err("not SOKS or ENDS".to_owned());
                };
                equal("count", got.count, expected.count)?;
                if session.layout.service_hash {
                    let queues = self.hashed(flow, &expected.hash).ok_or("a hash of no queues")?;
                    equal("number of queues in the hash", got.count, queues.len() as i64)?;
                    equal("hash", got.hash, hash_of(&queues))?;
                    self.names.learn(&expected.hash, &got.hash)?;
                }
                Ok(false)
            }
            Response::Rres { .. } | Response::Pres { .. } => Ok(true),
            // Long answers were recorded by their hash.
            _ => Ok(!complete && step["sha256"].is_null()),
        }
    }

    /// The recipient ids of all queues made.
    pub fn queues(&self) -> Vec<EntityId> {
        self.messages.keys().cloned().collect()
    }

    /// Notes a queue that was made without a step of its own, by the name that other steps may use for it.
    pub fn made(
        &mut self,
        flow: &Flow,
        name: &str,
        queue: &EntityId,
        secret: SharedSecret,
    ) -> Result<(), String> {
        self.messages.insert(queue.clone(), secret);
        match flow.names.get(name) {
            Some(recorded) => self.names.learn(recorded, queue.as_bytes()),
            None => Ok(()),
        }
    }

    /// Our ids of the queues or notifiers whose ids, as recorded, have this hash.
    fn hashed(&self, flow: &Flow, hash: &[u8; 16]) -> Option<Vec<Vec<u8>>> {
        let of_queues = |name: &str| name.ends_with(".rcvId") || name.ends_with(".notifierId");
        let ids: Vec<_> =
            flow.names.iter().filter(|(name, _)| of_queues(name)).map(|(_, id)| id.clone()).collect();
        let chosen = |which: u32| {
            let ids = ids.iter().enumerate().filter(move |(at, _)| which >> at & 1 == 1);
            ids.map(|(_, id)| id.clone()).collect::<Vec<_>>()
        };
        let found = (0..1 << ids.len()).map(chosen).find(|chosen| hash_of(chosen) == *hash)?;
        Some(found.iter().map(|id| self.names.ours(id)).collect())
    }

    fn learn_notifier(
        &mut self,
        expected: &NotifierIds,
        got: &NotifierIds,
        own: Option<&X25519Secret>,
    ) -> Result<(), String> {
        self.names.learn(expected.id.as_bytes(), got.id.as_bytes())?;
        self.names.learn(expected.dh_key.as_bytes(), got.dh_key.as_bytes())?;
        let own = own.ok_or("a notifier with an unknown key")?;
        self.notifications.insert(got.id.clone(), own.dh(&got.dh_key));
        Ok(())
    }

    /// INFO's texts, their order included, without the time and with message ids as they are called.
    fn same_info(&mut self, got: &str, expected: &str) -> Result<(), String> {
        let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(|e| e.to_string());
        let (ours, theirs) = (parse(got)?, parse(expected)?);
        for (ours, theirs) in [
            (&ours["qiSub"]["qDelivered"], &theirs["qiSub"]["qDelivered"]),
            (&ours["qiMsg"]["msgId"], &theirs["qiMsg"]["msgId"]),
        ] {
            if let (Some(ours), Some(theirs)) = (ours.as_str(), theirs.as_str()) {
                let decode = |text: &str| STANDARD.decode(text).map_err(|e| e.to_string());
                self.names.learn_id(&decode(theirs)?, &decode(ours)?)?;
            }
        }
        let mut masked = String::from_utf8_lossy(&self.names.recorded(got.as_bytes())).into_owned();
        if let (Some(ours), Some(theirs)) =
            (ours["qiMsg"]["msgTs"].as_str(), theirs["qiMsg"]["msgTs"].as_str())
        {
            masked = masked.replace(ours, theirs);
        }
        equal("state", masked.as_str(), expected)
    }
}

/// The XOR of the MD5 of ids.
fn hash_of(ids: &[Vec<u8>]) -> [u8; 16] {
    ids.iter().fold([0; 16], |hash, id| {
        let one = md5(id);
        std::array::from_fn(|at| hash[at] ^ one[at])
    })
}

/// A decrypted body against the recorded one in hex, which may end in its length; times are not compared.
fn same_body(got: &[u8], recorded: &str) -> Result<(), String> {
    let (hex, length) = match recorded.split_once("..(") {
        Some((hex, rest)) => (hex, rest.split(' ').next().and_then(|n| n.parse().ok())),
        None => (recorded, Some(recorded.len() / 2)),
    };
    equal("length of the body", Some(got.len()), length)?;
    let expected = bytes(&Value::from(hex));
    let shown = &got[..expected.len().min(got.len())];
    let quota = b"QUOTA ";
    if expected.starts_with(quota) {
        return equal("quota marker", &shown[..6.min(shown.len())], quota);
    }
    equal("body", shown.get(8..).unwrap_or_default(), &expected[8..])
}
