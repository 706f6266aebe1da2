//! Sending: through the proxy of the destination, again after a failure, and while the queue is full.

use super::*;

#[test]
fn messages_go_one_after_the_other_and_come_in_order() {
    let mut net = Net::connected(&AgentConfig { receipts: false, ..AgentConfig::default() });
    for number in 0..5 {
        net.send(0, number);
    }
    net.run_for(10 * MS);
    assert_eq!(net.count("SEND"), 1);
    net.run_for(SECOND);
    assert_eq!(net.received(1), [0, 1, 2, 3, 4]);
    assert_eq!(net.count("PRXY"), 0, "by the relay's session that there is");
}

#[test]
fn without_proxies_messages_go_on_sessions_with_the_queues_routers() {
    let mut net = Net::connected(&AgentConfig { direct: true, ..AgentConfig::default() });
    net.send(0, 0);
    net.run_for(SECOND);
    assert_eq!(net.received(1), [0]);
    assert_eq!(net.count("0 r2 SEND r2 Message 0"), 1);
    net.stop(2);
    net.send(0, 1);
    net.run_for(SECOND);
    assert_eq!(net.received(1), [0]);
    net.down.clear();
    net.run_for(10 * SECOND);
    assert_eq!(net.received(1), [0, 1], "on another session");
    assert_eq!((net.count("PRXY"), net.count("r3")), (0, 0));
}

#[test]
fn a_message_whose_answer_was_lost_is_sent_again_and_recognised() {
    let mut net = Net::connected(&AgentConfig { receipts: false, ..AgentConfig::default() });
    net.fates.push(("Message 0", Fate::AnswerLost));
    net.send(0, 0);
    net.run_for(SECOND);
    net.fates.clear();
    net.run_for(40 * SECOND);
    assert_eq!(net.times_of("Message 0")[1] - net.times_of("Message 0")[0], 32_000);
    assert_eq!(net.received(1), [0]);
    assert_eq!((net.noted(Noted::Repeated), net.noted(Noted::Duplicate)), (1, 1));
}

#[test]
fn waits_between_attempts_grow_to_two_minutes() {
    let mut net = Net::connected(&AgentConfig::default());
    net.unreachable.insert(2);
    // New sessions at every attempt, so that nothing but the wait is between.
    for proxy in [3, 4, 5] {
        net.stop(proxy);
    }
    net.send(0, 0);
    net.run_for(3600 * SECOND);
    let mut times: Vec<u64> =
        [3, 4, 5].iter().flat_map(|r| net.times_of(&format!("0 r{r} connect"))).collect();
    times.sort_unstable();
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.iter().all(|wait| *wait <= 120_010), "{waits:?}");
    assert_eq!(waits.last(), Some(&120_010));
}

#[test]
fn another_proxy_is_picked_when_one_cannot_reach_the_destination() {
    let mut net = Net::connected(&AgentConfig::default());
    net.stop(3);
    net.run_for(SECOND);
    net.unreachable.insert(2);
    net.send(0, 0);
    net.run_for(SECOND);
    assert_eq!(net.count("0 r4 PRXY r2"), 1);
    net.unreachable.clear();
    net.run_for(10 * SECOND);
    assert_eq!(net.count("0 r5 SEND r2 Message 0"), 1);
    let proxies: Vec<_> = net
        .told
        .iter()
        .filter_map(|(agent, told)| match told {
            Output::Noted(Noted::Proxy(_, proxy)) if *agent == 0 => Some(proxy.0),
            _ => None,
        })
        .collect();
    assert_eq!(proxies, [4, 5], "each pick is told");
    assert!(net.told.contains(&(0, Output::Accepted { contact: CONTACT, number: 0, proxy: router(5) })));
}

#[test]
fn another_proxy_is_picked_when_the_session_with_one_ends() {
    let mut net = Net::connected(&AgentConfig { receipts: false, ..AgentConfig::default() });
    net.stop(3);
    net.run_for(SECOND);
    assert_eq!(net.count("0 r4 connect"), 0, "not before something is to be sent");
    net.send(0, 0);
    net.run_for(SECOND);
    assert_eq!(net.count("0 r4 SEND r2 Message 0"), 1);
    assert_eq!(net.received(1), [0]);
}

#[test]
fn a_relays_session_that_the_proxy_lost_is_asked_for_again_at_once() {
    let mut net = Net::connected(&AgentConfig { receipts: false, ..AgentConfig::default() });
    net.send(0, 0);
    // The proxy does not know the session any more.
    let link = *net.links.iter().find(|((agent, _), to)| *agent == 0 && **to == 3).unwrap().0;
    net.steps.clear();
    let error = Answer::Refused(SmpError::Proxy(ProxyError::NoSession));
    let asked = RequestNo(net.agents[0].next_request - 1);
    net.act(0, |agent, now| agent.answered(link.1, asked, error, now));
    net.run_for(SECOND);
    assert_eq!(net.lines, ["0 r3 PRXY r2", "0 r3 SEND r2 Message 0", "1 r2 ACK"]);
    assert_eq!(net.received(1), [0]);
}

#[test]
fn who_is_told_that_the_queue_is_full_goes_on_when_it_is_empty() {
    let mut net = Net::connected(&AgentConfig { receipts: false, ..AgentConfig::default() });
    net.quota = 2;
    net.stop(2);
    for number in 0..4 {
        net.send(0, number);
    }
    net.run_for(60 * SECOND);
    // Two fit, the third does not, and is tried again after five minutes if nothing is heard.
    assert_eq!((net.count("SEND"), net.noted(Noted::Quota)), (3, 1));
    net.down.clear();
    net.run_for(60 * SECOND);
    assert_eq!(net.count("1 r4 SEND r1 Continue") + net.count("1 r3 SEND r1 Continue"), 1);
    assert_eq!(net.received(1), [0, 1, 2, 3]);
}

#[test]
fn without_a_word_a_full_queue_is_tried_again_after_five_minutes_and_longer() {
    let mut net = Net::connected(&AgentConfig { receipts: false, ..AgentConfig::default() });
    net.quota = 0;
    net.send(0, 0);
    net.run_for(3600 * SECOND);
    let times = net.times_of("Message 0");
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits[..3], [300_020, 450_020, 675_020]);
}

#[test]
fn a_router_that_refuses_for_good_fails_the_contact() {
    let mut net = Net::connected(&AgentConfig::default());
    net.secured.clear();
    net.send(0, 0);
    net.run_for(SECOND);
    assert_eq!(net.failures(), [&Failure::Refused(SmpError::Auth)]);
}

#[test]
fn a_message_that_is_missing_is_noticed() {
    let mut net = Net::connected(&AgentConfig::default());
    net.agents[0].contacts.get_mut(&CONTACT).unwrap().next = 1;
    net.send(0, 1);
    net.run_for(SECOND);
    assert_eq!(net.failures(), [&Failure::Order { came: 1, due: 0 }]);
    assert_eq!(net.received(1), [] as [u32; 0]);
}
