//! Types and client of the REST API.
//!
//! The types are shared by the server and its clients: field names, spelling and `null`s are the wire's. They hold
//! plain texts and numbers; what they mean is checked by the server. [`Client`] speaks to a node and says of each
//! failure what failed, why, and what to do ([`ClientError`]).

mod client;
mod cluster;
mod error_body;
pub mod local;
mod suggest;
mod system_event;
mod tree;
mod usage;
mod why;
mod workflow;

pub use client::{Client, ClientError, DEFAULT_DEADLINE, Endpoint};
pub use cluster::{Cluster, LogFilter, LogPage, Machine, NewCluster, Unit, UnitOption, UnitState};
pub use error_body::ErrorBody;
pub use suggest::{did_you_mean, nearest};
pub use system_event::{AssignSystemEvent, DismissSystemEvent, NewSystemEvent, SystemEvent};
pub use tree::TreeNode;
pub use usage::{Usage, UsageFilter, UsageRow};
pub use why::{Evidence, Finding, ReasonCode};
pub use workflow::{
    CancelWorkflow, DeployedUnit, ExecuteWorkflow, NewWorkflow, StepState, Workflow, WorkflowEvent,
    WorkflowEvents, WorkflowFailure, WorkflowFilter, WorkflowState, WorkflowStep,
};
