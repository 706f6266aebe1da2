//! What each version brings, as far as no other area shows it.

use sxlab_protocol::crypto::keys::{KeyType, X25519Secret};
use sxlab_protocol::smp::command::{Command, NotifierKeys};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{put_i64, put_short};

use crate::case::{Case, Outcome};
use crate::cases::forms::{absent, each_unsigned, keyed, link_data};
use crate::lab::queues::send;
use crate::lab::{Failure, Lab, Request, require, require_eq};
use crate::target::{Dial, Settings};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "versions.round-trip",
        "A queue is made, secured, sent to, read and deleted at every version, 6 and 13 among them.",
        &["smp.versions.v6", "smp.versions.v13"],
        |lab| {
            let [recipient, sender] = lab.clients()?;
            let queue = lab.queue(recipient)?;
            let key = lab.secure(recipient, &queue)?;
            for body in ["first", "second"] {
                lab.send_by(sender, &queue, body, &key)?.ok()?;
                lab.receive(recipient, &queue, body)?;
            }
            lab.recipient(recipient, &queue, Command::Off)?.ok()?;
            lab.send_by(sender, &queue, "third", &key)?.is("ERR AUTH")?;
            lab.recipient(recipient, &queue, Command::Del)?.ok()?;
            lab.recipient(recipient, &queue, Command::Sub)?.is("ERR AUTH")
        },
    ),
    Case::new(
        "versions.v7",
        "From version 7 on the router's hello has its key, and authenticators are accepted.",
        &["smp.versions.v7"],
        |lab| {
            let who = lab.connect(&Dial::default())?;
            let offer = lab.router_hello(who)?;
            require(offer.authentication.is_some(), || "the router's hello has no key".to_owned())?;
            lab.hello(who, |_| {})?;
            let queue = lab.queue_of(who, &keyed(KeyType::X25519))?;
            lab.subscribe(who, &queue)
        },
    )
    .versions(7, 20),
    Case::new(
        "versions.v8",
        "From version 8 on commands are forwarded to other routers.",
        &["smp.versions.v8"],
        |lab| {
            let address = lab.further(&Settings::default())?;
            let to = Dial { to: Some(address.clone()), ..Dial::default() };
            let recipient = lab.client_with(&to, |_| {})?;
            let queue = lab.queue(recipient)?;
            let who = lab.client()?;
            let corr = lab.post_prxy(who, &address, None)?;
            let answer = lab.answer(who, &corr)?;
            let relay = lab.pkey(&answer, &address)?;
            let route = lab.post_pfwd(who, &relay, &queue.sender, &send("forwarded"), None)?;
            require_eq("the relay's answer", lab.pres(who, &route)?, Response::Ok)?;
            lab.receive(recipient, &queue, "forwarded").map(|_| ())
        },
    )
    .versions(8, 20),
    Case::new(
        "versions.v11",
        "From version 11 on the blocks of a session are encrypted; below they are not, with a key too.",
        &["smp.versions.v11"],
        |lab| {
            let who = lab.client()?;
            lab.post(who, Command::Ping)?;
            let block = lab.read_raw(who)?;
            let readable = block.windows(4).any(|bytes| bytes == b"PONG");
            require(readable == (lab.version() < 11), || {
                format!("PONG is {} in its block", if readable { "readable" } else { "not readable" })
            })
        },
    ),
    Case::new(
        "versions.v14",
        "From version 14 on a client may say that it is a proxy, and its blocks are not encrypted.",
        &["smp.versions.v14"],
        |lab| {
            let who = lab.proxy_client()?;
            lab.post(who, Command::Ping)?;
            let block = lab.read_raw(who)?;
            require(block.windows(4).any(|bytes| bytes == b"PONG"), || {
                "the answer to a proxy is encrypted".to_owned()
            })
        },
    )
    .versions(14, 20),
    Case::new(
        "versions.v16",
        "From version 16 on a hello without the service field ends the connection, and SOK says which service it is for.",
        &["smp.versions.v16"],
        |lab| {
            let who = lab.connect(&Dial::default())?;
            lab.router_hello(who)?;
            lab.hello(who, |hello| hello.service = Vec::new())?;
            lab.closed(who)?;
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.recipient(who, &queue, Command::Sub)?.is_bytes(b"SOK 0")
        },
    )
    .versions(16, 20),
    Case::new(
        "versions.v19",
        "From version 19 on SUBS and NSUBS have a count and a hash; before they have no parameters.",
        &["smp.versions.v19"],
        service_queues,
    )
    .versions(16, 20),
    Case::new(
        "versions.v20",
        "RSLV is answered by RNAME or an error of names.",
        &["smp.versions.v20"],
        |lab| {
            let who = lab.client()?;
            let answer = lab.ask(who, Request::bytes(*b"RSLV alice.simplex"))?;
            let text = answer.text();
            require(text == "RNAME" || text.starts_with("ERR NAME "), || {
                format!("RSLV is answered by {text}, expected RNAME or ERR NAME")
            })
        },
    )
    .versions(20, 20),
    Case::new(
        "versions.not-gated",
        "Commands of later versions are parsed at every version.",
        &["smp.versions.not-gated"],
        not_gated,
    ),
    Case::new(
        "versions.skey-before-v9",
        "Before version 9 queues have no mode: SKEY is parsed and refused with AUTH.",
        &["smp.versions.not-gated"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let key = lab.sender_key();
            let skey = Request::from(Command::SKey(key.public())).of(&queue.sender);
            lab.ask(who, skey.by(&key))?.is("ERR AUTH")?;
            lab.send(who, &queue, "still open")?.ok()
        },
    )
    .versions(6, 8),
];

