//! Reading workflows as the state machine sees them, one query a table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use oa_protocol::WorkflowId;
use sea_orm::{ConnectionTrait, DbErr};

use crate::entities::{step_attempts, target_claims, workflow_steps, workflow_timers, workflows};
use crate::error::StoreError;
use crate::record::json;
use crate::sql::{self, from_db_int};
use crate::workflow::{
    Attempt, Claim, Destinations, Milestone, Spec, Step, Target, TargetView, Wait, WorkflowState,
};

/// Each workflow that is there: its state, or why it cannot be read. One bad row does not stop the others.
pub(super) type States = HashMap<WorkflowId, Result<WorkflowState, StoreError>>;

/// Loads workflows with one query a table.
pub(super) async fn states(
    db: &impl ConnectionTrait,
    ids: &[WorkflowId],
    destinations: &Arc<Destinations>,
) -> Result<States, DbErr> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows: Vec<workflows::Model> =
        sql::models_in(db, "SELECT * FROM workflows WHERE id", &ids, "").await?;
    let steps = "SELECT * FROM workflow_steps WHERE workflow_id";
    let mut steps = grouped(
        sql::models_in(db, steps, &ids, " ORDER BY seq").await?,
        |row: &workflow_steps::Model| row.workflow_id.clone(),
    );
    let live = "SELECT * FROM step_attempts WHERE state IN ('queued', 'accepted') AND workflow_id";
    let mut live =
        grouped(sql::models_in(db, live, &ids, "").await?, |row: &step_attempts::Model| {
            row.workflow_id.clone()
        });
    let timers = "SELECT * FROM workflow_timers WHERE workflow_id";
    let mut timers =
        grouped(sql::models_in(db, timers, &ids, "").await?, |row: &workflow_timers::Model| {
            row.workflow_id.clone()
        });
    let claims = "SELECT * FROM target_claims WHERE released_at_ms IS NULL AND workflow_id";
    let mut claims = grouped(
        sql::models_in(db, claims, &ids, " ORDER BY target").await?,
        |row: &target_claims::Model| row.workflow_id.clone(),
    );
    let mut found = HashMap::new();
    for row in rows {
        let Ok(id) = row.id.parse::<WorkflowId>() else { continue };
        let parts = Parts {
            steps: steps.remove(&row.id).unwrap_or_default(),
            live: live.remove(&row.id).unwrap_or_default(),
            timers: timers.remove(&row.id).unwrap_or_default(),
            claims: claims.remove(&row.id).unwrap_or_default(),
        };
        let name = row.id.clone();
        let state = read(id, row, parts, destinations)
            .map_err(|why| StoreError::corrupt("workflow", &name, why));
        found.insert(id, state);
    }
    Ok(found)
}

/// The state of the targets, for those that were ever claimed.
pub(crate) async fn targets(
    db: &impl ConnectionTrait,
    targets: &[Target],
) -> Result<BTreeMap<Target, TargetView>, StoreError> {
    let names: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let mut views = BTreeMap::new();
    for chunk in names.chunks(sql::CHUNK) {
        let select = format!(
            "SELECT target, max(generation) AS generation, \
             max(CASE WHEN released_at_ms IS NULL THEN workflow_id END) AS holder \
             FROM target_claims WHERE target IN ({}) GROUP BY target",
            sql::places(1, chunk.len())
        );
        for row in sql::query(db, &select, chunk.iter().map(|name| name.clone().into())).await? {
            let holder: Option<String> = row.try_get("", "holder")?;
            let view = TargetView {
                generation: from_db_int(row.try_get("", "generation")?),
                holder: holder.as_deref().map(workflow_id).transpose()?,
            };
            views.insert(Target::from(row.try_get::<String>("", "target")?), view);
        }
    }
    Ok(views)
}

/// A workflow in the queue for a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiter {
    /// Since when; the first to wait is the first to go on.
    pub(super) since_ms: i64,
    pub(super) id: WorkflowId,
    pub(super) target: Target,
}

/// Workflows that wait for one of `targets`.
pub(super) async fn waiters(
    db: &impl ConnectionTrait,
    targets: &[String],
) -> Result<Vec<Waiter>, StoreError> {
    let mut waiters = Vec::new();
    for chunk in targets.chunks(sql::CHUNK) {
        let select = format!(
            "SELECT id, waits_for_target, waiting_since_ms FROM workflows \
             WHERE waits_for_target IS NOT NULL AND waits_for_target IN ({})",
            sql::places(1, chunk.len())
        );
        for row in sql::query(db, &select, chunk.iter().map(|name| name.clone().into())).await? {
            waiters.push(Waiter {
                since_ms: row.try_get("", "waiting_since_ms")?,
                id: workflow_id(&row.try_get::<String>("", "id")?)?,
                target: Target::from(row.try_get::<String>("", "waits_for_target")?),
            });
        }
    }
    Ok(waiters)
}

