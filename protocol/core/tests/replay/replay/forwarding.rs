//! Forwarded commands: what a client sends through a proxy, and what a proxy sends to a relay.

use serde_json::Value;
use sxlab_protocol::crypto::boxes;
use sxlab_protocol::crypto::keys::{X25519Public, X25519Secret};
use sxlab_protocol::smp::forward;
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{SUPPORTED, Session, content, read_transmission, unpack};
use sxlab_protocol::wire::{CorrId, VersionRange, put_short};

use super::Replay;
use crate::comparing::describe;
use crate::recorded::{bytes, text};
use crate::recording::{content_of, number};
use crate::sending::{Forward, Inner, Side, forward_head, odd_layer, rebuild, rfwd, seal_inner};

impl Replay<'_> {
    /// Where a proxy's connection leads, by the words of the step: addresses name ports of the recording machine.
    pub(super) fn dial_to(&mut self, what: &str, identity: &[u8]) {
        let range = |min, max| VersionRange { min, max };
        let nowhere = ["closed port", "does not resolve", "XFTP", "wrong key hash"];
        self.routers.dial_to = match what {
            _ if nowhere.iter().any(|place| what.contains(place)) => None,
            _ if what.contains("range 6..7") => Some(self.site_of(identity, range(6, 7), "")),
            _ if what.contains("range 6..12") => Some(self.site_of(identity, range(6, 12), "")),
            _ => Some(self.site_of(identity, SUPPORTED, "")),
        };
    }

    /// The session between the proxy and the relay, with the layouts of the version inside.
    fn inside(recorded: &Side, ours: &Side, version: u16) -> (Side, Side) {
        let of = |side: &Side| {
            let session = Session { id: side.session.id.clone(), layout: Layout::of(version) };
            Side { session, ..side.clone() }
        };
        (of(recorded), of(ours))
    }

    pub(super) fn pfwd_item(
        &mut self,
        at: usize,
        step: &Value,
        conn: &str,
        recorded: &Side,
        ours: &Side,
        corr: &CorrId,
    ) -> Result<Vec<u8>, String> {
        let (mut head, complete) = content_of(step).ok_or("a transmission without bytes")?;
        if !complete {
            // The recorded head ends inside the client's key; what is not used below may be anything.
            head.resize(number(step, "len") as usize, 0x5a);
        }
        let received = read_transmission(&recorded.session, &head).map_err(|e| e.to_string())?;
        let version =
            received.command.get(5..7).and_then(|v| v.try_into().ok()).map_or(0, u16::from_be_bytes);
        let inner = self.flow.steps[at + 1..].iter().take(4).find(|inner| {
            text(inner, "dir") == "inner-send"
                && inner["conn"] == step["conn"]
                && text(inner, "text").contains("above")
                && CorrId::new(&bytes(&step["corr_id"])).is_ok_and(|c| inner_corr(inner) == Some(c))
        });
        let Some(inner) = inner else {
            return Ok(rebuild(self.flow, &self.known.names, &head, recorded, ours, ""));
        };
        let relay = self.known.names.ours(received.entity.as_bytes());
        let router_key = self.relays.get(&relay).copied().or(self.relays.values().next().copied());
        let theirs = Side {
            session: Session { id: received.entity.as_bytes().to_vec(), layout: Layout::of(version) },
            router_key: None,
            secret: None,
            service: None,
        };
        let own = Side {
            session: Session { id: relay, layout: Layout::of(version) },
            router_key,
            secret: None,
            service: None,
        };
        let inner = Inner { step: inner, recorded: theirs, ours: own };
        let (key, sealed, forward) = seal_inner(self.flow, &self.known.names, &inner, corr)
            .ok_or("an inner content that was not recorded in full")?;
        self.forwards.insert((conn.to_owned(), corr.clone()), forward);
        let command = [b"PFWD ".as_slice(), &forward_head(version, &key.spki()), &sealed].concat();
        let inside = received.command.len();
        let before = &head[..head.len() - inside];
        Ok([self.known.names.ours(before), command].concat())
    }

    #[expect(clippy::too_many_arguments, reason = "a step and both sides")]
    pub(super) fn rfwd_item(
        &mut self,
        at: usize,
        step: &Value,
        conn: &str,
        recorded: &Side,
        ours: &Side,
        corr: &CorrId,
        command: &[u8],
        complete: bool,
    ) -> Result<Vec<u8>, String> {
        let what = text(step, "text");
        if complete {
            let nonce = boxes::nonce_from_corr(corr);
            let plain =
                recorded.secret.as_ref().and_then(|secret| boxes::open(secret, &nonce, &command[5..]).ok());
            return match plain {
                Some(plain) => {
                    rfwd(ours, corr, &self.known.names.ours(&plain)).ok_or_else(|| "no secret".to_owned())
                }
                None => {
                    let (item, _) = content_of(step).ok_or("no bytes")?;
                    Ok(rebuild(self.flow, &self.known.names, &item, recorded, ours, what))
                }
            };
        }
        let version = what
            .split("inner version ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .unwrap_or(self.flow.version);
        let (recorded_inside, ours_inside) = Self::inside(recorded, ours, version);
        let before = at.checked_sub(1).map(|before| &self.flow.steps[before]);
        let shown = before.filter(|step| text(step, "text").starts_with("inner block for the next RFWD"));
        let (client_corr, key, sealed, forward) = match shown {
            Some(shown) => {
                let client_corr = CorrId::new(&bytes(&shown["corr_id"])).map_err(|e| e.to_string())?;
                let inner = Inner { step: shown, recorded: recorded_inside, ours: ours_inside };
                let (key, sealed, forward) = seal_inner(self.flow, &self.known.names, &inner, &client_corr)
                    .ok_or("an inner content that was not recorded in full")?;
                (client_corr, key, sealed, forward)
            }
            None => {
                let answer =
                    self.flow.steps[at + 1..].iter().take(2).find(|s| text(s, "dir") == "inner-recv");
                let client_corr = answer.map_or(vec![7; 24], |answer| bytes(&answer["corr_id"]));
                let client_corr = CorrId::new(&client_corr).map_err(|e| e.to_string())?;
                let own = X25519Secret::from_bytes([9; 32]);
                let router = ours.router_key.as_ref().ok_or("no router key")?;
                let sealed = match odd_layer(&own, router, &client_corr, what) {
                    Some(sealed) => sealed,
                    None => self.good_send(&own, router, &client_corr, &ours_inside.session)?,
                };
                let (secret, corr) = (own.dh(router), client_corr.clone());
                let forward = Forward { secret, corr, recorded: recorded_inside, ours: ours_inside };
                (client_corr, own.public(), sealed, forward)
            }
        };
        self.forwards.insert((conn.to_owned(), corr.clone()), forward);
        let mut plain = Vec::new();
        put_short(&mut plain, client_corr.as_bytes()).map_err(|e| e.to_string())?;
        plain.extend(forward_head(version, &key.spki()));
        plain.extend(sealed);
        rfwd(ours, corr, &plain).ok_or_else(|| "no secret".to_owned())
    }

    /// An unsigned SEND to the recorded queue, encrypted for the relay.
    fn good_send(
        &self,
        own: &X25519Secret,
        router: &X25519Public,
        corr: &CorrId,
        session: &Session,
    ) -> Result<Vec<u8>, String> {
        let sender = self.flow.names.get("Q.sndId").ok_or("no queue to send to")?;
        let mut item = vec![0];
        if session.layout.session_id_on_wire {
            put_short(&mut item, &session.id).map_err(|e| e.to_string())?;
        }
        put_short(&mut item, corr.as_bytes()).map_err(|e| e.to_string())?;
        put_short(&mut item, &self.known.names.ours(sender)).map_err(|e| e.to_string())?;
        item.extend_from_slice(b"SEND F x");
        let plain = content([item.as_slice()].into_iter()).map_err(|e| e.to_string())?;
        let nonce = boxes::nonce_from_corr(corr);
        boxes::seal_padded(&own.dh(router), &nonce, &plain, forward::FORWARD_SIZE).map_err(|e| e.to_string())
    }

    /// The content of the answer to the connection's last forward.
    pub(super) fn inner(&mut self, step: &Value) -> Result<(), String> {
        let (forward, sealed) = self.sealed.get(text(step, "conn")).ok_or("no answer of a forward")?;
        if text(step, "text").starts_with("RRES decrypted") {
            let length = 1 + forward.corr.as_bytes().len() + sealed.len();
            let expected = number(step, "len") as usize;
            return if length == expected {
                Ok(())
            } else {
                Err(format!("{length} bytes, {expected} expected"))
            };
        }
        let padded = sealed.len() - boxes::TAG;
        if padded as u64 != number(step, "padded_len") {
            return Err(format!("padded to {padded}"));
        }
        let nonce = boxes::reversed(boxes::nonce_from_corr(&forward.corr));
        let plain = boxes::open_padded(&forward.secret, &nonce, sealed).map_err(|e| e.to_string())?;
        let (recorded, session) = (forward.recorded.session.clone(), forward.ours.session.clone());
        let items = unpack(&plain).map_err(|e| e.to_string())?;
        let (theirs, _) = content_of(step).ok_or("no bytes")?;
        let theirs = unpack(&theirs).map_err(|e| e.to_string())?;
        if items.len() != theirs.len() {
            return Err(format!("{} answers inside, {} expected", items.len(), theirs.len()));
        }
        for (item, theirs) in items.iter().zip(theirs) {
            let mut step = step.clone();
            step["hex"] = Value::from(hex::encode(theirs));
            let result = self.known.compare(self.flow, &step, item, &recorded, &session);
            result.map_err(|e| format!("{e}; got {}", describe(item, &session, &self.known.names)))?;
        }
        Ok(())
    }
}

fn inner_corr(inner: &Value) -> Option<CorrId> {
    CorrId::new(&bytes(&inner["corr_id"])).ok()
}
