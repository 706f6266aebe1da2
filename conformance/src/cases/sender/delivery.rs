//! MSG: what is in it, how it comes, and that it is not lost.

use std::collections::BTreeSet;

use rand_core::Rng;
use sxlab_protocol::crypto::boxes::{nonce_from_msg, open_padded};
use sxlab_protocol::smp::command::{Command, MsgFlags};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::CorrId;

use crate::case::{Case, Outcome};
use crate::lab::queues::send;
use crate::lab::{Failure, Lab, Request, SECOND, require, require_eq};
use crate::target::Operation;

/// Tag, id with its length byte, and the box over 16,106 bytes.
const MSG_BYTES: usize = 4 + 25 + 16 + 16_106;

/// Queues whose messages a slow recipient does not read: more than routers and connections hold blocks for it.
const SLOW: usize = 90;

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "sender.unlinkable",
        "Of what came for a queue nothing leaves with its message: neither an id nor sixteen bytes of ciphertext.",
        &["smp.operator.unlinkable"],
        unlinkable,
    ),
    Case::new(
        "sender.msg-body",
        "MSG has the message id and a box with the id as nonce, over what is padded to 16,106 bytes at every version.",
        &["smp.sender.msg-body", "smp.sender.msg-size"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            for body in ["", "hello"] {
                lab.send(who, &queue, body)?.ok()?;
                let message = lab.receive(who, &queue, body)?;
                require_eq("the length of MSG", message.answer.bytes.len(), MSG_BYTES)?;
            }
            Ok(())
        },
    ),
    Case::new(
        "sender.msg-body-of-marker",
        "A quota marker looks as every message does from outside.",
        &["smp.sender.msg-size", "smp.sender.quota-marker"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send(who, &queue, "first")?.ok()?;
            lab.send(who, &queue, "too many")?.is("ERR QUOTA")?;
            let first = lab.message(who, &queue)?;
            let answer = lab.ack(who, &queue, &first.id)?;
            let marker = lab.opened(&queue, answer)?;
            marker.is("quota marker")?;
            require_eq("the length of MSG", marker.answer.bytes.len(), MSG_BYTES)
        },
    )
    .settings(|settings| settings.quota = Some(1)),
    Case::new(
        "sender.msg-content",
        "Inside are the time in seconds, in eight bytes with the greatest first, the flag, a space and what was sent.",
        &["smp.sender.msg-content", "smp.encoding.timestamps", "smp.encoding.integers"],
        msg_content,
    ),
    Case::new(
        "sender.msg-id",
        "Message ids have 24 bytes and are all different, in different queues too.",
        &["smp.sender.msg-id"],
        |lab| {
            let who = lab.client()?;
            let mut ids = BTreeSet::new();
            for _ in 0..3 {
                let queue = lab.queue(who)?;
                for _ in 0..3 {
                    lab.send(who, &queue, "the same")?.ok()?;
                    let id = lab.receive(who, &queue, "the same")?.id;
                    require_eq("the length of a message id", id.as_bytes().len(), 24)?;
                    require(ids.insert(id), || "two messages have one id".to_owned())?;
                }
            }
            Ok(())
        },
    ),
    Case::new(
        "sender.msg-event",
        "A message that nobody asked for has no correlation id and the recipient id as its entity.",
        &["smp.sender.msg-event", "smp.transport.correlation-id"],
        |lab| {
            let [recipient, sender] = lab.clients()?;
            let (queue, other) = (lab.queue(recipient)?, lab.queue(recipient)?);
            for queue in [&queue, &other, &queue] {
                lab.ask(recipient, Command::Ping)?.is("PONG")?;
                lab.send(sender, queue, "hello")?.ok()?;
                let message = lab.receive(recipient, queue, "hello")?;
                message.answer.addressed(&CorrId::EMPTY, &queue.recipient)?;
            }
            lab.silence(sender)
        },
    ),
    Case::new(
        "sender.msg-to-itself",
        "Who sends to a queue that it is subscribed to gets the message as an event and OK as the answer.",
        &["smp.sender.msg-event"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let corr = lab.corr();
            let sent = Request::from(send("to myself")).of(&queue.sender);
            let answer = lab.ask(who, sent.corr(&corr))?;
            answer.ok()?;
            answer.addressed(&corr, &queue.sender)?;
            let message = lab.receive(who, &queue, "to myself")?;
            message.answer.addressed(&CorrId::EMPTY, &queue.recipient)
        },
    ),
    Case::new(
        "sender.slow-recipient",
        "What a subscriber does not read for a while waits for it, and nothing is lost.",
        &["smp.sender.slow-recipient"],
        slow_recipient,
    ),
    Case::new(
        "sender.persistence",
        "A router that keeps its queues over a restart has them, their keys and their messages again.",
        &["smp.sender.persistence"],
        persistence,
    ),
];

