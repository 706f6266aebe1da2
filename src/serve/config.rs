//! Settings made whole: flags over the file over the defaults, checked, and turned into what a router takes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use sxlab_node::router::ConnectionLimits;
use sxlab_protocol::smp::router::RouterConfig;
use sxlab_simnet::input::Checker;

use super::process::IdentityPlace;
use super::settings::Settings;
use super::value::Value;
use crate::exit::{Exit, Failure};

/// A router's settings, of whatever protocol.
pub(crate) trait Layered: DeserializeOwned {
    /// These over the ones below.
    fn over(self, below: Self) -> Self;
    /// The defaults.
    fn defaults() -> Self;
    /// The same without a store.
    fn volatile(self) -> Self;
    /// What no setting can see alone.
    fn check(&self, wrong: &Wrong<'_>) -> Result<(), Failure>;
}

/// Says what is wrong with a setting, and where.
pub(crate) struct Wrong<'a>(Option<Checker<'a>>);

impl Wrong<'_> {
    pub(crate) fn at<T>(&self, value: &Value<T>, key: &str, message: &str) -> Failure {
        match (self.0, &value.span) {
            (Some(checker), Some(span)) => Failure::usage(checker.at(span.clone(), key, message)),
            _ => Failure::usage(format_args!("--{}: {message}", key.replace('_', "-"))),
        }
    }
}

/// What flags, file and defaults come to; in `memory` whatever they say of a store.
pub(crate) fn whole<S: Layered>(flags: S, file: Option<&Path>, memory: bool) -> Result<S, Failure> {
    let kept = |settings: S| if memory { settings.volatile() } else { settings };
    let Some(path) = file else {
        let settings = kept(flags.over(S::defaults()));
        return settings.check(&Wrong(None)).map(|()| settings);
    };
    let text = std::fs::read_to_string(path);
    let text =
        text.map_err(|error| Failure::usage(format_args!("cannot be read: {error}")).of(path.display()))?;
    let checker = Checker::new(path, &text);
    let from_file: S = checker.parse().map_err(Failure::usage)?;
    let settings = kept(flags.over(from_file).over(S::defaults()));
    settings.check(&Wrong(Some(checker))).map(|()| settings)
}

impl Layered for Settings {
    fn over(self, below: Self) -> Self {
        Settings::over(self, below)
    }

    fn defaults() -> Self {
        Settings::defaults()
    }

    fn volatile(self) -> Self {
        Settings { store: None, ..self }
    }

    fn check(&self, wrong: &Wrong<'_>) -> Result<(), Failure> {
        check_place(&place(self), self.store.as_ref(), &self.listen, wrong)
    }
}

/// Where the router's identity is.
pub(crate) fn place(settings: &Settings) -> IdentityPlace<'_> {
    let Settings { dir, certificate, key, host, .. } = settings;
    IdentityPlace { dir: dir.as_ref(), certificate, key: key.as_ref(), host: host.as_ref() }
}

/// What is wrong with where a router's identity is, with its store beside it, and with its addresses.
pub(crate) fn check_place(
    place: &IdentityPlace<'_>,
    store: Option<&Value<PathBuf>>,
    listen: &[Value<SocketAddr>],
    wrong: &Wrong<'_>,
) -> Result<(), Failure> {
    match (place.certificate.first(), place.key, place.dir) {
        (Some(certificate), _, Some(_)) => {
            Err(wrong.at(certificate, "certificate", "the identity is in `dir` or in single files, not both"))
        }
        (Some(certificate), None, None) => {
            Err(wrong.at(certificate, "certificate", "needs its key: name that file, too"))
        }
        (None, Some(key), _) => Err(wrong.at(key, "key", "needs its certificates: name those files, too")),
        _ => Ok(()),
    }?;
    match (store, place.dir.is_some() || place.key.is_some()) {
        (Some(store), false) => {
            let message = "the queues of a store belong to an identity: keep it in `dir`, or name `certificate` and `key`";
            Err(wrong.at(store, "store", message))
        }
        _ => Ok(()),
    }?;
    let nowhere = listen.iter().find(|listen| listen.value.ip().is_unspecified());
    match (nowhere, place.host) {
        (Some(listen), None) => {
            let message = format!(
                "{} is every address of this machine: say with --host, or `host`, which one the router's address names",
                listen.value
            );
            Err(wrong.at(listen, "listen", &message))
        }
        _ => Ok(()),
    }
}

/// As a file that says the same; without `secrets` it has comments in the place of what nobody else should read.
pub(crate) fn print(settings: &Settings, secrets: bool) -> Result<String, Failure> {
    let mut shown = settings.clone();
    let mut hidden = String::new();
    if !secrets {
        let (password, token) = (shown.password.take().is_some(), shown.resolver_token.take().is_some());
        for (name, is_set) in [("password", password), ("resolver_token", token)] {
            if is_set {
                hidden.push_str("# ");
                hidden.push_str(name);
                hidden.push_str(": set, and not shown; --show-secrets shows it\n");
            }
        }
    }
    let file = toml::to_string(&shown).map_err(|error| Failure::new(Exit::Bug, error))?;
    Ok(hidden + &file)
}

/// The value of a setting that has a default, which is there for the settings that [`whole`] gives.
pub(crate) fn value<T, U>(setting: Option<&Value<T>>, default: U, of: impl FnOnce(&T) -> U) -> U {
    setting.map_or(default, |setting| of(&setting.value))
}

