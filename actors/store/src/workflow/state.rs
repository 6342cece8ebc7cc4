//! Everything that [`super::step`] looks at.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use oa_protocol::mailbox;
use oa_protocol::step::{StepFailure, StepKey, StepOutput};
use oa_protocol::{AttemptId, FailureCode, WorkflowId};
use oa_runtime::Address;
use serde::{Deserialize, Serialize};

use super::event::TimerKind;
use super::milestone::Milestone;
use super::status::{AttemptStatus, Status, StepStatus};

/// One workflow as the journal has it, with what surrounds it.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowState {
    /// Its id.
    pub id: WorkflowId,
    /// Number of the last transition; the next one writes the number after it.
    pub version: u64,
    /// Where it is.
    pub status: Status,
    /// What was asked for.
    pub spec: Spec,
    /// Options of `execute`, once known.
    pub execute_options: Option<serde_json::Value>,
    /// The steps, by position; empty until it is executed.
    pub steps: Vec<Step>,
    /// Position of the step in hand.
    pub current_seq: Option<u32>,
    /// The attempt in flight.
    pub live: Option<Attempt>,
    /// When something is due.
    pub timers: BTreeMap<TimerKind, i64>,
    /// The targets that this workflow alone may deploy to.
    pub claim: Option<Claim>,
    /// The target that another workflow holds and this one waits for.
    pub wait: Option<Wait>,
    /// What it waits for, for people.
    pub waiting_for: Option<String>,
    /// Why it failed.
    pub failure: Option<WorkflowFailure>,
    /// Who cancelled it.
    pub cancel_by: Option<String>,
    /// When it was executed.
    pub started_at_ms: Option<i64>,
    /// When it ended.
    pub finished_at_ms: Option<i64>,
    /// Epoch of the lease under which this is decided.
    pub epoch: u64,
    /// Who holds the targets that this workflow may want; a target that is absent is free and new.
    pub targets: BTreeMap<Target, TargetView>,
    /// Where commands go.
    pub destinations: Arc<Destinations>,
}

/// What a workflow was asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spec {
    /// Repository that says what to deploy.
    pub deployment_repo: Option<String>,
    /// Branch, tag or commit of it.
    pub deployment_repo_git_ref: Option<String>,
    /// Repository of the application's source.
    pub source_repo: Option<String>,
    /// Branch, tag or commit of it; the commit, once it is resolved.
    pub source_repo_git_ref: Option<String>,
    /// Commit of the source.
    pub source_commit_hash: Option<String>,
    /// The list of steps; `None` if the client sent none.
    pub milestones: Option<Vec<Milestone>>,
    /// When the `scheduled` milestone ends.
    pub scheduled_start_time_ms: Option<i64>,
}

/// One step of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Position, from 0.
    pub seq: u32,
    /// What it is.
    pub milestone: Milestone,
    /// Where it is.
    pub status: StepStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was begun.
    pub started_at_ms: Option<i64>,
    /// When it ended.
    pub finished_at_ms: Option<i64>,
    /// What it waits for, for people.
    pub waiting_for: Option<String>,
    /// What it produced.
    pub output: Option<Arc<StepOutput>>,
}

/// One try at a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Position of its step.
    pub seq: u32,
    /// Its number within the step, from 1.
    pub no: u32,
    /// Epoch under which it was decided.
    pub epoch: u64,
    /// Where it is.
    pub status: AttemptStatus,
    /// The mailbox that got the command.
    pub to: Address,
    /// Node that works on it.
    pub worker: Option<String>,
    /// When it was decided.
    pub created_at_ms: i64,
    /// When a worker wrote it down.
    pub accepted_at_ms: Option<i64>,
    /// When it ended.
    pub finished_at_ms: Option<i64>,
    /// Why it failed.
    pub failure: Option<StepFailure>,
}