fn msg_content(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let queue = lab.queue(who)?;
    let before = lab.now() / SECOND;
    let flags = MsgFlags { notification: true };
    lab.ask(who, Request::from(Command::Send { flags, body: b"hello".to_vec() }).of(&queue.sender))?.ok()?;
    let message = lab.message(who, &queue)?;
    let Response::Msg { id, body } = message.answer.response()? else {
        return Err(message.answer.unexpected("MSG"));
    };
    let plain = open_padded(&queue.secret, &nonce_from_msg(id), body).map_err(Failure::error)?;
    let (time, rest) = plain.split_first_chunk::<8>().ok_or_else(|| Failure::wrong("a short body"))?;
    require_eq("what follows the time", rest, &b"T hello"[..])?;
    let time = u64::from_be_bytes(*time);
    // Clocks of different machines differ a little.
    require(time.abs_diff(before) <= 120, || format!("the time is {time}, it is {before}"))
}

fn slow_recipient(lab: &mut Lab<'_>) -> Outcome {
    let [recipient, sender] = lab.clients()?;
    let queues = (0..SLOW).map(|_| lab.queue(recipient)).collect::<Result<Vec<_>, _>>()?;
    for (number, queue) in queues.iter().enumerate() {
        lab.send(sender, queue, &format!("message {number}"))?.ok()?;
    }
    for (number, queue) in queues.iter().enumerate() {
        lab.message(recipient, queue)?.is(&format!("message {number}"))?;
    }
    lab.silence(recipient)
}

fn persistence(lab: &mut Lab<'_>) -> Outcome {
    let before = lab.client()?;
    let (queue, open) = (lab.queue(before)?, lab.idle_queue(before)?);
    let key = lab.secure(before, &queue)?;
    lab.send_by(before, &queue, "delivered", &key)?.ok()?;
    let delivered = lab.message(before, &queue)?;
    lab.send(before, &open, "waiting")?.ok()?;
    lab.operate(&Operation::Restart)?;

    let after = lab.client()?;
    lab.subscribe(after, &queue)?;
    let again = lab.receive(after, &queue, "delivered")?;
    require_eq("the id of the message", &again.id, &delivered.id)?;
    lab.send(after, &queue, "unsigned")?.is("ERR AUTH")?;
    lab.send_by(after, &queue, "after", &key)?.ok()?;
    lab.receive(after, &queue, "after")?;
    lab.subscribe(after, &open)?;
    lab.message(after, &open)?.is("waiting")
}

fn unlinkable(lab: &mut Lab<'_>) -> Outcome {
    let [recipient, sender] = lab.clients()?;
    let queue = lab.queue(recipient)?;
    let mut body = vec![0; 4_000];
    lab.rng().fill_bytes(&mut body);
    let corr = lab.corr();
    lab.ask(sender, Request::from(send(body.clone())).of(&queue.sender).corr(&corr))?.ok()?;
    let answer = lab.event(recipient)?;
    answer.is("MSG")?;
    let left = [answer.entity.as_bytes(), answer.bytes.as_slice()].concat();
    for (what, id) in [("the sender id", queue.sender.as_bytes()), ("SEND's correlation id", corr.as_bytes())]
    {
        require(!left.windows(id.len()).any(|bytes| bytes == id), || {
            format!("{what} leaves with the message")
        })?;
    }
    let sent: BTreeSet<&[u8]> = body.windows(16).collect();
    require(!left.windows(16).any(|bytes| sent.contains(bytes)), || {
        "ciphertext of the sender leaves with the message".to_owned()
    })
}
