//! The suite on our own client, right and wrong in one way at a time.

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sxlab_conformance::mutants::{Score, clients};
    use sxlab_conformance::runner::Plan;
    use sxlab_conformance::target::client_pair::ClientPair;
    use sxlab_conformance::{Catalogue, Role, Verdict, cases};
    use sxlab_protocol::smp::client::ClientMutant;

    fn plan() -> Plan {
        Plan { role: Role::Client, ..Plan::default() }
    }

    #[test]
    fn our_client_passes_every_case_at_every_version() {
        let (target, plan, catalogue) = (ClientPair::default(), plan(), Catalogue::shipped().unwrap());
        let mut wrong = Vec::new();
        for case in plan.select(cases::smp()) {
            for version in plan.versions_of(case, &catalogue) {
                let result = plan.run(&target, case, version);
                if result.verdict != Verdict::Pass {
                    let reason = result.reason.unwrap_or_default();
                    wrong.push(format!("{} at {version}: {}: {reason}", case.id, result.verdict.name()));
                }
            }
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    #[test]
    fn every_wrong_client_is_found() {
        let scores = clients(&plan(), &Catalogue::shipped().unwrap(), false);
        assert!(scores.len() >= 40, "{}", scores.len());
        let survivors: Vec<_> = scores.iter().filter(|score| !score.is_killed()).collect();
        assert!(survivors.is_empty(), "{survivors:#?}");
    }

    /// A case that finds nothing wrong may be one that can't. Ignored as it checks nothing: it is a list for who writes cases.
    #[test]
    #[ignore = "takes a minute: prints which cases find which wrong clients"]
    fn which_cases_find_what() {
        let scores = clients(&plan(), &Catalogue::shipped().unwrap(), true);
        let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for Score { mutant, killed_by, .. } in &scores {
            println!("{mutant}: {:?}", killed_by.iter().map(|kill| kill.case).collect::<Vec<_>>());
            for kill in killed_by {
                found.entry(kill.case).or_default().insert(mutant);
            }
        }
        let idle: Vec<&str> = plan()
            .select(cases::smp())
            .into_iter()
            .map(|case| case.id)
            .filter(|id| !found.contains_key(id))
            .collect();
        println!("cases that find no wrong client: {idle:?}");
    }

    #[test]
    fn every_requirement_on_clients_has_a_case_or_a_reason() {
        let catalogue = Catalogue::shipped().unwrap();
        let covered: BTreeSet<&str> =
            plan().select(cases::smp()).iter().flat_map(|case| case.requirements).copied().collect();
        let reasons: BTreeSet<&str> = cases::client::NOT_REACHED.iter().map(|(id, _)| *id).collect();
        for requirement in catalogue.iter() {
            let (id, seen) = (requirement.id.as_str(), requirement.unobservable.is_none());
            if matches!(requirement.role, Role::Client | Role::Both) && seen {
                assert!(covered.contains(id) != reasons.contains(id), "{id}: a case or a reason");
            }
        }
        let unknown: Vec<_> =
            reasons.iter().filter(|id| catalogue.get(&id.parse().unwrap()).is_none()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn wrong_clients_have_names_and_sentences() {
        let names: BTreeSet<&str> = ClientMutant::ALL.iter().map(|mutant| mutant.name()).collect();
        assert_eq!(names.len(), ClientMutant::ALL.len());
        for mutant in ClientMutant::ALL {
            let sentence = mutant.sentence();
            assert!(sentence.ends_with('.') && !sentence.starts_with(' '), "{sentence}");
        }
    }
}
