//! What QUE tells of a queue: JSON text for whoever looks for a fault (RC-39).

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::sessions::Hold;
use super::{Content, Queue, Router, SECOND, Stored};
use crate::observe::SessionNo;
use crate::smp::error::SmpError;
use crate::smp::response::Response;
use crate::wire::{EntityId, MsgId};

impl Router {
    /// QUE (RC-39). Of subscriptions it tells this session's only.
    pub(super) fn state(&mut self, session: SessionNo, entity: &EntityId) -> Response {
        let hold = self.holds(session).and_then(|holds| holds.get(entity)).cloned();
        match self.store.by_recipient(entity) {
            Some(queue) => Response::Info(describe(queue, hold.as_ref())),
            None => Response::Err(SmpError::Auth),
        }
    }
}

fn describe(queue: &Queue, hold: Option<&Hold>) -> String {
    let hold = hold.map(|hold| {
        // The deployed router names a subscription by the state of a thread that it starts only for slow clients.
        let (kind, delivered) = match hold {
            Hold::Subscribed(delivered) => ("noSub", delivered),
            Hold::Fetched(delivered) => ("prohibitSub", delivered),
        };
        let delivered = delivered.as_ref().map(|id| format!(r#","qDelivered":"{}""#, base64(id)));
        format!(r#","qiSub":{{"qSubThread":"{kind}"{}}}"#, delivered.unwrap_or_default())
    });
    let first = queue.first().map(|Stored { id, time, content }| {
        let kind = match content {
            Content::Message { .. } => "message",
            Content::Quota => "quota",
        };
        let (id, time) = (base64(id), iso(*time));
        format!(r#","qiMsg":{{"msgId":"{id}","msgTs":"{time}","msgType":"{kind}"}}"#)
    });
    format!(
        r#"{{"qiSnd":{},"qiNtf":{}{},"qiSize":{}{}}}"#,
        queue.sender_key.is_some(),
        queue.notifier().is_some(),
        hold.unwrap_or_default(),
        queue.len(),
        first.unwrap_or_default(),
    )
}

fn base64(id: &MsgId) -> String {
    STANDARD.encode(id.as_bytes())
}

/// A time in nanoseconds since the epoch as ISO 8601, without zeros at the end of its fraction.
fn iso(time: u64) -> String {
    let (seconds, fraction) = (time / SECOND, time % SECOND);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction > 0 {
        // Writing to a String never fails.
        let _ = write!(text, ".{}", format!("{fraction:09}").trim_end_matches('0'));
    }
    text + "Z"
}

/// Year, month and day of a number of days since 1970-01-01, by eras of 400 years that begin with a March.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let (month, carry) = if shifted < 10 { (shifted + 3, 0) } else { (shifted - 9, 1) };
    (era * 400 + year + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_deployed_router_writes_them() {
        assert_eq!(iso(1_795_254_753_511_700_523), "2026-11-21T09:52:33.511700523Z");
        assert_eq!(iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso(951_782_400 * SECOND + 500_000_000), "2000-02-29T00:00:00.5Z");
        assert_eq!(iso(4_107_542_399 * SECOND), "2100-02-28T23:59:59Z");
        assert_eq!(iso(4_107_542_400 * SECOND), "2100-03-01T00:00:00Z");
    }
}
