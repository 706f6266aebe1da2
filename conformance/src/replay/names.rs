//! Random values: what was recorded, and what stands in its place here.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Mismatch, equal};

/// A one-to-one mapping between recorded random values and ours, made at the first appearance of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    to_ours: BTreeMap<Vec<u8>, Vec<u8>>,
    to_recorded: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Lengths of mapped values, longest first when reversed.
    lengths: BTreeSet<usize>,
    /// What the transcript calls a recorded value.
    symbols: BTreeMap<Vec<u8>, String>,
    /// Message ids of which only the first bytes were recorded, and ours.
    partial: Vec<Partial>,
}

#[derive(Clone, Debug)]
struct Partial {
    entity: Vec<u8>,
    prefix: Vec<u8>,
    ours: Vec<u8>,
}

impl Names {
    /// Notes what the transcript calls a recorded value.
    pub(super) fn call(&mut self, recorded: Vec<u8>, symbol: &str) {
        self.symbols.insert(recorded, symbol.to_owned());
    }

    /// Notes that `ours` stands for `recorded`; they must not have stood for anything else.
    pub(super) fn learn(&mut self, recorded: &[u8], ours: &[u8]) -> Result<(), Mismatch> {
        equal("length of a value", ours.len(), recorded.len())?;
        if recorded.is_empty() {
            return Ok(());
        }
        let name = self.symbol(recorded);
        let before = self.to_ours.get(recorded);
        if before.is_some_and(|before| before != ours) {
            return Err(Mismatch::said(format!("{name} is another value than before")));
        }
        let taken = self.to_recorded.get(ours);
        if taken.is_some_and(|taken| taken != recorded) {
            return Err(Mismatch::said(format!("{name} has the value that another one has")));
        }
        self.to_ours.insert(recorded.to_vec(), ours.to_vec());
        self.to_recorded.insert(ours.to_vec(), recorded.to_vec());
        self.lengths.insert(recorded.len());
        Ok(())
    }

    /// The same for an id, which JSON texts write in base64.
    pub(super) fn learn_id(&mut self, recorded: &[u8], ours: &[u8]) -> Result<(), Mismatch> {
        self.learn(recorded, ours)?;
        self.learn(STANDARD.encode(recorded).as_bytes(), STANDARD.encode(ours).as_bytes())
    }

    /// Notes a message id of `entity` of which only `prefix` was recorded.
    pub(super) fn learn_partial(&mut self, entity: &[u8], prefix: &[u8], ours: &[u8]) {
        if !self.to_recorded.contains_key(ours) {
            let (entity, prefix, ours) = (entity.to_vec(), prefix.to_vec(), ours.to_vec());
            self.partial.retain(|partial| partial.ours != ours);
            self.partial.push(Partial { entity, prefix, ours });
        }
    }

    /// A recorded message id in full: is what was delivered last from `entity` and had its prefix, if it is not known.
    /// Ids of one repeated byte were made up by the client.
    pub(super) fn complete(&mut self, entity: &[u8], recorded: &[u8]) -> Result<(), Mismatch> {
        let made_up = recorded.len() != 24 || recorded.iter().all(|byte| Some(byte) == recorded.first());
        if made_up || self.to_ours.contains_key(recorded) {
            return Ok(());
        }
        let fits = |partial: &Partial| partial.entity == entity && recorded.starts_with(&partial.prefix);
        let Some(at) = self.partial.iter().rposition(fits) else { return Ok(()) };
        let ours = self.partial.remove(at).ours;
        self.learn_id(recorded, &ours)
    }

    /// Recorded bytes with our values in the place of the recorded ones.
    pub(super) fn ours(&self, recorded: &[u8]) -> Vec<u8> {
        self.replace(recorded, &self.to_ours)
    }

    /// The other way.
    pub(super) fn recorded(&self, ours: &[u8]) -> Vec<u8> {
        self.replace(ours, &self.to_recorded)
    }

    /// Puts other values in the place of all that the mapping knows.
    fn replace(&self, from: &[u8], map: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
        let mut out = Vec::with_capacity(from.len());
        let mut rest = from;
        'next: while let Some((first, others)) = rest.split_first() {
            for length in self.lengths.iter().rev() {
                if let Some((value, tail)) = rest.split_at_checked(*length)
                    && let Some(other) = map.get(value)
                {
                    out.extend_from_slice(other);
                    rest = tail;
                    continue 'next;
                }
            }
            out.push(*first);
            rest = others;
        }
        out
    }

    /// A recorded value as the transcript calls it, or in hex.
    pub(super) fn symbol(&self, recorded: &[u8]) -> String {
        if recorded.is_empty() {
            return "-".to_owned();
        }
        self.symbols.get(recorded).cloned().unwrap_or_else(|| {
            hex::encode(recorded.get(..8).unwrap_or(recorded)) + if recorded.len() > 8 { "…" } else { "" }
        })
    }
}
