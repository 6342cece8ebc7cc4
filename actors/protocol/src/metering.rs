//! When units ran: what a host records and Management keeps.
//!
//! A record is the whole of what is known of one run at one moment, so the latest one is enough, and two of them are
//! [merged](UnitInterval::merge) in any order and as often as one likes.

use oa_runtime::{Message, Wire};
use serde::{Deserialize, Serialize};

use crate::ids::{EtcdToken, IntervalId, UnitName, WorkflowId};
use crate::refusal::Refusal;

/// One run of a unit's main process, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitInterval {
    /// Names the run.
    pub id: IntervalId,
    /// The unit.
    pub unit: UnitName,
    /// Hash of its unit file.
    #[serde(default)]
    pub unit_hash: String,
    /// What it is billed to: `[X-OpenAperture] Product=` of the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// `[X-OpenAperture] Generation=` of the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// `[X-OpenAperture] Workflow=` of the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<WorkflowId>,
    /// The machine it runs on.
    #[serde(default)]
    pub machine_id: String,
    /// The boot of that machine.
    #[serde(default)]
    pub boot_id: String,
    /// When it began: milliseconds since 1970, UTC, by the machine's clock, read once.
    pub started_at_ms: i64,
    /// How long it ran for certain, by a clock that is never set.
    pub ran_ms: u64,
    /// Whether and how it ended.
    pub end: IntervalEnd,
    /// Processor time that it used so far, if the host can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Most memory that one of its processes held, if the host can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
}

/// Whether and how a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum IntervalEnd {
    /// It had not ended when this was recorded.
    Running,
    /// It ended, some time after the last moment that is known; nobody was there to see it.
    Unknown,
    /// It ended after exactly [`UnitInterval::ran_ms`].
    Known {
        /// Such as `exit status: 0`.
        how: String,
    },
}

impl IntervalEnd {
    /// What is known better has the higher rank.
    fn rank(&self) -> u8 {
        match self {
            Self::Running => 0,
            Self::Unknown => 1,
            Self::Known { .. } => 2,
        }
    }
}

impl UnitInterval {
    /// Adds what `other` knows of the same run. Nothing becomes shorter or less certain by it.
    pub fn merge(&mut self, other: &Self) {
        self.ran_ms = self.ran_ms.max(other.ran_ms);
        self.cpu_ms = self.cpu_ms.max(other.cpu_ms);
        self.memory_peak_bytes = self.memory_peak_bytes.max(other.memory_peak_bytes);
        if other.end.rank() > self.end.rank() {
            self.end = other.end.clone();
        }
    }
}

/// Some records of a cluster, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IntervalPage {
    /// The records; of each run the latest one of this page.
    pub intervals: Vec<UnitInterval>,
    /// Where to go on. Asking from there says that everything before is stored.
    pub next: String,
}

/// Asks the Manager to keep records of a cluster; answered by the place up to which it has them all.
///
/// Without records it only asks for that place: `None` if nothing of the cluster is stored yet. Sending the same records
/// again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordIntervals {
    /// The cluster.
    pub etcd_token: EtcdToken,
    /// The place that collected them.
    #[serde(default)]
    pub exchange: String,
    /// The records.
    #[serde(default)]
    pub intervals: Vec<UnitInterval>,
    /// Where to go on after them: [`IntervalPage::next`].
    #[serde(default)]
    pub cursor: Option<String>,
}

impl Message for RecordIntervals {
    type Reply = Result<Option<String>, Refusal>;
}

impl Wire for RecordIntervals {
    const NAME: &'static str = "manager.record_intervals";
    const VERSION: u16 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(ran_ms: u64, end: IntervalEnd, cpu_ms: Option<u64>) -> UnitInterval {
        UnitInterval {
            id: "01930000-0000-7000-8000-000000000001".parse().expect("an id"),
            unit: UnitName::new("app.service").expect("a valid name"),
            unit_hash: String::new(),
            product: None,
            generation: None,
            workflow_id: None,
            machine_id: String::new(),
            boot_id: String::new(),
            started_at_ms: 0,
            ran_ms,
            end,
            cpu_ms,
            memory_peak_bytes: None,
        }
    }

    #[test]
    fn records_merge_to_the_same_in_every_order() {
        let how = || IntervalEnd::Known { how: "exit status: 0".into() };
        let records = [
            record(0, IntervalEnd::Running, None),
            record(60, IntervalEnd::Running, Some(3)),
            record(60, IntervalEnd::Unknown, Some(3)),
            record(90, how(), Some(5)),
        ];
        let merged = |order: [usize; 4]| {
            let mut all = records[order[0]].clone();
            order.iter().for_each(|at| all.merge(&records[*at]));
            all
        };
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1], [3, 3, 0, 2]] {
            assert_eq!(merged(order), record(90, how(), Some(5)), "{order:?}");
        }
    }
}
