//! The data directory and the disk below it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use oa_api::local::ADMIN_TOKEN_FILE;
use rustix::fs::{Access, access, statfs, statvfs};
use rustix::process::geteuid;

use super::finding::Finding;
use super::place::Place;

const MIB: u64 = 1 << 20;
/// A database, its log and a few checkouts.
const SPACE_NEEDED: u64 = 100 * MIB;
const SPACE_WANTED: u64 = 1024 * MIB;
/// A flush this long makes every step of a workflow feel slow.
const SLOW_FLUSH: Duration = Duration::from_millis(20);
const FLUSHES: usize = 9;

/// Whether this user, and nobody else, can use the directory.
pub(super) fn permissions(place: &Place) -> Finding {
    let (subject, path) = ("permissions", &place.data_dir);
    let shown = path.display();
    let user = geteuid();
    if access(place.existing(), Access::WRITE_OK).is_err() {
        let found =
            format!("user {} cannot write to {}", user.as_raw(), place.existing().display());
        let fix =
            format!("mkdir -p {shown} && chown {} {shown}, or set OA_DATA_DIR", user.as_raw());
        return Finding::bad(subject, found, fix);
    }
    let Ok(found) = fs::metadata(path) else {
        return Finding::fine(subject, format!("{shown} can be made"));
    };
    if found.uid() != user.as_raw() && !user.is_root() {
        let text = format!("{shown} belongs to user {}", found.uid());
        return Finding::bad(subject, text, "run the node and `oa` as that user");
    }
    let token = path.join(ADMIN_TOKEN_FILE);
    if fs::metadata(&token).is_ok_and(|found| found.mode() & 0o077 != 0) {
        let text = format!("others can read {}", token.display());
        let fix = format!("rm {} and restart the node: a new token is made", token.display());
        return Finding::bad(subject, text, fix);
    }
    if found.mode() & 0o077 != 0 {
        let text = format!("{shown} has mode {:o}: others can look into it", found.mode() & 0o777);
        return Finding::warning(subject, text, format!("chmod 700 {shown}"));
    }
    Finding::fine(subject, format!("only user {} can use {shown}", found.uid()))
}

/// Whether the file system keeps what is flushed, and locks files.
pub(super) fn kind(place: &Place) -> Finding {
    let subject = "file system";
    // From linux/magic.h.
    let name = match statfs(place.existing()).map(|found| found.f_type as u64) {
        Ok(0x0102_1994) => "tmpfs",
        Ok(0x6969) => "NFS",
        Ok(0xff53_4d42 | 0xfe53_4d42) => "SMB",
        Ok(0x6573_5546) => "FUSE",
        Ok(_) => return Finding::fine(subject, "a local one"),
        Err(why) => {
            return Finding::warning(
                subject,
                format!("it cannot be asked: {why}"),
                "look at mount",
            );
        }
    };
    let found = match name {
        "tmpfs" => "tmpfs: everything is lost with the next start of the machine".to_owned(),
        name => format!("{name}: a database on it may lose writes, since locks and flushes differ"),
    };
    Finding::warning(subject, found, "set OA_DATA_DIR to a directory on a local disk")
}

/// Room for the databases and for checkouts.
pub(super) fn space(place: &Place) -> Finding {
    let subject = "disk space";
    let fix = "remove what is not needed, or set OA_DATA_DIR to a larger disk";
    match statvfs(place.existing()) {
        Err(why) => Finding::warning(subject, format!("it cannot be asked: {why}"), fix),
        Ok(disk) => {
            let free = disk.f_bavail * disk.f_frsize;
            let found = format!("{} MiB are free", free / MIB);
            if disk.f_files > 0 && disk.f_favail < 1000 {
                return Finding::bad(subject, format!("{} files can be made", disk.f_favail), fix);
            }
            match free {
                0..SPACE_NEEDED => Finding::bad(subject, found, fix),
                SPACE_NEEDED..SPACE_WANTED => Finding::warning(subject, found, fix),
                _ => Finding::fine(subject, found),
            }
        }
    }
}

/// What making a write durable costs: each transition of a workflow waits for it.
pub(super) fn flush(place: &Place) -> Finding {
    let subject = "flush";
    match measure(place.existing()) {
        Err(why) => Finding::bad(
            subject,
            format!("4 KiB cannot be written and flushed in {}: {why}", place.existing().display()),
            "make room or a writable directory; dmesg shows errors of the disk",
        ),
        Ok(time) => {
            let found =
                format!("4 KiB take {:.2} ms (median of {FLUSHES})", time.as_secs_f64() * 1e3);
            if time > SLOW_FLUSH {
                return Finding::warning(
                    subject,
                    found,
                    "use a disk with a write cache that survives power loss",
                );
            }
            Finding::fine(subject, found)
        }
    }
}

fn measure(directory: &Path) -> io::Result<Duration> {
    let probe = directory.join(format!(".oa-doctor-{}", std::process::id()));
    let mut options = File::options();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&probe)?;
    let mut times = Vec::with_capacity(FLUSHES);
    let flushed = (0..FLUSHES).try_for_each(|_| {
        let began = Instant::now();
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed());
        Ok(())
    });
    fs::remove_file(&probe)?;
    flushed.map(|()| {
        times.sort();
        times[FLUSHES / 2]
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_directory_that_others_can_enter_is_named_with_its_mode() {
        let home = tempfile::tempdir().expect("a directory");
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        let finding = permissions(&Place::at(home.path()));
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(
            finding.found.contains("755")
                && finding.fix.is_some_and(|fix| fix.contains("chmod 700"))
        );
    }

    #[test]
    fn a_token_that_others_can_read_is_bad() {
        let home = tempfile::tempdir().expect("a directory");
        let token = home.path().join(ADMIN_TOKEN_FILE);
        fs::write(&token, "x").expect("a token");
        fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).expect("its mode");
        assert_eq!(permissions(&Place::at(home.path())).verdict, Verdict::Bad);
    }

    #[test]
    fn nothing_is_left_of_the_measurement() {
        let home = tempfile::tempdir().expect("a directory");
        assert!(flush(&Place::at(home.path())).found.contains("ms"));
        assert_eq!(fs::read_dir(home.path()).expect("the directory").count(), 0);
    }
}
