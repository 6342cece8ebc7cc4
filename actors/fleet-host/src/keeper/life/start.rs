//! The first half of a life: until the unit is up, and while it is.

use std::time::Instant;

use super::{Done, LOOK_EVERY, Life, Main, deadline};
use crate::keeper::forking;
use crate::keeper::process::{children, kill};
use crate::keeper::status::{Phase, UnitResult};
use crate::service::{ExecCommand, ServiceKind};

impl Life<'_> {
    /// Everything until the unit is up; `false` if it does not come to that.
    pub(super) fn start(&mut self) -> bool {
        let plan = self.plan;
        self.commands(&plan.start_pre, Phase::Preparing)
            && match plan.kind {
                ServiceKind::Simple => self.start_simple(),
                ServiceKind::Oneshot => self.start_oneshot(),
                ServiceKind::Forking => self.start_forking(),
            }
            && self.commands(&plan.start_post, Phase::PostStarting)
            && self.find_named_main()
    }

    /// Commands of a start, one after the other; `false` when one fails or the host wants the unit stopped.
    fn commands(&mut self, commands: &[ExecCommand], phase: Phase) -> bool {
        commands.iter().all(|command| {
            match self.command(command, phase, self.plan.start_timeout, true) {
                Done::Well => true,
                Done::Badly(result) => self.fail(result),
                Done::Interrupted => false,
            }
        })
    }

    /// The program is executed, or has ended in the attempt.
    fn start_simple(&mut self) -> bool {
        let Some(is_ending) = self.plan.start.first().and_then(|main| self.start_main(main)) else {
            return false;
        };
        while is_ending && self.is_alive() {
            self.next_event(None);
        }
        self.status.result == UnitResult::Success
    }

    fn start_oneshot(&mut self) -> bool {
        for command in &self.plan.start {
            self.enter(Phase::Starting);
            if self.start_main(command).is_none() {
                return false;
            }
            let deadline = deadline(self.plan.start_timeout);
            while self.is_alive() {
                if self.next_event(deadline).is_none() {
                    self.note("it did not start in time");
                    return self.fail(UnitResult::Timeout);
                }
                if self.is_stopped {
                    return false;
                }
            }
            if self.status.result != UnitResult::Success {
                return false;
            }
        }
        true
    }

    /// The program goes into the background; what it leaves there is looked for.
    fn start_forking(&mut self) -> bool {
        let plan = self.plan;
        if !self.commands(&plan.start, Phase::Starting) {
            return false;
        }
        self.main = Main::Unknown;
        self.meter.started();
        match &plan.pid_file {
            // Those may be what writes it.
            Some(_) if !plan.start_post.is_empty() => {}
            Some(_) => return self.find_named_main(),
            None => {
                if let Some(pid) = forking::guess().filter(|_| plan.guess_main_pid) {
                    self.main_began(pid, false);
                }
            }
        }
        true
    }

    /// Waits for the file that names the main process, if there is to be one.
    fn find_named_main(&mut self) -> bool {
        let plan = self.plan;
        let Some(file) = plan.pid_file.as_ref().filter(|_| self.main == Main::Unknown) else {
            return true;
        };
        let deadline = deadline(plan.start_timeout);
        loop {
            let why = match forking::named_in(file) {
                Ok(pid) => {
                    self.main_began(pid, false);
                    return true;
                }
                Err(why) => why,
            };
            if self.is_stopped {
                return false;
            }
            let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if is_over || children().is_empty() {
                self.note(&format!("PIDFile={} names no main process: {why}", file.display()));
                return self.fail(UnitResult::Protocol);
            }
            self.next_event(Instant::now().checked_add(LOOK_EVERY));
        }
    }

    /// Until the host wants it stopped or it ends; `true` if `ExecStop=` is due, which it is not after a failure.
    pub(super) fn stay(&mut self) -> bool {
        let until = deadline(self.plan.run_timeout);
        loop {
            let is_up = match &self.main {
                Main::Alive { .. } => true,
                Main::Unknown => !children().is_empty(),
                Main::None => false,
            };
            if self.status.result != UnitResult::Success {
                return false;
            }
            if !is_up && !self.plan.remain_after_exit {
                return true;
            }
            self.enter(if is_up { Phase::Running } else { Phase::Exited });
            if self.is_stopped {
                return true;
            }
            if std::mem::take(&mut self.is_to_reload) {
                self.reload();
                continue;
            }
            let until = until.filter(|_| is_up);
            if self.next_event(until).is_none() {
                self.note("it ran for as long as RuntimeMaxSec= allows");
                self.fail(UnitResult::Timeout);
                return true;
            }
        }
    }

    /// A reload that fails leaves the unit as it is.
    fn reload(&mut self) {
        for command in &self.plan.reload {
            match self.command(command, Phase::Reloading, self.plan.start_timeout, true) {
                Done::Well => {}
                Done::Badly(result) => {
                    self.note(&format!("its reload failed: {}", result.word()));
                    return self.drop_command();
                }
                Done::Interrupted => return self.drop_command(),
            }
        }
    }

    /// Ends a command that nobody waits for any more.
    fn drop_command(&mut self) {
        if let Some(pid) = self.helper.take() {
            kill(pid);
        }
    }
}
