//! The router's process as the generator sees it: where it listens, what it uses of the machine.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A router process. It ends when this is dropped.
pub(crate) struct RouterProcess {
    child: Child,
    pub(crate) port: u16,
    pub(crate) identity: [u8; 32],
}

impl RouterProcess {
    /// Starts this program as a router, or as an acceptor of TLS connections and nothing more.
    pub(crate) fn start(tls_only: bool) -> Self {
        let role = if tls_only { "--tls-only" } else { "--router" };
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program)
            .arg(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (port, identity) = line.trim().split_once(' ').expect("a port and an identity");
        let bytes = (0..32).map(|i| u8::from_str_radix(&identity[2 * i..2 * i + 2], 16).unwrap());
        let identity = bytes.collect::<Vec<_>>().try_into().unwrap();
        Self { child, port: port.parse().unwrap(), identity }
    }

    /// Nanoseconds of processor time that its one busy thread used.
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
    }
}

/// Nanoseconds of processor time that this process's first thread used.
pub(crate) fn own_cpu() -> u64 {
    cpu("self")
}

fn cpu(process: &str) -> u64 {
    let used = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap();
    used.split_whitespace().next().unwrap().parse().unwrap()
}
