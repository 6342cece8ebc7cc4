//! A workflow as people and programs see it.

use std::collections::BTreeMap;

use oa_protocol::WorkflowId;
use serde_json::Value;

use crate::entities::{workflow_events, workflow_steps, workflows};
use crate::error::StoreError;
use crate::sql::from_db_int;
use crate::workflow::{Status, StepStatus, WorkflowFailure, duration_text};

/// A workflow with its steps and its journal.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowRecord {
    /// Its id.
    pub id: WorkflowId,
    /// Number of its last change.
    pub version: u64,
    /// Where it is.
    pub status: Status,
    /// Product that it belongs to.
    pub product_id: Option<i64>,
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
    /// The list of steps.
    pub milestones: Option<Vec<String>>,
    /// When the `scheduled` milestone ends.
    pub scheduled_start_time_ms: Option<i64>,
    /// Options of `execute`.
    pub execute_options: Option<Value>,
    /// Position of the step in hand.
    pub current_seq: Option<u32>,
    /// What it waits for, for people.
    pub waiting_for: Option<String>,
    /// Why it failed or was cancelled.
    pub failure: Option<WorkflowFailure>,
    /// Who cancelled it.
    pub cancel_by: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When it was executed.
    pub started_at_ms: Option<i64>,
    /// When it ended.
    pub finished_at_ms: Option<i64>,
    /// When it was made.
    pub inserted_at_ms: i64,
    /// When it changed last.
    pub updated_at_ms: i64,
    /// Its steps, by position; empty until it is executed.
    pub steps: Vec<StepRecord>,
    /// Its journal, in order.
    pub events: Vec<JournalEntry>,
}

/// One step of a [`WorkflowRecord`].
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    /// Position, from 0.
    pub seq: u32,
    /// What it is.
    pub milestone: String,
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
    /// What it produced; lists of workflows leave it out.
    pub output: Option<Value>,
}

/// One line of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalEntry {
    /// Number of the change; they have no gap.
    pub version: u64,
    /// When it was written.
    pub at_ms: i64,
    /// What kind of line, for programs.
    pub kind: String,
    /// Who caused it.
    pub actor: String,
    /// What happened, for people.
    pub message: String,
    /// The milestone that was in hand.
    pub milestone: Option<String>,
    /// More, for programs.
    pub data: Value,
}

/// Fields of the original's REST object that are computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireFields {
    /// The milestone in hand, `workflow_completed`, or nothing.
    pub current_step: Option<String>,
    /// Time since the step in hand began, or that it took.
    pub elapsed_step_time: Option<String>,
    /// Time since the workflow began, or that it took.
    pub elapsed_workflow_time: Option<String>,
    /// Time that the workflow took.
    pub workflow_duration: Option<String>,
    /// Time that each ended milestone took.
    pub workflow_step_durations: BTreeMap<String, String>,
    /// Whether it failed; nothing before it is executed.
    pub workflow_error: Option<bool>,
    /// Whether it ended.
    pub workflow_completed: bool,
    /// The journal as lines.
    pub event_log: Vec<String>,
}

impl WorkflowRecord {
    /// The computed fields at `now_ms`.
    #[must_use]
    pub fn wire(&self, now_ms: i64) -> WireFields {
        let step = self.current_seq.and_then(|seq| self.steps.get(seq as usize));
        let until = |end: Option<i64>| end.or(self.finished_at_ms).unwrap_or(now_ms);
        let since = |start: i64, end: Option<i64>| duration_text(until(end) - start);
        let current_step = match self.status {
            Status::Succeeded => Some("workflow_completed".to_owned()),
            _ => step.map(|step| step.milestone.clone()),
        };
        WireFields {
            current_step,
            elapsed_step_time: step
                .and_then(|step| Some(since(step.started_at_ms?, step.finished_at_ms))),
            elapsed_workflow_time: self.started_at_ms.map(|start| since(start, None)),
            workflow_duration: self
                .finished_at_ms
                .and(self.started_at_ms)
                .map(|start| since(start, None)),
            workflow_step_durations: self.step_durations(),
            workflow_error: match self.status {
                Status::Created => None,
                Status::Failed | Status::RolledBack | Status::Cancelled => Some(true),
                _ => Some(false),
            },
            workflow_completed: self.status.is_finished(),
            event_log: self
                .events
                .iter()
                .map(|entry| format!("[OA][{}] {}", self.id, entry.message))
                .collect(),
        }
    }

