//! Ranges of protocol versions.

use super::{Reader, WireError, put_u16};

/// Versions `min` to `max`, both included; `min` ≤ `max` (ENC-14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionRange {
    /// The least version.
    pub min: u16,
    /// The greatest version.
    pub max: u16,
}

impl VersionRange {
    /// The range `min` to `max`.
    ///
    /// # Errors
    /// [`WireError::BadVersion`] if `min` > `max`.
    pub const fn new(min: u16, max: u16) -> Result<Self, WireError> {
        if min <= max { Ok(VersionRange { min, max }) } else { Err(WireError::BadVersion) }
    }

    /// The range of one version.
    #[must_use]
    pub const fn only(version: u16) -> Self {
        VersionRange { min: version, max: version }
    }

    /// Whether the version is inside.
    #[must_use]
    pub const fn contains(&self, version: u16) -> bool {
        self.min <= version && version <= self.max
    }

    /// The versions in both ranges; the peers then speak its greatest (TR-18).
    #[must_use]
    pub fn common(&self, other: &VersionRange) -> Option<VersionRange> {
        VersionRange::new(self.min.max(other.min), self.max.min(other.max)).ok()
    }

    /// Two bytes each.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_u16(out, self.min);
        put_u16(out, self.max);
    }

    /// Two bytes each.
    ///
    /// # Errors
    /// [`WireError::BadVersion`] if the first is the greater, [`WireError::UnexpectedEnd`].
    pub fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        VersionRange::new(r.u16()?, r.u16()?)
    }
}
