//! The one task that writes.
//!
//! ```text
//! callers ──► queue ──► batch of at most 64 ──► BEGIN IMMEDIATE
//!               ▲                                 unit: SAVEPOINT … RELEASE   (or ROLLBACK TO: that unit alone)
//!               │                                 unit: …
//!        the next batch forms                   COMMIT ──► wake the relay, answer the callers
//!        while this one runs
//! ```
//!
//! The writer never waits for a batch to fill: a lone write is committed at once, and load makes the batches. It
//! has a thread of its own, so that neither a busy arbiter nor the end of one stops it.

use std::any::Any;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use crate::batch::{BATCH, Batch};
use crate::config::DatabaseConfig;
use crate::connect;
use crate::error::{Fault, OpenError, WriteError};
use crate::lane::AnyLane;
use crate::lock::FileLock;
use crate::shared::{self, Shared};
use crate::sql;
use crate::storage::{StorageError, StorageKind};
use crate::unit::{Ran, Unit, run_unit};

/// Jobs that may wait; a caller beyond them waits for room.
const QUEUE: usize = 1024;
/// Rest before the writer tries whether the database can be written again.
const PROBE: Duration = Duration::from_secs(1);
/// How long closing waits for readers.
const READERS_LIMIT: Duration = Duration::from_secs(2);

/// What callers put into the queue.
pub(crate) enum Item {
    /// Work for the next batch.
    Unit(Box<dyn Unit>),
    /// Work that rides with the next batch and gets one of its own only when its time has come.
    Relaxed(Box<dyn Unit>, Instant),
    /// A job of a lane; jobs of the same key are written together.
    Set { key: usize, lane: Arc<dyn AnyLane>, job: Box<dyn Any + Send> },
    /// The end: what is queued is still written.
    Close(oneshot::Sender<()>),
}

/// Where callers put their work.
#[derive(Clone)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
    items: mpsc::Sender<Item>,
}

impl Queue {
    pub(crate) fn path(&self) -> &Path {
        &self.shared.path
    }

    pub(crate) async fn put(&self, item: Item) -> Result<(), Fault> {
        if shared::is_inside_writer_of(&self.shared) {
            return Err(WriteError::Nested);
        }
        self.items.send(item).await.map_err(|_| WriteError::Closed)
    }
}

/// Starts the writer's thread and waits until its connection is open.
pub(crate) async fn start(
    config: DatabaseConfig,
    shared: Arc<Shared>,
    readers: DatabaseConnection,
    lock: FileLock,
) -> Result<Queue, OpenError> {
    let (items, queue) = mpsc::channel(QUEUE);
    let (ready, is_ready) = oneshot::channel();
    let failed = |cause| OpenError::File { path: config.path.clone(), cause };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    let writer = Writer {
        config: config.clone(),
        shared: Arc::clone(&shared),
        connection: None,
        next_probe: None,
        lost: None,
    };
    let life = live(writer, queue, ready, readers, lock);
    std::thread::Builder::new()
        .name(format!("oa-writer-{}", shared.label))
        .spawn(move || runtime.block_on(life))
        .map_err(failed)?;
    is_ready.await.expect("the writer says how its start went")?;
    Ok(Queue { shared, items })
}

/// From the opened connection to the released lock.
async fn live(
    mut writer: Writer,
    queue: mpsc::Receiver<Item>,
    ready: oneshot::Sender<Result<(), OpenError>>,
    readers: DatabaseConnection,
    lock: FileLock,
) {
    match connect::writer(&writer.config).await {
        Ok(connection) => writer.connection = Some(connection),
        Err(cause) => {
            let _ = ready.send(Err(OpenError::Database { path: writer.config.path, cause }));
            return;
        }
    }
    if ready.send(Ok(())).is_err() {
        return;
    }
    let shared = Arc::clone(&writer.shared);
    let closed = shared::as_writer_of(shared, writer.run(queue)).await;
    oa_crash_points::crash_point!(WriterClosing);
    // The writer's connection is the last to go: SQLite then folds the log into the file.
    let _ = tokio::time::timeout(READERS_LIMIT, readers.close()).await;
    if writer.lost.is_none() {
        writer.disconnect().await;
    }
    drop(lock);
    for caller in closed {
        let _ = caller.send(());
    }
}

