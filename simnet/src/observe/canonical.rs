//! The bytes that a trace hash is over.

use sxlab_protocol::observe::{Layer, Seen, Sight};
use sxlab_protocol::wire::{CorrId, EntityId};

use super::{LinkSight, Observation, Sighting};

/// What an entry of the canonical log begins with: a new vantage point or an observation.
pub(super) const VANTAGE: u8 = 0;
const OBSERVATION: u8 = 1;

/// Length and bytes.
pub(crate) fn put_text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The canonical bytes: every field, whole numbers big-endian, texts and identifiers after their length, so
/// that no two observations have the same.
pub(super) fn put_observation(out: &mut Vec<u8>, observation: &Observation) {
    let Observation { at_ns, vantage, sight } = observation;
    out.push(OBSERVATION);
    out.extend_from_slice(&at_ns.to_be_bytes());
    out.extend_from_slice(&vantage.0.to_be_bytes());
    match sight {
        Sighting::Router(Sight::Accepted { session, from }) => {
            out.push(1);
            out.extend_from_slice(&session.0.to_be_bytes());
            put_text(out, from.as_bytes());
        }
        Sighting::Router(Sight::Dialed { session, to }) => {
            out.push(2);
            out.extend_from_slice(&session.0.to_be_bytes());
            put_text(out, to.as_bytes());
        }
        Sighting::Router(Sight::Closed { session }) => {
            out.push(3);
            out.extend_from_slice(&session.0.to_be_bytes());
        }
        Sighting::Router(Sight::Received(seen)) => {
            out.push(4);
            put_seen(out, seen);
        }
        Sighting::Router(Sight::Sent(seen)) => {
            out.push(5);
            put_seen(out, seen);
        }
        Sighting::Router(Sight::Created { session, recipient, sender }) => {
            out.push(7);
            out.extend_from_slice(&session.0.to_be_bytes());
            put_text(out, recipient.as_bytes());
            put_text(out, sender.as_bytes());
        }
        Sighting::Link(LinkSight { from, to, bytes }) => {
            out.push(6);
            put_text(out, from.as_bytes());
            put_text(out, to.as_bytes());
            out.extend_from_slice(&bytes.to_be_bytes());
        }
    }
}

fn put_seen(out: &mut Vec<u8>, seen: &Seen) {
    let Seen { session, kind, layer, entity, corr, size, passed_to } = seen;
    out.extend_from_slice(&session.0.to_be_bytes());
    put_text(out, kind.name().as_bytes());
    out.push(match layer {
        Layer::Session => 0,
        Layer::Forwarded => 1,
    });
    put_text(out, EntityId::as_bytes(entity));
    put_text(out, CorrId::as_bytes(corr));
    out.extend_from_slice(&size.to_be_bytes());
    match passed_to {
        None => out.push(0),
        Some((session, corr)) => {
            out.push(1);
            out.extend_from_slice(&session.0.to_be_bytes());
            put_text(out, corr.as_bytes());
        }
    }
}
