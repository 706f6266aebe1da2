//! Messages that wait for too long.

use crate::case::Case;
use crate::lab::SECOND;

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "sender.expiry",
        "A message that waited longer than its time is dropped without being delivered.",
        &["smp.sender.expiry"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "old")?.ok()?;
            lab.wait(6 * SECOND + SECOND / 2);
            lab.subscribe(who, &queue)?;
            lab.silence(who)?;
            lab.send(who, &queue, "new")?.ok()?;
            lab.receive(who, &queue, "new").map(|_| ())
        },
    )
    .settings(|settings| {
        settings.message_ttl = Some(2 * SECOND);
        settings.expiry_interval = Some(2 * SECOND);
    }),
    Case::new(
        "sender.expiry-not-before",
        "A message that did not wait longer than its time is delivered, however often expired ones are looked for.",
        &["smp.sender.expiry"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "kept")?.ok()?;
            lab.wait(3 * SECOND);
            lab.subscribe(who, &queue)?;
            lab.receive(who, &queue, "kept").map(|_| ())
        },
    )
    .settings(|settings| {
        settings.message_ttl = Some(3600 * SECOND);
        settings.expiry_interval = Some(SECOND);
    }),
    Case::new(
        "sender.expiry-on-send",
        "A router that is set to do so drops expired messages of a queue before it stores another.",
        &["smp.sender.expiry-on-send"],
        |lab| {
            let who = lab.client()?;
            let (queue, other) = (lab.idle_queue(who)?, lab.idle_queue(who)?);
            lab.send(who, &queue, "old")?.ok()?;
            lab.send(who, &other, "of another queue")?.ok()?;
            lab.wait(2 * SECOND + SECOND / 2);
            lab.send(who, &queue, "new")?.ok()?;
            lab.subscribe(who, &queue)?;
            lab.receive(who, &queue, "new")?;
            lab.subscribe(who, &other)?;
            lab.receive(who, &other, "of another queue").map(|_| ())
        },
    )
    .settings(|settings| {
        settings.message_ttl = Some(SECOND);
        settings.expire_on_send = Some(true);
    }),
    Case::new(
        "sender.no-expiry-on-send",
        "A router that is not set to do so leaves expired messages to the next look at all queues.",
        &["smp.sender.expiry-on-send"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "old")?.ok()?;
            lab.wait(2 * SECOND + SECOND / 2);
            lab.send(who, &queue, "new")?.ok()?;
            lab.subscribe(who, &queue)?;
            lab.message(who, &queue)?.is("old")
        },
    )
    .settings(|settings| {
        settings.message_ttl = Some(SECOND);
        settings.expire_on_send = Some(false);
    }),
    Case::new(
        "sender.expiry-delivered",
        "A message that expires after its delivery is dropped; its ACK is answered by the next message.",
        &["smp.sender.expiry-delivered"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send(who, &queue, "old")?.ok()?;
            let old = lab.message(who, &queue)?;
            lab.wait(2 * SECOND + SECOND / 2);
            lab.send(who, &queue, "new")?.ok()?;
            lab.silence_for(who, SECOND / 2)?;
            let answer = lab.ack(who, &queue, &old.id)?;
            let new = lab.opened(&queue, answer)?;
            new.is("new")?;
            lab.ack(who, &queue, &old.id)?.is("ERR NO_MSG")?;
            lab.ack(who, &queue, &new.id)?.ok()
        },
    )
    .settings(|settings| {
        settings.message_ttl = Some(SECOND);
        settings.expire_on_send = Some(true);
    }),
    Case::new(
        "sender.expiry-delivered-last",
        "When nothing follows, ACK of a message that expired after its delivery is OK.",
        &["smp.sender.expiry-delivered"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send(who, &queue, "old")?.ok()?;
            let old = lab.message(who, &queue)?;
            lab.wait(5 * SECOND);
            lab.ack(who, &queue, &old.id)?.ok()?;
            lab.ack(who, &queue, &old.id)?.is("ERR NO_MSG")
        },
    )
    .settings(|settings| {
        settings.message_ttl = Some(SECOND);
        settings.expiry_interval = Some(SECOND);
    }),
    Case::new(
        "sender.expiry-marker",
        "The marker of a full queue stays when the messages before it expire.",
        &["smp.sender.expiry-marker"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "old")?.ok()?;
            lab.send(who, &queue, "too many")?.is("ERR QUOTA")?;
            lab.wait(5 * SECOND);
            lab.subscribe(who, &queue)?;
            let marker = lab.message(who, &queue)?;
            marker.is("quota marker")?;
            lab.send(who, &queue, "not yet")?.is("ERR QUOTA")?;
            lab.ack(who, &queue, &marker.id)?.ok()?;
            lab.send(who, &queue, "again")?.ok()
        },
    )
    .settings(|settings| {
        settings.quota = Some(1);
        settings.message_ttl = Some(SECOND);
        settings.expiry_interval = Some(SECOND);
    }),
];
