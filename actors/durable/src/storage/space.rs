//! The file system of a file.

use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

/// Below this a file system counts as full: SQLite needs room for a few pages at once.
const USED_UP: u64 = 64 * 1024;
/// With this much free again, a full file system counts as freed. More than [`USED_UP`], so that the end is said once
/// and not each time that a few bytes come and go.
const ROOM: u64 = 1024 * 1024;

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// For users other than root.
    pub(crate) free_bytes: u64,
    pub(crate) read_only: bool,
}

impl Space {
    pub(crate) fn is_used_up(self) -> bool {
        self.free_bytes < USED_UP
    }

    pub(crate) fn has_room(self) -> bool {
        self.free_bytes >= ROOM
    }
}

/// Asks the system; `None` if it does not say.
pub(crate) fn of(path: &Path) -> Option<Space> {
    let asked = statvfs(path).or_else(|_| statvfs(crate::connect::directory(path))).ok()?;
    Some(Space {
        free_bytes: asked.f_bavail.saturating_mul(asked.f_frsize),
        read_only: asked.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}
