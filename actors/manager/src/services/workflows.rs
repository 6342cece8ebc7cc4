//! Workflows: their records, and the events that start and end them.

use std::time::Duration;

use oa_api::{Workflow, WorkflowEvents};
use oa_protocol::workflow::WorkflowChanged;
use oa_protocol::{WorkflowId, mailbox};
use oa_runtime::PostOffice;
use oa_store::workflow::{Milestone, MilestoneError};
use oa_store::{
    Applied, Event, Ignored, JournalError, NewWorkflow, Store, WorkflowError, WorkflowFilter,
    WorkflowPatch,
};
use serde_json::{Map, Value};

use super::store_failed;
use crate::app::Traffic;
use crate::error::{ApiError, Problem};
use crate::request::Given;
use crate::{time, views};

/// What errors are about.
const WORKFLOW: &str = "Workflow";
/// Most workflows of one answer: the newest.
const MAX_WORKFLOWS: u64 = 2_000;
/// Newest workflows among which one is looked for that was mistyped.
const NEAR_AMONG: u64 = 500;
/// Most events of one answer.
const MAX_EVENTS: usize = 1_000;

/// Which workflows are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkflowQuery {
    /// Made at this time or later.
    pub(crate) since_ms: Option<i64>,
    /// Exactly this deployment repository.
    pub(crate) deployment_repo: Option<String>,
    /// Which part of the list; all if absent.
    pub(crate) page: Option<Page>,
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many are left out before it.
    pub(crate) offset: usize,
    /// How many it has at most.
    pub(crate) size: usize,
}

/// What a request says about a workflow's plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WorkflowFields {
    /// Repository that says what to deploy.
    pub(crate) deployment_repo: Given<String>,
    /// Branch, tag or commit of it.
    pub(crate) deployment_repo_git_ref: Given<String>,
    /// Repository of the source.
    pub(crate) source_repo: Given<String>,
    /// Branch, tag or commit of it.
    pub(crate) source_repo_git_ref: Given<String>,
    /// Commit of the source.
    pub(crate) source_commit_hash: Given<String>,
    /// The list of steps.
    pub(crate) milestones: Given<Vec<String>>,
    /// When it is to start.
    pub(crate) scheduled_start_time_ms: Given<i64>,
    /// Options of `execute`.
    pub(crate) execute_options: Given<Value>,
}

/// A change of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WorkflowChange {
    /// The plan.
    pub(crate) fields: WorkflowFields,
    /// Whether it is to end.
    pub(crate) ends: bool,
    /// Whether the whole object came back: what a started workflow does not let change is then ignored.
    pub(crate) is_whole_object: bool,
}

/// Keeps workflows.
#[derive(Clone)]
pub(crate) struct WorkflowService {
    store: Store,
    post_office: PostOffice,
}

impl WorkflowService {
    /// Keeps them in `store` and hints the orchestrator through `post_office`.
    pub(crate) fn new(store: Store, post_office: PostOffice) -> Self {
        Self { store, post_office }
    }

    /// Workflows that `query` asks for, the oldest first.
    pub(crate) async fn list(&self, query: WorkflowQuery) -> Result<Vec<Workflow>, ApiError> {
        let WorkflowQuery { since_ms, deployment_repo, page } = query;
        let filter = WorkflowFilter {
            inserted_since_ms: since_ms,
            deployment_repo,
            source_repo: None,
            limit: Some(MAX_WORKFLOWS),
        };
        let records = self
            .store
            .workflows()
            .list(&filter)
            .await
            .map_err(|error| store_failed(WORKFLOW, &error))?;
        let page = page.unwrap_or(Page { offset: 0, size: usize::MAX });
        let now_ms = time::now_ms();
        let shown = records.into_iter().skip(page.offset).take(page.size);
        Ok(shown.map(|record| views::workflow(record, now_ms)).collect())
    }

    /// One workflow.
    pub(crate) async fn get(&self, id: WorkflowId) -> Result<Workflow, ApiError> {
        let found =
            self.store.workflows().get(id).await.map_err(|error| store_failed(WORKFLOW, &error))?;
        match found {
            Some(record) => Ok(views::workflow(record, time::now_ms())),
            None => Err(self.missing(&id.to_string()).await),
        }
    }

