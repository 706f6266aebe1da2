//! Businesses and their customers: addresses are opened once all contacts are set up, and given away outside of the network.

use sxlab_protocol::agent::{Address, ContactNo};

use super::Simulation;
use super::heap::Event;
use crate::network::UserIdx;

impl Simulation<'_> {
    /// Has every business open its address from now on.
    pub(super) fn open_addresses(&mut self) {
        self.contacts_until = self.now;
        for (number, opening) in (0u32..).zip(&self.openings) {
            self.heap.push(self.now + opening.after_ns, Event::OpenAddress(number));
        }
    }

    pub(super) fn open_address(&mut self, number: u32) {
        let Some(opening) = self.openings.get(number as usize).copied() else { return };
        self.with_agent(opening.user, |agent, now| agent.open_address(opening.address, now));
    }

    /// An address is there: customers learn it.
    pub(super) fn address_made(&mut self, made: ContactNo, address: &Address) {
        for (number, connecting) in (0u32..).zip(&self.connectings) {
            if connecting.address == made {
                let at = self.now.max(self.contacts_until + connecting.after_ns);
                self.heap.push(at, Event::Connect(number, Box::new(address.clone())));
            }
        }
    }

    pub(super) fn connect_to_business(&mut self, number: u32, address: Address) {
        let Some(connecting) = self.connectings.get(number as usize).copied() else { return };
        let via = (connecting.address, address);
        self.with_agent(connecting.user, |agent, now| {
            agent.contact_business(connecting.group, connecting.contact, via, now);
        });
    }

    /// A user can send to a contact: if that is a business's customer, employees are invited.
    pub(super) fn customer_connected(&mut self, user: UserIdx, contact: ContactNo) {
        if !self.connectings.is_empty() && !self.plan.population.employees(contact, user).is_empty() {
            self.heap.push(self.now, Event::InviteEmployees(user, contact));
        }
    }
}
