//! GET: one message without a subscription.

use sxlab_protocol::crypto::keys::KeyType;
use sxlab_protocol::smp::command::Command;

use crate::case::Case;
use crate::cases::forms::keyed;
use crate::lab::{QueueForm, Request, require_eq};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "recipient.get-empty",
        "GET of an empty queue is answered by OK.",
        &["smp.recipient.get"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.recipient(who, &queue, Command::Get)?.ok()?;
            // Nothing is subscribed by it.
            lab.send(who, &queue, "later")?.ok()?;
            lab.silence(who)
        },
    ),
    Case::new(
        "recipient.get",
        "GET is answered by the oldest message, with the correlation id, as often as it is asked until ACK.",
        &["smp.recipient.get"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "first")?.ok()?;
            lab.send(who, &queue, "second")?.ok()?;
            let mut ids = Vec::new();
            for _ in 0..3 {
                let corr = lab.corr();
                let get = Request::from(Command::Get).of(&queue.recipient).by(&queue.key).corr(&corr);
                let answer = lab.ask(who, get)?;
                answer.addressed(&corr, &queue.recipient)?;
                let message = lab.opened(&queue, answer)?;
                message.is("first")?;
                ids.push(message.id);
            }
            ids.dedup();
            require_eq("the number of ids of one message", ids.len(), 1)?;
            for id in &ids {
                lab.ack(who, &queue, id)?.ok()?;
            }
            let answer = lab.recipient(who, &queue, Command::Get)?;
            lab.opened(&queue, answer)?.is("second")
        },
    ),
    Case::new(
        "recipient.get-after-sub",
        "GET of a queue to which the session is subscribed is CMD PROHIBITED, and the subscription stays.",
        &["smp.recipient.get-excludes-sub", "smp.errors.command"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.recipient(who, &queue, Command::Get)?.is("ERR CMD PROHIBITED")?;
            lab.send(who, &queue, "hello")?.ok()?;
            lab.receive(who, &queue, "hello")?;
            lab.recipient(who, &queue, Command::Get)?.is("ERR CMD PROHIBITED")
        },
    ),
    Case::new(
        "recipient.sub-after-get",
        "SUB of a queue of which the session got messages by GET is CMD PROHIBITED; another session may subscribe.",
        &["smp.recipient.get-excludes-sub"],
        |lab| {
            let [who, other] = lab.clients()?;
            let queue = lab.idle_queue(who)?;
            lab.recipient(who, &queue, Command::Get)?.ok()?;
            lab.recipient(who, &queue, Command::Sub)?.is("ERR CMD PROHIBITED")?;
            lab.send(who, &queue, "hello")?.ok()?;
            lab.subscribe(other, &queue)?;
            lab.receive(other, &queue, "hello").map(|_| ())
        },
    ),
    Case::new(
        "recipient.get-beside-subscriber",
        "GET in one session does not end the subscription of another.",
        &["smp.recipient.get-beside-subscriber"],
        |lab| {
            let [subscriber, who] = lab.clients()?;
            let queue =
                lab.queue_of(subscriber, &QueueForm { subscribe: true, ..keyed(KeyType::Ed25519) })?;
            lab.recipient(who, &queue, Command::Get)?.ok()?;
            lab.silence(subscriber)?;
            lab.send(who, &queue, "to both")?.ok()?;
            let answer = lab.recipient(who, &queue, Command::Get)?;
            lab.opened(&queue, answer)?.is("to both")?;
            lab.receive(subscriber, &queue, "to both")?;
            lab.silence(subscriber)
        },
    ),
];
