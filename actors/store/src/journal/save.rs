//! Writing a batch: one statement a table.

use oa_durable::{Inbox, Outbox, SetError};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Value};

use super::batch::{Batch, Touched};
use crate::entities::{
    step_attempts, target_claims, workflow_events, workflow_steps, workflow_timers,
};
use crate::sql::{self, db_int};
use crate::workflow::{Attempt, Claim, Entry, Step, WorkflowState};

/// Writes everything that the batch has changed and the messages that it has seen.
pub(super) async fn save(
    tx: &impl ConnectionTrait,
    batch: &Batch,
    messages: &[String],
) -> Result<(), SetError> {
    let now_ms = batch.now_ms();
    let changed = batch.changed();
    if !changed.is_empty() {
        save_workflows(tx, &changed, now_ms).await?;
        save_steps(tx, &changed).await?;
        save_attempts(tx, &changed).await?;
        save_events(tx, &changed, now_ms).await?;
        save_timers(tx, &changed).await?;
        save_claims(tx, &changed, now_ms).await?;
        let envelopes: Vec<_> =
            changed.iter().flat_map(|touched| touched.envelopes.iter().cloned()).collect();
        Outbox::insert_all(tx, &envelopes).await?;
    }
    let new = Inbox::insert_all(tx, messages, now_ms).await?;
    SetError::check(messages.len() as u64, new.len() as u64)
}

/// Columns of the update and their kinds, after the id and the version that it replaces.
const COLUMNS: [(&str, &str); 16] = [
    ("state", "TEXT"),
    ("version", "BIGINT"),
    ("source_repo", "TEXT"),
    ("source_repo_git_ref", "TEXT"),
    ("source_commit_hash", "TEXT"),
    ("execute_options", "TEXT"),
    ("current_seq", "BIGINT"),
    ("waiting_for", "TEXT"),
    ("waits_for_target", "TEXT"),
    ("waiting_since_ms", "BIGINT"),
    ("failure", "TEXT"),
    ("cancel_by", "TEXT"),
    ("started_at_ms", "BIGINT"),
    ("finished_at_ms", "BIGINT"),
    ("updated_at_ms", "BIGINT"),
    ("scheduled_start_time_ms", "BIGINT"),
];

/// One compare-and-set for all: a workflow that somebody else has changed is not found, and the count is short.
async fn save_workflows(
    tx: &impl ConnectionTrait,
    changed: &[&Touched],
    now_ms: i64,
) -> Result<(), SetError> {
    let mut values: Vec<Value> = Vec::with_capacity(changed.len() * (COLUMNS.len() + 2));
    let mut rows = Vec::with_capacity(changed.len());
    for touched in changed {
        let first = values.len() + 1;
        values
            .extend([touched.before.id.to_string().into(), db_int(touched.before.version).into()]);
        values.extend(workflow_values(&touched.now, now_ms)?);
        let kinds = ["TEXT", "BIGINT"].into_iter().chain(COLUMNS.iter().map(|(_, kind)| *kind));
        let places: Vec<String> = kinds
            .enumerate()
            .map(|(at, kind)| format!("CAST(${} AS {kind})", first + at))
            .collect();
        rows.push(format!("({})", places.join(", ")));
    }
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let sets: Vec<String> = names.iter().map(|name| format!("{name} = new.{name}")).collect();
    let update = format!(
        "WITH new (id, replaced_version, {}) AS (VALUES {}) UPDATE workflows SET {} FROM new \
         WHERE workflows.id = new.id AND workflows.version = new.replaced_version",
        names.join(", "),
        rows.join(", "),
        sets.join(", ")
    );
    let done = sql::execute(tx, &update, values).await?;
    SetError::check(changed.len() as u64, done.rows_affected())
}

