//! What holds a unit up, or how it ended.

use oa_api::{Finding, ReasonCode};
use oa_protocol::unit::{Unit, UnitCondition, UnitDesire, UnitState};

use super::finding::{Draft, YOU, finding};

/// So many starts make a loop of restarts.
const LOOP_STARTS: u32 = 3;
/// A unit that was started again and has run for less is still in its loop.
const SETTLED_AFTER_MS: i64 = 60_000;
/// What the keeper writes into the output of a unit that it gives up.
const GIVEN_UP: &str = "started too often";
/// What programs say when their port is taken.
const PORT_TAKEN: [&str; 4] =
    ["address already in use", "address in use", "eaddrinuse", "port is already allocated"];
/// Who starts units and ends them.
const HOST: &str = "the host";

/// What is known of a unit at one moment.
#[derive(Debug)]
pub(super) struct Facts {
    /// Its cluster.
    pub(super) cluster: String,
    /// Its definition.
    pub(super) unit: Unit,
    /// How it does on the machine that it is on, if it is on one.
    pub(super) state: Option<UnitState>,
    /// The same in more words, if its engine has some.
    pub(super) condition: Option<UnitCondition>,
    /// Its last lines.
    pub(super) log: Vec<String>,
    /// The moment.
    pub(super) now_ms: i64,
}

/// Whether a unit that should run does not.
pub(super) fn is_in_trouble(unit: &Unit, states: &[UnitState]) -> bool {
    let mut own = states.iter().filter(|state| state.name == unit.name).peekable();
    let runs = |state: &UnitState| {
        matches!(state.systemd_active_state.as_str(), "active" | "reloading")
            && state.systemd_sub_state != "unresponsive"
    };
    unit.desired_state == Some(UnitDesire::Launched) && (own.peek().is_none() || !own.all(runs))
}

impl Facts {
    /// The one reason why it does not run; nothing if it does.
    pub(super) fn finding(&self) -> Option<Finding> {
        let draft = match &self.condition {
            Some(condition) => self.of_condition(condition),
            None => self.of_state(),
        };
        draft.map(Draft::done)
    }

    fn begin(&self, code: ReasonCode, reason: impl Into<String>) -> Draft {
        let since = self.condition.as_ref().and_then(|condition| condition.since_ms);
        let subject = format!("unit {} on {}", self.unit.name, self.cluster);
        finding(&subject, &self.state_words(), code, reason).since(since)
    }

    /// `failed`, or `activating (auto-restart)`.
    fn state_words(&self) -> String {
        let of_condition = self.condition.as_ref().map(|c| (c.active.as_str(), c.sub.as_str()));
        let of_state = self
            .state
            .as_ref()
            .map(|s| (s.systemd_active_state.as_str(), s.systemd_sub_state.as_str()));
        match of_condition.or(of_state) {
            None => "on no machine".to_owned(),
            Some((active, sub)) if sub.is_empty() || sub == active => active.to_owned(),
            Some((active, sub)) => format!("{active} ({sub})"),
        }
    }

    fn logs(&self) -> String {
        format!("oa logs {} --cluster {}", self.unit.name, self.cluster)
    }

    fn of_condition(&self, condition: &UnitCondition) -> Option<Draft> {
        let waits_for = condition.waits_for.as_deref();
        Some(match condition.phase.as_str() {
            "no_machine" | "conflict" | "no_peer" => self.unplaced(condition),
            "refused" => {
                let why =
                    condition.note.as_deref().unwrap_or("its file asks for what it cannot do");
                self.begin(ReasonCode::UnitRefused, format!("this machine cannot run it: {why}"))
                    .then(YOU, "correct the unit file, or the machine, then deploy again")
            }
            "held" => {
                let why = condition.note.as_deref().unwrap_or("another unit holds it");
                self.begin(ReasonCode::UnitWaits, why)
                    .then(YOU, "it begins by itself when that has changed; see to the unit that is named")
            }
            "not_launched" => self
                .begin(ReasonCode::NotLaunched, "nobody asks it to run")
                .then(YOU, "deploy it, or ask the cluster to launch it"),
            "failed" => self.failed(condition),
            "auto_restart" => self.between_starts(condition),
            "dead" => self.ended(condition),
            "keeper_silent" => self
                .begin(
                    ReasonCode::KeeperSilent,
                    "its keeper does not answer: whether it runs is not known",
                )
                .then(YOU, "it counts again when its keeper answers; see what stops it (a sick disk? SIGSTOP?)"),
            // Told to end, made to end, or at the commands that come with it.
            _ if condition.active == "deactivating" => self
                .begin(ReasonCode::UnitStopping, "it is being stopped")
                .then(HOST, "it ends by itself, by force when its TimeoutStopSec= is over"),
            "running" => return self.running(condition),
            "exited" => return None,
            _ if waits_for.is_some() => self
                .begin(
                    ReasonCode::UnitWaits,
                    format!("it waits for {}", waits_for.unwrap_or_default()),
                )
                .then(HOST, "it starts by itself when that is there"),
            _ if matches!(condition.active.as_str(), "active" | "reloading") => return None,
            _ => self.starting(condition),
        })
    }

