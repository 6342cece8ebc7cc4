//! The life of a unit.
//!
//! ```text
//! Preparing ─► Starting or Running ─► exit ─► restart wanted? ─no─► Dead or Failed
//!     ▲                                            │ yes
//!     └──────────────── AutoRestart ◄──────────────┘     (Stop at any place ─► Stopping ─► Dead)
//! ```

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::control::Control;
use super::process::{ProcessId, boot, kill_group, signal_process};
use super::programs::Programs;
use super::status::{Phase, Status};
use crate::metering::Meter;
use crate::output::OutputWriter;
use crate::service::{ExecCommand, Plan, RestartWhen, ServiceKind};

/// What happens to a keeper.
#[derive(Debug)]
pub(super) enum Event {
    /// The host wants the unit stopped.
    Stop,
    /// A process ended.
    Exited(i32, ExitStatus),
}

/// Lives until the unit has ended for good.
pub(super) fn live(plan: &Plan, directory: &Path, output: &Path, meter: &Meter) -> io::Result<()> {
    let (events, inbox) = channel();
    let mut writer = OutputWriter::open(output, plan.log_limit_bytes);
    let status = Status {
        hash: plan.hash.clone(),
        launch: plan.launch,
        boot: boot(),
        phase: Phase::Starting,
        was_stopped: false,
        process: None,
        starts: 0,
        last_exit: None,
    };
    let control = Control::listen(directory, events.clone(), &status, &mut writer)?;
    say_ready()?;
    let programs = Programs::new(plan, writer, events)?;
    let mut life = Life { plan, control, programs, meter, inbox, status, recent: Vec::new() };
    life.programs.limit();
    life.run();
    Ok(())
}

/// Ends the wait of the host that started this keeper: it can connect now.
fn say_ready() -> io::Result<()> {
    let _host_is_gone = io::stdout().write_all(b"ready\n").and_then(|()| io::stdout().flush());
    rustix::stdio::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
    Ok(())
}

/// How a program came to its end.
enum End {
    Exit(ExitStatus),
    NotStarted,
    TimedOut,
    Stopped,
}

impl End {
    fn in_words(&self) -> String {
        match self {
            Self::Exit(exit) => exit.to_string(),
            Self::NotStarted => "not started".into(),
            Self::TimedOut => "timed out".into(),
            Self::Stopped => "stopped".into(),
        }
    }
}

struct Life<'a> {
    plan: &'a Plan,
    control: Control,
    programs: Programs<'a>,
    meter: &'a Meter,
    inbox: Receiver<Event>,
    status: Status,
    /// Starts within the limit's interval.
    recent: Vec<Instant>,
}

