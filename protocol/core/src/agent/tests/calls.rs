//! Calls: three messages, and what lets one lapse.

use super::*;

const CALL: CallNo = CallNo(5);

/// What happened to calls, as `agent: what`.
fn happened(net: &Net) -> Vec<(usize, u32, Calling)> {
    let told = net.told.iter();
    told.filter_map(|(agent, told)| match told {
        Output::Call { call, what, .. } => Some((*agent, call.0, *what)),
        _ => None,
    })
    .collect()
}

fn ring(net: &mut Net, caller: usize, call: CallNo) {
    net.act(caller, |agent, now| {
        agent.call(CONTACT, call, now);
    });
}

/// Agent 0 calls, agent 1 takes it after a time.
fn call(net: &mut Net, after: u64) {
    ring(net, 0, CALL);
    net.run_for(after);
    net.act(1, |agent, now| agent.take_call(CONTACT, CALL, now));
    net.run_for(SECOND);
}

#[test]
fn three_messages_set_up_a_call_and_the_first_has_a_receipt() {
    let mut net = Net::connected(&AgentConfig::default());
    net.send(0, 0);
    call(&mut net, 5 * SECOND);
    net.send(0, 3);
    net.send(1, 1);
    net.run_for(SECOND);
    let expected = [
        (1, 5, Calling::Rings),
        (1, 5, Calling::Offered(0)),
        (0, 5, Calling::Answered(2)),
        (1, 5, Calling::SetUp),
    ];
    assert_eq!(happened(&net), expected);
    assert_eq!(net.received(1), [0, 1, 2, 3]);
    assert_eq!(net.received(0), [0, 1]);
    // Of messages 0, the invitation and 3, and of the other side's 1.
    assert_eq!((net.count("1 r3 SEND r1 Receipt"), net.count("0 r3 SEND r2 Receipt")), (3, 1));
    assert_eq!(net.count("SEND"), 3 + 3 + 4);
    assert!(net.agents.iter().all(|agent| agent.calls.is_empty()));
}

#[test]
fn a_call_that_is_taken_too_late_has_lapsed() {
    let mut net = Net::connected(&AgentConfig::default());
    call(&mut net, 181 * SECOND);
    assert_eq!(happened(&net), [(1, 5, Calling::Rings), (1, 5, Calling::Lapsed)]);
    assert_eq!(net.count("Offer"), 0);
}

#[test]
fn who_was_offline_for_long_is_not_rung() {
    let mut net = Net::connected(&AgentConfig::default());
    net.act(1, |agent, now| agent.go_offline(now));
    ring(&mut net, 0, CALL);
    net.run_for(200 * SECOND);
    net.act(1, |agent, now| agent.go_online(now));
    net.run_for(SECOND);
    assert_eq!(happened(&net), [(1, 5, Calling::Lapsed)]);
    assert_eq!(net.received(1), [0], "the message arrives all the same");
}

#[test]
fn who_is_offline_takes_no_call() {
    let mut net = Net::connected(&AgentConfig::default());
    ring(&mut net, 0, CALL);
    net.run_for(SECOND);
    net.act(1, |agent, now| agent.go_offline(now));
    net.act(1, |agent, now| agent.take_call(CONTACT, CALL, now));
    assert_eq!(happened(&net), [(1, 5, Calling::Rings), (1, 5, Calling::Lapsed)]);
}

/// The caller was without a network when the offer came, for longer than it would have waited.
#[test]
fn an_offer_that_comes_too_late_is_not_answered() {
    let mut net = Net::connected(&AgentConfig::default());
    ring(&mut net, 0, CALL);
    net.run_for(SECOND);
    net.act(0, |agent, now| agent.go_offline(now));
    net.act(1, |agent, now| agent.take_call(CONTACT, CALL, now));
    net.run_for(200 * SECOND);
    net.act(0, |agent, now| agent.go_online(now));
    net.run_for(SECOND);
    let expected = [(1, 5, Calling::Rings), (1, 5, Calling::Offered(0)), (0, 5, Calling::Lapsed)];
    assert_eq!(happened(&net), expected);
}

/// Both call at the same time: each side's call takes the place of the other's, and neither is set up.
#[test]
fn a_newer_call_takes_the_place_of_another() {
    let mut net = Net::connected(&AgentConfig::default());
    ring(&mut net, 0, CALL);
    ring(&mut net, 1, CallNo(6));
    net.run_for(SECOND);
    net.act(1, |agent, now| agent.take_call(CONTACT, CALL, now));
    net.act(0, |agent, now| agent.take_call(CONTACT, CallNo(6), now));
    net.run_for(SECOND);
    let mut ends = happened(&net);
    ends.retain(|(.., what)| matches!(what, Calling::SetUp | Calling::Lapsed));
    ends.sort_by_key(|(agent, ..)| *agent);
    assert_eq!(ends, [(0, 5, Calling::Lapsed), (1, 6, Calling::Lapsed)]);
}

/// The answer to an offer got lost: it is sent again, and changes nothing.
#[test]
fn a_signal_that_comes_again_changes_nothing() {
    let mut net = Net::connected(&AgentConfig::default());
    net.fates = vec![("Invitation", Fate::AnswerLost)];
    ring(&mut net, 0, CALL);
    net.run_for(20 * SECOND);
    net.fates.clear();
    net.act(1, |agent, now| agent.take_call(CONTACT, CALL, now));
    net.run_for(60 * SECOND);
    assert!(net.noted(Noted::Duplicate) > 0);
    assert_eq!(happened(&net).len(), 4);
    assert_eq!(happened(&net)[3], (1, 5, Calling::SetUp));
}
