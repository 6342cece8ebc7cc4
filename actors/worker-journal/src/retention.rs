//! Deletes what nobody needs any more.

use std::error::Error;
use std::time::Duration;

use oa_durable::{Inbox, Retention, WriteError, sql};

use crate::error::JournalError;
use crate::journal::WorkerJournal;

/// How long a journal keeps what is over.
#[derive(Debug, Clone)]
pub struct JournalRetention {
    /// Finished tasks; longer than any message lives. Default: 8 days.
    pub tasks: Duration,
    /// Effects and fences, which refuse late commands. Default: 90 days.
    pub effects: Duration,
    /// Outbox and received messages.
    pub messages: Retention,
}

impl Default for JournalRetention {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self { tasks: 8 * day, effects: 90 * day, messages: Retention::default() }
    }
}

/// Rows of one deletion.
const BATCH: u64 = 1_000;

const TASKS: &str = "DELETE FROM task WHERE attempt_id IN \
                     (SELECT attempt_id FROM task WHERE state = 'finished' AND finished_at_ms < $1 LIMIT $2)";
const EFFECTS: &str = "DELETE FROM effect WHERE effect_key IN (SELECT effect_key FROM effect \
                       WHERE state <> 'begun' AND changed_at_ms < $1 LIMIT $2)";
const FENCES: &str = "DELETE FROM fence WHERE (workflow_id, seq) IN \
                      (SELECT workflow_id, seq FROM fence WHERE changed_at_ms < $1 LIMIT $2)";

impl WorkerJournal {
    /// Deletes what is older than `keep` says; returns how many rows.
    ///
    /// # Errors
    ///
    /// If the journal cannot be written.
    pub async fn prune(&self, keep: &JournalRetention) -> Result<u64, JournalError> {
        let inbox = Inbox::new(self.database().clone());
        let mut deleted =
            keep.messages.prune(self.outbox(), Some(&inbox)).await.map_err(JournalError::Write)?;
        for (delete, age) in [(TASKS, keep.tasks), (EFFECTS, keep.effects), (FENCES, keep.effects)]
        {
            let before_ms =
                sql::now_ms().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
            while let rows @ 1.. = self.delete(delete, before_ms).await? {
                deleted += rows;
            }
        }
        Ok(deleted)
    }

    /// Prunes again and again, until the journal is closed or the future is dropped.
    pub async fn keep_pruned(&self, keep: JournalRetention) {
        loop {
            match self.prune(&keep).await {
                Ok(0) => {}
                Ok(rows) => tracing::debug!(rows, "deleted old rows of the journal"),
                Err(JournalError::Write(WriteError::Closed)) => return,
                Err(cause) => {
                    tracing::warn!(error = &cause as &dyn Error, "failed to prune the journal")
                }
            }
            tokio::time::sleep(keep.messages.every).await;
        }
    }

    async fn delete(&self, delete: &'static str, before_ms: i64) -> Result<u64, JournalError> {
        self.write(move |tx| {
            Box::pin(async move {
                Ok(sql::execute(tx, delete, [before_ms.into(), BATCH.into()])
                    .await?
                    .rows_affected())
            })
        })
        .await
    }
}
