//! Notification routers that are wrong in one thing each: what the suite has to find.
//!
//! A mutant is our right router with something that changes what goes in or comes out of its core, or its configuration: hellos,
//! answers, pushes and the provider's answers, what SMP routers say and are asked, and what survives a restart.

use std::collections::BTreeSet;

use rand_chacha::ChaCha20Rng;
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType};
use sxlab_protocol::ntf::command::Code;
use sxlab_protocol::ntf::handshake::{Agreed, BLOCK_SIZE, ClientHello};
use sxlab_protocol::ntf::response::Response;
use sxlab_protocol::ntf::router::{
    Answer, PushAnswer, PushBody, PushRequest, Record, RouterConfig, SmpAsk, SmpNo, SmpTold,
};
use sxlab_protocol::ntf::status::{InvalidReason, SubscriptionStatus as Sub, TokenStatus};
use sxlab_protocol::ntf::version::Layout;
use sxlab_protocol::smp::error::{CommandError, SmpError};
use sxlab_protocol::transport::{read_transmission, write_response};
use sxlab_protocol::wire::{CorrId, EntityId, VersionRange, pad, unpad};

use super::sides::body;

/// Declares the mutants with what each does wrong, in one sentence that is also its documentation.
macro_rules! mutants {
    ($(#[doc = $does:literal] $name:ident,)+) => {
        /// A router that is right in everything but one thing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum NtfMutant {
            $(#[doc = $does] $name,)+
        }

        impl NtfMutant {
            /// All of them.
            pub const ALL: &[NtfMutant] = &[$(NtfMutant::$name,)+];

            /// What it does wrong.
            pub fn does(self) -> &'static str {
                match self {
                    $(NtfMutant::$name => $does.trim_ascii(),)+
                }
            }
        }
    };
}

