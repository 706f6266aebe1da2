//! Blocks and transmissions of one session: writing them, waiting for them.

use std::collections::{BTreeMap, VecDeque};

use sxlab_protocol::crypto::keys::{SharedSecret, X25519Public, X25519Secret};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{
    BLOCK_SIZE, BlockCodec, Received, Session, content, read_transmission, unpack,
};
use sxlab_protocol::wire::{CorrId, EntityId};

use super::answer::{self, Answer, EVENT};
use super::{Direction, Failure, Lab, Request, Who, require};
use crate::target::{Line, Read, Tls};

/// The suite's side of a session.
pub(super) struct Side {
    pub(super) line: Line,
    pub(super) tls: Tls,
    /// Whether the suite is the router here.
    pub(super) serves: bool,
    /// The router's identity, from its address.
    pub(super) identity: Option<[u8; 32]>,
    /// The router's session key, from its hello.
    pub(super) router_key: Option<X25519Public>,
    pub(super) open: Option<Open>,
    pub(super) inbox: VecDeque<Arrived>,
    blocks: usize,
    closed: bool,
    asked: BTreeMap<Vec<u8>, String>,
}

/// A session after its hellos.
pub(super) struct Open {
    pub(super) session: Session,
    pub(super) codec: BlockCodec,
    /// X25519 of the session keys, where both were sent.
    pub(super) secret: Option<SharedSecret>,
    pub(super) peer_key: Option<X25519Public>,
    pub(super) own: X25519Secret,
}

/// A transmission that arrived and was not taken yet.
pub(super) struct Arrived {
    pub(super) received: Received,
    pub(super) block: usize,
    pub(super) index: usize,
    pub(super) batch: usize,
    pub(super) at: u64,
}

/// What waiting for a block found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pumped {
    Block,
    Closed,
    Nothing,
}

impl Side {
    pub(super) fn new(line: Line, tls: Tls, serves: bool) -> Self {
        Self {
            line,
            tls,
            serves,
            identity: None,
            router_key: None,
            open: None,
            inbox: VecDeque::new(),
            blocks: 0,
            closed: false,
            asked: BTreeMap::new(),
        }
    }

    pub(super) fn expected(&self) -> Result<[u8; 32], Failure> {
        self.identity.ok_or_else(|| Failure::error("the other end is not a router"))
    }

    /// Whether the connection was seen to end.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn opened(&self) -> Result<&Open, Failure> {
        self.open.as_ref().ok_or_else(|| Failure::error("the session had no hellos"))
    }

    pub(super) fn opened_mut(&mut self) -> Result<&mut Open, Failure> {
        self.open.as_mut().ok_or_else(|| Failure::error("the session had no hellos"))
    }

    fn answer(&mut self, arrived: Arrived) -> Result<Answer, Failure> {
        let response = Response::decode(&arrived.received.command, &self.opened()?.session.layout);
        let corr = arrived.received.corr;
        let asked = match self.asked.get(corr.as_bytes()) {
            Some(asked) => asked.clone(),
            None => EVENT.to_owned(),
        };
        let Arrived { block, index, batch, at, .. } = arrived;
        let (entity, bytes) = (arrived.received.entity, arrived.received.command);
        let authorization = arrived.received.authorization;
        let authorization = authorization.map(|signed| signed.as_bytes().to_vec()).unwrap_or_default();
        Ok(Answer { asked, corr, entity, authorization, bytes, response, block, index, batch, at })
    }
}

