//! The suite as the router of a client under test: what the client is asked to do, and a router that can be wrong in
//! every field.

use sxlab_protocol::crypto::boxes::{open_padded, random_nonce};
use sxlab_protocol::crypto::keys::{AuthPublicKey, SharedSecret, X25519Public, X25519Secret};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue};
use sxlab_protocol::smp::envelope::{ClientMessage, Envelope, MessageBody};
use sxlab_protocol::smp::response::{QueueIds, Response};
use sxlab_protocol::transport::{ClientHello, write_response};
use sxlab_protocol::wire::{CLIENT_VERSIONS, CorrId, EntityId, MsgId, QueueAddress, QueueMode};

use super::certificates::{Authorities, Certified, KeysOf};
use super::{Asked, Direction, Door, Failure, Lab, RouterHello, SECOND, Who, require};
use crate::target::{Action, Listen, NoConnection, Read, Shown, Unavailable};

/// A client under test that connected and sent its hello.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Its session.
    pub who: Who,
    /// Where it connected.
    pub door: Door,
    /// Its hello.
    pub hello: ClientHello,
}

/// A client under test that made a queue and shows its messages.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Its session.
    pub who: Who,
    /// NEW as it came.
    pub asked: Asked,
    /// What NEW says.
    pub new: NewQueue,
    /// The queue's recipient id.
    pub id: EntityId,
    /// The queue's sender id.
    pub sender_id: EntityId,
    /// The address that the client shows.
    pub address: QueueAddress,
    /// Between router and client.
    router_secret: SharedSecret,
    /// The suite's key as the sender.
    sender_key: X25519Secret,
}

/// The queue that a client under test sends to, as its recipient knows it.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The address that the client is given.
    pub address: QueueAddress,
    /// The secret key to the one in the address.
    dh_key: X25519Secret,
}

/// What a client's envelope holds, opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The envelope's version.
    pub version: u16,
    /// Whether it has the sender's key.
    pub confirmation: bool,
    /// The envelope's nonce.
    pub nonce: [u8; 24],
    /// The padded size of what is inside.
    pub size: usize,
    /// What is inside.
    pub content: Vec<u8>,
}

