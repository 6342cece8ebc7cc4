//! Clusters: make, show, delete.

use oa_durable::{Database, WriteError};
use oa_protocol::EtcdToken;
use sea_orm::{ActiveValue, ConnectionTrait, EntityTrait, SqlErr};

use crate::clock::Clock;
use crate::entities::etcd_clusters;
use crate::error::{StoreError, refuse, settle};
use crate::sql;

/// A cluster as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Number of the row.
    pub id: i64,
    /// Its id for people and programs.
    pub etcd_token: EtcdToken,
    /// Its name, for people.
    pub name: Option<String>,
    /// Cloud provider that it is at.
    pub hosting_provider_id: Option<i64>,
    /// Whether images may be built there.
    pub allow_docker_builds: Option<bool>,
    /// Exchange that it is in; without one, this node's own place.
    pub messaging_exchange_id: Option<i64>,
    /// When it was made.
    pub inserted_at_ms: i64,
    /// When it changed last.
    pub updated_at_ms: i64,
}

/// What a client sends to make a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCluster {
    /// Its id; compared without regard to case.
    pub etcd_token: EtcdToken,
    /// Its name: 1 to 255 characters.
    pub name: Option<String>,
    /// Cloud provider that it is at.
    pub hosting_provider_id: Option<i64>,
    /// Whether images may be built there.
    pub allow_docker_builds: Option<bool>,
    /// Exchange that it is in.
    pub messaging_exchange_id: Option<i64>,
}

impl NewCluster {
    /// A cluster with nothing but a token.
    #[must_use]
    pub fn new(etcd_token: EtcdToken) -> Self {
        Self {
            etcd_token,
            name: None,
            hosting_provider_id: None,
            allow_docker_builds: None,
            messaging_exchange_id: None,
        }
    }
}

/// Why a cluster was not made, shown or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// There is one with that token.
    #[error("a cluster with the token `{etcd_token}` already exists")]
    Exists {
        /// The token.
        etcd_token: EtcdToken,
    },
    /// There is none with that token.
    #[error("there is no cluster with the token `{etcd_token}`")]
    NotFound {
        /// The token.
        etcd_token: EtcdToken,
    },
    /// Something refers to it.
    #[error("the cluster `{etcd_token}` is still in use: {by} must go first")]
    InUse {
        /// The token.
        etcd_token: EtcdToken,
        /// What refers to it.
        by: String,
    },
    /// A field holds what it must not.
    #[error("{field}: {why}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClusterError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(cause) if cause.is_retryable())
    }
}

/// The clusters of the store.
#[derive(Debug, Clone)]
pub struct Clusters {
    db: Database,
    clock: Clock,
}

impl Clusters {
    pub(crate) fn new(db: Database, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// Makes a cluster.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Exists`]; [`ClusterError::Invalid`] for a reference to what is not there.
    pub async fn create(&self, new: NewCluster) -> Result<Cluster, ClusterError> {
        let now_ms = self.clock.now_ms();
        self.db
            .write::<_, ClusterError, _>(move |tx| {
                Box::pin(async move { create(tx, new, now_ms).await })
            })
            .await
            .map_err(settle)
    }

    /// The cluster with that token; made now if there is none.
    ///
    /// # Errors
    ///
    /// As [`Clusters::create`].
    pub async fn ensure(&self, new: NewCluster) -> Result<Cluster, ClusterError> {
        if let Some(found) = self.get(&new.etcd_token).await? {
            return Ok(found);
        }
        let etcd_token = new.etcd_token.clone();
        match self.create(new).await {
            Err(ClusterError::Exists { .. }) => {
                self.get(&etcd_token).await?.ok_or(ClusterError::NotFound { etcd_token })
            }
            made => made,
        }
    }

    /// The cluster with that token.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn get(&self, etcd_token: &EtcdToken) -> Result<Option<Cluster>, StoreError> {
        find(self.db.reader(), etcd_token).await
    }

    /// Every cluster, by number; `Some(true)` and `Some(false)` filter by whether images may be built there.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub async fn list(
        &self,
        allow_docker_builds: Option<bool>,
    ) -> Result<Vec<Cluster>, StoreError> {
        let rows =
            sql::models(self.db.reader(), "SELECT * FROM etcd_clusters ORDER BY id", []).await?;
        let clusters: Result<Vec<Cluster>, StoreError> = rows.into_iter().map(read).collect();
        let mut clusters = clusters?;
        clusters.retain(|cluster| {
            allow_docker_builds.is_none_or(|wanted| cluster.allow_docker_builds == Some(wanted))
        });
        Ok(clusters)
    }

    /// Deletes a cluster and the ports of units on it.
    ///
    /// # Errors
    ///
    /// [`ClusterError::NotFound`]; [`ClusterError::InUse`] while a product or a workflow uses it.
    pub async fn delete(&self, etcd_token: &EtcdToken) -> Result<(), ClusterError> {
        let etcd_token = etcd_token.clone();
        self.db
            .write::<_, ClusterError, _>(|tx| Box::pin(async move { delete(tx, etcd_token).await }))
            .await
            .map_err(settle)
    }
}

