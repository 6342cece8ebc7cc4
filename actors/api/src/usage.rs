//! What ran for how long: `/usage`.

use serde::{Deserialize, Serialize};

/// Query of `GET /usage`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageFilter {
    /// First day, UTC: `YYYY-MM-DD`. Default: six days before the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Last day, UTC: `YYYY-MM-DD`. Default: today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Only this product; empty for what belongs to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Only this cluster, by its token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `unit` gives each unit a row of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What ran, as `GET /usage` answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// First day, UTC.
    pub from: String,
    /// Last day, UTC.
    pub to: String,
    /// When the latest record was kept, RFC 1123. A unit that runs is counted up to its own latest record; there is one
    /// a minute.
    pub as_of: Option<String>,
    /// By day, product, cluster, and unit if asked.
    pub rows: Vec<UsageRow>,
}

/// The use of one product on one cluster in one day.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageRow {
    /// The day, UTC: `YYYY-MM-DD`.
    pub day: String,
    /// The product; empty for what belongs to none.
    pub product: String,
    /// The cluster, by its token.
    pub cluster: String,
    /// The unit, if units were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Seconds that units ran, all of them together, to the millisecond.
    pub unit_seconds: f64,
    /// Runs that have a part in this day.
    pub intervals: u64,
    /// Those of them whose end nobody saw: they count up to the last moment that is known.
    pub unknown_intervals: u64,
    /// Processor time, if the hosts could tell.
    pub cpu_seconds: Option<f64>,
    /// Most memory that one process held, if the hosts could tell.
    pub memory_peak_bytes: Option<u64>,
}