impl Lab<'_> {
    /// Has the client under test do something.
    ///
    /// # Errors
    /// [`Failure::Skipped`] where it can't.
    pub fn act(&mut self, action: &Action) -> Result<(), Failure> {
        self.note(None, format!("the client is asked to {action}"));
        self.instance.act(action).map_err(|Unavailable(reason)| Failure::Skipped(reason))
    }

    /// What the client shows, waited for until it shows `lines` lines or ends, for as long as patience goes.
    pub fn shown(&mut self, lines: usize) -> Shown {
        let patience = self.patience();
        self.shown_within(lines, patience)
    }

    /// The same, waited for `time` nanoseconds at most.
    pub fn shown_within(&mut self, lines: usize, time: u64) -> Shown {
        let shown = self.instance.shown(lines, time);
        let last = shown.lines.iter().skip(lines.saturating_sub(1)).map(|line| text(line));
        let text = format!("shown: {} ({})", last.collect::<Vec<_>>().join(", "), shown.state());
        self.note(None, text);
        shown
    }

    /// Expects that the client ends and says that it could not do what it was asked to.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn fails(&mut self) -> Result<(), Failure> {
        match self.shown(usize::MAX).ended {
            Some(false) => Ok(()),
            Some(true) => Err(Failure::wrong("the client says that it has done what it was asked to")),
            None => Err(Failure::wrong("the client does not say that it failed")),
        }
    }

    /// Expects that the client ends and says that it has done what it was asked to.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn succeeds(&mut self) -> Result<(), Failure> {
        match self.shown(usize::MAX).ended {
            Some(true) => Ok(()),
            Some(false) => Err(Failure::wrong("the client says that it failed")),
            None => Err(Failure::wrong("the client does not end")),
        }
    }

    /// A door with these certificates, under an address that names their identity.
    ///
    /// # Errors
    /// [`Failure::Skipped`] where nothing can reach the suite.
    pub fn door_of(&mut self, certified: &Certified) -> Result<Door, Failure> {
        let identity = certified.identity()?;
        self.door_with(|listen| {
            *listen = Listen { named: identity.identity_hash(), identity, ..listen.clone() }
        })
    }

    /// Authorities and a leaf of these keys.
    pub fn certified(&mut self, authorities: usize, keys: KeysOf) -> Certified {
        Authorities::new(authorities, keys, &mut self.rng).leaf(KeysOf::Ed25519, &mut self.rng)
    }

    /// A connection of the client to a door, on which the router's hello is written as `change` leaves it.
    ///
    /// # Errors
    /// [`Failure`] where it does not come.
    pub fn visit(
        &mut self,
        door: &Door,
        change: impl FnOnce(&mut RouterHello),
    ) -> Result<(Who, X25519Secret), Failure> {
        let who = self.accept(door)?;
        let version = self.version;
        let own = self.greet(who, door, |hello| {
            hello.versions = (6, version);
            hello.authenticated = version >= 7;
            change(hello);
        })?;
        Ok((who, own))
    }

    /// The rest of the handshake with an ordinary client.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for a hello that is none, [`Failure::Unsupported`] for a client that does not speak the
    /// version of this run.
    pub fn welcome(&mut self, door: &Door, (who, own): (Who, X25519Secret)) -> Result<Guest, Failure> {
        let hello = self.client_hello(who, own)?;
        let (spoken, version) = (hello.version, self.version);
        if spoken < version {
            let text = format!("the client speaks version {spoken} with a router that offers 6 to {version}");
            return Err(Failure::Unsupported(text));
        }
        require(spoken == version, || {
            format!("the client chose version {spoken}, offered were 6 to {version}")
        })?;
        Ok(Guest { who, door: door.clone(), hello })
    }

    /// A client that was asked to ping, connected and sent its hello, as ordinary ones do.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn pinging(&mut self) -> Result<Guest, Failure> {
        let door = self.door()?;
        self.act(&Action::Ping { router: door.address.clone() })?;
        let visit = self.visit(&door, |_| {})?;
        self.welcome(&door, visit)
    }

    /// A client that was asked to ping and is shown a hello that it has to refuse: it has to close the connection without
    /// a byte, and say that it failed.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn refuses_hello(
        &mut self,
        door: &Door,
        change: impl FnOnce(&mut RouterHello),
    ) -> Result<(), Failure> {
        self.act(&Action::Ping { router: door.address.clone() })?;
        let (who, _) = self.visit(door, change)?;
        self.leaves(who)?;
        self.fails()
    }

    /// Expects that the client closes the connection and writes nothing before it.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn leaves(&mut self, who: Who) -> Result<(), Failure> {
        let (line, patience) = (self.at(who)?.line, self.patience());
        let read = self.instance.read(line, patience);
        match read {
            Read::Closed(rest) if rest.is_empty() => {
                self.record(Some(who), Direction::Received, "closed".to_owned(), &[]);
                Ok(())
            }
            Read::Closed(bytes) | Read::Block(bytes) => {
                self.record(Some(who), Direction::Received, "bytes".to_owned(), &bytes);
                Err(Failure::wrong("the client goes on, it should close the connection without a byte"))
            }
            Read::Nothing => Err(Failure::wrong("the connection stays open, the client should close it")),
        }
    }

    /// Expects that the client writes no byte for as long as silence takes.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn writes_nothing(&mut self, who: Who) -> Result<(), Failure> {
        let (line, silence) = (self.at(who)?.line, self.instance.silence());
        match self.instance.read(line, silence) {
            Read::Nothing => Ok(()),
            Read::Closed(rest) if rest.is_empty() => Ok(()),
            Read::Closed(bytes) | Read::Block(bytes) => {
                self.record(Some(who), Direction::Received, "bytes".to_owned(), &bytes);
                Err(Failure::wrong("the client writes, it should wait for the router's hello"))
            }
        }
    }

    /// Expects that the client refuses the router in TLS, or closes the connection after it without a byte, and says that it
    /// failed. The router's hello is as it should be.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn refuses_certificates(&mut self, door: &Door) -> Result<(), Failure> {
        self.act(&Action::Ping { router: door.address.clone() })?;
        let patience = self.patience();
        match self.instance.accept(&door.address, patience) {
            Err(NoConnection::Tls(reason)) => {
                self.note(None, format!("TLS: {reason}"));
                self.fails()
            }
            Err(NoConnection::Unreachable(reason)) => Err(Failure::Unreachable(reason)),
            Err(NoConnection::Unavailable(reason)) => Err(Failure::Skipped(reason.to_owned())),
            Ok(None) => Err(Failure::wrong("the client does not connect")),
            // The router's side of TLS 1.3 may be done before the client refuses.
            Ok(Some((line, tls))) => {
                let who = self.side(line, tls, true);
                let version = self.version;
                self.greet(who, door, |hello| {
                    hello.versions = (6, version);
                    hello.authenticated = version >= 7;
                })?;
                self.leaves(who).map_err(|_| Failure::wrong("the client takes these certificates in TLS"))?;
                self.fails()
            }
        }
    }

    /// The next command, which has this tag.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for another one.
    pub fn command_of(&mut self, who: Who, tag: &str) -> Result<Asked, Failure> {
        let asked = self.command(who)?;
        let found = asked.tag();
        require(found == tag, || format!("the client sends {found}, expected {tag}"))?;
        Ok(asked)
    }

    /// Answers a command, under its ids.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn answer_to(&mut self, who: Who, asked: &Asked, response: &Response) -> Result<(), Failure> {
        let entity = match response {
            Response::Ids(_) | Response::Pong | Response::Pkey { .. } => EntityId::EMPTY,
            _ => asked.received.entity.clone(),
        };
        self.reply(who, &asked.received.corr, &entity, response)
    }

    /// Expects that the client sends nothing for as long as silence takes; it may close the connection.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for a command.
    pub fn says_nothing(&mut self, who: Who) -> Result<(), Failure> {
        match self.silence(who) {
            Err(Failure::Wrong(_)) if self.at(who)?.is_closed() => Ok(()),
            outcome => outcome,
        }
    }

    /// A client that was asked to receive, whose queue is made and whose address is shown.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn receiving(&mut self) -> Result<Recipient, Failure> {
        let door = self.door()?;
        self.act(&Action::Receive { router: door.address.clone() })?;
        let visit = self.visit(&door, |_| {})?;
        let guest = self.welcome(&door, visit)?;
        let asked = self.command_of(guest.who, "NEW")?;
        self.created(&guest, asked, |_| {})
    }

    /// Answers NEW by IDS as `change` leaves them, and waits for the address.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn created(
        &mut self,
        guest: &Guest,
        asked: Asked,
        change: impl FnOnce(&mut QueueIds),
    ) -> Result<Recipient, Failure> {
        let Ok(Command::New(new)) = asked.command.clone() else {
            let bytes = asked.received.command.iter().take(40).copied().collect::<Vec<_>>();
            return Err(Failure::Wrong(format!("NEW does not parse: `{}`", bytes.escape_ascii())));
        };
        let (id, sender_id) = (self.entity(), self.entity());
        let own = X25519Secret::generate(&mut self.rng);
        let sender_key = X25519Secret::generate(&mut self.rng);
        let mut ids = QueueIds {
            recipient: id.clone(),
            sender: sender_id.clone(),
            dh_key: own.public(),
            mode: new.queue.mode(),
            link: None,
            service: None,
            notifier: None,
        };
        change(&mut ids);
        self.answer_to(guest.who, &asked, &Response::Ids(Box::new(ids)))?;
        let shown = self.shown(1);
        let line = shown.lines.first().ok_or_else(|| Failure::wrong("the client shows no address"))?;
        let address: QueueAddress = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.trim().parse().ok())
            .ok_or_else(|| Failure::Wrong(format!("`{}` is no queue's address", text(line))))?;
        require(address.router.identity == guest.door.address.identity, || {
            "the address names another router".to_owned()
        })?;
        let router_secret = own.dh(&new.dh_key);
        let who = guest.who;
        Ok(Recipient { who, asked, new: *new, id, sender_id, address, router_secret, sender_key })
    }

    /// Expects that a command is authorized with this key for its session.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn authorized(&self, who: Who, asked: &Asked, key: &AuthPublicKey) -> Result<(), Failure> {
        let received = &asked.received;
        let own = &self.at(who)?.opened()?.own;
        let given = received.authorization.as_ref();
        let holds = given.is_some_and(|given| given.verifies(key, &received.text, &received.corr, own));
        require(holds, || format!("{} is not authorized with the key that it should be", asked.tag()))
    }

    /// Answers with these bytes where a response is.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn answer_bytes(&mut self, who: Who, asked: &Asked, bytes: &[u8]) -> Result<(), Failure> {
        let session = self.at(who)?.opened()?.session.clone();
        let (corr, entity) = (asked.received.corr.clone(), asked.received.entity.clone());
        let item = write_response(&session, corr, entity, bytes.to_vec()).map_err(Failure::error)?;
        self.write_items(who, &[item])
    }

    /// Sends an event with these bytes where a response is.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn push_bytes(&mut self, who: Who, entity: &EntityId, bytes: &[u8]) -> Result<(), Failure> {
        let session = self.at(who)?.opened()?.session.clone();
        let item = write_response(&session, CorrId::EMPTY, entity.clone(), bytes.to_vec())
            .map_err(Failure::error)?;
        self.write_items(who, &[item])
    }

    /// The content of the client's hello; the session is not opened.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if no block comes.
    pub fn raw_client_hello(&mut self, who: Who) -> Result<Vec<u8>, Failure> {
        let content = self.plain_content(who, "the client's hello")?;
        self.record(Some(who), Direction::Received, "client's hello".to_owned(), &content);
        Ok(content)
    }

    /// Whether the client sent a session key in its hello.
    ///
    /// # Errors
    /// [`Failure::Error`] before the hello.
    pub fn sent_session_key(&self, who: Who) -> Result<bool, Failure> {
        Ok(self.at(who)?.opened()?.peer_key.is_some())
    }

    /// How long silence has to last until it is believed, in nanoseconds.
    pub fn silence_time(&self) -> u64 {
        self.instance.silence()
    }

    fn entity(&mut self) -> EntityId {
        EntityId::from(random_nonce(&mut self.rng))
    }

    /// A fresh message id.
    pub fn message_id(&mut self) -> MsgId {
        MsgId::from(random_nonce(&mut self.rng))
    }

    /// The body of MSG that brings a text to the recipient as a sender sends it; with the sender's key where it is the
    /// first.
    ///
    /// # Errors
    /// [`Failure::Error`] for what does not fit.
    pub fn sent_by_suite(&mut self, to: &Recipient, first: bool, text: &str) -> Result<MessageBody, Failure> {
        let secret = to.sender_key.dh(&to.address.dh_key);
        let key = first.then(|| to.sender_key.public());
        let message = ClientMessage { sender_key: None, body: text.as_bytes().to_vec() };
        let version = to.address.versions.common(&CLIENT_VERSIONS).map_or(CLIENT_VERSIONS.max, |v| v.max);
        let nonce = random_nonce(&mut self.rng);
        let envelope = Envelope::seal(version, key, &secret, nonce, &message).map_err(Failure::error)?;
        let time = i64::try_from(self.now() / SECOND).unwrap_or(i64::MAX);
        Ok(MessageBody::Message { time, flags: MsgFlags::default(), body: envelope.encode() })
    }

    /// MSG with this body.
    ///
    /// # Errors
    /// [`Failure::Error`] for what does not fit.
    pub fn msg(&mut self, to: &Recipient, id: &MsgId, body: &MessageBody) -> Result<Response, Failure> {
        let sealed = body.seal(&to.router_secret, id).map_err(Failure::error)?;
        Ok(Response::Msg { id: id.clone(), body: sealed })
    }

    /// Delivers a text as an event; the message's id.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn deliver(&mut self, to: &Recipient, first: bool, text: &str) -> Result<MsgId, Failure> {
        let id = self.message_id();
        let body = self.sent_by_suite(to, first, text)?;
        let msg = self.msg(to, &id, &body)?;
        self.push(to.who, &to.id, &msg)?;
        Ok(id)
    }

    /// Sends an event.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn push(&mut self, who: Who, entity: &EntityId, event: &Response) -> Result<(), Failure> {
        self.reply(who, &CorrId::EMPTY, entity, event)
    }

    /// Expects ACK of this message for the recipient's queue, and gives it unanswered.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for anything else.
    pub fn unanswered_ack(&mut self, to: &Recipient, id: &MsgId) -> Result<Asked, Failure> {
        let asked = self.command_of(to.who, "ACK")?;
        let Ok(Command::Ack(found)) = &asked.command else {
            return Err(Failure::wrong("ACK does not parse"));
        };
        require(found == id, || "ACK is of another message than the one delivered".to_owned())?;
        require(asked.received.entity == to.id, || "ACK is for another queue".to_owned())?;
        Ok(asked)
    }

    /// Expects ACK of this message, and answers it by OK.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for anything else.
    pub fn acked(&mut self, to: &Recipient, id: &MsgId) -> Result<Asked, Failure> {
        let asked = self.unanswered_ack(to, id)?;
        self.answer_to(to.who, &asked, &Response::Ok)?;
        Ok(asked)
    }

    /// Expects that this is all that the client shows after the address.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn shows(&mut self, texts: &[&str]) -> Result<(), Failure> {
        let patience = if texts.is_empty() { self.instance.silence() } else { self.patience() };
        let shown = self.shown_within(1 + texts.len(), patience);
        let found: Vec<String> = shown.lines.iter().skip(1).map(|line| text(line)).collect();
        require(found == texts, || format!("the client shows {found:?}, expected {texts:?}"))
    }

    /// A queue of a router for a client to send to.
    pub fn destination(&mut self, door: &Door) -> Destination {
        let dh_key = X25519Secret::generate(&mut self.rng);
        let address = QueueAddress {
            router: door.address.clone(),
            sender_id: self.entity(),
            versions: CLIENT_VERSIONS,
            dh_key: dh_key.public(),
            mode: Some(QueueMode::Messaging),
        };
        Destination { address, dh_key }
    }

    /// A client that was asked to send these texts directly, connected and sent its hello.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn sender(&mut self, messages: &[&str]) -> Result<(Guest, Destination), Failure> {
        let door = self.door()?;
        let queue = self.destination(&door);
        self.act(&Action::send(&queue.address, messages, None))?;
        let visit = self.visit(&door, |_| {})?;
        Ok((self.welcome(&door, visit)?, queue))
    }

    /// Answers commands by OK until the client ends, as a router whose queue can be secured and takes every message. The
    /// commands as they came.
    ///
    /// # Errors
    /// [`Failure`] where the client does not end.
    pub fn serve_sender(&mut self, who: Who) -> Result<Vec<Asked>, Failure> {
        let mut commands = Vec::new();
        loop {
            match self.command(who) {
                Ok(asked) => {
                    self.answer_to(who, &asked, &Response::Ok)?;
                    commands.push(asked);
                }
                Err(_) if self.at(who)?.is_closed() => return Ok(commands),
                Err(failure) => return Err(failure),
            }
        }
    }
}

