//! The suite for notification routers on ours, in this process.

#[cfg(test)]
mod tests {
    use sxlab_conformance::mutants::ntf_routers;
    use sxlab_conformance::ntf::NtfPair;
    use sxlab_conformance::report::{Conclusion, Report, html, junit};
    use sxlab_conformance::runner::{CaseResult, Plan};
    use sxlab_conformance::{Case, Catalogue, Verdict, Versions, cases};

    fn plan() -> Plan {
        Plan { versions: Versions { min: 1, max: 3 }, ..Plan::default() }
    }

    fn all(target: &NtfPair) -> (Vec<&'static Case>, Vec<CaseResult>) {
        let (plan, catalogue) = (plan(), Catalogue::shipped().unwrap());
        let cases = plan.select(cases::ntf());
        let runs = cases.iter().flat_map(|case| {
            let versions = plan.versions_of(case, &catalogue);
            versions.into_iter().map(|version| plan.run_ntf(target, case, version)).collect::<Vec<_>>()
        });
        let results = runs.collect();
        (cases, results)
    }

    #[test]
    fn our_router_passes_every_case_at_every_version() {
        let (cases, results) = all(&NtfPair::default());
        println!("{} cases, {} runs", cases.len(), results.len());
        let wrong: Vec<_> = results.iter().filter(|result| result.verdict != Verdict::Pass).collect();
        let say =
            |result: &&CaseResult| format!("{} at {}: {:?}", result.case, result.version, result.reason);
        assert!(wrong.is_empty(), "\n{}", wrong.iter().map(say).collect::<Vec<_>>().join("\n"));
        let report = Report::new(&plan(), "sim", &cases, results);
        let catalogue = Catalogue::shipped().unwrap();
        assert_eq!(report.conclusion(&catalogue, &[]), Conclusion::Passed);
        assert_eq!(report.versions().into_iter().collect::<Vec<_>>(), [1, 2, 3]);
        let page = html::render(&catalogue, std::slice::from_ref(&report));
        assert!(page.contains("<h1>NTF conformance</h1>") && page.contains("ntf.token.verify"));
        assert!(!page.contains("smp.transport"));
        assert!(junit::render(&report).contains("failures=\"0\" errors=\"0\" skipped=\"0\""));
    }

    #[test]
    fn every_wrong_router_is_found() {
        let scores = ntf_routers(&plan(), &Catalogue::shipped().unwrap(), false);
        println!("{} wrong routers", scores.len());
        assert!(scores.len() >= 40, "{}", scores.len());
        let alive = scores.iter().filter(|score| !score.is_killed());
        let alive: Vec<_> = alive.map(|score| format!("{}: {}", score.mutant, score.sentence)).collect();
        assert!(alive.is_empty(), "not found:\n{}", alive.join("\n"));
    }

    #[test]
    fn a_run_gives_the_same_again() {
        let cases = plan().select(cases::ntf());
        let case = cases.iter().find(|case| case.id == "ntf-tokens.life").unwrap();
        let run = |seed| Plan { seed, ..plan() }.run_ntf(&NtfPair::default(), case, 3);
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).trace, run(2).trace);
    }
}
