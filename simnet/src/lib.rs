//! Scenarios, populations and the simulated network.
//!
//! | module | what it holds |
//! |---|---|
//! | [`units`] | durations: "40ms", "7d" |
//! | [`seed`] | one seed, named streams, draws in whole numbers |
//! | [`input`] | input files in TOML, and what is wrong with one in one line |
//! | [`scenario`] | scenario files, checked |
//! | [`network`] | routers, who runs them, places |
//! | [`selection`] | how clients pick routers, one policy per row |
//! | [`population`] | users, their lists and regions, conversations |
//! | [`trace`] | recorded messages |
//! | [`sweep`] | plans of sweeps: parameters, networks and seeds as a numbered list of points |
//! | [`workload`] | who sends when: the plan of a run |
//! | [`engine`] | runs a plan under a policy: real nodes and TLS on turmoil's network |
//! | [`observe`] | what each vantage point saw; the trace hash |
//! | [`truth`] | what really happened, for scoring only |

mod business;
mod degrees;
pub mod engine;
mod friends;
mod graph;
pub mod groups;
pub mod input;
mod names;
pub mod network;
pub mod observe;
pub mod population;
mod power;
pub mod scenario;
pub mod seed;
pub mod selection;
pub mod sweep;
mod table;
mod times;
pub mod trace;
pub mod truth;
pub mod units;
pub mod workload;