impl Lab<'_> {
    /// The item of a batch that this request is, and its correlation id.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn item(&mut self, who: Who, request: &Request) -> Result<(CorrId, Vec<u8>), Failure> {
        let corr = request.corr.clone().unwrap_or_else(|| self.corr());
        let side = self.at_mut(who)?;
        side.asked.insert(corr.as_bytes().to_vec(), request.name());
        let open = side.opened()?;
        let item = request.item(&open.session, &corr, open.peer_key.as_ref())?;
        Ok((corr, item))
    }

    /// Writes one block with this request.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn post(&mut self, who: Who, request: impl Into<Request>) -> Result<CorrId, Failure> {
        let (corr, item) = self.item(who, &request.into())?;
        self.write_items(who, &[item])?;
        Ok(corr)
    }

    /// Writes one block with all these requests.
    ///
    /// # Errors
    /// [`Failure::Error`] for what can't be written.
    pub fn post_batch(&mut self, who: Who, requests: &[Request]) -> Result<Vec<CorrId>, Failure> {
        let written = requests.iter().map(|request| self.item(who, request));
        let (corrs, items): (Vec<_>, Vec<_>) = written.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        self.write_items(who, &items)?;
        Ok(corrs)
    }

    /// Writes one block with these items, each after its length.
    ///
    /// # Errors
    /// [`Failure::Error`] for more than fits.
    pub fn write_items(&mut self, who: Who, items: &[Vec<u8>]) -> Result<(), Failure> {
        let content = content(items.iter().map(Vec::as_slice)).map_err(Failure::error)?;
        self.write_content(who, &content)
    }

    /// Writes one block with this content: what is padded, and encrypted where the session is.
    ///
    /// # Errors
    /// [`Failure::Error`] for more than fits.
    pub fn write_content(&mut self, who: Who, content: &[u8]) -> Result<(), Failure> {
        let side = self.at_mut(who)?;
        let (line, router) = (side.line, side_is_router(side.serves, true));
        let open = side.opened_mut()?;
        let text = describe(&open.session, content, router);
        let block = open.codec.seal(content).map_err(Failure::error)?;
        self.record(Some(who), Direction::Sent, text, content);
        self.instance.write(line, &block);
        Ok(())
    }

    /// Writes bytes as they are: `false` if the target has closed.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn write_raw(&mut self, who: Who, bytes: &[u8]) -> Result<bool, Failure> {
        let line = self.at(who)?.line;
        self.record(Some(who), Direction::Sent, format!("{} bytes as they are", bytes.len()), bytes);
        Ok(self.instance.write(line, bytes))
    }

    /// Reads the next block as it came, neither decrypted nor looked at.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if none comes.
    pub fn read_raw(&mut self, who: Who) -> Result<Vec<u8>, Failure> {
        let (line, patience) = (self.at(who)?.line, self.patience());
        match self.instance.read(line, patience) {
            Read::Block(block) => {
                self.record(Some(who), Direction::Received, "a block as it is".to_owned(), &block);
                Ok(block)
            }
            Read::Closed(_) => {
                Err(Failure::wrong("the target closed the connection, it should send a block"))
            }
            Read::Nothing => Err(Failure::wrong("the target does not send a block")),
        }
    }

    /// The block that would carry this content, without writing it. Where blocks are encrypted the key has stepped.
    ///
    /// # Errors
    /// [`Failure::Error`] for more than fits.
    pub fn seal(&mut self, who: Who, content: &[u8]) -> Result<Vec<u8>, Failure> {
        self.at_mut(who)?.opened_mut()?.codec.seal(content).map_err(Failure::error)
    }

    /// Ends the connection from the suite's side.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn close(&mut self, who: Who) -> Result<(), Failure> {
        let line = self.at(who)?.line;
        self.note(Some(who), "closed by the suite".to_owned());
        self.instance.close(line);
        Ok(())
    }

    /// The answer to a request.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if there is none.
    pub fn ask(&mut self, who: Who, request: impl Into<Request>) -> Result<Answer, Failure> {
        let corr = self.post(who, request)?;
        self.answer(who, &corr)
    }

    /// The answers to requests of one block, in the order of the requests.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if one is missing.
    pub fn ask_batch(&mut self, who: Who, requests: &[Request]) -> Result<Vec<Answer>, Failure> {
        let corrs = self.post_batch(who, requests)?;
        corrs.iter().map(|corr| self.answer(who, corr)).collect()
    }

    /// The answer with this correlation id.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if there is none.
    pub fn answer(&mut self, who: Who, corr: &CorrId) -> Result<Answer, Failure> {
        let asked = self.at(who)?.asked.get(corr.as_bytes()).cloned().unwrap_or_default();
        self.take(who, &format!("answer {asked}"), |received| received.corr == *corr)
    }

    /// The next event: a transmission without correlation id.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if none comes.
    pub fn event(&mut self, who: Who) -> Result<Answer, Failure> {
        self.take(who, "send an event", |received| received.corr.is_empty())
    }

    /// The next event about this entity.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if none comes.
    pub fn event_of(&mut self, who: Who, entity: &EntityId) -> Result<Answer, Failure> {
        let matches = |received: &Received| received.corr.is_empty() && received.entity == *entity;
        self.take(who, "send an event about that entity", matches)
    }

    /// The next transmission, whatever it is.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if none comes.
    pub fn next(&mut self, who: Who) -> Result<Answer, Failure> {
        self.take(who, "send anything", |_| true)
    }

    /// The transmissions of the next block.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if none comes.
    pub fn next_block(&mut self, who: Who) -> Result<Vec<Answer>, Failure> {
        let first = self.next(who)?;
        let mut answers = vec![first];
        let side = self.at_mut(who)?;
        while side.inbox.front().is_some_and(|next| answers.iter().any(|a| a.block == next.block)) {
            if let Some(arrived) = side.inbox.pop_front() {
                answers.push(side.answer(arrived)?);
            }
        }
        Ok(answers)
    }

    pub(super) fn take(
        &mut self,
        who: Who,
        what: &str,
        matches: impl Fn(&Received) -> bool,
    ) -> Result<Answer, Failure> {
        let arrived = self.take_arrived(who, what, matches)?;
        self.at_mut(who)?.answer(arrived)
    }

    pub(super) fn take_arrived(
        &mut self,
        who: Who,
        what: &str,
        matches: impl Fn(&Received) -> bool,
    ) -> Result<Arrived, Failure> {
        let until = self.now().saturating_add(self.patience());
        loop {
            let side = self.at_mut(who)?;
            if let Some(found) = side.inbox.iter().position(|arrived| matches(&arrived.received)) {
                return side.inbox.remove(found).ok_or_else(|| Failure::error("lost a transmission"));
            }
            let left = until.saturating_sub(self.now());
            let instead = match self.pump(who, left)? {
                Pumped::Block => continue,
                Pumped::Closed => "the target closed the connection, it should",
                Pumped::Nothing => "the target does not",
            };
            let waiting = self.waiting(who)?;
            let waiting = if waiting.is_empty() { waiting } else { format!("; what came: {waiting}") };
            return Err(Failure::Wrong(format!("{instead} {what}{waiting}")));
        }
    }

    /// What arrived and was not taken, in short.
    fn waiting(&mut self, who: Who) -> Result<String, Failure> {
        let side = self.at(who)?;
        let layout = side.opened()?.session.layout;
        let shown = side.inbox.iter().take(8).map(|arrived| {
            let bytes = &arrived.received.command;
            Response::decode(bytes, &layout).map_or_else(
                |_| bytes.escape_ascii().to_string().chars().take(40).collect(),
                |r| answer::text(&r),
            )
        });
        Ok(shown.collect::<Vec<_>>().join(", "))
    }

    /// Expects that nothing comes, now and for as long as silence takes, and that the connection stays.
    ///
    /// # Errors
    /// [`Failure::Wrong`] with what came.
    pub fn silence(&mut self, who: Who) -> Result<(), Failure> {
        self.silence_for(who, self.instance.silence())
    }

    /// Expects that nothing comes for `time` nanoseconds, and that the connection stays.
    ///
    /// # Errors
    /// [`Failure::Wrong`] with what came.
    pub fn silence_for(&mut self, who: Who, time: u64) -> Result<(), Failure> {
        if self.at(who)?.inbox.is_empty() {
            match self.pump(who, time)? {
                Pumped::Nothing => return Ok(()),
                Pumped::Closed => {
                    return Err(Failure::wrong("the target closed the connection, it should stay"));
                }
                Pumped::Block => {}
            }
        }
        let waiting = self.waiting(who)?;
        Err(Failure::Wrong(format!("nothing should come, but there is {waiting}")))
    }

    /// Expects that the target closes the connection, and says nothing before it.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn closed(&mut self, who: Who) -> Result<(), Failure> {
        self.closed_within(who, self.patience())
    }

    /// Expects that the target closes the connection within `time` nanoseconds, and says nothing before it.
    ///
    /// # Errors
    /// [`Failure::Wrong`].
    pub fn closed_within(&mut self, who: Who, time: u64) -> Result<(), Failure> {
        let line = self.at(who)?.line;
        match self.instance.read(line, time) {
            Read::Closed(rest) => {
                self.record(Some(who), Direction::Received, "closed".to_owned(), &rest);
                self.at_mut(who)?.closed = true;
                require(rest.is_empty(), || {
                    format!("the target closed after {} bytes of a block", rest.len())
                })
            }
            Read::Nothing => Err(Failure::wrong("the connection stays open, the target should close it")),
            Read::Block(block) => {
                self.record(Some(who), Direction::Received, "a block instead of the end".to_owned(), &block);
                Err(Failure::wrong("the target sends a block, it should close the connection without a word"))
            }
        }
    }

    /// Reads the next block into the inbox.
    fn pump(&mut self, who: Who, patience: u64) -> Result<Pumped, Failure> {
        let side = self.at(who)?;
        if side.closed {
            return Ok(Pumped::Closed);
        }
        let line = side.line;
        match self.instance.read(line, patience) {
            Read::Nothing => Ok(Pumped::Nothing),
            Read::Closed(rest) => {
                self.record(Some(who), Direction::Received, "closed".to_owned(), &rest);
                self.at_mut(who)?.closed = true;
                Ok(Pumped::Closed)
            }
            Read::Block(block) => {
                self.received(who, &block)?;
                Ok(Pumped::Block)
            }
        }
    }

    fn received(&mut self, who: Who, block: &[u8]) -> Result<(), Failure> {
        let now = self.now();
        let side = self.at_mut(who)?;
        side.blocks += 1;
        let (number, serves) = (side.blocks, side.serves);
        let open = side.opened_mut()?;
        let content = match open.codec.open(block) {
            Ok(content) => content,
            Err(error) => {
                self.record(Some(who), Direction::Received, format!("a block: {error}"), block);
                return Err(Failure::Wrong(format!("block {number} of the target can't be opened: {error}")));
            }
        };
        let session = open.session.clone();
        let text = describe(&session, &content, side_is_router(serves, false));
        self.record(Some(who), Direction::Received, text, &content);
        require(block.len() == BLOCK_SIZE, || format!("a block of {} bytes", block.len()))?;
        let wrong = |error| Failure::Wrong(format!("block {number} of the target is no batch: {error}"));
        let items = unpack(&content).map_err(wrong)?;
        let batch = items.len();
        for (index, item) in items.into_iter().enumerate() {
            let received = read_transmission(&session, item).map_err(|error| {
                Failure::Wrong(format!("item {index} of block {number} of the target: {error}"))
            })?;
            require(received.right_session, || {
                "a transmission of the target has another session id".to_owned()
            })?;
            self.at_mut(who)?.inbox.push_back(Arrived { received, block: number, index, batch, at: now });
        }
        Ok(())
    }
}

