//! Queue rotation: the exchange, that nothing is lost or comes twice meanwhile, and what happens when answers are lost.

use super::*;

/// A network whose agents have more routers to receive on.
fn net() -> Net {
    let mut net = Net::connected(&AgentConfig { receipts: false, ..AgentConfig::default() });
    for agent in &mut net.agents {
        agent.choose.storage.extend([6, 7]);
    }
    net
}

fn rotate(net: &mut Net, agent: usize) {
    net.act(agent, |agent, now| agent.rotate(CONTACT, now));
}

#[test]
fn the_queue_moves_to_a_router_that_the_contact_does_not_use() {
    let mut net = net();
    rotate(&mut net, 0);
    net.run_for(SECOND);
    let mut lines = net.lines.clone();
    lines.retain(|line| !line.ends_with("ACK") && !line.ends_with("connect") && !line.contains("PRXY"));
    assert_eq!(
        lines,
        [
            "0 r6 NEW",
            "0 r3 SEND r2 Add",
            "1 r3 SEND r1 Key",
            "0 r6 KEY",
            "0 r3 SEND r2 Use",
            "1 r4 SEND r6 Test 0",
            "0 r1 DEL",
        ]
    );
    assert_eq!(net.noted(Noted::Rotated), 1);
    assert!(net.failures().is_empty());
    net.forget();
    net.send(1, 0);
    net.send(0, 0);
    net.run_for(SECOND);
    assert_eq!((net.received(0), net.received(1)), (vec![0], vec![0]));
    assert_eq!(net.count("SEND r6 Message 0"), 1);
}

#[test]
fn both_queues_can_move_again_and_again() {
    let mut net = net();
    for round in 0..5 {
        rotate(&mut net, 0);
        rotate(&mut net, 1);
        net.send(0, round);
        net.send(1, round);
        net.run_for(5 * SECOND);
    }
    assert_eq!(net.noted(Noted::Rotated), 10);
    let all = vec![0, 1, 2, 3, 4];
    assert_eq!((net.received(0), net.received(1)), (all.clone(), all));
    assert_eq!(net.queues.len(), 2, "old ones are deleted");
}

#[test]
fn everything_comes_once_and_in_order_while_the_queue_moves() {
    let mut net = net();
    for number in 0..40 {
        net.send(1, number);
        if number == 5 {
            rotate(&mut net, 0);
        }
        net.run_for(23 * MS);
    }
    net.run_for(10 * SECOND);
    assert_eq!(net.received(0), (0..40).collect::<Vec<_>>());
    assert_eq!(net.noted(Noted::Rotated), 1);
    assert!(net.failures().is_empty());
}

#[test]
fn it_comes_to_its_end_though_answers_are_lost() {
    for lost in ["NEW", "Add", "Key", "KEY", "Use", "Test", "DEL"] {
        let mut net = net();
        net.fates.push((lost, Fate::AnswerLost));
        rotate(&mut net, 0);
        net.run_for(SECOND);
        assert_eq!(net.count(lost), 1, "{lost}");
        net.send(1, 0);
        net.fates.clear();
        net.run_for(200 * SECOND);
        net.send(1, 1);
        net.run_for(SECOND);
        assert_eq!(net.received(0), [0, 1], "{lost}");
        assert_eq!(net.noted(Noted::Rotated), 1, "{lost}");
        assert!(net.failures().is_empty(), "{lost}: {:?}", net.failures());
    }
}

#[test]
fn it_comes_to_its_end_though_the_sessions_end() {
    for lost in ["NEW", "KEY", "DEL"] {
        let mut net = net();
        net.fates.push((lost, Fate::AnswerLost));
        rotate(&mut net, 0);
        net.run_for(SECOND);
        net.fates.clear();
        for router in [1, 6] {
            net.stop(router);
        }
        net.down.clear();
        net.run_for(10 * SECOND);
        assert_eq!(net.noted(Noted::Rotated), 1, "{lost}");
        assert!(net.failures().is_empty(), "{lost}: {:?}", net.failures());
    }
}

/// The old queue's router is away: what waits there comes before what came on the new one, and only then the queue is deleted.
#[test]
fn the_old_queue_is_emptied_before_it_is_deleted() {
    let mut net = net();
    rotate(&mut net, 0);
    net.fates.push(("1 r4 SEND r6 Test", Fate::Lost));
    net.run_for(SECOND);
    // One more on the old queue, that has not been delivered.
    let (old, _) = net.queues.iter().find(|(_, queue)| queue.router == 1).unwrap();
    let (old, link) = (*old, net.queues[old].subscriber);
    net.queues.get_mut(&old).unwrap().waiting.push_back((
        MsgId::new(b"of the old one").unwrap(),
        Some(Content::Message { number: 0, length: 100 }),
    ));
    let known = net.agents[1].contacts.get_mut(&CONTACT).unwrap();
    (known.sent, known.next) = (1, 1);
    assert!(link.is_some());
    net.fates.clear();
    // The sender's attempt was made before, so its test says 0: it is told again.
    net.agents[0].rotating.get_mut(&CONTACT).unwrap();
    net.act(0, |agent, now| agent.take_rotation(CONTACT, Rotation::Test(1), now));
    net.send(1, 1);
    net.run_for(40 * SECOND);
    assert_eq!(net.count("DEL"), 0);
    assert_eq!(net.received(0), [] as [u32; 0]);
    net.stop(1);
    net.down.clear();
    net.run_for(10 * SECOND);
    assert_eq!(net.received(0), [0, 1]);
    assert_eq!(net.count("DEL"), 1);
}
