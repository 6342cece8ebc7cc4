//! Puts reports into the outbox.

use oa_durable::{Outbox, sql};
use oa_protocol::step::{StepKey, StepNews, StepReport};
use oa_runtime::{Address, Envelope, MessageId};
use sea_orm::ConnectionTrait;

use crate::error::JournalError;

/// Who reports to whom.
pub(crate) struct Reporter<'a> {
    pub(crate) worker: &'a str,
    pub(crate) to: &'a Address,
    /// The message that the report is about, if it is known.
    pub(crate) cause: Option<MessageId>,
}

impl Reporter<'_> {
    /// Puts a report into the outbox of the running transaction.
    ///
    /// Acceptance and end happen once for each attempt, so they carry a key that says so.
    pub(crate) async fn report(
        &self,
        tx: &impl ConnectionTrait,
        step: &StepKey,
        news: StepNews,
    ) -> Result<(), JournalError> {
        let attempt_id = step.attempt_id;
        let key = match &news {
            StepNews::Accepted => Some(format!("{attempt_id}/accepted")),
            StepNews::Succeeded { .. } | StepNews::Failed { .. } => {
                Some(format!("{attempt_id}/end"))
            }
            StepNews::Progress { .. } => None,
        };
        let report = StepReport {
            step: step.clone(),
            worker: self.worker.to_owned(),
            at_ms: sql::now_ms(),
            news,
        };
        let mut envelope = Envelope::new(self.to, &report)
            .map_err(|cause| JournalError::Report { attempt_id, cause })?;
        envelope.idempotency_key = key;
        envelope.cause = self.cause;
        Ok(Outbox::insert(tx, &envelope).await?)
    }
}
