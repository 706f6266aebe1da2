//! Every setting of a notification router: one name, and one description, for the flag and for the key in the file.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use sxlab_node::node::ConnectionLimits;
use sxlab_node::ntf::SmpLimits;
use sxlab_protocol::apns::StandInConfig;
use sxlab_protocol::ntf::router::RouterConfig;

use crate::serve::layers::settings;
use crate::serve::value::{
    Count, Delay, Identity, Interval, Level, Limit, Loopback, Minutes, Name, NtfVersions, Place, SmpVersions,
    Switch, Value, Word,
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
    /// The file that keeps tokens and subscriptions, made if it is not there; needs --dir or --certificate. Without it, or with
    /// --memory, they are gone when the router stops.
    #[arg(long, value_name = "FILE")]
    store: Option<Value<PathBuf>>,

    /// Whom to ask for pushes: Apple's routers, or a stand-in (`sxlab serve apns`).
    #[arg(long, value_name = "HOST:PORT")]
    apns: Option<Value<Place>>,
    /// The same for apps under development; without it, as --apns.
    #[arg(long, value_name = "HOST:PORT")]
    apns_development: Option<Value<Place>>,
    /// The identity of a stand-in, which is known by it.
    #[arg(long, value_name = "HASH")]
    apns_identity: Option<Value<Identity>>,
    /// The authorities whose signatures Apple's routers are known by, in PEM; instead of --apns-identity.
    #[arg(long, value_name = "FILE")]
    apns_ca: Option<Value<PathBuf>>,
    /// The key that authorizes pushes, as Apple gives it (AuthKey_….p8).
    #[arg(long, value_name = "FILE")]
    apns_key: Option<Value<PathBuf>>,
    /// The key's id.
    #[arg(long, value_name = "ID")]
    apns_key_id: Option<Value<Word>>,
    /// The team that it belongs to.
    #[arg(long, value_name = "ID")]
    apns_team: Option<Value<Word>>,
    /// The app that pushes are for [default: chat.simplex.app].
    #[arg(long, value_name = "APP")]
    apns_topic: Option<Value<Word>>,
    /// How long connecting to the provider may take, and then an answer [default: 10s].
    #[arg(long, value_name = "TIME")]
    apns_timeout: Option<Value<Interval>>,
    /// Whether the provider for tests may be used; it is the one of --apns, too [default: off].
    #[arg(long, value_name = "on|off", num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    test_provider: Option<Value<Switch>>,
    /// Pushes that may wait for their provider's answer before nothing more is read [default: 32768].
    #[arg(long, value_name = "N")]
    pushes: Option<Value<Count>>,
    /// Notifications that go with a push, of different queues of the token; those that do not fit are left out [default: 6].
    #[arg(long, value_name = "N")]
    notifications: Option<Value<Count>>,
    /// The least time between periodic pushes that may be asked for, in whole minutes [default: 20m].
    #[arg(long, value_name = "TIME")]
    least_period: Option<Value<Minutes>>,
    /// How often tokens are looked through for periodic pushes [default: 5m].
    #[arg(long, value_name = "TIME")]
    periodic_interval: Option<Value<Interval>>,
    /// Whether a token's first periodic push is made, one period after it was asked for [default: on].
    #[arg(long, value_name = "on|off")]
    first_periodic: Option<Value<Switch>>,

    /// Be a service of SMP routers that have services, with certificates and keys that are kept here, made if they are not there.
    #[arg(long, value_name = "DIR")]
    service: Option<Value<PathBuf>>,
    /// Versions of SMP to speak with SMP routers [default: 6-20].
    #[arg(long, value_name = "MIN-MAX")]
    smp_versions: Option<Value<SmpVersions>>,
    /// Queues that an SMP router is asked for at once, at the beginning [default: 900].
    #[arg(long, value_name = "N")]
    start_batch: Option<Value<Count>>,
    /// The same after a lost connection [default: 1360].
    #[arg(long, value_name = "N")]
    reconnect_batch: Option<Value<Count>>,
    /// How long to wait before connecting to an SMP router again, at first [default: 1s].
    #[arg(long, value_name = "TIME")]
    reconnect_interval: Option<Value<Interval>>,
    /// For how long of waiting that stays; then it grows by half each time [default: 10s].
    #[arg(long, value_name = "TIME")]
    reconnect_increase: Option<Value<Delay>>,
    /// The longest it becomes [default: 10s].
    #[arg(long, value_name = "TIME")]
    reconnect_most: Option<Value<Interval>>,
    /// How long an SMP router may take to answer a batch; then what is unanswered is asked again [default: 30s].
    #[arg(long, value_name = "TIME")]
    subscribe_timeout: Option<Value<Interval>>,
    /// How long to try to reach an SMP router, TLS included, and then to wait for its hello [default: 25s].
    #[arg(long, value_name = "TIME")]
    dial_timeout: Option<Value<Interval>>,
    /// How often an SMP router is asked whether it is there [default: 1m].
    #[arg(long, value_name = "TIME")]
    ping_interval: Option<Value<Interval>>,
    /// After how many such intervals in which nothing came a connection has ended [default: 3].
    #[arg(long, value_name = "N")]
    pings: Option<Value<Count>>,

    /// Versions offered to devices that negotiate the protocol in TLS; others get 1 if it is among them [default: 1-3].
    #[arg(long, value_name = "MIN-MAX")]
    versions: Option<Value<NtfVersions>>,
    /// Tokens that may be registered; without it, as many as come.
    #[arg(long, value_name = "N")]
    tokens: Option<Value<Count>>,
    /// Subscriptions that a token may have [default: 65536].
    #[arg(long, value_name = "N")]
    subscriptions_per_token: Option<Value<Count>>,
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
    /// How long a device may then take for its hello [default: 2m].
    #[arg(long, value_name = "TIME")]
    handshake_timeout: Option<Value<Interval>>,
    /// How long a device may say nothing; `never` closes none [default: 12h].
    #[arg(long, value_name = "TIME")]
    inactive_ttl: Option<Value<Limit>>,
    /// How often inactive devices are looked for [default: 1h].
    #[arg(long, value_name = "TIME")]
    inactive_interval: Option<Value<Limit>>,
    /// Blocks that wait to be written to a device before no more is read from it [default: 64].
    #[arg(long, value_name = "N")]
    outgoing_blocks: Option<Value<Count>>,
    /// Blocks of 512 bytes that wait to be written to all devices together; with more, the device that most of them wait for
    /// is closed [default: 262144].
    #[arg(long, value_name = "N")]
    queued_blocks: Option<Value<Count>>,
    /// How long a peer may take for one block that is written to it; who reads nothing is cut off then [default: 15m].
    #[arg(long, value_name = "TIME")]
    write_timeout: Option<Value<Interval>>,
    /// How long a router that stops waits for its peers to take what is queued for them [default: 5s].
    #[arg(long, value_name = "TIME")]
    stop_timeout: Option<Value<Delay>>,

    /// A loopback address to serve Prometheus metrics on, at /metrics; port 0 lets the system choose one.
    #[arg(long, value_name = "ADDR")]
    metrics: Option<Value<Loopback>>,
    /// How much to log: error, warn, info or debug. Only debug logs addresses and numbers of sessions [default: info].
    #[arg(long, value_name = "LEVEL")]
    log: Option<Value<Level>>,
}

