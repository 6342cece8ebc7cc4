//! What happened to workflows, and what is to happen next.
//!
//! ```text
//!  apply ─┐
//!  apply ─┼─► lane ─► one transaction:  load states ─► step, step, step ─► one statement a table ─► commit
//!  apply ─┘                                                                                          │
//!                                             callers answered, subscribers told, relay woken ◄──────┘
//! ```

mod batch;
mod load;
mod save;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use oa_durable::{Database, Lane};
use oa_protocol::WorkflowId;
use oa_runtime::Failure;
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::entities::{workflow_events, workflow_timers};
use crate::error::{StoreError, settle};
use crate::lease::Lease;
use crate::record::JournalEntry;
use crate::sql;
use crate::workflow::{Destinations, Event, Ignored, Status, TimerKind, WorkflowState};
use writer::{Done, Job, JournalWriter};

pub(crate) use load::{targets, workflow_id};
pub(crate) use save::event_row;

/// Changes that a slow subscriber may be behind before it has to look for itself.
const SUBSCRIBER_LAG: usize = 1024;

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It changed the workflow, and the change is on disk.
    Changed {
        /// Number of the change.
        version: u64,
        /// Where the workflow is now.
        status: Status,
    },
    /// It changed nothing, for this reason.
    Ignored(Ignored),
    /// The same message was applied before.
    Duplicate,
}

/// Why an event was not applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// There is no such workflow.
    #[error("there is no workflow {id}")]
    UnknownWorkflow {
        /// The id.
        id: WorkflowId,
    },
    /// Another process has taken over; this one decides nothing any more.
    #[error("another process has taken over the workflows")]
    Fenced,
    /// The database said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JournalError {
    /// Whether the same event may be applied later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::UnknownWorkflow { .. } | Self::Fenced => false,
            Self::Store(cause) => cause.is_retryable(),
        }
    }

    /// As the failure of a message: what is wrong with the disk is no fault of the message.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Store(cause) => cause.into_failure(),
            own => Failure::from(own).with_retryable(false),
        }
    }
}

/// Says that a workflow has changed; a hint, the journal is the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkflowChange {
    /// Which one.
    pub workflow_id: WorkflowId,
    /// Number of the change.
    pub version: u64,
    /// Where it is now.
    pub status: Status,
}

/// The journal of every workflow. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    db: Database,
    lease: Arc<Lease>,
    destinations: Arc<Destinations>,
    lane: Lane<JournalWriter>,
    changes: broadcast::Sender<WorkflowChange>,
}

/// What a journal is made of.
pub(crate) struct JournalParts {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) lease: Arc<Lease>,
    pub(crate) destinations: Arc<Destinations>,
}

impl Journal {
    pub(crate) fn new(parts: JournalParts) -> Self {
        let JournalParts { db, clock, lease, destinations } = parts;
        let lane = db.lane(JournalWriter {
            clock,
            lease: Arc::clone(&lease),
            destinations: Arc::clone(&destinations),
        });
        Self { db, lease, destinations, lane, changes: broadcast::Sender::new(SUBSCRIBER_LAG) }
    }

    /// Applies `event`; resolves once what it changed is on disk.
    ///
    /// Once it is queued it is applied, even if the caller goes away.
    ///
    /// # Errors
    ///
    /// [`JournalError::UnknownWorkflow`]; [`JournalError::Store`] if the database does not take it.
    pub async fn apply(&self, id: WorkflowId, event: Event) -> Result<Applied, JournalError> {
        self.submit(Job { id, event, message_id: None }).await
    }

    /// Applies `event` of a message, and notes the message in the same transaction.
    ///
    /// # Errors
    ///
    /// As [`Journal::apply`]; the message is noted only if the answer is `Ok`.
    pub async fn apply_message(
        &self,
        message_id: &str,
        id: WorkflowId,
        event: Event,
    ) -> Result<Applied, JournalError> {
        self.submit(Job { id, event, message_id: Some(message_id.to_owned()) }).await
    }

    async fn submit(&self, job: Job) -> Result<Applied, JournalError> {
        let outcome = self.lane.submit(job).await.map_err(settle);
        let kind = match &outcome {
            Ok(done) => match done.applied {
                Applied::Changed { .. } => "changed",
                Applied::Ignored(_) => "ignored",
                Applied::Duplicate => "duplicate",
            },
            Err(_) => "refused",
        };
        metrics::counter!("oa_workflow_events_total", "outcome" => kind).increment(1);
        let done: Done = outcome?;
        for change in done.changes {
            self.announce(change);
        }
        Ok(done.applied)
    }

