//! What a case works with: sessions with the target that can deviate in every field, and what is expected of it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`answer`] | what arrived, and expectations of it |
//! | [`certificates`] | chains of certificates, right and wrong ones |
//! | [`client`] | the suite as the router of a client under test |
//! | [`forwarding`] | the suite as the proxy of a client under test, and the relay behind it |
//! | [`failure`] | how a case ends when it does not pass |
//! | [`hello`] | handshakes, in both roles |
//! | [`queues`] | queues and their messages, in one call each |
//! | [`relay`] | the suite as a relay that a proxy reaches, and as the client of a proxy |
//! | [`request`] | transmissions to write |
//! | [`trace`] | what was exchanged, for the report |
//! | [`upstream`] | the suite as the proxy before a relay |
//! | [`service`] | services, and what they sign |
//! | `session` | blocks and transmissions of one session: writing, waiting |
//!
//! A case gets a [`Lab`] at one version. `lab.client()` opens a session as ordinary clients do, `lab.queue(alice)` makes a
//! queue, `lab.ask(alice, request)` gives the answer, and an [`Answer`] has the expectations. Every expectation
//! that fails ends the case with `?` and says what was expected and what came.

pub mod answer;
pub mod certificates;
pub mod client;
pub mod failure;
pub mod forwarding;
pub mod hello;
pub mod queues;
pub mod relay;
pub mod request;
pub mod service;
mod session;
pub mod trace;
pub mod upstream;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sxlab_protocol::crypto::hash::sha256;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::wire::{CorrId, LinkId, RouterAddress};

pub use answer::Answer;
pub use client::{Destination, Guest, Opened, Recipient};
pub use failure::{Failure, require, require_eq};
pub use forwarding::{Behind, Inner, Pkey};
pub use hello::{Hello, Offer, RouterHello};
pub use queues::{Message, QueueForm, TestQueue};
pub use relay::{Asked, Door, Route};
pub use request::Request;
pub use service::{Presented, Service};
use session::Side;
pub use trace::{Bytes, Direction, Exchange};
pub use upstream::{Returned, Upstream};

use crate::target::{
    Dial, Instance, Line, Look, Looked, Lookups, NoConnection, Operation, Settings, Tls, Unavailable,
};

/// A second, in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// The most bytes of one exchange that a trace keeps.
const TRACED: usize = 16_384;

/// The most exchanges of one run that a trace keeps.
const EXCHANGES: usize = 2_000;

/// A session of the suite, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who(usize);

/// What a case works with.
pub struct Lab<'a> {
    instance: &'a mut dyn Instance,
    version: u16,
    strict_document: bool,
    seed: u64,
    rng: ChaCha20Rng,
    sides: Vec<Side>,
    started: u64,
    trace: Vec<Exchange>,
    non_strict: Vec<String>,
}

impl<'a> Lab<'a> {
    /// At this version, with an instance that was just started. What is random follows from `seed`.
    pub fn new(instance: &'a mut dyn Instance, version: u16, strict_document: bool, seed: u64) -> Self {
        let started = instance.now();
        Self {
            instance,
            version,
            strict_document,
            seed,
            rng: ChaCha20Rng::seed_from_u64(seed),
            sides: Vec::new(),
            started,
            trace: Vec::new(),
            non_strict: Vec::new(),
        }
    }

    /// The version of this run.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// What the version decides.
    pub fn layout(&self) -> Layout {
        Layout::of(self.version)
    }

    /// Whether the published document is tested where the deployed implementation differs from it.
    pub fn strict_document(&self) -> bool {
        self.strict_document
    }

    /// Randomness of the case.
    pub fn rng(&mut self) -> &mut ChaCha20Rng {
        &mut self.rng
    }

    /// The address of the router under test.
    ///
    /// # Errors
    /// [`Failure::Error`] where the target is no router.
    pub fn address(&self) -> Result<RouterAddress, Failure> {
        self.instance.address().cloned().ok_or_else(|| Failure::error("the target is not a router"))
    }

