//! Exact probabilities for a finite list of routers, by enumeration of every choice the clients can make.
//!
//! Two users, A and B, connect. A creates the first queue on router *a*, B the reply queue on router *b*.
//! B's messages to A take the path B → proxy *p* → *a* → A, A's messages to B take A → proxy *q* → *b* → B.
//! The proxy sees the sender's address, the router of the queue the recipient's.
//!
//! The deployed rule, for [`Policy::DifferentOperator`] (version 6.2 and later): from the
//! user's list, leave out the routers of operators already used; if nothing remains, keep all. Then leave
//! out the routers (hosts) already used; if nothing remains, keep what the first step left. Pick uniformly.
//! "Used" is *a* when *b* is chosen, and the queue's router when its proxy is chosen. An operator counts as
//! used only if the used router is in the very list that is filtered: a destination without the proxy role
//! has no operator as far as the choice of a proxy goes. Routers without an operator form a class of their
//! own and are filtered as if they had one operator in common.

/// One router of the list from which both users choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterRow {
    /// Who runs it, by index; `None` when the client knows no operator for it.
    pub operator: Option<usize>,
    /// May hold queues.
    pub storage: bool,
    /// May forward to other routers.
    pub proxy: bool,
}

/// Why a list of routers cannot be enumerated or drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoutersError {
    /// No router may hold a queue.
    #[error("no router has the storage role")]
    NoStorage,
    /// No router may forward, and the policy needs one that does.
    #[error("no router has the proxy role")]
    NoProxy,
    /// The set of controlled routers is not as long as the list.
    #[error("{routers} routers, but {flags} flags say which are controlled")]
    Flags {
        /// Length of the list.
        routers: usize,
        /// Length of the set.
        flags: usize,
    },
}

/// What a set of colluding routers sees of one conversation, as probabilities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exposure {
    /// Both ends of the path to A: *p* and *a*.
    pub path_to_first: f64,
    /// Both ends of the path to B: *q* and *b*.
    pub path_to_reply: f64,
    /// The mean of the two: both ends of a path taken at random.
    pub path: f64,
    /// Both ends of at least one of the two paths.
    pub conversation_on_one_path: f64,
    /// Both users' addresses, wherever they were seen: A's at *a* or *q*, B's at *b* or *p*.
    pub conversation_anywhere: f64,
}

/// The flags for "everything that these operators run". A router without an operator is nobody's here: set
/// its flag by hand if it colludes.
pub fn controlled_by(routers: &[RouterRow], operators: &[usize]) -> Vec<bool> {
    routers.iter().map(|row| row.operator.is_some_and(|o| operators.contains(&o))).collect()
}

/// Refuses what neither the enumeration nor the Monte Carlo can draw from.
pub(crate) fn check(routers: &[RouterRow], policy: Policy, controlled: &[bool]) -> Result<(), RoutersError> {
    if controlled.len() != routers.len() {
        return Err(RoutersError::Flags { routers: routers.len(), flags: controlled.len() });
    }
    if !routers.iter().any(|row| row.storage) {
        return Err(RoutersError::NoStorage);
    }
    if policy != Policy::Single && !routers.iter().any(|row| row.proxy) {
        return Err(RoutersError::NoProxy);
    }
    Ok(())
}

use sxlab_simnet::selection::Policy;

/// A router with its place in the list and whether the adversary has it.
#[derive(Clone, Copy)]
struct Candidate {
    index: usize,
    operator: Option<usize>,
    controlled: bool,
}

/// The candidates that `keep` accepts, or all when it accepts none.
fn filter_or_all(list: &[Candidate], keep: impl Fn(&Candidate) -> bool) -> Vec<Candidate> {
    let kept: Vec<Candidate> = list.iter().copied().filter(|c| keep(c)).collect();
    if kept.is_empty() { list.to_vec() } else { kept }
}

