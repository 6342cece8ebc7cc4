//! Shapes of answers.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, TryIntoHeaderValue as _};
use oa_api::{StepState, WorkflowEvent, WorkflowFailure, WorkflowState, WorkflowStep};
use oa_store::{
    Cluster, JournalEntry, Status, StepRecord, StepStatus, SystemEvent, WorkflowRecord,
};
use serde::Serialize;

use crate::error::ApiError;
use crate::time::rfc1123;

/// Bytes of a path segment that stay as they are: letters, digits and what RFC 3986 calls unreserved.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)
}

/// Percent-encodes one segment of a path.
pub(crate) fn encode_segment(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

/// 200 with JSON.
pub(crate) fn ok(value: &impl Serialize) -> Result<HttpResponse, ApiError> {
    json(StatusCode::OK, value)
}

/// `status` with JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<HttpResponse, ApiError> {
    let text = serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "an answer could not be encoded");
        ApiError::internal("the answer")
    })?;
    Ok(HttpResponse::build(status).content_type("application/json; charset=utf-8").body(text))
}

/// `status` without a body, with the path of what it is about in `location`.
pub(crate) fn located(status: StatusCode, path: &str) -> Result<HttpResponse, ApiError> {
    Ok(at(HttpResponse::build(status).finish(), path))
}

/// 204 without anything.
pub(crate) fn no_content() -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::NoContent().finish())
}

/// Adds `location: path`.
pub(crate) fn at(mut response: HttpResponse, path: &str) -> HttpResponse {
    if let Ok(value) = path.try_into_value() {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// A cluster as it is shown.
pub(crate) fn cluster(record: &Cluster) -> oa_api::Cluster {
    oa_api::Cluster {
        id: record.id,
        etcd_token: record.etcd_token.to_string(),
        name: record.name.clone(),
        hosting_provider_id: record.hosting_provider_id,
        allow_docker_builds: record.allow_docker_builds,
        messaging_exchange_id: record.messaging_exchange_id,
        inserted_at: Some(rfc1123(record.inserted_at_ms)),
        updated_at: Some(rfc1123(record.updated_at_ms)),
    }
}

/// A system event as it is shown.
pub(crate) fn system_event(record: &SystemEvent) -> oa_api::SystemEvent {
    oa_api::SystemEvent {
        id: record.id,
        kind: record.kind.clone(),
        message: record.message.clone(),
        severity: record.severity.clone(),
        data: record.data.clone(),
        assignee_id: record.assignee_id,
        assigned_by_id: record.assigned_by_id,
        assigned_at: record.assigned_at_ms.map(rfc1123),
        dismissed_by_id: record.dismissed_by_id,
        dismissed_at: record.dismissed_at_ms.map(rfc1123),
        dismissed_reason: record.dismissed_reason.clone(),
        inserted_at: Some(rfc1123(record.inserted_at_ms)),
        updated_at: Some(rfc1123(record.updated_at_ms)),
    }
}

/// A workflow as it is shown at `now_ms`.
pub(crate) fn workflow(record: WorkflowRecord, now_ms: i64) -> oa_api::Workflow {
    let wire = record.wire(now_ms);
    oa_api::Workflow {
        id: record.id.to_string(),
        deployment_repo: record.deployment_repo,
        deployment_repo_git_ref: record.deployment_repo_git_ref,
        source_repo: record.source_repo,
        source_repo_git_ref: record.source_repo_git_ref,
        source_commit_hash: record.source_commit_hash,
        milestones: record.milestones,
        current_step: wire.current_step,
        elapsed_step_time: wire.elapsed_step_time,
        elapsed_workflow_time: wire.elapsed_workflow_time,
        workflow_duration: wire.workflow_duration,
        workflow_step_durations: Some(wire.workflow_step_durations)
            .filter(|durations| !durations.is_empty()),
        workflow_error: wire.workflow_error,
        workflow_completed: wire.workflow_completed,
        event_log: Some(wire.event_log),
        scheduled_start_time: record.scheduled_start_time_ms.map(rfc1123),
        execute_options: record.execute_options,
        inserted_at: Some(rfc1123(record.inserted_at_ms)),
        updated_at: Some(rfc1123(record.updated_at_ms)),
        state: workflow_state(record.status),
        waiting_for: record.waiting_for,
        failure: record.failure.map(|failure| WorkflowFailure {
            message: failure.message,
            hint: failure.hint,
            code: failure.code.as_str().map(str::to_owned),
        }),
        steps: record.steps.into_iter().map(|step| workflow_step(step, record.status)).collect(),
    }
}

/// Where a workflow stands, in the words of the wire.
pub(crate) fn workflow_state(status: Status) -> WorkflowState {
    match status {
        Status::Created => WorkflowState::Created,
        Status::Scheduled => WorkflowState::Scheduled,
        Status::Running => WorkflowState::Running,
        Status::Waiting => WorkflowState::Waiting,
        Status::Undoing => WorkflowState::Undoing,
        Status::Parked => WorkflowState::Parked,
        Status::Succeeded => WorkflowState::Succeeded,
        Status::Failed => WorkflowState::Failed,
        Status::RolledBack => WorkflowState::RolledBack,
        Status::Cancelled => WorkflowState::Cancelled,
    }
}

/// A line of a journal as it is shown.
pub(crate) fn workflow_event(entry: JournalEntry) -> WorkflowEvent {
    WorkflowEvent {
        version: i64::try_from(entry.version).unwrap_or(i64::MAX),
        at_ms: entry.at_ms,
        kind: entry.kind,
        message: entry.message,
        milestone: entry.milestone,
    }
}

fn workflow_step(step: StepRecord, workflow: Status) -> WorkflowStep {
    let state = match step.status {
        StepStatus::Pending => StepState::Pending,
        StepStatus::Doing => StepState::Running,
        StepStatus::Done => StepState::Succeeded,
        // It was in flight when the workflow ended: what became of it is the worker's to say.
        StepStatus::MaybeDone if workflow == Status::Cancelled => StepState::Cancelled,
        StepStatus::Failed | StepStatus::MaybeDone | StepStatus::UndoFailed => StepState::Failed,
        StepStatus::Undoing => StepState::Undoing,
        StepStatus::Undone => StepState::Undone,
        StepStatus::Skipped => StepState::Skipped,
    };
    WorkflowStep {
        seq: step.seq,
        milestone: step.milestone,
        state,
        attempts: step.attempts,
        started_at_ms: step.started_at_ms,
        finished_at_ms: step.finished_at_ms,
        waiting_for: step.waiting_for,
        output: step.output,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_one_word_in_the_database_and_on_the_wire() {
        for &status in Status::ALL {
            assert_eq!(workflow_state(status).as_str(), status.as_str());
        }
    }

    #[test]
    fn a_segment_is_encoded_so_that_it_stays_one() {
        assert_eq!(encode_segment("east-1"), "east-1");
        assert_eq!(encode_segment("a/b c%é"), "a%2Fb%20c%25%C3%A9");
    }
}
