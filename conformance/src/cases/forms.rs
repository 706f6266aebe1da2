//! Queues and expectations that several areas use.

use sxlab_protocol::crypto::hash::sender_id_from_corr;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::smp::command::{
    Command, ContactLink, LinkData, MessagingLink, NotifierKeys, QueueRequest,
};
use sxlab_protocol::wire::{EntityId, LinkId};

use crate::case::Outcome;
use crate::lab::{Answer, Failure, Lab, QueueForm, Request, TestQueue, Who};

/// A queue of a session at one of its layouts, with its kind.
pub(super) fn form(queue: QueueRequest) -> QueueForm {
    QueueForm { queue, ..QueueForm::default() }
}

/// A contact queue, from version 9 on.
pub(super) fn contact() -> QueueForm {
    form(QueueRequest::Contact(None))
}

/// A queue with this type of recipient's key.
pub(super) fn keyed(key: KeyType) -> QueueForm {
    QueueForm { key, ..QueueForm::default() }
}

/// An id that no queue has.
pub(super) fn absent() -> EntityId {
    EntityId::from([0xab; 24])
}

/// The types of keys at the version: authenticators need the router's session key.
pub(super) fn key_types(lab: &Lab<'_>) -> &'static [KeyType] {
    if lab.layout().handshake_key {
        &[KeyType::Ed25519, KeyType::X25519, KeyType::Ed448]
    } else {
        &[KeyType::Ed25519, KeyType::Ed448]
    }
}

/// A link's data.
pub(super) fn link_data() -> LinkData {
    LinkData { fixed: vec![1; 40], user: vec![2; 30] }
}

/// The data of a messaging queue's link, under this sender id.
pub(super) fn messaging_link(sender: EntityId) -> QueueRequest {
    QueueRequest::Messaging(Some(MessagingLink { sender, data: link_data() }))
}

/// The data of a contact queue's link.
pub(super) fn contact_link(sender: EntityId, link: &LinkId) -> QueueRequest {
    QueueRequest::Contact(Some(ContactLink { link: link.clone(), sender, data: link_data() }))
}

/// NEW with link data under the sender id that follows from the correlation id, its answer and the queue's keys. Nobody is
/// subscribed.
pub(super) fn ask_linked(
    lab: &mut Lab<'_>,
    who: Who,
    queue: impl FnOnce(EntityId) -> QueueRequest,
) -> Result<(Answer, AuthSecretKey, X25519Secret), Failure> {
    let corr = lab.corr();
    let sender = EntityId::from(sender_id_from_corr(&corr));
    let form = QueueForm { subscribe: false, ..form(queue(sender)) };
    let (key, dh) = (lab.key(form.key), X25519Secret::generate(lab.rng()));
    let request = lab.new_request(&form, &key, &dh).corr(&corr);
    Ok((lab.ask(who, request)?, key, dh))
}

/// A queue with a link, and the link as an entity.
pub(super) fn linked(
    lab: &mut Lab<'_>,
    who: Who,
    queue: impl FnOnce(EntityId) -> QueueRequest,
) -> Result<(TestQueue, EntityId), Failure> {
    let (answer, key, dh) = ask_linked(lab, who, queue)?;
    let queue = lab.made(&answer, &key, &dh)?;
    let link = queue.ids.link.clone().ok_or_else(|| Failure::wrong("IDS has no link id"))?;
    Ok((queue, entity(&link)?))
}

/// A link's id as an entity.
pub(super) fn entity(link: &LinkId) -> Result<EntityId, Failure> {
    EntityId::new(link.as_bytes()).map_err(Failure::error)
}

/// Keys for NKEY, and the notifier's secret one.
pub(super) fn notifier_keys(lab: &mut Lab<'_>) -> (NotifierKeys, AuthSecretKey, X25519Secret) {
    let (key, dh) = (lab.key(KeyType::Ed25519), X25519Secret::generate(lab.rng()));
    (NotifierKeys { auth_key: key.public(), dh_key: dh.public() }, key, dh)
}

/// Enables notifications: the notifier's id and key.
pub(super) fn notifier(
    lab: &mut Lab<'_>,
    who: Who,
    queue: &TestQueue,
) -> Result<(EntityId, AuthSecretKey), Failure> {
    let (keys, key, _) = notifier_keys(lab);
    let id = lab.recipient(who, queue, Command::NKey(keys))?.nid()?.id.clone();
    Ok((id, key))
}

/// Expects an answer to each of these commands, unsigned and about `entity`.
pub(super) fn each_unsigned(
    lab: &mut Lab<'_>,
    who: Who,
    entity: &EntityId,
    commands: &[Command],
    expected: &str,
) -> Outcome {
    for command in commands {
        let request = Request::from(command.clone()).of(entity);
        lab.ask(who, request)?.is(expected)?;
    }
    Ok(())
}

/// Expects an answer to each of these commands, authorized with `key`.
pub(super) fn each_by(
    lab: &mut Lab<'_>,
    who: Who,
    entity: &EntityId,
    key: &AuthSecretKey,
    commands: &[Command],
    expected: &str,
) -> Outcome {
    for command in commands {
        let request = Request::from(command.clone()).of(entity).by(key);
        lab.ask(who, request)?.is(expected)?;
    }
    Ok(())
}
