//! Short links: LSET, LDEL, LKEY and LGET.

use sxlab_protocol::crypto::keys::AuthSecretKey;
use sxlab_protocol::smp::command::{Command, LinkData};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{EntityId, LinkId};

use super::forms::{contact, contact_link, link_data, linked, messaging_link};
use crate::case::{Case, Outcome};
use crate::lab::{Answer, Failure, Lab, Request, TestQueue, Who, require_eq};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "links.lget",
        "LGET on a contact queue's link gives the sender id and the data, as often as asked, to whoever asks.",
        &["smp.link.lget", "smp.recipient.link-id"],
        |lab| {
            let [owner, other] = lab.clients()?;
            let own = lab.link_id(0x70);
            let (queue, link) = linked(lab, owner, |sender| contact_link(sender, &own))?;
            for who in [owner, other, other] {
                leads_to(&lget(lab, who, &link)?, &queue, &link_data())?;
            }
            lab.recipient(owner, &queue, Command::Off)?.ok()?;
            leads_to(&lget(lab, other, &link)?, &queue, &link_data())
        },
    )
    .versions(15, 20),
    Case::new(
        "links.lget-signed",
        "LGET takes no authorization and needs the link as its entity.",
        &["smp.link.lget", "smp.authorization.link-entity"],
        |lab| {
            let who = lab.client()?;
            let own = lab.link_id(0x70);
            let (queue, link) = linked(lab, who, |sender| contact_link(sender, &own))?;
            lab.ask(who, Request::from(Command::LGet).of(&link).by(&queue.key))?.is("ERR CMD HAS_AUTH")?;
            lab.ask(who, Command::LGet)?.is("ERR CMD NO_ENTITY")
        },
    )
    .versions(15, 20),
    Case::new(
        "links.lget-messaging",
        "LGET on a messaging queue's link is AUTH: the link is for the one who secures the queue.",
        &["smp.link.lget-messaging"],
        |lab| {
            let who = lab.client()?;
            let (_, link) = linked(lab, who, messaging_link)?;
            lget(lab, who, &link)?.is("ERR AUTH")
        },
    )
    .versions(15, 20),
    Case::new(
        "links.entity",
        "LGET and LKEY for a recipient or sender id are AUTH.",
        &["smp.link.entity"],
        |lab| {
            let who = lab.client()?;
            let own = lab.link_id(0x70);
            let (contact, _) = linked(lab, who, |sender| contact_link(sender, &own))?;
            let (messaging, _) = linked(lab, who, messaging_link)?;
            for id in [&contact.recipient, &contact.sender] {
                lget(lab, who, id)?.is("ERR AUTH")?;
            }
            let key = lab.sender_key();
            for id in [&messaging.recipient, &messaging.sender] {
                lkey(lab, who, id, &key)?.is("ERR AUTH")?;
            }
            Ok(())
        },
    )
    .versions(15, 20),
    Case::new(
        "links.lkey",
        "LKEY on a messaging queue's link secures the queue and gives the sender id and the data; again with the same key.",
        &["smp.link.lkey", "smp.link.lkey-again"],
        |lab| {
            let who = lab.client()?;
            let (queue, link) = linked(lab, who, messaging_link)?;
            let (key, other) = (lab.sender_key(), lab.sender_key());
            leads_to(&lkey(lab, who, &link, &key)?, &queue, &link_data())?;
            leads_to(&lkey(lab, who, &link, &key)?, &queue, &link_data())?;
            lkey(lab, who, &link, &other)?.is("ERR AUTH")?;
            lab.send(who, &queue, "unsigned")?.is("ERR AUTH")?;
            lab.send_by(who, &queue, "signed", &other)?.is("ERR AUTH")?;
            lab.send_by(who, &queue, "signed", &key)?.ok()
        },
    )
    .versions(15, 20),
    Case::new(
        "links.lkey-own-key",
        "LKEY is authorized by the key that it carries: unsigned it is NO_AUTH, by another key AUTH.",
        &["smp.link.lkey-own-key"],
        |lab| {
            let who = lab.client()?;
            let (queue, link) = linked(lab, who, messaging_link)?;
            let (key, other) = (lab.sender_key(), lab.sender_key());
            let command = Command::LKey(key.public());
            lab.ask(who, Request::from(command.clone()).of(&link))?.is("ERR CMD NO_AUTH")?;
            lab.ask(who, Request::from(command).of(&link).by(&other))?.is("ERR AUTH")?;
            // It is not secured.
            lab.send(who, &queue, "hello")?.ok()
        },
    )
    .versions(15, 20),
    Case::new(
        "links.lkey-contact",
        "LKEY on a contact queue's link is AUTH.",
        &["smp.link.lkey-contact"],
        |lab| {
            let who = lab.client()?;
            let own = lab.link_id(0x70);
            let (_, link) = linked(lab, who, |sender| contact_link(sender, &own))?;
            let key = lab.sender_key();
            lkey(lab, who, &link, &key)?.is("ERR AUTH")
        },
    )
    .versions(15, 20),
    Case::new(
        "links.lset",
        "LSET gives a queue a link, and may change the second part of its data again and again.",
        &["smp.link.lset", "smp.link.no-size-check"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue_of(who, &contact())?;
            let link = lab.link_id(0x70);
            for user in [vec![7; 20], vec![8; 13_000], Vec::new()] {
                let data = LinkData { fixed: vec![1; 3_000], user };
                lset(lab, who, &queue, &link, &data)?.ok()?;
                let entity = super::forms::entity(&link)?;
                leads_to(&lget(lab, who, &entity)?, &queue, &data)?;
            }
            Ok(())
        },
    )
    .versions(15, 20),
    Case::new(
        "links.lset-refused",
        "LSET with another link id, other fixed data or another queue's link is AUTH, and changes nothing.",
        &["smp.link.lset-refused"],
        |lab| {
            let who = lab.client()?;
            let own = lab.link_id(0x70);
            let (queue, link) = linked(lab, who, |sender| contact_link(sender, &own))?;
            let other = lab.queue_of(who, &contact())?;
            let changed = LinkData { fixed: vec![9; 40], ..link_data() };
            let another = lab.link_id(0x71);
            lset(lab, who, &queue, &another, &link_data())?.is("ERR AUTH")?;
            lset(lab, who, &queue, &own, &changed)?.is("ERR AUTH")?;
            lset(lab, who, &other, &own, &link_data())?.is("ERR AUTH")?;
            leads_to(&lget(lab, who, &link)?, &queue, &link_data())
        },
    )
    .versions(15, 20),
    Case::new(
        "links.lset-secured",
        "LSET is AUTH for a secured messaging queue, and goes on for a secured contact queue.",
        &["smp.link.lset-refused", "smp.link.lset-secured-contact"],
        |lab| {
            let who = lab.client()?;
            let messaging = lab.idle_queue(who)?;
            lab.secure(who, &messaging)?;
            let own = lab.link_id(0x70);
            lset(lab, who, &messaging, &own, &link_data())?.is("ERR AUTH")?;
            let own = lab.link_id(0x70);
            let (contact, link) = linked(lab, who, |sender| contact_link(sender, &own))?;
            lab.secure(who, &contact)?;
            let data = LinkData { user: vec![5; 10], ..link_data() };
            lset(lab, who, &contact, &own, &data)?.ok()?;
            leads_to(&lget(lab, who, &link)?, &contact, &data)
        },
    )
    .versions(15, 20),
    Case::new(
        "links.lset-late",
        "LSET gives a messaging queue that was made without a link one of the client's choice, which then works with LKEY.",
        &["smp.link.lset-late"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            let own = lab.link_id(0x70);
            lset(lab, who, &queue, &own, &link_data())?.ok()?;
            let key = lab.sender_key();
            let link = super::forms::entity(&own)?;
            leads_to(&lkey(lab, who, &link, &key)?, &queue, &link_data())
        },
    )
    .versions(15, 20),
    Case::new(
        "links.ldel",
        "LDEL removes the link and is OK also where there is none; then LGET is AUTH.",
        &["smp.link.ldel"],
        |lab| {
            let who = lab.client()?;
            let own = lab.link_id(0x70);
            let (queue, link) = linked(lab, who, |sender| contact_link(sender, &own))?;
            lab.recipient(who, &queue, Command::LDel)?.ok()?;
            lget(lab, who, &link)?.is("ERR AUTH")?;
            lab.recipient(who, &queue, Command::LDel)?.ok()?;
            let own = lab.link_id(0x70);
            let (deleted, link) = linked(lab, who, |sender| contact_link(sender, &own))?;
            lab.recipient(who, &deleted, Command::Del)?.ok()?;
            lget(lab, who, &link)?.is("ERR AUTH")
        },
    )
    .versions(15, 20),
    Case::new(
        "links.removed-by-send",
        "The first message to a secured messaging queue removes its link; one to a queue that is not secured does not.",
        &["smp.link.removed-by-send", "smp.link.kept-unsecured"],
        |lab| {
            let who = lab.client()?;
            let (queue, link) = linked(lab, who, messaging_link)?;
            lab.send(who, &queue, "before")?.ok()?;
            let key = lab.sender_key();
            leads_to(&lkey(lab, who, &link, &key)?, &queue, &link_data())?;
            lab.send_by(who, &queue, "after", &key)?.ok()?;
            lkey(lab, who, &link, &key)?.is("ERR AUTH")
        },
    )
    .versions(15, 20),
];

fn lget(lab: &mut Lab<'_>, who: Who, link: &EntityId) -> Result<Answer, Failure> {
    lab.ask(who, Request::from(Command::LGet).of(link))
}

fn lkey(lab: &mut Lab<'_>, who: Who, link: &EntityId, key: &AuthSecretKey) -> Result<Answer, Failure> {
    lab.ask(who, Request::from(Command::LKey(key.public())).of(link).by(key))
}

fn lset(
    lab: &mut Lab<'_>,
    who: Who,
    queue: &TestQueue,
    link: &LinkId,
    data: &LinkData,
) -> Result<Answer, Failure> {
    lab.recipient(who, queue, Command::LSet { link: link.clone(), data: data.clone() })
}

/// Expects LNK with a queue's sender id and this data.
fn leads_to(answer: &Answer, queue: &TestQueue, expected: &LinkData) -> Outcome {
    let Ok(Response::Lnk { sender, data }) = &answer.response else { return Err(answer.unexpected("LNK")) };
    require_eq("the sender id in LNK", sender, &queue.sender)?;
    require_eq("the data in LNK", data, expected)
}
