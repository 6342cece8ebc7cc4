//! A file per resource: each handler reads its fields, calls one service and shapes the answer.

pub(crate) mod clusters;
pub(crate) mod node;
pub(crate) mod system_events;
pub(crate) mod units;
pub(crate) mod usage;
pub(crate) mod why;
pub(crate) mod workflows;

use crate::request::{Fields, Given};
use crate::time;

/// Hours that lists look back by default.
const DEFAULT_LOOKBACK: i64 = 24;
const HOUR_MS: i64 = 3_600_000;

/// The time since which a list is wanted, by `lookback` in hours; `None` is all of it.
fn lookback(fields: &mut Fields<'_>) -> Option<i64> {
    let hours = match fields.integer("lookback") {
        Given::Value(hours) => hours,
        Given::Absent | Given::Null => DEFAULT_LOOKBACK,
    };
    (hours > 0).then(|| time::now_ms().saturating_sub(hours.saturating_mul(HOUR_MS)))
}
