//! A router from its first line to its last.

use std::net::SocketAddr;

use sxlab_node::identity::RouterIdentity;
use sxlab_node::resolver::{Authorization, Resolver, ResolverConfig};
use sxlab_node::router::RouterNode;
use sxlab_node::store::Store;
use sxlab_node::world::RealWorld;
use sxlab_protocol::smp::router::QueueStore;
use sxlab_protocol::wire::{Host, RouterAddress};
use tokio::task::JoinSet;

use super::control::Control;
use super::process::{Asked, identity, listen, log, port_of, serve};
use super::settings::Settings;
use super::{config, metrics};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// Runs a router with these settings until it is asked to stop, or for a number of seconds.
pub(crate) async fn run(settings: Settings, seconds: Option<u64>) -> Outcome {
    log(config::level(&settings));
    let asked = Asked::new(seconds)?;
    let mut listeners = Vec::new();
    for address in &settings.listen {
        listeners.push(listen("listen", address.value).await?);
    }
    let metrics = match &settings.metrics {
        Some(address) => Some(listen("metrics", address.value.0).await?),
        None => None,
    };
    let control = settings.control.as_ref().map(|path| Control::bind(&path.value)).transpose()?;
    let identity = identity(&config::place(&settings))?;
    let node = node(&settings, &identity)?;
    block(&node, &settings);
    if let Some(resolver) = resolver(&settings)? {
        node.resolve_names(resolver);
    }

    for listener in &listeners {
        output::data(address(&settings, &identity, port_of(listener)?).to_string().as_bytes())?;
    }
    if let Some(metrics) = &metrics {
        output::note(format_args!("metrics: http://{}/metrics", port_of(metrics)?));
    }
    if settings.store.is_none() {
        output::note("queues are in memory: they are gone when this router stops (ctrl-c)");
    }

    let mut operators = JoinSet::new();
    if let Some(listener) = metrics {
        operators.spawn_local(metrics::serve(listener, metrics::of(node.clone())));
    }
    if let Some(control) = control {
        operators.spawn_local(control.serve(node.clone(), settings.store.is_some()));
    }
    serve(&node, listeners, operators, asked, config::stop_timeout(&settings)).await
}

/// The router, with its queues from its store if it has one.
fn node(settings: &Settings, identity: &RouterIdentity) -> Result<RouterNode<RealWorld>, Failure> {
    let (limits, core) = (config::connections(settings), config::router(settings));
    let node = match &settings.store {
        None => RouterNode::with_limits(RealWorld, identity, core, QueueStore::default(), None, limits),
        Some(path) => {
            let opened = Store::open(&path.value, &identity.identity_hash());
            let (store, queues) = opened.map_err(Failure::usage)?;
            let writer = store.in_background().map_err(|error| Failure::new(Exit::Bug, error))?;
            RouterNode::with_store(RealWorld, identity, core, queues, writer, None, limits)
        }
    };
    node.map_err(|error| Failure::new(Exit::Bug, error))
}

/// What looks names up, if there is anything.
fn resolver(settings: &Settings) -> Result<Option<Resolver>, Failure> {
    let token = settings.resolver_token.as_ref().map(|token| token.value.0.clone());
    let Some(base) = &settings.resolver else {
        return match token {
            Some(_) => Err(Failure::usage("resolver_token: there is no resolver that wants to see it")),
            None => Ok(None),
        };
    };
    let authorization = token.map(Authorization::Bearer);
    let config = ResolverConfig { authorization, ..ResolverConfig::new(&base.value.0) };
    Resolver::new(&config).map(Some).map_err(|error| Failure::usage(error).of("resolver"))
}

/// The router's address as clients of one listener use it.
fn address(settings: &Settings, identity: &RouterIdentity, listens: SocketAddr) -> RouterAddress {
    let host = match (&settings.host, listens) {
        (Some(host), _) => host.value.0.clone(),
        (None, SocketAddr::V4(listens)) => Host::V4(*listens.ip()),
        (None, SocketAddr::V6(listens)) => Host::V6(*listens.ip()),
    };
    RouterAddress {
        hosts: vec![host],
        port: Some(listens.port()),
        identity: identity.identity_hash(),
        password: settings.password.as_ref().map(|password| password.value.0.clone()),
    }
}

/// Blocks the queues of the settings that are there.
fn block(node: &RouterNode<RealWorld>, settings: &Settings) {
    let there = settings.block.iter().filter(|block| {
        let (id, info) = (&block.value.id.0, block.value.info);
        node.operate(|core, _| core.block_queue(id, info)).flatten().is_some()
    });
    let (there, all) = (there.count(), settings.block.len());
    if there < all {
        tracing::warn!("{} of {all} queues to be blocked are not there", all - there);
    }
}
