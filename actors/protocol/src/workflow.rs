//! A hint to the orchestrator that a workflow has something to do.

use oa_runtime::{Message, Wire};
use serde::{Deserialize, Serialize};

use crate::ids::WorkflowId;

/// Says that a workflow was changed by somebody else, such as the Manager's `execute` or `cancel`.
///
/// A hint only: the journal is the truth, and the orchestrator also looks by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowChanged {
    /// Which workflow.
    pub workflow_id: WorkflowId,
}

impl Message for WorkflowChanged {
    type Reply = ();
}

impl Wire for WorkflowChanged {
    const NAME: &'static str = "workflow.changed";
    const VERSION: u16 = 1;
}
