//! The suite on routers that are wrong in one thing each: it has to find them all.

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sxlab_conformance::Catalogue;
    use sxlab_conformance::mutants::{Score, routers};
    use sxlab_conformance::runner::Plan;

    #[test]
    fn every_wrong_router_is_found() {
        let scores = routers(&Plan::default(), &Catalogue::shipped().unwrap(), false);
        assert!(scores.len() >= 120, "{}", scores.len());
        let survivors: Vec<_> = scores
            .iter()
            .filter(|score| !score.is_killed())
            .map(|Score { mutant, sentence, .. }| format!("{mutant}: {sentence}"))
            .collect();
        assert!(
            survivors.is_empty(),
            "{} of {} were not found:\n{}",
            survivors.len(),
            scores.len(),
            survivors.join("\n")
        );
    }

    /// A case that finds nothing wrong may be one that can't.
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
