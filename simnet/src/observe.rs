//! What each vantage point saw, and the hash of all of it.
//!
//! An engine gives every router and every watched link a vantage point and appends to one [`Log`] what each of
//! them reports. An attack is handed a [`AdversaryView`]: the observations of the vantage points that the adversary
//! holds. Nothing here names a user, a conversation or any other truth; that is in [`crate::truth`].

use std::io::{self, Write};

use serde::Serialize;
use sha2::{Digest, Sha256};
use sxlab_protocol::observe::{Layer, Seen, Sight};
use sxlab_protocol::wire::{CorrId, EntityId};

use crate::network::{Network, Place, RouterIdx};

/// A vantage point's position in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VantageId(pub u32);

/// A place from which something is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vantage {
    /// The router's name, or `europe|flux-1` for a link.
    pub name: String,
    /// What it is.
    pub kind: VantageKind,
}

/// What a vantage point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VantageKind {
    /// A router: sees what it handles.
    Router(RouterIdx),
    /// The link between two hosts: sees addresses and sizes.
    Link(Place, Place),
}

/// What somebody on a network link sees of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSight {
    /// Address and port of the host that the bytes come from.
    pub from: String,
    /// Address and port of the host that they go to.
    pub to: String,
    /// How many bytes, TLS and all.
    pub bytes: u32,
}

/// What was seen: by a router or on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// By a router.
    Router(Sight),
    /// On a link.
    Link(LinkSight),
}

impl From<Sight> for Sighting {
    fn from(sight: Sight) -> Self {
        Self::Router(sight)
    }
}

impl From<LinkSight> for Sighting {
    fn from(sight: LinkSight) -> Self {
        Self::Link(sight)
    }
}

/// One thing seen from one vantage point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Simulated time, in nanoseconds from the beginning of the run.
    pub at_ns: u64,
    /// Where from.
    pub vantage: VantageId,
    /// What.
    pub sight: Sighting,
}

/// SHA-256 over a run's canonical events. Shown in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceHash(pub [u8; 32]);

impl TraceHash {
    /// One hash for several parts, such as the policies of a run, by their names and in this order.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let mut bytes = Vec::new();
        for (name, hash) in parts {
            put_text(&mut bytes, name.as_bytes());
            bytes.extend_from_slice(&hash.0);
        }
        Self(Sha256::digest(&bytes).into())
    }
}

impl std::fmt::Display for TraceHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What an entry of the canonical log begins with: a new vantage point or an observation.
const VANTAGE: u8 = 0;
const OBSERVATION: u8 = 1;

/// Everything seen in one run, in the order in which it was reported.
#[derive(Clone, Debug)]
pub struct Log {
    vantages: Vec<Vantage>,
    observations: Vec<Observation>,
    hash: Sha256,
    buffer: Vec<u8>,
}

impl Default for Log {
    fn default() -> Self {
        Self { vantages: Vec::new(), observations: Vec::new(), hash: Sha256::new(), buffer: Vec::new() }
    }
}

impl Log {
    /// An empty log with a vantage point for every router of a network; see [`Log::router`].
    pub fn of_routers(network: &Network) -> Self {
        let mut log = Self::default();
        for (router, known) in network.iter() {
            log.add_vantage(Vantage { name: known.name.clone(), kind: VantageKind::Router(router) });
        }
        log
    }

    /// Adds a vantage point.
    pub fn add_vantage(&mut self, vantage: Vantage) -> VantageId {
        let id = VantageId(u32::try_from(self.vantages.len()).unwrap_or(u32::MAX));
        self.buffer.clear();
        self.buffer.push(VANTAGE);
        put_text(&mut self.buffer, vantage.name.as_bytes());
        self.hash.update(&self.buffer);
        self.vantages.push(vantage);
        id
    }

    /// The vantage points; a [`VantageId`] is a position in them.
    pub fn vantages(&self) -> &[Vantage] {
        &self.vantages
    }

