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
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use crate::config::DatabaseConfig;
use crate::connect;
use crate::error::{Fault, OpenError, WriteError};
use crate::lane::AnyLane;
use crate::lock::FileLock;
use crate::shared::{self, Shared};
use crate::unit::Unit;

/// The most jobs in one commit.
const BATCH: usize = 64;
/// Jobs that may wait; a caller beyond them waits for room.
const QUEUE: usize = 1024;
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
    let writer = Writer { config: config.clone(), shared: Arc::clone(&shared), connection: None };
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
    writer.disconnect().await;
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
}

impl Writer {
    /// Writes until the queue ends; returns those who wait for the end.
    async fn run(&mut self, mut queue: mpsc::Receiver<Item>) -> Vec<oneshot::Sender<()>> {
        let mut batch = Batch::default();
        let mut closed = Vec::new();
        loop {
            let patience = until(batch.first_relaxed());
            let first = tokio::select! {
                biased;
                item = queue.recv() => match item {
                    Some(item) => Some(item),
                    None => break,
                },
                () = patience => None,
            };
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
                    break;
                }
            }
            if batch.is_due() {
                self.commit(batch.take()).await;
            }
        }
        while batch.has_any() {
            self.commit(batch.take()).await;
        }
        closed
    }

    /// One transaction: every unit is answered, one way or the other.
    async fn commit(&mut self, units: Vec<Box<dyn Unit>>) {
        let began = Instant::now();
        let tx = match self.begin().await {
            Ok(tx) => tx,
            Err(fault) => return settle_all(units, &fault),
        };
        // A single write is its own transaction: a savepoint inside would only cost time.
        let alone = units.len() == 1 && units[0].jobs() == 1;
        let mut todo = VecDeque::from(units);
        let mut kept: Vec<Box<dyn Unit>> = Vec::with_capacity(todo.len());
        while let Some(mut unit) = todo.pop_front() {
            match run_unit(&tx, unit.as_mut(), alone).await {
                Ran::Kept => kept.push(unit),
                Ran::TakenBack(spoilt) => match unit.split() {
                    Ok(parts) => parts.into_iter().rev().for_each(|part| todo.push_front(part)),
                    Err(unit) => unit.settle(spoilt),
                },
                Ran::TransactionLost(fault) => {
                    drop(tx);
                    self.give_up(&fault).await;
                    kept.push(unit);
                    return settle_all(kept.into_iter().chain(todo), &fault);
                }
            }
        }
        self.end(tx, kept, began).await;
    }

    async fn end(&mut self, tx: DatabaseTransaction, kept: Vec<Box<dyn Unit>>, began: Instant) {
        if kept.is_empty() {
            if let Err(cause) = tx.rollback().await {
                self.give_up(&Fault::from_database(cause)).await;
            }
            shared::take_outbox_rows();
            return;
        }
        oa_crash_points::crash_point!(WriterBeforeCommit);
        if let Err(cause) = tx.commit().await {
            let fault = Fault::from_commit(cause);
            self.give_up(&fault).await;
            return settle_all(kept, &fault);
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
        for unit in kept {
            unit.settle(None);
        }
    }

    async fn begin(&mut self) -> Result<DatabaseTransaction, Fault> {
        if self.connection.is_none() {
            self.connection =
                Some(connect::writer(&self.config).await.map_err(Fault::from_database)?);
        }
        let connection = self.connection.as_ref().expect("made above");
        // A deferred transaction that starts as a reader would fail at its first write without any waiting.
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        match connection.begin_with_options(immediate).await {
            Ok(tx) => Ok(tx),
            Err(cause) => {
                let fault = Fault::from_database(cause);
                if !matches!(fault, WriteError::Busy(_)) {
                    self.give_up(&fault).await;
                }
                Err(fault)
            }
        }
    }

    /// Drops the connection: after `fault` nobody knows what state it is in.
    async fn give_up(&mut self, fault: &Fault) {
        shared::take_outbox_rows();
        metrics::counter!("oa_database_failed_batches_total", "database" => self.shared.label.clone()).increment(1);
        tracing::warn!(
            database = %self.shared.path.display(),
            error = fault as &dyn std::error::Error,
            "the writer gives up a batch and opens a new connection"
        );
        self.disconnect().await;
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

/// How a unit ended.
enum Ran {
    /// It is part of the transaction.
    Kept,
    /// It is not, and the transaction goes on without it; the fault is given if the unit itself cannot tell.
    TakenBack(Option<Fault>),
    /// The transaction is gone, and everybody's work with it.
    TransactionLost(Fault),
}

async fn run_unit(tx: &DatabaseTransaction, unit: &mut dyn Unit, alone: bool) -> Ran {
    if alone {
        return match guarded(unit, tx).await {
            Ok(true) => Ran::Kept,
            Ok(false) => Ran::TakenBack(None),
            Err(fault) => Ran::TakenBack(Some(fault)),
        };
    }
    let savepoint = match tx.begin().await {
        Ok(savepoint) => savepoint,
        Err(cause) => return Ran::TransactionLost(Fault::from_database(cause)),
    };
    let (ran, ended) = match guarded(unit, &savepoint).await {
        Ok(true) => (Ran::Kept, savepoint.commit().await),
        Ok(false) => (Ran::TakenBack(None), savepoint.rollback().await),
        Err(fault) => (Ran::TakenBack(Some(fault)), savepoint.rollback().await),
    };
    match ended {
        Ok(()) => ran,
        // SQLite itself ends the transaction on errors such as a full disk, and the savepoint with it.
        Err(cause) => Ran::TransactionLost(Fault::from_database(cause)),
    }
}

/// Runs a unit; a panic or a unit that does not end fails that unit alone.
async fn guarded(unit: &mut dyn Unit, tx: &DatabaseTransaction) -> Result<bool, Fault> {
    let limit = unit.limit();
    let work = AssertUnwindSafe(async { unit.run(tx).await }).catch_unwind();
    let ended = match limit {
        Some(limit) => {
            tokio::time::timeout(limit, work).await.map_err(|_| WriteError::TooSlow { limit })?
        }
        None => work.await,
    };
    ended.map_err(|_| WriteError::Panicked)
}

fn settle_all(units: impl IntoIterator<Item = Box<dyn Unit>>, fault: &Fault) {
    for unit in units {
        unit.settle(Some(fault.clone()));
    }
}

/// Resolves at `instant`; never without one.
async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

/// The jobs of one lane that met.
struct LaneJobs {
    key: usize,
    lane: Arc<dyn AnyLane>,
    jobs: Vec<Box<dyn Any + Send>>,
}

/// What the next commit will carry.
#[derive(Default)]
struct Batch {
    units: Vec<Box<dyn Unit>>,
    sets: Vec<LaneJobs>,
    relaxed: VecDeque<(Box<dyn Unit>, Instant)>,
    jobs: usize,
}

impl Batch {
    fn add(&mut self, item: Item) {
        match item {
            Item::Unit(unit) => {
                self.jobs += 1;
                self.units.push(unit);
            }
            Item::Set { key, lane, job } => {
                self.jobs += 1;
                match self.sets.iter_mut().find(|set| set.key == key) {
                    Some(set) => set.jobs.push(job),
                    None => self.sets.push(LaneJobs { key, lane, jobs: vec![job] }),
                }
            }
            Item::Relaxed(unit, by) => self.relaxed.push_back((unit, by)),
            Item::Close(_) => unreachable!("the writer keeps it"),
        }
    }

    fn has_any(&self) -> bool {
        self.jobs > 0 || !self.relaxed.is_empty()
    }

    fn is_due(&self) -> bool {
        self.jobs > 0
            || self.relaxed.len() >= BATCH
            || self.first_relaxed().is_some_and(|by| by <= Instant::now())
    }

    fn first_relaxed(&self) -> Option<Instant> {
        self.relaxed.iter().map(|(_, by)| *by).min()
    }

    /// Empties the batch; work that may wait fills it up.
    fn take(&mut self) -> Vec<Box<dyn Unit>> {
        let mut units = std::mem::take(&mut self.units);
        units.extend(self.sets.drain(..).map(|set| set.lane.gather(set.jobs)));
        let room = BATCH.saturating_sub(self.jobs).min(self.relaxed.len());
        units.extend(self.relaxed.drain(..room).map(|(unit, _)| unit));
        self.jobs = 0;
        units
    }
}
