//! Every command, response and error that the deployed implementation printed, at every version, both ways.

use crate::support;
use sxlab_protocol::crypto::keys::*;
use sxlab_protocol::smp::command::*;
use sxlab_protocol::smp::error::*;
use sxlab_protocol::smp::name::Name;
use sxlab_protocol::smp::response::{NotifierIds, QueueIds, Response};
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::wire::{MsgId, QueueMode, RouterAddress};

fn x25519(byte: u8) -> X25519Public {
    X25519Secret::from_bytes([byte; 32]).public()
}

fn ed25519(byte: u8) -> AuthPublicKey {
    Ed25519Secret::from_seed([byte; 32]).public().into()
}

fn link_data() -> LinkData {
    LinkData { fixed: b"fixed".to_vec(), user: b"user".to_vec() }
}

fn queues() -> ServiceQueues {
    ServiceQueues { count: 12345, hash: std::array::from_fn(|i| i as u8) }
}

fn router(place: &str) -> RouterAddress {
    format!("smp://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=@{place}").parse().unwrap()
}

fn new(queue: QueueRequest) -> NewQueue {
    NewQueue {
        auth_key: x25519(1).into(),
        dh_key: x25519(2),
        password: None,
        subscribe: true,
        queue,
        notifier: None,
    }
}

fn notifier_keys() -> NotifierKeys {
    NotifierKeys { auth_key: ed25519(4), dh_key: x25519(3) }
}

fn command(name: &str) -> Command {
    let messaging = QueueRequest::Messaging(None);
    let new_queue = match name {
        "NEW messaging" => new(messaging),
        "NEW contact" => new(QueueRequest::Contact(None)),
        "NEW no queue data" => new(QueueRequest::None),
        "NEW messaging with link data" => {
            new(QueueRequest::Messaging(Some(MessagingLink { sender: [0xa2; 24].into(), data: link_data() })))
        }
        "NEW contact with link data" => new(QueueRequest::Contact(Some(ContactLink {
            link: [0xa4; 24].into(),
            sender: [0xa2; 24].into(),
            data: link_data(),
        }))),
        "NEW messaging with ntf creds" => NewQueue { notifier: Some(notifier_keys()), ..new(messaging) },
        "NEW create-only, basic auth" => NewQueue {
            auth_key: ed25519(4),
            password: Some("pwd".into()),
            subscribe: false,
            ..new(messaging)
        },
        "NEW Ed448 key" => {
            NewQueue { auth_key: Ed448Secret::from_seed([6; 57]).public().into(), ..new(messaging) }
        }
        _ => return other_command(name),
    };
    Command::New(Box::new(new_queue))
}

fn other_command(name: &str) -> Command {
    let send =
        |notification| Command::Send { flags: MsgFlags { notification }, body: b"message body".to_vec() };
    match name {
        "SUB" => Command::Sub,
        "SUBS" => Command::Subs(queues()),
        "KEY" => Command::Key(x25519(1).into()),
        "RKEY" => Command::RKey(vec![x25519(1).into(), ed25519(4)]),
        "LSET" => Command::LSet { link: [0xa4; 24].into(), data: link_data() },
        "LDEL" => Command::LDel,
        "NKEY" => Command::NKey(notifier_keys()),
        "NDEL" => Command::NDel,
        "GET" => Command::Get,
        "ACK" => Command::Ack(MsgId::from([7; 24])),
        "OFF" => Command::Off,
        "DEL" => Command::Del,
        "QUE" => Command::Que,
        "SKEY" => Command::SKey(x25519(1).into()),
        "SEND notification" => send(true),
        "SEND no notification" => send(false),
        "PING" => Command::Ping,
        "LKEY" => Command::LKey(x25519(1).into()),
        "LGET" => Command::LGet,
        "NSUB" => Command::NSub,
        "NSUBS" => Command::NSubs(queues()),
        "PRXY" => {
            Command::Prxy { router: router("smp.example.com,abcdefghijklmnop.onion:5223"), password: None }
        }
        "PRXY basic auth" => {
            Command::Prxy { router: router("smp.example.com"), password: Some("pwd".into()) }
        }
        "PFWD" => Command::Pfwd { version: 20, key: x25519(1), sealed: b"encrypted transmission".to_vec() },
        "RFWD" => Command::Rfwd { sealed: b"encrypted forwarded".to_vec() },
        "RSLV simplex" => Command::Rslv(Name::parse("alice.simplex").unwrap()),
        "RSLV subdomain testing" => Command::Rslv(Name::parse("a.b.alice.testing").unwrap()),
        "RSLV web" => Command::Rslv(Name::parse("Example.COM").unwrap()),
        other => panic!("no test for {other}"),
    }
}

