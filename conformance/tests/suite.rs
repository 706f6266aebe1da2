//! The suite on our own router, in this process: every case at every version.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sxlab_conformance::runner::Plan;
    use sxlab_conformance::target::pair::Pair;
    use sxlab_conformance::{Catalogue, Coverage, Role, Verdict, Versions, cases};

    #[test]
    fn our_router_passes_every_case_at_every_version() {
        let (target, plan, catalogue) = (Pair::default(), Plan::default(), Catalogue::shipped().unwrap());
        let (mut wrong, mut runs, mut requirements) = (Vec::new(), 0, BTreeSet::<&str>::new());
        let cases = plan.select(cases::smp());
        for case in &cases {
            requirements.extend(case.requirements.iter().copied());
            for version in plan.versions_of(case, &catalogue) {
                runs += 1;
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
        println!("{} cases, {runs} runs, {} requirements", cases.len(), requirements.len());
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    #[test]
    fn cases_have_names_of_their_own_and_name_requirements_that_exist() {
        let catalogue = Catalogue::shipped().unwrap();
        let mut coverage = Coverage::new(&catalogue);
        let mut ids = BTreeSet::new();
        for case in cases::smp().chain(cases::ntf()) {
            assert!(ids.insert(case.id), "two cases are called {}", case.id);
            assert!(case.title.ends_with('.'), "{}: a title is a sentence", case.id);
            assert!(!case.requirements.is_empty(), "{} covers nothing", case.id);
            coverage.add(case.id, case.requirements).unwrap();
            let all = Versions { min: 1, max: 20 };
            let versions =
                Plan { role: case.role, versions: all, ..Plan::default() }.versions_of(case, &catalogue);
            assert!(!versions.is_empty(), "{} is never run", case.id);
        }
    }

    /// The cases of each requirement, and those of routers alone.
    fn coverages(catalogue: &Catalogue) -> [Coverage; 2] {
        let [mut all, mut of_routers] = [Coverage::new(catalogue), Coverage::new(catalogue)];
        for case in cases::smp().chain(cases::ntf()) {
            all.add(case.id, case.requirements).unwrap();
            if case.role == Role::Router {
                of_routers.add(case.id, case.requirements).unwrap();
            }
        }
        [all, of_routers]
    }

    #[test]
    fn every_requirement_has_a_case_or_says_why_not() {
        let catalogue = Catalogue::shipped().unwrap();
        let [all, of_routers] = coverages(&catalogue);
        let not_reached: BTreeSet<&str> = cases::client::NOT_REACHED.iter().map(|(id, _)| *id).collect();
        let mut without = Vec::new();
        for requirement in catalogue.iter() {
            let id = &requirement.id;
            match (&requirement.unobservable, requirement.role) {
                (Some(_), _) => assert!(all.cases(id).is_empty(), "{id} has a case, it can be seen"),
                (None, Role::Client) => {
                    if all.cases(id).is_empty() && !not_reached.contains(id.as_str()) {
                        without.push(id.as_str());
                    }
                }
                // What both sides have to do is tested of routers too. The client's side has its own test.
                (None, Role::Router | Role::Both) => {
                    if of_routers.cases(id).is_empty() {
                        without.push(id.as_str());
                    }
                }
            }
        }
        assert_eq!(without, [""; 0]);
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
