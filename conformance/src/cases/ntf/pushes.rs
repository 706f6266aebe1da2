//! Pushes: what they carry, to whom, and what follows from the provider's answers.

use sxlab_protocol::ntf::device::{Device, Pushed};
use sxlab_protocol::ntf::router::SmpNo;

use crate::case::Case;
use crate::lab::{Failure, SECOND, require, require_eq};
use crate::ntf::{NtfLab, active, body, messages, open, queue, token};

/// Its cases.
pub(crate) const CASES: &[Case] = &[
    Case::ntf(
        "ntf-pushes.sealed",
        "What is pushed is JSON with a nonce and what only the device opens, always of the same length.",
        &["ntf.push.sealed", "ntf.push.form", "ntf.push.size"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 2)?;
            let mut other = active(lab, who, "other")?;
            let mut lengths = Vec::new();
            let mut nonces = Vec::new();
            for number in 1..=2 {
                lab.notify(no, &queue(1, number)?, number)?;
                let push = lab.push()?;
                let text = body(&push)?.to_owned();
                lab.respond(&push, 200, "");
                let json: serde_json::Value = serde_json::from_str(&text)
                    .map_err(|error| Failure::wrong(format!("the push: {error}")))?;
                let data = json.get("notificationData");
                let field = |name: &str| {
                    let value = data.and_then(|data| data.get(name)).and_then(serde_json::Value::as_str);
                    value.map(str::to_owned).ok_or_else(|| Failure::wrong(format!("the push has no {name}")))
                };
                let (nonce, message) = (field("nonce")?, field("message")?);
                // base64url of the tag and 3,072 bytes.
                require_eq("the length of what is encrypted", message.len(), 4120)?;
                require(!text.contains("smp1.test"), || "the push names the SMP router".to_owned())?;
                require(other.pushed(text.as_bytes()).is_err(), || {
                    "another device reads the push".to_owned()
                })?;
                lengths.push(text.len());
                nonces.push(nonce);
                open(&mut phone, &push)?;
            }
            require_eq("the lengths of two pushes", lengths.first(), lengths.last())?;
            require(nonces.first() != nonces.last(), || "two pushes have the same nonce".to_owned())
        },
    ),
    Case::ntf(
        "ntf-pushes.verification-form",
        "A code is pushed without anything that is shown, and encrypted.",
        &["ntf.push.form", "ntf.push.sealed", "ntf.token.code"],
        |lab| {
            let who = lab.client()?;
            let mut phone = lab.device("phone")?;
            lab.register(who, &mut phone)?;
            let push = lab.push()?;
            require(push.background, || "a code is pushed as something to show".to_owned())?;
            require_eq("the device", push.device.clone(), token("phone")?)?;
            let text = body(&push)?;
            require(text.contains("\"verification\""), || "the push has no verification".to_owned())?;
            require(!text.contains("\"alert\""), || "the push is one to show".to_owned())?;
            let mut other = active_after(lab, who, &push)?;
            require(other.pushed(body(&push)?.as_bytes()).is_err(), || {
                "another device reads the code".to_owned()
            })
        },
    ),
    Case::ntf(
        "ntf-pushes.each",
        "Each notification is pushed at once, with all so far; the oldest comes first.",
        &["ntf.push.list"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 3)?;
            let mut expected = Vec::new();
            for number in 1..=3 {
                lab.pass(SECOND);
                lab.notify(no, &queue(1, number)?, number)?;
                expected.push((number, number));
                require_eq("the messages", messages(lab.deliver(&mut phone)?)?, expected.clone())?;
                lab.no_push()?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-pushes.six",
        "Six queues' notifications go with a push; with a seventh the oldest falls out.",
        &["ntf.push.list"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 8)?;
            for number in 1..=8 {
                pushed_after(lab, &mut phone, no, number, number)?;
            }
            let list = pushed_after(lab, &mut phone, no, 8, 9)?;
            require_eq("the messages", list, vec![(3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 9)])?;
            // What fell out is not remembered.
            let list = pushed_after(lab, &mut phone, no, 1, 10)?;
            require_eq("the messages", list, vec![(4, 4), (5, 5), (6, 6), (7, 7), (8, 9), (1, 10)])
        },
    ),
    Case::ntf(
        "ntf-pushes.overwritten",
        "A queue's later notification takes the place of its earlier one, and goes to the end.",
        &["ntf.push.overwritten", "ntf.push.list"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 2)?;
            pushed_after(lab, &mut phone, no, 1, 1)?;
            let list = pushed_after(lab, &mut phone, no, 2, 2)?;
            require_eq("the messages", list, vec![(1, 1), (2, 2)])?;
            let list = pushed_after(lab, &mut phone, no, 1, 3)?;
            require_eq("the messages", list, vec![(2, 2), (1, 3)])
        },
    ),
    Case::ntf(
        "ntf-pushes.times",
        "A notification has the time at which the router learnt of it.",
        &["ntf.push.list"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 2)?;
            let mut times = Vec::new();
            for number in 1..=2 {
                lab.notify(no, &queue(1, number)?, number)?;
                let Pushed::Messages(list) = lab.deliver(&mut phone)? else {
                    return Err(Failure::wrong("no messages are pushed"));
                };
                times = list.iter().map(|notice| notice.time).collect();
                lab.pass(90 * SECOND);
            }
            let between = times.first().zip(times.last()).map(|(first, last)| last.saturating_sub(*first));
            require_eq("the seconds between two notifications", between, Some(90))
        },
    ),
    Case::ntf(
        "ntf-pushes.active-only",
        "Messages are pushed to active tokens only, and what came in between is not kept.",
        &["ntf.push.active-only"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 1)?;
            let q = queue(1, 1)?;
            let asked = phone.replace(token("new")?);
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            lab.notify(no, &q, 1)?;
            lab.deliver(&mut phone)?;
            lab.no_push()?;
            lab.notify(no, &q, 2)?;
            lab.no_push()?;
            let asked = phone.verify();
            lab.tell(who, &mut phone, asked)?.is("OK")?;
            lab.no_push()?;
            require_eq("the messages", pushed_after(lab, &mut phone, no, 1, 3)?, vec![(1, 3)])?;
            lab.notify(no, &q, 4)?;
            let push = lab.push()?;
            lab.respond(&push, 410, "Unregistered");
            lab.notify(no, &q, 5)?;
            lab.no_push()
        },
    ),
    Case::ntf(
        "ntf-pushes.refused",
        "Refusals that are not about the token are not tried again, and its state stays.",
        &["ntf.push.retried"],
        |lab| {
            let who = lab.client()?;
            for (number, (status, reason)) in [
                (400, "TopicDisallowed"),
                (400, "PayloadEmpty"),
                (403, "InvalidProviderToken"),
                (403, "ExpiredProviderToken"),
                (413, "PayloadTooLarge"),
                (429, "TooManyRequests"),
                (500, "InternalServerError"),
            ]
            .into_iter()
            .enumerate()
            {
                let mut phone = lab.device(&format!("phone {number}"))?;
                lab.register(who, &mut phone)?;
                let push = lab.push()?;
                lab.respond(&push, status, reason);
                lab.no_push().map_err(|failure| failure.during(reason))?;
                lab.token_is(who, &mut phone, "REGISTERED").map_err(|failure| failure.during(reason))?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-pushes.retried",
        "After 503, 410 with another reason, or no answer a push is tried once more, and no third time.",
        &["ntf.push.retried"],
        |lab| {
            let who = lab.client()?;
            for (number, answer) in
                [Some((503, "ServiceUnavailable")), Some((410, "Other")), None].into_iter().enumerate()
            {
                let mut phone = lab.device(&format!("phone {number}"))?;
                lab.register(who, &mut phone)?;
                let first = lab.push()?;
                let fail = |lab: &mut NtfLab, push: &_| match answer {
                    Some((status, reason)) => lab.respond(push, status, reason),
                    None => lab.unreachable(push),
                };
                fail(lab, &first);
                let second = lab.push()?;
                require_eq("the device of the second attempt", second.device.clone(), first.device.clone())?;
                fail(lab, &second);
                lab.no_push()?;
                lab.token_is(who, &mut phone, "REGISTERED")?;
                // Once more from the device: the second attempt is taken.
                lab.register(who, &mut phone)?;
                let first = lab.push()?;
                fail(lab, &first);
                lab.deliver(&mut phone)?;
                lab.token_is(who, &mut phone, "CONFIRMED")?;
            }
            Ok(())
        },
    ),
    Case::ntf(
        "ntf-pushes.invalid-while-active",
        "A message that the provider refuses for its token makes the active token invalid.",
        &["ntf.push.refused"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 1)?;
            lab.notify(no, &queue(1, 1)?, 1)?;
            let push = lab.push()?;
            lab.respond(&push, 410, "ExpiredToken");
            let expected = if lab.version() >= 3 { "INVALID,EXPIRED" } else { "INVALID" };
            lab.token_is(who, &mut phone, expected)
        },
    ),
    Case::ntf(
        "ntf-pushes.kept",
        "What goes with further pushes survives a restart.",
        &["ntf.push.list"],
        |lab| {
            let who = lab.client()?;
            let (mut phone, no) = lab.subscribed(who, 2)?;
            pushed_after(lab, &mut phone, no, 1, 1)?;
            lab.restart(|_| {})?;
            let no = lab.serve()?;
            require_eq("the messages", pushed_after(lab, &mut phone, no, 2, 2)?, vec![(1, 1), (2, 2)])
        },
    ),
];

/// A message of a queue, and what is then pushed.
fn pushed_after(
    lab: &mut NtfLab,
    phone: &mut Device,
    no: SmpNo,
    number: u8,
    message: u8,
) -> Result<Vec<(u8, u8)>, Failure> {
    lab.pass(SECOND);
    lab.notify(no, &queue(1, number)?, message)?;
    messages(lab.deliver(phone)?)
}

/// Another device that is active; the first one's push is taken.
fn active_after(
    lab: &mut NtfLab,
    who: crate::ntf::Who,
    push: &sxlab_protocol::ntf::router::PushRequest,
) -> Result<Device, Failure> {
    lab.respond(push, 200, "");
    active(lab, who, "other")
}
