//! What a case works with: sessions with the router that can deviate in every byte, and what is expected of it.

use std::fmt;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType};
use sxlab_protocol::ntf::command::Command;
use sxlab_protocol::ntf::device::{Ask, Device};
use sxlab_protocol::ntf::handshake::{Agreed, BLOCK_SIZE, ClientHello, RouterHello};
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::router::RouterConfig;
use sxlab_protocol::transport::{Unsigned, authorize, content, read_transmission};
use sxlab_protocol::wire::{CorrId, EntityId, pad, unpad};

use super::pair::Running;
use crate::lab::{Bytes, Direction, Exchange, Failure, require, require_eq};

/// The most bytes of one exchange that a trace keeps; a push has some 4,300.
const TRACED: usize = 8_192;

/// The most exchanges that a trace keeps.
const EXCHANGES: usize = 2_000;

/// A session of the suite, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who(usize);

/// What a case works with.
pub struct NtfLab {
    pub(super) running: Running,
    version: u16,
    /// Sessions by number: the connection's session id, and the session after the hello.
    sides: Vec<(Vec<u8>, Option<Agreed>, Option<RouterHello>)>,
    started: u64,
    trace: Vec<Exchange>,
}

/// A transmission of the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its correlation id.
    pub corr: CorrId,
    /// The entity that it is for.
    pub entity: EntityId,
    /// What it says.
    pub response: Response,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.response {
            Response::Err(error) => write!(f, "ERR {error}"),
            Response::Tkn(status) => write!(f, "TKN {status}"),
            Response::Sub(status) => write!(f, "SUB {status}"),
            other => f.write_str(other.tag()),
        }
    }
}

impl Answer {
    /// Expects it to be this: `OK`, `ERR AUTH`, `TKN ACTIVE`; of IDTKN and IDSUB the tag alone.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn is(&self, expected: &str) -> Result<(), Failure> {
        require(self.to_string() == expected, || format!("the answer is {self}, expected {expected}"))
    }
}

impl NtfLab {
    pub(crate) fn new(running: Running, version: u16) -> Self {
        let started = running.now;
        Self { running, version, sides: Vec::new(), started, trace: Vec::new() }
    }

    /// The version of this run.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Randomness of the case.
    pub fn rng(&mut self) -> &mut ChaCha20Rng {
        &mut self.running.rng
    }

    /// A new key.
    pub fn key(&mut self, key_type: KeyType) -> AuthSecretKey {
        AuthSecretKey::generate(key_type, &mut self.running.rng)
    }

    /// Nanoseconds since the case began.
    pub fn elapsed(&self) -> u64 {
        self.running.now.saturating_sub(self.started)
    }

    /// What was exchanged.
    pub(crate) fn finish(self) -> Vec<Exchange> {
        self.trace
    }

    pub(super) fn record(&mut self, line: &str, direction: Direction, text: String, bytes: &[u8]) {
        if self.trace.len() < EXCHANGES {
            let bytes = Bytes::new(bytes, TRACED);
            let at = self.elapsed();
            self.trace.push(Exchange { line: line.to_owned(), direction, at, text, bytes });
        }
    }

    pub(super) fn note(&mut self, text: String) {
        self.record("", Direction::Note, text, &[]);
    }

    /// Lets time pass, in nanoseconds.
    pub fn pass(&mut self, time: u64) {
        self.running.pass(time);
    }

