//! How a user's agent picks routers: from the user's lists, by the run's policy.

use std::collections::BTreeMap;
use std::rc::Rc;

use sxlab_protocol::agent::{Choose, ContactNo, RouterNo};

use crate::network::{RouterIdx, UserIdx};
use crate::seed::Streams;
use crate::selection::{Policy, UserRouters, pick};

/// A user's way to pick. Each pick has a stream of its own, named after what it is for: whatever else happens, and in whatever
/// order, it is the same.
#[derive(Debug)]
pub(super) struct Picker {
    user: UserIdx,
    policy: Policy,
    lists: Rc<UserRouters>,
    streams: Streams,
    /// How often a router to receive a contact's messages on was picked after the first.
    moved: BTreeMap<ContactNo, u32>,
    /// How often a proxy was picked before.
    picked: BTreeMap<(RouterNo, Option<ContactNo>), u32>,
}

impl Picker {
    pub(super) fn new(user: UserIdx, policy: Policy, lists: Rc<UserRouters>, streams: &Streams) -> Self {
        Self { user, policy, lists, streams: *streams, moved: BTreeMap::new(), picked: BTreeMap::new() }
    }
}

impl Choose for Picker {
    fn storage(&mut self, contact: ContactNo, used: Option<RouterNo>) -> Option<RouterNo> {
        let used: Vec<RouterIdx> = used.into_iter().map(|router| RouterIdx(router.0)).collect();
        let mut rng = self.streams.stream(&format!("user/{}/contact/{}/router", self.user.0, contact.0));
        pick(self.policy, &self.lists.storage, &used, &mut rng).map(|router| RouterNo(router.0))
    }

    fn next_storage(&mut self, contact: ContactNo, used: &[RouterNo]) -> Option<RouterNo> {
        let count = self.moved.entry(contact).or_default();
        *count += 1;
        let mut rng =
            self.streams.stream(&format!("user/{}/contact/{}/router/{count}", self.user.0, contact.0));
        let used: Vec<RouterIdx> = used.iter().map(|router| RouterIdx(router.0)).collect();
        let picked = pick(self.policy, &self.lists.storage, &used, &mut rng)?;
        // Where none is free, at least another than the one to replace.
        let picked = match used.first() {
            Some(replaced) if *replaced == picked => {
                pick(self.policy, &self.lists.storage, &[*replaced], &mut rng)?
            }
            _ => picked,
        };
        Some(RouterNo(picked.0))
    }

    fn proxy(&mut self, destination: RouterNo, owner: Option<ContactNo>) -> Option<RouterNo> {
        let count = self.picked.entry((destination, owner)).or_default();
        let whose = owner.map_or_else(String::new, |contact| format!("contact/{}/", contact.0));
        let name = format!("user/{}/{whose}proxy/{}/{count}", self.user.0, destination.0);
        *count += 1;
        let used = [RouterIdx(destination.0)];
        let mut rng = self.streams.stream(&name);
        pick(self.policy, &self.lists.proxy, &used, &mut rng).map(|router| RouterNo(router.0))
    }
}
