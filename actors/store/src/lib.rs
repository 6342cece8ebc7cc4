//! The management database: entities, migrations, repositories and the workflow journal.
//!
//! [`Store::open`] gives the repositories. What happens to workflows goes through [`Journal::apply`]: it loads the
//! workflow, asks the pure function [`workflow::step`] and writes its plan in one transaction, many workflows at once.
//! Everything that a transition causes leaves through the outbox, so nothing is sent that was not decided, and
//! nothing that was decided is not sent.

pub mod workflow;

mod clock;
mod clusters;
mod entities;
mod error;
mod journal;
mod lease;
mod modules;
mod ports;
mod record;
mod schema;
mod sql;
mod store;
mod system_events;
mod usage;
mod users;
mod workflows;

pub use clock::Clock;
pub use clusters::{Cluster, ClusterError, Clusters, NewCluster};
pub use error::StoreError;
pub use journal::{Applied, Journal, JournalError, WorkflowChange};
pub use modules::{Module, Modules};
pub use oa_durable::{StorageError, StorageKind, Synchronous, WaitingMessage};
pub use ports::{PortError, Ports};
pub use record::{JournalEntry, StepRecord, WireFields, WorkflowRecord};
pub use store::{Store, StoreConfig};
pub use system_events::{
    NewSystemEvent, SystemEvent, SystemEventError, SystemEventFilter, SystemEvents,
};
pub use usage::{Usage, UsageFilter, UsageRow, Usages};
pub use users::{User, Users};
pub use workflow::{Event, Ignored, Status, StepStatus, TimerKind, WorkflowState};
pub use workflows::{NewWorkflow, WorkflowError, WorkflowFilter, WorkflowPatch, Workflows};
