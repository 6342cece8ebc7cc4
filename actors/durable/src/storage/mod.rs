//! What is wrong with the place where a database lies, said so that somebody can act.
//!
//! ```text
//! a write fails ─► sorted: full, read-only, locked, failing ─► the caller's error
//!                       └─► state of the database: said once in the log when it begins and when it ends
//! a flush fails ─► lost: nobody knows what is on disk, so nothing is written any more and the program must end
//! ```

mod holder;
mod space;
mod state;

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use sea_orm::DbErr;

use crate::error::{WriteError, sqlite_code};

pub(crate) use state::StorageState;

/// What keeps a database from being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// No space is left.
    Full,
    /// The file or its file system takes no writes.
    ReadOnly,
    /// Another program held the lock for longer than the busy limit.
    Locked,
    /// The disk reports errors, or the file cannot be reached.
    Failing,
}

impl StorageKind {
    /// Its stable name, as REST answers carry it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Full => "storage_full",
            Self::ReadOnly => "storage_read_only",
            Self::Locked => "database_locked",
            Self::Failing => "storage_failed",
        }
    }

    /// Sorts by SQLite's extended result code, if it is one of these.
    fn of(code: u32) -> Option<Self> {
        match code & 0xff {
            5 | 6 => Some(Self::Locked),
            8 => Some(Self::ReadOnly),
            10 | 14 => Some(Self::Failing),
            13 => Some(Self::Full),
            _ => None,
        }
    }

    /// A flush, or the naming of a file, that failed: what was written before may or may not be on disk.
    pub(crate) fn leaves_in_doubt(cause: &DbErr) -> bool {
        const FSYNC: u32 = 10 | (4 << 8);
        const DIRECTORY_FSYNC: u32 = 10 | (5 << 8);
        matches!(sqlite_code(cause), Some(FSYNC | DIRECTORY_FSYNC))
    }
}

/// The place where a database lies does not take a write.
#[derive(Debug, Clone)]
pub struct StorageError {
    kind: StorageKind,
    place: Option<Place>,
    cause: DbErr,
}

#[derive(Debug, Clone)]
struct Place {
    path: PathBuf,
    free_bytes: Option<u64>,
    holder: Option<String>,
}

impl StorageError {
    /// Sorts what the database said; gives it back if it is nothing of this kind.
    pub(crate) fn sort(cause: DbErr) -> Result<Self, DbErr> {
        match sqlite_code(&cause).and_then(StorageKind::of) {
            Some(kind) => Ok(Self { kind, place: None, cause }),
            None => Err(cause),
        }
    }

    /// Adds where it happened. An I/O error says little by itself; the file system says more.
    pub(crate) fn at(mut self, path: &Path) -> Self {
        if self.place.is_some() {
            return self;
        }
        let space = space::of(path);
        if self.kind == StorageKind::Failing
            && let Some(space) = &space
        {
            if space.read_only {
                self.kind = StorageKind::ReadOnly;
            } else if space.is_used_up() {
                self.kind = StorageKind::Full;
            }
        }
        let holder = if self.kind == StorageKind::Locked { holder::of(path) } else { None };
        let free_bytes = space.map(|space| space.free_bytes);
        self.place = Some(Place { path: path.to_owned(), free_bytes, holder });
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> StorageKind {
        self.kind
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let directory = || match &self.place {
            Some(place) => crate::connect::directory(&place.path).display().to_string(),
            None => "the database".to_owned(),
        };
        let holder = self.place.as_ref().and_then(|place| place.holder.as_deref());
        match self.kind {
            StorageKind::Full => format!(
                "free some space on the file system of {}; everything then goes on by itself",
                directory()
            ),
            StorageKind::ReadOnly => format!(
                "make {} and its file system writable again; everything then goes on by itself",
                directory()
            ),
            StorageKind::Locked => format!(
                "end {}, or wait until it is done; everything then goes on by itself",
                holder.unwrap_or("the other program that uses the file")
            ),
            StorageKind::Failing => format!(
                "look for errors of the disk below {} in the kernel's log (dmesg), and for a missing directory",
                directory()
            ),
        }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match &self.place {
            Some(place) => place.path.display().to_string(),
            None => "the database".to_owned(),
        };
        match self.kind {
            StorageKind::Full => {
                write!(f, "no space is left for {path}")?;
                match self.place.as_ref().and_then(|place| place.free_bytes) {
                    Some(free_bytes) => write!(f, " ({free_bytes} bytes free)"),
                    None => Ok(()),
                }
            }
            StorageKind::ReadOnly => write!(f, "{path} is read-only"),
            StorageKind::Locked => {
                let holder = self.place.as_ref().and_then(|place| place.holder.as_deref());
                write!(f, "{path} is locked by {}", holder.unwrap_or("another program"))
            }
            StorageKind::Failing => write!(f, "{path} cannot be written or reached"),
        }
    }
}

impl Error for StorageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// What the database said in answer to a question, if it is the fault of the place where it lies.
#[must_use]
pub fn storage_error(cause: &DbErr) -> Option<StorageError> {
    match WriteError::<Infallible>::from_database(cause.clone()) {
        WriteError::Storage(error) => Some(*error),
        _ => None,
    }
}

/// What to do about an error, if it is the fault of the place where a file lies: looks through its causes.
#[must_use]
pub fn hint_of(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(cause) = error.downcast_ref::<DbErr>()
            && let Some(storage) = storage_error(cause)
        {
            return Some(storage.hint());
        }
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        let fix = match kind {
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => "free some space there",
            Some(ErrorKind::ReadOnlyFilesystem) => "make its file system writable",
            Some(ErrorKind::PermissionDenied) => "give the file and its directory to this user",
            _ => "",
        };
        if !fix.is_empty() {
            return Some(fix.to_owned());
        }
        next = error.source();
    }
    None
}
