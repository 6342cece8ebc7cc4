//! What the handlers call: a file per resource. Reasons of the store become answers here.

mod clusters;
mod fleet;
mod system_events;
mod workflows;

pub(crate) use clusters::ClusterService;
pub(crate) use fleet::{FleetService, LogQuery};
pub(crate) use system_events::SystemEventService;
pub(crate) use workflows::{Page, WorkflowChange, WorkflowFields, WorkflowQuery, WorkflowService};

use std::error::Error;
use std::fmt;

use oa_store::StoreError;

use crate::error::ApiError;

/// The database did not do it. The reasons are logged and not answered.
pub(crate) fn store_failed(what: impl fmt::Display, error: &StoreError) -> ApiError {
    let reason = chain(error);
    if let Some(storage) = error.storage() {
        // Said by the database when it began; the answer names it.
        tracing::debug!(%what, %reason, "the database did not take a request");
        return ApiError::storage(&storage);
    }
    if error.is_retryable() {
        tracing::warn!(%what, %reason, "the database did not take a request");
        return ApiError::unavailable(
            "database_unavailable",
            "The database does not answer at the moment",
        )
        .hint("send the request again; the node's log says more");
    }
    tracing::error!(%what, %reason, "the database failed");
    ApiError::internal(what)
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Transparent errors repeat the text of their cause.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
