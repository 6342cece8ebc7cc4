//! How long git may take: for a whole step, and for one call of it.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::error::GitError;

/// Longest time that a step gets.
const LONGEST_STEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Until when a step may run, and how long one call of git within it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    until: Instant,
    limit: Duration,
    call: Duration,
}

impl Budget {
    /// A step of `limit` that begins now; no call of git in it takes longer than `call`.
    pub(crate) fn of(limit: Duration, call: Duration) -> Self {
        // A command may name any time; a clock cannot hold every one.
        let limit = limit.min(LONGEST_STEP);
        Self { until: Instant::now() + limit, limit, call: call.min(LONGEST_STEP) }
    }

    /// Waits for `work`, at most for the time of one call and until the end of the step.
    pub(crate) async fn bound<T>(
        self,
        command: &'static str,
        work: impl Future<Output = Result<T, GitError>>,
    ) -> Result<T, GitError> {
        let call = Instant::now() + self.call;
        match timeout_at(call.min(self.until), work).await {
            Ok(result) => result,
            Err(_) if call < self.until => Err(GitError::Hangs { command, limit: self.call }),
            Err(_) => Err(GitError::TimedOut { command, limit: self.limit }),
        }
    }
}
