//! The target as a relay: RFWD, as the suite sends it in the place of a proxy.

use sxlab_protocol::crypto::boxes::{nonce_from_corr, seal};
use sxlab_protocol::crypto::keys::AuthSecretKey;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{CommandError, SmpError};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::EntityId;

use super::super::forms::{contact_link, linked, messaging_link};
use crate::case::Case;
use crate::lab::{Failure, Lab, QueueForm, Request, TestQueue, Who, queues::send, require_eq};
use crate::target::{Dial, Settings};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "relay.send",
        "A forwarded SEND is stored and delivered as if it had come directly, and answered inside.",
        &["smp.proxy.allowed-commands", "smp.proxy.relay-errors", "smp.proxy.rres"],
        |lab| {
            let (owner, proxy, queue) = forwarded_queue(lab)?;
            require_eq("the answer", forward(lab, proxy, &queue.sender, &send("hello"), None)?, Response::Ok)?;
            lab.receive(owner, &queue, "hello")?;
            let absent = EntityId::from([9; 24]);
            require_eq("the answer", forward(lab, proxy, &absent, &send("x"), None)?, Response::Err(SmpError::Auth))
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.skey",
        "A forwarded SKEY secures a messaging queue, and its sender's commands are verified for the relay's session.",
        &["smp.proxy.allowed-commands", "smp.proxy.inner-command"],
        |lab| {
            let (owner, proxy, queue) = forwarded_queue(lab)?;
            let (key, other) = (lab.sender_key(), lab.sender_key());
            let skey = Command::SKey(key.public());
            require_eq("SKEY", forward(lab, proxy, &queue.sender, &skey, Some(&key))?, Response::Ok)?;
            let refused = Response::Err(SmpError::Auth);
            require_eq("unsigned", forward(lab, proxy, &queue.sender, &send("no"), None)?, refused.clone())?;
            require_eq("by another", forward(lab, proxy, &queue.sender, &send("no"), Some(&other))?, refused)?;
            require_eq("signed", forward(lab, proxy, &queue.sender, &send("yes"), Some(&key))?, Response::Ok)?;
            lab.receive(owner, &queue, "yes").map(|_| ())
        },
    )
    .versions(9, 20),
    Case::new(
        "relay.links",
        "LKEY and LGET are forwarded too.",
        &["smp.proxy.allowed-commands", "smp.link.forwarded"],
        |lab| {
            let (owner, proxy) = (lab.client()?, proxy_session(lab)?);
            let link = lab.link_id(0x70);
            let (_, contact) = linked(lab, owner, |sender| contact_link(sender, &link))?;
            require_eq("LGET", forward(lab, proxy, &contact, &Command::LGet, None)?.tag(), "LNK")?;
            let (_, messaging) = linked(lab, owner, messaging_link)?;
            let key = lab.sender_key();
            let lkey = Command::LKey(key.public());
            require_eq("LKEY", forward(lab, proxy, &messaging, &lkey, Some(&key))?.tag(), "LNK")
        },
    )
    .versions(15, 20),
    Case::new(
        "relay.refused-commands",
        "Recipients' commands, PING and proxies' commands are ERR CMD PROHIBITED inside, and not done.",
        &["smp.proxy.allowed-commands"],
        |lab| {
            let (owner, proxy, queue) = forwarded_queue(lab)?;
            let prohibited = Response::Err(SmpError::Command(CommandError::Prohibited));
            for command in [Command::Sub, Command::Get, Command::Que, Command::Off, Command::Del] {
                let answer = forward(lab, proxy, &queue.recipient, &command, Some(&queue.key))?;
                require_eq(command.tag(), answer, prohibited.clone())?;
            }
            require_eq("PING", forward(lab, proxy, &EntityId::EMPTY, &Command::Ping, None)?, prohibited)?;
            lab.send(owner, &queue, "still there")?.ok()?;
            lab.receive(owner, &queue, "still there").map(|_| ())
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.inner-errors",
        "A forwarded command that is malformed or lacks its entity gets that error inside.",
        &["smp.proxy.inner-errors"],
        |lab| {
            let proxy = proxy_session(lab)?;
            let answer = forward(lab, proxy, &EntityId::EMPTY, &send("hello"), None)?;
            require_eq("SEND without entity", answer, Response::Err(SmpError::Command(CommandError::NoEntity)))
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.inner-size",
        "The size of a forwarded SEND is limited by the version inside.",
        &["smp.proxy.inner-size"],
        |lab| {
            let (_, proxy, queue) = forwarded_queue(lab)?;
            // What is inside is of version 20, whatever the session's is.
            let fits = forward(lab, proxy, &queue.sender, &send(vec![1; 16_048]), None)?;
            require_eq("the largest body", fits, Response::Ok)?;
            let large = forward(lab, proxy, &queue.sender, &send(vec![1; 16_049]), None)?;
            require_eq("a byte more", large, Response::Err(SmpError::LargeMsg))
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.inner-version",
        "The version that a forwarded command names may be one that the relay does not offer.",
        &["smp.proxy.inner-version"],
        |lab| {
            let (owner, proxy, queue) = forwarded_queue(lab)?;
            for version in [7, 8, 20, 21, u16::MAX] {
                let request = Request::from(send("hello")).of(&queue.sender);
                let upstream = lab.post_rfwd_at(proxy, version, &request)?;
                let answer = lab.returned(&upstream).map_err(|failure| failure.during(&format!("version {version}")))?;
                require_eq("the answer", answer.response, Response::Ok)?;
                lab.receive(owner, &queue, "hello")?;
            }
            Ok(())
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.undecryptable",
        "RFWD that does not decrypt is ERR CRYPTO, and one whose content has another structure ERR CMD SYNTAX.",
        &["smp.proxy.malformed-forward", "smp.errors.rare"],
        |lab| {
            let who = proxy_session(lab)?;
            let rfwd = |sealed: Vec<u8>| Request::from(Command::Rfwd { sealed });
            lab.ask(who, rfwd(vec![7; 200]))?.is("ERR CRYPTO")?;
            let (corr, secret) = (lab.corr(), lab.secret(who)?);
            let sealed = seal(&secret, &nonce_from_corr(&corr), b"neither ids nor keys");
            lab.ask(who, rfwd(sealed).corr(&corr))?.is("ERR CMD SYNTAX")
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.bare",
        "RFWD takes neither authorization nor entity.",
        &["smp.authorization.not-allowed"],
        |lab| {
            let who = proxy_session(lab)?;
            let rfwd = Request::from(Command::Rfwd { sealed: vec![7; 200] });
            let key = lab.sender_key();
            lab.ask(who, rfwd.clone().by(&key))?.is("ERR CMD HAS_AUTH")?;
            lab.ask(who, rfwd.of(&EntityId::from([1; 24])))?.is("ERR CMD HAS_AUTH")
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.without-key",
        "RFWD of a client that sent no session key is ERR PROXY BROKER TRANSPORT NO_AUTH.",
        &["smp.proxy.rfwd-without-key", "smp.errors.transport"],
        |lab| {
            let who = lab.client_with(&Dial::default(), |hello| {
                hello.proxy = true;
                hello.key = None;
            })?;
            lab.ask(who, Command::Rfwd { sealed: vec![7; 200] })?.is("ERR PROXY BROKER TRANSPORT NO_AUTH")
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.nonces",
        "Both layers of the answer are sealed under the reversed nonces, the inner one padded to its full size.",
        &["smp.proxy.rres"],
        |lab| {
            let (_, proxy, queue) = forwarded_queue(lab)?;
            let upstream = lab.post_rfwd(proxy, &Request::from(send("hello")).of(&queue.sender))?;
            let returned = lab.returned(&upstream)?;
            require_eq("the answer", returned.response, Response::Ok)?;
            require_eq("the length of the answer inside in bytes", returned.sealed, 16_226 + 16)
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.inner-correlation-id",
        "The forwarded command may have a correlation id of its own, which its answer repeats.",
        &["smp.proxy.inner-correlation-id"],
        |lab| {
            let (_, proxy, queue) = forwarded_queue(lab)?;
            let inner = lab.corr();
            let request = Request::from(send("hello")).of(&queue.sender).corr(&inner);
            let upstream = lab.post_rfwd(proxy, &request)?;
            let returned = lab.returned(&upstream)?;
            require_eq("the answer", returned.response, Response::Ok)?;
            require_eq("the correlation id of the answer inside", &returned.received.corr, &inner)
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.unparsable",
        "A forwarded box that opens and holds no transmission is ERR BLOCK inside.",
        &["smp.proxy.inner-unparsable"],
        |lab| {
            let proxy = proxy_session(lab)?;
            for content in [&b""[..], b"garbage", b"\x01\x00\x01", b"\x00"] {
                let upstream = lab.post_rfwd_content(proxy, content)?;
                let answer = lab.returned(&upstream)?.response;
                require_eq("the answer inside", answer, Response::Err(SmpError::Block))?;
            }
            Ok(())
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.two-commands",
        "RFWD with several commands is ERR BLOCK, and none of them is done.",
        &["smp.proxy.malformed-forward"],
        |lab| {
            let proxy = proxy_session(lab)?;
            let ping = b"\x02\x00\x07\x00\x00\x00PING\x00\x07\x00\x00\x00PING";
            let upstream = lab.post_rfwd_content(proxy, ping)?;
            lab.refused(&upstream)?.is("ERR BLOCK")
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.through-a-router",
        "A proxy of the same kind forwards to the router, and its answers come back.",
        &["smp.proxy.itself", "smp.proxy.request"],
        |lab| {
            let owner = lab.client()?;
            let queue = lab.queue(owner)?;
            let address = lab.address()?;
            let client = lab.client()?;
            let corr = lab.post_prxy(client, &address, None)?;
            let answer = lab.answer(client, &corr)?;
            let keys = lab.pkey(&answer, &address)?;
            let route = lab.post_pfwd(client, &keys, &queue.sender, &send("to itself"), None)?;
            require_eq("the answer", lab.pres(client, &route)?, Response::Ok)?;
            lab.receive(owner, &queue, "to itself").map(|_| ())
        },
    )
    .versions(8, 20),
    Case::new(
        "relay.other-router",
        "Another router reaches it as its relay.",
        &["smp.proxy.request"],
        |lab| {
            let address = lab.further(&Settings::default())?;
            let client = lab.client()?;
            let corr = lab.post_prxy(client, &address, None)?;
            let answer = lab.answer(client, &corr)?;
            lab.pkey(&answer, &address).map(|_| ())
        },
    )
    .versions(8, 20),
];

/// A session in the place of a proxy. At versions without the flag its blocks may be encrypted.
fn proxy_session(lab: &mut Lab<'_>) -> Result<Who, Failure> {
    lab.proxy_client()
}

/// A queue with its subscribed owner, and a session in the place of a proxy.
fn forwarded_queue(lab: &mut Lab<'_>) -> Result<(Who, Who, TestQueue), Failure> {
    let owner = lab.client()?;
    let queue = lab.queue_of(owner, &QueueForm::default())?;
    Ok((owner, proxy_session(lab)?, queue))
}

/// The answer inside to a forwarded command.
fn forward(
    lab: &mut Lab<'_>,
    proxy: Who,
    entity: &EntityId,
    command: &Command,
    key: Option<&AuthSecretKey>,
) -> Result<Response, Failure> {
    let request = Request::from(command.clone()).of(entity);
    let request = key.into_iter().fold(request, |request, key| request.by(key));
    let upstream = lab.post_rfwd(proxy, &request)?;
    Ok(lab.returned(&upstream)?.response)
}