impl Life<'_> {
    fn run(&mut self) {
        loop {
            let end = self.start_once();
            let failed = !matches!(&end, End::Exit(exit) if self.is_clean(*exit));
            if !failed && self.plan.kind == ServiceKind::Oneshot && self.plan.remain_after_exit {
                self.enter(Phase::Exited);
                while !matches!(self.inbox.recv(), Ok(Event::Stop) | Err(_)) {}
                self.enter(Phase::Stopping);
                self.stop_commands(None);
                return self.finish_stopped();
            }
            if matches!(end, End::Stopped) {
                return self.finish_stopped();
            }
            if !wants_restart(self.plan.restart, &end, !failed) {
                return self.finish(if failed { Phase::Failed } else { Phase::Dead });
            }
            self.programs.clear_up();
            if !self.may_start_again() {
                self.programs.note("it was started too often in too short a time; giving up");
                return self.finish(Phase::Failed);
            }
            self.enter(Phase::AutoRestart);
            if self.stop_within(self.plan.restart_after) {
                return self.finish_stopped();
            }
        }
    }

    fn finish_stopped(&mut self) {
        self.status.was_stopped = true;
        self.finish(Phase::Dead);
    }

    /// Nothing of the unit is left, and all that it printed is written, when its last phase is said.
    fn finish(&mut self, phase: Phase) {
        self.programs.clear_up();
        self.enter(phase);
    }

    /// Runs everything once, up to the end of the last program.
    fn start_once(&mut self) -> End {
        let plan = self.plan;
        self.status.starts += 1;
        self.recent.push(Instant::now());
        for command in &plan.start_pre {
            match self.run_command(command, Phase::Preparing) {
                End::Stopped => return End::Stopped,
                End::Exit(exit) if exit.success() => {}
                _ if command.may_fail => {}
                other => return other,
            }
        }
        let simple = plan.kind == ServiceKind::Simple;
        let phase = if simple { Phase::Running } else { Phase::Starting };
        let mut last = End::NotStarted;
        for command in &plan.start {
            last = match self.run_command(command, phase) {
                End::Exit(exit) if self.is_clean(exit) => End::Exit(exit),
                End::Exit(_) | End::NotStarted if command.may_fail => {
                    End::Exit(ExitStatus::from_raw(0))
                }
                other => return other,
            };
        }
        last
    }

    /// Runs one program to its end, or until the host wants the unit stopped.
    fn run_command(&mut self, command: &ExecCommand, phase: Phase) -> End {
        let is_main = phase != Phase::Preparing;
        if is_main {
            self.meter.started();
        }
        let leader = match self.programs.start(command, None) {
            Ok(leader) => leader,
            Err(why) => {
                self.meter.ended("not started");
                self.programs.note(&format!("failed to start {}: {why}", command.argv[0]));
                self.status.last_exit = Some(format!("failed to start: {why}"));
                return End::NotStarted;
            }
        };
        self.status.process = ProcessId::of(leader);
        self.enter(phase);
        let limit = if phase == Phase::Running { None } else { self.plan.start_timeout };
        let end = match self.next_of(leader, limit) {
            Some(Event::Exited(_, exit)) => End::Exit(exit),
            Some(Event::Stop) => {
                self.enter(Phase::Stopping);
                if !self.stop_commands(Some(leader)) {
                    self.end_group(leader);
                }
                End::Stopped
            }
            None => {
                self.programs.note("it did not start in time");
                self.end_group(leader);
                End::TimedOut
            }
        };
        self.meter.ended(&end.in_words());
        self.status.process = None;
        if let End::Exit(exit) = &end {
            self.status.last_exit = Some(exit.to_string());
        }
        end
    }

    /// The plan's signal, then KILL when the time for stopping is over.
    fn end_group(&mut self, leader: i32) {
        if self.plan.signal_main_only {
            signal_process(leader, self.plan.stop_signal);
        } else {
            kill_group(leader, self.plan.stop_signal.into());
        }
        if self.exit_of(leader, self.plan.stop_timeout).is_none() {
            self.programs.note("it did not end in time; killing it");
            kill_group(leader, Signal::KILL);
            let _killed = self.exit_of(leader, None);
        }
    }

    /// `ExecStop=`; their failure changes nothing. Whether `main` ended meanwhile.
    fn stop_commands(&mut self, main: Option<i32>) -> bool {
        let plan = self.plan;
        let mut main_ended = false;
        for command in &plan.stop {
            let leader = match self.programs.start(command, main) {
                Ok(leader) => leader,
                Err(why) => {
                    self.programs.note(&format!("failed to run {}: {why}", command.argv[0]));
                    continue;
                }
            };
            let deadline = plan.stop_timeout.and_then(|limit| Instant::now().checked_add(limit));
            loop {
                match self.next_event(deadline) {
                    Some(Event::Exited(pid, _)) if pid == leader => break,
                    Some(Event::Exited(pid, _)) => main_ended |= Some(pid) == main,
                    Some(Event::Stop) => {}
                    None => {
                        self.programs.note(&format!("{} did not end in time", command.argv[0]));
                        kill_group(leader, Signal::KILL);
                        break;
                    }
                }
            }
        }
        main_ended
    }

    /// The end of process `pid`, or the wish to stop; `None` when `limit` is over.
    fn next_of(&self, pid: i32, limit: Option<Duration>) -> Option<Event> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            match self.next_event(deadline) {
                Some(Event::Exited(other, _)) if other != pid => {}
                event => return event,
            }
        }
    }

    /// The end of process `pid`; further wishes to stop are being fulfilled already.
    fn exit_of(&self, pid: i32, limit: Option<Duration>) -> Option<ExitStatus> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            match self.next_event(deadline) {
                Some(Event::Exited(other, exit)) if other == pid => return Some(exit),
                Some(_) => {}
                None => return None,
            }
        }
    }

    fn next_event(&self, deadline: Option<Instant>) -> Option<Event> {
        match deadline {
            None => self.inbox.recv().ok(),
            Some(deadline) => {
                self.inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
            }
        }
    }

    /// Whether the host wants the unit stopped within `pause`.
    fn stop_within(&self, pause: Duration) -> bool {
        let deadline = Instant::now().checked_add(pause);
        loop {
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            match self.inbox.recv_timeout(left) {
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
                Ok(Event::Exited(..)) => {}
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    /// Whether an exit counts as success: status 0, a gentle signal, or what `SuccessExitStatus=` lists.
    fn is_clean(&self, exit: ExitStatus) -> bool {
        exit.success()
            || is_gentle(exit)
            || exit.code().is_some_and(|code| self.plan.success_codes.contains(&code))
    }

    fn may_start_again(&mut self) -> bool {
        let interval = self.plan.start_limit_interval;
        self.recent.retain(|start| start.elapsed() < interval);
        self.plan.start_limit_burst == 0 || self.recent.len() < self.plan.start_limit_burst as usize
    }

    fn enter(&mut self, phase: Phase) {
        self.status.phase = phase;
        self.control.say(&self.status);
    }
}

/// HUP, INT, PIPE or TERM.
fn is_gentle(exit: ExitStatus) -> bool {
    exit.signal().is_some_and(|signal| [1, 2, 13, 15].contains(&signal))
}

/// systemd.service(5), table "Exit causes and the effect of the Restart= settings".
fn wants_restart(when: RestartWhen, end: &End, clean: bool) -> bool {
    let (signalled, timed_out) = match end {
        End::Exit(exit) => (exit.signal().is_some() && !is_gentle(*exit), false),
        End::TimedOut => (false, true),
        End::NotStarted => (false, false),
        End::Stopped => return false,
    };
    match when {
        RestartWhen::No => false,
        RestartWhen::Always => true,
        RestartWhen::OnSuccess => clean,
        RestartWhen::OnFailure => !clean,
        RestartWhen::OnAbnormal => signalled || timed_out,
        RestartWhen::OnAbort => signalled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_follow_the_table_of_systemd() {
        let exit = |raw| End::Exit(ExitStatus::from_raw(raw));
        let (clean, unclean, killed, terminated) = (exit(0), exit(1 << 8), exit(9), exit(15));
        let cases = [
            (RestartWhen::No, [false, false, false, false]),
            (RestartWhen::Always, [true, true, true, true]),
            (RestartWhen::OnSuccess, [true, false, false, true]),
            (RestartWhen::OnFailure, [false, true, true, false]),
            (RestartWhen::OnAbnormal, [false, false, true, false]),
            (RestartWhen::OnAbort, [false, false, true, false]),
        ];
        for (when, wanted) in cases {
            let ends = [(&clean, true), (&unclean, false), (&killed, false), (&terminated, true)];
            let found = ends.map(|(end, is_clean)| wants_restart(when, end, is_clean));
            assert_eq!(found, wanted, "{when:?}");
        }
    }
}
