//! Ports of clusters: each unit that needs one gets the lowest that is free.
//!
//! A reservation belongs to the unit's name. A later workflow replaces the unit in place, so it gets the same port
//! again and whoever talks to it need not be told.

use std::collections::{BTreeMap, BTreeSet};

use oa_durable::{Database, WriteError};
use oa_protocol::manager::ReservedPort;
use oa_protocol::{EtcdToken, UnitName, WorkflowId};
use sea_orm::{ActiveValue, ConnectionTrait, EntityTrait, Value};

use crate::clock::Clock;
use crate::clusters::find;
use crate::entities::etcd_cluster_ports;
use crate::error::{StoreError, refuse, settle};
use crate::sql;

/// Most units that one request may name.
const MOST_UNITS: usize = 1000;

/// Why no ports were reserved or released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// There is no such cluster.
    #[error("there is no cluster with the token `{etcd_token}`")]
    UnknownCluster {
        /// The token.
        etcd_token: EtcdToken,
    },
    /// Every port is taken.
    #[error(
        "the cluster `{etcd_token}` has no free port from {first} to 65535; release those of units that are gone"
    )]
    Exhausted {
        /// The token.
        etcd_token: EtcdToken,
        /// The first port that is given out.
        first: u16,
    },
    /// The request names too many units.
    #[error("{count} units are named; at most {MOST_UNITS} are allowed")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PortError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Store(cause) if cause.is_retryable())
    }
}

/// The ports of every cluster.
#[derive(Debug, Clone)]
pub struct Ports {
    db: Database,
    clock: Clock,
    /// The first port that is given out.
    first: u16,
}

impl Ports {
    pub(crate) fn new(db: Database, clock: Clock, first: u16) -> Self {
        Self { db, clock, first }
    }

    /// Reserves one port for each unit, all or none. A unit that has one keeps it, and `workflow` owns it from now on.
    ///
    /// # Errors
    ///
    /// [`PortError::UnknownCluster`], [`PortError::Exhausted`].
    pub async fn reserve(
        &self,
        etcd_token: &EtcdToken,
        workflow: WorkflowId,
        units: &[UnitName],
    ) -> Result<Vec<ReservedPort>, PortError> {
        if units.len() > MOST_UNITS {
            return Err(PortError::TooMany { count: units.len() });
        }
        let (etcd_token, units, now_ms) = (etcd_token.clone(), units.to_vec(), self.clock.now_ms());
        let first = self.first;
        self.db
            .write::<_, PortError, _>(move |tx| {
                Box::pin(
                    async move { reserve(tx, etcd_token, workflow, units, now_ms, first).await },
                )
            })
            .await
            .map_err(settle)
    }

    /// Frees the ports of units and says how many there were; with `workflow`, only those that it owns.
    ///
    /// # Errors
    ///
    /// [`PortError::UnknownCluster`].
    pub async fn release(
        &self,
        etcd_token: &EtcdToken,
        workflow: Option<WorkflowId>,
        units: &[UnitName],
    ) -> Result<u64, PortError> {
        if units.len() > MOST_UNITS {
            return Err(PortError::TooMany { count: units.len() });
        }
        let (etcd_token, units) = (etcd_token.clone(), units.to_vec());
        self.db
            .write::<_, PortError, _>(move |tx| {
                Box::pin(async move { release(tx, etcd_token, workflow, &units).await })
            })
            .await
            .map_err(settle)
    }

    /// Ports of units on a cluster, by number.
    ///
    /// # Errors
    ///
    /// [`PortError::UnknownCluster`].
    pub async fn list(&self, etcd_token: &EtcdToken) -> Result<Vec<ReservedPort>, PortError> {
        let found = find(self.db.reader(), etcd_token).await?;
        let cluster =
            found.ok_or_else(|| PortError::UnknownCluster { etcd_token: etcd_token.clone() })?;
        Ok(rows(self.db.reader(), cluster.id).await?.iter().filter_map(reserved).collect())
    }
}

async fn cluster_id(
    tx: &impl ConnectionTrait,
    etcd_token: &EtcdToken,
) -> Result<i64, WriteError<PortError>> {
    match find(tx, etcd_token).await {
        Ok(Some(cluster)) => Ok(cluster.id),
        Ok(None) => refuse(PortError::UnknownCluster { etcd_token: etcd_token.clone() }),
        Err(cause) => refuse(cause.into()),
    }
}

