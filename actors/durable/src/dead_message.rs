//! Messages that nobody could handle, kept with their reason until a person deals with them.

use oa_runtime::transport::ParkedMail;
use sea_orm::{ConnectionTrait, DbErr};

use crate::database::{Database, Written};
use crate::sql;

/// The table of dead messages; the migration makes it with [`crate::schema::dead_message_table`].
#[derive(Debug, Clone)]
pub struct DeadMessages {
    db: Database,
}

/// A message that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadMessage {
    /// Id of the message.
    pub id: String,
    /// Mailbox that it was for.
    pub mailbox: String,
    /// Why it was not handled.
    pub reason: String,
    /// The whole envelope, as JSON.
    pub envelope: String,
    /// When it was set aside first: milliseconds since 1970, UTC.
    pub first_at_ms: i64,
}

impl DeadMessages {
    /// The dead messages of `db`.
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    /// Keeps a message in the running transaction; false if it is kept already.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn insert(tx: &impl ConnectionTrait, mail: &ParkedMail) -> Result<bool, DbErr> {
        let envelope = &mail.envelope;
        let json = serde_json::to_string(envelope)
            .map_err(|cause| DbErr::Json(format!("message {}: {cause}", envelope.message_id())))?;
        let insert = "INSERT INTO dead_message (id, mailbox, reason, envelope, first_at_ms) \
                      VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let values = [
            envelope.message_id().to_string().into(),
            envelope.to().to_string().into(),
            mail.reason.clone().into(),
            json.into(),
            mail.parked_at_ms.into(),
        ];
        Ok(sql::execute(tx, insert, values).await?.rows_affected() == 1)
    }

    /// What waits for a person, the oldest first.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn open(&self, limit: u64) -> Result<Vec<DeadMessage>, DbErr> {
        let select = "SELECT id, mailbox, reason, envelope, first_at_ms FROM dead_message \
                      WHERE resolved_at_ms IS NULL ORDER BY first_at_ms LIMIT $1";
        let rows = sql::query(self.db.reader(), select, [limit.into()]).await?;
        let read = |row: &sea_orm::QueryResult| {
            Ok(DeadMessage {
                id: row.try_get("", "id")?,
                mailbox: row.try_get("", "mailbox")?,
                reason: row.try_get("", "reason")?,
                envelope: row.try_get("", "envelope")?,
                first_at_ms: row.try_get("", "first_at_ms")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Notes that `by` has dealt with it; false if there is no such open message.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn resolve(&self, id: String, by: String) -> Written<bool> {
        let update = "UPDATE dead_message SET resolved_at_ms = $1, resolved_by = $2 \
                      WHERE id = $3 AND resolved_at_ms IS NULL";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let done =
                        sql::execute(tx, update, [sql::now_ms().into(), by.into(), id.into()])
                            .await?;
                    Ok(done.rows_affected() == 1)
                })
            })
            .await
    }
}
