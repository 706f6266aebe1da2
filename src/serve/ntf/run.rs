//! A notification router from its first line to its last.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use sxlab_node::identity::RouterIdentity;
use sxlab_node::ntf::{NtfNode, NtfSetup};
use sxlab_node::store::NtfStore;
use sxlab_node::world::RealWorld;
use sxlab_protocol::ntf::address::NtfAddress;
use sxlab_protocol::ntf::router::Store;
use sxlab_protocol::wire::{Host, RouterAddress};
use tokio::task::JoinSet;

use super::config;
use super::settings::Settings;
use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use crate::serve::metrics::{self, Metric, Teller, committed};
use crate::serve::process::{Asked, identity, kept, listen, log, port_of, serve};

/// Runs a router with these settings until it is asked to stop, or for a number of seconds.
pub(super) async fn run(settings: Settings, seconds: Option<u64>) -> Outcome {
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
    // What is wrong with the provider is said before anything is made.
    let providers = config::providers(&settings)?;
    let identity = identity(&config::place(&settings))?;
    let service =
        settings.service.as_ref().map(|dir| kept(&dir.value, "sxlab ntf").map(Arc::new)).transpose()?;
    let setup = NtfSetup {
        config: config::router(&settings),
        limits: config::connections(&settings),
        smp: config::smp(&settings),
        providers,
        service,
    };
    let node = node(&settings, &identity, setup)?;

    for listener in &listeners {
        output::data(address(&settings, &identity, port_of(listener)?).to_string().as_bytes())?;
    }
    if let Some(metrics) = &metrics {
        output::note(format_args!("metrics: http://{}/metrics", port_of(metrics)?));
    }
    if settings.store.is_none() {
        output::note("tokens are in memory: they are gone when this router stops (ctrl-c)");
    }
    if settings.apns.is_none() {
        output::note("nothing is pushed: there is no --apns");
    }
    let mut operators = JoinSet::new();
    if let Some(listener) = metrics {
        operators.spawn_local(metrics::serve(listener, teller(node.clone())));
    }
    serve(&node, listeners, operators, asked, config::stop_timeout(&settings)).await
}

/// The router, with its tokens from its store if it has one.
fn node(
    settings: &Settings,
    identity: &RouterIdentity,
    setup: NtfSetup<RealWorld>,
) -> Result<NtfNode<RealWorld>, Failure> {
    let (tokens, writer) = match &settings.store {
        None => (Store::default(), None),
        Some(path) => {
            let opened = NtfStore::open(&path.value, &identity.identity_hash());
            let (store, tokens) = opened.map_err(Failure::usage)?;
            let writer = store.in_background().map_err(|error| Failure::new(Exit::Bug, error))?;
            (tokens, Some(writer))
        }
    };
    let node = NtfNode::with_tokens(RealWorld, identity, setup, tokens, writer, None);
    node.map_err(|error| Failure::new(Exit::Bug, error))
}

/// The router's address as devices use it that come by one listener.
fn address(settings: &Settings, identity: &RouterIdentity, listens: SocketAddr) -> NtfAddress {
    let host = match (&settings.host, listens) {
        (Some(host), _) => host.value.0.clone(),
        (None, SocketAddr::V4(listens)) => Host::V4(*listens.ip()),
        (None, SocketAddr::V6(listens)) => Host::V6(*listens.ip()),
    };
    NtfAddress(RouterAddress {
        hosts: vec![host],
        port: Some(listens.port()),
        identity: identity.identity_hash(),
        password: None,
    })
}

/// What tells what the router counts.
fn teller(node: NtfNode<RealWorld>) -> Teller {
    Rc::new(move || all(&node))
}

/// What there is to tell; nothing once the router is stopped.
fn all(node: &NtfNode<RealWorld>) -> Vec<Metric> {
    const STORE: [&str; 2] = ["sxlab_ntf_store_commit_seconds", "sxlab_ntf_store_changes_total"];
    let seen = node.operate(|core, _| {
        let store = core.store();
        (core.statistics().clone(), [store.tokens(), store.subscriptions(), core.pushes(), core.sessions()])
    });
    let Some((counts, [tokens, subscriptions, pushes, sessions])) = seen else { return Vec::new() };
    let gauges = [
        ("sxlab_ntf_connections", "Accepted connections that are open.", node.connections()),
        ("sxlab_ntf_sessions", "Open sessions of devices.", sessions),
        ("sxlab_ntf_smp_sessions", "Sessions with SMP routers, and attempts at them.", node.smp_sessions()),
        ("sxlab_ntf_tokens", "Tokens.", tokens),
        ("sxlab_ntf_subscriptions", "Subscriptions.", subscriptions),
        ("sxlab_ntf_pushes", "Pushes that wait for their provider's answer.", pushes),
    ];
    let counters = [
        ("sxlab_ntf_failed_handshakes_total", "Connections without a session.", node.failed_handshakes()),
        (
            "sxlab_ntf_refused_connections_total",
            "Connections beyond those that may come from one address.",
            node.refused_connections(),
        ),
        ("sxlab_ntf_sessions_total", "Sessions that devices opened.", counts.accepted),
        ("sxlab_ntf_shed_total", "Devices closed because too much waited for them.", counts.shed),
        ("sxlab_ntf_blocks_in_total", "Blocks from devices.", counts.blocks_in),
        ("sxlab_ntf_blocks_out_total", "Blocks to devices.", counts.blocks_out),
        ("sxlab_ntf_errors_total", "Refusals.", counts.errors),
        ("sxlab_ntf_tokens_registered_total", "Tokens registered.", counts.tokens_registered),
        ("sxlab_ntf_tokens_verified_total", "Tokens verified.", counts.tokens_verified),
        ("sxlab_ntf_tokens_replaced_total", "Tokens replaced.", counts.tokens_replaced),
        ("sxlab_ntf_tokens_deleted_total", "Tokens deleted.", counts.tokens_deleted),
        ("sxlab_ntf_subscriptions_made_total", "Subscriptions made.", counts.subscriptions_made),
        ("sxlab_ntf_subscriptions_deleted_total", "Subscriptions deleted.", counts.subscriptions_deleted),
        ("sxlab_ntf_smp_dials_total", "Connections to SMP routers that were tried.", counts.dialed),
        ("sxlab_ntf_smp_subscribed_total", "Queues that SMP routers were asked for.", counts.subscribed),
        ("sxlab_ntf_notified_total", "Notifications from SMP routers.", counts.notified),
        ("sxlab_ntf_unwanted_total", "Those of them that nobody wants.", counts.unwanted),
        ("sxlab_ntf_pushes_verification_total", "Pushes with codes, second tries too.", counts.verifications),
        ("sxlab_ntf_pushes_message_total", "Pushes with notifications.", counts.messages),
        ("sxlab_ntf_pushes_check_total", "Periodic pushes.", counts.checks),
        ("sxlab_ntf_pushes_accepted_total", "Pushes that were taken.", counts.pushes_accepted),
        ("sxlab_ntf_pushes_failed_total", "Pushes that were not.", counts.pushes_failed),
        (
            "sxlab_ntf_pushes_dropped_total",
            "Pushes that were not asked for: too many wait.",
            counts.pushes_dropped,
        ),
    ];
    let mut all: Vec<_> = gauges.map(|(name, help, value)| Metric::gauge(name, help, value)).into();
    all.extend(counters.map(|(name, help, value)| Metric::counter(name, help, value)));
    all.push(Metric::by_kind("sxlab_ntf_commands_total", "Commands of devices.", &counts.commands));
    all.extend(node.commits().into_iter().flat_map(|commits| committed(STORE, commits)));
    all
}
