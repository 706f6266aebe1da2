//! ACK: what it removes and what it answers.

use sxlab_protocol::smp::command::Command;
use sxlab_protocol::wire::MsgId;

use crate::case::{Case, Outcome};
use crate::lab::{Failure, Lab, Request, TestQueue, Who, require_eq};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "recipient.ack",
        "ACK removes the message, and is answered by the next one, with the correlation id, or by OK.",
        &["smp.recipient.ack", "smp.transport.response-entity"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send(who, &queue, "first")?.ok()?;
            lab.send(who, &queue, "second")?.ok()?;
            let first = lab.message(who, &queue)?;
            let corr = lab.corr();
            let ack = Request::from(Command::Ack(first.id)).of(&queue.recipient).by(&queue.key);
            let answer = lab.ask(who, ack.corr(&corr))?;
            answer.addressed(&corr, &queue.recipient)?;
            let second = lab.opened(&queue, answer)?;
            second.is("second")?;
            lab.ack(who, &queue, &second.id)?.ok()?;
            lab.subscribe(who, &queue)?;
            lab.silence(who)
        },
    ),
    Case::new(
        "recipient.ack-repeated",
        "ACK of a message that was acknowledged already is NO_MSG.",
        &["smp.recipient.ack-wrong-id"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send(who, &queue, "hello")?.ok()?;
            let message = lab.receive(who, &queue, "hello")?;
            lab.ack(who, &queue, &message.id)?.is("ERR NO_MSG")?;
            lab.send(who, &queue, "another")?.ok()?;
            let another = lab.message(who, &queue)?;
            lab.ack(who, &queue, &message.id)?.is("ERR NO_MSG")?;
            lab.ack(who, &queue, &another.id)?.ok()
        },
    ),
    Case::new(
        "recipient.ack-wrong-id",
        "ACK of another message than the one delivered is NO_MSG, and removes nothing.",
        &["smp.recipient.ack-wrong-id"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let wrong = MsgId::from([0x11; 24]);
            lab.ack(who, &queue, &wrong)?.is("ERR NO_MSG")?;
            lab.send(who, &queue, "first")?.ok()?;
            lab.send(who, &queue, "second")?.ok()?;
            let first = lab.message(who, &queue)?;
            lab.ack(who, &queue, &wrong)?.is("ERR NO_MSG")?;
            lab.subscribe(who, &queue)?;
            lab.message(who, &queue)?.is("first")?;
            let answer = lab.ack(who, &queue, &first.id)?;
            lab.opened(&queue, answer)?.is("second")
        },
    ),
    Case::new(
        "recipient.ack-empty-id",
        "ACK with an empty id removes nothing: a subscriber gets the same message again, as often as it asks.",
        &["smp.recipient.ack-empty-id"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.ack(who, &queue, &MsgId::EMPTY)?.is("ERR NO_MSG")?;
            lab.send(who, &queue, "first")?.ok()?;
            lab.send(who, &queue, "second")?.ok()?;
            let first = lab.message(who, &queue)?;
            for _ in 0..2 {
                let answer = lab.ack(who, &queue, &MsgId::EMPTY)?;
                let again = lab.opened(&queue, answer)?;
                again.is("first")?;
                require_eq("the id of the message", &again.id, &first.id)?;
            }
            let answer = lab.ack(who, &queue, &first.id)?;
            lab.opened(&queue, answer)?.is("second")
        },
    ),
    Case::new(
        "recipient.ack-empty-id-after-get",
        "After GET, ACK with an empty id is OK and removes nothing.",
        &["smp.recipient.ack-empty-id"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "hello")?.ok()?;
            get(lab, who, &queue, "hello")?;
            lab.ack(who, &queue, &MsgId::EMPTY)?.ok()?;
            let id = get(lab, who, &queue, "hello")?;
            lab.ack(who, &queue, &id)?.ok()?;
            lab.recipient(who, &queue, Command::Get)?.ok()
        },
    ),
    Case::new(
        "recipient.ack-after-get",
        "ACK of what GET gave is OK even when more waits; of any other id it is NO_MSG.",
        &["smp.recipient.ack-after-get"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "first")?.ok()?;
            lab.send(who, &queue, "second")?.ok()?;
            let first = get(lab, who, &queue, "first")?;
            lab.ack(who, &queue, &MsgId::from([0x11; 24]))?.is("ERR NO_MSG")?;
            lab.ack(who, &queue, &first)?.ok()?;
            lab.ack(who, &queue, &first)?.is("ERR NO_MSG")?;
            let second = get(lab, who, &queue, "second")?;
            lab.ack(who, &queue, &first)?.is("ERR NO_MSG")?;
            lab.ack(who, &queue, &second)?.ok()?;
            lab.recipient(who, &queue, Command::Get)?.ok()
        },
    ),
    Case::new(
        "recipient.ack-after-other",
        "Who got a message by GET may acknowledge it after another session removed it, and is answered OK.",
        &["smp.recipient.ack-after-other"],
        |lab| {
            let [who, other] = lab.clients()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "first")?.ok()?;
            lab.send(who, &queue, "second")?.ok()?;
            let first = get(lab, who, &queue, "first")?;
            get(lab, other, &queue, "first")?;
            lab.ack(other, &queue, &first)?.ok()?;
            lab.ack(who, &queue, &first)?.ok()?;
            // It removed only what was acknowledged.
            get(lab, who, &queue, "second").map(|_| ())
        },
    ),
    Case::new(
        "recipient.ack-nothing",
        "ACK of a session that got nothing of the queue is NO_MSG.",
        &["smp.recipient.ack-wrong-id"],
        ack_nothing,
    ),
];

/// The message that GET has to give.
fn get(lab: &mut Lab<'_>, who: Who, queue: &TestQueue, body: &str) -> Result<MsgId, Failure> {
    let answer = lab.recipient(who, queue, Command::Get)?;
    let message = lab.opened(queue, answer)?;
    message.is(body)?;
    Ok(message.id)
}

fn ack_nothing(lab: &mut Lab<'_>) -> Outcome {
    let [who, other] = lab.clients()?;
    let queue = lab.queue(who)?;
    lab.send(who, &queue, "hello")?.ok()?;
    let message = lab.message(who, &queue)?;
    for id in [&message.id, &MsgId::EMPTY] {
        lab.ack(other, &queue, id)?.is("ERR NO_MSG")?;
    }
    lab.ack(who, &queue, &message.id)?.ok()
}
