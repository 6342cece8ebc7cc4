//! The log of the node: standard error, lines for people or JSON for programs.

use std::io::IsTerminal;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::error::NodeError;
use crate::log_writer::{self, LastLines};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// One line for a person.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging at the levels that `OA_LOG` names (default `info`).
///
/// The last lines are waited for when what it returns is dropped.
pub(crate) fn start(format: LogFormat) -> Result<LastLines, NodeError> {
    let levels = std::env::var("OA_LOG").unwrap_or_else(|_| "info".into());
    // A statement a line would drown the node's own words.
    let filter = EnvFilter::try_new(format!(
        "sqlx=warn,sea_orm=warn,sea_orm_migration=warn,actix_server=warn,{levels}"
    ))
    .map_err(|cause| NodeError::Logging { why: format!("OA_LOG=`{levels}`: {cause}") })?;
    let (writer, last_lines) = log_writer::start(std::io::stderr())
        .map_err(|cause| NodeError::Logging { why: cause.to_string() })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = match format {
        LogFormat::Text => builder.with_ansi(colour_wanted()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|cause| NodeError::Logging { why: cause.to_string() })?;
    Ok(last_lines)
}

fn colour_wanted() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
