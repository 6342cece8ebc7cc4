//! A message on its way into a mailbox, with whom to answer.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::oneshot;

use crate::context::DeliveryInfo;
use crate::failure::Failure;
use crate::message::Message;
use crate::send_error::AskError;

/// A message with whom to answer.
pub(crate) struct Parcel<M: Message> {
    pub(crate) message: M,
    pub(crate) answer: Answer<M::Reply>,
    pub(crate) origin: Origin,
}

impl<M: Message> Parcel<M> {
    /// A message that nobody waits for.
    pub(crate) fn tell(message: M) -> Self {
        Self { message, answer: Answer::nobody(), origin: Origin::Elsewhere }
    }
}

/// Where a message comes from, as far as its handling depends on it.
pub(crate) enum Origin {
    /// From anybody.
    Elsewhere,
    /// From the actor itself, in the given incarnation; another one does not want it.
    Itself { incarnation: u64, queued: Option<Arc<AtomicBool>> },
    /// From a transport.
    Delivery(Box<DeliveryInfo>),
}

impl Origin {
    /// Whether nobody wants the message any more: its incarnation or its deadline has passed.
    pub(crate) fn is_past(&self, now: u64) -> bool {
        match self {
            Self::Elsewhere => false,
            Self::Itself { incarnation, .. } => *incarnation != now,
            Self::Delivery(info) => info.is_expired(),
        }
    }
}

/// How the handling of a message ended.
pub(crate) enum Outcome<R> {
    Handled(Result<R, Failure>),
    /// The actor crashed, or was cut off, with the message in hand.
    Crashed(Failure),
    /// The actor ended first.
    NotHandled,
}

/// Whom to answer. Dropping it says that the message was not handled.
pub(crate) struct Answer<R> {
    to: To<R>,
    in_hand: bool,
}

enum To<R> {
    Nobody,
    Asker(oneshot::Sender<Result<R, AskError>>),
    Call(Box<dyn FnOnce(Outcome<R>) + Send>),
}

impl<R> Answer<R> {
    pub(crate) fn nobody() -> Self {
        Self { to: To::Nobody, in_hand: false }
    }

    pub(crate) fn asker(asker: oneshot::Sender<Result<R, AskError>>) -> Self {
        Self { to: To::Asker(asker), in_hand: false }
    }

    /// Calls back, from the actor's thread; the call must not block.
    pub(crate) fn call(call: impl FnOnce(Outcome<R>) + Send + 'static) -> Self {
        Self { to: To::Call(Box::new(call)), in_hand: false }
    }

    /// Whether the asker has gone, so that the message need not be handled.
    pub(crate) fn is_unwanted(&self) -> bool {
        matches!(&self.to, To::Asker(asker) if asker.is_closed())
    }

    /// Whether nobody would hear of a failure.
    pub(crate) fn is_nobody(&self) -> bool {
        matches!(self.to, To::Nobody)
    }

    /// From now on, being dropped means a crash.
    pub(crate) fn taken_in_hand(&mut self) {
        self.in_hand = true;
    }

    pub(crate) fn give(mut self, outcome: Outcome<R>) {
        self.answer(outcome);
    }

    fn answer(&mut self, outcome: Outcome<R>) {
        match mem::replace(&mut self.to, To::Nobody) {
            To::Nobody => {}
            To::Asker(asker) => {
                let result = match outcome {
                    Outcome::Handled(Ok(reply)) => Ok(reply),
                    Outcome::Handled(Err(failure)) | Outcome::Crashed(failure) => {
                        Err(AskError::Failed {
                            text: failure.chain(),
                            retryable: failure.is_retryable(),
                        })
                    }
                    Outcome::NotHandled => Err(AskError::Stopped),
                };
                // An asker that has gone does not need the answer.
                let _ = asker.send(result);
            }
            To::Call(call) => call(outcome),
        }
    }
}

impl<R> Drop for Answer<R> {
    fn drop(&mut self) {
        let outcome = match self.in_hand {
            true => {
                Outcome::Crashed(Failure::new("the actor was stopped with the message in hand"))
            }
            false => Outcome::NotHandled,
        };
        self.answer(outcome);
    }
}
