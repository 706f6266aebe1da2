//! Commands, at all versions.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sxlab_protocol::smp::command::*;
use sxlab_protocol::smp::error::*;
use sxlab_protocol::smp::name::Name;
use sxlab_protocol::smp::version::{Layout, MAX};
use sxlab_protocol::wire::*;

use crate::addresses::router;
use crate::owed;
use crate::values::*;

fn notifier_keys() -> impl Strategy<Value = NotifierKeys> {
    (auth_key(), x25519()).prop_map(|(auth_key, dh_key)| NotifierKeys { auth_key, dh_key })
}

fn queue_request() -> impl Strategy<Value = QueueRequest> {
    let messaging = (entity(), link_data()).prop_map(|(sender, data)| MessagingLink { sender, data });
    let contact =
        (link(), entity(), link_data()).prop_map(|(link, sender, data)| ContactLink { link, sender, data });
    prop_oneof![
        Just(QueueRequest::None),
        option::of(messaging).prop_map(QueueRequest::Messaging),
        option::of(contact).prop_map(QueueRequest::Contact),
    ]
}

pub(crate) fn service_queues() -> impl Strategy<Value = ServiceQueues> {
    any::<(i64, [u8; 16])>().prop_map(|(count, hash)| ServiceQueues { count, hash })
}

fn new_queue() -> impl Strategy<Value = NewQueue> {
    let keys = (auth_key(), x25519());
    (keys, option::of(password()), any::<bool>(), queue_request(), option::of(notifier_keys())).prop_map(
        |((auth_key, dh_key), password, subscribe, queue, notifier)| NewQueue {
            auth_key,
            dh_key,
            password,
            subscribe,
            queue,
            notifier,
        },
    )
}

pub(crate) fn command() -> impl Strategy<Value = Command> {
    let bare = prop::sample::select(vec![
        Command::Sub,
        Command::LDel,
        Command::NDel,
        Command::Get,
        Command::Off,
        Command::Del,
        Command::Que,
        Command::Ping,
        Command::LGet,
        Command::NSub,
    ]);
    let keyed = auth_key().prop_flat_map(|key| {
        prop::sample::select(vec![Command::Key(key), Command::SKey(key), Command::LKey(key)])
    });
    let sealed = bytes(400);
    prop_oneof![
        bare,
        keyed,
        new_queue().prop_map(|new| Command::New(Box::new(new))),
        service_queues().prop_map(Command::Subs),
        service_queues().prop_map(Command::NSubs),
        vec(auth_key(), 1..5).prop_map(Command::RKey),
        (link(), link_data()).prop_map(|(link, data)| Command::LSet { link, data }),
        notifier_keys().prop_map(Command::NKey),
        bytes(256).prop_map(|b| Command::Ack(MsgId::new(&b).unwrap())),
        (any::<bool>(), bytes(400))
            .prop_map(|(notification, body)| Command::Send { flags: MsgFlags { notification }, body }),
        (router(), option::of(password())).prop_map(|(router, password)| Command::Prxy { router, password }),
        (any::<u16>(), x25519(), bytes(400)).prop_map(|(version, key, sealed)| Command::Pfwd {
            version,
            key,
            sealed
        }),
        sealed.prop_map(|sealed| Command::Rfwd { sealed }),
        "([a-z0-9]{1,9}-)?[a-z0-9]{1,9}\\.[a-z]{1,9}"
            .prop_map(|name| Command::Rslv(Name::parse(&name).unwrap())),
    ]
}

pub(crate) fn encoded_command(command: &Command, version: u16) -> Vec<u8> {
    let mut out = Vec::new();
    command.encode(&Layout::of(version), &mut out).unwrap();
    out
}

