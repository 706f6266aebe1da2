//! What every decoder owes: any bytes without panic, values that survive the way out and back, and the
//! refusals that the protocol states.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by failing"
)]

#[path = "../../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library of its own for the fuzz targets")]
mod owed;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sxlab_protocol::crypto::SharedSecret;
use sxlab_protocol::crypto::boxes;
use sxlab_protocol::crypto::certificate::{Chain, SignedKey};
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::smp::command::*;
use sxlab_protocol::smp::envelope::*;
use sxlab_protocol::smp::error::*;
use sxlab_protocol::smp::name::{Name, NameRecord};
use sxlab_protocol::smp::response::{NotifierIds, QueueIds, Response};
use sxlab_protocol::smp::router::*;
use sxlab_protocol::smp::version::{Layout, MAX, MIN};
use sxlab_protocol::transport;
use sxlab_protocol::transport::{
    ClientHello, RouterHello, ServiceHello, ServiceReply, ServiceRole, Session, Unsigned, authorize,
};
use sxlab_protocol::wire::*;

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..max)
}

fn entity() -> impl Strategy<Value = EntityId> {
    bytes(256).prop_map(|b| EntityId::new(&b).unwrap())
}

fn link() -> impl Strategy<Value = LinkId> {
    bytes(40).prop_map(|b| LinkId::new(&b).unwrap())
}

fn x25519() -> impl Strategy<Value = X25519Public> {
    any::<[u8; 32]>().prop_map(X25519Public::from_bytes)
}

fn auth_key() -> impl Strategy<Value = AuthPublicKey> {
    prop_oneof![
        x25519().prop_map(AuthPublicKey::X25519),
        any::<[u8; 32]>().prop_map(|b| Ed25519Public::from_bytes(b).into()),
        vec(any::<u8>(), 57).prop_map(|b| Ed448Public::from_bytes(b.try_into().unwrap()).into()),
    ]
}

fn password() -> impl Strategy<Value = String> {
    "[!-9;-?A-~&&[^/]]{1,20}"
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(Host::V4),
        any::<std::net::Ipv6Addr>().prop_map(Host::V6),
        "[a-z0-9]{1,20}\\.onion".prop_map(Host::Onion),
        "[a-z][a-z0-9.&%_-]{0,20}x".prop_map(Host::Domain),
    ]
}

fn router() -> impl Strategy<Value = RouterAddress> {
    (vec(host(), 1..4), any::<Option<u16>>(), any::<[u8; 32]>())
        .prop_map(|(hosts, port, identity)| RouterAddress { hosts, port, identity, password: None })
}

fn mode() -> impl Strategy<Value = QueueMode> {
    prop_oneof![Just(QueueMode::Messaging), Just(QueueMode::Contact)]
}

fn range() -> impl Strategy<Value = VersionRange> {
    any::<(u16, u16)>().prop_map(|(a, b)| VersionRange::new(a.min(b), a.max(b)).unwrap())
}

fn queue_address() -> impl Strategy<Value = QueueAddress> {
    (router(), vec(any::<u8>(), 1..40), range(), x25519(), option::of(mode())).prop_map(
        |(router, id, versions, dh_key, mode)| QueueAddress {
            router,
            sender_id: EntityId::new(&id).unwrap(),
            versions,
            dh_key,
            mode,
        },
    )
}

fn link_data() -> impl Strategy<Value = LinkData> {
    (bytes(300), bytes(300)).prop_map(|(fixed, user)| LinkData { fixed, user })
}

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

fn service_queues() -> impl Strategy<Value = ServiceQueues> {
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

fn command() -> impl Strategy<Value = Command> {
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

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,60}"
}

