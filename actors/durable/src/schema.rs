//! Tables that several databases have, for their migrations.
//!
//! The statements are the same for SQLite and PostgreSQL.

use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::SchemaManager;

/// Makes the table of messages that wait to be handed over: [`crate::Outbox`].
///
/// # Errors
///
/// What the database said.
pub async fn outbox_table(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    db.execute_unprepared(
        "CREATE TABLE outbox (
            id TEXT PRIMARY KEY NOT NULL,
            exchange TEXT NOT NULL,
            mailbox TEXT NOT NULL,
            envelope TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('pending', 'sent', 'parked')),
            tries INTEGER NOT NULL,
            next_at_ms BIGINT NOT NULL,
            why TEXT,
            created_at_ms BIGINT NOT NULL,
            sent_at_ms BIGINT,
            CHECK ((state = 'sent') = (sent_at_ms IS NOT NULL)))",
    )
    .await?;
    db.execute_unprepared("CREATE INDEX outbox_due ON outbox (next_at_ms) WHERE state = 'pending'")
        .await?;
    db.execute_unprepared(
        "CREATE INDEX outbox_parked ON outbox (created_at_ms) WHERE state = 'parked'",
    )
    .await?;
    db.execute_unprepared("CREATE INDEX outbox_sent ON outbox (sent_at_ms) WHERE state = 'sent'")
        .await?;
    Ok(())
}

/// Makes the table of messages that were received, so that a second delivery is recognised: [`crate::Inbox`].
///
/// # Errors
///
/// What the database said.
pub async fn inbox_table(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    db.execute_unprepared(
        "CREATE TABLE inbox (message_id TEXT PRIMARY KEY NOT NULL, received_at_ms BIGINT NOT NULL)",
    )
    .await?;
    db.execute_unprepared("CREATE INDEX inbox_received ON inbox (received_at_ms)").await?;
    Ok(())
}

/// Makes the table of messages that nobody could handle, kept for a person: [`crate::DeadMessages`].
///
/// # Errors
///
/// What the database said.
pub async fn dead_message_table(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    db.execute_unprepared(
        "CREATE TABLE dead_message (
            id TEXT PRIMARY KEY NOT NULL,
            mailbox TEXT NOT NULL,
            reason TEXT NOT NULL,
            envelope TEXT NOT NULL,
            first_at_ms BIGINT NOT NULL,
            resolved_at_ms BIGINT,
            resolved_by TEXT)",
    )
    .await?;
    db.execute_unprepared(
        "CREATE INDEX dead_message_open ON dead_message (first_at_ms) WHERE resolved_at_ms IS NULL",
    )
    .await?;
    Ok(())
}
