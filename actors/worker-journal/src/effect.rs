//! What a step does to the world, written down before and after.
//!
//! The key is the same for all attempts at a step ([`StepKey::effect_key`]), so a later attempt learns what an
//! earlier one may have done. An undone effect leaves a tombstone, and a late `begin` then says no.
//!
//! [`StepKey::effect_key`]: oa_protocol::step::StepKey::effect_key

use oa_durable::sql;
use sea_orm::ConnectionTrait;

use crate::error::JournalError;

/// What is known of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectState {
    /// Nothing was known before: go ahead.
    Fresh,
    /// An earlier run began it and may have done it: probe first.
    Begun,
    /// It is done.
    Done {
        /// What the other side calls it.
        external_ref: Option<String>,
    },
    /// It was undone or given up, and must not be done any more.
    Tombstoned,
}

/// An effect that is done, for [`WorkerJournal::finish_with`](crate::WorkerJournal::finish_with).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneEffect {
    /// Its key.
    pub key: String,
    /// What the other side calls it.
    pub external_ref: Option<String>,
}

/// Notes that it begins, unless something is known of it.
pub(crate) async fn begin(
    tx: &impl ConnectionTrait,
    key: &str,
) -> Result<EffectState, JournalError> {
    let insert = "INSERT INTO effect (effect_key, state, changed_at_ms) VALUES ($1, 'begun', $2) ON CONFLICT DO NOTHING";
    if sql::execute(tx, insert, [key.into(), sql::now_ms().into()]).await?.rows_affected() == 1 {
        return Ok(EffectState::Fresh);
    }
    state(tx, key).await
}

/// Notes that it is done; false if it has a tombstone.
pub(crate) async fn done(
    tx: &impl ConnectionTrait,
    effect: &DoneEffect,
) -> Result<bool, JournalError> {
    let upsert = "INSERT INTO effect (effect_key, state, external_ref, changed_at_ms) VALUES ($1, 'done', $2, $3) \
                  ON CONFLICT (effect_key) DO UPDATE SET state = 'done', external_ref = $2, changed_at_ms = $3 \
                  WHERE effect.state <> 'tombstoned'";
    let values =
        [effect.key.as_str().into(), effect.external_ref.clone().into(), sql::now_ms().into()];
    Ok(sql::execute(tx, upsert, values).await?.rows_affected() == 1)
}

/// Leaves a tombstone and tells what was there before.
pub(crate) async fn tombstone(
    tx: &impl ConnectionTrait,
    key: &str,
) -> Result<EffectState, JournalError> {
    let before = state(tx, key).await?;
    let upsert = "INSERT INTO effect (effect_key, state, changed_at_ms) VALUES ($1, 'tombstoned', $2) \
                  ON CONFLICT (effect_key) DO UPDATE SET state = 'tombstoned', changed_at_ms = $2";
    sql::execute(tx, upsert, [key.into(), sql::now_ms().into()]).await?;
    Ok(before)
}

/// What is known of it; [`EffectState::Fresh`] if nothing is.
pub(crate) async fn state(
    db: &impl ConnectionTrait,
    key: &str,
) -> Result<EffectState, JournalError> {
    let select = "SELECT state, external_ref FROM effect WHERE effect_key = $1";
    let rows = sql::query(db, select, [key.into()]).await?;
    let Some(row) = rows.first() else { return Ok(EffectState::Fresh) };
    let state: String = row.try_get("", "state")?;
    match state.as_str() {
        "begun" => Ok(EffectState::Begun),
        "done" => Ok(EffectState::Done { external_ref: row.try_get("", "external_ref")? }),
        "tombstoned" => Ok(EffectState::Tombstoned),
        other => Err(JournalError::Damaged {
            attempt_id: key.to_owned(),
            why: format!("unknown state `{other}` of an effect"),
        }),
    }
}
