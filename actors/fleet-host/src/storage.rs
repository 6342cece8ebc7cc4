//! Whether the directory of the host takes writes.
//!
//! A write that finds no room is refused and leaves what was there before. That is said once when it begins and once
//! when it has passed, not for each try.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{StatVfsMountFlags, statvfs};

/// Below this a file system counts as full.
const USED_UP: u64 = 64 * 1024;

/// Why the directory takes no writes, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageTrouble {
    /// Its stable name: `storage_full` or `storage_read_only`.
    pub code: &'static str,
    /// What is wrong, with the path.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Looks at the directory of a host.
#[derive(Debug)]
pub struct HostStorage {
    directory: PathBuf,
    is_failing: AtomicBool,
}

impl HostStorage {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf(), is_failing: AtomicBool::new(false) }
    }

    /// Why the directory takes no writes now, if it does not.
    #[must_use]
    pub fn trouble(&self) -> Option<StorageTrouble> {
        let asked = statvfs(&self.directory).ok()?;
        if asked.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Some(self.read_only());
        }
        let free_bytes = asked.f_bavail.saturating_mul(asked.f_frsize);
        (free_bytes < USED_UP).then(|| self.full(free_bytes))
    }

    /// Notes how a write went.
    pub(crate) fn note<T>(&self, written: io::Result<T>) -> io::Result<T> {
        match &written {
            Ok(_) => {
                if self.is_failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(directory = %self.directory.display(), "it has passed: the cluster takes units again");
                }
            }
            Err(why) => {
                if let Some(trouble) = self.explain(why)
                    && !self.is_failing.swap(true, Ordering::Relaxed)
                {
                    tracing::error!(
                        code = trouble.code,
                        hint = trouble.hint,
                        "the cluster takes no units until it passes: {}",
                        trouble.message
                    );
                }
            }
        }
        written
    }

    /// What a failed write means, if the directory is at fault.
    pub(crate) fn explain(&self, why: &io::Error) -> Option<StorageTrouble> {
        match why.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                let free = statvfs(&self.directory).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
                Some(self.full(free))
            }
            ErrorKind::ReadOnlyFilesystem => Some(self.read_only()),
            _ => None,
        }
    }

    fn full(&self, free_bytes: u64) -> StorageTrouble {
        let directory = self.directory.display();
        StorageTrouble {
            code: "storage_full",
            message: format!("no space is left for {directory} ({free_bytes} bytes free)"),
            hint: format!("free some space on the file system of {directory}"),
        }
    }

    fn read_only(&self) -> StorageTrouble {
        let directory = self.directory.display();
        StorageTrouble {
            code: "storage_read_only",
            message: format!("{directory} is read-only"),
            hint: format!("make {directory} and its file system writable again"),
        }
    }
}
