//! A script's transmissions: entities, commands and keys from its words.

use std::collections::BTreeMap;

use sxlab_protocol::crypto::hash::{sender_id_from_corr, sha256};
use sxlab_protocol::crypto::keys::{
    AuthSecretKey, Ed448Secret, Ed25519Secret, SharedSecret, X25519Public, X25519Secret,
};
use sxlab_protocol::smp::command::{
    Command, ContactLink, LinkData, MessagingLink, MsgFlags, NewQueue, NotifierKeys, QueueRequest,
    ServiceQueues,
};
use sxlab_protocol::smp::name::Name;
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::wire::{CorrId, EntityId, LinkId, MsgId, RouterAddress};

use super::script::Ask;
use super::tape::Tape;

/// What a link holds that never changes.
const FIXED: &[u8] = b"fixed data";

/// A queue of the flow.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    pub(super) recipient: EntityId,
    pub(super) sender: EntityId,
    pub(super) link: Vec<u8>,
    pub(super) notifier: EntityId,
    /// The message that came last.
    pub(super) last: Option<MsgId>,
}

/// A proxy's session with a relay.
#[derive(Clone, Debug)]
pub(super) struct Relay {
    pub(super) session: EntityId,
    pub(super) version: u16,
    pub(super) key: X25519Public,
}

/// What the clients of a flow know.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients {
    flow: String,
    corrs: u64,
    pub(super) keys: BTreeMap<String, AuthSecretKey>,
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) relays: BTreeMap<String, Relay>,
    pub(super) routers: BTreeMap<String, RouterAddress>,
    /// Decrypt messages, by recipient id, and notifications, by notifier id.
    pub(super) secrets: BTreeMap<EntityId, SharedSecret>,
    /// The service's id in a session, by connection.
    pub(super) services: BTreeMap<String, EntityId>,
}

/// A transmission to make.
#[derive(Clone, Debug)]
pub(super) struct Built {
    pub(super) entity: EntityId,
    pub(super) command: Vec<u8>,
    pub(super) key: Option<AuthSecretKey>,
    /// Whether a service signs it.
    pub(super) by_service: bool,
}

impl Clients {
    pub(super) fn new(flow: &str) -> Self {
        Self { flow: flow.to_owned(), ..Self::default() }
    }

    /// 32 bytes that follow from the flow's name and this one.
    pub(super) fn bytes(&self, name: &str) -> [u8; 32] {
        sha256(format!("{}/{name}", self.flow).as_bytes())
    }

    fn id(&self, name: &str) -> Vec<u8> {
        let [id @ .., _, _, _, _, _, _, _, _] = self.bytes(name);
        id.to_vec()
    }

    /// A correlation id that was not used yet.
    pub(super) fn corr(&mut self) -> CorrId {
        self.corrs += 1;
        let [id @ .., _, _, _, _, _, _, _, _] = self.bytes(&format!("corr {}", self.corrs));
        CorrId::from(id)
    }

    /// The X25519 key of this name.
    pub(super) fn x25519(&mut self, name: &str, tape: &mut Tape) -> X25519Secret {
        let key = X25519Secret::from_bytes(self.bytes(name));
        tape.key(name, &key.clone().into());
        key
    }

    /// The key of this name, made at its first use: `ed448:k` and `x25519:k` say which kind.
    pub(super) fn key(&mut self, name: &str, tape: &mut Tape) -> AuthSecretKey {
        if let Some(key) = self.keys.get(name) {
            return key.clone();
        }
        let seed = self.bytes(name);
        let key = match name.split_once(':').map_or("ed25519", |(kind, _)| kind) {
            "x25519" => X25519Secret::from_bytes(seed).into(),
            "ed448" => {
                let mut long = [0; 57];
                let more = self.bytes(&format!("{name} more"));
                for (to, from) in long.iter_mut().zip(seed.iter().chain(&more)) {
                    *to = *from;
                }
                Ed448Secret::from_seed(long).into()
            }
            _ => Ed25519Secret::from_seed(seed).into(),
        };
        self.put_key(name, key, tape)
    }

    fn put_key(&mut self, name: &str, key: AuthSecretKey, tape: &mut Tape) -> AuthSecretKey {
        tape.key(name, &key);
        self.keys.insert(name.to_owned(), key.clone());
        key
    }

    /// The recipient's key of a queue, made in the form that NEW asks for.
    fn owner(&mut self, queue: &str, kind: &str, tape: &mut Tape) -> AuthSecretKey {
        let name = format!("{queue}.rcvAuth");
        if let Some(key) = self.keys.get(&name) {
            return key.clone();
        }
        let made = self.key(&format!("{kind}:{queue} owner"), tape);
        self.put_key(&name, made, tape)
    }

