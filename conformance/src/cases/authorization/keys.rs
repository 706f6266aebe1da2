//! Which key authorizes what, and with which kind of authorization.

use sxlab_protocol::crypto::keys::{AuthSecretKey, Ed25519Secret, KeyType};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::wire::{CorrId, put_short};

use crate::case::{Case, Outcome};
use crate::cases::forms::{absent, each_by, key_types, keyed, notifier};
use crate::lab::queues::send;
use crate::lab::{Failure, Lab, Request};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "authorization.recipient-keys",
        "Recipient commands are done with a recipient key of each type, and another key of that type is refused.",
        &["smp.authorization.keys", "smp.authorization.authenticator"],
        |lab| {
            let who = lab.client()?;
            for key in key_types(lab) {
                let queue = lab.queue_of(who, &keyed(*key))?;
                let wrong = lab.key(*key);
                let commands = [Command::Sub, Command::Off, Command::Del];
                each_by(lab, who, &queue.recipient, &wrong, &commands, "ERR AUTH")?;
                lab.subscribe(who, &queue)?;
                lab.recipient(who, &queue, Command::Off)?.ok()?;
                lab.recipient(who, &queue, Command::Del)?.ok()?;
            }
            Ok(())
        },
    ),
    Case::new(
        "authorization.sender-keys",
        "SEND to a secured queue is done with the sender's key of each type, and refused with any other key.",
        &["smp.authorization.keys", "smp.authorization.authenticator", "smp.sender.send-refused"],
        |lab| {
            let who = lab.client()?;
            for key_type in key_types(lab) {
                let queue = lab.queue(who)?;
                let (key, wrong) = (lab.key(*key_type), lab.key(*key_type));
                lab.recipient(who, &queue, Command::Key(key.public()))?.ok()?;
                lab.send_by(who, &queue, "by another", &wrong)?.is("ERR AUTH")?;
                lab.send_by(who, &queue, "by its recipient", &queue.key)?.is("ERR AUTH")?;
                lab.send_by(who, &queue, "by its sender", &key)?.ok()?;
                lab.receive(who, &queue, "by its sender")?;
            }
            Ok(())
        },
    ),
    Case::new(
        "authorization.notifier-keys",
        "NSUB is done with the notifier's key, and refused with the recipient's or any other.",
        &["smp.authorization.keys"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let (id, key) = notifier(lab, who, &queue)?;
            let wrong = lab.key(KeyType::Ed25519);
            for key in [&queue.key, &wrong] {
                lab.ask(who, Request::from(Command::NSub).of(&id).by(key))?.is("ERR AUTH")?;
            }
            let sok = lab.sok();
            lab.ask(who, Request::from(Command::NSub).of(&id).by(&key))?.is(sok)
        },
    ),
    Case::new(
        "authorization.recipient-key-type",
        "For a recipient key of one type, authorizations of the other types are refused.",
        &["smp.authorization.key-type"],
        |lab| {
            let who = lab.client()?;
            for own in key_types(lab) {
                let queue = lab.queue_of(who, &keyed(*own))?;
                for other in key_types(lab).iter().filter(|other| *other != own) {
                    let other = lab.key(*other);
                    let commands = [Command::Sub, Command::Que, Command::Off];
                    each_by(lab, who, &queue.recipient, &other, &commands, "ERR AUTH")?;
                }
                lab.subscribe(who, &queue)?;
            }
            Ok(())
        },
    )
    .versions(7, 20),
    Case::new(
        "authorization.sender-key-type",
        "For a sender's key of one type, authorizations of the other types are refused.",
        &["smp.authorization.key-type"],
        |lab| {
            let who = lab.client()?;
            for own in key_types(lab) {
                let (queue, key) = (lab.queue_of(who, &keyed(*own))?, lab.key(*own));
                lab.recipient(who, &queue, Command::Key(key.public()))?.ok()?;
                for other in key_types(lab).iter().filter(|other| *other != own) {
                    let other = lab.key(*other);
                    lab.send_by(who, &queue, "by another type", &other)?.is("ERR AUTH")?;
                }
                lab.send_by(who, &queue, "by its type", &key)?.ok()?;
            }
            Ok(())
        },
    )
    .versions(7, 20),
    Case::new(
        "authorization.ed448",
        "Ed448 keys are taken for recipients, senders and notifiers.",
        &["smp.authorization.ed448", "smp.encoding.public-keys"],
        ed448,
    ),
    Case::new(
        "authorization.x448",
        "An X448 key in KEY is a syntax error.",
        &["smp.authorization.ed448", "smp.encoding.public-keys"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            // SubjectPublicKeyInfo with the object identifier 1.3.101.111.
            let mut spki = vec![0x30, 0x42, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6f, 0x03, 0x39, 0x00];
            spki.extend_from_slice(&[0x11; 56]);
            let mut command = b"KEY ".to_vec();
            put_short(&mut command, &spki).map_err(Failure::error)?;
            let request = Request::bytes(command).of(&queue.recipient).by(&queue.key);
            lab.ask(who, request)?.is("ERR CMD SYNTAX")
        },
    ),
    Case::new(
        "authorization.authenticator-nonce",
        "Authenticators work with correlation ids of any length, cut to 24 bytes or filled up with zeros as the nonce.",
        &["smp.authorization.authenticator-nonce", "smp.transport.correlation-id-again"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue_of(who, &keyed(KeyType::X25519))?;
            for length in [0, 4, 23, 24, 25, 100, 255] {
                let corr = CorrId::new(&vec![0x6e; length]).map_err(Failure::error)?;
                let que = Request::from(Command::Que).of(&queue.recipient).by(&queue.key).corr(&corr);
                let answer = lab.ask(who, que)?;
                answer.is("INFO")?;
                answer.addressed(&corr, &queue.recipient)?;
            }
            Ok(())
        },
    )
    .versions(7, 20),
    Case::new(
        "authorization.authenticator-bytes",
        "An authenticator that differs in a single bit is refused.",
        &["smp.authorization.authenticator"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue_of(who, &keyed(KeyType::X25519))?;
            for byte in [1, 16, 17, 80] {
                let que = Request::from(Command::Que).of(&queue.recipient).by(&queue.key);
                // The item begins with the length and the 80 bytes of the authenticator.
                let (corr, mut item) = lab.item(who, &que)?;
                if let Some(byte) = item.get_mut(byte) {
                    *byte ^= 1;
                }
                lab.write_items(who, &[item])?;
                lab.answer(who, &corr)?.is("ERR AUTH")?;
            }
            lab.recipient(who, &queue, Command::Que)?.is("INFO")
        },
    )
    .versions(7, 20),
    Case::new(
        "authorization.other-session",
        "An authorization that was made for another session of the same router is refused.",
        &["smp.transport.signed-text"],
        |lab| {
            let [who, other] = lab.clients()?;
            for key in key_types(lab) {
                let queue = lab.queue_of(who, &keyed(*key))?;
                let id = lab.session_id(other)?;
                let sub = Request::from(Command::Sub).of(&queue.recipient).by(&queue.key);
                lab.ask(who, sub.clone().signed_session(id))?.is("ERR AUTH")?;
                let sok = lab.sok();
                lab.ask(who, sub)?.is(sok)?;
            }
            Ok(())
        },
    ),
    Case::new(
        "authorization.raw-bytes",
        "What is verified are the bytes that came, not the bytes that a router would write for what they mean.",
        &["smp.authorization.raw-bytes"],
        raw_bytes,
    ),
    Case::new(
        "authorization.recipient-ids",
        "A recipient command with a sender's id, a notifier's or one that nobody has is refused with AUTH.",
        &["smp.authorization.recipient-ids"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let (notifier, _) = notifier(lab, who, &queue)?;
            let key = lab.sender_key().public();
            let commands = [
                Command::Sub,
                Command::Get,
                Command::Que,
                Command::Key(key),
                Command::Ack(Default::default()),
                Command::NDel,
                Command::Off,
                Command::Del,
            ];
            for id in [&queue.sender, &notifier, &absent()] {
                each_by(lab, who, id, &queue.key, &commands, "ERR AUTH")?;
            }
            lab.send(who, &queue, "still there")?.ok()?;
            lab.receive(who, &queue, "still there").map(|_| ())
        },
    ),
    Case::new(
        "authorization.sender-ids",
        "A sender command with a recipient id is refused with AUTH, authorized or not.",
        &["smp.authorization.sender-ids"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let key = lab.sender_key();
            lab.ask(who, Request::from(send("x")).of(&queue.recipient))?.is("ERR AUTH")?;
            lab.ask(who, Request::from(send("x")).of(&queue.recipient).by(&queue.key))?.is("ERR AUTH")?;
            let skey = Request::from(Command::SKey(key.public())).of(&queue.recipient);
            lab.ask(who, skey.by(&key))?.is("ERR AUTH")?;
            lab.recipient(who, &queue, Command::Key(key.public()))?.ok()?;
            lab.ask(who, Request::from(send("x")).of(&queue.recipient).by(&key))?.is("ERR AUTH")?;
            lab.silence(who)
        },
    ),
];

