//! A service's queues: double authorization, belonging, SUBS and NSUBS.

use sxlab_protocol::crypto::hash::md5;
use sxlab_protocol::crypto::keys::{AuthSecretKey, Ed25519Secret, KeyType};
use sxlab_protocol::smp::command::{Command, MsgFlags, ServiceQueues};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::EntityId;

use super::super::forms::notifier;
use super::{MESSAGING, NOTIFICATIONS, serving};
use crate::case::{Case, Outcome};
use crate::lab::{Answer, Failure, Lab, QueueForm, Request, Service, TestQueue, Who, require, require_eq};

/// What a service says that does not know its numbers.
pub(super) const UNKNOWN: ServiceQueues = ServiceQueues { count: -1, hash: [0; 16] };

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "services.new",
        "A queue that a service makes is the service's: IDS and SOK name it, and SUBS finds it.",
        &["smp.service.new", "smp.service.soks", "smp.service.hash"],
        |lab| {
            let (certificate, who, service) = serving(lab, MESSAGING)?;
            let (first, second) = (own_queue(lab, who, &service)?, own_queue(lab, who, &service)?);
            for queue in [&first, &second] {
                require_eq("the service in IDS", queue.ids.service.as_ref(), Some(&service.id))?;
            }
            let answer = sub(lab, who, &service, &first)?;
            let Ok(Response::Sok { service: named }) = &answer.response else {
                return Err(answer.unexpected("SOK"));
            };
            require_eq("the service in SOK", named.as_ref(), Some(&service.id))?;
            let (again, service) = lab.service(&certificate, MESSAGING)?;
            let answer = lab.subscribe_all(again, &service, Command::Subs, UNKNOWN)?;
            require_eq("the entity of SOKS", &answer.entity, &service.id)?;
            counts(lab, &answer, &[&first.recipient, &second.recipient])
        },
    )
    .versions(16, 20),
    Case::new(
        "services.new-not-subscribed",
        "NEW without subscription is not for services.",
        &["smp.service.new-not-subscribed"],
        |lab| {
            let (_, who, service) = serving(lab, MESSAGING)?;
            let (key, dh) = (lab.key(KeyType::Ed25519), lab.dh_key());
            let form = QueueForm { subscribe: false, ..QueueForm::default() };
            let request = lab.new_request(&form, &key, &dh).in_service(&service);
            lab.ask(who, request)?.is("ERR CMD PROHIBITED")
        },
    )
    .versions(16, 20),
    Case::new(
        "services.signature-required",
        "NEW, SUB and NSUB in a service's session need the service's signature.",
        &["smp.service.signature-required"],
        |lab| {
            let owner = lab.client()?;
            let queue = lab.queue(owner)?;
            let (id, key) = notifier(lab, owner, &queue)?;
            let (_, who, _) = serving(lab, MESSAGING)?;
            lab.ask_new(who, &QueueForm::default())?.is("ERR SERVICE")?;
            lab.recipient(who, &queue, Command::Sub)?.is("ERR SERVICE")?;
            let (_, who, _) = serving(lab, NOTIFICATIONS)?;
            lab.ask(who, Request::from(Command::NSub).of(&id).by(&key))?.is("ERR SERVICE")
        },
    )
    .versions(16, 20),
    Case::new(
        "services.signature-refused",
        "A service signature in a plain session, or on another command, is ERR SERVICE.",
        &["smp.service.signature-refused", "smp.service.ack"],
        |lab| {
            let (_, serving_who, service) = serving(lab, MESSAGING)?;
            let plain = lab.client()?;
            let queue = own_queue(lab, serving_who, &service)?;
            let request = |command| Request::from(command).of(&queue.recipient).by(&queue.key);
            lab.ask(plain, request(Command::Sub).in_service(&service))?.is("ERR SERVICE")?;
            lab.ask(serving_who, request(Command::Que).in_service(&service))?.is("ERR SERVICE")?;
            lab.send(plain, &queue, "hello")?.ok()?;
            let message = lab.message(serving_who, &queue)?;
            let ack = Command::Ack(message.id.clone());
            lab.ask(serving_who, request(ack).in_service(&service))?.is("ERR SERVICE")?;
            lab.ack(serving_who, &queue, &message.id)?.ok()
        },
    )
    .versions(16, 20),
    Case::new(
        "services.signed-text",
        "Beside a service signature the queue's key authorizes the certificate's hash and the text; the text alone is AUTH.",
        &["smp.service.signed-text"],
        |lab| {
            let (_, who, service) = serving(lab, MESSAGING)?;
            let queue = own_queue(lab, who, &service)?;
            let request = Request::from(Command::Sub).of(&queue.recipient).by(&queue.key);
            lab.ask(who, request.clone().beside_service(&service))?.is("ERR AUTH")?;
            let other = Service { key: Ed25519Secret::generate(lab.rng()), ..service.clone() };
            lab.ask(who, request.clone().in_service(&other))?.is("ERR SERVICE")?;
            lab.ask(who, request.in_service(&service))?.is("SOK")
        },
    )
    .versions(16, 20),
    Case::new(
        "services.join",
        "SUB of a service takes a queue in, and its plain subscriber is told END; the service gets its messages.",
        &["smp.service.join"],
        |lab| {
            let owner = lab.client()?;
            let queue = lab.queue(owner)?;
            let (_, who, service) = serving(lab, MESSAGING)?;
            sub(lab, who, &service, &queue)?.is("SOK")?;
            lab.event_of(owner, &queue.recipient)?.is("END")?;
            lab.send(owner, &queue, "to the service")?.ok()?;
            lab.receive(who, &queue, "to the service")?;
            lab.silence(owner)?;
            let answer = lab.subscribe_all(who, &service, Command::Subs, UNKNOWN)?;
            counts(lab, &answer, &[&queue.recipient])
        },
    )
    .versions(16, 20),
    Case::new(
        "services.leave",
        "A plain SUB takes a queue out of its service, whose session is told END for it and counts one less.",
        &["smp.service.leave", "smp.service.removed"],
        |lab| {
            let (_, who, service) = serving(lab, MESSAGING)?;
            let (stays, leaves) = (own_queue(lab, who, &service)?, own_queue(lab, who, &service)?);
            let plain = lab.client()?;
            let answer = lab.recipient(plain, &leaves, Command::Sub)?;
            require_eq("the answer", answer.response()?, &Response::Sok { service: None })?;
            lab.event_of(who, &leaves.recipient)?.is("END")?;
            lab.send(plain, &leaves, "to the client")?.ok()?;
            lab.receive(plain, &leaves, "to the client")?;
            let answer = lab.subscribe_all(who, &service, Command::Subs, UNKNOWN)?;
            counts(lab, &answer, &[&stays.recipient])
        },
    )
    .versions(16, 20),
    Case::new(
        "services.removed",
        "A service is told DELD for a queue that another client deletes, and counts one less.",
        &["smp.service.removed"],
        |lab| {
            let (_, who, service) = serving(lab, MESSAGING)?;
            let (stays, goes) = (own_queue(lab, who, &service)?, own_queue(lab, who, &service)?);
            let plain = lab.client()?;
            lab.recipient(plain, &goes, Command::Del)?.ok()?;
            lab.event_of(who, &goes.recipient)?.is("DELD")?;
            let answer = lab.subscribe_all(who, &service, Command::Subs, UNKNOWN)?;
            counts(lab, &answer, &[&stays.recipient])
        },
    )
    .versions(16, 20),
    Case::new(
        "services.subs",
        "SUBS is answered by SOKS, the first message of each queue that has any, and ALLS; once more only by SOKS.",
        &["smp.service.messages", "smp.service.alls", "smp.service.subs", "smp.service.subs-again", "smp.service.soks"],
        subs,
    )
    .versions(16, 20),
    Case::new(
        "services.drift",
        "Other numbers than the router's change nothing in the answer.",
        &["smp.service.drift"],
        |lab| {
            let (certificate, first, service) = serving(lab, MESSAGING)?;
            let queue = own_queue(lab, first, &service)?;
            let (who, service) = lab.service(&certificate, MESSAGING)?;
            let wrong = ServiceQueues { count: 70, hash: [7; 16] };
            let answer = lab.subscribe_all(who, &service, Command::Subs, wrong)?;
            counts(lab, &answer, &[&queue.recipient])
        },
    )
    .versions(19, 20),
    Case::new(
        "services.subs-syntax",
        "SUBS in the form of other versions is ERR CMD SYNTAX.",
        &["smp.service.subs-syntax", "smp.service.subs-old", "smp.versions.v19"],
        |lab| {
            let (_, who, service) = serving(lab, MESSAGING)?;
            let key = AuthSecretKey::Ed25519(service.key.clone());
            let with = [&b"SUBS "[..], &[0; 8], &[16], &[0; 16]].concat();
            let wrong = if lab.layout().service_hash { b"SUBS".to_vec() } else { with };
            lab.ask(who, Request::bytes(wrong).of(&service.id).by(&key))?.is("ERR CMD SYNTAX")
        },
    )
    .versions(16, 20),
    Case::new(
        "services.subs-refused",
        "SUBS without authorization or entity is NO_AUTH; of another entity, by another key or signed twice it is SERVICE.",
        &["smp.service.subs-refused"],
        |lab| {
            let (_, who, service) = serving(lab, MESSAGING)?;
            let subs = || Request::from(Command::Subs(UNKNOWN));
            let key = AuthSecretKey::Ed25519(service.key.clone());
            let other = lab.key(KeyType::Ed25519);
            lab.ask(who, subs().of(&service.id))?.is("ERR CMD NO_AUTH")?;
            lab.ask(who, subs().by(&key))?.is("ERR CMD NO_AUTH")?;
            lab.ask(who, subs().of(&EntityId::from([3; 24])).by(&key))?.is("ERR SERVICE")?;
            lab.ask(who, subs().of(&service.id).by(&other))?.is("ERR SERVICE")?;
            lab.ask(who, subs().of(&service.id).by(&key).in_service(&service))?.is("ERR SERVICE")?;
            let plain = lab.client()?;
            lab.ask(plain, subs().of(&service.id).by(&key))?.is("ERR SERVICE")
        },
    )
    .versions(16, 20),
    Case::new(
        "services.ends",
        "When another session of a service subscribes, the former is told ENDS with what it has lost.",
        &["smp.service.ends"],
        |lab| {
            let (certificate, first, service) = serving(lab, MESSAGING)?;
            let queue = own_queue(lab, first, &service)?;
            let (second, again) = lab.service(&certificate, MESSAGING)?;
            lab.subscribe_all(second, &again, Command::Subs, UNKNOWN)?.is("SOKS")?;
            let ends = lab.event_of(first, &service.id)?;
            ends.is("ENDS")?;
            counts(lab, &ends, &[&queue.recipient])?;
            let plain = lab.client()?;
            lab.send(plain, &queue, "to the second")?.ok()?;
            lab.receive(second, &queue, "to the second")?;
            lab.silence(first)
        },
    )
    .versions(16, 20),
    Case::new(
        "services.nsubs",
        "NSUBS subscribes to all notifiers of a service; what waits follows, and no ALLS.",
        &["smp.service.nsubs", "smp.service.nsubs-no-alls"],
        nsubs,
    )
    .versions(16, 20),
];

