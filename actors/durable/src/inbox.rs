//! Messages that were received: a second delivery is recognised in the transaction that the first one caused.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DbErr, Value};

use crate::database::{Database, Written};
use crate::sql;

/// The inbox table of a database; the migration makes it with [`crate::schema::inbox_table`].
#[derive(Debug, Clone)]
pub struct Inbox {
    db: Database,
}

impl Inbox {
    /// The inbox of `db`.
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    /// Notes a message in the running transaction; false if it was there already.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn insert(
        tx: &impl ConnectionTrait,
        message_id: &str,
        at_ms: i64,
    ) -> Result<bool, DbErr> {
        let insert =
            "INSERT INTO inbox (message_id, received_at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        Ok(sql::execute(tx, insert, [message_id.into(), at_ms.into()]).await?.rows_affected() == 1)
    }

    /// Notes several messages with one statement; returns those that were not there.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn insert_all(
        tx: &impl ConnectionTrait,
        message_ids: &[String],
        at_ms: i64,
    ) -> Result<HashSet<String>, DbErr> {
        if message_ids.is_empty() {
            return Ok(HashSet::new());
        }
        let values = message_ids.iter().flat_map(|id| [Value::from(id.clone()), at_ms.into()]);
        let insert = format!(
            "INSERT INTO inbox (message_id, received_at_ms) VALUES {} ON CONFLICT DO NOTHING RETURNING message_id",
            sql::rows(message_ids.len(), 2)
        );
        let rows = sql::query(tx, &insert, values).await?;
        rows.iter().map(|row| row.try_get("", "message_id")).collect()
    }

    /// Deletes up to `limit` notes from before `before_ms`; returns how many. A message that comes again after that
    /// counts as new, so notes must outlive every message.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn prune(&self, before_ms: i64, limit: u64) -> Written<u64> {
        let delete = "DELETE FROM inbox WHERE message_id IN \
                      (SELECT message_id FROM inbox WHERE received_at_ms < $1 LIMIT $2)";
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    Ok(sql::execute(tx, delete, [before_ms.into(), limit.into()])
                        .await?
                        .rows_affected())
                })
            })
            .await
    }
}
