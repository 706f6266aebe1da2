//! Securing a queue and sending to it.

use std::collections::BTreeSet;

use sxlab_protocol::crypto::keys::{AuthPublicKey, X25519Public};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::envelope::{CONFIRMATION_SIZE, MESSAGE_SIZE};
use sxlab_protocol::smp::error::SmpError;
use sxlab_protocol::smp::response::Response;

use super::session::well_written;
use crate::case::{Case, Outcome};
use crate::lab::{Asked, Destination, Failure, Lab, Opened, Who, require, require_eq};
use crate::target::Action;

const TEXTS: [&str; 3] = ["one", "two", "a third one, somewhat longer"];

pub(super) const CASES: &[Case] = &[
    Case::new(
        "client-send.secures",
        "SKEY comes first, for the queue, authorized by the key that it carries.",
        &["smp.versions.v9", "smp.sender.skey", "smp.sender.skey-own-key", "smp.encoding.public-keys"],
        |lab| {
            let (guest, queue) = lab.sender(&TEXTS)?;
            let asked = lab.command_of(guest.who, "SKEY")?;
            let Command::SKey(key) = well_written(lab, &asked)? else { return Err(Failure::wrong("no SKEY")) };
            require(asked.received.entity == queue.address.sender_id, || "SKEY is for another queue".to_owned())?;
            lab.authorized(guest.who, &asked, &key)
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-send.authenticators",
        "A sender authorizes with authenticators, which nobody else can check, under the correlation id as nonce.",
        &[
            "smp.authorization.sender-deniability",
            "smp.authorization.authenticator",
            "smp.authorization.key-type",
            "smp.authorization.keys",
            "smp.transport.signed-text",
            "smp.transport.authorization-length",
        ],
        authenticators,
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-send.refused-key",
        "A client whose SKEY is refused sends nothing to the queue, and fails.",
        &["smp.sender.skey"],
        |lab| {
            let (guest, _) = lab.sender(&TEXTS)?;
            let asked = lab.command_of(guest.who, "SKEY")?;
            lab.answer_to(guest.who, &asked, &Response::Err(SmpError::Auth))?;
            lab.says_nothing(guest.who)?;
            lab.fails()
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-send.no-session-key",
        "A client makes no authenticator for a router that sent no session key.",
        &["smp.authorization.no-session-key"],
        |lab| {
            let door = lab.door()?;
            let queue = lab.destination(&door);
            lab.act(&Action::send(&queue.address, &TEXTS, None))?;
            let (who, own) = lab.visit(&door, |hello| hello.authenticated = false)?;
            // It may close the connection for a hello without key.
            if let Ok(hello) = lab.client_hello(who, own) {
                require(hello.key.is_none(), || "the client sends a session key to a router without one".to_owned())?;
                if let Ok(asked) = lab.command(who) {
                    let length = asked.received.authorization.map_or(0, |given| given.as_bytes().len());
                    require(length != 80, || "the client sends an authenticator".to_owned())?;
                }
            }
            lab.fails()
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-send.syntax",
        "SEND is for the queue: its flags, a space, and the envelope.",
        &["smp.sender.send-syntax", "smp.sender.send-flags", "smp.encoding.booleans", "smp.sender.send-size"],
        |lab| {
            let (who, queue) = serving(lab)?;
            for asked in sends(lab, who)? {
                let Command::Send { body, .. } = well_written(lab, &asked)? else {
                    return Err(Failure::wrong("no SEND"));
                };
                require(asked.received.entity == queue.address.sender_id, || "SEND is for another queue".to_owned())?;
                let (size, limit) = (body.len(), lab.layout().message_limit);
                require(size <= limit, || format!("a body of {size} bytes, the limit is {limit}"))?;
            }
            lab.succeeds()
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-send.envelopes",
        "Envelopes have a version of the address, the sender's key in the first alone, and open with it: an underscore, then the text.",
        &["client.envelope.layout", "client.envelope.content", "client.envelope.secret"],
        |lab| {
            let (envelopes, _) = envelopes(lab)?;
            let texts: Vec<String> = envelopes
                .iter()
                .filter(|envelope| !envelope.confirmation)
                .map(|envelope| envelope.content.escape_ascii().to_string())
                .collect();
            let expected: Vec<String> = TEXTS.iter().map(|text| format!("_{text}")).collect();
            require_eq("what the recipient reads", texts, expected)?;
            require(envelopes.iter().all(|envelope| (1..=4).contains(&envelope.version)), || {
                "an envelope has a version that the address does not name".to_owned()
            })
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-send.message-sizes",
        "Every message is padded to 16,000 bytes, whatever it says.",
        &["client.envelope.message-size"],
        |lab| {
            let (envelopes, _) = envelopes(lab)?;
            for envelope in envelopes.iter().filter(|envelope| !envelope.confirmation) {
                require_eq("the padded size of a message", envelope.size, MESSAGE_SIZE)?;
            }
            Ok(())
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-send.confirmation-size",
        "The confirmation, the one envelope with a key, is padded to 15,904 bytes.",
        &["client.envelope.confirmation-size"],
        |lab| {
            let (envelopes, _) = envelopes(lab)?;
            let with_key = envelopes.iter().filter(|envelope| envelope.confirmation).count();
            require_eq("the number of envelopes with a key", with_key, 1)?;
            for envelope in envelopes.iter().filter(|envelope| envelope.confirmation) {
                require_eq("the padded size of the confirmation", envelope.size, CONFIRMATION_SIZE)?;
            }
            Ok(())
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-send.nonces",
        "Every envelope has a nonce of its own.",
        &["client.envelope.layout"],
        |lab| {
            let (envelopes, _) = envelopes(lab)?;
            let different: BTreeSet<_> = envelopes.iter().map(|envelope| envelope.nonce).collect();
            require_eq("how many nonces differ", different.len(), envelopes.len())
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-send.batches",
        "What a client sends is blocks with a count and that many transmissions, each after its length.",
        &["smp.transport.batches", "smp.transport.block-size", "smp.transport.batch-budget", "smp.encoding.integers"],
        |lab| {
            // Reading a block takes it apart to the last byte.
            let (who, _) = serving(lab)?;
            let commands = lab.serve_sender(who)?;
            require(commands.len() >= TEXTS.len(), || format!("only {} commands came", commands.len()))?;
            lab.succeeds()
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-send.refused",
        "A client whose SEND is refused says so.",
        &["smp.sender.send-refused", "smp.sender.quota", "smp.sender.send-size", "smp.errors.tags"],
        |lab| {
            for error in [SmpError::Auth, SmpError::Quota, SmpError::LargeMsg] {
                let (guest, _) = lab.sender(&TEXTS)?;
                let asked = lab.command_of(guest.who, "SKEY")?;
                lab.answer_to(guest.who, &asked, &Response::Ok)?;
                let asked = lab.command_of(guest.who, "SEND")?;
                lab.answer_to(guest.who, &asked, &Response::Err(error.clone()))?;
                lab.fails().map_err(|failure| failure.during(&format!("SEND is answered by ERR {error}")))?;
            }
            Ok(())
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-send.blocked",
        "A client whose SEND is refused because the queue is blocked says so, with a notice or without.",
        &["smp.blocking.reason", "smp.blocking.notice"],
        |lab| {
            let mut reasons = vec!["reason=spam", "reason=content"];
            if lab.version() >= 18 {
                reasons.extend(["reason=spam,notice={\"ttl\":3600}", "reason=content,notice={}"]);
            }
            for reason in reasons {
                let (who, _) = serving(lab)?;
                let asked = lab.command_of(who, "SEND")?;
                lab.answer_bytes(who, &asked, format!("ERR BLOCKED {reason}").as_bytes())?;
                lab.fails().map_err(|failure| failure.during(reason))?;
            }
            Ok(())
        },
    )
    .versions(12, 20)
    .client(),
    Case::new(
        "client-send.unknown-error",
        "A client whose SEND is answered by what it does not know does not take it for done.",
        &["smp.errors.unknown"],
        |lab| {
            let (guest, _) = lab.sender(&TEXTS)?;
            let asked = lab.command_of(guest.who, "SKEY")?;
            lab.answer_bytes(guest.who, &asked, b"ERR XYZZY")?;
            lab.fails()
        },
    )
    .versions(9, 20)
    .client(),
];

/// A client that sends and whose queue is secured.
fn serving(lab: &mut Lab<'_>) -> Result<(Who, Destination), Failure> {
    let (guest, queue) = lab.sender(&TEXTS)?;
    let asked = lab.command_of(guest.who, "SKEY")?;
    lab.answer_to(guest.who, &asked, &Response::Ok)?;
    Ok((guest.who, queue))
}

/// Every SEND, answered by OK.
fn sends(lab: &mut Lab<'_>, who: Who) -> Result<Vec<Asked>, Failure> {
    let commands = lab.serve_sender(who)?;
    for asked in &commands {
        require_eq("the command", asked.tag(), "SEND".to_owned())?;
    }
    require(commands.len() >= TEXTS.len(), || format!("only {} SEND came", commands.len()))?;
    Ok(commands)
}

/// What is in the bodies of all SEND, read as the recipient does it.
fn envelopes(lab: &mut Lab<'_>) -> Result<(Vec<Opened>, Option<X25519Public>), Failure> {
    let (who, queue) = serving(lab)?;
    let mut sender = None;
    let mut opened = Vec::new();
    for asked in sends(lab, who)? {
        let Ok(Command::Send { body, .. }) = &asked.command else {
            return Err(Failure::wrong("SEND does not parse"));
        };
        opened.push(queue.open(body, &mut sender)?);
    }
    lab.succeeds()?;
    Ok((opened, sender))
}

fn authenticators(lab: &mut Lab<'_>) -> Outcome {
    let (guest, _) = lab.sender(&TEXTS)?;
    let asked = lab.command_of(guest.who, "SKEY")?;
    let Ok(Command::SKey(key)) = &asked.command else { return Err(Failure::wrong("SKEY does not parse")) };
    require(matches!(key, AuthPublicKey::X25519(_)), || "the sender's key makes signatures".to_owned())?;
    let key = *key;
    lab.authorized(guest.who, &asked, &key)?;
    lab.answer_to(guest.who, &asked, &Response::Ok)?;
    for asked in sends(lab, guest.who)? {
        lab.authorized(guest.who, &asked, &key)?;
    }
    Ok(())
}
