//! Connecting to the router that an address names.

use std::io;
use std::sync::Arc;

use sxlab_protocol::ntf::address;
use sxlab_protocol::wire::{DEFAULT_PORT, RouterAddress};

use crate::identity::RouterIdentity;
use crate::tls::{Connector, ConnectorConfig, TlsError, TlsSession};
use crate::world::{World, within};

/// Why a router was not reached.
#[derive(Debug)]
pub(crate) enum DialError {
    /// Not in time.
    Timeout,
    /// No connection, or TLS failed.
    Tls(TlsError),
}

/// How a protocol's routers are reached.
#[derive(Debug)]
pub(crate) struct Reached {
    /// The application protocols to offer.
    pub(crate) alpn: &'static [&'static [u8]],
    /// The port of addresses that name none.
    pub(crate) port: u16,
}

/// SMP routers.
pub(crate) const SMP: Reached = Reached { alpn: &[b"smp/1"], port: DEFAULT_PORT };

/// Notification routers, by clients of all versions and by those of version 1 only (NT-1, NT-5).
pub(crate) const NTF: Reached = Reached { alpn: &[b"ntf/1"], port: address::DEFAULT_PORT };
pub(crate) const OLD_NTF: Reached = Reached { alpn: &[], port: address::DEFAULT_PORT };

/// A TLS connection to the router of an address, its identity checked, within `timeout` nanoseconds. A service presents
/// certificates of its own.
///
/// The hosts are tried in the address's order. Each may use an equal share of the time that is left, so that one that
/// swallows everything does not hide the next. The first that accepts a connection is the one: when TLS fails there,
/// no other host is tried. Something answers in the router's place then, and whoever asked is to learn that rather than
/// to get a session by another way.
///
/// # Errors
/// Of several hosts, the last one's.
pub(crate) async fn dial<W: World>(
    world: &W,
    address: &RouterAddress,
    how: &Reached,
    client_identity: Option<Arc<RouterIdentity>>,
    timeout: u64,
) -> Result<TlsSession<W::Stream>, DialError> {
    let connector = Connector::new(ConnectorConfig {
        alpn: how.alpn.iter().map(|name| name.to_vec()).collect(),
        expected_identity: address.identity,
        client_identity,
    })
    .map_err(DialError::Tls)?;
    let port = address.port.unwrap_or(how.port);
    let deadline = world.now().saturating_add(timeout);
    let mut failure = DialError::Tls(TlsError::Io(io::ErrorKind::NotFound.into()));
    for (host, left) in address.hosts.iter().zip((1..=address.hosts.len() as u64).rev()) {
        let share = deadline.saturating_sub(world.now()) / left;
        failure = match within(world, share, world.connect(&host.to_string(), port)).await {
            Some(Ok(stream)) => {
                let handshake = connector.connect(stream, world.entropy());
                let rest = deadline.saturating_sub(world.now());
                let tls = within(world, rest, handshake).await.ok_or(DialError::Timeout)?;
                return tls.map_err(DialError::Tls);
            }
            Some(Err(error)) => DialError::Tls(TlsError::Io(error)),
            None => DialError::Timeout,
        };
    }
    Err(failure)
}
