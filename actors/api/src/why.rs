//! Why something waits, failed or was refused: `GET /why` and its relatives.

use serde::{Deserialize, Serialize};

/// One reason why something does not go on, or did not end well. Fields of later releases are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Finding {
    /// What it is about, such as `workflow 0193…` or `unit hello@0.service on local`.
    pub subject: String,
    /// How that stands, in its own words: `waiting`, `failed`, `activating (auto-restart)`, …
    pub state: String,
    /// Since when: milliseconds since 1970, UTC.
    pub since_ms: Option<i64>,
    /// The reason as a word that stays the same: one of [`ReasonCode`], or one of a later release.
    pub reason_code: String,
    /// The reason as a sentence.
    pub reason: String,
    /// Who acts next: a component, or `you`.
    pub owner: String,
    /// What will happen by itself and when, or the command to run.
    pub next: String,
    /// What shows it.
    pub evidence: Evidence,
}

/// What shows that a [`Finding`] is true.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Version of the workflow's event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_version: Option<i64>,
    /// The attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<String>,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Last lines of what it printed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log_lines: Vec<String>,
}

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// Every reason that this release knows. Each stands in `docs/why.md` with who acts next.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ReasonCode {
            $($(#[$doc])* $variant,)*
        }

        impl ReasonCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The reason with that word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == word)
            }
        }
    };
}

reason_codes! {
    /// The workflow was made and nobody has executed it.
    NotStarted = "not_started",
    /// The workflow waits for its start time.
    StartTime = "start_time",
    /// Another workflow deploys the same units; this one is next.
    TargetBusy = "target_busy",
    /// No component that does this step is registered.
    NoWorker = "no_worker",
    /// The command of the step is not in the worker's mailbox yet.
    NotHandedOver = "not_handed_over",
    /// The command is in the worker's mailbox and was not taken out yet.
    NotTaken = "not_taken",
    /// A message was set aside, with its reason, for a person.
    MessageParked = "message_parked",
    /// A worker is at work on the step.
    InHand = "in_hand",
    /// A worker is at work on the step and says what it waits for.
    StepWaits = "step_waits",
    /// The worker that has the step does not send heartbeats any more.
    WorkerSilent = "worker_silent",
    /// The last attempt failed in a way that may pass; the next one comes.
    NextAttempt = "next_attempt",
    /// A person ended the workflow.
    Cancelled = "cancelled",
    /// A step failed for a reason that has no word of its own.
    StepFailed = "step_failed",
    /// There is no such repository, or none that the worker may see.
    RepositoryNotFound = "repository_not_found",
    /// The repository has no such branch, tag or commit.
    RevisionNotFound = "revision_not_found",
    /// The server of the repository did not answer, however often it was asked.
    RepositoryUnreachable = "repository_unreachable",
    /// The repository may not be read, is empty, or is not safe to use.
    RepositoryRefused = "repository_refused",
    /// What was rendered could not be pushed.
    PushRefused = "push_refused",
    /// The worker has no git that it can use.
    GitUnusable = "git_unusable",
    /// The deployment repository lacks a file.
    FileMissing = "file_missing",
    /// A file of the deployment repository does not hold what it should.
    FileInvalid = "file_invalid",
    /// A template holds more than declared names.
    TemplateRefused = "template_refused",
    /// The workflow itself lacks what the step needs.
    PlanIncomplete = "plan_incomplete",
    /// The cluster is not known to the component that should speak to it.
    ClusterUnknown = "cluster_unknown",
    /// The cluster does not answer.
    ClusterSilent = "cluster_silent",
    /// The cluster has no machine.
    NoMachine = "no_machine",
    /// `fleet.json` asks for what cannot be.
    FleetConfigInvalid = "fleet_config_invalid",
    /// A unit file cannot become a unit.
    UnitInvalid = "unit_invalid",
    /// The cluster refuses to run the unit as its file says.
    UnitRefused = "unit_refused",
    /// A unit did not become healthy; the earlier set was restored.
    UnitUnhealthy = "unit_unhealthy",
    /// No port could be had for a unit.
    NoPort = "no_port",
    /// Somebody else deployed the same units meanwhile.
    Superseded = "superseded",
    /// The step took longer than it may.
    TimeOver = "time_over",
    /// Nothing more was heard of the worker.
    AttemptLost = "attempt_lost",
    /// The workflow took longer than it may.
    DeadlinePassed = "deadline_passed",
    /// The worker itself failed.
    WorkerFailed = "worker_failed",
    /// The unit is being started.
    UnitStarting = "unit_starting",
    /// The unit is being stopped.
    UnitStopping = "unit_stopping",
    /// The unit waits for another one.
    UnitWaits = "unit_waits",
    /// The unit was not started, since one that it requires is not there.
    DependencyFailed = "dependency_failed",
    /// The keeper of the unit does not answer; the unit may be running or not.
    KeeperSilent = "keeper_silent",
    /// The unit runs, and what it prints cannot be written.
    OutputLost = "output_lost",
    /// The unit ended and is started again after a pause.
    RestartWait = "restart_wait",
    /// The unit ends soon after each start and is started again and again.
    CrashLoop = "crash_loop",
    /// The unit was started too often in too short a time.
    StartLimitHit = "start_limit_hit",
    /// The unit failed and is not to be started again.
    UnitFailed = "unit_failed",
    /// The unit should run and has ended by itself, with success.
    UnitEnded = "unit_ended",
    /// The program of the unit cannot be started.
    ProgramMissing = "program_missing",
    /// The unit ended because its port is taken.
    PortInUse = "port_in_use",
    /// The unit is known and is not asked to run.
    NotLaunched = "not_launched",
    /// No machine of the cluster is what the unit asks for.
    NoMachineFits = "no_machine_fits",
    /// The unit must not be where another one is.
    UnitConflict = "unit_conflict",
    /// The unit wants to be where another one is, which is nowhere.
    PeerMissing = "peer_missing",
    /// No FleetManager answers questions about clusters.
    NoFleetManager = "no_fleet_manager",
    /// The database does not answer.
    DatabaseDown = "database_down",
    /// No space is left where a part of the node writes.
    StorageFull = "storage_full",
    /// A part of the node may only read its storage.
    StorageReadOnly = "storage_read_only",
    /// Another program locks a database of the node.
    DatabaseLocked = "database_locked",
    /// The storage of a part of the node fails.
    StorageFailed = "storage_failed",
    /// Messages cannot be sent.
    TransportDown = "transport_down",
    /// A component was registered and does not send heartbeats any more.
    ComponentSilent = "component_silent",
    /// An actor of the node failed and rests before its next start.
    ComponentFailing = "component_failing",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_word_stands_in_the_docs_and_no_other() {
        let rows = include_str!("../../../docs/why.md").lines();
        let in_docs: BTreeSet<&str> = rows
            .filter_map(|row| row.strip_prefix("| `")?.split_once('`').map(|(word, _)| word))
            .filter(|word| !word.starts_with("GET "))
            .collect();
        let known: BTreeSet<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(in_docs, known);
    }

    #[test]
    fn a_word_names_one_reason() {
        for &code in ReasonCode::ALL {
            assert_eq!(ReasonCode::from_word(code.as_str()), Some(code));
        }
        assert_eq!(ReasonCode::from_word("bad_luck"), None);
    }

    #[test]
    fn a_finding_of_a_later_release_is_understood() {
        let text = r#"{"subject": "node", "reason_code": "bad_luck", "mood": "grey"}"#;
        let finding: Finding = serde_json::from_str(text).expect("a finding");
        assert_eq!((finding.subject.as_str(), finding.evidence), ("node", Evidence::default()));
    }
}
