//! Names asked of an HTTP service (NM-5, NM-6, NM-9, NM-10).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sxlab_node::resolver::{Authorization, Resolver, ResolverConfig, ResolverError};
use sxlab_node::world::World;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{NameError, SmpError};
use sxlab_protocol::smp::name::{Name, NameRecord};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::EntityId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::network::{Network, TestWorld, run};
use crate::party::{client, resolving_site};

const RECORD: &str = r#"{"name":"alice.simplex","nickname":"","website":"","location":"","simplexContact":["simplex:/a#x"],"simplexChannel":[],"eth":null,"btc":null,"xmr":null,"dot":null,"owner":"0x0","resolver":"0x1"}"#;

/// What the service does with a request.
#[derive(Clone)]
enum Reply {
    /// Writes this and closes.
    Say(Vec<u8>),
    /// Writes this and stays silent.
    Stall(Vec<u8>),
}

fn say(status: &str, fields: &str, body: &str) -> Reply {
    Reply::Say(format!("HTTP/1.1 {status}\r\n{fields}\r\n{body}").into_bytes())
}

fn ok(body: &str) -> Reply {
    say("200 OK", &format!("Content-Length: {}\r\n", body.len()), body)
}

/// A service on `host` that answers so; the requests that it got.
fn backend(network: &Network, host: &str, reply: Reply) -> Rc<RefCell<Vec<String>>> {
    let requests = Rc::new(RefCell::new(Vec::new()));
    let (world, listener, seen) = (network.world(host), Rc::new(network.listen(host)), Rc::clone(&requests));
    tokio::task::spawn_local(async move {
        loop {
            let (mut stream, _) = world.accept(&listener).await.unwrap();
            let (reply, seen) = (reply.clone(), Rc::clone(&seen));
            tokio::task::spawn_local(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
                }
                seen.borrow_mut().push(String::from_utf8(request).unwrap());
                match reply {
                    Reply::Say(bytes) => drop(stream.write_all(&bytes).await),
                    Reply::Stall(bytes) => {
                        stream.write_all(&bytes).await.unwrap();
                        std::future::pending::<()>().await;
                    }
                }
            });
        }
    });
    requests
}

async fn look_up(world: &TestWorld, config: &ResolverConfig) -> Result<NameRecord, NameError> {
    let name = Name::parse("Alice.Simplex").unwrap();
    Resolver::new(config).unwrap().look_up(world, &name).await
}

fn failed<T>(detail: &str) -> Result<T, NameError> {
    Err(NameError::Resolver(detail.to_owned()))
}

#[test]
fn one_get_asks_for_a_name() {
    run(async |network| {
        let requests = backend(&network, "names.test", ok(RECORD));
        let world = network.world("router");
        let head = |path: &str, host: &str, authorization: &str| {
            format!(
                "GET {path}/resolve/alice.simplex HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\
                 Connection: close\r\n{authorization}\r\n"
            )
        };
        let basic = Authorization::Basic { user: "me".into(), password: "a:b".into() };
        for (base, authorization, expected) in [
            ("http://names.test", None, head("", "names.test", "")),
            ("http://names.test:8080/", None, head("", "names.test:8080", "")),
            ("http://names.test/v1/x/", None, head("/v1/x", "names.test", "")),
            ("http://names.test", Some(basic), head("", "names.test", "Authorization: Basic bWU6YTpi\r\n")),
            (
                "http://names.test",
                Some(Authorization::Bearer("t0k".into())),
                head("", "names.test", "Authorization: Bearer t0k\r\n"),
            ),
        ] {
            let config = ResolverConfig { authorization, ..ResolverConfig::new(base) };
            assert_eq!(look_up(&world, &config).await, Ok(NameRecord::parse(RECORD.as_bytes()).unwrap()));
            assert_eq!(requests.borrow_mut().split_off(0), [expected], "one request");
        }
    });
}

