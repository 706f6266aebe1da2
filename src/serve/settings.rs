//! Every setting of a router: one name, and one description, for the flag and for the key in the file.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use sxlab_node::router::ConnectionLimits;
use sxlab_protocol::smp::router::RouterConfig;

use super::layers::settings;
use super::value::{
    Block, Count, Delay, Interval, Level, Limit, Loopback, Name, NameService, Password, SmpVersions, Switch,
    Token, Value,
};

settings! {
    /// Where to listen; port 0 lets the system choose one. May be given several times [default: 127.0.0.1:0].
    #[arg(long, value_name = "ADDR")]
    listen: Vec<Value<SocketAddr>>,
    /// The host in the printed address [default: the one listened on].
    #[arg(long, value_name = "HOST")]
    host: Option<Value<Name>>,
    /// Keep the router's certificates and keys here, and so its address; without it they are made for this run only.
    #[arg(long, value_name = "DIR")]
    dir: Option<Value<PathBuf>>,
    /// The router's certificates in PEM, leaf first, in one file or several; with --key instead of --dir.
    #[arg(long, value_name = "FILE")]
    certificate: Vec<Value<PathBuf>>,
    /// The key of the first certificate, PKCS#8 in PEM.
    #[arg(long, value_name = "FILE")]
    key: Option<Value<PathBuf>>,

    /// The file that keeps queues and messages, made if it is not there; needs --dir or --certificate. Without it, or with
    /// --memory, they are gone when the router stops.
    #[arg(long, value_name = "FILE")]
    store: Option<Value<PathBuf>>,

    /// Versions offered to clients that negotiate the protocol in TLS; others get 6 if it is among them
    /// [default: 6-20].
    #[arg(long, value_name = "MIN-MAX")]
    versions: Option<Value<SmpVersions>>,
    /// Messages that a queue holds before it refuses more [default: 128].
    #[arg(long, value_name = "N")]
    quota: Option<Value<Count>>,
    /// How long a message waits for its recipient [default: 21d].
    #[arg(long, value_name = "TIME")]
    message_ttl: Option<Value<Limit>>,
    /// How long a notification waits for its notifier [default: 1d].
    #[arg(long, value_name = "TIME")]
    notification_ttl: Option<Value<Limit>>,
    /// How often expired messages and notifications are looked for [default: 2h].
    #[arg(long, value_name = "TIME")]
    expiry_interval: Option<Value<Limit>>,
    /// Whether a queue's expired messages also go when it is sent another [default: off].
    #[arg(long, value_name = "on|off")]
    expire_on_send: Option<Value<Switch>>,
    /// How long the router gathers END and DELD events before it sends them [default: 15s].
    #[arg(long, value_name = "TIME")]
    end_interval: Option<Value<Delay>>,
    /// How long the router gathers notifications before it sends them [default: 1s500ms].
    #[arg(long, value_name = "TIME")]
    notification_interval: Option<Value<Delay>>,
    /// Notifications that wait for one notifier; with more, the oldest is dropped [default: 1024].
    #[arg(long, value_name = "N")]
    notification_quota: Option<Value<Count>>,
    /// The password that creating queues and proxying need; it becomes part of the printed address.
    #[arg(long, value_name = "PASSWORD")]
    password: Option<Value<Password>>,
    /// Whether queues are created [default: on].
    #[arg(long, value_name = "on|off")]
    new_queues: Option<Value<Switch>>,
    /// Block a queue at the start if it is there: `ID spam`, or `ID content 24h` with a notice for that long, or
    /// `ID content always` with one without end. May be given several times.
    // An ID may begin with a dash.
    #[arg(long, value_name = "ID REASON [TIME]", allow_hyphen_values = true)]
    block: Vec<Value<Block>>,

    /// Whether commands are forwarded to other routers [default: on].
    #[arg(long, value_name = "on|off")]
    proxy: Option<Value<Switch>>,
    /// How long a proxy tries to reach a relay, TLS included [default: 25s].
    #[arg(long, value_name = "TIME")]
    dial_timeout: Option<Value<Interval>>,
    /// How long a proxy waits for a relay's answer [default: 30s].
    #[arg(long, value_name = "TIME")]
    forward_timeout: Option<Value<Interval>>,
    /// How long a proxy remembers that a relay could not be reached [default: 30s].
    #[arg(long, value_name = "TIME")]
    relay_memory: Option<Value<Delay>>,
    /// Relays that a proxy has sessions with at a time [default: 10000].
    #[arg(long, value_name = "N")]
    relay_sessions: Option<Value<Count>>,
    /// Forwarded commands of one client that may wait for their answers at a time [default: 32].
    #[arg(long, value_name = "N")]
    proxied_per_client: Option<Value<Count>>,

    /// Where names are looked up: http://HOST, with a port and a path if need be; without it the router resolves no names.
    #[arg(long, value_name = "URL")]
    resolver: Option<Value<NameService>>,
    /// The token that the resolver of names wants to see.
    #[arg(long, value_name = "TOKEN")]
    resolver_token: Option<Value<Token>>,

    /// Accepted connections that may be open at a time; others wait [default: 10000].
    #[arg(long, value_name = "N")]
    connections: Option<Value<Count>>,
    /// Of these, how many may come from one address, or of IPv6 one network of 64 bits; further ones are closed. Without it,
    /// as many as may be open.
    #[arg(long, value_name = "N")]
    connections_per_address: Option<Value<Count>>,
    /// How long TLS may take to be set up [default: 1m].
    #[arg(long, value_name = "TIME")]
    tls_timeout: Option<Value<Interval>>,
    /// How long a client may then take for its hello [default: 2m].
    #[arg(long, value_name = "TIME")]
    handshake_timeout: Option<Value<Interval>>,
    /// How long a client without subscriptions may say nothing; `never` closes none [default: 6h].
    #[arg(long, value_name = "TIME")]
    inactive_ttl: Option<Value<Limit>>,
    /// How often inactive clients are looked for [default: 1h].
    #[arg(long, value_name = "TIME")]
    inactive_interval: Option<Value<Limit>>,
    /// Blocks that wait to be written to a client before no more is read from it [default: 64].
    #[arg(long, value_name = "N")]
    outgoing_blocks: Option<Value<Count>>,
    /// Blocks of 16 KiB that wait to be written to all clients together; with more, the client that most of them wait for
    /// is closed [default: 65536].
    #[arg(long, value_name = "N")]
    queued_blocks: Option<Value<Count>>,
    /// How long a peer may take for one block that is written to it; who reads nothing is cut off then [default: 15m].
    #[arg(long, value_name = "TIME")]
    write_timeout: Option<Value<Interval>>,
    /// How long a router that stops waits for its peers to take what is queued for them [default: 5s].
    #[arg(long, value_name = "TIME")]
    stop_timeout: Option<Value<Delay>>,

    /// A Unix socket to make for `sxlab serve control`; only its owner can use it.
    #[arg(long, value_name = "PATH")]
    control: Option<Value<PathBuf>>,
    /// A loopback address to serve Prometheus metrics on, at /metrics; port 0 lets the system choose one.
    #[arg(long, value_name = "ADDR")]
    metrics: Option<Value<Loopback>>,
    /// How much to log: error, warn, info or debug. Only debug logs addresses and numbers of sessions [default: info].
    #[arg(long, value_name = "LEVEL")]
    log: Option<Value<Level>>,
}