fn error() -> impl Strategy<Value = SmpError> {
    let command = prop::sample::select(vec![
        CommandError::Unknown,
        CommandError::Syntax,
        CommandError::Prohibited,
        CommandError::NoAuth,
        CommandError::HasAuth,
        CommandError::NoEntity,
    ]);
    let transport = prop::sample::select(vec![
        TransportError::Block,
        TransportError::Version,
        TransportError::NoAuth,
        TransportError::Handshake(HandshakeFailure::Identity),
    ]);
    let broker = prop_oneof![
        text().prop_map(BrokerError::Response),
        text().prop_map(BrokerError::Unexpected),
        transport.prop_map(BrokerError::Transport),
        prop::sample::select(vec![BrokerError::Network, BrokerError::Timeout, BrokerError::Host]),
    ];
    let blocked = (any::<bool>(), option::of(any::<Option<i64>>())).prop_map(|(spam, notice)| {
        let reason = if spam { BlockingReason::Spam } else { BlockingReason::Content };
        SmpError::Blocked(BlockingInfo { reason, notice: notice.map(|ttl| Notice { ttl }) })
    });
    let plain = prop_oneof![
        command.prop_map(SmpError::Command),
        broker.prop_map(|error| SmpError::Proxy(ProxyError::Broker(error))),
        blocked,
        text().prop_map(SmpError::Store),
        text().prop_map(|text| SmpError::Name(NameError::Resolver(text))),
        prop::sample::select(vec![SmpError::Auth, SmpError::Quota, SmpError::NoMsg]),
    ];
    plain.prop_recursive(2, 4, 1, |inner| {
        inner.prop_map(|inner| SmpError::Proxy(ProxyError::Protocol(Box::new(inner))))
    })
}

fn response() -> impl Strategy<Value = Response> {
    let bare = prop::sample::select(vec![
        Response::Alls,
        Response::End,
        Response::Deld,
        Response::Ok,
        Response::Pong,
    ]);
    let notifier = || (entity(), x25519()).prop_map(|(id, dh_key)| NotifierIds { id, dh_key });
    let ids = (
        (entity(), entity(), x25519()),
        (option::of(mode()), option::of(link()), option::of(entity()), option::of(notifier())),
    )
        .prop_map(|((recipient, sender, dh_key), (mode, link, service, notifier))| {
            Response::Ids(Box::new(QueueIds { recipient, sender, dh_key, mode, link, service, notifier }))
        });
    let signer = Ed25519Secret::from_seed([1; 32]);
    let pkey = (entity(), range(), vec(bytes(300), 1..5), x25519()).prop_map(
        move |(session, versions, ders, key)| Response::Pkey {
            session,
            versions,
            chain: Chain::new(ders),
            signed_key: SignedKey::make(key, &signer),
        },
    );
    prop_oneof![
        bare,
        ids,
        pkey,
        (entity(), link_data()).prop_map(|(sender, data)| Response::Lnk { sender, data }),
        option::of(entity()).prop_map(|service| Response::Sok { service }),
        service_queues().prop_map(Response::Soks),
        service_queues().prop_map(Response::Ends),
        (bytes(256), bytes(400)).prop_map(|(id, body)| Response::Msg { id: MsgId::new(&id).unwrap(), body }),
        notifier().prop_map(Response::Nid),
        (any::<[u8; 24]>(), bytes(256)).prop_map(|(nonce, meta)| Response::Nmsg { nonce, meta }),
        bytes(400).prop_map(|sealed| Response::Rres { sealed }),
        bytes(400).prop_map(|sealed| Response::Pres { sealed }),
        text().prop_map(Response::Info),
        text().prop_map(Response::Rname),
        error().prop_map(Response::Err),
    ]
}

fn encoded_command(command: &Command, version: u16) -> Vec<u8> {
    let mut out = Vec::new();
    command.encode(&Layout::of(version), &mut out).unwrap();
    out
}

fn encoded_response(response: &Response, version: u16) -> Vec<u8> {
    let mut out = Vec::new();
    response.encode(&Layout::of(version), &mut out).unwrap();
    out
}

/// Bytes near valid ones: with a byte changed, cut off or added.
fn damaged(mut valid: Vec<u8>, at: prop::sample::Index, byte: u8, how: u8) -> Vec<u8> {
    if valid.is_empty() {
        return valid;
    }
    let at = at.index(valid.len());
    match how {
        0 => valid.truncate(at),
        1 => valid.insert(at, byte),
        2 => valid.push(byte),
        _ => {
            if let Some(old) = valid.get_mut(at) {
                *old = byte;
            }
        }
    }
    valid
}