impl Attempt {
    /// The name of the attempt in messages.
    #[must_use]
    pub fn key(&self, workflow_id: WorkflowId) -> StepKey {
        StepKey {
            workflow_id,
            seq: self.seq,
            attempt_id: self.id,
            attempt_no: self.no,
            epoch: self.epoch,
        }
    }
}

/// What one workflow at a time may deploy: units of one prefix on one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target(String);

impl Target {
    /// The units `<prefix>*` of the cluster `etcd_token`, whatever the case of its token.
    #[must_use]
    pub fn new(etcd_token: &str, prefix: &str) -> Self {
        Self(format!("{}/{prefix}", etcd_token.to_ascii_lowercase()))
    }

    /// Its name in the database: `<cluster>/<prefix>`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Target {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The right to deploy to targets, until it is released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which targets, in order.
    pub targets: Vec<Target>,
    /// Higher than that of every claim before on any of them.
    pub generation: u64,
}

/// What is known of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TargetView {
    /// Generation of the last claim; 0 if there was none.
    pub generation: u64,
    /// Who holds it.
    pub holder: Option<WorkflowId>,
}

/// The target that a workflow waits for. Who holds it may change meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What it waits for.
    pub target: Target,
    /// Since when this workflow waits; the first to wait is the first to go on.
    pub since_ms: i64,
}

impl Wait {
    /// What a workflow waits for while `holder` has `target`, for people.
    #[must_use]
    pub fn text(target: &Target, holder: WorkflowId) -> String {
        format!("workflow {holder}, which deploys to {target}")
    }
}

/// Why a workflow failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowFailure {
    /// What failed and why, for a person.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What kind of failure it is.
    #[serde(default, skip_serializing_if = "FailureCode::is_other")]
    pub code: FailureCode,
}

/// Where commands go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destinations {
    /// `config`.
    pub builder: Address,
    /// `deploy`.
    pub deployer: Address,
    /// `deploy_oa`.
    pub deploy_oa: Address,
}

impl Destinations {
    /// The usual mailboxes of one exchange; `""` is the node's own.
    #[must_use]
    pub fn in_exchange(exchange: &str) -> Self {
        let address =
            |mailbox: &str| Address { exchange: exchange.to_owned(), mailbox: mailbox.to_owned() };
        Self {
            builder: address(mailbox::BUILDER),
            deployer: address(mailbox::DEPLOYER),
            deploy_oa: address(mailbox::DEPLOY_OA),
        }
    }

    /// Where commands of `milestone` go; `None` if it has none.
    #[must_use]
    pub fn of(&self, milestone: Milestone) -> Option<&Address> {
        match milestone {
            Milestone::Scheduled => None,
            Milestone::Config => Some(&self.builder),
            Milestone::Deploy => Some(&self.deployer),
            Milestone::DeployOa => Some(&self.deploy_oa),
        }
    }
}

impl Default for Destinations {
    fn default() -> Self {
        Self::in_exchange("")
    }
}

impl WorkflowState {
    /// A workflow that was just made: version 1, nothing begun.
    #[must_use]
    pub fn created(id: WorkflowId, spec: Spec, destinations: Arc<Destinations>) -> Self {
        Self {
            id,
            version: 1,
            status: Status::Created,
            spec,
            execute_options: None,
            steps: Vec::new(),
            current_seq: None,
            live: None,
            timers: BTreeMap::new(),
            claim: None,
            wait: None,
            waiting_for: None,
            failure: None,
            cancel_by: None,
            started_at_ms: None,
            finished_at_ms: None,
            epoch: 0,
            targets: BTreeMap::new(),
            destinations,
        }
    }

    /// The step in hand.
    #[must_use]
    pub fn current(&self) -> Option<&Step> {
        self.current_seq.and_then(|seq| self.steps.get(seq as usize))
    }

    pub(super) fn current_mut(&mut self) -> Option<&mut Step> {
        self.current_seq.and_then(|seq| self.steps.get_mut(seq as usize))
    }
}
