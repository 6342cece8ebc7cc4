//! What a worker tells about the step that it was given.

use oa_runtime::{Message, Wire};
use serde::{Deserialize, Serialize};

use crate::build::ConfigOutput;
use crate::deploy::DeployOutput;
use crate::failure_code::FailureCode;
use crate::ids::{AttemptId, WorkflowId};

/// Names one attempt at one step. Every command carries it and every report repeats it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StepKey {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// Position of the step in the workflow, from 0.
    pub seq: u32,
    /// The attempt.
    pub attempt_id: AttemptId,
    /// Number of the attempt, from 1. A worker refuses lower numbers than it has seen.
    pub attempt_no: u32,
    /// Epoch of the owner that decided; a worker refuses lower ones than it has seen.
    pub epoch: u64,
}

impl StepKey {
    /// Names the effect of the step, the same for all its attempts.
    #[must_use]
    pub fn effect_key(&self) -> String {
        format!("{}/{}", self.workflow_id, self.seq)
    }
}

/// A command to carry out a step.
pub trait StepCommand: Wire<Reply = ()> + Clone + Sync {
    /// The attempt that it asks for.
    fn step(&self) -> &StepKey;
}

/// News of one attempt; durable, so it may arrive twice and is then ignored once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// Which attempt.
    pub step: StepKey,
    /// Name of the node that works on it.
    pub worker: String,
    /// When it happened at the worker: milliseconds since 1970, UTC.
    pub at_ms: i64,
    /// What happened.
    pub news: StepNews,
}

impl Message for StepReport {
    type Reply = ();
}

impl Wire for StepReport {
    const NAME: &'static str = "workflow.step_report";
    const VERSION: u16 = 1;
}

/// What happened to an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StepNews {
    /// The worker has written the command down and will run it, whatever happens to itself.
    Accepted,
    /// Something worth a line in the event log.
    Progress {
        /// The line.
        message: String,
        /// What the step waits for, if it waits; shown until the next report.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waiting_for: Option<String>,
    },
    /// Done.
    Succeeded {
        /// What it produced.
        output: StepOutput,
    },
    /// Not done.
    Failed {
        /// Why.
        failure: StepFailure,
    },
}

/// What a step produced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "milestone", rename_all = "snake_case")]
pub enum StepOutput {
    /// `config` and `build`.
    Config(Box<ConfigOutput>),
    /// `deploy` and `deploy_oa`.
    Deploy(DeployOutput),
}

/// Why a step did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct StepFailure {
    /// What failed and why, for a person.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether another attempt may succeed.
    #[serde(default)]
    pub retryable: bool,
    /// What kind of failure it is.
    #[serde(default, skip_serializing_if = "FailureCode::is_other")]
    pub code: FailureCode,
}

/// Asks a worker to give up an attempt; sent to the mailbox that got the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelStep {
    /// Which attempt.
    pub step: StepKey,
    /// Who asked and why.
    pub reason: String,
}

impl Message for CancelStep {
    type Reply = ();
}

impl Wire for CancelStep {
    const NAME: &'static str = "worker.cancel_step";
    const VERSION: u16 = 1;
}
