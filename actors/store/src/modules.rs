//! Components that run, as their heartbeats say.

use std::time::Duration;

use oa_durable::Database;
use oa_protocol::module::Heartbeat;
use sea_orm::Value;

use crate::clock::Clock;
use crate::entities::modules;
use crate::error::{StoreError, settle};
use crate::sql;

/// A component that runs, or ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Number of the row.
    pub id: i64,
    /// Exchange that it is in; without one, this node's own place.
    pub messaging_exchange_id: Option<i64>,
    /// The node.
    pub hostname: String,
    /// The component, such as `builder`.
    pub kind: String,
    /// `active` or `inactive`.
    pub status: String,
    /// What it works on: one line an item.
    pub workload: Vec<String>,
    /// When it was heard of first.
    pub inserted_at_ms: i64,
    /// When it was heard of last.
    pub updated_at_ms: i64,
}

/// The modules of the store.
#[derive(Debug, Clone)]
pub struct Modules {
    db: Database,
    clock: Clock,
}

impl Modules {
    pub(crate) fn new(db: Database, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Notes a heartbeat; the first one registers the module.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn heartbeat(
        &self,
        heartbeat: &Heartbeat,
        exchange: Option<i64>,
    ) -> Result<(), StoreError> {
        let now_ms = self.clock.now_ms();
        let values: Vec<Value> = vec![
            exchange.into(),
            heartbeat.hostname.clone().into(),
            heartbeat.kind.clone().into(),
            heartbeat.status.clone().into(),
            serde_json::Value::from(heartbeat.workload.clone()).to_string().into(),
            now_ms.into(),
        ];
        let upsert = "INSERT INTO messaging_exchange_modules \
             (messaging_exchange_id, hostname, type, status, workload, inserted_at_ms, updated_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $6) \
             ON CONFLICT (coalesce(messaging_exchange_id, 0), hostname, type) \
             DO UPDATE SET status = excluded.status, workload = excluded.workload, \
             updated_at_ms = excluded.updated_at_ms";
        self.db
            .write::<_, StoreError, _>(move |tx| {
                Box::pin(async move {
                    sql::execute(tx, upsert, values).await?;
                    Ok(())
                })
            })
            .await
            .map_err(settle)
    }

    /// Every module that was ever heard of, by number.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn list(&self) -> Result<Vec<Module>, StoreError> {
        let select = "SELECT * FROM messaging_exchange_modules ORDER BY id";
        let rows: Vec<modules::Model> = sql::models(self.db.reader(), select, []).await?;
        Ok(rows.into_iter().map(read).collect())
    }

    /// Modules of a kind that are active and were heard of within `freshness`.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn active(&self, kind: &str, freshness: Duration) -> Result<Vec<Module>, StoreError> {
        let since_ms =
            self.clock.now_ms() - i64::try_from(freshness.as_millis()).unwrap_or(i64::MAX);
        let select = "SELECT * FROM messaging_exchange_modules \
                      WHERE type = $1 AND status = 'active' AND updated_at_ms >= $2 ORDER BY id";
        let rows: Vec<modules::Model> =
            sql::models(self.db.reader(), select, [kind.into(), since_ms.into()]).await?;
        Ok(rows.into_iter().map(read).collect())
    }
}

fn read(row: modules::Model) -> Module {
    Module {
        id: row.id,
        messaging_exchange_id: row.messaging_exchange_id,
        hostname: row.hostname,
        kind: row.kind,
        status: row.status,
        // A module stays visible, whatever became of its workload.
        workload: serde_json::from_str(&row.workload).unwrap_or_default(),
        inserted_at_ms: row.inserted_at_ms,
        updated_at_ms: row.updated_at_ms,
    }
}
