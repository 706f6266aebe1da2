//! A router that a command starts, on a port that the system chooses.
//!
//! What runs is kept for the next cases that need the same settings. Each process is ended by its own handle.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::smp::error::{BlockingInfo, BlockingReason, Notice};
use sxlab_protocol::wire::{RouterAddress, base64url};

use super::provided::shown;
use super::sockets::{Deadlines, Sockets};
use super::{
    Dial, Instance, Line, Listen, Look, Looked, Lookups, NoConnection, Operation, Read, Settings, Target,
    Tls, Unavailable, names,
};

/// Processes that wait for cases with their settings.
const KEPT: usize = 4;

/// How often it is looked whether the router accepts connections, in nanoseconds.
const LOOK: u64 = 20_000_000;

/// The target.
pub struct Spawned {
    routers: Rc<Routers>,
}

/// How routers are started, and those that run.
struct Routers {
    command: String,
    address: Option<RouterAddress>,
    provides: Settings,
    deadlines: Deadlines,
    durable: bool,
    start_timeout: u64,
    directory: PathBuf,
    running: RefCell<Vec<(Settings, Rc<RefCell<Process>>)>>,
    started: Cell<u32>,
}

/// A router's process, its port and its address.
struct Process {
    child: Child,
    command: String,
    output: PathBuf,
    address: RouterAddress,
    /// Its control socket.
    control: Option<PathBuf>,
    /// Where it asks for names.
    names: Option<TcpListener>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn ours(what: &str) -> impl Fn(std::io::Error) -> Unavailable {
    let what = what.to_owned();
    move |error| Unavailable(format!("{what}: {error}"))
}

impl Spawned {
    /// A router that `command` starts. In it `{port}` stands for the port to listen on, and `{config}` for a file of
    /// settings as `sxlab serve smp --config` takes them. Its address is `address` with that port, or without one what the
    /// command prints first that begins with `smp://`. `directory` takes settings and outputs, and is the caller's to
    /// remove. A command without `{config}` has the settings that `provides` says, and is taken to lose its queues when it
    /// ends unless it is `durable`.
    pub fn new(
        command: &str,
        address: Option<RouterAddress>,
        provides: Settings,
        deadlines: Deadlines,
        durable: bool,
        directory: PathBuf,
    ) -> Self {
        let routers = Routers {
            durable: durable || command.contains("{config}"),
            command: command.to_owned(),
            address,
            provides,
            deadlines,
            start_timeout: 30_000_000_000,
            directory,
            running: RefCell::default(),
            started: Cell::default(),
        };
        Self { routers: Rc::new(routers) }
    }
}

impl Routers {
    /// The settings that a router started for these has.
    fn settings(&self, needed: &Settings) -> Result<Settings, Unavailable> {
        if self.command.contains("{config}") {
            return match needed.resolver.as_ref().is_some_and(|names| names.crowd) {
                true => Err(Unavailable(
                    "needs more open files than a process may have on many machines".to_owned(),
                )),
                false => Ok(needed.clone()),
            };
        }
        needed.among(&self.provides)?;
        Ok(self.provides.clone())
    }

    fn process(&self, settings: &Settings) -> Result<Rc<RefCell<Process>>, Unavailable> {
        let settings = self.settings(settings)?;
        let mut running = self.running.borrow_mut();
        if let Some(found) = running.iter().position(|(has, _)| *has == settings) {
            let kept = running.remove(found);
            let process = Rc::clone(&kept.1);
            running.push(kept);
            return Ok(process);
        }
        if running.len() == KEPT {
            running.remove(0);
        }
        let process = Rc::new(RefCell::new(self.spawn(&settings)?));
        running.push((settings, Rc::clone(&process)));
        Ok(process)
    }

