//! Workflows on the wire: `/workflows`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A workflow, as `GET /workflows/:id` answers. Every field is always present, `null` when unset.
///
/// The fields up to `updated_at` are the original's; the others stand beside them. Times in text are
/// RFC 1123 with the zone `UTC`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Workflow {
    /// UUID, made by the server.
    pub id: String,
    /// Repository that holds the deployment files.
    pub deployment_repo: Option<String>,
    /// Branch, tag or commit of it.
    pub deployment_repo_git_ref: Option<String>,
    /// Repository that holds the source.
    pub source_repo: Option<String>,
    /// Branch, tag or commit of it; after `config` the full commit.
    pub source_repo_git_ref: Option<String>,
    /// Commit of the source.
    pub source_commit_hash: Option<String>,
    /// What is to be done, in order.
    pub milestones: Option<Vec<String>>,
    /// Milestone in hand; `workflow_completed` after success, `null` before the start.
    pub current_step: Option<String>,
    /// Time in the current milestone, `hh:mm:ss`.
    pub elapsed_step_time: Option<String>,
    /// Time since the start, `hh:mm:ss`.
    pub elapsed_workflow_time: Option<String>,
    /// Time from start to end, for people.
    pub workflow_duration: Option<String>,
    /// Time of each finished milestone, for people.
    pub workflow_step_durations: Option<BTreeMap<String, String>>,
    /// Whether it ended badly; `null` until it ends.
    pub workflow_error: Option<bool>,
    /// Whether it ended.
    pub workflow_completed: bool,
    /// What happened, a line each.
    pub event_log: Option<Vec<String>>,
    /// When it is to start.
    pub scheduled_start_time: Option<String>,
    /// What `execute` was called with.
    pub execute_options: Option<Value>,
    /// When it was made.
    pub inserted_at: Option<String>,
    /// When it changed last.
    pub updated_at: Option<String>,

    /// Where it stands.
    pub state: WorkflowState,
    /// What it waits for, if it waits.
    pub waiting_for: Option<String>,
    /// Why it did not succeed.
    pub failure: Option<WorkflowFailure>,
    /// Each milestone and how it went.
    pub steps: Vec<WorkflowStep>,
}

impl Workflow {
    /// Instances that the `deploy` milestones brought up.
    #[must_use]
    pub fn deployed_units(&self) -> Vec<DeployedUnit> {
        self.steps.iter().flat_map(WorkflowStep::deployed_units).collect()
    }
}

/// Where a workflow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WorkflowState {
    /// Made, not yet executed.
    Created,
    /// Starts at its time.
    Scheduled,
    /// A milestone is in hand.
    Running,
    /// A milestone waits, for a retry or for a person.
    Waiting,
    /// What was done is taken back.
    Undoing,
    /// Set aside with its reason, until a person decides.
    Parked,
    /// Every milestone is done.
    Succeeded,
    /// A milestone failed for good.
    Failed,
    /// A milestone failed and what was done before is taken back.
    RolledBack,
    /// A person ended it.
    Cancelled,
    /// A state that this release does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl WorkflowState {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::RolledBack | Self::Cancelled)
    }

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Undoing => "undoing",
            Self::Parked => "parked",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a workflow did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WorkflowFailure {
    /// What failed and why.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
}

/// One milestone of a workflow and how it went.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkflowStep {
    /// Position, from 0.
    pub seq: u32,
    /// Its name, such as `deploy`.
    pub milestone: String,
    /// How it stands.
    pub state: StepState,
    /// Attempts that were made.
    pub attempts: u32,
    /// Start of the first attempt: milliseconds since 1970, UTC.
    pub started_at_ms: Option<i64>,
    /// End of the last attempt: milliseconds since 1970, UTC.
    pub finished_at_ms: Option<i64>,
    /// What it waits for, if it waits.
    pub waiting_for: Option<String>,
    /// What it produced; its shape depends on the milestone.
    pub output: Option<Value>,
}

impl WorkflowStep {
    /// Instances that this step brought up; none unless it is a `deploy` that succeeded.
    #[must_use]
    pub fn deployed_units(&self) -> Vec<DeployedUnit> {
        if !self.milestone.starts_with("deploy") {
            return Vec::new();
        }
        let units = self.output.as_ref().and_then(|output| output.get("units")).cloned();
        units.and_then(|units| serde_json::from_value(units).ok()).unwrap_or_default()
    }
}

/// How a milestone stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepState {
    /// Its turn has not come.
    Pending,
    /// An attempt is under way, or the next one is waited for.
    Running,
    /// Done.
    Succeeded,
    /// Not done, and no further attempt will be made.
    Failed,
    /// Ended by a person.
    Cancelled,
    /// Never begun, since the workflow ended before.
    Skipped,
    /// Being taken back.
    Undoing,
    /// Taken back.
    Undone,
    /// A state that this release does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl StepState {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Unknown => "unknown",
        }
    }
}

/// One instance that a `deploy` brought up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeployedUnit {
    /// Its name, such as `app@0.service`.
    pub name: String,
    /// The machine it runs on.
    #[serde(default)]
    pub machine_id: Option<String>,
    /// `host:port` where it can be reached, if it has a port.
    #[serde(default)]
    pub address: Option<String>,
}

