//! Heartbeats: which components run, and where.

use oa_runtime::{Message, Wire};
use serde::{Deserialize, Serialize};

/// Says that a component runs. The first one registers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The node, such as `build-1`; the original's `hostname`.
    pub hostname: String,
    /// The component, such as `builder`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `active`, or `inactive` when it says goodbye.
    pub status: String,
    /// What it works on: one line an item.
    #[serde(default)]
    pub workload: Vec<String>,
}

impl Message for Heartbeat {
    type Reply = ();
}

impl Wire for Heartbeat {
    const NAME: &'static str = "system_modules.heartbeat";
    const VERSION: u16 = 1;
}
