//! A client's recorded transmissions, made again for our session: ids replaced, encoded for our version, authorized
//! again with the recorded key.

use sxlab_protocol::crypto::authenticator;
use sxlab_protocol::crypto::boxes::{self, nonce_from_corr};
use sxlab_protocol::crypto::keys::{
    AuthPublicKey, AuthSecretKey, Ed25519Secret, SharedSecret, X25519Public, X25519Secret,
};
use sxlab_protocol::smp::command::{Command, LinkData};
use sxlab_protocol::transport::{
    Authorization, Received, Session, Unsigned, authorize, content, pack_one, read_transmission,
    text_for_service, unpack,
};
use sxlab_protocol::wire::{CorrId, EntityId, LinkId, pad, put_opt, put_short, put_u16};

use super::names::Names;
use super::recording::{Direction, Flow, Step};

/// What one end of a session knows, recorded or ours.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) session: Session,
    /// The router's session key.
    pub(crate) router_key: Option<X25519Public>,
    /// Shared by the client's and the router's session keys.
    pub(crate) secret: Option<SharedSecret>,
    /// What the client signs with as a service.
    pub(crate) service: Option<SideService>,
}

/// A service at one end of a session.
#[derive(Clone, Debug)]
pub(crate) struct SideService {
    /// Of some recorded services it is not known.
    pub(crate) fingerprint: Option<[u8; 32]>,
    pub(crate) key: Ed25519Secret,
}

impl Side {
    /// What a queue's key authorizes beside a service's signature, where that is known.
    fn text_for_service(&self, text: &[u8]) -> Option<Vec<u8>> {
        Some(text_for_service(self.service.as_ref()?.fingerprint.as_ref()?, text))
    }
}

fn make(key: &AuthSecretKey, side: &Side, corr: &CorrId, text: &[u8]) -> Option<Vec<u8>> {
    Some(match key {
        AuthSecretKey::Ed25519(key) => key.sign(text).to_vec(),
        AuthSecretKey::Ed448(key) => key.sign(text).to_vec(),
        AuthSecretKey::X25519(key) => {
            let secret = key.dh(side.router_key.as_ref()?);
            authenticator::make(&secret, &nonce_from_corr(corr), text).to_vec()
        }
    })
}

/// The key that a recorded transmission was authorized with beside a service's signature, and whether it authorized what
/// it has to. Of a service whose certificate is not known, the key is assumed to be the one that the command or the
/// entity's name tells.
fn key_beside_service<'a>(
    flow: &'a Flow,
    side: &Side,
    received: &Received,
) -> Option<(&'a AuthSecretKey, bool)> {
    received.service_signature?;
    let service = side.service.as_ref()?;
    if service.fingerprint.is_none() {
        let named = received.command.strip_prefix(b"NEW ");
        let in_command = flow.keys.values().find(|key| {
            named.is_some_and(|named| {
                named.get(1..).is_some_and(|spki| spki.starts_with(&key.public().spki()))
            })
        });
        let entity = flow.names.iter().find(|(_, id)| *id == received.entity.as_bytes());
        let name = entity.and_then(|(name, _)| match name.split_once('.')? {
            (notifier, "notifierId") => Some(format!("{notifier}.ntfAuth")),
            (queue, "rcvId") => Some(format!("{queue}.rcvAuth")),
            _ => None,
        });
        return Some((in_command.or(name.and_then(|name| flow.keys.get(&name)))?, true));
    }
    let present = received.authorization.as_ref()?.as_bytes();
    let texts = [(side.text_for_service(&received.text)?, true), (received.text.clone(), false)];
    texts.into_iter().find_map(|(text, right)| {
        let made =
            |key: &&AuthSecretKey| make(key, side, &received.corr, &text).is_some_and(|m| m == present);
        Some((flow.keys.values().find(made)?, right))
    })
}

/// Whether a recorded transmission has a service signature that holds.
fn signed_by_service<'a>(side: &'a Side, received: &Received) -> Option<&'a SideService> {
    let (signature, service) = received.service_signature.zip(side.service.as_ref())?;
    service.key.public().verify(&received.text, &signature).then_some(service)
}

