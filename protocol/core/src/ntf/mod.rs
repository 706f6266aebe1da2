//! The notification protocol: what devices and notification routers say to each other, and what is pushed to devices.
//!
//! A device that can't stay connected registers the token by which a push provider knows it, and gives the notification router
//! the notifier keys of its queues. The router subscribes to the queues' notifications at their SMP routers and has the
//! provider push what it is told.
//!
//! | module | what it holds |
//! |---|---|
//! | `version` | what changes at which version |
//! | `command`, `response`, `status` | bytes ↔ values |
//! | `address` | addresses of notification routers |
//! | `handshake` | the two hellos, and sessions after them |
//! | `push` | what is pushed |
//! | `router` | a notification router |
//! | `subscriber` | its sessions with SMP routers |
//! | `client`, `device` | a device's session with a router; what it asks there, and reads in pushes |
//! | `semantic` | commands and responses as values, for simulations |

pub mod address;
pub mod client;
pub mod command;
pub mod device;
pub mod handshake;
pub mod push;
pub mod response;
pub mod router;
pub mod semantic;
pub mod status;
pub mod subscriber;
pub mod version;
