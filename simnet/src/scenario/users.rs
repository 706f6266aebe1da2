//! Checks the users of a scenario file: how many, where, and who is in contact.

use serde_spanned::Spanned;

use super::check::millionths;
use super::file::{self, File};
use super::trace::beside;
use super::{Degrees, Graph, Users, Workload};
use crate::degrees::DegreeTable;
use crate::friends;
use crate::input::{Checker, InputError};

/// The most users that a scenario may have.
const MAX_USERS: u32 = 1_000_000;
/// The most conversations that a scenario may have.
pub(super) const MAX_CONVERSATIONS: u32 = 10_000_000;

/// Checks `[users]`. Reads the friendship list if there is one.
pub(super) fn users(
    checker: &Checker<'_>,
    file: &File,
    regions: usize,
    workload: &Workload,
) -> Result<Users, InputError> {
    let users = file.users.get_ref();
    if let Some(count) = &users.count
        && !(2..=MAX_USERS).contains(count.get_ref())
    {
        let message = format!("{} is not between 2 and {MAX_USERS}", count.get_ref());
        return Err(checker.at(count.span(), "users.count", message));
    }
    let region_weights = match &users.region_weights {
        None => vec![1; regions],
        Some(weights) if weights.get_ref().len() != regions => {
            let message = format!("{} weights for {regions} regions", weights.get_ref().len());
            return Err(checker.at(weights.span(), "users.region_weights", message));
        }
        Some(weights) if weights.get_ref().iter().all(|&weight| weight == 0) => {
            return Err(checker.at(weights.span(), "users.region_weights", "must not all be 0"));
        }
        Some(weights) => weights.get_ref().clone(),
    };
    let name = match (&users.graph, workload) {
        (None, Workload::Trace(_)) => "trace",
        (None, _) => "random",
        (Some(graph), Workload::Trace(_)) if graph.get_ref() != "trace" => {
            return Err(checker.at(graph.span(), "users.graph", "with a trace the graph is \"trace\""));
        }
        (Some(graph), _) => graph.get_ref().as_str(),
    };
    if name != "degrees" {
        checker.absent("users.degrees", users.degrees.as_ref(), "belongs to graph = \"degrees\"")?;
    }
    if name != "file" {
        checker.absent("users.file", users.file.as_ref(), "belongs to graph = \"file\"")?;
    }
    let contacts = users.contacts.as_ref();
    let count = || {
        let count = users.count.as_ref();
        checker.required(file.users.span(), "users.count", count, "say how many users there are")
    };
    let (count, graph) = match (name, workload) {
        ("trace", Workload::Trace(_)) => {
            let why = "a trace itself says who is in contact, leave `contacts` out";
            checker.absent("users.contacts", contacts, why)?;
            (users.count.as_ref().map_or(MAX_USERS, |count| *count.get_ref()), Graph::Trace)
        }
        ("file", _) => {
            let why = "the list says who is in contact, leave it out";
            checker.absent("users.contacts", contacts, why)?;
            checker.absent("users.count", users.count.as_ref(), why)?;
            let span = users.graph.as_ref().map(Spanned::span).unwrap_or_default();
            let name = checker.required(span, "users.file", users.file.as_ref(), "name the list's file")?;
            let path = beside(checker, "users.file", "friendship list", "its path may be absolute", name)?;
            let list = friends::read(&path, MAX_USERS, MAX_CONVERSATIONS)?;
            (list.names.len() as u32, Graph::File(list))
        }
        ("degrees", _) => {
            let why = "the degrees say how many contacts users have, leave `contacts` out";
            checker.absent("users.contacts", contacts, why)?;
            let count = *count()?.get_ref();
            (count, Graph::Degrees(degrees(checker, users, count)?))
        }
        ("random" | "ring", _) => {
            let count = count()?;
            let conversations = conversations(checker, users, count, name == "ring")?;
            let graph = match name {
                "ring" => Graph::Ring { conversations },
                _ => Graph::Random { conversations },
            };
            (*count.get_ref(), graph)
        }
        _ => {
            let known = ["random", "ring", "degrees", "file", "trace"];
            return Err(match &users.graph {
                Some(graph) if name == "trace" => {
                    checker.at(graph.span(), "users.graph", "\"trace\" needs workload.kind = \"trace\"")
                }
                Some(graph) => checker.unknown_name("users.graph", "graph", graph, &known),
                None => checker.whole("users.graph", "missing"),
            });
        }
    };
    Ok(Users { count, graph, region_weights })
}