mutants! {
    /// Offers version 1 alone.
    OffersFirstVersionOnly,
    /// Offers versions up to 4.
    OffersLaterVersion,
    /// Offers every version to devices without ALPN.
    OffersAllWithoutAlpn,
    /// Shows a session id that is not the connection's.
    ShowsOtherSessionId,
    /// Signs another session key than it shows.
    SignsOtherKey,
    /// Takes hellos with any identity.
    TakesAnyIdentity,
    /// Takes hellos with any version.
    TakesAnyVersion,
    /// Refuses hellos with something after the known fields.
    RefusesHelloTail,
    /// Says nothing to blocks that can't be read.
    IgnoresBadBlocks,
    /// Calls a block that can't be read a syntax error.
    CallsBlockSyntax,
    /// Calls another session's id a block error.
    CallsSessionBlock,
    /// Answers each command of a batch in a block of its own.
    AnswersOneByOne,
    /// Answers the commands of a batch from the last to the first.
    AnswersInReverse,
    /// Answers for no entity.
    LosesEntity,
    /// Answers without the correlation id.
    LosesCorrId,
    /// Answers PING with OK.
    AnswersPingWithOk,
    /// Calls unknown commands syntax errors.
    CallsUnknownSyntax,
    /// Calls syntax errors unknown commands.
    CallsSyntaxUnknown,
    /// Calls a missing authorization a wrong one.
    CallsNoAuthAuth,
    /// Calls an authorization too many a missing one.
    CallsHasAuthNoAuth,
    /// Keeps devices that say nothing.
    KeepsInactive,
    /// Disconnects devices that say nothing for an hour.
    ClosesEarly,
    /// Takes tokens of the provider for tests.
    TakesTestProvider,
    /// Calls a prohibited provider a wrong authorization.
    CallsProhibitedAuth,
    /// Gives another id when a token is registered again.
    GivesOtherTokenId,
    /// Pushes no codes.
    PushesNoCodes,
    /// Pushes codes as something to show.
    ShowsCodes,
    /// Counts codes as taken before the provider answered.
    ConfirmsAtOnce,
    /// Never counts a code as taken.
    ConfirmsNever,
    /// Never says why a token is invalid.
    HidesReason,
    /// Says why a token is invalid at every version.
    TellsReasonAlways,
    /// Takes periods below 20 minutes.
    TakesShortPeriods,
    /// Refuses periods below 30 minutes.
    RefusesShortPeriods,
    /// Calls a period that is too short a wrong authorization.
    CallsQuotaAuth,
    /// Makes no periodic pushes.
    PushesNoChecks,
    /// Looks for periodic pushes every two hours.
    ChecksRarely,
    /// Forgets periods when it restarts.
    ForgetsPeriods,
    /// Forgets codes when it restarts.
    ForgetsCodes,
    /// Gives another id when a subscription is made again.
    GivesOtherSubscriptionId,
    /// Calls new subscriptions pending.
    CallsNewPending,
    /// Calls pending subscriptions new.
    CallsPendingNew,
    /// Calls inactive subscriptions active.
    CallsInactiveActive,
    /// Calls ended subscriptions inactive.
    CallsEndInactive,
    /// Calls deleted queues' subscriptions ended.
    CallsDeletedEnd,
    /// Calls a refused service a wrong key.
    CallsServiceAuth,
    /// Does not say which error an SMP router answered.
    HidesSmpError,
    /// Ignores END.
    IgnoresEnd,
    /// Ignores DELD.
    IgnoresDeld,
    /// Ignores that the connection to an SMP router was lost.
    IgnoresLost,
    /// Takes a refused NSUB as accepted.
    TakesRefusalForYes,
    /// Asks again for queues that are refused.
    AsksRefusedAgain,
    /// Subscribes with another key than the one that it was given.
    SubscribesWithOtherKey,
    /// Leaves the last queue of a batch out.
    LeavesOutLastQueue,
    /// Does not connect to an SMP router again.
    ConnectsOnce,
    /// Asks for 1,360 queues at once on start.
    AsksForMoreOnStart,
    /// Forgets subscriptions when it restarts.
    ForgetsSubscriptions,
    /// Is always a service.
    IsAlwaysService,
    /// Is never a service.
    IsNeverService,
    /// Pushes no messages.
    PushesNoMessages,
    /// Pushes each message twice.
    PushesTwice,
    /// Pushes the newest notification alone.
    PushesNewestOnly,
    /// Pushes at most five notifications together.
    PushesFive,
    /// Pushes seven notifications together.
    PushesSeven,
    /// Forgets earlier notifications when it restarts.
    ForgetsNotifications,
    /// Encrypts pushes so that nobody can open them.
    SpoilsPushes,
    /// Calls a token of another application a bad one.
    CallsTopicBad,
    /// Calls an expired token an unregistered one.
    CallsExpiredUnregistered,
    /// Ignores that an application is no longer on a device.
    IgnoresUnregistered,
    /// Takes too many requests for a bad token.
    InvalidatesOnTooMany,
    /// Takes a topic that is not allowed for a token of another application.
    InvalidatesOnTopic,
    /// Tries again after 403.
    RetriesForbidden,
    /// Never tries again.
    NeverTriesAgain,
    /// Does not try again after 410 with another reason.
    GivesUpOn410,
    /// Does not try again when the provider does not answer.
    GivesUpUnreachable,
}

