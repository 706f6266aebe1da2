use clap::Args;
use serde::Serialize;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::wire::{EntityId, RouterAddress};
use tokio::time::Instant;

use super::{connect, failed, unexpected};
use crate::exit::Outcome;
use crate::output;

/// Connect to a router, check its identity, and measure one PING.
#[derive(Args, Debug)]
pub(crate) struct PingArgs {
    /// The router's address, smp://…
    #[arg(value_name = "ROUTER")]
    router: RouterAddress,
    /// Give up after so many seconds without an answer.
    #[arg(long, value_name = "S", default_value_t = 10)]
    timeout: u64,
    /// Print one JSON document on the standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Pong {
    schema: &'static str,
    router: String,
    version: u16,
    /// TCP, TLS and the SMP handshake.
    connect_ms: f64,
    /// From PING to PONG.
    round_trip_ms: f64,
}

pub(super) async fn ping(args: PingArgs) -> Outcome {
    let started = Instant::now();
    let (session, _events) = connect(&args.router, args.timeout).await?;
    let connected = Instant::now();
    match session.request(EntityId::EMPTY, &Command::Ping, None).await.map_err(failed)? {
        Response::Pong => {}
        _ => return Err(unexpected()),
    }
    let pong = Pong {
        schema: "sxlab-ping-1",
        router: args.router.public().to_string(),
        version: session.version(),
        connect_ms: (connected - started).as_secs_f64() * 1e3,
        round_trip_ms: connected.elapsed().as_secs_f64() * 1e3,
    };
    session.close();
    if args.json {
        return output::json(&pong);
    }
    output::note(&pong.router);
    output::note(format_args!(
        "SMP version {}, connected in {:.1} ms, round trip {:.1} ms",
        pong.version, pong.connect_ms, pong.round_trip_ms
    ));
    Ok(())
}
