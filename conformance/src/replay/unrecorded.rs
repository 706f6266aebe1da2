//! Flows of hundreds of queues: of a block only the first, the second and the last transmission were recorded, of some
//! blocks only a summary, of making and deleting queues a remark.

use std::collections::BTreeMap;

use sxlab_protocol::crypto::boxes::open_padded;
use sxlab_protocol::crypto::keys::{AuthSecretKey, Ed25519Secret, X25519Secret};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue, NotifierKeys, QueueRequest};
use sxlab_protocol::smp::response::Response;
use sxlab_protocol::transport::{Unsigned, authorize, content, pack_one, read_transmission};
use sxlab_protocol::wire::{CorrId, EntityId};

use super::comparing::describe;
use super::driving::{Made, MadeNotifier, Replay};
use super::recording::{Direction, Step};
use super::sending::Side;
use super::{Mismatch, equal};

/// The queues that get a message, `m` and their number.
const WITH_MESSAGE: [usize; 5] = [0, 1, 150, 298, 299];

/// Queues of the flow of subscriptions.
const QUEUES: usize = 300;

/// Queues of the flow of notifications.
const NOTIFIED: usize = 100;

/// The number in a name such as `Q134.rcvId` or `n99.notifierId`.
fn queue_number(name: &str) -> Option<usize> {
    name.strip_prefix(['Q', 'n'])?.split('.').next()?.parse().ok()
}

fn seed(number: usize, kind: u8) -> [u8; 32] {
    let mut seed = [kind; 32];
    let (start, _) = seed.split_at_mut(8);
    start.copy_from_slice(&(number as u64).to_be_bytes());
    seed
}

fn key(number: usize, kind: u8) -> AuthSecretKey {
    Ed25519Secret::from_seed(seed(number, kind)).into()
}

