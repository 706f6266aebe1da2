//! Names: RSLV and its answers.

use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{NameError, SmpError};
use sxlab_protocol::smp::name::Name;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{CorrId, EntityId};

use crate::case::{Case, Outcome};
use crate::lab::queues::send;
use crate::lab::{Failure, Lab, Request, SECOND, Who, require, require_eq};
use crate::target::{NameAnswer, Names, Settings, names};

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case::new(
        "names.no-resolver",
        "A router without resolver answers RSLV by ERR NAME NO_RESOLVER, in sessions of every version.",
        &["smp.names.no-resolver", "smp.names.older-versions", "smp.versions.not-gated", "smp.errors.tags"],
        |lab| {
            let who = lab.client()?;
            lab.ask(who, Request::bytes(*b"RSLV alice.simplex"))?.is_bytes(b"ERR NAME NO_RESOLVER")
        },
    )
    .versions(8, 20),
    Case::new(
        "names.bare",
        "RSLV takes neither authorization nor entity.",
        &["smp.names.rslv", "smp.authorization.not-allowed"],
        |lab| {
            let who = lab.client()?;
            let (key, rslv) = (lab.sender_key(), Request::bytes(*b"RSLV alice.simplex"));
            lab.ask(who, rslv.clone().by(&key))?.is("ERR CMD HAS_AUTH")?;
            lab.ask(who, rslv.of(&EntityId::from([1; 24])))?.is("ERR CMD HAS_AUTH")
        },
    )
    .versions(20, 20),
    Case::new(
        "names.malformed",
        "A name that breaks the rules is ERR CMD SYNTAX.",
        &["smp.names.malformed", "smp.names.syntax"],
        |lab| {
            let who = lab.client()?;
            let long_label = format!("{}.simplex", "a".repeat(64));
            let long = format!("{}.simplex", ["a".repeat(60).as_str(); 5].join("."));
            let names = [
                "alice", "", ".simplex", "alice.", "alice..simplex", "alice.simplex.", "a--b.simplex", "-a.simplex",
                "a-.simplex", "a_b.simplex", "café.simplex", &long_label, &long,
            ];
            for name in names {
                let answer = lab.ask(who, Request::bytes(format!("RSLV {name}")))?;
                answer.is("ERR CMD SYNTAX").map_err(|failure| failure.during(name))?;
            }
            Ok(())
        },
    )
    .versions(20, 20),
    Case::new(
        "names.accepted",
        "Digits alone, single inner hyphens, long labels and what follows a space or line break are accepted.",
        &["smp.names.syntax", "smp.names.numeric", "smp.names.tail"],
        |lab| {
            let who = lab.client()?;
            let long = format!("{}.simplex", "a".repeat(63));
            for name in ["a-b.c-d", "alice.123", "1.2.3.4", &long, "alice.simplex more", "alice.simplex\n"] {
                let answer = lab.ask(who, Request::bytes(format!("RSLV {name}")))?;
                answer.is("ERR NAME NO_RESOLVER").map_err(|failure| failure.during(name))?;
            }
            Ok(())
        },
    )
    .versions(20, 20),
    Case::new(
        "names.record",
        "A name that is found is answered by RNAME, without entity: a JSON object of twelve fields.",
        &["smp.names.rslv", "smp.names.answer", "smp.names.record", "smp.names.case", "smp.names.record-reading"],
        |lab| {
            let who = lab.client()?;
            let corr = lab.corr();
            let answer = lab.ask(who, Request::bytes(*b"RSLV Alice.Simplex").corr(&corr))?;
            answer.addressed(&corr, &EntityId::EMPTY)?;
            let Ok(Response::Rname(json)) = &answer.response else { return Err(answer.unexpected("RNAME")) };
            require_eq("the record", json.as_str(), RECORD)
        },
    )
    .versions(20, 20)
    .settings(resolving),
    Case::new(
        "names.not-found",
        "404 and 400 of the resolver are NOT_FOUND; other failures are RESOLVER with a few words.",
        &["smp.names.not-found", "smp.names.resolver-error", "smp.versions.v20"],
        |lab| {
            let who = lab.client()?;
            for (name, said) in [
                ("missing.simplex", "ERR NAME NOT_FOUND"),
                ("bad.simplex", "ERR NAME NOT_FOUND"),
                ("broken.simplex", "ERR NAME RESOLVER HTTP 502"),
                ("nonsense.simplex", "ERR NAME RESOLVER invalid response"),
            ] {
                lab.ask(who, Request::bytes(format!("RSLV {name}")))?.is(said)?;
            }
            Ok(())
        },
    )
    .versions(20, 20)
    .settings(resolving),
    Case::new(
        "names.timeout",
        "A resolver that does not answer is RESOLVER timeout.",
        &["smp.names.resolver-error"],
        |lab| {
            let who = lab.client()?;
            lab.ask(who, rslv("dead.simplex"))?.is("ERR NAME RESOLVER timeout")
        },
    )
    .versions(20, 20)
    .settings(resolving),
    Case::new(
        "names.request",
        "Each lookup is one GET below the configured address, asking for JSON, with the configured token; nothing is kept.",
        &["smp.names.request", "smp.names.no-redirect"],
        request,
    )
    .versions(20, 20)
    .settings(resolving),
    Case::new(
        "names.no-redirect",
        "A redirect of the resolver is a failure, and not followed.",
        &["smp.names.no-redirect", "smp.names.resolver-error"],
        |lab| {
            let who = lab.client()?;
            let before = lab.lookups()?.requests.len();
            lab.ask(who, rslv("moved.simplex"))?.is("ERR NAME RESOLVER HTTP 302")?;
            require_eq("the number of requests", lab.lookups()?.requests.len() - before, 1)
        },
    )
    .versions(20, 20)
    .settings(resolving),
    Case::new(
        "names.size",
        "An answer of the resolver of 16,000 bytes is passed on, one of a byte more is a failure.",
        &["smp.names.size", "smp.names.resolver-error"],
        |lab| {
            let who = lab.client()?;
            lab.ask(who, rslv("fits.simplex"))?.is("RNAME")?;
            lab.ask(who, rslv("large.simplex"))?.is("ERR NAME RESOLVER response too large")
        },
    )
    .versions(20, 20)
    .settings(resolving),
    Case::new(
        "names.slow",
        "While a lookup waits for the resolver, other commands of its session are answered.",
        &["smp.names.slow"],
        |lab| {
            let who = lab.client()?;
            let lookup = lab.post(who, rslv("slow.simplex"))?;
            let ping = lab.post(who, Command::Ping)?;
            let first = lab.next(who)?;
            require_eq("the correlation id of the first answer", &first.corr, &ping)?;
            first.is("PONG")?;
            lab.answer(who, &lookup)?.is("RNAME")
        },
    )
    .versions(20, 20)
    .settings(resolving),
    Case::new(
        "names.forwarded-slow",
        "A forwarded lookup is answered when the resolver has answered, and forwards after it are not held up.",
        &["smp.names.forwarded-slow"],
        |lab| {
            let (owner, proxy) = (lab.client()?, lab.proxy_client()?);
            let queue = lab.queue(owner)?;
            let began = lab.now();
            let lookup = lab.post_rfwd(proxy, &rslv("slow.simplex"))?;
            let sent = lab.post_rfwd(proxy, &Request::from(send("hello")).of(&queue.sender))?;
            require_eq("the answer to SEND", lab.returned(&sent)?.response, Response::Ok)?;
            require(lab.now() < began + 2 * SECOND, || "SEND waits for the lookup before it".to_owned())?;
            let record = Response::Rname(RECORD.to_owned());
            require_eq("the answer to RSLV", lab.returned(&lookup)?.response, record)
        },
    )
    .versions(20, 20)
    .settings(resolving),
    Case::new(
        "names.concurrency",
        "At most 1,000 lookups wait for the resolver at a time, and all are answered in the end.",
        &["smp.names.concurrency"],
        crowd,
    )
    .versions(20, 20)
    .settings(crowded),
    Case::new(
        "names.forwarded",
        "RSLV is forwarded by proxies, and answered inside.",
        &["smp.names.rslv", "smp.proxy.allowed-commands"],
        |lab| {
            let who = lab.proxy_client()?;
            require_eq("the answer", forwarded(lab, who, "alice.simplex")?, Response::Rname(RECORD.to_owned()))?;
            let missing = Response::Err(SmpError::Name(NameError::NotFound));
            require_eq("the answer", forwarded(lab, who, "missing.simplex")?, missing)
        },
    )
    .versions(20, 20)
    .settings(resolving),
];

