//! One self-contained page: what every requirement came to at every version on every target, with what was exchanged.

use std::collections::{BTreeMap, BTreeSet};

use super::junit::escape;
use super::{Report, ranges, trace_text};
use crate::case::Verdict;
use crate::catalogue::Catalogue;
use crate::requirement::{Requirement, RequirementId};
use crate::runner::CaseResult;

const STYLE: &str = include_str!("style.css");

/// The page for these reports, the targets side by side. Requirements that none of them tried are listed with the reason
/// where the catalogue has one.
pub fn render(catalogue: &Catalogue, reports: &[Report]) -> String {
    let mut page = String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width\">");
    let protocols: BTreeSet<&str> = reports.iter().map(|report| report.protocol.as_str()).collect();
    let title = protocols.iter().map(|name| name.to_uppercase()).collect::<Vec<_>>().join(" and ");
    page.push_str(&format!(
        "<title>{title} conformance</title>\n<style>{STYLE}</style></head><body>\n<h1>{title} conformance</h1>\n"
    ));
    summary(&mut page, reports);
    matrix(&mut page, catalogue, reports);
    untested(&mut page, catalogue, reports);
    page.push_str(
        "<h2 id=\"cases\">Cases</h2>\n<p class=\"small\">Bytes are a block's content, decrypted and without \
        padding. What passed shows the beginning of long blocks and of long runs.</p>\n",
    );
    for (number, report) in reports.iter().enumerate() {
        cases(&mut page, number, report, reports.len() > 1);
    }
    page.push_str("</body></html>\n");
    page
}

fn summary(page: &mut String, reports: &[Report]) {
    page.push_str("<table class=\"summary\"><tr><th>target</th><th>side</th><th>versions</th><th>seed</th>");
    for verdict in Verdict::ALL {
        page.push_str(&format!("<th class=\"{0}\">{0}</th>", verdict.name()));
    }
    page.push_str("</tr>\n");
    for report in reports {
        let document = if report.strict_document { ", document tested strictly" } else { "" };
        page.push_str(&format!(
            "<tr><td>{}</td><td>{}{document}</td><td>{}</td><td>{}</td>",
            escape(&report.target),
            escape(&report.role),
            ranges(report.versions()),
            report.seed
        ));
        let counts = report.counts();
        for verdict in Verdict::ALL {
            let count = counts.get(&verdict).copied().unwrap_or_default();
            page.push_str(&format!("<td class=\"number\">{count}</td>"));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n<p class=\"small\">Numbers are runs: a case at a version. In the matrix a requirement has the \
        worst verdict of its cases.</p>\n");
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::NonStrict => "~",
        Verdict::Fail => "✗",
        Verdict::Unsupported => "–",
        Verdict::Skipped => "·",
        Verdict::Error => "!",
    }
}

fn matrix(page: &mut String, catalogue: &Catalogue, reports: &[Report]) {
    let versions: Vec<BTreeSet<u16>> = reports.iter().map(Report::versions).collect();
    let verdicts: Vec<_> = reports.iter().map(|report| report.requirements(catalogue)).collect();
    let tested: BTreeSet<&str> = verdicts.iter().flat_map(|verdicts| verdicts.keys().copied()).collect();
    page.push_str("<h2>Requirements</h2>\n<table class=\"matrix\">\n<thead>");
    if reports.len() > 1 {
        page.push_str("<tr><th></th><th></th>");
        for (report, versions) in reports.iter().zip(&versions) {
            let (count, name) = (versions.len(), escape(&report.target));
            page.push_str(&format!("<th class=\"target\" colspan=\"{count}\">{name}</th>"));
        }
        page.push_str("</tr>");
    }
    page.push_str("<tr><th>requirement</th><th>level</th>");
    for versions in &versions {
        for (index, version) in versions.iter().enumerate() {
            let first = if index == 0 { " class=\"first\"" } else { "" };
            page.push_str(&format!("<th{first}>{version}</th>"));
        }
    }
    page.push_str("</tr></thead>\n");
    let columns = 2 + versions.iter().map(BTreeSet::len).sum::<usize>();
    let mut area = "";
    for requirement in catalogue.iter().filter(|requirement| tested.contains(requirement.id.as_str())) {
        if requirement.id.area() != area {
            area = requirement.id.area();
            page.push_str(&format!("<tr class=\"area\"><th colspan=\"{columns}\">{area}</th></tr>\n"));
        }
        name(page, requirement);
        for (number, report) in reports.iter().enumerate() {
            let Some((versions, verdicts)) = versions.get(number).zip(verdicts.get(number)) else { continue };
            let at = verdicts.get(requirement.id.as_str());
            for (index, version) in versions.iter().enumerate() {
                let first = if index == 0 { " first" } else { "" };
                match at.and_then(|at| at.get(version)) {
                    None => page.push_str(&format!("<td class=\"none{first}\"></td>")),
                    Some(verdict) => {
                        let case = shown_case(report, requirement.id.as_str(), *version, *verdict);
                        page.push_str(&format!(
                            "<td class=\"{}{first}\"><a href=\"#{}\">{}</a></td>",
                            verdict.name(),
                            anchor(number, case, *version),
                            mark(*verdict)
                        ));
                    }
                }
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n<p class=\"small\">");
    for verdict in Verdict::ALL {
        page.push_str(&format!(
            "<span class=\"{0}\">&nbsp;{1}&nbsp;</span> {0} &nbsp; ",
            verdict.name(),
            mark(verdict)
        ));
    }
    page.push_str("</p>\n");
}

fn name(page: &mut String, requirement: &Requirement) {
    let id = requirement.id.as_str();
    let short = id.rsplit('.').next().unwrap_or(id);
    page.push_str(&format!(
        "<tr><td class=\"name\"><details><summary>{short}</summary>{} <span class=\"small\">{id}; versions {}; {}</span>",
        escape(&requirement.text),
        requirement.versions,
        escape(&requirement.section)
    ));
    if let Some(deviation) = &requirement.deviation {
        page.push_str(&format!(
            "<br><span class=\"small\">document: {}<br>deployed: {}</span>",
            escape(&deviation.document),
            escape(&deviation.deployed)
        ));
    }
    page.push_str(&format!("</details></td><td class=\"level\">{}</td>", requirement.level));
}

/// The case that a cell leads to: the first with the cell's verdict.
fn shown_case<'a>(report: &'a Report, requirement: &str, version: u16, verdict: Verdict) -> &'a str {
    let covers = |case: &str| {
        let case = report.cases.iter().find(|known| known.id == case);
        case.is_some_and(|case| case.requirements.iter().any(|id| id == requirement))
    };
    let found = report
        .results
        .iter()
        .find(|result| result.version == version && result.verdict == verdict && covers(&result.case));
    found.map(|result| result.case.as_str()).unwrap_or_default()
}

