//! KEY and RKEY.

use sxlab_protocol::crypto::keys::KeyType;
use sxlab_protocol::smp::command::Command;

use crate::case::{Case, Outcome};
use crate::cases::forms::{contact, each_by, key_types};
use crate::lab::{Failure, Lab, Request};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "recipient.key-secures",
        "KEY sets the sender's key; the same key again is OK, another one AUTH, and the first one stays.",
        &["smp.recipient.key-secures"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let (key, other) = (lab.sender_key(), lab.sender_key());
            lab.recipient(who, &queue, Command::Key(key.public()))?.ok()?;
            lab.recipient(who, &queue, Command::Key(key.public()))?.ok()?;
            lab.recipient(who, &queue, Command::Key(other.public()))?.is("ERR AUTH")?;
            lab.send_by(who, &queue, "by the other", &other)?.is("ERR AUTH")?;
            lab.send_by(who, &queue, "by the first", &key)?.ok()?;
            lab.receive(who, &queue, "by the first").map(|_| ())
        },
    ),
    Case::new(
        "recipient.key-of-contact",
        "KEY secures contact queues too.",
        &["smp.recipient.key-secures"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue_of(who, &contact())?;
            let key = lab.secure(who, &queue)?;
            lab.send(who, &queue, "unsigned")?.is("ERR AUTH")?;
            lab.send_by(who, &queue, "signed", &key)?.ok()
        },
    )
    .versions(9, 20),
    Case::new(
        "recipient.key-effect",
        "A queue that is not secured refuses signed messages, a secured one unsigned messages.",
        &["smp.recipient.key-effect"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            for key_type in key_types(lab) {
                let key = lab.key(*key_type);
                lab.send_by(who, &queue, "signed", &key)?.is("ERR AUTH")?;
            }
            lab.send(who, &queue, "unsigned")?.ok()?;
            lab.receive(who, &queue, "unsigned")?;
            let key = lab.secure(who, &queue)?;
            lab.send(who, &queue, "unsigned")?.is("ERR AUTH")?;
            lab.send_by(who, &queue, "signed", &key)?.ok()?;
            lab.receive(who, &queue, "signed").map(|_| ())
        },
    ),
    Case::new(
        "recipient.secure-suspended",
        "A suspended queue can still be secured, by its recipient and by its sender.",
        &["smp.recipient.secure-suspended"],
        |lab| {
            let who = lab.client()?;
            let (one, other) = (lab.queue(who)?, lab.queue(who)?);
            lab.recipient(who, &one, Command::Off)?.ok()?;
            lab.secure(who, &one)?;
            if lab.version() >= 9 {
                let key = lab.sender_key();
                lab.recipient(who, &other, Command::Off)?.ok()?;
                let skey = Request::from(Command::SKey(key.public())).of(&other.sender);
                lab.ask(who, skey.by(&key))?.ok()?;
            }
            Ok(())
        },
    ),
    Case::new(
        "recipient.rkey",
        "RKEY replaces the recipient keys of a contact queue, and the former ones stop working at once.",
        &["smp.recipient.rkey", "smp.encoding.lists"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue_of(who, &contact())?;
            let new = lab.key(KeyType::Ed25519);
            lab.recipient(who, &queue, Command::RKey(vec![new.public()]))?.ok()?;
            let commands =
                [Command::Sub, Command::Que, Command::RKey(vec![queue.key.public()]), Command::Del];
            each_by(lab, who, &queue.recipient, &queue.key, &commands, "ERR AUTH")?;
            each_by(lab, who, &queue.recipient, &new, &[Command::Sub], lab.sok())?;
            each_by(lab, who, &queue.recipient, &new, &[Command::Del], "OK")
        },
    )
    .versions(15, 20),
    Case::new(
        "recipient.rkey-any",
        "Each of several recipient keys, of any type, authorizes recipient commands, RKEY among them.",
        &["smp.recipient.rkey-any", "smp.authorization.keys", "smp.authorization.ed448"],
        rkey_any,
    )
    .versions(15, 20),
    Case::new(
        "recipient.rkey-many",
        "RKEY takes 255 keys, and the last one works as the first does.",
        &["smp.recipient.rkey", "smp.encoding.lists"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue_of(who, &contact())?;
            let last = lab.key(KeyType::Ed25519);
            let mut keys = vec![queue.key.public(); 254];
            keys.push(last.public());
            lab.recipient(who, &queue, Command::RKey(keys))?.ok()?;
            each_by(lab, who, &queue.recipient, &last, &[Command::Off], "OK")?;
            lab.recipient(who, &queue, Command::Del)?.ok()
        },
    )
    .versions(15, 20),
    Case::new(
        "recipient.rkey-messaging",
        "RKEY of a messaging queue is AUTH, and its key stays.",
        &["smp.recipient.rkey-messaging"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let new = lab.key(KeyType::Ed25519);
            lab.recipient(who, &queue, Command::RKey(vec![new.public()]))?.is("ERR AUTH")?;
            each_by(lab, who, &queue.recipient, &new, &[Command::Sub], "ERR AUTH")?;
            lab.subscribe(who, &queue)
        },
    )
    .versions(15, 20),
];

fn rkey_any(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let queue = lab.queue_of(who, &contact())?;
    let keys: Vec<_> = key_types(lab).iter().map(|key_type| lab.key(*key_type)).collect();
    let public: Vec<_> = keys.iter().map(|key| key.public()).collect();
    lab.recipient(who, &queue, Command::RKey(public.clone()))?.ok()?;
    for key in &keys {
        each_by(lab, who, &queue.recipient, key, &[Command::Sub], lab.sok())?;
        each_by(lab, who, &queue.recipient, key, &[Command::RKey(public.clone()), Command::Off], "OK")?;
    }
    let last = keys.last().ok_or_else(|| Failure::error("no keys"))?;
    each_by(lab, who, &queue.recipient, last, &[Command::RKey(vec![last.public()])], "OK")?;
    for key in keys.iter().take(keys.len() - 1) {
        each_by(lab, who, &queue.recipient, key, &[Command::Sub], "ERR AUTH")?;
    }
    each_by(lab, who, &queue.recipient, last, &[Command::Del], "OK")
}
