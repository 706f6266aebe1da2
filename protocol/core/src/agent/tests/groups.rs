//! Groups: joining, what the host passes on until members are connected, history.

use super::*;

const GROUP: GroupNo = GroupNo(7);

/// The contact of agent 0, the host, with another agent,
fn outside(agent: u32) -> ContactNo {
    ContactNo(agent)
}

/// and the contact of two members: the host is member 0.
fn pair(a: u32, b: u32) -> ContactNo {
    ContactNo(100 + 10 * a.min(b) + a.max(b))
}

/// So many agents, agent 0 in contact with all others.
fn net(agents: u32, config: &AgentConfig) -> Net {
    let mut net = Net::new(config);
    for _ in 2..agents {
        let choose = InOrder { storage: vec![2, 1], proxies: vec![3, 4, 5], picked: 0 };
        net.agents.push(Agent::new(config.clone(), choose));
    }
    for agent in 1..agents {
        net.invited = agent as usize;
        net.act(0, |host, now| host.invite(outside(agent), now));
        net.run_for(SECOND);
    }
    net.forget();
    net
}

/// The host invites the next member.
fn invite(net: &mut Net, member: u32) {
    let pairs: Vec<_> = (1..member).map(|other| pair(other, member)).collect();
    net.act(0, |host, now| host.invite_to_group(GROUP, outside(member), pair(0, member), &pairs, now));
}

fn group(members: u32, config: &AgentConfig) -> Net {
    let mut net = net(members, config);
    for member in 1..members {
        invite(&mut net, member);
        net.run_for(10 * SECOND);
    }
    net
}

/// A member's message to the group of so many members.
fn say(net: &mut Net, by: u32, members: u32, number: u32) {
    let to: Vec<_> = (0..members).filter(|other| *other != by).map(|other| pair(by, other)).collect();
    let host = (by != 0).then(|| pair(0, by));
    net.act(by as usize, |agent, now| agent.send_to_group(host, &to, number, 100, now));
}

/// Messages that a member received: from whom, with their numbers.
fn heard(net: &Net, by: u32) -> Vec<(u32, u32)> {
    let told = net.told.iter().filter(|(agent, _)| *agent == by as usize);
    let mut heard: Vec<_> = told
        .filter_map(|(_, told)| match told {
            Output::Received { contact, number } => {
                let from = (0..10).find(|other| *other != by && pair(*other, by) == *contact)?;
                Some((from, *number))
            }
            _ => None,
        })
        .collect();
    heard.sort_unstable();
    heard
}

#[test]
fn a_new_member_is_connected_to_the_host_and_to_every_other() {
    let net = group(4, &AgentConfig::default());
    // Six pairs, both sides of each.
    assert_eq!(net.established().len(), 12);
    let sent = |what: &str| net.count(what);
    assert_eq!((sent("Invitation"), sent("New("), sent("Introduction")), (3, 3, 3));
    assert_eq!((sent("Group(Address"), sent("Passed"), sent("Connected")), (3, 3, 6));
    assert!(net.failures().is_empty());
}

#[test]
fn members_who_are_invited_together_are_connected_too() {
    let mut net = net(5, &AgentConfig::default());
    for member in 1..5 {
        invite(&mut net, member);
    }
    net.run_for(60 * SECOND);
    assert_eq!(net.established().len(), 20);
    assert!(net.failures().is_empty());
}

#[test]
fn a_message_to_the_group_is_one_for_each_member() {
    let mut net = group(4, &AgentConfig { receipts: false, ..AgentConfig::default() });
    net.forget();
    say(&mut net, 1, 4, 0);
    net.run_for(SECOND);
    assert_eq!((net.count("SEND"), net.count("Message 0")), (3, 3));
    for member in [0, 2, 3] {
        assert_eq!(heard(&net, member), [(1, 0)]);
    }
    let accepted = net.told.iter().filter(|(_, told)| matches!(told, Output::Accepted { .. })).count();
    assert_eq!(accepted, 3);
}

