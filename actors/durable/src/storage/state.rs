//! How a database does now.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::{StorageError, StorageKind, space};
use crate::error::Fault;

/// How a database does now; its writer changes it, and everybody may look.
#[derive(Debug)]
pub(crate) struct StorageState {
    path: PathBuf,
    label: String,
    trouble: watch::Sender<Option<Arc<StorageError>>>,
    lost: watch::Sender<bool>,
    /// Other batches that failed in a row are told of once, too.
    gave_up: AtomicBool,
}

impl StorageState {
    pub(crate) fn new(path: PathBuf, label: String) -> Self {
        Self {
            path,
            label,
            trouble: watch::Sender::new(None),
            lost: watch::Sender::new(false),
            gave_up: AtomicBool::new(false),
        }
    }

    /// What keeps the database from being written, if something does.
    pub(crate) fn trouble(&self) -> watch::Receiver<Option<Arc<StorageError>>> {
        self.trouble.subscribe()
    }

    pub(crate) fn is_in_trouble(&self) -> bool {
        self.trouble.borrow().is_some()
    }

    /// Resolves once nobody knows any more what is on disk.
    pub(crate) async fn until_lost(&self) {
        let mut lost = self.lost.subscribe();
        if lost.wait_for(|lost| *lost).await.is_err() {
            std::future::pending().await
        }
    }

    /// Notes that a write failed and says so, if that is news.
    pub(crate) fn failed(&self, fault: &Fault) {
        match fault {
            Fault::Storage(error) => self.begin((**error).clone().at(&self.path)),
            Fault::Lost(cause) => {
                if !self.lost.send_replace(true) {
                    tracing::error!(
                        database = %self.path.display(),
                        error = cause as &dyn std::error::Error,
                        "the disk failed to flush a commit: nobody knows what it holds, so the database is used no more"
                    );
                }
            }
            other => {
                if !self.gave_up.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        database = %self.path.display(),
                        error = other as &dyn std::error::Error,
                        "the writer gives up a batch and opens a new connection"
                    );
                }
            }
        }
    }

    fn begin(&self, error: StorageError) {
        let is_news = self.trouble.borrow().as_ref().is_none_or(|now| now.kind != error.kind);
        if is_news {
            tracing::error!(
                code = error.kind.code(),
                hint = error.hint(),
                "writing stops until it passes, reading goes on: {error}"
            );
            self.show(error.kind, 1.0);
            if let Some(before) = self.trouble.send_replace(Some(Arc::new(error))) {
                self.show(before.kind, 0.0);
            }
        }
    }

    /// Notes that a commit succeeded, which ends what was wrong.
    pub(crate) fn succeeded(&self) {
        self.gave_up.store(false, Ordering::Relaxed);
        let Some(now) = self.trouble.borrow().clone() else { return };
        // A full disk may take a small commit and refuse the next: only room ends it.
        let is_full = now.kind == StorageKind::Full;
        if is_full && space::of(&self.path).is_some_and(|space| !space.has_room()) {
            return;
        }
        self.trouble.send_replace(None);
        self.show(now.kind, 0.0);
        tracing::info!(
            code = now.kind.code(),
            database = %self.path.display(),
            "it has passed: the database is written again"
        );
    }
    fn show(&self, kind: StorageKind, value: f64) {
        metrics::gauge!("oa_database_trouble", "database" => self.label.clone(), "code" => kind.code())
            .set(value);
    }
}
