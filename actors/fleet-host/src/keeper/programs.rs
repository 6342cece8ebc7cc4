//! Starts a unit's programs, collects what they print, and says when they end.

#![expect(
    clippy::disallowed_types,
    reason = "a keeper has no async runtime, so it waits on std's channels"
)]

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::process::{WaitId, WaitIdOptions, WaitOptions};

use super::cgroup::Cgroup;
use super::executor::{self, Errand};
use super::life::Event;
use super::process::kill_children;
use crate::output::{OutputWriter, collect};
use crate::service::{ExecCommand, Plan};

/// The programs of one unit.
pub(super) struct Programs<'a> {
    plan: &'a Plan,
    /// The words by which this executable is a keeper.
    leading: Vec<OsString>,
    output: Arc<Mutex<OutputWriter>>,
    pipe: Option<Pipe>,
    reaper: Reaper,
    pub(super) group: Cgroup,
}

/// A program that was started.
pub(super) struct Started {
    pub(super) pid: i32,
    /// Why it is ending already: it could not become what it should.
    pub(super) trouble: Option<String>,
}

/// What all programs of a launch print into, so that it is kept in the order in which it was printed.
struct Pipe {
    writer: io::PipeWriter,
    collector: JoinHandle<()>,
}

impl<'a> Programs<'a> {
    /// Ends of programs come as events.
    pub(super) fn new(
        plan: &'a Plan,
        directory: &Path,
        leading: Vec<OsString>,
        output: OutputWriter,
        events: Sender<Event>,
    ) -> io::Result<Self> {
        let output = Arc::new(Mutex::new(output));
        let reaper = Reaper::start(events)?;
        let group = Cgroup::make(directory, &plan.resources);
        Ok(Self { plan, leading, output, pipe: None, reaper, group })
    }

    /// Starts a program as the leader of a group.
    ///
    /// # Errors
    ///
    /// If it could not even be tried; a program that cannot be executed ends like any other.
    pub(super) fn start(
        &mut self,
        command: &ExecCommand,
        told: Vec<(String, String)>,
    ) -> io::Result<Started> {
        let writer = self.writer()?;
        let (mut program, socket) = executor::prepare(&self.leading)?;
        program.stdout(writer.try_clone()?).stderr(writer).process_group(0);
        let child = self.reaper.spawn(&mut program)?;
        // The command holds the executor's ends of socket and pipe.
        drop(program);
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let errand = Errand {
            plan: Cow::Borrowed(self.plan),
            command: Cow::Borrowed(command),
            told,
            groups: self.group.entrances(),
        };
        match executor::send(socket, &errand) {
            Ok(Some(trouble)) if trouble.is_for_want_of_resources() => {
                Err(io::Error::other(trouble.why))
            }
            Ok(trouble) => Ok(Started { pid, trouble: trouble.map(|trouble| trouble.why) }),
            Err(why) => {
                super::process::kill(pid);
                Err(why)
            }
        }
    }

    /// A writing end for a program; with the first one of a launch begins the collecting.
    fn writer(&mut self) -> io::Result<io::PipeWriter> {
        if let Some(pipe) = &self.pipe {
            return pipe.writer.try_clone();
        }
        let (reader, writer) = io::pipe()?;
        let copy = writer.try_clone()?;
        let output = Arc::clone(&self.output);
        let collector = small_thread("output", 96 * 1024, move || collect(reader, &output))?;
        self.pipe = Some(Pipe { writer, collector });
        Ok(copy)
    }

    /// Ends everything that is left of the unit, and waits until its output is written.
    pub(super) fn clear_up(&mut self) {
        kill_children();
        if let Some(Pipe { writer, collector }) = self.pipe.take() {
            // The last writing end: the collector reads what is left, and ends.
            drop(writer);
            let _panicked = collector.join();
        }
    }

    /// A line of the keeper in the unit's own output.
    pub(super) fn note(&self, text: &str) {
        let line = format!("unit-keeper: {text}\n");
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.pipe {
            // In its place among what the unit prints.
            Some(pipe) if !output.is_suppressed() => {
                drop(output);
                let _collector_is_gone = (&pipe.writer).write_all(line.as_bytes());
            }
            _ => drop(output.append(line.as_bytes())),
        }
    }
}

/// Waits for every child, also those that the unit's programs left behind.
struct Reaper {
    /// Held while a program starts: one that cannot be executed is a child for a moment, and std waits for it.
    starting: Arc<Mutex<()>>,
    started: Sender<()>,
}

impl Reaper {
    fn start(events: Sender<Event>) -> io::Result<Self> {
        let starting = Arc::new(Mutex::new(()));
        let (started, wake) = channel();
        let lock = Arc::clone(&starting);
        small_thread("reaper", 64 * 1024, move || reap(&lock, &wake, &events))?;
        Ok(Self { starting, started })
    }

    fn spawn(&self, program: &mut Command) -> io::Result<Child> {
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        let child = program.spawn()?;
        let _keeper_ends = self.started.send(());
        Ok(child)
    }
}

fn reap(starting: &Mutex<()>, started: &Receiver<()>, events: &Sender<Event>) {
    loop {
        // Looks without taking, since the end may be std's to take.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        if rustix::process::waitid(WaitId::All, look).is_err() {
            // No child at all: sleeps until there is one.
            if started.recv().is_err() {
                return;
            }
            continue;
        }
        let _nobody_starts = starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let exit = ExitStatus::from_raw(status.as_raw());
            if events.send(Event::Exited(pid.as_raw_nonzero().get(), exit)).is_err() {
                return;
            }
        }
    }
}

/// A thread that mostly sleeps.
pub(super) fn small_thread(
    name: &str,
    stack_bytes: usize,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).stack_size(stack_bytes).spawn(work)
}
