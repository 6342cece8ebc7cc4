//! A batch of events, from the jobs of the lane to the answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use oa_durable::{SetError, SetOutcome, SetWriter};
use oa_protocol::WorkflowId;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};

use super::batch::{Batch, Outcome, Seen};
use super::load::Waiter;
use super::{Applied, JournalError, WorkflowChange, load, save};
use crate::clock::Clock;
use crate::error::StoreError;
use crate::lease::Lease;
use crate::sql;
use crate::workflow::{Destinations, Event, Target};

/// One event for one workflow.
pub(crate) struct Job {
    pub(super) id: WorkflowId,
    pub(super) event: Event,
    /// The message that brought it.
    pub(super) message_id: Option<String>,
}

/// The answer to a job, and every change that it caused.
pub(crate) struct Done {
    pub(super) applied: Applied,
    pub(super) changes: Vec<WorkflowChange>,
}

/// Writes events in batches.
pub(crate) struct JournalWriter {
    pub(super) clock: Clock,
    pub(super) lease: Arc<Lease>,
    pub(super) destinations: Arc<Destinations>,
}

impl SetWriter for JournalWriter {
    type Job = Job;
    type Out = Done;
    type Refusal = JournalError;

    fn write<'a>(
        &'a self,
        tx: &'a DatabaseTransaction,
        jobs: &'a [Job],
    ) -> BoxFuture<'a, Result<Vec<SetOutcome<Self>>, SetError>> {
        Box::pin(async move {
            if !self.lease.holds(tx).await? {
                return Ok(jobs.iter().map(|_| Err(JournalError::Fenced)).collect());
            }
            match self.run(tx, jobs).await {
                Ok(answers) => Ok(answers),
                Err(Trouble::Set(cause)) => Err(cause),
                // With one job alone this is its answer; with many, each is tried alone.
                Err(Trouble::Store(cause)) if jobs.len() == 1 => Ok(vec![Err(cause.into())]),
                Err(Trouble::Store(cause)) => {
                    Err(SetError::Database(DbErr::Custom(cause.to_string())))
                }
            }
        })
    }
}

/// Why a batch as a whole was not written.
enum Trouble {
    Set(SetError),
    Store(StoreError),
}

impl From<SetError> for Trouble {
    fn from(cause: SetError) -> Self {
        Self::Set(cause)
    }
}

impl From<DbErr> for Trouble {
    fn from(cause: DbErr) -> Self {
        Self::Set(SetError::Database(cause))
    }
}

impl From<StoreError> for Trouble {
    fn from(cause: StoreError) -> Self {
        match cause {
            StoreError::Read(cause) => cause.into(),
            cause => Self::Store(cause),
        }
    }
}

impl JournalWriter {
    async fn run(
        &self,
        tx: &DatabaseTransaction,
        jobs: &[Job],
    ) -> Result<Vec<SetOutcome<Self>>, Trouble> {
        let ids: BTreeSet<WorkflowId> = jobs.iter().map(|job| job.id).collect();
        let ids: Vec<WorkflowId> = ids.into_iter().collect();
        let states = load::states(tx, &ids, &self.destinations).await?;
        let mut batch = Batch::new(states, |id| self.epoch(id), self.clock.now_ms());
        let wanted =
            jobs.iter().flat_map(|job| batch.unknown_targets(job.id, &job.event)).collect();
        Self::learn_targets(tx, &mut batch, wanted).await?;

        let mut seen = Seen::new(known_messages(tx, jobs).await?);
        let mut messages = Vec::new();
        let mut answers = Vec::with_capacity(jobs.len());
        let mut released = BTreeSet::new();
        for job in jobs {
            let answer = self.answer(&mut batch, &mut seen, job, &mut released);
            if let (
                Some(message),
                Ok(Done { applied: Applied::Changed { .. } | Applied::Ignored(_), .. }),
            ) = (&job.message_id, &answer)
            {
                messages.push(message.clone());
            }
            answers.push(answer);
        }
        let resumed = self.resume(tx, &mut batch, released).await?;
        // Whoever freed a target also tells of those that go on; any answer can carry it.
        if let Some(done) = answers.iter_mut().flatten().find(|done| !done.changes.is_empty()) {
            done.changes.extend(resumed);
        }
        save::save(tx, &batch, &messages).await?;
        oa_crash_points::crash_point!(JournalInTransaction);
        Ok(answers)
    }

