//! The fast duplex flow: which command goes where, and that it comes to its end when answers are lost.

use super::*;

#[test]
fn a_contact_is_set_up_by_the_fast_flow() {
    let mut net = Net::new(&AgentConfig::default());
    net.act(0, |agent, now| agent.invite(CONTACT, now));
    net.run_for(SECOND);
    assert_eq!(
        net.lines,
        [
            "0 r1 connect",
            "0 r1 NEW",
            // The invitation goes to agent 1 outside of the network.
            "1 r3 connect",
            "1 r3 PRXY r1",
            "1 r3 SKEY r1",
            "1 r2 connect",
            "1 r2 NEW",
            "1 r3 SEND r1 Join",
            "0 r3 connect",
            "0 r1 ACK",
            "0 r3 PRXY r2",
            "0 r3 SKEY r2",
            "0 r3 SEND r2 Accept",
            "1 r2 ACK",
        ]
    );
    assert_eq!(net.established(), [0, 1]);
    assert!(net.failures().is_empty());
}

#[test]
fn then_both_can_send_and_get_receipts() {
    let mut net = Net::connected(&AgentConfig::default());
    net.send(0, 0);
    net.send(1, 0);
    net.run_for(SECOND);
    assert_eq!((net.received(0), net.received(1)), (vec![0], vec![0]));
    for agent in [0, 1] {
        assert!(net.told.contains(&(agent, Output::Receipt { contact: CONTACT, number: 0 })));
    }
    // Over the sessions that there are: each message and each receipt is one SEND and one ACK.
    assert_eq!((net.count("SEND"), net.count("ACK"), net.lines.len()), (4, 4, 8));
}

#[test]
fn without_receipts_a_message_is_one_send() {
    let mut net = Net::connected(&AgentConfig { receipts: false, ..AgentConfig::default() });
    net.send(0, 0);
    net.run_for(SECOND);
    assert_eq!(net.lines, ["0 r3 SEND r2 Message 0", "1 r2 ACK"]);
}

/// Nobody knows of the queue that was made in vain: it stays on its router, without an owner.
#[test]
fn a_queue_is_made_again_after_its_answer_was_lost() {
    let mut net = Net::new(&AgentConfig::default());
    net.fates.push(("0 r1 NEW", Fate::AnswerLost));
    net.act(0, |agent, now| agent.invite(CONTACT, now));
    net.run_for(SECOND);
    assert!(net.told.is_empty());
    net.fates.clear();
    net.run_for(31 * SECOND);
    assert_eq!(net.times_of("0 r1 NEW"), [30, 30_030]);
    assert_eq!(net.established(), [0, 1]);
    let made = net.told.iter().filter(|(_, told)| matches!(told, Output::QueueMade { .. })).count();
    assert_eq!((made, net.queues.len()), (2, 3));
}

#[test]
fn a_queue_is_made_again_after_its_session_ended() {
    let mut net = Net::new(&AgentConfig::default());
    net.fates.push(("0 r1 NEW", Fate::AnswerLost));
    net.act(0, |agent, now| agent.invite(CONTACT, now));
    net.run_for(SECOND);
    net.fates.clear();
    net.stop(1);
    net.down.clear();
    net.run_for(SECOND);
    assert_eq!(net.count("0 r1 NEW"), 2);
    assert_eq!(net.established(), [0, 1]);
}

#[test]
fn securing_is_asked_for_again_with_the_same_key() {
    let mut net = Net::new(&AgentConfig::default());
    net.fates.push(("1 r3 SKEY r1", Fate::AnswerLost));
    net.act(0, |agent, now| agent.invite(CONTACT, now));
    net.run_for(20 * SECOND);
    assert_eq!(net.count("Join"), 0, "nothing is sent to a queue that may not be secured");
    net.fates.clear();
    net.run_for(20 * SECOND);
    // 30 s until the answer is given up, 2 s until the next attempt.
    let times = net.times_of("1 r3 SKEY r1");
    assert_eq!(times[1] - times[0], 32_000);
    assert_eq!(net.established(), [0, 1]);
}

#[test]
fn a_confirmation_that_comes_twice_is_taken_once() {
    for lost in ["Join", "Accept"] {
        let mut net = Net::new(&AgentConfig::default());
        net.fates.push((lost, Fate::AnswerLost));
        net.act(0, |agent, now| agent.invite(CONTACT, now));
        net.run_for(SECOND);
        net.fates.clear();
        net.run_for(60 * SECOND);
        assert_eq!(net.count(lost), 2);
        assert_eq!(net.established(), [0, 1], "{lost}");
        assert_eq!(net.count("SKEY"), 2, "{lost}");
        assert!(net.failures().is_empty());
    }
}

#[test]
fn a_contact_without_routers_fails() {
    let mut net = Net::new(&AgentConfig::default());
    net.agents[0].choose.storage.clear();
    net.act(0, |agent, now| agent.invite(CONTACT, now));
    assert_eq!(net.failures(), [&Failure::NoRouter]);
    let mut net = Net::new(&AgentConfig::default());
    net.agents[1].choose.proxies.clear();
    net.act(0, |agent, now| agent.invite(CONTACT, now));
    net.run_for(SECOND);
    assert_eq!(net.failures(), [&Failure::NoRouter]);
}

#[test]
fn contacts_share_sessions_unless_each_has_its_own() {
    for (isolation, connects) in [(Isolation::Profile, 4), (Isolation::Contact, 12)] {
        let mut net = Net::new(&AgentConfig { isolation, ..AgentConfig::default() });
        for contact in 0..3 {
            net.agents[0].choose.picked = 0;
            net.agents[1].choose.picked = 0;
            net.act(0, |agent, now| agent.invite(ContactNo(contact), now));
            net.run_for(SECOND);
        }
        assert_eq!(net.count("connect"), connects, "{isolation:?}");
        assert_eq!(net.established().len(), 6);
    }
}
