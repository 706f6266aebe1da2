//! How a call between contacts is set up: three messages like any other. The caller invites; who is called and takes the call offers a
//! session; the caller answers. What is said then goes from peer to peer, and no router sees it.
//!
//! There is one call with a contact at a time: a newer one takes its place, whoever began it. A call that nobody took, or that was taken
//! when the caller had given up, has lapsed ([`super::AgentConfig::call_lapse`]); so the deployed apps do not ring for an invitation that is
//! older than three minutes.

use super::{Agent, Choose, ContactNo, Content, Output};

/// A call, as the driver numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallNo(pub u32);

/// What sets up a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The caller's first message (`x.call.inv`), with the time at which the call began, in nanoseconds.
    Invitation(u64),
    /// From who takes the call (`x.call.offer`).
    Offer,
    /// The caller's second message (`x.call.answer`).
    Answer,
}

impl Signal {
    /// A tag and a time; for engines, which write messages in a form of their own.
    #[must_use]
    pub fn parts(self) -> (u8, u64) {
        match self {
            Self::Invitation(begun) => (0, begun),
            Self::Offer => (1, 0),
            Self::Answer => (2, 0),
        }
    }

    /// What has these parts.
    #[must_use]
    pub fn of_parts(tag: u8, begun: u64) -> Option<Self> {
        Some(match tag {
            0 => Self::Invitation(begun),
            1 => Self::Offer,
            2 => Self::Answer,
            _ => return None,
        })
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calling {
    /// A contact calls: take it by [`Agent::take_call`], or not.
    Rings,
    /// This side took it, by the message with this number.
    Offered(u32),
    /// This side called, and has answered the offer, by the message with this number.
    Answered(u32),
    /// This side took it, and the answer came.
    SetUp,
    /// It was too late, or there is another call with the contact.
    Lapsed,
}

/// A contact's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Current {
    call: CallNo,
    begun: u64,
    /// Whether this side called.
    own: bool,
}

impl<C: Choose> Agent<C> {
    /// Calls an established contact: the number of the message that invites it.
    pub fn call(&mut self, contact: ContactNo, call: CallNo, now: u64) -> u32 {
        self.calls.insert(contact, Current { call, begun: now, own: true });
        let what = Signal::Invitation(now);
        self.send_next(contact, |number| Content::Call { number, call, what }, now)
    }

    /// Takes a call that rings. It has lapsed if that comes too late, or if there is no network.
    pub fn take_call(&mut self, contact: ContactNo, call: CallNo, now: u64) {
        let here = self.online;
        match self.current(contact, call, false, now).filter(|_| here) {
            Some(_) => {
                let number = self.signal(contact, call, Signal::Offer, now);
                self.happened(contact, call, Calling::Offered(number));
            }
            None => self.happened(contact, call, Calling::Lapsed),
        }
    }

    /// The contact's call, if it is this one and has not lapsed.
    fn current(&self, contact: ContactNo, call: CallNo, own: bool, now: u64) -> Option<Current> {
        let current = self.calls.get(&contact).copied()?;
        let lapses = current.begun.saturating_add(self.config.call_lapse);
        (current.call == call && current.own == own && now <= lapses).then_some(current)
    }

    fn signal(&mut self, contact: ContactNo, call: CallNo, what: Signal, now: u64) -> u32 {
        self.send_next(contact, |number| Content::Call { number, call, what }, now)
    }

    fn happened(&mut self, contact: ContactNo, call: CallNo, what: Calling) {
        self.output.push_back(Output::Call { contact, call, what });
    }

    /// Takes what a contact says about a call.
    pub(super) fn take_signal(&mut self, contact: ContactNo, call: CallNo, what: Signal, now: u64) {
        let happened = match what {
            Signal::Invitation(begun) => {
                self.calls.insert(contact, Current { call, begun, own: false });
                match self.current(contact, call, false, now) {
                    Some(_) => Calling::Rings,
                    None => Calling::Lapsed,
                }
            }
            Signal::Offer => match self.current(contact, call, true, now) {
                Some(_) => Calling::Answered(self.signal(contact, call, Signal::Answer, now)),
                None => Calling::Lapsed,
            },
            // The caller was in time, so the session is set up however late this comes.
            Signal::Answer => match self.calls.get(&contact) {
                Some(current) if current.call == call && !current.own => Calling::SetUp,
                _ => Calling::Lapsed,
            },
        };
        if !matches!(happened, Calling::Rings)
            && self.calls.get(&contact).is_some_and(|known| known.call == call)
        {
            self.calls.remove(&contact);
        }
        self.happened(contact, call, happened);
    }
}
