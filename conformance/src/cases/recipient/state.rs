//! QUE and INFO.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::MsgId;

use crate::case::{Case, Outcome};
use crate::cases::forms::notifier;
use crate::lab::{Failure, Lab, SECOND, TestQueue, Who, require, require_eq};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "recipient.que",
        "INFO tells whether the queue is secured and has a notifier, and how many messages wait.",
        &["smp.recipient.que"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            let secured = |info: &Value| (info.get("qiSnd").cloned(), info.get("qiNtf").cloned());
            let is = |value: bool| Some(Value::Bool(value));
            require_eq("secured and notifier", secured(&info(lab, who, &queue)?), (is(false), is(false)))?;
            for number in 1..=3 {
                lab.send(who, &queue, "waiting")?.ok()?;
                let info = info(lab, who, &queue)?;
                require_eq("the number of messages", info.get("qiSize"), Some(&json!(number)))?;
            }
            lab.secure(who, &queue)?;
            require_eq("secured and notifier", secured(&info(lab, who, &queue)?), (is(true), is(false)))?;
            notifier(lab, who, &queue)?;
            require_eq("secured and notifier", secured(&info(lab, who, &queue)?), (is(true), is(true)))?;
            lab.recipient(who, &queue, Command::NDel)?.ok()?;
            require_eq("secured and notifier", secured(&info(lab, who, &queue)?), (is(true), is(false)))
        },
    ),
    Case::new(
        "recipient.que-empty",
        "Of a queue without messages and subscription INFO has three fields.",
        &["smp.recipient.que-fields"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            let expected = json!({ "qiSnd": false, "qiNtf": false, "qiSize": 0 });
            require_eq("INFO", info(lab, who, &queue)?, expected)
        },
    ),
    Case::new(
        "recipient.que-message",
        "INFO names the oldest message by its id in base64, its time in ISO 8601 and its type.",
        &["smp.recipient.que-fields", "smp.recipient.que"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let second = lab.now() / SECOND;
            lab.send(who, &queue, "first")?.ok()?;
            lab.send(who, &queue, "second")?.ok()?;
            let message = lab.message(who, &queue)?;
            let info = info(lab, who, &queue)?;
            let oldest = info.get("qiMsg").ok_or_else(|| Failure::wrong("INFO has no message"))?;
            require_eq("the type", oldest.get("msgType"), Some(&json!("message")))?;
            require_eq("the id", oldest.get("msgId"), Some(&json!(base64(&message.id))))?;
            let time = oldest.get("msgTs").and_then(Value::as_str).unwrap_or_default();
            let said = iso_seconds(time).ok_or_else(|| Failure::Wrong(format!("the time is `{time}`")))?;
            require(said.abs_diff(second) <= 120, || format!("the time is `{time}`, it should be now"))
        },
    ),
    Case::new(
        "recipient.que-quota",
        "The marker of a full queue counts as a message, of type quota.",
        &["smp.recipient.que-fields"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send(who, &queue, "the only one")?.ok()?;
            lab.send(who, &queue, "too many")?.is("ERR QUOTA")?;
            require_eq("the number of messages", info(lab, who, &queue)?.get("qiSize"), Some(&json!(2)))?;
            let message = lab.message(who, &queue)?;
            lab.ack(who, &queue, &message.id)?.is("MSG")?;
            let info = info(lab, who, &queue)?;
            require_eq("the number of messages", info.get("qiSize"), Some(&json!(1)))?;
            let kind = info.get("qiMsg").and_then(|oldest| oldest.get("msgType"));
            require_eq("the type", kind, Some(&json!("quota")))
        },
    )
    .settings(|settings| settings.quota = Some(1)),
    Case::new(
        "recipient.que-subscription",
        "INFO tells of the own subscription, with what is delivered, and not of another session's.",
        &["smp.recipient.que-subscription"],
        subscription,
    ),
];

/// The object in INFO.
fn info(lab: &mut Lab<'_>, who: Who, queue: &TestQueue) -> Result<Value, Failure> {
    let answer = lab.recipient(who, queue, Command::Que)?;
    match answer.response()? {
        Response::Info(text) => {
            serde_json::from_str(text).map_err(|error| Failure::Wrong(format!("INFO `{text}`: {error}")))
        }
        _ => Err(answer.unexpected("INFO")),
    }
}

fn base64(id: &MsgId) -> String {
    STANDARD.encode(id.as_bytes())
}

/// Seconds since 1970 of a time such as `2026-11-21T09:52:33.5Z`.
fn iso_seconds(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(str::parse::<u64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.splitn(3, ':');
    let (hour, minute): (u64, u64) = (time.next()?.parse().ok()?, time.next()?.parse().ok()?);
    let second: u64 = time.next()?.split('.').next()?.parse().ok()?;
    // Days of years that begin with March: leap days come last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day.checked_sub(1)?;
    Some(days.checked_sub(719_468)? * 86_400 + hour * 3600 + minute * 60 + second)
}

fn subscription(lab: &mut Lab<'_>) -> Outcome {
    let [who, other] = lab.clients()?;
    let queue = lab.queue(who)?;
    let of = |lab: &mut Lab<'_>, who| Ok(info(lab, who, &queue)?.get("qiSub").cloned());
    require_eq("a subscription", of(lab, who)?, Some(json!({ "qSubThread": "noSub" })))?;
    require_eq("no subscription", of(lab, other)?, None)?;
    lab.send(who, &queue, "hello")?.ok()?;
    let message = lab.message(who, &queue)?;
    let id = base64(&message.id);
    let delivered = json!({ "qSubThread": "noSub", "qDelivered": id });
    require_eq("a subscription with a message", of(lab, who)?, Some(delivered))?;
    lab.recipient(other, &queue, Command::Get)?.is("MSG")?;
    let fetched = json!({ "qSubThread": "prohibitSub", "qDelivered": id });
    require_eq("a session that asked by GET", of(lab, other)?, Some(fetched))?;
    lab.ack(who, &queue, &message.id)?.ok()?;
    require_eq("a subscription", of(lab, who)?, Some(json!({ "qSubThread": "noSub" })))
}
