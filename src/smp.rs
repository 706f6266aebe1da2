//! `sxlab smp`: small clients for people and scripts.
//!
//! | module | what it does |
//! |---|---|
//! | [`ping`] | connects and asks for a PONG |
//! | [`receive`] | makes a queue, prints its address and then what arrives |
//! | [`resolve`] | asks what a name stands for |
//! | [`send`] | secures a queue and sends, directly or through a proxy |

mod ping;
mod receive;
mod resolve;
mod send;

use clap::Subcommand;
use sxlab_node::client::{Event, Session, SessionError};
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::smp::errand::{Ask, ErrandError};
use sxlab_protocol::smp::error::{ProxyError, SmpError};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::SUPPORTED;
use sxlab_protocol::wire::RouterAddress;
use tokio::sync::mpsc::Receiver;

use crate::exit::{Exit, Failure, Outcome};
use crate::runtime;

/// Talk to an SMP router.
#[derive(Subcommand, Debug)]
pub(crate) enum Smp {
    Ping(ping::PingArgs),
    Receive(receive::ReceiveArgs),
    Resolve(resolve::ResolveArgs),
    Send(send::SendArgs),
}

const SECOND: u64 = 1_000_000_000;

/// Runs the subcommand.
pub(crate) fn run(what: Smp) -> Outcome {
    match what {
        Smp::Ping(args) => runtime::block_on(ping::ping(args)),
        Smp::Receive(args) => runtime::block_on(receive::receive(args)),
        Smp::Resolve(args) => runtime::block_on(resolve::resolve(args)),
        Smp::Send(args) => runtime::block_on(send::send(args)),
    }
}

/// A session with a router. Whatever goes wrong here, the router that the address names was not reached.
async fn connect(
    address: &RouterAddress,
    timeout_seconds: u64,
) -> Result<(Session<RealWorld>, Receiver<Event>), Failure> {
    Session::connect(RealWorld, address, SUPPORTED, timeout_seconds.saturating_mul(SECOND))
        .await
        .map_err(|error| Failure::new(Exit::Unreachable, reason(&error)).of(address.public()))
}

/// The answer to what an errand asks for.
async fn ask_for(session: &Session<RealWorld>, ask: Ask) -> Result<Response, Failure> {
    let Ask { relay, entity, command, key } = ask;
    let answer = match &relay {
        None => session.request(entity, &command, key.as_ref()).await,
        Some(relay) => session.forward(relay, entity, &command, key.as_ref()).await,
    };
    answer.map_err(failed)
}

/// An errand that was not done.
fn undone(error: ErrandError) -> Failure {
    Failure::new(Exit::Failures, error)
}

/// The time, in seconds since 1970.
fn now() -> u64 {
    RealWorld.now() / SECOND
}

/// A request that failed.
fn failed(error: SessionError) -> Failure {
    let exit = match &error {
        SessionError::Tls(_)
        | SessionError::Closed
        | SessionError::Timeout
        | SessionError::Router(SmpError::Proxy(ProxyError::Broker(_))) => Exit::Unreachable,
        _ => Exit::Failures,
    };
    Failure::new(exit, reason(&error))
}

/// An answer that does not fit its request.
fn unexpected() -> Failure {
    failed(SessionError::Unexpected)
}

fn reason(error: &SessionError) -> String {
    match error {
        SessionError::Router(error) => format!("the router answered ERR {error}"),
        error => error.to_string(),
    }
}
