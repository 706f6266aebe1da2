//! Business chats: agent 0 is the business, agents 1 and 2 are customers, agent 3 is a contact of the business.

use super::*;

const ADDRESS: ContactNo = ContactNo(50);
const EMPLOYEE: ContactNo = ContactNo(3);

fn chat(customer: u32) -> GroupNo {
    GroupNo(customer)
}

/// The contact of a customer's group with the business.
fn with_business(customer: u32) -> ContactNo {
    ContactNo(100 + customer)
}

/// The business with its address open, and the address.
fn net() -> (Net, Address) {
    let mut net = Net::new(&AgentConfig::default());
    for _ in 2..4 {
        let choose = InOrder { storage: vec![2, 1], proxies: vec![3, 4, 5], picked: 0 };
        net.agents.push(Agent::new(AgentConfig::default(), choose));
    }
    net.invited = 3;
    net.act(0, |agent, now| agent.invite(EMPLOYEE, now));
    net.run_for(SECOND);
    net.forget();
    net.act(0, |agent, now| agent.open_address(ADDRESS, now));
    net.run_for(SECOND);
    let made = net.told.iter().find_map(|(agent, told)| match told {
        Output::AddressMade { contact: ADDRESS, address, .. } if *agent == 0 => Some(address.clone()),
        _ => None,
    });
    (net, made.unwrap())
}

fn connect(net: &mut Net, customer: u32, address: &Address) {
    let via = (ADDRESS, address.clone());
    net.act(customer as usize, |agent, now| {
        agent.contact_business(chat(customer), with_business(customer), via, now);
    });
}

/// Who has heard how many messages.
fn heard(net: &Net) -> Vec<usize> {
    (0..4).map(|agent| net.received(agent).len()).collect()
}

#[test]
fn a_customer_asks_at_the_address_and_is_connected() {
    let (mut net, address) = net();
    assert_eq!(net.lines, ["0 r1 NEW address"]);
    net.forget();
    connect(&mut net, 1, &address);
    net.run_for(SECOND);
    // The address is neither secured nor joined: the business joins by the customer's queue.
    let asked: Vec<&str> =
        net.lines.iter().map(String::as_str).filter(|line| !line.contains("connect")).collect();
    assert_eq!(
        asked,
        [
            "1 r2 NEW",
            "1 r3 PRXY r1",
            "1 r3 SEND r1 Customer",
            "0 r1 ACK",
            "0 r3 SKEY r2",
            "0 r1 NEW",
            "0 r3 SEND r2 Join",
            "1 r2 ACK",
            "1 r3 SKEY r1",
            "1 r3 SEND r1 Accept",
            "0 r1 ACK",
        ]
    );
    assert_eq!(net.established(), [0, 1]);
    assert!(net.failures().is_empty());
}

#[test]
fn each_customer_has_a_group_of_its_own_with_the_employees() {
    let (mut net, address) = net();
    for customer in [1, 2] {
        connect(&mut net, customer, &address);
        net.run_for(SECOND);
        let (contact, pair) = (ContactNo(110 + customer), ContactNo(120 + customer));
        net.act(0, |host, now| host.invite_to_group(chat(customer), EMPLOYEE, contact, &[pair], now));
        net.run_for(10 * SECOND);
        let to = [with_business(customer), pair];
        let number = customer - 1;
        net.act(customer as usize, |agent, now| agent.send_to_group(Some(to[0]), &to, number, 100, now));
        net.run_for(SECOND);
    }
    // Three pairs for each customer.
    assert_eq!(net.established().len(), 12);
    assert_eq!(heard(&net), [2, 0, 0, 2], "customers hear nothing of each other");
    assert!(net.failures().is_empty());
}

/// The answer to the request got lost: the business has it twice.
#[test]
fn a_request_that_comes_again_changes_nothing() {
    let (mut net, address) = net();
    net.fates = vec![("Customer", Fate::AnswerLost)];
    connect(&mut net, 1, &address);
    net.run_for(33 * SECOND);
    net.fates.clear();
    net.run_for(60 * SECOND);
    assert!(net.count("SEND r1 Customer") > 1);
    assert_eq!((net.count("0 r1 NEW"), net.count("SKEY r2")), (2, 1));
    assert_eq!(net.established(), [0, 1]);
    assert!(!net.agents[1].contacts.contains_key(&ADDRESS));
}

/// Only an address is asked.
#[test]
fn who_is_asked_elsewhere_does_not_answer() {
    let (mut net, address) = net();
    let customer = Customer { group: chat(9), contact: ContactNo(9), address };
    net.act(0, |agent, now| agent.take(EMPLOYEE, Content::Customer(Box::new(customer)), now));
    assert!(!net.agents[0].contacts.contains_key(&ContactNo(9)));
}
