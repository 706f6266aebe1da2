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
    TNew,
    TVfy,
    TChk,
    TRpl,
    TDel,
    TCrn,
    SNew,
    SChk,
    SDel,
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
    IdTkn,
    IdSub,
    Tkn,
    /// A subscription's state, which a notification router tells.
    SubState,
    /// A response or event of none of the kinds above.
    OtherResponse,
}

impl Kind {
    /// All kinds, in their order: a kind's position is its number, `kind as u8`.
    pub const ALL: [Self; 52] = [
        Self::New,
        Self::Sub,
        Self::Key,
        Self::RKey,
        Self::SKey,
        Self::Send,
        Self::Ack,
        Self::Get,
        Self::Off,
        Self::Del,
        Self::Que,
        Self::LSet,
        Self::LDel,
        Self::LKey,
        Self::LGet,
        Self::NKey,
        Self::NDel,
        Self::NSub,
        Self::Ping,
        Self::Prxy,
        Self::Pfwd,
        Self::Rfwd,
        Self::TNew,
        Self::TVfy,
        Self::TChk,
        Self::TRpl,
        Self::TDel,
        Self::TCrn,
        Self::SNew,
        Self::SChk,
        Self::SDel,
        Self::OtherCommand,
        Self::Ids,
        Self::Lnk,
        Self::Info,
        Self::Nid,
        Self::Nmsg,
        Self::Sok,
        Self::Msg,
        Self::Ok,
        Self::End,
        Self::Deld,
        Self::Pong,
        Self::Pkey,
        Self::Pres,
        Self::Rres,
        Self::Err,
        Self::IdTkn,
        Self::IdSub,
        Self::Tkn,
        Self::SubState,
        Self::OtherResponse,
    ];

    /// As the kind is called here: `Send`, `OtherCommand`.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::Sub => "Sub",
            Self::Key => "Key",
            Self::RKey => "RKey",
            Self::SKey => "SKey",
            Self::Send => "Send",
            Self::Ack => "Ack",
            Self::Get => "Get",
            Self::Off => "Off",
            Self::Del => "Del",
            Self::Que => "Que",
            Self::LSet => "LSet",
            Self::LDel => "LDel",
            Self::LKey => "LKey",
            Self::LGet => "LGet",
            Self::NKey => "NKey",
            Self::NDel => "NDel",
            Self::NSub => "NSub",
            Self::Ping => "Ping",
            Self::Prxy => "Prxy",
            Self::Pfwd => "Pfwd",
            Self::Rfwd => "Rfwd",
            Self::TNew => "TNew",
            Self::TVfy => "TVfy",
            Self::TChk => "TChk",
            Self::TRpl => "TRpl",
            Self::TDel => "TDel",
            Self::TCrn => "TCrn",
            Self::SNew => "SNew",
            Self::SChk => "SChk",
            Self::SDel => "SDel",
            Self::OtherCommand => "OtherCommand",
            Self::Ids => "Ids",
            Self::Lnk => "Lnk",
            Self::Info => "Info",
            Self::Nid => "Nid",
            Self::Nmsg => "Nmsg",
            Self::Sok => "Sok",
            Self::Msg => "Msg",
            Self::Ok => "Ok",
            Self::End => "End",
            Self::Deld => "Deld",
            Self::Pong => "Pong",
            Self::Pkey => "Pkey",
            Self::Pres => "Pres",
            Self::Rres => "Rres",
            Self::Err => "Err",
            Self::IdTkn => "IdTkn",
            Self::IdSub => "IdSub",
            Self::Tkn => "Tkn",
            Self::SubState => "SubState",
            Self::OtherResponse => "OtherResponse",
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_and_numbered_as_they_are_declared() {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!((kind as usize, kind.name()), (number, format!("{kind:?}").as_str()));
        }
        // The next one after the last would need a place here.
        assert_eq!(Kind::OtherResponse as usize + 1, Kind::ALL.len());
    }
}