/// The key that a recorded transmission was authorized with. Authenticators for a router whose key was not recorded
/// are assumed to be right: made with the key that belongs to the entity, unless the step says otherwise.
fn key_of<'a>(flow: &'a Flow, side: &Side, received: &Received, what: &str) -> Option<&'a AuthSecretKey> {
    let present = received.authorization.as_ref().filter(|a| !a.is_none())?;
    if matches!(present, Authorization::Authenticator(_)) && side.router_key.is_none() {
        let entity = flow.names.iter().find(|(_, id)| *id == received.entity.as_bytes());
        let name = match entity?.0.split_once('.')? {
            (queue, "rcvId") => format!("{queue}.rcvAuth"),
            _ => "snd".to_owned(),
        };
        let named = received.command.strip_prefix(b"SKEY ").or(received.command.strip_prefix(b"LKEY "));
        let by_command = flow.keys.values().find(|key| {
            named.is_some_and(|spki| spki.split_first().is_some_and(|(_, spki)| spki == key.public().spki()))
        });
        return by_command.or(flow.keys.get(&name)).filter(|_| !what.contains("wrong"));
    }
    flow.keys.values().find(|key| match (key, present) {
        (AuthSecretKey::Ed25519(key), Authorization::Ed25519(a)) => key.public().verify(&received.text, a),
        (AuthSecretKey::Ed448(_), Authorization::Ed448(a)) => {
            make(key, side, &received.corr, &received.text).is_some_and(|made| made == a)
        }
        (AuthSecretKey::X25519(_), Authorization::Authenticator(a)) => {
            make(key, side, &received.corr, &received.text).is_some_and(|made| made == a)
        }
        _ => false,
    })
}

/// A recorded transmission for our session. One that was garbage stays the same garbage.
pub(super) fn rebuild(
    flow: &Flow,
    names: &Names,
    item: &[u8],
    recorded: &Side,
    ours: &Side,
    what: &str,
) -> Vec<u8> {
    let Ok(received) = read_transmission(&recorded.session, item) else { return names.ours(item) };
    if recorded.session.layout != ours.session.layout
        && let Some(item) = other_version(flow, names, item, recorded, ours, what)
    {
        return item;
    }
    let layout = &recorded.session.layout;
    let inside = if layout.session_id_on_wire { 0 } else { 1 + recorded.session.id.len() };
    let tail = received.text.get(inside..).unwrap_or_default();
    let (head, _) = item.split_at(item.len().saturating_sub(tail.len()));
    let tail = names.ours(tail);
    let mut text = Vec::new();
    if !layout.session_id_on_wire && put_short(&mut text, &ours.session.id).is_err() {
        return [head, &tail].concat();
    }
    text.extend_from_slice(&tail);
    let mut head = head.to_vec();
    // The signature is what the head ends in.
    if let Some(service) = signed_by_service(recorded, &received)
        && let Some(place) = head.last_chunk_mut::<SIGNATURE>()
    {
        *place = service.key.sign(&text);
    }
    let key = match key_beside_service(flow, recorded, &received) {
        Some((key, true)) => {
            text = ours.text_for_service(&text).unwrap_or(text);
            Some(key)
        }
        Some((key, false)) => Some(key),
        None => key_of(flow, recorded, &received, what),
    };
    // The authorization comes after its length.
    if let Some(made) = key.and_then(|key| make(key, ours, &received.corr, &text))
        && let Some(place) = head.get_mut(1..1 + made.len())
    {
        place.copy_from_slice(&made);
    }
    [head, tail].concat()
}

