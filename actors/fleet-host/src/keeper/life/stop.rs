//! The second half of a life: until nothing of the unit is left.

use super::{Done, Life, deadline};
use crate::keeper::process::{children, descendants, signal};
use crate::keeper::status::{Phase, UnitResult};
use crate::service::{ExecCommand, KillMode, signals};

impl Life<'_> {
    /// `ExecStop=`.
    pub(super) fn stop_commands(&mut self) {
        self.end_commands(&self.plan.stop, Phase::StopCommands);
    }

    /// `ExecStopPost=`, whatever happened before.
    pub(super) fn stop_post(&mut self) {
        self.end_commands(&self.plan.stop_post, Phase::StopPost);
    }

    fn end_commands(&mut self, commands: &[ExecCommand], phase: Phase) {
        for command in commands {
            if let Done::Badly(result) = self.command(command, phase, self.plan.stop_timeout, false)
            {
                self.fail(result);
                return;
            }
        }
    }

    /// Ends what is left: told to first, made to when the time is over.
    ///
    /// Before `ExecStopPost=` only the end of the main process is waited for, if there is one; after it that of all.
    pub(super) fn end_processes(&mut self, telling: Phase, making: Phase) {
        let kill = &self.plan.kill;
        if kill.mode == KillMode::None {
            return;
        }
        let main_counts = telling == Phase::Stopping && self.is_alive();
        let all_are_told = kill.mode == KillMode::ControlGroup;
        let mut what = "killing what is left of it";
        if self.is_anything_left(all_are_told) {
            self.enter(telling);
            self.tell_to_end(all_are_told);
            if self.wait_for_end(all_are_told && !main_counts) {
                return;
            }
            self.fail(UnitResult::Timeout);
            what = "it did not end in time; killing it";
        }
        let all_are_made = kill.mode != KillMode::Process;
        if !kill.and_kill || !self.is_anything_left(all_are_made) {
            return;
        }
        self.note(what);
        self.enter(making);
        self.signal_all(kill.final_signal, all_are_made);
        if !self.wait_for_end(all_are_made && !main_counts) {
            self.note("it did not end even so");
        }
    }

    /// The plan's signals, and one that wakes what was halted.
    fn tell_to_end(&self, all: bool) {
        let kill = &self.plan.kill;
        self.signal_all(kill.signal, all);
        if kill.and_hangup {
            self.signal_all(signals::HUP, all);
        }
        if ![signals::KILL, signals::CONT].contains(&kill.signal) {
            self.signal_all(signals::CONT, all);
        }
    }

    fn is_anything_left(&self, of_all: bool) -> bool {
        self.is_alive() || self.helper.is_some() || of_all && !children().is_empty()
    }

    /// Signals main process and command, or every process of the unit, those too that are begun meanwhile.
    fn signal_all(&self, number: i32, all: bool) {
        let mut signalled: Vec<i32> = self.helper.into_iter().chain(self.main_pid()).collect();
        for pid in &signalled {
            signal(*pid, number);
        }
        if !all {
            return;
        }
        loop {
            let mut fresh = descendants();
            fresh.retain(|pid| !signalled.contains(pid));
            if fresh.is_empty() {
                return;
            }
            for pid in &fresh {
                signal(*pid, number);
            }
            signalled.append(&mut fresh);
        }
    }

    /// Whether main process and command, or all processes, ended in the time for stopping.
    fn wait_for_end(&mut self, of_all: bool) -> bool {
        let deadline = deadline(self.plan.stop_timeout);
        while self.is_anything_left(of_all) {
            if self.next_event(deadline).is_none() {
                return false;
            }
        }
        true
    }

    /// Before the next start, and at the very end.
    pub(super) fn clear_up(&mut self) {
        if self.leaves_processes() {
            self.note("processes of it are left running, as KillMode= or SendSIGKILL= wants it");
        } else {
            self.programs.clear_up();
        }
    }

    /// Whether there are processes that the unit's file wants to be spared.
    pub(super) fn leaves_processes(&self) -> bool {
        let kill = &self.plan.kill;
        let spares = matches!(kill.mode, KillMode::Process | KillMode::None) || !kill.and_kill;
        spares && !children().is_empty()
    }
}
