//! Ends what a keeper that is gone left of its unit.
//!
//! A living keeper needs none of this: it is the reaper of all that its unit starts. When it was killed, a process
//! belongs to its unit if it holds the keeper's lock, which programs inherit, or has the keeper's mark in the environment
//! that it was started with, or if it is the very process that the status names, with its group. One that closed the
//! file, left the group and started itself again with a cleaned environment is not found here; where the unit has control
//! groups, those are emptied afterwards.
//!
//! Whoever merely reads the file of the lock is left alone, and so is whoever was there before the keeper: a hostile
//! unit may have sent it the open file.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::lock::{Identity, LOCK, MARK, identity, is_held};
use super::process::{boot, kill_group, start_time};
use super::status::Status;

/// Looks for what is left, and kills it, until nothing is.
///
/// # Errors
///
/// If something cannot be killed; then nothing new must be started.
pub(crate) async fn end_leftovers(directory: &Path, last: Option<&Status>) -> io::Result<()> {
    let keeper = identity(directory);
    if is_clean(directory, keeper.as_ref(), last)? {
        return Ok(());
    }
    if let Some(process) = last.and_then(|last| last.process.as_ref())
        && process.is_alive()
    {
        kill_group(process.pid, Signal::KILL);
        // It may have left its group.
        kill_if(process.pid, |_| process.is_alive());
    }
    let search = Search::new(directory, keeper);
    for attempt in 0..200 {
        let (held, search) = (is_held(directory)?, search.clone());
        // A keeper that is just ending gets a moment to do so.
        let kill = attempt > 1 || !held;
        let found = tokio::task::spawn_blocking(move || search.run(kill)).await?;
        if found == 0 && !held {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(io::Error::other("what is left of the unit cannot be killed"))
}

/// Kills a keeper that cannot be reached, if it is exactly that process; what it leaves is for [`end_leftovers`].
pub(crate) fn kill_keeper(directory: &Path) {
    if let Some(keeper) = identity(directory) {
        kill_if(keeper.process.pid, |_| keeper.process.is_alive());
    }
}

/// Whether there is no need to search: the keeper said that nothing is left, or the machine was started since.
fn is_clean(
    directory: &Path,
    keeper: Option<&Identity>,
    last: Option<&Status>,
) -> io::Result<bool> {
    if is_held(directory)? {
        return Ok(false);
    }
    let said_so = last.is_some_and(|last| last.phase.is_final());
    let nothing_began = keeper.is_none() && last.is_none();
    let booted = keeper.is_some_and(|keeper| keeper.process.boot() != boot());
    Ok(said_so || nothing_began || booted)
}

#[derive(Debug, Clone)]
struct Search {
    lock: PathBuf,
    mark: Option<Vec<u8>>,
    /// When the keeper started, in ticks after the boot: nothing of its unit is older.
    since: u64,
}

impl Search {
    fn new(directory: &Path, keeper: Option<Identity>) -> Self {
        let since = keeper.as_ref().map_or(0, |keeper| keeper.process.started());
        let mark = keeper.map(|keeper| keeper.mark).filter(|mark| !mark.is_empty());
        let mark = mark.map(|mark| format!("{MARK}={mark}").into_bytes());
        Self { lock: directory.join(LOCK), mark, since }
    }

    /// Processes that were found, and killed if wanted.
    fn run(&self, kill: bool) -> usize {
        let lock = fs::metadata(&self.lock).ok().map(|lock| (lock.dev(), lock.ino()));
        let is_ours = |pid: i32| {
            start_time(pid).is_some_and(|started| started >= self.since)
                && (lock.is_some_and(|lock| holds(pid, lock))
                    || self.mark.as_ref().is_some_and(|mark| has_mark(pid, mark)))
        };
        let found = processes().filter(|pid| is_ours(*pid));
        found
            .map(|pid| {
                if kill {
                    kill_if(pid, is_ours)
                }
            })
            .count()
    }
}

/// Kills a process if it is what it seems: it is held by a descriptor first, so that no later one of its number is hit.
fn kill_if(pid: i32, is_meant: impl Fn(i32) -> bool) {
    let Some(number) = Pid::from_raw(pid) else { return };
    if let Ok(process) = pidfd_open(number, PidfdFlags::empty())
        && is_meant(pid)
    {
        let _already_gone = pidfd_send_signal(process, Signal::KILL);
    }
}

/// Every process but this one.
fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid != own)
}

/// Whether a process has the very open file that is locked: it inherited it from the keeper.
fn holds(pid: i32, lock: (u64, u64)) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files
        .filter(|entry| {
            fs::metadata(entry.path()).is_ok_and(|file| (file.dev(), file.ino()) == lock)
        })
        .any(|entry| {
            let info =
                Path::new("/proc").join(pid.to_string()).join("fdinfo").join(entry.file_name());
            let info = fs::read_to_string(info).unwrap_or_default();
            info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK"))
        })
}

fn has_mark(pid: i32, mark: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark)
}
