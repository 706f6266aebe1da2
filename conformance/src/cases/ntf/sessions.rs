//! Sessions: hellos, blocks, what is refused and how.

use sxlab_protocol::crypto::keys::KeyType;
use sxlab_protocol::ntf::handshake::BLOCK_SIZE;
use sxlab_protocol::wire::EntityId;

use crate::case::{Case, Outcome};
use crate::lab::{SECOND, require_eq};
use crate::ntf::{Answer, NtfLab, active};

const HOUR: u64 = 3600 * SECOND;

/// Its cases.
pub(crate) const CASES: &[Case] = &[
    Case::ntf(
        "ntf-sessions.ping",
        "PING is answered by PONG, in blocks of 512 bytes that are not encrypted.",
        &["ntf.session.ping", "ntf.session.blocks", "ntf.session.plain"],
        |lab| {
            let who = lab.client()?;
            lab.raw(who, &EntityId::EMPTY, b"PING", None)?.is("PONG")
        },
    ),
    Case::ntf(
        "ntf-sessions.offer",
        "The router's hello offers versions 1 to 3 with a signed session key, without ALPN version 1 alone.",
        &["ntf.session.hello", "ntf.session.no-alpn"],
        |lab| {
            for (alpn, max) in [(true, 3), (false, 1)] {
                let who = lab.connect(alpn);
                let hello = lab.router_hello(who)?;
                require_eq("the range of versions", (hello.versions.min, hello.versions.max), (1, max))?;
                require_eq("whether there is a session key", hello.key.is_some(), alpn)?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-sessions.no-alpn",
        "A device without ALPN has a session at version 1.",
        &["ntf.session.no-alpn"],
        |lab| {
            let who = lab.connect(false);
            lab.router_hello(who)?;
            let identity = lab.identity();
            lab.hello(who, 1, identity, &[])?;
            lab.raw(who, &EntityId::EMPTY, b"PING", None)?.is("PONG")
        },
    )
    .versions(1, 1),
    Case::ntf(
        "ntf-sessions.hello-tail",
        "What follows the known fields of a hello is ignored.",
        &["ntf.session.hello"],
        |lab| {
            let who = lab.connect(true);
            lab.router_hello(who)?;
            let (version, identity) = (lab.version(), lab.identity());
            lab.hello(who, version, identity, b"future")?;
            lab.raw(who, &EntityId::EMPTY, b"PING", None)?.is("PONG")
        },
    ),
    Case::ntf(
        "ntf-sessions.wrong-hello",
        "A hello with another identity or a version that was not offered ends the connection without a word.",
        &["ntf.session.wrong-hello"],
        |lab| {
            let (version, mut other) = (lab.version(), lab.identity());
            other[0] ^= 1;
            let right = lab.identity();
            for (version, identity) in [(version, other), (0, right), (4, right)] {
                let who = lab.connect(true);
                lab.router_hello(who)?;
                lab.hello(who, version, identity, &[])?;
                require_eq("the number of blocks after a wrong hello", lab.blocks(who)?.len(), 0)?;
                lab.closed(who, true)?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-sessions.garbage-hello",
        "A hello that does not parse ends the connection without a word.",
        &["ntf.session.wrong-hello"],
        |lab| {
            for bytes in [vec![0xff; BLOCK_SIZE], vec![0; BLOCK_SIZE], vec![b'#'; BLOCK_SIZE]] {
                let who = lab.connect(true);
                lab.router_hello(who)?;
                lab.post_bytes(who, &bytes);
                lab.closed(who, true)?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-sessions.batch",
        "Commands share a block, and so do their answers.",
        &["ntf.session.batches"],
        |lab| {
            let who = lab.client()?;
            let pings = pings(lab, who, 6)?;
            lab.post(who, &pings)?;
            let blocks = lab.blocks(who)?;
            require_eq(
                "the number of answers in each block",
                blocks.iter().map(Vec::len).collect(),
                vec![6],
            )?;
            blocks.iter().flatten().try_for_each(|answer| answer.is("PONG"))
        },
    )
    .versions(2, 3),
    Case::ntf(
        "ntf-sessions.full-batch",
        "Answers that do not fit into one block come in several, and none is lost.",
        &["ntf.session.batches"],
        |lab| {
            // Fifteen of these fit into a block, and their answers, with the entity, do not.
            let who = lab.client()?;
            let mut corrs = Vec::new();
            let mut items = Vec::new();
            for _ in 0..15 {
                let corr = lab.corr();
                items.push(lab.item(who, &corr, &EntityId::EMPTY, b"P", None)?);
                corrs.push(corr);
            }
            lab.post(who, &items)?;
            let answers = lab.answers(who)?;
            require_eq(
                "the correlation ids",
                answers.iter().map(|answer| answer.corr.clone()).collect(),
                corrs,
            )?;
            answers.iter().try_for_each(|answer| answer.is("ERR CMD UNKNOWN"))
        },
    )
    .versions(2, 3),
    Case::ntf(
        "ntf-sessions.one-by-one",
        "At version 1 each block is a transmission, with the session id in it, and each answer has a block.",
        &["ntf.session.single"],
        |lab| {
            let who = lab.client()?;
            let pings = pings(lab, who, 3)?;
            lab.post(who, &pings)?;
            let blocks = lab.blocks(who)?;
            require_eq(
                "the number of answers in each block",
                blocks.iter().map(Vec::len).collect(),
                vec![1; 3],
            )?;
            blocks.iter().flatten().try_for_each(|answer| answer.is("PONG"))
        },
    )
    .versions(1, 1),
    Case::ntf(
        "ntf-sessions.other-session-id",
        "A transmission with another session id gets ERR SESSION.",
        &["ntf.session.single"],
        |lab| {
            let who = lab.client()?;
            let corr = lab.corr();
            let mut ping = lab.item(who, &corr, &EntityId::EMPTY, b"PING", None)?;
            // The length of the authorization, that of the session id, and its first byte.
            if let Some(byte) = ping.get_mut(2) {
                *byte ^= 1;
            }
            lab.post(who, &[ping])?;
            lab.one(who)?.is("ERR SESSION")
        },
    )
    .versions(1, 1),
    Case::ntf(
        "ntf-sessions.bad-block",
        "A block that can't be read is answered by ERR BLOCK, and the session goes on.",
        &["ntf.session.bad-block", "ntf.session.errors"],
        |lab| {
            let who = lab.client()?;
            for bytes in [vec![0xff; BLOCK_SIZE], vec![0; BLOCK_SIZE]] {
                lab.post_bytes(who, &bytes);
                block_error(lab.one(who)?)?;
            }
            lab.post_content(who, b"\x01\x00\x02\xff\xff")?;
            block_error(lab.one(who)?)?;
            lab.closed(who, false)?;
            lab.raw(who, &EntityId::EMPTY, b"PING", None)?.is("PONG")
        },
    ),
    Case::ntf(
        "ntf-sessions.bad-batch",
        "A batch that is none, or has a tail, is answered by one ERR BLOCK.",
        &["ntf.session.bad-block", "ntf.session.batches"],
        |lab| {
            let who = lab.client()?;
            let corr = lab.corr();
            let ping = lab.item(who, &corr, &EntityId::EMPTY, b"PING", None)?;
            let length = u16::try_from(ping.len()).unwrap_or_default().to_be_bytes();
            let two = [&[2][..], &length, &ping].concat();
            let tail = [&[1][..], &length, &ping, b"0"].concat();
            for content in [vec![0], two, tail] {
                lab.post_content(who, &content)?;
                block_error(lab.one(who)?)?;
            }
            lab.raw(who, &EntityId::EMPTY, b"PING", None)?.is("PONG")
        },
    )
    .versions(2, 3),
    Case::ntf(
        "ntf-sessions.513-bytes",
        "A byte too many shifts the blocks that follow: they are errors until the stream is at a block again.",
        &["ntf.session.blocks", "ntf.session.bad-block"],
        |lab| {
            let who = lab.client()?;
            lab.post_bytes(who, &[0xff; BLOCK_SIZE + 1]);
            block_error(lab.one(who)?)?;
            require_eq("the number of answers to one byte", lab.answers(who)?.len(), 0)?;
            lab.post_bytes(who, &[0xff; BLOCK_SIZE - 1]);
            block_error(lab.one(who)?)?;
            lab.raw(who, &EntityId::EMPTY, b"PING", None)?.is("PONG")
        },
    ),
    Case::ntf(
        "ntf-sessions.bad-authorization",
        "An authorization of a length that none has is a block error of its transmission.",
        &["ntf.session.bad-block"],
        |lab| {
            let who = lab.client()?;
            for length in [1, 63, 65, 113] {
                let corr = lab.corr();
                let plain = lab.item(who, &corr, &[1; 24].into(), b"TCHK", None)?;
                let rest = plain.get(1..).unwrap_or_default();
                let item = [&[length][..], &vec![b'U'; length.into()], rest].concat();
                lab.post(who, &[item])?;
                let answer = lab.one(who)?;
                answer.is("ERR BLOCK")?;
                require_eq("the correlation id", answer.corr, corr)?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-sessions.unknown-command",
        "A command that nobody has is unknown, one with wrong parameters a syntax error.",
        &["ntf.session.errors"],
        |lab| {
            let who = lab.client()?;
            let key = lab.key(KeyType::Ed25519);
            for (command, expected) in [
                (&b"XYZZY"[..], "ERR CMD UNKNOWN"),
                (b"", "ERR CMD UNKNOWN"),
                (b"PING ", "ERR CMD SYNTAX"),
                (b"TNEW", "ERR CMD SYNTAX"),
                (b"TNEW TXX\x01a", "ERR CMD SYNTAX"),
                (b"SNEW T", "ERR CMD SYNTAX"),
            ] {
                lab.raw(who, &EntityId::EMPTY, command, None)?.is(expected)?;
            }
            for (command, expected) in [
                (&b"TCRN \x01"[..], "ERR CMD SYNTAX"),
                (b"TCHK x", "ERR CMD SYNTAX"),
                (b"TVFY \x05x", "ERR CMD SYNTAX"),
            ] {
                lab.raw(who, &[1; 24].into(), command, Some(&key))?.is(expected)?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-sessions.authorization-and-entity",
        "Every command has just the authorization and the entity that it takes.",
        &["ntf.session.refusals", "ntf.session.errors"],
        |lab| {
            let who = lab.client()?;
            let (some, none) = (EntityId::from([1; 24]), EntityId::EMPTY);
            let key = lab.key(KeyType::Ed25519);
            let mut tnew = Vec::new();
            let asked = lab.device("phone")?.register();
            asked.command.encode(&mut tnew).map_err(crate::lab::Failure::error)?;
            for (command, entity, signed, expected) in [
                (&b"PING"[..], &none, true, "ERR CMD HAS_AUTH"),
                (b"PING", &some, false, "ERR CMD HAS_AUTH"),
                (&tnew, &none, false, "ERR CMD NO_AUTH"),
                (&tnew, &some, true, "ERR CMD HAS_AUTH"),
                (b"TCHK", &some, false, "ERR CMD NO_AUTH"),
                (b"TCHK", &none, true, "ERR CMD NO_AUTH"),
                (b"TDEL", &some, false, "ERR CMD NO_AUTH"),
                (b"SCHK", &none, true, "ERR CMD NO_AUTH"),
                (b"SDEL", &some, false, "ERR CMD NO_AUTH"),
            ] {
                lab.raw(who, entity, command, signed.then_some(&key))?.is(expected)?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-sessions.not-authorized",
        "What is not there, and what another key authorizes, gets ERR AUTH.",
        &["ntf.session.authorization"],
        |lab| {
            let who = lab.client()?;
            let mut phone = active(lab, who, "phone")?;
            let key = lab.key(KeyType::Ed25519);
            let id = phone.id().cloned().unwrap_or_default();
            for command in [&b"TCHK"[..], b"TDEL", b"TCRN \x00\x14", b"TVFY \x01x"] {
                lab.raw(who, &id, command, Some(&key))?.is("ERR AUTH")?;
            }
            for command in [&b"TCHK"[..], b"TDEL", b"SCHK", b"SDEL"] {
                lab.raw(who, &[1; 24].into(), command, Some(&key))?.is("ERR AUTH")?;
            }
            let mut asked = phone.register();
            asked.key = key;
            lab.ask(who, &asked.entity, &asked.command, Some(&asked.key))?.is("ERR AUTH")?;
            lab.token_is(who, &mut phone, "ACTIVE")
        },
    ),
    Case::ntf(
        "ntf-sessions.refused-first",
        "What is refused of a batch is answered before what is carried out, each in the order of the batch.",
        &["ntf.session.batches", "ntf.session.errors"],
        |lab| {
            let who = lab.client()?;
            let mut items = Vec::new();
            for command in [&b"PING"[..], b"XYZZY", b"PING ", b"PING"] {
                let corr = lab.corr();
                items.push(lab.item(who, &corr, &EntityId::EMPTY, command, None)?);
            }
            lab.post(who, &items)?;
            let answers: Vec<_> = lab.answers(who)?.iter().map(Answer::to_string).collect();
            let expected = ["ERR CMD UNKNOWN", "ERR CMD SYNTAX", "PONG", "PONG"];
            require_eq("the answers", answers, expected.map(str::to_owned).to_vec())
        },
    )
    .versions(2, 3),
    Case::ntf(
        "ntf-sessions.inactive",
        "A device that says nothing for 12 hours is disconnected, one that talks is not.",
        &["ntf.session.inactive"],
        |lab| {
            let (silent, talking) = (lab.client()?, lab.client()?);
            lab.pass(11 * HOUR);
            lab.raw(talking, &EntityId::EMPTY, b"PING", None)?.is("PONG")?;
            lab.closed(silent, false)?;
            lab.pass(2 * HOUR);
            lab.closed(silent, true)?;
            lab.closed(talking, false)
        },
    ),
];

fn pings(lab: &mut NtfLab, who: crate::ntf::Who, count: usize) -> Result<Vec<Vec<u8>>, crate::lab::Failure> {
    let mut items = Vec::new();
    for _ in 0..count {
        let corr = lab.corr();
        items.push(lab.item(who, &corr, &EntityId::EMPTY, b"PING", None)?);
    }
    Ok(items)
}

/// ERR BLOCK that is for no command.
fn block_error(answer: Answer) -> Outcome {
    answer.is("ERR BLOCK")?;
    require_eq("the entity of a block error", answer.entity, EntityId::EMPTY)
}