    /// Looks at the router's TLS: what it shows, or how it refuses.
    ///
    /// # Errors
    /// [`Failure::Unreachable`], [`Failure::Skipped`].
    pub fn look(&mut self, how: &Look) -> Result<Result<Looked, String>, Failure> {
        let certificates = how.identity.as_ref().map_or(0, |identity| identity.chain().ders.len());
        let looked = self.instance.look(how);
        self.note(None, format!("looked at TLS with {certificates} certificates: {looked:?}"));
        match looked {
            Ok(looked) => Ok(Ok(looked)),
            Err(NoConnection::Tls(refused)) => Ok(Err(refused)),
            Err(NoConnection::Unreachable(reason)) => {
                Err(Failure::Unreachable(format!("could not connect: {reason}")))
            }
            Err(NoConnection::Unavailable(reason)) => Err(Failure::Skipped(reason.to_owned())),
        }
    }

    /// What the resolver of names behind the router was asked.
    ///
    /// # Errors
    /// [`Failure::Skipped`] where it is not the suite's.
    pub fn lookups(&mut self) -> Result<Lookups, Failure> {
        self.instance.lookups().map_err(|Unavailable(reason)| Failure::Skipped(reason))
    }

    /// The server that a client under test named in TLS.
    ///
    /// # Errors
    /// [`Failure::Skipped`] where that is not seen.
    pub fn server_name(&mut self, who: Who) -> Result<Option<String>, Failure> {
        let line = self.at(who)?.line;
        self.instance.server_name(line).map_err(|Unavailable(reason)| Failure::Skipped(reason))
    }

    /// Starts a further router of the same kind, which the one under test can reach as a relay.
    ///
    /// # Errors
    /// [`Failure::Skipped`] where there is none.
    pub fn further(&mut self, settings: &Settings) -> Result<RouterAddress, Failure> {
        self.instance.further(settings).map_err(|Unavailable(reason)| Failure::Skipped(reason))
    }

    /// The time, in nanoseconds since the epoch.
    pub fn now(&self) -> u64 {
        self.instance.now()
    }

    /// Lets time pass, in nanoseconds.
    pub fn wait(&mut self, time: u64) {
        self.instance.wait(time);
    }

    /// How long is waited for what must come, in nanoseconds.
    pub fn patience(&self) -> u64 {
        self.instance.patience()
    }

    /// Notes that the target does something that is tolerated but not what is required: the verdict is non-strict if
    /// nothing fails.
    pub fn non_strict(&mut self, text: impl Into<String>) {
        self.non_strict.push(text.into());
    }

    /// Does what an operator does.
    ///
    /// # Errors
    /// [`Failure::Skipped`] where the target can't.
    pub fn operate(&mut self, what: &Operation) -> Result<(), Failure> {
        self.note(None, format!("operator: {what:?}"));
        self.instance.operate(what).map_err(|Unavailable(reason)| Failure::Skipped(reason))
    }

    /// A new key.
    pub fn key(&mut self, key_type: KeyType) -> AuthSecretKey {
        AuthSecretKey::generate(key_type, &mut self.rng)
    }

    /// A new key for key agreement.
    pub fn dh_key(&mut self) -> X25519Secret {
        X25519Secret::generate(&mut self.rng)
    }

    /// A key as senders have: X25519, or Ed25519 at version 6, which has no authenticators.
    pub fn sender_key(&mut self) -> AuthSecretKey {
        self.key(if self.layout().handshake_key { KeyType::X25519 } else { KeyType::Ed25519 })
    }

    /// A link id for a queue of this run: the same for the same `which`, another one in another run, as routers that are
    /// tested for long have met those.
    pub fn link_id(&self, which: u8) -> LinkId {
        let name = [&self.seed.to_be_bytes()[..], &[which]].concat();
        let mut id = [0; 24];
        for (to, byte) in id.iter_mut().zip(sha256(&name)) {
            *to = byte;
        }
        LinkId::from(id)
    }