/// What of a command a router of this version can learn.
fn command_at(command: &Command, version: u16) -> Command {
    match command {
        Command::New(new) => {
            let queue = match (version, &new.queue) {
                (6..9, _) => QueueRequest::None,
                (9..15, QueueRequest::Messaging(_)) => QueueRequest::Messaging(None),
                (9..15, _) => QueueRequest::Contact(None),
                (_, queue) => queue.clone(),
            };
            let notifier = new.notifier.clone().filter(|_| version >= 17);
            Command::New(Box::new(NewQueue { queue, notifier, ..*new.clone() }))
        }
        Command::Subs(_) if version < 19 => Command::Subs(ServiceQueues::UNKNOWN),
        Command::NSubs(_) if version < 19 => Command::NSubs(ServiceQueues::UNKNOWN),
        other => other.clone(),
    }
}

#[test]
fn each_command_at_each_version() {
    let Some(vectors) = support::deployed() else { return };
    let entries = vectors["smp_commands"].as_array().unwrap();
    for entry in entries {
        let name = entry["name"].as_str().unwrap();
        let command = command(name);
        for (version, bytes) in support::by_version(entry) {
            let layout = Layout::of(version);
            let mut out = Vec::new();
            command.encode(&layout, &mut out).unwrap();
            assert_eq!(hex::encode(out), hex::encode(&bytes), "{name} at {version}");
            let decoded = Command::decode(&bytes, &layout);
            assert_eq!(decoded, Ok(command_at(&command, version)), "{name} at {version}");
        }
    }
    assert_eq!(entries.len(), 36);
}

fn ids(mode: Option<QueueMode>) -> QueueIds {
    QueueIds {
        recipient: [0xa1; 24].into(),
        sender: [0xa2; 24].into(),
        dh_key: x25519(2),
        mode,
        link: None,
        service: None,
        notifier: None,
    }
}

const INFO_FULL: &str = r#"{"qiSnd":true,"qiNtf":true,"qiSub":{"qSubThread":"subThread","qDelivered":"bXNn"},"qiSize":3,"qiMsg":{"msgId":"bXNn","msgTs":"2023-11-14T22:13:20Z","msgType":"message"}}"#;
const INFO_QUOTA: &str = r#"{"qiSnd":true,"qiNtf":false,"qiSub":{"qSubThread":"prohibitSub"},"qiSize":1,"qiMsg":{"msgId":"bXNn","msgTs":"2023-11-14T22:13:20Z","msgType":"quota"}}"#;
const RNAME: &str = r#"{"name":"alice","nickname":"Alice","website":"","location":"","simplexContact":["simplex:/a#x"],"simplexChannel":[],"eth":null,"btc":"bc1","xmr":null,"dot":null,"owner":"0x0","resolver":"0x1"}"#;

