//! Clock, limits, user.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, geteuid, getrlimit};

use super::finding::Finding;
use super::place::Place;

/// 2026-01-01, before which no version of this program was made.
const OLDEST: Duration = Duration::from_secs(1_767_225_600);
/// Open files below which a busy node may run out: connections, logs and sockets of its units.
const OPEN_FILES: u64 = 4096;

/// Whether the wall clock can be right.
pub(super) fn clock(place: &Place) -> Finding {
    let fix = "set it: timedatectl set-ntp true, or date --set";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if now < OLDEST {
        return Finding::bad("clock", "it shows a time before this program was made", fix);
    }
    let newest = ["store.db", "store.db-wal", "builder.db"].iter().filter_map(|name| {
        let found = fs::metadata(place.data_dir.join(name)).ok()?;
        found.modified().ok()?.duration_since(UNIX_EPOCH).ok()
    });
    match newest.max() {
        Some(written) if written > now + Duration::from_secs(60) => {
            let ahead = crate::output::duration(written - now);
            Finding::warning(
                "clock",
                format!("the node wrote its files {ahead} in the future: the clock was set back"),
                fix,
            )
        }
        _ => Finding::fine("clock", "it can be right"),
    }
}

/// Whether something keeps the clock right.
pub(super) fn time_service() -> Finding {
    const SERVICES: [&str; 5] = ["chronyd", "ntpd", "systemd-timesyn", "openntpd", "ptp4l"];
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Finding::fine("time service", "systemd-timesyncd keeps the clock right");
    }
    let running = fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| {
        let name = fs::read_to_string(entry.ok()?.path().join("comm")).ok()?;
        SERVICES.into_iter().find(|service| name.trim() == *service)
    });
    match running.last() {
        Some(service) => Finding::fine("time service", format!("{service} keeps the clock right")),
        None => Finding::note(
            "time service",
            "none runs here; a machine whose host keeps the clock right needs none",
            "apt-get install chrony",
        ),
    }
}

/// How many files a process may have open.
pub(super) fn open_files() -> Finding {
    match getrlimit(Resource::Nofile).maximum {
        Some(limit) if limit < OPEN_FILES => Finding::warning(
            "open files",
            format!("a process may open {limit}"),
            "raise it: LimitNOFILE=65536 in the service, or ulimit -n 65536",
        ),
        limit => Finding::fine(
            "open files",
            limit.map_or("no limit".into(), |limit| format!("a process may open {limit}")),
        ),
    }
}

/// As whom units can run.
pub(super) fn user() -> Finding {
    if geteuid().is_root() {
        Finding::note(
            "user",
            "root: units without User= are refused",
            "give each unit a User=, or set allow_root_units = true in [cluster.local]",
        )
    } else {
        Finding::fine("user", format!("{}: units run as this user", geteuid().as_raw()))
    }
}

/// Whether `MemoryMax=` and `CPUQuota=` can be enforced.
pub(super) fn limits_of_units() -> Finding {
    let subject = "unit limits";
    let writable = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    let root = Path::new("/sys/fs/cgroup");
    let second = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    let has = |name: &str| second.split_whitespace().any(|controller| controller == name);
    if has("memory") && has("cpu") && writable(root) {
        return Finding::fine(subject, "MemoryMax= and CPUQuota= are enforced (cgroup v2)");
    }
    if ["memory", "cpu"].iter().all(|name| writable(&root.join(name))) {
        return Finding::fine(subject, "MemoryMax= and CPUQuota= are enforced (cgroup v1)");
    }
    Finding::note(
        subject,
        "MemoryMax= and CPUQuota= cannot be enforced: no control group can be made here",
        "run the node as a service with Delegate=yes, or as root",
    )
}
