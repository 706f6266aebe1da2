//! Flows at versions of which only the differences were recorded.