    /// Makes a workflow.
    pub(crate) async fn create(
        &self,
        fields: WorkflowFields,
        by: String,
    ) -> Result<WorkflowId, ApiError> {
        let new = NewWorkflow {
            product_id: None,
            deployment_repo: fields.deployment_repo.value(),
            deployment_repo_git_ref: fields.deployment_repo_git_ref.value(),
            source_repo: fields.source_repo.value(),
            source_repo_git_ref: fields.source_repo_git_ref.value(),
            source_commit_hash: fields.source_commit_hash.value(),
            milestones: fields.milestones.value(),
            scheduled_start_time_ms: fields.scheduled_start_time_ms.value(),
            execute_options: fields.execute_options.value(),
            created_by: Some(by),
        };
        let record = self.store.workflows().create(new).await.map_err(refused)?;
        oa_crash_points::crash_point!(ManagerCreated);
        Ok(record.id)
    }

    /// Changes what is not begun yet; ends the workflow if the change says so.
    pub(crate) async fn update(
        &self,
        id: WorkflowId,
        change: WorkflowChange,
        by: String,
    ) -> Result<(), ApiError> {
        let WorkflowChange { fields, ends, is_whole_object } = change;
        let patch = WorkflowPatch {
            deployment_repo: fields.deployment_repo.patch(),
            deployment_repo_git_ref: fields.deployment_repo_git_ref.patch(),
            source_repo: fields.source_repo.patch(),
            source_repo_git_ref: fields.source_repo_git_ref.patch(),
            source_commit_hash: fields.source_commit_hash.patch(),
            milestones: fields.milestones.patch(),
            scheduled_start_time_ms: fields.scheduled_start_time_ms.patch(),
            execute_options: fields.execute_options.patch(),
            by: Some(by.clone()),
            expected_version: None,
        };
        match self.store.workflows().update(id, patch).await {
            Ok(true) => {}
            Ok(false) => return Err(self.missing(&id.to_string()).await),
            Err(WorkflowError::Started { .. }) if is_whole_object => {}
            Err(error) => return Err(refused(error)),
        }
        if !ends {
            return Ok(());
        }
        let reason = "workflow_error was set".to_owned();
        match self.apply(id, Event::Cancel { by, reason }).await? {
            // It has ended already: that is what was asked for.
            Applied::Ignored(Ignored::Finished { .. })
            | Applied::Changed { .. }
            | Applied::Duplicate => Ok(()),
            Applied::Ignored(reason) => Err(ApiError::conflict(reason.to_string())),
        }
    }

    /// Deletes a workflow; one that runs is cancelled first.
    pub(crate) async fn delete(&self, id: WorkflowId, by: &str) -> Result<(), ApiError> {
        match self.store.workflows().delete(id, by).await {
            Ok(true) => {
                self.hint(id);
                Ok(())
            }
            Ok(false) => Err(self.missing(&id.to_string()).await),
            Err(error) => Err(refused(error)),
        }
    }

    /// Starts a workflow. `Ok` means that the start is on disk.
    pub(crate) async fn execute(
        &self,
        id: WorkflowId,
        options: Map<String, Value>,
        by: String,
    ) -> Result<(), ApiError> {
        let options = Some(options).filter(|options| !options.is_empty()).map(Value::Object);
        changed(self.apply(id, Event::Execute { options, by }).await?)
    }

    /// Ends a workflow. `Ok` means that the end is on disk.
    pub(crate) async fn cancel(
        &self,
        id: WorkflowId,
        by: String,
        reason: String,
    ) -> Result<(), ApiError> {
        changed(self.apply(id, Event::Cancel { by, reason }).await?)
    }

    /// What happened after the version `after`; waits up to `wait` if nothing did and something still can.
    pub(crate) async fn events(
        &self,
        id: WorkflowId,
        after: u64,
        wait: Duration,
        traffic: &Traffic,
    ) -> Result<WorkflowEvents, ApiError> {
        let journal = self.store.journal();
        let failed = |error| store_failed(WORKFLOW, &error);
        let Some(state) = journal.load(id).await.map_err(failed)? else {
            return Err(self.missing(&id.to_string()).await);
        };
        // Whoever knows the end waits for nothing.
        let wait = if state.status.is_finished() { Duration::ZERO } else { wait };
        let mut entries =
            match traffic.long_poll(wait, journal.wait_for_events(id, after, wait)).await {
                Some(entries) => entries.map_err(failed)?,
                None => journal.events(id, after).await.map_err(failed)?,
            };
        let has_more = entries.len() > MAX_EVENTS;
        entries.truncate(MAX_EVENTS);
        // The state after these events, which may be a later one than before the wait.
        let status = journal.load(id).await.map_err(failed)?.ok_or_else(not_found)?.status;
        Ok(WorkflowEvents {
            events: entries.into_iter().map(views::workflow_event).collect(),
            state: views::workflow_state(status),
            completed: status.is_finished() && !has_more,
        })
    }

