//! JUnit XML: a suite for each area, a test for each case at each version.

use std::collections::BTreeMap;

use super::{Report, trace_text};
use crate::case::Verdict;
use crate::runner::CaseResult;

/// The document. Of what did not pass, what was exchanged is in it.
pub fn render(report: &Report) -> String {
    let mut areas: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
    for result in &report.results {
        let area = result.case.split('.').next().unwrap_or_default();
        areas.entry(area).or_default().push(result);
    }
    let mut xml =
        String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"sxlab conform\">\n");
    for (area, results) in areas {
        let count =
            |verdicts: &[Verdict]| results.iter().filter(|result| verdicts.contains(&result.verdict)).count();
        xml.push_str(&format!(
            "  <testsuite name=\"{area}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">\n",
            results.len(),
            count(&[Verdict::Fail]),
            count(&[Verdict::Error]),
            count(&[Verdict::Skipped, Verdict::Unsupported]),
        ));
        for result in &results {
            test(&mut xml, area, result);
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn test(xml: &mut String, area: &str, result: &CaseResult) {
    let seconds = result.nanoseconds / 1_000_000_000;
    let thousandths = result.nanoseconds / 1_000_000 % 1000;
    xml.push_str(&format!(
        "    <testcase classname=\"{area}\" name=\"{} at version {}\" time=\"{seconds}.{thousandths:03}\"",
        escape(&result.case),
        result.version
    ));
    let reason = escape(result.reason.as_deref().unwrap_or_default());
    let inner = match result.verdict {
        Verdict::Pass => return xml.push_str("/>\n"),
        Verdict::NonStrict => format!("      <system-out>non-strict: {reason}</system-out>\n"),
        Verdict::Fail => {
            format!("      <failure message=\"{reason}\">{}</failure>\n", escape(&trace_text(&result.trace)))
        }
        Verdict::Error => {
            format!("      <error message=\"{reason}\">{}</error>\n", escape(&trace_text(&result.trace)))
        }
        Verdict::Unsupported => format!("      <skipped message=\"unsupported: {reason}\"/>\n"),
        Verdict::Skipped => format!("      <skipped message=\"{reason}\"/>\n"),
    };
    xml.push_str(&format!(">\n{inner}    </testcase>\n"));
}

/// Text for XML and HTML, in content and in attributes. What XML can't hold becomes a question mark.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}
