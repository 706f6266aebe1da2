//! The protocol cores on real or simulated sockets: the same state machines behind anything that is
//! `AsyncRead + AsyncWrite`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`world`] | the one trait through which a node names sockets, time and tasks, and the real world behind it |
//! | [`node`] | a router of any protocol: accepting, pumping blocks, timeouts, the store |
//! | [`router`] | an SMP router that accepts connections and dials other routers as a proxy |
//! | [`store`] | what a router keeps in a file, so that it survives a crash at any moment |
//! | [`client`] | one session with a router: requests, forwarded commands, events |
//! | [`ntf`] | a notification router, and a device's session with one |
//! | [`apns`] | pushes to Apple's push service, and the stand-in for it |
//! | [`resolver`] | the HTTP service that tells a router what names stand for |
//! | [`identity`] | a router's long-term keys and certificates, minted, saved and loaded |
//! | [`tls`] | TLS 1.3 as the network speaks it: session id, certificate check, application protocol |
//!
//! Nodes run on one thread, as tasks of a `LocalSet`: what they share is `Rc`, and nothing is scheduled by chance.

pub mod apns;
pub mod client;
mod dial;
mod http;
pub mod identity;
mod link;
pub mod node;
pub mod ntf;
mod requests;
pub mod resolver;
pub mod router;
pub mod store;
pub mod tls;
pub mod world;
