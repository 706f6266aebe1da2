//! What is under test, and how a case reaches it.
//!
//! A suite plays one side of the protocol, what is under test the other. A [`Target`] is something to test: our router in
//! this process, a router at an address, a client to spawn. It starts an [`Instance`] for each run of a case, with the
//! settings that the case needs, or says why it can't. All that a case can do to an instance is in [`Instance`]:
//! connections in either direction, blocks of bytes, time, and what an operator does.
//!
//! Calls return when they are done; none needs another thread or task of the caller. Time belongs to the instance: where
//! it is virtual, waiting costs nothing and a peer that says nothing is told from one that is slow.

mod action;
pub mod client_pair;
mod look;
pub mod names;
pub mod pair;
pub mod provided;
pub mod sockets;
pub mod spawned;
pub mod spawned_client;
pub mod turmoil;
mod wires;

pub use action::{Action, Shown};
pub use look::{Look, Looked};
pub use names::{Lookups, NameAnswer, Names};

use std::fmt;
use std::sync::Arc;

use sxlab_node::identity::RouterIdentity;
use sxlab_protocol::smp::error::BlockingInfo;
use sxlab_protocol::wire::{EntityId, RouterAddress};

/// A connection of an instance, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line(pub usize);

/// How the suite connects to the router under test.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Application protocols to offer in TLS, the preferred one first; none offers none.
    pub alpn: Vec<Vec<u8>>,
    /// The certificates to present as a client; ordinary clients have none.
    pub identity: Option<Arc<RouterIdentity>>,
    /// Which router: one of [`Instance::further`]; `None` is the one under test.
    pub to: Option<RouterAddress>,
}

impl Default for Dial {
    /// As ordinary clients do.
    fn default() -> Self {
        Self { alpn: vec![b"smp/1".to_vec()], identity: None, to: None }
    }
}

/// How the suite waits for connections of what is under test: as the router, or as a relay that a proxy is to reach.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The certificates to present.
    pub identity: Arc<RouterIdentity>,
    /// The identity that the address names; another one than that of `identity` lets the peer find an impostor.
    pub named: [u8; 32],
    /// Application protocols that are known.
    pub alpn: Vec<Vec<u8>>,
    /// Whether the address is to have no port: the suite listens at the default one then.
    pub default_port: bool,
}

/// What TLS agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The session id, tls-unique, as the suite's own side sees it.
    pub session_id: Vec<u8>,
    /// The application protocol.
    pub alpn: Option<Vec<u8>>,
    /// The peer's certificates in DER, leaf first.
    pub chain: Vec<Vec<u8>>,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoConnection {
    /// Nothing answers there: it says nothing about the target's conformance.
    Unreachable(String),
    /// The target refused in TLS, or its TLS is not acceptable.
    Tls(String),
    /// The target has no such layer, for example no TLS.
    Unavailable(&'static str),
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The next block, of 16,384 bytes.
    Block(Vec<u8>),
    /// The peer closed; the bytes of a block that it did not finish.
    Closed(Vec<u8>),
    /// Nothing came for as long as was waited.
    Nothing,
}

/// Settings of a router that a case needs; `None` is the deployed router's default. Times are in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Messages that a queue holds.
    pub quota: Option<usize>,
    /// How long a message waits for its recipient.
    pub message_ttl: Option<u64>,
    /// How often expired messages are looked for.
    pub expiry_interval: Option<u64>,
    /// Whether SEND removes what is expired.
    pub expire_on_send: Option<bool>,
    /// How long END and DELD are collected.
    pub end_interval: Option<u64>,
    /// How long notifications are collected.
    pub notification_interval: Option<u64>,
    /// How long a notification waits.
    pub notification_ttl: Option<u64>,
    /// The password of NEW and PRXY.
    pub password: Option<String>,
    /// Whether queues may be made.
    pub new_queues: Option<bool>,
    /// Whether the router forwards as a proxy.
    pub proxy: Option<bool>,
    /// How long a client without subscriptions may say nothing, and how often such clients are looked for.
    pub inactive: Option<(u64, u64)>,
    /// How long a client may take for its hello.
    pub handshake_timeout: Option<u64>,
    /// The highest version offered.
    pub max_version: Option<u16>,
    /// What the resolver of names behind the router says. `None`: the router has no resolver.
    pub resolver: Option<Names>,
}

