//! A notification router's settings, checked and turned into what a router takes.

use std::rc::Rc;

use sxlab_node::apns::{Apns, ApnsConfig};
use sxlab_node::node::ConnectionLimits;
use sxlab_node::ntf::{Providers, SmpLimits};
use sxlab_node::world::RealWorld;
use sxlab_protocol::apns::jwt::Signer;
use sxlab_protocol::ntf::router::RouterConfig;
use sxlab_protocol::retry::RetryInterval;

use super::settings::Settings;
use crate::exit::{Exit, Failure};
use crate::serve::config::{Layered, Wrong, check_place, value};
use crate::serve::process::IdentityPlace;
use crate::serve::value::Place;

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
        check_place(&place(self), self.store.as_ref(), &self.listen, wrong)?;
        let Some(apns) = &self.apns else {
            return match &self.apns_development {
                Some(place) => Err(wrong.at(place, "apns_development", "needs `apns`, too")),
                None => Ok(()),
            };
        };
        let message = match (&self.apns_identity, &self.apns_ca) {
            (Some(_), None) | (None, Some(_)) => None,
            (None, None) => Some("say what it is known by: `apns_identity` of a stand-in, or `apns_ca`"),
            (Some(_), Some(_)) => Some("it is known by `apns_identity` or by `apns_ca`, not both"),
        };
        let parts = (&self.apns_key, &self.apns_key_id, &self.apns_team);
        let message = message.or(match parts {
            (Some(_), Some(_), Some(_)) => None,
            _ => Some("needs `apns_key`, `apns_key_id` and `apns_team`"),
        });
        message.map_or(Ok(()), |message| Err(wrong.at(apns, "apns", message)))
    }
}

/// Where the router's identity is.
pub(super) fn place(settings: &Settings) -> IdentityPlace<'_> {
    let Settings { dir, certificate, key, host, .. } = settings;
    IdentityPlace { dir: dir.as_ref(), certificate, key: key.as_ref(), host: host.as_ref() }
}

/// What the protocol's core takes.
pub(super) fn router(settings: &Settings) -> RouterConfig {
    let default = RouterConfig::default();
    let s = settings;
    RouterConfig {
        versions: value(s.versions.as_ref(), default.versions, |v| v.0),
        test_provider: value(s.test_provider.as_ref(), default.test_provider, |v| v.0),
        least_period: value(s.least_period.as_ref(), default.least_period, |v| v.0),
        periodic_interval: value(s.periodic_interval.as_ref(), default.periodic_interval, |v| v.0),
        first_periodic: value(s.first_periodic.as_ref(), default.first_periodic, |v| v.0),
        notifications: value(s.notifications.as_ref(), default.notifications, |v| v.get()),
        start_batch: value(s.start_batch.as_ref(), default.start_batch, |v| v.get()),
        reconnect_batch: value(s.reconnect_batch.as_ref(), default.reconnect_batch, |v| v.get()),
        reconnect: RetryInterval {
            initial: value(s.reconnect_interval.as_ref(), default.reconnect.initial, |v| v.0),
            increase_after: value(s.reconnect_increase.as_ref(), default.reconnect.increase_after, |v| v.0),
            most: value(s.reconnect_most.as_ref(), default.reconnect.most, |v| v.0),
        },
        subscribe_timeout: value(s.subscribe_timeout.as_ref(), default.subscribe_timeout, |v| v.0),
        // Decided by whether there are certificates.
        service: default.service,
        pushes: value(s.pushes.as_ref(), default.pushes, |v| v.get()),
        tokens: value(s.tokens.as_ref(), default.tokens, |v| v.get()),
        subscriptions_per_token: value(
            s.subscriptions_per_token.as_ref(),
            default.subscriptions_per_token,
            |v| v.get(),
        ),
        handshake_timeout: value(s.handshake_timeout.as_ref(), default.handshake_timeout, |v| v.0),
        inactive_ttl: value(s.inactive_ttl.as_ref(), default.inactive_ttl, |v| v.0),
        inactive_interval: value(s.inactive_interval.as_ref(), default.inactive_interval, |v| v.0),
        outgoing_blocks: value(s.outgoing_blocks.as_ref(), default.outgoing_blocks, |v| v.get()),
        queued_blocks: value(s.queued_blocks.as_ref(), default.queued_blocks, |v| v.get()),
        // Nobody looks.
        observe: false,
    }
}

