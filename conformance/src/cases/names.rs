//! Names: RSLV and its answers.

use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{NameError, SmpError};
use sxlab_protocol::smp::name::Name;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{CorrId, EntityId};

use crate::case::Case;
use crate::lab::{Failure, Lab, Request, Who, require_eq};
use crate::target::Settings;

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
    let answer = |name: &str, status, body: &str| (name.to_owned(), status, body.to_owned());
    settings.resolver = Some(vec![
        answer("alice.simplex", 200, SAID),
        answer("missing.simplex", 404, ""),
        answer("bad.simplex", 400, "{}"),
        answer("broken.simplex", 502, ""),
        answer("nonsense.simplex", 200, "not JSON"),
    ]);
}

fn forwarded(lab: &mut Lab<'_>, who: Who, name: &str) -> Result<Response, Failure> {
    let name = Name::parse(name).map_err(Failure::error)?;
    let corr: CorrId = lab.corr();
    let upstream = lab.post_rfwd(who, &Request::from(Command::Rslv(name)).corr(&corr))?;
    Ok(lab.returned(&upstream)?.response)
}