/// Where the seeds of the fuzz targets are, a directory for each.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds");

/// So many values of a strategy, always the same.
fn some<S: Strategy>(count: usize, strategy: S) -> Vec<S::Value> {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Bytes of our own encoders, for each fuzz target: what it begins with.
fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let at = |version: u16, bytes: Vec<u8>| [vec![u8::try_from(version - MIN).unwrap()], bytes].concat();
    let versions = || [MIN, 8, 11, 14, 17, MAX].into_iter();
    let commands = some(40, command());
    let of_commands = commands.iter().zip(versions().cycle());
    let of_commands = of_commands.map(|(command, version)| at(version, encoded_command(command, version)));
    let responses = some(40, response());
    let of_responses = responses.iter().zip(versions().cycle());
    let of_responses =
        of_responses.map(|(response, version)| at(version, encoded_response(response, version)));
    let errors = some(20, error()).into_iter().map(|error| {
        let mut out = Vec::new();
        error.encode(&Layout::of(MAX), &mut out).unwrap();
        out
    });
    let addresses = some(10, router()).into_iter().flat_map(|router| {
        let mut out = Vec::new();
        router.put(&mut out).unwrap();
        [router.to_string().into_bytes(), out]
    });
    let queues = some(10, queue_address()).into_iter().flat_map(|address| {
        let mut out = Vec::new();
        address.put(&mut out).unwrap();
        [address.to_string().into_bytes(), out]
    });
    let sealed = (any::<[u8; 24]>(), option::of(x25519()), bytes(100));
    let envelopes = some(5, sealed).into_iter().map(|(nonce, dh_key, body)| {
        let message = ClientMessage { sender_key: None, body };
        let secret = SharedSecret::from_bytes([1; 32]);
        Envelope::seal(4, dh_key, &secret, nonce, &message).unwrap().encode()
    });
    let envelopes = envelopes.chain(
        some(5, (option::of(auth_key()), bytes(100)))
            .into_iter()
            .map(|(sender_key, body)| ClientMessage { sender_key, body }.encode()),
    );
    let bodies =
        some(5, (any::<i64>(), any::<bool>(), bytes(100))).into_iter().flat_map(|(time, flag, body)| {
            let flags = MsgFlags { notification: flag };
            let id = MsgId::from([7; 24]);
            [
                MessageBody::Message { time, flags, body }.encode(),
                MessageBody::Quota { time }.encode(),
                NotificationMeta { id, time }.encode(),
            ]
        });
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/certificates");
    let certificate = |name| std::fs::read(format!("{directory}/{name}"));
    let certificates =
        ["ed25519_ca.der", "ed25519_leaf.der", "ed448_ca.der", "ed448_leaf.der", "online_ca.der"];
    let certificates = certificates.into_iter().map(|name| certificate(name).unwrap());
    let secrets = [Ed25519Secret::from_seed([2; 32]).into(), Ed448Secret::from_seed([2; 57]).into()];
    let signed = secrets.map(|secret: SignatureSecret| {
        SignedKey::make(X25519Public::from_bytes([9; 32]), secret).as_der().to_vec()
    });
    let signed = signed.into_iter().chain(some(5, auth_key()).into_iter().map(|key| key.spki()));
    let hellos = versions().flat_map(|version| {
        let client = ClientHello {
            version,
            identity: [3; 32],
            key: (version > 6).then(|| X25519Public::from_bytes([9; 32])),
            proxy: version >= 14,
            service: None,
        };
        let router = RouterHello {
            versions: VersionRange::new(MIN, version).unwrap(),
            session_id: vec![5; 32],
            authentication: None,
        };
        [client.encode().unwrap(), router.encode().unwrap()]
    });
    let services = some(5, client_hello()).into_iter().map(|hello| hello.encode().unwrap());
    let replies = some(5, service_reply()).into_iter().map(|reply| reply.encode());
    let hellos = hellos.chain(services).chain(replies);
    let names = some(10, name_record()).into_iter().map(|record| record.to_json().into_bytes());
    let batches = versions().map(|version| {
        let session = Session { id: vec![7; 32], layout: Layout::of(version) };
        let items = commands.iter().take(4).map(|command| {
            let (corr, entity) = (CorrId::from([1; 24]), EntityId::from([2; 24]));
            let unsigned = Unsigned { corr, entity, command: encoded_command(command, version) };
            let key = Ed25519Secret::from_seed([1; 32]).into();
            authorize(&session, &unsigned, Some(&key), None).unwrap()
        });
        let items: Vec<_> = items.collect();
        at(version, transport::content(items.iter().map(Vec::as_slice)).unwrap())
    });
    let records = some(20, record()).into_iter().filter_map(|record| {
        let (key, value) = (record.key().encode(), record.value());
        Some([&[u8::try_from(key.len()).ok()?][..], &key, &value].concat())
    });
    vec![
        ("command", of_commands.collect()),
        ("response", of_responses.collect()),
        ("error", errors.collect()),
        ("address", addresses.collect()),
        ("queue_uri", queues.collect()),
        ("envelope", envelopes.collect()),
        ("msg_body", bodies.collect()),
        ("certificate_chain", certificates.collect()),
        ("signed_key", signed.collect()),
        ("padding", vec![pad(b"content", 20).unwrap(), pad(b"", 2).unwrap()]),
        ("hello", hellos.collect()),
        ("batch", batches.collect()),
        ("record", records.collect()),
        ("name_record", names.collect()),
    ]
}

