//! What a recorded client sent, sent again: verbatim where nothing of it is random, else authorized again with the recorded keys.

use sxlab_protocol::crypto::keys::{AuthSecretKey, Ed448Secret, Ed25519Secret, X25519Public, X25519Secret};
use sxlab_protocol::ntf::command::Command;
use sxlab_protocol::transport::{Authorization, Received, Unsigned, authorize, read_transmission};

use super::*;

/// The flow's keys for authorization, and for the encryption of pushes.
pub(super) fn keys(flow: &Value) -> Vec<AuthSecretKey> {
    let keys = flow["keys"].as_object().into_iter().flat_map(|keys| keys.values());
    keys.map(|key| {
        let raw = recorded::bytes(&key["private_raw"]);
        match key["alg"].as_str().unwrap() {
            "ed25519" => Ed25519Secret::from_seed(raw.try_into().unwrap()).into(),
            "ed448" => Ed448Secret::from_seed(raw.try_into().unwrap()).into(),
            "x25519" => X25519Secret::from_bytes(raw.try_into().unwrap()).into(),
            other => panic!("a key of type {other}"),
        }
    })
    .collect()
}

/// The key that a recorded transmission was authorized with. `None` if it was not, or with nothing that is a key's.
pub(super) fn signer(flow: &Value, router_key: &Value, received: &Received) -> Option<AuthSecretKey> {
    let authorization = received.authorization.clone()?;
    keys(flow).into_iter().find(|key| match (key, &authorization) {
        (AuthSecretKey::X25519(key), Authorization::Authenticator(_)) => {
            let Some(router_key) = router_key.as_str() else { return false };
            let router_key = X25519Public::from_spki(&hex::decode(router_key).unwrap()).unwrap();
            authorization.verifies_with(&key.dh(&router_key), &received.text, &received.corr)
        }
        (AuthSecretKey::X25519(_), _) | (_, Authorization::Authenticator(_)) => false,
        (key, _) => {
            let own = X25519Secret::from_bytes([0; 32]);
            authorization.verifies(&key.public(), &received.text, &received.corr, &own)
        }
    })
}

impl Replay {
    pub(super) fn send(&mut self, conn: &str, step: &Value, what: &str) {
        let recorded = recorded::bytes(&step["hex"]);
        let link = &self.links[conn];
        let session = link.session;
        if link.closed {
            return;
        }
        if recorded::text(step, "text").starts_with("block content") {
            self.router.block(session, &pad(&recorded, 512).unwrap(), self.now);
            return self.drive();
        }
        let of = link.agreed.session.clone();
        let received = read_transmission(&of, &recorded).unwrap_or_else(|error| panic!("{what}: {error}"));
        let again = self.substituted(&recorded);
        let deniable = matches!(received.authorization, Some(Authorization::Authenticator(_)));
        let router_key = &self.flow["sessions"][conn]["server_public_key_spki"];
        let key = signer(&self.flow, router_key, &received);
        let item = match key {
            // An authenticator is for the router's session key, a signature for what is signed.
            Some(key) if deniable || again != recorded => {
                let changed = read_transmission(&of, &again).unwrap();
                let unsigned =
                    Unsigned { corr: changed.corr, entity: changed.entity, command: changed.command };
                authorize(&of, &unsigned, Some(&key), link.agreed.router_key.as_ref()).unwrap()
            }
            _ => again,
        };
        self.learn(&received);
        let link = self.links.get_mut(conn).unwrap();
        let block = link.agreed.seal([item.as_slice()].into_iter()).unwrap();
        self.router.block(session, &block, self.now);
        self.drive();
    }

    /// The device's key for the encryption of pushes, of a TNEW.
    fn learn(&mut self, received: &Received) {
        if let Ok(Command::TNew(new)) = Command::decode(&received.command) {
            let dh_key = new.dh_key.spki();
            self.registering = Some(dh_key);
        }
    }
}
