//! The suite on our own router, in this process: every case at every version.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sxlab_conformance::runner::Plan;
    use sxlab_conformance::target::pair::Pair;
    use sxlab_conformance::{Catalogue, Coverage, Requirement, Role, Verdict, cases};

    #[test]
    fn our_router_passes_every_case_at_every_version() {
        let (target, plan, catalogue) = (Pair::default(), Plan::default(), Catalogue::shipped().unwrap());
        let mut wrong = Vec::new();
        for case in plan.select(cases::smp()) {
            for version in plan.versions_of(case, &catalogue) {
                let result = plan.run(&target, case, version);
                match result.verdict {
                    Verdict::Pass => {}
                    Verdict::Skipped => println!("{} at {version} skipped: {:?}", case.id, result.reason),
                    verdict => {
                        let reason = result.reason.unwrap_or_default();
                        wrong.push(format!("{} at {version}: {}: {reason}", case.id, verdict.name()));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    #[test]
    fn cases_have_names_of_their_own_and_name_requirements_that_exist() {
        let catalogue = Catalogue::shipped().unwrap();
        let mut coverage = Coverage::new(&catalogue);
        let mut ids = BTreeSet::new();
        for case in cases::smp() {
            assert!(ids.insert(case.id), "two cases are called {}", case.id);
            assert!(case.title.ends_with('.'), "{}: a title is a sentence", case.id);
            assert!(!case.requirements.is_empty(), "{} covers nothing", case.id);
            coverage.add(case.id, case.requirements).unwrap();
            let versions = Plan { role: case.role, ..Plan::default() }.versions_of(case, &catalogue);
            assert!(!versions.is_empty(), "{} is never run", case.id);
        }
    }

    #[test]
    fn requirements_without_a_case_are_known() {
        let catalogue = Catalogue::shipped().unwrap();
        let mut coverage = Coverage::new(&catalogue);
        for case in cases::smp() {
            coverage.add(case.id, case.requirements).unwrap();
        }
        let uncovered: Vec<&str> = coverage.uncovered().map(|id| id.as_str()).collect();
        println!("{} of {} requirements have no case yet: {uncovered:?}", uncovered.len(), catalogue.len());
    }

    #[test]
    fn every_requirement_of_these_areas_that_can_be_seen_has_a_case() {
        let areas = ["authorization", "blocking", "encoding", "errors", "recipient", "sender", "versions"];
        let catalogue = Catalogue::shipped().unwrap();
        let mut coverage = Coverage::new(&catalogue);
        for case in cases::smp().filter(|case| case.role.concerns(Role::Router)) {
            coverage.add(case.id, case.requirements).unwrap();
        }
        for area in areas {
            let area = format!("smp.{area}");
            let observable: Vec<_> = catalogue
                .iter()
                .filter(|requirement| requirement.id.area() == area)
                .filter(|requirement| requirement.role.concerns(Role::Router))
                .filter(|requirement| requirement.unobservable.is_none())
                .collect();
            let without = |id: &&&Requirement| coverage.cases(&id.id).is_empty();
            let uncovered: Vec<_> = observable.iter().filter(without).map(|one| one.id.as_str()).collect();
            println!("{area}: {} of {} requirements", observable.len() - uncovered.len(), observable.len());
            assert!(uncovered.is_empty(), "{area}: no case covers {uncovered:?}");
        }
    }

    #[test]
    fn a_run_gives_the_same_again() {
        let (target, plan) = (Pair::default(), Plan::default());
        let case =
            plan.select(cases::smp()).into_iter().find(|case| case.id == "transport.full-batch").unwrap();
        let run = |seed| Plan { seed, ..Plan::default() }.run(&target, case, 20);
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).trace, run(2).trace);
    }

    #[test]
    fn cases_are_selected_by_their_names_and_by_requirements() {
        let ids = |filter: &str| -> Vec<&str> {
            let plan = Plan { filters: vec![filter.to_owned()], ..Plan::default() };
            plan.select(cases::smp()).into_iter().map(|case| case.id).collect()
        };
        assert_eq!(ids("transport.wrong-identity"), ["transport.wrong-identity"]);
        assert_eq!(ids("smp.transport.wrong-identity"), ["transport.wrong-identity"]);
        assert!(ids("smp.transport").len() > 10);
        assert_eq!(ids("nothing"), [""; 0]);
        let plan = Plan { role: Role::Client, filters: vec!["transport.ping".to_owned()], ..Plan::default() };
        assert!(plan.select(cases::smp()).is_empty());
    }
}