fn anchor(target: usize, case: &str, version: u16) -> String {
    format!("t{target}-{}-{version}", escape(case))
}

fn untested(page: &mut String, catalogue: &Catalogue, reports: &[Report]) {
    let tested: BTreeSet<&str> = reports
        .iter()
        .flat_map(|report| &report.cases)
        .flat_map(|case| &case.requirements)
        .map(String::as_str)
        .collect();
    // What the ends of a queue exchange is tried with SMP.
    let of_protocol = |id: &RequirementId| match id.protocol() {
        "ntf" => reports.iter().any(|report| report.protocol == "ntf"),
        _ => reports.iter().any(|report| report.protocol == "smp"),
    };
    let untested = |requirement: &&Requirement| {
        of_protocol(&requirement.id) && !tested.contains(requirement.id.as_str())
    };
    let rest: Vec<&Requirement> = catalogue.iter().filter(untested).collect();
    if rest.is_empty() {
        return;
    }
    page.push_str(&format!(
        "<details><summary>{} requirements without a case in this run</summary>\n<ul>",
        rest.len()
    ));
    for requirement in rest {
        let why = requirement.unobservable.as_deref().map(escape);
        let why = why.map(|why| format!(" <span class=\"small\">cannot be seen from outside: {why}</span>"));
        page.push_str(&format!("<li>{}{}</li>\n", requirement.id, why.unwrap_or_default()));
    }
    page.push_str("</ul></details>\n");
}

fn cases(page: &mut String, number: usize, report: &Report, several: bool) {
    if several {
        page.push_str(&format!("<h3>{}</h3>\n", escape(&report.target)));
    }
    let mut by_case: BTreeMap<&str, Vec<&CaseResult>> = BTreeMap::new();
    for result in &report.results {
        by_case.entry(&result.case).or_default().push(result);
    }
    for case in &report.cases {
        let Some(results) = by_case.get(case.id.as_str()) else { continue };
        page.push_str(&format!("<section><h4>{}</h4><p>{}", escape(&case.id), escape(&case.title)));
        if !case.settings.is_empty() {
            page.push_str(&format!(
                " <span class=\"small\">needs {}</span>",
                escape(&case.settings.join(", "))
            ));
        }
        page.push_str(&format!(
            "<br><span class=\"small\">{}</span></p>\n",
            escape(&case.requirements.join(", "))
        ));
        for result in results {
            let reason = result.reason.as_deref().map(escape).unwrap_or_default();
            page.push_str(&format!(
                "<details><summary><span class=\"{1}\">&nbsp;{0}&nbsp;</span> {2} {reason}</summary>",
                mark(result.verdict),
                result.verdict.name(),
                result.version
            ));
            // A link to what is inside opens the details.
            let id = anchor(number, &case.id, result.version);
            let text = escape(&trace_text(&result.trace));
            page.push_str(&format!("<pre id=\"{id}\">{text}</pre></details>\n"));
        }
        page.push_str("</section>\n");
    }
}
