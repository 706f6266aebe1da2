//! What is compared of which response, as data: which fields are random, which lengths and orders count.

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// As it is.
    Exact,
    /// Random: it must stand for the same thing wherever it appears, and for nothing else.
    Random,
    /// A time: not compared.
    Time,
    /// Ciphertext: its length, and what it decrypts to.
    Sealed,
    /// Certificates and what they sign: how many there are.
    Certificates,
}

/// A field of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in differences.
    pub name: &'static str,
    /// How it is compared.
    pub treatment: Treatment,
}

const fn field(name: &'static str, treatment: Treatment) -> Field {
    Field { name, treatment }
}

use Treatment::{Certificates, Exact, Random, Sealed, Time};

/// Fields of every transmission.
pub const TRANSMISSION: &[Field] = &[
    field("block", Exact),
    field("items in the block", Exact),
    field("correlation id", Exact),
    field("entity", Random),
    field("tag", Exact),
    field("length", Exact),
];

/// Fields of responses, by tag; a response that is not listed is compared byte by byte.
pub const RESPONSES: &[(&str, &[Field])] = &[
    (
        "IDS",
        &[
            field("recipient", Random),
            field("sender", Random),
            field("key", Random),
            field("mode", Exact),
            field("link", Random),
            field("service", Random),
            field("notifier", Random),
            field("notifier key", Random),
        ],
    ),
    ("NID", &[field("notifier", Random), field("notifier key", Random)]),
    ("LNK", &[field("sender", Random), field("fixed", Exact), field("user", Exact)]),
    ("SOK", &[field("service", Random)]),
    ("SOKS", &[field("count", Exact), field("hash", Random)]),
    ("ENDS", &[field("count", Exact), field("hash", Random)]),
    ("MSG", &[field("message", Random), field("time", Time), field("body", Sealed)]),
    ("NMSG", &[field("message", Random), field("time", Time), field("meta", Sealed)]),
    (
        "PKEY",
        &[
            field("session", Random),
            field("versions", Exact),
            field("certificates", Certificates),
            field("session key", Certificates),
        ],
    ),
    ("PRES", &[field("answer", Sealed)]),
    ("RRES", &[field("answer", Sealed)]),
    ("INFO", &[field("state", Exact), field("message", Random), field("time", Time)]),
];

/// Orders that are free. All others count.
pub const FREE_ORDERS: &[&str] = &[
    "steps of different connections",
    "what was asked in one block and is answered in several",
    "unsolicited transmissions of different entities in one connection",
    "an unsolicited transmission among the answers of its connection, unless they share a block",
];

/// How the fields of a response with this tag are compared; none for one that is compared byte by byte.
#[must_use]
pub fn of(tag: &str) -> &'static [Field] {
    RESPONSES.iter().find(|(listed, _)| *listed == tag).map(|(_, fields)| *fields).unwrap_or_default()
}

/// Whether the response has a field that is compared so.
#[must_use]
pub fn has(tag: &str, treatment: Treatment) -> bool {
    of(tag).iter().any(|field| field.treatment == treatment)
}

/// Whether the length of the response depends on the target: it has certificates, or a time in words.
#[must_use]
pub fn is_of_any_length(tag: &str) -> bool {
    has(tag, Certificates) || tag == "INFO"
}