struct Writer {
    config: DatabaseConfig,
    shared: Arc<Shared>,
    /// `None` after a fault that leaves its state in doubt; the next batch makes a new one.
    connection: Option<DatabaseConnection>,
    /// When to try whether what keeps the database from being written has passed.
    next_probe: Option<Instant>,
    /// Set once nobody knows what is on disk: nothing is written any more.
    lost: Option<Fault>,
}

impl Writer {
    /// Writes until the queue ends; returns those who wait for the end.
    async fn run(&mut self, mut queue: mpsc::Receiver<Item>) -> Vec<oneshot::Sender<()>> {
        let mut batch = Batch::default();
        let mut closed = Vec::new();
        loop {
            let patience = until(batch.first_relaxed());
            let probe = until(self.next_probe);
            let first = tokio::select! {
                biased;
                item = queue.recv() => match item {
                    Some(item) => Some(item),
                    None => break,
                },
                () = patience => None,
                () = probe => {
                    let probed = self.probe().await;
                    self.turn_away(probed, &mut queue, &mut batch, &mut closed);
                    continue;
                }
            };
            collect(first, &mut queue, &mut batch, &mut closed);
            if batch.is_due() {
                let written = self.commit(batch.take()).await;
                self.turn_away(written, &mut queue, &mut batch, &mut closed);
            }
        }
        while batch.has_any() {
            let _ = self.commit(batch.take()).await;
        }
        closed
    }

    /// Whoever came while the lock was waited for has waited, too: a second wait would only add to it.
    fn turn_away(
        &self,
        written: Result<(), Fault>,
        queue: &mut mpsc::Receiver<Item>,
        batch: &mut Batch,
        closed: &mut Vec<oneshot::Sender<()>>,
    ) {
        let Err(fault) = written else { return };
        if fault.storage().map(StorageError::kind) != Some(StorageKind::Locked) {
            return;
        }
        loop {
            collect(None, queue, batch, closed);
            if !batch.has_any() {
                return;
            }
            settle_all(batch.take(), &fault);
        }
    }

    /// Tries whether the database can be written again, without changing anything.
    async fn probe(&mut self) -> Result<(), Fault> {
        let tx = self.begin().await?;
        let written = write_nothing_new(&tx).await;
        let ended = match written {
            Ok(()) => tx.commit().await.map_err(Fault::from_commit),
            Err(cause) => Err(Fault::from_database(cause)),
        };
        match ended {
            Ok(()) => {
                self.went_well();
                Ok(())
            }
            Err(fault) => Err(self.give_up(fault).await),
        }
    }

    /// One transaction: every unit is answered, one way or the other. The fault is that of the transaction.
    async fn commit(&mut self, units: Vec<Box<dyn Unit>>) -> Result<(), Fault> {
        let began = Instant::now();
        let tx = match self.begin().await {
            Ok(tx) => tx,
            Err(fault) => return Err(settle_all(units, &fault)),
        };
        // A single write is its own transaction: a savepoint inside would only cost time.
        let alone = units.len() == 1 && units[0].jobs() == 1;
        let mut todo = VecDeque::from(units);
        let mut kept: Vec<Box<dyn Unit>> = Vec::with_capacity(todo.len());
        while let Some(mut unit) = todo.pop_front() {
            let ran = run_unit(&tx, unit.as_mut(), alone).await;
            // Where there is no room for one there is none for its parts or for the others.
            let (lost, spoilt) = match (ran, unit.storage_fault()) {
                (Ran::Kept, _) => {
                    kept.push(unit);
                    continue;
                }
                (_, Some(fault)) | (Ran::TransactionLost(fault), None) => (Some(fault), None),
                (Ran::TakenBack(spoilt), None) => (None, spoilt),
            };
            if let Some(fault) = lost {
                drop(tx);
                let fault = self.give_up(fault).await;
                kept.push(unit);
                return Err(settle_all(kept.into_iter().chain(todo), &fault));
            }
            match unit.split() {
                Ok(parts) => parts.into_iter().rev().for_each(|part| todo.push_front(part)),
                Err(unit) => unit.settle(spoilt),
            }
        }
        self.end(tx, kept, began).await
    }

