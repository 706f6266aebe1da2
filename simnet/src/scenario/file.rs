//! A scenario file as written: which keys there are and of which type. `docs/scenarios.md` says what they mean;
//! [`super::check`] says what they may hold.

use serde::Deserialize;
use serde_spanned::Spanned;

use crate::units::Duration;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) description: String,
    pub(super) seed: Option<u64>,
    pub(super) duration: Option<Spanned<Duration>>,
    pub(super) tick: Option<Spanned<Duration>>,
    pub(super) policies: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) regions: Option<Spanned<Vec<Spanned<Region>>>>,
    #[serde(default)]
    pub(super) latency: Latency,
    pub(super) network: Option<Network>,
    #[serde(default)]
    pub(super) operator: Vec<Operator>,
    #[serde(default)]
    pub(super) user_router: Vec<UserRouter>,
    pub(super) users: Spanned<Users>,
    pub(super) workload: Spanned<Workload>,
    pub(super) groups: Option<Groups>,
    pub(super) business: Option<Business>,
    pub(super) calls: Option<Calls>,
    pub(super) rotation: Option<Spanned<Rotation>>,
    pub(super) churn: Option<Spanned<Churn>>,
    #[serde(default)]
    pub(super) fault: Vec<Spanned<Fault>>,
    #[serde(default)]
    pub(super) client: Client,
    #[serde(default)]
    pub(super) router: Router,
    #[serde(default)]
    pub(super) analysis: Analysis,
}

/// `[latency]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Latency {
    pub(super) default: Option<Spanned<Duration>>,
    pub(super) jitter: Option<Spanned<Duration>>,
    pub(super) bandwidth_kbit: Option<Spanned<u64>>,
    #[serde(default)]
    pub(super) between: Vec<Between>,
}

/// `[[latency.between]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Between {
    pub(super) a: Spanned<String>,
    pub(super) b: Spanned<String>,
    pub(super) time: Option<Spanned<Duration>>,
    pub(super) jitter: Option<Spanned<Duration>>,
    pub(super) bandwidth_kbit: Option<Spanned<u64>>,
}

/// `[network]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    pub(super) routers: Spanned<u32>,
}

/// `[[operator]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operator {
    pub(super) name: Spanned<String>,
    pub(super) routers: Option<Spanned<CountOrNames>>,
    pub(super) share: Option<Spanned<f64>>,
    pub(super) roles: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    pub(super) disabled: bool,
}

/// `[[user_router]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserRouter {
    pub(super) name: Spanned<String>,
    pub(super) routers: Spanned<CountOrNames>,
    pub(super) roles: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) users: Option<Spanned<u32>>,
    pub(super) users_share: Option<Spanned<f64>>,
    #[serde(default)]
    pub(super) only: bool,
}

/// `[users]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Users {
    pub(super) count: Option<Spanned<u32>>,
    pub(super) contacts: Option<Spanned<u32>>,
    pub(super) graph: Option<Spanned<String>>,
    pub(super) degrees: Option<Spanned<Degrees>>,
    pub(super) file: Option<Spanned<String>>,
    pub(super) region_weights: Option<Spanned<Vec<u32>>>,
}

/// `[rotation]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    pub(super) at: Option<Spanned<Duration>>,
    pub(super) every: Option<Spanned<Duration>>,
}

/// `[groups]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Groups {
    pub(super) count: Spanned<u32>,
    pub(super) sizes: Spanned<Degrees>,
    pub(super) messages: Spanned<f64>,
    pub(super) joining: Option<Spanned<f64>>,
}

/// `[business]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Business {
    pub(super) count: Spanned<u32>,
    pub(super) customers: Spanned<u32>,
    pub(super) employees: Spanned<u32>,
    pub(super) messages: Spanned<f64>,
}

/// `[calls]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Calls {
    pub(super) per_user_per_day: Spanned<f64>,
    pub(super) answered: Spanned<f64>,
    pub(super) answer_after: Option<Spanned<Duration>>,
    pub(super) lapse: Option<Spanned<Duration>>,
}

/// `degrees = { min = 1, max = 500, exponent = 2.5 }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PowerLaw {
    pub(super) min: Option<Spanned<u32>>,
    pub(super) max: Spanned<u32>,
    pub(super) exponent: Spanned<f64>,
}

/// `columns = { time = "ts", sender = "src", recipient = "dst" }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnNames {
    pub(super) time: Spanned<String>,
    pub(super) sender: Spanned<String>,
    pub(super) recipient: Spanned<String>,
}

/// `{ name = "europe", time_zone = "+01:00" }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ZonedRegion {
    pub(super) name: Spanned<String>,
    pub(super) time_zone: Option<Spanned<String>>,
}