    fn unplaced(&self, condition: &UnitCondition) -> Draft {
        let what = condition.waits_for.as_deref().unwrap_or("something else");
        match condition.phase.as_str() {
            "conflict" => self
                .begin(
                    ReasonCode::UnitConflict,
                    format!("it must not be where {what} is, which was here first"),
                )
                .then(
                    YOU,
                    format!("it is placed by itself when {what} is gone; remove one of the two"),
                ),
            "no_peer" => self
                .begin(
                    ReasonCode::PeerMissing,
                    format!("it wants to be where {what} is, which is on no machine"),
                )
                .then(YOU, format!("it is placed by itself when {what} is; deploy that one")),
            _ => self
                .begin(
                    ReasonCode::NoMachineFits,
                    format!("it asks for {what}, and no machine of the cluster is that"),
                )
                .then(
                    YOU,
                    "it is placed by itself when a machine fits; correct its [X-Fleet] section",
                ),
        }
    }

    fn starting(&self, condition: &UnitCondition) -> Draft {
        let what = match condition.sub.as_str() {
            "start-pre" => "its ExecStartPre= is at work",
            "start-post" => "its ExecStartPost= is at work",
            _ => "it is being started",
        };
        self.begin(ReasonCode::UnitStarting, what)
            .log(self.log.clone())
            .then(HOST, "it runs, or fails when its TimeoutStartSec= is over")
    }

    fn running(&self, condition: &UnitCondition) -> Option<Draft> {
        // Other notes are of the unit's own log, such as a limit that is not enforced.
        let lost = condition.note.as_ref().filter(|note| note.starts_with("its output"));
        if let Some(note) = lost {
            let next = "it is written again by itself when that is possible; see to the disk of the machine";
            return Some(self.begin(ReasonCode::OutputLost, note).then(YOU, next));
        }
        let ran_ms = self.now_ms - condition.since_ms?;
        let exit = condition.last_exit.as_deref()?;
        if condition.starts < LOOP_STARTS || ran_ms > SETTLED_AFTER_MS {
            return None;
        }
        Some(self.in_loop(&format!("it ended {} times, last with {exit}", condition.starts - 1)))
    }

    fn between_starts(&self, condition: &UnitCondition) -> Draft {
        let exit = exit_words(condition);
        if let Some(line) = self.port_line() {
            return self.port_in_use(line, "it is started again by itself");
        }
        if is_not_started(condition) {
            return self.program_missing(condition, "it is tried again by itself");
        }
        if condition.starts >= LOOP_STARTS {
            return self.in_loop(&format!("it {exit}, after {} starts", condition.starts));
        }
        self.begin(ReasonCode::RestartWait, format!("it {exit} and waits for its restart"))
            .log(self.log.clone())
            .then(HOST, "it is started again by itself after its RestartSec=")
    }

    fn in_loop(&self, reason: &str) -> Draft {
        let next = format!("it is started again by itself; {} shows what it says", self.logs());
        self.begin(ReasonCode::CrashLoop, reason).log(self.log.clone()).then(YOU, next)
    }

