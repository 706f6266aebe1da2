//! How a client selects routers, as deployed, one policy per row of a comparison.
//!
//! The facts (SMP agent of 7.0.0-beta.2):
//!
//! - A user has two lists: routers that may store queues and routers that may proxy. Each entry carries its
//!   operator, or none when the user added the router.
//! - To pick a router while some are in use, the client first finds the operators in use: those of the used
//!   routers *that are in the same list*. "No operator" counts as one more operator. It keeps the entries whose
//!   operator is not in use; if that leaves none, it keeps all. Then it keeps the entries that are not
//!   themselves in use; if that leaves none, it keeps what it had. Then it draws uniformly.
//! - So a used router that is not in the list (a contact's own router, or one without the role that the list
//!   asks for) excludes nothing by operator.
//! - A connection's first queue is picked with nothing in use, the reply queue with the first queue's router in
//!   use, and the proxy to a destination with the destination in use. Each user picks from the own list.
//! - The proxy to a destination is kept as long as the user's session with the *proxy* lives: when that ends,
//!   the choices of all destinations reached through it go together. A choice also goes when the proxy could
//!   not make its session with the destination, unless the destination's host was at fault. When a proxy has
//!   merely lost its session with the destination (PROXY NO_SESSION), the same proxy is asked for another. The
//!   routers of queues are kept for the life of the connection.
//! - Every message goes through a proxy: the client's proxy mode "always". (In the mode "unknown" it would use
//!   one only for destinations outside the user's own list.)
//!
//! Before v6.2 clients knew no operators: [`Policy::DifferentRouter`].

use std::collections::BTreeMap;
use std::sync::Arc;

use rand_core::Rng;
use serde::Serialize;

use crate::network::{Network, OperatorIdx, RouterIdx, UserIdx};
use crate::seed::{Streams, choose};

/// A way to select routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// One router for everything and everyone.
    Single,
    /// A router not in use, whoever runs it: clients before v6.2.
    DifferentRouter,
    /// A router of an operator not in use, and of these one not in use itself: clients since v6.2.
    DifferentOperator,
}

impl Policy {
    /// Every policy, in the order of the comparison.
    pub const ALL: [Self; 3] = [Self::Single, Self::DifferentRouter, Self::DifferentOperator];

    /// Its name in scenario files and result groups.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::DifferentRouter => "different-router",
            Self::DifferentOperator => "different-operator",
        }
    }

    /// The policy of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A router in a user's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedRouter {
    /// The router.
    pub router: RouterIdx,
    /// Its operator as the client knows it; none for a router that the user added.
    pub operator: Option<OperatorIdx>,
}

/// The routers that one user may use, by role. Users with the same lists share them: a clone costs no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRouters {
    /// For the queues that the user receives from. Never empty in a checked population.
    pub storage: Arc<[ListedRouter]>,
    /// For forwarding what the user sends. Never empty in a checked population.
    pub proxy: Arc<[ListedRouter]>,
}

/// Keeps the items that satisfy the condition, or all when none does.
fn filter_or_all<T: Copy>(items: Vec<T>, keep: impl Fn(&T) -> bool) -> Vec<T> {
    let kept: Vec<T> = items.iter().copied().filter(keep).collect();
    if kept.is_empty() { items } else { kept }
}

/// The entries among which [`pick`] draws uniformly.
///
/// For [`Policy::Single`] the list is expected to hold the one router only ([`UserRouters::single`]); of a
/// longer list it keeps the first entry.
pub fn candidates(policy: Policy, list: &[ListedRouter], used: &[RouterIdx]) -> Vec<ListedRouter> {
    let unused = |entry: &ListedRouter| !used.contains(&entry.router);
    match policy {
        Policy::Single => list.first().copied().into_iter().collect(),
        Policy::DifferentRouter => filter_or_all(list.to_vec(), unused),
        Policy::DifferentOperator => {
            let operators_in_use: Vec<Option<OperatorIdx>> = list
                .iter()
                .filter(|entry| used.contains(&entry.router))
                .map(|entry| entry.operator)
                .collect();
            let others = filter_or_all(list.to_vec(), |entry| !operators_in_use.contains(&entry.operator));
            filter_or_all(others, unused)
        }
    }
}

