//! `sxlab serve ntf` and `sxlab serve apns`: pushes over loopback, and what is wrong with settings.

use std::fs;

use sxlab_node::apns::{DEVICE_ALPN, receive};
use sxlab_node::client::Session;
use sxlab_node::ntf::DeviceSession;
use sxlab_node::tls::{Connector, ConnectorConfig};
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::ntf::command::{DeviceToken, NotifierQueue, Provider};
use sxlab_protocol::ntf::device::{Answered, Ask, Device, Pushed};
use sxlab_protocol::ntf::version::ALPN_VERSIONS;
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue, NotifierKeys};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::SUPPORTED;
use sxlab_protocol::wire::{EntityId, RouterAddress, base64url_decode};
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::task::LocalSet;

use crate::program::{Background, Scratch, router, sxlab};

const SECOND: u64 = 1_000_000_000;
const PHONE: &[u8] = b"phone";

/// A stand-in with these settings: it, its address, and its identity.
async fn stand_in(dir: &str, args: &[&str]) -> (Background, String, String) {
    let mut stand_in = Background::start(&[&["serve", "apns", "--dir", dir], args].concat());
    let line = stand_in.line().await;
    let (address, identity) = line.split_once(' ').unwrap();
    (stand_in, address.to_owned(), identity.to_owned())
}

/// Flags by which a notification router pushes to it.
fn pushing(dir: &str, address: &str, identity: &str) -> Vec<String> {
    let key = format!("{dir}/AuthKey.p8");
    let flags = [
        ["--apns", address],
        ["--apns-identity", identity],
        ["--apns-key", &key],
        ["--apns-key-id", "SXLABKEY00"],
        ["--apns-team", "SXLABTEAM0"],
    ];
    flags.concat().into_iter().chain(["--test-provider"]).map(str::to_owned).collect()
}

async fn ntf(args: &[String]) -> (Background, String) {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut router = Background::start(&[&["serve", "ntf"], &args[..]].concat());
    let address = router.line().await;
    (router, address)
}

