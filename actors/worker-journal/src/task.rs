//! A command that was written down.

use oa_durable::sql;
use oa_protocol::AttemptId;
use oa_protocol::step::StepKey;
use oa_runtime::Address;
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use serde::de::DeserializeOwned;

use crate::error::JournalError;

/// A command that was accepted and is to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The attempt at a step.
    pub step: StepKey,
    /// The command, as JSON.
    pub command: String,
    /// Who gets the reports.
    pub reply_to: Address,
    /// Why it is not wanted any more, if so; the job still has to finish it.
    pub cancel_reason: Option<String>,
    /// When it was accepted: milliseconds since 1970, UTC.
    pub accepted_at_ms: i64,
}

impl Task {
    /// The command.
    ///
    /// # Errors
    ///
    /// [`JournalError::Damaged`] if another release wrote what this one cannot read.
    pub fn command<C: DeserializeOwned>(&self) -> Result<C, JournalError> {
        serde_json::from_str(&self.command).map_err(|cause| JournalError::Damaged {
            attempt_id: self.step.attempt_id.to_string(),
            why: cause.to_string(),
        })
    }
}

const COLUMNS: &str = "attempt_id, workflow_id, seq, attempt_no, epoch, command, reply_to, cancel_reason, accepted_at_ms";

/// Open tasks, the oldest first.
pub(crate) async fn open(db: &impl ConnectionTrait) -> Result<Vec<QueryResult>, DbErr> {
    let select = format!(
        "SELECT {COLUMNS} FROM task WHERE state = 'accepted' ORDER BY accepted_at_ms, attempt_id"
    );
    sql::query(db, &select, []).await
}

/// The task of an attempt, if it is open.
pub(crate) async fn find_open(
    db: &impl ConnectionTrait,
    attempt_id: AttemptId,
) -> Result<Option<QueryResult>, DbErr> {
    let select = format!("SELECT {COLUMNS} FROM task WHERE state = 'accepted' AND attempt_id = $1");
    Ok(sql::query(db, &select, [attempt_id.to_string().into()]).await?.into_iter().next())
}

/// Reads one row; what is wrong with it is no trouble for the others.
pub(crate) fn read(row: &QueryResult) -> Result<Task, JournalError> {
    let attempt_id: String = row.try_get("", "attempt_id")?;
    let damaged = |what: &str, why: String| JournalError::Damaged {
        attempt_id: attempt_id.clone(),
        why: format!("{what}: {why}"),
    };
    let workflow_id: String = row.try_get("", "workflow_id")?;
    let reply_to: String = row.try_get("", "reply_to")?;
    let epoch: i64 = row.try_get("", "epoch")?;
    let step = StepKey {
        workflow_id: workflow_id
            .parse()
            .map_err(|cause| damaged("workflow_id", format!("{cause}")))?,
        seq: row.try_get("", "seq")?,
        attempt_id: attempt_id
            .parse()
            .map_err(|cause| damaged("attempt_id", format!("{cause}")))?,
        attempt_no: row.try_get("", "attempt_no")?,
        epoch: u64::try_from(epoch).map_err(|cause| damaged("epoch", cause.to_string()))?,
    };
    Ok(Task {
        step,
        command: row.try_get("", "command")?,
        reply_to: reply_to.parse().map_err(|cause| damaged("reply_to", format!("{cause}")))?,
        cancel_reason: row.try_get("", "cancel_reason")?,
        accepted_at_ms: row.try_get("", "accepted_at_ms")?,
    })
}

/// Whether the attempt is known, open or finished.
pub(crate) async fn exists(
    tx: &impl ConnectionTrait,
    attempt_id: AttemptId,
) -> Result<bool, DbErr> {
    let select = "SELECT 1 AS known FROM task WHERE attempt_id = $1";
    Ok(!sql::query(tx, select, [attempt_id.to_string().into()]).await?.is_empty())
}

pub(crate) async fn insert(
    tx: &impl ConnectionTrait,
    step: &StepKey,
    command: &str,
    reply_to: &Address,
    now_ms: i64,
) -> Result<(), DbErr> {
    let insert = "INSERT INTO task (attempt_id, workflow_id, seq, attempt_no, epoch, command, reply_to, \
                  accepted_at_ms, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'accepted')";
    let values = [
        step.attempt_id.to_string().into(),
        step.workflow_id.to_string().into(),
        step.seq.into(),
        step.attempt_no.into(),
        step.epoch.cast_signed().into(),
        command.into(),
        reply_to.to_string().into(),
        now_ms.into(),
    ];
    sql::execute(tx, insert, values).await.map(drop)
}

pub(crate) async fn finish(
    tx: &impl ConnectionTrait,
    attempt_id: AttemptId,
    now_ms: i64,
) -> Result<(), DbErr> {
    let update = "UPDATE task SET state = 'finished', finished_at_ms = $1 WHERE attempt_id = $2";
    sql::execute(tx, update, [now_ms.into(), attempt_id.to_string().into()]).await.map(drop)
}

/// Marks an open task; false if there is none. The first reason stays.
pub(crate) async fn cancel(
    tx: &impl ConnectionTrait,
    attempt_id: AttemptId,
    why: &str,
) -> Result<bool, DbErr> {
    let update = "UPDATE task SET cancel_reason = coalesce(cancel_reason, $1) \
                  WHERE state = 'accepted' AND attempt_id = $2";
    Ok(sql::execute(tx, update, [why.into(), attempt_id.to_string().into()]).await?.rows_affected()
        == 1)
}

/// Marks the open tasks of earlier attempts at the same step; returns them with their reason.
pub(crate) async fn cancel_earlier(
    tx: &impl ConnectionTrait,
    step: &StepKey,
    why: &str,
) -> Result<Vec<(AttemptId, String)>, DbErr> {
    let update = "UPDATE task SET cancel_reason = coalesce(cancel_reason, $1) \
                  WHERE state = 'accepted' AND workflow_id = $2 AND seq = $3 AND attempt_no < $4 \
                  RETURNING attempt_id, cancel_reason";
    let values =
        [why.into(), step.workflow_id.to_string().into(), step.seq.into(), step.attempt_no.into()];
    let mut earlier = Vec::new();
    for row in sql::query(tx, update, values).await? {
        let attempt_id: String = row.try_get("", "attempt_id")?;
        // An id that cannot be read names no job that could be told.
        if let Ok(attempt_id) = attempt_id.parse() {
            earlier.push((attempt_id, row.try_get("", "cancel_reason")?));
        }
    }
    Ok(earlier)
}