/// What the node takes for its connections.
pub(super) fn connections(settings: &Settings) -> ConnectionLimits {
    let (s, default) = (settings, ConnectionLimits::default());
    ConnectionLimits {
        accepted: value(s.connections.as_ref(), default.accepted, |v| v.get()),
        tls_timeout: value(s.tls_timeout.as_ref(), default.tls_timeout, |v| v.0),
        dial_timeout: value(s.dial_timeout.as_ref(), default.dial_timeout, |v| v.0),
        write_timeout: value(s.write_timeout.as_ref(), default.write_timeout, |v| v.0),
        per_address: s.connections_per_address.as_ref().map(|count| count.value.get()),
    }
}

/// What it takes for its sessions with SMP routers.
pub(super) fn smp(settings: &Settings) -> SmpLimits {
    let (s, default) = (settings, SmpLimits::default());
    SmpLimits {
        versions: value(s.smp_versions.as_ref(), default.versions, |v| v.0),
        ping_interval: value(s.ping_interval.as_ref(), default.ping_interval, |v| v.0),
        pings: value(s.pings.as_ref(), default.pings, |v| v.0),
    }
}

/// Whom it asks for pushes.
pub(super) fn providers(settings: &Settings) -> Result<Providers<RealWorld>, Failure> {
    let (Some(apns), Some(key), Some(key_id), Some(team)) =
        (&settings.apns, &settings.apns_key, &settings.apns_key_id, &settings.apns_team)
    else {
        return Ok(Providers::none());
    };
    let read = |path: &std::path::PathBuf| {
        std::fs::read_to_string(path).map_err(|error| Failure::usage(error).of(path.display()))
    };
    let signer = Signer::from_pem(&team.value.0, &key_id.value.0, &read(&key.value)?);
    let signer = signer.map_err(|error| Failure::usage(error).of(key.value.display()))?;
    let authorities = settings.apns_ca.as_ref().map(|file| Ok((file, read(&file.value)?))).transpose()?;
    let timeout = value(settings.apns_timeout.as_ref(), 0, |v| v.0);
    let client = |at: &Place| {
        let host = at.host.to_string();
        let config = match (&settings.apns_identity, &authorities) {
            (Some(identity), _) => ApnsConfig::of_stand_in(&host, at.port, identity.value.0)
                .map_err(|error| Failure::new(Exit::Bug, error)),
            (None, Some((file, pem))) => ApnsConfig::of_the_web(&host, at.port, pem.as_bytes())
                .map_err(|error| Failure::usage(error).of(file.value.display())),
            // Checked before.
            (None, None) => Err(Failure::usage("apns: it is known by nothing")),
        };
        let config = ApnsConfig { connect_timeout: timeout, answer_timeout: timeout, ..config? };
        Ok(Some(Rc::new(Apns::new(RealWorld, config, signer.clone()))))
    };
    let development = settings.apns_development.as_ref().unwrap_or(apns);
    Ok(Providers {
        topic: value(settings.apns_topic.as_ref(), String::new(), |v| v.0.clone()),
        production: client(&apns.value)?,
        development: client(&development.value)?,
        test: client(&apns.value)?,
    })
}

/// How much to log.
pub(super) fn level(settings: &Settings) -> tracing::Level {
    value(settings.log.as_ref(), tracing::Level::INFO, |v| v.0)
}

/// How long to wait for peers when the router stops, in nanoseconds.
pub(super) fn stop_timeout(settings: &Settings) -> u64 {
    value(settings.stop_timeout.as_ref(), 0, |v| v.0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sxlab_simnet::input::Checker;

    use super::*;
    use crate::serve::config::whole;
    use crate::serve::value::{Count, Interval, Minutes, Switch};

    #[test]
    fn the_defaults_are_those_of_the_parts() {
        let settings: Settings = whole(Settings::default(), None, false).unwrap();
        assert_eq!(router(&settings), RouterConfig::default());
        assert_eq!(connections(&settings), ConnectionLimits::default());
        assert_eq!(smp(&settings), SmpLimits::default());
    }

    #[test]
    fn what_is_printed_is_a_file_that_says_the_same() {
        let flags = Settings {
            pushes: Some(Count::of(2).into()),
            tokens: Some(Count::of(3).into()),
            least_period: Some(Minutes(1).into()),
            test_provider: Some(Switch(true).into()),
            reconnect_most: Some(Interval::of(5).into()),
            host: Some("ntf.example.org".parse().unwrap()),
            ..Settings::default()
        };
        let settings = flags.over(Settings::defaults());
        let core = router(&settings);
        assert_eq!((core.pushes, core.tokens, core.least_period), (2, 3, 1));
        assert!(core.test_provider && core.reconnect.most == 5);
        let printed = toml::to_string(&settings).unwrap();
        let again: Settings = Checker::new(Path::new("printed"), &printed).parse().unwrap();
        assert_eq!(router(&again), core);
    }
}
