//! The recipient's commands.

use crate::case::Case;

/// The cases.
pub(crate) const CASES: &[Case] = &[];
