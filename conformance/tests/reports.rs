//! Verdicts, and what reports make of them.

#[cfg(test)]
mod tests {
    use sxlab_conformance::lab::{Failure, Request, require};
    use sxlab_conformance::report::{Conclusion, Report, html, junit, ranges};
    use sxlab_conformance::runner::{CaseResult, Plan};
    use sxlab_conformance::target::pair::Pair;
    use sxlab_conformance::{Case, Catalogue, Verdict};

    const MUST: &[&str] = &["smp.transport.ping"];

    fn verdict(run: fn(&mut sxlab_conformance::lab::Lab<'_>) -> Result<(), Failure>) -> CaseResult {
        Plan::default().run(&Pair::default(), &Case::new("test.case", "A case.", MUST, run), 20)
    }

    fn report(case: &str, result: CaseResult) -> Report {
        let case = Case::new(Box::leak(case.into()), "A <case>.", MUST, |_| Ok(()));
        Report::new(&Plan::default(), "a & b", &[&case], vec![CaseResult { case: case.id.into(), ..result }])
    }

    #[test]
    fn how_a_case_ends_decides_the_verdict() {
        assert_eq!(verdict(|_| Ok(())).verdict, Verdict::Pass);
        assert_eq!(verdict(|_| require(false, || "no".to_owned())).verdict, Verdict::Fail);
        assert_eq!(verdict(|_| Err(Failure::Skipped("why".into()))).verdict, Verdict::Skipped);
        assert_eq!(verdict(|_| Err(Failure::error("ours"))).verdict, Verdict::Error);
        let lost = verdict(|_| Err(Failure::Unreachable("gone".into())));
        assert_eq!((lost.verdict, lost.unreachable), (Verdict::Error, true));
        let tolerated = verdict(|lab| {
            lab.non_strict("not quite");
            Ok(())
        });
        assert_eq!((tolerated.verdict, tolerated.reason.as_deref()), (Verdict::NonStrict, Some("not quite")));
    }

    #[test]
    fn an_unknown_command_is_unsupported_where_nonsense_is_unknown_too() {
        let result = verdict(|lab| {
            let client = lab.client()?;
            lab.ask(client, Request::bytes(*b"FUTURE"))?.ok()
        });
        let reason = "FUTURE is answered by ERR CMD UNKNOWN, expected OK";
        assert_eq!((result.verdict, result.reason.as_deref()), (Verdict::Unsupported, Some(reason)));
        let result = verdict(|lab| {
            let client = lab.client()?;
            lab.ask(client, Request::bytes(*b"PING"))?.ok()
        });
        assert_eq!(
            (result.verdict, result.reason.as_deref()),
            (Verdict::Fail, Some("PING is answered by PONG, expected OK"))
        );
    }

    #[test]
    fn what_is_required_decides_the_conclusion() {
        let catalogue = Catalogue::shipped().unwrap();
        let of = |verdict, unreachable| {
            let result = CaseResult { verdict, unreachable, ..self::verdict(|_| Ok(())) };
            report("test.case", result).conclusion(&catalogue, &[])
        };
        assert_eq!(of(Verdict::Pass, false), Conclusion::Passed);
        assert_eq!(of(Verdict::NonStrict, false), Conclusion::Passed);
        assert_eq!(of(Verdict::Skipped, false), Conclusion::Passed);
        assert_eq!(of(Verdict::Fail, false), Conclusion::Failed);
        assert_eq!(of(Verdict::Unsupported, false), Conclusion::Failed);
        assert_eq!(of(Verdict::Error, true), Conclusion::Unreachable);
        assert_eq!(of(Verdict::Error, false), Conclusion::Broken);
        let lacking = CaseResult { verdict: Verdict::Unsupported, ..verdict(|_| Ok(())) };
        let optional = ["smp.transport".to_owned()];
        assert_eq!(report("test.case", lacking).conclusion(&catalogue, &optional), Conclusion::Passed);
    }

    #[test]
    fn text_of_targets_is_escaped_in_both_documents() {
        let wrong = verdict(|_| Err(Failure::wrong("<got> \u{1} & \"quoted\"")));
        let report = report("test.<case>", wrong);
        let page = html::render(&Catalogue::shipped().unwrap(), &[report.clone(), report.clone()]);
        assert!(page.contains("&lt;got&gt; ? &amp; &quot;quoted&quot;") && !page.contains("<got>"), "{page}");
        assert!(
            page.contains("href=\"#t0-test.&lt;case&gt;-20\"")
                && page.contains("id=\"t1-test.&lt;case&gt;-20\"")
        );
        let xml = junit::render(&report);
        assert!(xml.contains("tests=\"1\" failures=\"1\" errors=\"0\" skipped=\"0\""), "{xml}");
        assert!(xml.contains("<failure message=\"&lt;got&gt; ? &amp; &quot;quoted&quot;\">"), "{xml}");
    }

    #[test]
    fn what_passed_is_cut_and_what_failed_is_whole() {
        let whole = verdict(|lab| {
            let client = lab.client()?;
            lab.ask(client, Request::bytes(*b"PING"))?.ok()
        });
        assert_eq!(report("test.case", whole.clone()).results[0].trace, whole.trace);
        let passed = CaseResult { verdict: Verdict::Pass, ..whole.clone() };
        let passed = report("test.case", passed);
        let hello = &passed.results[0].trace[1].bytes;
        assert!(hello.length > 500 && hello.hex.len() == 256 && hello.digest.is_some(), "{hello:?}");
        assert_eq!(hello.length, whole.trace[1].bytes.length);
    }

    #[test]
    fn versions_in_short() {
        assert_eq!(ranges([6, 7, 8, 10, 12, 13]), "6-8, 10, 12-13");
        assert_eq!(ranges([]), "");
    }
}
