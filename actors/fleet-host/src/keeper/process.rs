//! Processes that can be told from later ones with the same number.

use std::fs;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpid};
use serde::{Deserialize, Serialize};

/// A process: its number, when it started, and in which boot of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pub(crate) pid: i32,
    /// Clock ticks after the boot.
    started: u64,
    boot: String,
}

impl ProcessId {
    /// Notes the process `pid` as it is now; `None` if there is none.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let started = start_time(pid)?;
        Some(Self { pid, started, boot: boot() })
    }

    /// When it started, in clock ticks after the boot.
    pub(super) fn started(&self) -> u64 {
        self.started
    }

    /// The boot of the machine that it belongs to.
    pub(super) fn boot(&self) -> &str {
        &self.boot
    }

    /// Whether exactly this process is still there.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }
}

/// The boot of this machine; empty if the kernel does not say.
pub(crate) fn boot() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// Field 22 of `/proc/<pid>/stat`, unless the process is over and merely not yet awaited by its parent.
///
/// The name in field 2 may hold anything, so counting begins behind its `)`.
pub(super) fn start_time(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (!["Z", "X"].contains(&state)).then(|| fields.nth(18)?.parse().ok()).flatten()
}

/// Signals every process of the group that `leader` leads; a group that is gone is fine.
pub(crate) fn kill_group(leader: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(leader) {
        let _already_gone = kill_process_group(pid, signal);
    }
}

/// Kills one process; one that is gone is fine.
pub(super) fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _already_gone = kill_process(pid, Signal::KILL);
    }
}

/// Signals one process; one that is gone is fine. `false` if it is.
pub(super) fn signal(pid: i32, number: i32) -> bool {
    let signal = Pid::from_raw(pid).zip(Signal::from_named_raw(number));
    signal.is_some_and(|(pid, signal)| kill_process(pid, signal).is_ok())
}

/// Every process that this one started, that those started, and so on.
///
/// A keeper is the reaper of all that its unit leaves behind, so this is all of the unit, in whatever session it hides.
pub(super) fn descendants() -> Vec<i32> {
    let mut found = children();
    let mut at = 0;
    while at < found.len() {
        found.extend(children_of(&found[at].to_string()));
        at += 1;
    }
    found
}

/// Kills every child of this process, and theirs as they become children of this process.
///
/// A keeper adopts what its unit leaves behind, so this is all that is left of the unit, in whatever session it hides.
pub(super) fn kill_children() {
    // A process may start others faster than they are killed; then the lock still keeps a second instance away.
    for _ in 0..1000 {
        let children = children();
        if children.is_empty() {
            return;
        }
        for child in children {
            kill(child);
            if let Some(pid) = Pid::from_raw(child) {
                let _not_a_child_any_more = waitpid(Some(pid), WaitOptions::empty());
            }
        }
    }
}

/// The children of this process, whichever thread has them.
pub(super) fn children() -> Vec<i32> {
    children_of("self")
}

fn children_of(process: &str) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let texts =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    texts
        .flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_not_mistaken_for_a_later_one() {
        let own = i32::try_from(std::process::id()).expect("a process number");
        let mut noted = ProcessId::of(own).expect("this process is there");
        assert!(noted.is_alive());
        noted.started += 1;
        assert!(!noted.is_alive());
    }
}
