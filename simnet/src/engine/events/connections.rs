//! Connections between users and routers and between routers: what passes them takes time, and may be lost with them.

use std::collections::{BTreeSet, VecDeque};

use sxlab_protocol::agent::{LinkNo, RequestNo};
use sxlab_protocol::observe::SessionNo;
use sxlab_protocol::smp::semantic::{Asked, Told};
use sxlab_protocol::wire::CorrId;

use super::Simulation;
use super::heap::{Arrival, Event};
use super::users::User;
use super::wear::Wear;
use crate::network::{Place, RouterIdx, UserIdx};

/// One-way latencies from the first segment of a connection until the client's side of TLS is done: one less than over real
/// TCP, as turmoil's connects with its first segment.
const DIALED: u64 = 3;
/// The same until the router's side is done,
const ACCEPTED: u64 = 4;
/// and until the router's hello is at the client.
const GREETED: u64 = 5;

/// A connection: a place in the list, and how often that was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionNo {
    place: u32,
    generation: u32,
}

/// Who connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    User(UserIdx, LinkNo),
    Proxy(RouterIdx, SessionNo),
}

/// Which way something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    ToRouter,
    ToClient,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) router: RouterIdx,
    /// How often the router was started when it was connected to.
    pub(super) start: u32,
    /// The router's number of it, once it was accepted.
    pub(super) session: Option<SessionNo>,
    /// Requests of a user without an answer yet.
    pub(super) pending: VecDeque<(CorrId, RequestNo)>,
    places: (Place, Place),
    latency: u64,
    /// What varies with every segment, if anything does.
    wear: Option<Box<Wear>>,
    /// What is on its way to the router, and to the client.
    on_the_way: [u32; 2],
    /// Something was lost to the router, or to the client: nothing arrives there any more.
    lost: [bool; 2],
    /// Whether the client, and the router, still have it.
    open: [bool; 2],
}

/// Every connection.
#[derive(Debug, Default)]
pub(super) struct Connections {
    places: Vec<(u32, Option<Connection>)>,
    free: Vec<u32>,
}

impl Connections {
    fn add(&mut self, connection: Connection) -> ConnectionNo {
        if let Some(place) = self.free.pop()
            && let Some((generation, free)) = self.places.get_mut(place as usize)
        {
            *free = Some(connection);
            return ConnectionNo { place, generation: *generation };
        }
        let place = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push((0, Some(connection)));
        ConnectionNo { place, generation: 0 }
    }

    pub(super) fn get_mut(&mut self, number: ConnectionNo) -> Option<&mut Connection> {
        let (generation, connection) = self.places.get_mut(number.place as usize)?;
        connection.as_mut().filter(|_| *generation == number.generation)
    }

    fn remove(&mut self, number: ConnectionNo) {
        if let Some((generation, connection)) = self.places.get_mut(number.place as usize)
            && *generation == number.generation
            && connection.take().is_some()
        {
            *generation = generation.wrapping_add(1);
            self.free.push(number.place);
        }
    }

    /// What is on its way between places that are cut off from each other is lost.
    pub(super) fn cut(&mut self, cut: &BTreeSet<(Place, Place)>) {
        for connection in self.places.iter_mut().filter_map(|(_, connection)| connection.as_mut()) {
            if cut.contains(&connection.places) {
                for (lost, on_the_way) in connection.lost.iter_mut().zip(connection.on_the_way) {
                    *lost |= on_the_way > 0;
                }
            }
        }
    }
}

