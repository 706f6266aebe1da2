//! Groups: each member is connected to each other, by a contact of its own that serves this group only.
//!
//! **Joining.** The host, who is the group's owner, invites through a contact of its own; who is invited joins by the fast flow.
//! Then the host tells every other member of the new one and introduces each of them to it; for each the new member makes a queue, whose address
//! the host passes on, and the other member joins it.
//!
//! **Until two members are connected** the host passes on what they send to the group. Each tells the host when it can send
//! to the other. That goes to the host after everything that it had to pass on, so nothing gets lost between the two ways, and nothing
//! comes over both.
//!
//! **History.** Who has joined gets the last [`HISTORY`] messages of the group from the host, as many in one as its size allows.

use std::collections::VecDeque;
use std::collections::btree_map::Entry;

use super::{Address, Agent, Choose, Contact, ContactNo, Content, GroupNo, Noted, Output, RouterNo};

/// Messages that a new member gets from before it joined.
pub const HISTORY: usize = 100;

/// Messages are answered by receipts in groups of at most so many members.
const RECEIPTS_UP_TO: u32 = 20;

/// Bytes of what one message of the chat may hold, with the old messages inside it,
const CHAT_LIMIT: u32 = 15_602;

/// what an old one takes in it beside itself,
const FORWARD: u32 = 161;

/// and what a text takes beside itself, as a message of the chat. Counted on a message without anything optional.
const TEXT: u32 = 95;

/// What members of a group and their host tell each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouped {
    /// Through a contact: join this group by this address. The contact to be is the one with the host.
    Invitation(GroupNo, ContactNo, Address),
    /// To a member: there is a new one, who will be this contact.
    New(ContactNo),
    /// To a new member: there is another, who will be this contact.
    Introduction(ContactNo),
    /// To the host: the address for the member who will be this contact,
    Address(ContactNo, Address),
    /// and the same to that member.
    Passed(ContactNo, Address),
    /// To the host: this member can be sent to now.
    Connected(ContactNo),
    /// From the host: a message of the member who will be this contact, with its number and length.
    Forward(ContactNo, u32, u32),
    /// From the host: so many old messages, and the number of the first of them.
    History(u32, u32),
}

impl Grouped {
    /// Its parts: a tag, numbers, and an address; for engines, which write messages in a form of their own.
    #[must_use]
    pub fn parts(&self) -> (u8, [u32; 3], Option<&Address>) {
        match self {
            Self::Invitation(group, contact, address) => (0, [group.0, contact.0, 0], Some(address)),
            Self::New(contact) => (1, [contact.0, 0, 0], None),
            Self::Introduction(contact) => (2, [contact.0, 0, 0], None),
            Self::Address(contact, address) => (3, [contact.0, 0, 0], Some(address)),
            Self::Passed(contact, address) => (4, [contact.0, 0, 0], Some(address)),
            Self::Connected(contact) => (5, [contact.0, 0, 0], None),
            Self::Forward(contact, number, length) => (6, [contact.0, *number, *length], None),
            Self::History(first, count) => (7, [*first, *count, 0], None),
        }
    }

    /// What has these parts.
    #[must_use]
    pub fn of_parts(tag: u8, [x, y, z]: [u32; 3], address: Option<Address>) -> Option<Self> {
        Some(match tag {
            0 => Self::Invitation(GroupNo(x), ContactNo(y), address?),
            1 => Self::New(ContactNo(x)),
            2 => Self::Introduction(ContactNo(x)),
            3 => Self::Address(ContactNo(x), address?),
            4 => Self::Passed(ContactNo(x), address?),
            5 => Self::Connected(ContactNo(x)),
            6 => Self::Forward(ContactNo(x), y, z),
            7 => Self::History(x, y),
            _ => return None,
        })
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn has_address(tag: u8) -> bool {
        matches!(tag, 0 | 3 | 4)
    }
}

/// A group that the agent is in.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The contact with the host; none: this agent is the host.
    host: Option<ContactNo>,
    /// The contacts with the other members.
    contacts: u32,
    /// Of a business's customer who has not asked to connect yet: the business's address, and what stands for it.
    pub(super) business: Option<Box<(ContactNo, Address)>>,
    /// Old messages that came.
    old: u32,
    /// Of a host.
    hosted: Hosted,
}

impl Group {
    /// A customer's, whom this contact with a business at an address will be.
    pub(super) fn of_customer(contact: ContactNo, business: (ContactNo, Address)) -> Self {
        Self { host: Some(contact), contacts: 1, business: Some(Box::new(business)), ..Self::default() }
    }

    /// A business's, who hosts it for a customer.
    pub(super) fn of_business(customer: ContactNo) -> Self {
        let hosted = Hosted { members: vec![customer], ..Hosted::default() };
        Self { contacts: 1, hosted, ..Self::default() }
    }
}

