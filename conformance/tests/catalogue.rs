//! The shipped catalogue, and what the loader refuses.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use proptest::prelude::*;
    use sxlab_conformance::{Catalogue, Coverage, Level, RequirementId, Tested, Versions};

    const GOOD: &str = r#"
[[requirement]]
id = "smp.transport.session-id"
level = "MUST"
section = "SMP: Transport handshake"
versions = "6-20"
text = "Both sides see the same session id."
rows = ["TR-14"]
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
        assert!(catalogue.len() >= 130, "{}", catalogue.len());
        for requirement in catalogue.iter() {
            assert!(requirement.text.ends_with('.'), "{}: a sentence ends with a full stop", requirement.id);
            assert_ne!(requirement.rows, [""; 0], "{} has no name in the code's comments", requirement.id);
            if requirement.section == "deployed" {
                assert_ne!(requirement.level, Level::Should, "{}: a document says SHOULD", requirement.id);
            }
        }
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
            ("Both sides see the same session id.", "", "a.toml:7: text: is empty"),
            ("Both sides", " Both sides", "a.toml:7: text: must be one line"),
            ("Both sides", "Both\\nsides", "a.toml:7: text: must be one line"),
            ("TR-14", "transport 14", "a.toml:8: rows: `transport 14` is not a name"),
            ("one thing", "", "a.toml:10: deviation.document: is empty"),
            ("tested = \"document\"", "tested = \"both\"", "a.toml:12: deviation.tested: `both`: "),
            ("D5", "5", "a.toml:13: deviation.numbers: `5` is not a name"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let line = refused(&text);
            assert!(line.starts_with(says) && !line.contains('\n'), "{line}");
        }
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
