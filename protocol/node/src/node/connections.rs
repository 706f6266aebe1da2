use std::future::poll_fn;
use std::io;
use std::net::Ipv6Addr;
use std::task::Poll;

/// Bounds on a router's connections. What sessions may cost is bounded by the core's configuration.
///
/// Of memory a connection has, beside TLS's own buffers (64 KiB at most in each direction), its session's, and up to
/// 48 KiB of a block that has not come whole; idle ones hold some 8 KiB (`cargo bench --bench load -- --only memory`
/// measures it). Of the processor's time every connection gets one block in its turn: whoever floods a router delays
/// others by one block of 255 commands for each of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Accepted connections that may be open at a time, whatever state they are in. Others wait, not accepted.
    pub accepted: usize,
    /// Of these, how many may come from one network address, of IPv6 from one network of 64 bits. Further ones are closed at
    /// once. `None`: as many as may be; the deployed router counts none.
    pub per_address: Option<usize>,
    /// How long TLS may take to be set up on an accepted connection, in nanoseconds (TR-22).
    pub tls_timeout: u64,
    /// How long a proxy tries to reach a relay, TLS included, in nanoseconds.
    pub dial_timeout: u64,
    /// How long the other end may take for one block that is written to it, in nanoseconds. One that reads nothing is
    /// cut off then, subscribed or not.
    pub write_timeout: u64,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            accepted: 10_000,
            per_address: None,
            tls_timeout: 60_000_000_000,
            dial_timeout: 25_000_000_000,
            write_timeout: 900_000_000_000,
        }
    }
}

/// What connections are counted by: an address; of IPv6 the first 64 bits, as whoever has one address there has them all.
pub(super) fn source(address: String) -> String {
    match address.parse::<Ipv6Addr>() {
        Ok(v6) if v6.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
        _ => address,
    }
}

/// Lets the tasks that are ready run once before this one goes on.
pub(crate) async fn turn() {
    let mut had = false;
    poll_fn(|context| {
        if std::mem::replace(&mut had, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether a listener that failed may give connections again: it ran out of something (file descriptors, memory), or the
/// connection that it had was gone already. Only a listener that is none any more is given up.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    /// `EBADF` of every Unix: it has no [`io::ErrorKind`] of its own.
    const BAD_DESCRIPTOR: i32 = 9;
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, InvalidInput,
        NetworkDown, NetworkUnreachable, OutOfMemory, PermissionDenied, TimedOut, WouldBlock,
    };
    match (error.kind(), error.raw_os_error()) {
        (InvalidInput, _) | (_, Some(BAD_DESCRIPTOR)) => false,
        (
            ConnectionAborted | ConnectionRefused | ConnectionReset | HostUnreachable | Interrupted
            | NetworkDown | NetworkUnreachable | OutOfMemory | PermissionDenied | TimedOut | WouldBlock,
            _,
        ) => true,
        // No descriptors left, and the network's rarer errors, have no kind of their own either.
        (_, code) => code.is_some(),
    }
}