/// The same where our session has another version than the recorded one: a command that is one is encoded for it.
fn other_version(
    flow: &Flow,
    names: &Names,
    item: &[u8],
    recorded: &Side,
    ours: &Side,
    what: &str,
) -> Option<Vec<u8>> {
    let received = &read_transmission(&recorded.session, item).ok()?;
    let command = match Command::decode(&received.command, &recorded.session.layout) {
        Ok(mut command) => {
            if let Command::Send { body, .. } = &mut command {
                as_near_to_limit(body, recorded, ours);
            }
            let mut encoded = Vec::new();
            command.encode(&ours.session.layout, &mut encoded).ok()?;
            encoded
        }
        Err(_) => received.command.clone(),
    };
    let key = key_beside_service(flow, recorded, received);
    let key = key.or(key_of(flow, recorded, received, what).map(|key| (key, false)));
    let signs = signed_by_service(recorded, received).is_some();
    with_command(names, item, received, names.ours(&command), ours, key, signs)
}

/// A body that has the largest size of its version, or exceeds it, does so by as much at ours.
fn as_near_to_limit(body: &mut Vec<u8>, recorded: &Side, ours: &Side) {
    let [theirs, limit] = [recorded, ours].map(|side| side.session.layout.message_limit);
    if let Some(excess) = body.len().checked_sub(theirs) {
        let fill = body.last().copied().unwrap_or_default();
        body.resize(limit + excess, fill);
    }
}

/// The key that a recorded transmission was authorized with, by its bytes.
pub(super) fn recorded_key<'a>(flow: &'a Flow, side: &Side, item: &[u8]) -> Option<&'a AuthSecretKey> {
    key_of(flow, side, &read_transmission(&side.session, item).ok()?, "")
}

/// A recorded transmission with another command, authorized with `key` (and whether for a service as well); an
/// authorization that nobody's key made stays as it was in `item`, of whatever length. `signs` is whether a service signs.
pub(super) fn with_command(
    names: &Names,
    item: &[u8],
    received: &Received,
    command: Vec<u8>,
    ours: &Side,
    key: Option<(&AuthSecretKey, bool)>,
    signs: bool,
) -> Option<Vec<u8>> {
    let entity = EntityId::new(&names.ours(received.entity.as_bytes())).ok()?;
    let unsigned = Unsigned { corr: received.corr.clone(), entity, command };
    let plain = authorize(&ours.session, &unsigned, None, None).ok()?;
    let tail = plain.get(1..)?;
    let layout = &ours.session.layout;
    let mut text = Vec::new();
    if !layout.session_id_on_wire {
        put_short(&mut text, &ours.session.id).ok()?;
    }
    text.extend_from_slice(tail);
    let authorization = match key {
        Some((key, true)) => make(key, ours, &received.corr, &ours.text_for_service(&text)?)?,
        Some((key, false)) => make(key, ours, &received.corr, &text)?,
        None => {
            let (length, rest) = item.split_first()?;
            rest.get(..usize::from(*length))?.to_vec()
        }
    };
    let signature = match &ours.service {
        Some(service) if signs => Some(service.key.sign(&text)),
        _ => received.service_signature,
    };
    let mut out = Vec::new();
    put_short(&mut out, &authorization).ok()?;
    if layout.service_signature && !authorization.is_empty() {
        put_opt(&mut out, signature, |out, signature| put_short(out, &signature)).ok()?;
    }
    out.extend_from_slice(tail);
    Some(out)
}

/// The key of the last command before `step` that succeeded for the same entity.
fn last_key<'a>(flow: &'a Flow, step: &Step, side: &Side) -> Option<&'a AuthSecretKey> {
    let before = flow.steps.iter().take_while(|before| before.corr != step.corr);
    let good = |sent: &&Step| {
        let mut answered = flow.steps.iter().filter(|answer| answer.corr == sent.corr);
        sent.dir == Direction::Send
            && sent.entity == step.entity
            && answered.all(|answer| !answer.text.starts_with("ERR"))
    };
    let sent = before.filter(good).last()?;
    let received = read_transmission(&side.session, sent.bytes()?.0).ok()?;
    key_of(flow, side, &received, "")
}