/// How long the provider may take for each step, in nanoseconds.
const APNS_TIMEOUT: u64 = 10_000_000_000;

/// How long a router that stops waits for its peers, in nanoseconds.
const STOP_TIMEOUT: u64 = 5_000_000_000;

impl Settings {
    /// The defaults, of the parts of a router that have them.
    pub(crate) fn defaults() -> Self {
        let (router, connections) = (RouterConfig::default(), ConnectionLimits::default());
        let smp = SmpLimits::default();
        let count = |number| Some(Count::of(number).into());
        let interval = |time| Some(Interval::of(time).into());
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()],
            apns_topic: Some(Word(StandInConfig::default().topic).into()),
            apns_timeout: interval(APNS_TIMEOUT),
            test_provider: Some(Switch(router.test_provider).into()),
            pushes: count(router.pushes),
            notifications: count(router.notifications),
            least_period: Some(Minutes(router.least_period).into()),
            periodic_interval: interval(router.periodic_interval),
            first_periodic: Some(Switch(router.first_periodic).into()),
            smp_versions: Some(SmpVersions::of(smp.versions).into()),
            start_batch: count(router.start_batch),
            reconnect_batch: count(router.reconnect_batch),
            reconnect_interval: interval(router.reconnect.initial),
            reconnect_increase: Some(Delay::of(router.reconnect.increase_after).into()),
            reconnect_most: interval(router.reconnect.most),
            subscribe_timeout: interval(router.subscribe_timeout),
            dial_timeout: interval(connections.dial_timeout),
            ping_interval: interval(smp.ping_interval),
            pings: Some(Count(smp.pings).into()),
            versions: Some(NtfVersions::of(router.versions).into()),
            subscriptions_per_token: count(router.subscriptions_per_token),
            connections: count(connections.accepted),
            tls_timeout: interval(connections.tls_timeout),
            handshake_timeout: interval(router.handshake_timeout),
            inactive_ttl: Some(Limit::of(router.inactive_ttl).into()),
            inactive_interval: Some(Limit::of(router.inactive_interval).into()),
            outgoing_blocks: count(router.outgoing_blocks),
            queued_blocks: count(router.queued_blocks),
            write_timeout: interval(connections.write_timeout),
            stop_timeout: Some(Delay::of(STOP_TIMEOUT).into()),
            log: Some(Level(tracing::Level::INFO).into()),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::layers::check_help;

    /// `--help` names the defaults, and they are those that hold.
    #[test]
    fn help_tells_the_defaults() {
        check_help(&Settings::defaults(), &["host"]);
    }
}
