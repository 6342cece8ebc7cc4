//! Makes the file and the connections.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr};

use crate::config::{DatabaseConfig, Synchronous};
use crate::error::OpenError;

/// How long a question waits for one of the connections.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);
/// Statements with lists come in many lengths; each length is a statement of its own.
const STATEMENT_CACHE: usize = 512;

/// Makes the file, readable by its owner alone. SQLite gives the files beside it the same mode.
pub(crate) fn prepare_file(path: &Path) -> Result<(), OpenError> {
    let failed = |cause| OpenError::File { path: path.to_owned(), cause };
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    sync_directory(path).map_err(failed)
}

/// A new name is durable once its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

/// The directory that `path` is in.
pub(crate) fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The one connection that writes.
pub(crate) async fn writer(config: &DatabaseConfig) -> Result<DatabaseConnection, DbErr> {
    let pool = pool(1).connect_with(options(config)).await;
    pool.map(DatabaseConnection::from)
        .map_err(|cause| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(cause))))
}

/// The connections that read, made when they are needed; SQLite refuses a write on them.
pub(crate) fn readers(config: &DatabaseConfig) -> DatabaseConnection {
    let options = options(config).pragma("query_only", "ON");
    DatabaseConnection::from(pool(config.readers.max(1)).connect_lazy_with(options))
}

fn options(config: &DatabaseConfig) -> SqliteConnectOptions {
    let synchronous = match config.synchronous {
        Synchronous::Full => SqliteSynchronous::Full,
        Synchronous::Normal => SqliteSynchronous::Normal,
    };
    SqliteConnectOptions::new()
        .filename(&config.path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .foreign_keys(true)
        .busy_timeout(config.busy_limit)
        .statement_cache_capacity(STATEMENT_CACHE)
        .thread_name(|id| format!("oa-sqlite-{id}"))
        // Statements may carry secrets, so none is logged, however slow.
        .disable_statement_logging()
}

/// Connections are kept for good: there is no server that would drop them.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_LIMIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}