/// The recorded bytes of a step in full. Long ones were kept by their hash: a SEND of one repeated byte is found by it.
pub(super) fn full_item(flow: &Flow, step: &Step, side: &Side) -> Option<Vec<u8>> {
    let (head, complete) = step.bytes()?;
    if complete {
        return Some(head.to_vec());
    }
    let length = step.length();
    let corr = CorrId::new(step.corr.as_ref()?).ok()?;
    let entity = EntityId::new(&flow.id_of(&step.entity)?).ok()?;
    let make = |command: &[u8], key| {
        let (corr, entity) = (corr.clone(), entity.clone());
        let unsigned = Unsigned { corr, entity, command: command.to_vec() };
        authorize(&side.session, &unsigned, key, side.router_key.as_ref()).ok()
    };
    let keys = flow.keys.values().filter(|key| {
        step.auth
            == match key {
                AuthSecretKey::Ed25519(_) => "ed25519",
                AuthSecretKey::Ed448(_) => "ed448",
                AuthSecretKey::X25519(_) => "x25519",
            }
    });
    if let Some(sizes) = step.text.strip_prefix("LSET sizes ") {
        let (fixed, user) = sizes.split(' ').next()?.split_once('/')?;
        let (fixed, user) = (vec![b'f'; fixed.parse().ok()?], vec![b'u'; user.parse().ok()?]);
        let links = flow.steps.iter().filter(|step| step.text.starts_with("LGET"));
        let mut ids = links.filter_map(|step| flow.id_of(&step.entity));
        return ids.find_map(|id| {
            let (link, data) =
                (LinkId::new(&id).ok()?, LinkData { fixed: fixed.clone(), user: user.clone() });
            let mut command = Vec::new();
            Command::LSet { link, data }.encode(&side.session.layout, &mut command).ok()?;
            keys.clone().find_map(|key| make(&command, Some(key)).filter(|item| step.is_recorded(item)))
        });
    }
    if step.text == "RKEY of 255 keys" {
        // Only the first and the last key were kept; no other is used.
        let other = AuthPublicKey::from(Ed25519Secret::from_seed([5; 32]).public());
        let (first, last) = (flow.keys.get("m0")?.public(), flow.keys.get("m254")?.public());
        let new = std::iter::once(first).chain(vec![other; 253]).chain([last]).collect();
        let mut command = Vec::new();
        Command::RKey(new).encode(&side.session.layout, &mut command).ok()?;
        let item = make(&command, last_key(flow, step, side))?;
        return (item.len() == length).then_some(item);
    }
    let keys: Vec<_> = if step.auth.is_empty() { vec![None] } else { keys.map(Some).collect() };
    for key in keys {
        for fill in [b'-', b'x', b'a', b'0', b'm', b'.', 0] {
            for start in [b"SEND F ", b"SEND T "] {
                let Some(empty) = make(start, key) else { continue };
                let body = vec![fill; length.checked_sub(empty.len())?];
                let item = make(&[start.as_slice(), &body].concat(), key)?;
                if step.is_recorded(&item) {
                    return Some(item);
                }
            }
        }
    }
    None
}

/// A forwarded command as it is passed on: what is needed to make it and to read its answer.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    /// Between the client's key for this command and the relay's session key.
    pub(crate) secret: SharedSecret,
    pub(super) corr: CorrId,
    pub(super) recorded: Side,
    pub(super) ours: Side,
}

/// What a client forwarded, as it stands in the recording.
pub(super) struct Inner<'a> {
    /// The step that shows the inner content.
    pub(super) step: &'a Step,
    pub(super) recorded: Side,
    pub(super) ours: Side,
}

/// The bytes of a service's signature.
const SIGNATURE: usize = 64;

/// The padded content that a client encrypts for the relay, in bytes.
const INNER: usize = 16226;

