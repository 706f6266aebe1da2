//! Changes of a router's state, for a durable store: records under keys of their own, and what is the same in all of them.

/// One change of what survives a restart: of records `R` under keys `K`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<R, K> {
    /// The record is new, or replaces the one with its key.
    Put(Box<R>),
    /// The record with this key is gone.
    Delete(K),
}

/// Changes that nobody took yet; none are kept unless it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Journal<R, K> {
    changes: Option<Vec<Change<R, K>>>,
    /// How many there were so far, those that were taken included.
    count: u64,
}

impl<R, K> Default for Journal<R, K> {
    fn default() -> Self {
        Self { changes: None, count: 0 }
    }
}

impl<R, K> Journal<R, K> {
    /// From now on changes are kept.
    pub(crate) fn begin(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// A record is new, or has another value.
    pub(crate) fn put(&mut self, record: impl FnOnce() -> R) {
        self.note(|| Change::Put(Box::new(record())));
    }

    /// A record is gone.
    pub(crate) fn delete(&mut self, key: impl FnOnce() -> K) {
        self.note(|| Change::Delete(key()));
    }

    fn note(&mut self, change: impl FnOnce() -> Change<R, K>) {
        if let Some(changes) = &mut self.changes {
            changes.push(change());
            self.count += 1;
        }
    }

    /// The changes since the last call, in order.
    pub(crate) fn take(&mut self) -> Vec<Change<R, K>> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How many changes there were so far, those that nobody took yet included.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

/// Fields that records of all protocols have.
pub(crate) mod fields {
    use crate::crypto::keys::{AuthPublicKey, Ed448Public, Ed25519Public, SharedSecret, X25519Public};
    use crate::wire::{Reader, WireError, put_u32};

    pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
        out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn read_u64(r: &mut Reader<'_>) -> Result<u64, WireError> {
        Ok(u64::from_be_bytes(r.array()?))
    }

    pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
        // Never more: what a queue holds came in blocks.
        put_u32(out, u32::try_from(len).unwrap_or(u32::MAX));
    }

    pub(crate) fn read_len(r: &mut Reader<'_>) -> Result<usize, WireError> {
        usize::try_from(r.u32()?).map_err(|_| WireError::BadLength)
    }

    /// A type byte and the raw key.
    pub(crate) fn put_key(out: &mut Vec<u8>, key: &AuthPublicKey) {
        let (kind, raw): (u8, &[u8]) = match key {
            AuthPublicKey::Ed25519(key) => (0, key.as_bytes()),
            AuthPublicKey::Ed448(key) => (1, key.as_bytes()),
            AuthPublicKey::X25519(key) => (2, key.as_bytes()),
        };
        out.push(kind);
        out.extend_from_slice(raw);
    }

    pub(crate) fn read_key(r: &mut Reader<'_>) -> Result<AuthPublicKey, WireError> {
        Ok(match r.u8()? {
            0 => Ed25519Public::from_bytes(r.array()?).into(),
            1 => Ed448Public::from_bytes(r.array()?).into(),
            2 => X25519Public::from_bytes(r.array()?).into(),
            _ => return Err(WireError::BadKey),
        })
    }

    pub(crate) fn read_secret(r: &mut Reader<'_>) -> Result<SharedSecret, WireError> {
        Ok(SharedSecret::from_bytes(r.array()?))
    }

    /// 0, or 1 and the value.
    pub(crate) fn put_maybe<T>(out: &mut Vec<u8>, value: Option<&T>, put: impl FnOnce(&mut Vec<u8>, &T)) {
        out.push(u8::from(value.is_some()));
        if let Some(value) = value {
            put(out, value);
        }
    }

    pub(crate) fn read_maybe<T>(
        r: &mut Reader<'_>,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        match r.u8()? {
            0 => Ok(None),
            1 => read(r).map(Some),
            _ => Err(WireError::BadTag),
        }
    }
}
