//! The lock that makes a keeper the only one of its unit.
//!
//! The unit's processes inherit the open file: the lock is free only when the keeper and all of them are gone. A second
//! instance of a unit is impossible while anything of the first one is left.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::{FdFlags, fcntl_setfd};

use super::process::{ProcessId, kill};

/// Name of the lock in the unit's directory; the keeper writes its identity into it.
const LOCK: &str = "lock";

fn open(directory: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(directory.join(LOCK))
}

fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(why) => Err(why.into()),
    }
}

/// Takes the lock for this process and what it starts; `None` if another keeper holds it.
pub(super) fn take(directory: &Path) -> io::Result<Option<File>> {
    let mut file = open(directory)?;
    if !try_lock(&file)? {
        return Ok(None);
    }
    let own = i32::try_from(std::process::id()).ok().and_then(ProcessId::of);
    file.set_len(0)?;
    file.write_all(&serde_json::to_vec(&own)?)?;
    fcntl_setfd(&file, FdFlags::empty())?;
    Ok(Some(file))
}

/// Whether a keeper is at work in `directory`, or something that it left behind.
pub(crate) fn is_held(directory: &Path) -> io::Result<bool> {
    Ok(!try_lock(&open(directory)?)?)
}

/// Whether the lock is held by what a dead keeper left behind.
///
/// Between taking the lock and writing its identity down a keeper looks dead, so it gets a moment to do so.
pub(crate) async fn is_orphaned(directory: &Path) -> io::Result<bool> {
    for _ in 0..20 {
        let keeper: Option<ProcessId> =
            fs::read(directory.join(LOCK)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        if !is_held(directory)? || keeper.is_some_and(|keeper| keeper.is_alive()) {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(true)
}

/// Kills every process that holds the lock open, until it is free.
pub(crate) async fn kill_holders(directory: &Path) -> io::Result<()> {
    for attempt in 0..200 {
        if !is_held(directory)? {
            return Ok(());
        }
        // A keeper that is just ending gets a moment to do so.
        if attempt > 1 {
            let lock = fs::metadata(directory.join(LOCK))?;
            processes().filter(|pid| holds(*pid, &lock)).for_each(kill);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(io::Error::other("what is left of the unit cannot be killed"))
}

/// Every process but this one.
fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid != own)
}

fn holds(pid: i32, lock: &fs::Metadata) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files
        .filter_map(|entry| fs::metadata(entry.path()).ok())
        .any(|file| (file.dev(), file.ino()) == (lock.dev(), lock.ino()))
}
