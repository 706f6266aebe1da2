//! Moves blocks between the ends of sessions, and time.

use sxlab_protocol::smp::client::ClientEvent;
use sxlab_protocol::smp::envelope::MessageBody;
use sxlab_protocol::smp::router::RouterEvent;
use sxlab_protocol::transport::{read_transmission, unpack};
use sxlab_protocol::wire::unpad;

use super::*;

impl World {
    /// Moves blocks until nothing moves any more. Time stands still.
    pub fn drive(&mut self) {
        while self.step() {}
    }

    /// One round of everything that is ready; whether there was anything.
    pub fn step(&mut self) -> bool {
        let mut moved = false;
        for site in 0..self.sites.len() {
            moved |= self.router_events(site);
            moved |= self.deliver_to_router(site);
        }
        for who in 0..self.clients.len() {
            moved |= self.write_client(who);
        }
        moved
    }

    fn router_events(&mut self, number: usize) -> bool {
        let mut moved = false;
        while let Some(event) = self.sites[number].core.poll() {
            moved = true;
            let site = &mut self.sites[number];
            match event {
                RouterEvent::Writable(session) => {
                    site.writable.insert(session);
                }
                RouterEvent::Close(session) => {
                    site.closed.insert(session);
                }
                RouterEvent::Dial { session, address } => {
                    self.dials.push((number, session, address));
                    if !self.hold_dials {
                        self.finish_dials();
                    }
                }
                RouterEvent::Resolve { lookup, name } => self.lookups.push((number, lookup, name)),
            }
        }
        for session in std::mem::take(&mut self.sites[number].writable) {
            let end = self.sites[number].ends.get(&session).copied();
            let reading = match end {
                Some(End::Client(who)) => self.clients[who].reading,
                _ => !self.sites[number].stalled.contains(&session),
            };
            if !reading {
                self.sites[number].writable.insert(session);
                continue;
            }
            while let Some(block) = self.sites[number].core.next_block(session) {
                moved = true;
                match end {
                    Some(End::Client(who)) => self.read_client(who, &block),
                    Some(End::Router(other, at)) => {
                        self.sites[other].inbox.entry(at).or_default().push_back(block);
                    }
                    None => {}
                }
            }
        }
        moved
    }

    fn deliver_to_router(&mut self, number: usize) -> bool {
        let (site, now) = (&mut self.sites[number], self.now);
        let mut moved = false;
        for (session, blocks) in &mut site.inbox {
            while site.core.wants_block(*session)
                && let Some(block) = blocks.pop_front()
            {
                site.core.block(*session, &block, now);
                moved = true;
            }
        }
        moved
    }

    fn read_client(&mut self, who: Who, block: &[u8]) {
        let device = &mut self.clients[who];
        let mut arrived = Vec::new();
        match &mut device.wire {
            Wire::Client(client) => {
                client.block(block).unwrap();
                while let Some(event) = client.poll() {
                    match event {
                        ClientEvent::Ready { .. } => {}
                        ClientEvent::Response { corr, entity, response } => {
                            arrived.push((corr, entity, response.ok(), ""));
                        }
                        ClientEvent::Forwarded { corr, response } => {
                            arrived.push((corr, EntityId::EMPTY, response.ok(), "in PRES: "));
                        }
                        ClientEvent::Event { entity, response } => {
                            arrived.push((CorrId::EMPTY, entity, Some(response), ""));
                        }
                    }
                }
            }
            Wire::Raw { handshake: handshake @ Some(_), agreed, service } => {
                let credentials = service.as_ref().map(|service| &service.credentials);
                let handshake = handshake.take().unwrap();
                let (hello, session, _, signer) =
                    handshake.router_hello_as(block, credentials, &mut self.rng).unwrap();
                if let Some(service) = service {
                    service.signer = signer;
                }
                *agreed = Some(Box::new(session));
                let (site, session) = (device.site, device.session);
                self.sites[site].inbox.entry(session).or_default().push_back(hello);
                return;
            }
            Wire::Raw { service: Some(service), .. }
                if service.signer.is_some() && service.reply.is_none() =>
            {
                service.reply = Some(ServiceReply::decode(unpad(block).unwrap()).unwrap());
                return;
            }
            Wire::Raw { agreed, .. } => {
                let agreed = agreed.as_mut().unwrap();
                let content = agreed.codec.open(block).unwrap();
                for item in unpack(&content).unwrap() {
                    let received = read_transmission(&agreed.session, item).unwrap();
                    let response = Response::decode(&received.command, &agreed.session.layout).ok();
                    arrived.push((received.corr, received.entity, response, ""));
                }
            }
        }
        let block: Vec<_> = arrived
            .into_iter()
            .map(|(corr, entity, response, prefix)| {
                let text = prefix.to_owned() + &text(response.as_ref(), self.secrets.get(&entity));
                if let Some(Response::Msg { id, .. }) = &response {
                    device.last.insert(entity.clone(), id.clone());
                }
                Arrived { corr, entity, text, response }
            })
            .collect();
        if !block.is_empty() {
            device.history.push(block.iter().map(|arrived| recorded::tag(&arrived.text)).collect());
            device.blocks.push(block);
        }
    }

    fn write_client(&mut self, who: Who) -> bool {
        let device = &mut self.clients[who];
        let Wire::Client(client) = &mut device.wire else { return false };
        let mut moved = false;
        while let Some(block) = client.next_block() {
            self.sites[device.site].inbox.entry(device.session).or_default().push_back(block);
            moved = true;
        }
        moved
    }

    /// Jumps to the next time at which a router has something to do, if that is at `until` at the latest.
    fn tick(&mut self, until: u64) -> bool {
        let next = self.sites.iter().filter_map(|site| site.core.next_timeout()).min();
        let Some(due) = next.filter(|due| *due <= until) else { return false };
        self.now = self.now.max(due);
        for site in &mut self.sites {
            site.core.timeout(self.now);
        }
        self.drive();
        true
    }

    /// The router's next timeout, its regular checks aside, of which the most frequent is hourly.
    pub fn deadline(&self, site: usize) -> Option<u64> {
        self.sites[site].core.next_timeout().filter(|due| *due < self.now + 600 * SECOND)
    }

    /// Lets time pass, in nanoseconds.
    pub fn wait(&mut self, time: u64) {
        self.drive();
        let until = self.now + time;
        while self.tick(until) {}
        self.now = until;
    }

    /// The client takes no more blocks, or does again.
    pub fn set_reading(&mut self, who: Who, reading: bool) {
        self.clients[who].reading = reading;
        self.drive();
    }

    /// Whether the router reads the client's next block.
    pub fn wants_block(&self, who: Who) -> bool {
        let device = &self.clients[who];
        self.sites[device.site].core.wants_block(device.session)
    }

    /// Blocks that wait because the router does not want to read the client's session now.
    pub fn unread(&self, who: Who) -> usize {
        let device = &self.clients[who];
        self.sites[device.site].inbox.get(&device.session).map_or(0, VecDeque::len)
    }
}

fn text(response: Option<&Response>, secret: Option<&SharedSecret>) -> String {
    match response {
        None => "unreadable".to_owned(),
        Some(Response::Err(error)) => format!("ERR {error}"),
        Some(Response::Msg { id, body }) => {
            let Some(secret) = secret else { return "MSG".to_owned() };
            match MessageBody::open(secret, id, body).unwrap() {
                MessageBody::Message { body, .. } => format!("MSG {}", String::from_utf8(body).unwrap()),
                MessageBody::Quota { .. } => "MSG quota marker".to_owned(),
            }
        }
        Some(response) => response.tag().to_owned(),
    }
}