/// What the resolver of the settings knows of alice, as the router passes it on.
const RECORD: &str = concat!(
    r#"{"name":"alice.simplex","nickname":"Alice","website":"","location":"","simplexContact":["simplex:/a"],"#,
    r#""simplexChannel":[],"eth":null,"btc":"bc1","xmr":null,"dot":null,"owner":"0x0","resolver":"0x1"}"#
);

/// The same as the resolver says it: other order, unknown fields, no coins but one.
const SAID: &str = concat!(
    r#"{"resolver":"0x1", "owner":"0x0", "later":{"a":[1]}, "btc":"bc1", "name":"alice.simplex", "website":"", "#,
    r#""nickname":"Alice", "simplexChannel":[], "simplexContact":["simplex:/a"], "location":""}"#
);

fn resolving(settings: &mut Settings) {
    let mut answers = vec![
        NameAnswer::new("alice.simplex", 200, SAID),
        NameAnswer::new("missing.simplex", 404, ""),
        NameAnswer::new("bad.simplex", 400, "{}"),
        NameAnswer::new("broken.simplex", 502, ""),
        NameAnswer::new("nonsense.simplex", 200, "not JSON"),
        NameAnswer::new("fits.simplex", 200, filled(16_000)),
        NameAnswer::new("large.simplex", 200, filled(16_001)),
        NameAnswer { after: 2 * SECOND, ..NameAnswer::new("slow.simplex", 200, SAID) },
        NameAnswer { after: 20 * SECOND, ..NameAnswer::new("dead.simplex", 200, SAID) },
    ];
    answers.push(NameAnswer {
        location: Some(format!("{}/resolve/alice.simplex", names::PATH)),
        ..NameAnswer::new("moved.simplex", 302, "")
    });
    settings.resolver = Some(Names { answers, crowd: false });
}

