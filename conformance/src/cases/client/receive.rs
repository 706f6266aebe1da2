//! Making a queue and receiving.

use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::envelope::MessageBody;
use sxlab_protocol::smp::error::SmpError;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{EntityId, MsgId, QueueMode};

use super::session::well_written;
use crate::case::{Case, Outcome};
use crate::lab::{Failure, Lab, Recipient, SECOND, require};
use crate::target::Action;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "client-receive.new",
        "NEW has the layout of the version, no entity, and is authorized by the key that it carries.",
        &[
            "smp.versions.v6",
            "smp.versions.v7",
            "smp.versions.v9",
            "smp.versions.v15",
            "smp.versions.v17",
            "smp.transport.v6-no-key",
            "smp.recipient.new-layout",
            "smp.recipient.new-own-key",
            "smp.authorization.create",
            "smp.authorization.key-type",
            "smp.transport.signed-text",
            "smp.transport.session-id-on-wire",
            "smp.transport.service-signature-field",
            "smp.encoding.public-keys",
            "smp.encoding.optional-values",
        ],
        new,
    )
    .client(),
    Case::new(
        "client-receive.subscribes",
        "A client that wants messages of its new queue subscribes to it, in NEW or by SUB.",
        &["smp.recipient.new-subscribes"],
        |lab| {
            let recipient = lab.receiving()?;
            if recipient.new.subscribe {
                return Ok(());
            }
            lab.command_of(recipient.who, "SUB").map(|_| ())
        },
    )
    .client(),
    Case::new(
        "client-receive.refused",
        "A client whose NEW is refused fails and shows no address.",
        &["smp.recipient.new-password", "smp.recipient.new-disabled"],
        |lab| {
            let door = lab.door()?;
            lab.act(&Action::Receive { router: door.address.clone() })?;
            let visit = lab.visit(&door, |_| {})?;
            let guest = lab.welcome(&door, visit)?;
            let asked = lab.command_of(guest.who, "NEW")?;
            lab.answer_to(guest.who, &asked, &Response::Err(SmpError::Auth))?;
            lab.fails()?;
            let shown = lab.shown_within(0, 0);
            require(shown.lines.is_empty(), || "the client shows an address".to_owned())
        },
    )
    .client(),
    Case::new(
        "client-receive.address",
        "The address that a client shows has the sender id of IDS, and no password.",
        &["client.address.queue-uri", "client.address.no-password", "client.address.base64"],
        |lab| {
            let recipient = lab.receiving()?;
            let address = &recipient.address;
            require(address.sender_id == recipient.sender_id, || "the address has another id".to_owned())?;
            require(address.router.password.is_none(), || "the address has a password".to_owned())?;
            let secures = recipient.new.queue.mode() == Some(QueueMode::Messaging);
            let says = address.mode == Some(QueueMode::Messaging);
            // Before version 9 nothing tells the router so.
            let expected = secures && lab.version() >= 9;
            require(says == expected, || {
                "the address says otherwise than NEW whether senders secure the queue".to_owned()
            })
        },
    )
    .client(),
    Case::new(
        "client-receive.messages",
        "A client shows what senders say, in order, and acknowledges each message to the queue, signed.",
        &[
            "smp.sender.msg-body",
            "smp.sender.msg-size",
            "smp.sender.msg-content",
            "smp.sender.msg-event",
            "smp.recipient.ack",
            "smp.authorization.keys",
            "smp.authorization.sender-deniability",
            "smp.recipient.one-in-flight",
            "client.envelope.layout",
            "client.envelope.secret",
        ],
        messages,
    )
    .client(),
    Case::new(
        "client-receive.next-with-ack",
        "The answer to an acknowledgement may be the next message.",
        &["smp.recipient.ack"],
        |lab| {
            let recipient = lab.receiving()?;
            let first = lab.deliver(&recipient, true, "one")?;
            let asked = lab.unanswered_ack(&recipient, &first)?;
            let second = lab.message_id();
            let body = lab.sent_by_suite(&recipient, false, "two")?;
            let msg = lab.msg(&recipient, &second, &body)?;
            lab.answer_to(recipient.who, &asked, &msg)?;
            lab.acked(&recipient, &second)?;
            lab.shows(&["one", "two"])
        },
    )
    .client(),
    Case::new(
        "client-receive.unreadable",
        "A client shows nothing of a message that does not decrypt.",
        &["smp.sender.msg-body"],
        unreadable,
    )
    .client(),
    Case::new(
        "client-receive.other-sender",
        "A client shows nothing of a message whose envelope does not decrypt.",
        &["client.envelope.secret"],
        |lab| {
            let recipient = lab.receiving()?;
            let first = lab.deliver(&recipient, true, "one")?;
            lab.acked(&recipient, &first)?;
            let id = lab.message_id();
            let MessageBody::Message { time, flags, mut body } =
                lab.sent_by_suite(&recipient, false, "two")?
            else {
                return Err(Failure::error("no message"));
            };
            if let Some(last) = body.last_mut() {
                *last ^= 1;
            }
            let msg = lab.msg(&recipient, &id, &MessageBody::Message { time, flags, body })?;
            lab.push(recipient.who, &recipient.id, &msg)?;
            settle(lab, &recipient, &id)?;
            lab.shows(&["one"])
        },
    )
    .client(),
    Case::new(
        "client-receive.quota-marker",
        "A client takes the quota marker for no message, and acknowledges it.",
        &["smp.sender.quota-marker", "smp.sender.msg-content"],
        |lab| {
            let recipient = lab.receiving()?;
            let first = lab.deliver(&recipient, true, "one")?;
            lab.acked(&recipient, &first)?;
            let id = lab.message_id();
            let time = i64::try_from(lab.now() / SECOND).unwrap_or(i64::MAX);
            let marker = lab.msg(&recipient, &id, &MessageBody::Quota { time })?;
            lab.push(recipient.who, &recipient.id, &marker)?;
            lab.acked(&recipient, &id)?;
            let last = lab.deliver(&recipient, false, "two")?;
            lab.acked(&recipient, &last)?;
            lab.shows(&["one", "two"])
        },
    )
    .client(),
    Case::new(
        "client-receive.other-queue",
        "A client takes no messages of queues that it does not have.",
        &["smp.sender.msg-event"],
        |lab| {
            let recipient = lab.receiving()?;
            let (id, body) = (lab.message_id(), lab.sent_by_suite(&recipient, true, "of another queue")?);
            let msg = lab.msg(&recipient, &id, &body)?;
            lab.push(recipient.who, &EntityId::from([7; 24]), &msg)?;
            let own = lab.deliver(&recipient, true, "of its own")?;
            lab.acked(&recipient, &own)?;
            lab.shows(&["of its own"])
        },
    )
    .client(),
    Case::new(
        "client-receive.again",
        "A message that is delivered again is acknowledged again.",
        &["smp.recipient.redelivery", "smp.sender.msg-id"],
        |lab| {
            let recipient = lab.receiving()?;
            let (id, body) = (lab.message_id(), lab.sent_by_suite(&recipient, true, "once or twice")?);
            let msg = lab.msg(&recipient, &id, &body)?;
            for _ in 0..2 {
                lab.push(recipient.who, &recipient.id, &msg)?;
                lab.acked(&recipient, &id)?;
            }
            let shown = lab.shown(2);
            let right = shown.lines.iter().skip(1).all(|line| line == b"once or twice");
            require(right && shown.lines.len() >= 2, || "the client does not show the message".to_owned())
        },
    )
    .client(),
    Case::new(
        "client-receive.unknown-events",
        "A client goes on after events and errors that it does not know.",
        &["smp.errors.unknown"],
        |lab| {
            let recipient = lab.receiving()?;
            for event in [&b"XYZZY 1"[..], b"ERR XYZZY", b"ERR CMD XYZZY", b"ENDING"] {
                lab.push_bytes(recipient.who, &recipient.id, event)?;
            }
            let id = lab.deliver(&recipient, true, "text")?;
            lab.acked(&recipient, &id)?;
            lab.shows(&["text"])
        },
    )
    .client(),
    Case::new(
        "client-receive.end",
        "A client whose subscription is taken over acknowledges nothing any more.",
        &["smp.recipient.takeover", "smp.recipient.takeover-ack"],
        |lab| {
            let recipient = lab.receiving()?;
            let id = lab.deliver(&recipient, true, "text")?;
            lab.acked(&recipient, &id)?;
            lab.push(recipient.who, &recipient.id, &Response::End)?;
            match lab.says_nothing(recipient.who) {
                Ok(()) => Ok(()),
                // It may subscribe again, and then takes the queue back.
                Err(_) => lab.command_of(recipient.who, "SUB").map(|_| ()),
            }
        },
    )
    .client(),
    Case::new(
        "client-receive.other-end",
        "The end of another subscription does not end the client's own.",
        &["smp.recipient.takeover", "smp.recipient.del-event"],
        |lab| {
            let recipient = lab.receiving()?;
            lab.push(recipient.who, &EntityId::from([7; 24]), &Response::End)?;
            lab.push(recipient.who, &EntityId::from([7; 24]), &Response::Deld)?;
            let id = lab.deliver(&recipient, true, "text")?;
            lab.acked(&recipient, &id)?;
            lab.shows(&["text"])
        },
    )
    .client(),
];

