//! The router's process as the generator sees it: where it listens, what it uses of the machine.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A router process. It ends when this is dropped, and its store is removed.
pub(crate) struct RouterProcess {
    child: Child,
    store: Option<PathBuf>,
    pub(crate) port: u16,
    pub(crate) identity: [u8; 32],
}

impl RouterProcess {
    /// Starts this program as a router, which keeps its queues in a store in this directory, or in memory.
    pub(crate) fn start(store: Option<&Path>) -> Self {
        // One router with a store at a time is enough.
        let store = store.map(|directory| directory.join(format!("sxlab-load-{}.store", std::process::id())));
        Self::run("--router", store)
    }

    /// Starts this program as an acceptor of TLS connections and nothing more.
    pub(crate) fn tls_only() -> Self {
        Self::run("--tls-only", None)
    }

    fn run(role: &str, store: Option<PathBuf>) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program)
            .arg(role)
            .args(&store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (port, identity) = line.trim().split_once(' ').expect("a port and an identity");
        let bytes = (0..32).map(|i| u8::from_str_radix(&identity[2 * i..2 * i + 2], 16).unwrap());
        let identity = bytes.collect::<Vec<_>>().try_into().unwrap();
        Self { child, store, port: port.parse().unwrap(), identity }
    }

    /// Nanoseconds of processor time that its threads used: the router's, and the store's if there is one.
    pub(crate) fn cpu(&self) -> u64 {
        cpu(&self.child.id().to_string())
    }

    /// Bytes of its memory that are resident.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for RouterProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if let Some(store) = &self.store {
            let _ = std::fs::remove_file(store);
        }
    }
}

/// Nanoseconds of processor time that this process used.
pub(crate) fn own_cpu() -> u64 {
    cpu("self")
}

fn cpu(process: &str) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let used =
        threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap());
    used.map(|used| used.split_whitespace().next().unwrap().parse::<u64>().unwrap()).sum()
}
