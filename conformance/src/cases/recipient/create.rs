//! NEW and IDS.

use rand_core::Rng;
use sxlab_protocol::crypto::keys::X25519Secret;
use sxlab_protocol::smp::command::{Command, MsgFlags, QueueRequest};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{EntityId, LinkId, QueueMode};

use crate::case::{Case, Outcome};
use crate::cases::forms::{
    ask_linked, contact, contact_link, form, key_types, link_data, linked, messaging_link, notifier_keys,
};
use crate::lab::{Failure, Lab, QueueForm, Request, require, require_eq};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "recipient.new-layout",
        "NEW is taken in the layout of the version, and in that of no other version.",
        &[
            "smp.recipient.new-layout",
            "smp.versions.v9",
            "smp.versions.v15",
            "smp.versions.v17",
            "smp.encoding.optional-values",
        ],
        new_layout,
    ),
    Case::new(
        "recipient.new-own-key",
        "NEW is done with the key that it carries, and refused with another.",
        &["smp.recipient.new-own-key"],
        |lab| {
            let who = lab.client()?;
            for key_type in key_types(lab) {
                let (key, wrong) = (lab.key(*key_type), lab.key(*key_type));
                let dh = X25519Secret::generate(lab.rng());
                let new = lab.new_request(&QueueForm::default(), &key, &dh);
                lab.ask(who, new.clone().by(&wrong))?.is("ERR AUTH")?;
                lab.ask(who, new)?.is("IDS")?;
            }
            Ok(())
        },
    ),
    Case::new(
        "recipient.new-password",
        "A router with a password makes queues with it, and refuses NEW without it or with another by AUTH.",
        &["smp.recipient.new-password"],
        |lab| {
            let who = lab.client()?;
            for (password, expected) in
                [(None, "ERR AUTH"), (Some("secreT"), "ERR AUTH"), (Some("secret"), "IDS")]
            {
                let form = QueueForm { password: password.map(str::to_owned), ..QueueForm::default() };
                lab.ask_new(who, &form)?.is(expected)?;
            }
            Ok(())
        },
    )
    .settings(|settings| settings.password = Some("secret".to_owned())),
    Case::new(
        "recipient.new-any-password",
        "A router without a password takes any.",
        &["smp.recipient.new-password", "smp.encoding.optional-values"],
        |lab| {
            let who = lab.client()?;
            let form = QueueForm { password: Some("whatever".to_owned()), ..QueueForm::default() };
            lab.ask_new(who, &form)?.is("IDS")
        },
    ),
    Case::new(
        "recipient.new-disabled",
        "A router that makes no queues answers NEW by AUTH.",
        &["smp.recipient.new-disabled"],
        |lab| {
            let who = lab.client()?;
            lab.ask_new(who, &QueueForm::default())?.is("ERR AUTH")?;
            lab.ask(who, Command::Ping)?.is("PONG")
        },
    )
    .settings(|settings| settings.new_queues = Some(false)),
    Case::new(
        "recipient.ids-layout",
        "IDS has both ids, the router's key and what the version adds: the mode, no link, no service, no notifier.",
        &["smp.recipient.ids-layout", "smp.versions.v9", "smp.versions.v15", "smp.versions.v16"],
        ids_layout,
    ),
    Case::new(
        "recipient.id-length",
        "Ids that the router makes have 24 bytes.",
        &["smp.recipient.id-length"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            require_eq("the length of the recipient id", queue.recipient.as_bytes().len(), 24)?;
            require_eq("the length of the sender id", queue.sender.as_bytes().len(), 24)
        },
    ),
    Case::new(
        "recipient.new-subscribes",
        "NEW with mode S subscribes the session that made the queue.",
        &["smp.recipient.new-subscribes"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send(who, &queue, "hello")?.ok()?;
            lab.receive(who, &queue, "hello").map(|_| ())
        },
    ),
    Case::new(
        "recipient.new-without-subscription",
        "NEW with mode C does not subscribe the session that made the queue.",
        &["smp.recipient.new-subscribes"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.idle_queue(who)?;
            lab.send(who, &queue, "hello")?.ok()?;
            lab.silence(who)?;
            lab.subscribe(who, &queue)?;
            lab.receive(who, &queue, "hello").map(|_| ())
        },
    ),
    Case::new(
        "recipient.queue-mode",
        "A messaging queue may be secured by its sender, a contact queue may not.",
        &["smp.recipient.queue-mode", "smp.sender.skey-contact", "smp.versions.v9"],
        |lab| {
            let who = lab.client()?;
            let (messaging, contact) = (lab.queue(who)?, lab.queue_of(who, &contact())?);
            let key = lab.sender_key();
            for (queue, expected) in [(&contact, "ERR AUTH"), (&messaging, "OK")] {
                let skey = Request::from(Command::SKey(key.public())).of(&queue.sender).by(&key);
                lab.ask(who, skey)?.is(expected)?;
            }
            // The contact queue is still open.
            lab.send(who, &contact, "unsigned")?.ok()
        },
    )
    .versions(9, 20),
    Case::new(
        "recipient.sender-id-rule",
        "With link data the sender id has to follow from the correlation id; any other is CMD PROHIBITED.",
        &["smp.recipient.sender-id-rule"],
        |lab| {
            let who = lab.client()?;
            let link = lab.link_id(0x51);
            for wrong in [EntityId::from([3; 24]), EntityId::EMPTY] {
                let queue = messaging_link(wrong.clone());
                ask_linked(lab, who, |_| queue)?.0.is("ERR CMD PROHIBITED")?;
                let queue = contact_link(wrong, &link);
                ask_linked(lab, who, |_| queue)?.0.is("ERR CMD PROHIBITED")?;
            }
            let mut sender = EntityId::EMPTY;
            let (queue, _) = linked(lab, who, |id| {
                sender = id.clone();
                messaging_link(id)
            })?;
            require_eq("the sender id in IDS", &queue.sender, &sender)
        },
    )
    .versions(15, 20),
    Case::new(
        "recipient.link-id",
        "The router makes the link id of a messaging queue, NEW gives that of a contact queue, and IDS has it.",
        &["smp.recipient.link-id", "smp.versions.v15"],
        |lab| {
            let who = lab.client()?;
            let (first, link) = linked(lab, who, messaging_link)?;
            let (_, another) = linked(lab, who, messaging_link)?;
            require_eq("the length of the link id", link.as_bytes().len(), 24)?;
            require(link != another && link != first.sender && link != first.recipient, || {
                "the link id is another id's".to_owned()
            })?;
            let chosen = lab.link_id(0x52);
            let (queue, _) = linked(lab, who, |sender| contact_link(sender, &chosen))?;
            require_eq("the link id in IDS", queue.ids.link.as_ref(), Some(&chosen))
        },
    )
    .versions(15, 20),
    Case::new(
        "recipient.link-id-length",
        "A link id that the client chose may have any length, and works.",
        &["smp.recipient.link-id-length"],
        |lab| {
            let who = lab.client()?;
            // Any of 1 byte may be taken already by a router that is tested for long.
            for length in [4, 10, 32, 255] {
                let mut bytes = vec![0; length];
                lab.rng().fill_bytes(&mut bytes);
                let chosen = LinkId::new(&bytes).map_err(Failure::error)?;
                let (_, link) = linked(lab, who, |sender| contact_link(sender, &chosen))?;
                lab.ask(who, Request::from(Command::LGet).of(&link))?.is("LNK")?;
            }
            Ok(())
        },
    )
    .versions(15, 20),
    Case::new(
        "recipient.id-collision",
        "NEW with a link id or sender id that another queue has is answered by AUTH, and the other queue stays.",
        &["smp.recipient.id-collision"],
        |lab| {
            let who = lab.client()?;
            let chosen = lab.link_id(0x54);
            let (_, link) = linked(lab, who, |sender| contact_link(sender, &chosen))?;
            ask_linked(lab, who, |sender| contact_link(sender, &chosen))?.0.is("ERR AUTH")?;
            lab.ask(who, Request::from(Command::LGet).of(&link))?.is("LNK")?;

            let corr = lab.corr();
            let sender = EntityId::from(sxlab_protocol::crypto::hash::sender_id_from_corr(&corr));
            let (key, dh) = (lab.key(QueueForm::default().key), X25519Secret::generate(lab.rng()));
            let new = lab.new_request(&form(messaging_link(sender)), &key, &dh).corr(&corr);
            let answer = lab.ask(who, new.clone())?;
            let queue = lab.made(&answer, &key, &dh)?;
            lab.ask(who, new)?.is("ERR AUTH")?;
            lab.send(who, &queue, "to the first")?.ok()?;
            lab.receive(who, &queue, "to the first").map(|_| ())
        },
    )
    .versions(15, 20),
    Case::new(
        "recipient.new-notifier",
        "NEW with notifier keys makes the notifier too: IDS has its id and key, and it is told of messages.",
        &["smp.recipient.new-notifier", "smp.versions.v17"],
        new_notifier,
    )
    .versions(17, 20),
    Case::new(
        "recipient.no-mode",
        "A queue without mode refuses SKEY, RKEY and LKEY, takes link data, and shows it until it is secured.",
        &["smp.recipient.no-mode", "smp.sender.skey-contact"],
        no_mode,
    )
    .versions(15, 20),
];