    fn failed(&self, condition: &UnitCondition) -> Draft {
        let exit = exit_words(condition);
        let given_up =
            condition.result.as_deref().is_some_and(|result| result.contains("start-limit"))
                || self.log.iter().any(|line| line.contains(GIVEN_UP));
        if let Some(line) = self.port_line() {
            return self.port_in_use(line, "nothing happens by itself");
        }
        if is_not_started(condition) {
            return self.program_missing(condition, "nothing happens by itself");
        }
        if condition.result.as_deref() == Some("dependency") {
            let why = condition.note.as_deref().unwrap_or("a unit that it requires is not there");
            return self
                .begin(ReasonCode::DependencyFailed, format!("it was not started: {why}"))
                .then(
                    YOU,
                    "nothing happens by itself; see to the unit that it requires: oa why <unit>",
                );
        }
        let next = format!(
            "nothing happens by itself; {} shows what it said; correct it and deploy again",
            self.logs()
        );
        let (code, reason) = if given_up {
            let starts = condition.starts;
            (ReasonCode::StartLimitHit, format!("it {exit}; after {starts} starts it was given up"))
        } else {
            (ReasonCode::UnitFailed, format!("it {exit} and is not to be started again"))
        };
        let note = condition.note.clone().filter(|note| !reason.contains(note.as_str()));
        let reason = note.map_or(reason.clone(), |note| format!("{reason}: {note}"));
        self.begin(code, reason).log(self.log.clone()).then(YOU, next)
    }

    fn ended(&self, condition: &UnitCondition) -> Draft {
        if self.unit.desired_state != Some(UnitDesire::Launched) {
            return self
                .begin(ReasonCode::NotLaunched, "nobody asks it to run")
                .then(YOU, "deploy it, or ask the cluster to launch it");
        }
        let exit = exit_words(condition);
        self.begin(
            ReasonCode::UnitEnded,
            format!("it should run, and {exit}, which counts as success"),
        )
        .log(self.log.clone())
        .then(YOU, "nothing happens by itself; with Restart=always it would be started again")
    }

    fn program_missing(&self, condition: &UnitCondition, by_itself: &str) -> Draft {
        let said = [&condition.note, &condition.last_exit].into_iter().flatten().next();
        let why = said.map_or("its program cannot be started", String::as_str);
        let program = self.unit.values("Service", "ExecStart").next().unwrap_or("its ExecStart=");
        self.begin(ReasonCode::ProgramMissing, format!("`{program}`: {why}"))
            .log(self.log.clone())
            .then(YOU, format!("{by_itself}; correct ExecStart=, or install the program"))
    }

    fn port_in_use(&self, line: &str, by_itself: &str) -> Draft {
        self.begin(ReasonCode::PortInUse, format!("its port is taken; it says: {}", line.trim()))
            .log(self.log.clone())
            .then(YOU, format!("{by_itself}; see who has the port (`ss -ltnp`), and end that or change the port"))
    }

    fn port_line(&self) -> Option<&str> {
        let says_so = |line: &&String| {
            let line = line.to_ascii_lowercase();
            PORT_TAKEN.iter().any(|words| line.contains(words))
        };
        self.log.iter().rev().find(says_so).map(String::as_str)
    }

    /// What can be said from systemd's words alone.
    fn of_state(&self) -> Option<Draft> {
        if self.unit.desired_state != Some(UnitDesire::Launched) {
            let draft = self.begin(ReasonCode::NotLaunched, "nobody asks it to run");
            return Some(draft.then(YOU, "deploy it, or ask the cluster to launch it"));
        }
        let Some(state) = &self.state else {
            let reason = "it should run, and no machine of the cluster takes it";
            return Some(self.begin(ReasonCode::NoMachineFits, reason).then(
                YOU,
                "it is placed by itself when a machine fits; look at its [X-Fleet] section",
            ));
        };
        let unknown = UnitCondition::default();
        Some(match (state.systemd_active_state.as_str(), state.systemd_sub_state.as_str()) {
            ("active" | "reloading", _) => return None,
            ("failed", _) => self.failed(&unknown),
            (_, "auto-restart") => self.between_starts(&unknown),
            ("deactivating", _) => self
                .begin(ReasonCode::UnitStopping, "it is being stopped")
                .then(HOST, "it ends by itself"),
            ("inactive", _) => self.ended(&unknown),
            _ => self.starting(&unknown),
        })
    }
}