/// Members write all the time while another joins: everything comes once, first through the host.
#[test]
fn the_host_passes_on_until_members_are_connected() {
    let mut net = group(4, &AgentConfig::default());
    let choose = InOrder { storage: vec![2, 1], proxies: vec![3, 4, 5], picked: 0 };
    net.agents.push(Agent::new(AgentConfig::default(), choose));
    net.invited = 4;
    net.act(0, |host, now| host.invite(outside(4), now));
    net.run_for(SECOND);
    net.forget();
    invite(&mut net, 4);
    for number in 0..60 {
        for member in 0..5 {
            say(&mut net, member, 5, number);
        }
        net.run_for(170 * MS);
    }
    net.run_for(60 * SECOND);
    for member in 0..5 {
        let others = (0..5).filter(|other| *other != member);
        let all: Vec<_> = others.flat_map(|other| (0..60).map(move |number| (other, number))).collect();
        assert_eq!(heard(&net, member), all, "member {member}");
    }
    let forwarded = net.noted(Noted::Forwarded);
    assert!((10..360).contains(&forwarded), "{forwarded} of 60 from and to each of three");
    assert_eq!(net.count("Forward("), forwarded);
    let accepted = net.told.iter().filter(|(_, told)| matches!(told, Output::Accepted { .. })).count();
    assert_eq!(accepted, 60 * 20);
    assert!(net.failures().is_empty());
}

#[test]
fn everything_comes_once_though_answers_are_lost_while_one_joins() {
    for lost in ["Invitation", "Introduction", "Group(Address", "Passed", "Connected", "Forward(", "New("] {
        let mut net = group(3, &AgentConfig::default());
        let choose = InOrder { storage: vec![2, 1], proxies: vec![3, 4, 5], picked: 0 };
        net.agents.push(Agent::new(AgentConfig::default(), choose));
        net.invited = 3;
        net.act(0, |host, now| host.invite(outside(3), now));
        net.run_for(SECOND);
        net.forget();
        net.fates.push((lost, Fate::AnswerLost));
        invite(&mut net, 3);
        for number in 0..40 {
            for member in 0..4 {
                say(&mut net, member, 4, number);
            }
            net.run_for(100 * MS);
        }
        assert!(net.count(lost) > 0, "{lost}");
        net.fates.clear();
        net.run_for(200 * SECOND);
        for member in 0..4 {
            assert_eq!(heard(&net, member).len(), 3 * 40, "{lost}, member {member}");
        }
        assert_eq!(net.established().len(), 6, "{lost}");
        assert!(net.failures().is_empty(), "{lost}");
    }
}

#[test]
fn a_new_member_gets_up_to_a_hundred_old_messages() {
    let mut net = group(3, &AgentConfig::default());
    for number in 0..70 {
        say(&mut net, 0, 3, number);
        say(&mut net, 1, 3, number);
        net.run_for(SECOND);
    }
    net.agents.push(Agent::new(
        AgentConfig::default(),
        InOrder { storage: vec![2, 1], proxies: vec![3, 4, 5], picked: 0 },
    ));
    net.invited = 3;
    net.act(0, |host, now| host.invite(outside(3), now));
    net.run_for(SECOND);
    net.forget();
    invite(&mut net, 3);
    net.run_for(10 * SECOND);
    let history: Vec<_> = net.lines.iter().filter(|line| line.contains("History")).collect();
    // 356 bytes each, of 15,602.
    assert_eq!(history.len(), 3, "{history:?}");
    let counts = [43, 43, 14];
    for count in counts {
        assert!(net.noted(Noted::History(count)) > 0, "{count}");
    }
}

#[test]
fn there_are_receipts_in_groups_of_up_to_twenty() {
    for (members, receipts) in [(20, 19), (21, 0)] {
        let mut net = net(members, &AgentConfig::default());
        for member in 1..members {
            let pairs: Vec<_> = (1..member).map(|other| ContactNo(1000 + 100 * other + member)).collect();
            let contact = ContactNo(1000 + member);
            net.act(0, |host, now| host.invite_to_group(GROUP, outside(member), contact, &pairs, now));
            net.run_for(20 * SECOND);
        }
        net.forget();
        let to: Vec<_> = (1..members).map(|member| ContactNo(1000 + member)).collect();
        net.act(0, |host, now| host.send_to_group(None, &to, 0, 100, now));
        net.run_for(SECOND);
        let got = net.told.iter().filter(|(_, told)| matches!(told, Output::Receipt { .. })).count();
        assert_eq!(got, receipts);
    }
}