    /// A milestone that is listed twice keeps its first name for the first time.
    fn step_durations(&self) -> BTreeMap<String, String> {
        let mut durations = BTreeMap::new();
        for step in &self.steps {
            let (Some(start), Some(end)) = (step.started_at_ms, step.finished_at_ms) else {
                continue;
            };
            let name = match durations.contains_key(&step.milestone) {
                true => format!("{} #{}", step.milestone, step.seq),
                false => step.milestone.clone(),
            };
            durations.insert(name, duration_text(end - start));
        }
        durations
    }

    pub(crate) fn from_rows(
        row: workflows::Model,
        steps: Vec<workflow_steps::Model>,
        events: Vec<workflow_events::Model>,
    ) -> Result<Self, StoreError> {
        let id = row.id.clone();
        let bad = |why: String| StoreError::corrupt("workflow", &id, why);
        let mut steps: Vec<StepRecord> =
            steps.into_iter().map(StepRecord::from_row).collect::<Result<_, _>>()?;
        let in_hand = row.current_seq.and_then(|seq| steps.get_mut(usize::try_from(seq).ok()?));
        if let Some(step) = in_hand.filter(|_| row.waits_for_target.is_some()) {
            step.waiting_for = row.waiting_for.clone();
        }
        Ok(Self {
            id: row.id.parse().map_err(|cause| bad(format!("its id: {cause}")))?,
            version: from_db_int(row.version),
            status: row.state.parse().map_err(|cause| bad(format!("{cause}")))?,
            product_id: row.product_id,
            deployment_repo: row.deployment_repo,
            deployment_repo_git_ref: row.deployment_repo_git_ref,
            source_repo: row.source_repo,
            source_repo_git_ref: row.source_repo_git_ref,
            source_commit_hash: row.source_commit_hash,
            milestones: json(row.milestones.as_deref())
                .map_err(|cause| bad(format!("milestones: {cause}")))?,
            scheduled_start_time_ms: row.scheduled_start_time_ms,
            execute_options: json(row.execute_options.as_deref())
                .map_err(|cause| bad(format!("execute_options: {cause}")))?,
            current_seq: row.current_seq.and_then(|seq| u32::try_from(seq).ok()),
            waiting_for: row.waiting_for,
            failure: json(row.failure.as_deref())
                .map_err(|cause| bad(format!("failure: {cause}")))?,
            cancel_by: row.cancel_by,
            created_by: row.created_by,
            started_at_ms: row.started_at_ms,
            finished_at_ms: row.finished_at_ms,
            inserted_at_ms: row.inserted_at_ms,
            updated_at_ms: row.updated_at_ms,
            steps,
            events: events.into_iter().map(JournalEntry::from_row).collect(),
        })
    }
}

impl StepRecord {
    fn from_row(row: workflow_steps::Model) -> Result<Self, StoreError> {
        let id = format!("{}/{}", row.workflow_id, row.seq);
        let bad = |why: String| StoreError::corrupt("workflow step", &id, why);
        Ok(Self {
            seq: u32::try_from(row.seq).map_err(|cause| bad(cause.to_string()))?,
            milestone: row.milestone,
            status: row.state.parse().map_err(|cause| bad(format!("{cause}")))?,
            attempts: u32::try_from(row.do_attempts).unwrap_or(u32::MAX),
            started_at_ms: row.started_at_ms,
            finished_at_ms: row.finished_at_ms,
            waiting_for: row.waiting_for,
            output: json(row.output.as_deref()).map_err(|cause| bad(format!("output: {cause}")))?,
        })
    }
}

