//! Notifiers: NKEY, NDEL, NSUB and NMSG.

use sxlab_protocol::crypto::keys::{AuthSecretKey, SharedSecret};
use sxlab_protocol::smp::command::{Command, MsgFlags};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{CorrId, EntityId};

use super::forms::notifier_keys;
use crate::case::{Case, Outcome};
use crate::lab::{Answer, Failure, Lab, QueueForm, Request, SECOND, TestQueue, Who, require, require_eq};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "notifications.nmsg",
        "A message sent with the flag T is told to the notifier's subscriber: its id and time, encrypted for the recipient.",
        &[
            "smp.notifier.nkey",
            "smp.notifier.nsub",
            "smp.notifier.nmsg",
            "smp.notifier.nmsg-body",
            "smp.notifier.flush",
        ],
        |lab| {
            let [owner, notified] = lab.clients()?;
            let queue = lab.queue(owner)?;
            let notifier = enable(lab, owner, &queue)?;
            require(notifier.id != queue.recipient && notifier.id != queue.sender, || {
                "the notifier's id is one of the queue's".to_owned()
            })?;
            nsub(lab, notified, &notifier)?.is(lab.sok())?;
            lab.silence(notified)?;
            notify(lab, owner, &queue, "first")?.ok()?;
            let message = lab.message(owner, &queue)?;
            let told = lab.event(notified)?;
            told.addressed(&CorrId::EMPTY, &notifier.id)?;
            require_eq("the length of NMSG in bytes", told.bytes.len(), 5 + 24 + 1 + 144)?;
            let meta = lab.notification(&notifier.secret, &told)?;
            require_eq("the message id in NMSG", &meta.id, &message.id)?;
            let seconds = i64::try_from(lab.now() / SECOND).unwrap_or_default();
            require((seconds - 60..=seconds + 60).contains(&meta.time), || {
                format!("the time in NMSG is {}, now is {seconds}", meta.time)
            })
        },
    ),
    Case::new(
        "notifications.not-for-all",
        "A message with the flag F is not notified of.",
        &["smp.notifier.no-nmsg"],
        |lab| {
            let [owner, notified] = lab.clients()?;
            let queue = lab.queue(owner)?;
            let notifier = enable(lab, owner, &queue)?;
            nsub(lab, notified, &notifier)?.is(lab.sok())?;
            lab.send(owner, &queue, "quiet")?.ok()?;
            lab.silence(notified)
        },
    ),
    Case::new(
        "notifications.not-for-markers",
        "The quota marker is not notified of.",
        &["smp.notifier.no-nmsg"],
        |lab| {
            let [owner, notified] = lab.clients()?;
            let queue = lab.idle_queue(owner)?;
            let notifier = enable(lab, owner, &queue)?;
            nsub(lab, notified, &notifier)?.is(lab.sok())?;
            lab.send(owner, &queue, "first")?.ok()?;
            lab.send(owner, &queue, "second")?.ok()?;
            notify(lab, owner, &queue, "too many")?.is("ERR QUOTA")?;
            lab.silence(notified)
        },
    )
    .settings(|settings| settings.quota = Some(2)),
    Case::new(
        "notifications.stored",
        "Notifications wait for a notifier that is away, and follow its NSUB, the oldest first.",
        &["smp.notifier.stored"],
        |lab| {
            let [owner, notified] = lab.clients()?;
            let queue = lab.idle_queue(owner)?;
            let notifier = enable(lab, owner, &queue)?;
            let mut ids = Vec::new();
            for body in ["first", "second"] {
                notify(lab, owner, &queue, body)?.ok()?;
            }
            for body in ["first", "second"] {
                let answer = lab.recipient(owner, &queue, Command::Get)?;
                let message = lab.opened(&queue, answer)?;
                message.is(body)?;
                ids.push(message.id.clone());
                lab.ack(owner, &queue, &message.id)?.ok()?;
            }
            lab.wait(5 * SECOND);
            nsub(lab, notified, &notifier)?.is(lab.sok())?;
            for id in ids {
                let told = lab.event(notified)?;
                require_eq("the message id in NMSG", lab.notification(&notifier.secret, &told)?.id, id)?;
            }
            lab.silence(notified)
        },
    ),
    Case::new(
        "notifications.expiry",
        "A notification that waited longer than its time is not sent.",
        &["smp.notifier.expiry"],
        |lab| {
            let [owner, notified] = lab.clients()?;
            let queue = lab.idle_queue(owner)?;
            let notifier = enable(lab, owner, &queue)?;
            notify(lab, owner, &queue, "old")?.ok()?;
            lab.wait(4 * SECOND);
            nsub(lab, notified, &notifier)?.is(lab.sok())?;
            lab.silence(notified)
        },
    )
    .settings(|settings| {
        settings.notification_ttl = Some(SECOND);
        settings.expiry_interval = Some(SECOND);
    }),
    Case::new(
        "notifications.takeover",
        "NSUB in another session ends the first subscription, which is told END with the notifier's id.",
        &["smp.notifier.takeover"],
        |lab| {
            let [owner, first, second] = lab.clients()?;
            let queue = lab.queue(owner)?;
            let notifier = enable(lab, owner, &queue)?;
            nsub(lab, first, &notifier)?.is(lab.sok())?;
            nsub(lab, second, &notifier)?.is(lab.sok())?;
            let end = lab.event(first)?;
            end.is("END")?;
            end.addressed(&CorrId::EMPTY, &notifier.id)?;
            notify(lab, owner, &queue, "to the second")?.ok()?;
            lab.event_of(second, &notifier.id)?.is("NMSG")?;
            lab.silence(first)
        },
    ),
    Case::new(
        "notifications.nkey-again",
        "NKEY once more makes another id; the former one is AUTH, and its subscriber is told.",
        &["smp.notifier.nkey-again", "smp.notifier.removed-event"],
        |lab| {
            let [owner, notified] = lab.clients()?;
            let queue = lab.queue(owner)?;
            let former = enable(lab, owner, &queue)?;
            nsub(lab, notified, &former)?.is(lab.sok())?;
            let notifier = enable(lab, owner, &queue)?;
            require(notifier.id != former.id, || "NKEY gave the former id again".to_owned())?;
            let gone = lab.event(notified)?;
            gone.is(lab.deld())?;
            gone.addressed(&CorrId::EMPTY, &former.id)?;
            nsub(lab, notified, &former)?.is("ERR AUTH")?;
            nsub(lab, notified, &notifier)?.is(lab.sok())?;
            notify(lab, owner, &queue, "hello")?.ok()?;
            lab.event_of(notified, &notifier.id)?.is("NMSG")
        },
    ),
    Case::new(
        "notifications.ndel",
        "NDEL removes the notifier and is OK also where there is none; the subscriber is told, and nothing more.",
        &["smp.notifier.ndel", "smp.notifier.removed-event"],
        |lab| {
            let [owner, notified] = lab.clients()?;
            let queue = lab.queue(owner)?;
            let notifier = enable(lab, owner, &queue)?;
            nsub(lab, notified, &notifier)?.is(lab.sok())?;
            lab.recipient(owner, &queue, Command::NDel)?.ok()?;
            lab.event_of(notified, &notifier.id)?.is(lab.deld())?;
            lab.recipient(owner, &queue, Command::NDel)?.ok()?;
            nsub(lab, notified, &notifier)?.is("ERR AUTH")?;
            notify(lab, owner, &queue, "hello")?.ok()?;
            lab.silence(notified)
        },
    ),
    Case::new(
        "notifications.del",
        "DEL of the queue takes its notifier away, whose subscriber is told.",
        &["smp.notifier.removed-event"],
        |lab| {
            let [owner, notified] = lab.clients()?;
            let queue = lab.queue(owner)?;
            let notifier = enable(lab, owner, &queue)?;
            nsub(lab, notified, &notifier)?.is(lab.sok())?;
            lab.recipient(owner, &queue, Command::Del)?.ok()?;
            lab.event_of(notified, &notifier.id)?.is(lab.deld())?;
            nsub(lab, notified, &notifier)?.is("ERR AUTH")
        },
    ),
    Case::new(
        "notifications.nsub-key",
        "NSUB is authorized by the notifier's key for the notifier's id: by the recipient's key, or for the queue, it is AUTH.",
        &["smp.notifier.nsub", "smp.authorization.keys"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let notifier = enable(lab, who, &queue)?;
            let by = |id: &EntityId, key: &AuthSecretKey| Request::from(Command::NSub).of(id).by(key);
            lab.ask(who, by(&notifier.id, &queue.key))?.is("ERR AUTH")?;
            lab.ask(who, by(&queue.recipient, &notifier.key))?.is("ERR AUTH")?;
            lab.ask(who, Request::from(Command::NSub).of(&notifier.id))?.is("ERR CMD NO_AUTH")
        },
    ),
    Case::new(
        "notifications.with-new",
        "Notifier keys in NEW do what NKEY does, and IDS has the notifier's id and key.",
        &["smp.recipient.new-notifier", "smp.versions.v17"],
        |lab| {
            let [owner, notified] = lab.clients()?;
            let (keys, key, dh) = notifier_keys(lab);
            let form = QueueForm { notifier: Some(keys), ..QueueForm::default() };
            let queue = lab.queue_of(owner, &form)?;
            let Some(ids) = queue.ids.notifier.clone() else {
                return Err(Failure::wrong("IDS names no notifier"));
            };
            let notifier = Notifier { id: ids.id.clone(), key, secret: dh.dh(&ids.dh_key) };
            nsub(lab, notified, &notifier)?.is(lab.sok())?;
            notify(lab, owner, &queue, "hello")?.ok()?;
            let (message, told) = (lab.message(owner, &queue)?, lab.event_of(notified, &notifier.id)?);
            require_eq("the message id in NMSG", lab.notification(&notifier.secret, &told)?.id, message.id)
        },
    )
    .versions(17, 20),
    Case::new(
        "notifications.batches",
        "Collected notifications fill blocks of 80, of 69 at version 6, from the last one backwards: what is left is first.",
        &["smp.notifier.batches", "smp.transport.event-batches", "smp.transport.event-batch-bytes"],
        batches,
    ),
];

