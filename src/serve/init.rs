//! `sxlab serve smp init`: a router's certificates and keys, made once.

use std::path::PathBuf;

use clap::Args;
use sxlab_node::identity::{Algorithm, RouterIdentity};
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::wire::RouterAddress;

use super::value::Name;
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// Make a router's certificates and keys, and print the address that clients will use.
///
/// Nothing is ever written over. The printed address has the default port; a router that listens on another one
/// prints that.
#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// Where to write router.crt, router.key and ca.key.
    #[arg(long)]
    dir: PathBuf,
    /// Ed448 keys instead of Ed25519.
    #[arg(long)]
    ed448: bool,
    /// The router's host, for its certificate and the printed address.
    #[arg(long, default_value = "localhost")]
    host: Name,
}

/// Runs the subcommand.
pub(crate) fn init(args: &InitArgs) -> Outcome {
    let algorithm = if args.ed448 { Algorithm::Ed448 } else { Algorithm::Ed25519 };
    let identity = RouterIdentity::mint_with(algorithm, &args.host.to_string(), &mut RealWorld.rng())
        .map_err(|error| Failure::new(Exit::Bug, error))?;
    identity.save(&args.dir).map_err(|error| Failure::usage(error).of(args.dir.display()))?;
    let address = RouterAddress {
        hosts: vec![args.host.0.clone()],
        port: None,
        identity: identity.identity_hash(),
        password: None,
    };
    output::data(address.to_string().as_bytes())?;
    output::note("keep ca.key apart: the router runs without it, and who has it can be this router");
    Ok(())
}
