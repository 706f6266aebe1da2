//! Clients that speak any bytes.

use sxlab_protocol::transport::{Unsigned, authorize_by_service, content};

use super::*;

impl World {
    fn raw_service_of(&self, who: Who) -> &RawService {
        match &self.clients[who].wire {
            Wire::Raw { service: Some(service), .. } => service,
            _ => panic!("not a raw service"),
        }
    }

    /// What the router answered to a raw service.
    pub fn reply(&self, who: Who) -> Option<ServiceReply> {
        self.raw_service_of(who).reply.clone()
    }

    /// What a raw service signs with.
    pub fn signer(&self, who: Who) -> ServiceSigner {
        self.raw_service_of(who).signer.clone().unwrap()
    }

    /// What a raw client agreed on.
    pub fn agreed(&mut self, who: Who) -> &mut Agreed {
        match &mut self.clients[who].wire {
            Wire::Raw { agreed, .. } => agreed.as_mut().unwrap(),
            Wire::Client(_) => panic!("not a raw client"),
        }
    }

    /// A transmission as it stands in a batch, for a raw client.
    pub fn item(
        &mut self,
        who: Who,
        corr: &str,
        entity: &EntityId,
        command: &[u8],
        key: Option<&AuthSecretKey>,
    ) -> Vec<u8> {
        self.item_by(who, corr, entity, command, key, None)
    }

    /// The same, signed by a service as well.
    pub fn item_by(
        &mut self,
        who: Who,
        corr: &str,
        entity: &EntityId,
        command: &[u8],
        key: Option<&AuthSecretKey>,
        signer: Option<&ServiceSigner>,
    ) -> Vec<u8> {
        let agreed = self.agreed(who);
        let corr = CorrId::new(corr.as_bytes()).unwrap();
        let unsigned = Unsigned { corr, entity: entity.clone(), command: command.to_vec() };
        authorize_by_service(&agreed.session, &unsigned, key, agreed.peer_key.as_ref(), signer).unwrap()
    }

    /// A raw client's command, and what comes back.
    pub fn say(
        &mut self,
        who: Who,
        entity: &EntityId,
        command: &[u8],
        key: Option<&AuthSecretKey>,
        signer: Option<&ServiceSigner>,
    ) -> Vec<String> {
        let item = self.item_by(who, "say", entity, command, key, signer);
        self.write_items(who, &[item]);
        self.events(who)
    }

    /// A raw client writes a block with this content.
    pub fn write_content(&mut self, who: Who, content: &[u8]) {
        let block = self.agreed(who).codec.seal(content).unwrap();
        self.write_block(who, block);
    }

    /// A raw client writes a block with these transmissions.
    pub fn write_items(&mut self, who: Who, items: &[Vec<u8>]) {
        self.write_content(who, &content(items.iter().map(Vec::as_slice)).unwrap());
    }

    pub fn write_block(&mut self, who: Who, block: Vec<u8>) {
        let (site, session) = (self.clients[who].site, self.clients[who].session);
        self.sites[site].inbox.entry(session).or_default().push_back(block);
        self.drive();
    }
}
