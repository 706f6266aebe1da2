//! The SMP router of a recorded flow. SMP itself is compared elsewhere: of its answers the kind.

use sxlab_protocol::smp;
use sxlab_protocol::smp::command::Command;
use sxlab_protocol::smp::version::Layout;
use sxlab_protocol::transport::Session;
use sxlab_protocol::wire::EntityId;

use super::sending::keys;
use super::*;
use crate::place::VERSION;

impl Replay {
    /// A step of an SMP client.
    pub(super) fn smp_step(&mut self, steps: &[Value], step: &Value, what: &str) {
        let conn = recorded::text(step, "conn");
        let session = Session {
            id: recorded::bytes(&self.flow["sessions"][conn]["session_id"]),
            layout: Layout::of(VERSION),
        };
        match recorded::text(step, "dir") {
            "send" => {
                let recorded = recorded::bytes(&step["hex"]);
                let received = read_transmission(&session, &recorded).unwrap();
                let entity = EntityId::new(&self.substituted(received.entity.as_bytes())).unwrap();
                let command =
                    Command::decode(&self.substituted(&received.command), &Layout::of(VERSION)).unwrap();
                let router_key = &self.flow["sessions"][conn]["server_public_key_spki"];
                let key = sending::signer(&self.flow, router_key, &received);
                let client = self.smp.client(conn, self.now);
                client.request_with(received.corr, entity, &command, key.as_ref()).unwrap();
                self.smp.order = self.recorded_order(steps);
                self.smp.drive(self.now);
            }
            "recv" => {
                use smp::response::Response;
                let received = read_transmission(&session, &recorded::bytes(&step["hex"])).unwrap();
                let theirs = Response::decode(&received.command, &Layout::of(VERSION)).unwrap();
                let at = self.smp.answers.iter().position(|(corr, _)| *corr == received.corr);
                let (_, ours) = self.smp.answers.remove(at.unwrap_or_else(|| panic!("{what}: no answer")));
                assert_eq!(ours.tag(), theirs.tag(), "{what}");
                match (&ours, &theirs) {
                    (Response::Ids(ours), Response::Ids(theirs)) => {
                        self.stands_for(theirs.recipient.as_bytes(), ours.recipient.as_bytes(), what);
                        self.stands_for(theirs.sender.as_bytes(), ours.sender.as_bytes(), what);
                    }
                    (Response::Nid(ours), Response::Nid(theirs)) => {
                        self.stands_for(theirs.id.as_bytes(), ours.id.as_bytes(), what);
                        let queue = recorded::text(step, "entity").split('.').next().unwrap();
                        let raw = &self.flow["keys"][format!("{queue}.n.ntfDh")]["private_raw"];
                        let own = X25519Secret::from_bytes(recorded::bytes(raw).try_into().unwrap());
                        self.meta_secrets.insert(ours.id.clone(), own.dh(&ours.dh_key));
                    }
                    _ => {}
                }
                self.compared += 1;
            }
            _ => {}
        }
    }

    /// The notifiers in the order in which the last entries of the recorded pushes name them, from here on.
    fn recorded_order(&self, steps: &[Value]) -> Vec<EntityId> {
        let last = |step: &Value| {
            let items = step["details"]["items"].as_array()?;
            let queue = items.last()?["queue"]
                .as_str()?
                .parse::<sxlab_protocol::ntf::command::NotifierQueue>()
                .ok()?;
            EntityId::new(&self.substituted(queue.notifier.as_bytes())).ok()
        };
        let pushes = steps
            .iter()
            .filter(|step| start_of_time() + step["at_ms"].as_u64().unwrap() * MILLISECOND >= self.now);
        pushes.filter_map(last).collect()
    }

    /// A token was registered: the secrets of its pushes are known.
    pub(super) fn registered(&mut self, theirs: &X25519Public, ours: &X25519Public) {
        let Some(spki) = self.registering.clone() else { return };
        let own = keys(&self.flow).into_iter().find_map(|key| match key {
            AuthSecretKey::X25519(key) if key.public().spki() == spki => Some(key),
            _ => None,
        });
        let own = own.expect("a key that was not recorded");
        self.secrets.push((own.dh(theirs), own.dh(ours)));
    }
}
