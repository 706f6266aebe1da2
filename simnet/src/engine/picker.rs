//! How a user's agent picks routers: from the user's lists, by the run's policy.

use std::rc::Rc;

use rand_chacha::ChaCha8Rng;
use sxlab_protocol::agent::{Choose, RouterNo};

use crate::network::{RouterIdx, UserIdx};
use crate::seed::Streams;
use crate::selection::{Policy, UserRouters, pick};

/// A user's way to pick. Its own stream: whatever else happens, the same user picks in the same order.
#[derive(Debug)]
pub(super) struct Picker {
    policy: Policy,
    lists: Rc<UserRouters>,
    rng: ChaCha8Rng,
}

impl Picker {
    pub(super) fn new(user: UserIdx, policy: Policy, lists: Rc<UserRouters>, streams: &Streams) -> Self {
        Self { policy, lists, rng: streams.stream(&format!("user/{}/picks", user.0)) }
    }
}

impl Choose for Picker {
    fn storage(&mut self, used: Option<RouterNo>) -> Option<RouterNo> {
        let used: Vec<RouterIdx> = used.into_iter().map(|router| RouterIdx(router.0)).collect();
        pick(self.policy, &self.lists.storage, &used, &mut self.rng).map(|router| RouterNo(router.0))
    }

    fn proxy(&mut self, destination: RouterNo) -> Option<RouterNo> {
        let used = [RouterIdx(destination.0)];
        pick(self.policy, &self.lists.proxy, &used, &mut self.rng).map(|router| RouterNo(router.0))
    }
}
