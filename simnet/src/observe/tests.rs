//! What a log keeps, shows and hashes.

use super::*;
use std::collections::BTreeSet;
use sxlab_protocol::observe::{Kind, Layer, Seen, SessionNo};
use sxlab_protocol::wire::{CorrId, EntityId};

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

fn all(observations: impl Iterator<Item = Result<Observation, LogError>>) -> Vec<Observation> {
    observations.map(Result::unwrap).collect()
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
    let link = |from: &str, to: &str, bytes| LinkSight { from: from.to_owned(), to: to.to_owned(), bytes };
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
    let log =
        log(&[(9, 0, closed(1)), (2, 1, closed(2)), (2, 2, closed(3)), (2, 0, closed(4)), (2, 0, closed(5))]);
    let view = log.view(&[VantageId(2), VantageId(0), VantageId(0)]);
    let names: Vec<&str> = view.vantages().iter().map(|(_, vantage)| vantage.name.as_str()).collect();
    assert_eq!(names, ["north-1", "europe|north-1"]);
    let seen: Vec<_> =
        all(view.observations()).into_iter().map(|o| (o.at_ns, o.vantage.0, o.sight)).collect();
    assert_eq!(seen, [(2, 0, closed(4)), (2, 0, closed(5)), (2, 2, closed(3)), (9, 0, closed(1))]);
}

