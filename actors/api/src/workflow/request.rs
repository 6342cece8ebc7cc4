//! What is sent about workflows.

use serde::{Deserialize, Serialize};

/// Body of `POST /workflows`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewWorkflow {
    /// Repository that holds the deployment files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_repo: Option<String>,
    /// Branch, tag or commit of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_repo_git_ref: Option<String>,
    /// Repository that holds the source; wins over `source.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_repo: Option<String>,
    /// Branch, tag or commit of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_repo_git_ref: Option<String>,
    /// What is to be done, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milestones: Option<Vec<String>>,
    /// When it is to start, RFC 1123 with the zone `UTC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_start_time: Option<String>,
}

/// Body of `POST /workflows/:id/execute`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecuteWorkflow {
    /// Build even if the image is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_build: Option<bool>,
    /// Exchange in which to build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_messaging_exchange_id: Option<i64>,
    /// Exchange in which to deploy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_messaging_exchange_id: Option<i64>,
}

/// Body of `POST /workflows/:id/cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelWorkflow {
    /// Why, for the event log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Query of `GET /workflows`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkflowFilter {
    /// Hours to look back; 0 or less is all. The server's default is 24.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookback: Option<i64>,
    /// Only workflows of this deployment repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_repo: Option<String>,
    /// Only workflows whose deployment repository is `<source_repo>_docker`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_repo: Option<String>,
}
