//! Some observations in columns of fixed width, in the order of the log.

use sxlab_protocol::observe::{Kind, Layer, Seen, SessionNo, Sight};
use sxlab_protocol::wire::{CorrId, EntityId};

use super::{Interner, LinkSight, LogError, Observation, Sighting, VantageId};

/// Columns of some observations. A row takes 22 bytes, its time as the difference to the row before; what seldom occurs stands
/// beside the columns with the number of its row. Entities, addresses and correlation ids are numbers of the chunk's own names: so
/// a chunk can be taken from memory without leaving anything behind.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Nanoseconds since the row before, or [`JUMP`].
    after: Vec<u32>,
    /// Rows that are earlier than the one before or much later, and when they are.
    jumps: Vec<(u32, u64)>,
    /// See [`Head`].
    heads: Vec<u32>,
    sessions: Vec<u32>,
    /// Sizes, or [`WIDE`].
    sizes: Vec<u16>,
    /// Session and size of rows where one of them is too large for its column.
    wide: Vec<(u32, u64, u32)>,
    /// The entity, the address of the peer, or where a link's bytes come from.
    names: Vec<u32>,
    /// The correlation id; the second name of a queue that was created, or where a link's bytes go to.
    seconds: Vec<u32>,
    /// Where rows were passed on to.
    passed: Vec<(u32, Passed)>,
    ids: Interner,
    last_ns: u64,
}

const JUMP: u32 = u32::MAX;
const WIDE: u16 = u16::MAX;

/// Session and correlation id on the other side of a proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    pub(super) session: u64,
    pub(super) corr: u32,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Event {
    Accepted,
    Dialed,
    Closed,
    Created,
    Received,
    Sent,
    Passed,
}

impl Event {
    pub(super) const ALL: [Self; 7] =
        [Self::Accepted, Self::Dialed, Self::Closed, Self::Created, Self::Received, Self::Sent, Self::Passed];

    /// As results have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Dialed => "dialed",
            Self::Closed => "closed",
            Self::Created => "created",
            Self::Received => "received",
            Self::Sent => "sent",
            Self::Passed => "passed",
        }
    }
}

/// A row's vantage point (22 bits), event (3), kind (6) and layer (1) in one number.
#[derive(Clone, Copy, Debug)]
struct Head(u32);

impl Head {
    fn new(vantage: VantageId, event: Event, kind: Kind, layer: Layer) -> Option<Self> {
        const { assert!(Kind::ALL.len() <= 64 && Event::ALL.len() <= 8) };
        let layer = match layer {
            Layer::Session => 0,
            Layer::Forwarded => 1,
        };
        let vantage = (vantage.0 < 1 << 22).then_some(vantage.0)?;
        Some(Self(vantage << 10 | u32::from(event as u8) << 7 | u32::from(kind as u8) << 1 | layer))
    }

    fn vantage(self) -> VantageId {
        VantageId(self.0 >> 10)
    }

    fn event(self) -> Event {
        Event::ALL.get((self.0 >> 7 & 7) as usize).copied().unwrap_or(Event::Closed)
    }

    fn kind(self) -> Kind {
        Kind::ALL.get((self.0 >> 1 & 63) as usize).copied().unwrap_or(Kind::OtherCommand)
    }

    fn layer(self) -> Layer {
        if self.0 & 1 == 0 { Layer::Session } else { Layer::Forwarded }
    }
}

/// One row, put together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) at_ns: u64,
    head: Head,
    pub(super) session: u64,
    pub(super) size: u32,
    pub(super) name: u32,
    pub(super) second: u32,
    pub(super) passed: Option<Passed>,
}

impl Row {
    pub(super) fn vantage(&self) -> VantageId {
        self.head.vantage()
    }

    pub(super) fn event(&self) -> Event {
        self.head.event()
    }

    pub(super) fn kind(&self) -> Kind {
        self.head.kind()
    }

    pub(super) fn layer(&self) -> Layer {
        self.head.layer()
    }
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Appends a row; the chunk has the rows that it had when that fails.
    pub(super) fn push(&mut self, observation: &Observation) -> Result<(), LogError> {
        let Observation { at_ns, vantage, sight } = observation;
        let row = u32::try_from(self.len()).map_err(|_| LogError::Full)?;
        let no = (Kind::OtherCommand, Layer::Session);
        let ids = &mut self.ids;
        let mut name = |bytes: &[u8]| ids.intern(bytes).ok_or(LogError::Full);
        let mut passed = None;
        let (event, (kind, layer), session, size, first, second) = match sight {
            Sighting::Router(Sight::Accepted { session, from }) => {
                (Event::Accepted, no, session.0, 0, name(from.as_bytes())?, 0)
            }
            Sighting::Router(Sight::Dialed { session, to }) => {
                (Event::Dialed, no, session.0, 0, name(to.as_bytes())?, 0)
            }
            Sighting::Router(Sight::Closed { session }) => (Event::Closed, no, session.0, 0, 0, 0),
            Sighting::Router(Sight::Created { session, recipient, sender }) => {
                let (recipient, sender) = (name(recipient.as_bytes())?, name(sender.as_bytes())?);
                (Event::Created, no, session.0, 0, recipient, sender)
            }
            Sighting::Router(sight @ (Sight::Received(seen) | Sight::Sent(seen))) => {
                let Seen { session, kind, layer, entity, corr, size, passed_to } = seen;
                if let Some((session, corr)) = passed_to {
                    let corr = name(corr.as_bytes())?;
                    passed = Some(Passed { session: session.0, corr });
                }
                let corr = name(corr.as_bytes())?;
                let event = if matches!(sight, Sight::Sent(_)) { Event::Sent } else { Event::Received };
                (event, (*kind, *layer), session.0, *size, name(entity.as_bytes())?, corr)
            }
            Sighting::Link(LinkSight { from, to, bytes }) => {
                (Event::Passed, no, 0, *bytes, name(from.as_bytes())?, name(to.as_bytes())?)
            }
        };
        let head = Head::new(*vantage, event, kind, layer).ok_or(LogError::Full)?;
        let after = at_ns.checked_sub(self.last_ns).and_then(|after| u32::try_from(after).ok());
        let after = after.filter(|after| *after != JUMP);
        if after.is_none() {
            self.jumps.push((row, *at_ns));
        }
        self.last_ns = *at_ns;
        self.after.push(after.unwrap_or(JUMP));
        let narrow = (u32::try_from(session).ok()).zip(u16::try_from(size).ok().filter(|s| *s != WIDE));
        if narrow.is_none() {
            self.wide.push((row, session, size));
        }
        let (session, size) = narrow.unwrap_or((0, WIDE));
        self.sessions.push(session);
        self.sizes.push(size);
        self.passed.extend(passed.map(|passed| (row, passed)));
        self.heads.push(head.0);
        self.names.push(first);
        self.seconds.push(second);
        Ok(())
    }