    /// The vantage point of a router.
    pub fn router(&self, router: RouterIdx) -> Option<VantageId> {
        let is = |vantage: &Vantage| vantage.kind == VantageKind::Router(router);
        self.vantages.iter().position(is).and_then(|i| u32::try_from(i).ok()).map(VantageId)
    }

    /// Appends an observation.
    pub fn push(&mut self, at_ns: u64, vantage: VantageId, sight: impl Into<Sighting>) {
        let observation = Observation { at_ns, vantage, sight: sight.into() };
        self.buffer.clear();
        put_observation(&mut self.buffer, &observation);
        self.hash.update(&self.buffer);
        self.observations.push(observation);
    }

    /// All observations, in the order in which they were reported.
    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// The hash over the vantage points and observations added so far.
    pub fn trace_hash(&self) -> TraceHash {
        TraceHash(self.hash.clone().finalize().into())
    }

    /// What an adversary sees who holds these vantage points: their observations by time. At equal times they
    /// are ordered by vantage point, each in its own order; how the log interleaved them is nobody's knowledge.
    pub fn view(&self, held: &[VantageId]) -> AdversaryView<'_> {
        let mut held: Vec<VantageId> = held.to_vec();
        held.sort_unstable();
        held.dedup();
        let mut observations: Vec<&Observation> =
            self.observations.iter().filter(|o| held.binary_search(&o.vantage).is_ok()).collect();
        observations.sort_by_key(|o| (o.at_ns, o.vantage));
        let vantages =
            held.into_iter().filter_map(|id| self.vantages.get(id.0 as usize).map(|v| (id, v))).collect();
        AdversaryView { vantages, observations }
    }

    /// Writes one JSON object a line: time, the vantage point's name, what was seen. Identifiers in hexadecimal.
    pub fn write_jsonl(&self, out: &mut impl Write) -> io::Result<()> {
        for observation in &self.observations {
            serde_json::to_writer(&mut *out, &self.line(observation))?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// The first place in which two logs differ; nothing when they are equal.
    pub fn first_difference(&self, other: &Self) -> Option<Difference> {
        if self.vantages != other.vantages {
            let names =
                |log: &Self| log.vantages.iter().map(|v| v.name.clone()).collect::<Vec<_>>().join(" ");
            return Some(Difference { index: 0, left: names(self), right: names(other) });
        }
        let index = (0..self.observations.len().max(other.observations.len()))
            .find(|&i| self.observations.get(i) != other.observations.get(i))?;
        let show = |log: &Self| match log.observations.get(index) {
            Some(observation) => serde_json::to_string(&log.line(observation)).unwrap_or_default(),
            None => "no such event: this run has ended".to_owned(),
        };
        Some(Difference { index, left: show(self), right: show(other) })
    }

    fn line<'a>(&'a self, observation: &'a Observation) -> JsonLine<'a> {
        let vantage = self.vantages.get(observation.vantage.0 as usize).map_or("?", |v| v.name.as_str());
        let line = JsonLine { at_ns: observation.at_ns, vantage, ..JsonLine::default() };
        match &observation.sight {
            Sighting::Router(Sight::Accepted { session, from }) => {
                JsonLine { event: "accepted", session: Some(session.0), from: Some(from), ..line }
            }
            Sighting::Router(Sight::Dialed { session, to }) => {
                JsonLine { event: "dialed", session: Some(session.0), to: Some(to), ..line }
            }
            Sighting::Router(Sight::Closed { session }) => {
                JsonLine { event: "closed", session: Some(session.0), ..line }
            }
            Sighting::Router(Sight::Created { session, recipient, sender }) => JsonLine {
                event: "created",
                session: Some(session.0),
                entity: Some(hex(recipient.as_bytes())),
                sender: Some(hex(sender.as_bytes())),
                ..line
            },
            Sighting::Router(Sight::Received(seen)) => line.of_seen("received", seen),
            Sighting::Router(Sight::Sent(seen)) => line.of_seen("sent", seen),
            Sighting::Link(LinkSight { from, to, bytes }) => {
                JsonLine { event: "passed", from: Some(from), to: Some(to), size: Some(*bytes), ..line }
            }
        }
    }
}

/// The first event in which two runs of the same seed differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {index} differs\n  first run:  {left}\n  second run: {right}")]
pub struct Difference {
    /// Which event, from 0.
    pub index: usize,
    /// As the first run has it.
    pub left: String,
    /// As the second run has it.
    pub right: String,
}

/// What an adversary holds: some vantage points of one log and their observations, nothing else.
#[derive(Clone, Debug)]
pub struct AdversaryView<'a> {
    vantages: Vec<(VantageId, &'a Vantage)>,
    observations: Vec<&'a Observation>,
}

impl<'a> AdversaryView<'a> {
    /// The vantage points held, ordered.
    pub fn vantages(&self) -> &[(VantageId, &'a Vantage)] {
        &self.vantages
    }

    /// Their observations, ordered by time, then vantage point, then as the vantage point saw them.
    pub fn observations(&self) -> &[&'a Observation] {
        &self.observations
    }
}

/// An observation as a line of JSON.
#[derive(Default, Serialize)]
struct JsonLine<'a> {
    at_ns: u64,
    vantage: &'a str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    corr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passed_to_session: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passed_to_corr: Option<String>,
}

impl JsonLine<'_> {
    fn of_seen(self, event: &'static str, seen: &Seen) -> Self {
        let Seen { session, kind, layer, entity, corr, size, passed_to } = seen;
        Self {
            event,
            session: Some(session.0),
            kind: Some(format!("{kind:?}").to_uppercase()),
            layer: Some(match layer {
                Layer::Session => "session",
                Layer::Forwarded => "forwarded",
            }),
            entity: Some(hex(entity.as_bytes())),
            corr: Some(hex(corr.as_bytes())),
            size: Some(*size),
            passed_to_session: passed_to.as_ref().map(|(session, _)| session.0),
            passed_to_corr: passed_to.as_ref().map(|(_, corr)| hex(corr.as_bytes())),
            ..self
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Length and bytes.
pub(crate) fn put_text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The canonical bytes: every field, whole numbers big-endian, texts and identifiers after their length, so
/// that no two observations have the same.
fn put_observation(out: &mut Vec<u8>, observation: &Observation) {
    let Observation { at_ns, vantage, sight } = observation;
    out.push(OBSERVATION);
    out.extend_from_slice(&at_ns.to_be_bytes());
    out.extend_from_slice(&vantage.0.to_be_bytes());
    match sight {
        Sighting::Router(Sight::Accepted { session, from }) => {
            out.push(1);
            out.extend_from_slice(&session.0.to_be_bytes());
            put_text(out, from.as_bytes());
        }
        Sighting::Router(Sight::Dialed { session, to }) => {
            out.push(2);
            out.extend_from_slice(&session.0.to_be_bytes());
            put_text(out, to.as_bytes());
        }
        Sighting::Router(Sight::Closed { session }) => {
            out.push(3);
            out.extend_from_slice(&session.0.to_be_bytes());
        }
        Sighting::Router(Sight::Received(seen)) => {
            out.push(4);
            put_seen(out, seen);
        }
        Sighting::Router(Sight::Sent(seen)) => {
            out.push(5);
            put_seen(out, seen);
        }
        Sighting::Router(Sight::Created { session, recipient, sender }) => {
            out.push(7);
            out.extend_from_slice(&session.0.to_be_bytes());
            put_text(out, recipient.as_bytes());
            put_text(out, sender.as_bytes());
        }
        Sighting::Link(LinkSight { from, to, bytes }) => {
            out.push(6);
            put_text(out, from.as_bytes());
            put_text(out, to.as_bytes());
            out.extend_from_slice(&bytes.to_be_bytes());
        }
    }
}

fn put_seen(out: &mut Vec<u8>, seen: &Seen) {
    let Seen { session, kind, layer, entity, corr, size, passed_to } = seen;
    out.extend_from_slice(&session.0.to_be_bytes());
    put_text(out, format!("{kind:?}").as_bytes());
    out.push(match layer {
        Layer::Session => 0,
        Layer::Forwarded => 1,
    });
    put_text(out, EntityId::as_bytes(entity));
    put_text(out, CorrId::as_bytes(corr));
    out.extend_from_slice(&size.to_be_bytes());
    match passed_to {
        None => out.push(0),
        Some((session, corr)) => {
            out.push(1);
            out.extend_from_slice(&session.0.to_be_bytes());
            put_text(out, corr.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use sxlab_protocol::observe::{Kind, SessionNo};

    fn seen() -> Seen {
        Seen {
            session: SessionNo(1),
            kind: Kind::Pfwd,
            layer: Layer::Session,
            entity: EntityId::new(b"ab").unwrap(),
            corr: CorrId::new(b"c").unwrap(),
            size: 16_000,
            passed_to: Some((SessionNo(2), CorrId::new(b"d").unwrap())),
        }
    }

    fn log(events: &[(u64, u32, Sighting)]) -> Log {
        let mut log = Log::default();
        for (i, name) in ["north-1", "south-1", "europe|north-1"].into_iter().enumerate() {
            log.add_vantage(Vantage { name: name.to_owned(), kind: VantageKind::Router(RouterIdx::from(i)) });
        }
        for (at_ns, vantage, sight) in events {
            log.push(*at_ns, VantageId(*vantage), sight.clone());
        }
        log
    }

    fn closed(session: u64) -> Sighting {
        Sight::Closed { session: SessionNo(session) }.into()
    }

    /// Every sight that differs from `seen()` in one field, and the other kinds.
    fn all_different() -> Vec<Sighting> {
        let corr = |bytes: &[u8]| CorrId::new(bytes).unwrap();
        let fields = [
            seen(),
            Seen { session: SessionNo(9), ..seen() },
            Seen { kind: Kind::Rfwd, ..seen() },
            Seen { layer: Layer::Forwarded, ..seen() },
            Seen { entity: EntityId::new(b"a").unwrap(), corr: corr(b"bc"), ..seen() },
            Seen { corr: corr(b"x"), ..seen() },
            Seen { size: 1, ..seen() },
            Seen { passed_to: None, ..seen() },
            Seen { passed_to: Some((SessionNo(3), corr(b"d"))), ..seen() },
            Seen { passed_to: Some((SessionNo(2), corr(b"e"))), ..seen() },
        ];
        let link =
            |from: &str, to: &str, bytes| LinkSight { from: from.to_owned(), to: to.to_owned(), bytes };
        let accepted = |from: &str| Sight::Accepted { session: SessionNo(1), from: from.to_owned() };
        let dialed = |to: &str| Sight::Dialed { session: SessionNo(1), to: to.to_owned() };
        fields
            .into_iter()
            .flat_map(|seen| [Sight::Received(seen.clone()), Sight::Sent(seen)])
            .chain([accepted("a"), accepted("b"), dialed("a"), dialed("b")])
            .map(Sighting::from)
            .chain([link("a", "bc", 1), link("ab", "c", 1), link("a", "bc", 2)].map(Sighting::from))
            .chain([closed(1), closed(2)])
            .collect()
    }

    #[test]
    fn whatever_differs_changes_the_hash() {
        let events = all_different();
        let mut logs: Vec<Log> = events.iter().map(|event| log(&[(5, 0, event.clone())])).collect();
        logs.push(log(&[(6, 0, closed(1))]));
        logs.push(log(&[(5, 1, closed(1))]));
        logs.push(log(&[]));
        logs.push(log(&[(5, 0, closed(1)), (5, 0, closed(2))]));
        logs.push(log(&[(5, 0, closed(2)), (5, 0, closed(1))]));
        let hashes: BTreeSet<TraceHash> = logs.iter().map(Log::trace_hash).collect();
        assert_eq!(hashes.len(), logs.len());
    }

    /// Frozen: a change here changes every recorded run.
    #[test]
    fn the_hash_of_a_log_stays_what_it_is() {
        let events: Vec<_> = all_different().into_iter().map(|event| (7, 1, event)).collect();
        assert_eq!(log(&events).trace_hash().to_string(), FROZEN);
        assert_eq!(log(&events).trace_hash(), log(&events).trace_hash());
    }
    const FROZEN: &str = "f5390dea08f2537351c5bc5f0838d6f6fc234a27c4bd80bdde71f528d4a7e9c9";

    #[test]
    fn an_adversary_sees_what_its_vantage_points_saw() {
        let log = log(&[
            (9, 0, closed(1)),
            (2, 1, closed(2)),
            (2, 2, closed(3)),
            (2, 0, closed(4)),
            (2, 0, closed(5)),
        ]);
        let view = log.view(&[VantageId(2), VantageId(0), VantageId(0)]);
        let names: Vec<&str> = view.vantages().iter().map(|(_, vantage)| vantage.name.as_str()).collect();
        assert_eq!(names, ["north-1", "europe|north-1"]);
        let seen: Vec<_> =
            view.observations().iter().map(|o| (o.at_ns, o.vantage.0, o.sight.clone())).collect();
        assert_eq!(seen, [(2, 0, closed(4)), (2, 0, closed(5)), (2, 2, closed(3)), (9, 0, closed(1))]);
    }

    /// Two routers that see things in the same instant cannot tell which of them was first.
    #[test]
    fn how_the_log_interleaves_vantage_points_is_nobodys_knowledge() {
        let held = [VantageId(0), VantageId(1)];
        let one = log(&[(1, 0, closed(1)), (1, 1, closed(2))]);
        let other = log(&[(1, 1, closed(2)), (1, 0, closed(1))]);
        assert_ne!(one.trace_hash(), other.trace_hash());
        assert_eq!(one.view(&held).observations(), other.view(&held).observations());
    }

    #[test]
    fn a_line_of_json_holds_everything() {
        let mut out = Vec::new();
        log(&[(5, 1, Sight::Received(seen()).into()), (6, 0, closed(3))]).write_jsonl(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"at_ns\":5,\"vantage\":\"south-1\",\"event\":\"received\",\"session\":1,\"kind\":\"PFWD\",\
             \"layer\":\"session\",\"entity\":\"6162\",\"corr\":\"63\",\"size\":16000,\
             \"passed_to_session\":2,\"passed_to_corr\":\"64\"}\n\
             {\"at_ns\":6,\"vantage\":\"north-1\",\"event\":\"closed\",\"session\":3}\n"
        );
    }

    #[test]
    fn the_first_difference_is_shown_as_both_runs_have_it() {
        let one = log(&[(1, 0, closed(1)), (2, 0, closed(2))]);
        assert_eq!(one.first_difference(&one.clone()), None);
        let difference = one.first_difference(&log(&[(1, 0, closed(1)), (2, 0, closed(3))])).unwrap();
        assert_eq!(
            difference.to_string(),
            "event 1 differs\n  \
             first run:  {\"at_ns\":2,\"vantage\":\"north-1\",\"event\":\"closed\",\"session\":2}\n  \
             second run: {\"at_ns\":2,\"vantage\":\"north-1\",\"event\":\"closed\",\"session\":3}"
        );
        let shorter = one.first_difference(&log(&[(1, 0, closed(1))])).unwrap();
        assert_eq!((shorter.index, shorter.right.as_str()), (1, "no such event: this run has ended"));
    }

    #[test]
    fn parts_are_hashed_with_their_names() {
        let (a, b) = (log(&[]).trace_hash(), log(&[(1, 0, closed(1))]).trace_hash());
        let all = [
            TraceHash::of_parts([("x", a), ("y", b)]),
            TraceHash::of_parts([("x", b), ("y", a)]),
            TraceHash::of_parts([("y", a), ("x", b)]),
            TraceHash::of_parts([("x", a)]),
        ];
        assert_eq!(BTreeSet::from(all).len(), 4);
    }
}
