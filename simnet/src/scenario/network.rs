//! Checks the operators, routers and regions of a scenario file and gives each its place.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_spanned::Spanned;

use super::check::millionths;
use super::file::{CountOrNames, File, Region};
use crate::input::{Checker, InputError, closest};
use crate::network::{
    HowMany, Network, Operator, OperatorIdx, Place, RegionIdx, Roles, Router, RouterIdx, UserAdded, host_name,
};
use crate::times::offset_minutes;

/// The most routers that a scenario may have.
const MAX_ROUTERS: u32 = 10_000;

/// The regions and the network, with the names by which the rest of the file refers to them.
pub(super) struct Named {
    pub(super) regions: Vec<String>,
    /// For each region how far its clocks are ahead of UTC, in minutes.
    pub(super) ahead_minutes: Vec<i32>,
    pub(super) network: Network,
    names: BTreeMap<String, Thing>,
}

/// What a name stands for.
#[derive(Clone, Copy)]
enum Thing {
    Region(RegionIdx),
    Router(RouterIdx),
    Operator(OperatorIdx),
    /// An operator that is written in the file but switched off.
    Disabled,
}

impl Named {
    /// Checks `regions`, `[[operator]]`, `[network]` and `[[user_router]]`.
    pub(super) fn new(checker: &Checker<'_>, file: &File) -> Result<Self, InputError> {
        let mut named = Self {
            regions: Vec::new(),
            ahead_minutes: Vec::new(),
            network: Network::default(),
            names: BTreeMap::new(),
        };
        named.regions(checker, file)?;
        let counts = router_counts(checker, file)?;
        for (operator, count) in file.operator.iter().zip(counts) {
            let roles = roles(checker, "operator.roles", operator.roles.as_ref())?;
            if operator.disabled {
                named.claim(checker, "operator.name", &operator.name, Thing::Disabled)?;
                continue;
            }
            let names = operator.routers.as_ref().map(Spanned::get_ref);
            named.add_operator(checker, "operator", &operator.name, true, names, count, roles)?;
        }
        let missing = |role: &str| {
            checker.whole("operator.roles", format!("no enabled operator has the role \"{role}\""))
        };
        if !named.network.routers.iter().any(|router| router.roles.storage) {
            return Err(missing("storage"));
        }
        if !named.network.routers.iter().any(|router| router.roles.proxy) {
            return Err(missing("proxy"));
        }
        named.user_routers(checker, file)?;
        Ok(named)
    }

    fn regions(&mut self, checker: &Checker<'_>, file: &File) -> Result<(), InputError> {
        let Some(regions) = &file.regions else {
            self.regions.push("everywhere".to_owned());
            self.ahead_minutes.push(0);
            self.names.insert("everywhere".to_owned(), Thing::Region(RegionIdx(0)));
            return Ok(());
        };
        if regions.get_ref().is_empty() {
            return Err(checker.at(regions.span(), "regions", "name at least one region"));
        }
        for (i, region) in regions.get_ref().iter().enumerate() {
            let (name, zone) = match region.get_ref() {
                Region::Name(name) => (Spanned::new(region.span(), name.clone()), None),
                Region::Zoned(table) => (table.name.clone(), table.time_zone.as_ref()),
            };
            fit_for_a_host(checker, "regions", &name)?;
            self.claim(checker, "regions", &name, Thing::Region(RegionIdx::from(i)))?;
            self.regions.push(name.into_inner());
            self.ahead_minutes.push(zone.map_or(Ok(0), |zone| ahead_minutes(checker, zone))?);
        }
        Ok(())
    }

