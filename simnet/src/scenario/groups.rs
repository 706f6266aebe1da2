//! Checks `[groups]`: how many groups there are, how large, and how much goes to them.

use serde::Serialize;
use serde_spanned::Spanned;

use super::check::millionths;
use super::file::File;
use super::users::{MAX_CONVERSATIONS, distribution};
use super::{Degrees, Users};
use crate::input::{Checker, InputError};

/// The most members of a group.
pub(super) const MAX_MEMBERS: u32 = 1000;

/// Groups of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Groups {
    /// How many.
    pub count: u32,
    /// How many members they have.
    pub sizes: Degrees,
    /// Millionths of a member's messages that go to groups.
    pub messages_millionths: u32,
    /// Millionths of the members, owners not counted, who join while messages are sent.
    pub joining_millionths: u32,
}

/// Checks the table.
pub(super) fn groups(
    checker: &Checker<'_>,
    file: &File,
    users: &Users,
) -> Result<Option<Groups>, InputError> {
    let Some(table) = &file.groups else { return Ok(None) };
    let count = *table.count.get_ref();
    if count == 0 {
        return Err(checker.at(table.count.span(), "groups.count", "must be at least 1"));
    }
    let most = MAX_MEMBERS.min(users.count);
    let fits = |span, size: u32| {
        if (2..=most).contains(&size) {
            return Ok(());
        }
        Err(checker.at(span, "groups.sizes", format!("{size} members are not between 2 and {most}")))
    };
    let sizes = distribution(checker, "groups.sizes", &table.sizes, fits)?;
    let share = |key: &str, share: &Spanned<f64>| match *share.get_ref() {
        0.0 => Ok(0),
        _ => millionths(checker, key, share),
    };
    let groups = Groups {
        count,
        sizes,
        messages_millionths: share("groups.messages", &table.messages)?,
        joining_millionths: match &table.joining {
            None => 0,
            Some(joining) => share("groups.joining", joining)?,
        },
    };
    let pairs = groups.expected_pairs();
    if pairs > u64::from(MAX_CONVERSATIONS) {
        let message = format!("makes about {pairs} pairs of members, the most is {MAX_CONVERSATIONS}");
        return Err(checker.at(table.count.span(), "groups.count", message));
    }
    Ok(Some(groups))
}
