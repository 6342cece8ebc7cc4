//! A look at the processes of this machine: whose group lives, and what an earlier node left running.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::time::{sleep, timeout};

use super::process::{GRACE, LOOK_AGAIN};

/// Whether a process of `group` still runs. One that ended and was not reaped yet does not count.
pub(super) fn group_lives(group: Pid) -> bool {
    test_kill_process_group(group).is_ok()
        && ids().filter_map(standing).any(|(lives, of)| lives && of == group)
}

/// Ends all programs whose home lies below `place`: a node that was killed could not.
///
/// Each git gets the directory of its attempt as its home, and hands it on to all that it starts.
pub(crate) async fn end_those_at_home_in(place: &Path) {
    signal_those_at_home_in(place, Signal::TERM);
    let gone = async {
        while signal_those_at_home_in(place, Signal::TERM) {
            sleep(LOOK_AGAIN).await;
        }
    };
    if timeout(GRACE, gone).await.is_err() {
        signal_those_at_home_in(place, Signal::KILL);
    }
}

/// Whether there were any.
fn signal_those_at_home_in(place: &Path, signal: Signal) -> bool {
    let mut prefix = b"HOME=".to_vec();
    prefix.extend_from_slice(place.as_os_str().as_bytes());
    prefix.push(b'/');
    let mut found = false;
    for id in ids() {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        let ours = environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(&prefix));
        if let Some((true, group)) = ours.then(|| standing(id)).flatten() {
            found = true;
            let _ = kill_process_group(group, signal);
        }
    }
    found
}

fn ids() -> impl Iterator<Item = u32> {
    let id = |name: &OsStr| name.to_str()?.parse().ok();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(move |entry| id(&entry.file_name()))
}

/// Whether the process lives, and its group.
///
/// # Source
///
/// proc_pid_stat(5): the name in parentheses can hold anything; state, parent and group follow it.
fn standing(id: u32) -> Option<(bool, Pid)> {
    let text = fs::read(format!("/proc/{id}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (_, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let lives = !matches!(words.next()?, "Z" | "X");
    let group = Pid::from_raw(words.nth(1)?.parse().ok()?)?;
    Some((lives, group))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test]
    async fn only_programs_that_are_at_home_there_are_ended() {
        let place = tempfile::tempdir().expect("a directory");
        let start = |home: &Path| {
            let mut command = Command::new("/bin/sleep");
            command.arg("60").env("HOME", home).stdin(Stdio::null()).process_group(0);
            command.spawn().expect("sleep")
        };
        let mut ours = start(&place.path().join("attempt-1/deployment.git"));
        let mut others = start(&place.path().with_extension("other").join("x"));
        end_those_at_home_in(place.path()).await;
        assert_eq!(ours.wait().expect("ended").signal(), Some(15));
        assert_eq!(others.try_wait().expect("asked"), None, "it still runs");
        others.kill().expect("ended");
        others.wait().expect("reaped");
    }
}
