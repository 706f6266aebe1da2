//! The SimpleX Messaging Protocol: what routers and clients say to each other.

pub mod client;
pub mod command;
pub mod envelope;
pub mod errand;
pub mod error;
pub mod forward;
pub mod name;
pub mod response;
pub mod router;
pub mod semantic;
pub mod version;
