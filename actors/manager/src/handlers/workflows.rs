//! `/workflows`: plans of steps, and running them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use oa_protocol::WorkflowId;
use serde_json::{Map, Value};

use super::lookback;
use crate::dispatch::LONGEST_WAIT;
use crate::error::{ApiError, Problem};
use crate::request::{Call, Fields, Given, wait_of};
use crate::services::{Page, WorkflowChange, WorkflowFields, WorkflowQuery};
use crate::validation::{check_repository, check_revision};
use crate::views;

/// What errors are about.
const WORKFLOW: &str = "Workflow";
/// Longest reason of a cancel.
const MAX_REASON: usize = 1_000;
/// Longest name that is looked for in a list.
const MAX_NAME: usize = 512;
/// Most workflows of one page.
const MAX_PER_PAGE: i64 = 200;
/// Workflows of a page whose size is not said.
const DEFAULT_PER_PAGE: i64 = 50;

/// `GET /workflows`: those of the last `lookback` hours, by repository if asked; bare array, pages if asked.
pub(crate) async fn list_workflows(call: Call) -> Result<HttpResponse, ApiError> {
    let mut fields = call.fields(WORKFLOW);
    let since_ms = lookback(&mut fields);
    let deployment_repo = fields.text("deployment_repo", MAX_NAME).value();
    let source_repo = fields.text("source_repo", MAX_NAME).value();
    let page = page(&mut fields);
    fields.check()?;
    // The original matches a source by the name of its deployment repository.
    let deployment_repo =
        deployment_repo.or_else(|| source_repo.map(|source| format!("{source}_docker")));
    views::ok(&call.app.workflows.list(WorkflowQuery { since_ms, deployment_repo, page }).await?)
}

/// `GET /workflows/:id`.
pub(crate) async fn get_workflow(call: Call) -> Result<HttpResponse, ApiError> {
    views::ok(&call.app.workflows.get(workflow_id(&call).await?).await?)
}

/// `POST /workflows`: 201 with the path of the new workflow. Nothing is required.
pub(crate) async fn create_workflow(call: Call) -> Result<HttpResponse, ApiError> {
    let allow_local = call.app.config.allow_local_repositories;
    let mut fields = call.fields(WORKFLOW);
    let new = workflow_fields(&mut fields, allow_local, trimmed);
    check_unused(&mut fields);
    fields.check().map_err(ApiError::fields_on_top)?;
    let id = call.app.workflows.create(new, actor(&call)).await?;
    views::located(StatusCode::CREATED, &path(id))
}

/// `PUT` and `PATCH /workflows/:id`: 204. What is absent stays; `workflow_error: true` ends an open workflow.
pub(crate) async fn update_workflow(call: Call) -> Result<HttpResponse, ApiError> {
    let id = workflow_id(&call).await?;
    let allow_local = call.app.config.allow_local_repositories;
    let mut fields = call.fields(WORKFLOW);
    let plan = workflow_fields(&mut fields, allow_local, str::to_owned);
    check_unused(&mut fields);
    fields.check().map_err(ApiError::fields_on_top)?;
    let change = WorkflowChange {
        fields: plan,
        ends: call.fields(WORKFLOW).boolean("workflow_error") == Given::Value(true),
        is_whole_object: call.params.contains_key("inserted_at"),
    };
    call.app.workflows.update(id, change, actor(&call)).await?;
    views::located(StatusCode::NO_CONTENT, &path(id))
}

/// `DELETE /workflows/:id`: 204; a workflow under way is cancelled first.
pub(crate) async fn delete_workflow(call: Call) -> Result<HttpResponse, ApiError> {
    call.app.workflows.delete(workflow_id(&call).await?, &actor(&call)).await?;
    views::no_content()
}

/// `POST /workflows/:id/execute`: 202 once the start is written down; 409 if it was started before.
pub(crate) async fn execute_workflow(call: Call) -> Result<HttpResponse, ApiError> {
    let id = workflow_id(&call).await?;
    let mut fields = call.fields(WORKFLOW);
    let mut options = Map::new();
    if let Some(force) = fields.boolean("force_build").value() {
        options.insert("force_build".to_owned(), Value::Bool(force));
    }
    for name in ["build_messaging_exchange_id", "deploy_messaging_exchange_id"] {
        if let Some(exchange) = fields.lenient_integer(name) {
            options.insert(name.to_owned(), exchange.into());
        }
    }
    fields.check().map_err(ApiError::fields_on_top)?;
    call.app.workflows.execute(id, options, actor(&call)).await?;
    views::located(StatusCode::ACCEPTED, &path(id))
}

/// `POST /workflows/:id/cancel`: 202 once the end is written down; 409 if it has ended before.
pub(crate) async fn cancel_workflow(call: Call) -> Result<HttpResponse, ApiError> {
    let id = workflow_id(&call).await?;
    let mut fields = call.fields(WORKFLOW);
    let reason = fields.prose("reason", MAX_REASON).value().unwrap_or_default();
    for name in call.params.keys().filter(|name| !matches!(name.as_str(), "reason" | "id")) {
        fields
            .problem(Problem::new(name, "is not known here").allowed("`reason` is the only field"));
    }
    fields.check()?;
    call.app.workflows.cancel(id, actor(&call), reason).await?;
    views::located(StatusCode::ACCEPTED, &path(id))
}

