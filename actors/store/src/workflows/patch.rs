//! Changing a workflow.

use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel};
use serde_json::Value;

use super::create::milestones_json;
use super::{LONGEST_REF, LONGEST_REPO, WorkflowError, check_options, check_text};
use crate::entities::{workflow_events, workflows};
use crate::error::StoreError;
use crate::journal::{WorkflowChange, event_row, workflow_id};
use crate::record::json;
use crate::sql::{self, from_db_int};
use crate::workflow::{Entry, Status, TimerKind, check_milestones};

/// Fields to change: absent stays as it is, `Some(None)` becomes empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkflowPatch {
    /// Repository that says what to deploy.
    pub deployment_repo: Option<Option<String>>,
    /// Branch, tag or commit of it.
    pub deployment_repo_git_ref: Option<Option<String>>,
    /// Repository of the application's source.
    pub source_repo: Option<Option<String>>,
    /// Branch, tag or commit of it.
    pub source_repo_git_ref: Option<Option<String>>,
    /// Commit of the source.
    pub source_commit_hash: Option<Option<String>>,
    /// The list of steps, by name.
    pub milestones: Option<Option<Vec<String>>>,
    /// When the `scheduled` milestone ends.
    pub scheduled_start_time_ms: Option<Option<i64>>,
    /// Options of `execute`.
    pub execute_options: Option<Option<Value>>,
    /// Who changes it. Default: `unknown`.
    pub by: Option<String>,
    /// The version that the caller has seen; with it nothing is overwritten unseen.
    pub expected_version: Option<u64>,
}

/// A row with its new values, and what they are for.
pub(super) struct Changed {
    row: workflows::Model,
    fields: Vec<&'static str>,
    by: String,
    /// The start time that a scheduled workflow waits for now.
    start_at_ms: Option<i64>,
}

impl WorkflowPatch {
    /// Checks every field against the row; nothing is written yet.
    pub(super) fn apply(self, mut row: workflows::Model) -> Result<Changed, WorkflowError> {
        let found = from_db_int(row.version);
        if let Some(expected) = self.expected_version.filter(|expected| *expected != found) {
            return Err(WorkflowError::VersionConflict { expected, found });
        }
        let status: Status =
            row.state.parse().map_err(|why| StoreError::corrupt("workflow", &row.id, why))?;
        let mut fields = Vec::new();
        let texts = [
            ("deployment_repo", self.deployment_repo, &mut row.deployment_repo, LONGEST_REPO),
            (
                "deployment_repo_git_ref",
                self.deployment_repo_git_ref,
                &mut row.deployment_repo_git_ref,
                LONGEST_REF,
            ),
            ("source_repo", self.source_repo, &mut row.source_repo, LONGEST_REPO),
            (
                "source_repo_git_ref",
                self.source_repo_git_ref,
                &mut row.source_repo_git_ref,
                LONGEST_REF,
            ),
            (
                "source_commit_hash",
                self.source_commit_hash,
                &mut row.source_commit_hash,
                LONGEST_REF,
            ),
        ];
        for (field, patch, column, longest) in texts {
            let Some(new) = patch.filter(|new| new != column) else { continue };
            check_text(field, new.as_deref(), longest)?;
            *column = new;
            fields.push(field);
        }
        if let Some(options) = self.execute_options {
            check_options(options.as_ref())?;
            let new = options.map(|options| options.to_string());
            if new != row.execute_options {
                row.execute_options = new;
                fields.push("execute_options");
            }
        }
        let mut start_at_ms = None;
        if let Some(at_ms) =
            self.scheduled_start_time_ms.filter(|at_ms| *at_ms != row.scheduled_start_time_ms)
        {
            row.scheduled_start_time_ms = at_ms;
            fields.push("scheduled_start_time");
            start_at_ms = at_ms;
        }
        let listed: Option<Vec<String>> = match self.milestones {
            Some(listed) => listed,
            None => json(row.milestones.as_deref())
                .map_err(|why| StoreError::corrupt("workflow", &row.id, why))?,
        };
        let has_start_time = row.scheduled_start_time_ms.is_some();
        let milestones =
            listed.as_deref().map(|listed| check_milestones(listed, has_start_time)).transpose()?;
        let milestones = milestones.as_deref().map(milestones_json);
        if milestones != row.milestones {
            row.milestones = milestones;
            fields.push("milestones");
        }
        // The start time may still move while the workflow waits for it; everything else is decided by then.
        let moves =
            |field: &&'static str| *field == "scheduled_start_time" && status == Status::Scheduled;
        if let Some(field) =
            fields.iter().copied().find(|field| status != Status::Created && !moves(field))
        {
            return Err(WorkflowError::Started { field, status });
        }
        let start_at_ms = start_at_ms.filter(|_| status == Status::Scheduled);
        Ok(Changed {
            row,
            fields,
            by: self.by.unwrap_or_else(|| "unknown".to_owned()),
            start_at_ms,
        })
    }
}

/// Writes the row and its line in the journal; nothing if nothing was changed.
pub(super) async fn save(
    tx: &impl ConnectionTrait,
    changed: Changed,
    now_ms: i64,
) -> Result<Option<WorkflowChange>, DbErr> {
    let Changed { mut row, fields, by, start_at_ms } = changed;
    if fields.is_empty() {
        return Ok(None);
    }
    row.version += 1;
    row.updated_at_ms = now_ms;
    if let Some(at_ms) = start_at_ms {
        let time = jiff::Timestamp::from_millisecond(at_ms)
            .map_or_else(|_| at_ms.to_string(), |time| time.to_string());
        row.waiting_for = Some(format!("the start time {time}"));
        let update =
            "UPDATE workflow_timers SET fire_at_ms = $1 WHERE workflow_id = $2 AND kind = $3";
        let values = [at_ms.into(), row.id.clone().into(), TimerKind::Start.as_str().into()];
        sql::execute(tx, update, values).await?;
    }
    let entry = Entry {
        kind: "updated",
        message: format!("{by} changed {}", fields.join(", ")),
        actor: by,
        milestone: None,
        data: serde_json::json!({ "fields": fields }),
    };
    let event = event_row(row.id.clone(), from_db_int(row.version), &entry, 0, now_ms);
    workflow_events::Entity::insert(workflow_events::ActiveModel::from(event))
        .exec_without_returning(tx)
        .await?;
    let change = WorkflowChange {
        workflow_id: workflow_id(&row.id).map_err(|why| DbErr::Custom(why.to_string()))?,
        version: from_db_int(row.version),
        status: row
            .state
            .parse()
            .map_err(|why: crate::workflow::UnknownStatus| DbErr::Custom(why.to_string()))?,
    };
    row.into_active_model().reset_all().update(tx).await?;
    Ok(Some(change))
}