#[derive(Debug, Default)]
struct Hosted {
    /// The contacts with members, as they joined.
    members: Vec<ContactNo>,
    /// Who is invited and not connected yet.
    invited: Vec<Invited>,
    /// What comes from the first is passed on to the second, whose contact the third is to be.
    forwards: Vec<(ContactNo, ContactNo, ContactNo)>,
    /// Lengths of the last messages.
    history: VecDeque<u32>,
    /// What was sent before them.
    forgotten: u32,
}

/// A member to be.
#[derive(Debug)]
struct Invited {
    contact: ContactNo,
    /// The contact through which it is invited.
    via: ContactNo,
    /// The contacts with the members at that time, and its own with each of these.
    others: Vec<(ContactNo, ContactNo)>,
}

impl Hosted {
    fn remember(&mut self, length: u32) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
            self.forgotten += 1;
        }
        self.history.push_back(length);
    }

    /// Old messages as they are sent: the first one's number, and how many.
    fn batches(&self) -> Vec<(u32, u32)> {
        let mut batches: Vec<(u32, u32)> = Vec::new();
        let mut filled = CHAT_LIMIT;
        for (number, length) in (self.forgotten..).zip(&self.history) {
            // One more byte for what separates them.
            let size = length.saturating_add(FORWARD + TEXT + 1);
            match batches.last_mut() {
                Some((_, count)) if filled.saturating_add(size) < CHAT_LIMIT => {
                    *count += 1;
                    filled += size;
                }
                _ => {
                    batches.push((number, 1));
                    filled = size;
                }
            }
        }
        batches
    }
}

impl<C: Choose> Agent<C> {
    /// As the group's host, invites through a contact. `contact` will be the one with the new member; `pairs` are the new member's
    /// contacts with each member that there is, in the order in which they were invited.
    pub fn invite_to_group(
        &mut self,
        group: GroupNo,
        via: ContactNo,
        contact: ContactNo,
        pairs: &[ContactNo],
        now: u64,
    ) {
        let known = self.groups.entry(group).or_default();
        known.contacts += 1;
        let hosted = &mut known.hosted;
        let others: Vec<_> = hosted.members.iter().copied().zip(pairs.iter().copied()).collect();
        for (other, pair) in &others {
            hosted.forwards.push((*other, contact, *pair));
            hosted.forwards.push((contact, *other, *pair));
        }
        hosted.invited.push(Invited { contact, via, others });
        hosted.members.push(contact);
        self.contacts.insert(contact, Contact { inviter: true, group: Some(group), ..Contact::default() });
        self.make_queue(contact, None, now);
    }

    /// Sends a message to a group: to these members, and through the host, whose contact is among them, to those of them who are not
    /// connected yet. `host`: none for the host itself. `number` counts this member's messages to the group.
    pub fn send_to_group(
        &mut self,
        host: Option<ContactNo>,
        to: &[ContactNo],
        number: u32,
        length: u32,
        now: u64,
    ) {
        let group = to.first().and_then(|contact| self.contacts.get(contact)).and_then(|known| known.group);
        if host.is_none()
            && let Some(group) = group.and_then(|group| self.groups.get_mut(&group))
        {
            group.hosted.remember(length);
        }
        for contact in to {
            let connected = self.contacts.get(contact).is_some_and(|known| known.established);
            match host {
                Some(host) if host != *contact && !connected => self.left.push((host, *contact, number)),
                _ => self.post(*contact, Content::Message { number, length }, now),
            }
        }
    }

    /// The host has taken a message: so it has for those to whom it passes it on.
    pub(super) fn left_to_host(&mut self, host: ContactNo, number: u32, proxy: RouterNo) {
        let output = &mut self.output;
        self.left.retain(|(left_to, contact, left)| {
            let taken = (*left_to, *left) == (host, number);
            if taken {
                output.push_back(Output::Accepted { contact: *contact, number, proxy });
            }
            !taken
        });
    }

    /// Sends a contact's invitation over the network, if it is one of a group.
    pub(super) fn invite_member(
        &mut self,
        contact: ContactNo,
        address: Address,
        now: u64,
    ) -> Option<Address> {
        let group = self.contacts.get(&contact).and_then(|known| known.group);
        let Some((number, group)) = group.and_then(|number| Some((number, self.groups.get(&number)?))) else {
            return Some(address);
        };
        let (to, what) = match group.host {
            Some(host) if host == contact => {
                self.ask_business(number, contact, address, now);
                return None;
            }
            Some(host) => (host, Grouped::Address(contact, address)),
            None => {
                let invited = group.hosted.invited.iter().find(|invited| invited.contact == contact)?;
                (invited.via, Grouped::Invitation(number, contact, address))
            }
        };
        self.post(to, Content::Group(Box::new(what)), now);
        None
    }

