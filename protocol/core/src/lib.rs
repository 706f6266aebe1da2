//! The SimpleX protocols as pure state machines: bytes, the time and randomness in; bytes, events and the
//! next timeout out. Nothing here owns a socket, a clock or a thread.
//!
//! | module | what it holds |
//! |---|---|
//! | [`wire`] | bytes ↔ values: integers, strings, lists, padding, versions, addresses |
//! | [`crypto`] | keys, boxes, authenticators, chain keys, certificates |
//! | [`transport`] | blocks, batches, handshake, block encryption |
//! | [`smp`] | commands, responses, errors, the router, the client, proxying, end-to-end envelopes |
//! | [`ntf`] | the notification protocol |
//! | [`apns`] | Apple's push service as notification routers use it, and a router that stands in for it |
//! | [`agent`] | a user's agent: contacts, queues on several routers, sending through proxies, trying again |
//! | [`journal`] | changes of a router's state, for a durable store |
//! | [`observe`] | what one party sees of the traffic that passes it |
//! | [`retry`] | how long to wait before trying again |
//! | [`tables`] | hash tables whose layout nobody sees |

pub mod agent;
pub mod apns;
pub mod crypto;
pub mod journal;
pub mod ntf;
pub mod observe;
pub mod retry;
pub mod smp;
pub mod tables;
pub mod transport;
pub mod wire;