    async fn end(
        &mut self,
        tx: DatabaseTransaction,
        kept: Vec<Box<dyn Unit>>,
        began: Instant,
    ) -> Result<(), Fault> {
        if kept.is_empty() {
            shared::take_outbox_rows();
            return match tx.rollback().await {
                Ok(()) => Ok(()),
                Err(cause) => Err(self.give_up(Fault::from_database(cause)).await),
            };
        }
        oa_crash_points::crash_point!(WriterBeforeCommit);
        if let Err(cause) = tx.commit().await {
            let fault = self.give_up(Fault::from_commit(cause)).await;
            return Err(settle_all(kept, &fault));
        }
        oa_crash_points::crash_point!(WriterAfterCommit);
        let jobs: usize = kept.iter().map(|unit| unit.jobs()).sum();
        self.shared.counts.committed(jobs as u64);
        metrics::histogram!("oa_database_batch_size", "database" => self.shared.label.clone())
            .record(jobs as f64);
        metrics::histogram!("oa_database_commit_seconds", "database" => self.shared.label.clone())
            .record(began.elapsed().as_secs_f64());
        if shared::take_outbox_rows() > 0 {
            self.shared.outbox.notify_one();
        }
        self.went_well();
        for unit in kept {
            unit.settle(None);
        }
        Ok(())
    }

    async fn begin(&mut self) -> Result<DatabaseTransaction, Fault> {
        if let Some(fault) = &self.lost {
            return Err(fault.clone());
        }
        match self.try_begin().await {
            Ok(tx) => Ok(tx),
            Err(cause) => Err(self.give_up(Fault::from_database(cause)).await),
        }
    }

    async fn try_begin(&mut self) -> Result<DatabaseTransaction, DbErr> {
        if self.connection.is_none() {
            self.connection = Some(connect::writer(&self.config).await?);
        }
        let connection = self.connection.as_ref().expect("made above");
        // A deferred transaction that starts as a reader would fail at its first write without any waiting.
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        connection.begin_with_options(immediate).await
    }

    /// A commit succeeded.
    fn went_well(&mut self) {
        self.shared.storage.succeeded();
        self.plan_probe();
    }

    fn plan_probe(&mut self) {
        let goes_on = self.shared.storage.is_in_trouble() && self.lost.is_none();
        self.next_probe = goes_on.then(|| Instant::now() + PROBE);
    }

    /// Drops the connection: after a fault nobody knows what state it is in. Returns what the callers are told.
    async fn give_up(&mut self, fault: Fault) -> Fault {
        shared::take_outbox_rows();
        metrics::counter!("oa_database_failed_batches_total", "database" => self.shared.label.clone()).increment(1);
        let fault = fault.at(&self.shared.path);
        self.shared.storage.failed(&fault);
        if let WriteError::Lost(_) = fault {
            self.lost = Some(fault.clone());
            // Closed, it would write what it believes to be there.
            std::mem::forget(self.connection.take());
        } else if fault.storage().map(StorageError::kind) != Some(StorageKind::Locked) {
            self.disconnect().await;
        }
        self.plan_probe();
        fault
    }

    async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(cause) = connection.close().await
        {
            tracing::warn!(
                error = &cause as &dyn std::error::Error,
                "a connection did not close in order"
            );
        }
    }
}

/// Answers all with `fault`, and returns it for whoever asked for the commit.
fn settle_all(units: impl IntoIterator<Item = Box<dyn Unit>>, fault: &Fault) -> Fault {
    for unit in units {
        unit.settle(Some(fault.clone()));
    }
    fault.clone()
}

/// Takes what waits in the queue, as far as it fits into one commit.
fn collect(
    first: Option<Item>,
    queue: &mut mpsc::Receiver<Item>,
    batch: &mut Batch,
    closed: &mut Vec<oneshot::Sender<()>>,
) {
    let mut next = first;
    while let Some(item) = next.take().or_else(|| queue.try_recv().ok()) {
        match item {
            Item::Close(caller) => {
                closed.push(caller);
                queue.close();
            }
            work => batch.add(work),
        }
        if batch.jobs >= BATCH {
            return;
        }
    }
}

/// A write of what is there already: SQLite puts the page into its log all the same.
async fn write_nothing_new(tx: &DatabaseTransaction) -> Result<(), DbErr> {
    let rows = sql::query(tx, "PRAGMA user_version", []).await?;
    let version: i64 = rows.first().map_or(Ok(0), |row| row.try_get("", "user_version"))?;
    tx.execute_unprepared(&format!("PRAGMA user_version = {version}")).await.map(drop)
}

/// Resolves at `instant`; never without one.
async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}