fn workflow_values(state: &WorkflowState, now_ms: i64) -> Result<[Value; COLUMNS.len()], DbErr> {
    Ok([
        state.status.as_str().into(),
        db_int(state.version).into(),
        state.spec.source_repo.clone().into(),
        state.spec.source_repo_git_ref.clone().into(),
        state.spec.source_commit_hash.clone().into(),
        state.execute_options.as_ref().map(to_json).transpose()?.into(),
        state.current_seq.map(i64::from).into(),
        state.waiting_for.clone().into(),
        state.wait.as_ref().map(|wait| wait.target.to_string()).into(),
        state.wait.as_ref().map(|wait| wait.since_ms).into(),
        state.failure.as_ref().map(to_json).transpose()?.into(),
        state.cancel_by.clone().into(),
        state.started_at_ms.into(),
        state.finished_at_ms.into(),
        now_ms.into(),
        state.spec.scheduled_start_time_ms.into(),
    ])
}

async fn save_steps(tx: &impl ConnectionTrait, changed: &[&Touched]) -> Result<(), SetError> {
    let mut rows = Vec::new();
    for touched in changed {
        let (before, now) = (&touched.before.steps, &touched.now.steps);
        for step in now.iter().filter(|step| before.get(step.seq as usize) != Some(step)) {
            rows.push(step_row(touched, step)?);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    use workflow_steps::Column;
    let written = [
        Column::State,
        Column::Output,
        Column::DoAttempts,
        Column::StartedAtMs,
        Column::FinishedAtMs,
        Column::WaitingFor,
    ];
    let conflict =
        OnConflict::columns([Column::WorkflowId, Column::Seq]).update_columns(written).to_owned();
    let models = rows.into_iter().map(workflow_steps::ActiveModel::from);
    workflow_steps::Entity::insert_many(models)
        .on_conflict(conflict)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

fn step_row(touched: &Touched, step: &Step) -> Result<workflow_steps::Model, DbErr> {
    let workflow_id = touched.now.id.to_string();
    Ok(workflow_steps::Model {
        effect_key: format!("{workflow_id}/{}", step.seq),
        workflow_id,
        seq: step.seq.into(),
        milestone: step.milestone.as_str().to_owned(),
        state: step.status.as_str().to_owned(),
        output: step.output.as_deref().map(to_json).transpose()?,
        do_attempts: step.attempts.into(),
        undo_attempts: 0,
        started_at_ms: step.started_at_ms,
        finished_at_ms: step.finished_at_ms,
        waiting_for: step.waiting_for.clone(),
    })
}

async fn save_attempts(tx: &impl ConnectionTrait, changed: &[&Touched]) -> Result<(), SetError> {
    let attempts: Vec<(&Touched, &Attempt)> = changed
        .iter()
        .flat_map(|touched| touched.attempts.values().map(|attempt| (*touched, attempt)))
        .collect();
    // The database checks row by row that a workflow has one live attempt. They are in the order of their making,
    // so those that ended go first.
    if attempts.is_empty() {
        return Ok(());
    }
    let rows: Result<Vec<_>, DbErr> =
        attempts.iter().map(|(touched, attempt)| attempt_row(touched, attempt)).collect();
    use step_attempts::Column;
    let written =
        [Column::State, Column::Worker, Column::Result, Column::AcceptedAtMs, Column::FinishedAtMs];
    let conflict = OnConflict::column(Column::Id).update_columns(written).to_owned();
    let models = rows?.into_iter().map(step_attempts::ActiveModel::from);
    step_attempts::Entity::insert_many(models)
        .on_conflict(conflict)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

fn attempt_row(touched: &Touched, attempt: &Attempt) -> Result<step_attempts::Model, DbErr> {
    Ok(step_attempts::Model {
        id: attempt.id.to_string(),
        workflow_id: touched.now.id.to_string(),
        seq: attempt.seq.into(),
        direction: "do".to_owned(),
        attempt_no: attempt.no.into(),
        epoch: db_int(attempt.epoch),
        state: attempt.status.as_str().to_owned(),
        address: attempt.to.to_string(),
        worker: attempt.worker.clone(),
        result: attempt.failure.as_ref().map(to_json).transpose()?,
        created_at_ms: attempt.created_at_ms,
        accepted_at_ms: attempt.accepted_at_ms,
        finished_at_ms: attempt.finished_at_ms,
    })
}

async fn save_events(
    tx: &impl ConnectionTrait,
    changed: &[&Touched],
    now_ms: i64,
) -> Result<(), SetError> {
    let rows = changed.iter().flat_map(|touched| {
        touched.entries.iter().map(|(version, entry)| {
            let epoch = db_int(touched.now.epoch);
            event_row(touched.now.id.to_string(), *version, entry, epoch, now_ms)
        })
    });
    let models: Vec<_> = rows.map(workflow_events::ActiveModel::from).collect();
    workflow_events::Entity::insert_many(models).exec_without_returning(tx).await?;
    Ok(())
}

/// A line of the journal as a row.
pub(crate) fn event_row(
    workflow_id: String,
    version: u64,
    entry: &Entry,
    epoch: i64,
    at_ms: i64,
) -> workflow_events::Model {
    workflow_events::Model {
        workflow_id,
        version: db_int(version),
        at_ms,
        epoch,
        actor: entry.actor.clone(),
        kind: entry.kind.to_owned(),
        milestone: entry.milestone.map(|milestone| milestone.as_str().to_owned()),
        message: entry.message.clone(),
        data: entry.data.to_string(),
    }
}

async fn save_timers(tx: &impl ConnectionTrait, changed: &[&Touched]) -> Result<(), SetError> {
    let moved: Vec<&&Touched> =
        changed.iter().filter(|touched| touched.before.timers != touched.now.timers).collect();
    let with_rows = moved.iter().filter(|touched| !touched.before.timers.is_empty());
    let ids: Vec<Value> = with_rows.map(|touched| touched.now.id.to_string().into()).collect();
    if !ids.is_empty() {
        let delete = format!(
            "DELETE FROM workflow_timers WHERE workflow_id IN ({})",
            sql::places(1, ids.len())
        );
        sql::execute(tx, &delete, ids).await?;
    }
    let rows = moved.iter().flat_map(|touched| {
        touched.now.timers.iter().map(|(kind, fire_at_ms)| workflow_timers::Model {
            workflow_id: touched.now.id.to_string(),
            kind: kind.as_str().to_owned(),
            fire_at_ms: *fire_at_ms,
        })
    });
    let models: Vec<_> = rows.map(workflow_timers::ActiveModel::from).collect();
    if !models.is_empty() {
        workflow_timers::Entity::insert_many(models).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Releases before it claims: one target may pass from one workflow of the batch to another.
async fn save_claims(
    tx: &impl ConnectionTrait,
    changed: &[&Touched],
    now_ms: i64,
) -> Result<(), SetError> {
    let given_up = changed.iter().filter(|touched| {
        touched.before.claim.is_some() && touched.before.claim != touched.now.claim
    });
    let ids: Vec<String> = given_up.map(|touched| touched.now.id.to_string()).collect();
    if !ids.is_empty() {
        let update = format!(
            "UPDATE target_claims SET released_at_ms = $1 WHERE released_at_ms IS NULL AND workflow_id IN ({})",
            sql::places(2, ids.len())
        );
        let values = std::iter::once(now_ms.into()).chain(ids.into_iter().map(Value::from));
        sql::execute(tx, &update, values).await?;
    }
    let mut rows = Vec::new();
    for touched in changed {
        for claim in &touched.claims {
            // What was claimed and given up within the batch is written as such: its generation is used up.
            let released_at_ms = (touched.now.claim.as_ref() != Some(claim)).then_some(now_ms);
            rows.extend(claim_rows(touched, claim, now_ms, released_at_ms));
        }
    }
    if !rows.is_empty() {
        let models = rows.into_iter().map(target_claims::ActiveModel::from);
        target_claims::Entity::insert_many(models).exec_without_returning(tx).await?;
    }
    Ok(())
}

fn claim_rows(
    touched: &Touched,
    claim: &Claim,
    claimed_at_ms: i64,
    released_at_ms: Option<i64>,
) -> Vec<target_claims::Model> {
    let row = |target: &crate::workflow::Target| target_claims::Model {
        target: target.as_str().to_owned(),
        generation: db_int(claim.generation),
        workflow_id: touched.now.id.to_string(),
        claimed_at_ms,
        released_at_ms,
    };
    claim.targets.iter().map(row).collect()
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String, DbErr> {
    serde_json::to_string(value).map_err(|cause| DbErr::Json(cause.to_string()))
}
