//! What a router counts, as Prometheus text. Nothing in it names anybody.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;
use std::time::Duration;

use sxlab_node::router::RouterNode;
use sxlab_node::store::Commits;
use sxlab_node::world::RealWorld;
use sxlab_protocol::observe::Kind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::few;

/// The longest request that is read, in bytes.
const REQUEST: usize = 8192;
/// How long a request and its answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// One metric and its samples.
pub(crate) struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// Labels, empty for none, or how the name ends; and values.
    samples: Vec<(String, String)>,
}

impl Metric {
    pub(crate) fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, kind: "counter", help, samples: vec![(String::new(), value.to_string())] }
    }

    pub(crate) fn gauge(name: &'static str, help: &'static str, value: usize) -> Self {
        Self { name, kind: "gauge", help, samples: vec![(String::new(), value.to_string())] }
    }

    pub(crate) fn by_kind(name: &'static str, help: &'static str, counts: &BTreeMap<Kind, u64>) -> Self {
        let samples = counts.iter().map(|(kind, count)| {
            let tag = match kind {
                Kind::OtherCommand | Kind::OtherResponse => "other".to_owned(),
                kind => format!("{kind:?}").to_uppercase(),
            };
            (format!("{{kind=\"{tag}\"}}"), count.to_string())
        });
        Self { name, kind: "counter", help, samples: samples.collect() }
    }
}

/// What there is to tell of an SMP router; nothing once it is stopped.
fn metrics(node: &RouterNode<RealWorld>) -> Vec<Metric> {
    let seen = node.operate(|core, _| (core.statistics().clone(), core.holdings()));
    let Some((counts, there)) = seen else { return Vec::new() };
    let errors = counts.errors.iter().map(|(tag, count)| (format!("{{kind=\"{tag}\"}}"), count.to_string()));
    let mut all = vec![
        Metric::gauge("sxlab_smp_connections", "Accepted connections that are open.", node.connections()),
        Metric::counter(
            "sxlab_smp_failed_handshakes_total",
            "Accepted connections that did not become sessions.",
            node.failed_handshakes(),
        ),
        Metric::counter(
            "sxlab_smp_refused_connections_total",
            "Connections beyond those that may come from one address.",
            node.refused_connections(),
        ),
        Metric::counter(
            "sxlab_smp_shed_total",
            "Clients closed because too much waited to be written.",
            counts.shed,
        ),
        Metric::gauge("sxlab_smp_queued_blocks", "Blocks that wait to be written to clients.", there.blocks),
        Metric::gauge("sxlab_smp_sessions", "Open sessions of clients.", there.sessions),
        Metric::gauge("sxlab_smp_relay_sessions", "Sessions with relays, as a proxy.", there.relays),
        Metric::gauge("sxlab_smp_queues", "Queues.", there.queues),
        Metric::gauge("sxlab_smp_messages", "Messages that wait in all queues.", there.messages),
        Metric::gauge("sxlab_smp_subscriptions", "Queues with a subscriber.", there.subscriptions),
        Metric::gauge(
            "sxlab_smp_notifier_subscriptions",
            "Notifiers with a subscriber.",
            there.notifier_subscriptions,
        ),
        Metric::counter("sxlab_smp_sessions_total", "Sessions that clients opened.", counts.accepted),
        Metric::counter("sxlab_smp_relay_sessions_total", "Relays that were reached.", counts.dialed),
        Metric::counter(
            "sxlab_smp_relay_failures_total",
            "Relays that could not be reached.",
            counts.dial_failures,
        ),
        Metric::counter("sxlab_smp_blocks_in_total", "Blocks from clients.", counts.blocks_in),
        Metric::counter("sxlab_smp_blocks_out_total", "Blocks to clients.", counts.blocks_out),
        Metric::by_kind("sxlab_smp_commands_total", "Commands of clients.", &counts.commands),
        Metric::by_kind(
            "sxlab_smp_forwarded_total",
            "Commands that proxies forwarded to this router.",
            &counts.forwarded,
        ),
        Metric::by_kind(
            "sxlab_smp_responses_total",
            "Answers and events to clients; MSG and NMSG are deliveries.",
            &counts.responses,
        ),
        Metric {
            name: "sxlab_smp_errors_total",
            kind: "counter",
            help: "Errors to clients.",
            samples: errors.collect(),
        },
    ];
    all.extend(node.commits().into_iter().flat_map(|commits| committed(STORE, commits)));
    all
}

/// The names of what there is to tell of a store.
const STORE: [&str; 2] = ["sxlab_smp_store_commit_seconds", "sxlab_smp_store_changes_total"];

/// What there is to tell of a store.
pub(crate) fn committed([seconds_name, changes_name]: [&'static str; 2], commits: Commits) -> [Metric; 2] {
    let (seconds, rest) = (commits.nanoseconds / 1_000_000_000, commits.nanoseconds % 1_000_000_000);
    [
        Metric {
            name: seconds_name,
            kind: "summary",
            help: "Transactions of the store, syncs included.",
            samples: vec![
                ("_sum".to_owned(), format!("{seconds}.{rest:09}")),
                ("_count".to_owned(), commits.count.to_string()),
            ],
        },
        Metric::counter(changes_name, "Changes of records that are durable.", commits.changes),
    ]
}

/// Every sample as one line.
pub(crate) fn samples(node: &RouterNode<RealWorld>) -> Vec<String> {
    let all = metrics(node).into_iter();
    all.flat_map(|metric| {
        let name = metric.name;
        metric.samples.into_iter().map(move |(labels, value)| format!("{name}{labels} {value}"))
    })
    .collect()
}

/// What tells the metrics of a server when it is asked.
pub(crate) type Teller = Rc<dyn Fn() -> Vec<Metric>>;

/// That of an SMP router.
pub(crate) fn of(node: RouterNode<RealWorld>) -> Teller {
    Rc::new(move || metrics(&node))
}

/// The text that Prometheus reads.
fn exposition(metrics: Vec<Metric>) -> String {
    let mut text = String::new();
    for Metric { name, kind, help, samples } in metrics {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    }
    text
}

/// Answers requests for the metrics, for ever.
pub(crate) async fn serve(listener: TcpListener, tell: Teller) {
    let accept = || async { listener.accept().await.map(|(stream, _)| stream) };
    few::serve(accept, |stream| {
        let tell = Rc::clone(&tell);
        async move {
            // Who does not get an answer in time, or at all, asks again.
            let _ = timeout(LIMIT, answer(stream, &tell)).await;
        }
    })
    .await;
}

/// HTTP/1.0: one request, one answer.
async fn answer(mut stream: TcpStream, tell: &Teller) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() >= REQUEST || stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let line = request.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    let (status, body) = match (words.next(), words.next()) {
        (Some(b"GET"), Some(b"/metrics")) => ("200 OK", exposition(tell())),
        (Some(b"GET"), Some(_)) => ("404 Not Found", "the metrics are at /metrics\n".to_owned()),
        (Some(_), Some(_)) => ("405 Method Not Allowed", "only GET\n".to_owned()),
        _ => ("400 Bad Request", "not HTTP\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.0 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
