//! Who decides about workflows.
//!
//! Workflows are spread over shards. A shard has one owner, and each owner gets an epoch above the last; it travels
//! in every command, and every batch of transitions checks it, so an owner that was replaced decides nothing more.

use std::collections::BTreeMap;

use oa_durable::Database;
use oa_protocol::WorkflowId;
use sea_orm::{ConnectionTrait, DbErr};

use crate::error::{StoreError, settle};
use crate::schema::SHARDS;
use crate::sql;

/// The shards that this process owns.
#[derive(Debug)]
pub(crate) struct Lease {
    owner: String,
    /// Epoch by shard.
    epochs: BTreeMap<i64, i64>,
}

impl Lease {
    /// Takes every shard: with SQLite the file's lock says that nobody else is there.
    pub(crate) async fn take(db: &Database, node: &str) -> Result<Self, StoreError> {
        let owner = node.to_owned();
        let epochs = db.write::<_, StoreError, _>(|tx| {
            Box::pin(async move {
                let update = "UPDATE shard_lease SET owner = $1, epoch = epoch + 1, beat = 0";
                sql::execute(tx, update, [owner.into()]).await?;
                let rows = sql::query(tx, "SELECT shard, epoch FROM shard_lease", []).await?;
                let pair = |row: &sea_orm::QueryResult| {
                    Ok((row.try_get("", "shard")?, row.try_get("", "epoch")?))
                };
                Ok(rows.iter().map(pair).collect::<Result<BTreeMap<i64, i64>, DbErr>>()?)
            })
        });
        Ok(Self { owner: node.to_owned(), epochs: epochs.await.map_err(settle)? })
    }

    /// Leaves the shards to whoever comes next.
    pub(crate) async fn release(&self, db: &Database) -> Result<(), StoreError> {
        let owner = self.owner.clone();
        db.write::<_, StoreError, _>(|tx| {
            Box::pin(async move {
                sql::execute(
                    tx,
                    "UPDATE shard_lease SET owner = NULL WHERE owner = $1",
                    [owner.into()],
                )
                .await?;
                Ok(())
            })
        })
        .await
        .map_err(settle)
    }

    /// The shard of a workflow.
    pub(crate) fn shard(id: WorkflowId) -> i64 {
        i64::from(id.as_uuid().as_bytes()[15]) % SHARDS
    }

    /// The epoch under which this process decides about a workflow.
    pub(crate) fn epoch(&self, id: WorkflowId) -> i64 {
        self.epochs.get(&Self::shard(id)).copied().unwrap_or(0)
    }

    /// Whether every shard is still this process's own.
    pub(crate) async fn holds(&self, tx: &impl ConnectionTrait) -> Result<bool, DbErr> {
        let rows = sql::query(
            tx,
            "SELECT shard, epoch FROM shard_lease WHERE owner = $1",
            [self.owner.clone().into()],
        );
        let mut held = BTreeMap::new();
        for row in rows.await? {
            held.insert(row.try_get("", "shard")?, row.try_get("", "epoch")?);
        }
        Ok(held == self.epochs)
    }
}
