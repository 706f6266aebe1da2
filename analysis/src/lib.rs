//! Closed forms, Monte Carlo, attacks, plots and the report.

pub mod enumerate;
pub mod model;
pub mod montecarlo;
pub mod plots;
pub mod report;
pub mod results;
pub mod stats;
