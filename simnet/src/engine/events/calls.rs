//! Calls: when users call, and when those take it who are called.

use sxlab_protocol::agent::{CallNo, Calling, ContactNo};

use super::Simulation;
use super::heap::Event;
use crate::network::UserIdx;
use crate::truth::TrueCall;
use crate::workload::Call;

impl Simulation<'_> {
    /// Has the next call begin when it is time, where sending began at `begun`.
    pub(super) fn call_next(&mut self, begun: u64, number: u32) {
        if let Some(call) = self.plan.calls.get(number as usize) {
            self.heap.push(begun + call.at_ns, Event::Call(number));
        }
    }

    /// The call with this number, and who makes or takes it.
    fn planned(&self, number: u32, caller: bool) -> Option<(Call, UserIdx)> {
        let call = self.plan.calls.get(number as usize)?;
        let conversation = self.plan.population.conversation(call.conversation)?;
        Some((*call, conversation.ends(call.from_a == caller).0))
    }

    pub(super) fn call(&mut self, number: u32) {
        let Some((call, caller)) = self.planned(number, true) else { return };
        self.call_next(self.now - call.at_ns, number + 1);
        let Call { conversation, from_a, .. } = call;
        let mut message = 0;
        self.with_agent(caller, |agent, now| {
            message = agent.call(ContactNo(conversation.0), CallNo(number), now);
        });
        let truth = TrueCall { begun_at_ns: self.now, conversation, from_a, set_up_at_ns: None };
        self.ledger.calls.insert(number, truth);
        self.ledger.counts.calls += 1;
        self.ledger.taken(conversation, from_a, message, self.now);
    }

    pub(super) fn take_call(&mut self, number: u32) {
        self.ledger.ringing -= 1;
        let Some((call, called)) = self.planned(number, false) else { return };
        let contact = ContactNo(call.conversation.0);
        self.with_agent(called, |agent, now| agent.take_call(contact, CallNo(number), now));
    }

    pub(super) fn happened_to_call(&mut self, user: UserIdx, call: CallNo, what: Calling) {
        self.ledger.counts.happened(what);
        let Some((planned, caller)) = self.planned(call.0, true) else { return };
        match what {
            Calling::Rings => {
                if let Some(after) = planned.taken_after_ns {
                    self.ledger.ringing += 1;
                    self.heap.push(self.now.saturating_add(after), Event::TakeCall(call.0));
                }
            }
            Calling::Offered(number) | Calling::Answered(number) => {
                let from_a = planned.from_a == (user == caller);
                self.ledger.taken(planned.conversation, from_a, number, self.now);
            }
            Calling::SetUp => {
                if let Some(call) = self.ledger.calls.get_mut(&call.0) {
                    call.set_up_at_ns = Some(self.now);
                }
            }
            Calling::Lapsed => {}
        }
    }
}