    /// 404 for a workflow that is not there, with the ids that may have been meant.
    pub(crate) async fn missing(&self, typed: &str) -> ApiError {
        // Without a database there is no suggestion, and the answer stays what it is.
        let ids = self.store.workflows().newest_ids(NEAR_AMONG).await.unwrap_or_default();
        not_found().did_you_mean(typed, ids.iter().map(String::as_str))
    }

    async fn apply(&self, id: WorkflowId, event: Event) -> Result<Applied, ApiError> {
        let applied = self.store.journal().apply(id, event).await;
        if let Err(JournalError::UnknownWorkflow { .. }) = applied {
            return Err(self.missing(&id.to_string()).await);
        }
        let applied = applied.map_err(|error| match error {
            JournalError::Fenced => {
                tracing::warn!("another process decides about workflows now");
                ApiError::unavailable("not_the_owner", "Another node decides about workflows now")
            }
            JournalError::Store(error) => store_failed(WORKFLOW, &error),
            other => {
                tracing::error!(error = %other, "an event was not applied");
                ApiError::internal(WORKFLOW)
            }
        })?;
        oa_crash_points::crash_point!(ManagerApplied);
        if matches!(applied, Applied::Changed { .. }) {
            self.hint(id);
        }
        Ok(applied)
    }

    /// Tells the orchestrator. It looks by itself as well, so a lost hint costs time only.
    fn hint(&self, workflow_id: WorkflowId) {
        let address = self.post_office.address(mailbox::WORKFLOW_ORCHESTRATION);
        let orchestrator = self.post_office.recipient::<WorkflowChanged>(&address);
        if let Err(error) = orchestrator.tell(WorkflowChanged { workflow_id }) {
            tracing::debug!(%workflow_id, reason = %error, "the orchestrator was not hinted");
        }
    }
}

fn not_found() -> ApiError {
    ApiError::not_found(WORKFLOW)
}

fn changed(applied: Applied) -> Result<(), ApiError> {
    match applied {
        Applied::Changed { .. } | Applied::Duplicate => Ok(()),
        Applied::Ignored(Ignored::Finished { .. }) => {
            Err(ApiError::conflict_text("workflow_completed", "Workflow has already completed"))
        }
        Applied::Ignored(Ignored::AlreadyStarted { .. }) => {
            Err(ApiError::conflict_text("workflow_started", "Workflow has already been started"))
        }
        Applied::Ignored(reason) => Err(ApiError::conflict(reason.to_string())),
    }
}

fn refused(error: WorkflowError) -> ApiError {
    let field = error.field();
    match error {
        WorkflowError::Invalid { field, why } => {
            ApiError::invalid_fields(WORKFLOW, vec![Problem::new(field, why)]).fields_on_top()
        }
        WorkflowError::Milestones(error) => {
            let problem = Problem::new(field.unwrap_or("milestones"), error.to_string());
            let problem = match nearest_milestone(&error) {
                Some(suggestion) => problem.allowed(suggestion),
                None => problem,
            };
            ApiError::invalid_fields(WORKFLOW, vec![problem]).fields_on_top()
        }
        WorkflowError::Started { .. } | WorkflowError::VersionConflict { .. } => {
            ApiError::conflict(error.to_string())
        }
        WorkflowError::Store(error) => store_failed(WORKFLOW, &error),
        other => {
            tracing::error!(error = %other, "a workflow was not changed");
            ApiError::internal(WORKFLOW)
        }
    }
}

fn nearest_milestone(error: &MilestoneError) -> Option<String> {
    let MilestoneError::Unknown { name, .. } = error else { return None };
    oa_api::did_you_mean(name, Milestone::ALL.iter().map(|milestone| milestone.as_str()))
}
