//! The flows that are shipped, one for each group of behaviour.

use super::script::{BadScript, Script};

macro_rules! flows {
    ($($name:literal),* $(,)?) => {
        /// Names and texts of the shipped flows.
        pub const SHIPPED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../flows/", $name, ".flow")))),*];
    };
}

flows![
    "handshake",
    "handshake-variants",
    "queue-ed25519",
    "queue-ed448",
    "queue-x25519",
    "redelivery",
    "takeover",
    "ack",
    "get",
    "get-and-sub",
    "quota",
    "off-and-del",
    "state",
    "sender-key",
    "recipient-keys",
    "link-messaging",
    "link-contact",
    "notifications",
    "notifier-in-new",
    "proxy",
    "proxy-refusals",
    "forward",
    "length",
    "batch",
    "syntax",
    "garbage",
    "blocked",
    "expiry",
    "expiry-on-send",
    "inactive",
    "password",
    "services",
    "names",
];

/// The shipped flows.
///
/// # Errors
/// [`BadScript`] with the flow's name, if one of them is wrong.
pub fn shipped() -> Result<Vec<Script>, (String, BadScript)> {
    let read = |(name, text): &(&str, &str)| Script::read(name, text).map_err(|e| ((*name).to_owned(), e));
    SHIPPED.iter().map(read).collect()
}
