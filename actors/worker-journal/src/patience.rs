//! What every job of a worker does with its journal: go on trying where giving up would lose a result.

use std::time::Duration;

use oa_protocol::step::{StepKey, StepNews};

use crate::error::JournalError;
use crate::journal::WorkerJournal;

/// Rest before a result is written again that the journal did not take.
const REST: Duration = Duration::from_secs(1);

impl WorkerJournal {
    /// Like [`WorkerJournal::finish`], however long the journal's disk takes to recover.
    ///
    /// # Errors
    ///
    /// As [`WorkerJournal::finish`], but none that may pass.
    pub async fn finish_patiently(
        &self,
        step: &StepKey,
        news: StepNews,
    ) -> Result<(), JournalError> {
        let mut said = false;
        loop {
            match self.finish(step, news.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_retryable() => {
                    if !std::mem::replace(&mut said, true) {
                        tracing::error!(%error, workflow_id = %step.workflow_id, "failed to write down a result; trying again until it is");
                    }
                    tokio::time::sleep(REST).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Like [`WorkerJournal::report_progress`] for what may be lost: a failure is a line in the log.
    pub async fn note_progress(
        &self,
        step: &StepKey,
        message: String,
        waiting_for: Option<String>,
    ) {
        if let Err(error) = self.report_progress(step, message, waiting_for).await
            && error.storage().is_none()
        {
            tracing::warn!(%error, workflow_id = %step.workflow_id, "failed to write down the progress of a step");
        }
        oa_crash_points::crash_point!(WorkerProgressNoted);
    }
}