    fn spawn(&self, settings: &Settings) -> Result<Process, Unavailable> {
        let number = self.started.get() + 1;
        self.started.set(number);
        let port = free_port().map_err(ours("finding a port"))?;
        let config = self.directory.join(format!("settings-{number}.toml"));
        let control = self.directory.join(format!("control-{number}"));
        let identity = self.directory.join(format!("identity-{number}"));
        let store = self.directory.join(format!("queues-{number}"));
        let mut text =
            config_text(settings, port, [("dir", &identity), ("control", &control), ("store", &store)]);
        let names = match settings.resolver {
            None => None,
            Some(_) => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ours("finding a port"))?;
                let place = listener.local_addr().map_err(ours("finding a port"))?;
                let base = names::base(&place.to_string());
                text.push_str(&format!("resolver = {base:?}\nresolver_token = {:?}\n", names::TOKEN));
                Some(listener)
            }
        };
        std::fs::write(&config, text).map_err(ours("writing settings"))?;
        let output = self.directory.join(format!("output-{number}.txt"));
        let command = self.command.replace("{port}", &port.to_string());
        let command = command.replace("{config}", &config.display().to_string());
        let child = start(&command, &output)?;
        let address = match &self.address {
            Some(address) => RouterAddress { port: Some(port), ..address.clone() },
            None => placeholder(port),
        };
        let control = self.command.contains("{config}").then_some(control);
        let mut process = Process { child, command, output, address, control, names };
        process.ready(self.address.is_none(), port, self.start_timeout)?;
        Ok(process)
    }
}

/// Until the router's address is known: an address on this machine without identity.
fn placeholder(port: u16) -> RouterAddress {
    let hosts = vec![sxlab_protocol::wire::Host::V4(Ipv4Addr::LOCALHOST)];
    RouterAddress { hosts, port: Some(port), identity: [0; 32], password: None }
}

/// A port that nothing listened on a moment ago.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The process itself is the command's, not a shell's: ending it ends the router.
fn start(command: &str, output: &Path) -> Result<Child, Unavailable> {
    let file = File::create(output).map_err(ours("writing the output"))?;
    let errors = file.try_clone().map_err(ours("writing the output"))?;
    Command::new("sh")
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .spawn()
        .map_err(ours("starting the router"))
}

/// Settings as `sxlab serve smp --config` reads them.
fn config_text(settings: &Settings, port: u16, paths: [(&str, &PathBuf); 3]) -> String {
    let mut text = format!("listen = [\"127.0.0.1:{port}\"]\n");
    for (name, path) in paths {
        text.push_str(&format!("{name} = {:?}\n", path.display().to_string()));
    }
    // The resolver is a listener of the suite, not a value.
    for (name, value) in settings.entries().into_iter().filter(|(name, _)| *name != "resolver") {
        let (name, value) = match name {
            "quota" | "expire_on_send" | "new_queues" | "proxy" => (name, value),
            "max_version" => ("versions", format!("\"6-{value}\"")),
            // A password may hold any printable character that an address may.
            _ => (name, format!("{value:?}")),
        };
        text.push_str(&format!("{name} = {value}\n"));
    }
    text
}

impl Process {
    /// Waits until the router accepts connections and has told its address.
    fn ready(&mut self, told: bool, port: u16, timeout: u64) -> Result<(), Unavailable> {
        let until = RealWorld.now().saturating_add(timeout);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Unavailable(format!("the router ended with {status}: {}", self.said())));
            }
            let printed = self.printed();
            if std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
                && (!told || printed.is_some())
            {
                if let Some(printed) = printed.filter(|_| told) {
                    self.address = RouterAddress { port: Some(port), ..printed };
                }
                return Ok(());
            }
            if RealWorld.now() > until {
                let time = shown(timeout);
                return Err(Unavailable(format!(
                    "the router does not accept connections within {time}, or does not print its address: {}",
                    self.said()
                )));
            }
            pause(LOOK)?;
        }
    }

    /// The first address in its output.
    fn printed(&self) -> Option<RouterAddress> {
        let text = std::fs::read_to_string(&self.output).ok()?;
        text.split_whitespace().find(|word| word.starts_with("smp://"))?.parse().ok()
    }

    /// The end of its output, in one line.
    fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.output).unwrap_or_default();
        text.lines().last().unwrap_or("it said nothing").to_owned()
    }

    /// Gives a command over the control socket.
    fn tell(&self, line: &str) -> Result<(), Unavailable> {
        let Some(control) = &self.control else {
            return Err(Unavailable("nothing tells this router what its operator wants".to_owned()));
        };
        let failed = ours("the control socket");
        let mut socket = UnixStream::connect(control).map_err(&failed)?;
        socket.set_read_timeout(Some(Duration::from_secs(10))).map_err(&failed)?;
        socket.write_all(format!("{line}\n").as_bytes()).map_err(&failed)?;
        for answer in BufReader::new(socket).lines() {
            let answer = answer.map_err(&failed)?;
            if answer == "ok" {
                return Ok(());
            }
            if answer.starts_with("error: ") {
                return Err(Unavailable(format!("the control socket answers `{answer}`")));
            }
        }
        Err(Unavailable("the control socket does not answer".to_owned()))
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and waits until it has; what does not end is killed.
    fn stop(&mut self, timeout: u64) -> Result<(), Unavailable> {
        let asked = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        asked.map_err(ours("stopping the router"))?;
        let until = RealWorld.now().saturating_add(timeout);
        while RealWorld.now() < until {
            if let Ok(Some(_)) = self.child.try_wait() {
                return Ok(());
            }
            pause(LOOK)?;
        }
        self.kill();
        Ok(())
    }
}

