//! The connection, the handshake, blocks, batches and transmissions.

use sxlab_protocol::crypto::certificate::Chain;
use sxlab_protocol::crypto::keys::KeyType;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::version::{MAX, MIN};
use sxlab_protocol::transport::{BATCH_BUDGET, BLOCK_SIZE};
use sxlab_protocol::wire::{CorrId, put_short};

use crate::case::{Case, Outcome};
use crate::lab::{Answer, Failure, Lab, Request, SECOND, require, require_eq};
use crate::target::Dial;

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "transport.router-hello",
        "The router speaks first: versions, the connection's session id, certificates of its identity and a signed key.",
        &[
            "smp.transport.router-hello",
            "smp.transport.session-id",
            "smp.transport.hello-identity",
            "smp.transport.session-key-signature",
            "smp.transport.alpn-full-range",
        ],
        router_hello,
    ),
    Case::new(
        "transport.certificates",
        "The router shows two to four certificates, its own first and then its identity's, in TLS and in its hello alike.",
        &["smp.transport.certificate-chain"],
        certificates,
    ),
    Case::new(
        "transport.offered-range",
        "The router offers versions 6 to 20, and a session has whichever of them the client names.",
        &["smp.transport.offered-range"],
        |lab| {
            lab.offers(&Dial::default(), (MIN, MAX))?;
            for version in MIN..=MAX {
                let who = lab.client_with(&Dial::default(), |hello| hello.version = version)?;
                let answer = lab.ask(who, Command::Ping);
                let answer = answer.map_err(|failure| failure.during(&format!("version {version}")))?;
                answer.is("PONG")?;
            }
            Ok(())
        },
    )
    .versions(20, 20),
    Case::new(
        "transport.no-alpn",
        "A client without ALPN is offered version 6 alone, without certificates and key.",
        &["smp.transport.no-alpn", "smp.transport.v6-no-key"],
        no_alpn,
    )
    .versions(6, 6),
    Case::new(
        "transport.unknown-alpn",
        "TLS ends when the client offers only protocols that the router does not know.",
        &["smp.transport.alpn-choice"],
        unknown_alpn,
    ),
    Case::new(
        "transport.version-not-offered",
        "A hello with a version that was not offered ends the connection without a word.",
        &["smp.transport.version-choice"],
        version_not_offered,
    ),
    Case::new(
        "transport.wrong-identity",
        "A hello that expects another router ends the connection without a word.",
        &["smp.transport.wrong-identity"],
        |lab| {
            let who = lab.connect(&Dial::default())?;
            lab.router_hello(who)?;
            lab.hello(who, |hello| hello.identity = vec![7; 32])?;
            lab.closed(who)
        },
    ),
    Case::new(
        "transport.hello-tail",
        "What follows the known fields of a client's hello is ignored.",
        &["smp.transport.hello-tail", "smp.transport.client-hello"],
        |lab| {
            let who = lab.client_with(&Dial::default(), |hello| hello.tail = b"more to come".to_vec())?;
            lab.ask(who, Command::Ping)?.is("PONG")
        },
    ),
    Case::new(
        "transport.hello-deadline",
        "A client that does not say hello in time is disconnected.",
        &["smp.transport.handshake-deadline"],
        |lab| {
            let who = lab.connect(&Dial::default())?;
            lab.router_hello(who)?;
            lab.closed_within(who, 10 * SECOND)
        },
    )
    .settings(|settings| settings.handshake_timeout = Some(2 * SECOND)),
    Case::new(
        "transport.ping",
        "PING is answered by PONG, with its correlation id and no entity.",
        &["smp.transport.ping", "smp.transport.response-entity", "smp.transport.transmission"],
        |lab| {
            let who = lab.client()?;
            let corr = lab.corr();
            let answer = lab.ask(who, Request::from(Command::Ping).corr(&corr))?;
            answer.is("PONG")?;
            answer.addressed(&corr, &Default::default())
        },
    ),
    Case::new(
        "transport.block-encryption",
        "With a client that sent its key, blocks in both directions are encrypted, each with the next key.",
        &[
            "smp.transport.block-encryption",
            "smp.transport.block-encryption-size",
            "smp.transport.block-chain-steps",
        ],
        |lab| {
            let who = lab.client()?;
            require(lab.is_encrypted(who)?, || "the session is not encrypted".to_owned())?;
            for _ in 0..3 {
                lab.ask(who, Command::Ping)?.is("PONG")?;
            }
            Ok(())
        },
    )
    .versions(11, 20),
    Case::new(
        "transport.block-that-does-not-decrypt",
        "A block that does not decrypt is answered by ERR BLOCK, steps the key like any other, and the session goes on.",
        &["smp.transport.block-chain-steps", "smp.transport.unreadable-batch"],
        |lab| {
            let who = lab.client()?;
            lab.seal(who, b"a block that is not written")?;
            lab.write_raw(who, &[0x5a; BLOCK_SIZE])?;
            lab.event(who)?.is("ERR BLOCK")?;
            lab.ask(who, Command::Ping)?.is("PONG")
        },
    )
    .versions(11, 20),
    Case::new(
        "transport.no-key-no-encryption",
        "With a client that sent no session key, blocks are not encrypted, and authenticators work all the same.",
        &["smp.transport.unencrypted-without-key"],
        no_key,
    )
    .versions(7, 20),
    Case::new(
        "transport.unreadable-batches",
        "A batch with a wrong count, a missing item or a tail gets a single ERR BLOCK without ids, and nothing in it is done.",
        &["smp.transport.unreadable-batch", "smp.transport.batches"],
        unreadable_batches,
    ),
    Case::new(
        "transport.unreadable-item",
        "An item that is no transmission gets ERR BLOCK for itself; the rest of its batch is done.",
        &["smp.transport.unreadable-item"],
        |lab| {
            let who = lab.client()?;
            let (first, ping) = lab.item(who, &Command::Ping.into())?;
            let (last, pong) = lab.item(who, &Command::Ping.into())?;
            lab.write_items(who, &[ping, vec![200, 1, 2], pong])?;
            lab.event(who)?.is("ERR BLOCK")?;
            lab.answer(who, &first)?.is("PONG")?;
            lab.answer(who, &last)?.is("PONG")
        },
    ),
    Case::new(
        "transport.full-batch",
        "A block with as many transmissions as its count allows, or its size, is done whole, and answered in order.",
        &["smp.transport.batches", "smp.transport.correlation-id", "smp.transport.response-order"],
        |lab| {
            let who = lab.client()?;
            // With the session id inside, 255 do not fit.
            let count = if lab.layout().session_id_on_wire { 240 } else { 255 };
            let corrs = lab.post_batch(who, &vec![Request::from(Command::Ping); count])?;
            for corr in corrs {
                let answer = lab.next(who)?;
                answer.is("PONG")?;
                require_eq("the correlation id of the next answer", &answer.corr, &corr)?;
            }
            Ok(())
        },
    ),
    Case::new(
        "transport.full-answers",
        "Answers fill a block as commands do: those to a block that has no room left come in one.",
        &["smp.transport.batch-budget"],
        full_answers,
    ),
    Case::new(
        "transport.correlation-ids",
        "Correlation ids of any length up to 255 come back as they were sent.",
        &["smp.transport.correlation-id"],
        |lab| {
            let who = lab.client()?;
            for length in [1, 23, 24, 25, 255] {
                let corr = CorrId::new(&vec![0xc5; length]).map_err(Failure::error)?;
                lab.ask(who, Request::from(Command::Ping).corr(&corr))?.is("PONG")?;
            }
            Ok(())
        },
    ),
    Case::new(
        "transport.authorization-lengths",
        "An authorization that is not 0, 64, 80 or 114 bytes long gets ERR BLOCK with the correlation id and no entity.",
        &["smp.transport.authorization-length"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            for length in [1, 63, 65, 79, 81, 113, 115, 255] {
                let corr = lab.corr();
                let sub = Request::from(Command::Sub).of(&queue.recipient).corr(&corr);
                let answer = lab.ask(who, sub.authorization(vec![9; length]))?;
                answer.is("ERR BLOCK")?;
                answer.addressed(&corr, &Default::default())?;
            }
            lab.ask(who, Command::Ping)?.is("PONG")
        },
    ),
    Case::new(
        "transport.signed-session",
        "An authorization that was made for another session is refused.",
        &["smp.transport.signed-text"],
        |lab| {
            let who = lab.client()?;
            for key in [KeyType::Ed25519, KeyType::X25519, KeyType::Ed448] {
                let form = crate::lab::QueueForm { key, ..Default::default() };
                let queue = lab.queue_of(who, &form)?;
                let sub = Request::from(Command::Sub).of(&queue.recipient).by(&queue.key);
                lab.ask(who, sub.signed_session([3; 32]))?.is("ERR AUTH")?;
            }
            Ok(())
        },
    )
    .versions(7, 20),
    Case::new(
        "transport.session-id-on-wire",
        "A transmission with another session id inside is answered by ERR SESSION.",
        &["smp.transport.session-id-on-wire"],
        |lab| {
            let who = lab.client()?;
            lab.ask(who, Request::from(Command::Ping).sent_session([3; 32]))?.is("ERR SESSION")?;
            lab.ask(who, Command::Ping)?.is("PONG")
        },
    )
    .versions(6, 6),
    Case::new(
        "transport.block-size",
        "The router's hello is a block of exactly 16,384 bytes.",
        &["smp.transport.block-size"],
        |lab| {
            let who = lab.connect(&Dial::default())?;
            require_eq("the length of the hello's block", lab.read_raw(who)?.len(), BLOCK_SIZE)
        },
    ),
    Case::new(
        "transport.session-key",
        "Every session has a session key of its own.",
        &["smp.transport.session-key-signature"],
        |lab| {
            let mut keys = Vec::new();
            for _ in 0..2 {
                let who = lab.connect(&Dial::default())?;
                let offer = lab.router_hello(who)?;
                keys.push(offer.authentication.map(|(_, key)| key.as_der().to_vec()));
            }
            require(keys.first() != keys.get(1), || "two sessions have one session key".to_owned())
        },
    )
    .versions(7, 20),
    Case::new(
        "transport.hello-cut",
        "A hello that ends before the fields of its version ends the connection without a word.",
        &["smp.transport.malformed-client-hello", "smp.transport.client-hello"],
        |lab| {
            let who = lab.connect(&Dial::default())?;
            lab.router_hello(who)?;
            let mut content = lab.version().to_be_bytes().to_vec();
            let (identity, key) = (lab.address()?.identity, lab.dh_key().public().spki());
            put_short(&mut content, &identity).map_err(Failure::error)?;
            put_short(&mut content, &key).map_err(Failure::error)?;
            lab.plain_block(who, &content, "client's hello without its last fields".to_owned())?;
            lab.closed(who)
        },
    )
    .versions(14, 20),
    Case::new(
        "transport.refusals-first",
        "What is refused of a block is answered first, in a block of its own, whatever stood before it.",
        &["smp.transport.refusals-first"],
        |lab| {
            let who = lab.client()?;
            let batch = [Command::Ping.into(), Request::bytes(*b"XYZZY"), Command::Ping.into()];
            lab.post_batch(who, &batch)?;
            let texts = |block: Vec<Answer>| block.iter().map(Answer::text).collect::<Vec<_>>();
            require_eq("the first block", texts(lab.next_block(who)?), vec!["ERR CMD UNKNOWN".to_owned()])?;
            require_eq("the second block", texts(lab.next_block(who)?), vec!["PONG".to_owned(); 2])
        },
    ),
    Case::new(
        "transport.answers-by-block",
        "The answers to the commands of one block come together.",
        &["smp.transport.answers-by-block"],
        |lab| {
            let who = lab.client()?;
            lab.post_batch(who, &vec![Request::from(Command::Ping); 5])?;
            require_eq("the number of answers in the next block", lab.next_block(who)?.len(), 5)
        },
    ),
];