fn new_layout(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let (key, dh) = (lab.key(QueueForm::default().key), X25519Secret::generate(lab.rng()));
    let keys = {
        let mut keys = b"NEW ".to_vec();
        key.public().put(&mut keys);
        dh.public().put(&mut keys);
        keys
    };
    // Subscription mode, from 9 on a password before it and the sender's right behind it, from 15 on optional queue data
    // instead, from 17 on optional notifier keys.
    let layouts: [(u16, &[u8]); 4] = [(6, b"C"), (9, b"0CT"), (15, b"0C0"), (17, b"0C00")];
    let own = layouts.iter().rposition(|(from, _)| *from <= lab.version()).unwrap_or_default();
    for (number, (from, ending)) in layouts.iter().enumerate() {
        let new = Request::bytes([keys.as_slice(), ending].concat()).by(&key);
        let expected = if number == own { "IDS" } else { "ERR CMD SYNTAX" };
        let during = format!("the layout of version {from}");
        lab.ask(who, new)?.is(expected).map_err(|failure| failure.during(&during))?;
    }
    if own > 0 {
        // No other mode of subscription, and no other mark of an optional password.
        for ending in [&b"0XT"[..], b"2CT", b"0X0", b"2C0", b"0X00", b"2C00"] {
            let new = Request::bytes([keys.as_slice(), ending].concat()).by(&key);
            lab.ask(who, new)?.is("ERR CMD SYNTAX")?;
        }
    }
    Ok(())
}

