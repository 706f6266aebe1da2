//! Forwarded commands: what a client sends through a proxy, and what a proxy sends to a relay.

use sxlab_protocol::crypto::boxes;
use sxlab_protocol::crypto::keys::{X25519Public, X25519Secret};
use sxlab_protocol::smp::forward;
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::{Session, content, read_transmission, unpack};
use sxlab_protocol::wire::{CorrId, put_short};

use super::comparing::describe;
use super::driving::Replay;
use super::recording::{Content, Direction, Step};
use super::sending::{Forward, Inner, Side, forward_head, odd_layer, rebuild, rfwd, seal_inner};
use super::{Mismatch, equal};

/// The correlation id and key of a client layer of which nothing was recorded.
const CLIENT_CORR: [u8; 24] = [7; 24];
const CLIENT_KEY: [u8; 32] = [9; 32];

impl Replay<'_> {
    /// The version inside a forward: the recorded one, or ours where it was the flow's.
    fn version_inside(&self, recorded: u16) -> u16 {
        if recorded == self.flow.version { self.version } else { recorded }
    }

    /// The session between the proxy and the relay, with the layouts of the version inside.
    fn inside(&self, recorded: &Side, ours: &Side, version: u16) -> (Side, Side) {
        let of = |side: &Side, version| {
            let session = Session { id: side.session.id.clone(), layout: Layout::of(version) };
            Side { session, ..side.clone() }
        };
        (of(recorded, version), of(ours, self.version_inside(version)))
    }

    pub(super) fn pfwd_item(
        &mut self,
        at: usize,
        step: &Step,
        recorded: &Side,
        ours: &Side,
        corr: &CorrId,
    ) -> Result<Vec<u8>, Mismatch> {
        let (head, _) = step.bytes().ok_or("a transmission without bytes")?;
        let mut head = head.to_vec();
        // The recorded head may end inside the client's key; what is not used below may be anything.
        head.resize(step.length(), 0x5a);
        let received = read_transmission(&recorded.session, &head)?;
        let version = received.command.get(5..7).and_then(|v| v.first_chunk().copied());
        let version = version.map_or(0, u16::from_be_bytes);
        let inner = self.flow.from(at + 1).iter().take(4).find(|inner| {
            inner.dir == Direction::InnerSend
                && inner.conn == step.conn
                && inner.text.contains("above")
                && inner.corr == step.corr
        });
        let Some(inner) = inner else {
            return Ok(rebuild(self.flow, &self.known.names, &head, recorded, ours, ""));
        };
        let relay = self.known.names.ours(received.entity.as_bytes());
        let router_key = self.relays.get(&relay).copied().or(self.relays.values().next().copied());
        let session = |id, version| Session { id, layout: Layout::of(version) };
        let theirs = Side {
            session: session(received.entity.as_bytes().to_vec(), version),
            router_key: None,
            secret: None,
            service: None,
        };
        let version = self.version_inside(version);
        let own = Side { session: session(relay, version), router_key, secret: None, service: None };
        let inner = Inner { step: inner, recorded: theirs, ours: own };
        let (key, sealed, forward) = seal_inner(self.flow, &self.known.names, &inner, corr)
            .ok_or("an inner content that was not recorded in full")?;
        self.forwards.insert((step.conn.clone(), corr.clone()), forward);
        let command =
            [b"PFWD ".as_slice(), &forward_head(version, &key.spki()).ok_or("a long key")?, &sealed].concat();
        let before = head.len().saturating_sub(received.command.len());
        let empty =
            rebuild(self.flow, &self.known.names, head.get(..before).unwrap_or_default(), recorded, ours, "");
        Ok([empty, command].concat())
    }

    #[expect(clippy::too_many_arguments, reason = "a step and both sides")]
    pub(super) fn rfwd_item(
        &mut self,
        at: usize,
        step: &Step,
        recorded: &Side,
        ours: &Side,
        corr: &CorrId,
        sealed: &[u8],
        complete: bool,
    ) -> Result<Vec<u8>, Mismatch> {
        let what = step.text.as_str();
        if complete {
            let nonce = boxes::nonce_from_corr(corr);
            let plain = recorded.secret.as_ref().and_then(|secret| boxes::open(secret, &nonce, sealed).ok());
            return match plain {
                Some(plain) => {
                    rfwd(ours, corr, &self.known.names.ours(&plain)).ok_or_else(|| "no secret".into())
                }
                None => {
                    let (item, _) = step.bytes().ok_or("no bytes")?;
                    Ok(rebuild(self.flow, &self.known.names, item, recorded, ours, what))
                }
            };
        }
        let version = what
            .split("inner version ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .unwrap_or(self.flow.version);
        let (recorded_inside, ours_inside) = self.inside(recorded, ours, version);
        let shown = self.flow.before(at).last();
        let shown = shown.filter(|step| step.text.starts_with("inner block for the next RFWD"));
        let (client_corr, key, sealed, forward) = match shown {
            Some(shown) => {
                let client_corr = CorrId::new(shown.corr.as_deref().unwrap_or_default())?;
                let inner = Inner { step: shown, recorded: recorded_inside, ours: ours_inside };
                let (key, sealed, forward) = seal_inner(self.flow, &self.known.names, &inner, &client_corr)
                    .ok_or("an inner content that was not recorded in full")?;
                (client_corr, key, sealed, forward)
            }
            None => {
                let mut answers = self.flow.from(at + 1).iter().take(2);
                let answer = answers.find(|step| step.dir == Direction::InnerReceive);
                let client_corr = answer.and_then(|answer| answer.corr.clone());
                let client_corr = CorrId::new(&client_corr.unwrap_or(CLIENT_CORR.to_vec()))?;
                let own = X25519Secret::from_bytes(CLIENT_KEY);
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
        let version = forward.ours.session.layout.version;
        self.forwards.insert((step.conn.clone(), corr.clone()), forward);
        let mut plain = Vec::new();
        put_short(&mut plain, client_corr.as_bytes())?;
        plain.extend(forward_head(version, &key.spki()).ok_or("a long key")?);
        plain.extend(sealed);
        rfwd(ours, corr, &plain).ok_or_else(|| "no secret".into())
    }

    /// An unsigned SEND to the recorded queue, encrypted for the relay.
    fn good_send(
        &self,
        own: &X25519Secret,
        router: &X25519Public,
        corr: &CorrId,
        session: &Session,
    ) -> Result<Vec<u8>, Mismatch> {
        let sender = self.flow.names.get("Q.sndId").ok_or("no queue to send to")?;
        let mut item = vec![0];
        if session.layout.session_id_on_wire {
            put_short(&mut item, &session.id)?;
        }
        put_short(&mut item, corr.as_bytes())?;
        put_short(&mut item, &self.known.names.ours(sender))?;
        item.extend_from_slice(b"SEND F x");
        let plain = content([item.as_slice()].into_iter()).map_err(|e| Mismatch::said(e.to_string()))?;
        let nonce = boxes::nonce_from_corr(corr);
        Ok(boxes::seal_padded(&own.dh(router), &nonce, &plain, forward::FORWARD_SIZE)?)
    }

    /// The content of the answer to the connection's last forward.
    pub(super) fn inner(&mut self, step: &Step) -> Result<(), Mismatch> {
        let (forward, sealed) = self.sealed.get(&step.conn).ok_or("no answer of a forward")?;
        if step.text.starts_with("RRES decrypted") {
            let length = 1 + forward.corr.as_bytes().len() + sealed.len();
            return equal("length", length, step.length());
        }
        equal("padded", Some(sealed.len().saturating_sub(boxes::TAG)), step.padded)?;
        let nonce = boxes::reversed(boxes::nonce_from_corr(&forward.corr));
        let plain = boxes::open_padded(&forward.secret, &nonce, sealed)?;
        let (recorded, session) = (forward.recorded.session.clone(), forward.ours.session.clone());
        let items = unpack(&plain)?;
        let (theirs, _) = step.bytes().ok_or("no bytes")?;
        let theirs = unpack(theirs)?;
        equal("number of answers inside", items.len(), theirs.len())?;
        for (item, theirs) in items.iter().zip(theirs) {
            let step = Step { content: Content::Whole(theirs.to_vec()), ..step.clone() };
            let result = self.known.compare(self.flow, &step, item, &recorded, &session);
            result.map_err(|e| {
                let shown = describe(item, &session, &self.known.names);
                Mismatch::said(format!("inside: {e}; got {shown}"))
            })?;
        }
        Ok(())
    }
}
