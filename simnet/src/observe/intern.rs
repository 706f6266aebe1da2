//! Byte strings that are kept once and named by numbers.

use hashbrown::HashTable;

/// Byte strings, each kept once. The number of one is its position in the order in which they came, so nothing depends on how
/// the table inside is laid out. A string of `n` bytes takes `n + 4` bytes, and some 8 in the table.
#[derive(Debug, Default)]
pub struct Interner {
    bytes: Vec<u8>,
    /// Where each one ends in `bytes`.
    ends: Vec<u32>,
    table: HashTable<u32>,
}

impl Interner {
    /// The number of a byte string, a new one if it wasn't here. Nothing when four gigabytes are full.
    pub fn intern(&mut self, bytes: &[u8]) -> Option<u32> {
        let Self { bytes: all, ends, table } = self;
        let hash = hash(bytes);
        if let Some(number) = table.find(hash, |&number| slice(all, ends, number) == bytes) {
            return Some(*number);
        }
        let number = u32::try_from(ends.len()).ok()?;
        ends.push(u32::try_from(all.len() + bytes.len()).ok()?);
        all.extend_from_slice(bytes);
        table.insert_unique(hash, number, |&number| self::hash(slice(all, ends, number)));
        Some(number)
    }

    /// The number of a byte string that is here.
    pub fn find(&self, bytes: &[u8]) -> Option<u32> {
        self.table.find(hash(bytes), |&number| self.get(number) == bytes).copied()
    }

    /// The byte string of a number; empty for a number that was never given.
    pub fn get(&self, number: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, number)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Gives back what only looking up needs: [`Interner::get`] works on, nothing is found or added any more.
    pub(super) fn seal(&mut self) {
        self.table = HashTable::new();
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Bytes of memory held.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + size_of::<u32>() * self.ends.capacity() + self.table.allocation_size()
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[u32], number: u32) -> &'a [u8] {
    let end = |number: usize| ends.get(number).map(|end| *end as usize);
    let number = number as usize;
    let begin = match number.checked_sub(1) {
        Some(before) => end(before),
        None => Some(0),
    };
    begin.zip(end(number)).and_then(|(begin, end)| bytes.get(begin..end)).unwrap_or_default()
}

/// The same on every machine. Identifiers are random and nobody picks them to collide.
fn hash(bytes: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = bytes.len() as u64;
    for part in bytes.chunks(8) {
        let word = part.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        hash = (hash.rotate_left(23) ^ word).wrapping_mul(MIX);
    }
    // The table looks at both ends of the number.
    hash = (hash ^ hash >> 32).wrapping_mul(MIX);
    hash ^ hash >> 29
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_have_one_number_and_different_ones_two() {
        let mut interner = Interner::default();
        let strings: Vec<Vec<u8>> = (0..3000u32)
            .map(|i| i.to_be_bytes().repeat((i % 9) as usize))
            .chain([b"a".to_vec(), b"ab".to_vec(), b"a\0".to_vec()])
            .collect();
        let numbers: Vec<u32> = strings.iter().map(|s| interner.intern(s).unwrap()).collect();
        for (string, number) in strings.iter().zip(&numbers) {
            assert_eq!(interner.intern(string), Some(*number));
            assert_eq!(interner.find(string), Some(*number));
            assert_eq!(interner.get(*number), string);
        }
        let different: std::collections::BTreeSet<_> = strings.iter().collect();
        assert_eq!(interner.len(), different.len());
        assert_eq!(interner.find(b"b"), None);
        assert_eq!(interner.get(1 << 20), b"");
    }
}
