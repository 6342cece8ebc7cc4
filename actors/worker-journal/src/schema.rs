//! The tables of a journal.

use oa_durable::schema::{inbox_table, outbox_table};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait::async_trait,
};

/// One baseline per release.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Baseline)]
    }
}

struct Baseline;

impl MigrationName for Baseline {
    fn name(&self) -> &str {
        "worker_journal_0_1"
    }
}

#[async_trait]
#[allow(elided_lifetimes_in_paths, reason = "the trait leaves it out")]
impl MigrationTrait for Baseline {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in STATEMENTS {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        inbox_table(manager).await?;
        outbox_table(manager).await
    }
}

const STATEMENTS: [&str; 5] = [
    "CREATE TABLE task (
        attempt_id TEXT PRIMARY KEY NOT NULL,
        workflow_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        attempt_no INTEGER NOT NULL,
        epoch BIGINT NOT NULL,
        command TEXT NOT NULL,
        reply_to TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('accepted', 'finished')),
        cancel_reason TEXT,
        accepted_at_ms BIGINT NOT NULL,
        finished_at_ms BIGINT,
        CHECK ((state = 'finished') = (finished_at_ms IS NOT NULL)))",
    "CREATE INDEX task_open ON task (accepted_at_ms) WHERE state = 'accepted'",
    "CREATE INDEX task_finished ON task (finished_at_ms) WHERE state = 'finished'",
    "CREATE TABLE effect (
        effect_key TEXT PRIMARY KEY NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('begun', 'done', 'tombstoned')),
        external_ref TEXT,
        changed_at_ms BIGINT NOT NULL)",
    // The highest numbers seen: a command below them was decided before one that is known already.
    "CREATE TABLE fence (
        workflow_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        max_epoch BIGINT NOT NULL,
        max_attempt INTEGER NOT NULL,
        changed_at_ms BIGINT NOT NULL,
        PRIMARY KEY (workflow_id, seq))",
];