fn ids_layout(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let mut forms = vec![(QueueForm::default(), Some(QueueMode::Messaging))];
    if lab.version() >= 9 {
        forms.push((contact(), Some(QueueMode::Contact)));
    }
    if lab.version() >= 15 {
        forms.push((form(QueueRequest::None), None));
    }
    for (form, mode) in forms {
        let answer = lab.ask_new(who, &form)?;
        let ids = answer.ids()?;
        require_eq("the entity of IDS", &answer.entity, &EntityId::EMPTY)?;
        require_eq("the mode", ids.mode, mode.filter(|_| lab.version() >= 9))?;
        require_eq("the link", ids.link.as_ref(), None)?;
        require_eq("the service", ids.service.as_ref(), None)?;
        require_eq("the notifier", ids.notifier.as_ref(), None)?;
        // A tag, two ids, a key of 44 bytes, and a letter for each thing that the version adds.
        let added = match lab.version() {
            ..9 => 0,
            9..15 => 1,
            15 => 2 + usize::from(mode.is_some()),
            16 => 3 + usize::from(mode.is_some()),
            17.. => 4 + usize::from(mode.is_some()),
        };
        require_eq("the length of IDS", answer.bytes.len(), 4 + 25 + 25 + 45 + added)?;
    }
    Ok(())
}

fn new_notifier(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let (keys, key, dh) = notifier_keys(lab);
    let form = QueueForm { notifier: Some(keys), ..QueueForm::default() };
    let queue = lab.queue_of(who, &form)?;
    let ids = queue.ids.notifier.clone().ok_or_else(|| Failure::wrong("IDS has no notifier"))?;
    lab.ask(who, Request::from(Command::NSub).of(&ids.id).by(&key))?.is("SOK")?;
    let flags = MsgFlags { notification: true };
    lab.ask(who, Request::from(Command::Send { flags, body: b"ring".to_vec() }).of(&queue.sender))?.ok()?;
    let message = lab.receive(who, &queue, "ring")?;
    let event = lab.event_of(who, &ids.id)?;
    let told = lab.notification(&dh.dh(&ids.dh_key), &event)?;
    require_eq("the message that the notification names", told.id, message.id)
}

fn no_mode(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let queue = lab.queue_of(who, &form(QueueRequest::None))?;
    let (link, key) = (lab.link_id(0x55), lab.sender_key());
    let data = link_data();
    lab.recipient(who, &queue, Command::LSet { link: link.clone(), data: data.clone() })?.ok()?;
    let link = crate::cases::forms::entity(&link)?;
    let answer = lab.ask(who, Request::from(Command::LGet).of(&link))?;
    let shown = Response::Lnk { sender: queue.sender.clone(), data };
    require_eq("the link's data", answer.response()?, &shown)?;

    lab.ask(who, Request::from(Command::SKey(key.public())).of(&queue.sender).by(&key))?.is("ERR AUTH")?;
    lab.ask(who, Request::from(Command::LKey(key.public())).of(&link).by(&key))?.is("ERR AUTH")?;
    lab.recipient(who, &queue, Command::RKey(vec![queue.key.public()]))?.is("ERR AUTH")?;

    lab.recipient(who, &queue, Command::Key(key.public()))?.ok()?;
    lab.ask(who, Request::from(Command::LGet).of(&link))?.is("ERR AUTH")
}