    /// Restarts the router with what it keeps, and with another configuration if `change` makes it one. Sessions end.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn restart(&mut self, change: impl FnOnce(&mut RouterConfig)) -> Result<(), Failure> {
        self.note("the router is restarted".to_owned());
        self.running.restart(change)
    }

    /// Connects, with ALPN or without; nothing is read or written yet.
    pub fn connect(&mut self, alpn: bool) -> Who {
        let (line, id) = self.running.connect(alpn);
        let text = format!("connected, {} ALPN", if alpn { "with" } else { "without" });
        self.sides.push((id, None, None));
        self.record(&name(line), Direction::Note, text, &[]);
        Who(line)
    }

    /// A session as ordinary devices open it, at the version of this run.
    ///
    /// # Errors
    /// [`Failure::Wrong`] where it can't be opened as required.
    pub fn client(&mut self) -> Result<Who, Failure> {
        let who = self.connect(true);
        self.router_hello(who)?;
        let (version, identity) = (self.version, self.running.identity.identity_hash());
        self.hello(who, version, identity, &[])?;
        Ok(who)
    }

    /// The identity in the router's address.
    pub fn identity(&self) -> [u8; 32] {
        self.running.identity.identity_hash()
    }

    /// Reads the router's hello and checks it as a device has to.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for one that no device accepts.
    pub fn router_hello(&mut self, who: Who) -> Result<RouterHello, Failure> {
        let block = self.running.read(who.0).ok_or_else(|| Failure::wrong("the router sends no hello"))?;
        require_eq("the length of the router's hello", block.len(), BLOCK_SIZE)?;
        let content =
            unpad(&block).map_err(|error| Failure::wrong(format!("the router's hello: {error}")))?;
        let hello = RouterHello::decode(content)
            .map_err(|error| Failure::wrong(format!("the router's hello does not parse: {error}")))?;
        let (min, max) = (hello.versions.min, hello.versions.max);
        let key = if hello.key.is_some() { "a session key" } else { "no session key" };
        self.record(
            &name(who.0),
            Direction::Received,
            format!("router's hello: versions {min}-{max}, {key}"),
            content,
        );
        let leaf = self.running.identity.chain().leaf_public_key().map_err(Failure::error)?;
        let side = self.sides.get_mut(who.0).ok_or_else(|| Failure::error("no such session"))?;
        require(hello.session_id == side.0, || "the session id in the router's hello is another".to_owned())?;
        if let Some(key) = &hello.key {
            key.verify(&leaf)
                .map_err(|error| Failure::wrong(format!("the router's session key: {error}")))?;
        }
        side.2 = Some(hello.clone());
        Ok(hello)
    }

    /// Writes a hello, with these bytes after its fields, and takes the session as agreed on.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn hello(&mut self, who: Who, version: u16, identity: [u8; 32], tail: &[u8]) -> Result<(), Failure> {
        let mut content = ClientHello { version, identity }.encode().map_err(Failure::error)?;
        content.extend_from_slice(tail);
        self.record(&name(who.0), Direction::Sent, format!("client's hello: version {version}"), &content);
        let leaf = self.running.identity.chain().leaf_public_key().map_err(Failure::error)?;
        let side = self.sides.get_mut(who.0).ok_or_else(|| Failure::error("no such session"))?;
        let key = side.2.as_ref().and_then(|hello| hello.key.as_ref());
        let key = key.and_then(|key| key.verify(&leaf).ok());
        side.1 = Some(Agreed::new(version, side.0.clone(), key));
        let block = pad(&content, BLOCK_SIZE).map_err(Failure::error)?;
        self.running.write(who.0, &block);
        Ok(())
    }

    fn agreed(&mut self, who: Who) -> Result<&mut Agreed, Failure> {
        let side = self.sides.get_mut(who.0).and_then(|(_, agreed, _)| agreed.as_mut());
        side.ok_or_else(|| Failure::error("no session"))
    }

    /// Whether the router closed the connection.
    pub fn is_closed(&self, who: Who) -> bool {
        self.running.is_closed(who.0)
    }

    /// Expects the connection to be closed, or open.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn closed(&mut self, who: Who, expected: bool) -> Result<(), Failure> {
        require_eq("whether the router closed the connection", self.is_closed(who), expected)
    }

    /// A fresh correlation id.
    pub fn corr(&mut self) -> CorrId {
        let mut bytes = [0; 24];
        self.running.rng.fill_bytes(&mut bytes);
        CorrId::from(bytes)
    }

    /// A transmission of any bytes.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn item(
        &mut self,
        who: Who,
        corr: &CorrId,
        entity: &EntityId,
        command: &[u8],
        key: Option<&AuthSecretKey>,
    ) -> Result<Vec<u8>, Failure> {
        let unsigned = Unsigned { corr: corr.clone(), entity: entity.clone(), command: command.to_vec() };
        let agreed = self.agreed(who)?;
        authorize(&agreed.session, &unsigned, key, agreed.router_key.as_ref()).map_err(Failure::error)
    }

    /// Writes transmissions: from version 2 on in one block, at version 1 each in its own.
    ///
    /// # Errors
    /// [`Failure::Error`] for what does not fit.
    pub fn post(&mut self, who: Who, items: &[Vec<u8>]) -> Result<(), Failure> {
        if self.agreed(who)?.session.layout.batched {
            let content = content(items.iter().map(Vec::as_slice)).map_err(Failure::error)?;
            return self.post_content(who, &content);
        }
        items.iter().try_for_each(|item| self.post_content(who, item))
    }

    /// Writes a block with this content.
    ///
    /// # Errors
    /// [`Failure::Error`] for too much.
    pub fn post_content(&mut self, who: Who, content: &[u8]) -> Result<(), Failure> {
        let block = pad(content, BLOCK_SIZE).map_err(Failure::error)?;
        self.record(&name(who.0), Direction::Sent, "a block".to_owned(), content);
        self.running.write(who.0, &block);
        Ok(())
    }

    /// Writes bytes, whatever they are.
    pub fn post_bytes(&mut self, who: Who, bytes: &[u8]) {
        self.record(&name(who.0), Direction::Sent, "bytes".to_owned(), bytes);
        self.running.write(who.0, bytes);
    }

    /// What came: for each block its transmissions.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for what does not parse.
    pub fn blocks(&mut self, who: Who) -> Result<Vec<Vec<Answer>>, Failure> {
        let mut blocks = Vec::new();
        while let Some(block) = self.running.read(who.0) {
            require_eq("the length of a block", block.len(), BLOCK_SIZE)?;
            let wrong = |error: &dyn fmt::Display| Failure::wrong(format!("the router's block: {error}"));
            let agreed = self.agreed(who)?;
            let content = agreed.open(&block).map_err(|error| wrong(&error))?;
            let (agreed, mut answers) = (agreed.clone(), Vec::new());
            for item in agreed.unpack(&content).map_err(|error| wrong(&error))? {
                let received = read_transmission(&agreed.session, item).map_err(|error| wrong(&error))?;
                require(received.right_session, || "an answer has another session id".to_owned())?;
                require(received.authorization.is_some_and(|authorization| authorization.is_none()), || {
                    "an answer has an authorization".to_owned()
                })?;
                let response = Response::decode(&received.command).map_err(|error| wrong(&error))?;
                answers.push(Answer { corr: received.corr, entity: received.entity, response });
            }
            let text = answers.iter().map(Answer::to_string).collect::<Vec<_>>().join("\n");
            self.record(&name(who.0), Direction::Received, text, &content);
            blocks.push(answers);
        }
        Ok(blocks)
    }

    /// All that came, whatever the blocks.
    ///
    /// # Errors
    /// As [`Self::blocks`].
    pub fn answers(&mut self, who: Who) -> Result<Vec<Answer>, Failure> {
        Ok(self.blocks(who)?.into_iter().flatten().collect())
    }

    /// A command of any bytes, and the answer: its ids must be the command's.
    ///
    /// # Errors
    /// [`Failure::Wrong`] without one answer.
    pub fn raw(
        &mut self,
        who: Who,
        entity: &EntityId,
        command: &[u8],
        key: Option<&AuthSecretKey>,
    ) -> Result<Answer, Failure> {
        let corr = self.corr();
        let item = self.item(who, &corr, entity, command, key)?;
        self.post(who, &[item])?;
        let answer = self.one(who)?;
        require(answer.corr == corr, || format!("the answer {answer} has another correlation id"))?;
        require(answer.entity == *entity, || format!("the answer {answer} is for another entity"))?;
        Ok(answer)
    }

    /// The one answer that came.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for none or several.
    pub fn one(&mut self, who: Who) -> Result<Answer, Failure> {
        let answers = self.answers(who)?;
        let count = answers.len();
        let [answer] = <[Answer; 1]>::try_from(answers)
            .map_err(|_| Failure::wrong(format!("{count} answers came, expected one")))?;
        Ok(answer)
    }

    /// A command and its answer.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn ask(
        &mut self,
        who: Who,
        entity: &EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<Answer, Failure> {
        let mut bytes = Vec::new();
        command.encode(&mut bytes).map_err(Failure::error)?;
        self.raw(who, entity, &bytes, key).map_err(|failure| failure.during(command.tag()))
    }

    /// What a device asks; it learns of the answer.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn tell(&mut self, who: Who, device: &mut Device, asked: Option<Ask>) -> Result<Answer, Failure> {
        let asked = asked.ok_or_else(|| Failure::error("the device can't ask for that yet"))?;
        let answer = self.ask(who, &asked.entity, &asked.command, Some(&asked.key))?;
        // A refusal is what the case looks at; the device learns nothing from it.
        let _ = device.answered(&asked, answer.response.clone());
        Ok(answer)
    }
}

/// A connection's name in traces.
fn name(line: usize) -> String {
    format!("device{}", line + 1)
}
