//! Tells commands that were decided before one that is known already.

use oa_durable::sql;
use oa_protocol::step::StepKey;
use sea_orm::{ConnectionTrait, DbErr};

/// Whether a higher epoch was seen for the workflow, or a higher attempt for the step.
pub(crate) async fn is_stale(tx: &impl ConnectionTrait, step: &StepKey) -> Result<bool, DbErr> {
    let select = "SELECT 1 AS higher FROM fence WHERE workflow_id = $1 \
                  AND (max_epoch > $2 OR (seq = $3 AND max_attempt > $4)) LIMIT 1";
    let values = [
        step.workflow_id.to_string().into(),
        step.epoch.cast_signed().into(),
        step.seq.into(),
        step.attempt_no.into(),
    ];
    Ok(!sql::query(tx, select, values).await?.is_empty())
}

/// Refuses from now on what is below `step`, and below `lowest_attempt` of it.
pub(crate) async fn raise(
    tx: &impl ConnectionTrait,
    step: &StepKey,
    lowest_attempt: u32,
) -> Result<(), DbErr> {
    let upsert = "INSERT INTO fence (workflow_id, seq, max_epoch, max_attempt, changed_at_ms) \
                  VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workflow_id, seq) DO UPDATE SET \
                  max_epoch = max(max_epoch, $3), max_attempt = max(max_attempt, $4), changed_at_ms = $5";
    let values = [
        step.workflow_id.to_string().into(),
        step.seq.into(),
        step.epoch.cast_signed().into(),
        lowest_attempt.into(),
        sql::now_ms().into(),
    ];
    sql::execute(tx, upsert, values).await.map(drop)
}
