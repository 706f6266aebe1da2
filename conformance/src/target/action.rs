//! What a client under test is asked to do, and what it shows.

use std::fmt;

use sxlab_protocol::wire::{QueueAddress, RouterAddress};

/// What a client under test is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect, ask for one PONG, and end.
    Ping {
        /// The router.
        router: RouterAddress,
    },
    /// Ask what a name stands for, show the addresses to contact whoever has it, each on a line, and end.
    Resolve {
        /// The router.
        router: RouterAddress,
        /// The name.
        name: String,
    },
    /// Make a queue for a sender that secures it, show its address on the first line and every message on a line after it,
    /// acknowledge messages, and stay.
    Receive {
        /// The router.
        router: RouterAddress,
    },
    /// Send messages to a queue, and end.
    Send {
        /// The queue.
        queue: Box<QueueAddress>,
        /// The messages.
        messages: Vec<String>,
        /// The proxy to send through.
        via: Option<RouterAddress>,
    },
}

impl Action {
    /// Sending these messages.
    pub fn send(queue: &QueueAddress, messages: &[&str], via: Option<&RouterAddress>) -> Self {
        let messages = messages.iter().map(|text| (*text).to_owned()).collect();
        Action::Send { queue: Box::new(queue.clone()), messages, via: via.cloned() }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Ping { router } => write!(f, "ping {router}"),
            Action::Resolve { router, name } => write!(f, "resolve {name} at {router}"),
            Action::Receive { router } => write!(f, "receive at {router}"),
            Action::Send { queue, messages, via: None } => write!(f, "send {messages:?} to {queue}"),
            Action::Send { queue, messages, via: Some(proxy) } => {
                write!(f, "send {messages:?} to {queue} through {proxy}")
            }
        }
    }
}

/// What a client under test shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The lines of its output, without the line ends.
    pub lines: Vec<Vec<u8>>,
    /// Whether it has ended, and then whether it says that it did what it was asked to.
    pub ended: Option<bool>,
}

impl Shown {
    /// In a word.
    pub fn state(&self) -> &'static str {
        match self.ended {
            None => "goes on",
            Some(true) => "done",
            Some(false) => "failed",
        }
    }
}
