//! The directory of one attempt: made for it alone, removed when it ends, however it ends.
//!
//! | end | removed by |
//! |---|---|
//! | success, failure | [`Attempt::end`], after the last program of the attempt ended |
//! | cancelled: the future is dropped | a task that waits for these programs |
//! | the node was killed | [`remove_leftovers`] at the next start, after it ended what still ran |

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use tempfile::TempDir;
use tokio::runtime::Handle;
use tracing::{debug, warn};

use crate::error::BuildError;
use crate::git::{Programs, end_those_at_home_in};

/// Beginning of the name of each attempt's directory.
const PREFIX: &str = "attempt-";

/// A directory, and the programs that work in it.
#[derive(Debug)]
pub(crate) struct Attempt {
    directory: Option<TempDir>,
    programs: Programs,
}

impl Attempt {
    /// Makes a directory below `work_dir` for `programs`.
    pub(crate) fn begin(work_dir: &Path, programs: Programs) -> Result<Self, BuildError> {
        let failed = |cause| BuildError::Workspace { path: work_dir.display().to_string(), cause };
        DirBuilder::new().recursive(true).mode(0o700).create(work_dir).map_err(failed)?;
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(work_dir);
        Ok(Self { directory: Some(directory.map_err(failed)?), programs })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.as_ref().expect("it is there until the end").path()
    }

    /// Waits for the programs and removes the directory.
    pub(crate) async fn end(mut self) {
        self.programs.ended().await;
        if let Some(directory) = self.directory.take() {
            remove(directory);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(directory) = self.directory.take() else { return };
        // Without a runtime the programs are killed at once and the directory is removed by its own drop.
        if let Ok(runtime) = Handle::try_current() {
            let programs = self.programs.clone();
            runtime.spawn(async move {
                programs.ended().await;
                remove(directory);
            });
        }
    }
}

fn remove(directory: TempDir) {
    let path = directory.path().to_owned();
    if let Err(error) = directory.close() {
        warn!(path = %path.display(), %error, "failed to remove the directory of an attempt");
    }
}

/// Removes what attempts of an earlier process left behind, after ending what still works there.
pub(crate) async fn remove_leftovers(work_dir: &Path) {
    let Ok(entries) = fs::read_dir(work_dir) else { return };
    let is_ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(PREFIX);
    let paths: Vec<_> = entries.flatten().filter(is_ours).map(|entry| entry.path()).collect();
    if paths.is_empty() {
        return;
    }
    end_those_at_home_in(work_dir).await;
    for path in paths {
        match fs::remove_dir_all(&path) {
            Ok(()) => debug!(path = %path.display(), "removed what an earlier attempt left behind"),
            Err(error) => {
                warn!(path = %path.display(), %error, "failed to remove an old attempt")
            }
        }
    }
}
