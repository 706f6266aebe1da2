//! The shipped catalogue, and what the loader refuses.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use proptest::prelude::*;
    use sxlab_conformance::{Catalogue, Coverage, Level, RequirementId, Role, Tested, Versions};

    const GOOD: &str = r#"
[[requirement]]
id = "smp.transport.session-id"
level = "MUST"
section = "SMP: Transport handshake"
versions = "6-20"
role = "both"
text = "Both sides see the same session id."
rows = ["TR-14"]
unobservable = "of the example"
[requirement.deviation]
document = "one thing"
deployed = "another"
tested = "document"
numbers = ["D5"]
"#;

    fn refused(text: &str) -> String {
        Catalogue::parse(&[("a.toml", text)]).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_catalogue_loads() {
        let catalogue = Catalogue::shipped().unwrap();
        assert!(catalogue.len() >= 300, "{}", catalogue.len());
        let mut texts = BTreeSet::new();
        for requirement in catalogue.iter() {
            let id = &requirement.id;
            assert!(requirement.text.ends_with('.'), "{id}: a sentence ends with a full stop");
            assert!(texts.insert(&requirement.text), "{id}: another requirement reads the same");
            if requirement.section == "deployed" {
                assert_ne!(requirement.level, Level::Should, "{id}: a document says SHOULD");
            } else {
                assert_ne!(requirement.rows, [""; 0], "{id} has no name in the code's comments");
            }
            if let Some(why) = &requirement.unobservable {
                assert!(!why.ends_with('.'), "{id}: the reason is no sentence of its own");
            }
        }
    }

    /// The names that requirements have in the code's comments: each family with its first and last number. `VM` are the
    /// rows of the table of versions.
    const ROWS: [(&str, u16, u16); 13] = [
        ("ENC", 1, 14),
        ("TR", 1, 42),
        ("AU", 1, 16),
        ("RC", 1, 40),
        ("SN", 1, 23),
        ("SV", 1, 22),
        ("LK", 1, 6),
        ("PX", 1, 21),
        ("NM", 1, 12),
        ("ER", 1, 8),
        ("VM", 6, 20),
        ("OP", 1, 7),
        ("NT", 1, 36),
    ];

    #[test]
    fn every_row_has_a_requirement_and_every_requirement_a_known_row() {
        let expected: BTreeSet<String> = ROWS
            .iter()
            .flat_map(|&(family, first, last)| (first..=last).map(move |number| format!("{family}-{number}")))
            .collect();
        let catalogue = Catalogue::shipped().unwrap();
        let found: BTreeSet<String> =
            catalogue.iter().flat_map(|requirement| requirement.rows.iter().cloned()).collect();
        assert_eq!(expected.difference(&found).collect::<Vec<_>>(), [""; 0], "rows without a requirement");
        assert_eq!(found.difference(&expected).collect::<Vec<_>>(), [""; 0], "rows that there are not");
    }

    #[test]
    fn every_difference_of_document_and_deployed_routers_is_named() {
        let catalogue = Catalogue::shipped().unwrap();
        let deviations = catalogue.iter().filter_map(|requirement| requirement.deviation.as_ref());
        let found: BTreeSet<&str> = deviations.flat_map(|d| d.numbers.iter().map(String::as_str)).collect();
        let missing: Vec<_> =
            (1..=70).map(|n| format!("D{n}")).filter(|d| !found.contains(d.as_str())).collect();
        assert_eq!(missing, [""; 0]);
    }

    /// What the wire does not show is for the most part what operators promise; everywhere else it is rare.
    #[test]
    fn most_requirements_can_be_seen_from_outside() {
        let catalogue = Catalogue::shipped().unwrap();
        let unseen = |area: &str| catalogue.select(area).filter(|r| r.unobservable.is_some()).count();
        assert!(unseen("smp.operator.") * 2 > catalogue.select("smp.operator.").count());
        let elsewhere = unseen("") - unseen("smp.operator.");
        assert!(elsewhere * 10 < catalogue.len(), "{elsewhere} of {}", catalogue.len());
    }

    #[test]
    fn a_role_concerns_itself_and_both() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert!(role.concerns(role) && role.concerns(Role::Both) && Role::Both.concerns(role));
        }
        assert!(!Role::Router.concerns(Role::Client) && !Role::Client.concerns(Role::Router));
    }

    #[test]
    fn every_file_is_shipped() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue");
        let files: BTreeSet<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(files, Catalogue::shipped_files().map(str::to_owned).collect());
    }

    #[test]
    fn an_entry_is_read_whole() {
        let catalogue = Catalogue::parse(&[("a.toml", GOOD)]).unwrap();
        let entry = catalogue.get(&"smp.transport.session-id".parse().unwrap()).unwrap();
        assert_eq!((entry.level, entry.versions), (Level::Must, Versions { min: 6, max: 20 }));
        assert_eq!((entry.id.protocol(), entry.id.area()), ("smp", "smp.transport"));
        assert_eq!((entry.role, entry.unobservable.as_deref()), (Role::Both, Some("of the example")));
        let deviation = entry.deviation.as_ref().unwrap();
        assert_eq!((deviation.tested, &deviation.numbers[..]), (Tested::Document, &["D5".to_owned()][..]));
        for name in ["smp.tr", "TR-14", "D5", ""] {
            assert_eq!(catalogue.select(name).count(), 1, "{name}");
        }
        for name in ["smp.x", "TR-1", "D", "session-id"] {
            assert_eq!(catalogue.select(name).count(), 0, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_file_line_and_key() {
        for (from, to, says) in [
            ("[[requirement]]", "[[requirement", "a.toml:2: "),
            ("level =", "levle =", "a.toml:4: levle: unknown field `levle`"),
            ("level = \"MUST\"\n", "", "a.toml:2: level: missing field `level`"),
            ("MUST", "must", "a.toml:4: level: `must`: a level is one of"),
            ("smp.transport.session-id", "TR-14", "a.toml:3: id: `TR-14`: an id has three parts"),
            ("smp.transport.session-id", "smp.transport.14", "a.toml:3: id: "),
            ("smp.transport.session-id", "xyz.transport.session-id", "a.toml:3: id: unknown protocol"),
            ("6-20", "20-6", "a.toml:6: versions: `20-6`: a range goes from a lower version"),
            ("6-20", "6-", "a.toml:6: versions: `6-`: versions are a number or a range"),
            ("6-20", "06-20", "a.toml:6: versions: `06-20`: "),
            ("6-20", "5-20", "a.toml:6: versions: smp has versions 6-20, not 5-20"),
            ("role = \"both\"\n", "", "a.toml:2: role: missing field `role`"),
            (
                "role = \"both\"",
                "role = \"relay\"",
                "a.toml:7: role: `relay`: a role is one of router, client and both",
            ),
            ("role = \"both\"", "role = true", "a.toml:7: "),
            ("Both sides see the same session id.", "", "a.toml:8: text: is empty"),
            ("Both sides", " Both sides", "a.toml:8: text: must be one line"),
            ("Both sides", "Both\\nsides", "a.toml:8: text: must be one line"),
            ("TR-14", "transport 14", "a.toml:9: rows: `transport 14` is not a name"),
            ("of the example", "", "a.toml:10: unobservable: is empty"),
            ("of the example", "of the\\nexample", "a.toml:10: unobservable: must be one line"),
            ("unobservable =", "observable =", "a.toml:10: observable: unknown field `observable`"),
            ("one thing", "", "a.toml:12: deviation.document: is empty"),
            ("tested = \"document\"", "tested = \"both\"", "a.toml:14: deviation.tested: `both`: "),
            ("D5", "5", "a.toml:15: deviation.numbers: `5` is not a name"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let line = refused(&text);
            assert!(line.starts_with(says) && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn what_can_be_seen_from_outside_says_nothing_of_it() {
        let text = GOOD.replace("unobservable = \"of the example\"\n", "");
        let catalogue = Catalogue::parse(&[("a.toml", &text)]).unwrap();
        assert_eq!(catalogue.iter().next().unwrap().unobservable, None);
    }

    #[test]
    fn an_id_is_there_once() {
        let error = Catalogue::parse(&[("a.toml", GOOD), ("b.toml", GOOD)]).unwrap_err().to_string();
        assert_eq!(error, "b.toml:3: id: `smp.transport.session-id` is also at a.toml:3");
    }

    #[test]
    fn coverage_counts_cases_of_known_requirements() {
        let catalogue = Catalogue::parse(&[("a.toml", GOOD)]).unwrap();
        let id = "smp.transport.session-id".parse().unwrap();
        let mut coverage = Coverage::new(&catalogue);
        assert_eq!(coverage.uncovered().collect::<Vec<_>>(), [&id]);
        let unknown = coverage.add("one", &["smp.transport.session-id", "smp.transport.other"]);
        assert_eq!(
            unknown.unwrap_err().to_string(),
            "case `one` covers `smp.transport.other`, which is not in the catalogue"
        );
        assert!(coverage.cases(&id).is_empty(), "a refused case notes nothing");
        coverage.add("one", &["smp.transport.session-id"]).unwrap();
        assert_eq!((coverage.cases(&id), coverage.uncovered().count()), (&["one".to_owned()][..], 0));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_in_one_line(text in "(\\[\\[requirement\\]\\]\n)?(id|level|text)? ?=? ?\\PC{0,40}") {
            if let Err(error) = Catalogue::parse(&[("a.toml", &text)]) {
                prop_assert!(!error.to_string().contains('\n'));
                prop_assert!((1..=1 + text.lines().count()).contains(&error.line));
            }
        }

        #[test]
        fn versions_are_written_as_they_are_read(min in 1..300u16, more in 0..300u16) {
            let versions = Versions { min, max: min + more };
            prop_assert_eq!(versions.to_string().parse(), Ok(versions));
        }

        #[test]
        fn ids_are_written_as_they_are_read(text in "[a-z][a-z0-9-]{0,5}(\\.[a-z][a-z0-9-]{0,5}){0,3}") {
            if let Ok(id) = text.parse::<RequirementId>() {
                prop_assert_eq!(id.as_str(), text.as_str());
                prop_assert_eq!(text.split('.').count(), 3);
            }
        }
    }
}
