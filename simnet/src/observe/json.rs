//! Observations as lines of JSON.

use serde::Serialize;
use sxlab_protocol::observe::{Layer, Seen, Sight};

use super::{LinkSight, Observation, Sighting};

/// An observation as a line of JSON.
#[derive(Default, Serialize)]
pub(super) struct JsonLine<'a> {
    at_ns: u64,
    vantage: &'a str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    corr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passed_to_session: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passed_to_corr: Option<String>,
}

impl<'a> JsonLine<'a> {
    /// An observation from the vantage point of this name.
    pub(super) fn new(vantage: &'a str, observation: &'a Observation) -> Self {
        let line = Self { at_ns: observation.at_ns, vantage, ..Self::default() };
        match &observation.sight {
            Sighting::Router(Sight::Accepted { session, from }) => {
                Self { event: "accepted", session: Some(session.0), from: Some(from), ..line }
            }
            Sighting::Router(Sight::Dialed { session, to }) => {
                Self { event: "dialed", session: Some(session.0), to: Some(to), ..line }
            }
            Sighting::Router(Sight::Closed { session }) => {
                Self { event: "closed", session: Some(session.0), ..line }
            }
            Sighting::Router(Sight::Created { session, recipient, sender }) => Self {
                event: "created",
                session: Some(session.0),
                entity: Some(hex(recipient.as_bytes())),
                sender: Some(hex(sender.as_bytes())),
                ..line
            },
            Sighting::Router(Sight::Received(seen)) => line.of_seen("received", seen),
            Sighting::Router(Sight::Sent(seen)) => line.of_seen("sent", seen),
            Sighting::Link(LinkSight { from, to, bytes }) => {
                Self { event: "passed", from: Some(from), to: Some(to), size: Some(*bytes), ..line }
            }
        }
    }

    fn of_seen(self, event: &'static str, seen: &Seen) -> Self {
        let Seen { session, kind, layer, entity, corr, size, passed_to } = seen;
        Self {
            event,
            session: Some(session.0),
            kind: Some(kind.name().to_uppercase()),
            layer: Some(match layer {
                Layer::Session => "session",
                Layer::Forwarded => "forwarded",
            }),
            entity: Some(hex(entity.as_bytes())),
            corr: Some(hex(corr.as_bytes())),
            size: Some(*size),
            passed_to_session: passed_to.as_ref().map(|(session, _)| session.0),
            passed_to_corr: passed_to.as_ref().map(|(_, corr)| hex(corr.as_bytes())),
            ..self
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