/// Two routers that see things in the same instant cannot tell which of them was first.
#[test]
fn how_the_log_interleaves_vantage_points_is_nobodys_knowledge() {
    let held = [VantageId(0), VantageId(1)];
    let one = log(&[(1, 0, closed(1)), (1, 1, closed(2))]);
    let other = log(&[(1, 1, closed(2)), (1, 0, closed(1))]);
    assert_ne!(one.trace_hash(), other.trace_hash());
    assert_eq!(all(one.view(&held).observations()), all(other.view(&held).observations()));
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
    assert_eq!(one.first_difference(&log(&[(1, 0, closed(1)), (2, 0, closed(2))])).unwrap(), None);
    let difference = one.first_difference(&log(&[(1, 0, closed(1)), (2, 0, closed(3))])).unwrap().unwrap();
    assert_eq!(
        difference.to_string(),
        "event 1 differs\n  \
         first run:  {\"at_ns\":2,\"vantage\":\"north-1\",\"event\":\"closed\",\"session\":2}\n  \
         second run: {\"at_ns\":2,\"vantage\":\"north-1\",\"event\":\"closed\",\"session\":3}"
    );
    let shorter = one.first_difference(&log(&[(1, 0, closed(1))])).unwrap().unwrap();
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

/// Every sight at several times, among them such that don't fit into the columns.
fn many(rounds: u64) -> Vec<(u64, u32, Sighting)> {
    let odd = [
        closed(u64::MAX),
        Sight::Received(Seen { size: u32::MAX, ..seen() }).into(),
        Sight::Received(Seen { size: 65_535, session: SessionNo(7), ..seen() }).into(),
        Sight::Sent(Seen { entity: EntityId::new(&[5; 255]).unwrap(), ..seen() }).into(),
        Sight::Sent(Seen { corr: CorrId::EMPTY, entity: EntityId::EMPTY, ..seen() }).into(),
        Sight::Dialed { session: SessionNo(1 << 32), to: "x".repeat(400) }.into(),
    ];
    let sights = all_different().into_iter().chain(odd);
    let kinds = Kind::ALL.map(|kind| Sight::Received(Seen { kind, ..seen() }).into());
    let sights: Vec<Sighting> = sights.chain(kinds).collect();
    let steps = [0, 1, 0, u64::from(u32::MAX), u64::from(u32::MAX) - 1, 1 << 40];
    let mut at_ns = 3;
    let mut events = Vec::new();
    for round in 0..rounds {
        for (i, sight) in sights.iter().enumerate() {
            at_ns += steps[(i + round as usize) % steps.len()];
            events.push((at_ns, (i % 3) as u32, sight.clone()));
        }
    }
    events
}

fn in_chunks_of(rows: usize, events: &[(u64, u32, Sighting)]) -> Log {
    let mut log = log(&[]).with_chunks_of(rows);
    for (at_ns, vantage, sight) in events {
        log.push(*at_ns, VantageId(*vantage), sight.clone());
    }
    log
}

#[test]
fn what_comes_out_is_what_went_in_however_it_is_cut() {
    let events = many(3);
    let mut backwards = events.clone();
    backwards.reverse();
    for events in [events, backwards] {
        let expected: Vec<Observation> = events
            .iter()
            .map(|(at_ns, vantage, sight)| Observation {
                at_ns: *at_ns,
                vantage: VantageId(*vantage),
                sight: sight.clone(),
            })
            .collect();
        let whole = log(&events);
        for rows in [1, 2, 7, 50, 1 << 20] {
            let cut = in_chunks_of(rows, &events);
            assert_eq!((cut.len(), cut.trace_hash()), (events.len(), whole.trace_hash()), "{rows}");
            assert_eq!(all(cut.observations()), expected, "{rows}");
            assert_eq!(whole.first_difference(&cut).unwrap(), None, "{rows}");
            for held in [&[0][..], &[2, 0], &[0, 1, 2], &[]] {
                let mut seen = expected.clone();
                seen.retain(|o| held.contains(&o.vantage.0));
                seen.sort_by_key(|o| (o.at_ns, o.vantage));
                let held: Vec<VantageId> = held.iter().copied().map(VantageId).collect();
                assert_eq!(all(cut.view(&held).observations()), seen, "{rows} {held:?}");
            }
        }
    }
}

/// A directory for one test, removed at its end.
struct Place(std::path::PathBuf);

impl Place {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sxlab-log-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn spilling(spill: Spill, events: &[(u64, u32, Sighting)]) -> Log {
    let mut log = log(&[]).spilling(spill);
    for (at_ns, vantage, sight) in events {
        log.push(*at_ns, VantageId(*vantage), sight.clone());
    }
    log.finish().unwrap();
    log
}

#[test]
fn what_comes_back_from_a_file_is_what_went_in() {
    let place = Place::new("spill");
    let events = many(80);
    let mut backwards = events.clone();
    backwards.reverse();
    let everything = place.0.join("all.parquet");
    for events in [events, backwards] {
        let whole = log(&events);
        let (none, some, all_of_it) = (0, 100_000, usize::MAX);
        for to in [SpillTo::Temporary(place.0.clone()), SpillTo::File(everything.clone())] {
            for memory in [none, some, all_of_it] {
                let spilled = spilling(Spill { memory, to: to.clone() }, &events);
                let case = format!("{memory} {to:?}");
                assert_eq!(spilled.spilled() > 0, memory != all_of_it, "{case}");
                assert_eq!(spilled.trace_hash(), whole.trace_hash(), "{case}");
                assert_eq!(whole.first_difference(&spilled).unwrap(), None, "{case}");
                for held in [&[0][..], &[2, 0], &[0, 1, 2], &[]] {
                    let held: Vec<VantageId> = held.iter().copied().map(VantageId).collect();
                    let (ours, theirs) = (whole.view(&held), spilled.view(&held));
                    assert!(all(ours.observations()) == all(theirs.observations()), "{case} {held:?}");
                }
            }
        }
    }
    // Temporary files have no name even while they are used.
    assert_eq!(place.files(), ["all.parquet"]);
}

#[test]
fn memory_is_bounded_however_long_the_log_gets() {
    let place = Place::new("bounded");
    let memory = 1 << 20;
    let mut log = log(&[]).spilling(Spill { memory, to: SpillTo::Temporary(place.0.clone()) });
    let mut most = 0;
    for number in 0..200_000u64 {
        // Names that never come again.
        let mut id = [7; 24];
        id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        let (entity, corr) = (EntityId::new(&id).unwrap(), CorrId::new(&id[..20]).unwrap());
        log.push(number, VantageId(0), Sight::Sent(Seen { entity, corr, passed_to: None, ..seen() }));
        most = most.max(log.memory());
    }
    log.finish().unwrap();
    assert_eq!(log.observations().filter(Result::is_ok).count(), 200_000);
    assert!(most <= memory, "{most} bytes");
}

#[test]
fn a_file_that_cannot_be_written_ends_the_log() {
    let place = Place::new("refused");
    let missing = place.0.join("missing");
    for to in [SpillTo::Temporary(missing.clone()), SpillTo::File(missing.join("x.parquet"))] {
        let mut log = log(&many(50)[..1000]).spilling(Spill { memory: 0, to });
        many(50).into_iter().for_each(|(at_ns, vantage, sight)| log.push(at_ns, VantageId(vantage), sight));
        let error = log.finish().unwrap_err().to_string();
        assert!(error.contains("missing") && error.contains("No such file"), "{error}");
    }
}

#[test]
fn more_vantage_points_than_there_are_numbers_for_is_an_error_and_nothing_is_kept() {
    let mut log = log(&[(1, 0, closed(1))]);
    log.push(2, VantageId(1 << 22), Sight::Closed { session: SessionNo(1) });
    log.push(3, VantageId(0), Sight::Closed { session: SessionNo(1) });
    assert_eq!(log.len(), 1);
    assert!(matches!(log.finish(), Err(LogError::Full)));
}

/// As a network writes it: of 20 observations a message one is passed on, and five correlation ids occur, at random.
#[test]
fn an_observation_takes_some_thirty_bytes_of_memory() {
    let mut log = log(&[]).with_chunks_of(1 << 14);
    let mut id = 1u64;
    let mut random = || {
        let mut bytes = [0; 24];
        for part in bytes.chunks_mut(8) {
            id = id.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            part.copy_from_slice(&id.to_be_bytes());
        }
        bytes
    };
    let queues: Vec<EntityId> = (0..400).map(|_| EntityId::from(random())).collect();
    let messages = 20_000;
    for message in 0..messages {
        let corrs: Vec<CorrId> = (0..5).map(|_| CorrId::from(random())).collect();
        for i in 0..20 {
            let passed_to = (i == 3).then(|| (SessionNo(4), corrs[4].clone()));
            let entity = queues[message % queues.len()].clone();
            let corr = corrs[i % 4].clone();
            let seen = Seen { session: SessionNo(i as u64), entity, corr, passed_to, ..seen() };
            log.push(message as u64 * 60_000_000_000 + i as u64, VantageId(0), Sight::Sent(seen));
        }
    }
    let each = log.memory() as f64 / log.len() as f64;
    assert!((20.0..34.0).contains(&each), "{each} bytes an observation");
}
