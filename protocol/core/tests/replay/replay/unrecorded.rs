//! Flows of hundreds of queues: of a block only the first, the second and the last transmission were recorded, of some
//! blocks only a summary.

use std::collections::BTreeMap;

use serde_json::Value;
use sxlab_protocol::crypto::keys::{Ed25519Secret, X25519Secret};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue, QueueRequest};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{Unsigned, authorize, content, pack_one, read_transmission};
use sxlab_protocol::wire::{CorrId, EntityId};

use super::{Made, Replay};
use crate::comparing::describe;
use crate::recorded::{bytes, text};
use crate::recording::number;
use crate::sending::Side;

/// The queues that get a message, `m` and their number.
const WITH_MESSAGE: [usize; 5] = [0, 1, 150, 298, 299];

const QUEUES: usize = 300;

/// The number in a name such as `Q134.rcvId`.
fn queue_number(name: &str) -> Option<usize> {
    name.strip_prefix('Q')?.split('.').next()?.parse().ok()
}

fn seed(number: usize, kind: u8) -> [u8; 32] {
    let mut seed = [kind; 32];
    seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
    seed
}

impl Replay<'_> {
    fn own_side(&self, conn: &str) -> Result<Side, String> {
        let open = self.connections.get(conn).and_then(|connection| connection.open.as_ref());
        Ok(open.ok_or("no session")?.ours.clone())
    }

    /// Makes the queues that a note tells of, and sends some a message.
    pub(super) fn make_queues(&mut self, step: &Value) -> Result<(), String> {
        let conn = text(step, "conn");
        let side = self.own_side(conn)?;
        for number in 0..QUEUES {
            let named = self.flow.keys.get(&format!("Q{number}.rcvAuth"));
            let key = named.cloned().unwrap_or_else(|| Ed25519Secret::from_seed(seed(number, 1)).into());
            let dh = X25519Secret::from_bytes(seed(number, 2));
            let new = Command::New(Box::new(NewQueue {
                auth_key: key.public(),
                dh_key: dh.public(),
                password: None,
                subscribe: false,
                queue: QueueRequest::Messaging(None),
                notifier: None,
            }));
            let Response::Ids(ids) = self.ask(conn, &side, EntityId::EMPTY, &new, Some(&key))? else {
                return Err("a NEW without IDS".to_owned());
            };
            let name = format!("Q{number}.rcvId");
            self.known.made(self.flow, &name, &ids.recipient, dh.dh(&ids.dh_key))?;
            self.made.push(Made { queue: ids.recipient, key });
            if WITH_MESSAGE.contains(&number) {
                let body = format!("m{number}").into_bytes();
                let send = Command::Send { flags: MsgFlags::default(), body };
                let answer = self.ask(conn, &side, ids.sender, &send, None)?;
                if answer != Response::Ok {
                    return Err(format!("SEND is answered {}", answer.tag()));
                }
            }
        }
        Ok(())
    }

    fn ask(
        &mut self,
        conn: &str,
        side: &Side,
        entity: EntityId,
        command: &Command,
        key: Option<&sxlab_protocol::crypto::keys::AuthSecretKey>,
    ) -> Result<Response, String> {
        let mut encoded = Vec::new();
        command.encode(&side.session.layout, &mut encoded).map_err(|e| e.to_string())?;
        let corr = CorrId::new(b"unrecorded").map_err(|e| e.to_string())?;
        let unsigned = Unsigned { corr, entity, command: encoded };
        let item = authorize(&side.session, &unsigned, key, None).map_err(|e| e.to_string())?;
        self.write(conn, &pack_one(&item).map_err(|e| e.to_string())?)?;
        let items = self.read(conn)?;
        let [item] = items.as_slice() else { return Err("more than one answer".to_owned()) };
        let received = read_transmission(&side.session, item).map_err(|e| e.to_string())?;
        Response::decode(&received.command, &side.session.layout).map_err(|e| e.to_string())
    }

    /// SUB of `count` queues from `first` on, with the recorded correlation ids of those that have any.
    fn subscriptions(
        &self,
        first: usize,
        count: usize,
        block: Option<&Value>,
        side: &Side,
    ) -> Result<Vec<Vec<u8>>, String> {
        let made = self.made.get(first..first + count).ok_or("queues that were not made")?;
        let one = |(at, made): (usize, &Made)| {
            let recorded = self.flow.steps.iter().find(|step| {
                block.is_some_and(|block| step["block"] == *block) && number(step, "item") as usize == at
            });
            let corr =
                recorded.map_or_else(|| format!("unrecorded {at}").into_bytes(), |r| bytes(&r["corr_id"]));
            let corr = CorrId::new(&corr).map_err(|e| e.to_string())?;
            let unsigned = Unsigned { corr, entity: made.queue.clone(), command: b"SUB".to_vec() };
            authorize(&side.session, &unsigned, Some(&made.key), None).map_err(|e| e.to_string())
        };
        made.iter().enumerate().map(one).collect()
    }

    /// The `of` transmissions of a block of which some were recorded.
    pub(super) fn unrecorded_items(
        &self,
        step: &Value,
        of: usize,
        side: &Side,
    ) -> Result<Vec<Vec<u8>>, String> {
        match queue_number(text(step, "entity")) {
            Some(first) if text(step, "text").starts_with("SUB") => {
                self.subscriptions(first, of, Some(&step["block"]), side)
            }
            _ => Err(format!("the block's {of} items were not all recorded")),
        }
    }

    /// Sends the blocks that were sent after the last recorded one of this connection.
    pub(super) fn unrecorded_blocks(&mut self, at: usize, step: &Value, side: &Side) -> Result<(), String> {
        let of_connection = |other: &&Value| {
            other["conn"] == step["conn"] && text(other, "dir") == "send" && other["of"].is_u64()
        };
        let block = step["block"].as_u64();
        let later = |other: &Value| other["block"].as_u64() > block;
        if !step["of"].is_u64() || self.flow.steps[at..].iter().filter(of_connection).any(later) {
            return Ok(());
        }
        let recorded: BTreeMap<_, _> = self.flow.steps[..=at]
            .iter()
            .filter(of_connection)
            .map(|other| (number(other, "block"), number(other, "of") as usize))
            .collect();
        let mut sizes: Vec<usize> = recorded.values().copied().collect();
        let extra = &self.flow.extra;
        if text(step, "text") == "SUB" {
            let sent = extra["sent_blocks"].as_array().into_iter().flatten();
            sizes = sent.map(|block| number(block, "items") as usize).collect();
        } else {
            // A takeover: as many as were told that it happened.
            let ended = extra["END_blocks_after_takeover_of_260"].as_array().into_iter().flatten();
            let all = ended.filter_map(Value::as_u64).sum::<u64>() as usize;
            let rest = all.saturating_sub(sizes.iter().sum());
            if rest > 0 {
                sizes.push(rest);
                self.unanswered.insert(text(step, "conn").to_owned(), rest);
            }
        }
        for block in recorded.len()..sizes.len() {
            let first = sizes[..block].iter().sum();
            let items = self.subscriptions(first, sizes[block], None, side)?;
            let content = content(items.iter().map(Vec::as_slice)).map_err(|e| e.to_string())?;
            self.write(text(step, "conn"), &content)?;
        }
        Ok(())
    }

    /// Reads the answers that came last on a connection and were not recorded.
    pub(super) fn unrecorded_answers(&mut self, conn: &str) -> Result<(), String> {
        let Some(count) = self.unanswered.remove(conn) else { return Ok(()) };
        let items = self.read(conn)?;
        let side = self.own_side(conn)?;
        let good = items.iter().all(|item| {
            let answer = read_transmission(&side.session, item)
                .and_then(|received| Response::decode(&received.command, &side.session.layout));
            matches!(answer, Ok(Response::Ok | Response::Sok { service: None }))
        });
        if good && items.len() == count { Ok(()) } else { Err(format!("not {count} subscriptions")) }
    }

    /// Reads the blocks that came before a step's on its connection and of which only a summary was recorded.
    pub(super) fn skip_unrecorded(&mut self, step: &Value) -> Result<(), String> {
        let conn = text(step, "conn");
        let Some(summary) = self.flow.extra["block_summary"].as_array() else { return Ok(()) };
        let steps_of = |block: u64| self.flow.steps.iter().find(|step| number(step, "block") == block);
        let here = summary.iter().filter_map(|block| steps_of(number(block, "block")));
        if !here.into_iter().any(|step| text(step, "conn") == conn) {
            return Ok(());
        }
        let last = self.connections[conn].current.as_ref().map_or(0, |(block, _)| *block);
        for block in summary {
            let at = number(block, "block");
            if at <= last || at >= number(step, "block") || steps_of(at).is_some() {
                continue;
            }
            let items = self.read(conn)?;
            let side = self.own_side(conn)?;
            let names = &self.known.names;
            let all: Vec<_> = items.iter().map(|item| describe(item, &side.session, names)).collect();
            let (tag, count) =
                block["tags"].as_object().and_then(|tags| tags.iter().next()).ok_or("no tags")?;
            let of_queue = |item: &[u8], name: &str| {
                let queue = queue_number(name).and_then(|number| self.made.get(number));
                read_transmission(&side.session, item)
                    .is_ok_and(|r| queue.is_some_and(|q| q.queue == r.entity))
            };
            let equal = Some(all.len() as u64) == count.as_u64()
                && all.iter().all(|item| item.starts_with(&format!("{tag} ")))
                && items.first().is_some_and(|item| of_queue(item, text(block, "first_entity")))
                && items.last().is_some_and(|item| of_queue(item, text(block, "last_entity")));
            if !equal {
                let shown = all.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
                return Err(format!("block {at} was {block}; got {} items: {shown}", all.len()));
            }
        }
        Ok(())
    }
}