fn router_hello(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.connect(&Dial::default())?;
    let offer = lab.router_hello(who)?;
    require(offer.versions.contains(lab.version()), || {
        format!("the router offers versions {}-{}", offer.versions.min, offer.versions.max)
    })?;
    require(offer.authentication.is_some() == (offer.versions.max >= 7), || {
        "the router's hello has no certificates and key".to_owned()
    })?;
    lab.hello(who, |_| {})?;
    lab.ask(who, Command::Ping)?.is("PONG")
}

fn certificates(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.connect(&Dial::default())?;
    let in_tls = lab.tls(who)?.chain.clone();
    let hello = lab.any_router_hello(who)?.authentication;
    for (place, ders) in [("TLS", Some(in_tls)), ("the hello", hello.map(|(chain, _)| chain.ders))] {
        let Some(ders) = ders else { continue };
        require((2..=4).contains(&ders.len()), || format!("{place} has {} certificates", ders.len()))?;
        let chain = Chain::new(ders);
        let found = chain.identity().map_err(|error| Failure::Wrong(format!("{place}: {error}")))?;
        require(found == lab.address()?.identity, || {
            format!("the second certificate in {place} is another")
        })?;
        chain.verify(lab.now() / SECOND).map_err(|error| Failure::Wrong(format!("{place}: {error}")))?;
    }
    Ok(())
}

