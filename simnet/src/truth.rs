//! What really happened in a run. Attacks are scored against it and never see it: no type here is reachable
//! from [`crate::observe`].

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};
use sxlab_protocol::wire::EntityId;

use crate::network::{RouterIdx, UserIdx};
use crate::observe::{TraceHash, put_text};
use crate::population::ConversationId;

/// The truth about one run under one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// The conversations, by [`ConversationId`].
    pub conversations: Vec<TrueConversation>,
    /// Queues that took the place of others, by conversation, receiver and time.
    pub later_queues: Vec<LaterQueue>,
    /// The addresses that users' clients connected from, in the order of time.
    pub addresses: Vec<AddressUse>,
    /// Messages accepted by a client for sending.
    pub sent: Vec<SentMessage>,
    /// Messages that a client received, decrypted and found to be what was sent.
    pub deliveries: Vec<Delivery>,
    /// Calls, in the order of time.
    pub calls: Vec<TrueCall>,
}

/// A call between contacts: its messages are among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrueCall {
    /// When the caller's client was told to call, in nanoseconds from the beginning of the run.
    pub begun_at_ns: u64,
    /// The conversation.
    pub conversation: ConversationId,
    /// Whether its inviter called.
    pub from_a: bool,
    /// When who took it had the caller's answer, if it was set up.
    pub set_up_at_ns: Option<u64>,
}

/// A client's address. Ports are used again, so each use counts from its time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressUse {
    /// When the client connected, in nanoseconds from the beginning of the run.
    pub at_ns: u64,
    /// Address and port, as a router's socket reports them.
    pub address: String,
    /// Whose client it is.
    pub user: UserIdx,
}

/// A conversation and its two queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueConversation {
    /// Its id.
    pub id: ConversationId,
    /// Who invited.
    pub a: UserIdx,
    /// Who joined.
    pub b: UserIdx,
    /// The queue on which A receives: the connection's first.
    pub to_a: TrueQueue,
    /// The queue on which B receives: the reply queue.
    pub to_b: TrueQueue,
}

impl TrueConversation {
    /// The queue that a message travels through: from the inviter, or from the joiner.
    pub fn queue(&self, from_a: bool) -> &TrueQueue {
        if from_a { &self.to_b } else { &self.to_a }
    }
}

/// A queue that took the place of another, when its recipient's client moved to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaterQueue {
    /// The conversation.
    pub conversation: ConversationId,
    /// Whether its inviter receives on it.
    pub to_a: bool,
    /// The queue.
    pub queue: TrueQueue,
}

/// A queue and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueQueue {
    /// The router that holds it.
    pub router: RouterIdx,
    /// By which the receiver names it.
    pub recipient_id: EntityId,
    /// By which the sender names it.
    pub sender_id: EntityId,
    /// The proxies that the sender used, in the order of first use; another after each new session.
    pub proxies: Vec<RouterIdx>,
}

/// Which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageKey {
    /// The conversation.
    pub conversation: ConversationId,
    /// Whether its inviter sent it.
    pub from_a: bool,
    /// Its number in this direction.
    pub seq: u32,
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.from_a { "inviter" } else { "joiner" };
        write!(f, "conversation {} {side} #{}", self.conversation.0, self.seq)
    }
}

/// A message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SentMessage {
    /// Which.
    pub key: MessageKey,
    /// When its client took it, in nanoseconds from the beginning of the run.
    pub at_ns: u64,
    /// The proxy through which it was accepted, once it was.
    pub proxy: Option<RouterIdx>,
}

/// A message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delivery {
    /// Which.
    pub key: MessageKey,
    /// When its client took it, in nanoseconds from the beginning of the run.
    pub sent_at_ns: u64,
    /// When the receiver's client had it decrypted.
    pub received_at_ns: u64,
}

impl Truth {
    /// Whose client was at this address at this time.
    pub fn user_at(&self, address: &str, at_ns: u64) -> Option<UserIdx> {
        let before = self.addresses.iter().take_while(|used| used.at_ns <= at_ns);
        before.filter(|used| used.address == address).last().map(|used| used.user)
    }

