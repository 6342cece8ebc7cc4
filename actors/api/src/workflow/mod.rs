//! Workflows on the wire: `/workflows`.

mod events;
mod request;
mod step;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use events::{WorkflowEvent, WorkflowEvents};
pub use request::{CancelWorkflow, ExecuteWorkflow, NewWorkflow, WorkflowFilter};
pub use step::{DeployedUnit, StepState, WorkflowStep};

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
        let is_http = self.steps.iter().any(WorkflowStep::is_http);
        let units = self.steps.iter().flat_map(WorkflowStep::deployed_units);
        units.map(|unit| DeployedUnit { is_http, ..unit }).collect()
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
    /// A word for programs, such as `revision_not_found`: one of [`crate::ReasonCode`].
    #[serde(default)]
    pub code: Option<String>,
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

    #[test]
    fn a_unit_is_opened_over_http_only_if_its_health_is_asked_over_http() {
        let workflow = |health: Value| {
            let config =
                json!({"milestone": "config", "output": {"fleet_config": {"health": health}}});
            let units = json!([{"name": "app@0.service", "address": "127.0.0.1:45000"}, {"name": "b.service"}]);
            let deploy = json!({"milestone": "deploy", "output": {"units": units}});
            let object =
                json!({"id": "5e0c", "workflow_completed": true, "steps": [config, deploy]});
            serde_json::from_value::<Workflow>(object).expect("a workflow")
        };
        let open_at = |health| {
            workflow(health).deployed_units().iter().map(DeployedUnit::open_at).collect::<Vec<_>>()
        };
        assert_eq!(
            open_at(json!({"http": "/health"})),
            [Some("http://127.0.0.1:45000".into()), None]
        );
        assert_eq!(open_at(json!({"tcp": true})), [Some("127.0.0.1:45000".into()), None]);
        assert_eq!(open_at(Value::Null), [Some("127.0.0.1:45000".into()), None]);
    }
}
