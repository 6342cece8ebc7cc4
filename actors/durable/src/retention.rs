//! Deletes what nobody needs any more.

use std::error::Error;
use std::time::Duration;

use crate::database::Written;
use crate::error::WriteError;
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::sql;

/// How long rows are kept.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Messages that were handed over. Default: 24 h.
    pub sent: Duration,
    /// Notes of received messages; longer than any message lives. Default: 8 days.
    pub received: Duration,
    /// How often rows are deleted. Default: 10 min.
    pub every: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let hour = Duration::from_secs(60 * 60);
        Self { sent: 24 * hour, received: 8 * 24 * hour, every: Duration::from_secs(10 * 60) }
    }
}

/// Rows of one deletion; others write in between.
const BATCH: u64 = 1_000;
/// Rest between two of them.
const PAUSE: Duration = Duration::from_millis(50);

impl Retention {
    /// Deletes old rows again and again, until the database is closed or the future is dropped.
    pub async fn run(self, outbox: Outbox, inbox: Option<Inbox>) {
        loop {
            match self.prune(&outbox, inbox.as_ref()).await {
                Ok(0) => {}
                Ok(rows) => tracing::debug!(rows, "deleted old rows of outbox and inbox"),
                Err(WriteError::Closed) => return,
                Err(cause) => {
                    tracing::warn!(error = &cause as &dyn Error, "failed to delete old rows")
                }
            }
            tokio::time::sleep(self.every).await;
        }
    }

    /// Deletes everything that is old now; returns how many rows.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn prune(&self, outbox: &Outbox, inbox: Option<&Inbox>) -> Written<u64> {
        let mut deleted = 0;
        let sent_before = before(self.sent);
        while let rows @ 1.. = outbox.prune(sent_before, BATCH).await? {
            deleted += rows;
            tokio::time::sleep(PAUSE).await;
        }
        let Some(inbox) = inbox else { return Ok(deleted) };
        let received_before = before(self.received);
        while let rows @ 1.. = inbox.prune(received_before, BATCH).await? {
            deleted += rows;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(deleted)
    }
}

fn before(age: Duration) -> i64 {
    sql::now_ms().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}
