//! The command line: the built program on loopback, its exit codes, its streams.

#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod conform;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod model;
#[cfg(test)]
mod notifications;
#[cfg(test)]
mod program;
#[cfg(test)]
mod routers;
#[cfg(test)]
mod run;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod sweeps;
#[cfg(test)]
mod usage;