/// The conversations of a graph with a mean number of contacts.
fn conversations(
    checker: &Checker<'_>,
    users: &file::Users,
    count: &Spanned<u32>,
    ring: bool,
) -> Result<u32, InputError> {
    let why = "say how many contacts a user has on average";
    let contacts = checker.required(count.span(), "users.contacts", users.contacts.as_ref(), why)?;
    let (count, mean) = (*count.get_ref(), *contacts.get_ref());
    let wrong = |message: String| Err(checker.at(contacts.span(), "users.contacts", message));
    if mean == 0 || mean >= count {
        return wrong(format!("{mean} is not between 1 and {}, the number of other users", count - 1));
    }
    let conversations = u64::from(count) * u64::from(mean) / 2;
    if conversations > u64::from(MAX_CONVERSATIONS) {
        return wrong(format!("makes {conversations} conversations, the most is {MAX_CONVERSATIONS}"));
    }
    if ring && mean == 1 {
        return wrong("in a ring everyone has at least 2".to_owned());
    }
    Ok(conversations as u32)
}

fn degrees(checker: &Checker<'_>, users: &file::Users, count: u32) -> Result<Degrees, InputError> {
    let key = "users.degrees";
    let span = users.graph.as_ref().map(Spanned::span).unwrap_or_default();
    let why = "say how many contacts users have, such as degrees = [[1, 0.2], [5, 0.8]]";
    let table = checker.required(span, key, users.degrees.as_ref(), why)?;
    let fewer_than_users = |span, degree: u32| {
        if degree < count {
            return Ok(());
        }
        let message = format!("{degree} contacts are more than {}, the number of other users", count - 1);
        Err(checker.at(span, key, message))
    };
    let degrees = distribution(checker, key, table, fewer_than_users)?;
    let conversations = DegreeTable::new(&degrees).expected_sum(count) / 2;
    if conversations > u64::from(MAX_CONVERSATIONS) {
        let message = format!("makes about {conversations} conversations, the most is {MAX_CONVERSATIONS}");
        return Err(checker.at(table.span(), key, message));
    }
    Ok(degrees)
}

/// Checks numbers with their shares, or a power law. `fits` says what is wrong with a number.
pub(super) fn distribution(
    checker: &Checker<'_>,
    key: &str,
    table: &Spanned<file::Degrees>,
    fits: impl Fn(std::ops::Range<usize>, u32) -> Result<(), InputError>,
) -> Result<Degrees, InputError> {
    Ok(match table.get_ref() {
        file::Degrees::Shares(list) => {
            let mut shares: Vec<(u32, u32)> = Vec::new();
            for entry in list {
                let (degree, share) = *entry.get_ref();
                fits(entry.span(), degree)?;
                if shares.iter().any(|&(other, _)| other == degree) {
                    return Err(checker.at(entry.span(), key, format!("{degree} is there twice")));
                }
                let share = Spanned::new(entry.span(), share);
                shares.push((degree, millionths(checker, key, &share)?));
            }
            let sum: u64 = shares.iter().map(|&(_, share)| u64::from(share)).sum();
            // Each share was rounded by half a millionth at most.
            if sum.abs_diff(1_000_000) > shares.len() as u64 {
                let message = format!("the shares must add up to 1, not {}", sum as f64 / 1e6);
                return Err(checker.at(table.span(), key, message));
            }
            if shares.iter().all(|&(degree, _)| degree == 0) {
                return Err(checker.at(table.span(), key, "nobody has a contact"));
            }
            Degrees::Shares(shares)
        }
        file::Degrees::PowerLaw(law) => {
            let min = law.min.as_ref().map_or(1, |min| *min.get_ref());
            let max = *law.max.get_ref();
            fits(law.max.span(), max)?;
            if min == 0 || min > max {
                let span = law.min.as_ref().map_or(law.max.span(), Spanned::span);
                let message = format!("min, {min}, is not between 1 and max, {max}");
                return Err(checker.at(span, key, message));
            }
            let exponent = *law.exponent.get_ref();
            if !(0.0..=10.0).contains(&exponent) {
                let message = format!("{exponent} is not an exponent between 0 and 10");
                return Err(checker.at(law.exponent.span(), key, message));
            }
            Degrees::PowerLaw { min, max, exponent: (exponent * 1000.0).round() as u32 }
        }
    })
}
