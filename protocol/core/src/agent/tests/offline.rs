//! A device that has no network.

use super::*;

#[test]
fn who_goes_offline_closes_everything_and_does_nothing() {
    let mut net = Net::connected(&AgentConfig::default());
    net.act(0, |agent, now| agent.go_offline(now));
    assert_eq!(net.lines, ["0 r1 close", "0 r3 close"]);
    net.send(0, 0);
    net.run_for(3600 * SECOND);
    assert_eq!(net.count("0 r"), 2, "nothing but closing");
    assert_eq!(net.noted(Noted::Resubscribed), 0);
}

#[test]
fn who_is_online_again_subscribes_and_sends_what_waited() {
    let mut net = Net::connected(&AgentConfig { receipts: false, ..AgentConfig::default() });
    net.act(0, |agent, now| agent.go_offline(now));
    net.send(0, 0);
    net.send(1, 0);
    net.run_for(3600 * SECOND);
    net.forget();
    net.act(0, |agent, now| agent.go_online(now));
    net.run_for(SECOND);
    assert_eq!(net.count("0 r1 SUB"), 1);
    assert_eq!((net.received(0), net.received(1)), (vec![0], vec![0]));
}

#[test]
fn what_was_on_its_way_is_sent_again() {
    let mut net = Net::connected(&AgentConfig { receipts: false, ..AgentConfig::default() });
    net.send(0, 0);
    net.run_for(15 * MS);
    net.act(0, |agent, now| agent.go_offline(now));
    net.run_for(60 * SECOND);
    net.act(0, |agent, now| agent.go_online(now));
    net.run_for(SECOND);
    assert_eq!(net.received(1), [0]);
    assert_eq!(net.noted(Noted::Duplicate), 1);
}

#[test]
fn attempts_begin_anew_after_the_network_was_gone() {
    let mut net = Net::connected(&AgentConfig::default());
    net.stop(1);
    net.run_for(600 * SECOND);
    net.act(0, |agent, now| agent.go_offline(now));
    net.run_for(600 * SECOND);
    net.forget();
    net.act(0, |agent, now| agent.go_online(now));
    net.run_for(10 * SECOND);
    let times = net.times_of("0 r1 connect");
    assert_eq!((times[1] - times[0], times[2] - times[1]), (2_010, 2_010));
}

#[test]
fn a_contact_that_is_begun_offline_is_set_up_later() {
    let mut net = Net::new(&AgentConfig::default());
    net.act(0, |agent, now| agent.go_offline(now));
    net.act(0, |agent, now| agent.invite(CONTACT, now));
    net.run_for(60 * SECOND);
    assert!(net.lines.is_empty());
    net.act(0, |agent, now| agent.go_online(now));
    net.run_for(SECOND);
    assert_eq!(net.established(), [0, 1]);
}
