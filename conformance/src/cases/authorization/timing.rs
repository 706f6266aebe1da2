//! Refusals that must not tell by their time what they refuse.

use rand_core::Rng;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::transport::content;
use sxlab_protocol::wire::EntityId;

use crate::case::{Case, Outcome};
use crate::cases::forms::{absent, keyed};
use crate::lab::{Failure, Lab, Request, Who, require};

/// Calls of each kind that are measured.
const CALLS: usize = 200;

/// Parts of the calls that are compared: the fastest tenth, which is hardly disturbed by anything, and the median. What
/// takes longer does so in both.
const PARTS: [usize; 2] = [CALLS / 10, CALLS / 2];

/// By how much the slowest kind of refusal may take longer than the fastest, in percent.
const TOLERATED: u128 = 30;

/// How often it is measured before the times are believed to differ.
const ATTEMPTS: usize = 3;

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "authorization.equal-time",
        "A queue that is not there, a key of another type and a wrong key are refused in the same time.",
        &["smp.authorization.equal-time"],
        |lab| {
            // Time does not depend on the version: one type of key at each of the first ones.
            match lab.version() {
                6 => equal_time(lab, KeyType::Ed25519),
                7 => equal_time(lab, KeyType::X25519),
                _ => equal_time(lab, KeyType::Ed448),
            }
        },
    )
    .versions(6, 8),
    Case::new(
        "authorization.equal-time-of-all",
        "For each type of key, the three kinds of refusal take the same time.",
        &["smp.authorization.equal-time"],
        |lab| {
            let types = [KeyType::Ed25519, KeyType::X25519, KeyType::Ed448];
            types.into_iter().try_for_each(|key_type| equal_time(lab, key_type))
        },
    )
    .versions(20, 20),
];

/// The three refusals of an authorization of this type.
fn equal_time(lab: &mut Lab<'_>, key_type: KeyType) -> Outcome {
    let who = lab.client()?;
    let other = if key_type == KeyType::Ed25519 { KeyType::Ed448 } else { KeyType::Ed25519 };
    let key = lab.key(key_type);
    let (same, another) = (lab.queue_of(who, &keyed(key_type))?, lab.queue_of(who, &keyed(other))?);
    // Ed448 takes so long that one verification is much longer than all else that a block takes.
    let together = if key_type == KeyType::Ed448 { 1 } else { 5 };
    let mut blocks = Vec::new();
    for entity in [&absent(), &another.recipient, &same.recipient] {
        blocks.push(block(lab, who, entity, &key, together)?);
    }
    let mut differ = None;
    for _ in 0..ATTEMPTS {
        let times = measure(lab, who, &blocks, together)?;
        let parts = PARTS.map(|at| times.each_ref().map(|times| times.get(at).copied().unwrap_or_default()));
        if parts.iter().any(alike) {
            return Ok(());
        }
        differ = Some(parts);
    }
    let [_, median] = differ.unwrap_or_default();
    let [absent, another, same] = median.map(|nanoseconds| nanoseconds / 1000);
    require(false, || {
        format!(
            "with {key_type:?} an absent queue is refused in {absent} µs, a key of another type in {another} µs, a \
             wrong key in {same} µs"
        )
    })
}

/// Whether the times of the three kinds hardly differ.
fn alike(times: &[u128; 3]) -> bool {
    let (least, greatest) = (times.iter().min(), times.iter().max());
    least.zip(greatest).is_some_and(|(least, greatest)| greatest * 100 <= least * (100 + TOLERATED))
}

/// The content of a block with the same refused command several times: what is measured has no signing in it.
fn block(
    lab: &mut Lab<'_>,
    who: Who,
    entity: &EntityId,
    key: &AuthSecretKey,
    together: usize,
) -> Result<Vec<u8>, Failure> {
    let (_, item) = lab.item(who, &Request::from(Command::Que).of(entity).by(key))?;
    content(vec![item.as_slice(); together].into_iter()).map_err(Failure::error)
}

/// The times of each block in nanoseconds, sorted. The blocks take turns in an order that changes: what disturbs the machine
/// disturbs them alike.
fn measure(
    lab: &mut Lab<'_>,
    who: Who,
    blocks: &[Vec<u8>],
    together: usize,
) -> Result<[Vec<u128>; 3], Failure> {
    let mut times = [(); 3].map(|()| Vec::with_capacity(CALLS));
    for _ in 0..CALLS {
        let mut turns: Vec<_> = blocks.iter().zip(&mut times).collect();
        let first = usize::from(lab.rng().next_u32().to_le_bytes()[0]) % turns.len().max(1);
        turns.rotate_left(first);
        if lab.rng().next_u32().is_multiple_of(2) {
            turns.reverse();
        }
        for (block, times) in turns {
            let started = clock();
            lab.write_content(who, block)?;
            let mut answers = Vec::with_capacity(together);
            for _ in 0..together {
                answers.push(lab.next(who)?);
            }
            times.push(started.elapsed().as_nanos());
            answers.iter().try_for_each(|answer| answer.is("ERR AUTH"))?;
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    Ok(times)
}

#[expect(clippy::disallowed_methods, reason = "what a refusal costs is real time, on a virtual clock too")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}
