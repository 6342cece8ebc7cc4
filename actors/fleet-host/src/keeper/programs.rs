//! Starts a unit's programs, collects what they print, and says when they end.

#![expect(
    clippy::disallowed_types,
    reason = "a keeper has no async runtime, so it waits on std's channels"
)]

use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::process::{Gid, Resource, Uid, WaitId, WaitIdOptions, WaitOptions};

use super::life::Event;
use super::process::kill_children;
use crate::output::{OutputWriter, collect};
use crate::service::{Credentials, ExecCommand, Plan, with_variables};

/// The programs of one unit.
pub(super) struct Programs<'a> {
    plan: &'a Plan,
    output: Arc<Mutex<OutputWriter>>,
    pipe: Option<Pipe>,
    reaper: Reaper,
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
        output: OutputWriter,
        events: Sender<Event>,
    ) -> io::Result<Self> {
        let output = Arc::new(Mutex::new(output));
        Ok(Self { plan, output, pipe: None, reaper: Reaper::start(events)? })
    }

    /// Raises or lowers what this process, and so its unit, may use.
    pub(super) fn limit(&self) {
        if let Some(files) = self.plan.open_files {
            let mut limit = rustix::process::getrlimit(Resource::Nofile);
            limit.current = files;
            // Only root may raise the upper limit; whoever may not gets what there is.
            let upper = limit.maximum.is_some_and(|most| files.is_none_or(|files| files > most));
            if upper {
                limit.maximum = files;
            }
            if let Err(why) = rustix::process::setrlimit(Resource::Nofile, limit) {
                self.note(&format!("LimitNOFILE= has no effect: {why}"));
            }
        }
    }

    /// Starts a program as the leader of a group; its number.
    pub(super) fn start(&mut self, command: &ExecCommand, main: Option<i32>) -> io::Result<i32> {
        let writer = self.writer()?;
        let argv = self.argv(command, main);
        let mut program = Command::new(&argv[0]);
        program
            .args(&argv[1..])
            .env_clear()
            .envs(self.plan.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.plan.working_directory)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0);
        if let Some(name) = &command.called {
            program.arg0(name);
        }
        if let Some(main) = main {
            program.env("MAINPID", main.to_string());
        }
        let child = self.reaper.spawn(&mut program, self.plan.credentials.as_ref())?;
        i32::try_from(child.id()).map_err(io::Error::other)
    }

    fn argv(&self, command: &ExecCommand, main: Option<i32>) -> Vec<String> {
        if command.verbatim {
            return command.argv.clone();
        }
        with_variables(&command.argv, |name| match (name, main) {
            ("MAINPID", Some(main)) => Some(main.to_string()),
            _ => {
                let set = self.plan.environment.iter().rev().find(|(other, _)| other == name);
                set.map(|(_, value)| value.clone())
            }
        })
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

    fn spawn(&self, program: &mut Command, credentials: Option<&Credentials>) -> io::Result<Child> {
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        let child = match credentials {
            None => program.spawn(),
            Some(credentials) => spawn_as(program, credentials),
        }?;
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

/// Starts a program as another user.
///
/// The kernel keeps credentials for each thread: one that gives up root for good starts the program, while the keeper
/// stays what it is.
fn spawn_as(program: &mut Command, credentials: &Credentials) -> io::Result<Child> {
    let become_user = || {
        let groups: Vec<Gid> = credentials.groups.iter().copied().map(Gid::from_raw).collect();
        let (gid, uid) = (Gid::from_raw(credentials.gid), Uid::from_raw(credentials.uid));
        rustix::thread::set_thread_groups(&groups)?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)
    };
    thread::scope(|scope| {
        let starting = scope.spawn(|| {
            become_user()?;
            program.spawn()
        });
        starting.join().unwrap_or_else(|_| Err(io::Error::other("the starting thread panicked")))
    })
}

/// A thread that mostly sleeps.
pub(super) fn small_thread(
    name: &str,
    stack_bytes: usize,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).stack_size(stack_bytes).spawn(work)
}