proptest! {
    #[test]
    fn bytes_near_commands(
        command in command(), version in 6..=MAX, at: prop::sample::Index, byte: u8, how in 0..4u8
    ) {
        let mut bytes = vec![(version - 6) as u8];
        bytes.extend(encoded_command(&command, version));
        owed::command(&damaged(bytes, at, byte, how));
    }

    #[test]
    fn commands(command in command()) {
        let bytes = encoded_command(&command, MAX);
        prop_assert_eq!(Command::decode(&bytes, &Layout::of(MAX)), Ok(command));
    }

    #[test]
    fn commands_of_old(command in command(), version in 6..MAX) {
        let layout = Layout::of(version);
        let bytes = encoded_command(&command, version);
        let arrived = Command::decode(&bytes, &layout).unwrap();
        prop_assert_eq!(encoded_command(&arrived, version), bytes);
    }
}

fn refused(text: &str) -> CommandError {
    Command::decode(text.as_bytes(), &Layout::of(MAX)).unwrap_err()
}

/// AU-14, with what was seen of the deployed router.
#[test]
fn syntax_errors() {
    for unknown in ["", "SUBX", "SUB=", "sub", "KEY,x", "OK", "SOK 0", " SUB", "MSG x", "NEWS"] {
        assert_eq!(refused(unknown), CommandError::Unknown, "{unknown:?}");
    }
    for syntax in [
        "KEY",
        "KEY ",
        "KEY  x",
        "SUB ",
        "SUB x",
        "PING ",
        "NEW",
        "NEW ",
        "SEND",
        "SEND ",
        "SEND T",
        "SEND X hi",
        "RKEY \0",
        "SUBS",
        "ACK",
        "LSET ",
        "PFWD ",
        "PRXY \0",
        "RSLV alice",
        "RSLV ",
    ] {
        assert_eq!(refused(syntax), CommandError::Syntax, "{syntax:?}");
    }
    let old = Layout::of(18);
    assert_eq!(Command::decode(b"SUBS", &old), Ok(Command::Subs(ServiceQueues::UNKNOWN)));
    assert_eq!(Command::decode(b"SUBS \0", &old), Err(CommandError::Syntax));
}

/// SN-2: letters after the first flag are skipped, and a body may be empty.
#[test]
fn flags_of_tomorrow() {
    let send = |text: &str| Command::decode(text.as_bytes(), &Layout::of(MAX)).unwrap();
    let expected = |notification, body: &str| Command::Send {
        flags: MsgFlags { notification },
        body: body.as_bytes().to_vec(),
    };
    assert_eq!(send("SEND Tabcdefghijklmnop hi"), expected(true, "hi"));
    assert_eq!(send("SEND F "), expected(false, ""));
    assert_eq!(send("SEND F  two spaces"), expected(false, " two spaces"));
}

/// NM-2 and what was seen of the deployed router.
#[test]
fn names() {
    let resolve = |text: &str| Command::decode(text.as_bytes(), &Layout::of(8));
    let name = |text: &str| Ok(Command::Rslv(Name::parse(text).unwrap()));
    for accepted in ["alice.simplex", "alice.123", "1.2.3.4", "a-b.simplex", "a.b.c.d"] {
        assert_eq!(resolve(&format!("RSLV {accepted}")), name(accepted));
    }
    assert_eq!(resolve("RSLV Alice.SIMPLEX"), name("alice.simplex"));
    assert_eq!(resolve("RSLV alice.simplex extra"), name("alice.simplex"));
    assert_eq!(resolve("RSLV alice.simplex\n"), name("alice.simplex"));
    let long_label = format!("{}.simplex", "a".repeat(64));
    let long_name = format!("{}x", "a.".repeat(127));
    for refused in [
        "alice",
        "alice.simplex.",
        ".simplex",
        "a--b.simplex",
        "-a.simplex",
        "a-.simplex",
        "a_b.simplex",
        "é.simplex",
        &long_label,
        &long_name,
    ] {
        assert_eq!(resolve(&format!("RSLV {refused}")), Err(CommandError::Syntax), "{refused}");
    }
}
