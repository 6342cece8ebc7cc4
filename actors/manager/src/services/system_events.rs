//! What an operator should know.

use oa_store::{NewSystemEvent, Store, SystemEvent, SystemEventError, SystemEventFilter};
use serde_json::json;

use super::{chain, store_failed};
use crate::error::{ApiError, Problem};
use crate::request::RequestId;

/// What errors are about.
const EVENT: &str = "SystemEvent";
/// Most events of one answer: the newest.
const MAX_EVENTS: usize = 10_000;

/// Keeps system events.
#[derive(Clone)]
pub(crate) struct SystemEventService {
    store: Store,
    node: String,
}

impl SystemEventService {
    /// Keeps them in `store`; events of the Manager itself name `node`.
    pub(crate) fn new(store: Store, node: impl Into<String>) -> Self {
        Self { store, node: node.into() }
    }

    /// Events that pass `filter`, the oldest first.
    pub(crate) async fn list(
        &self,
        filter: SystemEventFilter,
    ) -> Result<Vec<SystemEvent>, ApiError> {
        let listed = self.store.system_events().list(filter).await;
        let mut events = listed.map_err(|error| store_failed(EVENT, &error))?;
        let surplus = events.len().saturating_sub(MAX_EVENTS);
        events.drain(..surplus);
        Ok(events)
    }

    /// One event.
    pub(crate) async fn get(&self, id: i64) -> Result<SystemEvent, ApiError> {
        let found = self
            .store
            .system_events()
            .get(id)
            .await
            .map_err(|error| store_failed(EVENT, &error))?;
        found.ok_or_else(|| not_found(id))
    }

    /// Records an event.
    pub(crate) async fn create(&self, new: NewSystemEvent) -> Result<SystemEvent, ApiError> {
        self.store.system_events().create(new).await.map_err(refused)
    }

    /// Gives an event to a user.
    pub(crate) async fn assign(&self, id: i64, assignee: i64, by: i64) -> Result<(), ApiError> {
        self.store.system_events().assign(id, assignee, by).await.map(drop).map_err(refused)
    }

    /// Puts an event away.
    pub(crate) async fn dismiss(
        &self,
        id: i64,
        by: i64,
        reason: Option<String>,
    ) -> Result<(), ApiError> {
        self.store.system_events().dismiss(id, by, reason).await.map(drop).map_err(refused)
    }

    /// Records that a handler panicked, as the original does.
    pub(crate) async fn record_crash(&self, request: &RequestId) {
        let new = NewSystemEvent {
            kind: "unhandled_exception".to_owned(),
            severity: "error".to_owned(),
            message: Some(format!(
                "a request was not answered because its handler panicked: {request}"
            )),
            data: Some(json!({"component": "manager", "exchange_id": null, "hostname": self.node})),
            unique: false,
        };
        if let Err(error) = self.store.system_events().create(new).await {
            tracing::error!(reason = %chain(&error), "the panic of a handler was not recorded");
        }
    }
}

fn not_found(id: i64) -> ApiError {
    ApiError::not_found(format!("{EVENT} {id}"))
}

fn refused(error: SystemEventError) -> ApiError {
    match error {
        SystemEventError::Duplicate { .. } => ApiError::exists(EVENT),
        SystemEventError::NotFound { id } => not_found(id),
        SystemEventError::UnknownUser { id } => {
            let problem = Problem::new("id", "is invalid").allowed("the id of a user");
            ApiError::invalid_fields(format!("User {id}"), vec![problem])
        }
        SystemEventError::Invalid { field, why } => {
            ApiError::invalid_fields(EVENT, vec![Problem::new(field, why)])
        }
        SystemEventError::Store(error) => store_failed(EVENT, &error),
        other => {
            tracing::error!(error = %other, "a system event was not changed");
            ApiError::internal(EVENT)
        }
    }
}