    fn user_routers(&mut self, checker: &Checker<'_>, file: &File) -> Result<(), InputError> {
        for added in &file.user_router {
            let roles = roles(checker, "user_router.roles", added.roles.as_ref())?;
            let count = match added.routers.get_ref() {
                CountOrNames::Count(n) => *n,
                CountOrNames::Names(names) => u32::try_from(names.len()).unwrap_or(u32::MAX),
            };
            if count == 0 {
                return Err(checker.at(added.routers.span(), "user_router.routers", "must be at least 1"));
            }
            let users = match (&added.users, &added.users_share) {
                (Some(users), None) if *users.get_ref() > 0 => HowMany::Count(*users.get_ref()),
                (Some(users), None) => {
                    return Err(checker.at(users.span(), "user_router.users", "must be at least 1"));
                }
                (None, Some(share)) => {
                    let share = millionths(checker, "user_router.users_share", share)?;
                    HowMany::Millionths(share)
                }
                (Some(_), Some(share)) => {
                    return Err(checker.at(
                        share.span(),
                        "user_router.users_share",
                        "give either `users` or `users_share`, not both",
                    ));
                }
                (None, None) => {
                    return Err(checker.at(
                        added.name.span(),
                        "user_router.users",
                        "missing: say how many users have these routers by `users` or `users_share`",
                    ));
                }
            };
            if added.only && !(roles.storage && roles.proxy) {
                return Err(checker.at(
                    added.name.span(),
                    "user_router.only",
                    "users with only these routers need both roles, \"storage\" and \"proxy\"",
                ));
            }
            let names = Some(added.routers.get_ref());
            let operator =
                self.add_operator(checker, "user_router", &added.name, false, names, count, roles)?;
            self.network.user_added.push(UserAdded { operator, users, only: added.only });
        }
        Ok(())
    }

    /// Adds an operator and its routers, named by the file or numbered from 1 after the operator.
    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of two tables of the file, taken together once"
    )]
    fn add_operator(
        &mut self,
        checker: &Checker<'_>,
        table: &str,
        name: &Spanned<String>,
        known: bool,
        routers: Option<&CountOrNames>,
        count: u32,
        roles: Roles,
    ) -> Result<OperatorIdx, InputError> {
        let operator = OperatorIdx::from(self.network.operators.len());
        self.claim(checker, &format!("{table}.name"), name, Thing::Operator(operator))?;
        self.network.operators.push(Operator { name: name.get_ref().clone(), known });
        let names: Vec<Spanned<String>> = match routers {
            Some(CountOrNames::Names(names)) => names.clone(),
            _ => {
                let stem = host_name(name.get_ref());
                if stem.is_empty() {
                    let message = "needs a letter or digit (a to z, 0 to 9) to name its routers after";
                    return Err(checker.at(name.span(), &format!("{table}.name"), message));
                }
                (1..=count).map(|n| Spanned::new(name.span(), format!("{stem}-{n}"))).collect()
            }
        };
        let key = format!("{table}.routers");
        for router_name in names {
            fit_for_a_host(checker, &key, &router_name)?;
            let router = RouterIdx::from(self.network.routers.len());
            self.claim(checker, &key, &router_name, Thing::Router(router))?;
            self.network.routers.push(Router { name: router_name.into_inner(), operator, roles });
        }
        if self.network.routers.len() > MAX_ROUTERS as usize {
            let message = format!("more than {MAX_ROUTERS} routers in all");
            return Err(checker.at(name.span(), &key, message));
        }
        Ok(operator)
    }

    /// Gives a name to a region, router or operator; none may be given twice.
    fn claim(
        &mut self,
        checker: &Checker<'_>,
        key: &str,
        name: &Spanned<String>,
        thing: Thing,
    ) -> Result<(), InputError> {
        if name.get_ref().trim().is_empty() {
            return Err(checker.at(name.span(), key, "a name must not be empty"));
        }
        if let Some(other) = self.names.insert(name.get_ref().clone(), thing) {
            let other = match other {
                Thing::Region(_) => "a region",
                Thing::Router(_) => "a router",
                Thing::Operator(_) | Thing::Disabled => "an operator",
            };
            let message = format!(
                "`{}` is already the name of {other}: regions, operators and routers need names of their own",
                name.get_ref()
            );
            return Err(checker.at(name.span(), key, message));
        }
        Ok(())
    }

    /// The places that a name stands for: a region, a router, or every router of an operator.
    pub(super) fn places(
        &self,
        checker: &Checker<'_>,
        key: &str,
        name: &Spanned<String>,
    ) -> Result<Vec<Place>, InputError> {
        match self.thing(checker, key, name, "region, operator or router", |_| true)? {
            Thing::Region(region) => Ok(vec![Place::Region(region)]),
            Thing::Router(router) => Ok(vec![Place::Router(router)]),
            Thing::Operator(operator) => Ok(self.network.run_by(operator).map(Place::Router).collect()),
            Thing::Disabled => Err(disabled(checker, key, name)),
        }
    }

    /// The router of this name.
    pub(super) fn router(
        &self,
        checker: &Checker<'_>,
        key: &str,
        name: &Spanned<String>,
    ) -> Result<RouterIdx, InputError> {
        match self.thing(checker, key, name, "router", |t| matches!(t, Thing::Router(_)))? {
            Thing::Router(router) => Ok(router),
            _ => Err(unknown(checker, key, name, "router", [].into_iter())),
        }
    }

    /// The operator of this name, known or the owner of user-added routers.
    pub(super) fn operator(
        &self,
        checker: &Checker<'_>,
        key: &str,
        name: &Spanned<String>,
    ) -> Result<OperatorIdx, InputError> {
        let operators = |t: &Thing| matches!(t, Thing::Operator(_) | Thing::Disabled);
        match self.thing(checker, key, name, "operator", operators)? {
            Thing::Operator(operator) => Ok(operator),
            _ => Err(disabled(checker, key, name)),
        }
    }

    fn thing(
        &self,
        checker: &Checker<'_>,
        key: &str,
        name: &Spanned<String>,
        what: &str,
        fits: impl Fn(&Thing) -> bool,
    ) -> Result<Thing, InputError> {
        match self.names.get(name.get_ref()) {
            Some(thing) if fits(thing) => Ok(*thing),
            _ => {
                let names = self.names.iter().filter(|(_, t)| fits(t)).map(|(n, _)| n.as_str());
                Err(unknown(checker, key, name, what, names))
            }
        }
    }
}

