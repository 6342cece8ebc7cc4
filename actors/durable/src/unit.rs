//! One member of a batch: it succeeds or fails alone.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sea_orm::{DatabaseTransaction, TransactionTrait};
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

    /// What the place where the database lies said to it, if that is why it failed.
    fn storage_fault(&self) -> Option<Fault>;

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

    fn storage_fault(&self) -> Option<Fault> {
        match &self.outcome {
            Some(Err(WriteError::Storage(error))) => Some(WriteError::Storage(error.clone())),
            _ => None,
        }
    }

    fn split(self: Box<Self>) -> Result<Vec<Box<dyn Unit>>, Box<dyn Unit>> {
        Err(self)
    }

    fn settle(self: Box<Self>, fault: Option<Fault>) {
        // A caller that has gone away does not want the answer.
        let _ = self.reply.send(verdict(self.outcome, fault));
    }
}

/// How a unit ended.
pub(crate) enum Ran {
    /// It is part of the transaction.
    Kept,
    /// It is not, and the transaction goes on without it; the fault is given if the unit itself cannot tell.
    TakenBack(Option<Fault>),
    /// The transaction is gone, and everybody's work with it.
    TransactionLost(Fault),
}

pub(crate) async fn run_unit(tx: &DatabaseTransaction, unit: &mut dyn Unit, alone: bool) -> Ran {
    if alone {
        return match guarded(unit, tx).await {
            Ok(true) => Ran::Kept,
            Ok(false) => Ran::TakenBack(None),
            Err(fault) => Ran::TakenBack(Some(fault)),
        };
    }
    let savepoint = match tx.begin().await {
        Ok(savepoint) => savepoint,
        Err(cause) => return Ran::TransactionLost(Fault::from_database(cause)),
    };
    let (ran, ended) = match guarded(unit, &savepoint).await {
        Ok(true) => (Ran::Kept, savepoint.commit().await),
        Ok(false) => (Ran::TakenBack(None), savepoint.rollback().await),
        Err(fault) => (Ran::TakenBack(Some(fault)), savepoint.rollback().await),
    };
    match ended {
        Ok(()) => ran,
        // SQLite itself ends the transaction on some errors, such as a full disk, and the savepoint with it.
        Err(cause) => Ran::TransactionLost(Fault::from_database(cause)),
    }
}

/// Runs a unit; a panic or a unit that does not end fails that unit alone.
async fn guarded(unit: &mut dyn Unit, tx: &DatabaseTransaction) -> Result<bool, Fault> {
    let limit = unit.limit();
    let work = AssertUnwindSafe(async { unit.run(tx).await }).catch_unwind();
    let ended = match limit {
        Some(limit) => {
            tokio::time::timeout(limit, work).await.map_err(|_| WriteError::TooSlow { limit })?
        }
        None => work.await,
    };
    ended.map_err(|_| WriteError::Panicked)
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
