//! What names stand for.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sxlab_protocol::smp::name::NameRecord;

use crate::owed;
use crate::values::*;

pub(crate) fn name_record() -> impl Strategy<Value = NameRecord> {
    let coins = (option::of(text()), option::of(text()), option::of(text()), option::of(text()));
    (vec(text(), 6), vec(text(), 0..3), vec(text(), 0..3), coins).prop_map(
        |(mut texts, simplex_contact, simplex_channel, (eth, btc, xmr, dot))| {
            let mut text = || texts.pop().unwrap_or_default();
            let (name, nickname, website) = (text(), text(), text());
            let (location, owner, resolver) = (text(), text(), text());
            NameRecord {
                name,
                nickname,
                website,
                location,
                simplex_contact,
                simplex_channel,
                eth,
                btc,
                xmr,
                dot,
                owner,
                resolver,
            }
        },
    )
}

proptest! {
    #[test]
    fn bytes_near_name_records(record in name_record(), at: prop::sample::Index, byte: u8, how in 0..4u8) {
        owed::name_record(&damaged(record.to_json().into_bytes(), at, byte, how));
    }

    #[test]
    fn name_records(record in name_record()) {
        prop_assert_eq!(NameRecord::parse(record.to_json().as_bytes()), Ok(record));
    }
}
