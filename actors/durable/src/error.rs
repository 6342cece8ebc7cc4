//! What can go wrong, sorted by what the caller can do about it.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another part of this one, has it open.
    #[error("{} is in use by {}", path.display(), holder(*pid))]
    InUse {
        /// The database.
        path: PathBuf,
        /// The process that holds it, if it left its pid.
        pid: Option<u32>,
    },
    /// A file could not be made, opened or given its mode.
    #[error("failed to prepare {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// SQLite refused the file.
    #[error("failed to open {} as a database", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        cause: DbErr,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The database has migrations that this program does not know: a newer release wrote it.
    #[error("the database was written by a newer release: it has {}", names.join(", "))]
    Newer {
        /// The unknown migrations.
        names: Vec<String>,
    },
    /// The list of applied migrations could not be read or made.
    #[error("failed to read the applied migrations")]
    History(#[source] WriteError),
    /// A migration failed; it left nothing behind, and the ones before it are kept.
    #[error("migration `{name}` failed")]
    Failed {
        /// The migration.
        name: String,
        /// Why.
        #[source]
        cause: WriteError,
    },
}

/// Why a write is not in the database.
///
/// `E` is the caller's own reason to refuse; a closure without one leaves it at [`Infallible`].
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError<E: Error + 'static = Infallible> {
    /// The caller's own closure said no.
    #[error(transparent)]
    Refused(E),
    /// Another program held the database's lock for longer than the busy limit.
    #[error("the database is locked by another program")]
    Busy(#[source] DbErr),
    /// No space is left.
    #[error("the disk of the database is full")]
    DiskFull(#[source] DbErr),
    /// The file or its file system cannot be written to.
    #[error("the database is read-only")]
    ReadOnly(#[source] DbErr),
    /// The file is damaged.
    #[error("the database is damaged")]
    Corrupt(#[source] DbErr),
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
    /// The commit failed. After a power cut the transaction may yet turn out to be there, so a repetition must
    /// be recognisable, by an id or by a version.
    #[error("the commit failed")]
    Commit(#[source] DbErr),
    /// The closure panicked; what it wrote was taken back.
    #[error("the write panicked")]
    Panicked,
    /// The closure held the writer for too long; what it wrote was taken back.
    #[error("the write did not end within {limit:?}")]
    TooSlow {
        /// What it was given.
        limit: Duration,
    },
    /// The closure asked for another write of the same database and would have waited for itself.
    #[error("a write was asked for inside a write of the same database")]
    Nested,
    /// A statement reached fewer rows than it had to, even for this job alone: somebody else changed them.
    #[error("{written} of {expected} rows were written")]
    Short {
        /// Rows that had to be written.
        expected: u64,
        /// Rows that were.
        written: u64,
    },
    /// Anything else that the database said.
    #[error("the database refused the write")]
    Database(#[source] DbErr),
}

impl<E: Error + 'static> WriteError<E> {
    /// Whether the same write may succeed later.
    ///
    /// A refusal is the caller's own to judge; it counts as final here.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy(_) | Self::DiskFull(_) | Self::ReadOnly(_) | Self::Commit(_) => true,
            Self::TooSlow { .. } | Self::Short { .. } => true,
            Self::Database(cause) => is_trouble_of_the_connection(cause),
            Self::Refused(_) | Self::Corrupt(_) | Self::Closed | Self::Panicked | Self::Nested => {
                false
            }
        }
    }

    /// Sorts what the database said.
    pub fn from_database(cause: DbErr) -> Self {
        match sqlite_code(&cause).map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy(cause),
            Some(13) => Self::DiskFull(cause),
            Some(8) => Self::ReadOnly(cause),
            Some(11 | 26) => Self::Corrupt(cause),
            _ => Self::Database(cause),
        }
    }

    /// The same error with another reason to refuse.
    pub fn map_refused<F: Error + 'static>(self, map: impl FnOnce(E) -> F) -> WriteError<F> {
        match self.sort(|reason| Ok::<_, Infallible>(WriteError::Refused(map(reason)))) {
            Ok(error) => error,
            Err(never) => match never {},
        }
    }

    /// The caller's own reason, or else what the database said.
    pub fn into_refusal(self) -> Result<E, WriteError> {
        match self.sort::<Infallible, E>(Err) {
            Ok(fault) => Err(fault),
            Err(reason) => Ok(reason),
        }
    }

    fn sort<F: Error + 'static, R>(
        self,
        refused: impl FnOnce(E) -> Result<WriteError<F>, R>,
    ) -> Result<WriteError<F>, R> {
        Ok(match self {
            Self::Refused(reason) => return refused(reason),
            Self::Busy(cause) => WriteError::Busy(cause),
            Self::DiskFull(cause) => WriteError::DiskFull(cause),
            Self::ReadOnly(cause) => WriteError::ReadOnly(cause),
            Self::Corrupt(cause) => WriteError::Corrupt(cause),
            Self::Closed => WriteError::Closed,
            Self::Commit(cause) => WriteError::Commit(cause),
            Self::Panicked => WriteError::Panicked,
            Self::TooSlow { limit } => WriteError::TooSlow { limit },
            Self::Nested => WriteError::Nested,
            Self::Short { expected, written } => WriteError::Short { expected, written },
            Self::Database(cause) => WriteError::Database(cause),
        })
    }
}

/// A failure of the database alone, such as hits a whole batch.
pub(crate) type Fault = WriteError<Infallible>;

impl Fault {
    pub(crate) fn widen<E: Error + 'static>(self) -> WriteError<E> {
        self.map_refused(|never| match never {})
    }

    pub(crate) fn from_commit(cause: DbErr) -> Self {
        match Self::from_database(cause) {
            Self::Database(cause) => Self::Commit(cause),
            sorted => sorted,
        }
    }
}

impl<E: Error + 'static> From<DbErr> for WriteError<E> {
    fn from(cause: DbErr) -> Self {
        Self::from_database(cause)
    }
}

/// SQLite's extended result code.
fn sqlite_code(cause: &DbErr) -> Option<u32> {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))
    | DbErr::Conn(RuntimeErr::SqlxError(cause))) = cause
    else {
        return None;
    };
    let SqlxError::Database(cause) = cause.as_ref() else { return None };
    cause.code()?.parse().ok()
}

/// An I/O error (SQLite code 10) or a connection that is gone; the writer makes a new one.
fn is_trouble_of_the_connection(cause: &DbErr) -> bool {
    match sqlite_code(cause) {
        Some(code) => code & 0xff == 10,
        None => matches!(cause, DbErr::ConnectionAcquire(_) | DbErr::Conn(_)),
    }
}
