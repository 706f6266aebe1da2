use clap::Args;
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::smp::errand::{Errand, Receive, Step, Told};
use sxlab_protocol::wire::RouterAddress;

use super::{SECOND, ask_for, connect, now, undone};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// How long the router may take for each answer, in seconds.
const ANSWER: u64 = 30;

/// Make a queue, print its address, then print what arrives.
///
/// The first line on the standard output is the queue's address, for `sxlab smp send`; every message is a line after it.
/// The queue is deleted at the end.
#[derive(Args, Debug)]
pub(crate) struct ReceiveArgs {
    /// The router that holds the queue, smp://…
    #[arg(value_name = "ROUTER")]
    router: RouterAddress,
    /// End after so many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End when no message comes for so many seconds; a failure if --count asks for more.
    #[arg(long, value_name = "S")]
    timeout: Option<u64>,
}

pub(super) async fn receive(args: ReceiveArgs) -> Outcome {
    let (session, mut events) = connect(&args.router, ANSWER).await?;
    let mut errand = Receive::new(args.router, args.count, &mut RealWorld.rng());
    loop {
        match errand.next(session.version()).map_err(undone)? {
            Step::Ask(ask) => {
                let answer = ask_for(&session, *ask).await?;
                errand.answer(answer, now()).map_err(undone)?;
            }
            Step::Wait => {
                let waited = async {
                    match args.timeout {
                        Some(seconds) => RealWorld.sleep(seconds.saturating_mul(SECOND)).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    event = events.recv() => {
                        let Some((entity, event)) = event else {
                            return Err(Failure::new(Exit::Unreachable, "the router ended the connection"));
                        };
                        errand.event(&entity, event).map_err(undone)?;
                    }
                    () = waited => match args.count {
                        Some(count) => {
                            let message = format!("{} of {count} messages came", errand.received());
                            return Err(Failure::new(Exit::Failures, message));
                        }
                        None => errand.finish(),
                    },
                }
            }
            Step::Done => break,
        }
        while let Some(told) = errand.told() {
            show(told)?;
        }
    }
    session.close();
    Ok(())
}

fn show(told: Told) -> Outcome {
    match told {
        Told::Address(address) => return output::data(address.to_string().as_bytes()),
        Told::Message(text) => return output::data(&text),
        Told::Full => output::note("the queue was full: the sender could not send more"),
        Told::Unreadable(why) => output::note(format_args!("a message that can't be read: {why}")),
        Told::Pong | Told::Contact(_) => {}
    }
    Ok(())
}