/// What an operator does to a router, outside the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Blocks the queue of a recipient or sender id.
    Block(EntityId, BlockingInfo),
    /// Ends the blocking.
    Unblock(EntityId),
    /// Stops the router in an orderly way and starts it again with what it keeps.
    Restart,
    /// Kills the router and starts it again with what it keeps.
    Kill,
}

/// Something that a target can't provide, with the reason: the case is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something to test.
pub trait Target {
    /// What results call it.
    fn name(&self) -> String;

    /// An instance for one run of a case. What is random in it follows from `seed` where it is ours.
    ///
    /// # Errors
    /// [`Unavailable`] where it can't have the settings.
    fn start(&self, settings: &Settings, seed: u64) -> Result<Box<dyn Instance>, Unavailable>;
}

/// What a case has before it. Dropping it ends what is under test, if it was started for it.
pub trait Instance {
    /// The address of the router under test; `None` where a client is.
    fn address(&self) -> Option<&RouterAddress>;

    /// Connects to the router under test.
    ///
    /// # Errors
    /// [`NoConnection`].
    fn connect(&mut self, how: &Dial) -> Result<(Line, Tls), NoConnection>;

    /// Looks at the TLS of the router under test.
    ///
    /// # Errors
    /// [`NoConnection`].
    fn look(&mut self, how: &Look) -> Result<Looked, NoConnection> {
        let _ = how;
        Err(NoConnection::Unavailable("the target is a client"))
    }

    /// What the resolver of names behind the router was asked since the case began.
    ///
    /// # Errors
    /// [`Unavailable`] where there is none.
    fn lookups(&mut self) -> Result<Lookups, Unavailable> {
        Err(Unavailable("no resolver of names".to_owned()))
    }

    /// The server that a client under test named in its TLS hello, on a connection of [`Instance::accept`].
    ///
    /// # Errors
    /// [`Unavailable`].
    fn server_name(&mut self, line: Line) -> Result<Option<String>, Unavailable> {
        let _ = line;
        Err(Unavailable("the target is not a client".to_owned()))
    }

    /// Starts a further router of the same kind, which the one under test can reach as a relay.
    ///
    /// # Errors
    /// [`Unavailable`] where there is none with these settings.
    fn further(&mut self, settings: &Settings) -> Result<RouterAddress, Unavailable> {
        let _ = settings;
        Err(Unavailable("no second router".to_owned()))
    }

    /// Waits for connections from now on; the address that a client, or a proxy's PRXY, is to be given.
    ///
    /// # Errors
    /// [`Unavailable`] where nothing can reach the suite.
    fn listen(&mut self, how: &Listen) -> Result<RouterAddress, Unavailable>;

    /// The next connection to an address of [`Instance::listen`], if one comes within `patience` nanoseconds.
    ///
    /// # Errors
    /// [`NoConnection::Tls`] when one came and ended in TLS.
    fn accept(&mut self, at: &RouterAddress, patience: u64) -> Result<Option<(Line, Tls)>, NoConnection>;

    /// Writes bytes; `false` if the peer has closed.
    fn write(&mut self, line: Line, bytes: &[u8]) -> bool;

    /// The next block, waited for up to `patience` nanoseconds.
    fn read(&mut self, line: Line, patience: u64) -> Read;

    /// Closes the suite's side.
    fn close(&mut self, line: Line);

    /// The time, in nanoseconds since the epoch.
    fn now(&self) -> u64;

    /// Lets time pass, in nanoseconds.
    fn wait(&mut self, time: u64);

    /// How long a case waits for what must come, in nanoseconds: short where time is virtual, generous elsewhere.
    fn patience(&self) -> u64;

    /// How long silence has to last until a case believes that nothing comes, in nanoseconds.
    fn silence(&self) -> u64;

    /// Does what an operator does.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn operate(&mut self, what: &Operation) -> Result<(), Unavailable>;

    /// Has the client under test do something; what it showed before is forgotten.
    ///
    /// # Errors
    /// [`Unavailable`] where it can't.
    fn act(&mut self, action: &Action) -> Result<(), Unavailable> {
        let _ = action;
        Err(Unavailable("the target is not a client".to_owned()))
    }

    /// What the client under test shows of what it was last asked to do, waited for until it shows at least `lines` lines
    /// or ends, up to `patience` nanoseconds.
    fn shown(&mut self, lines: usize, patience: u64) -> Shown {
        let _ = (lines, patience);
        Shown::default()
    }
}
