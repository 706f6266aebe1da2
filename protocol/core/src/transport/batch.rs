//! Batches: a block's content is a count byte and that many transmissions, each after its u16 length (TR-26).

use thiserror::Error;

use super::MAX_CONTENT;
use crate::wire::{Reader, WireError, put_large};

/// What a batch may weigh at most: the sum over its items of 2 + length, in bytes. The deployed routers and
/// clients use the same budget whether blocks are encrypted or not (D9).
pub const BATCH_BUDGET: usize = 16365;

/// The most items of one batch: its count is one byte.
const MAX_ITEMS: usize = 255;

/// Why transmissions could not be packed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// A transmission of this many bytes fits into no block.
    #[error("a transmission of {0} bytes fits into no block")]
    TooLarge(usize),
}

/// Which block of a batch that needs several is the partly filled one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// The last: commands and their responses.
    RemainderLast,
    /// The first: a router's collected events (END, DELD, NMSG) as the deployed router sends them.
    RemainderFirst,
}

/// Packs transmissions, in order, into as few block contents as the greedy rule gives. A transmission over the
/// batch budget is alone in its block, which an unencrypted block still carries up to 16379 bytes of.
pub fn pack(items: &[Vec<u8>], packing: Packing) -> Result<Vec<Vec<u8>>, BatchError> {
    if let Some(large) = items.iter().find(|item| 3 + item.len() > MAX_CONTENT) {
        return Err(BatchError::TooLarge(large.len()));
    }
    let mut groups: Vec<Vec<&Vec<u8>>> = Vec::new();
    let mut weight = 0;
    let mut add = |item| {
        let size = 2 + Vec::len(item);
        match groups.last_mut() {
            Some(group) if weight + size <= BATCH_BUDGET && group.len() < MAX_ITEMS => {
                weight += size;
                group.push(item);
            }
            _ => {
                weight = size;
                groups.push(vec![item]);
            }
        }
    };
    match packing {
        Packing::RemainderLast => items.iter().for_each(&mut add),
        Packing::RemainderFirst => items.iter().rev().for_each(&mut add),
    }
    if packing == Packing::RemainderFirst {
        groups.reverse();
        groups.iter_mut().for_each(|group| group.reverse());
    }
    groups.iter().map(|group| content(group)).collect()
}

/// The content of a block that carries one transmission.
pub fn pack_one(item: &Vec<u8>) -> Result<Vec<u8>, BatchError> {
    content(&[item])
}

fn content(group: &[&Vec<u8>]) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::with_capacity(1 + group.iter().map(|item| 2 + item.len()).sum::<usize>());
    out.push(u8::try_from(group.len()).unwrap_or(u8::MAX));
    for item in group {
        put_large(&mut out, item).map_err(|_| BatchError::TooLarge(item.len()))?;
    }
    Ok(out)
}

/// The transmissions of a block's content. A count of 0, a missing item or a byte after the last one makes the whole
/// content unreadable (TR-32).
pub fn unpack(content: &[u8]) -> Result<Vec<&[u8]>, WireError> {
    let mut reader = Reader::new(content);
    let items = reader.list(|r| r.large())?;
    reader.end()?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks_of(size: usize, count: usize, packing: Packing) -> Vec<usize> {
        let contents = pack(&vec![vec![0; size]; count], packing).unwrap();
        contents.iter().map(|c| usize::from(c[0])).collect()
    }

    #[test]
    fn commands_fill_blocks_from_the_front() {
        assert_eq!(blocks_of(119, 300, Packing::RemainderLast), [135, 135, 30]);
    }

    #[test]
    fn collected_events_leave_the_remainder_to_the_first_block() {
        // 260 END: 28-byte transmissions are bound by the count, v6 ones (with the session id) by the bytes.
        assert_eq!(blocks_of(30, 260, Packing::RemainderFirst), [5, 255]);
        assert_eq!(blocks_of(63, 260, Packing::RemainderFirst), [9, 251]);
        assert_eq!(blocks_of(201, 100, Packing::RemainderFirst), [20, 80]);
    }

    #[test]
    fn a_transmission_over_the_budget_travels_alone_and_one_over_the_block_does_not() {
        let items = [vec![1; 10], vec![2; MAX_CONTENT - 3], vec![3; 10]];
        assert_eq!(pack(&items, Packing::RemainderLast).unwrap().len(), 3);
        let too_large = vec![0; MAX_CONTENT - 2];
        assert_eq!(
            pack(std::slice::from_ref(&too_large), Packing::RemainderLast),
            Err(BatchError::TooLarge(MAX_CONTENT - 2))
        );
    }

    #[test]
    fn a_batch_with_a_wrong_count_is_unreadable() {
        for content in [&[][..], &[0], &[1], &[1, 0], &[1, 0, 2, 9], &[1, 0, 1, 9, 9], &[2, 0, 1, 9]] {
            assert!(unpack(content).is_err(), "{content:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_unpacks_in_order(
            items in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9000), 1..20),
            first in any::<bool>(),
        ) {
            let packing = if first { Packing::RemainderFirst } else { Packing::RemainderLast };
            let contents = pack(&items, packing).unwrap();
            let unpacked: Vec<Vec<u8>> =
                contents.iter().flat_map(|c| unpack(c).unwrap()).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(unpacked, items);
            for c in &contents {
                prop_assert!(c.len() <= 1 + BATCH_BUDGET);
            }
        }

        #[test]
        fn any_bytes_unpack_or_fail(content in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(items) = unpack(&content) {
                let owned: Vec<_> = items.iter().map(|i| i.to_vec()).collect();
                prop_assert_eq!(pack(&owned, Packing::RemainderLast).unwrap(), vec![content]);
            }
        }
    }
}
