//! Subscriptions to queues' notifications: making, checking, deleting, and what SMP routers say of them.

use sxlab_protocol::crypto::keys::KeyType;
use sxlab_protocol::ntf::command::Command;
use sxlab_protocol::ntf::device::Device;
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::router::{Answer as SmpAnswer, SmpAsk, SmpTold};
use sxlab_protocol::smp::error::SmpError;
use sxlab_protocol::wire::EntityId;

use crate::case::Case;
use crate::lab::{Failure, SECOND, require, require_eq};
use crate::ntf::{Answer, active, messages, queue};

/// Queues that are asked for at once on start.
const START_BATCH: usize = 900;

/// Its cases.
pub(crate) const CASES: &[Case] = &[
    Case::ntf(
        "ntf-subscriptions.life",
        "A subscription is NEW until the SMP router, asked with the key in SNEW, accepts; then ACTIVE.",
        &["ntf.subscription.new", "ntf.subscription.check", "ntf.subscription.states"],
        |lab| {
            let who = lab.client()?;
            let mut phone = active(lab, who, "phone")?;
            let q = queue(1, 1)?;
            lab.subscribe(who, &mut phone, &q)?;
            lab.subscription_is(who, &mut phone, &q, "NEW")?;
            let no = lab.smp_connects()?;
            lab.subscription_is(who, &mut phone, &q, "NEW")?;
            let [asked] =
                <[_; 1]>::try_from(lab.nsubs()?).map_err(|_| Failure::wrong("NSUB is not for one queue"))?;
            require_eq("the notifier", asked.notifier.clone(), q.notifier.clone())?;
            let Some(Command::SNew(new)) = phone.subscribe(&q).map(|asked| asked.command) else {
                return Err(Failure::error("the device has no such queue"));
            };
            require(asked.key == new.key, || "NSUB has another key than SNEW".to_owned())?;
            lab.answered(no, &q.notifier, SmpAnswer::Subscribed(None));
            lab.subscription_is(who, &mut phone, &q, "ACTIVE")?;
            lab.smp_silent()
        },
    ),
    Case::ntf(
        "ntf-subscriptions.token-state",
        "SNEW needs a token that was verified.",
        &["ntf.subscription.token-state"],
        |lab| {
            let who = lab.client()?;
            let mut phone = lab.device("phone")?;
            lab.register(who, &mut phone)?;
            let q = queue(1, 1)?;
            lab.watch(&mut phone, &q);
            let asked = phone.subscribe(&q);
            lab.tell(who, &mut phone, asked.clone())?.is("ERR AUTH")?;
            lab.deliver(&mut phone)?;
            lab.tell(who, &mut phone, asked.clone())?.is("ERR AUTH")?;
            lab.smp_silent()?;
            let verify = phone.verify();
            lab.tell(who, &mut phone, verify)?.is("OK")?;
            lab.tell(who, &mut phone, asked)?.is("IDSUB")
        },
    ),
    Case::ntf(
        "ntf-subscriptions.invalid-token",
        "An invalid token may still subscribe, and have its subscriptions checked and deleted.",
        &["ntf.subscription.token-state"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 1)?;
            let (a, b) = (queue(1, 1)?, queue(1, 2)?);
            lab.notify(no, &a, 1)?;
            let push = lab.push()?;
            lab.respond(&push, 410, "Unregistered");
            lab.subscribe(who, &mut phone, &b)?;
            lab.subscription_is(who, &mut phone, &a, "ACTIVE")?;
            let asked = phone.unsubscribe(&a);
            lab.tell(who, &mut phone, asked)?.is("OK")
        },
    ),
    Case::ntf(
        "ntf-subscriptions.again",
        "SNEW once more gives the same id; with another key or of another token it is refused.",
        &["ntf.subscription.again"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, _) = lab.subscribed(who, 1)?;
            let q = queue(1, 1)?;
            let asked = phone.subscribe(&q);
            let first = phone.check_subscription(&q).map(|asked| asked.entity);
            let again = lab.tell(who, &mut phone, asked.clone())?;
            again.is("IDSUB")?;
            require_eq("the id", id(&again), first)?;
            lab.smp_silent()?;
            let asked = asked.ok_or_else(|| Failure::error("no SNEW"))?;
            let Command::SNew(mut new) = asked.command.clone() else { return Err(Failure::error("no SNEW")) };
            new.key = lab.key(KeyType::Ed25519);
            lab.ask(who, &asked.entity, &Command::SNew(new), Some(&asked.key))?.is("ERR AUTH")?;
            let mut other = active(lab, who, "other")?;
            lab.watch(&mut other, &q);
            let asked = other.subscribe(&q);
            lab.tell(who, &mut other, asked)?.is("ERR AUTH")?;
            lab.subscription_is(who, &mut phone, &q, "ACTIVE")
        },
    ),
    Case::ntf(
        "ntf-subscriptions.strangers",
        "Only the token's key makes, checks and deletes its subscriptions.",
        &["ntf.subscription.new", "ntf.session.authorization"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, _) = lab.subscribed(who, 1)?;
            let q = queue(1, 1)?;
            let key = lab.key(KeyType::Ed25519);
            let other = queue(1, 2)?;
            lab.watch(&mut phone, &other);
            for asked in [phone.subscribe(&other), phone.check_subscription(&q), phone.unsubscribe(&q)] {
                let asked = asked.ok_or_else(|| Failure::error("no subscription"))?;
                lab.ask(who, &asked.entity, &asked.command, Some(&key))?.is("ERR AUTH")?;
            }
            lab.subscription_is(who, &mut phone, &q, "ACTIVE")
        },
    ),
    Case::ntf(
        "ntf-subscriptions.same-notifier-elsewhere",
        "The same notifier id at another SMP router is another queue.",
        &["ntf.subscription.new", "ntf.subscription.states"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 1)?;
            let other = queue(2, 1)?;
            lab.subscribe(who, &mut phone, &other)?;
            lab.serve()?;
            lab.told(no, SmpTold::Lost);
            lab.subscription_is(who, &mut phone, &queue(1, 1)?, "INACTIVE")?;
            lab.subscription_is(who, &mut phone, &other, "ACTIVE")
        },
    ),
    Case::ntf(
        "ntf-subscriptions.delete",
        "SDEL removes a subscription: nothing is pushed for it, and it is not subscribed to again.",
        &["ntf.subscription.delete"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 2)?;
            let (a, b) = (queue(1, 1)?, queue(1, 2)?);
            lab.notify(no, &a, 1)?;
            lab.deliver(&mut phone)?;
            let again = [phone.check_subscription(&a), phone.unsubscribe(&a)];
            let asked = phone.unsubscribe(&a);
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            for asked in again.into_iter().flatten() {
                lab.ask(who, &asked.entity, &asked.command, Some(&asked.key))?.is("ERR AUTH")?;
            }
            lab.notify(no, &a, 2)?;
            lab.no_push()?;
            // Nor does what came before go with another push.
            lab.notify(no, &b, 3)?;
            require_eq("the messages", messages(lab.deliver(&mut phone)?)?, vec![(2, 3)])?;
            lab.told(no, SmpTold::Lost);
            lab.smp_connects()?;
            require_eq("the number of queues subscribed to", lab.nsubs()?.len(), 1)
        },
    ),
    Case::ntf(
        "ntf-subscriptions.refused",
        "What the SMP router refuses is said: AUTH, SERVICE, or ERR with the error. It is not asked for again.",
        &["ntf.subscription.states", "ntf.subscription.check", "ntf.subscription.renewed"],
        |lab| {
            let who = lab.client()?;
            let mut phone = active(lab, who, "phone")?;
            for (number, (answer, expected)) in (1..).zip([
                (SmpAnswer::Refused(SmpError::Auth), "AUTH"),
                (SmpAnswer::Refused(SmpError::Service), "SERVICE"),
                (SmpAnswer::Refused(SmpError::Quota), "ERR SMP error QUOTA"),
            ]) {
                let q = queue(number, 1)?;
                lab.subscribe(who, &mut phone, &q)?;
                let no = lab.smp_connects()?;
                lab.nsubs()?;
                lab.answered(no, &q.notifier, answer);
                lab.subscription_is(who, &mut phone, &q, expected)?;
                lab.told(no, SmpTold::Lost);
                lab.pass(60 * SECOND);
                lab.smp_silent()?;
                lab.subscription_is(who, &mut phone, &q, expected)?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-subscriptions.ended",
        "END and DELD of the SMP router are states, and what ended is not subscribed to again.",
        &["ntf.subscription.states", "ntf.subscription.renewed"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 3)?;
            lab.told(no, SmpTold::End(queue(1, 1)?.notifier));
            lab.told(no, SmpTold::Deld(queue(1, 2)?.notifier));
            lab.subscription_is(who, &mut phone, &queue(1, 1)?, "END")?;
            lab.subscription_is(who, &mut phone, &queue(1, 2)?, "DELETED")?;
            lab.told(no, SmpTold::Lost);
            lab.smp_connects()?;
            let notifiers: Vec<_> = lab.nsubs()?.into_iter().map(|queue| queue.notifier).collect();
            require_eq("the queues subscribed to", notifiers, vec![queue(1, 3)?.notifier])?;
            lab.restart(|_| {})?;
            lab.smp_connects()?;
            require_eq("the number of queues subscribed to", lab.nsubs()?.len(), 1)
        },
    ),
    Case::ntf(
        "ntf-subscriptions.lost",
        "A lost connection makes active subscriptions inactive, and the next one makes them active again.",
        &["ntf.subscription.states", "ntf.subscription.renewed"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 3)?;
            lab.told(no, SmpTold::Lost);
            for number in 1..=3 {
                lab.subscription_is(who, &mut phone, &queue(1, number)?, "INACTIVE")?;
            }
            lab.serve()?;
            for number in 1..=3 {
                lab.subscription_is(who, &mut phone, &queue(1, number)?, "ACTIVE")?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-subscriptions.dead-router",
        "An SMP router that can't be reached is tried again and again; the subscription stays NEW.",
        &["ntf.subscription.renewed", "ntf.subscription.states"],
        |lab| {
            let who = lab.client()?;
            let mut phone = active(lab, who, "phone")?;
            let q = queue(1, 1)?;
            lab.subscribe(who, &mut phone, &q)?;
            for _ in 0..5 {
                let (no, asked) = lab.smp_asked()?;
                require(matches!(asked, SmpAsk::Connect { .. }), || "no connection is tried".to_owned())?;
                lab.told(no, SmpTold::Lost);
                lab.subscription_is(who, &mut phone, &q, "NEW")?;
                lab.pass(60 * SECOND);
            }
            lab.serve()?;
            lab.subscription_is(who, &mut phone, &q, "ACTIVE")
        },
    ),
    Case::ntf(
        "ntf-subscriptions.restart",
        "After a restart subscriptions are PENDING until they are subscribed to again.",
        &["ntf.subscription.renewed", "ntf.subscription.states"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, _) = lab.subscribed(who, 3)?;
            lab.restart(|_| {})?;
            let who = lab.client()?;
            let no = lab.smp_connects()?;
            for number in 1..=3 {
                lab.subscription_is(who, &mut phone, &queue(1, number)?, "PENDING")?;
            }
            let queues = lab.nsubs()?;
            require_eq("the number of queues subscribed to", queues.len(), 3)?;
            for queue in queues {
                lab.answered(no, &queue.notifier, SmpAnswer::Subscribed(None));
            }
            for number in 1..=3 {
                lab.subscription_is(who, &mut phone, &queue(1, number)?, "ACTIVE")?;
            }
            lab.notify(no, &queue(1, 2)?, 5)?;
            require_eq("the messages", messages(lab.deliver(&mut phone)?)?, vec![(2, 5)])
        },
    ),
    Case::ntf(
        "ntf-subscriptions.batches",
        "On start 900 queues are asked for at once, and the others when these are answered.",
        &["ntf.subscription.batches", "ntf.subscription.renewed"],
        |lab| {
            let who = lab.client()?;
            let mut phone = active(lab, who, "phone")?;
            for number in 0..=START_BATCH {
                let mut q = queue(1, 0)?;
                let mut notifier = [0; 24];
                let bytes = u64::try_from(number).unwrap_or_default().to_be_bytes();
                notifier.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
                q.notifier = notifier.into();
                lab.subscribe(who, &mut phone, &q)?;
            }
            lab.restart(|_| {})?;
            let no = lab.smp_connects()?;
            let first = lab.nsubs()?;
            require_eq("the number of queues asked for first", first.len(), START_BATCH)?;
            for queue in first {
                lab.smp_silent()?;
                lab.answered(no, &queue.notifier, SmpAnswer::Subscribed(None));
            }
            require_eq("the number of queues asked for then", lab.nsubs()?.len(), 1)
        },
    )
    .versions(3, 3),
    Case::ntf(
        "ntf-subscriptions.service",
        "The router presents itself as a service only if its operator wants it.",
        &["ntf.subscription.service"],
        |lab| {
            for service in [false, true] {
                lab.restart(|config| config.service = service)?;
                let who = lab.client()?;
                let mut phone = active(lab, who, "phone")?;
                lab.subscribe(who, &mut phone, &queue(1, u8::from(service))?)?;
                let (_, asked) = lab.smp_asked()?;
                let as_service = matches!(asked, SmpAsk::Connect { as_service: true, .. });
                require_eq("whether the router presents itself as a service", as_service, service)?;
                remove(lab, who, &mut phone)?;
            }
            Ok(())
        },
    ),
];

fn remove(lab: &mut crate::ntf::NtfLab, who: crate::ntf::Who, phone: &mut Device) -> Result<(), Failure> {
    let asked = phone.delete();
    lab.tell(who, phone, asked)?.is("OK")
}

/// The id in IDSUB.
fn id(answer: &Answer) -> Option<EntityId> {
    match &answer.response {
        Response::IdSub(id) => Some(id.clone()),
        _ => None,
    }
}
