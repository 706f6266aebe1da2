//! How large a network both engines simulate, in which time and memory, and how both grow with the users.
//!
//! `cargo bench -p sxlab-simnet --bench scale`; `-- --help` shows the options. Each network is run by a process of its own (this
//! program again, as `--one`), so that its greatest memory is its own. Sends are as many a user and day in every network.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that cannot run should stop; it measures the machine's time"
)]

mod growth;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sxlab_simnet::engine::{Engine, run_into};
use sxlab_simnet::observe::{Log, Spill, SpillTo};
use sxlab_simnet::scenario::{Overrides, Scenario};
use sxlab_simnet::seed::Streams;
use sxlab_simnet::selection::Policy;
use sxlab_simnet::workload::Plan;

const HELP: &str = "\
cargo bench -p sxlab-simnet --bench scale -- [OPTIONS]

  --events LIST     users of the networks on the event engine, for one day [default: 1000,10000,100000]
  --turmoil LIST    users of the networks on turmoil, for one minute [default: 20,60]
  --week USERS      then so many users for seven days with --sends messages each [default: none]
  --sends N         messages of each user in the week [default: 100]
  --out DIR         where growth.svg and scale.csv go [default: target/scale]";

/// Messages that each user sends in a day.
const DAILY: u64 = 5;

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Size {
    engine: String,
    users: u64,
    seconds: u64,
    sends: u64,
}

/// What a run took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    engine: String,
    pub(crate) users: u64,
    seconds: u64,
    messages: u64,
    events: u64,
    observations: u64,
    pings: u64,
    setting_up: f64,
    /// Seconds of the machine's time and of its processor, for the engine alone.
    wall: f64,
    pub(crate) processor: f64,
    /// Bytes: the greatest memory of the process, and what the log took of it at the end.
    pub(crate) memory: u64,
    log: u64,
    trace_hash: String,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [one, size] = args.as_slice()
        && one == "--one"
    {
        println!("{}", serde_json::to_string(&run_one(&serde_json::from_str(size).unwrap())).unwrap());
        return ExitCode::SUCCESS;
    }
    match sizes(&args) {
        Ok((sizes, out)) => {
            measure(&sizes, &out);
            ExitCode::SUCCESS
        }
        Err(line) => {
            println!("{line}");
            ExitCode::from(2)
        }
    }
}

/// The networks that are asked for, and the directory of what is left.
fn sizes(args: &[String]) -> Result<(Vec<Size>, PathBuf), String> {
    let (mut events, mut turmoil) = (vec![1000, 10_000, 100_000], vec![20, 60]);
    let (mut week, mut sends, mut out) = (None, 100, PathBuf::from("target/scale"));
    for pair in args.chunks(2) {
        let [key, value] = pair else { return Err(HELP.to_owned()) };
        let number = || value.parse::<u64>().map_err(|error| format!("{key} {value}: {error}"));
        let list = || match value.as_str() {
            "none" => Ok(Vec::new()),
            list => {
                list.split(',').map(|n| n.parse().map_err(|error| format!("{key} {n}: {error}"))).collect()
            }
        };
        match key.as_str() {
            "--events" => events = list()?,
            "--turmoil" => turmoil = list()?,
            "--week" => week = Some(number()?),
            "--sends" => sends = number()?,
            "--out" => out = value.into(),
            _ => return Err(HELP.to_owned()),
        }
    }
    const DAY: u64 = 86_400;
    let size =
        |engine: &str, users, seconds, sends| Size { engine: engine.to_owned(), users, seconds, sends };
    let events = events.into_iter().map(|users| size("events", users, DAY, users * DAILY));
    let turmoil = turmoil.into_iter().map(|users| size("turmoil", users, 60, users * DAILY));
    let week = week.map(|users| size("events", users, 7 * DAY, users * sends));
    Ok((turmoil.chain(events).chain(week).collect(), out))
}