/// `exited with exit status: 1 (4 min ago)`, as far as it is known.
fn exit_words(condition: &UnitCondition) -> String {
    match (&condition.last_exit, &condition.result) {
        (Some(exit), _) => format!("ended with {exit}"),
        (None, Some(result)) if result != "success" => format!("ended: {result}"),
        _ => "ended".to_owned(),
    }
}

/// systemd.exec(5): 203 is the exit status of a process that could not become its program.
fn is_not_started(condition: &UnitCondition) -> bool {
    let exit = condition.last_exit.as_deref().unwrap_or_default();
    exit.starts_with("failed to start") || exit == "exit status: 203"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(condition: UnitCondition, log: &[&str]) -> Facts {
        let unit = Unit {
            desired_state: Some(UnitDesire::Launched),
            ..Unit::new("app@0.service", vec![])
        };
        Facts {
            cluster: "local".into(),
            unit,
            state: None,
            condition: Some(condition),
            log: log.iter().map(|&line| line.to_owned()).collect(),
            now_ms: 100_000,
        }
    }

    fn code(condition: UnitCondition, log: &[&str]) -> Option<String> {
        facts(condition, log).finding().map(|finding| finding.reason_code)
    }

    fn phase(phase: &str, sub: &str) -> UnitCondition {
        UnitCondition {
            phase: phase.into(),
            active: "activating".into(),
            sub: sub.into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_unit_that_waits_for_another_one_or_lacks_it_says_so() {
        let waits_for = Some("db.service".to_owned());
        let waiting = UnitCondition { waits_for, ..phase("waiting", "waiting") };
        assert_eq!(code(waiting, &[]).as_deref(), Some("unit_waits"));
        let lacking =
            UnitCondition { result: Some("dependency".into()), ..phase("failed", "failed") };
        assert_eq!(code(lacking, &[]).as_deref(), Some("dependency_failed"));
    }

    #[test]
    fn a_unit_that_this_machine_can_run_no_more_says_what_is_wrong_with_it() {
        let refused = UnitCondition {
            note: Some("User=: there is no user `app`".into()),
            ..phase("refused", "")
        };
        assert_eq!(code(refused.clone(), &[]).as_deref(), Some("unit_refused"));
        let finding = facts(refused, &[]).finding().expect("a finding");
        assert!(finding.reason.contains("no user `app`"), "{finding:?}");
    }

    #[test]
    fn a_unit_that_was_started_often_and_runs_only_now_is_still_in_its_loop() {
        let running = |starts, since_ms| UnitCondition {
            starts,
            since_ms: Some(since_ms),
            last_exit: Some("exit status: 1".into()),
            active: "active".into(),
            ..phase("running", "running")
        };
        assert_eq!(code(running(7, 99_000), &[]).as_deref(), Some("crash_loop"));
        assert_eq!(code(running(2, 99_000), &[]), None, "one restart is no loop");
        assert_eq!(code(running(7, 10_000), &[]), None, "it has run for a while");
    }

    #[test]
    fn a_unit_on_its_way_down_is_stopping_whatever_the_way() {
        for (name, sub) in
            [("stopping", "stop-sigterm"), ("killing", "stop-sigkill"), ("stop_post", "stop-post")]
        {
            let down = UnitCondition { active: "deactivating".into(), ..phase(name, sub) };
            assert_eq!(code(down, &[]).as_deref(), Some("unit_stopping"), "{name}");
        }
    }

    #[test]
    fn a_silent_keeper_and_an_output_that_is_lost_are_told_of() {
        let silent = phase("keeper_silent", "unresponsive");
        assert_eq!(code(silent, &[]).as_deref(), Some("keeper_silent"));
        let note = Some("its output cannot be written and is lost: no space left".to_owned());
        let running =
            UnitCondition { note, active: "active".into(), ..phase("running", "running") };
        assert_eq!(code(running, &[]).as_deref(), Some("output_lost"));
    }

    #[test]
    fn what_programs_say_of_a_taken_port_is_understood() {
        for line in
            ["bind: Address already in use (os error 98)", "Error: listen EADDRINUSE: :::80"]
        {
            assert_eq!(
                code(phase("failed", "failed"), &["hello", line]).as_deref(),
                Some("port_in_use")
            );
        }
    }
}
