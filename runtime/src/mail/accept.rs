//! From an envelope to a typed message in an actor's mailbox.

use std::marker::PhantomData;

use futures_util::future::BoxFuture;

use crate::actor::Handler;
use crate::actor_ref::ActorRef;
use crate::context::DeliveryInfo;
use crate::failure::Failure;
use crate::mailbox::Refusal;
use crate::message::Wire;
use crate::parcel::{Answer, Origin, Outcome, Parcel};
use crate::transport::{DecodeError, Envelope};

/// How a delivery was handled; the reply is written already.
pub(super) type Handled = Outcome<Vec<u8>>;

/// Told how a delivery was handled, on any thread. It must not block.
pub(super) type Report = Box<dyn FnOnce(Handled) + Send>;

/// Takes the deliveries of one message type.
pub(super) trait Accept: Send + Sync {
    /// Hands the message to the actor if it has room now; otherwise returns a future that does it when it has.
    ///
    /// With `queue` it does not try, since others wait already.
    ///
    /// # Errors
    ///
    /// With the report: the message cannot be read.
    fn accept(
        &self,
        envelope: &Envelope,
        report: Report,
        queue: bool,
    ) -> Result<Option<BoxFuture<'static, ()>>, (DecodeError, Report)>;
}

/// Takes messages of type `M` to an actor of type `A`.
pub(super) struct AcceptBy<M, A: Handler<M>>
where
    M: Wire,
{
    actor: ActorRef<A>,
    _message: PhantomData<fn(M)>,
}

impl<M: Wire, A: Handler<M>> AcceptBy<M, A> {
    pub(super) fn new(actor: ActorRef<A>) -> Self {
        Self { actor, _message: PhantomData }
    }
}

impl<M: Wire, A: Handler<M>> Accept for AcceptBy<M, A> {
    fn accept(
        &self,
        envelope: &Envelope,
        report: Report,
        queue: bool,
    ) -> Result<Option<BoxFuture<'static, ()>>, (DecodeError, Report)> {
        let message: M = match envelope.decode() {
            Ok(message) => message,
            Err(error) => return Err((error, report)),
        };
        let answer = Answer::call(move |outcome| report(written(outcome)));
        let parcel = Parcel { message, answer, origin: Origin::Delivery(Box::new(info(envelope))) };
        let parcel = if queue {
            parcel
        } else {
            match self.actor.offer(parcel) {
                Ok(()) => return Ok(None),
                // Dropped, it reports that it was not handled.
                Err((Refusal::Closed, _)) => return Ok(None),
                Err((Refusal::Full, parcel)) => parcel,
            }
        };
        let actor = self.actor.clone();
        Ok(Some(Box::pin(async move {
            // Dropped, it reports that it was not handled.
            let _ = actor.offer_waiting(parcel).await;
        })))
    }
}

fn info(envelope: &Envelope) -> DeliveryInfo {
    DeliveryInfo {
        message_id: envelope.message_id,
        idempotency_key: envelope.idempotency_key(),
        attempt: envelope.attempt,
        from_node: envelope.origin.clone(),
        cause: envelope.cause,
        traceparent: envelope.traceparent.clone(),
        issuer: envelope.issuer.clone(),
        deadline_ms: envelope.deadline_ms,
    }
}

fn written<R: serde::Serialize>(outcome: Outcome<R>) -> Handled {
    match outcome {
        Outcome::Handled(Ok(reply)) => {
            Outcome::Handled(serde_json::to_vec(&reply).map_err(|cause| {
                Failure::permanent(format!("the reply cannot be written as JSON: {cause}"))
            }))
        }
        Outcome::Handled(Err(failure)) => Outcome::Handled(Err(failure)),
        Outcome::Crashed(failure) => Outcome::Crashed(failure),
        Outcome::NotHandled => Outcome::NotHandled,
    }
}
