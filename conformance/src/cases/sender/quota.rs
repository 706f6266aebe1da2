//! Full queues.

use sxlab_protocol::smp::envelope::MessageBody;

use crate::case::{Case, Outcome};
use crate::lab::{Failure, Lab, SECOND, TestQueue, Who, require, require_eq};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "sender.quota",
        "A queue takes as many messages as its quota; what is sent beyond that is answered by QUOTA and not kept.",
        &["smp.sender.quota", "smp.sender.unsecured"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            for body in ["first", "second"] {
                lab.send(who, &queue, body)?.ok()?;
            }
            for _ in 0..3 {
                lab.send(who, &queue, "too many")?.is("ERR QUOTA")?;
            }
            lab.subscribe(who, &queue)?;
            read(lab, who, &queue, &["first", "second", "quota marker"])
        },
    )
    .settings(|settings| settings.quota = Some(2)),
    Case::new(
        "sender.quota-until-empty",
        "A full queue takes messages again when its recipient has emptied it, and not before.",
        &["smp.sender.quota"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            for body in ["first", "second"] {
                lab.send(who, &queue, body)?.ok()?;
            }
            lab.send(who, &queue, "too many")?.is("ERR QUOTA")?;
            let mut message = lab.message(who, &queue)?;
            for next in ["second", "quota marker"] {
                let answer = lab.ack(who, &queue, &message.id)?;
                message = lab.opened(&queue, answer)?;
                message.is(next)?;
                lab.send(who, &queue, "not yet")?.is("ERR QUOTA")?;
            }
            lab.ack(who, &queue, &message.id)?.ok()?;
            lab.send(who, &queue, "again")?.ok()?;
            lab.receive(who, &queue, "again").map(|_| ())
        },
    )
    .settings(|settings| settings.quota = Some(2)),
    Case::new(
        "sender.quota-not-reached",
        "A queue that never refused a message takes one more for each that is acknowledged.",
        &["smp.sender.quota"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send(who, &queue, "first")?.ok()?;
            lab.send(who, &queue, "second")?.ok()?;
            let first = lab.message(who, &queue)?;
            let answer = lab.ack(who, &queue, &first.id)?;
            lab.opened(&queue, answer)?.is("second")?;
            lab.send(who, &queue, "third")?.ok()
        },
    )
    .settings(|settings| settings.quota = Some(2)),
    Case::new(
        "sender.quota-by-queue",
        "A full queue does not fill another one.",
        &["smp.sender.quota"],
        |lab| {
            let who = lab.client()?;
            let (full, other) = (lab.queue(who)?, lab.queue(who)?);
            lab.send(who, &full, "first")?.ok()?;
            lab.send(who, &full, "too many")?.is("ERR QUOTA")?;
            lab.send(who, &other, "to the other")?.ok()?;
            lab.receive(who, &other, "to the other").map(|_| ())
        },
    )
    .settings(|settings| settings.quota = Some(1)),
    Case::new(
        "sender.quota-marker",
        "The recipient of a full queue gets the marker after the messages, with the time of the refusal.",
        &["smp.sender.quota-marker", "smp.sender.msg-content"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send(who, &queue, "first")?.ok()?;
            let second = i64::try_from(lab.now() / SECOND).map_err(Failure::error)?;
            lab.send(who, &queue, "too many")?.is("ERR QUOTA")?;
            let first = lab.message(who, &queue)?;
            let answer = lab.ack(who, &queue, &first.id)?;
            let marker = lab.opened(&queue, answer)?;
            let MessageBody::Quota { time } = marker.body else {
                return Err(Failure::wrong("a message came, expected the quota marker"));
            };
            require(time.abs_diff(second) <= 120, || {
                format!("the marker's time is {time}, the refusal was at {second}")
            })?;
            lab.ack(who, &queue, &marker.id)?.ok()
        },
    )
    .settings(|settings| settings.quota = Some(1)),
];

/// Reads what waits, to the end.
fn read(lab: &mut Lab<'_>, who: Who, queue: &TestQueue, expected: &[&str]) -> Outcome {
    let mut bodies = Vec::new();
    let mut message = lab.message(who, queue)?;
    loop {
        bodies.push(message.text());
        let answer = lab.ack(who, queue, &message.id)?;
        if answer.ok().is_ok() || bodies.len() > expected.len() {
            break;
        }
        message = lab.opened(queue, answer)?;
    }
    require_eq("what waits", bodies, expected.iter().map(|body| (*body).to_owned()).collect())
}
