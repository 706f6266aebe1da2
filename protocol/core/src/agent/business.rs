//! Business chats. A business has an address: a queue that anybody may send to. Who connects there gets no contact but a group of its own,
//! which the business hosts, and to which it invites others of its own as members; the customer sees one conversation with all of them.
//!
//! The customer makes the queue to receive from the business on, and sends its address to the business's, without authorization. The business
//! joins by it as by an invitation, as the host of a group of the two. From then on it is a group like any other.

use super::groups::Group;
use super::{Address, Agent, Choose, Contact, ContactNo, Content, GroupNo};

/// Who wants to connect to a business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The group to be.
    pub group: GroupNo,
    /// The contact of customer and business in it.
    pub contact: ContactNo,
    /// Where the customer receives from the business.
    pub address: Address,
}

impl<C: Choose> Agent<C> {
    /// As a business, makes the queue of an address, for which a contact's number stands ([`super::Output::AddressMade`]).
    pub fn open_address(&mut self, address: ContactNo, now: u64) {
        self.addresses.insert(address);
        self.contacts.insert(address, Contact::default());
        self.make_queue(address, None, now);
    }

    /// As a customer, connects to a business by its address, for which a contact's number stands. `contact` will be the one with the
    /// business, in this group.
    pub fn contact_business(
        &mut self,
        group: GroupNo,
        contact: ContactNo,
        address: (ContactNo, Address),
        now: u64,
    ) {
        self.groups.insert(group, Box::new(Group::of_customer(contact, address)));
        self.contacts.insert(contact, Contact { inviter: true, group: Some(group), ..Contact::default() });
        self.make_queue(contact, None, now);
    }

    /// The queue to receive from the business on is there: the business is asked to connect.
    pub(super) fn ask_business(&mut self, group: GroupNo, contact: ContactNo, address: Address, now: u64) {
        let business = self.groups.get_mut(&group).and_then(|group| group.business.take());
        let Some((via, to)) = business.map(|business| *business) else { return };
        let customer = Customer { group, contact, address };
        self.send_once(via, to, Content::Customer(Box::new(customer)), now);
    }

    /// Somebody wants to connect. What comes again changes nothing.
    pub(super) fn take_customer(&mut self, via: ContactNo, customer: Customer, now: u64) {
        let Customer { group, contact, address } = customer;
        let known = self.contacts.contains_key(&contact) || self.groups.contains_key(&group);
        if known || !self.addresses.contains(&via) {
            return;
        }
        self.groups.insert(group, Box::new(Group::of_business(contact)));
        self.join_member(group, contact, address, now);
    }
}
