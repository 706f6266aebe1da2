//! Batches: a block's content is a count byte and that many transmissions, each after its u16 length (TR-26).

use thiserror::Error;

use super::{BLOCK_SIZE, MAX_CONTENT};
use crate::crypto::boxes::TAG;
use crate::wire::{Reader, WireError, put_large};

/// What an SMP batch may weigh at most: the sum over its items of 2 + length, in bytes. The deployed routers and
/// clients use the same budget whether blocks are encrypted or not (D9).
pub const BATCH_BUDGET: usize = batch_budget(BLOCK_SIZE);

/// The same for blocks of another size: room for the padding's length, the count and an encrypted block's tag.
#[must_use]
pub const fn batch_budget(block_size: usize) -> usize {
    block_size.saturating_sub(2 + 1 + TAG)
}

/// The most items of one batch: its count is one byte.
const MAX_ITEMS: usize = 255;

/// Why transmissions could not be packed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// A transmission of this many bytes fits into no block.
    #[error("a transmission of {0} bytes fits into no block")]
    TooLarge(usize),
}

/// Packs transmissions, in order, into as few block contents as the greedy rule gives, counted from the last one
/// backwards as the deployed routers and clients do: a block that is not full is the first (TR-35, TR-36). A
/// transmission over the batch budget is alone in its block, which an unencrypted block still carries up to 16379
/// bytes of.
///
/// # Errors
/// [`BatchError::TooLarge`]; nothing is packed then.
pub fn pack(items: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, BatchError> {
    if let Some(large) = items.iter().find(|item| 3 + item.len() > MAX_CONTENT) {
        return Err(BatchError::TooLarge(large.len()));
    }
    batches(items).map(|batch| content(batch.iter().map(Vec::as_slice))).collect()
}

/// The transmissions as [`pack`] puts them into blocks. One that fits into no block is among them.
pub fn batches(items: &[Vec<u8>]) -> impl Iterator<Item = &[Vec<u8>]> {
    batches_within(BATCH_BUDGET, items)
}

/// The same with another [`batch_budget`].
pub fn batches_within(budget: usize, items: &[Vec<u8>]) -> impl Iterator<Item = &[Vec<u8>]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let first = first_block_within(budget, rest.iter().map(Vec::len));
        let (batch, others) = rest.split_at_checked(first)?;
        rest = others;
        (!batch.is_empty()).then_some(batch)
    })
}

/// How many of the transmissions with these lengths the first block takes when all are packed. At least one, unless
/// there are none.
pub fn first_block(lengths: impl DoubleEndedIterator<Item = usize>) -> usize {
    first_block_within(BATCH_BUDGET, lengths)
}

/// The same with another [`batch_budget`].
pub fn first_block_within(budget: usize, lengths: impl DoubleEndedIterator<Item = usize>) -> usize {
    let (mut count, mut weight) = (0, 0);
    for length in lengths.rev() {
        let size = 2 + length;
        if count > 0 && weight + size <= budget && count < MAX_ITEMS {
            count += 1;
            weight += size;
        } else {
            (count, weight) = (1, size);
        }
    }
    count
}

/// The content of a block that carries these 1 to 255 transmissions.
///
/// # Errors
/// [`BatchError::TooLarge`] for one above 65,535 bytes.
pub fn content<'a>(items: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<Vec<u8>, BatchError> {
    // A content that is not full is never long: growing it costs less than measuring the items first.
    let mut out = Vec::with_capacity(MAX_CONTENT);
    put_batch(&mut out, items)?;
    Ok(out)
}

/// Appends what [`content`] gives.
pub(super) fn put_batch<'a>(
    out: &mut Vec<u8>,
    items: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Result<(), BatchError> {
    out.push(u8::try_from(items.len()).unwrap_or(u8::MAX));
    for item in items {
        put_large(out, item).map_err(|_| BatchError::TooLarge(item.len()))?;
    }
    Ok(())
}

/// The content of a block that carries one transmission.
///
/// # Errors
/// [`BatchError::TooLarge`] above 65,535 bytes.
pub fn pack_one(item: &[u8]) -> Result<Vec<u8>, BatchError> {
    content([item].into_iter())
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

    fn blocks_of(size: usize, count: usize) -> Vec<usize> {
        let contents = pack(&vec![vec![0; size]; count]).unwrap();
        contents.iter().map(|c| usize::from(c[0])).collect()
    }

    #[test]
    fn a_block_that_is_not_full_is_the_first() {
        // SUB with an Ed25519 signature at versions 20 and 6.
        assert_eq!(blocks_of(119, 300), [30, 135, 135]);
        assert_eq!(blocks_of(151, 300), [88, 106, 106]);
    }

    #[test]
    fn events_are_bound_by_the_count_or_by_the_bytes() {
        // 260 END, without and with the session id inside; 100 NMSG.
        assert_eq!(blocks_of(30, 260), [5, 255]);
        assert_eq!(blocks_of(63, 260), [9, 251]);
        assert_eq!(blocks_of(201, 100), [20, 80]);
    }

    #[test]
    fn a_transmission_over_the_budget_travels_alone_and_one_over_the_block_does_not() {
        let items = [vec![1; 10], vec![2; MAX_CONTENT - 3], vec![3; 10]];
        assert_eq!(pack(&items).unwrap().len(), 3);
        let too_large = vec![0; MAX_CONTENT - 2];
        assert_eq!(pack(std::slice::from_ref(&too_large)), Err(BatchError::TooLarge(MAX_CONTENT - 2)));
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
        ) {
            let contents = pack(&items).unwrap();
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
                prop_assert_eq!(pack(&owned).unwrap(), vec![content]);
            }
        }
    }
}
