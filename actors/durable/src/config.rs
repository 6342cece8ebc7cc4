//! How a database is opened.

use std::path::PathBuf;
use std::time::Duration;

/// What [`crate::Database::open`] needs to know.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// The SQLite file. Its directory must exist; the file is made with mode 0600.
    pub path: PathBuf,
    /// When a commit counts as durable. Default: [`Synchronous::Full`].
    pub synchronous: Synchronous,
    /// Connections that only read. Default: 4.
    pub readers: u32,
    /// How long a write waits for another program's lock. Default: 5 s.
    pub busy_limit: Duration,
}

impl DatabaseConfig {
    /// The defaults for the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            synchronous: Synchronous::default(),
            readers: 4,
            busy_limit: Duration::from_secs(5),
        }
    }
}

/// When a commit counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// A commit has reached the disk before it is reported.
    #[default]
    Full,
    /// A commit survives the end of the process; a power cut may take back the last ones.
    Normal,
}
