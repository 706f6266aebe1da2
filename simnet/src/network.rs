//! The routers of a network, who runs them, and the places between which time passes.

use serde::Serialize;

/// Defines a position in one of a run's lists.
macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The position as an index into the list.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl From<usize> for $name {
            /// Lists here are far shorter than 2³²; a longer one would end at the last number.
            fn from(index: usize) -> Self {
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }
        }
    };
}

index! {
    /// A router's position in [`Network::routers`].
    RouterIdx
}
index! {
    /// An operator's position in [`Network::operators`].
    OperatorIdx
}
index! {
    /// A region's position in the scenario's `regions`.
    RegionIdx
}
index! {
    /// A user's position in the population.
    UserIdx
}

/// What a router may be used for. Both in the usual case; a preset operator may be limited to proxying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Roles {
    /// It may hold the queues that users receive from.
    pub storage: bool,
    /// It may forward messages to other routers.
    pub proxy: bool,
}

/// Who runs routers: the truth about the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operator {
    /// As written in the scenario.
    pub name: String,
    /// Whether clients know it as an operator. False for those who run the routers of a `[[user_router]]`
    /// table: clients then file these routers under "no operator".
    pub known: bool,
}

/// One router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Router {
    /// Unique in the network and fit to be a host name, such as `flux-3`.
    pub name: String,
    /// Who really runs it.
    pub operator: OperatorIdx,
    /// What users may use it for.
    pub roles: Roles,
}

/// Every router and everyone who runs one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Known operators in the order of the file, then the owners of user-added routers.
    pub operators: Vec<Operator>,
    /// Routers, grouped by operator in the same order.
    pub routers: Vec<Router>,
    /// Which users have which routers beside (or instead of) those of the known operators.
    pub user_added: Vec<UserAdded>,
}

/// Routers that some of the users added to their lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserAdded {
    /// Who runs them: an operator that is not known to clients.
    pub operator: OperatorIdx,
    /// How many users have them in their lists.
    pub users: HowMany,
    /// Whether these users removed the known operators' routers from their lists.
    pub only: bool,
}

/// A number of users, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum HowMany {
    /// This many.
    Count(u32),
    /// This many of a million, rounded to the nearest whole user and at least one.
    Millionths(u32),
}

impl HowMany {
    /// How many of `all` users; never more than `all`.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Count(n) => (n as usize).min(all),
            Self::Millionths(share) => {
                let users = (all as u64 * u64::from(share) + 500_000) / 1_000_000;
                (users as usize).clamp(1.min(all), all)
            }
        }
    }
}

/// A host of the simulated network: the region that carries some of the users, or a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Place {
    /// The host that carries a region's clients.
    Region(RegionIdx),
    /// A router's host.
    Router(RouterIdx),
    /// The host that carries the clients of a region's users who reach routers through Tor: partitions of the region leave them alone.
    Tor(RegionIdx),
}

impl Network {
    /// The router at a position.
    pub fn router(&self, router: RouterIdx) -> Option<&Router> {
        self.routers.get(router.index())
    }

    /// The operator at a position.
    pub fn operator(&self, operator: OperatorIdx) -> Option<&Operator> {
        self.operators.get(operator.index())
    }

    /// Every router with its position.
    pub fn iter(&self) -> impl Iterator<Item = (RouterIdx, &Router)> {
        self.routers.iter().enumerate().map(|(i, router)| (RouterIdx::from(i), router))
    }

    /// The routers that this operator runs.
    pub fn run_by(&self, operator: OperatorIdx) -> impl Iterator<Item = RouterIdx> {
        self.iter().filter(move |(_, router)| router.operator == operator).map(|(i, _)| i)
    }

    /// The router of this name.
    pub fn router_named(&self, name: &str) -> Option<RouterIdx> {
        self.iter().find(|(_, router)| router.name == name).map(|(i, _)| i)
    }

    /// The operator of this name.
    pub fn operator_named(&self, name: &str) -> Option<OperatorIdx> {
        self.operators.iter().position(|operator| operator.name == name).map(OperatorIdx::from)
    }

    /// What clients take for the router's operator: nothing for a user-added one.
    pub fn listed_operator(&self, router: RouterIdx) -> Option<OperatorIdx> {
        let operator = self.router(router)?.operator;
        self.operator(operator)?.known.then_some(operator)
    }
}

/// A name as part of a host name: lower-case letters, digits and single dashes. Empty when nothing is left.
pub(crate) fn host_name(name: &str) -> String {
    let dashed: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_users_is_rounded_and_never_nobody() {
        assert_eq!(HowMany::Count(5).of(3), 3);
        assert_eq!(HowMany::Millionths(250_000).of(120), 30);
        assert_eq!(HowMany::Millionths(250_000).of(10), 3);
        assert_eq!(HowMany::Millionths(1).of(10), 1);
        assert_eq!(HowMany::Millionths(1).of(0), 0);
        assert_eq!(HowMany::Millionths(1_000_000).of(9), 9);
    }

    #[test]
    fn host_names_are_plain() {
        assert_eq!(host_name("SimpleX Chat"), "simplex-chat");
        assert_eq!(host_name("  Größe & co. "), "gr-e-co");
        assert_eq!(host_name("..."), "");
    }
}