    fn epoch(&self, id: WorkflowId) -> u64 {
        sql::from_db_int(self.lease.epoch(id))
    }

    async fn learn_targets(
        tx: &DatabaseTransaction,
        batch: &mut Batch,
        wanted: Vec<Target>,
    ) -> Result<(), StoreError> {
        if !wanted.is_empty() {
            let views = load::targets(tx, &wanted).await?;
            batch.learn(wanted, &views);
        }
        Ok(())
    }

    fn answer(
        &self,
        batch: &mut Batch,
        seen: &mut Seen,
        job: &Job,
        released: &mut BTreeSet<Target>,
    ) -> SetOutcome<Self> {
        if job.message_id.as_ref().is_some_and(|message| !seen.note(message)) {
            return Ok(Done { applied: Applied::Duplicate, changes: Vec::new() });
        }
        let refusal = match batch.apply(job.id, &job.event) {
            Outcome::Changed { released: gave_up } => {
                released.extend(gave_up);
                return Ok(change(batch, job.id));
            }
            Outcome::Ignored(why) => {
                return Ok(Done { applied: Applied::Ignored(why), changes: Vec::new() });
            }
            Outcome::Unknown => JournalError::UnknownWorkflow { id: job.id },
            Outcome::Corrupt(why) => why
                .unwrap_or_else(|| StoreError::corrupt("workflow", job.id, "see the answer before"))
                .into(),
        };
        // Nothing was done, so the same message may come again.
        if let Some(message) = &job.message_id {
            seen.forget(message);
        }
        Err(refusal)
    }

    /// Lets workflows go on that wait for what was released, the longest waiting first. Whoever finds the target
    /// taken again by the one before goes on waiting and is not touched.
    async fn resume(
        &self,
        tx: &DatabaseTransaction,
        batch: &mut Batch,
        released: BTreeSet<Target>,
    ) -> Result<Vec<WorkflowChange>, Trouble> {
        if released.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> = released.iter().map(ToString::to_string).collect();
        let mut waiters = load::waiters(tx, &names).await?;
        waiters.retain(|waiter| !batch.contains(waiter.id));
        waiters.extend(batch.waiters(&released));
        waiters.sort();
        let mut changes = Vec::new();
        for Waiter { id, target, .. } in waiters {
            if batch.is_held(&target) {
                continue;
            }
            if !batch.contains(id) {
                let states = load::states(tx, &[id], &self.destinations).await?;
                batch.add(states, |id| self.epoch(id));
            }
            let wanted = batch.unknown_targets(id, &Event::ClaimReleased);
            Self::learn_targets(tx, batch, wanted).await?;
            if let Outcome::Changed { .. } = batch.apply(id, &Event::ClaimReleased) {
                changes.extend(change(batch, id).changes);
            }
        }
        Ok(changes)
    }
}

fn change(batch: &Batch, workflow_id: WorkflowId) -> Done {
    let now = batch.now(workflow_id).map(|state| (state.version, state.status));
    let (version, status) = now.expect("a workflow that was changed is in the batch");
    let changes = vec![WorkflowChange { workflow_id, version, status }];
    Done { applied: Applied::Changed { version, status }, changes }
}

/// Messages of the jobs that were applied before.
async fn known_messages(tx: &impl ConnectionTrait, jobs: &[Job]) -> Result<Vec<String>, DbErr> {
    let ids: Vec<String> = jobs.iter().filter_map(|job| job.message_id.clone()).collect();
    let mut known = Vec::new();
    for chunk in ids.chunks(sql::CHUNK) {
        let select = format!(
            "SELECT message_id FROM inbox WHERE message_id IN ({})",
            sql::places(1, chunk.len())
        );
        for row in sql::query(tx, &select, chunk.iter().map(|id| id.clone().into())).await? {
            known.push(row.try_get("", "message_id")?);
        }
    }
    Ok(known)
}
