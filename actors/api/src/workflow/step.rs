//! Milestones of a workflow, and the instances that they bring up.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

    /// Whether it is a `config` that found a health check over HTTP.
    pub(super) fn is_http(&self) -> bool {
        let path =
            self.output.as_ref().and_then(|output| output.pointer("/fleet_config/health/http"));
        path.is_some_and(Value::is_string)
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
    /// Whether it is known to speak HTTP there: its health is asked for over HTTP.
    #[serde(skip)]
    pub is_http: bool,
}

impl DeployedUnit {
    /// What to open to reach it: a URL if it speaks HTTP, else `host:port`.
    #[must_use]
    pub fn open_at(&self) -> Option<String> {
        let address = self.address.as_deref()?;
        Some(if self.is_http { format!("http://{address}") } else { address.to_owned() })
    }
}
