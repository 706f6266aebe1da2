//! Errors as they travel.

use sxlab_protocol::crypto::keys::{KeyType, X25519Secret};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::SmpError;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{EntityId, MsgId};

use crate::case::{Case, Outcome};
use crate::cases::forms::absent;
use crate::lab::queues::send;
use crate::lab::{Answer, Lab, Request, require};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "errors.addressed",
        "An error, as any answer, has the correlation id and the entity of its command.",
        &["smp.transport.correlation-id", "smp.transport.response-entity"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let wrong = lab.key(KeyType::Ed25519);
            let sub = Request::from(Command::Sub);
            for (entity, request, expected) in [
                (&queue.recipient, sub.clone().by(&wrong), "ERR AUTH"),
                (&queue.recipient, sub.clone(), "ERR CMD NO_AUTH"),
                (&absent(), sub.by(&wrong), "ERR AUTH"),
                (&queue.recipient, Request::bytes(*b"SUB x"), "ERR CMD SYNTAX"),
                (&queue.sender, Request::bytes(*b"XYZZY"), "ERR CMD UNKNOWN"),
                (&queue.recipient, Request::from(Command::Off).by(&queue.key), "OK"),
                (&queue.sender, send("x").into(), "ERR AUTH"),
            ] {
                let corr = lab.corr();
                let answer = lab.ask(who, request.of(entity).corr(&corr))?;
                answer.is(expected)?;
                answer.addressed(&corr, entity)?;
            }
            Ok(())
        },
    ),
    Case::new(
        "errors.tags",
        "Errors are ERR and their tags, with nothing around them.",
        &["smp.errors.tags"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send_by(who, &queue, "signed", &queue.key)?.is_bytes(b"ERR AUTH")?;
            lab.ack(who, &queue, &MsgId::from([1; 24]))?.is_bytes(b"ERR NO_MSG")?;
            let large = Request::from(send(vec![b'x'; 16_089])).of(&queue.sender);
            lab.ask(who, large)?.is_bytes(b"ERR LARGE_MSG")?;
            lab.send(who, &queue, "first")?.ok()?;
            lab.send(who, &queue, "too many")?.is_bytes(b"ERR QUOTA")?;
            lab.write_content(who, b"\0")?;
            lab.event_of(who, &EntityId::EMPTY)?.is_bytes(b"ERR BLOCK")
        },
    )
    .settings(|settings| settings.quota = Some(1)),
    Case::new(
        "errors.command",
        "Errors of commands are CMD and one of six words.",
        &["smp.errors.command", "smp.errors.tags"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let get = Request::from(Command::Get).of(&queue.recipient).by(&queue.key);
            let requests: [(Request, &[u8]); 6] = [
                (Request::bytes(*b"XYZZY"), b"ERR CMD UNKNOWN"),
                (Request::bytes(*b"PING x"), b"ERR CMD SYNTAX"),
                (get, b"ERR CMD PROHIBITED"),
                (Request::from(Command::Sub).of(&queue.recipient), b"ERR CMD NO_AUTH"),
                (Request::from(Command::Ping).of(&queue.recipient), b"ERR CMD HAS_AUTH"),
                (send("x").into(), b"ERR CMD NO_ENTITY"),
            ];
            for (request, expected) in requests {
                lab.ask(who, request)?.is_bytes(expected)?;
            }
            Ok(())
        },
    ),
    Case::new(
        "errors.no-session",
        "PFWD to a session that the proxy does not have is PROXY NO_SESSION.",
        &["smp.errors.proxy"],
        |lab| {
            let who = lab.client()?;
            let dh = X25519Secret::generate(lab.rng());
            let pfwd = Command::Pfwd { version: lab.version(), key: dh.public(), sealed: vec![7; 100] };
            lab.ask(who, Request::from(pfwd).of(&absent()))?.is_bytes(b"ERR PROXY NO_SESSION")
        },
    )
    .versions(8, 20),
    Case::new(
        "errors.basic-auth",
        "PRXY without the proxy's password is PROXY BASIC_AUTH.",
        &["smp.errors.proxy"],
        |lab| {
            let (who, door) = (lab.client()?, lab.door()?);
            let corr = lab.post_prxy(who, &door.address, None)?;
            lab.answer(who, &corr)?.is_bytes(b"ERR PROXY BASIC_AUTH")?;
            lab.nobody_connects(&door)
        },
    )
    .versions(8, 20)
    .settings(|settings| settings.password = Some("secret".to_owned())),
    Case::new(
        "errors.protocol",
        "An error with which the relay answers the forward itself comes after PROXY PROTOCOL.",
        &["smp.errors.proxy"],
        |lab| {
            for (error, expected) in [
                (SmpError::Crypto, "ERR PROXY PROTOCOL CRYPTO"),
                (SmpError::Block, "ERR PROXY PROTOCOL BLOCK"),
            ] {
                relay_answers(lab, &Response::Err(error), |answer| answer.is_bytes(expected.as_bytes()))?;
            }
            Ok(())
        },
    )
    .versions(8, 20),
    Case::new(
        "errors.broker",
        "A relay that cannot be reached is PROXY BROKER NETWORK.",
        &["smp.errors.broker"],
        |lab| {
            let (who, mut address) = (lab.client()?, lab.address()?);
            // The right place, the wrong router.
            address.identity = [0x77; 32];
            let corr = lab.post_prxy(who, &address, None)?;
            lab.answer(who, &corr)?.is_bytes(b"ERR PROXY BROKER NETWORK")
        },
    )
    .versions(8, 20),
    Case::new(
        "errors.broker-text",
        "A relay's response that does not fit is PROXY BROKER UNEXPECTED or RESPONSE with a short string.",
        &["smp.errors.broker-text", "smp.errors.broker"],
        |lab| {
            relay_answers(lab, &Response::Pong, |answer| {
                let texts = [&b"ERR PROXY BROKER UNEXPECTED "[..], b"ERR PROXY BROKER RESPONSE "];
                let text = texts.iter().find_map(|tag| answer.bytes.strip_prefix(*tag));
                let Some((length, text)) = text.and_then(<[u8]>::split_first) else {
                    return Err(
                        answer.unexpected("ERR PROXY BROKER UNEXPECTED or RESPONSE and a short string")
                    );
                };
                require(usize::from(*length) == text.len(), || {
                    format!("the text has a length byte of {length} and {} bytes", text.len())
                })
            })
        },
    )
    .versions(8, 20),
    Case::new(
        "errors.transport",
        "A relay that has no version in common with the proxy is PROXY BROKER TRANSPORT VERSION.",
        &["smp.errors.transport", "smp.errors.broker"],
        |lab| {
            let (who, door) = (lab.client()?, lab.door()?);
            let corr = lab.post_prxy(who, &door.address, None)?;
            let relay = lab.accept(&door)?;
            lab.greet(relay, &door, |hello| hello.versions = (200, 201))?;
            lab.answer(who, &corr)?.is_bytes(b"ERR PROXY BROKER TRANSPORT VERSION")
        },
    )
    .versions(8, 20),
];

/// What a client is told when the relay answers its forward with this.
fn relay_answers(lab: &mut Lab<'_>, response: &Response, expect: impl FnOnce(&Answer) -> Outcome) -> Outcome {
    let (who, door) = (lab.client()?, lab.door()?);
    let (session, relay) = lab.proxied(who, &door)?;
    let route = lab.post_pfwd(who, &relay, &absent(), &send("hello"), None)?;
    let asked = lab.command(session)?;
    lab.reply(session, &asked.received.corr, &EntityId::EMPTY, response)?;
    let answer = lab.answer(who, &route.corr)?;
    expect(&answer)
}
