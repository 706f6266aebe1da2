//! Recorded flows: reading transcripts, in the form that `docs/recordings.md` describes.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::crypto::keys::{AuthSecretKey, Ed448Secret, Ed25519Secret, X25519Public, X25519Secret};
use sxlab_protocol::transport::SUPPORTED;
use sxlab_protocol::wire::VersionRange;

use crate::target::Settings;

const MILLISECOND: u64 = 1_000_000;
const SECOND: f64 = 1e9;

/// What is wrong with a recording: the key and what was found there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {what}")]
pub struct BadRecording {
    /// The key, as `steps[3].hex`; empty for the whole.
    pub key: String,
    /// What is wrong.
    pub what: String,
}

/// One recorded flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The flow's name.
    pub scenario: String,
    /// The version agreed.
    pub version: u16,
    /// The router's settings.
    pub settings: Settings,
    /// Settings that no target of ours can have, each with its value.
    pub unknown_settings: Vec<String>,
    /// Whether a second router takes part, as a relay.
    pub relay: bool,
    /// Whether it was made here, where the operator's steps come in their place.
    pub own: bool,
    /// What was recorded of each connection's session.
    pub sessions: BTreeMap<String, RecordedSession>,
    /// Symbolic names of ids.
    pub names: BTreeMap<String, Vec<u8>>,
    /// The client's keys.
    pub keys: BTreeMap<String, AuthSecretKey>,
    /// What happened, in order of time.
    pub steps: Vec<Step>,
    /// Sizes of blocks of which not all was recorded.
    pub sizes: Sizes,
    /// SHA-256 of the certificate of the flow's service.
    pub service_fingerprint: Option<[u8; 32]>,
}

/// What was recorded of a session.
#[derive(Clone, Debug, Default)]
pub struct RecordedSession {
    /// The session id.
    pub id: Vec<u8>,
    /// The application protocol that the router chose.
    pub alpn: Option<String>,
    /// The versions that the router offered.
    pub offered: Option<VersionRange>,
    /// The client's session key.
    pub client_key: Option<X25519Secret>,
    /// The router's session key.
    pub router_key: Option<X25519Public>,
    /// Whether blocks are encrypted.
    pub encrypted: bool,
}

/// What was noted of blocks whose steps were left out.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    /// Items of each block sent.
    pub sent: Vec<usize>,
    /// Items of each block of END after the takeover.
    pub ended: Vec<usize>,
    /// Blocks received.
    pub received: Vec<BlockSummary>,
}

/// A received block of which only a summary was recorded.
#[derive(Clone, Debug)]
pub struct BlockSummary {
    /// Its number.
    pub block: u64,
    /// The tag of its items, and how many there are.
    pub tags: Vec<(String, usize)>,
    /// The first item's entity.
    pub first: String,
    /// The last item's.
    pub last: String,
}

/// Who does what in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The client sends.
    Send,
    /// The client receives.
    Receive,
    /// A remark.
    Note,
    /// The connection ends.
    Close,
    /// Content that the client encrypted for the relay.
    InnerSend,
    /// Content of the relay's answer.
    InnerReceive,
}

/// The bytes of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// None were recorded.
    None,
    /// All.
    Whole(Vec<u8>),
    /// The first ones.
    Head {
        /// They.
        head: Vec<u8>,
        /// The length of all, in bytes.
        length: usize,
        /// SHA-256 of all.
        sha256: Option<[u8; 32]>,
    },
}

/// A decrypted body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The plaintext, or its beginning.
    pub plain: Vec<u8>,
    /// Its length in bytes.
    pub length: usize,
    /// With padding.
    pub padded: Option<usize>,
    /// Encrypted, of a notification.
    pub meta: Option<usize>,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Step {
    /// The connection.
    pub conn: String,
    /// What kind of step.
    pub dir: Direction,
    /// When, in nanoseconds since the flow's start.
    pub at: u64,
    /// The block's number.
    pub block: Option<u64>,
    /// The place in the batch.
    pub item: usize,
    /// The number of items in the batch.
    pub of: Option<usize>,
    /// The correlation id.
    pub corr: Option<Vec<u8>>,
    /// The entity: a symbolic name, hex, or empty.
    pub entity: String,
    /// The algorithm of the authorization; empty for none.
    pub auth: String,
    /// Whether there is a service signature.
    pub service_signature: bool,
    /// Whether it belongs to the handshake.
    pub plain: bool,
    /// The bytes.
    pub content: Content,
    /// What it is, in words.
    pub text: String,
    /// The decrypted body.
    pub body: Option<Body>,
    /// The client's key of a forwarded command.
    pub forward_key: Option<X25519Secret>,
    /// The length of a forwarded command's answer with padding.
    pub padded: Option<usize>,
    /// The version inside of a forward.
    pub inner_version: Option<u16>,
    /// Whether the bytes were written as they are, without a block's padding and encryption.
    pub raw: bool,
}