/// How far the clocks of a time zone are ahead of UTC.
fn ahead_minutes(checker: &Checker<'_>, zone: &Spanned<String>) -> Result<i32, InputError> {
    offset_minutes(zone.get_ref()).ok_or_else(|| {
        let message = format!("`{}` is not an offset from UTC such as \"+01:00\"", zone.get_ref());
        checker.at(zone.span(), "regions.time_zone", message)
    })
}

fn unknown<'a>(
    checker: &Checker<'_>,
    key: &str,
    name: &Spanned<String>,
    what: &str,
    names: impl Iterator<Item = &'a str>,
) -> InputError {
    let hint =
        closest(name.get_ref(), names).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
    checker.at(name.span(), key, format!("no {what} is named `{}`{hint}", name.get_ref()))
}

fn disabled(checker: &Checker<'_>, key: &str, name: &Spanned<String>) -> InputError {
    checker.at(name.span(), key, format!("the operator `{}` is disabled", name.get_ref()))
}

/// How many routers each operator runs: by its own count or names, or by its share of `network.routers`.
fn router_counts(checker: &Checker<'_>, file: &File) -> Result<Vec<u32>, InputError> {
    let Some(first) = file.operator.first() else {
        return Err(checker.whole("operator", "missing: add at least one [[operator]]"));
    };
    if let Some(network) = &file.network {
        return shared_counts(checker, file, &network.routers);
    }
    if file.operator.iter().all(|operator| operator.share.is_some()) {
        let message = "missing: shares need the number of routers in all, as [network] routers = N";
        return Err(checker.at(first.name.span(), "network.routers", message));
    }
    let mut counts = Vec::new();
    for operator in &file.operator {
        if let Some(share) = &operator.share {
            let message =
                "give every operator a `share` and [network] routers = N, or every operator `routers`";
            return Err(checker.at(share.span(), "operator.share", message));
        }
        let Some(routers) = &operator.routers else {
            let message = format!(
                "missing: operator `{}` needs `routers`, a number or a list of names",
                operator.name.get_ref()
            );
            return Err(checker.at(operator.name.span(), "operator.routers", message));
        };
        let count = match routers.get_ref() {
            CountOrNames::Count(n) => *n,
            CountOrNames::Names(names) => u32::try_from(names.len()).unwrap_or(u32::MAX),
        };
        if count == 0 || count > MAX_ROUTERS {
            let message = format!("must be between 1 and {MAX_ROUTERS}");
            return Err(checker.at(routers.span(), "operator.routers", message));
        }
        counts.push(count);
    }
    Ok(counts)
}