impl NtfMutant {
    /// Its name: lower-case words with hyphens.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

/// What is wrong with a router, and what that has to remember.
#[derive(Debug, Default)]
pub(super) struct Wrong {
    pub(super) mutant: Option<NtfMutant>,
    /// Ids that were given.
    pub(super) given: BTreeSet<EntityId>,
    /// SMP routers that were connected to.
    pub(super) connected: BTreeSet<SmpNo>,
}

const HOUR: u64 = 3_600_000_000_000;

fn refusal(status: u16, reason: &str) -> PushAnswer {
    PushAnswer::Answered { status, reason: reason.to_owned() }
}

impl Wrong {
    pub(super) fn is(&self, mutant: NtfMutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// The configuration, wrong where the mutant is.
    pub(super) fn configured(&self, config: &RouterConfig) -> RouterConfig {
        let mut config = config.clone();
        match self.mutant {
            Some(NtfMutant::OffersFirstVersionOnly) => config.versions = VersionRange::only(1),
            Some(NtfMutant::TakesTestProvider) => config.test_provider = true,
            Some(NtfMutant::TakesShortPeriods) => config.least_period = 1,
            Some(NtfMutant::RefusesShortPeriods) => config.least_period = 30,
            Some(NtfMutant::PushesNewestOnly) => config.notifications = 1,
            Some(NtfMutant::PushesFive) => config.notifications = 5,
            Some(NtfMutant::PushesSeven) => config.notifications = 7,
            Some(NtfMutant::AsksForMoreOnStart) => config.start_batch = config.reconnect_batch,
            Some(NtfMutant::IsAlwaysService) => config.service = true,
            Some(NtfMutant::IsNeverService) => config.service = false,
            Some(NtfMutant::KeepsInactive) => config.inactive_ttl = u64::MAX,
            Some(NtfMutant::ClosesEarly) => config.inactive_ttl = HOUR,
            Some(NtfMutant::ChecksRarely) => config.periodic_interval = 2 * HOUR,
            _ => {}
        }
        config
    }

    /// The router's hello as it leaves.
    pub(super) fn router_hello(&self, block: Vec<u8>) -> Vec<u8> {
        let Ok(content) = unpad(&block).map(<[u8]>::to_vec) else { return block };
        let mut content = content;
        let at = match self.mutant {
            // Two bytes for each version, then the length of the session id.
            Some(NtfMutant::OffersLaterVersion) => content.get_mut(3).filter(|max| **max == 3),
            Some(NtfMutant::ShowsOtherSessionId) => content.get_mut(5),
            Some(NtfMutant::SignsOtherKey) => content.get_mut(40..).and_then(<[u8]>::last_mut),
            _ => return block,
        };
        if let Some(byte) = at {
            *byte = if self.is(NtfMutant::OffersLaterVersion) { 4 } else { *byte ^ 1 };
        }
        pad(&content, BLOCK_SIZE).unwrap_or(block)
    }

    /// A device's hello as it arrives. `identity` is the router's.
    pub(super) fn client_hello(&self, block: Vec<u8>, identity: [u8; 32]) -> Vec<u8> {
        let Ok(content) = unpad(&block).map(<[u8]>::to_vec) else { return block };
        let Ok(mut hello) = ClientHello::decode(&content) else { return block };
        match self.mutant {
            Some(NtfMutant::TakesAnyIdentity) => hello.identity = identity,
            Some(NtfMutant::TakesAnyVersion) => hello.version = hello.version.clamp(1, 3),
            Some(NtfMutant::RefusesHelloTail) if content.len() > 35 => hello.version = 0,
            _ => return block,
        }
        let encoded = hello.encode().and_then(|content| pad(&content, BLOCK_SIZE));
        encoded.unwrap_or(block)
    }

    /// A block of answers as it leaves, as several or as none.
    pub(super) fn answers(&mut self, version: u16, session_id: &[u8], block: Vec<u8>) -> Vec<Vec<u8>> {
        let Some(mutant) = self.mutant else { return vec![block] };
        let mut agreed = Agreed::new(version, session_id.to_vec(), None);
        let Some(mut items) = self.rewritten(mutant, &mut agreed, &block) else { return vec![block] };
        if mutant == NtfMutant::AnswersInReverse {
            items.reverse();
        }
        if items.is_empty() {
            return Vec::new();
        }
        let size = if mutant == NtfMutant::AnswersOneByOne { 1 } else { items.len() };
        let sealed = items.chunks(size).map(|some| agreed.seal(some.iter().map(Vec::as_slice)));
        sealed.collect::<Result<_, _>>().unwrap_or_else(|_| vec![block])
    }

    fn rewritten(&mut self, mutant: NtfMutant, agreed: &mut Agreed, block: &[u8]) -> Option<Vec<Vec<u8>>> {
        let content = agreed.open(block).ok()?;
        let mut items = Vec::new();
        for item in agreed.unpack(&content).ok()? {
            let received = read_transmission(&agreed.session, item).ok()?;
            let mut response = Response::decode(&received.command).ok()?;
            let (mut corr, mut entity) = (received.corr, received.entity);
            match mutant {
                NtfMutant::LosesEntity => entity = EntityId::EMPTY,
                NtfMutant::LosesCorrId => corr = CorrId::EMPTY,
                NtfMutant::IgnoresBadBlocks
                    if corr == CorrId::EMPTY && response == Response::Err(SmpError::Block) =>
                {
                    continue;
                }
                _ => self.answer(mutant, &mut response),
            }
            let mut command = Vec::new();
            let always = mutant == NtfMutant::TellsReasonAlways;
            let layout = if always { Layout::of(3) } else { agreed.session.layout };
            response.encode(&layout, &mut command).ok()?;
            items.push(write_response(&agreed.session, corr, entity, command).ok()?);
        }
        Some(items)
    }

    /// What an answer says.
    fn answer(&mut self, mutant: NtfMutant, response: &mut Response) {
        use CommandError::{HasAuth, NoAuth, Prohibited, Syntax, Unknown};
        use NtfMutant as M;
        use Response::Err as E;
        use SmpError::Command as C;
        let changed = match (mutant, &*response) {
            (M::AnswersPingWithOk, Response::Pong) => Response::Ok,
            (M::CallsBlockSyntax, E(SmpError::Block)) => E(C(Syntax)),
            (M::CallsSessionBlock, E(SmpError::Session)) => E(SmpError::Block),
            (M::CallsUnknownSyntax, E(C(Unknown))) => E(C(Syntax)),
            (M::CallsSyntaxUnknown, E(C(Syntax))) => E(C(Unknown)),
            (M::CallsNoAuthAuth, E(C(NoAuth))) => E(SmpError::Auth),
            (M::CallsHasAuthNoAuth, E(C(HasAuth))) => E(C(NoAuth)),
            (M::CallsProhibitedAuth, E(C(Prohibited))) => E(SmpError::Auth),
            (M::CallsQuotaAuth, E(SmpError::Quota)) => E(SmpError::Auth),
            (M::HidesReason, Response::Tkn(TokenStatus::Invalid(_))) => {
                Response::Tkn(TokenStatus::Invalid(None))
            }
            (M::TellsReasonAlways, Response::Tkn(TokenStatus::Invalid(None))) => {
                Response::Tkn(TokenStatus::Invalid(Some(InvalidReason::Bad)))
            }
            (M::CallsNewPending, Response::Sub(Sub::New)) => Response::Sub(Sub::Pending),
            (M::CallsPendingNew, Response::Sub(Sub::Pending)) => Response::Sub(Sub::New),
            (M::CallsInactiveActive, Response::Sub(Sub::Inactive)) => Response::Sub(Sub::Active),
            (M::CallsEndInactive, Response::Sub(Sub::End)) => Response::Sub(Sub::Inactive),
            (M::CallsDeletedEnd, Response::Sub(Sub::Deleted)) => Response::Sub(Sub::End),
            (M::CallsServiceAuth, Response::Sub(Sub::Service)) => Response::Sub(Sub::Auth),
            (M::HidesSmpError, Response::Sub(Sub::Err(_))) => Response::Sub(Sub::Err(String::new())),
            (M::GivesOtherTokenId, Response::IdTkn { id, dh_key }) if !self.given.insert(id.clone()) => {
                Response::IdTkn { id: [9; 24].into(), dh_key: *dh_key }
            }
            (M::GivesOtherSubscriptionId, Response::IdSub(id)) if !self.given.insert(id.clone()) => {
                Response::IdSub([9; 24].into())
            }
            _ => return,
        };
        *response = changed;
    }

    /// A push as the provider is asked for it: once, more often, or not at all.
    pub(super) fn push(&self, mut request: PushRequest) -> Vec<PushRequest> {
        let says = |what: &str| body(&request).is_ok_and(|body| body.contains(what));
        let (code, message, check) =
            (says("\"verification\""), says("\"message\""), says("\"checkMessages\""));
        match self.mutant {
            Some(NtfMutant::PushesNoCodes) if code => Vec::new(),
            Some(NtfMutant::PushesNoMessages) if message => Vec::new(),
            Some(NtfMutant::PushesNoChecks) if check => Vec::new(),
            Some(NtfMutant::NeverTriesAgain) if request.again => Vec::new(),
            Some(NtfMutant::PushesTwice) if message => vec![request.clone(), request],
            Some(NtfMutant::ShowsCodes) if code => {
                request.background = false;
                vec![request]
            }
            Some(NtfMutant::SpoilsPushes) => {
                if let PushBody::Sealed(text) = &mut request.body {
                    // The first letter of what is encrypted.
                    for field in ["\"verification\":\"", "\"message\":\""] {
                        let other = if text.contains(&format!("{field}A")) { "B" } else { "A" };
                        if let Some((before, after)) = text.split_once(field) {
                            *text = format!("{before}{field}{other}{}", after.get(1..).unwrap_or_default());
                        }
                    }
                }
                vec![request]
            }
            _ => vec![request],
        }
    }

    /// What the router is told of the provider's answer.
    pub(super) fn provider(&self, answer: PushAnswer) -> PushAnswer {
        use NtfMutant as M;
        let (status, reason) = match &answer {
            PushAnswer::Answered { status, reason } => (*status, reason.as_str()),
            PushAnswer::Unreachable => (0, ""),
        };
        match (self.mutant, status, reason) {
            (Some(M::ConfirmsNever), 200, _) => refusal(429, ""),
            (Some(M::CallsTopicBad), 400, "DeviceTokenNotForTopic") => refusal(400, "BadDeviceToken"),
            (Some(M::CallsExpiredUnregistered), 410, "ExpiredToken") => refusal(410, "Unregistered"),
            (Some(M::IgnoresUnregistered), 410, "Unregistered") => refusal(429, ""),
            (Some(M::InvalidatesOnTooMany), 429, _) => refusal(400, "BadDeviceToken"),
            (Some(M::InvalidatesOnTopic), 400, "TopicDisallowed") => refusal(400, "DeviceTokenNotForTopic"),
            (Some(M::RetriesForbidden), 403, _) => refusal(503, ""),
            (Some(M::GivesUpOn410), 410, reason) if reason != "Unregistered" && reason != "ExpiredToken" => {
                refusal(429, "")
            }
            (Some(M::GivesUpUnreachable), 0, _) => refusal(429, ""),
            _ => answer,
        }
    }

    /// What the router is told of an SMP router, if it is told at all.
    pub(super) fn told(&self, told: SmpTold) -> Option<SmpTold> {
        match (self.mutant, told) {
            (Some(NtfMutant::IgnoresEnd), SmpTold::End(_))
            | (Some(NtfMutant::IgnoresDeld), SmpTold::Deld(_))
            | (Some(NtfMutant::IgnoresLost), SmpTold::Lost) => None,
            (
                Some(NtfMutant::TakesRefusalForYes),
                SmpTold::Subscribed { notifier, answer: Answer::Refused(_) },
            ) => Some(SmpTold::Subscribed { notifier, answer: Answer::Subscribed(None) }),
            (
                Some(NtfMutant::AsksRefusedAgain),
                SmpTold::Subscribed { notifier, answer: Answer::Refused(_) },
            ) => Some(SmpTold::Subscribed { notifier, answer: Answer::Unanswered }),
            (_, told) => Some(told),
        }
    }

    /// What an SMP router is asked, if it is asked at all.
    pub(super) fn asked(&mut self, no: SmpNo, mut asked: SmpAsk, rng: &mut ChaCha20Rng) -> Option<SmpAsk> {
        match (self.mutant, &mut asked) {
            (Some(NtfMutant::ConnectsOnce), SmpAsk::Connect { .. }) if !self.connected.insert(no) => {
                return None;
            }
            (Some(NtfMutant::SubscribesWithOtherKey), SmpAsk::Subscribe(queues)) => {
                for queue in queues {
                    queue.key = AuthSecretKey::generate(KeyType::Ed25519, rng);
                }
            }
            (Some(NtfMutant::LeavesOutLastQueue), SmpAsk::Subscribe(queues)) if queues.len() > 1 => {
                queues.pop();
            }
            _ => {}
        }
        Some(asked)
    }

    /// A record as it is after a restart, if it is there at all.
    pub(super) fn record(&mut self, mut record: Record) -> Option<Record> {
        self.connected.clear();
        match (self.mutant, &mut record) {
            (
                Some(NtfMutant::ForgetsSubscriptions),
                Record::Subscription { .. } | Record::Notification { .. },
            )
            | (Some(NtfMutant::ForgetsNotifications), Record::Notification { .. }) => return None,
            (Some(NtfMutant::ForgetsPeriods), Record::Token { token, .. }) => token.period = 0,
            (Some(NtfMutant::ForgetsCodes), Record::Token { token, .. }) => token.code = Code::from([0; 32]),
            _ => {}
        }
        Some(record)
    }
}
