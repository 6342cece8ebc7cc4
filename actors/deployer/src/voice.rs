//! What a rollout says while it runs, and how it hears that nobody wants it any more.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::error::DeployError;

/// A line for the event log of the workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) message: String,
    /// What the step waits for, until the next line.
    pub(crate) waiting_for: Option<String>,
}

/// Takes lines at once, so that writing them down delays no rollout; passes a cancellation on.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    lines: mpsc::UnboundedSender<Line>,
    /// The reason, once there is one. `None`: what runs now is not to be cancelled.
    cancelled: Option<watch::Receiver<Option<String>>>,
    deadline: Instant,
    limit: Duration,
}

impl Voice {
    /// Speaks to `lines` until `limit` from now is over.
    ///
    /// The channel has no bound, but a rollout has: a handful of lines for each instance, one a second at most.
    pub(crate) fn new(
        lines: mpsc::UnboundedSender<Line>,
        cancelled: watch::Receiver<Option<String>>,
        limit: Duration,
    ) -> Self {
        Self { lines, cancelled: Some(cancelled), deadline: Instant::now() + limit, limit }
    }

    /// The same voice for what must be done even when the rollout was cancelled or is out of time.
    pub(crate) fn undisturbed(&self, limit: Duration) -> Self {
        Self { lines: self.lines.clone(), cancelled: None, deadline: Instant::now() + limit, limit }
    }

    pub(crate) fn say(&self, message: impl Into<String>) {
        let _ = self.lines.send(Line { message: message.into(), waiting_for: None });
    }

    pub(crate) fn wait(&self, message: impl Into<String>, waiting_for: impl Into<String>) {
        let _ = self
            .lines
            .send(Line { message: message.into(), waiting_for: Some(waiting_for.into()) });
    }

    /// Whether to go on.
    ///
    /// # Errors
    ///
    /// [`DeployError::Cancelled`] or [`DeployError::TimedOut`].
    pub(crate) fn go_on(&self) -> Result<(), DeployError> {
        if let Some(reason) =
            self.cancelled.as_ref().and_then(|cancelled| cancelled.borrow().clone())
        {
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
            () = Self::cancellation(self.cancelled.clone()) => {}
        }
        self.go_on()
    }

    async fn cancellation(cancelled: Option<watch::Receiver<Option<String>>>) {
        if let Some(mut cancelled) = cancelled
            && cancelled.wait_for(Option::is_some).await.is_ok()
        {
            return;
        }
        // Nobody is left who could cancel.
        std::future::pending().await
    }
}
