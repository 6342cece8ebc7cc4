//! The journal of one worker.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use oa_durable::{Database, DatabaseConfig, Inbox, Outbox, Relay, RelayConfig, WriteError, sql};
use oa_protocol::AttemptId;
use oa_protocol::step::{StepKey, StepNews};
use oa_runtime::{Address, PostOffice};
use sea_orm::DatabaseTransaction;

use crate::cancellation::{CancelToken, Cancellations};
use crate::effect::{self, DoneEffect, EffectState};
use crate::error::JournalError;
use crate::fence;
use crate::report::Reporter;
use crate::schema::Migrator;
use crate::task::{self, Task};

/// A worker's tasks, effects and outbox. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WorkerJournal {
    db: Database,
    outbox: Outbox,
    worker: Arc<str>,
    cancellations: Arc<Cancellations>,
}

/// What became of a command that was delivered. In each case the delivery can be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is written down: run it.
    New,
    /// It was delivered before.
    Duplicate,
    /// It was decided before a command that is known already, or cancelled before it came: leave it.
    Stale,
}

/// What became of a wish to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// The job has been told; it still finishes its task.
    Told,
    /// The task had finished.
    TooLate,
    /// The command has not come yet; when it does it is stale.
    BeforeItCame,
}

impl WorkerJournal {
    /// Opens the journal at `path`, or makes it. `worker` is the name of the node, for the reports.
    ///
    /// # Errors
    ///
    /// [`JournalError::Open`] if it is in use, [`JournalError::Migrate`] if a newer release wrote it.
    pub async fn open(
        path: impl Into<PathBuf>,
        worker: impl Into<Arc<str>>,
    ) -> Result<Self, JournalError> {
        let db = Database::open(DatabaseConfig::new(path)).await?;
        db.migrate::<Migrator>().await?;
        let journal = Self {
            outbox: Outbox::new(db.clone()),
            db,
            worker: worker.into(),
            cancellations: Arc::default(),
        };
        for task in journal.open_tasks().await? {
            if let Some(reason) = &task.cancel_reason {
                journal.cancellations.cancel(task.step.attempt_id, reason);
            }
        }
        Ok(journal)
    }

    /// Writes a command down: in one commit the message as seen, the task, and a report of acceptance to `reply`.
    ///
    /// `message_id` names the delivery, `command` is the command as JSON. Earlier attempts at the same step that
    /// still run are told that they are cancelled.
    ///
    /// # Errors
    ///
    /// If it is not written down. Then the delivery must not be acknowledged.
    pub async fn accept(
        &self,
        message_id: &str,
        step: &StepKey,
        command: impl Into<String>,
        reply: &Address,
    ) -> Result<Accepted, JournalError> {
        let (message_id, command) = (message_id.to_owned(), command.into());
        let (worker, step, reply) = (Arc::clone(&self.worker), step.clone(), reply.clone());
        let why = format!("replaced by attempt {}", step.attempt_no);
        oa_crash_points::crash_point!(WorkerReceived);
        let (accepted, replaced) = self
            .write(move |tx| {
                Box::pin(async move {
                    let now_ms = sql::now_ms();
                    if !Inbox::insert(tx, &message_id, now_ms).await?
                        || task::exists(tx, step.attempt_id).await?
                    {
                        return Ok((Accepted::Duplicate, Vec::new()));
                    }
                    if fence::is_stale(tx, &step).await? {
                        return Ok((Accepted::Stale, Vec::new()));
                    }
                    fence::raise(tx, &step, step.attempt_no).await?;
                    let replaced = task::cancel_earlier(tx, &step, &why).await?;
                    let reporter =
                        Reporter { worker: &worker, to: &reply, cause: message_id.parse().ok() };
                    task::insert(tx, &step, &command, &reply, now_ms).await?;
                    reporter.report(tx, &step, StepNews::Accepted).await?;
                    Ok((Accepted::New, replaced))
                })
            })
            .await?;
        oa_crash_points::crash_point!(WorkerAccepted);
        for (attempt_id, why) in replaced {
            self.cancellations.cancel(attempt_id, &why);
        }
        Ok(accepted)
    }

