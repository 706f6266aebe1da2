//! The wrong routers, one by one.

/// Declares the mutants with what each does wrong, in one sentence that is also its documentation.
macro_rules! mutants {
    ($($area:ident { $($(#[doc = $does:literal])+ $name:ident,)+ })+) => {
        /// A router that is right in everything but one thing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $($($(#[doc = $does])+ $name,)+)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Mutant] = &[$($(Mutant::$name,)+)+];

            /// What part of the protocol it is wrong in.
            #[must_use]
            pub fn area(self) -> &'static str {
                match self {
                    $($(Mutant::$name)|+ => stringify!($area),)+
                }
            }

            /// What it does wrong.
            #[must_use]
            pub fn does(self) -> &'static str {
                match self {
                    $($(Mutant::$name => concat!($($does),+).trim_ascii(),)+)+
                }
            }

            /// Its name: lower-case words with hyphens.
            #[must_use]
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
    };
}

mutants! {
    handshake {
        /// Offers versions up to 21.
        OffersLaterVersion,
        /// Offers versions from 5 on.
        OffersEarlierVersion,
        /// Offers a range whose least version is above its greatest.
        OffersEmptyRange,
        /// Offers every version to clients that negotiated no protocol in TLS.
        OffersAllWithoutAlpn,
        /// Shows a session id that is not the connection's.
        ShowsOtherSessionId,
        /// Shows an empty session id.
        ShowsNoSessionId,
        /// Shows its certificates with the last one first.
        ShowsChainReversed,
        /// Shows only the first of its certificates.
        ShowsLeafOnly,
        /// Shows a session key with a signature that does not verify.
        ShowsForgedKey,
        /// Signs the bare key, not the sequence around it.
        SignsBareKey,
        /// Shows no certificates and no key, whatever it offers.
        ShowsNoKey,
        /// Has the same session key for every client.
        SharesSessionKey,
        /// Its hello is one byte short of a block.
        SendsShortHello,
        /// Takes a hello that names another router.
        TakesOtherIdentity,
        /// Takes a version above its greatest.
        TakesLaterVersion,
        /// Takes a version below its least.
        TakesEarlierVersion,
        /// Takes a hello that ends before the proxy flag.
        TakesHelloWithoutFlag,
        /// Takes a hello that ends before the service field.
        TakesHelloWithoutService,
        /// Refuses a hello with bytes after the known fields.
        RefusesHelloTail,
        /// Refuses a hello without a key.
        RefusesHelloWithoutKey,
        /// Says why it refuses a hello.
        ExplainsRefusedHello,
        /// Leaves the connection open when it refuses a hello.
        KeepsRefusedConnection,
        /// Waits for a hello for ever.
        WaitsForHello,
    }
    blocks {
        /// Never encrypts blocks.
        NeverEncrypts,
        /// Encrypts from version 7 on.
        EncryptsEarly,
        /// Encrypts a proxy's blocks too.
        EncryptsForProxies,
        /// Uses each direction's chain for the other one.
        SwapsChains,
        /// Uses the same key for every block that it sends.
        ReusesBlockKey,
        /// A block that does not decrypt takes no step of the chain.
        KeepsKeyOfGarbage,
        /// Closes on a block that can't be read.
        ClosesOnGarbage,
        /// Says nothing about a block that can't be read.
        IgnoresGarbage,
        /// Looks at what blocks are filled up with.
        ChecksPadding,
        /// Takes a block without transmissions.
        TakesEmptyBatch,
        /// Takes bytes after the last transmission of a block.
        TakesBatchTail,
        /// Carries out the first transmissions of a block whose last one is cut off.
        TakesCutBatch,
        /// Answers nothing but one error if one transmission of a block can't be read.
        RefusesWholeBatch,
        /// Overlooks the last transmission of a block.
        MissesLastOfBatch,
        /// Answers refused transmissions after the others of their block.
        RefusesLast,
        /// Carries out a block's transmissions from the last to the first.
        RunsBatchBackwards,
        /// Answers every transmission in a block of its own.
        AnswersOneByOne,
        /// Fills the first blocks and leaves the rest to the last.
        LeavesRestToLast,
        /// Fills blocks up to 16,000 bytes only.
        FillsBlocksLess,
        /// Sends the first message of a subscription in a block of its own.
        SendsFirstMessageApart,
        /// Sends the first message with the answers to any number of SUB.
        SendsFirstMessageAlong,
    }
    transmissions {
        /// Answers without the correlation id.
        DropsCorrId,
        /// Refuses correlation ids of other than 24 bytes.
        WantsCorrIdOf24,
        /// Refuses a correlation id that was there before.
        RefusesRepeatedCorrId,
        /// Answers without the entity id.
        DropsEntity,
        /// Answers NEW with the new queue's id as the entity.
        NamesNewQueue,
        /// Delivers messages under the last command's correlation id.
        DeliversUnderCorrId,
        /// Does not look at the session id of version 6.
        IgnoresSessionId,
        /// Takes signatures that were made for another session.
        TakesOtherSessionsSignature,
        /// Answers an authorization of impossible length as a wrong one.
        TakesOddAuthorization,
        /// Takes an authorization without the byte for the service signature.
        TakesMissingServiceByte,
    }
    authorization {
        /// Takes any signature.
        TakesAnySignature,
        /// Takes any authenticator.
        TakesAnyAuthenticator,
        /// Takes authenticators under the zero nonce only.
        WantsZeroNonce,
        /// Refuses Ed448 signatures.
        RefusesEd448,
        /// Refuses authenticators.
        RefusesAuthenticators,
        /// Takes a signature where the queue's key is for authenticators.
        IgnoresKeyType,
        /// Refuses an absent queue without verifying anything.
        RefusesAbsentFaster,
        /// Says that a queue is absent.
        TellsAbsence,
        /// Takes PING with an authorization.
        TakesSignedPing,
        /// Takes PING with an entity.
        TakesPingOfEntity,
        /// Answers an unsigned recipient command by AUTH.
        CallsUnsignedWrong,
        /// Answers SEND without an entity by NO_AUTH.
        CallsBareSendUnsigned,
        /// Takes NEW with an entity.
        TakesNewOfEntity,
        /// Takes NEW that is signed with another key than it carries.
        TakesNewByOtherKey,
        /// Takes SKEY that is signed with another key than it carries.
        TakesSkeyByOtherKey,
        /// Takes unsigned SEND to a secured queue.
        TakesUnsignedSend,
        /// Takes signed SEND to a queue that is not secured.
        TakesSignedSendToOpen,
        /// Takes recipient commands for the sender id.
        TakesSenderIdForRecipient,
        /// Takes SEND for the recipient id.
        TakesRecipientIdForSender,
        /// Takes only the first of several recipient keys.
        TakesFirstKeyOnly,
        /// Looks at the authorization before the syntax.
        AuthorizesBeforeParsing,
        /// Answers wrong parameters by UNKNOWN.
        CallsSyntaxUnknown,
        /// Answers an unknown command by SYNTAX.
        CallsUnknownSyntax,
        /// Takes bytes after a command.
        TakesCommandTail,
        /// Takes RKEY without keys.
        TakesNoKeys,
    }
    queues {
        /// Subscribes whoever makes a queue without asking for it.
        SubscribesUnasked,
        /// Does not subscribe whoever makes a queue and asks for it.
        ForgetsToSubscribe,
        /// Makes queues without the password.
        IgnoresPassword,
        /// Answers a wrong password by PROHIBITED.
        TellsWrongPassword,
        /// Makes queues although it is not to.
        IgnoresNewQueuesOff,
        /// Says the recipient id for the sender id too.
        ConfusesIds,
        /// Says the ids in the other order.
        SwapsIds,
        /// Says another mode than the queue has.
        SaysOtherMode,
        /// Takes link data under any sender id.
        TakesAnySenderId,
        /// Answers a sender id that does not fit by AUTH.
        CallsSenderIdWrong,
        /// Answers NEW at every version as at version 20.
        AnswersNewAsLatest,
        /// Answers SUB by SOK at every version.
        AlwaysSok,
        /// Answers SUB by OK at every version.
        NeverSok,
        /// Refuses to subscribe twice in one session.
        RefusesSecondSub,
        /// Answers the second SUB of a session without delivering again.
        SkipsRedelivery,
        /// Does not tell the first subscriber of the second.
        TakesOverSilently,
        /// Tells the second subscriber that the first one is there.
        EndsTheNewcomer,
        /// Tells the first subscriber without saying of which queue.
        EndsWithoutEntity,
        /// Goes on delivering to the first subscriber.
        DeliversToFirst,
        /// Refuses to subscribe to a suspended queue.
        RefusesSubOfSuspended,
        /// Lets KEY replace the sender's key.
        ReplacesSenderKey,
        /// Refuses KEY with the key that is there.
        RefusesSameKey,
        /// Answers KEY and does not secure the queue.
        ForgetsSenderKey,
        /// Takes RKEY for messaging queues.
        TakesRkeyOfMessaging,
        /// Keeps the keys that RKEY replaces.
        KeepsOldKeys,
        /// Suspends nothing.
        ForgetsToSuspend,
        /// Refuses to suspend twice.
        RefusesSecondOff,
        /// Deletes nothing.
        ForgetsToDelete,
        /// Does not tell the subscriber of a deleted queue.
        DeletesSilently,
        /// Says DELD before version 10.
        AlwaysDeld,
        /// Says END for a deleted queue at every version.
        NeverDeld,
        /// Says in QUE that a queue is never secured.
        HidesSecured,
        /// Counts no quota marker in QUE.
        CountsNoMarker,
        /// Lets SKEY secure contact queues.
        TakesSkeyOfContact,
        /// Lets SKEY replace the sender's key.
        ReplacesKeyBySkey,
    }
    delivery {
        /// Removes any message when the wrong id is acknowledged.
        RemovesForWrongId,
        /// Removes the newest message in place of the acknowledged one.
        RemovesNewest,
        /// Answers a repeated ACK by OK.
        TakesSecondAck,
        /// Answers ACK by OK though more messages wait.
        StopsAfterAck,
        /// Removes the message when an empty id is acknowledged.
        RemovesForEmptyId,
        /// Answers ACK after GET by the next message.
        GoesOnAfterGet,
        /// Keeps an acknowledged message.
        ForgetsToRemove,
        /// Removes what GET gives.
        RemovesWithGet,
        /// Ends another session's subscription with GET.
        TakesOverWithGet,
        /// Takes GET after SUB.
        TakesGetAfterSub,
        /// Takes SUB after GET.
        TakesSubAfterGet,
        /// Answers GET of an empty queue by NO_MSG.
        CallsEmptyNoMsg,
        /// Delivers the next message before the last one is acknowledged.
        DeliversAhead,
        /// Removes messages when they are delivered.
        RemovesWithDelivery,
        /// Delivers a message under another id when it delivers it again.
        RenamesRedelivered,
        /// Delivers the newest message first.
        DeliversNewestFirst,
        /// Encrypts bodies under the zero nonce.
        SealsUnderZero,
        /// Pads bodies as the document says, not as deployed.
        PadsAsDocumented,
        /// Says when a message came in milliseconds.
        SaysMilliseconds,
        /// Delivers every message as if without flags.
        DropsFlags,
        /// Delivers bodies with a byte less.
        CutsBodies,
        /// Refuses flags that it does not know.
        RefusesUnknownFlags,
        /// Refuses the largest body.
        RefusesLargestBody,
        /// Takes a byte more than the largest body.
        TakesLargerBody,
        /// Gives a message the correlation id of its SEND as its id.
        NamesMessageAfterSend,
        /// Delivers a message with the sender's ciphertext after it.
        LeaksSentCiphertext,
        /// Has the same limit of bodies at every version.
        LimitsAsLatest,
        /// Looks at a body's length before its authorization.
        MeasuresBeforeVerifying,
        /// Refuses empty bodies.
        RefusesEmptyBody,
        /// Has room for one message more than the quota.
        HoldsOneMore,
        /// Has room for one message less than the quota.
        HoldsOneLess,
        /// Leaves no marker when a queue is full.
        LeavesNoMarker,
        /// Takes messages again as soon as there is room.
        ReopensEarly,
        /// Answers SEND to a full queue by AUTH.
        CallsFullWrong,
        /// Stores what it refuses for the quota.
        StoresRefused,
        /// Never removes old messages.
        NeverExpires,
        /// Does not look for old messages when another is sent.
        SkipsExpiryOnSend,
        /// Closes nobody for being idle.
        NeverClosesIdle,
        /// Closes subscribed clients for being idle.
        ClosesIdleSubscribed,
    }
    blocking {
        /// Takes messages for a blocked queue.
        IgnoresBlocking,
        /// Does not tell the subscriber that the queue is blocked.
        BlocksSilently,
        /// Refuses to suspend a blocked queue.
        RefusesOffOfBlocked,
        /// Says BLOCKED at every version.
        AlwaysSaysBlocked,
        /// Says the notice at every version that knows BLOCKED.
        AlwaysSaysNotice,
        /// Says BLOCKED to whoever is not authorized.
        SaysBlockedToAnyone,
    }
    links {
        /// Takes LSET with another link id.
        TakesOtherLink,
        /// Takes LSET that changes fixed data.
        ChangesFixedData,
        /// Answers LSET and stores nothing.
        ForgetsLinkData,
        /// Refuses LDEL where there is no link.
        RefusesSecondLdel,
        /// Answers LDEL and keeps the link.
        KeepsLink,
        /// Keeps the link of a secured queue after its first message.
        KeepsUsedLink,
        /// Drops the link of a queue that is not secured after its first message.
        DropsLinkEarly,
        /// Takes LKEY that is signed with another key than it carries.
        TakesLkeyByOtherKey,
        /// Lets LKEY replace the sender's key.
        ReplacesKeyByLkey,
        /// Takes LKEY for contact queues.
        TakesLkeyOfContact,
        /// Takes LGET for messaging queues.
        TakesLgetOfMessaging,
        /// Takes LGET with an authorization.
        TakesSignedLget,
        /// Takes LGET for the sender id.
        TakesLgetOfSender,
        /// Says the link's fixed data for both parts.
        SaysFixedDataTwice,
    }
    notifications {
        /// Gives a repeated NKEY the same id.
        KeepsNotifierId,
        /// Lets the former notifier subscribe after another NKEY.
        KeepsFormerNotifier,
        /// Answers NDEL and keeps the notifier.
        KeepsNotifier,
        /// Refuses NDEL where there is no notifier.
        RefusesSecondNdel,
        /// Does not tell the subscribed notifier that it is gone.
        DropsNotifierSilently,
        /// Notifies of every message.
        NotifiesOfAll,
        /// Notifies of no message.
        NotifiesOfNone,
        /// Notifies of a quota marker.
        NotifiesOfMarker,
        /// Says another message's id.
        NotifiesOfOther,
        /// Says the nonce that it did not use.
        NotifiesUnderOtherNonce,
        /// Keeps no notification for a notifier that is away.
        KeepsNoNotification,
        /// Does not tell the first notifier session of the second.
        TakesOverNotifierSilently,
        /// Takes notifier keys with NEW and makes no notifier.
        ForgetsNotifierOfNew,
        /// Takes NSUB signed with the recipient's key.
        TakesNsubOfRecipient,
    }
    proxy {
        /// Has sessions with relays for whoever has no password.
        ProxiesWithoutPassword,
        /// Has sessions with relays although it is not to.
        IgnoresProxyOff,
        /// Shows versions below 8 of a relay.
        ShowsFullRange,
        /// Shows another session id than the relay's.
        ShowsOtherRelaySession,
        /// Answers PKEY with the entity of the relay's session.
        NamesRelay,
        /// Answers PFWD to an unknown session by AUTH.
        CallsNoSessionWrong,
        /// Answers a forwarded command without its correlation id.
        DropsCorrIdOfForwarded,
        /// Has a session of its own with a relay for every PRXY.
        DialsEveryTime,
        /// Tries a relay again at once that could not be reached.
        ForgetsFailedRelays,
        /// Seals its forwards under the client's correlation id.
        ForwardsUnderClientCorr,
        /// Says of a relay without a key that it speaks another version.
        CallsKeylessRelayVersion,
        /// Says of a relay's error that it is its own.
        TakesRelayErrorForOwn,
    }
    relay {
        /// Seals the outer answer under the request's nonce.
        KeepsOuterNonce,
        /// Seals the inner answer under the request's nonce.
        KeepsInnerNonce,
        /// Pads no inner answer.
        PadsNoInnerAnswer,
        /// Carries out any command that is forwarded.
        RunsAnyForwarded,
        /// Refuses forwarded SKEY.
        RefusesForwardedSkey,
        /// Answers a forward that does not decrypt by SYNTAX.
        CallsUndecryptedSyntax,
        /// Answers an inner content that can't be read outside.
        RefusesGarbageOutside,
        /// Answers the inner command under the outer correlation id.
        EchoesOuterCorrId,
        /// Takes the outer session's limit of bodies for forwarded commands.
        LimitsForwardedAsOuter,
        /// Refuses forwarded commands of a version that it does not offer.
        ChecksInnerVersion,
        /// Does not verify forwarded commands.
        TrustsProxies,
    }
    services {
        /// Takes a service whose certificates are not those of its TLS connection.
        TakesOtherTlsChain,
        /// Gives a service another id in every session.
        GivesNewServiceId,
        /// Takes a known service in another role.
        TakesOtherRole,
        /// Lets a service do what its role does not allow.
        IgnoresRole,
        /// Takes NEW, SUB and NSUB of a service without its signature.
        TakesMissingServiceSignature,
        /// Takes a service's signature on any command.
        TakesStrayServiceSignature,
        /// Takes a service's commands that the queue's key signed as a plain client's.
        TakesBareQueueSignature,
        /// Subscribes a service to a queue that it makes without asking for it.
        TakesUnsubscribedNewOfService,
        /// Does not say which service a queue belongs to.
        HidesService,
        /// Leaves a queue to its service when a plain client subscribes.
        LeavesQueueToService,
        /// Says one queue more than a service has.
        CountsOneMore,
        /// Says a hash of no queues.
        SaysEmptyHash,
        /// Does not say when all messages of a service were sent.
        SendsNoAlls,
        /// Delivers nothing when a service subscribes to all its queues.
        DeliversNothingToServices,
        /// Delivers again when a service subscribes to all its queues again.
        DeliversAgainToServices,
        /// Does not tell a service's session that another one has taken over.
        TakesOverServiceSilently,
        /// Takes SUBS for the id of another entity.
        TakesSubsOfAnything,
    }
    names {
        /// Answers RSLV by AUTH when it has no resolver.
        CallsNoResolverWrong,
        /// Says that a malformed name was not found, as the document does.
        CallsMalformedNotFound,
        /// Says that a name was not found when the resolver fails.
        CallsFailureNotFound,
        /// Says that the resolver failed when a name was not found.
        CallsNotFoundFailure,
        /// Does not say how the resolver failed.
        DropsFailureDetail,
        /// Takes RSLV with an authorization.
        TakesSignedRslv,
        /// Reads nothing of a session that waits for a name.
        WaitsForLookups,
        /// Does not answer a forwarded RSLV.
        LosesForwardedLookups,
        /// Has any number of lookups wait for the resolver.
        AsksWithoutLimit,
        /// Says another name than the one asked for.
        SaysOtherName,
    }
}