/// The inner content of a forward, encrypted for our relay, with the client's public key.
pub(super) fn seal_inner(
    flow: &Flow,
    names: &Names,
    inner: &Inner<'_>,
    corr: &CorrId,
) -> Option<(X25519Public, Vec<u8>, Forward)> {
    let own = inner.step.forward_key.as_ref()?;
    let secret = own.dh(inner.ours.router_key.as_ref()?);
    let what = inner.step.text.as_str();
    let one = |item: &[u8]| rebuild(flow, names, item, &inner.recorded, &inner.ours, what);
    let plain = match inner.step.bytes()? {
        (plain, true) => match unpack(plain) {
            Ok(items) => {
                let items: Vec<_> = items.into_iter().map(one).collect();
                content(items.iter().map(Vec::as_slice)).ok()?
            }
            Err(_) => with_tail(plain, one).unwrap_or_else(|| names.ours(plain)),
        },
        (head, false) => {
            let item = long_inner(flow, inner, head, inner.step.length())?;
            pack_one(&one(&item)).ok()?
        }
    };
    let sealed = boxes::seal_padded(&secret, &nonce_from_corr(corr), &plain, INNER).ok()?;
    let (recorded, ours) = (inner.recorded.clone(), inner.ours.clone());
    Some((own.public(), sealed, Forward { secret, corr: corr.clone(), recorded, ours }))
}

/// A transmission, then a tail that belongs to no batch.
fn with_tail(plain: &[u8], one: impl Fn(&[u8]) -> Vec<u8>) -> Option<Vec<u8>> {
    let ([1, high, low], rest) = plain.split_first_chunk()? else { return None };
    let (item, tail) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
    Some([&[1, *high, *low], one(item).as_slice(), tail].concat())
}

/// A long inner SEND: its authorization is in the recorded head, its body is one byte repeated.
fn long_inner(flow: &Flow, inner: &Inner<'_>, head: &[u8], length: usize) -> Option<Vec<u8>> {
    let entity = flow.names.get("Q.sndId")?;
    let authorization = usize::from(*head.get(3)?);
    let service = usize::from(inner.recorded.session.layout.service_signature && authorization > 0);
    let mut item = head.get(3..4 + authorization + service)?.to_vec();
    put_short(&mut item, inner.step.corr.as_ref()?).ok()?;
    put_short(&mut item, entity).ok()?;
    item.extend_from_slice(b"SEND F ");
    let fills = [b'-', b'x', b'p', b'a', b'm', b'.', b'0', 0].into_iter();
    fills.chain(0..=255).find_map(|fill| {
        let mut item = item.clone();
        item.resize(length.checked_sub(3)?, fill);
        let whole = pack_one(&item).ok()?;
        inner.step.is_recorded(&whole).then_some(item)
    })
}

/// PFWD's or RFWD's part before the sealed command.
pub(super) fn forward_head(version: u16, key: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    put_u16(&mut out, version);
    put_short(&mut out, key).ok()?;
    Some(out)
}

/// An RFWD as we are the proxy. `plain` is what the session's secret encrypts.
pub(super) fn rfwd(side: &Side, corr: &CorrId, plain: &[u8]) -> Option<Vec<u8>> {
    let sealed = boxes::seal(side.secret.as_ref()?, &nonce_from_corr(corr), plain);
    let command = [b"RFWD ".as_slice(), &sealed].concat();
    let unsigned = Unsigned { corr: corr.clone(), entity: EntityId::EMPTY, command };
    authorize(&side.session, &unsigned, None, None).ok()
}

/// Client layers that were recorded by their hash only, made again from what their step says.
pub(super) fn odd_layer(
    own: &X25519Secret,
    router: &X25519Public,
    corr: &CorrId,
    what: &str,
) -> Option<Vec<u8>> {
    let secret = own.dh(router);
    let nonce = nonce_from_corr(corr);
    let ping = [&[0, 1, b'a', 0], b"PING".as_slice()].concat();
    Some(match what {
        what if what.contains("undecryptable") => vec![b'y'; INNER + boxes::TAG],
        what if what.contains("two items") => {
            let plain = content([ping.as_slice(), &ping].into_iter()).ok()?;
            boxes::seal_padded(&secret, &nonce, &plain, INNER).ok()?
        }
        what if what.contains("garbage") => {
            boxes::seal(&secret, &nonce, &pad(b"\xff\xfegarbage", INNER).ok()?)
        }
        what if what.contains("bad padding") => boxes::seal(&secret, &nonce, &[0xff; INNER]),
        _ => return None,
    })
}
