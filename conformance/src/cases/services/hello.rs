//! How a service presents itself, and what its role allows.

use sxlab_protocol::crypto::certificate::SignedKey;
use sxlab_protocol::crypto::keys::Ed25519Secret;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::transport::ServiceRole;
use sxlab_protocol::wire::EntityId;

use super::super::forms::notifier;
use super::{MESSAGING, NOTIFICATIONS, serving};
use crate::case::{Case, Outcome};
use crate::lab::{Lab, Request, queues::send, require, require_eq};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "services.hello",
        "A service is answered by R and an id of 24 bytes: the same for its certificate every time, another for another.",
        &[
            "smp.service.hello",
            "smp.service.answer",
            "smp.service.id",
            "smp.service.chain",
            "smp.service.signed-key",
        ],
        |lab| {
            let (certificate, who, service) = serving(lab, MESSAGING)?;
            require_eq("the length of the service id", service.id.as_bytes().len(), 24)?;
            lab.ask(who, Command::Ping)?.is("PONG")?;
            let (_, again) = lab.service(&certificate, MESSAGING)?;
            require_eq("the id of the same service", &again.id, &service.id)?;
            let (_, _, other) = serving(lab, MESSAGING)?;
            require(other.id != service.id, || "two services have one id".to_owned())
        },
    )
    .versions(16, 20),
    Case::new(
        "services.tls-certificate",
        "A service shows the certificates that it presented in TLS; others, or none in TLS, are E with BAD_AUTH and the end.",
        &["smp.service.tls-certificate", "smp.service.answer"],
        |lab| {
            let (shown, other) = (lab.certificate()?, lab.certificate()?);
            for in_tls in [Some(&other), None] {
                let (who, _) = lab.present(in_tls, &shown, MESSAGING, |_| {})?;
                require_eq("the answer", lab.service_reply(who)?.as_slice(), b"EHANDSHAKE BAD_AUTH")?;
                lab.closed(who)?;
            }
            Ok(())
        },
    )
    .versions(16, 20),
    Case::new(
        "services.forged-key",
        "A session key that the certificate did not sign is E with BAD_AUTH.",
        &["smp.service.hello", "smp.errors.transport"],
        |lab| {
            let (shown, other) = (lab.certificate()?, lab.certificate()?);
            let key = Ed25519Secret::generate(lab.rng());
            let forged = SignedKey::make(key.public(), other.leaf_key());
            let (who, _) = lab.present(Some(&shown), &shown, MESSAGING, |presented| {
                presented.signed_key = forged.as_der().to_vec();
            })?;
            require_eq("the answer", lab.service_reply(who)?.as_slice(), b"EHANDSHAKE BAD_AUTH")?;
            lab.closed(who)
        },
    )
    .versions(16, 20),
    Case::new(
        "services.role-fixed",
        "A known certificate in another role is E with BAD_SERVICE and the end.",
        &["smp.service.role-fixed"],
        |lab| {
            let (certificate, _, _) = serving(lab, MESSAGING)?;
            let (who, _) = lab.present(Some(&certificate), &certificate, NOTIFICATIONS, |_| {})?;
            require_eq("the answer", lab.service_reply(who)?.as_slice(), b"EHANDSHAKE BAD_SERVICE")?;
            lab.closed(who)
        },
    )
    .versions(16, 20),
    Case::new(
        "services.malformed-hello",
        "A service with an unknown role, or a key that is none, is disconnected without a word.",
        &["smp.service.malformed-hello"],
        |lab| {
            let certificate = lab.certificate()?;
            let (who, _) =
                lab.present(Some(&certificate), &certificate, MESSAGING, |presented| presented.role = b'X')?;
            lab.closed(who)?;
            let (who, _) = lab.present(Some(&certificate), &certificate, MESSAGING, |presented| {
                presented.signed_key.truncate(50);
            })?;
            lab.closed(who)
        },
    )
    .versions(16, 20),
    Case::new(
        "services.messaging-role",
        "A service of role M may do what clients do, but not what notifiers and proxies do.",
        &["smp.service.roles"],
        |lab| {
            let owner = lab.client()?;
            let queue = lab.queue(owner)?;
            let (id, key) = notifier(lab, owner, &queue)?;
            let (_, who, service) = serving(lab, MESSAGING)?;
            lab.send(who, &queue, "hello")?.ok()?;
            let nsub = Request::from(Command::NSub).of(&id).by(&key).in_service(&service);
            lab.ask(who, nsub)?.is("ERR CMD PROHIBITED")?;
            lab.ask(who, Command::Rfwd { sealed: vec![7; 200] })?.is("ERR CMD PROHIBITED")?;
            let none = super::queues::UNKNOWN;
            lab.subscribe_all(who, &service, Command::NSubs, none)?.is("ERR CMD PROHIBITED")?;
            lab.ask(who, Command::Ping)?.is("PONG")
        },
    )
    .versions(16, 20),
    Case::new(
        "services.other-roles",
        "Services of the roles N and P may not do what clients do; PING is for all.",
        &["smp.service.roles", "smp.service.role-after-authorization"],
        other_roles,
    )
    .versions(16, 20),
];

fn other_roles(lab: &mut Lab<'_>) -> Outcome {
    let owner = lab.client()?;
    let queue = lab.queue(owner)?;
    for role in [NOTIFICATIONS, ServiceRole::Proxy] {
        let (_, who, service) = serving(lab, role)?;
        lab.ask(who, Command::Ping)?.is("PONG")?;
        let new = {
            let (key, dh) = (lab.key(sxlab_protocol::crypto::keys::KeyType::Ed25519), lab.dh_key());
            lab.new_request(&crate::lab::QueueForm::default(), &key, &dh).in_service(&service)
        };
        lab.ask(who, new)?.is("ERR CMD PROHIBITED")?;
        lab.send(who, &queue, "hello")?.is("ERR CMD PROHIBITED")?;
        let absent = EntityId::from([0xab; 24]);
        lab.ask(who, Request::from(send("hello")).of(&absent))?.is("ERR AUTH")?;
        let none = super::queues::UNKNOWN;
        lab.subscribe_all(who, &service, Command::Subs, none)?.is("ERR CMD PROHIBITED")?;
    }
    lab.silence(owner)
}