    /// Tells subscribers of a change that is on disk.
    pub(crate) fn announce(&self, change: WorkflowChange) {
        // Nobody may be listening.
        let _ = self.changes.send(change);
    }

    /// Every change from now on. After [`broadcast::error::RecvError::Lagged`] look at the journal.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<WorkflowChange> {
        self.changes.subscribe()
    }

    /// The workflow as [`crate::workflow::step`] sees it, without the holders of targets.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if this release cannot read it.
    pub async fn load(&self, id: WorkflowId) -> Result<Option<WorkflowState>, StoreError> {
        let mut states = load::states(self.db.reader(), &[id], &self.destinations).await?;
        states.remove(&id).transpose().map(|state| {
            state.map(|mut state| {
                state.epoch = sql::from_db_int(self.lease.epoch(id));
                state
            })
        })
    }

    /// Workflows that were executed and have not ended, the oldest first.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn open_workflows(&self) -> Result<Vec<WorkflowId>, StoreError> {
        let select = "SELECT id FROM workflows WHERE finished_at_ms IS NULL AND state <> 'created' ORDER BY id";
        let rows = sql::query(self.db.reader(), select, []).await?;
        rows.iter().map(|row| workflow_id(&row.try_get::<String>("", "id")?)).collect()
    }

    /// Timers that are due, the longest due first.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn due_timers(
        &self,
        now_ms: i64,
    ) -> Result<Vec<(WorkflowId, TimerKind)>, StoreError> {
        let select = "SELECT workflow_id, kind, fire_at_ms FROM workflow_timers WHERE fire_at_ms <= $1 \
                      ORDER BY fire_at_ms LIMIT 1000";
        let rows: Vec<workflow_timers::Model> =
            sql::models(self.db.reader(), select, [now_ms.into()]).await?;
        let read = |row: workflow_timers::Model| {
            let kind = row
                .kind
                .parse()
                .map_err(|why| StoreError::corrupt("timer of", &row.workflow_id, why))?;
            Ok((workflow_id(&row.workflow_id)?, kind))
        };
        rows.into_iter().map(read).collect()
    }

    /// When the next timer is due.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn next_timer_at(&self) -> Result<Option<i64>, StoreError> {
        let rows =
            sql::query(self.db.reader(), "SELECT min(fire_at_ms) AS at FROM workflow_timers", [])
                .await?;
        rows.first().map_or(Ok(None), |row| Ok(row.try_get("", "at")?))
    }

    /// The lines of a journal after `after_version`, in order.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn events(
        &self,
        id: WorkflowId,
        after_version: u64,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let select = "SELECT * FROM workflow_events WHERE workflow_id = $1 AND version > $2 ORDER BY version";
        let values = [id.to_string().into(), sql::db_int(after_version).into()];
        let rows: Vec<workflow_events::Model> =
            sql::models(self.db.reader(), select, values).await?;
        Ok(rows.into_iter().map(JournalEntry::from_row).collect())
    }

    /// As [`Journal::events`], but waits up to `patience` for the first line if there is none yet.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn wait_for_events(
        &self,
        id: WorkflowId,
        after_version: u64,
        patience: Duration,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let mut changes = self.subscribe();
        let found = self.events(id, after_version).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        let news = async {
            // Whoever lags may have missed it; so it looks.
            while let Ok(change) = changes.recv().await {
                if change.workflow_id == id && change.version > after_version {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(patience, news).await;
        self.events(id, after_version).await
    }

    /// Open workflows that nothing will move: no attempt in flight, no timer that goes on, no claim that is waited
    /// for. It must be 0.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn offenders(&self) -> Result<u64, StoreError> {
        let select = "SELECT count(*) AS offenders FROM workflows w \
             WHERE w.finished_at_ms IS NULL AND w.state NOT IN ('created', 'parked') \
             AND NOT EXISTS (SELECT 1 FROM step_attempts a \
                             WHERE a.workflow_id = w.id AND a.state IN ('queued', 'accepted')) \
             AND NOT EXISTS (SELECT 1 FROM workflow_timers t \
                             WHERE t.workflow_id = w.id AND t.kind IN ('start', 'retry')) \
             AND NOT EXISTS (SELECT 1 FROM target_claims c \
                             WHERE c.target = w.waits_for_target AND c.released_at_ms IS NULL)";
        let rows = sql::query(self.db.reader(), select, []).await?;
        rows.first().map_or(Ok(0), |row| Ok(sql::from_db_int(row.try_get("", "offenders")?)))
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("db", &self.db).finish_non_exhaustive()
    }
}
