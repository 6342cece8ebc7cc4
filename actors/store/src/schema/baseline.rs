//! The first migration: every table.

use oa_durable::schema::{dead_message_table, inbox_table, outbox_table};
use sea_orm::{ConnectionTrait, DbErr, DeriveMigrationName};
use sea_orm_migration::{MigrationTrait, SchemaManager};

use super::{platform, usage, workflow};

/// Workflows are spread over so many shards.
pub(crate) const SHARDS: i64 = 16;

#[derive(DeriveMigrationName)]
pub(super) struct Baseline;

// The trait leaves this lifetime out, and an implementation must do the same.
#[allow(elided_lifetimes_in_paths)]
#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Baseline {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for spec in platform::TABLES.iter().chain(workflow::TABLES).chain(usage::TABLES) {
            manager.create_table(spec.statement()).await?;
        }
        outbox_table(manager).await?;
        inbox_table(manager).await?;
        dead_message_table(manager).await?;
        let db = manager.get_connection();
        for index in platform::INDEXES.iter().chain(workflow::INDEXES).chain(usage::INDEXES) {
            db.execute_unprepared(&format!("CREATE {index}")).await?;
        }
        for shard in 0..SHARDS {
            db.execute_unprepared(&format!(
                "INSERT INTO shard_lease (shard, epoch, beat) VALUES ({shard}, 0, 0)"
            ))
            .await?;
        }
        Ok(())
    }
}