impl Settings {
    /// The defaults, of the parts of a router that have them.
    pub(crate) fn defaults() -> Self {
        let (router, connections) = (RouterConfig::default(), ConnectionLimits::default());
        let count = |number| Some(Count::of(number).into());
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()],
            versions: Some(SmpVersions::of(router.versions).into()),
            quota: count(router.queue_quota),
            message_ttl: Some(Limit::of(router.message_ttl).into()),
            notification_ttl: Some(Limit::of(router.notification_ttl).into()),
            expiry_interval: Some(Limit::of(router.expiry_interval).into()),
            expire_on_send: Some(Switch(router.expire_on_send).into()),
            end_interval: Some(Delay::of(router.end_interval).into()),
            notification_interval: Some(Delay::of(router.notification_interval).into()),
            notification_quota: count(router.notification_quota),
            new_queues: Some(Switch(router.new_queues).into()),
            proxy: Some(Switch(router.proxy).into()),
            dial_timeout: Some(Interval::of(connections.dial_timeout).into()),
            forward_timeout: Some(Interval::of(router.forward_timeout).into()),
            relay_memory: Some(Delay::of(router.relay_memory).into()),
            relay_sessions: count(router.relay_sessions),
            proxied_per_client: count(router.proxied_per_client),
            connections: count(connections.accepted),
            tls_timeout: Some(Interval::of(connections.tls_timeout).into()),
            handshake_timeout: Some(Interval::of(router.handshake_timeout).into()),
            inactive_ttl: Some(Limit::of(router.inactive_ttl).into()),
            inactive_interval: Some(Limit::of(router.inactive_interval).into()),
            outgoing_blocks: count(router.outgoing_blocks),
            queued_blocks: count(router.queued_blocks),
            write_timeout: Some(Interval::of(connections.write_timeout).into()),
            stop_timeout: Some(Delay::of(STOP_TIMEOUT).into()),
            log: Some(Level(tracing::Level::INFO).into()),
            ..Self::default()
        }
    }
}

/// How long a router that stops waits for its peers, in nanoseconds.
const STOP_TIMEOUT: u64 = 5_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::layers::check_help;

    /// `--help` names the defaults, and they are those that hold.
    #[test]
    fn help_tells_the_defaults() {
        check_help(&Settings::defaults(), &["host"]);
    }

    #[test]
    fn what_is_given_wins_over_what_is_below() {
        let given = Settings { quota: Some(Count::of(2).into()), ..Settings::default() };
        let merged = given.over(Settings::defaults());
        assert_eq!(merged.quota.unwrap().value, Count::of(2));
        assert_eq!(merged.listen.len(), 1);
    }
}