/// Reads the id of a workflow from the database.
pub(crate) fn workflow_id(text: &str) -> Result<WorkflowId, StoreError> {
    text.parse().map_err(|cause| StoreError::corrupt("workflow", text, format!("its id: {cause}")))
}

fn grouped<M>(rows: Vec<M>, key: impl Fn(&M) -> String) -> HashMap<String, Vec<M>> {
    let mut groups: HashMap<String, Vec<M>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}

/// The rows of one workflow.
struct Parts {
    steps: Vec<workflow_steps::Model>,
    live: Vec<step_attempts::Model>,
    timers: Vec<workflow_timers::Model>,
    claims: Vec<target_claims::Model>,
}

fn read(
    id: WorkflowId,
    row: workflows::Model,
    parts: Parts,
    destinations: &Arc<Destinations>,
) -> Result<WorkflowState, String> {
    let milestones: Option<Vec<String>> =
        json(row.milestones.as_deref()).map_err(said("milestones"))?;
    let milestones =
        milestones.map(|names| names.iter().map(|name| name.parse()).collect::<Result<_, _>>());
    let spec = Spec {
        deployment_repo: row.deployment_repo,
        deployment_repo_git_ref: row.deployment_repo_git_ref,
        source_repo: row.source_repo,
        source_repo_git_ref: row.source_repo_git_ref,
        source_commit_hash: row.source_commit_hash,
        milestones: milestones.transpose().map_err(said("milestones"))?,
        scheduled_start_time_ms: row.scheduled_start_time_ms,
    };
    let mut state = WorkflowState::created(id, spec, Arc::clone(destinations));
    state.version = from_db_int(row.version);
    state.status = row.state.parse().map_err(said("state"))?;
    state.execute_options =
        json(row.execute_options.as_deref()).map_err(said("execute_options"))?;
    state.steps = parts.steps.into_iter().map(step).collect::<Result<_, _>>()?;
    state.current_seq =
        row.current_seq.map(u32::try_from).transpose().map_err(said("current_seq"))?;
    state.live = parts.live.into_iter().next().map(attempt).transpose()?;
    for timer in parts.timers {
        state.timers.insert(timer.kind.parse().map_err(said("timer"))?, timer.fire_at_ms);
    }
    state.claim = claim(parts.claims);
    let wait = row.waits_for_target.zip(row.waiting_since_ms);
    state.wait = wait.map(|(target, since_ms)| Wait { target: Target::from(target), since_ms });
    state.waiting_for = row.waiting_for;
    state.failure = json(row.failure.as_deref()).map_err(said("failure"))?;
    state.cancel_by = row.cancel_by;
    state.started_at_ms = row.started_at_ms;
    state.finished_at_ms = row.finished_at_ms;
    Ok(state)
}

fn step(row: workflow_steps::Model) -> Result<Step, String> {
    let milestone: Milestone = row.milestone.parse().map_err(said("milestone of a step"))?;
    Ok(Step {
        seq: u32::try_from(row.seq).map_err(said("seq of a step"))?,
        milestone,
        status: row.state.parse().map_err(said("state of a step"))?,
        attempts: u32::try_from(row.do_attempts).map_err(said("do_attempts of a step"))?,
        started_at_ms: row.started_at_ms,
        finished_at_ms: row.finished_at_ms,
        waiting_for: row.waiting_for,
        output: json(row.output.as_deref()).map_err(said("output of a step"))?.map(Arc::new),
    })
}

fn attempt(row: step_attempts::Model) -> Result<Attempt, String> {
    Ok(Attempt {
        id: row.id.parse().map_err(said("id of an attempt"))?,
        seq: u32::try_from(row.seq).map_err(said("seq of an attempt"))?,
        no: u32::try_from(row.attempt_no).map_err(said("number of an attempt"))?,
        epoch: from_db_int(row.epoch),
        status: row.state.parse().map_err(said("state of an attempt"))?,
        to: row.address.parse().map_err(said("address of an attempt"))?,
        worker: row.worker,
        created_at_ms: row.created_at_ms,
        accepted_at_ms: row.accepted_at_ms,
        finished_at_ms: row.finished_at_ms,
        failure: json(row.result.as_deref()).map_err(said("result of an attempt"))?,
    })
}

fn claim(rows: Vec<target_claims::Model>) -> Option<Claim> {
    let generation = rows.iter().map(|row| from_db_int(row.generation)).max()?;
    Some(Claim {
        targets: rows.into_iter().map(|row| Target::from(row.target)).collect(),
        generation,
    })
}

fn said<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> String {
    move |cause| format!("{what}: {cause}")
}