    /// Compares what was sent with what was received.
    pub fn completeness(&self) -> Completeness {
        let mut count: BTreeMap<MessageKey, (u32, u32)> = BTreeMap::new();
        for sent in &self.sent {
            count.entry(sent.key).or_default().0 += 1;
        }
        for delivery in &self.deliveries {
            count.entry(delivery.key).or_default().1 += 1;
        }
        let keys = |wrong: fn(u32, u32) -> bool| {
            count
                .iter()
                .filter(|(_, (sent, received))| wrong(*sent, *received))
                .map(|(key, _)| *key)
                .collect()
        };
        Completeness {
            sent: self.sent.len(),
            received: self.deliveries.len(),
            missing: keys(|sent, received| sent > 0 && received == 0),
            repeated: keys(|_, received| received > 1),
            never_sent: keys(|sent, received| sent == 0 && received > 0),
            sent_twice: keys(|sent, _| sent > 1),
        }
    }

    /// The hash over conversations, messages and deliveries, for a run's trace hash.
    pub fn trace_hash(&self) -> TraceHash {
        let mut out = Vec::new();
        for conversation in &self.conversations {
            let TrueConversation { id, a, b, to_a, to_b } = conversation;
            for number in [id.0, a.0, b.0] {
                out.extend_from_slice(&number.to_be_bytes());
            }
            put_queue(&mut out, to_a);
            put_queue(&mut out, to_b);
        }
        for LaterQueue { conversation, to_a, queue } in &self.later_queues {
            out.extend_from_slice(&conversation.0.to_be_bytes());
            out.push(u8::from(*to_a));
            put_queue(&mut out, queue);
        }
        let mut parts = Sha256::new();
        let mut part = |bytes: &[u8]| parts.update(Sha256::digest(bytes));
        part(&out);
        out.clear();
        for AddressUse { at_ns, address, user } in &self.addresses {
            out.extend_from_slice(&at_ns.to_be_bytes());
            put_text(&mut out, address.as_bytes());
            out.extend_from_slice(&user.0.to_be_bytes());
        }
        part(&out);
        out.clear();
        for SentMessage { key, at_ns, proxy } in &self.sent {
            put_key(&mut out, *key);
            out.extend_from_slice(&at_ns.to_be_bytes());
            out.extend_from_slice(&proxy.map_or(u64::MAX, |proxy| u64::from(proxy.0)).to_be_bytes());
        }
        part(&out);
        out.clear();
        for Delivery { key, sent_at_ns, received_at_ns } in &self.deliveries {
            put_key(&mut out, *key);
            out.extend_from_slice(&sent_at_ns.to_be_bytes());
            out.extend_from_slice(&received_at_ns.to_be_bytes());
        }
        part(&out);
        if !self.calls.is_empty() {
            out.clear();
            for TrueCall { begun_at_ns, conversation, from_a, set_up_at_ns } in &self.calls {
                out.extend_from_slice(&begun_at_ns.to_be_bytes());
                out.extend_from_slice(&conversation.0.to_be_bytes());
                out.push(u8::from(*from_a));
                out.extend_from_slice(&set_up_at_ns.unwrap_or(u64::MAX).to_be_bytes());
            }
            part(&out);
        }
        TraceHash(parts.finalize().into())
    }
}

fn put_queue(out: &mut Vec<u8>, queue: &TrueQueue) {
    let TrueQueue { router, recipient_id, sender_id, proxies } = queue;
    out.extend_from_slice(&router.0.to_be_bytes());
    put_text(out, recipient_id.as_bytes());
    put_text(out, sender_id.as_bytes());
    put_text(out, &proxies.iter().flat_map(|proxy| proxy.0.to_be_bytes()).collect::<Vec<u8>>());
}

fn put_key(out: &mut Vec<u8>, key: MessageKey) {
    out.extend_from_slice(&key.conversation.0.to_be_bytes());
    out.push(u8::from(key.from_a));
    out.extend_from_slice(&key.seq.to_be_bytes());
}

/// Whether every message that was sent was received exactly once. Shown as a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Messages sent.
    pub sent: usize,
    /// Messages received, each as often as it was.
    pub received: usize,
    /// Sent and not received.
    pub missing: Vec<MessageKey>,
    /// Received more than once.
    pub repeated: Vec<MessageKey>,
    /// Received without being sent.
    pub never_sent: Vec<MessageKey>,
    /// Recorded as sent more than once: the engine's own mistake.
    pub sent_twice: Vec<MessageKey>,
}

