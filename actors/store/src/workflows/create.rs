//! Making a workflow.

use oa_protocol::WorkflowId;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait};
use serde_json::Value;

use super::{LONGEST_REF, LONGEST_REPO, WorkflowError, check_options, check_text};
use crate::entities::{workflow_events, workflows};
use crate::journal::event_row;
use crate::lease::Lease;
use crate::sql;
use crate::workflow::{Entry, Milestone, Status, plan_milestones};

/// What a client sends to make a workflow; everything may be missing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewWorkflow {
    /// Product that it belongs to.
    pub product_id: Option<i64>,
    /// Repository that says what to deploy.
    pub deployment_repo: Option<String>,
    /// Branch, tag or commit of it.
    pub deployment_repo_git_ref: Option<String>,
    /// Repository of the application's source.
    pub source_repo: Option<String>,
    /// Branch, tag or commit of it.
    pub source_repo_git_ref: Option<String>,
    /// Commit of the source.
    pub source_commit_hash: Option<String>,
    /// The list of steps, by name.
    pub milestones: Option<Vec<String>>,
    /// When the `scheduled` milestone ends: milliseconds since 1970, UTC.
    pub scheduled_start_time_ms: Option<i64>,
    /// Options of `execute`.
    pub execute_options: Option<Value>,
    /// Who makes it. Default: `unknown`.
    pub created_by: Option<String>,
}

impl NewWorkflow {
    /// Checks every field; nothing is written yet.
    pub(super) fn into_rows(
        self,
        id: WorkflowId,
        now_ms: i64,
    ) -> Result<(workflows::Model, workflow_events::Model), WorkflowError> {
        let deployment_repo = self.deployment_repo.as_deref().map(trimmed);
        let source_repo = self.source_repo.as_deref().map(trimmed);
        check_text("deployment_repo", deployment_repo.as_deref(), LONGEST_REPO)?;
        check_text("source_repo", source_repo.as_deref(), LONGEST_REPO)?;
        check_text(
            "deployment_repo_git_ref",
            self.deployment_repo_git_ref.as_deref(),
            LONGEST_REF,
        )?;
        check_text("source_repo_git_ref", self.source_repo_git_ref.as_deref(), LONGEST_REF)?;
        check_text("source_commit_hash", self.source_commit_hash.as_deref(), LONGEST_REF)?;
        check_options(self.execute_options.as_ref())?;
        let has_start_time = self.scheduled_start_time_ms.is_some();
        let milestones = self
            .milestones
            .as_deref()
            .map(|listed| plan_milestones(listed, has_start_time))
            .transpose()?;
        let by = self.created_by.unwrap_or_else(|| "unknown".to_owned());
        let row = workflows::Model {
            id: id.to_string(),
            product_id: self.product_id,
            deployment_repo,
            deployment_repo_git_ref: self.deployment_repo_git_ref,
            source_repo,
            source_repo_git_ref: self.source_repo_git_ref,
            source_commit_hash: self.source_commit_hash,
            milestones: milestones.as_deref().map(milestones_json),
            scheduled_start_time_ms: self.scheduled_start_time_ms,
            execute_options: self.execute_options.map(|options| options.to_string()),
            state: Status::Created.as_str().to_owned(),
            version: 1,
            shard: Lease::shard(id),
            on_failure: "halt".to_owned(),
            current_seq: None,
            waiting_for: None,
            waits_for_target: None,
            waiting_since_ms: None,
            failure: None,
            cancel_by: None,
            created_by: by.clone(),
            started_at_ms: None,
            finished_at_ms: None,
            inserted_at_ms: now_ms,
            updated_at_ms: now_ms,
        };
        let entry = Entry {
            kind: "created",
            message: format!("created by {by}"),
            actor: by,
            milestone: None,
            data: Value::Object(serde_json::Map::new()),
        };
        let event = event_row(row.id.clone(), 1, &entry, 0, now_ms);
        Ok((row, event))
    }
}

/// Why the product that the row names is not possible, if it is not.
pub(super) async fn missing_product(
    tx: &impl ConnectionTrait,
    row: &workflows::Model,
) -> Result<Option<String>, DbErr> {
    let Some(id) = row.product_id else { return Ok(None) };
    let found = sql::query(tx, "SELECT id FROM products WHERE id = $1", [id.into()]).await?;
    Ok(found.is_empty().then(|| format!("there is none with the id {id}")))
}

pub(super) async fn insert(
    tx: &impl ConnectionTrait,
    row: workflows::Model,
    event: workflow_events::Model,
) -> Result<(), DbErr> {
    workflows::Entity::insert(workflows::ActiveModel::from(row)).exec_without_returning(tx).await?;
    workflow_events::Entity::insert(workflow_events::ActiveModel::from(event))
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// A list of milestones as its column holds it.
pub(super) fn milestones_json(milestones: &[Milestone]) -> String {
    let names: Vec<Value> = milestones.iter().map(|milestone| milestone.as_str().into()).collect();
    Value::Array(names).to_string()
}

/// As the original: whitespace, then trailing `/`, then trailing `\`.
fn trimmed(repo: &str) -> String {
    repo.trim().trim_end_matches('/').trim_end_matches('\\').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(new: NewWorkflow) -> Result<workflows::Model, WorkflowError> {
        new.into_rows(WorkflowId::new(), 7).map(|(row, _)| row)
    }

    #[test]
    fn a_repository_is_trimmed_as_the_original_does() {
        let row = checked(NewWorkflow {
            deployment_repo: Some(" acme/shop_docker// ".into()),
            ..Default::default()
        });
        assert_eq!(row.expect("it is valid").deployment_repo.as_deref(), Some("acme/shop_docker"));
    }

    #[test]
    fn no_milestones_stay_none_and_others_are_planned() {
        assert_eq!(checked(NewWorkflow::default()).expect("it is valid").milestones, None);
        let row =
            checked(NewWorkflow { milestones: Some(vec!["deploy".into()]), ..Default::default() });
        assert_eq!(
            row.expect("it is valid").milestones.as_deref(),
            Some("[\"config\",\"deploy\"]")
        );
    }

    #[test]
    fn a_bad_field_is_named_with_what_is_wrong() {
        let long = NewWorkflow { source_repo_git_ref: Some("x".repeat(257)), ..Default::default() };
        let refusal = checked(long).expect_err("it is too long");
        assert_eq!(refusal.to_string(), "source_repo_git_ref: it has more than 256 characters");
        assert_eq!(refusal.field(), Some("source_repo_git_ref"));
        let odd = NewWorkflow { execute_options: Some(Value::Bool(true)), ..Default::default() };
        assert_eq!(checked(odd).expect_err("not an object").field(), Some("execute_options"));
        let lines = NewWorkflow { deployment_repo: Some("a\nb".into()), ..Default::default() };
        assert_eq!(
            checked(lines).expect_err("control characters").field(),
            Some("deployment_repo")
        );
    }
}