/// Waits in real time.
fn pause(time: u64) -> Result<(), Unavailable> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(ours("waiting"))?.block_on(RealWorld.sleep(time));
    Ok(())
}

impl Target for Spawned {
    fn name(&self) -> String {
        self.routers.command.clone()
    }

    fn start(&self, settings: &Settings, _seed: u64) -> Result<Box<dyn Instance>, Unavailable> {
        let process = self.routers.process(settings)?;
        let address = process.borrow().address.clone();
        let mut sockets = Sockets::new(address, self.routers.deadlines, IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        if let (Some(listener), Some(names)) = (&process.borrow().names, &settings.resolver) {
            sockets.resolve(listener, names)?;
        }
        let routers = Rc::clone(&self.routers);
        Ok(Box::new(Running { routers, process, further: Vec::new(), sockets }))
    }
}

struct Running {
    routers: Rc<Routers>,
    process: Rc<RefCell<Process>>,
    /// Routers besides the one under test, for this case only.
    further: Vec<Process>,
    sockets: Sockets,
}

impl Instance for Running {
    fn address(&self) -> Option<&RouterAddress> {
        self.sockets.address()
    }

    fn connect(&mut self, how: &Dial) -> Result<(Line, Tls), NoConnection> {
        self.sockets.connect(how)
    }

    fn look(&mut self, how: &Look) -> Result<Looked, NoConnection> {
        self.sockets.look(how)
    }

    fn lookups(&mut self) -> Result<Lookups, Unavailable> {
        self.sockets.lookups()
    }

    fn further(&mut self, settings: &Settings) -> Result<RouterAddress, Unavailable> {
        let process = self.routers.spawn(&self.routers.settings(settings)?)?;
        let address = process.address.clone();
        self.further.push(process);
        Ok(address)
    }

    fn listen(&mut self, how: &Listen) -> Result<RouterAddress, Unavailable> {
        self.sockets.listen(how)
    }

    fn accept(&mut self, at: &RouterAddress, patience: u64) -> Result<Option<(Line, Tls)>, NoConnection> {
        self.sockets.accept(at, patience)
    }

    fn write(&mut self, line: Line, bytes: &[u8]) -> bool {
        self.sockets.write(line, bytes)
    }

    fn read(&mut self, line: Line, patience: u64) -> Read {
        self.sockets.read(line, patience)
    }

    fn close(&mut self, line: Line) {
        self.sockets.close(line);
    }

    fn now(&self) -> u64 {
        self.sockets.now()
    }

    fn wait(&mut self, time: u64) {
        self.sockets.wait(time);
    }

    fn patience(&self) -> u64 {
        self.sockets.patience()
    }

    fn silence(&self) -> u64 {
        self.sockets.silence()
    }

    fn operate(&mut self, what: &Operation) -> Result<(), Unavailable> {
        let mut process = self.process.borrow_mut();
        match what {
            Operation::Restart | Operation::Kill if !self.routers.durable => {
                return Err(Unavailable(
                    "needs a router that keeps its queues when it is started again".to_owned(),
                ));
            }
            Operation::Restart => process.stop(self.routers.start_timeout)?,
            Operation::Kill => process.kill(),
            Operation::Block(queue, BlockingInfo { reason, notice }) => {
                let reason = match reason {
                    BlockingReason::Spam => "spam",
                    BlockingReason::Content => "content",
                };
                let notice = match notice {
                    None => String::new(),
                    Some(Notice { ttl: None }) => " always".to_owned(),
                    Some(Notice { ttl: Some(seconds) }) => format!(" {seconds}s"),
                };
                return process.tell(&format!("block {} {reason}{notice}", base64url(queue.as_bytes())));
            }
            Operation::Unblock(queue) => {
                return process.tell(&format!("unblock {}", base64url(queue.as_bytes())));
            }
        }
        process.child = start(&process.command, &process.output)?;
        let port = process.address.port_or_default();
        process.ready(false, port, self.routers.start_timeout)
    }
}