fn ed448(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let queue = lab.queue_of(who, &keyed(KeyType::Ed448))?;
    let (sender, own) = (lab.key(KeyType::Ed448), lab.key(KeyType::Ed448));
    lab.recipient(who, &queue, Command::Key(sender.public()))?.ok()?;
    lab.send_by(who, &queue, "by Ed448", &sender)?.ok()?;
    lab.receive(who, &queue, "by Ed448")?;
    let (mut keys, _, _) = crate::cases::forms::notifier_keys(lab);
    keys.auth_key = own.public();
    let id = lab.recipient(who, &queue, Command::NKey(keys))?.nid()?.id.clone();
    let sok = lab.sok();
    lab.ask(who, Request::from(Command::NSub).of(&id).by(&own))?.is(sok)
}

/// The flags' further letters are skipped: two texts mean the same command.
fn raw_bytes(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let queue = lab.queue(who)?;
    let signer = Ed25519Secret::generate(lab.rng());
    let key = AuthSecretKey::Ed25519(signer.clone());
    lab.recipient(who, &queue, Command::Key(key.public()))?.ok()?;
    let sent = Request::bytes(*b"SEND Fabc hello").of(&queue.sender);
    lab.ask(who, sent.clone().by(&key))?.ok()?;
    lab.receive(who, &queue, "hello")?;

    let corr = lab.corr();
    let mut text = Vec::new();
    for part in [lab.session_id(who)?.as_slice(), corr.as_bytes(), queue.sender.as_bytes()] {
        put_short(&mut text, part).map_err(Failure::error)?;
    }
    text.extend_from_slice(b"SEND F hello");
    lab.ask(who, sent.corr(&corr).authorization(signer.sign(&text)))?.is("ERR AUTH")
}
