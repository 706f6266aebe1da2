//! SUB: what it answers, what it delivers, and who is subscribed then.

use sxlab_protocol::smp::command::Command;
use sxlab_protocol::wire::{CorrId, EntityId};

use crate::case::{Case, Outcome};
use crate::lab::{Answer, Lab, QueueForm, Request, SECOND, require, require_eq};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "recipient.sub-answer",
        "SUB is answered by SOK, below version 16 by OK, and the waiting message follows as an event.",
        &["smp.recipient.sub-answer", "smp.versions.v16"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "waiting")?.ok()?;
            let answer = lab.recipient(who, &queue, Command::Sub)?;
            answer.is_bytes(if lab.version() >= 16 { b"SOK 0" } else { b"OK" })?;
            require_eq("the entity of the answer", &answer.entity, &queue.recipient)?;
            let message = lab.message(who, &queue)?;
            message.is("waiting")?;
            message.answer.addressed(&CorrId::EMPTY, &queue.recipient)?;
            lab.silence(who)
        },
    ),
    Case::new(
        "recipient.sub-again",
        "SUB is allowed again in the same session, and delivers the unacknowledged message again, under its id.",
        &["smp.recipient.sub-again", "smp.sender.msg-id"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.subscribe(who, &queue)?;
            lab.send(who, &queue, "once")?.ok()?;
            let first = lab.message(who, &queue)?;
            for _ in 0..2 {
                lab.subscribe(who, &queue)?;
                let again = lab.message(who, &queue)?;
                again.is("once")?;
                require_eq("the id of the message that is delivered again", &again.id, &first.id)?;
            }
            lab.ack(who, &queue, &first.id)?.ok()?;
            lab.subscribe(who, &queue)?;
            lab.silence(who)
        },
    ),
    Case::new(
        "recipient.takeover",
        "SUB in another session ends the first subscription: its session is told END, and gets nothing more.",
        &["smp.recipient.takeover", "smp.operator.takeover-seen"],
        |lab| {
            let [first, second] = lab.clients()?;
            let queue = lab.queue(first)?;
            lab.subscribe(second, &queue)?;
            let end = lab.event(first)?;
            end.is("END")?;
            end.addressed(&CorrId::EMPTY, &queue.recipient)?;
            lab.send(first, &queue, "to the second")?.ok()?;
            lab.receive(second, &queue, "to the second")?;
            lab.silence(first)?;
            lab.silence(second)
        },
    ),
    Case::new(
        "recipient.takeover-back",
        "The first session may subscribe again, which ends the second subscription.",
        &["smp.recipient.takeover"],
        |lab| {
            let [first, second] = lab.clients()?;
            let queue = lab.queue(first)?;
            lab.subscribe(second, &queue)?;
            lab.event_of(first, &queue.recipient)?.is("END")?;
            lab.subscribe(first, &queue)?;
            lab.event_of(second, &queue.recipient)?.is("END")?;
            lab.send(second, &queue, "to the first")?.ok()?;
            lab.receive(first, &queue, "to the first").map(|_| ())
        },
    ),
    Case::new(
        "recipient.takeover-ack",
        "From the takeover on ACK of the first session is NO_MSG, even before it is told END.",
        &["smp.recipient.takeover-ack", "smp.recipient.redelivery"],
        |lab| {
            let [first, second] = lab.clients()?;
            let queue = lab.queue(first)?;
            lab.send(first, &queue, "hello")?.ok()?;
            let delivered = lab.message(first, &queue)?;
            lab.subscribe(second, &queue)?;
            let again = lab.message(second, &queue)?;
            require_eq("the id of the message", &again.id, &delivered.id)?;
            lab.ack(first, &queue, &delivered.id)?.is("ERR NO_MSG")?;
            lab.ack(second, &queue, &delivered.id)?.ok()
        },
    ),
    Case::new(
        "recipient.one-in-flight",
        "One message at a time is delivered, the oldest first; the next follows the acknowledgement.",
        &["smp.recipient.one-in-flight", "smp.recipient.ack"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            for body in ["first", "second", "third"] {
                lab.send(who, &queue, body)?.ok()?;
            }
            let first = lab.message(who, &queue)?;
            first.is("first")?;
            lab.silence(who)?;
            let answer = lab.ack(who, &queue, &first.id)?;
            let second = lab.opened(&queue, answer)?;
            second.is("second")?;
            lab.silence(who)?;
            let answer = lab.ack(who, &queue, &second.id)?;
            let third = lab.opened(&queue, answer)?;
            third.is("third")?;
            lab.ack(who, &queue, &third.id)?.ok()?;
            lab.silence(who)
        },
    ),
    Case::new(
        "recipient.first-message",
        "The first message shares a block with answers to up to four SUB, and with none to five; every further message has a block of its own.",
        &["smp.transport.first-message-with-answers"],
        first_message,
    ),
    Case::new(
        "recipient.queues-apart",
        "Messages of different queues are delivered independently of each other's acknowledgements.",
        &["smp.recipient.one-in-flight"],
        |lab| {
            let who = lab.client()?;
            let (one, other) = (lab.queue(who)?, lab.queue(who)?);
            lab.send(who, &one, "one")?.ok()?;
            lab.message(who, &one)?.is("one")?;
            lab.send(who, &other, "other")?.ok()?;
            lab.receive(who, &other, "other").map(|_| ())
        },
    ),
    Case::new(
        "recipient.redelivery",
        "What was delivered and not acknowledged is delivered to the next subscriber, under its id.",
        &["smp.recipient.redelivery", "smp.sender.msg-id"],
        |lab| {
            let [first, second] = lab.clients()?;
            let queue = lab.queue(first)?;
            lab.send(second, &queue, "kept")?.ok()?;
            let delivered = lab.message(first, &queue)?;
            lab.close(first)?;
            lab.subscribe(second, &queue)?;
            let again = lab.receive(second, &queue, "kept")?;
            require_eq("the id of the message", &again.id, &delivered.id)
        },
    ),
    Case::new(
        "recipient.sub-suspended",
        "A suspended queue can be subscribed to, and what waits in it is delivered.",
        &["smp.recipient.sub-suspended"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "before OFF")?.ok()?;
            lab.recipient(who, &queue, Command::Off)?.ok()?;
            lab.subscribe(who, &queue)?;
            lab.receive(who, &queue, "before OFF").map(|_| ())
        },
    ),
    Case::new(
        "recipient.unsigned-responses",
        "Responses and events carry no authorization.",
        &["smp.recipient.unsigned-responses"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "hello")?.ok()?;
            let sub = lab.recipient(who, &queue, Command::Sub)?;
            let message = lab.message(who, &queue)?;
            let ack = lab.ack(who, &queue, &message.id)?;
            let ping = lab.ask(who, Command::Ping)?;
            for answer in [sub, message.answer, ack, ping] {
                require(answer.authorization.is_empty(), || {
                    format!("{} has an authorization of {} bytes", answer.text(), answer.authorization.len())
                })?;
            }
            Ok(())
        },
    ),
    Case::new(
        "recipient.idle-subscriber",
        "A client that is subscribed is not disconnected for being idle, one that only made a queue is.",
        &["smp.transport.idle-subscriber", "smp.transport.idle-close"],
        idle,
    )
    .settings(|settings| settings.inactive = Some((2 * SECOND, SECOND))),
];

