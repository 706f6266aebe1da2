//! How values are written.

use crate::case::Case;

/// The cases.
pub(crate) const CASES: &[Case] = &[];