impl Completeness {
    /// Whether nothing is wrong.
    pub fn is_complete(&self) -> bool {
        let Self { sent, received, missing, repeated, never_sent, sent_twice } = self;
        let wrong = [missing, repeated, never_sent, sent_twice];
        wrong.iter().all(|keys| keys.is_empty()) && sent == received
    }
}

impl fmt::Display for Completeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_complete() {
            return write!(f, "{} messages sent, every one received exactly once", self.sent);
        }
        write!(f, "{} messages sent, {} received", self.sent, self.received)?;
        for (what, keys) in [
            ("never received", &self.missing),
            ("received more than once", &self.repeated),
            ("received but never sent", &self.never_sent),
            ("recorded as sent more than once", &self.sent_twice),
        ] {
            if keys.is_empty() {
                continue;
            }
            let shown: Vec<String> = keys.iter().take(3).map(MessageKey::to_string).collect();
            let more = if keys.len() > shown.len() { ", …" } else { "" };
            write!(f, "; {} {what} ({}{more})", keys.len(), shown.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn key(seq: u32) -> MessageKey {
        MessageKey { conversation: ConversationId(3), from_a: true, seq }
    }

    fn truth(sent: &[u32], received: &[u32]) -> Truth {
        Truth {
            sent: sent.iter().map(|&seq| SentMessage { key: key(seq), at_ns: 1, proxy: None }).collect(),
            deliveries: received
                .iter()
                .map(|&seq| Delivery { key: key(seq), sent_at_ns: 1, received_at_ns: 2 })
                .collect(),
            ..Truth::default()
        }
    }

    #[test]
    fn every_message_received_exactly_once_is_complete() {
        let all = truth(&[0, 1, 2], &[2, 0, 1]).completeness();
        assert!(all.is_complete());
        assert_eq!(all.to_string(), "3 messages sent, every one received exactly once");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let report = truth(&[0, 1, 2, 3, 4, 5], &[0, 0, 9]).completeness();
        assert!(!report.is_complete());
        assert_eq!(
            report.to_string(),
            "6 messages sent, 3 received; 5 never received (conversation 3 inviter #1, conversation 3 inviter #2, \
             conversation 3 inviter #3, …); 1 received more than once (conversation 3 inviter #0); \
             1 received but never sent (conversation 3 inviter #9)"
        );
        assert!(!truth(&[0, 0], &[0, 0]).completeness().is_complete());
        // Equal totals hide nothing.
        assert!(!truth(&[0, 1], &[0, 0]).completeness().is_complete());
    }

    #[test]
    fn an_address_is_its_last_users() {
        let used = |at_ns, user| AddressUse { at_ns, address: "10.0.0.1:80".to_owned(), user: UserIdx(user) };
        let truth = Truth { addresses: vec![used(5, 1), used(9, 2)], ..Truth::default() };
        let at = |at_ns| truth.user_at("10.0.0.1:80", at_ns).map(|user| user.0);
        assert_eq!([at(4), at(5), at(8), at(9)], [None, Some(1), Some(1), Some(2)]);
        assert_eq!(truth.user_at("10.0.0.2:80", 9), None);
    }

    #[test]
    fn whatever_differs_changes_the_hash() {
        let base = truth(&[0], &[0]);
        let mut all = vec![base.clone(), truth(&[0], &[]), truth(&[1], &[0]), Truth::default()];
        let mut proxied = base.clone();
        proxied.sent[0].proxy = Some(RouterIdx(1));
        let mut later = base.clone();
        later.deliveries[0].received_at_ns += 1;
        let mut addressed = base;
        addressed.addresses.push(AddressUse {
            at_ns: 5,
            address: "192.168.0.1:9000".to_owned(),
            user: UserIdx(1),
        });
        let mut calling = all[0].clone();
        let call =
            TrueCall { begun_at_ns: 1, conversation: ConversationId(3), from_a: true, set_up_at_ns: None };
        calling.calls.push(call);
        let mut called = calling.clone();
        called.calls[0].set_up_at_ns = Some(2);
        all.extend([proxied, later, addressed, calling, called]);
        let hashes: BTreeSet<TraceHash> = all.iter().map(Truth::trace_hash).collect();
        assert_eq!(hashes.len(), all.len());
    }
}
