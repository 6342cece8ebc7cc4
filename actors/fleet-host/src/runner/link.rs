//! The connection to a keeper.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use oa_fleet::UnitName;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Places;
use crate::keeper::{self, CONTROL, PLAN, STATUS, Said, Status};
use crate::service::Plan;
use crate::short_path::short_path;

/// How long a keeper may take until it can be reached, and until it is gone after its last word.
const REACHED_WITHIN: Duration = Duration::from_secs(10);
/// A keeper that said nothing for so many times the patience is asked how it is.
const ASKED_AFTER: u32 = 6;
/// What is kept of a connection for reading; there is one for each unit.
const BUFFER_BYTES: usize = 512;

/// A keeper at work.
#[derive(Debug)]
pub(super) struct Link {
    lines: Lines<BufReader<OwnedReadHalf>>,
    commands: OwnedWriteHalf,
    /// The process, if it was started by this host; awaited so that it leaves no zombie.
    child: Option<Child>,
    pub(super) last: Said,
    /// When it is to be asked, or when its answer is due.
    due: Instant,
    hearing: Hearing,
    patience: Duration,
}

/// What is known of whether the keeper is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hearing {
    /// It said something lately.
    Fine,
    /// It was asked and has time to answer.
    Asked,
    /// It did not answer.
    Silent,
}

/// What a host hears of a keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It said how it is.
    Said,
    /// It does not answer.
    Silent,
    /// The connection is over.
    Gone,
}

impl Link {
    /// Finds the keeper that an earlier host left at work. What is left of a unit whose keeper died is killed.
    ///
    /// # Errors
    ///
    /// Among others if the keeper is there and does not answer; it is left alone then, for it may come to itself.
    pub(super) async fn adopt(places: &Places, unit: &UnitName) -> io::Result<Option<Self>> {
        let directory = places.run_of(unit);
        if !directory.is_dir() {
            return Ok(None);
        }
        // Whoever answers is the keeper, whatever the files beside it say.
        if let Some(stream) = connect(&directory).await {
            match welcome(stream, None, places.patience).await? {
                Some(link) => return Ok(Some(link)),
                None => tracing::debug!(%unit, "its keeper is just ending"),
            }
        } else if keeper::has_keeper(&directory).await? {
            match reach(&directory, None, places.patience).await {
                Err(why) if why.kind() == io::ErrorKind::NotConnected => {
                    tracing::error!(%unit, "its keeper lost its control socket; ending both");
                    keeper::kill_keeper(&directory);
                }
                found => return found,
            }
        }
        clear_up(places, &directory).await?;
        Ok(None)
    }

    /// Starts a keeper. If another one is faster, that one is reached.
    pub(super) async fn start(
        places: &Places,
        unit: &UnitName,
        plan: &Plan,
    ) -> io::Result<Option<Self>> {
        // Many at once would each take longer than a keeper may take.
        let _turn = places.starting.acquire().await.map_err(io::Error::other)?;
        let directory = places.run_of(unit);
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join(PLAN), serde_json::to_vec(plan)?)?;
        let words = File::options().create(true).append(true).open(directory.join("keeper.log"))?;
        oa_crash_points::crash_point!(HostBeforeKeeper);
        let mut child = Command::new(&places.keeper.program)
            .args(&places.keeper.arguments)
            .arg(places.output_of(unit))
            .arg(places.ledger.directory())
            .arg(&directory)
            // What the node was told in its environment is not for units.
            .env_clear()
            .env(keeper::FILES, places.open_files.to_string())
            .envs(oa_crash_points::environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(words)
            .spawn()?;
        oa_crash_points::crash_point!(HostAfterKeeper);
        if let Some(mut ready) = child.stdout.take() {
            // A word when it can be reached, the end of the pipe when it is gone; then connecting tells the rest.
            let _word_or_end = timeout(REACHED_WITHIN, ready.read(&mut [0; 16])).await;
        }
        reach(&directory, Some(child), places.patience).await
    }

    /// What is next to hear of the keeper. It is asked when it is quiet for long, so this always ends.
    pub(super) async fn next(&mut self) -> News {
        loop {
            tokio::select! {
                line = self.lines.next_line() => {
                    let Ok(Some(line)) = line else { return News::Gone };
                    self.hear(&line);
                    return News::Said;
                }
                () = sleep_until(self.due) => match self.hearing {
                    Hearing::Fine => self.ask(keeper::Command::Say).await,
                    Hearing::Asked => {
                        self.hearing = Hearing::Silent;
                        self.due = Instant::now() + self.patience * ASKED_AFTER;
                        return News::Silent;
                    }
                    // Whatever was asked still waits for it.
                    Hearing::Silent => self.due = Instant::now() + self.patience * ASKED_AFTER,
                },
            }
        }
    }

