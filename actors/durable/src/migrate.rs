//! Brings the schema up to date.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::Query;
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager, seaql_migrations};

use crate::database::Database;
use crate::error::{MigrateError, WriteError};

impl Database {
    /// Applies the migrations of `M` that are missing, in their order, each in a transaction of its own.
    ///
    /// The database's lock keeps other processes out, and a second call in this one waits.
    ///
    /// # Errors
    ///
    /// [`MigrateError::Newer`] before anything is touched; [`MigrateError::Failed`] with the migration's name.
    pub async fn migrate<M: MigratorTrait>(&self) -> Result<(), MigrateError> {
        let _one_at_a_time = self.migrating().lock().await;
        let applied = self.applied::<M>().await?;
        let known: HashSet<String> =
            M::migrations().iter().map(|migration| migration.name().to_owned()).collect();
        let mut newer: Vec<String> =
            applied.iter().filter(|name| !known.contains(*name)).cloned().collect();
        if !newer.is_empty() {
            newer.sort();
            return Err(MigrateError::Newer { names: newer });
        }
        for migration in M::migrations() {
            let name = migration.name().to_owned();
            if !applied.contains(&name) {
                let failed = |cause| MigrateError::Failed { name: name.clone(), cause };
                self.apply::<M>(migration).await.map_err(failed)?;
                oa_crash_points::crash_point!(DatabaseMigrated);
                tracing::info!(database = %self.path().display(), migration = name, "migrated");
            }
        }
        Ok(())
    }

    async fn applied<M: MigratorTrait>(&self) -> Result<HashSet<String>, MigrateError> {
        let rows = self.write_within(None, |tx| {
            Box::pin(async move { Ok(M::get_migration_models(tx).await?) })
        });
        let rows = rows.await.map_err(MigrateError::History)?;
        Ok(rows.into_iter().map(|row| row.version).collect())
    }

    async fn apply<M: MigratorTrait>(
        &self,
        migration: Box<dyn MigrationTrait>,
    ) -> Result<(), WriteError> {
        let row = Query::insert()
            .into_table(M::migration_table_name())
            .columns([seaql_migrations::Column::Version, seaql_migrations::Column::AppliedAt])
            .values_panic([migration.name().into(), seconds_since_1970().into()])
            .to_owned();
        self.write_within(None, move |tx| {
            Box::pin(async move {
                migration.up(&SchemaManager::new(tx)).await?;
                tx.execute(&row).await?;
                Ok(())
            })
        })
        .await
    }
}

fn seconds_since_1970() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}
