//! A method for each route.

use std::time::Duration;

use serde_json::Value;

use super::{Client, ClientError};
use crate::cluster::{Cluster, LogFilter, LogPage, Machine, NewCluster, Unit, UnitState};
use crate::system_event::{NewSystemEvent, SystemEvent};
use crate::tree::TreeNode;
use crate::usage::{Usage, UsageFilter};
use crate::why::Finding;
use crate::workflow::{
    CancelWorkflow, ExecuteWorkflow, NewWorkflow, Workflow, WorkflowEvents, WorkflowFilter,
};

/// Every method fails with a [`ClientError`] that says what failed, why, and what to do.
impl Client {
    /// Whether the node takes work: `GET /readyz`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with status 503 while it is not ready.
    pub async fn ready(&self) -> Result<(), ClientError> {
        self.send(reqwest::Method::GET, &["readyz"], &(), None::<&()>, self.deadline)
            .await
            .map(drop)
    }

    /// The tree of actors, as the node sent it: `GET /oa/tree`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn tree_value(&self) -> Result<Value, ClientError> {
        self.get(&["oa", "tree"], &()).await
    }

    /// The tree of actors: `GET /oa/tree`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn tree(&self) -> Result<TreeNode, ClientError> {
        self.get(&["oa", "tree"], &()).await
    }

    /// Workflows: `GET /workflows`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn workflows(&self, filter: &WorkflowFilter) -> Result<Vec<Workflow>, ClientError> {
        self.get(&["workflows"], filter).await
    }

    /// One workflow: `GET /workflows/:id`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn workflow(&self, id: &str) -> Result<Workflow, ClientError> {
        self.get(&["workflows", id], &()).await
    }

    /// Makes a workflow and returns its id; it does nothing until it is executed: `POST /workflows`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn create_workflow(&self, workflow: &NewWorkflow) -> Result<String, ClientError> {
        self.post(&["workflows"], workflow).await?.located_id()
    }

    /// Starts a workflow: `POST /workflows/:id/execute`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`]; refused with 409 if it was started before.
    pub async fn execute_workflow(
        &self,
        id: &str,
        options: &ExecuteWorkflow,
    ) -> Result<(), ClientError> {
        self.post(&["workflows", id, "execute"], options).await.map(drop)
    }

    /// Asks for a workflow to be cancelled: `POST /workflows/:id/cancel`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`]; refused with 409 if it has ended.
    pub async fn cancel_workflow(&self, id: &str, reason: Option<&str>) -> Result<(), ClientError> {
        let body = CancelWorkflow { reason: reason.map(str::to_owned) };
        self.post(&["workflows", id, "cancel"], &body).await.map(drop)
    }

    /// Removes a workflow: `DELETE /workflows/:id`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn delete_workflow(&self, id: &str) -> Result<(), ClientError> {
        self.delete(&["workflows", id]).await
    }

    /// What happened after version `after`, waited for up to `wait`: `GET /workflows/:id/events`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn workflow_events(
        &self,
        id: &str,
        after: i64,
        wait: Duration,
    ) -> Result<WorkflowEvents, ClientError> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.poll(
            &["workflows", id, "events"],
            &[("after", after.to_string()), ("wait_ms", wait_ms.to_string())],
            wait,
        )
        .await
    }

    /// Clusters: `GET /clusters`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn clusters(&self) -> Result<Vec<Cluster>, ClientError> {
        self.get(&["clusters"], &()).await
    }

    /// One cluster: `GET /clusters/:etcd_token`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn cluster(&self, etcd_token: &str) -> Result<Cluster, ClientError> {
        self.get(&["clusters", etcd_token], &()).await
    }

    /// Makes a cluster known: `POST /clusters`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn create_cluster(&self, cluster: &NewCluster) -> Result<(), ClientError> {
        self.post(&["clusters"], cluster).await.map(drop)
    }

    /// Forgets a cluster: `DELETE /clusters/:etcd_token`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn delete_cluster(&self, etcd_token: &str) -> Result<(), ClientError> {
        self.delete(&["clusters", etcd_token]).await
    }

    /// Machines of a cluster: `GET /clusters/:etcd_token/machines`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn machines(&self, etcd_token: &str) -> Result<Vec<Machine>, ClientError> {
        self.get(&["clusters", etcd_token, "machines"], &()).await
    }

    /// Units of a cluster: `GET /clusters/:etcd_token/units`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn units(&self, etcd_token: &str) -> Result<Vec<Unit>, ClientError> {
        self.get(&["clusters", etcd_token, "units"], &()).await
    }

    /// How the units of a cluster do: `GET /clusters/:etcd_token/state`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn unit_states(&self, etcd_token: &str) -> Result<Vec<UnitState>, ClientError> {
        self.get(&["clusters", etcd_token, "state"], &()).await
    }

    /// A piece of a unit's output: `GET /clusters/:etcd_token/units/:unit/logs`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn unit_logs(
        &self,
        etcd_token: &str,
        unit: &str,
        filter: &LogFilter,
    ) -> Result<LogPage, ClientError> {
        let wait = Duration::from_millis(filter.wait_ms.unwrap_or(0));
        self.poll(&["clusters", etcd_token, "units", unit, "logs"], filter, wait.max(self.deadline))
            .await
    }

    /// What waits, failed or is refused about a workflow: `GET /workflows/:id/why`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn why_workflow(&self, id: &str) -> Result<Vec<Finding>, ClientError> {
        self.get(&["workflows", id, "why"], &()).await
    }

    /// What waits, failed or is refused on a cluster: `GET /clusters/:etcd_token/why`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn why_cluster(&self, etcd_token: &str) -> Result<Vec<Finding>, ClientError> {
        self.get(&["clusters", etcd_token, "why"], &()).await
    }

    /// What holds a unit up, or how it ended: `GET /clusters/:etcd_token/units/:unit/why`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn why_unit(
        &self,
        etcd_token: &str,
        unit: &str,
    ) -> Result<Vec<Finding>, ClientError> {
        self.get(&["clusters", etcd_token, "units", unit, "why"], &()).await
    }

    /// Everything on the node that waits, failed or is refused now: `GET /why`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn why(&self) -> Result<Vec<Finding>, ClientError> {
        self.get(&["why"], &()).await
    }

    /// What ran for how long, by day, product and cluster: `GET /usage`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`]; refused with 400 if the days are no days, or too many.
    pub async fn usage(&self, filter: &UsageFilter) -> Result<Usage, ClientError> {
        self.get(&["usage"], filter).await
    }

    /// System events of the last `lookback` hours, 24 by default, all for 0: `GET /system_events`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn system_events(
        &self,
        lookback: Option<i64>,
    ) -> Result<Vec<SystemEvent>, ClientError> {
        self.get(&["system_events"], &[("lookback", lookback)]).await
    }

    /// Records a system event: `POST /system_events`.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn create_system_event(&self, event: &NewSystemEvent) -> Result<(), ClientError> {
        self.post(&["system_events"], event).await.map(drop)
    }
}
