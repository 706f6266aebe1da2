use clap::Args;
use sxlab_node::client::Session;
use sxlab_node::world::{RealWorld, World};
use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, X25519Secret};
use sxlab_protocol::crypto::{CryptoError, SharedSecret};
use sxlab_protocol::smp::command::{Command, NewQueue, QueueRequest};
use sxlab_protocol::smp::envelope::{Envelope, MessageBody};
use sxlab_protocol::smp::response::{QueueIds, Response};
use sxlab_protocol::wire::{CLIENT_VERSIONS, EntityId, MsgId, QueueAddress, QueueMode, RouterAddress};

use super::{SECOND, connect, failed, unexpected};
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// How long the router may take for each answer, in seconds.
const ANSWER: u64 = 30;

/// Make a queue, print its address, then print what arrives.
///
/// The first line on the standard output is the queue's address, for `sxlab smp send`; every message is a line after it.
/// The queue is deleted at the end.
#[derive(Args, Debug)]
pub(crate) struct ReceiveArgs {
    /// The router that holds the queue, smp://…
    #[arg(value_name = "ROUTER")]
    router: RouterAddress,
    /// End after so many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End when no message comes for so many seconds; a failure if --count asks for more.
    #[arg(long, value_name = "S")]
    timeout: Option<u64>,
}

/// A queue as its recipient knows it.
struct OwnQueue {
    id: EntityId,
    auth_key: AuthSecretKey,
    /// Between the router and this client.
    router_secret: SharedSecret,
    /// The secret key to the one in the queue's address.
    dh_key: X25519Secret,
    /// Between the sender and this client, from the confirmation on.
    sender_secret: Option<SharedSecret>,
}

pub(super) async fn receive(args: ReceiveArgs) -> Outcome {
    let (session, mut events) = connect(&args.router, ANSWER).await?;
    let (mut queue, address) = new_queue(&session, &args.router).await?;
    output::data(address.to_string().as_bytes())?;
    let mut received = 0;
    while args.count.is_none_or(|count| received < count) {
        let waited = async {
            match args.timeout {
                Some(seconds) => RealWorld.sleep(seconds.saturating_mul(SECOND)).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            () = waited => match args.count {
                Some(count) => {
                    let message = format!("{received} of {count} messages came");
                    return Err(Failure::new(Exit::Failures, message));
                }
                None => break,
            },
        };
        let Some((entity, response)) = event else {
            return Err(Failure::new(Exit::Unreachable, "the router ended the connection"));
        };
        if entity != queue.id {
            continue;
        }
        // Each answer to ACK may bring the next message.
        let mut next = Some(response);
        while let Some(response) = next.take() {
            match response {
                Response::Msg { id, body } => {
                    received += u64::from(queue.show(&id, &body)?);
                    if args.count.is_some_and(|count| received >= count) {
                        // DEL drops it: no need to acknowledge the last one.
                        break;
                    }
                    let ack = Command::Ack(id);
                    let answer = session.request(queue.id.clone(), &ack, Some(&queue.auth_key)).await;
                    next = match answer.map_err(failed)? {
                        Response::Ok => None,
                        response @ Response::Msg { .. } => Some(response),
                        _ => return Err(unexpected()),
                    };
                }
                Response::End | Response::Deld => {
                    return Err(Failure::new(Exit::Failures, "the subscription ended"));
                }
                _ => {}
            }
        }
    }
    let deleted = session.request(queue.id.clone(), &Command::Del, Some(&queue.auth_key)).await;
    session.close();
    deleted.map(|_| ()).map_err(failed)
}

/// A queue for one sender, subscribed to, and the address to give to that sender.
async fn new_queue(
    session: &Session<RealWorld>,
    router: &RouterAddress,
) -> Result<(OwnQueue, QueueAddress), Failure> {
    let mut rng = RealWorld.rng();
    let auth_key = AuthSecretKey::generate(KeyType::Ed25519, &mut rng);
    let router_dh = X25519Secret::generate(&mut rng);
    let dh_key = X25519Secret::generate(&mut rng);
    let command = Command::New(Box::new(NewQueue {
        auth_key: auth_key.public(),
        dh_key: router_dh.public(),
        password: router.password.clone(),
        subscribe: true,
        queue: QueueRequest::Messaging(None),
        notifier: None,
    }));
    let answer = session.request(EntityId::EMPTY, &command, Some(&auth_key)).await;
    let Response::Ids(ids) = answer.map_err(failed)? else { return Err(unexpected()) };
    let QueueIds { recipient, sender, dh_key: router_key, .. } = *ids;
    let address = QueueAddress {
        router: router.public(),
        sender_id: sender,
        versions: CLIENT_VERSIONS,
        dh_key: dh_key.public(),
        mode: Some(QueueMode::Messaging),
    };
    let router_secret = router_dh.dh(&router_key);
    Ok((OwnQueue { id: recipient, auth_key, router_secret, dh_key, sender_secret: None }, address))
}

impl OwnQueue {
    /// Prints a message; `false` for what is not one to print: a confirmation or the router's quota marker. A
    /// message that can't be read is said to people and counts: it arrived.
    fn show(&mut self, id: &MsgId, sealed: &[u8]) -> Result<bool, Failure> {
        let unreadable = |why: &dyn std::fmt::Display| {
            output::note(format_args!("a message that can't be read: {why}"));
            Ok(true)
        };
        let body = match MessageBody::open(&self.router_secret, id, sealed) {
            Ok(MessageBody::Message { body, .. }) => body,
            Ok(MessageBody::Quota { .. }) => {
                output::note("the queue was full: the sender could not send more");
                return Ok(false);
            }
            Err(error) => return unreadable(&error),
        };
        match self.open(&body) {
            Ok((confirmation, text)) if confirmation && text.is_empty() => Ok(false),
            Ok((_, text)) => output::data(&text).map(|()| true),
            Err(error) => unreadable(&error),
        }
    }

    /// Decrypts the sender's envelope: whether it is a confirmation, and what it says.
    fn open(&mut self, body: &[u8]) -> Result<(bool, Vec<u8>), CryptoError> {
        let envelope = Envelope::decode(body)?;
        let offered = envelope.key.map(|key| self.dh_key.dh(&key));
        let secret = offered.as_ref().or(self.sender_secret.as_ref()).ok_or(CryptoError::Box)?;
        let message = envelope.open(secret)?;
        let confirmation = offered.is_some();
        if confirmation {
            self.sender_secret = offered;
        }
        Ok((confirmation, message.body))
    }
}