/// A resolver that many may ask at a time.
fn crowded(settings: &mut Settings) {
    let slow = NameAnswer { after: SECOND, ..NameAnswer::new("slow.simplex", 200, SAID) };
    settings.resolver = Some(Names { answers: vec![slow], crowd: true });
}

/// A record with a field that nobody knows, which makes it so long.
fn filled(length: usize) -> String {
    let with = |filling: &str| SAID.replacen('{', &format!(r#"{{"filling":"{filling}", "#), 1);
    with(&"x".repeat(length.saturating_sub(with("").len())))
}

fn rslv(name: &str) -> Request {
    Request::bytes(format!("RSLV {name}"))
}

/// Requests as the resolver wants them.
fn request(lab: &mut Lab<'_>) -> Outcome {
    let who = lab.client()?;
    let before = lab.lookups()?.requests.len();
    for _ in 0..2 {
        lab.ask(who, rslv("Alice.simplex"))?.is("RNAME")?;
    }
    let requests = lab.lookups()?.requests;
    let requests = requests.get(before..).unwrap_or_default();
    require_eq("the number of requests for two lookups", requests.len(), 2)?;
    for request in requests {
        let mut lines = request.split("\r\n");
        let line = lines.next().unwrap_or_default();
        require_eq("the request", line, &format!("GET {}/resolve/alice.simplex HTTP/1.1", names::PATH))?;
        let fields: Vec<(String, &str)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
            .collect();
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        let accept = field("accept").unwrap_or_default();
        require(accept.contains("application/json"), || format!("the request accepts `{accept}`"))?;
        let token = format!("Bearer {}", names::TOKEN);
        require_eq("the authorization", field("authorization"), Some(token.as_str()))?;
    }
    Ok(())
}

/// Lookups that wait, more than may.
fn crowd(lab: &mut Lab<'_>) -> Outcome {
    const MOST: usize = 1_000;
    let mut asked = Vec::new();
    for _ in 0..5 {
        let who = lab.client()?;
        for corr in lab.post_batch(who, &vec![rslv("slow.simplex"); 210])? {
            asked.push((who, corr));
        }
    }
    for (who, corr) in &asked {
        lab.answer(*who, corr)?.is("RNAME")?;
    }
    let lookups = lab.lookups()?;
    require(lookups.most <= MOST, || format!("{} lookups wait at a time", lookups.most))?;
    require_eq("the number of requests", lookups.requests.len(), asked.len())
}

fn forwarded(lab: &mut Lab<'_>, who: Who, name: &str) -> Result<Response, Failure> {
    let name = Name::parse(name).map_err(Failure::error)?;
    let corr: CorrId = lab.corr();
    let upstream = lab.post_rfwd(who, &Request::from(Command::Rslv(name)).corr(&corr))?;
    Ok(lab.returned(&upstream)?.response)
}