pub(crate) async fn find(
    db: &impl ConnectionTrait,
    etcd_token: &EtcdToken,
) -> Result<Option<Cluster>, StoreError> {
    let select = "SELECT * FROM etcd_clusters WHERE lower(etcd_token) = lower($1)";
    let rows = sql::models(db, select, [etcd_token.as_str().into()]).await?;
    rows.into_iter().next().map(read).transpose()
}

async fn create(
    tx: &impl ConnectionTrait,
    new: NewCluster,
    now_ms: i64,
) -> Result<Cluster, WriteError<ClusterError>> {
    if let Some(name) = &new.name {
        let length = name.chars().count();
        if length == 0 || length > 255 {
            let why = format!("it has {length} characters; 1 to 255 are allowed");
            return refuse(ClusterError::Invalid { field: "name", why });
        }
    }
    let references = [
        ("hosting_provider_id", "cloud_providers", new.hosting_provider_id),
        ("messaging_exchange_id", "messaging_exchanges", new.messaging_exchange_id),
    ];
    for (field, table, id) in references {
        let Some(id) = id else { continue };
        let found =
            sql::query(tx, &format!("SELECT id FROM {table} WHERE id = $1"), [id.into()]).await?;
        if found.is_empty() {
            return refuse(ClusterError::Invalid {
                field,
                why: format!("there is none with the id {id}"),
            });
        }
    }
    let row = etcd_clusters::ActiveModel {
        id: ActiveValue::NotSet,
        etcd_token: ActiveValue::Set(new.etcd_token.as_str().to_owned()),
        name: ActiveValue::Set(new.name),
        hosting_provider_id: ActiveValue::Set(new.hosting_provider_id),
        allow_docker_builds: ActiveValue::Set(new.allow_docker_builds),
        messaging_exchange_id: ActiveValue::Set(new.messaging_exchange_id),
        inserted_at_ms: ActiveValue::Set(now_ms),
        updated_at_ms: ActiveValue::Set(now_ms),
    };
    match etcd_clusters::Entity::insert(row).exec_with_returning(tx).await {
        Ok(row) => read(row).or_else(|cause| refuse(cause.into())),
        Err(cause) if matches!(cause.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            refuse(ClusterError::Exists { etcd_token: new.etcd_token })
        }
        Err(cause) => Err(cause.into()),
    }
}

async fn delete(
    tx: &impl ConnectionTrait,
    etcd_token: EtcdToken,
) -> Result<(), WriteError<ClusterError>> {
    let cluster = match find(tx, &etcd_token).await {
        Ok(Some(cluster)) => cluster,
        Ok(None) => return refuse(ClusterError::NotFound { etcd_token }),
        Err(cause) => return refuse(cause.into()),
    };
    let users = [
        ("a product", "SELECT 1 FROM product_clusters WHERE etcd_cluster_id = $1 LIMIT 1"),
        (
            "a component's port",
            "SELECT 1 FROM etcd_cluster_ports WHERE etcd_cluster_id = $1 AND product_component_id IS NOT NULL LIMIT 1",
        ),
    ];
    for (by, select) in users {
        if !sql::query(tx, select, [cluster.id.into()]).await?.is_empty() {
            return refuse(ClusterError::InUse { etcd_token, by: by.to_owned() });
        }
    }
    // The token has no `/` and no wildcard but `_`, which only makes the net wider than the check that follows.
    let claims = "SELECT target, workflow_id FROM target_claims WHERE released_at_ms IS NULL AND target LIKE $1";
    let prefix = format!("{}/", cluster.etcd_token.as_str().to_ascii_lowercase());
    for row in sql::query(tx, claims, [format!("{prefix}%").into()]).await? {
        let (target, workflow): (String, String) =
            (row.try_get("", "target")?, row.try_get("", "workflow_id")?);
        if target.starts_with(&prefix) {
            return refuse(ClusterError::InUse { etcd_token, by: format!("workflow {workflow}") });
        }
    }
    sql::execute(
        tx,
        "DELETE FROM etcd_cluster_ports WHERE etcd_cluster_id = $1",
        [cluster.id.into()],
    )
    .await?;
    sql::execute(tx, "DELETE FROM etcd_clusters WHERE id = $1", [cluster.id.into()]).await?;
    Ok(())
}

fn read(row: etcd_clusters::Model) -> Result<Cluster, StoreError> {
    let etcd_token = EtcdToken::new(row.etcd_token)
        .map_err(|why| StoreError::corrupt("cluster", row.id, why))?;
    Ok(Cluster {
        id: row.id,
        etcd_token,
        name: row.name,
        hosting_provider_id: row.hosting_provider_id,
        allow_docker_builds: row.allow_docker_builds,
        messaging_exchange_id: row.messaging_exchange_id,
        inserted_at_ms: row.inserted_at_ms,
        updated_at_ms: row.updated_at_ms,
    })
}