fn response(name: &str) -> Response {
    let boxed = |ids| Response::Ids(Box::new(ids));
    let notifier = NotifierIds { id: [0xa3; 24].into(), dh_key: x25519(3) };
    let service = Some([0xa5; 24].into());
    match name {
        "IDS messaging" => boxed(ids(Some(QueueMode::Messaging))),
        "IDS contact" => boxed(ids(Some(QueueMode::Contact))),
        "IDS no mode" => boxed(ids(None)),
        "IDS link, service, ntf creds" => boxed(QueueIds {
            link: Some([0xa4; 24].into()),
            service,
            notifier: Some(notifier),
            ..ids(Some(QueueMode::Messaging))
        }),
        "LNK" => Response::Lnk { sender: [0xa2; 24].into(), data: link_data() },
        "SOK none" => Response::Sok { service: None },
        "SOK service" => Response::Sok { service },
        "SOKS" => Response::Soks(queues()),
        "MSG" => Response::Msg { id: [7; 24].into(), body: b"encrypted body".to_vec() },
        "ALLS" => Response::Alls,
        "NID" => Response::Nid(notifier),
        "NMSG" => Response::Nmsg {
            nonce: std::array::from_fn(|i| i as u8 + 1),
            meta: b"encrypted ntf meta".to_vec(),
        },
        "RRES" => Response::Rres { sealed: b"enc".to_vec() },
        "PRES" => Response::Pres { sealed: b"enc".to_vec() },
        "END" => Response::End,
        "ENDS" => Response::Ends(queues()),
        "DELD" => Response::Deld,
        "INFO empty" => Response::Info(r#"{"qiSnd":false,"qiNtf":false,"qiSize":0}"#.into()),
        "INFO full" => Response::Info(INFO_FULL.into()),
        "INFO quota" => Response::Info(INFO_QUOTA.into()),
        "OK" => Response::Ok,
        "PONG" => Response::Pong,
        "RNAME" => Response::Rname(RNAME.into()),
        other => panic!("no test for {other}"),
    }
}

/// What of a response a client of this version can learn.
fn response_at(response: &Response, version: u16) -> Response {
    let count_only = |queues: &ServiceQueues| ServiceQueues { hash: [0; 16], ..*queues };
    match response {
        Response::Ids(ids) => {
            let mode = match (version, ids.mode) {
                (6..9, _) => None,
                (9..15, None) => Some(QueueMode::Contact),
                (_, mode) => mode,
            };
            Response::Ids(Box::new(QueueIds {
                mode,
                link: ids.link.clone().filter(|_| version >= 15),
                service: ids.service.clone().filter(|_| version >= 16),
                notifier: ids.notifier.clone().filter(|_| version >= 17),
                ..*ids.clone()
            }))
        }
        Response::Sok { .. } if version < 16 => Response::Ok,
        Response::Deld if version < 10 => Response::End,
        Response::Soks(queues) if version < 19 => Response::Soks(count_only(queues)),
        Response::Ends(queues) if version < 19 => Response::Ends(count_only(queues)),
        other => other.clone(),
    }
}

#[test]
fn each_response_at_each_version() {
    let Some(vectors) = support::deployed() else { return };
    let entries = vectors["smp_messages"].as_array().unwrap();
    for entry in entries {
        let name = entry["name"].as_str().unwrap();
        let response = response(name);
        for (version, bytes) in support::by_version(entry) {
            let layout = Layout::of(version);
            let mut out = Vec::new();
            response.encode(&layout, &mut out).unwrap();
            assert_eq!(hex::encode(out), hex::encode(&bytes), "{name} at {version}");
            let decoded = Response::decode(&bytes, &layout);
            assert_eq!(decoded, Ok(response_at(&response, version)), "{name} at {version}");
        }
    }
    assert_eq!(entries.len(), 23);
}

fn error(text: &str) -> SmpError {
    let proxy = SmpError::Proxy;
    let broker = |error| SmpError::Proxy(ProxyError::Broker(error));
    let transport = |error| SmpError::Proxy(ProxyError::Broker(BrokerError::Transport(error)));
    let blocked = |reason, notice| SmpError::Blocked(BlockingInfo { reason, notice });
    match text {
        "BLOCK" => SmpError::Block,
        "SESSION" => SmpError::Session,
        "AUTH" => SmpError::Auth,
        "SERVICE" => SmpError::Service,
        "CRYPTO" => SmpError::Crypto,
        "QUOTA" => SmpError::Quota,
        "NO_MSG" => SmpError::NoMsg,
        "LARGE_MSG" => SmpError::LargeMsg,
        "EXPIRED" => SmpError::Expired,
        "INTERNAL" => SmpError::Internal,
        "STORE some error" => SmpError::Store("some error".into()),
        "CMD UNKNOWN" => SmpError::Command(CommandError::Unknown),
        "CMD SYNTAX" => SmpError::Command(CommandError::Syntax),
        "CMD PROHIBITED" => SmpError::Command(CommandError::Prohibited),
        "CMD NO_AUTH" => SmpError::Command(CommandError::NoAuth),
        "CMD HAS_AUTH" => SmpError::Command(CommandError::HasAuth),
        "CMD NO_ENTITY" => SmpError::Command(CommandError::NoEntity),
        "BLOCKED reason=spam" => blocked(BlockingReason::Spam, None),
        "BLOCKED reason=content" => blocked(BlockingReason::Content, None),
        "BLOCKED reason=spam,notice={}" => blocked(BlockingReason::Spam, Some(Notice { ttl: None })),
        "BLOCKED reason=content,notice={\"ttl\":3600}" => {
            blocked(BlockingReason::Content, Some(Notice { ttl: Some(3600) }))
        }
        "PROXY PROTOCOL AUTH" => proxy(ProxyError::Protocol(Box::new(SmpError::Auth))),
        "PROXY PROTOCOL CMD SYNTAX" => {
            proxy(ProxyError::Protocol(Box::new(SmpError::Command(CommandError::Syntax))))
        }
        "PROXY BASIC_AUTH" => proxy(ProxyError::BasicAuth),
        "PROXY NO_SESSION" => proxy(ProxyError::NoSession),
        "PROXY BROKER RESPONSE bad" => broker(BrokerError::Response("bad".into())),
        "PROXY BROKER UNEXPECTED unexp" => broker(BrokerError::Unexpected("unexp".into())),
        "PROXY BROKER HOST" => broker(BrokerError::Host),
        "PROXY BROKER NO_SERVICE" => broker(BrokerError::NoService),
        "PROXY BROKER TIMEOUT" => broker(BrokerError::Timeout),
        "PROXY BROKER NETWORK" => broker(BrokerError::Network),
        "PROXY BROKER TRANSPORT BLOCK" => transport(TransportError::Block),
        "PROXY BROKER TRANSPORT VERSION" => transport(TransportError::Version),
        "PROXY BROKER TRANSPORT LARGE_MSG" => transport(TransportError::LargeMsg),
        "PROXY BROKER TRANSPORT SESSION" => transport(TransportError::Session),
        "PROXY BROKER TRANSPORT NO_AUTH" => transport(TransportError::NoAuth),
        "PROXY BROKER TRANSPORT HANDSHAKE PARSE" => {
            transport(TransportError::Handshake(HandshakeFailure::Parse))
        }
        "PROXY BROKER TRANSPORT HANDSHAKE IDENTITY" => {
            transport(TransportError::Handshake(HandshakeFailure::Identity))
        }
        "PROXY BROKER TRANSPORT HANDSHAKE BAD_AUTH" => {
            transport(TransportError::Handshake(HandshakeFailure::BadAuth))
        }
        "NAME NO_RESOLVER" => SmpError::Name(NameError::NoResolver),
        "NAME NOT_FOUND" => SmpError::Name(NameError::NotFound),
        "NAME RESOLVER rpc failed" => SmpError::Name(NameError::Resolver("rpc failed".into())),
        other => panic!("no test for {other}"),
    }
}

#[test]
fn each_error_at_each_version() {
    let Some(vectors) = support::deployed() else { return };
    let entries = vectors["smp_errors"].as_array().unwrap();
    for entry in entries {
        let text = entry["str"].as_str().unwrap();
        let error = error(text);
        assert_eq!(error.to_string(), text);
        for (version, bytes) in support::by_version(entry) {
            let layout = Layout::of(version);
            let mut out = Vec::new();
            Response::Err(error.clone()).encode(&layout, &mut out).unwrap();
            assert_eq!(hex::encode(out), hex::encode(&bytes), "{text} at {version}");
            let arrives = match &error {
                SmpError::Blocked(_) if version < 12 => SmpError::Auth,
                SmpError::Blocked(info) if version < 18 => {
                    SmpError::Blocked(BlockingInfo { notice: None, ..*info })
                }
                error => error.clone(),
            };
            let decoded = Response::decode(&bytes, &layout);
            assert_eq!(decoded, Ok(Response::Err(arrives)), "{text} at {version}");
        }
    }
    assert_eq!(entries.len(), 47);
}