impl Replay<'_> {
    fn own_side(&self, conn: &str) -> Result<Side, Mismatch> {
        let open = self.connections.get(conn).and_then(|connection| connection.open.as_ref());
        Ok(open.ok_or("there is no session")?.ours.clone())
    }

    fn named_key(&self, name: String, number: usize, kind: u8) -> AuthSecretKey {
        self.flow.keys.get(&name).cloned().unwrap_or_else(|| key(number, kind))
    }

    /// A queue whose keys follow from its number, made on `conn`; its ids.
    fn make_queue(
        &mut self,
        conn: &str,
        number: usize,
        subscribe: bool,
    ) -> Result<(EntityId, EntityId), Mismatch> {
        let key = self.named_key(format!("Q{number}.rcvAuth"), number, 1);
        let dh = X25519Secret::from_bytes(seed(number, 2));
        let new = Command::New(Box::new(NewQueue {
            auth_key: key.public(),
            dh_key: dh.public(),
            password: None,
            subscribe,
            queue: QueueRequest::Messaging(None),
            notifier: None,
        }));
        let Response::Ids(ids) = self.ask(conn, EntityId::EMPTY, &new, Some(&key))? else {
            return Err("a NEW without IDS".into());
        };
        self.known.made(self.flow, &format!("Q{number}.rcvId"), &ids.recipient, dh.dh(&ids.dh_key))?;
        self.made.push(Made { queue: ids.recipient.clone(), notifier: None, key });
        Ok((ids.recipient, ids.sender))
    }

    /// Makes the queues that a note tells of, and sends some a message.
    pub(super) fn make_queues(&mut self, step: &Step) -> Result<(), Mismatch> {
        for number in 0..QUEUES {
            let (_, sender) = self.make_queue(&step.conn, number, false)?;
            if WITH_MESSAGE.contains(&number) {
                self.send_message(&step.conn, sender, &format!("m{number}"), false)?;
            }
        }
        Ok(())
    }

    fn send_message(
        &mut self,
        conn: &str,
        sender: EntityId,
        body: &str,
        notification: bool,
    ) -> Result<(), Mismatch> {
        let send = Command::Send { flags: MsgFlags { notification }, body: body.as_bytes().to_vec() };
        match self.ask(conn, sender, &send, None)? {
            Response::Ok => Ok(()),
            answer => Err(Mismatch::said(format!("SEND is answered {}", answer.tag()))),
        }
    }

    /// Makes the queues with notifiers that a note tells of, and sends each a message to notify of.
    pub(super) fn make_notified_queues(&mut self, step: &Step) -> Result<(), Mismatch> {
        for number in 0..NOTIFIED {
            let (recipient, sender) = self.make_queue(&step.conn, number, false)?;
            let notifier = self.named_key(format!("n{number}.ntfAuth"), number, 3);
            let dh = X25519Secret::from_bytes(seed(number, 4));
            let keys = NotifierKeys { auth_key: notifier.public(), dh_key: dh.public() };
            let owner = self.named_key(format!("Q{number}.rcvAuth"), number, 1);
            let Response::Nid(ids) = self.ask(&step.conn, recipient, &Command::NKey(keys), Some(&owner))?
            else {
                return Err("an NKEY without NID".into());
            };
            if let Some(recorded) = self.flow.names.get(&format!("n{number}.notifierId")) {
                self.known.names.learn(recorded, ids.id.as_bytes())?;
            }
            if let Some(made) = self.made.last_mut() {
                let secret = dh.dh(&ids.dh_key);
                made.notifier = Some(MadeNotifier { id: ids.id, key: notifier, secret, told: None });
            }
            self.send_message(&step.conn, sender, "m", true)?;
        }
        Ok(())
    }

    /// The key of a queue whose making was not recorded, and neither was its key.
    pub(super) fn made_key(&self, recorded: &EntityId) -> Option<AuthSecretKey> {
        let ours = self.known.names.ours(recorded.as_bytes());
        let made = self.made.iter().find(|made| made.queue.as_bytes() == ours)?;
        made.notifier.as_ref().map(|_| made.key.clone())
    }

    /// Whether the step is one of the notifications of queues whose making was not recorded.
    pub(super) fn is_notified(&self, step: &Step) -> bool {
        step.text.starts_with("NMSG") && self.made.iter().any(|made| made.notifier.is_some())
    }

    /// Which notification comes when is free: each comes once, from a notifier that was made, and is of the recorded
    /// length.
    pub(super) fn notified(&mut self, step: &Step) -> Result<(), Mismatch> {
        let side = self.own_side(&step.conn)?;
        let current = self.connections.get_mut(&step.conn).and_then(|connection| connection.current.as_mut());
        let (_, items) = current.ok_or("no block")?;
        let recorded = step.length();
        for item in items {
            let received = read_transmission(&side.session, item)?;
            equal("length", item.len(), recorded)?;
            let Response::Nmsg { nonce, meta } = Response::decode(&received.command, &side.session.layout)?
            else {
                return Err("not NMSG".into());
            };
            let made = self
                .made
                .iter_mut()
                .find(|made| made.notifier.as_ref().is_some_and(|notifier| notifier.id == received.entity));
            let notifier = made.and_then(|made| made.notifier.as_mut()).ok_or("an unknown notifier")?;
            open_padded(&notifier.secret, &nonce, &meta)?;
            // The block's last step finds those of its first one.
            let block = step.block.unwrap_or_default();
            if notifier.told.is_some_and(|told| told != block) {
                return Err("a notification that came before".into());
            }
            notifier.told = Some(block);
        }
        Ok(())
    }

    /// After the last recorded DEL, deletes the queues whose deletion was not recorded.
    pub(super) fn delete_rest(&mut self, step: &Step) -> Result<(), Mismatch> {
        if self.made.iter().all(|made| made.notifier.is_none()) {
            return Ok(());
        }
        let recorded: Vec<_> = self.flow.steps.iter().filter(|step| step.text == "DEL").collect();
        if recorded.last().is_none_or(|last| last.corr != step.corr) {
            return Ok(());
        }
        let rest = self.made.iter().skip(recorded.len());
        let rest: Vec<_> = rest.map(|made| (made.queue.clone(), made.key.clone())).collect();
        for (queue, key) in rest {
            match self.ask(&step.conn, queue, &Command::Del, Some(&key))? {
                Response::Ok => {}
                answer => return Err(Mismatch::said(format!("DEL is answered {}", answer.tag()))),
            }
        }
        Ok(())
    }

    fn ask(
        &mut self,
        conn: &str,
        entity: EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> Result<Response, Mismatch> {
        let side = self.own_side(conn)?;
        let mut encoded = Vec::new();
        command.encode(&side.session.layout, &mut encoded)?;
        let unsigned = Unsigned { corr: CorrId::new(b"unrecorded")?, entity, command: encoded };
        let item =
            authorize(&side.session, &unsigned, key, None).map_err(|e| Mismatch::said(e.to_string()))?;
        self.write(conn, &pack_one(&item).map_err(|e| Mismatch::said(e.to_string()))?)?;
        let items = self.read(conn)?;
        let [item] = items.as_slice() else { return Err("more than one answer".into()) };
        let received = read_transmission(&side.session, item)?;
        Ok(Response::decode(&received.command, &side.session.layout)?)
    }

    /// SUB or NSUB of `count` queues from `first` on, with the recorded correlation ids of those that have any.
    fn subscriptions(
        &self,
        first: usize,
        count: usize,
        block: Option<&Step>,
        side: &Side,
    ) -> Result<Vec<Vec<u8>>, Mismatch> {
        let made = self.made.get(first..first + count).ok_or("queues that were not made")?;
        let notified = block.is_some_and(|step| step.text.starts_with("NSUB"));
        let one = |(at, made): (usize, &Made)| {
            let recorded = self
                .flow
                .steps
                .iter()
                .find(|step| block.is_some_and(|block| step.block == block.block) && step.item == at);
            let corr = match recorded.and_then(|step| step.corr.as_deref()) {
                Some(corr) => CorrId::new(corr)?,
                None => CorrId::new(format!("unrecorded {at}").as_bytes())?,
            };
            let (entity, key, command) = match &made.notifier {
                Some(notifier) if notified => (notifier.id.clone(), &notifier.key, b"NSUB".to_vec()),
                _ => (made.queue.clone(), &made.key, b"SUB".to_vec()),
            };
            let unsigned = Unsigned { corr, entity, command };
            authorize(&side.session, &unsigned, Some(key), None).map_err(|e| Mismatch::said(e.to_string()))
        };
        made.iter().enumerate().map(one).collect()
    }

    /// The `of` transmissions of a block of which some were recorded.
    pub(super) fn unrecorded_items(
        &self,
        step: &Step,
        of: usize,
        side: &Side,
    ) -> Result<Vec<Vec<u8>>, Mismatch> {
        match queue_number(&step.entity) {
            Some(first) if step.text.starts_with("SUB") || step.text.starts_with("NSUB") => {
                self.subscriptions(first, of, Some(step), side)
            }
            _ => Err(Mismatch::said(format!("the block's {of} items were not all recorded"))),
        }
    }

    /// Sends the blocks that were sent after the last recorded one of this connection.
    pub(super) fn unrecorded_blocks(&mut self, at: usize, step: &Step, side: &Side) -> Result<(), Mismatch> {
        let of_connection =
            |other: &&Step| other.conn == step.conn && other.dir == Direction::Send && other.of.is_some();
        let later = |other: &Step| other.block > step.block;
        let is_last = !self.flow.from(at).iter().filter(of_connection).any(later);
        if step.of.is_none() || !is_last || step.text.starts_with("NSUB") {
            return Ok(());
        }
        let sent = self.flow.before(at + 1).iter().filter(of_connection);
        let recorded: BTreeMap<_, _> =
            sent.map(|other| (other.block, other.of.unwrap_or_default())).collect();
        let mut sizes: Vec<usize> = recorded.values().copied().collect();
        if step.text == "SUB" {
            sizes.clone_from(&self.flow.sizes.sent);
        } else {
            // A takeover: as many as were told that it happened.
            let all: usize = self.flow.sizes.ended.iter().sum();
            let rest = all.saturating_sub(sizes.iter().sum());
            if rest > 0 {
                sizes.push(rest);
                self.unanswered.insert(step.conn.clone(), rest);
            }
        }
        let mut first: usize = sizes.iter().take(recorded.len()).sum();
        for size in sizes.iter().skip(recorded.len()) {
            let items = self.subscriptions(first, *size, None, side)?;
            first += size;
            let content =
                content(items.iter().map(Vec::as_slice)).map_err(|e| Mismatch::said(e.to_string()))?;
            self.write(&step.conn, &content)?;
        }
        Ok(())
    }

    /// Reads the answers that came last on a connection and were not recorded.
    pub(super) fn unrecorded_answers(&mut self, conn: &str) -> Result<(), Mismatch> {
        let Some(count) = self.unanswered.remove(conn) else { return Ok(()) };
        let items = self.read(conn)?;
        let side = self.own_side(conn)?;
        let good = items.iter().all(|item| {
            let answer = read_transmission(&side.session, item)
                .and_then(|received| Response::decode(&received.command, &side.session.layout));
            matches!(answer, Ok(Response::Ok | Response::Sok { service: None }))
        });
        let all = good && items.len() == count;
        if all { Ok(()) } else { Err(Mismatch::said(format!("not {count} subscriptions"))) }
    }

    /// Reads the blocks that came before a step's on its connection and of which only a summary was recorded.
    pub(super) fn skip_unrecorded(&mut self, step: &Step) -> Result<(), Mismatch> {
        let steps_of = |block: u64| self.flow.steps.iter().find(|step| step.block == Some(block));
        let here = self.flow.sizes.received.iter().filter_map(|summary| steps_of(summary.block));
        if !here.into_iter().any(|other| other.conn == step.conn) {
            return Ok(());
        }
        let current = self.connections.get(&step.conn).and_then(|connection| connection.current.as_ref());
        let last = current.map_or(0, |(block, _)| *block);
        for summary in &self.flow.sizes.received {
            let at = summary.block;
            if at <= last || Some(at) >= step.block || steps_of(at).is_some() {
                continue;
            }
            let items = self.read(&step.conn)?;
            let side = self.own_side(&step.conn)?;
            let names = &self.known.names;
            let all: Vec<_> = items.iter().map(|item| describe(item, &side.session, names)).collect();
            let (tag, count) = summary.tags.first().ok_or("no tags")?;
            let tag = if tag == "SOK" && !side.session.layout.sok { "OK" } else { tag };
            let of_queue = |item: &[u8], name: &str| {
                let queue = queue_number(name).and_then(|number| self.made.get(number));
                read_transmission(&side.session, item)
                    .is_ok_and(|r| queue.is_some_and(|q| q.queue == r.entity))
            };
            let equal = all.len() == *count
                && all.iter().all(|item| item.starts_with(&format!("{tag} ")))
                && items.first().is_some_and(|item| of_queue(item, &summary.first))
                && items.last().is_some_and(|item| of_queue(item, &summary.last));
            if !equal {
                let shown = all.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
                return Err(Mismatch::of(
                    "block",
                    format!("{} items: {shown}", all.len()),
                    format!("{count} {tag} from {} to {}", summary.first, summary.last),
                ));
            }
        }
        Ok(())
    }
}
