//! Who may do what.

pub(super) mod forms;
pub(super) mod keys;
pub(super) mod timing;