/// Items of this size, with the two bytes before each, leave no room for another in what senders fill.
fn full_answers(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let mut items: Vec<Vec<u8>> = Vec::new();
    loop {
        let corr =
            CorrId::new(&[&[0xc5; 199][..], &[u8::try_from(items.len()).unwrap_or_default()]].concat());
        let ping = Request::from(Command::Ping).corr(&corr.map_err(Failure::error)?);
        let (_, item) = lab.item(who, &ping)?;
        if items.iter().chain([&item]).map(|item| item.len() + 2).sum::<usize>() > BATCH_BUDGET {
            break;
        }
        items.push(item);
    }
    lab.write_items(who, &items)?;
    require_eq("the number of answers in the next block", lab.next_block(who)?.len(), items.len())
}

fn no_alpn(lab: &mut Lab<'_>) -> Outcome {
    let plain = Dial { alpn: Vec::new(), ..Dial::default() };
    let offer = lab.offers(&plain, (MIN, MIN))?;
    require(offer.authentication.is_none(), || "the router's hello has certificates".to_owned())?;
    let who = lab.client_with(&plain, |_| {})?;
    lab.ask(who, Command::Ping)?.is("PONG")
}

fn unknown_alpn(lab: &mut Lab<'_>) -> Outcome {
    let dial = Dial { alpn: vec![b"imap".to_vec()], ..Dial::default() };
    match lab.try_connect(&dial)? {
        Ok(_) => Err(Failure::wrong("the router accepts a client whose protocols it does not know")),
        Err(_) => Ok(()),
    }
}

