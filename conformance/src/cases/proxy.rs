//! Private routing.

use crate::case::Case;

/// The cases.
pub(crate) const CASES: &[Case] = &[];
