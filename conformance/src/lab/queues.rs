//! Queues and their messages, in one call each.

use sxlab_protocol::crypto::keys::{AuthSecretKey, KeyType, SharedSecret, X25519Secret};
use sxlab_protocol::smp::command::{Command, MsgFlags, NewQueue, NotifierKeys, QueueRequest};
use sxlab_protocol::smp::envelope::{MessageBody, NotificationMeta};
use sxlab_protocol::smp::response::{QueueIds, Response};
use sxlab_protocol::wire::{EntityId, MsgId};

use super::{Answer, Failure, Lab, Request, Who, require_eq};

/// What NEW asks for.
#[derive(Clone, Debug)]
pub struct QueueForm {
    /// The type of the recipient's key.
    pub key: KeyType,
    /// Whether the session is subscribed at once.
    pub subscribe: bool,
    /// What the queue is for.
    pub queue: QueueRequest,
    /// Enable notifications at once.
    pub notifier: Option<NotifierKeys>,
    /// The router's password.
    pub password: Option<String>,
}

impl Default for QueueForm {
    /// A messaging queue with an Ed25519 key, subscribed.
    fn default() -> Self {
        Self {
            key: KeyType::Ed25519,
            subscribe: true,
            queue: QueueRequest::Messaging(None),
            notifier: None,
            password: None,
        }
    }
}

/// A queue with its owner's keys.
#[derive(Clone, Debug)]
pub struct TestQueue {
    /// The recipient id.
    pub recipient: EntityId,
    /// The sender id.
    pub sender: EntityId,
    /// The recipient's key.
    pub key: AuthSecretKey,
    /// Decrypts what is delivered.
    pub secret: SharedSecret,
    /// All of IDS.
    pub ids: QueueIds,
}

/// A message that was delivered, decrypted.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id.
    pub id: MsgId,
    /// What it brings.
    pub body: MessageBody,
    /// How it came.
    pub answer: Answer,
}

impl Message {
    /// In short: the body of a message, `quota marker` for one.
    pub fn text(&self) -> String {
        match &self.body {
            MessageBody::Message { body, .. } => String::from_utf8_lossy(body).into_owned(),
            MessageBody::Quota { .. } => "quota marker".to_owned(),
        }
    }

    /// Expects a body.
    ///
    /// # Errors
    /// [`Failure::Wrong`] for another one.
    pub fn is(&self, body: &str) -> Result<(), Failure> {
        require_eq("the message", self.text().as_str(), body)
    }
}

/// SEND with this body, without authorization.
pub fn send(body: impl Into<Vec<u8>>) -> Command {
    Command::Send { flags: MsgFlags::default(), body: body.into() }
}

