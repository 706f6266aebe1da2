//! Who may do what, and how commands are authorized.

use crate::case::Case;

/// The cases.
pub(crate) const CASES: &[Case] = &[];