/// Whether what is written, or read, is a router's.
fn side_is_router(serves: bool, written: bool) -> bool {
    serves == written
}

/// A block's content, for people.
fn describe(session: &Session, content: &[u8], router: bool) -> String {
    let Ok(items) = unpack(content) else {
        return format!("content of {} bytes that is no batch", content.len());
    };
    let mut lines: Vec<String> = Vec::new();
    for item in items.iter().take(20) {
        lines.push(match read_transmission(session, item) {
            Err(error) => format!("{} bytes that are no transmission: {error}", item.len()),
            Ok(received) => transmission(session, &received, router),
        });
    }
    if items.len() > lines.len() {
        lines.push(format!("and {} more", items.len() - lines.len()));
    }
    lines.join("\n")
}

fn transmission(session: &Session, received: &Received, router: bool) -> String {
    let short = |bytes: &[u8]| match bytes {
        [] => "-".to_owned(),
        _ => super::trace::hex(bytes.get(..4).unwrap_or(bytes)),
    };
    let what = match Response::decode(&received.command, &session.layout) {
        Ok(response) if router => answer::text(&response),
        _ => received.command.escape_ascii().to_string().chars().take(60).collect(),
    };
    let signed = match &received.authorization {
        Some(authorization) => authorization.as_bytes().len().to_string(),
        None => "?".to_owned(),
    };
    format!(
        "corr {} entity {} auth {signed} | {what}",
        short(received.corr.as_bytes()),
        short(received.entity.as_bytes())
    )
}
