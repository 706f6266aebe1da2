//! Blocks, batches, transmissions and answers of a session.

use std::collections::BTreeSet;

use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{BLOCK_SIZE, pack_one};
use sxlab_protocol::wire::{CorrId, EntityId, pad};

use crate::case::{Case, Outcome};
use crate::lab::{Asked, Failure, Lab, Who, require, require_eq};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "client-session.ping",
        "PING comes without authorization and entity, and PONG is its answer.",
        &["smp.versions.v13", "smp.transport.tls-parameters", "client.address.router-uri", "smp.transport.ping", "smp.authorization.not-allowed", "smp.transport.transmission"],
        |lab| {
            let (who, asked) = asked(lab)?;
            asked.bare()?;
            require_eq("PING", asked.received.command.as_slice(), b"PING".as_slice())?;
            lab.answer_to(who, &asked, &Response::Pong)?;
            lab.succeeds()
        },
    )
    .client(),
    Case::new(
        "client-session.encryption",
        "Blocks after the hellos are encrypted from version 11 on if the client sent its key, each with the next key of its direction.",
        &["smp.versions.v11", 
            "smp.transport.block-encryption",
            "smp.transport.block-encryption-size",
            "smp.transport.block-chain-steps",
            "smp.transport.unencrypted-without-key",
            "smp.transport.block-size",
        ],
        encryption,
    )
    .client(),
    Case::new(
        "client-session.correlation-ids",
        "Correlation ids have 24 bytes, which are random and never the same in a session.",
        &["smp.transport.correlation-id"],
        |lab| {
            let texts: Vec<String> = (0..6).map(|number| format!("message {number}")).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let recipient = lab.receiving()?;
            let mut ids = vec![recipient.asked.received.corr.clone()];
            for (number, text) in texts.iter().enumerate() {
                let id = lab.deliver(&recipient, number == 0, text)?;
                ids.push(lab.acked(&recipient, &id)?.received.corr);
            }
            unpredictable(&ids)
        },
    )
    .client(),
    Case::new(
        "client-session.other-correlation-id",
        "An answer with another correlation id is not the answer.",
        &["smp.transport.correlation-id"],
        |lab| {
            let (who, asked) = asked(lab)?;
            lab.reply(who, &CorrId::from([7; 24]), &EntityId::EMPTY, &Response::Pong)?;
            let silence = lab.silence_time();
            let shown = lab.shown_within(usize::MAX, silence);
            require(shown.ended != Some(true), || "the client takes the answer to something else".to_owned())?;
            lab.answer_to(who, &asked, &Response::Pong)?;
            lab.succeeds()
        },
    )
    .client(),
    Case::new(
        "client-session.other-fill",
        "A client goes by the length of what is padded, whatever fills the block.",
        &["smp.encoding.padding"],
        |lab| {
            let (who, asked) = asked(lab)?;
            let pong = lab.reply_item(who, &asked.received.corr, &EntityId::EMPTY, &Response::Pong)?;
            let content = pack_one(&pong).map_err(Failure::error)?;
            let mut block = pad(&content, BLOCK_SIZE).map_err(Failure::error)?;
            for byte in block.iter_mut().skip(2 + content.len()) {
                *byte = 0;
            }
            lab.write_raw(who, &block)?;
            lab.succeeds()
        },
    )
    .versions(6, 10)
    .client(),
    Case::new(
        "client-session.several-in-a-block",
        "A client reads all transmissions of a block.",
        &["smp.transport.batches"],
        |lab| {
            let (who, asked) = asked(lab)?;
            let event = lab.reply_item(who, &CorrId::EMPTY, &EntityId::from([7; 24]), &Response::End)?;
            let pong = lab.reply_item(who, &asked.received.corr, &EntityId::EMPTY, &Response::Pong)?;
            lab.write_items(who, &[event.clone(), event, pong])?;
            lab.succeeds()
        },
    )
    .client(),
    Case::new(
        "client-session.full-block",
        "A client reads a block of 255 transmissions.",
        &["smp.transport.batches", "smp.transport.event-batches"],
        |lab| {
            let (who, asked) = asked(lab)?;
            let event = lab.reply_item(who, &CorrId::EMPTY, &EntityId::EMPTY, &Response::End)?;
            let mut items = vec![event; 254];
            items.push(lab.reply_item(who, &asked.received.corr, &EntityId::EMPTY, &Response::Pong)?);
            lab.write_items(who, &items)?;
            lab.succeeds()
        },
    )
    .client(),
    Case::new(
        "client-session.unreadable-block",
        "A block that does not decrypt, or whose batch has no transmission or misses one, answers nothing.",
        &["smp.transport.batches", "smp.transport.unreadable-batch"],
        unreadable,
    )
    .client(),
    Case::new(
        "client-session.other-session",
        "At version 6 a transmission with another session id is not for this session.",
        &["smp.transport.session-id-on-wire"],
        |lab| {
            let (who, asked) = asked(lab)?;
            let mut item = lab.reply_item(who, &asked.received.corr, &EntityId::EMPTY, &Response::Pong)?;
            // After the length of the authorization and that of the id.
            if let Some(byte) = item.get_mut(2) {
                *byte ^= 1;
            }
            lab.write_items(who, &[item])?;
            not_done(lab)
        },
    )
    .versions(6, 6)
    .client(),
    Case::new(
        "client-session.unknown-answer",
        "An answer that a client does not know is a failed request.",
        &["smp.errors.unknown"],
        |lab| {
            for answer in [&b"XYZZY"[..], b"PONG 1", b"ERR", b"ERR XYZZY", b"ERR CMD XYZZY"] {
                let (who, asked) = asked(lab)?;
                lab.answer_bytes(who, &asked, answer)?;
                let shown = answer.escape_ascii().to_string();
                lab.fails().map_err(|failure| failure.during(&format!("PING is answered by `{shown}`")))?;
            }
            Ok(())
        },
    )
    .client(),
    Case::new(
        "client-session.error-answer",
        "An error is a failed request, whichever it is.",
        &["smp.errors.rare", "smp.errors.tags", "smp.errors.command"],
        |lab| {
            let mut errors = vec!["BLOCK", "SESSION", "CMD SYNTAX", "CMD PROHIBITED", "AUTH", "INTERNAL"];
            errors.extend(["CRYPTO", "QUOTA", "NO_MSG", "LARGE_MSG", "STORE disk full", "EXPIRED", "SERVICE"]);
            for error in errors {
                let (who, asked) = asked(lab)?;
                lab.answer_bytes(who, &asked, format!("ERR {error}").as_bytes())?;
                lab.fails().map_err(|failure| failure.during(&format!("PING is answered by ERR {error}")))?;
            }
            Ok(())
        },
    )
    .client(),
    Case::new(
        "client-session.closed",
        "A client whose router closes the connection does not say that it is done.",
        &["smp.transport.ping"],
        |lab| {
            let (who, _) = asked(lab)?;
            lab.close(who)?;
            not_done(lab)
        },
    )
    .client(),
];

