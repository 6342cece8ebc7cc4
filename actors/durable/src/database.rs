//! The handle of an open database.

use std::convert::Infallible;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sea_orm::{DatabaseConnection, DatabaseTransaction};
use tokio::sync::{Mutex, oneshot, watch};

use crate::config::DatabaseConfig;
use crate::connect;
use crate::error::{Fault, OpenError, WriteError};
use crate::lane::{Lane, SetWriter};
use crate::lock::FileLock;
use crate::shared::{Shared, WriterCounts};
use crate::storage::StorageError;
use crate::unit::{Closure, UNIT_LIMIT};
use crate::writer::{self, Item, Queue};

/// An open SQLite database: many readers, one writer.
///
/// Cheap to clone. Once the last clone and the last [`Lane`] are dropped, what is queued is still written; then the
/// connections close and the lock is released. [`Database::close`] does the same and waits for it.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
    readers: DatabaseConnection,
    queue: Queue,
    migrating: Arc<Mutex<()>>,
}

impl Database {
    /// Opens the database, or makes it, with mode 0600 in a directory that exists.
    ///
    /// It may be called from any tokio runtime; the writer has a thread of its own.
    ///
    /// # Errors
    ///
    /// [`OpenError::InUse`] if it is open already, here or in another process.
    pub async fn open(config: DatabaseConfig) -> Result<Self, OpenError> {
        let lock = FileLock::take(&config.path).await?;
        connect::prepare_file(&config.path)?;
        let shared = Shared::new(config.path.clone());
        let readers = connect::readers(&config);
        let queue = writer::start(config, Arc::clone(&shared), readers.clone(), lock).await?;
        Ok(Self { shared, readers, queue, migrating: Arc::default() })
    }

    /// Connections for reading. SQLite refuses writes on them: those go through [`Database::write`].
    pub fn reader(&self) -> &DatabaseConnection {
        &self.readers
    }

    /// Runs `work` in a savepoint of the next batch; resolves after the commit.
    ///
    /// Its failure takes back its own writes and nobody else's. Once it is queued the work runs, even if the
    /// caller goes away. It holds up every other writer, so it should do nothing but talk to the database.
    ///
    /// ```no_run
    /// # use sea_orm::ConnectionTrait;
    /// # async fn example(db: oa_durable::Database) -> Result<(), oa_durable::WriteError> {
    /// db.write(|tx| {
    ///     Box::pin(async move {
    ///         tx.execute_unprepared("DELETE FROM drafts").await?;
    ///         Ok(())
    ///     })
    /// })
    /// .await
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the closure returned, or what the database said.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, WriteError<E>>
    where
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, WriteError<E>>>
            + Send
            + 'static,
        T: Send + 'static,
        E: Error + Send + 'static,
    {
        self.write_within(Some(UNIT_LIMIT), work).await
    }

    /// Like [`Database::write`], with another limit on the time that `work` may hold the writer.
    pub(crate) async fn write_within<T, E, F>(
        &self,
        limit: Option<Duration>,
        work: F,
    ) -> Result<T, WriteError<E>>
    where
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, WriteError<E>>>
            + Send
            + 'static,
        T: Send + 'static,
        E: Error + Send + 'static,
    {
        let (unit, answer) = Closure::new(work, limit);
        self.queue.put(Item::Unit(Box::new(unit))).await.map_err(Fault::widen)?;
        let answered = answer.await.unwrap_or(Err(WriteError::Closed));
        answered.map_err(|error| error.at(self.path()))
    }

    /// Like [`Database::write`] for what may wait: it rides with the next batch that somebody else causes, and
    /// after `patience` gets a commit of its own. Bookkeeping that a crash may take back costs no flush this way.
    ///
    /// # Errors
    ///
    /// As [`Database::write`].
    pub async fn write_relaxed<T, E, F>(
        &self,
        patience: Duration,
        work: F,
    ) -> Result<T, WriteError<E>>
    where
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<T, WriteError<E>>>
            + Send
            + 'static,
        T: Send + 'static,
        E: Error + Send + 'static,
    {
        let (unit, answer) = Closure::new(work, Some(UNIT_LIMIT));
        let by = Instant::now() + patience;
        self.queue.put(Item::Relaxed(Box::new(unit), by)).await.map_err(Fault::widen)?;
        let answered = answer.await.unwrap_or(Err(WriteError::Closed));
        answered.map_err(|error| error.at(self.path()))
    }

    /// A lane for jobs that `writer` writes together.
    pub fn lane<W: SetWriter>(&self, writer: W) -> Lane<W> {
        Lane::new(self.queue.clone(), writer)
    }

    /// Writes what is queued, closes the connections and releases the lock. Later writes get
    /// [`WriteError::Closed`].
    pub async fn close(&self) {
        let (caller, closed) = oneshot::channel();
        if self.queue.put(Item::Close(caller)).await.is_ok() {
            let _ = closed.await;
        }
    }

    /// What the writer has done so far.
    pub fn counts(&self) -> WriterCounts {
        self.shared.counts.read()
    }

    /// What keeps the database from being written at the moment, if something does. It ends by itself: the writer
    /// tries again and again.
    pub fn trouble(&self) -> watch::Receiver<Option<Arc<StorageError>>> {
        self.shared.storage.trouble()
    }

    /// Resolves once the disk has failed to flush a commit. Nobody knows then what it holds, every write gets
    /// [`WriteError::Lost`], and the program should end without closing anything; the next start finds out.
    pub async fn lost(&self) {
        self.shared.storage.until_lost().await;
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Names the database in metrics.
    pub(crate) fn label(&self) -> &str {
        &self.shared.label
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn migrating(&self) -> &Mutex<()> {
        &self.migrating
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

/// A write whose closure has no reason of its own to refuse.
pub type Written<T> = Result<T, WriteError<Infallible>>;
