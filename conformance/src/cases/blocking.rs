//! Queues that the operator of their router blocked.

use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{BlockingInfo, BlockingReason, Notice};
use sxlab_protocol::wire::CorrId;

use crate::case::{Case, Outcome};
use crate::cases::forms::{
    contact_link, each_by, link_data, linked, messaging_link, notifier, notifier_keys,
};
use crate::lab::{Lab, Request, TestQueue};
use crate::target::Operation;

/// For spam, without a notice.
const SPAM: BlockingInfo = BlockingInfo { reason: BlockingReason::Spam, notice: None };

/// For its content, with a notice for an hour.
const CONTENT: BlockingInfo =
    BlockingInfo { reason: BlockingReason::Content, notice: Some(Notice { ttl: Some(3600) }) };

/// For its content, with a notice for ever.
const FOR_EVER: BlockingInfo = BlockingInfo { notice: Some(Notice { ttl: None }), ..CONTENT };

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "blocking.send",
        "SEND to a blocked queue is BLOCKED with the reason, nothing is stored, and unblocking ends it.",
        &["smp.blocking.send", "smp.blocking.reason", "smp.versions.v12"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            block(lab, &queue, SPAM)?;
            for _ in 0..2 {
                lab.send(who, &queue, "refused")?.is_bytes(b"ERR BLOCKED reason=spam")?;
            }
            lab.operate(&Operation::Unblock(queue.recipient.clone()))?;
            lab.send(who, &queue, "taken")?.ok()?;
            lab.subscribe(who, &queue)?;
            lab.receive(who, &queue, "taken").map(|_| ())
        },
    )
    .versions(12, 20),
    Case::new(
        "blocking.send-secured",
        "SEND to a blocked queue that is secured is BLOCKED for its sender.",
        &["smp.blocking.send"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            let key = lab.secure(who, &queue)?;
            block(lab, &queue, SPAM)?;
            lab.send_by(who, &queue, "refused", &key)?.is_bytes(b"ERR BLOCKED reason=spam")
        },
    )
    .versions(12, 20),
    Case::new(
        "blocking.sender-id",
        "An operator may name a queue by its sender id, as whoever reports it knows it.",
        &["smp.blocking.send"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.operate(&Operation::Block(queue.sender.clone(), SPAM))?;
            lab.send(who, &queue, "refused")?.is("ERR BLOCKED reason=spam")?;
            lab.operate(&Operation::Unblock(queue.sender.clone()))?;
            lab.send(who, &queue, "taken")?.ok()
        },
    )
    .versions(12, 20),
    Case::new(
        "blocking.commands",
        "Every command of the recipient but OFF and DEL is BLOCKED, and SKEY of the sender.",
        &["smp.blocking.commands"],
        |lab| commands(lab, "ERR BLOCKED reason=spam"),
    )
    .versions(12, 20),
    Case::new(
        "blocking.links",
        "LGET and LKEY of a blocked queue's link are BLOCKED.",
        &["smp.blocking.commands"],
        |lab| {
            let who = lab.client()?;
            let (messaging, lkey) = linked(lab, who, messaging_link)?;
            let chosen = lab.link_id(0x61);
            let (contact, lget) = linked(lab, who, |sender| contact_link(sender, &chosen))?;
            block(lab, &messaging, SPAM)?;
            block(lab, &contact, SPAM)?;
            let key = lab.sender_key();
            let lkey = Request::from(Command::LKey(key.public())).of(&lkey).by(&key);
            lab.ask(who, lkey)?.is("ERR BLOCKED reason=spam")?;
            lab.ask(who, Request::from(Command::LGet).of(&lget))?.is("ERR BLOCKED reason=spam")
        },
    )
    .versions(15, 20),
    Case::new(
        "blocking.ack",
        "ACK of a message that was delivered before its queue was blocked is BLOCKED.",
        &["smp.blocking.commands"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send(who, &queue, "before")?.ok()?;
            let message = lab.message(who, &queue)?;
            block(lab, &queue, SPAM)?;
            lab.ack(who, &queue, &message.id)?.is("ERR BLOCKED reason=spam")
        },
    )
    .versions(12, 20),
    Case::new(
        "blocking.allowed",
        "DEL and NSUB of a blocked queue are done.",
        &["smp.blocking.allowed"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            let (id, key) = notifier(lab, who, &queue)?;
            block(lab, &queue, SPAM)?;
            let sok = lab.sok();
            lab.ask(who, Request::from(Command::NSub).of(&id).by(&key))?.is(sok)?;
            lab.recipient(who, &queue, Command::Del)?.ok()?;
            lab.recipient(who, &queue, Command::Sub)?.is("ERR AUTH")?;
            lab.send(who, &queue, "gone")?.is("ERR AUTH")
        },
    ),
    Case::new(
        "blocking.off",
        "OFF is done and replaces the blocking by the suspension: SUB and QUE work, SEND is AUTH.",
        &["smp.blocking.off", "smp.blocking.allowed"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "before")?.ok()?;
            block(lab, &queue, CONTENT)?;
            lab.recipient(who, &queue, Command::Off)?.ok()?;
            lab.recipient(who, &queue, Command::Que)?.is("INFO")?;
            lab.subscribe(who, &queue)?;
            lab.receive(who, &queue, "before")?;
            lab.send(who, &queue, "after")?.is("ERR AUTH")?;
            // There is nothing to unblock any more.
            lab.operate(&Operation::Unblock(queue.recipient.clone()))?;
            lab.send(who, &queue, "after")?.is("ERR AUTH")
        },
    ),
    Case::new(
        "blocking.after-authorization",
        "Whoever is not authorized is told AUTH of a blocked queue as of any other.",
        &["smp.blocking.after-authorization"],
        |lab| {
            let who = lab.client()?;
            let (open, secured) = (lab.queue(who)?, lab.idle_queue(who)?);
            let wrong = lab.sender_key();
            lab.secure(who, &secured)?;
            lab.ask(who, Command::Ping)?.is("PONG")?;
            block(lab, &secured, SPAM)?;
            lab.send(who, &secured, "unsigned")?.is("ERR AUTH")?;
            lab.send_by(who, &secured, "by another", &wrong)?.is("ERR AUTH")?;
            let commands = [Command::Sub, Command::Get, Command::Que, Command::Off, Command::Del];
            each_by(lab, who, &secured.recipient, &wrong, &commands, "ERR AUTH")?;
            lab.operate(&Operation::Block(open.recipient.clone(), SPAM))?;
            lab.event_of(who, &open.recipient)?;
            lab.send_by(who, &open, "signed", &wrong)?.is("ERR AUTH")
        },
    ),
    Case::new(
        "blocking.event",
        "The subscriber is told at once that its queue was blocked, with the recipient id and without correlation id.",
        &["smp.blocking.event"],
        |lab| {
            let [who, other] = lab.clients()?;
            let queue = lab.queue(who)?;
            block(lab, &queue, SPAM)?;
            let event = lab.event(who)?;
            event.is(if lab.version() >= 12 { "ERR BLOCKED reason=spam" } else { "ERR AUTH" })?;
            event.addressed(&CorrId::EMPTY, &queue.recipient)?;
            lab.silence(who)?;
            lab.silence(other)
        },
    ),
    Case::new(
        "blocking.old-versions",
        "Before version 12 BLOCKED is told as AUTH.",
        &["smp.blocking.old-versions"],
        |lab| {
            commands(lab, "ERR AUTH")?;
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            block(lab, &queue, CONTENT)?;
            lab.send(who, &queue, "refused")?.is_bytes(b"ERR AUTH")
        },
    )
    .versions(6, 11),
    Case::new("blocking.reason", "The reason is spam or content.", &["smp.blocking.reason"], |lab| {
        let who = lab.client()?;
        for (reason, expected) in
            [(BlockingReason::Spam, "reason=spam"), (BlockingReason::Content, "reason=content")]
        {
            let queue = lab.idle_queue(who)?;
            block(lab, &queue, BlockingInfo { reason, notice: None })?;
            let expected = format!("ERR BLOCKED {expected}");
            lab.send(who, &queue, "refused")?.is_bytes(expected.as_bytes())?;
            lab.recipient(who, &queue, Command::Sub)?.is_bytes(expected.as_bytes())?;
        }
        Ok(())
    })
    .versions(12, 20),
    Case::new(
        "blocking.notice",
        "After the reason comes the notice, a JSON object, with its ttl where it has one.",
        &["smp.blocking.notice", "smp.versions.v18"],
        |lab| {
            let who = lab.client()?;
            for (info, expected) in [
                (CONTENT, r#"ERR BLOCKED reason=content,notice={"ttl":3600}"#),
                (FOR_EVER, "ERR BLOCKED reason=content,notice={}"),
            ] {
                let queue = lab.queue(who)?;
                block(lab, &queue, info)?;
                lab.event_of(who, &queue.recipient)?.is_bytes(expected.as_bytes())?;
                lab.send(who, &queue, "refused")?.is_bytes(expected.as_bytes())?;
                lab.recipient(who, &queue, Command::Que)?.is_bytes(expected.as_bytes())?;
            }
            Ok(())
        },
    )
    .versions(18, 20),
    Case::new(
        "blocking.no-notice",
        "Before version 18 BLOCKED ends with the reason, in answers and in events.",
        &["smp.blocking.no-notice"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            block(lab, &queue, CONTENT)?;
            lab.event_of(who, &queue.recipient)?.is_bytes(b"ERR BLOCKED reason=content")?;
            lab.send(who, &queue, "refused")?.is_bytes(b"ERR BLOCKED reason=content")
        },
    )
    .versions(12, 17),
];