/// A client that was asked to ping, and its PING.
fn asked(lab: &mut Lab<'_>) -> Result<(Who, Asked), Failure> {
    let guest = lab.pinging()?;
    let asked = lab.command_of(guest.who, "PING")?;
    Ok((guest.who, asked))
}

/// Expects that the client does not say that it is done: it fails, or is still waiting.
fn not_done(lab: &mut Lab<'_>) -> Outcome {
    let silence = lab.silence_time();
    let shown = lab.shown_within(usize::MAX, silence);
    require(shown.ended != Some(true), || "the client says that it is done".to_owned())
}

fn encryption(lab: &mut Lab<'_>) -> Outcome {
    let recipient = lab.receiving()?;
    let encrypted = lab.is_encrypted(recipient.who)?;
    let sent_key = lab.sent_session_key(recipient.who)?;
    require_eq("whether blocks are encrypted", encrypted, sent_key && lab.version() >= 11)?;
    // Opening each block takes the next key of its direction.
    for number in 0..3 {
        let id = lab.deliver(&recipient, number == 0, "text")?;
        lab.acked(&recipient, &id)?;
    }
    lab.shows(&["text", "text", "text"])
}

/// That nobody who knows all ids but the last could guess the last.
fn unpredictable(ids: &[CorrId]) -> Outcome {
    for id in ids {
        require_eq("the length of a correlation id", id.as_bytes().len(), 24)?;
    }
    let different: BTreeSet<&[u8]> = ids.iter().map(CorrId::as_bytes).collect();
    require_eq("how many correlation ids of a session differ", different.len(), ids.len())?;
    for pair in ids.windows(2) {
        let [one, two] = pair else { continue };
        let equal = one.as_bytes().iter().zip(two.as_bytes()).filter(|(a, b)| a == b).count();
        // Of random ids more than 8 of 24 bytes are equal less than once in 10^13.
        require(equal <= 8, || format!("{equal} of 24 bytes of two correlation ids in a row are equal"))?;
    }
    Ok(())
}

fn unreadable(lab: &mut Lab<'_>) -> Outcome {
    for kind in ["garbage", "no transmission", "one of two", "a cut one"] {
        let (who, asked) = asked(lab)?;
        let pong = lab.reply_item(who, &asked.received.corr, &EntityId::EMPTY, &Response::Pong)?;
        let length = u8::try_from(pong.len()).unwrap_or(u8::MAX);
        match kind {
            // Without encryption garbage is a block with an impossible length.
            "garbage" => {
                lab.write_raw(who, &[0xff; BLOCK_SIZE])?;
            }
            "no transmission" => lab.write_content(who, &[0])?,
            "one of two" => lab.write_content(who, &[&[2, 0, length][..], &pong].concat())?,
            _ => lab.write_content(who, &[&[1, 0, length + 1][..], &pong].concat())?,
        }
        not_done(lab).map_err(|failure| failure.during(&format!("the answer is in a block with {kind}")))?;
    }
    Ok(())
}

/// Used by other areas: the command parses, and its bytes are the only ones that mean it.
pub(super) fn well_written(lab: &Lab<'_>, asked: &Asked) -> Result<Command, Failure> {
    let tag = asked.tag();
    let command = asked
        .command
        .clone()
        .map_err(|error| Failure::Wrong(format!("{tag} is one that a router answers by ERR CMD {error}")))?;
    let mut bytes = Vec::new();
    command.encode(&lab.layout(), &mut bytes).map_err(Failure::error)?;
    require(bytes == asked.received.command, || {
        format!("{tag} is not written as version {} has it", lab.version())
    })?;
    Ok(command)
}
