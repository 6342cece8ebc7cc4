//! The life of a unit.
//!
//! ```text
//!          start                                   stop
//! Preparing ─► Starting ─► PostStarting ─► Running or Exited ─► StopCommands
//!     │            │             │              │ (failed)           │
//!     └────────────┴─────────────┴──────────────┴────────────────────┤
//!     Dead or Failed ◄── FinalStopping ◄── StopPost ◄── Stopping ◄───┘
//!         │ restart wanted
//!         └─► AutoRestart ─► from the beginning
//! ```
//!
//! Each phase runs commands or waits; whatever happens meanwhile goes through [`Life::next_event`].
//!
//! # Source
//!
//! systemd.service(5), systemd.kill(5); systemd 255 for the order of phases.

mod start;
mod stop;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::FlockOperation;

use super::control::Control;
use super::ending::{self, StartLimit};
use super::process::{ProcessId, boot, children};
use super::programs::{Programs, Started};
use super::status::{Phase, Status, UnitResult};
use crate::metering::{GroupUse, Meter};
use crate::output::OutputWriter;
use crate::service::{ExecCommand, Plan, signals};

/// How often a file is looked for that a starting program will write.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often a main process is looked at whose end nobody tells.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// What happens to a keeper.
#[derive(Debug)]
pub(super) enum Event {
    /// The host wants the unit stopped.
    Stop,
    /// The host wants the unit to read its configuration again.
    Reload,
    /// A process ended.
    Exited(i32, ExitStatus),
    /// The main process is gone, and was not this one's to wait for.
    Vanished,
}

/// The directories that a keeper works in.
pub(super) struct Places<'a> {
    pub(super) directory: &'a Path,
    pub(super) output: &'a Path,
    pub(super) metering: &'a Path,
}

/// Lives until the unit has ended for good.
pub(super) fn live(
    plan: &Plan,
    places: &Places<'_>,
    leading: Vec<OsString>,
    lock: &File,
) -> io::Result<()> {
    let (events, inbox) = channel();
    let mut writer = OutputWriter::open(places.output, plan.log_limit_bytes);
    let status = Status {
        hash: plan.hash.clone(),
        launch: plan.launch,
        boot: boot(),
        phase: Phase::Starting,
        since_ms: now_ms(),
        result: UnitResult::Success,
        was_stopped: false,
        process: None,
        starts: 0,
        last_exit: None,
        note: None,
    };
    let control = Control::listen(places.directory, events.clone(), &status, &mut writer)?;
    say_ready()?;
    let programs = Programs::new(plan, places.directory, leading, writer, events)?;
    let group = programs.group.clone();
    let used = move || GroupUse { cpu: group.cpu_usage(), memory_peak_bytes: group.memory_peak() };
    let meter = Meter::new(plan, places.metering, used);
    let mut life = Life {
        plan,
        control,
        programs,
        meter,
        lock,
        inbox,
        status,
        starts: StartLimit::new(plan),
        main: Main::None,
        main_exit: None,
        helper: None,
        is_stopped: false,
        is_to_reload: false,
    };
    life.run();
    Ok(())
}

/// Ends the wait of the host that started this keeper: it can connect now.
fn say_ready() -> io::Result<()> {
    let _host_is_gone = io::stdout().write_all(b"ready\n").and_then(|()| io::stdout().flush());
    rustix::stdio::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn deadline(limit: Option<Duration>) -> Option<Instant> {
    limit.and_then(|limit| Instant::now().checked_add(limit))
}

/// The main process.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Main {
    /// There was none yet, or it ended.
    None,
    Alive {
        pid: i32,
        may_fail: bool,
        is_child: bool,
        oom_kills: u64,
    },
    /// The unit runs as long as anything of it does.
    Unknown,
}

/// What came of a command.
enum Done {
    Well,
    Badly(UnitResult),
    /// The host wants the unit stopped.
    Interrupted,
}

struct Life<'a> {
    plan: &'a Plan,
    control: Control,
    programs: Programs<'a>,
    /// Records when there is a main process, or whatever stands for it.
    meter: Meter,
    lock: &'a File,
    inbox: Receiver<Event>,
    status: Status,
    starts: StartLimit,
    main: Main,
    /// How the main process of this start ended.
    main_exit: Option<ExitStatus>,
    /// The command beside the main process that is running.
    helper: Option<i32>,
    is_stopped: bool,
    is_to_reload: bool,
}

