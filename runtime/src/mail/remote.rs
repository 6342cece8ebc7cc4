//! What stands behind a recipient that leads to a mailbox elsewhere.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::office::PostOffice;
use super::replies;
use crate::message::Wire;
use crate::recipient::Port;
use crate::send_error::{AskError, TellError};
use crate::transport::{Address, EncodeError, Envelope, PublishError};

/// A mailbox elsewhere, for one message type.
pub(super) struct Remote<M> {
    office: PostOffice,
    to: Address,
    _message: PhantomData<fn(M)>,
}

impl<M> Remote<M> {
    pub(super) fn new(office: PostOffice, to: Address) -> Self {
        Self { office, to, _message: PhantomData }
    }
}

impl<M: Wire> Port<M> for Remote<M> {
    fn tell(self: Arc<Self>, message: M) -> Result<(), TellError<M>> {
        let envelope = match Envelope::new(&self.to, &message) {
            Ok(envelope) => envelope,
            Err(error) => return Err(unwritten(error, message)),
        };
        let Some(permit) = self.office.outgoing() else { return Err(TellError::Full(message)) };
        let (office, to) = (self.office.clone(), self.to.clone());
        let runs = self.office.run(async move {
            if let Err(error) = office.publish(envelope).await {
                tracing::warn!(%to, name = M::NAME, "a message was not delivered: {error}");
            }
            drop(permit);
        });
        if runs { Ok(()) } else { Err(TellError::Stopped(message)) }
    }

    fn send(self: Arc<Self>, message: M) -> BoxFuture<'static, Result<(), TellError<M>>> {
        Box::pin(async move {
            let envelope = match Envelope::new(&self.to, &message) {
                Ok(envelope) => envelope,
                Err(error) => return Err(unwritten(error, message)),
            };
            self.office.publish(envelope).await.map_err(|error| match error {
                PublishError::NoRoute { address } => TellError::NoRoute { address, message },
                PublishError::Full { .. } => TellError::Full(message),
                other => TellError::Transport {
                    retryable: other.is_retryable(),
                    reason: other.to_string(),
                    message,
                },
            })
        })
    }

    fn ask(
        self: Arc<Self>,
        message: M,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<M::Reply, AskError>> {
        Box::pin(async move {
            match tokio::time::timeout(deadline, self.question(message, deadline)).await {
                Ok(result) => result,
                Err(_) => Err(AskError::Timeout { after: deadline }),
            }
        })
    }

    fn target(&self) -> String {
        self.to.to_string()
    }
}

impl<M: Wire> Remote<M> {
    async fn question(&self, message: M, deadline: Duration) -> Result<M::Reply, AskError> {
        let envelope = Envelope::new(&self.to, &message)
            .map_err(|error| AskError::Decode { reason: error.to_string() })?
            .with_deadline(deadline);
        let mut ticket = self.office.ask(envelope).await?;
        let reply = (&mut ticket.answer).await.map_err(|_| AskError::Transport {
            reason: "the mailbox for replies was closed".to_owned(),
            retryable: true,
        })?;
        replies::read(&reply)
    }
}

fn unwritten<M>(error: EncodeError, message: M) -> TellError<M> {
    TellError::Transport { reason: error.to_string(), retryable: false, message }
}
