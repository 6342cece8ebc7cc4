//! What happened to a workflow, event by event.

use serde::{Deserialize, Serialize};

use super::WorkflowState;

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
