//! Records of clusters.

use oa_protocol::EtcdToken;
use oa_store::{Cluster, ClusterError, NewCluster, Store};

use super::store_failed;
use crate::error::{ApiError, Problem};

/// What errors are about.
const CLUSTER: &str = "EtcdCluster";

/// Keeps records of clusters.
#[derive(Clone)]
pub(crate) struct ClusterService {
    store: Store,
}

impl ClusterService {
    /// Keeps them in `store`.
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// All clusters, or those that build images.
    pub(crate) async fn list(&self, builds_only: bool) -> Result<Vec<Cluster>, ApiError> {
        let filter = builds_only.then_some(true);
        self.store.clusters().list(filter).await.map_err(|error| store_failed(CLUSTER, &error))
    }

    /// The cluster with that token. What cannot be a token names no cluster.
    pub(crate) async fn get(&self, etcd_token: &str) -> Result<Cluster, ApiError> {
        let Ok(token) = EtcdToken::new(etcd_token) else {
            return Err(self.missing(etcd_token).await);
        };
        let found = self.store.clusters().get(&token).await;
        match found.map_err(|error| store_failed(CLUSTER, &error))? {
            Some(cluster) => Ok(cluster),
            None => Err(self.missing(etcd_token).await),
        }
    }

    /// 404 for a cluster that is not there, with the tokens that may have been meant.
    async fn missing(&self, typed: &str) -> ApiError {
        let known = self.store.clusters().list(None).await.unwrap_or_default();
        let tokens = known.iter().map(|cluster| cluster.etcd_token.as_str());
        ApiError::not_found(CLUSTER).did_you_mean(typed, tokens)
    }

    /// Registers a cluster.
    pub(crate) async fn create(&self, new: NewCluster) -> Result<Cluster, ApiError> {
        self.store.clusters().create(new).await.map_err(refused)
    }

    /// Forgets a cluster.
    pub(crate) async fn delete(&self, etcd_token: &str) -> Result<(), ApiError> {
        self.store.clusters().delete(&token(etcd_token)?).await.map_err(refused)
    }
}

fn token(text: &str) -> Result<EtcdToken, ApiError> {
    EtcdToken::new(text).map_err(|_| ApiError::not_found(CLUSTER))
}

fn refused(error: ClusterError) -> ApiError {
    match error {
        ClusterError::Exists { .. } => ApiError::exists(CLUSTER),
        ClusterError::NotFound { .. } => ApiError::not_found(CLUSTER),
        ClusterError::InUse { .. } => ApiError::conflict(error.to_string()),
        ClusterError::Invalid { field, why } => {
            let problem = match field {
                "hosting_provider_id" => Problem::new(field, "Invalid Cloud Provider").allowed(why),
                "messaging_exchange_id" => {
                    Problem::new(field, "Invalid MessagingExchange").allowed(why)
                }
                _ => Problem::new(field, why),
            };
            ApiError::invalid_fields(CLUSTER, vec![problem])
        }
        ClusterError::Store(error) => store_failed(CLUSTER, &error),
        other => {
            tracing::error!(error = %other, "a cluster was not changed");
            ApiError::internal(CLUSTER)
        }
    }
}