/// `[workload]`: the keys of all kinds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workload {
    pub(super) kind: Spanned<String>,
    pub(super) body_min: Option<Spanned<u32>>,
    pub(super) body_max: Option<Spanned<u32>>,
    pub(super) messages: Option<Spanned<u64>>,
    pub(super) per_user_per_hour: Option<Spanned<f64>>,
    pub(super) hours: Option<Spanned<Vec<Spanned<f64>>>>,
    pub(super) time_of_day: Option<Spanned<String>>,
    pub(super) session_messages: Option<Spanned<f64>>,
    pub(super) gap: Option<Spanned<Duration>>,
    pub(super) file: Option<Spanned<String>>,
    pub(super) columns: Option<Spanned<Columns>>,
    pub(super) time_unit: Option<Spanned<String>>,
    pub(super) window_start: Option<Spanned<Duration>>,
    pub(super) window: Option<Spanned<Duration>>,
    pub(super) speed: Option<Spanned<u64>>,
}

/// `[[fault]]`: the keys of both kinds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    pub(super) kind: Spanned<String>,
    pub(super) at: Spanned<Duration>,
    pub(super) router: Option<Spanned<String>>,
    pub(super) downtime: Option<Spanned<Duration>>,
    pub(super) a: Option<Spanned<String>>,
    pub(super) b: Option<Spanned<String>>,
    #[serde(rename = "for")]
    pub(super) length: Option<Spanned<Duration>>,
}

/// `[churn]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Churn {
    pub(super) online: Spanned<Duration>,
    pub(super) offline: Spanned<Duration>,
}

/// `[client]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Client {
    pub(super) request_timeout: Option<Spanned<Duration>>,
    pub(super) ping_interval: Option<Spanned<Duration>>,
    pub(super) ping_count: Option<Spanned<u32>>,
    pub(super) pings: Option<Spanned<String>>,
    pub(super) recover_window: Option<Spanned<Duration>>,
    pub(super) retry: Option<Spanned<Duration>>,
    pub(super) receipts: Option<bool>,
    pub(super) sessions: Option<Spanned<String>>,
    pub(super) tor: Option<Spanned<Tor>>,
    pub(super) tor_latency: Option<Spanned<Duration>>,
    pub(super) tor_proxy: Option<Spanned<bool>>,
}

/// `tor = true`, or `tor = 0.1`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected true, false or a share of the users")]
pub(super) enum Tor {
    Switch(bool),
    Share(f64),
}

/// `[router]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Router {
    pub(super) queue_quota: Option<Spanned<u32>>,
    pub(super) end_interval: Option<Spanned<Duration>>,
}

/// `[analysis]`
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Analysis {
    pub(super) margin: Option<Spanned<f64>>,
    pub(super) colluding: Option<Vec<Spanned<Vec<Spanned<String>>>>>,
}

/// `routers = 4`, or `routers = ["smp8", "smp9"]`.
pub(super) enum CountOrNames {
    Count(u32),
    Names(Vec<Spanned<String>>),
}

impl<'de> Deserialize<'de> for CountOrNames {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = CountOrNames;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of routers or a list of their names")
            }
            fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<CountOrNames, E> {
                u32::try_from(n)
                    .map(CountOrNames::Count)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(n), &self))
            }
            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<CountOrNames, E> {
                u32::try_from(n)
                    .map(CountOrNames::Count)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Unsigned(n), &self))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<CountOrNames, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(CountOrNames::Names(names))
            }
        }
        input.deserialize_any(Visitor)
    }
}

/// Defines a value that a file may write in two ways: something simple, or a table.
macro_rules! either {
    ($(#[$doc:meta])* $name:ident, $expecting:literal, $simple:ident($of:ty) by $visit:ident, $table:ident($form:ty)) => {
        $(#[$doc])*
        pub(super) enum $name {
            $simple($of),
            $table($form),
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    either!($visit, $name::$simple, $of);
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        <$form>::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map($name::$table)
                    }
                }
                input.deserialize_any(Visitor)
            }
        }
    };
    (list, $make:expr, $of:ty) => {
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            <$of>::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map($make)
        }
    };
    (text, $make:expr, $of:ty) => {
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok($make(text.to_owned()))
        }
    };
}

either! {
    /// `degrees = [[1, 0.2], [5, 0.8]]`, or the table of a power law.
    Degrees, "a list such as [[1, 0.2], [5, 0.8]] or a table of min, max and exponent",
    Shares(Vec<Spanned<(u32, f64)>>) by list, PowerLaw(PowerLaw)
}
either! {
    /// `columns = ["timestamp", "sender", "recipient"]`, or a table of the header's names.
    Columns, "a list of columns or a table of time, sender and recipient",
    Positions(Vec<Spanned<String>>) by list, Named(ColumnNames)
}
either! {
    /// A region: its name, or a table of name and time zone.
    Region, "the name of a region, or a table of name and time_zone",
    Name(String) by text, Zoned(ZonedRegion)
}
