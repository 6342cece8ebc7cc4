//! Questions that are under way, and the private mailbox that their answers come to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::accept::Handled;
use super::seal::Seal;
use crate::failure::Failure;
use crate::parcel::Outcome;
use crate::send_error::AskError;
use crate::transport::{Address, Delivery, Envelope, MessageId, Sink};

/// Type name of every answer; the question says how to read it.
const REPLY: &str = "oa.reply";
/// Its schema version.
const REPLY_VERSION: u16 = 1;

/// An answer on the wire.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Ok(Box<RawValue>),
    Failed { text: String, retryable: bool },
}

/// What is kept of a question until it is answered.
pub(super) struct Question {
    reply_to: Address,
    message_id: MessageId,
    correlation_id: Option<MessageId>,
    deadline_ms: Option<i64>,
    traceparent: Option<String>,
}

impl Question {
    /// The question that an envelope is, if an answer is expected.
    pub(super) fn of(envelope: &Envelope) -> Option<Self> {
        Some(Self {
            reply_to: envelope.reply_to.clone()?,
            message_id: envelope.message_id,
            correlation_id: envelope.correlation_id,
            deadline_ms: envelope.deadline_ms,
            traceparent: envelope.traceparent.clone(),
        })
    }

    /// The answer; none if somebody else may still give one.
    pub(super) fn answer(&self, handled: &Handled) -> Option<Envelope> {
        let body = match handled {
            Outcome::Handled(Ok(json)) => {
                let json = String::from_utf8(json.clone()).ok()?;
                Body::Ok(RawValue::from_string(json).ok()?)
            }
            Outcome::Handled(Err(failure)) | Outcome::Crashed(failure) => {
                return Some(self.failure(failure));
            }
            Outcome::NotHandled => return None,
        };
        Some(self.envelope(&body))
    }

    /// The answer that there is none.
    pub(super) fn failure(&self, failure: &Failure) -> Envelope {
        self.envelope(&Body::Failed { text: failure.chain(), retryable: failure.is_retryable() })
    }

    fn envelope(&self, body: &Body) -> Envelope {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let mut reply = Envelope::from_parts(self.reply_to.clone(), REPLY, REPLY_VERSION, body);
        reply.correlation_id = self.correlation_id.or(Some(self.message_id));
        reply.cause = Some(self.message_id);
        reply.deadline_ms = self.deadline_ms;
        reply.traceparent.clone_from(&self.traceparent);
        reply
    }
}

/// Reads an answer.
pub(super) fn read<R: serde::de::DeserializeOwned>(reply: &Envelope) -> Result<R, AskError> {
    let unreadable =
        |cause: serde_json::Error| AskError::Decode { reason: format!("the reply: {cause}") };
    match serde_json::from_slice(&reply.body).map_err(unreadable)? {
        Body::Ok(json) => serde_json::from_str(json.get()).map_err(unreadable),
        Body::Failed { text, retryable } => Err(AskError::Failed { text, retryable }),
    }
}

/// Questions that are under way.
#[derive(Default)]
pub(super) struct Questions {
    open: Mutex<HashMap<MessageId, oneshot::Sender<Envelope>>>,
}

impl Questions {
    /// Opens a question; dropping the ticket closes it.
    pub(super) fn open(self: &Arc<Self>, id: MessageId) -> Ticket {
        let (sender, answer) = oneshot::channel();
        self.lock().insert(id, sender);
        Ticket { questions: Arc::clone(self), id, answer }
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<MessageId, oneshot::Sender<Envelope>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One question that is under way.
pub(super) struct Ticket {
    questions: Arc<Questions>,
    id: MessageId,
    pub(super) answer: oneshot::Receiver<Envelope>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.questions.lock().remove(&self.id);
    }
}

/// Hands answers to those who asked; one that comes too late is dropped.
pub(super) struct ReplySink {
    pub(super) questions: Arc<Questions>,
    pub(super) seal: Option<Arc<dyn Seal>>,
}

impl Sink for ReplySink {
    fn deliver(&self, delivery: Delivery) {
        let Delivery { envelope, settlement } = delivery;
        settlement.done();
        if let Some(Err(why)) = self.seal.as_ref().map(|seal| seal.verify(&envelope)) {
            tracing::error!(id = %envelope.message_id, "a reply is not trusted: {why}");
            return;
        }
        let asker = envelope.correlation_id.and_then(|id| self.questions.lock().remove(&id));
        match asker {
            // The asker may have gone this moment.
            Some(asker) => drop(asker.send(envelope)),
            None => tracing::debug!("a reply came too late"),
        }
    }
}
