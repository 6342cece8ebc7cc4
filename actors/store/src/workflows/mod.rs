//! Workflows as REST objects: make, show, change, delete.
//!
//! What happens to them once they are executed is the [`crate::Journal`]'s.

mod create;
mod list;
mod patch;

use oa_durable::{Database, WriteError};
use oa_protocol::WorkflowId;
use sea_orm::ConnectionTrait;

use crate::clock::Clock;
use crate::entities::workflows;
use crate::error::{StoreError, refuse, settle};
use crate::journal::{Journal, JournalError};
use crate::record::WorkflowRecord;
use crate::sql;
use crate::workflow::{Event, MilestoneError, Status};

pub use create::NewWorkflow;
pub use list::WorkflowFilter;
pub use patch::WorkflowPatch;

/// Why a workflow was not made, changed or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowError {
    /// A field holds what it must not.
    #[error("{field}: {why}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it and what is allowed.
        why: String,
    },
    /// The list of milestones is not possible.
    #[error("milestones: {0}")]
    Milestones(#[from] MilestoneError),
    /// It was executed, so what it does cannot be changed any more.
    #[error("{field} cannot be changed: the workflow is {status}")]
    Started {
        /// Which field.
        field: &'static str,
        /// Where the workflow is.
        status: Status,
    },
    /// Somebody else has changed it since it was read.
    #[error("the workflow was changed: it has version {found}, not {expected}")]
    VersionConflict {
        /// The version that the caller has seen.
        expected: u64,
        /// The version that it has.
        found: u64,
    },
    /// Another process has taken over the workflows.
    #[error("another process has taken over the workflows")]
    Fenced,
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WorkflowError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(cause) if cause.is_retryable())
    }

    /// Name of the field that is to blame, if one is.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Invalid { field, .. } | Self::Started { field, .. } => Some(field),
            Self::Milestones(MilestoneError::NoStartTime) => Some("scheduled_start_time"),
            Self::Milestones(_) => Some("milestones"),
            Self::VersionConflict { .. } | Self::Fenced | Self::Store(_) => None,
        }
    }
}

/// The workflows of the store.
#[derive(Debug, Clone)]
pub struct Workflows {
    db: Database,
    clock: Clock,
    journal: Journal,
}

impl Workflows {
    pub(crate) fn new(db: Database, clock: Clock, journal: Journal) -> Self {
        Self { db, clock, journal }
    }

    /// Makes a workflow. It does nothing until it is executed.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Invalid`] or [`WorkflowError::Milestones`] with what is allowed.
    pub async fn create(&self, new: NewWorkflow) -> Result<WorkflowRecord, WorkflowError> {
        let (row, event) = new.into_rows(WorkflowId::new(), self.clock.now_ms())?;
        let record = WorkflowRecord::from_rows(row.clone(), Vec::new(), vec![event.clone()])?;
        self.db
            .write::<_, WorkflowError, _>(|tx| {
                Box::pin(async move {
                    if let Some(why) = create::missing_product(tx, &row).await? {
                        return refuse(WorkflowError::Invalid { field: "product_id", why });
                    }
                    Ok(create::insert(tx, row, event).await?)
                })
            })
            .await
            .map_err(settle)?;
        Ok(record)
    }

    /// The workflow with its steps and its journal.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if this release cannot read it.
    pub async fn get(&self, id: WorkflowId) -> Result<Option<WorkflowRecord>, StoreError> {
        list::get(self.db.reader(), id).await
    }

