//! Refusals that must not tell by their time what they refuse.

use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::transport::content;
use sxlab_protocol::wire::EntityId;

use crate::case::{Case, Outcome};
use crate::cases::forms::{absent, keyed};
use crate::lab::{Failure, Lab, Request, Who, require};

/// Calls of each kind that a median is made of.
const CALLS: usize = 200;

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
    let mut medians = [0; 3];
    for _ in 0..ATTEMPTS {
        medians = measure(lab, who, &blocks, together)?;
        if alike(&medians) {
            return Ok(());
        }
    }
    let [absent, another, same] = medians.map(|nanoseconds| nanoseconds / 1000);
    require(false, || {
        format!(
            "with {key_type:?} an absent queue is refused in {absent} µs, a key of another type in {another} µs, a \
             wrong key in {same} µs"
        )
    })
}

fn alike(medians: &[u128]) -> bool {
    let (least, greatest) = (medians.iter().min(), medians.iter().max());
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

/// The median times of the blocks in turns, in nanoseconds. What disturbs the machine disturbs all kinds alike.
fn measure(lab: &mut Lab<'_>, who: Who, blocks: &[Vec<u8>], together: usize) -> Result<[u128; 3], Failure> {
    let mut times = [(); 3].map(|()| Vec::with_capacity(CALLS));
    for _ in 0..CALLS {
        for (block, times) in blocks.iter().zip(&mut times) {
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
    Ok(times.map(|mut times| {
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }))
}

#[expect(clippy::disallowed_methods, reason = "what a refusal costs is real time, on a virtual clock too")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}
