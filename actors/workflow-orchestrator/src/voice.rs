//! What the log says of workflows: enough to follow one at three in the morning, a line per step.

use oa_store::WorkflowState;
use oa_store::workflow::{Attempt, Step};

/// A step begins, or begins again.
pub(crate) fn step_begins(state: &WorkflowState, step: &Step, attempt: &Attempt) {
    let (workflow, milestone) = (state.id, &step.milestone);
    let repository = state.spec.deployment_repo.as_deref().unwrap_or("-");
    let git_ref = state.spec.deployment_repo_git_ref.as_deref().unwrap_or("HEAD");
    if attempt.no == 1 {
        tracing::info!(%workflow, "{milestone} begins: {repository} at {git_ref}");
    } else {
        tracing::warn!(%workflow, attempt = attempt.no, "{milestone} is tried again: {repository} at {git_ref}");
    }
}

/// A workflow has ended.
pub(crate) fn ended(state: &WorkflowState) {
    let (workflow, status) = (state.id, state.status);
    let repository = state.spec.deployment_repo.as_deref().unwrap_or("-");
    let took_ms = state.finished_at_ms.zip(state.started_at_ms).map(|(end, start)| end - start);
    match &state.failure {
        None => tracing::info!(%workflow, took_ms, "{status}: {repository}"),
        Some(why) => {
            let hint = why.hint.as_deref();
            tracing::warn!(%workflow, took_ms, hint, "{status}: {repository}: {}", why.message);
        }
    }
}