#[test]
#[ignore = "writes fuzz/seeds again: `cargo test -p sxlab-protocol --test decoders write_seeds -- --ignored`"]
fn write_seeds() {
    for (target, seeds) in seeds() {
        let directory = format!("{SEEDS}/{target}");
        std::fs::create_dir_all(&directory).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(format!("{directory}/{number:02}"), seed).unwrap();
        }
    }
}

#[test]
fn every_decoder_that_is_fuzzed_has_seeds_and_takes_them() {
    let targets = std::fs::read_dir(format!("{SEEDS}/../fuzz_targets")).unwrap();
    for target in targets {
        let target = target.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        let files: Vec<_> = std::fs::read_dir(format!("{SEEDS}/{target}")).expect(&target).collect();
        assert!(!files.is_empty(), "{target}");
        for file in files {
            every_decoder(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}

fn every_decoder(bytes: &[u8]) {
    owed::command(bytes);
    owed::response(bytes);
    owed::error(bytes);
    owed::record(bytes);
    owed::address(bytes);
    owed::queue_uri(bytes);
    owed::envelope(bytes);
    owed::msg_body(bytes);
    owed::certificate_chain(bytes);
    owed::signed_key(bytes);
    owed::hello(bytes);
    owed::batch(bytes);
    owed::padding(bytes);
    owed::name_record(bytes);
}

fn service_hello() -> impl Strategy<Value = ServiceHello> {
    let role =
        prop_oneof![Just(ServiceRole::Messaging), Just(ServiceRole::Notifications), Just(ServiceRole::Proxy)];
    (role, vec(bytes(300), 1..5), any::<[u8; 32]>()).prop_map(|(role, ders, seed)| {
        let key = Ed25519Secret::from_seed(seed);
        ServiceHello { role, chain: Chain::new(ders), signed_key: SignedKey::make(key.public(), key) }
    })
}

fn client_hello() -> impl Strategy<Value = ClientHello> {
    let fields = (16..=MAX, any::<[u8; 32]>(), option::of(x25519()), any::<bool>());
    (fields, option::of(service_hello())).prop_map(|((version, identity, key, proxy), service)| ClientHello {
        version,
        identity,
        key,
        proxy,
        service: service.map(Box::new),
    })
}

fn service_reply() -> impl Strategy<Value = ServiceReply> {
    let refused = prop_oneof![
        Just(TransportError::Handshake(HandshakeFailure::BadAuth)),
        Just(TransportError::Handshake(HandshakeFailure::BadService)),
        Just(TransportError::Version),
    ];
    prop_oneof![entity().prop_map(ServiceReply::Accepted), refused.prop_map(ServiceReply::Refused)]
}

fn name_record() -> impl Strategy<Value = NameRecord> {
    let coins = (option::of(text()), option::of(text()), option::of(text()), option::of(text()));
    (vec(text(), 6), vec(text(), 0..3), vec(text(), 0..3), coins).prop_map(
        |(mut texts, simplex_contact, simplex_channel, (eth, btc, xmr, dot))| {
            let mut text = || texts.pop().unwrap_or_default();
            let (name, nickname, website) = (text(), text(), text());
            let (location, owner, resolver) = (text(), text(), text());
            NameRecord {
                name,
                nickname,
                website,
                location,
                simplex_contact,
                simplex_channel,
                eth,
                btc,
                xmr,
                dot,
                owner,
                resolver,
            }
        },
    )
}

proptest! {
    #[test]
    fn any_bytes(bytes in bytes(200)) {
        every_decoder(&bytes);
    }

    #[test]
    fn bytes_near_commands(
        command in command(), version in 6..=MAX, at: prop::sample::Index, byte: u8, how in 0..4u8
    ) {
        let mut bytes = vec![(version - 6) as u8];
        bytes.extend(encoded_command(&command, version));
        owed::command(&damaged(bytes, at, byte, how));
    }

    #[test]
    fn bytes_near_responses(
        response in response(), version in 6..=MAX, at: prop::sample::Index, byte: u8, how in 0..4u8
    ) {
        let mut bytes = vec![(version - 6) as u8];
        bytes.extend(encoded_response(&response, version));
        owed::response(&damaged(bytes, at, byte, how));
    }

    #[test]
    fn bytes_near_addresses(
        address in queue_address(), at: prop::sample::Index, byte: u8, how in 0..4u8
    ) {
        let mut binary = Vec::new();
        address.put(&mut binary).unwrap();
        for bytes in [
            binary,
            address.to_string().into_bytes(),
            address.router.to_string().into_bytes(),
        ] {
            let bytes = damaged(bytes, at, byte, how);
            owed::address(&bytes);
            owed::queue_uri(&bytes);
        }
    }

    #[test]
    fn bytes_near_certificates(at: prop::sample::Index, byte: u8, how in 0..4u8) {
        let der = include_bytes!("vectors/certificates/ed25519_ca.der").to_vec();
        owed::certificate_chain(&damaged(der, at, byte, how));
        let key = X25519Secret::from_bytes([1; 32]).public();
        let signed = SignedKey::make(key, Ed25519Secret::from_seed([4; 32]));
        owed::signed_key(&damaged(signed.as_der().to_vec(), at, byte, how));
    }

    #[test]
    fn bytes_near_hellos(hello in client_hello(), at: prop::sample::Index, byte: u8, how in 0..4u8) {
        owed::hello(&damaged(hello.encode().unwrap(), at, byte, how));
    }

    #[test]
    fn bytes_near_name_records(record in name_record(), at: prop::sample::Index, byte: u8, how in 0..4u8) {
        owed::name_record(&damaged(record.to_json().into_bytes(), at, byte, how));
    }

    #[test]
    fn hellos_of_services(hello in client_hello(), tail in bytes(20)) {
        let bytes = hello.encode().unwrap();
        prop_assert_eq!(ClientHello::decode(&bytes), Ok(hello.clone()));
        prop_assert_eq!(ClientHello::decode(&[bytes, tail].concat()), Ok(hello));
    }

    #[test]
    fn answers_to_services(reply in service_reply()) {
        prop_assert_eq!(ServiceReply::decode(&reply.encode()), Ok(reply));
    }

    #[test]
    fn name_records(record in name_record()) {
        prop_assert_eq!(NameRecord::parse(record.to_json().as_bytes()), Ok(record));
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

    #[test]
    fn responses(response in response()) {
        let bytes = encoded_response(&response, MAX);
        prop_assert_eq!(Response::decode(&bytes, &Layout::of(MAX)), Ok(response));
    }

    #[test]
    fn responses_of_old(response in response(), version in 6..MAX) {
        let layout = Layout::of(version);
        let bytes = encoded_response(&response, version);
        let arrived = Response::decode(&bytes, &layout).unwrap();
        prop_assert_eq!(encoded_response(&arrived, version), bytes);
    }

    #[test]
    fn router_addresses(router in router(), password in option::of(password())) {
        let with_password = RouterAddress { password, ..router.clone() };
        prop_assert_eq!(with_password.to_string().parse(), Ok(with_password));
        let mut out = Vec::new();
        router.put(&mut out).unwrap();
        prop_assert_eq!(RouterAddress::read(&mut Reader::new(&out)), Ok(router));
    }

    #[test]
    fn queue_addresses(address in queue_address()) {
        prop_assert_eq!(address.to_string().parse(), Ok(address));
    }

    #[test]
    fn envelopes(
        version in 1..=4u16, key in option::of(x25519()), sender_key in option::of(auth_key()),
        nonce: [u8; 24], secret: [u8; 32], body in bytes(400)
    ) {
        let secret = SharedSecret::from_bytes(secret);
        let message = ClientMessage { sender_key, body };
        let envelope = Envelope::seal(version, key, &secret, nonce, &message).unwrap();
        let size = if key.is_some() { 15904 } else { 16000 };
        prop_assert_eq!(envelope.sealed.len(), size + 16);
        let bytes = envelope.encode();
        prop_assert!(bytes.len() <= Layout::of(MAX).message_limit);
        let arrived = Envelope::decode(&bytes).unwrap();
        prop_assert_eq!(arrived.open(&secret), Ok(message));
    }

    #[test]
    fn message_bodies(
        time in 0..1i64 << 40, notification: bool, body in bytes(400), id: [u8; 24], secret: [u8; 32]
    ) {
        let (secret, id) = (SharedSecret::from_bytes(secret), MsgId::from(id));
        let flags = MsgFlags { notification };
        for body in [MessageBody::Message { time, flags, body }, MessageBody::Quota { time }] {
            let sealed = body.seal(&secret, &id).unwrap();
            prop_assert_eq!(sealed.len(), 16122);
            prop_assert_eq!(MessageBody::open(&secret, &id, &sealed), Ok(body));
        }
    }

    #[test]
    fn notification_metadata(time: i64, id: [u8; 24], nonce: [u8; 24], secret: [u8; 32]) {
        let secret = SharedSecret::from_bytes(secret);
        let meta = NotificationMeta { id: id.into(), time };
        let sealed = meta.seal(&secret, &nonce).unwrap();
        prop_assert_eq!(sealed.len(), 144);
        prop_assert_eq!(NotificationMeta::open(&secret, &nonce, &sealed), Ok(meta));
    }

    #[test]
    fn padding(content in bytes(300), room in 0..40usize) {
        let size = content.len() + 2 + room;
        let block = pad(&content, size).unwrap();
        prop_assert_eq!(block.len(), size);
        prop_assert_eq!(unpad(&block), Ok(content.as_slice()));
        prop_assert_eq!(pad(&content, size - room - 1), Err(WireError::TooLong));
    }

    #[test]
    fn boxes_open_only_unchanged(
        secret: [u8; 32], nonce: [u8; 24], plain in bytes(100), at: prop::sample::Index, bit in 0..8u8
    ) {
        let secret = SharedSecret::from_bytes(secret);
        let mut sealed = boxes::seal(&secret, &nonce, &plain);
        prop_assert_eq!(boxes::open(&secret, &nonce, &sealed), Ok(plain));
        let at = at.index(sealed.len());
        if let Some(byte) = sealed.get_mut(at) {
            *byte ^= 1 << bit;
        }
        prop_assert!(boxes::open(&secret, &nonce, &sealed).is_err());
    }

    #[test]
    fn identifiers(bytes in bytes(300)) {
        match EntityId::new(&bytes) {
            Ok(id) => {
                prop_assert_eq!(id.as_bytes(), bytes.as_slice());
                prop_assert_eq!(id.is_empty(), bytes.is_empty());
            }
            Err(error) => {
                prop_assert_eq!(error, WireError::TooLong);
                prop_assert!(bytes.len() > 255);
            }
        }
    }
}

fn status() -> impl Strategy<Value = Status> {
    let reason = prop_oneof![Just(BlockingReason::Spam), Just(BlockingReason::Content)];
    let notice = option::of(any::<Option<i64>>().prop_map(|ttl| Notice { ttl }));
    let blocked = (reason, notice).prop_map(|(reason, notice)| BlockingInfo { reason, notice });
    prop_oneof![Just(Status::Active), Just(Status::Off), blocked.prop_map(Status::Blocked)]
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::Quota),
        (any::<bool>(), bytes(400))
            .prop_map(|(notification, body)| Content::Message { flags: MsgFlags { notification }, body }),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let secret = || any::<[u8; 32]>().prop_map(SharedSecret::from_bytes);
    let id = || bytes(40).prop_map(|b| MsgId::new(&b).unwrap());
    let keys = (vec(auth_key(), 0..4), option::of(auth_key()));
    let queue = (keys, secret(), entity(), option::of(mode()), status(), option::of(entity())).prop_map(
        |((recipient_keys, sender_key), secret, sender, mode, status, service)| QueueRecord {
            recipient_keys,
            secret,
            sender,
            sender_key,
            mode,
            status,
            service,
        },
    );
    let role =
        prop_oneof![Just(ServiceRole::Messaging), Just(ServiceRole::Notifications), Just(ServiceRole::Proxy)];
    let data = (bytes(300), bytes(300)).prop_map(|(fixed, user)| LinkData { fixed, user });
    prop_oneof![
        (entity(), queue).prop_map(|(recipient, queue)| Record::Queue { recipient, queue }),
        (entity(), link(), data)
            .prop_map(|(recipient, id, data)| Record::Link { recipient, link: Link { id, data } }),
        (entity(), any::<[u8; 32]>(), role).prop_map(|(id, fingerprint, role)| Record::Service(Service {
            id,
            fingerprint,
            role
        })),
        (entity(), entity(), auth_key(), secret(), option::of(entity())).prop_map(
            |(recipient, id, key, secret, service)| Record::Notifier {
                recipient,
                notifier: NotifierRecord { id, key, secret, service }
            }
        ),
        (entity(), any::<u64>(), id(), any::<u64>(), content()).prop_map(
            |(recipient, number, id, time, content)| Record::Message {
                recipient,
                number,
                message: Stored { id, time, content }
            }
        ),
        (entity(), any::<u64>(), id(), any::<u64>()).prop_map(|(recipient, number, message, time)| {
            Record::Notification { recipient, number, notification: Notification { message, time } }
        }),
    ]
}

proptest! {
    #[test]
    fn records(record in record(), at: prop::sample::Index, byte: u8, how in 0..4u8) {
        let (key, value) = (record.key().encode(), record.value());
        prop_assert_eq!(Record::decode(&key, &value), Ok(record));
        let both = [&[u8::try_from(key.len()).unwrap_or(u8::MAX)][..], &key, &value].concat();
        owed::record(&damaged(both, at, byte, how));
    }
}

/// What a store should not hold is told, and changes nothing.
#[test]
fn records_that_do_not_fit() {
    let id = |n: u8| EntityId::from([n; 24]);
    let secret = || SharedSecret::from_bytes([0; 32]);
    let key = AuthPublicKey::from(X25519Public::from_bytes([1; 32]));
    let queue = |n, sender| Record::Queue {
        recipient: id(n),
        queue: QueueRecord::from(&Queue::new(key, secret(), id(sender), None)),
    };
    let message = |n, number| Record::Message {
        recipient: id(n),
        number,
        message: Stored { id: MsgId::EMPTY, time: 0, content: Content::Quota },
    };
    let notification = Record::Notification {
        recipient: id(1),
        number: 0,
        notification: Notification { message: MsgId::EMPTY, time: 0 },
    };
    let mut store = QueueStore::default();
    let mut restore = |record: &Record| store.restore(record.clone());
    assert_eq!(restore(&queue(1, 2)), Ok(()));
    assert_eq!(restore(&queue(3, 2)), Err(RecordError::Taken(RecordKey::Queue(id(3)))));
    assert_eq!(restore(&message(1, 7)), Ok(()));
    assert_eq!(restore(&message(1, 9)), Err(RecordError::Gap(RecordKey::Message(id(1), 9))));
    assert_eq!(restore(&message(3, 0)), Err(RecordError::Orphan(RecordKey::Message(id(3), 0))));
    assert_eq!(restore(&notification), Err(RecordError::Orphan(notification.key())));
    assert!(store.records().eq([queue(1, 2), message(1, 7)]));

    let (key, mut value) = (queue(1, 2).key().encode(), queue(1, 2).value());
    value[0] = 9;
    assert_eq!(Record::decode(&key, &value), Err(RecordError::Version(RecordKey::Queue(id(1)), 9)));
    let damaged = Record::decode(&key, &[1, 0, 0, 0, 0]);
    assert_eq!(damaged, Err(RecordError::Value(RecordKey::Queue(id(1)), WireError::UnexpectedEnd)));
    assert_eq!(Record::decode(b"\x63\x00", &value), Err(RecordError::Key));
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

/// A proxy's errors nest once or twice, not as often as a block has room for.
#[test]
fn nested_errors() {
    let nested =
        |times: usize| SmpError::decode(format!("{}AUTH", "PROXY PROTOCOL ".repeat(times)).as_bytes());
    assert!(nested(2).is_ok());
    assert_eq!(nested(3), Err(WireError::TooLong));
    assert_eq!(nested(1000), Err(WireError::TooLong));
}

/// D43, D46: forms that are read but never written.
#[test]
fn errors_of_other_versions() {
    let network = SmpError::Proxy(ProxyError::Broker(BrokerError::Network));
    for detail in ["", " FAILED", " TIMEOUT", " UNKNOWNCA", " CONNECT \x02no", " TLS \0"] {
        let text = format!("PROXY BROKER NETWORK{detail}");
        assert_eq!(SmpError::decode(text.as_bytes()), Ok(network.clone()), "{text:?}");
    }
    assert_eq!(SmpError::decode(b"CMD NO_QUEUE"), Ok(SmpError::Command(CommandError::NoEntity)));
    for unknown in ["", "NEW_ERROR", "CMD", "CMD NEW", "AUTH x", "BLOCKED reason=x", "DUPLICATE_"] {
        assert!(SmpError::decode(unknown.as_bytes()).is_err(), "{unknown}");
    }
}

#[test]
fn lengths_that_lie() {
    assert_eq!(unpad(b"\xff\xff#"), Err(WireError::UnexpectedEnd));
    assert_eq!(unpad(b"\0"), Err(WireError::UnexpectedEnd));
    assert_eq!(unpad(b"\0\0"), Ok(&b""[..]));
    assert_eq!(Reader::new(b"\x05abc").short(), Err(WireError::UnexpectedEnd));
    assert_eq!(Reader::new(b"\0").list(|r| r.u8()), Err(WireError::BadLength));
    assert_eq!(Reader::new(b"\xff").list(|r| r.u8()), Err(WireError::UnexpectedEnd));
    assert_eq!(Reader::new(b"\0").opt(|r| r.u8()), Err(WireError::BadTag));
    assert_eq!(Reader::new(b"t").bool(), Err(WireError::BadTag));
    assert_eq!(VersionRange::read(&mut Reader::new(b"\0\x14\0\x06")), Err(WireError::BadVersion));
    assert_eq!(pad(&[0; 65534], 70000), Err(WireError::TooLong));
    assert!(pad(&[0; 65533], 70000).is_ok());
}

#[test]
fn only_versions_that_we_speak_between_sender_and_recipient() {
    let bytes = |version: u8| [&[0, version, b'0'], &[0; 24][..], b"sealed"].concat();
    assert!(Envelope::decode(&bytes(1)).is_ok());
    assert!(Envelope::decode(&bytes(4)).is_ok());
    assert_eq!(Envelope::decode(&bytes(0)), Err(WireError::BadVersion));
    assert_eq!(Envelope::decode(&bytes(5)), Err(WireError::BadVersion));
}
