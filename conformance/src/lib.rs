//! Conformance: the catalogue of what the specifications ask for, one entry per requirement, and what is tested against it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`catalogue`] | the entries: their form, the shipped ones, finding them |
//! | [`requirement`] | one entry |
//! | [`load`] | reading TOML files, with errors that name file, line and key |
//! | [`coverage`] | which cases test which requirements |
//! | [`record`] | flows of our own, recorded on any target; recordings compared |
//! | [`replay`](mod@replay) | recorded flows against any target |
//! | [`target`] | what is under test, and how a case reaches it |
//! | [`lab`] | what a case works with: sessions, requests, queues, relays, expectations |
//! | [`case`](mod@case) | one case, and the verdicts |
//! | [`cases`] | all cases, by area |
//! | [`ntf`] | the suite for notification routers: the target, and what a case works with |
//! | [`mutants`] | deliberately wrong implementations, and which cases find them |
//! | [`runner`] | which cases are run at which versions, and their results |
//! | [`report`] | what results come to: as data, JUnit and HTML |

pub mod case;
pub mod cases;
pub mod catalogue;
pub mod coverage;
pub mod lab;
pub mod load;
pub mod mutants;
pub mod ntf;
pub mod record;
pub mod replay;
pub mod report;
pub mod requirement;
pub mod runner;
pub mod target;

pub use case::{Case, Verdict};
pub use catalogue::Catalogue;
pub use coverage::Coverage;
pub use load::CatalogueError;
pub use requirement::{Deviation, Level, Requirement, RequirementId, Role, Tested, Versions};