/// Those of `list` from which the next router is picked when `used` is taken.
fn remaining(list: &[Candidate], policy: Policy, used: &Candidate) -> Vec<Candidate> {
    let in_list = list.iter().any(|c| c.index == used.index);
    match policy {
        Policy::Single => vec![*used],
        Policy::DifferentRouter => filter_or_all(list, |c| c.index != used.index),
        Policy::DifferentOperator => {
            let others = filter_or_all(list, |c| !in_list || c.operator != used.operator);
            filter_or_all(&others, |c| c.index != used.index)
        }
    }
}

/// The probability that a uniform pick from `list` is controlled.
fn controlled_share(list: &[Candidate]) -> f64 {
    let controlled = list.iter().filter(|c| c.controlled).count();
    controlled as f64 / list.len().max(1) as f64
}

/// What the routers flagged in `controlled` (one flag per router) see of one conversation under `policy`,
/// averaged over all choices of the two clients. Cost: cubic in the number of routers.
///
/// # Errors
/// [`RoutersError`] for a list without the roles that are needed or a set of the wrong length.
pub fn exposure(
    routers: &[RouterRow],
    policy: Policy,
    controlled: &[bool],
) -> Result<Exposure, RoutersError> {
    check(routers, policy, controlled)?;
    let with_role = |role: fn(&RouterRow) -> bool| -> Vec<Candidate> {
        routers
            .iter()
            .zip(controlled)
            .enumerate()
            .filter(|(_, (row, _))| role(row))
            .map(|(index, (row, &controlled))| Candidate { index, operator: row.operator, controlled })
            .collect()
    };
    let storage = with_role(|row| row.storage);
    let proxies = with_role(|row| row.proxy);
    // The chance that the proxy towards this router is controlled.
    let proxy_share = |to: &Candidate| controlled_share(&remaining(&proxies, policy, to));

    // Means of means, each a sum divided once: what is certain comes out as 1, not as 1 + 2⁻⁵².
    let mut total = [0.0; 4];
    for a in &storage {
        let proxy_to_a = proxy_share(a);
        let replies = remaining(&storage, policy, a);
        let mut given_a = [0.0; 4];
        for b in &replies {
            add(&mut given_a, &seen(policy, a, proxy_to_a, b, proxy_share(b)));
        }
        add(&mut total, &given_a.map(|x| x / replies.len() as f64));
    }
    let [path_to_first, path_to_reply, one_path, anywhere] = total.map(|x| x / storage.len() as f64);
    Ok(Exposure {
        path_to_first,
        path_to_reply,
        path: f64::midpoint(path_to_first, path_to_reply),
        conversation_on_one_path: one_path,
        conversation_anywhere: anywhere,
    })
}

fn add(sum: &mut [f64; 4], more: &[f64; 4]) {
    for (x, y) in sum.iter_mut().zip(more) {
        *x += y;
    }
}