impl JournalEntry {
    pub(crate) fn from_row(row: workflow_events::Model) -> Self {
        Self {
            version: from_db_int(row.version),
            at_ms: row.at_ms,
            kind: row.kind,
            actor: row.actor,
            message: row.message,
            milestone: row.milestone,
            // A line stays readable for people, whatever became of its data.
            data: serde_json::from_str(&row.data).unwrap_or(Value::Null),
        }
    }
}

/// Reads a column of JSON text.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    text: Option<&str>,
) -> Result<Option<T>, serde_json::Error> {
    text.map(serde_json::from_str).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(status: Status) -> WorkflowRecord {
        let step = |seq, milestone: &str, status, start, end| StepRecord {
            seq,
            milestone: milestone.to_owned(),
            status,
            attempts: 1,
            started_at_ms: start,
            finished_at_ms: end,
            waiting_for: None,
            output: None,
        };
        WorkflowRecord {
            id: WorkflowId::new(),
            version: 3,
            status,
            product_id: None,
            deployment_repo: None,
            deployment_repo_git_ref: None,
            source_repo: None,
            source_repo_git_ref: None,
            source_commit_hash: None,
            milestones: None,
            scheduled_start_time_ms: None,
            execute_options: None,
            current_seq: Some(1),
            waiting_for: None,
            failure: None,
            cancel_by: None,
            created_by: "ada".to_owned(),
            started_at_ms: Some(1000),
            finished_at_ms: status.is_finished().then_some(66_000),
            inserted_at_ms: 500,
            updated_at_ms: 500,
            steps: vec![
                step(0, "config", StepStatus::Done, Some(1000), Some(3000)),
                step(1, "deploy", StepStatus::Doing, Some(3000), None),
            ],
            events: vec![JournalEntry {
                version: 1,
                at_ms: 500,
                kind: "created".to_owned(),
                actor: "ada".to_owned(),
                message: "created by ada".to_owned(),
                milestone: None,
                data: Value::Null,
            }],
        }
    }

    #[test]
    fn an_open_workflow_shows_its_step_and_is_not_completed() {
        let wire = record(Status::Running).wire(13_000);
        assert_eq!(wire.current_step.as_deref(), Some("deploy"));
        assert_eq!(wire.elapsed_step_time.as_deref(), Some("10 s"));
        assert_eq!(wire.elapsed_workflow_time.as_deref(), Some("12 s"));
        assert_eq!(
            (wire.workflow_duration, wire.workflow_error, wire.workflow_completed),
            (None, Some(false), false)
        );
        assert_eq!(wire.workflow_step_durations.get("config").map(String::as_str), Some("2 s"));
    }

    #[test]
    fn success_shows_workflow_completed_without_error() {
        let wire = record(Status::Succeeded).wire(99_000);
        assert_eq!(wire.current_step.as_deref(), Some("workflow_completed"));
        assert_eq!((wire.workflow_error, wire.workflow_completed), (Some(false), true));
        assert_eq!(wire.workflow_duration.as_deref(), Some("1 min 5 s"));
    }

    #[test]
    fn every_other_end_is_an_error_and_stays_at_its_step() {
        for status in [Status::Failed, Status::RolledBack, Status::Cancelled] {
            let wire = record(status).wire(99_000);
            assert_eq!((wire.workflow_error, wire.workflow_completed), (Some(true), true));
            assert_eq!(wire.current_step.as_deref(), Some("deploy"));
        }
    }

    #[test]
    fn the_event_log_is_the_journal_with_the_original_prefix() {
        let record = record(Status::Running);
        assert_eq!(record.wire(0).event_log, [format!("[OA][{}] created by ada", record.id)]);
    }
}