fn version_not_offered(lab: &mut Lab<'_>) -> Outcome {
    for version in [0, MIN - 1, MAX + 100] {
        let who = lab.connect(&Dial::default())?;
        lab.router_hello(who)?;
        lab.hello(who, |hello| hello.version = version)?;
        lab.closed(who).map_err(|failure| failure.during(&format!("version {version}")))?;
    }
    Ok(())
}

fn no_key(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client_with(&Dial::default(), |hello| hello.key = None)?;
    let queue = lab.queue(who)?;
    let key = lab.secure(who, &queue)?;
    lab.send_by(who, &queue, "by authenticator", &key)?.ok()?;
    lab.receive(who, &queue, "by authenticator").map(|_| ())
}

fn unreadable_batches(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let (_, ping) = lab.item(who, &Command::Ping.into())?;
    let with_length = [&[0, ping.len().to_le_bytes()[0]][..], &ping].concat();
    let contents: [(&str, Vec<u8>); 5] = [
        ("no content", Vec::new()),
        ("a count of 0", vec![0]),
        ("a missing item", [&[2][..], &with_length].concat()),
        ("a tail", [&[1][..], &with_length, b"!"].concat()),
        ("an item that is cut", [&[1, 0, 200][..], &ping].concat()),
    ];
    for (what, content) in contents {
        lab.write_content(who, &content)?;
        let answer = lab.next(who).map_err(|failure| failure.during(what))?;
        answer.is("ERR BLOCK").map_err(|failure| failure.during(what))?;
        answer.addressed(&CorrId::EMPTY, &Default::default())?;
    }
    lab.ask(who, Command::Ping)?.is("PONG")
}
