//! Showing workflows.

use std::collections::{BTreeSet, HashMap};

use oa_protocol::WorkflowId;
use sea_orm::{ConnectionTrait, Value};

use crate::entities::{workflow_events, workflow_steps, workflows};
use crate::error::StoreError;
use crate::journal::targets;
use crate::record::WorkflowRecord;
use crate::sql;
use crate::workflow::{Target, Wait};

/// Which workflows are listed; what is absent does not filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkflowFilter {
    /// Made at this time or later.
    pub inserted_since_ms: Option<i64>,
    /// Exactly this deployment repository.
    pub deployment_repo: Option<String>,
    /// Without `deployment_repo`: the deployment repository `<source_repo>_docker`, as in the original.
    pub source_repo: Option<String>,
    /// At most so many, the newest.
    pub limit: Option<u64>,
}

impl WorkflowFilter {
    /// Those made in the last `hours`; 0 and less means all.
    #[must_use]
    pub fn lookback(hours: i64, now_ms: i64) -> Self {
        let since = (hours > 0).then(|| now_ms.saturating_sub(hours.saturating_mul(3_600_000)));
        Self { inserted_since_ms: since, ..Self::default() }
    }

    fn conditions(&self) -> (String, Vec<Value>) {
        let repo = self.deployment_repo.clone();
        let repo =
            repo.or_else(|| self.source_repo.as_ref().map(|source| format!("{source}_docker")));
        let (mut conditions, mut values): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
        if let Some(since_ms) = self.inserted_since_ms {
            values.push(since_ms.into());
            conditions.push(format!("inserted_at_ms >= ${}", values.len()));
        }
        if let Some(repo) = repo {
            values.push(repo.into());
            conditions.push(format!("deployment_repo = ${}", values.len()));
        }
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        values.push(sql::db_int(self.limit.unwrap_or(u64::MAX)).into());
        (format!("{filter} ORDER BY id DESC LIMIT ${}", values.len()), values)
    }
}

pub(super) async fn get(
    db: &impl ConnectionTrait,
    id: WorkflowId,
) -> Result<Option<WorkflowRecord>, StoreError> {
    let id = id.to_string();
    let mut rows =
        sql::models(db, "SELECT * FROM workflows WHERE id = $1", [id.clone().into()]).await?;
    name_holders(db, &mut rows).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let steps = "SELECT * FROM workflow_steps WHERE workflow_id = $1 ORDER BY seq";
    let steps = sql::models(db, steps, [id.clone().into()]).await?;
    let events = "SELECT * FROM workflow_events WHERE workflow_id = $1 ORDER BY version";
    let events = sql::models(db, events, [id.into()]).await?;
    WorkflowRecord::from_rows(row, steps, events).map(Some)
}

pub(super) async fn list(
    db: &impl ConnectionTrait,
    filter: &WorkflowFilter,
) -> Result<Vec<WorkflowRecord>, StoreError> {
    let (conditions, values) = filter.conditions();
    let mut rows: Vec<workflows::Model> =
        sql::models(db, &format!("SELECT * FROM workflows{conditions}"), values).await?;
    name_holders(db, &mut rows).await?;
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let steps = "SELECT workflow_id, seq, milestone, state, effect_key, NULL AS output, do_attempts, undo_attempts, \
                 started_at_ms, finished_at_ms, waiting_for FROM workflow_steps WHERE workflow_id";
    let mut steps_of: HashMap<String, Vec<workflow_steps::Model>> = HashMap::new();
    for step in sql::models_in::<workflow_steps::Model>(db, steps, &ids, " ORDER BY seq").await? {
        steps_of.entry(step.workflow_id.clone()).or_default().push(step);
    }
    let events = "SELECT * FROM workflow_events WHERE workflow_id";
    let mut events_of: HashMap<String, Vec<workflow_events::Model>> = HashMap::new();
    for event in
        sql::models_in::<workflow_events::Model>(db, events, &ids, " ORDER BY version").await?
    {
        events_of.entry(event.workflow_id.clone()).or_default().push(event);
    }
    let mut records = Vec::with_capacity(rows.len());
    for row in rows.into_iter().rev() {
        let steps = steps_of.remove(&row.id).unwrap_or_default();
        let events = events_of.remove(&row.id).unwrap_or_default();
        match WorkflowRecord::from_rows(row, steps, events) {
            Ok(record) => records.push(record),
            Err(cause) => tracing::error!(error = %cause, "a workflow is left out of the list"),
        }
    }
    Ok(records)
}

/// Says for whom workflows wait: whoever holds the target now, not whoever held it when they began to wait.
async fn name_holders(
    db: &impl ConnectionTrait,
    rows: &mut [workflows::Model],
) -> Result<(), StoreError> {
    let wanted: BTreeSet<Target> =
        rows.iter().filter_map(|row| row.waits_for_target.clone()).map(Target::from).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let views = targets(db, &wanted.into_iter().collect::<Vec<_>>()).await?;
    for row in rows {
        let Some(target) = row.waits_for_target.clone().map(Target::from) else { continue };
        if let Some(holder) = views.get(&target).and_then(|view| view.holder) {
            row.waiting_for = Some(Wait::text(&target, holder));
        }
    }
    Ok(())
}
