//! Addresses of notification routers: `ntf://identity[:password]@host[,host…][:port]`.

use std::fmt;
use std::str::FromStr;

use crate::wire::{RouterAddress, WireError};

/// The port of an address that names none (NT-5).
pub const DEFAULT_PORT: u16 = 443;

const SCHEME: &str = "ntf";

/// Where a notification router is and who it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtfAddress(pub RouterAddress);

impl NtfAddress {
    /// The port to connect to.
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        self.0.port.unwrap_or(DEFAULT_PORT)
    }
}

impl FromStr for NtfAddress {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        RouterAddress::parse_as(SCHEME, text).map(Self)
    }
}

impl fmt::Display for NtfAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_as(SCHEME, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_and_a_port_of_their_own() {
        let text = "ntf://CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=@ntf.example.com,abc.onion";
        let address: NtfAddress = text.parse().unwrap();
        assert_eq!((address.to_string().as_str(), address.port_or_default()), (text, 443));
        let with_port: NtfAddress = format!("{text}:5223").parse().unwrap();
        assert_eq!(with_port.port_or_default(), 5223);
        for other in
            [text.replace("ntf://", "smp://"), text.replace("ntf:", "ntf"), text.replace("ntf://", "")]
        {
            assert!(other.parse::<NtfAddress>().is_err(), "{other}");
        }
        assert!(text.parse::<RouterAddress>().is_err());
    }
}
