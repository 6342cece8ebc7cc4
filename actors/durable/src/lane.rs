//! Jobs of one kind that are written together.
//!
//! A statement for sixty-four rows costs little more than a statement for one. A [`Lane`] hands all its jobs that
//! meet in a batch to one [`SetWriter`], which writes each table once for all of them.

use std::any::Any;
use std::error::Error;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseTransaction, DbErr};
use tokio::sync::oneshot;

use crate::error::{Fault, WriteError};
use crate::storage::storage_error;
use crate::unit::{Unit, verdict};
use crate::writer::{Item, Queue};

/// Writes many jobs of one kind at once.
pub trait SetWriter: Send + Sync + 'static {
    /// What is to be written.
    type Job: Send + Sync + 'static;
    /// What the caller gets.
    type Out: Send + 'static;
    /// Why a job is refused.
    type Refusal: Error + Send + 'static;

    /// Writes all of `jobs` inside one savepoint and answers each, in their order.
    ///
    /// A job that is refused must leave nothing behind: it has no savepoint of its own here. If that cannot be
    /// known in time, or a count of rows is short, or the database fails a statement, return [`SetError`]: then
    /// everything is taken back and the jobs are run again one by one, each in a savepoint of its own. So this
    /// may be called twice with the same job, and with one job alone a [`SetError`] is that job's failure.
    fn write<'a>(
        &'a self,
        tx: &'a DatabaseTransaction,
        jobs: &'a [Self::Job],
    ) -> BoxFuture<'a, Result<Vec<SetOutcome<Self>>, SetError>>;
}

/// The answer to one job of a set.
pub type SetOutcome<W> = Result<<W as SetWriter>::Out, <W as SetWriter>::Refusal>;

/// What the caller of a job waits for.
type Answer<W> = Result<<W as SetWriter>::Out, WriteError<<W as SetWriter>::Refusal>>;

/// Why a set as a whole was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// A statement reached fewer rows than it had to.
    #[error("{written} of {expected} rows were written")]
    Short {
        /// Rows that had to be written.
        expected: u64,
        /// Rows that were.
        written: u64,
    },
    /// The database refused a statement.
    #[error("the database refused the set")]
    Database(#[from] DbErr),
}

impl SetError {
    /// Errs if fewer rows than `expected` were written.
    ///
    /// # Errors
    ///
    /// [`SetError::Short`].
    pub fn check(expected: u64, written: u64) -> Result<(), Self> {
        if written < expected { Err(Self::Short { expected, written }) } else { Ok(()) }
    }

    fn into_failure<E: Error + 'static>(self) -> WriteError<E> {
        match self {
            Self::Short { expected, written } => WriteError::Short { expected, written },
            Self::Database(cause) => WriteError::from_database(cause),
        }
    }
}

/// Takes jobs for one [`SetWriter`]; made by [`crate::Database::lane`].
pub struct Lane<W: SetWriter> {
    queue: Queue,
    writer: Arc<W>,
}

impl<W: SetWriter> Clone for Lane<W> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), writer: Arc::clone(&self.writer) }
    }
}

impl<W: SetWriter> Lane<W> {
    pub(crate) fn new(queue: Queue, writer: W) -> Self {
        Self { queue, writer: Arc::new(writer) }
    }

    /// Writes `job` with the others of the next batch; resolves after the commit.
    ///
    /// Once it is queued the job runs, even if the caller goes away.
    ///
    /// # Errors
    ///
    /// [`WriteError::Refused`] with the writer's reason; else what the database said.
    pub async fn submit(&self, job: W::Job) -> Result<W::Out, WriteError<W::Refusal>> {
        let (reply, answer) = oneshot::channel();
        let lane: Arc<dyn AnyLane> = Arc::new(LaneOf(Arc::clone(&self.writer)));
        let key = Arc::as_ptr(&self.writer).cast::<()>() as usize;
        let item = Item::Set { key, lane, job: Box::new(Entry::<W> { job, reply }) };
        self.queue.put(item).await.map_err(Fault::widen)?;
        let answered = answer.await.unwrap_or(Err(WriteError::Closed));
        answered.map_err(|error| error.at(self.queue.path()))
    }
}

/// A lane whose types the writer does not know.
pub(crate) trait AnyLane: Send + Sync {
    /// Joins the entries of this lane, as the batch collected them.
    fn gather(self: Arc<Self>, entries: Vec<Box<dyn Any + Send>>) -> Box<dyn Unit>;
}

struct LaneOf<W>(Arc<W>);

struct Entry<W: SetWriter> {
    job: W::Job,
    reply: oneshot::Sender<Answer<W>>,
}

impl<W: SetWriter> AnyLane for LaneOf<W> {
    fn gather(self: Arc<Self>, entries: Vec<Box<dyn Any + Send>>) -> Box<dyn Unit> {
        let own = |entry: Box<dyn Any + Send>| {
            *entry.downcast::<Entry<W>>().expect("a lane gathers its own entries")
        };
        let (jobs, replies) =
            entries.into_iter().map(own).map(|entry| (entry.job, entry.reply)).unzip();
        Box::new(Set { writer: Arc::clone(&self.0), jobs, replies, outcome: None })
    }
}

/// The jobs of one lane in one batch.
struct Set<W: SetWriter> {
    writer: Arc<W>,
    jobs: Vec<W::Job>,
    replies: Vec<oneshot::Sender<Answer<W>>>,
    outcome: Option<Result<Vec<SetOutcome<W>>, SetError>>,
}

impl<W: SetWriter> Unit for Set<W> {
    fn jobs(&self) -> usize {
        self.jobs.len()
    }

    fn run<'a>(&'a mut self, tx: &'a DatabaseTransaction) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let outcome = self.writer.write(tx, &self.jobs).await;
            if let Ok(answers) = &outcome {
                assert_eq!(answers.len(), self.jobs.len(), "a set writer answers each of its jobs");
            }
            let keep = outcome.is_ok();
            self.outcome = Some(outcome);
            keep
        })
    }

    fn storage_fault(&self) -> Option<Fault> {
        let Some(Err(SetError::Database(cause))) = &self.outcome else { return None };
        storage_error(cause).map(|error| WriteError::Storage(Box::new(error)))
    }

    fn split(self: Box<Self>) -> Result<Vec<Box<dyn Unit>>, Box<dyn Unit>> {
        if self.jobs.len() < 2 {
            return Err(self);
        }
        let Self { writer, jobs, replies, .. } = *self;
        let alone = |(job, reply)| -> Box<dyn Unit> {
            Box::new(Self {
                writer: Arc::clone(&writer),
                jobs: vec![job],
                replies: vec![reply],
                outcome: None,
            })
        };
        Ok(jobs.into_iter().zip(replies).map(alone).collect())
    }

    fn settle(self: Box<Self>, fault: Option<Fault>) {
        let answers: Vec<Option<Answer<W>>> = match self.outcome {
            Some(Ok(answers)) => answers
                .into_iter()
                .map(|answer| Some(answer.map_err(WriteError::Refused)))
                .collect(),
            Some(Err(failure)) if self.replies.len() == 1 => {
                vec![Some(Err(failure.into_failure()))]
            }
            Some(Err(_)) | None => self.replies.iter().map(|_| None).collect(),
        };
        for (reply, answer) in self.replies.into_iter().zip(answers) {
            let _ = reply.send(verdict(answer, fault.clone()));
        }
    }
}
