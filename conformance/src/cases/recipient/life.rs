//! OFF and DEL.

use sxlab_protocol::smp::command::Command;
use sxlab_protocol::wire::CorrId;

use crate::case::Case;
use crate::cases::forms::each_by;

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "recipient.off",
        "OFF is answered by OK, again too, and from then on SEND by AUTH; what waits stays.",
        &["smp.recipient.off", "smp.sender.send-refused"],
        |lab| {
            let who = lab.client()?;
            let (open, secured) = (lab.queue(who)?, lab.queue(who)?);
            let key = lab.secure(who, &secured)?;
            lab.send(who, &open, "before")?.ok()?;
            for queue in [&open, &secured] {
                lab.recipient(who, queue, Command::Off)?.ok()?;
                lab.recipient(who, queue, Command::Off)?.ok()?;
            }
            lab.send(who, &open, "after")?.is("ERR AUTH")?;
            lab.send_by(who, &secured, "after", &key)?.is("ERR AUTH")?;
            lab.receive(who, &open, "before")?;
            lab.silence(who)
        },
    ),
    Case::new(
        "recipient.del",
        "DEL drops the queue with its messages, and every later command with its ids is AUTH.",
        &["smp.recipient.del"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "lost")?.ok()?;
            lab.recipient(who, &queue, Command::Del)?.ok()?;
            let key = lab.sender_key().public();
            let ack = Command::Ack(Default::default());
            let commands = [
                Command::Sub,
                Command::Get,
                Command::Que,
                Command::Key(key),
                ack,
                Command::Off,
                Command::Del,
            ];
            each_by(lab, who, &queue.recipient, &queue.key, &commands, "ERR AUTH")?;
            lab.send(who, &queue, "too late")?.is("ERR AUTH")?;
            lab.silence(who)
        },
    ),
    Case::new(
        "recipient.del-subscribed",
        "Who deletes a queue that it is subscribed to is told nothing but OK.",
        &["smp.recipient.del", "smp.recipient.del-event"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.recipient(who, &queue, Command::Del)?.ok()?;
            lab.silence(who)
        },
    ),
    Case::new(
        "recipient.del-event",
        "Another session that is subscribed to a deleted queue is told DELD, below version 10 END.",
        &["smp.recipient.del-event", "smp.versions.v10"],
        |lab| {
            let [subscriber, owner] = lab.clients()?;
            let queue = lab.queue(subscriber)?;
            lab.recipient(owner, &queue, Command::Del)?.ok()?;
            let event = lab.event(subscriber)?;
            event.is_bytes(if lab.version() >= 10 { b"DELD" } else { b"END" })?;
            event.addressed(&CorrId::EMPTY, &queue.recipient)?;
            lab.silence(subscriber)?;
            lab.silence(owner)
        },
    ),
];
