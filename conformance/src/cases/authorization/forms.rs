//! Which commands have authorizations and entities, and what is looked at before either.

use sxlab_protocol::crypto::keys::{KeyType, X25519Secret};
use sxlab_protocol::smp::command::{Command, MsgFlags};
use sxlab_protocol::wire::{CorrId, EntityId, LinkId};

use crate::case::{Case, Outcome};
use crate::cases::forms::{absent, each_by, each_unsigned, link_data, notifier_keys};
use crate::lab::queues::send;
use crate::lab::{Failure, Lab, QueueForm, Request, require};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "authorization.required",
        "Every queue command without authorization, or without entity, is answered by CMD NO_AUTH.",
        &["smp.authorization.required"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let commands = owned(lab);
            each_unsigned(lab, who, &queue.recipient, &commands, "ERR CMD NO_AUTH")?;
            each_unsigned(lab, who, &EntityId::EMPTY, &commands, "ERR CMD NO_AUTH")?;
            each_by(lab, who, &EntityId::EMPTY, &queue.key, &commands, "ERR CMD NO_AUTH")?;
            lab.send(who, &queue, "still there")?.ok()?;
            lab.receive(who, &queue, "still there").map(|_| ())
        },
    ),
    Case::new(
        "authorization.not-required",
        "SEND to a queue that is not secured, and LGET, need no authorization.",
        &["smp.authorization.required"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            lab.send(who, &queue, "unsigned")?.ok()?;
            // Nobody has this link, which is not the same as an authorization that is missing.
            lab.ask(who, Request::from(Command::LGet).of(&absent()))?.is("ERR AUTH")
        },
    ),
    Case::new(
        "authorization.not-allowed",
        "PING, PRXY, RFWD and RSLV with an authorization or an entity are answered by CMD HAS_AUTH.",
        &["smp.authorization.not-allowed"],
        |lab| {
            let who = lab.client()?;
            let (key, address) = (lab.key(KeyType::Ed25519), lab.address()?);
            let commands: [Request; 4] = [
                Command::Ping.into(),
                Command::Prxy { router: address, password: None }.into(),
                Command::Rfwd { sealed: vec![7; 100] }.into(),
                Request::bytes(*b"RSLV alice.simplex"),
            ];
            for command in commands {
                lab.ask(who, command.clone().by(&key))?.is("ERR CMD HAS_AUTH")?;
                lab.ask(who, command.clone().of(&absent()))?.is("ERR CMD HAS_AUTH")?;
                lab.ask(who, command.of(&absent()).by(&key))?.is("ERR CMD HAS_AUTH")?;
            }
            lab.ask(who, Command::Ping)?.is("PONG")
        },
    ),
    Case::new(
        "authorization.forward-entity",
        "PFWD without entity is answered by CMD NO_ENTITY, with an authorization by CMD HAS_AUTH.",
        &["smp.authorization.forward-entity"],
        |lab| {
            let who = lab.client()?;
            let (key, dh) = (lab.key(KeyType::Ed25519), X25519Secret::generate(lab.rng()));
            let pfwd = Command::Pfwd { version: lab.version(), key: dh.public(), sealed: vec![7; 100] };
            lab.ask(who, pfwd.clone())?.is("ERR CMD NO_ENTITY")?;
            lab.ask(who, Request::from(pfwd).of(&absent()).by(&key))?.is("ERR CMD HAS_AUTH")
        },
    )
    .versions(8, 20),
    Case::new(
        "authorization.send-entity",
        "SEND without entity is answered by CMD NO_ENTITY, authorized or not.",
        &["smp.authorization.send-entity"],
        |lab| {
            let who = lab.client()?;
            let key = lab.key(KeyType::Ed25519);
            lab.ask(who, send("to nobody"))?.is("ERR CMD NO_ENTITY")?;
            lab.ask(who, Request::from(send("to nobody")).by(&key))?.is("ERR CMD NO_ENTITY")
        },
    ),
    Case::new(
        "authorization.create",
        "NEW without authorization is answered by CMD NO_AUTH, with an entity by CMD HAS_AUTH.",
        &["smp.authorization.create"],
        |lab| {
            let who = lab.client()?;
            let (key, dh) = (lab.key(KeyType::Ed25519), X25519Secret::generate(lab.rng()));
            let new = lab.new_request(&QueueForm::default(), &key, &dh);
            lab.ask(who, new.clone().authorization([]))?.is("ERR CMD NO_AUTH")?;
            lab.ask(who, new.clone().of(&absent()).authorization([]))?.is("ERR CMD NO_AUTH")?;
            lab.ask(who, new.clone().of(&absent()))?.is("ERR CMD HAS_AUTH")?;
            lab.ask(who, new)?.is("IDS")
        },
    ),
    Case::new(
        "authorization.link-entity",
        "LGET without entity is answered by CMD NO_ENTITY, with an authorization by CMD HAS_AUTH.",
        &["smp.authorization.link-entity"],
        |lab| {
            let who = lab.client()?;
            let key = lab.key(KeyType::Ed25519);
            lab.ask(who, Command::LGet)?.is("ERR CMD NO_ENTITY")?;
            lab.ask(who, Request::from(Command::LGet).of(&absent()).by(&key))?.is("ERR CMD HAS_AUTH")
        },
    )
    .versions(15, 20),
    Case::new(
        "authorization.syntax-first",
        "What is no command, or does not parse, is answered as such before its authorization is looked at.",
        &["smp.authorization.syntax-first"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let wrong = lab.key(KeyType::Ed25519);
            for (bytes, expected) in [
                ("XYZZY", "ERR CMD UNKNOWN"),
                ("KEY", "ERR CMD SYNTAX"),
                ("KEY ", "ERR CMD SYNTAX"),
                ("NEW ", "ERR CMD SYNTAX"),
                ("ACK 123", "ERR CMD SYNTAX"),
                ("NKEY", "ERR CMD SYNTAX"),
                ("RKEY", "ERR CMD SYNTAX"),
                ("SKEY", "ERR CMD SYNTAX"),
                ("SEND", "ERR CMD SYNTAX"),
                ("LSET x", "ERR CMD SYNTAX"),
                ("PRXY x", "ERR CMD SYNTAX"),
                ("PFWD", "ERR CMD SYNTAX"),
                ("RFWD", "ERR CMD SYNTAX"),
            ] {
                let command = Request::bytes(bytes);
                for request in [
                    command.clone(),
                    command.clone().of(&queue.recipient),
                    command.clone().of(&queue.recipient).by(&wrong),
                    command.of(&absent()).by(&wrong),
                ] {
                    lab.ask(who, request)?.is(expected).map_err(|failure| failure.during(bytes))?;
                }
            }
            Ok(())
        },
    ),
    Case::new(
        "authorization.exact-tags",
        "A tag is exact: other letters are CMD UNKNOWN, and what does not belong behind it is CMD SYNTAX.",
        &["smp.authorization.exact-tags", "smp.encoding.trailing-bytes"],
        exact_tags,
    ),
    Case::new(
        "authorization.response-tags",
        "The tags of responses are no commands.",
        &["smp.authorization.response-tag"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            for bytes in ["OK", "PONG", "END", "DELD", "MSG x", "IDS x", "ERR AUTH", "SOK 0", "INFO {}"] {
                lab.ask(who, Request::bytes(bytes))?.is("ERR CMD UNKNOWN")?;
                let request = Request::bytes(bytes).of(&queue.recipient).by(&queue.key);
                lab.ask(who, request)?.is("ERR CMD UNKNOWN")?;
            }
            Ok(())
        },
    ),
    Case::new(
        "authorization.queue-ids",
        "The ids of queues differ from each other and from those of all other queues.",
        &["smp.authorization.queue-ids"],
        |lab| {
            let [who, other] = lab.clients()?;
            let mut ids = std::collections::BTreeSet::new();
            for _ in 0..8 {
                for client in [who, other] {
                    let queue = lab.queue(client)?;
                    for id in [queue.recipient, queue.sender] {
                        require(ids.insert(id), || "an id is given twice".to_owned())?;
                    }
                }
            }
            Ok(())
        },
    ),
    Case::new(
        "authorization.missing-service-field",
        "An authorization without the field for a service signature after it makes an item that is no transmission.",
        &["smp.transport.service-field-malformed", "smp.transport.service-signature-field"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let sub = Request::from(Command::Sub).of(&queue.recipient).by(&queue.key);
            for field in [&b""[..], b"\0", b"2", b"1\x3f"] {
                lab.post(who, sub.clone().service_field(field))?;
                let answer = lab.next(who)?;
                answer.is("ERR BLOCK")?;
                answer.addressed(&CorrId::EMPTY, &EntityId::EMPTY)?;
            }
            // A whole one belongs into sessions of services.
            let whole = [&b"1\x40"[..], &[0x5e; 64]].concat();
            lab.ask(who, sub.clone().service_field(whole))?.is("ERR SERVICE")?;
            lab.ask(who, sub.service_field(*b"0"))?.is("SOK")
        },
    )
    .versions(16, 20),
    Case::new(
        "authorization.correlation-id-again",
        "A correlation id may be used twice, and may be empty.",
        &["smp.transport.correlation-id-again", "smp.transport.correlation-id"],
        |lab| {
            let who = lab.client()?;
            let queue = lab.queue(who)?;
            let corr = lab.corr();
            for _ in 0..3 {
                let que = Request::from(Command::Que).of(&queue.recipient).by(&queue.key);
                lab.ask(who, que.corr(&corr))?.is("INFO")?;
            }
            for corr in [CorrId::EMPTY, CorrId::new(&[9]).map_err(Failure::error)?, CorrId::EMPTY] {
                let answer = lab.ask(who, Request::from(Command::Ping).corr(&corr))?;
                answer.is("PONG")?;
                answer.addressed(&corr, &EntityId::EMPTY)?;
            }
            Ok(())
        },
    ),
];

