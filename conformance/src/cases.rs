//! All cases, by area.

mod authorization;
mod blocking;
pub mod client;
mod encoding;
mod errors;
mod forms;
mod links;
mod names;
mod notifications;
mod ntf;
mod proxy;
mod recipient;
mod sender;
mod services;
mod tls;
mod transport;
mod versions;

use crate::case::Case;

/// Every case for SMP, in the order in which they are run.
pub fn smp() -> impl Iterator<Item = &'static Case> {
    let areas: [&[Case]; 27] = [
        tls::CASES,
        transport::CASES,
        encoding::CASES,
        errors::CASES,
        authorization::forms::CASES,
        authorization::keys::CASES,
        authorization::timing::CASES,
        recipient::create::CASES,
        recipient::subscribe::CASES,
        recipient::get::CASES,
        recipient::ack::CASES,
        recipient::keys::CASES,
        recipient::life::CASES,
        recipient::state::CASES,
        sender::send::CASES,
        sender::delivery::CASES,
        sender::quota::CASES,
        sender::expiry::CASES,
        blocking::CASES,
        links::CASES,
        notifications::CASES,
        services::hello::CASES,
        services::queues::CASES,
        proxy::forwarding::CASES,
        proxy::relay::CASES,
        names::CASES,
        versions::CASES,
    ];
    areas.into_iter().chain(client::AREAS).flatten()
}

/// Every case for notification routers, in the order in which they are run.
pub fn ntf() -> impl Iterator<Item = &'static Case> {
    let areas: [&[Case]; 4] =
        [ntf::sessions::CASES, ntf::tokens::CASES, ntf::subscriptions::CASES, ntf::pushes::CASES];
    areas.into_iter().flatten()
}
