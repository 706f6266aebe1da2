//! A router from its first line to its last.

use std::net::SocketAddr;

use sxlab_node::identity::{IdentityError, RouterIdentity};
use sxlab_node::resolver::{Authorization, Resolver, ResolverConfig};
use sxlab_node::router::RouterNode;
use sxlab_node::store::Store;
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::smp::router::QueueStore;
use sxlab_protocol::wire::{Host, RouterAddress};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::control::Control;
use super::settings::Settings;
use super::{config, metrics};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// Runs a router with these settings until it is asked to stop, or for a number of seconds.
pub(crate) async fn run(settings: Settings, seconds: Option<u64>) -> Outcome {
    log(&settings);
    let mut asked = Asked::new(seconds)?;
    let mut listeners = Vec::new();
    for address in &settings.listen {
        listeners.push(listen("listen", address.value).await?);
    }
    let metrics = match &settings.metrics {
        Some(address) => Some(listen("metrics", address.value.0).await?),
        None => None,
    };
    let control = settings.control.as_ref().map(|path| Control::bind(&path.value)).transpose()?;
    let identity = identity(&settings)?;
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
    tracing::info!(listeners = listeners.len(), "the router runs");

    let mut tasks = JoinSet::new();
    for listener in listeners {
        let node = node.clone();
        tasks.spawn_local(async move { node.serve(&listener).await });
    }
    let mut operators = JoinSet::new();
    if let Some(listener) = metrics {
        operators.spawn_local(metrics::serve(listener, node.clone()));
    }
    if let Some(control) = control {
        operators.spawn_local(control.serve(node.clone(), settings.store.is_some()));
    }
    let outcome = tokio::select! {
        biased;
        () = asked.once() => Ok(()),
        Some(ended) = tasks.join_next() => match ended {
            Ok(served) => served.map_err(|error| Failure::new(Exit::Failures, error).of("listening")),
            Err(error) => Err(Failure::new(Exit::Bug, error)),
        },
    };
    tracing::info!("the router stops");
    tokio::select! {
        biased;
        _ = node.stop(config::stop_timeout(&settings)) => {}
        // What was answered is durable: only what is still to be written to peers is lost.
        () = asked.again() => drop(node.take_store()),
    }
    let closed = node.close_store().await;
    // The sockets' files go with their tasks.
    operators.shutdown().await;
    tracing::info!("the router has stopped");
    outcome.and(closed.map_err(|error| Failure::new(Exit::Failures, error)))
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

/// Log lines go to the standard error.
fn log(settings: &Settings) {
    let log = tracing_subscriber::fmt()
        .with_max_level(config::level(settings))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        // With the standard error closed there is nobody left to tell.
        .log_internal_errors(false);
    // Fails only if there is a log already.
    let _ = log.try_init();
}

async fn listen(what: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = RealWorld::listen(address).await;
    listener.map_err(|error| Failure::usage(error).of(address).of(what))
}

fn port_of(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::new(Exit::Bug, error))
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

/// The identity in the files that are named, or kept in a directory and made there if there is none; or one for this
/// run only.
fn identity(settings: &Settings) -> Result<RouterIdentity, Failure> {
    let world = RealWorld;
    let now = world.now() / 1_000_000_000;
    if let (Some(key), false) = (&settings.key, settings.certificate.is_empty()) {
        let certificates: Vec<_> = settings.certificate.iter().map(|file| file.value.clone()).collect();
        return RouterIdentity::from_files(&certificates, &key.value, now).map_err(Failure::usage);
    }
    let name = settings.host.as_ref().map_or_else(|| "localhost".to_owned(), |host| host.value.to_string());
    let mint = || RouterIdentity::mint(&name, &mut world.rng());
    let Some(dir) = settings.dir.as_ref().map(|dir| &dir.value) else {
        return mint().map_err(|error| Failure::new(Exit::Bug, error));
    };
    let kept = || -> Result<RouterIdentity, IdentityError> {
        if let Some(identity) = RouterIdentity::load(dir, now)? {
            return Ok(identity);
        }
        let identity = mint()?;
        identity.save(dir)?;
        Ok(identity)
    };
    kept().map_err(|error| Failure::usage(error).of(dir.display()))
}

/// Who may ask a router to stop: ctrl-c, the system, the time.
struct Asked {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    seconds: Option<u64>,
}

impl Asked {
    /// From now on the signals are taken.
    fn new(seconds: Option<u64>) -> Result<Self, Failure> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let taken = |kind| signal(kind).map_err(|error| Failure::new(Exit::Bug, error));
            let (terminate, interrupt) = (taken(SignalKind::terminate())?, taken(SignalKind::interrupt())?);
            Ok(Self { terminate, interrupt, seconds })
        }
        #[cfg(not(unix))]
        Ok(Self { seconds })
    }

    /// Ready when somebody asks.
    async fn once(&mut self) {
        let time = async {
            match self.seconds {
                Some(seconds) => RealWorld.sleep(seconds.saturating_mul(1_000_000_000)).await,
                None => std::future::pending().await,
            }
        };
        #[cfg(unix)]
        tokio::select! {
            biased;
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = time => {}
        }
        #[cfg(not(unix))]
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {}
            () = time => {}
        }
    }

    /// Ready when somebody asks once more, and does not want to wait.
    async fn again(&mut self) {
        self.seconds = None;
        self.once().await;
    }
}
