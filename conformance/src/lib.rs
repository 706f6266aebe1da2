//! The requirement catalogue: what the specifications ask for, one entry per requirement.
//!
//! | module | what it holds |
//! |---|---|
//! | [`catalogue`] | the entries: their form, the shipped ones, finding them |
//! | [`requirement`] | one entry |
//! | [`load`] | reading TOML files, with errors that name file, line and key |
//! | [`coverage`] | which cases test which requirements |

pub mod catalogue;
pub mod coverage;
pub mod load;
pub mod requirement;

pub use catalogue::Catalogue;
pub use coverage::Coverage;
pub use load::CatalogueError;
pub use requirement::{Deviation, Level, Requirement, RequirementId, Tested, Versions};