impl Asked {
    /// The command's tag, as far as the bytes have one.
    pub fn tag(&self) -> String {
        let tag = self.received.command.split(|byte| *byte == b' ').next().unwrap_or_default();
        tag.escape_ascii().to_string().chars().take(20).collect()
    }

    /// Expects that the command has neither authorization nor entity.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn bare(&self) -> Result<(), Failure> {
        let (tag, received) = (self.tag(), &self.received);
        let none = received.authorization.as_ref().is_some_and(|given| given.is_none());
        require(none, || format!("{tag} is authorized, it must not be"))?;
        require(received.entity.is_empty(), || format!("{tag} names an entity, it must not"))
    }
}

impl Destination {
    /// What is inside the body of SEND. `sender` is the key of the confirmation, where there was one before.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for what a recipient can't read.
    pub fn open(&self, body: &[u8], sender: &mut Option<X25519Public>) -> Result<Opened, Failure> {
        let envelope = Envelope::decode(body)
            .map_err(|error| Failure::Wrong(format!("the body of SEND is no envelope: {error}")))?;
        *sender = envelope.key.or(*sender);
        let key = sender.ok_or_else(|| Failure::wrong("the first envelope has no key"))?;
        let size = envelope.sealed.len().saturating_sub(16);
        let content = open_padded(&self.dh_key.dh(&key), &envelope.nonce, &envelope.sealed)
            .map_err(|error| Failure::Wrong(format!("an envelope that its recipient can't open: {error}")))?;
        let (version, confirmation) = (envelope.version, envelope.key.is_some());
        Ok(Opened { version, confirmation, nonce: envelope.nonce, size, content })
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}
