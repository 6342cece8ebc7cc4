//! Why a directory cannot be used, in words that name the fix.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

/// Who owns the directory, its mode, and as whom this process runs; of its nearest parent if it is not there yet.
pub(crate) fn situation(path: &Path) -> String {
    let me = rustix::process::geteuid().as_raw();
    let existing = existing(path);
    let Ok(metadata) = fs::metadata(&existing) else {
        return format!("this node runs as {}", user(me));
    };
    let whose =
        if existing == path { String::new() } else { format!("{} is ", existing.display()) };
    format!(
        "{whose}owned by {}, mode {:04o}; this node runs as {}",
        user(metadata.uid()),
        metadata.mode() & 0o7777,
        user(me)
    )
}

/// What to do about it.
pub(crate) fn hint(path: &Path, cause: &io::Error) -> String {
    let existing = existing(path);
    let shown = existing.display();
    let fix = match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            let free_bytes = statvfs(&existing).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
            format!("free some space on the file system of {shown} ({free_bytes} bytes are free)")
        }
        ErrorKind::ReadOnlyFilesystem => format!(
            "make the file system of {shown} writable (mount -o remount,rw {})",
            mount_point(&existing).display()
        ),
        ErrorKind::PermissionDenied => {
            let me = rustix::process::geteuid().as_raw();
            format!(
                "give it to this user (chown -R {} {shown})",
                name_of(me).unwrap_or_else(|| me.to_string())
            )
        }
        _ => format!("make {shown} writable for this user"),
    };
    format!("{fix}, or name another directory with --data-dir")
}

/// The path, or its nearest parent that exists.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.exists()).unwrap_or(path).to_path_buf()
}

/// The outermost parent on the same file system.
fn mount_point(path: &Path) -> PathBuf {
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    let own = device(path);
    let same = path.ancestors().take_while(|parent| device(parent) == own);
    same.last().unwrap_or(path).to_path_buf()
}

fn user(uid: u32) -> String {
    name_of(uid).map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
}

fn name_of(uid: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_mode_and_user_are_named_and_so_is_the_fix() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let missing = directory.path().join("data");
        let situation = situation(&missing);
        assert!(situation.contains("mode 07") && situation.contains("runs as"), "{situation}");
        let denied = hint(&missing, &ErrorKind::PermissionDenied.into());
        assert!(denied.contains("chown -R"), "{denied}");
        let read_only = hint(&missing, &ErrorKind::ReadOnlyFilesystem.into());
        assert!(read_only.contains("mount -o remount,rw /"), "{read_only}");
        let full = hint(&missing, &ErrorKind::StorageFull.into());
        assert!(full.contains("bytes are free"), "{full}");
    }
}