fn block(lab: &mut Lab<'_>, queue: &TestQueue, info: BlockingInfo) -> Outcome {
    lab.operate(&Operation::Block(queue.recipient.clone(), info))
}

/// The commands that a blocked queue refuses in this way.
fn commands(lab: &mut Lab<'_>, expected: &str) -> Outcome {
    let who = lab.client()?;
    let queue = lab.idle_queue(who)?;
    let (keys, _, _) = notifier_keys(lab);
    let key = lab.sender_key();
    block(lab, &queue, SPAM)?;
    let mut commands = vec![
        Command::Sub,
        Command::Get,
        Command::Que,
        Command::Key(key.public()),
        Command::Ack(Default::default()),
        Command::NKey(keys),
        Command::NDel,
        Command::LSet { link: lab.link_id(0x62), data: link_data() },
        Command::LDel,
    ];
    if lab.version() >= 15 {
        commands.push(Command::RKey(vec![key.public()]));
    }
    each_by(lab, who, &queue.recipient, &queue.key, &commands, expected)?;
    if lab.version() >= 9 {
        let skey = Request::from(Command::SKey(key.public())).of(&queue.sender).by(&key);
        lab.ask(who, skey)?.is(expected)?;
    }
    // None of them was done.
    lab.operate(&Operation::Unblock(queue.recipient.clone()))?;
    lab.send(who, &queue, "still open")?.ok()?;
    lab.subscribe(who, &queue)?;
    lab.receive(who, &queue, "still open").map(|_| ())
}