/// A notifier, as its recipient and its subscriber know it together.
struct Notifier {
    id: EntityId,
    key: AuthSecretKey,
    secret: SharedSecret,
}

/// NKEY.
fn enable(lab: &mut Lab<'_>, who: Who, queue: &TestQueue) -> Result<Notifier, Failure> {
    let (keys, key, dh) = notifier_keys(lab);
    let answer = lab.recipient(who, queue, Command::NKey(keys))?;
    let ids = answer.nid()?.clone();
    require_eq("the entity of NID", &answer.entity, &queue.recipient)?;
    Ok(Notifier { id: ids.id, key, secret: dh.dh(&ids.dh_key) })
}

fn nsub(lab: &mut Lab<'_>, who: Who, notifier: &Notifier) -> Result<Answer, Failure> {
    lab.ask(who, Request::from(Command::NSub).of(&notifier.id).by(&notifier.key))
}

/// SEND with the flag T.
fn notify(lab: &mut Lab<'_>, who: Who, queue: &TestQueue, body: &str) -> Result<Answer, Failure> {
    let flags = MsgFlags { notification: true };
    lab.ask(who, Request::from(Command::Send { flags, body: body.into() }).of(&queue.sender))
}

fn batches(lab: &mut Lab<'_>) -> Outcome {
    let [owner, notified] = lab.clients()?;
    for _ in 0..100 {
        let queue = lab.idle_queue(owner)?;
        let notifier = enable(lab, owner, &queue)?;
        notify(lab, owner, &queue, "hello")?.ok()?;
        nsub(lab, notified, &notifier)?.is(lab.sok())?;
    }
    // A wait shorter than the interval between the subscriptions is no promise of the router's: only where time is virtual
    // do all of them fall into one interval.
    let full = if lab.layout().session_id_on_wire { 69 } else { 80 };
    let mut sizes = Vec::new();
    let mut count = 0;
    while count < 100 {
        let block = lab.next_block(notified)?;
        let all = block.iter().all(|answer| matches!(answer.response, Ok(Response::Nmsg { .. })));
        require(all, || "something else than NMSG came".to_owned())?;
        count += block.len();
        sizes.push(block.len());
    }
    require_eq("the number of notifications", count, 100)?;
    require(sizes.iter().all(|size| *size <= full), || format!("blocks of {sizes:?} notifications"))?;
    if sizes.len() == 2 {
        require_eq("the sizes of the blocks", sizes, vec![100 - full, full])?;
    }
    Ok(())
}
