//! `sxlab catalogue`: what the specifications require.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use sxlab_conformance::{Catalogue, Coverage, Level, Requirement, cases};

use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// List the requirements of the specifications.
#[derive(Args, Debug)]
pub(crate) struct CatalogueArgs {
    /// Only requirements whose id begins so, as smp.proxy; or that comments in the code call so, as TR-14 or D5.
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
    /// Print one JSON document on the standard output.
    #[arg(long)]
    json: bool,
}

/// The JSON document.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    requirements: Vec<Entry<'a>>,
}

/// A requirement with the cases that cover it.
#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    requirement: &'a Requirement,
    cases: &'a [String],
    /// Why the suite does not try it of clients, though it could be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_tried_of_clients: Option<&'static str>,
}

/// Runs the subcommand.
pub(crate) fn run(args: &CatalogueArgs) -> Outcome {
    let catalogue = Catalogue::shipped().map_err(|error| Failure::new(Exit::Bug, error))?;
    let prefix = args.prefix.as_deref().unwrap_or_default();
    let requirements: Vec<_> = catalogue.select(prefix).collect();
    if requirements.is_empty() {
        return Err(Failure::new(Exit::Nothing, format_args!("no requirement is called `{prefix}`")));
    }
    let coverage = coverage(&catalogue)?;
    if args.json {
        let entries = requirements.iter().map(|requirement| {
            let cases = coverage.cases(&requirement.id);
            Entry { requirement, cases, not_tried_of_clients: not_tried(requirement) }
        });
        return output::json(&Document { schema: "sxlab-catalogue-3", requirements: entries.collect() });
    }
    let mut area = "";
    for requirement in &requirements {
        if requirement.id.area() != area {
            area = requirement.id.area();
            output::note(format_args!("\n{area}"));
        }
        print(requirement, coverage.cases(&requirement.id));
    }
    let mut levels: BTreeMap<Level, usize> = BTreeMap::new();
    for requirement in &requirements {
        *levels.entry(requirement.level).or_default() += 1;
    }
    let levels: Vec<_> = levels.iter().map(|(level, count)| format!("{count} {level}")).collect();
    let unobservable = requirements.iter().filter(|requirement| requirement.unobservable.is_some()).count();
    let covered =
        requirements.iter().filter(|requirement| !coverage.cases(&requirement.id).is_empty()).count();
    let without = |requirement: &&&Requirement| coverage.cases(&requirement.id).is_empty();
    let untried = requirements.iter().filter(without).filter(|one| not_tried(one).is_some()).count();
    output::note(format_args!(
        "\n{} requirements: {}; {covered} have a case, {unobservable} cannot be seen from outside, {untried} are not tried of clients",
        requirements.len(),
        levels.join(", ")
    ));
    Ok(())
}

/// Which cases cover what.
fn coverage(catalogue: &Catalogue) -> Result<Coverage, Failure> {
    let mut coverage = Coverage::new(catalogue);
    for case in cases::smp().chain(cases::ntf()) {
        coverage.add(case.id, case.requirements).map_err(|error| Failure::new(Exit::Bug, error))?;
    }
    Ok(coverage)
}

/// Why the suite does not try a requirement of clients.
fn not_tried(requirement: &Requirement) -> Option<&'static str> {
    let mut reasons = cases::client::NOT_REACHED.iter();
    reasons.find(|(id, _)| *id == requirement.id.as_str()).map(|(_, why)| *why)
}

fn print(requirement: &Requirement, cases: &[String]) {
    let Requirement { id, level, section, versions, role, text, deviation, unobservable, .. } = requirement;
    output::note(format_args!("  {id:<46} {level:<7} {versions:<5}  {role:<6}  {section}"));
    output::note(format_args!("      {text}"));
    if !cases.is_empty() {
        output::note(format_args!("      cases: {}", cases.join(", ")));
    }
    if let Some(why) = not_tried(requirement) {
        output::note(format_args!("      not tried of clients: {why}"));
    }
    if let Some(why) = unobservable {
        output::note(format_args!("      cannot be seen from outside: {why}"));
    }
    if let Some(deviation) = deviation {
        let mark = |tested| if deviation.tested == tested { ", tested" } else { "" };
        use sxlab_conformance::Tested;
        output::note(format_args!("      document{}: {}", mark(Tested::Document), deviation.document));
        output::note(format_args!("      deployed{}: {}", mark(Tested::Deployed), deviation.deployed));
    }
}