/// The device's connection to the stand-in.
async fn online(address: &str, identity: &str) -> impl AsyncRead + Unpin {
    let expected_identity = base64url_decode(identity).unwrap().try_into().unwrap();
    let config =
        ConnectorConfig { alpn: vec![DEVICE_ALPN.to_vec()], expected_identity, client_identity: None };
    let (host, port) = address.rsplit_once(':').unwrap();
    let stream = RealWorld.connect(host, port.parse().unwrap()).await.unwrap();
    let tls = Connector::new(config).unwrap().connect(stream, RealWorld.entropy()).await.unwrap();
    let mut stream = tls.stream;
    stream.write_u16(PHONE.len() as u16).await.unwrap();
    stream.write_all(PHONE).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

async fn session(address: &str) -> DeviceSession<RealWorld> {
    DeviceSession::connect(RealWorld, &address.parse().unwrap(), ALPN_VERSIONS, 60 * SECOND).await.unwrap()
}

async fn ask(session: &DeviceSession<RealWorld>, device: &mut Device, asked: Option<Ask>) -> Answered {
    let asked = asked.unwrap();
    let answer = session.ask(&asked).await.unwrap();
    device.answered(&asked, answer).unwrap()
}

async fn pushed(stream: &mut (impl AsyncRead + Unpin), device: &mut Device) -> Pushed {
    let next = tokio::time::timeout(std::time::Duration::from_secs(60), receive(stream, 5000));
    let (_, body) = next.await.expect("a push in time").unwrap().unwrap();
    device.pushed(&body).unwrap()
}

fn phone() -> Device {
    let digits: String = PHONE.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = EntityId::new(digits.as_bytes()).unwrap();
    Device::new(DeviceToken { provider: Provider::ApnsTest, name }, KeyType::Ed25519, &mut RealWorld.rng())
}

/// A queue with a notifier that the device wants to be told of: its name, and the sender's id.
async fn queue(smp: &Session<RealWorld>, address: &str, device: &mut Device) -> (NotifierQueue, EntityId) {
    let mut rng = RealWorld.rng();
    let (owner, dh) = (AuthSecretKey::generate(KeyType::Ed25519, &mut rng), X25519Secret::generate(&mut rng));
    let new = Command::New(Box::new(NewQueue::messaging(owner.public(), dh.public())));
    let Ok(Response::Ids(ids)) = smp.request(EntityId::EMPTY, &new, Some(&owner)).await else {
        panic!("no queue")
    };
    let (key, own) = (AuthSecretKey::generate(KeyType::X25519, &mut rng), X25519Secret::generate(&mut rng));
    let keys = Command::NKey(NotifierKeys { auth_key: key.public(), dh_key: own.public() });
    let Ok(Response::Nid(nid)) = smp.request(ids.recipient.clone(), &keys, Some(&owner)).await else {
        panic!("no notifier")
    };
    let router: RouterAddress = address.parse().unwrap();
    let name = NotifierQueue { router, notifier: nid.id };
    device.watch(name.clone(), key, own.dh(&nid.dh_key));
    (name, ids.sender)
}

async fn send(smp: &Session<RealWorld>, sender: &EntityId) {
    let send = Command::Send { flags: MsgFlags { notification: true }, body: b"hello".to_vec() };
    assert_eq!(smp.request(sender.clone(), &send, None).await.unwrap(), Response::Ok);
}

#[tokio::test]
async fn a_message_is_pushed_also_after_the_notification_router_was_killed() {
    LocalSet::new()
        .run_until(async {
            let scratch = Scratch::new("notifications");
            let (apple, dir, store) = (scratch.path("apple"), scratch.path("ntf"), scratch.path("tokens"));
            let (stand_in, at, identity) = stand_in(&apple, &["--body-limit", "4310"]).await;
            let mut flags = pushing(&apple, &at, &identity);
            let own = ["--dir", &dir, "--store", &store, "--service", &scratch.path("service")];
            flags.extend(own.map(str::to_owned));
            let (first, address) = ntf(&flags).await;
            let (_smp, smp_address) = router(&["--notification-interval", "10ms"]).await;
            let parsed = smp_address.parse().unwrap();
            let (smp, _events) = Session::connect(RealWorld, &parsed, SUPPORTED, 60 * SECOND).await.unwrap();

            let mut device = phone();
            let mut pushes = online(&at, &identity).await;
            let there = session(&address).await;
            assert_eq!(there.version(), 3);
            // The stand-in may learn of the device after the push: then the device registers again, as it does without a code.
            loop {
                let asked = Some(device.register());
                assert_eq!(ask(&there, &mut device, asked).await, Answered::Registered);
                let code = pushed(&mut pushes, &mut device);
                if let Ok(code) = tokio::time::timeout(std::time::Duration::from_secs(1), code).await {
                    break assert_eq!(code, Pushed::Code);
                }
            }
            let asked = device.verify();
            assert_eq!(ask(&there, &mut device, asked).await, Answered::Verified);
            let (name, sender) = queue(&smp, &smp_address, &mut device).await;
            let asked = device.subscribe(&name);
            assert_eq!(ask(&there, &mut device, asked).await, Answered::Subscribed(name.clone()));

            send(&smp, &sender).await;
            let Pushed::Messages(list) = pushed(&mut pushes, &mut device).await else {
                panic!("no messages")
            };
            assert!(list.len() == 1 && list[0].queue == name && list[0].message.is_ok(), "{list:?}");

            // What comes while it is away is pushed when it is back.
            first.kill().await;
            send(&smp, &sender).await;
            let (second, _) = ntf(&flags).await;
            let Pushed::Messages(list) = pushed(&mut pushes, &mut device).await else {
                panic!("no messages")
            };
            assert!(list.len() == 1 && list[0].message.is_ok(), "{list:?}");
            assert_eq!(second.signal("-TERM").await.0, 0);

            let (code, rest) = stand_in.end("-TERM").await;
            let told: serde_json::Value = serde_json::from_str(&rest[0]).unwrap();
            assert_eq!((code, &told["taken"]), (0, &told["delivered"]));
        })
        .await;
}

/// Apple documents 4,096 bytes, the stand-in's default: codes do not get through, and the log says why.
#[tokio::test]
async fn the_documented_limit_refuses_sealed_pushes() {
    LocalSet::new()
        .run_until(async {
            let scratch = Scratch::new("payload");
            let apple = scratch.path("apple");
            let (stand_in, at, identity) = stand_in(&apple, &[]).await;
            let flags = pushing(&apple, &at, &identity);
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let mut router = Background::noted(&[&["serve", "ntf"], &flags[..]].concat());
            let there = session(&router.line().await).await;
            let mut device = phone();
            let _online = online(&at, &identity).await;
            let asked = Some(device.register());
            ask(&there, &mut device, asked).await;
            // The provider's answer comes after the device's.
            let refused = router.note_with("a push was refused").await;
            for said in ["status=413", "PayloadTooLarge", "bytes=4233"] {
                assert!(refused.contains(said), "{refused}");
            }
            let (_, rest) = stand_in.end("-TERM").await;
            let told: serde_json::Value = serde_json::from_str(&rest[0]).unwrap();
            assert_eq!((&told["taken"], &told["refused"]), (&0.into(), &1.into()));
        })
        .await;
}

#[tokio::test]
async fn settings_of_a_notification_router_come_from_a_file_and_flags_win() {
    let scratch = Scratch::new("ntf-settings");
    let file = scratch.path("ntf.toml");
    fs::write(&file, "pushes = 3\nleast_period = \"1m\"\ntest_provider = true\nversions = \"2-3\"\n")
        .unwrap();
    let printed = sxlab(&["serve", "ntf", "--config", &file, "--pushes", "2", "--print-config"]).await;
    let printed = printed.data();
    for line in [
        "pushes = 2",
        "least_period = \"1m\"",
        "test_provider = true",
        "versions = \"2-3\"",
        "start_batch = 900",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} in {printed}");
    }
    fs::write(&file, printed).unwrap();
    assert_eq!(sxlab(&["serve", "ntf", "--config", &file, "--print-config"]).await.data(), printed);
    for (text, says) in [
        ("pushes = 2\npushez = 3\n", ":2: pushez: unknown key, did you mean `pushes`?"),
        ("least_period = \"90s\"\n", ":1: least_period: `90s` is not a number of whole minutes"),
        ("versions = \"6-20\"\n", ":1: versions: the versions that there are: 1-3"),
        ("\napns = \"localhost\"\n", ":2: apns: `localhost` is not a host and a port"),
        ("apns = \"localhost:1\"\n", ":1: apns: say what it is known by"),
        ("apns_identity = \"AAAA\"\n", ":1: apns_identity: `AAAA` is not an identity's hash"),
        ("apns_development = \"localhost:1\"\n", ":1: apns_development: needs `apns`"),
        ("apns = \"localhost:1\"\napns_ca = \"ca.pem\"\n", ":1: apns: needs `apns_key`"),
        ("store = \"s\"\n", ":1: store: the queues of a store belong to an identity"),
        ("key = \"k\"\n", ":1: key: needs its certificates"),
        ("listen = [\"0.0.0.0:0\"]\n", ":1: listen: 0.0.0.0:0 is every address"),
    ] {
        fs::write(&file, text).unwrap();
        let ended = sxlab(&["serve", "ntf", "--config", &file, "--print-config"]).await;
        let line = ended.failure(2);
        assert!(line.starts_with(&file) && line.contains(says), "{text:?}: {line}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_flag_or_a_file_is_one_line() {
    let scratch = Scratch::new("ntf-wrong");
    let (dir, key) = (scratch.path("apple"), scratch.path("key.p8"));
    fs::write(&key, "no key").unwrap();
    let hash = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    let apns = ["--apns", "localhost:1", "--apns-key-id", "K", "--apns-team", "T"];
    let gone = scratch.path("gone.p8");
    let [stand_in, no_key, no_ca] = [
        [&apns[..], &["--apns-identity", hash, "--apns-key", &gone]].concat(),
        [&apns[..], &["--apns-identity", hash, "--apns-key", &key]].concat(),
        [&apns[..], &["--apns-ca", &key, "--apns-key", &key]].concat(),
    ];
    for (args, says) in [
        (&["serve", "ntf", "--pushes", "0"][..], "--pushes"),
        (&["serve", "ntf", "--apns-development", "a:1"], "--apns-development: needs `apns`"),
        (&["serve", "ntf", "--versions", "3-4"], "--versions"),
        (&[&["serve", "ntf"], &stand_in[..]].concat(), "gone.p8: No such file"),
        (&[&["serve", "ntf"], &no_key[..]].concat(), "key.p8: no private key for ES256"),
        (&[&["serve", "ntf"], &no_ca[..]].concat(), "key.p8: no private key for ES256"),
        (&["serve", "apns"], "--dir"),
        (&["serve", "apns", "--dir", &dir, "--lost", "2"], "is not a share from 0 to 1"),
        (&["serve", "apns", "--dir", &dir, "--retention", "0s"], "must be longer than 0"),
        (&["serve", "apns", "--dir", &dir, "--body-limit", "0"], "--body-limit"),
        (&["serve", "apns", "--dir", &dir, "--team", "a b"], "letters, digits, dots and dashes"),
    ] {
        let ended = sxlab(args).await;
        let line = ended.failure(2);
        assert!(line.contains(says), "{args:?}: {line}");
    }
    fs::create_dir_all(&dir).unwrap();
    fs::write(format!("{dir}/AuthKey.p8"), "no key").unwrap();
    let ended = sxlab(&["serve", "apns", "--dir", &dir]).await;
    assert!(ended.failure(2).contains("AuthKey.p8: no private key for ES256"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(format!("{dir}/AuthKey.p8")).unwrap(), "no key", "nothing is written over");
}
