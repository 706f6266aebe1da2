//! Conformance: the catalogue of what the specifications ask for, one entry per requirement, and what is tested against it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`catalogue`] | the entries: their form, the shipped ones, finding them |
//! | [`requirement`] | one entry |
//! | [`load`] | reading TOML files, with errors that name file, line and key |
//! | [`coverage`] | which cases test which requirements |
//! | [`target`] | what is under test, and how a case reaches it |

pub mod catalogue;
pub mod coverage;
pub mod load;
pub mod requirement;
pub mod target;

pub use catalogue::Catalogue;
pub use coverage::Coverage;
pub use load::CatalogueError;
pub use requirement::{Deviation, Level, Requirement, RequirementId, Role, Tested, Versions};