/// The shares of the operators times the number of routers: shares add up to 1, products are whole.
fn shared_counts(checker: &Checker<'_>, file: &File, total: &Spanned<u32>) -> Result<Vec<u32>, InputError> {
    let all = *total.get_ref();
    if all == 0 || all > MAX_ROUTERS {
        return Err(checker.at(
            total.span(),
            "network.routers",
            format!("must be between 1 and {MAX_ROUTERS}"),
        ));
    }
    let mut shares: Vec<(u32, Range<usize>)> = Vec::new();
    for operator in &file.operator {
        if let Some(routers) = &operator.routers {
            let message = "give either `routers` here, or `share` here and [network] routers = N";
            return Err(checker.at(routers.span(), "operator.routers", message));
        }
        let Some(share) = &operator.share else {
            let message = format!(
                "missing: operator `{}` needs a share of the {all} routers of [network]",
                operator.name.get_ref()
            );
            return Err(checker.at(operator.name.span(), "operator.share", message));
        };
        shares.push((millionths(checker, "operator.share", share)?, share.span()));
    }
    let sum: u64 = shares.iter().map(|(share, _)| u64::from(*share)).sum();
    let rounding = shares.len() as u64;
    if sum.abs_diff(1_000_000) > rounding {
        let last = shares.last().map(|(_, span)| span.clone()).unwrap_or_default();
        let message = format!("the shares of all operators must add up to 1, not {}", decimal(sum));
        return Err(checker.at(last, "operator.share", message));
    }
    let count = |share: u32, routers: u32| -> Option<u32> {
        let product = u64::from(share) * u64::from(routers);
        let whole = (product + 500_000) / 1_000_000;
        // A share such as 1/3 is written with six decimals at best.
        let exact = product.abs_diff(whole * 1_000_000) <= u64::from(routers);
        u32::try_from(whole).ok().filter(|&n| exact && n > 0)
    };
    let fits = |routers: u32| -> bool {
        let counts: Option<Vec<u32>> = shares.iter().map(|(share, _)| count(*share, routers)).collect();
        counts.is_some_and(|counts| counts.iter().sum::<u32>() == routers)
    };
    if !fits(all) {
        let odd = shares.iter().find(|(share, _)| count(*share, all).is_none()).or(shares.last());
        let (share, span) = odd.cloned().unwrap_or_default();
        // At most the next two below and above, so that the message stays a line.
        let below = (1..all).rev().find(|&n| fits(n));
        let above = (all + 1..=all.saturating_mul(20).min(MAX_ROUTERS)).find(|&n| fits(n));
        let would = match (below, above) {
            (Some(a), Some(b)) => format!("; [network] routers = {a} or {b} would work"),
            (Some(n), None) | (None, Some(n)) => format!("; [network] routers = {n} would work"),
            (None, None) => String::new(),
        };
        let product = decimal(u64::from(share) * u64::from(all));
        let message = format!(
            "{} of {all} routers is {product}, not a whole number of at least 1{would}",
            decimal(u64::from(share))
        );
        return Err(checker.at(span, "operator.share", message));
    }
    Ok(shares.iter().filter_map(|(share, _)| count(*share, all)).collect())
}

/// Millionths as a decimal number without trailing zeros.
fn decimal(millionths: u64) -> String {
    let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The roles in a list; both when there is none.
fn roles(
    checker: &Checker<'_>,
    key: &str,
    names: Option<&Spanned<Vec<Spanned<String>>>>,
) -> Result<Roles, InputError> {
    let Some(names) = names else {
        return Ok(Roles { storage: true, proxy: true });
    };
    let mut roles = Roles { storage: false, proxy: false };
    for name in names.get_ref() {
        let role = match name.get_ref().as_str() {
            "storage" => &mut roles.storage,
            "proxy" => &mut roles.proxy,
            other => {
                let message = format!("unknown role `{other}`, the roles are \"storage\" and \"proxy\"");
                return Err(checker.at(name.span(), key, message));
            }
        };
        if std::mem::replace(role, true) {
            return Err(checker.at(name.span(), key, format!("`{}` is there twice", name.get_ref())));
        }
    }
    if roles.storage || roles.proxy {
        Ok(roles)
    } else {
        Err(checker.at(
            names.span(),
            key,
            "name at least one role; to leave the routers out use disabled = true",
        ))
    }
}

/// Regions and routers are hosts: their names follow the syntax of host names (ENC-13), in lower case.
fn fit_for_a_host(checker: &Checker<'_>, key: &str, name: &Spanned<String>) -> Result<(), InputError> {
    let text = name.get_ref();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let numeric = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let ends = |c: char| c == '-' || c == '.';
    if text.is_empty()
        || text.len() > 63
        || !text.chars().all(plain)
        || numeric
        || text.starts_with(ends)
        || text.ends_with(ends)
    {
        let message =
            format!("`{text}` is not a host name: at most 63 of a to z, 0 to 9, `-` and `.`, with a letter");
        return Err(checker.at(name.span(), key, message));
    }
    Ok(())
}
