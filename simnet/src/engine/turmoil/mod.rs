//! The turmoil engine: a scenario's routers and clients as real nodes with real TLS, on a simulated network.
//!
//! Every router is a host, every region is a host that carries its users' clients as tasks. Each user has a network
//! address of its own, as seen by routers, although the clients of a region share a host. A run has two phases: first all
//! conversations are set up, then the plan's messages are sent and the faults happen.
//!
//! | module | what it does |
//! |---|---|
//! | `world` | sockets, time and randomness of one simulated party |
//! | `agent` | a user's client: the agent's core over sessions with TLS |
//! | `vault` | its keys, and what its messages carry |

mod agent;
mod shared;
mod vault;
mod world;

use std::rc::Rc;
use std::time::Duration;

use sxlab_node::router::RouterNode;
use sxlab_node::tls::{Acceptor, SMP_ALPN};
use sxlab_protocol::smp::router::{QueueStore, RouterConfig};

use self::agent::Client;
use self::shared::Shared;
use self::world::SimWorld;
use super::faults::{FaultStep, Faults};
use super::{
    EPOCH_NS, EngineError, GRACE_NS, Outcome, PORT, Progress, SETUP_LIMIT_NS, finish, setup_spread_ns,
};
use crate::network::{Place, RegionIdx, RouterIdx, UserIdx};
use crate::observe::Log;
use crate::scenario::Scenario;
use crate::seed::Streams;
use crate::selection::Policy;
use crate::workload::Plan;

