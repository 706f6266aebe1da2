//! A disk that loses power: it keeps what was synced, and of the rest whatever chance leaves.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use redb::StorageBackend;

/// What was done to the disk.
#[derive(Clone, Debug)]
pub enum Operation {
    Write(usize, Vec<u8>),
    Length(usize),
    Sync,
}

#[derive(Debug, Default)]
struct State {
    /// As whoever wrote it sees it.
    seen: Vec<u8>,
    log: Vec<Operation>,
    /// Syncs do nothing: a disk that lies.
    lies: bool,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub fn holding(content: Vec<u8>) -> Self {
        Disk(Arc::new(Mutex::new(State { seen: content, ..State::default() })))
    }

    pub fn lying(self) -> Self {
        self.state().lies = true;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// How many operations there were.
    pub fn operations(&self) -> usize {
        self.state().log.len()
    }

    pub fn log(&self) -> Vec<Operation> {
        self.state().log.clone()
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (state, offset) = (self.state(), offset as usize);
        let bytes = state.seen.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.seen.resize(len as usize, 0);
        state.log.push(Operation::Length(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        if !state.lies {
            state.log.push(Operation::Sync);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut state, offset) = (self.state(), offset as usize);
        write(&mut state.seen, offset, data);
        state.log.push(Operation::Write(offset, data.to_vec()));
        Ok(())
    }
}

fn write(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if content.len() < offset + data.len() {
        content.resize(offset + data.len(), 0);
    }
    content[offset..offset + data.len()].copy_from_slice(data);
}

/// Goes through a disk's log from one crash to the next.
pub struct Crashes<'a> {
    log: &'a [Operation],
    /// What was synced, and up to which operation.
    synced: Vec<u8>,
    sync: usize,
    /// Operations that were looked at.
    next: usize,
}

impl<'a> Crashes<'a> {
    /// Of a disk that began with this content.
    pub fn of(log: &'a [Operation], content: Vec<u8>) -> Self {
        Crashes { log, synced: content, sync: 0, next: 0 }
    }

    /// What the disk may hold if the power fails after `done` operations, no fewer than the last time: all that was synced,
    /// and each later write wholly, in part, or not at all.
    pub fn after(&mut self, done: usize, chance: &mut ChaCha20Rng) -> Vec<u8> {
        for (at, operation) in self.log[..done].iter().enumerate().skip(self.next) {
            if let Operation::Sync = operation {
                for operation in &self.log[self.sync..at] {
                    match operation {
                        Operation::Write(offset, data) => write(&mut self.synced, *offset, data),
                        Operation::Length(length) => self.synced.resize(*length, 0),
                        Operation::Sync => {}
                    }
                }
                self.sync = at;
            }
        }
        self.next = done;
        let mut content = self.synced.clone();
        // Often everything or nothing is left, where a mixture would seldom be either.
        let kept = [0, 1, 2, 4, 4, 4, 4, 7, 8][below(chance, 9)];
        for operation in &self.log[self.sync..done] {
            if below(chance, 8) >= kept {
                continue;
            }
            match operation {
                Operation::Write(offset, data) if below(chance, 4) == 0 => {
                    let (from, to) = (below(chance, data.len() + 1), below(chance, data.len() + 1));
                    let (from, to) = if chance.next_u32().is_multiple_of(2) {
                        (0, to)
                    } else {
                        (from.min(to), from.max(to))
                    };
                    if from < to {
                        write(&mut content, offset + from, &data[from..to]);
                    }
                }
                Operation::Write(offset, data) => write(&mut content, *offset, data),
                Operation::Length(length) => content.resize(*length, 0),
                Operation::Sync => {}
            }
        }
        content
    }
}

/// A number below `bound`.
pub fn below(chance: &mut ChaCha20Rng, bound: usize) -> usize {
    (chance.next_u64() % bound as u64) as usize
}