fn new(lab: &mut Lab<'_>) -> Outcome {
    let door = lab.door()?;
    lab.act(&Action::Receive { router: door.address.clone() })?;
    let visit = lab.visit(&door, |_| {})?;
    let guest = lab.welcome(&door, visit)?;
    let asked = lab.command_of(guest.who, "NEW")?;
    let Command::New(new) = well_written(lab, &asked)? else { return Err(Failure::wrong("no NEW")) };
    require(asked.received.entity.is_empty(), || "NEW names an entity".to_owned())?;
    lab.authorized(guest.who, &asked, &new.auth_key)?;
    lab.created(&guest, asked, |_| {}).map(|_| ())
}

fn messages(lab: &mut Lab<'_>) -> Outcome {
    let recipient = lab.receiving()?;
    let long = "x".repeat(15_000);
    let texts = ["one", "", "three", long.as_str()];
    for (number, text) in texts.iter().enumerate() {
        // The first has the sender's key; an empty one would be a mere confirmation.
        let id = lab.deliver(&recipient, number == 0, text)?;
        let asked = lab.acked(&recipient, &id)?;
        well_written(lab, &asked)?;
        lab.authorized(recipient.who, &asked, &recipient.new.auth_key)?;
    }
    lab.shows(&texts)
}

fn unreadable(lab: &mut Lab<'_>) -> Outcome {
    let recipient = lab.receiving()?;
    let first = lab.deliver(&recipient, true, "one")?;
    lab.acked(&recipient, &first)?;
    let body = lab.sent_by_suite(&recipient, false, "two")?;
    // The nonce of another message's id, and a bit of the box changed.
    let (id, other) = (lab.message_id(), lab.message_id());
    let Response::Msg { body: sealed, .. } = lab.msg(&recipient, &other, &body)? else {
        return Err(Failure::error("no MSG"));
    };
    lab.push(recipient.who, &recipient.id, &Response::Msg { id: id.clone(), body: sealed })?;
    settle(lab, &recipient, &id)?;
    lab.shows(&["one"])
}

/// The client may acknowledge a message that it can't read, or not.
fn settle(lab: &mut Lab<'_>, recipient: &Recipient, id: &MsgId) -> Outcome {
    match lab.says_nothing(recipient.who) {
        Ok(()) => Ok(()),
        Err(_) => lab.acked(recipient, id).map(|_| ()),
    }
}
