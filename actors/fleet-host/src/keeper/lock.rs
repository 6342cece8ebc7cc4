//! The lock that makes a keeper the only one of its unit, and what is known of the keeper by it.
//!
//! The unit's processes inherit the open file: the lock is free only when the keeper and all that kept the file open
//! are gone. They have it for reading only, so that a unit cannot change what the file says of its keeper.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};

use super::process::ProcessId;

/// Name of the lock in the unit's directory; the keeper writes its identity into it.
pub(super) const LOCK: &str = "lock";
/// What is written into the lock has always this length: on a full disk it can still be written over.
const IDENTITY_BYTES: usize = 256;

/// A keeper, as it is written in its lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    #[serde(flatten)]
    pub(crate) process: ProcessId,
    /// The value of [`MARK`] in the environment of its programs.
    #[serde(default)]
    pub(crate) mark: String,
}

/// Environment variable by which programs of a unit are found; the name is that of systemd.
pub(crate) const MARK: &str = "INVOCATION_ID";

/// The lock, as long as it is held, and the keeper that holds it.
pub(super) struct Held {
    pub(super) file: File,
    pub(super) mark: String,
}

/// Takes the lock for this process and what it starts; `None` if another keeper holds it.
pub(super) fn take(directory: &Path) -> io::Result<Option<Held>> {
    let path = directory.join(LOCK);
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)?);
    if !try_lock(&file)? {
        return Ok(None);
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let mark = fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().replace('-', "");
    let own = i32::try_from(std::process::id()).ok().and_then(ProcessId::of);
    let process = own.ok_or_else(|| io::Error::other("/proc does not show this process"))?;
    let mut text = serde_json::to_vec(&Identity { process, mark: mark.clone() })?;
    text.resize(IDENTITY_BYTES.max(text.len()), b' ');
    File::options().write(true).open(&path)?.write_all(&text)?;
    fcntl_setfd(&file, FdFlags::empty())?;
    Ok(Some(Held { file, mark }))
}

fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(why) => Err(why.into()),
    }
}

/// Whether a keeper is at work in `directory`, or something that it left behind.
pub(crate) fn is_held(directory: &Path) -> io::Result<bool> {
    match File::open(directory.join(LOCK)) {
        Ok(file) => Ok(!try_lock(&file)?),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(why) => Err(why),
    }
}

/// The last keeper in `directory`, at work or not.
pub(crate) fn identity(directory: &Path) -> Option<Identity> {
    serde_json::from_slice(&fs::read(directory.join(LOCK)).ok()?).ok()
}

/// Whether a keeper lives in `directory`; what a dead one left behind may still hold its lock.
///
/// Between taking the lock and writing its identity down a keeper looks dead, so it gets a moment to do so.
pub(crate) async fn has_keeper(directory: &Path) -> io::Result<bool> {
    for _ in 0..20 {
        if identity(directory).is_some_and(|keeper| keeper.process.is_alive()) {
            return Ok(true);
        }
        if !is_held(directory)? {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(false)
}