/// Runs a plan under a policy. Everything in the outcome is a function of the arguments. `progress` is called now and then.
///
/// # Errors
/// Any [`EngineError`]; nothing is left of a failed run.
pub(super) fn run(
    log: Log,
    scenario: &Scenario,
    plan: &Plan,
    policy: Policy,
    streams: &Streams,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, EngineError> {
    let tick = Duration::from_nanos(scenario.tick_ns);
    let mut builder = turmoil::Builder::new();
    builder
        .tick_duration(tick)
        .epoch(std::time::UNIX_EPOCH + Duration::from_nanos(EPOCH_NS))
        .rng_seed(streams.seed())
        .tcp_capacity(16_384)
        .simulation_duration(Duration::from_secs(u64::from(u32::MAX)))
        .min_message_latency(Duration::from_nanos(scenario.latency.default_ns))
        .max_message_latency(Duration::from_nanos(scenario.latency.default_ns));
    let mut sim = builder.build();
    let shared = Shared::new(log, scenario, plan, policy, streams)?;
    for (router, _) in scenario.network.iter() {
        add_router(&mut sim, &shared, router)?;
    }
    for region in 0..scenario.regions.len() {
        let region = RegionIdx::from(region);
        add_region(&mut sim, &shared, Place::Region(region));
        if scenario.client.tor_millionths > 0 {
            add_region(&mut sim, &shared, Place::Tor(region));
        }
    }
    set_latencies(&sim, scenario);
    drive(&mut sim, &shared, scenario, progress)
}

fn host_of(scenario: &Scenario, place: Place) -> String {
    match place {
        Place::Router(router) => scenario.network.router(router).map_or_else(String::new, |r| r.name.clone()),
        Place::Region(region) => format!("region-{}", region.index()),
        Place::Tor(region) => format!("tor-{}", region.index()),
    }
}

fn places(scenario: &Scenario) -> Vec<Place> {
    let routers = scenario.network.iter().map(|(router, _)| Place::Router(router));
    let regions = || (0..scenario.regions.len()).map(RegionIdx::from);
    let tor = regions().filter(|_| scenario.client.tor_millionths > 0).map(Place::Tor);
    routers.chain(regions().map(Place::Region)).chain(tor).collect()
}

fn set_latencies(sim: &turmoil::Sim<'_>, scenario: &Scenario) {
    let places = places(scenario);
    for (i, a) in places.iter().enumerate() {
        for b in places.iter().skip(i + 1) {
            let latency = scenario.latency.ns(*a, *b);
            if latency != scenario.latency.default_ns {
                let (a, b) = (host_of(scenario, *a), host_of(scenario, *b));
                sim.set_link_latency(a, b, Duration::from_nanos(latency));
            }
        }
    }
}

fn add_router(sim: &mut turmoil::Sim<'_>, shared: &Rc<Shared>, router: RouterIdx) -> Result<(), EngineError> {
    let name = host_of(&shared.scenario, Place::Router(router));
    let config = RouterConfig {
        queue_quota: shared.scenario.router.queue_quota as usize,
        end_interval: shared.scenario.router.end_interval_ns,
        ..RouterConfig::default()
    };
    let world = SimWorld::new(Rc::clone(shared), Place::Router(router), &name, &name);
    let store = Rc::new(std::cell::RefCell::new(None::<RouterNode<SimWorld>>));
    let shared = Rc::clone(shared);
    // The first start is tried here, so that an error has a name; later ones differ in their queues only.
    let identity =
        shared.identity(router).ok_or_else(|| EngineError::Network(format!("no router {name}")))?;
    Acceptor::new(&identity, &SMP_ALPN)
        .map_err(|error| EngineError::Router { router: name.clone(), error })?;
    sim.host(name, move || {
        // After a crash the queues are those that the crashed router had.
        let queues = store.borrow().as_ref().and_then(RouterNode::take_store).unwrap_or_default();
        let started = start(&shared, router, &world, config.clone(), queues);
        if let Ok(node) = &started {
            *store.borrow_mut() = Some(node.clone());
        }
        async move {
            let listener = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await?;
            started?.serve(&listener).await?;
            Ok(())
        }
    });
    Ok(())
}

fn start(
    shared: &Rc<Shared>,
    router: RouterIdx,
    world: &SimWorld,
    config: RouterConfig,
    queues: QueueStore,
) -> Result<RouterNode<SimWorld>, String> {
    let identity = shared.identity(router).ok_or("no such router")?;
    let seen_by = Rc::clone(shared);
    let observer: sxlab_node::router::Observer =
        Rc::new(move |now, sight| seen_by.router_saw(now, router, sight));
    RouterNode::new(world.clone(), &identity, config, queues, Some(observer))
        .map_err(|error| error.to_string())
}

/// A host with the clients of the users there.
fn add_region(sim: &mut turmoil::Sim<'_>, shared: &Rc<Shared>, place: Place) {
    let users: Vec<UserIdx> = shared
        .plan
        .population
        .users
        .iter()
        .enumerate()
        .filter(|(_, user)| user.place() == place)
        .map(|(i, _)| UserIdx::from(i))
        .collect();
    let shared = Rc::clone(shared);
    sim.host(host_of(&shared.scenario, place), move || {
        let agents: Vec<_> = users.iter().map(|&user| Client::new(Rc::clone(&shared), user, place)).collect();
        async move {
            for agent in agents {
                agent.start();
            }
            std::future::pending().await
        }
    });
}

/// Steps the network until everything has arrived, with the faults at their times.
fn drive(
    sim: &mut turmoil::Sim<'_>,
    shared: &Rc<Shared>,
    scenario: &Scenario,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, EngineError> {
    let population = &shared.plan.population;
    let (contacts, early, all) =
        (population.contacts().len(), population.before_sending(), population.conversations.len());
    let mut groups_from = None;
    let messages = shared.plan.sends.len();
    let mut faults = Faults::new(scenario);
    let mut sending_from = None;
    let mut steps = 0u64;
    loop {
        sim.step().map_err(|error| EngineError::Network(error.to_string()))?;
        let now = u64::try_from(sim.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if let Some(failure) = shared.failure() {
            return Err(EngineError::Client(failure));
        }
        let established = shared.established();
        let delivered = shared.delivered();
        if steps.is_multiple_of(1000) {
            progress(Progress {
                established: (established, all),
                delivered: (delivered, messages),
                simulated_ns: now,
            });
        }
        steps += 1;
        match sending_from {
            None if groups_from.is_none() && established == contacts => {
                groups_from = Some(now);
                shared.begin_groups(now);
                if early == contacts {
                    sending_from = Some(now);
                    shared.begin_sending(now);
                }
            }
            None if groups_from.is_some() && established == early => {
                sending_from = Some(now);
                shared.begin_sending(now);
            }
            None if now - groups_from.unwrap_or(0) > SETUP_LIMIT_NS + setup_spread_ns(&shared.plan) => {
                return Err(EngineError::Setup { established, all, after_ns: now });
            }
            None => {}
            Some(from) => {
                let sending = now - from;
                apply(&mut faults, sim, scenario, sending);
                let over = sending >= scenario.duration_ns && faults.is_over();
                let late = sending > scenario.duration_ns.saturating_add(GRACE_NS);
                if (over && shared.is_settled()) || late {
                    progress(Progress {
                        established: (established, all),
                        delivered: (delivered, messages),
                        simulated_ns: now,
                    });
                    if established < all {
                        return Err(EngineError::Setup { established, all, after_ns: now });
                    }
                    let (log, truth, counts) = shared.take_results();
                    return finish(&shared.plan, log, truth, counts, (now, from));
                }
            }
        }
    }
}

/// Does what is due of the faults.
fn apply(faults: &mut Faults, sim: &mut turmoil::Sim<'_>, scenario: &Scenario, now: u64) {
    while let Some(step) = faults.due(now) {
        let host = |router: RouterIdx| host_of(scenario, Place::Router(router));
        match step {
            FaultStep::Crash(router) => sim.crash(host(router)),
            FaultStep::Start(router) => sim.bounce(host(router)),
            FaultStep::Partition(a, b) => for_pairs(scenario, &a, &b, |a, b| sim.partition(a, b)),
            FaultStep::Repair(a, b) => for_pairs(scenario, &a, &b, |a, b| sim.repair(a, b)),
        }
    }
}

fn for_pairs(scenario: &Scenario, a: &[Place], b: &[Place], mut each: impl FnMut(String, String)) {
    for x in a {
        for y in b.iter().filter(|y| *y != x) {
            each(host_of(scenario, *x), host_of(scenario, *y));
        }
    }
}
