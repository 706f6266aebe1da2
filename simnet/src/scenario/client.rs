//! Checks `[client]`: what every user's agent does.

use serde::Serialize;
use serde_spanned::Spanned;
use sxlab_protocol::agent::{AgentConfig, Isolation};

use super::check::millionths;
use super::file::{File, Tor};
use crate::input::{Checker, InputError};
use crate::population::User;

/// What every user's agent does, where it can be chosen; the defaults are the deployed one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Client {
    /// How long an answer may take.
    pub request_timeout_ns: u64,
    /// After how long without a word from the router a session with subscriptions is tried with PING.
    pub ping_interval_ns: u64,
    /// Whether the PINGs of sessions that nothing happens to are only counted, by the engine that can.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub count_pings: bool,
    /// After so many requests without an answer in a row a session is given up,
    pub ping_count: u32,
    /// but not before so long after the router's last word.
    pub recover_window_ns: u64,
    /// The first wait before something is tried again.
    pub retry_ns: u64,
    /// Whether messages are answered by receipts.
    pub receipts: bool,
    /// Whether each contact has sessions of its own.
    pub session_per_contact: bool,
    /// Millionths of the users that reach routers through Tor.
    #[serde(skip_serializing_if = "is_zero")]
    pub tor_millionths: u32,
    /// Whether these send without proxies.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tor_direct: bool,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Client {
    /// The configuration of a user's agent, but for what other tables say.
    pub(super) fn agent_of(&self, user: &User) -> AgentConfig {
        AgentConfig { direct: user.tor && self.tor_direct, ..self.agent() }
    }

    /// The agents' configuration, but for what users differ in.
    pub(crate) fn agent(&self) -> AgentConfig {
        let deployed = AgentConfig::default();
        let mut config = AgentConfig {
            request_timeout: self.request_timeout_ns,
            ping_interval: self.ping_interval_ns,
            count_pings: self.count_pings,
            ping_count: self.ping_count,
            recover_window: self.recover_window_ns,
            receipts: self.receipts,
            isolation: if self.session_per_contact { Isolation::Contact } else { Isolation::Profile },
            ..deployed
        };
        config.reconnect.initial = self.retry_ns;
        config.fast.initial = self.retry_ns;
        config
    }
}

/// Checks the table.
pub(super) fn client(checker: &Checker<'_>, file: &File) -> Result<Client, InputError> {
    let (table, deployed) = (&file.client, AgentConfig::default());
    let positive = |key: &str, value: &Option<_>, default: u64| match value {
        None => Ok(default),
        Some(value) => checker.positive(key, value),
    };
    let session_per_contact = match &table.sessions {
        None => false,
        Some(name) => match name.get_ref().as_str() {
            "profile" => false,
            "contact" => true,
            _ => return Err(checker.unknown_name("client.sessions", "mode", name, &["profile", "contact"])),
        },
    };
    let count_pings = match &table.pings {
        None => false,
        Some(name) => match name.get_ref().as_str() {
            "sent" => false,
            "counted" => true,
            _ => return Err(checker.unknown_name("client.pings", "mode", name, &["sent", "counted"])),
        },
    };
    let ping_count = match &table.ping_count {
        None => deployed.ping_count,
        Some(count) if *count.get_ref() > 0 => *count.get_ref(),
        Some(count) => return Err(checker.at(count.span(), "client.ping_count", "must be at least 1")),
    };
    Ok(Client {
        request_timeout_ns: positive(
            "client.request_timeout",
            &table.request_timeout,
            deployed.request_timeout,
        )?,
        ping_interval_ns: positive("client.ping_interval", &table.ping_interval, deployed.ping_interval)?,
        count_pings,
        ping_count,
        recover_window_ns: table
            .recover_window
            .as_ref()
            .map_or(deployed.recover_window, |window| window.get_ref().0),
        retry_ns: positive("client.retry", &table.retry, deployed.fast.initial)?,
        receipts: table.receipts.unwrap_or(deployed.receipts),
        session_per_contact,
        tor_millionths: tor(checker, file)?,
        tor_direct: table.tor_proxy.as_ref().is_some_and(|proxy| !proxy.get_ref()),
    })
}

/// Whether some users reach routers through Tor.
pub(super) fn has_tor(file: &File) -> bool {
    match file.client.tor.as_ref().map(Spanned::get_ref) {
        None | Some(Tor::Switch(false)) => false,
        Some(Tor::Switch(true)) => true,
        Some(Tor::Share(share)) => *share != 0.0,
    }
}

/// How many do, in millionths.
fn tor(checker: &Checker<'_>, file: &File) -> Result<u32, InputError> {
    let table = &file.client;
    let Some(tor) = table.tor.as_ref().filter(|_| has_tor(file)) else {
        checker.absent("client.tor_latency", table.tor_latency.as_ref(), "nobody uses Tor, set `tor`")?;
        checker.absent("client.tor_proxy", table.tor_proxy.as_ref(), "nobody uses Tor, set `tor`")?;
        return Ok(0);
    };
    match tor.get_ref() {
        Tor::Share(share) => millionths(checker, "client.tor", &Spanned::new(tor.span(), *share)),
        Tor::Switch(_) => Ok(1_000_000),
    }
}