    fn queue(&self, name: &str) -> Queue {
        self.queues.get(name).cloned().unwrap_or_default()
    }

    /// An entity by its words: `Q.sender`, `none`, `unknown`.
    fn entity(&self, text: &str) -> Result<EntityId, String> {
        let (name, part) = text.split_once('.').unwrap_or((text, ""));
        let queue = self.queue(name);
        let id = match (name, part) {
            ("none", "") => return Ok(EntityId::EMPTY),
            ("unknown", "") => self.id("unknown"),
            (_, "recipient") => return Ok(queue.recipient),
            (_, "sender") => return Ok(queue.sender),
            (_, "notifier") => return Ok(queue.notifier),
            (_, "link") => queue.link,
            _ => return Err(format!("`{text}` is no entity")),
        };
        EntityId::new(&id).map_err(|e| e.to_string())
    }

    /// The transmission that a line asks for.
    pub(super) fn build(
        &mut self,
        conn: &str,
        ask: &Ask,
        corr: &CorrId,
        layout: &Layout,
        tape: &mut Tape,
    ) -> Result<Built, String> {
        let name = ask.word(0).to_owned();
        let queue = self.queue(&name);
        let verb = ask.verb.as_str();
        let of_recipient = |clients: &mut Self, tape: &mut Tape, command| {
            (queue.recipient.clone(), command, Some(clients.owner(&name, "ed25519", tape)))
        };
        let link = || EntityId::new(&queue.link).map_err(|e| e.to_string());
        let (entity, command, key) = match verb {
            "new" => {
                let (command, key) = self.new_queue(&name, ask, corr, tape)?;
                (EntityId::EMPTY, command, Some(key))
            }
            "sub" => of_recipient(self, tape, Command::Sub),
            "get" => of_recipient(self, tape, Command::Get),
            "que" => of_recipient(self, tape, Command::Que),
            "off" => of_recipient(self, tape, Command::Off),
            "del" => of_recipient(self, tape, Command::Del),
            "ndel" => of_recipient(self, tape, Command::NDel),
            "ldel" => of_recipient(self, tape, Command::LDel),
            "ack" => {
                let made_up = || MsgId::new(&self.id("made up")).map_err(|e| e.to_string());
                let last = queue.last.clone().filter(|_| ask.option("id") != Some("wrong"));
                let id = match last {
                    Some(id) => id,
                    None => made_up()?,
                };
                of_recipient(self, tape, Command::Ack(id))
            }
            "key" => {
                let key = self.key(ask.word(1), tape).public();
                of_recipient(self, tape, Command::Key(key))
            }
            "rkey" => {
                let names = ask.words.get(1..).unwrap_or_default().to_vec();
                let keys = names.iter().map(|name| self.key(name, tape).public()).collect();
                of_recipient(self, tape, Command::RKey(keys))
            }
            "nkey" => {
                let keys = self.notifier_keys(&name, ask.word(1), tape);
                of_recipient(self, tape, Command::NKey(keys))
            }
            "nsub" => {
                let key = self.keys.get(&format!("{name}.ntfAuth")).cloned();
                (queue.notifier.clone(), Command::NSub, key)
            }
            "lset" => {
                let fixed = ask.option("fixed").map_or(FIXED, str::as_bytes).to_vec();
                let data = LinkData { fixed, user: ask.word(1).as_bytes().to_vec() };
                let id =
                    if queue.link.is_empty() { self.id(&format!("{name}.link")) } else { queue.link.clone() };
                let link = LinkId::new(&id).map_err(|e| e.to_string())?;
                if let Some(queue) = self.queues.get_mut(&name) {
                    queue.link = id;
                }
                of_recipient(self, tape, Command::LSet { link, data })
            }
            "skey" => {
                let key = self.key(ask.word(1), tape);
                (queue.sender.clone(), Command::SKey(key.public()), Some(key))
            }
            "lget" => (link()?, Command::LGet, None),
            "lkey" => {
                let key = self.key(ask.word(1), tape);
                (link()?, Command::LKey(key.public()), Some(key))
            }
            "send" => {
                let mut body = ask.word(1).as_bytes().to_vec();
                if let Some(size) = ask.option("size") {
                    let size: i64 = size.parse().map_err(|_| "`size` is no number".to_owned())?;
                    let limit = i64::try_from(layout.message_limit).unwrap_or(i64::MAX);
                    // From the limit of the version, where it is negative or zero.
                    let size = if size > 0 { size } else { limit.saturating_add(size) };
                    body.resize(usize::try_from(size.min(limit + 1)).unwrap_or_default(), b'-');
                }
                let flags = MsgFlags { notification: ask.is("notify") };
                (queue.sender.clone(), Command::Send { flags, body }, None)
            }
            "subs" | "nsubs" => {
                let service = self.services.get(conn).cloned().unwrap_or_default();
                let queues = ServiceQueues::UNKNOWN;
                let command = if verb == "subs" { Command::Subs(queues) } else { Command::NSubs(queues) };
                (service, command, self.keys.get(&format!("{conn}.serviceSessionKey")).cloned())
            }
            "ping" => (EntityId::EMPTY, Command::Ping, None),
            "rslv" => {
                let name = Name::parse(&name).map_err(|e| format!("`{name}` is no name: {e}"))?;
                (EntityId::EMPTY, Command::Rslv(name), None)
            }
            "prxy" => {
                let router = self.routers.get(&name).ok_or_else(|| format!("no router `{name}`"))?.clone();
                let password = ask.option("password").map(str::to_owned);
                (EntityId::EMPTY, Command::Prxy { router, password }, None)
            }
            "raw" => {
                let command = match ask.word(0).strip_prefix("0x") {
                    Some(hex) => hex::decode(hex).map_err(|_| "`raw 0x…` is hex".to_owned())?,
                    None => ask.words.join(" ").into_bytes(),
                };
                return self.with_options(EntityId::EMPTY, command, None, ask, tape);
            }
            other => return Err(format!("`{other}` is no transmission")),
        };
        let mut encoded = Vec::new();
        command.encode(layout, &mut encoded).map_err(|e| e.to_string())?;
        let signed = command.is_signed_by_service();
        let built = self.with_options(entity, encoded, key, ask, tape)?;
        Ok(Built { by_service: signed && ask.option("by") != Some("alone"), ..built })
    }

