//! What can go wrong, sorted by what the caller can do about it.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, SqlxError};

use crate::storage::{StorageError, StorageKind};

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
    /// The place where the database lies does not take it: full, read-only, locked by another program or failing.
    /// Nothing of it was written.
    #[error(transparent)]
    Storage(Box<StorageError>),
    /// The disk failed to flush a commit, so nobody knows what it holds. The database is used no more; the program
    /// should end, and the next start finds out.
    #[error("the disk failed to flush a commit; the database is used no more until the next start")]
    Lost(#[source] DbErr),
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
            Self::Storage(_) | Self::Lost(_) | Self::Commit(_) => true,
            Self::TooSlow { .. } | Self::Short { .. } => true,
            Self::Database(cause) => {
                matches!(cause, DbErr::ConnectionAcquire(_) | DbErr::Conn(_))
            }
            Self::Refused(_) | Self::Corrupt(_) | Self::Closed | Self::Panicked | Self::Nested => {
                false
            }
        }
    }

    /// Sorts what the database said.
    pub fn from_database(cause: DbErr) -> Self {
        match StorageError::sort(cause) {
            Ok(error) => Self::Storage(Box::new(error)),
            Err(cause) if matches!(sqlite_code(&cause).map(|code| code & 0xff), Some(11 | 26)) => {
                Self::Corrupt(cause)
            }
            Err(cause) => Self::Database(cause),
        }
    }

    /// What is wrong with the place where the database lies, if that is the reason.
    pub fn storage(&self) -> Option<&StorageError> {
        match self {
            Self::Storage(error) => Some(error),
            _ => None,
        }
    }

    /// Adds where it happened.
    pub(crate) fn at(self, path: &Path) -> Self {
        match self {
            Self::Storage(error) => Self::Storage(Box::new(error.at(path))),
            other => other,
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
            Self::Storage(error) => WriteError::Storage(error),
            Self::Lost(cause) => WriteError::Lost(cause),
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
        if StorageKind::leaves_in_doubt(&cause) {
            return Self::Lost(cause);
        }
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
pub(crate) fn sqlite_code(cause: &DbErr) -> Option<u32> {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))
    | DbErr::Conn(RuntimeErr::SqlxError(cause))) = cause
    else {
        return None;
    };
    let SqlxError::Database(cause) = cause.as_ref() else { return None };
    cause.code()?.parse().ok()
}
