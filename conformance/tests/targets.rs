//! The suite on other targets than the one in this process.

#[cfg(test)]
mod tests {
    use sxlab_conformance::runner::{Plan, reach};
    use sxlab_conformance::target::sockets::Remote;
    use sxlab_conformance::target::turmoil::Turmoil;
    use sxlab_conformance::target::{Settings, Target};
    use sxlab_conformance::{Verdict, cases};

    /// With TLS, each run of a case costs some milliseconds: the versions before and after which most things change.
    const VERSIONS: [u16; 4] = [6, 7, 11, 20];

    #[test]
    fn our_router_passes_on_tls_in_the_simulated_network() {
        let (target, plan) = (Turmoil::default(), Plan::default());
        let mut wrong = Vec::new();
        for case in plan.select(cases::smp()) {
            for version in VERSIONS.into_iter().filter(|version| case.versions.contains(*version)) {
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
    fn a_run_in_the_simulated_network_gives_the_same_again() {
        let plan = Plan { filters: vec!["transport.ping".to_owned()], ..Plan::default() };
        let case = plan.select(cases::smp())[0];
        let run = |seed| Plan { seed, ..plan.clone() }.run(&Turmoil::default(), case, 20);
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).trace, run(2).trace);
    }

    #[test]
    fn where_nobody_listens_is_unreachable_and_says_nothing_of_conformance() {
        let address = format!("smp://{}@127.0.0.1:1", "A".repeat(43));
        let target = Remote::new(address.parse().unwrap());
        let unreachable = reach(&target, &Settings::default(), 1).unwrap_err().to_string();
        assert!(unreachable.contains("could not connect"), "{unreachable}");
        let plan = Plan::default();
        let result = plan.run(&target, plan.select(cases::smp())[0], 20);
        assert_eq!((result.verdict, result.unreachable), (Verdict::Error, true));
    }

    #[test]
    fn a_case_is_skipped_where_the_settings_that_it_needs_are_not_provided() {
        let refused = |needs: &str, provides: &str| {
            let provides = Settings::parse(provides).unwrap();
            let needs = Settings::parse(needs).unwrap();
            needs.among(&provides).err().map(|unavailable| unavailable.to_string())
        };
        assert_eq!(refused("", ""), None);
        assert_eq!(refused("quota=2,message_ttl=1s", "quota=2,message_ttl=1000ms,end_interval=1s"), None);
        assert_eq!(refused("quota=2", "quota=3").unwrap(), "needs a router with quota=2");
        assert_eq!(refused("", "password=secret").unwrap(), "needs a router without password=secret");
        for (text, why) in [
            ("quota", "`quota` has no value: write name=value"),
            ("quota=many", "quota=many: expected a number"),
            ("message_ttl=1", "message_ttl=1: expected a time, as 1500ms, 2s, 1h or 21d"),
        ] {
            assert_eq!(Settings::parse(text).unwrap_err().to_string(), why);
        }
        assert!(
            Settings::parse("colour=red")
                .unwrap_err()
                .to_string()
                .starts_with("no setting is called `colour`")
        );
        let all = Settings::parse("quota=2,message_ttl=1s,inactive_ttl=2m,inactive_interval=90s").unwrap();
        let text: Vec<String> = all.entries().iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(Settings::parse(&text.join(",")), Ok(all));
        assert_eq!(Turmoil::default().name(), "turmoil");
    }
}