    fn with_options(
        &mut self,
        entity: EntityId,
        command: Vec<u8>,
        key: Option<AuthSecretKey>,
        ask: &Ask,
        tape: &mut Tape,
    ) -> Result<Built, String> {
        let entity = match ask.option("entity") {
            Some(text) => self.entity(text)?,
            None => entity,
        };
        let key = match ask.option("by") {
            None | Some("alone") => key,
            Some("none") => None,
            Some(name) => Some(self.key(name, tape)),
        };
        Ok(Built { entity, command, key, by_service: false })
    }

    fn notifier_keys(&mut self, queue: &str, key: &str, tape: &mut Tape) -> NotifierKeys {
        let auth = self.key(key, tape);
        let auth = self.put_key(&format!("{queue}.ntfAuth"), auth, tape);
        let dh = self.x25519(&format!("{queue}.ntfDh"), tape);
        NotifierKeys { auth_key: auth.public(), dh_key: dh.public() }
    }

    fn new_queue(
        &mut self,
        name: &str,
        ask: &Ask,
        corr: &CorrId,
        tape: &mut Tape,
    ) -> Result<(Command, AuthSecretKey), String> {
        let kind = if ask.word(1).is_empty() { "ed25519" } else { ask.word(1) };
        let key = self.owner(name, kind, tape);
        let dh = self.x25519(&format!("{name}.rcvDh"), tape);
        let data = LinkData { fixed: FIXED.to_vec(), user: b"user data".to_vec() };
        let sender = EntityId::new(&sender_id_from_corr(corr)).map_err(|e| e.to_string())?;
        let with_link = ask.is("link");
        let queue = match ask.option("mode") {
            Some("plain") => QueueRequest::None,
            Some("contact") => {
                let link = LinkId::new(&self.id(&format!("{name}.link"))).map_err(|e| e.to_string())?;
                QueueRequest::Contact(with_link.then_some(ContactLink { link, sender, data }))
            }
            _ => QueueRequest::Messaging(with_link.then_some(MessagingLink { sender, data })),
        };
        let notifier = ask.is("ntf").then(|| self.notifier_keys(name, &format!("{name} notifier"), tape));
        let new = NewQueue {
            auth_key: key.public(),
            dh_key: dh.public(),
            password: ask.option("password").map(str::to_owned),
            subscribe: ask.option("subscribe") != Some("no"),
            queue,
            notifier,
        };
        Ok((Command::New(Box::new(new)), key))
    }

    /// The X25519 key of this name, if it was used.
    pub(super) fn dh(&self, name: &str) -> X25519Secret {
        X25519Secret::from_bytes(self.bytes(name))
    }

    /// The queue with this recipient id.
    pub(super) fn of_recipient(&mut self, id: &EntityId) -> Option<&mut Queue> {
        self.queues.values_mut().find(|queue| queue.recipient == *id)
    }
}
