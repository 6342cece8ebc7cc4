//! Which program holds the lock of a database, as far as this one may see it.
//!
//! The kernel lists every lock with the pid of its holder and the number of the file; that the holder really has the
//! file open is checked against its list of open files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most locks of the machine that are looked at.
const MOST_LOCKS: usize = 10_000;
/// Most open files of one holder that are looked at.
const MOST_FILES: usize = 1_000;
/// The byte of the `-shm` file that a writer locks in WAL mode.
const WRITE_LOCK: &str = "120";

/// The holder in words, such as `process 4711 (sqlite3)`.
pub(crate) fn of(path: &Path) -> Option<String> {
    let index = beside(path, "-shm");
    let files: Vec<(u64, &Path, bool)> = [(path, false), (index.as_path(), true)]
        .into_iter()
        .filter_map(|(path, is_index)| Some((fs::metadata(path).ok()?.ino(), path, is_index)))
        .collect();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let own = std::process::id();
    let pid = locks.lines().take(MOST_LOCKS).find_map(|line| {
        let lock = Lock::read(line)?;
        let (_, file, _) = files.iter().find(|(inode, _, is_index)| {
            *inode == lock.inode && (!is_index || lock.first_byte == WRITE_LOCK)
        })?;
        (lock.pid != own && has_open(lock.pid, file)).then_some(lock.pid)
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(match name.trim() {
        "" => format!("process {pid}"),
        name => format!("process {pid} ({name})"),
    })
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A lock for writing, as a line of `/proc/locks` shows it:
/// `4: POSIX  ADVISORY  WRITE 4711 08:01:131107 120 120`.
#[derive(Debug, PartialEq, Eq)]
struct Lock<'a> {
    pid: u32,
    inode: u64,
    first_byte: &'a str,
}

impl<'a> Lock<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        // A line of one who waits has an arrow behind its number.
        let [_, _, _, "WRITE", pid, file, first_byte, ..] = words.as_slice() else { return None };
        let inode = file.rsplit(':').next()?.parse().ok()?;
        Some(Self { pid: pid.parse().ok()?, inode, first_byte })
    }
}

/// Whether the process has the file open; also if that cannot be seen.
fn has_open(pid: u32, file: &Path) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return true };
    open.flatten()
        .take(MOST_FILES)
        .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_holder_and_the_file_and_one_who_waits_is_left_out() {
        let line = "4: POSIX  ADVISORY  WRITE 4711 00:2b:131107 120 120";
        assert_eq!(Lock::read(line), Some(Lock { pid: 4711, inode: 131_107, first_byte: "120" }));
        for other in [
            "5: POSIX  ADVISORY  READ 4711 00:2b:131107 120 120",
            "4: -> POSIX  ADVISORY  WRITE 4712 00:2b:131107 120 120",
            "6: OFDLCK ADVISORY  WRITE -1 00:2b:131107 120 120",
            "",
        ] {
            assert_eq!(Lock::read(other), None, "{other}");
        }
    }
}
