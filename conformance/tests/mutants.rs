//! The suite on routers that are wrong in one thing each: it has to find them all.

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sxlab_conformance::Catalogue;
    use sxlab_conformance::mutants::{Score, WrongRouter, router, routers};
    use sxlab_conformance::runner::Plan;

    /// Areas of the first test; the others are the second's, beside it.
    const SESSIONS: [&str; 6] = ["tls", "handshake", "blocks", "transmissions", "authorization", "names"];

    fn survivors(chosen: impl Fn(&WrongRouter) -> bool) -> Vec<String> {
        let (plan, catalogue) = (Plan::default(), Catalogue::shipped().unwrap());
        let only = std::env::var("SXLAB_MUTANT").unwrap_or_default();
        let chosen = WrongRouter::all().filter(|wrong| chosen(wrong) && wrong.name().contains(&only));
        let scores = chosen.map(|wrong| router(wrong, &plan, &catalogue, false));
        let alive = scores.filter(|score| !score.is_killed());
        alive.map(|Score { mutant, sentence, .. }| format!("{mutant}: {sentence}")).collect()
    }

    #[test]
    fn routers_that_are_wrong_in_sessions_and_authorization_are_found() {
        let alive = survivors(|mutant| SESSIONS.contains(&mutant.area()));
        assert!(alive.is_empty(), "not found:\n{}", alive.join("\n"));
    }

    #[test]
    fn routers_that_are_wrong_in_what_commands_do_are_found() {
        assert!(WrongRouter::all().count() >= 120);
        let alive = survivors(|mutant| !SESSIONS.contains(&mutant.area()));
        assert!(alive.is_empty(), "not found:\n{}", alive.join("\n"));
    }

    #[test]
    fn wrong_routers_have_names_of_their_own_and_sentences() {
        let names: BTreeSet<String> = WrongRouter::all().map(WrongRouter::name).collect();
        assert_eq!(names.len(), WrongRouter::all().count());
        assert!(WrongRouter::all().all(|wrong| wrong.does().ends_with('.')));
    }

    /// A case that finds nothing wrong may be one that can't. Ignored as it checks nothing: it is a list for who writes cases.
    #[test]
    #[ignore = "takes minutes: prints which cases find which wrong routers"]
    fn which_cases_find_what() {
        let scores = routers(&Plan::default(), &Catalogue::shipped().unwrap(), true);
        let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for Score { mutant, killed_by, .. } in &scores {
            println!("{mutant}: {:?}", killed_by.iter().map(|kill| kill.case).collect::<Vec<_>>());
            for kill in killed_by {
                found.entry(kill.case).or_default().insert(mutant);
            }
        }
        let cases = Plan::default().select(sxlab_conformance::cases::smp());
        let idle: Vec<&str> =
            cases.into_iter().map(|case| case.id).filter(|id| !found.contains_key(id)).collect();
        println!("cases that find no wrong router: {idle:?}");
    }
}