/// The commands that belong to who owns their entity.
fn owned(lab: &mut Lab<'_>) -> Vec<Command> {
    let key = lab.key(KeyType::Ed25519).public();
    let (keys, _, _) = notifier_keys(lab);
    vec![
        Command::Sub,
        Command::Get,
        Command::Que,
        Command::Ack(Default::default()),
        Command::Off,
        Command::Del,
        Command::Key(key),
        Command::RKey(vec![key]),
        Command::LSet { link: LinkId::from([1; 24]), data: link_data() },
        Command::LDel,
        Command::NKey(keys),
        Command::NDel,
        Command::NSub,
        Command::SKey(key),
        Command::LKey(key),
    ]
}

fn exact_tags(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let queue = lab.queue(who)?;
    let spki = lab.key(KeyType::Ed25519).public().spki();
    let with_key = |before: &[u8], after: &[u8]| {
        let length = u8::try_from(spki.len()).unwrap_or_default();
        [before, &[length], &spki, after].concat()
    };
    let (unknown, syntax) = ("ERR CMD UNKNOWN", "ERR CMD SYNTAX");
    let commands: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), unknown),
        (b" ".to_vec(), unknown),
        (b"sub".to_vec(), unknown),
        (b"SUB=".to_vec(), unknown),
        (b"SUBX".to_vec(), unknown),
        (b"SU".to_vec(), unknown),
        (b"SUB ".to_vec(), syntax),
        (b"SUB x".to_vec(), syntax),
        (b"GET x".to_vec(), syntax),
        (b"PING ".to_vec(), syntax),
        (b"PING x".to_vec(), syntax),
        (with_key(b"KEY,", b""), unknown),
        (with_key(b"KEY  ", b""), syntax),
        (with_key(b"KEY ", b"x"), syntax),
    ];
    for (bytes, expected) in commands {
        let request = Request::bytes(bytes.clone()).of(&queue.recipient).by(&queue.key);
        let answer = lab.ask(who, request)?;
        let during = bytes.escape_ascii().to_string();
        answer.is(expected).map_err(|failure| failure.of_known_command().during(&during))?;
    }
    // The key was set by none of them.
    let body = Command::Send { flags: MsgFlags::default(), body: b"open".to_vec() };
    lab.ask(who, Request::from(body).of(&queue.sender))?.ok()
}
