//! A git that runs, and how it ends: by itself, or asked by TERM and then forced by KILL, with all that it started.
//!
//! ```text
//! Running dropped ─► TERM to the group ─► all ended, or GRACE is over ─► KILL to the group ─► the attempt is free
//! ```
//!
//! TERM comes first since a push into a repository of this machine holds a lock there, which git takes back when it is
//! asked to end and leaves for ever when it is forced to.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio::time::{sleep, timeout};

use super::error::GitError;
use super::processes;

/// Time between TERM and KILL.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// Pause between two looks at a group that was asked to end.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Longest complaint that is kept.
const STDERR_LIMIT: usize = 64 << 10;

/// The programs of one attempt: its directory is removed only after the last of them ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Programs(Arc<RwLock<()>>);

impl Programs {
    fn enter(&self) -> Option<OwnedRwLockReadGuard<()>> {
        Arc::clone(&self.0).try_read_owned().ok()
    }

    /// Waits until none runs any more. No new one may begin meanwhile.
    pub(crate) async fn ended(&self) {
        // Each ends within its time of grace; a machine that is too busy for that does not hold up the step.
        let _ = timeout(3 * GRACE, self.0.write()).await;
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// A git that runs. Dropping it ends git and all that git started.
#[derive(Debug)]
pub(crate) struct Running(Option<Live>);

#[derive(Debug)]
struct Live {
    // Before the child: the group is killed while its leader is not reaped, so the number is still its own.
    group: ProcessGroup,
    child: Child,
    _entered: Option<OwnedRwLockReadGuard<()>>,
}

impl Running {
    /// Takes charge of `child`, the leader of a group of its own.
    pub(super) fn new(child: Child, programs: &Programs) -> Self {
        let group = ProcessGroup(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        Self(Some(Live { group, child, _entered: programs.enter() }))
    }

    /// The process.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0.as_mut().expect("it is live until it is dropped").child
    }

    /// The group that it leads.
    pub(super) fn group(&self) -> Option<Pid> {
        self.0.as_ref().and_then(|live| live.group.0)
    }

    /// Writes `input`, reads what comes and waits for the end.
    pub(super) async fn finish(
        mut self,
        command: &'static str,
        input: &[u8],
        output_limit: usize,
    ) -> Result<Outcome, GitError> {
        let failed = |cause| GitError::Spawn { command, cause };
        let child = self.child();
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // Git that ends early closes the pipe; its status tells why.
                let _ = stdin.write_all(input).await;
            }
            Ok(())
        };
        let read = async {
            let (bytes, whole) = read_bounded(stdout, output_limit).await.map_err(failed)?;
            if whole {
                Ok(bytes)
            } else {
                Err(GitError::OutputTooLong { command, limit_bytes: output_limit })
            }
        };
        let complain = async {
            read_bounded(stderr, STDERR_LIMIT).await.map(|(bytes, _)| bytes).map_err(failed)
        };
        let ((), stdout, stderr) = tokio::try_join!(write, read, complain)?;
        let status = self.child().wait().await.map_err(failed)?;
        if let Some(live) = &mut self.0 {
            live.group.0 = None;
        }
        Ok(Outcome { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(live) = self.0.take().filter(|live| live.group.0.is_some()) else { return };
        live.group.signal(Signal::TERM);
        // Without a runtime nobody can wait: dropping kills at once.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(live.end());
        }
    }
}

impl Live {
    async fn end(mut self) {
        if timeout(GRACE, self.ended()).await.is_err() {
            self.group.signal(Signal::KILL);
            // They are gone in microseconds, unless the kernel holds one up.
            let _ = timeout(GRACE, self.ended()).await;
        }
        self.group.0 = None;
    }

    async fn ended(&mut self) {
        let _ = self.child.wait().await;
        // As long as the group has a member, its number is not given to another.
        while self.group.0.is_some_and(processes::group_lives) {
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// Kills the group when dropped, unless it was disarmed.
#[derive(Debug)]
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // It may have ended by itself meanwhile.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Reads to the end, keeps the first `limit` bytes, and says whether that was all.
async fn read_bounded(
    reader: Option<impl AsyncRead + Unpin>,
    limit: usize,
) -> std::io::Result<(Vec<u8>, bool)> {
    let Some(mut reader) = reader else { return Ok((Vec::new(), true)) };
    let mut kept = Vec::new();
    (&mut reader).take(limit as u64).read_to_end(&mut kept).await?;
    // On the heap: the future that holds it is part of every larger one.
    let mut surplus = vec![0; 4096];
    let mut whole = true;
    // Read on, so that the writer is never stuck on a full pipe.
    while 0 < reader.read(&mut surplus).await? {
        whole = false;
    }
    Ok((kept, whole))
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::process::Command;

    use super::*;

    /// Starts a script as git is started, and waits until it says that it stands.
    async fn started(script: &str, programs: &Programs) -> (Running, Pid) {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdout(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut running = Running::new(command.spawn().expect("a shell"), programs);
        let output = running.child().stdout.take().expect("piped");
        let line = BufReader::new(output).lines().next_line().await.expect("readable");
        assert_eq!(line.as_deref(), Some("stands"));
        let group = running.group().expect("a group");
        (running, group)
    }

    #[tokio::test]
    async fn what_ends_when_asked_can_tidy_up() {
        let (programs, place) = (Programs::default(), tempfile::tempdir().expect("a directory"));
        let lock = place.path().join("lock");
        std::fs::write(&lock, "").expect("a lock");
        let script = format!(
            "trap 'rm {}; exit' TERM; echo stands; while :; do sleep 0.01; done",
            lock.display()
        );
        let (running, group) = started(&script, &programs).await;
        drop(running);
        programs.ended().await;
        assert!(!lock.exists() && !processes::group_lives(group));
    }

    #[tokio::test]
    async fn what_does_not_listen_is_killed_with_all_that_it_started() {
        let programs = Programs::default();
        let script = "trap '' TERM; (trap '' TERM; while :; do sleep 60; done) & echo stands; \
                      while :; do sleep 60; done";
        let (running, group) = started(script, &programs).await;
        assert!(processes::group_lives(group));
        drop(running);
        programs.ended().await;
        assert!(!processes::group_lives(group));
    }

    #[test]
    fn without_a_runtime_it_is_killed_at_once() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (running, group) = runtime.block_on(started(
            "trap '' TERM; echo stands; while :; do sleep 60; done",
            &Programs::default(),
        ));
        drop(runtime);
        drop(running);
        // KILL is delivered before the call returns; that the processes are gone is a matter of microseconds.
        let begun = std::time::Instant::now();
        while processes::group_lives(group) {
            assert!(begun.elapsed() < Duration::from_secs(10), "it still runs");
            std::thread::yield_now();
        }
    }
}
