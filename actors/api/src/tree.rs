//! The tree of actors of a node: `/oa/tree`.

use serde::{Deserialize, Serialize};

/// One actor and what is below it, as `GET /oa/tree` answers. Fields of later releases are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TreeNode {
    /// Where it is, such as `/manager/http`.
    pub path: String,
    /// What it is.
    pub kind: String,
    /// What it does: `starting`, `running`, `stopping`, `down`, `backing_off`, `stopped`.
    pub state: String,
    /// How often it was started again.
    pub restarts: u64,
    /// Messages that wait.
    pub depth: u64,
    /// Messages that may wait.
    pub capacity: u64,
    /// What it works on.
    pub message: Option<String>,
    /// For how long: milliseconds.
    pub age_ms: Option<u64>,
    /// Why it failed last.
    pub last_failure: Option<String>,
    /// The actors that it supervises.
    pub children: Vec<TreeNode>,
}
