//! Questions to clusters. They go to the FleetManager, wherever it runs, and each has a deadline.

use std::time::Duration;

use oa_protocol::fleet_manager::{
    ListMachines, ListUnitStates, ListUnits, RestartUnit, ShowUnitCondition, UnitLogs,
};
use oa_protocol::unit::{LogPage, Machine, Unit, UnitCondition, UnitState};
use oa_protocol::{EtcdToken, Refusal, UnitName, mailbox};
use oa_runtime::{AskError, PostOffice, Wire};

use crate::error::ApiError;

/// What errors are about.
const CLUSTER: &str = "EtcdCluster";

/// Which part of a unit's output is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogQuery {
    /// Only what came after this position.
    pub(crate) after: Option<u64>,
    /// At most so many of the last lines.
    pub(crate) lines: Option<u32>,
    /// How long to wait for something new.
    pub(crate) wait: Duration,
}

/// Asks the FleetManager.
#[derive(Clone)]
pub(crate) struct FleetService {
    post_office: PostOffice,
    deadline: Duration,
}

impl FleetService {
    /// Asks through `post_office`; an answer may take `deadline`.
    pub(crate) fn new(post_office: PostOffice, deadline: Duration) -> Self {
        Self { post_office, deadline }
    }

    /// The machines of a cluster.
    pub(crate) async fn machines(&self, etcd_token: EtcdToken) -> Result<Vec<Machine>, ApiError> {
        self.ask(ListMachines { etcd_token }, self.deadline).await
    }

    /// The units that it knows.
    pub(crate) async fn units(&self, etcd_token: EtcdToken) -> Result<Vec<Unit>, ApiError> {
        self.ask(ListUnits { etcd_token }, self.deadline).await
    }

    /// How they do.
    pub(crate) async fn states(&self, etcd_token: EtcdToken) -> Result<Vec<UnitState>, ApiError> {
        self.ask(ListUnitStates { etcd_token }, self.deadline).await
    }

    /// What a unit printed.
    pub(crate) async fn logs(
        &self,
        etcd_token: EtcdToken,
        unit_name: UnitName,
        query: LogQuery,
    ) -> Result<LogPage, ApiError> {
        let LogQuery { after, lines, wait } = query;
        let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        self.ask(UnitLogs { etcd_token, unit_name, after, lines, wait_ms }, self.deadline + wait)
            .await
    }

    /// How a unit does, in more words than its state has; nothing if its engine knows no more.
    pub(crate) async fn condition(
        &self,
        etcd_token: EtcdToken,
        unit_name: UnitName,
    ) -> Result<Option<UnitCondition>, ApiError> {
        self.ask(ShowUnitCondition { etcd_token, unit_name }, self.deadline).await
    }

    /// Stops a unit and starts it again.
    pub(crate) async fn restart(
        &self,
        etcd_token: EtcdToken,
        unit_name: UnitName,
    ) -> Result<(), ApiError> {
        self.ask(RestartUnit { etcd_token, unit_name }, self.deadline).await
    }

    async fn ask<T, M>(&self, question: M, deadline: Duration) -> Result<T, ApiError>
    where
        M: Wire<Reply = Result<T, Refusal>>,
    {
        let address = self.post_office.address(mailbox::FLEET_MANAGER);
        match self.post_office.recipient::<M>(&address).ask(question, deadline).await {
            Ok(answer) => answer.map_err(|refusal| ApiError::refused(CLUSTER, refusal)),
            Err(error) => Err(unanswered(&error)),
        }
    }
}

/// What the client is told when there is no answer.
fn unanswered(error: &AskError) -> ApiError {
    match error {
        AskError::Timeout { after } => {
            ApiError::timeout(format!("The FleetManager did not answer within {after:?}"))
                .hint("the cluster may be busy or out of reach; the same request may succeed later")
        }
        AskError::NoRoute { .. } | AskError::Stopped => {
            ApiError::unavailable("no_fleet_manager", "No FleetManager runs for this cluster")
                .hint("start a node whose `components` list `fleet_manager`")
        }
        AskError::Full => ApiError::unavailable(
            "fleet_manager_busy",
            "The FleetManager has too many questions waiting",
        ),
        AskError::Failed { text, retryable: true } => {
            tracing::warn!(reason = %text, "the FleetManager failed to answer");
            ApiError::unavailable("fleet_manager_failed", "The FleetManager failed to answer")
        }
        AskError::Transport { reason, .. } => {
            tracing::warn!(%reason, "a question to the FleetManager was not taken");
            ApiError::unavailable(
                "transport_unavailable",
                "The question did not reach the FleetManager",
            )
        }
        other => {
            tracing::error!(error = %other, "a question to the FleetManager failed");
            ApiError::internal(CLUSTER)
        }
    }
}
