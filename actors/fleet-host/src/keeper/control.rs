//! The socket by which a host follows a keeper and stops it.

#![expect(
    clippy::disallowed_types,
    reason = "a keeper has no async runtime, so it waits on std's channels"
)]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::life::Event;
use super::programs::small_thread;
use super::protocol::{Command, LONGEST_LINE, Said, VERSION};
use super::status::Status;
use super::{CONTROL, STATUS};
use crate::output::{OutputMeter, OutputWriter};
use crate::short_path::short_path;

/// How long a host that does not read may hold the keeper up; then it is cut off, and connects again when it can.
const SEND_WITHIN: Duration = Duration::from_millis(250);

/// Says every status to whoever is connected, and writes the last one down.
#[derive(Debug, Clone)]
pub(super) struct Control {
    shared: Arc<Mutex<Shared>>,
    /// Held while the status is written down, which a sick disk may delay: answers do not wait for it.
    writing: Arc<Mutex<()>>,
    output: OutputMeter,
    directory: Arc<Path>,
}

#[derive(Debug)]
struct Shared {
    last: Status,
    watchers: Vec<UnixStream>,
}

impl Control {
    /// Listens; commands come as events. Whoever connects is told `status` until there is another one.
    pub(super) fn listen(
        directory: &Path,
        events: Sender<Event>,
        status: &Status,
        output: &mut OutputWriter,
    ) -> io::Result<Self> {
        // Whoever listened here before is gone: this process holds the lock.
        match fs::remove_file(directory.join(CONTROL)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        let shared = Shared { last: status.clone(), watchers: Vec::new() };
        let control = Self {
            shared: Arc::new(Mutex::new(shared)),
            writing: Arc::default(),
            output: output.meter(),
            directory: directory.into(),
        };
        control.say_again();
        let telling = control.clone();
        output.tell(move || telling.say_again());
        let (_open, path) = short_path(directory, CONTROL)?;
        let listener = UnixListener::bind(path)?;
        let accepting = control.clone();
        small_thread("control", 64 * 1024, move || {
            for stream in listener.incoming().flatten() {
                accepting.welcome(stream, events.clone());
            }
        })?;
        Ok(control)
    }

    fn welcome(&self, mut stream: UnixStream, events: Sender<Event>) {
        let Ok(reader) = stream.try_clone() else { return };
        let Ok(()) = stream.set_write_timeout(Some(SEND_WITHIN)) else { return };
        {
            let mut shared = self.lock();
            let line = self.line(&shared.last);
            if stream.write_all(line.as_bytes()).is_ok() {
                shared.watchers.push(stream);
            }
        }
        let control = self.clone();
        let listening = move || control.obey(reader, &events);
        let _too_many_threads = small_thread("listener", 64 * 1024, listening);
    }

    fn obey(&self, reader: UnixStream, events: &Sender<Event>) {
        let mut lines = BufReader::with_capacity(256, reader);
        loop {
            let mut line = String::new();
            match lines.by_ref().take(LONGEST_LINE).read_line(&mut line) {
                Ok(count) if count > 0 => {}
                _ => return,
            }
            match Command::parse(line.trim_end()) {
                Some(Command::Stop) if events.send(Event::Stop).is_err() => return,
                Some(Command::Reload) if events.send(Event::Reload).is_err() => return,
                Some(Command::Say) => self.broadcast(),
                Some(Command::Stop | Command::Reload) | None => {}
            }
        }
    }

    /// Writes the status down and says it. A full disk loses the writing, never the unit.
    pub(super) fn say(&self, status: &Status) {
        self.lock().last = status.clone();
        self.say_again();
    }

    fn say_again(&self) {
        let _in_order = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let line = {
            let shared = self.lock();
            self.line(&shared.last)
        };
        // Not flushed: after a power cut the unit is gone, and its status with it.
        let fresh = self.directory.join("status.new");
        let _full_disk =
            fs::write(&fresh, line).and_then(|()| fs::rename(fresh, self.directory.join(STATUS)));
        self.broadcast();
    }

    fn broadcast(&self) {
        let mut shared = self.lock();
        let line = self.line(&shared.last);
        shared.watchers.retain_mut(|watcher| {
            let is_there = watcher.write_all(line.as_bytes()).is_ok();
            if !is_there {
                // The thread that listens has the connection too: this ends it for both, and for the host.
                let _already_gone = watcher.shutdown(Shutdown::Both);
            }
            is_there
        });
    }

    fn line(&self, status: &Status) -> String {
        let output = self.output.state(Instant::now());
        let said = Said { version: VERSION, status: status.clone(), output };
        let mut line = serde_json::to_string(&said).expect("a status is plain data");
        line.push('\n');
        line
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the keeper in `directory` to let its unit read its configuration again.
pub(crate) async fn ask_to_reload(directory: &Path) -> io::Result<()> {
    use tokio::io::AsyncWriteExt;
    let (_open, path) = short_path(directory, CONTROL)?;
    let mut stream = tokio::net::UnixStream::connect(path).await?;
    stream.write_all(Command::Reload.line().as_bytes()).await
}
