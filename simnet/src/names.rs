//! Numbers for names, in the order of their first appearance: fast enough for files of many millions of lines.

/// Names met so far. All of them lie in one text; a table with open addressing finds them again.
#[derive(Default)]
pub(crate) struct Names {
    text: String,
    /// Where each name ends in the text; the next one begins there.
    ends: Vec<usize>,
    /// A name's number + 1 at the first free place after its hash; 0 is free. A power of two of places, at most
    /// half of them taken.
    table: Vec<u32>,
}

impl Names {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of a name, a new one if it was not met before.
    pub(crate) fn id(&mut self, name: &str) -> u32 {
        if self.table.len() < 2 * (self.len() + 1) {
            self.grow();
        }
        let place = self.place(name);
        match self.table.get(place) {
            Some(&taken) if taken > 0 => taken - 1,
            _ => {
                let id = self.len() as u32;
                self.text.push_str(name);
                self.ends.push(self.text.len());
                if let Some(free) = self.table.get_mut(place) {
                    *free = id + 1;
                }
                id
            }
        }
    }

    /// The name of a number.
    fn name(&self, id: u32) -> &str {
        let id = id as usize;
        let begin = id.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(id).and_then(|&end| self.text.get(begin..end)).unwrap_or_default()
    }

    /// Where the table has the name, or has room for it.
    fn place(&self, name: &str) -> usize {
        let mask = self.table.len().wrapping_sub(1);
        let mut place = hash(name) as usize & mask;
        loop {
            match self.table.get(place) {
                Some(&taken) if taken > 0 && self.name(taken - 1) != name => place = (place + 1) & mask,
                _ => return place,
            }
        }
    }

    fn grow(&mut self) {
        self.table = vec![0; (4 * self.len()).next_power_of_two().max(16)];
        for id in 0..self.len() as u32 {
            let place = self.place(self.name(id));
            if let Some(free) = self.table.get_mut(place) {
                *free = id + 1;
            }
        }
    }

    /// The names in their own order, and for each number the name's position there.
    pub(crate) fn sorted(&self) -> (Vec<String>, Vec<u32>) {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_unstable_by_key(|&id| self.name(id));
        let mut position = vec![0u32; order.len()];
        for (new, &old) in (0u32..).zip(&order) {
            if let Some(slot) = position.get_mut(old as usize) {
                *slot = new;
            }
        }
        (order.iter().map(|&id| self.name(id).to_owned()).collect(), position)
    }
}

/// FNV-1a, its halves folded: the low bits decide the place.
fn hash(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_and_the_names_come_back_in_order() {
        let mut names = Names::default();
        let ids: Vec<u32> = ["b", "", "a", "b", "", "ab"].map(|name| names.id(name)).to_vec();
        assert_eq!(ids, [0, 1, 2, 0, 1, 3]);
        let (sorted, position) = names.sorted();
        assert_eq!(sorted, ["", "a", "ab", "b"]);
        assert_eq!(position, [3, 0, 1, 2]);
    }

    #[test]
    fn many_names_are_told_apart() {
        let mut names = Names::default();
        for round in 0..2 {
            for i in 0..20_000u32 {
                assert_eq!(names.id(&format!("{i}")), i, "round {round}");
            }
        }
        assert_eq!(names.len(), 20_000);
    }
}