/// The probabilities of [`Exposure`], without the mean, once both queues' routers are known.
/// The two proxies are drawn independently, each controlled with the probability given.
fn seen(policy: Policy, a: &Candidate, proxy_to_a: f64, b: &Candidate, proxy_to_b: f64) -> [f64; 4] {
    let has = |router: &Candidate| f64::from(u8::from(router.controlled));
    let (has_a, has_b) = (has(a), has(b));
    // One router for everything: all four places are the same draw.
    if policy == Policy::Single {
        return [has_a; 4];
    }
    let (first, reply) = (has_a * proxy_to_a, has_b * proxy_to_b);
    let sees_a = has_a + (1.0 - has_a) * proxy_to_b;
    let sees_b = has_b + (1.0 - has_b) * proxy_to_a;
    [first, reply, first + reply - first * reply, sees_a * sees_b]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model;

    fn both_roles(operators: &[usize]) -> Vec<RouterRow> {
        let row = |&o| RouterRow { operator: Some(o), storage: true, proxy: true };
        operators.iter().map(row).collect()
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn two_operators_with_one_router_each_by_hand() {
        // Different operator: a and b are the two routers, p = b, q = a: the router of one's own queue is
        // also the proxy one sends through, so each router meets one user only.
        let routers = both_roles(&[0, 1]);
        let one = exposure(&routers, Policy::DifferentOperator, &[true, false]).unwrap();
        assert_eq!(one.path, 0.0);
        assert_eq!(one.conversation_on_one_path, 0.0);
        assert_eq!(one.conversation_anywhere, 0.0);
        let two = exposure(&routers, Policy::DifferentOperator, &[true, true]).unwrap();
        assert_eq!((two.path, two.conversation_on_one_path), (1.0, 1.0));
        // One router for everything: it is controlled in one case of two.
        let single = exposure(&routers, Policy::Single, &[true, false]).unwrap();
        assert_eq!(single.path, 0.5);
        assert_eq!(single.conversation_on_one_path, 0.5);
        assert_eq!(single.conversation_anywhere, 0.5);
    }

    #[test]
    fn three_routers_by_hand() {
        // Routers 0 and 1 of one operator, 2 of another; the set holds 0 and 1.
        let routers = both_roles(&[0, 0, 1]);
        let set = [true, true, false];
        // Different router: a is controlled in 2 of 3, then the proxy in 1 of 2. The same for b.
        let e = exposure(&routers, Policy::DifferentRouter, &set).unwrap();
        close(e.path_to_first, 1.0 / 3.0);
        close(e.path_to_reply, 1.0 / 3.0);
        // (a,b): both controlled in 2 of 6 ordered pairs, then 1 − 1/4; one of them in 4 of 6, then 1/2.
        close(e.conversation_on_one_path, 2.0 / 6.0 * 0.75 + 4.0 / 6.0 * 0.5);
        // Both controlled: certain. One of them: the other user must be seen by the proxy of the controlled
        // router's path, 1/2.
        close(e.conversation_anywhere, 2.0 / 6.0 + 4.0 / 6.0 * 0.5);
        let e = exposure(&routers, Policy::DifferentOperator, &set).unwrap();
        assert_eq!(e.path, 0.0);
    }

    #[test]
    fn every_choice_written_out() {
        // The same numbers by a literal walk over all (a, b, p, q) with the rule written another way.
        let rows = [
            (Some(0), true, true),
            (Some(0), true, false),
            (Some(1), false, true),
            (Some(1), true, true),
            (None, true, true),
            (None, true, false),
        ];
        let routers: Vec<RouterRow> =
            rows.iter().map(|&(operator, storage, proxy)| RouterRow { operator, storage, proxy }).collect();
        let allowed = |role: &dyn Fn(usize) -> bool, used: usize, operators: bool| -> Vec<usize> {
            let all: Vec<usize> = (0..routers.len()).filter(|&r| role(r)).collect();
            let mut list = all.clone();
            if operators && all.contains(&used) {
                list.retain(|&r| routers[r].operator != routers[used].operator);
                if list.is_empty() {
                    list = all;
                }
            }
            let before = list.clone();
            list.retain(|&r| r != used);
            if list.is_empty() { before } else { list }
        };
        for (policy, operators) in [(Policy::DifferentRouter, false), (Policy::DifferentOperator, true)] {
            for set in 0..1u32 << routers.len() {
                let bad = |r: usize| set >> r & 1 == 1;
                let storage = |r: usize| routers[r].storage;
                let proxy = |r: usize| routers[r].proxy;
                let firsts: Vec<usize> = (0..routers.len()).filter(|&r| storage(r)).collect();
                let (mut one, mut anywhere, mut first, mut reply) = (0.0, 0.0, 0.0, 0.0);
                for &a in &firsts {
                    let bs = allowed(&storage, a, operators);
                    for &b in &bs {
                        let ps = allowed(&proxy, a, operators);
                        let qs = allowed(&proxy, b, operators);
                        for &p in &ps {
                            for &q in &qs {
                                let w = 1.0 / (firsts.len() * bs.len() * ps.len() * qs.len()) as f64;
                                let (x, y) = (bad(a) && bad(p), bad(b) && bad(q));
                                first += if x { w } else { 0.0 };
                                reply += if y { w } else { 0.0 };
                                one += if x || y { w } else { 0.0 };
                                let both = (bad(a) || bad(q)) && (bad(b) || bad(p));
                                anywhere += if both { w } else { 0.0 };
                            }
                        }
                    }
                }
                let flags: Vec<bool> = (0..routers.len()).map(bad).collect();
                let e = exposure(&routers, policy, &flags).unwrap();
                close(e.path_to_first, first);
                close(e.path_to_reply, reply);
                close(e.conversation_on_one_path, one);
                close(e.conversation_anywhere, anywhere);
            }
        }
    }

    #[test]
    fn the_operator_aware_form_is_the_path_to_the_first_queue() {
        // Weights are shares of the routers. The reply queue's router is no longer distributed by weight
        // unless all weights are equal, so only the first path has Q exactly.
        let operators = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2];
        let routers = both_roles(&operators);
        for set in [&[0][..], &[0, 1], &[1, 2], &[0, 1, 2]] {
            let e = exposure(&routers, Policy::DifferentOperator, &controlled_by(&routers, set)).unwrap();
            close(e.path_to_first, model::operator_aware(&[0.5, 0.3, 0.2], set).unwrap());
        }
        let equal = both_roles(&(0..30).map(|r| r / 3).collect::<Vec<_>>());
        let weights = [0.1; 10];
        let e = exposure(&equal, Policy::DifferentOperator, &controlled_by(&equal, &[2, 5, 7])).unwrap();
        let q = model::operator_aware(&weights, &[2, 5, 7]).unwrap();
        close(e.path_to_first, q);
        close(e.path_to_reply, q);
    }

    #[test]
    fn different_router_is_the_form_without_replacement() {
        let routers = both_roles(&[0, 0, 0, 0, 1, 1, 1, 1]);
        let e = exposure(&routers, Policy::DifferentRouter, &controlled_by(&routers, &[0])).unwrap();
        close(e.path, model::without_replacement(4, 8).unwrap());
    }

    #[test]
    fn one_operator_alone_never_has_both_ends() {
        let routers = both_roles(&[0, 0, 0, 0, 0, 0, 0, 1]);
        for operator in [0, 1] {
            let set = controlled_by(&routers, &[operator]);
            let e = exposure(&routers, Policy::DifferentOperator, &set).unwrap();
            assert_eq!((e.path, e.conversation_on_one_path), (0.0, 0.0));
        }
    }

    #[test]
    fn a_destination_without_the_proxy_role_has_no_operator_for_the_choice() {
        // Operator 0 stores on a router that does not forward, and forwards on another one: its own proxy
        // is then as likely as the other operator's.
        let routers = [
            RouterRow { operator: Some(0), storage: true, proxy: false },
            RouterRow { operator: Some(0), storage: false, proxy: true },
            RouterRow { operator: Some(1), storage: false, proxy: true },
        ];
        let e = exposure(&routers, Policy::DifferentOperator, &[true, true, false]).unwrap();
        assert_eq!(e.path, 0.5);
    }

    #[test]
    fn lists_that_cannot_be_used() {
        let storage = [RouterRow { operator: None, storage: true, proxy: false }];
        let proxy = [RouterRow { operator: None, storage: false, proxy: true }];
        let p = Policy::DifferentOperator;
        assert_eq!(exposure(&storage, p, &[true]), Err(RoutersError::NoProxy));
        assert!(exposure(&storage, Policy::Single, &[true]).is_ok());
        assert_eq!(exposure(&proxy, p, &[true]), Err(RoutersError::NoStorage));
        assert_eq!(exposure(&proxy, p, &[]), Err(RoutersError::Flags { routers: 1, flags: 0 }));
    }
}
