//! Names: RSLV asks whoever runs the router, by an event, and is answered when that has an outcome; nothing else waits for
//! it (NM-1 to NM-5, NM-10).

use std::collections::{BTreeMap, VecDeque};

use super::verify::Reply;
use super::{Mutant, Router, RouterEvent};
use crate::observe::SessionNo;
use crate::smp::error::{NameError, SmpError};
use crate::smp::forward::{self, Forwarded};
use crate::smp::name::{Name, NameRecord};
use crate::smp::response::Response;
use crate::transport::BATCH_BUDGET;
use crate::wire::{CorrId, EntityId};

/// A lookup as its router numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupNo(pub u64);

/// Who asked for a name.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) session: SessionNo,
    /// Of the transmission on the session itself.
    pub(super) corr: CorrId,
    /// If a proxy forwarded it: what the answer is sealed with, and the inner correlation id.
    pub(super) forwarded: Option<Box<(Forwarded, CorrId)>>,
}

/// Lookups that have no outcome yet.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    last: u64,
    /// Those that were asked for.
    open: BTreeMap<LookupNo, Asked>,
    /// Those that wait until fewer are open. Sessions with one among them are not read.
    waiting: VecDeque<(Asked, Name)>,
}

impl Lookups {
    /// Forgets what a session that ended waits for. What was asked for already comes to nobody.
    pub(super) fn forget(&mut self, session: SessionNo) {
        self.waiting.retain(|(asked, _)| asked.session != session);
    }
}

impl Router {
    /// RSLV: the answer, if there is one at once.
    pub(super) fn look_up(&mut self, asked: Asked, name: Name) -> Option<Response> {
        if !self.config.resolver {
            return Some(Response::Err(SmpError::Name(NameError::NoResolver)));
        }
        if self.lookups.open.len() < self.config.lookups {
            if self.is(Mutant::WaitsForLookups)
                && let Some(peer) = self.sessions.get_mut(&asked.session)
            {
                peer.lookups += 1;
            }
            self.ask_for(asked, name);
        } else {
            if let Some(peer) = self.sessions.get_mut(&asked.session) {
                peer.lookups += 1;
            }
            self.lookups.waiting.push_back((asked, name));
        }
        None
    }

    /// From now on names are resolved, whatever the configuration said.
    pub fn resolve_names(&mut self) {
        self.config.resolver = true;
    }

    fn ask_for(&mut self, asked: Asked, name: Name) {
        self.lookups.last += 1;
        let lookup = LookupNo(self.lookups.last);
        self.lookups.open.insert(lookup, asked);
        self.events.push_back(RouterEvent::Resolve { lookup, name });
    }

    /// The outcome of [`RouterEvent::Resolve`].
    pub fn resolved(&mut self, lookup: LookupNo, outcome: Result<NameRecord, NameError>) {
        let Some(asked) = self.lookups.open.remove(&lookup) else { return };
        if self.is(Mutant::WaitsForLookups)
            && let Some(peer) = self.sessions.get_mut(&asked.session)
        {
            peer.lookups = peer.lookups.saturating_sub(1);
            self.writable.insert(asked.session);
        }
        let response = match outcome {
            Ok(record) => Response::Rname(record.to_json()),
            Err(error) => Response::Err(SmpError::Name(error)),
        };
        self.answer_lookup(asked, response);
        if let Some((asked, name)) = self.lookups.waiting.pop_front() {
            if let Some(peer) = self.sessions.get_mut(&asked.session) {
                peer.lookups = peer.lookups.saturating_sub(1);
                // Its session may be read again.
                self.writable.insert(asked.session);
            }
            self.ask_for(asked, name);
        }
    }

    fn answer_lookup(&mut self, asked: Asked, response: Response) {
        let Asked { session, corr, forwarded } = asked;
        if forwarded.is_some() && self.is(Mutant::LosesForwardedLookups) {
            return;
        }
        let too_large = Response::Err(SmpError::Name(NameError::Resolver("response too large".to_owned())));
        let response = match forwarded {
            Some(forwarded) => {
                let (forwarded, inner) = *forwarded;
                self.statistics.error_in(&response);
                let open = self.open(session);
                let Some(secret) = open.and_then(|open| open.agreed.secret.clone()) else { return };
                let seal = |response: &Response| {
                    forward::seal_reply(&forwarded, &secret, &corr, inner.clone(), EntityId::EMPTY, response)
                };
                seal(&response).or_else(|_| seal(&too_large)).unwrap_or(Response::Err(SmpError::Internal))
            }
            // Beside the record: lengths of transmission, authorization, correlation id and entity, and the tag.
            None => match &response {
                Response::Rname(json) if json.len() + corr.as_bytes().len() + 11 > BATCH_BUDGET => too_large,
                _ => response,
            },
        };
        self.send(session, vec![Reply { corr, entity: EntityId::EMPTY, response }]);
    }
}