/// Picks a router from a user's list while `used` are in use. Nothing only when the list is empty.
pub fn pick(
    policy: Policy,
    list: &[ListedRouter],
    used: &[RouterIdx],
    rng: &mut (impl Rng + ?Sized),
) -> Option<RouterIdx> {
    choose(rng, &candidates(policy, list, used)).map(|entry| entry.router)
}

/// The router that everything goes through under [`Policy::Single`]: drawn from those that both store and
/// proxy, or from those that store when none does both.
pub fn single_router(network: &Network, streams: &Streams) -> Option<RouterIdx> {
    let routers: Vec<RouterIdx> =
        network.iter().filter(|(_, router)| router.roles.storage).map(|(i, _)| i).collect();
    let routers = filter_or_all(routers, |&i| network.router(i).is_some_and(|router| router.roles.proxy));
    choose(&mut streams.stream("policy/single"), &routers).copied()
}

impl UserRouters {
    /// The lists of every user under [`Policy::Single`].
    pub fn single(network: &Network, router: RouterIdx) -> Self {
        let entry = ListedRouter { router, operator: network.listed_operator(router) };
        let list = Arc::from([entry]);
        Self { storage: Arc::clone(&list), proxy: list }
    }
}

/// The proxies that users have picked, each kept for one user and destination.
#[derive(Clone, Debug, Default)]
pub struct ProxyChoices {
    kept: BTreeMap<(UserIdx, RouterIdx), RouterIdx>,
}

impl ProxyChoices {
    /// The proxy through which `user` sends to `destination`: the one kept, else a new pick from the user's
    /// proxy list with the destination in use. Nothing only when the list is empty.
    pub fn proxy(
        &mut self,
        policy: Policy,
        user: UserIdx,
        list: &[ListedRouter],
        destination: RouterIdx,
        rng: &mut (impl Rng + ?Sized),
    ) -> Option<RouterIdx> {
        if let Some(&proxy) = self.kept.get(&(user, destination)) {
            return Some(proxy);
        }
        let proxy = pick(policy, list, &[destination], rng)?;
        self.kept.insert((user, destination), proxy);
        Some(proxy)
    }

    /// The way of `user` to `destination` through its proxy failed: the next [`ProxyChoices::proxy`] picks anew.
    pub fn session_ended(&mut self, user: UserIdx, destination: RouterIdx) {
        self.kept.remove(&(user, destination));
    }