    /// A contact of a group can be sent to.
    pub(super) fn member_connected(&mut self, number: GroupNo, contact: ContactNo, now: u64) {
        let Some(group) = self.groups.get_mut(&number) else { return };
        if let Some(host) = group.host {
            if host != contact {
                self.tell(host, Grouped::Connected(contact), now);
            }
            return;
        }
        let invited = &mut group.hosted.invited;
        let Some(place) = invited.iter().position(|invited| invited.contact == contact) else { return };
        let Invited { others, .. } = invited.swap_remove(place);
        let batches = group.hosted.batches();
        for (other, pair) in others {
            self.tell(other, Grouped::New(pair), now);
            self.tell(contact, Grouped::Introduction(pair), now);
        }
        for (first, count) in batches {
            self.tell(contact, Grouped::History(first, count), now);
        }
    }

    fn tell(&mut self, contact: ContactNo, what: Grouped, now: u64) {
        self.post(contact, Content::Group(Box::new(what)), now);
    }

    /// Takes what a member or a host says. What comes again changes nothing.
    pub(super) fn take_grouped(&mut self, from: ContactNo, what: Grouped, now: u64) {
        if let Grouped::Invitation(number, contact, address) = what {
            if let Entry::Vacant(place) = self.groups.entry(number) {
                place.insert(Box::new(Group { host: Some(contact), contacts: 1, ..Group::default() }));
                self.join_member(number, contact, address, now);
            }
            return;
        }
        let Some(number) = self.contacts.get(&from).and_then(|known| known.group) else { return };
        let Some(group) = self.groups.get_mut(&number) else { return };
        match what {
            Grouped::Introduction(pair) => {
                if let Entry::Vacant(place) = self.contacts.entry(pair) {
                    group.contacts += 1;
                    place.insert(Contact { inviter: true, group: Some(number), ..Contact::default() });
                    self.make_queue(pair, None, now);
                }
            }
            Grouped::Address(pair, address) => {
                let mut forwards = group.hosted.forwards.iter();
                let to = forwards.find(|(by, _, of)| (*by, *of) == (from, pair)).map(|(_, to, _)| *to);
                if let Some(to) = to {
                    self.tell(to, Grouped::Passed(pair, address), now);
                }
            }
            Grouped::Passed(pair, address) => {
                if !self.contacts.contains_key(&pair) {
                    group.contacts += 1;
                    self.join_member(number, pair, address, now);
                }
            }
            Grouped::Connected(pair) => {
                group.hosted.forwards.retain(|(by, _, of)| (*by, *of) != (from, pair));
            }
            Grouped::Forward(pair, number, _) => {
                let due = self.forwarded.entry(pair).or_default();
                if number < *due {
                    return self.note(Noted::Duplicate);
                }
                *due = number + 1;
                self.note(Noted::Forwarded);
                self.output.push_back(Output::Received { contact: pair, number });
            }
            Grouped::History(first, count) => {
                if first >= group.old {
                    group.old = first + count;
                    self.note(Noted::History(count));
                }
            }
            Grouped::Invitation(..) | Grouped::New(_) => {}
        }
    }

    pub(super) fn join_member(&mut self, group: GroupNo, contact: ContactNo, address: Address, now: u64) {
        self.contacts.insert(contact, Contact { group: Some(group), ..Contact::default() });
        self.open_outbox(contact, address, now);
    }

    /// As the host, keeps a member's message and passes it on.
    pub(super) fn pass_on(&mut self, number: GroupNo, from: ContactNo, message: (u32, u32), now: u64) {
        let Some(group) = self.groups.get_mut(&number).filter(|group| group.host.is_none()) else { return };
        group.hosted.remember(message.1);
        let forwards = group.hosted.forwards.iter().filter(|(by, ..)| *by == from);
        for (_, to, pair) in forwards.copied().collect::<Vec<_>>() {
            self.tell(to, Grouped::Forward(pair, message.0, message.1), now);
        }
    }

    /// Whether messages of a contact are answered by receipts.
    pub(super) fn sends_receipts(&self, contact: ContactNo) -> bool {
        let group = self.contacts.get(&contact).and_then(|known| known.group);
        let members = group.and_then(|group| self.groups.get(&group)).map_or(0, |group| group.contacts + 1);
        self.config.receipts && members <= RECEIPTS_UP_TO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(lengths: &[u32]) -> Vec<(u32, u32)> {
        let mut hosted = Hosted::default();
        for length in lengths {
            hosted.remember(*length);
        }
        hosted.batches()
    }

    #[test]
    fn old_messages_go_together_as_far_as_they_fit() {
        assert_eq!(batches(&[]), []);
        // 60 of 257 bytes are 15,420.
        assert_eq!(batches(&[0; 100]), [(0, 60), (60, 40)]);
        assert_eq!(batches(&[15_800, 10, 10, 15_000, 500]), [(0, 1), (1, 2), (3, 1), (4, 1)]);
    }

    #[test]
    fn only_the_last_hundred_are_kept() {
        assert_eq!(batches(&[0; 250]), [(150, 60), (210, 40)]);
    }
}