    /// Asks the keeper to stop its unit; it ends afterwards.
    pub(super) async fn ask_to_stop(&mut self) {
        self.ask(keeper::Command::Stop).await;
        // One that is stopping its unit already has nothing to say to that, but to this.
        self.hearing = Hearing::Fine;
        self.ask(keeper::Command::Say).await;
    }

    async fn ask(&mut self, command: keeper::Command) {
        // A keeper that cannot be written to is ending already.
        let _ending = self.commands.write_all(command.line().as_bytes()).await;
        if self.hearing == Hearing::Fine {
            self.hearing = Hearing::Asked;
            self.due = Instant::now() + self.patience;
        }
    }

    /// Takes a line; what cannot be understood is said, and proves at least that the keeper is not stuck.
    fn hear(&mut self, line: &str) {
        self.hearing = Hearing::Fine;
        self.due = Instant::now() + self.patience * ASKED_AFTER;
        match serde_json::from_str(line) {
            Ok(said) => self.last = said,
            Err(why) => tracing::error!("a keeper said what is not understood here: {why}: {line}"),
        }
    }

    /// Waits for the end of a keeper that said its last word, or lost its connection.
    pub(super) async fn part(self) {
        drop((self.lines, self.commands));
        if let Some(mut child) = self.child
            && self.last.status.phase.is_final()
        {
            let _status = timeout(REACHED_WITHIN, child.wait()).await;
        }
    }
}

/// Clears up behind a keeper that is gone.
///
/// # Errors
///
/// If what is left cannot be killed; then nothing new must be started.
pub(super) async fn clear_up(places: &Places, directory: &Path) -> io::Result<()> {
    let _one_search_at_a_time = places.searching.lock().await;
    keeper::end_leftovers(directory, status_in(directory).as_ref()).await?;
    keeper::clear_groups(directory);
    Ok(())
}

/// What the last keeper of a unit said, if it left word.
pub(super) fn last_status(places: &Places, unit: &UnitName) -> Option<Status> {
    status_in(&places.run_of(unit))
}

fn status_in(directory: &Path) -> Option<Status> {
    let path = directory.join(STATUS);
    let text = std::fs::read(&path).ok()?;
    serde_json::from_slice(&text)
        .inspect_err(|why| tracing::error!("the status {} is damaged: {why}", path.display()))
        .ok()
}

/// Connects to the keeper in `directory`; `None` if it ended before it could be reached.
async fn reach(
    directory: &Path,
    mut child: Option<Child>,
    patience: Duration,
) -> io::Result<Option<Link>> {
    // One that was just started may take its time; one that was there before answers at once.
    let within = if child.is_some() { REACHED_WITHIN } else { patience };
    let deadline = Instant::now() + within;
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(stream) = connect(directory).await {
            return welcome(stream, child, patience).await;
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
            let why = "the unit's keeper cannot be reached";
            return Err(io::Error::new(io::ErrorKind::NotConnected, why));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Waits for the first word, which comes at once; `None` if the keeper is ending.
async fn welcome(
    stream: UnixStream,
    child: Option<Child>,
    patience: Duration,
) -> io::Result<Option<Link>> {
    let (reader, commands) = stream.into_split();
    let mut lines = BufReader::with_capacity(BUFFER_BYTES, reader).lines();
    let Ok(line) = timeout(patience, lines.next_line()).await else {
        let why = "the unit's keeper does not answer; continue it (SIGCONT), or kill it";
        return Err(io::Error::new(io::ErrorKind::TimedOut, why));
    };
    let Ok(Some(line)) = line else { return Ok(None) };
    let last: Said = serde_json::from_str(&line)?;
    if last.version > keeper::VERSION {
        let (theirs, ours) = (last.version, keeper::VERSION);
        tracing::info!("a keeper speaks version {theirs}, this host {ours}: it is newer");
    }
    let due = Instant::now() + patience * ASKED_AFTER;
    Ok(Some(Link { lines, commands, child, last, due, hearing: Hearing::Fine, patience }))
}

async fn connect(directory: &Path) -> Option<UnixStream> {
    let (_open, path) = short_path(directory, CONTROL).ok()?;
    UnixStream::connect(path).await.ok()
}