fn first_message(lab: &mut Lab<'_>) -> Outcome {
    let [owner, sender] = lab.clients()?;
    for count in [1, 4, 5] {
        let mut queues = Vec::new();
        for _ in 0..count {
            let queue = lab.idle_queue(owner)?;
            lab.send(sender, &queue, "waiting")?.ok()?;
            queues.push(queue);
        }
        let subs: Vec<Request> = queues
            .iter()
            .map(|queue| Request::from(Command::Sub).of(&queue.recipient).by(&queue.key))
            .collect();
        lab.post_batch(owner, &subs)?;
        let mut blocks: Vec<Vec<String>> = Vec::new();
        while blocks.iter().flatten().count() < 2 * count {
            blocks.push(lab.next_block(owner)?.iter().map(Answer::text).collect());
        }
        // Not every answer needs to fit beside the message.
        let first = blocks.iter().find(|block| block.iter().any(|tag| tag == "MSG"));
        let along = first.is_some_and(|block| block.len() > 1);
        require(along == (count <= 4), || format!("{count} SUB are answered by the blocks {blocks:?}"))?;
        let alone = blocks.iter().filter(|block| **block == ["MSG"]).count();
        let expected = count - usize::from(along);
        require_eq(&format!("the number of messages alone in a block after {count} SUB"), alone, expected)?;
    }
    lab.silence(owner)
}

fn idle(lab: &mut Lab<'_>) -> Outcome {
    let [subscribed, unsubscribed, silent] = lab.clients()?;
    let queue = lab.queue(subscribed)?;
    lab.queue_of(unsubscribed, &QueueForm { subscribe: false, ..QueueForm::default() })?;
    lab.closed_within(unsubscribed, 10 * SECOND)?;
    lab.closed_within(silent, 10 * SECOND)?;
    lab.silence_for(subscribed, 5 * SECOND)?;
    let answer = lab.recipient(subscribed, &queue, Command::Que)?;
    require_eq("the entity of the answer", &answer.entity, &EntityId::clone(&queue.recipient))
}
