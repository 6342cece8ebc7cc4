//! What an operator should know: `/system_events`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A system event. Every field is always present, `null` when unset; times are RFC 1123.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemEvent {
    /// Row id.
    pub id: i64,
    /// Kind, such as `unhandled_exception`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text.
    pub message: Option<String>,
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// More, for programs.
    pub data: Option<Value>,
    /// The user who takes care of it.
    pub assignee_id: Option<i64>,
    /// Who assigned it.
    pub assigned_by_id: Option<i64>,
    /// When it was assigned.
    pub assigned_at: Option<String>,
    /// Who dismissed it.
    pub dismissed_by_id: Option<i64>,
    /// When it was dismissed.
    pub dismissed_at: Option<String>,
    /// Why it was dismissed.
    pub dismissed_reason: Option<String>,
    /// When it was recorded.
    pub inserted_at: Option<String>,
    /// When it changed last.
    pub updated_at: Option<String>,
}

/// Body of `POST /system_events`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NewSystemEvent {
    /// Kind; not empty.
    #[serde(rename = "type")]
    pub kind: String,
    /// Severity; not empty.
    pub severity: String,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// More, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// Refused with 409 if an event of the same kind and data was recorded within the hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique: Option<bool>,
}

/// Body of `POST /system_events/:id/assign`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AssignSystemEvent {
    /// The user who takes care of it.
    pub assignee_id: Option<i64>,
}

/// Body of `POST /system_events/:id/dismiss`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DismissSystemEvent {
    /// Who dismisses it; the token's user if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dismissed_by_id: Option<i64>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dismissed_reason: Option<String>,
}
