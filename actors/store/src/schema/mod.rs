//! The tables, as one migration for each release.
//!
//! A table is a line of [`table::TableSpec`]; what sea-query makes of it is read by SQLite and PostgreSQL alike.
//! Times are milliseconds since 1970, UTC; lists of states live in the program and, for workflows, also in CHECKs.

mod baseline;
mod platform;
mod table;
mod usage;
mod workflow;

pub(crate) use baseline::SHARDS;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// Every migration, in order.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(baseline::Baseline)]
    }
}