    /// A fresh correlation id of 24 bytes.
    pub fn corr(&mut self) -> CorrId {
        let mut bytes = [0; 24];
        self.rng.fill_bytes(&mut bytes);
        CorrId::from(bytes)
    }

    /// Connects to the router; nothing is read or written yet.
    ///
    /// # Errors
    /// [`Failure::Unreachable`] where nothing answers, [`Failure::Skipped`] where the target has no such layer,
    /// [`Failure::Wrong`] for a refusal in TLS.
    pub fn connect(&mut self, how: &Dial) -> Result<Who, Failure> {
        let connected = self.try_connect(how)?;
        connected.map_err(|refused| Failure::Wrong(format!("TLS: {refused}")))
    }

    /// The same, with a refusal in TLS as something that a case expects.
    ///
    /// # Errors
    /// [`Failure::Unreachable`], [`Failure::Skipped`].
    pub fn try_connect(&mut self, how: &Dial) -> Result<Result<Who, String>, Failure> {
        match self.instance.connect(how) {
            Ok((line, tls)) => {
                let who = self.side(line, tls, false);
                let to = how.to.as_ref().or(self.instance.address());
                let identity = to.map(|address| address.identity);
                self.at_mut(who)?.identity = identity;
                Ok(Ok(who))
            }
            Err(NoConnection::Tls(refused)) => {
                self.note(None, format!("TLS: {refused}"));
                Ok(Err(refused))
            }
            Err(NoConnection::Unreachable(reason)) => {
                Err(Failure::Unreachable(format!("could not connect: {reason}")))
            }
            Err(NoConnection::Unavailable(reason)) => Err(Failure::Skipped(reason.to_owned())),
        }
    }

    fn side(&mut self, line: Line, tls: Tls, serves: bool) -> Who {
        let who = Who(self.sides.len());
        let alpn = tls.alpn.as_ref().map_or("none".to_owned(), |name| name.escape_ascii().to_string());
        let text = format!("connected; session id {}, ALPN {alpn}", trace::hex(&tls.session_id));
        self.sides.push(Side::new(line, tls, serves));
        self.note(Some(who), text);
        who
    }

    fn at(&self, Who(who): Who) -> Result<&Side, Failure> {
        self.sides.get(who).ok_or_else(|| Failure::error("no such session"))
    }

    fn at_mut(&mut self, Who(who): Who) -> Result<&mut Side, Failure> {
        self.sides.get_mut(who).ok_or_else(|| Failure::error("no such session"))
    }

    /// What TLS agreed on.
    ///
    /// # Errors
    /// [`Failure::Error`].
    pub fn tls(&self, who: Who) -> Result<&Tls, Failure> {
        Ok(&self.at(who)?.tls)
    }

    fn note(&mut self, who: Option<Who>, text: String) {
        self.record(who, Direction::Note, text, &[]);
    }

    fn record(&mut self, who: Option<Who>, direction: Direction, text: String, bytes: &[u8]) {
        if self.trace.len() == EXCHANGES {
            let text = "more was exchanged than is kept".to_owned();
            let (line, at, bytes) = (String::new(), self.elapsed(), Bytes::default());
            self.trace.push(Exchange { line, direction: Direction::Note, at, text, bytes });
        }
        if self.trace.len() < EXCHANGES {
            let line = who.map(|Who(number)| self.line_name(number)).unwrap_or_default();
            let bytes = Bytes::new(bytes, TRACED);
            self.trace.push(Exchange { line, direction, at: self.elapsed(), text, bytes });
        }
    }

    fn line_name(&self, number: usize) -> String {
        let serves = self.sides.get(number).is_some_and(|side| side.serves);
        format!("{}{}", if serves { "relay" } else { "client" }, number + 1)
    }

    fn elapsed(&self) -> u64 {
        self.instance.now().saturating_sub(self.started)
    }

    /// What was exchanged, and what was tolerated.
    pub fn finish(self) -> (Vec<Exchange>, Vec<String>) {
        (self.trace, self.non_strict)
    }
}
