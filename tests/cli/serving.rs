//! What an operator does with `sxlab serve`: settings, identities, the control socket, metrics, logs, the end.

use std::fs;

use sxlab_node::client::{Event, Session};
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue};
use sxlab_protocol::smp::response::{QueueIds, Response};
use sxlab_protocol::transport::SUPPORTED;
use sxlab_protocol::wire::{EntityId, base64url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::task::LocalSet;

use crate::program::{Background, Scratch, router, sxlab};

const SECOND: u64 = 1_000_000_000;

async fn session(address: &str) -> (Session<RealWorld>, Receiver<Event>) {
    let address = address.parse().unwrap();
    Session::connect(RealWorld, &address, SUPPORTED, 60 * SECOND).await.unwrap()
}

/// A new queue that the session is subscribed to: its ids and the recipient's key.
async fn queue(session: &Session<RealWorld>) -> (QueueIds, AuthSecretKey) {
    let mut rng = RealWorld.rng();
    let key = AuthSecretKey::generate(KeyType::Ed25519, &mut rng);
    let command =
        Command::New(Box::new(NewQueue::messaging(key.public(), X25519Secret::generate(&mut rng).public())));
    match session.request(EntityId::EMPTY, &command, Some(&key)).await.unwrap() {
        Response::Ids(ids) => (*ids, key),
        other => panic!("{other:?}"),
    }
}

fn base64(id: &EntityId) -> String {
    base64url(id.as_bytes())
}

#[tokio::test]
async fn settings_come_from_a_file_and_flags_win() {
    let scratch = Scratch::new("settings");
    let file = scratch.path("router.toml");
    fs::write(
        &file,
        "quota = 3\nend_interval = \"1s\"\nproxy = false\nlisten = [\"127.0.0.1:0\", \"[::1]:0\"]\n",
    )
    .unwrap();
    let printed =
        sxlab(&["serve", "smp", "--config", &file, "--quota", "2", "--proxy", "on", "--print-config"]).await;
    let printed = printed.data();
    for line in
        ["quota = 2", "end_interval = \"1s\"", "proxy = true", "message_ttl = \"21d\"", "versions = \"6-20\""]
    {
        assert!(printed.lines().any(|printed| printed == line), "{line} in {printed}");
    }
    // What is printed says the same again.
    fs::write(&file, printed).unwrap();
    let again = sxlab(&["serve", "smp", "--config", &file, "--print-config"]).await;
    assert_eq!(again.data(), printed);
    // But for what only its operator should read.
    let secret = ["serve", "smp", "--config", &file, "--password", "hidden", "--print-config"];
    let secret = sxlab(&secret).await;
    assert!(
        secret.data().contains("# password: set") && !secret.data().contains("hidden"),
        "{}",
        secret.stdout
    );
    let shown = ["serve", "smp", "--password", "hidden", "--print-config", "--show-secrets"];
    assert!(sxlab(&shown).await.data().contains("password = \"hidden\""));
    // And a router runs on it: quota 2.
    let (_router, address) = router(&["--config", &file]).await;
    let mut receiver = Background::start(&["smp", "receive", &address, "--count", "9"]);
    let queue = receiver.line().await;
    sxlab(&["smp", "send", &queue, "one"]).await.data();
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_one_line_with_its_place() {
    let scratch = Scratch::new("wrong-settings");
    let file = scratch.path("router.toml");
    for (text, says) in [
        ("quota = 2\nqouta = 3\n", ":2: qouta: unknown key, did you mean `quota`?"),
        ("\nquota = 0\n", ":2: quota: 0 is not between 1 and 1000000000"),
        ("quota = \"many\"\n", ":1: quota: "),
        ("quota = 2\nquota = 3\n", ":2: quota: is there twice"),
        ("proxy = \"off\"\n", ":1: proxy: "),
        ("message_ttl = 15\n", ":1: message_ttl: "),
        ("message_ttl = \"15\"\n", ":1: message_ttl: `15` has no unit"),
        ("message_ttl = \"0s\"\n", ":1: message_ttl: must be longer than 0"),
        ("tls_timeout = \"never\"\n", ":1: tls_timeout: `never` is not a duration"),
        ("versions = \"6-21\"\n", ":1: versions: the versions that there are: 6-20"),
        ("listen = [\n  \"127.0.0.1:0\",\n  \"nowhere\",\n]\n", ":3: listen"),
        ("quota = 2\nlisten = [\"0.0.0.0:0\"]\n", ":2: listen: 0.0.0.0:0 is every address"),
        ("metrics = \"0.0.0.0:0\"\n", ":1: metrics: 0.0.0.0:0 is not a loopback address"),
        ("block = [\"AAAA\"]\n", ":1: block"),
        ("block = [\"AAAA rude\"]\n", "`rude` is no reason"),
        ("password = \"a b\"\n", ":1: password: an address can hold printable ASCII"),
        ("\nkey = \"server.key\"\n", ":2: key: needs its certificates"),
        ("certificate = [\"server.crt\"]\n", ":1: certificate: needs its key"),
        ("dir = \"x\"\nkey = \"k\"\ncertificate = [\"c\"]\n", ":3: certificate: the identity is in `dir` or"),
        ("store = \"s\"\n", ":1: store: the queues of a store belong to an identity"),
        ("log = \"loud\"\n", ":1: log: say error, warn, info or debug"),
        ("quota 2\n", ":1:"),
    ] {
        fs::write(&file, text).unwrap();
        let ended = sxlab(&["serve", "smp", "--config", &file, "--print-config"]).await;
        let line = ended.failure(2);
        assert!(line.starts_with(&file) && line.contains(says), "{text:?}: {line}");
    }
    let gone = scratch.path("none.toml");
    let ended = sxlab(&["serve", "smp", "--config", &gone]).await;
    assert!(ended.failure(2).contains("none.toml: cannot be read"), "{}", ended.stderr);
}

#[tokio::test]
async fn what_is_wrong_with_a_flag_is_one_line_that_names_it() {
    for (args, says) in [
        (&["--quota", "0"][..], "--quota"),
        (&["--versions", "20-6"], "--versions"),
        (&["--metrics", "192.0.2.1:80"], "not a loopback address"),
        (&["--key", "server.key"], "--key: needs its certificates"),
        (&["--certificate", "server.crt"], "--certificate: needs its key"),
        (&["--certificate", "none.crt", "--key", "none.key"], "none.crt: No such file"),
        (&["--proxy", "maybe"], "say on or off"),
        (&["--proxy", "on", "--no-proxy"], "--no-proxy"),
        (&["--block", "AAAA"], "--block"),
        (&["init"], "--dir"),
    ] {
        let ended = sxlab(&[&["serve", "smp"], args].concat()).await;
        let line = ended.failure(2);
        assert!(line.contains(says), "{args:?}: {line}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_store_keeps_messages_when_a_router_is_killed_and_when_it_stops() {
    let local = LocalSet::new();
    local
        .run_until(async {
            let scratch = Scratch::new("store");
            let (dir, store) = (scratch.path("router"), scratch.path("queues"));
            let args = ["--dir", &dir, "--store", &store];
            let (mut running, mut address) = router(&args).await;
            let (owner, _events) = session(&address).await;
            let (ids, key) = queue(&owner).await;
            for end in ["kill", "stop"] {
                let (sender, _) = session(&address).await;
                let send = Command::Send { flags: MsgFlags::default(), body: end.as_bytes().to_vec() };
                assert_eq!(sender.request(ids.sender.clone(), &send, None).await.unwrap(), Response::Ok);
                if end == "kill" {
                    running.kill().await;
                } else {
                    assert_eq!(running.signal("-TERM").await.0, 0);
                }
                (running, address) = router(&args).await;
            }
            // Both wait. Blocked at the next start, they are kept but not given.
            let (again, mut events) = session(&address).await;
            let sub = again.request(ids.recipient.clone(), &Command::Sub, Some(&key)).await.unwrap();
            assert_eq!(sub, Response::Sok { service: None });
            let Some((_, Response::Msg { id, .. })) = events.recv().await else { panic!("no message") };
            let ack = again.request(ids.recipient.clone(), &Command::Ack(id), Some(&key)).await.unwrap();
            assert!(matches!(ack, Response::Msg { .. }), "{ack:?}");
            running.kill().await;
            let block = format!("{} spam", base64(&ids.sender));
            let (_running, address) = router(&[&args[..], &["--block", &block]].concat()).await;
            let (again, _) = session(&address).await;
            let sub = again.request(ids.recipient.clone(), &Command::Sub, Some(&key)).await.unwrap_err();
            assert!(sub.to_string().contains("Blocked") && sub.to_string().contains("Spam"), "{sub}");
            // A store is one router's at a time.
            let taken = sxlab(&["serve", "smp", "--dir", &dir, "--store", &store]).await;
            assert!(taken.failure(2).contains(&store), "{}", taken.stderr);
        })
        .await;
}

/// One of 64 ids begins with a dash, which is no flag.
#[tokio::test]
async fn an_id_may_begin_with_a_dash() {
    let scratch = Scratch::new("dash");
    let (id, socket) = (format!("-{}", "A".repeat(31)), scratch.path("control"));
    let (_router, _) = router(&["--control", &socket, "--block", &format!("{id} spam")]).await;
    let status = sxlab(&["serve", "control", &socket, "status", &id]).await;
    assert_eq!(status.code, 1, "nobody has this queue: {}", status.stderr);
}

#[tokio::test]
async fn every_listener_serves_the_same_router() {
    let mut router =
        Background::start(&["serve", "smp", "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"]);
    let (first, second) = (router.line().await, router.line().await);
    assert!(first.contains("@127.0.0.1:") && second.contains("@127.0.0.2:"), "{first} {second}");
    assert_eq!(first.split('@').next(), second.split('@').next());
    for address in [first, second] {
        sxlab(&["smp", "ping", &address]).await.data();
    }
}

#[tokio::test]
async fn an_identity_is_made_once_and_its_address_is_the_routers() {
    let scratch = Scratch::new("init");
    for kind in ["--ed448", "--host=127.0.0.1"] {
        let dir = scratch.path(kind);
        let made = sxlab(&["serve", "smp", "init", "--dir", &dir, kind]).await;
        let identity = made.data().split('@').next().unwrap().to_owned();
        let kept =
            ["router.crt", "router.key", "ca.key"].map(|name| fs::read(format!("{dir}/{name}")).unwrap());
        let again = sxlab(&["serve", "smp", "init", "--dir", &dir]).await;
        assert!(again.failure(2).contains("exists already"), "{}", again.stderr);
        let after =
            ["router.crt", "router.key", "ca.key"].map(|name| fs::read(format!("{dir}/{name}")).unwrap());
        assert_eq!(kept, after);

        // The directory, and the single files, are that router; messages travel.
        let certificate = format!("{dir}/router.crt");
        let key = format!("{dir}/router.key");
        for args in [&["--dir", &dir][..], &["--certificate", &certificate, "--key", &key]] {
            let (_router, address) = router(args).await;
            assert_eq!(address.split('@').next().unwrap(), identity);
            let mut receiver = Background::start(&["smp", "receive", &address, "--count", "1"]);
            let queue = receiver.line().await;
            sxlab(&["smp", "send", "--via", &address, &queue, "hello"]).await.data();
            assert_eq!(receiver.line().await, "hello");
            assert_eq!(receiver.code().await, 0);
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_control_socket_blocks_deletes_and_tells() {
    let local = LocalSet::new();
    local.run_until(async {
        let scratch = Scratch::new("control");
        let socket = scratch.path("control");
        let (router, address) = router(&["--control", &socket, "--end-interval", "10ms"]).await;
        let (owner, mut events) = session(&address).await;
        let (ids, _key) = queue(&owner).await;
        let (recipient, sender) = (base64(&ids.recipient), base64(&ids.sender));
        let control = async |words: &[&str]| sxlab(&[&["serve", "control", &socket], words].concat()).await;

        let status = "mode=messaging secured=no subscribed=yes messages=0\n";
        assert_eq!(control(&["status", &sender]).await.data(), format!("active {status}"));
        assert_eq!(control(&["block", &sender, "content", "1h"]).await.data(), "was active\n");
        let blocked = "blocked reason=content,notice={\"ttl\":3600}";
        let (entity, told) = events.recv().await.unwrap();
        assert_eq!(entity, ids.recipient);
        assert!(matches!(told, Response::Err(error) if error.to_string() == "BLOCKED reason=content,notice={\"ttl\":3600}"));
        assert_eq!(control(&["status", &recipient]).await.data(), format!("{blocked} {status}"));
        assert_eq!(control(&["unblock", &recipient]).await.data(), format!("was {blocked}\n"));
        assert_eq!(control(&["delete", &sender]).await.data(), "deleted\n");
        assert!(matches!(events.recv().await, Some((entity, Response::Deld)) if entity == ids.recipient));

        for (words, says) in [
            (&["status", &sender][..], "no such queue"),
            (&["delete", "?"], "`?` is not a queue id in base64url"),
            (&["block", &sender], "say which queue and why: ID spam|content [TIME|always]"),
            (&["save"], "queues are in memory: there is nothing to save to"),
            (&["shutdown"], "no such command, say help for those that there are"),
            (&["statistics", "all"], "statistics takes nothing more"),
        ] {
            assert_eq!(control(words).await.failure(1), says, "{words:?}");
        }
        assert!(control(&["help"]).await.data().contains("unblock ID"));
        let statistics = control(&["statistics"]).await;
        for line in ["sxlab_smp_sessions 1", "sxlab_smp_queues 0", "sxlab_smp_commands_total{kind=\"NEW\"} 1"] {
            assert!(statistics.data().lines().any(|told| told == line), "{line} in {}", statistics.data());
        }

        // A socket that is in use is not taken, one that a killed router left is.
        let taken = sxlab(&["serve", "smp", "--control", &socket]).await;
        assert!(taken.failure(2).contains("in use"), "{}", taken.stderr);
        router.kill().await;
        assert!(fs::exists(&socket).unwrap());
        assert!(control(&["help"]).await.failure(3).contains(&socket));
        let (router, _) = crate::program::router(&["--control", &socket]).await;
        control(&["help"]).await.data();
        // One that stops takes it away.
        assert_eq!(router.signal("-TERM").await.0, 0);
        assert!(!fs::exists(&socket).unwrap());
    }).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_router_that_is_asked_to_stop_sends_what_it_gathered_first() {
    let local = LocalSet::new();
    local
        .run_until(async {
            for signal in ["-TERM", "-INT"] {
                // An END that would wait for an hour.
                let (router, address) = router(&["--end-interval", "1h"]).await;
                let ((first, mut events), (second, _)) = (session(&address).await, session(&address).await);
                let (ids, key) = queue(&first).await;
                let taken = second.request(ids.recipient.clone(), &Command::Sub, Some(&key)).await.unwrap();
                assert_eq!(taken, Response::Sok { service: None });
                let (code, _) = router.signal(signal).await;
                assert_eq!(code, 0);
                assert_eq!(events.recv().await, Some((ids.recipient, Response::End)));
                assert_eq!(events.recv().await, None, "and then it is closed");
            }
        })
        .await;
}

async fn get(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn metrics_are_served_on_loopback() {
    let local = LocalSet::new();
    local
        .run_until(async {
            let mut router = Background::noted(&["serve", "smp", "--metrics", "127.0.0.1:0"]);
            let address = router.line().await;
            let told = router.note("metrics: http://").await;
            let place = told.trim_start_matches("metrics: http://").trim_end_matches("/metrics").to_owned();
            let (owner, _events) = session(&address).await;
            let (ids, _key) = queue(&owner).await;
            let answer = get(&place, "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with("HTTP/1.0 200 OK\r\n") && head.contains("text/plain; version=0.0.4"),
                "{head}"
            );
            for line in [
                "# TYPE sxlab_smp_commands_total counter",
                "sxlab_smp_commands_total{kind=\"NEW\"} 1",
                "sxlab_smp_responses_total{kind=\"IDS\"} 1",
                "sxlab_smp_connections 1",
                "sxlab_smp_queues 1",
                "sxlab_smp_messages 0",
                "sxlab_smp_blocks_in_total 2",
            ] {
                assert!(body.lines().any(|told| told == line), "{line} in {body}");
            }
            for line in body.lines() {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(
                    line.starts_with('#') || (name.starts_with("sxlab_smp_") && value.parse::<u64>().is_ok()),
                    "{line}"
                );
            }
            for id in [&ids.recipient, &ids.sender] {
                assert!(!body.contains(&base64(id)));
            }
            for (request, status) in [
                ("GET / HTTP/1.0\r\n\r\n", "404"),
                ("POST /metrics HTTP/1.0\r\n\r\n", "405"),
                ("\r\n\r\n", "400"),
            ] {
                assert!(get(&place, request).await.starts_with(&format!("HTTP/1.0 {status}")), "{request}");
            }
        })
        .await;
}

/// Every way in which a log might show an id: as addresses do, in hex, or shortened.
fn forms(id: &EntityId) -> [String; 4] {
    let hex: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let plain = base64url(id.as_bytes());
    [
        plain.trim_end_matches('=').to_owned(),
        plain.replace('-', "+").replace('_', "/"),
        hex[..8].to_owned(),
        hex,
    ]
}

#[cfg(unix)]
#[tokio::test]
async fn logs_name_nobody_unless_asked_for_details() {
    let local = LocalSet::new();
    local
        .run_until(async {
            for level in ["info", "debug"] {
                let scratch = Scratch::new("logs");
                let socket = scratch.path("control");
                let args = ["serve", "smp", "--log", level, "--control", &socket, "--end-interval", "0s"];
                let mut router = Background::noted(&args);
                let address = router.line().await;
                let ((first, mut events), (second, _)) = (session(&address).await, session(&address).await);
                let (ids, key) = queue(&first).await;
                second.request(ids.recipient.clone(), &Command::Sub, Some(&key)).await.unwrap();
                assert!(matches!(events.recv().await, Some((_, Response::End))));
                // Through a proxy, to a relay that is not there.
                let gone = format!("{}@127.0.0.1:1", address.split('@').next().unwrap());
                second.relay(&gone.parse().unwrap(), None).await.map(|_| ()).unwrap_err();
                // Somebody who does not speak TLS, and the operator.
                let (_, place) = address.split_once('@').unwrap();
                get(place, "GET / HTTP/1.0\r\n\r\n").await;
                let block = ["serve", "control", &socket, "block", &base64(&ids.sender), "spam"];
                sxlab(&block).await.data();
                let (code, said) = router.signal("-TERM").await;
                assert_eq!(code, 0);

                assert!(
                    said.contains("INFO the router runs") && said.contains("the router has stopped"),
                    "{said}"
                );
                assert!(
                    said.contains("a relay could not be reached") && said.contains("an operator's command"),
                    "{said}"
                );
                let named = |text: &str| said.contains(text);
                if level == "debug" {
                    assert!(
                        named("127.0.0.1") && named("session=1"),
                        "a test that finds nothing would prove nothing: {said}"
                    );
                    continue;
                }
                let (_, port) = place.rsplit_once(':').unwrap();
                assert!(!named("127.0.0.1") && !named(&format!(":{port}")) && !named("session"), "{said}");
                assert!(!named(&address[6..20]) && !named(&socket), "{said}");
                for form in forms(&ids.recipient).into_iter().chain(forms(&ids.sender)) {
                    assert!(!named(&form), "{form} in {said}");
                }
            }
        })
        .await;
}
