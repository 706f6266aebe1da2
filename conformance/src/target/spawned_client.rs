//! A client that a command starts, for each thing that it is asked to do. The suite listens on this machine, with TLS.

use std::cell::Cell;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::wire::RouterAddress;

use super::sockets::{Deadlines, Sockets};
use super::{
    Action, Dial, Instance, Line, Listen, NoConnection, Operation, Read, Settings, Shown, Target, Tls,
    Unavailable,
};

/// How often it is looked whether the client shows something or has ended, in nanoseconds.
const LOOK: u64 = 10_000_000;

/// The target.
pub struct SpawnedClient {
    command: String,
    actions: Vec<String>,
    deadlines: Deadlines,
    directory: PathBuf,
    started: Rc<Cell<u32>>,
}

impl SpawnedClient {
    /// The words for what a client can be asked to do. `forward` is `send` with a proxy.
    pub const ACTIONS: [&str; 5] = ["ping", "receive", "send", "forward", "resolve"];

    /// A client that `command` starts, as `NAME {action} {address}`. It is split at spaces, and no shell reads it. In it
    /// `{action}` stands for `ping`, `receive`, `send` or `resolve`, and `{address}` for the router's address, for `send` that of the
    /// queue. After `send` follow the messages, each an argument, and with a proxy first `--via` and its address, after `resolve` the name.
    ///
    /// The client prints the address of its queue, and messages, each on a line of the standard output; it ends with 0 if it
    /// has done what it was asked to. `actions` are those of [`SpawnedClient::ACTIONS`] that it knows. `directory` takes its
    /// output and is the caller's to remove.
    pub fn new(command: &str, actions: &[String], deadlines: Deadlines, directory: PathBuf) -> Self {
        let (command, actions) = (command.to_owned(), actions.to_vec());
        Self { command, actions, deadlines, directory, started: Rc::default() }
    }
}

fn ours(what: &'static str) -> impl Fn(std::io::Error) -> Unavailable {
    move |error| Unavailable(format!("{what}: {error}"))
}

impl Target for SpawnedClient {
    fn name(&self) -> String {
        self.command.clone()
    }

    fn start(&self, _settings: &Settings, _seed: u64) -> Result<Box<dyn Instance>, Unavailable> {
        // Nobody connects from here: the address is nobody's.
        let own_host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let nobody = RouterAddress { hosts: Vec::new(), port: None, identity: [0; 32], password: None };
        Ok(Box::new(Running {
            command: self.command.clone(),
            actions: self.actions.clone(),
            directory: self.directory.clone(),
            started: Rc::clone(&self.started),
            patience: self.deadlines.patience,
            sockets: Sockets::new(nobody, self.deadlines, own_host)?,
            process: None,
        }))
    }
}

struct Running {
    command: String,
    actions: Vec<String>,
    directory: PathBuf,
    started: Rc<Cell<u32>>,
    patience: u64,
    sockets: Sockets,
    process: Option<Process>,
}

/// The client's process.
struct Process {
    child: Child,
    output: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.output);
    }
}

impl Process {
    fn shown(&mut self) -> Shown {
        // First, so that the output of a client that has ended is whole.
        let ended = self.child.try_wait().ok().flatten().map(|status| status.success());
        let output = std::fs::read(&self.output).unwrap_or_default();
        let mut lines: Vec<Vec<u8>> = output.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        // What follows the last line end is no line yet.
        lines.pop();
        Shown { lines, ended }
    }
}

impl Running {
    /// The words of the command.
    fn words(&self, action: &Action) -> Result<Vec<String>, Unavailable> {
        let (name, kind, address) = match action {
            Action::Ping { router } => ("ping", "ping", router.to_string()),
            Action::Resolve { router, .. } => ("resolve", "resolve", router.to_string()),
            Action::Receive { router } => ("receive", "receive", router.to_string()),
            Action::Send { queue, via: None, .. } => ("send", "send", queue.to_string()),
            Action::Send { queue, via: Some(_), .. } => ("send", "forward", queue.to_string()),
        };
        if !self.actions.iter().any(|known| known == kind) {
            return Err(Unavailable(format!("the client does not know the action `{kind}`")));
        }
        let replaced = |word: &str| word.replace("{action}", name).replace("{address}", &address);
        let mut words: Vec<String> = self.command.split_whitespace().map(replaced).collect();
        if let Action::Resolve { name, .. } = action {
            words.push(name.clone());
        }
        if let Action::Send { messages, via, .. } = action {
            if let Some(proxy) = via {
                words.extend(["--via".to_owned(), proxy.to_string()]);
            }
            words.extend(messages.iter().cloned());
        }
        Ok(words)
    }
}

impl Instance for Running {
    fn address(&self) -> Option<&RouterAddress> {
        None
    }

    fn connect(&mut self, _how: &Dial) -> Result<(Line, Tls), NoConnection> {
        Err(NoConnection::Unavailable("the target is a client"))
    }

    fn server_name(&mut self, line: Line) -> Result<Option<String>, Unavailable> {
        self.sockets.server_name(line)
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
        RealWorld.now()
    }

    fn wait(&mut self, time: u64) {
        self.sockets.wait(time);
    }

    fn patience(&self) -> u64 {
        self.patience
    }

    fn silence(&self) -> u64 {
        self.sockets.silence()
    }

    fn operate(&mut self, _what: &Operation) -> Result<(), Unavailable> {
        Err(Unavailable("the target is a client".to_owned()))
    }

    fn act(&mut self, action: &Action) -> Result<(), Unavailable> {
        self.process = None;
        let words = self.words(action)?;
        let (program, arguments) = words.split_first().ok_or(Unavailable("an empty command".to_owned()))?;
        let number = self.started.get() + 1;
        self.started.set(number);
        let output = self.directory.join(format!("client-{number}.txt"));
        let file = File::create(&output).map_err(ours("writing the output"))?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(Stdio::null())
            .spawn()
            .map_err(ours("starting the client"))?;
        self.process = Some(Process { child, output });
        Ok(())
    }

    fn shown(&mut self, lines: usize, patience: u64) -> Shown {
        let until = RealWorld.now().saturating_add(patience);
        loop {
            let Some(process) = &mut self.process else { return Shown::default() };
            let shown = process.shown();
            if shown.lines.len() >= lines || shown.ended.is_some() || RealWorld.now() >= until {
                return shown;
            }
            self.sockets.wait(LOOK);
        }
    }
}
