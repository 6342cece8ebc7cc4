//! Tables of metering. What they hold is history: nothing prunes them.

use super::table::TableSpec;

/// Every table.
pub(super) const TABLES: &[TableSpec] = &[
    // Neither clusters nor workflows are referred to: what ran stays known when they are gone.
    TableSpec {
        name: "unit_intervals",
        key: Some(&["id"]),
        columns: "id text!, unit_name text!, unit_hash text!, product text!, etcd_token text!, exchange text!, \
                  machine_id text!, boot_id text!, workflow_id text, generation int, started_at_ms int!, \
                  last_seen_ms int!, end_state text!, end_how text, cpu_ms int, memory_peak_bytes int, \
                  recorded_at_ms int!",
        checks: &["end_state IN ('running', 'unknown', 'known')", "last_seen_ms >= started_at_ms"],
    },
    // Up to which place the records of a cluster are in the table above.
    TableSpec {
        name: "unit_interval_cursors",
        key: Some(&["etcd_token"]),
        columns: "etcd_token text!, cursor text!, recorded_at_ms int!",
        checks: &[],
    },
];

/// Indexes.
pub(super) const INDEXES: &[&str] = &["INDEX unit_intervals_seen ON unit_intervals (last_seen_ms)"];
