//! The socket by which a host follows a keeper and stops it.

#![expect(
    clippy::disallowed_types,
    reason = "a keeper has no async runtime, so it waits on std's channels"
)]

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use super::life::Event;
use super::programs::small_thread;
use super::status::Status;
use super::{CONTROL, STATUS};
use crate::short_path::short_path;

/// Says every status to whoever is connected, and writes the last one down.
#[derive(Debug, Clone)]
pub(super) struct Control {
    shared: Arc<Mutex<Shared>>,
    directory: Arc<Path>,
}

#[derive(Debug)]
struct Shared {
    last: String,
    watchers: Vec<UnixStream>,
}

impl Control {
    /// Listens; commands come as events. Whoever connects is told `status` until there is another one.
    pub(super) fn listen(
        directory: &Path,
        events: Sender<Event>,
        status: &Status,
    ) -> io::Result<Self> {
        // Whoever listened here before is gone: this process holds the lock.
        match fs::remove_file(directory.join(CONTROL)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
        let shared = Arc::new(Mutex::new(Shared { last: String::new(), watchers: Vec::new() }));
        let control = Self { shared, directory: directory.into() };
        control.say(status);
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
        {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if stream.write_all(shared.last.as_bytes()).is_ok() {
                shared.watchers.push(stream);
            }
        }
        let listening = move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if line == "stop" && events.send(Event::Stop).is_err() {
                    return;
                }
            }
        };
        let _too_many_threads = small_thread("listener", 64 * 1024, listening);
    }

    /// Writes the status down and says it. A full disk loses the writing, never the unit.
    pub(super) fn say(&self, status: &Status) {
        let mut line = serde_json::to_string(status).expect("a status is plain data");
        // Not flushed: after a power cut the unit is gone, and its status with it.
        let fresh = self.directory.join("status.new");
        let _full_disk =
            fs::write(&fresh, &line).and_then(|()| fs::rename(fresh, self.directory.join(STATUS)));
        line.push('\n');
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.watchers.retain_mut(|watcher| watcher.write_all(line.as_bytes()).is_ok());
        shared.last = line;
    }
}
