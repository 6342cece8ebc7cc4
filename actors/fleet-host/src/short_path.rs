//! Unix sockets in directories with long names.
//!
//! The path of a unix socket has at most 107 bytes, which a data directory and a unit name together exceed easily. A
//! path through an open directory of this process is always short.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A short path to `name` in `directory`; it works as long as the returned file is open.
pub(crate) fn short_path(directory: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    let handle = File::open(directory)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", handle.as_raw_fd()));
    Ok((handle, path))
}
