//! How a running job learns that nobody wants it any more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use oa_protocol::AttemptId;
use tokio::sync::watch;

/// Tells one job that its attempt was cancelled. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CancelToken {
    reason: watch::Receiver<Option<String>>,
}

impl CancelToken {
    /// Cancelled once `reason` holds one.
    #[must_use]
    pub fn new(reason: watch::Receiver<Option<String>>) -> Self {
        Self { reason }
    }

    /// Resolves with the reason once the attempt is cancelled; never, if it ends before.
    pub async fn cancelled(&self) -> String {
        let mut reason = self.reason.clone();
        let cancelled =
            reason.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match cancelled {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    /// The reason, if the attempt is cancelled.
    pub fn reason(&self) -> Option<String> {
        self.reason.borrow().clone()
    }
}

/// The attempts that somebody watches or that are cancelled.
#[derive(Debug, Default)]
pub(crate) struct Cancellations {
    attempts: Mutex<HashMap<AttemptId, watch::Sender<Option<String>>>>,
}

impl Cancellations {
    pub(crate) fn token(&self, attempt_id: AttemptId) -> CancelToken {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody watches and that have nothing to tell would only pile up.
        attempts.retain(|_, reason| reason.receiver_count() > 0 || reason.borrow().is_some());
        let reason =
            attempts.entry(attempt_id).or_insert_with(|| watch::channel(None).0).subscribe();
        CancelToken { reason }
    }

    /// The first reason stays.
    pub(crate) fn cancel(&self, attempt_id: AttemptId, reason: &str) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.entry(attempt_id).or_insert_with(|| watch::channel(None).0).send_if_modified(
            |known| {
                let is_first = known.is_none();
                if is_first {
                    *known = Some(reason.to_owned());
                }
                is_first
            },
        );
    }

    pub(crate) fn forget(&self, attempt_id: AttemptId) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(&attempt_id);
    }
}
