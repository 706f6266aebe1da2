//! Hash tables for what every block is looked up in: a queue of an id, a session of a number. In a tree of a million entries
//! every step is somewhere else in memory, and waiting for it was a third of a population run's time.
//!
//! How entries are laid out must not be seen: whoever goes through them all does it by [`sorted`].

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};

use hashbrown::HashMap;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// A table by id or number.
pub type Table<K, V> = HashMap<K, V, Mixer>;

/// Mixes the words of a key with a secret of the table's owner, as senders choose ids (RC-10) and could choose colliding ones.
/// Without a secret ([`Default`]) it is for keys that nobody outside chooses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mixer(u64);

impl Mixer {
    /// With a secret of the router whose generator this is; the generator goes on as if nothing had been drawn.
    #[must_use]
    pub fn of(rng: &ChaCha20Rng) -> Self {
        Self(ChaCha20Rng::from_rng(&mut rng.clone()).next_u64())
    }
}

/// A map of mostly few entries, of which there are many: a tree's smallest node has room for eleven.
///
/// Entries are ordered by key. Adding at the end and removing at the beginning is quick however many there are. No memory is
/// held for entries that are gone: most of these maps are empty most of the time.
#[derive(Clone, Debug)]
pub(crate) struct Few<K, V>(VecDeque<(K, V)>);

/// So many entries have memory for themselves only.
const FEWEST: usize = 4;

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<K: Ord, V> Few<K, V> {
    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(key))
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.place(key).ok().and_then(|place| self.0.get(place)).map(|(_, value)| value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(place) => {
                if let Some((_, old)) = self.0.get_mut(place) {
                    *old = value;
                }
            }
            Err(place) => {
                if self.0.len() == self.0.capacity() && self.0.len() < FEWEST {
                    self.0.reserve_exact(1);
                }
                self.0.insert(place, (key, value));
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.place(key).ok()?;
        let removed = self.0.remove(place);
        self.give_back();
        removed.map(|(_, value)| value)
    }

    fn give_back(&mut self) {
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }

    /// The entry with the smallest key.
    pub(crate) fn first(&self) -> Option<&(K, V)> {
        self.0.front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
        self.give_back();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.0.iter()
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = V> {
        self.0.into_iter().map(|(_, value)| value)
    }
}

/// The entries by their keys.
pub fn sorted<K: Ord, V>(table: &Table<K, V>) -> impl Iterator<Item = (&K, &V)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries.into_iter()
}

impl BuildHasher for Mixer {
    type Hasher = Mixing;

    fn build_hasher(&self) -> Mixing {
        Mixing(self.0 ^ ODD)
    }
}

/// An odd number without a pattern: the fraction of the golden ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Another one, with some 32 ones among its bits.
const FACTOR: u64 = 0xd6e8_feb8_6659_fd93;

/// A hash that is being made.
#[derive(Debug)]
pub struct Mixing(u64);

impl Hasher for Mixing {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let rest = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.write_u64(rest);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        // Both halves of the product, so that every bit of the word reaches every bit of the hash.
        let product = u128::from(self.0 ^ word) * u128::from(FACTOR);
        self.0 = ((product as u64) ^ ((product >> 64) as u64)).rotate_left(23);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::EntityId;

    #[test]
    fn what_is_seen_of_a_table_is_in_order_whatever_its_secret() {
        let keys = || (0..1000u64).map(|i| EntityId::from([(i * 7 % 251) as u8 ^ (i >> 8) as u8; 24]));
        let tables = [1, 2].map(|seed| {
            let mut table = Table::with_hasher(Mixer::of(&ChaCha20Rng::seed_from_u64(seed)));
            table.extend(keys().zip(0..));
            table
        });
        let [one, other] =
            tables.each_ref().map(|table| sorted(table).map(|(k, v)| (k.clone(), *v)).collect());
        let [one, other]: [Vec<(EntityId, u64)>; 2] = [one, other];
        assert!(one.is_sorted());
        assert_eq!(one, other);
    }

    #[test]
    fn few_entries_are_a_map() {
        let mut few = Few::default();
        for (key, value) in [(3, 'c'), (1, 'a'), (2, 'x'), (2, 'b')] {
            few.insert(key, value);
        }
        assert_eq!((few.get(&2), few.get(&4)), (Some(&'b'), None));
        assert_eq!((few.remove(&1), few.remove(&1)), (Some('a'), None));
        assert!(few.iter().eq(&[(2, 'b'), (3, 'c')]));
        assert!(few.into_values().eq(['b', 'c']));
    }

    /// Numbers in a row, and ids that differ in one place, fill buckets evenly: of 65,536 keys in as many
    /// buckets a fair hash leaves 36.8 % empty (24,109).
    #[test]
    fn keys_that_are_alike_are_spread() {
        let empty = |hashes: &mut dyn Iterator<Item = u64>| {
            let mut used = vec![false; 1 << 16];
            hashes.for_each(|hash| used[hash as usize & 0xffff] = true);
            used.iter().filter(|used| !**used).count()
        };
        let mixer = Mixer::of(&ChaCha20Rng::seed_from_u64(7));
        let ids = |place: usize| {
            (0..1u32 << 16).map(move |i| {
                let mut id = [5; 24];
                id[place..place + 4].copy_from_slice(&i.to_be_bytes());
                EntityId::from(id)
            })
        };
        let numbers = empty(&mut (0..1u64 << 16).map(|i| Mixer::default().hash_one(i)));
        let first = empty(&mut ids(0).map(|id| mixer.hash_one(id)));
        let last = empty(&mut ids(20).map(|id| mixer.hash_one(id)));
        for empty in [numbers, first, last] {
            assert!(empty < 24_700, "{numbers} {first} {last}");
        }
    }
}
