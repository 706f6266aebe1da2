//! `sxlab catalogue`: what the specifications require.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use sxlab_conformance::{Catalogue, Level, Requirement};

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
    requirements: Vec<&'a Requirement>,
}

/// Runs the subcommand.
pub(crate) fn run(args: &CatalogueArgs) -> Outcome {
    let catalogue = Catalogue::shipped().map_err(|error| Failure::new(Exit::Bug, error))?;
    let prefix = args.prefix.as_deref().unwrap_or_default();
    let requirements: Vec<_> = catalogue.select(prefix).collect();
    if requirements.is_empty() {
        return Err(Failure::new(Exit::Nothing, format_args!("no requirement is called `{prefix}`")));
    }
    if args.json {
        return output::json(&Document { schema: "sxlab-catalogue-2", requirements });
    }
    let mut area = "";
    for requirement in &requirements {
        if requirement.id.area() != area {
            area = requirement.id.area();
            output::note(format_args!("\n{area}"));
        }
        print(requirement);
    }
    let mut levels: BTreeMap<Level, usize> = BTreeMap::new();
    for requirement in &requirements {
        *levels.entry(requirement.level).or_default() += 1;
    }
    let levels: Vec<_> = levels.iter().map(|(level, count)| format!("{count} {level}")).collect();
    let unobservable = requirements.iter().filter(|requirement| requirement.unobservable.is_some()).count();
    output::note(format_args!(
        "\n{} requirements: {}; {unobservable} cannot be seen from outside",
        requirements.len(),
        levels.join(", ")
    ));
    Ok(())
}

fn print(requirement: &Requirement) {
    let Requirement { id, level, section, versions, role, text, deviation, unobservable, .. } = requirement;
    output::note(format_args!("  {id:<46} {level:<7} {versions:<5}  {role:<6}  {section}"));
    output::note(format_args!("      {text}"));
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
