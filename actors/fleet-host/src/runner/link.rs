//! The connection to a keeper.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::Places;
use crate::keeper::{self, CONTROL, PLAN, STATUS, Status, kill_group};
use crate::service::Plan;
use crate::short_path::short_path;
use oa_fleet::UnitName;

/// How long a keeper may take until it can be reached.
const REACHED_WITHIN: Duration = Duration::from_secs(10);

/// A keeper at work.
#[derive(Debug)]
pub(super) struct Link {
    lines: Lines<BufReader<OwnedReadHalf>>,
    commands: OwnedWriteHalf,
    /// The process, if it was started by this host; awaited so that it leaves no zombie.
    child: Option<Child>,
    pub(super) last: Status,
}

impl Link {
    /// Finds the keeper that an earlier host left at work. What is left of a unit whose keeper died is killed.
    pub(super) async fn adopt(places: &Places, unit: &UnitName) -> io::Result<Option<Self>> {
        let directory = places.run_of(unit);
        if !directory.is_dir() {
            return Ok(None);
        }
        if keeper::is_held(&directory)? && !keeper::is_orphaned(&directory).await? {
            return reach(&directory, None).await;
        }
        kill_orphan(&directory).await?;
        Ok(None)
    }

    /// Starts a keeper. If another one is faster, that one is reached.
    pub(super) async fn start(
        places: &Places,
        unit: &UnitName,
        plan: &Plan,
    ) -> io::Result<Option<Self>> {
        let directory = places.run_of(unit);
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join(PLAN), serde_json::to_vec(plan)?)?;
        let words = File::options().create(true).append(true).open(directory.join("keeper.log"))?;
        let mut child = Command::new(&places.keeper.program)
            .args(&places.keeper.arguments)
            .arg(places.output_of(unit))
            .arg(&directory)
            // What the node was told in its environment is not for units.
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(words)
            .spawn()?;
        if let Some(mut ready) = child.stdout.take() {
            // A word when it can be reached, the end of the pipe when it is gone; then connecting tells the rest.
            let _word_or_end = timeout(REACHED_WITHIN, ready.read(&mut [0; 16])).await;
        }
        reach(&directory, Some(child)).await
    }

    /// The next status; `None` when the keeper is gone.
    pub(super) async fn next(&mut self) -> Option<&Status> {
        let line = self.lines.next_line().await.ok().flatten()?;
        self.last = serde_json::from_str(&line).ok()?;
        Some(&self.last)
    }

    /// Asks the keeper to stop its unit; it ends afterwards.
    pub(super) async fn ask_to_stop(&mut self) {
        // A keeper that cannot be written to is ending already.
        let _ending = self.commands.write_all(b"stop\n").await;
    }

    /// Clears up behind a keeper that is gone: its zombie, and its unit if the keeper did not end by itself.
    ///
    /// # Errors
    ///
    /// If what is left cannot be killed; then nothing new must be started.
    pub(super) async fn bury(self, directory: &Path) -> io::Result<()> {
        drop((self.lines, self.commands));
        if let Some(mut child) = self.child {
            let _status = timeout(REACHED_WITHIN, child.wait()).await;
        }
        kill_orphan(directory).await
    }
}

/// What the last keeper of a unit said, if it left word.
pub(super) fn last_status(places: &Places, unit: &UnitName) -> Option<Status> {
    status_in(&places.run_of(unit))
}

fn status_in(directory: &Path) -> Option<Status> {
    let text = std::fs::read(directory.join(STATUS)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Kills what a keeper that is gone left of its unit: the group of the process that it noted, if it is exactly that
/// one, and whatever else holds its lock.
async fn kill_orphan(directory: &Path) -> io::Result<()> {
    let noted = status_in(directory).and_then(|status| status.process);
    if let Some(process) = noted.filter(|process| process.is_alive()) {
        kill_group(process.pid, Signal::KILL);
    }
    keeper::kill_holders(directory).await
}

/// Connects to the keeper in `directory`; `None` if it ended before it could be reached.
async fn reach(directory: &Path, mut child: Option<Child>) -> io::Result<Option<Link>> {
    let deadline = Instant::now() + REACHED_WITHIN;
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(stream) = connect(directory).await {
            let (reader, commands) = stream.into_split();
            let mut lines = BufReader::new(reader).lines();
            // The first line comes at once, or the keeper is ending.
            let Ok(Ok(Some(line))) = timeout(REACHED_WITHIN, lines.next_line()).await else {
                return Ok(None);
            };
            let last = serde_json::from_str(&line)?;
            return Ok(Some(Link { lines, commands, child, last }));
        }
        if let Some(started) = &mut child
            && let Some(status) = started.try_wait()?
        {
            child = None;
            if status.code() != Some(i32::from(keeper::ALREADY_KEPT)) {
                return Ok(None);
            }
        }
        if child.is_none() && !keeper::is_held(directory)? {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the unit's keeper cannot be reached",
            ));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

async fn connect(directory: &Path) -> Option<UnixStream> {
    let (_open, path) = short_path(directory, CONTROL).ok()?;
    UnixStream::connect(path).await.ok()
}
