//! The sender's commands, delivery, expiry and quota.

use crate::case::Case;

/// The cases.
pub(crate) const CASES: &[Case] = &[];