impl Life<'_> {
    fn run(&mut self) {
        loop {
            if !self.starts.allows(Instant::now()) {
                self.note("it was started too often in too short a time; giving up");
                self.status.result = UnitResult::StartLimitHit;
                break;
            }
            self.run_once();
            let result = self.status.result;
            let is_followed = ending::is_followed_by_start(self.plan, result, self.main_exit);
            if self.is_stopped || !is_followed {
                break;
            }
            self.clear_up();
            self.enter(Phase::AutoRestart);
            if self.stop_within(self.plan.restart_after) {
                return self.finish(Phase::Dead);
            }
        }
        let failed = self.status.result != UnitResult::Success;
        self.finish(if failed { Phase::Failed } else { Phase::Dead });
    }

    /// From the first command to the end of the last process.
    fn run_once(&mut self) {
        self.begin();
        if self.start() && self.stay() {
            self.stop_commands();
        }
        self.end_processes(Phase::Stopping, Phase::Killing);
        if self.main == Main::Unknown {
            self.meter.ended("its processes ended");
        }
        self.stop_post();
        self.end_processes(Phase::FinalStopping, Phase::FinalKilling);
    }

    fn begin(&mut self) {
        self.main = Main::None;
        self.main_exit = None;
        self.is_to_reload = false;
        self.status.starts += 1;
        self.status.result = UnitResult::Success;
        self.status.note = None;
        if self.status.starts == 1 {
            for missing in std::mem::take(&mut self.programs.group.missing) {
                self.note(&missing);
            }
        }
    }

    /// Nothing of the unit is left, and all that it printed is written, when its last phase is said.
    fn finish(&mut self, phase: Phase) {
        self.status.was_stopped = self.is_stopped;
        oa_crash_points::crash_point!(KeeperBeforeCleaning);
        self.clear_up();
        self.programs.group.remove();
        if self.leaves_processes() {
            // They have the lock open, too, and are not to be taken for leftovers of a keeper that was killed.
            let _held_by_nobody = rustix::fs::flock(self.lock, FlockOperation::Unlock);
        }
        oa_crash_points::crash_point!(KeeperCleaned);
        self.enter(phase);
    }

    /// Runs a command beside the main process to its end.
    fn command(
        &mut self,
        command: &ExecCommand,
        phase: Phase,
        limit: Option<Duration>,
        until_stop: bool,
    ) -> Done {
        self.enter(phase);
        let Some(started) = self.spawn(command) else { return Done::Badly(UnitResult::Resources) };
        self.helper = Some(started.pid);
        let deadline = deadline(limit);
        loop {
            match self.next_event(deadline) {
                Some(Event::Exited(pid, exit)) if pid == started.pid => {
                    return match ending::of_command(exit) {
                        result if result == UnitResult::Success || command.may_fail => Done::Well,
                        result => {
                            self.note(&format!("{}: {exit}", command.argv[0]));
                            Done::Badly(result)
                        }
                    };
                }
                Some(_) if until_stop && self.is_stopped => return Done::Interrupted,
                Some(_) => {}
                None => {
                    self.note(&format!("{} did not end in time", command.argv[0]));
                    return Done::Badly(UnitResult::Timeout);
                }
            }
        }
    }

    /// Starts a main process; `None` if it could not even be tried, else whether it is ending already.
    fn start_main(&mut self, command: &ExecCommand) -> Option<bool> {
        oa_crash_points::crash_point!(KeeperBeforeExec);
        self.meter.started();
        match self.spawn(command) {
            Some(started) => {
                self.main_began(started.pid, command.may_fail);
                Some(started.trouble.is_some())
            }
            None => {
                self.meter.ended("not started");
                self.fail(UnitResult::Resources);
                None
            }
        }
    }

    fn spawn(&mut self, command: &ExecCommand) -> Option<Started> {
        let told = self.told();
        match self.programs.start(command, told) {
            Ok(started) => {
                if let Some(why) = &started.trouble {
                    self.note(why);
                }
                Some(started)
            }
            Err(why) => {
                self.note(&format!("failed to start {}: {why}", command.argv[0]));
                None
            }
        }
    }

    /// What a command is told in its environment.
    fn told(&self) -> Vec<(String, String)> {
        let mut told = Vec::new();
        if let Some(pid) = self.main_pid() {
            told.push(("MAINPID".into(), pid.to_string()));
        }
        if matches!(self.status.phase, Phase::StopCommands | Phase::StopPost) {
            told.push(("SERVICE_RESULT".into(), self.status.result.word().into()));
            told.extend(self.main_exit.into_iter().flat_map(ending::in_variables));
        }
        told
    }

    /// The one place where a main process is known to have begun.
    fn main_began(&mut self, pid: i32, may_fail: bool) {
        oa_crash_points::crash_point!(KeeperAfterExec);
        let oom_kills = self.programs.group.oom_kills();
        let is_child = children().contains(&pid);
        self.main = Main::Alive { pid, may_fail, is_child, oom_kills };
        self.status.process = ProcessId::of(pid);
        self.status.last_exit = None;
    }

    /// The one place where a main process is known to have ended; how is not known of one that was somebody else's child.
    fn main_ended(&mut self, exit: Option<ExitStatus>) {
        let Main::Alive { may_fail, oom_kills, .. } = std::mem::replace(&mut self.main, Main::None)
        else {
            return;
        };
        oa_crash_points::crash_point!(KeeperAfterExit);
        self.status.process = None;
        self.status.last_exit = exit.map(|exit| exit.to_string());
        self.meter.ended(self.status.last_exit.as_deref().unwrap_or("gone"));
        self.main_exit = exit;
        let Some(exit) = exit else { return };
        let was_oom =
            exit.signal() == Some(signals::KILL) && self.programs.group.oom_kills() > oom_kills;
        let result = match ending::of_main(self.plan, exit) {
            _ if may_fail => UnitResult::Success,
            UnitResult::Signal if was_oom => UnitResult::OomKill,
            result => result,
        };
        self.fail(result);
    }

    fn main_pid(&self) -> Option<i32> {
        match self.main {
            Main::Alive { pid, .. } => Some(pid),
            _ => None,
        }
    }

    fn is_alive(&self) -> bool {
        self.main_pid().is_some()
    }

    /// Notes the first failure of a start, which is its result. Always `false`.
    fn fail(&mut self, result: UnitResult) -> bool {
        if self.status.result == UnitResult::Success {
            self.status.result = result;
        }
        false
    }

    /// The next event, whose effect on what is known is noted; `None` at the deadline.
    fn next_event(&mut self, deadline: Option<Instant>) -> Option<Event> {
        let event = loop {
            let look = self.next_look();
            match self.receive(deadline.into_iter().chain(look).min()) {
                None if deadline.is_some_and(|deadline| Instant::now() >= deadline) => return None,
                None if look.is_some() && self.has_vanished() => break Event::Vanished,
                None if look.is_some() => {}
                event => break event?,
            }
        };
        match &event {
            Event::Stop => self.is_stopped = true,
            Event::Reload => self.is_to_reload = true,
            Event::Exited(pid, exit) => {
                if self.main_pid() == Some(*pid) {
                    self.main_ended(Some(*exit));
                }
                self.helper = self.helper.filter(|helper| helper != pid);
            }
            Event::Vanished => self.main_ended(None),
        }
        Some(event)
    }

    fn receive(&self, deadline: Option<Instant>) -> Option<Event> {
        match deadline {
            None => self.inbox.recv().ok(),
            Some(deadline) => {
                self.inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
            }
        }
    }

    /// When a main process that is somebody else's child, so that its end is not told, is looked at again.
    fn next_look(&self) -> Option<Instant> {
        let is_told = !matches!(self.main, Main::Alive { is_child: false, .. });
        Instant::now().checked_add(WATCH_EVERY).filter(|_| !is_told)
    }

    fn has_vanished(&self) -> bool {
        !self.status.process.as_ref().is_some_and(ProcessId::is_alive)
    }

    /// Whether the host wants the unit stopped within `pause`.
    fn stop_within(&mut self, pause: Duration) -> bool {
        let deadline = Instant::now().checked_add(pause);
        while !self.is_stopped {
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            match self.inbox.recv_timeout(left) {
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => self.is_stopped = true,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
        true
    }

    /// A word in the unit's output and in its state.
    fn note(&mut self, text: &str) {
        self.programs.note(text);
        self.status.note = Some(text.to_owned());
    }

    fn enter(&mut self, phase: Phase) {
        if self.status.phase != phase {
            self.status.since_ms = now_ms();
        }
        self.status.phase = phase;
        self.control.say(&self.status);
    }
}
