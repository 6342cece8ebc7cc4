//! One member of a batch: it succeeds or fails alone.

use std::error::Error;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::DatabaseTransaction;
use tokio::sync::oneshot;

use crate::error::{Fault, WriteError};

/// How long a unit may hold the writer.
pub(crate) const UNIT_LIMIT: Duration = Duration::from_secs(30);

/// Work that the writer runs in a savepoint of its own.
pub(crate) trait Unit: Send {
    /// How many callers wait for it.
    fn jobs(&self) -> usize {
        1
    }

    /// How long it may hold the writer.
    fn limit(&self) -> Option<Duration> {
        Some(UNIT_LIMIT)
    }

    /// Does the work and says whether it is to be kept.
    fn run<'a>(&'a mut self, tx: &'a DatabaseTransaction) -> BoxFuture<'a, bool>;

    /// After its work was taken back: smaller units to try instead, or itself if it has failed for good.
    fn split(self: Box<Self>) -> Result<Vec<Box<dyn Unit>>, Box<dyn Unit>>;

    /// Answers the callers: with `fault` if there is one and the work did not fail by itself.
    fn settle(self: Box<Self>, fault: Option<Fault>);
}

/// A caller's closure.
pub(crate) struct Closure<F, T, E: Error + 'static> {
    work: Option<F>,
    outcome: Option<Result<T, WriteError<E>>>,
    reply: oneshot::Sender<Result<T, WriteError<E>>>,
    limit: Option<Duration>,
}

impl<F, T, E: Error + 'static> Closure<F, T, E> {
    pub(crate) fn new(
        work: F,
        limit: Option<Duration>,
    ) -> (Self, oneshot::Receiver<Result<T, WriteError<E>>>) {
        let (reply, answer) = oneshot::channel();
        (Self { work: Some(work), outcome: None, reply, limit }, answer)
    }
}

impl<F, T, E> Unit for Closure<F, T, E>
where
    F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, WriteError<E>>>
        + Send
        + 'static,
    T: Send + 'static,
    E: Error + Send + 'static,
{
    fn limit(&self) -> Option<Duration> {
        self.limit
    }

    fn run<'a>(&'a mut self, tx: &'a DatabaseTransaction) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let work = self.work.take().expect("a closure runs once");
            let outcome = work(tx).await;
            let keep = outcome.is_ok();
            self.outcome = Some(outcome);
            keep
        })
    }

    fn split(self: Box<Self>) -> Result<Vec<Box<dyn Unit>>, Box<dyn Unit>> {
        Err(self)
    }

    fn settle(self: Box<Self>, fault: Option<Fault>) {
        // A caller that has gone away does not want the answer.
        let _ = self.reply.send(verdict(self.outcome, fault));
    }
}

/// The work's own failure outranks that of its batch.
pub(crate) fn verdict<T, E: Error + 'static>(
    outcome: Option<Result<T, WriteError<E>>>,
    fault: Option<Fault>,
) -> Result<T, WriteError<E>> {
    match (outcome, fault) {
        (Some(Err(own)), _) => Err(own),
        (_, Some(fault)) => Err(fault.widen()),
        (Some(Ok(value)), None) => Ok(value),
        (None, None) => Err(WriteError::Panicked),
    }
}