/// What the protocol's core takes.
pub(crate) fn router(settings: &Settings) -> RouterConfig {
    let default = RouterConfig::default();
    RouterConfig {
        versions: value(settings.versions.as_ref(), default.versions, |v| v.0),
        queue_quota: value(settings.quota.as_ref(), default.queue_quota, |v| v.get()),
        message_ttl: value(settings.message_ttl.as_ref(), default.message_ttl, |v| v.0),
        expiry_interval: value(settings.expiry_interval.as_ref(), default.expiry_interval, |v| v.0),
        expire_on_send: value(settings.expire_on_send.as_ref(), default.expire_on_send, |v| v.0),
        end_interval: value(settings.end_interval.as_ref(), default.end_interval, |v| v.0),
        notification_interval: value(
            settings.notification_interval.as_ref(),
            default.notification_interval,
            |v| v.0,
        ),
        notification_ttl: value(settings.notification_ttl.as_ref(), default.notification_ttl, |v| v.0),
        password: settings.password.as_ref().map(|password| password.value.0.clone()),
        new_queues: value(settings.new_queues.as_ref(), default.new_queues, |v| v.0),
        proxy: value(settings.proxy.as_ref(), default.proxy, |v| v.0),
        handshake_timeout: value(settings.handshake_timeout.as_ref(), default.handshake_timeout, |v| v.0),
        inactive_ttl: value(settings.inactive_ttl.as_ref(), default.inactive_ttl, |v| v.0),
        inactive_interval: value(settings.inactive_interval.as_ref(), default.inactive_interval, |v| v.0),
        forward_timeout: value(settings.forward_timeout.as_ref(), default.forward_timeout, |v| v.0),
        relay_memory: value(settings.relay_memory.as_ref(), default.relay_memory, |v| v.0),
        relay_sessions: value(settings.relay_sessions.as_ref(), default.relay_sessions, |v| v.get()),
        proxied_per_client: value(settings.proxied_per_client.as_ref(), default.proxied_per_client, |v| {
            v.get()
        }),
        outgoing_blocks: value(settings.outgoing_blocks.as_ref(), default.outgoing_blocks, |v| v.get()),
        queued_blocks: value(settings.queued_blocks.as_ref(), default.queued_blocks, |v| v.get()),
        notification_quota: value(settings.notification_quota.as_ref(), default.notification_quota, |v| {
            v.get()
        }),
        // Whoever gives the node a resolver switches it on.
        resolver: default.resolver,
        lookups: default.lookups,
        // Nobody looks.
        observe: false,
    }
}

/// What the node takes for its connections.
pub(crate) fn connections(settings: &Settings) -> ConnectionLimits {
    let default = ConnectionLimits::default();
    ConnectionLimits {
        accepted: value(settings.connections.as_ref(), default.accepted, |v| v.get()),
        tls_timeout: value(settings.tls_timeout.as_ref(), default.tls_timeout, |v| v.0),
        dial_timeout: value(settings.dial_timeout.as_ref(), default.dial_timeout, |v| v.0),
        write_timeout: value(settings.write_timeout.as_ref(), default.write_timeout, |v| v.0),
        per_address: settings.connections_per_address.as_ref().map(|count| count.value.get()),
    }
}

/// How much to log.
pub(crate) fn level(settings: &Settings) -> tracing::Level {
    value(settings.log.as_ref(), tracing::Level::INFO, |v| v.0)
}

/// How long to wait for peers when the router stops, in nanoseconds.
pub(crate) fn stop_timeout(settings: &Settings) -> u64 {
    value(settings.stop_timeout.as_ref(), 0, |v| v.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::value::{Count, Interval, Limit};

    #[test]
    fn the_defaults_are_those_of_the_parts() {
        let settings = whole(Settings::default(), None, false).unwrap();
        assert_eq!(router(&settings), RouterConfig::default());
        assert_eq!(connections(&settings), ConnectionLimits::default());
    }

    #[test]
    fn what_is_printed_is_a_file_that_says_the_same() {
        let flags = Settings {
            quota: Some(Count::of(2).into()),
            inactive_ttl: Some(Limit::of(u64::MAX).into()),
            block: vec!["AAAA content 1d".parse().unwrap()],
            host: Some("smp.example.org".parse().unwrap()),
            password: Some("s\"e\\cret".parse().unwrap()),
            ..Settings::default()
        };
        let settings = flags.over(Settings::defaults());
        let printed = print(&settings, true).unwrap();
        let again: Settings = Checker::new(Path::new("printed"), &printed).parse().unwrap();
        assert_eq!(print(&again, true).unwrap(), printed);
        assert_eq!(router(&again), router(&settings));
        assert_eq!(router(&again).password.as_deref(), Some("s\"e\\cret"));
    }

    #[test]
    fn what_is_printed_without_secrets_is_a_file_too_and_says_that_they_are_set() {
        let flags = Settings {
            password: Some("hidden".parse().unwrap()),
            resolver_token: Some("hidden".parse().unwrap()),
            ..Settings::default()
        };
        let settings = flags.over(Settings::defaults());
        let printed = print(&settings, false).unwrap();
        assert!(!printed.contains("hidden"), "{printed}");
        assert!(
            printed.contains("# password: set") && printed.contains("# resolver_token: set"),
            "{printed}"
        );
        let again: Settings = Checker::new(Path::new("printed"), &printed).parse().unwrap();
        assert_eq!(router(&again), RouterConfig::default());
    }

    #[test]
    fn limits_reach_the_parts() {
        let flags = Settings {
            notification_quota: Some(Count::of(3).into()),
            queued_blocks: Some(Count::of(4).into()),
            connections_per_address: Some(Count::of(5).into()),
            write_timeout: Some(Interval::of(6).into()),
            ..Settings::default()
        };
        let (core, limits) = (router(&flags), connections(&flags));
        assert_eq!((core.notification_quota, core.queued_blocks), (3, 4));
        assert_eq!((limits.per_address, limits.write_timeout), (Some(5), 6));
    }
}