/// Body of `POST /workflows`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewWorkflow {
    /// Repository that holds the deployment files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_repo: Option<String>,
    /// Branch, tag or commit of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_repo_git_ref: Option<String>,
    /// Repository that holds the source; wins over `source.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_repo: Option<String>,
    /// Branch, tag or commit of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_repo_git_ref: Option<String>,
    /// What is to be done, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milestones: Option<Vec<String>>,
    /// When it is to start, RFC 1123 with the zone `UTC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_start_time: Option<String>,
}

/// Body of `POST /workflows/:id/execute`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecuteWorkflow {
    /// Build even if the image is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_build: Option<bool>,
    /// Exchange in which to build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_messaging_exchange_id: Option<i64>,
    /// Exchange in which to deploy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_messaging_exchange_id: Option<i64>,
}

/// Body of `POST /workflows/:id/cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelWorkflow {
    /// Why, for the event log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Query of `GET /workflows`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkflowFilter {
    /// Hours to look back; 0 or less is all. The server's default is 24.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookback: Option<i64>,
    /// Only workflows of this deployment repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_repo: Option<String>,
    /// Only workflows whose deployment repository is `<source_repo>_docker`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_repo: Option<String>,
}

/// Answer of `GET /workflows/:id/events`: what happened after a version, waited for if there was nothing yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WorkflowEvents {
    /// In order of their versions.
    pub events: Vec<WorkflowEvent>,
    /// Where the workflow stands now.
    pub state: WorkflowState,
    /// Whether nothing more will come.
    pub completed: bool,
}

/// Something that happened to a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WorkflowEvent {
    /// Version of the workflow after it; pass the last one as `after` to go on.
    pub version: i64,
    /// When: milliseconds since 1970, UTC.
    pub at_ms: i64,
    /// Kind, such as `step_succeeded`.
    pub kind: String,
    /// A line for people.
    pub message: String,
    /// The milestone it is about.
    #[serde(default)]
    pub milestone: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_workflow_shows_every_field_even_when_unset() {
        let object = serde_json::to_value(Workflow::default()).expect("a workflow is JSON");
        let fields = object.as_object().expect("an object");
        for name in [
            "id",
            "deployment_repo",
            "deployment_repo_git_ref",
            "source_repo",
            "source_repo_git_ref",
            "source_commit_hash",
            "milestones",
            "current_step",
            "elapsed_step_time",
            "elapsed_workflow_time",
            "workflow_duration",
            "workflow_step_durations",
            "workflow_error",
            "workflow_completed",
            "event_log",
            "scheduled_start_time",
            "execute_options",
            "inserted_at",
            "updated_at",
            "state",
            "waiting_for",
            "failure",
            "steps",
        ] {
            assert!(fields.contains_key(name), "{name} is missing");
        }
        assert_eq!(fields.len(), 23);
    }

    #[test]
    fn a_workflow_of_the_original_is_understood() {
        let workflow: Workflow = serde_json::from_value(json!({
            "id": "5e0c", "milestones": ["build", "deploy"], "workflow_completed": false, "workflow_error": null,
            "workflow_step_durations": {"config": "2 s"}, "event_log": ["started"]
        }))
        .expect("the original's object");
        assert_eq!(workflow.state, WorkflowState::Unknown);
        assert!(workflow.deployed_units().is_empty());
    }

    #[test]
    fn a_state_of_a_later_release_is_read_as_unknown() {
        assert_eq!(
            serde_json::from_value::<WorkflowState>(json!("dreaming")).ok(),
            Some(WorkflowState::Unknown)
        );
        assert_eq!(
            serde_json::from_value::<StepState>(json!("dreaming")).ok(),
            Some(StepState::Unknown)
        );
    }

    #[test]
    fn the_word_of_a_state_is_the_word_on_the_wire() {
        use WorkflowState as W;
        for state in [
            W::Created,
            W::Scheduled,
            W::Running,
            W::Waiting,
            W::Undoing,
            W::Parked,
            W::Succeeded,
            W::Failed,
            W::RolledBack,
            W::Cancelled,
            W::Unknown,
        ] {
            assert_eq!(serde_json::to_value(state).expect("a word"), json!(state.as_str()));
        }
        use StepState as S;
        for state in [
            S::Pending,
            S::Running,
            S::Succeeded,
            S::Failed,
            S::Cancelled,
            S::Skipped,
            S::Undoing,
            S::Undone,
            S::Unknown,
        ] {
            assert_eq!(serde_json::to_value(state).expect("a word"), json!(state.as_str()));
        }
    }

    #[test]
    fn deployed_units_are_found_in_the_output_of_deploy() {
        let step: WorkflowStep = serde_json::from_value(json!({
            "seq": 1, "milestone": "deploy", "state": "succeeded", "attempts": 1,
            "output": {"milestone": "deploy", "units": [{"name": "app@0.service", "address": "127.0.0.1:45000"}]}
        }))
        .expect("a step");
        assert_eq!(step.deployed_units()[0].address.as_deref(), Some("127.0.0.1:45000"));
    }
}