    /// The tasks that are to be carried out, the oldest first: what a worker goes on with after a restart.
    ///
    /// A row that cannot be read is logged and left out; it stops none of the others.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn open_tasks(&self) -> Result<Vec<Task>, JournalError> {
        let rows = task::open(self.db.reader()).await?;
        let readable = rows.iter().filter_map(|row| {
            task::read(row).inspect_err(|cause| tracing::error!("a task is left out: {cause}")).ok()
        });
        Ok(readable.collect())
    }

    /// The task of an attempt, if it is open.
    ///
    /// # Errors
    ///
    /// If the journal cannot be read.
    pub async fn open_task(&self, attempt_id: AttemptId) -> Result<Option<Task>, JournalError> {
        task::find_open(self.db.reader(), attempt_id).await?.map(|row| task::read(&row)).transpose()
    }

    /// Notes that an effect is about to be made, and tells what earlier runs know of it.
    ///
    /// # Errors
    ///
    /// If it is not written down. Then the effect must not be made.
    pub async fn begin(&self, effect_key: &str) -> Result<EffectState, JournalError> {
        let key = effect_key.to_owned();
        let begun =
            self.write(move |tx| Box::pin(async move { Ok(effect::begin(tx, &key).await?) })).await;
        oa_crash_points::crash_point!(WorkerEffectBegun);
        begun
    }

    /// Notes that an effect is made; false if it was tombstoned meanwhile, so that it has to be undone.
    ///
    /// # Errors
    ///
    /// If it is not written down. The next run then has to probe.
    pub async fn done(
        &self,
        effect_key: &str,
        external_ref: Option<String>,
    ) -> Result<bool, JournalError> {
        let done = DoneEffect { key: effect_key.to_owned(), external_ref };
        let noted =
            self.write(move |tx| Box::pin(async move { Ok(effect::done(tx, &done).await?) })).await;
        oa_crash_points::crash_point!(WorkerEffectDone);
        noted
    }

    /// Leaves a tombstone, after which [`WorkerJournal::begin`] says no; tells what was there before.
    ///
    /// # Errors
    ///
    /// If it is not written down.
    pub async fn tombstone(&self, effect_key: &str) -> Result<EffectState, JournalError> {
        let key = effect_key.to_owned();
        self.write(move |tx| Box::pin(async move { Ok(effect::tombstone(tx, &key).await?) })).await
    }

    /// Reports how far an attempt is; false if its task is not open, and then nothing is sent.
    ///
    /// # Errors
    ///
    /// If the report is not written down.
    pub async fn report_progress(
        &self,
        step: &StepKey,
        message: impl Into<String>,
        waiting_for: Option<String>,
    ) -> Result<bool, JournalError> {
        let news = StepNews::Progress { message: message.into(), waiting_for };
        let (worker, step) = (Arc::clone(&self.worker), step.clone());
        self.write(move |tx| {
            Box::pin(async move {
                let Some(row) = task::find_open(tx, step.attempt_id).await? else {
                    return Ok(false);
                };
                let task = task::read(&row)?;
                let reporter = Reporter { worker: &worker, to: &task.reply_to, cause: None };
                reporter.report(tx, &step, news).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Ends a task: in one commit it is finished and the report is in the outbox. False if it had ended before, or
    /// is unknown: then nothing is sent.
    ///
    /// # Errors
    ///
    /// [`JournalError::NotAnEnd`] for news other than success and failure; else if it is not written down.
    pub async fn finish(&self, step: &StepKey, news: StepNews) -> Result<bool, JournalError> {
        self.finish_with(step, news, Vec::new()).await
    }

    /// Like [`WorkerJournal::finish`], with effects that are done noted in the same commit.
    ///
    /// # Errors
    ///
    /// As [`WorkerJournal::finish`].
    pub async fn finish_with(
        &self,
        step: &StepKey,
        news: StepNews,
        effects: Vec<DoneEffect>,
    ) -> Result<bool, JournalError> {
        let attempt_id = step.attempt_id;
        if !matches!(news, StepNews::Succeeded { .. } | StepNews::Failed { .. }) {
            return Err(JournalError::NotAnEnd { attempt_id });
        }
        let (worker, step) = (Arc::clone(&self.worker), step.clone());
        let finished = self
            .write(move |tx| {
                Box::pin(async move {
                    let Some(row) = task::find_open(tx, attempt_id).await? else {
                        return Ok(false);
                    };
                    let task = task::read(&row)?;
                    for effect in &effects {
                        effect::done(tx, effect).await?;
                    }
                    task::finish(tx, attempt_id, sql::now_ms()).await?;
                    oa_crash_points::crash_point!(WorkerFinishing);
                    let reporter = Reporter { worker: &worker, to: &task.reply_to, cause: None };
                    reporter.report(tx, &step, news).await?;
                    Ok(true)
                })
            })
            .await?;
        oa_crash_points::crash_point!(WorkerFinished);
        self.cancellations.forget(attempt_id);
        Ok(finished)
    }

    /// Notes that an attempt is not wanted any more, and tells its job. A command that comes after its own
    /// cancellation is stale.
    ///
    /// # Errors
    ///
    /// If it is not written down. Then the job has not been told.
    pub async fn cancel(
        &self,
        step: &StepKey,
        reason: impl Into<String>,
    ) -> Result<Cancelled, JournalError> {
        let (attempt_id, reason) = (step.attempt_id, reason.into());
        let (step, why) = (step.clone(), reason.clone());
        let cancelled = self
            .write(move |tx| {
                Box::pin(async move {
                    if task::cancel(tx, attempt_id, &why).await? {
                        return Ok(Cancelled::Told);
                    }
                    if task::exists(tx, attempt_id).await? {
                        return Ok(Cancelled::TooLate);
                    }
                    if !fence::is_stale(tx, &step).await? {
                        fence::raise(tx, &step, step.attempt_no.saturating_add(1)).await?;
                    }
                    Ok(Cancelled::BeforeItCame)
                })
            })
            .await?;
        oa_crash_points::crash_point!(WorkerCancelled);
        if cancelled == Cancelled::Told {
            self.cancellations.cancel(attempt_id, &reason);
        }
        Ok(cancelled)
    }

    /// Tells a job that its attempt was cancelled, also if that was before a restart.
    pub fn cancelled(&self, attempt_id: AttemptId) -> CancelToken {
        self.cancellations.token(attempt_id)
    }

    /// The reports that wait for their relay.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Hands the reports over, until the journal is closed or the future is dropped.
    pub async fn relay(&self, post_office: PostOffice) {
        Relay::run(self.outbox.clone(), post_office, RelayConfig::default()).await;
    }

    /// The database, for its figures.
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Writes what is queued and releases the file.
    pub async fn close(&self) {
        self.db.close().await;
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, JournalError>
    where
        F: for<'t> FnOnce(
                &'t DatabaseTransaction,
            ) -> BoxFuture<'t, Result<T, WriteError<JournalError>>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        Ok(self.db.write(work).await?)
    }
}