#[test]
fn every_form_of_a_body_is_read() {
    let (one, two) = RECORD.split_at(50);
    let length = RECORD.len();
    let chunks = format!("{:x}\r\n{one}\r\n{:X};ext=1\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
    for reply in [
        ok(RECORD),
        say("200 OK", "", RECORD),
        say("200 OK", "Transfer-Encoding: chunked\r\n", &chunks),
        say("200 OK", "transfer-encoding: Chunked\r\nContent-Length: 3\r\n", &chunks),
        say("200 OK", &format!("content-length: {length}\r\nX: y\r\n"), &format!("{RECORD}tail")),
        say("103 Early Hints", "Link: x\r\n", &format!("HTTP/1.1 200 OK\r\n\r\n{RECORD}")),
    ] {
        run(async |network| {
            backend(&network, "names.test", reply);
            let config = ResolverConfig::new("http://names.test");
            assert!(look_up(&network.world("router"), &config).await.is_ok());
        });
    }
}

#[test]
fn what_goes_wrong_is_told_in_a_word() {
    let large = "x".repeat(16_001);
    let hex = format!("3e81\r\n{large}\r\n0\r\n\r\n");
    let cases = [
        (say("404 Not Found", "", "no"), Err(NameError::NotFound)),
        (say("400 Bad Request", "", ""), Err(NameError::NotFound)),
        (say("502 Bad Gateway", "", RECORD), failed("HTTP 502")),
        (say("204 No Content", "", ""), failed("HTTP 204")),
        (say("302 Found", "Location: http://elsewhere.test/\r\n", ""), failed("HTTP 302")),
        (ok("{}"), failed("invalid response")),
        (ok("not JSON"), failed("invalid response")),
        (ok(""), failed("invalid response")),
        (ok(&large), failed("response too large")),
        (say("200 OK", "", &large), failed("response too large")),
        (say("200 OK", "Transfer-Encoding: chunked\r\n", &hex), failed("response too large")),
        (say("200 OK", "Content-Length: 99999999999999999999\r\n", ""), failed("transport failure")),
        (say("200 OK", "Content-Length: 3\r\nContent-Length: 4\r\n", RECORD), failed("transport failure")),
        (say("200 OK", "Content-Length: +3\r\n", RECORD), failed("transport failure")),
        (say("200 OK", "Content-Length: 9999\r\n", RECORD), failed("transport failure")),
        (say("200 OK", "Transfer-Encoding: gzip\r\n", RECORD), failed("transport failure")),
        (say("200 OK", "Transfer-Encoding: chunked\r\n", "zz\r\n"), failed("transport failure")),
        (say("200 OK", "Transfer-Encoding: chunked\r\n", "1\r\nxyz"), failed("transport failure")),
        (Reply::Say(b"SSH-2.0-x\r\n".to_vec()), failed("transport failure")),
        (Reply::Say(Vec::new()), failed("transport failure")),
        (say("200 OK", &format!("X: {}\r\n", "y".repeat(20_000)), ""), failed("transport failure")),
        (Reply::Stall(Vec::new()), failed("timeout")),
        (Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{".to_vec()), failed("timeout")),
    ];
    for (number, (reply, expected)) in cases.into_iter().enumerate() {
        run(async |network| {
            backend(&network, "names.test", reply);
            let config = ResolverConfig::new("http://names.test");
            let world = network.world("router");
            let start = world.now();
            let stalled = expected == failed("timeout");
            assert_eq!(look_up(&world, &config).await, expected, "case {number}");
            assert_eq!(world.now() - start >= config.timeout, stalled, "case {number}");
            assert_eq!(network.tried(), ["names.test"], "no redirect is followed");
        });
    }
    run(async |network| {
        let config = ResolverConfig::new("http://nobody.test");
        let world = network.world("router");
        assert_eq!(look_up(&world, &config).await, failed("transport failure"));
        network.silence("nobody.test");
        assert_eq!(look_up(&world, &config).await, failed("timeout"));
    });
}

#[test]
fn an_answer_of_just_the_limit_is_taken() {
    let padding = " ".repeat(16_000 - RECORD.len());
    run(async |network| {
        backend(&network, "names.test", ok(&format!("{RECORD}{padding}")));
        let config = ResolverConfig::new("http://names.test");
        assert!(look_up(&network.world("router"), &config).await.is_ok());
    });
}

#[test]
fn an_address_that_names_no_service_is_refused() {
    let refused = |base: &str| Resolver::new(&ResolverConfig::new(base)).err();
    for base in ["http://h", "http://h:1", "http://[::1]", "http://[::1]:80/x", "http://1.2.3.4:65535/a/b"] {
        assert_eq!(refused(base), None, "{base}");
    }
    for base in ["https://h", "h", "", "HTTP://h"] {
        assert_eq!(refused(base), Some(ResolverError::Scheme), "{base}");
    }
    for base in [
        "http://",
        "http:///x",
        "http://h:",
        "http://h:0",
        "http://h:65536",
        "http://h:x",
        "http://u@h",
        "http://h/?q",
        "http://h/#f",
        "http://h/a b",
        "http://h\r\nX: y",
        "http://[::1",
        "http://::1",
        "http://[]",
        "http://[::1]x",
    ] {
        assert_eq!(refused(base), Some(ResolverError::Address), "{base}");
    }
    for authorization in [
        Authorization::Basic { user: "a:b".into(), password: String::new() },
        Authorization::Basic { user: "a".into(), password: "\r\n".into() },
        Authorization::Bearer("a b".into()),
        Authorization::Bearer("\n".into()),
        Authorization::Bearer(String::new()),
    ] {
        let config = ResolverConfig { authorization: Some(authorization), ..ResolverConfig::new("http://h") };
        assert_eq!(Resolver::new(&config).err(), Some(ResolverError::Authorization));
    }
}

#[test]
fn a_router_answers_rslv_with_what_its_service_says() {
    run(async |network| {
        backend(&network, "names.test", ok(RECORD));
        let router = resolving_site(&network, "a.test", &ResolverConfig::new("http://names.test"));
        let client = client(&network, "client", &router).await;
        let rslv = Command::Rslv(Name::parse("alice.simplex").unwrap());
        let answer = client.session.request(EntityId::EMPTY, &rslv, None).await.unwrap();
        assert_eq!(answer, Response::Rname(RECORD.to_owned()));
    });
}

#[test]
fn a_slow_lookup_holds_up_nothing_else() {
    run(async |network| {
        backend(&network, "names.test", Reply::Stall(Vec::new()));
        let router = resolving_site(&network, "a.test", &ResolverConfig::new("http://names.test"));
        let client = client(&network, "client", &router).await;
        let session = client.session.clone();
        let lookup = tokio::task::spawn_local(async move {
            let rslv = Command::Rslv(Name::parse("alice.simplex").unwrap());
            session.request(EntityId::EMPTY, &rslv, None).await
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(client.ping().await.unwrap(), Response::Pong);
        assert!(!lookup.is_finished());
        let outcome = lookup.await.unwrap();
        let expected = SmpError::Name(NameError::Resolver("timeout".to_owned()));
        assert!(matches!(outcome, Err(sxlab_node::client::SessionError::Router(error)) if error == expected));
        // A router can be stopped after it.
        drop(client);
        assert!(router.node.take_store().is_some());
    });
}
