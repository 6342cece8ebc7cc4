//! The data directory: where everything of one node lies, held by one process at a time.

use std::fs::{self, DirBuilder, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use oa_api::local::{LOCK_FILE, NODE_FILE, NodeFile};
use rustix::fs::{FlockOperation, flock};

use crate::error::NodeError;

/// How often the lock is tried, and the rest between two tries.
const TRIES: u32 = 50;
const REST: Duration = Duration::from_millis(10);

/// An open data directory; the lock is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory (mode 0700) if it is missing and takes its lock.
    ///
    /// A program that the last node was just starting when it was killed holds the lock until it runs, so this tries
    /// for a moment.
    pub(crate) async fn open(path: &Path) -> Result<Self, NodeError> {
        let unusable = |cause| NodeError::DataDir { path: path.to_path_buf(), cause };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(path.join(LOCK_FILE)).map_err(unusable)?;
        let mut tries = 0;
        while flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            tries += 1;
            if tries < TRIES {
                tokio::time::sleep(REST).await;
                continue;
            }
            let mut holder = String::new();
            let _unreadable = lock.read_to_string(&mut holder);
            return Err(NodeError::DataDirInUse {
                path: path.to_path_buf(),
                holder: holder.trim().parse().ok(),
            });
        }
        lock.set_len(0).and_then(|()| lock.rewind()).map_err(unusable)?;
        writeln!(lock, "{}", std::process::id()).map_err(unusable)?;
        Ok(Self { path: path.to_path_buf(), _lock: lock })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory inside it (mode 0700), made if it is missing.
    pub(crate) fn inner(&self, name: &str) -> Result<PathBuf, NodeError> {
        let path = self.path.join(name);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|cause| NodeError::DataDir { path: path.clone(), cause })?;
        Ok(path)
    }

    /// Says where the node can be reached: `node.json`, written whole or not at all.
    pub(crate) fn announce(&self, node: &str, url: &str) -> Result<(), NodeError> {
        let unusable = |cause| NodeError::DataDir { path: self.path.clone(), cause };
        let file = NodeFile { url: url.to_owned(), pid: std::process::id(), node: node.to_owned() };
        let text = serde_json::to_vec(&file).map_err(|cause| unusable(cause.into()))?;
        let fresh = self.path.join(format!("{NODE_FILE}.new"));
        fs::write(&fresh, text).map_err(unusable)?;
        fs::rename(&fresh, self.path.join(NODE_FILE)).map_err(unusable)
    }

    /// Takes the announcement back.
    pub(crate) fn retract(&self) {
        let _already_gone = fs::remove_file(self.path.join(NODE_FILE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_holder_is_refused_with_path_and_process() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let _held = DataDir::open(directory.path()).await.expect("the first holder");
        let refusal = DataDir::open(directory.path()).await.expect_err("the second holder");
        assert!(
            refusal.to_string().contains(&format!("process {}", std::process::id())),
            "{refusal}"
        );
    }

    #[tokio::test]
    async fn the_directory_is_free_again_after_its_holder() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        drop(DataDir::open(directory.path()).await.expect("the first holder"));
        DataDir::open(directory.path()).await.expect("the next holder");
    }

    #[tokio::test]
    async fn what_a_killed_node_was_just_starting_is_waited_for() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let held = DataDir::open(directory.path()).await.expect("the first holder");
        let next = DataDir::open(directory.path());
        let release = async {
            tokio::task::yield_now().await;
            drop(held);
        };

        let (next, ()) = tokio::join!(next, release);

        next.expect("the next holder");
    }
}
