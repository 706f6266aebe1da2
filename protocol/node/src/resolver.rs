//! What names stand for, asked of an HTTP service that the router's operator runs (NM-5, NM-6).
//!
//! One GET for each lookup, on a connection of its own, without TLS: the service is meant to be on the same machine or
//! network. Nothing is kept, and redirects are not followed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sxlab_protocol::smp::error::NameError;
use sxlab_protocol::smp::name::{Name, NameRecord};

use crate::http::{Answer, HttpError, exchange};
use crate::world::{World, within};

/// What the service wants to know of who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// A user, without a colon, and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Bearer(String),
}

/// Which service, and how long it may take.
#[derive(Clone, PartialEq, Eq)]
pub struct ResolverConfig {
    /// Where it is: `http://HOST`, with a port and a path if need be. Names are asked for below `resolve/` there.
    pub base: String,
    /// What it is told of who asks.
    pub authorization: Option<Authorization>,
    /// How long a lookup may take, in nanoseconds.
    pub timeout: u64,
    /// The largest answer that is taken, in bytes (NM-9).
    pub limit: usize,
}

impl ResolverConfig {
    /// The service at `base`, without authorization, with the deployed router's limits.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self { base: base.to_owned(), authorization: None, timeout: 3_000_000_000, limit: 16_000 }
    }
}

/// Why a configuration names no service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolverError {
    /// Not `http://`.
    #[error("the resolver's address must begin with http://")]
    Scheme,
    /// No host, a port that is none, or parts that have no place there.
    #[error("the resolver's address must be http://HOST, with a port and a path if need be")]
    Address,
    /// A user, password or token with characters that cannot be sent.
    #[error("the resolver's user, password or token has characters that cannot be sent")]
    Authorization,
}

/// The service, ready to be asked.
#[derive(Clone)]
pub struct Resolver {
    host: String,
    port: u16,
    /// The request up to the name, and what follows it.
    before: String,
    after: String,
    timeout: u64,
    limit: usize,
}

impl Resolver {
    /// Checks a configuration. Nothing is asked yet.
    ///
    /// # Errors
    /// [`ResolverError`]
    pub fn new(config: &ResolverConfig) -> Result<Self, ResolverError> {
        let rest = config.base.strip_prefix("http://").ok_or(ResolverError::Scheme)?;
        let sendable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !sendable(rest) || rest.contains(['@', '?', '#']) {
            return Err(ResolverError::Address);
        }
        let (place, path) = rest.split_once('/').map_or((rest, String::new()), |(place, path)| {
            (place, format!("/{}", path.trim_end_matches('/')))
        });
        let path = path.trim_end_matches('/');
        let (host, port) = host_and_port(place).ok_or(ResolverError::Address)?;
        let authorization = match &config.authorization {
            None => String::new(),
            Some(Authorization::Basic { user, password }) => {
                if user.contains(':')
                    || [user, password].iter().any(|text| text.chars().any(char::is_control))
                {
                    return Err(ResolverError::Authorization);
                }
                format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
            }
            Some(Authorization::Bearer(token)) => {
                if token.is_empty() || !sendable(token) {
                    return Err(ResolverError::Authorization);
                }
                format!("Authorization: Bearer {token}\r\n")
            }
        };
        let after = format!(
            " HTTP/1.1\r\nHost: {place}\r\nAccept: application/json\r\nConnection: close\r\n{authorization}\r\n"
        );
        let before = format!("GET {path}/resolve/");
        let ResolverConfig { timeout, limit, .. } = *config;
        Ok(Self { host: host.to_owned(), port, before, after, timeout, limit })
    }

    /// Asks what a name stands for.
    ///
    /// # Errors
    /// [`NameError::NotFound`] for status 404 or 400; otherwise [`NameError::Resolver`] with a word on what went wrong.
    pub async fn look_up<W: World>(&self, world: &W, name: &Name) -> Result<NameRecord, NameError> {
        // A name has no character that would have to be percent-encoded.
        let request = format!("{}{name}{}", self.before, self.after);
        let asked = async {
            let stream = world.connect(&self.host, self.port).await.map_err(|_| HttpError::Broken)?;
            exchange(stream, request.as_bytes(), self.limit).await
        };
        let failed = |detail: &str| Err(NameError::Resolver(detail.to_owned()));
        match within(world, self.timeout, asked).await {
            None => failed("timeout"),
            Some(Err(HttpError::Broken)) => failed("transport failure"),
            Some(Err(HttpError::TooLarge)) => failed("response too large"),
            Some(Ok(Answer { status, body })) => outcome(status, &body),
        }
    }
}

/// What an answer of the service says of a name (NM-5).
///
/// # Errors
/// [`NameError::NotFound`] for status 404 or 400; otherwise [`NameError::Resolver`].
pub fn outcome(status: u16, body: &[u8]) -> Result<NameRecord, NameError> {
    match status {
        200 => NameRecord::parse(body).map_err(|_| NameError::Resolver("invalid response".to_owned())),
        400 | 404 => Err(NameError::NotFound),
        _ => Err(NameError::Resolver(format!("HTTP {status}"))),
    }
}

/// Host, without the brackets of an IPv6 address, and port; 80 where there is none.
fn host_and_port(place: &str) -> Option<(&str, u16)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = port.map_or(Some(80), |port| port.parse().ok().filter(|port| *port > 0))?;
    (!host.is_empty() && !host.contains(['[', ']'])).then_some((host, port))
}
