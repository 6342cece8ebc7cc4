//! The REST API and the mailboxes of a running Manager: a real database in a temporary directory, real HTTP, and
//! the transport of one process.

mod auth;
mod client;
mod clusters;
mod fleet;
mod http;
mod lifecycle;
mod limits;
mod mailboxes;
mod manager;
mod nearest;
mod node;
mod system_events;
mod units;
mod usage;
mod why;
mod why_cluster;
mod why_node;
mod why_workflow;
mod workflow_events;
mod workflow_names;
mod workflows;
