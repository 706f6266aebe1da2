//! How many of a user's contacts it takes until an adversary has seen both ends of some path that the user sends on: the network's
//! own form of `1 − (1 − s²)ⁿ`.

use sxlab_simnet::truth::Truth;

use crate::enumerate::RouterRow;
use crate::observed::Seen;

/// For every user with contacts: on how many paths the user sends, one to each contact, and whether both ends of some were seen.
pub(crate) fn sent(truth: &Truth, seen: &[Seen]) -> Vec<(u32, bool)> {
    let mut users: Vec<(u32, bool)> = Vec::new();
    let mut path = |user: usize, seen: bool| {
        if users.len() <= user {
            users.resize(user + 1, (0, false));
        }
        if let Some((paths, any)) = users.get_mut(user) {
            *paths += 1;
            *any |= seen;
        }
    };
    for (conversation, seen) in truth.conversations.iter().zip(seen) {
        path(conversation.b.index(), seen.path_to_first);
        path(conversation.a.index(), seen.path_to_reply);
    }
    users.retain(|(paths, _)| *paths > 0);
    users
}

/// The share of such users that is expected when proxies are any router but the destination (the policy "different-router").
///
/// Each contact's queue is on any router of the storage list, independently of the user's other contacts. For each router the user
/// picks one proxy, however many contacts have a queue there; so each router of the adversary is *open* (its proxy is the
/// adversary's, too) or not, for all of them at once, and a user is unseen as long as no contact is on an open one. With k routers that
/// are not open out of r, that is (k/r)ⁿ. For many routers it tends to (1 − s²)ⁿ.
pub(crate) fn expected(rows: &[RouterRow], controlled: &[bool], users: &[(u32, bool)]) -> f64 {
    let rows = || rows.iter().zip(controlled);
    let storage = rows().filter(|(row, _)| row.storage).count();
    let proxies = rows().filter(|(row, _)| row.proxy).count();
    let held = rows().filter(|(row, controlled)| row.proxy && **controlled).count();
    // The probability of each number of closed routers among those of the adversary.
    let mut closed = vec![1.0];
    let mut others = storage;
    for (row, _) in rows().filter(|(row, controlled)| row.storage && **controlled) {
        others -= 1;
        let itself = usize::from(row.proxy && proxies > 1);
        let open = (held - itself.min(held)) as f64 / (proxies - itself).max(1) as f64;
        let mut next = vec![0.0; closed.len() + 1];
        for (count, p) in closed.iter().enumerate() {
            for (place, p) in [(count, p * open), (count + 1, p * (1.0 - open))] {
                if let Some(slot) = next.get_mut(place) {
                    *slot += p;
                }
            }
        }
        closed = next;
    }
    let unseen = |paths: u32| -> f64 {
        let share = |count: usize| (others + count) as f64 / storage.max(1) as f64;
        closed.iter().enumerate().map(|(count, p)| p * share(count).powf(f64::from(paths))).sum()
    };
    let sum: f64 = users.iter().map(|&(paths, _)| 1.0 - unseen(paths)).sum();
    // Probabilities add up to 1 but for their last digits.
    (sum / users.len().max(1) as f64).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::compromised_after;

    fn network(routers: usize, held: usize) -> (Vec<RouterRow>, Vec<bool>) {
        let row = RouterRow { operator: Some(0), storage: true, proxy: true };
        (vec![row; routers], (0..routers).map(|router| router < held).collect())
    }

    /// Two of four routers: of one contact's router 2/4 are the adversary's, and then 1 of 3 proxies.
    #[test]
    fn one_contact_by_hand() {
        let (rows, controlled) = network(4, 2);
        assert!((expected(&rows, &controlled, &[(1, false)]) - 1.0 / 6.0).abs() < 1e-12);
        // Two contacts: both routers open 1/9, one open 4/9.
        let two = 1.0 / 9.0 * (1.0 - 0.25) + 4.0 / 9.0 * (1.0 - 9.0 / 16.0);
        assert!((expected(&rows, &controlled, &[(2, false)]) - two).abs() < 1e-12);
        let mean = (1.0 / 6.0 + two) / 2.0;
        assert!((expected(&rows, &controlled, &[(1, true), (2, false)]) - mean).abs() < 1e-12);
    }

    #[test]
    fn all_or_nothing() {
        let (rows, all) = network(5, 5);
        assert_eq!(expected(&rows, &all, &[(3, false)]), 1.0);
        let (rows, one) = network(5, 1);
        assert_eq!(expected(&rows, &one, &[(3, false)]), 0.0, "a router is not its own proxy");
    }

    #[test]
    fn many_routers_tend_to_the_law() {
        for n in [1, 10, 50] {
            let (rows, controlled) = network(2000, 200);
            let law = compromised_after(0.1, u64::from(n)).unwrap();
            assert!((expected(&rows, &controlled, &[(n, false)]) - law).abs() < 0.01, "{n}");
        }
    }
}
