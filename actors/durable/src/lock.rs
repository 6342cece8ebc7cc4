//! One process per database: an exclusive lock on a file beside it.
//!
//! The kernel drops the lock when its holder ends, however it ends, so there is nothing stale to clean up. The
//! lock file holds the holder's pid for the message that a second opener gets.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::OpenError;

/// How long an opener waits for another process. A program that its holder was just starting when it was killed
/// holds the lock until it runs.
const OTHER_PROCESS_WAIT: Duration = Duration::from_millis(500);
/// How long an opener waits for a holder in its own process, which may be about to close.
const OWN_PROCESS_WAIT: Duration = Duration::from_secs(2);

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock that belongs to the database at `path`.
    ///
    /// A database that this same process has just dropped may still be closing its connections, and what a killed
    /// process left may be on its way out; only that is waited for.
    pub(crate) async fn take(path: &Path) -> Result<Self, OpenError> {
        let beside = lock_path(path);
        let began = Instant::now();
        loop {
            match Self::try_take(&beside) {
                Ok(lock) => return Ok(lock),
                Err(TryLockError::Error(cause)) => {
                    return Err(OpenError::File { path: beside, cause });
                }
                Err(TryLockError::WouldBlock) => {
                    let pid = holder(&beside);
                    let is_own = pid == Some(std::process::id());
                    let limit = if is_own { OWN_PROCESS_WAIT } else { OTHER_PROCESS_WAIT };
                    if began.elapsed() >= limit {
                        return Err(OpenError::InUse { path: path.to_owned(), pid });
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }

    fn try_take(beside: &Path) -> Result<Self, TryLockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(beside)
            .map_err(TryLockError::Error)?;
        file.try_lock()?;
        write_pid(&mut file).map_err(TryLockError::Error)?;
        Ok(Self { _file: file })
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The pid in the lock file; `None` while the holder is still writing it.
fn holder(beside: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(beside).ok()?.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_killed_process_left_is_waited_for() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a.db");
        // No process has this number, as after the end of the one that wrote it.
        std::fs::write(lock_path(&path), "4194305\n").expect("a lock file");
        let left = File::open(lock_path(&path)).expect("the lock file");
        left.try_lock().expect("it is free");
        let release = async {
            tokio::task::yield_now().await;
            drop(left);
        };

        let (taken, ()) = tokio::join!(FileLock::take(&path), release);

        taken.expect("the lock");
    }
}
