//! Asking for names.

use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::error::{NameError, SmpError};
use sxlab_protocol::smp::response::Response;

use super::session::well_written;
use crate::case::Case;
use crate::lab::{Asked, Failure, Guest, Lab, require_eq};
use crate::target::Action;

/// A record in another order than routers write it, with a field that nobody knows and without coins.
const RECORD: &str = concat!(
    r#"{"resolver":"0x1","later":{"a":[1]},"simplexContact":["simplex:/a","simplex:/b"],"simplexChannel":[],"#,
    r#""owner":"0x0","location":"","website":"","nickname":"Alice","name":"alice.simplex"}"#
);

pub(super) const CASES: &[Case] = &[
    Case::new(
        "client-names.record",
        "A client asks by RSLV without entity and authorization, and reads a record in any order, with unknown fields, without coins.",
        &["smp.names.record-reading", "smp.versions.v20"],
        |lab| {
            let (guest, asked) = resolving(lab)?;
            asked.bare()?;
            let Command::Rslv(name) = well_written(lab, &asked)? else { return Err(Failure::wrong("no RSLV")) };
            require_eq("the name in RSLV", name.as_str(), "alice.simplex")?;
            lab.answer_to(guest.who, &asked, &Response::Rname(RECORD.to_owned()))?;
            lab.succeeds()?;
            let shown: Vec<Vec<u8>> = lab.shown(2).lines;
            require_eq("the addresses that the client shows", shown, vec![b"simplex:/a".to_vec(), b"simplex:/b".to_vec()])
        },
    )
    .versions(20, 20)
    .client(),
    Case::new(
        "client-names.refused",
        "A name that is not found, or that the router can't look up, is a failure.",
        &["smp.versions.v20"],
        |lab| {
            for error in [NameError::NotFound, NameError::NoResolver, NameError::Resolver("HTTP 502".to_owned())] {
                let (guest, asked) = resolving(lab)?;
                lab.answer_to(guest.who, &asked, &Response::Err(SmpError::Name(error)))?;
                lab.fails()?;
            }
            Ok(())
        },
    )
    .versions(20, 20)
    .client(),
    Case::new(
        "client-names.older-versions",
        "A client asks no router below version 20 for a name.",
        &["smp.names.client-version"],
        |lab| {
            let guest = asked_to(lab)?;
            lab.says_nothing(guest.who)?;
            lab.fails()
        },
    )
    .versions(6, 19)
    .client(),
];

/// A client that was asked to resolve a name, in its session.
fn asked_to(lab: &mut Lab<'_>) -> Result<Guest, Failure> {
    let door = lab.door()?;
    lab.act(&Action::Resolve { router: door.address.clone(), name: "alice.simplex".to_owned() })?;
    let visit = lab.visit(&door, |_| {})?;
    lab.welcome(&door, visit)
}

/// The same, with RSLV as it came.
fn resolving(lab: &mut Lab<'_>) -> Result<(Guest, Asked), Failure> {
    let guest = asked_to(lab)?;
    let asked = lab.command_of(guest.who, "RSLV")?;
    Ok((guest, asked))
}
