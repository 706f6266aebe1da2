use clap::Args;
use sxlab_protocol::smp::errand::{Errand, Resolve, Step, Told};
use sxlab_protocol::smp::name::Name;
use sxlab_protocol::wire::RouterAddress;

use super::{ask_for, connect, now, undone};
use crate::exit::Outcome;
use crate::output;

/// Ask a router what a name stands for.
///
/// The standard output has the addresses to contact whoever has the name, each on a line.
#[derive(Args, Debug)]
pub(crate) struct ResolveArgs {
    /// The router to ask, smp://…
    #[arg(value_name = "ROUTER")]
    router: RouterAddress,
    /// The name, as alice.simplex.
    #[arg(value_name = "NAME", value_parser = name)]
    name: Name,
    /// Give up after so many seconds without an answer.
    #[arg(long, value_name = "S", default_value_t = 30)]
    timeout: u64,
}

fn name(text: &str) -> Result<Name, &'static str> {
    Name::parse(text).map_err(|_| "a name has two or more labels of letters, digits and single inner hyphens")
}

pub(super) async fn resolve(args: ResolveArgs) -> Outcome {
    let (session, _events) = connect(&args.router, args.timeout).await?;
    let mut errand = Resolve::new(args.name);
    while let Step::Ask(ask) = errand.next(session.version()).map_err(undone)? {
        let answer = ask_for(&session, *ask).await?;
        errand.answer(answer, now()).map_err(undone)?;
    }
    while let Some(told) = errand.told() {
        if let Told::Contact(address) = told {
            output::data(address.as_bytes())?;
        }
    }
    session.close();
    Ok(())
}
