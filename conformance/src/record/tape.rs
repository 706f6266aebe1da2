//! What is written down while a flow is played, and its JSON form: that of recorded transcripts, with all bytes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sxlab_protocol::crypto::keys::{AuthSecretKey, X25519Public, X25519Secret};

use crate::target::Settings;

const SECOND: f64 = 1e9;

/// A recording being made.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    sessions: Map<String, Value>,
    keys: Map<String, Value>,
    names: Map<String, Value>,
    known: BTreeMap<Vec<u8>, String>,
    steps: Vec<Map<String, Value>>,
    blocks: u64,
}

/// What a step is.
#[derive(Clone, Debug)]
pub struct Written<'a> {
    /// The connection.
    pub conn: &'a str,
    /// `send`, `recv`, `note`, `close`, `inner-send` or `inner-recv`.
    pub dir: &'a str,
    /// When, in nanoseconds since the flow's start.
    pub at: u64,
    /// What it is, in words.
    pub text: String,
}

/// One transmission of a block.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Its correlation id and entity, where it is a transmission.
    pub ids: Option<(&'a [u8], &'a [u8])>,
    /// Its place and how many there are.
    pub place: (usize, usize),
}

impl Tape {
    /// A key of the client.
    pub fn key(&mut self, name: &str, key: &AuthSecretKey) {
        let (alg, private) = match key {
            AuthSecretKey::Ed25519(key) => ("ed25519", hex::encode(key.seed())),
            AuthSecretKey::Ed448(key) => ("ed448", hex::encode(key.seed())),
            AuthSecretKey::X25519(key) => ("x25519", hex::encode(key.to_bytes())),
        };
        let public = hex::encode(key.public().spki());
        self.keys.insert(name.to_owned(), json!({"alg": alg, "private_raw": private, "public_spki": public}));
    }

    /// A name for an id.
    pub fn name(&mut self, name: &str, id: &[u8]) {
        self.names.insert(name.to_owned(), json!(hex::encode(id)));
        self.known.insert(id.to_vec(), name.to_owned());
    }

    /// A session.
    pub fn session(
        &mut self,
        conn: &str,
        id: &[u8],
        alpn: Option<&[u8]>,
        offered: Option<(u16, u16)>,
        keys: (Option<&X25519Secret>, Option<&X25519Public>),
        encrypted: bool,
    ) {
        let mut session = Map::new();
        let mut put = |name: &str, value: Value| session.insert(name.to_owned(), value);
        put("session_id", json!(hex::encode(id)));
        put("alpn_chosen", json!(alpn.map(|name| String::from_utf8_lossy(name).into_owned())));
        put("block_encryption", json!(encrypted));
        if let Some((min, max)) = offered {
            put("server_range", json!([min, max]));
        }
        if let Some(key) = keys.0 {
            put("client_private_key_raw", json!(hex::encode(key.to_bytes())));
        }
        if let Some(key) = keys.1 {
            put("server_public_key_spki", json!(hex::encode(key.spki())));
        }
        self.sessions.insert(conn.to_owned(), session.into());
    }

    /// Adds a step, with these fields besides.
    fn step(&mut self, written: &Written<'_>, fields: Vec<(&str, Value)>) {
        let own = [
            ("conn", json!(written.conn)),
            ("dir", json!(written.dir)),
            ("at_ms", json!(written.at / 1_000_000)),
            ("text", json!(written.text)),
        ];
        let all = own.into_iter().chain(fields).map(|(name, value)| (name.to_owned(), value));
        self.steps.push(all.collect());
    }

    /// A step without bytes.
    pub fn note(&mut self, written: &Written<'_>) {
        self.step(written, Vec::new());
    }

    /// The number of the next block.
    pub fn next_block(&mut self) -> u64 {
        self.blocks += 1;
        self.blocks
    }

    /// A hello.
    pub fn plain(&mut self, written: &Written<'_>, bytes: &[u8]) {
        let block = self.next_block();
        let fields =
            vec![("plain", json!(true)), ("block", json!(block)), ("hex", json!(hex::encode(bytes)))];
        self.step(written, fields);
    }

    /// A transmission of block number `block`, or what stands in its place.
    pub fn item(
        &mut self,
        written: &Written<'_>,
        block: Option<u64>,
        item: &Item<'_>,
        more: &[(&str, Value)],
    ) {
        let mut fields = Vec::new();
        if let Some(block) = block {
            fields.push(("block", json!(block)));
        }
        if item.place.1 != 1 {
            fields.extend([("item", json!(item.place.0)), ("of", json!(item.place.1))]);
        }
        if let Some((corr, entity)) = item.ids {
            let entity = self.known.get(entity).cloned().unwrap_or_else(|| hex::encode(entity));
            fields.extend([("corr_id", json!(hex::encode(corr))), ("entity", json!(entity))]);
        }
        fields.push(("hex", json!(hex::encode(item.bytes))));
        fields.extend(more.iter().cloned());
        self.step(written, fields);
    }

    /// The whole recording.
    #[must_use]
    pub fn finish(
        self,
        flow: (&str, &str),
        version: u16,
        target: &str,
        settings: &Settings,
        relay: bool,
    ) -> Value {
        let mut settings = settings_json(settings);
        if relay {
            settings.insert("relay".to_owned(), json!("a further router"));
        }
        json!({
            "protocol": "smp",
            "scenario": flow.0,
            "version": version,
            "target": target,
            "note": flow.1.trim(),
            "server_settings": settings,
            "sessions": self.sessions,
            "keys": self.keys,
            "names": self.names,
            "steps": self.steps,
        })
    }
}

/// Settings as transcripts name them.
fn settings_json(settings: &Settings) -> Map<String, Value> {
    let seconds = |time: u64| json!(time as f64 / SECOND);
    let mut all = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            all.insert(name.to_owned(), value);
        }
    };
    put("queue_quota", settings.quota.map(|quota| json!(quota)));
    put("message_ttl_s", settings.message_ttl.map(seconds));
    put("check_interval_s", settings.expiry_interval.map(seconds));
    put("expire_on_send", settings.expire_on_send.map(|on| json!(on)));
    put("end_interval_s", settings.end_interval.map(seconds));
    put("ntf_interval_s", settings.notification_interval.map(seconds));
    put("create_password", settings.password.as_ref().map(|password| json!(password)));
    put("new_queues", settings.new_queues.map(|on| json!(on)));
    put("allow_proxy", settings.proxy.map(|on| json!(on)));
    put("max_version", settings.max_version.map(|version| json!(version)));
    put("inactive_ttl_s", settings.inactive.map(|(ttl, _)| seconds(ttl)));
    put("inactive_check_s", settings.inactive.map(|(_, check)| seconds(check)));
    all
}
