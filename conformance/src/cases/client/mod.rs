//! What a client has to do. The suite is its router.

mod handshake;
mod names;
mod proxy;
mod receive;
mod send;
mod session;

use crate::case::Case;

/// The cases, by area.
pub(super) const AREAS: [&[Case]; 6] =
    [handshake::CASES, session::CASES, receive::CASES, send::CASES, proxy::CASES, names::CASES];

/// Requirements on clients that none of the suite's actions reaches, each with the reason.
pub const NOT_REACHED: [(&str, &str); 9] = [
    ("smp.link.data-sizes", "no action makes short links"),
    ("smp.recipient.sender-id-made", "no action makes short links"),
    ("smp.service.hello", "no action runs a service"),
    ("smp.service.signed-text", "no action runs a service"),
    ("smp.service.alls-order", "no action runs a service"),
    ("smp.service.hash", "no action runs a service"),
    ("smp.service.client-offer", "no action runs a service"),
    ("smp.versions.v19", "no action runs a service"),
    ("smp.transport.keep-alive", "no action stays idle for longer than the suite waits"),
];
