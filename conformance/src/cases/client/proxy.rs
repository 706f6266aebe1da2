//! Sending through a proxy.

use std::collections::BTreeSet;

use sxlab_protocol::crypto::certificate::SignedKey;
use sxlab_protocol::crypto::keys::Ed25519Secret;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{CommandError, ProxyError, SmpError};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::VersionRange;

use super::session::well_written;
use crate::case::{Case, Outcome};
use crate::lab::certificates::{KeysOf, bare_signed_key};
use crate::lab::{Asked, Behind, Destination, Failure, Guest, Inner, Lab, Pkey, require, require_eq};

const TEXTS: [&str; 2] = ["one", "two"];

pub(super) const CASES: &[Case] = &[
    Case::new(
        "client-proxy.prxy",
        "PRXY names the relay of the queue's address, without authorization and entity.",
        &["smp.proxy.request", "smp.authorization.not-allowed"],
        |lab| {
            let behind = lab.behind()?;
            let (_, _, asked) = lab.proxied_sender(&behind, &TEXTS)?;
            let Command::Prxy { router, .. } = well_written(lab, &asked)? else {
                return Err(Failure::wrong("no PRXY"));
            };
            asked.bare()?;
            require_eq("the identity in PRXY", router.identity, behind.address.identity)?;
            require_eq("the hosts in PRXY", router.hosts, behind.address.hosts)
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.hosts",
        "An address may name IPv4 and IPv6 addresses, onion names and domains; PRXY has all of them.",
        &["client.address.hosts"],
        |lab| {
            let mut behind = lab.behind()?;
            let onion = format!("{}.onion", "a".repeat(56));
            let hosts = ["192.0.2.1", "2001:db8::1", &onion, "relay.test", "localhost"];
            let hosts: Result<Vec<_>, _> = hosts.iter().map(|host| host.parse()).collect();
            behind.address.hosts = hosts.map_err(Failure::error)?;
            let (_, _, asked) = lab.proxied_sender(&behind, &TEXTS)?;
            let Command::Prxy { router, .. } = well_written(lab, &asked)? else {
                return Err(Failure::wrong("no PRXY"));
            };
            require_eq("the hosts in PRXY", router.hosts, behind.address.hosts)
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.pfwd",
        "PFWD is for the session of PKEY, not authorized, at a version of it, and carries a box of 16,226 bytes.",
        &["smp.versions.v8", "smp.proxy.pfwd", "smp.authorization.forward-entity"],
        |lab| {
            let (commands, behind, _) = served(lab)?;
            for (asked, inner) in &commands {
                well_written(lab, asked)?;
                let none = asked.received.authorization.as_ref().is_some_and(|given| given.is_none());
                require(none, || "PFWD is authorized, it must not be".to_owned())?;
                require(asked.received.entity == behind.session, || "PFWD is for another session".to_owned())?;
                require_eq("the padded size of what PFWD carries", inner.size, 16_226)?;
                inner.within(VersionRange::new(8, lab.version()).map_err(Failure::error)?)?;
            }
            lab.succeeds()
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.inner",
        "Inside is one transmission for the queue with the same correlation id, authorized for the session between proxy and relay.",
        &["smp.proxy.inner-command", "smp.proxy.allowed-commands"],
        inner,
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.fresh-keys",
        "Every PFWD has a key of its own.",
        &["smp.proxy.fresh-key"],
        |lab| {
            let (commands, _, _) = served(lab)?;
            let keys: BTreeSet<_> = commands.iter().map(|(_, inner)| *inner.key.as_bytes()).collect();
            require_eq("how many keys differ", keys.len(), commands.len())
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.other-relay",
        "A client forwards nothing to a relay of another identity than the address names.",
        &["smp.proxy.client-checks-relay"],
        |lab| {
            let other = lab.certified(1, KeysOf::Ed25519);
            forwards_nothing(lab, |behind, pkey| {
                pkey.signed_key =
                    SignedKey::make(behind.key.public(), other.leaf.clone()).as_der().to_vec();
                pkey.chain = other.chain;
            })
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.forged-chain",
        "A client forwards nothing to a relay whose leaf its identity's certificate did not sign.",
        &["smp.proxy.client-checks-relay"],
        |lab| forwards_nothing(lab, |behind, pkey| pkey.chain = behind.certified.clone().forged().chain),
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.forged-key",
        "A client forwards nothing to a relay whose session key its leaf did not sign.",
        &["smp.proxy.client-checks-relay"],
        |lab| {
            let other = Ed25519Secret::generate(lab.rng());
            forwards_nothing(lab, |behind, pkey| {
                pkey.signed_key = SignedKey::make(behind.key.public(), other).as_der().to_vec();
            })?;
            forwards_nothing(lab, |behind, pkey| {
                pkey.signed_key = bare_signed_key(&behind.key.public().spki(), &behind.certified.leaf);
            })
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.older-relay",
        "A client forwards at the greatest version that the relay has too.",
        &["smp.proxy.version-range"],
        |lab| {
            let behind = lab.behind()?;
            let (guest, queue, asked) = lab.proxied_sender(&behind, &TEXTS)?;
            lab.pkey_to(guest.who, &asked, &behind, |pkey| pkey.versions = (8, 9))?;
            for (_, inner) in lab.serve_forwarded(guest.who, &behind)? {
                require_eq("the version in PFWD", inner.version, 9)?;
                let (received, _) = inner.command()?;
                require(received.entity == queue.address.sender_id, || "a command for another queue".to_owned())?;
            }
            lab.succeeds()
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.no-common-version",
        "A client forwards nothing to a relay with which it has no version in common.",
        &["smp.proxy.version-range"],
        |lab| forwards_nothing(lab, |_, pkey| pkey.versions = (60_000, 65_535)),
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.pres-nonce",
        "A client reads the relay's answer under the reversed correlation id, and takes no other.",
        &["smp.proxy.pres", "smp.proxy.rres"],
        |lab| {
            let (guest, _, behind) = proxied(lab)?;
            let (asked, inner) = lab.forwarded(guest.who, &behind)?;
            lab.pres_to(guest.who, &asked, &inner, &Response::Ok, false)?;
            lab.says_nothing(guest.who)?;
            lab.fails()
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.unreadable-pres",
        "A client takes no answer that does not decrypt.",
        &["smp.proxy.pres"],
        |lab| {
            let (guest, _, behind) = proxied(lab)?;
            let (asked, _) = lab.forwarded(guest.who, &behind)?;
            lab.answer_to(guest.who, &asked, &Response::Pres { sealed: vec![7; 16_242] })?;
            lab.says_nothing(guest.who)?;
            lab.fails()
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.relay-error",
        "The relay's error is the answer to the forwarded command.",
        &["smp.proxy.relay-errors", "smp.errors.tags"],
        |lab| {
            for error in [SmpError::Auth, SmpError::Quota, SmpError::Command(CommandError::Prohibited)] {
                let (guest, _, behind) = proxied(lab)?;
                let (asked, inner) = lab.forwarded(guest.who, &behind)?;
                lab.pres_to(guest.who, &asked, &inner, &Response::Err(error), true)?;
                lab.fails()?;
            }
            Ok(())
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.proxy-error",
        "What the proxy can't do is a failed command.",
        &["smp.errors.broker-text", "smp.errors.proxy", "smp.proxy.no-session", "smp.errors.broker", "smp.errors.transport"],
        |lab| {
            let errors = [
                "PROXY NO_SESSION",
                "PROXY BROKER TIMEOUT",
                "PROXY BROKER NETWORK",
                "PROXY BROKER HOST",
                "PROXY BROKER RESPONSE \u{5}ERR X",
                "PROXY BROKER UNEXPECTED \u{0}",
                "PROXY BROKER TRANSPORT VERSION",
                "PROXY BROKER TRANSPORT HANDSHAKE IDENTITY",
                "PROXY PROTOCOL CRYPTO",
                "PROXY XYZZY",
            ];
            for error in errors {
                let (guest, _, behind) = proxied(lab)?;
                let (asked, _) = lab.forwarded(guest.who, &behind)?;
                lab.answer_bytes(guest.who, &asked, format!("ERR {error}").as_bytes())?;
                lab.fails().map_err(|failure| failure.during(&format!("PFWD is answered by ERR {error}")))?;
            }
            Ok(())
        },
    )
    .versions(9, 20)
    .client(),
    Case::new(
        "client-proxy.refused",
        "A client whose PRXY is refused forwards nothing, and fails.",
        &["smp.proxy.password"],
        |lab| {
            let behind = lab.behind()?;
            let (guest, _, asked) = lab.proxied_sender(&behind, &TEXTS)?;
            lab.answer_to(guest.who, &asked, &Response::Err(SmpError::Proxy(ProxyError::BasicAuth)))?;
            lab.says_nothing(guest.who)?;
            lab.fails()
        },
    )
    .versions(9, 20)
    .client(),
];

/// A client that has the relay's session.
fn proxied(lab: &mut Lab<'_>) -> Result<(Guest, Destination, Behind), Failure> {
    let behind = lab.behind()?;
    let (guest, queue, asked) = lab.proxied_sender(&behind, &TEXTS)?;
    lab.pkey_to(guest.who, &asked, &behind, |_| {})?;
    Ok((guest, queue, behind))
}

/// PFWD as they came, with what was inside.
type Forwards = Vec<(Asked, Inner)>;

/// Every PFWD of a client, answered by OK.
fn served(lab: &mut Lab<'_>) -> Result<(Forwards, Behind, Destination), Failure> {
    let (guest, queue, behind) = proxied(lab)?;
    let commands = lab.serve_forwarded(guest.who, &behind)?;
    require(commands.len() > TEXTS.len(), || format!("only {} PFWD came", commands.len()))?;
    Ok((commands, behind, queue))
}

/// A client that is shown a PKEY which it has to refuse.
fn forwards_nothing(lab: &mut Lab<'_>, change: impl FnOnce(&Behind, &mut Pkey)) -> Outcome {
    let behind = lab.behind()?;
    let (guest, _, asked) = lab.proxied_sender(&behind, &TEXTS)?;
    lab.pkey_to(guest.who, &asked, &behind, |pkey| change(&behind, pkey))?;
    lab.says_nothing(guest.who)
        .map_err(|_| Failure::wrong("the client forwards to this relay, it should not"))?;
    lab.fails()
}

fn inner(lab: &mut Lab<'_>) -> Outcome {
    let (commands, behind, queue) = served(lab)?;
    let mut key = None;
    for (asked, inner) in &commands {
        let (received, command) = inner.command()?;
        require(received.corr == asked.received.corr, || {
            "the command inside has another correlation id than PFWD".to_owned()
        })?;
        require(received.entity == queue.address.sender_id, || "a command for another queue".to_owned())?;
        match command {
            Command::SKey(its) => key = Some(its),
            Command::Send { .. } => {}
            other => return Err(Failure::Wrong(format!("a relay does not do a forwarded {}", other.tag()))),
        }
        let key = key.ok_or_else(|| Failure::wrong("a command to a queue that was not secured"))?;
        let holds = received
            .authorization
            .as_ref()
            .is_some_and(|given| given.verifies(&key, &received.text, &received.corr, &behind.key));
        require(holds, || "the command inside is not authorized for the relay's session".to_owned())?;
    }
    Ok(())
}
