//! What clients ask for, and what they get.

use sxlab_protocol::smp::command::NewQueue;
use sxlab_protocol::smp::forward::Relay;

use super::*;

impl World {
    pub fn core(&mut self, who: Who) -> &mut Client {
        match &mut self.clients[who].wire {
            Wire::Client(client) => client,
            Wire::Raw { .. } => panic!("a raw client"),
        }
    }

    /// Makes a request; it is written by the next [`World::drive`], in one block with others.
    pub fn post(
        &mut self,
        who: Who,
        entity: &EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> CorrId {
        self.core(who).request(entity.clone(), command, key).unwrap()
    }

    /// Makes a request and gives its answer.
    pub fn ask(
        &mut self,
        who: Who,
        entity: &EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> String {
        let corr = self.post(who, entity, command, key);
        self.drive();
        self.answer(who, &corr).expect("no answer").0
    }

    /// Takes the answer to a request out of what arrived.
    pub fn answer(&mut self, who: Who, corr: &CorrId) -> Option<(String, Option<Response>)> {
        let blocks = &mut self.clients[who].blocks;
        for block in blocks.iter_mut() {
            if let Some(at) = block.iter().position(|arrived| arrived.corr == *corr) {
                let arrived = block.remove(at);
                blocks.retain(|block| !block.is_empty());
                return Some((arrived.text, arrived.response));
            }
        }
        None
    }

    /// What arrived since it was last asked for, without the answers already taken.
    pub fn events(&mut self, who: Who) -> Vec<String> {
        self.blocks(who).concat()
    }

    /// The same, block by block.
    pub fn blocks(&mut self, who: Who) -> Vec<Vec<String>> {
        let blocks = std::mem::take(&mut self.clients[who].blocks);
        blocks.into_iter().map(|block| block.into_iter().map(|arrived| arrived.text).collect()).collect()
    }

    /// The same, with correlation id and entity.
    pub fn transmissions(&mut self, who: Who) -> Vec<(CorrId, EntityId, String)> {
        let blocks = std::mem::take(&mut self.clients[who].blocks);
        blocks.into_iter().flatten().map(|arrived| (arrived.corr, arrived.entity, arrived.text)).collect()
    }

    /// Asserts that the clients received, block by block, what the recorded connections did, but for blocks of one
    /// transmission that `skip` names.
    pub fn assert_as_recorded(&self, scenario: &str, version: u16, who: &[(&str, Who)], skip: &[&str]) {
        let Some(flow) = recorded::flow(scenario, version) else { return };
        for (connection, who) in who {
            let mut expected = recorded::received(&flow, connection);
            expected.retain(|block| !matches!(block.as_slice(), [tag] if skip.contains(&tag.as_str())));
            let received = &self.clients[*who].history;
            assert_eq!(*received, expected, "{scenario} at version {version}, connection {connection}");
        }
    }

    /// NEW; the answer in full.
    pub fn create(&mut self, who: Who, ask: &Ask) -> Result<TestQueue, String> {
        let key = AuthSecretKey::generate(ask.key, &mut self.rng);
        let dh = self.clients[who].key.clone();
        let command = Command::New(Box::new(NewQueue {
            auth_key: key.public(),
            dh_key: dh.public(),
            password: None,
            subscribe: ask.subscribe,
            queue: ask.queue.clone(),
            notifier: None,
        }));
        let corr = self.post(who, &EntityId::EMPTY, &command, Some(&key));
        self.drive();
        match self.answer(who, &corr).expect("no answer") {
            (_, Some(Response::Ids(ids))) => {
                self.secrets.insert(ids.recipient.clone(), dh.dh(&ids.dh_key));
                Ok(TestQueue { recipient: ids.recipient, sender: ids.sender, key })
            }
            (text, _) => Err(text),
        }
    }

    /// A messaging queue that the client is subscribed to.
    pub fn queue(&mut self, who: Who) -> TestQueue {
        self.create(who, &Ask::default()).unwrap()
    }

    /// A messaging queue that nobody is subscribed to.
    pub fn idle_queue(&mut self, who: Who) -> TestQueue {
        self.create(who, &Ask { subscribe: false, ..Ask::default() }).unwrap()
    }

    /// A recipient's command.
    pub fn recipient(&mut self, who: Who, queue: &TestQueue, command: Command) -> String {
        self.ask(who, &queue.recipient, &command, Some(&queue.key))
    }

    pub fn subscribe(&mut self, who: Who, queue: &TestQueue) -> String {
        self.recipient(who, queue, Command::Sub)
    }

    pub fn get(&mut self, who: Who, queue: &TestQueue) -> String {
        self.recipient(who, queue, Command::Get)
    }

    /// Acknowledges what this client got last from the queue.
    pub fn ack(&mut self, who: Who, queue: &TestQueue) -> String {
        let id = self.last(who, queue);
        self.recipient(who, queue, Command::Ack(id))
    }

    /// The id of what this client got last from the queue.
    pub fn last(&self, who: Who, queue: &TestQueue) -> MsgId {
        self.clients[who].last[&queue.recipient].clone()
    }

    /// An unsigned SEND.
    pub fn send(&mut self, who: Who, queue: &TestQueue, body: &str) -> String {
        self.ask(who, &queue.sender, &send(body), None)
    }

    pub fn send_signed(&mut self, who: Who, queue: &TestQueue, body: &str, key: &AuthSecretKey) -> String {
        self.ask(who, &queue.sender, &send(body), Some(key))
    }

    /// PRXY to the router with this number; PKEY as a relay, or the answer in text.
    pub fn relay(&mut self, who: Who, to: usize) -> Result<Relay, String> {
        let address = self.sites[to].address.clone();
        let corr = self.post_prxy(who, &address, None);
        self.drive();
        match self.answer(who, &corr).expect("no answer") {
            (_, Some(Response::Pkey { session, versions, chain, signed_key })) => {
                let seconds = self.now / SECOND;
                let identity = &address.identity;
                Ok(Relay::verify(&session, versions, &chain, &signed_key, identity, seconds).unwrap())
            }
            (text, _) => Err(text),
        }
    }

    pub fn post_prxy(&mut self, who: Who, address: &RouterAddress, password: Option<&str>) -> CorrId {
        let password = password.map(str::to_owned);
        let command = Command::Prxy { router: address.clone(), password };
        self.post(who, &EntityId::EMPTY, &command, None)
    }

    /// A forwarded command and its answer.
    pub fn forward(
        &mut self,
        who: Who,
        relay: &Relay,
        entity: &EntityId,
        command: &Command,
        key: Option<&AuthSecretKey>,
    ) -> String {
        let corr = self.core(who).forward(relay, entity.clone(), command, key).unwrap();
        self.drive();
        self.answer(who, &corr).expect("no answer").0
    }
}
