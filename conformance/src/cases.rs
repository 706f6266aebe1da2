//! All cases, by area.

mod authorization;
mod encoding;
mod errors;
mod links;
mod names;
mod notifications;
mod proxy;
mod recipient;
mod sender;
mod services;
mod transport;

use crate::case::Case;

/// Every case for SMP, in the order in which they are run.
pub fn smp() -> impl Iterator<Item = &'static Case> {
    let areas: [&[Case]; 11] = [
        transport::CASES,
        encoding::CASES,
        errors::CASES,
        authorization::CASES,
        recipient::CASES,
        sender::CASES,
        links::CASES,
        notifications::CASES,
        services::CASES,
        proxy::CASES,
        names::CASES,
    ];
    areas.into_iter().flatten()
}
