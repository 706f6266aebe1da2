//! What can colluding operators learn? Closed forms, Monte Carlo, statistics, pictures and the report.
//!
//! | module | its one job |
//! |---|---|
//! | [`model`] | closed forms: `1 − (1 − s²)ⁿ` and its relatives |
//! | [`enumerate`] | exact probabilities for a finite list of routers and a selection policy |
//! | [`montecarlo`] | the same two questions answered by drawing, seeded and on all cores |
//! | [`sightings`] | what a colluding set's logs say, put together |
//! | [`attack`] | who writes to whom, guessed from sightings, and scored |
//! | [`observed`] | what a set really saw of each conversation of a run |
//! | [`evaluate`] | the metrics of a run: closed form, Monte Carlo and simulated network side by side |
//! | [`stats`] | intervals, equivalence tests, dependence between conversations, medians |
//! | [`pooled`] | one metric over many runs: networks and seeds put together, and two such compared |
//! | [`results`] | `summary.json`, CSV and Parquet tables, the output directory |
//! | [`plots`] | SVG pictures: curves, bars, the network |
//! | [`report`] | `report.html` |
//!
//! Nothing here reaches into an engine or reads a clock. Every random draw comes from a named seed, and
//! results do not depend on the number of threads.

pub mod attack;
pub mod enumerate;
pub mod evaluate;
pub mod model;
pub mod montecarlo;
pub mod observed;
pub mod plots;
pub mod pooled;
pub mod report;
pub mod results;
pub mod sightings;
pub mod stats;
mod users;