/// A JSON object and where it is.
struct Object<'a> {
    map: &'a Map<String, Value>,
    key: String,
}

impl<'a> Object<'a> {
    fn of(value: &'a Value, key: &str) -> Result<Self, BadRecording> {
        match value.as_object() {
            Some(map) => Ok(Self { map, key: key.to_owned() }),
            None => Err(BadRecording { key: key.to_owned(), what: "an object was expected".to_owned() }),
        }
    }

    fn path(&self, field: &str) -> String {
        if self.key.is_empty() { field.to_owned() } else { format!("{}.{field}", self.key) }
    }

    fn bad(&self, field: &str, what: impl fmt::Display) -> BadRecording {
        BadRecording { key: self.path(field), what: what.to_string() }
    }

    fn get(&self, field: &str) -> Option<&'a Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// A field's value by `read`, which gives nothing for one of another form.
    fn opt<T>(
        &self,
        field: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, BadRecording> {
        let Some(value) = self.get(field) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| self.bad(field, format!("{expected} was expected")))
    }

    fn text(&self, field: &str) -> Result<Option<&'a str>, BadRecording> {
        self.opt(field, "a text", Value::as_str)
    }

    fn number(&self, field: &str) -> Result<Option<u64>, BadRecording> {
        self.opt(field, "a whole number", Value::as_u64)
    }

    fn size(&self, field: &str) -> Result<Option<usize>, BadRecording> {
        Ok(self.number(field)?.and_then(|number| usize::try_from(number).ok()))
    }

    fn flag(&self, field: &str) -> Result<bool, BadRecording> {
        Ok(self.opt(field, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    fn hex(&self, field: &str) -> Result<Option<Vec<u8>>, BadRecording> {
        self.opt(field, "hex", |value| hex::decode(value.as_str()?).ok())
    }

    fn array<const N: usize>(&self, field: &str) -> Result<Option<[u8; N]>, BadRecording> {
        let expected = format!("{N} bytes in hex");
        self.opt(field, &expected, |value| hex::decode(value.as_str()?).ok()?.try_into().ok())
    }

    fn x25519(&self, field: &str) -> Result<Option<X25519Secret>, BadRecording> {
        Ok(self.array(field)?.map(X25519Secret::from_bytes))
    }

    /// The objects in a field's object.
    fn objects(&self, field: &str) -> Result<Vec<(String, Object<'a>)>, BadRecording> {
        let Some(value) = self.get(field) else { return Ok(Vec::new()) };
        let inside = Object::of(value, &self.path(field))?;
        let all = inside.map.iter().map(|(name, value)| {
            let object = Object::of(value, &inside.path(name))?;
            Ok((name.clone(), object))
        });
        all.collect()
    }

    /// The elements of a field's array.
    fn list(&self, field: &str) -> Result<Vec<(&'a Value, String)>, BadRecording> {
        let all = self.opt(field, "a list", Value::as_array)?.map(Vec::as_slice).unwrap_or_default();
        let path = self.path(field);
        Ok(all.iter().enumerate().map(|(at, value)| (value, format!("{path}[{at}]"))).collect())
    }

    fn need<T>(&self, field: &str, value: Option<T>) -> Result<T, BadRecording> {
        value.ok_or_else(|| self.bad(field, "is missing"))
    }
}

impl Flow {
    /// A flow from its JSON form.
    ///
    /// # Errors
    /// [`BadRecording`].
    pub fn read(json: &Value) -> Result<Self, BadRecording> {
        let top = Object::of(json, "")?;
        let protocol = top.need("protocol", top.text("protocol")?)?;
        if protocol != "smp" {
            return Err(top.bad("protocol", format!("`{protocol}` cannot be replayed; `smp` can")));
        }
        let version = top.need("version", top.number("version")?)?;
        let version = u16::try_from(version).map_err(|_| top.bad("version", "is above 65535"))?;
        if !(SUPPORTED.min..=SUPPORTED.max).contains(&version) {
            return Err(top.bad("version", format!("{version} is not spoken here")));
        }
        let mut sessions = BTreeMap::new();
        for (name, session) in top.objects("sessions")? {
            sessions.insert(name, RecordedSession::read(&session)?);
        }
        let mut names = BTreeMap::new();
        if let Some(value) = top.get("names") {
            let all = Object::of(value, "names")?;
            for name in all.map.keys() {
                names.insert(name.clone(), all.need(name, all.hex(name)?)?);
            }
        }
        let mut keys = BTreeMap::new();
        for (name, entry) in top.objects("keys")? {
            if let Some(key) = read_key(&entry)? {
                keys.insert(name, key);
            }
        }
        top.need("steps", top.get("steps"))?;
        let steps = top.list("steps")?;
        let steps = steps
            .into_iter()
            .map(|(step, key)| Step::read(&Object::of(step, &key)?))
            .collect::<Result<_, _>>()?;
        let (settings, unknown_settings, relay) = read_settings(&top)?;
        let scenario = top.text("scenario")?.unwrap_or_default().to_owned();
        let sizes = Sizes::read(&top)?;
        let service_fingerprint = match top.get("extra") {
            Some(extra) => Object::of(extra, "extra")?.array("service_certificate_fingerprint_sha256")?,
            None => None,
        };
        Ok(Flow {
            scenario,
            version,
            settings,
            unknown_settings,
            relay,
            own: top.get("target").is_some(),
            sessions,
            names,
            keys,
            steps,
            sizes,
            service_fingerprint,
        })
    }

    /// The X25519 secret key with this public key.
    #[must_use]
    pub fn secret_of(&self, public: &X25519Public) -> Option<&X25519Secret> {
        self.keys.values().find_map(|key| match key {
            AuthSecretKey::X25519(secret) if secret.public() == *public => Some(secret),
            _ => None,
        })
    }

    /// An entity by its name or in hex.
    #[must_use]
    pub fn id_of(&self, name: &str) -> Option<Vec<u8>> {
        self.names.get(name).cloned().or_else(|| hex::decode(name).ok())
    }

    /// The steps from number `at` on.
    #[must_use]
    pub fn from(&self, at: usize) -> &[Step] {
        self.steps.get(at..).unwrap_or_default()
    }

    /// The steps before number `at`.
    #[must_use]
    pub fn before(&self, at: usize) -> &[Step] {
        self.steps.get(..at).unwrap_or_default()
    }

    /// The steps of the same kind and connection that share a block with step `at`, which is the first of them.
    #[must_use]
    pub fn block(&self, at: usize) -> &[Step] {
        let all = self.from(at);
        let Some(first) = all.first() else { return all };
        let same = |step: &&Step| {
            first.block.is_some()
                && step.block == first.block
                && step.conn == first.conn
                && step.dir == first.dir
        };
        let rest = all.iter().skip(1).take_while(same).count();
        all.get(..=rest).unwrap_or_default()
    }
}

impl RecordedSession {
    fn read(session: &Object<'_>) -> Result<Self, BadRecording> {
        let offered = session.opt("server_range", "two versions", |value| {
            let [min, max] = value.as_array()?.as_slice() else { return None };
            let version = |value: &Value| u16::try_from(value.as_u64()?).ok();
            VersionRange::new(version(min)?, version(max)?).ok()
        })?;
        let router_key = session.opt("server_public_key_spki", "an X25519 key", |value| {
            X25519Public::from_spki(&hex::decode(value.as_str()?).ok()?).ok()
        })?;
        Ok(RecordedSession {
            id: session.hex("session_id")?.unwrap_or_default(),
            alpn: session.text("alpn_chosen")?.map(str::to_owned),
            offered,
            client_key: session.x25519("client_private_key_raw")?,
            router_key,
            encrypted: session.flag("block_encryption")?,
        })
    }
}

fn read_key(entry: &Object<'_>) -> Result<Option<AuthSecretKey>, BadRecording> {
    let field = "private_raw";
    Ok(match entry.text("alg")?.unwrap_or_default() {
        "ed25519" => Some(Ed25519Secret::from_seed(entry.need(field, entry.array(field)?)?).into()),
        "ed448" => Some(Ed448Secret::from_seed(entry.need(field, entry.array(field)?)?).into()),
        "x25519" => Some(X25519Secret::from_bytes(entry.need(field, entry.array(field)?)?).into()),
        _ => None,
    })
}

/// Settings that say nothing about behaviour, or that other fields say too.
const OTHER_SETTINGS: [&str; 4] = ["store", "control_port", "relay", "proxy"];

fn read_settings(top: &Object<'_>) -> Result<(Settings, Vec<String>, bool), BadRecording> {
    let Some(value) = top.get("server_settings") else {
        return Ok((Settings::default(), Vec::new(), false));
    };
    let all = Object::of(value, "server_settings")?;
    let nanoseconds = |field: &str, unit: f64| -> Result<Option<u64>, BadRecording> {
        let time = all.opt(field, "a time", |value| value.as_f64().filter(|time| *time >= 0.0))?;
        Ok(time.map(|time| (time * unit) as u64))
    };
    let seconds = |field: &str| nanoseconds(field, SECOND);
    let inactive = seconds("inactive_ttl_s")?;
    let settings = Settings {
        quota: all.size("queue_quota")?,
        message_ttl: seconds("message_ttl_s")?.or(nanoseconds("message_ttl_days", 86_400.0 * SECOND)?),
        expiry_interval: seconds("check_interval_s")?,
        expire_on_send: all.opt("expire_on_send", "true or false", Value::as_bool)?,
        end_interval: seconds("end_interval_s")?,
        notification_interval: seconds("ntf_interval_s")?,
        password: all.text("create_password")?.map(str::to_owned),
        inactive: inactive.map(|ttl| Ok((ttl, seconds("inactive_check_s")?.unwrap_or(ttl)))).transpose()?,
        new_queues: all.opt("new_queues", "true or false", Value::as_bool)?,
        proxy: all.opt("allow_proxy", "true or false", Value::as_bool)?,
        max_version: all.number("max_version")?.and_then(|version| u16::try_from(version).ok()),
        ..Settings::default()
    };
    let known = [
        "queue_quota",
        "message_ttl_s",
        "message_ttl_days",
        "check_interval_s",
        "expire_on_send",
        "end_interval_s",
        "ntf_interval_s",
        "create_password",
        "inactive_ttl_s",
        "new_queues",
        "allow_proxy",
        "max_version",
        "inactive_check_s",
    ];
    let unknown = all.map.iter().filter(|(name, value)| {
        let name = name.as_str();
        let off = name == "names" && value.as_str() == Some("off");
        !known.contains(&name) && !OTHER_SETTINGS.contains(&name) && !off
    });
    let unknown = unknown.map(|(name, value)| format!("{name} = {value}")).collect();
    Ok((settings, unknown, all.get("relay").is_some()))
}

impl Sizes {
    fn read(top: &Object<'_>) -> Result<Self, BadRecording> {
        let Some(value) = top.get("extra") else { return Ok(Self::default()) };
        let extra = Object::of(value, "extra")?;
        let mut sizes = Self::default();
        for (block, key) in extra.list("sent_blocks")? {
            let block = Object::of(block, &key)?;
            sizes.sent.push(block.need("items", block.size("items")?)?);
        }
        for (number, key) in extra.list("END_blocks_after_takeover_of_260")? {
            let number = number.as_u64().and_then(|number| usize::try_from(number).ok());
            sizes.ended.push(number.ok_or(BadRecording { key, what: "no number".to_owned() })?);
        }
        for (block, key) in extra.list("block_summary")? {
            let block = Object::of(block, &key)?;
            let tags = block.opt("tags", "numbers by tag", Value::as_object)?.into_iter().flatten();
            let count = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
            sizes.received.push(BlockSummary {
                block: block.need("block", block.number("block")?)?,
                tags: tags.filter_map(|(tag, number)| Some((tag.clone(), count(number)?))).collect(),
                first: block.text("first_entity")?.unwrap_or_default().to_owned(),
                last: block.text("last_entity")?.unwrap_or_default().to_owned(),
            });
        }
        Ok(sizes)
    }
}

impl Step {
    fn read(step: &Object<'_>) -> Result<Self, BadRecording> {
        let dir = match step.need("dir", step.text("dir")?)? {
            "send" => Direction::Send,
            "recv" => Direction::Receive,
            "note" => Direction::Note,
            "close" => Direction::Close,
            "inner-send" => Direction::InnerSend,
            "inner-recv" => Direction::InnerReceive,
            other => return Err(step.bad("dir", format!("`{other}` is none of SMP"))),
        };
        let content = match (step.hex("hex")?, step.hex("hex_head")?) {
            (Some(hex), _) => Content::Whole(hex),
            (None, Some(head)) => Content::Head {
                head,
                length: step.need("len", step.size("len")?)?,
                sha256: step.array("sha256")?,
            },
            (None, None) => Content::None,
        };
        let body = match step.get("body") {
            Some(body) => Body::read(&Object::of(body, &step.path("body"))?)?,
            None => None,
        };
        Ok(Step {
            conn: step.text("conn")?.unwrap_or_default().to_owned(),
            dir,
            at: step.number("at_ms")?.unwrap_or_default().saturating_mul(MILLISECOND),
            block: step.number("block")?,
            item: step.size("item")?.unwrap_or_default(),
            of: step.size("of")?,
            corr: step.hex("corr_id")?,
            entity: step.text("entity")?.unwrap_or_default().to_owned(),
            auth: step.text("auth")?.unwrap_or_default().to_owned(),
            service_signature: step.flag("service_sig")?,
            plain: step.flag("plain")?,
            content,
            text: step.text("text")?.unwrap_or_default().to_owned(),
            body,
            forward_key: step.x25519("ephemeral_private_raw")?,
            padded: step.size("padded_len")?,
            raw: step.flag("raw")?,
            inner_version: step.number("inner_version")?.and_then(|version| u16::try_from(version).ok()),
        })
    }

    /// The bytes of a step, and whether they are all.
    #[must_use]
    pub fn bytes(&self) -> Option<(&[u8], bool)> {
        match &self.content {
            Content::None => None,
            Content::Whole(bytes) => Some((bytes, true)),
            Content::Head { head, .. } => Some((head, false)),
        }
    }

    /// The length of all its bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        match &self.content {
            Content::None => 0,
            Content::Whole(bytes) => bytes.len(),
            Content::Head { length, .. } => *length,
        }
    }

    /// Whether `candidate` is what the step recorded in full or by its hash.
    #[must_use]
    pub fn is_recorded(&self, candidate: &[u8]) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes == candidate,
            Content::Head { sha256: Some(hash), .. } => sha256(candidate) == *hash,
            _ => false,
        }
    }

    /// The step as differences name it.
    #[must_use]
    pub fn shown(&self) -> String {
        let dir = match self.dir {
            Direction::Send => "sends",
            Direction::Receive => "receives",
            Direction::Note => "note",
            Direction::Close => "close",
            Direction::InnerSend => "sends inside",
            Direction::InnerReceive => "receives inside",
        };
        format!("{} {dir} {:?}", self.conn, self.text)
    }

    /// Whether it is an unsolicited transmission.
    #[must_use]
    pub fn is_event(&self) -> bool {
        self.dir == Direction::Receive && self.corr.as_ref().is_some_and(Vec::is_empty)
    }
}

impl Body {
    /// A decrypted body in hex, which may end in its length: `00ff..(16000 bytes)`.
    fn read(body: &Object<'_>) -> Result<Option<Self>, BadRecording> {
        let Some(text) = body.text("decrypted")? else { return Ok(None) };
        let (hex, length) = match text.split_once("..(") {
            Some((hex, rest)) => (hex, rest.split(' ').next().and_then(|n| n.parse().ok())),
            None => (text, Some(text.len() / 2)),
        };
        let plain = hex::decode(hex).ok();
        Ok(Some(Body {
            plain: plain.ok_or_else(|| body.bad("decrypted", "no hex"))?,
            length: length.ok_or_else(|| body.bad("decrypted", "no length"))?,
            padded: body.size("decrypted_padded_len")?,
            meta: body.size("meta_len")?,
        }))
    }
}