impl Simulation<'_> {
    /// Begins to connect.
    pub(super) fn connect(&mut self, client: Client, router: RouterIdx) -> ConnectionNo {
        let from = match client {
            Client::User(user, _) => self.users.get(user.index()).map(User::place),
            Client::Proxy(router, _) => Some(Place::Router(router)),
        };
        let to = Place::Router(router);
        let from = from.unwrap_or(to);
        let latency = self.scenario.latency.ns(from, to);
        let start =
            self.routers.get(router.index()).and_then(|site| site.core.is_some().then_some(site.starts));
        let number = self.connections.add(Connection {
            client,
            router,
            start: start.unwrap_or_default(),
            session: None,
            pending: VecDeque::new(),
            places: (from.min(to), from.max(to)),
            latency,
            wear: Wear::new(self.scenario.latency.wear(from, to), self.wear, client),
            on_the_way: [0; 2],
            lost: [false; 2],
            open: [true; 2],
        });
        if self.is_cut(from, to) {
            // As turmoil has it: who can't be reached is known at once.
            self.heap.push(self.now, Event::Network(number, Arrival::Refused));
        } else if start.is_none() {
            // As turmoil has it: nobody answers until the router starts again, which does not know of it.
            if let Some(site) = self.routers.get_mut(router.index()) {
                site.unheard.push(number);
            }
        } else {
            if matches!(client, Client::Proxy(..)) {
                self.put(number, Way::ToClient, DIALED, Arrival::Dialed);
            }
            self.put(number, Way::ToRouter, ACCEPTED, Arrival::Accept);
            self.put(number, Way::ToClient, GREETED, Arrival::Hello);
        }
        number
    }

    /// Puts something on its way, that takes so many latencies.
    fn put(&mut self, number: ConnectionNo, way: Way, latencies: u64, what: Arrival) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let cut = self.cut.contains(&connection.places);
        let index = way as usize;
        // The other end of this way; the client's is the first.
        let there = connection.open.get(1 - index).is_some_and(|open| *open);
        if let (Some(lost), Some(on_the_way)) =
            (connection.lost.get_mut(index), connection.on_the_way.get_mut(index))
        {
            *lost |= cut;
            if *lost {
                if !cut && !there {
                    // Whose end is gone says so, now that it can be asked.
                    let reset = Event::Network(number, Arrival::Reset(way));
                    self.heap.push(self.now + 2 * connection.latency, reset);
                }
                return;
            }
            *on_the_way += 1;
        }
        let travel = latencies * connection.latency;
        match &mut connection.wear {
            None => self.heap.push_after(self.now, travel, Event::Network(number, what)),
            Some(wear) => {
                let block = matches!(what, Arrival::Asked(_) | Arrival::Told(_));
                let at = wear.arrival(index, self.now, travel, block);
                self.heap.push(at, Event::Network(number, what));
            }
        }
    }

    pub(super) fn send_asked(&mut self, number: ConnectionNo, asked: Vec<Asked>) {
        self.put(number, Way::ToRouter, 1, Arrival::Asked(asked));
    }

    pub(super) fn send_told(&mut self, number: ConnectionNo, told: Vec<Told>) {
        self.put(number, Way::ToClient, 1, Arrival::Told(told));
    }

    /// The client closes.
    pub(super) fn close_by_client(&mut self, number: ConnectionNo) {
        self.put(number, Way::ToRouter, 1, Arrival::ClosedByClient);
        self.left(number, 0);
    }

    /// The router closes, or is gone.
    pub(super) fn close_by_router(&mut self, number: ConnectionNo) {
        self.put(number, Way::ToClient, 1, Arrival::ClosedByRouter);
        self.left(number, 1);
    }

    /// One side has no connection any more; after both it is nothing.
    fn left(&mut self, number: ConnectionNo, side: usize) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        if let Some(open) = connection.open.get_mut(side) {
            *open = false;
        }
        if connection.open == [false; 2] {
            self.connections.remove(number);
        }
    }

    /// What was sent this way is answered by a reset: the other end is gone.
    fn reset(&mut self, number: ConnectionNo, way: Way) {
        let side = match way {
            Way::ToRouter => 0,
            Way::ToClient => 1,
        };
        let open = self.connections.get_mut(number).and_then(|connection| connection.open.get(side).copied());
        if open == Some(true) {
            match way {
                Way::ToRouter => self.client_lost(number),
                Way::ToClient => self.router_lost(number),
            }
            self.left(number, side);
        }
    }

    /// Something arrives.
    pub(super) fn arrive(&mut self, number: ConnectionNo, what: Arrival) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        if let Arrival::Reset(way) = what {
            return self.reset(number, way);
        }
        let to_router = matches!(what, Arrival::Accept | Arrival::Asked(_) | Arrival::ClosedByClient);
        let way = if to_router { Way::ToRouter } else { Way::ToClient } as usize;
        let refused = matches!(what, Arrival::Refused);
        if let Some(on_the_way) = connection.on_the_way.get_mut(way) {
            *on_the_way = on_the_way.saturating_sub(1);
        }
        let lost = connection.lost.get(way).is_some_and(|lost| *lost);
        // Which side it arrives at: the client's is the first.
        let open = connection.open.get(usize::from(to_router)).is_some_and(|open| *open);
        if !open || (lost && !refused) {
            return;
        }
        match what {
            Arrival::Accept => self.accept(number),
            Arrival::Asked(asked) => self.asked(number, asked),
            Arrival::ClosedByClient => {
                self.router_lost(number);
                self.left(number, 1);
            }
            Arrival::Dialed => self.dialed(number),
            Arrival::Hello => self.greeted(number),
            Arrival::Told(told) => self.told(number, told),
            Arrival::Reset(_) => {}
            Arrival::Refused => {
                self.left(number, 1);
                self.client_lost(number);
                self.left(number, 0);
            }
            Arrival::ClosedByRouter => {
                self.client_lost(number);
                self.left(number, 0);
            }
        }
    }
}