async fn rows(
    db: &impl ConnectionTrait,
    cluster: i64,
) -> Result<Vec<etcd_cluster_ports::Model>, StoreError> {
    let select = "SELECT * FROM etcd_cluster_ports WHERE etcd_cluster_id = $1 ORDER BY port";
    Ok(sql::models(db, select, [cluster.into()]).await?)
}

async fn reserve(
    tx: &impl ConnectionTrait,
    etcd_token: EtcdToken,
    workflow: WorkflowId,
    units: Vec<UnitName>,
    now_ms: i64,
    first: u16,
) -> Result<Vec<ReservedPort>, WriteError<PortError>> {
    let cluster = cluster_id(tx, &etcd_token).await?;
    let rows = match rows(tx, cluster).await {
        Ok(rows) => rows,
        Err(cause) => return refuse(cause.into()),
    };
    let taken: BTreeSet<u16> = rows.iter().filter_map(|row| u16::try_from(row.port).ok()).collect();
    let mut held: BTreeMap<UnitName, u16> =
        rows.iter().filter_map(reserved).map(|reserved| (reserved.unit, reserved.port)).collect();
    let kept: Vec<&UnitName> = units.iter().filter(|unit| held.contains_key(unit)).collect();
    own(tx, cluster, workflow, &kept, now_ms).await?;
    let mut free = (first..=u16::MAX).filter(|port| !taken.contains(port));
    let mut new = Vec::new();
    for unit in &units {
        if held.contains_key(unit) {
            continue;
        }
        let Some(port) = free.next() else {
            return refuse(PortError::Exhausted { etcd_token, first });
        };
        held.insert(unit.clone(), port);
        new.push(etcd_cluster_ports::ActiveModel {
            id: ActiveValue::NotSet,
            etcd_cluster_id: ActiveValue::Set(cluster),
            product_component_id: ActiveValue::Set(None),
            port: ActiveValue::Set(port.into()),
            unit_name: ActiveValue::Set(Some(unit.as_str().to_owned())),
            workflow_id: ActiveValue::Set(Some(workflow.to_string())),
            inserted_at_ms: ActiveValue::Set(now_ms),
            updated_at_ms: ActiveValue::Set(now_ms),
        });
    }
    if !new.is_empty() {
        etcd_cluster_ports::Entity::insert_many(new).exec_without_returning(tx).await?;
    }
    let port_of = |unit: UnitName| held.get(&unit).map(|port| ReservedPort { unit, port: *port });
    Ok(units.into_iter().filter_map(port_of).collect())
}

/// Notes the workflow that used a port last.
async fn own(
    tx: &impl ConnectionTrait,
    cluster: i64,
    workflow: WorkflowId,
    units: &[&UnitName],
    now_ms: i64,
) -> Result<(), WriteError<PortError>> {
    for chunk in units.chunks(sql::CHUNK) {
        let update = format!(
            "UPDATE etcd_cluster_ports SET workflow_id = $1, updated_at_ms = $2 \
             WHERE etcd_cluster_id = $3 AND unit_name IN ({})",
            sql::places(4, chunk.len())
        );
        let head: [Value; 3] = [workflow.to_string().into(), now_ms.into(), cluster.into()];
        let values = head.into_iter().chain(chunk.iter().map(|unit| unit.as_str().into()));
        sql::execute(tx, &update, values).await?;
    }
    Ok(())
}

async fn release(
    tx: &impl ConnectionTrait,
    etcd_token: EtcdToken,
    workflow: Option<WorkflowId>,
    units: &[UnitName],
) -> Result<u64, WriteError<PortError>> {
    let cluster = cluster_id(tx, &etcd_token).await?;
    let mut released = 0;
    for chunk in units.chunks(sql::CHUNK) {
        let mut values: Vec<Value> = vec![cluster.into()];
        values.extend(chunk.iter().map(|unit| Value::from(unit.as_str())));
        let mut delete = format!(
            "DELETE FROM etcd_cluster_ports WHERE etcd_cluster_id = $1 AND unit_name IN ({})",
            sql::places(2, chunk.len())
        );
        if let Some(workflow) = workflow {
            values.push(workflow.to_string().into());
            delete.push_str(&format!(" AND workflow_id = ${}", values.len()));
        }
        released += sql::execute(tx, &delete, values).await?.rows_affected();
    }
    Ok(released)
}

fn reserved(row: &etcd_cluster_ports::Model) -> Option<ReservedPort> {
    let unit = UnitName::new(row.unit_name.clone()?).ok()?;
    Some(ReservedPort { unit, port: u16::try_from(row.port).ok()? })
}