    /// Ids of the newest workflows.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn newest_ids(&self, limit: u64) -> Result<Vec<String>, StoreError> {
        let select = "SELECT id FROM workflows ORDER BY id DESC LIMIT $1";
        let rows = sql::query(self.db.reader(), select, [sql::db_int(limit).into()]).await?;
        Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?)
    }

    /// Workflows that pass `filter`, the oldest first, without the outputs of their steps.
    ///
    /// A row that this release cannot read is left out and logged.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn list(&self, filter: &WorkflowFilter) -> Result<Vec<WorkflowRecord>, StoreError> {
        list::list(self.db.reader(), filter).await
    }

    /// Changes the fields that `patch` names; false if there is no such workflow.
    ///
    /// # Errors
    ///
    /// [`WorkflowError::Started`] for what was already begun; [`WorkflowError::VersionConflict`].
    pub async fn update(
        &self,
        id: WorkflowId,
        patch: WorkflowPatch,
    ) -> Result<bool, WorkflowError> {
        let now_ms = self.clock.now_ms();
        let changed = self
            .db
            .write::<_, WorkflowError, _>(move |tx| {
                Box::pin(async move {
                    let Some(row) = row(tx, id).await? else { return Ok(None) };
                    match patch.apply(row) {
                        Ok(changed) => Ok(Some(patch::save(tx, changed, now_ms).await?)),
                        Err(reason) => refuse(reason),
                    }
                })
            })
            .await
            .map_err(settle)?;
        let Some(change) = changed else { return Ok(false) };
        if let Some(change) = change {
            self.journal.announce(change);
        }
        Ok(true)
    }

    /// Deletes a workflow with its journal; what runs is cancelled first. False if there is no such workflow.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn delete(&self, id: WorkflowId, by: &str) -> Result<bool, WorkflowError> {
        let cancel =
            Event::Cancel { by: by.to_owned(), reason: "the workflow was deleted".to_owned() };
        match self.journal.apply(id, cancel).await {
            Ok(_) => {}
            Err(JournalError::UnknownWorkflow { .. }) => return Ok(false),
            // What cannot be read can still be deleted; nothing of it is in flight that this release could name.
            Err(JournalError::Store(StoreError::Corrupt { .. })) => {}
            Err(JournalError::Store(cause)) => return Err(cause.into()),
            Err(JournalError::Fenced) => return Err(WorkflowError::Fenced),
        }
        let deleted = self.db.write::<_, StoreError, _>(move |tx| {
            Box::pin(async move {
                let delete = "DELETE FROM workflows WHERE id = $1";
                Ok(sql::execute(tx, delete, [id.to_string().into()]).await?.rows_affected() == 1)
            })
        });
        deleted.await.map_err(|cause| WorkflowError::Store(settle(cause)))
    }
}

async fn row<E: std::error::Error + 'static>(
    tx: &impl ConnectionTrait,
    id: WorkflowId,
) -> Result<Option<workflows::Model>, WriteError<E>> {
    let rows =
        sql::models(tx, "SELECT * FROM workflows WHERE id = $1", [id.to_string().into()]).await?;
    Ok(rows.into_iter().next())
}

/// Longest name of a repository, in characters.
const LONGEST_REPO: usize = 1024;
/// Longest branch, tag or commit, in characters.
const LONGEST_REF: usize = 256;
/// Longest JSON of options, in bytes.
const LONGEST_OPTIONS: usize = 16 * 1024;

/// Checks that a text of a client is not longer than it may be and has no control characters.
fn check_text(
    field: &'static str,
    text: Option<&str>,
    longest: usize,
) -> Result<(), WorkflowError> {
    let Some(text) = text else { return Ok(()) };
    if text.chars().count() > longest {
        return Err(WorkflowError::Invalid {
            field,
            why: format!("it has more than {longest} characters"),
        });
    }
    if text.chars().any(char::is_control) {
        return Err(WorkflowError::Invalid { field, why: "it has control characters".to_owned() });
    }
    Ok(())
}

fn check_options(options: Option<&serde_json::Value>) -> Result<(), WorkflowError> {
    let field = "execute_options";
    match options {
        None => Ok(()),
        Some(options) if !options.is_object() => {
            Err(WorkflowError::Invalid { field, why: "it is not an object".to_owned() })
        }
        Some(options) if options.to_string().len() > LONGEST_OPTIONS => {
            Err(WorkflowError::Invalid {
                field,
                why: format!("it has more than {LONGEST_OPTIONS} bytes"),
            })
        }
        Some(_) => Ok(()),
    }
}
