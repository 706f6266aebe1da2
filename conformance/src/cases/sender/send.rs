//! SKEY and SEND.

use sxlab_protocol::smp::command::{Command, MsgFlags, QueueRequest};
use sxlab_protocol::smp::envelope::MessageBody;

use crate::case::{Case, Outcome};
use crate::cases::forms::{absent, form, key_types, linked, messaging_link};
use crate::lab::queues::send;
use crate::lab::{Failure, Lab, Request, require, require_eq};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "sender.skey",
        "SKEY sets the sender's key of a messaging queue; the same key again is OK, another one AUTH.",
        &["smp.sender.skey", "smp.versions.v9"],
        |lab| {
            let who = lab.client()?;
            for key_type in key_types(lab) {
                let (queue, key, other) = (lab.queue(who)?, lab.key(*key_type), lab.key(*key_type));
                let skey = |key: &sxlab_protocol::crypto::keys::AuthSecretKey| {
                    Request::from(Command::SKey(key.public())).of(&queue.sender).by(key)
                };
                lab.ask(who, skey(&key))?.ok()?;
                lab.ask(who, skey(&key))?.ok()?;
                lab.ask(who, skey(&other))?.is("ERR AUTH")?;
                lab.send(who, &queue, "unsigned")?.is("ERR AUTH")?;
                lab.send_by(who, &queue, "by the other", &other)?.is("ERR AUTH")?;
                lab.send_by(who, &queue, "by the first", &key)?.ok()?;
                lab.receive(who, &queue, "by the first")?;
            }
            Ok(())
        },
    )
    .versions(9, 20),
    Case::new(
        "sender.skey-own-key",
        "SKEY is done with the key that it carries, and refused with another, the recipient's too.",
        &["smp.sender.skey-own-key"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let (key, other) = (lab.sender_key(), lab.sender_key());
            let skey = Request::from(Command::SKey(key.public())).of(&queue.sender);
            lab.ask(who, skey.clone().by(&other))?.is("ERR AUTH")?;
            lab.ask(who, skey.by(&queue.key))?.is("ERR AUTH")?;
            lab.send(who, &queue, "still open")?.ok()
        },
    )
    .versions(9, 20),
    Case::new(
        "sender.skey-absent",
        "SKEY of a queue that is not there is AUTH.",
        &["smp.sender.skey"],
        |lab| {
            let who = lab.client()?;
            let key = lab.sender_key();
            let skey = Request::from(Command::SKey(key.public())).of(&absent());
            lab.ask(who, skey.by(&key))?.is("ERR AUTH")
        },
    )
    .versions(9, 20),
    Case::new(
        "sender.skey-no-mode",
        "SKEY of a queue without mode is AUTH.",
        &["smp.sender.skey-contact"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue_of(who, &form(QueueRequest::None))?;
            let key = lab.sender_key();
            let skey = Request::from(Command::SKey(key.public())).of(&queue.sender);
            lab.ask(who, skey.by(&key))?.is("ERR AUTH")?;
            lab.send(who, &queue, "still open")?.ok()
        },
    )
    .versions(15, 20),
    Case::new(
        "sender.skey-after-key",
        "SKEY with the key that KEY has set is OK, with another AUTH.",
        &["smp.sender.skey-after-key"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let (key, other) = (lab.secure(who, &queue)?, lab.sender_key());
            for (key, expected) in [(&key, "OK"), (&other, "ERR AUTH"), (&key, "OK")] {
                let skey = Request::from(Command::SKey(key.public())).of(&queue.sender);
                lab.ask(who, skey.by(key))?.is(expected)?;
            }
            Ok(())
        },
    )
    .versions(9, 20),
    Case::new(
        "sender.skey-after-lkey",
        "SKEY with the key that LKEY has set is OK, with another AUTH.",
        &["smp.sender.skey-after-key"],
        |lab| {
            let who = lab.client()?;
            let (queue, link) = linked(lab, who, messaging_link)?;
            let (key, other) = (lab.sender_key(), lab.sender_key());
            lab.ask(who, Request::from(Command::LKey(key.public())).of(&link).by(&key))?.is("LNK")?;
            for (key, expected) in [(&key, "OK"), (&other, "ERR AUTH")] {
                let skey = Request::from(Command::SKey(key.public())).of(&queue.sender);
                lab.ask(who, skey.by(key))?.is(expected)?;
            }
            Ok(())
        },
    )
    .versions(15, 20),
    Case::new(
        "sender.send-syntax",
        "The body of SEND is all that follows the space after the flags, whatever bytes it has.",
        &["smp.sender.send-syntax"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            for body in [&b" with  spaces "[..], b"\0\xff\n#", b"SEND F x"] {
                let sent = Request::bytes([b"SEND F ", body].concat()).of(&queue.sender);
                lab.ask(who, sent)?.ok()?;
                let message = lab.message(who, &queue)?;
                let MessageBody::Message { body: got, .. } = &message.body else {
                    return Err(Failure::wrong("a quota marker came"));
                };
                require_eq("the body", got.as_slice(), body)?;
                lab.ack(who, &queue, &message.id)?.ok()?;
            }
            for wrong in ["SEND", "SEND ", "SEND F", "SEND  x", "SEND F\nx"] {
                lab.ask(who, Request::bytes(wrong).of(&queue.sender))?
                    .is("ERR CMD SYNTAX")
                    .map_err(|failure| failure.of_known_command().during(wrong))?;
            }
            lab.silence(who)
        },
    ),
    Case::new(
        "sender.send-flags",
        "The first flag comes back with the message; letters after it are skipped.",
        &["smp.sender.send-flags", "smp.encoding.booleans"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            for (flags, notification) in
                [("T", true), ("F", false), ("Tabcdefghijklmnop", true), ("FT", false), ("FTTTTTTT", false)]
            {
                let sent = Request::bytes(format!("SEND {flags} hello")).of(&queue.sender);
                lab.ask(who, sent)?.ok().map_err(|failure| failure.during(flags))?;
                let message = lab.receive(who, &queue, "hello")?;
                let MessageBody::Message { flags, .. } = message.body else {
                    return Err(Failure::wrong("a quota marker came"));
                };
                require_eq("the flags", flags, MsgFlags { notification })?;
            }
            Ok(())
        },
    ),
    Case::new(
        "sender.send-empty",
        "An empty body is accepted and delivered.",
        &["smp.sender.send-empty"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send(who, &queue, "")?.ok()?;
            lab.receive(who, &queue, "").map(|_| ())
        },
    ),
    Case::new(
        "sender.send-size",
        "The largest body is accepted and delivered whole; one byte more is LARGE_MSG.",
        &["smp.sender.send-size", "smp.versions.v8", "smp.versions.v11"],
        send_size,
    ),
    Case::new(
        "sender.send-size-after-authorization",
        "A body that is too large for a queue that is not there, or without authorization, is AUTH.",
        &["smp.sender.send-size-after-authorization"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let large = send(vec![b'x'; limit(lab) + 1]);
            lab.ask(who, Request::from(large.clone()).of(&absent()))?.is("ERR AUTH")?;
            let key = lab.secure(who, &queue)?;
            lab.ask(who, Request::from(large.clone()).of(&queue.sender))?.is("ERR AUTH")?;
            lab.ask(who, Request::from(large).of(&queue.sender).by(&key))?.is("ERR LARGE_MSG")
        },
    ),
    Case::new(
        "sender.send-refused",
        "SEND to a queue that is not there, authorized or not, is AUTH.",
        &["smp.sender.send-refused"],
        |lab| {
            let who = lab.client()?;
            lab.ask(who, Request::from(send("x")).of(&absent()))?.is("ERR AUTH")?;
            for key_type in key_types(lab) {
                let key = lab.key(*key_type);
                lab.ask(who, Request::from(send("x")).of(&absent()).by(&key))?.is("ERR AUTH")?;
            }
            Ok(())
        },
    ),
    Case::new(
        "sender.unsecured",
        "Whoever knows the sender id may send to a queue that is not secured.",
        &["smp.sender.unsecured"],
        |lab| {
            let [recipient, one, other] = lab.clients()?;
            let queue = lab.queue(recipient)?;
            lab.send(one, &queue, "from one")?.ok()?;
            lab.send(other, &queue, "from another")?.ok()?;
            let first = lab.message(recipient, &queue)?;
            first.is("from one")?;
            let answer = lab.ack(recipient, &queue, &first.id)?;
            lab.opened(&queue, answer)?.is("from another")
        },
    ),
];

/// The largest body of SEND: what is left of a block grew smaller twice.
fn limit(lab: &Lab<'_>) -> usize {
    match lab.version() {
        ..8 => 16_088,
        8..11 => 16_064,
        11.. => 16_048,
    }
}

fn send_size(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let queue = lab.queue(who)?;
    let largest: Vec<u8> = (0..limit(lab)).map(|at| at.to_le_bytes()[0]).collect();
    lab.ask(who, Request::from(send(largest.clone())).of(&queue.sender))?.ok()?;
    let message = lab.message(who, &queue)?;
    let MessageBody::Message { body, .. } = &message.body else {
        return Err(Failure::wrong("a quota marker came"));
    };
    require(*body == largest, || format!("a body of {} bytes came otherwise", largest.len()))?;
    lab.ack(who, &queue, &message.id)?.ok()?;
    let larger = send([&largest[..], b"x"].concat());
    lab.ask(who, Request::from(larger).of(&queue.sender))?.is("ERR LARGE_MSG")?;
    lab.silence(who)
}