fn own_queue(lab: &mut Lab<'_>, who: Who, service: &Service) -> Result<TestQueue, Failure> {
    let (key, dh) = (lab.key(KeyType::Ed25519), lab.dh_key());
    let request = lab.new_request(&QueueForm::default(), &key, &dh).in_service(service);
    let answer = lab.ask(who, request)?;
    lab.made(&answer, &key, &dh)
}

fn sub(lab: &mut Lab<'_>, who: Who, service: &Service, queue: &TestQueue) -> Result<Answer, Failure> {
    lab.ask(who, Request::from(Command::Sub).of(&queue.recipient).by(&queue.key).in_service(service))
}

/// Expects the numbers of these queues, the hash from version 19 on.
fn counts(lab: &Lab<'_>, answer: &Answer, ids: &[&EntityId]) -> Outcome {
    let queues = answer.service_queues()?;
    require_eq("the count", queues.count, i64::try_from(ids.len()).unwrap_or_default())?;
    let mut hash = [0; 16];
    for id in ids {
        for (byte, other) in hash.iter_mut().zip(md5(id.as_bytes())) {
            *byte ^= other;
        }
    }
    if lab.layout().service_hash { require_eq("the hash", queues.hash, hash) } else { Ok(()) }
}

fn subs(lab: &mut Lab<'_>) -> Outcome {
    let (certificate, first, service) = serving(lab, MESSAGING)?;
    let queues: Vec<_> = (0..3).map(|_| own_queue(lab, first, &service)).collect::<Result<_, _>>()?;
    lab.close(first)?;
    let plain = lab.client()?;
    for queue in queues.iter().take(2) {
        lab.send(plain, queue, "first")?.ok()?;
        lab.send(plain, queue, "second")?.ok()?;
    }
    let (who, service) = lab.service(&certificate, MESSAGING)?;
    let corr = lab.post(who, service.request(Command::Subs(UNKNOWN)))?;
    let (mut delivered, mut soks, mut alls) = (0, None, false);
    while delivered < 2 || soks.is_none() || !alls {
        let next = lab.next(who)?;
        match &next.response {
            Ok(Response::Soks(_)) if next.corr == corr => soks = Some(next),
            Ok(Response::Msg { .. }) if next.corr.is_empty() && !alls => delivered += 1,
            Ok(Response::Alls) if next.corr.is_empty() && next.entity.is_empty() && delivered == 2 => {
                alls = true
            }
            _ => return Err(next.unexpected("SOKS, two messages and then ALLS")),
        }
    }
    let ids: Vec<_> = queues.iter().map(|queue| &queue.recipient).collect();
    if let Some(soks) = soks {
        counts(lab, &soks, &ids)?;
    }
    let again = lab.subscribe_all(who, &service, Command::Subs, UNKNOWN)?;
    counts(lab, &again, &ids)?;
    lab.silence(who)
}

fn nsubs(lab: &mut Lab<'_>) -> Outcome {
    let owner = lab.client()?;
    let queue = lab.idle_queue(owner)?;
    let (id, key) = notifier(lab, owner, &queue)?;
    let (certificate, first, service) = serving(lab, NOTIFICATIONS)?;
    let nsub = Request::from(Command::NSub).of(&id).by(&key).in_service(&service);
    lab.ask(first, nsub)?.is("SOK")?;
    lab.close(first)?;
    let flags = MsgFlags { notification: true };
    let send = Command::Send { flags, body: b"hello".to_vec() };
    lab.ask(owner, Request::from(send).of(&queue.sender))?.ok()?;
    let (who, service) = lab.service(&certificate, NOTIFICATIONS)?;
    let answer = lab.subscribe_all(who, &service, Command::NSubs, UNKNOWN)?;
    answer.is("SOKS")?;
    counts(lab, &answer, &[&id])?;
    lab.event_of(who, &id)?.is("NMSG")?;
    require(!id.is_empty(), || "no notifier id".to_owned())?;
    lab.silence(who)
}
