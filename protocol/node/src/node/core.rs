use sxlab_protocol::observe::{SessionNo, Sight};

use super::Node;
use crate::store::State;
use crate::world::World;

/// What TLS tells a router of a client.
#[derive(Debug)]
pub struct Connected<'a> {
    /// The client's network address.
    pub from: &'a str,
    /// tls-unique.
    pub session_id: Vec<u8>,
    /// Whether an application protocol was negotiated.
    pub alpn: bool,
    /// The client's certificates in DER, leaf first; mostly none.
    pub chain: Vec<Vec<u8>>,
}

/// What a core asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted<E> {
    /// The session has blocks to write.
    Writable(SessionNo),
    /// Close the session's connection, after what is queued for it has been written.
    Close(SessionNo),
    /// What only this protocol has.
    Other(E),
}

/// A protocol's router as a state machine, as far as its clients' connections go. Times are nanoseconds since the Unix epoch.
pub trait Core: Sized + 'static {
    /// What survives a restart.
    type State: State;
    /// What only this protocol asks for.
    type Event;
    /// Bytes of a block.
    const BLOCK_SIZE: usize;

    /// To be called once, before anything else.
    fn start(&mut self, _now: u64) {}
    /// A client connected.
    fn accept(&mut self, connected: Connected<'_>, now: u64) -> SessionNo;
    /// A block came.
    fn block(&mut self, session: SessionNo, block: Vec<u8>, now: u64);
    /// The next block to write.
    fn next_block(&mut self, session: SessionNo) -> Option<Vec<u8>>;
    /// How many changes have to be durable before that is written.
    fn needs(&self, session: SessionNo) -> u64;
    /// Whether the session's next block may be read.
    fn wants_block(&self, session: SessionNo) -> bool;
    /// A connection ended.
    fn closed(&mut self, session: SessionNo, now: u64);
    /// When [`Core::timeout`] is to be called.
    fn next_timeout(&self) -> Option<u64>;
    /// Does what is due.
    fn timeout(&mut self, now: u64);
    /// What it asks for.
    fn poll(&mut self) -> Option<Wanted<Self::Event>>;
    /// What changed.
    fn changes(&mut self) -> Vec<<Self::State as State>::Change>;
    /// What it saw.
    fn sights(&mut self) -> Vec<Sight>;
    /// How many sessions are open.
    fn sessions(&self) -> usize;
    /// Sends what it collected, and has every session closed.
    fn shut_down(&mut self, now: u64);
    /// What survives.
    fn into_state(self) -> Self::State;
}

/// A protocol's router beside its clients' connections.
pub trait Protocol<W: World>: Sized + 'static {
    /// The state machine.
    type Core: Core;

    /// Carries out what the core asks for. It is called in the middle of a step and must not call the router: it begins tasks that
    /// do.
    fn carry_out(&self, node: &Node<W, Self>, event: <Self::Core as Core>::Event);

    /// What waited for the store may go on.
    fn released(&self) {}

    /// The router is stopped: connections that this part has are to be closed.
    fn stopped(&self) {}
}
