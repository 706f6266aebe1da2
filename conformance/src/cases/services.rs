//! Service certificates and their commands.

use crate::case::Case;

/// The cases.
pub(crate) const CASES: &[Case] = &[];
