//! Services' hellos, of which the certificates were not recorded with their keys: others take their places.

use serde_json::Value;
use sxlab_protocol::crypto::certificate::SignedKey;
use sxlab_protocol::crypto::keys::{AuthSecretKey, Ed25519Secret};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{
    ClientHello, ServiceHello, ServiceReply, ServiceRole, ServiceSigner, read_transmission,
};
use sxlab_protocol::wire::unpad;

use super::{Connection, Replay};
use crate::certificates;
use crate::recorded::{bytes, text};
use crate::recording::Flow;

/// A connection of a service: what was recorded of it, with certificates of ours.
pub(super) struct Presented {
    /// What it presents in TLS.
    pub tls_chain: Vec<Vec<u8>>,
    letter: u8,
    hello: ServiceHello,
    key: Ed25519Secret,
}

/// What the connection presents, if it is a service's. Its hello says what it is in words; a note before it, what is wrong
/// with it.
pub(super) fn presented(flow: &Flow, conn: &str) -> Option<Presented> {
    let of_conn = |dir: &'static str| {
        flow.steps.iter().filter(move |step| text(step, "conn") == conn && text(step, "dir") == dir)
    };
    let note = of_conn("note").next().map(|step| text(step, "text")).unwrap_or_default();
    let hello = of_conn("send").find(|step| step["plain"] == true)?;
    let (_, what) = text(hello, "text").split_once("service role ")?;
    let (role, length) = what.split_once(" chain of ")?;
    let letter = *role.as_bytes().first()?;
    let Some(AuthSecretKey::Ed25519(key)) = flow.keys.get(&format!("{conn}.serviceSessionKey")) else {
        return None;
    };
    // The certificates of a flow are the same unless it says so.
    let own = note.contains("fresh") || note.contains("chain of");
    let seed = if own { conn.bytes().fold(7, |sum: u8, byte| sum.wrapping_mul(31) ^ byte) } else { 1 };
    let role = ServiceRole::of(letter).unwrap_or(ServiceRole::Messaging);
    let service = certificates::service(seed, role, length.parse().ok()?);
    let tls_chain = match note {
        _ if note.starts_with("no TLS") => Vec::new(),
        _ if note.starts_with("TLS client certificate of another") => {
            certificates::service(2, role, 1).chain.ders
        }
        _ => service.chain.ders.clone(),
    };
    let foreign = note.contains("signed by a foreign key");
    let signer = if foreign { Ed25519Secret::from_seed([99; 32]).into() } else { service.leaf.clone() };
    let hello = ServiceHello {
        role,
        chain: service.chain.clone(),
        signed_key: SignedKey::make(key.public(), signer),
    };
    Some(Presented { tls_chain, letter, hello, key: key.clone() })
}

impl Presented {
    /// The hello whose head was recorded, with our service's field.
    pub(super) fn hello(&self, head: &[u8], version: u16) -> Result<Vec<u8>, String> {
        // Version, identity, key, proxy flag: then the service's field.
        let plain = [head.get(..81).ok_or("a short hello")?, b"0"].concat();
        let plain = ClientHello::decode(&plain).map_err(|e| e.to_string())?;
        let hello = ClientHello { version, service: Some(Box::new(self.hello.clone())), ..plain };
        let mut bytes = hello.encode().map_err(|e| e.to_string())?;
        *bytes.get_mut(82).ok_or("a short hello")? = self.letter;
        Ok(bytes)
    }

    /// What signs in our session.
    pub(super) fn signer(&self) -> ServiceSigner {
        let fingerprint = self.hello.chain.identity().unwrap();
        ServiceSigner { fingerprint, key: self.key.clone() }
    }
}

impl Replay<'_> {
    /// The third block of a handshake.
    pub(super) fn service_reply(&mut self, step: &Value) -> Result<(), String> {
        let line = self.connection(step)?.line;
        let block = self.routers.take(line).ok_or("no third block")?;
        let decode = |content: &[u8]| ServiceReply::decode(content).map_err(|e| e.to_string());
        let content = unpad(&block).map_err(|e| e.to_string())?;
        let (got, expected) = (decode(content)?, decode(&bytes(&step["hex"]))?);
        match (&got, &expected) {
            (ServiceReply::Accepted(got), ServiceReply::Accepted(expected)) => {
                self.known.names.learn(expected.as_bytes(), got.as_bytes())
            }
            _ if got == expected => Ok(()),
            _ => Err(format!("got {got:?}")),
        }
    }

    /// The answers to SUBS, the messages that it sets free and ALLS come in any order (SV-13): whether a step is among them.
    pub(super) fn is_unordered(&self, step: &Value) -> bool {
        let tag = text(step, "text").split(' ').next().unwrap_or_default();
        let before = self.flow.steps.iter().take_while(|before| !std::ptr::eq(*before, step));
        let sent = before.filter(|s| text(s, "conn") == text(step, "conn") && text(s, "dir") == "send");
        ["SOKS", "MSG", "ALLS"].contains(&tag)
            && sent.last().is_some_and(|last| text(last, "text").starts_with("SUBS"))
    }

    /// Of the blocks that came on a connection, that of an unordered step.
    pub(super) fn pick(&mut self, step: &Value) -> Result<Vec<Vec<u8>>, String> {
        let conn = text(step, "conn");
        let line = self.connection(step)?.line;
        while self.routers.waiting(line) > 0 {
            let items = self.read_next(conn)?;
            self.connection(step)?.ahead.push_back(items);
        }
        let tag = text(step, "text").split(' ').next().unwrap_or_default();
        let entity = match text(step, "entity") {
            "" => Vec::new(),
            name => crate::sending::id_of(self.flow, name).ok_or("an unknown entity")?,
        };
        let entity = self.known.names.ours(&entity);
        let Connection { open, ahead, .. } = self.connection(step)?;
        let session = &open.as_ref().ok_or("no session")?.ours.session;
        let fits = |items: &Vec<Vec<u8>>| {
            let Some(Ok(received)) = items.first().map(|item| read_transmission(session, item)) else {
                return false;
            };
            let response = Response::decode(&received.command, &session.layout);
            received.entity.as_bytes() == entity && response.is_ok_and(|response| response.tag() == tag)
        };
        let at = ahead.iter().position(fits).ok_or("nothing of the kind came")?;
        ahead.remove(at).ok_or_else(String::new)
    }

    /// Which item of a block a step shows. Notifications have no order among notifiers.
    pub(super) fn place(&self, step: &Value, items: &[Vec<u8>]) -> usize {
        let place = step["item"].as_u64().unwrap_or_default() as usize;
        let Some(open) = self.connections.get(text(step, "conn")).and_then(|c| c.open.as_ref()) else {
            return place;
        };
        if !text(step, "text").starts_with("NMSG ") || items.len() < 2 {
            return place;
        }
        let same = |other: &&Value| {
            ["conn", "block", "dir", "entity"].iter().all(|field| other[*field] == step[*field])
                && other["item"].as_u64() < step["item"].as_u64()
        };
        let before = self.flow.steps.iter().filter(same).count();
        let entity = crate::sending::id_of(self.flow, text(step, "entity")).unwrap_or_default();
        let entity = self.known.names.ours(&entity);
        let of_entity = items.iter().enumerate().filter(|(_, item)| {
            read_transmission(&open.ours.session, item).is_ok_and(|r| r.entity.as_bytes() == entity)
        });
        of_entity.map(|(at, _)| at).nth(before).unwrap_or(place)
    }
}