fn measure(sizes: &[Size], out: &Path) {
    std::fs::create_dir_all(out).unwrap();
    println!(
        "| engine | users | simulated | messages | wall | users × simulated per wall second | events | events/s | sightings | bytes a user | greatest memory |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let mut rows: Vec<Row> = Vec::new();
    for size in sizes {
        let program = std::env::current_exe().unwrap();
        let output =
            Command::new(program).arg("--one").arg(serde_json::to_string(size).unwrap()).output().unwrap();
        if !output.status.success() {
            println!("{} users on {}: {}", size.users, size.engine, String::from_utf8_lossy(&output.stderr));
            continue;
        }
        let row: Row = serde_json::from_slice(&output.stdout).expect("a row of this program");
        println!(
            "| {} | {} | {} s | {} | {:.1} s (setting up {:.1}) | {:.0} | {} | {:.0} | {} | {} | {} MiB |",
            row.engine,
            row.users,
            row.seconds,
            row.messages,
            row.wall,
            row.setting_up,
            (row.users * row.seconds) as f64 / row.wall,
            row.events,
            row.events as f64 / row.wall,
            row.observations,
            (row.memory.saturating_sub(row.log)) / row.users.max(1),
            row.memory >> 20,
        );
        rows.push(row);
    }
    let mut csv = String::from(
        "engine,users,simulated_seconds,messages,events,sightings,pings,wall_seconds,processor_seconds,memory_bytes,log_bytes,trace_hash\n",
    );
    for row in &rows {
        csv += &format!(
            "{},{},{},{},{},{},{},{:.3},{:.3},{},{},{}\n",
            row.engine,
            row.users,
            row.seconds,
            row.messages,
            row.events,
            row.observations,
            row.pings,
            row.wall,
            row.processor,
            row.memory,
            row.log,
            row.trace_hash
        );
    }
    std::fs::write(out.join("scale.csv"), csv).unwrap();
    let day: Vec<Row> =
        rows.into_iter().filter(|row| row.engine == "events" && row.seconds == 86_400).collect();
    if let Some(growth) = growth::draw(&day) {
        std::fs::write(out.join("growth.svg"), &growth.svg).unwrap();
        println!(
            "\ntime grows as users^{:.3}, memory as users^{:.3}: {}",
            growth.time,
            growth.memory,
            out.join("growth.svg").display()
        );
    }
}

/// Two operators of six routers; users with five contacts each on average.
fn scenario(size: &Size) -> Scenario {
    let contacts = 5.min(size.users - 1);
    let routers = if size.engine == "turmoil" { 3 } else { 6 };
    let text = format!(
        r#"
        name = "scale"
        seed = 1
        duration = "{}s"
        policies = ["different-operator"]
        regions = ["here"]
        [latency]
        default = "40ms"
        [[operator]]
        name = "north"
        routers = {routers}
        [[operator]]
        name = "south"
        routers = {routers}
        [users]
        count = {}
        contacts = {contacts}
        graph = "random"
        [workload]
        kind = "poisson"
        messages = {}
        [client]
        pings = "counted"
        "#,
        size.seconds, size.users, size.sends
    );
    Scenario::parse(&text, Path::new("scale.toml"), &Overrides::default()).unwrap()
}

fn run_one(size: &Size) -> Row {
    let scenario = scenario(size);
    let streams = Streams::new(scenario.seed);
    let plan = Plan::new(&scenario, &streams).unwrap();
    let engine = if size.engine == "turmoil" { Engine::Turmoil } else { Engine::Events };
    let spill = Spill { memory: 1 << 30, to: SpillTo::Temporary(std::env::temp_dir()) };
    let log = Log::of_routers(&scenario.network).spilling(spill);
    let (started, before) = (Instant::now(), processor());
    let mut set_up = None;
    let outcome =
        run_into(log, engine, &scenario, &plan, Policy::DifferentOperator, &streams, &mut |progress| {
            if progress.established.0 == progress.established.1 {
                set_up.get_or_insert_with(|| started.elapsed());
            }
        })
        .unwrap();
    Row {
        engine: size.engine.clone(),
        users: size.users,
        seconds: size.seconds,
        messages: outcome.truth.deliveries.len() as u64,
        events: outcome.counts.events,
        observations: outcome.log.len() as u64,
        pings: outcome.counts.pings,
        setting_up: set_up.unwrap_or_default().as_secs_f64(),
        wall: started.elapsed().as_secs_f64(),
        processor: processor() - before,
        memory: peak_memory(),
        log: outcome.log.memory() as u64,
        trace_hash: outcome.trace_hash().to_string(),
    }
}

/// Seconds of processor time that this process used, from Linux's ticks of a hundredth.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks =
        |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

/// The greatest memory of this process so far, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
}