/// `GET /workflows/:id/events`: what happened after the version `after`, waited for `wait_ms` if nothing did yet.
pub(crate) async fn list_workflow_events(call: Call) -> Result<HttpResponse, ApiError> {
    let id = workflow_id(&call).await?;
    let mut fields = call.fields(WORKFLOW);
    let after =
        fields.integer("after").value().and_then(|after| u64::try_from(after).ok()).unwrap_or(0);
    let wait = wait_of(fields.integer("wait_ms").value(), LONGEST_WAIT);
    fields.check()?;
    views::ok(&call.app.workflows.events(id, after, wait, &call.app.traffic).await?)
}

pub(super) async fn workflow_id(call: &Call) -> Result<WorkflowId, ApiError> {
    let id = call.path("id");
    // A UUID has other spellings, too; an id has one.
    let parsed =
        id.parse().ok().filter(|parsed: &WorkflowId| parsed.to_string().eq_ignore_ascii_case(id));
    match parsed {
        Some(parsed) => Ok(parsed),
        None => Err(call.app.workflows.missing(id).await),
    }
}

fn path(id: WorkflowId) -> String {
    format!("/workflows/{id}")
}

fn actor(call: &Call) -> String {
    call.principal.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string)
}

fn page(fields: &mut Fields<'_>) -> Option<Page> {
    let number = fields.integer("page").value();
    let size = fields.integer("per_page").value();
    if number.is_none() && size.is_none() {
        return None;
    }
    let (number, size) = (number.unwrap_or(1), size.unwrap_or(DEFAULT_PER_PAGE));
    if !(1..=1_000_000).contains(&number) {
        fields.problem(Problem::new("page", "is invalid").allowed("1 to 1000000"));
    }
    if !(1..=MAX_PER_PAGE).contains(&size) {
        fields.problem(
            Problem::new("per_page", "is invalid").allowed(format!("1 to {MAX_PER_PAGE}")),
        );
    }
    let part = |count: i64| usize::try_from(count).unwrap_or(0);
    Some(Page { offset: part((number - 1).saturating_mul(size)), size: part(size) })
}

/// The fields of a plan. An empty name is none.
fn workflow_fields(
    fields: &mut Fields<'_>,
    allow_local: bool,
    trim: fn(&str) -> String,
) -> WorkflowFields {
    let mut repository = |name: &str| {
        let given = given_name(fields, name, trim);
        check(fields, &given, |text| check_repository(name, text, allow_local));
        given
    };
    let (deployment_repo, source_repo) = (repository("deployment_repo"), repository("source_repo"));
    let mut revision = |name: &str| {
        let given = given_name(fields, name, str::to_owned);
        check(fields, &given, |text| check_revision(name, text));
        given
    };
    let (deployment_repo_git_ref, source_repo_git_ref, source_commit_hash) = (
        revision("deployment_repo_git_ref"),
        revision("source_repo_git_ref"),
        revision("source_commit_hash"),
    );
    WorkflowFields {
        deployment_repo,
        deployment_repo_git_ref,
        source_repo,
        source_repo_git_ref,
        source_commit_hash,
        milestones: fields.texts("milestones"),
        scheduled_start_time_ms: fields.time("scheduled_start_time"),
        execute_options: fields.object("execute_options"),
    }
}

/// A name as it was sent, before it is checked: control characters are for the check to name.
fn given_name(fields: &mut Fields<'_>, name: &str, trim: fn(&str) -> String) -> Given<String> {
    fields.raw_text(name).and_then(|text| Some(trim(&text)).filter(|text| !text.is_empty()))
}

fn check(
    fields: &mut Fields<'_>,
    given: &Given<String>,
    check: impl FnOnce(&str) -> Result<(), Problem>,
) {
    if let Given::Value(text) = given
        && let Err(problem) = check(text)
    {
        fields.problem(problem);
    }
}

/// As the original trims: blanks, then trailing `/`, then trailing `\`.
fn trimmed(text: &str) -> String {
    text.trim().trim_end_matches('/').trim_end_matches('\\').to_owned()
}

/// Fields that the journal computes: their type is checked, their value is not taken.
fn check_unused(fields: &mut Fields<'_>) {
    for name in ["current_step", "elapsed_step_time", "elapsed_workflow_time", "workflow_duration"]
    {
        fields.prose(name, 128);
    }
    fields.boolean("workflow_completed");
    fields.boolean("workflow_error");
    fields.object("workflow_step_durations");
    fields.texts("event_log");
}

#[cfg(test)]
mod hostile;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_as_the_original_does() {
        assert_eq!(trimmed("  acme/shop// "), "acme/shop");
        assert_eq!(trimmed("acme\\shop\\\\"), "acme\\shop");
        assert_eq!(trimmed("acme/shop/\\"), "acme/shop/", "one pass, as in the original");
    }
}