impl Lab<'_> {
    /// A messaging queue that `who` is subscribed to.
    ///
    /// # Errors
    /// [`Failure`] where it is not made.
    pub fn queue(&mut self, who: Who) -> Result<TestQueue, Failure> {
        self.queue_of(who, &QueueForm::default())
    }

    /// A messaging queue that nobody is subscribed to.
    ///
    /// # Errors
    /// [`Failure`] where it is not made.
    pub fn idle_queue(&mut self, who: Who) -> Result<TestQueue, Failure> {
        self.queue_of(who, &QueueForm { subscribe: false, ..QueueForm::default() })
    }

    /// A queue of this form.
    ///
    /// # Errors
    /// [`Failure`] where it is not made.
    pub fn queue_of(&mut self, who: Who, form: &QueueForm) -> Result<TestQueue, Failure> {
        let (key, dh) = (self.key(form.key), X25519Secret::generate(&mut self.rng));
        let request = self.new_request(form, &key, &dh);
        let answer = self.ask(who, request)?;
        self.made(&answer, &key, &dh)
    }

    /// NEW, to change before it is asked, with the keys that [`Lab::made`] needs. Authorized with the recipient's key.
    pub fn new_request(&mut self, form: &QueueForm, key: &AuthSecretKey, dh: &X25519Secret) -> Request {
        let new = NewQueue {
            auth_key: key.public(),
            dh_key: dh.public(),
            password: form.password.clone(),
            subscribe: form.subscribe,
            queue: form.queue.clone(),
            notifier: form.notifier.clone(),
        };
        Request::from(Command::New(Box::new(new))).by(key)
    }

    /// The answer to NEW of this form, for cases in which it is refused.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if there is none.
    pub fn ask_new(&mut self, who: Who, form: &QueueForm) -> Result<Answer, Failure> {
        let (key, dh) = (self.key(form.key), X25519Secret::generate(&mut self.rng));
        let request = self.new_request(form, &key, &dh);
        self.ask(who, request)
    }

    /// The queue that IDS in `answer` is about.
    ///
    /// # Errors
    /// [`Failure`] for another answer.
    pub fn made(
        &self,
        answer: &Answer,
        key: &AuthSecretKey,
        dh: &X25519Secret,
    ) -> Result<TestQueue, Failure> {
        let ids = answer.ids()?.clone();
        Ok(TestQueue {
            recipient: ids.recipient.clone(),
            sender: ids.sender.clone(),
            key: key.clone(),
            secret: dh.dh(&ids.dh_key),
            ids,
        })
    }

    /// A command of the recipient.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if there is no answer.
    pub fn recipient(&mut self, who: Who, queue: &TestQueue, command: Command) -> Result<Answer, Failure> {
        self.ask(who, Request::from(command).of(&queue.recipient).by(&queue.key))
    }

    /// Subscribes, and expects the answer of the version.
    ///
    /// # Errors
    /// [`Failure`] for another one.
    pub fn subscribe(&mut self, who: Who, queue: &TestQueue) -> Result<(), Failure> {
        let sok = self.sok();
        self.recipient(who, queue, Command::Sub)?.is(sok)
    }

    /// Sends without authorization.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if there is no answer.
    pub fn send(&mut self, who: Who, queue: &TestQueue, body: &str) -> Result<Answer, Failure> {
        self.ask(who, Request::from(send(body)).of(&queue.sender))
    }

    /// Sends, authorized with a sender's key.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if there is no answer.
    pub fn send_by(
        &mut self,
        who: Who,
        queue: &TestQueue,
        body: &str,
        key: &AuthSecretKey,
    ) -> Result<Answer, Failure> {
        self.ask(who, Request::from(send(body)).of(&queue.sender).by(key))
    }

    /// Secures the queue as its recipient (KEY) and expects OK; the sender's key.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn secure(&mut self, who: Who, queue: &TestQueue) -> Result<AuthSecretKey, Failure> {
        let key = self.sender_key();
        self.recipient(who, queue, Command::Key(key.public()))?.ok()?;
        Ok(key)
    }

    /// Acknowledges.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if there is no answer.
    pub fn ack(&mut self, who: Who, queue: &TestQueue, id: &MsgId) -> Result<Answer, Failure> {
        self.recipient(who, queue, Command::Ack(id.clone()))
    }

    /// The next message of the queue, as an event or in an answer that was not taken.
    ///
    /// # Errors
    /// [`Failure::Wrong`] if none comes, or it does not decrypt.
    pub fn message(&mut self, who: Who, queue: &TestQueue) -> Result<Message, Failure> {
        let recipient = queue.recipient.clone();
        let answer = self.take(who, "deliver a message", move |received| {
            received.entity == recipient && received.command.starts_with(b"MSG ")
        })?;
        self.opened(queue, answer)
    }

    /// The next message of the queue, which has to be this; acknowledged.
    ///
    /// # Errors
    /// [`Failure`] for another one, or an acknowledgement that is not answered by OK.
    pub fn receive(&mut self, who: Who, queue: &TestQueue, body: &str) -> Result<Message, Failure> {
        let message = self.message(who, queue)?;
        message.is(body)?;
        self.ack(who, queue, &message.id)?.ok()?;
        Ok(message)
    }

    /// The message in an answer, as to GET or ACK.
    ///
    /// # Errors
    /// [`Failure`] for another answer, or a message that does not decrypt.
    pub fn opened(&self, queue: &TestQueue, answer: Answer) -> Result<Message, Failure> {
        let Ok(Response::Msg { id, body }) = &answer.response else { return Err(answer.unexpected("MSG")) };
        let body = MessageBody::open(&queue.secret, id, body)
            .map_err(|error| Failure::Wrong(format!("the message does not open: {error}")))?;
        Ok(Message { id: id.clone(), body, answer })
    }

    /// The notification in an event.
    ///
    /// # Errors
    /// [`Failure`] for another answer, or a notification that does not decrypt.
    pub fn notification(&self, secret: &SharedSecret, answer: &Answer) -> Result<NotificationMeta, Failure> {
        let Ok(Response::Nmsg { nonce, meta }) = &answer.response else {
            return Err(answer.unexpected("NMSG"));
        };
        NotificationMeta::open(secret, nonce, meta)
            .map_err(|error| Failure::Wrong(format!("the notification does not open: {error}")))
    }

    /// The answer to SUB: `OK`, or `SOK` from version 16 on.
    pub fn sok(&self) -> &'static str {
        if self.layout().sok { "SOK" } else { "OK" }
    }

    /// The event about a deleted queue: `END`, or `DELD` from version 10 on.
    pub fn deld(&self) -> &'static str {
        if self.layout().deld { "DELD" } else { "END" }
    }
}
