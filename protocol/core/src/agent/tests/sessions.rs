//! Sessions: connecting again, subscribing again, pings, and when a session is given up.

use super::*;

#[test]
fn connecting_is_tried_again_with_longer_and_longer_waits() {
    let mut net = Net::connected(&AgentConfig::default());
    net.stop(1);
    net.run_for(60 * SECOND);
    let times = net.times_of("0 r1 connect");
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The first at once; each is refused after 10 ms.
    assert_eq!(waits[..7], [2_010, 2_010, 2_010, 2_010, 2_010, 3_010, 4_510]);
    net.run_for(3600 * SECOND);
    let times = net.times_of("0 r1 connect");
    assert_eq!(times[times.len() - 1] - times[times.len() - 2], 180_010, "at most three minutes");
    // Once it is there again, the next wait is the shortest again.
    net.down.clear();
    net.run_for(200 * SECOND);
    assert_eq!(net.count("0 r1 SUB"), 1);
    net.forget();
    net.stop(1);
    net.run_for(10 * SECOND);
    let times = net.times_of("0 r1 connect");
    assert_eq!(times[2] - times[1], 2_010);
}

#[test]
fn a_connection_that_is_not_made_in_time_is_given_up() {
    let mut net = Net::connected(&AgentConfig::default());
    net.stop(1);
    net.down.clear();
    net.fates.push(("0 r1 connect", Fate::Lost));
    net.run_for(100 * SECOND);
    let times = net.times_of("0 r1 connect");
    assert_eq!(times[1] - times[0], 47_000, "45 s for connecting and 2 s until the next attempt");
}

#[test]
fn all_queues_are_subscribed_to_again_in_batches_of_1350() {
    let mut net = Net::new(&AgentConfig::default());
    for contact in 0..2_000 {
        net.act(0, |agent, now| agent.invite(ContactNo(contact), now));
    }
    net.run_for(10 * SECOND);
    assert_eq!(net.established().len(), 4_000);
    net.forget();
    net.stop(1);
    net.down.clear();
    net.run_for(10 * SECOND);
    assert_eq!(net.batches, [1350, 650]);
    assert_eq!(net.count("0 r1 SUB"), 2_000);
    assert_eq!(net.noted(Noted::Resubscribed), 1, "a session, not a queue");
}

#[test]
fn what_waited_is_delivered_by_the_subscription() {
    let mut net = Net::connected(&AgentConfig::default());
    net.stop(2);
    net.send(0, 0);
    net.run_for(SECOND);
    assert_eq!(net.received(1), [] as [u32; 0]);
    net.down.clear();
    net.run_for(5 * SECOND);
    assert_eq!(net.received(1), [0]);
}

#[test]
fn a_queue_that_is_gone_fails_its_contact() {
    let mut net = Net::connected(&AgentConfig::default());
    net.queues.remove(&1);
    net.stop(1);
    net.down.clear();
    net.run_for(SECOND);
    assert_eq!(net.failures(), [&Failure::Refused(SmpError::Auth)]);
}

#[test]
fn only_sessions_with_subscriptions_are_kept_alive() {
    let mut net = Net::connected(&AgentConfig::default());
    net.run_for(1900 * SECOND);
    // Ten minutes after the last answer, and so on.
    for queue in ["0 r1 PING", "1 r2 PING"] {
        assert_eq!(net.count(queue), 3);
    }
    assert_eq!(net.count("r3 PING"), 0, "the proxy's session has none");
}

#[test]
fn a_word_of_the_router_puts_the_ping_off() {
    let mut net = Net::connected(&AgentConfig { receipts: false, ..AgentConfig::default() });
    for number in 0..4 {
        net.run_for(540 * SECOND);
        net.send(0, number);
    }
    assert_eq!(net.count("1 r2 PING"), 0);
    assert!(net.count("0 r1 PING") > 0);
}

/// Every ten minutes one, the time for its answer not counted; the deployed client needs half an hour to find a dead session.
#[test]
fn a_silent_session_is_given_up_when_the_third_ping_is_not_answered() {
    let mut net = Net::connected(&AgentConfig::default());
    net.fates.push(("0 r1 PING", Fate::Lost));
    net.run_for(3600 * SECOND);
    let pings = net.times_of("0 r1 PING");
    assert_eq!((pings[1] - pings[0], pings[2] - pings[1]), (630_000, 630_000));
    // They left 10 ms before.
    assert_eq!(net.times_of("0 r1 close")[0], pings[2] - 10 + 30_000);
    assert!(net.count("0 r1 SUB") >= 1, "and subscribed to again");
}

#[test]
fn no_session_is_given_up_before_the_window_has_passed() {
    let config = AgentConfig { ping_interval: 10 * SECOND, ping_count: 1, ..AgentConfig::default() };
    let mut net = Net::connected(&config);
    net.fates.push(("0 r1 PING", Fate::Lost));
    net.run_for(899 * SECOND);
    assert!(net.count("0 r1 PING") > 20);
    assert_eq!(net.count("0 r1 close"), 0);
    net.run_for(80 * SECOND);
    assert_eq!(net.count("0 r1 close"), 1);
}

#[test]
fn an_agent_whose_pings_are_counted_waits_for_nothing_once_everything_is_answered() {
    let config = AgentConfig { count_pings: true, ..AgentConfig::default() };
    let mut net = Net::connected(&config);
    assert_eq!(net.agents[0].next_timeout(), None);
    net.fates.push(("0 r3 SEND", Fate::Lost));
    net.send(0, 0);
    let due = net.now + config.request_timeout;
    assert_eq!(net.agents[0].next_timeout(), Some(due), "the answer may take that long");
    net.fates.clear();
    net.run_for(60 * SECOND);
    assert_eq!(net.received(1), [0], "sent again");
    assert_eq!(net.agents[0].next_timeout(), None);
}

/// A proxy's session has no subscriptions and gets no pings; that nothing is answered is noticed by the messages themselves.
#[test]
fn a_proxy_that_answers_nothing_is_given_up() {
    let mut net = Net::connected(&AgentConfig::default());
    net.fates.push(("0 r3 ", Fate::Lost));
    net.send(0, 0);
    net.run_for(1800 * SECOND);
    assert!(net.times_of("0 r3 close")[0] >= 900_000);
    assert_eq!(net.received(1), [0], "by another");
}
