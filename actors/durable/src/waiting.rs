//! Messages of an outbox that have not left it, for whoever asks why something waits.

use sea_orm::DbErr;

use crate::outbox::Outbox;
use crate::sql;

/// A message that was decided and has not been handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingMessage {
    /// Id of the message.
    pub id: String,
    /// Mailbox that it goes to.
    pub mailbox: String,
    /// Type of the message; nothing if this release cannot read it.
    pub name: Option<String>,
    /// What the message asks for; the same when the same thing is asked again.
    pub key: Option<String>,
    /// Whether it was set aside for a person.
    pub is_parked: bool,
    /// Failed tries so far.
    pub tries: u32,
    /// Why the last one failed.
    pub why: Option<String>,
    /// When it was decided: milliseconds since 1970, UTC.
    pub created_at_ms: i64,
    /// When it is tried next, unless it is parked.
    pub next_at_ms: i64,
}

impl Outbox {
    /// Messages that are pending or parked, the oldest first.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn waiting(&self, limit: u64) -> Result<Vec<WaitingMessage>, DbErr> {
        let select = "SELECT id, mailbox, state, tries, why, created_at_ms, next_at_ms, envelope FROM outbox \
                      WHERE state IN ('pending', 'parked') ORDER BY created_at_ms LIMIT $1";
        let rows = sql::query(self.database().reader(), select, [limit.into()]).await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &sea_orm::QueryResult) -> Result<WaitingMessage, DbErr> {
    let envelope: String = row.try_get("", "envelope")?;
    let envelope: Option<oa_runtime::Envelope> = serde_json::from_str(&envelope).ok();
    let state: String = row.try_get("", "state")?;
    Ok(WaitingMessage {
        id: row.try_get("", "id")?,
        mailbox: row.try_get("", "mailbox")?,
        name: envelope.as_ref().map(|envelope| envelope.name.clone()),
        key: envelope.and_then(|envelope| envelope.idempotency_key),
        is_parked: state == "parked",
        tries: row.try_get("", "tries")?,
        why: row.try_get("", "why")?,
        created_at_ms: row.try_get("", "created_at_ms")?,
        next_at_ms: row.try_get("", "next_at_ms")?,
    })
}
