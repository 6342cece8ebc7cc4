//! What a rollout says while it runs, and how it hears that nobody wants it any more.

use std::time::Duration;

use oa_worker_journal::{CancelToken, Progress};
use tokio::time::Instant;

use crate::error::DeployError;

/// Takes lines at once, so that writing them down delays no rollout; passes a cancellation on.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    progress: Progress,
    /// `None`: what runs now is not to be cancelled.
    cancelled: Option<CancelToken>,
    deadline: Instant,
    limit: Duration,
}

impl Voice {
    /// Speaks to `progress` until `limit` from now is over: a handful of lines for each instance, one a second at most.
    pub(crate) fn new(progress: Progress, cancelled: CancelToken, limit: Duration) -> Self {
        Self { progress, cancelled: Some(cancelled), deadline: Instant::now() + limit, limit }
    }

    /// The same voice for what must be done even when the rollout was cancelled or is out of time.
    pub(crate) fn undisturbed(&self, limit: Duration) -> Self {
        let (progress, deadline) = (self.progress.clone(), Instant::now() + limit);
        Self { progress, cancelled: None, deadline, limit }
    }

    pub(crate) fn say(&self, message: impl Into<String>) {
        self.progress.say(message);
    }

    pub(crate) fn wait(&self, message: impl Into<String>, waiting_for: impl Into<String>) {
        self.progress.wait(message, waiting_for);
    }

    /// Whether to go on.
    ///
    /// # Errors
    ///
    /// [`DeployError::Cancelled`] or [`DeployError::TimedOut`].
    pub(crate) fn go_on(&self) -> Result<(), DeployError> {
        if let Some(reason) = self.cancelled.as_ref().and_then(CancelToken::reason) {
            return Err(DeployError::Cancelled { reason });
        }
        if Instant::now() >= self.deadline {
            return Err(DeployError::TimedOut { limit: self.limit });
        }
        Ok(())
    }

    /// Waits; a cancellation or the end of the time wakes it.
    ///
    /// # Errors
    ///
    /// As [`Self::go_on`].
    pub(crate) async fn sleep(&self, time: Duration) -> Result<(), DeployError> {
        let until = (Instant::now() + time).min(self.deadline);
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = self.cancellation() => {}
        }
        self.go_on()
    }

    async fn cancellation(&self) {
        match &self.cancelled {
            Some(cancelled) => drop(cancelled.cancelled().await),
            None => std::future::pending().await,
        }
    }
}
