//! What every server here does as a process: its log, its sockets, its identity, and who stops it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sxlab_node::identity::{IdentityError, RouterIdentity};
use sxlab_node::node::{Node, Protocol};
use sxlab_node::world::{RealWorld, World};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::value::{Name, Value};
use crate::exit::{Exit, Failure, Outcome};

/// Where a router's identity is.
pub(crate) struct IdentityPlace<'a> {
    pub(crate) dir: Option<&'a Value<PathBuf>>,
    pub(crate) certificate: &'a [Value<PathBuf>],
    pub(crate) key: Option<&'a Value<PathBuf>>,
    pub(crate) host: Option<&'a Value<Name>>,
}

/// Log lines go to the standard error.
pub(crate) fn log(level: tracing::Level) {
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        // With the standard error closed there is nobody left to tell.
        .log_internal_errors(false);
    // Fails only if there is a log already.
    let _ = log.try_init();
}

/// Listens; what it is called in settings is for the line if it fails.
pub(crate) async fn listen(what: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = RealWorld::listen(address).await;
    listener.map_err(|error| Failure::usage(error).of(address).of(what))
}

/// The address with the port that the system chose.
pub(crate) fn port_of(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::new(Exit::Bug, error))
}

/// The identity in the files that are named, or kept in a directory and made there if there is none; or one for this
/// run only.
pub(crate) fn identity(place: &IdentityPlace<'_>) -> Result<RouterIdentity, Failure> {
    let world = RealWorld;
    let now = world.now() / 1_000_000_000;
    if let (Some(key), false) = (place.key, place.certificate.is_empty()) {
        let certificates: Vec<_> = place.certificate.iter().map(|file| file.value.clone()).collect();
        return RouterIdentity::from_files(&certificates, &key.value, now).map_err(Failure::usage);
    }
    let name = place.host.map_or_else(|| "localhost".to_owned(), |host| host.value.to_string());
    match place.dir {
        Some(dir) => kept(&dir.value, &name),
        None => mint(&name).map_err(|error| Failure::new(Exit::Bug, error)),
    }
}

fn mint(name: &str) -> Result<RouterIdentity, IdentityError> {
    RouterIdentity::mint(name, &mut RealWorld.rng())
}

/// The identity that is kept in a directory, and made there for a host if there is none.
pub(crate) fn kept(dir: &Path, host: &str) -> Result<RouterIdentity, Failure> {
    let kept = || -> Result<RouterIdentity, IdentityError> {
        if let Some(identity) = RouterIdentity::load(dir, RealWorld.now() / 1_000_000_000)? {
            return Ok(identity);
        }
        let identity = mint(host)?;
        identity.save(dir)?;
        Ok(identity)
    };
    kept().map_err(|error| Failure::usage(error).of(dir.display()))
}

/// Who may ask a router to stop: ctrl-c, the system, the time.
pub(crate) struct Asked {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    seconds: Option<u64>,
}

impl Asked {
    /// From now on the signals are taken.
    pub(crate) fn new(seconds: Option<u64>) -> Result<Self, Failure> {
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
    pub(crate) async fn once(&mut self) {
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
    pub(crate) async fn again(&mut self) {
        self.seconds = None;
        self.once().await;
    }
}

/// Serves clients until somebody asks the router to stop, and stops it: peers may take `stop_timeout` nanoseconds for what is queued
/// for them. `operators` end with it.
pub(crate) async fn serve<P: Protocol<RealWorld>>(
    node: &Node<RealWorld, P>,
    listeners: Vec<TcpListener>,
    mut operators: JoinSet<()>,
    mut asked: Asked,
    stop_timeout: u64,
) -> Outcome {
    tracing::info!(listeners = listeners.len(), "the router runs");
    let mut tasks = JoinSet::new();
    for listener in listeners {
        let node = node.clone();
        tasks.spawn_local(async move { node.serve(&listener).await });
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
        _ = node.stop(stop_timeout) => {}
        // What was answered is durable: only what is still to be written to peers is lost.
        () = asked.again() => drop(node.take_store()),
    }
    let closed = node.close_store().await;
    // The sockets' files go with their tasks.
    operators.shutdown().await;
    tracing::info!("the router has stopped");
    outcome.and(closed.map_err(|error| Failure::new(Exit::Failures, error)))
}
