//! What one party sees of the traffic that passes it.
//!
//! A router reports a [`Sight`] for each thing that it could write into a log of its own: who connected,
//! which command came in on which transport session, for which entity, how large, and, for a proxied
//! command, which transmission on its other session belongs to it. Whoever runs the router adds the time and
//! the name of the vantage point. Nothing that the router cannot know has a field here.

use crate::wire::{CorrId, EntityId};

/// A transport session as its router numbers it; unique within one run of one router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionNo(pub u64);

/// The kind of a transmission: its tag, without parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the protocol's own tag")]
pub enum Kind {
    New,
    Sub,
    Key,
    RKey,
    SKey,
    Send,
    Ack,
    Get,
    Off,
    Del,
    Que,
    LSet,
    LDel,
    LKey,
    LGet,
    NKey,
    NDel,
    NSub,
    Ping,
    Prxy,
    Pfwd,
    Rfwd,
    /// A command of none of the kinds above.
    OtherCommand,
    Ids,
    Lnk,
    Info,
    Nid,
    Nmsg,
    Sok,
    Msg,
    Ok,
    End,
    Deld,
    Pong,
    Pkey,
    Pres,
    Rres,
    Err,
    /// A response or event of none of the kinds above.
    OtherResponse,
}

/// One thing that a router sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A peer opened a transport session, from this network address.
    Accepted {
        /// The new session.
        session: SessionNo,
        /// The peer's network address as the router's socket reports it.
        from: String,
    },
    /// This router, as a proxy, opened a session to another router.
    Dialed {
        /// The new session.
        session: SessionNo,
        /// The other router's host name, as in its address.
        to: String,
    },
    /// A queue was created: the router knows which two ids are one queue's.
    Created {
        /// The session that asked for it.
        session: SessionNo,
        /// Its recipient id.
        recipient: EntityId,
        /// Its sender id.
        sender: EntityId,
    },
    /// A session ended.
    Closed {
        /// The session.
        session: SessionNo,
    },
    /// A transmission came in.
    Received(Seen),
    /// A transmission went out.
    Sent(Seen),
}

/// A transmission as the router that handles it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The transport session that carried it.
    pub session: SessionNo,
    /// Its kind. For a command inside a forward, `layer` says so.
    pub kind: Kind,
    /// Whether this is the transmission on the session itself, or the one inside a forwarded command.
    pub layer: Layer,
    /// The entity: a recipient, sender or notifier id, or a proxied session's id. Empty where it has none.
    pub entity: EntityId,
    /// The correlation id. Empty for events.
    pub corr: CorrId,
    /// Bytes of the transmission, before padding.
    pub size: u32,
    /// Where a proxy passes this transmission on: the session and correlation id on its other side.
    pub passed_to: Option<(SessionNo, CorrId)>,
}

/// How a transmission reached the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Directly in a block of the session.
    Session,
    /// Inside an RFWD or RRES of a proxy.
    Forwarded,
}
