//! What the handles of a database and its writer know together.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::storage::StorageState;

/// One per open database.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    /// Names the database in metrics: the file name without its extension.
    pub(crate) label: String,
    /// Woken after a commit that put rows into the outbox. It keeps one permit, so that a wake-up is not lost
    /// while nobody waits.
    pub(crate) outbox: Notify,
    pub(crate) counts: Counts,
    pub(crate) storage: StorageState,
}

impl Shared {
    pub(crate) fn new(path: PathBuf) -> Arc<Self> {
        let label =
            path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let storage = StorageState::new(path.clone(), label.clone());
        Arc::new(Self { path, label, outbox: Notify::new(), counts: Counts::default(), storage })
    }
}

/// What the writer has done since the database was opened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    commits: AtomicU64,
    writes: AtomicU64,
    largest_batch: AtomicU64,
}

impl Counts {
    /// Counts a commit that carried `writes` jobs.
    pub(crate) fn committed(&self, writes: u64) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(writes, Ordering::Relaxed);
        self.largest_batch.fetch_max(writes, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> WriterCounts {
        WriterCounts {
            commits: self.commits.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            largest_batch: self.largest_batch.load(Ordering::Relaxed),
        }
    }
}

/// What the writer has done since the database was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterCounts {
    /// Transactions that were committed.
    pub commits: u64,
    /// Closures and lane jobs in them.
    pub writes: u64,
    /// The most of them in one commit.
    pub largest_batch: u64,
}

tokio::task_local! {
    /// Set while the writer runs: tells what code deep inside a closure cannot know from its transaction.
    static IN_WRITER: InWriter;
}

struct InWriter {
    shared: Arc<Shared>,
    outbox_rows: AtomicU64,
}

/// Runs the writer of `shared`, so that [`note_outbox_rows`] and [`is_inside_writer_of`] find it.
pub(crate) async fn as_writer_of<T>(shared: Arc<Shared>, writer: impl Future<Output = T>) -> T {
    IN_WRITER.scope(InWriter { shared, outbox_rows: AtomicU64::new(0) }, writer).await
}

/// Notes rows for the outbox. Outside a writer nothing is noted; the relay's own clock finds such rows.
pub(crate) fn note_outbox_rows(rows: u64) {
    let _ = IN_WRITER.try_with(|writer| writer.outbox_rows.fetch_add(rows, Ordering::Relaxed));
}

/// Takes the note of the batch that has just been committed.
pub(crate) fn take_outbox_rows() -> u64 {
    IN_WRITER.try_with(|writer| writer.outbox_rows.swap(0, Ordering::Relaxed)).unwrap_or(0)
}

/// Whether the caller runs inside a write of this same database.
pub(crate) fn is_inside_writer_of(shared: &Arc<Shared>) -> bool {
    IN_WRITER.try_with(|writer| Arc::ptr_eq(&writer.shared, shared)).unwrap_or(false)
}
