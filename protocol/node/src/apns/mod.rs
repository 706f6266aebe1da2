//! Apple's push notification service on sockets: the client by which a notification router pushes, and the stand-in for Apple's
//! routers ([`sxlab_protocol::apns`]). Both speak HTTP/2 over TLS.
//!
//! How a device gets its pushes from Apple is Apple's own affair. From the stand-in it gets them on connections of the
//! application protocol [`DEVICE_ALPN`]: the device writes its token, two bytes of length before it; each push that reaches it is
//! one byte, 1 if it is shown and 0 if not, four bytes of length and the body. A token that was not seen before is registered.

mod client;
mod stand_in;

pub use client::{Answer, Apns, ApnsConfig, ApnsError};
pub use stand_in::{ApnsNode, receive};

/// HTTP/2.
const H2: &[u8] = b"h2";

/// The application protocol by which devices get pushes from the stand-in.
pub const DEVICE_ALPN: &[u8] = b"sxlab-device/1";
