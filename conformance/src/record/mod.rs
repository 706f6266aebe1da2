//! Differential testing: flows of our own, recorded on any target, and recordings compared.
//!
//! | module | what it does |
//! |---|---|
//! | [`script`] | flows as scripts |
//! | [`flows`] | the flows that are shipped |
//! | [`play`](mod@play) | plays a script on a target |
//! | `asking` | makes a script's transmissions |
//! | [`tape`] | what is written down, and its JSON form |
//! | [`normal`] | a recording without what is random |
//! | [`diff`](mod@diff) | two recordings compared |

mod asking;
pub mod diff;
pub mod flows;
pub mod normal;
pub mod play;
pub mod script;
pub mod tape;

pub use diff::{Difference, diff};
pub use play::{Played, play};
pub use script::{BadScript, Script};
