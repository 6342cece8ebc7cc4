//! The orderly end of everything.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{System, TreeNode};

/// Left for the threads when the actors have used up the limit.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How a shutdown went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How long it took.
    pub took: Duration,
    /// Paths of the actors that did not end within their limits, or within the limit of the whole.
    pub abandoned: Vec<String>,
    /// Whether every thread has ended.
    pub threads_ended: bool,
}

impl ShutdownReport {
    /// Whether every actor and every thread ended in time.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.abandoned.is_empty() && self.threads_ended
    }
}

impl System {
    /// Stops all actors, children before parents and the last started first, each within its drain limit, all
    /// `within` the given time; then ends the threads. An actor must not await it: it would wait for itself.
    pub async fn shutdown(&self, within: Duration) -> ShutdownReport {
        let begun = Instant::now();
        let limit = begun + within;
        let root = self.inner.root();
        root.signals.stop();
        let in_time = timeout_at(limit, root.ended.wait()).await.is_ok();
        let mut abandoned =
            self.inner.abandoned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !in_time {
            leaves(&root.tree(), &mut abandoned);
            abandoned.dedup();
        }
        self.inner.end_threads();
        let limit = limit.max(Instant::now() + LAST_WORDS);
        let mut threads_ended = true;
        for arbiter in &self.inner.arbiters {
            threads_ended &= timeout_at(limit, arbiter.ended()).await.is_ok();
        }
        ShutdownReport { took: begun.elapsed(), abandoned, threads_ended }
    }
}

/// The actors that the others wait for.
fn leaves(tree: &TreeNode, paths: &mut Vec<String>) {
    if tree.children.is_empty() {
        paths.push(tree.path.clone());
    }
    tree.children.iter().for_each(|child| leaves(child, paths));
}
