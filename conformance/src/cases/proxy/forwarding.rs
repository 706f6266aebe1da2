//! The target as a proxy: PRXY, PFWD, and what a relay of the suite sees of it.

use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{CommandError, SmpError};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{CorrId, EntityId};

use crate::case::{Case, Outcome};
use crate::lab::{Failure, Lab, Request, SECOND, queues::send, require, require_eq};
use crate::target::Operation;

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "proxy.request",
        "PRXY connects to the relay and is answered by PKEY: the relay's session, certificates and signed key, without entity.",
        &["smp.proxy.request", "smp.proxy.version-range", "smp.transport.response-entity"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let corr = lab.post_prxy(client, &door.address, None)?;
            let relay = lab.relay(&door)?;
            let answer = lab.answer(client, &corr)?;
            answer.addressed(&corr, &EntityId::EMPTY)?;
            lab.pkey(&answer, &door.address)?;
            let Ok(Response::Pkey { session, versions, .. }) = &answer.response else {
                return Err(answer.unexpected("PKEY"));
            };
            require_eq("the session in PKEY", session.as_bytes(), lab.session_id(relay)?.as_slice())?;
            require_eq("the versions in PKEY", (versions.min, versions.max), (8, 20))
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.forward",
        "PFWD reaches the relay as RFWD under a correlation id of the proxy's, and its answer comes back as PRES.",
        &[
            "smp.proxy.pfwd",
            "smp.proxy.rfwd",
            "smp.proxy.rres",
            "smp.proxy.pres",
            "smp.proxy.inner-command",
        ],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let (relay, keys) = lab.proxied(client, &door)?;
            let queue = EntityId::from([5; 24]);
            let (request, route) = lab.pfwd_request(&keys, &queue, &send("hello"), None)?;
            let corr = lab.post(client, request)?;
            let asked = lab.command(relay)?;
            require(asked.received.entity.is_empty(), || "RFWD has an entity".to_owned())?;
            require(asked.received.corr != corr, || "RFWD has the client's correlation id".to_owned())?;
            require_eq("the length of RFWD's correlation id", asked.received.corr.as_bytes().len(), 24)?;
            let forwarded = lab.rfwd(relay, &asked)?;
            require_eq("the correlation id inside RFWD", &forwarded.corr, &corr)?;
            let inner = forwarded.inner.clone().map_err(|error| Failure::Wrong(error.to_string()))?;
            require_eq("the entity of the forwarded command", &inner.entity, &queue)?;
            lab.rres(relay, &asked, &forwarded, &Response::Ok)?;
            let session = keys.session_entity().map_err(Failure::error)?;
            let answer = lab.answer(client, &corr)?;
            answer.addressed(&corr, &session)?;
            answer.is("PRES")?;
            let _ = route;
            Ok(())
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.answers",
        "What the relay answers comes inside PRES, its errors too; other clients' forwards are not mixed up.",
        &["smp.proxy.pres", "smp.proxy.relay-errors"],
        |lab| {
            let [first, second] = lab.clients()?;
            let door = lab.door()?;
            let (relay, keys) = lab.proxied(first, &door)?;
            let queue = EntityId::from([5; 24]);
            let one = lab.post_pfwd(first, &keys, &queue, &send("one"), None)?;
            let asked_one = lab.command(relay)?;
            let two = lab.post_pfwd(second, &keys, &queue, &send("two"), None)?;
            let asked_two = lab.command(relay)?;
            let (fwd_one, fwd_two) = (lab.rfwd(relay, &asked_one)?, lab.rfwd(relay, &asked_two)?);
            lab.rres(relay, &asked_two, &fwd_two, &Response::Err(SmpError::Quota))?;
            lab.rres(relay, &asked_one, &fwd_one, &Response::Err(SmpError::Auth))?;
            require_eq("the answer to the second", lab.pres(second, &two)?, Response::Err(SmpError::Quota))?;
            require_eq("the answer to the first", lab.pres(first, &one)?, Response::Err(SmpError::Auth))
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.shared-session",
        "All clients share the proxy's one session with a relay.",
        &["smp.proxy.shared-session"],
        |lab| {
            let [first, second] = lab.clients()?;
            let door = lab.door()?;
            let (_, keys) = lab.proxied(first, &door)?;
            let corr = lab.post_prxy(second, &door.address, None)?;
            let answer = lab.answer(second, &corr)?;
            let again = lab.pkey(&answer, &door.address)?;
            require_eq("the relay's session", again.session_entity().ok(), keys.session_entity().ok())?;
            lab.nobody_connects(&door)
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.no-session",
        "PFWD for a session that is not there is ERR PROXY NO_SESSION; without entity it is NO_ENTITY.",
        &["smp.proxy.no-session", "smp.authorization.forward-entity"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let (_, keys) = lab.proxied(client, &door)?;
            let (request, _) = lab.pfwd_request(&keys, &EntityId::from([5; 24]), &send("hello"), None)?;
            let elsewhere = EntityId::new(&[7; 32]).map_err(Failure::error)?;
            lab.ask(client, request.clone().of(&elsewhere))?.is("ERR PROXY NO_SESSION")?;
            lab.ask(client, request.clone().of(&EntityId::EMPTY))?.is("ERR CMD NO_ENTITY")?;
            // Shorter, so that the authorization fits into the block.
            let (key, fresh) = (lab.sender_key(), lab.dh_key());
            let short = Command::Pfwd { version: 20, key: fresh.public(), sealed: vec![7; 200] };
            let session = keys.session_entity().map_err(Failure::error)?;
            lab.ask(client, Request::from(short).of(&session).by(&key))?.is("ERR CMD HAS_AUTH")
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.password",
        "PRXY needs the router's password where it has one: without it, or with another, it is ERR PROXY BASIC_AUTH.",
        &["smp.proxy.password"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            for password in [None, Some("wrong")] {
                let corr = lab.post_prxy(client, &door.address, password)?;
                lab.answer(client, &corr)?.is("ERR PROXY BASIC_AUTH")?;
            }
            lab.nobody_connects(&door)?;
            let corr = lab.post_prxy(client, &door.address, Some("secret"))?;
            lab.relay(&door)?;
            let answer = lab.answer(client, &corr)?;
            lab.pkey(&answer, &door.address).map(|_| ())
        },
    )
    .versions(8, 20)
    .settings(|settings| settings.password = Some("secret".to_owned())),
    Case::new(
        "proxy.off",
        "A router that forwards nothing answers PRXY by ERR PROXY BASIC_AUTH.",
        &["smp.proxy.password"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let corr = lab.post_prxy(client, &door.address, None)?;
            lab.answer(client, &corr)?.is("ERR PROXY BASIC_AUTH")?;
            lab.nobody_connects(&door)
        },
    )
    .versions(8, 20)
    .settings(|settings| settings.proxy = Some(false)),
    Case::new(
        "proxy.without-queues",
        "A router that makes no queues still forwards.",
        &["smp.proxy.no-queues"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            lab.proxied(client, &door).map(|_| ())
        },
    )
    .versions(8, 20)
    .settings(|settings| settings.new_queues = Some(false)),
    Case::new(
        "proxy.bare",
        "PRXY takes neither authorization nor entity.",
        &["smp.authorization.not-allowed"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let (key, prxy) = (lab.sender_key(), Command::Prxy { router: door.address.clone(), password: None });
            lab.ask(client, Request::from(prxy.clone()).by(&key))?.is("ERR CMD HAS_AUTH")?;
            lab.ask(client, Request::from(prxy).of(&EntityId::from([1; 24])))?.is("ERR CMD HAS_AUTH")?;
            lab.nobody_connects(&door)
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.flag",
        "The proxy says in its hello that it is one, and its session with the relay is not encrypted.",
        &["smp.proxy.flag", "smp.transport.proxy-without-flag"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let corr = lab.post_prxy(client, &door.address, None)?;
            let relay = lab.accept(&door)?;
            let own = lab.greet(relay, &door, |_| {})?;
            let hello = lab.client_hello(relay, own)?;
            require_eq("the version that the proxy chooses", hello.version, 20)?;
            require(hello.proxy, || "the proxy does not say that it is one".to_owned())?;
            require(hello.key.is_some(), || "the proxy sends no session key".to_owned())?;
            require(!lab.is_encrypted(relay)?, || "the session is encrypted".to_owned())?;
            let answer = lab.answer(client, &corr)?;
            lab.pkey(&answer, &door.address).map(|_| ())
        },
    )
    .versions(14, 20),
    Case::new(
        "proxy.old-relay",
        "A relay that knows no proxy flag is asked for version 10 at most, and PKEY says so.",
        &["smp.proxy.old-relays", "smp.proxy.version-range"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let corr = lab.post_prxy(client, &door.address, None)?;
            let relay = lab.accept(&door)?;
            let own = lab.greet(relay, &door, |hello| hello.versions = (6, 12))?;
            let hello = lab.client_hello(relay, own)?;
            require_eq("the version that the proxy chooses", hello.version, 10)?;
            let answer = lab.answer(client, &corr)?;
            let Ok(Response::Pkey { versions, .. }) = &answer.response else {
                return Err(answer.unexpected("PKEY"));
            };
            require_eq("the versions in PKEY", (versions.min, versions.max), (8, 10))
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.older-relay",
        "A relay whose versions end below 8 gives ERR PROXY BROKER TRANSPORT VERSION.",
        &["smp.proxy.version-range"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let corr = lab.post_prxy(client, &door.address, None)?;
            let relay = lab.accept(&door)?;
            lab.greet(relay, &door, |hello| hello.versions = (6, 7))?;
            lab.answer(client, &corr)?.is("ERR PROXY BROKER TRANSPORT VERSION")
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.keyless-relay",
        "A relay that sends no session key gives ERR PROXY BROKER TRANSPORT NO_AUTH.",
        &["smp.proxy.relay-without-key"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let corr = lab.post_prxy(client, &door.address, None)?;
            let relay = lab.accept(&door)?;
            // The hello of a router that offers no more than version 6 has none; this one offers 8 all the same.
            lab.greet(relay, &door, |hello| hello.authenticated = false)?;
            lab.answer(client, &corr)?.is("ERR PROXY BROKER TRANSPORT NO_AUTH")
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.failed-relay",
        "A relay that can't be reached gives ERR PROXY BROKER, and is not tried again for a while.",
        &["smp.proxy.relay-unreachable", "smp.proxy.unreachable-network", "smp.errors.broker"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let corr = lab.post_prxy(client, &door.address, None)?;
            let relay = lab.accept(&door)?;
            // It closes in the middle of the handshake.
            lab.close(relay)?;
            lab.answer(client, &corr)?.is("ERR PROXY BROKER NETWORK")?;
            let corr = lab.post_prxy(client, &door.address, None)?;
            lab.answer(client, &corr)?.is("ERR PROXY BROKER NETWORK")?;
            lab.wait(40 * SECOND);
            lab.proxied(client, &door).map(|_| ())
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.relay-refusals",
        "What a relay answers to RFWD itself is told as ERR PROXY PROTOCOL.",
        &["smp.proxy.relay-refusals", "smp.errors.proxy"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let (relay, keys) = lab.proxied(client, &door)?;
            for (error, told) in [
                (SmpError::Crypto, "ERR PROXY PROTOCOL CRYPTO"),
                (SmpError::Block, "ERR PROXY PROTOCOL BLOCK"),
                (SmpError::Command(CommandError::Syntax), "ERR PROXY PROTOCOL CMD SYNTAX"),
            ] {
                let (request, _) = lab.pfwd_request(&keys, &EntityId::from([5; 24]), &send("hello"), None)?;
                let corr = lab.post(client, request)?;
                let asked = lab.command(relay)?;
                let response = Response::Err(error);
                lab.reply(relay, &asked.received.corr, &EntityId::EMPTY, &response)?;
                lab.answer(client, &corr)?.is(told)?;
            }
            Ok(())
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.relay-closes",
        "A relay that closes leaves its forwards to ERR PROXY BROKER and its session to NO_SESSION.",
        &["smp.proxy.relay-errors", "smp.proxy.no-session"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let (relay, keys) = lab.proxied(client, &door)?;
            let (request, _) = lab.pfwd_request(&keys, &EntityId::from([5; 24]), &send("hello"), None)?;
            let corr = lab.post(client, request)?;
            lab.command(relay)?;
            lab.close(relay)?;
            let answer = lab.answer(client, &corr)?;
            require(answer.text().starts_with("ERR PROXY BROKER "), || answer.text())?;
            let (request, _) = lab.pfwd_request(&keys, &EntityId::from([5; 24]), &send("hello"), None)?;
            lab.ask(client, request)?.is("ERR PROXY NO_SESSION")
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.restarted",
        "A restarted proxy knows no sessions with relays, and makes them anew.",
        &["smp.proxy.no-session"],
        |lab| {
            let (client, door) = (lab.client()?, lab.door()?);
            let (_, keys) = lab.proxied(client, &door)?;
            lab.operate(&Operation::Restart)?;
            let client = lab.client()?;
            let (request, _) = lab.pfwd_request(&keys, &EntityId::from([5; 24]), &send("hello"), None)?;
            lab.ask(client, request)?.is("ERR PROXY NO_SESSION")?;
            lab.proxied(client, &door).map(|_| ())
        },
    )
    .versions(8, 20),
    Case::new(
        "proxy.concurrency",
        "A client that waits for 32 forwarded commands is not read further, until one of them is answered.",
        &["smp.proxy.concurrency"],
        concurrency,
    )
    .versions(8, 20),
];

fn concurrency(lab: &mut Lab<'_>) -> Outcome {
    let (client, door) = (lab.client()?, lab.door()?);
    let (relay, keys) = lab.proxied(client, &door)?;
    for _ in 0..32 {
        lab.post_pfwd(client, &keys, &EntityId::from([5; 24]), &send("hello"), None)?;
    }
    let ping: CorrId = lab.post(client, Command::Ping)?;
    lab.silence_for(client, SECOND)?;
    let asked = lab.command(relay)?;
    let forwarded = lab.rfwd(relay, &asked)?;
    lab.rres(relay, &asked, &forwarded, &Response::Ok)?;
    lab.answer(client, &ping)?.is("PONG")
}