    /// Gives back what only appending needs.
    pub(super) fn seal(&mut self) {
        let Self { after, jumps, heads, sessions, sizes, wide, names, seconds, passed, ids, .. } = self;
        for column in [after, heads, sessions, names, seconds] {
            column.shrink_to_fit();
        }
        sizes.shrink_to_fit();
        jumps.shrink_to_fit();
        wide.shrink_to_fit();
        passed.shrink_to_fit();
        ids.seal();
    }

    /// Bytes of memory held.
    pub(super) fn memory(&self) -> usize {
        let Self { after, jumps, heads, sessions, sizes, wide, names, seconds, passed, ids, .. } = self;
        let columns: usize = [after, heads, sessions, names, seconds].iter().map(|c| c.capacity()).sum();
        columns * size_of::<u32>()
            + sizes.capacity() * size_of::<u16>()
            + jumps.capacity() * size_of::<(u32, u64)>()
            + wide.capacity() * size_of::<(u32, u64, u32)>()
            + passed.capacity() * size_of::<(u32, Passed)>()
            + ids.memory()
    }

    /// All rows in their order.
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows { chunk: self, row: 0, at_ns: 0, jumps: &self.jumps, wide: &self.wide, passed: &self.passed }
    }

    /// The name of a number in a row.
    pub(super) fn id(&self, number: u32) -> &[u8] {
        self.ids.get(number)
    }

    /// How many names there are.
    pub(super) fn ids(&self) -> usize {
        self.ids.len()
    }

    /// A row of this chunk as an observation.
    pub(super) fn observation(&self, row: &Row) -> Observation {
        let session = SessionNo(row.session);
        let text = |number: u32| String::from_utf8_lossy(self.id(number)).into_owned();
        // What was interned was an identifier, and so is short enough to be one again.
        let entity = |number: u32| EntityId::new(self.id(number)).unwrap_or_default();
        let corr = |number: u32| CorrId::new(self.id(number)).unwrap_or_default();
        let seen = || Seen {
            session,
            kind: row.head.kind(),
            layer: row.head.layer(),
            entity: entity(row.name),
            corr: corr(row.second),
            size: row.size,
            passed_to: row.passed.map(|passed| (SessionNo(passed.session), corr(passed.corr))),
        };
        let sight = match row.head.event() {
            Event::Accepted => Sight::Accepted { session, from: text(row.name) }.into(),
            Event::Dialed => Sight::Dialed { session, to: text(row.name) }.into(),
            Event::Closed => Sight::Closed { session }.into(),
            Event::Created => {
                Sight::Created { session, recipient: entity(row.name), sender: entity(row.second) }.into()
            }
            Event::Received => Sight::Received(seen()).into(),
            Event::Sent => Sight::Sent(seen()).into(),
            Event::Passed => LinkSight { from: text(row.name), to: text(row.second), bytes: row.size }.into(),
        };
        Observation { at_ns: row.at_ns, vantage: row.vantage(), sight }
    }
}

/// The rows of a chunk; see [`Chunk::rows`].
#[derive(Clone, Debug)]
pub(super) struct Rows<'a> {
    chunk: &'a Chunk,
    row: u32,
    at_ns: u64,
    jumps: &'a [(u32, u64)],
    wide: &'a [(u32, u64, u32)],
    passed: &'a [(u32, Passed)],
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let row = self.row;
        let at = row as usize;
        let chunk = self.chunk;
        let (head, after) = (*chunk.heads.get(at)?, *chunk.after.get(at)?);
        match self.jumps.split_first() {
            Some(((jump, at_ns), rest)) if *jump == row => (self.at_ns, self.jumps) = (*at_ns, rest),
            _ => self.at_ns += u64::from(after),
        }
        let (mut session, mut size) = (u64::from(*chunk.sessions.get(at)?), u32::from(*chunk.sizes.get(at)?));
        if let Some(((wide, s, bytes), rest)) = self.wide.split_first()
            && *wide == row
        {
            (session, size, self.wide) = (*s, *bytes, rest);
        }
        let mut passed = None;
        if let Some(((passing, to), rest)) = self.passed.split_first()
            && *passing == row
        {
            (passed, self.passed) = (Some(*to), rest);
        }
        self.row += 1;
        let (name, second) = (*chunk.names.get(at)?, *chunk.seconds.get(at)?);
        Some(Row { at_ns: self.at_ns, head: Head(head), session, size, name, second, passed })
    }
}