fn service_queues(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let key = lab.key(KeyType::Ed25519);
    let hashed = lab.version() >= 19;
    for tag in ["SUBS", "NSUBS"] {
        let mut with = format!("{tag} ").into_bytes();
        put_i64(&mut with, 3);
        put_short(&mut with, &[0x3d; 16]).map_err(Failure::error)?;
        let bare = tag.as_bytes().to_vec();
        let (right, wrong) = if hashed { (with, bare) } else { (bare, with) };
        for request in [Request::bytes(wrong.clone()), Request::bytes(wrong).of(&absent()).by(&key)] {
            lab.ask(who, request)?.is("ERR CMD SYNTAX")?;
        }
        // It parses: what it lacks is the service.
        lab.ask(who, Request::bytes(right.clone()))?.is("ERR CMD NO_AUTH")?;
        lab.ask(who, Request::bytes(right).of(&absent()).by(&key))?.is("ERR SERVICE")?;
    }
    Ok(())
}

fn not_gated(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let (key, dh) = (lab.key(KeyType::Ed25519).public(), X25519Secret::generate(lab.rng()).public());
    let commands = [
        Command::SKey(key),
        Command::RKey(vec![key]),
        Command::LSet { link: lab.link_id(0x63), data: link_data() },
        Command::LDel,
        Command::LKey(key),
        Command::NKey(NotifierKeys { auth_key: key, dh_key: dh }),
    ];
    each_unsigned(lab, who, &absent(), &commands, "ERR CMD NO_AUTH")?;
    lab.ask(who, Command::LGet)?.is("ERR CMD NO_ENTITY")?;
    lab.ask(who, Request::bytes(*b"RSLV alice.simplex").of(&absent()))?.is("ERR CMD HAS_AUTH")?;
    lab.ask(who, Command::Rfwd { sealed: vec![7; 100] })?
        .is_one_of(&["ERR CRYPTO", "ERR PROXY BROKER TRANSPORT NO_AUTH"])?;
    let pfwd = Command::Pfwd { version: 20, key: dh, sealed: vec![7; 100] };
    lab.ask(who, pfwd)?.is("ERR CMD NO_ENTITY")
}