    /// The session of `user` with a proxy ended: every destination reached through it gets a new pick.
    pub fn proxy_session_ended(&mut self, user: UserIdx, proxy: RouterIdx) {
        self.kept.retain(|&(kept_user, _), &mut kept| (kept_user, kept) != (user, proxy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A list from pairs of router and operator, `None` for a user-added router.
    fn list(entries: &[(u32, Option<u32>)]) -> Vec<ListedRouter> {
        entries
            .iter()
            .map(|&(r, o)| ListedRouter { router: RouterIdx(r), operator: o.map(OperatorIdx) })
            .collect()
    }

    fn routers(policy: Policy, list: &[ListedRouter], used: &[u32]) -> Vec<u32> {
        let used: Vec<RouterIdx> = used.iter().map(|&r| RouterIdx(r)).collect();
        candidates(policy, list, &used).into_iter().map(|entry| entry.router.0).collect()
    }

    use Policy::{DifferentOperator, DifferentRouter, Single};

    #[test]
    fn with_nothing_in_use_every_router_of_the_list_may_be_picked() {
        let list = list(&[(0, Some(0)), (1, Some(0)), (2, Some(1)), (3, None)]);
        assert_eq!(routers(DifferentRouter, &list, &[]), [0, 1, 2, 3]);
        assert_eq!(routers(DifferentOperator, &list, &[]), [0, 1, 2, 3]);
    }

    #[test]
    fn before_v6_2_only_the_used_router_is_left_out() {
        let list = list(&[(0, Some(0)), (1, Some(0)), (2, Some(1))]);
        assert_eq!(routers(DifferentRouter, &list, &[0]), [1, 2]);
    }

    #[test]
    fn since_v6_2_the_used_operator_is_left_out() {
        let list = list(&[(0, Some(0)), (1, Some(0)), (2, Some(1)), (3, Some(1)), (4, Some(2))]);
        assert_eq!(routers(DifferentOperator, &list, &[0]), [2, 3, 4]);
        assert_eq!(routers(DifferentOperator, &list, &[0, 2]), [4]);
    }

    #[test]
    fn no_operator_is_one_more_operator() {
        let list = list(&[(0, Some(0)), (1, None), (2, None)]);
        assert_eq!(routers(DifferentOperator, &list, &[1]), [0]);
        assert_eq!(routers(DifferentOperator, &list, &[0]), [1, 2]);
    }

    #[test]
    fn with_one_operator_only_the_used_router_is_left_out() {
        let list = list(&[(0, Some(0)), (1, Some(0)), (2, Some(0))]);
        assert_eq!(routers(DifferentOperator, &list, &[1]), [0, 2]);
    }

    #[test]
    fn with_one_router_it_is_used_again() {
        let list = list(&[(0, Some(0))]);
        for policy in Policy::ALL {
            assert_eq!(routers(policy, &list, &[0]), [0], "{policy}");
        }
    }

    /// Roles leave the only other operator out of the storage list: the reply queue stays with the operator.
    #[test]
    fn roles_may_leave_no_other_operator() {
        let storage = list(&[(0, Some(0)), (1, Some(0))]);
        let proxy = list(&[(0, Some(0)), (1, Some(0)), (2, Some(1))]);
        assert_eq!(routers(DifferentOperator, &storage, &[0]), [1]);
        assert_eq!(routers(DifferentOperator, &proxy, &[0]), [2]);
    }

    /// Router 9 is run by operator 0 in truth, but this list does not hold it.
    #[test]
    fn a_used_router_outside_the_list_excludes_nothing_by_operator() {
        let list = list(&[(0, Some(0)), (1, Some(0)), (2, Some(1))]);
        assert_eq!(routers(DifferentOperator, &list, &[9]), [0, 1, 2]);
        assert_eq!(routers(DifferentRouter, &list, &[9]), [0, 1, 2]);
        assert_eq!(routers(DifferentOperator, &list, &[9, 2]), [0, 1]);
    }

    #[test]
    fn single_is_always_the_one_router() {
        let list = list(&[(4, Some(1))]);
        assert_eq!(routers(Single, &list, &[4]), [4]);
        assert_eq!(routers(Single, &[], &[]), [0u32; 0]);
    }

    /// Every list of up to four entries over three operators and none, every set of used routers of five:
    /// the rule said in another way, entry by entry.
    #[test]
    fn the_rule_holds_for_every_small_list() {
        let operators = [None, Some(0), Some(1), Some(2)];
        for len in 0..=4u32 {
            for code in 0..4u32.pow(len) {
                let entries: Vec<(u32, Option<u32>)> =
                    (0..len).map(|i| (i, operators[(code / 4u32.pow(i) % 4) as usize])).collect();
                let all = list(&entries);
                for mask in 0..32u32 {
                    let used: Vec<u32> = (0..5).filter(|i| mask >> i & 1 == 1).collect();
                    let in_use = |o: Option<u32>| entries.iter().any(|e| used.contains(&e.0) && e.1 == o);
                    // Best class present wins: other operator; else an unused router; else anything.
                    let other: Vec<u32> = entries.iter().filter(|e| !in_use(e.1)).map(|e| e.0).collect();
                    let unused: Vec<u32> =
                        entries.iter().map(|e| e.0).filter(|r| !used.contains(r)).collect();
                    let any: Vec<u32> = entries.iter().map(|e| e.0).collect();
                    let first = |choices: [&Vec<u32>; 3]| {
                        choices.into_iter().find(|c| !c.is_empty()).cloned().unwrap_or_default()
                    };
                    assert_eq!(
                        routers(DifferentOperator, &all, &used),
                        first([&other, &unused, &any]),
                        "{entries:?} {used:?}"
                    );
                    assert_eq!(
                        routers(DifferentRouter, &all, &used),
                        first([&unused, &any, &any]),
                        "{entries:?} {used:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn picks_are_uniform_among_the_candidates() {
        let list = list(&[(0, Some(0)), (1, Some(1)), (2, Some(1)), (3, Some(2))]);
        let mut rng = Streams::new(1).stream("test");
        let mut hits = [0u32; 4];
        for _ in 0..30_000 {
            hits[pick(DifferentOperator, &list, &[RouterIdx(0)], &mut rng).unwrap().index()] += 1;
        }
        assert_eq!(hits[0], 0);
        // Chi-squared with 2 degrees of freedom: 13.8 is passed by chance once in a thousand seeds.
        let chi2: f64 = hits[1..].iter().map(|&h| (f64::from(h) - 1e4).powi(2) / 1e4).sum();
        assert!(chi2 < 13.8, "{hits:?}");
    }

    #[test]
    fn a_proxy_is_kept_for_the_session_of_user_and_destination() {
        let list = list(&[(0, Some(0)), (1, Some(1)), (2, Some(1)), (3, Some(1))]);
        let mut rng = Streams::new(1).stream("test");
        let mut kept = ProxyChoices::default();
        let mut proxy = |user: u32, kept: &mut ProxyChoices| {
            kept.proxy(DifferentOperator, UserIdx(user), &list, RouterIdx(0), &mut rng).unwrap()
        };
        let first = proxy(0, &mut kept);
        assert!((0..20).all(|_| proxy(0, &mut kept) == first));
        let others: std::collections::BTreeSet<RouterIdx> = (1..40).map(|u| proxy(u, &mut kept)).collect();
        assert_eq!(others.len(), 3, "each user picks for itself");
        let again: std::collections::BTreeSet<RouterIdx> = (0..40)
            .map(|_| {
                kept.session_ended(UserIdx(0), RouterIdx(0));
                proxy(0, &mut kept)
            })
            .collect();
        assert_eq!(again.len(), 3, "a new session picks anew");
    }

    #[test]
    fn with_a_proxys_session_go_all_the_choices_made_of_it() {
        let list = list(&[(7, Some(1))]);
        let mut rng = Streams::new(1).stream("test");
        let mut kept = ProxyChoices::default();
        for (user, destination) in [(0, 1), (0, 2), (1, 1)] {
            kept.proxy(DifferentOperator, UserIdx(user), &list, RouterIdx(destination), &mut rng);
        }
        kept.proxy_session_ended(UserIdx(0), RouterIdx(8));
        assert_eq!(kept.kept.len(), 3);
        kept.proxy_session_ended(UserIdx(0), RouterIdx(7));
        assert_eq!(kept.kept.into_keys().collect::<Vec<_>>(), [(UserIdx(1), RouterIdx(1))]);
    }

    proptest! {
        /// Under one operator's eyes: a proxy of the destination's operator is picked only if the list has no other.
        #[test]
        fn the_operator_repeats_only_when_it_must(
            operators in prop::collection::vec(prop::option::of(0..3u32), 1..8),
            used in 0..8u32,
            seed in any::<u64>(),
        ) {
            let entries: Vec<(u32, Option<u32>)> =
                operators.iter().enumerate().map(|(i, &o)| (i as u32, o)).collect();
            let all = list(&entries);
            let mut rng = Streams::new(seed).stream("test");
            let picked = pick(DifferentOperator, &all, &[RouterIdx(used)], &mut rng).unwrap();
            let operator_of = |r: u32| entries.iter().find(|e| e.0 == r).map(|e| e.1);
            if let Some(used_operator) = operator_of(used)
                && entries.iter().any(|e| e.1 != used_operator)
            {
                prop_assert_ne!(operator_of(picked.0), Some(used_operator));
            }
        }
    }
}
